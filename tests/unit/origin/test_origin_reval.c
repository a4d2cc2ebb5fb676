/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Validation: RFC 9111 §4.3, §3.2. The numbers in names are sections of RFC 9111.
 */
#include "origin_answer.h"
#include "rig.h"

#define LM      "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n"
#define TAG_A   "ETag: \"a\"\r\n"
#define NOT_MOD "HTTP/1.1 304 Not Modified\r\n"

/* A stale response with that validator, and somebody who asks; what the origin was asked. */
static struct rig_conn *ask_about(struct rig *rig, struct rig_client *client, const char *fields,
	const char *request, const char **ret_head)
{
	char all[1024];

	(void)snprintf(all, sizeof(all), RIG_FRESH "%s", fields);
	rig_store(rig, "/a", all, 1000, 100);
	rig_get(rig, client, "/a", request);
	return rig_asked(rig, ret_head);
}

/* ---- §4.3.1: the question ---- */

Test(origin_reval, rfc9111_4_3_1_the_question_carries_both_validators)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A LM, "", &head);

	cr_assert(rig_head_has(head, "If-None-Match: \"a\"\r\n"));
	cr_assert(rig_head_has(head, "If-Modified-Since: Wed, 01 Jan 2025 00:00:00 GMT\r\n"));
	rig_say(conn, NOT_MOD "\r\n");
	rig_expect_body(rig, &client, 1000);
	rig_end_all(rig, &client, 1);
}

static void expect_question(const char *validators, const char *tag, const char *since)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	(void)ask_about(rig, &client, validators, "", &head);
	cr_assert_eq(rig_head_has(head, "If-None-Match: "), tag != NULL, "%s", validators);
	cr_assert_eq(rig_head_has(head, "If-Modified-Since: "), since != NULL, "%s", validators);
	cr_assert(!tag || rig_head_has(head, tag), "%s", validators);
	cr_assert(!since || rig_head_has(head, since), "%s", validators);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_3_1_a_validator_is_repeated_as_it_came)
{
	expect_question("ETag: W/\"a b\"\r\n", "If-None-Match: W/\"a b\"\r\n", NULL);
	expect_question("Last-Modified: Wednesday, 01-Jan-25 00:00:00 GMT\r\n", NULL,
		"If-Modified-Since: Wednesday, 01-Jan-25 00:00:00 GMT\r\n");
}

Test(origin_reval, rfc9111_4_3_1_what_is_no_validator_is_not_sent)
{
	expect_question("ETag: a\r\n" LM, NULL, "If-Modified-Since: Wed, 01 Jan 2025 00");
	expect_question("ETag: \"a\"b\"\r\n" LM, NULL, "If-Modified-Since: Wed, 01 Jan 2025 00");
	expect_question("Last-Modified: yesterday\r\n", NULL, NULL);
	expect_question("", NULL, NULL);
}

Test(origin_reval, rfc9111_4_3_1_the_client_s_own_conditions_stay_with_us)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A,
		"If-None-Match: \"mine\"\r\nIf-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT\r\n"
		"Range: bytes=0-1\r\n",
		&head);

	cr_assert(rig_head_has(head, "If-None-Match: \"a\"\r\n"));
	cr_assert(!rig_head_has(head, "mine") && !rig_head_has(head, "2020"));
	cr_assert(!rig_head_has(head, "Range"));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client, 1000);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_3_1_only_the_variant_of_the_request_is_asked_about)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a", RIG_FRESH TAG_A "Vary: Accept\r\n", 1000, 100);
	rig_get(rig, &client, "/a", "Accept: b/b\r\n");
	(void)rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "If-None-Match"));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9110_13_2_1_only_a_representation_is_asked_about)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, "/a", "");
	rig_say(rig_asked(rig, &head),
		"HTTP/1.1 404 No\r\nContent-Length: 0\r\n" TAG_A RIG_FRESH "\r\n");
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_lookup(rig, "/a", "")->born_us -= 100000000;
	rig_get(rig, &client, "/a", "");
	(void)rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "If-None-Match"));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_5_2_1_4_a_fresh_one_is_validated_when_the_request_says_no_cache)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", RIG_FRESH TAG_A, 1000, 0);
	rig_get(rig, &client, "/a", "Cache-Control: no-cache\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"a\"\r\n"));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client, 1000);
	rig_end_all(rig, &client, 1);
}

