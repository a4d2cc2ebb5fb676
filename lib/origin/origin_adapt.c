/* SPDX-License-Identifier: BSD-3-Clause */
#include "origin_adapt.h"

#define ADAPT_SAMPLES     10       /* of a window, at least */
#define ADAPT_WINDOW_US   60000000 /* a window that takes longer says nothing */
#define ADAPT_PROBE_EVERY 40       /* windows */

static void adapt_window(struct origin_adapt *adapt, uint64_t now_us)
{
	adapt->began_us = now_us;
	adapt->sum_us = 0;
	adapt->count = 0;
	adapt->most = 0;
	adapt->failures = 0;
}

static void adapt_clamp(struct origin_adapt *adapt)
{
	if (adapt->limit < adapt->min)
		adapt->limit = adapt->min;
	if (adapt->limit > adapt->max)
		adapt->limit = adapt->max;
}

void origin_adapt_bounds(struct origin_adapt *adapt, uint32_t min, uint32_t max)
{
	HF_ASSERT(min >= 1 && min <= max);
	if (adapt->max == 0) { /* a new one */
		adapt->limit = min;
		adapt->seeking = true;
	}
	adapt->min = min;
	adapt->max = max;
	adapt_clamp(adapt);
}

uint32_t origin_adapt_limit(const struct origin_adapt *adapt)
{
	double limit = adapt->probing ? adapt->limit / 2 : adapt->limit;

	return hf_max_u32((uint32_t)limit, adapt->min);
}

/* How many of those under way stood in the origin's queue, and what is to be done about it. */
static void adapt_judge(struct origin_adapt *adapt, double mean_us)
{
	double queued = adapt->limit * (1 - adapt->base_us / mean_us);
	double step = 1 + adapt->limit / (adapt->seeking ? 4 : 16);

	if (adapt->failures > 0) {
		adapt->limit *= 2.0 / 3;
		adapt->seeking = false;
	} else if (queued > 4 + adapt->limit / 8) {
		adapt->limit -= 1 + adapt->limit / 16;
		adapt->seeking = false;
	} else if (queued < 2 + adapt->limit / 16 && adapt->most * 2 > adapt->limit) {
		adapt->limit += step;
	}
	adapt_clamp(adapt);
}

static void adapt_window_end(struct origin_adapt *adapt)
{
	double mean_us = (double)hf_max_u64(adapt->sum_us, 1) / adapt->count;

	if (adapt->probing || adapt->base_us == 0 || mean_us < adapt->base_us)
		adapt->base_us = mean_us;
	if (!adapt->probing || adapt->failures > 0)
		adapt_judge(adapt, mean_us);
	adapt->probing = ++adapt->windows % ADAPT_PROBE_EVERY == 0;
}

uint32_t origin_adapt_sample(struct origin_adapt *adapt, uint64_t now_us, uint64_t sent_us,
	uint32_t under_way, bool failed)
{
	HF_ASSERT(adapt->max > 0);
	if (now_us > adapt->began_us + ADAPT_WINDOW_US)
		adapt_window(adapt, now_us);
	if (sent_us < adapt->began_us) /* it was asked for under another limit */
		return origin_adapt_limit(adapt);
	adapt->sum_us += now_us - sent_us;
	adapt->count++;
	adapt->failures += failed;
	adapt->most = hf_max_u32(adapt->most, under_way);
	if (adapt->count >= ADAPT_SAMPLES && adapt->count * 2 >= origin_adapt_limit(adapt)) {
		adapt_window_end(adapt);
		adapt_window(adapt, now_us);
	}
	return origin_adapt_limit(adapt);
}
