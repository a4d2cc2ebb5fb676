/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The second tier as an origin thread uses it. Its node is a store of the test's, which can be told to fail.
 */
#include "origin_answer.h"
#include "origin_l2.h"
#include "rig_l2.h"

/* The request is answered by the origin, which is asked for it. */
static void store_fetch(
	struct store *store, const char *path, const char *request, const char *fields)
{
	struct rig_client client;
	uint32_t asked = rig_requests(store->rig);
	const char *head;

	rig_get(store->rig, &client, path, request);
	store_until(store, rig_requests(store->rig) > asked);
	rig_answer(rig_asked(store->rig, &head), fields, 1000);
	store_until(store, rig_client_at_end(&client));
	cr_assert_eq(client.bad_at, UINT64_MAX);
	origin_memo_clear(store->rig->origin, client.xchg->key.hash);
	rig_end(store->rig, &client);
}

/* The request is answered, and no origin is asked. */
static void store_hit(struct store *store, const char *path, const char *request)
{
	struct rig_client client;
	uint32_t asked = rig_requests(store->rig);

	rig_get(store->rig, &client, path, request);
	store_until(store, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 1000);
	cr_assert_eq(client.bad_at, UINT64_MAX);
	cr_assert(client.xchg->local && client.xchg->stored);
	cr_assert_eq(rig_requests(store->rig), asked);
	rig_end(store->rig, &client);
}

/* L1 alone forgets it. */
static void store_forget(struct store *store, const char *path)
{
	struct hf_obj *obj;

	while ((obj = rig_lookup(store->rig, path, "")) != NULL)
		cr_assert(hf_shard_remove(store->rig->shard, obj));
}

static void store_patience(struct store *store, uint32_t ms)
{
	store->rig->conf.l2.read_timeout_ms = ms;
	store->rig->conf.l2.write_timeout_ms = ms;
	hf_origin_conf_set(store->rig->origin, &store->rig->conf);
}

/* The same while the node is busy once it has been asked. */
static void store_busy_fetch(struct store *store, const char *path, const char *fields)
{
	struct rig_client client;
	const char *head;

	rig_get(store->rig, &client, path, "");
	store_until(store, rig_requests(store->rig) == 1);
	store->mood = STORE_BUSY;
	store_patience(store, 20);
	rig_answer(rig_asked(store->rig, &head), fields, 1000);
	rig_until(store->rig, rig_client_at_end(&client));
	rig_end(store->rig, &client);
}

/* "http://a.test" and PATH. Returns how many were purged here. */
static uint32_t store_purge(struct store *store, const char *path, bool soft)
{
	char text[64];
	struct hf_key key = { text, 0, 0 };

	key.len = (uint32_t)snprintf(text, sizeof(text), "http://a.test%s", path);
	key.hash = hf_cache_hash(store->rig->cache, key.ptr, key.len);
	return origin_purge_key(store->rig->origin, &key, soft);
}

Test(origin_l2, what_was_fetched_is_given_to_l2_and_comes_back_with_its_age)
{
	struct store *store = store_new("");
	struct hf_l2_want want = { .url = HF_SPAN("http://a.test/a") };
	struct hf_l2_value value;
	const struct hf_obj *obj;

	store_fetch(store, "/a", "", "Cache-Control: max-age=600\r\nAge: 100\r\n");
	store_until(store, store->sets == 1);
	cr_assert_gt(store->px_ms, 400000);
	cr_assert_leq(store->px_ms, 500000);
	want.now_us = hf_clock_unix_us();
	cr_assert_eq(
		hf_l2_decode(store->rig->origin->l2.codec,
			(struct hf_span){ store->item[0].value.data, store->item[0].value.len },
			&want, &value),
		HF_L2_GOOD);
	cr_assert_eq(value.record.life.lifetime_s, 600, "its own, not l1_ttl");
	store_forget(store, "/a");
	store_hit(store, "/a", "");
	obj = rig_lookup(store->rig, "/a", "");
	cr_assert(obj);
	cr_assert_geq(hf_obj_age_s(obj, hf_clock_us()), 100);
	cr_assert_leq(hf_obj_age_s(obj, hf_clock_us()), 110);
	cr_assert_leq(obj->life.lifetime_s, 100 + 60 + 10, "l1_ttl from now on");
	cr_assert_eq(stat_of(HF_STAT_L2_HIT), 1);
	cr_assert_eq(stat_of(HF_STAT_L2_MISS), 1);
	cr_assert_eq(stat_of(HF_STAT_VALKEY_MISS), 1);
	store_free(store);
}

