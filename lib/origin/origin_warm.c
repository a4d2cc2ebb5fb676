/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The snapshot of the cache comes back, a portion a turn: control's side reads it, and calls with what is this
 * thread's. What a request, a purge or an answer of the origin settled meanwhile stands.
 */
#include "hf_origin.h"

#include <errno.h>

#include "origin_answer.h"
#include "origin_priv.h"

int hf_origin_warm_begin(struct hf_origin *origin)
{
	HF_ASSERT(!origin->warm);
	origin->warm = hf_snap_fill_new(origin->cache, origin->index);
	return origin->warm ? 0 : -ENOMEM;
}

void origin_warm_take(struct hf_origin *origin, const struct hf_origin_call *call)
{
	struct hf_snap_run run = {
		.frames = call->frames,
		.saved_clock_us = call->saved_clock_us,
		.object_max = origin->object_max,
		.max_stale_s = origin->conf->control_plane.max_stale_s,
	};

	HF_ASSERT(origin->warm);
	if (run.frames.len > 0)
		hf_snap_fill_take(origin->warm, &run, origin->now_us);
	else
		origin_warm_fini(origin);
}

void origin_warm_fini(struct hf_origin *origin)
{
	hf_snap_fill_free(origin->warm);
	origin->warm = NULL;
}

void origin_warm_forget(struct hf_origin *origin, uint64_t hash)
{
	if (origin->warm)
		hf_snap_forget_key(origin->warm, hash);
}

void origin_warm_forget_many(struct hf_origin *origin, const struct hf_purge_walk *walk)
{
	if (origin->warm)
		hf_snap_forget_many(origin->warm, walk);
}
