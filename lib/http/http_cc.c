/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Cache-Control (RFC 9111 §5.2).
 */
#include "hf_http.h"

#include <stddef.h>
#include <string.h>

#include "http_priv.h"

#define FLAG(text, member)                                                                         \
	{                                                                                          \
		.name = { text, sizeof(text) - 1 }, .kind = HTTP_CC_FLAG,                          \
		.flag_at = offsetof(struct hf_http_cc, member)                                     \
	}
#define FIELDS(text, member, fields)                                                               \
	{                                                                                          \
		.name = { text, sizeof(text) - 1 }, .kind = HTTP_CC_FIELDS,                        \
		.flag_at = offsetof(struct hf_http_cc, member),                                    \
		.fields_at = offsetof(struct hf_http_cc, fields)                                   \
	}
#define SECONDS(text, type, member)                                                                \
	{                                                                                          \
		.name = { text, sizeof(text) - 1 }, .kind = type,                                  \
		.flag_at = offsetof(struct hf_http_cc, has_##member),                              \
		.value_at = offsetof(struct hf_http_cc, member##_s)                                \
	}

static const struct http_cc_directive cc_directives[] = {
	SECONDS("max-age", HTTP_CC_SECONDS, max_age),
	SECONDS("s-maxage", HTTP_CC_SECONDS, s_maxage),
	FLAG("public", is_public),
	FIELDS("private", is_private, private_fields),
	FIELDS("no-cache", no_cache, no_cache_fields),
	FLAG("no-store", no_store),
	FLAG("must-revalidate", must_revalidate),
	FLAG("proxy-revalidate", proxy_revalidate),
	SECONDS("stale-while-revalidate", HTTP_CC_SECONDS, stale_while_revalidate),
	SECONDS("stale-if-error", HTTP_CC_SECONDS, stale_if_error),
	FLAG("immutable", immutable),
	FLAG("must-understand", must_understand),
	FLAG("no-transform", no_transform),
	FLAG("only-if-cached", only_if_cached),
	SECONDS("max-stale", HTTP_CC_SECONDS, max_stale),
	SECONDS("min-fresh", HTTP_CC_AT_LEAST, min_fresh),
};

HF_STATIC_ASSERT(sizeof(struct hf_http_cc) <= UINT8_MAX, "offsets are 8 bits");

const struct http_cc_directive *http_cc_lookup(struct hf_span name)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(cc_directives); i++)
		if (hf_span_caseeq(cc_directives[i].name, name))
			return &cc_directives[i];
	return NULL;
}

void hf_http_cc_init(struct hf_http_cc *cc)
{
	memset(cc, 0, sizeof(*cc));
}

/* An argument without its quotes: RFC 9111 §5.2 asks to take both forms. A quote or an escape that
 * is left makes neither a number nor a name. */
static struct hf_span cc_unquoted(struct hf_span arg)
{
	if (arg.len < 2 || arg.ptr[0] != '"' || arg.ptr[arg.len - 1] != '"')
		return arg;
	return (struct hf_span){ arg.ptr + 1, arg.len - 2 };
}

/* ---- field names in an argument: private="a, b" (§5.2.2.4, §5.2.2.7) ---- */

/* What says how the content is to be read, kept or whose it is cannot be left out of it. */
static bool cc_may_leave_out(struct hf_span name)
{
	unsigned flags = hf_http_field_flags(hf_http_field_lookup(name));

	return hf_http_is_token(name) &&
	       (!(flags & HF_HTTP_FIELD_END) || (flags & HF_HTTP_FIELD_SCRUB));
}

/* Names all of which may be left out; else the directive is taken as if it had no argument, as
 * §5.2.2.4 permits. */
static bool cc_is_qualified(struct hf_span arg)
{
	struct hf_span list = cc_unquoted(arg);
	struct hf_span name;
	bool any = false;

	while (hf_http_list_next(&list, &name)) {
		if (!cc_may_leave_out(name))
			return false;
		any = true;
	}
	return any;
}

/* ---- directives ---- */

/* What is no number means the most restrictive: stale at once, or for min-fresh never fresh
 * enough. */
static uint32_t cc_seconds(const struct http_cc_directive *d, bool has_arg, struct hf_span arg)
{
	uint32_t s;

	if (!has_arg)
		return strcmp(d->name.ptr, "max-stale") == 0 ? HF_HTTP_DELTA_MAX : 0;
	if (hf_http_parse_delta(cc_unquoted(arg), &s) != 0)
		return d->kind == HTTP_CC_AT_LEAST ? HF_HTTP_DELTA_MAX : 0;
	return s;
}

