/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Purges: soft ones, and those of many by a walk.
 */
#include <errno.h>

#include "cache_fixture.h"

#define LEN 6000 /* of a body that freshening shares */

static struct hf_obj *put_head(struct fix *fix, const char *key, const char *fields)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s", fields);
	struct hf_obj_spec spec = {
		.key = fix_key(fix, key),
		.head = { head, (size_t)n },
		.length = LEN,
		.born_us = (int64_t)fix->now_us,
		.status = 200,
	};
	struct hf_obj *obj;

	spec.life.lifetime_s = 3600;
	obj = hf_shard_obj_new(fix->shard, &spec);
	cr_assert_not_null(obj);
	cr_assert_eq(fix_fill(fix, obj, 1, LEN), LEN);
	hf_shard_fill_end(fix->shard, obj);
	hf_shard_publish(fix->shard, obj);
	hf_shard_obj_unref(fix->shard, obj);
	return obj;
}

static struct hf_purge_walk walk_of(enum hf_purge kind, const char *text, bool soft)
{
	return (struct hf_purge_walk){ .kind = kind, .soft = soft, .text = { text, strlen(text) } };
}

static uint64_t walk_all(struct fix *fix, enum hf_purge kind, const char *text, bool soft)
{
	struct hf_purge_walk walk = walk_of(kind, text, soft);

	hf_shard_purge_begin(fix->shard, &walk);
	while (!hf_shard_purge_step(fix->shard, &walk))
		fix_check(fix);
	fix_check(fix);
	return walk.count;
}

/* An object with the tag "t" that a walk meets in its first step, or beyond it; and its key. */
static struct hf_obj *put_at(struct fix *fix, bool beyond, char key[32])
{
	static int next;
	uint32_t slots[2];
	uint64_t hash;

	do {
		snprintf(key, 32, "http://at/%d", next++);
		hash = fix_key(fix, key).hash;
		slots[0] = cache_slot(fix->shard, hash, 0);
		slots[1] = cache_slot(fix->shard, hash, CACHE_BUCKET_WORDS);
	} while ((slots[0] >= HF_PURGE_STEP) != beyond || (slots[1] >= HF_PURGE_STEP) != beyond);
	return put_head(fix, key, "Surrogate-Key: t\r\n");
}

/* ---- soft ---- */

Test(purge, soft_marks_every_variant_and_takes_none_away)
{
	struct fix fix;
	struct hf_key key;
	struct hf_obj *obj;
	uint64_t purged = hf_stat_own->stat[HF_STAT_CACHE_PURGED];

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	fix_put_variant(&fix, "k", 1, 10, "a\0-", 4);
	fix_put_variant(&fix, "k", 2, 10, "b\0-", 4);
	obj = fix_put(&fix, "k", 3, 10);
	fix_put(&fix, "other", 4, 10);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, true), 3);
	cr_expect_eq(fix.shard->objects, 4);
	cr_expect_eq(fix_get(&fix, "k"), obj);
	cr_expect(atomic_load(&obj->flags) & HF_OBJ_STALE);
	cr_expect_not(atomic_load(&fix_get(&fix, "other")->flags) & HF_OBJ_STALE);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, true), 3, "again");
	cr_expect_eq(hf_stat_own->stat[HF_STAT_CACHE_PURGED] - purged, 6);
	obj = fix_put(&fix, "k", 3, 10);
	cr_expect_not(atomic_load(&obj->flags) & HF_OBJ_STALE, "what comes later is fresh");
	fix_close(&fix);
}

