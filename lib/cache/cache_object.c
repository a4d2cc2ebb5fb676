/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The making, filling and freeing of objects: every byte that a shard has from the arena is got and
 * given back here.
 */
#include "hf_cache.h"

#include <string.h>

#include "hf_stat.h"
#include "hf_wipe.h"

#include "cache_priv.h"

#define OBJECT_CHUNK_MIN 1024

static void *object_block_get(struct hf_shard *shard, size_t len)
{
	uint64_t cost = hf_arena_cost(len);
	void *block = NULL;

	HF_ASSERT(shard->used <= shard->budget);
	if (cost <= shard->budget - shard->used)
		block = hf_arena_alloc_in(shard->arena, shard->index, len);
	if (!block) {
		cache_evict_for(shard, cost);
		return NULL;
	}
	shard->used += cost;
	hf_stat_add(HF_STAT_CACHE_USED_BYTES, cost);
	return block;
}

/* A block of the object, or its own. */
static void object_block_put(
	struct hf_shard *shard, const struct hf_obj *obj, void *block, size_t len)
{
	uint64_t cost = hf_arena_cost(len);

	HF_ASSERT(shard->used >= cost);
	if (atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STREAM)
		hf_wipe(block, len); /* O8 */
	hf_arena_release(shard->arena, block, len);
	shard->used -= cost;
	shard->freed_count++;
	hf_stat_sub(HF_STAT_CACHE_USED_BYTES, cost);
}

HF_STATIC_ASSERT(HF_ARENA_CHUNK <= UINT16_MAX, "hf_chunk's lengths");

/* Every HF_CHUNK_SKIP-th chunk points to the next such one. Not in a stream: there the earlier one
 * may be gone. */
static void object_chunk_skip(const struct hf_obj *obj, struct hf_chunk *chunk)
{
	struct hf_chunk *last = obj->last;

	if (atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STREAM)
		return;
	chunk->skip_from = chunk;
	if (!last)
		return;
	if (last->skip_distance + 1 < HF_CHUNK_SKIP) {
		chunk->skip_from = last->skip_from;
		chunk->skip_distance = (uint16_t)(last->skip_distance + 1);
		return;
	}
	HF_ASSERT(!atomic_load_explicit(&last->skip_from->skip, memory_order_relaxed));
	atomic_store_explicit(&last->skip_from->skip, chunk, memory_order_release);
}

static struct hf_chunk *object_chunk_init(
	struct hf_obj *obj, void *block, uint64_t begin, size_t cap, size_t alloc_len)
{
	struct hf_chunk *chunk = block;

	memset(chunk, 0, sizeof(*chunk));
	chunk->begin = begin;
	chunk->cap = (uint16_t)cap;
	chunk->alloc_len = (uint16_t)alloc_len;
	object_chunk_skip(obj, chunk);
	if (obj->last)
		obj->last->next = chunk;
	else
		obj->first = chunk;
	obj->last = chunk;
	return chunk;
}

/* Copies a span behind the object's struct and moves *at past it. */
static const char *object_text(char **at, struct hf_span text)
{
	char *copy = *at;

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	*at += text.len;
	return copy;
}

static void object_init(struct hf_obj *obj, const struct hf_obj_spec *spec)
{
	memset(obj, 0, sizeof(*obj));
	obj->hash = spec->key.hash;
	obj->key_len = spec->key.len;
	obj->vary_len = (uint32_t)spec->vary.len;
	obj->head_len = (uint32_t)spec->head.len;
	obj->born_us = spec->born_us;
	obj->life = spec->life;
	obj->status = spec->status;
	obj->owner_refs = 1;
	atomic_init(&obj->length, spec->length);
	atomic_init(&obj->state, HF_OBJ_FILLING);
}

