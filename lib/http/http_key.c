/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cache keys: a URL in its normal form (RFC 3986 §6.2.2, §6.2.3).
 */
#include "hf_http.h"

#include <errno.h>
#include <string.h>

#include "hf_http_memo.h"

#include "http_priv.h"

/* Host and port of an authority; host with its brackets. */
struct key_authority {
	struct hf_span host;
	struct hf_span port; /* digits, or empty */
};

/* The inside of [..]: an IPv6 address or IPvFuture by its characters. */
static bool key_literal_is_valid(struct hf_span text)
{
	if (text.len < 2)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!http_is(text.ptr[i], HTTP_HEX) && text.ptr[i] != ':' && text.ptr[i] != '.')
			return false;
	return memchr(text.ptr, ':', text.len) != NULL;
}

/* Behind the name at the front of text: at the first character that is no part of one. */
static const char *key_name_end(struct hf_span text)
{
	const char *at = text.ptr, *end = at + text.len;

	while (at < end && (http_is(*at, HTTP_HOST) || http_is_escape(at, end)))
		at++;
	return at;
}

static bool key_port_is_valid(struct hf_span port)
{
	uint64_t n;

	if (port.len == 0)
		return true;
	return hf_http_parse_u64(port, &n) == 0 && n >= 1 && n <= UINT16_MAX;
}

static int key_split(struct hf_span authority, struct key_authority *ret)
{
	struct key_authority a = { authority, { "", 0 } };
	const char *end = authority.ptr + authority.len;
	const char *colon;
	bool valid;

	if (authority.len == 0)
		return -EINVAL;
	if (authority.ptr[0] == '[') {
		const char *close = memchr(authority.ptr, ']', authority.len);

		if (close == NULL)
			return -EINVAL;
		colon = close + 1;
		valid = key_literal_is_valid(
			(struct hf_span){ authority.ptr + 1, (size_t)(close - authority.ptr - 1) });
	} else {
		colon = key_name_end(authority);
		valid = colon > authority.ptr;
	}
	if (!valid || (colon < end && *colon != ':'))
		return -EINVAL;
	a.host.len = (size_t)(colon - authority.ptr);
	if (colon < end)
		a.port = (struct hf_span){ colon + 1, (size_t)(end - colon - 1) };
	if (!key_port_is_valid(a.port))
		return -EINVAL;
	*ret = a;
	return 0;
}

bool hf_http_authority_is_valid(struct hf_span authority)
{
	struct key_authority a;

	return key_split(authority, &a) == 0;
}

/* ---- the key ---- */

struct key_out {
	char *buf;
	size_t cap, len;
	bool full;
};

static void key_put(struct key_out *out, char c)
{
	HF_ASSERT_HOT(out->len <= out->cap);
	if (out->len < out->cap)
		out->buf[out->len++] = c;
	else
		out->full = true;
}

static void key_put_span(struct key_out *out, struct hf_span text)
{
	if (text.len > out->cap - out->len) {
		out->full = true;
		return;
	}
	if (text.len > 0)
		memcpy(out->buf + out->len, text.ptr, text.len);
	out->len += text.len;
}

static void key_put_escape(struct key_out *out, unsigned byte)
{
	static const char digits[] = "0123456789ABCDEF";

	HF_ASSERT_HOT(byte <= UINT8_MAX);
	key_put(out, '%');
	key_put(out, digits[byte >> 4]);
	key_put(out, digits[byte & 15]);
}

/* Copies with escapes in their normal form: unreserved ones decoded, the others with upper case digits.
 * A '%' that begins no escape stays: it means something to somebody. Just behind one nothing is decoded,
 * else "%%36%36" would become "%66", which is another path. */
static void key_put_escaped(struct key_out *out, struct hf_span text, bool lower)
{
	const char *end = text.ptr + text.len;
	size_t decode_from = 0;

	if (!lower && (text.len == 0 || memchr(text.ptr, '%', text.len) == NULL)) {
		key_put_span(out, text);
		return;
	}
	for (const char *at = text.ptr; at < end; at++) {
		char c = *at;

		if (http_is_escape(at, end)) {
			c = (char)(http_hex_value(at[1]) << 4 | http_hex_value(at[2]));
			at += 2;
			if (out->len < decode_from || !http_is(c, HTTP_UNRESERVED)) {
				key_put_escape(out, (uint8_t)c);
				continue;
			}
		} else if (c == '%') {
			decode_from = out->len + 3;
		}
		key_put(out, lower ? http_lower(c) : c);
	}
}

