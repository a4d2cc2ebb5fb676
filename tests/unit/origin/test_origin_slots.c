/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#define MANY 24

static struct rig *slots_rig(uint32_t threads, uint32_t max_in_flight, uint32_t max_queue)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.threads = threads;
	rig->conf.origin.max_in_flight = max_in_flight;
	rig->conf.origin.max_queue = max_queue;
	rig_up(rig, 64 << 20);
	return rig;
}

/* Hosts a.test and b.test go to groups a and b of so many origins, each the rig's server. */
static void set_groups(struct rig *rig, uint32_t origins, uint32_t a_max, uint32_t b_max)
{
	struct hf_state *state = NULL;
	char text[4096];
	int at = snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"groups\":[{\"id\":\"a\",\"max_in_flight\":%u},"
		"{\"id\":\"b\",\"max_in_flight\":%u}],\"routes\":["
		"{\"id\":\"a\",\"host\":\"a.test\",\"path\":\"/\",\"group\":\"a\"},"
		"{\"id\":\"b\",\"host\":\"b.test\",\"path\":\"/\",\"group\":\"b\"}],\"origins\":[",
		a_max, b_max);

	for (uint32_t i = 0; i < 2 * origins; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			"%s{\"group\":\"%s\",\"id\":\"o%u\",\"url\":\"http://127.0.0.1:%u\"}",
			i ? "," : "", i % 2 ? "b" : "a", i, rig->port);
	(void)snprintf(text + at, sizeof(text) - (size_t)at, "]}");
	cr_assert_eq(hf_state_parse(text, strlen(text), stderr, &state), 0);
	hf_origin_state_set(rig->origin, state);
	if (rig->second)
		hf_origin_state_set(rig->second, state);
	hf_state_unref(state);
	rig_turn(rig);
}

static void get_of(struct rig *rig, struct rig_client *client, const char *host, uint32_t path)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "GET /%u HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	rig_start_text(rig, client, text);
	client->eager = true;
}

static uint64_t waited(enum hf_hist outcome)
{
	struct hf_hist_view view;

	hf_hist_sum(outcome, &view);
	return view.count;
}

static uint32_t answers_due(const struct rig *rig, uint32_t answered)
{
	return rig_requests(rig) - answered;
}

/* Answers one request after the other; the origin never sees more than LIMIT at a time. */
static void answer_all(struct rig *rig, uint32_t count, uint32_t limit)
{
	const char *head;

	for (uint32_t i = 0; i < count; i++) {
		struct rig_conn *conn = rig_asked(rig, &head);

		if (i == 0)
			rig_settle(rig);
		cr_assert_leq(answers_due(rig, i), limit);
		rig_answer(conn, "", 10);
	}
}

Test(origin_slots, G17_groups_take_turns_and_each_is_first_come_first_served)
{
	struct rig *rig = slots_rig(1, 1, 64);
	struct rig_client client[12];
	char order[13] = "";
	const char *head;

	set_groups(rig, 1, 0, 0);
	for (uint32_t i = 0; i < 9; i++) /* one floods */
		get_of(rig, &client[i], "a.test", i);
	for (uint32_t i = 9; i < 12; i++)
		get_of(rig, &client[i], "b.test", i);
	for (uint32_t i = 0; i < 12; i++) {
		rig_answer(rig_asked(rig, &head), "", 10);
		order[i] = strstr(head, "Host: ")[6];
		if (i >= 7) /* by then b has had its three */
			cr_expect_eq(strtoul(head + sizeof("GET /") - 1, NULL, 10), i - 3);
	}
	cr_expect_str_eq(order, "aabababaaaaa");
	for (uint32_t i = 0; i < 12; i++)
		rig_expect_body(rig, &client[i], 10);
	cr_expect_eq(waited(HF_HIST_ORIGIN_QUEUE_ADMITTED), 11);
	rig_end_all(rig, client, 12);
}

