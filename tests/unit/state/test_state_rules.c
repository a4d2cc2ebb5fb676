/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include "state_test.h"

#define DOC(policies, routes, purges)                                                              \
	"{\"schema\":1,\"version\":\"v\",\"origins\":[" STATE_TEST_ORIGIN                          \
	"],\"policies\":[" policies "],\"routes\":[" routes "],\"purges\":[" purges "]}"
#define ROUTE(policy)                                                                              \
	"{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\",\"policy\":" policy "}"

#define ID_ALLOWED     "; allowed: 1 to 127 characters of ASCII without spaces\n"
#define URL_ALLOWED    "; allowed: http://HOST[:PORT][/PATH], at most 8192 bytes\n"
#define PREFIX_ALLOWED "; allowed: http://HOST[:PORT][/PATH] or /PATH, at most 8192 bytes\n"
#define TAG_ALLOWED    "; allowed: 1 to 1024 bytes without control characters or a blank at an end\n"
#define ONE_ALLOWED    "; allowed: one of url, prefix, tag and all\n"

Test(state_rules, a_route_has_the_policy_that_it_names)
{
	struct hf_state *state = NULL;
	const struct hf_state_policy *policy;

	cr_assert_eq(test_parse(DOC("{\"id\":\"a\"},{\"id\":\"b\",\"default_ttl\":60,"
				    "\"negative_ttl\":0,\"stale_while_revalidate\":1,"
				    "\"stale_if_error\":31536000,\"max_object\":1024}",
					ROUTE("\"b\""), ""),
			     &state),
		0, "%s", test_reasons);
	cr_assert_eq(state->policy_count, 2);
	policy = state->route[0].policy;
	cr_assert_eq(policy, &state->policy[1]);
	cr_expect_eq(policy->default_ttl_s, 60);
	cr_expect_eq(policy->negative_ttl_s, 0);
	cr_expect_eq(policy->stale_while_revalidate_s, 1);
	cr_expect_eq(policy->stale_if_error_s, 31536000);
	cr_expect_eq(policy->max_object, 1024);
	policy = &state->policy[0];
	cr_expect_eq(policy->default_ttl_s, HF_STATE_SECONDS_NONE);
	cr_expect_eq(policy->max_object, HF_STATE_BYTES_NONE);
	cr_expect_eq(state->unknown_fields, 0);
	hf_state_unref(state);
}

Test(state_rules, S1_every_reason_against_policies)
{
	test_refused(DOC("7,{\"id\":\"a\",\"default_ttl\":-1,\"negative_ttl\":31536001,"
			 "\"stale_while_revalidate\":\"1s\",\"stale_if_error\":1.5,"
			 "\"max_object\":1023,\"more\":1},{\"id\":\"a\"},{\"default_ttl\":1}",
			     ROUTE("\"c\""), ""),
		"$.policies[0]: found 7; allowed: an object with an id\n"
		"$.policies[1].default_ttl: found -1; allowed: 0 to 31536000 seconds\n"
		"$.policies[1].negative_ttl: found 31536001; allowed: 0 to 31536000 seconds\n"
		"$.policies[1].stale_while_revalidate: found \"1s\"; allowed: 0 to 31536000 "
		"seconds\n"
		"$.policies[1].stale_if_error: found 1.5; allowed: 0 to 31536000 seconds\n"
		"$.policies[1].max_object: found 1023; allowed: 1024 to 35184372088832 bytes\n"
		"$.policies[2].id: found \"a\"; allowed: each id once\n"
		"$.policies[3].id: found nothing; allowed: 1 to 1024 characters of ASCII without "
		"spaces\n"
		"$.routes[0].policy: found \"c\"; allowed: the id of a policy\n");
	test_refused(DOC("", ROUTE("null"), ""),
		"$.routes[0].policy: found null; allowed: 1 to 1024 characters of ASCII without "
		"spaces\n");
}

