/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Groups of origins that fall silent or fail, and what stands in.
 */
#include "rig.h"

#define OLD "Cache-Control: max-age=90\r\n"
#define SIE "Cache-Control: max-age=90, stale-if-error=600\r\n"
#define NEW "HTTP/1.1 200 OK\r\nCache-Control: max-age=90\r\nContent-Length: 3\r\n\r\nnew"
#define BAD "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"

static struct rig *health_rig(uint32_t patience_ms, uint32_t failures)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.patience_ms = patience_ms;
	rig->conf.control_plane.failures = failures;
	rig->conf.control_plane.max_stale_s = 30;
	rig_up(rig, 64 << 20);
	return rig;
}

static void expect_stale(struct rig *rig, struct rig_client *client)
{
	rig_until(rig, client->head || client->fail);
	cr_assert(client->head, "failed with %u", client->xchg->fail_status);
	cr_expect(client->xchg->stale);
	rig_expect_body(rig, client, 1000);
}

static void fall(struct rig *rig, uint32_t failures)
{
	struct rig_client client;

	for (; failures > 0; failures--) {
		rig_get(rig, &client, "/fails", "");
		rig_reply(rig, BAD);
		rig_until(rig, rig_client_at_end(&client));
		rig_end(rig, &client);
	}
}

Test(origin_health, who_may_have_a_stale_one_does_not_wait_for_a_silent_group)
{
	struct rig *rig = health_rig(20, 1000);
	struct rig_client a, b, c;
	struct rig_conn *conn, *conn_b;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	rig_store(rig, "/b", SIE, 1000, 100);
	rig_get(rig, &a, "/a", "");
	expect_stale(rig, &a); /* after 20 ms */
	conn = rig_asked(rig, &head);
	rig_get(rig, &b, "/b", "");
	expect_stale(rig, &b); /* at once */
	conn_b = rig_asked(rig, &head);
	rig_say(conn, NEW);
	rig_until(rig, rig_lookup(rig, "/a", "")->length == 3);
	rig_end(rig, &b);
	rig_get(rig, &b, "/a", "");
	rig_until(rig, rig_client_at_end(&b));
	cr_expect_eq(b.body.len, 3, "the fetch went on, and what it brought is stored");
	rig_end(rig, &b);
	rig_say(conn_b, NEW);
	rig->conf.origin.patience_ms = 10000;
	rig_store(rig, "/c", SIE, 1000, 100);
	rig_get(rig, &c, "/c", "");
	rig_reply(rig, NEW);
	rig_until(rig, rig_client_at_end(&c));
	cr_expect_not(c.xchg->stale, "the group was heard");
	rig_end(rig, &c);
	rig_end(rig, &a);
	rig_free(rig);
}

Test(origin_health, one_slow_answer_of_a_group_that_is_heard_is_waited_for)
{
	struct rig *rig = health_rig(300, 1000);
	struct rig_client slow, other;
	struct rig_conn *conn;
	const char *head;
	uint64_t until_us;

	rig_store(rig, "/slow", SIE, 1000, 100);
	rig_get(rig, &slow, "/slow", "");
	conn = rig_asked(rig, &head);
	for (until_us = hf_clock_us() + 600000; hf_clock_us() < until_us;) {
		rig_get(rig, &other, "/other", "Cache-Control: no-store\r\n");
		rig_reply(rig, NEW);
		rig_until(rig, rig_client_at_end(&other));
		rig_end(rig, &other);
	}
	cr_expect_not(slow.head);
	rig_say(conn, NEW);
	rig_until(rig, rig_client_at_end(&slow));
	cr_expect_not(slow.xchg->stale);
	rig_end(rig, &slow);
	rig_free(rig);
}

Test(origin_health, suspicion_alone_serves_nothing_that_does_not_allow_it)
{
	struct rig *rig = health_rig(1, 1000);
	struct rig_client a;
	const char *head;
	struct rig_conn *conn;

	rig_store(rig, "/a", OLD, 1000, 100);
	rig_get(rig, &a, "/a", "");
	conn = rig_asked(rig, &head);
	rig_until(rig, rig->origin->view->group[0].health->suspect);
	rig_settle(rig);
	cr_expect_not(a.head);
	rig_say(conn, NEW);
	rig_until(rig, rig_client_at_end(&a));
	rig_end(rig, &a);
	rig_free(rig);
}

