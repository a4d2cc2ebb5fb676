/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The reference: a TCP as simple as can be, with nothing of lib/tcp in it. Sends a window at a time
 * and all of it again on a timeout; keeps a list of ranges for what it received; has moods (which
 * options, how it acknowledges, reads, shrinks its window, forgets what it SACKed) and eyes for
 * everything that our stack must not do.
 *
 * Picture   sim_client_input -> client_opening | client_acked, client_data -> client_answer
 *           sequence numbers are kept as offsets: the first byte is 0, the FIN stands at len
 */
#include <stdlib.h>
#include <string.h>

#include "sim_client.h"

#define RTO_FIRST_US 300000
#define RTO_MAX_US   8000000
#define SILENCE_US   60000000
#define DEAF_RTOS    3 /* in a row: perhaps the path takes small packets only */

static void client_draw_manners(struct sim *sim, struct sim_client *c)
{
	c->buf_max = 60000 + sim_rand(sim, 100000);
	c->ack_every = 1 + sim_rand(sim, 2);
	c->delack_us = 10000 + sim_rand(sim, 30000);
	c->divide = 1;
	if (sim->clean)
		return;
	if (sim_chance(sim, 500))
		c->buf_max = 600 + sim_rand(sim, 8000);
	c->read_per_ms = sim_chance(sim, 300) ? 5 + sim_rand(sim, 400) : 0;
	c->shrink = sim_chance(sim, 150) ? 1 + sim_rand(sim, 20) : 0;
	c->ack_every = 1 + sim_rand(sim, 4);
	c->delack_us = 1000 + sim_rand(sim, 199000);
	c->divide = sim_chance(sim, 150) ? 2 + sim_rand(sim, 10) : 1;
	c->renege = sim_chance(sim, 100) ? 1 + sim_rand(sim, 100) : 0;
}

static void client_draw_options(struct sim *sim, struct sim_client *c)
{
	static const uint16_t sizes[] = { 0, 60, 88, 300, 536, 1000, 1220, 1440, 1460 };

	c->mss = sizes[sim_rand(sim, HF_ARRAY_LEN(sizes))];
	c->wscale = sim_chance(sim, 600) ? (int)sim_rand(sim, sim_chance(sim, 900) ? 9 : 15) : -1;
	/* a window of less than its own unit is none at all */
	while (c->wscale > 0 && c->buf_max >> c->wscale < CLIENT_BUF_UNITS)
		c->wscale--;
	c->ts = sim_chance(sim, 600);
	c->sack = sim_chance(sim, 700);
	c->dsack = sim_chance(sim, 700);
	c->ecn = sim_chance(sim, 500);
	c->ect = sim_chance(sim, 500) ? HF_TCP_ECN_ECT0 : HF_TCP_ECN_ECT1;
	c->ts_off = (uint32_t)sim_next(sim);
	c->iss = sim_chance(sim, 300) ? 0 - sim_rand(sim, 100000) : (uint32_t)sim_next(sim);
}

static enum client_plan client_draw_plan(struct sim *sim, struct sim_flow *flow)
{
	uint32_t draw = sim_rand(sim, 100);

	if (draw >= 35 && draw < 85)
		return draw < 60 ? PLAN_HALF_CLOSE : PLAN_BOTH;
	flow->waits[0] = true;
	if (draw < 35)
		return PLAN_WAITS;
	flow->excuse = "the client breaks off";
	return draw < 92 ? PLAN_RESET : draw < 96 ? PLAN_VANISH : PLAN_DEAF;
}

struct sim_client *sim_client_new(struct sim *sim, struct sim_flow *flow)
{
	struct sim_client *c = calloc(1, sizeof(*c));

	HF_ASSERT(c);
	c->sim = sim;
	c->flow = flow;
	c->plan = client_draw_plan(sim, flow);
	client_draw_manners(sim, c);
	client_draw_options(sim, c);
	c->stop_at = sim_rand(sim, flow->len[1] + 1);
	c->cwnd = 1000 + sim_rand(sim, 30000);
	c->fin_at = CLIENT_NO_FIN;
	c->rto_us = RTO_FIRST_US;
	c->start_us = flow->start_us[0];
	c->deaf_until_us = c->plan == PLAN_DEAF ? sim->now_us + sim_rand(sim, 30000000) : SIM_NEVER;
	c->rto_at_us = c->delack_at_us = c->read_at_us = c->silent_at_us = SIM_NEVER;
	return c;
}

