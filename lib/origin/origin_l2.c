/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The second tier is asked, once for all who wait for a key, before a slot and an origin are.
 *
 *      submit -> L2 --a response, fresh for its leader--> published, HEAD to all whom it suits
 *                 |--names of Vary--> the variant is asked for
 *                 |--stale, or refused by its leader--> published, to be validated -> QUEUED
 *                 |--nothing, of no use--> (lease) -> asked again, for what came before the lease -> QUEUED
 *                 |                            '--another edge's--> a pause, and asked again
 *                 '--no answer in time--> who may have a stale response has it, the others -> QUEUED
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_l2.h"
#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_l2.h"
#include "origin_priv.h"

/* ---- life ---- */

struct hf_l2_limits hf_origin_l2_limits(const struct hf_conf *conf)
{
	return (struct hf_l2_limits){ .connect_ms = conf->l2.connect_timeout_ms,
		.read_ms = conf->l2.read_timeout_ms,
		.write_ms = conf->l2.write_timeout_ms,
		.keepalive_ms = conf->l2.keepalive_ms,
		.lifetime_ms = conf->l2.lifetime_ms,
		.connections = conf->l2.connections,
		.ca_file = conf->l2.ca_file };
}

int origin_l2_init(struct hf_origin *origin, struct hf_err *err)
{
	struct hf_l2_limits limits = hf_origin_l2_limits(origin->conf);

	hf_list_init(&origin->l2.puts);
	hf_list_init(&origin->l2.dels);
	return hf_l2_new(&limits, err, &origin->l2.client);
}

void origin_l2_fini(struct hf_origin *origin)
{
	hf_l2_free(origin->l2.client);
	hf_l2_codec_free(origin->l2.codec);
	if (!origin->l2.puts.next)
		return;
	origin_l2_puts_fini(origin);
	origin_l2_dels_fini(origin);
	origin_l2_purged_fini(origin);
}

void origin_l2_limits(struct hf_origin *origin)
{
	struct hf_l2_limits limits = hf_origin_l2_limits(origin->conf);

	hf_l2_limits_set(origin->l2.client, &limits);
}

const struct hf_state_l2 *origin_l2_set(const struct hf_origin *origin)
{
	return origin->view && origin->l2.codec && hf_l2_is_on(origin->l2.client)
		       ? &origin->view->state->l2
		       : NULL;
}

void origin_l2_adopt(struct hf_origin *origin)
{
	const struct hf_state_l2 *set = &origin->view->state->l2;
	const struct hf_l2_codec_cfg cfg = { .value_max = set->value_max,
		.zstd_min = set->zstd_min };
	struct origin_l2 *l2 = &origin->l2;

	if (set->on && (!l2->codec || cfg.value_max != l2->codec_cfg.value_max ||
			       cfg.zstd_min != l2->codec_cfg.zstd_min)) {
		hf_l2_codec_free(l2->codec);
		l2->codec = hf_l2_codec_new(&cfg); /* without it L2 is off */
		l2->codec_cfg = cfg;
	}
	hf_l2_nodes_set(l2->client, set, origin->now_us);
}

bool origin_l2_run(struct hf_origin *origin)
{
	return hf_l2_run(origin->l2.client, origin->now_us);
}

struct hf_cache_life origin_l2_life(
	const struct hf_origin *origin, const struct hf_cache_life *life, uint32_t age_s)
{
	const struct hf_state_l2 *set = origin_l2_set(origin);

	return set ? hf_l2_l1_life(life, age_s, set->l1_ttl_s) : *life;
}

/* ---- the question ---- */

void origin_l2_key(
	const struct hf_origin *origin, const struct hf_key *key, struct hf_l2_key *ret_key)
{
	hf_l2_key_of(origin_l2_set(origin)->name, (struct hf_span){ key->ptr, key->len }, ret_key);
}

/* Of an answer that is for all, and to a request that takes one that was not made for it. */
static bool l2_may_ask(const struct origin_fetch *fetch, const struct origin_look *look)
{
	return fetch->joinable && fetch->method == HF_HTTP_GET && look->req &&
	       !look->cache_req->has_secret_query && !hf_cache_req_validates(look->cache_req) &&
	       !fetch->leader->whole;
}

