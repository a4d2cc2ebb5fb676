/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Range and If-Range against a body of known length.
 */
#include "cond_rig.h"

#include <stdlib.h>

static struct hf_http_range got[HF_HTTP_RANGES_MAX];
static uint32_t got_count;

/* "200", "416", or "0-9,20-29": what Content-Range would say. */
static const char *answer(const char *lines, uint64_t length)
{
	static char text[512];
	size_t used = 0;

	rig_ask("GET", lines);
	switch (hf_http_ranges_of(&rig_req, &rig_stored, length, NOW, got, &got_count)) {
	case HF_HTTP_RANGES_WHOLE:
		return "200";
	case HF_HTTP_RANGES_NONE:
		return "416";
	case HF_HTTP_RANGES_SOME:
		break;
	}
	cr_assert_gt(got_count, 0);
	for (uint32_t i = 0; i < got_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%lu-%lu",
			i > 0 ? "," : "", (unsigned long)got[i].begin,
			(unsigned long)got[i].end - 1);
	return text;
}

static const char *range(const char *value, uint64_t length)
{
	static char lines[32768];

	(void)snprintf(lines, sizeof(lines), "Range: %s\r\n", value);
	return answer(lines, length);
}

struct row {
	const char *value;
	uint64_t length;
	const char *want;
};

static void check(const struct row *rows, size_t count)
{
	rig_have("");
	for (size_t i = 0; i < count; i++)
		cr_expect_str_eq(range(rows[i].value, rows[i].length), rows[i].want,
			"%s of %lu is %s", rows[i].value, (unsigned long)rows[i].length,
			range(rows[i].value, rows[i].length));
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct row rows[] = { __VA_ARGS__ };                                  \
                                                                                                   \
		check(rows, HF_ARRAY_LEN(rows));                                                   \
	} while (0)

Test(http_range, rfc9110_s14_1_2_first_and_last)
{
	CHECK({ "bytes=0-499", 10000, "0-499" }, { "bytes=500-999", 10000, "500-999" },
		{ "bytes=0-0", 10000, "0-0" }, { "bytes=9999-9999", 10000, "9999-9999" },
		{ "bytes=9500-", 10000, "9500-9999" }, { "bytes=0-", 10000, "0-9999" },
		{ "bytes=0000-0000000009", 10000, "0-9" });
}

Test(http_range, rfc9110_s14_1_2_a_last_behind_the_end_is_the_end)
{
	CHECK({ "bytes=9990-10000", 10000, "9990-9999" }, { "bytes=0-10000", 10000, "0-9999" },
		{ "bytes=0-9223372036854775806", 10, "0-9" },
		{ "bytes=0-9223372036854775807", 10, "0-9" },
		{ "bytes=0-18446744073709551615", 10, "0-9" },
		{ "bytes=0-18446744073709551616", 10, "0-9" },
		{ "bytes=5-99999999999999999999999999999999", 10, "5-9" });
}

Test(http_range, rfc9110_s14_1_2_a_suffix_is_the_last_bytes)
{
	CHECK({ "bytes=-500", 10000, "9500-9999" }, { "bytes=-1", 10000, "9999-9999" },
		{ "bytes=-10000", 10000, "0-9999" }, { "bytes=-10001", 10000, "0-9999" },
		{ "bytes=-99999999999999999999999999", 10000, "0-9999" },
		{ "bytes=-1", 9223372036854775807, "9223372036854775806-9223372036854775806" });
}

Test(http_range, rfc9110_s14_1_2_what_begins_behind_the_end_is_not_satisfiable)
{
	CHECK({ "bytes=10000-", 10000, "416" }, { "bytes=10000-10001", 10000, "416" },
		{ "bytes=-0", 10000, "416" }, { "bytes=-00", 10000, "416" },
		{ "bytes=99999999999999999999-", 10000, "416" },
		{ "bytes=18446744073709551616-18446744073709551617", 10000, "416" },
		{ "bytes=10000-,-0,20000-20001", 10000, "416" });
}

Test(http_range, rfc9110_s14_1_2_one_satisfiable_range_is_enough)
{
	CHECK({ "bytes=10000-, 0-0", 10000, "0-0" }, { "bytes=-0,-1", 10000, "9999-9999" },
		{ "bytes=500-600,20000-", 10000, "500-600" });
}