Test(purge, soft_counts_as_past_the_lifetime_rfc9111_4_2_4_rfc5861)
{
	static const struct hf_http_cc max_stale = { .has_max_stale = true, .max_stale_s = 9 };
	static const struct hf_http_cc max_age = { .has_max_age = true, .max_age_s = 7000 };
	struct fix fix;
	struct hf_key key;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	obj = fix_put(&fix, "k", 3, 10);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us), HF_CACHE_USE_FRESH);
	cr_expect_eq(hf_obj_life_age_s(obj, fix.now_us + 5000000), 5);
	hf_shard_purge(fix.shard, &key, true);
	for (uint64_t age_s = 0; age_s < 3700; age_s += 60)
		cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + age_s * 1000000),
			HF_CACHE_USE_REVALIDATE);
	cr_expect_eq(hf_obj_age_s(obj, fix.now_us + 5000000), 5, "what clients are told");
	cr_expect_eq(hf_obj_life_age_s(obj, fix.now_us), 3600);
	cr_expect_eq(hf_obj_life_age_s(obj, fix.now_us + 5000000), 3605);
	cr_expect_eq(hf_obj_use(obj, &max_stale, fix.now_us), HF_CACHE_USE_STALE);
	cr_expect_eq(hf_obj_use(obj, &max_age, fix.now_us), HF_CACHE_USE_REVALIDATE);
	obj->life.swr_s = 10;
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us), HF_CACHE_USE_STALE_SWR);
	cr_expect(
		hf_cache_stale_is_valid(&obj->life, NULL, hf_obj_life_age_s(obj, fix.now_us), 10));
	obj = fix_renew(&fix, obj);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us), HF_CACHE_USE_FRESH, "validated");
	fix_close(&fix);
}

Test(purge, rfc5861_windows_begin_with_the_soft_purge)
{
	struct fix fix;
	struct hf_key key;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	obj = fix_put(&fix, "k", 3, 10);
	obj->life.swr_s = 10;
	obj->born_us -= 100 * 1000000; /* of 3600 */
	hf_shard_work(fix.shard, fix.now_us);
	hf_shard_purge(fix.shard, &key, true);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 9000000), HF_CACHE_USE_STALE_SWR);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 10000000), HF_CACHE_USE_REVALIDATE);
	cr_expect(!hf_cache_stale_is_valid(
		&obj->life, NULL, hf_obj_life_age_s(obj, fix.now_us + 11000000), 10));
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 3550 * 1000000ULL), HF_CACHE_USE_REVALIDATE,
		"and again when its lifetime would have ended");
	/* another purge does not open them again */
	hf_shard_work(fix.shard, fix.now_us + 20000000);
	hf_shard_purge(fix.shard, &key, true);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 20000000), HF_CACHE_USE_REVALIDATE);
	fix_close(&fix);
}

Test(purge, rfc5861_a_soft_purge_of_what_is_stale_changes_nothing)
{
	struct fix fix;
	struct hf_key key;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	obj = fix_put(&fix, "k", 3, 10);
	obj->life.swr_s = 10;
	obj->born_us -= 3605 * 1000000LL;
	hf_shard_work(fix.shard, fix.now_us);
	hf_shard_purge(fix.shard, &key, true);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 4000000), HF_CACHE_USE_STALE_SWR);
	cr_expect_eq(hf_obj_use(obj, NULL, fix.now_us + 5000000), HF_CACHE_USE_REVALIDATE);
	obj->life.lifetime_s = HF_HTTP_DELTA_MAX;
	obj->born_us = 0;
	cr_expect_gt(hf_obj_life_age_s(obj, UINT64_MAX / 4), HF_HTTP_DELTA_MAX);
	fix_close(&fix);
}

/* ---- tags, prefixes ---- */

