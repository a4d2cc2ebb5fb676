/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The commands `log` and `top`: what the request log's watches have to say, as streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

#define LOG_TOP_PERIOD_US 1000000

struct log_stream {
	struct hf_reqlog_watch *watch;
	uint64_t next_us; /* `top`: when its table is due */
};

static void log_end(void *arg)
{
	struct log_stream *stream = arg;

	hf_reqlog_watch_free(stream->watch);
	free(stream);
}

static void log_turn(void *arg, struct hf_ctl_stream *to)
{
	const struct log_stream *stream = arg;
	uint64_t lost;
	size_t len;
	const char *at = hf_reqlog_lines_take(stream->watch, &len, &lost), *end = at + len;
	char text[48];

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		hf_ctl_stream_send(to, at, (size_t)(lf - at));
		at = lf + 1;
	}
	if (lost > 0)
		hf_ctl_stream_send(to, text,
			(size_t)snprintf(
				text, sizeof(text), "{\"lost\":%llu}", (unsigned long long)lost));
}

static void top_turn(void *arg, struct hf_ctl_stream *to)
{
	struct hf_reqlog_top rows[HF_REQLOG_TOP_ROWS];
	struct log_stream *stream = arg;
	uint64_t now_us = hf_clock_us();
	json_t *table;
	uint32_t count;
	char *text;

	if (now_us < stream->next_us)
		return;
	stream->next_us = now_us + LOG_TOP_PERIOD_US;
	table = APP_TABLE_NEW(
		"requests_s", "at_most_over", "bytes_s", "failed_s", "mean_us", "what");
	count = hf_reqlog_top_take(stream->watch, rows);
	for (uint32_t i = 0; i < count; i++)
		app_table_add(
			table, json_pack("[f, f, f, f, f, o]", rows[i].requests_s,
				       rows[i].at_most_over, rows[i].bytes_s, rows[i].failed_s,
				       rows[i].mean_us, hf_ctl_string(rows[i].key)));
	text = json_dumps(table, JSON_COMPACT | JSON_REAL_PRECISION(6));
	HF_ASSERT(text);
	hf_ctl_stream_send(to, text, strlen(text));
	free(text);
	json_decref(table);
}

/* Takes the watch. */
static json_t *log_begin(struct app *app, struct hf_reqlog_watch *watch,
	void (*turn)(void *arg, struct hf_ctl_stream *to), struct hf_err *err)
{
	struct log_stream *stream = calloc(1, sizeof(*stream));
	struct hf_ctl_source source = { .turn = turn, .end = log_end, .arg = stream };

	HF_ASSERT(stream);
	stream->watch = watch;
	stream->next_us = hf_clock_us() + LOG_TOP_PERIOD_US;
	if (hf_ctl_stream_begin(app->ctl, &source, err) == 0)
		return json_pack("{s:b}", "stream", 1);
	log_end(stream);
	return NULL;
}

void app_reqlog_open(struct app *app)
{
	const struct hf_conf *conf = app->conf;

	hf_reqlog_file_set(
		app->reqlog, conf->log.requests, (enum hf_reqlog_format)conf->log.format);
}

json_t *app_command_log(struct app *app, const json_t *args, struct hf_err *err)
{
	const char *filter = json_string_value(json_object_get(args, "filter"));
	struct hf_reqlog_watch *watch;

	if (hf_reqlog_watch_lines(app->reqlog, filter ? filter : "", err, &watch) != 0)
		return NULL;
	return log_begin(app, watch, log_turn, err);
}

json_t *app_command_top(struct app *app, const json_t *args, struct hf_err *err)
{
	const char *kind = json_string_value(json_object_get(args, "kind"));
	struct hf_reqlog_watch *watch;

	if (hf_reqlog_watch_top(app->reqlog, kind, err, &watch) != 0)
		return NULL;
	return log_begin(app, watch, top_turn, err);
}
