/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hist - histograms with a bounded error, one block for each thread, summed when read.
 *
 * What      tbl/hists.h lists them. A value goes into one of 1088 buckets: the values to 64 have a
 *           bucket each (0 counts as 1), above each power of two has 32. A bucket holds (low,
 *           high], so every power of two, and 1.5 of it, ends a bucket: Prometheus' `le` bounds are
 *           exact.
 * Picture   thread -> its block of buckets <- (relaxed loads) - any thread: view over all blocks
 * Threads   hf_hist_add: any, on its own block only. All else: any.
 * Lifetime  As hf_stat's blocks: hf_stat_register gives both.
 * Promises  Adding is 26 instructions (x86-64): two stores on lines of the thread's own, no branch
 *           but for a new maximum, no division. A quantile is within 1/64 (1.6 %) of the value of
 *           that rank; counts, sums and the maximum are exact. What a view shows adds up: its count
 *           is its buckets'.
 * Limits    Values to 2^38 (274 s); above they count as one bucket, whose quantile is the maximum.
 *           8.7 KB a histogram and thread, of which only pages with values in them are memory.
 */
#ifndef HF_HIST_H
#define HF_HIST_H

#include "hf_stat.h"

#define HF_HIST_BUCKETS 1089 /* the last: more than 2^38 */

enum hf_hist {
#define F(name, help)
#define X(id, name, ...) HF_HIST_##id,
#include "tbl/hists.h"
#undef X
#undef F
	HF_HIST_COUNT
};

struct hf_hist_info {
	const char *name, *unit, *help;
	const char *labels; /* as in hf_stat_info */
	uint8_t le_from, le_to, le_steps;
};

extern const struct hf_hist_info hf_hist_infos[HF_HIST_COUNT];

struct hf_hist_cells {
	_Atomic uint64_t bucket[HF_HIST_BUCKETS];
	_Atomic uint64_t sum, max;
};

/* All of it as held: nanoseconds for seconds. */
struct hf_hist_view {
	uint64_t bucket[HF_HIST_BUCKETS];
	uint64_t count, sum, max;
};

extern _Thread_local struct hf_hist_cells *hf_hist_own; /* [HF_HIST_COUNT] */

/* The bucket of VALUE: 32 for each power of two of value - 1, which is what makes bounds
 * inclusive. */
static inline uint32_t hf_hist_bucket(uint64_t value)
{
	uint64_t v = value - (value > 0);
	uint32_t shift = 58 - (uint32_t)__builtin_clzll(v | 32);
	uint32_t i = shift * 32 + (uint32_t)(v >> shift);

	return hf_min_u32(i, HF_HIST_BUCKETS - 1);
}

/* COUNT values of the same size. The bucket comes last: who sees it there sees sum and max with
 * it. */
static inline void hf_hist_add_many(enum hf_hist id, uint64_t value, uint64_t count)
{
	struct hf_hist_cells *cells = &hf_hist_own[id];
	_Atomic uint64_t *bucket = &cells->bucket[hf_hist_bucket(value)];

	hf_stat_bump(&cells->sum, value * count);
	if (hf_unlikely(value > atomic_load_explicit(&cells->max, memory_order_relaxed)))
		atomic_store_explicit(&cells->max, value, memory_order_relaxed);
	atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + count,
		memory_order_release);
}

static inline void hf_hist_add(enum hf_hist id, uint64_t value)
{
	hf_hist_add_many(id, value, 1);
}

/* Over every registered thread. A value that is added meanwhile is in all of it, in `sum` and `max`
 * only, or not yet there. */
void hf_hist_sum(enum hf_hist id, struct hf_hist_view *ret_view);

/* The value of rank ceil(q * count) in order, 0 < q <= 1; 0 when there are no values. */
uint64_t hf_hist_quantile(const struct hf_hist_view *view, double q);

/* The bounds for Prometheus, ascending; +Inf, which is view.count, is not among them. */
uint32_t hf_hist_le_count(enum hf_hist id);
uint64_t hf_hist_le(enum hf_hist id, uint32_t i);
/* How many values were <= LE. Exact for what hf_hist_le returns; else for the bucket LE is in. */
uint64_t hf_hist_count_le(const struct hf_hist_view *view, uint64_t le);

#endif
