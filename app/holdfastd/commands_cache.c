/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands about the cache: show, list, purge.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"
#include "hf_http.h"

#define CACHE_PURGE_WAIT_MS 10000 /* of a purge of many, which then goes on by itself */
#define CACHE_LIST_WAIT_US  5000000
#define CACHE_LIST_MAX      1000 /* rows */
#define CACHE_SHOWN_MAX     1024 /* bytes of a key */

/* ---- what is meant ---- */

/* "http://host[:port]/path" as the cache spells it. The length, or -EINVAL. */
static int cache_url(const char *url, char *buf, size_t cap, struct hf_err *err)
{
	static const char scheme[] = "http://";
	size_t host_len;
	int len;

	if (strncasecmp(url, scheme, sizeof(scheme) - 1) != 0)
		return hf_err_set(err, -EINVAL, "URL must begin with http:// and name a host");
	url += sizeof(scheme) - 1;
	host_len = strcspn(url, "/?");
	len = hf_http_key_build(buf, cap, HF_SPAN("http"), (struct hf_span){ url, host_len },
		(struct hf_span){ url + host_len, strlen(url + host_len) });
	if (len < 0)
		return hf_err_set(err, -EINVAL, "URL or prefix is malformed or too long");
	return len;
}

static int cache_key(const struct app *app, const json_t *args, char *buf, size_t cap,
	struct hf_key *ret_key, struct hf_err *err)
{
	int len = cache_url(json_string_value(json_object_get(args, "url")), buf, cap, err);

	if (len < 0)
		return len;
	ret_key->ptr = buf;
	ret_key->len = (uint32_t)len;
	ret_key->hash = hf_cache_hash(app->cache, buf, (uint32_t)len);
	return 0;
}

/* "http://host/path", or "/path" on every host. A host is whole. */
static int cache_prefix(
	const char *prefix, char *buf, size_t cap, struct hf_purge_walk *walk, struct hf_err *err)
{
	static const char scheme[] = "http://", any[] = "http://any";
	bool path = *prefix == '/', has_path;
	char *url;
	int len;

	if (!path && strncasecmp(prefix, scheme, sizeof(scheme) - 1) != 0)
		return hf_err_set(err, -EINVAL,
			"prefix must begin with http:// and name a host, or be a path: /...");
	has_path = path || strpbrk(prefix + sizeof(scheme) - 1, "/?");
	url = malloc(sizeof(any) + strlen(prefix) + 2);
	HF_ASSERT(url != NULL);
	/* something goes on behind it: "/a/." is no "/a/" but the beginning of "/a/.b" */
	(void)stpcpy(stpcpy(stpcpy(url, path ? any : ""), prefix), has_path ? "x" : "/x");
	len = cache_url(url, buf, cap, err);
	free(url);
	if (len < 0)
		return len;
	walk->kind = path ? HF_PURGE_PATH : HF_PURGE_PREFIX;
	walk->text = (struct hf_span){ buf, (size_t)len - 1 };
	if (path) {
		walk->text.ptr += sizeof(any) - 1;
		walk->text.len -= sizeof(any) - 1;
	}
	return 0;
}

/* What no field can hold is a mistake. */
static int cache_tag(const char *tag, struct hf_purge_walk *walk, struct hf_err *err)
{
	size_t len = strlen(tag);

	walk->kind = HF_PURGE_TAG;
	walk->text = (struct hf_span){ tag, len };
	if (len > HF_ORIGIN_TAG_MAX)
		return hf_err_set(
			err, -EINVAL, "tag of %zu bytes; allowed: 1 to %d", len, HF_ORIGIN_TAG_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)tag[i] < 0x20 || tag[i] == 0x7f)
			return hf_err_set(err, -EINVAL, "tag with a control character");
	if (tag[0] == ' ' || tag[len - 1] == ' ')
		return hf_err_set(err, -EINVAL, "tag with a blank at its beginning or end");
	return 0;
}

