/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_hist.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TOP (1ULL << 38)

static struct hf_hist_view view; /* large */

static uint64_t test_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 20;
}

/* Of every size: as many of each power of two. */
static uint64_t test_value(uint64_t *state)
{
	uint64_t bits = test_random(state) % 39;

	return test_random(state) & ((1ULL << bits) - 1);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void expect_within(uint64_t shown, uint64_t exact)
{
	cr_assert_leq(distance(shown, exact) * 64, exact, "%lu for %lu", shown, exact);
}

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

Test(hist, what_the_table_says_can_be_exported)
{
	for (int i = 0; i < HF_HIST_COUNT; i++) {
		const struct hf_hist_info *info = &hf_hist_infos[i];
		uint32_t count = hf_hist_le_count((enum hf_hist)i);
		size_t len = strlen(info->name), unit = strlen(info->unit);

		cr_expect(len > unit && strcmp(info->name + len - unit, info->unit) == 0, "%s",
			info->name);
		cr_expect_eq(hf_stat_family_help(info->name, NULL) != NULL, info->labels[0] != '\0',
			"%s", info->name);
		cr_expect_gt(strlen(info->help), 5);
		cr_expect(count > 5 && count < 64, "%s has %u bounds", info->name, count);
		for (uint32_t j = 1; j < count; j++)
			cr_expect_gt(hf_hist_le((enum hf_hist)i, j),
				hf_hist_le((enum hf_hist)i, j - 1), "%s", info->name);
		cr_expect_leq(hf_hist_le((enum hf_hist)i, count - 1), TOP, "%s", info->name);
		for (int j = 0; j < i; j++)
			cr_expect(strcmp(info->name, hf_hist_infos[j].name) != 0 ||
				  strcmp(info->labels, hf_hist_infos[j].labels) != 0);
	}
}

Test(hist, values_to_64_and_the_ends_of_the_range_are_exact)
{
	cr_assert_not_null(hf_stat_register("a"));
	hf_hist_sum(HF_HIST_MISS, &view);
	cr_expect_eq(view.count, 0);
	cr_expect_eq(hf_hist_quantile(&view, 0.99), 0);
	for (uint64_t i = 1; i <= 64; i++)
		hf_hist_add(HF_HIST_MISS, i);
	hf_hist_sum(HF_HIST_MISS, &view);
	for (uint32_t i = 1; i <= 64; i++)
		cr_expect_eq(hf_hist_quantile(&view, i / 64.0), i);
	cr_expect_eq(hf_hist_quantile(&view, 1.1 / 64), 2, "the rank is rounded up");
	cr_expect_eq(view.sum, 64 * 65 / 2);

	hf_hist_add(HF_HIST_HIT, 0);
	hf_hist_add(HF_HIST_HIT, UINT64_MAX);
	hf_hist_sum(HF_HIST_HIT, &view);
	cr_expect_eq(hf_hist_quantile(&view, 0.5), 1, "0 counts as 1");
	cr_expect_eq(hf_hist_quantile(&view, 1), UINT64_MAX, "above the range the maximum");
	cr_expect_eq(hf_hist_count_le(&view, TOP), 1);
}

Test(hist, a_value_alone_is_shown_within_the_error_over_the_whole_range)
{
	uint64_t state = 1;

	memset(&view, 0, sizeof(view));
	view.count = 1;
	view.max = UINT64_MAX;
	for (int i = 0; i < 200000; i++) {
		uint64_t value = test_value(&state) + 1;
		uint32_t at = hf_hist_bucket(value);

		cr_assert_lt(at, HF_HIST_BUCKETS - 1);
		view.bucket[at] = 1;
		expect_within(hf_hist_quantile(&view, 1), value);
		view.bucket[at] = 0;
	}
	for (uint64_t value = 1; value < TOP; value *= 2) {
		for (int64_t near = -1; near <= 1; near++)
			cr_assert_leq(hf_hist_bucket(value + (uint64_t)near),
				hf_hist_bucket(value + (uint64_t)near + 1));
	}
	cr_expect_eq(hf_hist_bucket(TOP), HF_HIST_BUCKETS - 2);
	cr_expect_eq(hf_hist_bucket(TOP + 1), HF_HIST_BUCKETS - 1);
}

#define VALUES 20000

Test(hist, quantiles_are_those_of_all_values_within_the_error)
{
	static const double q[] = { 0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1 };
	static uint64_t all[VALUES];
	uint64_t state = 2, sum = 0;

	cr_assert_not_null(hf_stat_register("a"));
	for (uint32_t i = 0; i < VALUES; i++) {
		all[i] = test_value(&state) + 1;
		sum += all[i];
		hf_hist_add(HF_HIST_SYNC, all[i]);
	}
	qsort(all, VALUES, sizeof(all[0]), by_value);
	hf_hist_sum(HF_HIST_SYNC, &view);
	cr_expect_eq(view.count, VALUES);
	cr_expect_eq(view.sum, sum);
	cr_expect_eq(view.max, all[VALUES - 1]);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(q); i++) {
		double exact = q[i] * VALUES;
		uint64_t rank = (uint64_t)exact + ((double)(uint64_t)exact < exact);

		expect_within(hf_hist_quantile(&view, q[i]), all[rank - 1]);
	}
}