Test(origin_slots, G17_at_an_origin_no_more_than_its_groups_limit_and_others_go_on_meanwhile)
{
	struct rig *rig = slots_rig(1, 0, 64);
	struct rig_client client[10];
	const char *head;

	set_groups(rig, 2, 2, 0);
	for (uint32_t i = 0; i < 6; i++)
		get_of(rig, &client[i], "a.test", i);
	rig_until(rig, rig_requests(rig) == 4);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 4, "two origins, two each");
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 4);
	for (uint32_t i = 6; i < 10; i++)
		get_of(rig, &client[i], "b.test", i);
	rig_until(rig, rig_requests(rig) == 8);
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_until(rig, rig_requests(rig) == 9);
	set_groups(rig, 2, 3, 0); /* more by a new state: at once */
	rig_until(rig, rig_requests(rig) == 10);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	rig_end_all(rig, client, 10);
}

Test(origin_slots, G17_the_limit_of_the_node_holds_over_all_its_threads)
{
	struct rig *rig = slots_rig(2, 1, 64);
	struct rig_client client[MANY];

	set_groups(rig, 1, 0, 0);
	for (uint32_t i = 0; i < MANY; i++)
		get_of(rig, &client[i], i % 2 ? "b.test" : "a.test", i);
	answer_all(rig, MANY, 1);
	for (uint32_t i = 0; i < MANY; i++)
		rig_expect_body(rig, &client[i], 10);
	rig_until(rig, hf_origin_in_flight(rig->second) == 0);
	rig_end_all(rig, client, MANY);
}

Test(origin_slots, G17_that_of_an_origin_too)
{
	struct rig *rig = slots_rig(2, 3, 64);
	struct rig_client client[MANY];

	set_groups(rig, 1, 1, 1);
	for (uint32_t i = 0; i < MANY; i++)
		get_of(rig, &client[i], i % 2 ? "b.test" : "a.test", i);
	answer_all(rig, MANY, 2);
	for (uint32_t i = 0; i < MANY; i++)
		rig_expect_body(rig, &client[i], 10);
	rig_until(rig, hf_origin_in_flight(rig->second) == 0);
	rig_end_all(rig, client, MANY);
}

Test(origin_slots, G17_without_a_limit_all_go_at_once)
{
	struct rig *rig = slots_rig(1, 0, 0);
	struct rig_client client[65];

	for (uint32_t i = 0; i < 65; i++)
		get_of(rig, &client[i], "a.test", i);
	rig_until(rig, rig_requests(rig) == 65);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 65);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	rig_end_all(rig, client, 65);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 0);
	cr_expect_eq(waited(HF_HIST_ORIGIN_QUEUE_ADMITTED), 0, "of what had to wait");
}

Test(origin_slots, who_waits_for_the_same_key_shares_a_slot)
{
	struct rig *rig = slots_rig(1, 1, 0);
	struct rig_client client[5];
	const char *head;

	for (uint32_t i = 0; i < 5; i++)
		get_of(rig, &client[i], "a.test", 1);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	for (uint32_t i = 0; i < 5; i++)
		rig_expect_body(rig, &client[i], 10);
	cr_expect_eq(rig_requests(rig), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	rig_end_all(rig, client, 5);
}

Test(origin_slots, a_leader_that_leaves_the_queue_leaves_its_place_to_who_waits_with_it)
{
	struct rig *rig = slots_rig(1, 1, 64);
	struct rig_client first, leader, waiter;
	const char *head;

	get_of(rig, &first, "a.test", 1);
	get_of(rig, &leader, "a.test", 2);
	get_of(rig, &waiter, "a.test", 2);
	rig_until(rig, rig_requests(rig) == 1 && rig->origin->queued == 1);
	rig_end(rig, &leader);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &waiter, 10);
	rig_end(rig, &first);
	rig_end(rig, &waiter);
	rig_free(rig);
}

