/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The parser of origin answers.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "guard.h"

static struct hf_http_resp resp;

static enum hf_parse parse(const char *text, size_t len)
{
	static struct hf_http_resp part;
	enum hf_parse whole = hf_http_resp_parse(guard_at_end(text, len), len, &resp);

	for (size_t n = 0; n < len; n++) {
		enum hf_parse verdict = hf_http_resp_parse(guard_at_end(text, n), n, &part);

		if (verdict == HF_PARSE_MORE)
			continue;
		cr_assert_eq(verdict, whole, "cut at %zu of %s", n, text);
	}
	cr_assert_eq(hf_http_resp_parse(guard_at_start(text, len), len, &resp), whole);
	return whole;
}

static void assert_verdict(const char *text, enum hf_parse verdict)
{
	cr_assert_eq(parse(text, strlen(text)), verdict, "%s", text);
}

Test(http_resp, a_plain_answer_gives_its_parts)
{
	assert_verdict("HTTP/1.1 404 Not here\r\nContent-Length: 12\r\nETag: \"x\"\r\n\r\nbody",
		HF_PARSE_DONE);
	cr_assert_eq(resp.status, 404);
	cr_assert_eq(resp.minor, 1);
	cr_assert(resp.keep_alive && resp.has_content_length && !resp.chunked);
	cr_assert_eq(resp.content_length, 12);
	cr_assert(hf_span_eq(resp.reason, HF_SPAN("Not here")));
	cr_assert_eq(resp.fields.count, 2);
	cr_assert_eq(resp.head_len, 56);
}

Test(http_resp, status_lines)
{
	static const struct {
		const char *text;
		enum hf_parse verdict;
	} rows[] = {
		{ "HTTP/1.1 200\r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/1.1 200 \r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/1.0 200 OK\r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/2 200 \r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/2.0 200 \r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/3 200\r\n\r\n", HF_PARSE_DONE },
		{ "HTTP/1.1 200 OK\n\n", HF_PARSE_DONE },
		{ "HTTP/1.1 20 OK\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1 2000 OK\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1 099 OK\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1 2x0 OK\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1  200 OK\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/4 200 OK\r\n\r\n", HF_PARSE_BAD },
		{ "ICY 200 OK\r\n\r\n", HF_PARSE_BAD },
		{ "<html>\r\n\r\n", HF_PARSE_BAD },
		{ "\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1 200 OK\rX\r\n\r\n", HF_PARSE_BAD },
		{ "HTTP/1.1 200 OK\r\n", HF_PARSE_MORE },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		assert_verdict(rows[i].text, rows[i].verdict);
}

Test(http_resp, rfc9112_5_2_garbage_in_fields_is_refused)
{
	assert_verdict("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nA: b\x02\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", HF_PARSE_BAD);
	cr_assert_eq(parse("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 24), HF_PARSE_BAD);
}

Test(http_resp, rfc9112_5_1_white_space_before_a_colon_is_removed)
{
	assert_verdict("HTTP/1.1 200 OK\r\nEtag \t: b\r\n\r\n", HF_PARSE_DONE);
	cr_assert(hf_span_eq(resp.fields.lines[0].name, HF_SPAN("Etag")));
	cr_assert(hf_span_eq(resp.fields.lines[0].value, HF_SPAN("b")));
	cr_assert_eq(resp.fields.lines[0].id, HF_HTTP_FIELD_ETAG);
	/* but not where libcurl saw another framing */
	assert_verdict("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding\t: chunked\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\n : c\r\n\r\n", HF_PARSE_BAD);
}

Test(http_resp, rfc9112_6_1_codings)
{
	static const char *const bad[] = { "", "gzip", "xchunked", "identity", "gzip, chunked",
		"chunked, gzip", "chunked, chunked", "chunked;a=b", "\"chunked\"", "\013chunked",
		"chunked\r\nTransfer-Encoding: identity" };
	char text[128];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", bad[i]);
		assert_verdict(text, HF_PARSE_BAD);
	}
	assert_verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", HF_PARSE_DONE);
	cr_assert(resp.chunked);
	assert_verdict("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HF_PARSE_BAD);
}

Test(http_resp, rfc9112_6_3_framing)
{
	static const char *const bad[] = { "", "+5", "-5", "-0", "0x5", "5, 5", "5,6", "5 5", "5.0",
		"\"5\"", "18446744073709551621", "9223372036854775808", "5\r\nContent-Length: 5" };
	char text[128];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
			bad[i]);
		assert_verdict(text, HF_PARSE_BAD);
	}
	assert_verdict(
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", HF_PARSE_BAD);
	assert_verdict("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		HF_PARSE_DONE);
	cr_assert(resp.chunked && !resp.has_content_length && resp.content_length == 0);
	assert_verdict(
		"HTTP/1.1 200 OK\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nVary: a\r\n\r\n",
		HF_PARSE_DONE);
	cr_assert(!resp.keep_alive && resp.fields.lines[1].hop && !resp.fields.lines[2].hop);
}

Test(http_resp, one_line_more_than_there_is_room_for_is_refused)
{
	static char text[4096] = "HTTP/1.1 200 OK\r\n";
	size_t len = strlen(text);

	for (int i = 0; i < HF_HTTP_LINES_MAX; i++, len += 4)
		strcpy(text + len, "A:\r\n");
	strcpy(text + len, "\r\n");
	assert_verdict(text, HF_PARSE_DONE);
	strcpy(text + len, "A:\r\n\r\n");
	assert_verdict(text, HF_PARSE_BAD);
}
