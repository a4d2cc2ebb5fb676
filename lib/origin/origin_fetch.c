/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A fetch from submit to its end.
 *
 *      submit -> QUEUED --slot--> SENT --head--> BODY --> complete: publish
 *                  |               |\  \-no memory-> ADMIT -/ |\-> fail: readers are cut
 *                  |               | \     pause- RESUME <----/  cut: its rest is asked for, with a slot again
 *                  |<--pause- RETRY <- failed
 *                  \- late: 503    | \-304, or an error for which a stale one stands-> OVER -> end
 *                                  \-> fail: 502, 504, or a stale one (RFC 5861)
 */
#include "hf_origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_l2.h"
#include "origin_priv.h"
#include "origin_wire.h"

void origin_fetch_answered(struct origin_fetch *fetch)
{
	fetch->outcome = fetch->status < 400 ? HF_STAT_ORIGIN_FETCH_SUCCESS
					     : HF_STAT_ORIGIN_FETCH_HTTP_ERROR;
}

void origin_fetch_end(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list *it;

	origin_hedge_drop(origin, fetch);
	origin_curl_stop(origin, fetch);
	hf_timer_del(origin->wheel, &fetch->timer);
	hf_timer_del(origin->wheel, &fetch->patience);
	hf_timer_del(origin->wheel, &fetch->hedging);
	while ((it = hf_list_first(&fetch->readers)) != NULL) {
		struct origin_reader *reader = HF_CONTAINER_OF(it, struct origin_reader, link);

		HF_ASSERT(reader->answered);
		hf_list_del(it);
		reader->fetch = NULL;
		origin_body_discard(origin, reader);
	}
	origin_slot_leave(origin, fetch, HF_HIST_ORIGIN_QUEUE_CANCELED);
	if (fetch->deadline_us != 0) /* it was sent */
		hf_stat_inc(fetch->outcome);
	origin_slot_give(origin, fetch);
	if (fetch->obj)
		hf_shard_obj_unref(origin->shard, fetch->obj);
	origin_reval_forget(origin, fetch);
	origin_stale_refresh_end(origin, fetch);
	origin_invalid_end(fetch);
	origin_l2_forget(origin, fetch);
	origin_view_leave(origin, fetch);
	hf_list_del(&fetch->map_link);
	hf_list_del(&fetch->queue_link);
	hf_list_del(&fetch->memory_link);
	hf_list_del(&fetch->all_link);
	hf_wipe_free((char *)(uintptr_t)fetch->key.ptr);
	hf_wipe_free(fetch->vary);
	hf_wipe_free(fetch->req_head);
	hf_wipe_free(fetch->head);
	hf_pool_put(&origin->fetches, fetch);
}

void origin_fetch_free_all(struct hf_origin *origin)
{
	struct hf_list *it;

	while ((it = hf_list_first(&origin->all)) != NULL) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, all_link);

		if (fetch->obj && !origin_store_is_whole(fetch))
			hf_shard_fill_fail(origin->shard, fetch->obj);
		while ((it = hf_list_first(&fetch->readers)) != NULL) {
			hf_list_del(it); /* nobody listens any more */
			HF_CONTAINER_OF(it, struct origin_reader, link)->fetch = NULL;
		}
		origin_fetch_end(origin, fetch);
	}
}

void origin_fetch_timer(struct hf_origin *origin, struct origin_fetch *fetch,
	enum origin_timer kind, uint64_t after_us)
{
	fetch->timer.kind = kind;
	hf_timer_set(origin->wheel, &fetch->timer, origin->now_us + after_us);
}

/* ---- a new fetch ---- */

