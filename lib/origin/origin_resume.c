/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A body that breaks off is asked for from there on, and the parts are put together (RFC 9111 §3.4).
 *
 *      BODY --cut, or stalled--> RESUME --pause, slot--> asked --206 with the rest of the same--> BODY
 *                                   \<-- no answer, 5xx -----/  \--anything else--> readers are cut
 *
 * In the pause the fetch has no slot; then it takes one, or waits for it, at the origin that sent the beginning.
 * Only of what is to be stored, with a strong ETag and a length: a 206 is of the same representation, and
 * exactly what is missing, or it is nothing (RFC 9110 §13.1.5, §14.4, §15.3.7.3). Its readers notice a pause.
 * What is not whole in the end is not kept.
 */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

static uint64_t resume_filled(const struct origin_fetch *fetch)
{
	return atomic_load_explicit(&fetch->obj->filled, memory_order_relaxed);
}

static uint64_t resume_length(const struct origin_fetch *fetch)
{
	return atomic_load_explicit(&fetch->obj->length, memory_order_relaxed);
}

static bool resume_stored_fields(
	const struct origin_fetch *fetch, struct hf_http_fields *ret_fields)
{
	return hf_http_stored_parse(
		(struct hf_span){ fetch->obj->head, fetch->obj->head_len }, ret_fields);
}

/* By what was asked an answer is judged. */
static bool resume_knows_request(const struct origin_fetch *fetch)
{
	return fetch->leader || fetch->req_head;
}

static bool resume_is_possible(const struct origin_fetch *fetch)
{
	const struct hf_obj *obj = fetch->obj;
	struct hf_http_fields stored;

	if (!obj || obj->status != 200 || (obj->flags & HF_OBJ_STREAM) || fetch->fail_text ||
		fetch->resumes == ORIGIN_RESUMES_MAX || !resume_knows_request(fetch))
		return false;
	if (resume_length(fetch) == HF_OBJ_LENGTH_UNKNOWN ||
		resume_filled(fetch) == resume_length(fetch))
		return false;
	return resume_stored_fields(fetch, &stored) && hf_http_strong_etag(&stored).len > 0 &&
	       !hf_http_fields_list_has(&stored, HF_HTTP_FIELD_ACCEPT_RANGES, HF_SPAN("none"));
}

bool origin_resume_begin(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!resume_is_possible(fetch))
		return false;
	origin_curl_cut(origin, fetch);
	hf_list_del(&fetch->memory_link);
	fetch->state = ORIGIN_RESUME;
	fetch->taken = 0;
	fetch->head_len = fetch->head_kept;
	fetch->judged = false;
	origin_slot_give(origin, fetch);
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_RESUME,
		origin_retry_jitter_us(origin->resume_pause_us << fetch->resumes));
	fetch->resumes++;
	return true;
}

void origin_resume_due(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->state == ORIGIN_RESUME && fetch->cut);
	fetch->queued_us = origin->now_us;
	if (origin_slot_take(origin, fetch))
		origin_resume_ask(origin, fetch);
	else if (!origin_slot_wait(origin, fetch))
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_OVERLOAD, "no slot for its rest");
}

void origin_resume_ask(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_fields stored;

	HF_ASSERT(fetch->state == ORIGIN_RESUME && fetch->has_slot);
	HF_ASSERT(resume_stored_fields(fetch, &stored));
	origin_fetch_asks(origin, fetch);
	fetch->deadline_us = origin->now_us + origin->conf->origin.total_timeout_ms * 1000ULL;
	if (origin_request_rest(
		    origin, fetch, resume_filled(fetch), hf_http_strong_etag(&stored)) ||
		origin_curl_again(origin, fetch)) {
		origin_fetch_fail(origin, fetch, 503, HF_DROP_REQ_NO_MEMORY, "no memory");
		return;
	}
	hf_stat_inc(HF_STAT_ORIGIN_REQUESTS);
	hf_stat_inc(HF_STAT_ORIGIN_RESUMES);
}

/* ---- the answer ---- */

