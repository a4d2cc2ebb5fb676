/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Filters: words KEY=VALUE.
 */
#include "hf_reqlog.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reqlog_priv.h"

#define FILTER_WORD_MAX (REQLOG_PATTERN_MAX + 16)
#define FILTER_SLOW_MAX 86400000000ULL /* a day */

const char *const hf_reqlog_cache_names[HF_REQLOG_CACHE_COUNT] = {
#define X(id, name) [HF_REQLOG_##id] = name,
#include "tbl/cache_classes.h"
#undef X
};

#define FILTER_MISS                                                                                \
	(1U << HF_REQLOG_ABSENT | 1U << HF_REQLOG_EXPIRED | 1U << HF_REQLOG_VARY |                 \
		1U << HF_REQLOG_UNCACHEABLE)

/* Digits at *text; moves behind them. */
static bool filter_number(const char **text, uint64_t max, uint64_t *ret_value)
{
	const char *at = *text;
	uint64_t value = 0;

	for (; isdigit((unsigned char)*at); at++) {
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > max)
			return false;
	}
	if (at == *text)
		return false;
	*text = at;
	*ret_value = value;
	return true;
}

/* 404, 5xx or 500-503; 0 is a request that got no answer. */
static bool filter_range(const char **text, uint64_t *ret_from, uint64_t *ret_to)
{
	const char *at = *text;

	if (*at >= '1' && *at <= '9' && at[1] == 'x' && at[2] == 'x') {
		*ret_from = (uint64_t)(*at - '0') * 100;
		*ret_to = *ret_from + 99;
		*text = at + 3;
		return true;
	}
	if (!filter_number(text, 999, ret_from))
		return false;
	*ret_to = *ret_from;
	if (**text != '-')
		return true;
	(*text)++;
	return filter_number(text, 999, ret_to) && *ret_from <= *ret_to;
}

static bool filter_status(struct reqlog_filter *filter, const char *value)
{
	uint32_t n = 0;

	do {
		uint64_t from, to;

		if (n == REQLOG_RANGES_MAX || !filter_range(&value, &from, &to))
			return false;
		filter->status_from[n] = (uint16_t)from;
		filter->status_to[n++] = (uint16_t)to;
	} while (*value++ == ',');
	filter->status_count = n;
	return value[-1] == '\0';
}

static bool filter_class(const char *word, size_t len, uint32_t *ret_bits)
{
	if (len == 4 && memcmp(word, "miss", 4) == 0) {
		*ret_bits = FILTER_MISS;
		return true;
	}
	for (uint32_t i = 0; i < HF_REQLOG_CACHE_COUNT; i++)
		if (strlen(hf_reqlog_cache_names[i]) == len &&
			memcmp(word, hf_reqlog_cache_names[i], len) == 0) {
			*ret_bits = 1U << i;
			return true;
		}
	return false;
}

static bool filter_cache(struct reqlog_filter *filter, const char *value)
{
	for (;;) {
		size_t len = strcspn(value, ",");
		uint32_t bits;

		if (!filter_class(value, len, &bits))
			return false;
		filter->caches |= bits;
		if (value[len] == '\0')
			return true;
		value += len + 1;
	}
}

static bool filter_slow(struct reqlog_filter *filter, const char *value)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	uint64_t number;

	if (!filter_number(&value, FILTER_SLOW_MAX, &number))
		return false;
	for (size_t i = 0; i < HF_ARRAY_LEN(units); i++)
		if (strcmp(value, units[i].name) == 0) {
			filter->slow_us = number * units[i].us;
			return number > 0 && filter->slow_us <= FILTER_SLOW_MAX;
		}
	return false;
}

/* An address, or a network of either family. */
static bool filter_client(struct reqlog_filter *filter, const char *value)
{
	const char *slash = strchr(value, '/');
	size_t len = slash ? (size_t)(slash - value) : strlen(value);
	char text[REQLOG_IP_LEN];
	bool is4 = true;
	uint64_t prefix;

	if (len >= sizeof(text))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	filter->net = (struct hf_ip){ .b = { [10] = 0xff, [11] = 0xff } };
	if (inet_pton(AF_INET, text, filter->net.b + 12) != 1) {
		is4 = false;
		if (inet_pton(AF_INET6, text, filter->net.b) != 1)
			return false;
	}
	prefix = is4 ? 32 : 128;
	if (slash) {
		const char *at = slash + 1;

		if (!filter_number(&at, prefix, &prefix) || *at)
			return false;
	}
	filter->prefix = (uint32_t)prefix + (is4 ? 96 : 0);
	return true;
}

static bool filter_method(struct reqlog_filter *filter, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len > HF_REQLOG_METHOD_MAX)
		return false;
	memcpy(filter->method, value, len + 1);
	return true;
}

