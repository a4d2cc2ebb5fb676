/* SPDX-License-Identifier: BSD-3-Clause
 *
 * PART: 304, 206 and 416, of an object that is stored, being filled, or a stream. Ranges are read forward
 * where bytes go away behind their readers.
 */
#include "hf_serve.h"

#include <string.h>

#include "hf_wipe.h"

#include "serve_priv.h"

#define PART_BETWEEN_MAX 512 /* what stands between two ranges; Content-Type is most of it */
#define PART_SPACE_MIN   (2 * PART_BETWEEN_MAX)

/* Sixteen hex digits that nobody who makes a body can foresee. */
static void part_boundary(struct hf_serve *serve, struct serve_part *part)
{
	uint64_t hash = serve_random(serve);

	for (uint32_t i = 0; i < SERVE_BOUNDARY_LEN; i++, hash >>= 4)
		part->boundary[i] = "0123456789abcdef"[hash & 15];
}

static size_t part_between(const struct serve_part *part, uint32_t at, char *buf)
{
	struct hf_resp_between between = {
		.first = at == 0,
		.boundary = { part->boundary, sizeof(part->boundary) },
		.type = part->type,
		.range = part->range[at],
		.length = part->length,
	};

	return hf_resp_between_build(buf, PART_BETWEEN_MAX, &between);
}

static size_t part_end(const struct serve_part *part, char *buf)
{
	return hf_resp_multipart_end(
		buf, PART_BETWEEN_MAX, (struct hf_span){ part->boundary, sizeof(part->boundary) });
}

/* Bytes of the body; 0: a part's head would be too large. */
static uint64_t part_content_length(const struct serve_part *part)
{
	char buf[PART_BETWEEN_MAX];
	uint64_t total = part->multipart ? part_end(part, buf) : 0;

	for (uint32_t i = 0; i < part->count; i++) {
		size_t len = part->multipart ? part_between(part, i, buf) : 0;

		if (part->multipart && len == 0)
			return 0;
		total += len + part->range[i].end - part->range[i].begin;
	}
	return total;
}

/* Of what is not wholly there bytes may go away behind us at any time (O6). Clients have to take ranges in
 * another order than asked for (RFC 9110 §14.2). */
static void part_sort(struct serve_part *part)
{
	for (uint32_t i = 1; i < part->count; i++) {
		struct hf_http_range range = part->range[i];
		uint32_t at = i;

		for (; at > 0 && part->range[at - 1].begin > range.begin; at--)
			part->range[at] = part->range[at - 1];
		part->range[at] = range;
	}
}

static bool part_is_forward(const struct hf_obj *obj)
{
	return atomic_load_explicit(&obj->state, memory_order_acquire) != HF_OBJ_READY ||
	       (atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STREAM);
}

/* Which answer; false: the whole, as ever. */
static bool part_judge(
	struct hf_serve *serve, struct serve_req *req, int64_t now_s, struct hf_resp_cut *cut)
{
	struct serve_part *part = &req->part;
	uint64_t length = atomic_load_explicit(&req->obj->length, memory_order_relaxed);
	const struct hf_http_line *type;

	part->count = 0;
	if (hf_http_not_modified(&serve->http, &serve->stored, now_s)) {
		cut->part = HF_RESP_NOT_MODIFIED;
		return true;
	}
	if (length == HF_OBJ_LENGTH_UNKNOWN)
		return false;
	switch (hf_http_ranges_of(
		&serve->http, &serve->stored, length, now_s, part->range, &part->count)) {
	case HF_HTTP_RANGES_WHOLE:
		return false;
	case HF_HTTP_RANGES_NONE:
		cut->part = HF_RESP_NO_RANGE;
		cut->length = length;
		return true;
	case HF_HTTP_RANGES_SOME:
		break;
	}
	part->length = length;
	part->multipart = part->count > 1;
	cut->part = part->multipart ? HF_RESP_MULTIPART : HF_RESP_PARTIAL;
	cut->range = part->range[0];
	cut->length = length;
	if (!part->multipart)
		return true;
	part_boundary(serve, part);
	cut->boundary = (struct hf_span){ part->boundary, sizeof(part->boundary) };
	type = hf_http_fields_find(&serve->stored, HF_HTTP_FIELD_CONTENT_TYPE);
	part->type = type ? type->value : (struct hf_span){ 0 };
	if (part_is_forward(req->obj))
		part_sort(part);
	return true;
}

