/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_stat.h"

#include <stdio.h>
#include <string.h>

#include "stat_priv.h"

/* What follows `help` is the labels, if there are any. */
#define STAT_INFO(id, name_, kind_, unit_, help_, bare_, ...)                                      \
	[HF_STAT_##id] = {                                                                         \
		.name = name_,                                                                     \
		.unit = unit_,                                                                     \
		.help = help_,                                                                     \
		.labels = "" __VA_ARGS__,                                                          \
		.kind = HF_STAT_##kind_,                                                           \
		.bare = bare_,                                                                     \
	},

const struct hf_stat_info hf_stat_infos[HF_STAT_COUNT] = {
#define F(name, help)
#define X(id, name, kind, unit, help, ...) STAT_INFO(id, name, kind, unit, help, false, __VA_ARGS__)
#define B(id, name, kind, unit, help)      STAT_INFO(id, name, kind, unit, help, true)
#include "tbl/stats.h"
#undef B
#undef X
#undef F
};

static const struct {
	const char *name, *help;
} stat_families[] = {
#define F(name_, help_) { .name = name_, .help = help_ },
#define X(...)
#define B(...)
#include "tbl/hists.h"
#include "tbl/stats.h"
#undef B
#undef X
#undef F
};

const struct hf_drop_info hf_drop_infos[HF_DROP_COUNT] = {
	[HF_DROP_NONE] = { .name = "none", .help = "Not dropped" },
#define X(id, layer_, name_, help_)                                                                \
	[HF_DROP_##id] = { .name = name_, .help = help_, .layer = HF_DROP_LAYER_##layer_ },
#include "tbl/drops.h"
#undef X
};

const char *hf_drop_layer_name(enum hf_drop_layer layer)
{
	static const char *const names[] = {
		[HF_DROP_LAYER_FRAME] = "frame",
		[HF_DROP_LAYER_SEGMENT] = "segment",
		[HF_DROP_LAYER_CONNECTION] = "connection",
		[HF_DROP_LAYER_REQUEST] = "request",
	};

	HF_ASSERT(layer < HF_ARRAY_LEN(names));
	return names[layer];
}

uint32_t hf_stat_divisor(const char *unit)
{
	if (strcmp(unit, "seconds") == 0)
		return 1000000000;
	return strcmp(unit, "ratio") == 0 ? 1000000 : 1;
}

void hf_stat_title(const char *name, const char *labels, char *buf, size_t cap)
{
	if (labels[0])
		(void)snprintf(buf, cap, "%s{%s}", name, labels);
	else
		(void)snprintf(buf, cap, "%s", name);
}

const char *hf_stat_family_help(const char *name, const char *own)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(stat_families); i++) {
		if (strcmp(stat_families[i].name, name) == 0)
			return stat_families[i].help;
	}
	return own;
}

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
	hist_own_set(i);
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
