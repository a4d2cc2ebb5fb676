/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a stored 200 becomes for who has it already or wants a part: 304, 206, 416.
 */
#include "hf_resp.h"

#include "resp_priv.h"

/* RFC 9110 §15.4.5. Last-Modified only where no ETag does its work. CDN-Cache-Control guides the
 * next cache as Cache-Control does; Cache-Status and Via tell of this message. */
static bool part_is_of_304(const struct hf_http_line *line, const struct hf_http_fields *stored)
{
	switch (line->id) {
	case HF_HTTP_FIELD_CACHE_CONTROL:
	case HF_HTTP_FIELD_CACHE_STATUS:
	case HF_HTTP_FIELD_CDN_CACHE_CONTROL:
	case HF_HTTP_FIELD_CONTENT_LOCATION:
	case HF_HTTP_FIELD_DATE:
	case HF_HTTP_FIELD_ETAG:
	case HF_HTTP_FIELD_EXPIRES:
	case HF_HTTP_FIELD_VARY:
	case HF_HTTP_FIELD_VIA:
		return true;
	case HF_HTTP_FIELD_LAST_MODIFIED:
		return !hf_http_fields_have(stored, HF_HTTP_FIELD_ETAG);
	default:
		return false;
	}
}

/* All of the 200 (RFC 9110 §15.3.7) but what is true of its whole content only (RFC 9530 §2), and
 * what we say ourselves. */
static bool part_is_of_206(const struct hf_http_line *line, enum hf_resp_part part)
{
	switch (line->id) {
	case HF_HTTP_FIELD_CONTENT_RANGE:
		return false;
	case HF_HTTP_FIELD_CONTENT_TYPE:
		return part == HF_RESP_PARTIAL;
	case HF_HTTP_FIELD_OTHER:
		return !hf_span_caseeq(line->name, HF_SPAN("content-digest")) &&
		       !hf_span_caseeq(line->name, HF_SPAN("content-md5"));
	default:
		return true;
	}
}

/* 416 is our answer, not the stored one. */
static bool part_is_of_416(const struct hf_http_line *line)
{
	return line->id == HF_HTTP_FIELD_CACHE_STATUS || line->id == HF_HTTP_FIELD_VIA;
}

static bool part_is_told(const struct hf_http_line *line, const struct hf_resp_cut *cut)
{
	switch (cut->part) {
	case HF_RESP_NOT_MODIFIED:
		return part_is_of_304(line, cut->stored);
	case HF_RESP_PARTIAL:
	case HF_RESP_MULTIPART:
		return part_is_of_206(line, cut->part);
	case HF_RESP_NO_RANGE:
		break;
	}
	return part_is_of_416(line);
}

/* Content-Range: bytes 0-499/1234 (RFC 9110 §14.4) */
static void part_put_range(struct resp_buf *out, const struct hf_http_range *range, uint64_t length)
{
	HF_ASSERT(range->begin < range->end && range->end <= length);
	resp_put(out, HF_SPAN("Content-Range: bytes "));
	resp_put_u64(out, range->begin);
	resp_put(out, HF_SPAN("-"));
	resp_put_u64(out, range->end - 1);
	resp_put(out, HF_SPAN("/"));
	resp_put_u64(out, length);
	resp_put(out, HF_SPAN("\r\n"));
}

static struct hf_span part_status(enum hf_resp_part part)
{
	switch (part) {
	case HF_RESP_NOT_MODIFIED:
		return HF_SPAN("HTTP/1.1 304 Not Modified\r\n");
	case HF_RESP_PARTIAL:
	case HF_RESP_MULTIPART:
		return HF_SPAN("HTTP/1.1 206 Partial Content\r\n");
	case HF_RESP_NO_RANGE:
		break;
	}
	return HF_SPAN("HTTP/1.1 416 Range Not Satisfiable\r\n");
}

size_t hf_resp_cut_build(
	char *buf, size_t cap, const struct hf_resp_head *head, const struct hf_resp_cut *cut)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	HF_ASSERT(cut->part != HF_RESP_MULTIPART || cut->boundary.len > 0);
	HF_ASSERT(cut->part != HF_RESP_NOT_MODIFIED || head->framing == HF_RESP_BODY_NONE);
	resp_put(&out, part_status(cut->part));
	for (uint32_t i = 0; i < cut->stored->count; i++) {
		const struct hf_http_line *line = &cut->stored->lines[i];

		if (part_is_told(line, cut))
			resp_put_line(&out, line->name, line->value);
	}
	if (cut->part == HF_RESP_PARTIAL)
		part_put_range(&out, &cut->range, cut->length);
	if (cut->part == HF_RESP_MULTIPART) {
		resp_put(&out, HF_SPAN("Content-Type: multipart/byteranges; boundary="));
		resp_put(&out, cut->boundary);
		resp_put(&out, HF_SPAN("\r\n"));
	}
	if (cut->part == HF_RESP_NO_RANGE) {
		resp_put(&out, HF_SPAN("Cache-Control: no-store\r\nContent-Range: bytes */"));
		resp_put_u64(&out, cut->length);
		resp_put(&out, HF_SPAN("\r\n"));
	}
	resp_put_own(&out, head);
	return resp_done(&out);
}

size_t hf_resp_between_build(char *buf, size_t cap, const struct hf_resp_between *between)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	HF_ASSERT(between->boundary.len > 0);
	resp_put(&out, between->first ? HF_SPAN("--") : HF_SPAN("\r\n--"));
	resp_put(&out, between->boundary);
	resp_put(&out, HF_SPAN("\r\n"));
	if (between->type.len > 0)
		resp_put_line(&out, HF_SPAN("Content-Type"), between->type);
	part_put_range(&out, &between->range, between->length);
	resp_put(&out, HF_SPAN("\r\n"));
	return resp_done(&out);
}

size_t hf_resp_multipart_end(char *buf, size_t cap, struct hf_span boundary)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	HF_ASSERT(boundary.len > 0);
	resp_put(&out, HF_SPAN("\r\n--"));
	resp_put(&out, boundary);
	resp_put(&out, HF_SPAN("--\r\n"));
	return resp_done(&out);
}
