/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who goes when room is needed, how many, and when.
 */
#include "cache_fixture.h"

static uint64_t fill_until_eviction(struct fix *fix, size_t len)
{
	char key[32];
	uint64_t i;

	for (i = 0; fix->shard->returning == 0; i++) {
		snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
		(void)fix_put(fix, key, i, len);
		hf_shard_work(fix->shard, fix->now_us);
	}
	return i;
}

static bool has(struct fix *fix, uint64_t i)
{
	char key[32];

	snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
	return fix_get(fix, key) != NULL;
}

Test(evict, a_reserve_is_kept_free_ahead)
{
	struct fix fix;

	fix_open(&fix, 16 * FIX_MIB);
	fill_until_eviction(&fix, 10000);
	cr_expect_leq(
		fix.shard->used - fix.shard->returning + fix.shard->reserve, fix.shard->budget);
	fix_grace(&fix);
	cr_expect_leq(fix.shard->used + fix.shard->reserve, fix.shard->budget);
	cr_expect_geq(fix.shard->reserve, 256 * FIX_KIB);
	fix_close(&fix);
}

Test(evict, waiting_for_a_grace_period_does_not_empty_the_cache)
{
	struct fix fix;
	uint64_t before;

	fix_open(&fix, 16 * FIX_MIB);
	fill_until_eviction(&fix, 10000);
	before = fix.shard->objects;
	for (int i = 0; i < 1000; i++) {
		hf_shard_work(fix.shard, ++fix.now_us);
		(void)fix_put(&fix, "new", 1, 600000);
	}
	cr_expect_gt(fix.shard->objects, before / 4 * 3, "%lu of %lu left",
		(unsigned long)fix.shard->objects, (unsigned long)before);
	hf_shard_check(fix.shard);
	fix_close(&fix);
}

static struct hf_obj *put(struct fix *fix, uint64_t i, size_t len)
{
	struct hf_obj *obj;
	char key[32];

	snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
	obj = fix_put(fix, key, i, len);
	if (!obj)
		fix_grace(fix);
	hf_shard_work(fix->shard, ++fix->now_us);
	return obj;
}

static bool touch(struct fix *fix, uint64_t i)
{
	struct hf_obj *obj;
	char key[32];

	snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
	obj = fix_get(fix, key);
	if (obj)
		hf_obj_touch(obj);
	return obj != NULL;
}

Test(evict, what_is_asked_for_outlives_what_is_not)
{
	struct fix fix;
	uint64_t n = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (uint64_t i = 0; i < 20; i++)
		(void)put(&fix, i, 10000);
	for (uint64_t i = 20; i < 3000; i++) {
		(void)put(&fix, i, 10000);
		(void)touch(&fix, i % 20);
	}
	for (uint64_t i = 0; i < 20; i++)
		n += has(&fix, i);
	cr_expect_eq(n, 20, "%lu are left", (unsigned long)n);
	cr_expect_lt(fix.shard->objects, 1000);
	fix_close(&fix);
}

Test(evict, of_equally_popular_ones_the_large_go_first)
{
	struct fix fix;
	uint64_t small = 0, large = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (uint64_t i = 0; i < 6000; i++) {
		uint64_t k = (i * 0x9e3779b97f4a7c15) % 401;

		if (!touch(&fix, k))
			(void)put(&fix, k, k % 2 ? 1000 : 100000);
	}
	for (uint64_t k = 0; k < 401; k++)
		*(k % 2 ? &small : &large) += has(&fix, k);
	cr_expect_geq(small, 190, "%lu of 200 small", (unsigned long)small);
	cr_expect_lt(large, 80, "%lu of 201 large", (unsigned long)large);
	fix_close(&fix);
}

Test(evict, a_scan_takes_little_of_what_is_popular)
{
	struct fix fix;
	uint64_t next = 300, n = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (uint64_t round = 0; round < 30; round++) {
		for (uint64_t i = 0; i < 300; i++) {
			if (!touch(&fix, i))
				(void)put(&fix, i, 10000);
			if (i % 3 == 0)
				(void)put(&fix, next++, 10000);
		}
	}
	for (uint64_t i = 0; i < 800; i++)
		(void)put(&fix, next++, 10000);
	for (uint64_t i = 0; i < 300; i++)
		n += has(&fix, i);
	cr_expect_geq(n, 50, "%lu of 300 are left; LRU: none", (unsigned long)n);
	fix_close(&fix);
}

Test(evict, of_a_loop_that_does_not_fit_a_part_stays)
{
	struct fix fix;
	uint64_t hits = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (uint64_t i = 0; i < 20000; i++) {
		bool hit = touch(&fix, i % 1000);

		if (!hit)
			(void)put(&fix, i % 1000, 10000);
		hits += hit && i >= 10000;
	}
	cr_expect_geq(hits, 3000, "%lu of 10000", (unsigned long)hits);
	fix_close(&fix);
}

