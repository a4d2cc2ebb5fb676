/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Vary (RFC 9111 §4.1): the selecting fields of a request as a block of bytes. Two requests select
 * the same response when their blocks are equal.
 */
#include "hf_cache_rules.h"

#include <errno.h>
#include <string.h>

#define VARY_NAMES_MAX 32

/* Where a block goes: into a buffer, or byte by byte against another block. */
struct vary_out {
	char *write;
	const char *expect; /* when write is NULL */
	size_t cap, len;
	bool failed; /* did not fit, or differs */
};

static void vary_put(struct vary_out *out, char c)
{
	HF_ASSERT_HOT(out->len <= out->cap);
	if (out->failed || out->len == out->cap)
		out->failed = true;
	else if (out->write != NULL)
		out->write[out->len++] = c;
	else
		out->failed = out->expect[out->len++] != c;
}

static char vary_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Lists whose white space may be normalised; of other fields the bytes are compared. */
static bool vary_is_list(enum hf_http_field id)
{
	return id == HF_HTTP_FIELD_ACCEPT || id == HF_HTTP_FIELD_ACCEPT_ENCODING ||
	       id == HF_HTTP_FIELD_ACCEPT_LANGUAGE;
}

/* Content codings and languages do not mind case (RFC 9110 §8.4.1, §12.5.4). */
static bool vary_ignores_case(enum hf_http_field id)
{
	return id == HF_HTTP_FIELD_ACCEPT_ENCODING || id == HF_HTTP_FIELD_ACCEPT_LANGUAGE;
}

/* Quoted text keeps its case. */
static void vary_put_item(struct vary_out *out, struct hf_span item, bool lower)
{
	bool quoted = false;

	for (size_t i = 0; i < item.len; i++) {
		char c = item.ptr[i];

		if (quoted && c == '\\' && i + 1 < item.len) {
			vary_put(out, c);
			c = item.ptr[++i];
		} else if (c == '"') {
			quoted = !quoted;
		}
		vary_put(out, lower && !quoted ? vary_lower(c) : c);
	}
}

static void vary_put_list(struct vary_out *out, struct hf_span list, enum hf_http_field id)
{
	bool first = true;
	struct hf_span item;

	while (hf_http_list_next(&list, &item)) {
		if (!first)
			vary_put(out, ',');
		first = false;
		vary_put_item(out, item, vary_ignores_case(id));
	}
}

/* '+' and the values of all lines of that name, combined (RFC 9110 §5.3); '-': there is none, or it
 * was for us alone, and the origin never saw it. */
static void vary_put_value(
	struct vary_out *out, const struct hf_http_fields *fields, struct hf_span name)
{
	enum hf_http_field id = hf_http_field_lookup(name);
	bool any = false;

	for (uint32_t i = 0; hf_http_fields_have(fields, id) && i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i];

		if (line->hop || line->id != id || !hf_span_caseeq(line->name, name))
			continue;
		vary_put(out, any ? ',' : '+');
		if (vary_is_list(id)) {
			vary_put_list(out, line->value, id);
		} else {
			if (any)
				vary_put(out, ' ');
			for (size_t k = 0; k < line->value.len; k++)
				vary_put(out, line->value.ptr[k]);
		}
		any = true;
	}
	if (!any)
		vary_put(out, '-');
}

static void vary_put_record(
	struct vary_out *out, const struct hf_http_fields *fields, struct hf_span name)
{
	HF_ASSERT(name.len > 0);
	for (size_t i = 0; i < name.len; i++)
		vary_put(out, vary_lower(name.ptr[i]));
	vary_put(out, '\0');
	vary_put_value(out, fields, name);
	vary_put(out, '\0');
}

/* Case-insensitive order. */
static int vary_compare(struct hf_span a, struct hf_span b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++) {
		int d = (unsigned char)vary_lower(a.ptr[i]) - (unsigned char)vary_lower(b.ptr[i]);

		if (d != 0)
			return d;
	}
	return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

