/* SPDX-License-Identifier: BSD-3-Clause
 *
 * holdfastd - the appliance: wires the modules together, owns the threads, alone may exit.
 *
 * Picture
 *      main: boot -> control loop (ctl socket, signals, watchdog, log) -> undo boot in reverse
 *        |-- lcore 1..W   thread_lcore.c    NIC queues, TCP, HTTP, hits
 *        |-- origin 0..T  thread_origin.c   misses; owns one cache shard each
 *        |-- sync         thread_sync.c     the control plane
 *        |-- reqlog       thread_reqlog.c   the request log
 *        |-- spread       thread_spread.c   purges of and for other edges
 *        \-- reclaim      thread_reclaim.c  grace periods
 * Threads   struct app is built by boot and read-only afterwards, but for the atomics in it and
 *           what is the control thread's own.
 */
#ifndef APP_H
#define APP_H

#include <pthread.h>
#include <stdatomic.h>

#include "hf_admin.h"
#include "hf_auth.h"
#include "hf_cache.h"
#include "hf_conf.h"
#include "hf_ctl.h"
#include "hf_l2_client.h"
#include "hf_metrics.h"
#include "hf_net.h"
#include "hf_origin.h"
#include "hf_port.h"
#include "hf_registry.h"
#include "hf_reqlog.h"
#include "hf_serve.h"
#include "hf_sync.h"
#include "hf_tcp.h"
#include "hf_xchg.h"

#define APP_CONNS_SHOWN 1024 /* connections of one worker in one answer of `conns` */

/* A question of the control thread to a worker, answered between two turns of its loop. */
struct app_conns {
	_Atomic bool done;
	uint32_t cursor, count;
	bool more; /* there are connections that found no room */
	struct hf_tcp_info info[APP_CONNS_SHOWN];
};

struct app_worker {
	struct app *app;
	uint32_t index;
	struct hf_net *net;
	struct hf_tcp *tcp;
	struct hf_serve *serve;
	const struct hf_conf *_Atomic conf; /* by which it goes */
	const struct hf_stat_block *_Atomic stats;
	const struct hf_hist_cells *_Atomic hists;
	_Atomic uint64_t beat_us; /* the last turn began; HF_CACHE_LINE apart from other workers */
	_Atomic uint32_t conns_open; /* while draining also those with bytes to deliver */
	_Atomic(struct app_conns *) question;
	bool draining;
	uint64_t reported_us; /* watchdog: the beat that was complained about */
} HF_ALIGNED(HF_CACHE_LINE);

struct app_origin {
	struct app *app;
	uint32_t index;
	struct hf_origin *origin;
	const struct hf_conf *_Atomic conf; /* by which it goes */
	pthread_t thread;
	bool running;
	_Atomic uint64_t beat_us;
	uint64_t reported_us;
};

/* How the load of the cache's snapshot goes. */
enum app_warm_state {
	APP_WARM_OFF,
	APP_WARM_LOADING,
	APP_WARM_COLD, /* there was no file */
	APP_WARM_DONE,
	APP_WARM_DAMAGED, /* loaded up to there */
	APP_WARM_REFUSED,
	APP_WARM_STOPPED, /* by shutdown */
};

struct app_warm {
	pthread_t thread;
	bool running;
	bool served; /* there is something to save: boot has succeeded */
	_Atomic bool stop;
	_Atomic enum app_warm_state state;
	_Atomic int64_t saved_us; /* when the snapshot was made, Unix; 0: there is none */
};

struct app_purge;
struct app_spread;

