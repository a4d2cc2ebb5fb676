/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The other end, as simple as can be and with nothing of lib/tcp in it: a send window resent as a
 * whole, a byte map for reassembly, and eyes for everything that our stack must not do.
 */
#include <stdlib.h>
#include <string.h>

#include "tcp_sim.h"

#define RTO_FIRST_US 300000
#define RTO_MAX_US   8000000
#define READ_US      5000
#define NEVER        UINT64_MAX
#define NO_FIN       UINT32_MAX

void client_init(struct sim *sim, struct client *c, uint32_t index)
{
	static const uint16_t sizes[] = { 0, 60, 88, 300, 536, 1000, 1220, 1440, 1460 };
	uint32_t plan = sim_rand(sim, 100);

	memset(c, 0, sizeof(*c));
	c->index = index;
	c->port = (uint16_t)(10000 + index);
	c->plan = plan < 35   ? PLAN_SERVER_CLOSES
		  : plan < 60 ? PLAN_HALF_CLOSE
		  : plan < 85 ? PLAN_BOTH
		  : plan < 95 ? PLAN_RESET
			      : PLAN_VANISH;
	c->req_len = 1 + sim_rand(sim, sim_chance(sim, 500) ? 60000 : 800);
	c->resp_len = sim_rand(sim, sim_chance(sim, 300) ? 400000 : 20000);
	c->stop_at = sim_rand(sim, c->resp_len + 1);
	c->buf_max = 600 + sim_rand(sim, sim_chance(sim, 500) ? 200000 : 8000);
	c->read_per_ms = sim_chance(sim, 300) ? 5 + sim_rand(sim, 400) : 0;
	c->cwnd = 1000 + sim_rand(sim, 30000);
	c->mss = sizes[sim_rand(sim, HF_ARRAY_LEN(sizes))];
	c->wscale = sim_chance(sim, 600) ? (int)sim_rand(sim, 9) : -1;
	c->ack_every = 1 + sim_rand(sim, 3);
	c->delack_us = 10000 + sim_rand(sim, 190000);
	c->iss = sim_rand(sim, UINT32_MAX);
	c->fin_at = NO_FIN;
	c->have = calloc(1, (size_t)c->resp_len + 1);
	c->rto_us = RTO_FIRST_US;
	c->rto_at_us = sim->now_us + sim_rand(sim, 20000);
	c->delack_at_us = NEVER;
	c->read_at_us = NEVER;
}

void client_fini(struct client *c)
{
	free(c->have);
}

static uint32_t client_mss(const struct client *c)
{
	uint32_t room = c->index % 2 ? 1440 : 1460; /* odd ones speak IPv6 */

	if (c->mss == 0)
		return c->index % 2 ? 1220 : 536;
	return hf_min_u32(hf_max_u32(c->mss, 88), room);
}

static uint16_t client_window(struct client *c)
{
	uint32_t scale = c->wscale >= 0 ? (uint32_t)c->wscale : 0;
	uint32_t edge = c->read + c->buf_max;
	uint32_t rcv = hf_min_u32(c->rcv, c->resp_len);
	uint32_t window;

	if (edge < c->edge + hf_min_u32(c->buf_max / 2, client_mss(c)))
		edge = c->edge;
	window = edge > rcv ? edge - rcv : 0;
	window = hf_min_u32(window >> scale, UINT16_MAX);
	c->edge = hf_max_u32(c->edge, rcv + (window << scale));
	return (uint16_t)window;
}

static void client_post(
	struct sim *sim, struct client *c, uint8_t flags, uint32_t off, uint32_t len)
{
	struct sim_pkt *pkt = sim_pkt_new(c->index, /* to_client= */ false, len);

	pkt->flags = flags | HF_TCP_ACK;
	pkt->seq = c->iss + 1 + off;
	pkt->ack = c->irs + 1 + c->rcv;
	pkt->wnd = client_window(c);
	for (uint32_t i = 0; i < len; i++)
		pkt->data[i] = sim_byte(sim, c->index, /* response= */ false, off + i);
	c->ack_owed = 0;
	c->delack_at_us = NEVER;
	sim_post(sim, pkt);
}

static void client_syn(struct sim *sim, struct client *c)
{
	struct sim_pkt *pkt = sim_pkt_new(c->index, /* to_client= */ false, 0);
	uint8_t *opt = pkt->opt;

	pkt->flags = HF_TCP_SYN;
	pkt->seq = c->iss;
	pkt->wnd = (uint16_t)hf_min_u32(c->buf_max, UINT16_MAX);
	c->edge = hf_max_u32(c->edge, pkt->wnd);
	if (c->mss) {
		memcpy(opt, (uint8_t[]){ 2, 4, (uint8_t)(c->mss >> 8), (uint8_t)c->mss }, 4);
		pkt->opt_len += 4;
	}
	if (c->wscale >= 0) {
		memcpy(opt + pkt->opt_len, (uint8_t[]){ 1, 3, 3, (uint8_t)c->wscale }, 4);
		pkt->opt_len += 4;
	}
	sim_post(sim, pkt);
}

