/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include "origin_answer.h"
#include "origin_priv.h"
#include "origin_wire.h"

static void origin_inbox_start(struct hf_origin *origin, struct hf_xchg *xchg)
{
	struct origin_reader *reader = origin_reader_new(origin, xchg);

	HF_ASSERT(xchg->key.len > 0);
	HF_ASSERT(!(xchg->shared && xchg->has_body));
	HF_ASSERT(!xchg->shared || xchg->method == HF_HTTP_GET);
	if (xchg->method == HF_HTTP_CONNECT)
		origin_tunnel_start(origin, reader);
	else
		origin_fetch_submit(origin, reader);
}

static void origin_inbox_credit(struct hf_origin *origin, struct origin_reader *reader)
{
	if (reader->fetch)
		origin_flow_credit(origin, reader->fetch);
	if (reader->tunnel)
		origin_tunnel_go_on(reader->tunnel);
}

static void origin_inbox_take(struct hf_origin *origin, uint32_t worker, const struct hf_msg *msg)
{
	struct hf_xchg *xchg = msg->ptr;
	struct hf_xchg_body *body = msg->ptr;

	HF_ASSERT(msg->ptr);
	switch ((enum hf_xchg_msg)msg->kind) {
	case HF_XCHG_START:
		origin_inbox_start(origin, xchg);
		break;
	case HF_XCHG_BODY:
		origin_body_push(origin, body->xchg->origin, body);
		break;
	case HF_XCHG_CREDIT:
		origin_inbox_credit(origin, xchg->origin);
		break;
	case HF_XCHG_FINISH:
		origin_reader_finish(origin, xchg->origin);
		break;
	case HF_XCHG_ASK:
		origin_auth_take(origin, xchg);
		break;
	case HF_XCHG_RECALLED:
		hf_shard_recalled(origin->shard, msg->ptr, worker);
		break;
	default:
		HF_ASSERT(!"a message that a worker does not send");
	}
}

bool origin_inbox_run(struct hf_origin *origin)
{
	struct hf_msg msgs[ORIGIN_INBOX_BATCH];
	bool busy = false;

	for (uint32_t worker = 0; worker < origin->workers; worker++) {
		uint32_t n =
			hf_ring_drain(origin->link[worker]->to_origin, msgs, ORIGIN_INBOX_BATCH);

		for (uint32_t i = 0; i < n; i++)
			origin_inbox_take(origin, worker, &msgs[i]);
		busy |= n > 0;
	}
	return busy;
}

bool origin_inbox_empty(const struct hf_origin *origin)
{
	for (uint32_t worker = 0; worker < origin->workers; worker++)
		if (!hf_ring_empty(origin->link[worker]->to_origin))
			return false;
	return true;
}

/* The shard gives no more than HF_CACHE_RECALLS_MAX before a worker answered: the ring has room. */
bool origin_inbox_recalls(struct hf_origin *origin)
{
	struct hf_obj *obj;
	uint32_t worker;
	bool busy = false;

	while (hf_shard_recall_next(origin->shard, &obj, &worker)) {
		HF_ASSERT(worker < origin->workers);
		hf_xchg_to_worker(origin->link[worker], HF_XCHG_RECALL, obj);
		busy = true;
	}
	return busy;
}
