/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state overlay - what others than the document say about origins: the operator, who adds some and
 * drains some, and the origins themselves, which register (lib/registry).
 *
 * What      It is put into every document before that is checked and built: hf_state_parse_with.
 * Threads   one at a time.
 * Lifetime  as long as the process: a restart forgets it.
 * Promises  L1 an added origin is checked as one of the document's; its id is its URL. The document
 *           wins: the added one is left out while the document has no such group, or has its id or
 *           URL in the group.  L2 an origin is the same in another document as long as group and id
 *           are the same: then it stays drained. A document without it ends that.
 *           L3 a registered origin is left out while the document has no such group, or its id or
 *           URL in the group is the document's, the operator's or that of one before it.  L4 one
 *           that was drained stays so, whether it comes and goes, until it is resumed.
 * Limits    HF_STATE_ADDED_MAX added origins, HF_STATE_DRAINED_MAX drained ones. With all of them a
 *           state has no more origins than a document may have; what is too many is left out.
 */
#ifndef HF_STATE_OVERLAY_H
#define HF_STATE_OVERLAY_H

#include <stdio.h>

#include "hf_state.h"

struct hf_state_overlay;

#define HF_STATE_ADDED_MAX   64
#define HF_STATE_DRAINED_MAX 1024

enum hf_state_change { HF_STATE_ADD, HF_STATE_REMOVE, HF_STATE_DRAIN, HF_STATE_RESUME };

/* NULL: no memory. */
struct hf_state_overlay *hf_state_overlay_new(void);
void hf_state_overlay_free(struct hf_state_overlay *overlay);
bool hf_state_overlay_is_empty(const struct hf_state_overlay *overlay);

struct hf_state_registered {
	const char *group, *id, *url;
	uint32_t weight;
	uint64_t generation;
};

/* All that are registered now, in the place of those before. -ENOMEM: as it was. */
int hf_state_overlay_register(struct hf_state_overlay *overlay,
	const struct hf_state_registered *list, size_t count) HF_MUST_CHECK;

/* What an origin says of itself. */
struct hf_state_registration {
	char url[HF_STATE_URL_MAX + 1]; /* without a slash at the end */
	uint32_t weight, ttl_s;
};

#define HF_STATE_TTL_MAX_S     86400
#define HF_STATE_TTL_DEFAULT_S 30

/* JSON {"url":"http://...", "weight":1, "ttl":30}, of which only url must be there, and nothing
 * else may. GROUP and ID are those of a document. -EINVAL with every reason on `errors`;
 * -ENOMEM. */
int hf_state_registration_parse(const char *group, const char *id, struct hf_span text,
	FILE *errors, struct hf_state_registration *ret_registration) HF_MUST_CHECK;

/* GROUP and ORIGIN: a URL for ADD and REMOVE, else an id or a URL of IN_FORCE, the state with the
 * overlay as it was. -EINVAL: nothing was changed, every reason is on `errors` as hf_state_parse
 * tells them. */
int hf_state_overlay_change(struct hf_state_overlay *overlay, enum hf_state_change change,
	const struct hf_state *in_force, const char *group, const char *origin,
	FILE *errors) HF_MUST_CHECK;
/* STATE, which was built with the overlay, is in force: what it does not have is not drained any
 * more. */
void hf_state_overlay_settle(struct hf_state_overlay *overlay, const struct hf_state *state);

#endif
