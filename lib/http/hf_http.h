/* SPDX-License-Identifier: BSD-3-Clause
 *
 * http - HTTP/1.1 messages as spans: requests, origin answers, chunked bodies, dates, cache keys.
 *
 * What      Parsers that read bytes in place and point into them. The request parser is strict where
 *           two readers of one message could differ (RFC 9112 §11.2, request smuggling); the response
 *           parser takes what libcurl's header callback hands over.
 * Picture
 *      bytes --hf_http_req_parse--> struct hf_http_req --+-- hf_http_key_build --> key
 *        |                            fields: lines[]    +-- hf_http_cc_*      --> directives
 *        +-- body --hf_http_chunked_next--> data spans   +-- lib/resp: what is sent on
 * Threads   any; pure, but for the operator's names of secrets. No heap, no clock, no I/O.
 * Lifetime  Every span points into the caller's buffer (or at a literal) and lives as long as that.
 * Promises  H1 Nothing at or after buf + len is read. H2 After MORE call again with the same bytes and
 *           more; *ret_req and *ret_resp are scratch until DONE (they are too large to copy). H3 The
 *           verdict does not depend on how the bytes were cut. H4 Work is linear in the input, but
 *           for Connection options (at most HF_HTTP_CONN_OPTIONS_MAX) times lines.
 * Limits    struct hf_http_limits; HF_HTTP_LINES_MAX lines; request targets with bytes outside ASCII
 *           are refused.
 * Files     http_req.c http_memo.c http_resp.c http_fields.c http_chunk.c http_list.c http_cc.c http_cdn.c
 *           http_date.c http_cond.c http_range.c http_key.c http_secret.c http_trace.c tbl/fields.h tbl/methods.h
 *           tbl/secrets.h
 * Tests     tests/unit/http, tests/fuzz/fuzz_{http_req,http_resp,chunked,cache_control,range,date,traceparent}.c
 */
#ifndef HF_HTTP_H
#define HF_HTTP_H

#include "hf_base.h"
#include "hf_stat.h"

#define HF_HTTP_LINES_MAX        128
#define HF_HTTP_CONN_OPTIONS_MAX 32
#define HF_HTTP_DATE_LEN         29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

enum hf_parse {
	HF_PARSE_DONE,
	HF_PARSE_MORE,
	HF_PARSE_BAD,
};

/* ---- methods ---- */

enum hf_http_method {
#define X(id, name, flags) HF_HTTP_##id,
#include "tbl/methods.h"
#undef X
	HF_HTTP_OTHER, /* a valid token that is none of these */
	HF_HTTP_METHOD_COUNT
};

/* "GET" ...; "OTHER" for HF_HTTP_OTHER: the text itself is in struct hf_http_req. */
const char *hf_http_method_name(enum hf_http_method method);
/* RFC 9110 §9.2.1, §9.2.2; false for OTHER. */
bool hf_http_method_is_safe(enum hf_http_method method);
bool hf_http_method_is_idempotent(enum hf_http_method method);

/* ---- fields ---- */

enum hf_http_field_flags {
	HF_HTTP_FIELD_HOP = 1 << 0,
	HF_HTTP_FIELD_END = 1 << 1,
	HF_HTTP_FIELD_SCRUB = 1 << 2,
	HF_HTTP_FIELD_SINGLE = 1 << 3,
	HF_HTTP_FIELD_COND = 1 << 4,
	HF_HTTP_FIELD_OURS = 1 << 5,
};

enum hf_http_field {
	HF_HTTP_FIELD_OTHER,
#define X(id, name, flags) HF_HTTP_FIELD_##id,
#include "tbl/fields.h"
#undef X
	HF_HTTP_FIELD_COUNT
};

/* Case-insensitive; HF_HTTP_FIELD_OTHER when unknown. No control characters in name. */
enum hf_http_field hf_http_field_lookup(struct hf_span name);
/* Lower case; "" for OTHER. */
struct hf_span hf_http_field_name(enum hf_http_field id);
/* HF_HTTP_FIELD_* flags; 0 for OTHER. */
unsigned hf_http_field_flags(enum hf_http_field id);

