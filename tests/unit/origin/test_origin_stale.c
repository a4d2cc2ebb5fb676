/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stale responses: RFC 5861 (stale-if-error, stale-while-revalidate), RFC 9111 §4.2.4.
 */
#include "origin_answer.h"
#include "rig.h"

#define TAG   "ETag: \"a\"\r\n"
#define SIE   "Cache-Control: max-age=60, stale-if-error=600\r\n"
#define SWR   "Cache-Control: max-age=60, stale-while-revalidate=600\r\n"
#define ERROR "HTTP/1.1 503 No\r\nContent-Length: 3\r\nCache-Control: max-age=99\r\n\r\nbad"

static void expect_stale(struct rig *rig, struct rig_client *client, uint16_t fwd_status)
{
	rig_until(rig, client->head || client->fail);
	cr_assert(client->head, "failed with %u", client->xchg->fail_status);
	cr_assert_eq(client->xchg->obj->status, 200);
	cr_assert(client->xchg->stale);
	cr_assert_eq(client->xchg->local, fwd_status == 0);
	cr_assert_eq(client->xchg->fwd_status, fwd_status);
	rig_expect_body(rig, client, 1000);
}

/* ---- stale-if-error ---- */

Test(origin_stale, rfc5861_4_an_error_answer_is_neither_shown_nor_stored)
{
	static const uint16_t status[] = { 500, 502, 503, 504 };

	for (uint32_t i = 0; i < 4; i++) {
		struct rig *rig = rig_new();
		uint64_t before = hf_stat_sum(HF_STAT_CACHE_STALE_ERROR);
		struct rig_client client[3];
		struct rig_conn *conn;
		const char *head;
		char text[256];

		rig_store(rig, "/a", SIE TAG, 1000, 100);
		for (uint32_t k = 0; k < 3; k++)
			rig_get(rig, &client[k], "/a", "");
		conn = rig_asked(rig, &head);
		rig_settle(rig);
		(void)snprintf(text, sizeof(text),
			"HTTP/1.1 %u No\r\nContent-Length: 3\r\nCache-Control: max-age=99\r\n\r\n"
			"bad",
			status[i]);
		rig_say(conn, text);
		for (uint32_t k = 0; k < 3; k++)
			expect_stale(rig, &client[k], status[i]);
		cr_assert_eq(rig_requests(rig), 2);
		cr_assert_eq(rig_lookup(rig, "/a", "")->status, 200);
		cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_STALE_ERROR), before + 3);
		rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
		cr_assert(!conn->eof, "its rest was read: the connection is good still");
		rig_end_all(rig, client, 3);
	}
}

Test(origin_stale, rfc5861_4_other_errors_are_shown)
{
	static const uint16_t status[] = { 404, 429, 501 };

	for (uint32_t i = 0; i < 3; i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		char text[256];

		rig_store(rig, "/a", SIE TAG, 1000, 100);
		rig_get(rig, &client, "/a", "");
		(void)snprintf(text, sizeof(text), "HTTP/1.1 %u No\r\nContent-Length: 0\r\n\r\n",
			status[i]);
		rig_reply(rig, text);
		rig_until(rig, rig_client_at_end(&client));
		cr_assert_eq(client.xchg->obj->status, status[i]);
		cr_assert(!client.xchg->stale);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_stale, rfc5861_4_refused_and_cut_and_garbage)
{
	static const char *const answer[] = { NULL, "", "HTTP/1.1 200 OK\r\nContent-Le",
		"what\r\n" };

	for (uint32_t i = 0; i < 4; i++) {
		struct rig *rig = rig_new();
		uint64_t before = hf_stat_sum(HF_STAT_CACHE_STALE_FAILED);
		struct rig_client client[2];
		struct rig_conn *conn;
		const char *head;

		rig_store(rig, "/a", SIE TAG, 1000, 100);
		if (!answer[i]) {
			(void)close(rig->listener);
			rig->listener = -1;
			rig_conn_close(&rig->conn[0]);
		}
		rig_get(rig, &client[0], "/a", "");
		rig_get(rig, &client[1], "/a", "");
		if (answer[i]) {
			/* a kept connection that breaks is tried once more, on a new one */
			conn = rig_asked(rig, &head);
			if (!*answer[i]) {
				rig_conn_close(conn);
				conn = rig_asked(rig, &head);
			}
			rig_say(conn, answer[i]);
			conn->close_after = true;
		}
		expect_stale(rig, &client[0], 0);
		expect_stale(rig, &client[1], 0);
		cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_STALE_FAILED), before + 2);
		rig_end_all(rig, client, 2);
	}
}