Test(http_range, rfc9110_s14_1_2_of_an_empty_body_nothing_but_a_suffix_is_satisfiable)
{
	/* and no Content-Range could say that one */
	CHECK({ "bytes=0-", 0, "416" }, { "bytes=0-0", 0, "416" }, { "bytes=-0", 0, "416" },
		{ "bytes=-5", 0, "200" }, { "bytes=0-,-5", 0, "200" });
}

Test(http_range, rfc9110_s14_2_an_invalid_specifier_is_ignored)
{
	CHECK({ "bytes=5-2", 10000, "200" }, { "bytes=5-4", 10000, "200" },
		{ "bytes=5-5", 10000, "5-5" }, { "bytes=", 10000, "200" },
		{ "bytes=,", 10000, "200" }, { "bytes=-", 10000, "200" },
		{ "bytes=a-b", 10000, "200" }, { "bytes=1", 10000, "200" },
		{ "bytes=1--2", 10000, "200" }, { "bytes=--1", 10000, "200" },
		{ "bytes=1-2-3", 10000, "200" }, { "bytes=+1-2", 10000, "200" },
		{ "bytes=0x1-0x2", 10000, "200" }, { "bytes=1.0-2", 10000, "200" },
		{ "bytes=0-1,5-2", 10000, "200" }, { "bytes=0-1;2-3", 10000, "200" },
		{ "bytes=0-1,x", 10000, "200" }, { "bytes=\"0-1\"", 10000, "200" },
		{ "0-1", 10000, "200" }, { "", 10000, "200" }, { "bytes", 10000, "200" },
		{ "=0-1", 10000, "200" }, { "bytes:0-1", 10000, "200" });
}

Test(http_range, rfc9110_s14_1_1_white_space_stands_only_around_commas)
{
	CHECK({ "bytes=0-1 , 200-201", 10000, "0-1,200-201" },
		{ "bytes=0-1\t,\t200-201", 10000, "0-1,200-201" },
		{ "bytes=,,0-1,,200-201,,", 10000, "0-1,200-201" },
		{ "bytes=0-1   ", 10000, "0-1" }, { "bytes = 0-1", 10000, "200" },
		{ "bytes =0-1", 10000, "200" }, { "bytes= 0-1", 10000, "200" },
		{ "bytes=0 -1", 10000, "200" }, { "bytes=0- 1", 10000, "200" },
		{ "bytes=- 1", 10000, "200" });
}

Test(http_range, rfc9110_s14_1_units_are_case_insensitive_and_others_are_ignored)
{
	CHECK({ "Bytes=0-1", 10000, "0-1" }, { "BYTES=0-1", 10000, "0-1" },
		{ "items=0-1", 10000, "200" }, { "none=0-1", 10000, "200" },
		{ "byte=0-1", 10000, "200" }, { "bytess=0-1", 10000, "200" },
		{ "seconds=1-2,bytes=0-1", 10000, "200" });
}

Test(http_range, rfc9110_s15_3_7_2_parts_come_in_the_order_of_the_request)
{
	CHECK({ "bytes=5000-5009,0-9,900-909", 10000, "5000-5009,0-9,900-909" },
		{ "bytes=-10,0-9", 10000, "9990-9999,0-9" });
}

Test(http_range, rfc9110_s15_3_7_2_what_overlaps_or_nearly_touches_is_one)
{
	CHECK({ "bytes=0-9,5-14", 10000, "0-14" }, { "bytes=0-9,10-19", 10000, "0-19" },
		{ "bytes=0-9,89-99", 10000, "0-99" }, { "bytes=0-9,90-99", 10000, "0-9,90-99" },
		{ "bytes=89-99,0-9", 10000, "0-99" }, { "bytes=90-99,0-9", 10000, "90-99,0-9" },
		{ "bytes=0-0,0-0,0-0", 10000, "0-0" }, { "bytes=10-20,0-", 10000, "0-9999" },
		{ "bytes=0-9,1000-1009,500-509,100-930", 10000, "0-9,100-1009" },
		{ "bytes=3000-3009,0-9,5000-5009,0-4999", 10000, "0-5009" },
		{ "bytes=0-9,500-509,1000-1009,400-600", 10000, "0-9,400-600,1000-1009" });
}

