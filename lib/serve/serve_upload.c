/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The request's body: unread bytes of the connection into buffers for the origin thread. What finds no
 * buffer stays unread, and TCP's window closes: a slow origin slows the client, memory stays flat.
 */
#include "hf_serve.h"

#include <string.h>

#include "serve_priv.h"

/* One run of unread bytes into the buffer. */
static enum serve_upload upload_run(
	struct hf_serve *serve, struct serve_req *req, struct hf_xchg_body *body, struct hf_span in)
{
	size_t room = sizeof(body->data) - body->len;
	struct hf_span data = { .ptr = in.ptr };
	size_t consumed;

	in.len = hf_min_size(in.len, room);
	if (req->upload == HF_HTTP_BODY_LENGTH) {
		data.len = (size_t)hf_min_u64(in.len, req->upload_left);
		consumed = data.len;
		req->upload_left -= data.len;
		req->upload_done = req->upload_left == 0;
	} else {
		switch (hf_http_chunked_next(&req->chunked, in.ptr, in.len, &consumed, &data)) {
		case HF_HTTP_CHUNK_BAD:
			return SERVE_UPLOAD_BAD;
		case HF_HTTP_CHUNK_END:
			req->upload_done = true;
			data.len = 0;
			break;
		case HF_HTTP_CHUNK_MORE:
			data.len = 0;
			break;
		case HF_HTTP_CHUNK_DATA:
			break;
		}
	}
	memcpy(body->data + body->len, data.ptr, data.len);
	body->len += (uint32_t)data.len;
	req->upload_len += consumed;
	hf_tcp_consume(serve->tcp, req->conn->tcp, (uint32_t)consumed);
	return req->upload_done ? SERVE_UPLOAD_DONE : SERVE_UPLOAD_MORE;
}

/* Until the buffer is full, the body at its end, or nothing unread. */
static enum serve_upload upload_fill(
	struct hf_serve *serve, struct serve_req *req, struct hf_xchg_body *body)
{
	struct hf_span in;

	while (body->len < sizeof(body->data) &&
		hf_tcp_peek(serve->tcp, req->conn->tcp, &in, 1) == 1) {
		enum serve_upload got = upload_run(serve, req, body, in);

		if (got != SERVE_UPLOAD_MORE)
			return got;
	}
	return SERVE_UPLOAD_MORE;
}

static bool upload_stops(const struct serve_req *req)
{
	return !req->upload_done && req->conn->fin && hf_tcp_unread(req->conn->tcp) == 0;
}

/* Of a tunnel that is its regular end. */
static bool upload_ends(const struct serve_req *req)
{
	return req->method == HF_HTTP_CONNECT && upload_stops(req);
}

bool serve_upload_cut(const struct serve_req *req)
{
	return req->method != HF_HTTP_CONNECT && upload_stops(req);
}

enum serve_upload serve_upload(struct hf_serve *serve, struct serve_req *req)
{
	HF_ASSERT_HOT(req->xchg != NULL);
	while (!req->upload_done && (hf_tcp_unread(req->conn->tcp) > 0 || upload_ends(req))) {
		struct hf_xchg_body *body = hf_xchg_body_get(serve->xchgs, req->xchg);
		enum serve_upload got;

		if (!body) {
			if (req->xchg->bodies_out < HF_XCHG_BODIES_MAX)
				serve_again(serve, req->conn); /* the pool is empty */
			return SERVE_UPLOAD_MORE;
		}
		got = upload_fill(serve, req, body);
		req->upload_done |= upload_ends(req);
		body->last = req->upload_done;
		if (got == SERVE_UPLOAD_BAD || (body->len == 0 && !body->last)) {
			hf_xchg_body_put(serve->xchgs, body);
			if (got == SERVE_UPLOAD_BAD)
				return got;
			continue;
		}
		hf_xchg_to_origin(req->xchg->to, HF_XCHG_BODY, body);
	}
	return req->upload_done ? SERVE_UPLOAD_DONE : SERVE_UPLOAD_MORE;
}
