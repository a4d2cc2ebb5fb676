/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include <string.h>

#include "cache_priv.h"

struct check_sums {
	uint64_t used, returning, kept, objects;
	uint32_t under_way[CACHE_WORKERS_MAX];
};

/* Of two that share a chain (O7). */
static void check_shared(const struct hf_obj *older, const struct hf_obj *newer)
{
	HF_ASSERT(older->lent && older->newer == newer && newer->older == older);
	HF_ASSERT(older->shard == newer->shard && older->owner_refs > 0 && newer->owner_refs > 0);
	HF_ASSERT(older->first && older->first == newer->first && older->first->alloc_len > 0);
	HF_ASSERT(atomic_load(&older->state) == HF_OBJ_READY);
	HF_ASSERT(atomic_load(&newer->state) == HF_OBJ_READY);
	HF_ASSERT(!((atomic_load(&older->flags) | atomic_load(&newer->flags)) & HF_OBJ_STREAM));
	HF_ASSERT(atomic_load(&older->filled) == atomic_load(&newer->filled));
	HF_ASSERT(atomic_load(&older->length) == atomic_load(&newer->length));
	HF_ASSERT(older->hash == newer->hash);
}

/* The chain is contiguous, holds what is filled, and costs what the object says. */
static void check_body(const struct hf_obj *obj)
{
	uint64_t filled = atomic_load_explicit(&obj->filled, memory_order_relaxed);
	uint64_t cost = hf_arena_cost(obj->alloc_len);
	const struct hf_chunk *chunk = obj->first;

	if (obj->older)
		check_shared(obj->older, obj);
	if (obj->lent) {
		check_shared(obj, obj->newer);
		HF_ASSERT(cost == obj->cost);
		return;
	}
	for (; chunk; chunk = chunk->next) {
		HF_ASSERT(chunk->cap > 0);
		HF_ASSERT(chunk->alloc_len == 0 ||
			  chunk->cap == chunk->alloc_len - sizeof(struct hf_chunk));
		cost += chunk->alloc_len ? hf_arena_cost(chunk->alloc_len) : 0;
		if (chunk->next)
			HF_ASSERT(chunk->next->begin == chunk->begin + chunk->cap);
		else
			HF_ASSERT(chunk == obj->last && filled <= chunk->begin + chunk->cap);
	}
	HF_ASSERT(cost == obj->cost);
	HF_ASSERT(filled == 0 || obj->first);
}

static void check_recalls(const struct hf_obj *obj, struct check_sums *sums)
{
	uint64_t holders = atomic_load_explicit(&obj->holders, memory_order_relaxed);

	HF_ASSERT(holders != 0 && (obj->recall_mask & ~holders) == 0);
	HF_ASSERT(obj->owner_refs >= (uint32_t)__builtin_popcountll(holders));
	for (uint32_t i = 0; i < CACHE_WORKERS_MAX; i++)
		sums->under_way[i] += (holders & ~obj->recall_mask) >> i & 1;
}

static void check_linked(const struct hf_shard *shard, const struct hf_obj *obj)
{
	bool found = false;

	HF_ASSERT(atomic_load(&obj->state) == HF_OBJ_READY);
	HF_ASSERT(obj->serial > 0 && obj->serial <= shard->serial);
	HF_ASSERT(atomic_load(cache_slot_word(shard, obj->slot)) == cache_word(obj));
	for (uint32_t i = 0; i < CACHE_WORDS; i++) {
		uint32_t slot = cache_slot(shard, obj->hash, i);
		struct hf_obj *other = cache_word_obj(atomic_load(cache_slot_word(shard, slot)));
		struct hf_key key = { obj->key, obj->key_len, obj->hash };

		found = found || slot == obj->slot;
		HF_ASSERT(!other || other == obj || !cache_key_is(other, &key) ||
			  other->vary_len != obj->vary_len ||
			  memcmp(other->vary, obj->vary, obj->vary_len) != 0);
	}
	HF_ASSERT(found);
}

static void check_list(const struct hf_shard *shard, const struct hf_list *list, unsigned places,
	struct check_sums *sums)
{
	const struct hf_list *link;

	hf_list_for_each (link, list) {
		const struct hf_obj *obj = HF_CONTAINER_OF(link, struct hf_obj, queue);

		HF_ASSERT(link->next->prev == link && link->prev->next == link);
		HF_ASSERT(places & 1U << obj->place);
		HF_ASSERT(obj->shard == shard->index && obj->owner_refs > 0);
		check_body(obj);
		sums->used += obj->cost;
		if (cache_is_returning(obj))
			sums->returning += obj->cost;
		if (cache_is_kept(obj))
			sums->kept += obj->cost;
		if (obj->place == CACHE_RECALLED || obj->place == CACHE_PINNED)
			check_recalls(obj, sums);
		else if (obj->place == CACHE_LOOSE) /* else the word is next_retired, or times */
			HF_ASSERT(obj->recall_mask == 0);
		if (obj->place == CACHE_LINKED) {
			sums->objects++;
			check_linked(shard, obj);
		}
	}
}

static void check_table(const struct hf_shard *shard)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i <= shard->bucket_mask; i++) {
		for (uint32_t j = 0; j < CACHE_BUCKET_WORDS; j++) {
			uint64_t word = atomic_load(&shard->buckets[i].word[j]);

			if (word == 0)
				continue;
			HF_ASSERT(cache_word_obj(word)->slot == i * CACHE_BUCKET_WORDS + j);
			HF_ASSERT(cache_word_obj(word)->place == CACHE_LINKED);
			count++;
		}
	}
	HF_ASSERT(count == shard->objects);
}

void hf_shard_check(struct hf_shard *shard)
{
	struct check_sums sums = { 0 };

	check_list(shard, &shard->queue, 1U << CACHE_LINKED, &sums);
	check_list(shard, &shard->loose, 1U << CACHE_LOOSE | 1U << CACHE_RETIRED, &sums);
	check_list(shard, &shard->unposted, 1U << CACHE_RECALLED | 1U << CACHE_PINNED, &sums);
	check_list(shard, &shard->posted, 1U << CACHE_RECALLED, &sums);
	check_list(shard, &shard->pinned, 1U << CACHE_PINNED, &sums);
	check_table(shard);
	cache_worth_check(shard);
	HF_ASSERT(sums.used == shard->used && shard->used <= shard->budget);
	HF_ASSERT(sums.returning == shard->returning);
	HF_ASSERT(sums.kept == shard->kept);
	HF_ASSERT(sums.objects == shard->objects);
	for (uint32_t i = 0; i < CACHE_WORKERS_MAX; i++)
		HF_ASSERT(sums.under_way[i] == shard->under_way[i]);
}
