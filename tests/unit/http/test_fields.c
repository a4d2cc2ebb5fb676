/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Field names, lists, tokens, numbers.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>

#include "guard.h"
#include "http_priv.h"

static struct hf_span guarded(const char *text)
{
	return (struct hf_span){ guard_at_end(text, strlen(text)), strlen(text) };
}

Test(http_fields, every_known_name_is_found_in_any_case)
{
	for (unsigned id = 1; id < HF_HTTP_FIELD_COUNT; id++) {
		struct hf_span name = hf_http_field_name((enum hf_http_field)id);
		char upper[64];

		for (size_t i = 0; i < name.len; i++)
			upper[i] = (char)toupper(name.ptr[i]);
		cr_assert_eq(hf_http_field_lookup(name), id, "%s", name.ptr);
		cr_assert_eq(hf_http_field_lookup(
				     (struct hf_span){ guard_at_end(upper, name.len), name.len }),
			id, "%s", name.ptr);
	}
	cr_assert_eq(hf_http_field_lookup(HF_SPAN("")), HF_HTTP_FIELD_OTHER);
	cr_assert_eq(hf_http_field_lookup(HF_SPAN("hosts")), HF_HTTP_FIELD_OTHER);
	cr_assert_eq(hf_http_field_lookup(HF_SPAN("hos\x14")), HF_HTTP_FIELD_OTHER);
	cr_assert_eq(hf_http_field_lookup(HF_SPAN("proxy-authentication-info-and-more")),
		HF_HTTP_FIELD_OTHER);
}

static const char *skip_uri(const char *p, const char *end)
{
	struct http_uri_has has;

	return http_skip_uri(p, end, &has);
}

/* Sixteen characters at once and one by one must agree, wherever the one stands that ends it. */
Test(http_fields, runs_of_characters_end_where_the_classes_say)
{
	static const struct {
		const char *(*skip)(const char *p, const char *end);
		unsigned class;
	} runs[] = { { http_skip_token, HTTP_TCHAR }, { skip_uri, HTTP_URI },
		{ http_skip_value, HTTP_VALUE } };
	char text[40];

	for (unsigned i = 0; i < HF_ARRAY_LEN(runs); i++) {
		for (unsigned at = 0; at < sizeof(text); at++) {
			for (unsigned c = 0; c < 256; c++) {
				const char *end = text + sizeof(text), *expect = text + at;

				memset(text, 'a', sizeof(text));
				text[at] = (char)c;
				if (http_class[c] & runs[i].class)
					expect = end;
				cr_assert_eq(runs[i].skip(text, end), expect, "%u %u %u", i, at, c);
			}
		}
	}
}

Test(http_fields, product_md_4_scrubbed_names_are_flagged)
{
	static const char *const names[] = { "Set-Cookie", "Set-Cookie2", "Authorization",
		"Proxy-Authorization", "Authentication-Info", "Proxy-Authentication-Info",
		"X-Auth-Token", "X-Api-Key", "X-CSRF-Token", "Traceparent", "Tracestate" };

	for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
		cr_assert(hf_http_field_flags(hf_http_field_lookup(guarded(names[i]))) &
				  HF_HTTP_FIELD_SCRUB,
			"%s", names[i]);
	cr_assert(!(hf_http_field_flags(HF_HTTP_FIELD_ETAG) & HF_HTTP_FIELD_SCRUB));
}

Test(http_fields, rfc9110_5_6_1_list_elements)
{
	static const struct {
		const char *list;
		const char *items[4];
	} rows[] = {
		{ "a", { "a" } },
		{ " a ,\tb,, c ", { "a", "b", "c" } },
		{ "\"a,b\", c", { "\"a,b\"", "c" } },
		{ "a=\"\\\",\",b", { "a=\"\\\",\"", "b" } },
		{ "\"open, b", { "\"open, b" } },
		{ "\"\\", { "\"\\" } },
		{ " , ,", { NULL } },
		{ "", { NULL } },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct hf_span list = guarded(rows[i].list);
		struct hf_span item;
		size_t n = 0;

		for (; hf_http_list_next(&list, &item); n++) {
			cr_assert(n < 4 && rows[i].items[n] != NULL, "row %zu", i);
			cr_assert(hf_span_eq(item, (struct hf_span){ rows[i].items[n],
							   strlen(rows[i].items[n]) }),
				"row %zu: %.*s", i, (int)item.len, item.ptr);
		}
		cr_assert(n == 4 || rows[i].items[n] == NULL, "row %zu", i);
	}
}

Test(http_fields, rfc9110_5_6_2_tokens)
{
	cr_assert(hf_http_is_token(HF_SPAN("a!#$%&'*+-.^_`|~9")));
	cr_assert(!hf_http_is_token(HF_SPAN("")));
	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;
		bool token = c > 32 && c < 127 && strchr("\"(),/:;<=>?@[\\]{}", (int)c) == NULL;

		cr_assert_eq(hf_http_is_token((struct hf_span){ &byte, 1 }), token, "%u", c);
	}
}

Test(http_fields, numbers_do_not_overflow)
{
	uint64_t v = 7;
	uint32_t s = 7;

	cr_assert_eq(hf_http_parse_u64(guarded("9223372036854775807"), &v), 0);
	cr_assert_eq(v, INT64_MAX);
	cr_assert_eq(hf_http_parse_u64(guarded("9223372036854775808"), &v), -ERANGE);
	cr_assert_eq(hf_http_parse_u64(guarded("99999999999999999999999999"), &v), -ERANGE);
	cr_assert_eq(hf_http_parse_u64(guarded("9999999999999999999999999x"), &v), -EINVAL);
	cr_assert_eq(hf_http_parse_u64(guarded(""), &v), -EINVAL);
	cr_assert_eq(hf_http_parse_u64(guarded(" 1"), &v), -EINVAL);
	cr_assert_eq(v, INT64_MAX);
	cr_assert_eq(hf_http_parse_delta(guarded("2147483647"), &s), 0);
	cr_assert_eq(s, 2147483647U);
	cr_assert_eq(hf_http_parse_delta(guarded("99999999999999999999999999"), &s), 0);
	cr_assert_eq(s, HF_HTTP_DELTA_MAX);
	cr_assert_eq(hf_http_parse_delta(guarded("-1"), &s), -EINVAL);
}

static struct hf_http_resp resp;

static void parse(const char *text)
{
	cr_assert_eq(hf_http_resp_parse(text, strlen(text), &resp), HF_PARSE_DONE);
}

Test(http_fields, rfc9110_7_6_3_via_shows_who_passed_it_on)
{
	parse("HTTP/1.1 200 OK\r\nVia: 1.0 fred, 1.1 edge-1 (a, comment)\r\nVia: HTTP/1.1 "
	      "Other\r\n\r\n");
	cr_assert(hf_http_via_has(&resp.fields, HF_SPAN("edge-1")));
	cr_assert(hf_http_via_has(&resp.fields, HF_SPAN("fred")));
	cr_assert(hf_http_via_has(&resp.fields, HF_SPAN("other")));
	cr_assert(!hf_http_via_has(&resp.fields, HF_SPAN("edge")));
	cr_assert(!hf_http_via_has(&resp.fields, HF_SPAN("1.1")));
}
