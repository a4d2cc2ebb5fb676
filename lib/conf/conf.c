/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_priv.h"

/* A regular file, for which nobody has to wait. */
static FILE *conf_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat;
	FILE *in = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &stat) == 0) {
		errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
		in = S_ISREG(stat.st_mode) ? fdopen(fd, "r") : NULL;
	}
	if (!in)
		(void)close(fd);
	return in;
}

/* The whole file, at most CONF_FILE_MAX. */
static int conf_read(const char *path, char **ret_text, size_t *ret_len)
{
	FILE *in = conf_open(path);
	char *text;
	size_t len;
	int err;

	if (!in)
		return -errno;
	text = malloc(CONF_FILE_MAX + 1);
	if (!text) {
		(void)fclose(in);
		return -ENOMEM;
	}
	errno = 0;
	len = fread(text, 1, CONF_FILE_MAX + 1, in);
	err = ferror(in) ? -(errno ? errno : EIO) : len > CONF_FILE_MAX ? -EFBIG : 0;
	(void)fclose(in);
	if (err != 0) {
		free(text);
		return err;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

void conf_path(const struct conf_param *param, char *ret_path)
{
	(void)snprintf(ret_path, CONF_PATH_MAX, "%s%s%s", param->section,
		*param->section ? "." : "", param->key);
}

/* What came of a value that the file has at PATH. */
static void conf_applied(const struct conf_param *param, const char *path, const char *text,
	int err, const struct conf_shape *shape, struct conf_errors *errors)
{
	char allowed[256], quoted[128];

	if (err == -ENOMEM)
		errors->out_of_memory = true;
	if (err == -EINVAL)
		conf_error_add(errors, conf_shape_line(shape, path), path,
			conf_error_quote(text, quoted, sizeof(quoted)), "%s",
			conf_value_allowed(param, allowed, sizeof(allowed)));
}

static void conf_apply_params(struct hf_conf *conf, const struct conf_raw *raw,
	const struct conf_shape *shape, struct conf_errors *errors)
{
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++) {
		const struct conf_param *param = &conf_params[i];
		char path[CONF_PATH_MAX], entry[CONF_PATH_MAX + 16];

		conf_path(param, path);
		if (raw->value[i])
			conf_applied(param, path, raw->value[i],
				conf_value_set(param, raw->value[i], conf), shape, errors);
		for (uint32_t j = 0; j < raw->list[i].at_count; j++) {
			(void)snprintf(entry, sizeof(entry), "%s[%u]", path, j);
			conf_applied(param, entry, raw->list[i].at[j],
				conf_names_add(param, raw->list[i].at[j], conf), shape, errors);
		}
	}
}

static void conf_apply_listen(struct hf_conf *conf, const struct conf_raw *raw,
	const struct conf_shape *shape, struct conf_errors *errors)
{
	char found[128];

	if (conf_shape_line(shape, "listen") == 0) {
		conf->listen[conf->listen_count++] = 80;
		return;
	}
	for (uint32_t i = 0; i < raw->listen_count; i++) {
		char path[CONF_PATH_MAX];
		uint64_t port = 0;
		bool twice = false;

		(void)snprintf(path, sizeof(path), "listen[%u]", i);
		(void)conf_error_quote(raw->listen[i], found, sizeof(found));
		if (!conf_value_uint(raw->listen[i], 65535, &port) || port == 0) {
			conf_error_add(
				errors, conf_shape_line(shape, path), path, found, "1 to 65535");
			continue;
		}
		for (uint32_t j = 0; j < conf->listen_count; j++)
			twice |= conf->listen[j] == port;
		if (twice)
			conf_error_add(errors, conf_shape_line(shape, path), path, found,
				"each port once");
		else
			conf->listen[conf->listen_count++] = (uint16_t)port;
	}
}

/* Rules between keys. A key that was refused still has its default, about which nothing is said. */
static void conf_apply_rules(struct hf_conf *conf, const struct conf_raw *raw,
	const struct conf_shape *shape, struct conf_errors *errors)
{
	if (conf->cache.max_object > conf->cache.memory / 2) {
		/* the default is made to fit a small cache */
		if (!raw->value[CONF_cache_max_object])
			conf->cache.max_object = conf->cache.memory / 4;
		else
			conf_error_add(errors, conf_shape_line(shape, "cache.max_object"),
				"cache.max_object", raw->value[CONF_cache_max_object],
				"at most half of cache.memory");
	}
	if (conf->http.uri_bytes > conf->http.header_bytes) {
		if (!raw->value[CONF_http_uri_bytes])
			conf->http.uri_bytes = conf->http.header_bytes;
		else
			conf_error_add(errors, conf_shape_line(shape, "http.uri_bytes"),
				"http.uri_bytes", raw->value[CONF_http_uri_bytes],
				"at most http.header_bytes");
	}
}

static struct hf_conf *conf_new(const char *path)
{
	struct hf_conf *conf = calloc(1, sizeof(*conf));

	if (!conf)
		return NULL;
	conf->path = strdup(path);
	if (!conf->path) {
		hf_conf_free(conf);
		return NULL;
	}
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++) {
		int err = 0; /* of lists: they are empty */

		if (conf_params[i].def)
			err = conf_value_set(&conf_params[i], conf_params[i].def, conf);
		HF_ASSERT(err != -EINVAL);
		if (err != 0) {
			hf_conf_free(conf);
			return NULL;
		}
	}
	return conf;
}

static int conf_build(const char *path, const struct conf_shape *shape, struct conf_errors *errors,
	struct hf_conf **ret_conf)
{
	struct conf_raw *raw = conf_raw_load(shape, errors);
	struct hf_conf *conf = raw ? conf_new(path) : NULL;

	if (!conf) {
		conf_raw_free(raw);
		return errors->count > 0 ? -EINVAL : -ENOMEM;
	}
	conf_apply_params(conf, raw, shape, errors);
	conf_apply_listen(conf, raw, shape, errors);
	conf_port_load(conf, raw, shape, errors);
	conf_apply_rules(conf, raw, shape, errors);
	conf_raw_free(raw);
	if (errors->out_of_memory || errors->count > 0) {
		hf_conf_free(conf);
		return errors->count > 0 ? -EINVAL : -ENOMEM;
	}
	*ret_conf = conf;
	return 0;
}

int hf_conf_load(const char *path, FILE *errors, struct hf_conf **ret_conf)
{
	struct conf_errors found = { 0 };
	struct conf_shape shape = { 0 };
	char *text = NULL;
	size_t len = 0;
	int err = conf_read(path, &text, &len);

	HF_ASSERT(errors && ret_conf);
	if (err != 0)
		conf_error_add(&found, 1, "file", strerror(-err),
			"a readable, regular file of at most 1 MiB");
	else
		err = conf_shape_parse(&shape, text, len, &conf_schema, &found);
	if (err == 0)
		err = conf_build(path, &shape, &found, ret_conf);
	if (err == -ENOMEM)
		conf_error_add(&found, 1, "file", "no memory left for it", "a smaller file");
	conf_errors_print(&found, path, errors);
	conf_errors_fini(&found);
	conf_shape_fini(&shape);
	free(text);
	return err;
}

void hf_conf_free(struct hf_conf *conf)
{
	if (!conf)
		return;
	for (uint32_t i = 0; i < HF_CONF_PORTS_MAX; i++)
		free(conf->port[i].device);
	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++)
		if (conf_value_is_string(conf_params[i].type))
			free(*(char **)((char *)conf + conf_params[i].offset));
	free(conf->path);
	free(conf);
}
