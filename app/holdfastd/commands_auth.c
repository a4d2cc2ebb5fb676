/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Protected routes: the state that workers go by, revocation, and the commands about decisions. No
 * credential comes here: who revokes one says its SHA-256.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "hf_log.h"
#include "hf_stat.h"

/* ---- states ---- */

/* What is revoked by NEXT and was not by BEFORE, which may be NULL. */
static void auth_revoke_new(
	struct app *app, const struct hf_state *before, const struct hf_state *next)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < next->revoked_count; i++) {
		if (before && hf_state_is_revoked(before, next->revoked[i]))
			continue;
		for (uint32_t cache = 0; cache < HF_AUTH_CACHES; cache++)
			count += hf_auth_revoke(
				app->auth, (enum hf_auth_cache)cache, next->revoked[i]);
	}
	hf_stat_add(HF_STAT_AUTH_REVOKED, count);
}

void app_auth_state(struct app *app, struct hf_state *state)
{
	struct hf_state *before = atomic_exchange(&app->state, hf_state_ref(state));

	/* no worker goes by the one before any more; a sleeping one reads this one when it wakes */
	hf_rcu_synchronize();
	auth_revoke_new(app, before, state);
	hf_state_unref(before);
}

int app_auth_boot(struct app *app, struct hf_err *err)
{
	if (hf_auth_new(HF_AUTH_ENTRIES_MAX, &app->auth) != 0)
		return hf_err_set(err, -ENOMEM, "no memory for decisions of auth services");
	return 0;
}

void app_auth_undo(struct app *app)
{
	hf_state_unref(atomic_exchange(&app->state, NULL));
	hf_auth_free(app->auth);
}

/* ---- auth status ---- */

static json_t *auth_caches(struct app *app)
{
	json_t *table = APP_TABLE_NEW("cache", "entries", "allow", "deny", "expired", "oldest_s",
		"hit", "hit_negative", "miss_expired", "miss_absent", "evicted");
	uint64_t now_us = hf_clock_us();

	for (uint32_t i = 0; i < HF_AUTH_CACHES; i++) {
		enum hf_auth_cache cache = (enum hf_auth_cache)i;
		enum hf_stat first =
			(enum hf_stat)(HF_STAT_AUTH_AGENT_IDENTITY_HIT + i * HF_AUTH_RESULTS);
		struct hf_auth_info info;

		hf_auth_info(app->auth, cache, now_us, &info);
		app_table_add(table,
			json_pack("[s, i, i, i, i, I, I, I, I, I, I]", hf_auth_cache_name(cache),
				(int)info.entries, (int)info.allowed, (int)info.denied,
				(int)info.expired, (json_int_t)(info.oldest_us / 1000000),
				(json_int_t)hf_stat_sum(first + HF_AUTH_HIT),
				(json_int_t)hf_stat_sum(first + HF_AUTH_HIT_NEGATIVE),
				(json_int_t)hf_stat_sum(first + HF_AUTH_MISS_EXPIRED),
				(json_int_t)hf_stat_sum(first + HF_AUTH_MISS_ABSENT),
				(json_int_t)hf_stat_sum(
					(enum hf_stat)(HF_STAT_AUTH_AGENT_IDENTITY_EVICTION + i))));
	}
	return table;
}

static json_t *auth_flows(const struct hf_state *state)
{
	json_t *table = APP_TABLE_NEW(
		"flow", "cache", "group", "ttl_s", "negative_ttl_s", "fallback_ttl_s", "routes");

	for (uint32_t i = 0; state && i < state->flow_count; i++) {
		const struct hf_state_flow *flow = &state->flow[i];
		int routes = 0;

		for (uint32_t j = 0; j < state->route_count; j++)
			routes += state->route[j].flow == flow;
		app_table_add(table, json_pack("[s, s, s, i, i, i, i]", flow->id,
					     hf_auth_cache_name(flow->cache), flow->group->name,
					     (int)flow->ttl_s, (int)flow->negative_ttl_s,
					     (int)flow->fallback_ttl_s, routes));
	}
	return table;
}

json_t *app_command_auth_status(struct app *app)
{
	struct hf_state *state = hf_sync_state(app->sync);
	json_t *result = json_pack("{s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}}", "caches",
		auth_caches(app), "flows", auth_flows(state), "asked", "allow",
		(json_int_t)hf_stat_sum(HF_STAT_AUTH_ASKED_ALLOW), "deny",
		(json_int_t)hf_stat_sum(HF_STAT_AUTH_ASKED_DENY), "error",
		(json_int_t)hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), "fallback_allowed",
		(json_int_t)hf_stat_sum(HF_STAT_AUTH_FALLBACK_ALLOWED), "revoked",
		(json_int_t)hf_stat_sum(HF_STAT_AUTH_REVOKED));

	hf_state_unref(state);
	return result;
}

/* ---- auth revoke ---- */

json_t *app_command_auth_revoke(struct app *app, const json_t *args, struct hf_err *err)
{
	const char *text = json_string_value(json_object_get(args, "sha256"));
	const char *name = json_string_value(json_object_get(args, "cache"));
	enum hf_auth_cache only = name ? hf_auth_cache_of(name) : HF_AUTH_CACHES;
	uint8_t who[HF_SHA256_LEN];
	uint32_t count = 0;

	if (text && !hf_sha256_parse(text, who)) {
		(void)hf_err_set(err, -EINVAL, "auth revoke: SHA256 is 64 hexadecimal digits");
		return NULL;
	}
	if (name && only == HF_AUTH_CACHES) {
		(void)hf_err_set(err, -EINVAL,
			"auth revoke: CACHE is agent_identity, agent_api_key, auth_gateway or "
			"authorization_check");
		return NULL;
	}
	for (uint32_t cache = 0; cache < HF_AUTH_CACHES; cache++)
		if (!name || cache == only)
			count += hf_auth_revoke(
				app->auth, (enum hf_auth_cache)cache, text ? who : NULL);
	hf_stat_add(HF_STAT_AUTH_REVOKED, count);
	hf_log(HF_LOG_INFO, "auth", "%u decisions were revoked by the operator", count);
	return json_pack("{s:i}", "revoked", (int)count);
}
