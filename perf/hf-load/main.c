/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One port, one lcore, and what is said at the end.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "hf_par.h"
#include "load.h"

#define MAIN_IDLE_TURNS 256 /* without work, before others may have the CPU */

struct load {
	struct load_opts opts;
	struct hf_port *port;
	struct hf_net_shared *shared;
	struct hf_net *net;
	struct hf_tcp *tcp;
	struct load_client *client;
	struct load_stub *stub;
	struct load_wire wire;
	bool has_path, lean;
	uint64_t cpu_ns;
};

static volatile bool main_stop;

static void main_on_signal(int number)
{
	(void)number;
	main_stop = true;
}

static uint64_t main_clock_ns(clockid_t clock)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(clock, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A machine with fewer CPUs than programs that poll: whoever has nothing to do lets others. */
static void main_idle(bool worked, uint32_t *idle)
{
	*idle = worked ? 0 : *idle + 1;
	if (*idle > MAIN_IDLE_TURNS)
		(void)sched_yield();
}

static struct load *main_of(struct load_wire *wire)
{
	return HF_CONTAINER_OF(wire, struct load, wire);
}

static void main_wire_turn(struct load_wire *wire)
{
	struct load *load = main_of(wire);
	uint32_t left = wire->count - wire->filled;

	if (wire->filled > 0)
		hf_port_tx(load->port, 0, wire->frame, (uint16_t)wire->filled);
	memmove(wire->frame, wire->frame + wire->filled, left * sizeof(wire->frame[0]));
	wire->filled = 0;
	wire->count = left;
	if (rte_pktmbuf_alloc_bulk(
		    hf_port_mempool(load->port, 0), wire->frame + left, LOAD_BURST - left) == 0)
		wire->count = LOAD_BURST;
}

/* The client makes its frames itself; lib/net has found the way to the target. */
static bool main_turn_lean(struct load *load, uint64_t now_ns, bool *ret_on)
{
	struct rte_mbuf *burst[LOAD_BURST];
	struct load_wire *wire = &load->wire;
	uint16_t received;

	hf_port_tx_flush(load->port, 0);
	received = hf_port_rx(load->port, 0, burst, LOAD_BURST);
	load_client_frames(load->client, burst, received, now_ns);
	rte_pktmbuf_free_bulk(burst, received);
	*ret_on = load_client_turn(load->client, now_ns);
	if (wire->filled > 0)
		main_wire_turn(wire);
	return received > 0;
}

/* True: there was something to do. */
static bool main_turn(struct load *load, uint64_t now_ns, bool *ret_on)
{
	const struct hf_tcp_seg *segs;
	const struct hf_tcp_emit *emits;
	uint64_t now_us = now_ns / 1000;
	uint32_t received = hf_net_rx(load->net, now_us), count, sent;
	struct hf_path path;

	if (hf_unlikely(!load->has_path) && hf_net_path(load->net, &load->opts.target, &path)) {
		load_client_path_set(load->client, &path);
		load->has_path = true;
	}
	count = hf_net_segs(load->net, &segs);
	load_client_segments(load->client, segs, count, now_ns);
	hf_net_rx_done(load->net);
	*ret_on = load_client_turn(load->client, now_ns);
	hf_tcp_flush(load->tcp, now_us);
	sent = hf_tcp_emits(load->tcp, &emits);
	hf_net_tx(load->net, emits, sent);
	hf_tcp_emits_done(load->tcp);
	hf_net_flush(load->net, now_us);
	return received + sent > 0;
}

static int main_lcore_client(void *arg)
{
	struct load *load = arg;
	uint64_t cpu_ns = main_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	bool on = true, told = false;
	uint32_t idle = 0;

	hf_thread_enter(HF_THREAD_LCORE, "load");
	while (on) {
		uint64_t now_ns = main_clock_ns(CLOCK_MONOTONIC);

		if (main_stop && !told) {
			load_client_stop(load->client, now_ns);
			told = true;
		}
		main_idle(load->lean && load->has_path ? main_turn_lean(load, now_ns, &on)
						       : main_turn(load, now_ns, &on),
			&idle);
	}
	load->cpu_ns = main_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	return 0;
}

static int main_lcore_stub(void *arg)
{
	struct load *load = arg;
	uint32_t idle = 0;

	hf_thread_enter(HF_THREAD_LCORE, "stub");
	while (!main_stop)
		main_idle(load_stub_turn(load->stub), &idle);
	return 0;
}

static int main_client_new(struct load *load, struct hf_err *err)
{
	uint32_t connections = load->opts.connections;
	struct hf_tcp_cfg cfg;
	int rc;

	hf_tcp_cfg_default(&cfg);
	cfg.conns_max = 2 * connections + 16384; /* those in TIME_WAIT */
	cfg.spans_max = hf_max_u32(cfg.spans_max, 4 * connections);
	cfg.msl_ms = 1; /* or we would run out of ports */
	/* One host over several runs: sequence numbers and timestamps go on where the last run's ended, so
	 * that what is in TIME_WAIT at the other end may be opened again (RFC 6528, RFC 6191). */
	cfg.isn_key = (struct hf_sipkey){ 1, 2 };
	rc = hf_net_shared_new(&load->opts.conf, &load->port, 1, err, &load->shared);
	if (rc == 0)
		rc = hf_net_new(load->shared, 0, err, &load->net);
	if (rc < 0)
		return rc;
	rc = hf_tcp_new(&cfg, hf_clock_us(), &load->tcp);
	if (rc == 0)
		rc = load_client_new(&load->opts, load->tcp, &load->client);
	load->lean = load_is_lean(&load->opts);
	if (rc == 0 && load->lean) {
		struct hf_port_info info;

		hf_port_info(load->port, &info);
		load->wire.turn = main_wire_turn;
		rc = load_client_lean(load->client, &load->wire, info.mac);
	}
	return rc < 0 ? hf_err_set(err, rc, "no memory for %u connections and %u keys", connections,
				load->opts.keys)
		      : 0;
}

static int main_open(struct load *load, struct hf_err *err)
{
	int rc = hf_port_open(&load->opts.conf, 0, err, &load->port);

	if (rc < 0)
		return rc;
	if (load->opts.mode == LOAD_CLIENT)
		rc = main_client_new(load, err);
	else if (load_stub_new(&load->opts, load->port, &load->stub) < 0)
		rc = hf_err_set(err, -ENOMEM, "no memory for the stub");
	return rc < 0 ? rc : hf_port_start(load->port, err);
}

static void main_close(struct load *load)
{
	if (load->port)
		hf_port_stop(load->port);
	rte_pktmbuf_free_bulk(load->wire.frame, load->wire.count);
	load_client_free(load->client);
	load_stub_free(load->stub);
	hf_tcp_free(load->tcp);
	hf_net_free(load->net);
	hf_net_shared_free(load->shared);
	hf_port_close(load->port);
	hf_port_eal_fini();
}

static int main_tell(struct load *load)
{
	struct load_result result = *load_client_result(load->client);

	result.cpu_ns = load->cpu_ns;
	result.retransmits = hf_stat_sum(HF_STAT_TCP_RETRANSMITS);
	for (int i = HF_DROP_NONE + 1; i < HF_DROP_COUNT; i++)
		result.drops += hf_drop_sum((enum hf_drop)i);
	load_report(&load->opts, &result,
		load->opts.json && strcmp(load->opts.json, "-") == 0 ? stderr : stdout);
	if (load->opts.json && load_report_json(&load->opts, &result) < 0) {
		(void)fprintf(stderr, "hf-load: %s: cannot be written\n", load->opts.json);
		return 1;
	}
	return load_result_errors(&result) > 0 ? 1 : 0;
}

/* Asleep: EAL's own waiting polls, and would take the lcore's CPU. */
static void main_wait(uint32_t lcore)
{
	static const struct timespec period = { .tv_nsec = 1000000 };

	while (rte_eal_get_lcore_state(lcore) == RUNNING)
		(void)nanosleep(&period, NULL);
	(void)rte_eal_wait_lcore(lcore);
}

static int main_run(struct load *load, struct hf_err *err)
{
	bool is_client = load->opts.mode == LOAD_CLIENT;
	int rc = hf_port_eal_init(&load->opts.conf, err);

	if (rc < 0)
		return rc;
	hf_thread_enter(HF_THREAD_CONTROL, "main");
	rc = main_open(load, err);
	if (rc == 0) {
		(void)fputs("hf-load: ready\n", stderr);
		rc = rte_eal_remote_launch(
			is_client ? main_lcore_client : main_lcore_stub, load, hf_port_lcore_id(0));
		HF_ASSERT(rc == 0);
		main_wait(hf_port_lcore_id(0));
		rc = is_client ? main_tell(load) : 0;
	}
	main_close(load);
	return rc;
}

static bool main_cpu_set(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

int main(int argc, char **argv)
{
	static struct load load;
	struct hf_err err = { "" };
	int rc = load_args(argc, argv, stderr, &load.opts);

	if (rc != 0)
		return rc < 0 ? 2 : 0;
	(void)signal(SIGINT, main_on_signal);
	(void)signal(SIGTERM, main_on_signal);
	if (!main_cpu_set(load.opts.cpu)) {
		(void)fprintf(stderr, "hf-load: --cpu: found %d; allowed: a CPU of this machine\n",
			load.opts.cpu);
		return 2;
	}
	if (load.opts.mode == LOAD_ORIGIN)
		rc = load_origin_run(&load.opts, &main_stop);
	else
		rc = main_run(&load, &err);
	if (rc < 0 && err.text[0])
		(void)fprintf(stderr, "hf-load: %s\n", err.text);
	return rc == 0 ? 0 : 1;
}
