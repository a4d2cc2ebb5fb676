/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The request parser (RFC 9112). First the syntax of request line and field lines, then what they mean
 * together: framing, Host, target form. Anything two readers could understand differently is refused.
 */
#include "hf_http.h"

#include <string.h>

#include "hf_http_memo.h"

#include "http_priv.h"

#define REQ_EMPTY_LINES_MAX 4 /* RFC 9112 §2.2 wants at least one */
#define REQ_METHOD_MAX      32

#define SAFE       1
#define IDEMPOTENT 2

static const struct {
	struct hf_span name;
	unsigned flags;
} req_methods[HF_HTTP_METHOD_COUNT] = {
#define X(id, name, flags) [HF_HTTP_##id] = { { name, sizeof(name) - 1 }, flags },
#include "tbl/methods.h"
#undef X
	[HF_HTTP_OTHER] = { { "OTHER", 5 }, 0 },
};

const char *hf_http_method_name(enum hf_http_method method)
{
	HF_ASSERT(method < HF_HTTP_METHOD_COUNT);
	return req_methods[method].name.ptr;
}

bool hf_http_method_is_safe(enum hf_http_method method)
{
	HF_ASSERT(method < HF_HTTP_METHOD_COUNT);
	return (req_methods[method].flags & SAFE) != 0;
}

bool hf_http_method_is_idempotent(enum hf_http_method method)
{
	HF_ASSERT(method < HF_HTTP_METHOD_COUNT);
	return (req_methods[method].flags & IDEMPOTENT) != 0;
}

/* Methods are case-sensitive (RFC 9110 §9.1). */
static enum hf_http_method req_method_lookup(struct hf_span text)
{
	for (unsigned i = 0; i < HF_HTTP_OTHER; i++)
		if (hf_span_eq(req_methods[i].name, text))
			return (enum hf_http_method)i;
	return HF_HTTP_OTHER;
}

static enum hf_parse req_fault(struct hf_http_fault *ret_fault, uint16_t status)
{
	enum hf_drop reason = HF_DROP_REQ_MALFORMED;

	if (status == 414)
		reason = HF_DROP_REQ_URI_LONG;
	else if (status == 431)
		reason = HF_DROP_REQ_HEAD_LARGE;
	else if (status == 501)
		reason = HF_DROP_REQ_METHOD;
	else if (status == 505)
		reason = HF_DROP_REQ_VERSION;
	ret_fault->status = status;
	ret_fault->reason = reason;
	return HF_PARSE_BAD;
}

/* ---- the request line; each step moves *p on and returns 0 (done), a status, or REQ_MORE ---- */

#define REQ_MORE 1

static unsigned req_crlf(const char **p, const char *end)
{
	const char *at = *p;

	if (at == end)
		return REQ_MORE;
	if (*at != '\r')
		return 400;
	if (at + 1 == end)
		return REQ_MORE;
	if (at[1] != '\n')
		return 400;
	*p = at + 2;
	return 0;
}

static unsigned req_empty_lines(const char **p, const char *end)
{
	for (unsigned i = 0; i <= REQ_EMPTY_LINES_MAX; i++) {
		unsigned status;

		if (*p == end)
			return REQ_MORE;
		if (**p != '\r')
			return 0;
		status = req_crlf(p, end);
		if (status != 0)
			return status;
	}
	return 400;
}

static unsigned req_method(const char **p, const char *end, struct hf_http_req *req)
{
	const char *start = *p;
	const char *at;

	if (end - start >= 4 && memcmp(start, "GET ", 4) == 0) { /* nearly all of them */
		req->method_text = (struct hf_span){ start, 3 };
		req->method = HF_HTTP_GET;
		*p = start + 4;
		return 0;
	}
	at = http_skip_token(start, end);
	if (at - start > REQ_METHOD_MAX)
		return 501;
	if (at == end)
		return REQ_MORE;
	if (*at != ' ' || at == start)
		return 400;
	req->method_text = (struct hf_span){ start, (size_t)(at - start) };
	req->method = req_method_lookup(req->method_text);
	*p = at + 1;
	return 0;
}

