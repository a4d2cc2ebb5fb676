/* SPDX-License-Identifier: BSD-3-Clause */
#include "origin_choice.h"
#include "rig.h"

#define AFFINITY "\"balance\":\"prefix_affinity\""
#define BY_BODY  AFFINITY ",\"affinity\":{\"by\":\"body\"}"

static uint64_t fetches_of(const struct rig *rig, char id)
{
	const struct origin_view *view = rig->origin->view;
	const struct hf_state_group *group = &view->state->group[0];

	for (uint32_t i = 0; i < group->origin_count; i++)
		if (group->origin[i].id[0] == id)
			return view->group[0].peer[i]->fetches;
	return 0;
}

/* A fetch from its start to its end. */
static void get(struct rig *rig, const char *path)
{
	uint32_t others = hf_origin_in_flight(rig->origin);
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, path, "");
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 3);
	rig_expect_body(rig, &client, 3);
	rig_end(rig, &client);
	rig_until(rig, hf_origin_in_flight(rig->origin) == others);
}

static void expect_counts(uint64_t hits, uint64_t misses, uint64_t stale)
{
	cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_HIT), hits);
	cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_MISS), misses);
	cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_STALE), stale);
}

Test(origin_balance, by_hash_a_url_goes_to_one_origin_and_the_others_share)
{
	struct rig *rig = rig_new();
	char path[16];

	rig_group(rig, "\"balance\":\"hash\"", "abc");
	for (int i = 0; i < 8; i++)
		get(rig, "/same");
	cr_expect(fetches_of(rig, 'a') == 8 || fetches_of(rig, 'b') == 8 ||
		  fetches_of(rig, 'c') == 8);
	for (int i = 0; i < 24; i++) {
		(void)snprintf(path, sizeof(path), "/%d", i);
		get(rig, path);
	}
	cr_expect(fetches_of(rig, 'a') && fetches_of(rig, 'b') && fetches_of(rig, 'c'));
	rig_free(rig);
}

Test(origin_balance, by_affinity_what_begins_alike_goes_together)
{
	struct rig *rig = rig_new();
	struct rig_client busy;
	const char *head;
	struct rig_conn *conn;

	rig_group(rig, AFFINITY, "ab");
	rig_get(rig, &busy, "/busy", ""); /* a: it is the first */
	conn = rig_asked(rig, &head);
	get(rig, "/x/1"); /* b: it is idle */
	expect_counts(0, 2, 0);
	rig_answer(conn, "Cache-Control: no-store\r\n", 3);
	rig_expect_body(rig, &busy, 3);
	rig_end(rig, &busy);
	for (int i = 2; i < 6; i++)
		get(rig, i % 2 ? "/x/odd?q" : "/x/even/deeper");
	cr_expect_eq(fetches_of(rig, 'b'), 5);
	expect_counts(4, 2, 0);
	get(rig, "/y");
	cr_expect_eq(fetches_of(rig, 'a'), 2);
	expect_counts(4, 3, 0);
	rig_free(rig);
}

Test(origin_balance, a_further_try_is_learnt_but_not_counted_again)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig->origin->retry_pause_us = 1000;
	rig->conf.origin.retries = 1;
	rig_group(rig, AFFINITY, "ab");
	rig_get(rig, &client, "/x/1", "");
	rig_reply(rig, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 3);
	rig_expect_body(rig, &client, 3);
	rig_end(rig, &client);
	cr_expect_eq(fetches_of(rig, 'a'), 1);
	cr_expect_eq(fetches_of(rig, 'b'), 1);
	expect_counts(0, 1, 0);
	cr_expect_eq(rig_hist(HF_HIST_ROUTING), 2, "further tries too");
	rig_free(rig);
}

Test(origin_balance, what_was_learnt_stays_over_states_but_not_of_who_left)
{
	struct rig *rig = rig_new();

	rig_group(rig, AFFINITY, "ab");
	get(rig, "/x/1");
	cr_expect_eq(fetches_of(rig, 'a'), 1);
	rig_group(rig, AFFINITY, "ba");
	get(rig, "/x/2");
	cr_expect_eq(fetches_of(rig, 'a'), 2, "known, though b is the first now");
	expect_counts(1, 1, 0);
	rig_group(rig, AFFINITY, "b");
	rig_group(rig, AFFINITY, "ba");
	get(rig, "/x/2");
	cr_expect_eq(fetches_of(rig, 'a'), 0, "another a");
	cr_expect_eq(fetches_of(rig, 'b'), 1);
	expect_counts(1, 2, 2);
	rig_group(rig, AFFINITY ",\"affinity\":{\"alpha\":2}", "ab");
	get(rig, "/x/2");
	cr_expect_eq(fetches_of(rig, 'a'), 1, "set otherwise: nothing is known");
	rig_free(rig);
}

