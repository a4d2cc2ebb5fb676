/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Request heads: what a client may send first. Whatever parses becomes a key, is redacted, and means the same
 * when its parts are written again, and when it comes again.
 * Needs: http.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"
#include "hf_http_memo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hf_http_limits limits = { .head_max = 4096, .uri_max = 1024, .lines_max = 64 };

static void check_inside(struct hf_span s, const char *buf, size_t len)
{
	HF_ASSERT(s.len == 0 || (s.ptr >= buf && s.ptr + s.len <= buf + len));
}

static void check_spans(const struct hf_http_req *req, const char *buf)
{
	HF_ASSERT(req->head_len <= limits.head_max && req->fields.count <= limits.lines_max);
	HF_ASSERT(req->minor == 0 || req->authority.len > 0);
	check_inside(req->target, buf, req->head_len);
	HF_ASSERT(!req->no_query || !memchr(req->target.ptr, '?', req->target.len));
	HF_ASSERT(!req->no_escape || (!memchr(req->target.ptr, '%', req->target.len) &&
					     !memmem(req->target.ptr, req->target.len, "/.", 2)));
	check_inside(req->authority, buf, req->head_len);
	for (uint32_t i = 0; i < req->fields.count; i++) {
		check_inside(req->fields.lines[i].name, buf, req->head_len);
		check_inside(req->fields.lines[i].value, buf, req->head_len);
	}
}

/* A key's path is its own normal form. */
static void check_key(const struct hf_http_req *req)
{
	static char key[8192], again[8192];
	int n = hf_http_key_build(key, sizeof(key), req->scheme, req->authority, req->path_query);
	int path = (int)req->scheme.len + 3;
	int m;

	if (n < 0)
		return;
	HF_ASSERT((size_t)n <= req->scheme.len + req->authority.len + req->path_query.len + 16);
	while (key[path] != '/')
		path++;
	m = hf_http_key_build(again, sizeof(again), req->scheme, req->authority,
		(struct hf_span){ key + path, (size_t)(n - path) });
	HF_ASSERT(m == n && memcmp(key, again, (size_t)n) == 0);
}

static size_t put(char *out, size_t at, struct hf_span text)
{
	if (text.len > 0)
		memcpy(out + at, text.ptr, text.len);
	return at + text.len;
}

static size_t write_again(const struct hf_http_req *req, char *out)
{
	size_t at = put(out, 0, req->method_text);

	at = put(out, at, HF_SPAN(" "));
	at = put(out, at, req->target);
	at = put(out, at, req->minor == 0 ? HF_SPAN(" HTTP/1.0\r\n") : HF_SPAN(" HTTP/1.1\r\n"));
	for (uint32_t i = 0; i < req->fields.count; i++) {
		at = put(out, at, req->fields.lines[i].name);
		at = put(out, at, HF_SPAN(":"));
		at = put(out, at, req->fields.lines[i].value);
		at = put(out, at, HF_SPAN("\r\n"));
	}
	return put(out, at, HF_SPAN("\r\n"));
}

static void check_again(const struct hf_http_req *req)
{
	static struct hf_http_req again;
	static char out[4096];
	size_t len = write_again(req, out);
	struct hf_http_fault fault;
	enum hf_parse verdict = hf_http_req_parse(out, len, &limits, &again, &fault);

	HF_ASSERT(verdict == HF_PARSE_DONE && again.head_len == len);
	HF_ASSERT(
		again.method == req->method && again.form == req->form && again.body == req->body);
	HF_ASSERT(again.content_length == req->content_length);
	HF_ASSERT(again.keep_alive == req->keep_alive);
	HF_ASSERT(again.expect_continue == req->expect_continue);
	HF_ASSERT(again.expect_unknown == req->expect_unknown);
	HF_ASSERT(again.max_forwards == req->max_forwards);
	HF_ASSERT(hf_span_eq(again.authority, req->authority));
	HF_ASSERT(hf_span_eq(again.path_query, req->path_query));
	HF_ASSERT(again.fields.count == req->fields.count && again.fields.have == req->fields.have);
	for (uint32_t i = 0; i < req->fields.count; i++) {
		HF_ASSERT(hf_span_eq(again.fields.lines[i].value, req->fields.lines[i].value));
		HF_ASSERT(again.fields.lines[i].hop == req->fields.lines[i].hop);
	}
}

/* What frames a body is said once, in one way (RFC 9112 §6.3). */
static void check_framing(const struct hf_http_req *req)
{
	bool coding = hf_http_fields_have(&req->fields, HF_HTTP_FIELD_TRANSFER_ENCODING);
	bool length = hf_http_fields_have(&req->fields, HF_HTTP_FIELD_CONTENT_LENGTH);

	HF_ASSERT(coding == (req->body == HF_HTTP_BODY_CHUNKED) && !(coding && length));
	HF_ASSERT((req->body == HF_HTTP_BODY_LENGTH) == (req->content_length > 0));
	HF_ASSERT(!coding || req->minor >= 1);
}

static void check_redacted(const struct hf_http_req *req)
{
	static char out[8192];
	size_t len = hf_http_redact(req->target, out, sizeof(out));

	HF_ASSERT(len <= req->target.len * 4 + 3);
}