static unsigned req_target(const char **p, const char *end, size_t uri_max, struct hf_http_req *req)
{
	const char *start = *p;
	struct http_uri_has has;
	const char *at = http_skip_uri(start, end, &has);

	req->no_query = !has.query;
	req->no_escape = !has.escape;
	if ((size_t)(at - start) > uri_max)
		return 414;
	if (at == end)
		return REQ_MORE;
	if (*at != ' ' || at == start)
		return 400;
	req->target = (struct hf_span){ start, (size_t)(at - start) };
	*p = at + 1;
	return 0;
}

/* "HTTP/1.1" and CRLF. A 1.x above 1.1 is understood as 1.1 (RFC 9110 §2.5). */
static unsigned req_version(const char **p, const char *end, struct hf_http_req *req)
{
	static const char pattern[] = "HTTP/d.d";
	const char *at = *p;
	const char *version = at;
	unsigned status;

	if (end - at >= 10 && memcmp(at, "HTTP/1.1\r\n", 10) == 0) {
		req->minor = 1;
		*p = at + 10;
		return 0;
	}
	for (size_t i = 0; i < sizeof(pattern) - 1; i++, at++) {
		if (at == end)
			return REQ_MORE;
		if (pattern[i] == 'd' ? !http_is(*at, HTTP_DIGIT) : *at != pattern[i])
			return 400;
	}
	status = req_crlf(&at, end);
	if (status != 0)
		return status;
	if (version[5] != '1')
		return 505;
	req->minor = version[7] == '0' ? 0 : 1;
	*p = at;
	return 0;
}

/* ---- what the fields say ---- */

static unsigned req_framing(struct hf_http_req *req)
{
	const struct hf_http_line *length =
		hf_http_fields_find(&req->fields, HF_HTTP_FIELD_CONTENT_LENGTH);
	enum http_coding coding = http_fields_coding(&req->fields);

	req->body = HF_HTTP_BODY_NONE;
	req->content_length = 0;
	if (coding != HTTP_CODING_NONE) {
		/* Both, or Transfer-Encoding in 1.0: two readers, two lengths (RFC 9112 §6.1). */
		if (length != NULL || req->minor == 0 || coding == HTTP_CODING_FAULTY)
			return 400;
		req->body = HF_HTTP_BODY_CHUNKED;
		return coding == HTTP_CODING_CHUNKED ? 0 : 501;
	}
	if (length == NULL)
		return 0;
	if (hf_http_parse_u64(length->value, &req->content_length) != 0)
		return 400;
	if (req->content_length > 0)
		req->body = HF_HTTP_BODY_LENGTH;
	return 0;
}

/* scheme "://" authority path: -1 when it is not that. */
static int req_absolute(struct hf_http_req *req)
{
	struct hf_span t = req->target;
	size_t scheme_len =
		t.len >= 8 && hf_span_caseeq((struct hf_span){ t.ptr, 8 }, HF_SPAN("https://")) ? 5
												: 4;
	size_t at = scheme_len + 3;
	size_t host = at;

	if (scheme_len == 4 &&
		(t.len < 7 || !hf_span_caseeq((struct hf_span){ t.ptr, 7 }, HF_SPAN("http://"))))
		return -1;
	while (at < t.len && t.ptr[at] != '/' && t.ptr[at] != '?')
		at++;
	req->scheme = (struct hf_span){ t.ptr, scheme_len };
	req->authority = (struct hf_span){ t.ptr + host, at - host };
	req->path_query = (struct hf_span){ t.ptr + at, t.len - at };
	if (!hf_http_authority_is_valid(req->authority))
		return -1;
	if (req->path_query.len > 0)
		return 0;
	/* RFC 9112 §3.2.4: OPTIONS of a bare authority asks about the server. */
	if (req->method == HF_HTTP_OPTIONS)
		req->form = HF_HTTP_FORM_ASTERISK;
	req->path_query = req->method == HF_HTTP_OPTIONS ? HF_SPAN("*") : HF_SPAN("/");
	return 0;
}

/* RFC 9112 §3.2.3: host and port, both. */
static int req_authority(struct hf_http_req *req)
{
	struct hf_span t = req->target;

	if (!hf_http_authority_is_valid(t) || !http_is(t.ptr[t.len - 1], HTTP_DIGIT) ||
		memchr(t.ptr, ':', t.len) == NULL)
		return -1;
	/* A bare IPv6 address ends in ']' or has its port after it. */
	req->authority = t;
	req->path_query = (struct hf_span){ t.ptr + t.len, 0 };
	return 0;
}

