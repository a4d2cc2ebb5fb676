/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who is registered. Sorted by group and id for who asks; given by generation, so that of two with
 * one URL the first stays.
 */
#include "hf_registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"
#include "hf_wipe.h"
#include "registry_priv.h"

struct hf_registry *hf_registry_new(void)
{
	struct hf_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->clock_us = hf_clock_us;
	(void)pthread_mutex_init(&registry->lock, NULL); /* never fails with defaults */
	return registry;
}

static void registry_origin_free(struct registry_origin *origin)
{
	free(origin->group);
	free(origin->id);
	free(origin->url);
	free(origin);
}

void hf_registry_free(struct hf_registry *registry)
{
	if (!registry)
		return;
	while (registry->count > 0)
		registry_origin_free(registry->origin[--registry->count]);
	hf_state_unref(registry->state);
	(void)pthread_mutex_destroy(&registry->lock);
	hf_wipe(&registry->secret, sizeof(registry->secret));
	free(registry);
}

void hf_registry_watch(struct hf_registry *registry, void (*fn)(void *arg), void *arg)
{
	registry->watch = fn;
	registry->watch_arg = arg;
}

/* ---- the table ---- */

/* Where it is, or belongs. */
static bool registry_find(
	const struct hf_registry *registry, const char *group, const char *id, size_t *ret_at)
{
	size_t low = 0, high = registry->count;

	while (low < high) {
		size_t at = (low + high) / 2;
		int order = strcmp(group, registry->origin[at]->group);

		if (order == 0)
			order = strcmp(id, registry->origin[at]->id);
		if (order == 0) {
			*ret_at = at;
			return true;
		}
		if (order < 0)
			high = at;
		else
			low = at + 1;
	}
	*ret_at = low;
	return false;
}

static void registry_touch(struct hf_registry *registry)
{
	registry->changed = true;
	registry->changes++;
}

static void registry_remove(struct hf_registry *registry, size_t at)
{
	HF_ASSERT(at < registry->count);
	registry_origin_free(registry->origin[at]);
	registry->count--;
	memmove(registry->origin + at, registry->origin + at + 1,
		(registry->count - at) * sizeof(*registry->origin));
	registry_touch(registry);
	hf_stat_sub(HF_STAT_REGISTRY_ORIGINS, 1);
}

static int registry_insert(
	struct hf_registry *registry, size_t at, const char *group, const char *id)
{
	struct registry_origin *origin = calloc(1, sizeof(*origin));

	HF_ASSERT(registry->count < HF_REGISTRY_MAX && at <= registry->count);
	if (!origin)
		return -ENOMEM;
	origin->group = strdup(group);
	origin->id = strdup(id);
	if (!origin->group || !origin->id) {
		registry_origin_free(origin);
		return -ENOMEM;
	}
	memmove(registry->origin + at + 1, registry->origin + at,
		(registry->count - at) * sizeof(*registry->origin));
	registry->origin[at] = origin;
	registry->count++;
	registry_touch(registry);
	hf_stat_add(HF_STAT_REGISTRY_ORIGINS, 1);
	return 0;
}

static void registry_expire(struct hf_registry *registry, uint64_t now_us)
{
	for (size_t at = registry->count; at-- > 0;) {
		if (now_us < registry->origin[at]->expires_us)
			continue;
		registry_remove(registry, at);
		hf_stat_inc(HF_STAT_REGISTRY_EXPIRED);
	}
}

static uint32_t registry_left(const struct registry_origin *origin, uint64_t now_us)
{
	HF_ASSERT(now_us < origin->expires_us);
	return (uint32_t)((origin->expires_us - now_us + 999999) / 1000000);
}

static json_t *registry_json(const struct registry_origin *origin, uint64_t now_us)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:b, s:b}", "group", origin->group,
		"id", origin->id, "url", origin->url, "weight", (int)origin->weight, "ttl",
		(int)origin->ttl_s, "left", (int)registry_left(origin, now_us), "generation",
		(json_int_t)origin->generation, "in_force", origin->in_force, "drained",
		origin->drained);
}

/* ---- messages ---- */

static bool registry_has_group(const struct hf_registry *registry, const char *group)
{
	for (uint32_t i = 0; i < registry->state->group_count; i++)
		if (strcmp(registry->state->group[i].name, group) == 0)
			return true;
	return false;
}