/* ---- §4.3.3, §4.3.4: the answer ---- */

Test(origin_reval, rfc9111_4_3_4_a_304_freshens_and_answers_everyone_who_waits)
{
	struct rig *rig = rig_new();
	struct rig_client client[5], late;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], TAG_A "X-Old: 1\r\n", "", &head);
	struct hf_obj *obj;

	for (uint32_t i = 1; i < 5; i++)
		rig_get(rig, &client[i], "/a", i == 4 ? "Cache-Control: no-cache\r\n" : "");
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2, "one question for all");
	rig_say(conn, NOT_MOD TAG_A "X-New: 2\r\n\r\n");
	for (uint32_t i = 0; i < 5; i++) {
		rig_expect_body(rig, &client[i], 1000);
		cr_assert_eq(client[i].xchg->fwd_status, 304);
		cr_assert(client[i].xchg->stored && !client[i].xchg->stale);
		cr_assert_eq(client[i].xchg->collapsed, i > 0);
		cr_assert(rig_has(rig_head_of(&client[i]), "X-New: 2\r\n"));
		cr_assert(rig_has(rig_head_of(&client[i]), "X-Old: 1\r\n"));
		cr_assert(rig_has(rig_head_of(&client[i]), "HTTP/1.1 200 "));
	}
	obj = rig_lookup(rig, "/a", "");
	cr_assert_eq(obj, client[0].xchg->obj);
	cr_assert_eq(hf_obj_use(obj, NULL, hf_clock_us()), HF_CACHE_USE_FRESH);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_REVALIDATED), 1);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	/* the next one needs no origin; its connection was kept */
	rig_get(rig, &late, "/a", "");
	rig_until(rig, late.head);
	cr_assert(late.xchg->local);
	rig_end(rig, &late);
	cr_assert_eq(rig->conns, 1);
	cr_assert_eq(rig_requests(rig), 2);
	rig_end_all(rig, client, 5);
}

Test(origin_reval, rfc9111_3_2_every_field_of_the_304_replaces_the_stored_one)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client,
		TAG_A "X-Two: 1\r\nX-TWO: 2\r\nX-Kept: k\r\nContent-Type: text/plain\r\n"
		      "Date: Wed, 01 Jan 2025 00:00:00 GMT\r\nVia: 1.1 before\r\n",
		"", &head);
	struct hf_span now;

	rig_say(conn,
		NOT_MOD TAG_A "x-two: 3\r\nX-More: 4\r\nX-More: 5\r\nContent-Type: text/html\r\n"
			      "Date: Wed, 01 Jan 2025 11:11:11 GMT\r\nVia: 1.1 "
			      "then\r\nCache-Control: max-age=99\r\n"
			      "\r\n");
	rig_expect_body(rig, &client, 1000);
	now = rig_head_of(&client);
	cr_assert(rig_has(now, "x-two: 3\r\n") && !rig_has(now, "X-Two") && !rig_has(now, "X-TWO"));
	cr_assert(rig_has(now, "X-More: 4\r\n") && rig_has(now, "X-More: 5\r\n"));
	cr_assert(rig_has(now, "X-Kept: k\r\n"));
	cr_assert(rig_has(now, "Content-Type: text/html\r\n") && !rig_has(now, "text/plain"));
	cr_assert(rig_has(now, "11:11:11") && !rig_has(now, "00:00:00"));
	cr_assert(rig_has(now, "Cache-Control: max-age=99\r\n") && !rig_has(now, "max-age=60"));
	cr_assert(rig_has(now, "Via: 1.1 then, 1.1 holdfast\r\n") && !rig_has(now, "before"));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9110_6_6_1_a_304_without_date_came_now)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client,
		TAG_A "Date: Wed, 01 Jan 2025 00:00:00 GMT\r\nVia: 1.1 before\r\n", "", &head);

	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client, 1000);
	cr_assert(rig_has(rig_head_of(&client), "Date: "));
	cr_assert(!rig_has(rig_head_of(&client), "Date: Wed, 01 Jan 2025"));
	cr_assert(rig_has(rig_head_of(&client), "Via: 1.1 holdfast\r\n"));
	cr_assert_lt(hf_obj_age_s(client.xchg->obj, hf_clock_us()), 60);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_3_2_what_the_stored_bytes_are_stays)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn =
		ask_about(rig, &client, TAG_A "Content-Encoding: gzip\r\nX-Hop: 0\r\n", "", &head);
	struct hf_span now;

	rig_say(conn, NOT_MOD TAG_A
		"Content-Length: 7\r\nContent-Encoding: br\r\nContent-Range: bytes 0-1/7\r\n"
		"Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: "
		"x\r\n"
		"\r\n");
	rig_expect_body(rig, &client, 1000);
	now = rig_head_of(&client);
	cr_assert_eq(client.xchg->obj->length, 1000);
	cr_assert(rig_has(now, "Content-Encoding: gzip\r\n") && !rig_has(now, "br\r\n"));
	cr_assert(!rig_has(now, "Content-Length") && !rig_has(now, "Content-Range"));
	cr_assert(rig_has(now, "X-Hop: 0\r\n") && !rig_has(now, "X-Hop: 1"));
	cr_assert(!rig_has(now, "Keep-Alive"));
	cr_assert(!rig_has(now, "Connection") && !rig_has(now, "Proxy-A"));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_2_3_age_begins_anew_with_the_304)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A, "", &head);

	rig_say(conn, NOT_MOD TAG_A "Age: 7\r\n\r\n");
	rig_expect_body(rig, &client, 1000);
	cr_assert_geq(hf_obj_age_s(client.xchg->obj, hf_clock_us()), 7);
	cr_assert_lt(hf_obj_age_s(client.xchg->obj, hf_clock_us()), 60);
	cr_assert(!rig_has(rig_head_of(&client), "Age"));
	rig_end_all(rig, &client, 1);
}

