/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Plain hits (serve_plain.c) are answered, counted and remembered as the steps of serve_fsm.c would. The steps are made to
 * take all requests by somebody who watches the log.
 */
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve_rig.h"

#define URL(path) "http://a.example" path
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define TEXT_MAX  16384
#define IDLE_US   (rig.conf.http.idle_timeout_ms * 1000ULL)

static struct rig rig;
static struct hf_reqlog_watch *watch;

static void setup(void)
{
	rig_open(&rig);
	cr_assert(hf_stat_register("test"));
	/* a watch begins by that clock, which goes on while the rig's stands */
	rig_wait(&rig, hf_clock_us() + 100000000 - rig.now_us);
}

static void teardown(void)
{
	if (watch)
		hf_reqlog_watch_free(watch);
	rig_close(&rig);
}

TestSuite(serve_plain, .init = setup, .fini = teardown);

/* The heads repeat from here on: one was parsed, and one was told and had its key built. */
static void warm(struct rig_client *client)
{
	rig_send(&rig, client, GET("/warm"));
	rig_send(&rig, client, GET("/warm"));
	rig_send(&rig, client, GET("/warm"));
	client->out_len = 0;
}

static struct rig_client *warmed(uint32_t i)
{
	struct rig_client *client = rig_connect(&rig, i);

	rig_store(&rig, URL("/warm"), 5, 600);
	warm(client);
	return client;
}

struct outcome {
	char *out;
	bool fin;
	uint64_t told;                 /* lines of the log, those of warm() too */
	uint64_t stats[HF_STAT_COUNT]; /* how much more each is */
};

static struct outcome outcome_of(const char *text)
{
	struct rig_client *client = warmed(0);
	struct outcome outcome = { 0 };

	for (uint32_t i = 0; i < HF_STAT_COUNT; i++)
		outcome.stats[i] = hf_stat_sum((enum hf_stat)i);
	rig_send(&rig, client, text);
	for (uint32_t i = 0; i < HF_STAT_COUNT; i++)
		outcome.stats[i] = hf_stat_sum((enum hf_stat)i) - outcome.stats[i];
	outcome.out = strdup(client->out);
	outcome.fin = client->fin;
	rig_reset(&rig, client);
	return outcome;
}

static struct outcome outcome_by_steps(const char *text)
{
	struct outcome outcome;
	const char *lines;
	uint64_t lost;
	size_t len;

	cr_assert_eq(hf_reqlog_watch_lines(rig.reqlog, "", NULL, &watch), 0);
	outcome = outcome_of(text);
	hf_reqlog_stop(rig.reqlog);
	hf_reqlog_run(rig.reqlog);
	lines = hf_reqlog_lines_take(watch, &len, &lost);
	cr_assert_gt(len, 0);
	for (size_t i = 0; i < len; i++)
		outcome.told += lines[i] == '\n';
	hf_reqlog_watch_free(watch);
	watch = NULL;
	return outcome;
}

static void assert_as_by_steps(const char *text)
{
	struct outcome plain = outcome_of(text), steps = outcome_by_steps(text);

	cr_assert(strlen(plain.out) > 0);
	cr_assert_str_eq(plain.out, steps.out);
	cr_assert_eq(plain.fin, steps.fin);
	cr_assert_eq(steps.told, 3 + steps.stats[HF_STAT_HTTP_REQUESTS]);
	for (uint32_t i = 0; i < HF_STAT_COUNT; i++)
		cr_expect_eq(plain.stats[i], steps.stats[i], "%s", hf_stat_infos[i].name);
	free(plain.out);
	free(steps.out);
}

