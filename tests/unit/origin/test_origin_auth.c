/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Requests with credentials (RFC 9111 §3.5): what their answers may become, and whom they wait for.
 */
#include "rig.h"

#define ALICE "Authorization: Bearer alice\r\n"
#define BOB   "Authorization: Bearer bob\r\n"

static const char *const leaves[] = {
	"Cache-Control: max-age=60, public\r\n",
	"Cache-Control: s-maxage=60\r\n",
	"Cache-Control: max-age=60, must-revalidate\r\n",
};

Test(origin_auth, rfc9111_3_5_an_answer_that_allows_it_is_stored_for_everyone)
{
	for (uint32_t i = 0; i < HF_ARRAY_LEN(leaves); i++) {
		struct rig *rig = rig_new();
		struct rig_client client[3];

		rig_get(rig, &client[0], "/a", ALICE);
		rig_until(rig, rig_requests(rig) == 1);
		rig_answer(&rig->conn[0], leaves[i], 100);
		rig_expect_body(rig, &client[0], 100);
		cr_assert(client[0].xchg->stored);
		cr_assert(rig_lookup(rig, "/a", "")->flags & HF_OBJ_AUTH_OK);
		rig_get(rig, &client[1], "/a", BOB);
		rig_get(rig, &client[2], "/a", "");
		rig_expect_body(rig, &client[1], 100);
		rig_expect_body(rig, &client[2], 100);
		cr_assert_eq(rig_requests(rig), 1);
		rig_end_all(rig, client, 3);
	}
}

Test(origin_auth, rfc9111_3_5_any_other_answer_is_its_client_s_alone)
{
	static const char *const others[] = {
		"Cache-Control: max-age=60\r\n",
		"Cache-Control: max-age=60, proxy-revalidate\r\n",
		"Cache-Control: public, private, max-age=60\r\n",
		"Cache-Control: public, no-store\r\n",
		"Cache-Control: public, max-age=60\r\nVary: Authorization\r\n",
		"Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n",
		"Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\n",
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(others); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;

		rig_get(rig, &client, "/a", ALICE);
		rig_until(rig, rig_requests(rig) == 1);
		rig_answer(&rig->conn[0], others[i], 100);
		rig_expect_body(rig, &client, 100);
		cr_assert(!client.xchg->stored, "%s", others[i]);
		/* and it says nothing of what strangers would get */
		cr_assert(!origin_memo_find(rig->origin, client.xchg->key.hash));
		rig_end(rig, &client);
		cr_assert(!rig_lookup(rig, "/a", "") && !rig_lookup(rig, "/a", ALICE));
		rig_free(rig);
	}
}

Test(origin_auth, nobody_waits_before_the_head_has_said_that_it_may_be_shared)
{
	struct rig *rig = rig_new();
	struct rig_client client[7];
	const char *head;

	for (uint32_t i = 0; i < 4; i++)
		rig_get(rig, &client[i], "/a", i % 2 ? ALICE : BOB);
	rig_until(rig, rig_requests(rig) == 4);
	rig_get(rig, &client[4], "/a", ""); /* a stranger begins his own */
	rig_until(rig, rig_requests(rig) == 5);
	rig_get(rig, &client[5], "/a", ALICE); /* and is not waited for either */
	rig_until(rig, rig_requests(rig) == 6);
	rig_get(rig, &client[6], "/a", ""); /* strangers do wait for one another */
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 6);
	for (uint32_t i = 0; i < 6; i++) {
		struct rig_conn *conn = rig_asked(rig, &head);

		rig_answer(conn,
			rig_head_has(head, "Authorization") ? "Cache-Control: private\r\n"
							    : RIG_FRESH,
			50);
	}
	for (uint32_t i = 0; i < 7; i++) {
		rig_expect_body(rig, &client[i], 50);
		cr_assert_eq(client[i].xchg->collapsed, i == 6);
		cr_assert_eq(client[i].xchg->stored, i == 4 || i == 6);
	}
	cr_assert_eq(rig_requests(rig), 6);
	rig_end_all(rig, client, 7);
}

