/* SPDX-License-Identifier: BSD-3-Clause
 *
 * All windows are bytes where the RFCs count segments; C = 0.4 segments/s^3 and beta = 0.7.
 */
#include "tcp_cubic.h"

#define CUBIC_MSS_MIN         48         /* 88 without 40 bytes of options */
#define CUBIC_MS_MAX          (1U << 19) /* TCP_CWND_MAX of the smallest segments is 382 s away */
#define CUBIC_GAP_US          100000 /* between ACKs, above two round trips: delayed, coalesced */
#define CUBIC_ABC_L           8      /* RFC 9406 §4.3, unpaced */
#define CUBIC_ABC_CSS         4      /* CSS_GROWTH_DIVISOR */
#define CUBIC_CSS_ROUNDS      5
#define CUBIC_RTT_SAMPLES     8
#define CUBIC_RISE_MIN_US     4000  /* MIN_RTT_THRESH */
#define CUBIC_RISE_MAX_US     16000 /* MAX_RTT_THRESH */
#define CUBIC_RISE_SHARE      8     /* MIN_RTT_DIVISOR */
#define CUBIC_RTT_NONE        UINT32_MAX
#define CUBIC_TRAIN_GAP_US    2000 /* ACKs that belong together are not farther apart, or than */
#define CUBIC_TRAIN_GAP_SHARE 8    /* this part of the least round trip */
#define CUBIC_TRAIN_MSS       16   /* a smaller window tells nothing by its ACKs */
#define CUBIC_HYSTART         (TCP_CUBIC_ROUND | TCP_CUBIC_CSS | TCP_CUBIC_TRAIN)

static bool cubic_has(const struct tcp_cubic *cc, uint32_t flags)
{
	return (cc->flags & flags) != 0;
}

static void cubic_clear(struct tcp_cubic *cc, uint32_t flags)
{
	cc->flags = (uint16_t)(cc->flags & ~flags);
}

static void cubic_set(struct tcp_cubic *cc, uint32_t flags)
{
	cc->flags = (uint16_t)(cc->flags | flags);
}

static uint32_t cubic_sat_add(uint32_t a, uint32_t b)
{
	return a + b < a ? UINT32_MAX : a + b;
}

/* floor(x^(1/3)) for x < 2^60 */
static uint32_t cubic_root(uint64_t x)
{
	uint64_t root = 0;

	HF_ASSERT_HOT(x < 1ULL << 60);
	for (uint64_t bit = 1ULL << 19; bit > 0; bit >>= 1) {
		uint64_t r = root | bit;

		if (r * r * r <= x)
			root = r;
	}
	return (uint32_t)root;
}

/* bytes / den, and what is left over waits for the next time. */
static uint32_t cubic_share(uint32_t *rest, uint64_t bytes, uint32_t den)
{
	HF_ASSERT_HOT(den > 0 && bytes < 1ULL << 60);
	bytes += *rest;
	*rest = (uint32_t)(bytes % den);
	return (uint32_t)(bytes / den);
}

/* RFC 9438 Figure 1, `t_us` into the epoch. */
static uint32_t cubic_w(const struct tcp_cubic *cc, uint16_t mss, uint64_t t_us)
{
	uint64_t t_ms = t_us / 1000;
	bool convex = t_ms >= cc->k_ms;
	uint64_t d = hf_min_u64(convex ? t_ms - cc->k_ms : cc->k_ms - t_ms, CUBIC_MS_MAX);
	uint64_t off = d * d * d / 10000 * (4 * (uint64_t)mss) / 1000000; /* 0.4 mss d^3 */

	if (convex)
		return (uint32_t)hf_min_u64(cc->w_max + off, TCP_CWND_MAX);
	return off < cc->w_max ? (uint32_t)(cc->w_max - off) : 0;
}

