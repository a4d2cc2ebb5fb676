/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache_rates.h"

#include <math.h>
#include <string.h>

/* Of counts each time they are used: half is left after 44 times. */
#define RATES_KEPT          (63.0 / 64)
/* Touches that are expected, before any are seen, while an object stays idle for as long again;
 * this counts as much as one object that did. */
#define RATES_FIRST         0.5
#define RATES_FIRST_WEIGHT  1.0
/* So many objects' time must be seen until a class's own rate counts as much as the common one. */
#define RATES_COMMON_WEIGHT 4.0
/* Less than this chance to stay untouched for so long matters not. */
#define RATES_TAIL          0.01

/* Half octaves: 1, (1.5), 2, 3, 4, 6, 8 ... */
static uint32_t rates_bin(uint32_t time)
{
	uint32_t octave = 31 - (uint32_t)__builtin_clz(time | 1);
	uint32_t half = octave > 0 ? time >> (octave - 1) & 1 : 0;

	return hf_min_u32(2 * octave + half, CACHE_RATES_BINS - 1);
}

static uint32_t rates_class(struct hf_obj_past past)
{
	uint32_t often = past.touches < 2 ? 0 : past.touches < CACHE_RATES_TOUCHES ? 1 : 2;

	if (past.touches == 0)
		return 0;
	return 1 + often * CACHE_RATES_INTERVALS + past.interval_bin / 4;
}

static double rates_width(const struct cache_rates *rates, uint32_t bin)
{
	return rates->begin[bin + 1] - rates->begin[bin];
}

/* ---- counting ---- */

void cache_rates_saw_idle(
	struct cache_rates *rates, struct hf_obj_past past, uint32_t from, uint32_t to)
{
	double *time = rates->time[rates_class(past)];
	uint32_t bin = rates_bin(from), last = rates_bin(to);
	double begin = from;

	HF_ASSERT(from <= to);
	for (; bin < last; bin++) {
		time[bin] += rates->begin[bin + 1] - begin;
		begin = rates->begin[bin + 1];
	}
	time[last] += to - begin;
}

void cache_rates_saw_touch(struct cache_rates *rates, struct hf_obj_past *past, uint32_t idle)
{
	uint32_t bin = rates_bin(idle);

	rates->touches[rates_class(*past)][bin] += 1;
	/* the mean, in which the last interval is half */
	past->interval_bin =
		(uint8_t)(past->touches == 0 ? bin : (past->interval_bin + bin + 1) / 2);
	past->touches = (uint8_t)hf_min_u32(past->touches + 1, CACHE_RATES_TOUCHES);
}

/* ---- reckoning ---- */

/* Where little was seen, an octave brings as many touches, in proportion, as the one before. */
static void rates_reckon_common(struct cache_rates *rates)
{
	double expected = RATES_FIRST; /* touches while idle for as long again */

	for (uint32_t bin = 0; bin < CACHE_RATES_BINS; bin++) {
		double touches = RATES_FIRST_WEIGHT * expected;
		double time = RATES_FIRST_WEIGHT * rates->begin[bin];

		for (uint32_t class = 0; class < CACHE_RATES_CLASSES; class ++) {
			touches += rates->touches[class][bin];
			time += rates->time[class][bin];
		}
		rates->common[bin] = touches / time;
		/* what all are asked for at once, as in a loop, tells nothing of later */
		expected = fmin(rates->common[bin] * rates->begin[bin], 2);
	}
}

/* One that has been idle until this bin: how long to keep it for a touch, and what that brings. */
static double rates_index(const struct cache_rates *rates, const double *chance, uint32_t from)
{
	double left = 1, touches = 0, time = 0, best = 0;

	for (uint32_t bin = from; bin < CACHE_RATES_BINS && left > RATES_TAIL; bin++) {
		touches += left * chance[bin];
		time += left * rates_width(rates, bin) * (1 - chance[bin] / 2);
		left *= 1 - chance[bin];
		best = fmax(best, touches / time);
	}
	return best;
}

static void rates_reckon(struct cache_rates *rates, uint32_t class)
{
	double chance[CACHE_RATES_BINS]; /* to be touched in this bin, when not before */

	for (uint32_t bin = 0; bin < CACHE_RATES_BINS; bin++) {
		double *touches = &rates->touches[class][bin], *time = &rates->time[class][bin];
		double weight = RATES_COMMON_WEIGHT * rates->begin[bin];
		double rate = (*touches + weight * rates->common[bin]) / (*time + weight);

		chance[bin] = -expm1(-rate * rates_width(rates, bin));
		*touches *= RATES_KEPT;
		*time *= RATES_KEPT;
	}
	for (uint32_t bin = 0; bin < CACHE_RATES_BINS; bin++)
		rates->index[class][bin] = rates_index(rates, chance, bin);
}

void cache_rates_learn(struct cache_rates *rates)
{
	if (rates->class_next == 0)
		rates_reckon_common(rates);
	rates_reckon(rates, rates->class_next);
	rates->class_next = (rates->class_next + 1) % CACHE_RATES_CLASSES;
}

void cache_rates_init(struct cache_rates *rates)
{
	memset(rates, 0, sizeof(*rates));
	for (uint32_t bin = 0; bin <= CACHE_RATES_BINS; bin++)
		rates->begin[bin] = (double)(1UL << bin / 2) * (bin % 2 ? 1.5 : 1.0);
	for (uint32_t class = 0; class < CACHE_RATES_CLASSES; class ++)
		cache_rates_learn(rates);
}

double cache_rates_index(const struct cache_rates *rates, struct hf_obj_past past, uint32_t idle)
{
	return rates->index[rates_class(past)][rates_bin(idle)];
}

void cache_rates_check(const struct cache_rates *rates)
{
	HF_ASSERT(rates->class_next < CACHE_RATES_CLASSES);
	for (uint32_t class = 0; class < CACHE_RATES_CLASSES; class ++) {
		for (uint32_t bin = 0; bin < CACHE_RATES_BINS; bin++) {
			HF_ASSERT(rates->touches[class][bin] >= 0);
			HF_ASSERT(rates->time[class][bin] >= 0);
			/* within a bin at most one touch, in half of its width */
			HF_ASSERT(rates->index[class][bin] >= 0 && rates->index[class][bin] <= 4);
		}
	}
}

void cache_rates_check_past(struct hf_obj_past past)
{
	HF_ASSERT(past.touches <= CACHE_RATES_TOUCHES && past.interval_bin < CACHE_RATES_BINS);
}