Test(purge, tags_are_compared_whole_and_by_field)
{
	static const struct {
		const char *fields, *tag;
		bool tagged, named;
	} rows[] = {
		{ "", "a", false, false },
		{ "X: a\r\nSurrogate-Control: a\r\n", "a", false, false },
		{ "Surrogate-Key: a\r\n", "a", true, true },
		{ "surrogate-KEY:a\r\n", "a", true, true },
		{ "Surrogate-Key: a\r\n", "A", true, false },
		{ "Surrogate-Key: ab abc\r\n", "a", true, false },
		{ "Surrogate-Key: ab abc\r\n", "bc", true, false },
		{ "Surrogate-Key: ab abc\r\n", "ab", true, true },
		{ "Surrogate-Key: ab  abc \t d\t\r\n", "abc", true, true },
		{ "Surrogate-Key: ab  abc \t d\t\r\n", "d", true, true },
		{ "Surrogate-Key: ab abc\r\n", "ab abc", true, false },
		{ "Surrogate-Key: a,b\r\n", "a", true, false },
		{ "Surrogate-Key: a,b\r\n", "a,b", true, true },
		{ "Cache-Tag: a,b\r\n", "a", true, true },
		{ "Cache-Tag: a,b\r\n", "b", true, true },
		{ "Cache-Tag: a,b\r\n", "a,b", true, false },
		{ "Cache-Tag:  a ,\tb c , ,d\r\n", "a", true, true },
		{ "Cache-Tag:  a ,\tb c , ,d\r\n", "b c", true, true },
		{ "Cache-Tag:  a ,\tb c , ,d\r\n", "b", true, false },
		{ "Cache-Tag:  a ,\tb c , ,d\r\n", "d", true, true },
		{ "Cache-Tag:  a ,\tb c , ,d\r\n", "", true, false },
		{ "Cache-Tag:\r\n", "", true, false },
		{ "Cache-Tag:\r\n", "a", true, false },
		{ "X: y\r\nCache-Tag: b\r\nZ: a\r\nCache-Tag: a\r\n", "a", true, true },
		{ "X: y\r\nCache-Tag: b\r\nSurrogate-Key: c a\r\nZ: z\r\n", "a", true, true },
		{ "Cache-Tag: b\r\nZ: a\r\n", "a", true, false },
		{ "Cache-Tags: a\r\n", "a", false, false },
		{ "X-Cache-Tag: a\r\n", "a", false, false },
		{ "Cache-Tag: a", "a", true, true },
		{ "Cache-Tag", "a", false, false },
	};
	struct hf_http_fields fields;
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct hf_purge_walk walk = walk_of(HF_PURGE_TAG, rows[i].tag, false);
		struct hf_obj *obj = put_head(&fix, "k", rows[i].fields);

		cr_expect_eq((atomic_load(&obj->flags) & HF_OBJ_TAGGED) != 0, rows[i].tagged,
			"row %zu", i);
		cr_expect_eq(hf_purge_matches(&walk, obj), rows[i].named, "row %zu", i);
		if (hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &fields))
			cr_expect_eq(hf_purge_fields_have(&fields, walk.text), rows[i].named,
				"row %zu", i);
		cr_expect_eq(walk_all(&fix, HF_PURGE_TAG, rows[i].tag, false), rows[i].named,
			"row %zu", i);
		cr_expect_eq(fix_get(&fix, "k") == NULL, rows[i].named, "row %zu", i);
	}
	fix_close(&fix);
}

Test(purge, a_prefix_is_one_of_the_key)
{
	static const struct {
		const char *prefix;
		uint64_t count;
	} rows[] = { { "http://a/x", 3 }, { "http://a/x/", 2 }, { "http://a/", 4 },
		{ "http://a/x/1/and/more/than/the/key", 0 }, { "http://A/", 0 }, { "", 5 } };
	static const char *const keys[] = { "http://a/x", "http://a/x/1", "http://a/x/2",
		"http://a/y", "http://b/x/1" };
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].prefix);

		for (size_t k = 0; k < HF_ARRAY_LEN(keys); k++)
			fix_put(&fix, keys[k], k, 100);
		cr_expect_eq(walk_all(&fix, HF_PURGE_PREFIX, rows[i].prefix, false), rows[i].count,
			"row %zu", i);
		for (size_t k = 0; k < HF_ARRAY_LEN(keys); k++)
			cr_expect_eq(fix_get(&fix, keys[k]) == NULL,
				strncmp(keys[k], rows[i].prefix, len) == 0, "row %zu key %zu", i,
				k);
	}
	fix_close(&fix);
}