/* A 304 that is about another response: then the origin is asked for the whole. */
static void expect_used(const char *stored, const char *answer, bool used)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], stored, "", &head);
	char text[512];

	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	(void)snprintf(text, sizeof(text), NOT_MOD "%s\r\n", answer);
	rig_say(conn, text);
	if (!used) {
		conn = rig_asked(rig, &head);
		cr_assert(!rig_head_has(head, "If-"), "%s %s", stored, answer);
		rig_answer(conn, RIG_FRESH "ETag: \"b\"\r\n", 2000);
	}
	rig_expect_body(rig, &client[0], used ? 1000 : 2000);
	rig_expect_body(rig, &client[1], used ? 1000 : 2000);
	cr_assert_eq(rig_requests(rig), used ? 2 : 3, "%s %s", stored, answer);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, used ? 1000 : 2000);
	rig_end_all(rig, client, 2);
}

Test(origin_reval, rfc9111_4_3_4_a_strong_validator_must_be_the_same)
{
	expect_used(TAG_A, TAG_A, true);
	expect_used(TAG_A, "ETag: \"b\"\r\n", false);
	expect_used("ETag: W/\"a\"\r\n", TAG_A, false);
	expect_used(LM, TAG_A, false);
}

Test(origin_reval, rfc9111_4_3_4_a_weak_validator_must_correspond)
{
	expect_used(TAG_A, "ETag: W/\"a\"\r\n", true);
	expect_used("ETag: W/\"a\"\r\n", "ETag: W/\"a\"\r\n", true);
	expect_used("ETag: W/\"a\"\r\n", "ETag: W/\"b\"\r\n", false);
	expect_used(LM, LM, true);
	expect_used(LM, "Last-Modified: Wed, 01 Jan 2025 00:00:01 GMT\r\n", false);
}

Test(origin_reval, rfc9111_4_3_4_a_304_without_validator_is_about_what_was_asked)
{
	expect_used(TAG_A, "", true);
	expect_used(LM, "", true);
}

Test(origin_reval, rfc9110_15_4_5_a_304_that_nobody_asked_for_is_502)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], "", "", &head);

	rig_get(rig, &client[1], "/a", "If-None-Match: *\r\n");
	rig_settle(rig);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	for (uint32_t i = 0; i < 2; i++) {
		rig_until(rig, client[i].fail);
		cr_assert_eq(client[i].xchg->fail_status, 502);
	}
	rig_end_all(rig, client, 2);
}