static int fetch_copy(struct hf_origin *origin, struct origin_fetch *fetch,
	const struct hf_key *key, const struct origin_look *look)
{
	char *copy = malloc(key->len);
	int len;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, key->ptr, key->len);
	fetch->key = (struct hf_key){ copy, key->len, key->hash };
	if (!look->sample || look->sample->vary_len == 0)
		return 0;
	len = hf_cache_vary_rebuild(origin->scratch, ORIGIN_VARY_MAX, look->sample->vary,
		look->sample->vary_len, look->req);
	if (len > 0) /* else too long to be stored: then nobody waits for it with profit */
		fetch->vary = malloc((size_t)len);
	if (fetch->vary) {
		memcpy(fetch->vary, origin->scratch, (size_t)len);
		fetch->vary_len = (uint32_t)len;
	}
	hf_wipe(origin->scratch, ORIGIN_VARY_MAX);
	return len > 0 && !fetch->vary ? -ENOMEM : 0;
}

static struct origin_fetch *fetch_new(
	struct hf_origin *origin, struct origin_reader *reader, const struct origin_look *look)
{
	const struct hf_xchg *xchg = reader->xchg;
	struct origin_fetch *fetch = hf_pool_get(&origin->fetches);

	HF_ASSERT(fetch); /* one for each exchange, one for each slot */
	memset(fetch, 0, sizeof(*fetch));
	fetch->origin = origin;
	hf_list_init(&fetch->map_link);
	hf_list_init(&fetch->queue_link);
	hf_list_init(&fetch->memory_link);
	hf_list_init(&fetch->readers);
	hf_list_init(&fetch->errands);
	hf_list_add_tail(&origin->all, &fetch->all_link);
	hf_timer_init(&fetch->timer, ORIGIN_TIMER_QUEUE);
	hf_timer_init(&fetch->patience, ORIGIN_TIMER_PATIENCE);
	hf_timer_init(&fetch->hedging, ORIGIN_TIMER_HEDGE);
	fetch->method = xchg->method;
	fetch->shared = xchg->shared;
	fetch->outcome = HF_STAT_ORIGIN_FETCH_CANCELED;
	fetch->known = look->sample != NULL;
	/* unsafe methods pass: a slot is for what the cache wants */
	fetch->takes_slot = hf_http_method_is_safe(xchg->method);
	if (fetch_copy(origin, fetch, &xchg->key, look)) {
		fetch->state = ORIGIN_SENT; /* it is in no queue */
		origin_fetch_end(origin, fetch);
		return NULL;
	}
	return fetch;
}

void origin_fetch_enqueue(struct hf_origin *origin, struct origin_fetch *fetch)
{
	fetch->state = ORIGIN_QUEUED;
	fetch->queued_us = origin->now_us;
	if (!origin_view_again(origin, fetch))
		origin_fetch_fail(origin, fetch, 421, HF_DROP_REQ_NO_ROUTE, "no route any more");
	else if (!fetch->takes_slot && origin_balance_wants_body(fetch))
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_PREFIX, ORIGIN_PREFIX_WAIT_US);
	else if (!fetch->takes_slot || origin_slot_take(origin, fetch))
		hf_list_add_tail(&origin->direct, &fetch->queue_link);
	else if (!origin_slot_wait(origin, fetch))
		origin_fetch_fail(
			origin, fetch, 503, HF_DROP_REQ_OVERLOAD, "no slot, and a full queue");
}

/* It is in no list while it waits for that. */
void origin_fetch_body_came(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->state == ORIGIN_QUEUED && hf_list_empty(&fetch->queue_link) &&
		!origin_balance_wants_body(fetch))
		hf_list_add_tail(&origin->direct, &fetch->queue_link);
}

/* Of a key whose answers are not stored, and of which nothing is: the origin shall answer what the client
 * asked, a condition or a range too. */
static bool fetch_passes(const struct hf_origin *origin, const struct origin_reader *reader,
	const struct origin_look *look)
{
	const struct origin_memo *memo = origin_memo_find(origin, reader->xchg->key.hash);

	if (reader->xchg->cause == HF_XCHG_BYPASS_REQUEST)
		return true;
	if (!look->req || !(look->req->has_range || look->req->has_conditional))
		return false;
	return reader->passes || (memo && memo->reason != HF_CACHE_WHY_EXPIRED && !look->sample);
}

