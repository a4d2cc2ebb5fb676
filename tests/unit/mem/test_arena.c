/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_arena.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024UL * 1024)

struct block {
	char *at;
	size_t len;
};

/* Else gcc 12 at link time follows hf_arena_free(NULL) backwards and warns. */
__attribute__((noinline, returns_nonnull)) static struct hf_arena *arena_make(size_t size)
{
	struct hf_arena *arena = NULL;
	struct hf_err err = { "" };

	cr_assert_eq(hf_arena_new(size, false, &err, &arena), 0, "%s", err.text);
	HF_ASSERT(arena);
	return arena;
}

static uint64_t rand_next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static size_t rand_len(uint64_t *state)
{
	return rand_next(state) % 2 ? HF_ARENA_CHUNK : 300 + rand_next(state) % (12 * 1024 - 300);
}

static bool inside(const struct hf_arena *arena, const char *at, size_t len)
{
	void *base;
	size_t size, page;

	hf_arena_region(arena, &base, &size, &page);
	return size == 0 || (at >= (char *)base && at + len <= (char *)base + size);
}

/* Fills until the first refusal, returns how many blocks. */
static size_t fill(
	struct hf_arena *arena, struct block *blocks, size_t count, size_t max, uint64_t *seed)
{
	for (; count < max; count++) {
		blocks[count].len = rand_len(seed);
		blocks[count].at = hf_arena_alloc(arena, blocks[count].len);
		if (!blocks[count].at)
			break;
		memset(blocks[count].at, 0x5a, blocks[count].len);
	}
	return count;
}

static double churn(size_t size, int rounds, uint64_t seed, double *ret_worst)
{
	struct hf_arena *arena = arena_make(size);
	size_t max = size / 256;
	struct block *blocks = calloc(max, sizeof(*blocks));
	double worst = 1, sum = 0;
	size_t count = 0;

	for (int i = 0; i < rounds; i++) {
		count = fill(arena, blocks, count, max, &seed);
		double now = (double)hf_arena_used(arena) / (double)size;
		sum += now;
		worst = now < worst ? now : worst;
		/* a thirty-second part goes, in random order, as a cache evicts */
		for (size_t n = count / 32 + 1; n > 0 && count > 0; n--) {
			size_t at = rand_next(&seed) % count;
			hf_arena_release(arena, blocks[at].at, blocks[at].len);
			blocks[at] = blocks[--count];
		}
	}
	while (count > 0) {
		count--;
		hf_arena_release(arena, blocks[count].at, blocks[count].len);
	}
	cr_assert_eq(hf_arena_used(arena), 0);
	free(blocks);
	hf_arena_free(arena);
	*ret_worst = worst;
	return sum / rounds;
}

Test(arena, blocks_are_inside_the_region_aligned_and_apart)
{
	struct hf_arena *arena = arena_make(4 * MIB);
	static const size_t lens[] = { 1, 63, 64, 65, 80, 100, 200, 300, 4096, 4097, 14336, 20000,
		70000, 262144, 1000000 };
	char *at[HF_ARRAY_LEN(lens)];

	for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		at[i] = hf_arena_alloc(arena, lens[i]);
		cr_assert_not_null(at[i]);
		cr_expect(inside(arena, at[i], lens[i]));
		if (lens[i] >= 64)
			cr_expect_eq((uintptr_t)at[i] % 64, 0, "len %zu", lens[i]);
		memset(at[i], (int)i + 1, lens[i]);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		for (size_t j = 0; j < lens[i]; j++)
			cr_assert_eq(at[i][j], (char)(i + 1));
		hf_arena_release(arena, at[i], lens[i]);
	}
	hf_arena_free(arena);
}

