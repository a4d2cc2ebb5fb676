/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state_overlay.h"

#include "state_test.h"

static struct hf_state_registration got;

static int parse_as(const char *group, const char *id, const char *text)
{
	size_t len;
	FILE *errors;
	int rc;

	free(test_reasons);
	errors = open_memstream(&test_reasons, &len);
	rc = hf_state_registration_parse(
		group, id, (struct hf_span){ text, strlen(text) }, errors, &got);
	(void)fclose(errors);
	return rc;
}

static int parse(const char *text)
{
	return parse_as("g", "r1", text);
}

Test(state_registration, url_weight_and_ttl_of_which_only_the_url_must_be_there)
{
	cr_assert_eq(parse("{\"url\":\"http://r:1/\",\"weight\":100,\"ttl\":86400}"), 0);
	cr_expect_str_eq(got.url, "http://r:1");
	cr_expect_eq(got.weight, 100);
	cr_expect_eq(got.ttl_s, 86400);
	cr_assert_eq(parse(" {\"url\":\"https://[::1]\"}\n"), 0, "%s", test_reasons);
	cr_expect_str_eq(got.url, "https://[::1]");
	cr_expect_eq(got.weight, 1);
	cr_expect_eq(got.ttl_s, HF_STATE_TTL_DEFAULT_S);
	cr_expect_str_empty(test_reasons);
}

Test(state_registration, whatever_else_it_says_is_refused_with_place_found_and_allowed)
{
#define JSON_ALLOWED "; allowed: JSON (RFC 8259) without duplicate keys\n"
#define KEYS_ALLOWED "; allowed: url, weight and ttl, and no other key\n"
#define URL_ALLOWED  "; allowed: http://HOST[:PORT] or https://HOST[:PORT], without user or path\n"
#define WORD_ALLOWED "; allowed: 1 to 1024 characters of ASCII without spaces\n"
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{ "", "'[' or '{' expected near end of file in line 1, column 0" JSON_ALLOWED },
		{ "{\"url\":\"http://r\"", "line 1, column 17" JSON_ALLOWED },
		{ "{\"url\":\"http://r\"}}", "line 1, column 19" JSON_ALLOWED },
		{ "{\"url\":\"http://r\",\"url\":\"http://r\"}", "duplicate object key" },
		{ "{\"url\":\"http://r\\u0000\"}", "$: found" },
		{ "{\"url\":\"http://r\xff\"}", "$: found" },
		{ "[[[[[[[[[[[[[[[[[",
			"$: found deeper nesting; allowed: a depth of at most 16\n" },
		{ "[]", "$: found an array; allowed: an object with url, weight and ttl\n" },
		{ "{}", "$.url: found nothing" WORD_ALLOWED },
		{ "{\"url\":null}", "$.url: found null" WORD_ALLOWED },
		{ "{\"url\":[\"http://r\"]}", "$.url: found an array" WORD_ALLOWED },
		{ "{\"url\":\"http://u:p@r\"}", "$.url: found \"http://u:p@r\"" URL_ALLOWED },
		{ "{\"url\":\"http://r/path\"}", "$.url: found \"http://r/path\"" URL_ALLOWED },
		{ "{\"url\":\"http://r:0\"}", "$.url: found \"http://r:0\"" URL_ALLOWED },
		{ "{\"url\":\"http://r\",\"weight\":0}", "$.weight: found 0; allowed: 1 to 100\n" },
		{ "{\"url\":\"http://r\",\"weight\":\"1\"}",
			"$.weight: found \"1\"; allowed: 1 to 100\n" },
		{ "{\"url\":\"http://r\",\"weight\":null}",
			"$.weight: found null; allowed: 1 to 100\n" },
		{ "{\"url\":\"http://r\",\"ttl\":0}",
			"$.ttl: found 0; allowed: 1 to 86400 seconds\n" },
		{ "{\"url\":\"http://r\",\"ttl\":86401}",
			"$.ttl: found 86401; allowed: 1 to 86400 seconds\n" },
		{ "{\"url\":\"http://r\",\"ttl\":30.5}",
			"$.ttl: found 30.5; allowed: 1 to 86400 seconds\n" },
		{ "{\"url\":\"http://r\",\"ttl\":99999999999999999999}", "$: found" },
		{ "{\"url\":\"http://r\",\"tll\":30}", "$: found \"tll\"" KEYS_ALLOWED },
		{ "{\"url\":\"http://r\",\"id\":\"r1\"}", "$: found \"id\"" KEYS_ALLOWED },
		{ "{\"url\":\"http://r\",\"\\n\\u007f\":1}", "$: found \"\?\?\"" KEYS_ALLOWED },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_eq(parse(bad[i].text), -EINVAL, "taken: %s", bad[i].text);
		cr_expect(strstr(test_reasons, bad[i].reason), "%s: %s", bad[i].text, test_reasons);
	}
	cr_expect_eq(parse("{\"weight\":true,\"ttl\":{},\"x\":1}"), -EINVAL);
	cr_expect_str_eq(test_reasons,
		"$: found \"x\"" KEYS_ALLOWED "$.url: found nothing" WORD_ALLOWED
		"$.weight: found true; allowed: 1 to 100\n"
		"$.ttl: found an object; allowed: 1 to 86400 seconds\n",
		"every reason: %s", test_reasons);
}

Test(state_registration, group_and_id_are_words_as_in_a_document)
{
	static const char good[] = "{\"url\":\"http://r\"}";

	cr_expect_eq(parse_as("a/b", "x%", good), 0);
	cr_expect_eq(parse_as("a b", "", good), -EINVAL);
	cr_expect_str_eq(test_reasons,
		"$.group: found \"a b\"" WORD_ALLOWED "$.id: found \"\"" WORD_ALLOWED);
}
