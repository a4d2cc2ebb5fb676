/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The world of one seed: what is drawn, the clock, and what must be true at the end.
 */
#include "tcp_sim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"

#define STEPS_MAX     3000000
#define SEGMENTS_MAX  300000
#define STREAM_MAX    2000000
#define TIME_MAX      (48 * 3600 * 1000000ULL)
#define TIME_MAX_WELL (600 * 1000000ULL) /* on a clean link */
#define WRAP_US       (1ULL << 32)       /* where 32 bits of microseconds end; of milliseconds: */
#define WRAP_MS       (1000ULL << 32)

static struct sim world;
static jmp_buf world_end;

uint64_t sim_world_seed(void)
{
	return world.seed;
}

static void world_complain(struct sim *sim, const char *format, va_list args)
{
	if (sim->failed)
		return;
	sim->failed = true;
	fflush(stdout);
	fprintf(stderr, "seed %lu at %lu us: ", (unsigned long)sim->seed,
		(unsigned long)sim->now_us);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	world_complain(sim, format, args);
	va_end(args);
}

void sim_say(const struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->verbose)
		return;
	printf("%10.3f ", (double)sim->now_us / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void sim_world_panic(const char *what, const char *file, int line, const char *func)
{
	sim_fail(&world, "%s:%d %s: %s", file, line, func, what);
	longjmp(world_end, 1);
}

static uint64_t world_stat(enum hf_stat id)
{
	return atomic_load_explicit(&hf_stat_own->stat[id], memory_order_relaxed);
}

bool sim_cookies_sent(const struct sim *sim)
{
	return world_stat(HF_STAT_TCP_COOKIES_SENT) > sim->cookies_before;
}

/* A listener that never heard of it: it drains; or it sent a cookie, and the ACK was lost or there was
 * no room when it came (RFC 4987 §3.6). */
static bool world_refused(const struct sim *sim, const struct sim_flow *flow)
{
	uint32_t end = flow->opening == SIM_OPEN_0 ? 1 : 0;

	return flow->opening != SIM_OPEN_BOTH && flow->app[end] &&
	       !sim_app_opened(flow->app[end]) &&
	       (sim_host_drained(sim->host[end]) || sim_cookies_sent(sim));
}

void sim_lost(struct sim *sim, struct sim_flow *flow, const char *how)
{
	sim_say(sim, "flow %u: %s", flow->index, how);
	if (flow->excuse || flow->lost)
		return;
	if (world_refused(sim, flow)) {
		flow->excuse = "refused";
		return;
	}
	flow->lost = true;
	sim->lost++;
	if (sim->lost > world_stat(HF_STAT_TCP_SHED) - sim->shed_before)
		sim_fail(sim, "flow %u: %s", flow->index, how);
}

static void world_draw_flow(struct sim *sim, uint32_t index, bool pair)
{
	struct sim_flow *flow = &sim->flow[index];
	uint64_t start = sim->now_us + sim_rand(sim, sim_chance(sim, 700) ? 20000 : 2000000);
	uint32_t draw = sim_rand(sim, 100);

	*flow = (struct sim_flow){ .index = index, .ip6 = index % 2 };
	flow->opening = draw < (pair ? 50U : 80U) ? SIM_OPEN_0 : SIM_OPEN_1;
	if (draw >= 90)
		flow->opening = SIM_OPEN_BOTH;
	for (uint32_t end = 0; end < 2; end++) {
		bool opens = flow->opening == SIM_OPEN_BOTH ||
			     flow->opening == (end == 0 ? SIM_OPEN_0 : SIM_OPEN_1);

		flow->start_us[end] = opens ? start : SIM_NEVER;
		flow->port[end] = (uint16_t)((end ? SIM_PORT_1 : SIM_PORT_0) + index);
		if (!opens && (pair || end == 1))
			flow->port[end] = SIM_PORT;
		flow->len[end] = flow->space[end] = sim_size(sim, STREAM_MAX);
		flow->base[end] = sim_rand(sim, 65536);
	}
}

static uint64_t world_draw_start(struct sim *sim)
{
	uint64_t before = 1 + sim_rand(sim, 2000000);

	if (sim_chance(sim, 700))
		return 1000000 + before;
	return (sim_chance(sim, 500) ? WRAP_US : WRAP_MS) - before;
}

static void world_draw(struct sim *sim, uint64_t seed, bool verbose)
{
	bool pair;

	*sim = (struct sim){ .seed = seed, .rng = seed, .verbose = verbose };
	sim->shed_before = world_stat(HF_STAT_TCP_SHED);
	sim->cookies_before = world_stat(HF_STAT_TCP_COOKIES_SENT);
	sim->now_us = world_draw_start(sim);
	sim->clean = sim_chance(sim, 120);
	pair = sim_chance(sim, 450);
	sim->flow_count = 1 + sim_rand(sim, sim_chance(sim, 500) ? 2 : SIM_FLOWS_MAX);
	sim->cut_us = sim_chance(sim, 30) ? sim->now_us + sim_rand(sim, 2000000) : SIM_NEVER;
	sim->drain_us = !sim->clean && sim_chance(sim, 30) ? sim->now_us + sim_rand(sim, 1000000)
							   : SIM_NEVER;
	for (uint32_t i = 0; i < sim->flow_count; i++)
		world_draw_flow(sim, i, pair);
	sim_link_draw(sim);
	if (pair)
		sim->host[0] = sim_host_new(sim, 0);
	sim->host[1] = sim_host_new(sim, 1);
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		struct sim_flow *flow = &sim->flow[i];

		if (!pair)
			flow->client = sim_client_new(sim, flow);
		for (uint32_t end = pair ? 0 : 1; end < 2; end++) {
			flow->watch[end] = sim_watch_new(sim, flow, end);
			flow->app[end] = sim_app_new(sim, flow, end);
		}
		sim_say(sim, "flow %u: %u and %u bytes, opened by %u, %s", i, flow->len[0],
			flow->len[1], flow->opening, flow->excuse ? flow->excuse : "");
	}
}

