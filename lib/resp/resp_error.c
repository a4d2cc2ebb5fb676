/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Answers of our own: a status line, a few fields, one line of text.
 */
#include "hf_resp.h"

#include <string.h>

#include "resp_priv.h"

const char *hf_resp_status_text(uint16_t status)
{
	switch (status) {
#define X(code, text)                                                                              \
	case code:                                                                                 \
		return text;
#include "tbl/status.h"
#undef X
	default:
		return "Unknown";
	}
}

/* 404 Not Found */
static void error_put_status(struct resp_buf *out, uint16_t status)
{
	resp_put_u64(out, status);
	resp_put(out, HF_SPAN(" "));
	resp_put_text(out, hf_resp_status_text(status));
}

static void error_put_retry_after(struct resp_buf *out, const struct hf_resp_error *error)
{
	uint32_t s = error->retry_after_s;

	if (s == 0 && error->status == 503)
		s = 1;
	if (s == 0)
		return;
	resp_put(out, HF_SPAN("Retry-After: "));
	resp_put_u64(out, s);
	resp_put(out, HF_SPAN("\r\n"));
}

/* The status line and what only this kind of response has. */
static void error_put_stored(struct resp_buf *out, const struct hf_resp_error *error, bool has_body)
{
	resp_put(out, HF_SPAN("HTTP/1.1 "));
	error_put_status(out, error->status);
	resp_put(out, HF_SPAN("\r\n"));
	if (has_body)
		resp_put(out, HF_SPAN("Content-Type: text/plain; charset=utf-8\r\n"));
	resp_put(out, HF_SPAN("Cache-Control: no-store\r\n"));
	if (error->allow.len > 0)
		resp_put_line(out, HF_SPAN("Allow"), error->allow);
	else if (error->status == 405)
		resp_put(out, HF_SPAN("Allow: GET, HEAD, OPTIONS\r\n"));
	error_put_retry_after(out, error);
}

size_t hf_resp_error_build(char *buf, size_t cap, const struct hf_resp_error *error)
{
	char text[64], stored[HF_RESP_ERROR_MAX];
	struct resp_buf body = { .ptr = text, .cap = sizeof(text) };
	struct resp_buf block = { .ptr = stored, .cap = sizeof(stored) };
	bool has_body = error->status != 204 && error->status != 304;
	struct hf_resp_head head = {
		.minor = error->minor,
		.keep_alive = error->keep_alive,
		.age_s = -1,
		.date = error->date,
		.framing = has_body ? HF_RESP_BODY_LENGTH : HF_RESP_BODY_NONE,
		.cache_status = error->cache_status,
	};
	size_t len;

	HF_ASSERT(error->status >= 200 && error->status <= 599);
	HF_ASSERT(error->date.len == 0 || error->date.len == HF_HTTP_DATE_LEN);
	error_put_status(&body, error->status);
	resp_put(&body, HF_SPAN("\n"));
	error_put_stored(&block, error, has_body);
	head.content_length = resp_done(&body);
	head.stored = (struct hf_span){ stored, resp_done(&block) };
	if (head.stored.len == 0)
		return 0;
	len = hf_resp_head_build(buf, cap, &head);
	if (len == 0 || !has_body || error->head_request)
		return len;
	if (body.len > cap - len)
		return 0;
	memcpy(buf + len, text, body.len);
	return len + body.len;
}
