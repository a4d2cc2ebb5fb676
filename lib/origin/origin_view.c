/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state in force, as this thread sees it. A fetch keeps to the view by which it was sent; the last one frees
 * an earlier view. How a group does is known across views, by its name, and how an origin does, by its id.
 *
 *      control --hf_origin_state_set--> state_next --origin_view_adopt--> view <-- fetches, earlier views
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "origin_choice.h"
#include "origin_l2.h"
#include "origin_priv.h"
#include "origin_wire.h"

static void view_peer_unref(struct hf_origin *origin, struct origin_peer *peer)
{
	HF_ASSERT(peer->refs > 0);
	if (--peer->refs > 0)
		return;
	HF_ASSERT(peer->in_flight == 0);
	origin_check_fini(origin, &peer->check);
	origin_slot_peer_cancel(origin, peer);
	origin_site_put(origin->slots, peer->site);
	free(peer);
}

static void view_free(struct hf_origin *origin, struct origin_view *view)
{
	for (uint32_t i = 0; i < view->state->group_count; i++) {
		for (uint32_t j = 0; j < view->state->group[i].origin_count; j++) {
			view_peer_unref(origin, view->group[i].peer[j]);
			curl_url_cleanup(view->group[i].url[j]);
		}
		free(view->group[i].peer);
		free(view->group[i].url);
		origin_balance_drop(&view->group[i]);
		origin_health_unref(view->group[i].health);
	}
	free(view->group);
	hf_state_unref(view->state);
	free(view);
}

/* A place among COUNT, from *at on: names mostly keep their order, and the next one stands behind the last. */
static uint32_t view_place(uint32_t i, uint32_t at, uint32_t count)
{
	return (at + i) % count;
}

/* Where the group of this name is in the view, which may be NULL; UINT32_MAX: nowhere. */
static uint32_t view_find_group(const struct origin_view *view, const char *name, uint32_t *at)
{
	uint32_t count = view ? view->state->group_count : 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = view_place(i, *at, count);

		if (strcmp(view->state->group[place].name, name) != 0)
			continue;
		*at = place + 1;
		return place;
	}
	return UINT32_MAX;
}

/* NULL: that group has not this one: none of its id, or of another generation. */
static struct origin_peer *view_find_peer(const struct origin_view *view, uint32_t group,
	const struct hf_state_origin *origin, uint32_t *at)
{
	const struct hf_state_group *of = &view->state->group[group];

	for (uint32_t i = 0; i < of->origin_count; i++) {
		uint32_t place = view_place(i, *at, of->origin_count);

		if (of->origin[place].generation != origin->generation ||
			strcmp(of->origin[place].id, origin->id) != 0)
			continue;
		*at = place + 1;
		return view->group[group].peer[place];
	}
	return NULL;
}

static void view_fill_group(const struct hf_origin *origin, struct origin_group *group,
	const struct hf_state_group *of, const struct origin_view *from, uint32_t before)
{
	uint32_t at = 0;

	group->health = before == UINT32_MAX ? origin_health_new(origin)
					     : origin_health_ref(from->group[before].health);
	group->peer = calloc(of->origin_count + 1, sizeof(*group->peer));
	group->url = calloc(of->origin_count + 1, sizeof(*group->url));
	HF_ASSERT(group->peer && group->url);
	for (uint32_t i = 0; i < of->origin_count; i++) {
		struct origin_peer *peer = NULL;

		if (before != UINT32_MAX)
			peer = view_find_peer(from, before, &of->origin[i], &at);
		if (!peer)
			peer = origin_peer_new(origin, of->name, of->origin[i].id);
		peer->refs++;
		peer->drained = of->origin[i].drained;
		peer->departed = false;
		peer->max_in_flight = of->max_in_flight;
		group->peer[i] = peer;
	}
	origin_balance_fill(group, of, before == UINT32_MAX ? NULL : &from->group[before]);
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
	for (uint32_t i = 0; i < state->group_count; i++)
		view_fill_group(origin, &view->group[i], &state->group[i], from,
			view_find_group(from, state->group[i].name, &at));
	return view;
}