struct app {
	struct hf_conf *_Atomic conf; /* in force; commands_config.c */
	struct hf_conf *conf_boot;    /* the first one */
	struct hf_conf *conf_before;  /* that a thread may still go by; NULL: none does */
	uint64_t started_us;
	uint32_t workers, origins;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_auth *auth;
	struct hf_state *_Atomic state; /* by which workers go; a reference */
	struct hf_xchg_net *xchgs;
	struct hf_registry *registry;
	struct hf_sync *sync;
	struct app_spread *spread;
	_Atomic uint32_t mode; /* enum hf_mode */
	_Atomic bool has_state;
	_Atomic uint32_t threads_stuck; /* as the watchdog last found */
	struct hf_port *port[HF_CONF_PORTS_MAX];
	struct hf_net_shared *net;
	struct app_worker *worker;
	struct app_origin *origin;
	struct hf_origin_slots *slots;
	struct app_warm warm;
	struct hf_ctl *ctl;
	struct hf_reqlog *reqlog;
	struct hf_metrics *metrics;
	struct hf_admin *admin;
	struct hf_admin_resource resource[HF_METRICS_RESOURCES + 1]; /* of it */
	pthread_t reclaim, sync_thread, reqlog_thread;
	bool reclaim_running, sync_running, reqlog_running;
	int signal_fd, timer_fd, registry_fd, epoll_fd;
	uint64_t registry_due_us; /* control looks again; UINT64_MAX: when something happens */
	uint64_t registry_taken;  /* changes that every origin thread goes by */
	_Atomic bool ports_open;  /* boot may not hang any more */
	_Atomic bool draining;    /* workers: no new connections */
	_Atomic bool lcore_stop, origin_stop, reclaim_stop;
	bool shutdown_asked;
};

/* boot.c: every step of start-up in order; undone in reverse. */
int app_boot(struct app *app, struct hf_err *err) HF_MUST_CHECK;
void app_undo(struct app *app);

/* thread_*.c: the bodies of the threads. */
int app_lcore_main(void *worker);
void *app_origin_main(void *origin);
void *app_reclaim_main(void *app);
void *app_sync_main(void *app);
void *app_reqlog_main(void *app);
/* Until a signal or a command ends it. */
void app_control_run(struct app *app);

/* commands.c: an hf_ctl_fn. */
json_t *app_command(
	void *app, enum hf_ctl_cmd cmd, const json_t *args, bool *ret_internal, struct hf_err *err);

/* commands_stat.c: those about statistics. */
json_t *app_command_stats(const json_t *args);
json_t *app_command_drops(void);
double app_hit_p99_us(void);

/* telemetry.c: commands of DPDK's telemetry. */
void app_telemetry_init(void);

/* commands_cache.c: those about the cache. */
/* Of the URL among the arguments: its key, in BUF. 0, or -EINVAL. */
int app_cache_key(const struct app *app, const json_t *args, char *buf, size_t cap,
	struct hf_key *ret_key, struct hf_err *err);
/* Its secrets are hidden. */
json_t *app_cache_shown_key(struct hf_span key);
int app_cache_call(struct app *app, uint32_t shard, struct hf_origin_call *call, bool *ret_internal,
	struct hf_err *err);
json_t *app_command_cache_show(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err);
json_t *app_command_cache_list(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err);
json_t *app_command_purge(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err);

/* commands_state.c: those about the control plane. */
json_t *app_command_fallback(struct app *app, const json_t *args, struct hf_err *err);
json_t *app_command_state_show(struct app *app, struct hf_err *err);
json_t *app_command_state_sync(struct app *app, struct hf_err *err);
json_t *app_command_state_history(struct app *app);
json_t *app_command_state_rollback(struct app *app, const json_t *args, struct hf_err *err);
/* Of what is in force, or "none". */
const char *app_state_version(const struct hf_sync_info *info);

/* commands_auth.c: protected routes. */
int app_auth_boot(struct app *app, struct hf_err *err) HF_MUST_CHECK;
void app_auth_undo(struct app *app);
/* Control, sync, boot, one at a time: when it returns every worker goes by STATE, and what it
 * revokes is revoked. */
void app_auth_state(struct app *app, struct hf_state *state);
json_t *app_command_auth_status(struct app *app);
json_t *app_command_auth_revoke(struct app *app, const json_t *args, struct hf_err *err);

/* thread_spread.c: purges at all edges. */
int app_spread_boot(struct app *app, struct hf_err *err) HF_MUST_CHECK;
void app_spread_undo(struct app *app);
int app_spread_start(struct app *app, struct hf_err *err) HF_MUST_CHECK;
void app_spread_stop(struct app *app);
/* Any thread. */
void app_spread_state(struct app *app, struct hf_state *state);
void app_spread_conf(struct app *app, const struct hf_conf *conf);
void app_spread_tell(struct app *app, const struct app_purge *what);
/* The same of a key. */
void app_spread_invalidated(void *arg, struct hf_span key);

