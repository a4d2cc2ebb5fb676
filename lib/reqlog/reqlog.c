/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The log's thread, and the watches.
 */
#include "hf_reqlog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_list.h"
#include "hf_par.h"
#include "hf_stat.h"

#include "reqlog_priv.h"

struct hf_reqlog_watch {
	struct hf_reqlog *log;
	struct hf_list link;
	uint64_t since_us;      /* earlier requests are not its business */
	struct reqlog_top *top; /* NULL: it wants lines */
	struct reqlog_filter filter;
	char *lines, *taken; /* REQLOG_LINES_MAX each: what waits, what control has */
	size_t len;
	uint64_t lost;
};

struct hf_reqlog {
	_Atomic uint32_t wanted HF_ALIGNED(HF_CACHE_LINE);
	uint32_t workers HF_ALIGNED(HF_CACHE_LINE);
	struct hf_reqlog_ring **ring;
	pthread_mutex_t mutex; /* of all below that is not the thread's */
	pthread_cond_t cond;
	bool stop;
	struct hf_list watches;
	uint32_t watch_count;
	bool file_asked;
	char *file_path; /* of the next file; NULL: none */
	enum hf_reqlog_format file_format;
	bool file_wanted;
	hf_reqlog_trace_fn trace_put; /* NULL: no traces are exported */
	void *trace_arg;
	struct reqlog_file file; /* the thread's */
	bool busy; /* the thread's: a ring was filled fast, it is looked at again at once */
};

static void log_lock(struct hf_reqlog *log)
{
	HF_ASSERT(pthread_mutex_lock(&log->mutex) == 0);
}

static void log_unlock(struct hf_reqlog *log)
{
	HF_ASSERT(pthread_mutex_unlock(&log->mutex) == 0);
}

/* What is wanted changed; wakes the thread. Under the lock. */
static void log_want(struct hf_reqlog *log)
{
	unsigned wanted = 0;

	if (log->watch_count > 0 || log->file_wanted)
		wanted |= HF_REQLOG_WANT_ALL;
	if (log->trace_put)
		wanted |= HF_REQLOG_WANT_TRACED;
	atomic_store_explicit(&log->wanted, wanted, memory_order_relaxed);
	HF_ASSERT(pthread_cond_signal(&log->cond) == 0);
}

/* ---- boot ---- */

int hf_reqlog_new(uint32_t workers, struct hf_err *err, struct hf_reqlog **ret_log)
{
	struct hf_reqlog *log = aligned_alloc(HF_CACHE_LINE, sizeof(*log));
	pthread_condattr_t attr;

	if (!log)
		return hf_err_set(err, -ENOMEM, "no memory for the request log");
	memset(log, 0, sizeof(*log));
	hf_list_init(&log->watches);
	log->file.fd = -1;
	HF_ASSERT(pthread_mutex_init(&log->mutex, NULL) == 0);
	HF_ASSERT(pthread_condattr_init(&attr) == 0);
	HF_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	HF_ASSERT(pthread_cond_init(&log->cond, &attr) == 0);
	(void)pthread_condattr_destroy(&attr);
	log->ring = calloc(workers, sizeof(*log->ring));
	for (; log->ring && log->workers < workers; log->workers++) {
		log->ring[log->workers] = reqlog_ring_new(&log->wanted);
		if (!log->ring[log->workers])
			break;
	}
	if (log->workers < workers) {
		hf_reqlog_free(log);
		return hf_err_set(err, -ENOMEM, "no memory for the request log");
	}
	*ret_log = log;
	return 0;
}

void hf_reqlog_free(struct hf_reqlog *log)
{
	if (!log)
		return;
	HF_ASSERT(hf_list_empty(&log->watches));
	for (uint32_t i = 0; i < log->workers; i++)
		free(log->ring[i]);
	free(log->ring);
	free(log->file_path);
	(void)pthread_cond_destroy(&log->cond);
	(void)pthread_mutex_destroy(&log->mutex);
	free(log);
}

struct hf_reqlog_ring *hf_reqlog_ring(struct hf_reqlog *log, uint32_t worker)
{
	HF_ASSERT(worker < log->workers);
	return log->ring[worker];
}

/* ---- control ---- */

