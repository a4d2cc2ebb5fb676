/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Policies and purges: checked, then built.
 */
#include "hf_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_cache.h"
#include "state_priv.h"

#define RULES_SECONDS_MAX 31536000LL   /* a year */
#define RULES_BYTES_MIN   1024LL       /* as in the configuration */
#define RULES_BYTES_MAX   (32LL << 40) /* 32 TiB */
#define RULES_TEXT_MAX    8192         /* what a purge names */
#define RULES_TAG_ALLOWED "1 to 1024 bytes without control characters or a blank at an end"

/* ---- policies ---- */

static const char *const rules_seconds[] = { "default_ttl", "negative_ttl",
	"stale_while_revalidate", "stale_if_error" };

bool state_check_number(struct state_check *check, const char *path, const json_t *object,
	const char *key, json_int_t min, json_int_t max, const char *unit)
{
	const json_t *value = json_object_get(object, key);
	char allowed[64];

	if (!value || (json_is_integer(value) && json_integer_value(value) >= min &&
			      json_integer_value(value) <= max))
		return true;
	(void)snprintf(allowed, sizeof(allowed),
		"%" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT " %s", min, max, unit);
	state_check_refuse(check, path, key, value, allowed);
	return false;
}

int state_check_policy(struct state_check *check, const json_t *policy, const char *path)
{
	static const char *const known[] = { "id", "default_ttl", "negative_ttl",
		"stale_while_revalidate", "stale_if_error", "max_object", NULL };
	const char *id;

	if (!json_is_object(policy)) {
		state_check_refuse(check, path, "", policy, "an object with an id");
		return 0;
	}
	state_check_unknown(check, policy, known);
	id = state_check_string(check, path, policy, "id");
	for (size_t i = 0; i < HF_ARRAY_LEN(rules_seconds); i++)
		state_check_number(
			check, path, policy, rules_seconds[i], 0, RULES_SECONDS_MAX, "seconds");
	state_check_number(
		check, path, policy, "max_object", RULES_BYTES_MIN, RULES_BYTES_MAX, "bytes");
	if (!id)
		return 0;
	if (json_object_get(check->policies, id)) {
		state_check_refuse(
			check, path, "id", json_object_get(policy, "id"), "each id once");
		return 0;
	}
	return json_object_set_new(check->policies, id,
		       json_integer((json_int_t)json_object_size(check->policies))) == 0
		       ? 0
		       : -ENOMEM;
}

static uint32_t rules_seconds_of(const json_t *policy, const char *key)
{
	const json_t *value = json_object_get(policy, key);

	return value ? (uint32_t)json_integer_value(value) : HF_STATE_SECONDS_NONE;
}

int state_build_policies(struct hf_state *state, const json_t *policies)
{
	state->policy = calloc(json_array_size(policies) + 1, sizeof(*state->policy));
	if (!state->policy)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(policies); i++) {
		const json_t *from = json_array_get(policies, i);
		const json_t *max_object = json_object_get(from, "max_object");
		struct hf_state_policy *policy = &state->policy[state->policy_count++];

		policy->id = strdup(json_string_value(json_object_get(from, "id")));
		if (!policy->id)
			return -ENOMEM;
		policy->default_ttl_s = rules_seconds_of(from, "default_ttl");
		policy->negative_ttl_s = rules_seconds_of(from, "negative_ttl");
		policy->stale_while_revalidate_s = rules_seconds_of(from, "stale_while_revalidate");
		policy->stale_if_error_s = rules_seconds_of(from, "stale_if_error");
		policy->max_object =
			max_object ? (uint64_t)json_integer_value(max_object) : HF_STATE_BYTES_NONE;
	}
	return 0;
}

/* ---- purges ---- */

/* The text under KEY; NULL: none, or it was refused. */
static const char *rules_text(struct state_check *check, const char *path, const json_t *purge,
	const char *key, const char *allowed)
{
	const json_t *value = json_object_get(purge, key);

	if (!value)
		return NULL;
	if (json_is_string(value) && json_string_length(value) <= RULES_TEXT_MAX)
		return json_string_value(value);
	state_check_refuse(check, path, key, value, allowed);
	return NULL;
}