static unsigned req_form(struct hf_http_req *req)
{
	req->scheme = HF_SPAN("http");
	if (req->method == HF_HTTP_CONNECT) {
		req->form = HF_HTTP_FORM_AUTHORITY;
		return req_authority(req) == 0 ? 0 : 400;
	}
	req->path_query = req->target;
	if (req->target.ptr[0] == '/') {
		req->form = HF_HTTP_FORM_ORIGIN;
		return 0;
	}
	if (hf_span_eq(req->target, HF_SPAN("*"))) {
		req->form = HF_HTTP_FORM_ASTERISK;
		return req->method == HF_HTTP_OPTIONS ? 0 : 400;
	}
	req->form = HF_HTTP_FORM_ABSOLUTE;
	return req_absolute(req) == 0 ? 0 : 400;
}

/* RFC 9112 §3.2: exactly one valid Host in 1.1; also when the target's authority wins. */
static unsigned req_host(struct hf_http_req *req)
{
	const struct hf_http_line *host = hf_http_fields_find(&req->fields, HF_HTTP_FIELD_HOST);
	bool empty = host == NULL || host->value.len == 0;

	req->authority = empty ? (struct hf_span){ req->target.ptr, 0 } : host->value;
	if (empty)
		return req->minor == 0 ? 0 : 400;
	/* A name may hold a comma (RFC 3986 §3.2.2), but what does is two Host lines made one. */
	if (memchr(host->value.ptr, ',', host->value.len) != NULL)
		return 400;
	return hf_http_authority_is_valid(host->value) ? 0 : 400;
}

static void req_expect(struct hf_http_req *req)
{
	req->expect_continue = false;
	req->expect_unknown = false;
	/* RFC 9110 §10.1.1: ignored from a 1.0 client. */
	if (req->minor == 0 || !hf_http_fields_have(&req->fields, HF_HTTP_FIELD_EXPECT))
		return;
	for (uint32_t i = 0; i < req->fields.count; i++) {
		struct hf_span list = req->fields.lines[i].value;
		struct hf_span item;

		if (req->fields.lines[i].id != HF_HTTP_FIELD_EXPECT)
			continue;
		while (hf_http_list_next(&list, &item))
			if (hf_span_caseeq(item, HF_SPAN("100-continue")))
				req->expect_continue = true;
			else
				req->expect_unknown = true;
	}
}

static unsigned req_max_forwards(struct hf_http_req *req)
{
	const struct hf_http_line *line =
		hf_http_fields_find(&req->fields, HF_HTTP_FIELD_MAX_FORWARDS);
	uint32_t n;

	req->max_forwards = -1;
	if (line == NULL || (req->method != HF_HTTP_OPTIONS && req->method != HF_HTTP_TRACE))
		return 0;
	if (hf_http_parse_delta(line->value, &n) != 0)
		return 400;
	req->max_forwards = n > INT32_MAX ? INT32_MAX : (int32_t)n;
	return 0;
}

/* Of the fields alone. */
static unsigned req_fields_meaning(struct hf_http_req *req)
{
	const uint64_t conditional =
		1ULL << HF_HTTP_FIELD_IF_MATCH | 1ULL << HF_HTTP_FIELD_IF_NONE_MATCH |
		1ULL << HF_HTTP_FIELD_IF_MODIFIED_SINCE |
		1ULL << HF_HTTP_FIELD_IF_UNMODIFIED_SINCE | 1ULL << HF_HTTP_FIELD_IF_RANGE;
	const struct hf_http_fields *fields = &req->fields;
	unsigned status = req_framing(req);

	if (status == 0)
		status = req_host(req);
	if (status == 0 && !http_fields_mark_hops(&req->fields))
		status = 400;
	if (status != 0)
		return status;
	req_expect(req);
	req->keep_alive = http_fields_keep_alive(fields, req->minor);
	req->te_trailers = hf_http_fields_have(fields, HF_HTTP_FIELD_TE) &&
			   hf_http_fields_list_has(fields, HF_HTTP_FIELD_TE, HF_SPAN("trailers"));
	req->has_authorization = hf_http_fields_have(fields, HF_HTTP_FIELD_AUTHORIZATION);
	req->has_range = hf_http_fields_have(fields, HF_HTTP_FIELD_RANGE);
	req->has_conditional = (fields->have & conditional) != 0;
	return 0;
}

