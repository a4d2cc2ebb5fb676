/* SPDX-License-Identifier: BSD-3-Clause
 *
 * C1-C6 of hf_cache.h. What needs real threads is in tests/sim/cache_races.c too.
 */
#include "cache_fixture.h"

static struct hf_obj *get_as(
	struct fix *fix, const char *text, const char *language, enum hf_lookup *ret_verdict)
{
	static struct hf_http_req req;
	static const struct hf_http_limits limits = { 8192, 4096, 100 };
	static char buf[512];
	struct hf_key key = fix_key(fix, text);
	struct hf_http_fault fault;
	int len = snprintf(buf, sizeof(buf),
		"GET / HTTP/1.1\r\nHost: a\r\nAccept-Language: %s\r\n\r\n", language);

	cr_assert_eq(hf_http_req_parse(buf, (size_t)len, &limits, &req, &fault), HF_PARSE_DONE);
	return hf_cache_lookup(fix->cache, &key, &req, ret_verdict);
}

static int vary_block(char *buf, size_t cap, const char *language)
{
	return snprintf(buf, cap, "accept-language%c+%s%c", 0, language, 0);
}

Test(cache, c1_lookup_sees_what_was_published_or_newer)
{
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	cr_expect_null(fix_get(&fix, "http://a/"));
	for (uint64_t version = 1; version <= 20; version++) {
		struct hf_obj *obj = fix_put(&fix, "http://a/", version, 100 * version);

		cr_expect_eq(fix_get(&fix, "http://a/"), obj);
		cr_expect(fix_body_is(obj, version, 100 * version));
		hf_shard_check(fix.shard);
	}
	cr_expect_eq(fix.shard->objects, 1);
	fix_close(&fix);
}

static size_t peeked(const struct hf_obj *obj, uint64_t at)
{
	struct hf_obj_cursor cursor = { .pos = at };

	return hf_obj_peek(obj, &cursor, SIZE_MAX).len;
}

Test(cache, c1_the_last_byte_of_what_is_stored_is_shown_when_it_is_found)
{
	struct hf_obj_cursor end = { .pos = 10 };
	struct hf_obj *old, *obj;
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_put(&fix, "k", 1, 10);
	obj = fix_new(&fix, "k", NULL, 0, 10);
	cr_assert_eq(fix_fill(&fix, obj, 2, 7), 7);
	cr_expect_eq(peeked(obj, 0), 7);
	cr_assert_eq(fix_fill(&fix, obj, 2, 3), 3);
	cr_expect_lt(peeked(obj, 0), 10, "whole, and still nobody knows");
	cr_expect_not(hf_obj_at_end(obj, &end));
	cr_expect_eq(fix_get(&fix, "k"), old);
	hf_shard_check(fix.shard);
	hf_shard_publish(fix.shard, obj);
	cr_expect_eq(fix_get(&fix, "k"), obj);
	cr_expect_eq(peeked(obj, 0), 10);
	cr_expect(hf_obj_at_end(obj, &end));
	hf_shard_obj_unref(fix.shard, obj);
	fix_close(&fix);
}

Test(cache, what_is_in_the_table_and_not_ready_is_not_found)
{
	struct hf_obj *obj;
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_put(&fix, "k", 1, 10);
	atomic_store(&obj->state, HF_OBJ_FILLING); /* as between publish's two stores */
	cr_expect_null(fix_get(&fix, "k"));
	atomic_store(&obj->state, HF_OBJ_READY);
	cr_expect_eq(fix_get(&fix, "k"), obj);
	fix_close(&fix);
}

Test(cache, a_stream_shows_every_byte_at_once)
{
	struct hf_obj_cursor end = { .pos = 10 };
	struct hf_obj *obj;
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_new(&fix, NULL, NULL, 0, 10);
	cr_assert_eq(fix_fill(&fix, obj, 1, 10), 10);
	cr_expect_eq(peeked(obj, 0), 10);
	cr_expect_not(hf_obj_at_end(obj, &end));
	hf_shard_fill_end(fix.shard, obj);
	cr_expect(hf_obj_at_end(obj, &end));
	hf_shard_obj_unref(fix.shard, obj);
	fix_close(&fix);
}

