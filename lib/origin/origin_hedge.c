/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A GET that has no answer after origin.hedge_after is sent to another origin of its group, too: the first good head
 * of the two is the fetch's, and the other try is cut.
 *
 *      SENT --hedge_after, a slot elsewhere, a token of the retries--> the second try is the fetch's; the first is kept
 *              head of the second -> as ever; the first ends
 *              head of the first  -> it is the fetch's again; the second ends
 *              either fails       -> the other goes on alone
 *
 * It is one fetch, counted once, in which each try holds a slot. The second counts as a retry where those are bounded.
 * Of the first try the head is kept here and its body waits in curl: what a callback finds is acted on in the step.
 */
#include "hf_origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

/* What of a fetch belongs to one try. */
struct hedge_try {
	CURL *easy;
	struct curl_slist *lines;
	const struct hf_state_origin *target;
	struct origin_peer *peer;
	bool has_slot, asks, cut;
	char *head;
	uint32_t head_len, head_cap;
	uint64_t sent_us;
	int local_port, remote_port;
};

struct origin_hedge {
	struct hf_list link; /* in origin->hedges */
	struct origin_fetch *fetch;
	struct hedge_try first;
	bool whole; /* its head is */
	bool paused;
	bool ended;
	CURLcode code; /* ended: how */
};

#define HEDGE_SWAP(a, b)                                                                           \
	do {                                                                                       \
		__typeof__(a) kept = (a);                                                          \
		(a) = (b);                                                                         \
		(b) = kept;                                                                        \
	} while (0)

static void hedge_swap(struct origin_fetch *fetch, struct hedge_try *try)
{
	HEDGE_SWAP(fetch->easy, try->easy);
	HEDGE_SWAP(fetch->lines, try->lines);
	HEDGE_SWAP(fetch->target, try->target);
	HEDGE_SWAP(fetch->peer, try->peer);
	HEDGE_SWAP(fetch->has_slot, try->has_slot);
	HEDGE_SWAP(fetch->asks, try->asks);
	HEDGE_SWAP(fetch->cut, try->cut);
	HEDGE_SWAP(fetch->head, try->head);
	HEDGE_SWAP(fetch->head_len, try->head_len);
	HEDGE_SWAP(fetch->head_cap, try->head_cap);
	HEDGE_SWAP(fetch->sent_us, try->sent_us);
	HEDGE_SWAP(fetch->local_port, try->local_port);
	HEDGE_SWAP(fetch->remote_port, try->remote_port);
}

/* ---- callbacks of the first try ---- */

static bool hedge_append(struct hedge_try *try, const char *data, size_t len)
{
	if (len > ORIGIN_HEAD_MAX - try->head_len)
		return false;
	if (try->head_len + len > try->head_cap) {
		uint32_t cap = (uint32_t)hf_pow2_ceil(hf_max_u64(try->head_len + len, 1024));
		char *head = hf_wipe_realloc(try->head, cap);

		if (!head)
			return false;
		try->head = head;
		try->head_cap = cap;
	}
	memcpy(try->head + try->head_len, data, len);
	try->head_len += (uint32_t)len;
	return true;
}

static long hedge_status(const struct origin_hedge *hedge)
{
	long status = 0;

	(void)curl_easy_getinfo(hedge->first.easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Interim answers are dropped: who is asked twice may say different things. */
static size_t hedge_on_head(char *data, size_t size, size_t count, void *arg)
{
	struct origin_hedge *hedge = arg;
	size_t len = size * count;

	origin_health_heard(hedge->fetch->origin, hedge->fetch);
	if (hedge->whole)
		return len; /* trailers */
	if (!hedge_append(&hedge->first, data, len))
		return 0;
	if (!(len == 2 && memcmp(data, "\r\n", 2) == 0) && !(len == 1 && data[0] == '\n'))
		return len;
	if (hedge_status(hedge) >= 200)
		hedge->whole = true;
	else
		hedge->first.head_len = 0;
	return len;
}

static size_t hedge_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct origin_hedge *hedge = arg;

	(void)data;
	(void)size;
	(void)count;
	hedge->paused = true;
	return CURL_WRITEFUNC_PAUSE;
}

static int hedge_on_connected(
	void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct origin_hedge *hedge = arg;

	(void)remote_ip;
	(void)local_ip;
	hedge->first.local_port = local_port;
	hedge->first.remote_port = remote_port;
	return CURL_PREREQFUNC_OK;
}

static void hedge_set_callbacks(struct origin_hedge *hedge)
{
	CURL *easy = hedge->first.easy;
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, hedge_on_head);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, hedge);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, hedge_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, hedge);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, hedge_on_connected);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, hedge);
	HF_ASSERT(code == CURLE_OK); /* pointers only */
}