struct hf_http_line {
	struct hf_span name;  /* as received */
	struct hf_span value; /* without the white space around it; may be empty */
	enum hf_http_field id;
	bool hop; /* hop-by-hop: by the table, or named by Connection (RFC 9110 §7.6.1) */
};

struct hf_http_fields {
	uint64_t have; /* bit id: at least one such line */
	uint32_t count;
	struct hf_http_line lines[HF_HTTP_LINES_MAX];
};

static inline bool hf_http_fields_have(const struct hf_http_fields *fields, enum hf_http_field id)
{
	return (fields->have >> id) & 1;
}

/* The first line of that id, or NULL. */
const struct hf_http_line *hf_http_fields_find(
	const struct hf_http_fields *fields, enum hf_http_field id);
/* Is `token` an element (up to ';' or white space) of a comma list in any line of that id?
 * Case-insensitive. */
bool hf_http_fields_list_has(
	const struct hf_http_fields *fields, enum hf_http_field id, struct hf_span token);
/* Did a proxy that calls itself `by` pass this message on (Via, RFC 9110 §7.6.3)? */
bool hf_http_via_has(const struct hf_http_fields *fields, struct hf_span by);

/* ---- requests ---- */

enum hf_http_form { /* RFC 9112 §3.2 */
	HF_HTTP_FORM_ORIGIN,
	HF_HTTP_FORM_ABSOLUTE,
	HF_HTTP_FORM_AUTHORITY, /* CONNECT only */
	HF_HTTP_FORM_ASTERISK,  /* OPTIONS only; also of absolute-form without path (§3.2.4) */
};

enum hf_http_body {
	HF_HTTP_BODY_NONE,
	HF_HTTP_BODY_LENGTH, /* content_length > 0 */
	HF_HTTP_BODY_CHUNKED,
};

struct hf_http_limits {
	uint32_t head_max;  /* bytes of request line and fields together */
	uint32_t uri_max;   /* bytes of the request target */
	uint32_t lines_max; /* <= HF_HTTP_LINES_MAX */
};

/* For what was parsed before. */
extern const struct hf_http_limits hf_http_no_limits;

struct hf_http_req {
	enum hf_http_method method;
	enum hf_http_form form;
	enum hf_http_body body;
	uint8_t minor; /* HTTP/1.minor: 0, or 1 for 1 and above */
	bool keep_alive;
	bool expect_continue; /* Expect: 100-continue from a 1.1 client (RFC 9110 §10.1.1) */
	bool expect_unknown;  /* any other expectation: 417 */
	bool te_trailers;     /* TE: trailers */
	bool has_authorization;
	bool has_range;       /* Range */
	bool has_conditional; /* any If-* */
	/* target has no '?'; no '%' and no segment that begins with a dot; false: who wants to know looks */
	bool no_query, no_escape;
	int32_t max_forwards; /* OPTIONS and TRACE (RFC 9110 §7.6.2); -1: none or another method */
	uint64_t content_length; /* body == LENGTH, else 0 */
	size_t head_len;         /* bytes up to and with the empty line; leading empty lines too */
	struct hf_span method_text;
	struct hf_span target; /* as received */
	struct hf_span scheme; /* absolute-form's ("http" or "https", any case), else "http" */
	struct hf_span
		authority; /* absolute-form wins over Host (RFC 9112 §3.2.2); empty only in 1.0 */
	struct hf_span
		path_query; /* begins with '/', or with '?' where absolute-form has no path; "*" in
			       asterisk-form; empty in authority-form */
	struct hf_http_fields fields;
};

struct hf_http_fault {
	uint16_t status; /* what to answer before closing: 400 414 431 501 505 */
	enum hf_drop reason;
};

/* Parses the request head at buf. DONE fills *ret_req, BAD *ret_fault. Bodies follow at head_len.
 */
