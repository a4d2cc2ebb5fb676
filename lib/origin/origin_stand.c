/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is stored stands in for a fetch whose origins are not well (origin_health.c).
 *
 *      SENT --origin.patience, and all of its group silent--> stand in: who may have a stale one has it
 *        \- its group is not well already ------------------/     |
 *                 goes on for the cache's sake, alone <-----------/
 *                     its origins stay silent: ends
 */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"

void origin_stand_in(struct hf_origin *origin, struct origin_fetch *fetch)
{
	const struct hf_xchg *led = fetch->leader ? fetch->leader->xchg : NULL;

	if (!fetch->shared ||
		origin_stale_serve_all(origin, fetch, HF_STAT_CACHE_STALE_LATCHED, 0) == 0)
		return;
	fetch->joinable = false;
	fetch->stood_us = origin->now_us;
	hf_timer_set(origin->wheel, &fetch->patience,
		origin->now_us + origin->conf->origin.fallback_timeout_ms * 1000ULL);
	if (led && !fetch->leader)
		origin_fetch_leader_left(origin, fetch, led);
}

bool origin_stand_is_enough(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!fetch->shared || fetch->health->asked < ORIGIN_PROBES)
		return false;
	(void)origin_stale_serve_all(origin, fetch, HF_STAT_CACHE_STALE_LATCHED, 0);
	if (fetch->leader && fetch->leader->xchg->background)
		origin_reader_drop(origin, fetch->leader);
	if (!fetch->leader && !hf_list_empty(&fetch->readers))
		fetch->leader =
			HF_CONTAINER_OF(hf_list_first(&fetch->readers), struct origin_reader, link);
	return !fetch->leader;
}

/* It goes on for the cache's sake; but not while its origins say nothing at all: others shall try. */
static void stand_alone_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (hf_list_empty(&fetch->readers) && fetch->health->heard_us <= fetch->stood_us) {
		origin_health_failed(origin, fetch, HF_FALLBACK_BY_TIMEOUT);
		origin_fetch_fail(origin, fetch, 504, HF_DROP_REQ_ORIGIN_TIMEOUT, "silent origins");
		return;
	}
	fetch->stood_us = origin->now_us;
	hf_timer_set(origin->wheel, &fetch->patience,
		origin->now_us + origin->conf->origin.fallback_timeout_ms * 1000ULL);
}

/* Nothing was heard of this fetch; if of no other either, its origins are suspected. */
void origin_stand_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	uint64_t silent_us;

	if (fetch->state != ORIGIN_SENT)
		return;
	if (fetch->stood_us != 0) {
		stand_alone_due(origin, fetch);
		return;
	}
	silent_us = origin_health_silent_us(origin, fetch);
	if (silent_us <= origin->now_us)
		fetch->health->suspect = true;
	if (origin_health_is_well(origin, fetch->health))
		hf_timer_set(origin->wheel, &fetch->patience, silent_us);
	else
		origin_stand_in(origin, fetch);
}
