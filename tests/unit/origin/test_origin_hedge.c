/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A GET that is slow to be answered is asked at a second origin, too.
 */
#include "rig.h"

#define SECOND "HTTP/1.1 200 OK\r\n" RIG_FRESH "Content-Length: 6\r\n\r\nsecond"
#define BAD    "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad"

static struct rig *hedge_rig(uint32_t after_ms, uint32_t max_in_flight, const char *ids)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.hedge_after_ms = after_ms;
	rig->conf.origin.max_in_flight = max_in_flight;
	rig_up(rig, 64 << 20);
	rig_group(rig, "", ids);
	rig_settle(rig);
	return rig;
}

/* Asked twice: at FIRST, then at SECOND. */
static struct rig *hedged(
	struct rig_client *client, struct rig_conn **ret_first, struct rig_conn **ret_second)
{
	struct rig *rig = hedge_rig(1, 0, "ab");
	const char *head;

	rig_get(rig, client, "/a", "");
	*ret_first = rig_asked(rig, &head);
	cr_expect(rig_head_has(head, "Host: a.test"));
	*ret_second = rig_asked(rig, &head);
	cr_expect(rig_head_has(head, "Host: a.test"));
	cr_expect(*ret_first != *ret_second);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 2, "each has a slot");
	return rig;
}

static void expect_one_fetch(
	struct rig *rig, struct rig_client *client, enum hf_stat outcome, enum hf_stat hedge)
{
	rig_end(rig, client);
	rig_until(rig, hf_list_empty(&rig->origin->all));
	cr_expect_eq(hf_origin_in_flight(rig->origin), 0);
	cr_expect_eq(rig->origin->slots_used, 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 2);
	for (enum hf_stat i = HF_STAT_ORIGIN_FETCH_SUCCESS; i <= HF_STAT_ORIGIN_FETCH_ERROR; i++)
		cr_expect_eq(hf_stat_sum(i), i == outcome);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_HEDGE_WON), hedge == HF_STAT_ORIGIN_HEDGE_WON);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_HEDGE_LOST), hedge == HF_STAT_ORIGIN_HEDGE_LOST);
	for (uint32_t i = 0; i < 2; i++)
		cr_expect_eq(rig_peer(rig, i)->in_flight, 0);
	rig_free(rig);
}

Test(origin_hedge, the_second_answers_first_and_the_first_is_cut)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	rig_say(second, SECOND);
	rig_until(rig, rig_client_at_end(&client));
	cr_expect_str_eq(client.body.data, "second");
	rig_until(rig, first->eof);
	cr_expect(rig_lookup(rig, "/a", ""), "it is stored");
	expect_one_fetch(rig, &client, HF_STAT_ORIGIN_FETCH_SUCCESS, HF_STAT_ORIGIN_HEDGE_WON);
}

Test(origin_hedge, the_first_answers_after_all_and_its_body_is_whole)
{
	for (uint32_t len = 0; len < 3 << 20; len += 1 << 20) {
		struct rig_client client;
		struct rig_conn *first, *second;
		struct rig *rig = hedged(&client, &first, &second);

		rig_answer(first, RIG_FRESH, len);
		rig_expect_body(rig, &client, len);
		rig_until(rig, second->eof);
		cr_expect(rig_lookup(rig, "/a", ""));
		rig_end(rig, &client);
		cr_expect_eq(hf_origin_in_flight(rig->origin), 0);
		rig_free(rig);
	}
}

Test(origin_hedge, a_stream_of_the_first_is_whole_too)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	rig_answer(first, "Cache-Control: no-store\r\n", 3 << 20);
	rig_expect_body(rig, &client, 3 << 20);
	expect_one_fetch(rig, &client, HF_STAT_ORIGIN_FETCH_SUCCESS, HF_STAT_ORIGIN_HEDGE_LOST);
}

Test(origin_hedge, the_connection_of_the_first_is_good_for_the_next)
{
	struct rig_client client;
	struct rig_conn *first, *second, *third;
	struct rig *rig = hedged(&client, &first, &second);
	const char *head;

	rig_answer(first, RIG_FRESH, 10);
	rig_expect_body(rig, &client, 10);
	rig_end(rig, &client);
	rig->conf.origin.hedge_after_ms = 0;
	rig_get(rig, &client, "/b", "");
	third = rig_asked(rig, &head);
	cr_expect_eq(third, first);
	rig_answer(third, RIG_FRESH, 20);
	rig_expect_body(rig, &client, 20);
	rig_end(rig, &client);
	rig_free(rig);
}