static struct rig *rig_with(void (*change)(struct hf_conf *conf))
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	change(&rig->conf);
	rig_up(rig, 64 << 20);
	return rig;
}

static void change_first_byte(struct hf_conf *conf)
{
	conf->origin.first_byte_timeout_ms = 50;
}

Test(origin_stale, rfc5861_4_a_late_head)
{
	struct rig *rig = rig_with(change_first_byte);
	struct rig_client client;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client, "/a", "");
	expect_stale(rig, &client, 0);
	cr_assert_eq(rig_requests(rig), 2);
	rig_end_all(rig, &client, 1);
}

static void change_slots(struct hf_conf *conf)
{
	conf->origin.max_in_flight = 1;
	conf->origin.queue_timeout_ms = 50;
	conf->origin.max_queue = 1;
}

Test(origin_stale, rfc5861_4_no_slot_in_time_and_a_full_queue)
{
	struct rig *rig = rig_with(change_slots);
	struct rig_client client[4];
	const char *head;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_store(rig, "/b", SIE TAG, 1000, 100);
	rig_get(rig, &client[0], "/slow", "");
	(void)rig_asked(rig, &head);
	rig_get(rig, &client[1], "/a", "");
	rig_get(rig, &client[2], "/b", "");
	rig_get(rig, &client[3], "/c", "");
	expect_stale(rig, &client[2], 0); /* no place in the queue */
	expect_stale(rig, &client[1], 0); /* no slot */
	rig_until(rig, client[3].fail);
	rig_end_all(rig, client, 4);
}

static void expect_error(const char *stored, uint32_t older_s, const char *request)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", stored, 1000, older_s);
	rig_get(rig, &client, "/a", request);
	rig_reply(rig, ERROR);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 503, "%s %s", stored, request);
	cr_assert(!client.xchg->stale && !client.xchg->local);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, rfc9111_4_2_4_never_where_the_response_forbids_it)
{
	expect_error(
		"Cache-Control: max-age=60, stale-if-error=600, must-revalidate\r\n" TAG, 100, "");
	expect_error(
		"Cache-Control: max-age=60, stale-if-error=600, proxy-revalidate\r\n" TAG, 100, "");
	expect_error("Cache-Control: s-maxage=60, stale-if-error=600\r\n" TAG, 100, "");
	expect_error("Cache-Control: no-cache, stale-if-error=600\r\n" TAG, 100, "");
	expect_error("Cache-Control: max-age=60, stale-if-error=600, must-revalidate\r\n" TAG, 100,
		"Cache-Control: stale-if-error=600\r\n");
}

Test(origin_stale, rfc5861_4_never_outside_the_window)
{
	expect_error(SIE TAG, 700, "");
	expect_error(RIG_FRESH TAG, 100, "");
	expect_error(RIG_FRESH TAG, 60, "");
}

Test(origin_stale, rfc5861_4_the_window_of_a_soft_purged_one_begins_with_the_purge)
{
	for (uint32_t since_s = 500; since_s <= 700; since_s += 200) {
		struct rig *rig = rig_new();
		struct rig_client client;

		rig_store(rig, "/a", "Cache-Control: max-age=6000, stale-if-error=600\r\n", 1000,
			100);
		hf_obj_make_stale(rig_lookup(rig, "/a", ""), rig->origin->now_us);
		rig_lookup(rig, "/a", "")->born_us -= since_s * 1000000LL;
		rig_get(rig, &client, "/a", "");
		rig_reply(rig, ERROR);
		if (since_s < 600)
			expect_stale(rig, &client, 503);
		else
			rig_until(rig, rig_client_at_end(&client));
		cr_assert_eq(client.xchg->obj->status, since_s < 600 ? 200 : 503);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_stale, rfc9111_5_2_1_4_never_where_the_request_says_no_cache)
{
	expect_error(SIE TAG, 100, "Cache-Control: no-cache\r\n");
}

Test(origin_stale,
	rfc5861_4_an_error_that_one_client_had_to_get_does_not_replace_what_others_may_have)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client, "/a", "Cache-Control: no-cache\r\n");
	rig_reply(rig, ERROR);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 503);
	cr_assert(!client.xchg->stored);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(rig_lookup(rig, "/a", "")->status, 200);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, an_error_is_stored_where_nothing_can_stand_for_it)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", RIG_FRESH TAG, 1000, 100);
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, ERROR);
	rig_until(rig, rig_client_at_end(&client));
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(rig_lookup(rig, "/a", "")->status, 503);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, rfc9111_3_5_not_for_credentials_without_leave)
{
	expect_error(SIE TAG, 100, "Authorization: Basic eA==\r\n");
}

