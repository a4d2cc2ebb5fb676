/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Purges of many, and what they mean for whatever is under way (G3); what control may ask.
 */
#include "origin_answer.h"
#include "rig.h"

#define TAGGED  RIG_FRESH "Surrogate-Key: s t\r\n"
#define TAG_A   "ETag: \"a\"\r\n"
#define NOT_MOD "HTTP/1.1 304 Not Modified\r\n"

static void begin(struct rig *rig, enum hf_purge kind, const char *text, bool soft)
{
	const struct hf_purge_walk walk = {
		.kind = kind, .soft = soft, .text = { text, strlen(text) }
	};

	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), 0);
	if (rig->second)
		cr_assert_eq(hf_origin_purge_begin(rig->second, &walk), 0);
}

static bool done(const struct rig *rig, uint64_t *ret_count)
{
	uint64_t second = 0;

	if (!hf_origin_purge_done(rig->origin, ret_count) ||
		(rig->second && !hf_origin_purge_done(rig->second, &second)))
		return false;
	*ret_count += second;
	return true;
}

static uint64_t purge(struct rig *rig, enum hf_purge kind, const char *text, bool soft)
{
	uint64_t count;

	begin(rig, kind, text, soft);
	rig_until(rig, done(rig, &count));
	return count;
}

/* The next request to the origin, which must be for that path. */
static struct rig_conn *asked_for(struct rig *rig, const char *path, const char **ret_head)
{
	struct rig_conn *conn = rig_asked(rig, ret_head);

	cr_assert(strncmp(*ret_head + 4, path, strlen(path)) == 0, "%.40s", *ret_head);
	return conn;
}

/* ---- what is stored ---- */

static void store_some(struct rig *rig)
{
	rig_store(rig, "/img/1", TAGGED, 10, 0);
	rig_store(rig, "/img/2", RIG_FRESH "Cache-Tag: t\r\n", 10, 0);
	rig_store(rig, "/img", RIG_FRESH "Cache-Tag: tt, s\r\n", 10, 0);
	rig_store(rig, "/css", RIG_FRESH, 10, 0);
}

Test(origin_purge, takes_what_it_names_over_all_threads)
{
	static const struct {
		enum hf_purge kind;
		const char *text;
		uint64_t count;
		bool left[4]; /* of store_some */
	} rows[] = {
		{ HF_PURGE_PREFIX, "http://a.test/img/", 2, { false, false, true, true } },
		{ HF_PURGE_PREFIX, "http://b.test/", 0, { true, true, true, true } },
		{ HF_PURGE_PATH, "/img", 3, { false, false, false, true } },
		{ HF_PURGE_TAG, "t", 2, { false, false, true, true } },
		{ HF_PURGE_TAG, "s", 2, { false, true, false, true } },
		{ HF_PURGE_ALL, "", 4, { false, false, false, false } },
	};
	static const char *const paths[] = { "/img/1", "/img/2", "/img", "/css" };
	struct rig *rig = rig_two();

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		store_some(rig);
		cr_assert_eq(purge(rig, rows[i].kind, rows[i].text, /* soft= */ false),
			rows[i].count, "row %zu", i);
		for (size_t k = 0; k < HF_ARRAY_LEN(paths); k++)
			cr_assert_eq(rig_lookup(rig, paths[k], "") != NULL, rows[i].left[k],
				"row %zu %s", i, paths[k]);
		(void)purge(rig, HF_PURGE_ALL, "", /* soft= */ false);
	}
	rig_free(rig);
}

Test(origin_purge, softly_purged_ones_are_validated)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", TAGGED TAG_A, 10, 0);
	cr_assert_eq(purge(rig, HF_PURGE_TAG, "t", /* soft= */ true), 1);
	cr_assert(rig_lookup(rig, "/a", "")->flags & HF_OBJ_STALE);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"a\""));
	rig_say(conn, NOT_MOD "\r\n");
	rig_expect_body(rig, &client, 10);
	cr_assert(!(rig_lookup(rig, "/a", "")->flags & HF_OBJ_STALE));
	rig_end_all(rig, &client, 1);
}

