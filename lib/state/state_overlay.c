/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state_overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state_priv.h"

struct hf_state_overlay {
	json_t *added;       /* array of origins, as a document has them */
	json_t *registered;  /* the same */
	json_t *generations; /* of those: "group id" -> number */
	json_t *drained;     /* "group id" -> OVERLAY_DOCUMENT or OVERLAY_REGISTRY */
};

#define OVERLAY_NAME_MAX (2 * STATE_STRING_MAX + 3)

/* Why an origin stays drained: while documents have it, or until the operator resumes it. */
enum overlay_drained { OVERLAY_DOCUMENT, OVERLAY_REGISTRY };

struct hf_state_overlay *hf_state_overlay_new(void)
{
	struct hf_state_overlay *overlay = calloc(1, sizeof(*overlay));

	if (!overlay)
		return NULL;
	overlay->added = json_array();
	overlay->registered = json_array();
	overlay->generations = json_object();
	overlay->drained = json_object();
	if (overlay->added && overlay->registered && overlay->generations && overlay->drained)
		return overlay;
	hf_state_overlay_free(overlay);
	return NULL;
}

void hf_state_overlay_free(struct hf_state_overlay *overlay)
{
	if (!overlay)
		return;
	json_decref(overlay->added);
	json_decref(overlay->registered);
	json_decref(overlay->generations);
	json_decref(overlay->drained);
	free(overlay);
}

bool hf_state_overlay_is_empty(const struct hf_state_overlay *overlay)
{
	return json_array_size(overlay->added) == 0 && json_array_size(overlay->registered) == 0 &&
	       json_object_size(overlay->drained) == 0;
}

/* ---- into a document ---- */

/* Is TEXT the same but for a slash at its end? */
static bool overlay_is_url(const char *url, const char *text)
{
	size_t len = strlen(url);

	return strncmp(url, text, len) == 0 && (!text[len] || strcmp(text + len, "/") == 0);
}

static const char *overlay_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* GROUP alone, "GROUP ID" and "GROUP  URL" are one set of names: there is no space in any of
 * them. */
static void overlay_name(char *ret_name, const char *group, const char *id)
{
	(void)snprintf(ret_name, OVERLAY_NAME_MAX, "%s %s", group, id);
}

static void overlay_url_name(char *ret_name, const char *group, const char *url)
{
	int len = snprintf(ret_name, OVERLAY_NAME_MAX, "%s  %s", group, url);

	if (len < OVERLAY_NAME_MAX && ret_name[len - 1] == '/')
		ret_name[len - 1] = '\0';
}

static int overlay_note(json_t *names, const char *name)
{
	return json_object_set_new(names, name, json_true()) == 0 ? 0 : -ENOMEM;
}

static int overlay_note_origin(json_t *names, const json_t *origin)
{
	const char *group = overlay_string(origin, "group");
	char name[OVERLAY_NAME_MAX];
	int err = overlay_note(names, group);

	overlay_name(name, group, overlay_string(origin, "id"));
	if (err == 0)
		err = overlay_note(names, name);
	overlay_url_name(name, group, overlay_string(origin, "url"));
	return err ? err : overlay_note(names, name);
}

/* The group is known, but neither this id nor this URL in it. */
static bool overlay_fits(const json_t *names, const json_t *origin)
{
	const char *group = overlay_string(origin, "group");
	char id[OVERLAY_NAME_MAX], url[OVERLAY_NAME_MAX];

	overlay_name(id, group, overlay_string(origin, "id"));
	overlay_url_name(url, group, overlay_string(origin, "url"));
	return json_object_get(names, group) && !json_object_get(names, id) &&
	       !json_object_get(names, url);
}

/* Of the document, which may be any JSON. */
static int overlay_note_document(json_t *names, const json_t *document)
{
	const json_t *groups = json_object_get(document, "groups");
	const json_t *origins = json_object_get(document, "origins");
	int err = 0;

	for (size_t i = 0; err == 0 && i < json_array_size(groups); i++)
		err = overlay_note(names, overlay_string(json_array_get(groups, i), "id"));
	for (size_t i = 0; err == 0 && i < json_array_size(origins); i++)
		err = overlay_note_origin(names, json_array_get(origins, i));
	return err;
}

static int overlay_append(json_t *origins, json_t *names, const json_t *list)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < json_array_size(list); i++) {
		json_t *origin = json_array_get(list, i);

		if (json_array_size(origins) >= STATE_ORIGINS_MAX || !overlay_fits(names, origin))
			continue;
		err = json_array_append(origins, origin) == 0 ? overlay_note_origin(names, origin)
							      : -ENOMEM;
	}
	return err;
}

