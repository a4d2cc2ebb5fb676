/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Hedging, for the rest of lib/origin: see origin_hedge.c.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_hedge.h is private to lib/origin"
#endif
#ifndef ORIGIN_HEDGE_H
#define ORIGIN_HEDGE_H

struct origin_fetch;
struct origin_hedge;

/* The fetch was sent. */
void origin_hedge_arm(struct hf_origin *origin, struct origin_fetch *fetch);
/* It has no answer yet: it is sent elsewhere too, if it may be. */
void origin_hedge_due(struct hf_origin *origin, struct origin_fetch *fetch);
/* What became of those that were: which try goes on, which ends. May end fetches. */
bool origin_hedge_run(struct hf_origin *origin);
/* curl is done with EASY. False: it is not the first try of two. */
bool origin_hedge_ended(struct origin_fetch *fetch, const CURL *easy, CURLcode code);
bool origin_hedge_is_first(const struct origin_fetch *fetch, const CURL *easy);
/* The first of two: has it more than its head? */
bool origin_hedge_is_paused(const struct origin_fetch *fetch);
/* The second of two failed without a head. True: the first goes on. */
bool origin_hedge_goes_on(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code);
/* The second is alone, if there are two. */
void origin_hedge_drop(struct hf_origin *origin, struct origin_fetch *fetch);

#endif
