/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Records for the request log: begun when a head was read, told when the request ends. Nothing of this is
 * called while nobody looks.
 */
#include "hf_serve.h"

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

void serve_log_begin(struct hf_serve *serve, struct serve_req *req)
{
	log_new(serve, req);
	hf_reqlog_record_request(req->log, &serve->http);
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

void serve_log_end(struct hf_serve *serve, struct serve_req *req)
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
