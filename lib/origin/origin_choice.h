/* SPDX-License-Identifier: BSD-3-Clause
 *
 * choice - which origin gets a fetch, when, and after a failure.
 *
 * Picture
 *      fetch --> slots (room at the node, at an origin) --> balance (load, hash, prefix affinity) --> peer
 *                  \-- no room: waits in turn                 \-- health of the group, checks, ejections
 *      a failure --> retry: another try, or --> stand: what is stored stands for it
 * Threads   origin.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_choice.h is private to lib/origin"
#endif
#ifndef ORIGIN_CHOICE_H
#define ORIGIN_CHOICE_H

#include "origin_priv.h"

/* origin_balance.c: which origin of its group gets a fetch */
/* GROUP is new, of OF; BEFORE is that of the same name in the state before, or NULL. */
void origin_balance_fill(struct origin_group *group, const struct hf_state_group *of,
	const struct origin_group *before);
void origin_balance_drop(struct origin_group *group);
/* Of its COUNT origins those that departed; then those of the next state that are new. */
void origin_balance_leave(struct origin_group *group, uint32_t count);
void origin_balance_join(struct origin_group *group, const struct hf_state_group *of);
enum origin_pick {
	ORIGIN_PICK_DONE, /* target and peer are set */
	ORIGIN_PICK_NONE, /* none is usable, full or not */
	ORIGIN_PICK_FULL, /* those that are usable, by the choice that ret_choice says, have no slot */
};

/* Once more when another thread was faster to take the slot there. */
enum origin_pick origin_balance_pick(struct hf_origin *origin, struct origin_fetch *fetch,
	enum origin_choice *ret_choice) HF_MUST_CHECK;
/* Does the choice go by more of its leader's body than is there, and may still come? */
bool origin_balance_wants_body(const struct origin_fetch *fetch);
void origin_balance_explain(struct hf_origin *origin, struct hf_origin_call *call);

/* origin_health.c */
struct origin_health *origin_health_new(const struct hf_origin *origin);
struct origin_health *origin_health_ref(struct origin_health *health);
void origin_health_unref(struct origin_health *health);
/* The configuration has changed. */
void origin_health_limits(const struct hf_origin *origin, struct origin_health *health);
/* Bytes came. */
void origin_health_heard(struct hf_origin *origin, struct origin_fetch *fetch);
/* A head came. */
void origin_health_answer(struct hf_origin *origin, struct origin_fetch *fetch, uint16_t status);
void origin_health_failed(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger);
/* The same, but another try follows: it says nothing of the group yet. */
void origin_health_tried(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_fallback_trigger trigger);
/* When the whole group will have been silent for origin.patience, if nothing more comes. */
uint64_t origin_health_silent_us(const struct hf_origin *origin, const struct origin_fetch *fetch);
/* Whatever the node's mode is. */
bool origin_health_is_fallen(const struct origin_health *health);
bool origin_health_is_well(const struct hf_origin *origin, const struct origin_health *health);
uint32_t origin_health_timeout_ms(
	const struct hf_origin *origin, const struct origin_health *health, uint32_t normal_ms);

/* origin_peer.c: how one origin does */
struct origin_peer *origin_peer_new(
	const struct hf_origin *origin, const char *group, const char *id);
/* An answer came, and it is no failure. */
void origin_peer_good(const struct hf_origin *origin, struct origin_peer *peer);
/* A try failed at it. */
void origin_peer_failed(const struct hf_origin *origin, const struct origin_fetch *fetch);
bool origin_peer_is_ejected(const struct hf_origin *origin, const struct origin_peer *peer);
/* Adds how it does. */
void origin_peer_tell(const struct hf_origin *origin, const struct origin_peer *peer,
	struct hf_origin_load *load);
/* May the fetch go to the AT-th origin of its group? */
bool origin_target_usable(const struct hf_origin *origin, const struct origin_fetch *fetch,
	uint32_t at, enum origin_choice choice);

