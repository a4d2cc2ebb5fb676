/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state_priv - what checking a document shares with building the snapshot.
 *
 * Picture   text -> state.c: size, depth, jansson -> state_check.c: every reason at once -> state.c:
 *           the snapshot, which nothing can refuse any more -> state_route.c: sorted for lookups
 */
#ifndef HF_PRIV_STATE
#error "state_priv.h is private to lib/state"
#endif
#ifndef STATE_PRIV_H
#define STATE_PRIV_H

#include <jansson.h>

#include "hf_state.h"

#define STATE_TEXT_MAX    (8U * 1024 * 1024)
#define STATE_DEPTH_MAX   16
#define STATE_ORIGINS_MAX 4096
#define STATE_ROUTES_MAX  4096
#define STATE_STRING_MAX  1024
#define STATE_HOST_MAX    255
#define STATE_WEIGHT_MAX  100

struct state_check {
	FILE *errors;
	uint32_t error_count;
	uint32_t unknown_fields;
	json_t *groups;     /* group -> its place among the groups, in the order of the document */
	json_t *origin_ids; /* "group" NUL-free "id" -> true */
	json_t *route_ids;
};

/* Whether the document is right; if not, why not, on check->errors. 0, -EINVAL, -ENOMEM. The caller
 * drops the three objects. */
int state_check_document(struct state_check *check, const json_t *document);
void state_check_error(struct state_check *check, const char *path, const char *found,
	const char *allowed, ...) HF_PRINTF(4, 5);

/* Sorts for hf_state_route_lookup. -ENOMEM. */
int state_route_sort(struct hf_state *state);

#endif
