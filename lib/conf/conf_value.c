/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

const struct conf_param conf_params[CONF_PARAM_COUNT] = {
#define PARAM(section_, key_, type_, when_, member, T, min_, max_, words_, def_, help_)            \
	{ .section = section_,                                                                     \
		.key = key_,                                                                       \
		.type = CONF_##T,                                                                  \
		.when = CONF_##when_,                                                              \
		.min = min_,                                                                       \
		.max = max_,                                                                       \
		.words = words_,                                                                   \
		.def = def_,                                                                       \
		.help = help_,                                                                     \
		.offset = offsetof(type_, member),                                                 \
		.size = sizeof(((type_ *)NULL)->member) },
#define ROOT(key, ...)       PARAM("", #key, struct hf_conf, __VA_ARGS__)
#define X(section, key, ...) PARAM(#section, #key, struct hf_conf, __VA_ARGS__)
#include "tbl/params.h"
};

const struct conf_param conf_port_params[CONF_PORT_PARAM_COUNT] = {
#define PORT(key, ...) PARAM("ports", #key, struct hf_conf_port, BOOT, __VA_ARGS__)
#include "tbl/params.h"
};

struct value_unit {
	const char *name;
	uint64_t factor;
};

/* The largest first, for printing. */
static const struct value_unit value_sizes[] = {
	{ "GiB", 1ULL << 30 },
	{ "MiB", 1ULL << 20 },
	{ "KiB", 1ULL << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

static const struct value_unit value_times_ms[] = {
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ NULL, 0 },
};

static const struct value_unit value_times_s[] = {
	{ "h", 3600 },
	{ "m", 60 },
	{ "s", 1 },
	{ NULL, 0 },
};

static const struct value_unit *value_units(enum conf_type type)
{
	switch (type) {
	case CONF_SIZE:
		return value_sizes;
	case CONF_SECONDS:
		return value_times_s;
	case CONF_MILLIS:
		return value_times_ms;
	default:
		return NULL;
	}
}

/* Digits at *text; moves behind them. */
static bool value_digits(const char **text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *at = *text;

	if (!isdigit((unsigned char)*at))
		return false;
	for (; isdigit((unsigned char)*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (value > (max - hf_min_u64(digit, max)) / 10 || digit > max)
			return false;
		value = value * 10 + digit;
	}
	*text = at;
	*ret_value = value;
	return true;
}

bool conf_value_uint(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;

	if (!value_digits(&text, max, &value) || *text != '\0')
		return false;
	*ret_value = value;
	return true;
}

/* Bytes need no unit; of times only 0 does without. */
static bool value_with_unit(const struct conf_param *param, const char *text, uint64_t *ret_value)
{
	const struct value_unit *unit = value_units(param->type);
	uint64_t value;

	if (!value_digits(&text, UINT64_MAX / 2, &value))
		return false;
	if (*text == '\0' && (param->type == CONF_SIZE || value == 0)) {
		*ret_value = value;
		return true;
	}
	while (unit->name && strcmp(unit->name, text) != 0)
		unit++;
	if (!unit->name || value > UINT64_MAX / unit->factor)
		return false;
	*ret_value = value * unit->factor;
	return true;
}

bool conf_value_word(const char *words, const char *text, uint64_t *ret_value)
{
	size_t len = strlen(text);

	for (uint64_t i = 0; words; i++) {
		size_t word = strcspn(words, "|");

		if (word == len && memcmp(words, text, len) == 0) {
			*ret_value = i;
			return true;
		}
		words = words[word] ? words + word + 1 : NULL;
	}
	return false;
}

static bool value_mode(const char *text, uint64_t *ret_value)
{
	size_t len = strlen(text);
	uint64_t mode = 0;

	if (len < 3 || len > 4 || strspn(text, "01234567") != len)
		return false;
	for (; *text; text++)
		mode = mode * 8 + (uint64_t)(*text - '0');
	*ret_value = mode;
	return true;
}

static bool value_number(const struct conf_param *param, const char *text, uint64_t *ret_value)
{
	uint64_t value;
	bool ok;

	if (param->words && param->type != CONF_ENUM && strcmp(text, param->words) == 0) {
		*ret_value = 0;
		return true;
	}
	switch (param->type) {
	case CONF_ENUM:
		ok = conf_value_word(param->words, text, &value);
		break;
	case CONF_MODE:
		ok = value_mode(text, &value);
		break;
	case CONF_UINT:
		ok = conf_value_uint(text, UINT64_MAX, &value);
		break;
	default:
		ok = value_with_unit(param, text, &value);
	}
	if (!ok || value < param->min || value > param->max)
		return false;
	*ret_value = value;
	return true;
}

static bool value_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* [dddd:]bb:dd.f, as lspci shows it. */
static bool value_pci(const char *name, size_t len)
{
	if (len == 12 && value_hex(name, 4) && name[4] == ':') {
		name += 5;
		len -= 5;
	}
	return len == 7 && value_hex(name, 2) && name[2] == ':' && value_hex(name + 3, 2) &&
	       name[5] == '.' && name[6] >= '0' && name[6] <= '7';
}

static bool value_vdev(const char *name, size_t len)
{
	if (len <= 4 || memcmp(name, "net_", 4) != 0)
		return false;
	for (size_t i = 4; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return true;
}

/* http[s]://HOST[:PORT][/PATH], without user, query or slash at the end; libcurl decides the
 * rest. */
static bool value_url(const char *url)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (strncmp(url, schemes[i], len) == 0)
			return (isalnum((unsigned char)url[len]) || url[len] == '[') &&
			       !strpbrk(url, " @?#\"<>\\") && url[strlen(url) - 1] != '/';
	}
	return false;
}

bool hf_conf_hostport(const char *text, char *ret_host, size_t size, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	bool bracket = *text == '[';
	const char *host = text + bracket;
	size_t len;
	uint64_t port;

	if (!colon || !conf_value_uint(colon + 1, UINT16_MAX, &port) || port == 0)
		return false;
	if (bracket && (colon <= host || colon[-1] != ']'))
		return false;
	len = (size_t)(colon - bracket - host);
	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr(bracket ? ":." : "._-", host[i]))
			return false;
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	*ret_port = (uint16_t)port;
	return true;
}

