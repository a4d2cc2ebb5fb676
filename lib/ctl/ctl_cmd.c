/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_ctl.h"

#include <stdlib.h>
#include <string.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "ctl_priv.h"

struct cmd_info {
	const char *name, *args;
};

static const struct cmd_info cmd_infos[HF_CTL_COUNT] = {
#define X(id, name_, args_, help) [HF_CTL_##id] = { .name = name_, .args = args_ },
#include "tbl/ctl_cmds.h"
#undef X
};

static int cmd_find(const char *name, enum hf_ctl_cmd *ret_cmd)
{
	for (int i = 0; i < HF_CTL_COUNT; i++) {
		if (strcmp(cmd_infos[i].name, name) == 0) {
			*ret_cmd = (enum hf_ctl_cmd)i;
			return 0;
		}
	}
	return -1;
}

/* Whether the request has its form; *ret_id is set to its id whenever it has a usable one. */
static int cmd_check_request(
	const json_t *request, json_t **ret_id, enum hf_ctl_cmd *ret_cmd, struct hf_err *err)
{
	json_t *id = json_object_get(request, "id");
	const json_t *command = json_object_get(request, "command");
	const json_t *args = json_object_get(request, "args");
	char quoted[CTL_QUOTE_MAX];
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return hf_err_set(err, -1, "request is not an object");
	if (id && !json_is_integer(id) && !json_is_string(id) && !json_is_null(id))
		return hf_err_set(err, -1, "\"id\" is neither a number nor a string");
	*ret_id = id;
	json_object_foreach((json_t *)(uintptr_t)request, key, value)
	{
		if (strcmp(key, "id") != 0 && strcmp(key, "command") != 0 &&
			strcmp(key, "args") != 0)
			return hf_err_set(err, -1, "unknown key \"%s\"; keys: id, command, args",
				ctl_quote(key, quoted));
	}
	if (!json_is_string(command))
		return hf_err_set(
			err, -1, "\"command\" is %s", command ? "not a string" : "missing");
	if (args && !json_is_object(args))
		return hf_err_set(err, -1, "\"args\" is not an object");
	if (cmd_find(json_string_value(command), ret_cmd) != 0)
		return hf_err_set(err, -1, "unknown command \"%s\"",
			ctl_quote(json_string_value(command), quoted));
	return 0;
}

/* Takes the result over, or the error: one of them is NULL. */
static char *cmd_dump(json_t *id, json_t *result, json_t *error)
{
	json_t *answer = json_object();
	char *text = NULL, *line;
	size_t len;
	int err = json_object_set_new(answer, "id", id ? json_incref(id) : json_null());

	err |= json_object_set_new(answer, "ok", json_boolean(result != NULL));
	err |= json_object_set_new(answer, result ? "result" : "error", result ? result : error);
	if (err == 0)
		text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

/* REASONS: an array, which is taken over, or NULL. */
static char *cmd_refuse(const struct ctl_client *client, json_t *id, const char *command,
	bool internal, const char *message, json_t *reasons)
{
	if (internal) {
		hf_stat_inc(HF_STAT_INTERNAL_ERRORS_COMMAND);
		hf_log(HF_LOG_ERROR, "ctl", "internal_error: command \"%s\" of pid %d, uid %d: %s",
			command, client->pid, client->uid, message);
	} else {
		hf_stat_inc(HF_STAT_CLIENT_ERRORS_COMMAND);
		hf_log(HF_LOG_WARN, "ctl", "client_error: command \"%s\" of pid %d, uid %d: %s",
			command, client->pid, client->uid, message);
	}
	return cmd_dump(id, NULL,
		json_pack("{s:s, s:o, s:o*}", "type", internal ? "internal_error" : "client_error",
			"message", hf_ctl_string(message), "errors", reasons));
}

char *ctl_cmd_refusal(const struct ctl_client *client, const char *message)
{
	return cmd_refuse(client, NULL, "", /* internal= */ false, message, NULL);
}

static char *cmd_carry_out(struct hf_ctl *ctl, const struct ctl_client *client, json_t *id,
	enum hf_ctl_cmd cmd, const json_t *request)
{
	struct hf_err err = { "" };
	json_t *none = json_object(), *args = json_object_get(request, "args"), *result = NULL;
	const char *name = cmd_infos[cmd].name;
	bool internal = false;
	char *answer;

	if (!args)
		args = none;
	if (!args)
		return NULL;
	if (hf_ctl_args_check(name, cmd_infos[cmd].args, args, &err) == 0) {
		ctl->peer_uid = client->uid;
		ctl->peer_streams = client->source.turn != NULL;
		result = ctl->fn(ctl->app, cmd, args, &internal, &err);
		hf_stat_inc(HF_STAT_CTL_COMMANDS);
		HF_ASSERT(json_is_object(result) || (err.text[0] && !ctl->begun.turn));
	}
	if (!result || json_is_array(result)) {
		answer = cmd_refuse(client, id, name, internal, err.text, result);
	} else {
		answer = cmd_dump(id, result, NULL);
		if (!answer)
			answer = cmd_refuse(client, id, name, /* internal= */ true,
				"the answer cannot be written as JSON", NULL);
	}
	if (ctl->begun.turn) {
		ctl->begun_id =
			id ? json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("null");
		HF_ASSERT(ctl->begun_id);
	}
	json_decref(none);
	return answer;
}

int hf_ctl_peer_uid(const struct hf_ctl *ctl)
{
	return ctl->peer_uid;
}

char *ctl_cmd_answer(
	struct hf_ctl *ctl, const struct ctl_client *client, const char *line, size_t len)
{
	json_error_t error;
	struct hf_err err;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error), *id = NULL;
	enum hf_ctl_cmd cmd = HF_CTL_COUNT;
	char *answer;

	if (!request) {
		(void)hf_err_set(
			&err, -1, "invalid JSON: %s in column %d", error.text, error.column);
		return cmd_refuse(client, NULL, "", /* internal= */ false, err.text, NULL);
	}
	if (cmd_check_request(request, &id, &cmd, &err) == 0)
		answer = cmd_carry_out(ctl, client, id, cmd, request);
	else
		answer = cmd_refuse(client, id, "", /* internal= */ false, err.text, NULL);
	json_decref(request);
	return answer;
}
