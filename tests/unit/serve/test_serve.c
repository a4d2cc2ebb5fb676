/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker's HTTP, from segments to segments. One test a promise of hf_serve.h, and one a step.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_hist.h"
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

TestSuite(serve, .init = setup, .fini = teardown);

static uint32_t count_of(const char *text, const char *part)
{
	uint32_t count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

Test(serve, small_hit_is_one_answer_with_age_and_cache_status)
{
	struct rig_client *client;

	rig_store(&rig, URL("/a"), 10, 60);
	rig.now_us += 5000000;
	client = rig_connect(&rig, 0);
	rig_send(&rig, client, GET("/a"));
	cr_assert(strstr(client->out, "HTTP/1.1 200 OK\r\n") == client->out);
	cr_assert(strstr(client->out, "Age: 5\r\n"));
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	cr_assert(strstr(client->out, "Content-Length: 10\r\n"));
	cr_assert(strstr(client->out, "\r\n\r\nxxxxxxxxxx"));
	cr_assert_eq(hf_xchg_out_count(rig.xchgs, 0), 0);
}

Test(serve, V3_a_lease_is_held_until_the_client_acknowledged)
{
	struct hf_obj *obj = rig_store(&rig, URL("/big"), 300000, 60);
	struct hf_reader *reader = hf_cache_reader(rig.cache, 0);
	struct rig_client *client = rig_connect(&rig, 0);
	void *ptr = NULL;

	rig_send_deaf(&rig, client, GET("/big"));
	cr_assert_eq(atomic_load(&obj->holders), 1);
	cr_assert(!hf_reader_recall(reader, obj), "its bytes are still under way");
	rig_settle(&rig);
	cr_assert_eq(client->out_len, strstr(client->out, "\r\n\r\n") + 4 - client->out + 300000);
	cr_assert_eq(rig_origin_next(&rig, &ptr), HF_XCHG_RECALLED);
	cr_assert_eq(ptr, obj);
}

Test(serve, head_of_a_stored_get_has_its_length_and_no_body)
{
	struct rig_client *client;

	rig_store(&rig, URL("/a"), 5000, 60);
	client = rig_connect(&rig, 0);
	rig_send(&rig, client, "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
	cr_assert(strstr(client->out, "Content-Length: 5000\r\n"));
	cr_assert_str_eq(strstr(client->out, "\r\n\r\n"), "\r\n\r\n");
}

Test(serve, a_small_hit_says_what_its_client_has_to_know)
{
	static const struct {
		const char *ask, *own;
		bool body;
	} rows[] = {
		{ GET("/a"), "Age: 5\r\nContent-Length: 10\r\n", true },
		{ "GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
			"Age: 5\r\nContent-Length: 10\r\nConnection: close\r\n", true },
		{ "GET /a HTTP/1.0\r\nHost: a.example\r\n\r\n", "Age: 5\r\nContent-Length: 10\r\n",
			true },
		{ "GET /a HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n",
			"Age: 5\r\nContent-Length: 10\r\nConnection: keep-alive\r\n", true },
		{ "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n", "Age: 5\r\nContent-Length: 10\r\n",
			false },
		{ GET("/none"), "Age: 5\r\nContent-Length: 0\r\n", false },
	};
	char expect[200];

	rig_store(&rig, URL("/a"), 10, 60);
	rig_store(&rig, URL("/none"), 0, 60);
	rig.now_us += 5000000;
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct rig_client *client = rig_connect(&rig, (uint32_t)i);

		(void)snprintf(expect, sizeof(expect), "%sCache-Status: holdfast; hit\r\n\r\n%s",
			rows[i].own, rows[i].body ? "xxxxxxxxxx" : "");
		rig_send(&rig, client, rows[i].ask);
		cr_assert_not_null(strstr(client->out, "Age: "), "%s", rows[i].ask);
		cr_assert_str_eq(strstr(client->out, "Age: "), expect, "%s", rows[i].ask);
	}
}

Test(serve, V1_pipelined_requests_are_answered_in_order)
{
	struct rig_client *client;
	const char *a, *b, *c;

	rig_store(&rig, URL("/a"), 1, 60);
	rig_store(&rig, URL("/bb"), 22, 60);
	rig_store(&rig, URL("/ccc"), 333, 60);
	client = rig_connect(&rig, 0);
	rig_send(&rig, client, GET("/a") GET("/bb") GET("/ccc"));
	a = strstr(client->out, "Content-Length: 1\r\n");
	b = strstr(client->out, "Content-Length: 22\r\n");
	c = strstr(client->out, "Content-Length: 333\r\n");
	cr_assert(a && b && c && a < b && b < c);
}

Test(serve, a_request_split_at_every_byte_is_the_same_request)
{
	static const char text[] = GET("/a");

	rig_store(&rig, URL("/a"), 10, 600);
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		struct rig_client *client = rig_connect(&rig, 0);
		char first[sizeof(text)] = "";

		memcpy(first, text, cut);
		rig_send(&rig, client, first);
		cr_assert_eq(client->out_len, 0);
		rig_send(&rig, client, text + cut);
		cr_assert_eq(count_of(client->out, "200 OK"), 1, "cut at %zu", cut);
		rig_reset(&rig, client);
	}
}

