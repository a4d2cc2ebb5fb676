/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The request parser. Every input is parsed whole against a guard page at either end, and cut at every byte: a
 * part may only say MORE or what the whole says.
 */
#ifndef HF_TEST_REQ_RIG_H
#define HF_TEST_REQ_RIG_H

#include "hf_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "guard.h"

static const struct hf_http_limits limits = {
	.head_max = 16384, .uri_max = 8192, .lines_max = 128
};
static struct hf_http_req req;
static struct hf_http_fault fault;

static inline enum hf_parse parse_limited(
	const char *text, size_t len, const struct hf_http_limits *l)
{
	static struct hf_http_req part;
	struct hf_http_fault part_fault;
	enum hf_parse whole, verdict;

	fault = (struct hf_http_fault){ 0 };
	whole = hf_http_req_parse(guard_at_end(text, len), len, l, &req, &fault);
	for (size_t n = 0; n < len; n++) {
		part_fault = (struct hf_http_fault){ 0 };
		verdict = hf_http_req_parse(guard_at_end(text, n), n, l, &part, &part_fault);
		if (verdict == HF_PARSE_MORE)
			continue;
		cr_assert_eq(verdict, whole, "cut at %zu of %s", n, text);
		cr_assert_eq(part_fault.status, fault.status, "cut at %zu of %s", n, text);
		if (verdict == HF_PARSE_DONE)
			cr_assert_eq(part.head_len, req.head_len, "cut at %zu of %s", n, text);
	}
	verdict = hf_http_req_parse(guard_at_start(text, len), len, l, &req, &fault);
	cr_assert_eq(verdict, whole);
	return verdict;
}

static inline enum hf_parse parse(const char *text)
{
	return parse_limited(text, strlen(text), &limits);
}

static inline void assert_span(struct hf_span got, const char *want)
{
	cr_assert(hf_span_eq(got, (struct hf_span){ want, strlen(want) }),
		"got \"%.*s\" want \"%s\"", (int)got.len, got.ptr, want);
}

static inline void assert_done(const char *text)
{
	enum hf_parse verdict = parse(text);

	cr_assert_eq(
		verdict, HF_PARSE_DONE, "verdict %d status %u for %s", verdict, fault.status, text);
}

static inline void assert_bad(uint16_t status, const char *text)
{
	enum hf_parse verdict = parse(text);

	cr_assert_eq(verdict, HF_PARSE_BAD, "verdict %d for %s", verdict, text);
	cr_assert_eq(fault.status, status, "status %u for %s", fault.status, text);
	cr_assert_neq(fault.reason, HF_DROP_NONE);
}

#endif
