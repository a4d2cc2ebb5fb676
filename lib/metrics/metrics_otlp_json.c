/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ExportMetricsServiceRequest in proto3's JSON mapping: camelCase, 64-bit integers as strings,
 * enums as numbers. Counters and histograms are cumulative.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "metrics_priv.h"

#define OTLP_CUMULATIVE 2 /* AGGREGATION_TEMPORALITY_CUMULATIVE */

json_t *metrics_json_u64(uint64_t value)
{
	return json_sprintf("%" PRIu64, value);
}

json_t *metrics_json_attribute(const char *key, const char *value)
{
	return json_pack("{s:s, s:{s:s}}", "key", key, "value", "stringValue", value);
}

/* What is counted has no unit there: the name says what. */
static const char *json_unit(const char *unit)
{
	if (strcmp(unit, "seconds") == 0)
		return "s";
	return strcmp(unit, "bytes") == 0 ? "By" : "";
}

/* A data point without its value. */
static json_t *json_point(
	const struct hf_metrics_snap *snap, const struct hf_metrics_sample *sample)
{
	const char *labels = sample->labels;
	struct metrics_label label;
	json_t *attributes = json_array();

	while (metrics_label_next(&labels, &label))
		(void)json_array_append_new(
			attributes, metrics_json_attribute(label.key, label.value));
	return json_pack("{s:o, s:o}", "attributes", attributes, "timeUnixNano",
		metrics_json_u64(snap->time_ns));
}

static void json_point_histogram(json_t *point, const struct hf_metrics_snap *snap, enum hf_hist id)
{
	const struct hf_hist_view *view = &snap->view[id];
	double divisor = hf_stat_divisor(hf_hist_infos[id].unit);
	json_t *counts = json_array(), *bounds = json_array();
	uint64_t below = 0;

	for (uint32_t i = 0; i < hf_hist_le_count(id); i++) {
		uint64_t le = hf_hist_le(id, i), count = hf_hist_count_le(view, le);

		(void)json_array_append_new(bounds, json_real((double)le / divisor));
		(void)json_array_append_new(counts, metrics_json_u64(count - below));
		below = count;
	}
	(void)json_array_append_new(counts, metrics_json_u64(view->count - below));
	(void)json_object_set_new(point, "count", metrics_json_u64(view->count));
	(void)json_object_set_new(point, "sum", json_real((double)view->sum / divisor));
	(void)json_object_set_new(point, "bucketCounts", counts);
	(void)json_object_set_new(point, "explicitBounds", bounds);
}

static json_t *json_value(const struct hf_metrics_snap *snap,
	const struct hf_metrics_sample *sample, uint64_t start_time_ns)
{
	json_t *point = json_point(snap, sample);

	if (sample->kind == HF_METRICS_GAUGE) {
		(void)json_object_set_new(
			point, "asDouble", json_real(isfinite(sample->value) ? sample->value : 0));
		return point;
	}
	(void)json_object_set_new(point, "startTimeUnixNano", metrics_json_u64(start_time_ns));
	if (sample->kind == HF_METRICS_HISTOGRAM)
		json_point_histogram(point, snap, (enum hf_hist)sample->count);
	else if (hf_stat_divisor(sample->unit) == 1)
		(void)json_object_set_new(point, "asInt", metrics_json_u64(sample->count));
	else
		(void)json_object_set_new(point, "asDouble",
			json_real((double)sample->count / hf_stat_divisor(sample->unit)));
	return point;
}

/* A family without its points, which go into *ret_points. */
static json_t *json_family(const struct hf_metrics_sample *sample, json_t **ret_points)
{
	static const char *const kinds[] = {
		[HF_METRICS_COUNTER] = "sum",
		[HF_METRICS_GAUGE] = "gauge",
		[HF_METRICS_HISTOGRAM] = "histogram",
	};
	json_t *points = json_array(), *data = json_pack("{s:o}", "dataPoints", points);

	HF_ASSERT(sample->kind < HF_ARRAY_LEN(kinds));
	if (sample->kind != HF_METRICS_GAUGE)
		(void)json_object_set_new(
			data, "aggregationTemporality", json_integer(OTLP_CUMULATIVE));
	if (sample->kind == HF_METRICS_COUNTER)
		(void)json_object_set_new(data, "isMonotonic", json_true());
	*ret_points = points;
	return json_pack("{s:o, s:s, s:s, s:o}", "name",
		json_sprintf("%s%s", metrics_prefix(sample), sample->name), "description",
		sample->help, "unit", json_unit(sample->unit), kinds[sample->kind], data);
}

char *metrics_json_document(
	const char *kind, const char *scopes, const char *name, const char *node, json_t *list)
{
	json_t *root = json_pack("{s:[{s:{s:[o, o, o]}, s:[{s:{s:s, s:s}, s:o}]}]}", kind,
		"resource", "attributes", metrics_json_attribute("service.name", "holdfast"),
		metrics_json_attribute("service.instance.id", node),
		metrics_json_attribute("service.version", HF_VERSION), scopes, "scope", "name",
		"holdfast", "version", HF_VERSION, name, list);
	char *text = json_dumps(root, JSON_COMPACT);

	json_decref(root);
	return text;
}

char *metrics_otlp_json(
	const struct hf_metrics_snap *snap, const char *node, uint64_t start_time_ns)
{
	json_t *metrics = json_array(), *points = NULL;

	for (size_t i = 0; i < snap->count; i++) {
		const struct hf_metrics_sample *sample = &snap->sample[i];

		if (i == 0 || strcmp(sample[-1].name, sample->name) != 0)
			(void)json_array_append_new(metrics, json_family(sample, &points));
		(void)json_array_append_new(points, json_value(snap, sample, start_time_ns));
	}
	return metrics_json_document("resourceMetrics", "scopeMetrics", "metrics", node, metrics);
}
