/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Clients that read slowly or not at all: the least rate, and who goes when they keep what others need.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "serve_priv.h"
#include "serve_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define URL(path) "http://a.example" path

static struct rig rig;

static void setup(void)
{
	rig_open(&rig);
}

static void teardown(void)
{
	rig_close(&rig);
}

TestSuite(serve_slow, .init = setup, .fini = teardown);

static uint64_t dropped(enum hf_drop reason)
{
	return hf_stat_own->drop[reason];
}

/* ---- http.body_rate ---- */

Test(serve_slow, who_takes_nothing_for_ten_seconds_is_reset)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/big"), 300000, 600);
	rig_send_deaf(&rig, client, GET("/big"));
	rig_wait_deaf(&rig, 9900000);
	cr_assert(!client->rst);
	rig_wait_deaf(&rig, 200000);
	cr_assert(client->rst);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), 1);
}

Test(serve_slow, small_requests_and_pieces_of_heads_do_not_stop_the_watch)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/big"), 300000, 600);
	rig_store(&rig, URL("/small"), 10, 600);
	rig_send_deaf(&rig, client, GET("/big"));
	rig_wait_deaf(&rig, 4000000);
	rig_send_deaf(&rig, client, GET("/small"));
	rig_wait_deaf(&rig, 4000000);
	rig_send_deaf(&rig, client, "GET /sm");
	rig_wait_deaf(&rig, 2100000);
	cr_assert(client->rst);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), 1);
}

Test(serve_slow, an_honest_slow_reader_who_pipelines_gets_everything)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/big"), 190000, 600);
	rig_send_deaf(&rig, client, GET("/big") GET("/big"));
	/* 2000 bytes a second, longer than the idle timeout */
	for (int s = 0; s < 100; s++) {
		rig_wait_deaf(&rig, 1000000);
		rig_ack(&rig, client, 2000);
		cr_assert(!client->rst && !client->fin, "%d s", s);
	}
	rig_settle(&rig);
	cr_assert_gt(client->out_len, 2 * 190000);
	rig_wait(&rig, 59000000);
	cr_assert(!client->fin, "idle from the last byte on");
	rig_wait(&rig, 2000000);
	cr_assert(client->fin);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), 0);
}

/* An event each two seconds, of which one happens to be under way when the rate is looked at. */
Test(serve_slow, an_origin_that_sends_little_is_not_the_clients_fault)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, GET("/events"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
	for (int i = 0; i < 12; i++) {
		cr_assert_eq(hf_shard_fill(rig.shard, obj, "event\n", 6), 6);
		rig_more_deaf(&rig, xchg);
		rig_wait_deaf(&rig, 1900000);
		cr_assert(!client->rst);
		rig_settle(&rig);
		rig_wait(&rig, 100000);
	}
	hf_shard_fill_fail(rig.shard, obj);
	rig_more(&rig, xchg);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

/* ---- pressure ---- */

/* Each client asks for an object of its own; together they fill the cache, and all are purged. */
static void slow_hold(void)
{
	char url[64], get[96];

	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		rig_connect(&rig, i);
	for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
		struct hf_key key = { .ptr = url };

		key.len = (uint32_t)snprintf(url, sizeof(url), URL("/%u"), i);
		key.hash = hf_cache_hash(rig.cache, url, key.len);
		(void)snprintf(get, sizeof(get), GET("/%u"), i);
		rig_store(&rig, url, 3400000, 600);
		rig_send_deaf(&rig, &rig.client[i], get);
		cr_assert_eq(hf_shard_purge(rig.shard, &key, /* soft= */ false), 1);
	}
	rig_recall(&rig);
	rig.now_us += 21000; /* then the recalls take too long to be waited for */
	rig_recall(&rig);
}

static uint32_t slow_gone(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		count += rig.client[i].rst;
	return count;
}