enum hf_parse hf_http_req_parse(const char *buf, size_t len, const struct hf_http_limits *limits,
	struct hf_http_req *ret_req, struct hf_http_fault *ret_fault) HF_MUST_CHECK;

/* ---- origin answers ---- */

struct hf_http_resp {
	uint16_t status; /* 100-999 */
	uint8_t minor;
	bool keep_alive;
	bool chunked; /* libcurl has undone it already */
	bool has_content_length;
	uint64_t content_length;
	size_t head_len;
	struct hf_span reason;
	struct hf_http_fields fields;
};

/* Status line, field lines, empty line: as libcurl's header callback hands them over, one after
 * another. HTTP/2 and HTTP/3 status lines are taken as 1.1; a bare LF ends a line too (RFC 9112 §2.2),
 * white space before a colon is dropped (§5.1). BAD: garbage, obs-fold, bare CR, NUL, Content-Length that
 * disagrees, codings other than chunked, over 128 lines. The caller bounds len. */
enum hf_parse hf_http_resp_parse(
	const char *buf, size_t len, struct hf_http_resp *ret_resp) HF_MUST_CHECK;

/* The field lines of a head that hf_resp_store_head wrote: a status line and fields, each with its CRLF, no
 * empty line. False: over HF_HTTP_LINES_MAX lines, or no such head. */
bool hf_http_stored_parse(struct hf_span head, struct hf_http_fields *ret_fields) HF_MUST_CHECK;

/* ---- chunked request bodies (RFC 9112 §7.1) ---- */

enum hf_http_chunk {
	HF_HTTP_CHUNK_DATA, /* *ret_data is body (never empty); call again with the rest */
	HF_HTTP_CHUNK_MORE, /* all of the input was consumed */
	HF_HTTP_CHUNK_END,  /* body and trailers are over; the rest is the next request */
	HF_HTTP_CHUNK_BAD,  /* 400 and close; sticks */
};

struct hf_http_chunked {
	uint64_t left;      /* of the chunk */
	uint64_t body_len;  /* data handed out so far */
	uint32_t line_len;  /* of the size line or of the trailers */
	uint32_t extra_len; /* all extensions so far */
	uint8_t state;
	uint8_t digits;
};

void hf_http_chunked_init(struct hf_http_chunked *chunked);
/* Sets *ret_consumed always, *ret_data with DATA (a span of `in`). Extensions and trailers are
 * bounded and skipped. */
enum hf_http_chunk hf_http_chunked_next(struct hf_http_chunked *chunked, const char *in, size_t len,
	size_t *ret_consumed, struct hf_span *ret_data) HF_MUST_CHECK;

/* ---- lists, tokens, numbers ---- */

/* Takes the next non-empty element of a comma list off *list, without the white space around it;
 * commas in quoted strings do not count (RFC 9110 §5.6.1). False at the end. */
bool hf_http_list_next(struct hf_span *list, struct hf_span *ret_item);
bool hf_http_is_token(struct hf_span text);
struct hf_span hf_http_trim(struct hf_span text);
/* Digits only. -EINVAL, or -ERANGE beyond 2^63 - 1. */
int hf_http_parse_u64(struct hf_span text, uint64_t *ret_value) HF_MUST_CHECK;
/* delta-seconds (RFC 9111 §1.2.2): 2^31 stands for all that is larger. -EINVAL when not digits. */
int hf_http_parse_delta(struct hf_span text, uint32_t *ret_s) HF_MUST_CHECK;

/* ---- Cache-Control (RFC 9111 §5.2, RFC 5861, RFC 8246) ---- */

#define HF_HTTP_DELTA_MAX (1U << 31)