Test(origin_l2, all_who_wait_for_a_key_share_one_question)
{
	struct store *store = store_new("");
	struct rig_client client[5];

	store_fetch(store, "/a", "", "Cache-Control: max-age=600\r\n");
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	for (uint32_t i = 0; i < 5; i++)
		rig_get(store->rig, &client[i], "/a", "");
	for (uint32_t i = 0; i < 5; i++)
		store_until(store, rig_client_at_end(&client[i]));
	cr_assert_eq(store->gets, 2);
	cr_assert_eq(rig_requests(store->rig), 1);
	for (uint32_t i = 0; i < 5; i++)
		rig_end(store->rig, &client[i]);
	store_free(store);
}

Test(origin_l2, a_variant_is_found_by_the_values_of_its_fields)
{
	static const char fields[] = "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n";
	struct store *store = store_new("");

	store_fetch(store, "/a", "Accept-Language: de\r\n", fields);
	store_until(store, store->sets == 2);
	hf_shard_purge(store->rig->shard,
		&(struct hf_key){ "http://a.test/a", 15,
			hf_cache_hash(store->rig->cache, "http://a.test/a", 15) },
		/* soft= */ false);
	store_hit(store, "/a", "Accept-Language: de\r\n");
	store_fetch(store, "/a", "Accept-Language: en\r\n", fields);
	store_until(store, store->sets == 3);
	hf_shard_purge(store->rig->shard,
		&(struct hf_key){ "http://a.test/a", 15,
			hf_cache_hash(store->rig->cache, "http://a.test/a", 15) },
		/* soft= */ false);
	store_hit(store, "/a", "Accept-Language: en\r\n");
	store_hit(store, "/a", "Accept-Language: de\r\n");
	store_free(store);
}

Test(origin_l2, whom_the_variant_does_not_suit_asks_for_himself)
{
	static const char fields[] = "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n";
	struct store *store = store_new("");
	struct rig_client german, english;
	const char *head;

	store_fetch(store, "/a", "Accept-Language: de\r\n", fields);
	store_until(store, store->sets == 2);
	cr_assert(hf_shard_remove(
		store->rig->shard, rig_lookup(store->rig, "/a", "Accept-Language: de\r\n")));
	rig_get(store->rig, &german, "/a", "Accept-Language: de\r\n");
	rig_get(store->rig, &english, "/a", "Accept-Language: en\r\n");
	store_until(store, rig_requests(store->rig) == 2 && rig_client_at_end(&german));
	rig_answer(rig_asked(store->rig, &head), fields, 500);
	cr_assert(rig_head_has(head, "Accept-Language: en"));
	store_until(store, rig_client_at_end(&english));
	cr_assert(german.xchg->local && !english.xchg->local);
	cr_assert_eq(english.read_len, 500);
	rig_end(store->rig, &german);
	rig_end(store->rig, &english);
	store_free(store);
}

Test(origin_l2, an_error_is_answered_by_the_origin_and_counted)
{
	struct store *store = store_new("");

	store->mood = STORE_ERROR;
	store_fetch(store, "/a", "", RIG_FRESH);
	cr_assert_eq(stat_of(HF_STAT_L2_GET_ERROR), 1);
	cr_assert_eq(stat_of(HF_STAT_VALKEY_GET_FALLBACK), 1);
	store_until(store, stat_of(HF_STAT_VALKEY_SET_FALLBACK) == 1);
	cr_assert_eq(stat_of(HF_STAT_L2_SET_FALLBACK), 1);
	cr_assert(rig_lookup(store->rig, "/a", ""), "it is in L1 all the same");
	store_free(store);
}

Test(origin_l2, a_silent_node_is_waited_for_no_longer_than_read_timeout)
{
	struct store *store = store_new("");
	struct rig_client client;
	uint64_t began_us;

	store_patience(store, 25);
	store->mood = STORE_SILENT;
	began_us = hf_clock_us();
	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 1);
	cr_assert_geq(hf_clock_us() - began_us, 25000);
	cr_assert_eq(stat_of(HF_STAT_L2_GET_ERROR), 1);
	rig_finish(store->rig, &client);
	store_until(store, client.gone);
	store_free(store);
}

Test(origin_l2, with_a_stale_response_an_error_is_no_reason_to_ask_the_origin)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", "Cache-Control: max-age=60, stale-if-error=600\r\n");
	rig_lookup(store->rig, "/a", "")->born_us -= 100LL * 1000000;
	store->mood = STORE_ERROR;
	store_hit(store, "/a", "");
	cr_assert_eq(stat_of(HF_STAT_CACHE_STALE_L2), 1);
	store_free(store);
}