/* COUNT requests in turn for objects of these sizes. */
static const char *many(uint32_t count)
{
	static char text[TEXT_MAX];
	static const char *const asks[] = { GET("/1"), GET("/100"), GET("/1000"), GET("/1500?q"),
		GET("/warm") };
	size_t len = 0;

	rig_store(&rig, URL("/1"), 1, 600);
	rig_store(&rig, URL("/100"), 100, 600);
	rig_store(&rig, URL("/1000"), 1000, 600);
	rig_store(&rig, URL("/1500?q"), 1500, 600);
	for (uint32_t i = 0; i < count; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s", asks[i % HF_ARRAY_LEN(asks)]);
	return text;
}

Test(serve_plain, one_is_answered_as_by_steps)
{
	assert_as_by_steps(GET("/warm"));
}

Test(serve_plain, many_that_came_together_are)
{
	assert_as_by_steps(many(8));
	assert_as_by_steps(many(24));
	assert_as_by_steps(many(80));
}

static uint32_t answers(const struct rig_client *client)
{
	uint32_t count = 0;

	for (const char *at = client->out; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++)
		count++;
	return count;
}

Test(serve_plain, no_more_than_a_turn_takes_are_answered_at_once)
{
	struct rig_client *client = warmed(0);
	char text[TEXT_MAX] = "";

	for (uint32_t i = 0; i < 80; i++)
		strcat(text, GET("/warm"));
	rig_send_deaf(&rig, client, text); /* one turn */
	cr_assert_geq(answers(client), 32);
	cr_assert_leq(answers(client), 64, "the tick runs it once more");
	rig_settle(&rig);
	cr_assert_eq(answers(client), 80);
}

Test(serve_plain, who_takes_nothing_has_no_more_answers_queued)
{
	struct rig_client *client = warmed(0), *other = rig_connect(&rig, 1);
	uint64_t hits;

	(void)many(1);
	for (uint32_t i = 0; i < 2000; i++)
		rig_send_deaf(&rig, client, GET("/1000"));
	hits = hf_stat_sum(HF_STAT_CACHE_HITS);
	for (uint32_t i = 0; i < 2000; i++)
		rig_send_deaf(&rig, client, GET("/1000"));
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_HITS), hits);
	cr_assert(!client->rst && !client->fin);
	rig_send_deaf(&rig, other, GET("/1000"));
	cr_assert_eq(answers(other), 1, "there are buffers for others");
}

Test(serve_plain, each_of_a_burst_gets_its_own)
{
	static const char *const asks[] = { GET("/warm"),
		"HEAD /1000 HTTP/1.1\r\nHost: a.example\r\n\r\n", GET("/100"), GET("/1"),
		"GET /1 HTT", "", "GET /1 HTTP/1.1\r\nHost: A.example\r\n\r\n" };
	static const char *const lengths[] = { "h: 5\r", "h: 1000\r", "h: 100\r", "h: 1\r", "", "",
		"h: 1\r" };
	struct rig_client *clients[HF_ARRAY_LEN(asks)];
	struct hf_span texts[HF_ARRAY_LEN(asks)];

	(void)many(1);
	for (uint32_t shift = 0; shift < HF_ARRAY_LEN(asks); shift++) {
		(void)warmed(RIG_CLIENTS - 1);
		for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++) {
			const char *text = asks[(i + shift) % HF_ARRAY_LEN(asks)];

			clients[i] = rig_connect(&rig, i);
			texts[i] = (struct hf_span){ text, strlen(text) };
		}
		rig_send_burst(&rig, clients, texts, HF_ARRAY_LEN(asks));
		for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++) {
			const char *length = lengths[(i + shift) % HF_ARRAY_LEN(asks)];

			cr_assert_eq(answers(clients[i]), length[0] ? 1 : 0);
			cr_assert_not_null(strstr(clients[i]->out, length), "%u %u", shift, i);
		}
		for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++)
			rig_reset(&rig, clients[i]);
		rig_reset(&rig, &rig.client[RIG_CLIENTS - 1]);
	}
}

