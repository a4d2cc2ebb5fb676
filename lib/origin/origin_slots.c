/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Slots: how many fetches are under way, of the node and of each origin, and who waits for one.
 *
 *      fetch --take--> node's gate and the origin's --> sent --give--> both open again, who waits is woken
 *          \-- none free --> its group's queue, first come first served; the groups take turns
 *                              \-- full --> 503
 *
 * The gates are one for all origin threads (origin_gate.h); the queues are each thread's own. A thread waits at
 * the node's gate, or, where all origins that the first of a group may go to are full, at theirs: never at one
 * while it holds the other, so nobody waits for who waits. Off the way of a fetch, when a state is adopted, the
 * gates of origins are found by name, under a mutex.
 */
#include "hf_origin.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hf_siphash.h"

#include "origin_choice.h"
#include "origin_priv.h"

#define SLOTS_BUCKETS 1024

/* An origin, for all threads and states that have its id in a group of that name. */
struct origin_site {
	struct hf_list link;
	uint32_t refs; /* peers; under the mutex */
	struct origin_gate gate;
	atomic_flag adapting; /* a thread has `adapt` */
	struct origin_adapt adapt;
	_Atomic uint32_t adapted; /* its limit; 0: none yet */
	size_t name_len;
	char name[];
};

struct hf_origin_slots {
	struct origin_gate node;
	_Atomic uint32_t queued;
	_Atomic(struct hf_origin *) thread[ORIGIN_GATE_THREADS_MAX];
	pthread_mutex_t mutex; /* of the sites */
	struct hf_sipkey key;
	struct hf_list site[SLOTS_BUCKETS];
};

struct hf_origin_slots *hf_origin_slots_new(void)
{
	struct hf_origin_slots *slots = calloc(1, sizeof(*slots));

	if (!slots)
		return NULL;
	HF_ASSERT(pthread_mutex_init(&slots->mutex, NULL) == 0);
	hf_random_fill(&slots->key, sizeof(slots->key));
	for (uint32_t i = 0; i < SLOTS_BUCKETS; i++)
		hf_list_init(&slots->site[i]);
	return slots;
}

void hf_origin_slots_free(struct hf_origin_slots *slots)
{
	if (!slots)
		return;
	HF_ASSERT(origin_gate_inside(&slots->node) == 0 && atomic_load(&slots->queued) == 0);
	for (uint32_t i = 0; i < SLOTS_BUCKETS; i++)
		HF_ASSERT(hf_list_empty(&slots->site[i]));
	(void)pthread_mutex_destroy(&slots->mutex);
	free(slots);
}

void origin_slots_join(struct hf_origin *origin)
{
	HF_ASSERT(origin->index < ORIGIN_GATE_THREADS_MAX);
	hf_list_init(&origin->turns);
	atomic_store(&origin->slots->thread[origin->index], origin);
}

void origin_slots_part(struct hf_origin *origin)
{
	HF_ASSERT(origin->queued == 0 && origin->slots_used == 0);
	atomic_store(&origin->slots->thread[origin->index], NULL);
}

/* ---- sites ---- */

static struct origin_site *slots_find(struct hf_list *bucket, const char *name, size_t len)
{
	struct hf_list *it;

	hf_list_for_each (it, bucket) {
		struct origin_site *site = HF_CONTAINER_OF(it, struct origin_site, link);

		if (site->name_len == len && memcmp(site->name, name, len) == 0)
			return site;
	}
	return NULL;
}

struct origin_site *origin_site_get(
	struct hf_origin_slots *slots, const char *group, const char *id)
{
	size_t group_len = strlen(group) + 1, len = group_len + strlen(id);
	struct origin_site *site = calloc(1, sizeof(*site) + len + 1), *other;
	struct hf_list *bucket;

	HF_ASSERT(site);
	site->name_len = len;
	memcpy(site->name, group, group_len);
	memcpy(site->name + group_len, id, len - group_len);
	bucket = &slots->site[hf_siphash(&slots->key, site->name, len) % SLOTS_BUCKETS];
	HF_ASSERT(pthread_mutex_lock(&slots->mutex) == 0);
	other = slots_find(bucket, site->name, len);
	if (other) {
		free(site);
		site = other;
	} else {
		hf_list_add_tail(bucket, &site->link);
	}
	site->refs++;
	HF_ASSERT(pthread_mutex_unlock(&slots->mutex) == 0);
	return site;
}

