/* SPDX-License-Identifier: BSD-3-Clause
 *
 * route, inside: the table of prefixes.
 *
 * Picture   bucket[digest & mask] -> node -chain-> node     by digest
 *           node[cap] -newer-> oldest ... latest -newer-> node[cap]   in order of use, a ring
 */
#ifndef HF_PRIV_ROUTE
#error "route_priv.h is private to lib/route"
#endif
#ifndef ROUTE_PRIV_H
#define ROUTE_PRIV_H

#include "hf_route.h"

struct route_holder {
	uint64_t until_us;
	struct hf_route_slot slot;
};

struct route_node {
	uint64_t digest;
	uint32_t chain; /* the next of its bucket; HF_ROUTE_NONE */
	uint32_t newer, older;
	struct route_holder holder[HF_ROUTE_HOLDERS_MAX]; /* the latest first; then generation 0 */
};

struct route_slot {
	uint32_t generation; /* of who has it, or of who will */
	bool taken;
	uint32_t depth; /* in the last question, if... */
	uint64_t asked; /* ...that was its number */
};

struct hf_route_table {
	struct hf_route_cfg cfg;
	struct hf_route_counts counts;
	uint64_t asked;
	uint32_t bucket_mask;
	uint32_t slots, free_count; /* slots: that were ever taken */
	uint32_t *bucket;
	uint32_t *free;          /* [slots_max], a stack */
	struct route_slot *slot; /* [slots_max] */
	struct route_node *node; /* [cap + 1] */
};

bool route_slot_is_in(const struct hf_route_table *table, struct hf_route_slot slot);
/* NULL: unknown. */
const struct route_node *route_node_find(const struct hf_route_table *table, uint64_t digest);
/* Fewer under way for its weight? */
bool route_is_less_loaded(const struct hf_route_origin *a, const struct hf_route_origin *b);

#endif
