/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Start-up, readable as one table; undone in reverse from wherever it got to.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rte_launch.h>

#include "app.h"
#include "hf_http.h"
#include "hf_log.h"

#define BOOT_TICK_MS 100

/* Signals come to the control thread by descriptor; blocked before any other thread exists. */
static int boot_signals(struct app *app, struct hf_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	HF_ASSERT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	(void)signal(SIGPIPE, SIG_IGN);
	app->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (app->signal_fd < 0)
		return hf_err_set(err, -errno, "signalfd: %m");
	return 0;
}

static void undo_signals(struct app *app)
{
	(void)close(app->signal_fd);
}

/* Origin threads hold a socket for each fetch and each idle connection: as many as are allowed. */
static int boot_limits(struct app *app, struct hf_err *err)
{
	struct rlimit limit;

	(void)app;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return hf_err_set(err, -errno, "getrlimit: %m");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return hf_err_set(err, -errno, "setrlimit: %m");
	return 0;
}

static void undo_limits(struct app *app)
{
	(void)app;
}

static int boot_reqlog(struct app *app, struct hf_err *err)
{
	int rc = hf_reqlog_new(app->workers, err, &app->reqlog);

	if (rc == 0)
		app_reqlog_open(app);
	return rc;
}

static void undo_reqlog(struct app *app)
{
	hf_reqlog_free(app->reqlog);
}

static int boot_registry(struct app *app, struct hf_err *err)
{
	int rc;

	app->registry = hf_registry_new();
	if (!app->registry)
		return hf_err_set(err, -ENOMEM, "registry: no memory");
	rc = hf_registry_secret_set(app->registry, app->conf->registry.secret_file, err);
	if (rc == 0)
		rc = hf_l2_secret_set(app->conf->l2.secret_file, err);
	if (rc)
		hf_registry_free(app->registry);
	return rc;
}

static void undo_registry(struct app *app)
{
	hf_registry_free(app->registry);
}

static int boot_eal(struct app *app, struct hf_err *err)
{
	int rc;

	hf_thread_enter(HF_THREAD_CONTROL, "control");
	rc = hf_port_eal_init(app->conf, err);
	if (rc == 0)
		app_telemetry_init();
	return rc;
}

static void undo_eal(struct app *app)
{
	(void)app;
	hf_port_eal_fini();
}

static int boot_cache(struct app *app, struct hf_err *err)
{
	struct hf_cache_cfg cfg = {
		.shards = app->origins,
		.workers = app->workers,
		.leases_max = app->conf->http.connections_max,
	};
	int rc = hf_arena_new(app->conf->cache.memory,
		app->conf->runtime.hugepages && hf_port_has_hugepages(), err, &app->arena);

	if (rc)
		return rc;
	cfg.arena = app->arena;
	rc = hf_cache_new(&cfg, err, &app->cache);
	if (rc)
		hf_arena_free(app->arena);
	return rc;
}

static void undo_cache(struct app *app)
{
	hf_cache_free(app->cache);
	hf_arena_free(app->arena);
}

static int boot_exchanges(struct app *app, struct hf_err *err)
{
	struct hf_xchg_cfg cfg = {
		.workers = app->workers,
		.origins = app->origins,
		.exchanges_max = app->conf->origin.exchanges_max,
		/* the key (percent-encoding may grow it), the head, what is forwarded of it */
		.buf_len = 4 * app->conf->http.header_bytes + 1024,
	};

	return hf_xchg_net_new(&cfg, err, &app->xchgs);
}

static void undo_exchanges(struct app *app)
{
	hf_xchg_net_free(app->xchgs);
}

static void undo_ports(struct app *app)
{
	void *base;
	size_t len, page;

	hf_arena_region(app->arena, &base, &len, &page);
	if (len > 0)
		hf_port_memory_unregister(base, len);
	for (uint32_t i = 0; i < app->conf->port_count; i++)
		hf_port_close(app->port[i]);
}

/* A driver may wait for its other end for ever (virtio_user as a server does): a signal ends
 * that. */
static void *boot_ports_watch(void *arg)
{
	static const struct timespec period = { .tv_nsec = BOOT_TICK_MS * 1000000L };
	struct app *app = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	while (!atomic_load(&app->ports_open)) {
		if (sigtimedwait(&set, NULL, &period) < 0)
			continue;
		hf_log(HF_LOG_WARN, "holdfastd", "ended while a port was being opened");
		(void)unlink(app->conf->ctl.socket);
		_exit(1); /* the driver's call cannot be undone from here */
	}
	return NULL;
}