Test(state_rules, purges_name_a_URL_a_prefix_a_tag_or_all)
{
	struct hf_state *state = NULL;

	cr_assert_eq(test_parse(DOC("", "",
					"{\"id\":\"1\",\"url\":\"http://a/x\",\"issued_at\":1},"
					"{\"id\":\"2\",\"prefix\":\"/img/\",\"soft\":true},"
					"{\"id\":\"3\",\"tag\":\"a b\\u00e9\",\"soft\":false},"
					"{\"id\":\"4\",\"all\":true,\"issued_at\":\"now\"}"),
			     &state),
		0, "%s", test_reasons);
	cr_assert_eq(state->purge_count, 4);
	cr_expect_str_eq(state->purge[0].url, "http://a/x");
	cr_expect(!state->purge[0].soft);
	cr_expect_str_eq(state->purge[1].prefix, "/img/");
	cr_expect(state->purge[1].soft);
	cr_expect_str_eq(state->purge[2].tag, "a b\xc3\xa9");
	cr_expect(!state->purge[3].url && !state->purge[3].prefix && !state->purge[3].tag);
	cr_expect_eq(state->unknown_fields, 0);
	hf_state_unref(state);
}

Test(state_rules, S1_every_reason_against_purges)
{
	test_refused(DOC("", "",
			     "[],{\"url\":\"/x\"},{\"id\":\"1\"},"
			     "{\"id\":\"1\",\"prefix\":\"x\",\"tag\":\" t\"},"
			     "{\"id\":\"2\",\"all\":false,\"soft\":1,\"issued_at\":-1},"
			     "{\"id\":\"3\",\"tag\":\"\"},{\"id\":\"4\",\"url\":7}"),
		"$.purges[0]: found an array; allowed: an object with an id and one of url, "
		"prefix, tag and all\n"
		"$.purges[1].id: found nothing" ID_ALLOWED
		"$.purges[1].url: found \"/x\"" URL_ALLOWED
		"$.purges[2]: found none of them" ONE_ALLOWED
		"$.purges[3]: found several of them" ONE_ALLOWED
		"$.purges[3].prefix: found \"x\"" PREFIX_ALLOWED
		"$.purges[3].tag: found \" t\"" TAG_ALLOWED
		"$.purges[3].id: found \"1\"; allowed: each id once\n"
		"$.purges[4].all: found false; allowed: true\n"
		"$.purges[4].soft: found 1; allowed: true or false\n"
		"$.purges[4].issued_at: found -1; allowed: a time\n"
		"$.purges[5].tag: found \"\"" TAG_ALLOWED "$.purges[6].url: found 7" URL_ALLOWED);
}

Test(state_rules, limits_on_counts_and_lengths)
{
	char *text = calloc(1, 1 << 20), *at = text;
	struct hf_state *state = NULL;

	at += sprintf(
		at, "{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],\"purges\":[");
	for (int i = 0; i < 1025; i++)
		at += sprintf(at, "%s{\"id\":\"%d\",\"all\":true}", i ? "," : "", i);
	at += sprintf(at, "],\"policies\":[");
	for (int i = 0; i < 1025; i++)
		at += sprintf(at, "%s{\"id\":\"%d\"}", i ? "," : "", i);
	(void)sprintf(at, "]}");
	cr_expect_eq(test_parse(text, &state), -EINVAL);
	cr_expect_str_eq(test_reasons, "$.policies: found 1025 entries; allowed: at most 1024\n"
				       "$.purges: found 1025 entries; allowed: at most 1024\n");
	for (int len = 8192; len <= 8193; len++) {
		(void)sprintf(text, DOC("", "", "{\"id\":\"1\",\"prefix\":\"/%0*d\"}"), len - 1, 0);
		cr_expect_eq(test_parse(text, &state), len == 8192 ? 0 : -EINVAL, "%d", len);
	}
	hf_state_unref(state);
	free(text);
}
