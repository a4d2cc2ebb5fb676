/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pool - a fixed number of equal elements for one thread, all memory taken at boot.
 *
 * What      A free list through the elements. Out of elements is weather, not a bug: get returns
 *           NULL.
 * Threads   One, its owner.
 * Lifetime  hf_pool_init .. hf_pool_fini; elements need not be returned before fini.
 * Promises  In sanitizer builds an element that is free is poisoned: use after put is reported.
 *           Elements are cache-line aligned if their size is a multiple of a cache line.
 * Limits    count at boot, never more.
 */
#ifndef HF_POOL_H
#define HF_POOL_H

#include "hf_base.h"

#ifdef HF_SANITIZED
#include <sanitizer/asan_interface.h>
#define HF_POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define HF_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define HF_POISON(p, n)   ((void)(p), (void)(n))
#define HF_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

struct hf_pool {
	void *memory;
	void *free_list; /* the first free element that was used before */
	uint32_t elem_size;
	uint32_t count;
	uint32_t fresh; /* elements from here on were never used: untouched pages stay untouched */
	uint32_t used;
};

/* 0, or -ENOMEM. boot. */
int hf_pool_init(struct hf_pool *pool, size_t elem_size, uint32_t count);
/* The elements hold what clients sent or get: they are in no core dump. boot. */
void hf_pool_no_dump(const struct hf_pool *pool);
/* Fine on a zeroed pool. */
void hf_pool_fini(struct hf_pool *pool);

/* An element with undefined content, or NULL. */
static inline void *hf_pool_get(struct hf_pool *pool)
{
	void *elem = pool->free_list;

	if (elem) {
		HF_UNPOISON(elem, pool->elem_size);
		__builtin_memcpy(&pool->free_list, elem, sizeof(void *));
	} else if (hf_likely(pool->fresh < pool->count)) {
		elem = (char *)pool->memory + (size_t)pool->fresh++ * pool->elem_size;
		HF_UNPOISON(elem, pool->elem_size);
	} else {
		return NULL;
	}
	pool->used++;
	return elem;
}

static inline void hf_pool_put(struct hf_pool *pool, void *elem)
{
	HF_ASSERT_HOT(pool->used > 0);
	HF_ASSERT_HOT((char *)elem >= (char *)pool->memory &&
		      (char *)elem < (char *)pool->memory + (size_t)pool->fresh * pool->elem_size);
	__builtin_memcpy(elem, &pool->free_list, sizeof(void *));
	pool->free_list = elem;
	pool->used--;
	HF_POISON(elem, pool->elem_size);
}

static inline uint32_t hf_pool_free_count(const struct hf_pool *pool)
{
	return pool->count - pool->used;
}

/* The position of an element in the pool, stable while it is out; and back. */
static inline uint32_t hf_pool_index(const struct hf_pool *pool, const void *elem)
{
	return (uint32_t)((size_t)((const char *)elem - (const char *)pool->memory) /
			  pool->elem_size);
}

static inline void *hf_pool_at(const struct hf_pool *pool, uint32_t index)
{
	return (char *)pool->memory + (size_t)index * pool->elem_size;
}

#endif
