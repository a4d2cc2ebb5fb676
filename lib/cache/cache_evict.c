/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The way of an object out of the cache: eviction, grace period, recall.
 */
#include "hf_cache.h"

#include "hf_stat.h"

#include "cache_priv.h"

#define EVICT_RECALL_SCAN_MAX 64
#define EVICT_IDLE_PART       5
/* The least of so many is of the least three percent, in the mean. */
#define EVICT_CANDIDATES      32

static struct hf_obj *evict_obj(struct hf_list *link)
{
	return HF_CONTAINER_OF(link, struct hf_obj, queue);
}

static void evict_move(struct hf_list *list, struct hf_obj *obj)
{
	hf_list_del(&obj->queue);
	hf_list_add_tail(list, &obj->queue);
}

void cache_retire(struct hf_shard *shard, struct hf_obj *obj)
{
	struct hf_obj *top = atomic_load_explicit(&shard->retired, memory_order_relaxed);

	HF_ASSERT(obj->place == CACHE_LINKED && obj->owner_refs > 0);
	HF_ASSERT(shard->objects > 0);
	obj->purged = obj->purged || cache_purge_names(shard, obj);
	evict_move(&shard->loose, obj);
	obj->place = CACHE_RETIRED;
	shard->objects--;
	shard->returning += obj->cost;
	hf_stat_sub(HF_STAT_CACHE_OBJECTS, 1);
	hf_stat_sub(HF_STAT_CACHE_STORED_BYTES, obj->cost);
	/* The other side takes the whole stack at once: nothing can come back under `top`. */
	do {
		obj->next_retired = top;
	} while (!atomic_compare_exchange_weak_explicit(
		&shard->retired, &top, obj, memory_order_release, memory_order_relaxed));
	hf_waker_wake(&shard->cache->reclaim_waker);
}

void cache_unlink(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT(cache_at(shard, obj->slot) == obj);
	atomic_store_explicit(cache_slot_word(shard, obj->slot), 0, memory_order_release);
	cache_worth_unlink(shard, obj->slot);
	cache_retire(shard, obj);
}

static bool evict_is_long_stale(const struct hf_shard *shard, const struct hf_obj *obj)
{
	uint64_t useful_s = (uint64_t)obj->life.lifetime_s +
			    hf_max_u32(obj->life.swr_s, obj->life.sie_s) + CACHE_LONG_STALE_S;

	return hf_obj_age_s(obj, shard->now_us) > useful_s;
}

static struct hf_obj *evict_long_stale(
	const struct hf_shard *shard, struct hf_obj *const *objs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (evict_is_long_stale(shard, objs[i]))
			return objs[i];
	}
	return NULL;
}

void cache_evict(struct hf_shard *shard, struct hf_obj *obj)
{
	hf_stat_inc(HF_STAT_CACHE_EVICTIONS);
	cache_worth_leave(shard, obj);
	cache_unlink(shard, obj);
}

/* Of some the one that is of no use any more, else the one that is worth least. */
static bool evict_one(struct hf_shard *shard)
{
	struct hf_obj *objs[EVICT_CANDIDATES], *obj;
	uint32_t count = cache_worth_next(shard, &shard->look_slot, objs, EVICT_CANDIDATES);

	if (count == 0)
		return false;
	obj = evict_long_stale(shard, objs, count);
	if (obj) {
		hf_stat_inc(HF_STAT_CACHE_EXPIRED);
		cache_unlink(shard, obj);
	} else {
		cache_evict(shard, cache_worth_least(shard, objs, count));
	}
	return true;
}

/* What is free, or will be without further eviction. */
static uint64_t evict_outlook(const struct hf_shard *shard)
{
	HF_ASSERT(shard->used <= shard->budget && shard->returning <= shard->used);
	return shard->budget - shard->used + shard->returning;
}

bool hf_shard_has_room(const struct hf_shard *shard, uint64_t cost)
{
	return evict_outlook(shard) >= shard->reserve + cost;
}

/* Within the budget and refused all the same: the arena is full of fragments. Only what comes back
 * helps. What is worth least lies scattered: until a part of the budget is idle between what is
 * kept it goes nevertheless, then neighbours do, whatever they are worth. */
static void evict_fragments(struct hf_shard *shard, uint64_t goal)
{
	if (evict_outlook(shard) > shard->budget / EVICT_IDLE_PART && cache_clear(shard, goal))
		return;
	while (shard->returning < goal && evict_one(shard))
		;
}

void cache_evict_for(struct hf_shard *shard, uint64_t cost)
{
	uint64_t goal = hf_max_u64(shard->reserve, cost);

	while (evict_outlook(shard) < goal && evict_one(shard))
		;
	if (shard->used + cost <= shard->budget && shard->returning < goal)
		evict_fragments(shard, goal);
}

static void evict_pin(struct hf_shard *shard, struct hf_obj *obj)
{
	if (obj->place != CACHE_RECALLED)
		return;
	HF_ASSERT(shard->returning >= obj->cost);
	shard->returning -= obj->cost;
	shard->kept += obj->cost;
	obj->place = CACHE_PINNED;
}

