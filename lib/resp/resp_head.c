/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Response heads: a stored block and what belongs to one response.
 */
#include "hf_resp.h"

#include "resp_priv.h"

#define HEAD_STATUS_MAX 96 /* of head->cache_status */

/* These look at no room: the caller has. Of a literal each is a few stores. */
static inline char *head_add(char *at, struct hf_span text)
{
	memcpy(at, text.ptr, text.len);
	return at + text.len;
}

static inline char *head_add_u64(char *at, uint64_t value)
{
	size_t count = resp_u64_len(value);

	resp_u64_write(at, count, value);
	return at + count;
}

static inline char *head_add_age(char *at, uint64_t age_s)
{
	at = head_add(at, HF_SPAN("Age: "));
	at = head_add_u64(at, hf_min_u64(age_s, HF_HTTP_DELTA_MAX));
	return head_add(at, HF_SPAN("\r\n"));
}

static inline char *head_add_length(char *at, uint64_t length)
{
	at = head_add(at, HF_SPAN("Content-Length: "));
	at = head_add_u64(at, length);
	return head_add(at, HF_SPAN("\r\n"));
}

static inline char *head_add_framing(char *at, const struct hf_resp_head *head)
{
	switch (head->framing) {
	case HF_RESP_BODY_LENGTH:
		return head_add_length(at, head->content_length);
	case HF_RESP_BODY_CHUNKED:
		return head_add(at, HF_SPAN("Transfer-Encoding: chunked\r\n"));
	case HF_RESP_BODY_NONE:
	case HF_RESP_BODY_CLOSE:
		break;
	}
	return at;
}

/* Said only when it is not the version's default (RFC 9112 §9.3). */
static inline char *head_add_connection(char *at, const struct hf_resp_head *head)
{
	bool alive = head->keep_alive && head->framing != HF_RESP_BODY_CLOSE;

	if (!alive && head->minor >= 1)
		return head_add(at, HF_SPAN("Connection: close\r\n"));
	if (alive && head->minor == 0)
		return head_add(at, HF_SPAN("Connection: keep-alive\r\n"));
	return at;
}

/* All of it but head->extra; HF_RESP_OWN_MAX bytes at most. */
static inline char *head_add_own(char *at, const struct hf_resp_head *head)
{
	if (head->date.len > 0) {
		HF_ASSERT(head->date.len == HF_HTTP_DATE_LEN);
		at = head_add(at, HF_SPAN("Date: "));
		at = head_add(at, (struct hf_span){ head->date.ptr, HF_HTTP_DATE_LEN });
		at = head_add(at, HF_SPAN("\r\n"));
	}
	if (head->age_s >= 0)
		at = head_add_age(at, (uint64_t)head->age_s);
	at = head_add_framing(at, head);
	at = head_add_connection(at, head);
	if (head->cache_status != NULL) {
		size_t len = strlen(head->cache_status);

		HF_ASSERT(len <= HEAD_STATUS_MAX);
		at = head_add(at, HF_SPAN("Cache-Status: holdfast; "));
		at = head_add(at, (struct hf_span){ head->cache_status, len });
		at = head_add(at, HF_SPAN("\r\n"));
	}
	return head_add(at, HF_SPAN("\r\n"));
}

void resp_put_own(struct resp_buf *out, const struct hf_resp_head *head)
{
	char own[HF_RESP_OWN_MAX];
	char *at = own;

	HF_ASSERT(head->framing != HF_RESP_BODY_CHUNKED || head->minor >= 1);
	resp_put(out, head->extra);
	if (hf_likely(out->cap - out->len >= HF_RESP_OWN_MAX)) { /* of each hit: in place */
		at = out->ptr + out->len;
		out->len += (size_t)(head_add_own(at, head) - at);
		return;
	}
	resp_put(out, (struct hf_span){ own, (size_t)(head_add_own(at, head) - at) });
}

size_t hf_resp_head_build(char *buf, size_t cap, const struct hf_resp_head *head)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	resp_put(&out, head->stored);
	resp_put_own(&out, head);
	return resp_done(&out);
}

size_t hf_resp_hit_build(
	char *buf, size_t cap, struct hf_span stored, uint32_t age_s, uint64_t content_length)
{
	char *at;

	if (cap < HF_RESP_OWN_MAX || stored.len > cap - HF_RESP_OWN_MAX)
		return 0;
	at = head_add(buf, stored);
	at = head_add_age(at, age_s);
	at = head_add_length(at, content_length);
	at = head_add(at, HF_SPAN("Cache-Status: holdfast; hit\r\n\r\n"));
	return (size_t)(at - buf);
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
