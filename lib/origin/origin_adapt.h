/* SPDX-License-Identifier: BSD-3-Clause
 *
 * adapt - how many fetches an origin can have under way before they only wait for one another there.
 *
 * What      From how long heads take: the mean of the answers of a window against the mean without load says
 *           how many of those under way stand in a queue at the origin (TCP Vegas: Brakmo and Peterson, 1995).
 *           A few shall; with fewer the limit grows, with more it shrinks, with failures by a third at once.
 *           Growth is quick until the first time that it was too much.
 * Picture   sample ... sample -> window -> limit up | down     every 40th: half of it, to measure the base anew
 * Threads   One at a time; the caller sees to that. Pure: time and samples come in, the limit goes out.
 * Promises  A1 the limit is never outside of its bounds.
 *           A2 it settles where answers begin to be slower, whether what an origin can do is less or more
 *               than before.
 *           A3 while not half of it is used it does not grow.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_adapt.h is private to lib/origin"
#endif
#ifndef ORIGIN_ADAPT_H
#define ORIGIN_ADAPT_H

#include "hf_base.h"

struct origin_adapt {
	uint32_t min, max;
	double limit;
	bool seeking;         /* it was never too much yet */
	bool probing;         /* the window is for the base */
	double base_us;       /* 0: not known */
	uint64_t began_us;    /* the window */
	uint64_t sum_us;      /* of its samples */
	uint32_t count, most; /* of its samples, and how many were under way at most */
	uint32_t failures, windows;
};

/* The bounds; MAX is no less than MIN. A limit that is outside of them is moved. */
void origin_adapt_bounds(struct origin_adapt *adapt, uint32_t min, uint32_t max);
/* An answer's head came, or FAILED: none, or one that says that it was too much. It was asked for at SENT_US,
 * and with it so many were under way just before. Returns the limit. */
uint32_t origin_adapt_sample(struct origin_adapt *adapt, uint64_t now_us, uint64_t sent_us,
	uint32_t under_way, bool failed);
uint32_t origin_adapt_limit(const struct origin_adapt *adapt);

#endif
