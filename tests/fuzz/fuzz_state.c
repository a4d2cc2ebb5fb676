/* SPDX-License-Identifier: BSD-3-Clause
 *
 * State documents: refused with a reason, or a snapshot whose every route is found again.
 * Needs: state.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its own host and path lead to the route, or to one in front of it with the same two. */
static void check_route(const struct hf_state *state, const struct hf_state_route *route)
{
	const struct hf_state_route *found;

	HF_ASSERT(route->id && route->path[0] == '/' && route->group->origin_count > 0);
	if (route->host[0] == '*')
		return;
	found = hf_state_route_lookup(state, (struct hf_span){ route->host, strlen(route->host) },
		(struct hf_span){ route->path, strlen(route->path) });
	HF_ASSERT(found && strcmp(found->host, route->host) == 0);
	HF_ASSERT(strcmp(found->path, route->path) == 0 && found <= route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_span text = { (const char *)data, size };
	struct hf_state *state = NULL;
	char *reasons = NULL;
	size_t reasons_len = 0;
	FILE *errors = open_memstream(&reasons, &reasons_len);
	int err = hf_state_parse(text.ptr, text.len, errors, &state);

	(void)fclose(errors);
	HF_ASSERT((err == 0) == (state != NULL) && (err == 0) == (reasons_len == 0));
	for (size_t i = 0; i < reasons_len; i++)
		HF_ASSERT((unsigned char)reasons[i] >= 0x20 || reasons[i] == '\n');
	if (state) {
		for (uint32_t i = 0; i < state->route_count; i++)
			check_route(state, &state->route[i]);
		(void)hf_state_route_lookup(state, text, text);
	}
	hf_state_unref(state);
	free(reasons);
	return 0;
}