void origin_site_put(struct hf_origin_slots *slots, struct origin_site *site)
{
	bool last;

	HF_ASSERT(pthread_mutex_lock(&slots->mutex) == 0);
	HF_ASSERT(site->refs > 0);
	last = --site->refs == 0;
	if (last)
		hf_list_del(&site->link);
	HF_ASSERT(pthread_mutex_unlock(&slots->mutex) == 0);
	if (last) {
		HF_ASSERT(origin_gate_inside(&site->gate) == 0);
		free(site);
	}
}

/* ---- gates ---- */

static uint32_t slots_node_limit(const struct hf_origin *origin)
{
	uint32_t limit = origin->conf->origin.max_in_flight;

	return limit ? limit : UINT32_MAX;
}

/* At an origin: its group's, and what was learnt. */
static uint32_t slots_peer_limit(const struct hf_origin *origin, const struct origin_peer *peer)
{
	uint32_t limit = peer->max_in_flight ? peer->max_in_flight : UINT32_MAX;
	uint32_t adapted;

	if (origin->conf->origin.adaptive_limit == HF_CONF_OFF)
		return limit;
	adapted = atomic_load_explicit(&peer->site->adapted, memory_order_relaxed);
	return hf_min_u32(limit, adapted ? adapted : origin->conf->origin.adaptive_min);
}

static void slots_wake(struct hf_origin *origin, uint32_t thread)
{
	struct hf_origin *other;

	if (thread == ORIGIN_GATE_NOBODY)
		return;
	other = atomic_load(&origin->slots->thread[thread]);
	HF_ASSERT(other);
	atomic_store(&other->slots_signal, true);
	if (other != origin)
		hf_waker_wake(&other->waker);
}

static bool slots_node_take(struct hf_origin *origin)
{
	uint32_t wake;

	if (origin->slots_used >= origin->slots_max)
		return false;
	origin->node_waits = !origin_gate_take(
		&origin->slots->node, slots_node_limit(origin), origin->index, &wake);
	slots_wake(origin, wake);
	if (origin->node_waits)
		return false;
	origin->slots_used++;
	return true;
}

static void slots_node_give(struct hf_origin *origin)
{
	HF_ASSERT(origin->slots_used > 0);
	origin->slots_used--;
	slots_wake(origin, origin_gate_give(&origin->slots->node));
}

bool origin_slot_is_open(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t at)
{
	const struct origin_group *group =
		&fetch->view->group[fetch->group - fetch->view->state->group];
	const struct origin_peer *peer = group->peer[at];

	return !fetch->takes_slot || origin_gate_is_open(&peer->site->gate,
					     slots_peer_limit(origin, peer), origin->index);
}

void origin_slot_peer_cancel(struct hf_origin *origin, struct origin_peer *peer)
{
	if (hf_list_empty(&peer->wait_link))
		return;
	hf_list_del(&peer->wait_link);
	slots_wake(origin, origin_gate_cancel(&peer->site->gate, slots_peer_limit(origin, peer),
				   origin->index));
}

/* None of the group waits at a gate of its origins any more. */
static void slots_group_cancel(struct hf_origin *origin, struct origin_health *health)
{
	struct hf_list *it;

	while ((it = hf_list_first(&health->waits)) != NULL)
		origin_slot_peer_cancel(origin, HF_CONTAINER_OF(it, struct origin_peer, wait_link));
}

/* Every origin that it may go to is full: waits at all of them. False: one is not any more. */
static bool slots_group_wait(
	struct hf_origin *origin, const struct origin_fetch *fetch, enum origin_choice choice)
{
	const struct origin_group *group =
		&fetch->view->group[fetch->group - fetch->view->state->group];

	for (uint32_t i = 0; i < fetch->group->origin_count; i++) {
		struct origin_peer *peer = group->peer[i];

		if (!origin_target_usable(origin, fetch, i, choice))
			continue;
		if (!origin_gate_wait(
			    &peer->site->gate, slots_peer_limit(origin, peer), origin->index))
			return false;
		if (hf_list_empty(&peer->wait_link))
			hf_list_add_tail(&fetch->health->waits, &peer->wait_link);
	}
	return true;
}

