/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a client is told whom its route does not allow. Nobody else may store it.
 */
#include "hf_serve.h"

#include <string.h>

#include "hf_wipe.h"

#include "serve_priv.h"

#define ANSWER_OWN_MAX 400 /* status line, Date, framing, Cache-Control, Connection */

HF_STATIC_ASSERT(HF_AUTH_LINES_MAX + HF_AUTH_BODY_MAX <= SERVE_TXBUF_CAP - 160,
	"a deny with all it may have fits into a send buffer");

struct answer {
	uint16_t status;
	struct hf_span lines, body;
};

static enum serve_go answer_send(
	struct hf_serve *serve, struct serve_req *req, const struct answer *answer)
{
	char stored[ANSWER_OWN_MAX + HF_AUTH_LINES_MAX];
	struct hf_resp_head head = { .minor = req->minor,
		.age_s = -1,
		.date = serve_date(serve),
		.framing = HF_RESP_BODY_LENGTH,
		.content_length = answer->body.len };
	char *at = serve_txbuf_room(serve, req, SERVE_TXBUF_CAP);
	size_t len = (size_t)snprintf(stored, sizeof(stored),
		"HTTP/1.1 %u %s\r\nCache-Control: no-store\r\n", (unsigned)answer->status,
		hf_resp_status_text(answer->status));

	if (!req->upload_done) /* V2 */
		req->keep_alive = false;
	head.keep_alive = req->keep_alive;
	memcpy(stored + len, answer->lines.ptr, answer->lines.len);
	head.stored = (struct hf_span){ stored, len + answer->lines.len };
	len = at ? hf_resp_head_build(at, SERVE_TXBUF_CAP, &head) : 0;
	if (len > 0 && req->method != HF_HTTP_HEAD) {
		HF_ASSERT(len + answer->body.len <= SERVE_TXBUF_CAP);
		memcpy(at + len, answer->body.ptr, answer->body.len);
		len += answer->body.len;
	}
	if (at)
		req->txbuf->own = true; /* it may say whom it was for */
	return serve_own_send(serve, req, at, len, answer->status);
}

enum serve_go serve_auth_missing(struct hf_serve *serve, struct serve_req *req)
{
	char lines[HF_AUTH_LINES_MAX];
	struct answer answer = { .status = 401, .body = HF_SPAN("401 Unauthorized\n") };
	int len = snprintf(lines, sizeof(lines),
		"Content-Type: text/plain; charset=utf-8\r\nWWW-Authenticate: %s\r\n",
		serve->flow->challenge);

	HF_ASSERT(len > 0 && (size_t)len < sizeof(lines)); /* lib/state bounds it */
	answer.lines = (struct hf_span){ lines, (size_t)len };
	(void)hf_drop(HF_DROP_REQ_AUTH_MISSING);
	return answer_send(serve, req, &answer);
}

enum serve_go serve_auth_denied(
	struct hf_serve *serve, struct serve_req *req, const struct hf_auth_decision *decision)
{
	struct answer answer = { decision->status, decision->lines, decision->body };

	HF_ASSERT(!decision->allow && decision->status >= 400);
	(void)hf_drop(HF_DROP_REQ_AUTH_DENIED);
	return answer_send(serve, req, &answer);
}
