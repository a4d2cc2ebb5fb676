/* SPDX-License-Identifier: BSD-3-Clause
 *
 * reqlog - the request log: a record of each request from the workers to whoever looks, and to a
 * file.
 *
 * What      While somebody looks, a worker makes a record of each request and leaves it in its own
 *           ring. The log's thread takes them from there: for the watches (`holdfastctl log`,
 *           `top`) and the file. While traces are exported it does so for each sampled request too,
 *           for their exporter.
 * Picture
 *      worker -> ring (one each) -> log thread
 *                                       |--> watch: filter -> lines -> control -> a client of ctl
 *                                       |--> watch: the heaviest    -> control -> a client of ctl
 *                                       |--> file: lines -> write(2)
 *                                       '--> traces: sampled ones   -> lib/metrics
 * Threads   new, free: boot. wanted, put: the ring's worker. run: the log's thread. All else:
 *           control.
 * Promises  L1 while nobody looks and no traces are exported a request costs the load of one word.
 *           L2 a worker never waits, makes no system call and takes no memory: what finds a ring
 *           full is lost and counted.  L3 whoever is slow, a watch or a disk, loses lines, which
 *           are counted, and holds up nobody.  L4 values of secret parameters (hf_http_redact) are
 *           in no record, and no field of a request but Host, User-Agent and, of a sampled one,
 *           traceparent.  L5 whatever bytes a client sends, a line of the log is one line, and a
 *           string in it stays one.  L6 a record is wiped where it was as soon as it is taken.
 * Limits    HF_REQLOG_RING records a worker; 16 watches; 1 MiB of lines waiting in each, and for
 *           the file. Host, target and agent are cut to 392 bytes together. Lines of several
 *           workers are not sorted.
 * Inside    reqlog_priv.h; reqlog_record.c (a record, the ring), reqlog_filter.c, reqlog_text.c
 *           (formats), reqlog_top.c (the heaviest: Metwally et al., Space-Saving), reqlog_file.c,
 *           reqlog.c (the thread)
 */
#ifndef HF_REQLOG_H
#define HF_REQLOG_H

#include <stdatomic.h>

#include "hf_base.h"
#include "hf_http.h"
#include "hf_tcp.h"

#define HF_REQLOG_RING       2048 /* records; a power of two */
#define HF_REQLOG_METHOD_MAX 16
#define HF_REQLOG_ORIGIN_MAX 48
#define HF_REQLOG_HOST_MAX   128
#define HF_REQLOG_AGENT_MAX  96
#define HF_REQLOG_TEXT_MAX   392
#define HF_REQLOG_TOP_ROWS   20
#define HF_REQLOG_TOP_KEY    (HF_REQLOG_TEXT_MAX + 1)

enum hf_reqlog_cache {
#define X(id, name) HF_REQLOG_##id,
#include "tbl/cache_classes.h"
#undef X
	HF_REQLOG_CACHE_COUNT
};

extern const char *const hf_reqlog_cache_names[HF_REQLOG_CACHE_COUNT];

enum hf_reqlog_format { HF_REQLOG_JSON, HF_REQLOG_COMBINED };

/* Of a sampled request: what its spans say beside the rest of its record. */
struct hf_reqlog_trace {
	struct hf_http_trace parent; /* whose trace it is; without HAS_PARENT its span is 0 */
	uint8_t span[HF_HTTP_TRACE_SPAN_LEN]; /* the request's */
	uint8_t fetch
		[HF_HTTP_TRACE_SPAN_LEN]; /* of the fetch, if this request's went to an origin */
	bool has_parent, has_ttl, fetched;
	uint32_t fetch_us; /* FETCHED: from begun_us to the head of the origin's answer */
	int64_t ttl_ms; /* HAS_TTL: that was left of the answer's lifetime; below 0 it was stale */
	uint64_t key_hash; /* the table's; 0: it came to no key */
};

struct hf_reqlog_record {
	uint64_t begun_us; /* hf_clock_us when the head was whole */
	uint64_t
		duration_us; /* until the last byte was queued for the client, or it was given up */
	uint64_t bytes;      /* of the body, queued */
	struct hf_ip client;
	uint16_t port;
	uint16_t status; /* 0: none was sent */
	uint8_t cache;   /* enum hf_reqlog_cache */
	bool complete;   /* the answer was queued whole */
	bool cut;        /* there was more of host or target */
	uint8_t minor;   /* of HTTP/1 */
	uint8_t method_len, agent_len;
	bool traced; /* there are spans to be made of it */
	uint16_t host_len, target_len;
	char method[HF_REQLOG_METHOD_MAX];
	char origin[HF_REQLOG_ORIGIN_MAX]; /* GROUP/ID that was asked, with a NUL; "": none */
	struct hf_reqlog_trace trace;      /* TRACED */
	char text[HF_REQLOG_TEXT_MAX];     /* host, target, agent */
};

