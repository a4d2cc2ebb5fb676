/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An origin thread: turns of lib/origin until told to stop.
 */
#include <stdio.h>

#include "app.h"

#define ORIGIN_WAIT_MS 100 /* the longest sleep: the watchdog wants a sign of life */

/* A reload of the configuration. */
static void origin_conf(struct app_origin *origin)
{
	const struct hf_conf *conf = atomic_load_explicit(&origin->app->conf, memory_order_acquire);

	if (conf == atomic_load_explicit(&origin->conf, memory_order_relaxed))
		return;
	hf_origin_conf_set(origin->origin, conf);
	atomic_store_explicit(&origin->conf, conf, memory_order_release);
}

void *app_origin_main(void *arg)
{
	struct app_origin *origin = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "origin%u", origin->index);
	(void)pthread_setname_np(pthread_self(), name);
	hf_thread_enter(HF_THREAD_ORIGIN, name);
	while (!atomic_load(&origin->app->origin_stop)) {
		atomic_store_explicit(&origin->beat_us, hf_clock_us(), memory_order_relaxed);
		origin_conf(origin);
		hf_origin_mode_set(origin->origin,
			atomic_load_explicit(&origin->app->mode, memory_order_relaxed));
		hf_origin_step(origin->origin, ORIGIN_WAIT_MS);
	}
	return NULL;
}
