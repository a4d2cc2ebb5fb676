/* SPDX-License-Identifier: BSD-3-Clause
 *
 * arena - the cache's memory: one region of fixed size that devices can read, cut up by jemalloc.
 *
 * What      One mmap of `size` bytes (hugepages where there are any) under a jemalloc arena whose
 *           extents come from nowhere else. It cannot grow: when it is full, alloc returns NULL.
 * Picture   region [ extent | extent | ... | untouched ] <- extent hook hands out, never takes back
 *             each extent: slabs of one size class, reused by jemalloc
 *           cut:   [ part 0          | part 1          | ... ]   each with slabs of its own: no
 *                  owner's blocks keep pages from another's
 * Threads   alloc, free: origin and control threads (jemalloc locks inside). Never an lcore.
 * Lifetime  Everything allocated dies with hf_arena_free.
 * Promises  A1 resident memory of the region is at most `size`.  A2 hf_arena_used is the sum of the
 *           size classes of what is allocated.  A3 chunks of HF_ARENA_CHUNK bytes mixed with blocks
 *           of 300 B - 12 KiB fill a region of 64 MiB to >= 90 % under churn, in the mean.  In
 *           sanitizer builds blocks come from malloc, with the same bound.  A4 the region is in no
 *           core dump.
 */
#ifndef HF_ARENA_H
#define HF_ARENA_H

#include "hf_base.h"

#define HF_ARENA_CHUNK 14336 /* jemalloc's largest small size class: no page of its own each */

struct hf_arena;

/* boot. -ENOMEM with a sentence in err. */
int hf_arena_new(
	size_t size, bool hugepages, struct hf_err *err, struct hf_arena **ret_arena) HF_MUST_CHECK;
/* NULL is fine. */
void hf_arena_free(struct hf_arena *arena);
/* boot. Into so many parts of equal size; nothing may be allocated. At first it is one part. */
int hf_arena_cut(struct hf_arena *arena, uint32_t count) HF_MUST_CHECK;
/* 64-byte aligned when len >= 64, not zeroed; NULL when the part is full. */
void *hf_arena_alloc_in(struct hf_arena *arena, uint32_t part, size_t len);
/* In any part that has room. */
void *hf_arena_alloc(struct hf_arena *arena, size_t len);
/* LEN as asked for. NULL is fine. */
void hf_arena_release(struct hf_arena *arena, void *block, size_t len);
/* Bytes that hf_arena_alloc(len) takes: its size class. */
size_t hf_arena_cost(size_t len);
size_t hf_arena_used(const struct hf_arena *arena);
size_t hf_arena_size(const struct hf_arena *arena);
/* For registration with devices: base, length, page size. In sanitizer builds len is 0. */
void hf_arena_region(
	const struct hf_arena *arena, void **ret_base, size_t *ret_len, size_t *ret_page);

#endif