/* ---- what is under way ---- */

static const struct hf_purge_walk naming[] = {
	{ .kind = HF_PURGE_ALL },
	{ .kind = HF_PURGE_PREFIX, .text = { "http://a.test/a", 15 } },
	{ .kind = HF_PURGE_PATH, .text = { "/", 1 } },
	{ .kind = HF_PURGE_TAG, .text = { "t", 1 } },
	{ .kind = HF_PURGE_ALL, .soft = true },
	{ .kind = HF_PURGE_PREFIX, .soft = true, .text = { "http://a.test/", 14 } },
	{ .kind = HF_PURGE_PATH, .soft = true, .text = { "/a", 2 } },
	{ .kind = HF_PURGE_TAG, .soft = true, .text = { "t", 1 } },
};

static void purge_like(struct rig *rig, const struct hf_purge_walk *walk)
{
	(void)purge(rig, walk->kind, walk->text.ptr ? walk->text.ptr : "", walk->soft);
}

static void fetch_under_way(const struct hf_purge_walk *walk)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *old, *conn;
	const char *head;

	rig_get(rig, &client[0], "/a", "");
	old = rig_asked(rig, &head);
	purge_like(rig, walk);
	rig_get(rig, &client[1], "/a", ""); /* by tag it may wait, until the head comes */
	rig_settle(rig);
	rig_answer(old, TAGGED "X-V: old\r\n", 10);
	rig_expect_body(rig, &client[0], 10);
	cr_assert(!client[0].xchg->stored);
	cr_assert(!rig_lookup(rig, "/a", ""));
	conn = asked_for(rig, "/a", &head);
	cr_assert(!client[1].head, "what came before the purge is not for who came after it");
	rig_answer(conn, TAGGED "X-V: new\r\n", 10);
	rig_expect_body(rig, &client[1], 10);
	cr_assert(rig_has(rig_head_of(&client[1]), "X-V: new"));
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end_all(rig, client, 2);
}

Test(origin_purge, g3_what_was_asked_for_before_is_not_stored_nor_shared)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++)
		fetch_under_way(&naming[i]);
}

static void fill_under_way(const struct hf_purge_walk *walk)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *old;
	const char *head;

	rig_get(rig, &client[0], "/a", "");
	old = rig_asked(rig, &head);
	rig_say(old, "HTTP/1.1 200 OK\r\n" TAGGED "Content-Length: 6\r\n\r\nold");
	rig_until(rig, client[0].read_len == 3);
	purge_like(rig, walk);
	rig_get(rig, &client[1], "/a", "");
	rig_answer(asked_for(rig, "/a", &head), TAGGED "X-V: new\r\n", 10);
	rig_expect_body(rig, &client[1], 10);
	rig_say(old, "old");
	rig_until(rig, rig_client_at_end(&client[0]));
	cr_assert_eq(client[0].read_len, 6, "who reads it goes on");
	cr_assert(rig_has(rig_head_of(&client[1]), "X-V: new"));
	cr_assert_eq(rig_lookup(rig, "/a", ""), client[1].xchg->obj, "the old one came last");
	rig_end_all(rig, client, 2);
}

Test(origin_purge, g3_what_is_being_filled_is_not_stored_nor_joined)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++)
		fill_under_way(&naming[i]);
}

static void validation_under_way(const struct hf_purge_walk *walk)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", TAGGED TAG_A, 10, 100);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match"));
	purge_like(rig, walk);
	rig_say(conn, NOT_MOD TAG_A "\r\n");
	conn = asked_for(rig, "/a", &head);
	cr_assert(!client.head, "the question was older than the purge");
	cr_assert_eq(rig_head_has(head, "If-None-Match"), walk->soft);
	rig_answer(conn, TAGGED, 20);
	rig_expect_body(rig, &client, 20);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 20);
	rig_end_all(rig, &client, 1);
}

