/* SPDX-License-Identifier: BSD-3-Clause
 *
 * O2, O3, O4 and O6 of hf_object.h: filling, reading, streaming. O1 and O5 are in test_cache_lease.c.
 */
#include "cache_fixture.h"

static size_t chunk_count(const struct hf_obj *obj)
{
	size_t count = 0;

	for (const struct hf_chunk *chunk = obj->first; chunk; chunk = chunk->next)
		count++;
	return count;
}

Test(object, o2_o4_an_exchange_keeps_an_object_that_left_the_table)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_key key;

	fix_open(&fix, 4 * FIX_MIB);
	key = fix_key(&fix, "k");
	obj = fix_put(&fix, "k", 3, 50000);
	hf_shard_obj_ref(fix.shard, obj);
	fix_put(&fix, "l", 4, 10);
	hf_shard_purge(fix.shard, &(struct hf_key){ "l", 1, fix_key(&fix, "l").hash }, false);
	hf_shard_purge(fix.shard, &key, false);
	fix_grace(&fix);
	hf_shard_check(fix.shard);
	cr_expect(fix_body_is(obj, 3, 50000));
	cr_expect_gt(fix.shard->used, 50000);
	hf_shard_obj_unref(fix.shard, obj);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(object, a_body_in_one_run_is_told_whole_and_any_other_not_at_all)
{
	static const size_t lens[] = { 0, 1, 4096, 4097, 14311, 14312, 14313, 28625 };
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		struct hf_obj *obj = fix_put(&fix, "k", 3, lens[i]);
		struct hf_obj_cursor cursor = { 0 };
		struct hf_span body, first;

		cr_assert_not_null(obj);
		body = hf_obj_body(obj);
		first = hf_obj_peek(obj, &cursor, SIZE_MAX);
		cr_expect_eq(body.len, first.len == lens[i] ? lens[i] : 0, "%zu", lens[i]);
		if (body.len > 0)
			cr_expect_eq(body.ptr, first.ptr);
	}
	fix_close(&fix);
}

Test(object, o3_filled_grows_and_bytes_below_it_stay)
{
	static const size_t lens[] = { 1, 5, 4096, 4097, 14311, 14312, 14313, 28624, 28625,
		100000 };
	static const size_t steps[] = { 1, 1000, 16384, 100000 };
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t i = 0; i < HF_ARRAY_LEN(lens) * HF_ARRAY_LEN(steps) * 2; i++) {
		size_t len = lens[i % HF_ARRAY_LEN(lens)];
		size_t step = steps[i / HF_ARRAY_LEN(lens) % HF_ARRAY_LEN(steps)];
		bool known = i >= HF_ARRAY_LEN(lens) * HF_ARRAY_LEN(steps);
		struct hf_obj *obj =
			fix_new(&fix, "k", NULL, 0, known ? len : HF_OBJ_LENGTH_UNKNOWN);
		struct hf_obj_cursor cursor = { 0 };

		cr_assert_not_null(obj);
		cr_expect_eq(hf_obj_peek(obj, &cursor, 10).len, 0);
		if (step == 1)
			step = len > 20000 ? 333 : 1;
		for (size_t done = 0; done < len; done += step) {
			size_t n = hf_min_size(step, len - done);
			struct hf_span span;

			cr_expect_not(hf_obj_at_end(obj, &cursor));
			cr_assert_eq(fix_fill(&fix, obj, i, n), n);
			while ((span = hf_obj_peek(obj, &cursor, SIZE_MAX)).len > 0) {
				cr_assert_eq(span.ptr[0], fix_byte(i, cursor.pos));
				cr_assert_eq(span.ptr[span.len - 1],
					fix_byte(i, cursor.pos + span.len - 1));
				hf_obj_advance(&cursor, span.len);
			}
			if (!known || done + n < len)
				cr_assert_eq(cursor.pos, done + n);
		}
		hf_shard_check(fix.shard);
		cr_expect_not(hf_obj_at_end(obj, &cursor));
		hf_shard_fill_end(fix.shard, obj);
		cursor.pos = len;
		cr_expect(hf_obj_at_end(obj, &cursor));
		cr_expect_eq(atomic_load(&obj->length), len);
		cr_expect(fix_body_is(obj, i, len));
		hf_shard_obj_unref(fix.shard, obj);
		cr_assert_eq(fix.shard->used, 0);
	}
	fix_close(&fix);
}

