/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "state_priv.h"

#define STATE_FOUND_MAX 96

void state_check_error(
	struct state_check *check, const char *path, const char *found, const char *allowed, ...)
{
	va_list args;

	check->error_count++;
	fprintf(check->errors, "%s: found %s; allowed: ", path, found);
	va_start(args, allowed);
	(void)vfprintf(check->errors, allowed, args);
	va_end(args);
	fputc('\n', check->errors);
}

/* A value as an error shows it: printable, and not longer than a line may be. */
static const char *check_found(const json_t *value, char *ret_buf)
{
	char *out = ret_buf;

	switch (value ? (int)json_typeof(value) : -1) {
	case -1:
		return "nothing";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		break;
	case JSON_INTEGER:
		(void)snprintf(ret_buf, STATE_FOUND_MAX, "%" JSON_INTEGER_FORMAT,
			json_integer_value(value));
		return ret_buf;
	case JSON_REAL:
		(void)snprintf(ret_buf, STATE_FOUND_MAX, "%g", json_real_value(value));
		return ret_buf;
	case JSON_NULL:
		return "null";
	default:
		return json_is_true(value) ? "true" : "false";
	}
	*out++ = '"';
	for (const char *c = json_string_value(value); *c; c++) {
		if (out > ret_buf + STATE_FOUND_MAX - 8) {
			memcpy(out, "...", 3);
			out += 3;
			break;
		}
		*out++ = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
	}
	*out++ = '"';
	*out = '\0';
	return ret_buf;
}

void state_check_refuse(struct state_check *check, const char *path, const char *key,
	const json_t *value, const char *allowed)
{
	char at[STATE_PATH_MAX], buf[STATE_FOUND_MAX];

	(void)snprintf(at, sizeof(at), "%s%s%s", path, *key ? "." : "", key);
	state_check_error(check, at, check_found(value, buf), "%s", allowed);
}

/* Visible ASCII, at least one byte. */
static bool check_word(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (; *text; text++)
		if (*text <= 0x20 || *text > 0x7e)
			return false;
	return true;
}

const char *state_check_name(struct state_check *check, const char *path, const json_t *object,
	const char *key, size_t max)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	char allowed[64];

	if (text && check_word(text, max))
		return text;
	(void)snprintf(
		allowed, sizeof(allowed), "1 to %zu characters of ASCII without spaces", max);
	state_check_refuse(check, path, key, value, allowed);
	return NULL;
}

const char *state_check_string(
	struct state_check *check, const char *path, const json_t *object, const char *key)
{
	return state_check_name(check, path, object, key, STATE_STRING_MAX);
}

void state_check_time(
	struct state_check *check, const char *path, const json_t *object, const char *key)
{
	const json_t *time = json_object_get(object, key);

	if (time && !(json_is_string(time) && *json_string_value(time)) &&
		!(json_is_integer(time) && json_integer_value(time) >= 0))
		state_check_refuse(check, path, key, time, "a time");
}

static bool check_host_name(const char *host, size_t len)
{
	if (len == 0 || len > STATE_HOST_MAX || host[0] == '.' || host[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (host[i] == '.' && host[i + 1] == '.')
			return false;
		if (!isalnum((unsigned char)host[i]) && !strchr("._-", host[i]))
			return false;
	}
	return true;
}

/* Of "[...]" the inside: what an address may be made of; the resolver decides the rest. */
static bool check_host6(const char *host, size_t len)
{
	bool colon = false;

	if (len < 4 || len > 47 || host[0] != '[' || host[len - 1] != ']')
		return false;
	for (size_t i = 1; i < len - 1; i++) {
		colon |= host[i] == ':';
		if (!isxdigit((unsigned char)host[i]) && host[i] != ':' && host[i] != '.')
			return false;
	}
	return colon;
}

static bool check_port(const char *text)
{
	uint32_t port = 0;

	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		port = port * 10 + (uint32_t)(*text - '0');
	}
	return port >= 1 && port <= 65535;
}

bool state_check_authority(const char *text)
{
	const char *end = text + strcspn(text, "/");
	const char *port;
	char authority[STATE_HOST_MAX + 8];

	if (*end == '/' && end[1] != '\0')
		return false;
	if ((size_t)(end - text) >= sizeof(authority))
		return false;
	memcpy(authority, text, (size_t)(end - text));
	authority[end - text] = '\0';
	port = authority[0] == '[' ? strchr(authority, ']') : authority;
	port = port ? strchr(port, ':') : NULL;
	if (port && !check_port(port + 1))
		return false;
	end = port ? port : authority + strlen(authority);
	return authority[0] == '[' ? check_host6(authority, (size_t)(end - authority))
				   : check_host_name(authority, (size_t)(end - authority));
}

