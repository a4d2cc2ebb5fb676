/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <jansson.h>

#include "../sync/sync_peer.h"
#include "metrics_rig.h"

/* ---- the document ---- */

static json_t *test_document(void)
{
	struct hf_metrics_snap *snap = metrics_snap_take(&mr_cfg);
	char *text = metrics_otlp_json(snap, "n1", 1234567890123456789);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	cr_assert_not_null(root);
	free(text);
	free(snap);
	return root;
}

static const json_t *test_scope(const json_t *root)
{
	const json_t *resources = json_object_get(root, "resourceMetrics");
	const json_t *scopes = json_object_get(json_array_get(resources, 0), "scopeMetrics");

	cr_assert_eq(json_array_size(resources), 1);
	cr_assert_eq(json_array_size(scopes), 1);
	return json_array_get(scopes, 0);
}

/* The metric NAME; there is one. */
static const json_t *test_metric(const json_t *root, const char *name)
{
	const json_t *metrics = json_object_get(test_scope(root), "metrics"), *metric;
	const json_t *found = NULL;
	size_t i;

	json_array_foreach(metrics, i, metric)
	{
		if (strcmp(json_string_value(json_object_get(metric, "name")), name) != 0)
			continue;
		cr_expect_null(found, "%s twice", name);
		found = metric;
	}
	cr_assert_not_null(found, "no %s", name);
	return found;
}

/* The point of NAME with LABEL, or without any (NULL). */
static const json_t *test_point(
	const json_t *root, const char *name, const char *kind, const char *label)
{
	const json_t *data = json_object_get(test_metric(root, name), kind), *point;
	size_t i;

	json_array_foreach(json_object_get(data, "dataPoints"), i, point)
	{
		const json_t *attributes = json_object_get(point, "attributes"), *attribute;
		size_t j;

		if (!label && json_array_size(attributes) == 0)
			return point;
		json_array_foreach(attributes, j, attribute)
		{
			const json_t *value = json_object_get(attribute, "value");

			value = json_object_get(value, "stringValue");
			if (label && strcmp(json_string_value(value), label) == 0)
				return point;
		}
	}
	cr_expect_fail("%s has no point %s", name, label);
	return NULL;
}

static const char *test_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	cr_assert_not_null(text, "%s is no string", key);
	return text;
}

Test(metrics_otlp, the_resource_is_this_node)
{
	json_t *root = test_document();
	const json_t *resource = json_object_get(
		json_array_get(json_object_get(root, "resourceMetrics"), 0), "resource");
	char *text = json_dumps(resource, JSON_COMPACT);

	cr_expect(strstr(
		text, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"holdfast\"}}"));
	cr_expect(strstr(
		text, "{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"n1\"}}"));
	free(text);
	json_decref(root);
}

Test(metrics_otlp, a_counter_is_a_monotonic_cumulative_sum_of_integers_in_strings)
{
	json_t *root;
	const json_t *sum, *point;

	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_RX_BYTES, UINT64_MAX / 2);
	root = test_document();
	sum = json_object_get(test_metric(root, "holdfast_rx_bytes_total"), "sum");
	cr_expect(json_is_true(json_object_get(sum, "isMonotonic")));
	cr_expect_eq(json_integer_value(json_object_get(sum, "aggregationTemporality")), 2);
	cr_expect_str_eq(test_text(test_metric(root, "holdfast_rx_bytes_total"), "unit"), "By");
	point = test_point(root, "holdfast_rx_bytes_total", "sum", NULL);
	cr_expect_str_eq(test_text(point, "asInt"), "9223372036854775807");
	cr_expect_str_eq(test_text(point, "startTimeUnixNano"), "1234567890123456789");
	cr_expect_eq(strlen(test_text(point, "timeUnixNano")), 19);
	json_decref(root);
}

Test(metrics_otlp, labels_are_attributes_of_the_points_of_one_metric)
{
	json_t *root;

	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_CACHE_MISS_ABSENT, 4);
	(void)hf_drop(HF_DROP_REQ_OVERLOAD);
	root = test_document();
	cr_expect_str_eq(test_text(test_point(root, "holdfast_cache_misses_total", "sum", "absent"),
				 "asInt"),
		"4");
	cr_expect_str_eq(
		test_text(test_point(root, "holdfast_drops_total", "sum", "req_overload"), "asInt"),
		"1");
	json_decref(root);
}