Test(origin_balance, what_was_learnt_ends_when_the_group_is_balanced_otherwise)
{
	struct rig *rig = rig_new();

	rig_group(rig, AFFINITY, "ba");
	for (int i = 0; i < 2; i++) {
		rig_peer(rig, 0)->drained = true;
		get(rig, "/x/1"); /* a */
		cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_HIT), (uint64_t)i);
		rig_group(rig, AFFINITY, "ba");
	}
	rig_group(rig, "\"balance\":\"hash\"", "ba");
	rig_group(rig, AFFINITY, "ba");
	get(rig, "/x/1");
	expect_counts(1, 2, 0);
	cr_expect_eq(fetches_of(rig, 'b'), 1);
	rig_free(rig);
}

Test(origin_balance, an_origin_that_is_elsewhere_holds_nothing)
{
	struct rig *rig = rig_new();
	uint16_t port = rig->port;

	rig_group(rig, AFFINITY, "a");
	get(rig, "/x/1");
	rig->port = 1;
	rig_group(rig, AFFINITY, "a");
	rig->port = port;
	rig_group(rig, AFFINITY, "a");
	get(rig, "/x/1");
	expect_counts(0, 2, 2);
	rig_free(rig);
}

Test(origin_balance, a_group_that_grows_beyond_its_table_begins_anew)
{
	static const char many[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$";
	struct rig *rig = rig_new();

	rig_group(rig, AFFINITY, "a");
	get(rig, "/x/1");
	rig_group(rig, AFFINITY, many + 10);
	rig_group(rig, AFFINITY, "ba");
	get(rig, "/x/1");
	expect_counts(0, 2, 2);
	rig_group(rig, AFFINITY, many);
	get(rig, "/x/1");
	expect_counts(0, 3, 2);
	cr_expect_eq(rig->origin->view->group[0].affinity->slots_max, 256);
	rig_free(rig);
}

Test(origin_balance, what_is_too_much_is_counted)
{
	struct rig *rig = rig_new();

	rig_group(rig, AFFINITY ",\"affinity\":{\"cap\":2}", "ab");
	get(rig, "/a/b/c");
	get(rig, "/d");
	cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_TRUNCATIONS), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ROUTING_EVICTIONS), 1);
	rig_free(rig);
}

/* ---- a fetch that waits while the state changes ---- */

static void finish(struct rig *rig, struct rig_client *client)
{
	const char *head;

	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 3);
	rig_expect_body(rig, client, 3);
}

Test(origin_balance, what_waits_for_its_turn_goes_where_the_latest_state_says)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];

	rig_group(rig, AFFINITY, "a");
	rig->origin->slots_max = 1;
	rig_get(rig, &client[0], "/1", "");
	rig_get(rig, &client[1], "/2", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_group(rig, AFFINITY, "b");
	finish(rig, &client[0]);
	finish(rig, &client[1]);
	cr_expect_eq(fetches_of(rig, 'b'), 1, "not to one that has left");
	rig_end_all(rig, client, 2);
}

Test(origin_balance, what_waits_for_its_turn_and_has_no_route_any_more_is_misdirected)
{
	struct rig *rig = rig_new();
	struct hf_state *state = rig_state_for(rig, "b.test");
	struct rig_client client[2];

	rig->origin->slots_max = 1;
	rig_get(rig, &client[0], "/1", "");
	rig_get(rig, &client[1], "/2", "");
	rig_until(rig, rig_requests(rig) == 1);
	hf_origin_state_set(rig->origin, state);
	hf_state_unref(state);
	finish(rig, &client[0]);
	rig_until(rig, client[1].fail);
	cr_expect_eq(client[1].xchg->fail_status, 421);
	cr_expect_eq(rig_hist(HF_HIST_ORIGIN_QUEUE_ERROR), 1);
	rig_end_all(rig, client, 2);
}

/* ---- by body ---- */

static void send_body(
	struct rig *rig, struct rig_client *client, const char *data, size_t len, bool last)
{
	struct hf_xchg_body *body = hf_xchg_body_get(rig->net, client->xchg);

	cr_assert(body && len <= HF_XCHG_BODY_LEN);
	memcpy(body->data, data, len);
	body->len = (uint32_t)len;
	body->last = last;
	hf_xchg_to_origin(rig->link, HF_XCHG_BODY, body);
}

static void post(struct rig *rig, struct rig_client *client, size_t len)
{
	char head[128];

	(void)snprintf(head, sizeof(head),
		"POST /v1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: %zu\r\n\r\n", len);
	rig_start_text(rig, client, head);
	client->eager = true;
}