Test(origin_l2, what_was_softly_purged_does_not_stand_in_for_l2)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", "Cache-Control: max-age=3600\r\n");
	store_until(store, store->sets == 1);
	cr_assert_eq(store_purge(store, "/a", /* soft= */ true), 1);
	store_until(store, hf_list_empty(&store->rig->origin->l2.dels));
	store->mood = STORE_ERROR;
	store_fetch(store, "/a", "", "Cache-Control: max-age=3600\r\n");
	cr_assert_eq(stat_of(HF_STAT_L2_GET_ERROR), 1);
	cr_assert_eq(stat_of(HF_STAT_CACHE_STALE_L2), 0);
	store_free(store);
}

Test(origin_l2, a_stale_value_is_validated_by_the_origin)
{
	struct store *store = store_new("");
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	store_fetch(store, "/a", "",
		"Cache-Control: max-age=1, stale-if-error=600\r\nETag: \"x\"\r\nAge: 1\r\n");
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 2);
	conn = rig_asked(store->rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"x\""));
	rig_say(conn,
		"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nCache-Control: max-age=60\r\n\r\n");
	store_until(store, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 1000);
	store_until(store, store->sets == 2);
	rig_end(store->rig, &client);
	store_free(store);
}

Test(origin_l2, an_older_value_does_not_take_the_place_of_what_is_stored)
{
	static const char older[] =
		"Cache-Control: max-age=1, stale-if-error=600\r\nAge: 100\r\nETag: \"old\"\r\n";
	static const char newer[] =
		"Cache-Control: max-age=0, stale-if-error=600\r\nETag: \"new\"\r\n";
	struct store *store = store_new("");
	struct rig_client client;
	const char *head;

	store_fetch(store, "/a", "", older);
	store_until(store, store->sets == 1);
	store->mood = STORE_FULL;
	store_fetch(store, "/a", "", newer);
	store_until(store, stat_of(HF_STAT_L2_SET_FALLBACK) == 1);
	store->mood = STORE_GOOD;
	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 3);
	(void)rig_asked(store->rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"new\""), "%s", head);
	rig_finish(store->rig, &client);
	store_until(store, client.gone);
	store_free(store);
}

Test(origin_l2, rfc9111_3_4_a_body_that_was_put_together_goes_there_whole)
{
	struct store *store = store_new("");
	char *body = rig_body(1000);
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	store->rig->origin->resume_pause_us = 0;
	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 1);
	conn = rig_asked(store->rig, &head);
	rig_say(conn,
		"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" RIG_FRESH "ETag: \"a\"\r\n\r\n");
	rig_buf_add(&conn->out, body, 400);
	store_until(store, client.head && client.read_len == 400);
	rig_conn_close(conn);
	store_until(store, rig_requests(store->rig) == 2);
	conn = rig_asked(store->rig, &head);
	rig_say(conn, "HTTP/1.1 206 Partial Content\r\nContent-Length: 600\r\n"
		      "Content-Range: bytes 400-999/1000\r\nETag: \"a\"\r\n\r\n");
	rig_buf_add(&conn->out, body + 400, 600);
	store_until(store, rig_client_at_end(&client) && store->sets == 1);
	rig_end(store->rig, &client);
	store_forget(store, "/a");
	store_hit(store, "/a", "");
	free(body);
	store_free(store);
}

Test(origin_l2, a_damaged_value_is_a_miss_and_is_deleted)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	store->item[0].value.data[store->item[0].value.len - 3] ^= 1;
	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->purges == 1 && store->sets == 2);
	store_forget(store, "/a");
	store_hit(store, "/a", "");
	cr_assert_eq(stat_of(HF_STAT_L2_STORAGE_ERRORS), 1);
	store_free(store);
}

Test(origin_l2, what_must_not_be_shared_is_neither_asked_for_nor_given)
{
	struct store *store = store_new("");

	store_fetch(store, "/a?access_token=s3cret", "", RIG_FRESH);
	store_fetch(store, "/b", "Authorization: Bearer x\r\n", RIG_FRESH);
	store_fetch(store, "/c", "Cache-Control: no-cache\r\n", "Cache-Control: private\r\n");
	cr_assert_eq(store->gets, 0);
	cr_assert_eq(store->sets, 0);
	store_free(store);
}

Test(origin_l2, a_purge_deletes_there_too)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	cr_assert_eq(store_purge(store, "/a", /* soft= */ false), 1);
	store_until(store, store->purges == 1);
	store_fetch(store, "/a", "", RIG_FRESH);
	store_free(store);
}

Test(origin_l2, what_is_being_deleted_is_not_asked_for)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	cr_assert_eq(store_purge(store, "/a", /* soft= */ false), 1);
	store_fetch(store, "/a", "", RIG_FRESH);
	cr_assert_eq(store->gets, 1); /* on another connection it might overtake the end of it */
	store_until(store, store->sets == 2);
	store_forget(store, "/a");
	store_hit(store, "/a", "");
	store_free(store);
}

