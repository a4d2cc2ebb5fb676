/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Field lines: the parser that requests and answers share, the table of known names, Connection.
 */
#include "hf_http.h"

#include <string.h>

#include "http_priv.h"

#define FIELDS_NAME_MAX 25

#define HOP    HF_HTTP_FIELD_HOP
#define END    HF_HTTP_FIELD_END
#define SCRUB  HF_HTTP_FIELD_SCRUB
#define SINGLE HF_HTTP_FIELD_SINGLE
#define COND   HF_HTTP_FIELD_COND
#define OURS   HF_HTTP_FIELD_OURS

static const struct {
	struct hf_span name;
	unsigned flags;
} fields_infos[HF_HTTP_FIELD_COUNT] = {
	[HF_HTTP_FIELD_OTHER] = { { "", 0 }, 0 },
#define X(id, text, bits) [HF_HTTP_FIELD_##id] = { { text, sizeof(text) - 1 }, bits },
#include "tbl/fields.h"
#undef X
};

HF_STATIC_ASSERT(HF_HTTP_FIELD_COUNT <= 64, "struct hf_http_fields.have is 64 bits");

/* The known names by length, those of most requests first; 0 (OTHER) ends a row. A test looks every
 * name up. */
static const uint8_t fields_by_len[FIELDS_NAME_MAX + 1][8] = {
	[2] = { HF_HTTP_FIELD_TE },
	[3] = { HF_HTTP_FIELD_AGE, HF_HTTP_FIELD_VIA },
	[4] = { HF_HTTP_FIELD_HOST, HF_HTTP_FIELD_DATE, HF_HTTP_FIELD_VARY, HF_HTTP_FIELD_ETAG },
	[5] = { HF_HTTP_FIELD_RANGE },
	[6] = { HF_HTTP_FIELD_ACCEPT, HF_HTTP_FIELD_COOKIE, HF_HTTP_FIELD_PRAGMA,
		HF_HTTP_FIELD_EXPECT, HF_HTTP_FIELD_SERVER },
	[7] = { HF_HTTP_FIELD_TRAILER, HF_HTTP_FIELD_UPGRADE, HF_HTTP_FIELD_EXPIRES,
		HF_HTTP_FIELD_REFERER, HF_HTTP_FIELD_WARNING },
	[8] = { HF_HTTP_FIELD_IF_MATCH, HF_HTTP_FIELD_IF_RANGE, HF_HTTP_FIELD_LOCATION },
	[9] = { HF_HTTP_FIELD_FORWARDED, HF_HTTP_FIELD_X_API_KEY, HF_HTTP_FIELD_CACHE_TAG },
	[10] = { HF_HTTP_FIELD_USER_AGENT, HF_HTTP_FIELD_CONNECTION, HF_HTTP_FIELD_KEEP_ALIVE,
		HF_HTTP_FIELD_SET_COOKIE, HF_HTTP_FIELD_TRACESTATE },
	[11] = { HF_HTTP_FIELD_SET_COOKIE2, HF_HTTP_FIELD_RETRY_AFTER, HF_HTTP_FIELD_TRACEPARENT },
	[12] = { HF_HTTP_FIELD_CONTENT_TYPE, HF_HTTP_FIELD_X_AUTH_TOKEN, HF_HTTP_FIELD_X_CSRF_TOKEN,
		HF_HTTP_FIELD_MAX_FORWARDS, HF_HTTP_FIELD_CACHE_STATUS },
	[13] = { HF_HTTP_FIELD_CONTENT_RANGE, HF_HTTP_FIELD_AUTHORIZATION,
		HF_HTTP_FIELD_CACHE_CONTROL, HF_HTTP_FIELD_LAST_MODIFIED,
		HF_HTTP_FIELD_IF_NONE_MATCH, HF_HTTP_FIELD_ACCEPT_RANGES,
		HF_HTTP_FIELD_SURROGATE_KEY },
	[14] = { HF_HTTP_FIELD_HTTP2_SETTINGS, HF_HTTP_FIELD_CONTENT_LENGTH },
	[15] = { HF_HTTP_FIELD_ACCEPT_ENCODING, HF_HTTP_FIELD_ACCEPT_LANGUAGE,
		HF_HTTP_FIELD_X_FORWARDED_FOR },
	[16] = { HF_HTTP_FIELD_PROXY_CONNECTION, HF_HTTP_FIELD_CONTENT_ENCODING,
		HF_HTTP_FIELD_CONTENT_LOCATION },
	[17] = { HF_HTTP_FIELD_TRANSFER_ENCODING, HF_HTTP_FIELD_CDN_CACHE_CONTROL,
		HF_HTTP_FIELD_IF_MODIFIED_SINCE, HF_HTTP_FIELD_X_FORWARDED_PROTO },
	[18] = { HF_HTTP_FIELD_PROXY_AUTHENTICATE },
	[19] = { HF_HTTP_FIELD_PROXY_AUTHORIZATION, HF_HTTP_FIELD_AUTHENTICATION_INFO,
		HF_HTTP_FIELD_IF_UNMODIFIED_SINCE },
	[25] = { HF_HTTP_FIELD_PROXY_AUTH_INFO },
};