Test(object, peek_gives_no_more_than_asked_for)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_obj_cursor cursor = { 0 };

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_put(&fix, "k", 3, 20000);
	cr_expect_eq(hf_obj_peek(obj, &cursor, 7).len, 7);
	cr_expect_eq(hf_obj_peek(obj, &cursor, 0).len, 0);
	cursor.pos = 19999; /* a range begins in the middle (RFC 9110 §14.2) */
	cr_expect_eq(hf_obj_peek(obj, &cursor, 7).len, 1);
	cr_expect_eq(hf_obj_peek(obj, &cursor, 7).ptr[0], fix_byte(3, 19999));
	fix_close(&fix);
}

Test(object, a_range_far_into_a_body_is_found_in_few_steps)
{
	struct fix fix;
	struct hf_obj *obj;
	size_t len = 5 * FIX_MIB, skips = 0;

	fix_open(&fix, 16 * FIX_MIB);
	obj = fix_put(&fix, "k", 3, len);
	for (const struct hf_chunk *chunk = obj->first; chunk; chunk = chunk->next) {
		const struct hf_chunk *skip = atomic_load(&chunk->skip);

		skips += skip != NULL;
		if (skip)
			cr_expect_eq(skip->begin, chunk->begin + HF_CHUNK_SKIP * chunk->cap);
	}
	cr_expect_eq(skips, (chunk_count(obj) - 1) / HF_CHUNK_SKIP);
	for (size_t pos = 0; pos < len; pos += 4999) {
		struct hf_obj_cursor cursor = { .pos = pos };
		struct hf_span span = hf_obj_peek(obj, &cursor, 100);

		cr_assert_gt(span.len, 0);
		cr_assert_eq(span.ptr[0], fix_byte(3, pos));
		cr_assert(pos >= cursor.chunk->begin &&
			  pos < cursor.chunk->begin + cursor.chunk->cap);
	}
	fix_close(&fix);
}

Test(object, a_short_body_of_known_length_costs_one_block)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_put(&fix, "k", 3, CACHE_INLINE_BODY_MAX);
	cr_expect_eq(chunk_count(obj), 1);
	cr_expect_eq(obj->first->alloc_len, 0);
	cr_expect_eq(obj->cost, hf_arena_cost(obj->alloc_len));
	obj = fix_put(&fix, "l", 3, CACHE_INLINE_BODY_MAX + 1);
	cr_expect_eq(obj->first->alloc_len, sizeof(struct hf_chunk) + CACHE_INLINE_BODY_MAX + 1);
	fix_close(&fix);
}

Test(object, a_body_of_unknown_length_costs_little_more_than_it_holds)
{
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	for (size_t len = 1; len < 200000; len = len * 3 + 7) {
		struct hf_obj *obj = fix_new(&fix, "k", NULL, 0, HF_OBJ_LENGTH_UNKNOWN);

		for (size_t done = 0; done < len; done += 500)
			fix_fill(&fix, obj, 1, hf_min_size(500, len - done));
		cr_expect_leq(obj->cost, 2048 + 2 * len, "%zu: %zu", len, (size_t)obj->cost);
		cr_expect_leq(
			obj->cost, 18000 + len + len / 16, "%zu: %zu", len, (size_t)obj->cost);
		hf_shard_obj_unref(fix.shard, obj);
	}
	fix_close(&fix);
}

