/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a stored object is worth: the touches that it promises, by what its shard learnt from others
 * (cache_rates.h), and what each saves, against the memory that it takes.
 *
 * What      Time is counted in objects stored by the shard: it runs with the turnover of the cache.
 *           Nobody tells when an object is touched: its mark is looked at now and then, and
 *           cleared. Those that left are remembered for a while, 8 bytes each. So what is asked for
 *           just too late is learnt too, which alone shows that keeping longer pays (in a loop
 *           nothing is ever touched in time); and an object that comes back goes on with its past.
 * Picture   publish:  4 objects are looked at; some of those gone; now and then one class is learnt
 *           look:     idle time is counted; touched? is counted, the mark cleared
 *           evict:    32 are looked at; the one that is worth least goes
 *                     worth = touches in time (index) * (bytes + a round trip) / bytes
 * Why       LRU and what orders by age and touches alone (SIEVE, S3-FIFO, ARC) guess one law of how
 *           objects are asked for, and lose where it is another; perf/evict_sim compares. Here each
 *           law is learnt: as LRU where that is best, and part of a loop or a scan stays out.
 * Threads   the shard's owner.
 * Limits    43 KiB of heap a shard; of the arena 4-8 bytes for each KiB, and a bit a slot.
 */
#include "hf_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache_priv.h"
#include "cache_rates.h"

/* Objects looked at for one stored, also while nothing need be evicted. */
#define WORTH_LOOKS      4
/* A miss costs the transfer of the body and a round trip, in which TCP's first flight would bring
 * so many bytes. More favours small objects: fewer misses, but more bytes from origins. */
#define WORTH_TRIP_BYTES 16384.0
#define WORTH_GONE_WAYS  8
/* Everything is gone through while a quarter of the objects is replaced, or in a small cache while
 * so many are stored. */
#define WORTH_ROUND_MIN  100

/* An object that left. */
struct worth_gone {
	uint32_t touched_at;
	uint16_t tag; /* of its hash; 0: none */
	struct hf_obj_past past;
};

struct worth_gone_set {
	struct worth_gone ways[WORTH_GONE_WAYS];
};

HF_STATIC_ASSERT(sizeof(struct worth_gone_set) == HF_CACHE_LINE, "one line to look for one");

struct cache_worth {
	struct cache_rates rates;
	uint64_t *occupied; /* a bit a slot of the table */
	struct worth_gone_set *gone;
	uint32_t slots, gone_mask;
	uint32_t gone_at; /* looked at next */
	uint32_t learnt_at;
};

static uint32_t worth_now(const struct hf_shard *shard)
{
	return (uint32_t)shard->serial;
}

static uint32_t worth_idle(const struct hf_shard *shard, const struct hf_obj *obj)
{
	return worth_now(shard) - obj->touched_at;
}

static uint32_t worth_round(const struct hf_shard *shard)
{
	return (uint32_t)(shard->objects / 4) + WORTH_ROUND_MIN;
}

/* ---- boot ---- */

static size_t worth_gone_len(const struct cache_worth *worth)
{
	return ((size_t)worth->gone_mask + 1) * sizeof(struct worth_gone_set);
}

static size_t worth_arena_len(const struct cache_worth *worth)
{
	return worth_gone_len(worth) + worth->slots / 8;
}

int cache_worth_init(struct hf_shard *shard, uint64_t objects_max, uint64_t *ret_len)
{
	struct cache_worth *worth = calloc(1, sizeof(*worth));
	uint64_t slots = (shard->bucket_mask + 1) * CACHE_BUCKET_WORDS;
	char *block;

	if (!worth)
		return -ENOMEM;
	shard->worth = worth;
	HF_ASSERT(slots % 64 == 0 && slots <= UINT32_MAX);
	worth->slots = (uint32_t)slots;
	/* as many as half of the objects that there can be */
	worth->gone_mask = (uint32_t)hf_pow2_ceil(objects_max / 2 / WORTH_GONE_WAYS + 1) - 1;
	cache_rates_init(&worth->rates);
	block = hf_arena_alloc_in(shard->arena, shard->index, worth_arena_len(worth));
	if (!block)
		return -ENOMEM;
	memset(block, 0, worth_arena_len(worth));
	worth->gone = (void *)block;
	worth->occupied = (void *)(block + worth_gone_len(worth));
	*ret_len = worth_arena_len(worth);
	return 0;
}

