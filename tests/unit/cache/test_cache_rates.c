/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is learnt from times between touches: laws with a known index.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "cache_rates.h"

static const struct hf_obj_past past_none;

static struct cache_rates *rates_new(void)
{
	struct cache_rates *rates = malloc(sizeof(*rates));

	cr_assert_not_null(rates);
	cache_rates_init(rates);
	return rates;
}

static void rates_close(struct cache_rates *rates)
{
	cache_rates_check(rates);
	free(rates);
}

static void learn(struct cache_rates *rates)
{
	for (int i = 0; i < CACHE_RATES_CLASSES; i++)
		cache_rates_learn(rates);
}

/* One more object that was never touched before and is after so long. */
static struct hf_obj_past touch(struct cache_rates *rates, uint32_t idle)
{
	struct hf_obj_past past = past_none;

	cache_rates_saw_idle(rates, past, 0, idle);
	cache_rates_saw_touch(rates, &past, idle);
	return past;
}

static double unit(uint64_t *random)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((double)(*random >> 11) + 0.5) / (double)(1ULL << 53);
}

static double index_at(const struct cache_rates *rates, uint32_t idle)
{
	return cache_rates_index(rates, past_none, idle);
}

Test(rates, while_nothing_is_known_the_longest_idle_is_worth_least)
{
	struct cache_rates *rates = rates_new();

	for (uint32_t octave = 1; octave < CACHE_RATES_OCTAVES; octave++)
		cr_expect_lt(index_at(rates, 1U << octave), index_at(rates, 1U << (octave - 1)));
	rates_close(rates);
}

Test(rates, of_a_law_without_memory_idle_time_tells_nothing)
{
	struct cache_rates *rates = rates_new();
	uint64_t random = 1;

	for (int i = 0; i < 100000; i++)
		(void)touch(rates, (uint32_t)(-1000 * log(unit(&random))));
	learn(rates);
	for (uint32_t idle = 16; idle <= 2048; idle *= 2)
		cr_expect_float_eq(index_at(rates, idle), 0.001, 0.0002, "%u: %g", idle,
			index_at(rates, idle));
	rates_close(rates);
}

Test(rates, of_a_falling_rate_the_index_falls_too)
{
	struct cache_rates *rates = rates_new();
	uint64_t random = 1;

	/* Pareto, shape 1: the rate after so long is 1 / so long */
	for (int i = 0; i < 100000; i++)
		(void)touch(rates, (uint32_t)fmin(1 / unit(&random), 1 << 20));
	learn(rates);
	for (uint32_t idle = 16; idle <= 1024; idle *= 4)
		cr_expect_float_eq(index_at(rates, idle) * idle, 1, 0.35, "%u: %g", idle,
			index_at(rates, idle));
	rates_close(rates);
}

Test(rates, in_a_loop_the_longest_idle_is_worth_most)
{
	struct cache_rates *rates = rates_new();

	for (int i = 0; i < 10000; i++)
		(void)touch(rates, 1000);
	learn(rates);
	/* the touch is known to come between 768 and 1023, where it is as likely at any time */
	cr_expect_float_eq(index_at(rates, 0), 0.0008, 0.0002, "%g", index_at(rates, 0));
	cr_expect_gt(index_at(rates, 512), 1.5 * index_at(rates, 0));
	cr_expect_gt(index_at(rates, 800), 1.5 * index_at(rates, 512));
	cr_expect_lt(index_at(rates, 1100), index_at(rates, 0) * 4, "missed its turn");
	rates_close(rates);
}

Test(rates, what_never_was_touched_is_worth_little_however_often_that_was_seen)
{
	struct cache_rates *rates = rates_new();

	for (int i = 0; i < 1000; i++) {
		cache_rates_saw_idle(rates, past_none, 0, 1 << 20);
		(void)touch(rates, 10);
	}
	learn(rates);
	cr_expect_lt(index_at(rates, 100), 1e-5);
	cr_expect_gt(index_at(rates, 8), 0.01);
	rates_close(rates);
}

Test(rates, idle_time_counts_the_same_in_one_piece_or_many)
{
	struct cache_rates *one = rates_new(), *many = rates_new();

	cache_rates_saw_idle(one, past_none, 0, 100000);
	for (uint32_t at = 0; at < 100000; at += 100)
		cache_rates_saw_idle(many, past_none, at, at + 100);
	for (uint32_t bin = 0; bin < CACHE_RATES_BINS; bin++)
		cr_expect_float_eq(one->time[0][bin], many->time[0][bin], 1e-6);
	rates_close(one);
	rates_close(many);
}

Test(rates, a_past_is_the_number_of_touches_and_the_mean_of_intervals)
{
	struct cache_rates *rates = rates_new();
	struct hf_obj_past past = touch(rates, 64);

	cr_expect_eq(past.touches, 1);
	cr_expect_eq(past.interval_bin, 12, "64 = 2^6");
	cache_rates_saw_touch(rates, &past, 4);
	cr_expect_eq(past.interval_bin, 8, "the mean of 2^6 and 2^2");
	for (int i = 0; i < 10; i++)
		cache_rates_saw_touch(rates, &past, 4);
	cr_expect_eq(past.touches, CACHE_RATES_TOUCHES);
	cr_expect_leq(past.interval_bin, 5, "2^2, but for rounding up");
	cache_rates_saw_touch(rates, &past, UINT32_MAX);
	cache_rates_check_past(past);
	rates_close(rates);
}

Test(rates, each_class_learns_for_itself)
{
	struct cache_rates *rates = rates_new();
	struct hf_obj_past often = { 1, 4 }, seldom = { 1, 30 };

	for (int i = 0; i < 1000; i++) {
		struct hf_obj_past past = often;

		cache_rates_saw_idle(rates, past, 0, 8);
		cache_rates_saw_touch(rates, &past, 8);
		cache_rates_saw_idle(rates, seldom, 0, 10000);
	}
	learn(rates);
	cr_expect_gt(cache_rates_index(rates, often, 4), 100 * cache_rates_index(rates, seldom, 4));
	rates_close(rates);
}

Test(rates, what_was_long_ago_fades)
{
	struct cache_rates *rates = rates_new();

	for (int i = 0; i < 1000; i++)
		(void)touch(rates, 100);
	learn(rates);
	cr_expect_gt(index_at(rates, 64), 0.01);
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 10; i++)
			cache_rates_saw_idle(rates, past_none, 0, 1000);
		learn(rates);
	}
	cr_expect_lt(index_at(rates, 64), 0.001);
	rates_close(rates);
}
