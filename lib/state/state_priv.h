/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state_priv - what checking a document shares with building the snapshot.
 *
 * Picture   text -> state.c: size, depth, jansson -> state_check.c: every reason at once ->
 *           state.c: the snapshot, which nothing can refuse any more -> state_route.c: sorted for
 *           lookups state_rules.c does both for policies and purges, state_auth.c for auth flows;
 *           state_overlay.c: what operator and registry say, put into the JSON before it is
 *           checked; state_registration.c: what an origin says of itself
 */
#ifndef HF_PRIV_STATE
#error "state_priv.h is private to lib/state"
#endif
#ifndef STATE_PRIV_H
#define STATE_PRIV_H

#include <jansson.h>

#include "hf_state.h"

#define STATE_TEXT_MAX     (8U * 1024 * 1024)
#define STATE_DEPTH_MAX    16
#define STATE_ORIGINS_MAX  4096
#define STATE_ROUTES_MAX   4096
#define STATE_GROUPS_MAX   4096 /* that are named without an origin */
#define STATE_STRING_MAX   1024
#define STATE_HOST_MAX     255
#define STATE_WEIGHT_MAX   100
#define STATE_SLOTS_MAX    1000000 /* as in the configuration */
#define STATE_POLICIES_MAX 1024
#define STATE_PURGES_MAX   1024
#define STATE_FLOWS_MAX    256
#define STATE_REVOKED_MAX  4096
#define STATE_ID_MAX       127 /* of a purge: sync remembers them */
#define STATE_PATH_MAX     64  /* of a place in the document */

struct state_check {
	FILE *errors;
	uint32_t error_count;
	uint32_t unknown_fields;
	json_t *groups;     /* group -> its place among the groups, in the order of the document */
	json_t *origin_ids; /* "group" NUL-free "id" -> true */
	json_t *policies;   /* id -> its place */
	json_t *flows;      /* id -> its place */
	json_t *route_ids;
	json_t *purge_ids;
	json_t *l2_ids;
	uint64_t affinity_caps;                 /* of all groups so far */
	const struct hf_state_overlay *overlay; /* NULL: none */
	size_t added_at, registered_at; /* where the operator's origins begin, and the registry's */
};

/* Whether the document is right; if not, why not, on check->errors. 0, -EINVAL, -ENOMEM. The caller
 * drops the objects. */
int state_check_document(struct state_check *check, const json_t *document);
void state_check_error(struct state_check *check, const char *path, const char *found,
	const char *allowed, ...) HF_PRINTF(4, 5);

void state_check_refuse(struct state_check *check, const char *path, const char *key,
	const json_t *value, const char *allowed);
/* Counts what this version does not know: a newer control plane may send it (S2). */
void state_check_unknown(struct state_check *check, const json_t *object, const char *const *known);
/* Remembers the name; refuses one that was there. */
int state_check_unique(struct state_check *check, json_t *names, const char *name, const char *path,
	const json_t *id);
/* The word under KEY, or NULL when it was refused; of at most MAX characters, or
 * STATE_STRING_MAX. */
const char *state_check_name(struct state_check *check, const char *path, const json_t *object,
	const char *key, size_t max);
const char *state_check_string(
	struct state_check *check, const char *path, const json_t *object, const char *key);
/* Need not be there. */
void state_check_time(
	struct state_check *check, const char *path, const json_t *object, const char *key);
int state_check_origin(struct state_check *check, const json_t *origin, const char *path);

/* state_rules.c: policies and purges */
/* What is under KEY, if anything is, is an integer of that range? */
bool state_check_number(struct state_check *check, const char *path, const json_t *object,
	const char *key, json_int_t min, json_int_t max, const char *unit);
int state_check_policy(struct state_check *check, const json_t *policy, const char *path);
int state_check_purge(struct state_check *check, const json_t *purge, const char *path);
int state_build_policies(struct hf_state *state, const json_t *policies);
int state_build_purges(struct hf_state *state, const json_t *purges);
void state_free_rules(struct hf_state *state);

/* state_auth.c: auth flows, revoked credentials */
int state_check_flow(struct state_check *check, const json_t *flow, const char *path);
int state_check_revoked(struct state_check *check, const json_t *revoked, const char *path);
int state_build_auth(
	struct hf_state *state, const struct state_check *check, const json_t *document);
void state_free_auth(struct hf_state *state);

/* host[:port][/] of a URL */
bool state_check_authority(const char *text);

/* state_l2.c */
/* "l2" of the document, if it is there. */
int state_check_l2(struct state_check *check, const json_t *document);
int state_build_l2(struct hf_state *state, const json_t *l2);

/* state_balance.c */
void state_check_balance(struct state_check *check, const json_t *group, const char *path);
void state_build_balance(struct hf_state_group *group, const json_t *from);

/* state_health.c */
void state_check_health(struct state_check *check, const json_t *group, const char *path);
/* NULL: none. -ENOMEM. */
int state_build_health(struct hf_state_group *group, const json_t *health);

/* state_overlay.c */
/* Puts the operator's origins behind the document's, and the registry's behind these. -ENOMEM. */
int state_overlay_merge(struct state_check *check, json_t *document);
bool state_overlay_drains(
	const struct hf_state_overlay *overlay, const char *group, const char *id);
uint64_t state_overlay_generation(
	const struct hf_state_overlay *overlay, const char *group, const char *id);

/* state.c */
/* -EINVAL: it is refused; -ENOMEM. */
int state_json(const char *text, size_t len, struct state_check *check, json_t **ret_json);

/* Sorts for hf_state_route_lookup. -ENOMEM. */
int state_route_sort(struct hf_state *state);

#endif
