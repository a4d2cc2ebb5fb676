/* SPDX-License-Identifier: BSD-3-Clause
 *
 * resp, inside: a bounded buffer that remembers when something did not fit.
 */
#ifndef HF_PRIV_RESP
#error "resp_priv.h is private to lib/resp"
#endif
#ifndef HF_RESP_PRIV_H
#define HF_RESP_PRIV_H

#include <string.h>

#include "hf_resp.h"

struct resp_buf {
	char *ptr;
	size_t cap, len;
	bool full;
};

/* Nothing fits behind what did not. */
static inline void resp_overflow(struct resp_buf *out)
{
	out->full = true;
	out->cap = out->len;
}

extern const char resp_digits[100][2]; /* "00" to "99" */

/* Inline: of a literal it is a few stores. */
static inline void resp_put(struct resp_buf *out, struct hf_span text)
{
	HF_ASSERT_HOT(out->len <= out->cap);
	if (hf_unlikely(text.len > out->cap - out->len)) {
		resp_overflow(out);
		return;
	}
	if (text.len > 0)
		memcpy(out->ptr + out->len, text.ptr, text.len);
	out->len += text.len;
}

static inline size_t resp_u64_len(uint64_t value)
{
	for (size_t count = 1;; count += 4, value /= 10000) {
		if (value < 100)
			return count + (value >= 10);
		if (value < 10000)
			return count + 2 + (value >= 1000);
	}
}

/* Two digits at once. COUNT: its resp_u64_len. */
static inline void resp_u64_write(char *at, size_t count, uint64_t value)
{
	at += count;
	for (; value >= 10; value /= 100) {
		at -= 2;
		memcpy(at, resp_digits[value % 100], 2);
		if (value < 100)
			return;
	}
	at[-1] = (char)('0' + value);
}

static inline void resp_put_u64(struct resp_buf *out, uint64_t value)
{
	size_t count = resp_u64_len(value);

	if (hf_unlikely(count > out->cap - out->len)) {
		resp_overflow(out);
		return;
	}
	resp_u64_write(out->ptr + out->len, count, value);
	out->len += count;
}

static inline void resp_put_text(struct resp_buf *out, const char *text)
{
	resp_put(out, (struct hf_span){ text, strlen(text) });
}

/* name ": " value CRLF */
void resp_put_line(struct resp_buf *out, struct hf_span name, struct hf_span value);
/* The length, 0 when something did not fit. */
size_t resp_done(const struct resp_buf *out);

/* What a head has behind its stored fields, and the empty line. */
void resp_put_own(struct resp_buf *out, const struct hf_resp_head *head);
/* The values of all end-to-end lines of that id and then `own`, comma-separated in one line. */
void resp_put_appended(struct resp_buf *out, const struct hf_http_fields *fields,
	enum hf_http_field id, struct hf_span name, struct hf_span own);
/* Via: what came, then ours (RFC 9110 §7.6.3). minor: of the message received. */
void resp_put_via(struct resp_buf *out, const struct hf_http_fields *fields, uint8_t minor,
	struct hf_span by);

#endif
