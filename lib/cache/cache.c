/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache_priv.h"

#define CACHE_SHARE_MIN (512UL * 1024)

static void *cache_calloc_aligned(size_t count, size_t size)
{
	void *block = aligned_alloc(HF_CACHE_LINE, count * size);

	HF_ASSERT(size % HF_CACHE_LINE == 0);
	if (block)
		memset(block, 0, count * size);
	return block;
}

static size_t cache_table_len(const struct hf_shard *shard)
{
	return (shard->bucket_mask + 1) * sizeof(struct cache_bucket);
}

/* The table is made for one object per KiB and at most 3/4 full then. What jemalloc loses between
 * size classes and to slabs that are not full comes out of a sixteenth. */
static int cache_shard_init(struct hf_shard *shard, uint64_t share)
{
	uint64_t objects_max = share / CACHE_OBJECT_MEAN;
	uint64_t buckets = hf_pow2_ceil(objects_max / (CACHE_BUCKET_WORDS * 3 / 4) + 1);
	struct cache_bucket *table;
	uint64_t worth_len;

	HF_ASSERT(buckets >= 2 && buckets <= 1UL << 29);
	hf_list_init(&shard->queue);
	hf_list_init(&shard->loose);
	hf_list_init(&shard->unposted);
	hf_list_init(&shard->posted);
	hf_list_init(&shard->pinned);
	hf_list_init(&shard->walks);
	shard->bucket_mask = buckets - 1;
	table = hf_arena_alloc_in(shard->arena, shard->index, cache_table_len(shard));
	if (!table)
		return -ENOMEM;
	memset(table, 0, cache_table_len(shard));
	shard->buckets = table;
	if (cache_worth_init(shard, objects_max, &worth_len) != 0)
		return -ENOMEM;
	shard->budget = share - share / 16 - cache_table_len(shard) - worth_len;
	shard->reserve = hf_max_u64(shard->budget / 32, CACHE_RESERVE_MIN);
	shard->reserve = hf_min_u64(shard->reserve, CACHE_RESERVE_MAX);
	shard->reserve = hf_min_u64(shard->reserve, shard->budget / 4);
	return 0;
}

