/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Response heads: a stored block and what belongs to one response.
 */
#include "hf_resp.h"

#include "resp_priv.h"

static void head_put_framing(struct resp_buf *out, const struct hf_resp_head *head)
{
	switch (head->framing) {
	case HF_RESP_BODY_LENGTH:
		resp_put(out, HF_SPAN("Content-Length: "));
		resp_put_u64(out, head->content_length);
		resp_put(out, HF_SPAN("\r\n"));
		break;
	case HF_RESP_BODY_CHUNKED:
		resp_put(out, HF_SPAN("Transfer-Encoding: chunked\r\n"));
		break;
	case HF_RESP_BODY_NONE:
	case HF_RESP_BODY_CLOSE:
		break;
	}
}

/* Said only when it is not the version's default (RFC 9112 §9.3). */
static void head_put_connection(struct resp_buf *out, const struct hf_resp_head *head)
{
	bool alive = head->keep_alive && head->framing != HF_RESP_BODY_CLOSE;

	if (!alive && head->minor >= 1)
		resp_put(out, HF_SPAN("Connection: close\r\n"));
	else if (alive && head->minor == 0)
		resp_put(out, HF_SPAN("Connection: keep-alive\r\n"));
}

/* Of each hit: the buffer's place is in a copy that nobody else sees, so that it stays in registers. */
void resp_put_own(struct resp_buf *out, const struct hf_resp_head *head)
{
	struct resp_buf own = *out;

	HF_ASSERT(head->framing != HF_RESP_BODY_CHUNKED || head->minor >= 1);
	resp_put(&own, head->extra);
	if (head->date.len > 0) {
		resp_put(&own, HF_SPAN("Date: "));
		resp_put(&own, head->date);
		resp_put(&own, HF_SPAN("\r\n"));
	}
	if (head->age_s >= 0) {
		resp_put(&own, HF_SPAN("Age: "));
		resp_put_u64(&own, hf_min_u64((uint64_t)head->age_s, HF_HTTP_DELTA_MAX));
		resp_put(&own, HF_SPAN("\r\n"));
	}
	head_put_framing(&own, head);
	head_put_connection(&own, head);
	if (head->cache_status != NULL) {
		resp_put(&own, HF_SPAN("Cache-Status: holdfast; "));
		resp_put_text(&own, head->cache_status);
		resp_put(&own, HF_SPAN("\r\n"));
	}
	resp_put(&own, HF_SPAN("\r\n"));
	*out = own;
}

size_t hf_resp_head_build(char *buf, size_t cap, const struct hf_resp_head *head)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	resp_put(&out, head->stored);
	resp_put_own(&out, head);
	return resp_done(&out);
}

size_t hf_resp_chunk_begin(char *buf, uint64_t len)
{
	static const char digits[] = "0123456789abcdef";
	unsigned count = (unsigned)(67 - __builtin_clzll(len | 1)) / 4;

	HF_ASSERT(len > 0); /* a chunk of 0 would end the body */
	HF_ASSERT(count >= 1 && count <= 16);
	for (unsigned i = count; i > 0; i--, len >>= 4)
		buf[i - 1] = digits[len & 15];
	buf[count] = '\r';
	buf[count + 1] = '\n';
	return count + 2;
}
