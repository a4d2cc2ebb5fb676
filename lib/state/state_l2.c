/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The second tier: "l2" of a document, checked, then built.
 */
#include "hf_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state_priv.h"

#define L2_PORT            6379
#define L2_NAME            "holdfast"
#define L2_TTL_S           60
#define L2_TTL_MAX_S       86400
#define L2_VALUE           (1 << 20)
#define L2_VALUE_MIN       1024
#define L2_VALUE_MAX       (16 << 20)
#define L2_LEASE_MAX_MS    60000
#define L2_MODE_AROUND     "write-around"
#define L2_URL_ALLOWED     "redis://HOST[:PORT] or rediss://HOST[:PORT], without user or path"
#define L2_NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static const char *l2_authority(const char *url)
{
	if (strncmp(url, "redis://", 8) == 0)
		return url + 8;
	return strncmp(url, "rediss://", 9) == 0 ? url + 9 : NULL;
}

static int l2_check_node(struct state_check *check, const json_t *node, const char *path)
{
	static const char *const known[] = { "id", "url", "weight", NULL };
	const char *id, *url;

	if (!json_is_object(node)) {
		state_check_refuse(check, path, "", node, "an object with id and url");
		return 0;
	}
	state_check_unknown(check, node, known);
	id = state_check_name(check, path, node, "id", HF_NAME_MAX);
	url = state_check_string(check, path, node, "url");
	if (url && (!l2_authority(url) || !state_check_authority(l2_authority(url))))
		state_check_refuse(
			check, path, "url", json_object_get(node, "url"), L2_URL_ALLOWED);
	(void)state_check_number(check, path, node, "weight", 1, STATE_WEIGHT_MAX, "shares");
	if (!id)
		return 0;
	return state_check_unique(check, check->l2_ids, id, path, json_object_get(node, "id"));
}

static void l2_check_words(struct state_check *check, const json_t *l2)
{
	const json_t *mode = json_object_get(l2, "mode"), *name = json_object_get(l2, "namespace");
	const char *text = json_string_value(mode);
	size_t len;

	if (mode &&
		!(text && (strcmp(text, "look-aside") == 0 || strcmp(text, L2_MODE_AROUND) == 0)))
		state_check_refuse(check, "$.l2", "mode", mode, "look-aside or " L2_MODE_AROUND);
	text = json_string_value(name);
	len = text ? strlen(text) : 0;
	if (name &&
		(len == 0 || len > HF_STATE_L2_NAME_MAX || strspn(text, L2_NAME_CHARACTERS) != len))
		state_check_refuse(check, "$.l2", "namespace", name,
			"1 to 32 letters, digits, '.', '_' and '-'");
}

int state_check_l2(struct state_check *check, const json_t *document)
{
	static const char *const known[] = { "mode", "namespace", "l1_ttl", "max_value",
		"compress_min", "lease_ms", "nodes", NULL };
	const json_t *l2 = json_object_get(document, "l2");
	const json_t *nodes = json_object_get(l2, "nodes");
	char path[STATE_PATH_MAX];
	int err = 0;

	if (!l2)
		return 0;
	if (!json_is_object(l2)) {
		state_check_refuse(check, "$", "l2", l2, "an object with nodes");
		return 0;
	}
	state_check_unknown(check, l2, known);
	l2_check_words(check, l2);
	(void)state_check_number(check, "$.l2", l2, "l1_ttl", 1, L2_TTL_MAX_S, "seconds");
	(void)state_check_number(
		check, "$.l2", l2, "max_value", L2_VALUE_MIN, L2_VALUE_MAX, "bytes");
	(void)state_check_number(check, "$.l2", l2, "compress_min", 0, L2_VALUE_MAX, "bytes");
	(void)state_check_number(check, "$.l2", l2, "lease_ms", 0, L2_LEASE_MAX_MS, "milliseconds");
	if (!json_is_array(nodes) || json_array_size(nodes) > HF_STATE_L2_NODES_MAX) {
		state_check_refuse(check, "$.l2", "nodes", nodes, "an array of at most 128 nodes");
		return 0;
	}
	check->l2_ids = json_object();
	if (!check->l2_ids)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < json_array_size(nodes); i++) {
		(void)snprintf(path, sizeof(path), "$.l2.nodes[%zu]", i);
		err = l2_check_node(check, json_array_get(nodes, i), path);
	}
	return err;
}

static uint32_t l2_number(const json_t *object, const char *key, uint32_t normal)
{
	const json_t *value = json_object_get(object, key);

	return value ? (uint32_t)json_integer_value(value) : normal;
}

static void l2_build_node(struct hf_state_l2_node *node, const json_t *from)
{
	const char *url = json_string_value(json_object_get(from, "url"));
	const char *host = l2_authority(url);
	const char *end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":/");
	const char *port = *end == ']' ? end + 1 : end;

	(void)snprintf(
		node->id, sizeof(node->id), "%s", json_string_value(json_object_get(from, "id")));
	host += *host == '[';
	HF_ASSERT((size_t)(end - host) < sizeof(node->host));
	memcpy(node->host, host, (size_t)(end - host));
	node->port = *port == ':' ? (uint16_t)strtoul(port + 1, NULL, 10) : L2_PORT;
	node->tls = strncmp(url, "rediss:", 7) == 0;
	node->weight = l2_number(from, "weight", 1);
}

int state_build_l2(struct hf_state *state, const json_t *l2)
{
	const json_t *nodes = json_object_get(l2, "nodes");
	const char *name = json_string_value(json_object_get(l2, "namespace"));
	const char *mode = json_string_value(json_object_get(l2, "mode"));
	struct hf_state_l2 *to = &state->l2;

	if (!l2)
		return 0;
	to->on = true;
	to->write_around = mode && strcmp(mode, L2_MODE_AROUND) == 0;
	(void)snprintf(to->name, sizeof(to->name), "%s", name ? name : L2_NAME);
	to->l1_ttl_s = l2_number(l2, "l1_ttl", L2_TTL_S);
	to->lease_ms = l2_number(l2, "lease_ms", 0);
	to->value_max = l2_number(l2, "max_value", L2_VALUE);
	to->zstd_min = l2_number(l2, "compress_min", 0);
	to->node = calloc(json_array_size(nodes) + 1, sizeof(*to->node));
	if (!to->node)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(nodes); i++)
		l2_build_node(&to->node[to->node_count++], json_array_get(nodes, i));
	return 0;
}
