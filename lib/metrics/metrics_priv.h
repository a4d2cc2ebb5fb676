/* SPDX-License-Identifier: BSD-3-Clause
 *
 * metrics_priv - what the files of metrics share.
 */
#ifndef HF_PRIV_METRICS
#error "metrics_priv.h is private to lib/metrics"
#endif
#ifndef METRICS_PRIV_H
#define METRICS_PRIV_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hf_hist.h"
#include "hf_metrics.h"
#include "hf_stat.h"

#define METRICS_SAMPLES_MAX                                                                        \
	((size_t)HF_STAT_COUNT + HF_DROP_COUNT + HF_HIST_COUNT + HF_METRICS_OWN_MAX)

/* Everything at about one time; families are contiguous. */
struct hf_metrics_snap {
	uint64_t time_ns; /* Unix time */
	size_t count;
	struct hf_metrics_sample sample[METRICS_SAMPLES_MAX];
	struct hf_hist_view view[HF_HIST_COUNT];
};

/* ---- metrics_snap.c ---- */

/* NULL without memory; to be freed. */
struct hf_metrics_snap *metrics_snap_take(const struct hf_metrics_cfg *cfg);
/* What precedes its name. */
const char *metrics_prefix(const struct hf_metrics_sample *sample);
/* What a counter of UNIT holds, as text. */
void metrics_count_write(uint64_t count, const char *unit, FILE *out);
/* The next pair of *labels, its value unescaped and cut; moves behind it. False at the end. */
struct metrics_label {
	char key[32], value[HF_METRICS_LABELS_MAX];
};
bool metrics_label_next(const char **labels, struct metrics_label *ret_label);

/* ---- metrics_prom.c ---- */

void metrics_prom_write(const struct hf_metrics_snap *snap, FILE *out);

/* ---- metrics_pages.c ---- */

/* Their arg: a const struct hf_metrics_cfg. */
extern const struct hf_admin_resource metrics_pages[HF_METRICS_RESOURCES];

/* ---- metrics_statsd.c ---- */

struct metrics_statsd;

/* NULL: no receiver is named. -ENOMEM, -EINVAL (told to the log). */
int metrics_statsd_new(
	const struct hf_metrics_cfg *cfg, struct metrics_statsd **ret_statsd) HF_MUST_CHECK;
void metrics_statsd_free(struct metrics_statsd *statsd);
/* Sends if it is time to. Returns when it is next. */
uint64_t metrics_statsd_step(struct metrics_statsd *statsd, uint64_t now_us);
void metrics_statsd_send(struct metrics_statsd *statsd);

/* False: not sent. */
typedef bool (*metrics_statsd_fn)(void *arg, const char *packet, size_t len);
/* What changed since PREV (NULL: the start) in packets for SEND. SNAP forgets what was not sent. */
void metrics_statsd_write(struct hf_metrics_snap *snap, const struct hf_metrics_snap *prev,
	const char *node, metrics_statsd_fn send, void *arg);

/* ---- metrics_otlp.c ---- */

struct metrics_otlp;

int metrics_otlp_new(const struct hf_metrics_cfg *cfg, CURLM *multi,
	struct metrics_otlp **ret_otlp) HF_MUST_CHECK;
void metrics_otlp_free(struct metrics_otlp *otlp);
uint64_t metrics_otlp_step(struct metrics_otlp *otlp, uint64_t now_us);
/* A last report, unless the receiver is failing; waits a second at most. */
void metrics_otlp_finish(struct metrics_otlp *otlp);

/* The pairs of OTEL_EXPORTER_OTLP_HEADERS as lines; false: not of that form, and *lines is unchanged. */
bool metrics_otlp_headers(const char *pairs, struct curl_slist **lines);

/* ---- metrics_otlp_json.c ---- */

/* An ExportMetricsServiceRequest in the JSON mapping of proto3; to be freed. NULL without memory. */
char *metrics_otlp_json(
	const struct hf_metrics_snap *snap, const char *node, uint64_t start_time_ns);

/* ---- dashboard/, made one page by the build ---- */

extern const unsigned char metrics_dashboard[];
extern const size_t metrics_dashboard_len;

/* ---- metrics_push.c ---- */

struct metrics_push;

/* NULL: there is no receiver. */
int metrics_push_new(const struct hf_metrics_cfg *cfg, struct hf_err *err,
	struct metrics_push **ret_push) HF_MUST_CHECK;
void metrics_push_free(struct metrics_push *push);

#endif
