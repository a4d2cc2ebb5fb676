/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_route.h"

#include "route_priv.h"

/* How deep each origin holds the blocks: into the slots, under the question's number. Entries of
 * who has left. */
static uint32_t affinity_match(
	struct hf_route_table *table, const struct hf_route_blocks *blocks, uint64_t now_us)
{
	uint32_t stale = 0;

	table->asked++;
	for (uint32_t i = 0; i < blocks->count; i++) {
		const struct route_node *node = route_node_find(table, blocks->digest[i]);

		if (!node)
			break;
		for (uint32_t j = 0; j < HF_ROUTE_HOLDERS_MAX; j++) {
			const struct route_holder *holder = &node->holder[j];

			if (holder->slot.generation == 0)
				break;
			if (!route_slot_is_in(table, holder->slot)) {
				stale++;
			} else if (holder->until_us >= now_us) {
				table->slot[holder->slot.index].depth = i + 1;
				table->slot[holder->slot.index].asked = table->asked;
			}
		}
	}
	return stale;
}

static uint32_t affinity_depth(const struct hf_route_table *table, struct hf_route_slot slot)
{
	const struct route_slot *of = &table->slot[slot.index];

	return of->asked == table->asked ? of->depth : 0;
}

static bool affinity_is_candidate(
	const struct hf_route_table *table, const struct hf_route_origin *origin)
{
	return !origin->excluded && route_slot_is_in(table, origin->slot);
}

static double affinity_mean(
	const struct hf_route_table *table, const struct hf_route_origin *origins, uint32_t count)
{
	uint64_t pending = 0;
	uint32_t candidates = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!affinity_is_candidate(table, &origins[i]))
			continue;
		pending += origins[i].pending;
		candidates++;
	}
	return candidates ? (double)pending / candidates : 0;
}

/* What is compared: by the score, or where nobody holds anything by load alone. */
struct affinity_best {
	uint32_t index;
	double score;
	const struct hf_route_origin *origin;
};

static void affinity_better(struct affinity_best *best, const struct hf_route_origin *origin,
	uint32_t index, double score)
{
	if (best->origin && !(score > best->score) &&
		!(score == best->score && route_is_less_loaded(origin, best->origin)))
		return;
	*best = (struct affinity_best){ index, score, origin };
}

uint32_t hf_route_affinity(struct hf_route_table *table, const struct hf_route_blocks *blocks,
	uint64_t now_us, const struct hf_route_origin *origins, uint32_t count,
	struct hf_route_score *scores, struct hf_route_why *ret_why)
{
	struct hf_route_why why = { .stale = affinity_match(table, blocks, now_us) };
	struct affinity_best best = { .index = HF_ROUTE_NONE }, least = best;
	bool matched = false;

	why.mean = affinity_mean(table, origins, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct hf_route_origin *origin = &origins[i];
		bool candidate = affinity_is_candidate(table, origin);
		uint32_t depth = candidate ? affinity_depth(table, origin->slot) : 0;
		double score = blocks->count ? (double)depth / blocks->count : 0;

		score -= table->cfg.alpha * (origin->pending - why.mean) /
			 (why.mean > 1 ? why.mean : 1);
		if (scores)
			scores[i] = (struct hf_route_score){ depth, score, candidate };
		if (!candidate)
			continue;
		matched |= depth > 0;
		affinity_better(&best, origin, i, score);
		affinity_better(&least, origin, i, 0);
	}
	if (!matched)
		best = least;
	if (best.origin)
		why.depth = affinity_depth(table, best.origin->slot);
	*ret_why = why;
	return best.index;
}