static struct hf_l2_key l2_lease(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	struct hf_l2_key key, lease;

	origin_l2_key(origin, &fetch->key, &key);
	hf_l2_key_lease(&key, &lease);
	return lease;
}

static void l2_found(struct origin_fetch *fetch, enum origin_l2_found found, uint64_t mark)
{
	fetch->l2.found = found;
	fetch->l2.mark = mark;
}

static void l2_delete(struct hf_origin *origin, struct origin_fetch *fetch)
{
	l2_found(fetch, ORIGIN_L2_NOTHING, origin_l2_del(origin, &fetch->key));
}

/* Is that under way? */
static bool l2_is_deleted(const struct hf_origin *origin, struct origin_fetch *fetch)
{
	uint64_t mark = origin_l2_deleting(origin, fetch->key.hash);

	if (mark != 0)
		l2_found(fetch, ORIGIN_L2_NOTHING, mark);
	return mark != 0;
}

static void l2_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value);

bool origin_l2_ask(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_look *look)
{
	struct hf_l2_key key;

	if (!origin_l2_set(origin))
		return false;
	if (l2_is_deleted(origin, fetch) || !l2_may_ask(fetch, look))
		return false;
	origin_l2_key(origin, &fetch->key, &key);
	fetch->l2.ask.done = l2_done;
	if (!hf_l2_get(origin->l2.client, &key, &fetch->l2.ask, origin->now_us)) {
		hf_stat_inc(HF_STAT_VALKEY_GET_FALLBACK);
		return false;
	}
	fetch->state = ORIGIN_L2;
	fetch->tags_purged = origin->purge.tags_purged;
	return true;
}

void origin_l2_forget(struct hf_origin *origin, struct origin_fetch *fetch)
{
	hf_l2_cancel(&fetch->l2.ask);
	if (fetch->l2.leased && origin_l2_set(origin)) {
		struct hf_l2_key lease = l2_lease(origin, fetch);

		/* behind the response on its way; else the lease ends by itself */
		hf_l2_del(origin->l2.client, &lease, NULL, origin->now_us);
	}
	fetch->l2.leased = false;
	hf_wipe_free(fetch->l2.vary);
	fetch->l2.vary = NULL;
}

/* ---- the answer ---- */

/* The lease is ours, or nobody's; or another edge fetches, whose response is waited for. */
static void l2_leased(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct origin_fetch *fetch = HF_CONTAINER_OF(ask, struct origin_fetch, l2.ask);
	struct hf_origin *origin = fetch->origin;

	HF_ASSERT(fetch->state == ORIGIN_L2 && fetch->leader);
	fetch->l2.leased = outcome == HF_L2_DONE;
	if (fetch->l2.leased)
		origin_l2_due(origin, fetch);
	else if (outcome == HF_L2_NIL && origin->now_us < fetch->l2.until_us)
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_L2, ORIGIN_L2_PAUSE_US);
	else
		origin_fetch_enqueue(origin, fetch);
}

/* Shall one edge fetch it for all? False: everyone for himself. */
static bool l2_take_lease(struct hf_origin *origin, struct origin_fetch *fetch)
{
	const struct hf_state_l2 *set = origin_l2_set(origin);
	struct hf_l2_key lease;

	if (!set || set->lease_ms == 0 || fetch->l2.leased)
		return false;
	if (fetch->l2.until_us == 0)
		fetch->l2.until_us = origin->now_us + set->lease_ms * 1000ULL;
	lease = l2_lease(origin, fetch);
	fetch->l2.ask.done = l2_leased;
	return hf_l2_claim(
		origin->l2.client, &lease, set->lease_ms, &fetch->l2.ask, origin->now_us);
}

static void l2_miss(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->l2.until_us == 0) {
		hf_stat_inc(HF_STAT_L2_MISS);
		hf_stat_inc(HF_STAT_VALKEY_MISS);
	}
	if (!l2_take_lease(origin, fetch))
		origin_fetch_enqueue(origin, fetch);
}

