/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* libcurl frees what it has not: 245 times a fetch. */
void hf_wipe_free(void *block)
{
	if (!block)
		return;
	hf_wipe(block, malloc_usable_size(block));
	free(block);
}

void *hf_wipe_realloc(void *block, size_t len)
{
	size_t old_len = block ? malloc_usable_size(block) : 0;
	void *moved;

	if (old_len >= len && block)
		return block;
	moved = malloc(len);
	if (!moved)
		return NULL;
	if (block)
		memcpy(moved, block, old_len);
	hf_wipe_free(block);
	return moved;
}

void hf_no_dump(void *base, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)base + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)base + len) & ~(page - 1);

	if (begin < end) /* what the kernel does not know, or parts of a hugepage: as before */
		(void)madvise((void *)begin, end - begin, MADV_DONTDUMP);
}
