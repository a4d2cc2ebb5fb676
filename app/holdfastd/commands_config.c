/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The configuration while we run: show, check, reload.
 *
 *      file -> hf_conf_load -> hf_conf_merge with what is in force -> app.conf
 *           -> each thread takes it at the beginning of its next turn -> the one before is freed
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "hf_http.h"
#include "hf_log.h"

#define CONFIG_WAIT_MS  1000 /* for all threads to take a configuration */
#define CONFIG_LINE_MAX 900  /* of the log */

/* ---- threads ---- */

/* A thread that goes by an earlier configuration; false: there is none. */
static bool config_late(struct app *app, char *ret_name, size_t cap)
{
	const struct hf_conf *conf = atomic_load(&app->conf);

	for (uint32_t i = 0; i < app->workers; i++)
		if (atomic_load(&app->worker[i].conf) != conf) {
			(void)snprintf(ret_name, cap, "worker %u", i);
			return true;
		}
	for (uint32_t i = 0; i < app->origins; i++)
		if (atomic_load(&app->origin[i].conf) != conf) {
			(void)snprintf(ret_name, cap, "origin thread %u", i);
			return true;
		}
	if (hf_sync_conf_is(app->sync, conf))
		return false;
	(void)snprintf(ret_name, cap, "the sync thread");
	return true;
}

/* Modules keep parts of the first one: it stays. */
static void config_free_before(struct app *app)
{
	if (app->conf_before != app->conf_boot)
		hf_conf_free(app->conf_before);
	app->conf_before = NULL;
}

/* 0 when nobody reads the one before any more. */
static int config_settle(struct app *app, uint32_t wait_ms, struct hf_err *err)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	char name[32];

	if (!app->conf_before)
		return 0;
	while (config_late(app, name, sizeof(name))) {
		if (wait_ms-- == 0)
			return hf_err_set(
				err, -EBUSY, "%s has not taken the last reload yet", name);
		(void)nanosleep(&pause, NULL);
	}
	config_free_before(app);
	return 0;
}

static int config_publish(struct app *app, struct hf_conf *conf, struct hf_err *err)
{
	HF_ASSERT(!app->conf_before); /* so every thread has begun a turn since the last time */
	hf_http_secrets_set(&conf->cache.scrub_fields, &conf->cache.secret_parameters);
	app->conf_before = atomic_exchange(&app->conf, conf);
	for (uint32_t i = 0; i < app->origins; i++)
		hf_origin_wake(app->origin[i].origin);
	hf_sync_conf_set(app->sync, conf);
	app_reqlog_open(app);
	return config_settle(app, CONFIG_WAIT_MS, err);
}

void app_config_free(struct app *app)
{
	if (app->conf_before)
		config_free_before(app);
	if (app->conf != app->conf_boot)
		hf_conf_free(app->conf);
	hf_conf_free(app->conf_boot);
}

/* ---- files ---- */

int app_config_load(const char *path, FILE *errors, struct hf_conf **ret_conf)
{
	struct hf_state *state = NULL;
	struct hf_conf *conf = NULL;
	struct hf_err err = { "" };
	int rc = hf_conf_load(path, errors, &conf);

	if (rc == 0 && *conf->bootstrap_state)
		rc = hf_state_load(conf->bootstrap_state, errors, &state);
	if (rc == 0)
		rc = hf_origin_conf_check(conf, &err);
	if (*err.text)
		fprintf(errors, "%s\n", err.text);
	hf_state_unref(state);
	if (rc == 0)
		*ret_conf = conf;
	else
		hf_conf_free(conf);
	return rc;
}

typedef int (*config_load_fn)(const char *path, FILE *errors, struct hf_conf **ret_conf);

/* NULL: *ret_reasons has every error. */
static struct hf_conf *config_read(
	config_load_fn load, const char *path, json_t **ret_reasons, struct hf_err *err)
{
	struct hf_conf *conf = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	int rc;

	HF_ASSERT(errors);
	rc = load(path, errors, &conf);
	(void)fclose(errors);
	HF_ASSERT(text);
	if (rc == 0) {
		free(text);
		return conf;
	}
	*ret_reasons = app_reasons(text);
	(void)hf_err_set(err, rc, "errors in %s: %zu", path, json_array_size(*ret_reasons));
	return NULL;
}

/* ---- differences ---- */

struct config_table {
	json_t *table;
	bool live;
};

static void config_row(void *arg, const char *key, const char *from, const char *to)
{
	struct config_table *to_table = arg;

	app_table_add(to_table->table,
		json_pack("[s, s?, s?, s]", key, from, to, to_table->live ? "live" : "restart"));
}