static void check_same(const struct hf_http_req *a, const struct hf_http_req *b)
{
	HF_ASSERT(a->method == b->method && a->form == b->form && a->body == b->body);
	HF_ASSERT(a->minor == b->minor && a->keep_alive == b->keep_alive);
	HF_ASSERT(a->expect_continue == b->expect_continue);
	HF_ASSERT(a->expect_unknown == b->expect_unknown && a->te_trailers == b->te_trailers);
	HF_ASSERT(a->has_authorization == b->has_authorization && a->has_range == b->has_range);
	HF_ASSERT(a->has_conditional == b->has_conditional && a->max_forwards == b->max_forwards);
	HF_ASSERT(a->content_length == b->content_length && a->head_len == b->head_len);
	HF_ASSERT(a->authority.ptr == b->authority.ptr && a->authority.len == b->authority.len);
	HF_ASSERT(hf_span_eq(a->path_query, b->path_query));
	HF_ASSERT(a->fields.have == b->fields.have && a->fields.count == b->fields.count);
	for (uint32_t i = 0; i < a->fields.count; i++) {
		const struct hf_http_line *x = &a->fields.lines[i], *y = &b->fields.lines[i];

		HF_ASSERT(x->name.ptr == y->name.ptr && x->name.len == y->name.len);
		HF_ASSERT(x->value.ptr == y->value.ptr && x->value.len == y->value.len);
		HF_ASSERT(x->id == y->id && x->hop == y->hop);
	}
}

static void check_same_key(struct hf_http_memo *memo, const struct hf_http_req *req)
{
	static char plain[8192], kept[8192];
	int len = hf_http_key_build(
		plain, sizeof(plain), req->scheme, req->authority, req->path_query);

	HF_ASSERT(len == hf_http_memo_key(memo, kept, sizeof(kept), req, req->authority));
	HF_ASSERT(len < 0 || memcmp(plain, kept, (size_t)len) == 0);
}

/* What is known before it is parsed is what parsing gives. */
static void check_repeat(const struct hf_http_memo *memo, struct hf_span text)
{
	static struct hf_http_req req;
	static char plain[8192], known[8192];
	struct hf_http_repeat repeat;
	struct hf_http_fault fault;
	int len;

	if (!hf_http_memo_repeats(memo, &limits, known, sizeof(known), text, &repeat))
		return;
	HF_ASSERT(hf_http_req_parse(text.ptr, text.len, &limits, &req, &fault) == HF_PARSE_DONE);
	HF_ASSERT(hf_http_repeat_is(memo, &repeat, &req) && repeat.head.len == req.head_len);
	HF_ASSERT(req.method == HF_HTTP_GET && req.form == HF_HTTP_FORM_ORIGIN && req.minor == 1);
	HF_ASSERT(req.body == HF_HTTP_BODY_NONE && req.keep_alive && !req.has_authorization);
	HF_ASSERT(!repeat.plain || !(req.has_range || req.has_conditional));
	len = hf_http_key_build(plain, sizeof(plain), req.scheme, req.authority, req.path_query);
	HF_ASSERT(len == (int)repeat.key_len && memcmp(plain, known, (size_t)len) == 0);
}

/* A memo changes nothing, of a head that comes again and of what came behind it. */
static void check_memo(const char *buf, size_t size)
{
	static struct hf_http_req plain, told;
	struct hf_http_memo memo = { .len = 0 };
	struct hf_http_fault fault, told_fault;

	for (unsigned round = 0; round < 3; round++) {
		size_t at = 0;
		enum hf_parse verdict;

		do {
			verdict = hf_http_req_parse(buf + at, size - at, &limits, &plain, &fault);
			check_repeat(&memo, (struct hf_span){ buf + at, size - at });
			HF_ASSERT(verdict == hf_http_memo_parse(&memo, buf + at, size - at, &limits,
						     &told, &told_fault));
			if (verdict == HF_PARSE_BAD)
				HF_ASSERT(fault.status == told_fault.status &&
					  fault.reason == told_fault.reason);
			if (verdict != HF_PARSE_DONE)
				break;
			check_same(&plain, &told);
			check_same_key(&memo, &told);
			at += plain.head_len;
		} while (at < size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hf_http_req req;
	struct hf_http_fault fault;
	/* An allocation of just its size: the sanitizer sees the first byte past the end. */
	char *buf = malloc(size > 0 ? size : 1);
	size_t cut = size > 0 ? data[size / 2] % size : 0;
	enum hf_parse whole, part;

	memcpy(buf, data, size);
	part = hf_http_req_parse(buf, cut, &limits, &req, &fault);
	whole = hf_http_req_parse(buf, size, &limits, &req, &fault);
	HF_ASSERT(part == HF_PARSE_MORE || part == whole);
	if (whole == HF_PARSE_DONE) {
		check_spans(&req, buf);
		check_framing(&req);
		check_again(&req);
		check_key(&req);
		check_redacted(&req);
	}
	if (whole == HF_PARSE_BAD)
		HF_ASSERT(fault.status >= 400 && fault.reason != HF_DROP_NONE);
	check_memo(buf, size);
	free(buf);
	return 0;
}
