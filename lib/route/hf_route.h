/* SPDX-License-Identifier: BSD-3-Clause
 *
 * route - which origin of a group a request goes to.
 *
 * What      Three ways to choose among candidates, which the caller describes anew each time:
 *             least loaded  fewest fetches under way for its weight; among equals they take turns
 *                           by weight
 *             hash          rendezvous: the same key, the same origin, for as long as that is there
 *             affinity      the origin that already holds the longest prefix of the request
 *           For affinity a table remembers which origins hold which prefix. A request is cut into
 *           blocks, path segments or each 256 bytes of its body; a block's digest is chained to the
 *           one before it, so it stands for the whole prefix up to there.
 *             score = contiguous_depth / blocks - alpha * (pending - mean) / max(1, mean)
 *           The highest score is chosen, among equals the least loaded, then the first. Where no
 *           candidate holds anything, the least loaded, then the first.
 * Picture   digests -> node, node, node ...          one node a prefix, in order of use
 *                        \-> {slot, generation, until} the origins that took it last
 *           slot -> generation: another one when the origin has left, which ends what its entries
 *                               say
 * Threads   one, that of the table's owner. Pure: no clock, no heap but in table_new.
 * Promises  U1 never more than `cap` nodes; the least recently learnt goes first, of one request
 *              the deepest.
 *           U2 learning evicts nothing of its own batch; of one that is longer than `cap` the first
 *              blocks are learnt, and it is counted.
 *           U3 who has left is never chosen, and what it held counts no more, for whoever gets its
 *              slot neither.
 *           U4 asking changes nothing of what is known, nor of what goes first.
 *           U5 hash: without one of n origins only its keys move, in proportion to the weights.
 *           U6 what holds a prefix holds all that is shorter: with the set of a short one full, a
 *              longer one tells.
 * Limits    HF_ROUTE_BLOCKS_MAX blocks of a request count, HF_ROUTE_HOLDERS_MAX origins a node, the
 *           latest ones. 128 bytes for each of `cap`, of which only what is used is memory.
 * Tests     tests/unit/route; perf/micro/bench_route.c
 */
#ifndef HF_ROUTE_H
#define HF_ROUTE_H

#include "hf_base.h"
#include "hf_siphash.h"

#define HF_ROUTE_NONE        UINT32_MAX
#define HF_ROUTE_BLOCKS_MAX  64
#define HF_ROUTE_BLOCK_LEN   256 /* of a body */
#define HF_ROUTE_HOLDERS_MAX 6
#define HF_ROUTE_CAP_MAX     (1U << 20)

/* An origin that joined a table. Of generation 0: none. */
struct hf_route_slot {
	uint32_t index, generation;
};

struct hf_route_origin {
	uint32_t pending, weight;  /* weight: at least 1 */
	bool excluded;             /* drained, ejected, tried already */
	struct hf_route_slot slot; /* affinity */
	uint64_t name;             /* hash: hf_route_name of its id */
	int64_t credit;            /* least loaded: whose turn it is; 0, then left alone */
};

/* ---- the index of the chosen one; HF_ROUTE_NONE: all are excluded ---- */

uint32_t hf_route_least_loaded(struct hf_route_origin *origins, uint32_t count);
/* KEY: hf_route_name of what shall go together. */
uint32_t hf_route_hash(const struct hf_route_origin *origins, uint32_t count, uint64_t key);
/* The same in every process and on every node. */
uint64_t hf_route_name(struct hf_span text);

/* ---- affinity ---- */

struct hf_route_table;

struct hf_route_cfg {
	uint32_t cap;       /* nodes, 1 to HF_ROUTE_CAP_MAX */
	uint32_t slots_max; /* origins at a time */
	uint64_t ttl_us;    /* an origin holds what it took no longer ago than that; 0: for ever */
	double alpha;
	struct hf_sipkey key; /* of digests */
};

/* boot, or a new state. NULL: no memory. */
struct hf_route_table *hf_route_table_new(const struct hf_route_cfg *cfg);
void hf_route_table_free(struct hf_route_table *table);

/* Generation 0: slots_max have joined. */
struct hf_route_slot hf_route_join(struct hf_route_table *table);
/* Who left already may leave again. */
void hf_route_leave(struct hf_route_table *table, struct hf_route_slot slot);

struct hf_route_blocks {
	uint32_t count;
	uint64_t digest[HF_ROUTE_BLOCKS_MAX];
};

/* HOST tells paths of different hosts apart. Empty segments are none, and a query is no part of
 * it. */
void hf_route_blocks_path(const struct hf_route_table *table, struct hf_span host,
	struct hf_span path, struct hf_route_blocks *ret_blocks);
/* The complete blocks of a body's first bytes; what is behind HF_ROUTE_BLOCKS_MAX of them does not
 * count. */
void hf_route_blocks_body(const struct hf_route_table *table, struct hf_span host,
	struct hf_span body, struct hf_route_blocks *ret_blocks);

struct hf_route_why {
	uint32_t depth; /* of the chosen one */
	uint32_t stale; /* entries met whose origin has left */
	double mean;    /* pending, of who is not excluded */
};

struct hf_route_score {
	uint32_t depth;
	double score;
	bool candidate; /* not excluded */
};

/* Who is chosen now; SCORES is NULL or takes those of each. Who has left counts as excluded. */
uint32_t hf_route_affinity(struct hf_route_table *table, const struct hf_route_blocks *blocks,
	uint64_t now_us, const struct hf_route_origin *origins, uint32_t count,
	struct hf_route_score *scores, struct hf_route_why *ret_why);
/* The origin takes a request of these blocks. Nothing, if it has left. */
void hf_route_learn(struct hf_route_table *table, const struct hf_route_blocks *blocks,
	struct hf_route_slot slot, uint64_t now_us);

struct hf_route_counts {
	uint32_t nodes;
	uint64_t evictions, truncations;
};
struct hf_route_counts hf_route_counts(const struct hf_route_table *table);

#endif