Test(origin_health,
	after_failures_in_a_row_nobody_waits_who_may_have_a_stale_one_until_an_answer_is_good)
{
	struct rig *rig = health_rig(10000, 2);
	struct rig_client a, late, b;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	rig_store(rig, "/late", OLD, 1000, 100);
	fall(rig, 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FALLBACKS), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_5XX), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 1);
	rig_get(rig, &a, "/a", "");
	expect_stale(rig, &a);
	cr_expect_eq(hf_stat_sum(HF_STAT_CACHE_STALE_LATCHED), 1);
	conn = rig_asked(rig, &head);
	rig_get(rig, &late, "/late", "");
	rig_settle(rig);
	cr_expect_not(late.head, "it allows nothing stale");
	rig_say(conn, NEW);
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN) == 0);
	rig_reply(rig, NEW);
	rig_until(rig, rig_client_at_end(&late));
	rig_store(rig, "/b", SIE, 1000, 100);
	rig_get(rig, &b, "/b", "");
	rig_reply(rig, NEW);
	rig_until(rig, rig_client_at_end(&b));
	cr_expect_not(b.xchg->stale);
	rig_end(rig, &a);
	rig_end(rig, &late);
	rig_end(rig, &b);
	rig_free(rig);
}

Test(origin_health, a_new_configuration_says_how_many_failures_are_enough)
{
	struct rig *rig = health_rig(10000, 1000);
	struct hf_conf conf = rig->conf;

	fall(rig, 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FALLBACKS), 0);
	conf.control_plane.failures = 3;
	hf_origin_conf_set(rig->origin, &conf);
	fall(rig, 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FALLBACKS), 1);
	rig_free(rig);
}

Test(origin_health, a_group_that_is_not_well_is_asked_a_few_things_at_a_time)
{
	enum { COUNT = 4 * ORIGIN_PROBES };
	struct rig *rig = health_rig(10000, 1);
	struct rig_client client[COUNT];
	char path[16];

	for (uint32_t i = 0; i < COUNT; i++) {
		(void)snprintf(path, sizeof(path), "/%u", i);
		rig_store(rig, path, SIE, 1000, 100);
	}
	fall(rig, 1);
	for (uint32_t i = 0; i < COUNT; i++) {
		(void)snprintf(path, sizeof(path), "/%u", i);
		rig_get(rig, &client[i], path, "");
		expect_stale(rig, &client[i]);
	}
	rig_settle(rig);
	cr_expect_eq(hf_origin_in_flight(rig->origin), ORIGIN_PROBES);
	for (uint32_t i = 0; i < COUNT; i++)
		rig_end(rig, &client[i]);
	rig_free(rig);
}

Test(origin_health, in_the_nodes_fallback_it_is_the_same_up_to_max_stale)
{
	struct rig *rig = health_rig(10000, 1000);
	struct rig_client a, late;

	rig_store(rig, "/a", OLD, 1000, 100);
	rig_store(rig, "/late", OLD, 1000, 121);
	hf_origin_mode_set(rig->origin, HF_MODE_FALLBACK);
	rig_get(rig, &a, "/a", "");
	expect_stale(rig, &a);
	cr_expect_eq(hf_stat_sum(HF_STAT_CACHE_STALE_FALLBACK), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_CACHE_STALE_LATCHED), 0);
	rig_get(rig, &late, "/late", "");
	rig_settle(rig);
	cr_expect_not(late.head, "more than max_stale past its lifetime");
	rig_end(rig, &a);
	rig_end(rig, &late);
	rig_free(rig);
}

Test(origin_health, with_an_expired_state_misses_are_refused_if_the_operator_wants_that)
{
	struct rig *rig = health_rig(10000, 1000);
	struct rig_client a;
	const char *head;

	hf_origin_mode_set(rig->origin, HF_MODE_EXPIRED);
	rig_get(rig, &a, "/a", "");
	(void)rig_asked(rig, &head);
	rig_end(rig, &a);
	rig->conf.control_plane.state_expired = HF_CONF_STATE_REJECT;
	rig_get(rig, &a, "/b", "");
	rig_until(rig, a.fail);
	cr_expect_eq(a.xchg->fail_status, 503);
	cr_expect_eq(a.xchg->fail_reason, HF_DROP_REQ_STATE_EXPIRED);
	rig_end(rig, &a);
	rig_free(rig);
}