void sim_client_free(struct sim_client *c)
{
	free(c);
}

bool sim_client_over(const struct sim_client *c)
{
	return c->done || (c->state == CLIENT_IDLE && c->start_us == SIM_NEVER);
}

bool sim_client_complete(const struct sim_client *c)
{
	return c->done && c->rcv == c->flow->len[1] + 1;
}

uint64_t sim_client_next_us(const struct sim_client *c)
{
	uint64_t next = hf_min_u64(c->rto_at_us, hf_min_u64(c->delack_at_us, c->read_at_us));

	next = hf_min_u64(next, c->done ? SIM_NEVER : c->deaf_until_us);
	return hf_min_u64(next, hf_min_u64(c->start_us, c->silent_at_us));
}

static uint32_t client_now_ts(const struct sim_client *c)
{
	return (uint32_t)(c->sim->now_us / 1000) + c->ts_off;
}

static void client_options(struct sim_client *c, struct sim_opts *opts)
{
	*opts = (struct sim_opts){ .wscale = -1, .ts = c->ts };
	opts->ts_val = client_now_ts(c);
	opts->ts_ecr = c->ts_recent;
	if (c->sack)
		sim_client_blocks(c, opts);
}

static void client_put(struct sim_client *c, const struct sim_seg *seg, uint32_t off)
{
	struct sim_pkt *pkt = sim_pkt_new(c->sim, c->flow->index, 0, seg);

	sim_bytes_fill(c->flow, 0, off, sim_pkt_data(pkt), seg->len);
	sim_pkt_seal(pkt);
	sim_post(c->sim, pkt);
}

static struct sim_seg client_seg(const struct sim_client *c, uint8_t flags, uint32_t seq)
{
	return (struct sim_seg){
		.sport = c->flow->port[0], .dport = c->flow->port[1], .seq = seq, .flags = flags
	};
}

/* Sends up to *len bytes from `off` on, acknowledges up to `rcv`; returns how many bytes. */
static uint32_t client_post_at(
	struct sim_client *c, uint8_t flags, uint32_t off, uint32_t len, uint32_t rcv)
{
	struct sim_seg seg = client_seg(c, flags | HF_TCP_ACK, c->iss + 1 + off);
	struct sim_opts opts;

	client_options(c, &opts);
	seg.opt_len = sim_opts_build(&opts, seg.opt);
	seg.len = hf_min_u32(len, c->seg_max - seg.opt_len);
	if (seg.len < len)
		seg.flags &= (uint8_t)~HF_TCP_FIN;
	seg.ack = c->irs + 1 + rcv;
	seg.wnd = sim_client_window(c, rcv);
	if (c->ecn && c->ece)
		seg.flags |= HF_TCP_ECE;
	if (c->ecn && seg.len > 0 && off >= c->max) {
		seg.ecn = c->ect;
		seg.flags |= c->cwr_due ? HF_TCP_CWR : 0;
		c->cwr_due = false;
	}
	c->ack_sent = seg.ack;
	c->ack_owed = 0;
	c->delack_at_us = SIM_NEVER;
	client_put(c, &seg, off);
	return seg.len;
}

static uint32_t client_post(struct sim_client *c, uint8_t flags, uint32_t off, uint32_t len)
{
	return client_post_at(c, flags, off, len, c->rcv);
}

void sim_client_ack(struct sim_client *c, uint32_t rcv)
{
	client_post_at(c, 0, c->nxt, 0, rcv);
}

