/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HEAD, BODY, ERROR, DONE: bytes to the client.
 */
#include "hf_serve.h"

#include <string.h>

#include "hf_wipe.h"

#include "serve_priv.h"

static void txbuf_release(struct hf_ref *ref)
{
	struct serve_txbuf *txbuf = HF_CONTAINER_OF(ref, struct serve_txbuf, ref);

	if (txbuf->own)
		hf_wipe(txbuf->data, SERVE_TXBUF_CAP);
	hf_pool_put(&txbuf->serve->txbuf_pool, txbuf);
}

struct serve_txbuf *serve_txbuf_new(struct hf_serve *serve)
{
	struct serve_txbuf *txbuf = hf_pool_get(&serve->txbuf_pool);

	if (!txbuf)
		return NULL;
	hf_ref_init(&txbuf->ref, txbuf_release);
	txbuf->serve = serve;
	txbuf->used = 0;
	txbuf->own = false;
	return txbuf;
}

struct serve_txbuf *serve_txbuf_take(struct hf_serve *serve)
{
	struct serve_txbuf *txbuf = serve->txbuf_left ? serve->txbuf_left : serve_txbuf_new(serve);

	serve->txbuf_left = NULL;
	return txbuf;
}

void serve_txbuf_leave(struct hf_serve *serve, struct serve_txbuf *txbuf)
{
	HF_ASSERT_HOT(!serve->txbuf_left);
	if (txbuf->used + HF_RESP_ERROR_MAX <= SERVE_TXBUF_CAP)
		serve->txbuf_left = txbuf;
	else
		hf_ref_put(&txbuf->ref);
}

bool serve_ref_is_txbuf(const struct hf_ref *ref)
{
	return ref->release == txbuf_release;
}

bool serve_send(struct hf_serve *serve, struct serve_req *req, const void *data, uint32_t len,
	struct hf_ref *ref, bool zero_copy)
{
	if (len == 0)
		return true;
	if (hf_tcp_send(serve->tcp, req->conn->tcp, data, len, ref, zero_copy) != 0)
		return false;
	req->pushed += len;
	return true;
}

char *serve_txbuf_next(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_txbuf *fresh = serve_txbuf_new(serve);

	if (!fresh)
		return NULL;
	hf_ref_put(&req->txbuf->ref); /* queued spans keep the old one */
	req->txbuf = fresh;
	return fresh->data;
}

bool serve_txbuf_send(struct hf_serve *serve, struct serve_req *req, uint32_t len)
{
	struct serve_txbuf *txbuf = req->txbuf;
	const char *at = txbuf->data + txbuf->used;

	HF_ASSERT_HOT(txbuf->used + len <= SERVE_TXBUF_CAP);
	txbuf->used += len;
	txbuf->own |= req->xchg != NULL;
	return serve_send(serve, req, at, len, &txbuf->ref, /* zero_copy= */ false);
}

struct hf_span serve_date(const struct hf_serve *serve)
{
	return (struct hf_span){ serve->date, sizeof(serve->date) };
}

void serve_count_body(struct serve_req *req, size_t len)
{
	req->body_sent += len;
	hf_stat_add(HF_STAT_HTTP_BODY_BYTES, len);
}

void serve_count_status(struct serve_req *req, uint16_t status)
{
	static const enum hf_stat by_class[] = { [2] = HF_STAT_HTTP_2XX,
		[3] = HF_STAT_HTTP_3XX,
		[4] = HF_STAT_HTTP_4XX,
		[5] = HF_STAT_HTTP_5XX };

	req->status = status;
	if (status >= 200 && status < 600)
		hf_stat_inc(by_class[status / 100]);
}

struct hf_ref *serve_owner(struct serve_req *req)
{
	return req->lease ? &req->lease->ref : req->xchg ? &req->xchg->ref : NULL;
}

static bool send_small_body(
	struct hf_serve *serve, struct serve_req *req, char *at, size_t head_len)
{
	struct hf_obj *obj = req->obj;
	size_t len = head_len;

	HF_ASSERT_HOT(req->txbuf->used + head_len + obj->length <= SERVE_TXBUF_CAP);
	while (req->method != HF_HTTP_HEAD && req->cursor.pos < obj->length) {
		struct hf_span body = hf_obj_peek(obj, &req->cursor, SIZE_MAX);

		HF_ASSERT_HOT(body.len > 0);
		memcpy(at + len, body.ptr, body.len);
		len += body.len;
		hf_obj_advance(&req->cursor, body.len);
	}
	serve_count_body(req, len - head_len);
	return serve_txbuf_send(serve, req, (uint32_t)len);
}