/* Its last lease and its last borrower are gone. */
static void evict_done(struct hf_shard *shard, struct hf_obj *obj)
{
	if (obj->place != CACHE_PINNED) {
		HF_ASSERT(shard->returning >= obj->cost);
		shard->returning -= obj->cost;
		shard->kept += obj->cost; /* until the last exchange has gone, too */
	}
	evict_move(&shard->loose, obj);
	obj->place = CACHE_LOOSE;
}

/* No lookup finds the object any more, so no worker can set its bit in `holders` from here on. */
static void evict_graced(struct hf_shard *shard, struct hf_obj *obj)
{
	uint64_t holders = atomic_load_explicit(&obj->holders, memory_order_acquire);

	HF_ASSERT(obj->place == CACHE_RETIRED);
	obj->owner_refs += (uint32_t)__builtin_popcountll(holders);
	obj->recall_mask = holders;
	if (holders) {
		obj->place = CACHE_RECALLED;
		evict_move(&shard->unposted, obj);
	} else {
		evict_done(shard, obj);
	}
	hf_shard_obj_unref(shard, obj); /* the table's reference */
}

void cache_take_graced(struct hf_shard *shard)
{
	struct hf_list *link;

	for (int i = 0; i < CACHE_GRACED_MAX; i++) {
		struct hf_obj *obj = shard->graced_rest;

		if (!obj)
			obj = atomic_exchange_explicit(&shard->graced, NULL, memory_order_acquire);
		if (!obj)
			break;
		shard->graced_rest = obj->next_retired;
		evict_graced(shard, obj);
	}
	while ((link = hf_list_first(&shard->posted)) != NULL) {
		struct hf_obj *obj = evict_obj(link);

		if ((uint32_t)shard->now_us - obj->recalled < CACHE_PIN_US)
			break;
		evict_pin(shard, obj);
		evict_move(&shard->pinned, obj);
	}
}

/* Readers keep nearly all: tells the workers, until there is room again. */
static void evict_tell(struct hf_shard *shard)
{
	uint64_t most = shard->budget / 8 * (shard->is_short ? 6 : 7);
	bool is_short = shard->kept > most;

	HF_ASSERT(shard->kept <= shard->used);
	if (is_short == shard->is_short)
		return;
	shard->is_short = is_short;
	if (is_short)
		atomic_fetch_add_explicit(&shard->cache->shorts, 1, memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&shard->cache->shorts, 1, memory_order_relaxed);
}

bool hf_shard_work(struct hf_shard *shard, uint64_t now_us)
{
	bool freed;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(now_us >= shard->now_us);
	shard->now_us = now_us;
	cache_take_graced(shard);
	while (evict_outlook(shard) < shard->reserve && evict_one(shard))
		;
	evict_tell(shard);
	freed = shard->freed_count != shard->freed_seen;
	shard->freed_seen = shard->freed_count;
	return freed;
}

bool hf_shard_has_work(const struct hf_shard *shard)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	return shard->graced_rest || atomic_load(&shard->graced);
}

/* The first worker in the mask that may get another RECALL, or CACHE_WORKERS_MAX. */
static uint32_t evict_recall_worker(const struct hf_shard *shard, uint64_t mask)
{
	for (; mask; mask &= mask - 1) {
		uint32_t worker = (uint32_t)__builtin_ctzll(mask);

		if (shard->under_way[worker] < HF_CACHE_RECALLS_MAX)
			return worker;
	}
	return CACHE_WORKERS_MAX;
}

bool hf_shard_recall_next(struct hf_shard *shard, struct hf_obj **ret_obj, uint32_t *ret_worker)
{
	struct hf_list *link;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	for (int i = 0; i < EVICT_RECALL_SCAN_MAX; i++) {
		struct hf_obj *obj;
		uint32_t worker;

		link = hf_list_first(&shard->unposted);
		if (!link)
			return false;
		obj = evict_obj(link);
		worker = evict_recall_worker(shard, obj->recall_mask);
		if (worker == CACHE_WORKERS_MAX) {
			/* So many unanswered: this will take long. Let others pass. */
			evict_pin(shard, obj);
			evict_move(&shard->unposted, obj);
			continue;
		}
		obj->recall_mask &= ~(1ULL << worker);
		shard->under_way[worker]++;
		obj->recalled = (uint32_t)shard->now_us;
		if (obj->recall_mask == 0)
			evict_move(
				obj->place == CACHE_PINNED ? &shard->pinned : &shard->posted, obj);
		*ret_obj = obj;
		*ret_worker = worker;
		return true;
	}
	return false;
}

void hf_shard_recalled(struct hf_shard *shard, struct hf_obj *obj, uint32_t worker)
{
	uint64_t bit = 1ULL << worker;
	uint64_t holders = atomic_load_explicit(&obj->holders, memory_order_relaxed);

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(obj->shard == shard->index);
	HF_ASSERT(obj->place == CACHE_RECALLED || obj->place == CACHE_PINNED);
	HF_ASSERT((holders & bit) && !(obj->recall_mask & bit));
	HF_ASSERT(shard->under_way[worker] > 0);
	shard->under_way[worker]--;
	atomic_store_explicit(&obj->holders, holders & ~bit, memory_order_relaxed);
	if (holders == bit)
		evict_done(shard, obj);
	hf_shard_obj_unref(shard, obj);
}
