/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cache-Control and CDN-Cache-Control.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "guard.h"

static struct hf_http_cc cc;

static void parse(const char *text)
{
	hf_http_cc_init(&cc);
	hf_http_cc_parse(&cc, (struct hf_span){ guard_at_end(text, strlen(text)), strlen(text) });
}

Test(http_cc, rfc9111_5_2_every_directive)
{
	parse("no-store, no-cache, private, public, must-revalidate, proxy-revalidate, "
	      "must-understand,"
	      "immutable, no-transform, only-if-cached, max-age=1, s-maxage=2, min-fresh=3, "
	      "max-stale=4,"
	      "stale-while-revalidate=5, stale-if-error=6, unknown, other=\"x, no-cache\"");
	cr_assert(cc.no_store && cc.no_cache && cc.is_private && cc.is_public);
	cr_assert(cc.must_revalidate && cc.proxy_revalidate && cc.must_understand);
	cr_assert(cc.immutable && cc.no_transform && cc.only_if_cached);
	cr_assert(cc.has_max_age && cc.max_age_s == 1);
	cr_assert(cc.has_s_maxage && cc.s_maxage_s == 2);
	cr_assert(cc.has_min_fresh && cc.min_fresh_s == 3);
	cr_assert(cc.has_max_stale && cc.max_stale_s == 4);
	cr_assert(cc.has_stale_while_revalidate && cc.stale_while_revalidate_s == 5);
	cr_assert(cc.has_stale_if_error && cc.stale_if_error_s == 6);
}

Test(http_cc, names_have_no_case_and_spacing_may_be_odd)
{
	parse("\tMAX-AGE=7 ,,No-Cache\t,");
	cr_assert(cc.has_max_age && cc.max_age_s == 7 && cc.no_cache);
	parse("no-store =, private = x");
	cr_assert(cc.no_store && cc.is_private);
	parse("");
	cr_assert(!cc.present);
	parse("xno-store, no-stor");
	cr_assert(!cc.no_store && cc.present);
}

Test(http_cc, rfc9111_5_2_arguments_may_be_quoted)
{
	parse("max-age=\"10\"");
	cr_assert_eq(cc.max_age_s, 10);
	parse("max-age=\"0000000000000000000000000000010\"");
	cr_assert_eq(cc.max_age_s, 10);
	parse("private=\"a, no-store\"");
	cr_assert(!cc.no_store, "inside quotes");
}

Test(http_cc, rfc9111_1_2_2_large_numbers_are_2_to_31)
{
	parse("max-age=99999999999999999999999, s-maxage=2147483648");
	cr_assert_eq(cc.max_age_s, HF_HTTP_DELTA_MAX);
	cr_assert_eq(cc.s_maxage_s, HF_HTTP_DELTA_MAX);
}

Test(http_cc, rfc9111_4_2_1_invalid_numbers_are_stale)
{
	static const char *const rows[] = { "max-age", "max-age=", "max-age=-1", "max-age=1.5",
		"max-age=x", "max-age=\"1", "max-age=1 2", "max-age=0x10", "max-age =1",
		"max-age= 1", "max-age=1;x", "max-age=\"\"", "max-age=\"\"1\"\"",
		"max-age=\"1\\0\"" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		parse(rows[i]);
		cr_assert(cc.has_max_age && cc.max_age_s == 0, "%s", rows[i]);
	}
	parse("min-fresh=x");
	cr_assert_eq(cc.min_fresh_s, HF_HTTP_DELTA_MAX);
	parse("max-stale=x");
	cr_assert_eq(cc.max_stale_s, 0);
}

static struct hf_http_resp resp;

/* A response with these lines. */
static void answer(const char *lines)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n\r\n", lines);

	cr_assert_eq(hf_http_resp_parse(guard_at_end(text, (size_t)len), (size_t)len, &resp),
		HF_PARSE_DONE);
}

static bool leaves_out(const char *control, const char *name)
{
	char lines[256];

	snprintf(lines, sizeof(lines), "Cache-Control: %s", control);
	answer(lines);
	hf_http_cc_from_fields(&resp.fields, &cc);
	return hf_http_cc_leaves_out(&resp.fields, (struct hf_span){ name, strlen(name) });
}

Test(http_cc, rfc9111_5_2_2_7_fields_that_are_named_may_be_left_out)
{
	static const char *const rows[] = { "private=\"x-a\"", "private=\"Y, X-A\"", "private=x-a",
		"foo=\"a\", private=\" , x-a ,\"", "private=\"Set-Cookie, x-a\"",
		"private=y\r\nCache-Control: private=x-a" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		cr_assert(leaves_out(rows[i], "X-A"), "%s", rows[i]);
		cr_assert(cc.private_fields && !cc.is_private && !cc.no_cache, "%s", rows[i]);
		cr_assert(!leaves_out(rows[i], "X-B"), "%s", rows[i]);
	}
	cr_assert(leaves_out("no-cache=\"x-a\"", "X-A"));
	cr_assert(cc.no_cache_fields && !cc.no_cache && !cc.is_private);
}