static bool filter_pattern(char *pattern, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len >= REQLOG_PATTERN_MAX)
		return false;
	memcpy(pattern, value, len + 1);
	return true;
}

static bool filter_host(struct reqlog_filter *filter, const char *value)
{
	return filter_pattern(filter->host, value);
}

static bool filter_path(struct reqlog_filter *filter, const char *value)
{
	return filter_pattern(filter->path, value);
}

static const struct {
	const char *key;
	bool (*set)(struct reqlog_filter *filter, const char *value);
	const char *allowed;
} filter_keys[] = {
	{ "status", filter_status, "404, 5xx, 500-503, or up to 8 of them with commas" },
	{ "method", filter_method, "a method of at most 16 characters, in capitals as sent" },
	{ "host", filter_host, "a host as asked for; * and ? stand for others" },
	{ "path", filter_path, "path and query; * and ? stand for others" },
	{ "client", filter_client, "an address, or a network as 192.0.2.0/24" },
	{ "cache", filter_cache,
		"hit, stale, miss, absent, expired, vary, uncacheable, bypass, none, or some with "
		"commas" },
	{ "slow", filter_slow, "the least duration, as 50ms; up to a day in us, ms, s" },
};

static int filter_word(
	struct reqlog_filter *filter, const char *word, uint32_t *seen, struct hf_err *err)
{
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < HF_ARRAY_LEN(filter_keys); i++) {
		const char *key = filter_keys[i].key;

		if (word[len] != '=' || strlen(key) != len || memcmp(word, key, len) != 0)
			continue;
		if (*seen & 1U << i)
			return hf_err_set(err, -EINVAL, "filter: \"%s\" is there twice", key);
		*seen |= 1U << i;
		if (filter_keys[i].set(filter, word + len + 1))
			return 0;
		return hf_err_set(err, -EINVAL, "filter: %s is \"%.64s\"; allowed: %s", key,
			word + len + 1, filter_keys[i].allowed);
	}
	return hf_err_set(err, -EINVAL,
		"filter: \"%.64s\"; allowed: KEY=VALUE with the keys status, method, host, path, "
		"client, cache, slow",
		word);
}

int reqlog_filter_parse(const char *text, struct hf_err *err, struct reqlog_filter *ret_filter)
{
	struct reqlog_filter filter = { .status_count = 0 };
	uint32_t seen = 0;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		char word[FILTER_WORD_MAX];
		size_t len = strcspn(text, " ");
		int rc;

		if (len >= sizeof(word))
			return hf_err_set(err, -EINVAL, "filter: a word of %zu bytes; allowed: %zu",
				len, sizeof(word) - 1);
		memcpy(word, text, len);
		word[len] = '\0';
		rc = filter_word(&filter, word, &seen, err);
		if (rc != 0)
			return rc;
		text += len;
	}
	*ret_filter = filter;
	return 0;
}

/* ---- match ---- */

/* A star that matched too little is tried again with one byte more: only the last one needs to
 * be. */
bool reqlog_glob(const char *pattern, struct hf_span text, bool fold_case)
{
	const char *at = text.ptr, *end = text.ptr + text.len, *star = NULL, *resume = NULL;

	while (at < end) {
		char c = fold_case ? (char)tolower((unsigned char)*at) : *at;
		char p = fold_case ? (char)tolower((unsigned char)*pattern) : *pattern;

		if (p == '*') {
			star = pattern++;
			resume = at;
		} else if (p == '?' || (p == c && p != '\0')) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star + 1;
			at = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool match_status(const struct reqlog_filter *filter, uint16_t status)
{
	for (uint32_t i = 0; i < filter->status_count; i++)
		if (status >= filter->status_from[i] && status <= filter->status_to[i])
			return true;
	return filter->status_count == 0;
}

static bool match_net(const struct reqlog_filter *filter, const struct hf_ip *ip)
{
	uint32_t bytes = filter->prefix / 8, bits = filter->prefix % 8;
	uint8_t mask = (uint8_t)(0xff00U >> bits);

	if (memcmp(filter->net.b, ip->b, bytes) != 0)
		return false;
	return bits == 0 || ((filter->net.b[bytes] ^ ip->b[bytes]) & mask) == 0;
}

bool reqlog_filter_match(const struct reqlog_filter *filter, const struct hf_reqlog_record *record)
{
	if (!match_status(filter, record->status) || record->duration_us < filter->slow_us ||
		!match_net(filter, &record->client))
		return false;
	if (filter->caches && !(filter->caches & 1U << record->cache))
		return false;
	if (*filter->method && (strlen(filter->method) != record->method_len ||
				       memcmp(filter->method, record->method, record->method_len)))
		return false;
	if (*filter->host && !reqlog_glob(filter->host, reqlog_host(record), /* fold_case= */ true))
		return false;
	return !*filter->path || reqlog_glob(filter->path, hf_reqlog_target(record), false);
}