/* What FILE would change: by a reload, which makes MERGED, and by a restart. */
static json_t *config_differences(
	const struct app *app, const struct hf_conf *merged, const struct hf_conf *file)
{
	struct config_table rows = { .table = APP_TABLE_NEW("key", "running", "file", "change") };

	rows.live = true;
	hf_conf_diff(app->conf, merged, config_row, &rows);
	rows.live = false;
	hf_conf_diff(merged, file, config_row, &rows);
	return rows.table;
}

/* However many there are: an operator asked for them. */
static void HF_PRINTF(2, 3) config_say(enum hf_log_level level, const char *format, ...)
{
	struct hf_log_site unlimited = { 0 };
	char line[CONFIG_LINE_MAX];
	va_list args;

	if (level < hf_log_threshold())
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	hf_log_write(&unlimited, level, "config", "%s", line);
}

static void config_log(const json_t *table)
{
	const json_t *rows = json_object_get(table, "rows"), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *key = json_string_value(json_array_get(row, 0));
		const char *from = json_string_value(json_array_get(row, 1));
		const char *to = json_string_value(json_array_get(row, 2));
		bool live = strcmp(json_string_value(json_array_get(row, 3)), "live") == 0;

		config_say(live ? HF_LOG_INFO : HF_LOG_WARN, "%s: %s -> %s%s", key,
			from ? from : "-", to ? to : "-", live ? "" : ": after a restart");
	}
	config_say(HF_LOG_INFO, "reloaded: %zu keys differ", json_array_size(rows));
}

/* ---- commands ---- */

json_t *app_command_config_show(const struct app *app)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *result;

	HF_ASSERT(out != NULL);
	hf_conf_print(app->conf, out);
	(void)fclose(out);
	result = json_pack("{s:s#}", "text", text, (int)len);
	free(text);
	return result;
}

/* Its own file, or another: that only for who may read what we may, since errors quote it. */
json_t *app_command_config_check(struct app *app, const json_t *args, struct hf_err *err)
{
	const char *path = json_string_value(json_object_get(args, "file"));
	int uid = hf_ctl_peer_uid(app->ctl);
	struct hf_conf *file, *merged = NULL;
	json_t *result = NULL;

	if (path && uid != 0 && uid != (int)geteuid()) {
		(void)hf_err_set(err, -EPERM,
			"config check: only root and the server's user may name a file");
		return NULL;
	}
	file = config_read(app_config_load, path ? path : app->conf->path, &result, err);
	if (!file)
		return result;
	HF_ASSERT(hf_conf_merge(app->conf, file, &merged) == 0);
	result = config_differences(app, merged, file);
	hf_conf_free(merged);
	hf_conf_free(file);
	return result;
}

json_t *app_command_config_reload(struct app *app, bool *ret_internal, struct hf_err *err)
{
	struct hf_conf *file, *merged = NULL;
	json_t *result = NULL;
	int rc = config_settle(app, 0, err);

	*ret_internal = rc != 0;
	if (rc != 0)
		return NULL;
	/* not the state document: that matters at a start only */
	file = config_read(hf_conf_load, app->conf->path, &result, err);
	if (!file)
		return result;
	HF_ASSERT(hf_conf_merge(app->conf, file, &merged) == 0);
	result = config_differences(app, merged, file);
	hf_conf_free(file);
	/* all are looked at before any is set */
	if (hf_origin_conf_check(merged, err) != 0 ||
		hf_registry_secret_check(merged->registry.secret_file, err) != 0 ||
		hf_l2_secret_set(merged->l2.secret_file, err) != 0 ||
		hf_registry_secret_set(app->registry, merged->registry.secret_file, err) != 0) {
		hf_conf_free(merged);
		json_decref(result);
		return NULL;
	}
	config_log(result);
	app_spread_conf(app, merged);
	rc = config_publish(app, merged, err);
	if (rc == 0)
		return result;
	*ret_internal = true;
	json_decref(result);
	return NULL;
}

void app_config_hangup(struct app *app)
{
	struct hf_err err = { "" };
	bool internal = false;
	json_t *result = app_command_config_reload(app, &internal, &err), *line;
	size_t i;

	if (err.text[0]) {
		app_reqlog_open(app); /* its file may have been moved away nevertheless */
		json_array_foreach(result, i, line)
		{
			config_say(HF_LOG_WARN, "client_error: %s", json_string_value(line));
		}
		config_say(HF_LOG_WARN, "%s: SIGHUP: %s",
			internal ? "internal_error" : "client_error", err.text);
	}
	json_decref(result);
}