void origin_l2_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_l2_key key;

	HF_ASSERT(fetch->state == ORIGIN_L2 && !fetch->l2.ask.request);
	hf_wipe_free(fetch->l2.vary); /* there may be other names now */
	fetch->l2.vary = NULL;
	fetch->l2.vary_len = 0;
	fetch->l2.ask.done = l2_done;
	if (origin_l2_set(origin) && !l2_is_deleted(origin, fetch)) {
		origin_l2_key(origin, &fetch->key, &key);
		if (hf_l2_get(origin->l2.client, &key, &fetch->l2.ask, origin->now_us))
			return;
	}
	origin_fetch_enqueue(origin, fetch);
}

/* RFC 5861: what is stored stands in, where it may. */
static void l2_failed(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list *first;

	hf_stat_inc(HF_STAT_L2_GET_ERROR);
	hf_stat_inc(HF_STAT_VALKEY_GET_FALLBACK);
	(void)origin_stale_serve_all(origin, fetch, HF_STAT_CACHE_STALE_L2, 0);
	first = hf_list_first(&fetch->readers);
	if (!first) {
		origin_fetch_end(origin, fetch);
		return;
	}
	if (!fetch->leader)
		fetch->leader = HF_CONTAINER_OF(first, struct origin_reader, link);
	origin_fetch_enqueue(origin, fetch);
}

/* The values of its request, under the names that L2 has. */
static bool l2_variant(struct hf_origin *origin, struct origin_fetch *fetch,
	const struct hf_http_req *req, const struct hf_l2_value *names)
{
	int len = hf_cache_vary_rebuild(
		origin->scratch, ORIGIN_VARY_MAX, names->vary.ptr, names->vary.len, req);

	if (len <= 0)
		return false;
	fetch->l2.vary = malloc((size_t)len);
	if (fetch->l2.vary)
		memcpy(fetch->l2.vary, origin->scratch, (size_t)len);
	hf_wipe(origin->scratch, (size_t)len);
	fetch->l2.vary_len = fetch->l2.vary ? (uint32_t)len : 0;
	fetch->l2.epoch = names->epoch;
	return fetch->l2.vary;
}

/* False: it is not asked for. */
static bool l2_ask_variant(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_l2_key key, variant;

	if (!origin_l2_set(origin))
		return false;
	origin_l2_key(origin, &fetch->key, &key);
	hf_l2_key_variant(&key, fetch->l2.epoch,
		(struct hf_span){ fetch->l2.vary, fetch->l2.vary_len }, &variant);
	return hf_l2_get(origin->l2.client, &variant, &fetch->l2.ask, origin->now_us);
}

/* NULL: there is no memory for it now. */
static struct hf_obj *l2_object(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_l2_value *value)
{
	const struct hf_cache_record *record = &value->record;
	struct hf_obj_spec spec = hf_cache_record_spec(
		origin->cache, record, (int64_t)origin->now_us - ORIGIN_CLOCK_LAG_US);
	struct hf_obj *obj;

	if (record->length > origin_store_object_max(origin, fetch))
		return NULL;
	spec.key = fetch->key;
	spec.life = origin_l2_life(
		origin, &record->life, (uint32_t)hf_min_u64(record->age_us / 1000000, UINT32_MAX));
	obj = hf_shard_obj_new(origin->shard, &spec);
	if (!obj)
		return NULL;
	if (hf_shard_fill(origin->shard, obj, value->body.ptr, value->body.len) < value->body.len) {
		hf_shard_obj_unref(origin->shard, obj);
		return NULL;
	}
	hf_shard_fill_end(origin->shard, obj);
	return obj;
}

/* Was it purged while it was asked for, or before? */
static bool l2_is_purged(const struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_obj *obj, int64_t asked_us)
{
	struct hf_http_fields fields;

	if (fetch->l2.voided || origin_l2_was_purged(origin, obj, asked_us))
		return true;
	return !hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &fields) ||
	       origin_purge_tagged(origin, fetch, &fields, NULL);
}

/* What is stored of the variant is not from later. */
static bool l2_is_newer(const struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct hf_http_req *req, const struct hf_obj *obj)
{
	const struct hf_obj *stored = hf_shard_lookup(origin->shard, &fetch->key, req);

	return !stored || stored->born_us <= obj->born_us;
}