/* ADDRESS: a number, no name. */
static bool value_endpoint(const char *text)
{
	uint8_t address[16];
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	return hf_conf_hostport(text, host, sizeof(host), &port) &&
	       inet_pton(*text == '[' ? AF_INET6 : AF_INET, host, address) == 1;
}

static bool value_hostport(const char *text)
{
	char host[256];
	uint16_t port;

	return hf_conf_hostport(text, host, sizeof(host), &port) &&
	       (*text != '[' || value_endpoint(text));
}

static bool value_string_ok(const struct conf_param *param, const char *text)
{
	size_t len = strlen(text), name = strcspn(text, ",");
	uint64_t word;

	if (len < param->min || len > param->max)
		return false;
	if (param->words && conf_value_word(param->words, text, &word))
		return true;
	for (const char *c = text; *c; c++)
		if (*c < 0x20 || *c > 0x7e) /* also what is not ASCII */
			return false;
	switch (param->type) {
	case CONF_NAME:
	case CONF_GROUP:
		for (; *text; text++)
			if (!isalnum((unsigned char)*text) && !strchr("._-", *text))
				return false;
		return true;
	case CONF_SOCKET:
		return text[0] == '/' && text[len - 1] != '/';
	case CONF_URL:
		return *text == '\0' || value_url(text);
	case CONF_ENDPOINT:
		return *text == '\0' || value_endpoint(text);
	case CONF_HOSTPORT:
		return *text == '\0' || value_hostport(text);
	case CONF_DEVICE:
		return !strchr(text, ' ') && (value_pci(text, name) || value_vdev(text, name));
	default:
		return true;
	}
}

bool conf_value_is_string(enum conf_type type)
{
	return type >= CONF_NAME;
}

