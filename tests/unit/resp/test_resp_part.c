/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Heads of 304, 206 and 416, and multipart framing.
 */
#include "hf_resp.h"

#include <criterion/criterion.h>
#include <string.h>

#define STORED                                                                                     \
	"HTTP/1.1 200 Fine\r\nDate: D\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\n"     \
	"Content-Language: en\r\nContent-Location: /l\r\nETag: \"a\"\r\nLast-Modified: L\r\n"      \
	"Cache-Control: max-age=9\r\nCDN-Cache-Control: max-age=8\r\nExpires: E\r\nVary: "         \
	"Accept\r\n"                                                                               \
	"Content-Range: bytes 0-1/2\r\nContent-Digest: x\r\ncontent-md5: y\r\nRepr-Digest: z\r\n"  \
	"X-Own: 1\r\nServer: s\r\nCache-Status: up; hit\r\nVia: 1.1 holdfast\r\n"

static struct hf_http_fields fields;
static char buf[4096];

static const char *text(size_t len)
{
	cr_assert_gt(len, 0);
	cr_assert_lt(len, sizeof(buf));
	buf[len] = '\0';
	return buf;
}

static const char *built(const char *stored, struct hf_resp_cut cut)
{
	struct hf_resp_head head = {
		.minor = 1,
		.keep_alive = true,
		.age_s = 3,
		.framing =
			cut.part == HF_RESP_NOT_MODIFIED ? HF_RESP_BODY_NONE : HF_RESP_BODY_LENGTH,
		.content_length = cut.part == HF_RESP_NO_RANGE ? 0 : 7,
		.cache_status = "hit",
	};
	size_t len;

	cr_assert(hf_http_stored_parse((struct hf_span){ stored, strlen(stored) }, &fields));
	cut.stored = &fields;
	len = hf_resp_cut_build(buf, sizeof(buf), &head, &cut);
	for (size_t cap = 0; cap < len; cap++)
		cr_assert_eq(hf_resp_cut_build(buf, cap, &head, &cut), 0);
	return text(hf_resp_cut_build(buf, len, &head, &cut));
}

Test(resp_part, rfc9110_s15_4_5_a_304_tells_what_guides_an_update_and_no_more)
{
	cr_assert_str_eq(built(STORED, (struct hf_resp_cut){ .part = HF_RESP_NOT_MODIFIED }),
		"HTTP/1.1 304 Not Modified\r\nDate: D\r\nContent-Location: /l\r\nETag: \"a\"\r\n"
		"Cache-Control: max-age=9\r\nCDN-Cache-Control: max-age=8\r\nExpires: E\r\n"
		"Vary: Accept\r\nCache-Status: up; hit\r\nVia: 1.1 holdfast\r\nAge: 3\r\n"
		"Cache-Status: holdfast; hit\r\n\r\n");
}

Test(resp_part, rfc9110_s15_4_5_last_modified_stands_in_for_an_etag)
{
	cr_assert(strstr(built("HTTP/1.1 200 OK\r\nLast-Modified: L\r\n",
				 (struct hf_resp_cut){ .part = HF_RESP_NOT_MODIFIED }),
		"Last-Modified: L\r\n"));
}

Test(resp_part, rfc9110_s15_3_7_1_one_range_has_content_range_and_the_wholes_fields)
{
	cr_assert_str_eq(built(STORED, (struct hf_resp_cut){ .part = HF_RESP_PARTIAL,
					       .range = { 5, 12 },
					       .length = 1000 }),
		"HTTP/1.1 206 Partial Content\r\nDate: D\r\nContent-Type: text/plain\r\n"
		"Content-Encoding: br\r\nContent-Language: en\r\nContent-Location: /l\r\n"
		"ETag: \"a\"\r\nLast-Modified: L\r\nCache-Control: max-age=9\r\n"
		"CDN-Cache-Control: max-age=8\r\nExpires: E\r\nVary: Accept\r\nRepr-Digest: z\r\n"
		"X-Own: 1\r\nServer: s\r\nCache-Status: up; hit\r\nVia: 1.1 holdfast\r\n"
		"Content-Range: bytes 5-11/1000\r\nAge: 3\r\nContent-Length: 7\r\n"
		"Cache-Status: holdfast; hit\r\n\r\n");
}

Test(resp_part, rfc9110_s15_3_7_2_several_ranges_have_a_boundary_and_no_content_range)
{
	const char *head = built(STORED,
		(struct hf_resp_cut){ .part = HF_RESP_MULTIPART, .boundary = HF_SPAN("b0") });

	cr_assert(strstr(head, "HTTP/1.1 206 Partial Content\r\n") == head);
	cr_assert(strstr(head, "Content-Type: multipart/byteranges; boundary=b0\r\n"));
	cr_assert_null(strstr(head, "text/plain"));
	cr_assert_null(strstr(head, "Content-Range"));
}

Test(resp_part, rfc9110_s15_5_17_a_416_tells_the_length)
{
	cr_assert_str_eq(
		built(STORED, (struct hf_resp_cut){ .part = HF_RESP_NO_RANGE, .length = 1000 }),
		"HTTP/1.1 416 Range Not Satisfiable\r\nCache-Status: up; hit\r\nVia: 1.1 "
		"holdfast\r\n"
		"Cache-Control: no-store\r\nContent-Range: bytes */1000\r\nAge: 3\r\n"
		"Content-Length: 0\r\nCache-Status: holdfast; hit\r\n\r\n");
}

Test(resp_part, rfc2046_s5_1_1_what_stands_between_and_behind_the_parts)
{
	struct hf_resp_between between = { .first = true,
		.boundary = HF_SPAN("b0"),
		.type = HF_SPAN("a/b"),
		.range = { 0, 10 },
		.length = 100 };

	cr_assert_str_eq(text(hf_resp_between_build(buf, sizeof(buf), &between)),
		"--b0\r\nContent-Type: a/b\r\nContent-Range: bytes 0-9/100\r\n\r\n");
	between.first = false;
	between.type.len = 0;
	cr_assert_str_eq(text(hf_resp_between_build(buf, sizeof(buf), &between)),
		"\r\n--b0\r\nContent-Range: bytes 0-9/100\r\n\r\n");
	cr_assert_str_eq(
		text(hf_resp_multipart_end(buf, sizeof(buf), HF_SPAN("b0"))), "\r\n--b0--\r\n");
	cr_assert_eq(hf_resp_between_build(buf, 10, &between), 0);
	cr_assert_eq(hf_resp_multipart_end(buf, 9, HF_SPAN("b0")), 0);
}
