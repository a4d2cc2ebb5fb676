/* SPDX-License-Identifier: BSD-3-Clause
 *
 * CONNECT (RFC 9110 §9.3.6): a request whose body and whose answer's body are what goes through the tunnel. It is off
 * where tunnel.allow names nothing.
 */
#include "hf_serve.h"

#include <string.h>

#include "serve_priv.h"

#define TUNNEL_HEAD "HTTP/1.1 200 OK\r\n\r\n" /* neither a length nor a coding */

static bool tunnel_is_allowed(const struct hf_serve *serve, struct hf_span target)
{
	const struct hf_names *allow = &serve->conf->tunnel.allow;

	for (uint32_t i = 0; i < allow->count; i++) {
		const char *name = allow->name[i];

		if (hf_span_caseeq(target, (struct hf_span){ name, strlen(name) }))
			return true;
	}
	return false;
}

bool serve_tunnel_refuses(struct hf_serve *serve, struct serve_req *req, enum serve_go *ret_go)
{
	struct hf_http_req *http = &serve->http;

	/* what follows may be the tunnel's bytes already, no request */
	req->keep_alive = false;
	if (serve->conf->tunnel.allow.count == 0)
		*ret_go = serve_fail(req, 405, HF_DROP_REQ_METHOD_NOT_ALLOWED);
	else if (http->body != HF_HTTP_BODY_NONE)
		*ret_go = serve_fail(req, 400, HF_DROP_REQ_MALFORMED);
	else if (!tunnel_is_allowed(serve, http->target))
		*ret_go = serve_fail(req, 403, HF_DROP_REQ_TUNNEL);
	else {
		http->authority = http->target;
		http->path_query = HF_SPAN("/");
		http->body = HF_HTTP_BODY_LENGTH;
		http->content_length = UINT64_MAX;
		req->upload = http->body;
		req->upload_left = http->content_length;
		req->upload_done = false;
		req->expect_continue = false;
		return false;
	}
	return true;
}

/* The end of either connection is the end of the tunnel. */
enum serve_go serve_tunnel_head(struct hf_serve *serve, struct serve_req *req)
{
	req->framing = HF_RESP_BODY_CLOSE;
	serve_miss_count(req);
	serve_send_watch(serve, req->conn);
	serve_count_status(req, req->obj->status);
	if (!serve_send(serve, req, TUNNEL_HEAD, sizeof(TUNNEL_HEAD) - 1, NULL, false))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	req->step = SERVE_BODY;
	return SERVE_GO;
}
