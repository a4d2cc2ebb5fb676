/* SPDX-License-Identifier: BSD-3-Clause
 *
 * reqlog, inside: the ring, filters, formats, the heaviest, the file.
 */
#ifndef HF_PRIV_REQLOG
#error "reqlog_priv.h is private to lib/reqlog"
#endif
#ifndef REQLOG_PRIV_H
#define REQLOG_PRIV_H

#include "hf_reqlog.h"
#include "hf_siphash.h"

#define REQLOG_WATCHES_MAX 16
#define REQLOG_LINES_MAX   (1024 * 1024) /* bytes waiting in a watch, or for the file */
#define REQLOG_LINE_MAX    4096          /* of a record in either format, LF included */
#define REQLOG_BATCH       64            /* records that are taken at a time, under the lock */
#define REQLOG_PAUSE_MS    10            /* between two looks at the rings */
#define REQLOG_RETRY_US    1000000       /* of a file that could not be opened */
#define REQLOG_IP_LEN      46            /* of an address as text, with its NUL */

HF_STATIC_ASSERT(sizeof(struct hf_reqlog_record) == 576, "nine cache lines");

static inline struct hf_span reqlog_host(const struct hf_reqlog_record *record)
{
	return (struct hf_span){ record->text, record->host_len };
}

static inline struct hf_span reqlog_agent(const struct hf_reqlog_record *record)
{
	return (struct hf_span){ record->text + record->host_len + record->target_len,
		record->agent_len };
}

/* ---- reqlog_record.c: one worker puts at head, the log's thread takes at tail ---- */

struct hf_reqlog_ring {
	const _Atomic uint32_t *wanted; /* HF_REQLOG_WANT_* */
	_Atomic uint64_t lost;          /* the worker's */
	uint64_t lost_seen;             /* the thread's */
	_Atomic uint32_t head HF_ALIGNED(HF_CACHE_LINE);
	_Atomic uint32_t tail HF_ALIGNED(HF_CACHE_LINE);
	struct hf_reqlog_record record[HF_REQLOG_RING] HF_ALIGNED(HF_CACHE_LINE);
};

/* NULL without memory; to be freed by free(). */
struct hf_reqlog_ring *reqlog_ring_new(const _Atomic uint32_t *wanted);
/* The oldest that wait, in a row in memory; they are the caller's until done is told. */
struct hf_reqlog_record *reqlog_ring_peek(
	struct hf_reqlog_ring *ring, uint32_t max, uint32_t *ret_count);
/* Wipes them. */
void reqlog_ring_done(struct hf_reqlog_ring *ring, uint32_t count);
/* Lost since the last time. */
uint64_t reqlog_ring_lost(struct hf_reqlog_ring *ring);

/* ---- reqlog_filter.c ---- */

#define REQLOG_RANGES_MAX  8
#define REQLOG_PATTERN_MAX 256

struct reqlog_filter {
	uint16_t status_from[REQLOG_RANGES_MAX], status_to[REQLOG_RANGES_MAX];
	uint32_t status_count; /* 0: any */
	uint32_t caches;       /* bits of enum hf_reqlog_cache; 0: any */
	uint64_t slow_us;
	struct hf_ip net;
	uint32_t prefix; /* bits of net; 0: any */
	char method[HF_REQLOG_METHOD_MAX + 1];
	char host[REQLOG_PATTERN_MAX], path[REQLOG_PATTERN_MAX]; /* "": any */
};

int reqlog_filter_parse(const char *text, struct hf_err *err, struct reqlog_filter *ret_filter);
bool reqlog_filter_match(const struct reqlog_filter *filter, const struct hf_reqlog_record *record);
/* '*' is any bytes, '?' any one. */
bool reqlog_glob(const char *pattern, struct hf_span text, bool fold_case);

/* ---- reqlog_text.c: a line, LF at its end; returns its length ---- */

/* real_us: what is added to hf_clock_us to have microseconds since 1970. */
size_t reqlog_text(enum hf_reqlog_format format, const struct hf_reqlog_record *record,
	int64_t real_us, char ret_line[REQLOG_LINE_MAX]);
const char *reqlog_ip_text(const struct hf_ip *ip, char ret_text[REQLOG_IP_LEN]);

/* ---- reqlog_top.c ---- */

#define REQLOG_TOP_ENTRIES 512 /* what has more than 1/512 of all is among them (Space-Saving) */
#define REQLOG_TOP_DECAY   0.8 /* of what was counted, each period */

enum reqlog_top_by { REQLOG_TOP_KEYS, REQLOG_TOP_CLIENTS, REQLOG_TOP_ORIGINS };

struct reqlog_top_entry {
	double count, over, bytes, failed, duration_us;
	uint32_t next; /* of its chain; index + 1 */
	uint32_t at;   /* in the heap */
	uint32_t chain;
	uint16_t key_len;
	char key[HF_REQLOG_TOP_KEY - 1];
};

struct reqlog_top {
	enum reqlog_top_by by;
	struct hf_sipkey hash;
	double seconds; /* that the counts stand for */
	uint64_t since_us;
	uint32_t used;
	uint32_t chain[2 * REQLOG_TOP_ENTRIES]; /* index + 1 of the first */
	uint32_t heap[REQLOG_TOP_ENTRIES];      /* the least on top */
	struct reqlog_top_entry entry[REQLOG_TOP_ENTRIES];
};

/* NULL without memory; to be freed by free(). */
struct reqlog_top *reqlog_top_new(enum reqlog_top_by by, uint64_t now_us);
void reqlog_top_add(struct reqlog_top *top, const struct hf_reqlog_record *record);
uint32_t reqlog_top_rows(
	struct reqlog_top *top, uint64_t now_us, struct hf_reqlog_top ret_rows[HF_REQLOG_TOP_ROWS]);

/* ---- reqlog_file.c: the log's thread ---- */

struct reqlog_file {
	char *path; /* NULL: none */
	enum hf_reqlog_format format;
	int fd; /* -1: not open */
	uint64_t retry_us;
	bool half;  /* what was written last is not a whole line */
	size_t len; /* bytes in buf, of so many lines */
	size_t lines;
	char *buf; /* REQLOG_LINES_MAX, or NULL */
};

/* Takes PATH, which may be NULL. Writes what waits to the file before. */
void reqlog_file_set(struct reqlog_file *file, char *path, enum hf_reqlog_format format);
void reqlog_file_add(
	struct reqlog_file *file, const struct hf_reqlog_record *record, int64_t real_us);
/* Opens it when it is time to, and writes what can be written. */
void reqlog_file_flush(struct reqlog_file *file, uint64_t now_us);
void reqlog_file_close(struct reqlog_file *file);

#endif