Test(origin_reval, rfc9110_15_4_5_a_second_304_to_a_whole_request_is_502)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_say(ask_about(rig, &client, TAG_A, "", &head), NOT_MOD "ETag: \"b\"\r\n\r\n");
	rig_say(rig_asked(rig, &head), NOT_MOD "ETag: \"b\"\r\n\r\n");
	rig_until(rig, client.fail);
	cr_assert_eq(rig_requests(rig), 3);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_3_3_a_full_response_replaces_the_stored_one)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_answer(ask_about(rig, &client, TAG_A, "", &head), RIG_FRESH "ETag: \"b\"\r\n", 2000);
	rig_expect_body(rig, &client, 2000);
	cr_assert_eq(client.xchg->fwd_status, 0);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 2000);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_3_3_an_error_of_the_origin_is_forwarded_and_the_stored_one_stays)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_say(ask_about(rig, &client, TAG_A, "", &head),
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 503);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end_all(rig, &client, 1);
}

/* The leader has the answer; the other asks for itself; nothing is stored any more. */
static void expect_gone(const char *answer, size_t len, const char *in_head)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], TAG_A, "", &head);

	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	rig_say(conn, answer);
	conn = rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "If-None-Match"), "%s", answer);
	rig_until(rig, client[0].head);
	cr_assert(!client[0].xchg->stored);
	cr_assert(rig_has(rig_head_of(&client[0]), in_head), "%s", answer);
	cr_assert(!rig_lookup(rig, "/a", ""), "%s", answer);
	rig_expect_body(rig, &client[0], len);
	rig_answer(conn, "Cache-Control: no-store\r\n", 500);
	rig_expect_body(rig, &client[1], 500);
	rig_end_all(rig, client, 2);
}

Test(origin_reval, rfc9111_5_2_2_5_a_304_that_says_no_store_takes_the_stored_one_away)
{
	expect_gone(NOT_MOD TAG_A "Cache-Control: no-store\r\n\r\n", 1000, "no-store");
	expect_gone(NOT_MOD TAG_A "Cache-Control: private\r\n\r\n", 1000, "private");
}

Test(origin_reval, rfc9111_4_3_3_an_answer_that_may_not_be_stored_takes_the_stored_one_away)
{
	expect_gone("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n", 0,
		"no-store");
	expect_gone("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0, "404");
}

/* What is not stored because of who asked says nothing about what others may have. */
Test(origin_reval, an_answer_for_one_cookie_leaves_what_is_stored_for_all)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_answer(ask_about(rig, &client, TAG_A, "Cookie: a=b\r\n", &head),
		"Cache-Control: max-age=60\r\nVary: Cookie\r\n", 500);
	rig_expect_body(rig, &client, 500);
	cr_assert(!client.xchg->stored);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_1_an_answer_that_may_not_be_stored_ends_its_own_variant_alone)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;

	rig_store(rig, "/a", RIG_FRESH TAG_A "Vary: Accept\r\n", 1000, 100);
	rig_get(rig, &client[0], "/a", "Accept: b/b\r\n");
	rig_answer(rig_asked(rig, &head), RIG_FRESH "Vary: Accept\r\n", 2000);
	rig_expect_body(rig, &client[0], 2000);
	rig_get(rig, &client[1], "/a", "Accept: c/c\r\n");
	rig_reply(rig, "HTTP/1.1 406 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_client_at_end(&client[1]));
	cr_assert(rig_lookup(rig, "/a", ""), "of another request");
	cr_assert(rig_lookup(rig, "/a", "Accept: b/b\r\n"));
	rig_end(rig, &client[1]);
	rig_get(rig, &client[1], "/a", "");
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 500);
	rig_expect_body(rig, &client[1], 500);
	cr_assert(!rig_lookup(rig, "/a", ""));
	cr_assert(rig_lookup(rig, "/a", "Accept: b/b\r\n"));
	rig_end_all(rig, client, 2);
}

static void expect_vary_gone(const char *stored, const char *answer)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	char text[256];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, stored, "", &head);

	(void)snprintf(text, sizeof(text), NOT_MOD TAG_A "%s\r\n", answer);
	rig_say(conn, text);
	rig_expect_body(rig, &client, 1000);
	cr_assert(!client.xchg->stored);
	cr_assert(!rig_lookup(rig, "/a", ""));
	cr_assert(!origin_memo_find(rig->origin, client.xchg->key.hash));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, rfc9111_4_1_a_304_that_changes_vary_takes_the_stored_one_away)
{
	expect_vary_gone(TAG_A, "Vary: Accept\r\n");
	expect_vary_gone(TAG_A "Vary: X-One\r\n", "Vary: X-Two\r\n");
}