Test(serve, miss_streams_while_the_object_fills)
{
	struct hf_hist_view took;
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	cr_assert_not_null(hf_stat_register("test"));
	rig_send(&rig, client, GET("/m"));
	cr_assert_eq(client->out_len, 0);
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->shared);
	cr_assert_eq(xchg->cause, HF_XCHG_MISS_ABSENT);
	rig.now_us += 50;
	obj = rig_answer(&rig, xchg, 6, /* stream= */ false);
	hf_hist_sum(HF_HIST_MISS, &took);
	cr_expect_eq(took.count, 1);
	cr_expect(took.max >= 50000 && took.max < 1000000, "to the head, in ns");
	cr_assert(strstr(client->out, "Cache-Status: holdfast; fwd=miss; stored"));
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	rig_more(&rig, xchg);
	cr_assert_str_eq(strstr(client->out, "\r\n\r\n"), "\r\n\r\nabc");
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "def", 3), 3);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert_str_eq(strstr(client->out, "\r\n\r\n"), "\r\n\r\nabcdef");
	rig_expect_finish(&rig, xchg);
	cr_assert_eq(hf_xchg_out_count(rig.xchgs, 0), 0);
	hf_shard_obj_unref(rig.shard, obj);
}

static void interim(struct hf_xchg *xchg, const char *text)
{
	memcpy(hf_xchg_interim(xchg) + xchg->interim_len, text, strlen(text));
	xchg->interim_len += (uint32_t)strlen(text);
	rig_more(&rig, xchg);
}

Test(serve, rfc9110_15_2_interim_answers_are_forwarded_but_not_to_1_0)
{
	static const char *const requests[] = { GET("/m"),
		"GET /m HTTP/1.0\r\nHost: a.example\r\n\r\n" };

	for (uint32_t i = 0; i < 2; i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		struct hf_obj *obj;

		rig_send(&rig, client, requests[i]);
		xchg = rig_expect_start(&rig);
		interim(xchg, "HTTP/1.1 102 A\r\n\r\n");
		cr_assert_str_eq(client->out, i == 0 ? "HTTP/1.1 102 A\r\n\r\n" : "");
		interim(xchg, "HTTP/1.1 103 B\r\nC: d\r\n\r\n");
		obj = rig_answer(&rig, xchg, 0, /* stream= */ true);
		hf_shard_fill_end(rig.shard, obj);
		rig_more(&rig, xchg);
		cr_assert_eq(count_of(client->out, "HTTP/1.1 "), i == 0 ? 3 : 1);
		if (i == 0)
			cr_assert(strstr(client->out, "102 A\r\n\r\nHTTP/1.1 103 B\r\nC: d\r\n\r\n"
						      "HTTP/1.1 200 "));
		rig_expect_finish(&rig, xchg);
		hf_shard_obj_unref(rig.shard, obj);
	}
}

