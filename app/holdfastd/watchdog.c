/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Tells of threads that stand still: each writes the time of its last turn, this compares.
 */
#include "app.h"
#include "hf_log.h"
#include "hf_stat.h"

/* One complaint for each time that a thread gets stuck; another when it goes on. True while it
 * is. */
static bool watchdog_look(const char *what, uint32_t index, uint64_t beat_us, uint64_t now_us,
	uint64_t limit_us, uint64_t *reported_us)
{
	if (beat_us == 0) /* has not begun */
		return false;
	if (*reported_us && *reported_us != beat_us) {
		hf_log(HF_LOG_WARN, "watchdog", "%s %u goes on after %llu ms", what, index,
			(unsigned long long)(beat_us - *reported_us) / 1000);
		*reported_us = 0;
	}
	if (*reported_us || now_us < beat_us + limit_us)
		return *reported_us != 0;
	*reported_us = beat_us;
	hf_stat_inc(HF_STAT_INTERNAL_ERRORS_STUCK);
	hf_log(HF_LOG_ERROR, "watchdog", "%s %u is stuck: no turn for %llu ms", what, index,
		(unsigned long long)(now_us - beat_us) / 1000);
	return true;
}

void app_watchdog(struct app *app, uint64_t now_us)
{
	uint64_t limit_us = app->conf->runtime.watchdog_ms * 1000ULL;
	uint32_t stuck = 0;

	for (uint32_t i = 0; i < app->workers; i++) {
		struct app_worker *worker = &app->worker[i];

		stuck += watchdog_look("worker", i, atomic_load(&worker->beat_us), now_us, limit_us,
			&worker->reported_us);
	}
	for (uint32_t i = 0; i < app->origins; i++) {
		struct app_origin *origin = &app->origin[i];

		stuck += watchdog_look("origin thread", i, atomic_load(&origin->beat_us), now_us,
			limit_us, &origin->reported_us);
	}
	atomic_store(&app->threads_stuck, stuck);
}