struct hf_obj *hf_shard_obj_new(struct hf_shard *shard, const struct hf_obj_spec *spec)
{
	uint16_t tagged = cache_head_is_tagged(spec->head) ? HF_OBJ_TAGGED : 0;
	size_t text_len = spec->key.len + spec->vary.len + spec->head.len;
	size_t body_at = (sizeof(struct hf_obj) + text_len + 7) & ~(size_t)7;
	bool inlined = spec->length > 0 && spec->length <= CACHE_INLINE_BODY_MAX &&
		       !(spec->flags & HF_OBJ_NO_BODY);
	size_t len = inlined ? body_at + sizeof(struct hf_chunk) + spec->length
			     : sizeof(struct hf_obj) + text_len;
	struct hf_obj *obj;
	char *at;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(len <= UINT32_MAX);
	HF_ASSERT(spec->key.len > 0 || (spec->flags & HF_OBJ_STREAM));
	obj = object_block_get(shard, len);
	if (!obj)
		return NULL;
	object_init(obj, spec);
	atomic_init(&obj->flags, (uint16_t)((spec->flags & ~HF_OBJ_TAGGED) | tagged));
	obj->shard = (uint8_t)shard->index;
	obj->alloc_len = (uint32_t)len;
	cache_cost_add(shard, obj, hf_arena_cost(len));
	at = (char *)(obj + 1);
	obj->key = object_text(&at, (struct hf_span){ spec->key.ptr, spec->key.len });
	obj->vary = object_text(&at, spec->vary);
	obj->head = object_text(&at, spec->head);
	if (inlined)
		object_chunk_init(obj, (char *)obj + body_at, 0, spec->length, 0);
	hf_list_add_tail(&shard->loose, &obj->queue);
	return obj;
}

void hf_shard_obj_ref(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT(obj->shard == shard->index);
	HF_ASSERT(obj->owner_refs > 0 && obj->owner_refs < UINT32_MAX);
	obj->owner_refs++;
}

void hf_shard_obj_unref(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT(obj->shard == shard->index);
	HF_ASSERT(obj->owner_refs > 0);
	if (--obj->owner_refs == 0)
		cache_object_free(shard, obj);
}

static void object_chunk_free(struct hf_shard *shard, struct hf_obj *obj, struct hf_chunk *chunk)
{
	if (chunk->alloc_len == 0)
		return; /* in the object's own block */
	cache_cost_sub(shard, obj, hf_arena_cost(chunk->alloc_len));
	object_block_put(shard, obj, chunk, chunk->alloc_len);
}

void cache_object_free(struct hf_shard *shard, struct hf_obj *obj)
{
	struct hf_chunk *chunk = obj->first;

	HF_ASSERT(obj->place == CACHE_LOOSE);
	hf_list_del(&obj->queue);
	if (cache_body_leave(shard, obj))
		chunk = NULL;
	while (chunk) {
		struct hf_chunk *next = chunk->next;

		object_chunk_free(shard, obj, chunk);
		chunk = next;
	}
	cache_cost_sub(shard, obj, hf_arena_cost(obj->alloc_len));
	HF_ASSERT(obj->cost == 0);
	object_block_put(shard, obj, obj, obj->alloc_len);
}

/* A body of known length gets what is missing of it. One of unknown length gets chunks that grow
 * with it, so that a short one does not cost a whole chunk. */
static struct hf_chunk *object_chunk_add(
	struct hf_shard *shard, struct hf_obj *obj, uint64_t filled, size_t more)
{
	uint64_t length = atomic_load_explicit(&obj->length, memory_order_relaxed);
	uint64_t want = length - filled;
	size_t len;
	void *block;

	if (length == HF_OBJ_LENGTH_UNKNOWN)
		want = hf_max_u64(hf_max_u64(more, filled), OBJECT_CHUNK_MIN);
	len = (size_t)hf_min_u64(sizeof(struct hf_chunk) + want, HF_ARENA_CHUNK);
	if (length == HF_OBJ_LENGTH_UNKNOWN)
		len = hf_arena_cost(len);
	HF_ASSERT(len > sizeof(struct hf_chunk));
	block = object_block_get(shard, len);
	if (!block)
		return NULL;
	cache_cost_add(shard, obj, hf_arena_cost(len));
	return object_chunk_init(obj, block, filled, len - sizeof(struct hf_chunk), len);
}