Test(origin_auth, everyone_reads_along_behind_a_head_that_allows_it)
{
	struct rig *rig = rig_new();
	struct rig_client client[3];
	char *body = rig_body(100);

	rig_get(rig, &client[0], "/a", ALICE);
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\n"
			       "Set-Cookie: alice=1\r\nContent-Length: 100\r\n\r\n");
	rig_until(rig, client[0].head);
	cr_assert(rig_has(client[0].xchg->extra, "alice=1"));
	rig_get(rig, &client[1], "/a", BOB);
	rig_get(rig, &client[2], "/a", "");
	rig_until(rig, client[1].head && client[2].head);
	rig_buf_add(&rig->conn[0].out, body, 100);
	for (uint32_t i = 0; i < 3; i++) {
		rig_expect_body(rig, &client[i], 100);
		cr_assert(!rig_has(rig_head_of(&client[i]), "alice"));
		cr_assert_eq(client[i].xchg->extra.len > 0, i == 0);
		cr_assert_eq(client[i].xchg->collapsed, i > 0);
	}
	cr_assert_eq(rig_requests(rig), 1);
	rig_end_all(rig, client, 3);
	free(body);
}

Test(origin_auth, nobody_with_credentials_reads_along_what_is_not_for_them)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];

	rig_get(rig, &client[0], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\n" RIG_FRESH "Content-Length: 100\r\n\r\n");
	rig_until(rig, client[0].head);
	rig_get(rig, &client[1], "/a", ALICE);
	rig_until(rig, rig_requests(rig) == 2);
	cr_assert(!client[1].head);
	rig_finish(rig, &client[1]);
	rig_finish(rig, &client[0]);
	rig_until(rig, client[0].gone && client[1].gone);
	rig_free(rig);
}

/* ---- validation ---- */

#define VALIDATED "ETag: \"v1\"\r\n"

Test(origin_auth, rfc9111_4_3_only_what_may_answer_credentials_is_asked_about_with_them)
{
	for (int allowed = 0; allowed <= 1; allowed++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		const char *head;

		rig_store(rig, "/a",
			allowed ? "Cache-Control: public, max-age=60\r\n" VALIDATED
				: "Cache-Control: max-age=60\r\n" VALIDATED,
			10, 100);
		rig_get(rig, &client, "/a", ALICE);
		(void)rig_asked(rig, &head);
		cr_assert_eq(rig_head_has(head, "If-None-Match: \"v1\"\r\n"), allowed);
		cr_assert(rig_head_has(head, ALICE));
		rig_end(rig, &client);
		rig_free(rig);
	}
}

Test(origin_auth, rfc9111_4_3_4_a_304_to_credentials_freshens_for_everyone_while_it_allows)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	struct rig_conn *conn;

	rig_store(rig, "/a", "Cache-Control: public, max-age=60\r\n" VALIDATED, 10, 100);
	rig_get(rig, &client, "/a", ALICE);
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 304 Not Modified\r\n" VALIDATED "X-N: 1\r\n\r\n");
	rig_expect_body(rig, &client, 10);
	rig_end(rig, &client);
	cr_assert(rig_lookup(rig, "/a", "")->flags & HF_OBJ_AUTH_OK);
	cr_assert(hf_obj_age_s(rig_lookup(rig, "/a", ""), hf_clock_us()) < 50);
	/* now it takes its leave back: Alice has her answer, nobody else has that */
	rig_lookup(rig, "/a", "")->born_us -= 100000000;
	rig_get(rig, &client, "/a", ALICE);
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 304 Not Modified\r\n" VALIDATED
		      "Cache-Control: private, max-age=60\r\nX-N: 2\r\n\r\n");
	rig_expect_body(rig, &client, 10);
	cr_assert(!client.xchg->stored && rig_has(rig_head_of(&client), "X-N: 2"));
	rig_end(rig, &client);
	cr_assert(rig_has((struct hf_span){ rig_lookup(rig, "/a", "")->head,
				  rig_lookup(rig, "/a", "")->head_len },
		"X-N: 1"));
	rig_free(rig);
}

Test(origin_auth, an_answer_to_credentials_leaves_what_is_stored_for_strangers)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a", "Cache-Control: public, max-age=60\r\n" VALIDATED, 10, 100);
	rig_get(rig, &client, "/a", ALICE);
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 20);
	rig_expect_body(rig, &client, 20);
	rig_end(rig, &client);
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_free(rig);
}