static int cache_shards_init(struct hf_cache *cache, const struct hf_cache_cfg *cfg)
{
	uint64_t share = hf_arena_size(cfg->arena) / cfg->shards;

	if (share < CACHE_SHARE_MIN || hf_arena_cut(cfg->arena, cfg->shards) != 0)
		return -ENOMEM;
	cache->shards = cache_calloc_aligned(cfg->shards, sizeof(struct hf_shard));
	if (!cache->shards)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->shards; i++) {
		struct hf_shard *shard = &cache->shards[i];

		shard->cache = cache;
		shard->arena = cfg->arena;
		shard->index = i;
		cache->shard_count++;
		if (cache_shard_init(shard, share) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int cache_reader_init(struct hf_reader *reader, uint32_t leases_max)
{
	uint32_t chains = (uint32_t)hf_pow2_ceil(leases_max);

	reader->chains = calloc(chains, sizeof(*reader->chains));
	if (!reader->chains)
		return -ENOMEM;
	for (uint32_t i = 0; i < chains; i++)
		hf_list_init(&reader->chains[i]);
	reader->chain_mask = chains - 1;
	hf_list_init(&reader->ended);
	return hf_pool_init(&reader->leases, sizeof(struct hf_lease), leases_max);
}

static int cache_readers_init(struct hf_cache *cache, const struct hf_cache_cfg *cfg)
{
	cache->readers = cache_calloc_aligned(cfg->workers, sizeof(struct hf_reader));
	if (!cache->readers)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->workers; i++) {
		cache->readers[i].worker = i;
		cache->reader_count++;
		if (cache_reader_init(&cache->readers[i], cfg->leases_max) != 0)
			return -ENOMEM;
	}
	return 0;
}

int hf_cache_new(const struct hf_cache_cfg *cfg, struct hf_err *err, struct hf_cache **ret_cache)
{
	struct hf_cache *cache = calloc(1, sizeof(*cache));

	HF_ASSERT(cfg->shards > 0 && cfg->shards <= CACHE_SHARDS_MAX);
	HF_ASSERT(cfg->workers > 0 && cfg->workers <= CACHE_WORKERS_MAX);
	HF_ASSERT(cfg->leases_max > 0 && cfg->leases_max <= 1U << 31);
	if (!cache)
		return hf_err_set(err, -ENOMEM, "no memory for the cache's bookkeeping");
	hf_random_fill(&cache->sipkey, sizeof(cache->sipkey));
	cache->reclaim_waker.fd = -1;
	if (hf_waker_init(&cache->reclaim_waker) != 0 || cache_shards_init(cache, cfg) != 0 ||
		cache_readers_init(cache, cfg) != 0) {
		size_t size = hf_arena_size(cfg->arena);

		hf_cache_free(cache);
		return hf_err_set(err, -ENOMEM,
			"%zu KiB of cache memory are too little for %u origin threads: each needs "
			"%zu KiB",
			size >> 10, cfg->shards, (size_t)CACHE_SHARE_MIN >> 10);
	}
	*ret_cache = cache;
	return 0;
}

static void cache_list_free(struct hf_shard *shard, struct hf_list *list)
{
	struct hf_list *link;

	while (list->next && (link = hf_list_first(list)) != NULL) {
		struct hf_obj *obj = HF_CONTAINER_OF(link, struct hf_obj, queue);

		obj->place = CACHE_LOOSE;
		cache_object_free(shard, obj);
	}
}

static void cache_shard_fini(struct hf_shard *shard)
{
	cache_list_free(shard, &shard->queue);
	cache_list_free(shard, &shard->loose);
	cache_list_free(shard, &shard->unposted);
	cache_list_free(shard, &shard->posted);
	cache_list_free(shard, &shard->pinned);
	HF_ASSERT(shard->used == 0);
	cache_worth_fini(shard);
	if (shard->buckets)
		hf_arena_release(shard->arena, shard->buckets, cache_table_len(shard));
}

void hf_cache_free(struct hf_cache *cache)
{
	if (!cache)
		return;
	for (uint32_t i = 0; i < cache->reader_count; i++) {
		HF_ASSERT(cache->readers[i].leases.used == 0);
		hf_pool_fini(&cache->readers[i].leases);
		free(cache->readers[i].chains);
	}
	for (uint32_t i = 0; i < cache->shard_count; i++)
		cache_shard_fini(&cache->shards[i]);
	hf_waker_fini(&cache->reclaim_waker);
	free(cache->readers);
	free(cache->shards);
	free(cache);
}

uint64_t hf_cache_hash(const struct hf_cache *cache, const char *key, uint32_t len)
{
	return hf_siphash(&cache->sipkey, key, len);
}

uint32_t hf_cache_shard_index(const struct hf_cache *cache, uint64_t hash)
{
	return (uint32_t)((hash >> 48) * cache->shard_count >> 16);
}

struct hf_shard *hf_cache_shard(struct hf_cache *cache, uint32_t index)
{
	HF_ASSERT(index < cache->shard_count);
	return &cache->shards[index];
}

struct hf_reader *hf_cache_reader(struct hf_cache *cache, uint32_t worker)
{
	HF_ASSERT(worker < cache->reader_count);
	return &cache->readers[worker];
}

void hf_shard_waker_set(struct hf_shard *shard, struct hf_waker *waker)
{
	shard->waker = waker;
}

struct hf_waker *hf_cache_reclaim_waker(struct hf_cache *cache)
{
	return &cache->reclaim_waker;
}

/* What is retired while the owner has not taken the last chain yet waits for that: so no chain is
 * put behind another one. */
static struct hf_obj *cache_reclaim_take(struct hf_shard *shard, bool *ret_more)
{
	if (atomic_load_explicit(&shard->graced, memory_order_relaxed)) {
		*ret_more |= atomic_load_explicit(&shard->retired, memory_order_relaxed) != NULL;
		return NULL;
	}
	return atomic_exchange_explicit(&shard->retired, NULL, memory_order_acquire);
}

static void cache_reclaim_give(struct hf_shard *shard, struct hf_obj *chain)
{
	atomic_store_explicit(&shard->graced, chain, memory_order_release);
	if (shard->waker)
		hf_waker_wake(shard->waker);
}

bool hf_cache_reclaim_step(struct hf_cache *cache)
{
	struct hf_obj *taken[CACHE_SHARDS_MAX];
	bool any = false, more = false;

	HF_ASSERT_THREAD(HF_THREAD_RECLAIM);
	for (uint32_t i = 0; i < cache->shard_count; i++) {
		taken[i] = cache_reclaim_take(&cache->shards[i], &more);
		any = any || taken[i];
	}
	if (!any)
		return more;
	hf_rcu_synchronize();
	for (uint32_t i = 0; i < cache->shard_count; i++) {
		if (taken[i])
			cache_reclaim_give(&cache->shards[i], taken[i]);
	}
	return true;
}
