/* SPDX-License-Identifier: BSD-3-Clause
 *
 * http, inside: character classes and the field-line parser that requests and answers share.
 */
#ifndef HF_PRIV_HTTP
#error "http_priv.h is private to lib/http"
#endif
#ifndef HF_HTTP_PRIV_H
#define HF_HTTP_PRIV_H

#include <tmmintrin.h>

#include "hf_bytes.h"
#include "hf_http.h"

enum http_class {
	HTTP_TCHAR = 1 << 0,      /* RFC 9110 §5.6.2 */
	HTTP_VALUE = 1 << 1,      /* field-vchar, obs-text, SP, HTAB (RFC 9110 §5.5) */
	HTTP_URI = 1 << 2,        /* in a request target: visible ASCII but '#' */
	HTTP_UNRESERVED = 1 << 3, /* RFC 3986 §2.3 */
	HTTP_HOST = 1 << 4,       /* in a reg-name (RFC 3986 §3.2.2) */
	HTTP_HEX = 1 << 5,
	HTTP_DIGIT = 1 << 6,
};

extern const uint8_t http_class[256];

static inline bool http_is(char c, unsigned mask)
{
	return (http_class[(uint8_t)c] & mask) != 0;
}

static inline char http_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Of a character that is HTTP_HEX. */
static inline unsigned http_hex_value(char c)
{
	return http_is(c, HTTP_DIGIT) ? (unsigned)(c - '0') : (unsigned)(http_lower(c) - 'a' + 10);
}

static inline bool http_is_ws(char c)
{
	return c == ' ' || c == '\t';
}

/* The next sixteen bytes; of fewer, zeroes behind them. */
static inline __m128i http_load(const char *p, const char *end)
{
	size_t len = (size_t)(end - p);
	uint64_t low;

	if (len >= 16)
		return _mm_loadu_si128((const __m128i *)(const void *)p);
	if (len < 8)
		return _mm_cvtsi64_si128((long long)hf_load_rest(p, len));
	memcpy(&low, p, sizeof(low));
	return _mm_set_epi64x((long long)hf_load_rest(p + 8, len - 8), (long long)low);
}

/* The first byte in [p, end) that may not stand in a field value, or end. */
const char *http_skip_value(const char *p, const char *end);
/* The same for names, and for request targets. */
const char *http_skip_token(const char *p, const char *end);
/* What may be in a request target, when it was skipped; false: it is not. */
struct http_uri_has {
	bool query;  /* '?' */
	bool escape; /* '%', or a segment that begins with a dot */
};

const char *http_skip_uri(const char *p, const char *end, struct http_uri_has *ret_has);

/* Is there a '%' and two hex digits at p? */
static inline bool http_is_escape(const char *p, const char *end)
{
	return end - p >= 3 && p[0] == '%' && http_is(p[1], HTTP_HEX) && http_is(p[2], HTTP_HEX);
}

enum http_lines {
	HTTP_LINES_DONE,
	HTTP_LINES_MORE,
	HTTP_LINES_BAD,
	HTTP_LINES_TOO_MANY,
};

/* Parses field lines and the empty line from *p on; DONE moves *p behind it. repair: an LF alone ends a
 * line too (RFC 9112 §2.2), and white space before a colon is dropped, as it must be of an answer (§5.1). */
enum http_lines http_lines_parse(const char **p, const char *end, uint32_t lines_max, bool repair,
	struct hf_http_fields *fields);

enum http_coding { /* what Transfer-Encoding says (RFC 9112 §6.1) */
	HTTP_CODING_NONE,
	HTTP_CODING_CHUNKED,
	HTTP_CODING_MORE, /* others below chunked */
	HTTP_CODING_FAULTY, /* chunked is not the last, or there twice: no length can be told (§6.3) */
};

enum http_coding http_fields_coding(const struct hf_http_fields *fields);
/* Marks the lines that Connection names. False: more than HF_HTTP_CONN_OPTIONS_MAX options. */
bool http_fields_mark_hops(struct hf_http_fields *fields);
/* keep-alive or close, by version and Connection (RFC 9112 §9.3). */
bool http_fields_keep_alive(const struct hf_http_fields *fields, uint8_t minor);

struct hf_http_memo;

/* Are these the memo's bytes at *p? Then the fields of REQ are what they were, and *p moves behind them. The version
 * is there, what the request line means is not. */
bool http_memo_tell(struct hf_http_memo *memo, const char **p, const char *end, uint32_t lines_max,
	struct hf_http_req *req);
/* The memo's text or site is another one. */
void http_memo_changed(struct hf_http_memo *memo);
/* What TEXT meant; before the request line's meaning. */
void http_memo_keep(
	struct hf_http_memo *memo, const char *text, size_t len, const struct hf_http_req *req);

/* An entity tag (RFC 9110 §8.8.3). */
struct http_etag {
	struct hf_span opaque; /* without the quotes */
	bool weak;
};

/* Takes an entity tag off the front of *text. False: there is none, and *text is untouched. */
bool http_etag_take(struct hf_span *text, struct http_etag *ret_etag);
/* The only line of that id; NULL: none, or several. */
const struct hf_http_line *http_fields_sole(
	const struct hf_http_fields *fields, enum hf_http_field id);
/* The ETag, when there is one line of it and that is well-formed. */
bool http_fields_etag(const struct hf_http_fields *fields, struct http_etag *ret_etag);
/* The date in the only line of that id. */
bool http_fields_date(
	const struct hf_http_fields *fields, enum hf_http_field id, int64_t now_s, int64_t *ret_s);

/* A Cache-Control directive and where it goes; offsets into struct hf_http_cc. */
enum http_cc_kind {
	HTTP_CC_FLAG,
	HTTP_CC_FIELDS,   /* a flag that may name fields */
	HTTP_CC_SECONDS,  /* the smaller is the more restrictive */
	HTTP_CC_AT_LEAST, /* seconds; the larger is the more restrictive */
};

struct http_cc_directive {
	struct hf_span name;
	enum http_cc_kind kind;
	uint8_t flag_at;   /* bool: seen */
	uint8_t fields_at; /* bool: named fields (FIELDS) */
	uint8_t value_at;  /* uint32_t (SECONDS, AT_LEAST) */
};

/* Case-insensitive; NULL when unknown. */
const struct http_cc_directive *http_cc_lookup(struct hf_span name);

static inline bool *http_cc_flag(struct hf_http_cc *cc, uint8_t at)
{
	return (bool *)((char *)cc + at);
}

static inline uint32_t *http_cc_value(struct hf_http_cc *cc, uint8_t at)
{
	return (uint32_t *)(void *)((char *)cc + at);
}

#endif