void cache_worth_fini(struct hf_shard *shard)
{
	if (shard->worth && shard->worth->gone)
		hf_arena_release(shard->arena, shard->worth->gone, worth_arena_len(shard->worth));
	free(shard->worth);
}

/* ---- those in the table ---- */

static void worth_look(struct hf_shard *shard, struct hf_obj *obj)
{
	uint32_t idle = worth_idle(shard, obj), unseen = worth_now(shard) - obj->seen_at;

	HF_ASSERT(obj->place == CACHE_LINKED && unseen <= idle);
	cache_rates_saw_idle(&shard->worth->rates, obj->past, idle - unseen, idle);
	obj->seen_at = worth_now(shard);
	if (!atomic_load_explicit(&obj->touched, memory_order_relaxed))
		return;
	atomic_store_explicit(&obj->touched, 0, memory_order_relaxed);
	cache_rates_saw_touch(&shard->worth->rates, &obj->past, idle);
	obj->touched_at = worth_now(shard);
}

static double worth_of(const struct hf_shard *shard, const struct hf_obj *obj)
{
	double index = cache_rates_index(&shard->worth->rates, obj->past, worth_idle(shard, obj));
	double cost = (double)obj->cost;

	HF_ASSERT(obj->cost > 0);
	return index * (cost + WORTH_TRIP_BYTES) / cost;
}

double cache_worth_now(struct hf_shard *shard, struct hf_obj *obj)
{
	worth_look(shard, obj);
	return worth_of(shard, obj);
}

struct hf_obj *cache_worth_least(struct hf_shard *shard, struct hf_obj **objs, uint32_t count)
{
	struct hf_obj *least = NULL;
	double least_worth = 0;

	HF_ASSERT(count > 0);
	for (uint32_t i = 0; i < count; i++) {
		double worth;

		worth = cache_worth_now(shard, objs[i]);
		if (least && (worth > least_worth ||
				     (worth == least_worth && worth_idle(shard, objs[i]) <=
								      worth_idle(shard, least))))
			continue;
		least = objs[i];
		least_worth = worth;
	}
	return least;
}