/* A place at an origin of its group, for a fetch that has one of the node. */
static enum origin_pick slots_peer_take(struct hf_origin *origin, struct origin_fetch *fetch)
{
	enum origin_choice choice;
	enum origin_pick pick;
	uint32_t wake;

	for (;;) {
		pick = origin_balance_pick(origin, fetch, &choice);
		if (pick == ORIGIN_PICK_NONE) {
			slots_group_cancel(origin, fetch->health);
			return pick;
		}
		if (pick == ORIGIN_PICK_FULL) {
			if (slots_group_wait(origin, fetch, choice))
				return pick;
			continue;
		}
		if (origin_gate_take(&fetch->peer->site->gate,
			    slots_peer_limit(origin, fetch->peer), origin->index, &wake))
			break;
		/* another thread was faster: SELF waits there now */
		if (hf_list_empty(&fetch->peer->wait_link))
			hf_list_add_tail(&fetch->health->waits, &fetch->peer->wait_link);
		fetch->peer = NULL;
	}
	slots_wake(origin, wake);
	hf_list_del(&fetch->peer->wait_link); /* the gate has forgotten it, too */
	slots_group_cancel(origin, fetch->health);
	fetch->peer->in_flight++;
	fetch->has_slot = true;
	return ORIGIN_PICK_DONE;
}

/* Whoever does not wait is nobody's next. */
static void slots_settle(struct hf_origin *origin, struct origin_health *health)
{
	if (hf_list_empty(&health->queue))
		slots_group_cancel(origin, health);
	if (origin->queued > 0 || !origin->node_waits)
		return;
	origin->node_waits = false;
	slots_wake(origin,
		origin_gate_cancel(&origin->slots->node, slots_node_limit(origin), origin->index));
}

/* ---- one fetch ---- */

bool origin_slot_take(struct hf_origin *origin, struct origin_fetch *fetch)
{
	enum origin_pick pick;

	HF_ASSERT(fetch->takes_slot && !fetch->has_slot && !fetch->peer);
	if (!hf_list_empty(&fetch->health->queue) || origin->node_waits || !slots_node_take(origin))
		return false; /* nobody overtakes */
	pick = slots_peer_take(origin, fetch);
	if (pick != ORIGIN_PICK_DONE)
		slots_node_give(origin);
	return pick != ORIGIN_PICK_FULL;
}

bool origin_slot_try(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!origin_slot_take(origin, fetch))
		slots_settle(origin, fetch->health);
	return fetch->has_slot;
}

/* Into the queue of its group, behind those that came before. */
static void slots_line_up(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (hf_list_empty(&fetch->health->queue))
		hf_list_add_tail(&origin->turns, &fetch->health->turn_link);
	hf_list_add_tail(&fetch->health->queue, &fetch->queue_link);
	fetch->health->queued++;
}

bool origin_slot_wait(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (atomic_fetch_add(&origin->slots->queued, 1) >= origin->conf->origin.max_queue) {
		atomic_fetch_sub(&origin->slots->queued, 1);
		slots_settle(origin, fetch->health);
		return false;
	}
	slots_line_up(origin, fetch);
	fetch->waits = true;
	origin->queued++;
	hf_stat_add(HF_STAT_ORIGIN_QUEUED, 1);
	origin_fetch_timer(
		origin, fetch, ORIGIN_TIMER_QUEUE, origin->conf->origin.queue_timeout_ms * 1000ULL);
	return true;
}

void origin_slot_leave(struct hf_origin *origin, struct origin_fetch *fetch, enum hf_hist outcome)
{
	if (!fetch->waits)
		return;
	HF_ASSERT(origin->queued > 0);
	fetch->waits = false;
	HF_ASSERT(fetch->health->queued > 0);
	fetch->health->queued--;
	hf_list_del(&fetch->queue_link);
	if (hf_list_empty(&fetch->health->queue))
		hf_list_del(&fetch->health->turn_link);
	hf_timer_del(origin->wheel, &fetch->timer);
	origin->queued--;
	atomic_fetch_sub(&origin->slots->queued, 1);
	hf_stat_sub(HF_STAT_ORIGIN_QUEUED, 1);
	hf_hist_add(outcome, (origin->now_us - fetch->queued_us) * 1000);
	slots_settle(origin, fetch->health);
}

