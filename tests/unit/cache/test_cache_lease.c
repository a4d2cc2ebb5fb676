/* SPDX-License-Identifier: BSD-3-Clause
 *
 * O1 and O5 of hf_object.h: leases, recalls, and the order in which they may meet.
 */
#include "cache_fixture.h"

#include <signal.h>

static void purge(struct fix *fix, const char *text)
{
	struct hf_key key = fix_key(fix, text);

	hf_shard_purge(fix->shard, &key, false);
}

Test(lease, o1_a_borrowed_object_can_be_leased_in_the_same_turn)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_lease *a, *b;
	struct hf_reader *reader;

	fix_open(&fix, 2 * FIX_MIB);
	reader = hf_cache_reader(fix.cache, 1);
	fix_put(&fix, "k", 1, 100);
	obj = fix_get(&fix, "k");
	a = hf_reader_lease(reader, obj);
	b = hf_reader_lease(reader, obj);
	cr_expect_eq(a, b, "one a worker and object");
	cr_expect_eq(reader->leases.used, 1);
	cr_expect_eq(atomic_load(&obj->holders), 1U << 1);
	hf_ref_put(&a->ref);
	cr_expect_eq(reader->leases.used, 1);
	hf_ref_put(&b->ref);
	cr_expect_eq(reader->leases.used, 0);
	fix_close(&fix);
}

Test(lease, o5_leased_by_several_workers_goes_with_the_last)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_lease *leases[4];

	fix_open(&fix, 2 * FIX_MIB);
	obj = fix_put(&fix, "k", 1, 30000);
	for (uint32_t i = 0; i < 4; i++)
		leases[i] = hf_reader_lease(hf_cache_reader(fix.cache, i), fix_get(&fix, "k"));
	fix_put(&fix, "k", 2, 10);
	cr_expect_eq(fix_recalls(&fix), 0, "not before the grace period");
	fix_grace(&fix);
	cr_expect_eq(fix_recalls(&fix), 4);
	hf_shard_check(fix.shard);
	for (uint32_t i = 0; i < 4; i++) {
		cr_expect_gt(fix.shard->used, 30000);
		cr_expect(fix_body_is(obj, 1, 30000));
		hf_ref_put(&leases[3 - i]->ref);
		fix_recalls(&fix);
		hf_shard_check(fix.shard);
	}
	cr_expect_lt(fix.shard->used, 1000);
	fix_close(&fix);
}

Test(lease, o5_a_worker_without_lease_answers_at_once)
{
	struct fix fix;
	struct hf_lease *lease;
	struct hf_obj *obj;
	uint32_t worker;

	fix_open(&fix, 2 * FIX_MIB);
	fix_put(&fix, "k", 1, 30000);
	lease = hf_reader_lease(hf_cache_reader(fix.cache, 3), fix_get(&fix, "k"));
	hf_ref_put(&lease->ref); /* `holders` still says that it may have one */
	purge(&fix, "k");
	fix_grace(&fix);
	cr_assert(hf_shard_recall_next(fix.shard, &obj, &worker));
	cr_expect_eq(worker, 3);
	cr_expect(hf_reader_recall(hf_cache_reader(fix.cache, 3), obj));
	hf_shard_check(fix.shard);
	hf_shard_recalled(fix.shard, obj, 3);
	cr_expect_eq(fix.shard->used, 0);
	cr_expect_not(hf_shard_recall_next(fix.shard, &obj, &worker));
	fix_close(&fix);
}

Test(lease, taken_again_in_the_turn_in_which_it_ended)
{
	struct fix fix;
	struct hf_reader *reader;
	struct hf_lease *lease;
	struct hf_obj *obj;

	fix_open_with(&fix, 2 * FIX_MIB, 1, 1);
	reader = hf_cache_reader(fix.cache, 0);
	fix_put(&fix, "k", 1, 100);
	obj = fix_get(&fix, "k");
	for (int i = 0; i < 100; i++) {
		lease = hf_reader_lease(reader, obj);
		cr_assert_not_null(lease);
		hf_ref_put(&lease->ref);
	}
	lease = hf_reader_lease(reader, obj);
	purge(&fix, "k");
	hf_ref_put(&lease->ref);
	lease = hf_reader_lease(reader, obj); /* still borrowed: no quiescent state since */
	cr_assert_not_null(lease);
	fix_grace(&fix);
	cr_expect_eq(fix_recalls(&fix), 1);
	cr_expect_gt(fix.shard->used, 0);
	hf_ref_put(&lease->ref);
	fix_recalls(&fix);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(lease, taken_after_the_recall_is_a_bug, .signal = SIGABRT)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 2 * FIX_MIB);
	obj = fix_put(&fix, "k", 1, 100);
	cr_assert_not_null(hf_reader_lease(hf_cache_reader(fix.cache, 0), obj));
	purge(&fix, "k");
	fix_grace(&fix);
	fix_recalls(&fix);
	(void)hf_reader_lease(hf_cache_reader(fix.cache, 0), obj);
}

