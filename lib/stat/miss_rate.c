/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache_miss_rate: what the counters were at the start of each of the last seconds, and what they
 * are now.
 */
#include "hf_stat.h"

#define RATE_WINDOW_S 60
#define RATE_MARKS    (RATE_WINDOW_S + 1)

struct rate_mark {
	uint64_t misses, all;
};

static struct rate_mark rate_marks[RATE_MARKS];
static uint64_t rate_last_s; /* the latest second that has a mark */

static struct rate_mark rate_now(void)
{
	static const enum hf_stat classes[] = {
		HF_STAT_CACHE_MISS_ABSENT,
		HF_STAT_CACHE_MISS_EXPIRED,
		HF_STAT_CACHE_MISS_VARY,
		HF_STAT_CACHE_MISS_UNCACHEABLE,
		HF_STAT_CACHE_MISS_BYPASS,
	};
	struct rate_mark now = { 0 };

	for (uint32_t i = 0; i < HF_ARRAY_LEN(classes); i++)
		now.misses += hf_stat_sum(classes[i]);
	now.all = now.misses + hf_stat_sum(HF_STAT_CACHE_HITS);
	return now;
}

void hf_stat_miss_rate_tick(uint64_t now_us)
{
	uint64_t now_s = now_us / 1000000, misses, all;
	struct rate_mark now = rate_now();
	const struct rate_mark *begin = &rate_marks[(now_s + 1) % RATE_MARKS];

	HF_ASSERT(now_s >= rate_last_s);
	if (now_s - rate_last_s > RATE_MARKS)
		rate_last_s = now_s - RATE_MARKS;
	while (rate_last_s < now_s)
		rate_marks[++rate_last_s % RATE_MARKS] = now;
	misses = now.misses - begin->misses;
	all = now.all - begin->all;
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, all ? misses * 1000000 / all : 0);
}
