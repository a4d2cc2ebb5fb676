/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ExportTraceServiceRequest in proto3's JSON mapping as OTLP has it: ids in hex, 64-bit integers as
 * strings, enums as numbers. Names of attributes: OpenTelemetry's conventions for HTTP, and
 * holdfast.* .
 */
#include <inttypes.h>
#include <string.h>

#include "hf_http.h"
#include "metrics_priv.h"

enum span_kind { SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* Span.SpanKind */
#define SPAN_STATUS_ERROR 2                          /* Status.StatusCode */

static json_t *span_hex(const uint8_t *id, size_t len)
{
	char text[2 * HF_HTTP_TRACE_ID_LEN + 1];

	HF_ASSERT(len <= HF_HTTP_TRACE_ID_LEN);
	for (size_t i = 0; i < len; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", id[i]);
	return json_string(text);
}

static json_t *span_number(const char *key, int64_t value)
{
	return json_pack(
		"{s:s, s:{s:o}}", "key", key, "value", "intValue", json_sprintf("%" PRId64, value));
}

/* Methods that nobody knows have one name together: clients make them up. */
static const char *span_method(const struct metrics_span *span)
{
	struct hf_span method = { span->method, span->method_len };

	for (int i = 0; i < HF_HTTP_OTHER; i++) {
		const char *name = hf_http_method_name((enum hf_http_method)i);

		if (hf_span_eq(method, (struct hf_span){ name, strlen(name) }))
			return name;
	}
	return "_OTHER";
}

static json_t *span_json(const struct metrics_span *span, enum span_kind kind, const uint8_t *id,
	const uint8_t *parent, uint64_t duration_us, json_t *attributes)
{
	const char *method = span_method(span);
	json_t *json = json_pack("{s:o, s:o, s:s, s:i, s:o, s:o, s:o}", "traceId",
		span_hex(span->trace.parent.id, HF_HTTP_TRACE_ID_LEN), "spanId",
		span_hex(id, HF_HTTP_TRACE_SPAN_LEN), "name", *method == '_' ? "HTTP" : method,
		"kind", (int)kind, "startTimeUnixNano", metrics_json_u64(span->begun_us * 1000),
		"endTimeUnixNano", metrics_json_u64((span->begun_us + duration_us) * 1000),
		"attributes", attributes);

	(void)json_array_append_new(
		attributes, metrics_json_attribute("http.request.method", method));
	if (parent)
		(void)json_object_set_new(
			json, "parentSpanId", span_hex(parent, HF_HTTP_TRACE_SPAN_LEN));
	return json;
}

static json_t *span_server(const struct metrics_span *span, const struct hf_sipkey *key)
{
	const struct hf_reqlog_trace *trace = &span->trace;
	json_t *list = json_array(), *json;
	char hash[17];

	(void)json_array_append_new(
		list, json_pack("{s:s, s:{s:s%}}", "key", "url.path", "value", "stringValue",
			      span->path, (size_t)span->path_len));
	if (span->status != 0)
		(void)json_array_append_new(
			list, span_number("http.response.status_code", span->status));
	HF_ASSERT(span->cache < HF_REQLOG_CACHE_COUNT);
	(void)json_array_append_new(list, metrics_json_attribute("holdfast.cache_status",
						  hf_reqlog_cache_names[span->cache]));
	if (trace->key_hash != 0) {
		/* the table's own hash is told to nobody: who knows it could fill a chain */
		(void)snprintf(hash, sizeof(hash), "%016" PRIx64,
			hf_siphash(key, &trace->key_hash, sizeof(trace->key_hash)));
		(void)json_array_append_new(
			list, metrics_json_attribute("holdfast.cache_key_hash", hash));
	}
	if (trace->has_ttl)
		(void)json_array_append_new(
			list, span_number("holdfast.ttl_remaining_ms", trace->ttl_ms));
	json = span_json(span, SPAN_SERVER, trace->span,
		trace->has_parent ? trace->parent.span : NULL, span->duration_us, list);
	if (span->status >= 500)
		(void)json_object_set_new(
			json, "status", json_pack("{s:i}", "code", SPAN_STATUS_ERROR));
	return json;
}

static json_t *span_client(const struct metrics_span *span)
{
	json_t *list = json_array();

	(void)json_array_append_new(list, metrics_json_attribute("holdfast.origin", span->origin));
	return span_json(
		span, SPAN_CLIENT, span->trace.fetch, span->trace.span, span->trace.fetch_us, list);
}

char *metrics_spans_json(const struct metrics_span *span, uint32_t count, const char *node,
	const struct hf_sipkey *key)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < count; i++) {
		(void)json_array_append_new(list, span_server(&span[i], key));
		if (span[i].trace.fetched)
			(void)json_array_append_new(list, span_client(&span[i]));
	}
	return metrics_json_document("resourceSpans", "scopeSpans", "spans", node, list);
}
