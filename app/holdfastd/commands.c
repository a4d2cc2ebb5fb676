/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the commands of the socket do; lib/ctl has read, checked and will answer them. Those about
 * the cache are in commands_cache.c, and so on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"
#include "hf_log.h"
#include "hf_stat.h"

#define COMMAND_WAIT_MS    1000 /* for a worker's answer */
#define COMMAND_TRACES_MAX 4096 /* connections of one answer with traces: 4 MiB, ctl sends 8 */

static json_int_t stat_sum(enum hf_stat id)
{
	return (json_int_t)hf_stat_sum(id);
}

static uint64_t stat_of(const struct hf_stat_block *block, enum hf_stat id)
{
	return block ? atomic_load_explicit(&block->stat[id], memory_order_relaxed) : 0;
}

static json_t *command_status_ports(const struct app *app)
{
	json_t *ports = json_array();

	for (uint32_t i = 0; i < app->conf->port_count; i++) {
		struct hf_port_info info;
		char mac[18];

		hf_port_info(app->port[i], &info);
		(void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", info.mac[0],
			info.mac[1], info.mac[2], info.mac[3], info.mac[4], info.mac[5]);
		(void)json_array_append_new(ports,
			json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:i}", "device", info.device,
				"driver", info.driver, "mac", mac, "mtu", (int)info.mtu, "queues",
				(int)info.queues, "rss", (int)info.rss, "link_up",
				(int)info.link_up, "tso_max", (int)info.tso_max));
	}
	return ports;
}

static const char *command_mode(struct app *app)
{
	if (atomic_load(&app->draining))
		return "draining";
	return atomic_load(&app->mode) & HF_MODE_FALLBACK ? "fallback" : "normal";
}

static json_t *command_status(struct app *app)
{
	uint32_t conns = 0;
	struct hf_sync_info sync;

	for (uint32_t i = 0; i < app->workers; i++)
		conns += atomic_load(&app->worker[i].conns_open);
	hf_sync_info(app->sync, &sync);
	return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:b, s:s, s:o, s:{s:I, s:I, s:I}, "
			 "s:{s:I}, s:f, s:o}",
		"version", HF_VERSION, "node", app->conf->node, "mode", command_mode(app),
		"uptime_s", (json_int_t)((hf_clock_us() - app->started_us) / 1000000), "workers",
		(int)app->workers, "origin_threads", (int)app->origins, "connections", (int)conns,
		"hugepages", (int)hf_port_has_hugepages(), "state_version",
		app_state_version(&sync), "ports", command_status_ports(app), "cache", "objects",
		stat_sum(HF_STAT_CACHE_OBJECTS), "used_bytes", stat_sum(HF_STAT_CACHE_USED_BYTES),
		"memory_bytes", (json_int_t)app->conf->cache.memory, "origins", "fetches_in_flight",
		stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), "hit_p99_us", app_hit_p99_us(), "warm_start",
		app_warm_status(app));
}

static json_t *command_lcores(struct app *app)
{
	json_t *table = APP_TABLE_NEW("worker", "lcore", "turns", "idle_percent", "rx_packets",
		"tx_packets", "requests", "hits", "connections", "last_turn_us");
	uint64_t now_us = hf_clock_us();

	for (uint32_t i = 0; i < app->workers; i++) {
		struct app_worker *worker = &app->worker[i];
		const struct hf_stat_block *block = atomic_load(&worker->stats);
		uint64_t turns = stat_of(block, HF_STAT_LOOPS);
		uint64_t idle = stat_of(block, HF_STAT_LOOPS_IDLE);
		uint64_t beat_us = atomic_load(&worker->beat_us);

		app_table_add(
			table, json_pack("[i, i, I, I, I, I, I, I, i, I]", (int)i,
				       (int)hf_port_lcore_id(i), (json_int_t)turns,
				       (json_int_t)(turns ? idle * 100 / turns : 0),
				       (json_int_t)stat_of(block, HF_STAT_RX_PACKETS),
				       (json_int_t)stat_of(block, HF_STAT_TX_PACKETS),
				       (json_int_t)stat_of(block, HF_STAT_HTTP_REQUESTS),
				       (json_int_t)stat_of(block, HF_STAT_CACHE_HITS),
				       (int)atomic_load(&worker->conns_open),
				       (json_int_t)(now_us > beat_us ? now_us - beat_us : 0)));
	}
	return table;
}

