/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reference policy GDSF (Cherkasova 1998): out goes the least of  clock + hits / bytes,  and the
 * clock becomes its value. A binary heap.
 */
#include "lists.h"

#define GDSF_OUT UINT32_MAX

struct gdsf {
	const uint64_t *cost;
	uint64_t capacity, used;
	double clock;
	double *value;
	uint32_t *hits;
	uint32_t *at; /* where in the heap, by object; GDSF_OUT */
	uint32_t *heap;
	uint32_t count;
};

static void *gdsf_open(const struct policy_world *world)
{
	struct gdsf *gdsf = lists_calloc(1, sizeof(*gdsf));

	gdsf->cost = world->cost;
	gdsf->capacity = world->capacity;
	gdsf->value = lists_calloc(world->objects, sizeof(*gdsf->value));
	gdsf->hits = lists_calloc(world->objects, sizeof(*gdsf->hits));
	gdsf->at = lists_calloc(world->objects, sizeof(*gdsf->at));
	gdsf->heap = lists_calloc(world->objects, sizeof(*gdsf->heap));
	for (uint32_t i = 0; i < world->objects; i++)
		gdsf->at[i] = GDSF_OUT;
	return gdsf;
}

static void gdsf_close(void *state)
{
	struct gdsf *gdsf = state;

	free(gdsf->value);
	free(gdsf->hits);
	free(gdsf->at);
	free(gdsf->heap);
	free(gdsf);
}

static void gdsf_set(struct gdsf *gdsf, uint32_t at, uint32_t object)
{
	gdsf->heap[at] = object;
	gdsf->at[object] = at;
}

static void gdsf_up(struct gdsf *gdsf, uint32_t at, uint32_t object)
{
	for (; at > 0; at = (at - 1) / 2) {
		uint32_t parent = gdsf->heap[(at - 1) / 2];

		if (gdsf->value[parent] <= gdsf->value[object])
			break;
		gdsf_set(gdsf, at, parent);
	}
	gdsf_set(gdsf, at, object);
}

static void gdsf_down(struct gdsf *gdsf, uint32_t at, uint32_t object)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < gdsf->count &&
			gdsf->value[gdsf->heap[child + 1]] < gdsf->value[gdsf->heap[child]])
			child++;
		if (child >= gdsf->count || gdsf->value[gdsf->heap[child]] >= gdsf->value[object])
			break;
		gdsf_set(gdsf, at, gdsf->heap[child]);
		at = child;
	}
	gdsf_set(gdsf, at, object);
}

static void gdsf_evict(struct gdsf *gdsf)
{
	uint32_t victim = gdsf->heap[0], last = gdsf->heap[--gdsf->count];

	gdsf->clock = gdsf->value[victim];
	gdsf->used -= gdsf->cost[victim];
	gdsf->at[victim] = GDSF_OUT;
	if (gdsf->count > 0)
		gdsf_down(gdsf, 0, last);
}

static void gdsf_rate(struct gdsf *gdsf, uint32_t object)
{
	gdsf->value[object] = gdsf->clock + (double)gdsf->hits[object] / (double)gdsf->cost[object];
}

static bool gdsf_request(void *state, uint32_t object)
{
	struct gdsf *gdsf = state;

	if (gdsf->at[object] != GDSF_OUT) {
		gdsf->hits[object]++;
		gdsf_rate(gdsf, object);
		gdsf_down(gdsf, gdsf->at[object], object);
		return true;
	}
	while (gdsf->used + gdsf->cost[object] > gdsf->capacity)
		gdsf_evict(gdsf);
	gdsf->hits[object] = 1;
	gdsf_rate(gdsf, object);
	gdsf->used += gdsf->cost[object];
	gdsf_up(gdsf, gdsf->count++, object);
	return false;
}

const struct policy policy_gdsf = { "gdsf", gdsf_open, gdsf_request, gdsf_close };
