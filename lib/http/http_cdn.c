/* SPDX-License-Identifier: BSD-3-Clause
 *
 * CDN-Cache-Control (RFC 9213): a dictionary of RFC 8941. Stricter than Cache-Control: what does
 * not parse is ignored as a whole, a directive whose value has another type alone.
 */
#include "hf_http.h"

#include "http_priv.h"

#define CDN_DIGITS_MAX  15 /* RFC 8941 §3.3.1 */
#define CDN_DECIMAL_MAX 12 /* before the point (§3.3.2) */

enum cdn_type {
	CDN_BAD,
	CDN_INTEGER,
	CDN_FALSE,
	CDN_TRUE,
	CDN_OTHER, /* decimal, string, token, bytes, inner list */
};

struct cdn_value {
	enum cdn_type type;
	uint32_t s; /* INTEGER; negative ones are 0 */
};

static bool cdn_at(const struct hf_span *in, char c)
{
	return in->len > 0 && in->ptr[0] == c;
}

static void cdn_skip(struct hf_span *in, size_t n)
{
	HF_ASSERT(n <= in->len);
	in->ptr += n;
	in->len -= n;
}

static void cdn_skip_ws(struct hf_span *in, bool tabs)
{
	while (cdn_at(in, ' ') || (tabs && cdn_at(in, '\t')))
		cdn_skip(in, 1);
}

static bool cdn_is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

/* key = ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" ); empty: malformed */
static struct hf_span cdn_key(struct hf_span *in)
{
	size_t n = 0;

	if (in->len > 0 && (cdn_is_lower(in->ptr[0]) || in->ptr[0] == '*'))
		for (n = 1; n < in->len; n++) {
			char c = in->ptr[n];

			if (!cdn_is_lower(c) && !http_is(c, HTTP_DIGIT) && c != '_' && c != '-' &&
				c != '.' && c != '*')
				break;
		}
	cdn_skip(in, n);
	return (struct hf_span){ in->ptr - n, n };
}

static struct cdn_value cdn_number(struct hf_span *in)
{
	struct cdn_value value = { .type = CDN_INTEGER };
	bool negative = cdn_at(in, '-');
	size_t n = 0, whole;

	if (negative)
		cdn_skip(in, 1);
	while (n < in->len && http_is(in->ptr[n], HTTP_DIGIT))
		n++;
	whole = n;
	if (n == 0 || n > CDN_DIGITS_MAX ||
		hf_http_parse_delta((struct hf_span){ in->ptr, n }, &value.s) != 0)
		value.type = CDN_BAD;
	if (negative)
		value.s = 0;
	cdn_skip(in, n);
	if (!cdn_at(in, '.'))
		return value;
	cdn_skip(in, 1);
	for (n = 0; n < in->len && http_is(in->ptr[n], HTTP_DIGIT);)
		n++;
	cdn_skip(in, n);
	value.type = CDN_OTHER;
	if (whole == 0 || whole > CDN_DECIMAL_MAX || n == 0 || n > 3)
		value.type = CDN_BAD;
	return value;
}

/* Up to the closing quote; RFC 8941 allows visible ASCII, \" and \\. */
static enum cdn_type cdn_string(struct hf_span *in)
{
	for (size_t i = 1; i < in->len; i++) {
		char c = in->ptr[i];

		if (c == '"') {
			cdn_skip(in, i + 1);
			return CDN_OTHER;
		}
		if (c == '\\' && (++i == in->len || (in->ptr[i] != '"' && in->ptr[i] != '\\')))
			return CDN_BAD;
		if (c < 0x20 || c > 0x7e)
			return CDN_BAD;
	}
	return CDN_BAD;
}

/* ":" base64 ":" */
static enum cdn_type cdn_bytes(struct hf_span *in)
{
	for (size_t i = 1; i < in->len; i++) {
		char c = in->ptr[i];

		if (c == ':') {
			cdn_skip(in, i + 1);
			return CDN_OTHER;
		}
		if (!cdn_is_lower(http_lower(c)) && !http_is(c, HTTP_DIGIT) && c != '+' &&
			c != '/' && c != '=')
			return CDN_BAD;
	}
	return CDN_BAD;
}

static enum cdn_type cdn_boolean(struct hf_span *in)
{
	enum cdn_type type = CDN_BAD;

	if (in->len >= 2 && in->ptr[1] == '1')
		type = CDN_TRUE;
	else if (in->len >= 2 && in->ptr[1] == '0')
		type = CDN_FALSE;
	if (type != CDN_BAD)
		cdn_skip(in, 2);
	return type;
}