Test(arena, a1_a_full_region_refuses_and_never_grows)
{
	struct hf_arena *arena = arena_make(2 * MIB);
	size_t count = 0, first;
	char *blocks[512];

	while ((blocks[count] = hf_arena_alloc(arena, HF_ARENA_CHUNK)) != NULL) {
		memset(blocks[count], 1, HF_ARENA_CHUNK);
		cr_assert(inside(arena, blocks[count], HF_ARENA_CHUNK));
		cr_assert_lt(++count, 512);
	}
	cr_expect_leq(hf_arena_used(arena), hf_arena_size(arena));
	cr_expect_null(hf_arena_alloc(arena, 3 * MIB));
	first = count;
	while (count > 0)
		hf_arena_release(arena, blocks[--count], HF_ARENA_CHUNK);
	while ((blocks[count] = hf_arena_alloc(arena, HF_ARENA_CHUNK)) != NULL)
		count++;
	cr_expect_eq(count, first, "filled %zu times, then %zu", first, count);
	while (count > 0)
		hf_arena_release(arena, blocks[--count], HF_ARENA_CHUNK);
	hf_arena_free(arena);
}

Test(arena, a2_used_is_the_sum_of_the_costs)
{
	struct hf_arena *arena = arena_make(4 * MIB);
	struct block blocks[200];
	uint64_t seed = 7;
	size_t sum = 0;

	for (size_t i = 0; i < HF_ARRAY_LEN(blocks); i++) {
		blocks[i].len = 1 + rand_next(&seed) % 15000;
		blocks[i].at = hf_arena_alloc(arena, blocks[i].len);
		cr_assert_not_null(blocks[i].at);
		cr_expect_geq(hf_arena_cost(blocks[i].len), blocks[i].len);
		sum += hf_arena_cost(blocks[i].len);
		cr_expect_eq(hf_arena_used(arena), sum);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(blocks); i++) {
		hf_arena_release(arena, blocks[i].at, blocks[i].len);
		sum -= hf_arena_cost(blocks[i].len);
		cr_expect_eq(hf_arena_used(arena), sum);
	}
	hf_arena_release(arena, NULL, 10);
	hf_arena_free(arena);
}

Test(arena, a3_chunks_and_small_blocks_fill_nine_tenths_under_churn)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		double worst;
		double mean = churn(64 * MIB, 200, seed, &worst);

		cr_expect_geq(mean, 0.90, "seed %lu mean %.3f", (unsigned long)seed, mean);
		cr_expect_geq(worst, 0.88, "seed %lu worst %.3f", (unsigned long)seed, worst);
	}
}

Test(arena, space_of_one_size_serves_every_other)
{
	struct hf_arena *arena = arena_make(16 * MIB);
	static const size_t lens[] = { HF_ARENA_CHUNK, 320, 12288, 6 * MIB, 640, 262144,
		HF_ARENA_CHUNK };
	void **blocks = calloc(16 * MIB / 320 + 1, sizeof(*blocks));

	for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		size_t count = 0;

		while ((blocks[count] = hf_arena_alloc(arena, lens[i])) != NULL)
			count++;
		cr_expect_geq(count * lens[i], lens[i] > MIB ? 12 * MIB : 15 * MIB,
			"%zu blocks of %zu", count, lens[i]);
		while (count > 0)
			hf_arena_release(arena, blocks[--count], lens[i]);
	}
	free(blocks);
	hf_arena_free(arena);
}

Test(arena, region_of_an_odd_size_is_used_to_its_end)
{
	static const size_t sizes[] = { MIB, 3 * MIB, 5 * MIB + 12345, 23 * MIB, 100 * MIB };

	for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
		struct hf_arena *arena = arena_make(sizes[i]);
		void **blocks = calloc(sizes[i] / HF_ARENA_CHUNK + 1, sizeof(*blocks));
		size_t count = 0;

		while ((blocks[count] = hf_arena_alloc(arena, HF_ARENA_CHUNK)) != NULL)
			count++;
		cr_expect_geq(count * HF_ARENA_CHUNK, sizes[i] / 100 * 94, "%zu of %zu",
			count * HF_ARENA_CHUNK, sizes[i]);
		while (count > 0)
			hf_arena_release(arena, blocks[--count], HF_ARENA_CHUNK);
		free(blocks);
		hf_arena_free(arena);
	}
}

