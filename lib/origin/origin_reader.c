/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_priv.h"
#include "origin_wire.h"

struct origin_reader *origin_reader_new(struct hf_origin *origin, struct hf_xchg *xchg)
{
	struct origin_reader *reader = hf_pool_get(&origin->readers);

	HF_ASSERT(reader); /* as many as exchanges */
	HF_ASSERT(xchg->worker < origin->workers);
	memset(reader, 0, sizeof(*reader));
	hf_list_init(&reader->link);
	hf_list_add_tail(&origin->reading, &reader->all_link);
	reader->xchg = xchg;
	reader->body_unwanted = !xchg->has_body;
	xchg->origin = reader;
	return reader;
}

void origin_reader_fini_all(struct hf_origin *origin)
{
	struct hf_list *it;

	while ((it = hf_list_first(&origin->reading)) != NULL) {
		hf_list_del(it);
		hf_wipe_free(HF_CONTAINER_OF(it, struct origin_reader, all_link)->extra);
	}
}

static struct hf_link *origin_reader_link(
	const struct hf_origin *origin, const struct origin_reader *reader)
{
	return origin->link[reader->xchg->worker];
}

void origin_reader_asked(struct origin_reader *reader, const struct origin_fetch *fetch)
{
	if (!fetch || !fetch->target)
		return;
	(void)snprintf(reader->xchg->asked, sizeof(reader->xchg->asked), "%s/%s",
		fetch->group->name, fetch->target->id);
	reader->xchg->led = fetch->leader == reader;
}

void origin_reader_attach(struct hf_origin *origin, struct origin_reader *reader,
	struct hf_obj *obj, bool stored, bool collapsed)
{
	struct hf_xchg *xchg = reader->xchg;

	HF_ASSERT(!reader->answered);
	HF_ASSERT(!xchg->obj);
	if (xchg->background) {
		if (reader->fetch && reader->fetch->leader == reader)
			(void)origin_fetch_keep_request(reader->fetch, xchg);
		origin_reader_drop(origin, reader);
		return;
	}
	hf_shard_obj_ref(origin->shard, obj);
	origin_reader_asked(reader, reader->fetch);
	reader->answered = true;
	xchg->obj = obj;
	xchg->stored = stored;
	xchg->collapsed = collapsed;
	hf_xchg_to_worker(origin_reader_link(origin, reader), HF_XCHG_HEAD, xchg);
}

void origin_reader_fail(struct hf_origin *origin, struct origin_reader *reader, uint16_t status,
	enum hf_drop reason)
{
	struct hf_xchg *xchg = reader->xchg;

	HF_ASSERT(!reader->answered);
	HF_ASSERT(status >= 400 && reason != HF_DROP_NONE);
	if (xchg->background) {
		origin_reader_drop(origin, reader);
		return;
	}
	reader->answered = true;
	xchg->fail_status = status;
	xchg->fail_reason = reason;
	origin_body_discard(origin, reader);
	hf_xchg_to_worker(origin_reader_link(origin, reader), HF_XCHG_FAIL, xchg);
}

static void origin_reader_post_more(struct hf_origin *origin, struct origin_reader *reader)
{
	/* the worker clears it before it reads `filled`: a message skipped here is not missed there */
	if (!atomic_exchange(&reader->xchg->more_posted, true))
		hf_xchg_to_worker(origin_reader_link(origin, reader), HF_XCHG_MORE, reader->xchg);
}

void origin_reader_more(struct hf_origin *origin, struct origin_reader *reader)
{
	HF_ASSERT(reader->answered && reader->xchg->obj);
	origin_reader_post_more(origin, reader);
}

void origin_reader_interim(
	struct hf_origin *origin, struct origin_reader *reader, const struct hf_http_resp *resp)
{
	const struct hf_resp_store store = { .scrub = false };
	struct hf_xchg *xchg = reader->xchg;
	uint32_t before = atomic_load_explicit(&xchg->interim_len, memory_order_relaxed);
	char *at = hf_xchg_interim(xchg) + before;
	size_t room = (size_t)(xchg->buf + xchg->buf_len - at);
	size_t len;

	HF_ASSERT(!reader->answered && !xchg->background);
	len = hf_resp_store_head(at, room, resp, &store);
	if (len == 0 || room - len < 2)
		return; /* of so many, or so large ones, the rest is left out */
	memcpy(at + len, "\r\n", 2);
	atomic_store_explicit(&xchg->interim_len, before + (uint32_t)len + 2, memory_order_release);
	origin_reader_post_more(origin, reader);
}

/* Everything but the fetch is let go. */
static void origin_reader_end(struct hf_origin *origin, struct origin_reader *reader)
{
	struct hf_xchg *xchg = reader->xchg;
	struct hf_link *link = origin_reader_link(origin, reader);
	struct hf_obj *obj = xchg->obj;

	HF_ASSERT(!reader->fetch && hf_list_empty(&reader->link));
	xchg->obj = NULL;
	xchg->origin = NULL;
	xchg->extra = (struct hf_span){ NULL, 0 };
	if (obj)
		hf_shard_obj_unref(origin->shard, obj);
	hf_wipe_free(reader->extra);
	hf_list_del(&reader->all_link);
	hf_pool_put(&origin->readers, reader);
	hf_xchg_to_worker(link, HF_XCHG_GONE, xchg);
}

void origin_reader_drop(struct hf_origin *origin, struct origin_reader *reader)
{
	HF_ASSERT(reader->xchg->background && !reader->answered);
	if (!reader->fetch)
		origin_stale_refresh_none(origin, reader);
	else if (reader->fetch->leader == reader)
		reader->fetch->leader = NULL;
	hf_list_del(&reader->link);
	reader->fetch = NULL;
	origin_reader_end(origin, reader);
}

void origin_reader_finish(struct hf_origin *origin, struct origin_reader *reader)
{
	HF_ASSERT(reader->xchg->origin == reader && !reader->xchg->background);
	origin_body_discard(origin, reader);
	if (reader->fetch)
		origin_fetch_leave(origin, reader->fetch, reader);
	if (reader->tunnel)
		origin_tunnel_leave(reader->tunnel);
	origin_reader_end(origin, reader);
}

bool origin_reader_parse_head(struct hf_span head, struct hf_http_req *ret_req)
{
	struct hf_http_fault fault;

	return hf_http_req_parse(head.ptr, head.len, &hf_http_no_limits, ret_req, &fault) ==
	       HF_PARSE_DONE;
}

bool origin_reader_parse(const struct origin_reader *reader, struct hf_http_req *ret_req,
	struct hf_cache_req *ret_cache_req)
{
	if (!origin_reader_parse_head(reader->xchg->head, ret_req))
		return false;
	hf_cache_req_init(ret_req, ret_cache_req);
	return true;
}