/* To its end, in two pieces. */
static void post_prompt(struct rig *rig, const char *prompt, size_t len)
{
	uint32_t others = hf_origin_in_flight(rig->origin);
	struct rig_client client;

	post(rig, &client, len);
	send_body(rig, &client, prompt, 200, false);
	rig_turn(rig);
	rig_turn(rig);
	cr_expect_eq(hf_origin_in_flight(rig->origin), others, "more of it may come");
	send_body(rig, &client, prompt + 200, len - 200, true);
	finish(rig, &client);
	rig_end(rig, &client);
	rig_until(rig, hf_origin_in_flight(rig->origin) == others);
}

Test(origin_balance, by_body_prompts_that_begin_alike_go_together)
{
	struct rig *rig = rig_new();
	struct rig_client busy;
	const char *head;
	struct rig_conn *conn;
	char one[1024], other[1024];

	memset(one, 'x', sizeof(one));
	memset(other, 'x', sizeof(other));
	memset(other + 600, 'y', 424);
	rig_group(rig, BY_BODY, "ab");
	rig_get(rig, &busy, "/busy", "");
	conn = rig_asked(rig, &head);
	post_prompt(rig, one, sizeof(one));
	cr_expect_eq(fetches_of(rig, 'b'), 1);
	rig_answer(conn, "Cache-Control: no-store\r\n", 3);
	rig_expect_body(rig, &busy, 3);
	rig_end(rig, &busy);
	post_prompt(rig, other, sizeof(other));
	cr_expect_eq(fetches_of(rig, 'b'), 2, "two of four blocks");
	expect_counts(1, 2, 0);
	other[0] = 'z';
	post_prompt(rig, other, sizeof(other));
	cr_expect_eq(fetches_of(rig, 'a'), 2);
	post_prompt(rig, one, 255);
	expect_counts(1, 4, 0);
	rig_free(rig);
}

Test(origin_balance, the_wait_for_a_body_is_bounded_by_time_and_by_bytes)
{
	struct rig *rig = rig_new();
	struct rig_client slow, large;
	char bytes[8192] = { 0 };

	rig_group(rig, BY_BODY, "ab");
	post(rig, &slow, 1000);
	send_body(rig, &slow, bytes, 300, false);
	rig_until(rig, rig_requests(rig) == 1); /* after ORIGIN_PREFIX_WAIT_US */
	post(rig, &large, 100000);
	send_body(rig, &large, bytes, 8192, false);
	rig_turn(rig);
	rig_turn(rig);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 1);
	send_body(rig, &large, bytes, 8192, false);
	rig_turn(rig);
	rig_turn(rig);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 2);
	rig_end(rig, &slow);
	rig_end(rig, &large);
	rig_free(rig);
}

Test(origin_balance, who_leaves_while_its_body_is_awaited_is_gone)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_group(rig, BY_BODY, "ab");
	post(rig, &client, 1000);
	rig_turn(rig);
	rig_end(rig, &client);
	cr_expect_eq(rig_requests(rig), 0);
	rig_free(rig);
}

/* ---- explained ---- */

static struct hf_origin_call explain(struct rig *rig, const char *key)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_EXPLAIN,
		.key = { key, (uint32_t)strlen(key), 0 } };

	origin_balance_explain(rig->origin, &call);
	return call;
}

static void explained(struct hf_origin_call *call)
{
	free(call->candidate);
	hf_state_unref(call->routed_by);
}

Test(origin_balance, it_is_explained_and_nothing_is_changed_by_that)
{
	struct rig *rig = rig_new();
	struct hf_state *state = rig_state_for(rig, "a.test");
	struct hf_origin_call call;

	rig_group(rig, AFFINITY, "ab");
	get(rig, "/x/y");
	for (int i = 0; i < 3; i++) {
		call = explain(rig, "http://a.test/x/z?q");
		cr_assert(call.route);
		cr_expect_eq(call.blocks, 2);
		cr_expect_eq(call.candidate[0].depth, 1);
		cr_expect_eq(call.candidate[0].score, 0.5);
		cr_expect(call.candidate[0].chosen);
		cr_expect(!call.candidate[1].chosen);
		cr_expect(call.candidate[1].usable);
		explained(&call);
	}
	expect_counts(0, 1, 0);
	rig_group(rig, "\"balance\":\"least_loaded\"", "ab");
	for (int i = 0; i < 2; i++) {
		call = explain(rig, "http://a.test/x");
		cr_expect(call.candidate[0].chosen, "no turn is taken");
		explained(&call);
	}
	hf_origin_state_set(rig->origin, state);
	hf_state_unref(state);
	rig_turn(rig);
	call = explain(rig, "http://b.test/x");
	cr_expect_null(call.route);
	rig_free(rig);
}