/* SYN, or SYN-ACK when the other's SYN is here. */
static void client_syn(struct sim_client *c)
{
	bool answer = c->state == CLIENT_SYN_RECEIVED;
	struct sim_seg seg = client_seg(c, HF_TCP_SYN | (answer ? HF_TCP_ACK : 0), c->iss);
	struct sim_opts opts = { .mss = c->mss,
		.sack_ok = c->sack,
		.ts = c->ts,
		.wscale = c->wscale,
		.ts_val = client_now_ts(c),
		.ts_ecr = c->ts_recent };

	if (c->ecn)
		seg.flags |= HF_TCP_ECE | (answer ? 0 : HF_TCP_CWR);
	seg.opt_len = sim_opts_build(&opts, seg.opt);
	seg.wnd = (uint16_t)hf_min_u32(c->buf_max, UINT16_MAX);
	seg.ack = answer ? c->irs + 1 : 0;
	c->edge = c->right = hf_max_u32(c->edge, seg.wnd);
	c->ts_first = c->ts_first ? c->ts_first : opts.ts_val;
	client_put(c, &seg, 0);
}

static void client_reset(struct sim_client *c, uint32_t seq)
{
	struct sim_seg seg = client_seg(c, HF_TCP_RST, seq);

	client_put(c, &seg, 0);
}

static void client_die(struct sim_client *c)
{
	c->state = CLIENT_DEAD;
	c->done = true;
	c->rto_at_us = c->delack_at_us = c->read_at_us = c->silent_at_us = SIM_NEVER;
	c->start_us = SIM_NEVER;
}

static bool client_wants_fin(const struct sim_client *c)
{
	switch (c->plan) {
	case PLAN_HALF_CLOSE:
		return true;
	case PLAN_BOTH:
		return c->rcv >= hf_min_u32(c->stop_at, c->flow->len[1]);
	default:
		return c->fin_at != CLIENT_NO_FIN && c->rcv > c->fin_at;
	}
}

static void client_arm(struct sim_client *c)
{
	bool waits = c->una < c->flow->len[0] || (client_wants_fin(c) && !c->fin_acked);

	c->rto_at_us = waits || c->state != CLIENT_UP ? c->sim->now_us + c->rto_us : SIM_NEVER;
}

/* New data, or old data from nxt on; false when nothing went out. */
static bool client_send(struct sim_client *c, bool probe)
{
	uint32_t req_len = c->flow->len[0];
	uint32_t limit = hf_min_u32(c->peer_edge, c->una + c->cwnd);
	bool sent = false;

	if (probe && limit <= c->nxt)
		limit = c->nxt + 1;
	while (c->nxt < req_len && c->nxt < limit) {
		uint32_t len = hf_min_u32(req_len, limit) - c->nxt;
		bool fin = c->plan == PLAN_HALF_CLOSE && c->nxt + len == req_len;
		uint32_t n = client_post(c, fin ? HF_TCP_FIN : 0, c->nxt, len);

		c->nxt += n + (fin && n == len);
		c->max = hf_max_u32(c->max, c->nxt);
		sent = true;
	}
	if (c->nxt == req_len && client_wants_fin(c)) {
		client_post(c, HF_TCP_FIN, c->nxt, 0);
		c->nxt++;
		sent = true;
	}
	c->max = hf_max_u32(c->max, c->nxt);
	if (sent && c->rto_at_us == SIM_NEVER)
		client_arm(c);
	return sent;
}

/* The other's SYN or SYN-ACK: what is agreed on. */
static bool client_opening(struct sim_client *c, const struct sim_seg *seg)
{
	struct sim_opts opts;

	if (!sim_opts_parse(seg->opt, seg->opt_len, &opts))
		return sim_fail(c->sim, "malformed options in a SYN"), false;
	if (seg->len > 0)
		return sim_fail(c->sim, "data in a SYN"), false;
	c->irs = seg->seq;
	c->ack_sent = seg->seq + 1;
	c->peer_edge = seg->wnd;
	c->seg_max = hf_max_u32(opts.mss ? opts.mss : c->flow->ip6 ? 1220 : 536, 88);
	c->wscale = opts.wscale >= 0 ? c->wscale : -1;
	c->peer_shift = c->wscale >= 0 ? (uint8_t)opts.wscale : 0;
	c->own_shift = c->wscale >= 0 ? (uint8_t)c->wscale : 0;
	c->ts &= opts.ts;
	c->ts_recent = opts.ts_val;
	c->sack &= opts.sack_ok;
	c->ecn &= (seg->flags & HF_TCP_ECE) != 0;
	return true;
}