static void conns_endpoint(const struct hf_ip *ip, uint16_t port, char *buf, size_t cap)
{
	char text[INET6_ADDRSTRLEN];

	if (hf_ip_is4(ip)) {
		(void)inet_ntop(AF_INET, ip->b + 12, text, sizeof(text));
		(void)snprintf(buf, cap, "%s:%u", text, port);
	} else {
		(void)inet_ntop(AF_INET6, ip->b, text, sizeof(text));
		(void)snprintf(buf, cap, "[%s]:%u", text, port);
	}
}

/* Oldest first, as objects that all have the same keys. */
static json_t *conns_trace(const struct hf_tcp_info *info, uint64_t now_us)
{
	json_t *events = json_array();

	for (uint32_t i = 0; i < info->trace_count; i++) {
		const struct hf_tcp_trace *trace = &info->trace[i];
		const char *arg = hf_tcp_trace_arg(trace->kind);
		json_t *value = json_null();

		if (trace->kind == HF_TCP_TRACE_DROP && trace->arg < HF_DROP_COUNT)
			value = json_string(hf_drop_infos[trace->arg].name);
		else if (*arg)
			value = json_integer(trace->arg);
		(void)json_array_append_new(
			events, json_pack("{s:I, s:s, s:s?, s:o}", "ago_us",
					(json_int_t)hf_tcp_trace_ago_us(trace, now_us), "event",
					hf_tcp_trace_name(trace->kind), "arg", *arg ? arg : NULL,
					"value", value));
	}
	return events;
}

static void conns_add(json_t *table, uint32_t worker, const struct app_conns *conns, bool trace)
{
	uint64_t now_us = hf_clock_us();
	const json_t *rows = json_object_get(table, "rows");

	for (uint32_t i = 0; i < conns->count; i++) {
		const struct hf_tcp_info *info = &conns->info[i];
		char peer[64], local[64];
		json_t *row;

		if (trace && json_array_size(rows) >= COMMAND_TRACES_MAX)
			break;
		conns_endpoint(&info->peer, info->peer_port, peer, sizeof(peer));
		conns_endpoint(&info->local, info->local_port, local, sizeof(local));
		row = json_pack("[i, s, s, s, I, I, I, I, I, I, I]", (int)worker, peer, local,
			info->state, (json_int_t)info->unacked, (json_int_t)info->unsent,
			(json_int_t)info->unread, (json_int_t)info->cwnd, (json_int_t)info->srtt_us,
			(json_int_t)info->retransmits, (json_int_t)info->age_s);
		if (trace)
			(void)json_array_append_new(row, conns_trace(info, now_us));
		app_table_add(table, row);
	}
}

/* The worker fills `conns` between its turns. False: it did not, in time; then it still may. */
static bool conns_ask(struct app_worker *worker, struct app_conns *conns)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	atomic_store(&worker->question, conns);
	for (uint32_t i = 0; i < COMMAND_WAIT_MS && !atomic_load(&conns->done); i++)
		(void)nanosleep(&pause, NULL);
	return atomic_load(&conns->done);
}

static json_t *command_conns(
	struct app *app, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	json_t *table = APP_TABLE_NEW("worker", "peer", "local", "state", "unacked", "unsent",
		"unread", "cwnd", "srtt_us", "retransmits", "age_s");
	bool trace = json_is_true(json_object_get(args, "trace"));

	if (trace)
		(void)json_array_append_new(
			json_object_get(table, "columns"), json_string("trace"));
	for (uint32_t i = 0; i < app->workers; i++) {
		struct app_conns *conns;

		if (atomic_load(&app->worker[i].question)) {
			(void)hf_err_set(
				err, 0, "worker %u is still busy with an earlier question", i);
			goto fail;
		}
		conns = calloc(1, sizeof(*conns));
		HF_ASSERT(conns != NULL);
		if (!conns_ask(&app->worker[i], conns)) {
			/* stuck: it may yet write the answer, so the memory stays its own */
			(void)hf_err_set(err, 0, "worker %u does not answer", i);
			goto fail;
		}
		conns_add(table, i, conns, trace);
		free(conns);
	}
	return table;
fail:
	*ret_internal = true;
	json_decref(table);
	return NULL;
}

