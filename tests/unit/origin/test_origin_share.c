/* SPDX-License-Identifier: BSD-3-Clause
 *
 * G1, G2, G3: who shares a fetch, and what is stored.
 */
#include "origin_answer.h"
#include "rig.h"

Test(origin_share, a_hundred_requests_are_one_fetch)
{
	struct rig *rig = rig_new();
	struct rig_client client[100];
	uint32_t leaders = 0;

	for (uint32_t i = 0; i < 100; i++)
		rig_get(rig, &client[i], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH, 50000);
	for (uint32_t i = 0; i < 100; i++)
		rig_until(rig, rig_client_at_end(&client[i]));
	cr_assert_eq(rig_requests(rig), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_COALESCED), 99);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 1);
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_eq(client[i].read_len, 50000);
		cr_assert_eq(client[i].bad_at, UINT64_MAX);
		cr_assert(client[i].xchg->stored);
		leaders += !client[i].xchg->collapsed;
		rig_end(rig, &client[i]);
	}
	cr_assert_eq(leaders, 1);
	cr_assert(rig_lookup(rig, "/a", ""));
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	rig_free(rig);
}

Test(origin_share, what_was_published_meanwhile_is_attached_at_once)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;

	rig_get(rig, &first, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	rig_until(rig, rig_client_at_end(&first));
	rig_get(rig, &second, "/a", "");
	rig_until(rig, second.head);
	rig_client_read(&second, SIZE_MAX);
	cr_assert_eq(second.read_len, 10);
	cr_assert(rig_client_at_end(&second));
	rig_end(rig, &first);
	rig_end(rig, &second);
	cr_assert_eq(rig_requests(rig), 1);
	rig_free(rig);
}

Test(origin_share, readers_see_bytes_before_the_body_is_whole)
{
	struct rig *rig = rig_new();
	struct rig_client first, late;
	char *body = rig_body(3000);

	rig_get(rig, &first, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n" RIG_FRESH "\r\n");
	rig_buf_add(&rig->conn[0].out, body, 1000);
	rig_until(rig, first.read_len == 1000);
	rig_get(rig, &late, "/a", "");
	rig_until(rig, late.head && late.xchg->collapsed);
	rig_client_read(&late, SIZE_MAX);
	cr_assert_eq(late.read_len, 1000);
	cr_assert(!rig_lookup(rig, "/a", ""), "not before it is whole");
	rig_buf_add(&rig->conn[0].out, body + 1000, 2000);
	rig_until(rig, rig_client_at_end(&first) && rig_client_at_end(&late));
	cr_assert_eq(first.bad_at, UINT64_MAX);
	cr_assert_eq(late.read_len, 3000);
	cr_assert_eq(rig_requests(rig), 1);
	rig_end(rig, &first);
	rig_end(rig, &late);
	free(body);
	rig_free(rig);
}

Test(origin_share, what_may_not_be_shared_is_fetched_by_each_and_remembered)
{
	struct rig *rig = rig_new();
	struct rig_client client[6];

	for (uint32_t i = 0; i < 5; i++)
		rig_get(rig, &client[i], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 1);
	rig_answer(&rig->conn[0], "Cache-Control: no-store\r\nSet-Cookie: a=1\r\n", 10);
	rig_until(rig, rig_requests(rig) == 5); /* four side by side */
	rig_get(rig, &client[5], "/a", "");
	rig_until(rig, rig_requests(rig) == 6); /* and the next waits for none of them */
	cr_assert(rig_client_at_end(&client[0]));
	for (uint32_t i = 0; i < rig->conns; i++) {
		struct rig_conn *conn = &rig->conn[i];

		if (conn->out.len == 0 || rig_requests(rig) > rig->conns)
			rig_answer(conn, "Cache-Control: no-store\r\nSet-Cookie: a=2\r\n", 10);
		rig_settle(rig);
	}
	for (uint32_t i = 0; i < 6; i++) {
		rig_until(rig, rig_client_at_end(&client[i]));
		cr_assert(rig_has(rig_head_of(&client[i]), "Set-Cookie: a="));
		cr_assert(!client[i].xchg->collapsed && !client[i].xchg->stored);
		for (uint32_t j = 0; j < i; j++)
			cr_assert_neq(client[i].xchg->obj, client[j].xchg->obj);
	}
	for (uint32_t i = 0; i < 6; i++)
		rig_end(rig, &client[i]);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

Test(origin_share, a_later_storable_answer_is_shared_again)
{
	struct rig *rig = rig_new();
	struct rig_client client[3];

	rig_get(rig, &client[0], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], "Cache-Control: no-store\r\n", 1);
	rig_until(rig, rig_client_at_end(&client[0]));
	cr_assert(origin_memo_find(rig->origin, client[0].xchg->key.hash));
	rig_get(rig, &client[1], "/a", "");
	rig_until(rig, rig_requests(rig) == 2);
	rig_answer(&rig->conn[0], RIG_FRESH, 1);
	rig_until(rig, rig_client_at_end(&client[1]));
	cr_assert(client[1].xchg->stored);
	cr_assert(!origin_memo_find(rig->origin, client[0].xchg->key.hash));
	rig_end(rig, &client[0]);
	rig_end(rig, &client[1]);
	rig_free(rig);
}

Test(origin_share, vary_splits_and_each_variant_has_one_fetch)
{
	struct rig *rig = rig_new();
	struct rig_client gzip[3], plain[3];

	for (uint32_t i = 0; i < 3; i++) {
		rig_get(rig, &gzip[i], "/a", "Accept-Encoding: gzip\r\n");
		rig_get(rig, &plain[i], "/a", "Accept-Encoding: br\r\n");
	}
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH "Vary: Accept-Encoding\r\nX-V: gzip\r\n", 10);
	rig_until(rig, rig_requests(rig) == 2);
	rig_answer(
		&rig->conn[rig->conns - 1], RIG_FRESH "Vary: Accept-Encoding\r\nX-V: br\r\n", 20);
	for (uint32_t i = 0; i < 3; i++) {
		rig_until(rig, rig_client_at_end(&gzip[i]) && rig_client_at_end(&plain[i]));
		cr_assert(rig_has(rig_head_of(&gzip[i]), "X-V: gzip"));
		cr_assert(rig_has(rig_head_of(&plain[i]), "X-V: br"));
		rig_end(rig, &gzip[i]);
		rig_end(rig, &plain[i]);
	}
	cr_assert_eq(rig_requests(rig), 2);
	cr_assert(rig_lookup(rig, "/a", "Accept-Encoding: br\r\n"));
	cr_assert(rig_lookup(rig, "/a", "Accept-Encoding: gzip\r\n"));
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

Test(origin_share, only_the_leader_gets_the_private_fields)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;
	struct hf_obj *obj;

	rig_get(rig, &first, "/a", "");
	rig_get(rig, &second, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0],
		"Cache-Control: public, max-age=60\r\nSet-Cookie: sid=secret\r\nX-A: b\r\n", 10);
	rig_until(rig, rig_client_at_end(&first) && rig_client_at_end(&second));
	cr_assert(rig_has(first.xchg->extra, "Set-Cookie: sid=secret\r\n"));
	cr_assert_eq(second.xchg->extra.len, 0);
	obj = rig_lookup(rig, "/a", "");
	cr_assert(obj);
	cr_assert(!rig_has((struct hf_span){ obj->head, obj->head_len }, "secret"));
	cr_assert(rig_has((struct hf_span){ obj->head, obj->head_len }, "X-A: b"));
	cr_assert(!rig_has(rig_head_of(&first), "secret"), "it is the same object");
	rig_end(rig, &first);
	rig_end(rig, &second);
	rig_free(rig);
}