/* ---- the end of one try ---- */

/* The fetch has none afterwards. */
static void hedge_stop(struct hf_origin *origin, struct origin_fetch *fetch)
{
	origin_curl_stop(origin, fetch);
	origin_slot_give(origin, fetch);
	hf_wipe_free(fetch->head);
	fetch->head = NULL;
	fetch->head_len = 0;
	fetch->head_cap = 0;
	fetch->cut = false;
}

static void hedge_free(struct origin_hedge *hedge, enum hf_stat outcome)
{
	HF_ASSERT(!hedge->first.easy && !hedge->first.head && !hedge->first.peer);
	hf_stat_inc(outcome);
	hedge->fetch->hedge = NULL;
	hf_list_del(&hedge->link);
	free(hedge);
}

void origin_hedge_drop(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_hedge *hedge = fetch->hedge;
	bool answered = fetch->state > ORIGIN_SENT;

	if (!hedge)
		return;
	hedge_swap(fetch, &hedge->first);
	hedge_stop(origin, fetch);
	hedge_swap(fetch, &hedge->first);
	hedge_free(hedge, answered ? HF_STAT_ORIGIN_HEDGE_WON : HF_STAT_ORIGIN_HEDGE_LOST);
}

/* The second ends. */
static void hedge_back_to_first(struct hf_origin *origin, struct origin_hedge *hedge)
{
	struct origin_fetch *fetch = hedge->fetch;

	hedge_stop(origin, fetch);
	hedge_swap(fetch, &hedge->first);
	fetch->state = ORIGIN_SENT;
	fetch->taken = 0;
	fetch->recv_paused = false;
	origin_curl_adopt(fetch);
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_FIRST_BYTE,
		origin_retry_left_us(origin, fetch, origin->conf->origin.first_byte_timeout_ms));
	hedge_free(hedge, HF_STAT_ORIGIN_HEDGE_LOST);
}

/* The head of the first is there. */
static void hedge_first_answers(struct hf_origin *origin, struct origin_hedge *hedge)
{
	struct origin_fetch *fetch = hedge->fetch;
	bool ended = hedge->ended, paused = hedge->paused;

	hedge_back_to_first(origin, hedge);
	fetch->recv_paused = paused;
	if (!origin_curl_head(origin, fetch)) {
		origin_fetch_done(origin, fetch, CURLE_WRITE_ERROR);
	} else if (ended) {
		origin_fetch_done(origin, fetch, CURLE_OK);
	} else if (paused && fetch->state != ORIGIN_ADMIT) {
		fetch->recv_paused = false;
		origin_curl_resume(origin, fetch);
	}
}

static void hedge_first_failed(struct hf_origin *origin, struct origin_hedge *hedge)
{
	struct origin_fetch *fetch = hedge->fetch;

	hedge_swap(fetch, &hedge->first);
	origin_health_tried(origin, fetch,
		hedge->whole              ? HF_FALLBACK_BY_5XX
		: hedge->code == CURLE_OK ? HF_FALLBACK_BY_RESET
					  : hf_fallback_trigger_of_curl((int)hedge->code));
	hedge_swap(fetch, &hedge->first);
	origin_hedge_drop(origin, fetch);
}

/* An error may be no other's answer: the second is waited for. */
static bool hedge_is_good(const struct origin_hedge *hedge)
{
	long status = hedge_status(hedge);

	return hedge->whole && !(hedge->ended && hedge->code != CURLE_OK) && status < 500 &&
	       status != 408 && status != 429;
}