Test(origin_purge, g3_a_validation_under_way_does_not_count)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++)
		validation_under_way(&naming[i]);
}

/* Between its steps: the walk has begun, and has not met the object. */
Test(origin_purge, g3_a_validation_does_not_count_while_the_walk_is_under_way_either)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;
		uint64_t slots, count;

		rig_store(rig, "/a", TAGGED TAG_A, 10, 100);
		rig_get(rig, &client, "/a", "");
		conn = rig_asked(rig, &head);
		begin(rig, naming[i].kind, naming[i].text.ptr ? naming[i].text.ptr : "",
			naming[i].soft);
		cr_assert(origin_purge_run(rig->origin));
		slots = rig->origin->purge.walk.slot;
		rig->origin->purge.walk.slot = 0; /* it stands still at the beginning */
		rig_say(conn, NOT_MOD TAG_A "\r\n");
		while (rig_requests(rig) < 3 && !client.head) {
			rig_turn(rig);
			if (rig->origin->purge.begun)
				rig->origin->purge.walk.slot = 0;
		}
		cr_assert(!client.head, "%zu", i);
		cr_assert_gt(slots, 0);
		rig_until(rig, done(rig, &count));
		rig_answer(rig_asked(rig, &head), TAGGED, 20);
		rig_expect_body(rig, &client, 20);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_purge, g3_a_tag_that_a_304_brings_counts_too)
{
	for (int soft = 0; soft < 2; soft++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;

		rig_store(rig, "/a", RIG_FRESH TAG_A, 10, 100);
		rig_get(rig, &client, "/a", "");
		conn = rig_asked(rig, &head);
		cr_assert_eq(purge(rig, HF_PURGE_TAG, "t", soft), 0);
		rig_say(conn, NOT_MOD "Cache-Tag: t\r\n\r\n");
		conn = asked_for(rig, "/a", &head);
		cr_assert(!client.head);
		rig_say(conn, NOT_MOD "Cache-Tag: t\r\n\r\n"); /* asked for after the purge */
		rig_expect_body(rig, &client, 10);
		cr_assert(rig_has(rig_head_of(&client), "Cache-Tag: t"));
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_purge, what_it_does_not_name_is_stored_and_shared_as_ever)
{
	static const struct hf_purge_walk others[] = {
		{ .kind = HF_PURGE_PREFIX, .text = { "http://a.test/b", 15 } },
		{ .kind = HF_PURGE_PATH, .text = { "/b", 2 } },
		{ .kind = HF_PURGE_TAG, .text = { "other", 5 } },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(others); i++) {
		struct rig *rig = rig_new();
		struct rig_client client[2];
		struct rig_conn *conn;
		const char *head;

		rig_get(rig, &client[0], "/a", "");
		conn = rig_asked(rig, &head);
		purge_like(rig, &others[i]);
		rig_get(rig, &client[1], "/a", "");
		rig_settle(rig);
		rig_answer(conn, TAGGED, 10);
		rig_expect_body(rig, &client[0], 10);
		rig_expect_body(rig, &client[1], 10);
		cr_assert_eq(rig_requests(rig), 1);
		cr_assert(rig_lookup(rig, "/a", ""));
		rig_end_all(rig, client, 2);
	}
}

Test(origin_purge, what_waits_to_be_sent_is_asked_for_after_it)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client[2];
	struct rig_conn *conn;
	const char *head;

	rig_conf(rig);
	rig->conf.origin.max_in_flight = 1;
	rig_up(rig, 64 << 20);
	rig_get(rig, &client[0], "/first", "");
	conn = rig_asked(rig, &head);
	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++)
		purge_like(rig, &naming[i]);
	rig_answer(conn, RIG_FRESH, 10);
	rig_answer(asked_for(rig, "/a", &head), TAGGED, 10);
	rig_expect_body(rig, &client[0], 10);
	rig_expect_body(rig, &client[1], 10);
	cr_assert(!rig_lookup(rig, "/first", ""));
	cr_assert(rig_lookup(rig, "/a", ""));
	rig_end_all(rig, client, 2);
}

