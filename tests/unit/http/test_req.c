/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a request that is taken means. What is refused: test_rfc9112.c.
 */
#include "req_rig.h"

Test(http_req, a_plain_get_gives_its_parts)
{
	const char *text = "GET /a/b?c=d HTTP/1.1\r\nHost: A.example:80\r\nX-Y:  z \t\r\n"
			   "Accept:\r\n\r\nGET /next";

	assert_done(text);
	cr_assert_eq(req.method, HF_HTTP_GET);
	cr_assert_eq(req.form, HF_HTTP_FORM_ORIGIN);
	cr_assert_eq(req.minor, 1);
	cr_assert_eq(req.body, HF_HTTP_BODY_NONE);
	cr_assert(req.keep_alive);
	cr_assert_eq(req.head_len, strlen(text) - strlen("GET /next"));
	assert_span(req.target, "/a/b?c=d");
	assert_span(req.path_query, "/a/b?c=d");
	assert_span(req.authority, "A.example:80");
	assert_span(req.scheme, "http");
	cr_assert_eq(req.fields.count, 3);
	assert_span(req.fields.lines[1].name, "X-Y");
	assert_span(req.fields.lines[1].value, "z");
	cr_assert_eq(req.fields.lines[1].id, HF_HTTP_FIELD_OTHER);
	assert_span(req.fields.lines[2].value, "");
	cr_assert_eq(req.fields.lines[2].id, HF_HTTP_FIELD_ACCEPT);
	cr_assert_eq(req.max_forwards, -1);
}

/* A target of LEN zeroes behind its slash, with MARK from its character AT on. */
static void parse_marked(int len, int at, const char *mark)
{
	char text[200];
	int n = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", len, 0);

	memcpy(text + 4 + at, mark, strlen(mark));
	cr_assert_eq(hf_http_req_parse(text, (size_t)n, &limits, &req, &fault), HF_PARSE_DONE, "%s",
		text);
}

