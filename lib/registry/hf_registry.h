/* SPDX-License-Identifier: BSD-3-Clause
 *
 * registry - origins that say themselves where they are, and for how long.
 *
 * What      A resource of the admin listener, for who has the secret:
 *             PUT /v1/origins/GROUP/ID {"url":"http://...", "weight":1, "ttl":30}
 *                                                            201, or 200: renewed
 *             DELETE /v1/origins/GROUP/ID                    204
 *             GET /v1/origins, /v1/origins/GROUP/ID          200
 *           What is refused is a 4xx with {"error":{"type", "message", "errors"}}, counted and told
 *           to the log; our own faults are 5xx.
 * Picture
 *      PUT, DELETE -> table <- expiry        changed? told, and asked now and then, lib/sync:
 *                                            give -> overlay -> document built with it -> settle
 * Threads   boot: new, watch, free. The listener's: the resource, and what watches. control:
 *           changed, settled, left_s, secret_set. Who holds lib/sync's lock: give, settle.
 * Promises  R1 an origin is in the table until its last PUT is older than its ttl; a PUT that says
 *           the same changes nothing else.  R2 one that comes back, or with another URL, is of
 *           another generation.  R3 a message is taken whole or not at all, and what is wrong with
 *           it is told.  R4 without a secret every message is 403; the secret is in no log and no
 *           answer, and the time of a comparison does not tell how much of it was right.  R5 the
 *           answer to a change is due when it is in force, and says whether it is.
 *           The rule by which document, operator and registry are merged: hf_state_overlay.h.
 * Limits    HF_REGISTRY_MAX origins; bodies of 64 KiB. It is forgotten by a restart: the next PUT
 *           of each brings it back.
 * Tests     tests/unit/registry, tests/fuzz/fuzz_registry.c, tests/system/test_registry.py
 */
#ifndef HF_REGISTRY_H
#define HF_REGISTRY_H

#include "hf_admin.h"
#include "hf_base.h"
#include "hf_state.h"
#include "hf_state_overlay.h"

#define HF_REGISTRY_MAX 4096

struct hf_registry;

/* NULL: no memory. */
struct hf_registry *hf_registry_new(void);
void hf_registry_free(struct hf_registry *registry);
/* The secret is the first line of FILE, of 16 to 256 visible characters; "": off. -EINVAL, -errno:
 * it is as it was. */
int hf_registry_secret_set(
	struct hf_registry *registry, const char *file, struct hf_err *err) HF_MUST_CHECK;
/* Would it be set? 0, -EINVAL, -errno. */
int hf_registry_secret_check(const char *file, struct hf_err *err) HF_MUST_CHECK;
/* boot: what the admin listener has of it. */
void hf_registry_resource(struct hf_registry *registry, struct hf_admin_resource *ret_resource);

/* boot: FN is called, without a lock, by each PUT and DELETE after which there is something to
 * give. */
void hf_registry_watch(struct hf_registry *registry, void (*fn)(void *arg), void *arg);
/* Is there something to give? Lets expire what has to by now. */
bool hf_registry_changed(struct hf_registry *registry, uint64_t now_us);
/* Puts all that are registered into the overlay. -ENOMEM: it is as it was. */
int hf_registry_give(struct hf_registry *registry, struct hf_state_overlay *overlay) HF_MUST_CHECK;
/* STATE is in force: its groups are those that there are. */
void hf_registry_settle(struct hf_registry *registry, struct hf_state *state);
/* What changed up to there is in the state that was settled last: answers that are due at it may
 * go. */
uint64_t hf_registry_settled(struct hf_registry *registry);
/* Seconds, rounded up; 0: that one is not registered. */
uint32_t hf_registry_left_s(struct hf_registry *registry, const char *group, const char *id,
	uint64_t generation, uint64_t now_us);

#endif
