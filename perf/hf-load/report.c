/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What came out, for people and as JSON.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "load.h"

static const struct {
	const char *name;
	double q;
} report_quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 },
	{ "p99.99", 0.9999 } };

static const struct {
	const char *name;
	size_t offset;
} report_errors[] = {
#define E(field)                                                                                   \
	{                                                                                          \
#field, offsetof(struct load_result, field)                                        \
	}
	E(connect_failed),
	E(cut),
	E(timeout),
	E(bad_head),
	E(bad_status),
	E(bad_body),
	E(unsent),
#undef E
};

static uint64_t report_error(const struct load_result *result, size_t i)
{
	uint64_t value;

	memcpy(&value, (const char *)result + report_errors[i].offset, sizeof(value));
	return value;
}

uint64_t load_result_errors(const struct load_result *result)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < HF_ARRAY_LEN(report_errors); i++)
		sum += report_error(result, i);
	return sum;
}

static double report_rate(uint64_t count, uint64_t ns)
{
	return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

void load_report(const struct load_opts *opts, const struct load_result *result, FILE *out)
{
	const struct hf_hist_view *latency = &result->latency;

	(void)fprintf(out, "%.0f responses/s, %.1f MB/s of bodies, over %.3f s\n",
		report_rate(result->window_responses, result->window_ns),
		report_rate(result->window_bytes, result->window_ns) / 1e6,
		(double)result->window_ns / 1e9);
	(void)fprintf(out, "%lu requests, %lu responses in all, %lu verified, %lu connections",
		result->requests, result->responses, result->verified, result->connections);
	if (opts->fill)
		(void)fprintf(out, "; %u objects filled in %.3f s", opts->keys,
			(double)result->fill_ns / 1e9);
	(void)fprintf(
		out, "\nlatency%s, us:", opts->rate > 0 ? " from when a request was due" : "");
	for (size_t i = 0; i < HF_ARRAY_LEN(report_quantiles); i++)
		(void)fprintf(out, " %s %.1f", report_quantiles[i].name,
			(double)hf_hist_quantile(latency, report_quantiles[i].q) / 1e3);
	(void)fprintf(out, " max %.1f\n", (double)latency->max / 1e3);
	(void)fprintf(out, "%lu segments sent again, %lu received and dropped; errors: %lu",
		result->retransmits, result->drops, load_result_errors(result));
	for (size_t i = 0; i < HF_ARRAY_LEN(report_errors); i++) {
		if (report_error(result, i) > 0)
			(void)fprintf(
				out, " %s %lu", report_errors[i].name, report_error(result, i));
	}
	(void)fputc('\n', out);
}

static json_t *report_latency(const struct hf_hist_view *latency)
{
	json_t *json = json_pack("{s:I, s:f, s:I}", "count", (json_int_t)latency->count, "mean",
		latency->count > 0 ? (double)latency->sum / (double)latency->count : 0.0, "max",
		(json_int_t)latency->max);

	for (size_t i = 0; i < HF_ARRAY_LEN(report_quantiles); i++)
		(void)json_object_set_new(json, report_quantiles[i].name,
			json_integer((json_int_t)hf_hist_quantile(latency, report_quantiles[i].q)));
	return json;
}

static json_t *report_counts(const struct load_result *result)
{
	json_t *json = json_object();

	for (size_t i = 0; i < HF_ARRAY_LEN(report_errors); i++)
		(void)json_object_set_new(json, report_errors[i].name,
			json_integer((json_int_t)report_error(result, i)));
	return json;
}

/* What was received and thrown away, by reason. */
static json_t *report_drops(void)
{
	json_t *json = json_object();

	for (int i = HF_DROP_NONE + 1; i < HF_DROP_COUNT; i++) {
		uint64_t count = hf_drop_sum((enum hf_drop)i);

		if (count > 0)
			(void)json_object_set_new(
				json, hf_drop_infos[i].name, json_integer((json_int_t)count));
	}
	return json;
}

int load_report_json(const struct load_opts *opts, const struct load_result *result)
{
	json_t *json = json_pack(
		"{s:{s:I,s:f,s:I,s:I,s:I,s:f}, s:f,s:f,s:f,s:f, s:I,s:I,s:I,s:I,s:I, "
		"s:I,s:I,s:f, s:I,s:o,s:o,s:o}",
		"options", "keys", (json_int_t)opts->keys, "zipf", opts->zipf, "connections",
		(json_int_t)opts->connections, "pipeline", (json_int_t)opts->pipeline,
		"requests_per_connection", (json_int_t)opts->requests_per_connection, "rate",
		opts->rate, /* then */
		"fill_s", (double)result->fill_ns / 1e9, "window_s",
		(double)result->window_ns / 1e9, "responses_per_s",
		report_rate(result->window_responses, result->window_ns), "body_bytes_per_s",
		report_rate(result->window_bytes, result->window_ns), "requests",
		(json_int_t)result->requests, "responses", (json_int_t)result->responses,
		"response_bytes", (json_int_t)result->response_bytes, "verified",
		(json_int_t)result->verified, "connections", (json_int_t)result->connections,
		"retransmits", (json_int_t)result->retransmits, "drops", (json_int_t)result->drops,
		"cpu_s", (double)result->cpu_ns / 1e9, "errors",
		(json_int_t)load_result_errors(result), "error", report_counts(result),
		"latency_ns", report_latency(&result->latency), "drop", report_drops());
	int rc;

	if (!json)
		return -ENOMEM;
	if (strcmp(opts->json, "-") == 0)
		rc = json_dumpf(json, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF ? 0
											   : -EIO;
	else
		rc = json_dump_file(json, opts->json, JSON_INDENT(1)) == 0 ? 0 : -EIO;
	json_decref(json);
	return rc;
}
