/* SPDX-License-Identifier: BSD-3-Clause
 *
 * memo - a head that repeats is not parsed again.
 *
 * What      Behind the request line most heads are what the head before was, byte for byte. What the field lines of
 *           that one meant is kept with a copy of their bytes; a head with the same bytes there means the same.
 * Picture
 *      GET /a HTTP/1.1 CRLF | Host: x CRLF User-Agent: y CRLF CRLF      parsed, then kept
 *      GET /b HTTP/1.1 CRLF | Host: x CRLF User-Agent: y CRLF CRLF      compared, and its lines told
 *        always parsed         the memo's text
 * Threads   one at a time; each worker has its own.
 * Lifetime  What is told points into the caller's buffer, never into the memo.
 * Promises  N1 hf_http_memo_parse gives what hf_http_req_parse gives, of any bytes, whatever was parsed before;
 *           hf_http_memo_key what hf_http_key_build gives, and so does hf_http_memo_repeats.
 *           N2 Heads with a credential (hf_http_field_is_secret, Cookie), a body, an expectation or the end of the
 *           connection are not kept.
 *           N3 What was kept is wiped when the sender who was the last to say it has left (hf_http_memo_left): what
 *           only one client says is gone with it.
 * Limits    HF_HTTP_MEMO_MAX bytes, HF_HTTP_MEMO_LINES lines, one head, which comes from a request of HTTP/1.1. A head is
 *           kept when it is as long as the one before, so that heads that differ do not cost a copy each.
 * Files     http_memo.c, http_req.c, http_key.c
 * Tests     tests/unit/http/test_memo.c, tests/fuzz/fuzz_http_req.c
 */
#ifndef HF_HTTP_MEMO_H
#define HF_HTTP_MEMO_H

#include "hf_http.h"

#define HF_HTTP_MEMO_MAX   1024
#define HF_HTTP_MEMO_LINES 24
#define HF_HTTP_MEMO_SITE  64

/* All zero: nothing is kept. */
struct hf_http_memo {
	uint32_t len;     /* of text; 0: nothing */
	uint32_t len_was; /* of the last field lines that were parsed */
	bool te_trailers, has_range, has_conditional;
	uint32_t count;
	uint64_t have;
	struct hf_span authority; /* in text, as the names and values are */
	struct hf_http_line line[HF_HTTP_MEMO_LINES];
	const void *sender; /* of what is parsed next; the caller sets it */
	const void *last;   /* who said text last */
	uint32_t site_len, prefix_len;
	uint32_t serial;              /* another one whenever what is kept is */
	bool plain;                   /* text asks for no more than what is stored, as it is */
	bool sited;                   /* its authority is the site */
	char site[HF_HTTP_MEMO_SITE]; /* an authority, as it was spelt with "http" */
	char prefix[HF_HTTP_MEMO_SITE + 16]; /* a key's beginning that it gave; then zeroes */
	char text[HF_HTTP_MEMO_MAX];         /* field lines and the empty line */
};

/* hf_http_req_parse with a memory. */
enum hf_parse hf_http_memo_parse(struct hf_http_memo *memo, const char *buf, size_t len,
	const struct hf_http_limits *limits, struct hf_http_req *ret_req,
	struct hf_http_fault *ret_fault) HF_MUST_CHECK;
/* hf_http_key_build of REQ with a memory: of what the last authority behind "http" became. AUTHORITY: REQ's, or what
 * stands for it. */
int hf_http_memo_key(struct hf_http_memo *memo, char *buf, size_t cap,
	const struct hf_http_req *req, struct hf_span authority) HF_MUST_CHECK;

/* A GET whose head is the memo's but for the path: what it is, and its key, without parsing it. */
struct hf_http_repeat {
	struct hf_span head, target;
	uint32_t key_len;
	uint32_t serial; /* of the memo: it holds as long as that stays */
	bool plain; /* its answer is what is stored, if that is fresh: nothing it says asks for less or more */
};

/* Is the head at the front of TEXT one? Then its key is in BUF. False: parse it; it may be one all the same. */
bool hf_http_memo_repeats(const struct hf_http_memo *memo, const struct hf_http_limits *limits,
	char *buf, size_t cap, struct hf_span text,
	struct hf_http_repeat *ret_repeat) HF_MUST_CHECK;
/* Is what was said of it still so? Its bytes are where they were. */
static inline bool hf_http_repeat_holds(
	const struct hf_http_memo *memo, const struct hf_http_repeat *known)
{
	return known->serial == memo->serial;
}
/* Is what was parsed that one? Then its key is what hf_http_memo_key gives. */
static inline bool hf_http_repeat_is(const struct hf_http_memo *memo,
	const struct hf_http_repeat *known, const struct hf_http_req *parsed)
{
	return hf_http_repeat_holds(memo, known) && parsed->target.ptr == known->target.ptr &&
	       parsed->target.len == known->target.len;
}
/* SENDER said once more what is kept. */
static inline void hf_http_memo_said(struct hf_http_memo *memo, const void *sender)
{
	memo->last = sender;
}
/* That sender will say nothing more. */
void hf_http_memo_left(struct hf_http_memo *memo, const void *sender);
/* What is a credential may have changed. */
void hf_http_memo_forget(struct hf_http_memo *memo);

#endif