static const char *const for_all_or_by_language[] = { "Cache-Control: max-age=600\r\n",
	"Cache-Control: max-age=600\r\nVary: Accept-Language\r\n" };

Test(origin_l2, what_is_fetched_after_a_purge_is_given_to_l2_again)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(for_all_or_by_language); i++) {
		const char *fields = for_all_or_by_language[i];
		struct store *store = store_new("");

		store_fetch(store, "/a", "", fields);
		store_until(store, store->sets == 1 + i);
		cr_assert_eq(store_purge(store, "/a", /* soft= */ false), 1);
		store_until(store, store->purges == 1);
		store_fetch(store, "/a", "", fields);
		store_until(store, store->sets == 2 + 2 * i);
		store_forget(store, "/a");
		store_hit(store, "/a", "");
		store_free(store);
	}
}

/* The node is busy, its answer does not come in time; then the purge overtakes what it was told. */
Test(origin_l2, what_was_on_its_way_to_l2_does_not_come_back_after_a_purge)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(for_all_or_by_language); i++) {
		const char *fields = for_all_or_by_language[i];
		struct store *store = store_new("");
		uint64_t late = stat_of(HF_STAT_L2_SET_FALLBACK);

		store_busy_fetch(store, "/a", fields);
		rig_until(store->rig, stat_of(HF_STAT_L2_SET_FALLBACK) > late);
		store_patience(store, 10000);
		(void)store_purge(store, "/a", /* soft= */ false);
		for (uint32_t turn = 0; turn < 3; turn++) /* it goes out */
			rig_turn(store->rig);
		store->mood = STORE_GOOD;
		store->backwards = true;
		store_until(store, hf_list_empty(&store->rig->origin->l2.dels));
		cr_assert_eq(store->purges, 1);
		cr_assert_eq(store->sets, 1 + i);
		cr_assert_eq(store->rig->origin->l2.purged_count, 0, "it need not be remembered");
		store_fetch(store, "/a", "", fields);
		store_free(store);
	}
}

static void invalidated(void *arg, struct hf_span key)
{
	cr_assert(hf_span_eq(key, HF_SPAN("http://a.test/a")));
	(*(uint32_t *)arg)++;
}

Test(origin_l2, what_an_unsafe_request_invalidates_is_deleted_and_told)
{
	struct store *store = store_new("");
	struct rig_client client;
	uint32_t told = 0;
	const char *head;

	hf_origin_invalidated_set(store->rig->origin, invalidated, &told);
	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	rig_start_text(store->rig, &client, "DELETE /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	client.eager = true;
	rig_answer(rig_asked(store->rig, &head), "", 0);
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_until(store, store->purges == 1);
	cr_assert_eq(told, 1);
	store_free(store);
}

Test(origin_l2, what_was_purged_while_the_node_was_away_does_not_come_back)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	store->mood = STORE_ERROR;
	cr_assert_eq(store_purge(store, "/a", /* soft= */ false), 1);
	store_until(store, store->rig->origin->l2.purged_count == 1);
	store->mood = STORE_GOOD;
	store_fetch(store, "/a", "", RIG_FRESH);
	store_free(store);
}

Test(origin_l2, a_purge_while_it_is_asked_for_voids_the_answer)
{
	struct store *store = store_new("");
	struct rig_client client;
	const char *head;

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	rig_get(store->rig, &client, "/a", "");
	for (uint32_t i = 0; i < 3; i++) /* the question goes out; the store is not looked at */
		rig_turn(store->rig);
	(void)store_purge(store, "/a", /* soft= */ false);
	store_until(store, rig_requests(store->rig) == 2);
	rig_answer(rig_asked(store->rig, &head), RIG_FRESH, 1000);
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_free(store);
}

Test(origin_l2, a_purge_of_many_counts_for_what_l2_has)
{
	static const struct hf_purge_walk walks[] = {
		{ .kind = HF_PURGE_TAG, .text = HF_SPAN("one") },
		{ .kind = HF_PURGE_PREFIX, .text = HF_SPAN("http://a.test/a") },
		{ .kind = HF_PURGE_ALL },
	};
	static const char fields[] = "Cache-Control: max-age=600\r\nSurrogate-Key: one two\r\n";
	struct store *store = store_new("");

	for (size_t i = 0; i < HF_ARRAY_LEN(walks); i++) {
		uint64_t count;

		store_fetch(store, "/a/b", "", fields);
		store_until(store, store->sets == i + 1);
		cr_assert(hf_origin_purge_begin(store->rig->origin, &walks[i]) == 0);
		store_until(store, hf_origin_purge_done(store->rig->origin, &count));
	}
	store_fetch(store, "/a/b", "", fields);
	cr_assert_eq(stat_of(HF_STAT_L2_HIT), 0);
	store_free(store);
}