Test(origin_stale, rfc5861_4_the_request_may_say_it_as_well)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", RIG_FRESH TAG, 1000, 100);
	rig_get(rig, &client, "/a", "Cache-Control: stale-if-error=600\r\n");
	rig_reply(rig, ERROR);
	expect_stale(rig, &client, 503);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, each_reader_gets_what_its_request_allows)
{
	struct rig *rig = rig_new();
	struct rig_client client[3];
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client[0], "/a", "Cache-Control: no-cache\r\n");
	rig_get(rig, &client[1], "/a", "");
	rig_get(rig, &client[2], "/a", "Cache-Control: no-cache\r\n");
	conn = rig_asked(rig, &head);
	rig_settle(rig);
	rig_say(conn, ERROR);
	expect_stale(rig, &client[1], 503);
	rig_until(rig, rig_client_at_end(&client[0]));
	cr_assert_eq(client[0].xchg->obj->status, 503);
	cr_assert(!client[0].xchg->stored);
	rig_reply(rig, ERROR); /* asked for itself */
	rig_until(rig, rig_client_at_end(&client[2]));
	cr_assert_eq(client[2].xchg->obj->status, 503);
	cr_assert_eq(rig_requests(rig), 3);
	rig_end_all(rig, client, 3);
}

Test(origin_stale, head_and_allowed_credentials_get_it_too)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];

	rig_store(rig, "/a", "Cache-Control: public, max-age=60, stale-if-error=600\r\n" TAG, 1000,
		100);
	rig_start_text(rig, &client[0], "HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_reply(rig, "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\n");
	client[0].eager = true;
	expect_stale(rig, &client[0], 503);
	rig_get(rig, &client[1], "/a", "Authorization: Basic eA==\r\n");
	rig_reply(rig, ERROR);
	expect_stale(rig, &client[1], 503);
	rig_end_all(rig, client, 2);
}

Test(origin_stale, unsafe_requests_get_the_error)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_start_text(rig, &client, "POST /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	client.eager = true;
	rig_reply(rig, ERROR);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 503);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, a_long_error_is_cut)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;
	char *body = rig_body(1 << 20);

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 500 No\r\nContent-Length: 1048576\r\n\r\n");
	rig_buf_add(&conn->out, body, 1 << 20);
	expect_stale(rig, &client, 500);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	rig_until(rig, conn->eof);
	free(body);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, g3_what_was_purged_meanwhile_is_not_served)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert_eq(origin_purge_key(rig->origin, &client.xchg->key, /* soft= */ false), 1);
	rig_say(conn, ERROR);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 503);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, a_body_that_is_cut_is_cut)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", SIE TAG, 1000, 100);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" RIG_FRESH "\r\nabc");
	conn->close_after = true;
	rig_until(rig, rig_client_cut(&client));
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 1000, "what was whole stays");
	rig_end_all(rig, &client, 1);
}

/* ---- stale-while-revalidate ---- */

/* A stale one for which a worker asked for a refresh. */
static struct hf_obj *refresh(struct rig *rig, struct rig_client *client)
{
	struct hf_obj *obj;

	rig_store(rig, "/a", SWR TAG, 1000, 100);
	obj = rig_lookup(rig, "/a", "");
	cr_assert(hf_obj_refresh_take(obj, hf_clock_us()));
	rig_refresh(rig, client, "/a", "");
	return obj;
}

