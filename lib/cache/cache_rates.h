/* SPDX-License-Identifier: BSD-3-Clause
 *
 * rates - how soon an object will be asked for again, learnt from what became of others like it.
 *
 * What      An object's past is how often it was seen touched and how long the times between were;
 *           pasts that are alike are one class. It is idle since it was last seen touched. For each
 *           class and idle time are counted how often one was touched then, and for how long one
 *           was not: the quotient is the rate of touches (hazard rate; LHD, Beckmann et al., NSDI
 *           2018, ranks by such counts as well).
 *           From the rates of a class follows an index for each idle time: the most touches for the
 *           time in the cache that keeping the object promises, however long it is then kept for
 *           its next touch (Gittins, Bandit Processes and Dynamic Allocation Indices, 1979). Where
 *           the rate falls the index is the rate, and the longest idle goes first, as in LRU. Where
 *           it is low now and high later, as in a loop, the index says whether the wait is worth
 *           it.
 * Picture   idle     1  1.5  2   3   4   6   8  ...  2^24    half octaves of time: bins
 *           touches      .   2   1   .   .   9
 *           time         8  30  41  60  70  60             rate = touches / time
 *           index        most, over T, of  touches until T / time until a touch or T
 * Threads   the owner of the struct. No heap, no clock: times are numbers of whatever unit.
 * Limits    43 KiB. Longer times than 2^24 count as that.
 * Tests     tests/unit/cache/test_cache_rates.c
 */
#ifndef HF_CACHE_RATES_H
#define HF_CACHE_RATES_H

#ifndef HF_PRIV_CACHE
#error "cache_rates.h is private to lib/cache"
#endif

#include "hf_object.h"

#define CACHE_RATES_OCTAVES   24
#define CACHE_RATES_BINS      (2 * CACHE_RATES_OCTAVES)
/* Intervals are alike within two octaves, numbers of touches when 1, 2-3, or more. Never touched is
 * a class of its own. */
#define CACHE_RATES_INTERVALS (CACHE_RATES_OCTAVES / 2)
#define CACHE_RATES_CLASSES   (1 + 3 * CACHE_RATES_INTERVALS)
#define CACHE_RATES_TOUCHES   4 /* more make no difference */

struct cache_rates {
	double touches[CACHE_RATES_CLASSES][CACHE_RATES_BINS]; /* while idle for so long */
	double time[CACHE_RATES_CLASSES][CACHE_RATES_BINS]; /* that objects were idle for so long */
	double index[CACHE_RATES_CLASSES][CACHE_RATES_BINS];
	double common[CACHE_RATES_BINS]; /* rates of all classes together */
	double begin[CACHE_RATES_BINS + 1];
	uint32_t class_next; /* to be reckoned */
};

/* Nothing is known: as LRU. */
void cache_rates_init(struct cache_rates *rates);
/* An object with this past was idle from then until then, and not touched. */
void cache_rates_saw_idle(
	struct cache_rates *rates, struct hf_obj_past past, uint32_t from, uint32_t to);
/* It was touched after it was idle for so long, which belongs to its past from now on. */
void cache_rates_saw_touch(struct cache_rates *rates, struct hf_obj_past *past, uint32_t idle);
/* Reckons one class's indices from the counts, each class in its turn; what was counted long ago
 * fades. */
void cache_rates_learn(struct cache_rates *rates);
/* Touches for the time in the cache that an object promises. */
double cache_rates_index(const struct cache_rates *rates, struct hf_obj_past past, uint32_t idle);
void cache_rates_check(const struct cache_rates *rates);
void cache_rates_check_past(struct hf_obj_past past);

#endif
