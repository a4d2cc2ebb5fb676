/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which origin of its group a fetch goes to: lib/route, told how they all do.
 *
 *      usable ones (origin_peer) -> candidates -> least_loaded | hash | prefix_affinity -> fetch->target
 *
 * What this thread learnt of prefixes stays over states, while the group's affinity is set as before; an origin
 * that is gone, another or elsewhere has left.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_wipe.h"

#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

#define BALANCE_SLOTS_MIN 64 /* of a table; or twice the origins that there are */

/* ---- over states ---- */

static struct origin_affinity *balance_affinity_new(const struct hf_state_group *of)
{
	const struct hf_state_affinity *set = &of->affinity;
	uint32_t twice = (uint32_t)hf_pow2_ceil(2 * of->origin_count + 1);
	struct origin_affinity *affinity = calloc(1, sizeof(*affinity));
	struct hf_route_cfg cfg = { .cap = set->cap,
		.slots_max = hf_max_u32(twice, BALANCE_SLOTS_MIN),
		.ttl_us = set->ttl_s * 1000000ULL,
		.alpha = set->alpha };

	HF_ASSERT(affinity);
	hf_random_fill(&cfg.key, sizeof(cfg.key));
	affinity->refs = 1;
	affinity->set = *set;
	affinity->slots_max = cfg.slots_max;
	affinity->table = hf_route_table_new(&cfg);
	HF_ASSERT(affinity->table);
	return affinity;
}

/* Set as before, and large enough for the group that it is now? */
static bool balance_goes_on(const struct origin_affinity *affinity, const struct hf_state_group *of)
{
	const struct hf_state_affinity *a = &affinity->set, *b = &of->affinity;

	return a->by_body == b->by_body && a->alpha == b->alpha && a->cap == b->cap &&
	       a->ttl_s == b->ttl_s && of->origin_count <= affinity->slots_max;
}

void origin_balance_fill(struct origin_group *group, const struct hf_state_group *of,
	const struct origin_group *before)
{
	group->candidate = calloc(of->origin_count + 1, sizeof(*group->candidate));
	HF_ASSERT(group->candidate);
	for (uint32_t i = 0; i < of->origin_count; i++) {
		const struct hf_state_origin *origin = &of->origin[i];

		group->candidate[i].weight = origin->weight;
		group->candidate[i].name =
			hf_route_name((struct hf_span){ origin->id, strlen(origin->id) });
	}
	if (of->balance != HF_STATE_PREFIX_AFFINITY)
		return;
	if (!before || !before->affinity || !balance_goes_on(before->affinity, of)) {
		group->affinity = balance_affinity_new(of);
		return;
	}
	group->affinity = before->affinity;
	group->affinity->refs++;
}

void origin_balance_drop(struct origin_group *group)
{
	struct origin_affinity *affinity = group->affinity;

	free(group->candidate);
	if (!affinity || --affinity->refs > 0)
		return;
	hf_route_table_free(affinity->table);
	free(affinity);
}

void origin_balance_leave(struct origin_group *group, uint32_t count)
{
	for (uint32_t i = 0; group->affinity && i < count; i++)
		if (group->peer[i]->departed)
			hf_route_leave(group->affinity->table, group->candidate[i].slot);
}

/* Where it stands in the table: as before, or anew. */
static void balance_join(struct origin_peer *peer, struct hf_route_table *table, bool known,
	const struct hf_state_origin *of)
{
	uint64_t url = hf_route_name((struct hf_span){ of->url, strlen(of->url) });

	if (known && peer->slot_url == url)
		return;
	if (known)
		hf_route_leave(table, peer->slot);
	peer->slot = hf_route_join(table);
	peer->slot_url = url;
	HF_ASSERT(peer->slot.generation != 0);
}

void origin_balance_join(struct origin_group *group, const struct hf_state_group *of)
{
	for (uint32_t i = 0; i < of->origin_count; i++) {
		struct origin_peer *peer = group->peer[i];

		if (group->affinity)
			balance_join(peer, group->affinity->table, peer->slot_of == group->affinity,
				&of->origin[i]);
		peer->slot_of = group->affinity;
		group->candidate[i].slot = peer->slot;
	}
}

/* ---- the choice ---- */

static struct origin_group *balance_group(const struct origin_fetch *fetch)
{
	return &fetch->view->group[fetch->group - fetch->view->state->group];
}

/* What is told of a request whose body is cut into blocks: that which is there. */
static void balance_blocks(struct hf_origin *origin, const struct origin_fetch *fetch,
	struct hf_route_blocks *ret_blocks)
{
	const struct origin_affinity *affinity = balance_group(fetch)->affinity;
	struct hf_span host, path, body = { origin->scratch, 0 };

	ret_blocks->count = 0;
	if (!affinity)
		return;
	origin_view_split(&fetch->key, &host, &path);
	if (!affinity->set.by_body) {
		hf_route_blocks_path(affinity->table, host, path, ret_blocks);
		return;
	}
	if (fetch->leader)
		body.len = origin_body_peek(fetch->leader, origin->scratch, ORIGIN_PREFIX_MAX);
	hf_route_blocks_body(affinity->table, host, body, ret_blocks);
	hf_wipe(origin->scratch, body.len);
}

struct balance_question {
	const struct hf_origin *origin;
	const struct origin_fetch *fetch;
	const struct hf_route_blocks *blocks;
	struct hf_route_origin *candidate;
	struct hf_route_score *scores; /* NULL: not asked for */
	struct hf_route_why why;
	enum origin_choice choice;
	bool full;
};