Test(origin_stale, rfc5861_3_a_refresh_is_a_validation_that_nobody_waits_for)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	(void)refresh(rig, &client);
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"a\""));
	cr_assert(!client.gone);
	rig_say(conn, "HTTP/1.1 304 Not Modified\r\n" TAG "\r\n");
	rig_until(rig, client.gone);
	cr_assert(!client.head && !client.fail);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(
		hf_obj_use(rig_lookup(rig, "/a", ""), NULL, hf_clock_us()), HF_CACHE_USE_FRESH);
	cr_assert_neq(rig_lookup(rig, "/a", "")->refreshing, HF_OBJ_REFRESH_ON);
	rig_free(rig);
}

Test(origin_stale, rfc5861_3_a_refresh_stores_the_new_one)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	(void)refresh(rig, &client);
	rig_answer(rig_asked(rig, &head), SWR, 2000);
	rig_until(rig, client.gone);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 2000);
	rig_free(rig);
}

static void expect_tried_again(const char *answer, bool stays)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	(void)refresh(rig, &client);
	conn = rig_asked(rig, &head);
	rig_say(conn, answer);
	conn->close_after = true;
	rig_until(rig, client.gone);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(rig_lookup(rig, "/a", "") != NULL, stays, "%s", answer);
	cr_assert(!stays || rig_lookup(rig, "/a", "")->refreshing != HF_OBJ_REFRESH_ON);
	rig_free(rig);
}

Test(origin_stale, rfc5861_3_a_refresh_that_failed_is_tried_again_by_a_later_hit)
{
	expect_tried_again("HTTP/1.1 200 OK\r\nContent-L", true);
	expect_tried_again("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", true);
	expect_tried_again(
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nCache-Control: max-age=9\r\n\r\nabc",
		true);
}

Test(origin_stale, rfc9111_4_3_3_a_refresh_that_may_not_be_stored_takes_the_stale_one_away)
{
	expect_tried_again(
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nCache-Control: no-store\r\n\r\nabc",
		false);
	expect_tried_again("HTTP/1.1 304 Not Modified\r\nCache-Control: private\r\n\r\n", false);
}

Test(origin_stale, a_refresh_that_failed_is_tried_again_in_another_second)
{
	struct hf_obj obj = { 0 };

	cr_assert(hf_obj_refresh_take(&obj, 0));
	cr_assert(!hf_obj_refresh_take(&obj, 0) && !hf_obj_refresh_take(&obj, 9000000));
	for (uint64_t at_us = 0; at_us < 600000000; at_us += 1000000) {
		hf_obj_refresh_put(&obj, at_us);
		cr_assert(!hf_obj_refresh_take(&obj, at_us + 999999));
		cr_assert(hf_obj_refresh_take(&obj, at_us + 1000000));
		cr_assert(!hf_obj_refresh_take(&obj, at_us + 2000000));
	}
}

Test(origin_stale, clients_join_a_refresh)
{
	struct rig *rig = rig_new();
	struct rig_client client, waits;
	struct rig_conn *conn;
	const char *head;

	(void)refresh(rig, &client);
	conn = rig_asked(rig, &head);
	rig_get(rig, &waits, "/a", "Cache-Control: max-age=5\r\n");
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2);
	rig_answer(conn, SWR, 2000);
	rig_until(rig, rig_client_at_end(&waits) && client.gone);
	cr_assert_eq(waits.read_len, 2000);
	rig_end_all(rig, &waits, 1);
}

Test(origin_stale, clients_who_joined_a_refresh_that_failed_get_the_stale_one)
{
	struct rig *rig = rig_new();
	struct rig_client client, waits[2];
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a",
		"Cache-Control: max-age=60, stale-while-revalidate=600, stale-if-error=600\r\n" TAG,
		1000, 100);
	rig_refresh(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	rig_get(rig, &waits[0], "/a", "Cache-Control: max-age=5\r\n");
	rig_get(rig, &waits[1], "/a", "Cache-Control: no-cache\r\n");
	rig_settle(rig);
	rig_say(conn, ERROR);
	expect_stale(rig, &waits[0], 503);
	cr_assert(client.gone);
	rig_reply(rig, ERROR);
	rig_until(rig, rig_client_at_end(&waits[1]));
	cr_assert_eq(waits[1].xchg->obj->status, 503);
	cr_assert_eq(rig_requests(rig), 3);
	rig_end_all(rig, waits, 2);
}

