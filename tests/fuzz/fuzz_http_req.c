/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Request heads: what a client may send first. Whatever parses becomes a key, and is redacted.
 * Needs: http.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

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

static void check_redacted(const struct hf_http_req *req)
{
	static char out[8192];
	size_t len = hf_http_redact(req->target, out, sizeof(out));

	HF_ASSERT(len <= req->target.len * 4 + 3);
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
		check_key(&req);
		check_redacted(&req);
	}
	if (whole == HF_PARSE_BAD)
		HF_ASSERT(fault.status >= 400 && fault.reason != HF_DROP_NONE);
	free(buf);
	return 0;
}