size_t hf_shard_fill(struct hf_shard *shard, struct hf_obj *obj, const void *data, size_t len)
{
	uint64_t filled = atomic_load_explicit(&obj->filled, memory_order_relaxed);
	uint64_t length = atomic_load_explicit(&obj->length, memory_order_relaxed);
	unsigned flags = atomic_load_explicit(&obj->flags, memory_order_relaxed);
	size_t done = 0;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(obj->shard == shard->index && obj->place == CACHE_LOOSE);
	HF_ASSERT(atomic_load_explicit(&obj->state, memory_order_relaxed) == HF_OBJ_FILLING);
	HF_ASSERT(filled <= length && len <= length - filled);
	HF_ASSERT(len == 0 || !(flags & HF_OBJ_WHOLE));
	while (done < len) {
		struct hf_chunk *chunk = obj->last;
		size_t at, n;

		if (!chunk || filled - chunk->begin == chunk->cap)
			chunk = object_chunk_add(shard, obj, filled, len - done);
		if (!chunk)
			break;
		at = (size_t)(filled - chunk->begin);
		n = hf_min_size(chunk->cap - at, len - done);
		memcpy(chunk->data + at, (const char *)data + done, n);
		done += n;
		filled += n;
		if (filled == length && !(flags & HF_OBJ_STREAM))
			atomic_fetch_or_explicit(&obj->flags, HF_OBJ_WHOLE, memory_order_relaxed);
		else
			atomic_store_explicit(&obj->filled, filled, memory_order_release);
	}
	return done;
}

void hf_shard_fill_end(struct hf_shard *shard, struct hf_obj *obj)
{
	uint64_t filled = atomic_load_explicit(&obj->filled, memory_order_relaxed);
	uint64_t length = atomic_load_explicit(&obj->length, memory_order_relaxed);
	unsigned flags = atomic_load_explicit(&obj->flags, memory_order_relaxed);

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(obj->shard == shard->index);
	HF_ASSERT(atomic_load_explicit(&obj->state, memory_order_relaxed) == HF_OBJ_FILLING);
	HF_ASSERT(length == HF_OBJ_LENGTH_UNKNOWN || length == filled ||
		  (flags & (HF_OBJ_NO_BODY | HF_OBJ_WHOLE)));
	if (length == HF_OBJ_LENGTH_UNKNOWN)
		atomic_store_explicit(&obj->length, filled, memory_order_release);
	if (flags & HF_OBJ_WHOLE) {
		atomic_store_explicit(&obj->filled, length, memory_order_release);
		atomic_fetch_and_explicit(
			&obj->flags, (uint16_t)~HF_OBJ_WHOLE, memory_order_relaxed);
	}
	atomic_store_explicit(&obj->state, HF_OBJ_READY, memory_order_release);
}

void hf_shard_fill_fail(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT(obj->shard == shard->index && obj->place == CACHE_LOOSE);
	HF_ASSERT(atomic_load_explicit(&obj->state, memory_order_relaxed) == HF_OBJ_FILLING);
	atomic_store_explicit(&obj->state, HF_OBJ_FAILED, memory_order_release);
}

void hf_shard_to_stream(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT(obj->shard == shard->index && obj->place == CACHE_LOOSE);
	HF_ASSERT(atomic_load_explicit(&obj->state, memory_order_relaxed) == HF_OBJ_FILLING);
	if (!cache_is_kept(obj))
		shard->kept += obj->cost;
	atomic_fetch_or_explicit(&obj->flags, HF_OBJ_STREAM, memory_order_relaxed);
}

/* A chunk that ends at `consumed` stays: a reader there finds its next byte through it (O6). */
void hf_shard_trim(struct hf_shard *shard, struct hf_obj *obj, uint64_t consumed)
{
	HF_ASSERT(obj->shard == shard->index && obj->place == CACHE_LOOSE);
	HF_ASSERT(atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STREAM);
	HF_ASSERT(consumed <= atomic_load_explicit(&obj->filled, memory_order_relaxed));
	while (obj->first != obj->last && obj->first->begin + obj->first->cap < consumed) {
		struct hf_chunk *chunk = obj->first;

		obj->first = chunk->next;
		object_chunk_free(shard, obj, chunk);
	}
}

uint64_t hf_shard_object_max(const struct hf_shard *shard)
{
	return shard->budget / 2;
}