void hf_reqlog_file_set(struct hf_reqlog *log, const char *path, enum hf_reqlog_format format)
{
	char *copy = *path ? strdup(path) : NULL;

	HF_ASSERT(copy || !*path);
	log_lock(log);
	free(log->file_path);
	log->file_path = copy;
	log->file_format = format;
	log->file_asked = true;
	log->file_wanted = copy != NULL;
	log_want(log);
	log_unlock(log);
}

void hf_reqlog_trace_set(struct hf_reqlog *log, hf_reqlog_trace_fn put, void *arg)
{
	log_lock(log);
	log->trace_put = put;
	log->trace_arg = arg;
	log_want(log);
	log_unlock(log);
}

static int watch_add(struct hf_reqlog *log, struct hf_reqlog_watch watch, struct hf_err *err,
	struct hf_reqlog_watch **ret_watch)
{
	struct hf_reqlog_watch *copy = malloc(sizeof(*copy));
	bool full = true;

	if (copy) {
		*copy = watch;
		copy->log = log;
		copy->since_us = hf_clock_us();
		log_lock(log);
		full = log->watch_count == REQLOG_WATCHES_MAX;
		if (!full) {
			hf_list_add_tail(&log->watches, &copy->link);
			log->watch_count++;
			log_want(log);
		}
		log_unlock(log);
	}
	if (!full) {
		*ret_watch = copy;
		return 0;
	}
	free(copy);
	free(watch.top);
	free(watch.lines);
	free(watch.taken);
	return copy ? hf_err_set(err, -ENOSPC, "%u look at the request log already",
			      REQLOG_WATCHES_MAX)
		    : hf_err_set(err, -ENOMEM, "no memory");
}

int hf_reqlog_watch_lines(struct hf_reqlog *log, const char *filter, struct hf_err *err,
	struct hf_reqlog_watch **ret_watch)
{
	struct hf_reqlog_watch watch = { .lost = 0 };
	int rc = reqlog_filter_parse(filter, err, &watch.filter);

	if (rc != 0)
		return rc;
	watch.lines = malloc(REQLOG_LINES_MAX);
	watch.taken = malloc(REQLOG_LINES_MAX);
	if (watch.lines && watch.taken)
		return watch_add(log, watch, err, ret_watch);
	free(watch.lines);
	free(watch.taken);
	return hf_err_set(err, -ENOMEM, "no memory");
}

int hf_reqlog_watch_top(struct hf_reqlog *log, const char *by, struct hf_err *err,
	struct hf_reqlog_watch **ret_watch)
{
	static const char *const names[] = { [REQLOG_TOP_KEYS] = "keys",
		[REQLOG_TOP_CLIENTS] = "clients",
		[REQLOG_TOP_ORIGINS] = "origins" };
	struct hf_reqlog_watch watch = { .lost = 0 };
	uint32_t i = 0;

	while (by && i < HF_ARRAY_LEN(names) && strcmp(by, names[i]) != 0)
		i++;
	if (i == HF_ARRAY_LEN(names))
		return hf_err_set(
			err, -EINVAL, "top: \"%.64s\"; allowed: keys, clients, origins", by);
	watch.top = reqlog_top_new((enum reqlog_top_by)i, hf_clock_us());
	if (!watch.top)
		return hf_err_set(err, -ENOMEM, "no memory");
	return watch_add(log, watch, err, ret_watch);
}

void hf_reqlog_watch_free(struct hf_reqlog_watch *watch)
{
	struct hf_reqlog *log = watch->log;

	log_lock(log);
	hf_list_del(&watch->link);
	log->watch_count--;
	log_want(log);
	log_unlock(log);
	free(watch->top);
	free(watch->lines);
	free(watch->taken);
	free(watch);
}

const char *hf_reqlog_lines_take(struct hf_reqlog_watch *watch, size_t *ret_len, uint64_t *ret_lost)
{
	char *lines;

	HF_ASSERT(!watch->top);
	log_lock(watch->log);
	lines = watch->lines;
	watch->lines = watch->taken;
	watch->taken = lines;
	*ret_len = watch->len;
	*ret_lost = watch->lost;
	watch->len = 0;
	watch->lost = 0;
	log_unlock(watch->log);
	return lines;
}

uint32_t hf_reqlog_top_take(
	struct hf_reqlog_watch *watch, struct hf_reqlog_top ret_rows[HF_REQLOG_TOP_ROWS])
{
	uint32_t count;

