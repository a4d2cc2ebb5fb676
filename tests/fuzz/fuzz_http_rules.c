/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request and the answer to it, one after the other: what is sent to the origin, whether the answer is
 * stored, and as what. A stored block never holds a credential, and parses again.
 * Needs: http, resp, cache.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_cache_rules.h"
#include "hf_http.h"
#include "hf_resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hf_http_req req;
static struct hf_http_resp resp;

static void check_vary(void)
{
	static char block[65536], again[65536];
	int len = hf_cache_vary_build(block, sizeof(block), &resp, &req);

	if (len < 0)
		return;
	HF_ASSERT(hf_cache_vary_matches(block, (size_t)len, &req));
	HF_ASSERT(hf_cache_vary_rebuild(again, sizeof(again), block, (size_t)len, &req) == len);
	HF_ASSERT(memcmp(block, again, (size_t)len) == 0);
}

static void check_verdict(void)
{
	static const struct hf_cache_policy policy = { .default_ttl_s = 10, .swr_s = 5 };
	static const struct hf_cache_times times = { .response_s = 784111777 };
	struct hf_cache_req rules;
	struct hf_cache_verdict v;
	enum hf_cache_use use;

	hf_cache_req_init(&req, &rules);
	hf_cache_admit(&rules, &resp, &policy, &times, &v);
	use = hf_cache_fresh_for(&v.life, &rules.cc, v.initial_age_s);
	HF_ASSERT(use != HF_CACHE_USE_STALE || rules.cc.has_max_stale);
	if (!v.store)
		return;
	HF_ASSERT(hf_cache_req_allows(&rules));
	HF_ASSERT(resp.status >= 200 && resp.status != 206);
	HF_ASSERT(!rules.has_authorization || v.auth_ok);
	HF_ASSERT(!v.life.stale_forbidden ||
		  !hf_cache_stale_is_valid(&v.life, NULL, UINT32_MAX, UINT32_MAX));
}

static void check_scrubbed(const struct hf_http_fields *fields)
{
	for (unsigned id = 1; id < HF_HTTP_FIELD_COUNT; id++)
		if (hf_http_field_flags((enum hf_http_field)id) & HF_HTTP_FIELD_SCRUB)
			HF_ASSERT(!hf_http_fields_have(fields, (enum hf_http_field)id));
}

static void check_stored(char *out, size_t cap)
{
	static struct hf_http_resp again;
	struct hf_resp_store how = { .scrub = true,
		.date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT") };
	size_t len = hf_resp_store_head(out, cap - 2, &resp, &how);
	enum hf_parse verdict;

	HF_ASSERT(len > 0);
	memcpy(out + len, "\r\n", 2);
	/* Date and Via may be one line too many. */
	if (resp.fields.count <= HF_HTTP_LINES_MAX - 2) {
		verdict = hf_http_resp_parse(out, len + 2, &again);
		HF_ASSERT(verdict == HF_PARSE_DONE && again.status == resp.status);
		HF_ASSERT(again.head_len == len + 2);
		check_scrubbed(&again.fields);
	}
	HF_ASSERT(hf_resp_private_fields(out, cap, &resp, &how) >= 0);
}

static void check_forwarded(char *out, size_t cap)
{
	static const struct hf_resp_forward forward = { .whole = true,
		.client = { "2001:db8::1", 11 },
		.proto = { "http", 4 },
		.via = { "edge-1", 6 } };
	static struct hf_http_resp lines;
	static const char status[] = "HTTP/1.1 200 OK\r\n";
	size_t len;
	enum hf_parse verdict;

	memcpy(out, status, sizeof(status) - 1);
	len = hf_resp_request_head(
		out + sizeof(status) - 1, cap - sizeof(status) - 1, &req, &forward);
	HF_ASSERT(len > 0);
	len += sizeof(status) - 1;
	memcpy(out + len, "\r\n", 2);
	if (req.fields.count > HF_HTTP_LINES_MAX - 5)
		return;
	/* Field lines are field lines: the other parser must take them. */
	verdict = hf_http_resp_parse(out, len + 2, &lines);
	HF_ASSERT(verdict == HF_PARSE_DONE && lines.head_len == len + 2);
	HF_ASSERT((lines.fields.have &
			  (1ULL << HF_HTTP_FIELD_RANGE | 1ULL << HF_HTTP_FIELD_TRANSFER_ENCODING |
				  1ULL << HF_HTTP_FIELD_CONTENT_LENGTH)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hf_http_limits limits = { 8192, 4096, HF_HTTP_LINES_MAX };
	struct hf_http_fault fault;
	char *buf = malloc(size > 0 ? size : 1);
	size_t cap = 4 * size + 1024;
	char *out = malloc(cap);

	memcpy(buf, data, size);
	if (hf_http_req_parse(buf, size, &limits, &req, &fault) == HF_PARSE_DONE) {
		check_forwarded(out, cap);
		if (hf_http_resp_parse(buf + req.head_len, size - req.head_len, &resp) ==
			HF_PARSE_DONE) {
			check_verdict();
			check_vary();
			check_stored(out, cap);
		}
	}
	free(out);
	free(buf);
	return 0;
}
