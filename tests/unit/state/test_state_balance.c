/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_test.h"

#define DOC(groups)                                                                                \
	"{\"schema\":1,\"version\":\"v\",\"groups\":[" groups "],\"origins\":[" STATE_TEST_ORIGIN  \
	"],\"routes\":[" STATE_TEST_ROUTE "]}"
#define GROUP(fields) DOC("{\"id\":\"g\"," fields "}")

static const struct hf_state_group *group_of(const char *text, struct hf_state **ret_state)
{
	cr_assert_eq(test_parse(text, ret_state), 0, "%s", test_reasons);
	cr_assert_str_eq((*ret_state)->group[0].name, "g");
	return &(*ret_state)->group[0];
}

Test(state_balance, a_group_is_balanced_by_load_unless_it_says_otherwise)
{
	static const char *const texts[] = { STATE_TEST_DOC(STATE_TEST_ORIGIN, STATE_TEST_ROUTE),
		DOC("{\"id\":\"g\"}"), GROUP("\"balance\":\"least_loaded\"") };
	struct hf_state *state;

	for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
		cr_expect_eq(group_of(texts[i], &state)->balance, HF_STATE_LEAST_LOADED);
		hf_state_unref(state);
	}
	cr_expect_eq(group_of(GROUP("\"balance\":\"hash\""), &state)->balance, HF_STATE_HASH);
	hf_state_unref(state);
}

Test(state_balance, affinity_has_defaults_and_takes_what_is_said)
{
	struct hf_state *state;
	const struct hf_state_group *group =
		group_of(GROUP("\"balance\":\"prefix_affinity\""), &state);

	cr_expect_eq(group->balance, HF_STATE_PREFIX_AFFINITY);
	cr_expect(!group->affinity.by_body);
	cr_expect_eq(group->affinity.alpha, 1.0);
	cr_expect_eq(group->affinity.cap, 65536);
	cr_expect_eq(group->affinity.ttl_s, 300);
	hf_state_unref(state);
	group = group_of(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":{\"by\":\"body\","
			       "\"alpha\":0.5,\"cap\":1,\"ttl\":0}"),
		&state);
	cr_expect(group->affinity.by_body);
	cr_expect_eq(group->affinity.alpha, 0.5);
	cr_expect_eq(group->affinity.cap, 1);
	cr_expect_eq(group->affinity.ttl_s, 0);
	hf_state_unref(state);
}

Test(state_balance, every_field_is_checked)
{
	test_refused(GROUP("\"balance\":\"random\""),
		"$.groups[0].balance: found \"random\"; allowed: least_loaded, hash or "
		"prefix_affinity\n");
	test_refused(GROUP("\"balance\":1"),
		"$.groups[0].balance: found 1; allowed: least_loaded, hash or prefix_affinity\n");
	test_refused(GROUP("\"balance\":null"),
		"$.groups[0].balance: found null; allowed: least_loaded, hash or "
		"prefix_affinity\n");
	test_refused(GROUP("\"balance\":\"hash\",\"affinity\":{}"),
		"$.groups[0].affinity: found an object; allowed: nothing, unless balance is "
		"prefix_affinity\n");
	test_refused(GROUP("\"affinity\":{}"),
		"$.groups[0].affinity: found an object; allowed: nothing, unless balance is "
		"prefix_affinity\n");
	test_refused(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":[]"),
		"$.groups[0].affinity: found an array; allowed: an object of by, alpha, cap and "
		"ttl\n");
	test_refused(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":{\"by\":\"host\","
			   "\"alpha\":-0.1,\"cap\":0,\"ttl\":1.5}"),
		"$.groups[0].affinity.by: found \"host\"; allowed: path or body\n"
		"$.groups[0].affinity.alpha: found -0.1; allowed: 0 to 100\n"
		"$.groups[0].affinity.ttl: found 1.5; allowed: 0 to 86400 seconds\n"
		"$.groups[0].affinity.cap: found 0; allowed: 1 to 1048576 prefixes\n");
	test_refused(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":{\"by\":7,"
			   "\"alpha\":\"1\",\"cap\":1048577,\"ttl\":86401}"),
		"$.groups[0].affinity.by: found 7; allowed: path or body\n"
		"$.groups[0].affinity.alpha: found \"1\"; allowed: 0 to 100\n"
		"$.groups[0].affinity.ttl: found 86401; allowed: 0 to 86400 seconds\n"
		"$.groups[0].affinity.cap: found 1048577; allowed: 1 to 1048576 prefixes\n");
}

Test(state_balance, prefixes_of_all_groups_together_are_bounded)
{
	struct hf_state *state;

	(void)group_of(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":{\"cap\":983040}},"
			     "{\"id\":\"h\",\"balance\":\"prefix_affinity\""),
		&state);
	hf_state_unref(state);
	test_refused(GROUP("\"balance\":\"prefix_affinity\",\"affinity\":{\"cap\":983041}},"
			   "{\"id\":\"h\",\"balance\":\"prefix_affinity\""),
		"$.groups[1].affinity.cap: found nothing; allowed: at most 1048576 prefixes in all "
		"groups together\n");
}
