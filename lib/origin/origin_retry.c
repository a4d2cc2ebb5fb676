/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Further tries of a fetch whose origin failed it.
 *
 *      SENT --408, 429, 500, 502-504, or no head--> RETRY --pause--> QUEUED -> SENT, at another origin if there is one
 *                                                     |  who may have a stale one has it at once, and the rest wait
 *                                                     \- they leave: ends
 *
 * Only what may be repeated (RFC 9110 §9.2.2), and while nothing of an answer went to a client. An error with a
 * lifetime of its own is no failure but an answer. In the pause the fetch has no slot. How many there are is bounded
 * thrice: for one fetch by origin.retries and origin.total_timeout, for all by a bucket that fills with the traffic.
 * The first one after a refused connection, at another origin, is free.
 */
#include "hf_origin.h"

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

#define RETRY_TOKEN        100     /* of the bucket, for one retry: a fetch brings retry_budget */
#define RETRY_EACH_US      1000000 /* time brings one, too, as long as there are few */
#define RETRY_FEW          (10 * RETRY_TOKEN)
#define RETRY_MANY         (100 * RETRY_TOKEN)
#define RETRY_AFTER_MAX_US 1000000

static const struct {
	uint16_t status;
	enum hf_stat why;
} retry_statuses[] = {
	{ 408, HF_STAT_ORIGIN_RETRY_408 },
	{ 429, HF_STAT_ORIGIN_RETRY_429 },
	{ 500, HF_STAT_ORIGIN_RETRY_500 },
	{ 502, HF_STAT_ORIGIN_RETRY_502 },
	{ 503, HF_STAT_ORIGIN_RETRY_503 },
	{ 504, HF_STAT_ORIGIN_RETRY_504 },
};

static const struct {
	CURLcode code;
	enum hf_stat why;
} retry_codes[] = {
	{ CURLE_OPERATION_TIMEDOUT, HF_STAT_ORIGIN_RETRY_TIMEOUT },
	{ CURLE_COULDNT_CONNECT, HF_STAT_ORIGIN_RETRY_REFUSED },
	{ CURLE_SEND_ERROR, HF_STAT_ORIGIN_RETRY_RESET },
	{ CURLE_RECV_ERROR, HF_STAT_ORIGIN_RETRY_RESET },
	{ CURLE_GOT_NOTHING, HF_STAT_ORIGIN_RETRY_EOF },
	{ CURLE_OK, HF_STAT_ORIGIN_RETRY_EOF }, /* a part of a head */
	{ CURLE_COULDNT_RESOLVE_HOST, HF_STAT_ORIGIN_RETRY_TRANSPORT },
	{ CURLE_SSL_CONNECT_ERROR, HF_STAT_ORIGIN_RETRY_TRANSPORT },
	{ CURLE_PEER_FAILED_VERIFICATION, HF_STAT_ORIGIN_RETRY_TRANSPORT },
};

/* ---- the budget ---- */

void origin_retry_init(struct origin_retries *retries, uint64_t now_us)
{
	retries->tokens = RETRY_FEW;
	retries->filled_us = now_us;
}

void origin_retry_earn(struct origin_retries *retries, uint32_t percent)
{
	retries->tokens = hf_min_u32(retries->tokens + percent, RETRY_MANY);
}

bool origin_retry_spend(struct origin_retries *retries, uint64_t now_us)
{
	uint64_t due = (now_us - retries->filled_us) / RETRY_EACH_US;

	retries->filled_us += due * RETRY_EACH_US;
	if (retries->tokens < RETRY_FEW)
		retries->tokens +=
			(uint32_t)hf_min_u64(due * RETRY_TOKEN, RETRY_FEW - retries->tokens);
	if (retries->tokens < RETRY_TOKEN)
		return false;
	retries->tokens -= RETRY_TOKEN;
	return true;
}

/* ---- may it be asked again? ---- */

uint64_t origin_retry_jitter_us(uint64_t pause_us)
{
	uint64_t random;

	hf_random_fill(&random, sizeof(random));
	return pause_us - random % (pause_us / 2 + 1);
}

static uint64_t retry_pause_us(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	return origin_retry_jitter_us(origin->retry_pause_us << fetch->retries);
}

/* A refresh asks once (G10), so it needs somebody who waits. NULL: nobody does. */
static struct origin_reader *retry_heir(const struct origin_fetch *fetch)
{
	struct hf_list *it;

	if (fetch->leader && !fetch->leader->xchg->background)
		return fetch->leader;
	hf_list_for_each (it, &fetch->readers) {
		struct origin_reader *reader = HF_CONTAINER_OF(it, struct origin_reader, link);

		if (!reader->xchg->background)
			return reader;
	}
	return NULL;
}

static bool retry_is_possible(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint64_t pause_us)
{
	const struct origin_reader *heir = retry_heir(fetch);

	return fetch->state == ORIGIN_SENT && heir &&
	       fetch->retries < origin->conf->origin.retries && !fetch->fail_text &&
	       origin_request_is_repeatable(heir->xchg) &&
	       atomic_load_explicit(&heir->xchg->interim_len, memory_order_relaxed) == 0 &&
	       origin->now_us + pause_us < fetch->deadline_us;
}

uint64_t origin_retry_left_us(
	const struct hf_origin *origin, const struct origin_fetch *fetch, uint32_t normal_ms)
{
	uint64_t left_us = fetch->deadline_us - hf_min_u64(origin->now_us, fetch->deadline_us);

	return hf_min_u64(normal_ms * 1000ULL, left_us);
}

/* ---- the pause ---- */