Test(serve_slow, when_readers_keep_the_memory_the_stalled_go_until_there_is_room)
{
	slow_hold();
	cr_assert(hf_cache_is_short(rig.cache));
	rig_wait_deaf(&rig, 900000);
	cr_assert_eq(slow_gone(), 0, "a second to show what they take");
	for (int s = 0; s < 8 && hf_cache_is_short(rig.cache); s++) {
		/* 2000 bytes a second, all but these */
		for (uint32_t i = 0; i < 5; i++)
			rig_ack(&rig, &rig.client[i], 2000);
		rig_wait_deaf(&rig, 500000);
		for (uint32_t i = 0; i < 5; i++)
			rig_ack(&rig, &rig.client[i], 2000);
		rig_wait_deaf(&rig, 500000);
		rig_recall(&rig);
	}
	cr_assert(!hf_cache_is_short(rig.cache));
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		cr_assert_eq(rig.client[i].rst, i >= 5, "%u", i);
	cr_assert_eq(dropped(HF_DROP_CONN_PRESSURE), 3);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), 0);
}

Test(serve_slow, without_pressure_nobody_is_looked_at)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/big"), 300000, 600);
	rig_send_deaf(&rig, client, GET("/big"));
	rig_wait_deaf(&rig, 9000000);
	cr_assert(!client->rst);
}

Test(serve_slow, who_pipelines_small_requests_and_does_not_read_leaves_send_buffers_to_others)
{
	char gets[32 * sizeof(GET("/small"))];
	uint32_t len = 0;

	rig_store(&rig, URL("/small"), 1000, 600); /* each answer has a buffer of its own */
	for (int i = 0; i < 30; i++)
		len += (uint32_t)sprintf(gets + len, GET("/small"));
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		rig_connect(&rig, i);
	for (uint32_t i = 0; i < RIG_CLIENTS - 1; i++)
		rig_send_deaf(&rig, &rig.client[i], gets);
	rig_send_deaf(&rig, &rig.client[RIG_CLIENTS - 1], GET("/small"));
	cr_assert(strstr(rig.client[RIG_CLIENTS - 1].out, "200 OK"));
	rig_ack(&rig, &rig.client[RIG_CLIENTS - 1], UINT32_MAX);
	rig_wait_deaf(&rig, 2500000);
	cr_assert_eq(dropped(HF_DROP_CONN_PRESSURE), slow_gone());
	cr_assert_geq(slow_gone(), 1);
	cr_assert_lt(slow_gone(), RIG_CLIENTS - 1, "as many as must");
	rig_settle(&rig);
	for (uint32_t i = 0; i < RIG_CLIENTS - 1; i++) {
		uint32_t answers = 0;

		for (const char *at = rig.client[i].out; (at = strstr(at, "200 OK")); at++)
			answers++;
		cr_assert(rig.client[i].rst || answers == 30, "%u: %u", i, answers);
	}
}

Test(serve_slow, who_keeps_exchanges_and_does_not_read_makes_room_for_those_who_wait)
{
	struct hf_xchg *xchg[4];
	struct hf_obj *obj[4];

	for (uint32_t i = 0; i <= 4; i++)
		rig_connect(&rig, i);
	for (uint32_t i = 0; i < 4; i++) {
		rig_send_deaf(&rig, &rig.client[i], GET("/private"));
		xchg[i] = rig_expect_start(&rig);
	}
	for (uint32_t i = 0; i < 4; i++) {
		obj[i] = rig_answer_deaf(&rig, xchg[i], HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
		cr_assert_eq(hf_shard_fill(rig.shard, obj[i], "abc", 3), 3);
		rig_more_deaf(&rig, xchg[i]);
	}
	rig_send_deaf(&rig, &rig.client[4], GET("/other"));
	cr_assert(strstr(rig.client[4].out, "503 "));
	rig_ack(&rig, &rig.client[4], UINT32_MAX);
	rig_wait_deaf(&rig, 2500000);
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert(rig.client[i].rst);
		rig_expect_finish(&rig, xchg[i]);
		hf_shard_fill_fail(rig.shard, obj[i]);
		hf_shard_obj_unref(rig.shard, obj[i]);
	}
	cr_assert_eq(dropped(HF_DROP_CONN_PRESSURE), 4);
	rig_send_deaf(&rig, &rig.client[4], GET("/other"));
	rig_expect_start(&rig);
}