/* A stored head that is too large for a send buffer goes by reference, what is ours behind it. */
static bool send_large_head(
	struct hf_serve *serve, struct serve_req *req, struct hf_resp_head *head)
{
	struct hf_ref *owner = serve_owner(req);
	char *at = serve_txbuf_room(serve, req, 512);
	size_t len;

	if (!at || !owner)
		return false;
	if (!serve_send(serve, req, head->stored.ptr, (uint32_t)head->stored.len, owner, false) ||
		!serve_send(serve, req, head->extra.ptr, (uint32_t)head->extra.len, owner, false))
		return false;
	head->stored.len = 0;
	head->extra.len = 0;
	len = hf_resp_head_build(at, 512, head);
	HF_ASSERT(len > 0);
	return serve_txbuf_send(serve, req, (uint32_t)len);
}

/* -1, which is not told, for what was made or validated a moment ago for this request (RFC 9111 §5.1). */
int64_t serve_age_s(const struct hf_serve *serve, const struct serve_req *req)
{
	const struct hf_xchg *xchg = req->xchg;
	uint32_t age_s = hf_obj_age_s(req->obj, serve->now_us);
	bool reused = !xchg || xchg->local || xchg->stale;

	return reused || age_s > 0 ? (int64_t)age_s : -1;
}

/* The head of req->obj, and its whole body when no owner keeps it (a small hit). False: no buffer. */
bool serve_send_head(struct hf_serve *serve, struct serve_req *req, const char *cache_status)
{
	struct hf_obj *obj = req->obj;
	struct hf_resp_head head = {
		.minor = req->minor,
		.keep_alive = req->keep_alive,
		.stored = { obj->head, obj->head_len },
		.extra = req->xchg ? req->xchg->extra : (struct hf_span){ 0 },
		.age_s = serve_age_s(serve, req),
		.framing = req->framing,
		.content_length = obj->length,
		.cache_status = cache_status,
	};
	char *at = req->txbuf->data + req->txbuf->used;
	size_t len = hf_resp_head_build(at, SERVE_TXBUF_CAP - req->txbuf->used, &head);

	serve_count_status(req, obj->status);
	if (len == 0)
		return send_large_head(serve, req, &head);
	if (!serve_owner(req))
		return send_small_body(serve, req, at, len);
	return serve_txbuf_send(serve, req, (uint32_t)len);
}

/* Does nothing of a head depend on this request, and is there a body to go with it? */
static bool hit_is_plain(const struct serve_req *req)
{
	return req->method == HF_HTTP_GET && req->minor > 0 && req->keep_alive &&
	       req->framing == HF_RESP_BODY_LENGTH && !req->lease;
}

bool serve_send_hit(struct hf_serve *serve, struct serve_req *req)
{
	const struct hf_obj *obj = req->obj;
	struct hf_span body = hit_is_plain(req) ? hf_obj_body(obj) : (struct hf_span){ 0 };
	uint32_t len;

	if (body.len == 0)
		return serve_send_head(serve, req, "hit");
	len = serve_txbuf_hit(serve, req->txbuf, obj, body);
	serve_count_status(req, obj->status);
	serve_count_body(req, body.len);
	return serve_txbuf_send(serve, req, len);
}

bool serve_obj_failed(const struct hf_obj *obj)
{
	return atomic_load_explicit(&obj->state, memory_order_acquire) == HF_OBJ_FAILED;
}

/* What stands for a failed origin. It was forwarded if there was an answer (RFC 9211 §2.1, §2.3). */
static const char *head_stale_status(const struct hf_xchg *xchg)
{
	switch (xchg->fwd_status) {
	case 500:
		return "fwd=stale; fwd-status=500; detail=stale-if-error";
	case 502:
		return "fwd=stale; fwd-status=502; detail=stale-if-error";
	case 503:
		return "fwd=stale; fwd-status=503; detail=stale-if-error";
	case 504:
		return "fwd=stale; fwd-status=504; detail=stale-if-error";
	default:
		return "hit; detail=stale-if-error";
	}
}

