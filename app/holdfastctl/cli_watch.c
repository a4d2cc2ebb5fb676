/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What goes on: streams of the server, and `stats` once a second.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCH_TIME_LEN 12 /* of "20:00:00.123" behind a date and a 'T' */

static double watch_now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void watch_json(const json_t *object)
{
	(void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
}

/* On a terminal in the place of the last one, else behind it. */
static void watch_screen(const json_t *table)
{
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	cli_show(table, stdout);
	if (!isatty(STDOUT_FILENO))
		putchar('\n');
}

static enum cli_exit watch_failed(const struct hf_err *err)
{
	fprintf(stderr, "holdfastctl: %s\n", err->text);
	return CLI_NO_SERVER;
}

/* ---- streams ---- */

static void stream_text(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	cli_show_text(text ? text : "", /* lines= */ false, stdout);
}

static long long stream_number(const json_t *line, const char *key)
{
	return (long long)json_integer_value(json_object_get(line, key));
}

/* A request on one line: when, who, how it went, what. */
static void stream_request(const json_t *line)
{
	const char *time = json_string_value(json_object_get(line, "time"));
	const char *clock = time ? strchr(time, 'T') : NULL;
	const char *origin = json_string_value(json_object_get(line, "origin"));

	printf("%.*s ", WATCH_TIME_LEN, clock ? clock + 1 : "-");
	stream_text(line, "client");
	printf(" %03lld ", stream_number(line, "status"));
	stream_text(line, "cache");
	printf(" %lld B %lld us ", stream_number(line, "bytes"),
		stream_number(line, "duration_us"));
	stream_text(line, "method");
	putchar(' ');
	stream_text(line, "host");
	stream_text(line, "target");
	if (json_is_true(json_object_get(line, "cut")))
		fputs("...", stdout);
	if (origin && *origin) {
		fputs(" <- ", stdout);
		stream_text(line, "origin");
	}
	puts(json_is_true(json_object_get(line, "complete")) ? "" : " (broken off)");
}

static void stream_show(const json_t *line, bool json)
{
	if (json)
		watch_json(line);
	else if (json_object_get(line, "columns"))
		watch_screen(line);
	else if (json_object_get(line, "lost"))
		printf("(%lld requests lost)\n", stream_number(line, "lost"));
	else
		stream_request(line);
}

enum cli_exit cli_stream(struct cli_call *call, bool json, bool once)
{
	struct hf_err err = { "" };
	bool seen = false;

	cli_patient(call);
	while (!(once && seen)) {
		const json_t *stream;
		json_t *line;

		if (cli_waits(call) && fflush(stdout) != 0)
			return CLI_REFUSED;
		if (cli_next(call, &err, &line) != 0)
			return watch_failed(&err);
		stream = json_object_get(line, "stream");
		seen = json_is_object(stream);
		if (seen)
			stream_show(stream, json);
		json_decref(line);
	}
	return CLI_DONE;
}

/* ---- stats ---- */

struct watch_stats {
	json_t *first, *last; /* results */
	double first_s, last_s;
};

static const json_t *stats_rows(const json_t *result)
{
	return json_object_get(result, "rows");
}

/* Only what counts has a rate: its name ends so, but for labels. */
static bool stats_is_counter(const char *name)
{
	size_t len = strcspn(name, "{");

	return len > 6 && memcmp(name + len - 6, "_total", 6) == 0;
}

/* Each second from an earlier RESULT on; the server has its rows in one order. */
static json_t *stats_rate(const json_t *result, size_t i, const json_t *row, double seconds)
{
	const json_t *before = json_array_get(stats_rows(result), i);

	if (!stats_is_counter(json_string_value(json_array_get(row, 0))) || seconds <= 0)
		return json_null();
	return json_real((json_number_value(json_array_get(row, 1)) -
				 json_number_value(json_array_get(before, 1))) /
			 seconds);
}

static json_t *stats_table(const struct watch_stats *watch, const json_t *result, double now_s)
{
	json_t *rows = json_array(), *row, *hists = json_object_get(result, "histograms");
	size_t i;

	json_array_foreach(stats_rows(result), i, row)
	{
		json_t *value = json_array_get(row, 1);

		if (json_number_value(value) != 0)
			(void)json_array_append_new(rows,
				json_pack("[O, O, o, o]", json_array_get(row, 0), value,
					stats_rate(watch->last, i, row, now_s - watch->last_s),
					stats_rate(watch->first, i, row, now_s - watch->first_s)));
	}
	return json_pack("{s:[s, s, s, s], s:o, s:O*}", "columns", "name", "value", "per_second",
		"average", "rows", rows, "histograms", hists);
}

static json_t *stats_object(const struct watch_stats *watch, const json_t *result, double now_s)
{
	json_t *stats = json_object(), *row, *hists = json_object_get(result, "histograms");
	size_t i;

	json_array_foreach(stats_rows(result), i, row)
	{
		(void)json_object_set_new(stats, json_string_value(json_array_get(row, 0)),
			json_pack("{s:O, s:o}", "value", json_array_get(row, 1), "per_second",
				stats_rate(watch->last, i, row, now_s - watch->last_s)));
	}
	return json_pack("{s:f, s:o, s:O*}", "interval_s", now_s - watch->last_s, "stats", stats,
		"histograms", hists);
}

static int stats_step(struct watch_stats *watch, struct cli_call *call, const json_t *request,
	bool json, struct hf_err *err)
{
	json_t *answer, *result, *shown;
	double now_s;

	if (cli_ask(call, request, err, &answer) != 0)
		return -1;
	now_s = watch_now_s();
	result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (!json_is_array(stats_rows(result)))
		return hf_err_set(err, -1, "the server refuses");
	shown = json ? stats_object(watch, result, now_s) : stats_table(watch, result, now_s);
	if (json)
		watch_json(shown);
	else
		watch_screen(shown);
	json_decref(shown);
	json_decref(watch->last);
	watch->last = result;
	watch->last_s = now_s;
	return 0;
}

enum cli_exit cli_watch_stats(
	struct cli_call *call, const json_t *request, const json_t *answer, bool json)
{
	static const struct timespec pause = { .tv_sec = 1 };
	json_t *result = json_object_get(answer, "result");
	struct watch_stats watch = { .first = json_incref(result), .last = json_incref(result) };
	struct hf_err err = { "" };
	enum cli_exit code = CLI_DONE;

	watch.first_s = watch.last_s = watch_now_s();
	while (code == CLI_DONE) {
		(void)nanosleep(&pause, NULL);
		if (stats_step(&watch, call, request, json, &err) != 0)
			code = watch_failed(&err);
		else if (fflush(stdout) != 0)
			code = CLI_REFUSED;
	}
	json_decref(watch.first);
	json_decref(watch.last);
	return code;
}
