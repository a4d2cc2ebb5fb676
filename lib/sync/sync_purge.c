/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The purges of documents. A document that came into force has them carried out by the sync thread,
 * oldest document first; it is acknowledged behind them, and while some are left an expired state
 * stays so. Between two of many the control plane is asked at its time, unless the history is full.
 *
 * Ids are remembered, so that a purge that stands in many documents is carried out once. In doubt
 * it is carried out again: after a start, when it was not done in time, and when SYNC_PURGES_KNOWN
 * others came since a document had it.
 */
#include "hf_sync.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "hf_log.h"
#include "hf_stat.h"
#include "sync_priv.h"

/* Objects keep the order in which keys came: the first is the one that was seen last the longest
 * ago. */
static void purge_remember(struct hf_sync *sync, const char *id)
{
	(void)json_object_del(sync->purged, id);
	HF_ASSERT(json_object_set_new(sync->purged, id, json_true()) == 0);
	if (json_object_size(sync->purged) > SYNC_PURGES_KNOWN)
		(void)json_object_del(
			sync->purged, json_object_iter_key(json_object_iter(sync->purged)));
}

/* The oldest document with purges that are left; NULL: none. */
static struct sync_kept *purge_oldest(struct hf_sync *sync)
{
	for (uint32_t i = sync->kept_count; i > 0; i--)
		if (!sync->kept[i - 1].purged)
			return &sync->kept[i - 1];
	return NULL;
}

bool sync_purge_is_left(struct hf_sync *sync)
{
	return purge_oldest(sync) != NULL;
}

/* The next document would push one with purges out of the history. */
static bool purge_is_urgent(const struct hf_sync *sync)
{
	return sync->kept_count == HF_SYNC_HISTORY && !sync->kept[HF_SYNC_HISTORY - 1].purged;
}

/* False: some are left. At least one is carried out, however late it is. */
static bool purge_document(struct hf_sync *sync, const struct hf_state *state, uint64_t until_us)
{
	bool begun = false;

	for (uint32_t i = 0; i < state->purge_count; i++) {
		const struct hf_state_purge *purge = &state->purge[i];

		if (!json_object_get(sync->purged, purge->id)) {
			if (atomic_load(&sync->stop) || (begun && hf_clock_us() >= until_us) ||
				sync->cfg.purge(sync->cfg.arg, purge) != 0)
				return false;
			begun = true;
			hf_stat_inc(HF_STAT_STATE_PURGES);
			hf_log(HF_LOG_INFO, "sync", "purge \"%s\" is carried out", purge->id);
		}
		purge_remember(sync, purge->id);
	}
	return true;
}

bool sync_purge_run(struct hf_sync *sync, uint64_t until_us)
{
	bool done = true;

	(void)pthread_mutex_lock(&sync->lock);
	for (struct sync_kept *kept; done && (kept = purge_oldest(sync)) != NULL;) {
		struct hf_state *state = hf_state_ref(kept->state);
		bool urgent = purge_is_urgent(sync);

		(void)pthread_mutex_unlock(&sync->lock);
		done = purge_document(sync, state, urgent ? UINT64_MAX : until_us);
		(void)pthread_mutex_lock(&sync->lock);
		if (done)
			purge_oldest(sync)->purged = true; /* only this thread adds documents */
		hf_state_unref(state);
	}
	(void)pthread_mutex_unlock(&sync->lock);
	return done;
}