/* No fetch can be begun now: what is stored may still do. */
static void fetch_shed(struct hf_origin *origin, struct origin_reader *reader, enum hf_drop reason)
{
	if (!origin_stale_serve(origin, reader, NULL, HF_STAT_CACHE_STALE_FAILED, 0))
		origin_reader_fail(origin, reader, 503, reason);
}

static void fetch_start(
	struct hf_origin *origin, struct origin_reader *reader, const struct origin_look *look)
{
	struct hf_xchg *xchg = reader->xchg;
	const struct hf_state_route *route = origin_view_route(origin, &xchg->key);
	struct origin_fetch *fetch;

	if ((origin->mode & HF_MODE_EXPIRED) &&
		origin->conf->control_plane.state_expired == HF_CONF_STATE_REJECT) {
		fetch_shed(origin, reader, HF_DROP_REQ_STATE_EXPIRED);
		return;
	}
	if (!route) {
		origin_reader_fail(origin, reader, 421, HF_DROP_REQ_NO_ROUTE);
		return;
	}
	fetch = fetch_new(origin, reader, look);
	if (!fetch) {
		fetch_shed(origin, reader, HF_DROP_REQ_NO_MEMORY);
		return;
	}
	origin_view_take(origin, fetch, route);
	/* what has a secret in its URL is stored where the route says so */
	if (fetch->shared && look->req && look->cache_req->has_secret_query &&
		!route->store_secret_query)
		xchg->cause = HF_XCHG_BYPASS_REQUEST;
	fetch->leader = reader;
	reader->fetch = fetch;
	hf_list_add_tail(&fetch->readers, &reader->link);
	if (fetch->shared && fetch_passes(origin, reader, look)) {
		fetch->shared = false;
		fetch->passes = true;
	}
	if (fetch->shared) {
		fetch->joinable =
			!xchg->has_authorization && !origin_memo_find(origin, fetch->key.hash);
		origin_map_add(origin, fetch);
	}
	if (xchg->background)
		origin_stale_refresh_begin(origin, fetch, look->req);
	if (!origin_l2_ask(origin, fetch, look))
		origin_fetch_enqueue(origin, fetch);
}

void origin_fetch_submit(struct hf_origin *origin, struct origin_reader *reader)
{
	struct hf_http_req req;
	struct hf_cache_req cache_req;
	struct origin_look look = { 0 };

	HF_ASSERT(!reader->fetch && !reader->answered);
	reader->xchg->local = false; /* what L2 had may have been for others */
	if (!origin->view) {
		origin_reader_fail(origin, reader, 503, HF_DROP_REQ_NO_STATE);
		return;
	}
	if (!origin_auth_fits(origin, reader->xchg)) {
		origin_reader_fail(origin, reader, 503, HF_DROP_REQ_AUTH_STATE);
		return;
	}
	if (reader->xchg->shared && origin_reader_parse(reader, &req, &cache_req)) {
		look.req = &req;
		look.cache_req = &cache_req;
		if (origin_look_find(origin, reader, &look))
			return;
	}
	fetch_start(origin, reader, &look);
}

/* ---- without its leader ---- */

/* It is still needed: for Vary, when the head comes, or those of parts. */
bool origin_fetch_keep_request(struct origin_fetch *fetch, const struct hf_xchg *xchg)
{
	HF_ASSERT(!fetch->req_head);
	fetch->req_head = malloc(xchg->head.len);
	if (!fetch->req_head)
		return false;
	memcpy(fetch->req_head, xchg->head.ptr, xchg->head.len);
	fetch->req_head_len = (uint32_t)xchg->head.len;
	return true;
}

void origin_fetch_leader_left(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_xchg *xchg)
{
	fetch->leader = NULL;
	if (fetch->state < ORIGIN_SENT)
		fetch->leader =
			HF_CONTAINER_OF(hf_list_first(&fetch->readers), struct origin_reader, link);
	else if (!origin_fetch_keep_request(fetch, xchg) && !fetch->obj)
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_NO_MEMORY, "no memory");
}

