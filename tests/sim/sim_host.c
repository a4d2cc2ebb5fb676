/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One stack of ours, and what lib/net does for it: packets from descriptors, segments from packets.
 * After each step the stack checks itself and the watch sees the new descriptors.
 */
#include "tcp_sim.h"

#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"

#define EMITS_LEAST  4 /* a segment sent again may have to be cut into as many */
#define LONG_MS      1200000
#define VERY_LONG_MS 36000000 /* for a peer that has still to send all of its bytes */

struct sim_host {
	struct sim *sim;
	uint32_t end;
	struct hf_tcp *tcp;
	struct hf_tcp_cfg cfg;
	uint32_t tso_max, flush_chance;
	uint32_t seen; /* descriptors that the watch has seen */
	uint32_t events;
	bool drained;
};

/* Everything may be scarce. */
static void host_draw_scarce(struct sim *sim, struct hf_tcp_cfg *cfg)
{
	if (sim_chance(sim, 200))
		cfg->conns_max = 1 + sim_rand(sim, sim->flow_count);
	cfg->syn_queue_max = sim_chance(sim, 300) ? sim_rand(sim, 2) : 1 + sim_rand(sim, 4);
	cfg->spans_max = 10 + sim_rand(sim, sim_chance(sim, 300) ? 40 : 2000);
	cfg->rxbufs_max = 1 + sim_rand(sim, sim_chance(sim, 300) ? 8 : 200);
	cfg->emits_max = EMITS_LEAST + sim_rand(sim, sim_chance(sim, 300) ? 10 : 200);
	cfg->rcv_wnd_init = 2000 + sim_rand(sim, sim_chance(sim, 500) ? 200000 : 10000);
	cfg->send_queue_max = 3000 + sim_rand(sim, sim_chance(sim, 500) ? 10000 : 500000);
	cfg->ecn = sim_chance(sim, 700);
}

/* Long enough for any loss, or short, and then whoever is slow has an excuse. */
static void host_draw_times(struct sim *sim, struct hf_tcp_cfg *cfg)
{
	bool brief = !sim->clean && sim_chance(sim, 80);

	cfg->msl_ms = 2000;
	cfg->syn_timeout_ms = brief ? 500 + sim_rand(sim, 10000) : LONG_MS;
	cfg->user_timeout_ms = brief ? 500 + sim_rand(sim, 20000) : LONG_MS;
	cfg->fin_timeout_ms = brief ? 100 + sim_rand(sim, 10000) : VERY_LONG_MS;
	cfg->drain_rate = brief ? sim_rand(sim, 2000) : 0;
	cfg->keepalive_probes = 60;
	if (sim_chance(sim, 200)) {
		cfg->keepalive_ms = 1000 + sim_rand(sim, 20000);
		cfg->keepalive_interval_ms = 1000 + sim_rand(sim, 5000);
		cfg->keepalive_probes = brief ? 3 : 60;
	}
	for (uint32_t i = 0; brief && i < sim->flow_count; i++)
		sim->flow[i].excuse = "short timeouts";
}

static void host_draw(struct sim_host *host)
{
	struct sim *sim = host->sim;
	struct hf_tcp_cfg *cfg = &host->cfg;

	hf_tcp_cfg_default(cfg);
	cfg->conns_max = SIM_FLOWS_MAX + sim_rand(sim, 6);
	cfg->syn_queue_max = SIM_FLOWS_MAX;
	cfg->spans_max = 4000;
	cfg->rxbufs_max = 2000;
	cfg->emits_max = 256;
	cfg->rcv_wnd_init = 65536;
	cfg->send_queue_max = 300000;
	host_draw_times(sim, cfg);
	if (!sim->clean)
		host_draw_scarce(sim, cfg);
	cfg->rcv_wnd_max = cfg->rcv_wnd_init + sim_rand(sim, sim_chance(sim, 500) ? 1000000 : 1);
	cfg->isn_key = (struct hf_sipkey){ sim_next(sim), sim_next(sim) };
	cfg->flow_key = (struct hf_sipkey){ sim_next(sim), sim_next(sim) };
	host->tso_max = sim_chance(sim, 500) ? 0 : 1000 + sim_rand(sim, 64000);
	host->flush_chance = sim_rand(sim, 1001);
}

struct sim_host *sim_host_new(struct sim *sim, uint32_t end)
{
	struct sim_host *host = calloc(1, sizeof(*host));

	HF_ASSERT(host);
	host->sim = sim;
	host->end = end;
	host_draw(host);
	HF_ASSERT(hf_tcp_new(&host->cfg, sim->now_us, &host->tcp) == 0);
	HF_ASSERT(hf_tcp_listen(host->tcp, SIM_PORT) == 0);
	return host;
}