static void cubic_epoch_begin(struct tcp_cubic *cc, uint16_t mss, uint32_t now_us)
{
	cubic_set(cc, TCP_CUBIC_EPOCH);
	cc->t_us = 0;
	cc->last_us = now_us;
	cc->w_est = cc->cwnd;
	cc->cwnd_rest = 0;
	cc->est_rest = 0;
	if (cc->w_max <= cc->cwnd) { /* RFC 9438 §4.8, §4.10: nothing to climb back to */
		cc->w_max = cc->cwnd;
		cc->k_ms = 0;
	} else { /* Figure 2: the ratio is 2.5 s^3 a segment */
		cc->k_ms = cubic_root((cc->w_max - cc->cwnd) * 2500000000ULL / mss);
	}
	HF_ASSERT(cc->k_ms < CUBIC_MS_MAX);
}

/* RFC 9438 §4.2: time without growth for want of data is not part of t (§5.8). */
static void cubic_epoch_advance(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	uint32_t gap_us = ack->now_us - cc->last_us;
	uint32_t gap_max_us = cubic_sat_add(2 * hf_min_u32(ack->srtt_us, 1U << 30), CUBIC_GAP_US);

	cc->last_us = ack->now_us;
	if (ack->limited)
		cc->t_us = cubic_sat_add(cc->t_us, hf_min_u32(gap_us, gap_max_us));
}

/* RFC 9438 §4.3: what Reno would have, had it reduced by 0.7 and not by half. */
static void cubic_est(struct tcp_cubic *cc, uint16_t mss, uint32_t delivered)
{
	uint64_t bytes = (uint64_t)delivered * mss;

	if (cc->w_est < cc->w_prior)
		bytes = bytes * 9 / 17; /* alpha; 1 later */
	cc->w_est += cubic_share(&cc->est_rest, bytes, cc->cwnd);
	cc->w_est = hf_min_u32(cc->w_est, TCP_CWND_MAX);
}

static void cubic_avoid(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	uint32_t delivered = hf_min_u32(ack->delivered, cc->cwnd);
	uint32_t target;

	if (cubic_has(cc, TCP_CUBIC_EPOCH))
		cubic_epoch_advance(cc, ack);
	if (!ack->limited)
		return;
	if (!cubic_has(cc, TCP_CUBIC_EPOCH))
		cubic_epoch_begin(cc, ack->mss, ack->now_us);
	cubic_est(cc, ack->mss, delivered);
	if (cubic_w(cc, ack->mss, cc->t_us) < cc->w_est) { /* §4.3: Reno is faster */
		cc->cwnd = hf_max_u32(cc->cwnd, hf_min_u32(cc->w_est, cc->cwnd + delivered));
		cc->cwnd_rest = 0;
	} else { /* §4.4, §4.5; the bounds are §4.2's */
		target = cubic_w(cc, ack->mss, (uint64_t)cc->t_us + ack->srtt_us);
		target = hf_min_u32(hf_max_u32(target, cc->cwnd), cc->cwnd + cc->cwnd / 2);
		cc->cwnd += cubic_share(
			&cc->cwnd_rest, (uint64_t)delivered * (target - cc->cwnd), cc->cwnd);
	}
}

/* RFC 3465 counts bytes lest an ACK for many segments count as one, and L bounds the burst. Bytes
 * that were SACKed before are not delivered a second time, so L need not be 1 after a timeout. */
static void cubic_slow_start(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	uint32_t more = hf_min_u32(ack->delivered, CUBIC_ABC_L * ack->mss);

	if (cubic_has(cc, TCP_CUBIC_CSS))
		more /= CUBIC_ABC_CSS;
	cc->cwnd = hf_min_u32(cc->cwnd + more, cc->ssthresh);
}

static void cubic_round_begin(
	struct tcp_cubic *cc, const struct tcp_cubic_ack *ack, uint32_t last_rtt_us)
{
	cubic_set(cc, TCP_CUBIC_ROUND);
	cc->round_end = ack->nxt;
	cc->train_us = 0;
	cc->last_us = ack->now_us;
	cc->round_rtt_us = CUBIC_RTT_NONE;
	cc->last_rtt_us = last_rtt_us;
	cc->rtt_count = 0;
}