Test(evict, what_comes_back_after_it_was_evicted_is_known)
{
	struct fix fix;
	struct hf_obj *obj;
	uint64_t i;

	fix_open(&fix, 4 * FIX_MIB);
	for (i = 0; i < 10 || has(&fix, 0); i++)
		(void)put(&fix, i, 10000);
	obj = put(&fix, 0, 10000);
	cr_assert_not_null(obj);
	cr_expect_eq(obj->past.touches, 1);
	cr_expect_gt(obj->past.interval_bin, 0);
	fix_close(&fix);
}

Test(evict, a_replacement_goes_on_with_the_history_of_what_it_replaces)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	obj = put(&fix, 0, 1000);
	cr_expect_eq(obj->past.touches, 0);
	for (uint64_t i = 1; i < 10; i++)
		(void)put(&fix, i, 1000);
	obj = put(&fix, 0, 2000);
	cr_expect_eq(obj->past.touches, 1, "who asked for it anew");
	cr_expect_eq(obj->past.interval_bin, 6, "10 stored between: 8 to 11");
	hf_obj_touch(obj);
	obj = put(&fix, 0, 3000);
	cr_expect_eq(obj->past.touches, 2, "touched or asked for anew: once");
	fix_close(&fix);
}

Test(evict, small_objects_in_every_slab_do_not_keep_large_ones_out)
{
	struct fix fix;
	uint64_t used_min, i, n = 0;

	fix_open(&fix, 16 * FIX_MIB);
	n = fill_until_eviction(&fix, 1500);
	for (i = 0; i < n; i++)
		(void)touch(&fix, i);
	used_min = fix.shard->budget;
	for (i = 0; i < 200; i++) {
		while (!put(&fix, n + i, 200000))
			;
		used_min = hf_min_u64(used_min, fix.shard->used);
	}
	cr_expect_geq(used_min, fix.shard->budget / 10 * 7, "%lu of %lu", (unsigned long)used_min,
		(unsigned long)fix.shard->budget);
	fix_close(&fix);
}

Test(evict, time_may_wrap)
{
	struct fix fix;
	uint64_t n = 0;

	fix_open(&fix, 8 * FIX_MIB);
	fix.shard->serial = UINT32_MAX - 1500;
	for (uint64_t i = 0; i < 3000; i++) {
		(void)put(&fix, i, 10000);
		(void)touch(&fix, i % 20);
	}
	for (uint64_t i = 0; i < 20; i++)
		n += has(&fix, i);
	cr_expect_eq(n, 20, "%lu are left", (unsigned long)n);
	fix_close(&fix);
}

Test(evict, what_is_stale_for_days_goes_though_touched)
{
	struct fix fix;
	struct hf_obj *old;
	uint64_t i;

	fix_open(&fix, 4 * FIX_MIB);
	fix_put(&fix, "fresh", 1, 10000)->life.lifetime_s = 1000000;
	hf_obj_touch(fix_put(&fix, "old", 1, 10000));
	fix.now_us += 200000000000;
	for (i = 0; i < 3000 && (old = fix_get(&fix, "old")) != NULL; i++) {
		hf_obj_touch(old);
		hf_obj_touch(fix_get(&fix, "fresh"));
		(void)put(&fix, i, 10000);
	}
	cr_expect_null(fix_get(&fix, "old"));
	cr_expect_not_null(fix_get(&fix, "fresh"));
	fix_close(&fix);
}

Test(evict, in_two_full_buckets_an_untouched_object_gives_way)
{
	struct fix fix;
	struct hf_obj_spec spec = { .length = 0, .status = 200 };
	struct hf_obj *objs[17];
	char keys[17][8];

	fix_open(&fix, 2 * FIX_MIB);
	for (int i = 0; i < 17; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		spec.key = (struct hf_key){ keys[i], (uint32_t)strlen(keys[i]), 42 };
		objs[i] = hf_shard_obj_new(fix.shard, &spec);
		hf_shard_fill_end(fix.shard, objs[i]);
		hf_shard_publish(fix.shard, objs[i]);
		hf_shard_obj_unref(fix.shard, objs[i]);
		for (int j = 0; j <= i; j++) {
			if (j != 7)
				hf_obj_touch(objs[j]);
		}
		hf_shard_check(fix.shard);
		cr_expect_eq(fix.shard->objects, hf_min_u64((uint64_t)i + 1, 16));
	}
	cr_expect_eq(objs[7]->place, CACHE_RETIRED);
	cr_expect_eq(objs[16]->place, CACHE_LINKED);
	fix_close(&fix);
}

Test(evict, the_table_holds_what_the_memory_does_with_few_collisions)
{
	struct fix fix;
	uint64_t i, found = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (i = 0; i < 5000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
		cr_assert_not_null(fix_put(&fix, key, i, 700));
	}
	for (i = 0; i < 5000; i++)
		found += has(&fix, i);
	cr_expect_eq(found, 5000);
	hf_shard_check(fix.shard);
	fix_close(&fix);
}
