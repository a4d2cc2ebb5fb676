/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Spans of sampled requests: from the request log's thread through a queue to an OTLP receiver, in
 * batches.
 *
 *      lib/reqlog -> put -> queue -> batch -> sender
 *                             '-> full: the oldest goes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_priv.h"

#define SPANS_DELAY_MS 1000 /* between two batches, unless there is enough for one */

struct metrics_spans {
	const struct hf_metrics_cfg *cfg;
	struct metrics_sender sender;
	uint32_t delay_ms;
	uint64_t due_us;
	struct hf_sipkey key;  /* of cache keys */
	uint32_t sending;      /* spans in the sender's text */
	pthread_mutex_t mutex; /* of the queue */
	uint32_t first, count;
	struct metrics_span queue[METRICS_SPANS_QUEUE];
	struct metrics_span batch[METRICS_SPANS_BATCH];
};

static uint32_t spans_of(const struct metrics_span *span)
{
	return span->trace.fetched ? 2 : 1;
}

/* ---- the log's thread ---- */

static void spans_fill(
	struct metrics_span *span, const struct hf_reqlog_record *record, int64_t real_us)
{
	struct hf_span target = hf_reqlog_target(record);
	const char *query = memchr(target.ptr, '?', target.len);

	span->begun_us = record->begun_us + (uint64_t)real_us;
	span->duration_us = record->duration_us;
	span->trace = record->trace;
	span->status = record->status;
	span->cache = record->cache;
	span->method_len = record->method_len;
	memcpy(span->method, record->method, sizeof(span->method));
	memcpy(span->origin, record->origin, sizeof(span->origin));
	span->path_len = (uint16_t)(query ? (size_t)(query - target.ptr) : target.len);
	memcpy(span->path, target.ptr, span->path_len);
}

void metrics_spans_put(void *arg, const struct hf_reqlog_record *record, int64_t real_us)
{
	struct metrics_spans *spans = arg;
	uint32_t at;
	bool enough;

	HF_ASSERT(pthread_mutex_lock(&spans->mutex) == 0);
	if (spans->count == METRICS_SPANS_QUEUE) {
		hf_stat_add(HF_STAT_TRACE_DROPPED, spans_of(&spans->queue[spans->first]));
		spans->first = (spans->first + 1) % METRICS_SPANS_QUEUE;
		spans->count--;
	}
	at = (spans->first + spans->count++) % METRICS_SPANS_QUEUE;
	spans_fill(&spans->queue[at], record, real_us);
	enough = spans->count == METRICS_SPANS_BATCH;
	HF_ASSERT(pthread_mutex_unlock(&spans->mutex) == 0);
	if (enough)
		(void)curl_multi_wakeup(spans->sender.multi);
}

/* ---- the sending thread ---- */

/* Those that waited longest, at most a batch; how many. */
static uint32_t spans_take(struct metrics_spans *spans)
{
	uint32_t count;

	HF_ASSERT(pthread_mutex_lock(&spans->mutex) == 0);
	count = hf_min_u32(spans->count, METRICS_SPANS_BATCH);
	for (uint32_t i = 0; i < count; i++)
		spans->batch[i] = spans->queue[(spans->first + i) % METRICS_SPANS_QUEUE];
	spans->first = (spans->first + count) % METRICS_SPANS_QUEUE;
	spans->count -= count;
	HF_ASSERT(pthread_mutex_unlock(&spans->mutex) == 0);
	return count;
}

/* Do so many wait? */
static bool spans_wait(struct metrics_spans *spans, uint32_t count)
{
	bool wait;

	HF_ASSERT(pthread_mutex_lock(&spans->mutex) == 0);
	wait = spans->count >= count;
	HF_ASSERT(pthread_mutex_unlock(&spans->mutex) == 0);
	return wait;
}

/* A text of what waits; none: nothing does. */
static void spans_next(struct metrics_spans *spans)
{
	uint32_t count = spans_take(spans);

	if (count == 0)
		return;
	spans->sending = 0;
	for (uint32_t i = 0; i < count; i++)
		spans->sending += spans_of(&spans->batch[i]);
	spans->sender.sending =
		metrics_spans_json(spans->batch, count, spans->cfg->conf->node, &spans->key);
	if (!spans->sender.sending)
		hf_stat_add(HF_STAT_TRACE_DROPPED, spans->sending);
}

/* False: nothing is left to send. */
static bool spans_transfer(void *arg, uint64_t now_us)
{
	struct metrics_spans *spans = arg;

	if (!spans->sender.sending && metrics_sender_ready(&spans->sender, now_us))
		spans_next(spans);
	switch (metrics_sender_step(&spans->sender, now_us)) {
	case METRICS_SENT_NOTHING:
	case METRICS_SENT_FAILED:
		break;
	case METRICS_SENT_TAKEN:
		hf_stat_add(HF_STAT_TRACE_TAKEN, spans->sending);
		break;
	case METRICS_SENT_REFUSED:
		hf_stat_add(HF_STAT_TRACE_REFUSED, spans->sending);
		break;
	}
	return spans->sender.sending || spans_wait(spans, 1);
}

uint64_t metrics_spans_step(struct metrics_spans *spans, uint64_t now_us)
{
	bool due = now_us >= spans->due_us;

	if (due)
		spans->due_us = now_us + spans->delay_ms * 1000ULL;
	if (!due && !spans->sender.sending && !spans_wait(spans, METRICS_SPANS_BATCH))
		return spans->due_us;
	(void)spans_transfer(spans, now_us);
	if (spans->sender.under_way)
		return spans->due_us; /* libcurl's poll ends when it has work */
	if (spans->sender.sending)
		return hf_max_u64(spans->sender.retry_us, now_us);
	return spans_wait(spans, METRICS_SPANS_BATCH) ? now_us : spans->due_us;
}

void metrics_spans_finish(struct metrics_spans *spans)
{
	metrics_sender_finish(&spans->sender, spans_transfer, spans);
}

/* ---- its life ---- */

int metrics_spans_new(
	const struct hf_metrics_cfg *cfg, CURLM *multi, struct metrics_spans **ret_spans)
{
	char url[METRICS_URL_MAX];
	struct metrics_spans *spans;

	if (!cfg->reqlog || !metrics_otlp_url(cfg->conf->metrics.otlp,
				    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces", url))
		return 0;
	spans = calloc(1, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	HF_ASSERT(pthread_mutex_init(&spans->mutex, NULL) == 0);
	spans->cfg = cfg;
	if (!metrics_sender_init(&spans->sender, multi, url, "spans")) {
		metrics_spans_free(spans);
		return -ENOMEM;
	}
	spans->delay_ms = metrics_env_ms("OTEL_BSP_SCHEDULE_DELAY", SPANS_DELAY_MS);
	spans->due_us = hf_clock_us() + spans->delay_ms * 1000ULL;
	hf_random_fill(&spans->key, sizeof(spans->key));
	hf_reqlog_trace_set(cfg->reqlog, metrics_spans_put, spans);
	*ret_spans = spans;
	return 0;
}

void metrics_spans_close(struct metrics_spans *spans)
{
	hf_reqlog_trace_set(spans->cfg->reqlog, NULL, NULL);
}

void metrics_spans_free(struct metrics_spans *spans)
{
	if (!spans)
		return;
	metrics_sender_fini(&spans->sender);
	HF_ASSERT(pthread_mutex_destroy(&spans->mutex) == 0);
	free(spans);
}
