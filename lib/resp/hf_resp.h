/* SPDX-License-Identifier: BSD-3-Clause
 *
 * resp - writes message heads: what a client is sent, what an origin is asked, what is stored.
 *
 * What      Builders into the caller's buffer. What goes to a client is a stored block ("HTTP/1.1
 *           200 OK\r\nA: b\r\n", no empty line) plus what belongs to this response alone: Age,
 *           framing, Connection, Cache-Status.
 * Picture
 *      struct hf_http_resp --hf_resp_store_head-----> block   (object memory, shared)
 *                     \----hf_resp_private_fields--> extra   (this client only: Set-Cookie ...)
 *      block + extra + Age + framing --hf_resp_head_build--> bytes for TCP
 *      block's fields, cut to 304, 206, 416 --hf_resp_cut_build--> the same
 *      struct hf_http_req --hf_resp_request_head--> field lines for the origin
 * Threads   any; pure. No heap, no clock, no I/O.
 * Promises  A builder writes at most cap bytes, and returns 0 when it would not fit; then the
 *           buffer's contents are undefined. No NUL is added. Field text comes from lib/http's
 *           parsers, so no line can be injected; spans from the caller (date, names) are trusted.
 * Files     resp_buf.c resp_head.c resp_part.c resp_error.c resp_store.c resp_forward.c
 *           tbl/status.h
 * Tests     tests/unit/resp
 */
#ifndef HF_RESP_H
#define HF_RESP_H

#include "hf_base.h"
#include "hf_http.h"

/* ---- to a client ---- */

enum hf_resp_framing {
	HF_RESP_BODY_NONE,    /* 1xx, 204, 304: no framing field */
	HF_RESP_BODY_LENGTH,  /* Content-Length; also for HEAD, when the length is known */
	HF_RESP_BODY_CHUNKED, /* never to a 1.0 client */
	HF_RESP_BODY_CLOSE,   /* until the connection closes */
};

struct hf_resp_head {
	uint8_t minor;   /* of the request */
	bool keep_alive; /* ignored with BODY_CLOSE */
	struct hf_span
		stored; /* status line and fields, each line with its CRLF; empty: sent before */
	struct hf_span extra; /* more field lines, or empty */
	int64_t age_s;        /* -1: no Age */
	struct hf_span date;  /* Date to add, or empty: stored has one */
	enum hf_resp_framing framing;
	uint64_t content_length;
	/* "hit", "fwd=miss; stored": what follows "holdfast; " (RFC 9211); or NULL */
	const char *cache_status;
};

/* The whole head with its empty line. Returns its length, 0: does not fit. */
size_t hf_resp_head_build(char *buf, size_t cap, const struct hf_resp_head *head) HF_MUST_CHECK;

#define HF_RESP_OWN_MAX 256 /* bytes of it beyond stored and extra */

/* The same for most hits, without asking what this one is not: to a client of HTTP/1.1 that stays, with a length
 * and cache_status "hit". 0: there are not HF_RESP_OWN_MAX bytes behind STORED. */
size_t hf_resp_hit_build(char *buf, size_t cap, struct hf_span stored, uint32_t age_s,
	uint64_t content_length) HF_MUST_CHECK;

/* What a stored 200 becomes for one client: its status line, and which of its fields are told. */
enum hf_resp_part {
	HF_RESP_NOT_MODIFIED, /* 304: only what RFC 9110 §15.4.5 lists, no Content-Length */
	HF_RESP_PARTIAL,      /* 206 with one range: Content-Range (§15.3.7.1) */
	HF_RESP_MULTIPART,    /* 206, multipart/byteranges (§15.3.7.2) */
	HF_RESP_NO_RANGE,     /* 416: Content-Range with the length alone (§15.5.17), no body */
};

struct hf_resp_cut {
	enum hf_resp_part part;
	const struct hf_http_fields *stored; /* of the 200: hf_http_stored_parse */
	struct hf_http_range range;          /* PARTIAL */
	uint64_t length;                     /* PARTIAL, NO_RANGE: of the whole body */
	struct hf_span boundary;             /* MULTIPART */
};

/* hf_resp_head_build with `cut` in the place of head->stored. */
size_t hf_resp_cut_build(char *buf, size_t cap, const struct hf_resp_head *head,
	const struct hf_resp_cut *cut) HF_MUST_CHECK;