Test(origin_l2, what_others_purged_before_counts_and_clocks_may_differ_by_so_much)
{
	struct store *store = store_new("");
	int64_t before_us = hf_clock_unix_us(), after_us;

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	after_us = hf_clock_unix_us();
	store_forget(store, "/a");
	hf_origin_l2_before(store->rig->origin, before_us - HF_L2_SKEW_US - 1);
	store_hit(store, "/a", "");
	store_forget(store, "/a");
	hf_origin_l2_before(store->rig->origin, after_us - HF_L2_SKEW_US);
	store_fetch(store, "/a", "", RIG_FRESH);
	store_free(store);
}

Test(origin_l2, write_around_leaves_l1_as_it_is_if_the_node_took_it)
{
	struct store *store = store_new("\"mode\":\"write-around\",");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	for (uint32_t i = 0; i < 10; i++)
		rig_turn(store->rig);
	cr_assert(!rig_lookup(store->rig, "/a", ""));
	store_hit(store, "/a", "");
	cr_assert(rig_lookup(store->rig, "/a", ""), "a hit there warms L1");
	store->mood = STORE_FULL;
	store_fetch(store, "/b", "", RIG_FRESH);
	store_until(store, rig_lookup(store->rig, "/b", ""));
	cr_assert_eq(stat_of(HF_STAT_L2_SET_FALLBACK), 1);
	store_free(store);
}

Test(origin_l2, write_around_does_not_bring_back_what_was_purged_meanwhile)
{
	struct store *store = store_new("\"mode\":\"write-around\",");
	struct rig_client client;
	const char *head;

	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 1);
	store->mood = STORE_FULL;
	rig_answer(rig_asked(store->rig, &head), RIG_FRESH, 1000);
	rig_until(store->rig, rig_client_at_end(&client)); /* the node has not answered yet */
	(void)store_purge(store, "/a", /* soft= */ false);
	store_until(store, stat_of(HF_STAT_L2_SET_FALLBACK) == 1);
	cr_assert_null(rig_lookup(store->rig, "/a", ""));
	rig_end(store->rig, &client);
	store_free(store);
}

Test(origin_l2, with_a_lease_one_edge_fetches_and_the_others_wait_for_it)
{
	struct store *store = store_new("\"lease_ms\":5000,");
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;
	char lease[160];
	uint32_t asked;

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->dels == 1); /* the lease, behind the response */
	cr_assert_eq(store->items, 2);
	(void)snprintf(lease, sizeof(lease), "%s", store->item[0].key);
	cr_assert(strstr(lease, ":l"), "%s", lease);
	store_put(store, store->item[1].key, "", 0);
	store_forget(store, "/a");

	store_put(store, lease, "1", 1); /* another edge's */
	rig_get(store->rig, &client, "/a", "");
	store_until(store, store->gets >= 5);
	cr_assert_eq(rig_requests(store->rig), 1, "it waits");
	store_put(store, lease, "", 0);
	store_until(store, rig_requests(store->rig) == 2);
	conn = rig_asked(store->rig, &head);
	rig_answer(conn, RIG_FRESH, 1000);
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_until(store, store->dels == 2);

	store_forget(store, "/a");
	store_put(store, lease, "1", 1);
	asked = rig_requests(store->rig);
	store_hit(store, "/a", "");
	cr_assert_eq(rig_requests(store->rig), asked);
	cr_assert_eq(stat_of(HF_STAT_VALKEY_MISS), 2, "waiting is no miss of its own");
	store_free(store);
}

Test(origin_l2, what_another_edge_stored_between_the_question_and_the_lease_is_found)
{
	struct store *store = store_new("\"lease_ms\":5000,");
	uint32_t asked;

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->dels == 1);
	store->late.key = store->item[1].key;
	rig_buf_add(&store->late.value, store->item[1].value.data, store->item[1].value.len);
	store_put(store, store->item[1].key, "", 0);
	store_forget(store, "/a");
	asked = rig_requests(store->rig);
	store_hit(store, "/a", "");
	cr_assert_eq(rig_requests(store->rig), asked);
	store_until(store, store->dels == 2); /* the lease */
	free(store->late.value.data);
	store_free(store);
}

Test(origin_l2, another_edges_lease_is_waited_for_no_longer_than_it_may_last)
{
	struct store *store = store_new("\"lease_ms\":60,");
	struct hf_l2_key key, lease;

	hf_l2_key_of("holdfast", HF_SPAN("http://a.test/a"), &key);
	hf_l2_key_lease(&key, &lease);
	store_put(store, lease.text, "1", 1); /* and nobody fetches */
	store_fetch(store, "/a", "", RIG_FRESH);
	store_free(store);
}