static uint32_t balance_ask(struct balance_question *ask)
{
	uint32_t count = ask->fetch->group->origin_count;
	const struct hf_key *key = &ask->fetch->key;

	switch (ask->fetch->group->balance) {
	case HF_STATE_LEAST_LOADED:
		break;
	case HF_STATE_HASH:
		return hf_route_hash(ask->candidate, count,
			hf_route_name((struct hf_span){ key->ptr, key->len }));
	case HF_STATE_PREFIX_AFFINITY:
		return hf_route_affinity(balance_group(ask->fetch)->affinity->table, ask->blocks,
			ask->origin->now_us, ask->candidate, count, ask->scores, &ask->why);
	}
	return hf_route_least_loaded(ask->candidate, count);
}

/* True: one that is usable has no slot. */
static bool balance_candidates(struct balance_question *ask)
{
	const struct origin_group *group = balance_group(ask->fetch);
	bool full = false;

	for (uint32_t i = 0; i < ask->fetch->group->origin_count; i++) {
		bool usable = origin_target_usable(ask->origin, ask->fetch, i, ask->choice);
		bool open = usable && origin_slot_is_open(ask->origin, ask->fetch, i);

		ask->candidate[i].pending = group->peer[i]->in_flight;
		ask->candidate[i].excluded = !open;
		full |= usable && !open;
	}
	return full;
}

/* Of the best that there are. HF_ROUTE_NONE: none is usable, or those that are are full. */
static uint32_t balance_choose(struct balance_question *ask)
{
	uint32_t chosen = HF_ROUTE_NONE;

	for (uint32_t i = 0; i < ORIGIN_CHOICES && chosen == HF_ROUTE_NONE && !ask->full; i++) {
		ask->choice = (enum origin_choice)i;
		ask->full = balance_candidates(ask);
		chosen = balance_ask(ask);
	}
	return chosen;
}

static uint64_t balance_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A further try, or what asks for a rest, goes on with the same request: it is learnt, but is no other one. */
static void balance_learn(const struct balance_question *ask, uint32_t chosen)
{
	struct hf_route_table *table = balance_group(ask->fetch)->affinity->table;
	struct hf_route_counts before = hf_route_counts(table), after;

	if (ask->fetch->retries + ask->fetch->resumes == 0) {
		hf_stat_inc(ask->why.depth > 0 ? HF_STAT_ROUTING_HIT : HF_STAT_ROUTING_MISS);
		hf_stat_add(HF_STAT_ROUTING_STALE, ask->why.stale);
	}
	hf_route_learn(table, ask->blocks, ask->candidate[chosen].slot, ask->origin->now_us);
	after = hf_route_counts(table);
	hf_stat_add(HF_STAT_ROUTING_EVICTIONS, after.evictions - before.evictions);
	hf_stat_add(HF_STAT_ROUTING_TRUNCATIONS, after.truncations - before.truncations);
}

enum origin_pick origin_balance_pick(
	struct hf_origin *origin, struct origin_fetch *fetch, enum origin_choice *ret_choice)
{
	struct origin_group *group = balance_group(fetch);
	struct hf_route_blocks blocks;
	struct balance_question ask = {
		.origin = origin, .fetch = fetch, .blocks = &blocks, .candidate = group->candidate
	};
	uint64_t begin_ns = balance_ns();
	uint32_t chosen;

	balance_blocks(origin, fetch, &blocks);
	chosen = balance_choose(&ask);
	*ret_choice = ask.choice;
	if (chosen == HF_ROUTE_NONE)
		return ask.full ? ORIGIN_PICK_FULL : ORIGIN_PICK_NONE;
	if (group->affinity)
		balance_learn(&ask, chosen);
	fetch->target = &fetch->group->origin[chosen];
	fetch->peer = group->peer[chosen];
	hf_hist_add(HF_HIST_ROUTING, balance_ns() - begin_ns);
	return ORIGIN_PICK_DONE;
}

bool origin_balance_wants_body(const struct origin_fetch *fetch)
{
	const struct origin_affinity *affinity = balance_group(fetch)->affinity;
	const struct origin_reader *reader = fetch->leader;

	return affinity && affinity->set.by_body && reader->xchg->has_body &&
	       !origin_body_is_at_hand(reader, ORIGIN_PREFIX_MAX);
}

void origin_balance_explain(struct hf_origin *origin, struct hf_origin_call *call)
{
	const struct hf_state_route *route =
		origin->view ? origin_view_route(origin, &call->key) : NULL;
	struct origin_fetch fetch = { .view = origin->view, .key = call->key };
	struct hf_route_blocks blocks;
	struct balance_question ask = { .origin = origin, .fetch = &fetch, .blocks = &blocks };
	uint32_t count, chosen;

	call->route = route;
	if (!route)
		return;
	fetch.group = route->group;
	count = route->group->origin_count;
	ask.candidate = calloc(count + 1, sizeof(*ask.candidate));
	ask.scores = calloc(count + 1, sizeof(*ask.scores));
	call->candidate = calloc(count + 1, sizeof(*call->candidate));
	HF_ASSERT(ask.candidate && ask.scores && call->candidate);
	memcpy(ask.candidate, balance_group(&fetch)->candidate, count * sizeof(*ask.candidate));
	balance_blocks(origin, &fetch, &blocks);
	chosen = balance_choose(&ask);
	for (uint32_t i = 0; i < count; i++)
		call->candidate[i] = (struct hf_origin_candidate){
			.pending = ask.candidate[i].pending,
			.depth = ask.scores[i].depth,
			.score = ask.scores[i].score,
			.usable = !ask.candidate[i].excluded,
			.chosen = i == chosen,
		};
	call->blocks = blocks.count;
	call->mean = ask.why.mean;
	call->routed_by = hf_state_ref(origin->view->state);
	free(ask.candidate);
	free(ask.scores);
}
