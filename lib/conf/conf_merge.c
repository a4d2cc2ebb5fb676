/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two configurations: what a reload makes of them, and how they differ.
 */
#include "hf_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

/* ---- merge ---- */

static bool merge_strdup(char **member)
{
	if (*member)
		*member = strdup(*member);
	return *member;
}

static struct hf_conf *merge_copy(const struct hf_conf *conf)
{
	struct hf_conf *copy = malloc(sizeof(*copy));
	bool ok;

	if (!copy)
		return NULL;
	*copy = *conf;
	ok = merge_strdup(&copy->path);
	/* each is tried, so that none is left that is not the copy's own */
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++)
		if (conf_value_is_string(conf_params[i].type))
			ok &= merge_strdup((char **)((char *)copy + conf_params[i].offset));
	for (uint32_t i = 0; i < copy->port_count; i++)
		ok &= merge_strdup(&copy->port[i].device);
	if (ok)
		return copy;
	hf_conf_free(copy);
	return NULL;
}

static bool merge_take(struct hf_conf *conf, const struct hf_conf *from, enum conf_param_id id)
{
	const struct conf_param *param = &conf_params[id];
	char *member = (char *)conf + param->offset;

	HF_ASSERT(param->when == CONF_LIVE);
	if (conf_value_is_string(param->type))
		free(*(char **)member);
	memcpy(member, (const char *)from + param->offset, param->size);
	return !conf_value_is_string(param->type) || merge_strdup((char **)member);
}

int hf_conf_merge(
	const struct hf_conf *running, const struct hf_conf *file, struct hf_conf **ret_conf)
{
	struct hf_conf *conf = merge_copy(running);
	bool ok = true;

	if (!conf)
		return -ENOMEM;
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++)
		if (conf_params[i].when == CONF_LIVE)
			ok &= merge_take(conf, file, (enum conf_param_id)i);
	/* the file keeps the rules between keys, but for what is not changed yet */
	if (conf->cache.max_object > conf->cache.memory / 2)
		ok &= merge_take(conf, running, CONF_cache_max_object);
	if (conf->http.uri_bytes > conf->http.header_bytes)
		ok &= merge_take(conf, running, CONF_http_uri_bytes);
	if (!ok) {
		hf_conf_free(conf);
		return -ENOMEM;
	}
	*ret_conf = conf;
	return 0;
}

/* ---- differences ---- */

static void diff_print_port(const struct hf_conf *conf, uint32_t i, FILE *out)
{
	for (uint32_t p = 0; p < CONF_PORT_PARAM_COUNT; p++) {
		fprintf(out, "ports[%u].%s: ", i, conf_port_params[p].key);
		conf_value_print(&conf_port_params[p], &conf->port[i], out);
		fputc('\n', out);
	}
	fprintf(out, "ports[%u].addresses: ", i);
	conf_print_addresses(&conf->port[i], out);
	fprintf(out, "ports[%u].gateway: ", i);
	conf_print_gateway(&conf->port[i], out);
}

/* "KEY: VALUE" lines; no value has a line break. */
static char *diff_lines(const struct hf_conf *conf)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	HF_ASSERT(out);
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++) {
		char path[CONF_PATH_MAX];

		conf_path(&conf_params[i], path);
		fprintf(out, "%s: ", path);
		conf_value_print(&conf_params[i], conf, out);
		fputc('\n', out);
	}
	for (uint32_t i = 0; i < conf->port_count; i++)
		diff_print_port(conf, i, out);
	fputs("listen: ", out);
	conf_print_listen(conf, out);
	(void)fclose(out);
	HF_ASSERT(text);
	return text;
}

/* The value of KEY, or NULL; it ends with its line. */
static const char *diff_find(const char *lines, const char *key, size_t key_len)
{
	for (; *lines; lines += strcspn(lines, "\n") + 1)
		if (strncmp(lines, key, key_len) == 0 && lines[key_len] == ':')
			return lines + key_len + 2;
	return NULL;
}

static void diff_tell(const char *key, size_t key_len, const char *from, const char *to,
	hf_conf_diff_fn fn, void *arg)
{
	char *key_text = strndup(key, key_len);
	char *from_text = from ? strndup(from, strcspn(from, "\n")) : NULL;
	char *to_text = to ? strndup(to, strcspn(to, "\n")) : NULL;

	HF_ASSERT(key_text && !from == !from_text && !to == !to_text);
	fn(arg, key_text, from_text, to_text);
	free(key_text);
	free(from_text);
	free(to_text);
}

void hf_conf_diff(
	const struct hf_conf *from, const struct hf_conf *to, hf_conf_diff_fn fn, void *arg)
{
	char *from_lines = diff_lines(from), *to_lines = diff_lines(to);

	for (const char *key = from_lines; *key; key += strcspn(key, "\n") + 1) {
		size_t len = strcspn(key, ":");
		const char *value = key + len + 2, *other = diff_find(to_lines, key, len);

		if (!other || strncmp(value, other, strcspn(value, "\n") + 1) != 0)
			diff_tell(key, len, value, other, fn, arg);
	}
	for (const char *key = to_lines; *key; key += strcspn(key, "\n") + 1) {
		size_t len = strcspn(key, ":");

		if (!diff_find(from_lines, key, len))
			diff_tell(key, len, NULL, key + len + 2, fn, arg);
	}
	free(from_lines);
	free(to_lines);
}