/* RFC 9211 §2: why it was forwarded, and what became of the answer. */
static const char *head_cache_status(const struct hf_xchg *xchg)
{
	static const struct head_status {
		const char *passed, *stored, *collapsed;
	} by_cause[] = {
		[HF_XCHG_MISS_ABSENT] = { "fwd=miss", "fwd=miss; stored", "fwd=miss; collapsed" },
		[HF_XCHG_MISS_EXPIRED] = { "fwd=stale", "fwd=stale; stored",
			"fwd=stale; collapsed" },
		[HF_XCHG_MISS_REFUSED] = { "fwd=request", "fwd=request; stored",
			"fwd=request; collapsed" },
		[HF_XCHG_MISS_VARY] = { "fwd=vary-miss", "fwd=vary-miss; stored",
			"fwd=vary-miss; collapsed" },
		[HF_XCHG_BYPASS_METHOD] = { "fwd=method", "fwd=method; stored",
			"fwd=method; collapsed" },
		[HF_XCHG_BYPASS_REQUEST] = { "fwd=request", "fwd=request; stored",
			"fwd=request; collapsed" },
	}, revalidated[] = {
		{ "fwd=stale; fwd-status=304", "fwd=stale; fwd-status=304; stored",
			"fwd=stale; fwd-status=304; collapsed" },
		{ "fwd=request; fwd-status=304", "fwd=request; fwd-status=304; stored",
			"fwd=request; fwd-status=304; collapsed" },
	};
	const struct head_status *status = &by_cause[xchg->cause];

	if (xchg->stale)
		return head_stale_status(xchg);
	if (xchg->local)
		return "hit";
	if (xchg->fwd_status == 304)
		status = &revalidated[xchg->cause == HF_XCHG_MISS_REFUSED];
	if (xchg->collapsed)
		return status->collapsed;
	return xchg->stored ? status->stored : status->passed;
}

/* How the client learns where the body ends (RFC 9112 §6.3). */
static enum hf_resp_framing head_framing(const struct serve_req *req, const struct hf_obj *obj)
{
	if (obj->status == 204 || obj->status == 304)
		return HF_RESP_BODY_NONE;
	if (obj->length != HF_OBJ_LENGTH_UNKNOWN)
		return HF_RESP_BODY_LENGTH;
	if (req->method == HF_HTTP_HEAD)
		return HF_RESP_BODY_NONE;
	return req->minor > 0 ? HF_RESP_BODY_CHUNKED : HF_RESP_BODY_CLOSE;
}

/* The request once more, from the exchange's copy: does it want less than the whole? */
static bool head_part(struct hf_serve *serve, struct serve_req *req)
{
	const struct hf_span *head = &req->xchg->head;
	struct hf_http_fault fault;
	/* limits may have changed since */
	enum hf_parse verdict =
		hf_http_req_parse(head->ptr, head->len, &hf_http_no_limits, &serve->http, &fault);

	HF_ASSERT(verdict == HF_PARSE_DONE); /* it was parsed before */
	return serve_part_begin(serve, req, head_cache_status(req->xchg));
}

enum serve_go serve_head(struct hf_serve *serve, struct serve_req *req)
{
	bool part = false;

	/* Known before our head went out: then it can be said. */
	if (serve_obj_failed(req->xchg->obj))
		return serve_fail(req, 502, HF_DROP_REQ_ORIGIN_FAILED);
	req->obj = req->xchg->obj;
	req->cause = req->xchg->cause;
	if (hf_unlikely(req->log != NULL))
		serve_log_obj(serve, req);
	if (req->method == HF_HTTP_CONNECT)
		return serve_tunnel_head(serve, req);
	/* A shared fetch left these fields out, and what is stored answers for an origin that failed: else
	 * the origin has answered them. */
	if (req->asks_part && (req->xchg->shared || req->xchg->stale))
		part = head_part(serve, req);
	if (!part)
		req->framing = head_framing(req, req->obj);
	if (req->framing == HF_RESP_BODY_CLOSE)
		req->keep_alive = false;
	serve_miss_count(req);
	serve_send_watch(serve, req->conn);
	if (part)
		return serve_part_head(serve, req);
	if (!serve_send_head(serve, req, head_cache_status(req->xchg)))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	req->step = SERVE_BODY;
	return SERVE_GO;
}

/* One run of body bytes, framed as the response needs it. */
static bool body_send(struct hf_serve *serve, struct serve_req *req, struct hf_span run)
{
	bool chunked = req->framing == HF_RESP_BODY_CHUNKED;
	struct hf_ref *owner = serve_owner(req);
	bool zero_copy = req->lease != NULL;
	char *at;

	if (chunked) {
		at = serve_txbuf_room(serve, req, HF_RESP_CHUNK_MAX);
		if (!at ||
			!serve_txbuf_send(serve, req, (uint32_t)hf_resp_chunk_begin(at, run.len)))
			return false;
	}
	if (!serve_send(serve, req, run.ptr, (uint32_t)run.len, owner, zero_copy))
		return false;
	serve_count_body(req, run.len);
	hf_obj_advance(&req->cursor, run.len);
	return !chunked || serve_send(serve, req, HF_RESP_CHUNK_END, 2, NULL, false);
}

