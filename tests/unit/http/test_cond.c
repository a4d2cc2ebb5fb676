/* SPDX-License-Identifier: BSD-3-Clause
 *
 * If-None-Match and If-Modified-Since against what is stored.
 */
#include "cond_rig.h"

struct row {
	const char *asked, *stored;
	bool not_modified;
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		rig_have(rows[i].stored);
		rig_ask("GET", rows[i].asked);
		cr_expect_eq(hf_http_not_modified(&rig_req, &rig_stored, NOW), rows[i].not_modified,
			"%s against %s", rows[i].asked, rows[i].stored);
	}
}

#define INM(value)  "If-None-Match: " value "\r\n"
#define IMS(value)  "If-Modified-Since: " value "\r\n"
#define ETAG(value) "ETag: " value "\r\n"
#define LM(value)   "Last-Modified: " value "\r\n"
#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct row rows[] = { __VA_ARGS__ };                                  \
                                                                                                   \
		check(rows, HF_ARRAY_LEN(rows));                                                   \
	} while (0)

Test(http_cond, without_a_condition_everything_is_modified)
{
	CHECK({ "", ETAG("\"a\"") LM(DATE), false }, { "Accept: *\r\n", ETAG("\"a\""), false });
}

Test(http_cond, rfc9110_s13_1_2_none_match_compares_weakly)
{
	CHECK({ INM("\"a\""), ETAG("\"a\""), true }, { INM("W/\"a\""), ETAG("\"a\""), true },
		{ INM("\"a\""), ETAG("W/\"a\""), true }, { INM("W/\"a\""), ETAG("W/\"a\""), true },
		{ INM("\"b\""), ETAG("\"a\""), false }, { INM("\"A\""), ETAG("\"a\""), false },
		{ INM("\"a\""), "", false }, { INM("\"\""), ETAG("\"\""), true });
}

Test(http_cond, rfc9110_s13_1_2_any_of_the_list_matches_on_any_of_its_lines)
{
	CHECK({ INM("\"x\", \"a\", \"y\""), ETAG("\"a\""), true },
		{ INM("\"x\",\"a\""), ETAG("\"a\""), true },
		{ INM(",, \"x\" ,\t\"a\" ,"), ETAG("\"a\""), true },
		{ INM("\"x\"") INM("W/\"a\""), ETAG("\"a\""), true },
		{ INM("\"x\"") INM("\"y\""), ETAG("\"a\""), false },
		{ INM("\"x,\\\", \"a\""), ETAG("\"a\""), true },
		{ INM("\"x, \"a\""), ETAG("\"a\""), false },
		{ INM("\"a,b\""), ETAG("\"a,b\""), true },
		{ INM("\"a,b\""), ETAG("\"a\""), false });
}

Test(http_cond, rfc9110_s13_1_2_a_star_matches_whatever_there_is)
{
	CHECK({ INM("*"), ETAG("\"a\""), true }, { INM("*"), "", true },
		{ INM("*, \"a\""), ETAG("\"a\""), false }, { INM("\"*\""), ETAG("\"a\""), false },
		{ INM("\"*\""), ETAG("\"*\""), true }, { INM("*") INM("*"), "", false });
}

Test(http_cond, rfc9110_s8_8_3_a_malformed_list_never_matches)
{
	static const char *const rows[] = { "a", "a\"", "\"a", "w/\"a\"", "W\"a\"", "W/a",
		"W/ \"a\"", "\"a\" \"a\"", "\"a\";q=1", "\"a\", b", "b, \"a\"", "\"a\", \"b",
		"\"a\"\"a\"", "'a'", "\"a b\", \"a\"", "\"a\", W/", "" };

	rig_have(ETAG("\"a\""));
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		char lines[128];

		(void)snprintf(lines, sizeof(lines), INM("%s"), rows[i]);
		rig_ask("GET", lines);
		cr_expect(!hf_http_not_modified(&rig_req, &rig_stored, NOW), "%s", rows[i]);
	}
}

Test(http_cond, rfc9110_s8_8_3_a_malformed_etag_matches_nothing)
{
	CHECK({ INM("\"a\""), ETAG("a"), false }, { INM("\"a\""), ETAG("\"a"), false },
		{ INM("\"a\""), ETAG("\"a\" "), true }, { INM("\"a\""), ETAG("\"a\"x"), false },
		{ INM("\"a\""), ETAG("w/\"a\""), false },
		{ INM("\"a\""), ETAG("\"a\", \"b\""), false },
		{ INM("\"a\""), ETAG("\"a\"") ETAG("\"b\""), false },
		{ INM("\"\xc3\xa4\""), ETAG("\"\xc3\xa4\""), true });
}