/* Puts name into the sorted list unless it is there. */
static int vary_insert(struct hf_span names[VARY_NAMES_MAX], uint32_t *count, struct hf_span name)
{
	uint32_t at = 0;
	int order = 1;

	HF_ASSERT(*count <= VARY_NAMES_MAX);
	while (at < *count && (order = vary_compare(names[at], name)) < 0)
		at++;
	if (at < *count && order == 0)
		return 0;
	if (*count == VARY_NAMES_MAX)
		return -ENOSPC;
	memmove(&names[at + 1], &names[at], (*count - at) * sizeof(names[0]));
	names[at] = name;
	(*count)++;
	return 0;
}

static int vary_names(const struct hf_http_fields *fields, struct hf_span names[VARY_NAMES_MAX],
	uint32_t *ret_count)
{
	struct hf_span name;
	uint32_t count = 0;

	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_VARY)
			continue;
		while (hf_http_list_next(&list, &name)) {
			if (hf_span_eq(name, HF_SPAN("*")) || !hf_http_is_token(name))
				return -EINVAL;
			if (vary_insert(names, &count, name) != 0)
				return -ENOSPC;
		}
	}
	*ret_count = count;
	return 0;
}

int hf_cache_vary_build(
	char *buf, size_t cap, const struct hf_http_resp *resp, const struct hf_http_req *req)
{
	struct vary_out out = { .write = buf, .cap = hf_min_size(cap, INT32_MAX) };
	struct hf_span names[VARY_NAMES_MAX];
	uint32_t count;
	int err = vary_names(&resp->fields, names, &count);

	if (err != 0)
		return err;
	HF_ASSERT(count <= VARY_NAMES_MAX);
	for (uint32_t i = 0; i < count; i++)
		vary_put_record(&out, &req->fields, names[i]);
	HF_ASSERT(out.len <= out.cap);
	return out.failed ? -ENOSPC : (int)out.len;
}

/* Takes the next record's name off the block. False at the end, and on what is no record (a block
 * may have come back from L2): then something is left. */
static bool vary_next(struct hf_span *block, struct hf_span *ret_name)
{
	const char *zero = block->len > 0 ? memchr(block->ptr, '\0', block->len) : NULL;
	const char *end, *last;

	if (zero == NULL || zero == block->ptr)
		return false;
	end = block->ptr + block->len;
	last = memchr(zero + 1, '\0', (size_t)(end - zero - 1));
	if (last == NULL)
		return false;
	*ret_name = (struct hf_span){ block->ptr, (size_t)(zero - block->ptr) };
	block->ptr = last + 1;
	block->len = (size_t)(end - block->ptr);
	return true;
}

int hf_cache_vary_rebuild(
	char *buf, size_t cap, const char *block, size_t len, const struct hf_http_req *req)
{
	struct vary_out out = { .write = buf, .cap = hf_min_size(cap, INT32_MAX) };
	struct hf_span rest = { block, len };
	struct hf_span name;

	HF_ASSERT(buf != NULL && buf != block);
	while (vary_next(&rest, &name))
		vary_put_record(&out, &req->fields, name);
	if (rest.len > 0)
		return -EINVAL;
	HF_ASSERT(out.len <= out.cap);
	return out.failed ? -ENOSPC : (int)out.len;
}

bool hf_cache_vary_matches(const char *block, size_t len, const struct hf_http_req *req)
{
	struct vary_out out = { .expect = block, .cap = len };
	struct hf_span rest = { block, len };
	struct hf_span name;

	HF_ASSERT(len == 0 || block != NULL);
	while (!out.failed && vary_next(&rest, &name))
		vary_put_record(&out, &req->fields, name);
	HF_ASSERT(out.len <= len);
	return !out.failed && rest.len == 0 && out.len == len;
}

bool hf_cache_vary_is_block(const char *block, size_t len)
{
	struct hf_span rest = { block, len };
	struct hf_span name;

	while (vary_next(&rest, &name)) {
		const char *value = name.ptr + name.len + 1;

		if (!hf_http_is_token(name) ||
			(value[0] != '+' && !(value[0] == '-' && value[1] == '\0')))
			return false;
	}
	return rest.len == 0;
}

bool hf_cache_vary_has_secret(const char *block, size_t len)
{
	struct hf_span rest = { block, len };
	struct hf_span name;

	while (vary_next(&rest, &name))
		if (name.ptr[name.len + 1] == '+' &&
			hf_http_field_is_secret(hf_http_field_lookup(name), name))
			return true;
	return false;
}