/* ---- launch ---- */

/* An origin of its own for what takes no slot; else it came with that. */
static bool fetch_pick(struct hf_origin *origin, struct origin_fetch *fetch)
{
	enum origin_choice choice;

	if (fetch->takes_slot)
		return fetch->has_slot;
	if (origin_balance_pick(origin, fetch, &choice) != ORIGIN_PICK_DONE)
		return false;
	fetch->peer->in_flight++;
	return true;
}

void origin_fetch_asks(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->peer && !fetch->asks);
	hf_list_del(&fetch->queue_link);
	origin_slot_leave(origin, fetch, HF_HIST_ORIGIN_QUEUE_ADMITTED);
	fetch->peer->fetches++;
	fetch->asks = true;
	fetch->health->asked++;
	origin->in_flight++;
	hf_stat_add(HF_STAT_ORIGIN_IN_FLIGHT, 1);
}

static void fetch_send(struct hf_origin *origin, struct origin_fetch *fetch)
{
	bool well;

	HF_ASSERT(fetch->state == ORIGIN_QUEUED && fetch->leader);
	if (!origin_view_again(origin, fetch)) {
		origin_fetch_fail(origin, fetch, 421, HF_DROP_REQ_NO_ROUTE, "no route any more");
		return;
	}
	well = origin_health_is_well(origin, fetch->health);
	if (!well && origin_stand_is_enough(origin, fetch)) {
		origin_fetch_end(origin, fetch);
		return;
	}
	if (!fetch_pick(origin, fetch)) {
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_DRAINED,
			"its group has no origin, or all are drained");
		return;
	}
	origin_fetch_asks(origin, fetch);
	fetch->state = ORIGIN_SENT;
	fetch->sent_us = origin->now_us;
	if (fetch->deadline_us == 0) {
		fetch->deadline_us =
			origin->now_us + origin->conf->origin.total_timeout_ms * 1000ULL;
		origin_retry_earn(&origin->retries, origin->conf->origin.retry_budget);
	}
	fetch->tags_purged = origin->purge.tags_purged;
	origin_reval_begin(origin, fetch);
	if (origin_curl_start(origin, fetch)) {
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_NO_MEMORY, "no memory");
		return;
	}
	hf_stat_inc(HF_STAT_ORIGIN_REQUESTS);
	origin_hedge_arm(origin, fetch);
	if (!well)
		origin_stand_in(origin, fetch);
	else if (fetch->shared && fetch->known)
		hf_timer_set(
			origin->wheel, &fetch->patience, origin_health_silent_us(origin, fetch));
}

bool origin_fetch_launch(struct hf_origin *origin)
{
	struct origin_fetch *fetch;
	struct hf_list *it;
	bool busy = false;

	atomic_store(&origin->slots_signal, false); /* before a look at the gates */
	while ((it = hf_list_first(&origin->direct)) != NULL) {
		fetch_send(origin, HF_CONTAINER_OF(it, struct origin_fetch, queue_link));
		busy = true;
	}
	while ((fetch = origin_slot_next(origin)) != NULL) {
		if (fetch->state == ORIGIN_RESUME)
			origin_resume_ask(origin, fetch);
		else
			fetch_send(origin, fetch);
		busy = true;
	}
	return busy;
}

/* ---- a reader leaves ---- */

static bool fetch_goes_on_alone(const struct origin_fetch *fetch)
{
	return fetch->obj && !fetch->purged && !(fetch->obj->flags & HF_OBJ_STREAM);
}

void origin_fetch_leave(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_reader *reader)
{
	bool led = fetch->leader == reader;
	bool flows = fetch->state == ORIGIN_BODY;

	HF_ASSERT(reader->fetch == fetch);
	hf_list_del(&reader->link);
	reader->fetch = NULL;
	if (hf_list_empty(&fetch->readers) && !fetch_goes_on_alone(fetch)) {
		origin_fetch_end(origin, fetch);
		return;
	}
	if (led) /* which may end it, before it flows */
		origin_fetch_leader_left(origin, fetch, reader->xchg);
	if (flows)
		origin_flow_credit(origin, fetch); /* the reader may have been the slowest */
}

