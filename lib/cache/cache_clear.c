/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Room for a block that was refused though the shard uses less than it may: what is free lies in
 * pieces between objects.
 *
 * What      After hours of pages come videos: evicting what is worth least frees one place in each
 *           of many slabs, and no slab as a whole, which chunks of bodies need. So neighbours go
 *           together, whatever they are worth: all objects that begin or end in one window of
 *           the arena's addresses, then in the next one.
 * Picture   arena   [        |window  |        |  ...  ]  CLEAR_WINDOWS of them
 *           table   ------------>                        each object: in the window? some at a time
 * Threads   the shard's owner.
 */
#include "hf_cache.h"

#include "cache_priv.h"

#define CLEAR_WINDOWS 64
#define CLEAR_SAMPLE  32
#define CLEAR_STEPS   512 /* samples looked at in one go: less than a millisecond */

static bool clear_has(const struct hf_shard *shard, const void *at)
{
	uintptr_t offset;
	size_t len, page, share;
	void *base;

	hf_arena_region(shard->arena, &base, &len, &page);
	share = len / shard->cache->shard_count; /* as hf_arena_cut does */
	offset = (uintptr_t)at - (uintptr_t)base - shard->index * share;
	return offset / (share / CLEAR_WINDOWS + 1) == shard->clear_window;
}

static bool clear_wants(const struct hf_shard *shard, const struct hf_obj *obj)
{
	return clear_has(shard, obj) || (!obj->lent && clear_has(shard, obj->last));
}

bool cache_clear(struct hf_shard *shard, uint64_t goal)
{
	bool cleared = false;

	for (int i = 0; i < CLEAR_STEPS && shard->returning < goal; i++) {
		struct hf_obj *objs[CLEAR_SAMPLE];
		uint32_t from = shard->clear_slot;
		uint32_t count = cache_worth_next(shard, &shard->clear_slot, objs, CLEAR_SAMPLE);

		for (uint32_t j = 0; j < count; j++) {
			if (!clear_wants(shard, objs[j]))
				continue;
			cache_evict(shard, objs[j]);
			cleared = true;
		}
		if (shard->clear_slot <= from) /* the whole table was looked at */
			shard->clear_window = (shard->clear_window + 1) % CLEAR_WINDOWS;
	}
	return cleared;
}