void sim_host_free(struct sim_host *host)
{
	if (!host)
		return;
	hf_tcp_free(host->tcp);
	free(host);
}

struct hf_tcp *sim_host_tcp(struct sim_host *host)
{
	return host->tcp;
}

void sim_host_path(const struct sim_host *host, struct hf_path *ret_path)
{
	*ret_path = (struct hf_path){ .mtu = SIM_MTU, .tso_max = host->tso_max };
}

static struct sim_flow *host_flow(struct sim_host *host, const struct hf_tcp_emit *emit)
{
	for (uint32_t i = 0; i < host->sim->flow_count; i++) {
		struct sim_flow *flow = &host->sim->flow[i];

		if (emit->sport == flow->port[host->end] &&
			emit->dport == flow->port[1 - host->end])
			return flow;
	}
	sim_fail(host->sim, "a descriptor from port %u to %u", emit->sport, emit->dport);
	return NULL;
}

static void host_see(struct sim_host *host)
{
	const struct hf_tcp_emit *emits;
	uint32_t n = hf_tcp_emits(host->tcp, &emits);

	for (; host->seen < n && !host->sim->failed; host->seen++) {
		const struct hf_tcp_emit *emit = &emits[host->seen];
		struct sim_flow *flow = host_flow(host, emit);

		if (emit->len > hf_max_u32(emit->mss, host->tso_max))
			sim_fail(host->sim, "a descriptor of %u bytes", emit->len);
		if (flow)
			sim_watch_out(flow->watch[host->end], emit);
	}
}

static void host_check(struct sim_host *host)
{
	hf_tcp_check(host->tcp);
	host_see(host);
}

static void host_copy(const struct hf_tcp_emit *emit, uint32_t off, uint32_t len, uint8_t *ret_data)
{
	for (uint32_t i = 0; len > 0; off -= emit->piece[i].len, i++) {
		uint32_t n;

		if (off >= emit->piece[i].len)
			continue;
		n = hf_min_u32(emit->piece[i].len - off, len);
		memcpy(ret_data, emit->piece[i].data + off, n);
		ret_data += n;
		len -= n;
		off += n;
	}
}

/* Segments of one descriptor: CWR on the first (RFC 3168 §6.1.2), PSH and FIN on the last. */
static void host_pack(struct sim_host *host, const struct hf_tcp_emit *emit)
{
	struct sim_flow *flow = host_flow(host, emit);
	struct sim_seg seg = { .sport = emit->sport,
		.dport = emit->dport,
		.ack = emit->ack,
		.wnd = emit->wnd,
		.ecn = emit->ecn,
		.opt_len = emit->opt_len,
		.may_fragment = emit->may_fragment };
	uint32_t off = 0;

	memcpy(seg.opt, emit->opt, emit->opt_len);
	do {
		struct sim_pkt *pkt;
		uint32_t later = emit->len > off + emit->mss ? HF_TCP_PSH | HF_TCP_FIN : 0;

		seg.len = hf_min_u32(emit->mss, emit->len - off);
		seg.seq = emit->seq + off;
		seg.flags = (uint8_t)(emit->flags & ~(later | (off > 0 ? HF_TCP_CWR : 0U)));
		pkt = sim_pkt_new(host->sim, flow->index, host->end, &seg);
		host_copy(emit, off, seg.len, sim_pkt_data(pkt));
		sim_pkt_seal(pkt);
		sim_post(host->sim, pkt);
		off += seg.len;
	} while (off < emit->len);
}

void sim_host_flush(struct sim_host *host)
{
	const struct hf_tcp_emit *emits;
	uint32_t n;

	hf_tcp_flush(host->tcp, host->sim->now_us);
	n = hf_tcp_emits(host->tcp, &emits);
	if (n > host->seen)
		host_check(host);
	for (uint32_t i = 0; i < n && !host->sim->failed; i++)
		host_pack(host, &emits[i]);
	hf_tcp_emits_done(host->tcp);
	host->seen = 0;
}

/* The longest idle connection is one that is idle. */
static void host_check_idle(struct sim_host *host)
{
	struct sim_app *oldest = hf_tcp_idle_oldest(host->tcp);

	if (oldest && !sim_app_idle(oldest))
		sim_fail(host->sim, "the longest idle connection is not idle");
}

static void host_check_info(struct sim_host *host)
{
	uint32_t cursor = 0, count = 0;
	struct hf_tcp_info info;

	while (hf_tcp_conn_next(host->tcp, &cursor, &info)) {
		if (!info.state || info.mss == 0 || info.rto_us == 0 ||
			info.trace_count > HF_TCP_TRACE_MAX)
			sim_fail(host->sim, "senseless info");
		count++;
	}
	if (count > hf_tcp_conn_count(host->tcp))
		sim_fail(host->sim, "info of %u connections", count);
}

