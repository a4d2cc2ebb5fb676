/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reference policy ARC (Megiddo and Modha, FAST 2003), its lengths counted in bytes.
 */
#include "lists.h"

/* T1: seen once lately; T2: more often; B1, B2: what left them. */
enum { ARC_T1, ARC_T2, ARC_B1, ARC_B2 };

struct arc {
	struct lists lists;
	const uint64_t *cost;
	uint64_t capacity;
	uint64_t target; /* p: of T1 */
};

static void *arc_open(const struct policy_world *world)
{
	struct arc *arc = lists_calloc(1, sizeof(*arc));

	lists_init(&arc->lists, world);
	arc->cost = world->cost;
	arc->capacity = world->capacity;
	return arc;
}

static void arc_close(void *state)
{
	struct arc *arc = state;

	lists_fini(&arc->lists);
	free(arc);
}

static void arc_replace(struct arc *arc, uint64_t cost, bool in_b2)
{
	struct lists *lists = &arc->lists;

	while (lists->bytes[ARC_T1] + lists->bytes[ARC_T2] + cost > arc->capacity) {
		bool first = lists->bytes[ARC_T1] > arc->target ||
			     (in_b2 && lists->bytes[ARC_T1] == arc->target);

		if (!lists_empty(lists, ARC_T1) && (first || lists_empty(lists, ARC_T2)))
			lists_move(lists, ARC_B1, lists_oldest(lists, ARC_T1));
		else
			lists_move(lists, ARC_B2, lists_oldest(lists, ARC_T2));
	}
}

static void arc_adapt(struct arc *arc, uint32_t object)
{
	const uint64_t *bytes = arc->lists.bytes;
	uint64_t cost = arc->cost[object], step;

	if (arc->lists.on[object] == ARC_B1) {
		step = bytes[ARC_B2] > bytes[ARC_B1] ? cost * bytes[ARC_B2] / bytes[ARC_B1] : cost;
		arc->target = hf_min_u64(arc->target + step, arc->capacity);
	} else {
		step = bytes[ARC_B1] > bytes[ARC_B2] ? cost * bytes[ARC_B1] / bytes[ARC_B2] : cost;
		arc->target -= hf_min_u64(step, arc->target);
	}
}

/* Neither T1 with B1 beyond the capacity, nor all four beyond twice of it. */
static void arc_forget(struct arc *arc, uint64_t cost)
{
	struct lists *lists = &arc->lists;

	while (lists->bytes[ARC_T1] + lists->bytes[ARC_B1] + cost > arc->capacity)
		lists_del(lists, lists_oldest(lists, lists_empty(lists, ARC_B1) ? ARC_T1 : ARC_B1));
	while (lists->bytes[ARC_T1] + lists->bytes[ARC_T2] + lists->bytes[ARC_B1] +
			lists->bytes[ARC_B2] + cost >
		2 * arc->capacity) {
		if (lists_empty(lists, ARC_B2))
			break;
		lists_del(lists, lists_oldest(lists, ARC_B2));
	}
}

static bool arc_request(void *state, uint32_t object)
{
	struct arc *arc = state;
	struct lists *lists = &arc->lists;
	uint8_t on = lists->on[object];

	if (on == ARC_T1 || on == ARC_T2) {
		lists_move(lists, ARC_T2, object);
		return true;
	}
	if (on == LISTS_NONE) {
		arc_forget(arc, arc->cost[object]);
		arc_replace(arc, arc->cost[object], false);
		lists_add(lists, ARC_T1, object);
		return false;
	}
	arc_adapt(arc, object);
	lists_del(lists, object);
	arc_replace(arc, arc->cost[object], on == ARC_B2);
	lists_add(lists, ARC_T2, object);
	return false;
}

const struct policy policy_arc = { "arc", arc_open, arc_request, arc_close };