Test(origin_l2, who_leaves_while_it_is_asked_leaves_nothing_behind)
{
	struct store *store = store_new("");
	struct rig_client client, other;

	store->mood = STORE_SILENT;
	rig_get(store->rig, &client, "/a", "");
	rig_get(store->rig, &other, "/a", "");
	for (uint32_t i = 0; i < 5; i++)
		rig_turn(store->rig);
	rig_finish(store->rig, &client);
	store_until(store, client.gone);
	rig_finish(store->rig, &other);
	store_until(store, other.gone);
	cr_assert_eq(rig_requests(store->rig), 0);
	store_free(store);
}

/* As the store's own state, but the route lets URLs with secrets be stored. */
static void store_lets_secrets_be(struct store *store)
{
	struct hf_state *state = NULL;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"2\",\"origins\":[{\"group\":\"g\",\"id\":\"o1\","
		"\"url\":\"http://127.0.0.1:%u\"}],\"routes\":[{\"id\":\"r\",\"host\":\"a.test\","
		"\"path\":\"/\",\"group\":\"g\",\"store_secret_query\":true}],"
		"\"l2\":{\"nodes\":[{\"id\":\"n\",\"url\":\"redis://127.0.0.1:%u\"}]}}",
		store->rig->port, store->port);
	cr_assert(hf_state_parse(text, strlen(text), stderr, &state) == 0);
	hf_origin_state_set(store->rig->origin, state);
	hf_state_unref(state);
	rig_turn(store->rig);
	cr_assert(origin_l2_set(store->rig->origin));
}

/* What is under way has its end. */
static void store_settle(struct store *store)
{
	for (uint32_t i = 0; i < 10; i++) {
		rig_turn(store->rig);
		store_turn(store);
	}
}

Test(origin_l2, a_url_with_a_secret_goes_no_further_than_l1)
{
	struct store *store = store_new("");

	store_lets_secrets_be(store);
	store_fetch(store, "/a?token=s3cret", "", RIG_FRESH);
	cr_assert(rig_lookup(store->rig, "/a?token=s3cret", ""));
	store_fetch(store, "/b?token=s3cret", "",
		"Cache-Control: max-age=60\r\nVary: Accept-Language\r\n");
	store_settle(store);
	cr_assert_eq(store->gets, 0);
	cr_assert_eq(store->sets, 0);
	store_free(store);
}

Test(origin_l2, a_lease_is_taken_for_as_long_as_the_state_says)
{
	struct store *store = store_new("\"lease_ms\":5000,");
	struct rig_client client;

	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 1);
	cr_assert_eq(store->sets, 1);
	cr_assert_eq(store->px_ms, 5000);
	rig_finish(store->rig, &client);
	store_until(store, client.gone);
	store_free(store);
}

Test(origin_l2, who_asks_anew_because_a_304_did_not_fit_asks_the_origin)
{
	struct store *store = store_new("");
	struct rig_client client;
	const char *head;

	store_fetch(store, "/a", "",
		"Cache-Control: max-age=1, stale-if-error=600\r\nETag: \"x\"\r\nAge: 1\r\n");
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 2);
	rig_say(rig_asked(store->rig, &head), "HTTP/1.1 304 Not Modified\r\nETag: \"y\"\r\n\r\n");
	store_until(store, rig_requests(store->rig) == 3);
	cr_assert_eq(store->gets, 2);
	rig_answer(rig_asked(store->rig, &head), RIG_FRESH, 1000);
	cr_assert(!rig_head_has(head, "If-None-Match: \"x\""));
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_free(store);
}

/* ---- names, and the variants under them ---- */

#define BY_LANGUAGE "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n"
#define DE          "Accept-Language: de\r\n"
#define EN          "Accept-Language: en\r\n"

/* L1 alone forgets all of /a. */
static void store_forget_variants(struct store *store)
{
	const struct hf_key key = { "http://a.test/a", 15,
		hf_cache_hash(store->rig->cache, "http://a.test/a", 15) };

	hf_shard_purge(store->rig->shard, &key, /* soft= */ false);
}

/* The key of /a, without variant. */
static const char *store_base(void)
{
	static struct hf_l2_key key;

	hf_l2_key_of("holdfast", HF_SPAN("http://a.test/a"), &key);
	return key.text;
}

static void store_put_text(struct store *store, const char *text)
{
	store_put(store, store_base(), text, strlen(text));
}

static uint64_t store_commands(const struct store *store)
{
	struct hf_l2_node_status status;

	cr_assert_eq(hf_l2_tell(store->rig->origin->l2.client, &status, 1), 1);
	return status.commands;
}

