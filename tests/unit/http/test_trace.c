/* SPDX-License-Identifier: BSD-3-Clause
 *
 * traceparent by the statements of W3C Trace Context, level 1 and 2.
 */
#include "req_rig.h"

#define ID   "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static struct hf_http_trace trace;

static bool trace_read(const char *text)
{
	return hf_http_trace_parse(
		(struct hf_span){ guard_at_end(text, strlen(text)), strlen(text) }, &trace);
}

/* It is read, and written in version 00 as WANT. */
static void expect(const char *text, const char *want)
{
	char own[HF_HTTP_TRACE_LEN + 1] = "";

	cr_assert(trace_read(text), "%s", text);
	hf_http_trace_format(&trace, own);
	cr_expect_str_eq(own, want, "%s: %s", text, own);
}

Test(http_trace, s3_2_version_00_is_read_and_written)
{
	expect("00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01");
	expect("00-" ID "-" SPAN "-00", "00-" ID "-" SPAN "-00");
	cr_expect_eq(trace.id[0], 0x0a);
	cr_expect_eq(trace.id[15], 0x9c);
	cr_expect_eq(trace.span[7], 0x31);
	cr_expect_eq(trace.flags, 0);
}

Test(http_trace, s3_2_2_5_flags_that_are_not_known_do_not_count_and_are_sent_as_zero)
{
	expect("00-" ID "-" SPAN "-ff", "00-" ID "-" SPAN "-03");
	expect("00-" ID "-" SPAN "-02", "00-" ID "-" SPAN "-02");
	expect("00-" ID "-" SPAN "-09", "00-" ID "-" SPAN "-01");
}

Test(http_trace, s4_3_a_later_version_is_read_as_far_as_it_is_like_00)
{
	expect("01-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01");
	expect("cc-" ID "-" SPAN "-01-", "00-" ID "-" SPAN "-01");
	expect("fe-" ID "-" SPAN "-01-what-the-future-holds", "00-" ID "-" SPAN "-01");
}

Test(http_trace, what_is_malformed_does_not_count)
{
	static const char *const bad[] = { "", "00", "00-" ID "-" SPAN "-0", "00-" ID "-" SPAN,
		"00-" ID "-" SPAN "-01-", "00-" ID "-" SPAN "-01-more", "00-" ID "-" SPAN "-011",
		"ff-" ID "-" SPAN "-01", "01-" ID "-" SPAN "-01.more", "01-" ID "-" SPAN "-012",
		"0-" ID "-" SPAN "-001", "0x-" ID "-" SPAN "-01", "FE-" ID "-" SPAN "-01",
		"00-00000000000000000000000000000000-" SPAN "-01", "00-" ID "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", "00-" ID "-B7AD6B7169203331-01",
		"00-" ID "-" SPAN "-0A", "00-" ID "-" SPAN "-g1", "00_" ID "-" SPAN "-01",
		"00-" ID "_" SPAN "-01", "00-" ID "-" SPAN "_01",
		"00-0af7651916cd43dd8448eb211c80319-" SPAN "-011", "00-" ID "-b7ad6b716920333.-01",
		"00-" ID "-" SPAN "-01 ", " 00-" ID "-" SPAN "-01" };

	trace.flags = 77;
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		cr_expect_not(trace_read(bad[i]), "%s", bad[i]);
	cr_expect_eq(trace.flags, 77, "untouched");
}

static bool parse_request(const char *lines)
{
	char text[1000];
	int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);

	cr_assert_eq(parse_limited(text, (size_t)len, &limits), HF_PARSE_DONE);
	return hf_http_trace_of(&req.fields, &trace);
}

Test(http_trace, s3_2_the_name_has_any_case_and_two_lines_do_not_count)
{
	cr_expect_not(parse_request(""));
	cr_expect(parse_request("TraceParent:  00-" ID "-" SPAN "-01 \r\n"));
	cr_expect(
		parse_request("connection: traceparent\r\ntraceparent: 00-" ID "-" SPAN "-01\r\n"));
	cr_expect_not(parse_request("traceparent: 00-" ID "-" SPAN "-01\r\n"
				    "traceparent: 00-" ID "-" SPAN "-01\r\n"));
	cr_expect_not(
		parse_request("traceparent: 00-" ID "-" SPAN "-01, 00-" ID "-" SPAN "-01\r\n"));
}