/* They are with an origin that is slow: to reset who reads would not help. */
Test(serve_slow, who_reads_at_a_fair_rate_stays_though_exchanges_are_short)
{
	static char body[400000];
	struct hf_xchg *xchg;
	struct hf_obj *obj;
	void *ptr;

	for (uint32_t i = 0; i < 4; i++)
		rig_connect(&rig, i);
	rig_send_deaf(&rig, &rig.client[0], GET("/download"));
	xchg = rig_expect_start(&rig);
	for (uint32_t i = 1; i < 4; i++)
		rig_send_deaf(&rig, &rig.client[i], GET("/wait"));
	obj = rig_answer_deaf(&rig, xchg, sizeof(body), /* stream= */ true);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, body, sizeof(body)), sizeof(body));
	hf_shard_fill_end(rig.shard, obj);
	rig_more_deaf(&rig, xchg);
	for (int s = 0; s < 19; s++) {
		rig_wait_deaf(&rig, 500000);
		rig_ack(&rig, &rig.client[0], 10000);
		rig_wait_deaf(&rig, 500000);
		rig_ack(&rig, &rig.client[0], 10000);
		cr_assert(!rig.client[0].rst, "%d s", s);
	}
	cr_assert_eq(hf_xchg_out_count(rig.xchgs, 0), 4);
	rig_settle(&rig);
	while (rig_origin_next(&rig, &ptr) == HF_XCHG_START || ptr != xchg)
		;
	hf_shard_obj_unref(rig.shard, obj);
	hf_shard_obj_unref(rig.shard, obj);
}

#define POST "POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n"

/* `clients` bodies at 1000 bytes a second, for eleven seconds. */
static void slow_uploads(uint32_t clients)
{
	char second[1001];

	memset(second, 'b', 1000);
	second[1000] = '\0';
	for (uint32_t i = 0; i < clients; i++)
		rig_send(&rig, rig_connect(&rig, i), POST);
	for (int s = 0; s < 11; s++) {
		void *ptr = NULL;

		for (uint32_t i = 0; i < clients; i++) {
			if (!rig.client[i].fin && !rig.client[i].rst)
				rig_send(&rig, &rig.client[i], second);
		}
		for (int kind; (kind = rig_origin_next(&rig, &ptr)) >= 0;) {
			if (kind == HF_XCHG_BODY)
				hf_xchg_to_worker(rig.link, HF_XCHG_BODY_DONE, ptr);
			else if (kind == HF_XCHG_FINISH)
				hf_xchg_to_worker(rig.link, HF_XCHG_GONE, ptr);
		}
		rig_wait(&rig, 1000000);
	}
}

Test(serve_slow, a_slow_upload_may_go_on_while_there_are_exchanges)
{
	slow_uploads(3);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(rig.client[i].out_len, 0);
}

Test(serve_slow, slow_uploads_make_room_when_exchanges_are_short)
{
	slow_uploads(4);
	cr_assert_geq(dropped(HF_DROP_CONN_BODY_SLOW), 1);
	cr_assert(strstr(rig.client[0].out, "408 "));
	cr_assert_lt(hf_xchg_out_count(rig.xchgs, 0), 4);
}

Test(serve_slow, an_upload_that_finds_no_buffer_is_not_slow)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *others = hf_xchg_get(rig.xchgs, 0);
	struct hf_xchg_body *bodies[64];
	uint32_t count = 0;

	for (; (bodies[count] = hf_xchg_body_get(rig.xchgs, others)) != NULL; count++)
		others->bodies_out = 0; /* as if they were of many */
	rig_send(&rig, client, POST);
	rig_send(&rig, client, "some bytes of the body");
	rig_wait(&rig, 25000000);
	cr_assert_eq(client->out_len, 0);
	while (count > 0) {
		others->bodies_out = 1;
		hf_xchg_body_put(rig.xchgs, bodies[--count]);
	}
	hf_xchg_put(rig.xchgs, others);
	rig_wait(&rig, 25000000);
	cr_assert(strstr(client->out, "408 "), "now it is");
}

/* ---- send memory ---- */

#define CROWD (RIG_CLIENTS - 1)

/* All but one client ask for much and acknowledge nothing. Of 128 spans the last 48 are the reserve, 32 the
 * last that anybody begins with. */
static struct rig_client *slow_crowd(void)
{
	rig_close(&rig);
	rig_open_spans(&rig, 128);
	rig_store(&rig, URL("/big"), 900000, 600);
	rig_store(&rig, URL("/small"), 1000, 600);
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		rig_connect(&rig, i);
	for (uint32_t i = 0; i < CROWD; i++)
		rig_send_deaf(&rig, &rig.client[i], GET("/big"));
	return &rig.client[CROWD];
}

