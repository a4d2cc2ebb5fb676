/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "origin_answer.h"
#include "origin_priv.h"

int origin_map_init(struct hf_origin *origin, uint32_t fetches_max)
{
	uint64_t buckets = hf_pow2_ceil(fetches_max);

	HF_ASSERT(fetches_max > 0 && buckets <= UINT32_MAX);
	origin->map = calloc(buckets, sizeof(*origin->map));
	origin->memo = calloc(ORIGIN_MEMO_SETS * ORIGIN_MEMO_WAYS, sizeof(*origin->memo));
	if (!origin->map || !origin->memo)
		return -ENOMEM;
	origin->map_mask = (uint32_t)(buckets - 1);
	for (uint64_t i = 0; i < buckets; i++)
		hf_list_init(&origin->map[i]);
	return 0;
}

void origin_map_fini(struct hf_origin *origin)
{
	free(origin->map);
	free(origin->memo);
}

/* The shard was chosen by high bits of the hash: the low ones are free for this. */
static struct hf_list *origin_map_bucket(const struct hf_origin *origin, uint64_t hash)
{
	return &origin->map[hash & origin->map_mask];
}

void origin_map_add(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(hf_list_empty(&fetch->map_link));
	HF_ASSERT(fetch->shared && fetch->key.len > 0);
	hf_list_add_tail(origin_map_bucket(origin, fetch->key.hash), &fetch->map_link);
}

static bool origin_map_same(const struct hf_key *a, const struct hf_key *b)
{
	return a->hash == b->hash && a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

struct origin_fetch *origin_map_next(
	const struct hf_origin *origin, const struct hf_key *key, const struct origin_fetch *after)
{
	struct hf_list *bucket = origin_map_bucket(origin, key->hash);
	struct hf_list *it = after ? after->map_link.next : bucket->next;

	for (; it != bucket; it = it->next) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, map_link);

		if (origin_map_same(&fetch->key, key))
			return fetch;
	}
	return NULL;
}

/* A set-associative table: two keys with one 64-bit hash would only fetch side by side. */
static struct origin_memo *origin_memo_set_of(const struct hf_origin *origin, uint64_t hash)
{
	return &origin->memo[(hash % ORIGIN_MEMO_SETS) * ORIGIN_MEMO_WAYS];
}

void origin_memo_set(struct hf_origin *origin, uint64_t hash, enum hf_cache_reason reason)
{
	struct origin_memo *set = origin_memo_set_of(origin, hash);
	struct origin_memo *victim = &set[0];

	HF_ASSERT(reason != HF_CACHE_WHY_STORED);
	for (uint32_t i = 0; i < ORIGIN_MEMO_WAYS; i++) {
		if (set[i].hash == hash) {
			victim = &set[i];
			break;
		}
		if (set[i].until_us < victim->until_us)
			victim = &set[i];
	}
	victim->hash = hash;
	victim->until_us = origin->now_us + ORIGIN_MEMO_US;
	victim->reason = reason;
	origin_warm_forget(origin, hash);
}

void origin_memo_clear(struct hf_origin *origin, uint64_t hash)
{
	struct origin_memo *set = origin_memo_set_of(origin, hash);

	for (uint32_t i = 0; i < ORIGIN_MEMO_WAYS; i++)
		if (set[i].hash == hash)
			set[i].until_us = 0;
}

const struct origin_memo *origin_memo_find(const struct hf_origin *origin, uint64_t hash)
{
	const struct origin_memo *set = origin_memo_set_of(origin, hash);

	for (uint32_t i = 0; i < ORIGIN_MEMO_WAYS; i++)
		if (set[i].hash == hash && set[i].until_us > origin->now_us)
			return &set[i];
	return NULL;
}