Test(origin_reval, rfc9111_7_cookies_of_a_304_are_the_leader_s_alone)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], TAG_A, "", &head);

	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	rig_say(conn, NOT_MOD TAG_A "Cache-Control: public, max-age=60\r\nSet-Cookie: s=1\r\n\r\n");
	for (uint32_t i = 0; i < 2; i++) {
		rig_expect_body(rig, &client[i], 1000);
		cr_assert(client[i].xchg->stored);
		cr_assert(!rig_has(rig_head_of(&client[i]), "Set-Cookie"));
		cr_assert_eq(rig_has(client[i].xchg->extra, "Set-Cookie: s=1\r\n"), i == 0);
	}
	rig_end_all(rig, client, 2);
}

Test(origin_reval, rfc9111_5_2_2_4_no_cache_is_validated_each_time)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", "Cache-Control: no-cache\r\n" TAG_A, 100000, 0);
	rig_get(rig, &client[0], "/a", "");
	rig_get(rig, &client[1], "/a", "");
	rig_say(rig_asked(rig, &head), NOT_MOD TAG_A "\r\n");
	rig_until(rig, client[0].head);
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"a\""));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	for (uint32_t i = 0; i < 2; i++) {
		rig_expect_body(rig, &client[i], 100000);
		cr_assert(!client[i].xchg->collapsed);
	}
	rig_end_all(rig, client, 2);
}

Test(origin_reval, two_validations_side_by_side_are_both_good)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *conn[2];
	const char *head;

	rig_store(rig, "/a", "Cache-Control: no-cache\r\n" TAG_A, 100000, 0);
	rig_get(rig, &client[0], "/a", "");
	rig_until(rig, client[0].xchg->origin != NULL);
	origin_memo_set(rig->origin, client[0].xchg->key.hash, HF_CACHE_WHY_EXPIRED);
	conn[0] = rig_asked(rig, &head);
	for (struct origin_fetch *fetch = NULL;
		(fetch = origin_map_next(rig->origin, &client[0].xchg->key, fetch)) != NULL;)
		fetch->joinable = false;
	rig_get(rig, &client[1], "/a", "");
	conn[1] = rig_asked(rig, &head);
	cr_assert_neq(conn[0], conn[1]);
	rig_say(conn[1], NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client[1], 100000);
	rig_say(conn[0], NOT_MOD TAG_A "X-Second: 1\r\n\r\n");
	rig_expect_body(rig, &client[0], 100000);
	cr_assert(rig_has(rig_head_of(&client[0]), "X-Second"));
	cr_assert_eq(rig_lookup(rig, "/a", ""), client[0].xchg->obj);
	rig_end_all(rig, client, 2);
}

/* Forty lines of a KiB. */
static void add_lines(struct rig_buf *text, char c)
{
	char line[1024];

	for (uint32_t i = 0; i < 40; i++) {
		memset(line, 'x', sizeof(line));
		(void)snprintf(line, 8, "%c-%04u:", c, i);
		line[7] = ' ';
		memcpy(line + sizeof(line) - 2, "\r\n", 2);
		rig_buf_add(text, line, sizeof(line));
	}
	rig_buf_add(text, "\r\n", 2);
}

Test(origin_reval, what_cannot_be_updated_is_served_as_it_is)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" TAG_A RIG_FRESH;
	static const char not_modified[] = NOT_MOD TAG_A;
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_buf text = { 0 };

	rig_buf_add(&text, ok, sizeof(ok) - 1);
	add_lines(&text, 'X');
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, text.data);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_lookup(rig, "/a", "")->born_us -= 100000000;
	text.len = 0;
	rig_buf_add(&text, not_modified, sizeof(not_modified) - 1);
	add_lines(&text, 'Y');
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, text.data);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.xchg->obj->status, 200);
	cr_assert(!client.xchg->stored && !rig_has(rig_head_of(&client), "Y-0000"));
	cr_assert(rig_lookup(rig, "/a", ""), "it stays as it was");
	free(text.data);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, without_memory_for_another_head_it_is_served_as_it_is)
{
	static void *block[65536];
	static size_t lens[65536];
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	struct rig_conn *conn;
	uint32_t blocks = 0;
	const char *head;

	rig_conf(rig);
	rig_up(rig, 8 << 20);
	conn = ask_about(rig, &client, TAG_A, "", &head);
	for (size_t len = HF_ARENA_CHUNK; len >= 64; len -= 64) /* every size class */
		while (blocks < 65536 && (block[blocks] = hf_arena_alloc(rig->arena, len)) != NULL)
			lens[blocks++] = len;
	rig_say(conn, NOT_MOD TAG_A "X-New: 1\r\n\r\n");
	rig_expect_body(rig, &client, 1000);
	cr_assert_eq(client.xchg->fwd_status, 304);
	cr_assert(!client.xchg->stored && !rig_has(rig_head_of(&client), "X-New"));
	cr_assert_eq(rig_requests(rig), 2);
	while (blocks-- > 0)
		hf_arena_release(rig->arena, block[blocks], lens[blocks]);
	rig_end_all(rig, &client, 1);
}

