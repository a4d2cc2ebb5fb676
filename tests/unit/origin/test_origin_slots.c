/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/syscall.h>
#include <time.h>

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
	rig_state_text(rig, text);
	rig_turn(rig);
}

static void get_of(struct rig *rig, struct rig_client *client, const char *host, uint32_t path)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "GET /%u HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	rig_start_text(rig, client, text);
	client->eager = true;
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
	cr_expect_eq(rig_hist(HF_HIST_ORIGIN_QUEUE_ADMITTED), 11);
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
	cr_expect_eq(rig_hist(HF_HIST_ORIGIN_QUEUE_ADMITTED), 0, "of what had to wait");
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
	cr_expect_eq(rig_hist(HF_HIST_ORIGIN_QUEUE_CANCELED), 5 * MANY);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 1);
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &busy[0], 10);
	get_of(rig, &busy[1], "b.test", 1000); /* nothing of the storm is left at the gates */
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &busy[1], 10);
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
	rig_end_all(rig, client, 60);
}

/* The next path from FROM on that is that thread's. */
static uint32_t path_of(const struct rig *rig, uint32_t shard, uint32_t from)
{
	char key[64];

	for (;; from++) {
		int len = snprintf(key, sizeof(key), "http://a.test/%u", from);

		if (hf_cache_shard_index(rig->cache, hf_cache_hash(rig->cache, key, (size_t)len)) ==
			shard)
			return from;
	}
}

/* A thread whose only client leaves the queue, when it is its turn, is not waited for by the other. */
static void leave_at_turn(uint32_t max_in_flight, uint32_t a_max)
{
	struct rig *rig = slots_rig(2, max_in_flight, 64);
	struct rig_client client[2], leaver;
	const char *head;

	set_groups(rig, 1, a_max, 0);
	get_of(rig, &client[0], "a.test", path_of(rig, 0, 1));
	rig_until(rig, rig_requests(rig) == 1);
	get_of(rig, &leaver, "a.test", path_of(rig, 1, 1));
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
	rig_end(rig, &leaver);
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &client[0], 10);
	get_of(rig, &client[1], "a.test", path_of(rig, 0, 1000));
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &client[1], 10);
	rig_end_all(rig, client, 2);
}

Test(origin_slots, G17_who_left_is_not_waited_for_at_the_nodes_gate)
{
	leave_at_turn(1, 0);
}

Test(origin_slots, G17_nor_at_an_origins)
{
	leave_at_turn(0, 1);
}

Test(origin_slots, G17_a_thread_that_sleeps_is_woken_for_its_slot)
{
	struct rig *rig = slots_rig(2, 1, 64);
	struct hf_origin *sleeper = rig->second;
	struct rig_client client[2];
	const char *head;
	uint64_t woken = 0;

	set_groups(rig, 1, 0, 0);
	get_of(rig, &client[0], "a.test", path_of(rig, 0, 1));
	rig_until(rig, rig_requests(rig) == 1);
	get_of(rig, &client[1], "a.test", path_of(rig, 1, 1));
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
	rig_settle(rig);
	rig->second = NULL; /* it takes no turns */
	hf_waker_sleep_begin(&sleeper->waker);
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_expect_eq(read(sleeper->waker.fd, &woken, sizeof(woken)), (ssize_t)sizeof(woken));
	cr_expect_eq(woken, 1, "once");
	hf_waker_sleep_end(&sleeper->waker);
	rig->second = sleeper;
	rig_answer(rig_asked(rig, &head), "", 10);
	rig_expect_body(rig, &client[1], 10);
	rig_until(rig, hf_origin_in_flight(sleeper) == 0);
	rig_end_all(rig, client, 2);
}

/* The other thread takes a turn when this one looks at the clock for the n-th time: also between the choice of an
 * origin and its slot. */
static struct hf_origin *clock_other;
static uint32_t clock_looks;

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	struct hf_origin *other = clock_other;

	if (other && --clock_looks == 0) {
		clock_other = NULL;
		hf_origin_step(other, 0);
	}
	return (int)syscall(SYS_clock_gettime, clock, ret_time);
}

#define LOOKS_MAX 12 /* more than a step has */

/* One for each thread; the second takes its turn within the first one's. */
static void two_at_once(struct rig *rig, struct rig_client client[2], uint32_t looks)
{
	uint32_t path = 10 * looks;

	for (uint32_t i = 0; i < 2; i++)
		get_of(rig, &client[i], "a.test", path_of(rig, i, path));
	clock_looks = looks;
	clock_other = rig->second;
	hf_origin_step(rig->origin, 0);
	clock_other = NULL;
	hf_origin_step(rig->second, 0);
}