Test(lease, left_at_the_end_is_a_bug, .signal = SIGABRT)
{
	struct fix fix;

	fix_open(&fix, 2 * FIX_MIB);
	fix_put(&fix, "k", 1, 100);
	cr_assert_not_null(hf_reader_lease(hf_cache_reader(fix.cache, 0), fix_get(&fix, "k")));
	hf_cache_free(fix.cache);
}

Test(lease, a_full_table_refuses_new_objects_but_not_known_ones)
{
	struct fix fix;
	struct hf_reader *reader;
	struct hf_lease *leases[4];
	char key[8];

	fix_open_with(&fix, 2 * FIX_MIB, 2, 4);
	reader = hf_cache_reader(fix.cache, 0);
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%d", i);
		fix_put(&fix, key, 1, 100);
		if (i < 4)
			leases[i] = hf_reader_lease(reader, fix_get(&fix, key));
	}
	cr_expect_null(hf_reader_lease(reader, fix_get(&fix, "4")));
	cr_expect_eq(atomic_load(&fix_get(&fix, "4")->holders), 0);
	cr_expect_eq(hf_reader_lease(reader, fix_get(&fix, "2")), leases[2]);
	hf_ref_put(&leases[2]->ref);
	hf_ref_put(&leases[2]->ref);
	leases[2] = hf_reader_lease(reader, fix_get(&fix, "4"));
	cr_assert_not_null(leases[2]);
	for (int i = 0; i < 4; i++)
		hf_ref_put(&leases[i]->ref);
	fix_close(&fix);
}

Test(lease, no_more_recalls_are_under_way_than_a_ring_holds)
{
	struct fix fix;
	uint32_t total = HF_CACHE_RECALLS_MAX + 200, posted = 0, worker;
	struct hf_obj **objs = calloc(total, sizeof(*objs)), *obj;
	struct hf_obj **out = calloc(total, sizeof(*out));
	char key[16];

	fix_open_with(&fix, 16 * FIX_MIB, 2, total);
	for (uint32_t i = 0; i < total; i++) {
		struct hf_lease *lease;

		snprintf(key, sizeof(key), "%u", i);
		objs[i] = fix_put(&fix, key, 1, 100);
		lease = hf_reader_lease(hf_cache_reader(fix.cache, 0), objs[i]);
		hf_ref_put(&lease->ref);
	}
	for (uint32_t i = 0; i < total; i++) {
		snprintf(key, sizeof(key), "%u", i);
		purge(&fix, key);
	}
	fix_grace(&fix);
	while (hf_shard_recall_next(fix.shard, &obj, &worker))
		out[posted++] = obj;
	cr_expect_eq(posted, HF_CACHE_RECALLS_MAX);
	hf_shard_check(fix.shard);
	cr_expect(hf_reader_recall(hf_cache_reader(fix.cache, 0), out[0]));
	hf_shard_recalled(fix.shard, out[0], 0);
	cr_expect(hf_shard_recall_next(fix.shard, &out[0], &worker));
	cr_expect_not(hf_shard_recall_next(fix.shard, &obj, &worker));
	for (uint32_t i = 0; i < posted; i++)
		hf_shard_recalled(fix.shard, out[i], 0);
	cr_expect_eq(fix_recalls(&fix), 199);
	cr_expect_eq(fix.shard->used, 0);
	free(objs);
	free(out);
	fix_close(&fix);
}

Test(lease, a_worker_that_is_full_does_not_hold_up_the_others)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_lease *lease;
	uint32_t worker;

	fix_open(&fix, 2 * FIX_MIB);
	for (uint32_t i = 0; i < 2; i++) {
		const char *key = i ? "b" : "a";

		obj = fix_put(&fix, key, 1, 100);
		lease = hf_reader_lease(hf_cache_reader(fix.cache, i), obj);
		hf_ref_put(&lease->ref);
		purge(&fix, key);
	}
	fix.shard->under_way[0] = HF_CACHE_RECALLS_MAX;
	fix_grace(&fix);
	cr_expect(hf_shard_recall_next(fix.shard, &obj, &worker));
	cr_expect_eq(worker, 1);
	hf_shard_recalled(fix.shard, obj, 1);
	cr_expect_not(hf_shard_recall_next(fix.shard, &obj, &worker));
	fix.shard->under_way[0] = 0;
	cr_expect_eq(fix_recalls(&fix), 1);
	fix_close(&fix);
}