Test(cache, c1_of_two_matching_variants_the_later_published_answers)
{
	struct fix fix;
	enum hf_lookup verdict;
	char vary[64];
	int len = vary_block(vary, sizeof(vary), "de");
	struct hf_obj *varied, *plain;

	fix_open(&fix, 4 * FIX_MIB);
	plain = fix_put(&fix, "k", 1, 10);
	varied = fix_put_variant(&fix, "k", 2, 10, vary, (size_t)len);
	cr_expect_eq(get_as(&fix, "k", "de", &verdict), varied);
	cr_expect_eq(get_as(&fix, "k", "fr", &verdict), plain);
	plain = fix_put(&fix, "k", 3, 10);
	cr_expect_eq(get_as(&fix, "k", "de", &verdict), plain);
	fix_close(&fix);
}

Test(cache, c2_a_borrowed_object_survives_until_the_grace_period)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_key key;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	fix_put(&fix, "k", 5, 40000);
	obj = fix_get(&fix, "k");
	cr_assert_not_null(obj);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, false), 1);
	hf_shard_work(fix.shard, fix.now_us);
	cr_expect(fix_body_is(obj, 5, 40000), "readable though unlinked");
	cr_expect_gt(fix.shard->used, 40000);
	hf_shard_check(fix.shard);
	cr_expect(fix_grace(&fix), "memory came free");
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(cache, c2_a_leased_object_survives_until_the_lease_is_put)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_lease *lease;

	fix_open(&fix, 4 * FIX_MIB);
	fix_put(&fix, "k", 5, 40000);
	obj = fix_get(&fix, "k");
	lease = hf_reader_lease(hf_cache_reader(fix.cache, 2), obj);
	cr_assert_not_null(lease);
	fix_put(&fix, "k", 6, 10);
	for (int i = 0; i < 3; i++) {
		fix_grace(&fix);
		fix_recalls(&fix);
		hf_shard_check(fix.shard);
		cr_expect(fix_body_is(obj, 5, 40000));
	}
	hf_ref_put(&lease->ref);
	cr_expect(fix_body_is(obj, 5, 40000), "until RECALLED");
	fix_recalls(&fix);
	cr_expect_lt(fix.shard->used, 2000);
	fix_close(&fix);
}

Test(cache, c3_keys_with_one_hash_are_told_apart)
{
	struct fix fix;
	static const struct hf_http_req req;
	struct hf_obj_spec spec = { .length = 0, .status = 200 };
	struct hf_key a = { "http://a/1", 10, 0x1234567890abcdef };
	struct hf_key b = { "http://a/2", 10, 0x1234567890abcdef };
	struct hf_key c = { "http://a/", 9, 0x1234567890abcdef };
	struct hf_key *keys[] = { &a, &b, &c };
	struct hf_obj *objs[3];
	enum hf_lookup verdict;

	fix_open(&fix, 4 * FIX_MIB);
	for (int i = 0; i < 3; i++) {
		spec.key = *keys[i];
		objs[i] = hf_shard_obj_new(fix.shard, &spec);
		hf_shard_fill_end(fix.shard, objs[i]);
		hf_shard_publish(fix.shard, objs[i]);
		hf_shard_obj_unref(fix.shard, objs[i]);
	}
#ifndef HF_HOT_ASSERTS /* which notice the made-up hash */
	for (int i = 0; i < 3; i++)
		cr_expect_eq(hf_cache_lookup(fix.cache, keys[i], &req, &verdict), objs[i]);
#else
	(void)req;
	(void)verdict;
#endif
	cr_expect_eq(hf_shard_purge(fix.shard, &b, false), 1);
	cr_expect_eq(fix.shard->objects, 2);
	hf_shard_check(fix.shard);
	fix_close(&fix);
}