/* ---- the end ---- */

static void fetch_log(const struct origin_fetch *fetch, const char *text)
{
	char url[256];
	size_t len = hf_http_redact(
		(struct hf_span){ fetch->key.ptr, fetch->key.len }, url, sizeof(url));

	hf_log(HF_LOG_WARN, "origin", "%.*s from %s: %s", (int)len, url,
		fetch->target ? fetch->target->id : "nowhere", text);
}

void origin_fetch_fail(struct hf_origin *origin, struct origin_fetch *fetch, uint16_t status,
	enum hf_drop reason, const char *text)
{
	struct hf_list *it;

	if (fetch->state == ORIGIN_OVER) {
		origin_fetch_end(origin, fetch); /* nobody waits for what is missing */
		return;
	}
	fetch_log(fetch, text);
	origin_slot_leave(origin, fetch, HF_HIST_ORIGIN_QUEUE_ERROR);
	if (fetch->deadline_us != 0)
		hf_stat_inc(HF_STAT_ORIGIN_ERRORS);
	fetch->outcome = status == 504 ? HF_STAT_ORIGIN_FETCH_TIMEOUT : HF_STAT_ORIGIN_FETCH_ERROR;
	if (fetch->obj) {
		hf_shard_fill_fail(origin->shard, fetch->obj);
		origin_flow_more(origin, fetch);
	}
	while (!fetch->obj && (it = hf_list_first(&fetch->readers)) != NULL) {
		struct origin_reader *reader = HF_CONTAINER_OF(it, struct origin_reader, link);
		bool forbidden = origin_stale_is_forbidden(origin, reader, fetch);

		hf_list_del(it);
		origin_reader_asked(reader, fetch);
		reader->fetch = NULL;
		/* 504 in the place of what must be validated (RFC 9111 §5.2.2.2) */
		if (!origin_stale_serve(origin, reader, fetch, HF_STAT_CACHE_STALE_FAILED, 0))
			origin_reader_fail(
				origin, reader, status == 502 && forbidden ? 504 : status, reason);
	}
	origin_fetch_end(origin, fetch);
}

static void fetch_complete(struct hf_origin *origin, struct origin_fetch *fetch)
{
	unsigned flags = fetch->obj->flags;

	origin_fetch_answered(fetch);
	/* what has no body keeps the length it was told, if any: for an answer to HEAD */
	if (!origin_store_is_whole(fetch) && !((flags & HF_OBJ_STREAM) && (flags & HF_OBJ_NO_BODY)))
		origin_store_whole(origin, fetch);
	origin_flow_more(origin, fetch);
	origin_fetch_end(origin, fetch);
}

void origin_fetch_done(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code)
{
	if (fetch->unwanted || fetch->state == ORIGIN_OVER) {
		origin_fetch_end(origin, fetch);
		return;
	}
	if (fetch->state == ORIGIN_RETRY) {
		origin_curl_stop(origin, fetch);
		return;
	}
	if (fetch->state == ORIGIN_BODY && (code == CURLE_OK || origin_store_is_whole(fetch))) {
		fetch_complete(origin, fetch);
		return;
	}
	if (code == CURLE_OK && fetch->state == ORIGIN_ADMIT) {
		origin_curl_stop(origin, fetch);
		fetch->ended = true;
		return;
	}
	if (fetch->state == ORIGIN_SENT)
		origin_slot_sample(origin, fetch, /* failed= */ true);
	if (origin_hedge_goes_on(origin, fetch, code) || origin_retry_failed(origin, fetch, code))
		return;
	if (!fetch->judged)
		origin_health_failed(origin, fetch,
			code == CURLE_OK ? HF_FALLBACK_BY_RESET
					 : hf_fallback_trigger_of_curl((int)code));
	if (origin_resume_begin(origin, fetch))
		return;
	if (fetch->fail_text)
		origin_fetch_fail(origin, fetch, 502, HF_DROP_REQ_ORIGIN_FAILED, fetch->fail_text);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		origin_fetch_fail(
			origin, fetch, 504, HF_DROP_REQ_ORIGIN_TIMEOUT, "connect timeout");
	else
		origin_fetch_fail(origin, fetch, 502, HF_DROP_REQ_ORIGIN_FAILED,
			code == CURLE_OK || code == CURLE_WRITE_ERROR ? "no answer"
								      : curl_easy_strerror(code));
}

