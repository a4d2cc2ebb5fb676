/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The warm start: at shutdown the cache goes into a file, at start a thread of its own reads that
 * and hands to each origin thread what is its.
 *
 *      boot: is there a file? origin threads remember purges from now on -> ... -> ready -> load,
 *            in a thread
 *      shutdown: load ends -> threads end -> save
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "hf_log.h"
#include "hf_snap.h"
#include "hf_stat.h"

#define WARM_RUN_LEN (64 * 1024) /* for one turn of an origin thread, and a frame */
#define WARM_BUF_LEN (WARM_RUN_LEN + 2 * HF_SNAP_FRAME_MAX)

/* Frames for one origin thread. */
struct warm_run {
	char *buf;
	size_t len;
};

struct warm_load {
	struct app *app;
	struct hf_snap_reader *reader;
	struct warm_run *run; /* [origin thread] */
	struct hf_origin_call call;
};

static bool warm_is_on(const struct app *app)
{
	return *app->conf_boot->cache.snapshot;
}

/* Told now: the end is too late to learn it. */
static void warm_check_directory(const char *file)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s", file);
	if (access(dirname(path), W_OK | X_OK) != 0)
		hf_log(HF_LOG_WARN, "warm", "%s: cannot be written at the end: %s", file,
			strerror(errno));
}

int app_warm_boot(struct app *app, struct hf_err *err)
{
	int rc = 0;

	if (!warm_is_on(app))
		return 0;
	warm_check_directory(app->conf_boot->cache.snapshot);
	for (uint32_t i = 0; rc == 0 && i < app->origins; i++)
		rc = hf_origin_warm_begin(app->origin[i].origin);
	return rc ? hf_err_set(err, rc, "no memory for a warm start") : 0;
}

/* ---- load ---- */

/* Waits for the origin thread, and then a little, so that commands get at its mailbox as well.
 * False: it is over with this process. */
static bool warm_post(struct warm_load *load, uint32_t index, struct hf_span frames)
{
	static const struct timespec pause = { .tv_nsec = 50000 };
	struct app *app = load->app;

	load->call.what = HF_ORIGIN_WARM;
	load->call.frames = frames;
	while (hf_origin_call(app->origin[index].origin, &load->call) != 0)
		if (atomic_load(&app->warm.stop))
			return false;
	(void)nanosleep(&pause, NULL);
	return !atomic_load(&app->warm.stop);
}

static bool warm_flush(struct warm_load *load, uint32_t index)
{
	struct warm_run *run = &load->run[index];
	struct hf_span frames = { run->buf, run->len };

	run->len = 0;
	return frames.len == 0 || warm_post(load, index, frames);
}

static bool warm_add(struct warm_load *load, uint32_t index, struct hf_span frame)
{
	struct warm_run *run = &load->run[index];

	HF_ASSERT(frame.len <= WARM_BUF_LEN - run->len);
	memcpy(run->buf + run->len, frame.ptr, frame.len);
	run->len += frame.len;
	return run->len < WARM_RUN_LEN || warm_flush(load, index);
}

static uint32_t warm_owner(const struct app *app, struct hf_span key)
{
	return hf_cache_shard_index(
		app->cache, hf_cache_hash(app->cache, key.ptr, (uint32_t)key.len));
}

/* 0 at the end of the file; -ECANCELED; or what hf_snap_next says. */
static int warm_read(struct warm_load *load, struct hf_err *err)
{
	struct hf_snap_frame frame;
	uint32_t owner = 0;
	int rc = 0;
	bool going = true;

	load->call.saved_clock_us = hf_snap_saved_clock_us(load->reader);
	while (going) {
		rc = hf_snap_next(load->reader, &frame, err);
		if (rc || frame.kind == HF_SNAP_END)
			break;
		if (frame.kind == HF_SNAP_OBJECT)
			owner = warm_owner(load->app, frame.key);
		going = warm_add(load, owner, frame.raw);
	}
	for (uint32_t i = 0; going && i < load->app->origins; i++)
		going = warm_flush(load, i);
	return going ? rc : -ECANCELED;
}

static struct warm_run *warm_runs_new(uint32_t count)
{
	struct warm_run *runs = calloc(count, sizeof(*runs));

	HF_ASSERT(runs != NULL);
	for (uint32_t i = 0; i < count; i++) {
		runs[i].buf = malloc(WARM_BUF_LEN);
		HF_ASSERT(runs[i].buf != NULL);
	}
	return runs;
}

static void warm_runs_free(struct warm_run *runs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		free(runs[i].buf);
	free(runs);
}

static const char *warm_name(enum app_warm_state state)
{
	static const char *const names[] = {
		[APP_WARM_OFF] = "off",
		[APP_WARM_LOADING] = "loading",
		[APP_WARM_COLD] = "no snapshot",
		[APP_WARM_DONE] = "done",
		[APP_WARM_DAMAGED] = "damaged",
		[APP_WARM_REFUSED] = "refused",
		[APP_WARM_STOPPED] = "stopped",
	};

	HF_ASSERT(state < HF_ARRAY_LEN(names));
	return names[state];
}

