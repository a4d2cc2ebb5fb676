/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The control loop, on the main thread: the CLI's socket, signals, the watchdog, the log.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app.h"
#include "hf_log.h"
#include "hf_stat.h"

#define CONTROL_LOOK_US 1000 /* at origin threads that have a state to take */

static void control_drain(struct app *app, const char *why)
{
	if (atomic_exchange(&app->draining, true)) {
		app->shutdown_asked = true; /* asked twice */
		return;
	}
	hf_log(HF_LOG_INFO, "holdfastd", "draining: %s", why);
}

static void control_signal(struct app *app)
{
	struct signalfd_siginfo info;

	while (read(app->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			app_config_hangup(app);
		else
			control_drain(app, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	}
}

static uint32_t control_conns(const struct app *app)
{
	uint32_t conns = 0;

	for (uint32_t i = 0; i < app->workers; i++)
		conns += atomic_load(&app->worker[i].conns_open);
	return conns;
}

/* Draining is over: nobody is left, or they had their time. */
static bool control_drained(const struct app *app, uint64_t since_us, uint64_t now_us)
{
	uint64_t patience_us = app->conf->runtime.drain_timeout_ms * 1000ULL;
	uint32_t conns = control_conns(app);
	bool seen = true;

	for (uint32_t i = 0; i < app->workers; i++)
		seen &= atomic_load(&app->worker[i].beat_us) > since_us + 1000;
	if (conns == 0 && seen)
		return true;
	if (now_us - since_us < patience_us)
		return false;
	hf_log(HF_LOG_WARN, "holdfastd", "drain: %u connections cut after %u ms", conns,
		app->conf->runtime.drain_timeout_ms);
	return true;
}

/* What registered, went or expired takes effect. Who said so is answered when no fetch begins by
 * what was before. */
static void control_registry(struct app *app)
{
	uint64_t now_us = hf_clock_us(), settled;
	bool taken = true;

	app->registry_due_us = hf_sync_tick(app->sync, now_us);
	settled = hf_registry_settled(app->registry);
	for (uint32_t i = 0; i < app->origins; i++)
		taken &= hf_origin_state_is_taken(app->origin[i].origin);
	if (taken)
		app->registry_taken = settled;
	else
		app->registry_due_us = hf_min_u64(app->registry_due_us, now_us + CONTROL_LOOK_US);
	hf_admin_release(app->admin, app->registry_taken, now_us);
}

static int control_wait_ms(const struct app *app)
{
	uint64_t now_us = hf_clock_us();

	if (app->registry_due_us == UINT64_MAX)
		return -1;
	return app->registry_due_us <= now_us ? 0
					      : (int)((app->registry_due_us - now_us) / 1000 + 1);
}

static void control_tick(struct app *app)
{
	uint64_t expirations, now_us = hf_clock_us();

	(void)!read(app->timer_fd, &expirations, sizeof(expirations));
	hf_log_drain();
	hf_ctl_tick(app->ctl);
	app_watchdog(app, now_us);
	hf_stat_miss_rate_tick(now_us);
}

static void control_event(struct app *app, int fd)
{
	uint64_t changes;

	if (fd == app->signal_fd)
		control_signal(app);
	else if (fd == app->timer_fd)
		control_tick(app);
	else if (fd == app->registry_fd)
		(void)!read(app->registry_fd, &changes, sizeof(changes));
	else
		hf_ctl_work(app->ctl);
}

void app_control_run(struct app *app)
{
	uint64_t drain_since_us = 0;

	app->registry_due_us = UINT64_MAX;
	while (!app->shutdown_asked) {
		struct epoll_event events[8];
		int count = epoll_wait(
			app->epoll_fd, events, HF_ARRAY_LEN(events), control_wait_ms(app));

		HF_ASSERT(count >= 0 || errno == EINTR);
		for (int i = 0; i < count; i++)
			control_event(app, events[i].data.fd);
		control_registry(app);
		if (!atomic_load(&app->draining))
			continue;
		if (drain_since_us == 0)
			drain_since_us = hf_clock_us();
		if (control_drained(app, drain_since_us, hf_clock_us()))
			break;
	}
	hf_log(HF_LOG_INFO, "holdfastd", "stopping");
}