/* What says how the bytes are to be read must not be said in another way. */
static bool resume_reads_alike(
	const struct hf_http_fields *fields, const struct hf_http_fields *stored)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i], *own;

		if (line->id != HF_HTTP_FIELD_CONTENT_TYPE &&
			line->id != HF_HTTP_FIELD_CONTENT_ENCODING)
			continue;
		own = hf_http_fields_find(stored, line->id);
		if (!own || !hf_span_caseeq(own->value, line->value))
			return false;
	}
	return true;
}

/* NULL: it is the rest. */
static const char *resume_refusal(const struct origin_fetch *fetch, const struct hf_http_resp *resp)
{
	uint64_t filled = resume_filled(fetch), length = resume_length(fetch), complete;
	struct hf_http_fields stored;
	struct hf_http_range range;
	struct hf_span etag;

	HF_ASSERT(resume_stored_fields(fetch, &stored));
	etag = hf_http_strong_etag(&resp->fields);
	if (resp->status != 206)
		return "broke off, and no part of it comes";
	if (etag.len == 0 || !hf_span_eq(etag, hf_http_strong_etag(&stored)) ||
		!resume_reads_alike(&resp->fields, &stored))
		return "broke off, and a part of another one comes";
	if (!hf_http_content_range(&resp->fields, &range, &complete) || complete != length ||
		range.begin != filled || range.end != length)
		return "broke off, and another part comes";
	if (resp->chunked || !resp->has_content_length || resp->content_length != length - filled)
		return "broke off, and a part of another length comes";
	return NULL;
}

/* All that the parts' heads say, the later over the earlier. */
static bool resume_said(const struct origin_fetch *fetch, struct hf_http_resp *ret_resp)
{
	struct hf_http_resp next, sum;
	size_t at = 0;

	if (!resume_knows_request(fetch))
		return false;
	for (; at < fetch->head_kept; at += next.head_len) {
		if (hf_http_resp_parse(fetch->head + at, fetch->head_kept - at, &next) !=
			HF_PARSE_DONE)
			return false;
		if (at == 0)
			*ret_resp = next;
		else if (origin_reval_merge(&ret_resp->fields, next.status, &next, &sum))
			*ret_resp = sum;
		else
			return false;
	}
	return true;
}

/* May others read along still, by what the parts say? */
static bool resume_is_shared(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_fields stored;
	struct origin_answer answer;
	struct hf_http_resp said;

	if (!resume_stored_fields(fetch, &stored) || !resume_said(fetch, &said) ||
		!origin_reval_merge(&stored, fetch->obj->status, &said, &answer.resp))
		return false;
	origin_store_judge(origin, fetch, &answer.resp, &answer);
	return answer.share && !origin_purge_tagged(origin, fetch, &said.fields, fetch->obj);
}

bool origin_resume_head(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_resp resp;

	fetch->judged = true;
	if (hf_http_resp_parse(fetch->head + fetch->head_kept, fetch->head_len - fetch->head_kept,
		    &resp) != HF_PARSE_DONE) {
		fetch->fail_text = "malformed head";
		return false;
	}
	if (origin_store_is_failure(resp.status))
		return false; /* as good as none */
	fetch->fail_text = resume_refusal(fetch, &resp);
	if (fetch->fail_text)
		return false;
	fetch->judged = false;
	fetch->head_kept = fetch->head_len;
	fetch->state = ORIGIN_BODY;
	fetch->joinable = fetch->joinable && resume_is_shared(origin, fetch);
	return true;
}

/* RFC 9111 §3.4: the parts' heads update what is stored as that of a 304 does. */
void origin_resume_publish(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_answer answer;
	struct hf_obj *obj;

	HF_ASSERT(fetch->head_kept > 0);
	if (!resume_said(fetch, &answer.resp) ||
		origin_purge_tagged(origin, fetch, &answer.resp.fields, fetch->obj))
		return;
	obj = origin_reval_update(origin, fetch, fetch->obj, &answer);
	if (obj)
		hf_shard_obj_unref(origin->shard, obj);
}
