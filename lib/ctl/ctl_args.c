/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Arguments of a command, as tbl/ctl_cmds.h spells them, and text for answers.
 */
#include "hf_ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_priv.h"

#define ARGS_KEYS_MAX 128 /* of what excludes each other, as text */

const char *ctl_quote(const char *text, char *ret_buf)
{
	size_t n = 0;

	for (; text[n] && n < CTL_QUOTE_MAX - 4; n++)
		ret_buf[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
	(void)snprintf(ret_buf + n, CTL_QUOTE_MAX - n, "%s", text[n] ? "..." : "");
	return ret_buf;
}

json_t *hf_ctl_string(const char *text)
{
	json_t *string = json_string(text);
	char *clean = string ? NULL : strdup(text);

	if (!clean)
		return string;
	for (char *c = clean; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	string = json_string(clean);
	free(clean);
	return string;
}

/* "--prefix=PREFIX" is an option with a value, "--all" one without, "URL" a word. */
const char *hf_ctl_arg_next(const char *at, struct hf_ctl_arg *arg)
{
	size_t n = 0;

	if (*at == '|') {
		at++;
	} else {
		at += strspn(at, " ]");
		arg->group++;
		arg->optional = *at == '[';
		at += arg->optional;
	}
	if (!*at)
		return NULL;
	arg->option = strncmp(at, "--", 2) == 0;
	for (at += arg->option ? 2 : 0; *at && !strchr("|] =.", *at); at++)
		if (n < sizeof(arg->key) - 1)
			arg->key[n++] = (char)tolower((unsigned char)*at);
	arg->key[n] = '\0';
	arg->flag = arg->option && *at != '=';
	arg->rest = *at == '.';
	at += strcspn(at, "|] ");
	return at;
}

/* A flag that is false is as good as none. */
static bool args_is_given(const json_t *value)
{
	return value && !json_is_false(value);
}

static int args_check_value(
	const char *command, const struct hf_ctl_arg *arg, const json_t *value, struct hf_err *err)
{
	if (arg->flag && !json_is_boolean(value))
		return hf_err_set(err, -1, "%s: argument \"%s\" is neither true nor false", command,
			arg->key);
	if (!arg->flag && (!json_is_string(value) || json_string_length(value) == 0))
		return hf_err_set(err, -1,
			"%s: argument \"%s\" is not a string of at least one character", command,
			arg->key);
	return 0;
}

/* Of those that exclude each other: how many are given, how many there are, and their names. */
struct args_group {
	uint32_t number, given, count;
	bool optional;
	char keys[ARGS_KEYS_MAX];
};

static int args_check_group(const char *command, const struct args_group *group, struct hf_err *err)
{
	if (group->given > 1)
		return hf_err_set(err, -1, "%s: only one of %s is allowed", command, group->keys);
	if (group->given == 1 || group->optional)
		return 0;
	return hf_err_set(err, -1, "%s: %s %s is missing", command,
		group->count == 1 ? "argument" : "one of", group->keys);
}

static void args_group_add(
	struct args_group *group, const struct hf_ctl_arg *arg, const json_t *value)
{
	size_t len;

	if (arg->group != group->number)
		*group = (struct args_group){ .number = arg->group, .optional = arg->optional };
	len = strlen(group->keys);
	(void)snprintf(group->keys + len, sizeof(group->keys) - len, "%s\"%s\"", len ? ", " : "",
		arg->key);
	group->count++;
	group->given += args_is_given(value);
}

static int args_unknown(
	const char *command, const char *args, const json_t *given, struct hf_err *err)
{
	char quoted[CTL_QUOTE_MAX] = "";
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		struct hf_ctl_arg arg = { .group = 0 };
		const char *at = args;

		while ((at = hf_ctl_arg_next(at, &arg)))
			if (strcmp(name, arg.key) == 0)
				break;
		if (!at) {
			(void)ctl_quote(name, quoted);
			break;
		}
	}
	return hf_err_set(err, -1, "%s: unknown argument \"%s\"; arguments: %s", command, quoted,
		*args ? args : "none");
}

int hf_ctl_args_check(
	const char *command, const char *args, const json_t *given, struct hf_err *err)
{
	struct args_group group = { .optional = true };
	struct hf_ctl_arg arg = { .group = 0 };
	const char *at = args;
	size_t known = 0;

	while ((at = hf_ctl_arg_next(at, &arg))) {
		const json_t *value = json_object_get(given, arg.key);

		if (value && args_check_value(command, &arg, value, err) != 0)
			return -1;
		if (arg.group != group.number && args_check_group(command, &group, err) != 0)
			return -1;
		args_group_add(&group, &arg, value);
		known += value != NULL;
	}
	if (args_check_group(command, &group, err) != 0)
		return -1;
	return known == json_object_size(given) ? 0 : args_unknown(command, args, given, err);
}