Test(http_range, rfc9110_s17_15_many_ranges_are_not_borne)
{
	char value[32768] = "bytes=0-0";
	size_t used = strlen(value);

	rig_have("");
	for (unsigned i = 1; i < HF_HTTP_RANGES_MAX; i++)
		used += (size_t)snprintf(
			value + used, sizeof(value) - used, ",%u-%u", i * 100, i * 100);
	(void)range(value, 10000);
	cr_assert_eq(got_count, HF_HTTP_RANGES_MAX);
	(void)snprintf(value + used, sizeof(value) - used, ",%u-", HF_HTTP_RANGES_MAX * 100);
	cr_assert_str_eq(range(value, 10000), "200");
	/* however many overlap, they are one */
	used = (size_t)snprintf(value, sizeof(value), "bytes=0-");
	for (unsigned i = 0; i < 5000; i++)
		used += (size_t)snprintf(value + used, sizeof(value) - used, ",%u-", i % 10);
	cr_assert_str_eq(range(value, 10000), "0-9999");
}

Test(http_range, rfc9110_s14_2_only_get_has_ranges)
{
	static const char *const methods[] = { "HEAD", "POST", "PUT", "OPTIONS", "FROB" };

	rig_have("");
	for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
		rig_ask(methods[i], "Range: bytes=0-1\r\n");
		cr_expect_eq(hf_http_ranges_of(&rig_req, &rig_stored, 100, NOW, got, &got_count),
			HF_HTTP_RANGES_WHOLE, "%s", methods[i]);
	}
	cr_assert_str_eq(answer("", 100), "200");
	cr_assert_str_eq(answer("Range: bytes=0-1\r\nRange: bytes=0-1\r\n", 100), "200");
}

struct if_row {
	const char *if_range, *stored;
	bool partial;
};

static void check_if(const struct if_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char lines[512];

		(void)snprintf(lines, sizeof(lines), "Range: bytes=0-1\r\n%s", rows[i].if_range);
		rig_have(rows[i].stored);
		cr_expect_str_eq(answer(lines, 100), rows[i].partial ? "0-1" : "200",
			"%s against %s", rows[i].if_range, rows[i].stored);
	}
}

#define CHECK_IF(...)                                                                              \
	do {                                                                                       \
		static const struct if_row rows[] = { __VA_ARGS__ };                               \
                                                                                                   \
		check_if(rows, HF_ARRAY_LEN(rows));                                                \
	} while (0)
#define IF(value)   "If-Range: " value "\r\n"
#define ETAG(value) "ETag: " value "\r\n"
#define DATES(date) "Last-Modified: " DATE "\r\nDate: " date "\r\n"

Test(http_range, rfc9110_s13_1_5_if_range_compares_tags_strongly)
{
	CHECK_IF({ IF("\"a\""), ETAG("\"a\""), true }, { IF("\"b\""), ETAG("\"a\""), false },
		{ IF("W/\"a\""), ETAG("W/\"a\""), false }, { IF("W/\"a\""), ETAG("\"a\""), false },
		{ IF("\"a\""), ETAG("W/\"a\""), false }, { IF("\"a\""), "", false },
		{ IF("\"a\""), DATES(LATER), false }, { IF("\"a\", \"b\""), ETAG("\"a\""), false },
		{ IF("*"), ETAG("\"a\""), false }, { IF("a"), ETAG("\"a\""), false },
		{ IF(""), ETAG("\"a\""), false }, { IF("\"a\"") IF("\"a\""), ETAG("\"a\""), false },
		{ IF("\"a\""), ETAG("\"a\"") ETAG("\"a\""), false });
}

Test(http_range, rfc9110_s13_1_5_a_date_is_exactly_last_modified)
{
	CHECK_IF({ IF(DATE), DATES(LATER), true }, { IF(DATE_850), DATES(LATER), true },
		{ IF(EARLIER), DATES(LATER), false }, { IF(LATER), DATES(LATER), false },
		{ IF(DATE), ETAG("\"a\""), false }, { IF(DATE), "Date: " DATE "\r\n", false });
}

