/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The state in force, as this thread sees it. A fetch keeps to the view that routed it; the last one frees
 * an earlier view.
 *
 *      control --hf_origin_state_set--> state_next --origin_view_adopt--> view <-- fetches, earlier views
 */
#include "hf_origin.h"

#include <stdlib.h>

#include "origin_priv.h"

static void view_free(struct origin_view *view)
{
	for (uint32_t i = 0; i < view->state->group_count; i++)
		free(view->load[i].in_flight);
	free(view->load);
	hf_state_unref(view->state);
	free(view);
}

/* Takes the reference. */
static struct origin_view *view_new(struct hf_state *state)
{
	struct origin_view *view = calloc(1, sizeof(*view));

	HF_ASSERT(view);
	view->state = state;
	view->load = calloc(hf_max_u32(state->group_count, 1), sizeof(*view->load));
	HF_ASSERT(view->load);
	for (uint32_t i = 0; i < state->group_count; i++) {
		view->load[i].in_flight = calloc(state->group[i].origin_count, sizeof(uint32_t));
		HF_ASSERT(view->load[i].in_flight);
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
	struct hf_state *state;

	if (!atomic_load_explicit(&origin->state_next, memory_order_relaxed))
		return;
	state = atomic_exchange(&origin->state_next, NULL);
	if (!state)
		return;
	origin_view_drop(origin);
	origin->view = view_new(state);
}

void origin_view_drop(struct hf_origin *origin)
{
	struct origin_view *view = origin->view;

	origin->view = NULL;
	if (view && view->fetches == 0)
		view_free(view);
}

void origin_view_take(struct hf_origin *origin, struct origin_fetch *fetch)
{
	fetch->view = origin->view;
	fetch->view->fetches++;
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