Test(arena, plain_malloc_stays_outside_the_region)
{
	struct hf_arena *arena = arena_make(4 * MIB);
	void *blocks[100], *plain[100];

	for (int i = 0; i < 100; i++)
		blocks[i] = hf_arena_alloc(arena, 1000);
	for (int i = 0; i < 100; i++)
		hf_arena_release(arena, blocks[i], 1000);
	for (int i = 0; i < 100; i++) {
		void *base;
		size_t len, page;

		plain[i] = malloc(1000);
		hf_arena_region(arena, &base, &len, &page);
		cr_expect(len == 0 || (char *)plain[i] < (char *)base ||
			  (char *)plain[i] >= (char *)base + len);
	}
	for (int i = 0; i < 100; i++)
		free(plain[i]);
	hf_arena_free(arena);
}

Test(arena, hugepages_are_asked_for_and_done_without)
{
	struct hf_arena *arena = NULL;
	struct hf_err err;
	void *base, *block;
	size_t len, page;

	cr_assert_eq(hf_arena_new(4 * MIB, true, &err, &arena), 0);
	hf_arena_region(arena, &base, &len, &page);
	cr_expect(page == 4096 || page == 2 * MIB);
	block = hf_arena_alloc(arena, HF_ARENA_CHUNK);
	cr_assert_not_null(block);
	memset(block, 1, HF_ARENA_CHUNK);
	hf_arena_release(arena, block, HF_ARENA_CHUNK);
	hf_arena_free(arena);
	hf_arena_free(NULL);
}

Test(arena, a_size_that_nobody_has_is_refused_with_a_sentence)
{
	struct hf_arena *arena = NULL;
	struct hf_err err = { "" };

#ifndef HF_SANITIZED
	cr_expect_lt(hf_arena_new(1UL << 47, false, &err, &arena), 0);
	cr_expect_neq(err.text[0], '\0');
	cr_expect_null(arena);
#else
	(void)arena;
	(void)err;
#endif
}

Test(arena, parts_are_apart)
{
	struct hf_arena *arena = arena_make(8 * MIB);
	char *first, *second;
	size_t count;

	cr_assert_eq(hf_arena_cut(arena, 4), 0);
	for (count = 0; hf_arena_alloc_in(arena, 2, HF_ARENA_CHUNK); count++)
		;
	cr_expect_geq(count, MIB / HF_ARENA_CHUNK);
	first = hf_arena_alloc_in(arena, 1, 1000);
	second = hf_arena_alloc_in(arena, 3, 1000);
	cr_assert(first && second, "part 2 is full, the others are not");
#ifndef HF_SANITIZED
	void *base;
	size_t size, page;

	cr_expect_leq(count, 2 * MIB / HF_ARENA_CHUNK);
	hf_arena_region(arena, &base, &size, &page);
	cr_expect_eq((size_t)(first - (char *)base) / (2 * MIB), 1);
	cr_expect_eq((size_t)(second - (char *)base) / (2 * MIB), 3);
#endif
	hf_arena_free(arena);
}

Test(arena, may_be_cut_anew_when_nothing_is_allocated)
{
	struct hf_arena *arena = arena_make(4 * MIB);
	char *block;

	for (uint32_t parts = 1; parts <= 4; parts++) {
		cr_assert_eq(hf_arena_cut(arena, parts), 0);
		block = hf_arena_alloc_in(arena, parts - 1, 100000);
		cr_assert_not_null(block);
		memset(block, 1, 100000);
		hf_arena_release(arena, block, 100000);
		cr_expect_eq(hf_arena_used(arena), 0);
	}
	hf_arena_free(arena);
}