int state_overlay_merge(struct state_check *check, json_t *document)
{
	json_t *origins = json_object_get(document, "origins"), *names;
	int err;

	check->added_at = check->registered_at = json_array_size(origins);
	if (!check->overlay || !json_is_array(origins))
		return 0;
	names = json_object();
	err = names ? overlay_note_document(names, document) : -ENOMEM;
	if (err == 0)
		err = overlay_append(origins, names, check->overlay->added);
	check->registered_at = json_array_size(origins);
	if (err == 0)
		err = overlay_append(origins, names, check->overlay->registered);
	json_decref(names);
	return err;
}

bool state_overlay_drains(const struct hf_state_overlay *overlay, const char *group, const char *id)
{
	char name[OVERLAY_NAME_MAX];

	if (!overlay)
		return false;
	overlay_name(name, group, id);
	return json_object_get(overlay->drained, name) != NULL;
}

uint64_t state_overlay_generation(
	const struct hf_state_overlay *overlay, const char *group, const char *id)
{
	char name[OVERLAY_NAME_MAX];

	overlay_name(name, group, id);
	return (uint64_t)json_integer_value(json_object_get(overlay->generations, name));
}

/* What operators drained of registered origins, which come and go. */
static json_t *overlay_drained_for_good(const struct hf_state_overlay *overlay)
{
	json_t *drained = json_object(), *why;
	const char *name;

	HF_ASSERT(drained);
	json_object_foreach(overlay->drained, name, why)
	{
		if (json_integer_value(why) == OVERLAY_REGISTRY)
			HF_ASSERT(json_object_set(drained, name, why) == 0);
	}
	return drained;
}

void hf_state_overlay_settle(struct hf_state_overlay *overlay, const struct hf_state *state)
{
	char name[OVERLAY_NAME_MAX];
	json_t *drained = overlay_drained_for_good(overlay);

	for (uint32_t i = 0; i < state->group_count; i++)
		for (uint32_t j = 0; j < state->group[i].origin_count; j++) {
			if (!state->group[i].origin[j].drained)
				continue;
			overlay_name(name, state->group[i].name, state->group[i].origin[j].id);
			if (!json_object_get(drained, name))
				HF_ASSERT(json_object_set_new(drained, name,
						  json_integer(OVERLAY_DOCUMENT)) == 0);
		}
	json_decref(overlay->drained);
	overlay->drained = drained;
}

/* ---- what origins say ---- */

static int overlay_registered(
	json_t *origins, json_t *generations, const struct hf_state_registered *from)
{
	char name[OVERLAY_NAME_MAX];

	overlay_name(name, from->group, from->id);
	if (json_object_set_new(generations, name, json_integer((json_int_t)from->generation)) != 0)
		return -ENOMEM;
	return json_array_append_new(origins,
		       json_pack("{s:s, s:s, s:s, s:i}", "group", from->group, "id", from->id,
			       "url", from->url, "weight", (int)from->weight)) == 0
		       ? 0
		       : -ENOMEM;
}

int hf_state_overlay_register(
	struct hf_state_overlay *overlay, const struct hf_state_registered *list, size_t count)
{
	json_t *origins = json_array(), *generations = json_object();
	int err = origins && generations ? 0 : -ENOMEM;

	for (size_t i = 0; err == 0 && i < count; i++)
		err = overlay_registered(origins, generations, &list[i]);
	if (err != 0) {
		json_decref(origins);
		json_decref(generations);
		return err;
	}
	json_decref(overlay->registered);
	json_decref(overlay->generations);
	overlay->registered = origins;
	overlay->generations = generations;
	return 0;
}

/* ---- what the operator says ---- */

static const struct hf_state_group *overlay_group(const struct hf_state *state, const char *name)
{
	for (uint32_t i = 0; i < state->group_count; i++)
		if (strcmp(state->group[i].name, name) == 0)
			return &state->group[i];
	return NULL;
}

/* By id, else by URL. */
static const struct hf_state_origin *overlay_origin(
	const struct hf_state_group *group, const char *name)
{
	for (uint32_t i = 0; i < group->origin_count; i++)
		if (strcmp(group->origin[i].id, name) == 0)
			return &group->origin[i];
	for (uint32_t i = 0; i < group->origin_count; i++)
		if (overlay_is_url(group->origin[i].url, name))
			return &group->origin[i];
	return NULL;
}

static json_t *overlay_new_origin(const char *group, const char *url)
{
	size_t len = strlen(url);

	if (len > 0 && url[len - 1] == '/')
		len--;
	return json_pack("{s:s, s:s%, s:s%}", "group", group, "id", url, len, "url", url, len);
}

