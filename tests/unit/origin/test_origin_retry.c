/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Further tries of a fetch whose origin failed it.
 */
#include "origin_choice.h"
#include "rig.h"

#define GOOD "HTTP/1.1 200 OK\r\n" RIG_FRESH "Content-Length: 3\r\n\r\nnew"
#define BAD  "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nlast"
#define SIE  "Cache-Control: max-age=90, stale-if-error=600\r\n"

static struct rig *retry_rig(uint32_t max_in_flight)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.retries = 3;
	rig->conf.origin.retry_budget = 20;
	rig->conf.origin.max_in_flight = max_in_flight;
	rig_up(rig, 64 << 20);
	rig->origin->retry_pause_us = 2;
	return rig;
}

static struct origin_fetch *only_fetch(const struct rig *rig)
{
	struct hf_list *it = hf_list_first(&rig->origin->all);

	return it ? HF_CONTAINER_OF(it, struct origin_fetch, all_link) : NULL;
}

static uint16_t answer_of(struct rig *rig, struct rig_client *client)
{
	rig_until(rig, client->head || client->fail);
	return client->fail ? client->xchg->fail_status : client->xchg->obj->status;
}

static void expect_new(struct rig *rig, struct rig_client *client)
{
	cr_assert_eq(answer_of(rig, client), 200);
	rig_until(rig, rig_client_at_end(client));
	cr_assert_eq(client->body.len, 3);
	rig_end(rig, client);
}

/* The next request comes on a connection of its own: curl itself repeats what a used one lost. */
static void drop_connections(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->conns; i++)
		rig_conn_close(&rig->conn[i]);
	rig_settle(rig);
}

static void reset(struct rig_conn *conn)
{
	const struct linger at_once = { 1, 0 };

	cr_assert(setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	rig_conn_close(conn);
}

Test(origin_retry, errors_that_pass_are_asked_again_and_counted_by_status)
{
	static const struct {
		uint16_t status;
		enum hf_stat why;
	} each[] = { { 408, HF_STAT_ORIGIN_RETRY_408 }, { 429, HF_STAT_ORIGIN_RETRY_429 },
		{ 500, HF_STAT_ORIGIN_RETRY_500 }, { 502, HF_STAT_ORIGIN_RETRY_502 },
		{ 503, HF_STAT_ORIGIN_RETRY_503 }, { 504, HF_STAT_ORIGIN_RETRY_504 } };
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	char text[128];

	for (size_t i = 0; i < HF_ARRAY_LEN(each); i++) {
		(void)snprintf(text, sizeof(text), "/%zu", i);
		rig_get(rig, &client, text, "");
		(void)snprintf(text, sizeof(text), "HTTP/1.1 %u No\r\nContent-Length: 2\r\n\r\nno",
			each[i].status);
		rig_reply(rig, text);
		rig_reply(rig, GOOD);
		expect_new(rig, &client);
		cr_expect_eq(hf_stat_sum(each[i].why), 1);
	}
	cr_expect_eq(rig->conns, 1, "what an error says is read for the sake of the connection");
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_SUCCESS), HF_ARRAY_LEN(each));
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_HTTP_ERROR), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 2 * HF_ARRAY_LEN(each));
	rig_free(rig);
}

Test(origin_retry, what_brings_no_head_is_asked_again_and_counted_by_how)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client, "/reset", "");
	reset(rig_asked(rig, &head));
	rig_reply(rig, GOOD);
	expect_new(rig, &client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_RESET), 1);
	rig_get(rig, &client, "/eof", "");
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 200 OK\r\nX-Half");
	conn->close_after = true;
	rig_reply(rig, GOOD);
	expect_new(rig, &client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_EOF), 1);
	rig->conf.origin.first_byte_timeout_ms = 20; /* of the first try */
	rig_get(rig, &client, "/late", "");
	(void)rig_asked(rig, &head);
	rig->conf.origin.first_byte_timeout_ms = 10000;
	rig_reply(rig, GOOD);
	expect_new(rig, &client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_TIMEOUT), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_SUCCESS), 3);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_ERRORS), 0);
	rig_free(rig);
}