static int boot_ports_open(struct app *app, struct hf_err *err)
{
	pthread_t watch;
	int rc = pthread_create(&watch, NULL, boot_ports_watch, app);

	if (rc)
		return hf_err_set(err, -rc, "no thread to be had");
	for (uint32_t i = 0; rc == 0 && i < app->conf->port_count; i++)
		rc = hf_port_open(app->conf, i, err, &app->port[i]);
	atomic_store(&app->ports_open, true);
	HF_ASSERT(pthread_join(watch, NULL) == 0);
	return rc;
}

static int boot_ports(struct app *app, struct hf_err *err)
{
	void *base;
	size_t len, page;
	int rc = boot_ports_open(app, err);

	hf_arena_region(app->arena, &base, &len, &page);
	if (rc == 0 && len > 0)
		rc = hf_port_memory_register(base, len, page, err);
	if (rc) {
		for (uint32_t i = 0; i < app->conf->port_count; i++)
			hf_port_close(app->port[i]);
	}
	return rc;
}

static int boot_tcp(struct app *app, struct hf_tcp **ret_tcp)
{
	struct hf_tcp_cfg cfg;
	int rc;

	hf_tcp_cfg_default(&cfg);
	cfg.conns_max = app->conf->http.connections_max;
	cfg.drain_rate = app->conf->http.body_rate;
	rc = hf_tcp_new(&cfg, hf_clock_us(), ret_tcp);
	for (uint32_t i = 0; rc == 0 && i < app->conf->listen_count; i++)
		rc = hf_tcp_listen(*ret_tcp, app->conf->listen[i]);
	return rc;
}

static int boot_worker(struct app *app, uint32_t index, struct hf_err *err)
{
	struct app_worker *worker = &app->worker[index];
	struct hf_serve_cfg cfg = {
		.conf = app->conf,
		.worker = index,
		.origins = app->origins,
		.cache = app->cache,
		.auth = app->auth,
		.xchgs = app->xchgs,
		.reqlog = hf_reqlog_ring(app->reqlog, index),
	};
	int rc;

	worker->app = app;
	worker->conf = app->conf;
	worker->index = index;
	rc = boot_tcp(app, &worker->tcp);
	if (rc)
		return hf_err_set(err, rc, "no memory for the connections of worker %u", index);
	cfg.tcp = worker->tcp;
	rc = hf_serve_new(&cfg, hf_clock_us(), err, &worker->serve);
	if (rc == 0)
		rc = hf_net_new(app->net, index, err, &worker->net);
	return rc;
}

static void undo_workers(struct app *app)
{
	hf_thread_alone(); /* the others have ended, or never began */
	for (uint32_t i = 0; app->worker && i < app->workers; i++) {
		hf_net_free(app->worker[i].net);
		hf_tcp_free(app->worker[i].tcp);
		hf_serve_free(app->worker[i].serve);
	}
	free(app->worker);
	hf_net_shared_free(app->net);
}

static int boot_workers(struct app *app, struct hf_err *err)
{
	int rc = hf_net_shared_new(app->conf, app->port, app->workers, err, &app->net);

	if (rc)
		return rc;
	app->worker = aligned_alloc(HF_CACHE_LINE, app->workers * sizeof(*app->worker));
	HF_ASSERT(app->worker != NULL);
	__builtin_memset(app->worker, 0, app->workers * sizeof(*app->worker));
	for (uint32_t i = 0; rc == 0 && i < app->workers; i++)
		rc = boot_worker(app, i, err);
	if (rc)
		undo_workers(app);
	return rc;
}

static void undo_origins(struct app *app)
{
	for (uint32_t i = 0; app->origin && i < app->origins; i++)
		hf_origin_free(app->origin[i].origin);
	hf_origin_slots_free(app->slots);
	free(app->origin);
}

static int boot_origins(struct app *app, struct hf_err *err)
{
	int rc = 0;

	app->origin = calloc(app->origins, sizeof(*app->origin));
	app->slots = hf_origin_slots_new();
	HF_ASSERT(app->origin != NULL && app->slots != NULL);
	for (uint32_t i = 0; rc == 0 && i < app->origins; i++) {
		struct app_origin *origin = &app->origin[i];

		origin->app = app;
		origin->conf = app->conf;
		origin->index = i;
		rc = hf_origin_new(
			app->conf, i, app->cache, app->xchgs, app->slots, err, &origin->origin);
		if (rc == 0) {
			hf_origin_auth_set(origin->origin, app->auth);
			hf_origin_invalidated_set(origin->origin, app_spread_invalidated, app);
		}
	}
	if (rc)
		undo_origins(app);
	return rc;
}