#define FIELDS_CASE 0x2020202020202020ULL

static uint64_t fields_load(const char *at, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, at, len);
	return v | FIELDS_CASE;
}

/* Same length. Eight bytes at once with the case bit set: among characters that are no controls
 * only the two cases of a letter then look alike, and those of '^' and '~' and their like, which no
 * known name has. */
static bool fields_name_is(const char *name, struct hf_span lower)
{
	size_t at = 0;

	for (; at + 8 <= lower.len; at += 8)
		if (fields_load(name + at, 8) != fields_load(lower.ptr + at, 8))
			return false;
	if (lower.len >= 8)
		return fields_load(name + lower.len - 8, 8) ==
		       fields_load(lower.ptr + lower.len - 8, 8);
	if (lower.len >= 4)
		return fields_load(name, 4) == fields_load(lower.ptr, 4) &&
		       fields_load(name + lower.len - 4, 4) ==
			       fields_load(lower.ptr + lower.len - 4, 4);
	for (; at < lower.len; at++)
		if (http_lower(name[at]) != lower.ptr[at])
			return false;
	return true;
}

static inline enum hf_http_field fields_lookup(struct hf_span name)
{
	if (name.len > FIELDS_NAME_MAX)
		return HF_HTTP_FIELD_OTHER;
	for (size_t i = 0; i < HF_ARRAY_LEN(fields_by_len[0]); i++) {
		enum hf_http_field id = (enum hf_http_field)fields_by_len[name.len][i];

		if (id == HF_HTTP_FIELD_OTHER)
			break;
		HF_ASSERT_HOT(fields_infos[id].name.len == name.len);
		if ((name.ptr[0] | 0x20) == fields_infos[id].name.ptr[0] &&
			fields_name_is(name.ptr, fields_infos[id].name))
			return id;
	}
	return HF_HTTP_FIELD_OTHER;
}

enum hf_http_field hf_http_field_lookup(struct hf_span name)
{
	return fields_lookup(name);
}

struct hf_span hf_http_field_name(enum hf_http_field id)
{
	HF_ASSERT(id < HF_HTTP_FIELD_COUNT);
	return fields_infos[id].name;
}

unsigned hf_http_field_flags(enum hf_http_field id)
{
	HF_ASSERT(id < HF_HTTP_FIELD_COUNT);
	return fields_infos[id].flags;
}

const struct hf_http_line *hf_http_fields_find(
	const struct hf_http_fields *fields, enum hf_http_field id)
{
	HF_ASSERT_HOT(id != HF_HTTP_FIELD_OTHER && id < HF_HTTP_FIELD_COUNT);
	HF_ASSERT_HOT(fields->count <= HF_HTTP_LINES_MAX);
	if (!hf_http_fields_have(fields, id))
		return NULL;
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->lines[i].id == id)
			return &fields->lines[i];
	return NULL;
}

