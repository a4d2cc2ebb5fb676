/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Freshening (RFC 9111 §4.3.4) and O7 of hf_object.h: who has the body, who counts it, who keeps it.
 */
#include "cache_fixture.h"

#define LARGE 50000

static struct hf_lease *lease(struct fix *fix, uint32_t worker, struct hf_obj *obj)
{
	struct hf_lease *taken = hf_reader_lease(hf_cache_reader(fix->cache, worker), obj);

	cr_assert_not_null(taken);
	return taken;
}

/* Grace periods and recalls until nothing moves. */
static void settle(struct fix *fix)
{
	for (int i = 0; i < 3; i++) {
		fix_grace(fix);
		fix_recalls(fix);
	}
	fix_check(fix);
}

static bool head_is(const struct hf_obj *obj, const char *fields)
{
	char head[256];
	int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s", fields);

	return obj->head_len == (uint32_t)len && memcmp(obj->head, head, obj->head_len) == 0;
}

static uint64_t block_cost(const struct hf_obj *obj)
{
	return hf_arena_cost(obj->alloc_len);
}

Test(freshen, rfc9111_4_3_4_the_old_body_under_the_new_head)
{
	static const size_t lens[] = { 0, 1, CACHE_INLINE_BODY_MAX, CACHE_INLINE_BODY_MAX + 1,
		LARGE, 1500000 };
	struct fix fix;

	fix_open(&fix, 16 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		struct hf_obj *old = fix_put(&fix, "http://a/", i, lens[i]), *obj;

		fix.now_us += 5000000;
		obj = fix_freshen(&fix, old, "ETag: \"2\"\r\n");
		cr_assert_not_null(obj);
		fix_check(&fix);
		cr_expect_eq(fix_get(&fix, "http://a/"), old, "until it is published");
		hf_shard_publish(fix.shard, obj);
		hf_shard_obj_unref(fix.shard, obj);
		cr_expect_eq(fix_get(&fix, "http://a/"), obj);
		cr_expect(head_is(obj, "ETag: \"2\"\r\n"));
		cr_expect_eq(obj->born_us, (int64_t)fix.now_us);
		cr_expect_eq(obj->life.lifetime_s, 7200);
		cr_expect_eq(obj->status, 200);
		cr_expect(fix_body_is(obj, i, lens[i]));
		cr_expect(fix_body_is(old, i, lens[i]), "its readers have it still");
		cr_expect(head_is(old, "X: y\r\n"));
		settle(&fix);
		cr_expect(fix_body_is(obj, i, lens[i]));
		cr_expect_eq(fix.shard->objects, 1);
		cr_expect_eq(fix.shard->used, obj->cost);
		for (size_t pos = 0; pos < lens[i]; pos += 4999) {
			struct hf_obj_cursor cursor = { .pos = pos }; /* a range */

			cr_assert_eq(hf_obj_peek(obj, &cursor, 9).ptr[0], fix_byte(i, pos));
		}
	}
	fix_close(&fix);
}

Test(freshen, of_the_flags_in_the_spec_those_that_open_it_count)
{
	struct fix fix;
	struct hf_obj_spec spec = {
		.head = HF_SPAN("HTTP/1.1 200 OK\r\nCache-Tag: a\r\n"),
		.length = 77,
		.status = 304,
		.flags = HF_OBJ_AUTH_OK | HF_OBJ_SECRET_OK | HF_OBJ_NO_BODY | HF_OBJ_STREAM,
	};
	struct hf_key key;
	struct hf_obj *old, *obj;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	old = fix_put(&fix, "k", 1, 10);
	hf_shard_purge(fix.shard, &key, true);
	cr_expect_eq(atomic_load(&old->flags), HF_OBJ_STALE);
	obj = hf_shard_obj_freshen(fix.shard, old, &spec);
	cr_expect_eq(atomic_load(&obj->flags), HF_OBJ_AUTH_OK | HF_OBJ_SECRET_OK | HF_OBJ_TAGGED);
	cr_expect_eq(obj->status, 200);
	cr_expect_eq(atomic_load(&obj->length), 10);
	hf_shard_obj_unref(fix.shard, obj);
	fix_close(&fix);
}