Test(origin_share, a_purge_during_the_fetch_keeps_it_out)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;

	rig_get(rig, &first, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	cr_assert_eq(origin_purge_key(rig->origin, &first.xchg->key, /* soft= */ false), 0);
	rig_get(rig, &second, "/a", ""); /* after the purge: not from that fetch */
	rig_until(rig, rig_requests(rig) == 2);
	rig_answer(&rig->conn[0], RIG_FRESH "X-V: old\r\n", 10);
	rig_until(rig, rig_client_at_end(&first));
	cr_assert(!first.xchg->stored);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_answer(&rig->conn[1], RIG_FRESH "X-V: new\r\n", 10);
	rig_until(rig, rig_client_at_end(&second));
	cr_assert(rig_has(rig_head_of(&second), "X-V: new"));
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end(rig, &first);
	rig_end(rig, &second);
	rig_free(rig);
}

Test(origin_share, an_unsafe_request_invalidates_its_target_rfc9111_4_4)
{
	struct rig *rig = rig_new();
	struct rig_client get, post;

	rig_get(rig, &get, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	rig_until(rig, rig_client_at_end(&get));
	rig_end(rig, &get);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_start_text(rig, &post, "POST /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_until(rig, rig_requests(rig) == 2);
	rig_say(&rig->conn[0], "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, post.head);
	rig_end(rig, &post);
	cr_assert(rig_lookup(rig, "/a", ""), "an error invalidates nothing");
	rig_start_text(rig, &post, "POST /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_until(rig, rig_requests(rig) == 3);
	rig_say(&rig->conn[0], "HTTP/1.1 204 Done\r\n\r\n");
	rig_until(rig, post.head);
	rig_end(rig, &post);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

Test(origin_share, when_the_leader_leaves_the_others_go_on)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;

	rig_get(rig, &first, "/a", "Accept-Encoding: gzip\r\n");
	rig_get(rig, &second, "/a", "Accept-Encoding: gzip\r\n");
	rig_until(rig, rig_requests(rig) == 1);
	rig_end(rig, &first);
	rig_answer(&rig->conn[0],
		RIG_FRESH "Vary: Accept-Encoding\r\nSet-Cookie: a=1\r\n"
			  "CDN-Cache-Control: max-age=60\r\n",
		100);
	rig_until(rig, second.head || rig_requests(rig) == 2);
	if (rig_requests(rig) == 2) /* Set-Cookie without public: not for the second */
		rig_answer(&rig->conn[rig->conns - 1], RIG_FRESH, 100);
	rig_until(rig, rig_client_at_end(&second));
	cr_assert_eq(second.xchg->extra.len, 0);
	rig_end(rig, &second);
	rig_free(rig);
}

Test(origin_share, an_answer_meant_for_a_leader_who_left_is_given_to_nobody)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;

	rig_get(rig, &first, "/a", "");
	rig_get(rig, &second, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_end(rig, &first);
	rig_answer(&rig->conn[0], "Cache-Control: private\r\nX-For: first\r\n", 100);
	rig_until(rig, rig_requests(rig) == 2);
	rig_answer(&rig->conn[rig->conns - 1], "Cache-Control: private\r\nX-For: second\r\n", 100);
	rig_until(rig, rig_client_at_end(&second));
	cr_assert(rig_has(rig_head_of(&second), "X-For: second"));
	rig_end(rig, &second);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	rig_free(rig);
}

Test(origin_share, a_storable_body_is_fetched_to_its_end_without_readers)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	char *body = rig_body(2000);

	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n" RIG_FRESH "\r\n");
	rig_buf_add(&rig->conn[0].out, body, 1000);
	rig_until(rig, client.read_len == 1000);
	rig_end(rig, &client);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 1);
	rig_buf_add(&rig->conn[0].out, body + 1000, 1000);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert(rig_lookup(rig, "/a", ""));
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 2000);
	free(body);
	rig_free(rig);
}

Test(origin_share, a_fetch_that_nobody_waits_for_is_cut)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_end(rig, &client);
	rig_until(rig, rig->conn[0].eof);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	/* a stream behind its head, too */
	rig_get(rig, &client, "/b", "");
	rig_until(rig, rig_requests(rig) == 2);
	rig_say(&rig->conn[1], "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\nabc");
	rig_until(rig, client.read_len == 3);
	rig_end(rig, &client);
	rig_until(rig, rig->conn[1].eof);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	rig_free(rig);
}