/* Behind a message, before which there were BEFORE changes. */
static void registry_unlock(struct hf_registry *registry, uint64_t before, uint64_t *ret_due)
{
	bool changed = registry->changed;

	*ret_due = registry->changes > before ? registry->changes : 0;
	(void)pthread_mutex_unlock(&registry->lock);
	if (changed && registry->watch)
		registry->watch(registry->watch_arg);
}

/* 0: it may come. */
static unsigned registry_refuses(
	const struct hf_registry *registry, const char *group, bool known, FILE *errors)
{
	if (!registry->state) {
		fprintf(errors, "state: found none; allowed: one that is in force\n");
		return 503;
	}
	if (!registry_has_group(registry, group)) {
		fprintf(errors, "$.group: found \"%.80s\"; allowed: a group of the state\n", group);
		return 404;
	}
	if (known || registry->count < HF_REGISTRY_MAX)
		return 0;
	fprintf(errors, "$: found %zu that are registered; allowed: at most %d\n", registry->count,
		HF_REGISTRY_MAX);
	return 409;
}

static unsigned registry_out_of_memory(FILE *errors)
{
	fprintf(errors, "$: found no memory left for it; allowed: another try\n");
	return 500;
}

/* What is said of it from now on. 201: of another generation. */
static unsigned registry_say(struct hf_registry *registry, struct registry_origin *origin,
	const struct hf_state_registration *said, uint64_t now_us)
{
	bool is_new = !origin->url || strcmp(origin->url, said->url) != 0;
	char *url = is_new ? strdup(said->url) : origin->url;

	if (!url)
		return 500;
	if (is_new) {
		free(origin->url);
		origin->url = url;
		origin->generation = ++registry->generation;
		origin->in_force = false;
	}
	if (is_new || origin->weight != said->weight)
		registry_touch(registry);
	origin->weight = said->weight;
	origin->ttl_s = said->ttl_s;
	origin->expires_us = now_us + said->ttl_s * 1000000ULL;
	hf_stat_inc(is_new ? HF_STAT_REGISTRY_REGISTERED : HF_STAT_REGISTRY_RENEWED);
	return is_new ? 201 : 200;
}

static unsigned registry_put_locked(struct hf_registry *registry, const char *group, const char *id,
	const struct hf_state_registration *said, uint64_t now_us, FILE *errors)
{
	size_t at;
	bool known = registry_find(registry, group, id, &at);
	unsigned status = registry_refuses(registry, group, known, errors);

	if (status != 0)
		return status;
	if (!known && registry_insert(registry, at, group, id) != 0)
		return registry_out_of_memory(errors);
	status = registry_say(registry, registry->origin[at], said, now_us);
	if (status != 500)
		return status;
	if (!known)
		registry_remove(registry, at);
	return registry_out_of_memory(errors);
}

unsigned registry_put(struct hf_registry *registry, const char *group, const char *id,
	struct hf_span body, uint64_t now_us, FILE *errors, json_t **ret_json, uint64_t *ret_due)
{
	struct hf_state_registration said;
	uint64_t before;
	unsigned status;
	size_t at;
	int rc = hf_state_registration_parse(group, id, body, errors, &said);

	if (rc == -ENOMEM)
		return registry_out_of_memory(errors);
	if (rc != 0)
		return 400;
	(void)pthread_mutex_lock(&registry->lock);
	registry_expire(registry, now_us);
	before = registry->changes;
	status = registry_put_locked(registry, group, id, &said, now_us, errors);
	if (status < 300 && registry_find(registry, group, id, &at))
		*ret_json = registry_json(registry->origin[at], now_us);
	registry_unlock(registry, before, ret_due);
	return status;
}

static unsigned registry_unknown(FILE *errors)
{
	fprintf(errors, "$.id: found one that is not registered; allowed: one that is\n");
	return 404;
}

unsigned registry_delete(struct hf_registry *registry, const char *group, const char *id,
	uint64_t now_us, FILE *errors, uint64_t *ret_due)
{
	uint64_t before;
	size_t at;
	bool known;

	(void)pthread_mutex_lock(&registry->lock);
	registry_expire(registry, now_us);
	before = registry->changes;
	known = registry_find(registry, group, id, &at);
	if (known) {
		registry_remove(registry, at);
		hf_stat_inc(HF_STAT_REGISTRY_DEREGISTERED);
	}
	registry_unlock(registry, before, ret_due);
	return known ? 204 : registry_unknown(errors);
}

