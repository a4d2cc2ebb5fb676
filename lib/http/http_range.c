/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Range and If-Range against a stored body (RFC 9110 §14, §13.1.5); Content-Range (§14.4).
 */
#include "hf_http.h"

#include <errno.h>
#include <string.h>

#include "http_priv.h"

/* Bytes between two ranges that cost less than a part of their own (RFC 9110 §15.3.7.2). */
#define RANGE_GAP 80

enum range_spec {
	RANGE_SPEC_BAD,
	RANGE_SPEC_NOTHING, /* not satisfiable */
	/* satisfiable, but no Content-Range can say it: a suffix of an empty body */
	RANGE_SPEC_EMPTY,
	RANGE_SPEC_SOME,
};

/* What is too large for us is larger than any body. */
static bool range_number(struct hf_span text, uint64_t *ret_value)
{
	int rc = hf_http_parse_u64(text, ret_value);

	if (rc == -ERANGE)
		*ret_value = INT64_MAX;
	return rc != -EINVAL;
}

/* "-500": the last ones. */
static enum range_spec range_suffix(
	struct hf_span text, uint64_t length, struct hf_http_range *ret_range)
{
	uint64_t n;

	if (!range_number(text, &n))
		return RANGE_SPEC_BAD;
	if (n == 0)
		return RANGE_SPEC_NOTHING;
	if (length == 0)
		return RANGE_SPEC_EMPTY;
	*ret_range = (struct hf_http_range){ length - hf_min_u64(n, length), length };
	return RANGE_SPEC_SOME;
}

/* One range-spec of RFC 9110 §14.1.1, for bytes. */
static enum range_spec range_spec(
	struct hf_span text, uint64_t length, struct hf_http_range *ret_range)
{
	size_t dash = 0;
	uint64_t first, last = INT64_MAX;
	struct hf_span tail;

	while (dash < text.len && text.ptr[dash] != '-')
		dash++;
	if (dash == text.len)
		return RANGE_SPEC_BAD;
	tail = (struct hf_span){ text.ptr + dash + 1, text.len - dash - 1 };
	if (dash == 0)
		return range_suffix(tail, length, ret_range);
	if (!range_number((struct hf_span){ text.ptr, dash }, &first))
		return RANGE_SPEC_BAD;
	if (tail.len > 0 && (!range_number(tail, &last) || last < first))
		return RANGE_SPEC_BAD;
	if (first >= length)
		return RANGE_SPEC_NOTHING;
	*ret_range = (struct hf_http_range){ first, hf_min_u64(last, length - 1) + 1 };
	return RANGE_SPEC_SOME;
}

static bool range_touch(const struct hf_http_range *a, const struct hf_http_range *b)
{
	return a->begin < b->end + RANGE_GAP && b->begin < a->end + RANGE_GAP;
}

/* Adds a range to those kept, which are RANGE_GAP apart: it takes the place of the first that it
 * touches, and all others that it touches are part of it. What the sum touches was touched by one
 * of them. False: too many. */
static bool range_keep(struct hf_http_range more, struct hf_http_range *kept, uint32_t *count)
{
	uint32_t to = 0, place = UINT32_MAX;
	const struct hf_http_range asked = more;

	HF_ASSERT(more.begin < more.end);
	for (uint32_t i = 0; i < *count; i++) {
		if (!range_touch(&kept[i], &asked)) {
			kept[to++] = kept[i];
			continue;
		}
		more.begin = hf_min_u64(more.begin, kept[i].begin);
		more.end = hf_max_u64(more.end, kept[i].end);
		if (place == UINT32_MAX)
			place = to++;
	}
	if (place == UINT32_MAX) {
		if (to == HF_HTTP_RANGES_MAX)
			return false;
		place = to++;
	}
	kept[place] = more;
	*count = to;
	HF_ASSERT(to <= HF_HTTP_RANGES_MAX);
	return true;
}

static enum hf_http_ranges range_set(
	struct hf_span set, uint64_t length, struct hf_http_range *ret_range, uint32_t *ret_count)
{
	uint32_t seen = 0;
	struct hf_span text;

