/* SPDX-License-Identifier: BSD-3-Clause
 *
 * READ: from unread bytes of a connection to a parsed request head.
 */
#include "hf_serve.h"

#include <stddef.h>
#include <string.h>

#include "hf_wipe.h"

#include "serve_priv.h"

#define READ_SPANS 64 /* of 2 KiB: more than the largest head */

/* A request takes its send buffer with it, so that an answer can always be written: the one before it left
 * room for that. */
struct serve_req *serve_req_new(struct hf_serve *serve, struct serve_conn *conn)
{
	struct serve_txbuf *txbuf = serve_txbuf_take(serve);
	struct serve_req *req = txbuf ? hf_pool_get(&serve->req_pool) : NULL;

	if (!req) {
		if (txbuf)
			hf_ref_put(&txbuf->ref);
		return NULL;
	}
	memset(req, 0, offsetof(struct serve_req, part)); /* nobody looks at that before PART */
	req->conn = conn;
	req->txbuf = txbuf;
	req->minor = 1;
	hf_list_init(&req->turn);
	hf_list_add_tail(&serve->reqs, &req->link);
	return req;
}

void serve_req_free(struct hf_serve *serve, struct serve_req *req)
{
	if (hf_unlikely(req->xchg != NULL))
		serve_xchg_drop(serve, req);
	if (hf_unlikely(req->ask != NULL))
		serve_auth_forget(req);
	if (hf_unlikely(req->log != NULL))
		serve_log_end(serve, req);
	if (req->lease)
		hf_ref_put(&req->lease->ref);
	if (req->txbuf)
		hf_ref_put(&req->txbuf->ref);
	hf_list_del(&req->turn);
	hf_list_del(&req->link);
	hf_pool_put(&serve->req_pool, req);
}

static void read_wipe(struct hf_serve *serve)
{
	if (serve->head_buf_used > 0)
		hf_wipe(serve->head_buf, serve->head_buf_used);
	serve->head_buf_used = 0;
}

void serve_head_done(struct hf_serve *serve, struct serve_req *req)
{
	if (req->head_len > 0)
		hf_tcp_consume(serve->tcp, req->conn->tcp, req->head_len);
	req->head_len = 0;
	read_wipe(serve);
	if (!req->obj) /* a key that was found is no secret */
		hf_wipe(serve->key_buf, serve->key.len);
}

void serve_head_leave(struct hf_serve *serve)
{
	read_wipe(serve);
	hf_wipe(serve->key_buf, serve->key.len);
}

HF_NOINLINE static struct hf_span read_copy(struct hf_serve *serve, struct serve_conn *conn)
{
	struct hf_span spans[READ_SPANS];
	uint32_t count = hf_tcp_peek(serve->tcp, conn->tcp, spans, READ_SPANS);
	size_t len = 0;

	for (uint32_t i = 0; i < count && len < serve->limits.head_max; i++) {
		size_t n = hf_min_size(spans[i].len, serve->limits.head_max - len);

		memcpy(serve->head_buf + len, spans[i].ptr, n);
		len += n;
	}
	serve->head_buf_used = len;
	return (struct hf_span){ serve->head_buf, len };
}

/* The unread bytes as one run: in place when they are one, else copied, head_max bytes at most. */
static struct hf_span read_contiguous(struct hf_serve *serve, struct serve_conn *conn)
{
	struct hf_span first;

	if (hf_tcp_peek(serve->tcp, conn->tcp, &first, 1) == 1 &&
		first.len == hf_tcp_unread(conn->tcp))
		return first;
	return read_copy(serve, conn);
}

/* Can what came since the head was found incomplete change that? Else one byte in each packet would have
 * all of it parsed again each time. A line may be its last, and what is twice as long may be too long. */
HF_NOINLINE static bool read_is_worth(const struct hf_serve *serve, const struct serve_req *req)
{
	const struct hf_tcp_conn *tcp = req->conn->tcp;
	struct hf_span spans[READ_SPANS];
	size_t seen = req->read_len;
	uint32_t count;

	if (hf_tcp_unread(tcp) >= 2 * seen || req->conn->fin)
		return true;
	count = hf_tcp_peek(serve->tcp, tcp, spans, READ_SPANS);
	for (uint32_t i = 0; i < count; i++) {
		size_t skip = hf_min_size(seen, spans[i].len);

		seen -= skip;
		if (memchr(spans[i].ptr + skip, '\n', spans[i].len - skip))
			return true;
	}
	return false;
}

/* Until the head is whole the connection may be shed as if it were idle. */
HF_NOINLINE static enum serve_go read_more(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_conn *conn = req->conn;

	if (conn->fin) /* it will never be whole */
		return serve_conn_close(serve, conn);
	hf_tcp_idle_set(serve->tcp, conn->tcp, true);
	if (conn->timer != SERVE_TIMER_HEAD && !serve_send_watched(conn))
		serve_timer_set(serve, conn, SERVE_TIMER_HEAD,
			serve->conf->http.header_timeout_ms * 1000ULL);
	return SERVE_STAY;
}

enum serve_go serve_read(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_http_fault fault;
	struct hf_span in;
	unsigned wanted;

	if (req->read_len > 0 && !read_is_worth(serve, req))
		return read_more(serve, req);
	in = read_contiguous(serve, req->conn);
	serve->memo.sender = req->conn;
	switch (hf_http_memo_parse(
		&serve->memo, in.ptr, in.len, &serve->limits, &serve->http, &fault)) {
	case HF_PARSE_MORE:
		read_wipe(serve);
		req->read_len = hf_tcp_unread(req->conn->tcp);
		return read_more(serve, req);
	case HF_PARSE_BAD:
		read_wipe(serve);
		serve_timer_stop(serve, req->conn);
		hf_stat_inc(HF_STAT_CLIENT_ERRORS_REQUEST);
		req->keep_alive = false;
		return serve_fail(req, fault.status, fault.reason);
	case HF_PARSE_DONE:
		break;
	}
	HF_ASSERT_HOT(serve->http.head_len <= in.len);
	hf_stat_inc(HF_STAT_HTTP_REQUESTS);
	if (!serve_send_watched(req->conn))
		serve_timer_stop(serve, req->conn);
	serve->head = (struct hf_span){ in.ptr, serve->http.head_len };
	req->head_len = (uint32_t)serve->http.head_len;
	req->method = serve->http.method;
	req->minor = serve->http.minor;
	req->keep_alive = serve->http.keep_alive && !serve->draining;
	req->upload = serve->http.body;
	req->upload_left = serve->http.content_length;
	req->upload_done = req->upload == HF_HTTP_BODY_NONE;
	req->expect_continue = serve->http.expect_continue;
	hf_http_chunked_init(&req->chunked);
	wanted = serve_log_wanted(serve);
	if (hf_unlikely(wanted != 0))
		serve_log_begin(serve, req, wanted);
	req->step = SERVE_LOOKUP;
	return SERVE_GO;
}

bool serve_read_again(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_span in = read_contiguous(serve, req->conn);
	struct hf_http_fault fault;

	/* limits may have changed since */
	if (hf_http_req_parse(in.ptr, in.len, &serve->limits, &serve->http, &fault) !=
		HF_PARSE_DONE)
		return false;
	HF_ASSERT(serve->http.head_len == req->head_len);
	serve->head = (struct hf_span){ in.ptr, serve->http.head_len };
	return true;
}