Test(http_range, rfc9110_s8_8_2_2_a_date_is_strong_a_second_after_the_change)
{
	CHECK_IF({ IF(DATE), DATES(LATER), true }, { IF(DATE), DATES(DATE), false },
		{ IF(DATE), DATES(EARLIER), false },
		{ IF(DATE), "Last-Modified: " DATE "\r\n", false },
		{ IF(DATE), DATES("yesterday"), false });
}

Test(http_range, rfc9110_s14_2_ranges_are_all_that_counts_without_if_range)
{
	/* preconditions are judged before, by hf_http_not_modified */
	rig_have(ETAG("\"a\"") DATES(LATER));
	cr_assert_str_eq(answer("Range: bytes=0-1\r\nIf-None-Match: \"b\"\r\n", 100), "0-1");
	cr_assert_str_eq(answer("If-Range: \"a\"\r\n", 100), "200");
}

/* "10-19/20", or "" */
static const char *part(const char *value)
{
	static char lines[256], text[128];
	struct hf_http_range range;
	uint64_t length;

	(void)snprintf(lines, sizeof(lines), "Content-Range: %s\r\n", value);
	rig_have(lines);
	if (!hf_http_content_range(&rig_stored, &range, &length))
		return "";
	(void)snprintf(text, sizeof(text), "%lu-%lu/%lu", (unsigned long)range.begin,
		(unsigned long)range.end - 1, (unsigned long)length);
	return text;
}

Test(http_range, rfc9110_s14_4_content_range_says_first_last_and_length)
{
	cr_assert_str_eq(part("bytes 0-0/1"), "0-0/1");
	cr_assert_str_eq(part("bytes 10-19/20"), "10-19/20");
	cr_assert_str_eq(part("Bytes 10-18/20"), "10-18/20");
	cr_assert_str_eq(part("bytes 0-9223372036854775806/9223372036854775807"),
		"0-9223372036854775806/9223372036854775807");
}

Test(http_range, rfc9110_s14_4_any_other_content_range_says_nothing)
{
	static const char *const bad[] = { "", "bytes", "bytes ", "bytes */20", "bytes 10-19/*",
		"bytes 19-10/20", "bytes 10-20/20", "bytes 10-19/19", "bytes 0-0/0", "bytes 10-/20",
		"bytes -19/20", "bytes 10/20", "bytes 10-19", "bytes 10-19/", "bytes=10-19/20",
		"bytes  10-19/20", "bytes 10 -19/20", "bytes 10- 19/20", "bytes 10-19 /20",
		"bytes 10-19/ 20", "bytes 10-19/20, bytes 0-1/20", "bytes 10-19/20;a",
		"bytes +1-2/3", "bytes 0x1-2/3", "bytes 1-2-3/4", "bytes 1-2/3/4",
		"octets 10-19/20", "10-19/20", "bytes 0-9223372036854775807/9223372036854775808",
		"bytes 18446744073709551626-19/20", "bytes 10-18446744073709551635/20",
		"bytes 10-19/18446744073709551636" };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		cr_expect_str_eq(part(bad[i]), "", "%s", bad[i]);
	cr_assert_str_eq(part("bytes 10-19/20\r\nContent-Range: bytes 10-19/20"), "");
}

Test(http_range, rfc9110_s8_8_3_a_strong_etag_is_one_and_well_formed)
{
	static const char *const bad[] = { "", "ETag: W/\"a\"\r\n", "ETag: a\r\n", "ETag: \"a\r\n",
		"ETag: \"a\" \"b\"\r\n", "ETag: \"a\"\r\nETag: \"a\"\r\n", "ETag: \"a b\"\r\n" };

	rig_have("ETag: \"a,b\"\r\n");
	cr_assert(hf_span_eq(hf_http_strong_etag(&rig_stored), HF_SPAN("\"a,b\"")));
	rig_have("ETag: \"\"\r\n");
	cr_assert(hf_span_eq(hf_http_strong_etag(&rig_stored), HF_SPAN("\"\"")));
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		rig_have(bad[i]);
		cr_expect_eq(hf_http_strong_etag(&rig_stored).len, 0, "%s", bad[i]);
	}
}