static bool client_wants_fin(const struct client *c)
{
	switch (c->plan) {
	case PLAN_HALF_CLOSE:
		return true;
	case PLAN_BOTH:
		return c->rcv >= c->stop_at;
	default:
		return c->fin_at != NO_FIN && c->rcv > c->fin_at;
	}
}

static void client_arm(const struct sim *sim, struct client *c)
{
	bool waits = c->una < c->req_len || (client_wants_fin(c) && !c->fin_acked);

	c->rto_at_us = waits ? sim->now_us + c->rto_us : NEVER;
}

/* New data, or old data from nxt on; false when nothing went out. */
static bool client_send(struct sim *sim, struct client *c, bool probe)
{
	uint32_t limit = hf_min_u32(c->peer_edge, c->una + c->cwnd);
	bool sent = false;

	if (probe && limit <= c->nxt)
		limit = c->nxt + 1;
	while (c->nxt < c->req_len && c->nxt < limit) {
		uint32_t len = hf_min_u32(c->req_len, limit) - c->nxt;
		bool fin;

		len = hf_min_u32(len, c->peer_mss);
		fin = c->plan == PLAN_HALF_CLOSE && c->nxt + len == c->req_len;
		client_post(sim, c, fin ? HF_TCP_FIN : 0, c->nxt, len);
		c->nxt += len + fin;
		sent = true;
	}
	if (c->nxt == c->req_len && client_wants_fin(c)) {
		client_post(sim, c, HF_TCP_FIN, c->nxt, 0);
		c->nxt++;
		sent = true;
	}
	c->max = hf_max_u32(c->max, c->nxt);
	if (sent && c->rto_at_us == NEVER)
		client_arm(sim, c);
	return sent;
}

static void client_established(struct sim *sim, struct client *c, const struct sim_pkt *pkt)
{
	bool scaled = false;

	if (pkt->ack != c->iss + 1)
		sim_fail(sim, "client %u: SYN-ACK acknowledges something else", c->index);
	if (pkt->len)
		sim_fail(sim, "client %u: data in a SYN-ACK", c->index);
	c->syn_acked = true;
	c->irs = pkt->seq;
	c->peer_mss = 536;
	c->peer_edge = pkt->wnd;
	for (uint32_t i = 0; i < pkt->opt_len; i += pkt->opt[i] == 1 ? 1 : pkt->opt[i + 1]) {
		if (pkt->opt[i] == 2)
			c->peer_mss = (uint32_t)pkt->opt[i + 2] << 8 | pkt->opt[i + 3];
		if (pkt->opt[i] == 3) {
			c->peer_shift = pkt->opt[i + 2];
			scaled = true;
		}
	}
	if (scaled != (c->wscale >= 0))
		sim_fail(sim, "client %u: window scale was not answered", c->index);
	c->rto_us = RTO_FIRST_US;
	client_arm(sim, c);
	if (c->read_per_ms)
		c->read_at_us = sim->now_us + READ_US;
	if (!client_send(sim, c, /* probe= */ false))
		client_post(sim, c, 0, c->nxt, 0);
}

static void client_acked(struct sim *sim, struct client *c, const struct sim_pkt *pkt)
{
	uint32_t off = pkt->ack - c->iss - 1;
	uint32_t edge = off + ((uint32_t)pkt->wnd << c->peer_shift);

	if ((int32_t)(off - c->max) > 0) {
		sim_fail(sim, "client %u: %u acknowledged, %u sent", c->index, off, c->max);
		return;
	}
	if ((int32_t)(edge - c->peer_edge) > 0)
		c->peer_edge = edge;
	if ((int32_t)(off - c->una) <= 0)
		return;
	c->una = off;
	if (c->nxt < c->una)
		c->nxt = c->una;
	c->fin_acked = off == c->req_len + 1;
	c->rto_us = RTO_FIRST_US;
	client_arm(sim, c);
}

/* Checks each byte against the stream and takes what the window allows. */
static void client_data(struct sim *sim, struct client *c, const struct sim_pkt *pkt)
{
	uint32_t off = pkt->seq - c->irs - 1;
	uint32_t before = c->rcv;

	if (pkt->len > client_mss(c))
		sim_fail(sim, "client %u: %u bytes in a segment", c->index, pkt->len);
	if (off + pkt->len > c->resp_len)
		return sim_fail(sim, "client %u: bytes behind the end", c->index);
	if (pkt->len && off + pkt->len > c->edge + 1)
		return sim_fail(sim, "client %u: window ignored: %u > %u", c->index, off + pkt->len,
			c->edge);
	for (uint32_t i = 0; i < pkt->len; i++) {
		if (pkt->data[i] != sim_byte(sim, c->index, /* response= */ true, off + i))
			return sim_fail(sim, "client %u: wrong byte at %u", c->index, off + i);
		if (off + i < c->edge)
			c->have[off + i] = 1;
	}
	if (pkt->flags & HF_TCP_FIN) {
		if (off + pkt->len != c->resp_len)
			return sim_fail(sim, "client %u: FIN at %u", c->index, off + pkt->len);
		c->fin_at = off + pkt->len;
	}
	while (c->rcv < c->resp_len && c->have[c->rcv])
		c->rcv++;
	if (c->rcv == c->fin_at)
		c->rcv++;
	sim->bytes += hf_min_u32(c->rcv, c->resp_len) - hf_min_u32(before, c->resp_len);
	if (!c->read_per_ms)
		c->read = hf_min_u32(c->rcv, c->resp_len);
	c->ack_owed++;
	if (off != before || c->rcv == before || (pkt->flags & HF_TCP_FIN))
		c->ack_owed = c->ack_every; /* something is out of order: at once */
}