static void client_up(struct sim_client *c)
{
	c->state = CLIENT_UP;
	c->rto_us = RTO_FIRST_US;
	c->silent_at_us = c->sim->now_us + SILENCE_US;
	client_arm(c);
	if (c->read_per_ms && c->plan != PLAN_DEAF)
		c->read_at_us = c->sim->now_us + CLIENT_READ_US;
}

/* SYN_SENT, or listening. */
static void client_input_first(struct sim_client *c, const struct sim_seg *seg)
{
	bool answer = seg->flags & HF_TCP_ACK;

	if (!(seg->flags & HF_TCP_SYN) || (answer && c->state != CLIENT_SYN_SENT) ||
		(answer && seg->ack != c->iss + 1))
		return;
	if (!client_opening(c, seg))
		return;
	if (answer) {
		client_up(c);
		if (!client_send(c, /* probe= */ false))
			client_post(c, 0, c->nxt, 0);
		return;
	}
	c->state = CLIENT_SYN_RECEIVED;
	client_arm(c);
	client_syn(c);
}

/* RFC 7323 */
static void client_timestamps(
	struct sim_client *c, const struct sim_seg *seg, const struct sim_opts *opts)
{
	if (!c->ts)
		return;
	if (!opts->ts)
		return sim_fail(c->sim, "no timestamp in %x", seg->flags);
	if ((int32_t)(opts->ts_ecr - c->ts_first) < 0 ||
		(int32_t)(client_now_ts(c) - opts->ts_ecr) < 0)
		return sim_fail(c->sim, "an echo of no timestamp: %u", opts->ts_ecr);
	if ((int32_t)(seg->seq - c->ack_sent) <= 0 && (int32_t)(opts->ts_val - c->ts_recent) > 0)
		c->ts_recent = opts->ts_val;
}

/* Blocks must be of what was sent. */
static void client_sacks(struct sim_client *c, const struct sim_opts *opts)
{
	if (opts->block_count > 0 && !c->sack)
		return sim_fail(c->sim, "SACK unasked");
	/* an attacker's old bytes are duplicates, too */
	for (uint32_t i = c->sim->link.forge > 0; i < opts->block_count; i++) {
		uint32_t start = opts->block[i].start - c->iss - 1;
		uint32_t end = opts->block[i].end - c->iss - 1;

		if (start >= end || end > c->max)
			return sim_fail(c->sim, "SACK of %u to %u, %u sent", start, end, c->max);
	}
}

static void client_acked(struct sim_client *c, const struct sim_seg *seg)
{
	uint32_t off = seg->ack - c->iss - 1;
	uint32_t edge = off + ((uint32_t)seg->wnd << c->peer_shift);

	if ((int32_t)(off - c->max) > 0)
		return sim_fail(c->sim, "%u acknowledged, %u sent", off, c->max);
	if ((int32_t)(edge - c->peer_edge) > 0)
		c->peer_edge = edge;
	if (c->ecn && (seg->flags & HF_TCP_ECE))
		c->cwr_due = true;
	if ((int32_t)(off - c->una) <= 0)
		return;
	c->una = off;
	c->nxt = hf_max_u32(c->nxt, off);
	c->fin_acked = off == c->flow->len[0] + 1;
	c->rto_us = RTO_FIRST_US;
	c->rtos = 0;
	client_arm(c);
}

static void client_answer(struct sim_client *c)
{
	if (client_send(c, /* probe= */ false) || c->ack_owed == 0)
		return;
	if (c->ack_owed >= c->ack_every)
		client_post(c, 0, c->nxt, 0);
	else if (c->delack_at_us == SIM_NEVER)
		c->delack_at_us = c->sim->now_us + c->delack_us;
}

/* RFC 5961 §3.2: in place, or challenged; before the handshake is complete, if it is about our SYN. */
static void client_rst(struct sim_client *c, const struct sim_seg *seg)
{
	bool over = c->done || (c->fin_at != CLIENT_NO_FIN && c->rcv > c->fin_at);
	uint32_t off = seg->seq - c->irs - 1;

	if (c->state == CLIENT_SYN_SENT || c->state == CLIENT_IDLE) {
		if (c->state == CLIENT_IDLE || !(seg->flags & HF_TCP_ACK) || seg->ack != c->iss + 1)
			return;
	} else if (off != c->rcv) {
		if (off > c->rcv && off < c->edge)
			client_post(c, 0, c->nxt, 0);
		return;
	}
	client_die(c);
	if (!over)
		sim_lost(c->sim, c->flow, "the client was reset");
}

