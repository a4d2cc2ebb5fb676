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

/* The seconds of an argument, quoted or not (RFC 9111 §5.2 asks to take both). What is no number means
 * the most restrictive: stale at once, or for min-fresh never fresh enough. */
static uint32_t cc_seconds(const struct http_cc_directive *d, bool has_arg, struct hf_span arg)
{
	char text[24];
	uint32_t s;
	int len;

	if (!has_arg)
		return strcmp(d->name.ptr, "max-stale") == 0 ? HF_HTTP_DELTA_MAX : 0;
	if (arg.len > 0 && arg.ptr[0] == '"') {
		len = hf_http_unquote(arg, text, sizeof(text));
		arg = (struct hf_span){ text, len < 0 ? 0 : (size_t)len };
	}
	if (hf_http_parse_delta(arg, &s) != 0)
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
		if (has_arg)
			*http_cc_flag(cc, d->fields_at) = true;
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

void hf_http_cc_parse(struct hf_http_cc *cc, struct hf_span value)
{
	struct hf_span item;

	HF_ASSERT_HOT(value.len == 0 || value.ptr != NULL);
	while (hf_http_list_next(&value, &item)) {
		const char *eq = memchr(item.ptr, '=', item.len);
		size_t name_len = eq != NULL ? (size_t)(eq - item.ptr) : item.len;
		struct hf_span name = hf_http_trim((struct hf_span){ item.ptr, name_len });
		struct hf_span arg = { item.ptr + item.len, 0 };
		const struct http_cc_directive *d = http_cc_lookup(name);

		HF_ASSERT_HOT(name_len <= item.len);
		if (eq != NULL)
			arg = hf_http_trim((struct hf_span){ eq + 1, item.len - name_len - 1 });
		cc->present = true;
		if (d != NULL)
			cc_apply(cc, d, eq != NULL, arg);
	}
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