/* What stands before each range of a multipart body (RFC 2046 §5.1.1). 0: does not fit. */
struct hf_resp_between {
	bool first;
	struct hf_span boundary;
	struct hf_span type; /* the whole's Content-Type, or empty */
	struct hf_http_range range;
	uint64_t length; /* of the whole body */
};

size_t hf_resp_between_build(
	char *buf, size_t cap, const struct hf_resp_between *between) HF_MUST_CHECK;
/* What stands behind the last one. */
size_t hf_resp_multipart_end(char *buf, size_t cap, struct hf_span boundary) HF_MUST_CHECK;

/* "Not Found"; "Unknown" for a status that is not registered. */
const char *hf_resp_status_text(uint16_t status);

struct hf_resp_error {
	uint16_t status;
	bool head_request; /* no body, but its Content-Length */
	uint8_t minor;     /* of the request; 1 when it could not be parsed */
	bool keep_alive;
	struct hf_span date;  /* HF_HTTP_DATE_LEN bytes, or empty */
	struct hf_span allow; /* Allow; empty with 405: "GET, HEAD, OPTIONS" (RFC 9110 §15.5.6) */
	uint32_t retry_after_s;   /* 0 with 503: 1 */
	const char *cache_status; /* as above, or NULL */
};

/* Is always enough while allow and cache_status stay below 64 bytes. */
#define HF_RESP_ERROR_MAX 640

/* A complete small text/plain response. 204 and 304 get no body. Never cacheable by others
 * (Cache-Control: no-store). */
size_t hf_resp_error_build(char *buf, size_t cap, const struct hf_resp_error *error) HF_MUST_CHECK;

#define HF_RESP_CONTINUE     "HTTP/1.1 100 Continue\r\n\r\n"
#define HF_RESP_CHUNK_MAX    18 /* 16 hex digits, CRLF */
#define HF_RESP_CHUNK_END    "\r\n"
#define HF_RESP_CHUNKS_FINAL "0\r\n\r\n"

/* Before len > 0 bytes of data; HF_RESP_CHUNK_END goes after them, HF_RESP_CHUNKS_FINAL after the
 * last chunk. buf >= HF_RESP_CHUNK_MAX. */
size_t hf_resp_chunk_begin(char *buf, uint64_t len);

/* ---- what is stored ---- */

struct hf_resp_store {
	bool scrub;     /* leave the credentials out (RFC 9111 §7; hf_http_field_is_secret) */
	bool leave_out; /* with scrub: the fields of hf_http_cc_leaves_out too */
	struct hf_span
		date; /* added when the origin sent no Date (RFC 9110 §6.6.1); may be empty */
};

/* Status line (always HTTP/1.1) and fields for storing or forwarding. Left out: hop-by-hop fields,
 * Content-Length, Age (it belongs to the object's metadata). */
size_t hf_resp_store_head(char *buf, size_t cap, const struct hf_http_resp *resp,
	const struct hf_resp_store *store) HF_MUST_CHECK;
/* Bytes of what store_head with scrub leaves out as private, as lines; for the client that fetched
 * it. -ENOSPC; 0: there is none. */
int hf_resp_private_fields(char *buf, size_t cap, const struct hf_http_resp *resp,
	const struct hf_resp_store *store) HF_MUST_CHECK;

/* ---- to an origin ---- */

struct hf_resp_forward {
	bool whole;               /* leave out Range and If-*: a miss fetches the whole thing */
	struct hf_span authority; /* Host; empty: the request's own spelling of it */
	struct hf_span client;    /* the client's address as text, IPv6 without brackets */
	struct hf_span proto;     /* "http" or "https" */
	struct hf_span via;       /* our name in Via (RFC 9110 §7.6.3) */
	/* traceparent to send in the place of what came; NULL: that goes on unchanged, as does
	 * tracestate */
	const struct hf_http_trace *trace;
	/* with `trace`: it is not the client's, whose tracestate does not belong to it */
	bool trace_begins;
};

/* Field lines for the origin, Host first, without request line, framing fields and empty line.
 * End-to-end fields only; Expect is ours to answer and left out; Via, X-Forwarded-For and Forwarded
 * (RFC 7239) appended to what came, X-Forwarded-Proto set; Max-Forwards counted down for
 * OPTIONS and TRACE (the caller answers when it is 0). With a traceparent of ours at most
 * HF_HTTP_TRACESTATE_MAX bytes of tracestate, in whole members, go along. */
size_t hf_resp_request_head(char *buf, size_t cap, const struct hf_http_req *req,
	const struct hf_resp_forward *forward) HF_MUST_CHECK;

#endif
