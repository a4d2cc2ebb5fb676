/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The product's own policy: one shard of lib/cache, driven as an origin thread does it, with the
 * lookups of a worker, all in this thread. Only the shard's budget is set from outside, so that it
 * can be compared at the byte.
 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_cache.h"

#include "cache_priv.h"

#define PRODUCT_MIB      (1UL << 20)
#define PRODUCT_KEY_LEN  32
#define PRODUCT_TRIES    8
#define PRODUCT_BLOCK    65536
#define PRODUCT_LIFETIME 100000000

static const char product_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";

struct product {
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_shard *shard;
	const struct policy_world *world;
	uint64_t now_us;
};

uint64_t product_cost(uint64_t size)
{
	size_t text_len = PRODUCT_KEY_LEN + sizeof(product_head) - 1;
	size_t whole = HF_ARENA_CHUNK - sizeof(struct hf_chunk);
	size_t body_at = (sizeof(struct hf_obj) + text_len + 7) & ~(size_t)7;
	uint64_t cost;

	if (size > 0 && size <= CACHE_INLINE_BODY_MAX)
		return hf_arena_cost(body_at + sizeof(struct hf_chunk) + size);
	cost = hf_arena_cost(sizeof(struct hf_obj) + text_len);
	cost += size / whole * hf_arena_cost(HF_ARENA_CHUNK);
	if (size % whole != 0)
		cost += hf_arena_cost(sizeof(struct hf_chunk) + size % whole);
	return cost;
}

/* The product keeps a reserve free ahead; what it evicts to is budget - reserve. */
static void product_limit(struct hf_shard *shard, uint64_t capacity)
{
	uint64_t budget = shard->budget;

	shard->reserve =
		hf_min_u64(hf_max_u64(capacity / 32, CACHE_RESERVE_MIN), CACHE_RESERVE_MAX);
	shard->budget = capacity + shard->reserve;
	HF_ASSERT(shard->budget <= budget);
}

static void *product_open(const struct policy_world *world)
{
	struct product *product = calloc(1, sizeof(*product));
	struct hf_cache_cfg cfg = { .shards = 1, .workers = 1, .leases_max = 1 };
	struct hf_err err = { "" };

	HF_ASSERT(product != NULL);
	if (hf_arena_new(world->capacity + world->capacity / 4 + 4 * PRODUCT_MIB, false, &err,
		    &product->arena) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	cfg.arena = product->arena;
	if (hf_cache_new(&cfg, &err, &product->cache) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	/* the same each time, and so where objects are in the table, which eviction goes through */
	memset(&product->cache->sipkey, 1, sizeof(product->cache->sipkey));
	product->shard = hf_cache_shard(product->cache, 0);
	product->world = world;
	product->now_us = 1000000;
	product_limit(product->shard, world->capacity);
	return product;
}

static void product_close(void *state)
{
	struct product *product = state;

	hf_shard_check(product->shard);
	hf_cache_free(product->cache);
	hf_arena_free(product->arena);
	free(product);
}

/* The end of a turn of the origin thread. */
static void product_turn(struct product *product)
{
	product->now_us++;
	(void)hf_shard_work(product->shard, product->now_us);
}

static void product_reclaim(struct product *product)
{
	(void)hf_cache_reclaim_step(product->cache);
	product_turn(product);
}

static struct hf_obj *product_new(struct product *product, const struct hf_key *key, uint64_t size)
{
	struct hf_obj_spec spec = {
		.key = *key,
		.head = { product_head, sizeof(product_head) - 1 },
		.length = size,
		.born_us = (int64_t)product->now_us,
		.life.lifetime_s = PRODUCT_LIFETIME,
		.status = 200,
	};
	struct hf_obj *obj = NULL;

	for (int i = 0; !obj && i < PRODUCT_TRIES; i++) {
		obj = hf_shard_obj_new(product->shard, &spec);
		if (!obj)
			product_reclaim(product);
	}
	HF_ASSERT(obj != NULL);
	return obj;
}

static void product_store(struct product *product, const struct hf_key *key, uint32_t object)
{
	static const char block[PRODUCT_BLOCK];
	uint64_t size = product->world->size[object], done = 0;
	struct hf_obj *obj = product_new(product, key, size);
	int idle = 0;

	while (done < size) {
		size_t some = hf_shard_fill(
			product->shard, obj, block, (size_t)hf_min_u64(size - done, sizeof(block)));

		done += some;
		idle = some > 0 ? 0 : idle + 1;
		HF_ASSERT(idle < PRODUCT_TRIES);
		if (some < sizeof(block) && done < size)
			product_reclaim(product);
	}
	HF_ASSERT(obj->cost == product->world->cost[object]);
	hf_shard_fill_end(product->shard, obj);
	hf_shard_publish(product->shard, obj);
	hf_shard_obj_unref(product->shard, obj);
	product_turn(product);
}

static bool product_request(void *state, uint32_t object)
{
	static const struct hf_http_req req;
	struct product *product = state;
	char text[PRODUCT_KEY_LEN + 1];
	struct hf_key key = { text, PRODUCT_KEY_LEN, 0 };
	enum hf_lookup verdict;
	struct hf_obj *obj;

	snprintf(text, sizeof(text), "http://sim.example/o/%011u", object);
	key.hash = hf_cache_hash(product->cache, text, key.len);
	obj = hf_cache_lookup(product->cache, &key, &req, &verdict);
	if (obj) {
		hf_obj_touch(obj);
		return true;
	}
	product_store(product, &key, object);
	return false;
}

const struct policy policy_product = { "holdfast", product_open, product_request, product_close };