static uint32_t slow_answers(const struct rig_client *client, const char *status)
{
	uint32_t count = 0;

	for (const char *at = client->out; (at = strstr(at, status)); at++)
		count++;
	return count;
}

Test(serve_slow, when_others_hold_the_send_memory_a_newcomer_is_served_at_once)
{
	struct rig_client *client = slow_crowd();

	for (uint32_t i = 1; i <= 50; i++) {
		rig_send_deaf(&rig, client, GET("/small"));
		cr_assert_eq(slow_answers(client, "200 OK"), i, "in the same turn");
		rig_ack(&rig, client, UINT32_MAX);
	}
	cr_assert_eq(slow_gone(), 0);
}

Test(serve_slow, who_acknowledges_gets_on_though_others_hold_the_send_memory)
{
	struct rig_client *client = slow_crowd();
	uint32_t acks = 0;

	rig_send_deaf(&rig, client, GET("/big"));
	for (; client->out_len < 900000 && acks < 100; acks++)
		rig_ack(&rig, client, UINT32_MAX);
	cr_assert_gt(client->out_len, 900000, "%u bytes", client->out_len);
	cr_assert_eq(slow_gone(), 0);
}

Test(serve_slow, send_memory_is_back_when_those_who_held_it_are_gone)
{
	struct rig_client *client = slow_crowd();

	rig_wait_deaf(&rig, 30000000);
	cr_assert_eq(slow_gone(), CROWD);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), CROWD);
	cr_assert_eq(rig.serve->txbuf_pool.used, 0);
	rig_send(&rig, client, GET("/big"));
	cr_assert_gt(client->out_len, 900000);
}

/* Takes all send buffers but so many; returns how many. */
static uint32_t slow_take(struct serve_txbuf **taken, uint32_t but)
{
	uint32_t count = 0;

	for (; hf_pool_free_count(&rig.serve->txbuf_pool) > but; count++)
		taken[count] = serve_txbuf_new(rig.serve);
	return count;
}

static void slow_give(struct serve_txbuf **taken, uint32_t count)
{
	while (count > 0)
		hf_ref_put(&taken[--count]->ref);
}

Test(serve_slow, the_last_eighth_of_the_send_buffers_is_for_who_has_none)
{
	struct serve_txbuf *taken[64];
	uint32_t count;

	rig_store(&rig, URL("/small"), 1000, 600); /* each answer has a buffer of its own */
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		rig_connect(&rig, i);
	count = slow_take(taken, RIG_CLIENTS);
	for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
		rig_send_deaf(&rig, &rig.client[i], GET("/small") GET("/small") GET("/small"));
		cr_assert_eq(slow_answers(&rig.client[i], "200 OK"), 1, "%u", i);
	}
	rig_ack(&rig, &rig.client[5], UINT32_MAX);
	cr_assert_eq(slow_answers(&rig.client[5], "200 OK"), 2);
	slow_give(taken, count);
	rig_settle(&rig);
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		cr_assert_eq(slow_answers(&rig.client[i], "200 OK"), 3, "%u", i);
}

Test(serve_slow, who_waits_for_a_send_buffer_is_not_idle)
{
	struct serve_txbuf *taken[64];
	struct rig_client *client;
	uint32_t count;

	rig.conf.http.idle_timeout_ms = 2000;
	client = rig_connect(&rig, 0);
	rig_store(&rig, URL("/small"), 10, 600);
	count = slow_take(taken, 0);
	rig_send(&rig, client, GET("/small"));
	cr_assert_null(hf_tcp_idle_oldest(rig.tcp), "nor is it shed as if it were");
	rig_wait(&rig, SERVE_ROOM_WAIT_US - 100000);
	cr_assert(!client->fin && !client->rst && client->out_len == 0);
	slow_give(taken, count);
	rig_settle(&rig);
	cr_assert(strstr(client->out, "200 OK"));
	rig_wait(&rig, 1900000);
	cr_assert(!client->fin, "idle from the answer on");
	rig_wait(&rig, 200000);
	cr_assert(client->fin);
	cr_assert_eq(dropped(HF_DROP_CONN_IDLE), 1);
	cr_assert_eq(dropped(HF_DROP_REQ_NO_ROOM), 0);
}