Test(object, a_failed_fill_ends_for_its_readers)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_obj_cursor cursor = { 0 };

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_new(&fix, "k", NULL, 0, 1000000);
	fix_fill(&fix, obj, 1, 30000);
	hf_shard_fill_fail(fix.shard, obj);
	cr_expect_not(hf_obj_at_end(obj, &cursor), "what was filled can be read");
	cursor.pos = 30000;
	cr_expect(hf_obj_at_end(obj, &cursor));
	cr_expect_null(fix_get(&fix, "k"));
	hf_shard_obj_unref(fix.shard, obj);
	fix_close(&fix);
}

Test(object, o6_a_stream_gives_its_memory_back_behind_the_reader)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_obj_cursor cursor = { 0 };
	uint64_t seed = 77, most = 0, total = 8 * FIX_MIB; /* four times the arena */

	fix_open(&fix, 2 * FIX_MIB);
	obj = fix_new(&fix, NULL, NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	while (cursor.pos < total) {
		struct hf_span span;

		cr_assert_eq(fix_fill(&fix, obj, seed, 16000), 16000);
		while ((span = hf_obj_peek(obj, &cursor, 1460)).len > 0) {
			for (size_t i = 0; i < span.len; i += 97)
				cr_assert_eq(span.ptr[i], fix_byte(seed, cursor.pos + i));
			hf_obj_advance(&cursor, span.len);
		}
		hf_shard_trim(fix.shard, obj, cursor.pos);
		hf_shard_check(fix.shard);
		most = hf_max_u64(most, fix.shard->used);
	}
	cr_expect_lt(most, 64 * FIX_KIB);
	hf_shard_fill_end(fix.shard, obj);
	hf_shard_obj_unref(fix.shard, obj);
	cr_expect_eq(fix.shard->used, 0);
	fix_close(&fix);
}

Test(object, o6_the_chunk_before_the_reader_s_byte_stays)
{
	struct fix fix;
	struct hf_obj *obj;
	struct hf_obj_cursor cursor = { 0 };
	uint64_t cap;

	fix_open(&fix, 2 * FIX_MIB);
	obj = fix_new(&fix, "k", NULL, 0, 100000);
	fix_fill(&fix, obj, 1, 60000);
	hf_shard_to_stream(fix.shard, obj);
	cr_expect(atomic_load(&obj->flags) & HF_OBJ_STREAM);
	cap = obj->first->cap;
	cr_expect_eq(hf_obj_peek(obj, &cursor, SIZE_MAX).len, cap);
	hf_obj_advance(&cursor, cap); /* its next byte is behind the link of the first chunk */
	hf_shard_trim(fix.shard, obj, cap);
	cr_expect_eq(chunk_count(obj), 5);
	cr_expect_eq(hf_obj_peek(obj, &cursor, 1).ptr[0], fix_byte(1, cap));
	hf_obj_advance(&cursor, 1);
	hf_shard_trim(fix.shard, obj, cap + 1);
	cr_expect_eq(chunk_count(obj), 4);
	cr_expect_eq(hf_obj_peek(obj, &cursor, 1).ptr[0], fix_byte(1, cap + 1));
	hf_shard_trim(fix.shard, obj, 60000);
	cr_expect_eq(chunk_count(obj), 1, "the last is being filled");
	fix_fill(&fix, obj, 1, 40000);
	hf_shard_check(fix.shard);
	hf_shard_obj_unref(fix.shard, obj);
	fix_close(&fix);
}