/* origin_check.c: origins are asked whether they are well */
void origin_check_init(struct origin_check *check);
/* Those of NEXT are asked from now on, if their groups say so; who is in the view in force alone is not. */
void origin_check_adopt(struct hf_origin *origin, const struct origin_view *next);
void origin_check_fini(struct hf_origin *origin, struct origin_check *check);
/* Cuts those under way. */
void origin_check_fini_all(struct hf_origin *origin);
void origin_check_due(struct hf_origin *origin, struct origin_check *check);
void origin_check_done(struct hf_origin *origin, CURL *easy, CURLcode code);
/* An answer is known. True: it is well now and was not, or the other way round. */
bool origin_check_note(struct origin_check *check, bool failed);
bool origin_check_is_bad(const struct origin_check *check);

/* origin_slots.c */
/* The thread shares the node's slots from now on; it has no fetch any more. */
void origin_slots_join(struct hf_origin *origin);
void origin_slots_part(struct hf_origin *origin);
/* A reference. */
struct origin_site *origin_site_get(
	struct hf_origin_slots *slots, const char *group, const char *id);
void origin_site_put(struct hf_origin_slots *slots, struct origin_site *site);
/* Of a fetch that takes no slot: always. */
bool origin_slot_is_open(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t at);
/* An origin, and a slot there, for a new fetch or a new try. False: it has to wait. */
bool origin_slot_take(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* The same for who will not wait. */
bool origin_slot_try(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* It waits. False: too many do. */
bool origin_slot_wait(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* It waits no more, if it did; OUTCOME: one of HF_HIST_ORIGIN_QUEUE_*. */
void origin_slot_leave(struct hf_origin *origin, struct origin_fetch *fetch, enum hf_hist outcome);
/* One of those that wait; it has a slot, or there is no origin for it. NULL: none is to go now. */
struct origin_fetch *origin_slot_next(struct hf_origin *origin);
/* Its slot and its origin are free for others: it ends, or waits for its next try. */
void origin_slot_give(struct hf_origin *origin, struct origin_fetch *fetch);
/* The head of an answer came, or FAILED: none, or one that says that the origin has too much to do. */
void origin_slot_sample(struct hf_origin *origin, const struct origin_fetch *fetch, bool failed);
/* Another state is in force: who was not sent is routed by it. */
void origin_slot_again(struct hf_origin *origin);
/* The thread does not wait for a slot at that origin. */
void origin_slot_peer_cancel(struct hf_origin *origin, struct origin_peer *peer);

/* origin_stand.c */
/* Who may have what is stored has it; the fetch goes on with the others, or for the cache's sake, but nobody
 * waits for it any more: it may hang while its origin answers others already. May end the fetch. */
void origin_stand_in(struct hf_origin *origin, struct origin_fetch *fetch);
/* To a group that is not well a few are sent, to see. True: this one need not be, nobody waits for it. */
bool origin_stand_is_enough(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* fetch->patience is due. May end the fetch. */
void origin_stand_due(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_retry.c: further tries */
void origin_retry_init(struct origin_retries *retries, uint64_t now_us);
/* A fetch was begun. */
void origin_retry_earn(struct origin_retries *retries, uint32_t percent);
/* False: there is none left. */
bool origin_retry_spend(struct origin_retries *retries, uint64_t now_us) HF_MUST_CHECK;
/* From a half of it to all of it: not all that an origin failed come back at once. */
uint64_t origin_retry_jitter_us(uint64_t pause_us);
/* So long, or as long as there is for all tries. */
uint64_t origin_retry_left_us(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t normal_ms);
/* The head of an answer came. True: it is nobody's, the fetch is asked again. */
bool origin_retry_head(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_resp *resp);
/* The try ended without a head, CURLE_OK: in the middle of it. True: the fetch is asked again. */
bool origin_retry_failed(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code);
/* The pause is over. */
void origin_retry_due(struct hf_origin *origin, struct origin_fetch *fetch);

#endif