/* ---- §4.3.5: HEAD ---- */

/* What a HEAD that is answered so leaves of a stored response with those validators. */
static void head_of(struct rig *rig, const char *request, uint32_t older_s, const char *answer)
{
	struct rig_client client;
	char text[512];

	rig_store(rig, "/a", RIG_FRESH TAG_A LM "X-Old: 1\r\n", 1000, older_s);
	(void)snprintf(text, sizeof(text), "HEAD /a HTTP/1.1\r\nHost: a.test\r\n%s\r\n", request);
	rig_start_text(rig, &client, text);
	(void)snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n", answer);
	rig_reply(rig, text);
	rig_until(rig, client.head);
	rig_end(rig, &client);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
}

static void expect_after_head(const char *request, uint32_t older_s, const char *answer,
	enum hf_cache_use use, bool updated)
{
	struct rig *rig = rig_new();
	struct hf_obj *obj;

	head_of(rig, request, older_s, answer);
	obj = rig_lookup(rig, "/a", "");
	cr_assert(obj, "%s", answer);
	cr_assert_eq(hf_obj_use(obj, NULL, hf_clock_us()), use, "%s", answer);
	cr_assert_eq(rig_has((struct hf_span){ obj->head, obj->head_len }, "X-New"), updated, "%s",
		answer);
	cr_assert(rig_has((struct hf_span){ obj->head, obj->head_len }, "X-Old"));
	cr_assert_eq(obj->length, 1000);
	rig_free(rig);
}

Test(origin_reval, rfc9111_4_3_5_a_head_answer_that_matches_updates_the_stored_get)
{
	expect_after_head("", 100, "200 OK\r\n" TAG_A LM "Content-Length: 1000\r\nX-New: 1\r\n",
		HF_CACHE_USE_FRESH, true);
	expect_after_head("", 100, "200 OK\r\n" TAG_A "X-New: 1\r\n", HF_CACHE_USE_FRESH, true);
	expect_after_head("", 100, "200 OK\r\n" LM "X-New: 1\r\n", HF_CACHE_USE_FRESH, true);
}

Test(origin_reval, rfc9111_4_3_5_one_that_does_not_match_makes_it_stale)
{
	expect_after_head("", 0, "200 OK\r\nETag: \"b\"\r\n" LM "X-New: 1\r\n",
		HF_CACHE_USE_REVALIDATE, false);
	expect_after_head("", 0, "200 OK\r\n" TAG_A "Content-Length: 999\r\nX-New: 1\r\n",
		HF_CACHE_USE_REVALIDATE, false);
	expect_after_head("", 0,
		"200 OK\r\n" TAG_A "Last-Modified: Wed, 01 Jan 2025 00:00:01 GMT\r\n",
		HF_CACHE_USE_REVALIDATE, false);
}

Test(origin_reval, rfc9111_4_3_5_one_that_says_nothing_changes_nothing)
{
	expect_after_head("", 0, "200 OK\r\nX-New: 1\r\n", HF_CACHE_USE_FRESH, false);
	expect_after_head("", 100, "200 OK\r\nX-New: 1\r\n", HF_CACHE_USE_REVALIDATE, false);
	expect_after_head("", 0, "404 No\r\nETag: \"b\"\r\n", HF_CACHE_USE_FRESH, false);
	expect_after_head("Authorization: Basic eA==\r\n", 0, "200 OK\r\nETag: \"b\"\r\n",
		HF_CACHE_USE_FRESH, false);
	expect_after_head("Cache-Control: no-store\r\n", 0, "200 OK\r\nETag: \"b\"\r\n",
		HF_CACHE_USE_FRESH, false);
}

