/* SPDX-License-Identifier: BSD-3-Clause
 *
 * OTLP over HTTP with JSON: a report each interval. Reports are cumulative, so of two that wait the
 * older is dropped, and what is tried again is by then the newest one.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hf_log.h"
#include "metrics_priv.h"

struct metrics_otlp {
	const struct hf_metrics_cfg *cfg;
	struct metrics_sender sender;
	uint32_t interval_ms;
	uint64_t start_time_ns;
	uint64_t due_us;
	char *waiting; /* later than what is being sent; NULL: none */
};

static void otlp_report(struct metrics_otlp *otlp)
{
	struct hf_metrics_snap *snap = metrics_snap_take(otlp->cfg);
	char *text =
		snap ? metrics_otlp_json(snap, otlp->cfg->conf->node, otlp->start_time_ns) : NULL;

	free(snap);
	if (!text)
		hf_log(HF_LOG_WARN, "metrics", "OTLP: no memory for a report");
	if (!text || otlp->waiting)
		hf_stat_inc(HF_STAT_OTLP_DROPPED);
	if (!text)
		return;
	free(otlp->waiting);
	otlp->waiting = text;
}

/* The newest there is. */
static void otlp_next(struct metrics_otlp *otlp)
{
	if (!otlp->waiting)
		return;
	if (otlp->sender.sending)
		hf_stat_inc(HF_STAT_OTLP_DROPPED);
	free(otlp->sender.sending);
	otlp->sender.sending = otlp->waiting;
	otlp->waiting = NULL;
}

/* False: there is nothing left to send. */
static bool otlp_transfer(void *arg, uint64_t now_us)
{
	struct metrics_otlp *otlp = arg;

	if (metrics_sender_ready(&otlp->sender, now_us))
		otlp_next(otlp);
	switch (metrics_sender_step(&otlp->sender, now_us)) {
	case METRICS_SENT_NOTHING:
		break;
	case METRICS_SENT_TAKEN:
		hf_stat_inc(HF_STAT_OTLP_TAKEN);
		break;
	case METRICS_SENT_FAILED:
		hf_stat_inc(HF_STAT_OTLP_FAILED);
		break;
	case METRICS_SENT_REFUSED:
		hf_stat_inc(HF_STAT_OTLP_REFUSED);
		break;
	}
	return otlp->sender.sending || otlp->waiting;
}

uint64_t metrics_otlp_step(struct metrics_otlp *otlp, uint64_t now_us)
{
	if (now_us >= otlp->due_us) {
		otlp_report(otlp);
		otlp->due_us = now_us + otlp->interval_ms * 1000ULL;
	}
	if (!otlp_transfer(otlp, now_us) || otlp->sender.under_way)
		return otlp->due_us; /* libcurl's poll ends when it has work */
	return hf_min_u64(otlp->due_us, hf_max_u64(otlp->sender.retry_us, now_us));
}

void metrics_otlp_finish(struct metrics_otlp *otlp)
{
	if (otlp->sender.failures > 0)
		return;
	otlp_report(otlp);
	metrics_sender_finish(&otlp->sender, otlp_transfer, otlp);
}

int metrics_otlp_new(const struct hf_metrics_cfg *cfg, CURLM *multi, struct metrics_otlp **ret_otlp)
{
	char url[METRICS_URL_MAX];
	struct metrics_otlp *otlp;
	struct timespec now;

	if (!metrics_otlp_url(cfg->conf->metrics.otlp, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		    "/v1/metrics", url))
		return 0;
	otlp = calloc(1, sizeof(*otlp));
	if (!otlp)
		return -ENOMEM;
	otlp->cfg = cfg;
	if (!metrics_sender_init(&otlp->sender, multi, url, "reports")) {
		metrics_otlp_free(otlp);
		return -ENOMEM;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	otlp->start_time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	otlp->interval_ms =
		metrics_env_ms("OTEL_METRIC_EXPORT_INTERVAL", cfg->conf->metrics.interval_ms);
	otlp->due_us = hf_clock_us() + otlp->interval_ms * 1000ULL;
	*ret_otlp = otlp;
	return 0;
}

void metrics_otlp_free(struct metrics_otlp *otlp)
{
	if (!otlp)
		return;
	metrics_sender_fini(&otlp->sender);
	free(otlp->waiting);
	free(otlp);
}
