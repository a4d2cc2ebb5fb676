/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the origins of a group are checked: "health" of a group, checked, then built.
 */
#include "hf_state.h"

#include <errno.h>
#include <string.h>

#include "state_priv.h"

#define HEALTH_PATH_MAX    1024
#define HEALTH_INTERVAL_S  10
#define HEALTH_TIMEOUT_S   2
#define HEALTH_SECONDS_MAX 3600

static bool health_is_path(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	if (len == 0 || len > HEALTH_PATH_MAX || *path != '/')
		return false;
	for (; *path; path++)
		if (*path <= 0x20 || *path > 0x7e || *path == '#')
			return false;
	return true;
}

/* NORMAL where nothing is said; 0: refused. */
static json_int_t health_seconds(struct state_check *check, const char *path, const json_t *health,
	const char *key, json_int_t normal)
{
	const json_t *value = json_object_get(health, key);

	if (!value)
		return normal;
	if (json_is_integer(value) && json_integer_value(value) >= 1 &&
		json_integer_value(value) <= HEALTH_SECONDS_MAX)
		return json_integer_value(value);
	state_check_refuse(check, path, key, value, "1 to 3600 seconds");
	return 0;
}

void state_check_health(struct state_check *check, const json_t *group, const char *path)
{
	static const char *const known[] = { "path", "interval", "timeout", NULL };
	const json_t *health = json_object_get(group, "health");
	json_int_t interval_s, timeout_s;
	char at[STATE_PATH_MAX];

	if (!health)
		return;
	(void)snprintf(at, sizeof(at), "%s.health", path);
	if (!json_is_object(health)) {
		state_check_refuse(check, at, "", health, "an object with a path");
		return;
	}
	state_check_unknown(check, health, known);
	if (!health_is_path(json_string_value(json_object_get(health, "path"))))
		state_check_refuse(check, at, "path", json_object_get(health, "path"),
			"a path that begins with /, at most 1024 visible characters without #");
	interval_s = health_seconds(check, at, health, "interval", HEALTH_INTERVAL_S);
	timeout_s = health_seconds(check, at, health, "timeout", 1);
	if (interval_s > 0 && timeout_s > interval_s)
		state_check_refuse(check, at, "timeout", json_object_get(health, "timeout"),
			"at most the interval");
}

int state_build_health(struct hf_state_group *group, const json_t *health)
{
	const json_t *interval = json_object_get(health, "interval");
	const json_t *timeout = json_object_get(health, "timeout");

	if (!health)
		return 0;
	group->health.path = strdup(json_string_value(json_object_get(health, "path")));
	group->health.interval_s =
		interval ? (uint32_t)json_integer_value(interval) : HEALTH_INTERVAL_S;
	group->health.timeout_s = timeout ? (uint32_t)json_integer_value(timeout)
					  : hf_min_u32(HEALTH_TIMEOUT_S, group->health.interval_s);
	return group->health.path ? 0 : -ENOMEM;
}