Test(origin_reval, rfc9111_4_3_5_one_that_forbids_storing_takes_it_away)
{
	struct rig *rig = rig_new();

	head_of(rig, "", 0, "200 OK\r\n" TAG_A "Cache-Control: private\r\n");
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

Test(origin_reval, rfc9111_4_3_5_a_soft_purge_is_not_undone_by_a_head)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn;

	rig_store(rig, "/a", RIG_FRESH TAG_A, 1000, 0);
	rig_start_text(rig, &client, "HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	conn = rig_asked(rig, &head);
	cr_assert_eq(hf_shard_purge(rig->shard, &client.xchg->key, /* soft= */ true), 1);
	rig_say(conn, "HTTP/1.1 200 OK\r\n" TAG_A "\r\n");
	rig_until(rig, client.head);
	cr_assert_neq(
		hf_obj_use(rig_lookup(rig, "/a", ""), NULL, hf_clock_us()), HF_CACHE_USE_FRESH);
	rig_end_all(rig, &client, 1);
}

/* ---- leaving, purging ---- */

Test(origin_reval, when_the_leader_leaves_a_304_is_for_the_others)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], TAG_A, "", &head);

	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	rig_end(rig, &client[0]);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client[1], 1000);
	cr_assert_eq(rig_requests(rig), 2);
	rig_end_all(rig, &client[1], 1);
}

Test(origin_reval, a_validation_that_nobody_waits_for_ends)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A, "", &head);

	rig_end(rig, &client);
	rig_until(rig, conn->eof);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	rig_free(rig);
}

Test(origin_reval, g3_a_purge_during_the_validation_wins)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A, "", &head);

	cr_assert_eq(origin_purge_key(rig->origin, &client.xchg->key, /* soft= */ false), 1);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(!client.head, "what was purged is shown to nobody");
	cr_assert(!rig_head_has(head, "If-None-Match"));
	rig_answer(conn, RIG_FRESH, 2000);
	rig_expect_body(rig, &client, 2000);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 2000);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, g3_a_soft_purge_during_the_validation_wins)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A, "", &head);

	cr_assert_eq(hf_shard_purge(rig->shard, &client.xchg->key, /* soft= */ true), 1);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(!client.head, "the question was older than the purge");
	cr_assert(rig_head_has(head, "If-None-Match: \"a\""));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client, 1000);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, what_was_evicted_during_the_validation_is_asked_for_whole)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client, TAG_A, "", &head);

	cr_assert(hf_shard_remove(rig->shard, rig_lookup(rig, "/a", "")));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	conn = rig_asked(rig, &head);
	cr_assert(!rig_head_has(head, "If-None-Match"));
	rig_answer(conn, RIG_FRESH, 2000);
	rig_expect_body(rig, &client, 2000);
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, what_was_replaced_during_the_validation_is_not_brought_back)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;
	struct rig_conn *conn = ask_about(rig, &client[0], TAG_A, "", &head);

	origin_map_next(rig->origin, &client[0].xchg->key, NULL)->joinable = false;
	rig_get(rig, &client[1], "/a", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH "ETag: \"b\"\r\n", 2000);
	rig_expect_body(rig, &client[1], 2000);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client[0], 2000);
	cr_assert(client[0].xchg->local);
	cr_assert_eq(rig_requests(rig), 3);
	rig_end_all(rig, client, 2);
}

Test(origin_reval, a_soft_purged_one_is_validated)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", RIG_FRESH TAG_A, 1000, 0);
	rig_lookup(rig, "/a", "")->flags |= HF_OBJ_STALE;
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"a\""));
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	rig_expect_body(rig, &client, 1000);
	cr_assert(!(rig_lookup(rig, "/a", "")->flags & HF_OBJ_STALE));
	rig_end_all(rig, &client, 1);
}

Test(origin_reval, a_transfer_that_is_over_for_everyone_is_cut_when_it_stands_still)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_conf(rig);
	rig->conf.cache.stale_if_error_s = 1000;
	rig->conf.origin.between_bytes_timeout_ms = 50;
	rig_up(rig, 64 << 20);
	conn = ask_about(rig, &client, TAG_A, "", &head);
	rig_say(conn, "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n");
	rig_expect_body(rig, &client, 1000);
	rig_until(rig, conn->eof);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_ERRORS), 0);
	rig_end_all(rig, &client, 1);
}