void hf_origin_state_set(struct hf_origin *origin, struct hf_state *state)
{
	hf_state_unref(atomic_exchange(&origin->state_next, hf_state_ref(state)));
	hf_origin_wake(origin);
}

bool hf_origin_state_is_taken(const struct hf_origin *origin)
{
	return !atomic_load(&origin->state_next);
}

/* Until the next one says otherwise. */
static void view_depart(struct origin_view *view)
{
	for (uint32_t i = 0; view && i < view->state->group_count; i++)
		for (uint32_t j = 0; j < view->state->group[i].origin_count; j++)
			view->group[i].peer[j]->departed = true;
}

/* Who is in VIEW no more leaves the tables before those who are new join. */
static void view_settle(struct origin_view *view, struct origin_view *next)
{
	for (uint32_t i = 0; view && i < view->state->group_count; i++)
		origin_balance_leave(&view->group[i], view->state->group[i].origin_count);
	for (uint32_t i = 0; i < next->state->group_count; i++)
		origin_balance_join(&next->group[i], &next->state->group[i]);
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
	view_depart(origin->view);
	view = view_new(origin, state, origin->view);
	origin_check_adopt(origin, view);
	view_settle(origin->view, view);
	origin_view_drop(origin);
	origin->view = view;
	origin_l2_adopt(origin);
	origin_slot_again(origin);
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
		view_free(origin, view);
}

CURLU *origin_view_url(const struct origin_fetch *fetch)
{
	const struct origin_view *view = fetch->view;
	CURLU **url = &view->group[fetch->group - view->state->group]
			       .url[fetch->target - fetch->group->origin];

	if (*url)
		return *url;
	*url = curl_url();
	if (!*url || curl_url_set(*url, CURLUPART_URL, fetch->target->url, 0) == CURLUE_OK)
		return *url;
	curl_url_cleanup(*url);
	*url = NULL;
	return NULL;
}

void origin_view_split(const struct hf_key *key, struct hf_span *ret_host, struct hf_span *ret_path)
{
	const char *host = key->ptr + sizeof("http://") - 1, *end = key->ptr + key->len;
	const char *path, *query;

	HF_ASSERT(host < end);
	path = memchr(host, '/', (size_t)(end - host));
	if (!path)
		path = end;
	query = memchr(path, '?', (size_t)(end - path));
	*ret_host = (struct hf_span){ host, (size_t)(path - host) };
	*ret_path = (struct hf_span){ path, (size_t)((query ? query : end) - path) };
}

const struct hf_state_route *origin_view_route(
	const struct hf_origin *origin, const struct hf_key *key)
{
	struct hf_span host, path;

	origin_view_split(key, &host, &path);
	return hf_state_route_lookup(origin->view->state, host, path);
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
		view_free(origin, view);
}

bool origin_view_again(struct hf_origin *origin, struct origin_fetch *fetch)
{
	const struct hf_state_route *route;

	if (fetch->view == origin->view)
		return true;
	route = origin_view_route(origin, &fetch->key);
	if (!route || !origin_auth_same(route, fetch->route))
		return false; /* nobody was asked whether they may have what it leads to now */
	origin_view_leave(origin, fetch);
	origin_view_take(origin, fetch, route);
	fetch->target = NULL;
	return true;
}

void origin_view_loads(const struct hf_origin *origin, struct hf_origin_call *call)
{
	struct hf_origin_load *load = call->load;
	uint32_t group_at = 0;

	for (uint32_t i = 0; i < call->state->group_count; i++) {
		const struct hf_state_group *group = &call->state->group[i];
		uint32_t place = view_find_group(origin->view, group->name, &group_at), at = 0;

		for (uint32_t j = 0; j < group->origin_count; j++, load++) {
			const struct origin_peer *peer;

			if (place == UINT32_MAX)
				continue;
			load->fallen |= origin_health_is_fallen(origin->view->group[place].health);
			load->queued += origin->view->group[place].health->queued;
			peer = view_find_peer(origin->view, place, &group->origin[j], &at);
			if (!peer)
				continue;
			load->in_flight += peer->in_flight;
			load->fetches += peer->fetches;
			load->failures += peer->failures;
			origin_peer_tell(origin, peer, load);
		}
	}
}