Test(cache, c3_what_depends_on_fields_is_not_for_any_request)
{
	struct hf_obj *any;
	char vary[64];
	size_t len = (size_t)vary_block(vary, sizeof(vary), "de");
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	cr_expect_null(fix_get_any(&fix, "k"));
	any = fix_put(&fix, "k", 1, 9);
	cr_expect_eq(fix_get_any(&fix, "k"), any);
	cr_expect_null(fix_get_any(&fix, "kk"));
	(void)fix_put_variant(&fix, "k", 2, 9, vary, len);
	cr_expect_null(fix_get_any(&fix, "k"), "it is newer, and may be the one");
	any = fix_put(&fix, "k", 3, 9);
	cr_expect_eq(fix_get_any(&fix, "k"), any, "it is newer than what depends on them");
	cr_expect_null(fix_get_any(&fix, "none"));
	fix_close(&fix);
}

Test(cache, c3_a_free_word_is_no_object_to_fetch)
{
	struct hf_cache_spot spot;
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	hf_cache_spot_begin(fix.cache, 1, &spot);
	hf_cache_spot_fetch(&spot, 1); /* its tag is 0; sanitizers see when it is followed */
	fix_close(&fix);
}

Test(cache, c3_vary_values_are_told_apart_and_absence_is_named)
{
	struct fix fix;
	enum hf_lookup verdict;
	char vary[64];
	struct hf_obj *de, *fr;

	fix_open(&fix, 4 * FIX_MIB);
	cr_expect_null(get_as(&fix, "k", "de", &verdict));
	cr_expect_eq(verdict, HF_LOOKUP_ABSENT);
	de = fix_put_variant(&fix, "k", 1, 9, vary, (size_t)vary_block(vary, sizeof(vary), "de"));
	fr = fix_put_variant(&fix, "k", 2, 9, vary, (size_t)vary_block(vary, sizeof(vary), "fr"));
	cr_expect_eq(get_as(&fix, "k", "de", &verdict), de);
	cr_expect_eq(get_as(&fix, "k", "fr", &verdict), fr);
	cr_expect_eq(verdict, HF_LOOKUP_FOUND);
	cr_expect_null(get_as(&fix, "k", "it", &verdict));
	cr_expect_eq(verdict, HF_LOOKUP_VARY);
	cr_expect_eq(fix.shard->objects, 2);
	fix_close(&fix);
}

Test(cache, c4_a_lookup_writes_nothing)
{
	struct fix fix;
	struct hf_obj *obj;
	char *before, *after;
	size_t len;

	fix_open(&fix, 2 * FIX_MIB);
	obj = fix_put(&fix, "k", 1, 3000);
	hf_obj_touch(obj);
	len = obj->alloc_len;
	before = malloc(len);
	after = malloc(len);
	memcpy(before, obj, len);
	for (int i = 0; i < 10; i++)
		cr_expect_eq(fix_get(&fix, "k"), obj);
	hf_obj_touch(obj);
	memcpy(after, obj, len);
	cr_expect_arr_eq(before, after, len);
	free(before);
	free(after);
	fix_close(&fix);
}

Test(cache, c5_memory_never_exceeds_the_arena_whatever_is_asked_for)
{
	struct fix fix;
	struct hf_obj *streams[8] = { NULL };
	uint64_t refused = 0;

	fix_open(&fix, 2 * FIX_MIB);
	for (int i = 0; i < 8; i++)
		streams[i] = fix_new(&fix, NULL, NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	for (int i = 0; i < 3000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "http://a/%d", i);
		refused += !fix_put(&fix, key, (uint64_t)i, (size_t)(i * 37 % 30000));
		if (streams[i % 8] && fix_fill(&fix, streams[i % 8], 1, 700) < 700)
			refused++;
		cr_assert_leq(fix.shard->used, fix.shard->budget);
		cr_assert_leq(hf_arena_used(fix.arena), hf_arena_size(fix.arena));
		if (i % 64 == 0) {
			hf_shard_check(fix.shard);
			fix_grace(&fix);
		}
	}
	cr_expect_gt(refused, 0, "the arena is small: something was refused");
	for (int i = 0; i < 8; i++)
		hf_shard_obj_unref(fix.shard, streams[i]);
	fix_close(&fix);
}