/* The next try is for whoever waits. */
static void retry_lead(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_reader *heir = retry_heir(fetch);

	HF_ASSERT(heir);
	if (fetch->leader && fetch->leader != heir)
		origin_reader_drop(origin, fetch->leader);
	fetch->leader = heir;
	hf_wipe_free(fetch->req_head);
	fetch->req_head = NULL;
	fetch->req_head_len = 0;
}

static void retry_begin(
	struct hf_origin *origin, struct origin_fetch *fetch, enum hf_stat why, uint64_t pause_us)
{
	retry_lead(origin, fetch);
	fetch->tried[fetch->retries++] = fetch->peer;
	fetch->state = ORIGIN_RETRY;
	hf_timer_del(origin->wheel, &fetch->patience);
	origin_slot_give(origin, fetch);
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_RETRY, pause_us);
	hf_stat_inc(why);
}

void origin_retry_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->state == ORIGIN_RETRY && fetch->leader);
	origin_curl_stop(origin, fetch); /* an answer that is of no use may be coming still */
	fetch->head_len = 0;
	fetch->taken = 0;
	fetch->recv_paused = false;
	fetch->refused = false;
	fetch->local_port = 0;
	fetch->stood_us = 0;
	origin_reval_forget(origin, fetch);
	origin_fetch_enqueue(origin, fetch);
}

/* ---- a head ---- */

static bool retry_why_status(uint16_t status, enum hf_stat *ret_why)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(retry_statuses); i++)
		if (retry_statuses[i].status == status) {
			*ret_why = retry_statuses[i].why;
			return true;
		}
	return false;
}

/* It says how long it holds (RFC 9111 §5.2.2, §5.3, RFC 9213), or which it is (RFC 9110 §8.8). */
static bool retry_is_meant(const struct hf_http_fields *fields)
{
	struct hf_http_cc cc;

	if (!hf_http_cc_from_cdn(fields, &cc))
		hf_http_cc_from_fields(fields, &cc);
	return cc.has_max_age || cc.has_s_maxage ||
	       hf_http_fields_have(fields, HF_HTTP_FIELD_EXPIRES) ||
	       hf_http_fields_have(fields, HF_HTTP_FIELD_ETAG) ||
	       hf_http_fields_have(fields, HF_HTTP_FIELD_LAST_MODIFIED);
}

/* RFC 9110 §10.2.3: seconds or a date. 0: none, or neither of the two. */
static uint64_t retry_after_us(const struct hf_http_fields *fields)
{
	const struct hf_http_line *line = hf_http_fields_find(fields, HF_HTTP_FIELD_RETRY_AFTER);
	int64_t now_s = hf_clock_unix_s(), date_s;
	uint32_t after_s;

	if (!line)
		return 0;
	if (hf_http_parse_delta(line->value, &after_s) == 0)
		return after_s * 1000000ULL;
	if (hf_http_date_parse(line->value, now_s, &date_s) == 0 && date_s > now_s)
		return (uint64_t)(date_s - now_s) * 1000000;
	return 0;
}

bool origin_retry_head(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_resp *resp)
{
	uint64_t after_us, pause_us;
	enum hf_stat why;

	if (!retry_why_status(resp->status, &why) || retry_is_meant(&resp->fields))
		return false;
	after_us = retry_after_us(&resp->fields);
	pause_us = hf_max_u64(after_us, retry_pause_us(origin, fetch));
	if (after_us > RETRY_AFTER_MAX_US || !retry_is_possible(origin, fetch, pause_us) ||
		!origin_retry_spend(&origin->retries, origin->now_us))
		return false;
	if (origin_store_is_failure(resp->status))
		origin_health_tried(origin, fetch, HF_FALLBACK_BY_5XX);
	retry_begin(origin, fetch, why, pause_us);
	return true;
}

/* ---- no head ---- */

static bool retry_why_code(CURLcode code, enum hf_stat *ret_why)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(retry_codes); i++)
		if (retry_codes[i].code == code) {
			*ret_why = retry_codes[i].why;
			return true;
		}
	return false;
}

/* There is one that does well and was not asked yet. */
static bool retry_has_another(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->group->origin_count; i++)
		if (&fetch->group->origin[i] != fetch->target &&
			origin_target_usable(origin, fetch, i, ORIGIN_CHOICE_UNTRIED))
			return true;
	return false;
}

/* Who refuses has no work by that, so what goes to another then is not of the budget: an origin that restarts
 * has nothing under way, and looks as if it were the least loaded. */
static bool retry_may_spend(
	struct hf_origin *origin, const struct origin_fetch *fetch, enum hf_stat why)
{
	if (why == HF_STAT_ORIGIN_RETRY_REFUSED && fetch->retries == 0 &&
		retry_has_another(origin, fetch))
		return true;
	return origin_retry_spend(&origin->retries, origin->now_us);
}

bool origin_retry_failed(struct hf_origin *origin, struct origin_fetch *fetch, CURLcode code)
{
	uint64_t pause_us = retry_pause_us(origin, fetch);
	enum hf_stat why;

	if (!retry_why_code(code, &why) || !retry_is_possible(origin, fetch, pause_us))
		return false;
	(void)origin_stale_serve_all(origin, fetch, HF_STAT_CACHE_STALE_FAILED, 0);
	if (!retry_heir(fetch) || !retry_may_spend(origin, fetch, why))
		return false;
	origin_health_tried(origin, fetch,
		code == CURLE_OK ? HF_FALLBACK_BY_RESET : hf_fallback_trigger_of_curl((int)code));
	retry_begin(origin, fetch, why, pause_us);
	origin_curl_stop(origin, fetch);
	return true;
}