static void client_answer(struct sim *sim, struct client *c)
{
	if (client_send(sim, c, /* probe= */ false) || c->ack_owed == 0)
		return;
	if (c->ack_owed >= c->ack_every)
		client_post(sim, c, 0, c->nxt, 0);
	else if (c->delack_at_us == NEVER)
		c->delack_at_us = sim->now_us + c->delack_us;
}

static void client_reset(struct sim *sim, struct client *c, uint32_t seq)
{
	struct sim_pkt *pkt = sim_pkt_new(c->index, /* to_client= */ false, 0);

	pkt->flags = HF_TCP_RST;
	pkt->seq = seq;
	sim_post(sim, pkt);
}

static void client_rst_input(struct sim *sim, struct client *c)
{
	bool over = c->fin_at != NO_FIN && c->rcv > c->fin_at;

	if (!c->done && !over && c->plan != PLAN_RESET && c->plan != PLAN_VANISH)
		sim_fail(sim, "client %u: reset at %u of %u", c->index, c->rcv, c->resp_len);
	c->done = true;
	c->dead = true;
	c->rto_at_us = c->delack_at_us = c->read_at_us = NEVER;
}

/* Breaks off in the middle, if that is the plan. */
static bool client_stops(struct sim *sim, struct client *c)
{
	if ((c->plan != PLAN_RESET && c->plan != PLAN_VANISH) || c->una < c->req_len ||
		c->rcv < c->stop_at)
		return false;
	c->done = true;
	c->dead = true;
	c->rto_at_us = c->delack_at_us = c->read_at_us = NEVER;
	if (c->plan == PLAN_RESET)
		client_reset(sim, c, c->iss + 1 + c->nxt);
	return true;
}

void client_input(struct sim *sim, struct client *c, const struct sim_pkt *pkt)
{
	if (c->dead) {
		if (c->plan != PLAN_VANISH && !(pkt->flags & HF_TCP_RST))
			client_reset(sim, c, pkt->ack);
		return;
	}
	if (pkt->flags & HF_TCP_RST)
		return client_rst_input(sim, c);
	if (!c->syn_acked) {
		if (pkt->flags & HF_TCP_SYN)
			client_established(sim, c, pkt);
		return;
	}
	client_acked(sim, c, pkt);
	if (pkt->flags & HF_TCP_SYN)
		c->ack_owed = c->ack_every;
	else if (pkt->len || (pkt->flags & HF_TCP_FIN))
		client_data(sim, c, pkt);
	if (sim->failed || client_stops(sim, c))
		return;
	client_answer(sim, c);
	c->done = c->fin_acked && c->fin_at != NO_FIN && c->rcv > c->fin_at;
}

static void client_read(struct sim *sim, struct client *c)
{
	uint32_t rcv = hf_min_u32(c->rcv, c->resp_len);
	uint32_t gain;

	c->read = hf_min_u32(rcv, c->read + c->read_per_ms * (READ_US / 1000));
	c->read_at_us = sim->now_us + READ_US;
	if (sim_chance(sim, 10)) /* long enough for probes */
		c->read_at_us += sim_rand(sim, 5000000);
	gain = c->read + c->buf_max > c->edge ? c->read + c->buf_max - c->edge : 0;
	if (gain >= hf_min_u32(c->buf_max / 2, 2 * client_mss(c)) && !c->done)
		client_post(sim, c, 0, c->nxt, 0);
	if (c->done && c->read == c->resp_len)
		c->read_at_us = NEVER;
}

void client_tick(struct sim *sim, struct client *c)
{
	if (c->read_at_us <= sim->now_us)
		client_read(sim, c);
	if (c->delack_at_us <= sim->now_us)
		client_post(sim, c, 0, c->nxt, 0);
	if (c->rto_at_us > sim->now_us)
		return;
	c->rto_us = c->rto_us * 2 > RTO_MAX_US ? RTO_MAX_US : c->rto_us * 2;
	if (!c->syn_acked) {
		client_syn(sim, c);
		c->rto_at_us = sim->now_us + c->rto_us;
		return;
	}
	c->nxt = c->una;
	(void)client_send(sim, c, /* probe= */ true);
	client_arm(sim, c);
}

uint64_t client_next_us(const struct client *c)
{
	return hf_min_u64(c->rto_at_us, hf_min_u64(c->delack_at_us, c->read_at_us));
}