/* 0: does not fit. */
static size_t part_build(struct hf_serve *serve, struct serve_req *req, const char *cache_status,
	const struct hf_resp_cut *cut)
{
	struct hf_resp_head head = {
		.minor = req->minor,
		.keep_alive = req->keep_alive,
		.extra = req->xchg ? req->xchg->extra : (struct hf_span){ 0 },
		.age_s = serve_age_s(serve, req),
		.framing = req->framing,
		.content_length = part_content_length(&req->part),
		.cache_status = cache_status,
	};

	if (cut->part == HF_RESP_NO_RANGE) { /* made now, by us */
		head.age_s = -1;
		head.date = serve_date(serve);
	}
	if (req->part.count > 0 && head.content_length == 0)
		return 0;
	return hf_resp_cut_build(serve->part_head, sizeof(serve->part_head), &head, cut);
}

static void part_count(struct serve_req *req)
{
	switch (req->part.kind) {
	case HF_RESP_NOT_MODIFIED:
		hf_stat_inc(HF_STAT_CACHE_NOT_MODIFIED);
		serve_count_status(req, 304);
		return;
	case HF_RESP_PARTIAL:
	case HF_RESP_MULTIPART:
		hf_stat_inc(HF_STAT_CACHE_PARTIAL);
		serve_count_status(req, 206);
		return;
	case HF_RESP_NO_RANGE:
		hf_stat_inc(HF_STAT_CACHE_RANGE_REFUSED);
		serve_count_status(req, 416);
		return;
	}
}

bool serve_part_begin(struct hf_serve *serve, struct serve_req *req, const char *cache_status)
{
	const struct hf_obj *obj = req->obj;
	struct hf_resp_cut cut = { .stored = &serve->stored };
	size_t len;

	if (obj->status != 200 || (obj->flags & HF_OBJ_NO_BODY) ||
		!hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &serve->stored))
		return false;
	req->part.at = 0;
	req->part.begun = false;
	req->part.pushed = 0;
	req->part.multipart = false;
	if (!part_judge(serve, req, serve->date_s < 0 ? 0 : serve->date_s, &cut))
		return false;
	req->framing = cut.part == HF_RESP_NOT_MODIFIED ? HF_RESP_BODY_NONE : HF_RESP_BODY_LENGTH;
	len = part_build(serve, req, cache_status, &cut);
	if (len == 0)
		return false;
	serve->part_head_len = (uint32_t)len;
	req->part.kind = cut.part;
	return true;
}

bool serve_part_small(const struct serve_req *req)
{
	return part_content_length(&req->part) <= SERVE_TXBUF_CAP;
}

/* Through send buffers, as many as it takes. False: there is none. */
static bool part_copy(struct hf_serve *serve, struct serve_req *req, const char *data, size_t len)
{
	while (len > 0) {
		uint32_t n = (uint32_t)hf_min_size(len, SERVE_TXBUF_CAP);
		char *at = serve_txbuf_room(serve, req, n);

		if (!at)
			return false;
		memcpy(at, data, n);
		if (!serve_txbuf_send(serve, req, n))
			return false;
		data += n;
		len -= n;
	}
	return true;
}

enum serve_go serve_part_head(struct hf_serve *serve, struct serve_req *req)
{
	bool copied = part_copy(serve, req, serve->part_head, serve->part_head_len);

	HF_ASSERT(req->upload_done); /* what has a body is neither looked up nor shared */
	if (req->xchg)
		hf_wipe(serve->part_head, serve->part_head_len);
	if (!copied)
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	part_count(req);
	req->step = SERVE_PART;
	return SERVE_GO;
}

/* Moves the cursor forward to `to`, through bytes that are not sent. False: they are not all there yet; then
 * it is as far as can be. What it leaves behind may be freed any time after this turn, so it stands in a
 * chunk that it has passed a byte of (O6). */
static bool part_skip(struct serve_req *req, uint64_t to)
{
	struct hf_obj_cursor *cursor = &req->cursor;

	while (cursor->pos < to) {
		uint64_t filled = atomic_load_explicit(&req->obj->filled, memory_order_acquire);
		struct hf_span run;

		if (filled <= cursor->pos)
			return false;
		cursor->pos = hf_min_u64(filled, to) - 1;
		run = hf_obj_peek(req->obj, cursor, 1);
		HF_ASSERT(run.len == 1);
		hf_obj_advance(cursor, 1);
	}
	return true;
}

