/* SPDX-License-Identifier: BSD-3-Clause
 *
 * fallback - after so many failures in a row, live on what is known; after so many good answers,
 * return.
 *
 * What      A machine of six states, one instance for the control plane and one for each group of
 *           origins. Pure: tbl/fallback_fsm.h says for every state and event what follows, the
 *           caller acts.
 * Picture
 *                    failed            failures in a row
 *           NORMAL ---------> FAILING ------------------> FALLBACK <--failed-- RECOVERING
 *             ^  <----good----'                             | '------good------^  |
 *             '-------------------- successes in a row -----'---------------------'
 *           HELD_ON, HELD_OFF: from everywhere by the operator, and back by AUTO
 * Threads   an instance belongs to one thread.
 * Promises  F1 one failure less than `failures` in a row enters nothing, one good answer less than
 *           `successes` leaves nothing: what flaps keeps the mode that it has.  F2 an answer that
 *           is refused for what it says is neither: it breaks a row.  F3 ENTER and LEAVE alternate,
 *           ENTER first.
 * Tests     tests/unit/fallback: every state with every event
 */
#ifndef HF_FALLBACK_H
#define HF_FALLBACK_H

#include "hf_base.h"

enum hf_fallback_state {
	HF_FALLBACK_NORMAL,
	HF_FALLBACK_FAILING,
	HF_FALLBACK_FALLBACK,
	HF_FALLBACK_RECOVERING,
	HF_FALLBACK_HELD_ON,
	HF_FALLBACK_HELD_OFF,
	HF_FALLBACK_STATES
};

/* What happened. */
enum hf_fallback_event {
	HF_FALLBACK_GOOD,
	HF_FALLBACK_FAILED,
	HF_FALLBACK_REFUSED,
	HF_FALLBACK_ON,
	HF_FALLBACK_OFF,
	HF_FALLBACK_AUTO,
};

enum hf_fallback_action { HF_FALLBACK_NONE, HF_FALLBACK_ENTER, HF_FALLBACK_LEAVE };

/* Bits of the node's mode word, which every worker and origin thread reads once a turn. */
enum hf_mode {
	HF_MODE_FALLBACK = 1 << 0, /* local cache mode: the control plane does not answer */
	HF_MODE_EXPIRED = 1 << 1,  /* it has given no good answer for state_max_age */
};

/* Why something failed. */
enum hf_fallback_trigger {
#define X(id, name) HF_FALLBACK_BY_##id,
#include "tbl/fallback_triggers.h"
#undef X
};

/* "timeout" */
const char *hf_fallback_trigger_name(enum hf_fallback_trigger trigger);
/* Of a transfer that ended with this CURLcode, not CURLE_OK. */
enum hf_fallback_trigger hf_fallback_trigger_of_curl(int code);

struct hf_fallback {
	enum hf_fallback_state state;
	uint32_t failures, successes; /* in a row; 1 at least */
	uint32_t row;                 /* of what FAILING or RECOVERING counts */
	uint64_t changed_us;          /* the last ENTER or LEAVE, or init */
	uint64_t spent_us;            /* in fallback, until `changed_us` */
};

void hf_fallback_init(
	struct hf_fallback *fallback, uint32_t failures, uint32_t successes, uint64_t now_us);
/* Other limits from now on; what was counted so far counts. */
void hf_fallback_limits_set(struct hf_fallback *fallback, uint32_t failures, uint32_t successes);
enum hf_fallback_action hf_fallback_step(
	struct hf_fallback *fallback, enum hf_fallback_event event, uint64_t now_us) HF_MUST_CHECK;
bool hf_fallback_is_on(const struct hf_fallback *fallback);
/* Time in fallback since init. */
uint64_t hf_fallback_spent_us(const struct hf_fallback *fallback, uint64_t now_us);
/* "normal", "failing", ... */
const char *hf_fallback_name(enum hf_fallback_state state);

#endif
