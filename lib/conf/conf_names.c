/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lists of names: response fields, query parameters, targets of tunnels. Kept in lower case, each
 * once.
 */
#include "hf_conf.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "conf_priv.h"

#define NAMES_OF_PARAMETER "abcdefghijklmnopqrstuvwxyz0123456789._-"
/* RFC 9110 section 5.6.2, in lower case */
#define NAMES_OF_TOKEN     NAMES_OF_PARAMETER "!#$%&'*+^`|~"

bool conf_value_is_names(enum conf_type type)
{
	return type == CONF_FIELDS || type == CONF_PARAMETERS || type == CONF_TARGETS;
}

/* At one end a '*' may stand for anything. */
static bool names_is_pattern(const char *name)
{
	bool front = name[0] == '*';
	size_t len;

	name += front;
	len = strspn(name, NAMES_OF_PARAMETER);
	return len > 0 && (name[len] == '\0' || (!front && strcmp(name + len, "*") == 0));
}

static bool names_is_allowed(const struct conf_param *param, const char *name)
{
	char host[HF_NAME_MAX + 1];
	uint64_t refused;
	uint16_t port;

	if (param->type == CONF_PARAMETERS)
		return names_is_pattern(name);
	if (param->type == CONF_TARGETS)
		return hf_conf_hostport(name, host, sizeof(host), &port);
	return *name && name[strspn(name, NAMES_OF_TOKEN)] == '\0' &&
	       !conf_value_word(param->words, name, &refused);
}

int conf_names_add(const struct conf_param *param, const char *text, void *base)
{
	struct hf_names *names = (struct hf_names *)(void *)((char *)base + param->offset);
	char name[HF_NAME_MAX + 1];
	size_t len = strlen(text);

	HF_ASSERT(conf_value_is_names(param->type) && param->size == sizeof(*names));
	HF_ASSERT(names->count < param->max); /* the schema counts them */
	if (len > HF_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= len; i++)
		name[i] = (char)tolower((unsigned char)text[i]);
	if (!names_is_allowed(param, name))
		return -EINVAL;
	for (uint32_t i = 0; i < names->count; i++)
		if (strcmp(names->name[i], name) == 0)
			return -EINVAL;
	memcpy(names->name[names->count++], name, len + 1);
	return 0;
}

void conf_names_print(const struct hf_names *names, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < names->count; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", names->name[i]);
	fputc(']', out);
}

void conf_names_allowed(const struct conf_param *param, char *ret_buf, size_t size)
{
	if (param->type == CONF_PARAMETERS)
		(void)snprintf(ret_buf, size,
			"each once, 1 to %d letters, digits, '.', '_', '-', and '*' at one end",
			HF_NAME_MAX);
	else if (param->type == CONF_TARGETS)
		(void)snprintf(ret_buf, size,
			"each once, HOST:PORT or [IPv6]:PORT of at most %d characters",
			HF_NAME_MAX);
	else
		(void)snprintf(ret_buf, size,
			"each once, a field name of at most %d characters, but none of %s",
			HF_NAME_MAX, param->words);
}