static json_t *cache_shown_key(struct hf_span key)
{
	char shown[CACHE_SHOWN_MAX];
	size_t len = hf_http_redact(key, shown, sizeof(shown) - 1);

	shown[len] = '\0';
	return hf_ctl_string(shown);
}

static int cache_call(struct app *app, uint32_t shard, struct hf_origin_call *call,
	bool *ret_internal, struct hf_err *err)
{
	if (hf_origin_call(app->origin[shard].origin, call) == 0)
		return 0;
	*ret_internal = true;
	return hf_err_set(err, -ETIMEDOUT, "origin thread %u does not answer", shard);
}

/* ---- purge ---- */

static json_t *purge_url(
	struct app *app, const json_t *args, bool soft, bool *ret_internal, struct hf_err *err)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_PURGE, .soft = soft };
	char buf[HF_ORIGIN_PREFIX_MAX];

	if (cache_key(app, args, buf, sizeof(buf), &call.key, err) ||
		cache_call(app, hf_cache_shard_index(app->cache, call.key.hash), &call,
			ret_internal, err))
		return NULL;
	hf_rcu_synchronize(); /* nobody answers with it any more (C6) */
	return json_pack("{s:I}", "purged", (json_int_t)call.count);
}

/* One of the origin threads that are not done; their number if all are. */
static uint32_t purge_unfinished(const struct app *app, uint64_t *ret_count)
{
	uint32_t i = 0;
	uint64_t count;

	*ret_count = 0;
	while (i < app->origins && hf_origin_purge_done(app->origin[i].origin, &count)) {
		*ret_count += count;
		i++;
	}
	return i;
}

/* All threads walk side by side. */
static json_t *purge_many(
	struct app *app, const struct hf_purge_walk *walk, bool *ret_internal, struct hf_err *err)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t count, end_us = hf_clock_us() + CACHE_PURGE_WAIT_MS * 1000ULL;
	uint32_t busy = purge_unfinished(app, &count);

	*ret_internal = busy < app->origins;
	if (busy < app->origins) {
		(void)hf_err_set(err, -EBUSY,
			"origin thread %u is still busy with an earlier purge; try again", busy);
		return NULL;
	}
	for (uint32_t i = 0; i < app->origins; i++) {
		int failed = hf_origin_purge_begin(app->origin[i].origin, walk);

		HF_ASSERT(failed == 0); /* not busy, and the text was looked at */
	}
	while ((busy = purge_unfinished(app, &count)) < app->origins && hf_clock_us() < end_us)
		(void)nanosleep(&pause, NULL);
	*ret_internal = busy < app->origins;
	if (busy < app->origins) {
		(void)hf_err_set(err, -ETIMEDOUT,
			"origin thread %u is not done within %d s; the purge goes on by itself",
			busy, CACHE_PURGE_WAIT_MS / 1000);
		return NULL;
	}
	hf_rcu_synchronize();
	return json_pack("{s:I}", "purged", (json_int_t)count);
}

json_t *app_command_purge(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	const char *prefix = json_string_value(json_object_get(args, "prefix"));
	const char *tag = json_string_value(json_object_get(args, "tag"));
	struct hf_purge_walk walk = { .kind = HF_PURGE_ALL,
		.soft = json_is_true(json_object_get(args, "soft")) };
	char buf[HF_ORIGIN_PREFIX_MAX];

	if (json_object_get(args, "url"))
		return purge_url(app, args, walk.soft, ret_internal, err);
	if (prefix && cache_prefix(prefix, buf, sizeof(buf), &walk, err))
		return NULL;
	if (tag && cache_tag(tag, &walk, err))
		return NULL;
	return purge_many(app, &walk, ret_internal, err);
}

/* ---- show, list ---- */