static int boot_ctl(struct app *app, struct hf_err *err)
{
	return hf_ctl_new(app->conf->ctl.socket, app->conf->ctl.mode, app->conf->ctl.group,
		app_command, app, err, &app->ctl);
}

static void undo_ctl(struct app *app)
{
	hf_ctl_free(app->ctl);
}

/* A new state is in force. Workers go first: what it protects is not fetched before they ask for
 * permission. */
static void boot_sync_apply(void *arg, struct hf_state *state)
{
	struct app *app = arg;

	app_auth_state(app, state);
	for (uint32_t i = 0; i < app->origins; i++)
		hf_origin_state_set(app->origin[i].origin, state);
	app_spread_state(app, state);
	atomic_store(&app->has_state, true);
}

static int boot_sync(struct app *app, struct hf_err *err)
{
	struct hf_sync_cfg cfg = { .conf = app->conf,
		.apply = boot_sync_apply,
		.purge = app_purge_of_state,
		.arg = app,
		.mode = &app->mode,
		.registry = app->registry };
	int rc = hf_sync_new(&cfg, err, &app->sync);

	if (rc == 0)
		hf_sync_boot(app->sync);
	return rc;
}

static void undo_sync(struct app *app)
{
	hf_sync_free(app->sync);
}

static void undo_reqlog_thread(struct app *app)
{
	hf_reqlog_stop(app->reqlog);
	if (app->reqlog_running)
		HF_ASSERT(pthread_join(app->reqlog_thread, NULL) == 0);
}

static void undo_threads(struct app *app)
{
	hf_sync_stop(app->sync);
	if (app->sync_running)
		HF_ASSERT(pthread_join(app->sync_thread, NULL) == 0);
	atomic_store(&app->origin_stop, true);
	for (uint32_t i = 0; i < app->origins; i++) {
		if (!app->origin[i].running)
			continue;
		hf_origin_wake(app->origin[i].origin);
		HF_ASSERT(pthread_join(app->origin[i].thread, NULL) == 0);
	}
	atomic_store(&app->reclaim_stop, true);
	if (app->reclaim_running)
		HF_ASSERT(pthread_join(app->reclaim, NULL) == 0);
	undo_reqlog_thread(app);
}

static int boot_threads(struct app *app, struct hf_err *err)
{
	int rc = pthread_create(&app->reclaim, NULL, app_reclaim_main, app);

	app->reclaim_running = rc == 0;
	if (rc == 0) {
		rc = pthread_create(&app->reqlog_thread, NULL, app_reqlog_main, app);
		app->reqlog_running = rc == 0;
	}
	if (rc == 0) {
		rc = pthread_create(&app->sync_thread, NULL, app_sync_main, app);
		app->sync_running = rc == 0;
	}
	for (uint32_t i = 0; rc == 0 && i < app->origins; i++) {
		rc = pthread_create(&app->origin[i].thread, NULL, app_origin_main, &app->origin[i]);
		app->origin[i].running = rc == 0;
	}
	if (rc == 0)
		return 0;
	undo_threads(app);
	return hf_err_set(err, -rc, "no thread to be had");
}

static void undo_start(struct app *app)
{
	for (uint32_t i = 0; i < app->conf->port_count; i++)
		hf_port_stop(app->port[i]);
}

static int boot_start(struct app *app, struct hf_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < app->conf->port_count; i++)
		rc = hf_port_start(app->port[i], err);
	if (rc)
		undo_start(app);
	return rc;
}

static void undo_lcores(struct app *app)
{
	atomic_store(&app->lcore_stop, true);
	for (uint32_t i = 0; i < app->workers; i++)
		(void)rte_eal_wait_lcore(hf_port_lcore_id(i));
}

static int boot_lcores(struct app *app, struct hf_err *err)
{
	for (uint32_t i = 0; i < app->workers; i++) {
		int rc =
			rte_eal_remote_launch(app_lcore_main, &app->worker[i], hf_port_lcore_id(i));

		if (rc) {
			undo_lcores(app);
			return hf_err_set(err, rc, "lcore %u does not start", hf_port_lcore_id(i));
		}
	}
	return 0;
}