static void fetch_late(struct hf_origin *origin, struct origin_fetch *fetch, const char *text)
{
	if (origin_store_is_whole(fetch)) {
		fetch_complete(origin, fetch);
		return;
	}
	origin_hedge_drop(origin, fetch);
	if (fetch->state == ORIGIN_SENT)
		origin_slot_sample(origin, fetch, /* failed= */ true);
	if (origin_retry_failed(origin, fetch, CURLE_OPERATION_TIMEDOUT))
		return;
	origin_health_failed(origin, fetch, HF_FALLBACK_BY_TIMEOUT);
	if (!origin_resume_begin(origin, fetch))
		origin_fetch_fail(origin, fetch, 504, HF_DROP_REQ_ORIGIN_TIMEOUT, text);
}

static void fetch_timer_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	switch ((enum origin_timer)fetch->timer.kind) {
	case ORIGIN_TIMER_QUEUE:
		origin_slot_leave(origin, fetch, HF_HIST_ORIGIN_QUEUE_TIMEOUT);
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_OVERLOAD, "no slot in time");
		break;
	case ORIGIN_TIMER_PREFIX:
		hf_list_add_tail(&origin->direct, &fetch->queue_link);
		break;
	case ORIGIN_TIMER_FIRST_BYTE:
		fetch_late(origin, fetch, "late head");
		break;
	case ORIGIN_TIMER_L2:
		origin_l2_due(origin, fetch);
		break;
	case ORIGIN_TIMER_BETWEEN:
		fetch_late(origin, fetch, "stopped in the middle");
		break;
	case ORIGIN_TIMER_RESUME:
		origin_resume_due(origin, fetch);
		break;
	case ORIGIN_TIMER_RETRY:
		origin_retry_due(origin, fetch);
		break;
	case ORIGIN_TIMER_MEMORY:
		origin_flow_memory_late(origin, fetch);
		break;
	case ORIGIN_TIMER_LAG:
		origin_flow_lag(origin, fetch);
		break;
	case ORIGIN_TIMER_PATIENCE:
	case ORIGIN_TIMER_CHECK:
	case ORIGIN_TIMER_HEDGE:
	case ORIGIN_TIMER_TUNNEL:
		HF_ASSERT(!"a timer of its own");
	}
}

bool origin_fetch_timers(struct hf_origin *origin)
{
	struct hf_timer *timer;
	bool busy = false;

	while ((timer = hf_wheel_pop(origin->wheel, origin->now_us)) != NULL) {
		if (timer->kind == ORIGIN_TIMER_PATIENCE)
			origin_stand_due(
				origin, HF_CONTAINER_OF(timer, struct origin_fetch, patience));
		else if (timer->kind == ORIGIN_TIMER_CHECK)
			origin_check_due(
				origin, HF_CONTAINER_OF(timer, struct origin_check, timer));
		else if (timer->kind == ORIGIN_TIMER_HEDGE)
			origin_hedge_due(
				origin, HF_CONTAINER_OF(timer, struct origin_fetch, hedging));
		else if (timer->kind == ORIGIN_TIMER_TUNNEL)
			origin_tunnel_due(timer);
		else
			fetch_timer_due(origin, HF_CONTAINER_OF(timer, struct origin_fetch, timer));
		busy = true;
	}
	return busy;
}