Test(serve, unknown_length_is_chunked_to_1_1_and_closes_to_1_0)
{
	static const char *const asks[] = { GET("/m"),
		"GET /m HTTP/1.0\r\nHost: a.example\r\n\r\n" };

	for (uint32_t i = 0; i < 2; i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		struct hf_obj *obj;

		rig_send(&rig, client, asks[i]);
		xchg = rig_expect_start(&rig);
		obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
		cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
		rig_more(&rig, xchg);
		hf_shard_fill_end(rig.shard, obj);
		rig_more(&rig, xchg);
		cr_assert_str_eq(strstr(client->out, "\r\n\r\n"),
			i == 0 ? "\r\n\r\n3\r\nabc\r\n0\r\n\r\n" : "\r\n\r\nabc");
		cr_assert_eq(client->fin, i == 1);
		rig_expect_finish(&rig, xchg);
		hf_shard_obj_unref(rig.shard, obj);
	}
}

Test(serve, a_fill_that_fails_cuts_the_connection_and_never_looks_whole)
{
	static const char *const asks[] = { GET("/m"),
		"GET /m HTTP/1.0\r\nHost: a.example\r\n\r\n" };

	for (uint32_t i = 0; i < 2; i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		struct hf_obj *obj;

		rig_send(&rig, client, asks[i]);
		xchg = rig_expect_start(&rig);
		obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
		cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
		hf_shard_fill_fail(rig.shard, obj);
		rig_more(&rig, xchg);
		cr_assert(i == 1 || strstr(client->out, "abc"));
		cr_assert_null(strstr(client->out, "0\r\n\r\n"));
		cr_assert(
			i == 0 ? client->fin : client->rst, "an end alone would look whole to 1.0");
		rig_expect_finish(&rig, xchg);
		hf_shard_obj_unref(rig.shard, obj);
	}
}

Test(serve, who_holds_up_others_is_reset_and_lets_go_at_once)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, GET("/m"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	atomic_store(&xchg->laggard, true);
	rig_more(&rig, xchg);
	cr_assert(client->rst);
	cr_assert_eq(hf_stat_own->drop[HF_DROP_CONN_SEND_SLOW], 1);
	rig_expect_finish(&rig, xchg);
	hf_shard_fill_fail(rig.shard, obj);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve, a_fill_that_failed_before_the_head_went_out_is_502)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, GET("/m"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer_failed(&rig, xchg);
	cr_assert(strstr(client->out, "HTTP/1.1 502 "));
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve, a_failed_fetch_is_told_with_its_status_and_the_connection_goes_on)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, client, GET("/m"));
	xchg = rig_expect_start(&rig);
	xchg->fail_status = 502;
	xchg->fail_reason = HF_DROP_REQ_ORIGIN_FAILED;
	hf_xchg_to_worker(rig.link, HF_XCHG_FAIL, xchg);
	rig_settle(&rig);
	cr_assert(strstr(client->out, "HTTP/1.1 502 Bad Gateway\r\n"));
	rig_expect_finish(&rig, xchg);
	rig_send(&rig, client, GET("/a"));
	cr_assert(strstr(client->out, "HTTP/1.1 200 OK\r\n"));
}

Test(serve, V4_a_client_that_leaves_finishes_its_exchange_in_the_same_turn)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, GET("/m"));
	xchg = rig_expect_start(&rig);
	rig_reset(&rig, client);
	rig_expect_finish(&rig, xchg);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
	cr_assert_eq(hf_xchg_out_count(rig.xchgs, 0), 0);
}