Test(http_req, a_question_mark_anywhere_in_the_target_is_seen)
{
	for (int len = 1; len < 70; len++) {
		for (int at = 1; at <= len; at++) {
			parse_marked(len, at, "?");
			cr_assert(!req.no_query && req.no_escape, "%d %d", len, at);
		}
	}
	assert_done("GET /a/0123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert(req.no_query);
}

Test(http_req, an_escape_or_a_segment_of_dots_anywhere_in_the_target_is_seen)
{
	for (int len = 2; len < 70; len++) {
		for (int at = 1; at <= len; at++) {
			parse_marked(len, at, "%");
			cr_assert(!req.no_escape && req.no_query, "%d %d", len, at);
			parse_marked(len, at, ".");
			cr_assert_eq(req.no_escape, at > 1, "%d %d", len, at);
			if (at == len)
				continue;
			parse_marked(len, at, "/.");
			cr_assert(!req.no_escape, "%d %d", len, at);
			parse_marked(len, at, "./");
			cr_assert_eq(req.no_escape, at > 1, "%d %d", len, at);
		}
	}
}

Test(http_req, rfc9112_3_1_methods_are_case_sensitive_tokens)
{
	static const struct {
		const char *text;
		enum hf_http_method method;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_GET },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_HEAD },
		{ "POST / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_POST },
		{ "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_PUT },
		{ "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_DELETE },
		{ "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_TRACE },
		{ "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_PATCH },
		{ "get / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_OTHER },
		{ "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", HF_HTTP_OTHER },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		assert_done(rows[i].text);
		cr_assert_eq(req.method, rows[i].method, "%s", rows[i].text);
	}
	assert_span(req.method_text, "M-SEARCH");
}

Test(http_req, rfc9110_9_2_methods_know_whether_they_are_safe_and_idempotent)
{
	cr_assert(hf_http_method_is_safe(HF_HTTP_GET) && hf_http_method_is_safe(HF_HTTP_OPTIONS));
	cr_assert(
		!hf_http_method_is_safe(HF_HTTP_PUT) && hf_http_method_is_idempotent(HF_HTTP_PUT));
	cr_assert(!hf_http_method_is_idempotent(HF_HTTP_POST));
	cr_assert(!hf_http_method_is_safe(HF_HTTP_OTHER));
	cr_assert_str_eq(hf_http_method_name(HF_HTTP_DELETE), "DELETE");
}

Test(http_req, rfc9112_3_2_target_forms)
{
	assert_done("GET HTTP://B.example/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_eq(req.form, HF_HTTP_FORM_ABSOLUTE);
	assert_span(req.authority, "B.example");
	assert_span(req.path_query, "/x?y");
	assert_span(req.scheme, "HTTP");
	assert_done("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_span(req.path_query, "/");
	assert_span(req.scheme, "https");
	assert_done("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_span(req.authority, "b");
	assert_span(req.path_query, "?q");
	assert_done("OPTIONS http://b:8080 HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_eq(req.form, HF_HTTP_FORM_ASTERISK);
	assert_span(req.path_query, "*");
	assert_done("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_eq(req.form, HF_HTTP_FORM_ASTERISK);
	assert_done("CONNECT b.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n");
	cr_assert_eq(req.form, HF_HTTP_FORM_AUTHORITY);
	assert_span(req.authority, "b.example:443");
	cr_assert_eq(req.path_query.len, 0);
	assert_done("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: b\r\n\r\n");
}

Test(http_req, rfc9110_7_6_1_connection_names_hop_by_hop_fields)
{
	assert_done(
		"GET / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nx-HOP: 2\r\nX-End: 3\r\nTE: trailers\r\n"
		"Authorization: b\r\nConnection: x-hop, User-Agent, Host, authorization\r\n"
		"User-Agent: u\r\n\r\n");
	cr_assert(!req.fields.lines[0].hop, "Host is end-to-end whatever Connection says");
	cr_assert(req.fields.lines[1].hop && req.fields.lines[2].hop);
	cr_assert(!req.fields.lines[3].hop);
	cr_assert(req.fields.lines[4].hop && req.te_trailers);
	cr_assert(!req.fields.lines[5].hop && req.has_authorization);
	cr_assert(req.fields.lines[6].hop);
	cr_assert(req.fields.lines[7].hop);
}

Test(http_req, rfc9110_7_6_1_too_many_connection_options_are_refused)
{
	char text[1024] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: x";

	for (int i = 1; i < HF_HTTP_CONN_OPTIONS_MAX; i++)
		strcat(text, ",x");
	strcat(text, "\r\n\r\n");
	assert_done(text);
	strcpy(text + strlen(text) - 4, ",x\r\n\r\n");
	assert_bad(400, text);
}

Test(http_req, rfc9110_10_1_1_expect)
{
	assert_done(
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
	cr_assert(req.expect_continue && !req.expect_unknown);
	assert_done("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n");
	cr_assert(!req.expect_continue && req.expect_unknown);
	assert_done("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\n\r\n");
	cr_assert(req.expect_continue && req.expect_unknown);
	assert_done("POST / HTTP/1.1\r\nHost: a\r\nExpect: ,100-continue\r\nExpect: "
		    "100-continue\r\n\r\n");
	cr_assert(req.expect_continue && !req.expect_unknown);
	assert_done("POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n");
	cr_assert(!req.expect_continue && !req.expect_unknown);
	assert_done("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
	cr_assert(!req.expect_continue && !req.expect_unknown);
}

Test(http_req, rfc9110_7_6_2_max_forwards)
{
	assert_done("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n");
	cr_assert_eq(req.max_forwards, 3);
	assert_done("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n");
	cr_assert_eq(req.max_forwards, -1);
	assert_bad(400, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n");
}

Test(http_req, conditionals_and_ranges_are_noticed)
{
	assert_done(
		"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-1\r\n\r\n");
	cr_assert(req.has_conditional && req.has_range);
	assert_done("GET / HTTP/1.1\r\nHost: a\r\nIf-Unknown: x\r\n\r\n");
	cr_assert(!req.has_conditional && !req.has_range);
}

Test(http_req, rfc9110_15_5_15_a_long_target_is_414_before_the_line_is_complete)
{
	const struct hf_http_limits small = { .head_max = 64, .uri_max = 8, .lines_max = 2 };
	const char *fits = "GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n";
	const char *over = "GET /23456789";

	cr_assert_eq(parse_limited(fits, strlen(fits), &small), HF_PARSE_DONE);
	cr_assert_eq(parse_limited(over, strlen(over), &small), HF_PARSE_BAD);
	cr_assert_eq(fault.status, 414);
	cr_assert_eq(fault.reason, HF_DROP_REQ_URI_LONG);
}

Test(http_req, rfc6585_5_too_large_a_head_is_431_as_soon_as_it_is_certain)
{
	const struct hf_http_limits small = { .head_max = 40, .uri_max = 20, .lines_max = 2 };
	const char *fits = "GET / HTTP/1.1\r\nHost: a\r\nA: 89012345\r\n\r\n";
	const char *over = "GET / HTTP/1.1\r\nHost: a\r\nA: 890123456\r\n\r\n";
	const char *lines = "GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB";

	cr_assert_eq(parse_limited(fits, strlen(fits), &small), HF_PARSE_DONE);
	cr_assert_eq(parse_limited(over, strlen(over), &small), HF_PARSE_BAD);
	cr_assert_eq(fault.status, 431);
	cr_assert_eq(fault.reason, HF_DROP_REQ_HEAD_LARGE);
	cr_assert_eq(parse_limited(over, 39, &small), HF_PARSE_MORE);
	cr_assert_eq(parse_limited(over, 40, &small), HF_PARSE_BAD, "one more byte is needed");
	cr_assert_eq(fault.status, 431);
	cr_assert_eq(parse_limited(lines, strlen(lines), &small), HF_PARSE_BAD);
	cr_assert_eq(fault.status, 431);
}

Test(http_req, as_many_lines_as_there_is_room_for)
{
	static char text[4096];
	size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

	for (int i = 1; i < HF_HTTP_LINES_MAX; i++)
		len += (size_t)sprintf(text + len, "A: %d\r\n", i);
	strcpy(text + len, "\r\n");
	assert_done(text);
	cr_assert_eq(req.fields.count, HF_HTTP_LINES_MAX);
	strcpy(text + len, "B:\r\n\r\n");
	assert_bad(431, text);
}