/* Says which one it is, and sets it first if there is one. */
static json_t *command_loglevel(const json_t *args, struct hf_err *err)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	const char *level = json_string_value(json_object_get(args, "level"));
	size_t i = 0;

	while (level && i < HF_ARRAY_LEN(levels) && strcmp(level, levels[i]) != 0)
		i++;
	if (i == HF_ARRAY_LEN(levels)) {
		(void)hf_err_set(err, -EINVAL, "loglevel: LEVEL is debug, info, warn or error");
		return NULL;
	}
	if (level)
		hf_log_level_set((enum hf_log_level)i);
	return json_pack("{s:s}", "loglevel", levels[hf_log_threshold()]);
}

json_t *app_command(
	void *arg, enum hf_ctl_cmd cmd, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	struct app *app = arg;

	switch (cmd) {
	case HF_CTL_STATUS:
		return command_status(app);
	case HF_CTL_STATS:
		return app_command_stats(args);
	case HF_CTL_LCORES:
		return command_lcores(app);
	case HF_CTL_CONNS:
		return command_conns(app, args, ret_internal, err);
	case HF_CTL_DROPS:
		return app_command_drops();
	case HF_CTL_TOP:
		return app_command_top(app, args, err);
	case HF_CTL_LOG:
		return app_command_log(app, args, err);
	case HF_CTL_CACHE_SHOW:
		return app_command_cache_show(app, args, ret_internal, err);
	case HF_CTL_CACHE_LIST:
		return app_command_cache_list(app, args, ret_internal, err);
	case HF_CTL_PURGE:
		return app_command_purge(app, args, ret_internal, err);
	case HF_CTL_FALLBACK:
		return app_command_fallback(app, args, err);
	case HF_CTL_STATE_SHOW:
		return app_command_state_show(app, err);
	case HF_CTL_STATE_SYNC:
		return app_command_state_sync(app, err);
	case HF_CTL_STATE_HISTORY:
		return app_command_state_history(app);
	case HF_CTL_STATE_ROLLBACK:
		return app_command_state_rollback(app, args, err);
	case HF_CTL_ORIGIN_LIST:
		return app_command_origin_list(app, ret_internal, err);
	case HF_CTL_ORIGIN_EXPLAIN:
		return app_command_origin_explain(app, args, ret_internal, err);
	case HF_CTL_ORIGIN_DRAIN:
		return app_command_origin_change(app, HF_STATE_DRAIN, args, ret_internal, err);
	case HF_CTL_ORIGIN_RESUME:
		return app_command_origin_change(app, HF_STATE_RESUME, args, ret_internal, err);
	case HF_CTL_ORIGIN_ADD:
		return app_command_origin_change(app, HF_STATE_ADD, args, ret_internal, err);
	case HF_CTL_ORIGIN_REMOVE:
		return app_command_origin_change(app, HF_STATE_REMOVE, args, ret_internal, err);
	case HF_CTL_L2_STATUS:
		return app_command_l2_status(app, ret_internal, err);
	case HF_CTL_AUTH_STATUS:
		return app_command_auth_status(app);
	case HF_CTL_AUTH_REVOKE:
		return app_command_auth_revoke(app, args, err);
	case HF_CTL_CONFIG_SHOW:
		return app_command_config_show(app);
	case HF_CTL_CONFIG_CHECK:
		return app_command_config_check(app, args, err);
	case HF_CTL_CONFIG_RELOAD:
		return app_command_config_reload(app, ret_internal, err);
	case HF_CTL_DRAIN:
		atomic_store(&app->draining, true);
		return json_pack("{s:b}", "draining", 1);
	case HF_CTL_SHUTDOWN:
		app->shutdown_asked = true;
		return json_pack("{s:b}", "stopping", 1);
	case HF_CTL_LOGLEVEL:
		return command_loglevel(args, err);
	case HF_CTL_VERSION:
		return json_pack("{s:s}", "version", HF_VERSION);
	case HF_CTL_COUNT:
		break;
	}
	HF_ASSERT(!"a command of the table");
	return NULL;
}