Test(origin_purge, g3_of_more_tags_than_are_remembered_any_may_be_meant)
{
	for (uint32_t more = 0; more < 2; more++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;
		char tag[32];

		rig->conf.origin.first_byte_timeout_ms =
			600000; /* a thousand purges take a while */
		rig_get(rig, &client, "/a", "");
		conn = rig_asked(rig, &head);
		for (uint32_t i = 0; i < ORIGIN_TAGS_KNOWN + more; i++) {
			(void)snprintf(tag, sizeof(tag), "tag%u", i);
			(void)purge(rig, HF_PURGE_TAG, tag, /* soft= */ false);
		}
		rig_answer(conn, TAGGED, 10);
		rig_expect_body(rig, &client, 10);
		cr_assert_eq(rig_lookup(rig, "/a", "") != NULL, more == 0);
		rig_end_all(rig, &client, 1);
	}
}

Test(origin_purge, g3_when_its_client_left_nobody_gets_what_is_named)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client[0], "/a", "");
	conn = rig_asked(rig, &head);
	rig_get(rig, &client[1], "/a", "");
	rig_settle(rig);
	rig_end(rig, &client[0]);
	(void)purge(rig, HF_PURGE_TAG, "t", /* soft= */ false);
	rig_answer(conn, TAGGED, 10);
	rig_answer(asked_for(rig, "/a", &head), TAGGED, 20);
	rig_expect_body(rig, &client[1], 20);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 20);
	rig_end(rig, &client[1]);
	rig_free(rig);
}

Test(origin_purge, what_went_on_only_to_be_stored_ends)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;

		rig_get(rig, &client, "/a", "");
		conn = rig_asked(rig, &head);
		rig_say(conn, "HTTP/1.1 200 OK\r\n" TAGGED "Content-Length: 9000\r\n\r\nold");
		rig_until(rig, client.read_len == 3);
		rig_end(rig, &client);
		rig_settle(rig);
		cr_assert_eq(hf_origin_in_flight(rig->origin), 1);
		purge_like(rig, &naming[i]);
		rig_say(conn, "old");
		rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
		rig_free(rig);
	}
}

Test(origin_purge, g3_a_refresh_under_way_is_not_stored)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", "Cache-Control: max-age=60, stale-while-revalidate=600\r\n", 10, 100);
	atomic_store(&rig_lookup(rig, "/a", "")->refreshing, HF_OBJ_REFRESH_ON);
	rig_refresh(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert_eq(purge(rig, HF_PURGE_ALL, "", /* soft= */ true), 1);
	rig_answer(conn, RIG_FRESH, 20);
	rig_until(rig, client.gone && hf_origin_in_flight(rig->origin) == 0);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 10);
	cr_assert(rig_lookup(rig, "/a", "")->flags & HF_OBJ_STALE);
	cr_assert_neq(rig_lookup(rig, "/a", "")->refreshing, HF_OBJ_REFRESH_ON, "a later one may");
	rig_free(rig);
}

Test(origin_purge, g3_what_was_evicted_and_then_named_stands_for_no_error)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(naming); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;
		struct hf_obj *obj;

		rig_store(rig, "/a", TAGGED TAG_A "Cache-Control: stale-if-error=600\r\n", 10, 100);
		rig_get(rig, &client, "/a", "");
		conn = rig_asked(rig, &head);
		obj = rig_lookup(rig, "/a", "");
		cr_assert(hf_shard_remove(rig->shard, obj));
		obj->purged = false; /* as eviction leaves it */
		purge_like(rig, &naming[i]);
		rig_say(conn, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
		rig_until(rig, rig_client_at_end(&client));
		cr_assert_eq(client.xchg->obj->status, 503, "%zu", i);
		rig_end_all(rig, &client, 1);
	}
}