Test(serve_plain, what_stands_between_others_is)
{
	static const char *const others[] = { "HEAD /warm HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /none HTTP/1.1\r\nHost: a.example\r\nCache-Control: only-if-cached\r\n\r\n",
		"GET /warm HTTP/1.1\r\nHost: a.example\r\nRange: bytes=1-2\r\n\r\n",
		"GET /warm HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "\r\n", GET("/large"),
		"GET /war HTTP/1.0\r\nHost: a.example\r\n\r\n" };
	char text[TEXT_MAX];

	rig_store(&rig, URL("/large"), 100000, 600);
	for (size_t i = 0; i < HF_ARRAY_LEN(others); i++) {
		snprintf(
			text, sizeof(text), GET("/warm") GET("/warm") "%s" GET("/warm"), others[i]);
		assert_as_by_steps(text);
	}
}

Test(serve_plain, what_is_stored_otherwise_is)
{
	rig.status = 404;
	rig_store(&rig, URL("/gone"), 10, 600);
	rig.status = 200;
	rig_store(&rig, URL("/empty"), 0, 600);
	assert_as_by_steps(GET("/warm") GET("/gone") GET("/empty") GET("/warm"));
}

Test(serve_plain, a_head_that_is_not_whole_waits_behind_those_that_were_answered)
{
	struct rig_client *client = warmed(0);

	rig_send(&rig, client, GET("/warm") "GET /warm HTT");
	cr_assert_not_null(strstr(client->out, "200 OK"));
	client->out_len = 0;
	rig_send(&rig, client, "P/1.1\r\nHost: a.example\r\n\r\n");
	cr_assert_not_null(strstr(client->out, "200 OK"));
	rig_send(&rig, client, GET("/warm") "GET /warm HTT");
	rig_wait(&rig, rig.conf.http.header_timeout_ms * 1000ULL + 1000000);
	cr_assert_not_null(strstr(client->out, "408 Request Timeout"));
}

Test(serve_plain, what_is_not_fresh_is_asked_for)
{
	struct rig_client *client = warmed(0);
	struct hf_obj *obj = rig_store(&rig, URL("/old"), 10, 60);
	struct hf_xchg *xchg;

	cr_assert_not(obj->touched);
	rig_wait(&rig, 1000000);
	rig_send(&rig, client, GET("/old") GET("/warm"));
	cr_assert_not_null(strstr(client->out, "Age: 1\r\n"));
	cr_assert(obj->touched);
	for (uint32_t i = 0; i < 6; i++) { /* it does not fall asleep */
		rig_wait(&rig, 10000000);
		rig_send(&rig, client, GET("/warm"));
	}
	client->out_len = 0;
	rig_send(&rig, client, GET("/warm") GET("/old") GET("/warm"));
	xchg = rig_expect_start(&rig);
	cr_assert_eq(xchg->cause, HF_XCHG_MISS_EXPIRED);
	cr_assert_eq(answers(client), 1, "the one behind it waits");
	cr_assert_null(hf_tcp_idle_oldest(rig.tcp));
	hf_shard_obj_unref(rig.shard, rig_answer(&rig, xchg, 3, /* stream= */ false));
}

static void store_varying(const char *url, uint32_t date_s)
{
	static const char vary[] = "accept-language\0-";
	uint32_t len = (uint32_t)strlen(url);
	struct hf_obj_spec spec = { .key = { url, len, hf_cache_hash(rig.cache, url, len) },
		.vary = { vary, sizeof(vary) },
		.head = { rig.head, strlen(rig.head) },
		.length = 4,
		.born_us = (int64_t)rig.now_us,
		.life = { .lifetime_s = 600, .date_s = date_s },
		.status = 200 };
	struct hf_obj *obj = hf_shard_obj_new(rig.shard, &spec);

	cr_assert_eq(hf_shard_fill(rig.shard, obj, "none", 4), 4);
	hf_shard_fill_end(rig.shard, obj);
	hf_shard_publish(rig.shard, obj);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_plain, what_varies_is_chosen_by_its_fields)
{
	struct rig_client *client = warmed(0);

	store_varying(URL("/vary"), 0);
	rig_store_body(&rig, URL("/both"), "any", 3, 600);
	store_varying(URL("/both"), UINT32_MAX);
	rig_send(&rig, client, GET("/both"));
	rig_send(&rig, client, GET("/vary"));
	cr_assert_eq(answers(client), 2);
	cr_assert_not_null(strstr(strstr(client->out, "\r\n\r\nnone") + 1, "\r\n\r\nnone"));
	rig_send(&rig, client,
		"GET /vary HTTP/1.1\r\nHost: a.example\r\nAccept-Language: de\r\n\r\n");
	cr_assert_eq(rig_expect_start(&rig)->cause, HF_XCHG_MISS_VARY);
}