static uint64_t world_next_us(const struct sim *sim)
{
	uint64_t next = hf_min_u64(sim_link_next_us(&sim->link), sim->drain_us);

	for (uint32_t end = 0; end < 2; end++) {
		if (sim->host[end])
			next = hf_min_u64(next, hf_tcp_next_timer_us(sim_host_tcp(sim->host[end])));
	}
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		const struct sim_flow *flow = &sim->flow[i];

		if (flow->client)
			next = hf_min_u64(next, sim_client_next_us(flow->client));
		for (uint32_t end = 0; end < 2; end++) {
			if (flow->app[end])
				next = hf_min_u64(next, sim_app_next_us(flow->app[end]));
		}
	}
	return next;
}

static void world_too_big(struct sim *sim, struct sim_flow *flow, const struct sim_pkt *pkt)
{
	struct hf_tcp_icmp icmp = { .peer_port = flow->port[1 - pkt->to],
		.local_port = flow->port[pkt->to],
		.seq = pkt->seq,
		.mtu = pkt->mtu,
		.ip_len = (uint16_t)pkt->ip_len,
		.too_big = true };

	if (sim->host[pkt->to])
		sim_host_icmp(sim->host[pkt->to], flow, &icmp, /* may= */ true);
	else
		sim_client_too_big(flow->client, pkt->mtu);
}

static void world_arrive(struct sim *sim, const struct sim_pkt *pkt)
{
	struct sim_flow *flow = &sim->flow[pkt->flow];
	struct sim_seg seg;

	if (pkt->kind == SIM_TOO_BIG) {
		world_too_big(sim, flow, pkt);
	} else if (pkt->kind == SIM_FORGED) {
		sim_forge(sim, flow, pkt->to);
	} else if (!sim_pkt_open(pkt, &seg)) {
		sim_pkt_print(sim, pkt, "bad checksum");
	} else {
		sim_pkt_print(sim, pkt, "arrived");
		if (sim->host[pkt->to])
			sim_host_input(sim->host[pkt->to], flow, &seg);
		else
			sim_client_input(flow->client, &seg);
	}
}

/* Applications and clients whose time has come. */
static void world_tick_ends(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		struct sim_flow *flow = &sim->flow[i];

		if (flow->client && sim_client_next_us(flow->client) <= sim->now_us)
			sim_client_tick(flow->client);
		for (uint32_t end = 0; end < 2; end++) {
			if (flow->app[end] && sim_app_next_us(flow->app[end]) <= sim->now_us &&
				!sim->failed)
				sim_app_tick(flow->app[end]);
		}
	}
}