/* Is the round's least time above this one by as much as a queue would make it? */
static bool cubic_has_risen(const struct tcp_cubic *cc, uint32_t base_us)
{
	uint32_t rise_us = hf_min_u32(base_us / CUBIC_RISE_SHARE, CUBIC_RISE_MAX_US);

	rise_us = hf_max_u32(rise_us, CUBIC_RISE_MIN_US);
	return cc->round_rtt_us >= cubic_sat_add(base_us, rise_us);
}

static void cubic_css_begin(struct tcp_cubic *cc, uint32_t base_us, uint32_t why)
{
	cubic_set(cc, TCP_CUBIC_CSS | why);
	cc->css_rtt_us = base_us;
	cc->css_rounds = 0;
}

static void cubic_slow_start_end(struct tcp_cubic *cc)
{
	cubic_clear(cc, CUBIC_HYSTART);
	cc->ssthresh = cc->cwnd;
}

static void cubic_round_rtt(struct tcp_cubic *cc)
{
	if (!cubic_has(cc, TCP_CUBIC_CSS)) {
		if (cc->last_rtt_us != CUBIC_RTT_NONE && cubic_has_risen(cc, cc->last_rtt_us))
			cubic_css_begin(cc, cc->round_rtt_us, 0);
	} else if (cubic_has_risen(cc, cc->css_rtt_us)) { /* a queue, and it grows */
		cubic_slow_start_end(cc);
	} else if (cc->round_rtt_us < cc->css_rtt_us && !cubic_has(cc, TCP_CUBIC_TRAIN)) {
		cubic_clear(cc, TCP_CUBIC_CSS); /* the rise was no queue */
	}
}

static void cubic_train(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	uint32_t least_us = hf_min_u32(cc->last_rtt_us, cc->round_rtt_us);
	uint32_t gap_us = ack->now_us - cc->last_us;
	uint32_t gap_max_us = hf_max_u32(least_us / CUBIC_TRAIN_GAP_SHARE, CUBIC_TRAIN_GAP_US);

	cc->last_us = ack->now_us;
	cc->train_us = gap_us > gap_max_us ? 0 : cc->train_us + gap_us;
	if (ack->limited && !cubic_has(cc, TCP_CUBIC_CSS) && least_us != CUBIC_RTT_NONE &&
		cc->train_us > least_us / 2 && cc->cwnd >= CUBIC_TRAIN_MSS * ack->mss)
		cubic_css_begin(cc, least_us, TCP_CUBIC_TRAIN);
}

/* RFC 9406 §4.2. What is not limited fills no queue, so its delays decide nothing. */
static void cubic_hystart(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	if (!cubic_has(cc, TCP_CUBIC_ROUND))
		cubic_round_begin(cc, ack, CUBIC_RTT_NONE);
	if (ack->rtt_us > 0) {
		cc->round_rtt_us = hf_min_u32(cc->round_rtt_us, ack->rtt_us);
		if (cc->rtt_count < CUBIC_RTT_SAMPLES)
			cc->rtt_count++;
	}
	cubic_train(cc, ack);
	if (ack->limited && cc->rtt_count == CUBIC_RTT_SAMPLES)
		cubic_round_rtt(cc);
	if (cc->ssthresh != TCP_CWND_MAX || (int32_t)(ack->una - cc->round_end) < 0)
		return;
	cubic_round_begin(cc, ack, cc->round_rtt_us);
	if (!ack->limited || !cubic_has(cc, TCP_CUBIC_CSS))
		return;
	if (++cc->css_rounds == CUBIC_CSS_ROUNDS)
		cubic_slow_start_end(cc);
}

void tcp_cubic_init(struct tcp_cubic *cc, uint32_t cwnd)
{
	HF_ASSERT(cwnd > 0 && cwnd <= TCP_CWND_MAX);
	*cc = (struct tcp_cubic){ .cwnd = cwnd, .ssthresh = TCP_CWND_MAX };
}

uint32_t tcp_cubic_iw(uint32_t mss)
{
	return hf_min_u32(10 * mss, hf_max_u32(2 * mss, 14600));
}