Test(serve_plain, a_secret_in_the_target_is_not_answered_from_what_all_may_have)
{
	struct rig_client *client = warmed(0);

	rig_store(&rig, URL("/a?token=x"), 5, 600);
	rig_send(&rig, client, GET("/a?token=x"));
	cr_assert_eq(client->out_len, 0);
	(void)rig_expect_start(&rig);
}

Test(serve_plain, a_connection_is_idle_from_its_last_answer_on)
{
	struct rig_client *client = warmed(0);

	for (uint32_t i = 0; i < 3; i++) {
		rig_wait(&rig, IDLE_US - 1000000);
		cr_assert_not(client->fin);
		rig_send(&rig, client, GET("/warm"));
	}
	cr_assert_not(client->fin);
	rig_wait(&rig, IDLE_US + 1000000);
	cr_assert(client->fin);
}

Test(serve_plain, who_has_said_all_is_answered_and_closed)
{
	struct rig_client *client = warmed(0);

	rig_send_fin(&rig, client, GET("/warm") GET("/warm"));
	cr_assert_eq(answers(client), 2);
	cr_assert(client->fin);
}

Test(serve_plain, while_draining_the_next_answer_is_the_last)
{
	struct rig_client *client = warmed(0);

	rig_send(&rig, client, "GET /warm HTT");
	hf_serve_drain(rig.serve);
	rig_send(&rig, client, "P/1.1\r\nHost: a.example\r\n\r\n" GET("/warm"));
	cr_assert_not_null(strstr(client->out, "Connection: close"));
	cr_assert_eq(answers(client), 1);
	cr_assert(client->fin);
}

/* A head that was kept for comparison is of the one who said it last, plainly too. */
Test(serve_plain, what_was_said_is_gone_with_the_last_who_said_it)
{
	static const char text[] =
		"GET /warm HTTP/1.1\r\nHost: a.example\r\nX-Client: some-one\r\n\r\n";
	struct rig_client *first = warmed(0), *last = rig_connect(&rig, 1);

	for (uint32_t i = 0; i < 3; i++)
		rig_send(&rig, first, text);
	rig_send(&rig, last, text);
	cr_assert_not_null(memmem(rig.serve, malloc_usable_size(rig.serve), "some-one", 8));
	rig_reset(&rig, first);
	cr_assert_not_null(memmem(rig.serve, malloc_usable_size(rig.serve), "some-one", 8));
	rig_reset(&rig, last);
	cr_assert_null(memmem(rig.serve, malloc_usable_size(rig.serve), "some-one", 8));
}

Test(serve_plain, who_reads_too_slowly_is_not_forgotten_for_a_plain_hit)
{
	struct rig_client *client = warmed(0);
	uint64_t slow;

	rig_store(&rig, URL("/large"), 40000, 600);
	rig_send_deaf(&rig, client, GET("/large"));
	rig_send_deaf(&rig, client, GET("/warm"));
	slow = hf_drop_sum(HF_DROP_CONN_SEND_SLOW);
	for (uint32_t i = 0; i < 4; i++)
		rig_wait_deaf(&rig, 10000000);
	cr_assert_eq(hf_drop_sum(HF_DROP_CONN_SEND_SLOW), slow + 1);
}