struct origin_fetch *origin_slot_next(struct hf_origin *origin)
{
	struct hf_list *it;

	if (hf_list_empty(&origin->turns) || !slots_node_take(origin))
		return NULL;
	hf_list_for_each (it, &origin->turns) {
		struct origin_health *health = HF_CONTAINER_OF(it, struct origin_health, turn_link);
		struct origin_fetch *fetch = HF_CONTAINER_OF(
			hf_list_first(&health->queue), struct origin_fetch, queue_link);
		enum origin_pick pick = slots_peer_take(origin, fetch);

		if (pick == ORIGIN_PICK_FULL)
			continue;
		if (pick == ORIGIN_PICK_NONE)
			slots_node_give(origin);
		hf_list_del(&health->turn_link);
		hf_list_add_tail(&origin->turns, &health->turn_link);
		return fetch;
	}
	slots_node_give(origin);
	return NULL;
}

static void slots_move(struct hf_list *from, struct hf_list *to)
{
	struct hf_list *it;

	while ((it = hf_list_first(from)) != NULL) {
		hf_list_del(it);
		hf_list_add_tail(to, it);
	}
}

/* It waited by an earlier state. What is asked for a rest keeps to that. */
static void slots_again(struct hf_origin *origin, struct origin_fetch *fetch)
{
	bool routed = fetch->state == ORIGIN_RESUME || origin_view_again(origin, fetch);

	slots_line_up(origin, fetch);
	if (!routed)
		origin_fetch_fail(origin, fetch, 421, HF_DROP_REQ_NO_ROUTE, "no route any more");
}

void origin_slot_again(struct hf_origin *origin)
{
	struct hf_list *it, all;

	hf_list_init(&all);
	slots_move(&origin->direct, &all);
	while ((it = hf_list_first(&origin->turns)) != NULL) {
		struct origin_health *health = HF_CONTAINER_OF(it, struct origin_health, turn_link);

		hf_list_del(it);
		slots_move(&health->queue, &all);
		health->queued = 0;
		slots_group_cancel(origin, health);
	}
	while ((it = hf_list_first(&all)) != NULL) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, queue_link);

		hf_list_del(it);
		origin_slot_give(origin, fetch);
		if (fetch->waits)
			slots_again(origin, fetch);
		else
			origin_fetch_enqueue(origin, fetch);
	}
}

void origin_slot_sample(struct hf_origin *origin, const struct origin_fetch *fetch, bool failed)
{
	const struct hf_conf *conf = origin->conf;
	struct origin_site *site = fetch->has_slot ? fetch->peer->site : NULL;
	uint32_t max, limit;

	if (!site || conf->origin.adaptive_limit == HF_CONF_OFF ||
		atomic_flag_test_and_set(&site->adapting))
		return; /* or another thread learns just now: one sample less */
	max = hf_max_u32(conf->origin.adaptive_min, conf->origin.adaptive_max);
	origin_adapt_bounds(&site->adapt, conf->origin.adaptive_min, max);
	limit = origin_adapt_sample(&site->adapt, origin->now_us, fetch->sent_us,
		origin_gate_inside(&site->gate), failed);
	atomic_store(&site->adapted, limit);
	atomic_flag_clear(&site->adapting);
	slots_wake(origin, origin_gate_raised(&site->gate, slots_peer_limit(origin, fetch->peer)));
}

void origin_slot_give(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->has_slot) {
		slots_wake(origin, origin_gate_give(&fetch->peer->site->gate));
		slots_node_give(origin);
	}
	fetch->has_slot = false;
	if (fetch->peer) {
		HF_ASSERT(fetch->peer->in_flight > 0);
		fetch->peer->in_flight--;
	}
	fetch->peer = NULL;
	if (!fetch->asks)
		return;
	HF_ASSERT(fetch->health->asked > 0 && origin->in_flight > 0);
	fetch->asks = false;
	fetch->health->asked--;
	origin->in_flight--;
	hf_stat_sub(HF_STAT_ORIGIN_IN_FLIGHT, 1);
}