/* Breaks off in the middle, if that is the plan. */
static bool client_stops(struct sim_client *c)
{
	if ((c->plan != PLAN_RESET && c->plan != PLAN_VANISH) || c->una < c->flow->len[0] ||
		c->rcv < hf_min_u32(c->stop_at, c->flow->len[1]))
		return false;
	client_die(c);
	if (c->plan == PLAN_RESET)
		client_reset(c, c->iss + 1 + c->nxt);
	return true;
}

/* Of a connection that is up. */
static void client_input_up(struct sim_client *c, const struct sim_seg *seg)
{
	struct sim_opts opts;

	if (!sim_opts_parse(seg->opt, seg->opt_len, &opts))
		return sim_fail(c->sim, "malformed options");
	if (seg->flags & HF_TCP_SYN) {
		c->ack_owed = c->ack_every;
	} else {
		client_timestamps(c, seg, &opts);
		client_sacks(c, &opts);
		client_acked(c, seg);
		if (seg->len > 0 || (seg->flags & HF_TCP_FIN))
			sim_client_data(c, seg);
		else if (seg->seq == c->irs + c->rcv) /* RFC 9293 §3.8.4: keepalive */
			c->ack_owed = c->ack_every;
	}
	if (c->sim->failed || client_stops(c))
		return;
	client_answer(c);
	c->done = c->fin_acked && c->fin_at != CLIENT_NO_FIN && c->rcv > c->fin_at;
	c->silent_at_us = c->done ? SIM_NEVER : c->sim->now_us + SILENCE_US;
}

void sim_client_input(struct sim_client *c, const struct sim_seg *seg)
{
	if (seg->flags & HF_TCP_RST)
		return c->state == CLIENT_DEAD ? (void)0 : client_rst(c, seg);
	switch (c->state) {
	case CLIENT_DEAD:
		if (c->plan != PLAN_VANISH && (seg->flags & HF_TCP_ACK))
			client_reset(c, seg->ack);
		return;
	case CLIENT_IDLE:
	case CLIENT_SYN_SENT:
		client_input_first(c, seg);
		return;
	case CLIENT_SYN_RECEIVED:
		if (!(seg->flags & HF_TCP_ACK) || seg->ack != c->iss + 1)
			return;
		client_up(c);
		break;
	case CLIENT_UP:
		break;
	}
	client_input_up(c, seg);
}

void sim_client_too_big(struct sim_client *c, uint32_t mtu)
{
	uint32_t head = c->flow->ip6 ? 60 : 40;

	if (c->seg_max > 0)
		c->seg_max = hf_min_u32(c->seg_max, (mtu ? mtu : 576) - head);
}

static void client_timeout(struct sim_client *c)
{
	c->rto_us = hf_min_u64(2 * c->rto_us, RTO_MAX_US);
	if (c->state != CLIENT_UP) {
		client_syn(c);
		c->rto_at_us = c->sim->now_us + c->rto_us;
		return;
	}
	if (++c->rtos > DEAF_RTOS)
		c->seg_max = hf_min_u32(c->seg_max, c->flow->ip6 ? 1200 : 480);
	c->nxt = c->una;
	(void)client_send(c, /* probe= */ true);
	client_arm(c);
}

void sim_client_tick(struct sim_client *c)
{
	uint64_t now = c->sim->now_us;

	if (c->start_us <= now) {
		c->start_us = SIM_NEVER;
		c->state = CLIENT_SYN_SENT;
		client_syn(c);
		client_arm(c);
	}
	if (c->deaf_until_us <= now && !c->done) {
		client_reset(c, c->iss + 1 + c->nxt);
		client_die(c);
	}
	if (c->read_at_us <= now)
		sim_client_read(c);
	if (c->delack_at_us <= now)
		client_post(c, 0, c->nxt, 0);
	if (c->silent_at_us <= now) {
		c->silent_at_us = now + SILENCE_US;
		client_post(c, 0, c->nxt - 1, 0);
	}
	if (c->rto_at_us <= now)
		client_timeout(c);
}
