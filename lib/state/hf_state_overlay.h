/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state overlay - what the operator says about origins: some more, and some that are drained.
 *
 * What      It is put into every document before that is checked and built: hf_state_parse_with.
 * Threads   one at a time.
 * Lifetime  as long as the process: a restart forgets it.
 * Promises  L1 an added origin is checked as one of the document's; its id is its URL. The document wins:
 *           the added one is left out while the document has no such group, or has its id or URL in the
 *           group.  L2 an origin is the same in another document as long as group and id are the same:
 *           then it stays drained. A document without it ends that.
 * Limits    HF_STATE_ADDED_MAX added origins.
 */
#ifndef HF_STATE_OVERLAY_H
#define HF_STATE_OVERLAY_H

#include <stdio.h>

#include "hf_base.h"

struct hf_state;
struct hf_state_overlay;

#define HF_STATE_ADDED_MAX 64

enum hf_state_change { HF_STATE_ADD, HF_STATE_REMOVE, HF_STATE_DRAIN, HF_STATE_RESUME };

/* NULL: no memory. */
struct hf_state_overlay *hf_state_overlay_new(void);
void hf_state_overlay_free(struct hf_state_overlay *overlay);
bool hf_state_overlay_is_empty(const struct hf_state_overlay *overlay);
/* GROUP and ORIGIN: a URL for ADD and REMOVE, else an id or a URL of IN_FORCE, the state with the overlay as
 * it was. -EINVAL: nothing was changed, every reason is on `errors` as hf_state_parse tells them. */
int hf_state_overlay_change(struct hf_state_overlay *overlay, enum hf_state_change change,
	const struct hf_state *in_force, const char *group, const char *origin,
	FILE *errors) HF_MUST_CHECK;
/* STATE, which was built with the overlay, is in force: what it does not have is not drained any more. */
void hf_state_overlay_settle(struct hf_state_overlay *overlay, const struct hf_state *state);

#endif