/* Of the request line with them. */
static unsigned req_line_meaning(struct hf_http_req *req)
{
	unsigned status = req_form(req);

	return status == 0 ? req_max_forwards(req) : status;
}

/* ---- all of it ---- */

static unsigned req_field_lines(
	const char **p, const char *end, uint32_t lines_max, struct hf_http_req *req)
{
	switch (http_lines_parse(p, end, lines_max, /* repair= */ false, &req->fields)) {
	case HTTP_LINES_DONE:
		return 0;
	case HTTP_LINES_MORE:
		return REQ_MORE;
	case HTTP_LINES_TOO_MANY:
		return 431;
	case HTTP_LINES_BAD:
		break;
	}
	return 400;
}

/* The field lines and what they mean, parsed and kept in the memo. */
HF_NOINLINE static unsigned req_fields_new(struct hf_http_memo *memo, const char **p,
	const char *end, uint32_t lines_max, struct hf_http_req *req)
{
	const char *text = *p;
	unsigned status = req_field_lines(p, end, lines_max, req);

	if (status == 0)
		status = req_fields_meaning(req);
	if (status == 0 && memo)
		http_memo_keep(memo, text, (size_t)(*p - text), req);
	return status;
}

static unsigned req_fields(struct hf_http_memo *memo, const char **p, const char *end,
	uint32_t lines_max, struct hf_http_req *req)
{
	if (memo && http_memo_tell(memo, p, end, lines_max, req))
		return 0;
	return req_fields_new(memo, p, end, lines_max, req);
}

/* *ret_over: what MORE means when there may be no more. */
static unsigned req_line(const char **p, const char *end, const struct hf_http_limits *limits,
	struct hf_http_req *req, uint16_t *ret_over)
{
	unsigned status = req_empty_lines(p, end);

	if (status == 0)
		status = req_method(p, end, req);
	if (status != 0)
		return status;
	*ret_over = 414;
	status = req_target(p, end, limits->uri_max, req);
	if (status != 0)
		return status;
	*ret_over = 431;
	return req_version(p, end, req);
}

const struct hf_http_limits hf_http_no_limits = {
	.head_max = UINT32_MAX, .uri_max = UINT32_MAX, .lines_max = HF_HTTP_LINES_MAX
};

enum hf_parse hf_http_memo_parse(struct hf_http_memo *memo, const char *buf, size_t len,
	const struct hf_http_limits *limits, struct hf_http_req *ret_req,
	struct hf_http_fault *ret_fault)
{
	const char *p = buf;
	/* What lies beyond the limit is not looked at, so that cuts make no difference. */
	const char *end = buf + hf_min_size(len, limits->head_max);
	uint16_t over = 431;
	unsigned status;

	HF_ASSERT(limits->lines_max <= HF_HTTP_LINES_MAX);
	HF_ASSERT(limits->head_max > 0 && limits->uri_max > 0);
	status = len == 0 ? REQ_MORE : req_line(&p, end, limits, ret_req, &over);
	if (status == 0)
		status = req_fields(memo, &p, end, limits->lines_max, ret_req);
	if (status == REQ_MORE && len < limits->head_max)
		return HF_PARSE_MORE;
	if (status == REQ_MORE)
		return req_fault(ret_fault, over);
	if (status == 0)
		status = req_line_meaning(ret_req);
	if (status != 0)
		return req_fault(ret_fault, (uint16_t)status);
	ret_req->head_len = (size_t)(p - buf);
	HF_ASSERT_HOT(ret_req->head_len <= len);
	return HF_PARSE_DONE;
}

enum hf_parse hf_http_req_parse(const char *buf, size_t len, const struct hf_http_limits *limits,
	struct hf_http_req *ret_req, struct hf_http_fault *ret_fault)
{
	return hf_http_memo_parse(NULL, buf, len, limits, ret_req, ret_fault);
}