Test(metrics_otlp, a_gauge_is_a_number_also_if_it_is_none)
{
	json_t *root;
	const json_t *point;

	mr_own[0] = (struct hf_metrics_sample){
		.name = "x", .unit = "", .help = "", .kind = HF_METRICS_GAUGE, .value = 0.0 / 0.0
	};
	mr_own_count = 1;
	cr_assert(hf_stat_register("test"));
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, 500000);
	root = test_document();
	point = test_point(root, "cache_miss_rate", "gauge", NULL);
	cr_expect_float_eq(json_number_value(json_object_get(point, "asDouble")), 0.5, 1e-9);
	cr_expect_null(json_object_get(point, "startTimeUnixNano"));
	point = test_point(root, "holdfast_x", "gauge", NULL);
	cr_expect(json_is_real(json_object_get(point, "asDouble")));
	json_decref(root);
}

Test(metrics_otlp, a_histogram_has_one_more_count_than_bounds_and_they_add_up)
{
	json_t *root;
	const json_t *point, *counts, *bounds, *count;
	unsigned long sum = 0;
	size_t i;

	cr_assert(hf_stat_register("test"));
	hf_hist_add_many(HF_HIST_RX_BURST, 3, 2);
	hf_hist_add(HF_HIST_RX_BURST, 4);
	hf_hist_add(HF_HIST_RX_BURST, 1000000);
	root = test_document();
	point = test_point(root, "holdfast_rx_burst_packets", "histogram", NULL);
	counts = json_object_get(point, "bucketCounts");
	bounds = json_object_get(point, "explicitBounds");
	cr_expect_eq(json_array_size(counts), json_array_size(bounds) + 1);
	json_array_foreach(counts, i, count) sum += strtoul(json_string_value(count), NULL, 10);
	cr_expect_eq(sum, 4);
	cr_expect_str_eq(json_string_value(json_array_get(counts, 2)), "3"); /* (2, 4] */
	cr_expect_str_eq(json_string_value(json_array_get(counts, i - 1)), "1");
	cr_expect_str_eq(test_text(point, "count"), "4");
	cr_expect_float_eq(json_number_value(json_object_get(point, "sum")), 1000010, 1e-3);
	cr_expect_float_eq(json_number_value(json_array_get(bounds, 2)), 4, 1e-9);
	json_decref(root);
}

/* ---- headers ---- */

static bool test_headers(const char *pairs, char *ret_lines)
{
	struct curl_slist *lines = curl_slist_append(NULL, "first: 1");
	bool ok = metrics_otlp_headers(pairs, &lines);

	*ret_lines = '\0';
	for (struct curl_slist *at = lines; at; at = at->next)
		if (strcmp(at->data, "first: 1") != 0)
			strcat(strcat(ret_lines, at->data), "\n");
	curl_slist_free_all(lines);
	return ok;
}

Test(metrics_otlp, headers_are_pairs_percent_decoded)
{
	char lines[1000];

	cr_expect(test_headers("api-key=a%2Cb%3Dc, x-y = Basic%20Zm9v=,,e=", lines));
	cr_expect_str_eq(lines, "api-key: a,b=c\nx-y: Basic Zm9v=\ne;\n");
	cr_expect(test_headers("", lines));
	cr_expect_str_empty(lines);
}

Test(metrics_otlp, headers_that_are_none_are_refused_all_together)
{
	static const char *const bad[] = { "a=1,b", "a=%0d%0aevil: 1", "a b=1", "=1", "a=%4",
		"a=%zz", "a%0a=1", "a=1\n", "a:=1" };
	char lines[1000];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_not(test_headers(bad[i], lines), "%s", bad[i]);
		cr_expect_str_empty(lines);
	}
}

/* ---- the receiver ---- */

static struct peer *test_peer;
static CURLM *test_multi;
static struct metrics_otlp *test_otlp;