static void collect_tag(void *arg, struct hf_span tag)
{
	char *text = arg;

	(void)sprintf(text + strlen(text), "<%.*s>", (int)tag.len, tag.ptr);
}

Test(purge, each_tag_is_told_in_order_without_empty_ones)
{
	char text[128] = "";
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	hf_obj_each_tag(
		put_head(&fix, "k", "X: y\r\nCache-Tag: b c, ,a,\r\nSurrogate-Key:  d,e  f\r\n"),
		collect_tag, text);
	cr_expect_str_eq(text, "<b c><a><d,e><f>");
	text[0] = '\0';
	hf_obj_each_tag(put_head(&fix, "k", "X: y\r\n"), collect_tag, text);
	cr_expect_str_eq(text, "");
	fix_close(&fix);
}

Test(purge, a_path_is_one_of_every_host)
{
	static const struct {
		const char *path;
		uint64_t count;
	} rows[] = { { "/x", 5 }, { "/x/", 3 }, { "/x/1", 2 }, { "/", 7 }, { "/b/", 0 },
		{ "/x?", 1 }, { "x", 0 }, { "/X", 0 } };
	static const char *const keys[] = { "http://a/x/1", "http://b:81/x/1", "https://a/x/2",
		"http://[::1]/x?/x/1", "http://a/x", "http://a/y/x/1", "http://x/", "k/x/1",
		"/x/1" };
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < HF_ARRAY_LEN(keys); k++)
			fix_put(&fix, keys[k], k, 100);
		cr_expect_eq(walk_all(&fix, HF_PURGE_PATH, rows[i].path, false), rows[i].count,
			"row %zu", i);
	}
	fix_close(&fix);
}

struct listing {
	uint64_t count, stop_after;
};

static bool list_one(void *arg, const struct hf_obj *obj)
{
	struct listing *listing = arg;

	cr_assert(strncmp(obj->key, "http://a/", 9) == 0);
	return ++listing->count % listing->stop_after != 0;
}

Test(purge, a_list_meets_each_object_once_and_goes_on_where_it_stopped)
{
	static const struct hf_purge_walk filter = { .kind = HF_PURGE_PREFIX,
		.text = { "http://a/", 9 } };
	struct fix fix;
	uint64_t here = 0;
	char key[32];

	fix_open(&fix, 16 * FIX_MIB);
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "http://%c/%d", i % 2 ? 'a' : 'b', i);
		fix_put(&fix, key, 1, 100);
	}
	for (int i = 1; i < 2000; i += 2) {
		snprintf(key, sizeof(key), "http://a/%d", i);
		here += fix_get(&fix, key) != NULL;
	}
	for (uint64_t stop_after = 1; stop_after < 5000; stop_after *= 7) {
		struct listing listing = { 0, stop_after };
		uint64_t slot = 0, calls = 1;

		while (!hf_shard_list_step(fix.shard, &filter, &slot, list_one, &listing))
			calls++;
		cr_expect_eq(listing.count, here);
		cr_expect_geq(calls, here / stop_after);
	}
	fix_close(&fix);
}

/* ---- the walk ---- */

Test(purge, a_walk_meets_every_object_in_bounded_steps)
{
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_ALL, "", false);
	uint64_t steps = 0, slots, objects;

	fix_open(&fix, 16 * FIX_MIB);
	slots = (fix.shard->bucket_mask + 1) * CACHE_BUCKET_WORDS;
	cr_assert_gt(slots, 2 * HF_PURGE_STEP);
	for (int i = 0; i < 5000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "http://a/%d", i);
		fix_put(&fix, key, 1, 200);
	}
	objects = fix.shard->objects;
	hf_shard_purge_begin(fix.shard, &walk);
	do {
		steps++;
	} while (!hf_shard_purge_step(fix.shard, &walk));
	cr_expect_eq(steps, (slots + HF_PURGE_STEP - 1) / HF_PURGE_STEP);
	cr_expect_eq(walk.count, objects);
	cr_expect_eq(fix.shard->objects, 0);
	cr_expect(hf_list_empty(&fix.shard->walks));
	fix_check(&fix);
	fix_close(&fix);
}