Test(origin_retry, what_does_not_speak_tls_is_asked_again_and_counted_as_transport)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	char url[64];

	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", rig->port);
	rig_origin_url(rig, url);
	rig->conf.origin.retries = 1;
	rig_get(rig, &client, "/a", "");
	for (uint32_t i = 0; i < 2; i++) {
		rig_until(rig, rig->conns == i + 1);
		rig_say(&rig->conn[i], "HTTP/1.1 400 Bad Request\r\n\r\n");
	}
	cr_expect_eq(answer_of(rig, &client), 502);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_TRANSPORT), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_ERROR), 1);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, a_refused_connection_is_tried_again)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;

	(void)close(rig->listener);
	rig->listener = -1;
	rig->origin->retry_pause_us = 50000;
	rig_get(rig, &client, "/a", "");
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_RETRY_REFUSED) == 1);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 0);
	rig_listen(rig);
	rig_reply(rig, GOOD);
	expect_new(rig, &client);
	rig_free(rig);
}

Test(origin_retry, after_four_tries_the_last_answer_is_the_clients)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, "/a", "");
	for (uint32_t i = 0; i < 4; i++)
		rig_reply(rig, BAD);
	cr_assert_eq(answer_of(rig, &client), 503);
	rig_until(rig, rig_client_at_end(&client));
	cr_expect(client.body.len == 4 && memcmp(client.body.data, "last", 4) == 0);
	cr_expect_eq(rig_requests(rig), 4);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_503), 3);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_HTTP_ERROR), 1);
	rig_end(rig, &client);
	drop_connections(rig);
	rig_get(rig, &client, "/b", "");
	for (uint32_t i = 0; i < 4; i++)
		reset(rig_asked(rig, &head));
	cr_assert_eq(answer_of(rig, &client), 502);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_ERROR), 1);
	rig_end(rig, &client);
	rig_free(rig);
}

static void expect_one_try(struct rig *rig, const char *request, const char *answer)
{
	uint32_t before = rig_requests(rig);
	struct rig_client client;

	rig_start_text(rig, &client, request);
	rig_reply(rig, answer);
	(void)answer_of(rig, &client);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), before + 1, "%s: %s", request, answer);
	rig_end(rig, &client);
}

Test(origin_retry, what_may_not_be_repeated_or_is_an_answer_is_asked_once)
{
	static const char get[] = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";
	struct rig *rig = retry_rig(0);

	expect_one_try(rig, "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n", BAD);
	expect_one_try(rig, "PATCH /a HTTP/1.1\r\nHost: a.test\r\n\r\n", BAD);
	expect_one_try(rig, get, "HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get,
		"HTTP/1.1 503 No\r\nCache-Control: max-age=0\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get,
		"HTTP/1.1 503 No\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
		"Content-Length: 0\r\n\r\n");
	expect_one_try(rig, get,
		"HTTP/1.1 503 No\r\nCDN-Cache-Control: max-age=0\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get, "HTTP/1.1 503 No\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get, "HTTP/1.1 503 No\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
	expect_one_try(rig, get,
		"HTTP/1.1 429 No\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"
		"Content-Length: 0\r\n\r\n");
	expect_one_try(rig, get, "HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n");
	rig->conf.origin.retries = 0;
	expect_one_try(rig, get, BAD);
	rig_free(rig);
}

Test(origin_retry, a_client_that_was_sent_an_interim_answer_gets_the_rest_of_that_one)
{
	struct rig *rig = retry_rig(0);

	expect_one_try(rig, "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" BAD);
	rig_free(rig);
}

Test(origin_retry, rfc9110_9_2_2_other_idempotent_methods_are_repeated_too)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;

	rig_start_text(rig, &client, "DELETE /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_reply(rig, BAD);
	rig_reply(rig, "HTTP/1.1 204 Gone\r\n\r\n");
	cr_assert_eq(answer_of(rig, &client), 204);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, retry_after_of_a_second_is_waited_for)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_reply(rig, "HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_RETRY_503) == 1);
	cr_expect_geq(only_fetch(rig)->timer.due_us, only_fetch(rig)->sent_us + 1000000);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, the_next_try_goes_to_another_origin_though_that_has_more_to_do)
{
	struct rig *rig = retry_rig(0);
	struct rig_client slow, client;
	struct rig_conn *conn;
	const char *head;
	uint32_t busy;

	rig_group(rig, "", "ab");
	rig_get(rig, &slow, "/slow", "");
	conn = rig_asked(rig, &head);
	busy = rig_peer(rig, 0)->in_flight > 0 ? 0 : 1;
	for (uint32_t i = 1; i <= 5; i++) {
		rig_get(rig, &client, "/a", "Cache-Control: no-store\r\n");
		rig_reply(rig, BAD);
		rig_reply(rig, GOOD);
		expect_new(rig, &client);
		cr_expect_eq(rig_peer(rig, busy)->fetches, 1 + i);
		cr_expect_eq(rig_peer(rig, 1 - busy)->fetches, i);
	}
	rig_say(conn, GOOD);
	expect_new(rig, &slow);
	rig_free(rig);
}

Test(origin_retry, in_the_pause_the_slot_is_anothers)
{
	struct rig *rig = retry_rig(1);
	struct rig_client a, b;
	const char *head;

	rig->origin->retry_pause_us = 100000;
	rig_get(rig, &a, "/a", "");
	rig_get(rig, &b, "/b", "");
	rig_reply(rig, BAD);
	rig_say(rig_asked(rig, &head), GOOD);
	cr_expect(strncmp(head, "GET /b ", 7) == 0);
	expect_new(rig, &b);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 0);
	rig_reply(rig, GOOD);
	expect_new(rig, &a);
	rig_free(rig);
}

