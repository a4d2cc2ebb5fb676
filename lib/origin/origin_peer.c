/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How one origin does.
 */
#include "hf_origin.h"

#include "origin_priv.h"

bool origin_target_usable(const struct hf_origin *origin, const struct origin_fetch *fetch,
	uint32_t at, enum origin_choice choice)
{
	const struct origin_group *group =
		&fetch->view->group[fetch->group - fetch->view->state->group];
	const struct origin_peer *peer = group->peer[at];

	(void)origin;
	HF_ASSERT(at < fetch->group->origin_count);
	if (peer->drained)
		return false;
	for (uint32_t i = 0; choice == ORIGIN_CHOICE_UNTRIED && i < fetch->retries; i++)
		if (fetch->tried[i] == peer)
			return false;
	return true;
}
