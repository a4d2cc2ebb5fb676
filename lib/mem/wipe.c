/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_wipe.h"

#include <malloc.h>
#include <stdlib.h>

void hf_wipe_free(void *block)
{
	if (block)
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
