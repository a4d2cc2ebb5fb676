/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state in force, as this thread sees it. A fetch keeps to the view that routed it; the last one frees
 * an earlier view. How a group does is known across views, by its name.
 *
 *      control --hf_origin_state_set--> state_next --origin_view_adopt--> view <-- fetches, earlier views
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "origin_priv.h"

static void view_free(struct origin_view *view)
{
	for (uint32_t i = 0; i < view->state->group_count; i++) {
		free(view->group[i].in_flight);
		origin_health_unref(view->group[i].health);
	}
	free(view->group);
	hf_state_unref(view->state);
	free(view);
}

/* That of the group of this name in an earlier view, or a new one. Names mostly keep their order: *at is where
 * the last one was found, and the next one stands behind it. */
static struct origin_health *view_health(const struct hf_origin *origin,
	const struct origin_view *from, const char *name, uint32_t *at)
{
	uint32_t count = from ? from->state->group_count : 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t next = (*at + i) % count;

		if (strcmp(from->state->group[next].name, name) != 0)
			continue;
		*at = next + 1;
		return origin_health_ref(from->group[next].health);
	}
	return origin_health_new(origin);
}

/* Takes the reference. */
static struct origin_view *view_new(
	const struct hf_origin *origin, struct hf_state *state, const struct origin_view *from)
{
	struct origin_view *view = calloc(1, sizeof(*view));
	uint32_t at = 0;

	HF_ASSERT(view);
	view->state = state;
	view->group = calloc(hf_max_u32(state->group_count, 1), sizeof(*view->group));
	HF_ASSERT(view->group);
	for (uint32_t i = 0; i < state->group_count; i++) {
		struct origin_group *group = &view->group[i];

		group->in_flight = calloc(state->group[i].origin_count, sizeof(uint32_t));
		HF_ASSERT(group->in_flight);
		group->health = view_health(origin, from, state->group[i].name, &at);
	}
	return view;
}

void hf_origin_state_set(struct hf_origin *origin, struct hf_state *state)
{
	hf_state_unref(atomic_exchange(&origin->state_next, hf_state_ref(state)));
	hf_origin_wake(origin);
}

void origin_view_adopt(struct hf_origin *origin)
{
	struct origin_view *view;
	struct hf_state *state;

	if (!atomic_load_explicit(&origin->state_next, memory_order_relaxed))
		return;
	state = atomic_exchange(&origin->state_next, NULL);
	if (!state)
		return;
	view = view_new(origin, state, origin->view);
	origin_view_drop(origin);
	origin->view = view;
}

void origin_view_limits(struct hf_origin *origin)
{
	for (uint32_t i = 0; origin->view && i < origin->view->state->group_count; i++)
		origin_health_limits(origin, origin->view->group[i].health);
}

void origin_view_drop(struct hf_origin *origin)
{
	struct origin_view *view = origin->view;

	origin->view = NULL;
	if (view && view->fetches == 0)
		view_free(view);
}

const struct hf_state_route *origin_view_route(
	const struct hf_origin *origin, const struct hf_key *key)
{
	const char *host = key->ptr + sizeof("http://") - 1, *end = key->ptr + key->len;
	const char *path, *query;

	HF_ASSERT(host < end);
	path = memchr(host, '/', (size_t)(end - host));
	if (!path)
		path = end;
	query = memchr(path, '?', (size_t)(end - path));
	return hf_state_route_lookup(origin->view->state,
		(struct hf_span){ host, (size_t)(path - host) },
		(struct hf_span){ path, (size_t)((query ? query : end) - path) });
}

void origin_view_take(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_state_route *route)
{
	fetch->view = origin->view;
	fetch->view->fetches++;
	fetch->route = route;
	fetch->group = route->group;
	fetch->health = fetch->view->group[fetch->group - fetch->view->state->group].health;
}

void origin_view_leave(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_view *view = fetch->view;

	if (!view)
		return;
	HF_ASSERT(view->fetches > 0);
	view->fetches--;
	if (view->fetches == 0 && view != origin->view)
		view_free(view);
}
