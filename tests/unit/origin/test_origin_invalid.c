/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Invalidation: RFC 9111 §4.4.
 */
#include "rig.h"

static struct rig_conn *post(struct rig *rig, struct rig_client *client, const char *target)
{
	char text[256];
	const char *head;

	(void)snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: a.test\r\n\r\n", target);
	rig_start_text(rig, client, text);
	client->eager = true;
	return rig_asked(rig, &head);
}

static void say_status(struct rig_conn *conn, uint32_t status, const char *fields)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\nContent-Length: 2\r\n%s\r\nok", status,
		fields);
	rig_say(conn, text);
}

static void expect_found(uint32_t status, const char *fields, bool found)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, "/d/b?q=1", RIG_FRESH, 10, 0);
	say_status(post(rig, &client, "/d/a?x"), status, fields);
	rig_until(rig, client.head);
	cr_assert_eq(rig_lookup(rig, "/d/b?q=1", "") != NULL, found, "%u %s", status, fields);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_invalid, rfc9111_4_4_location_and_content_location_of_the_same_origin)
{
	expect_found(201, "Location: http://a.test/d/b?q=1\r\n", false);
	expect_found(201, "Location: HTTP://A.TEST:80/d/./x/../b?q=1#part\r\n", false);
	expect_found(303, "Location: //a.test/d/b?q=1\r\n", false);
	expect_found(201, "Location: /d/b?q=1\r\n", false);
	expect_found(201, "Location: b?q=1\r\n", false);
	expect_found(201, "Location: ../d/b?q=1\r\n", false);
	expect_found(200, "Content-Location: b?q=1\r\n", false);
	expect_found(200, "Location: /other\r\nContent-Location: /d/b?q=1\r\n", false);
}

Test(origin_invalid, rfc9111_4_4_never_of_another_origin)
{
	expect_found(201, "Location: http://b.test/d/b?q=1\r\n", true);
	expect_found(201, "Location: //b.test/d/b?q=1\r\n", true);
	expect_found(201, "Location: https://a.test/d/b?q=1\r\n", true);
	expect_found(201, "Location: http://a.test:81/d/b?q=1\r\n", true);
	expect_found(201, "Location: http://a.test@b.test/d/b?q=1\r\n", true);
	expect_found(201, "Location: mailto:d/b?q=1\r\n", true);
	expect_found(201, "Location: http:/d/b?q=1\r\n", true);
	expect_found(201, "Location: /D/b?q=1\r\n", true);
	expect_found(201, "Location: ?q=1\r\n", true);
	expect_found(201, "Location: \r\n", true);
}

Test(origin_invalid, rfc9111_4_4_not_after_an_error)
{
	expect_found(400, "Location: /d/b?q=1\r\n", true);
	expect_found(500, "Content-Location: /d/b?q=1\r\n", true);
}

static void expect_gone(const char *stored, const char *fields)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_store(rig, stored, RIG_FRESH, 10, 0);
	say_status(post(rig, &client, "/d/a?x"), 201, fields);
	rig_until(rig, client.head);
	cr_assert(!rig_lookup(rig, stored, ""), "%s %s", stored, fields);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_invalid, rfc3986_5_2_references_without_a_path)
{
	expect_gone("/d/a?q=1", "Location: ?q=1\r\n");
	expect_gone("/", "Location: http://a.test\r\n");
	expect_gone("/?q=1", "Location: //a.test?q=1\r\n");
	expect_gone("/d/a?x", "Location: #top\r\n");
}

Test(origin_invalid, rfc9111_4_4_keys_of_another_thread_are_gone_before_the_answer_is_there)
{
	struct rig *rig = rig_two();
	uint32_t count[2] = { 0, 0 };

	for (uint32_t i = 0; i < 16; i++) {
		struct rig_client client;
		char path[32], fields[128];

		(void)snprintf(path, sizeof(path), "/p%u", i);
		(void)snprintf(fields, sizeof(fields),
			"Location: /p%u\r\nContent-Location: /n%u\r\n", i, i);
		rig_store(rig, path, RIG_FRESH, 10, 0);
		count[rig_lookup(rig, path, "")->shard]++;
		say_status(post(rig, &client, "/form"), 303, fields);
		rig_until(rig, client.head);
		cr_assert(!rig_lookup(rig, path, ""));
		rig_until(rig, rig_client_at_end(&client));
		cr_assert_eq(client.read_len, 2);
		rig_end(rig, &client);
	}
	cr_assert(count[0] > 0 && count[1] > 0, "both threads own some of sixteen");
	rig_free(rig);
}

/* A path that the thread owns which does not own /form. */
static void foreign_path(struct rig *rig, char *path, size_t cap)
{
	struct rig_client client;
	struct rig_conn *conn;
	uint32_t own;

	conn = post(rig, &client, "/form");
	own = client.xchg->shard;
	say_status(conn, 404, "");
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	for (uint32_t i = 0;; i++) {
		(void)snprintf(path, cap, "/p%u", i);
		rig_store(rig, path, RIG_FRESH, 10, 0);
		if (rig_lookup(rig, path, "")->shard != own)
			return;
	}
}

Test(origin_invalid, an_answer_waits_for_the_other_thread)
{
	struct rig *rig = rig_two();
	struct rig_client client;
	struct hf_origin *other;
	char path[32], fields[64];
	struct rig_conn *conn;

	foreign_path(rig, path, sizeof(path));
	(void)snprintf(fields, sizeof(fields), "Location: %s\r\n", path);
	conn = post(rig, &client, "/form");
	other = client.xchg->shard == 0 ? rig->second : rig->origin;
	say_status(conn, 201, fields);
	for (uint32_t i = 0; i < 50; i++) { /* the other one stands still */
		rig_peer_turn(rig);
		hf_origin_step(other == rig->second ? rig->origin : rig->second, 1);
		rig_worker_turn(rig);
	}
	cr_assert(!client.head);
	cr_assert(rig_lookup(rig, path, ""));
	rig_until(rig, client.head);
	cr_assert(!rig_lookup(rig, path, ""));
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 2);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_invalid, a_client_that_leaves_meanwhile_leaves_nothing_behind)
{
	for (uint32_t free_early = 0; free_early < 2; free_early++) {
		struct rig *rig = rig_two();
		struct rig_client client;
		struct hf_origin *own;
		char path[32], fields[64];
		struct rig_conn *conn;

		foreign_path(rig, path, sizeof(path));
		(void)snprintf(fields, sizeof(fields), "Location: %s\r\n", path);
		conn = post(rig, &client, "/form");
		own = client.xchg->shard == 0 ? rig->origin : rig->second;
		say_status(conn, 201, fields);
		for (uint32_t i = 0; i < 50; i++) {
			rig_peer_turn(rig);
			hf_origin_step(own, 1);
		}
		rig_finish(rig, &client);
		for (uint32_t i = 0; i < 10; i++) {
			hf_origin_step(own, 1);
			rig_worker_turn(rig);
		}
		cr_assert(client.gone);
		if (!free_early) {
			rig_settle(rig);
			cr_assert(!rig_lookup(rig, path, ""));
		}
		rig_free(rig); /* the errand may be under way still */
		free(client.body.data);
	}
}
