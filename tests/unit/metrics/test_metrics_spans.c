/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Spans: the document, the queue, batches, and what a receiver's answers mean for them.
 */
#include <string.h>

#include "../sync/sync_peer.h"
#include "metrics_rig.h"

/* ---- the document ---- */

static struct metrics_span test_span(void)
{
	struct metrics_span span = {
		.begun_us = 1795200000000001,
		.duration_us = 250,
		.trace = { .parent = { .id = { 0x0a, [15] = 0x9c }, .span = { 0xb7, [7] = 0x31 } },
			.span = { 1, [7] = 2 },
			.fetch = { 3, [7] = 4 },
			.has_parent = true,
			.has_ttl = true,
			.fetched = true,
			.fetch_us = 100,
			.ttl_ms = -1500,
			.key_hash = 77 },
		.status = 200,
		.path_len = 2,
		.cache = HF_REQLOG_EXPIRED,
		.method_len = 3,
		.method = "GET",
		.origin = "www/o1",
		.path = "/ax",
	};

	return span;
}

static const struct hf_sipkey test_key = { 1, 2 };

/* The spans' array; *ret_root is to be put. */
static json_t *test_spans(const struct metrics_span *span, uint32_t count, json_t **ret_root)
{
	char *text = metrics_spans_json(span, count, "n1", &test_key);
	json_t *scopes;

	*ret_root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(*ret_root);
	free(text);
	scopes = json_object_get(
		json_array_get(json_object_get(*ret_root, "resourceSpans"), 0), "scopeSpans");
	return json_object_get(json_array_get(scopes, 0), "spans");
}

static void test_expect(json_t *json, const char *want)
{
	char *text = json_dumps(json, JSON_COMPACT);

	cr_expect_str_eq(text, want, "%s\n%s", text, want);
	free(text);
}

#define TEXT(key, value)   "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define NUMBER(key, value) "{\"key\":\"" key "\",\"value\":{\"intValue\":\"" value "\"}}"

#define SPAN(id, name, kind, end)                                                                  \
	"{\"traceId\":\"0a00000000000000000000000000009c\",\"spanId\":\"" id "\",\"name\":\"" name \
	"\",\"kind\":" kind                                                                        \
	",\"startTimeUnixNano\":\"1795200000000001000\",\"endTimeUnixNano\":\"" end                \
	"\",\"attributes\":["

Test(metrics_spans, a_request_is_a_server_span_and_its_fetch_a_client_span_below)
{
	static const char want[] = SPAN("0100000000000002", "GET", "2", "1795200000000251000");
	struct metrics_span span = test_span();
	char hash[64];
	json_t *root, *spans = test_spans(&span, 1, &root);
	char *text = json_dumps(json_array_get(spans, 0), JSON_COMPACT);

	cr_assert_eq(json_array_size(spans), 2);
	cr_expect_eq(strncmp(text, want, sizeof(want) - 1), 0, "%s", text);
	cr_expect(strstr(text, TEXT("url.path", "/a")));
	cr_expect(strstr(text, NUMBER("http.response.status_code", "200")));
	cr_expect(strstr(text, TEXT("holdfast.cache_status", "expired")));
	(void)snprintf(hash, sizeof(hash), "hash\",\"value\":{\"stringValue\":\"%016lx\"}",
		(unsigned long)hf_siphash(&test_key, &span.trace.key_hash, 8));
	cr_expect(strstr(text, hash), "%s %s", text, hash);
	cr_expect(strstr(text, NUMBER("holdfast.ttl_remaining_ms", "-1500")));
	cr_expect(strstr(text, TEXT("http.request.method", "GET")));
	cr_expect(strstr(text, "],\"parentSpanId\":\"b700000000000031\"}"));
	test_expect(json_array_get(spans, 1),
		SPAN("0300000000000004", "GET", "3", "1795200000000101000")
			TEXT("holdfast.origin", "www/o1") "," TEXT("http.request.method",
				"GET") "],\"parentSpanId\":\"0100000000000002\"}");
	free(text);
	json_decref(root);
}

Test(metrics_spans, what_there_is_not_is_not_told)
{
	struct metrics_span span = test_span();
	json_t *root, *spans;

	span.trace.has_parent = span.trace.has_ttl = span.trace.fetched = false;
	span.trace.key_hash = 0;
	span.status = 0;
	span.cache = HF_REQLOG_NONE;
	memcpy(span.method, "BREW", 4);
	span.method_len = 4;
	spans = test_spans(&span, 1, &root);
	cr_assert_eq(json_array_size(spans), 1);
	test_expect(json_array_get(spans, 0),
		SPAN("0100000000000002", "HTTP", "2", "1795200000000251000")
			TEXT("url.path", "/a") "," TEXT("holdfast.cache_status", "none") "," TEXT(
				"http.request.method", "_OTHER") "]}");
	json_decref(root);
}

Test(metrics_spans, an_answer_5xx_is_an_error_and_the_resource_is_this_node)
{
	struct metrics_span span = test_span();
	json_t *root, *spans;
	char *text;

	span.status = 503;
	spans = test_spans(&span, 1, &root);
	test_expect(json_object_get(json_array_get(spans, 0), "status"), "{\"code\":2}");
	text = json_dumps(root, JSON_COMPACT);
	cr_expect(strstr(text, TEXT("service.instance.id", "n1")));
	free(text);
	json_decref(root);
}

/* ---- the receiver ---- */

static struct peer *test_peer;
static CURLM *test_multi;
static struct hf_reqlog *test_reqlog;
static struct hf_metrics_cfg test_cfg;
static struct metrics_spans *spans_of_test;

