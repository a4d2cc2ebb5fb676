/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_hist.h"

#include <string.h>

#include "stat_priv.h"

const struct hf_hist_info hf_hist_infos[HF_HIST_COUNT] = {
#define F(name, help)
#define X(id, name_, unit_, from, to, steps, help_, ...)                                           \
	[HF_HIST_##id] = {                                                                         \
		.name = name_,                                                                     \
		.unit = unit_,                                                                     \
		.help = help_,                                                                     \
		.labels = "" __VA_ARGS__,                                                          \
		.le_from = from,                                                                   \
		.le_to = to,                                                                       \
		.le_steps = steps,                                                                 \
	},
#include "tbl/hists.h"
#undef X
#undef F
};

/* What all unregistered threads add to. */
static struct hf_hist_cells hist_unread[HF_HIST_COUNT];
_Thread_local struct hf_hist_cells *hf_hist_own = hist_unread;

/* A thread's: no line of it is another's. */
static struct hist_block {
	struct hf_hist_cells cells[HF_HIST_COUNT];
} HF_ALIGNED(HF_CACHE_LINE) hist_blocks[HF_STAT_BLOCKS_MAX];

void hist_own_set(uint32_t i)
{
	HF_ASSERT(i < HF_STAT_BLOCKS_MAX);
	hf_hist_own = hist_blocks[i].cells;
}

void hf_hist_sum(enum hf_hist id, struct hf_hist_view *ret_view)
{
	HF_ASSERT(id < HF_HIST_COUNT);
	memset(ret_view, 0, sizeof(*ret_view));
	for (uint32_t b = 0; hf_stat_block_at(b) != NULL; b++) {
		const struct hf_hist_cells *cells = &hist_blocks[b].cells[id];

		for (uint32_t i = 0; i < HF_HIST_BUCKETS; i++) {
			uint64_t n = atomic_load_explicit(&cells->bucket[i], memory_order_acquire);

			ret_view->bucket[i] += n;
			ret_view->count += n;
		}
		ret_view->sum += atomic_load_explicit(&cells->sum, memory_order_relaxed);
		ret_view->max = hf_max_u64(
			ret_view->max, atomic_load_explicit(&cells->max, memory_order_relaxed));
	}
}

/* The middle of (low, high]; what is exact for buckets of one value. */
static uint64_t hist_middle(uint32_t i)
{
	uint32_t shift = i < 64 ? 0 : i / 32 - 1;
	uint64_t low = (uint64_t)(i - shift * 32) << shift;

	return low + ((1ULL << shift) + 1) / 2;
}

uint64_t hf_hist_quantile(const struct hf_hist_view *view, double q)
{
	double exact = q * (double)view->count;
	uint64_t rank = (uint64_t)exact, seen = 0;

	HF_ASSERT(q > 0 && q <= 1);
	if (view->count == 0)
		return 0;
	rank += (double)rank < exact;
	for (uint32_t i = 0; i < HF_HIST_BUCKETS - 1; i++) {
		seen += view->bucket[i];
		if (seen >= rank)
			return hf_min_u64(hist_middle(i), view->max);
	}
	return view->max;
}

uint32_t hf_hist_le_count(enum hf_hist id)
{
	const struct hf_hist_info *info = &hf_hist_infos[id];

	HF_ASSERT(id < HF_HIST_COUNT);
	return (uint32_t)(info->le_to - info->le_from) * info->le_steps + 1;
}

uint64_t hf_hist_le(enum hf_hist id, uint32_t i)
{
	const struct hf_hist_info *info = &hf_hist_infos[id];
	uint64_t octave = 1ULL << (info->le_from + i / info->le_steps);

	HF_ASSERT(i < hf_hist_le_count(id));
	return octave + octave / info->le_steps * (i % info->le_steps);
}

uint64_t hf_hist_count_le(const struct hf_hist_view *view, uint64_t le)
{
	uint32_t last = hf_hist_bucket(le);
	uint64_t count = 0;

	for (uint32_t i = 0; i <= last; i++)
		count += view->bucket[i];
	return count;
}
