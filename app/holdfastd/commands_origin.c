/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands about origins: list, explain, and what the operator changes
 * (lib/state/hf_state_overlay.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"

struct hf_origin_load *app_origin_loads(
	struct app *app, const struct hf_state *state, struct hf_err *err)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_LOADS, .state = state };
	uint32_t count = 0;

	for (uint32_t i = 0; i < state->group_count; i++)
		count += state->group[i].origin_count;
	call.load = calloc(count + 1, sizeof(*call.load));
	HF_ASSERT(call.load);
	for (uint32_t i = 0; i < app->origins; i++) {
		if (hf_origin_call(app->origin[i].origin, &call) == 0)
			continue;
		(void)hf_err_set(err, -ETIMEDOUT, "origin thread %u does not answer", i);
		free(call.load);
		return NULL;
	}
	return call.load;
}

static const char *const origin_from[] = { [HF_STATE_DOCUMENT] = "document",
	[HF_STATE_OPERATOR] = "operator",
	[HF_STATE_REGISTRY] = "registry" };

/* As text; "": it is not ejected. */
static void origin_until(const struct hf_origin_load *load, char ret_text[32])
{
	time_t until = (time_t)hf_clock_unix_s() + (time_t)((load->ejected_us + 999999) / 1000000);
	struct tm tm;

	ret_text[0] = '\0';
	if (load->ejected_us > 0)
		(void)strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&until, &tm));
}

static const char *origin_state(
	const struct hf_state_origin *origin, const struct hf_origin_load *load)
{
	if (origin->drained)
		return "draining";
	if (load->ejected_us > 0)
		return "ejected";
	if (load->unhealthy)
		return "unhealthy";
	return load->fallen ? "failing" : "up";
}

/* How long a registered one has; null: any other. */
static json_t *origin_left(
	struct app *app, const struct hf_state_group *group, const struct hf_state_origin *origin)
{
	if (origin->from != HF_STATE_REGISTRY)
		return json_null();
	return json_integer(hf_registry_left_s(
		app->registry, group->name, origin->id, origin->generation, hf_clock_us()));
}

static json_t *origin_row(struct app *app, const struct hf_state_group *group,
	const struct hf_state_origin *origin, const struct hf_origin_load *load)
{
	char until[32];

	origin_until(load, until);
	return json_pack("[s, s, s, s, s, i, i, I, I, s, o]", group->name, origin->id, origin->url,
		origin_state(origin, load), origin_from[origin->from], (int)origin->weight,
		(int)load->in_flight, (json_int_t)load->fetches, (json_int_t)load->failures, until,
		origin_left(app, group, origin));
}

/* Of one group, or NULL: of all. The origin threads go by this state when they have answered. */
static json_t *origin_table(
	struct app *app, const char *only, bool *ret_internal, struct hf_err *err)
{
	json_t *table = APP_TABLE_NEW("group", "id", "url", "state", "from", "weight", "pending",
		"fetches", "failures", "until", "left");
	struct hf_state *state = hf_sync_state(app->sync);
	struct hf_origin_load *loads = state ? app_origin_loads(app, state, err) : NULL,
			      *load = loads;

	for (uint32_t i = 0; loads && i < state->group_count; i++) {
		const struct hf_state_group *group = &state->group[i];

		for (uint32_t j = 0; j < group->origin_count; j++, load++)
			if (!only || strcmp(group->name, only) == 0)
				app_table_add(
					table, origin_row(app, group, &group->origin[j], load));
	}
	*ret_internal = state && !loads;
	if (*ret_internal) {
		json_decref(table);
		table = NULL;
	}
	free(loads);
	hf_state_unref(state);
	return table;
}

json_t *app_command_origin_list(struct app *app, bool *ret_internal, struct hf_err *err)
{
	return origin_table(app, NULL, ret_internal, err);
}

static json_t *explain_row(const struct hf_state_origin *origin,
	const struct hf_origin_candidate *candidate, bool affinity)
{
	json_t *depth = affinity ? json_integer(candidate->depth) : json_null();
	json_t *score = affinity ? json_real(candidate->score) : json_null();

	return json_pack("[s, s, i, i, o, o, b]", origin->id, candidate->usable ? "yes" : "no",
		(int)origin->weight, (int)candidate->pending, depth, score, (int)candidate->chosen);
}

json_t *app_command_origin_explain(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_EXPLAIN };
	char buf[HF_PURGE_TEXT_MAX];
	const struct hf_state_group *group;
	uint32_t thread;
	json_t *table;

	if (app_cache_key(app, args, buf, sizeof(buf), &call.key, err))
		return NULL;
	thread = hf_cache_shard_index(app->cache, call.key.hash);
	if (app_cache_call(app, thread, &call, ret_internal, err))
		return NULL;
	if (!call.route) {
		(void)hf_err_set(err, -ENOENT, "no route of the state in force fits that URL");
		return NULL;
	}
	group = call.route->group;
	table = APP_TABLE_NEW("origin", "usable", "weight", "pending", "depth", "score", "chosen");
	for (uint32_t i = 0; i < group->origin_count; i++)
		app_table_add(table, explain_row(&group->origin[i], &call.candidate[i],
					     group->balance == HF_STATE_PREFIX_AFFINITY));
	table = json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:f, s:o}", "key",
		app_cache_shown_key((struct hf_span){ call.key.ptr, call.key.len }), "route",
		call.route->id, "group", group->name, "balance",
		hf_state_balance_name(group->balance), "thread", (int)thread, "blocks",
		(int)call.blocks, "mean_pending", call.mean, "candidates", table);
	free(call.candidate);
	hf_state_unref(call.routed_by);
	return table;
}

json_t *app_command_origin_change(struct app *app, enum hf_state_change change, const json_t *args,
	bool *ret_internal, struct hf_err *err)
{
	const char *group = json_string_value(json_object_get(args, "group"));
	const char *url = json_string_value(json_object_get(args, "url"));
	const char *origin = url ? url : json_string_value(json_object_get(args, "origin"));
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	json_t *reasons;
	int rc;

	HF_ASSERT(errors);
	rc = hf_sync_origin_change(app->sync, change, group, origin, errors);
	(void)fclose(errors);
	reasons = app_reasons(text);
	if (rc == 0) {
		json_decref(reasons);
		return origin_table(app, group, ret_internal, err);
	}
	(void)hf_err_set(err, rc, "%s", json_string_value(json_array_get(reasons, 0)));
	if (json_array_size(reasons) > 1)
		return reasons;
	json_decref(reasons);
	return NULL;
}