Test(serve, half_closed_client_still_gets_its_answer)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, GET("/m"));
	rig_fin(&rig, client);
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 3, /* stream= */ true);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert_str_eq(strstr(client->out, "\r\n\r\n"), "\r\n\r\nabc");
	cr_assert(client->fin);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve, request_body_streams_to_the_origin_with_bounded_buffers)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg_body *body;
	struct hf_xchg *xchg;
	uint64_t total = 0;
	char text[1025];
	void *ptr;

	memset(text, 'u', 1024);
	text[1024] = '\0';
	rig_send(&rig, client,
		"POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 32768\r\n\r\n");
	xchg = rig_expect_start(&rig);
	cr_assert(!xchg->shared && xchg->has_body && xchg->body_length == 32768);
	for (int i = 0; i < 32; i++) {
		rig_send(&rig, client, text);
		cr_assert_leq(xchg->bodies_out, HF_XCHG_BODIES_MAX);
		while (rig_origin_next(&rig, &ptr) == HF_XCHG_BODY) {
			body = ptr;
			total += body->len;
			cr_assert_eq(body->last, total == 32768);
			hf_xchg_to_worker(rig.link, HF_XCHG_BODY_DONE, body);
		}
		rig_settle(&rig);
	}
	while (rig_origin_next(&rig, &ptr) == HF_XCHG_BODY) {
		body = ptr;
		total += body->len;
		hf_xchg_to_worker(rig.link, HF_XCHG_BODY_DONE, body);
		rig_settle(&rig);
	}
	cr_assert_eq(total, 32768);
	rig_reset(&rig, client);
	rig_expect_finish(&rig, xchg);
}

Test(serve, V2_a_get_with_a_body_is_no_hit_and_its_body_no_request)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg_body *body;
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 36\r\n\r\n" GET("/b")
			GET("/a"));
	xchg = rig_expect_start(&rig);
	cr_assert(!xchg->shared && xchg->has_body);
	cr_assert_eq(rig_origin_next(&rig, (void **)&body), HF_XCHG_BODY);
	cr_assert(body->len == 36 && body->last);
	hf_xchg_to_worker(rig.link, HF_XCHG_BODY_DONE, body);
	rig_settle(&rig);
	cr_assert_eq(client->out_len, 0);
	obj = rig_answer(&rig, xchg, 0, /* stream= */ true);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	rig_expect_finish(&rig, xchg);
	cr_assert_eq(count_of(client->out, "HTTP/1.1 "), 2);
	cr_assert_eq(count_of(client->out, "holdfast; hit"), 1);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve, V2_a_body_that_is_not_read_ends_the_connection)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/a"), 10, 60);
	/* refused before its body: what follows must not be taken for a request */
	rig_send(&rig, client,
		"TRACE /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 43\r\n\r\n" GET("/a"));
	cr_assert(strstr(client->out, "HTTP/1.1 405 "));
	cr_assert_eq(count_of(client->out, "HTTP/1.1 "), 1);
	cr_assert(client->fin);
}

Test(serve, a_client_that_stops_within_its_body_ends_the_exchange)
{
	for (int answered = 0; answered < 2; answered++) {
		struct rig_client *client = rig_connect(&rig, (uint32_t)answered);
		struct hf_xchg *xchg;
		struct hf_obj *obj = NULL;

		rig_send(&rig, client,
			"PUT /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n");
		xchg = rig_expect_start(&rig);
		if (answered)
			obj = rig_answer(&rig, xchg, 10, /* stream= */ true);
		rig_fin(&rig, client);
		cr_assert(client->fin);
		rig_expect_finish(&rig, xchg);
		if (obj)
			hf_shard_obj_unref(rig.shard, obj);
	}
}

Test(serve, bad_chunk_in_a_request_body_is_400_and_cancels_the_fetch)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client,
		"POST /p HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
	xchg = rig_expect_start(&rig);
	cr_assert(strstr(client->out, "HTTP/1.1 400 "));
	cr_assert(client->fin);
	rig_expect_finish(&rig, xchg);
}

Test(serve, expect_100_continue_is_answered_before_the_body)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client,
		"PUT /p HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n"
		"Content-Length: 3\r\n\r\n");
	cr_assert_str_eq(client->out, "HTTP/1.1 100 Continue\r\n\r\n");
	rig_reset(&rig, client);
}