static void cc_apply(
	struct hf_http_cc *cc, const struct http_cc_directive *d, bool has_arg, struct hf_span arg)
{
	bool *flag = http_cc_flag(cc, d->flag_at);
	uint32_t *value = http_cc_value(cc, d->value_at);
	uint32_t s;

	switch (d->kind) {
	case HTTP_CC_FIELDS:
		if (has_arg && cc_is_qualified(arg))
			flag = http_cc_flag(cc, d->fields_at);
		break;
	case HTTP_CC_SECONDS:
		s = cc_seconds(d, has_arg, arg);
		*value = *flag ? hf_min_u32(*value, s) : s;
		break;
	case HTTP_CC_AT_LEAST:
		s = cc_seconds(d, has_arg, arg);
		*value = *flag ? hf_max_u32(*value, s) : s;
		break;
	case HTTP_CC_FLAG:
		break;
	}
	*flag = true;
}

/* Does a string begin that nobody closes? */
static bool cc_is_open(struct hf_span item)
{
	bool quoted = false;

	for (size_t i = 0; i < item.len; i++) {
		if (quoted && item.ptr[i] == '\\')
			i++;
		else if (item.ptr[i] == '"')
			quoted = !quoted;
	}
	return quoted;
}

/* A directive's name and argument. RFC 9111 §5.2 has no white space around the '=': the name is
 * known nevertheless, but what stands there is no number and no list. */
struct cc_item {
	struct hf_span name, arg;
	bool has_arg, open;
};

static bool cc_next(struct hf_span *value, struct cc_item *ret_item)
{
	struct hf_span item, name;
	const char *eq, *end;

	if (!hf_http_list_next(value, &item))
		return false;
	end = item.ptr + item.len;
	eq = memchr(item.ptr, '=', item.len);
	name = (struct hf_span){ item.ptr, (size_t)((eq != NULL ? eq : end) - item.ptr) };
	ret_item->name = hf_http_trim(name);
	ret_item->has_arg = eq != NULL;
	ret_item->open = cc_is_open(item);
	ret_item->arg = (struct hf_span){ end, 0 };
	if (eq != NULL && eq + 1 < end && !http_is_ws(eq[1]) && ret_item->name.len == name.len)
		ret_item->arg = (struct hf_span){ eq + 1, (size_t)(end - eq - 1) };
	return true;
}

void hf_http_cc_parse(struct hf_http_cc *cc, struct hf_span value)
{
	struct cc_item item;

	HF_ASSERT_HOT(value.len == 0 || value.ptr != NULL);
	while (cc_next(&value, &item)) {
		const struct http_cc_directive *d = http_cc_lookup(item.name);

		cc->present = true;
		/* what such a string swallowed is not known */
		cc->no_store = cc->no_store || item.open;
		if (d != NULL)
			cc_apply(cc, d, item.has_arg, item.arg);
	}
}

bool hf_http_cc_leaves_out(const struct hf_http_fields *fields, struct hf_span name)
{
	struct cc_item item;
	struct hf_span listed;

	HF_ASSERT(fields->count <= HF_HTTP_LINES_MAX);
	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span value = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_CACHE_CONTROL)
			continue;
		while (cc_next(&value, &item)) {
			const struct http_cc_directive *d = http_cc_lookup(item.name);
			struct hf_span list = cc_unquoted(item.arg);

			if (d == NULL || d->kind != HTTP_CC_FIELDS || !cc_is_qualified(item.arg))
				continue;
			while (hf_http_list_next(&list, &listed))
				if (hf_span_caseeq(listed, name))
					return true;
		}
	}
	return false;
}

void hf_http_cc_from_fields(const struct hf_http_fields *fields, struct hf_http_cc *ret_cc)
{
	HF_ASSERT_HOT(fields->count <= HF_HTTP_LINES_MAX);
	hf_http_cc_init(ret_cc);
	if (!hf_http_fields_have(fields, HF_HTTP_FIELD_CACHE_CONTROL))
		return;
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->lines[i].id == HF_HTTP_FIELD_CACHE_CONTROL)
			hf_http_cc_parse(ret_cc, fields->lines[i].value);
}