Test(origin_stale, clients_who_joined_a_refresh_get_no_answer_that_was_not_for_them)
{
	struct rig *rig = rig_new();
	struct rig_client client, waits;
	struct rig_conn *conn;
	const char *head;

	(void)refresh(rig, &client);
	conn = rig_asked(rig, &head);
	rig_get(rig, &waits, "/a", "Cache-Control: max-age=5\r\n");
	rig_settle(rig);
	rig_answer(conn, "Cache-Control: private\r\n", 2000);
	conn = rig_asked(rig, &head);
	cr_assert(client.gone && !waits.head);
	rig_answer(conn, "Cache-Control: private\r\n", 3000);
	rig_until(rig, rig_client_at_end(&waits));
	cr_assert_eq(waits.read_len, 3000);
	rig_end_all(rig, &waits, 1);
}

Test(origin_stale, a_refresh_joins_nothing_but_leaves_it_to_the_fetch_under_way)
{
	struct rig *rig = rig_new();
	struct rig_client client, waits;
	struct rig_conn *conn;
	struct hf_obj *obj;
	const char *head;

	rig_store(rig, "/a", SWR TAG, 1000, 100);
	obj = rig_lookup(rig, "/a", "");
	rig_get(rig, &waits, "/a", "Cache-Control: max-age=5\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(hf_obj_refresh_take(obj, hf_clock_us()));
	rig_refresh(rig, &client, "/a", "");
	rig_until(rig, client.gone);
	cr_assert_eq(obj->refreshing, HF_OBJ_REFRESH_ON);
	rig_say(conn, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, waits.head);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert_neq(obj->refreshing, HF_OBJ_REFRESH_ON);
	rig_end_all(rig, &waits, 1);
}

Test(origin_stale, a_refresh_of_what_is_fresh_by_now_asks_nobody)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/a", SWR TAG, 1000, 0);
	cr_assert(hf_obj_refresh_take(rig_lookup(rig, "/a", ""), hf_clock_us()));
	rig_refresh(rig, &client, "/a", "");
	rig_until(rig, client.gone);
	cr_assert_neq(rig_lookup(rig, "/a", "")->refreshing, HF_OBJ_REFRESH_ON);
	cr_assert_eq(rig_requests(rig), 1);
	rig_free(rig);
}

Test(origin_stale, a_refresh_that_finds_no_place_is_tried_again)
{
	struct rig *rig = rig_with(change_slots);
	struct rig_client slow[2], client;
	const char *head;

	rig_store(rig, "/a", SWR TAG, 1000, 100);
	rig->conf.origin.queue_timeout_ms = 100000;
	rig_get(rig, &slow[0], "/slow", "");
	(void)rig_asked(rig, &head);
	rig_get(rig, &slow[1], "/queued", "");
	cr_assert(hf_obj_refresh_take(rig_lookup(rig, "/a", ""), hf_clock_us()));
	rig_refresh(rig, &client, "/a", "");
	rig_until(rig, client.gone);
	cr_assert_neq(rig_lookup(rig, "/a", "")->refreshing, HF_OBJ_REFRESH_ON);
	rig_end_all(rig, slow, 2);
}

/* ---- keys that are remembered as not to be stored ---- */

Test(origin_stale, rfc9110_14_2_conditions_and_ranges_pass_where_nothing_is_stored)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client[0], "/a", "Range: bytes=0-1\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "Range:"), "the first is asked for whole");
	rig_answer(conn, "Cache-Control: private\r\n", 1000);
	rig_until(rig, rig_client_at_end(&client[0]));
	rig_get(rig, &client[1], "/a", "Range: bytes=0-1\r\nIf-Range: \"a\"\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "Range: bytes=0-1\r\n"));
	cr_assert(rig_head_has(head, "If-Range: \"a\"\r\n"));
	rig_say(conn, "HTTP/1.1 206 Part\r\nContent-Length: 2\r\nCache-Control: max-age=9\r\n"
		      "Content-Range: bytes 0-1/1000\r\n\r\nab");
	rig_until(rig, rig_client_at_end(&client[1]));
	cr_assert_eq(client[1].xchg->obj->status, 206);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_end_all(rig, client, 2);
}

#define HUGE_200 "HTTP/1.1 200 OK\r\n" RIG_FRESH "Content-Length: 10000000\r\nETag: \"e\"\r\n\r\n"

/* The first and only request for a range of what is too large to be stored. */
static struct rig_conn *ask_huge(struct rig *rig, struct rig_client *client, const char *fields)
{
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, client, "/a", fields);
	conn = rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "Range:"));
	rig_say(conn, HUGE_200);
	return conn;
}

