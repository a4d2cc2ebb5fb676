/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What lib/metrics asks the application, from threads of its own: what changes here are atomics
 * only, but for what the origin threads are asked.
 */
#include <stdio.h>
#include <unistd.h>

#include "app.h"
#include "hf_metrics.h"
#include "hf_hist.h"
#include "hf_stat.h"

#define GAUGE(name_, unit_, value_, help_)                                                         \
	hf_metrics_add(snap, &(struct hf_metrics_sample){ .name = name_,                           \
				     .unit = unit_,                                                \
				     .help = help_,                                                \
				     .kind = HF_METRICS_GAUGE,                                     \
				     .value = (double)(value_) })

/* Counters that each worker has for itself, too. */
static const struct {
	enum hf_stat stat;
	const char *name, *help;
} metrics_of_worker[] = {
	{ HF_STAT_LOOPS, "worker_loops_total", "Turns of each worker's poll loop" },
	{ HF_STAT_LOOPS_IDLE, "worker_loops_idle_total",
		"Turns of each worker's poll loop that found nothing to do" },
	{ HF_STAT_RX_PACKETS, "worker_rx_packets_total", "Frames that each worker received" },
	{ HF_STAT_HTTP_REQUESTS, "worker_http_requests_total", "Requests of each worker" },
};

/* Of this process, in bytes; 0: not to be known. */
static uint64_t metrics_resident(void)
{
	FILE *in = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!in)
		return 0;
	if (fscanf(in, "%*u %llu", &pages) != 1)
		pages = 0;
	(void)fclose(in);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void metrics_label(struct hf_metrics_sample *sample, uint32_t worker)
{
	(void)snprintf(sample->labels, sizeof(sample->labels), "worker=\"%u\"", worker);
}

/* How busy each worker is: what idle turns take is no load. */
static void metrics_workers_busy(const struct app *app, struct hf_metrics_snap *snap)
{
	for (uint32_t w = 0; w < app->workers; w++) {
		const struct hf_hist_cells *hists = atomic_load(&app->worker[w].hists);
		struct hf_metrics_sample sample = {
			.name = "worker_busy_seconds_total",
			.unit = "seconds",
			.help = "Time of each worker in turns that found something to do",
			.kind = HF_METRICS_COUNTER,
		};

		if (hists)
			sample.count = atomic_load_explicit(
				&hists[HF_HIST_LOOP_BUSY].sum, memory_order_relaxed);
		metrics_label(&sample, w);
		hf_metrics_add(snap, &sample);
	}
}

static void metrics_workers(const struct app *app, struct hf_metrics_snap *snap)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(metrics_of_worker); i++) {
		for (uint32_t w = 0; w < app->workers; w++) {
			const struct hf_stat_block *block = atomic_load(&app->worker[w].stats);
			struct hf_metrics_sample sample = {
				.name = metrics_of_worker[i].name,
				.unit = "",
				.help = metrics_of_worker[i].help,
				.kind = HF_METRICS_COUNTER,
			};

			if (block)
				sample.count = atomic_load_explicit(
					&block->stat[metrics_of_worker[i].stat],
					memory_order_relaxed);
			metrics_label(&sample, w);
			hf_metrics_add(snap, &sample);
		}
	}
	for (uint32_t w = 0; w < app->workers; w++) {
		uint64_t beat_us = atomic_load(&app->worker[w].beat_us), now_us = hf_clock_us();
		struct hf_metrics_sample sample = {
			.name = "worker_turn_age_seconds",
			.unit = "seconds",
			.help = "Time since each worker began its last turn",
			.kind = HF_METRICS_GAUGE,
			.value = now_us > beat_us ? (double)(now_us - beat_us) / 1e6 : 0,
		};

		metrics_label(&sample, w);
		hf_metrics_add(snap, &sample);
	}
}

static void metrics_build(struct hf_metrics_snap *snap)
{
	hf_metrics_add(snap, &(struct hf_metrics_sample){ .name = "build_info",
				     .unit = "",
				     .help = "1, with the version as a label",
				     .kind = HF_METRICS_GAUGE,
				     .labels = "version=\"" HF_VERSION "\"",
				     .value = 1 });
}

void app_metrics_gauges(void *arg, struct hf_metrics_snap *snap)
{
	struct app *app = arg;
	uint32_t mode = atomic_load(&app->mode);

	metrics_build(snap);
	GAUGE("uptime_seconds", "seconds", (double)(hf_clock_us() - app->started_us) / 1e6,
		"Time since start");
	GAUGE("draining", "", atomic_load(&app->draining), "1 while it drains");
	GAUGE("state_loaded", "", atomic_load(&app->has_state),
		"1 when there is a state: origins and routes");
	GAUGE("state_expired", "", (mode & HF_MODE_EXPIRED) != 0,
		"1 while the state is older than control_plane.state_max_age");
	GAUGE("cache_memory_bytes", "bytes", app->conf_boot->cache.memory,
		"Memory that stored responses may take");
	GAUGE("resident_memory_bytes", "bytes", metrics_resident(),
		"Memory of the process, without hugepages");
	metrics_workers(app, snap);
	metrics_workers_busy(app, snap);
	app_metrics_origins(app, snap);
}

bool app_metrics_healthy(void *arg, struct hf_err *why)
{
	const struct app *app = arg;
	uint32_t stuck = atomic_load(&app->threads_stuck);

	if (stuck > 0)
		(void)hf_err_set(why, 0, "%u %s no turns", stuck,
			stuck == 1 ? "thread takes" : "threads take");
	return stuck == 0;
}

bool app_metrics_ready(void *arg, struct hf_err *why)
{
	const struct app *app = arg;

	for (uint32_t i = 0; i < app->workers; i++) {
		if (atomic_load(&app->worker[i].beat_us) == 0) {
			(void)hf_err_set(why, 0, "worker %u does not listen yet", i);
			return false;
		}
	}
	if (atomic_load(&app->draining))
		(void)hf_err_set(why, 0, "draining");
	else if (!atomic_load(&app->has_state))
		(void)hf_err_set(why, 0, "no state: no origins and routes are known");
	else
		return true;
	return false;
}
