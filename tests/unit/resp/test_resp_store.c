/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is stored, what stays private, what an origin is sent.
 */
#include "hf_resp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char buf[4096];
static struct hf_http_resp resp;
static struct hf_http_req req;

static void parse_resp(const char *text)
{
	cr_assert_eq(hf_http_resp_parse(text, strlen(text), &resp), HF_PARSE_DONE);
}

static void parse_req(const char *text)
{
	static const struct hf_http_limits limits = { 8192, 4096, 128 };
	struct hf_http_fault fault;

	cr_assert_eq(hf_http_req_parse(text, strlen(text), &limits, &req, &fault), HF_PARSE_DONE);
}

static const char *text(size_t len)
{
	cr_assert_lt(len, sizeof(buf));
	buf[len] = '\0';
	return buf;
}

static const char *answer = "HTTP/1.0 200 Fine\r\nContent-Length: 3\r\nAge: 9\r\nETag: \"x\"\r\n"
			    "Set-Cookie: a=b\r\nX-Mine: 1\r\nConnection: X-Hop\r\nx-hop: 2\r\n"
			    "Keep-Alive: 5\r\nset-cookie: c=d\r\nVia: 1.1 up\r\nX-Auth-Token: t\r\n"
			    "Proxy-Authenticate: p\r\nTrailer: x\r\n\r\n";

