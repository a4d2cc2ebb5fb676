/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Whether the origins of a group answer, and what stands in while they do not.
 *
 *      head with a status below 500 -> good      \
 *      5xx, no answer -> failed, by its trigger  /  lib/fallback: FALLBACK after so many in a row
 *      silence for origin.patience -> suspected, until any of them is heard again
 *
 * Of a group that is suspected or in fallback, or in the node's fallback, who may have what is stored has it
 * at once (RFC 9111 §4.2.4); the fetch goes on for the cache's sake, ORIGIN_PROBES at a time. A group's state
 * allows no more than stale-if-error does; only the node's fallback does, up to max_stale.
 */
#include "hf_origin.h"

#include <stdlib.h>

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"

static const enum hf_stat health_stats[] = {
#define X(id, name) [HF_FALLBACK_BY_##id] = HF_STAT_ORIGIN_FAILED_##id,
#include "tbl/fallback_triggers.h"
#undef X
};

struct origin_health *origin_health_new(const struct hf_origin *origin)
{
	const struct hf_conf *conf = origin->conf;
	struct origin_health *health = calloc(1, sizeof(*health));

	HF_ASSERT(health);
	health->refs = 1;
	hf_list_init(&health->queue);
	hf_list_init(&health->turn_link);
	hf_list_init(&health->waits);
	hf_fallback_init(&health->fallback, hf_max_u32(conf->control_plane.failures, 1),
		hf_max_u32(conf->control_plane.successes, 1), origin->now_us);
	return health;
}

struct origin_health *origin_health_ref(struct origin_health *health)
{
	HF_ASSERT(health->refs > 0);
	health->refs++;
	return health;
}

void origin_health_unref(struct origin_health *health)
{
	HF_ASSERT(health->refs > 0);
	if (--health->refs > 0)
		return;
	HF_ASSERT(health->asked == 0 && hf_list_empty(&health->queue));
	if (hf_fallback_is_on(&health->fallback))
		hf_stat_sub(HF_STAT_ORIGIN_GROUPS_FALLEN, 1);
	free(health);
}

void origin_health_limits(const struct hf_origin *origin, struct origin_health *health)
{
	const struct hf_conf *conf = origin->conf;

	hf_fallback_limits_set(&health->fallback, hf_max_u32(conf->control_plane.failures, 1),
		hf_max_u32(conf->control_plane.successes, 1));
}

static void health_event(struct hf_origin *origin, struct origin_fetch *fetch,
	enum hf_fallback_event event, const char *why)
{
	enum hf_fallback_action action =
		hf_fallback_step(&fetch->health->fallback, event, origin->now_us);

	if (action == HF_FALLBACK_ENTER) {
		hf_stat_inc(HF_STAT_ORIGIN_FALLBACKS);
		hf_stat_add(HF_STAT_ORIGIN_GROUPS_FALLEN, 1);
		hf_log(HF_LOG_WARN, "origin", "group %s fails (%s): what is stored stands in",
			fetch->group->name, why);
	} else if (action == HF_FALLBACK_LEAVE) {
		hf_stat_sub(HF_STAT_ORIGIN_GROUPS_FALLEN, 1);
		hf_log(HF_LOG_INFO, "origin", "group %s answers again", fetch->group->name);
	}
}

void origin_health_heard(struct hf_origin *origin, struct origin_fetch *fetch)
{
	fetch->health->heard_us = origin->now_us;
	fetch->health->suspect = false;
}

void origin_health_answer(struct hf_origin *origin, struct origin_fetch *fetch, uint16_t status)
{
	if (origin_store_is_failure(status)) {
		origin_health_failed(origin, fetch, HF_FALLBACK_BY_5XX);
		return;
	}
	if (fetch->peer)
		origin_peer_good(origin, fetch->peer);
	health_event(origin, fetch, HF_FALLBACK_GOOD, "");
}

void origin_health_tried(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger)
{
	hf_stat_inc(health_stats[trigger]);
	if (fetch->peer)
		origin_peer_failed(origin, fetch);
}

void origin_health_failed(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger)
{
	origin_health_tried(origin, fetch, trigger);
	health_event(origin, fetch, HF_FALLBACK_FAILED, hf_fallback_trigger_name(trigger));
}

uint64_t origin_health_silent_us(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	return hf_max_u64(fetch->health->heard_us, fetch->sent_us) +
	       origin->conf->origin.patience_ms * 1000ULL;
}

bool origin_health_is_fallen(const struct origin_health *health)
{
	return health->suspect || hf_fallback_is_on(&health->fallback);
}

static bool health_is_fallen(const struct hf_origin *origin, const struct origin_health *health)
{
	return (origin->mode & HF_MODE_FALLBACK) || hf_fallback_is_on(&health->fallback);
}

bool origin_health_is_well(const struct hf_origin *origin, const struct origin_health *health)
{
	return !health->suspect && !health_is_fallen(origin, health);
}

uint32_t origin_health_timeout_ms(
	const struct hf_origin *origin, const struct origin_health *health, uint32_t normal_ms)
{
	return health_is_fallen(origin, health)
		       ? hf_min_u32(normal_ms, origin->conf->origin.fallback_timeout_ms)
		       : normal_ms;
}