bool origin_hedge_goes_on(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code)
{
	struct origin_hedge *hedge = fetch->hedge;

	if (!hedge || fetch->state != ORIGIN_SENT || (hedge->ended && !hedge_is_good(hedge)))
		return false;
	origin_health_tried(origin, fetch,
		code == CURLE_OK ? HF_FALLBACK_BY_RESET : hf_fallback_trigger_of_curl((int)code));
	if (hedge->whole)
		hedge_first_answers(origin, hedge);
	else
		hedge_back_to_first(origin, hedge);
	return true;
}

/* ---- in the step ---- */

static bool hedge_run_one(struct hf_origin *origin, struct origin_hedge *hedge)
{
	struct origin_fetch *fetch = hedge->fetch;

	if (fetch->state != ORIGIN_SENT && fetch->state != ORIGIN_RETRY)
		origin_hedge_drop(origin, fetch);
	else if (hedge_is_good(hedge))
		hedge_first_answers(origin, hedge);
	else if (hedge->whole || hedge->ended)
		hedge_first_failed(origin, hedge);
	else if (fetch->state == ORIGIN_RETRY) /* an error of the second */
		hedge_back_to_first(origin, hedge);
	else
		return false;
	return true;
}

bool origin_hedge_run(struct hf_origin *origin)
{
	struct hf_list *it, *after;
	bool busy = false;

	hf_list_for_each_safe (it, after, &origin->hedges)
		busy |= hedge_run_one(origin, HF_CONTAINER_OF(it, struct origin_hedge, link));
	return busy;
}

bool origin_hedge_is_first(const struct origin_fetch *fetch, const CURL *easy)
{
	return fetch->hedge && fetch->hedge->first.easy == easy;
}

bool origin_hedge_is_paused(const struct origin_fetch *fetch)
{
	return fetch->hedge->paused;
}

bool origin_hedge_ended(struct origin_fetch *fetch, const CURL *easy, CURLcode code)
{
	if (!origin_hedge_is_first(fetch, easy))
		return false;
	fetch->hedge->ended = true;
	fetch->hedge->code = code;
	return true;
}

/* ---- its begin ---- */

static bool hedge_may_begin(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	return fetch->state == ORIGIN_SENT && !fetch->hedge && fetch->leader &&
	       fetch->head_len == 0 && fetch->retries < ORIGIN_RETRIES_MAX &&
	       atomic_load_explicit(&fetch->leader->xchg->interim_len, memory_order_relaxed) == 0 &&
	       origin->now_us < fetch->deadline_us;
}

/* A slot at another origin, at once, and all that a second try takes. */
static bool hedge_send(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_peer *first)
{
	if (!origin_slot_try(origin, fetch) || fetch->peer == first ||
		!origin_retry_spend(&origin->retries, origin->now_us))
		return false;
	origin_fetch_asks(origin, fetch);
	fetch->sent_us = origin->now_us;
	return origin_curl_start(origin, fetch) == 0;
}

void origin_hedge_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_hedge *hedge =
		hedge_may_begin(origin, fetch) ? calloc(1, sizeof(*hedge)) : NULL;

	if (!hedge)
		return;
	hedge->fetch = fetch;
	hedge_swap(fetch, &hedge->first);
	fetch->tried[fetch->retries++] = hedge->first.peer;
	if (!hedge_send(origin, fetch, hedge->first.peer)) {
		hedge_stop(origin, fetch);
		hedge_swap(fetch, &hedge->first);
		fetch->retries--;
		free(hedge);
		return;
	}
	fetch->hedge = hedge;
	hf_list_add_tail(&origin->hedges, &hedge->link);
	hedge_set_callbacks(hedge);
	hf_stat_inc(HF_STAT_ORIGIN_REQUESTS);
}

void origin_hedge_arm(struct hf_origin *origin, struct origin_fetch *fetch)
{
	uint32_t after_ms = origin->conf->origin.hedge_after_ms;

	if (after_ms > 0 && fetch->method == HF_HTTP_GET && fetch->group->origin_count > 1 &&
		!fetch->leader->xchg->background && !fetch->leader->xchg->has_body)
		hf_timer_set(origin->wheel, &fetch->hedging, origin->now_us + after_ms * 1000ULL);
}