static void test_begin(void)
{
	cr_assert(hf_stat_register("test"));
	test_peer = peer_new();
	test_multi = curl_multi_init();
	(void)setenv("OTEL_METRIC_EXPORT_INTERVAL", "1", 1);
	MR_SET(mr_otlp, "http://127.0.0.1:%u/base", peer_port(test_peer));
	cr_assert_eq(metrics_otlp_new(&mr_cfg, test_multi, &test_otlp), 0);
	cr_assert_not_null(test_otlp);
}

/* Turns until the count of a kind of outcome is COUNT. */
static void test_until(enum hf_stat stat, uint64_t count)
{
	while (hf_stat_sum(stat) < count) {
		uint64_t now_us = hf_clock_us(), due_us = metrics_otlp_step(test_otlp, now_us);

		if (due_us > now_us)
			(void)curl_multi_poll(
				test_multi, NULL, 0, (int)((due_us - now_us) / 1000 + 1), NULL);
	}
}

static void test_end(void)
{
	metrics_otlp_free(test_otlp);
	(void)curl_multi_cleanup(test_multi);
	peer_free(test_peer);
}

Test(metrics_otlp, M1_nobody_is_named_then_there_is_none)
{
	struct metrics_otlp *otlp = NULL;

	(void)unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	(void)unsetenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
	MR_SET(mr_otlp, "env");
	cr_assert_eq(metrics_otlp_new(&mr_cfg, NULL, &otlp), 0);
	cr_expect_null(otlp);
	(void)setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x", 1);
	cr_assert_eq(metrics_otlp_new(&mr_cfg, NULL, &otlp), 0);
	cr_expect_null(otlp);
	(void)setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", 1);
	MR_SET(mr_otlp, "off");
	cr_assert_eq(metrics_otlp_new(&mr_cfg, NULL, &otlp), 0);
	cr_expect_null(otlp);
}

Test(metrics_otlp, a_report_is_posted_as_json_with_the_headers_of_the_environment)
{
	const char *asked;

	(void)setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20t", 1);
	test_begin();
	test_until(HF_STAT_OTLP_TAKEN, 1);
	asked = peer_asked(test_peer, 0);
	cr_expect_eq(strncmp(asked, "POST /base/v1/metrics HTTP/1.1\r\n", 32), 0, "%.60s", asked);
	cr_expect(strstr(asked, "\r\nContent-Type: application/json\r\n"));
	cr_expect(strstr(asked, "\r\napi-key: s t\r\n"));
	cr_expect(strstr(asked, "{\"resourceMetrics\":["));
	test_end();
}

Test(metrics_otlp, a_receiver_that_is_busy_gets_it_later)
{
	uint64_t begin_us;

	test_begin();
	peer_says(test_peer, "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
	begin_us = hf_clock_us();
	test_until(HF_STAT_OTLP_TAKEN, 1);
	cr_expect_geq(hf_clock_us() - begin_us, 1000000); /* as long as was asked for */
	cr_expect_eq(hf_stat_sum(HF_STAT_OTLP_FAILED), 1);
	cr_expect_eq(peer_asked_count(test_peer), 2);
	cr_expect_gt(hf_stat_sum(HF_STAT_OTLP_DROPPED), 0); /* a report each millisecond */
	test_end();
}

Test(metrics_otlp, no_answer_at_all_is_a_failure_and_what_is_refused_is_not_sent_again)
{
	test_begin();
	peer_says(test_peer, PEER_CLOSE);
	peer_says(test_peer, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
	test_until(HF_STAT_OTLP_TAKEN, 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_OTLP_FAILED), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_OTLP_REFUSED), 1);
	test_end();
}

Test(metrics_otlp, M2_a_receiver_that_hangs_costs_its_timeout)
{
	(void)setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500", 1);
	test_begin();
	peer_says(test_peer, PEER_HANG);
	test_until(HF_STAT_OTLP_FAILED, 1);
	test_until(HF_STAT_OTLP_TAKEN, 1);
	test_end();
}

Test(metrics_otlp, the_last_report_goes_out_at_the_end)
{
	test_begin();
	hf_stat_add(HF_STAT_HTTP_REQUESTS, 77);
	metrics_otlp_finish(test_otlp);
	cr_expect_eq(hf_stat_sum(HF_STAT_OTLP_TAKEN), 1);
	cr_expect(strstr(peer_asked(test_peer, 0), "\"asInt\":\"77\""));
	test_end();
}