static void key_put_port(struct key_out *out, struct hf_span port, bool https)
{
	while (port.len > 1 && port.ptr[0] == '0') {
		port.ptr++;
		port.len--;
	}
	if (port.len == 0 || hf_span_eq(port, https ? HF_SPAN("443") : HF_SPAN("80")))
		return;
	key_put(out, ':');
	key_put_span(out, port);
}

/* RFC 3986 §5.2.4 in place: path begins with '/', the result does too and is not longer. */
static size_t key_remove_dots(char *path, size_t len)
{
	size_t to = 0;
	size_t at = 0;

	HF_ASSERT(len > 0 && path[0] == '/');
	while (at < len) {
		const char *next = memchr(path + at + 1, '/', len - at - 1);
		size_t stop = next != NULL ? (size_t)(next - path) : len;
		size_t segment = stop - at - 1; /* path[at] is its '/' */
		bool dot = segment == 1 && path[at + 1] == '.';
		bool dots = segment == 2 && path[at + 1] == '.' && path[at + 2] == '.';

		if (dots)
			while (to > 0 && path[--to] != '/')
				;
		if (!dot && !dots) {
			memmove(path + to, path + at, segment + 1);
			to += segment + 1;
		} else if (stop == len) {
			path[to++] = '/';
		}
		at = stop;
	}
	HF_ASSERT(to > 0 && to <= len);
	return to;
}

/* Nothing in it has another normal form: no escape, and no segment of dots. */
static bool key_path_is_plain(struct hf_span path_query)
{
	const __m128i percent = _mm_set1_epi8('%'), dot = _mm_set1_epi8('.');
	const __m128i slash = _mm_set1_epi8('/');
	const char *at = path_query.ptr, *end = at + path_query.len;
	unsigned behind_slash = 0;

	for (; at < end; at += 16) {
		__m128i v = http_load(at, end);
		unsigned dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, dot));
		unsigned slashes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, slash));

		if (_mm_movemask_epi8(_mm_cmpeq_epi8(v, percent)) != 0 ||
			(dots & (slashes << 1 | behind_slash)) != 0)
			return false;
		behind_slash = slashes >> 15;
	}
	return true;
}

static void key_put_host(struct key_out *out, struct hf_span host)
{
	size_t at = 0;

	for (; at < host.len && out->len + at < out->cap && host.ptr[at] != '%'; at++)
		out->buf[out->len + at] = http_lower(host.ptr[at]);
	if (at == host.len)
		out->len += host.len;
	else
		key_put_escaped(out, host, /* lower= */ true);
}

static void key_put_path(struct key_out *out, struct hf_span path_query)
{
	size_t start = out->len, path_len;
	const char *mark;

	if (path_query.len > 0 && path_query.ptr[0] == '/' && key_path_is_plain(path_query)) {
		key_put_span(out, path_query);
		return;
	}
	mark = path_query.len > 0 ? memchr(path_query.ptr, '?', path_query.len) : NULL;
	path_len = mark != NULL ? (size_t)(mark - path_query.ptr) : path_query.len;
	if (path_len == 0)
		key_put(out, '/');
	key_put_escaped(out, (struct hf_span){ path_query.ptr, path_len }, /* lower= */ false);
	if (out->full)
		return;
	if (memmem(out->buf + start, out->len - start, "/.", 2) != NULL)
		out->len = start + key_remove_dots(out->buf + start, out->len - start);
	key_put_escaped(out,
		(struct hf_span){ path_query.ptr + path_len, path_query.len - path_len },
		/* lower= */ false);
}

/* Up to the path. */
HF_NOINLINE static int key_put_site(
	struct key_out *out, struct hf_span scheme, struct hf_span authority)
{
	bool https = hf_span_caseeq(scheme, HF_SPAN("https"));
	struct key_authority a;

	if (!https && !hf_span_eq(scheme, HF_SPAN("http")) &&
		!hf_span_caseeq(scheme, HF_SPAN("http")))
		return -EINVAL;
	if (key_split(authority, &a) != 0)
		return -EINVAL;
	key_put_span(out, https ? HF_SPAN("https://") : HF_SPAN("http://"));
	key_put_host(out, a.host);
	key_put_port(out, a.port, https);
	return 0;
}

HF_NOINLINE static int key_end(struct key_out *out, struct hf_span path_query)
{
	if (path_query.len > 0 && path_query.ptr[0] != '/' && path_query.ptr[0] != '?')
		return -EINVAL;
	key_put_path(out, path_query);
	HF_ASSERT(out->len <= out->cap);
	return out->full ? -ENOSPC : (int)out->len;
}

