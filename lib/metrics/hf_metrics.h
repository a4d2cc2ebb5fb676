/* SPDX-License-Identifier: BSD-3-Clause
 *
 * metrics - what lib/stat counts, told to who asks (lib/admin) and to who is named (StatsD, OTLP).
 *
 * What      Resources of the admin listener: /metrics (Prometheus text), /healthz, /readyz,
 *           /dashboard (dashboard/: one page that draws what /metrics says). StatsD and OTLP/HTTP
 *           get a report each interval, if configuration or environment name a receiver. Each
 *           renders a snapshot. OTLP/HTTP gets spans of sampled requests, too.
 * Picture
 *      lib/stat --+                    +-> metrics_prom    -> metrics_pages   (lib/admin's thread)
 *                 +-> metrics_snap ----+-> metrics_statsd --+
 *      gauges() --+                    +-> metrics_otlp   --+-> metrics_push  (one thread)
 *      lib/reqlog's thread: traced -> metrics_spans: queue --+
 * Threads   boot: new, free. The callbacks come from both threads, also at the same time. Spans
 *           come from lib/reqlog's.
 * Promises  M1 what is not asked for has no thread and no socket.  M2 whatever a receiver does, no
 *           thread waits for it but the one that sends, and memory is bounded.  M3 counters reach
 *           StatsD as differences whose sum is the counter: what could not be sent is in a later
 *           one.  M4 names are the same everywhere: `holdfast_` and the name in lib/stat's tables,
 *           unless that stands alone.
 * Limits    Two reports wait for OTLP. Spans of 2048 requests wait, then the oldest go and are
 *           counted; 512 spans are sent at a time.
 * Tests     tests/unit/metrics, tests/system/test_metrics.py
 */
#ifndef HF_METRICS_H
#define HF_METRICS_H

#include "hf_admin.h"
#include "hf_base.h"
#include "hf_conf.h"
#include "hf_reqlog.h"

#define HF_METRICS_LABELS_MAX 128
#define HF_METRICS_OWN_MAX    1024 /* samples that the application adds */

struct hf_metrics;
struct hf_metrics_snap;

struct hf_metrics_cfg {
	const struct hf_conf *conf; /* the first one; lives on */
	/* What lib/stat does not know: calls hf_metrics_add. */
	void (*gauges)(void *arg, struct hf_metrics_snap *snap);
	/* False with the reason. */
	bool (*healthy)(void *arg, struct hf_err *why);
	bool (*ready)(void *arg, struct hf_err *why);
	void *arg;
	struct hf_reqlog
		*reqlog; /* where sampled requests are told of; NULL: no traces. Lives on */
};

/* boot: begins. A receiver that is not there is no error. */
int hf_metrics_new(const struct hf_metrics_cfg *cfg, struct hf_err *err,
	struct hf_metrics **ret_metrics) HF_MUST_CHECK;
/* Ends the thread, after a last report. NULL is nothing. */
void hf_metrics_free(struct hf_metrics *metrics);

#define HF_METRICS_RESOURCES 4
/* boot: what the admin listener has of it; lives as long as METRICS. */
void hf_metrics_resources(
	struct hf_metrics *metrics, struct hf_admin_resource ret_resource[HF_METRICS_RESOURCES]);

enum hf_metrics_kind { HF_METRICS_COUNTER, HF_METRICS_GAUGE, HF_METRICS_HISTOGRAM };

struct hf_metrics_sample {
	const char *name; /* behind "holdfast_" unless it stands alone */
	const char *unit, *help;
	bool bare; /* the name stands alone */
	enum hf_metrics_kind kind;
	char labels[HF_METRICS_LABELS_MAX]; /* key="value",... as Prometheus writes them; "" none */
	uint64_t count; /* COUNTER, of seconds nanoseconds; HISTOGRAM: enum hf_hist */
	double value;   /* GAUGE */
};

/* gauges(): the samples of a family one after the other. NAME, UNIT and HELP live on. */
void hf_metrics_add(struct hf_metrics_snap *snap, const struct hf_metrics_sample *sample);

#endif