/* http[s]://host[:port][/] */
static bool check_url(const char *url)
{
	if (strncmp(url, "http://", 7) == 0)
		return state_check_authority(url + 7);
	return strncmp(url, "https://", 8) == 0 && state_check_authority(url + 8);
}

static bool check_route_host(const char *host)
{
	if (strcmp(host, "*") == 0)
		return true;
	if (strncmp(host, "*.", 2) == 0)
		host += 2;
	else if (host[0] == '[')
		return check_host6(host, strlen(host));
	return check_host_name(host, strlen(host));
}

static bool check_route_path(const char *path)
{
	return path[0] == '/' && !strpbrk(path, "?#");
}

/* Counts what this version does not know: a newer control plane may send it (S2). */
void state_check_unknown(struct state_check *check, const json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *const *k = known;

		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k)
			check->unknown_fields++;
	}
}

/* Remembers the name; refuses one that was there. */
int state_check_unique(struct state_check *check, json_t *names, const char *name, const char *path,
	const json_t *id)
{
	if (json_object_get(names, name)) {
		state_check_refuse(check, path, "id", id, "each id once");
		return 0;
	}
	return json_object_set_new(names, name, json_true()) == 0 ? 0 : -ENOMEM;
}

/* NAME is a group from now on, if it was none. */
static int check_group_known(struct state_check *check, const char *name)
{
	if (json_object_get(check->groups, name))
		return 0;
	return json_object_set_new(check->groups, name,
		       json_integer((json_int_t)json_object_size(check->groups))) == 0
		       ? 0
		       : -ENOMEM;
}

static int check_group(struct state_check *check, const json_t *group, const char *path)
{
	static const char *const known[] = { "id", "health", "balance", "affinity", "max_in_flight",
		NULL };
	const char *id;

	if (!json_is_object(group)) {
		state_check_refuse(check, path, "", group, "an object with an id");
		return 0;
	}
	state_check_unknown(check, group, known);
	state_check_health(check, group, path);
	state_check_balance(check, group, path);
	id = state_check_string(check, path, group, "id");
	(void)state_check_number(
		check, path, group, "max_in_flight", 0, STATE_SLOTS_MAX, "fetches");
	if (!id)
		return 0;
	if (!json_object_get(check->groups, id))
		return check_group_known(check, id);
	state_check_refuse(check, path, "id", json_object_get(group, "id"), "each id once");
	return 0;
}

int state_check_origin(struct state_check *check, const json_t *origin, const char *path)
{
	static const char *const known[] = { "group", "id", "url", "weight", NULL };
	const json_t *weight = json_object_get(origin, "weight");
	const char *group, *id, *url;
	char name[2 * STATE_STRING_MAX + 2];

	if (!json_is_object(origin)) {
		state_check_refuse(check, path, "", origin, "an object with group, id and url");
		return 0;
	}
	state_check_unknown(check, origin, known);
	group = state_check_string(check, path, origin, "group");
	id = state_check_string(check, path, origin, "id");
	url = state_check_string(check, path, origin, "url");
	if (url && !check_url(url))
		state_check_refuse(check, path, "url", json_object_get(origin, "url"),
			"http://HOST[:PORT] or https://HOST[:PORT], without user or path");
	if (weight && (!json_is_integer(weight) || json_integer_value(weight) < 1 ||
			      json_integer_value(weight) > STATE_WEIGHT_MAX))
		state_check_refuse(check, path, "weight", weight, "1 to 100");
	if (group && check_group_known(check, group) != 0)
		return -ENOMEM;
	if (!group || !id)
		return 0;
	(void)snprintf(name, sizeof(name), "%s %s", group, id); /* no space in either */
	return state_check_unique(
		check, check->origin_ids, name, path, json_object_get(origin, "id"));
}