Test(serve, malformed_request_is_400_and_close)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client, "GET /a HTTP/1.1\r\nHost : a\r\n\r\n");
	cr_assert(strstr(client->out, "HTTP/1.1 400 "));
	cr_assert(client->fin);
}

/* A request of `fields` fields and about `len` bytes, in segments of a KiB. */
static struct rig_client *send_large(uint32_t i, uint32_t fields, size_t len)
{
	struct rig_client *client = rig_connect(&rig, i);
	size_t each = len / fields, used = 0;
	char *text = malloc(len + fields * 16 + 256), part[1025];

	used += (size_t)sprintf(text, "GET /a HTTP/1.1\r\nHost: a.example\r\n");
	for (uint32_t f = 1; f < fields; f++)
		used += (size_t)sprintf(text + used, "X-%03u: %0*u\r\n", f, (int)each - 9, f);
	used += (size_t)sprintf(text + used, "\r\n");
	for (size_t at = 0; at < used; at += 1024) {
		(void)snprintf(part, sizeof(part), "%s", text + at);
		rig_send(&rig, client, part);
	}
	free(text);
	return client;
}

Test(serve, a_head_may_be_as_large_as_configured_and_no_larger)
{
	rig_store(&rig, URL("/a"), 10, 60);
	cr_assert(strstr(send_large(0, 100, 15000)->out, "HTTP/1.1 200 "));
	cr_assert(strstr(send_large(1, 101, 15000)->out, "HTTP/1.1 431 "));
	cr_assert(strstr(send_large(2, 20, 18000)->out, "HTTP/1.1 431 "));
}

Test(serve, no_exchange_free_is_503_with_retry_after)
{
	struct rig_client *client;

	for (uint32_t i = 0; i < 5; i++) {
		client = rig_connect(&rig, i);
		rig_send(&rig, client, GET("/m"));
	}
	cr_assert(strstr(client->out, "HTTP/1.1 503 "));
	cr_assert(strstr(client->out, "Retry-After: 1\r\n"));
	for (uint32_t i = 0; i < 4; i++)
		rig_reset(&rig, &rig.client[i]);
}

Test(serve, expired_is_a_miss_of_its_own_class)
{
	struct rig_client *client;

	rig_store(&rig, URL("/a"), 10, 2);
	rig.now_us += 3000000;
	client = rig_connect(&rig, 0);
	rig_send(&rig, client, GET("/a"));
	cr_assert_eq(rig_expect_start(&rig)->cause, HF_XCHG_MISS_EXPIRED);
	rig_reset(&rig, client);
}

Test(serve, what_is_fresh_and_not_wanted_is_a_bypass_not_expired)
{
	struct rig_client *client = rig_connect(&rig, 0);

	cr_assert_not_null(hf_stat_register("test"));
	rig_store(&rig, URL("/a"), 10, 2);
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nCache-Control: no-cache\r\n\r\n");
	(void)rig_answer(&rig, rig_expect_start(&rig), 10, /* stream= */ false);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_MISS_BYPASS), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_MISS_EXPIRED), 0);
	rig_reset(&rig, client);
}

Test(serve, authorization_gets_no_object_that_was_not_stored_for_it)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	rig_store(&rig, URL("/a"), 10, 60);
	client = rig_connect(&rig, 0);
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic Zm9v\r\n\r\n");
	xchg = rig_expect_start(&rig);
	cr_assert(!xchg->shared);
	rig_reset(&rig, client);
}

#define AUTHORISED(path, fields)                                                                   \
	"GET " path " HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic Zm9v\r\n" fields "\r\n"

Test(serve, rfc9111_3_5_an_answer_to_credentials_may_be_stored_if_it_allows)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, AUTHORISED("/a", ""));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->shared && xchg->has_authorization);
	rig_reset(&rig, client);
}

