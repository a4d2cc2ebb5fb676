/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Freshening (RFC 9111 §4.3.4): a new head for a body that is stored already.
 *
 * Picture   objects that share a chain of chunks (O7 of hf_object.h), linked by age:
 *             first stored <--older-- freshened <--older-- freshened again  first of each --> chain
 *                   lent   --newer-->   lent    --newer-->  counts the chain
 */
#include "hf_cache.h"

#include <string.h>

#include "hf_stat.h"

#include "cache_priv.h"

/* What the object's chain costs. */
static uint64_t freshen_chain_cost(const struct hf_obj *obj)
{
	HF_ASSERT(obj->cost >= hf_arena_cost(obj->alloc_len));
	return obj->cost - hf_arena_cost(obj->alloc_len);
}

/* Of two that share a chain: from now on it counts as TO's, in every sum that they are part of. */
static void freshen_move_cost(struct hf_shard *shard, struct hf_obj *from, struct hf_obj *to)
{
	uint64_t cost = freshen_chain_cost(from);

	HF_ASSERT(from->first == to->first && freshen_chain_cost(to) == 0);
	cache_cost_sub(shard, from, cost);
	cache_cost_add(shard, to, cost);
	if (from->place == CACHE_LINKED)
		hf_stat_sub(HF_STAT_CACHE_STORED_BYTES, cost);
	if (to->place == CACHE_LINKED)
		hf_stat_add(HF_STAT_CACHE_STORED_BYTES, cost);
	if (cache_is_returning(from)) {
		HF_ASSERT(shard->returning >= cost);
		shard->returning -= cost;
	}
	if (cache_is_returning(to))
		shard->returning += cost;
}

/* The newest one of those that share OLD's chain hands it on. */
static void freshen_share(struct hf_shard *shard, struct hf_obj *old, struct hf_obj *heir)
{
	while (old->lent)
		old = old->newer;
	HF_ASSERT(old->shard == heir->shard && !heir->first);
	heir->first = old->first;
	heir->last = old->last;
	heir->older = old;
	freshen_move_cost(shard, old, heir);
	old->lent = true;
	old->newer = heir;
}

bool cache_body_leave(struct hf_shard *shard, struct hf_obj *obj)
{
	struct hf_obj *older = obj->older;

	if (obj->lent) {
		HF_ASSERT(obj->newer->older == obj);
		obj->newer->older = older;
		if (older)
			older->newer = obj->newer;
		return true;
	}
	if (!older)
		return false;
	HF_ASSERT(older->lent && older->newer == obj);
	freshen_move_cost(shard, obj, older);
	older->lent = false;
	older->last = obj->last;
	return true;
}

/* A body that the new object has room for. */
static void freshen_copy(struct hf_obj *obj, const struct hf_obj *old, uint64_t len)
{
	HF_ASSERT(len == obj->first->cap);
	for (const struct hf_chunk *chunk = old->first; chunk && chunk->begin < len;
		chunk = chunk->next)
		memcpy(obj->first->data + chunk->begin, chunk->data,
			hf_min_u64(chunk->cap, len - chunk->begin));
}

struct hf_obj *hf_shard_obj_freshen(
	struct hf_shard *shard, struct hf_obj *old, const struct hf_obj_spec *spec)
{
	unsigned flags = atomic_load_explicit(&old->flags, memory_order_relaxed);
	uint64_t filled = atomic_load_explicit(&old->filled, memory_order_relaxed);
	struct hf_obj_spec whole = *spec;
	struct hf_obj *obj;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(old->shard == shard->index && old->owner_refs > 0);
	HF_ASSERT(hf_obj_is_ready(old) || (flags & HF_OBJ_WHOLE));
	HF_ASSERT(!(flags & HF_OBJ_STREAM));
	whole.key = (struct hf_key){ old->key, old->key_len, old->hash };
	whole.vary = (struct hf_span){ old->vary, old->vary_len };
	whole.length = atomic_load_explicit(&old->length, memory_order_relaxed);
	whole.status = old->status;
	whole.flags = (uint16_t)((spec->flags & (HF_OBJ_AUTH_OK | HF_OBJ_SECRET_OK)) |
				 (flags & HF_OBJ_NO_BODY));
	if (flags & HF_OBJ_WHOLE)
		filled = whole.length;
	obj = hf_shard_obj_new(shard, &whole);
	if (!obj)
		return NULL;
	if (obj->first)
		freshen_copy(obj, old, filled);
	else if (filled > 0)
		freshen_share(shard, old, obj);
	obj->purged = old->purged || cache_purge_names(shard, old);
	atomic_store_explicit(&obj->touched,
		atomic_load_explicit(&old->touched, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&obj->filled, filled, memory_order_release);
	atomic_store_explicit(&obj->state, HF_OBJ_READY, memory_order_release);
	return obj;
}