Test(origin_slots, storms_of_clients_that_leave_the_queue_are_no_fetches_and_their_places_are_free)
{
	struct rig *rig = slots_rig(2, 1, MANY);
	struct rig_client busy[2], client[MANY], last;
	const char *head;

	set_groups(rig, 1, 0, 1);
	get_of(rig, &busy[0], "a.test", 1000);
	rig_until(rig, rig_requests(rig) == 1);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < MANY; i++)
			get_of(rig, &client[i], i % 3 ? "b.test" : "a.test", i);
		rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == MANY);
		get_of(rig, &last, "b.test", MANY);
		rig_until(rig, last.fail);
		cr_expect_eq(last.xchg->fail_status, 503);
		rig_end(rig, &last);
		for (uint32_t i = 0; i < MANY; i++)
			rig_end(rig, &client[i * 7 % MANY]);
		cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	}
	cr_expect_eq(waited(HF_HIST_ORIGIN_QUEUE_CANCELED), 5 * MANY);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 1);
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &busy[0], 10);
	get_of(rig, &busy[1], "b.test", 1000); /* nothing of the storm is left at the gates */
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &busy[1], 10);
	rig_until(rig, hf_origin_in_flight(rig->second) == 0);
	rig_end_all(rig, busy, 2);
}

Test(origin_slots, G17_an_adaptive_limit_begins_with_its_least_and_grows_while_answers_are_quick)
{
	struct rig *rig = slots_rig(2, 0, 1000);
	struct rig_client client[60];
	uint32_t most = 0;
	const char *head;

	rig->conf.origin.adaptive_limit = HF_CONF_ON;
	rig->conf.origin.adaptive_min = 2;
	rig->conf.origin.adaptive_max = 1000;
	set_groups(rig, 1, 0, 0);
	for (uint32_t i = 0; i < 60; i++)
		get_of(rig, &client[i], "a.test", i);
	rig_until(rig, rig_requests(rig) == 2);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 2);
	for (uint32_t i = 0; i < 60; i++) {
		rig_answer(rig_asked(rig, &head), "", 10);
		most = hf_max_u32(most, answers_due(rig, i));
	}
	cr_expect_gt(most, 2);
	for (uint32_t i = 0; i < 60; i++)
		rig_expect_body(rig, &client[i], 10);
	rig_until(rig, hf_origin_in_flight(rig->second) == 0);
	rig_end_all(rig, client, 60);
}

Test(origin_slots, a_full_queue_and_a_late_slot_are_503_and_counted)
{
	struct rig *rig = slots_rig(1, 1, 1);
	struct rig_client client[3];

	rig->conf.origin.queue_timeout_ms = 30;
	for (uint32_t i = 0; i < 3; i++)
		get_of(rig, &client[i], "a.test", i);
	rig_until(rig, client[1].fail && client[2].fail);
	cr_expect_eq(client[1].xchg->fail_status, 503);
	cr_expect_eq(client[2].xchg->fail_status, 503);
	cr_expect_eq(waited(HF_HIST_ORIGIN_QUEUE_TIMEOUT), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 1);
	rig_end_all(rig, client, 3);
}

Test(origin_slots, an_origin_that_is_gone_from_the_state_is_waited_for_by_nobody)
{
	struct rig *rig = slots_rig(1, 0, 64);
	struct rig_client client[3];
	const char *head;

	set_groups(rig, 1, 1, 1);
	for (uint32_t i = 0; i < 3; i++)
		get_of(rig, &client[i], "a.test", i);
	rig_until(rig, rig_requests(rig) == 1);
	hf_state_unref(rig->state);
	rig_state(rig); /* one group, without a limit; who waits keeps to its own */
	rig_turn(rig);
	for (uint32_t i = 0; i < 3; i++) {
		rig_answer(rig_asked(rig, &head), "", 10);
		rig_expect_body(rig, &client[i], 10);
	}
	rig_end_all(rig, client, 3);
}