Test(serve, conditions_ranges_and_spellings_of_those_with_credentials_go_to_the_origin)
{
	static const char *const requests[] = {
		AUTHORISED("/a", "Range: bytes=5-\r\n"),
		AUTHORISED("/a", "If-None-Match: \"v\"\r\n"),
		AUTHORISED("/%61", ""),
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(requests); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;

		rig_send(&rig, client, requests[i]);
		xchg = rig_expect_start(&rig);
		cr_assert(!xchg->shared, "%s", requests[i]);
		cr_assert(hf_span_eq(xchg->path_query, i == 2 ? HF_SPAN("/%61") : HF_SPAN("/a")));
		cr_assert_eq(i == 0,
			memmem(xchg->lines.ptr, xchg->lines.len, "Range: bytes=5-", 15) != NULL);
		rig_reset(&rig, client);
		rig_expect_finish(&rig, xchg);
	}
}

/* What only a response may say, or nobody, is no command. */
Test(serve, rfc9111_5_2_1_other_directives_of_a_request_change_nothing)
{
	static const char *const fields[] = { "Cache-Control: s-maxage=0", "Cache-Control: private",
		"Cache-Control: must-revalidate, proxy-revalidate", "Cache-Control: immutable=0",
		"Cache-Control: public, stale-while-revalidate=0", "CDN-Cache-Control: no-store",
		"Surrogate-Control: no-store", "Expires: 0", "Pragma: no-store", "Vary: *",
		"Age: 1000" };
	struct rig_client *client = rig_connect(&rig, 0);
	char text[256];
	void *ptr;

	rig_store(&rig, URL("/a"), 10, 60);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(fields); i++) {
		(void)snprintf(text, sizeof(text),
			"GET /a HTTP/1.1\r\nHost: a.example\r\n%s\r\n\r\n", fields[i]);
		rig_send(&rig, client, text);
		cr_assert_eq(count_of(client->out, "holdfast; hit"), i + 1, "%s", fields[i]);
		cr_assert_eq(rig_origin_next(&rig, &ptr), -1, "%s", fields[i]);
	}
}

Test(serve, only_if_cached_without_a_stored_answer_is_504)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client,
		"GET /m HTTP/1.1\r\nHost: a.example\r\nCache-Control: only-if-cached\r\n\r\n");
	cr_assert(strstr(client->out, "HTTP/1.1 504 "));
}

Test(serve, head_that_never_ends_is_408)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client, "GET /a HTTP/1.1\r\n");
	rig_wait(&rig, 11000000);
	cr_assert(strstr(client->out, "HTTP/1.1 408 "));
	cr_assert(client->fin);
}

Test(serve, a_body_that_comes_too_slowly_is_408_and_cancels_the_fetch)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client,
		"POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9000\r\n\r\n");
	xchg = rig_expect_start(&rig);
	rig_wait(&rig, 9000000);
	cr_assert_eq(client->out_len, 0);
	rig_wait(&rig, 2000000);
	cr_assert(strstr(client->out, "HTTP/1.1 408 "));
	cr_assert(client->fin);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
	rig_expect_finish(&rig, xchg);
}

Test(serve, rfc9110_7_4_https_is_not_for_this_connection)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_send(&rig, client, "GET HTTPS://a.example/a HTTP/1.1\r\nHost: a.example\r\n\r\n");
	cr_assert(strstr(client->out, "HTTP/1.1 421 "));
	cr_assert(!client->fin);
}

Test(serve, what_follows_a_refused_connect_is_no_request)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, client,
		"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n" GET("/a"));
	cr_assert(strstr(client->out, "HTTP/1.1 405 "));
	cr_assert_eq(count_of(client->out, "HTTP/1.1 "), 1);
	cr_assert(client->fin);
}