Test(origin_slots, G17_whenever_another_thread_takes_its_turn_no_limit_is_passed)
{
	struct rig *rig = slots_rig(2, 0, 64);
	uint32_t answered = 0;
	const char *head;

	set_groups(rig, 1, 1, 1);
	for (uint32_t looks = 1; looks <= LOOKS_MAX; looks++) {
		struct rig_client client[2];

		two_at_once(rig, client, looks);
		cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 1);
		cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 1);
		for (uint32_t i = 0; i < 2; i++) {
			struct rig_conn *conn = rig_asked(rig, &head);

			cr_assert_eq(answers_due(rig, answered++), 1);
			rig_answer(conn, "", 10);
		}
		for (uint32_t i = 0; i < 2; i++) {
			rig_expect_body(rig, &client[i], 10);
			rig_end(rig, &client[i]);
		}
	}
	rig_end_all(rig, NULL, 0);
}

Test(origin_slots, G17_who_was_too_late_at_one_origin_and_went_to_another_is_not_waited_for)
{
	struct rig *rig = slots_rig(2, 0, 64);
	const char *head;

	set_groups(rig, 2, 1, 1);
	for (uint32_t looks = 1; looks <= LOOKS_MAX; looks++) {
		struct rig_client client[3];
		struct rig_conn *conn[2];

		two_at_once(rig, client, looks);
		for (uint32_t i = 0; i < 2; i++) {
			struct rig_conn *asked = rig_asked(rig, &head);
			uint32_t path = (uint32_t)strtoul(head + sizeof("GET /") - 1, NULL, 10);

			conn[path != path_of(rig, 0, 10 * looks)] = asked;
		}
		get_of(rig, &client[2], "a.test", path_of(rig, 1, 10000 + 10 * looks));
		rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
		rig_answer(
			conn[1], "", 10); /* the other thread's, at the origin that both wanted */
		rig_answer(rig_asked(rig, &head), "", 10);
		rig_answer(conn[0], "", 10);
		for (uint32_t i = 0; i < 3; i++) {
			rig_expect_body(rig, &client[i], 10);
			rig_end(rig, &client[i]);
		}
	}
	rig_end_all(rig, NULL, 0);
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
	cr_expect_eq(rig_hist(HF_HIST_ORIGIN_QUEUE_TIMEOUT), 1);
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

/* ---- anything in any order: seeded ---- */

#define STORM_CLIENTS 60
#define STORM_STEPS   1500

struct storm {
	struct rig *rig;
	struct rig_client client[STORM_CLIENTS];
	bool is_used[STORM_CLIENTS];
	uint64_t seed;
	uint32_t asked;
};

static uint32_t storm_random(struct storm *storm, uint32_t below)
{
	storm->seed ^= storm->seed << 13;
	storm->seed ^= storm->seed >> 7;
	storm->seed ^= storm->seed << 17;
	return (uint32_t)(storm->seed >> 11) % below;
}

/* A client comes, or leaves, whatever has become of it. */
static void storm_client(struct storm *storm)
{
	uint32_t i = storm_random(storm, STORM_CLIENTS);

	if (storm->is_used[i])
		rig_end(storm->rig, &storm->client[i]);
	else
		get_of(storm->rig, &storm->client[i], storm_random(storm, 2) ? "a.test" : "b.test",
			storm->asked++);
	storm->is_used[i] = !storm->is_used[i];
}

static void storm_answer(struct storm *storm)
{
	const char *head;

	for (uint32_t i = 0; i < storm->rig->conns; i++) {
		const struct rig_conn *conn = &storm->rig->conn[i];

		if (conn->fd < 0 || !conn->in.data ||
			!strstr(conn->in.data + conn->seen, "\r\n\r\n"))
			continue;
		rig_answer(rig_asked(storm->rig, &head), "", 10);
		return;
	}
}

static uint32_t storm_in_flight(const struct storm *storm)
{
	return hf_origin_in_flight(storm->rig->origin) + hf_origin_in_flight(storm->rig->second);
}

static void storm_step(struct storm *storm)
{
	uint32_t what = storm_random(storm, 100);

	if (what < 1)
		set_groups(storm->rig, 1, 1 + storm_random(storm, 2), 1 + storm_random(storm, 2));
	else if (what < 50)
		storm_client(storm);
	else if (what < 80)
		storm_answer(storm);
	else
		rig_turn(storm->rig);
	cr_assert_leq(storm_in_flight(storm), 3);
	cr_assert_leq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 20);
}

Test(origin_slots,
	G17_in_storms_of_clients_answers_and_states_no_limit_is_passed_and_nobody_forgotten)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	uint64_t answered = 0;

	storm->seed = 88172645463325252ULL;
	storm->rig = slots_rig(2, 3, 20);
	set_groups(storm->rig, 1, 1, 2);
	for (uint32_t i = 0; i < STORM_STEPS && storm->rig->conns < RIG_CONNS_MAX - 20; i++)
		storm_step(storm);
	for (uint32_t i = 0; i < STORM_CLIENTS; i++) {
		struct rig_client *client = &storm->client[i];

		if (!storm->is_used[i])
			continue;
		rig_until(storm->rig,
			client->fail || client->read_len == 10 || (storm_answer(storm), false));
		answered += !client->fail;
		rig_end(storm->rig, client);
	}
	cr_expect_gt(answered, 0);
	rig_until(storm->rig, storm_in_flight(storm) == 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	rig_free(storm->rig); /* the gates are empty, too */
	free(storm);
}