void tcp_cubic_acked(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack)
{
	HF_ASSERT(ack->mss >= CUBIC_MSS_MIN);
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_PRR));
	if (cc->cwnd >= cc->ssthresh) {
		cubic_avoid(cc, ack);
		return;
	}
	if (ack->limited)
		cubic_slow_start(cc, ack);
	if (cc->ssthresh == TCP_CWND_MAX) /* RFC 9406 §4.3: the initial slow start */
		cubic_hystart(cc, ack);
}

static void cubic_congestion(
	struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight, uint32_t now_us)
{
	uint64_t flight = hf_min_u32(in_flight, cc->cwnd); /* above: left from a larger window */

	cc->prior_ssthresh = cc->ssthresh;
	cc->prior_w_max = cc->w_max;
	cc->prior_w_prior = cc->w_prior;
	cc->prior_w_est = cc->w_est;
	cc->prior_k_ms = cc->k_ms;
	cc->prior_t_us = cc->t_us;
	cubic_clear(cc, TCP_CUBIC_PRIOR_EPOCH);
	if (cubic_has(cc, TCP_CUBIC_EPOCH))
		cubic_set(cc, TCP_CUBIC_PRIOR_EPOCH);
	cubic_set(cc, TCP_CUBIC_UNDO);
	cc->w_prior = cc->cwnd;
	cc->ssthresh = hf_max_u32((uint32_t)(flight * 7 / 10), 2U * mss); /* RFC 9438 §4.6 */
	cc->last_us = now_us;
}

void tcp_cubic_reduce(struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight, uint32_t now_us)
{
	HF_ASSERT(mss >= CUBIC_MSS_MIN);
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_PRR));
	cubic_congestion(cc, mss, in_flight, now_us);
	/* RFC 9438 §4.7: less than the last time, so somebody else wants a share */
	cc->w_max = cc->cwnd < cc->w_max ? (uint32_t)(cc->cwnd * 17ULL / 20) : cc->cwnd;
	cubic_clear(cc, TCP_CUBIC_EPOCH | CUBIC_HYSTART);
	cubic_set(cc, TCP_CUBIC_PRR);
	cc->prr_delivered = 0;
	cc->prr_out = 0;
	cc->recover_fs = hf_max_u32(in_flight, mss);
}

/* RFC 9937 §6.2 */
void tcp_cubic_prr(struct tcp_cubic *cc, uint16_t mss, uint32_t delivered, uint32_t in_flight,
	bool lost_more, bool una_moved)
{
	uint64_t send;

	HF_ASSERT(cubic_has(cc, TCP_CUBIC_PRR));
	HF_ASSERT(mss >= CUBIC_MSS_MIN && cc->recover_fs > 0);
	if (delivered == 0)
		return;
	cc->prr_delivered = cubic_sat_add(cc->prr_delivered, delivered);
	if (in_flight > cc->ssthresh) {
		uint64_t part = (uint64_t)cc->prr_delivered * cc->ssthresh;

		part = (part + cc->recover_fs - 1) / cc->recover_fs;
		send = part > cc->prr_out ? part - cc->prr_out : 0;
	} else {
		send = cc->prr_delivered > cc->prr_out ? cc->prr_delivered - cc->prr_out : 0;
		send = hf_max_u64(send, delivered);
		if (una_moved && !lost_more) /* SafeACK: as slow start */
			send += mss;
		send = hf_min_u64(send, cc->ssthresh - in_flight);
	}
	if (cc->prr_out == 0 && send == 0)
		send = mss; /* the fast retransmit */
	cc->cwnd = (uint32_t)hf_min_u64(hf_max_u64(in_flight + send, mss), TCP_CWND_MAX);
}

void tcp_cubic_prr_sent(struct tcp_cubic *cc, uint32_t bytes)
{
	HF_ASSERT(cubic_has(cc, TCP_CUBIC_PRR));
	cc->prr_out = cubic_sat_add(cc->prr_out, bytes);
}