Test(origin_retry, the_budget_is_a_share_of_the_fetches_and_one_a_second)
{
	struct origin_retries retries;
	uint32_t count = 0;

	origin_retry_init(&retries, 0);
	while (origin_retry_spend(&retries, 0))
		count++;
	cr_expect_eq(count, 10);
	for (uint32_t i = 0; i < 1000; i++) {
		origin_retry_earn(&retries, 20);
		count += origin_retry_spend(&retries, 0);
	}
	cr_expect_eq(count, 10 + 200);
	for (uint64_t s = 1; s <= 60; s++)
		count += origin_retry_spend(&retries, s * 1000000);
	cr_expect_eq(count, 10 + 200 + 60);
	for (uint32_t i = 0; i < 100000; i++)
		origin_retry_earn(&retries, 100);
	for (count = 0; origin_retry_spend(&retries, 60000000);)
		count++;
	cr_expect_eq(count, 100, "what was saved is bounded");
	cr_expect(origin_retry_spend(&retries, 3600000000000) &&
		  retries.tokens == 900); /* an hour brings no more than the first had */
}

/* One of two origins has no listener. */
static void one_refuses(struct rig *rig)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"2\",\"origins\":["
		"{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:1\"},"
		"{\"group\":\"g\",\"id\":\"o2\",\"url\":\"http://127.0.0.1:%u\"}],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}]}",
		rig->port);
	rig_state_text(rig, text);
	rig_settle(rig);
}

Test(origin_retry, a_refused_one_goes_to_another_origin_whatever_the_budget)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;

	one_refuses(rig);
	rig->conf.origin.retry_budget = 0;
	for (uint32_t i = 0; i < 4; i++) {
		rig->origin->retries.tokens = 0;
		rig->origin->retries.filled_us = hf_clock_us();
		rig_get(rig, &client, "/a", "Cache-Control: no-store\r\n");
		rig_reply(rig, GOOD);
		expect_new(rig, &client);
	}
	cr_expect_gt(hf_stat_sum(HF_STAT_ORIGIN_RETRY_REFUSED), 0);
	rig_free(rig);
}

Test(origin_retry, without_another_a_refused_one_is_of_the_budget)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;

	(void)close(rig->listener);
	rig->listener = -1;
	rig->conf.origin.retry_budget = 0;
	rig->origin->retries.tokens = 0;
	rig->origin->retries.filled_us = hf_clock_us();
	rig_get(rig, &client, "/a", "");
	cr_expect_eq(answer_of(rig, &client), 502);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_REFUSED), 0);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, without_budget_the_error_is_the_answer)
{
	struct rig *rig = retry_rig(0);

	rig->origin->retries.tokens = 0;
	rig->conf.origin.retry_budget = 0;
	expect_one_try(rig, "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n", BAD);
	rig_free(rig);
}