Test(purge, a_soft_walk_marks_and_a_hard_one_removes)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	put_head(&fix, "a", "Cache-Tag: t\r\n");
	put_head(&fix, "b", "Cache-Tag: u\r\n");
	cr_expect_eq(walk_all(&fix, HF_PURGE_TAG, "t", true), 1);
	obj = fix_get(&fix, "a");
	cr_assert_not_null(obj);
	cr_expect_eq(atomic_load(&obj->flags), HF_OBJ_TAGGED | HF_OBJ_STALE);
	cr_expect_eq(atomic_load(&fix_get(&fix, "b")->flags), HF_OBJ_TAGGED);
	cr_expect_eq(walk_all(&fix, HF_PURGE_TAG, "t", false), 1);
	cr_expect_null(fix_get(&fix, "a"));
	cr_expect_not_null(fix_get(&fix, "b"));
	fix_grace(&fix);
	cr_expect_eq(fix.shard->objects, 1);
	fix_close(&fix);
}

Test(purge, what_is_published_after_the_walk_began_stays)
{
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_TAG, "t", false);
	char replaced[32], met[32], fresh[32];

	fix_open(&fix, 16 * FIX_MIB);
	put_at(&fix, true, replaced);
	put_at(&fix, false, met);
	hf_shard_purge_begin(fix.shard, &walk);
	put_head(&fix, replaced, "Cache-Tag: t\r\n"); /* where the walk has not been */
	put_at(&fix, true, fresh);
	cr_expect_not(hf_shard_purge_step(fix.shard, &walk));
	cr_expect_null(fix_get(&fix, met));
	put_head(&fix, met, "Cache-Tag: t\r\n"); /* where it has been */
	while (!hf_shard_purge_step(fix.shard, &walk))
		fix_check(&fix);
	cr_expect_eq(walk.count, 1);
	cr_expect_not_null(fix_get(&fix, replaced));
	cr_expect_not_null(fix_get(&fix, fresh));
	cr_expect_not_null(fix_get(&fix, met));
	fix_close(&fix);
}

Test(purge, what_leaves_while_the_walk_is_under_way_is_no_matter)
{
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_ALL, "", false);
	char evicted[32], purged[32], kept[32];
	struct hf_key key;
	struct hf_lease *lease;
	struct hf_obj *obj;

	fix_open(&fix, 16 * FIX_MIB);
	obj = put_at(&fix, true, evicted);
	put_at(&fix, true, purged);
	lease = hf_reader_lease(hf_cache_reader(fix.cache, 0), put_at(&fix, true, kept));
	hf_shard_purge_begin(fix.shard, &walk);
	cr_expect_not(hf_shard_purge_step(fix.shard, &walk));
	cache_unlink(fix.shard, obj);
	key = fix_key(&fix, purged);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, false), 1);
	fix_grace(&fix);
	while (!hf_shard_purge_step(fix.shard, &walk))
		fix_grace(&fix);
	cr_expect_eq(walk.count, 1);
	cr_expect_eq(fix.shard->objects, 0);
	cr_expect(fix_body_is(lease->obj, 1, LEN), "leased");
	hf_ref_put(&lease->ref);
	fix_grace(&fix);
	fix_recalls(&fix);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(purge, two_walks_at_once)
{
	struct fix fix;
	struct hf_purge_walk a = walk_of(HF_PURGE_PREFIX, "http://at/", false);
	struct hf_purge_walk b = walk_of(HF_PURGE_TAG, "t", true);
	char first[32], second[32];
	bool a_done = false, b_done = false;

	fix_open(&fix, 16 * FIX_MIB);
	put_at(&fix, true, first);
	hf_shard_purge_begin(fix.shard, &a);
	put_at(&fix, true, second);
	hf_shard_purge_begin(fix.shard, &b);
	while (!a_done || !b_done) {
		if (!b_done)
			b_done = hf_shard_purge_step(fix.shard, &b);
		if (!a_done)
			a_done = hf_shard_purge_step(fix.shard, &a);
	}
	cr_expect_eq(a.count, 1);
	cr_expect_eq(b.count, 2);
	cr_expect_null(fix_get(&fix, first));
	cr_assert_not_null(fix_get(&fix, second));
	cr_expect(atomic_load(&fix_get(&fix, second)->flags) & HF_OBJ_STALE);
	fix_close(&fix);
}