static int overlay_add(struct hf_state_overlay *overlay, struct state_check *check,
	const struct hf_state *in_force, const char *group, const char *url)
{
	const struct hf_state_group *of = overlay_group(in_force, group);
	json_t *origin = overlay_new_origin(group, url);
	char found[STATE_PATH_MAX];
	int err = origin ? state_check_origin(check, origin, "origin") : -ENOMEM;

	if (err == 0 && check->error_count == 0 && !of)
		state_check_refuse(check, "origin", "group", json_object_get(origin, "group"),
			"a group of the state");
	if (err == 0 && of && overlay_origin(of, url))
		state_check_refuse(check, "origin", "url", json_object_get(origin, "url"),
			"one that the group does not have");
	if (json_array_size(overlay->added) >= HF_STATE_ADDED_MAX) {
		(void)snprintf(found, sizeof(found), "%zu that were added already",
			json_array_size(overlay->added));
		state_check_error(check, "origin", found, "at most %d", HF_STATE_ADDED_MAX);
	}
	if (err == 0 && check->error_count == 0 && json_array_append(overlay->added, origin) != 0)
		err = -ENOMEM;
	json_decref(origin);
	return err;
}

static void overlay_remove(struct hf_state_overlay *overlay, struct state_check *check,
	const char *group, const char *url)
{
	json_t *shown;

	for (size_t i = 0; i < json_array_size(overlay->added); i++) {
		const json_t *origin = json_array_get(overlay->added, i);

		if (strcmp(overlay_string(origin, "group"), group) != 0 ||
			!overlay_is_url(overlay_string(origin, "url"), url))
			continue;
		(void)json_array_remove(overlay->added, i);
		return;
	}
	shown = json_string(url);
	state_check_refuse(check, "origin", "url", shown, "one that was added to the group");
	json_decref(shown);
}

static int overlay_drain(struct hf_state_overlay *overlay, struct state_check *check,
	const char *group, const struct hf_state_origin *origin)
{
	enum overlay_drained why =
		origin->from == HF_STATE_REGISTRY ? OVERLAY_REGISTRY : OVERLAY_DOCUMENT;
	char name[OVERLAY_NAME_MAX], found[STATE_PATH_MAX];
	size_t count = json_object_size(overlay->drained);

	overlay_name(name, group, origin->id);
	if (count >= HF_STATE_DRAINED_MAX && !json_object_get(overlay->drained, name)) {
		(void)snprintf(found, sizeof(found), "%zu that are drained already", count);
		state_check_error(check, "origin", found, "at most %d", HF_STATE_DRAINED_MAX);
		return 0;
	}
	return json_object_set_new(overlay->drained, name, json_integer(why)) == 0 ? 0 : -ENOMEM;
}

/* Drains or resumes. NAME: also the id of a registered one that is gone now, and was drained. */
static int overlay_mark(struct hf_state_overlay *overlay, struct state_check *check,
	const struct hf_state *in_force, const char *group, const char *name, bool drain)
{
	const struct hf_state_group *of = overlay_group(in_force, group);
	const struct hf_state_origin *origin = of ? overlay_origin(of, name) : NULL;
	char key[OVERLAY_NAME_MAX];
	json_t *shown;

	if (drain && origin)
		return overlay_drain(overlay, check, group, origin);
	overlay_name(key, group, origin ? origin->id : name);
	if (!drain && (json_object_del(overlay->drained, key) == 0 || origin))
		return 0;
	shown = json_string(of ? name : group);
	state_check_refuse(check, "origin", of ? "id" : "group", shown,
		of ? "the id or URL of an origin of the group" : "a group of the state");
	json_decref(shown);
	return 0;
}

int hf_state_overlay_change(struct hf_state_overlay *overlay, enum hf_state_change change,
	const struct hf_state *in_force, const char *group, const char *origin, FILE *errors)
{
	struct state_check check = { .errors = errors };
	int err = 0;

	check.groups = json_object();
	check.origin_ids = json_object();
	if (!check.groups || !check.origin_ids)
		err = -ENOMEM;
	else if (change == HF_STATE_ADD)
		err = overlay_add(overlay, &check, in_force, group, origin);
	else if (change == HF_STATE_REMOVE)
		overlay_remove(overlay, &check, group, origin);
	else
		err = overlay_mark(
			overlay, &check, in_force, group, origin, change == HF_STATE_DRAIN);
	json_decref(check.groups);
	json_decref(check.origin_ids);
	HF_ASSERT(err == 0 || err == -ENOMEM);
	if (err != 0)
		state_check_error(&check, "origin", "no memory left for it", "a smaller state");
	return check.error_count > 0 ? -EINVAL : 0;
}