/* An element without its parameters. */
static struct hf_span fields_item_head(struct hf_span item)
{
	size_t n = 0;

	while (n < item.len && item.ptr[n] != ';' && !http_is_ws(item.ptr[n]))
		n++;
	return (struct hf_span){ item.ptr, n };
}

bool hf_http_fields_list_has(
	const struct hf_http_fields *fields, enum hf_http_field id, struct hf_span token)
{
	struct hf_span item;

	HF_ASSERT_HOT(token.len > 0);
	if (!hf_http_fields_have(fields, id))
		return false;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != id)
			continue;
		while (hf_http_list_next(&list, &item))
			if (hf_span_caseeq(fields_item_head(item), token))
				return true;
	}
	return false;
}

/* Via: 1.1 name (comment), HTTP/1.1 name */
static bool fields_via_item_is(struct hf_span item, struct hf_span by)
{
	struct hf_span protocol = fields_item_head(item);
	struct hf_span rest = { item.ptr + protocol.len, item.len - protocol.len };

	return hf_span_caseeq(fields_item_head(hf_http_trim(rest)), by);
}

bool hf_http_via_has(const struct hf_http_fields *fields, struct hf_span by)
{
	struct hf_span item;

	HF_ASSERT(by.len > 0);
	if (!hf_http_fields_have(fields, HF_HTTP_FIELD_VIA))
		return false;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_VIA)
			continue;
		while (hf_http_list_next(&list, &item))
			if (fields_via_item_is(item, by))
				return true;
	}
	return false;
}

/* ---- the line parser ---- */

/* Moves *p over CRLF (or a bare LF). */
static enum http_lines fields_line_end(const char **p, const char *end, bool bare_lf)
{
	const char *at = *p;

	if (at == end)
		return HTTP_LINES_MORE;
	if (*at == '\n' && bare_lf) {
		*p = at + 1;
		return HTTP_LINES_DONE;
	}
	if (*at != '\r')
		return HTTP_LINES_BAD;
	if (at + 1 == end)
		return HTTP_LINES_MORE;
	if (at[1] != '\n')
		return HTTP_LINES_BAD;
	*p = at + 2;
	return HTTP_LINES_DONE;
}

/* Behind a name: its colon, with white space before it in an answer. Two readers of that may not
 * agree about the body's end, so it may not be what says that. */
static enum http_lines fields_colon(
	const char **p, const char *end, bool repair, const struct hf_http_line *line)
{
	const char *at = *p;

	while (repair && at < end && http_is_ws(*at))
		at++;
	if (at == end)
		return HTTP_LINES_MORE;
	if (*at != ':')
		return HTTP_LINES_BAD;
	if (at > *p && (line->id == HF_HTTP_FIELD_CONTENT_LENGTH ||
			       line->id == HF_HTTP_FIELD_TRANSFER_ENCODING))
		return HTTP_LINES_BAD;
	*p = at + 1;
	return HTTP_LINES_DONE;
}

/* One "name: value" with its line end. A line that begins with white space (obs-fold, RFC 9112
 * §5.2) has no name there and so is bad. */
static enum http_lines fields_line(
	const char **p, const char *end, bool repair, struct hf_http_line *ret_line)
{
	const char *name = *p;
	const char *at = http_skip_token(name, end);
	const char *value;
	enum http_lines verdict;

	if (at == end)
		return HTTP_LINES_MORE;
	if (at == name)
		return HTTP_LINES_BAD;
	ret_line->name = (struct hf_span){ name, (size_t)(at - name) };
	ret_line->id = fields_lookup(ret_line->name);
	verdict = fields_colon(&at, end, repair, ret_line);
	if (verdict != HTTP_LINES_DONE)
		return verdict;
	value = at;
	at = http_skip_value(at, end);
	ret_line->value = hf_http_trim((struct hf_span){ value, (size_t)(at - value) });
	verdict = fields_line_end(&at, end, repair);
	if (verdict == HTTP_LINES_DONE)
		*p = at;
	return verdict;
}