struct hf_http_cc {
	bool present; /* at least one directive was seen */
	bool no_store, no_cache, is_private, is_public;
	/* they named fields that may be left out (hf_http_cc_leaves_out); the plain flag is not set */
	bool no_cache_fields, private_fields;
	bool must_revalidate, proxy_revalidate, must_understand;
	bool immutable, no_transform, only_if_cached;
	bool has_max_age, has_s_maxage, has_min_fresh, has_max_stale;
	bool has_stale_while_revalidate, has_stale_if_error;
	uint32_t max_age_s, s_maxage_s, min_fresh_s;
	uint32_t max_stale_s; /* HF_HTTP_DELTA_MAX: any */
	uint32_t stale_while_revalidate_s, stale_if_error_s;
};

void hf_http_cc_init(struct hf_http_cc *cc);
/* Adds one field value. Of repeated directives the most restrictive counts, an invalid number is
 * stale at once (RFC 9111 §4.2.1), unknown directives are ignored, a string that nobody closes means
 * no-store. */
void hf_http_cc_parse(struct hf_http_cc *cc, struct hf_span value);
/* Init, then every Cache-Control line. */
void hf_http_cc_from_fields(const struct hf_http_fields *fields, struct hf_http_cc *ret_cc);
/* Does Cache-Control name this field in private="..." or no-cache="...": to be left out of what is stored
 * (RFC 9111 §5.2.2.4, §5.2.2.7)? Where a name is none, or of a field that the content cannot do without,
 * none of that directive's are: it counts as if it had no argument. */
bool hf_http_cc_leaves_out(const struct hf_http_fields *fields, struct hf_span name);
/* CDN-Cache-Control (RFC 9213), a structured dictionary. False and *ret_cc untouched when there is
 * none, it is empty or malformed: then Cache-Control counts. */
bool hf_http_cc_from_cdn(const struct hf_http_fields *fields, struct hf_http_cc *ret_cc);

/* ---- dates (RFC 9110 §5.6.7) ---- */

/* IMF-fixdate, RFC 850 or asctime, in any case. now_s (Unix seconds) settles RFC 850's century. -EINVAL. */
int hf_http_date_parse(struct hf_span text, int64_t now_s, int64_t *ret_s) HF_MUST_CHECK;
/* Writes HF_HTTP_DATE_LEN bytes, no NUL. 0 <= s, year <= 9999. */
void hf_http_date_format(int64_t s, char buf[HF_HTTP_DATE_LEN]);

/* ---- preconditions and ranges, as a cache evaluates them (RFC 9110 §13, §14) ---- */

/* Has the client of a GET or HEAD what is stored, so that 304 is its answer? If-None-Match by weak
 * comparison over all its lines, or "*"; only without it If-Modified-Since, against Last-Modified, or
 * against Date when there is none (RFC 9111 §4.3.2). If-Match and If-Unmodified-Since are the origin's.
 * `stored`: of a response with status 200. now_s settles RFC 850's century. */
bool hf_http_not_modified(
	const struct hf_http_req *req, const struct hf_http_fields *stored, int64_t now_s);

#define HF_HTTP_RANGES_MAX 8

struct hf_http_range {
	uint64_t begin, end; /* of the body; end is exclusive; not empty */
};

enum hf_http_ranges {
	HF_HTTP_RANGES_WHOLE, /* no Range, none that counts, or one that nobody has to bear: 200 */
	HF_HTTP_RANGES_SOME,  /* 206 */
	HF_HTTP_RANGES_NONE,  /* nothing of what was asked for is there: 416 */
};

/* What of a stored 200 with `length` bytes of body the client of a GET wants (§14.2). Range does not
 * count with another method, with another unit, malformed, on several lines, or when If-Range names
 * another version (strong comparison, §13.1.5; a date counts only when Last-Modified is strong by
 * §8.8.2.2). Ranges that overlap or have a gap below 80 bytes are one (§15.3.7.2), in the order in
 * which they were asked for; more than HF_HTTP_RANGES_MAX at any time of that: WHOLE (§17.15); so is the
 * suffix of an empty body, which no Content-Range could tell. ret_range has HF_HTTP_RANGES_MAX places,
 * *ret_count of them mean something with SOME. length <= INT64_MAX. */