static void world_step(struct sim *sim)
{
	struct sim_pkt *pkt;

	for (uint32_t end = 0; end < 2; end++) {
		if (sim->host[end] && !sim->failed)
			sim_host_tick(sim->host[end]);
	}
	while (!sim->failed && (pkt = sim_link_next(sim))) {
		world_arrive(sim, pkt);
		free(pkt);
	}
	if (sim->drain_us <= sim->now_us) {
		sim->drain_us = SIM_NEVER;
		sim_host_drain(sim->host[1]);
	}
	world_tick_ends(sim);
	for (uint32_t end = 0; end < 2; end++) {
		if (sim->host[end] && !sim->failed)
			sim_host_flush(sim->host[end]);
	}
}

static uint32_t world_conns(const struct sim *sim)
{
	uint32_t count = 0;

	for (uint32_t end = 0; end < 2; end++)
		count += sim->host[end] ? hf_tcp_conn_count(sim_host_tcp(sim->host[end])) : 0;
	return count;
}

static bool world_over(const struct sim *sim)
{
	if (sim->now_us >= sim->cut_us)
		return true;
	if (sim->link.heap_len > 0 || world_conns(sim) > 0)
		return false;
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		const struct sim_flow *flow = &sim->flow[i];

		if ((flow->client && !sim_client_over(flow->client)) ||
			(flow->app[0] && !sim_app_over(flow->app[0])) ||
			!sim_app_over(flow->app[1]))
			return false;
	}
	return true;
}

/* Nothing was sent more often than what was to be sent asks for. */
static void world_check_economy(struct sim *sim)
{
	uint64_t needed = 40ULL * sim->flow_count + 3 * sim->calls;

	for (uint32_t i = 0; i < sim->flow_count; i++)
		needed += 3ULL * (sim->flow[i].len[0] + sim->flow[i].len[1]) / 88;
	if (sim->clean && sim->segments > needed)
		sim_fail(sim, "%lu segments, %lu ought to do", (unsigned long)sim->segments,
			(unsigned long)needed);
}

static void world_check_end(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		struct sim_flow *flow = &sim->flow[i];
		bool complete = flow->client ? sim_client_complete(flow->client)
					     : sim_app_complete(flow->app[0]);

		complete &= sim_app_complete(flow->app[1]);
		if (!complete)
			sim_lost(sim, flow, "incomplete");
	}
	world_check_economy(sim);
}

static void world_free(struct sim *sim)
{
	for (uint32_t end = 0; end < 2; end++)
		sim_host_free(sim->host[end]);
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		struct sim_flow *flow = &sim->flow[i];

		sim_client_free(flow->client);
		for (uint32_t end = 0; end < 2; end++) {
			sim_app_free(flow->app[end]);
			sim_watch_free(flow->watch[end]);
		}
	}
	sim_link_fini(&sim->link);
	if (!sim_app_released())
		sim_fail(sim, "bytes were never released");
}

static bool world_excuses(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->flow_count; i++) {
		if (sim->flow[i].excuse)
			return true;
	}
	return false;
}

static void world_live(struct sim *sim)
{
	bool well = sim->clean && !world_excuses(sim);
	uint64_t end_us = sim->now_us + (well ? TIME_MAX_WELL : TIME_MAX);
	uint32_t steps = 0;

	while (!sim->failed && !world_over(sim)) {
		uint64_t next = world_next_us(sim);

		sim->now_us = hf_max_u64(sim->now_us, hf_min_u64(next, end_us));
		if (next > end_us || ++steps > STEPS_MAX || sim->segments > SEGMENTS_MAX)
			sim_fail(sim, "stuck after %u steps, %lu segments: %u connections", steps,
				(unsigned long)sim->segments, world_conns(sim));
		else
			world_step(sim);
	}
	if (!sim->failed && sim->now_us < sim->cut_us)
		world_check_end(sim);
}

bool sim_world_run(uint64_t seed, bool verbose, uint64_t *segments, uint64_t *bytes)
{
	if (setjmp(world_end) == 0) {
		world_draw(&world, seed, verbose);
		world_live(&world);
		world_free(&world);
	} else {
		(void)sim_app_released(); /* what the world held stays where it is */
	}
	*segments += world.segments;
	*bytes += world.bytes;
	return !world.failed;
}
