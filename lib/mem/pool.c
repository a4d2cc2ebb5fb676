/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "hf_wipe.h"

static size_t pool_bytes(const struct hf_pool *pool)
{
	return (size_t)pool->count * pool->elem_size;
}

int hf_pool_init(struct hf_pool *pool, size_t elem_size, uint32_t count)
{
	HF_ASSERT(count > 0);
	HF_ASSERT(elem_size > 0 && elem_size < UINT32_MAX - 16);
	memset(pool, 0, sizeof(*pool));
	pool->elem_size = (uint32_t)((elem_size + 15) & ~(size_t)15);
	pool->count = count;
	pool->memory = mmap(
		NULL, pool_bytes(pool), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->memory == MAP_FAILED) {
		pool->memory = NULL;
		return -ENOMEM;
	}
	HF_POISON(pool->memory, pool_bytes(pool));
	return 0;
}

void hf_pool_no_dump(const struct hf_pool *pool)
{
	hf_no_dump(pool->memory, pool_bytes(pool));
}

void hf_pool_fini(struct hf_pool *pool)
{
	if (pool->memory) {
		HF_UNPOISON(pool->memory, pool_bytes(pool));
		(void)munmap(pool->memory, pool_bytes(pool));
	}
	memset(pool, 0, sizeof(*pool));
}
