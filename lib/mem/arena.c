/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hf_wipe.h"

#define ARENA_ALIGN     HF_CACHE_LINE
#define ARENA_HUGE_PAGE (2UL * 1024 * 1024)

struct arena_region {
	char *base;
	size_t size;
	size_t page;
};

#ifndef HF_SANITIZED

#include <jemalloc/jemalloc.h>

/* Not in the public header of jemalloc 5.3, only the control that takes it. */
struct arena_config {
	extent_hooks_t *extent_hooks;
	bool metadata_use_hooks;
};

struct arena_part {
	extent_hooks_t hooks; /* first: jemalloc hands this pointer back to the hooks */
	char *base;
	size_t size;
	_Atomic size_t handed; /* bytes of it that jemalloc has had */
	unsigned index;
};

struct hf_arena {
	struct arena_region region;
	_Atomic size_t used;
	uint32_t part_count;
	struct arena_part *parts;
};

static int arena_flags(const struct arena_part *part, size_t len)
{
	int flags = MALLOCX_TCACHE_NONE;

	if (part)
		flags |= MALLOCX_ARENA(part->index);
	if (len >= ARENA_ALIGN)
		flags |= MALLOCX_ALIGN(ARENA_ALIGN);
	return flags;
}

/* What a hook gave is never taken back: jemalloc keeps what it frees, joined with its
 * neighbours. */
static void *arena_hook_alloc(extent_hooks_t *hooks, void *address, size_t size, size_t alignment,
	bool *zero, bool *commit, unsigned index)
{
	struct arena_part *part = (struct arena_part *)(void *)hooks;
	uintptr_t base = (uintptr_t)part->base;
	size_t old = atomic_load(&part->handed);
	size_t begin;

	if (address)
		return NULL;
	do {
		begin = (((base + old) + alignment - 1) & ~(uintptr_t)(alignment - 1)) - base;
		if (begin > part->size || size > part->size - begin)
			return NULL;
	} while (!atomic_compare_exchange_weak(&part->handed, &old, begin + size));
	*zero = true; /* fresh from mmap, never handed out before */
	*commit = true;
	return part->base + begin;
}

static bool arena_hook_split(extent_hooks_t *hooks, void *address, size_t size, size_t size_a,
	size_t size_b, bool committed, unsigned index)
{
	return false;
}

static bool arena_hook_merge(extent_hooks_t *hooks, void *address_a, size_t size_a, void *address_b,
	size_t size_b, bool committed, unsigned index)
{
	return false;
}

static int arena_control(unsigned index, const char *leaf, void *value, size_t len)
{
	size_t mib[3];
	size_t mib_len = HF_ARRAY_LEN(mib);
	char name[64] = "arena.0.";

	strncat(name, leaf, sizeof(name) - strlen(name) - 1);
	if (mallctlnametomib(name, mib, &mib_len) != 0)
		return -EINVAL;
	mib[1] = index;
	return mallctlbymib(mib, mib_len, NULL, NULL, value, len) == 0 ? 0 : -EINVAL;
}

/* jemalloc never joins an extent with the one below it when a hook returned its first byte. Asked
 * for 2 MiB and more at a time it would cut the region into islands, at last one for each slab. So
 * let it have the region in a few large pieces now: taken, given back, never touched. */
static void arena_hand_over(struct arena_part *part)
{
	int flags = arena_flags(part, 0);
	void *pieces[256];
	size_t count = 0;
	size_t len = part->size;

	while (len > HF_ARENA_CHUNK && count < HF_ARRAY_LEN(pieces)) {
		pieces[count] = mallocx(len, flags);
		if (pieces[count])
			count++;
		else
			len -= len / 8; /* jemalloc has four classes in each doubling */
	}
	while (count > 0)
		dallocx(pieces[--count], flags);
}

static int arena_part_create(struct arena_part *part)
{
	struct arena_config config = { .extent_hooks = &part->hooks };
	size_t len = sizeof(part->index);
	ssize_t decay_ms = 0; /* at once: only then are free neighbours joined */

	part->hooks.alloc = arena_hook_alloc;
	part->hooks.split = arena_hook_split;
	part->hooks.merge = arena_hook_merge;
	if (mallctl("experimental.arenas_create_ext", &part->index, &len, &config,
		    sizeof(config)) != 0)
		return -ENOMEM;
	HF_ASSERT(arena_control(part->index, "dirty_decay_ms", &decay_ms, sizeof(decay_ms)) == 0);
	HF_ASSERT(arena_control(part->index, "muzzy_decay_ms", &decay_ms, sizeof(decay_ms)) == 0);
	arena_hand_over(part);
	return 0;
}

static void arena_destroy(struct hf_arena *arena)
{
	while (arena->part_count > 0) {
		struct arena_part *part = &arena->parts[--arena->part_count];

		HF_ASSERT(arena_control(part->index, "destroy", NULL, 0) == 0);
	}
	free(arena->parts);
	arena->parts = NULL;
}

static int arena_create(struct hf_arena *arena, uint32_t count)
{
	size_t share = arena->region.size / count;

	arena->parts = calloc(count, sizeof(*arena->parts));
	if (!arena->parts)
		return -ENOMEM;
	while (arena->part_count < count) {
		struct arena_part *part = &arena->parts[arena->part_count];

		part->base = arena->region.base + arena->part_count * share;
		part->size = share;
		if (arena_part_create(part) != 0) {
			arena_destroy(arena);
			return -ENOMEM;
		}
		arena->part_count++;
	}
	return 0;
}