static int boot_watch(struct app *app, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(app->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void undo_control(struct app *app)
{
	(void)close(app->timer_fd);
	(void)close(app->registry_fd);
	(void)close(app->epoll_fd);
}

static int boot_control(struct app *app, struct hf_err *err)
{
	struct itimerspec tick = { .it_value.tv_nsec = BOOT_TICK_MS * 1000000L,
		.it_interval.tv_nsec = BOOT_TICK_MS * 1000000L };
	int rc;

	app->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	app->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	app->registry_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (app->epoll_fd < 0 || app->timer_fd < 0 || app->registry_fd < 0 ||
		timerfd_settime(app->timer_fd, 0, &tick, NULL) != 0)
		return hf_err_set(err, -errno, "no descriptor for the control thread: %m");
	rc = boot_watch(app, app->signal_fd);
	if (rc == 0)
		rc = boot_watch(app, app->timer_fd);
	if (rc == 0)
		rc = boot_watch(app, app->registry_fd);
	if (rc == 0)
		rc = boot_watch(app, hf_ctl_fd(app->ctl));
	return rc ? hf_err_set(err, rc, "epoll_ctl failed") : 0;
}

static int boot_metrics(struct app *app, struct hf_err *err)
{
	struct hf_metrics_cfg cfg = {
		.conf = app->conf_boot,
		.gauges = app_metrics_gauges,
		.healthy = app_metrics_healthy,
		.ready = app_metrics_ready,
		.arg = app,
		.reqlog = app->reqlog,
	};

	return hf_metrics_new(&cfg, err, &app->metrics);
}

static void undo_metrics(struct app *app)
{
	hf_metrics_free(app->metrics);
}

/* The listener's thread: control builds the state. */
static void boot_registry_changed(void *arg)
{
	const struct app *app = arg;
	uint64_t one = 1;

	(void)!write(app->registry_fd, &one, sizeof(one));
}

static int boot_admin(struct app *app, struct hf_err *err)
{
	struct hf_admin_cfg cfg = {
		.listen = app->conf_boot->metrics.listen,
		.resource = app->resource,
		.resource_count = HF_ARRAY_LEN(app->resource),
	};

	hf_metrics_resources(app->metrics, app->resource);
	hf_registry_resource(app->registry, &app->resource[HF_METRICS_RESOURCES]);
	hf_registry_watch(app->registry, boot_registry_changed, app);
	return hf_admin_new(&cfg, err, &app->admin);
}

static void undo_admin(struct app *app)
{
	hf_admin_free(app->admin);
}

static const struct {
	const char *name;
	int (*init)(struct app *app, struct hf_err *err);
	void (*fini)(struct app *app);
} boot_steps[] = {
	{ "signals", boot_signals, undo_signals },
	{ "limits", boot_limits, undo_limits },
	{ "reqlog", boot_reqlog, undo_reqlog }, /* before ctl, whose clients watch it */
	{ "registry", boot_registry, undo_registry },
	{ "ctl", boot_ctl, undo_ctl }, /* first of all: a second instance must touch no device */
	{ "eal", boot_eal, undo_eal },
	{ "cache", boot_cache, undo_cache },
	{ "auth", app_auth_boot, app_auth_undo },
	{ "exchanges", boot_exchanges, undo_exchanges },
	{ "ports", boot_ports, undo_ports },
	{ "workers", boot_workers, undo_workers },
	{ "origins", boot_origins, undo_origins },
	{ "spread", app_spread_boot, app_spread_undo }, /* before sync, which hands it the state */
	{ "sync", boot_sync, undo_sync },
	{ "warm", app_warm_boot, app_warm_save },
	{ "control", boot_control, undo_control },
	{ "threads", boot_threads, undo_threads },
	{ "spread", app_spread_start, app_spread_stop },
	{ "start", boot_start, undo_start },
	{ "lcores", boot_lcores, undo_lcores },
	{ "metrics", boot_metrics, undo_metrics },
	{ "admin", boot_admin, undo_admin }, /* last: tells of all the others */
	{ "load", app_warm_load, app_warm_load_end },
};

static uint32_t boot_done; /* steps that were taken: what app_undo undoes */

int app_boot(struct app *app, struct hf_err *err)
{
	app->started_us = hf_clock_us();
	app->workers = hf_port_workers(app->conf);
	app->origins = app->conf->origin.threads;
	app_panic_init(app);
	hf_http_secrets_set(&app->conf->cache.scrub_fields, &app->conf->cache.secret_parameters);
	for (boot_done = 0; boot_done < HF_ARRAY_LEN(boot_steps); boot_done++) {
		int rc = boot_steps[boot_done].init(app, err);

		if (rc)
			return rc;
	}
	hf_log(HF_LOG_INFO, "holdfastd", "ready: %u workers, %u origin threads, %u ports",
		app->workers, app->origins, app->conf->port_count);
	return 0;
}

void app_undo(struct app *app)
{
	while (boot_done > 0)
		boot_steps[--boot_done].fini(app);
	hf_log_drain();
}