Test(purge, the_owner_finds_nothing_that_a_walk_under_way_is_to_take)
{
	static const struct hf_http_req req;
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_TAG, "t", false);
	struct hf_purge_walk soft = walk_of(HF_PURGE_ALL, "", true);
	char text[32], other_text[32];
	struct hf_key key, other;
	struct hf_obj *obj;

	fix_open(&fix, 16 * FIX_MIB);
	obj = put_at(&fix, true, text);
	key = fix_key(&fix, text);
	put_at(&fix, true, other_text);
	put_head(&fix, other_text, "X: y\r\n");
	other = fix_key(&fix, other_text);
	hf_shard_purge_begin(fix.shard, &soft);
	cr_expect_eq(hf_shard_lookup(fix.shard, &key, &req), obj);
	hf_shard_purge_begin(fix.shard, &walk);
	cr_expect_null(hf_shard_lookup(fix.shard, &key, &req));
	cr_expect_eq(fix_get(&fix, text), obj, "workers do until the walk meets it");
	cr_expect_not_null(hf_shard_lookup(fix.shard, &other, &req));
	obj = put_head(&fix, text, "Surrogate-Key: t\r\n");
	cr_expect_eq(hf_shard_lookup(fix.shard, &key, &req), obj, "published later");
	while (!hf_shard_purge_step(fix.shard, &walk))
		;
	cr_expect_eq(hf_shard_lookup(fix.shard, &key, &req), obj);
	fix_close(&fix);
}

/* ---- purges and freshening ---- */

enum where { IN_TABLE, MET, REPLACED, EVICTED };

/* Freshens an object that a hard walk under way names, and looks what becomes of it. */
static void freshen_named(enum where where)
{
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_TAG, "t", false);
	char key[32];
	struct hf_obj *old, *obj, *there;
	bool done = false;

	fix_open(&fix, 16 * FIX_MIB);
	old = put_at(&fix, where != MET, key);
	hf_shard_obj_ref(fix.shard, old);
	hf_shard_purge_begin(fix.shard, &walk);
	cr_expect_not(hf_shard_purge_step(fix.shard, &walk));
	there = where == IN_TABLE ? old : NULL;
	if (where == REPLACED)
		there = put_head(&fix, key, "X: y\r\n");
	if (where == EVICTED)
		cache_unlink(fix.shard, old);
	while (where != IN_TABLE && !done)
		done = hf_shard_purge_step(fix.shard, &walk);
	obj = fix_freshen(&fix, old, "X: y\r\n"); /* without the tag */
	cr_expect(fix_body_is(obj, 1, LEN), "for who waits for it");
	hf_shard_publish(fix.shard, obj);
	fix_check(&fix);
	cr_expect_eq(obj->place, CACHE_LOOSE);
	cr_expect_eq(fix_get(&fix, key), there, "%d", where);
	fix_renew(&fix, obj); /* nor what comes of that */
	cr_expect_eq(fix_get(&fix, key), there, "%d", where);
	while (!done)
		done = hf_shard_purge_step(fix.shard, &walk);
	cr_expect_eq(fix_get(&fix, key), where == REPLACED ? there : NULL);
	hf_shard_obj_unref(fix.shard, old);
	hf_shard_obj_unref(fix.shard, obj);
	fix_grace(&fix);
	cr_expect_eq(fix.shard->used, where == REPLACED ? there->cost : 0);
	fix_close(&fix);
}

