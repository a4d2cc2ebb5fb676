/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The request log's thread: all of it is lib/reqlog's.
 */
#include "app.h"

void *app_reqlog_main(void *arg)
{
	const struct app *app = arg;

	hf_thread_enter(HF_THREAD_REQLOG, "reqlog");
	hf_reqlog_run(app->reqlog);
	return NULL;
}
