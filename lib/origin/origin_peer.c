/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How one origin does, as this thread sees it.
 *
 *      ORIGIN_EJECT_ROW failures in a row --> ejected for ORIGIN_EJECT_US times its ejections lately
 *      a good answer later than that, one in each ORIGIN_EJECT_US --> one ejection less
 *
 * At most half of a group is ejected. Where no origin does well, all that are not drained may be asked: what is
 * known of them may be out of date.
 */
#include "hf_origin.h"

#include <stdlib.h>

#include "origin_choice.h"
#include "origin_priv.h"

static const struct origin_group *peer_group(const struct origin_fetch *fetch)
{
	return &fetch->view->group[fetch->group - fetch->view->state->group];
}

struct origin_peer *origin_peer_new(
	const struct hf_origin *origin, const char *group, const char *id)
{
	struct origin_peer *peer = calloc(1, sizeof(*peer));

	HF_ASSERT(peer);
	origin_check_init(&peer->check);
	peer->site = origin_site_get(origin->slots, group, id);
	hf_list_init(&peer->wait_link);
	return peer;
}

bool origin_peer_is_ejected(const struct hf_origin *origin, const struct origin_peer *peer)
{
	return origin->now_us < peer->ejected_until_us;
}

void origin_peer_good(const struct hf_origin *origin, struct origin_peer *peer)
{
	peer->failed_row = 0;
	if (peer->ejections == 0 || origin->now_us < peer->calm_us)
		return;
	peer->ejections--;
	peer->calm_us = origin->now_us + ORIGIN_EJECT_US;
}

/* One more of the group would not be more than half of it. */
static bool peer_may_be_ejected(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	const struct origin_group *group = peer_group(fetch);
	uint32_t ejected = 1;

	for (uint32_t i = 0; i < fetch->group->origin_count; i++)
		ejected += origin_peer_is_ejected(origin, group->peer[i]);
	return 2 * ejected <= fetch->group->origin_count;
}

void origin_peer_failed(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	struct origin_peer *peer = fetch->peer;

	peer->failures++;
	if (origin_peer_is_ejected(origin, peer))
		return; /* asked before that */
	peer->failed_row++;
	if (peer->failed_row < ORIGIN_EJECT_ROW || !peer_may_be_ejected(origin, fetch))
		return;
	peer->failed_row = 0;
	peer->ejections = hf_min_u32(peer->ejections + 1, ORIGIN_EJECTIONS_MAX);
	peer->ejected_until_us = origin->now_us + (uint64_t)peer->ejections * ORIGIN_EJECT_US;
	peer->calm_us = peer->ejected_until_us;
	hf_stat_inc(HF_STAT_ORIGIN_EJECTIONS);
	hf_log(HF_LOG_WARN, "origin", "%s/%s failed %u times in a row: ejected for %u s",
		fetch->group->name, fetch->target->id, ORIGIN_EJECT_ROW,
		peer->ejections * (ORIGIN_EJECT_US / 1000000));
}

void origin_peer_tell(
	const struct hf_origin *origin, const struct origin_peer *peer, struct hf_origin_load *load)
{
	uint64_t left_us =
		peer->ejected_until_us - hf_min_u64(origin->now_us, peer->ejected_until_us);

	load->ejected_us = hf_max_u64(load->ejected_us, left_us);
	load->unhealthy |= origin_check_is_bad(&peer->check);
}

bool origin_target_usable(const struct hf_origin *origin, const struct origin_fetch *fetch,
	uint32_t at, enum origin_choice choice)
{
	const struct origin_peer *peer = peer_group(fetch)->peer[at];

	HF_ASSERT(at < fetch->group->origin_count);
	if (fetch->state == ORIGIN_RESUME) /* who began goes on, whatever became of it */
		return &fetch->group->origin[at] == fetch->target;
	if (peer->drained)
		return false;
	if (choice != ORIGIN_CHOICE_ANY &&
		(origin_peer_is_ejected(origin, peer) || origin_check_is_bad(&peer->check)))
		return false;
	for (uint32_t i = 0; choice == ORIGIN_CHOICE_UNTRIED && i < fetch->retries; i++)
		if (fetch->tried[i] == peer)
			return false;
	return true;
}
