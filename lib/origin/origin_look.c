/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a new reader finds: an object that was stored meanwhile, or a fetch under way.
 */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"

static void look_at(void *arg, const struct hf_obj *obj)
{
	struct origin_look *look = arg;

	look->sample = obj;
}

/* Its answer is not known; the values that mattered in an earlier one must be the same. */
static bool look_may_wait(const struct origin_fetch *fetch, const struct hf_http_req *req)
{
	return fetch->vary_len == 0 || hf_cache_vary_matches(fetch->vary, fetch->vary_len, req);
}

/* Reads along what is being filled, or waits for a head. */
static bool look_join(
	struct hf_origin *origin, struct origin_reader *reader, struct origin_look *look)
{
	const struct hf_key *key = &reader->xchg->key;
	struct origin_fetch *waiting = NULL, *fetch = NULL;

	while ((fetch = origin_map_next(origin, key, fetch)) != NULL) {
		if (!fetch->joinable)
			continue;
		if (!fetch->obj) {
			if (!waiting && look_may_wait(fetch, look->req))
				waiting = fetch;
			continue;
		}
		look->sample = fetch->obj;
		if (origin_store_suits(
			    origin, fetch->obj, look->req, look->cache_req, /* pending= */ false))
			break;
	}
	if (!fetch) {
		if (!waiting || reader->xchg->has_authorization)
			return false;
		fetch = waiting;
	}
	reader->fetch = fetch;
	if (reader->xchg->background) {
		/* what it came for is being done */
		origin_stale_refresh_begin(origin, fetch, look->req);
		origin_reader_drop(origin, reader);
		return true;
	}
	if (!fetch->obj && (fetch->retries > 0 || !origin_health_is_well(origin, fetch->health)) &&
		origin_stale_serve(origin, reader, fetch,
			fetch->retries > 0 ? HF_STAT_CACHE_STALE_FAILED
					   : HF_STAT_CACHE_STALE_LATCHED,
			0)) {
		reader->fetch = NULL;
		return true;
	}
	hf_list_add_tail(&fetch->readers, &reader->link);
	hf_stat_inc(HF_STAT_ORIGIN_COALESCED);
	if (fetch->obj)
		origin_reader_attach(
			origin, reader, fetch->obj, fetch->stored_told, /* collapsed= */ true);
	return true;
}

bool origin_look_find(
	struct hf_origin *origin, struct origin_reader *reader, struct origin_look *look)
{
	struct hf_obj *obj = hf_shard_lookup(origin->shard, &reader->xchg->key, look->req);

	if (obj &&
		origin_store_suits(origin, obj, look->req, look->cache_req, /* pending= */ false)) {
		/* published since the worker looked */
		reader->xchg->local = true;
		origin_reader_attach(
			origin, reader, obj, /* stored= */ true, /* collapsed= */ false);
		return true;
	}
	hf_shard_each_variant(origin->shard, &reader->xchg->key, look_at, look);
	return look_join(origin, reader, look);
}