Test(serve, rfc9112_3_2_2_the_origin_hears_host_and_target_as_the_key_spells_them)
{
	static const struct {
		const char *request, *authority, *target;
	} rows[] = {
		{ "GET /%7ea/../b HTTP/1.1\r\nHost: %61.EXAMPLE:080\r\n\r\n", "a.example", "/b" },
		/* §3.3 */
		{ "GET /x HTTP/1.0\r\n\r\n", "192.0.2.10", "/x" },
		{ "GET http://B.example:81?q HTTP/1.1\r\nHost: a\r\n\r\n", "b.example:81", "/?q" },
		{ "POST http://B.example?q HTTP/1.1\r\nHost: a\r\n\r\n", "b.example", "/?q" },
		{ "POST http://[2001:DB8::1]/%7ea HTTP/1.1\r\nHost: a\r\n\r\n", "[2001:db8::1]",
			"/%7ea" },
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		char host[64];

		rig_send(&rig, client, rows[i].request);
		xchg = rig_expect_start(&rig);
		(void)snprintf(host, sizeof(host), "Host: %s\r\n", rows[i].authority);
		cr_expect(hf_span_eq(xchg->authority,
				  (struct hf_span){ rows[i].authority, strlen(rows[i].authority) }),
			"%.*s", (int)xchg->authority.len, xchg->authority.ptr);
		cr_expect(hf_span_eq(xchg->path_query,
				  (struct hf_span){ rows[i].target, strlen(rows[i].target) }),
			"%.*s", (int)xchg->path_query.len, xchg->path_query.ptr);
		cr_expect_eq(memcmp(xchg->lines.ptr, host, strlen(host)), 0);
		rig_reset(&rig, client);
		rig_expect_finish(&rig, xchg);
	}
}

Test(serve, idle_connection_is_closed)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_wait(&rig, 61000000);
	cr_assert(client->fin);
	cr_assert_eq(client->out_len, 0);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
}

Test(serve, drain_closes_idle_connections_and_finishes_the_others)
{
	struct rig_client *idle = rig_connect(&rig, 0), *busy = rig_connect(&rig, 1);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, busy, GET("/m"));
	xchg = rig_expect_start(&rig);
	hf_serve_drain(rig.serve);
	rig_settle(&rig);
	cr_assert(idle->fin);
	cr_assert(!busy->fin);
	obj = rig_answer(&rig, xchg, 3, /* stream= */ true);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert_str_eq(strstr(busy->out, "\r\n\r\n"), "\r\n\r\nabc");
	cr_assert(busy->fin);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
}

Test(serve, an_address_has_as_many_connections_as_it_may)
{
	rig_close(&rig);
	rig_open_with(&rig, /* per_address= */ 2);
	rig_connect(&rig, 0);
	rig_connect(&rig, 1);
	cr_assert(rig_connect(&rig, 2)->rst);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 2);
	rig_reset(&rig, &rig.client[0]);
	cr_assert(!rig_connect(&rig, 3)->rst);
}

Test(serve, a_new_configuration_holds_from_the_next_request_on)
{
	struct hf_conf conf = rig.conf;
	struct rig_client *client = rig_connect(&rig, 0);

	(void)rig_store(&rig, "/a", 5, 60);
	rig_connect(&rig, 1);
	conf.http.connections_per_address = 2;
	conf.http.header_count = 1;
	hf_serve_conf_set(rig.serve, &conf);
	cr_assert(rig_connect(&rig, 2)->rst, "those before it count");
	rig_send(&rig, client, "GET /a HTTP/1.1\r\nHost: a.example\r\nA: b\r\n\r\n");
	cr_assert(strncmp(client->out, "HTTP/1.1 431 ", 13) == 0, "%s", client->out);
	hf_serve_conf_set(rig.serve, &rig.conf);
	cr_assert(!rig_connect(&rig, 3)->rst);
}

Test(serve, a_secret_in_the_url_is_for_the_origin_thread_to_judge)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, GET("/a?token=x"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->shared && xchg->cause == HF_XCHG_MISS_ABSENT);
	rig_reset(&rig, client);
	rig_expect_finish(&rig, xchg);
	/* but for a spelling that may be signed */
	client = rig_connect(&rig, 1);
	rig_send(&rig, client, GET("/%61?token=x"));
	xchg = rig_expect_start(&rig);
	cr_assert(!xchg->shared && hf_span_eq(xchg->path_query, HF_SPAN("/%61?token=x")));
	rig_reset(&rig, client);
}

