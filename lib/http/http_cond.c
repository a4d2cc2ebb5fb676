/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Validators and the preconditions that a cache evaluates (RFC 9110 §8.8, §13; RFC 9111 §4.3.2).
 */
#include "hf_http.h"

#include "http_priv.h"

/* etagc of RFC 9110 §8.8.3: no escapes, and commas are as good as any other. */
static bool cond_is_etagc(char c)
{
	return http_is(c, HTTP_VALUE) && c != '"' && !http_is_ws(c);
}

bool http_etag_take(struct hf_span *text, struct http_etag *ret_etag)
{
	const char *at = text->ptr, *end = text->ptr + text->len;
	bool weak = text->len >= 2 && at[0] == 'W' && at[1] == '/';
	const char *opaque;

	HF_ASSERT_HOT(ret_etag != NULL);
	if (weak)
		at += 2;
	if (at == end || *at++ != '"')
		return false;
	for (opaque = at; at < end && cond_is_etagc(*at); at++)
		;
	if (at == end || *at != '"')
		return false;
	*ret_etag = (struct http_etag){ { opaque, (size_t)(at - opaque) }, weak };
	*text = (struct hf_span){ at + 1, (size_t)(end - at - 1) };
	return true;
}

const struct hf_http_line *http_fields_sole(
	const struct hf_http_fields *fields, enum hf_http_field id)
{
	const struct hf_http_line *sole = hf_http_fields_find(fields, id);

	HF_ASSERT(sole == NULL || sole->id == id);
	for (const struct hf_http_line *line = sole;
		line && ++line < fields->lines + fields->count;)
		if (line->id == id)
			return NULL;
	return sole;
}

bool http_fields_etag(const struct hf_http_fields *fields, struct http_etag *ret_etag)
{
	const struct hf_http_line *line = http_fields_sole(fields, HF_HTTP_FIELD_ETAG);
	struct hf_span text;

	if (!line)
		return false;
	text = line->value;
	return http_etag_take(&text, ret_etag) && text.len == 0;
}

struct hf_span hf_http_strong_etag(const struct hf_http_fields *fields)
{
	struct http_etag etag;

	if (!http_fields_etag(fields, &etag) || etag.weak)
		return (struct hf_span){ NULL, 0 };
	return (struct hf_span){ etag.opaque.ptr - 1, etag.opaque.len + 2 };
}

bool http_fields_date(
	const struct hf_http_fields *fields, enum hf_http_field id, int64_t now_s, int64_t *ret_s)
{
	const struct hf_http_line *line = http_fields_sole(fields, id);

	return line && hf_http_date_parse(line->value, now_s, ret_s) == 0;
}

/* One line of If-None-Match. False: malformed. *hit: one of its tags is `own`, both weak or
 * strong. */
static bool cond_tags(struct hf_span list, const struct http_etag *own, bool *hit)
{
	for (;;) {
		struct http_etag etag;

		while (list.len > 0 && (list.ptr[0] == ',' || http_is_ws(list.ptr[0])))
			list = (struct hf_span){ list.ptr + 1, list.len - 1 };
		if (list.len == 0)
			return true;
		if (!http_etag_take(&list, &etag))
			return false;
		*hit = *hit || (own && hf_span_eq(etag.opaque, own->opaque));
		list = hf_http_trim(list);
		if (list.len > 0 && list.ptr[0] != ',')
			return false;
	}
}

/* RFC 9110 §13.1.2: weak comparison. A list that is malformed anywhere says nothing. */
static bool cond_none_match(const struct hf_http_req *req, const struct hf_http_fields *stored)
{
	const enum hf_http_field id = HF_HTTP_FIELD_IF_NONE_MATCH;
	const struct hf_http_line *sole = http_fields_sole(&req->fields, id);
	struct http_etag own;
	bool has_own = http_fields_etag(stored, &own);
	bool hit = false;

	if (sole && hf_span_eq(sole->value, HF_SPAN("*")))
		return true;
	for (uint32_t i = 0; i < req->fields.count; i++) {
		const struct hf_http_line *line = &req->fields.lines[i];

		if (line->id == id && !cond_tags(line->value, has_own ? &own : NULL, &hit))
			return false;
	}
	return hit;
}

/* RFC 9111 §4.3.2: Last-Modified, and where there is none the Date. A Last-Modified that is no date
 * says nothing. */
static bool cond_not_since(
	const struct hf_http_req *req, const struct hf_http_fields *stored, int64_t now_s)
{
	enum hf_http_field id = hf_http_fields_have(stored, HF_HTTP_FIELD_LAST_MODIFIED)
					? HF_HTTP_FIELD_LAST_MODIFIED
					: HF_HTTP_FIELD_DATE;
	int64_t since_s, changed_s;

	return http_fields_date(&req->fields, HF_HTTP_FIELD_IF_MODIFIED_SINCE, now_s, &since_s) &&
	       http_fields_date(stored, id, now_s, &changed_s) && changed_s <= since_s;
}

bool hf_http_not_modified(
	const struct hf_http_req *req, const struct hf_http_fields *stored, int64_t now_s)
{
	HF_ASSERT(now_s >= 0);
	HF_ASSERT(stored->count <= HF_HTTP_LINES_MAX);
	if (req->method != HF_HTTP_GET && req->method != HF_HTTP_HEAD)
		return false;
	if (hf_http_fields_have(&req->fields, HF_HTTP_FIELD_IF_NONE_MATCH))
		return cond_none_match(req, stored);
	return cond_not_since(req, stored, now_s);
}