static void l2_serve(struct hf_origin *origin, struct origin_fetch *fetch, struct hf_obj *obj)
{
	struct hf_list *it;

	hf_stat_inc(HF_STAT_L2_HIT);
	hf_list_for_each (it, &fetch->readers)
		HF_CONTAINER_OF(it, struct origin_reader, link)->xchg->local = true;
	fetch->obj = obj; /* with our reference */
	fetch->stored_told = true;
	fetch->joinable = false;
	hf_list_del(&fetch->map_link); /* who looks again finds it stored */
	hf_obj_touch(obj);
	origin_store_settle(origin, fetch, /* share= */ true);
	origin_fetch_end(origin, fetch);
}

static void l2_response(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_l2_value *value)
{
	struct hf_obj *obj = l2_object(origin, fetch, value);
	struct hf_http_req req;
	struct hf_cache_req cache_req;

	if (!obj) {
		hf_stat_inc(HF_STAT_L2_STORAGE_ERRORS);
		l2_miss(origin, fetch);
		return;
	}
	if (l2_is_purged(origin, fetch, obj, value->asked_us)) {
		l2_delete(origin, fetch);
		hf_shard_obj_unref(origin->shard, obj);
		l2_miss(origin, fetch);
		return;
	}
	if (!origin_reader_parse(fetch->leader, &req, &cache_req)) {
		hf_shard_obj_unref(origin->shard, obj);
		l2_miss(origin, fetch);
		return;
	}
	if (l2_is_newer(origin, fetch, &req, obj)) {
		hf_shard_publish(origin->shard, obj);
		fetch->known = true; /* to be validated, at least */
	}
	if (origin_store_suits(origin, obj, &req, &cache_req, /* pending= */ false)) {
		l2_serve(origin, fetch, obj);
		return;
	}
	hf_shard_obj_unref(origin->shard, obj);
	l2_miss(origin, fetch);
}

static void l2_value(struct hf_origin *origin, struct origin_fetch *fetch, struct hf_span bytes)
{
	const struct hf_l2_want want = { .url = { fetch->key.ptr, fetch->key.len },
		.vary = { fetch->l2.vary, fetch->l2.vary_len },
		.now_us = hf_clock_unix_us(),
		.max_stale_s = origin->conf->control_plane.max_stale_s };
	struct hf_l2_value value;
	enum hf_l2_verdict verdict = hf_l2_decode(origin->l2.codec, bytes, &want, &value);
	struct hf_http_req req;

	if (!fetch->l2.vary)
		l2_found(fetch, ORIGIN_L2_RESPONSE, 0);
	if (verdict != HF_L2_GOOD) {
		if (verdict == HF_L2_CORRUPT)
			hf_stat_inc(HF_STAT_L2_STORAGE_ERRORS);
		hf_log(HF_LOG_WARN, "l2", "client_error: a value that is %s",
			hf_l2_verdict_name(verdict));
		if (hf_l2_verdict_deletes(verdict))
			l2_delete(origin, fetch);
		l2_miss(origin, fetch);
		return;
	}
	if (value.kind == HF_L2_RESPONSE) {
		l2_response(origin, fetch, &value);
		return;
	}
	if (value.kind == HF_L2_PURGED) {
		l2_found(fetch, ORIGIN_L2_NOTHING, value.mark);
		l2_miss(origin, fetch);
		return;
	}
	l2_found(fetch, ORIGIN_L2_NAMES, 0);
	if (!origin_reader_parse_head(fetch->leader->xchg->head, &req) ||
		!l2_variant(origin, fetch, &req, &value) || !l2_ask_variant(origin, fetch))
		l2_miss(origin, fetch);
}

static void l2_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct origin_fetch *fetch = HF_CONTAINER_OF(ask, struct origin_fetch, l2.ask);
	struct hf_origin *origin = fetch->origin;

	HF_ASSERT(fetch->state == ORIGIN_L2 && fetch->leader);
	switch (outcome) {
	case HF_L2_FAILED:
		l2_failed(origin, fetch);
		break;
	case HF_L2_NIL:
		if (!fetch->l2.vary)
			l2_found(fetch, ORIGIN_L2_NOTHING, 0);
		l2_miss(origin, fetch);
		break;
	case HF_L2_DONE:
		if (origin->l2.codec)
			l2_value(origin, fetch, value);
		else
			l2_miss(origin, fetch);
		break;
	}
}