/* As the command does that purges. */
static void rules_check_target(struct state_check *check, const char *path, const json_t *purge)
{
	static const char url_allowed[] = "http://HOST[:PORT][/PATH], at most 8192 bytes";
	static const char prefix_allowed[] =
		"http://HOST[:PORT][/PATH] or /PATH, at most 8192 bytes";
	const char *url = rules_text(check, path, purge, "url", url_allowed);
	const char *prefix = rules_text(check, path, purge, "prefix", prefix_allowed);
	const char *tag = rules_text(check, path, purge, "tag", RULES_TAG_ALLOWED);
	const json_t *all = json_object_get(purge, "all");
	struct hf_purge_walk walk = { .kind = HF_PURGE_ALL };
	char buf[HF_PURGE_TEXT_MAX];

	if (url && hf_purge_url(url, buf, sizeof(buf), NULL) < 0)
		state_check_refuse(check, path, "url", json_object_get(purge, "url"), url_allowed);
	if (prefix && hf_purge_prefix(prefix, buf, sizeof(buf), &walk, NULL) != 0)
		state_check_refuse(
			check, path, "prefix", json_object_get(purge, "prefix"), prefix_allowed);
	if (tag && hf_purge_tag(tag, &walk, NULL) != 0)
		state_check_refuse(
			check, path, "tag", json_object_get(purge, "tag"), RULES_TAG_ALLOWED);
	if (all && !json_is_true(all))
		state_check_refuse(check, path, "all", all, "true");
}

int state_check_purge(struct state_check *check, const json_t *purge, const char *path)
{
	static const char *const known[] = { "id", "url", "prefix", "tag", "all", "soft",
		"issued_at", NULL };
	static const char *const targets[] = { "url", "prefix", "tag", "all" };
	const json_t *soft = json_object_get(purge, "soft");
	const char *id;
	uint32_t given = 0;

	if (!json_is_object(purge)) {
		state_check_refuse(check, path, "", purge,
			"an object with an id and one of url, prefix, tag and all");
		return 0;
	}
	state_check_unknown(check, purge, known);
	id = state_check_name(check, path, purge, "id", STATE_ID_MAX);
	for (size_t i = 0; i < HF_ARRAY_LEN(targets); i++)
		given += json_object_get(purge, targets[i]) != NULL;
	if (given != 1)
		state_check_error(check, path, given ? "several of them" : "none of them",
			"one of url, prefix, tag and all");
	rules_check_target(check, path, purge);
	if (soft && !json_is_boolean(soft))
		state_check_refuse(check, path, "soft", soft, "true or false");
	state_check_time(check, path, purge, "issued_at");
	if (!id)
		return 0;
	return state_check_unique(check, check->purge_ids, id, path, json_object_get(purge, "id"));
}

/* *RET_TEXT stays NULL where there is none. */
static bool rules_dup(const json_t *object, const char *key, char **ret_text)
{
	const char *text = json_string_value(json_object_get(object, key));

	*ret_text = text ? strdup(text) : NULL;
	return !text || *ret_text;
}

int state_build_purges(struct hf_state *state, const json_t *purges)
{
	state->purge = calloc(json_array_size(purges) + 1, sizeof(*state->purge));
	if (!state->purge)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(purges); i++) {
		const json_t *from = json_array_get(purges, i);
		struct hf_state_purge *purge = &state->purge[state->purge_count++];

		if (!rules_dup(from, "id", &purge->id) || !rules_dup(from, "url", &purge->url) ||
			!rules_dup(from, "prefix", &purge->prefix) ||
			!rules_dup(from, "tag", &purge->tag))
			return -ENOMEM;
		purge->soft = json_is_true(json_object_get(from, "soft"));
	}
	return 0;
}

void state_free_rules(struct hf_state *state)
{
	for (uint32_t i = 0; i < state->policy_count; i++)
		free(state->policy[i].id);
	for (uint32_t i = 0; i < state->purge_count; i++) {
		free(state->purge[i].id);
		free(state->purge[i].url);
		free(state->purge[i].prefix);
		free(state->purge[i].tag);
	}
	free(state->policy);
	free(state->purge);
}