Test(serve, what_has_a_secret_in_its_url_answers_where_it_was_stored_with_leave)
{
	struct hf_obj *obj = rig_store(&rig, URL("/a?token=x"), 10, 60);
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, GET("/a?token=x"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->shared && xchg->cause == HF_XCHG_MISS_ABSENT);
	rig_reset(&rig, client);
	rig_expect_finish(&rig, xchg);
	obj->flags |= HF_OBJ_SECRET_OK;
	client = rig_connect(&rig, 1);
	rig_send(&rig, client, GET("/a?token=x"));
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit\r\n"));
	/* nobody is told more than that who has no token */
	client = rig_connect(&rig, 2);
	rig_send(&rig, client, GET("/a?token=y"));
	rig_reset(&rig, client);
}

Test(serve, what_the_origin_thread_made_a_bypass_is_told_and_counted_as_one)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	cr_assert(hf_stat_register("test"));
	rig_send(&rig, client, GET("/a?token=x"));
	xchg = rig_expect_start(&rig);
	xchg->cause = HF_XCHG_BYPASS_REQUEST;
	(void)rig_answer(&rig, xchg, 10, /* stream= */ true);
	cr_assert(strstr(client->out, "Cache-Status: holdfast; fwd=request\r\n"));
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_MISS_BYPASS), 1);
	rig_reset(&rig, client);
}

#define VIA(path, value) "GET " path " HTTP/1.1\r\nHost: a.example\r\nVia: " value "\r\n\r\n"

Test(serve, rfc9110_7_6_3_what_we_forwarded_before_is_not_forwarded_again)
{
	static const char *const loops[] = { "1.1 edge-1", "1.0 other, HTTP/1.1 EDGE-1 (x, y)",
		"1.1 other\r\nVia: 1.1 edge-1, 1.1 third" };
	static const char *const others[] = { "1.1 edge-11", "1.1 other (edge-1)", "edge-1 1.1" };
	char text[256];
	struct hf_xchg *xchg;

	for (uint32_t i = 0; i < HF_ARRAY_LEN(loops); i++) {
		struct rig_client *client = rig_connect(&rig, i);

		(void)snprintf(text, sizeof(text), VIA("/m", "%s"), loops[i]);
		rig_send(&rig, client, text);
		cr_expect(strstr(client->out, "HTTP/1.1 508 Loop Detected\r\n"), "%s", loops[i]);
		rig_reset(&rig, client);
	}
	for (uint32_t i = 0; i < HF_ARRAY_LEN(others); i++) {
		struct rig_client *client = rig_connect(&rig, 4 + i);

		(void)snprintf(text, sizeof(text), VIA("/m", "%s"), others[i]);
		rig_send(&rig, client, text);
		xchg = rig_expect_start(&rig);
		cr_expect(memmem(xchg->lines.ptr, xchg->lines.len, ", 1.1 edge-1\r\n", 14));
		rig_reset(&rig, client);
		rig_expect_finish(&rig, xchg);
	}
}

Test(serve, a_hit_goes_nowhere_so_it_is_no_loop)
{
	struct rig_client *client = rig_connect(&rig, 0);

	(void)rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, client, VIA("/a", "1.1 edge-1"));
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit\r\n"));
}

Test(serve, answers_to_requests_that_came_together_share_send_buffers)
{
	struct rig_client *client = rig_connect(&rig, 0);
	char gets[16 * sizeof(GET("/small"))];
	uint32_t len = 0;

	rig_store(&rig, URL("/small"), 10, 600);
	for (int i = 0; i < 16; i++)
		len += (uint32_t)sprintf(gets + len, GET("/small"));
	rig_send_deaf(&rig, client, gets);
	/* with one each a connection would have its share after eight */
	cr_assert_eq(count_of(client->out, "200 OK"), 16);
}