Test(freshen, a_response_without_body_stays_one)
{
	struct fix fix;
	struct hf_obj_spec spec = {
		.head = HF_SPAN("HTTP/1.1 204 No Content\r\n"),
		.length = 4000, /* what a HEAD was told */
		.status = 204,
		.flags = HF_OBJ_NO_BODY,
	};
	struct hf_obj *old, *obj;
	struct hf_obj_cursor cursor = { 0 };

	fix_open(&fix, 4 * FIX_MIB);
	spec.key = fix_key(&fix, "k");
	old = hf_shard_obj_new(fix.shard, &spec);
	hf_shard_fill_end(fix.shard, old);
	hf_shard_publish(fix.shard, old);
	hf_shard_obj_unref(fix.shard, old);
	obj = fix_renew(&fix, old);
	settle(&fix);
	cr_expect_eq(fix_get(&fix, "k"), obj);
	cr_expect_eq(obj->status, 204);
	cr_expect_eq(atomic_load(&obj->flags), HF_OBJ_NO_BODY);
	cr_expect_eq(atomic_load(&obj->length), 4000);
	cr_expect(hf_obj_at_end(obj, &cursor));
	cr_expect_eq(fix.shard->used, block_cost(obj));
	fix_close(&fix);
}

Test(freshen, a_short_body_that_came_in_pieces_becomes_one_block)
{
	struct fix fix;
	struct hf_obj *old, *obj;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_new(&fix, "k", NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	for (int i = 0; i < 8; i++)
		fix_fill(&fix, old, 3, 500);
	hf_shard_fill_end(fix.shard, old);
	hf_shard_publish(fix.shard, old);
	hf_shard_obj_unref(fix.shard, old);
	cr_expect_neq(old->first, old->last);
	obj = fix_renew(&fix, old);
	cr_expect_eq(obj->cost, block_cost(obj));
	cr_expect_null(obj->older);
	settle(&fix);
	cr_expect(fix_body_is(obj, 3, 4000));
	fix_close(&fix);
}

Test(freshen, the_variant_keeps_its_vary_values)
{
	struct fix fix;
	static const char vary[] = "accept-language\0+de";
	static const char other[] = "accept-language\0+fr";
	struct hf_obj *old, *obj;

	fix_open(&fix, 4 * FIX_MIB);
	fix_put_variant(&fix, "k", 2, 10, other, sizeof(other));
	old = fix_put_variant(&fix, "k", 1, LARGE, vary, sizeof(vary));
	obj = fix_renew(&fix, old);
	cr_expect_eq(obj->vary_len, sizeof(vary));
	cr_expect_arr_eq(obj->vary, vary, sizeof(vary));
	cr_expect_neq(obj->vary, old->vary);
	cr_expect_eq(fix.shard->objects, 2);
	settle(&fix);
	fix_close(&fix);
}

Test(freshen, eviction_spares_it_as_it_would_have_spared_the_old_one)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_renew(&fix, fix_put(&fix, "k", 1, 10));
	cr_expect_eq(obj->past.touches, 1);
	hf_obj_touch(obj);
	obj = fix_renew(&fix, obj);
	cr_expect_eq(obj->past.touches, 2);
	cr_expect_eq(atomic_load(&obj->touched), 0);
	fix_close(&fix);
}

Test(freshen, o7_a_large_body_is_not_stored_twice_and_counts_as_the_newest_one_s)
{
	struct fix fix;
	struct hf_obj *old, *obj;
	uint64_t used, whole;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_put(&fix, "k", 1, LARGE);
	used = fix.shard->used;
	whole = old->cost;
	obj = fix_freshen(&fix, old, "");
	cr_expect_eq(fix.shard->used, used + block_cost(obj));
	cr_expect_eq(old->cost, block_cost(old));
	cr_expect_eq(obj->cost, whole - block_cost(old) + block_cost(obj));
	fix_check(&fix);
	hf_shard_publish(fix.shard, obj);
	fix_check(&fix);
	cr_expect_eq(fix.shard->returning, block_cost(old), "the body does not come back");
	hf_shard_obj_unref(fix.shard, obj);
	settle(&fix);
	cr_expect_eq(fix.shard->used, obj->cost);
	cr_expect_null(obj->older);
	fix_close(&fix);
}

Test(freshen, o7_a_new_one_that_nobody_wants_leaves_the_body_to_the_old_one)
{
	struct fix fix;
	struct hf_obj *old, *obj;
	uint64_t cost;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_put(&fix, "k", 1, LARGE);
	cost = old->cost;
	obj = fix_freshen(&fix, old, "");
	hf_shard_obj_unref(fix.shard, obj);
	fix_check(&fix);
	cr_expect_eq(old->cost, cost);
	cr_expect_eq(fix.shard->used, cost);
	cr_expect_eq(fix_get(&fix, "k"), old);
	cr_expect(fix_body_is(old, 1, LARGE));
	cr_expect_not_null(fix_renew(&fix, old), "and can be freshened again");
	settle(&fix);
	fix_close(&fix);
}