Test(http_cond, rfc9110_s13_1_3_modified_since_is_ignored_beside_none_match)
{
	CHECK({ INM("\"b\"") IMS(DATE), ETAG("\"a\"") LM(DATE), false },
		{ INM("junk") IMS(DATE), ETAG("\"a\"") LM(DATE), false },
		{ INM("\"a\"") IMS(EARLIER), ETAG("\"a\"") LM(DATE), true });
}

Test(http_cond, rfc9110_s13_1_3_not_modified_when_the_change_is_not_later)
{
	CHECK({ IMS(DATE), LM(DATE), true }, { IMS(LATER), LM(DATE), true },
		{ IMS(EARLIER), LM(DATE), false }, { IMS(DATE_850), LM(DATE), true },
		{ IMS(DATE_ASC), LM(DATE), true }, { IMS(DATE), LM(DATE_850), true });
}

Test(http_cond, rfc9110_s13_1_3_what_is_not_one_date_is_ignored)
{
	CHECK({ IMS("0"), LM(DATE), false }, { IMS(""), LM(DATE), false },
		{ IMS(DATE ", " DATE), LM(DATE), false }, { IMS(DATE) IMS(DATE), LM(DATE), false },
		{ IMS("\"" DATE "\""), LM(DATE), false },
		{ IMS("Sun, 06 Nov 1994 08:49:37 CET"), LM(DATE), false });
}

Test(http_cond, rfc9111_s4_3_2_without_last_modified_the_date_counts)
{
	CHECK({ IMS(DATE), "Date: " DATE "\r\n", true },
		{ IMS(EARLIER), "Date: " DATE "\r\n", false }, { IMS(DATE), "", false },
		/* what is there but no date says nothing: the Date does not stand for it */
		{ IMS(LATER), LM("yesterday") "Date: " DATE "\r\n", false },
		{ IMS(LATER), LM(DATE) LM(DATE), false },
		{ IMS(EARLIER), LM(EARLIER) "Date: " DATE "\r\n", true });
}

Test(http_cond, rfc9111_s4_3_2_if_match_and_if_unmodified_since_are_not_a_caches)
{
	CHECK({ "If-Match: \"b\"\r\n", ETAG("\"a\""), false },
		{ "If-Unmodified-Since: " EARLIER "\r\n", LM(DATE), false },
		{ "If-Match: \"b\"\r\n" INM("\"a\""), ETAG("\"a\""), true });
}

Test(http_cond, rfc9110_s13_1_only_get_and_head_are_answered_by_304)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "FROB" };

	rig_have(ETAG("\"a\"") LM(DATE));
	rig_ask("HEAD", INM("\"a\""));
	cr_expect(hf_http_not_modified(&rig_req, &rig_stored, NOW));
	rig_ask("HEAD", IMS(DATE));
	cr_expect(hf_http_not_modified(&rig_req, &rig_stored, NOW));
	for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
		rig_ask(methods[i], INM("\"a\""));
		cr_expect(!hf_http_not_modified(&rig_req, &rig_stored, NOW), "%s", methods[i]);
	}
}

Test(http_cond, a_stored_head_is_parsed_without_its_empty_line)
{
	static const char *const bad[] = { "", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nA: b",
		"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA b\r\n" };
	struct hf_http_fields fields;
	char many[4096] = "HTTP/1.1 200 OK\r\n";

	rig_have("A: b\r\nETag: \"x\"\r\n");
	cr_assert_eq(rig_stored.count, 2);
	cr_assert(hf_http_fields_have(&rig_stored, HF_HTTP_FIELD_ETAG));
	rig_have("");
	cr_assert_eq(rig_stored.count, 0);
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		cr_expect(!hf_http_stored_parse(
				  (struct hf_span){
					  guard_at_end(bad[i], strlen(bad[i])), strlen(bad[i]) },
				  &fields),
			"%s", bad[i]);
	for (int i = 0; i < HF_HTTP_LINES_MAX; i++)
		strcat(many, "A: b\r\n");
	cr_assert(hf_http_stored_parse((struct hf_span){ many, strlen(many) }, &fields));
	strcat(many, "A: b\r\n");
	cr_assert(!hf_http_stored_parse((struct hf_span){ many, strlen(many) }, &fields));
}