/* By a cut, and by an error. */
Test(origin_hedge, the_second_fails_and_the_first_goes_on)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct rig_client client;
		struct rig_conn *first, *second;
		struct rig *rig;

		rig = hedged(&client, &first, &second);
		rig->conf.origin.retries = 3;
		if (i)
			rig_say(second, BAD);
		else
			rig_conn_close(second);
		rig_until(rig, rig_peer(rig, 1)->failures + rig_peer(rig, 0)->failures);
		rig_until(rig, hf_origin_in_flight(rig->origin) == 1);
		cr_expect(!client.head && !client.fail);
		rig_answer(first, RIG_FRESH, 10);
		rig_expect_body(rig, &client, 10);
		rig_end(rig, &client);
		rig_free(rig);
	}
}

Test(origin_hedge, the_first_fails_and_the_second_goes_on)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct rig_client client;
		struct rig_conn *first, *second;
		struct rig *rig = hedged(&client, &first, &second);

		if (i)
			rig_say(first, BAD);
		else
			rig_conn_close(first);
		rig_until(rig, hf_origin_in_flight(rig->origin) == 1);
		cr_expect(!client.head && !client.fail);
		rig_say(second, SECOND);
		rig_until(rig, rig_client_at_end(&client));
		cr_expect_str_eq(client.body.data, "second");
		rig_end(rig, &client);
		rig_free(rig);
	}
}

Test(origin_hedge, both_fail_and_it_is_one_failed_fetch)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	rig_conn_close(first);
	rig_conn_close(second);
	rig_until(rig, client.fail);
	cr_expect_eq(client.xchg->fail_status, 502);
	expect_one_fetch(rig, &client, HF_STAT_ORIGIN_FETCH_ERROR, HF_STAT_ORIGIN_HEDGE_LOST);
}

Test(origin_hedge, both_are_late_and_it_is_one_late_fetch)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	struct hf_timer *timer =
		&HF_CONTAINER_OF(hf_list_first(&rig->origin->all), struct origin_fetch, all_link)
			 ->timer;

	cr_assert_eq(timer->kind, ORIGIN_TIMER_FIRST_BYTE);
	hf_timer_del(rig->origin->wheel, timer);
	hf_timer_set(rig->origin->wheel, timer, rig->origin->now_us);
	rig_until(rig, client.fail);
	cr_expect_eq(client.xchg->fail_status, 504);
	expect_one_fetch(rig, &client, HF_STAT_ORIGIN_FETCH_TIMEOUT, HF_STAT_ORIGIN_HEDGE_LOST);
}

Test(origin_hedge, its_client_leaves_and_both_are_cut)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	rig_finish(rig, &client);
	rig_until(rig, client.gone);
	rig_until(rig, first->eof && second->eof);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_CANCELED), 1);
	rig_free(rig);
}

Test(origin_hedge, what_is_under_way_is_freed_with_the_origin)
{
	struct rig_client client;
	struct rig_conn *first, *second;
	struct rig *rig = hedged(&client, &first, &second);

	rig_say(first, "HTTP/1.1 200 OK\r\nContent-Le");
	rig_settle(rig);
	rig_free(rig);
}

static void expect_single(struct rig *rig, const char *request)
{
	struct rig_client client;
	const char *head;
	struct rig_conn *conn;

	rig_start_text(rig, &client, request);
	conn = rig_asked(rig, &head);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 1);
	rig_answer(conn, RIG_FRESH, 10);
	rig_until(rig, client.head);
	rig_end(rig, &client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_HEDGE_WON), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_HEDGE_LOST), 0);
	rig_free(rig);
}

#define A_GET "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"

Test(origin_hedge, it_is_off_by_default)
{
	expect_single(hedge_rig(0, 0, "ab"), A_GET);
}

Test(origin_hedge, a_group_of_one_has_no_second)
{
	expect_single(hedge_rig(1, 0, "a"), A_GET);
}

Test(origin_hedge, other_methods_are_asked_once)
{
	expect_single(hedge_rig(1, 0, "ab"), "DELETE /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
}

Test(origin_hedge, without_a_slot_there_is_no_second)
{
	expect_single(hedge_rig(1, 1, "ab"), A_GET);
}

Test(origin_hedge, without_a_token_there_is_no_second)
{
	struct rig *rig = hedge_rig(1, 0, "ab");

	rig->origin->retries.tokens = 0;
	rig->origin->retries.filled_us = rig->origin->now_us;
	expect_single(rig, A_GET);
}