enum hf_http_ranges hf_http_ranges_of(const struct hf_http_req *req,
	const struct hf_http_fields *stored, uint64_t length, int64_t now_s,
	struct hf_http_range *ret_range, uint32_t *ret_count);

/* ---- what an origin says of a part (RFC 9110 §14.4, §8.8.3) ---- */

/* The ETag, quotes and all, where there is one line of it, well-formed and strong; else empty. */
struct hf_span hf_http_strong_etag(const struct hf_http_fields *fields);
/* Content-Range: one line, of bytes, first <= last < length, the length told. Else false. */
bool hf_http_content_range(
	const struct hf_http_fields *fields, struct hf_http_range *ret_range, uint64_t *ret_length);

/* ---- keys (RFC 3986 §6, RFC 9110 §4.2.3) ---- */

/* Writes "http://host[:port]/path?query", normalised: scheme and host lower case, default port
 * dropped, unreserved characters decoded, hex digits upper case, dot segments removed. A '%'
 * without two hex digits stays as it is; "?" without a query stays. Returns the length, -EINVAL
 * (authority empty or malformed), -ENOSPC. cap >= the lengths together + 16 is always enough. The
 * origin must be asked for this URL, not for what the client sent: else a client could store one
 * spelling's answer under another's key. */
int hf_http_key_build(char *buf, size_t cap, struct hf_span scheme, struct hf_span authority,
	struct hf_span path_query) HF_MUST_CHECK;
/* Is it host [":" port] as RFC 3986 §3.2 wants it, no userinfo, port 1-65535 or empty? */
bool hf_http_authority_is_valid(struct hf_span authority);

/* ---- W3C Trace Context ---- */

#define HF_HTTP_TRACE_LEN      55 /* of traceparent in version 00, which is the one that is written */
#define HF_HTTP_TRACE_ID_LEN   16
#define HF_HTTP_TRACE_SPAN_LEN 8
#define HF_HTTP_TRACE_SAMPLED  1
#define HF_HTTP_TRACESTATE_MAX 512 /* bytes of tracestate that go with a parent of our own */

struct hf_http_trace {
	uint8_t id[HF_HTTP_TRACE_ID_LEN];
	uint8_t span[HF_HTTP_TRACE_SPAN_LEN]; /* "parent-id": the caller's span */
	uint8_t flags;                        /* those that version 00 knows: sampled and random */
};

/* traceparent: lower-case hex, ids that are not zero, version 00 of its exact length, a later one as far as it
 * is like 00 (section 3.2, 4.3). False: it does not count, and *ret_trace is untouched. */
bool hf_http_trace_parse(struct hf_span text, struct hf_http_trace *ret_trace);
/* The same of the only line of it. */
bool hf_http_trace_of(const struct hf_http_fields *fields, struct hf_http_trace *ret_trace);
/* No NUL. */
void hf_http_trace_format(const struct hf_http_trace *trace, char ret_text[HF_HTTP_TRACE_LEN]);

/* ---- secrets ---- */

/* The operator's own names, beside the tables: of fields, and of query parameters (a '*' at one end stands for
 * anything). Copied; at once in force for all threads. One thread sets them, and before it does so again every
 * thread that asks has ended what it was doing. */
void hf_http_secrets_set(const struct hf_names *fields, const struct hf_names *parameters);
/* Does the field hold a credential or a session: HF_HTTP_FIELD_SCRUB, or the operator's? */
bool hf_http_field_is_secret(enum hf_http_field id, struct hf_span name);
/* Does the query hold a parameter whose name says credential: tbl/secrets.h, or the operator's? Names are compared
 * without case, percent-decoded, '-' and '.' as '_'. */
bool hf_http_query_has_secret(struct hf_span path_query);
/* Copies a URL, target or key with the values of such parameters replaced by "***"; what does not
 * fit is left off. Returns the length; no NUL. For every URL that a log, the CLI or a metric shows.
 */
size_t hf_http_redact(struct hf_span url, char *buf, size_t cap);

#endif