static struct cdn_value cdn_bare_item(struct hf_span *in)
{
	struct cdn_value value = { .type = CDN_BAD };
	char c = in->len > 0 ? in->ptr[0] : '\0';

	if (c == '-' || http_is(c, HTTP_DIGIT))
		return cdn_number(in);
	if (c == '"') {
		value.type = cdn_string(in);
	} else if (c == ':') {
		value.type = cdn_bytes(in);
	} else if (c == '?') {
		value.type = cdn_boolean(in);
	} else if (c == '*' || cdn_is_lower(http_lower(c))) {
		value.type = CDN_OTHER;
		while (in->len > 0 &&
			(http_is(in->ptr[0], HTTP_TCHAR) || in->ptr[0] == ':' || in->ptr[0] == '/'))
			cdn_skip(in, 1);
	}
	return value;
}

/* *( ";" *SP key [ "=" bare-item ] ) */
static bool cdn_params(struct hf_span *in)
{
	while (cdn_at(in, ';')) {
		cdn_skip(in, 1);
		cdn_skip_ws(in, /* tabs= */ false);
		if (cdn_key(in).len == 0)
			return false;
		if (!cdn_at(in, '='))
			continue;
		cdn_skip(in, 1);
		if (cdn_bare_item(in).type == CDN_BAD)
			return false;
	}
	return true;
}

/* "(" *SP [ item *( 1*SP item ) *SP ] ")" */
static enum cdn_type cdn_inner_list(struct hf_span *in)
{
	HF_ASSERT(cdn_at(in, '('));
	cdn_skip(in, 1);
	while (in->len > 0) {
		cdn_skip_ws(in, /* tabs= */ false);
		if (cdn_at(in, ')')) {
			cdn_skip(in, 1);
			return CDN_OTHER;
		}
		if (cdn_bare_item(in).type == CDN_BAD || !cdn_params(in))
			return CDN_BAD;
		if (!cdn_at(in, ' ') && !cdn_at(in, ')'))
			return CDN_BAD;
	}
	return CDN_BAD;
}

/* The last of equal keys counts (RFC 8941 §4.2.2). Of another type: a number is ignored, a flag
 * counts as set; so does one that names fields, as RFC 9111 §5.2.2.4 permits. */
static void cdn_apply(struct hf_http_cc *cc, struct hf_span key, struct cdn_value value)
{
	const struct http_cc_directive *d = http_cc_lookup(key);

	HF_ASSERT(value.type != CDN_BAD);
	cc->present = true;
	if (d == NULL)
		return;
	if (d->kind == HTTP_CC_FLAG || d->kind == HTTP_CC_FIELDS) {
		*http_cc_flag(cc, d->flag_at) = value.type != CDN_FALSE;
		return;
	}
	*http_cc_flag(cc, d->flag_at) = value.type == CDN_INTEGER;
	*http_cc_value(cc, d->value_at) = value.type == CDN_INTEGER ? value.s : 0;
}

static bool cdn_member(struct hf_span *in, struct hf_http_cc *cc)
{
	struct cdn_value value = { .type = CDN_TRUE };
	struct hf_span key = cdn_key(in);

	if (key.len == 0)
		return false;
	if (cdn_at(in, '=')) {
		cdn_skip(in, 1);
		if (cdn_at(in, '('))
			value.type = cdn_inner_list(in);
		else
			value = cdn_bare_item(in);
	}
	if (value.type == CDN_BAD || !cdn_params(in))
		return false;
	cdn_apply(cc, key, value);
	return true;
}

static bool cdn_line(struct hf_span in, struct hf_http_cc *cc)
{
	in = hf_http_trim(in);
	for (;;) {
		if (!cdn_member(&in, cc))
			return false;
		cdn_skip_ws(&in, /* tabs= */ true);
		if (in.len == 0)
			return true;
		if (!cdn_at(&in, ','))
			return false;
		cdn_skip(&in, 1);
		cdn_skip_ws(&in, /* tabs= */ true);
	}
}

bool hf_http_cc_from_cdn(const struct hf_http_fields *fields, struct hf_http_cc *ret_cc)
{
	struct hf_http_cc cc;

	HF_ASSERT_HOT(fields->count <= HF_HTTP_LINES_MAX);
	if (!hf_http_fields_have(fields, HF_HTTP_FIELD_CDN_CACHE_CONTROL))
		return false;
	hf_http_cc_init(&cc);
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i];

		if (line->id == HF_HTTP_FIELD_CDN_CACHE_CONTROL && !cdn_line(line->value, &cc))
			return false;
	}
	*ret_cc = cc;
	return true;
}