Test(hist, the_bounds_for_prometheus_count_what_is_not_greater)
{
	uint64_t state = 3;
	uint32_t count = hf_hist_le_count(HF_HIST_ORIGIN_FETCH);

	cr_assert_not_null(hf_stat_register("a"));
	for (uint32_t i = 0; i < count; i++) {
		uint64_t le = hf_hist_le(HF_HIST_ORIGIN_FETCH, i);

		hf_hist_add(HF_HIST_ORIGIN_FETCH, le);
		hf_hist_add(HF_HIST_ORIGIN_FETCH, le + 1);
	}
	hf_hist_sum(HF_HIST_ORIGIN_FETCH, &view);
	for (uint32_t i = 0; i < count; i++)
		cr_expect_eq(
			hf_hist_count_le(&view, hf_hist_le(HF_HIST_ORIGIN_FETCH, i)), 2 * i + 1);
	for (int i = 0; i < 100; i++)
		hf_hist_add(HF_HIST_ORIGIN_FETCH, test_value(&state));
	hf_hist_sum(HF_HIST_ORIGIN_FETCH, &view);
	cr_expect_eq(hf_hist_count_le(&view, UINT64_MAX), view.count);
	cr_expect_eq(hf_hist_le(HF_HIST_RX_BURST, 0), 1);
	cr_expect_eq(hf_hist_le(HF_HIST_RX_BURST, 1), 2, "one bound an octave");
	cr_expect_eq(hf_hist_le(HF_HIST_HIT, 1), 768, "two");
}

static _Atomic bool stop;

static void *add_until_stop(void *arg)
{
	uint64_t value = *(uint64_t *)arg;

	cr_assert_not_null(hf_stat_register("a"));
	do
		hf_hist_add(HF_HIST_HIT, value);
	while (!atomic_load_explicit(&stop, memory_order_relaxed));
	return NULL;
}

/* Each sum is one that was there at some time: nothing torn, lost or taken back. */
Test(hist, sums_while_threads_add_are_whole_and_only_grow)
{
	static uint64_t value[] = { 1000, 3000000, 70000000000 };
	uint64_t count = 0, sum = 0;
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, add_until_stop, &value[i]), 0);
	for (int i = 0; i < 200 || count < 1000; i++) {
		uint64_t shown = 0, least = 0;

		hf_hist_sum(HF_HIST_HIT, &view);
		for (uint32_t v = 0; v < 3; v++) {
			uint64_t n = view.bucket[hf_hist_bucket(value[v])];

			shown += n;
			least += n * value[v];
			cr_assert(n == 0 || view.max >= value[v], "a value without its maximum");
		}
		cr_assert_eq(shown, view.count);
		cr_assert_geq(view.count, count);
		cr_assert_geq(view.sum, least);
		cr_assert_geq(view.sum, sum);
		count = view.count;
		sum = view.sum;
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	hf_hist_sum(HF_HIST_HIT, &view);
	for (uint32_t v = 0; v < 3; v++)
		view.sum -= view.bucket[hf_hist_bucket(value[v])] * value[v];
	cr_expect_eq(view.sum, 0, "threads that ended count on");
}

Test(hist, who_did_not_register_adds_where_nobody_reads)
{
	hf_hist_add_many(HF_HIST_HIT, 5, 7);
	hf_hist_sum(HF_HIST_HIT, &view);
	cr_expect_eq(view.count, 0);
	cr_assert_not_null(hf_stat_register("a"));
	hf_hist_add_many(HF_HIST_HIT, 5, 7);
	hf_hist_sum(HF_HIST_HIT, &view);
	cr_expect_eq(view.count, 7);
	cr_expect_eq(view.sum, 35);
}

static void *register_and_tell(void *arg)
{
	cr_assert_not_null(hf_stat_register("aligned"));
	*(uintptr_t *)arg = (uintptr_t)hf_hist_own;
	return NULL;
}

Test(hist, no_line_of_a_thread_is_another_s)
{
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		uintptr_t own = 1;

		cr_assert_eq(pthread_create(&thread, NULL, register_and_tell, &own), 0);
		pthread_join(thread, NULL);
		cr_assert_eq(own % HF_CACHE_LINE, 0);
	}
}