Test(origin_share, a_chunked_body_that_outgrows_max_object_becomes_a_stream)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client first, second;
	size_t len = 600000;
	char *body = rig_body(len);

	rig_conf(rig);
	rig->conf.cache.max_object = 100000;
	rig_up(rig, 64 << 20);
	rig_get(rig, &first, "/a", "");
	rig_get(rig, &second, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\n" RIG_FRESH "\r\n");
	rig_buf_add(&rig->conn[0].out, body, len);
	rig->conn[0].close_after = true;
	rig_until(rig, rig_client_at_end(&first) && rig_client_at_end(&second));
	cr_assert_eq(first.read_len, len);
	cr_assert_eq(second.read_len, len);
	cr_assert_eq(first.bad_at, UINT64_MAX);
	cr_assert_eq(second.bad_at, UINT64_MAX);
	cr_assert(!rig_lookup(rig, "/a", ""));
	cr_assert(origin_memo_find(rig->origin, first.xchg->key.hash));
	rig_end(rig, &first);
	rig_end(rig, &second);
	free(body);
	rig_free(rig);
}

Test(origin_share, no_cache_answers_are_stored_but_not_shared_rfc9111_5_2_2_4)
{
	struct rig *rig = rig_new();
	struct rig_client first, second;

	rig_get(rig, &first, "/a", "");
	rig_get(rig, &second, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], "Cache-Control: no-cache\r\nETag: \"1\"\r\n", 10);
	rig_until(rig, rig_client_at_end(&first));
	rig_until(rig, rig_requests(rig) == 2);
	rig_answer(&rig->conn[rig->conns - 1], "Cache-Control: no-cache\r\nETag: \"1\"\r\n", 10);
	rig_until(rig, rig_client_at_end(&second));
	cr_assert(!second.xchg->collapsed);
	rig_end(rig, &first);
	rig_end(rig, &second);
	rig_free(rig);
}

Test(origin_share, rfc9110_14_3_what_is_stored_can_be_had_in_ranges)
{
	static const struct {
		const char *fields;
		bool ours;
	} answers[] = {
		{ RIG_FRESH, true },
		{ RIG_FRESH "Accept-Ranges: none\r\n", false },
		{ "Cache-Control: no-store\r\n", false },
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(answers); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		const char *head;

		rig_get(rig, &client, "/a", "");
		rig_answer(rig_asked(rig, &head), answers[i].fields, 10);
		rig_expect_body(rig, &client, 10);
		cr_assert_eq(
			rig_has(rig_head_of(&client), "Accept-Ranges: bytes\r\n"), answers[i].ours);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_share, rfc9110_14_3_only_a_200_has_ranges)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_reply(rig, "HTTP/1.1 404 N\r\nContent-Length: 0\r\n" RIG_FRESH "\r\n");
	rig_until(rig, rig_client_at_end(&client));
	cr_assert(client.xchg->stored && !rig_has(rig_head_of(&client), "Accept-Ranges"));
	rig_end_all(rig, &client, 1);
}
