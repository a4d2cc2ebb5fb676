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
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hf_hist.h"
#include "hf_metrics.h"
#include "hf_siphash.h"
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

/* ---- metrics_otlp_send.c ---- */

#define METRICS_URL_MAX 2048

/* What OTLP is sent to; TARGET is metrics.otlp. OWN: the variable that holds the whole URL, PATH:
 * what is behind the others. False: there is no receiver. */
bool metrics_otlp_url(const char *target, const char *own, const char *path, char *ret_url);
/* Milliseconds from the variable NAME, or DEF. */
uint32_t metrics_env_ms(const char *name, uint32_t def);
/* The pairs of OTEL_EXPORTER_OTLP_HEADERS as lines; false: not of that form, and *lines is
 * unchanged. */
bool metrics_otlp_headers(const char *pairs, struct curl_slist **lines);

struct metrics_sender {
	CURLM *multi; /* the thread's */
	CURL *easy;
	struct curl_slist *lines;
	uint32_t timeout_ms;
	const char *what; /* for the log */
	char *sending;    /* NULL: nothing to send; freed when it was taken or refused */
	bool under_way, ended;
	CURLcode code;     /* ENDED */
	uint32_t failures; /* in a row */
	uint64_t retry_us;
	uint64_t rand;
};

enum metrics_sent {
	METRICS_SENT_NOTHING, /* or it is under way */
	METRICS_SENT_TAKEN,
	METRICS_SENT_FAILED, /* to be tried again */
	METRICS_SENT_REFUSED,
};

/* Of zeroes. False: no memory; fini is due all the same. */
bool metrics_sender_init(struct metrics_sender *sender, CURLM *multi, const char *url,
	const char *what) HF_MUST_CHECK;
void metrics_sender_fini(struct metrics_sender *sender);
/* May SENDING be put in its place, or be another? */
bool metrics_sender_ready(const struct metrics_sender *sender, uint64_t now_us);
/* Begins, goes on, ends. */
enum metrics_sent metrics_sender_step(struct metrics_sender *sender, uint64_t now_us);
/* Steps until one says false, a second has passed or the receiver fails. */
void metrics_sender_finish(
	struct metrics_sender *sender, bool (*step)(void *arg, uint64_t now_us), void *arg);

/* ---- metrics_otlp.c ---- */

struct metrics_otlp;

int metrics_otlp_new(const struct hf_metrics_cfg *cfg, CURLM *multi,
	struct metrics_otlp **ret_otlp) HF_MUST_CHECK;
void metrics_otlp_free(struct metrics_otlp *otlp);
uint64_t metrics_otlp_step(struct metrics_otlp *otlp, uint64_t now_us);
/* A last report, unless the receiver is failing; waits a second at most. */
void metrics_otlp_finish(struct metrics_otlp *otlp);

/* ---- metrics_otlp_json.c ---- */

/* An ExportMetricsServiceRequest in the JSON mapping of proto3; to be freed. NULL without
 * memory. */
char *metrics_otlp_json(
	const struct hf_metrics_snap *snap, const char *node, uint64_t start_time_ns);

/* ---- metrics_spans.c ---- */

#define METRICS_SPANS_QUEUE 2048 /* requests that wait */
#define METRICS_SPANS_BATCH 256  /* requests at a time, of two spans at most */

struct metrics_spans;

/* What is told of a traced request: one span, or two with the fetch. */
struct metrics_span {
	uint64_t begun_us, duration_us; /* begun: since 1970 */
	struct hf_reqlog_trace trace;
	uint16_t status, path_len;
	uint8_t cache, method_len;
	char method[HF_REQLOG_METHOD_MAX];
	char origin[HF_REQLOG_ORIGIN_MAX];
	char path[HF_REQLOG_TEXT_MAX]; /* without the query */
};

int metrics_spans_new(const struct hf_metrics_cfg *cfg, CURLM *multi,
	struct metrics_spans **ret_spans) HF_MUST_CHECK;
/* No more come. Before the thread ends. */
void metrics_spans_close(struct metrics_spans *spans);
void metrics_spans_free(struct metrics_spans *spans);
/* The log's thread: an hf_reqlog_trace_fn. */
void metrics_spans_put(void *spans, const struct hf_reqlog_record *record, int64_t real_us);
uint64_t metrics_spans_step(struct metrics_spans *spans, uint64_t now_us);
/* Sends what waits, unless the receiver is failing; a second at most. */
void metrics_spans_finish(struct metrics_spans *spans);

/* ---- metrics_spans_json.c ---- */

/* An ExportTraceServiceRequest; to be freed. NULL without memory. KEY: of the hashes of cache
 * keys. */
char *metrics_spans_json(const struct metrics_span *span, uint32_t count, const char *node,
	const struct hf_sipkey *key);

/* ---- metrics_otlp_json.c, for both ---- */

json_t *metrics_json_u64(uint64_t value);
json_t *metrics_json_attribute(const char *key, const char *value);
/* {KIND: [{"resource": this node, SCOPES: [{"scope": ..., NAME: LIST}]}]} as text; takes LIST. */
char *metrics_json_document(
	const char *kind, const char *scopes, const char *name, const char *node, json_t *list);

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