/* The next occupied slot, from this one on and around. */
static uint32_t worth_occupied(const struct cache_worth *worth, uint32_t slot)
{
	uint32_t word = slot / 64;
	uint64_t bits = worth->occupied[word] & ~0ULL << slot % 64;

	HF_ASSERT_HOT(slot < worth->slots);
	while (bits == 0) {
		word = word + 1 < worth->slots / 64 ? word + 1 : 0;
		bits = worth->occupied[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Keys lie in the table by their hashes, so the next ones are as good as any at random, and each
 * object is seen as often as the others. */
uint32_t cache_worth_next(
	struct hf_shard *shard, uint32_t *slot, struct hf_obj **ret_objs, uint32_t max)
{
	const struct cache_worth *worth = shard->worth;
	uint32_t count = (uint32_t)hf_min_u64(shard->objects, max);

	for (uint32_t i = 0; i < count; i++) {
		*slot = worth_occupied(worth, *slot);
		ret_objs[i] = cache_at(shard, *slot);
		__builtin_prefetch(&ret_objs[i]->born_us);
		__builtin_prefetch(&ret_objs[i]->touched);
		__builtin_prefetch(&ret_objs[i]->touched_at);
		*slot = *slot + 1 < worth->slots ? *slot + 1 : 0;
	}
	return count;
}

static void worth_look_on(struct hf_shard *shard)
{
	struct hf_obj *objs[WORTH_LOOKS];
	uint32_t count = cache_worth_next(shard, &shard->look_slot, objs, WORTH_LOOKS);

	for (uint32_t i = 0; i < count; i++)
		worth_look(shard, objs[i]);
}

/* ---- those that left ---- */

static struct worth_gone *worth_gone_set(const struct cache_worth *worth, uint64_t hash)
{
	return worth->gone[hash & worth->gone_mask].ways;
}

static uint16_t worth_gone_tag(uint64_t hash)
{
	return (uint16_t)(hash >> 32) | 1;
}

static uint32_t worth_gone_idle(const struct hf_shard *shard, const struct worth_gone *gone)
{
	return worth_now(shard) - gone->touched_at;
}

/* Each set once in a round. Each time a round counts for each in it: too much for those that left
 * since the last one, too little for those that came back or were forgotten. */
static void worth_gone_look_on(struct hf_shard *shard)
{
	struct cache_worth *worth = shard->worth;
	uint32_t sets = worth->gone_mask / worth_round(shard) + 1;
	uint32_t round = (worth->gone_mask + 1) / sets;

	for (; sets > 0; sets--) {
		struct worth_gone *set = worth->gone[worth->gone_at].ways;

		for (uint32_t i = 0; i < WORTH_GONE_WAYS; i++) {
			uint32_t idle = worth_gone_idle(shard, &set[i]);

			if (set[i].tag)
				cache_rates_saw_idle(&worth->rates, set[i].past,
					idle - hf_min_u32(round, idle), idle);
		}
		worth->gone_at = (worth->gone_at + 1) & worth->gone_mask;
	}
}

/* In the place of nobody, or of the one that is idle for longest. */
void cache_worth_leave(struct hf_shard *shard, const struct hf_obj *obj)
{
	struct worth_gone *set = worth_gone_set(shard->worth, obj->hash), *gone = set;

	HF_ASSERT(obj->place == CACHE_LINKED);
	for (uint32_t i = 1; i < WORTH_GONE_WAYS && gone->tag; i++) {
		if (!set[i].tag || worth_gone_idle(shard, &set[i]) > worth_gone_idle(shard, gone))
			gone = &set[i];
	}
	*gone = (struct worth_gone){ obj->touched_at, worth_gone_tag(obj->hash), obj->past };
}

static void worth_come_back(struct hf_shard *shard, struct hf_obj *obj)
{
	struct worth_gone *set = worth_gone_set(shard->worth, obj->hash);

	for (uint32_t i = 0; i < WORTH_GONE_WAYS; i++) {
		if (set[i].tag != worth_gone_tag(obj->hash))
			continue;
		obj->past = set[i].past;
		cache_rates_saw_touch(
			&shard->worth->rates, &obj->past, worth_gone_idle(shard, &set[i]));
		set[i].tag = 0;
		return;
	}
}

void cache_worth_enter(struct hf_shard *shard, struct hf_obj *obj, struct hf_obj *old)
{
	obj->touched_at = obj->seen_at = worth_now(shard);
	shard->worth->occupied[obj->slot / 64] |= 1ULL << obj->slot % 64;
	if (!old) {
		worth_come_back(shard, obj);
		return;
	}
	hf_obj_touch(old); /* somebody asked, or it would not be replaced */
	worth_look(shard, old);
	obj->past = old->past;
	atomic_store_explicit(&obj->touched, 0, memory_order_relaxed);
}

void cache_worth_unlink(struct hf_shard *shard, uint32_t slot)
{
	HF_ASSERT(shard->worth->occupied[slot / 64] >> slot % 64 & 1);
	shard->worth->occupied[slot / 64] &= ~(1ULL << slot % 64);
}

void cache_worth_turn(struct hf_shard *shard)
{
	struct cache_worth *worth = shard->worth;

	worth_look_on(shard);
	worth_gone_look_on(shard);
	if (worth_now(shard) - worth->learnt_at < worth_round(shard) / CACHE_RATES_CLASSES)
		return;
	worth->learnt_at = worth_now(shard);
	cache_rates_learn(&worth->rates);
}

void cache_worth_check(const struct hf_shard *shard)
{
	const struct cache_worth *worth = shard->worth;
	uint64_t count = 0;

	HF_ASSERT(shard->look_slot < worth->slots && shard->clear_slot < worth->slots);
	HF_ASSERT(worth->gone_at <= worth->gone_mask);
	for (uint32_t slot = 0; slot < worth->slots; slot++) {
		const struct hf_obj *obj = cache_at(shard, slot);

		HF_ASSERT((worth->occupied[slot / 64] >> slot % 64 & 1) == (obj != NULL));
		if (!obj)
			continue;
		cache_rates_check_past(obj->past);
		HF_ASSERT(worth_now(shard) - obj->seen_at <= worth_idle(shard, obj));
		count++;
	}
	HF_ASSERT(count == shard->objects);
	for (uint32_t set = 0; set <= worth->gone_mask; set++) {
		for (uint32_t i = 0; i < WORTH_GONE_WAYS; i++)
			cache_rates_check_past(worth->gone[set].ways[i].past);
	}
	cache_rates_check(&worth->rates);
}