Test(purge, what_is_freshened_from_what_is_to_go_is_not_published)
{
	for (enum where where = IN_TABLE; where <= EVICTED; where++)
		freshen_named(where);
}

Test(purge, what_is_freshened_from_a_key_that_was_purged_is_not_published)
{
	struct fix fix;
	struct hf_key key;
	struct hf_obj *old;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	old = fix_put(&fix, "k", 1, LEN);
	hf_shard_obj_ref(fix.shard, old);
	hf_shard_purge(fix.shard, &key, false);
	fix_renew(&fix, old);
	cr_expect_null(fix_get(&fix, "k"));
	cr_expect_eq(fix.shard->objects, 0);
	hf_shard_obj_unref(fix.shard, old);
	fix_grace(&fix);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(purge, what_is_freshened_while_a_walk_names_something_else_or_is_soft_stays)
{
	struct fix fix;
	struct hf_purge_walk other = walk_of(HF_PURGE_TAG, "u", false);
	struct hf_purge_walk soft = walk_of(HF_PURGE_ALL, "", true);
	char key[32];
	struct hf_obj *obj;

	fix_open(&fix, 16 * FIX_MIB);
	obj = put_at(&fix, true, key);
	hf_shard_purge_begin(fix.shard, &other);
	hf_shard_purge_begin(fix.shard, &soft);
	obj = fix_renew(&fix, obj);
	while (!hf_shard_purge_step(fix.shard, &other))
		;
	while (!hf_shard_purge_step(fix.shard, &soft))
		;
	cr_expect_eq(fix_get(&fix, key), obj);
	cr_expect_not(atomic_load(&obj->flags) & HF_OBJ_STALE);
	fix_close(&fix);
}

Test(purge, what_gets_the_tag_while_a_walk_is_under_way_stays)
{
	struct fix fix;
	struct hf_purge_walk walk = walk_of(HF_PURGE_TAG, "t", false);
	struct hf_obj *old, *first, *second;

	fix_open(&fix, 16 * FIX_MIB);
	old = put_head(&fix, "k", "Cache-Tag: u\r\n");
	hf_shard_purge_begin(fix.shard, &walk);
	first = fix_freshen(&fix, old, "Cache-Tag: t\r\n");
	second = fix_freshen(&fix, first, "Cache-Tag: t\r\n");
	hf_shard_publish(fix.shard, second);
	while (!hf_shard_purge_step(fix.shard, &walk))
		;
	cr_expect_eq(fix_get(&fix, "k"), second);
	hf_shard_obj_unref(fix.shard, first);
	hf_shard_obj_unref(fix.shard, second);
	fix_close(&fix);
}

/* ---- what a purge of many gives back ---- */

Test(purge, memory_of_very_many_comes_back_in_bounded_turns)
{
	struct fix fix;
	uint64_t before, turns = 0;

	fix_open(&fix, 32 * FIX_MIB);
	for (int i = 0; i < 12000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "http://a/%d", i);
		fix_put(&fix, key, 1, 100);
	}
	before = walk_all(&fix, HF_PURGE_ALL, "", false);
	cr_assert_gt(before, 9000);
	cr_expect_not(hf_shard_has_work(fix.shard));
	(void)hf_cache_reclaim_step(fix.cache);
	while (hf_shard_has_work(fix.shard)) {
		cr_assert_lt(turns++, 100);
		hf_shard_work(fix.shard, ++fix.now_us);
		fix_check(&fix);
	}
	cr_expect_eq(turns, (before + CACHE_GRACED_MAX - 1) / CACHE_GRACED_MAX);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(cache_purge, what_is_retired_waits_until_the_owner_took_what_was_before)
{
	struct fix fix;

	fix_open(&fix, 32 * FIX_MIB);
	cr_expect_not(hf_cache_reclaim_step(fix.cache));
	fix_put(&fix, "http://a/1", 1, 100);
	(void)walk_all(&fix, HF_PURGE_ALL, "", false);
	cr_expect(hf_cache_reclaim_step(fix.cache));
	fix_put(&fix, "http://a/2", 1, 100);
	(void)walk_all(&fix, HF_PURGE_ALL, "", false);
	cr_expect(hf_cache_reclaim_step(fix.cache), "not nothing");
	cr_expect(fix.shard->retired, "but not yet");
	hf_shard_work(fix.shard, ++fix.now_us);
	cr_expect_gt(fix.shard->used, 0);
	cr_expect(hf_cache_reclaim_step(fix.cache));
	hf_shard_work(fix.shard, ++fix.now_us);
	cr_expect_eq(fix.shard->used, 0);
	cr_expect_not(hf_cache_reclaim_step(fix.cache));
	fix_close(&fix);
}

/* ---- names ---- */

Test(cache_purge, a_URL_is_named_as_keys_spell_it)
{
	static const char *const bad[] = { "", "/a", "ftp://h/", "https://h/", "http://",
		"http:///a", "http://h:x/" };
	char buf[HF_PURGE_TEXT_MAX];

	cr_assert_eq(hf_purge_url("HTTP://H:80/a/../%62?Q", buf, sizeof(buf), NULL), 12);
	cr_expect(memcmp(buf, "http://h/b?Q", 12) == 0);
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		cr_expect_eq(hf_purge_url(bad[i], buf, sizeof(buf), NULL), -EINVAL, "%s", bad[i]);
}

Test(cache_purge, a_prefix_has_a_whole_host_or_is_a_path_of_any)
{
	static const struct {
		const char *prefix;
		enum hf_purge kind;
		const char *text;
	} good[] = {
		{ "http://h", HF_PURGE_PREFIX, "http://h/" },
		{ "http://H:80/a/../im%67", HF_PURGE_PREFIX, "http://h/img" },
		{ "/img/", HF_PURGE_PATH, "/img/" },
		{ "/a/.", HF_PURGE_PATH, "/a/." },
		{ "/", HF_PURGE_PATH, "/" },
	};
	struct hf_purge_walk walk = { 0 };
	char buf[HF_PURGE_TEXT_MAX];

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		cr_assert_eq(hf_purge_prefix(good[i].prefix, buf, sizeof(buf), &walk, NULL), 0);
		cr_expect_eq(walk.kind, good[i].kind, "%s", good[i].prefix);
		cr_expect(hf_span_eq(walk.text,
				  (struct hf_span){ good[i].text, strlen(good[i].text) }),
			"%s", good[i].prefix);
	}
	cr_expect_eq(hf_purge_prefix("img", buf, sizeof(buf), &walk, NULL), -EINVAL);
	cr_expect_eq(hf_purge_prefix("", buf, sizeof(buf), &walk, NULL), -EINVAL);
}

Test(cache_purge, a_tag_is_what_a_field_can_hold)
{
	char tag[HF_PURGE_TAG_MAX + 2];
	struct hf_purge_walk walk = { 0 };

	memset(tag, 't', sizeof(tag));
	tag[HF_PURGE_TAG_MAX + 1] = '\0';
	cr_expect_eq(hf_purge_tag(tag, &walk, NULL), -EINVAL);
	tag[HF_PURGE_TAG_MAX] = '\0';
	cr_expect_eq(hf_purge_tag(tag, &walk, NULL), 0);
	cr_expect(walk.kind == HF_PURGE_TAG && walk.text.len == HF_PURGE_TAG_MAX);
	cr_expect_eq(hf_purge_tag("", &walk, NULL), -EINVAL);
	cr_expect_eq(hf_purge_tag(" t", &walk, NULL), -EINVAL);
	cr_expect_eq(hf_purge_tag("t ", &walk, NULL), -EINVAL);
	cr_expect_eq(hf_purge_tag("a\tb", &walk, NULL), -EINVAL);
	cr_expect_eq(hf_purge_tag("a b", &walk, NULL), 0);
}