/* Only what is wholly there and stays is read backwards. */
static void part_rewind(struct serve_req *req, uint64_t to)
{
	if (req->cursor.pos <= to)
		return;
	HF_ASSERT(!part_is_forward(req->obj));
	req->cursor = (struct hf_obj_cursor){ 0 };
}

static bool part_begin_range(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_part *part = &req->part;
	char buf[PART_BETWEEN_MAX];
	size_t len;

	if (part->begun)
		return true;
	part->begun = true;
	part->pushed = req->pushed;
	part_rewind(req, part->range[part->at].begin);
	if (!part->multipart)
		return true;
	len = part_between(part, part->at, buf);
	HF_ASSERT(len > 0); /* it fitted when all were measured */
	serve_count_body(req, len);
	return part_copy(serve, req, buf, len);
}

static bool part_send(struct hf_serve *serve, struct serve_req *req, struct hf_span run)
{
	struct hf_ref *owner = serve_owner(req);
	bool sent = owner ? serve_send(serve, req, run.ptr, (uint32_t)run.len, owner,
				    /* zero_copy= */ req->lease != NULL)
			  : part_copy(serve, req, run.ptr, run.len);

	if (!sent)
		return false;
	serve_count_body(req, run.len);
	hf_obj_advance(&req->cursor, run.len);
	return true;
}

/* Is there room for what stands between ranges, and some bytes? Without an owner it is now or never. */
static bool part_space(struct hf_serve *serve, struct serve_req *req, size_t *ret_max)
{
	uint32_t space = hf_tcp_send_space(serve->tcp, req->conn->tcp);

	*ret_max = SIZE_MAX;
	if (!serve_owner(req))
		return true;
	if (space < PART_SPACE_MIN) {
		serve_want_space(req->conn);
		return false;
	}
	*ret_max = space - PART_BETWEEN_MAX;
	return true;
}

/* Queues what can be read of one range and what TCP takes; SERVE_GO: its last byte is queued. */
static enum serve_go part_pump(struct hf_serve *serve, struct serve_req *req)
{
	const struct hf_http_range *range = &req->part.range[req->part.at];
	struct hf_span run;
	size_t max;

	do {
		if (!part_space(serve, req, &max))
			return SERVE_STAY;
		if (!part_begin_range(serve, req))
			return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
		if (req->cursor.pos == range->end)
			return SERVE_GO;
		run = (struct hf_span){ NULL, 0 };
		if (part_skip(req, range->begin))
			run = hf_obj_peek(req->obj, &req->cursor,
				hf_min_size(max, range->end - req->cursor.pos));
		if (!part_send(serve, req, run))
			return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	} while (run.len > 0);
	if (hf_obj_at_end(req->obj, &req->cursor)) {
		HF_ASSERT(serve_obj_failed(req->obj)); /* READY: the range is within its length */
		return serve_cut(serve, req);
	}
	serve_want_space(req->conn); /* the origin's window is as far as the client's ACKs */
	return SERVE_STAY;           /* MORE will come */
}

static bool part_send_end(struct hf_serve *serve, struct serve_req *req)
{
	char buf[PART_BETWEEN_MAX];
	size_t len = req->part.multipart ? part_end(&req->part, buf) : 0;

	serve_count_body(req, len);
	return part_copy(serve, req, buf, len);
}

enum serve_go serve_part(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_part *part = &req->part;
	size_t max;

	if (req->xchg && hf_list_empty(&req->turn))
		hf_list_add_tail(&serve->turn, &req->turn);
	for (; part->at < part->count; part->at++, part->begun = false) {
		enum serve_go go = part_pump(serve, req);

		if (go != SERVE_GO)
			return go;
	}
	if (!part_space(serve, req, &max))
		return SERVE_STAY;
	if (!part_send_end(serve, req))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	req->step = SERVE_DONE;
	return SERVE_GO;
}

/* While all that is queued is of one range, and of what stands before it, it is taken for body bytes, and a
 * stretch skipped before it counts. Else earlier bytes are under way: nothing more is said. */
uint64_t serve_part_consumed(const struct serve_req *req, uint64_t queued, uint64_t known)
{
	HF_ASSERT_HOT(req->pushed >= req->part.pushed);
	if (queued > req->pushed - req->part.pushed)
		return known;
	return req->cursor.pos - hf_min_u64(queued, req->cursor.pos);
}
