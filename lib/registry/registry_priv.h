/* SPDX-License-Identifier: BSD-3-Clause
 *
 * registry_priv - the table (registry.c), the secret (registry_secret.c), and the resource that
 * leads to both (registry_http.c).
 */
#ifndef HF_PRIV_REGISTRY
#error "registry_priv.h is private to lib/registry"
#endif
#ifndef REGISTRY_PRIV_H
#define REGISTRY_PRIV_H

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

#include "hf_registry.h"

#define REGISTRY_BODY_MAX   65536
#define REGISTRY_SECRET_MIN 16
#define REGISTRY_SECRET_MAX 256

struct registry_origin {
	char *group, *id, *url;
	uint32_t weight, ttl_s;
	uint64_t generation;
	uint64_t expires_us;
	bool in_force, drained; /* in the state that was built last */
};

struct registry_secret {
	uint32_t len;                   /* 0: off */
	char text[REGISTRY_SECRET_MAX]; /* zeros behind it */
};

struct hf_registry {
	uint64_t (*clock_us)(void);
	void (*watch)(void *arg); /* NULL: nobody */
	void *watch_arg;
	pthread_mutex_t lock; /* of all below */
	struct registry_secret secret;
	struct registry_origin *origin[HF_REGISTRY_MAX]; /* by group and id */
	size_t count;
	uint64_t generation; /* of the one that came last */
	bool changed;        /* since they were given */
	uint64_t changes, given,
		settled;        /* so far; of them those that were given, and are in a state */
	struct hf_state *state; /* in force; a reference. NULL: none */
};

/* registry.c; each takes the lock. HTTP's status; 4xx, 5xx: every reason is on `errors`. *ret_json:
 * it, or all of them, as they are now. *ret_due: what hf_registry_settled says when it is in force;
 * 0: nothing changed. */
unsigned registry_put(struct hf_registry *registry, const char *group, const char *id,
	struct hf_span body, uint64_t now_us, FILE *errors, json_t **ret_json, uint64_t *ret_due);
unsigned registry_delete(struct hf_registry *registry, const char *group, const char *id,
	uint64_t now_us, FILE *errors, uint64_t *ret_due);
unsigned registry_list(struct hf_registry *registry, uint64_t now_us, json_t **ret_json);
unsigned registry_show(struct hf_registry *registry, const char *group, const char *id,
	uint64_t now_us, FILE *errors, json_t **ret_json);

/* registry_secret.c */
/* 0, or 401 or 403 with the reason. */
unsigned registry_secret_refuses(
	struct hf_registry *registry, const char *authorization, FILE *errors);

#endif
