/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Records for the request log and for traces: begun when a head was read, told when the request ends. Nothing of
 * this is called while nobody looks, and of a request that is not sampled while only traces are wanted.
 */
#include "hf_serve.h"

#include <math.h>
#include <string.h>

#include "serve_priv.h"

static void log_new(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_tcp_info info;

	req->log = hf_pool_get(&serve->log_pool);
	HF_ASSERT(req->log); /* as many as requests */
	hf_tcp_info(serve->tcp, req->conn->tcp, &info);
	hf_reqlog_record_init(req->log, &info.peer, info.peer_port, serve->now_us);
}

/* An id that is not zero (W3C Trace Context, section 3.2.2). */
static void log_random(struct hf_serve *serve, uint8_t ret_id[HF_HTTP_TRACE_SPAN_LEN])
{
	uint64_t id = serve_random(serve) | 1;

	HF_STATIC_ASSERT(sizeof(id) == HF_HTTP_TRACE_SPAN_LEN, "as many bytes");
	memcpy(ret_id, &id, sizeof(id));
}

/* How many are not sampled before one is, when each is with that chance: geometrically distributed (by inversion). */
static uint64_t log_gap(struct hf_serve *serve, uint32_t sample)
{
	double drawn = (double)((serve_random(serve) >> 11) + 1) * 0x1p-53; /* (0, 1] */

	if (sample == 0)
		return UINT64_MAX;
	return (uint64_t)(log(drawn) / log1p(-(double)sample / SERVE_SAMPLE_OF));
}

uint64_t serve_log_gap(struct hf_serve *serve)
{
	uint32_t sample = serve->conf->trace.sample;

	if (hf_unlikely(serve->gap_sample != sample)) {
		serve->gap_sample = sample;
		serve->gap = log_gap(serve, sample);
	}
	return serve->gap;
}

/* Is the request sampled: by its caller, or, without a trace that counts, by chance? */
static bool log_sampled(struct hf_serve *serve, struct hf_reqlog_trace *ret_trace)
{
	if (serve->conf->trace.sample == 0 &&
		!hf_http_fields_have(&serve->http.fields, HF_HTTP_FIELD_TRACEPARENT))
		return false; /* most requests, at little cost */
	memset(ret_trace, 0, sizeof(*ret_trace));
	ret_trace->has_parent = hf_http_trace_of(&serve->http.fields, &ret_trace->parent);
	if (ret_trace->has_parent)
		return ret_trace->parent.flags & HF_HTTP_TRACE_SAMPLED;
	if (serve_log_gap(serve) > 0) {
		serve->gap--;
		return false;
	}
	serve->gap = log_gap(serve, serve->gap_sample);
	ret_trace->parent.flags = HF_HTTP_TRACE_SAMPLED;
	log_random(serve, ret_trace->parent.id);
	log_random(serve, ret_trace->parent.id + HF_HTTP_TRACE_SPAN_LEN);
	return true;
}

void serve_log_begin(struct hf_serve *serve, struct serve_req *req, unsigned wanted)
{
	struct hf_reqlog_trace trace;
	bool traced = (wanted & HF_REQLOG_WANT_TRACED) && log_sampled(serve, &trace);

	if (!traced && !(wanted & HF_REQLOG_WANT_ALL))
		return;
	log_new(serve, req);
	hf_reqlog_record_request(req->log, &serve->http);
	req->log->traced = traced;
	if (!traced)
		return;
	req->log->trace = trace;
	log_random(serve, req->log->trace.span);
	log_random(serve, req->log->trace.fetch);
}

bool serve_log_trace(const struct serve_req *req, struct hf_http_trace *ret_trace)
{
	const struct hf_reqlog_trace *trace = &req->log->trace;

	if (!req->log->traced)
		return false;
	*ret_trace = trace->parent;
	memcpy(ret_trace->span, trace->fetch, sizeof(ret_trace->span));
	return true;
}

void serve_log_obj(const struct hf_serve *serve, struct serve_req *req)
{
	struct hf_reqlog_trace *trace = &req->log->trace;
	const struct hf_obj *obj = req->obj;
	int64_t age_ms = ((int64_t)serve->now_us - obj->born_us) / 1000;
	uint32_t judged_s = hf_obj_life_age_s(obj, serve->now_us);

	if (req->xchg && !req->xchg->stored && !req->xchg->local)
		return;
	trace->has_ttl = true;
	/* a second's parts count, unless it was made stale before its time */
	if (judged_s * 1000LL > age_ms)
		age_ms = judged_s * 1000LL;
	trace->ttl_ms = (int64_t)obj->life.lifetime_s * 1000 - age_ms;
}

void serve_log_answer(const struct hf_serve *serve, struct serve_req *req)
{
	const struct hf_xchg *xchg = req->xchg;
	struct hf_reqlog_trace *trace = &req->log->trace;

	trace->fetched = xchg->led;
	trace->fetch_us = (uint32_t)hf_min_u64(serve->now_us - req->log->begun_us, UINT32_MAX);
}

void serve_log_error(struct hf_serve *serve, struct serve_req *req, struct hf_span answer)
{
	const char *end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);

	if (!req->log)
		log_new(serve, req);
	HF_ASSERT(end);
	req->log->bytes = answer.len - (size_t)(end + 4 - answer.ptr);
}

void serve_log_miss(struct serve_req *req)
{
	static const enum hf_reqlog_cache by_cause[] = {
		[HF_XCHG_MISS_ABSENT] = HF_REQLOG_ABSENT,
		[HF_XCHG_MISS_EXPIRED] = HF_REQLOG_EXPIRED,
		[HF_XCHG_MISS_REFUSED] = HF_REQLOG_BYPASS,
		[HF_XCHG_MISS_VARY] = HF_REQLOG_VARY,
		[HF_XCHG_BYPASS_METHOD] = HF_REQLOG_BYPASS,
		[HF_XCHG_BYPASS_REQUEST] = HF_REQLOG_BYPASS,
	};
	const struct hf_xchg *xchg = req->xchg;
	enum hf_reqlog_cache class = by_cause[req->cause];

	if (req->answered) {
		class = by_cause[xchg->cause];
		if (xchg->stale)
			class = HF_REQLOG_STALE;
		else if (xchg->local)
			class = HF_REQLOG_HIT;
		else if (xchg->shared && xchg->cause <= HF_XCHG_MISS_VARY && xchg->obj &&
			 !xchg->stored)
			class = HF_REQLOG_UNCACHEABLE;
		memcpy(req->log->origin, xchg->asked, sizeof(req->log->origin));
	}
	req->log->cache = (uint8_t) class;
}

HF_NOINLINE void serve_log_end(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_reqlog_record *record = req->log;

	/* an object that is still there was no exchange's */
	if (req->obj && req->error_status == 0)
		record->cache = req->stale ? HF_REQLOG_STALE : HF_REQLOG_HIT;
	record->status = req->status;
	record->bytes += req->body_sent;
	record->complete = req->step == SERVE_DONE;
	/* the turn itself counts */
	record->duration_us = hf_max_u64(hf_clock_us(), record->begun_us) - record->begun_us;
	hf_reqlog_put(serve->reqlog, record);
	hf_reqlog_record_wipe(record);
	hf_pool_put(&serve->log_pool, record);
	req->log = NULL;
}