unsigned registry_list(struct hf_registry *registry, uint64_t now_us, json_t **ret_json)
{
	json_t *list = json_array();

	(void)pthread_mutex_lock(&registry->lock);
	registry_expire(registry, now_us);
	for (size_t i = 0; i < registry->count; i++)
		(void)json_array_append_new(list, registry_json(registry->origin[i], now_us));
	(void)pthread_mutex_unlock(&registry->lock);
	*ret_json = json_pack("{s:o}", "origins", list);
	return *ret_json ? 200 : 500;
}

unsigned registry_show(struct hf_registry *registry, const char *group, const char *id,
	uint64_t now_us, FILE *errors, json_t **ret_json)
{
	size_t at;
	bool known;

	(void)pthread_mutex_lock(&registry->lock);
	registry_expire(registry, now_us);
	known = registry_find(registry, group, id, &at);
	if (known)
		*ret_json = registry_json(registry->origin[at], now_us);
	(void)pthread_mutex_unlock(&registry->lock);
	if (!known)
		return registry_unknown(errors);
	return *ret_json ? 200 : registry_out_of_memory(errors);
}

uint32_t hf_registry_left_s(struct hf_registry *registry, const char *group, const char *id,
	uint64_t generation, uint64_t now_us)
{
	uint32_t left_s = 0;
	size_t at;

	(void)pthread_mutex_lock(&registry->lock);
	if (registry_find(registry, group, id, &at) &&
		registry->origin[at]->generation == generation &&
		now_us < registry->origin[at]->expires_us)
		left_s = registry_left(registry->origin[at], now_us);
	(void)pthread_mutex_unlock(&registry->lock);
	return left_s;
}

/* ---- into the state ---- */

bool hf_registry_changed(struct hf_registry *registry, uint64_t now_us)
{
	bool changed;

	(void)pthread_mutex_lock(&registry->lock);
	registry_expire(registry, now_us);
	changed = registry->changed;
	(void)pthread_mutex_unlock(&registry->lock);
	return changed;
}

uint64_t hf_registry_settled(struct hf_registry *registry)
{
	uint64_t settled;

	(void)pthread_mutex_lock(&registry->lock);
	settled = registry->settled;
	(void)pthread_mutex_unlock(&registry->lock);
	return settled;
}

static int registry_compare(const void *a, const void *b)
{
	const struct hf_state_registered *x = a, *y = b;

	return x->generation < y->generation ? -1 : 1;
}

int hf_registry_give(struct hf_registry *registry, struct hf_state_overlay *overlay)
{
	struct hf_state_registered *list;
	int rc = -ENOMEM;

	(void)pthread_mutex_lock(&registry->lock);
	list = calloc(registry->count + 1, sizeof(*list));
	for (size_t i = 0; list && i < registry->count; i++) {
		const struct registry_origin *origin = registry->origin[i];

		list[i] = (struct hf_state_registered){ origin->group, origin->id, origin->url,
			origin->weight, origin->generation };
	}
	if (list) {
		qsort(list, registry->count, sizeof(*list), registry_compare);
		rc = hf_state_overlay_register(overlay, list, registry->count);
	}
	if (rc == 0) {
		registry->changed = false;
		registry->given = registry->changes;
	}
	(void)pthread_mutex_unlock(&registry->lock);
	free(list);
	return rc;
}

static void registry_mark(struct hf_registry *registry, const struct hf_state_group *group)
{
	for (uint32_t i = 0; i < group->origin_count; i++) {
		const struct hf_state_origin *origin = &group->origin[i];
		size_t at;

		if (origin->from != HF_STATE_REGISTRY ||
			!registry_find(registry, group->name, origin->id, &at) ||
			registry->origin[at]->generation != origin->generation)
			continue;
		registry->origin[at]->in_force = true;
		registry->origin[at]->drained = origin->drained;
	}
}

void hf_registry_settle(struct hf_registry *registry, struct hf_state *state)
{
	struct hf_state *before;

	(void)pthread_mutex_lock(&registry->lock);
	before = registry->state;
	registry->state = hf_state_ref(state);
	registry->settled = registry->given;
	for (size_t i = 0; i < registry->count; i++)
		registry->origin[i]->in_force = registry->origin[i]->drained = false;
	for (uint32_t i = 0; i < state->group_count; i++)
		registry_mark(registry, &state->group[i]);
	(void)pthread_mutex_unlock(&registry->lock);
	hf_state_unref(before);
}