int conf_value_set(const struct conf_param *param, const char *text, void *base)
{
	void *member = (char *)base + param->offset;
	uint64_t value;

	HF_ASSERT(!conf_value_is_names(param->type));
	if (conf_value_is_string(param->type)) {
		char *copy;

		HF_ASSERT(param->size == sizeof(char *));
		if (!value_string_ok(param, text))
			return -EINVAL;
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
		free(*(char **)member);
		*(char **)member = copy;
		return 0;
	}
	if (!value_number(param, text, &value))
		return -EINVAL;
	/* little-endian: the low bytes are the value, in a member of any size */
	HF_ASSERT(param->size <= sizeof(value) &&
		  (param->size == sizeof(value) || value >> (8 * param->size) == 0));
	memcpy(member, &value, param->size);
	return 0;
}

static void value_print_unit(const struct value_unit *unit, uint64_t value, FILE *out)
{
	while (unit[1].name && (value % unit->factor != 0 || value == 0))
		unit++;
	fprintf(out, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

static void value_print_number(const struct conf_param *param, uint64_t value, FILE *out)
{
	const char *words = param->words;

	switch (param->type) {
	case CONF_ENUM:
		for (; value > 0; value--)
			words = strchr(words, '|') + 1;
		fprintf(out, "%.*s", (int)strcspn(words, "|"), words);
		break;
	case CONF_MODE:
		fprintf(out, "\"%04o\"", (unsigned)value);
		break;
	default:
		if (words && value == 0)
			fputs(words, out);
		else if (value_units(param->type))
			value_print_unit(value_units(param->type), value, out);
		else
			fprintf(out, "%" PRIu64, value);
	}
}

void conf_value_print(const struct conf_param *param, const void *base, FILE *out)
{
	const void *member = (const char *)base + param->offset;
	uint64_t value = 0;

	if (conf_value_is_names(param->type)) {
		conf_names_print(member, out);
		return;
	}
	if (!conf_value_is_string(param->type)) {
		memcpy(&value, member, param->size);
		value_print_number(param, value, out);
		return;
	}
	fputc('"', out);
	for (const char *c = *(char *const *)member; *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc('"', out);
}

static const char *value_allowed_string(const struct conf_param *param)
{
	switch (param->type) {
	case CONF_NAME:
		return "1-63 of letters, digits, '.', '_', '-'";
	case CONF_GROUP:
		return "a group name of letters, digits, '.', '_', '-'";
	case CONF_SOCKET:
		return "an absolute path of at most 107 bytes";
	case CONF_DEVICE:
		return "a PCI address (0000:3b:00.0) or a vdev (net_tap0,iface=hf0)";
	case CONF_URL:
		return "http://HOST[:PORT][/PATH] or https://..., without user or query";
	case CONF_ENDPOINT:
		return "ADDRESS:PORT or [ADDRESS]:PORT";
	case CONF_HOSTPORT:
		return "HOST:PORT or [ADDRESS]:PORT";
	default:
		return "a file name in ASCII";
	}
}

const char *conf_value_allowed(const struct conf_param *param, char *ret_buf, size_t size)
{
	FILE *out;

	if (conf_value_is_string(param->type)) {
		(void)snprintf(ret_buf, size, "%s%s%s%s", param->words ? param->words : "",
			param->words ? " or " : "", value_allowed_string(param),
			param->min == 0 ? ", or \"\"" : "");
		return ret_buf;
	}
	if (conf_value_is_names(param->type)) {
		conf_names_allowed(param, ret_buf, size);
		return ret_buf;
	}
	if (param->type == CONF_MODE) {
		(void)snprintf(ret_buf, size, "\"0000\" to \"0777\"");
		return ret_buf;
	}
	ret_buf[0] = '\0';
	out = fmemopen(ret_buf, size, "w");
	if (!out)
		return "another value";
	if (param->type == CONF_ENUM) {
		fputs(param->words, out);
	} else {
		if (param->words)
			fprintf(out, "%s or ", param->words);
		value_print_number(&(struct conf_param){ .type = param->type }, param->min, out);
		fputs(" to ", out);
		value_print_number(&(struct conf_param){ .type = param->type }, param->max, out);
		if (param->type == CONF_SECONDS)
			fputs(", whole s, m, h", out);
		else if (param->type == CONF_MILLIS)
			fputs(", in ms, s, m, h", out);
		else if (param->type == CONF_SIZE)
			fputs(", in B, KiB, MiB, GiB", out);
	}
	(void)fclose(out);
	return ret_buf;
}