/* commands_l2.c */
json_t *app_command_l2_status(struct app *app, bool *ret_internal, struct hf_err *err);

/* commands_origin.c: those about origins. */
/* Of every origin of the state, group by group; to be freed. NULL: an origin thread does not
 * answer. Not for lcores and origin threads. */
struct hf_origin_load *app_origin_loads(
	struct app *app, const struct hf_state *state, struct hf_err *err);
json_t *app_command_origin_list(struct app *app, bool *ret_internal, struct hf_err *err);
json_t *app_command_origin_explain(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err);
json_t *app_command_origin_change(struct app *app, enum hf_state_change change, const json_t *args,
	bool *ret_internal, struct hf_err *err);

/* purge.c: of url, prefix and tag at most one; none: everything. */
struct app_purge {
	const char *url, *prefix, *tag;
	bool soft;
};

/* Control and sync: nobody is answered with it any more. 0, -EINVAL: it names nothing that could be
 * stored; -EBUSY, -ETIMEDOUT. */
int app_purge(struct app *app, const struct app_purge *what, uint64_t *ret_count,
	struct hf_err *err) HF_MUST_CHECK;
/* lib/sync's purge. */
/* The same, but who found it before may still be answering with it: until a grace period is over. */
int app_purge_unlink(struct app *app, const struct app_purge *what, uint64_t *ret_count,
	struct hf_err *err) HF_MUST_CHECK;
int app_purge_of_state(void *app, const struct hf_state_purge *purge);

/* commands_log.c: those about requests, which go on. */
json_t *app_command_log(struct app *app, const json_t *args, struct hf_err *err);
json_t *app_command_top(struct app *app, const json_t *args, struct hf_err *err);
/* The request log's file, anew, as the configuration has it. */
void app_reqlog_open(struct app *app);

/* commands_config.c: those about the configuration. */
json_t *app_command_config_show(const struct app *app);
json_t *app_command_config_check(struct app *app, const json_t *args, struct hf_err *err);
json_t *app_command_config_reload(struct app *app, bool *ret_internal, struct hf_err *err);
/* SIGHUP: the same, told to the log. */
void app_config_hangup(struct app *app);
/* The configuration and the state document that it names; else every error, a line each. */
int app_config_load(const char *path, FILE *errors, struct hf_conf **ret_conf) HF_MUST_CHECK;
/* All there are; the threads have ended. */
void app_config_free(struct app *app);

/* warm.c: the cache over a restart. Before the threads begin: purges count for what comes from the
 * file. */
int app_warm_boot(struct app *app, struct hf_err *err) HF_MUST_CHECK;
/* Loads, in a thread of its own, and the end of that. */
int app_warm_load(struct app *app, struct hf_err *err) HF_MUST_CHECK;
void app_warm_load_end(struct app *app);
/* After every other thread has ended. */
void app_warm_save(struct app *app);
/* For `status`. */
json_t *app_warm_status(const struct app *app);

/* metrics.c: what lib/metrics asks. */
void app_metrics_gauges(void *app, struct hf_metrics_snap *snap);
bool app_metrics_healthy(void *app, struct hf_err *why);
bool app_metrics_ready(void *app, struct hf_err *why);

/* metrics_origins.c */
void app_metrics_origins(struct app *app, struct hf_metrics_snap *snap);

/* table.c: {"columns": [...], "rows": [...]}; add takes the row over. */
json_t *app_table_new(const char *const *columns, size_t count);
void app_table_add(json_t *table, json_t *row);
#define APP_TABLE_NEW(...)                                                                         \
	app_table_new((const char *const[]){ __VA_ARGS__ },                                        \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* Each line of the text; takes it. */
json_t *app_reasons(char *text);

/* watchdog.c: complains about threads that stand still; a few times a second. */
void app_watchdog(struct app *app, uint64_t now_us);

/* panic.c: dumps on failed assertions and fatal signals. */
void app_panic_init(const struct app *app);

#endif
