/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Keys are guessed of requests before their turn (serve_ahead.c): each is answered as if it had come alone, whatever
 * stands before and behind it and wherever segments begin.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve_rig.h"

#define ROUNDS   200
#define ASKED    40 /* more than one connection may ask in a turn */
#define TEXT_MAX 16384

#define A "Host: a.example\r\n\r\n"
#define B "Host: b.example\r\n\r\n" /* as long */

/* What is not stored is not to be fetched, so that each is answered at once. */
#define STORED_ONLY "Host: a.example\r\nCache-Control: only-if-cached\r\n\r\n"

static const char *const asks[] = {
	"GET /a HTTP/1.1\r\n" A,
	"GET /b HTTP/1.1\r\n" A,
	"GET /a HTTP/1.1\r\n" B,
	"GET /a%62c/../b HTTP/1.1\r\n" A,
	"GET /b?q HTTP/1.1\r\n" A,
	"HEAD /a HTTP/1.1\r\n" A,
	"\r\nGET /b HTTP/1.1\r\n" A,
	"GET http://b.example/a HTTP/1.1\r\n" A,
	"GET /a HTTP/1.1\r\nHost: A.example:80\r\n\r\n",
	"GET /a HTTP/1.1\r\n" STORED_ONLY,
	"GET /none HTTP/1.1\r\n" STORED_ONLY,
	"GET /b HTTP/1.1\r\n" STORED_ONLY,
	"GET https://a.example/a HTTP/1.1\r\n" A,
	"OPTIONS * HTTP/1.1\r\n" A,
};

static struct rig rig;
static uint32_t drawn;

static uint32_t draw(uint32_t below)
{
	drawn = drawn * 1664525 + 1013904223;
	return (drawn >> 8) % below;
}

static void setup(void)
{
	rig_open(&rig);
	drawn = 1;
	rig_store_body(&rig, "http://a.example/a", "of a: a", 7, 600);
	rig_store_body(&rig, "http://a.example/b", "of a: b", 7, 600);
	rig_store_body(&rig, "http://a.example/b?q", "of a: b?q", 9, 600);
	rig_store_body(&rig, "http://b.example/a", "of b: a", 7, 600);
}

static void teardown(void)
{
	rig_close(&rig);
}

TestSuite(serve_ahead, .init = setup, .fini = teardown);

/* Seconds pass while a test runs. */
static const char *without_dates(char *text)
{
	for (char *at = text; (at = strstr(at, "Date: ")) != NULL;)
		for (at += 6; *at != '\r'; at++)
			*at = '-';
	return text;
}

/* Each alone, by one client. */
static char *answer_alone(const uint32_t *which, uint32_t count)
{
	struct rig_client *client = rig_connect(&rig, 0);
	char *answer;

	for (uint32_t i = 0; i < count; i++)
		rig_send(&rig, client, asks[which[i]]);
	answer = strdup(without_dates(client->out));
	rig_reset(&rig, client);
	return answer;
}

/* All behind each other, in a burst of segments of random lengths. */
static void send_cut(struct rig_client *client, const char *text, uint32_t segments)
{
	struct rig_client *clients[RIG_BURST_MAX];
	struct hf_span cut[RIG_BURST_MAX];
	size_t left = strlen(text);
	uint32_t count = 0;

	while (left > 0) {
		size_t len = count + 1 == segments ? left : 1 + draw((uint32_t)left);

		clients[count] = client;
		cut[count++] = (struct hf_span){ text, len };
		text += len;
		left -= len;
	}
	rig_send_burst(&rig, clients, cut, count);
}

static void assert_pipelined(const uint32_t *which, uint32_t segments, const char *expect)
{
	struct rig_client *client = rig_connect(&rig, 1);
	char text[TEXT_MAX] = "";

	for (uint32_t i = 0; i < ASKED; i++)
		strcat(text, asks[which[i]]);
	send_cut(client, text, segments);
	cr_assert_str_eq(without_dates(client->out), expect);
	rig_reset(&rig, client);
}

Test(serve_ahead, pipelined_requests_are_answered_as_one_by_one)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		/* many rounds have few kinds, so that heads repeat and guesses are right */
		uint32_t kinds = 2 + draw(HF_ARRAY_LEN(asks) - 1), which[ASKED];
		char *expect;

		for (uint32_t i = 0; i < ASKED; i++)
			which[i] = draw(kinds);
		expect = answer_alone(which, ASKED);
		assert_pipelined(which, 1, expect);
		assert_pipelined(which, 2 + draw(12), expect);
		free(expect);
	}
}

Test(serve_ahead, a_burst_of_connections_is_answered_as_one_by_one)
{
	struct rig_client *clients[RIG_CLIENTS];
	struct hf_span text[RIG_CLIENTS];
	char *expect[HF_ARRAY_LEN(asks)];
	uint32_t which[RIG_CLIENTS];

	for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++)
		expect[i] = answer_alone(&i, 1);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
			clients[i] = rig_connect(&rig, i);
			which[i] = draw(HF_ARRAY_LEN(asks));
			text[i] = (struct hf_span){ asks[which[i]], strlen(asks[which[i]]) };
		}
		rig_send_burst(&rig, clients, text, RIG_CLIENTS);
		for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
			cr_assert_str_eq(without_dates(clients[i]->out), expect[which[i]]);
			rig_reset(&rig, clients[i]);
		}
	}
	for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++)
		free(expect[i]);
}

Test(serve_ahead, what_was_purged_is_not_found_by_a_guess)
{
	static const char text[] =
		"GET /a HTTP/1.1\r\n" STORED_ONLY "GET /b HTTP/1.1\r\n" STORED_ONLY
		"GET /a HTTP/1.1\r\n" STORED_ONLY;
	static const char url[] = "http://a.example/b";
	struct hf_key key = { url, sizeof(url) - 1,
		hf_cache_hash(rig.cache, url, sizeof(url) - 1) };
	struct rig_client *client = rig_connect(&rig, 0);
	const char *gone;

	rig_send(&rig, client, text);
	cr_assert_not_null(strstr(client->out, "of a: b"));
	cr_assert_eq(hf_shard_purge(rig.shard, &key, /* soft= */ false), 1);
	rig_recall(&rig);
	client->out_len = 0;
	rig_send(&rig, client, text);
	gone = strstr(client->out, "HTTP/1.1 504 ");
	cr_assert_not_null(gone);
	cr_assert_null(strstr(client->out, "of a: b"));
	cr_assert_not_null(strstr(gone, "of a: a"));
}
