/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>

#include "conf_test.h"

#define FIELDS(list)     CONF_TEST_PORTS "cache: {scrub_fields: " list "}\n"
#define PARAMETERS(list) CONF_TEST_PORTS "cache: {secret_parameters: " list "}\n"

#define FIELDS_ALLOWED                                                                             \
	"; allowed: each once, a field name of at most 63 characters, but none of "                \
	"cache-control|content-encoding|content-type|date|etag|expires|last-modified|vary\n"
#define PARAMETERS_ALLOWED                                                                         \
	"; allowed: each once, 1 to 63 letters, digits, '.', '_', '-', and '*' at one end\n"

#define X8(text) text text text text text text text text
#define LONG63   X8("abcdefg") "1234567"

static struct hf_conf *names_of(const char *text)
{
	struct hf_conf *conf = NULL;

	cr_assert_eq(test_load(text, &conf), 0, "%s", test_errors);
	return conf;
}

Test(conf_names, they_are_kept_in_lower_case_in_their_order)
{
	struct hf_conf *conf = names_of(CONF_TEST_PORTS
		"cache:\n  scrub_fields: [X-Session-ID, \"x'^|~!#$%&*+`.\"]\n"
		"  secret_parameters:\n  - My.Key\n  - \"*_Pin\"\n  - user*\n  - " LONG63 "\n");

	cr_expect_eq(conf->cache.scrub_fields.count, 2);
	cr_expect_str_eq(conf->cache.scrub_fields.name[0], "x-session-id");
	cr_expect_str_eq(conf->cache.scrub_fields.name[1], "x'^|~!#$%&*+`.");
	cr_expect_eq(conf->cache.secret_parameters.count, 4);
	cr_expect_str_eq(conf->cache.secret_parameters.name[0], "my.key");
	cr_expect_str_eq(conf->cache.secret_parameters.name[1], "*_pin");
	cr_expect_str_eq(conf->cache.secret_parameters.name[2], "user*");
	cr_expect_str_eq(conf->cache.secret_parameters.name[3], LONG63);
	hf_conf_free(conf);
}

Test(conf_names, none_is_the_default)
{
	struct hf_conf *conf = names_of(FIELDS("[]"));

	cr_expect_eq(conf->cache.scrub_fields.count, 0);
	cr_expect_eq(conf->cache.secret_parameters.count, 0);
	hf_conf_free(conf);
}

Test(conf_names, C1_what_is_no_field_name_or_is_needed_is_told)
{
	test_refused(FIELDS("[x-a, \"x a\", X-B, x-A]"),
		"2: cache.scrub_fields[1]: found \"x a\"" FIELDS_ALLOWED
		"2: cache.scrub_fields[3]: found \"x-A\"" FIELDS_ALLOWED);
	test_refused(FIELDS("[\"\"]"), "2: cache.scrub_fields[0]: found \"\"" FIELDS_ALLOWED);
	test_refused(FIELDS("[\"a:\"]"), "2: cache.scrub_fields[0]: found \"a:\"" FIELDS_ALLOWED);
	test_refused(FIELDS("[ETag]"), "2: cache.scrub_fields[0]: found \"ETag\"" FIELDS_ALLOWED);
	test_refused(FIELDS("x-a"), "2: cache.scrub_fields: found \"x-a\"; allowed: a list\n");
	test_refused(
		FIELDS("[[x]]"), "2: cache.scrub_fields[0]: found a list; allowed: one value\n");
}

Test(conf_names, C1_what_is_no_pattern_of_a_parameter_is_told)
{
	static const char *const bad[] = { "*", "**", "*a*", "a*b", "a b", "a[]", "a=b", "a%20" };
	char text[256], reason[256];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), PARAMETERS("[ok, \"%s\"]"), bad[i]);
		(void)snprintf(reason, sizeof(reason),
			"2: cache.secret_parameters[1]: found \"%s\"" PARAMETERS_ALLOWED, bad[i]);
		test_refused(text, reason);
	}
	test_refused(PARAMETERS("[" LONG63 "8]"),
		"2: cache.secret_parameters[0]: found \"" LONG63 "8\"" PARAMETERS_ALLOWED);
}

Test(conf_names, at_most_32)
{
	char text[2048] = CONF_TEST_PORTS "cache: {secret_parameters: [";
	struct hf_conf *conf;

	for (int i = 0; i < 32; i++)
		(void)sprintf(text + strlen(text), "%sn%d", i ? ", " : "", i);
	strcat(text, "]}\n");
	conf = names_of(text);
	cr_expect_eq(conf->cache.secret_parameters.count, 32);
	hf_conf_free(conf);
	strcpy(strrchr(text, ']'), ", more]}\n");
	test_refused(text, "2: cache.secret_parameters: found 33 entries; allowed: 0 to 32\n");
}

Test(conf_names, C3_C4_print_and_merge_take_them_along)
{
	struct hf_conf *running = names_of(FIELDS("[x-a]")), *merged = NULL;
	struct hf_conf *file = names_of(
		CONF_TEST_PORTS "cache: {scrub_fields: [x-b, x-c], secret_parameters: [\"*k\"]}\n");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(hf_conf_merge(running, file, &merged), 0);
	hf_conf_free(running);
	hf_conf_free(file);
	hf_conf_print(merged, out);
	(void)fclose(out);
	cr_expect(strstr(text, "  scrub_fields: [\"x-b\", \"x-c\"]\n"));
	cr_expect(strstr(text, "  secret_parameters: [\"*k\"]\n"));
	hf_conf_free(merged);
	merged = names_of(text);
	cr_expect_str_eq(merged->cache.scrub_fields.name[1], "x-c");
	cr_expect_str_eq(merged->cache.secret_parameters.name[0], "*k");
	hf_conf_free(merged);
	free(text);
}
