/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a snapshot brings back into one shard, and what it must not: keys that were purged since the
 * load began are bits of a table, by their hashes; purges of many are kept as they were asked for.
 */
#include "hf_snap.h"

#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"

#include "snap_priv.h"

#define FILL_KEYS_BITS (1U << 19)

struct hf_snap_fill {
	struct hf_cache *cache;
	struct hf_shard *shard;
	struct hf_obj *obj; /* being filled; NULL: none, or it is left out */
	uint64_t left;      /* of its body */
	bool touched;
	bool forget_all;
	uint32_t purge_count;
	struct hf_purge_walk purge[HF_SNAP_FORGOTTEN_MAX]; /* kind and text, which is ours */
	uint64_t keys[FILL_KEYS_BITS / 64];
};

struct hf_snap_fill *hf_snap_fill_new(struct hf_cache *cache, uint32_t shard)
{
	struct hf_snap_fill *fill = calloc(1, sizeof(*fill));

	if (!fill)
		return NULL;
	fill->cache = cache;
	fill->shard = hf_cache_shard(cache, shard);
	return fill;
}

void hf_snap_fill_free(struct hf_snap_fill *fill)
{
	if (!fill)
		return;
	if (fill->obj)
		hf_shard_obj_unref(fill->shard, fill->obj);
	for (uint32_t i = 0; i < fill->purge_count; i++)
		free((void *)fill->purge[i].text.ptr);
	free(fill);
}

/* ---- what is not to come back ---- */

static uint64_t *fill_key_word(struct hf_snap_fill *fill, uint64_t hash)
{
	return &fill->keys[hash / 64 % (FILL_KEYS_BITS / 64)];
}

void hf_snap_forget_key(struct hf_snap_fill *fill, uint64_t hash)
{
	*fill_key_word(fill, hash) |= 1ULL << hash % 64;
}

void hf_snap_forget_many(struct hf_snap_fill *fill, const struct hf_purge_walk *purge)
{
	char *text = NULL;

	if (purge->kind != HF_PURGE_ALL && fill->purge_count < HF_SNAP_FORGOTTEN_MAX)
		text = malloc(purge->text.len + 1);
	if (!text) {
		fill->forget_all = true;
		return;
	}
	memcpy(text, purge->text.ptr, purge->text.len);
	fill->purge[fill->purge_count++] =
		(struct hf_purge_walk){ .kind = purge->kind, .text = { text, purge->text.len } };
}

static bool fill_is_forgotten(struct hf_snap_fill *fill, const struct hf_obj *obj)
{
	if (fill->forget_all || (*fill_key_word(fill, obj->hash) >> obj->hash % 64 & 1))
		return true;
	for (uint32_t i = 0; i < fill->purge_count; i++)
		if (hf_purge_matches(&fill->purge[i], obj))
			return true;
	return false;
}

/* ---- one response ---- */

struct fill_same {
	const struct hf_obj *obj;
	bool found;
};

static void fill_compare(void *arg, const struct hf_obj *other)
{
	struct fill_same *same = arg;

	same->found |= other->vary_len == same->obj->vary_len &&
		       memcmp(other->vary, same->obj->vary, other->vary_len) == 0;
}

/* Fetched meanwhile: newer than ours. */
static bool fill_is_stored(struct hf_snap_fill *fill, const struct hf_obj *obj)
{
	struct hf_key key = { obj->key, obj->key_len, obj->hash };
	struct fill_same same = { .obj = obj };

	hf_shard_each_variant(fill->shard, &key, fill_compare, &same);
	return same.found;
}

static void fill_end(struct hf_snap_fill *fill)
{
	struct hf_obj *obj = fill->obj;

	fill->obj = NULL;
	if (!obj)
		return;
	hf_shard_fill_end(fill->shard, obj);
	if (fill_is_forgotten(fill, obj) || fill_is_stored(fill, obj)) {
		hf_stat_inc(HF_STAT_WARM_LEFT_OUT);
	} else {
		if (fill->touched)
			hf_obj_touch(obj);
		hf_shard_publish(fill->shard, obj);
		hf_stat_inc(HF_STAT_WARM_LOADED);
	}
	hf_shard_obj_unref(fill->shard, obj);
}

static bool fill_is_useful(
	const struct hf_obj_spec *spec, const struct hf_snap_run *run, uint64_t now_us)
{
	uint64_t age_s = (uint64_t)((int64_t)now_us - spec->born_us) / 1000000;

	return hf_cache_life_is_useful(
		&spec->life, (uint32_t)hf_min_u64(age_s, UINT32_MAX), run->max_stale_s);
}

/* Nothing is evicted for it, so that what is worth more, and came first, stays. */
static bool fill_has_room(const struct hf_snap_fill *fill, const struct hf_cache_record *object)
{
	uint64_t text = object->key.len + object->vary.len + object->head.len;

	return hf_shard_has_room(
		fill->shard, text + object->length + object->length / 256 + HF_ARENA_CHUNK);
}

static void fill_begin(struct hf_snap_fill *fill, const struct hf_cache_record *object,
	const struct hf_snap_run *run, uint64_t now_us)
{
	struct hf_obj_spec spec = hf_cache_record_spec(fill->cache, object, run->saved_clock_us);

	HF_ASSERT(fill->left == 0 && !fill->obj);
	fill->left = object->length;
	fill->touched = object->flags & HF_CACHE_RECORD_TOUCHED;
	if (!fill_is_useful(&spec, run, now_us)) {
		hf_stat_inc(HF_STAT_WARM_EXPIRED);
		return;
	}
	if (object->length <= run->object_max && fill_has_room(fill, object) &&
		!hf_cache_record_has_secret(object))
		fill->obj = hf_shard_obj_new(fill->shard, &spec);
	if (!fill->obj)
		hf_stat_inc(HF_STAT_WARM_LEFT_OUT);
}

static void fill_body(struct hf_snap_fill *fill, struct hf_span body)
{
	HF_ASSERT(body.len <= fill->left);
	fill->left -= body.len;
	if (!fill->obj || hf_shard_fill(fill->shard, fill->obj, body.ptr, body.len) == body.len)
		return;
	hf_shard_obj_unref(fill->shard, fill->obj);
	fill->obj = NULL;
	hf_stat_inc(HF_STAT_WARM_LEFT_OUT);
}

void hf_snap_fill_take(struct hf_snap_fill *fill, const struct hf_snap_run *run, uint64_t now_us)
{
	const char *at = run->frames.ptr, *end = at + run->frames.len;

	while (at < end) {
		struct hf_cache_record object;
		enum hf_snap_kind kind;
		size_t len;
		bool good = snap_get_frame_head(at, &len, &kind);
		struct hf_span payload = { at + SNAP_FRAME_HEAD, len };

		HF_ASSERT(good && (kind == HF_SNAP_OBJECT || kind == HF_SNAP_BODY));
		if (kind == HF_SNAP_OBJECT) {
			good = hf_cache_record_get(payload, &object) == len;
			HF_ASSERT(good);
			fill_begin(fill, &object, run, now_us);
		} else {
			fill_body(fill, payload);
		}
		if (fill->left == 0)
			fill_end(fill);
		at += len + SNAP_FRAME_EXTRA;
	}
	HF_ASSERT(at == end);
}
