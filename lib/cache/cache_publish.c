/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What goes into the table.
 */
#include "hf_cache.h"

#include <string.h>

#include "hf_stat.h"

#include "cache_priv.h"

#define PUBLISH_NONE UINT32_MAX

/* What the 16 words offer to a new object, as slots or PUBLISH_NONE. */
struct publish_scan {
	uint32_t same;      /* the same key and Vary values */
	uint32_t oldest;    /* of the same key */
	uint32_t unused[2]; /* a free one in each bucket */
	uint32_t variant_count;
	uint32_t unused_count[2];
};

static bool publish_is_older(const struct hf_shard *shard, const struct hf_obj *obj, uint32_t than)
{
	return than == PUBLISH_NONE || obj->serial < cache_at(shard, than)->serial;
}

static bool publish_same_key(const struct hf_obj *a, const struct hf_obj *b)
{
	struct hf_key key = { b->key, b->key_len, b->hash };

	return cache_key_is(a, &key);
}

static void publish_scan(
	const struct hf_shard *shard, const struct hf_obj *obj, struct publish_scan *ret_scan)
{
	struct publish_scan scan = { .same = PUBLISH_NONE, .oldest = PUBLISH_NONE };

	for (uint32_t i = 0; i < CACHE_WORDS; i++) {
		uint32_t slot = cache_slot(shard, obj->hash, i);
		const struct hf_obj *other = cache_at(shard, slot);

		if (!other) {
			scan.unused[i / CACHE_BUCKET_WORDS] = slot;
			scan.unused_count[i / CACHE_BUCKET_WORDS]++;
			continue;
		}
		if (!publish_same_key(other, obj))
			continue;
		scan.variant_count++;
		if (publish_is_older(shard, other, scan.oldest))
			scan.oldest = slot;
		if (other->vary_len == obj->vary_len &&
			memcmp(other->vary, obj->vary, obj->vary_len) == 0)
			scan.same = slot;
	}
	*ret_scan = scan;
}

/* Both buckets are full: of their objects the one that is worth least. */
static uint32_t publish_victim(struct hf_shard *shard, uint64_t hash)
{
	struct hf_obj *objs[CACHE_WORDS], *victim;

	for (uint32_t i = 0; i < CACHE_WORDS; i++)
		objs[i] = cache_at(shard, cache_slot(shard, hash, i));
	victim = cache_worth_least(shard, objs, CACHE_WORDS);
	cache_worth_leave(shard, victim);
	return victim->slot;
}

/* The word to use; whoever is there gives way. The emptier of two buckets keeps both useful. */
static uint32_t publish_choose(
	struct hf_shard *shard, uint64_t hash, const struct publish_scan *scan)
{
	uint32_t emptier = scan->unused_count[0] >= scan->unused_count[1] ? 0 : 1;

	if (scan->same != PUBLISH_NONE) {
		hf_stat_inc(HF_STAT_CACHE_REPLACED);
		return scan->same;
	}
	if (scan->variant_count < HF_CACHE_VARIANTS_MAX && scan->unused_count[emptier] > 0)
		return scan->unused[emptier];
	hf_stat_inc(HF_STAT_CACHE_EVICTIONS);
	return scan->variant_count >= HF_CACHE_VARIANTS_MAX ? scan->oldest
							    : publish_victim(shard, hash);
}

/* To those who read along. */
static void publish_show(struct hf_shard *shard, struct hf_obj *obj)
{
	if (!hf_obj_is_ready(obj))
		hf_shard_fill_end(shard, obj);
}

static void publish_link(struct hf_shard *shard, struct hf_obj *obj)
{
	struct publish_scan scan;
	struct hf_obj *old;

	publish_scan(shard, obj, &scan);
	obj->slot = publish_choose(shard, obj->hash, &scan);
	obj->serial = ++shard->serial;
	obj->place = CACHE_LINKED;
	obj->owner_refs++;
	hf_list_del(&obj->queue);
	hf_list_add_head(&shard->queue, &obj->queue);
	shard->objects++;
	old = cache_at(shard, obj->slot);
	/* One store: a lookup finds the old one or the new one; then who has seen its end finds it
	 * (C1) */
	atomic_store_explicit(
		cache_slot_word(shard, obj->slot), cache_word(obj), memory_order_release);
	publish_show(shard, obj);
	cache_worth_enter(shard, obj, scan.same != PUBLISH_NONE ? old : NULL);
	if (old)
		cache_retire(shard, old);
	hf_stat_inc(HF_STAT_CACHE_INSERTS);
	hf_stat_inc(HF_STAT_CACHE_OBJECTS);
	hf_stat_add(HF_STAT_CACHE_STORED_BYTES, obj->cost);
}

void hf_shard_publish(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(obj->shard == shard->index && obj->place == CACHE_LOOSE && obj->serial == 0);
	HF_ASSERT(obj->key_len > 0 && obj->owner_refs > 0);
	HF_ASSERT(atomic_load_explicit(&obj->state, memory_order_relaxed) != HF_OBJ_FAILED);
	HF_ASSERT(!(atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STREAM));
	HF_ASSERT(hf_cache_shard_index(shard->cache, obj->hash) == shard->index);
	if (obj->purged) {
		publish_show(shard, obj);
		hf_stat_inc(HF_STAT_CACHE_PURGED);
		return;
	}
	publish_link(shard, obj);
	cache_worth_turn(shard);
}

void hf_shard_each_variant(struct hf_shard *shard, const struct hf_key *key,
	void (*fn)(void *arg, const struct hf_obj *obj), void *arg)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	for (uint32_t i = 0; i < CACHE_WORDS; i++) {
		const struct hf_obj *obj = cache_at(shard, cache_slot(shard, key->hash, i));

		if (obj && cache_key_is(obj, key))
			fn(arg, obj);
	}
}