static inline struct hf_span hf_reqlog_target(const struct hf_reqlog_record *record)
{
	return (struct hf_span){ record->text + record->host_len, record->target_len };
}

struct hf_reqlog;
struct hf_reqlog_ring;
struct hf_reqlog_watch;

/* ---- boot ---- */

int hf_reqlog_new(uint32_t workers, struct hf_err *err, struct hf_reqlog **ret_log) HF_MUST_CHECK;
/* The thread has ended; NULL is fine. */
void hf_reqlog_free(struct hf_reqlog *log);
struct hf_reqlog_ring *hf_reqlog_ring(struct hf_reqlog *log, uint32_t worker);

/* ---- a worker ---- */

enum hf_reqlog_want {
	HF_REQLOG_WANT_ALL = 1 << 0,    /* somebody looks */
	HF_REQLOG_WANT_TRACED = 1 << 1, /* traces are exported */
};

/* HF_REQLOG_WANT_* bits. */
unsigned hf_reqlog_wanted(const struct hf_reqlog_ring *ring);
/* Who asks; all else is zero. */
void hf_reqlog_record_init(struct hf_reqlog_record *record, const struct hf_ip *client,
	uint16_t port, uint64_t now_us);
/* What is asked, as it came, redacted and cut. */
void hf_reqlog_record_request(struct hf_reqlog_record *record, const struct hf_http_req *http);
/* Copies the record. */
void hf_reqlog_put(struct hf_reqlog_ring *ring, const struct hf_reqlog_record *record);
/* After put: nothing of it stays. */
void hf_reqlog_record_wipe(struct hf_reqlog_record *record);

/* ---- the log's thread ---- */

/* Until stop; then what the rings hold is written. */
void hf_reqlog_run(struct hf_reqlog *log);
void hf_reqlog_stop(struct hf_reqlog *log);

/* ---- control ---- */

/* From now on to this file, opened anew (it is appended to, and made with mode 0640); "" is none. A
 * file that cannot be opened is tried again every second, one that takes nothing more costs
 * lines. */
void hf_reqlog_file_set(struct hf_reqlog *log, const char *path, enum hf_reqlog_format format);

/* From now on each record that is TRACED goes to PUT, on the log's thread; NULL: to nobody, and
 * none is under way when this returns. real_us: what is added to hf_clock_us to have microseconds
 * since 1970. */
typedef void (*hf_reqlog_trace_fn)(
	void *arg, const struct hf_reqlog_record *record, int64_t real_us);
void hf_reqlog_trace_set(struct hf_reqlog *log, hf_reqlog_trace_fn put, void *arg);

/* Requests whose head comes from now on and that FILTER names: words KEY=VALUE, all of which must
 * hold; none is all requests. -EINVAL with what is wrong and what is allowed, -ENOMEM, -ENOSPC. */
int hf_reqlog_watch_lines(struct hf_reqlog *log, const char *filter, struct hf_err *err,
	struct hf_reqlog_watch **ret_watch) HF_MUST_CHECK;
/* BY: "keys", "clients" or "origins", NULL for keys. */
int hf_reqlog_watch_top(struct hf_reqlog *log, const char *by, struct hf_err *err,
	struct hf_reqlog_watch **ret_watch) HF_MUST_CHECK;
void hf_reqlog_watch_free(struct hf_reqlog_watch *watch);

/* The lines since the last take, each a JSON object and LF, and how many are missing. They are
 * readable until the next take. */
const char *hf_reqlog_lines_take(
	struct hf_reqlog_watch *watch, size_t *ret_len, uint64_t *ret_lost);

struct hf_reqlog_top {
	double requests_s, bytes_s;  /* each second, the last ones weigh most */
	double at_most_over;         /* of requests_s: how much it may be too high */
	double failed_s;             /* answers 5xx */
	double mean_us;              /* of durations */
	char key[HF_REQLOG_TOP_KEY]; /* HOST and target, address, or GROUP/ID */
};

/* The heaviest first; returns how many. Each call is the end of a period, of about a second. */
uint32_t hf_reqlog_top_take(
	struct hf_reqlog_watch *watch, struct hf_reqlog_top ret_rows[HF_REQLOG_TOP_ROWS]);

#endif
