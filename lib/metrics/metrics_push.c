/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The thread of the exporters that send: it sleeps in libcurl's poll until one of them is due.
 */
#include <errno.h>
#include <resolv.h>
#include <stdlib.h>

#include "hf_par.h"
#include "metrics_priv.h"

#define PUSH_SLEEP_MAX_US 60000000

struct metrics_push {
	struct metrics_statsd *statsd; /* NULL: not configured */
	struct metrics_otlp *otlp;     /* the same */
	struct metrics_spans *spans;   /* the same */
	CURLM *multi;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
};

static void *push_main(void *arg)
{
	struct metrics_push *push = arg;

	hf_thread_enter(HF_THREAD_METRICS, "metrics");
	if (res_init() ==
		0) { /* this thread's: a name server that is silent must not hold up the end */
		_res.retrans = 1;
		_res.retry = 1;
	}
	while (!atomic_load(&push->stop)) {
		uint64_t now_us = hf_clock_us(), due_us = now_us + PUSH_SLEEP_MAX_US;

		if (push->statsd)
			due_us = hf_min_u64(due_us, metrics_statsd_step(push->statsd, now_us));
		if (push->otlp)
			due_us = hf_min_u64(due_us, metrics_otlp_step(push->otlp, now_us));
		if (push->spans)
			due_us = hf_min_u64(due_us, metrics_spans_step(push->spans, now_us));
		now_us = hf_clock_us();
		if (due_us > now_us)
			(void)curl_multi_poll(
				push->multi, NULL, 0, (int)((due_us - now_us) / 1000 + 1), NULL);
	}
	if (push->statsd)
		metrics_statsd_send(push->statsd);
	if (push->otlp)
		metrics_otlp_finish(push->otlp);
	if (push->spans)
		metrics_spans_finish(push->spans);
	return NULL;
}

/* All NULL is fine. */
static int push_receivers(struct metrics_push *push, const struct hf_metrics_cfg *cfg)
{
	int rc = metrics_statsd_new(cfg, &push->statsd);

	if (rc == 0)
		rc = metrics_otlp_new(cfg, push->multi, &push->otlp);
	return rc ? rc : metrics_spans_new(cfg, push->multi, &push->spans);
}

int metrics_push_new(
	const struct hf_metrics_cfg *cfg, struct hf_err *err, struct metrics_push **ret_push)
{
	struct metrics_push *push = calloc(1, sizeof(*push));
	int rc = push ? 0 : -ENOMEM;

	if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(push);
		rc = -ENOMEM;
	}
	if (rc)
		return hf_err_set(err, rc, "metrics: no memory");
	push->multi = curl_multi_init();
	rc = push->multi ? push_receivers(push, cfg) : -ENOMEM;
	if (rc == 0 && (push->statsd || push->otlp || push->spans)) {
		rc = -pthread_create(&push->thread, NULL, push_main, push);
		push->running = rc == 0;
	}
	if (!push->running) {
		metrics_push_free(push);
		return rc ? hf_err_set(err, rc, "metrics: no thread or memory to be had") : 0;
	}
	(void)pthread_setname_np(push->thread, "metrics");
	*ret_push = push;
	return 0;
}

void metrics_push_free(struct metrics_push *push)
{
	if (!push)
		return;
	if (push->spans)
		metrics_spans_close(push->spans);
	if (push->running) {
		atomic_store(&push->stop, true);
		(void)curl_multi_wakeup(push->multi);
		HF_ASSERT(pthread_join(push->thread, NULL) == 0);
	}
	metrics_statsd_free(push->statsd);
	metrics_otlp_free(push->otlp);
	metrics_spans_free(push->spans);
	if (push->multi)
		(void)curl_multi_cleanup(push->multi);
	curl_global_cleanup();
	free(push);
}
