/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Fields and query parameters whose names say that their values are credentials: the tables, and
 * the operator's own.
 */
#include "hf_http.h"

#include <stdatomic.h>
#include <string.h>

#include "http_priv.h"

#define SECRET_PART 64 /* of a long name: its beginning, and at least so much of its end */

HF_STATIC_ASSERT(SECRET_PART > HF_NAME_MAX, "a pattern is compared with what is kept");

static const struct hf_span secret_patterns[] = {
#define X(name) { name, sizeof(name) - 1 },
#include "tbl/secrets.h"
#undef X
};

struct secret_own {
	struct hf_names fields, parameters; /* parameters as names are compared */
};

/* One is in force; the other one is nobody's, as hf_http_secrets_set demands. */
static struct secret_own secret_places[2];
static struct secret_own *_Atomic secret_own = &secret_places[0];

/* The name as it is compared: decoded, lower case, '_' for '-' and '.', up to a '['. */
struct secret_name {
	char text[3 * SECRET_PART];
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
		if (ret_name->len == sizeof(ret_name->text)) {
			memcpy(ret_name->text + SECRET_PART, ret_name->text + 2 * SECRET_PART,
				SECRET_PART);
			ret_name->len -= SECRET_PART;
		}
		ret_name->text[ret_name->len++] = c == '-' || c == '.' ? '_' : http_lower(c);
	}
	HF_ASSERT_HOT(ret_name->len <= sizeof(ret_name->text));
}

/* A pattern has a '*' at one end, or none. */
static bool secret_is_like(struct hf_span name, struct hf_span pattern)
{
	bool front = pattern.ptr[0] == '*';

	HF_ASSERT_HOT(pattern.len > 0);
	if (!front && pattern.ptr[pattern.len - 1] != '*')
		return hf_span_eq(name, pattern);
	pattern.ptr += front;
	pattern.len--;
	if (name.len < pattern.len)
		return false;
	return memcmp(front ? name.ptr + name.len - pattern.len : name.ptr, pattern.ptr,
		       pattern.len) == 0;
}

static struct hf_span secret_own_name(const struct hf_names *names, uint32_t i)
{
	return (struct hf_span){ names->name[i], strlen(names->name[i]) };
}

static const struct secret_own *secret_own_now(void)
{
	return atomic_load_explicit(&secret_own, memory_order_acquire);
}

static bool secret_matches(struct hf_span raw)
{
	const struct hf_names *own = &secret_own_now()->parameters;
	struct secret_name name;
	struct hf_span text;

	secret_normalise(raw, &name);
	text = (struct hf_span){ name.text, name.len };
	for (size_t i = 0; i < HF_ARRAY_LEN(secret_patterns); i++)
		if (secret_is_like(text, secret_patterns[i]))
			return true;
	for (uint32_t i = 0; i < own->count; i++)
		if (secret_is_like(text, secret_own_name(own, i)))
			return true;
	return false;
}

void hf_http_secrets_set(const struct hf_names *fields, const struct hf_names *parameters)
{
	struct secret_own *next = &secret_places[secret_own_now() == &secret_places[0]];
	struct secret_name name;

	HF_ASSERT(fields->count <= HF_NAMES_MAX && parameters->count <= HF_NAMES_MAX);
	next->fields = *fields;
	next->parameters.count = parameters->count;
	for (uint32_t i = 0; i < parameters->count; i++) {
		secret_normalise(secret_own_name(parameters, i), &name);
		HF_ASSERT(name.len > 0 && name.len <= HF_NAME_MAX);
		memcpy(next->parameters.name[i], name.text, name.len);
		next->parameters.name[i][name.len] = '\0';
	}
	atomic_store_explicit(&secret_own, next, memory_order_release);
}

bool hf_http_field_is_secret(enum hf_http_field id, struct hf_span name)
{
	const struct hf_names *own = &secret_own_now()->fields;

	if (hf_http_field_flags(id) & HF_HTTP_FIELD_SCRUB)
		return true;
	for (uint32_t i = 0; i < own->count; i++)
		if (hf_span_caseeq(name, secret_own_name(own, i)))
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

bool hf_http_query_has_secret(struct hf_span path_query)
{
	struct hf_span query = secret_query(path_query);
	struct secret_param param;

	while (secret_param_next(&query, &param))
		if (secret_matches(param.name))
			return true;
	return false;
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
		if (param.value.len == 0 || !secret_matches(param.name))
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
