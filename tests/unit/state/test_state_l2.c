/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_test.h"

#define DOC(l2)                                                                                    \
	"{\"schema\":1,\"version\":\"v\",\"origins\":[" STATE_TEST_ORIGIN                          \
	"],\"routes\":[],\"l2\":" l2 "}"
#define NODE(more) "{\"id\":\"n\",\"url\":\"redis://h\"" more "}"

static struct hf_state *parse(const char *text)
{
	struct hf_state *state = NULL;

	cr_assert_eq(test_parse(text, &state), 0, "%s", test_reasons);
	return state;
}

Test(state_l2, what_it_does_not_say_is_a_default)
{
	struct hf_state *state = parse(DOC("{\"nodes\":[" NODE("") "]}"));
	const struct hf_state_l2 *l2 = &state->l2;

	cr_expect(l2->on && !l2->write_around);
	cr_expect_str_eq(l2->name, "holdfast");
	cr_expect_eq(l2->l1_ttl_s, 60);
	cr_expect_eq(l2->lease_ms, 0);
	cr_expect_eq(l2->value_max, 1 << 20);
	cr_expect_eq(l2->zstd_min, 0);
	cr_expect_eq(l2->node_count, 1);
	cr_expect_str_eq(l2->node[0].id, "n");
	cr_expect_str_eq(l2->node[0].host, "h");
	cr_expect_eq(l2->node[0].port, 6379);
	cr_expect_eq(l2->node[0].weight, 1);
	cr_expect(!l2->node[0].tls);
	hf_state_unref(state);
}

Test(state_l2, it_says_all_there_is)
{
	struct hf_state *state =
		parse(DOC("{\"mode\":\"write-around\",\"namespace\":\"a.b_c-1\",\"l1_ttl\":5,\"max_"
			  "value\":2048,"
			  "\"compress_min\":100,\"lease_ms\":700,\"nodes\":[{\"id\":\"x\",\"url\":"
			  "\"rediss://v.example.com:7000/\",\"weight\":100},{\"id\":\"y\",\"url\":"
			  "\"redis://[2001:db8::1]:1\"}]}"));
	const struct hf_state_l2 *l2 = &state->l2;

	cr_expect(l2->on && l2->write_around);
	cr_expect_str_eq(l2->name, "a.b_c-1");
	cr_expect_eq(l2->l1_ttl_s, 5);
	cr_expect_eq(l2->lease_ms, 700);
	cr_expect_eq(l2->value_max, 2048);
	cr_expect_eq(l2->zstd_min, 100);
	cr_assert_eq(l2->node_count, 2);
	cr_expect(l2->node[0].tls);
	cr_expect_str_eq(l2->node[0].host, "v.example.com");
	cr_expect_eq(l2->node[0].port, 7000);
	cr_expect_eq(l2->node[0].weight, 100);
	cr_expect_str_eq(l2->node[1].host, "2001:db8::1");
	cr_expect_eq(l2->node[1].port, 1);
	hf_state_unref(state);
}

Test(state_l2, without_it_there_is_none_and_an_empty_list_is_good)
{
	struct hf_state *state =
		parse("{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[]}");

	cr_expect(!state->l2.on);
	hf_state_unref(state);
	state = parse(DOC("{\"nodes\":[],\"later\":1}"));
	cr_expect(state->l2.on);
	cr_expect_eq(state->l2.node_count, 0);
	cr_expect_eq(state->unknown_fields, 1);
	hf_state_unref(state);
}

Test(state_l2, what_is_wrong_is_refused_with_its_place)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{ DOC("[]"), "$.l2: found an array" },
		{ DOC("{}"), "$.l2.nodes: found nothing" },
		{ DOC("{\"nodes\":{}}"), "$.l2.nodes: found an object" },
		{ DOC("{\"nodes\":[1]}"), "$.l2.nodes[0]: found 1" },
		{ DOC("{\"nodes\":[{\"url\":\"redis://h\"}]}"), "$.l2.nodes[0].id: found nothing" },
		{ DOC("{\"nodes\":[{\"id\":\"n\"}]}"), "$.l2.nodes[0].url: found nothing" },
		{ DOC("{\"nodes\":[" NODE("") "," NODE("") "]}"), "$.l2.nodes[1].id: found \"n\"" },
		{ DOC("{\"nodes\":[" NODE(",\"weight\":0") "]}"), "$.l2.nodes[0].weight: found 0" },
		{ DOC("{\"nodes\":[{\"id\":\"n\",\"url\":\"http://h\"}]}"), "$.l2.nodes[0].url" },
		{ DOC("{\"nodes\":[{\"id\":\"n\",\"url\":\"redis://u:p@h\"}]}"),
			"$.l2.nodes[0].url" },
		{ DOC("{\"nodes\":[{\"id\":\"n\",\"url\":\"redis://h/1\"}]}"),
			"$.l2.nodes[0].url" },
		{ DOC("{\"nodes\":[{\"id\":\"n\",\"url\":\"redis://h:0\"}]}"),
			"$.l2.nodes[0].url" },
		{ DOC("{\"nodes\":[],\"mode\":\"both\"}"), "$.l2.mode: found \"both\"" },
		{ DOC("{\"nodes\":[],\"namespace\":\"a:b\"}"), "$.l2.namespace: found \"a:b\"" },
		{ DOC("{\"nodes\":[],\"namespace\":\"\"}"), "$.l2.namespace: found \"\"" },
		{ DOC("{\"nodes\":[],\"l1_ttl\":0}"), "$.l2.l1_ttl: found 0" },
		{ DOC("{\"nodes\":[],\"max_value\":16777217}"), "$.l2.max_value" },
		{ DOC("{\"nodes\":[],\"lease_ms\":-1}"), "$.l2.lease_ms: found -1" },
		{ DOC("{\"nodes\":[],\"compress_min\":true}"), "$.l2.compress_min: found true" },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		struct hf_state *state = NULL;

		cr_expect_eq(test_parse(bad[i].text, &state), -EINVAL, "%s", bad[i].text);
		cr_expect(
			strstr(test_reasons, bad[i].reason), "%s: %s", bad[i].reason, test_reasons);
	}
}
