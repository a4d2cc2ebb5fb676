/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Query parameters whose names say that their values are credentials.
 */
#include "hf_http.h"

#include <string.h>

#include "http_priv.h"

#define SECRET_NAME_MAX 64

static const struct hf_span secret_names[] = {
#define X(name) { name, sizeof(name) - 1 },
#include "tbl/secrets.h"
#undef X
};

static const struct hf_span secret_endings[] = {
	{ "_token", 6 },
	{ "_signature", 10 },
	{ "_secret", 7 },
	{ "_password", 9 },
};

/* The name as it is compared: decoded, lower case, '_' for '-' and '.', up to a '['; cut at
 * SECRET_NAME_MAX from the front, as the ending matters. */
struct secret_name {
	char text[SECRET_NAME_MAX];
	size_t len;
};

static void secret_normalise(struct hf_span raw, struct secret_name *ret_name)
{
	const char *at = raw.ptr;
	const char *end = raw.ptr + raw.len;

	ret_name->len = 0;
	while (at < end) {
		char c = *at;

		if (http_is_escape(at, end)) {
			c = (char)(http_hex_value(at[1]) << 4 | http_hex_value(at[2]));
			at += 2;
		}
		at++;
		if (c == '[')
			break;
		if (ret_name->len == SECRET_NAME_MAX) {
			memmove(ret_name->text, ret_name->text + SECRET_NAME_MAX / 2,
				SECRET_NAME_MAX / 2);
			ret_name->len = SECRET_NAME_MAX / 2;
		}
		ret_name->text[ret_name->len++] = c == '-' || c == '.' ? '_' : http_lower(c);
	}
	HF_ASSERT_HOT(ret_name->len <= SECRET_NAME_MAX);
}

static bool secret_ends_with(struct hf_span name, struct hf_span ending)
{
	return name.len >= ending.len &&
	       memcmp(name.ptr + name.len - ending.len, ending.ptr, ending.len) == 0;
}

/* only: the operator's name, or empty for the table. */
static bool secret_matches(struct hf_span raw, struct hf_span only)
{
	struct secret_name name, other;
	struct hf_span text;

	secret_normalise(raw, &name);
	text = (struct hf_span){ name.text, name.len };
	if (only.len > 0) {
		secret_normalise(only, &other);
		return hf_span_eq(text, (struct hf_span){ other.text, other.len });
	}
	if (text.len >= 7 && memcmp(text.ptr, "session", 7) == 0)
		return true;
	for (size_t i = 0; i < HF_ARRAY_LEN(secret_names); i++)
		if (hf_span_eq(text, secret_names[i]))
			return true;
	for (size_t i = 0; i < HF_ARRAY_LEN(secret_endings); i++)
		if (secret_ends_with(text, secret_endings[i]))
			return true;
	return false;
}

struct secret_param {
	struct hf_span name;
	struct hf_span value; /* after '=' */
};

/* Takes the next parameter off *query. ';' parts them too: some origins see it so. */
static bool secret_param_next(struct hf_span *query, struct secret_param *ret_param)
{
	const char *start = query->ptr;
	const char *end = start + query->len;
	const char *at = start;
	const char *eq = NULL;

	if (query->len == 0)
		return false;
	for (; at < end && *at != '&' && *at != ';'; at++)
		if (*at == '=' && eq == NULL)
			eq = at;
	if (eq == NULL)
		eq = at;
	ret_param->name = (struct hf_span){ start, (size_t)(eq - start) };
	ret_param->value.ptr = eq < at ? eq + 1 : at;
	ret_param->value.len = (size_t)(at - ret_param->value.ptr);
	query->ptr = at < end ? at + 1 : at;
	query->len = (size_t)(end - query->ptr);
	return true;
}

/* What follows the first '?'; empty at its end when there is none. */
static struct hf_span secret_query(struct hf_span url)
{
	const char *mark = url.len > 0 ? memchr(url.ptr, '?', url.len) : NULL;

	if (mark == NULL)
		return (struct hf_span){ url.ptr + url.len, 0 };
	return (struct hf_span){ mark + 1, (size_t)(url.ptr + url.len - mark - 1) };
}

static bool secret_find(struct hf_span path_query, struct hf_span only)
{
	struct hf_span query = secret_query(path_query);
	struct secret_param param;

	while (secret_param_next(&query, &param))
		if (secret_matches(param.name, only))
			return true;
	return false;
}

bool hf_http_query_has_secret(struct hf_span path_query)
{
	return secret_find(path_query, (struct hf_span){ "", 0 });
}

bool hf_http_query_has_name(struct hf_span path_query, struct hf_span name)
{
	HF_ASSERT(name.len > 0 && name.len <= SECRET_NAME_MAX);
	return secret_find(path_query, name);
}

static size_t secret_put(char *buf, size_t cap, size_t len, struct hf_span text)
{
	size_t n = hf_min_size(text.len, cap - len);

	HF_ASSERT(len <= cap);
	if (n > 0)
		memcpy(buf + len, text.ptr, n);
	return len + n;
}

size_t hf_http_redact(struct hf_span url, char *buf, size_t cap)
{
	struct hf_span query = secret_query(url);
	const char *copied = url.ptr;
	struct secret_param param;
	size_t len = 0;

	while (secret_param_next(&query, &param)) {
		if (param.value.len == 0 || !secret_matches(param.name, (struct hf_span){ "", 0 }))
			continue;
		len = secret_put(buf, cap, len,
			(struct hf_span){ copied, (size_t)(param.value.ptr - copied) });
		len = secret_put(buf, cap, len, HF_SPAN("***"));
		copied = param.value.ptr + param.value.len;
	}
	HF_ASSERT(copied <= url.ptr + url.len);
	return secret_put(
		buf, cap, len, (struct hf_span){ copied, (size_t)(url.ptr + url.len - copied) });
}