	for (; hf_http_list_next(&set, &text); seen++) {
		struct hf_http_range range;

		switch (range_spec(text, length, &range)) {
		case RANGE_SPEC_BAD:
		case RANGE_SPEC_EMPTY:
			return HF_HTTP_RANGES_WHOLE;
		case RANGE_SPEC_NOTHING:
			break;
		case RANGE_SPEC_SOME:
			if (!range_keep(range, ret_range, ret_count))
				return HF_HTTP_RANGES_WHOLE;
			break;
		}
	}
	if (seen == 0)
		return HF_HTTP_RANGES_WHOLE;
	return *ret_count > 0 ? HF_HTTP_RANGES_SOME : HF_HTTP_RANGES_NONE;
}

/* RFC 9110 §8.8.2.2: a date is a strong validator when the response is at least a second younger
 * than what it says; else there may have been two versions in that second. */
static bool range_date_is(struct hf_span value, const struct hf_http_fields *stored, int64_t now_s)
{
	int64_t asked_s, modified_s, date_s;

	return hf_http_date_parse(value, now_s, &asked_s) == 0 &&
	       http_fields_date(stored, HF_HTTP_FIELD_LAST_MODIFIED, now_s, &modified_s) &&
	       http_fields_date(stored, HF_HTTP_FIELD_DATE, now_s, &date_s) &&
	       asked_s == modified_s && date_s > modified_s;
}

/* Is what is stored what the client has a part of (§13.1.5)? */
static bool range_if(
	const struct hf_http_req *req, const struct hf_http_fields *stored, int64_t now_s)
{
	const struct hf_http_line *line = http_fields_sole(&req->fields, HF_HTTP_FIELD_IF_RANGE);
	struct http_etag asked, own;
	struct hf_span text;

	if (!line)
		return !hf_http_fields_have(&req->fields, HF_HTTP_FIELD_IF_RANGE);
	text = line->value;
	if (!http_etag_take(&text, &asked))
		return range_date_is(line->value, stored, now_s);
	return text.len == 0 && http_fields_etag(stored, &own) && !asked.weak && !own.weak &&
	       hf_span_eq(asked.opaque, own.opaque);
}

enum hf_http_ranges hf_http_ranges_of(const struct hf_http_req *req,
	const struct hf_http_fields *stored, uint64_t length, int64_t now_s,
	struct hf_http_range *ret_range, uint32_t *ret_count)
{
	static const struct hf_span unit = HF_SPAN("bytes=");
	const struct hf_http_line *line = http_fields_sole(&req->fields, HF_HTTP_FIELD_RANGE);
	struct hf_span set;

	HF_ASSERT(length <= INT64_MAX);
	HF_ASSERT(now_s >= 0);
	*ret_count = 0;
	if (req->method != HF_HTTP_GET || !line || line->value.len <= unit.len ||
		!hf_span_caseeq((struct hf_span){ line->value.ptr, unit.len }, unit) ||
		http_is_ws(line->value.ptr[unit.len]) || !range_if(req, stored, now_s))
		return HF_HTTP_RANGES_WHOLE;
	set = (struct hf_span){ line->value.ptr + unit.len, line->value.len - unit.len };
	return range_set(set, length, ret_range, ret_count);
}

/* Takes a number off the front of *text, and what must stand behind it. */
static bool range_take(struct hf_span *text, char behind, uint64_t *ret_value)
{
	const char *end = memchr(text->ptr, behind, text->len);
	size_t len = end ? (size_t)(end - text->ptr) : 0;

	if (!end || hf_http_parse_u64((struct hf_span){ text->ptr, len }, ret_value))
		return false;
	*text = (struct hf_span){ end + 1, text->len - len - 1 };
	return true;
}

bool hf_http_content_range(
	const struct hf_http_fields *fields, struct hf_http_range *ret_range, uint64_t *ret_length)
{
	static const struct hf_span unit = HF_SPAN("bytes ");
	const struct hf_http_line *line = http_fields_sole(fields, HF_HTTP_FIELD_CONTENT_RANGE);
	uint64_t first, last, length;
	struct hf_span text;

	if (!line || line->value.len <= unit.len ||
		!hf_span_caseeq((struct hf_span){ line->value.ptr, unit.len }, unit))
		return false;
	text = (struct hf_span){ line->value.ptr + unit.len, line->value.len - unit.len };
	if (!range_take(&text, '-', &first) || !range_take(&text, '/', &last) ||
		hf_http_parse_u64(text, &length) || first > last || last >= length)
		return false;
	*ret_range = (struct hf_http_range){ first, last + 1 };
	*ret_length = length;
	return true;
}