void tcp_cubic_recovered(struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight)
{
	uint64_t send = mss;

	HF_ASSERT(cubic_has(cc, TCP_CUBIC_PRR));
	HF_ASSERT(mss >= CUBIC_MSS_MIN);
	if (cc->prr_delivered > cc->prr_out)
		send += cc->prr_delivered - cc->prr_out;
	cc->cwnd = (uint32_t)hf_min_u64(cc->ssthresh, in_flight + send);
	cubic_clear(cc, TCP_CUBIC_PRR);
}

/* RFC 9438 §4.8 */
void tcp_cubic_timeout(
	struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight, bool first, uint32_t now_us)
{
	HF_ASSERT(mss >= CUBIC_MSS_MIN);
	if (first)
		cubic_congestion(cc, mss, in_flight, now_us);
	cc->cwnd = mss;
	cc->w_max = 0; /* avoidance will begin at its own window */
	cubic_clear(cc, TCP_CUBIC_EPOCH | CUBIC_HYSTART | TCP_CUBIC_PRR);
}

void tcp_cubic_undo(struct tcp_cubic *cc)
{
	bool past = cc->cwnd >= cc->w_prior && !cubic_has(cc, TCP_CUBIC_PRR);
	bool saved = cubic_has(cc, TCP_CUBIC_UNDO);

	cubic_clear(cc, TCP_CUBIC_UNDO | TCP_CUBIC_PRR);
	if (!saved || past)
		return;
	cc->cwnd = cc->w_prior;
	cc->ssthresh = cc->prior_ssthresh;
	cc->w_max = cc->prior_w_max;
	cc->w_prior = cc->prior_w_prior;
	cc->w_est = cc->prior_w_est;
	cc->k_ms = cc->prior_k_ms;
	cc->t_us = cc->prior_t_us;
	cc->cwnd_rest = 0;
	cc->est_rest = 0;
	cubic_clear(cc, TCP_CUBIC_EPOCH | CUBIC_HYSTART);
	if (cubic_has(cc, TCP_CUBIC_PRIOR_EPOCH))
		cubic_set(cc, TCP_CUBIC_EPOCH);
}

/* RFC 5681 §4.1: the window says nothing any more; ssthresh still does. */
void tcp_cubic_idle(struct tcp_cubic *cc, uint16_t mss)
{
	HF_ASSERT(mss >= CUBIC_MSS_MIN);
	cc->cwnd = hf_min_u32(cc->cwnd, tcp_cubic_iw(mss));
	cc->prr_delivered = 0; /* what arrived long ago lets no burst out now */
	cc->prr_out = 0;
	cubic_clear(cc, TCP_CUBIC_EPOCH | CUBIC_HYSTART | TCP_CUBIC_UNDO);
}

void tcp_cubic_check(const struct tcp_cubic *cc, uint16_t mss)
{
	bool initial = cc->ssthresh == TCP_CWND_MAX;

	HF_ASSERT(cc->cwnd >= mss && cc->cwnd <= TCP_CWND_MAX);
	HF_ASSERT(cc->ssthresh >= mss && cc->ssthresh <= TCP_CWND_MAX);
	HF_ASSERT(cc->w_max <= TCP_CWND_MAX && cc->w_prior <= TCP_CWND_MAX);
	HF_ASSERT(cc->w_est <= TCP_CWND_MAX && cc->k_ms < CUBIC_MS_MAX);
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_EPOCH) || cc->w_max > 0);
	HF_ASSERT(initial || !cubic_has(cc, CUBIC_HYSTART));
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_CSS) || cubic_has(cc, TCP_CUBIC_ROUND));
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_PRR) || (!initial && cc->recover_fs > 0));
	HF_ASSERT(cc->rtt_count <= CUBIC_RTT_SAMPLES && cc->css_rounds <= CUBIC_CSS_ROUNDS);
	HF_ASSERT(!cubic_has(cc, TCP_CUBIC_UNDO) || cc->w_prior > 0);
}
