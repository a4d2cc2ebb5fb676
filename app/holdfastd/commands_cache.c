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

#define CACHE_LIST_WAIT_US 5000000
#define CACHE_LIST_MAX     1000 /* rows */
#define CACHE_SHOWN_MAX    1024 /* bytes of a key */

/* ---- what is meant ---- */

int app_cache_key(const struct app *app, const json_t *args, char *buf, size_t cap,
	struct hf_key *ret_key, struct hf_err *err)
{
	int len = hf_purge_url(json_string_value(json_object_get(args, "url")), buf, cap, err);

	if (len < 0)
		return len;
	ret_key->ptr = buf;
	ret_key->len = (uint32_t)len;
	ret_key->hash = hf_cache_hash(app->cache, buf, (uint32_t)len);
	return 0;
}

json_t *app_cache_shown_key(struct hf_span key)
{
	char shown[CACHE_SHOWN_MAX];
	size_t len = hf_http_redact(key, shown, sizeof(shown) - 1);

	shown[len] = '\0';
	return hf_ctl_string(shown);
}

int app_cache_call(struct app *app, uint32_t shard, struct hf_origin_call *call, bool *ret_internal,
	struct hf_err *err)
{
	if (hf_origin_call(app->origin[shard].origin, call) == 0)
		return 0;
	*ret_internal = true;
	return hf_err_set(err, -ETIMEDOUT, "origin thread %u does not answer", shard);
}

/* ---- purge ---- */

json_t *app_command_purge(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	const struct app_purge what = {
		.url = json_string_value(json_object_get(args, "url")),
		.prefix = json_string_value(json_object_get(args, "prefix")),
		.tag = json_string_value(json_object_get(args, "tag")),
		.soft = json_is_true(json_object_get(args, "soft")),
	};
	uint64_t count = 0;
	int rc = app_purge(app, &what, &count, err);

	if (rc == 0 || rc == -ETIMEDOUT) /* it goes on by itself */
		app_spread_tell(app, &what);
	*ret_internal = rc != 0 && rc != -EINVAL;
	return rc == 0 ? json_pack("{s:I}", "purged", (json_int_t)count) : NULL;
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
	char buf[HF_PURGE_TEXT_MAX];
	json_t *variants;

	if (app_cache_key(app, args, buf, sizeof(buf), &call.key, err) ||
		app_cache_call(app, hf_cache_shard_index(app->cache, call.key.hash), &call,
			ret_internal, err))
		return NULL;
	variants = json_array();
	for (uint32_t i = 0; i < call.count && i < HF_ORIGIN_VARIANTS_MAX; i++)
		(void)json_array_append_new(variants, show_variant(&call.variant[i]));
	return json_pack("{s:o, s:b, s:b, s:s, s:o}", "key",
		app_cache_shown_key((struct hf_span){ call.key.ptr, call.key.len }), "in_flight",
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
	char buf[HF_PURGE_TEXT_MAX];
	json_t *table, *rows;
	bool cut = false;

	if (prefix && hf_purge_prefix(prefix, buf, sizeof(buf), &call.filter, err))
		return NULL;
	table = APP_TABLE_NEW("url", "status", "length", "age_s", "ttl_s", "fresh", "soft_purged",
		"vary", "tags");
	rows = json_object_get(table, "rows");
	for (uint32_t i = 0; i < app->origins && !cut; i++) {
		call.slot = 0;
		do {
			if (app_cache_call(app, i, &call, ret_internal, err)) {
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