	HF_ASSERT(watch->top);
	log_lock(watch->log);
	count = reqlog_top_rows(watch->top, hf_clock_us(), ret_rows);
	log_unlock(watch->log);
	return count;
}

/* ---- the thread ---- */

static int64_t run_real_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (int64_t)hf_clock_us();
}

static void run_watch(
	struct hf_reqlog_watch *watch, const struct hf_reqlog_record *record, int64_t real_us)
{
	if (record->begun_us < watch->since_us)
		return;
	if (watch->top) {
		reqlog_top_add(watch->top, record);
		return;
	}
	if (!reqlog_filter_match(&watch->filter, record))
		return;
	if (REQLOG_LINES_MAX - watch->len < REQLOG_LINE_MAX) {
		watch->lost++;
		hf_stat_inc(HF_STAT_REQLOG_LOST);
		return;
	}
	watch->len += reqlog_text(HF_REQLOG_JSON, record, real_us, watch->lines + watch->len);
}

static void run_watches(struct hf_reqlog *log, const struct hf_reqlog_record *record,
	uint32_t count, uint64_t lost, int64_t real_us)
{
	struct hf_list *it;

	log_lock(log);
	hf_list_for_each (it, &log->watches) {
		struct hf_reqlog_watch *watch = HF_CONTAINER_OF(it, struct hf_reqlog_watch, link);

		watch->lost += lost;
		for (uint32_t i = 0; i < count; i++)
			run_watch(watch, &record[i], real_us);
	}
	for (uint32_t i = 0; log->trace_put && i < count; i++)
		if (record[i].traced)
			log->trace_put(log->trace_arg, &record[i], real_us);
	log_unlock(log);
}

/* True: there was a lot. */
static bool run_ring(struct hf_reqlog *log, struct hf_reqlog_ring *ring, int64_t real_us)
{
	struct hf_reqlog_record *record;
	uint32_t count, n = 0;

	/* one who fills it as fast as it is emptied does not keep the others waiting */
	for (; n < HF_REQLOG_RING; n += count) {
		record = reqlog_ring_peek(ring, REQLOG_BATCH, &count);
		run_watches(log, record, count, reqlog_ring_lost(ring), real_us);
		for (uint32_t i = 0; i < count; i++)
			reqlog_file_add(&log->file, &record[i], real_us);
		reqlog_ring_done(ring, count);
		hf_stat_add(HF_STAT_REQLOG_RECORDS, count);
		if (count == 0)
			break;
	}
	return n >= HF_REQLOG_RING / 4;
}

static void run_turn(struct hf_reqlog *log)
{
	int64_t real_us = run_real_us();

	log->busy = false;
	for (uint32_t i = 0; i < log->workers; i++)
		log->busy |= run_ring(log, log->ring[i], real_us);
	reqlog_file_flush(&log->file, hf_clock_us());
}

/* Until there is something to do; takes the next file. False: stop. */
static bool run_wait(struct hf_reqlog *log)
{
	char *path = NULL;
	enum hf_reqlog_format format = HF_REQLOG_JSON;
	bool asked, stop;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += REQLOG_PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	log_lock(log);
	if (!log->busy && !log->stop && !log->file_asked && atomic_load(&log->wanted))
		(void)pthread_cond_timedwait(&log->cond, &log->mutex, &until);
	while (!log->stop && !log->file_asked && !atomic_load(&log->wanted))
		HF_ASSERT(pthread_cond_wait(&log->cond, &log->mutex) == 0);
	asked = log->file_asked;
	if (asked) {
		path = log->file_path;
		format = log->file_format;
		log->file_path = NULL;
		log->file_asked = false;
	}
	stop = log->stop;
	log_unlock(log);
	if (asked) {
		if (log->file.path)
			run_turn(log); /* what was asked for before goes to the file before */
		reqlog_file_set(&log->file, path, format);
	}
	return !stop;
}

void hf_reqlog_run(struct hf_reqlog *log)
{
	while (run_wait(log))
		run_turn(log);
	run_turn(log);
	reqlog_file_close(&log->file);
}

void hf_reqlog_stop(struct hf_reqlog *log)
{
	log_lock(log);
	log->stop = true;
	HF_ASSERT(pthread_cond_signal(&log->cond) == 0);
	log_unlock(log);
}
