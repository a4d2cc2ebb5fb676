/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_stat.h"

#include <stdio.h>

const struct hf_stat_info hf_stat_infos[HF_STAT_COUNT] = {
#define X(id, name_, kind_, unit_, help_)                                                          \
	[HF_STAT_##id] = { .name = name_, .unit = unit_, .help = help_, .kind = HF_STAT_##kind_ },
#include "tbl/stats.h"
#undef X
};

const struct hf_drop_info hf_drop_infos[HF_DROP_COUNT] = {
	[HF_DROP_NONE] = { .name = "none", .help = "Not dropped" },
#define X(id, layer_, name_, help_)                                                                \
	[HF_DROP_##id] = { .name = name_, .help = help_, .layer = HF_DROP_LAYER_##layer_ },
#include "tbl/drops.h"
#undef X
};

/* What all unregistered threads count into. */
static struct hf_stat_block stat_unread;
_Thread_local struct hf_stat_block *hf_stat_own = &stat_unread;

static struct hf_stat_block stat_blocks[HF_STAT_BLOCKS_MAX];
static _Atomic uint32_t stat_block_count;

struct hf_stat_block *hf_stat_register(const char *thread)
{
	uint32_t i = atomic_load(&stat_block_count);

	HF_ASSERT(hf_stat_own == &stat_unread);
	do {
		if (i == HF_STAT_BLOCKS_MAX)
			return NULL;
	} while (!atomic_compare_exchange_weak(&stat_block_count, &i, i + 1));
	(void)snprintf(stat_blocks[i].thread, sizeof(stat_blocks[i].thread), "%s", thread);
	hf_stat_own = &stat_blocks[i];
	return hf_stat_own;
}

const struct hf_stat_block *hf_stat_block_at(uint32_t i)
{
	return i < atomic_load(&stat_block_count) ? &stat_blocks[i] : NULL;
}

uint64_t hf_stat_sum(enum hf_stat id)
{
	uint64_t sum = 0;
	const struct hf_stat_block *block;

	HF_ASSERT(id < HF_STAT_COUNT);
	for (uint32_t i = 0; (block = hf_stat_block_at(i)) != NULL; i++)
		sum += atomic_load_explicit(&block->stat[id], memory_order_relaxed);
	return sum;
}

uint64_t hf_drop_sum(enum hf_drop reason)
{
	uint64_t sum = 0;
	const struct hf_stat_block *block;

	HF_ASSERT(reason < HF_DROP_COUNT);
	for (uint32_t i = 0; (block = hf_stat_block_at(i)) != NULL; i++)
		sum += atomic_load_explicit(&block->drop[reason], memory_order_relaxed);
	return sum;
}
