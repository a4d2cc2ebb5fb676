/* SPDX-License-Identifier: BSD-3-Clause
 *
 * State documents: refused with a reason, or a snapshot whose every route is found again.
 * Needs: state.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_state.h"
#include "hf_state_overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its own host and path lead to the route, or to one in front of it with the same two. */
static void check_route(const struct hf_state *state, const struct hf_state_route *route)
{
	const struct hf_state_route *found;

	HF_ASSERT(route->id && route->path[0] == '/' && route->group->name);
	if (route->host[0] == '*')
		return;
	found = hf_state_route_lookup(state, (struct hf_span){ route->host, strlen(route->host) },
		(struct hf_span){ route->path, strlen(route->path) });
	HF_ASSERT(found && strcmp(found->host, route->host) == 0);
	HF_ASSERT(strcmp(found->path, route->path) == 0 && found <= route);
}

static void check_health(const struct hf_state_health *health)
{
	HF_ASSERT(!health->path || (health->path[0] == '/' && !strpbrk(health->path, " #\r\n")));
	HF_ASSERT(!health->path || health->timeout_s > 0);
	HF_ASSERT(health->timeout_s <= health->interval_s && health->interval_s <= 3600);
}

/* Whom it asks, about what, and what it says of it goes into heads as it stands. */
static void check_flow(const struct hf_state *state, const struct hf_state_flow *flow)
{
	HF_ASSERT(flow->group >= state->group && flow->group < state->group + state->group_count);
	HF_ASSERT(flow->cache < HF_AUTH_CACHES && flow->digest != 0 && flow->path[0] == '/');
	HF_ASSERT(flow->ttl_s > 0 && flow->negative_ttl_s > 0 && flow->timeout_ms >= 10);
	HF_ASSERT(!strpbrk(flow->send_as, " :\r\n") && !strpbrk(flow->challenge, "\r\n"));
	HF_ASSERT(*flow->name && (flow->in == HF_STATE_MTLS) == (flow->from_count > 0));
	HF_ASSERT(flow->share != HF_STATE_SHARE_ANY || flow->add.count == 0);
}

/* With one origin more, and one drained, a good document is a good one still. */
static void check_overlay(const struct hf_state *state, struct hf_span text, FILE *errors)
{
	struct hf_state_overlay *overlay = hf_state_overlay_new();
	const struct hf_state_group *group = state->group;
	struct hf_state *with = NULL;

	if (state->group_count > 0) {
		(void)!hf_state_overlay_change(
			overlay, HF_STATE_ADD, state, group->name, "http://new.test", errors);
	}
	if (state->group_count > 0 && group->origin_count > 0) {
		HF_ASSERT(hf_state_overlay_change(overlay, HF_STATE_DRAIN, state, group->name,
				  group->origin[0].id, errors) == 0);
	}
	HF_ASSERT(hf_state_parse_with(text.ptr, text.len, overlay, errors, &with) == 0);
	HF_ASSERT(with->group_count == state->group_count);
	HF_ASSERT(with->group_count == 0 || group->origin_count == 0 ||
		  with->group[0].origin[0].drained);
	hf_state_unref(with);
	hf_state_overlay_free(overlay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_span text = { (const char *)data, size };
	struct hf_state *state = NULL;
	char *reasons = NULL;
	size_t reasons_len = 0;
	FILE *errors = open_memstream(&reasons, &reasons_len);
	int err = hf_state_parse(text.ptr, text.len, errors, &state);

	(void)fflush(errors);
	HF_ASSERT((err == 0) == (state != NULL) && (err == 0) == (reasons_len == 0));
	if (state)
		check_overlay(state, text, errors);
	(void)fclose(errors);
	for (size_t i = 0; i < reasons_len; i++)
		HF_ASSERT((unsigned char)reasons[i] >= 0x20 || reasons[i] == '\n');
	if (state) {
		for (uint32_t i = 0; i < state->route_count; i++)
			check_route(state, &state->route[i]);
		for (uint32_t i = 0; i < state->group_count; i++)
			check_health(&state->group[i].health);
		for (uint32_t i = 0; i < state->flow_count; i++)
			check_flow(state, &state->flow[i]);
		(void)hf_state_route_lookup(state, text, text);
	}
	hf_state_unref(state);
	free(reasons);
	return 0;
}
