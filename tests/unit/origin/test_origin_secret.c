/* SPDX-License-Identifier: BSD-3-Clause
 *
 * URLs with a token-like parameter: what is stored of them is what their route says.
 */
#include "rig.h"

#define LASTS "Cache-Control: max-age=60\r\n"
#define URL   "/a?token=s"

/* From now on the route says LEAVE. */
static void route_says(struct rig *rig, const char *leave)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"2\",\"origins\":[{\"group\":\"g\",\"id\":\"o1\","
		"\"url\":\"http://127.0.0.1:%u\"}],\"routes\":[{\"id\":\"r\",\"host\":\"a.test\","
		"\"path\":\"/\",\"group\":\"g\",\"store_secret_query\":%s}]}",
		rig->port, leave);
	rig_state_text(rig, text);
	rig_turn(rig);
}

/* Asks for it, once; the head of the request that came of it. */
static const char *ask(struct rig *rig, const char *path, const char *fields, bool stored)
{
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, path, fields);
	rig_answer(rig_asked(rig, &head), LASTS, 100);
	rig_expect_body(rig, &client, 100);
	cr_expect_eq(client.xchg->stored, stored, "%s", path);
	cr_expect_eq(client.xchg->cause == HF_XCHG_BYPASS_REQUEST, !stored);
	rig_end(rig, &client);
	return head;
}

Test(origin_secret, nothing_is_stored_nor_shared_without_the_routes_leave)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;

	/* two at a time are asked for by themselves */
	rig_get(rig, &client[0], URL, "");
	rig_get(rig, &client[1], URL, "");
	rig_until(rig, rig_requests(rig) == 2);
	for (uint32_t i = 0; i < 2; i++)
		rig_answer(rig_asked(rig, &head), LASTS, 100);
	for (uint32_t i = 0; i < 2; i++) {
		rig_expect_body(rig, &client[i], 100);
		cr_expect(!client[i].xchg->stored && !client[i].xchg->collapsed);
		rig_end(rig, &client[i]);
	}
	route_says(rig, "false");
	(void)ask(rig, URL, "", /* stored= */ false);
	cr_expect_null(rig_lookup(rig, URL, ""));
	rig_free(rig);
}

Test(origin_secret, what_the_client_asks_of_it_is_asked_of_the_origin)
{
	struct rig *rig = rig_new();
	const char *head = ask(rig, URL, "Range: bytes=5-\r\nIf-Range: \"v\"\r\n", false);

	cr_expect(rig_head_has(head, "Range: bytes=5-\r\n"));
	cr_expect(rig_head_has(head, "If-Range: \"v\"\r\n"));
	cr_expect(!memcmp(head, "GET " URL " ", strlen("GET " URL " ")));
	rig_free(rig);
}

Test(origin_secret, with_the_routes_leave_it_is_stored_and_shared)
{
	struct rig *rig = rig_new();
	struct rig_client client[3];
	const char *head;

	route_says(rig, "true");
	rig_get(rig, &client[0], URL, "");
	rig_get(rig, &client[1], URL, "");
	rig_answer(rig_asked(rig, &head), LASTS, 100);
	rig_expect_body(rig, &client[0], 100);
	rig_expect_body(rig, &client[1], 100);
	rig_get(rig, &client[2], URL, "");
	rig_expect_body(rig, &client[2], 100);
	cr_expect(client[0].xchg->stored && client[1].xchg->collapsed && client[2].xchg->local);
	cr_expect_eq(rig_requests(rig), 1);
	cr_expect(rig_lookup(rig, URL, "")->flags & HF_OBJ_SECRET_OK);
	rig_end_all(rig, client, 3);
}

Test(origin_secret, what_was_stored_before_its_name_was_a_secret_is_not_used)
{
	const struct hf_names none = { 0 }, pin = { .count = 1, .name = { "pin" } };
	struct rig *rig = rig_new();

	rig_store(rig, "/a?pin=1", LASTS, 100, 0);
	hf_http_secrets_set(&none, &pin);
	(void)ask(rig, "/a?pin=1", "", /* stored= */ false);
	/* but it is replaced once the route lets it be */
	route_says(rig, "true");
	(void)ask(rig, "/a?pin=1", "", /* stored= */ true);
	cr_expect(rig_lookup(rig, "/a?pin=1", "")->flags & HF_OBJ_SECRET_OK);
	rig_free(rig);
}

Test(origin_secret, an_origin_that_fails_brings_nothing_back_of_it)
{
	const struct hf_names none = { 0 }, pin = { .count = 1, .name = { "pin" } };
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;

	rig_store(rig, "/a?pin=1", LASTS "ETag: \"v\"\r\n", 100, 70);
	rig->conf.cache.stale_if_error_s = 1000;
	rig_lookup(rig, "/a?pin=1", "")->life.sie_s = 1000;
	hf_http_secrets_set(&none, &pin);
	rig_get(rig, &client, "/a?pin=1", "");
	rig_say(rig_asked(rig, &head), "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, client.head);
	cr_expect(client.xchg->obj->status == 500 && !client.xchg->stale);
	cr_expect(!rig_head_has(head, "If-None-Match"), "nothing is asked about it either");
	rig_end(rig, &client);
	rig_free(rig);
}
