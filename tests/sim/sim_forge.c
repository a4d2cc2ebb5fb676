/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An attacker who knows addresses and ports, perhaps even the window, but not the exact sequence
 * numbers (RFC 5961, RFC 5927). Nothing it sends may be taken.
 */
#include "tcp_sim.h"

enum forge_kind {
	FORGE_RST,
	FORGE_SYN,
	FORGE_ACK_AHEAD,
	FORGE_OLD_DATA,
	FORGE_NO_FLAGS,
	FORGE_BAD_OPTION,
	FORGE_ICMP_OUTSIDE,
	FORGE_ICMP_TINY,
	FORGE_ICMP_LARGE,
	FORGE_KINDS
};

struct forge_at {
	uint32_t rcv_max, snd_una, snd_max;
};

static void forge_icmp(struct sim *sim, struct sim_flow *flow, uint32_t end,
	const struct forge_at *at, enum forge_kind kind)
{
	struct hf_tcp_icmp icmp = { .peer_port = flow->port[1 - end],
		.local_port = flow->port[end],
		.seq = at->snd_una + sim_rand(sim, at->snd_max - at->snd_una),
		.mtu = 1400,
		.ip_len = SIM_MTU,
		.too_big = sim_chance(sim, 900) };

	if (kind == FORGE_ICMP_OUTSIDE)
		icmp.seq = at->snd_max + 1 + sim_rand(sim, 1U << 30);
	else if (kind == FORGE_ICMP_LARGE)
		icmp.mtu = icmp.ip_len + sim_rand(sim, 1000);
	else
		icmp.mtu = 68 + sim_rand(sim, 500);
	/* a tiny one that guessed right is taken, down to what every path can */
	sim_host_icmp(sim->host[end], flow, &icmp, kind == FORGE_ICMP_TINY);
}

static void forge_segment(struct sim *sim, struct sim_flow *flow, uint32_t end,
	const struct forge_at *at, enum forge_kind kind)
{
	static const uint8_t bad[] = { 8, 0, 1, 1, 254, 1, 2, 4 };
	uint8_t data[100];
	struct hf_tcp_seg seg = { .sport = flow->port[1 - end],
		.dport = flow->port[end],
		.seq = at->rcv_max + 1 + sim_rand(sim, sim_chance(sim, 500) ? 20000 : 1U << 30),
		.ack = at->snd_una,
		.wnd = (uint16_t)sim_rand(sim, 65536),
		.flags = HF_TCP_ACK,
		.opt = bad,
		.payload = data };

	sim_ip(flow, 1 - end, &seg.src);
	sim_ip(flow, end, &seg.dst);
	sim_host_path(sim->host[end], &seg.path);
	sim_bytes_fill(flow, 1 - end, sim_rand(sim, 1000), data, sizeof(data));
	switch (kind) {
	case FORGE_RST:
		seg.flags = HF_TCP_RST | (sim_chance(sim, 500) ? HF_TCP_ACK : 0);
		break;
	case FORGE_SYN:
		seg.flags = HF_TCP_SYN | (sim_chance(sim, 500) ? HF_TCP_ACK : 0);
		break;
	case FORGE_ACK_AHEAD:
		seg.seq = at->rcv_max - sim_rand(sim, 3);
		seg.ack = at->snd_max + 1 + sim_rand(sim, 1U << 30);
		seg.payload_len = sim_rand(sim, sizeof(data));
		break;
	case FORGE_OLD_DATA:
		seg.seq = at->rcv_max - (1U << 30) - sim_rand(sim, 1U << 30);
		seg.payload_len = 1 + sim_rand(sim, sizeof(data) - 1);
		break;
	case FORGE_NO_FLAGS:
		seg.flags = sim_chance(sim, 500) ? HF_TCP_FIN : 0;
		break;
	default:
		seg.seq = at->rcv_max;
		seg.opt_len = sizeof(bad);
	}
	sim_host_forged(sim->host[end], &seg);
}

void sim_forge(struct sim *sim, struct sim_flow *flow, uint32_t end)
{
	enum forge_kind kind = sim_rand(sim, FORGE_KINDS);
	struct forge_at at;

	/* what a listener takes for a new connection is none of this */
	if (!flow->app[end] || !sim_app_opened(flow->app[end]) || sim_app_over(flow->app[end]) ||
		!sim_watch_seqs(flow->watch[end], &at.rcv_max, &at.snd_una, &at.snd_max))
		return;
	sim_say(sim, "flow %u: forged segment of kind %u to %u", flow->index, kind, end);
	if (kind >= FORGE_ICMP_OUTSIDE)
		forge_icmp(sim, flow, end, &at, kind);
	else
		forge_segment(sim, flow, end, &at, kind);
}