static int arena_map(struct arena_region *region, size_t size, bool hugepages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *base = MAP_FAILED;

	region->page = ARENA_HUGE_PAGE;
	region->size = (size + ARENA_HUGE_PAGE - 1) & ~(ARENA_HUGE_PAGE - 1);
	if (hugepages)
		/* populated: a device is told where each page lies, once */
		base = mmap(NULL, region->size, PROT_READ | PROT_WRITE,
			flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (base == MAP_FAILED) {
		region->page = (size_t)sysconf(_SC_PAGESIZE);
		region->size = (size + region->page - 1) & ~(region->page - 1);
		base = mmap(NULL, region->size, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
	if (base == MAP_FAILED)
		return -ENOMEM;
	if (hugepages && region->page != ARENA_HUGE_PAGE)
		(void)madvise(base, region->size, MADV_HUGEPAGE); /* a hint: fine without */
	hf_no_dump(base, region->size);
	region->base = base;
	return 0;
}

static void arena_unmap(struct arena_region *region)
{
	(void)munmap(region->base, region->size);
}

size_t hf_arena_cost(size_t len)
{
	return nallocx(len, arena_flags(NULL, len));
}

static void *arena_block_get(struct hf_arena *arena, uint32_t part, size_t len)
{
	return mallocx(len, arena_flags(&arena->parts[part], len));
}

static void arena_block_put(struct hf_arena *arena, void *block, size_t len)
{
	HF_ASSERT_HOT((char *)block >= arena->region.base &&
		      (char *)block < arena->region.base + arena->region.size);
	dallocx(block, arena_flags(NULL, len));
}

#else
/* HF_SANITIZED: each block is a malloc of its own, so that overflows and late uses are seen */

struct hf_arena {
	struct arena_region region;
	_Atomic size_t used;
	uint32_t part_count;
};

static int arena_create(struct hf_arena *arena, uint32_t count)
{
	arena->part_count = count;
	return 0;
}

static void arena_destroy(struct hf_arena *arena)
{
}

static int arena_map(struct arena_region *region, size_t size, bool hugepages)
{
	region->page = (size_t)sysconf(_SC_PAGESIZE);
	region->size = (size + region->page - 1) & ~(region->page - 1);
	return 0;
}

static void arena_unmap(struct arena_region *region)
{
}

/* As jemalloc's classes: four in each doubling. */
size_t hf_arena_cost(size_t len)
{
	size_t step = len <= 4 * ARENA_ALIGN ? ARENA_ALIGN : hf_pow2_ceil(len) / 8;

	return (len + step - 1) & ~(step - 1);
}

static void *arena_block_get(struct hf_arena *arena, uint32_t part, size_t len)
{
	void *block = NULL;

	if (atomic_load(&arena->used) > arena->region.size)
		return NULL; /* `used` has this block already */
	HF_ASSERT(posix_memalign(&block, ARENA_ALIGN, len) == 0);
	return block;
}

static void arena_block_put(struct hf_arena *arena, void *block, size_t len)
{
	free(block);
}

#endif

int hf_arena_new(size_t size, bool hugepages, struct hf_err *err, struct hf_arena **ret_arena)
{
	struct hf_arena *arena = calloc(1, sizeof(*arena));

	HF_ASSERT(size > 0);
	if (!arena)
		return hf_err_set(err, -ENOMEM, "no memory for the cache's bookkeeping");
	if (arena_map(&arena->region, size, hugepages) != 0) {
		free(arena);
		return hf_err_set(err, -ENOMEM,
			"cannot map %zu MiB of cache memory: the machine or its memory limit has "
			"less",
			size >> 20);
	}
	if (arena_create(arena, 1) != 0) {
		arena_unmap(&arena->region);
		free(arena);
		return hf_err_set(err, -ENOMEM,
			"jemalloc did not make an arena for the cache: is it version 5.3?");
	}
	*ret_arena = arena;
	return 0;
}

void hf_arena_free(struct hf_arena *arena)
{
	if (!arena)
		return;
	arena_destroy(arena);
	arena_unmap(&arena->region);
	free(arena);
}

int hf_arena_cut(struct hf_arena *arena, uint32_t count)
{
	HF_ASSERT(count > 0 && hf_arena_used(arena) == 0);
	if (count == arena->part_count)
		return 0;
	arena_destroy(arena);
	return arena_create(arena, count);
}

void *hf_arena_alloc_in(struct hf_arena *arena, uint32_t part, size_t len)
{
	void *block;

	HF_ASSERT(len > 0 && part < arena->part_count);
	if (len > arena->region.size)
		return NULL;
	atomic_fetch_add_explicit(&arena->used, hf_arena_cost(len), memory_order_relaxed);
	block = arena_block_get(arena, part, len);
	if (!block)
		atomic_fetch_sub_explicit(&arena->used, hf_arena_cost(len), memory_order_relaxed);
	return block;
}

void *hf_arena_alloc(struct hf_arena *arena, size_t len)
{
	void *block = NULL;

	for (uint32_t part = 0; !block && part < arena->part_count; part++)
		block = hf_arena_alloc_in(arena, part, len);
	return block;
}

void hf_arena_release(struct hf_arena *arena, void *block, size_t len)
{
	if (!block)
		return;
	HF_ASSERT(atomic_load_explicit(&arena->used, memory_order_relaxed) >= hf_arena_cost(len));
	arena_block_put(arena, block, len);
	atomic_fetch_sub_explicit(&arena->used, hf_arena_cost(len), memory_order_relaxed);
}

size_t hf_arena_used(const struct hf_arena *arena)
{
	return atomic_load_explicit(&arena->used, memory_order_relaxed);
}

size_t hf_arena_size(const struct hf_arena *arena)
{
	return arena->region.size;
}

void hf_arena_region(
	const struct hf_arena *arena, void **ret_base, size_t *ret_len, size_t *ret_page)
{
	*ret_base = arena->region.base;
	*ret_len = arena->region.base ? arena->region.size : 0;
	*ret_page = arena->region.page;
}