Test(origin_retry, no_try_begins_after_the_total_timeout)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	const char *head;

	rig->conf.origin.total_timeout_ms = 30;
	rig_get(rig, &client, "/a", "");
	(void)rig_asked(rig, &head); /* it waits for a head until then */
	cr_assert_eq(answer_of(rig, &client), 504);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_TIMEOUT), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_TIMEOUT), 1);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, who_may_have_a_stale_one_does_not_wait_for_a_retry)
{
	struct rig *rig = retry_rig(0);
	struct rig_client has, late, waits;
	const char *head;

	rig->origin->retry_pause_us = 50000;
	rig_store(rig, "/a", SIE, 1000, 100);
	drop_connections(rig);
	rig_get(rig, &has, "/a", "");
	rig_get(rig, &waits, "/a", "Cache-Control: no-cache\r\n");
	reset(rig_asked(rig, &head));
	rig_expect_body(rig, &has, 1000);
	cr_expect(has.xchg->stale);
	cr_expect_not(waits.head);
	cr_expect_eq(only_fetch(rig)->state, ORIGIN_RETRY);
	rig_get(rig, &late, "/a", "");
	rig_expect_body(rig, &late, 1000);
	cr_expect_eq(only_fetch(rig)->state, ORIGIN_RETRY);
	rig_reply(rig, GOOD);
	expect_new(rig, &waits);
	rig_end(rig, &has);
	rig_end(rig, &late);
	rig_free(rig);
}

Test(origin_retry, what_stands_for_everyone_who_waits_ends_the_tries)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	drop_connections(rig);
	for (uint32_t i = 0; i < 2; i++) {
		rig_get(rig, &client, "/a", "");
		if (i == 0)
			reset(rig_asked(rig, &head));
		else
			rig_reply(rig, BAD);
		rig_expect_body(rig, &client, 1000);
		cr_expect(client.xchg->stale);
		rig_end(rig, &client);
		rig_settle(rig);
		cr_expect_eq(rig_requests(rig), 2 + i);
	}
	rig_free(rig);
}

Test(origin_retry, whose_fetch_is_its_own_may_have_a_stale_one_too)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a", SIE, 1000, 100);
	drop_connections(rig);
	rig_start_text(rig, &client, "HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	reset(rig_asked(rig, &head));
	cr_assert_eq(answer_of(rig, &client), 200);
	cr_expect(client.xchg->stale);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_RETRY_RESET), 0);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_retry, a_refresh_asks_once_unless_somebody_waits)
{
	struct rig *rig = retry_rig(0);
	struct rig_client refresh, client;
	const char *head;

	rig_refresh(rig, &refresh, "/a", "");
	reset(rig_asked(rig, &head));
	rig_until(rig, refresh.gone);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 1);
	rig_refresh(rig, &refresh, "/a", "");
	rig_get(rig, &client, "/a", "");
	reset(rig_asked(rig, &head));
	rig_reply(rig, GOOD);
	expect_new(rig, &client);
	rig_until(rig, refresh.gone);
	rig_free(rig);
}

Test(origin_retry, who_leaves_in_the_pause_leaves_it_to_the_others)
{
	struct rig *rig = retry_rig(0);
	struct rig_client a, b;
	const char *head;

	rig->origin->retry_pause_us = 50000;
	rig_get(rig, &a, "/a", "X-Who: a\r\n");
	rig_get(rig, &b, "/a", "X-Who: b\r\n");
	rig_reply(rig, BAD);
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_RETRY_503) == 1);
	rig_end(rig, &a);
	rig_say(rig_asked(rig, &head), GOOD);
	cr_expect(rig_head_has(head, "X-Who: b\r\n"));
	expect_new(rig, &b);
	rig_get(rig, &a, "/c", "");
	rig_reply(rig, BAD);
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_RETRY_503) == 2);
	rig_end(rig, &a);
	cr_expect_null(only_fetch(rig));
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_CANCELED), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_SUCCESS), 1);
	rig_free(rig);
}

Test(origin_retry, an_answer_of_a_later_try_is_stored_and_validators_are_asked_anew)
{
	struct rig *rig = retry_rig(0);
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a", "Cache-Control: max-age=90\r\nETag: \"1\"\r\n", 1000, 100);
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, BAD);
	rig_say(rig_asked(rig, &head), "HTTP/1.1 304 Same\r\nETag: \"1\"\r\n" RIG_FRESH "\r\n");
	cr_expect(rig_head_has(head, "If-None-Match: \"1\"\r\n"));
	rig_expect_body(rig, &client, 1000);
	rig_end(rig, &client);
	rig_get(rig, &client, "/a", "");
	rig_expect_body(rig, &client, 1000);
	cr_expect_eq(rig_requests(rig), 3);
	rig_end(rig, &client);
	rig_free(rig);
}