static int check_route(struct state_check *check, const json_t *route, const char *path)
{
	static const char *const known[] = { "id", "host", "path", "group", "policy",
		"store_secret_query", "auth", NULL };
	const json_t *secret = json_object_get(route, "store_secret_query");
	const char *id, *host, *prefix, *group, *policy = NULL, *flow = NULL;

	if (!json_is_object(route)) {
		state_check_refuse(
			check, path, "", route, "an object with id, host, path and group");
		return 0;
	}
	state_check_unknown(check, route, known);
	id = state_check_string(check, path, route, "id");
	host = state_check_string(check, path, route, "host");
	prefix = state_check_string(check, path, route, "path");
	group = state_check_string(check, path, route, "group");
	if (host && !check_route_host(host))
		state_check_refuse(check, path, "host", json_object_get(route, "host"),
			"a host without port, *.SUFFIX or *");
	if (prefix && !check_route_path(prefix))
		state_check_refuse(check, path, "path", json_object_get(route, "path"),
			"a path that begins with / and has no query");
	if (group && !json_object_get(check->groups, group))
		state_check_refuse(check, path, "group", json_object_get(route, "group"),
			"the group of an origin, or one of groups");
	if (json_object_get(route, "policy"))
		policy = state_check_string(check, path, route, "policy");
	if (policy && !json_object_get(check->policies, policy))
		state_check_refuse(check, path, "policy", json_object_get(route, "policy"),
			"the id of a policy");
	if (json_object_get(route, "auth"))
		flow = state_check_string(check, path, route, "auth");
	if (flow && !json_object_get(check->flows, flow))
		state_check_refuse(check, path, "auth", json_object_get(route, "auth"),
			"the id of an auth flow");
	if (secret && !json_is_boolean(secret))
		state_check_refuse(check, path, "store_secret_query", secret, "true or false");
	if (!id)
		return 0;
	return state_check_unique(check, check->route_ids, id, path, json_object_get(route, "id"));
}

static int check_list(struct state_check *check, const json_t *document, const char *key,
	size_t max, int (*one)(struct state_check *, const json_t *, const char *))
{
	const json_t *list = json_object_get(document, key);
	char path[STATE_PATH_MAX];

	if (!json_is_array(list)) {
		state_check_refuse(check, "$", key, list, "an array");
		return 0;
	}
	if (json_array_size(list) > max) {
		char found[STATE_FOUND_MAX];

		(void)snprintf(path, sizeof(path), "$.%s", key);
		(void)snprintf(found, sizeof(found), "%zu entries", json_array_size(list));
		state_check_error(check, path, found, "at most %zu", max);
		return 0;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		int err;

		(void)snprintf(path, sizeof(path), "$.%s[%zu]", key, i);
		err = one(check, json_array_get(list, i), path);
		if (err != 0)
			return err;
	}
	return 0;
}

static void check_head(struct state_check *check, const json_t *document)
{
	static const char *const known[] = { "schema", "version", "issued_at", "origins", "routes",
		"groups", "policies", "purges", "auth_flows", "auth_revoked", "l2", NULL };
	const json_t *schema = json_object_get(document, "schema");

	state_check_unknown(check, document, known);
	if (!json_is_integer(schema) || json_integer_value(schema) != 1)
		state_check_refuse(check, "$", "schema", schema, "1");
	(void)state_check_name(check, "$", document, "version", HF_STATE_VERSION_MAX);
	state_check_time(check, "$", document, "issued_at");
}

int state_check_document(struct state_check *check, const json_t *document)
{
	int err = 0;

	if (!json_is_object(document)) {
		state_check_refuse(check, "$", "", document, "an object");
		return -EINVAL;
	}
	check->groups = json_object();
	check->origin_ids = json_object();
	check->policies = json_object();
	check->flows = json_object();
	check->route_ids = json_object();
	check->purge_ids = json_object();
	if (!check->groups || !check->origin_ids || !check->policies || !check->flows ||
		!check->route_ids || !check->purge_ids)
		return -ENOMEM;
	check_head(check, document);
	if (json_object_get(document, "groups")) /* first: each stands there once */
		err = check_list(check, document, "groups", STATE_GROUPS_MAX, check_group);
	if (err == 0)
		err = check_list(check, document, "origins", STATE_ORIGINS_MAX, state_check_origin);
	if (err == 0 && json_object_get(document, "policies"))
		err = check_list(
			check, document, "policies", STATE_POLICIES_MAX, state_check_policy);
	if (err == 0 && json_object_get(document, "auth_flows"))
		err = check_list(check, document, "auth_flows", STATE_FLOWS_MAX, state_check_flow);
	if (err == 0 && json_object_get(document, "auth_revoked"))
		err = check_list(
			check, document, "auth_revoked", STATE_REVOKED_MAX, state_check_revoked);
	if (err == 0)
		err = check_list(check, document, "routes", STATE_ROUTES_MAX, check_route);
	if (err == 0 && json_object_get(document, "purges"))
		err = check_list(check, document, "purges", STATE_PURGES_MAX, state_check_purge);
	if (err == 0)
		err = state_check_l2(check, document);
	if (err != 0)
		return err;
	return check->error_count > 0 ? -EINVAL : 0;
}