Test(lease, a_slow_client_s_object_is_not_counted_as_coming_back)
{
	struct fix fix;
	struct hf_lease *lease;

	fix_open(&fix, 4 * FIX_MIB);
	fix_put(&fix, "k", 1, 500000);
	lease = hf_reader_lease(hf_cache_reader(fix.cache, 0), fix_get(&fix, "k"));
	purge(&fix, "k");
	fix_grace(&fix);
	fix_recalls(&fix);
	cr_expect_gt(fix.shard->returning, 500000);
	hf_shard_check(fix.shard);
	fix.now_us += CACHE_PIN_US;
	fix_grace(&fix);
	cr_expect_eq(fix.shard->returning, 0);
	hf_shard_check(fix.shard);
	hf_ref_put(&lease->ref);
	fix_recalls(&fix);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

/* ---- what readers keep (hf_cache_is_short) ---- */

/* An object that takes `part` eighths of the shard's memory. */
static size_t eighths(const struct fix *fix, uint64_t part)
{
	return (size_t)(fix->shard->budget / 8 * part);
}

Test(lease, recalled_leases_make_it_short_until_a_quarter_is_free)
{
	struct hf_lease *leases[8];
	struct fix fix;
	char key[8];

	fix_open(&fix, 16 * FIX_MIB);
	for (uint32_t i = 0; i < 8; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		/* seven have more than seven eighths, six less than six, and the last is small */
		cr_assert_not_null(fix_put(&fix, key, i, i < 7 ? eighths(&fix, 1) : 1000));
		leases[i] = hf_reader_lease(hf_cache_reader(fix.cache, 0), fix_get(&fix, key));
	}
	for (uint32_t i = 0; i < 8; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		cr_expect_not(hf_lease_is_recalled(&leases[i]->ref));
		purge(&fix, key);
	}
	fix_grace(&fix);
	fix_recalls(&fix);
	cr_expect(hf_lease_is_recalled(&leases[0]->ref));
	cr_expect_not(hf_cache_is_short(fix.cache), "they may come back at once");
	fix.now_us += CACHE_PIN_US;
	fix_grace(&fix);
	fix_check(&fix);
	cr_expect(hf_cache_is_short(fix.cache));
	for (uint32_t i = 8; i-- > 0;) {
		hf_ref_put(&leases[i]->ref);
		fix_recalls(&fix);
		fix_grace(&fix);
		fix_check(&fix);
		cr_expect_eq(hf_cache_is_short(fix.cache), i > 5, "%u are left", i);
	}
	fix_close(&fix);
}

Test(lease, what_exchanges_keep_of_what_was_evicted_counts_and_what_is_stored_does_not)
{
	struct hf_obj *obj;
	struct fix fix;

	fix_open(&fix, 16 * FIX_MIB);
	obj = fix_put(&fix, "k", 1, eighths(&fix, 7) + 1);
	cr_assert_not_null(obj);
	hf_shard_obj_ref(fix.shard, obj); /* an exchange's */
	fix_grace(&fix);
	cr_expect_not(hf_cache_is_short(fix.cache), "it can be evicted");
	purge(&fix, "k");
	fix_grace(&fix);
	fix_check(&fix);
	cr_expect(hf_cache_is_short(fix.cache));
	hf_shard_obj_unref(fix.shard, obj);
	fix_grace(&fix);
	cr_expect_not(hf_cache_is_short(fix.cache));
	fix_close(&fix);
}

Test(lease, streams_count_and_so_does_what_becomes_one)
{
	struct hf_obj *stream, *filling;
	struct fix fix;

	fix_open(&fix, 16 * FIX_MIB);
	stream = fix_new(&fix, NULL, NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	filling = fix_new(&fix, "k", NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	cr_assert_eq(fix_fill(&fix, stream, 1, eighths(&fix, 4)), eighths(&fix, 4));
	cr_assert_eq(fix_fill(&fix, filling, 2, eighths(&fix, 3)), eighths(&fix, 3));
	fix_grace(&fix);
	fix_check(&fix);
	cr_expect_not(hf_cache_is_short(fix.cache));
	hf_shard_to_stream(fix.shard, filling);
	fix_grace(&fix);
	fix_check(&fix);
	cr_expect(hf_cache_is_short(fix.cache));
	hf_shard_trim(fix.shard, filling, eighths(&fix, 3));
	fix_grace(&fix);
	fix_check(&fix);
	cr_expect_not(hf_cache_is_short(fix.cache));
	hf_shard_fill_fail(fix.shard, stream);
	hf_shard_fill_fail(fix.shard, filling);
	hf_shard_obj_unref(fix.shard, stream);
	hf_shard_obj_unref(fix.shard, filling);
	fix_close(&fix);
}
