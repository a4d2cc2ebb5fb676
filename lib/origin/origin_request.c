/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One request as options of a curl handle: exactly what the worker wrote, nothing of curl's own.
 */
#include "hf_origin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_priv.h"
#include "origin_wire.h"

static int request_line(struct origin_fetch *fetch, const char *line)
{
	struct curl_slist *longer = curl_slist_append(fetch->lines, line);

	if (!longer)
		return -ENOMEM;
	fetch->lines = longer;
	return 0;
}

/* "Name: value\r\n" to curl's spelling, in which "Name:" would mean: leave it out. */
static int request_field(struct hf_origin *origin, struct origin_fetch *fetch, struct hf_span line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	size_t len = line.len;
	int rc;

	HF_ASSERT(colon && len < ORIGIN_SCRATCH_LEN);
	while (line.ptr[len - 1] == ' ' || line.ptr[len - 1] == '\t')
		len--;
	memcpy(origin->scratch, line.ptr, len);
	if (colon == line.ptr + len - 1)
		origin->scratch[len - 1] = ';';
	origin->scratch[len] = '\0';
	rc = request_line(fetch, origin->scratch);
	hf_wipe(origin->scratch, len);
	return rc;
}

/* "Name: value\r\n" each. */
static int request_lines(struct hf_origin *origin, struct origin_fetch *fetch, struct hf_span rest)
{
	int rc = 0;

	while (rc == 0 && rest.len > 0) {
		const char *end = memchr(rest.ptr, '\r', rest.len);
		size_t len = (size_t)(end - rest.ptr);

		HF_ASSERT(end && len > 0 && len + 2 <= rest.len && end[1] == '\n');
		rc = request_field(origin, fetch, (struct hf_span){ rest.ptr, len });
		rest.ptr += len + 2;
		rest.len -= len + 2;
	}
	return rc;
}

/* What the worker left out for a fetch that was to be stored. */
static int request_own_conditions(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_req req;
	int rc = 0;

	if (!origin_reader_parse_head(fetch->leader->xchg->head, &req))
		return 0;
	for (uint32_t i = 0; rc == 0 && i < req.fields.count; i++) {
		const struct hf_http_line *line = &req.fields.lines[i];
		const char *end = line->value.ptr + line->value.len;

		if (!line->hop && (hf_http_field_flags(line->id) & HF_HTTP_FIELD_COND))
			rc = request_field(origin, fetch,
				(struct hf_span){ line->name.ptr, (size_t)(end - line->name.ptr) });
	}
	return rc;
}

/* As it was appended: "Name: value", "Name:" or "Name;". */
static bool request_is_condition(const char *line)
{
	const struct hf_span name = { line, strcspn(line, ":;") };

	return hf_http_field_flags(hf_http_field_lookup(name)) & HF_HTTP_FIELD_COND;
}

int origin_request_rest(
	struct hf_origin *origin, struct origin_fetch *fetch, uint64_t from, struct hf_span etag)
{
	struct curl_slist *asked = fetch->lines;
	int rc = 0;

	HF_ASSERT(fetch->easy && etag.len > 0 && etag.len < ORIGIN_HEAD_MAX);
	fetch->lines = NULL;
	for (const struct curl_slist *it = asked; rc == 0 && it; it = it->next)
		if (!request_is_condition(it->data))
			rc = request_line(fetch, it->data);
	(void)snprintf(origin->scratch, ORIGIN_SCRATCH_LEN, "Range: bytes=%" PRIu64 "-", from);
	if (rc == 0)
		rc = request_line(fetch, origin->scratch);
	(void)snprintf(
		origin->scratch, ORIGIN_SCRATCH_LEN, "If-Range: %.*s", (int)etag.len, etag.ptr);
	if (rc == 0)
		rc = request_line(fetch, origin->scratch);
	if (rc == 0 && curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->lines) != CURLE_OK)
		rc = -ENOMEM;
	curl_slist_free_all(asked);
	return rc;
}

static bool request_wants_length(enum hf_http_method method)
{
	return method == HF_HTTP_POST || method == HF_HTTP_PUT || method == HF_HTTP_PATCH;
}

/* A body, though it may be an empty one. */
static bool request_uploads(const struct hf_xchg *xchg)
{
	return xchg->has_body || request_wants_length(xchg->method);
}

static int request_fields(struct hf_origin *origin, struct origin_fetch *fetch)
{
	/* what curl would add by itself; the first where there is no body, too */
	static const char *const without[] = { "Accept:", "Expect:", "Content-Type:" };
	const struct hf_xchg *xchg = fetch->leader->xchg;
	size_t count = request_uploads(xchg) ? HF_ARRAY_LEN(without) : 1;
	int rc = request_lines(origin, fetch, xchg->lines);

	if (rc == 0 && fetch->conditions)
		rc = request_lines(origin, fetch,
			(struct hf_span){ fetch->conditions, strlen(fetch->conditions) });
	if (rc == 0 && fetch->passes)
		rc = request_own_conditions(origin, fetch);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = request_line(fetch, without[i]);
	return rc;
}

/* A NUL-terminated copy, until the next use of scratch. */
static const char *request_text(struct hf_origin *origin, struct hf_span text)
{
	HF_ASSERT(text.len < ORIGIN_SCRATCH_LEN);
	memcpy(origin->scratch, text.ptr, text.len);
	origin->scratch[text.len] = '\0';
	return origin->scratch;
}

static CURLcode request_method(struct hf_origin *origin, struct origin_fetch *fetch)
{
	const struct hf_xchg *xchg = fetch->leader->xchg;
	CURL *easy = fetch->easy;
	curl_off_t length = 0;
	CURLcode code;

	if (!xchg->has_body && xchg->method == HF_HTTP_HEAD)
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (!xchg->has_body && xchg->method == HF_HTTP_GET)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	code = curl_easy_setopt(
		easy, CURLOPT_CUSTOMREQUEST, request_text(origin, xchg->method_text));
	if (code || !request_uploads(xchg))
		return code;
	if (xchg->has_body)
		length = xchg->body_length_known ? (curl_off_t)xchg->body_length : -1;
	code = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, length);
	return code;
}

/* Nothing of a body is gone, and twice is as good as once. */
bool origin_request_is_repeatable(const struct hf_xchg *xchg)
{
	return !xchg->has_body && hf_http_method_is_idempotent(xchg->method);
}

int origin_request_set(struct hf_origin *origin, struct origin_fetch *fetch)
{
	const struct hf_xchg *xchg = fetch->leader->xchg;
	CURL *easy = fetch->easy;
	CURLcode code;

	code = request_method(origin, fetch);
	if (code == CURLE_OK)
		code = curl_easy_setopt(
			easy, CURLOPT_REQUEST_TARGET, request_text(origin, xchg->path_query));
	hf_wipe(origin->scratch, xchg->path_query.len);
	/* its connection had better live */
	if (code == CURLE_OK && !origin_request_is_repeatable(xchg))
		code = curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, ORIGIN_ONCE_IDLE_S * 1L);
	if (code != CURLE_OK || request_fields(origin, fetch))
		return -ENOMEM;
	return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->lines) == CURLE_OK ? 0 : -ENOMEM;
}