Test(origin_health, a_new_state_forgets_nothing_about_a_group_that_fails)
{
	struct rig *rig = health_rig(10000, 2);
	struct hf_state *next = rig_state_for(rig, "a.test");
	struct rig_client a;

	rig_store(rig, "/a", SIE, 1000, 100);
	fall(rig, 1);
	hf_origin_state_set(rig->origin, next);
	hf_state_unref(next);
	fall(rig, 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 1);
	next = rig_state_for(rig, "a.test");
	hf_origin_state_set(rig->origin, next);
	hf_state_unref(next);
	rig_get(rig, &a, "/a", "");
	expect_stale(rig, &a);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 1);
	rig_end(rig, &a);
	rig_free(rig);
}

Test(origin_health, what_an_earlier_state_asked_counts_for_the_group_that_is_in_force)
{
	struct rig *rig = health_rig(10000, 1);
	struct hf_state *next = rig_state_for(rig, "a.test");
	struct rig_client slow, a;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	rig_get(rig, &slow, "/slow", "");
	conn = rig_asked(rig, &head);
	fall(rig, 1);
	hf_origin_state_set(rig->origin, next);
	hf_state_unref(next);
	rig_settle(rig);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 1);
	rig_say(conn, NEW);
	rig_until(rig, rig_client_at_end(&slow));
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 0);
	rig_get(rig, &a, "/a", "");
	rig_reply(rig, NEW);
	rig_until(rig, rig_client_at_end(&a));
	cr_expect_not(a.xchg->stale, "the group answers again");
	rig_end(rig, &slow);
	rig_end(rig, &a);
	rig_free(rig);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_GROUPS_FALLEN), 0);
}

static uint64_t failed(enum hf_stat stat, struct rig *rig, const char *answer)
{
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client, "/x", "");
	if (rig->listener >= 0) {
		conn = rig_asked(rig, &head);
		rig_say(conn, answer);
		conn->close_after = *answer;
	}
	rig_until(rig, client.fail || rig_client_cut(&client) || rig_client_at_end(&client));
	rig_end(rig, &client);
	return hf_stat_sum(stat);
}

Test(origin_health, each_kind_of_failure_is_counted)
{
	struct rig *rig = health_rig(10000, 1000);

	cr_expect_eq(failed(HF_STAT_ORIGIN_FAILED_5XX, rig, BAD), 1);
	rig->conf.origin.first_byte_timeout_ms = 30;
	cr_expect_eq(failed(HF_STAT_ORIGIN_FAILED_TIMEOUT, rig, ""), 1);
	rig->conf.origin.first_byte_timeout_ms = 10000;
	cr_expect_eq(failed(HF_STAT_ORIGIN_FAILED_RESET, rig, "garbage\r\n\r\n"), 1);
	(void)close(rig->listener);
	rig->listener = -1;
	cr_expect_eq(failed(HF_STAT_ORIGIN_FAILED_REFUSED, rig, ""), 1);
	rig_free(rig);
}

Test(origin_health, nobody_joins_a_fetch_that_hangs_and_its_answer_is_outdated)
{
	struct rig *rig = health_rig(20, 1000);
	struct rig_client a, b;
	struct rig_conn *hangs;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	rig_get(rig, &a, "/a", "");
	hangs = rig_asked(rig, &head);
	expect_stale(rig, &a);
	rig->conf.origin.patience_ms = 10000;
	rig->origin->view->group[0].health->suspect = false; /* another was heard */
	rig_get(rig, &b, "/a", "");
	rig_reply(rig, NEW);
	rig_until(rig, rig_client_at_end(&b));
	cr_expect_eq(b.body.len, 3);
	rig_say(hangs,
		"HTTP/1.1 200 OK\r\nCache-Control: max-age=90\r\nContent-Length: 4\r\n\r\nlate");
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_expect_eq(rig_lookup(rig, "/a", "")->length, 3);
	rig_end(rig, &a);
	rig_end(rig, &b);
	rig_free(rig);
}

Test(origin_health, a_fetch_for_nobody_ends_when_all_origins_are_silent)
{
	struct rig *rig = health_rig(20, 1000);
	struct rig_client a;
	const char *head;

	rig->conf.origin.fallback_timeout_ms = 50;
	rig_store(rig, "/a", SIE, 1000, 100);
	rig_get(rig, &a, "/a", "");
	expect_stale(rig, &a);
	(void)rig_asked(rig, &head);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_TIMEOUT), 1);
	rig_end(rig, &a);
	rig_free(rig);
}