/* Where the framing shows it, the client gets what there is; where the end of the connection is the end
 * of the body, only a reset tells (RFC 9112 §8). */
enum serve_go serve_cut(struct hf_serve *serve, struct serve_req *req)
{
	if (req->framing == HF_RESP_BODY_CLOSE)
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	(void)hf_drop(HF_DROP_REQ_CUT);
	return serve_conn_close(serve, req->conn);
}

/* Queues what can be read and what TCP takes; SERVE_GO when the last byte is queued. */
static enum serve_go body_pump(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_obj *obj = req->obj;

	for (;;) {
		uint32_t space = hf_tcp_send_space(serve->tcp, req->conn->tcp);
		struct hf_span run;

		if (space < 2 * HF_RESP_CHUNK_MAX + 64) {
			serve_want_space(req->conn);
			return SERVE_STAY;
		}
		run = hf_obj_peek(obj, &req->cursor, space - 2 * HF_RESP_CHUNK_MAX);
		if (run.len == 0)
			break;
		if (!body_send(serve, req, run))
			return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	}
	if (!hf_obj_at_end(obj, &req->cursor)) {
		serve_want_space(
			req->conn); /* the origin's window is as far as the client's ACKs */
		return SERVE_STAY;  /* MORE will come */
	}
	if (serve_obj_failed(obj))
		return serve_cut(serve, req);
	if (req->framing == HF_RESP_BODY_CHUNKED &&
		!serve_send(serve, req, HF_RESP_CHUNKS_FINAL, sizeof(HF_RESP_CHUNKS_FINAL) - 1,
			NULL, false))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	return SERVE_GO;
}

enum serve_go serve_body(struct hf_serve *serve, struct serve_req *req)
{
	bool bodiless = req->method == HF_HTTP_HEAD || req->framing == HF_RESP_BODY_NONE ||
			(req->obj->flags & HF_OBJ_NO_BODY);

	if (!req->upload_done && req->xchg) {
		if (serve_upload(serve, req) == SERVE_UPLOAD_BAD)
			return serve_conn_abort(serve, req->conn, HF_DROP_REQ_BODY_BAD);
		if (serve_upload_cut(req))
			return serve_conn_close(serve, req->conn);
	}
	if (req->xchg && hf_list_empty(&req->turn))
		hf_list_add_tail(&serve->turn, &req->turn);
	if (!bodiless) {
		enum serve_go go = body_pump(serve, req);

		if (go != SERVE_GO)
			return go;
	}
	req->step = SERVE_DONE;
	return SERVE_GO;
}

enum serve_go serve_own_send(
	struct hf_serve *serve, struct serve_req *req, char *at, size_t len, uint16_t status)
{
	if (len == 0 || !serve_txbuf_send(serve, req, (uint32_t)len))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	serve_count_status(req, status);
	if (hf_unlikely(serve_log_wanted(serve) & HF_REQLOG_WANT_ALL))
		serve_log_error(serve, req, (struct hf_span){ at, len });
	serve_head_done(serve, req);
	req->step = SERVE_DONE;
	return SERVE_GO;
}

enum serve_go serve_error(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_resp_error error = {
		.status = req->error_status,
		.head_request = req->method == HF_HTTP_HEAD,
		.minor = req->minor,
		.date = serve_date(serve),
		.allow = HF_SPAN("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"),
	};
	char *at = serve_txbuf_room(serve, req, HF_RESP_ERROR_MAX);
	size_t len;

	serve_xchg_drop(serve, req);
	if (!req->upload_done) /* V2: its body is not read */
		req->keep_alive = false;
	error.keep_alive = req->keep_alive;
	if (error.status != 405 && error.status != 204)
		error.allow = (struct hf_span){ 0 };
	len = at ? hf_resp_error_build(at, HF_RESP_ERROR_MAX, &error) : 0;
	return serve_own_send(serve, req, at, len, error.status);
}

enum serve_go serve_done(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_conn *conn = req->conn;
	bool keep_alive = req->keep_alive && req->upload_done && !serve->draining;

	if (keep_alive) {
		serve_txbuf_leave(serve, req->txbuf);
		req->txbuf = NULL;
	}
	serve_req_free(serve, req);
	conn->req = NULL;
	return keep_alive ? SERVE_GO : serve_conn_close(serve, conn);
}