/* HEAD freshens what is stored (RFC 9111 §4.3.5), but not with what it asked before the purge. */
Test(origin_purge, g3_a_head_from_before_a_soft_purge_does_not_undo_it)
{
	for (size_t i = HF_ARRAY_LEN(naming) / 2; i < HF_ARRAY_LEN(naming); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct rig_conn *conn;
		const char *head;
		uint64_t count;

		cr_assert(naming[i].soft);
		rig_store(rig, "/a", TAGGED TAG_A, 10, 0);
		rig_start_text(rig, &client, "HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
		conn = rig_asked(rig, &head);
		begin(rig, naming[i].kind, naming[i].text.ptr ? naming[i].text.ptr : "", true);
		cr_assert(origin_purge_run(rig->origin));
		rig_say(conn, "HTTP/1.1 200 OK\r\n" RIG_FRESH TAG_A "Content-Length: 10\r\n\r\n");
		while (!client.head) { /* the walk stands still at the beginning */
			rig_turn(rig);
			if (rig->origin->purge.begun)
				rig->origin->purge.walk.slot = 0;
		}
		rig_until(rig, done(rig, &count));
		cr_assert(rig_lookup(rig, "/a", "")->flags & HF_OBJ_STALE, "%zu", i);
		rig_end_all(rig, &client, 1);
	}
}

/* ---- one key ---- */

Test(origin_purge, g3_one_key_softly)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	struct rig_conn *old;
	const char *head;

	rig_store(rig, "/a", RIG_FRESH, 10, 100);
	rig_get(rig, &client[0], "/a", "");
	old = rig_asked(rig, &head);
	cr_assert_eq(origin_purge_key(rig->origin, &client[0].xchg->key, /* soft= */ true), 1);
	rig_get(rig, &client[1], "/a", "");
	rig_answer(asked_for(rig, "/a", &head), RIG_FRESH, 20);
	rig_expect_body(rig, &client[1], 20);
	rig_answer(old, RIG_FRESH, 30);
	rig_expect_body(rig, &client[0], 30);
	cr_assert_eq(rig_lookup(rig, "/a", "")->length, 20);
	rig_end_all(rig, client, 2);
}

/* ---- control ---- */

Test(origin_purge, the_thread_stays_awake_for_it, .timeout = 60)
{
	struct rig *rig = rig_new();
	uint64_t count, turns = 0;

	store_some(rig);
	rig_settle(rig);
	begin(rig, HF_PURGE_ALL, "", /* soft= */ false);
	while (!hf_origin_purge_done(rig->origin, &count)) {
		hf_origin_step(rig->origin, 60000);
		turns++;
	}
	cr_assert_eq(count, 4);
	cr_assert_gt(turns, 1);
	rig_free(rig);
}

Test(origin_purge, one_at_a_time_and_no_longer_text_than_there_is_room_for)
{
	struct rig *rig = rig_new();
	char *text = calloc(1, HF_PURGE_TEXT_MAX + 1);
	struct hf_purge_walk walk = { .kind = HF_PURGE_ALL };
	uint64_t count;

	begin(rig, HF_PURGE_ALL, "", /* soft= */ false);
	cr_assert(!hf_origin_purge_done(rig->origin, &count));
	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), -EBUSY);
	rig_until(rig, hf_origin_purge_done(rig->origin, &count));
	walk = (struct hf_purge_walk){ .kind = HF_PURGE_PREFIX,
		.text = { text, HF_PURGE_TEXT_MAX + 1 } };
	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), -E2BIG);
	walk.kind = HF_PURGE_TAG;
	walk.text.len = HF_PURGE_TAG_MAX + 1;
	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), -E2BIG);
	walk.text.len = HF_PURGE_TAG_MAX;
	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), 0);
	free(text); /* it was copied */
	rig_until(rig, hf_origin_purge_done(rig->origin, &count));
	cr_assert_eq(count, 0);
	rig_free(rig);
}