static void test_begin(void)
{
	cr_assert(hf_stat_register("test"));
	test_peer = peer_new();
	test_multi = curl_multi_init();
	test_cfg = mr_cfg;
	cr_assert_eq(hf_reqlog_new(1, NULL, &test_reqlog), 0);
	test_cfg.reqlog = test_reqlog;
	(void)setenv("OTEL_BSP_SCHEDULE_DELAY", "1", 1);
	MR_SET(mr_otlp, "http://127.0.0.1:%u/base", peer_port(test_peer));
	cr_assert_eq(metrics_spans_new(&test_cfg, test_multi, &spans_of_test), 0);
	cr_assert_not_null(spans_of_test);
}

static void test_end(void)
{
	metrics_spans_close(spans_of_test);
	metrics_spans_free(spans_of_test);
	(void)curl_multi_cleanup(test_multi);
	hf_reqlog_free(test_reqlog);
	peer_free(test_peer);
}

static void test_put(uint32_t count, bool fetched)
{
	static struct hf_reqlog_record record = { .method = "GET",
		.method_len = 3,
		.host_len = 1,
		.target_len = 9,
		.text = "h/p?query" };

	record.trace.fetched = fetched;
	for (uint32_t i = 0; i < count; i++) {
		record.begun_us = i;
		metrics_spans_put(spans_of_test, &record, 1000000);
	}
}

static void test_until(enum hf_stat stat, uint64_t count)
{
	while (hf_stat_sum(stat) < count) {
		uint64_t now_us = hf_clock_us();
		uint64_t due_us = metrics_spans_step(spans_of_test, now_us);

		if (due_us > now_us)
			(void)curl_multi_poll(
				test_multi, NULL, 0, (int)((due_us - now_us) / 1000 + 1), NULL);
	}
}

static uint32_t test_count(const char *text, const char *what)
{
	uint32_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

Test(metrics_spans, M1_nobody_is_named_then_there_is_none_and_nothing_is_wanted)
{
	struct metrics_spans *spans = NULL;

	(void)unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	(void)unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
	test_begin();
	cr_expect_eq(hf_reqlog_wanted(hf_reqlog_ring(test_reqlog, 0)), HF_REQLOG_WANT_TRACED);
	metrics_spans_close(spans_of_test);
	cr_expect_eq(hf_reqlog_wanted(hf_reqlog_ring(test_reqlog, 0)), 0);
	for (int i = 0; i < 2; i++) {
		MR_SET(mr_otlp, i == 0 ? "env" : "off");
		cr_assert_eq(metrics_spans_new(&test_cfg, NULL, &spans), 0);
		cr_expect_null(spans);
		(void)setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", 1);
	}
	cr_expect_eq(hf_reqlog_wanted(hf_reqlog_ring(test_reqlog, 0)), 0);
	test_end();
}

Test(metrics_spans, batches_are_of_256_requests_and_paths_have_no_query)
{
	const char *asked;

	test_begin();
	test_put(300, true);
	test_until(HF_STAT_TRACE_TAKEN, 600);
	cr_expect_eq(peer_asked_count(test_peer), 2);
	asked = peer_asked(test_peer, 0);
	cr_expect_eq(strncmp(asked, "POST /base/v1/traces HTTP/1.1\r\n", 31), 0, "%.60s", asked);
	cr_expect_eq(test_count(asked, "\"spanId\""), 512);
	cr_expect(strstr(asked, "\"startTimeUnixNano\":\"1000000000\""));
	cr_expect(strstr(asked, TEXT("url.path", "/p")));
	cr_expect_null(strstr(asked, "query"));
	cr_expect_eq(test_count(peer_asked(test_peer, 1), "\"spanId\""), 88);
	test_end();
}

Test(metrics_spans, M2_a_queue_that_is_full_loses_the_oldest_and_counts_them)
{
	test_begin();
	test_put(METRICS_SPANS_QUEUE + 10, true);
	cr_expect_eq(hf_stat_sum(HF_STAT_TRACE_DROPPED), 20);
	test_until(HF_STAT_TRACE_TAKEN, 2 * METRICS_SPANS_QUEUE);
	cr_expect_eq(hf_stat_sum(HF_STAT_TRACE_TAKEN), 2 * METRICS_SPANS_QUEUE);
	cr_expect_null(strstr(peer_asked(test_peer, 0), "\"startTimeUnixNano\":\"1000009000\""));
	cr_expect(strstr(peer_asked(test_peer, 0), "\"startTimeUnixNano\":\"1000010000\""));
	test_end();
}

Test(metrics_spans, what_was_not_taken_is_sent_again_and_what_is_refused_is_not)
{
	test_begin();
	peer_says(test_peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
	peer_says(test_peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	peer_says(test_peer, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	test_put(1, false);
	test_until(HF_STAT_TRACE_TAKEN, 1);
	cr_expect_eq(peer_asked_count(test_peer), 2);
	test_put(3, true);
	test_until(HF_STAT_TRACE_REFUSED, 6);
	cr_expect_eq(hf_stat_sum(HF_STAT_TRACE_TAKEN), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_TRACE_DROPPED), 0);
	test_end();
}

Test(metrics_spans, all_that_waits_goes_out_at_the_end)
{
	test_begin();
	test_put(METRICS_SPANS_BATCH + 1, false);
	metrics_spans_finish(spans_of_test);
	cr_expect_eq(hf_stat_sum(HF_STAT_TRACE_TAKEN), METRICS_SPANS_BATCH + 1);
	test_end();
}
