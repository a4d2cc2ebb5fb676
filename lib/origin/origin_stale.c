/* SPDX-License-Identifier: BSD-3-Clause
 *
 * RFC 5861: what is stored when the origin fails; refreshes that nobody waits for.
 */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_priv.h"

/* ---- stale-if-error (§4) ---- */

/* What is stored for the request: in the table, or held by the fetch that asked about it and evicted
 * since. Never what was purged (G3). */
static struct hf_obj *stale_find(const struct hf_origin *origin, const struct hf_key *key,
	const struct origin_fetch *fetch, const struct hf_http_req *req)
{
	struct hf_obj *obj = hf_shard_lookup(origin->shard, key, req);

	if (obj || !fetch || !fetch->stale || fetch->purged || fetch->stale->purged)
		return obj;
	obj = fetch->stale;
	return hf_cache_vary_matches(obj->vary, obj->vary_len, req) ? obj : NULL;
}

static bool stale_is_valid(const struct hf_origin *origin, const struct hf_obj *obj,
	const struct hf_cache_req *cache_req)
{
	const struct hf_http_cc *cc = &cache_req->cc;
	uint32_t age_s = hf_obj_life_age_s(obj, origin->now_us);
	uint32_t window_s = obj->life.sie_s;

	if (!hf_obj_is_open_to(obj, cache_req))
		return false;
	if (origin->mode & HF_MODE_FALLBACK)
		window_s = hf_max_u32(window_s, origin->conf->control_plane.max_stale_s);
	if (cc->has_stale_if_error) /* the request may say it as well */
		window_s = hf_max_u32(window_s, cc->stale_if_error_s);
	if (window_s == 0 && age_s >= obj->life.lifetime_s)
		return false;
	return hf_cache_stale_is_valid(&obj->life, cc, age_s, window_s);
}

bool origin_stale_serve(struct hf_origin *origin, struct origin_reader *reader,
	const struct origin_fetch *fetch, enum hf_stat why, uint16_t fwd_status)
{
	struct hf_xchg *xchg = reader->xchg;
	struct hf_http_req req;
	struct hf_cache_req cache_req;
	struct hf_obj *obj;

	if (xchg->background || !origin_reader_parse(reader, &req, &cache_req) ||
		!hf_cache_req_allows(&cache_req))
		return false;
	obj = stale_find(origin, &xchg->key, fetch, &req);
	if (!obj || !stale_is_valid(origin, obj, &cache_req))
		return false;
	/* of what L1 has of L2 the rest of the lifetime is in the window: softly purged, it waits for the origin's word */
	if (why == HF_STAT_CACHE_STALE_L2 && (atomic_load(&obj->flags) & HF_OBJ_STALE))
		return false;
	xchg->stale = true;
	xchg->local = fwd_status == 0;
	xchg->fwd_status = fwd_status;
	hf_obj_touch(obj);
	if (why == HF_STAT_CACHE_STALE_LATCHED && (origin->mode & HF_MODE_FALLBACK))
		why = HF_STAT_CACHE_STALE_FALLBACK;
	hf_stat_inc(why);
	origin_reader_attach(origin, reader, obj, /* stored= */ true, /* collapsed= */ false);
	return true;
}

bool origin_stale_is_forbidden(const struct hf_origin *origin, const struct origin_reader *reader,
	const struct origin_fetch *fetch)
{
	struct hf_http_req req;
	const struct hf_obj *obj = NULL;

	if (fetch->shared && origin_reader_parse_head(reader->xchg->head, &req))
		obj = stale_find(origin, &reader->xchg->key, fetch, &req);
	return obj && obj->life.stale_forbidden;
}

uint32_t origin_stale_serve_all(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_stat why, uint16_t fwd_status)
{
	struct hf_list *it, *after;
	uint32_t count = 0;

	HF_ASSERT(!fetch->obj);
	hf_list_for_each_safe (it, after, &fetch->readers) {
		struct origin_reader *reader = HF_CONTAINER_OF(it, struct origin_reader, link);

		if (!origin_stale_serve(origin, reader, fetch, why, fwd_status))
			continue;
		hf_list_del(it);
		reader->fetch = NULL;
		if (fetch->leader == reader)
			fetch->leader = NULL;
		count++;
	}
	return count;
}

bool origin_stale_stands(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	const struct hf_cache_req nothing = { .method = HF_HTTP_GET };
	struct hf_http_req req;
	struct hf_obj *obj;

	if (!origin_reader_parse_head(origin_store_request(fetch), &req))
		return false;
	obj = hf_shard_lookup(origin->shard, &fetch->key, &req);
	return obj && obj->status < 500 && stale_is_valid(origin, obj, &nothing);
}

/* ---- stale-while-revalidate (§3) ---- */

void origin_stale_refresh_begin(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_req *req)
{
	struct hf_obj *obj = hf_shard_lookup(origin->shard, &fetch->key, req);

	if (!obj || obj == fetch->refreshes)
		return;
	if (fetch->refreshes) { /* another variant's: this one asks again */
		hf_obj_refresh_put(obj, origin->now_us);
		return;
	}
	hf_shard_obj_ref(origin->shard, obj);
	fetch->refreshes = obj;
}

void origin_stale_refresh_end(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!fetch->refreshes)
		return;
	hf_obj_refresh_put(fetch->refreshes, origin->now_us);
	hf_shard_obj_unref(origin->shard, fetch->refreshes);
	fetch->refreshes = NULL;
}

void origin_stale_refresh_none(struct hf_origin *origin, const struct origin_reader *reader)
{
	struct hf_http_req req;
	struct hf_obj *obj;

	if (!origin_reader_parse_head(reader->xchg->head, &req))
		return;
	obj = hf_shard_lookup(origin->shard, &reader->xchg->key, &req);
	if (obj)
		hf_obj_refresh_put(obj, origin->now_us);
}