Test(cache, c5_eviction_makes_room_for_every_insert_that_waits_its_grace_period)
{
	struct fix fix;

	fix_open(&fix, 2 * FIX_MIB);
	for (int i = 0; i < 2000; i++) {
		char key[32];
		int tries = 0;

		snprintf(key, sizeof(key), "http://a/%d", i);
		while (!fix_put(&fix, key, 1, 20000)) {
			fix_grace(&fix);
			cr_assert_lt(++tries, 20, "insert %d", i);
		}
		cr_expect(fix_get(&fix, key));
	}
	fix_close(&fix);
}

Test(cache, c6_nobody_finds_a_purged_object)
{
	struct fix fix;
	struct hf_key key;
	enum hf_lookup verdict;
	char vary[64];

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	for (int i = 0; i < 5; i++) {
		char value[2] = { (char)('a' + i), 0 };

		fix_put_variant(
			&fix, "k", 1, 100, vary, (size_t)vary_block(vary, sizeof(vary), value));
	}
	fix_put(&fix, "other", 1, 100);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, false), 5);
	hf_shard_check(fix.shard);
	cr_expect_null(get_as(&fix, "k", "a", &verdict));
	cr_expect_eq(verdict, HF_LOOKUP_ABSENT);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, false), 0);
	cr_expect_not_null(fix_get(&fix, "other"));
	fix_grace(&fix);
	cr_expect_eq(fix.shard->objects, 1);
	fix_close(&fix);
}

static void count_variant(void *arg, const struct hf_obj *obj)
{
	*(int *)arg += obj->key_len == 1;
}

Test(cache, of_too_many_variants_the_oldest_gives_way)
{
	struct fix fix;
	struct hf_key key;
	enum hf_lookup verdict;
	char vary[64];
	int count = 0;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	for (int i = 0; i < HF_CACHE_VARIANTS_MAX + 3; i++) {
		char value[2] = { (char)('a' + i), 0 };

		fix_put_variant(
			&fix, "k", 1, 100, vary, (size_t)vary_block(vary, sizeof(vary), value));
		hf_shard_check(fix.shard);
	}
	cr_expect_eq(fix.shard->objects, HF_CACHE_VARIANTS_MAX);
	cr_expect_null(get_as(&fix, "k", "c", &verdict));
	cr_expect_not_null(get_as(&fix, "k", "d", &verdict));
	hf_shard_each_variant(fix.shard, &key, count_variant, &count);
	cr_expect_eq(count, HF_CACHE_VARIANTS_MAX);
	fix_close(&fix);
}

Test(cache, too_little_memory_is_refused_with_a_sentence)
{
	struct hf_cache_cfg cfg = { .shards = 4, .workers = 1, .leases_max = 8 };
	struct hf_cache *cache = NULL;
	struct hf_err err = { "" };

	cr_assert_eq(hf_arena_new(FIX_MIB, false, &err, &cfg.arena), 0);
	cr_expect_lt(hf_cache_new(&cfg, &err, &cache), 0);
	cr_expect_neq(err.text[0], '\0');
	cr_expect_null(cache);
	cr_expect_eq(hf_arena_used(cfg.arena), 0);
	hf_arena_free(cfg.arena);
}

Test(cache, keys_spread_over_the_shards)
{
	struct hf_cache_cfg cfg = { .shards = 3, .workers = 1, .leases_max = 8 };
	struct hf_cache *cache = NULL;
	struct hf_err err = { "" };
	uint32_t counts[3] = { 0 };

	cr_assert_eq(hf_arena_new(4 * FIX_MIB, false, &err, &cfg.arena), 0);
	cr_assert_eq(hf_cache_new(&cfg, &err, &cache), 0, "%s", err.text);
	for (int i = 0; i < 3000; i++) {
		char key[16];
		int len = snprintf(key, sizeof(key), "%d", i);

		counts[hf_cache_shard_index(cache, hf_cache_hash(cache, key, (uint32_t)len))]++;
	}
	for (int i = 0; i < 3; i++)
		cr_expect(counts[i] > 800 && counts[i] < 1200, "%u", counts[i]);
	hf_cache_free(cache);
	hf_arena_free(cfg.arena);
}
