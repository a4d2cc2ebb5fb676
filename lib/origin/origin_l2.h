/* SPDX-License-Identifier: BSD-3-Clause
 *
 * l2 - the second tier, as fetches see it.
 *
 * Threads   origin.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_l2.h is private to lib/origin"
#endif
#ifndef ORIGIN_L2_H
#define ORIGIN_L2_H

#include "origin_priv.h"

struct origin_look;

#define ORIGIN_L2_PAUSE_US 20000 /* before L2 is asked again for what another edge fetches */

/* origin_l2.c: the second tier is asked */
int origin_l2_init(struct hf_origin *origin, struct hf_err *err) HF_MUST_CHECK;
void origin_l2_fini(struct hf_origin *origin);
/* The configuration has changed. */
void origin_l2_limits(struct hf_origin *origin);
/* The view has. */
void origin_l2_adopt(struct hf_origin *origin);
bool origin_l2_run(struct hf_origin *origin);
/* NULL: there is no second tier now. */
const struct hf_state_l2 *origin_l2_set(const struct hf_origin *origin);
/* How long a response of that age may be used from L1. */
struct hf_cache_life origin_l2_life(
	const struct hf_origin *origin, const struct hf_cache_life *life, uint32_t age_s);
void origin_l2_key(
	const struct hf_origin *origin, const struct hf_key *key, struct hf_l2_key *ret_key);
/* False: it is not asked. Else the fetch is enqueued, or ends, when it has answered; never at once. */
bool origin_l2_ask(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_look *look);
/* ORIGIN_TIMER_L2: what another edge fetches may be there now. */
void origin_l2_due(struct hf_origin *origin, struct origin_fetch *fetch);
/* The fetch ends. */
void origin_l2_forget(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_l2_store.c: what goes to the second tier */
/* Lets it be found, there and here; here only if it must in write-around mode. */
void origin_l2_publish(
	struct hf_origin *origin, const struct origin_fetch *fetch, struct hf_obj *obj);
/* The same for what is found here already. */
void origin_l2_store(
	struct hf_origin *origin, const struct origin_fetch *fetch, const struct hf_obj *obj);
void origin_l2_puts_fini(struct hf_origin *origin);
/* What is there under the key is of no use, and of none what is on its way there. The mark instead of it. */
uint64_t origin_l2_del(struct hf_origin *origin, const struct hf_key *key);
/* That is under way, a question might come before it: its mark, else 0. */
uint64_t origin_l2_deleting(const struct hf_origin *origin, uint64_t hash);
void origin_l2_dels_fini(struct hf_origin *origin);
/* The same for all that WALK names. */
void origin_l2_purge(struct hf_origin *origin, const struct hf_purge_walk *walk);
void origin_l2_purged_fini(struct hf_origin *origin);
/* May a value that an origin was asked for at that time, Unix, be from before a purge of it? */
bool origin_l2_was_purged(
	const struct hf_origin *origin, const struct hf_obj *obj, int64_t asked_us);

#endif
