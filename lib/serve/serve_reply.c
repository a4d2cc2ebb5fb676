/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What origin threads say, and what is told to them at the end of a turn.
 */
#include "hf_serve.h"

#include "serve_priv.h"

/* The answer's head, or that there is none: only a request in WAIT listens. */
static void reply_answer(struct hf_serve *serve, struct hf_xchg *xchg, bool failed)
{
	struct serve_req *req = xchg->owner;

	if (!req)
		return;
	HF_ASSERT(req->step == SERVE_WAIT);
	HF_ASSERT(req->xchg == xchg);
	hf_hist_add(HF_HIST_MISS, (serve->now_us - xchg->started_us) * 1000);
	req->answered = true;
	if (hf_unlikely(req->log != NULL))
		serve_log_answer(serve, req);
	if (failed)
		(void)serve_fail(req, xchg->fail_status, xchg->fail_reason);
	else
		req->step = SERVE_HEAD;
	serve_run(serve, req->conn);
}

static void reply_run_owner(struct hf_serve *serve, struct hf_xchg *xchg)
{
	struct serve_req *req = xchg->owner;

	if (req)
		serve_run(serve, req->conn);
}

/* More bytes; or its client holds up others who read the same. */
static void reply_more(struct hf_serve *serve, struct hf_xchg *xchg)
{
	struct serve_req *req = xchg->owner;

	atomic_store(&xchg->more_posted, false); /* before `filled` is read (X1) */
	if (req && atomic_load(&xchg->laggard))
		(void)serve_conn_abort(serve, req->conn, HF_DROP_CONN_SEND_SLOW);
	else
		reply_run_owner(serve, xchg);
}

static void reply_recall(struct hf_serve *serve, struct hf_obj *obj)
{
	if (hf_reader_recall(serve->reader, obj))
		hf_xchg_to_origin(hf_xchg_link(serve->xchgs, serve->worker, obj->shard),
			HF_XCHG_RECALLED, obj);
}

static void reply_message(struct hf_serve *serve, const struct hf_msg *msg)
{
	struct hf_xchg_body *body;
	struct hf_xchg *xchg;

	switch ((enum hf_xchg_msg)msg->kind) {
	case HF_XCHG_HEAD:
		reply_answer(serve, msg->ptr, /* failed= */ false);
		return;
	case HF_XCHG_FAIL:
		reply_answer(serve, msg->ptr, /* failed= */ true);
		return;
	case HF_XCHG_MORE:
		reply_more(serve, msg->ptr);
		return;
	case HF_XCHG_BODY_DONE:
		body = msg->ptr;
		xchg = body->xchg;
		hf_xchg_body_put(serve->xchgs, body);
		reply_run_owner(serve, xchg);
		return;
	case HF_XCHG_GONE:
		xchg = msg->ptr;
		if (xchg->ask.flow)
			serve_auth_told(serve, xchg);
		else
			hf_xchg_put(serve->xchgs, xchg);
		return;
	case HF_XCHG_RECALL:
		reply_recall(serve, msg->ptr);
		return;
	default:
		HF_ASSERT(!"a message to a worker");
	}
}

uint32_t hf_serve_replies(struct hf_serve *serve, uint64_t now_us)
{
	struct hf_msg msgs[SERVE_REPLIES_TURN];
	uint32_t total = 0;

	serve->now_us = now_us;
	for (uint32_t i = 0; i < serve->origins; i++) {
		struct hf_link *link = hf_xchg_link(serve->xchgs, serve->worker, i);
		uint32_t count = hf_ring_drain(link->to_worker, msgs, SERVE_REPLIES_TURN);

		for (uint32_t j = 0; j < count; j++)
			reply_message(serve, &msgs[j]);
		total += count;
	}
	return total;
}

/* Body bytes that the client acknowledged: the origin thread may free them. Told only when the packets
 * of this turn are built, for they may carry these bytes once more. */
void serve_progress(struct hf_serve *serve)
{
	struct hf_list *it, *after;

	hf_list_for_each_safe (it, after, &serve->turn) {
		struct serve_req *req = HF_CONTAINER_OF(it, struct serve_req, turn);
		struct hf_xchg *xchg = req->xchg;
		uint64_t queued = hf_tcp_queued(req->conn->tcp);

		hf_list_del(it);
		HF_ASSERT_HOT(xchg != NULL);
		atomic_store(&xchg->consumed,
			req->step == SERVE_PART
				? serve_part_consumed(req, queued, xchg->consumed)
				: req->cursor.pos - hf_min_u64(queued, req->cursor.pos));
		if (atomic_exchange(&xchg->credit_wanted, false))
			hf_xchg_to_origin(xchg->to, HF_XCHG_CREDIT, xchg);
	}
}

void hf_serve_turn_end(struct hf_serve *serve)
{
	struct hf_obj *obj;

	serve_progress(serve);
	while ((obj = hf_reader_released(serve->reader)) != NULL)
		hf_xchg_to_origin(hf_xchg_link(serve->xchgs, serve->worker, obj->shard),
			HF_XCHG_RECALLED, obj);
}