Test(origin_purge, a_thread_that_stops_in_the_middle_leaves_nothing_behind)
{
	for (int steps = 0; steps < 2; steps++) {
		struct rig *rig = rig_new();

		store_some(rig);
		begin(rig, HF_PURGE_TAG, "t", /* soft= */ false);
		for (int i = 0; i < steps; i++)
			cr_assert(origin_purge_run(rig->origin));
		cr_assert_eq(rig->origin->purge.begun, steps > 0);
		rig_free(rig);
	}
}

/* Posts the question as the control thread does, without waiting. */
static void ask(struct rig *rig, struct hf_origin_call *call)
{
	rig->origin->call = call;
	atomic_store(&rig->origin->call_waiting, true);
	rig_until(rig, !atomic_load(&rig->origin->call_waiting));
}

Test(origin_purge, control_sees_all_of_a_variant)
{
	struct rig *rig = rig_new();
	struct hf_origin_call call = { .what = HF_ORIGIN_SHOW };
	struct hf_obj *obj;

	rig_store(rig, "/a?b=1",
		"Cache-Control: public, max-age=60, stale-while-revalidate=7, stale-if-error=9\r\n"
		"Cache-Tag: x y, z\r\n",
		10, 20);
	obj = rig_lookup(rig, "/a?b=1", "");
	call.key = (struct hf_key){ obj->key, obj->key_len, obj->hash };
	ask(rig, &call);
	cr_assert_eq(call.count, 1);
	cr_assert_str_eq(call.variant[0].key, "http://a.test/a?b=1");
	cr_assert_str_eq(call.variant[0].tags, "x y, z");
	cr_assert(call.variant[0].fresh && !call.variant[0].soft_purged);
	cr_assert(call.variant[0].auth_ok && !call.variant[0].validated);
	cr_assert_eq(call.variant[0].swr_s, 7);
	cr_assert_eq(call.variant[0].sie_s, 9);
	cr_assert_geq(call.variant[0].age_s, 20);
	cr_assert_leq(call.variant[0].ttl_s, 40);
	cr_assert_gt(call.variant[0].ttl_s, 0);
	(void)purge(rig, HF_PURGE_TAG, "z", /* soft= */ true);
	ask(rig, &call);
	cr_assert_eq(call.count, 1);
	cr_assert(!call.variant[0].fresh && call.variant[0].soft_purged);
	cr_assert_leq(call.variant[0].ttl_s, 0);
	cr_assert_leq(call.variant[0].age_s, 59);
	rig_free(rig);
}

Test(origin_purge, a_list_is_told_in_parts)
{
	struct rig *rig = rig_new();
	struct hf_origin_call call = { .what = HF_ORIGIN_LIST,
		.filter = { .kind = HF_PURGE_PATH, .text = { "/l/", 3 } } };
	uint32_t count = 0, calls = 0;
	char path[32];
	bool seen[50] = { false };

	rig_store(rig, "/other", RIG_FRESH, 10, 0);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(seen); i++) {
		(void)snprintf(path, sizeof(path), "/l/%u", i);
		rig_store(rig, path, RIG_FRESH, 10, 0);
	}
	do {
		ask(rig, &call);
		calls++;
		cr_assert_leq(call.count, HF_ORIGIN_VARIANTS_MAX);
		for (uint32_t i = 0; i < call.count; i++) {
			uint32_t n = (uint32_t)atoi(strstr(call.variant[i].key, "/l/") + 3);

			cr_assert(!seen[n]);
			seen[n] = true;
			count++;
		}
	} while (!call.end);
	cr_assert_eq(count, HF_ARRAY_LEN(seen));
	cr_assert_gt(calls, HF_ARRAY_LEN(seen) / HF_ORIGIN_VARIANTS_MAX);
	rig_free(rig);
}