Test(object, a_fill_that_finds_no_memory_says_how_far_it_came_and_goes_on_later)
{
	struct fix fix;
	struct hf_obj *obj;
	size_t done = 0, total = FIX_MIB;
	int waits = 0;

	fix_open(&fix, 2 * FIX_MIB);
	for (int i = 0; i < 400; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		fix_put(&fix, key, 1, 4000);
	}
	obj = fix_new(&fix, "big", NULL, 0, total);
	while (!obj) {
		fix_grace(&fix);
		obj = fix_new(&fix, "big", NULL, 0, total);
	}
	while (done < total) {
		size_t n = fix_fill(&fix, obj, 9, total - done);

		done += n;
		if (n == 0) {
			cr_assert_lt(++waits, 50);
			fix_grace(&fix);
		}
		hf_shard_check(fix.shard);
	}
	hf_shard_fill_end(fix.shard, obj);
	hf_shard_publish(fix.shard, obj);
	hf_shard_obj_unref(fix.shard, obj);
	cr_expect(fix_body_is(fix_get(&fix, "big"), 9, total));
	cr_expect_leq(total, hf_shard_object_max(fix.shard) * 2);
	fix_close(&fix);
}

/* How often the text is in the whole region of the arena, freed blocks and all. */
static size_t region_count(const struct fix *fix, const char *text)
{
	char *at;
	void *base;
	size_t len, page, count = 0;

	hf_arena_region(fix->arena, &base, &len, &page);
	at = base;
	while (len > 0 &&
		(at = memmem(at, (size_t)((char *)base + len - at), text, strlen(text)))) {
		count++;
		at++;
	}
	return count;
}

/* Appends `count` times the text. */
static void fill_text(struct fix *fix, struct hf_obj *obj, const char *text, size_t count)
{
	while (count-- > 0)
		cr_assert_eq(hf_shard_fill(fix->shard, obj, text, strlen(text)), strlen(text));
}

#ifdef HF_SANITIZED
#define REGION_TEST .disabled = true /* there is no region: each block is a malloc */
#else
#define REGION_TEST .disabled = false
#endif

Test(object, o8_what_is_not_stored_is_wiped_when_it_is_freed, REGION_TEST)
{
	static const uint64_t lengths[] = { 3000, HF_OBJ_LENGTH_UNKNOWN, 300 * 150 };
	struct fix fix;

	fix_open(&fix, 4 * FIX_MIB);
	fix.head = HF_SPAN("HTTP/1.1 200 OK\r\nSet-Cookie: SECRET-of-a\r\n");
	for (size_t i = 0; i < HF_ARRAY_LEN(lengths); i++) {
		uint64_t length = lengths[i];
		struct hf_obj *obj = fix_new(&fix, NULL, NULL, 0, length);

		fill_text(&fix, obj, "SECRET-of-a-body", 3000 / 16);
		cr_expect_gt(region_count(&fix, "SECRET"), 3000 / 16);
		/* whole, failed, cut: all the same */
		if (length == HF_OBJ_LENGTH_UNKNOWN)
			hf_shard_fill_end(fix.shard, obj);
		else
			hf_shard_fill_fail(fix.shard, obj);
		hf_shard_obj_unref(fix.shard, obj);
		cr_expect_eq(region_count(&fix, "SECRET"), 0);
	}
	fix_close(&fix);
}

Test(object, o8_a_stream_is_wiped_behind_its_reader, REGION_TEST)
{
	struct fix fix;
	struct hf_obj *obj;

	fix_open(&fix, 4 * FIX_MIB);
	obj = fix_new(&fix, NULL, NULL, 0, HF_OBJ_LENGTH_UNKNOWN);
	fill_text(&fix, obj, "SECRET-of-a-body", 10000);
	cr_expect_gt(region_count(&fix, "SECRET-of-a"), 9900); /* some stand in two chunks */
	hf_shard_trim(fix.shard, obj, 16 * 9000);
	cr_expect_lt(region_count(&fix, "SECRET-of-a"), 1000 + HF_ARENA_CHUNK / 16 + 2);
	hf_shard_fill_fail(fix.shard, obj);
	hf_shard_obj_unref(fix.shard, obj);
	cr_expect_eq(region_count(&fix, "SECRET"), 0);
	fix_close(&fix);
}