Test(resp_store, rfc9110_7_6_1_hop_by_hop_and_framing_fields_are_not_stored)
{
	struct hf_resp_store store = { .scrub = false,
		.date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT") };

	parse_resp(answer);
	cr_assert_str_eq(text(hf_resp_store_head(buf, sizeof(buf), &resp, &store)),
		"HTTP/1.1 200 Fine\r\nETag: \"x\"\r\nSet-Cookie: a=b\r\nX-Mine: 1\r\nset-cookie: "
		"c=d\r\n"
		"X-Auth-Token: t\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Via: 1.1 up, 1.0 holdfast\r\n");
}

Test(resp_store, product_md_4_credentials_are_scrubbed_and_go_to_their_client_alone)
{
	static const struct hf_names own = { 1, { "x-mine" } }, none;
	struct hf_resp_store store = { .scrub = true };

	hf_http_secrets_set(&own, &none);
	parse_resp(answer);
	cr_assert_str_eq(text(hf_resp_store_head(buf, sizeof(buf), &resp, &store)),
		"HTTP/1.1 200 Fine\r\nETag: \"x\"\r\nVia: 1.1 up, 1.0 holdfast\r\n");
	cr_assert_str_eq(text((size_t)hf_resp_private_fields(buf, sizeof(buf), &resp, &store)),
		"Set-Cookie: a=b\r\nX-Mine: 1\r\nset-cookie: c=d\r\nX-Auth-Token: t\r\n");
	cr_assert_eq(hf_resp_private_fields(buf, 20, &resp, &store), -ENOSPC);
}

Test(resp_store, every_field_of_the_scrub_table_is_left_out)
{
	struct hf_resp_store store = { .scrub = true };
	char in[256];

	for (unsigned id = 1; id < HF_HTTP_FIELD_COUNT; id++) {
		struct hf_span name = hf_http_field_name((enum hf_http_field)id);

		if (!(hf_http_field_flags((enum hf_http_field)id) & HF_HTTP_FIELD_SCRUB))
			continue;
		sprintf(in, "HTTP/1.1 200 OK\r\n%.*s: secret\r\n\r\n", (int)name.len, name.ptr);
		parse_resp(in);
		cr_assert(!strstr(
			text(hf_resp_store_head(buf, sizeof(buf), &resp, &store)), "secret"));
	}
}

Test(resp_store, rfc9110_6_6_1_an_origins_date_stays)
{
	struct hf_resp_store store = { .date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT") };

	parse_resp("HTTP/2 200 \r\ndate: Mon, 07 Nov 1994 08:49:37 GMT\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_store_head(buf, sizeof(buf), &resp, &store)),
		"HTTP/1.1 200 OK\r\ndate: Mon, 07 Nov 1994 08:49:37 GMT\r\nVia: 1.1 holdfast\r\n");
	cr_assert_eq(hf_resp_private_fields(buf, sizeof(buf), &resp, &store), 0);
}

static const struct hf_resp_forward forward = {
	.client = { "192.0.2.1", 9 }, .proto = { "http", 4 }, .via = { "edge-1", 6 }
};

Test(resp_forward, end_to_end_fields_go_to_the_origin)
{
	parse_req("POST /x HTTP/1.1\r\nhost: a.example:81\r\nAccept: */*\r\nConnection: close, "
		  "X-Hop\r\n"
		  "X-Hop: 1\r\nTE: trailers\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
		  "Upgrade: h2c\r\nCookie: a=b\r\nIf-Match: \"x\"\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_request_head(buf, sizeof(buf), &req, &forward)),
		"Host: a.example:81\r\nAccept: */*\r\nCookie: a=b\r\nIf-Match: \"x\"\r\n"
		"Via: 1.1 edge-1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
		"Forwarded: for=192.0.2.1;proto=http;host=\"a.example:81\"\r\n");
}

Test(resp_forward, a_miss_asks_for_the_whole)
{
	struct hf_resp_forward whole = forward;

	whole.whole = true;
	parse_req("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-Match: "
		  "\"x\"\r\n"
		  "If-None-Match: \"x\"\r\nIf-Modified-Since: x\r\nIf-Unmodified-Since: x\r\nX: "
		  "y\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_request_head(buf, sizeof(buf), &req, &whole)),
		"Host: a\r\nX: y\r\nVia: 1.1 edge-1\r\nX-Forwarded-For: 192.0.2.1\r\n"
		"X-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1;proto=http;host=a\r\n");
}

Test(resp_forward, rfc7239_and_rfc9110_7_6_3_lists_are_appended)
{
	struct hf_resp_forward six = {
		.client = HF_SPAN("2001:db8::1"), .proto = HF_SPAN("http"), .via = HF_SPAN("edge-1")
	};

	parse_req("GET http://b/ HTTP/1.0\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nVia: 1.0 x\r\n"
		  "X-forwarded-for: 2.2.2.2\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Proto: "
		  "https\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_request_head(buf, sizeof(buf), &req, &six)),
		"Host: b\r\nVia: 1.0 x, 1.0 edge-1\r\n"
		"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 2001:db8::1\r\nX-Forwarded-Proto: http\r\n"
		"Forwarded: for=1.1.1.1, for=\"[2001:db8::1]\";proto=http;host=b\r\n");
}

/* RFC 9112 §3.2.2: what follows the key may not be spelled as a client likes. */
Test(resp_forward, the_callers_authority_counts_before_the_requests)
{
	struct hf_resp_forward spelled = forward;

	spelled.authority = HF_SPAN("a.example");
	parse_req("GET / HTTP/1.1\r\nHost: %61.EXAMPLE:80\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_request_head(buf, sizeof(buf), &req, &spelled)),
		"Host: a.example\r\nVia: 1.1 edge-1\r\nX-Forwarded-For: 192.0.2.1\r\n"
		"X-Forwarded-Proto: http\r\nForwarded: "
		"for=192.0.2.1;proto=http;host=a.example\r\n");
}

Test(resp_forward, names_that_a_gateway_takes_for_ours_are_left_out)
{
	parse_req(
		"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\ntransfer_encoding: chunked\r\n"
		"X_Forwarded-For: 1.1.1.1\r\nAUTHORIZATION_: x\r\nContent_Type_: y\r\napi_key: "
		"z\r\n"
		"Proxy_Authorization: q\r\n\r\n");
	cr_assert_str_eq(text(hf_resp_request_head(buf, sizeof(buf), &req, &forward)),
		"Host: a\r\nAUTHORIZATION_: x\r\nContent_Type_: y\r\napi_key: z\r\nVia: 1.1 "
		"edge-1\r\n"
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
		"Forwarded: for=192.0.2.1;proto=http;host=a\r\n");
}

Test(resp_forward, rfc9110_7_6_2_max_forwards_counts_down)
{
	parse_req("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n");
	cr_assert(strstr(text(hf_resp_request_head(buf, sizeof(buf), &req, &forward)),
		"Max-Forwards: 9\r\n"));
}

Test(resp_forward, a_long_host_stays_out_of_forwarded)
{
	static char in[2048];
	static char host[600];

	memset(host, 'h', sizeof(host) - 1);
	sprintf(in, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	parse_req(in);
	cr_assert(strstr(text(hf_resp_request_head(buf, sizeof(buf), &req, &forward)),
		"Forwarded: for=192.0.2.1;proto=http\r\n"));
}

#define TRACE_LINE "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01"

static const struct hf_http_trace trace = {
	.id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	.span = { 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18 },
	.flags = HF_HTTP_TRACE_SAMPLED,
};

Test(resp_forward, a_trace_goes_on_unchanged_unless_there_is_one_of_ours)
{
	struct hf_resp_forward own = forward;
	const char *sent;

	parse_req("GET / HTTP/1.1\r\nHost: a\r\nTraceParent: x\r\nTraceState: a=1,\r\n\r\n");
	sent = text(hf_resp_request_head(buf, sizeof(buf), &req, &forward));
	cr_expect(strstr(sent, "\r\nTraceParent: x\r\nTraceState: a=1,\r\n"), "%s", sent);
	own.trace = &trace;
	sent = text(hf_resp_request_head(buf, sizeof(buf), &req, &own));
	cr_expect(strstr(sent, "\r\ntraceparent: " TRACE_LINE "\r\ntracestate: a=1,\r\n"), "%s",
		sent);
	cr_expect_null(strstr(sent, "TraceParent"));
	own.trace_begins = true;
	sent = text(hf_resp_request_head(buf, sizeof(buf), &req, &own));
	cr_expect(strstr(sent, "\r\ntraceparent: " TRACE_LINE "\r\n"), "%s", sent);
	cr_expect_null(strcasestr(sent, "tracestate"));
}

/* Members A of a_len bytes and B of b_len in one line, C in another: what of them is sent. */
static const char *trace_state(int a_len, int b_len)
{
	static char in[4096];
	struct hf_resp_forward own = forward;
	const char *sent;

	own.trace = &trace;
	(void)snprintf(in, sizeof(in),
		"GET / HTTP/1.1\r\nHost: a\r\ntracestate: A=%0*d,B=%0*d\r\ntracestate: C=1\r\n\r\n",
		a_len - 2, 1, b_len - 2, 1);
	parse_req(in);
	sent = text(hf_resp_request_head(buf, sizeof(buf), &req, &own));
	return sent + strlen("Host: a\r\ntraceparent: " TRACE_LINE "\r\n");
}

Test(resp_forward, of_tracestate_whole_members_go_on_up_to_512_bytes)
{
	const char *sent = trace_state(10, 10);

	cr_expect(strstr(sent, "A=00000001,B=00000001\r\ntracestate: C=1\r\n"), "%s", sent);
	sent = trace_state(
		10, HF_HTTP_TRACESTATE_MAX - 11); /* to the last byte, then C has no room */
	cr_expect(strstr(sent, ",B="), "%s", sent);
	cr_expect_null(strstr(sent, "C="));
	sent = trace_state(10, HF_HTTP_TRACESTATE_MAX - 10); /* nothing is skipped */
	cr_expect_eq(strncmp(sent, "tracestate: A=00000001\r\nVia", 27), 0, "%s", sent);
	sent = trace_state(HF_HTTP_TRACESTATE_MAX, 10);
	cr_expect_eq(strncmp(sent, "tracestate: A=0", 15), 0, "%s", sent);
	cr_expect_null(strstr(sent, "B="));
	sent = trace_state(HF_HTTP_TRACESTATE_MAX + 1, 10);
	cr_expect_eq(strncmp(sent, "Via", 3), 0, "%s", sent);
}

Test(resp_forward, what_does_not_fit_is_0)
{
	size_t len;

	parse_req("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x\r\n\r\n");
	len = hf_resp_request_head(buf, sizeof(buf), &req, &forward);
	for (size_t cap = 0; cap <= len; cap++) {
		char *room = malloc(cap + 1);

		cr_assert_eq(hf_resp_request_head(room, cap, &req, &forward), cap == len ? len : 0);
		free(room);
	}
}