int hf_http_key_build(char *buf, size_t cap, struct hf_span scheme, struct hf_span authority,
	struct hf_span path_query)
{
	struct key_out out = { .buf = buf, .cap = hf_min_size(cap, INT32_MAX) };

	if (key_put_site(&out, scheme, authority) != 0)
		return -EINVAL;
	return key_end(&out, path_query);
}

/* Is PREFIX what AUTHORITY gave? */
static bool key_is_kept(const struct hf_http_memo *memo, struct hf_span authority)
{
	return authority.len == memo->site_len && memo->site_len > 0 &&
	       memcmp(authority.ptr, memo->site, authority.len) == 0;
}

static int key_behind_kept(const struct hf_http_memo *memo, struct key_out *out,
	struct hf_span path_query, bool no_escape)
{
	/* nearly all: nothing of it has another normal form (key_path_is_plain), and there is room for the zeroes
	 * behind the prefix too, so that its length does not matter */
	if (hf_likely(no_escape && path_query.len > 0 && path_query.ptr[0] == '/' &&
		      path_query.len <= out->cap &&
		      out->cap - path_query.len >= sizeof(memo->prefix))) {
		memcpy(out->buf, memo->prefix, sizeof(memo->prefix));
		memcpy(out->buf + memo->prefix_len, path_query.ptr, path_query.len);
		return (int)(memo->prefix_len + path_query.len);
	}
	key_put_span(out, (struct hf_span){ memo->prefix, memo->prefix_len });
	return key_end(out, path_query);
}

int hf_http_memo_key(struct hf_http_memo *memo, char *buf, size_t cap,
	const struct hf_http_req *req, struct hf_span authority)
{
	struct key_out out = { .buf = buf, .cap = hf_min_size(cap, INT32_MAX) };
	bool http = req->scheme.len == 4 && memcmp(req->scheme.ptr, "http", 4) == 0;

	if (hf_likely(http && key_is_kept(memo, authority)))
		return key_behind_kept(memo, &out, req->path_query, req->no_escape);
	if (key_put_site(&out, req->scheme, authority) != 0)
		return -EINVAL;
	if (http && authority.len <= HF_HTTP_MEMO_SITE && !out.full &&
		out.len <= sizeof(memo->prefix)) {
		memcpy(memo->site, authority.ptr, authority.len);
		memset(memo->prefix, 0, sizeof(memo->prefix));
		memcpy(memo->prefix, buf, out.len);
		memo->site_len = (uint32_t)authority.len;
		memo->prefix_len = (uint32_t)out.len;
		http_memo_changed(memo);
	}
	return key_end(&out, req->path_query);
}

/* The target of a GET of a path at the front of TEXT, nothing of which has another normal form; empty: it is none. */
static struct hf_span key_plain_target(struct hf_span text, struct http_uri_has *ret_has)
{
	const char *at = text.ptr + 4;
	const char *stop;

	if (text.len < 5 || memcmp(text.ptr, "GET /", 5) != 0)
		return (struct hf_span){ text.ptr, 0 };
	stop = http_skip_uri(at, text.ptr + text.len, ret_has);
	return (struct hf_span){ at, ret_has->escape ? 0 : (size_t)(stop - at) };
}

bool hf_http_memo_repeats(const struct hf_http_memo *memo, const struct hf_http_limits *limits,
	char *buf, size_t cap, struct hf_span text, struct hf_http_repeat *ret_repeat)
{
	const struct hf_span version = HF_SPAN(" HTTP/1.1\r\n");
	struct key_out out = { .buf = buf, .cap = hf_min_size(cap, INT32_MAX) };
	struct http_uri_has has;
	struct hf_span target;
	const char *behind;
	size_t head_len;
	int len;

	if (!memo->sited)
		return false;
	target = key_plain_target(text, &has);
	behind = target.ptr + target.len;
	head_len = (size_t)(behind - text.ptr) + version.len + memo->len;
	if (target.len == 0 || head_len > text.len ||
		memcmp(behind, version.ptr, version.len) != 0 ||
		memcmp(behind + version.len, memo->text, memo->len) != 0)
		return false;
	if (target.len > limits->uri_max || head_len > limits->head_max ||
		memo->count > limits->lines_max)
		return false;
	len = key_behind_kept(memo, &out, target, /* no_escape= */ true);
	if (len < 0)
		return false;
	*ret_repeat = (struct hf_http_repeat){ .head = { text.ptr, head_len },
		.target = target,
		.key_len = (uint32_t)len,
		.serial = memo->serial,
		.plain = memo->plain && !(has.query && hf_http_query_has_secret(target)) };
	return true;
}
