/* SPDX-License-Identifier: BSD-3-Clause
 *
 * stat - counters and gauges, one block of cache lines for each thread, summed when read.
 *
 * What      tbl/stats.h lists every statistic, tbl/drops.h every reason for a drop. An id there is
 *           all it takes: name, help, CLI and exporters follow.
 * Picture   thread -> its hf_stat_block <- (relaxed loads) - control thread: sum over all blocks
 * Threads   hf_stat_add, hf_stat_sub, hf_drop: any thread, on its own block only. hf_stat_sum: any.
 * Lifetime  A block is registered once per thread and lives as long as the process.
 * Promises  Adding is one load and one store on a line of the thread's own. A thread that did not
 *           register counts into a block that nobody reads.
 * Limits    HF_STAT_BLOCKS_MAX threads; more share the unread block.
 */
#ifndef HF_STAT_H
#define HF_STAT_H

#include <stdatomic.h>

#include "hf_base.h"

#define HF_STAT_BLOCKS_MAX 256

enum hf_stat {
#define F(name, help)
#define X(id, name, ...) HF_STAT_##id,
#define B(id, name, ...) HF_STAT_##id,
#include "tbl/stats.h"
#undef B
#undef X
#undef F
	HF_STAT_COUNT
};

enum hf_drop {
	HF_DROP_NONE,
#define X(id, layer, name, help) HF_DROP_##id,
#include "tbl/drops.h"
#undef X
	HF_DROP_COUNT
};

enum hf_stat_kind { HF_STAT_COUNTER, HF_STAT_GAUGE };
enum hf_drop_layer {
	HF_DROP_LAYER_FRAME,
	HF_DROP_LAYER_SEGMENT,
	HF_DROP_LAYER_CONNECTION,
	HF_DROP_LAYER_REQUEST
};

struct hf_stat_info {
	const char *name, *unit, *help;
	const char *labels; /* `class="absent"`; "" without */
	enum hf_stat_kind kind;
	bool bare; /* exporters put no `holdfast_` in front of the name */
};

struct hf_drop_info {
	const char *name, *help;
	enum hf_drop_layer layer;
};

extern const struct hf_stat_info hf_stat_infos[HF_STAT_COUNT];
extern const struct hf_drop_info hf_drop_infos[HF_DROP_COUNT];

/* "frame", "segment", "connection", "request". */
const char *hf_drop_layer_name(enum hf_drop_layer layer);
/* What is held, divided by this, is in UNIT: 10^9 for "seconds", 10^6 for "ratio", 1 for all
 * else. */
uint32_t hf_stat_divisor(const char *unit);
/* NAME, or NAME{LABELS} when there are labels; cut at CAP. */
void hf_stat_title(const char *name, const char *labels, char *buf, size_t cap);
/* Lines of the tables that share NAME have one help together. OWN when NAME is no family. */
const char *hf_stat_family_help(const char *name, const char *own);

struct hf_stat_block {
	_Atomic uint64_t stat[HF_STAT_COUNT];
	_Atomic uint64_t drop[HF_DROP_COUNT];
	char thread[16]; /* "lcore1", "origin0", "control" */
} HF_ALIGNED(HF_CACHE_LINE);

extern _Thread_local struct hf_stat_block *hf_stat_own;

/* Gives the calling thread a block of its own that hf_stat_sum reads. Returns it, or NULL when
 * HF_STAT_BLOCKS_MAX threads have one. Once per thread. */
struct hf_stat_block *hf_stat_register(const char *thread);

/* A relaxed add without a bus lock: the owner is the only writer. */
static inline void hf_stat_bump(_Atomic uint64_t *v, uint64_t n)
{
	atomic_store_explicit(
		v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void hf_stat_add(enum hf_stat id, uint64_t n)
{
	hf_stat_bump(&hf_stat_own->stat[id], n);
}

/* Gauges: the sum over all threads is what counts, one thread's share may wrap below zero. */
static inline void hf_stat_sub(enum hf_stat id, uint64_t n)
{
	hf_stat_bump(&hf_stat_own->stat[id], 0 - n);
}

/* Gauges that one thread alone keeps. */
static inline void hf_stat_set(enum hf_stat id, uint64_t value)
{
	atomic_store_explicit(&hf_stat_own->stat[id], value, memory_order_relaxed);
}

static inline void hf_stat_inc(enum hf_stat id)
{
	hf_stat_add(id, 1);
}

/* Counts one thing dropped. Returns the reason, so that `return hf_drop(...)`. */
static inline enum hf_drop hf_drop(enum hf_drop reason)
{
	hf_stat_bump(&hf_stat_own->drop[reason], 1);
	return reason;
}

/* Sums over every registered thread; each value is right, all together are no single instant. */
uint64_t hf_stat_sum(enum hf_stat id);
uint64_t hf_drop_sum(enum hf_drop reason);
/* Keeps cache_miss_rate: of the last 60 whole seconds and the one that runs. One thread, a few
 * times a second. */
void hf_stat_miss_rate_tick(uint64_t now_us);
/* The i-th registered block, NULL past the last. */
const struct hf_stat_block *hf_stat_block_at(uint32_t i);

#endif
