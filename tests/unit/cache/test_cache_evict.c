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

Test(evict, sieve_spares_what_was_touched_once)
{
	struct fix fix;
	uint64_t i = 0, n;

	fix_open(&fix, 8 * FIX_MIB);
	for (; i < 20; i++) {
		char key[32];

		snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
		hf_obj_touch(fix_put(&fix, key, i, 10000));
	}
	n = 0;
	while (fix.shard->returning == 0) {
		char key[32];

		snprintf(key, sizeof(key), "k%lu", (unsigned long)i++);
		(void)fix_put(&fix, key, i, 10000);
		hf_shard_work(fix.shard, fix.now_us);
	}
	for (uint64_t j = 0; j < 20; j++)
		n += has(&fix, j);
	cr_expect_eq(n, 20, "%lu of the touched are left", (unsigned long)n);
	cr_expect_not(has(&fix, 20), "the oldest untouched went");
	cr_expect(has(&fix, i - 1), "the newest stays");
	hf_shard_check(fix.shard);
	fix_close(&fix);
}

Test(evict, when_all_are_touched_the_oldest_goes)
{
	struct fix fix;
	uint64_t i = 0;

	fix_open(&fix, 4 * FIX_MIB);
	while (fix.shard->returning == 0) {
		char key[32];
		struct hf_obj *obj;

		snprintf(key, sizeof(key), "k%lu", (unsigned long)i++);
		obj = fix_put(&fix, key, i, 10000);
		if (obj)
			hf_obj_touch(obj);
		hf_shard_work(fix.shard, fix.now_us);
	}
	cr_expect_not(has(&fix, 0));
	hf_shard_check(fix.shard);
	fix_close(&fix);
}

Test(evict, what_is_stale_for_days_goes_though_touched)
{
	struct fix fix;
	uint64_t i;

	fix_open(&fix, 4 * FIX_MIB);
	fix_put(&fix, "fresh", 1, 10000)->life.lifetime_s = 1000000;
	hf_obj_touch(fix_put(&fix, "old", 1, 10000));
	fix.now_us += 200000000000;
	for (i = 0; fix.shard->returning == 0; i++) {
		char key[32];

		snprintf(key, sizeof(key), "k%lu", (unsigned long)i);
		hf_obj_touch(fix_put(&fix, key, i, 10000));
		hf_obj_touch(fix_get(&fix, "fresh"));
		hf_obj_touch(fix_get(&fix, "old"));
		hf_shard_work(fix.shard, fix.now_us);
	}
	cr_expect_null(fix_get(&fix, "old"));
	cr_expect_not_null(fix_get(&fix, "fresh"));
	fix_close(&fix);
}

Test(evict, in_two_full_buckets_an_untouched_object_gives_way)
{
	struct fix fix;
	struct hf_obj_spec spec = { .length = 0, .status = 200 };
	struct hf_obj *objs[20];
	char keys[20][8];

	fix_open(&fix, 2 * FIX_MIB);
	for (int i = 0; i < 20; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		spec.key = (struct hf_key){ keys[i], (uint32_t)strlen(keys[i]), 42 };
		objs[i] = hf_shard_obj_new(fix.shard, &spec);
		hf_shard_fill_end(fix.shard, objs[i]);
		hf_shard_publish(fix.shard, objs[i]);
		hf_shard_obj_unref(fix.shard, objs[i]);
		if (i != 7)
			hf_obj_touch(objs[i]);
		hf_shard_check(fix.shard);
		if (i < 16)
			cr_expect_eq(fix.shard->objects, (uint64_t)i + 1);
		else
			cr_expect_eq(fix.shard->objects, 16);
		if (i == 16)
			cr_expect_eq(objs[7]->place, CACHE_RETIRED);
	}
	cr_expect_eq(objs[0]->place, CACHE_RETIRED, "all touched: the oldest");
	cr_expect_eq(objs[3]->place, CACHE_LINKED);
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
