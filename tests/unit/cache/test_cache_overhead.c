/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What memory costs beyond the bytes of bodies, keys and heads: hf_cache.h's Limits.
 */
#include "cache_fixture.h"

#define OVERHEAD_MAX  256
#define OVERHEAD_WORD 8 /* in the table */
#define OVERHEAD_GONE 8 /* when it has left */

/* Of the object's blocks, before they are rounded to the arena's size classes. */
static uint64_t blocks_len(const struct hf_obj *obj, uint64_t *ret_chunks)
{
	uint64_t len = obj->alloc_len;

	*ret_chunks = 0;
	for (const struct hf_chunk *chunk = obj->first; chunk; chunk = chunk->next) {
		len += chunk->alloc_len;
		*ret_chunks += 1;
		if (chunk == obj->last)
			break;
	}
	return len;
}

/* Its own bytes beyond those of body, key, Vary values and head. */
static uint64_t overhead(struct fix *fix, size_t body_len, double *ret_rounded)
{
	struct hf_obj *obj = fix_put_variant(fix, "overhead", 1, body_len, "vary", 4);
	uint64_t text_len, chunks, len;

	cr_assert_not_null(obj);
	text_len = obj->key_len + obj->vary_len + obj->head_len;
	len = blocks_len(obj, &chunks);
	*ret_rounded = (double)(obj->cost - len) / (double)obj->cost;
	if (chunks > 1)
		len -= (chunks - 1) * sizeof(struct hf_chunk);
	return len - text_len - body_len + OVERHEAD_WORD + OVERHEAD_GONE;
}

Test(overhead, of_an_object_is_at_most_256_bytes_and_a_header_for_each_further_chunk)
{
	struct fix fix;
	double rounded;

	fix_open(&fix, 8 * FIX_MIB);
	for (size_t len = 0; len < 60000; len += 37) {
		uint64_t bytes = overhead(&fix, len, &rounded);

		cr_expect_leq(
			bytes, OVERHEAD_MAX, "%lu: %lu", (unsigned long)len, (unsigned long)bytes);
		fix_grace(&fix);
	}
	fix_close(&fix);
}

Test(overhead, of_size_classes_is_a_fifth_at_most_and_less_than_a_tenth_in_the_mean)
{
	struct fix fix;
	double rounded, most = 0, sum = 0;
	int count = 0;

	fix_open(&fix, 8 * FIX_MIB);
	for (size_t len = 0; len < 60000; len += 37, count++) {
		(void)overhead(&fix, len, &rounded);
		most = rounded > most ? rounded : most;
		sum += rounded;
		fix_grace(&fix);
	}
	cr_expect_leq(most, 0.2, "%.3f", most);
	cr_expect_leq(sum / count, 0.1, "%.3f", sum / count);
	fix_close(&fix);
}

Test(overhead, of_table_and_worth_is_at_most_a_thirtieth_of_the_memory)
{
	for (size_t mib = 1; mib <= 100; mib += 3) {
		struct fix fix;
		double part;

		fix_open(&fix, mib * FIX_MIB);
		part = (double)hf_arena_used(fix.arena) / (double)hf_arena_size(fix.arena);
		cr_expect_leq(part, 1.0 / 30, "%lu MiB: %.4f", (unsigned long)mib, part);
		fix_close(&fix);
	}
}