/* A listener's new connection is its flow's. */
static struct sim_app *host_app(struct sim_host *host, const struct hf_tcp_event *event)
{
	struct hf_tcp_info info;

	if (event->user || !(event->what & HF_TCP_EV_OPEN))
		return event->user;
	hf_tcp_info(host->tcp, event->conn, &info);
	for (uint32_t i = 0; i < host->sim->flow_count; i++) {
		struct sim_flow *flow = &host->sim->flow[i];

		if (info.peer_port == flow->port[1 - host->end] &&
			info.local_port == flow->port[host->end])
			return flow->app[host->end];
	}
	return NULL;
}

static void host_events(struct sim_host *host)
{
	struct hf_tcp_event event;

	while (!host->sim->failed && hf_tcp_next_event(host->tcp, &event)) {
		struct sim_app *app = host_app(host, &event);

		if (!app) {
			sim_fail(host->sim, "an event of nobody's connection");
			return;
		}
		sim_app_event(app, &event);
		host_see(host);
		host->events++;
	}
	if (!host->sim->failed && host->events % 16 == 1) {
		host_check_idle(host);
		host_check_info(host);
		host->events++;
	}
}

static void host_took(struct sim_host *host)
{
	host_see(host);
	host_events(host);
	host_check(host);
	hf_tcp_input_end(host->tcp);
	host_check(host);
	host_events(host);
	if (sim_chance(host->sim, host->flush_chance))
		sim_host_flush(host);
}

void sim_host_input(struct sim_host *host, struct sim_flow *flow, const struct sim_seg *in)
{
	struct sim_watch *watch = flow->watch[host->end];
	/* gone afterwards, so that whoever reads it late is seen */
	uint8_t *copy = malloc(in->len + 1);
	struct hf_tcp_seg seg = { .sport = in->sport,
		.dport = in->dport,
		.seq = in->seq,
		.ack = in->ack,
		.wnd = in->wnd,
		.flags = in->flags,
		.ecn = in->ecn,
		.opt_len = in->opt_len,
		.opt = in->opt,
		.payload = copy,
		.payload_len = in->len };
	int drop;

	HF_ASSERT(copy);
	memcpy(copy, in->data, in->len);
	sim_ip(flow, 1 - host->end, &seg.src);
	sim_ip(flow, host->end, &seg.dst);
	sim_host_path(host, &seg.path);
	sim_watch_in(watch, in);
	drop = hf_tcp_input(host->tcp, &seg, host->sim->now_us);
	sim_watch_took(watch, in, drop);
	if (drop == HF_DROP_TCP_BAD_COOKIE)
		flow->excuse = "an ACK overtook the cookie's";
	host_took(host);
	free(copy);
}

void sim_host_forged(struct sim_host *host, const struct hf_tcp_seg *seg)
{
	int drop = hf_tcp_input(host->tcp, seg, host->sim->now_us);

	if (drop == 0)
		sim_fail(host->sim, "a forged segment was taken: flags %x", seg->flags);
	host_took(host);
}

void sim_host_icmp(
	struct sim_host *host, struct sim_flow *flow, const struct hf_tcp_icmp *quote, bool may)
{
	struct hf_tcp_icmp icmp = *quote;
	int drop;

	sim_ip(flow, 1 - host->end, &icmp.peer);
	sim_ip(flow, host->end, &icmp.local);
	drop = hf_tcp_icmp(host->tcp, &icmp, host->sim->now_us);
	if (drop == 0 && icmp.too_big && !may)
		sim_fail(host->sim, "a forged ICMP message was taken");
	if (drop == 0 && icmp.too_big)
		sim_watch_too_big(flow->watch[host->end], icmp.mtu);
	host_check(host);
	host_events(host);
	sim_host_flush(host);
}

void sim_host_tick(struct sim_host *host)
{
	const struct hf_tcp_emit *emits;
	bool due = hf_tcp_next_timer_us(host->tcp) <= host->sim->now_us;

	hf_tcp_tick(host->tcp, host->sim->now_us);
	if (due)
		host_check(host);
	else if (hf_tcp_emits(host->tcp, &emits) > host->seen)
		sim_fail(host->sim, "a timer fired before hf_tcp_next_timer_us");
	host_events(host);
}

void sim_host_drain(struct sim_host *host)
{
	hf_tcp_listen_stop(host->tcp);
	host->drained = true;
}

bool sim_host_drained(const struct sim_host *host)
{
	return host->drained;
}
