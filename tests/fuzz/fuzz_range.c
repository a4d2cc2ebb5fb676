/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Preconditions and ranges. Input: a byte that scales the body's length, a byte that says how long, then
 * lines: Range, If-Range, If-None-Match, ETag, Last-Modified, Content-Range (each may be missing).
 * Needs: http.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 6
#define NOW   1760000000

static const enum hf_http_field asked[] = { HF_HTTP_FIELD_RANGE, HF_HTTP_FIELD_IF_RANGE,
	HF_HTTP_FIELD_IF_NONE_MATCH };
static const enum hf_http_field had[] = { HF_HTTP_FIELD_ETAG, HF_HTTP_FIELD_LAST_MODIFIED,
	HF_HTTP_FIELD_CONTENT_RANGE };

/* An allocation of its own, so that a byte read past it is seen. */
static void add(struct hf_http_fields *fields, enum hf_http_field id, struct hf_span value)
{
	char *copy = malloc(value.len > 0 ? value.len : 1);

	if (value.len > 0)
		memcpy(copy, value.ptr, value.len);
	value.ptr = copy;
	fields->have |= 1ULL << id;
	fields->lines[fields->count++] = (struct hf_http_line){
		.name = hf_http_field_name(id), .value = hf_http_trim(value), .id = id
	};
	fields->lines[fields->count - 1].name.ptr = copy; /* remembers the allocation */
}

static void drop(struct hf_http_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++)
		free((void *)(uintptr_t)fields->lines[i].name.ptr);
	fields->count = 0;
	fields->have = 0;
}

static void check_ranges(
	const struct hf_http_req *req, const struct hf_http_fields *stored, uint64_t length)
{
	struct hf_http_range range[HF_HTTP_RANGES_MAX + 1];
	enum hf_http_ranges what;
	uint32_t count = UINT32_MAX;

	memset(range, 0x5a, sizeof(range));
	what = hf_http_ranges_of(req, stored, length, NOW, range, &count);
	HF_ASSERT(range[HF_HTTP_RANGES_MAX].end == 0x5a5a5a5a5a5a5a5a);
	if (what != HF_HTTP_RANGES_SOME)
		return;
	HF_ASSERT(count > 0 && count <= HF_HTTP_RANGES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		HF_ASSERT(range[i].begin < range[i].end && range[i].end <= length);
		for (uint32_t j = 0; j < i; j++)
			HF_ASSERT(range[i].end + 80 <= range[j].begin ||
				  range[j].end + 80 <= range[i].begin);
	}
}

/* What is not modified was named. */
static void check_condition(const struct hf_http_req *req, const struct hf_http_fields *stored)
{
	const struct hf_http_line *line =
		hf_http_fields_find(&req->fields, HF_HTTP_FIELD_IF_NONE_MATCH);
	const struct hf_http_line *etag = hf_http_fields_find(stored, HF_HTTP_FIELD_ETAG);
	struct hf_span tag;

	if (!hf_http_not_modified(req, stored, NOW))
		return;
	HF_ASSERT(line != NULL);
	if (hf_span_eq(line->value, HF_SPAN("*")))
		return;
	HF_ASSERT(etag != NULL);
	tag = etag->value;
	if (tag.ptr[0] == 'W')
		tag = (struct hf_span){ tag.ptr + 2, tag.len - 2 };
	HF_ASSERT(tag.len >= 2 && tag.ptr[0] == '"' && tag.ptr[tag.len - 1] == '"');
	HF_ASSERT(memmem(line->value.ptr, line->value.len, tag.ptr, tag.len) != NULL);
}

/* What it says, said in the shortest way, is said again. */
static void check_part(const struct hf_http_fields *stored)
{
	struct hf_span etag = hf_http_strong_etag(stored);
	static struct hf_http_fields said;
	struct hf_http_range range, again;
	uint64_t length, length_again;
	char text[128];
	int len;

	HF_ASSERT(etag.len == 0 ||
		  (etag.len >= 2 && etag.ptr[0] == '"' &&
			  memchr(etag.ptr + 1, '"', etag.len - 1) == etag.ptr + etag.len - 1));
	if (!hf_http_content_range(stored, &range, &length))
		return;
	HF_ASSERT(range.begin < range.end && range.end <= length);
	len = snprintf(text, sizeof(text), "bytes %lu-%lu/%lu", (unsigned long)range.begin,
		(unsigned long)range.end - 1, (unsigned long)length);
	add(&said, HF_HTTP_FIELD_CONTENT_RANGE, (struct hf_span){ text, (size_t)len });
	HF_ASSERT(hf_http_content_range(&said, &again, &length_again));
	HF_ASSERT(again.begin == range.begin && again.end == range.end && length_again == length);
	drop(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hf_http_req req;
	static struct hf_http_fields stored;
	struct hf_span rest;
	uint64_t length;

	if (size < 2)
		return 0;
	length = (uint64_t)data[1] << (data[0] % 56);
	rest = (struct hf_span){ (const char *)data + 2, size - 2 };
	for (unsigned i = 0; i < LINES && rest.len > 0; i++) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
		struct hf_span value = { rest.ptr, len };

		if (len > 0 && i < HF_ARRAY_LEN(asked))
			add(&req.fields, asked[i], value);
		else if (len > 0)
			add(&stored, had[i - HF_ARRAY_LEN(asked)], value);
		len += end != NULL;
		rest = (struct hf_span){ rest.ptr + len, rest.len - len };
	}
	add(&stored, HF_HTTP_FIELD_DATE, HF_SPAN("Sun, 06 Nov 1994 08:49:38 GMT"));
	req.method = HF_HTTP_GET;
	check_ranges(&req, &stored, length);
	check_condition(&req, &stored);
	check_part(&stored);
	drop(&req.fields);
	drop(&stored);
	return 0;
}