enum http_lines http_lines_parse(const char **p, const char *end, uint32_t lines_max, bool repair,
	struct hf_http_fields *fields)
{
	const char *at = *p;

	HF_ASSERT(lines_max <= HF_HTTP_LINES_MAX);
	HF_ASSERT_HOT(at <= end);
	fields->have = 0;
	fields->count = 0;
	for (;;) {
		struct hf_http_line *line = &fields->lines[fields->count];
		enum http_lines verdict;

		if (at == end)
			return HTTP_LINES_MORE;
		if (*at == '\r' || *at == '\n')
			break;
		if (fields->count == lines_max)
			return HTTP_LINES_TOO_MANY;
		verdict = fields_line(&at, end, repair, line);
		if (verdict != HTTP_LINES_DONE)
			return verdict;
		line->hop = (fields_infos[line->id].flags & HF_HTTP_FIELD_HOP) != 0;
		if (hf_http_fields_have(fields, line->id) &&
			(fields_infos[line->id].flags & HF_HTTP_FIELD_SINGLE))
			return HTTP_LINES_BAD;
		fields->have |= 1ULL << line->id;
		fields->count++;
	}
	*p = at;
	return fields_line_end(p, end, repair);
}

/* ---- Transfer-Encoding ---- */

enum http_coding http_fields_coding(const struct hf_http_fields *fields)
{
	unsigned codings = 0, chunked = 0;
	bool last_chunked = false;
	struct hf_span coding;

	if (!hf_http_fields_have(fields, HF_HTTP_FIELD_TRANSFER_ENCODING))
		return HTTP_CODING_NONE;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_TRANSFER_ENCODING)
			continue;
		while (hf_http_list_next(&list, &coding)) {
			last_chunked = hf_span_caseeq(coding, HF_SPAN("chunked"));
			chunked += last_chunked;
			codings++;
		}
	}
	if (!last_chunked || chunked > 1)
		return HTTP_CODING_FAULTY;
	return codings == 1 ? HTTP_CODING_CHUNKED : HTTP_CODING_MORE;
}

/* ---- Connection ---- */

static void fields_mark_hop(struct hf_http_fields *fields, struct hf_span option)
{
	enum hf_http_field id = hf_http_field_lookup(option);

	if (fields_infos[id].flags & HF_HTTP_FIELD_END)
		return;
	if (!hf_http_fields_have(fields, id))
		return;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_http_line *line = &fields->lines[i];

		if (line->id == id && hf_span_caseeq(line->name, option))
			line->hop = true;
	}
}

bool http_fields_mark_hops(struct hf_http_fields *fields)
{
	uint32_t options = 0;
	struct hf_span option;

	HF_ASSERT_HOT(fields->count <= HF_HTTP_LINES_MAX);
	if (!hf_http_fields_have(fields, HF_HTTP_FIELD_CONNECTION))
		return true;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_CONNECTION)
			continue;
		while (hf_http_list_next(&list, &option)) {
			if (++options > HF_HTTP_CONN_OPTIONS_MAX)
				return false;
			fields_mark_hop(fields, option);
		}
	}
	return true;
}

bool http_fields_keep_alive(const struct hf_http_fields *fields, uint8_t minor)
{
	enum hf_http_field id = HF_HTTP_FIELD_CONNECTION;

	if (!hf_http_fields_have(fields, id))
		return minor >= 1;
	if (hf_http_fields_list_has(fields, id, HF_SPAN("close")))
		return false;
	return minor >= 1 || hf_http_fields_list_has(fields, id, HF_SPAN("keep-alive"));
}