static void warm_told(const struct app *app, enum app_warm_state state, const struct hf_err *err)
{
	const char *file = app->conf_boot->cache.snapshot;

	if (state == APP_WARM_REFUSED || state == APP_WARM_DAMAGED) {
		hf_stat_inc(HF_STAT_WARM_DAMAGED);
		hf_log(HF_LOG_WARN, "warm", "%s: %s; %s", file, err->text,
			state == APP_WARM_REFUSED ? "nothing is loaded"
						  : "what came before is loaded");
	}
	hf_log(HF_LOG_INFO, "warm", "%s: %llu responses loaded, %llu too old, %llu left out",
		warm_name(state), (unsigned long long)hf_stat_sum(HF_STAT_WARM_LOADED),
		(unsigned long long)hf_stat_sum(HF_STAT_WARM_EXPIRED),
		(unsigned long long)hf_stat_sum(HF_STAT_WARM_LEFT_OUT));
}

static enum app_warm_state warm_load(struct warm_load *load, struct hf_err *err)
{
	struct app *app = load->app;
	int rc = hf_snap_open(app->conf_boot->cache.snapshot, hf_snap_now(), err, &load->reader);

	if (rc)
		return rc == -ENOENT ? APP_WARM_COLD : APP_WARM_REFUSED;
	atomic_store(&app->warm.saved_us, hf_snap_saved_us(load->reader));
	rc = warm_read(load, err);
	hf_snap_close(load->reader);
	return rc == 0 ? APP_WARM_DONE : rc == -ECANCELED ? APP_WARM_STOPPED : APP_WARM_DAMAGED;
}

static void *warm_main(void *arg)
{
	struct app *app = arg;
	struct warm_load *load = calloc(1, sizeof(*load));
	enum app_warm_state state;
	struct hf_err err = { "" };
	bool going = true;

	HF_ASSERT(load != NULL);
	(void)pthread_setname_np(pthread_self(), "warm");
	hf_thread_enter(HF_THREAD_WARM, "warm");
	load->app = app;
	load->run = warm_runs_new(app->origins);
	state = warm_load(load, &err);
	for (uint32_t i = 0; going && i < app->origins; i++)
		going = warm_post(load, i, (struct hf_span){ NULL, 0 });
	warm_told(app, state, &err);
	atomic_store(&app->warm.state, state);
	warm_runs_free(load->run, app->origins);
	free(load);
	return NULL;
}

int app_warm_load(struct app *app, struct hf_err *err)
{
	int rc;

	if (!warm_is_on(app))
		return 0;
	atomic_store(&app->warm.state, APP_WARM_LOADING);
	rc = pthread_create(&app->warm.thread, NULL, warm_main, app);
	app->warm.running = rc == 0;
	return rc ? hf_err_set(err, -rc, "no thread to be had") : 0;
}

void app_warm_load_end(struct app *app)
{
	atomic_store(&app->warm.stop, true);
	if (app->warm.running)
		HF_ASSERT(pthread_join(app->warm.thread, NULL) == 0);
	app->warm.running = false;
}

json_t *app_warm_status(const struct app *app)
{
	int64_t saved_us = atomic_load(&app->warm.saved_us);
	int64_t age_us = hf_snap_now().wall_us - saved_us;

	return json_pack("{s:s, s:I, s:I, s:I, s:o}", "state",
		warm_name(atomic_load(&app->warm.state)), "loaded",
		(json_int_t)hf_stat_sum(HF_STAT_WARM_LOADED), "too_old",
		(json_int_t)hf_stat_sum(HF_STAT_WARM_EXPIRED), "left_out",
		(json_int_t)hf_stat_sum(HF_STAT_WARM_LEFT_OUT), "snapshot_age_s",
		saved_us ? json_integer(age_us / 1000000) : json_null());
}

/* ---- save ---- */

/* A signal that arrives while the file is written ends that. */
static bool warm_save_stop(void *arg)
{
	const struct app *app = arg;
	struct signalfd_siginfo info;

	return read(app->signal_fd, &info, sizeof(info)) == sizeof(info) &&
	       info.ssi_signo != SIGHUP;
}

void app_warm_save(struct app *app)
{
	struct hf_snap_save save = {
		.file = app->conf_boot->cache.snapshot,
		.bytes_max = app->conf->cache.snapshot_max,
		.max_stale_s = app->conf->control_plane.max_stale_s,
		.now = hf_snap_now(),
		.stop = warm_save_stop,
		.arg = app,
	};
	struct hf_err err = { "" };

	if (!warm_is_on(app) || !app->warm.served)
		return;
	hf_thread_alone(); /* the others have ended */
	if (hf_snap_save(app->cache, &save, &err) != 0) {
		hf_log(HF_LOG_ERROR, "warm", "%s", err.text);
		return;
	}
	hf_log(HF_LOG_INFO, "warm",
		"%s: %llu responses kept, %llu bytes; %llu left out, %llu for want of room",
		save.file, (unsigned long long)save.objects, (unsigned long long)save.bytes,
		(unsigned long long)save.left_out, (unsigned long long)save.no_room);
}
