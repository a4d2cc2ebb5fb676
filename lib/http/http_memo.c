/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_http_memo.h"

#include <string.h>

#include "hf_wipe.h"

#include "http_priv.h"

static struct hf_span memo_moved(struct hf_span text, const char *from, const char *to)
{
	return (struct hf_span){ to + (text.ptr - from), text.len };
}

static void memo_lines(struct hf_http_line *to, const struct hf_http_line *from, uint32_t count,
	const char *from_text, const char *to_text)
{
	for (uint32_t i = 0; i < count; i++) {
		to[i].name = memo_moved(from[i].name, from_text, to_text);
		to[i].value = memo_moved(from[i].value, from_text, to_text);
		to[i].id = from[i].id;
		to[i].hop = from[i].hop;
	}
}

bool http_memo_tell(struct hf_http_memo *memo, const char **p, const char *end, uint32_t lines_max,
	struct hf_http_req *req)
{
	const char *text = *p;

	if (memo->len == 0 || (size_t)(end - text) < memo->len || req->minor == 0 ||
		memo->count > lines_max || memcmp(text, memo->text, memo->len) != 0)
		return false;
	memo->last = memo->sender;
	req->body = HF_HTTP_BODY_NONE;
	req->content_length = 0;
	req->expect_continue = false;
	req->expect_unknown = false;
	req->has_authorization = false;
	req->keep_alive = true;
	req->te_trailers = memo->te_trailers;
	req->has_range = memo->has_range;
	req->has_conditional = memo->has_conditional;
	req->authority = memo_moved(memo->authority, memo->text, text);
	req->fields.have = memo->have;
	req->fields.count = memo->count;
	memo_lines(req->fields.lines, memo->line, memo->count, memo->text, text);
	*p = text + memo->len;
	return true;
}

static bool memo_may_keep(const struct hf_http_req *req)
{
	if (req->minor == 0 || !req->keep_alive || req->body != HF_HTTP_BODY_NONE ||
		req->fields.count > HF_HTTP_MEMO_LINES ||
		(req->fields.have & (1ULL << HF_HTTP_FIELD_COOKIE | 1ULL << HF_HTTP_FIELD_EXPECT |
					    1ULL << HF_HTTP_FIELD_CONTENT_LENGTH)))
		return false;
	for (uint32_t i = 0; i < req->fields.count; i++)
		if (hf_http_field_is_secret(req->fields.lines[i].id, req->fields.lines[i].name))
			return false;
	return true;
}

/* Does it say nothing by which a fresh answer may be another, or none (RFC 9111 §5.2.1, RFC 9110 §13, §14)? */
static bool memo_is_plain(const struct hf_http_req *req)
{
	return !req->has_range && !req->has_conditional &&
	       !(req->fields.have &
		       (1ULL << HF_HTTP_FIELD_CACHE_CONTROL | 1ULL << HF_HTTP_FIELD_PRAGMA));
}

void http_memo_changed(struct hf_http_memo *memo)
{
	memo->serial++;
	memo->sited = memo->len > 0 && memo->site_len > 0 &&
		      memo->authority.len == memo->site_len &&
		      memcmp(memo->authority.ptr, memo->site, memo->site_len) == 0;
}

void http_memo_keep(
	struct hf_http_memo *memo, const char *text, size_t len, const struct hf_http_req *req)
{
	bool again = len == memo->len_was;

	memo->len_was = (uint32_t)hf_min_size(len, UINT32_MAX);
	if (!again || len > HF_HTTP_MEMO_MAX || !memo_may_keep(req))
		return;
	HF_ASSERT_HOT(req->authority.len > 0 && !req->has_authorization);
	memcpy(memo->text, text, len);
	memo->len = (uint32_t)len;
	memo->last = memo->sender;
	memo->te_trailers = req->te_trailers;
	memo->has_range = req->has_range;
	memo->has_conditional = req->has_conditional;
	memo->authority = memo_moved(req->authority, text, memo->text);
	memo->have = req->fields.have;
	memo->count = req->fields.count;
	memo_lines(memo->line, req->fields.lines, req->fields.count, text, memo->text);
	memo->plain = memo_is_plain(req);
	http_memo_changed(memo);
}

void hf_http_memo_left(struct hf_http_memo *memo, const void *sender)
{
	if (hf_likely(memo->len == 0 || memo->last != sender))
		return;
	hf_wipe(memo->text, memo->len);
	memo->len = memo->len_was = 0;
	http_memo_changed(memo);
}

void hf_http_memo_forget(struct hf_http_memo *memo)
{
	uint32_t serial = memo->serial;

	memset(memo, 0, sizeof(*memo));
	memo->serial = serial + 1;
}
