/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lists - some lists over objects that are numbers; each object is on at most one. They know the
 * bytes that are on them.
 */
#ifndef LISTS_H
#define LISTS_H

#include <stdlib.h>

#include "policy.h"

#define LISTS_MAX  4
#define LISTS_NONE 255

struct lists {
	const uint64_t *cost;
	uint32_t objects; /* list i's own node: objects + i */
	uint32_t *newer, *older;
	uint8_t *on; /* which list, or LISTS_NONE */
	uint64_t bytes[LISTS_MAX];
	uint32_t count[LISTS_MAX];
};

static inline void *lists_calloc(size_t count, size_t size)
{
	void *block = calloc(count, size);

	HF_ASSERT(block != NULL);
	return block;
}

static inline void lists_init(struct lists *lists, const struct policy_world *world)
{
	*lists = (struct lists){ .cost = world->cost, .objects = world->objects };
	lists->newer = lists_calloc(world->objects + LISTS_MAX, sizeof(uint32_t));
	lists->older = lists_calloc(world->objects + LISTS_MAX, sizeof(uint32_t));
	lists->on = lists_calloc(world->objects, 1);
	for (uint32_t i = 0; i < world->objects; i++)
		lists->on[i] = LISTS_NONE;
	for (uint32_t i = world->objects; i < world->objects + LISTS_MAX; i++)
		lists->newer[i] = lists->older[i] = i;
}

static inline void lists_fini(struct lists *lists)
{
	free(lists->newer);
	free(lists->older);
	free(lists->on);
}

static inline void lists_del(struct lists *lists, uint32_t object)
{
	uint8_t from = lists->on[object];

	HF_ASSERT(from < LISTS_MAX && lists->bytes[from] >= lists->cost[object]);
	lists->newer[lists->older[object]] = lists->newer[object];
	lists->older[lists->newer[object]] = lists->older[object];
	lists->bytes[from] -= lists->cost[object];
	lists->count[from]--;
	lists->on[object] = LISTS_NONE;
}

/* As its newest. */
static inline void lists_add(struct lists *lists, uint8_t to, uint32_t object)
{
	uint32_t node = lists->objects + to;

	HF_ASSERT(to < LISTS_MAX && lists->on[object] == LISTS_NONE);
	lists->newer[object] = node;
	lists->older[object] = lists->older[node];
	lists->newer[lists->older[node]] = object;
	lists->older[node] = object;
	lists->bytes[to] += lists->cost[object];
	lists->count[to]++;
	lists->on[object] = to;
}

static inline void lists_move(struct lists *lists, uint8_t to, uint32_t object)
{
	lists_del(lists, object);
	lists_add(lists, to, object);
}

static inline bool lists_empty(const struct lists *lists, uint8_t list)
{
	return lists->count[list] == 0;
}

static inline uint32_t lists_oldest(const struct lists *lists, uint8_t list)
{
	HF_ASSERT(!lists_empty(lists, list));
	return lists->newer[lists->objects + list];
}

#endif