Test(origin_l2, names_that_another_edge_stored_meanwhile_stay)
{
	struct store *store = store_new("");
	struct rig_client client;
	const char *head;

	rig_get(store->rig, &client, "/a", DE);
	store_until(store, rig_requests(store->rig) == 1);
	store_put_text(store, "another one's");
	rig_answer(rig_asked(store->rig, &head), BY_LANGUAGE, 1000);
	store_until(store, store->sets == 2);
	cr_assert_str_eq(store_find(store, store_base())->data, "another one's");
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_free(store);
}

Test(origin_l2, names_take_the_place_of_a_response_that_was_for_all)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", "Cache-Control: max-age=1, stale-if-error=600\r\nAge: 1\r\n");
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->sets == 3);
	store_forget_variants(store);
	store_hit(store, "/a", DE);
	store_free(store);
}

Test(origin_l2, names_take_the_place_of_other_names)
{
	static const char by_both[] =
		"Cache-Control: max-age=600\r\nVary: Accept-Language, X-Kind\r\n";
	struct store *store = store_new("");

	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->sets == 2);
	store_forget_variants(store);
	store_fetch(store, "/a", EN "X-Kind: 1\r\n", by_both);
	store_until(store, store->sets == 4);
	store_forget_variants(store);
	store_hit(store, "/a", EN "X-Kind: 1\r\n");
	store_free(store);
}

Test(origin_l2, names_that_stay_as_they_are_are_kept_for_longer)
{
	struct store *store = store_new("");
	uint64_t before;

	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->sets == 2);
	store_forget_variants(store);
	before = store_commands(store);
	store_fetch(store, "/a", EN, BY_LANGUAGE);
	store_until(store, store->sets == 3);
	cr_assert_eq(
		store_commands(store) - before, 4, "two questions, the names' time, one response");
	store_free(store);
}

Test(origin_l2, a_variant_that_was_validated_leaves_the_others_theirs)
{
	struct store *store = store_new("");
	struct rig_client client;
	const char *head;

	store_fetch(store, "/a", DE,
		"Cache-Control: max-age=1, stale-if-error=600\r\nETag: \"x\"\r\nAge: 1\r\n"
		"Vary: Accept-Language\r\n");
	store_until(store, store->sets == 2);
	store_forget_variants(store);
	store_fetch(store, "/a", EN, BY_LANGUAGE);
	store_until(store, store->sets == 3);
	store_forget_variants(store);
	rig_get(store->rig, &client, "/a", DE);
	store_until(store, rig_requests(store->rig) == 3);
	rig_say(rig_asked(store->rig, &head),
		"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nCache-Control: max-age=60\r\n\r\n");
	cr_assert(rig_head_has(head, "If-None-Match: \"x\""));
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_until(store, store->sets == 4);
	store_forget_variants(store);
	store_hit(store, "/a", EN);
	store_hit(store, "/a", DE);
	store_free(store);
}

Test(origin_l2, variants_do_not_outlive_a_purge_of_their_names)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->sets == 2);
	store_forget_variants(store);
	store_fetch(store, "/a", EN, BY_LANGUAGE);
	store_until(store, store->sets == 3);
	(void)store_purge(store, "/a", /* soft= */ false);
	store_until(store, store->purges == 1 && hf_list_empty(&store->rig->origin->l2.dels));
	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->sets == 5);
	store_forget_variants(store);
	store_fetch(store, "/a", EN, BY_LANGUAGE);
	store_free(store);
}

Test(origin_l2, without_knowing_what_names_there_are_a_variant_stays_in_l1)
{
	static const char *const modes[] = { "", "\"mode\":\"write-around\"," };

	for (size_t i = 0; i < HF_ARRAY_LEN(modes); i++) {
		struct store *store = store_new(modes[i]);
		struct rig_client client;
		const char *head;

		store->mood = STORE_ERROR;
		rig_get(store->rig, &client, "/a", DE);
		store_until(store, rig_requests(store->rig) == 1);
		store->mood = STORE_GOOD;
		rig_answer(rig_asked(store->rig, &head), BY_LANGUAGE, 1000);
		store_until(store, rig_client_at_end(&client));
		rig_end(store->rig, &client);
		store_settle(store);
		cr_assert_eq(store->sets, 0);
		cr_assert(rig_lookup(store->rig, "/a", DE));
		store_free(store);
	}
}

Test(origin_l2, a_lease_finds_a_response_for_all_where_names_were)
{
	struct store *store = store_new("\"lease_ms\":5000,");
	struct rig_buf *base;

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->dels == 1);
	base = store_find(store, store_base());
	rig_buf_add(&store->late.value, base->data, base->len);
	base->len = 0;
	store_forget(store, "/a");
	store_fetch(store, "/a", DE, BY_LANGUAGE);
	store_until(store, store->dels == 2);
	store_forget_variants(store);
	store->late.key = store_base();
	store_hit(store, "/a", EN); /* names, no variant, the lease, and then that */
	store_until(store, store->dels == 3);
	free(store->late.value.data);
	store_free(store);
}