Test(serve_slow, who_waited_ten_seconds_for_a_send_buffer_is_refused)
{
	struct serve_txbuf *taken[64];
	struct rig_client *client = rig_connect(&rig, 0);
	uint32_t count = slow_take(taken, 0);

	rig_send(&rig, client, GET("/small"));
	rig_wait(&rig, SERVE_ROOM_WAIT_US + 100000);
	cr_assert_eq(strncmp(client->out, "HTTP/1.1 503 ", 13), 0, "%s", client->out);
	cr_assert_not_null(strstr(client->out, "Connection: close\r\n\r\n"));
	cr_assert(client->fin && !client->rst);
	cr_assert_eq(dropped(HF_DROP_REQ_NO_ROOM), 1);
	cr_assert_eq(dropped(HF_DROP_CONN_IDLE), 0);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
	slow_give(taken, count);
}

/* Who holds all of them takes a little now and then: nobody has stalled. */
Test(serve_slow, without_a_span_to_say_so_it_is_closed_and_counted)
{
	struct rig_client *client;
	struct serve_conn *holder;

	rig_close(&rig);
	rig_open_spans(&rig, 128);
	rig_connect(&rig, 0);
	client = rig_connect(&rig, 1);
	holder = hf_tcp_idle_oldest(rig.tcp);
	while (hf_tcp_send(rig.tcp, holder->tcp, "a", 1, NULL, false) == 0)
		;
	rig_send_deaf(&rig, client, GET("/small"));
	for (int i = 0; i < 102; i++) {
		cr_assert(!client->fin, "%d tenths of a second", i);
		rig_ack(&rig, &rig.client[0], 1);
		while (hf_tcp_send(rig.tcp, holder->tcp, "a", 1, NULL, false) == 0)
			;
		rig_wait_deaf(&rig, 99000);
	}
	cr_assert(client->fin && client->out_len == 0);
	cr_assert_eq(dropped(HF_DROP_REQ_NO_ROOM), 1);
	cr_assert_eq(dropped(HF_DROP_CONN_IDLE), 0);
}

Test(serve_slow, who_waits_for_its_own_acknowledgements_must_take_what_it_has)
{
	struct rig_client *client = rig_connect(&rig, 0);
	char gets[12 * sizeof(GET("/small"))];
	uint32_t len = 0;

	rig.conf.http.idle_timeout_ms = 2000;
	rig_store(&rig, URL("/small"), 1000, 600);
	for (int i = 0; i < 10; i++)
		len += (uint32_t)sprintf(gets + len, GET("/small"));
	rig_send_deaf(&rig, client, gets);
	cr_assert_null(hf_tcp_idle_oldest(rig.tcp));
	rig_wait_deaf(&rig, 9000000);
	cr_assert(!client->fin && !client->rst, "not idle either");
	rig_wait_deaf(&rig, 2000000);
	cr_assert(client->rst);
	cr_assert_eq(dropped(HF_DROP_CONN_SEND_SLOW), 1);
	cr_assert_eq(dropped(HF_DROP_CONN_IDLE) + dropped(HF_DROP_REQ_NO_ROOM), 0);
}

/* ---- heads ---- */

Test(serve_slow, a_connection_with_a_piece_of_a_head_may_be_shed_as_if_idle)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client, "GET /m HTTP/1.1\r\nHost:");
	cr_assert_not_null(hf_tcp_idle_oldest(rig.tcp));
	rig_send(&rig, client, " a.example\r\n\r\n");
	rig_expect_start(&rig);
	cr_assert_null(hf_tcp_idle_oldest(rig.tcp));
}

Test(serve_slow, drain_waits_for_the_rest_of_a_head)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/small"), 10, 600);
	rig_send(&rig, client, "GET /small HTTP/1.1\r\nHost:");
	hf_serve_drain(rig.serve);
	rig_settle(&rig);
	cr_assert(!client->fin);
	rig_send(&rig, client, " a.example\r\n\r\n");
	cr_assert(strstr(client->out, "200 OK"));
	cr_assert(client->fin);
}

Test(serve_slow, a_line_that_never_ends_is_refused_when_it_is_too_long)
{
	struct rig_client *client = rig_connect(&rig, 0);
	uint32_t sent = 0;

	rig_send(&rig, client, "GET /");
	for (; sent < 20000 && client->out_len == 0; sent++)
		rig_send(&rig, client, "a");
	cr_assert(strstr(client->out, "414 "));
	cr_assert_lt(sent, 2 * 8192, "at twice the limit");
}
