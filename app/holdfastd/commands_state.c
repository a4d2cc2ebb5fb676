/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands about the control plane's state and fallback mode.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"

const char *app_state_version(const struct hf_sync_info *info)
{
	for (uint32_t i = 0; i < info->version_count; i++)
		if (info->version[i].current)
			return info->version[i].version;
	return "none";
}

static json_t *state_report(struct app *app)
{
	struct hf_sync_info info;

	hf_sync_info(app->sync, &info);
	return json_pack("{s:s, s:s, s:b, s:b, s:s, s:o, s:I}", "version", app_state_version(&info),
		"fallback", info.fallback, "local_cache_mode", (info.mode & HF_MODE_FALLBACK) != 0,
		"expired", (info.mode & HF_MODE_EXPIRED) != 0, "last_answer", info.last,
		"last_good_ms", info.good_age_ms < 0 ? json_null() : json_integer(info.good_age_ms),
		"fallback_s_total", (json_int_t)(info.fallback_us / 1000000));
}

json_t *app_command_fallback(struct app *app, const json_t *args, struct hf_err *err)
{
	static const struct {
		const char *word;
		enum hf_fallback_event event;
	} words[] = {
		{ "on", HF_FALLBACK_ON },
		{ "off", HF_FALLBACK_OFF },
		{ "auto", HF_FALLBACK_AUTO },
	};
	const char *mode = json_string_value(json_object_get(args, "mode"));
	size_t i = 0;

	while (mode && i < HF_ARRAY_LEN(words) && strcmp(mode, words[i].word) != 0)
		i++;
	if (i == HF_ARRAY_LEN(words)) {
		(void)hf_err_set(err, -EINVAL, "fallback: MODE is on, off or auto");
		return NULL;
	}
	if (mode)
		hf_sync_hold(app->sync, words[i].event);
	return state_report(app);
}

json_t *app_command_state_show(struct app *app, struct hf_err *err)
{
	char *text = hf_sync_document(app->sync);
	json_t *document = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	if (!document)
		(void)hf_err_set(err, -ENOENT, "there is no state yet");
	return document ? json_pack("{s:o, s:o}", "sync", state_report(app), "document", document)
			: NULL;
}

json_t *app_command_state_sync(struct app *app, struct hf_err *err)
{
	if (!*app->conf->control_plane.url) {
		(void)hf_err_set(
			err, -EINVAL, "there is no control plane: control_plane.url is empty");
		return NULL;
	}
	hf_sync_now(app->sync);
	return json_pack("{s:b}", "asked", 1);
}

json_t *app_command_state_history(struct app *app)
{
	json_t *table = APP_TABLE_NEW("version", "current", "applied", "from", "origins", "routes");
	struct hf_sync_info info;

	hf_sync_info(app->sync, &info);
	for (uint32_t i = 0; i < info.version_count; i++) {
		const struct hf_sync_version *version = &info.version[i];
		time_t applied = (time_t)version->applied_s;
		char text[32];
		struct tm tm;

		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&applied, &tm));
		app_table_add(table,
			json_pack("[s, b, s, s, i, i]", version->version, version->current, text,
				version->source, (int)version->origins, (int)version->routes));
	}
	return table;
}

json_t *app_command_state_rollback(struct app *app, const json_t *args, struct hf_err *err)
{
	const char *version = json_string_value(json_object_get(args, "version"));

	if (hf_sync_rollback(app->sync, version, err) != 0)
		return NULL;
	return state_report(app);
}