/* ---- times, and who waits ---- */

Test(origin_l2, the_time_that_the_origin_took_is_part_of_the_age)
{
	struct store *store = store_new("");
	const struct hf_key key = { "http://a.test/a", 15,
		hf_cache_hash(store->rig->cache, "http://a.test/a", 15) };
	struct hf_l2_want want = { .url = HF_SPAN("http://a.test/a") };
	struct hf_l2_value value;
	struct origin_fetch *fetch;
	struct rig_client client;
	const char *head;

	rig_get(store->rig, &client, "/a", "");
	store_until(store, rig_requests(store->rig) == 1);
	fetch = origin_map_next(store->rig->origin, &key, NULL);
	cr_assert(fetch);
	fetch->sent_us -= 10 * 1000000;
	rig_answer(rig_asked(store->rig, &head), RIG_FRESH, 1000);
	store_until(store, store->sets == 1);
	cr_assert_leq(store->px_ms, 50000);
	want.now_us = hf_clock_unix_us();
	cr_assert_eq(
		hf_l2_decode(store->rig->origin->l2.codec,
			(struct hf_span){ store->item[0].value.data, store->item[0].value.len },
			&want, &value),
		HF_L2_GOOD);
	cr_assert_leq(value.asked_us, want.now_us - 10 * 1000000);
	cr_assert_geq(value.record.age_us, 10 * 1000000);
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_free(store);
}

Test(origin_l2, when_l2_fails_who_takes_nothing_stale_is_answered_by_the_origin)
{
	struct store *store = store_new("");
	struct rig_client first, second;
	const char *head;

	store_fetch(store, "/a", "", "Cache-Control: max-age=60\r\n");
	rig_lookup(store->rig, "/a", "")->born_us -= 100LL * 1000000;
	store->mood = STORE_ERROR;
	rig_get(store->rig, &first, "/a", "Cache-Control: stale-if-error=600\r\n");
	rig_get(store->rig, &second, "/a", "");
	store_until(store, rig_client_at_end(&first) && rig_requests(store->rig) == 2);
	cr_assert(first.xchg->stale && !second.head);
	rig_answer(rig_asked(store->rig, &head), RIG_FRESH, 500);
	store_until(store, rig_client_at_end(&second));
	cr_assert_eq(second.read_len, 500);
	cr_assert_eq(stat_of(HF_STAT_L2_GET_ERROR), 1, "they share the question");
	rig_end(store->rig, &first);
	rig_end(store->rig, &second);
	store_free(store);
}

Test(origin_l2, a_lease_that_is_refused_is_no_reason_to_wait)
{
	struct store *store = store_new("\"lease_ms\":5000,");

	store->mood = STORE_FULL;
	store_fetch(store, "/a", "", RIG_FRESH);
	cr_assert_eq(store->gets, 1);
	store_free(store);
}

Test(origin_l2, what_another_version_wrote_is_left_to_it)
{
	struct store *store = store_new("");

	store_fetch(store, "/a", "", RIG_FRESH);
	store_until(store, store->sets == 1);
	store_forget(store, "/a");
	store->item[0].value.data[4]++;
	store_fetch(store, "/a", "", "Cache-Control: no-store\r\n");
	store_settle(store);
	cr_assert_eq(store->dels, 0);
	cr_assert_eq(stat_of(HF_STAT_L2_STORAGE_ERRORS), 0);
	store_free(store);
}

Test(origin_l2, who_is_not_asked_because_he_fails_is_counted_too)
{
	struct store *store = store_new("");

	store->mood = STORE_ERROR;
	for (uint32_t i = 0; i < 12; i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "/%u", i);
		store_fetch(store, path, "", "Cache-Control: no-store\r\n");
	}
	cr_assert_eq(stat_of(HF_STAT_VALKEY_GET_FALLBACK), 12);
	cr_assert_lt(stat_of(HF_STAT_L2_GET_ERROR), 12);
	store_free(store);
}

Test(origin_l2, no_names_for_what_is_too_long)
{
	struct store *store = store_new("\"max_value\":1024,");
	struct rig_client client;
	const char *head;

	rig_get(store->rig, &client, "/a", DE);
	store_until(store, rig_requests(store->rig) == 1);
	rig_answer(rig_asked(store->rig, &head), BY_LANGUAGE, 2000);
	store_until(store, rig_client_at_end(&client));
	rig_end(store->rig, &client);
	store_settle(store);
	cr_assert_eq(store->sets, 0);
	store_free(store);
}
