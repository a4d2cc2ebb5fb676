/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state_priv.h"

/* Checked before jansson builds anything: it would recurse along. */
static bool state_too_deep(const char *text, size_t len)
{
	uint32_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > STATE_DEPTH_MAX)
			return true;
	}
	return false;
}

int state_json(const char *text, size_t len, struct state_check *check, json_t **ret_json)
{
	json_error_t error;
	json_t *json;
	char found[JSON_ERROR_TEXT_LENGTH + 64];

	if (len > STATE_TEXT_MAX) {
		(void)snprintf(found, sizeof(found), "%zu bytes", len);
		state_check_error(check, "$", found, "at most %u", STATE_TEXT_MAX);
		return -EINVAL;
	}
	if (state_too_deep(text, len)) {
		state_check_error(
			check, "$", "deeper nesting", "a depth of at most %d", STATE_DEPTH_MAX);
		return -EINVAL;
	}
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (json) {
		*ret_json = json;
		return 0;
	}
	if (json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	for (char *c = error.text; *c; c++) /* it quotes the text */
		if ((unsigned char)*c < 0x20)
			*c = '?';
	(void)snprintf(found, sizeof(found), "%s in line %d, column %d", error.text, error.line,
		error.column);
	state_check_error(check, "$", found, "JSON (RFC 8259) without duplicate keys");
	return -EINVAL;
}

static char *state_strdup(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	HF_ASSERT(text);
	return strdup(text);
}

static int state_build_groups(
	struct hf_state *state, const struct state_check *check, const json_t *groups)
{
	const char *name;
	json_t *place;

	state->group = calloc(json_object_size(check->groups) + 1, sizeof(*state->group));
	if (!state->group)
		return -ENOMEM;
	state->group_count = (uint32_t)json_object_size(check->groups);
	json_object_foreach(check->groups, name, place)
	{
		struct hf_state_group *group = &state->group[json_integer_value(place)];

		group->name = strdup(name);
		if (!group->name)
			return -ENOMEM;
	}
	for (size_t i = 0; i < json_array_size(groups); i++) { /* they are the first */
		const json_t *from = json_array_get(groups, i);

		state_build_balance(&state->group[i], from);
		state->group[i].max_in_flight =
			(uint32_t)json_integer_value(json_object_get(from, "max_in_flight"));
		if (state_build_health(&state->group[i], json_object_get(from, "health")) != 0)
			return -ENOMEM;
	}
	return 0;
}

static const char *state_group_name(const json_t *object)
{
	return json_string_value(json_object_get(object, "group"));
}

static struct hf_state_group *state_group_of(
	struct hf_state *state, const struct state_check *check, const json_t *object)
{
	json_int_t place =
		json_integer_value(json_object_get(check->groups, state_group_name(object)));

	HF_ASSERT(place >= 0 && place < (json_int_t)state->group_count);
	return &state->group[place];
}

static int state_build_origins(
	struct hf_state *state, const struct state_check *check, const json_t *origins)
{
	for (size_t i = 0; i < json_array_size(origins); i++)
		state_group_of(state, check, json_array_get(origins, i))->origin_count++;
	for (uint32_t i = 0; i < state->group_count; i++) {
		struct hf_state_group *group = &state->group[i];

		group->origin = calloc(group->origin_count + 1, sizeof(*group->origin));
		group->origin_count = 0; /* counts again, as they are filled */
		if (!group->origin)
			return -ENOMEM;
	}
	for (size_t i = 0; i < json_array_size(origins); i++) {
		const json_t *from = json_array_get(origins, i);
		const json_t *weight = json_object_get(from, "weight");
		struct hf_state_group *group = state_group_of(state, check, from);
		struct hf_state_origin *origin = &group->origin[group->origin_count++];
		size_t len;

		origin->id = state_strdup(from, "id");
		origin->url = state_strdup(from, "url");
		if (!origin->id || !origin->url)
			return -ENOMEM;
		len = strlen(origin->url);
		if (origin->url[len - 1] == '/')
			origin->url[len - 1] = '\0';
		origin->weight = weight ? (uint32_t)json_integer_value(weight) : 1;
		origin->from = i >= check->registered_at ? HF_STATE_REGISTRY
			       : i >= check->added_at    ? HF_STATE_OPERATOR
							 : HF_STATE_DOCUMENT;
		if (origin->from == HF_STATE_REGISTRY)
			origin->generation = state_overlay_generation(
				check->overlay, state_group_name(from), origin->id);
		origin->drained =
			state_overlay_drains(check->overlay, state_group_name(from), origin->id);
	}
	return 0;
}

static int state_build_routes(
	struct hf_state *state, const struct state_check *check, const json_t *routes)
{
	state->route = calloc(json_array_size(routes) + 1, sizeof(*state->route));
	if (!state->route)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(routes); i++) {
		const json_t *from = json_array_get(routes, i);
		struct hf_state_route *route = &state->route[state->route_count++];
		const char *policy = json_string_value(json_object_get(from, "policy"));
		const char *flow = json_string_value(json_object_get(from, "auth"));

		route->id = state_strdup(from, "id");
		route->host = state_strdup(from, "host");
		route->path = state_strdup(from, "path");
		route->group = state_group_of(state, check, from);
		route->store_secret_query =
			json_is_true(json_object_get(from, "store_secret_query"));
		if (policy)
			route->policy = &state->policy[json_integer_value(
				json_object_get(check->policies, policy))];
		if (flow)
			route->flow = &state->flow[json_integer_value(
				json_object_get(check->flows, flow))];
		if (!route->id || !route->host || !route->path)
			return -ENOMEM;
		for (char *c = route->host; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	}
	return state_route_sort(state);
}

static int state_build(
	const json_t *document, const struct state_check *check, struct hf_state **ret_state)
{
	struct hf_state *state = calloc(1, sizeof(*state));
	int err = -ENOMEM;

	if (!state)
		return err;
	atomic_init(&state->refs, 1);
	state->unknown_fields = check->unknown_fields;
	state->version = state_strdup(document, "version");
	if (state->version)
		err = state_build_groups(state, check, json_object_get(document, "groups"));
	if (err == 0)
		err = state_build_origins(state, check, json_object_get(document, "origins"));
	if (err == 0)
		err = state_build_policies(state, json_object_get(document, "policies"));
	if (err == 0)
		err = state_build_auth(state, check, document);
	if (err == 0)
		err = state_build_routes(state, check, json_object_get(document, "routes"));
	if (err == 0)
		err = state_build_purges(state, json_object_get(document, "purges"));
	if (err == 0)
		err = state_build_l2(state, json_object_get(document, "l2"));
	if (err != 0) {
		hf_state_unref(state);
		return err;
	}
	*ret_state = state;
	return 0;
}

int hf_state_parse_with(const char *text, size_t len, const struct hf_state_overlay *overlay,
	FILE *errors, struct hf_state **ret_state)
{
	struct state_check check = { .errors = errors, .overlay = overlay };
	json_t *document = NULL;
	int err;

	HF_ASSERT((text || len == 0) && errors && ret_state);
	err = state_json(text ? text : "", len, &check, &document);
	if (err == 0)
		err = state_overlay_merge(&check, document);
	if (err == 0)
		err = state_check_document(&check, document);
	if (err == 0)
		err = state_build(document, &check, ret_state);
	if (err == -ENOMEM)
		state_check_error(&check, "$", "no memory left for it", "a smaller document");
	json_decref(check.groups);
	json_decref(check.origin_ids);
	json_decref(check.policies);
	json_decref(check.flows);
	json_decref(check.route_ids);
	json_decref(check.purge_ids);
	json_decref(check.l2_ids);
	json_decref(document);
	return err;
}

int hf_state_parse(const char *text, size_t len, FILE *errors, struct hf_state **ret_state)
{
	return hf_state_parse_with(text, len, NULL, errors, ret_state);
}

int hf_state_read(const char *file, char **ret_text, size_t *ret_len)
{
	FILE *in = fopen(file, "re");
	char *text;
	int err = 0;

	if (!in)
		return -errno;
	text = malloc(STATE_TEXT_MAX + 1);
	if (text) {
		errno = 0;
		*ret_len = fread(text, 1, STATE_TEXT_MAX + 1, in);
		if (ferror(in))
			err = -(errno ? errno : EIO);
	} else {
		err = -ENOMEM;
	}
	(void)fclose(in);
	if (err != 0)
		free(text);
	else
		*ret_text = text;
	return err;
}

int hf_state_load(const char *file, FILE *errors, struct hf_state **ret_state)
{
	char *text = NULL, *reasons = NULL;
	size_t len = 0, reasons_len = 0;
	FILE *found;
	int err = hf_state_read(file, &text, &len);

	HF_ASSERT(errors && ret_state);
	if (err != 0) {
		fprintf(errors, "%s: found %s; allowed: a readable file\n", file, strerror(-err));
		return err;
	}
	found = open_memstream(&reasons, &reasons_len);
	if (!found) {
		free(text);
		return -ENOMEM;
	}
	err = hf_state_parse(text, len, found, ret_state);
	(void)fclose(found);
	for (char *line = reasons, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		HF_ASSERT(end);
		fprintf(errors, "%s: %.*s\n", file, (int)(end - line), line);
	}
	free(reasons);
	free(text);
	return err;
}

struct hf_state *hf_state_ref(struct hf_state *state)
{
	uint32_t refs = atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);

	HF_ASSERT(refs > 0 && refs < UINT32_MAX);
	return state;
}

void hf_state_unref(struct hf_state *state)
{
	uint32_t refs;

	if (!state)
		return;
	refs = atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel);
	HF_ASSERT(refs > 0);
	if (refs > 1)
		return;
	for (uint32_t i = 0; i < state->group_count; i++) {
		struct hf_state_group *group = &state->group[i];

		for (uint32_t j = 0; j < group->origin_count; j++) {
			free(group->origin[j].id);
			free(group->origin[j].url);
		}
		free(group->origin);
		free(group->health.path);
		free(group->name);
	}
	for (uint32_t i = 0; i < state->route_count; i++) {
		free(state->route[i].id);
		free(state->route[i].host);
		free(state->route[i].path);
	}
	state_free_rules(state);
	state_free_auth(state);
	free(state->l2.node);
	free(state->group);
	free(state->route);
	free(state->version);
	free(state);
}