Test(freshen, o7_who_still_reads_the_old_one_keeps_the_body_when_the_new_one_is_purged)
{
	struct fix fix;
	struct hf_obj *old, *obj;
	struct hf_obj_cursor cursor = { 0 };
	struct hf_lease *taken;
	struct hf_key key;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	old = fix_put(&fix, "k", 1, LARGE);
	taken = lease(&fix, 1, old);
	hf_obj_advance(&cursor, hf_obj_peek(old, &cursor, 20000).len);
	obj = fix_renew(&fix, old);
	settle(&fix);
	cr_expect_eq(obj->older, old);
	cr_expect_eq(hf_shard_purge(fix.shard, &key, false), 1);
	fix_check(&fix);
	settle(&fix);
	cr_expect_eq(fix.shard->used, old->cost, "the new one is gone");
	cr_expect_gt(old->cost, LARGE);
	cr_expect_eq(hf_obj_peek(old, &cursor, 1).ptr[0], fix_byte(1, cursor.pos));
	cr_expect(fix_body_is(old, 1, LARGE));
	hf_ref_put(&taken->ref);
	fix_recalls(&fix);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(freshen, o7_the_body_returns_when_the_last_of_its_readers_does)
{
	struct fix fix;
	struct hf_obj *old, *obj;
	struct hf_lease *taken;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_put(&fix, "k", 1, LARGE);
	taken = lease(&fix, 1, old);
	obj = fix_renew(&fix, old);
	fix_grace(&fix);
	fix_recalls(&fix);
	cr_expect_eq(old->place, CACHE_RECALLED);
	cr_expect_eq(fix.shard->returning, block_cost(old));
	hf_shard_obj_ref(fix.shard, obj); /* an exchange's */
	fix_put(&fix, "k", 2, 10);
	cr_expect_gt(fix.shard->returning, LARGE, "both are on their way out");
	fix_grace(&fix);
	cr_expect_eq(fix.shard->returning, block_cost(old), "an exchange has it");
	hf_shard_obj_unref(fix.shard, obj);
	fix_check(&fix);
	cr_expect_eq(fix.shard->returning, old->cost, "the old one's reader has it");
	cr_expect_gt(fix.shard->returning, LARGE);
	fix.now_us += 2 * CACHE_PIN_US;
	hf_shard_work(fix.shard, fix.now_us);
	cr_expect_eq(old->place, CACHE_PINNED);
	cr_expect_eq(fix.shard->returning, 0, "for so long that nobody counts on it");
	fix_check(&fix);
	hf_ref_put(&taken->ref);
	settle(&fix);
	fix_close(&fix);
}

Test(freshen, o7_a_slow_reader_of_the_first_keeps_none_of_the_heads_between)
{
	struct fix fix;
	struct hf_obj *old, *obj;
	struct hf_lease *taken;

	fix_open(&fix, 4 * FIX_MIB);
	old = obj = fix_put(&fix, "k", 1, LARGE);
	taken = lease(&fix, 1, old);
	for (int i = 0; i < 300; i++) {
		obj = fix_renew(&fix, obj);
		settle(&fix);
		cr_assert_eq(fix.shard->used, block_cost(old) + obj->cost);
	}
	cr_expect_eq(obj->older, old);
	cr_expect(fix_body_is(old, 1, LARGE));
	hf_ref_put(&taken->ref);
	settle(&fix);
	cr_expect_eq(fix.shard->used, obj->cost);
	cr_expect(fix_body_is(obj, 1, LARGE));
	fix_close(&fix);
}

Test(freshen, o7_readers_of_many_generations_leave_in_any_order)
{
	enum { GENERATIONS = 16 };
	struct fix fix;
	struct hf_obj *objs[GENERATIONS];
	struct hf_lease *leases[GENERATIONS];
	struct hf_key key;

	for (uint32_t step = 1; step < GENERATIONS; step += 2) {
		fix_open(&fix, 4 * FIX_MIB);
		key = fix_key(&fix, "k");
		for (uint32_t i = 0; i < GENERATIONS; i++) {
			objs[i] = i == 0 ? fix_put(&fix, "k", 1, LARGE)
					 : fix_renew(&fix, objs[i - 1]);
			leases[i] = lease(&fix, i % 4, objs[i]);
		}
		settle(&fix);
		if (step % 4 == 1)
			hf_shard_purge(fix.shard, &key, false);
		for (uint32_t i = 0; i < GENERATIONS; i++) {
			uint32_t at = (i * step + step) % GENERATIONS;

			cr_assert(fix_body_is(objs[at], 1, LARGE));
			hf_ref_put(&leases[at]->ref);
			settle(&fix);
		}
		hf_shard_purge(fix.shard, &key, false);
		settle(&fix);
		cr_expect_eq(fix.shard->used, 0);
		fix_close(&fix);
	}
}

Test(freshen, o7_an_old_one_can_be_freshened_twice)
{
	struct fix fix;
	struct hf_obj *old, *a, *b;

	fix_open(&fix, 4 * FIX_MIB);
	old = fix_put(&fix, "k", 1, LARGE);
	hf_shard_obj_ref(fix.shard, old);
	a = fix_renew(&fix, old);
	b = fix_renew(&fix, old);
	fix_check(&fix);
	cr_expect_eq(fix_get(&fix, "k"), b);
	cr_expect_eq(old->newer, a);
	cr_expect_eq(a->newer, b);
	settle(&fix);
	cr_expect_eq(old->newer, b);
	hf_shard_obj_unref(fix.shard, old);
	cr_expect_eq(fix.shard->used, b->cost);
	cr_expect(fix_body_is(b, 1, LARGE));
	fix_close(&fix);
}

Test(freshen, o7_an_old_one_that_was_evicted_while_the_origin_was_asked)
{
	struct fix fix;
	struct hf_obj *old, *obj;

	for (int graced = 0; graced < 2; graced++) {
		fix_open(&fix, 4 * FIX_MIB);
		old = fix_put(&fix, "k", 1, LARGE);
		hf_shard_obj_ref(fix.shard, old);
		cache_unlink(fix.shard, old);
		if (graced)
			fix_grace(&fix);
		cr_expect_null(fix_get(&fix, "k"));
		obj = fix_renew(&fix, old);
		fix_check(&fix);
		cr_expect_eq(fix.shard->returning, graced ? 0 : block_cost(old));
		hf_shard_obj_unref(fix.shard, old);
		settle(&fix);
		cr_expect_eq(fix_get(&fix, "k"), obj);
		cr_expect(fix_body_is(obj, 1, LARGE));
		cr_expect_eq(fix.shard->used, obj->cost);
		fix_close(&fix);
	}
}

Test(freshen, without_memory_the_old_one_stays_as_it_is)
{
	struct fix fix;
	struct hf_obj *old, *hog;
	uint64_t cost;

	fix_open(&fix, 2 * FIX_MIB);
	old = fix_put(&fix, "k", 1, LARGE);
	hf_shard_obj_ref(fix.shard, old);
	hog = fix_new(&fix, "hog", NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	while (fix_fill(&fix, hog, 2, 500) == 500)
		;
	while (fix_put(&fix, "small", 3, 1))
		;
	cost = old->cost;
	cr_expect_null(fix_freshen(&fix, old, "A: b\r\n"));
	fix_check(&fix);
	cr_expect_eq(old->cost, cost);
	cr_expect_not(old->lent);
	cr_expect(fix_body_is(old, 1, LARGE));
	hf_shard_fill_fail(fix.shard, hog);
	hf_shard_obj_unref(fix.shard, hog);
	fix_grace(&fix);
	cr_expect_not_null(fix_renew(&fix, old));
	hf_shard_obj_unref(fix.shard, old);
	settle(&fix);
	fix_close(&fix);
}

Test(freshen, the_owner_s_lookup_finds_what_a_worker_s_finds)
{
	struct fix fix;
	static const struct hf_http_req req;
	struct hf_key key;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	cr_expect_null(hf_shard_lookup(fix.shard, &key, &req));
	for (uint64_t i = 0; i < 5; i++) {
		struct hf_obj *obj = fix_put(&fix, "k", i, 10);

		cr_expect_eq(fix_get(&fix, "k"), obj);
		cr_expect_eq(hf_shard_lookup(fix.shard, &key, &req), obj);
	}
	hf_shard_purge(fix.shard, &key, false);
	cr_expect_null(hf_shard_lookup(fix.shard, &key, &req));
	fix_close(&fix);
}
