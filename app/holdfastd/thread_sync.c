/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The sync thread: asks the control plane until told to stop.
 */
#include "app.h"

void *app_sync_main(void *arg)
{
	struct app *app = arg;

	(void)pthread_setname_np(pthread_self(), "sync");
	hf_thread_enter(HF_THREAD_SYNC, "sync");
	hf_sync_run(app->sync);
	return NULL;
}