static json_t *show_variant(const struct hf_origin_variant *variant)
{
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I, s:b, s:b, s:o, s:o}",
		"status", (int)variant->status, "length", (json_int_t)variant->length,
		"memory_bytes", (json_int_t)variant->cost, "age_s", (json_int_t)variant->age_s,
		"ttl_s", (json_int_t)variant->ttl_s, "fresh", (int)variant->fresh, "soft_purged",
		(int)variant->soft_purged, "stale_while_revalidate_s", (json_int_t)variant->swr_s,
		"stale_if_error_s", (json_int_t)variant->sie_s, "always_validated",
		(int)variant->validated, "with_authorization", (int)variant->auth_ok, "vary",
		hf_ctl_string(variant->vary), "tags", hf_ctl_string(variant->tags));
}

/* Why nothing is stored. */
static const char *show_reason(const struct hf_origin_call *call)
{
	if (call->count > 0)
		return "";
	if (call->in_flight)
		return "a fetch is under way";
	if (*call->reason)
		return call->reason;
	return "never asked for, evicted or purged, or asked for only by requests that forbid "
	       "storing";
}

json_t *app_command_cache_show(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_SHOW };
	char buf[HF_ORIGIN_PREFIX_MAX];
	json_t *variants;

	if (cache_key(app, args, buf, sizeof(buf), &call.key, err) ||
		cache_call(app, hf_cache_shard_index(app->cache, call.key.hash), &call,
			ret_internal, err))
		return NULL;
	variants = json_array();
	for (uint32_t i = 0; i < call.count && i < HF_ORIGIN_VARIANTS_MAX; i++)
		(void)json_array_append_new(variants, show_variant(&call.variant[i]));
	return json_pack("{s:o, s:b, s:b, s:s, s:o}", "key",
		cache_shown_key((struct hf_span){ call.key.ptr, call.key.len }), "in_flight",
		(int)call.in_flight, "uncacheable", (int)call.uncacheable, "reason",
		show_reason(&call), "variants", variants);
}

static void list_rows(json_t *table, const struct hf_origin_call *call)
{
	for (uint32_t i = 0; i < call->count; i++) {
		const struct hf_origin_variant *variant = &call->variant[i];

		app_table_add(
			table, json_pack("[o, i, I, I, I, b, b, o, o]", hf_ctl_string(variant->key),
				       (int)variant->status, (json_int_t)variant->length,
				       (json_int_t)variant->age_s, (json_int_t)variant->ttl_s,
				       (int)variant->fresh, (int)variant->soft_purged,
				       hf_ctl_string(variant->vary), hf_ctl_string(variant->tags)));
	}
}

json_t *app_command_cache_list(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	const char *prefix = json_string_value(json_object_get(args, "prefix"));
	struct hf_origin_call call = { .what = HF_ORIGIN_LIST, .filter.kind = HF_PURGE_ALL };
	uint64_t end_us = hf_clock_us() + CACHE_LIST_WAIT_US;
	char buf[HF_ORIGIN_PREFIX_MAX];
	json_t *table, *rows;
	bool cut = false;

	if (prefix && cache_prefix(prefix, buf, sizeof(buf), &call.filter, err))
		return NULL;
	table = APP_TABLE_NEW("url", "status", "length", "age_s", "ttl_s", "fresh", "soft_purged",
		"vary", "tags");
	rows = json_object_get(table, "rows");
	for (uint32_t i = 0; i < app->origins && !cut; i++) {
		call.slot = 0;
		do {
			if (cache_call(app, i, &call, ret_internal, err)) {
				json_decref(table);
				return NULL;
			}
			list_rows(table, &call);
			cut = json_array_size(rows) > CACHE_LIST_MAX || hf_clock_us() > end_us;
		} while (!call.end && !cut);
	}
	while (json_array_size(rows) > CACHE_LIST_MAX)
		(void)json_array_remove(rows, json_array_size(rows) - 1);
	(void)json_object_set_new(table, "cut", json_boolean(cut));
	return table;
}
