/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The reclaim thread: grace periods in batches, so that origin threads need not wait for them and
 * lcores are not slowed by a storm of them.
 */
#include <poll.h>
#include <time.h>

#include "app.h"

#define RECLAIM_WAIT_MS  100
#define RECLAIM_BATCH_NS 1000000 /* between two grace periods: what retires meanwhile shares one */

void *app_reclaim_main(void *arg)
{
	static const struct timespec pause = { .tv_nsec = RECLAIM_BATCH_NS };
	struct app *app = arg;
	struct hf_waker *waker = hf_cache_reclaim_waker(app->cache);

	(void)pthread_setname_np(pthread_self(), "reclaim");
	hf_thread_enter(HF_THREAD_RECLAIM, "reclaim");
	while (!atomic_load(&app->reclaim_stop)) {
		struct pollfd fd = { .fd = waker->fd, .events = POLLIN };

		(void)hf_auth_reclaim_step(app->auth);
		hf_waker_sleep_begin(waker);
		if (!hf_cache_reclaim_step(app->cache))
			(void)poll(&fd, 1, RECLAIM_WAIT_MS);
		hf_waker_sleep_end(waker);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}