Test(origin_stale, rfc9110_14_2_the_origin_skips_to_a_range_far_into_what_is_not_stored)
{
	struct rig *rig = rig_new();
	struct rig_client client[3];
	struct rig_conn *conn[2];
	const char *head;

	rig_get(rig, &client[1], "/a", "Range: bytes=9000000-9000001\r\nIf-Range: \"e\"\r\n");
	conn[0] = rig_asked(rig, &head);
	rig_get(rig, &client[0], "/a", ""); /* waits, and is for the whole */
	rig_get(rig, &client[2], "/a", "Range: bytes=-2\r\n");
	rig_settle(rig);
	rig_say(conn[0], HUGE_200);
	for (uint32_t i = 0; i < 3; i++) {
		conn[1] = rig_asked(rig, &head);
		if (rig_head_has(head, "Range: bytes=9000000-9000001\r\nIf-Range: \"e\"\r\n")) {
			rig_say(conn[1], "HTTP/1.1 206 P\r\nContent-Length: 2\r\n"
					 "Content-Range: bytes 9000000-9000001/10000000\r\n\r\nab");
		} else if (rig_head_has(head, "Range: bytes=-2\r\n")) {
			rig_say(conn[1], "HTTP/1.1 416 N\r\nContent-Length: 0\r\n"
					 "Content-Range: bytes */1\r\n\r\n");
		} else {
			rig_say(conn[1], HUGE_200);
		}
	}
	rig_until(rig, client[0].head && client[1].head && client[2].head);
	cr_assert_eq(client[0].xchg->obj->status, 200);
	cr_assert_eq(client[1].xchg->obj->status, 206);
	cr_assert_eq(client[2].xchg->obj->status, 416);
	rig_until(rig, rig_client_at_end(&client[1]));
	cr_assert_eq(client[1].read_len, 2);
	/* of the first answer nobody wants more: its connection ends */
	while (!conn[0]->eof) {
		rig_buf_add(&conn[0]->out, HUGE_200, sizeof(HUGE_200) - 1);
		rig_turn(rig);
	}
	rig_end_all(rig, client, 3);
}

Test(origin_stale, a_range_near_the_beginning_is_cut_from_the_stream)
{
	static const char *const ranges[] = { "Range: bytes=100-9999999\r\n",
		"Range: bytes=9000000-9000001,0-1\r\n",
		"Range: bytes=9000000-\r\nIf-Range: \"f\"\r\n", "Range: bytes=10000000-\r\n" };

	for (uint32_t i = 0; i < HF_ARRAY_LEN(ranges); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;

		(void)ask_huge(rig, &client, ranges[i]);
		rig_until(rig, client.head);
		cr_assert_eq(client.xchg->obj->status, 200);
		cr_assert_eq(rig_requests(rig), 1);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_stale, an_origin_without_ranges_is_asked_for_one_once)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *first;
	const char *head;

	first = ask_huge(rig, &client, "Range: bytes=9000000-9000001\r\n");
	rig_say(rig_asked(rig, &head), HUGE_200);
	cr_assert(rig_head_has(head, "Range: bytes=9000000-9000001\r\n"));
	rig_until(rig, client.head);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2);
	first->close_after = true; /* its rest does not come */
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, a_304_to_conditions_that_passed_is_the_client_s)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, "/a", "");
	rig_answer(rig_asked(rig, &head), "Cache-Control: private\r\n", 1000);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_get(rig, &client, "/a", "If-None-Match: \"a\"\r\n");
	rig_reply(rig, "HTTP/1.1 304 Not Modified\r\n\r\n");
	rig_until(rig, client.head);
	cr_assert_eq(client.xchg->obj->status, 304);
	rig_end_all(rig, &client, 1);
}

Test(origin_stale, what_is_validated_each_time_is_asked_for_whole)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, "/a", "");
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-cache\r\n" TAG, 1000);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(hf_shard_purge(rig->shard, &client.xchg->key, /* soft= */ false), 1);
	cr_assert(origin_memo_find(rig->origin, client.xchg->key.hash));
	rig_end(rig, &client);
	rig_get(rig, &client, "/a", "If-None-Match: \"b\"\r\n");
	(void)rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "If-None-Match"));
	rig_end_all(rig, &client, 1);
}