Test(http_cc, rfc9111_5_2_2_4_what_cannot_be_left_out_counts_as_no_argument)
{
	static const char *const rows[] = { "private", "private=", "private=\"\"", "private=\",\"",
		"private=\"x-a", "private=\"x-a, y z\"", "private=\"x-a, etag\"",
		"private=\"content-type, x-a\"", "private=\"x\\-a\"", "private =x-a",
		"private= x-a", "private=\"x-a\", private" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		(void)leaves_out(rows[i], "X-A");
		cr_assert(cc.is_private, "%s", rows[i]);
	}
	cr_assert(!leaves_out("private=\"x-a, etag\"", "X-A"));
	cr_assert(!leaves_out("foo=\"private=x-a\"", "X-A"));
}

Test(http_cc, rfc9110_5_6_4_a_string_that_nobody_closes_may_have_swallowed_no_store)
{
	static const char *const open[] = { "foo=\"", "max-age=9, foo=\"bar, no-store",
		"foo=\"a\", b=\"c\\\"", "a\"b" };

	for (size_t i = 0; i < HF_ARRAY_LEN(open); i++) {
		parse(open[i]);
		cr_assert(cc.no_store, "%s", open[i]);
	}
	parse("foo=\"a\\\", no-store\", max-age=9");
	cr_assert(!cc.no_store && cc.max_age_s == 9);
}

Test(http_cc, rfc9111_4_2_1_of_repeated_directives_the_most_restrictive_counts)
{
	parse("max-age=10, max-age=5, max-age=20, min-fresh=1, min-fresh=3, min-fresh=2");
	cr_assert_eq(cc.max_age_s, 5);
	cr_assert_eq(cc.min_fresh_s, 3);
}

Test(http_cc, rfc9111_5_2_1_2_max_stale_without_a_number_is_any)
{
	parse("max-stale");
	cr_assert(cc.has_max_stale && cc.max_stale_s == HF_HTTP_DELTA_MAX);
	parse("max-stale, max-stale=5");
	cr_assert_eq(cc.max_stale_s, 5);
}

static bool cdn(const char *value)
{
	char lines[512];

	snprintf(lines, sizeof(lines), "CDN-Cache-Control:%s\r\nCache-Control: no-store", value);
	answer(lines);
	hf_http_cc_init(&cc);
	return hf_http_cc_from_cdn(&resp.fields, &cc);
}

Test(http_cc, several_lines_add_up)
{
	answer("Cache-Control: public\r\nCache-Control: max-age=3");
	hf_http_cc_from_fields(&resp.fields, &cc);
	cr_assert(cc.is_public && cc.max_age_s == 3);
	cr_assert(!hf_http_cc_from_cdn(&resp.fields, &cc));
}

Test(http_cc, rfc9213_2_1_a_targeted_field_is_a_structured_dictionary)
{
	cr_assert(cdn("max-age=60, must-revalidate"));
	cr_assert(cc.max_age_s == 60 && cc.must_revalidate && !cc.no_store);
	cr_assert(cdn("max-age=60;x=y;z , private=?0"));
	cr_assert(cc.max_age_s == 60 && !cc.is_private);
	cr_assert(cdn("max-age=1, max-age=60"), "the last of equal keys counts");
	cr_assert_eq(cc.max_age_s, 60);
	cr_assert(cdn("max-age=60\r\nCDN-Cache-Control: no-store"));
	cr_assert(cc.max_age_s == 60 && cc.no_store);
	cr_assert(cdn("a=(1 \"x\";y tok), b=:YWJj:, c=1.5, d=?1, *e=t/x:y, max-age=5"));
	cr_assert_eq(cc.max_age_s, 5);
	cr_assert(cdn("max-age=\"60\", s-maxage=1.5"), "wrong types are ignored one by one");
	cr_assert(!cc.has_max_age && !cc.has_s_maxage);
	cr_assert(cdn("max-age=60, max-age=x"), "the last one, though it is no number");
	cr_assert(!cc.has_max_age);
	cr_assert(cdn("max-age=-1"));
	cr_assert(cc.has_max_age && cc.max_age_s == 0);
	cr_assert(cdn("no-store=\"x\""));
	cr_assert(cc.no_store);
}

Test(http_cc, rfc9213_2_1_a_malformed_or_empty_targeted_field_is_ignored)
{
	static const char *const rows[] = { "", " ", "max-age=60,", ",max-age=60", "Max-Age=60",
		"max-age=", "max-age =60", "max-age=60 private", "a=\"x", "a=(1", "a=(1\"x\")",
		"a=?2", "a=:YW*:", "a=1.", "a=1.2345", "a=1234567890123456", "a=1234567890123.5",
		"max-age=60\r\nCDN-Cache-Control:", "a=-", "a;=1", "a=\"\\x\"", "a=\xc3" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		cr_assert(!cdn(rows[i]), "row %zu: %s", i, rows[i]);
}
