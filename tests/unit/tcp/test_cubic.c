/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tcp_cubic.h"

#define MSS 1460
#define MS  1000

/* A sender whose every byte arrives: `rtt_us` later a window of ACKs comes back. */
struct sim {
	struct tcp_cubic cc;
	struct tcp_cubic_ack ack;
	uint32_t rtt_us;
};

static void sim_init(struct sim *s, uint16_t mss, uint32_t cwnd, uint32_t rtt_us)
{
	memset(s, 0, sizeof(*s));
	tcp_cubic_init(&s->cc, cwnd);
	s->rtt_us = rtt_us;
	s->ack.mss = mss;
	s->ack.srtt_us = rtt_us;
	s->ack.limited = true;
	s->ack.now_us = 0xfff00000U; /* the clock and the numbers wrap on the way */
	s->ack.una = 0xfffff000U;
	s->ack.nxt = s->ack.una + cwnd;
}

static void sim_ack(struct sim *s, uint32_t delivered, uint32_t after_us)
{
	s->ack.delivered = delivered;
	s->ack.now_us += after_us;
	s->ack.una += delivered;
	s->ack.nxt = s->ack.una + s->cc.cwnd;
	tcp_cubic_acked(&s->cc, &s->ack);
	tcp_cubic_check(&s->cc, s->ack.mss);
}

/* A window is acknowledged, two segments at a time. */
static void sim_round(struct sim *s)
{
	uint32_t two = 2U * s->ack.mss;
	uint32_t n = hf_max_u32(s->cc.cwnd / two, 1);
	uint32_t begin_us = s->ack.now_us;

	for (uint64_t i = 1; i <= n; i++) {
		uint32_t at_us = begin_us + (uint32_t)(i * s->rtt_us / n);

		sim_ack(s, two, at_us - s->ack.now_us);
	}
}

static void sim_rounds(struct sim *s, int n)
{
	while (n-- > 0)
		sim_round(s);
}

/* A loss and a recovery that went well, in no time. */
static void sim_loss(struct sim *s)
{
	tcp_cubic_reduce(&s->cc, s->ack.mss, s->cc.cwnd, s->ack.now_us);
	tcp_cubic_check(&s->cc, s->ack.mss);
	tcp_cubic_recovered(&s->cc, s->ack.mss, s->cc.ssthresh);
	tcp_cubic_check(&s->cc, s->ack.mss);
	cr_assert_eq(s->cc.cwnd, s->cc.ssthresh);
}

static double ref_root(double x)
{
	double lo = 0, hi = 1e6;

	for (int i = 0; i < 100; i++) {
		double mid = (lo + hi) / 2;

		*(mid * mid * mid < x ? &lo : &hi) = mid;
	}
	return lo;
}

/* RFC 9438 as it is written: segments and seconds. */
struct ref {
	double cwnd, w_max, w_prior, w_est, k, t;
};

static double ref_w(const struct ref *r, double t)
{
	return 0.4 * (t - r->k) * (t - r->k) * (t - r->k) + r->w_max;
}

static void ref_loss(struct ref *r, double cwnd)
{
	*r = (struct ref){ .cwnd = cwnd * 0.7, .w_max = cwnd, .w_prior = cwnd };
	r->w_est = r->cwnd;
	r->k = ref_root((r->w_max - r->cwnd) / 0.4);
}

static void ref_ack(struct ref *r, double segs, double after, double rtt)
{
	double target;

	r->t += after;
	r->w_est += (r->w_est < r->w_prior ? 3 * 0.3 / 1.7 : 1) * segs / r->cwnd;
	if (ref_w(r, r->t) < r->w_est) {
		if (r->cwnd < r->w_est)
			r->cwnd = r->w_est;
		return;
	}
	target = ref_w(r, r->t + rtt);
	if (target > 1.5 * r->cwnd)
		target = 1.5 * r->cwnd;
	if (target > r->cwnd)
		r->cwnd += segs * (target - r->cwnd) / r->cwnd;
}

Test(tcp_cubic, rfc6928_s2_initial_window)
{
	static const struct {
		uint32_t mss, expect;
	} rows[] = { { 88, 880 }, { 536, 5360 }, { 1460, 14600 }, { 1500, 14600 }, { 8960, 17920 },
		{ 65495, 130990 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		cr_assert_eq(tcp_cubic_iw(rows[i].mss), rows[i].expect, "mss %u", rows[i].mss);
}

Test(tcp_cubic, rfc9438_s4_6_ssthresh_is_seven_tenths_of_what_was_in_flight)
{
	static const struct {
		uint32_t cwnd, in_flight, expect;
	} rows[] = {
		{ 100 * MSS, 100 * MSS, 70 * MSS },
		{ 100 * MSS, 50 * MSS, 35 * MSS },
		{ 100 * MSS, 120 * MSS, 70 * MSS }, /* not more than the window allowed */
		{ 100 * MSS, 2 * MSS, 2 * MSS },
		{ 100 * MSS, 0, 2 * MSS },
		{ MSS, MSS, 2 * MSS },
		{ TCP_CWND_MAX, TCP_CWND_MAX, 751619276 },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct tcp_cubic cc, rto;

		tcp_cubic_init(&cc, rows[i].cwnd);
		rto = cc;
		tcp_cubic_reduce(&cc, MSS, rows[i].in_flight, 5);
		cr_assert_eq(cc.ssthresh, rows[i].expect, "row %zu: %u", i, cc.ssthresh);
		cr_assert_eq(cc.w_max, rows[i].cwnd);
		tcp_cubic_timeout(&rto, MSS, rows[i].in_flight, true, 5);
		cr_assert_eq(rto.ssthresh, rows[i].expect, "row %zu: %u", i, rto.ssthresh);
	}
}

Test(tcp_cubic, rfc9438_s4_7_fast_convergence_gives_way_when_the_window_shrinks)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 50 * MS);
	sim_loss(&s);
	cr_assert_eq(s.cc.w_max, 100 * MSS);
	sim_loss(&s); /* at 70, below w_max: 70 * 0.85 */
	cr_assert_eq(s.cc.w_max, 59.5 * MSS);
	s.cc.cwnd = 80 * MSS;
	sim_loss(&s); /* above: all of it */
	cr_assert_eq(s.cc.w_max, 80 * MSS);
}

/* The window lies between the function one round trip ago and one ahead. */
Test(tcp_cubic, rfc9438_s4_2_the_window_follows_the_cubic_function)
{
	static const struct {
		uint32_t w_max, rtt_us; /* large enough that Reno is slower */
		uint16_t mss;
	} rows[] = { { 100, 200 * MS, 1460 }, { 1000, 100 * MS, 1460 }, { 5000, 50 * MS, 1460 },
		{ 5000, 150 * MS, 88 }, { 2000, 300 * MS, 8960 }, { 1000, 100 * MS, 65495 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		double rtt = rows[i].rtt_us / 1e6;
		struct sim s;
		struct ref r;

		sim_init(&s, rows[i].mss, rows[i].w_max * rows[i].mss, rows[i].rtt_us);
		sim_loss(&s);
		ref_loss(&r, rows[i].w_max);
		for (double t = 0; t < 1.6 * r.k; t += rtt) {
			double is, below, above;

			sim_round(&s);
			is = (double)s.cc.cwnd / rows[i].mss;
			below = ref_w(&r, t - rtt) * 0.999 - 2;
			above = ref_w(&r, t + 2 * rtt) * 1.001 + 2;
			cr_assert(is > below && is < above, "row %zu at %f of %f s: %f < %f < %f",
				i, t, r.k, below, is, above);
		}
		cr_assert_gt(s.cc.cwnd, rows[i].w_max * rows[i].mss, "row %zu: no convex part", i);
	}
}

Test(tcp_cubic, rfc9438_s4_every_ack_grows_the_window_as_the_text_says)
{
	static const struct {
		uint32_t w_max, rtt_us;
		uint16_t mss;
		int rounds;
	} rows[] = {
		{ 10, 20 * MS, 1460, 400 }, /* Reno-friendly, then not */
		{ 40, 10 * MS, 1460, 1000 },
		{ 40, 100, 1460, 3000 }, /* Reno-friendly only */
		{ 300, 40 * MS, 1460, 400 },
		{ 4000, 100 * MS, 1460, 300 },
		{ 50, 2000 * MS, 536, 20 }, /* bounded by one and a half */
		{ 4000, 300 * MS, 88, 100 },
		{ 400, 30 * MS, 65495, 400 },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;
		struct ref r;

		sim_init(&s, rows[i].mss, rows[i].w_max * rows[i].mss, rows[i].rtt_us);
		sim_loss(&s);
		ref_loss(&r, rows[i].w_max);
		sim_ack(&s, 0, 0); /* the epoch begins */
		for (int n = 0; n < rows[i].rounds && s.cc.cwnd < TCP_CWND_MAX / 2; n++) {
			uint32_t acks = s.cc.cwnd / (2U * s.ack.mss);
			double is;

			for (uint32_t j = 0; j < acks; j++) {
				uint32_t after_us = rows[i].rtt_us / acks;

				sim_ack(&s, 2U * s.ack.mss, after_us);
				ref_ack(&r, 2, after_us / 1e6, rows[i].rtt_us / 1e6);
			}
			is = (double)s.cc.cwnd / rows[i].mss;
			cr_assert(is > r.cwnd * 0.998 - 0.2 && is < r.cwnd * 1.002 + 0.2,
				"row %zu round %d: %f, text %f", i, n, is, r.cwnd);
		}
		cr_assert_gt(s.cc.cwnd, rows[i].w_max * rows[i].mss, "row %zu: too short", i);
	}
}

Test(tcp_cubic, rfc9438_s4_3_short_round_trips_grow_as_reno_does)
{
	struct sim s;
	uint32_t before;

	sim_init(&s, MSS, 100 * MSS, 200); /* 0.2 ms: the cubic function hardly moves */
	sim_loss(&s);
	before = s.cc.cwnd;
	sim_rounds(&s, 34); /* 9/17 of a segment each */
	cr_assert_geq(s.cc.cwnd, before + 17 * MSS);
	cr_assert_leq(s.cc.cwnd, before + 19 * MSS);
	while (s.cc.cwnd < 101 * MSS)
		sim_round(&s);
	before = s.cc.cwnd;
	sim_rounds(&s, 10); /* back where it was: a segment each */
	cr_assert_geq(s.cc.cwnd, before + 9 * MSS);
	cr_assert_leq(s.cc.cwnd, before + 11 * MSS);
}

Test(tcp_cubic, rfc9438_s4_2_a_round_trip_adds_at_most_half_the_window)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	sim_loss(&s);
	sim_ack(&s, 0, 0);
	s.cc.t_us = 500000000; /* the function is far away */
	sim_ack(&s, s.cc.cwnd, 0);
	cr_assert_eq(s.cc.cwnd, 105 * MSS);
	sim_ack(&s, UINT32_MAX, 0);
	cr_assert_eq(s.cc.cwnd, 105 * MSS * 3 / 2, "what came in is more than was out");
}

Test(tcp_cubic, rfc9438_s4_3_an_ack_lifts_the_window_by_no_more_than_it_delivered)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	sim_loss(&s);
	sim_ack(&s, 0, 0);
	s.cc.w_est = 90 * MSS;
	sim_ack(&s, 2 * MSS, 0);
	cr_assert_eq(s.cc.cwnd, 72 * MSS);
	sim_ack(&s, 40 * MSS, 0);
	cr_assert_geq(s.cc.cwnd, 90 * MSS);
	cr_assert_leq(s.cc.cwnd, 91 * MSS);
}

Test(tcp_cubic, the_segments_may_change_their_size)
{
	static const struct {
		uint16_t mss;
		uint32_t most;
	} rows[] = { { 65495, 700 * MSS + 65495 }, /* Reno-friendly: the function is below 0 */
		{ 88, 1000 * MSS } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		sim_init(&s, MSS, 1000 * MSS, 100 * MS);
		sim_loss(&s);
		sim_ack(&s, 0, 0);
		s.ack.mss = rows[i].mss;
		sim_round(&s);
		cr_assert_geq(s.cc.cwnd, 700 * MSS, "row %zu", i);
		cr_assert_leq(s.cc.cwnd, rows[i].most, "row %zu: %u", i, s.cc.cwnd);
	}
}

Test(tcp_cubic, rfc9438_s4_2_the_target_never_shrinks_the_window)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	sim_loss(&s);
	sim_ack(&s, 0, 0);
	s.cc.cwnd = 90 * MSS;
	sim_ack(&s, 2 * MSS, 0);
	cr_assert_eq(s.cc.cwnd, 90 * MSS);
}

Test(tcp_cubic, rfc9438_s5_8_a_window_that_is_not_used_does_not_grow)
{
	struct sim s;

	sim_init(&s, MSS, 10 * MSS, 100 * MS);
	s.ack.limited = false;
	sim_rounds(&s, 20);
	cr_assert_eq(s.cc.cwnd, 10 * MSS, "slow start");
	sim_loss(&s);
	sim_rounds(&s, 20);
	cr_assert_eq(s.cc.cwnd, 7 * MSS, "avoidance");
	s.ack.limited = true;
	sim_rounds(&s, 20);
	cr_assert_gt(s.cc.cwnd, 8 * MSS, "and now it is");
}

Test(tcp_cubic, rfc9438_s5_8_time_without_use_is_not_counted)
{
	struct sim s, twin;

	sim_init(&s, MSS, 1000 * MSS, 100 * MS);
	sim_loss(&s);
	sim_rounds(&s, 20);
	twin = s;
	s.ack.limited = false;
	for (int i = 0; i < 7200; i++)
		sim_ack(&s, MSS, 1000 * MS); /* two hours */
	s.ack.limited = true;
	sim_rounds(&s, 20);
	sim_rounds(&twin, 20);
	cr_assert_eq(s.cc.cwnd, twin.cc.cwnd);
}

Test(tcp_cubic, no_jump_after_any_silence)
{
	static const uint64_t silence_s[] = { 10, 60, 3600, 4200, 4300, 7200, 86400 };

	for (size_t i = 0; i < HF_ARRAY_LEN(silence_s); i++) {
		struct sim s, twin;

		sim_init(&s, MSS, 1000 * MSS, 100 * MS);
		sim_loss(&s);
		sim_rounds(&s, 20);
		twin = s;
		s.ack.now_us += (uint32_t)(silence_s[i] * 1000000); /* as the 32 bits see it */
		sim_rounds(&s, 10);
		sim_rounds(&twin, 14); /* one more for the gap that may count, and some air */
		cr_assert_leq(s.cc.cwnd, twin.cc.cwnd, "%lu s", (unsigned long)silence_s[i]);
	}
}

Test(tcp_cubic, rfc9406_s4_2_slow_start_grows_by_the_bytes_delivered_up_to_eight_segments)
{
	static const struct {
		uint32_t delivered, expect;
	} rows[] = { { 0, 0 }, { 1, 1 }, { MSS, MSS }, { 2 * MSS, 2 * MSS }, { 8 * MSS, 8 * MSS },
		{ 9 * MSS, 8 * MSS }, { UINT32_MAX, 8 * MSS } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		sim_init(&s, MSS, 10 * MSS, 100 * MS);
		sim_ack(&s, rows[i].delivered, 0);
		cr_assert_eq(s.cc.cwnd, 10 * MSS + rows[i].expect, "row %zu", i);
	}
}

Test(tcp_cubic, rfc5681_s3_1_slow_start_doubles_and_ends_at_ssthresh)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	tcp_cubic_timeout(&s.cc, MSS, 100 * MSS, true, s.ack.now_us);
	cr_assert_eq(s.cc.cwnd, MSS);
	sim_ack(&s, MSS, 0);
	sim_ack(&s, 2 * MSS, 0);
	sim_ack(&s, 4 * MSS, 0);
	cr_assert_eq(s.cc.cwnd, 8 * MSS);
	sim_rounds(&s, 3);
	cr_assert_eq(s.cc.cwnd, 64 * MSS);
	sim_ack(&s, 8 * MSS, 0);
	cr_assert_eq(s.cc.cwnd, 70 * MSS);
}

/* `n` ACKs of a segment each, one round: ten segments are always out. */
static void hystart_acks(struct sim *s, uint32_t rtt_us, int n)
{
	while (n-- > 0) {
		s->ack.rtt_us = rtt_us;
		s->ack.delivered = MSS;
		s->ack.una += MSS;
		s->ack.nxt = s->ack.una + 10 * MSS;
		tcp_cubic_acked(&s->cc, &s->ack);
		tcp_cubic_check(&s->cc, MSS);
	}
}

static bool hystart_css(const struct sim *s)
{
	return (s->cc.flags & TCP_CUBIC_CSS) != 0;
}

/* After a round with `base_us`, at the start of the next one. */
static void hystart_init(struct sim *s, uint32_t base_us)
{
	sim_init(s, MSS, 10 * MSS, base_us);
	hystart_acks(s, base_us, 11); /* the first ACK finds no round */
	cr_assert(!hystart_css(s));
}

Test(tcp_cubic, rfc9406_s4_2_a_rise_of_the_round_trip_time_slows_slow_start)
{
	static const struct {
		uint32_t base_us, rtt_us;
		bool css;
	} rows[] = {
		{ 10 * MS, 10 * MS, false },
		{ 10 * MS, 13999, false }, /* MIN_RTT_THRESH */
		{ 10 * MS, 14 * MS, true },
		{ 1, 4000, false },
		{ 1, 4001, true },
		{ 80 * MS, 89999, false }, /* an eighth */
		{ 80 * MS, 90 * MS, true },
		{ 400 * MS, 415999, false }, /* MAX_RTT_THRESH */
		{ 400 * MS, 416 * MS, true },
		{ 60000 * MS, 60016 * MS, true },
		{ 80 * MS, 40 * MS, false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		hystart_init(&s, rows[i].base_us);
		hystart_acks(&s, rows[i].rtt_us, 7);
		cr_assert(!hystart_css(&s), "row %zu: N_RTT_SAMPLE is 8", i);
		hystart_acks(&s, rows[i].rtt_us, 1);
		cr_assert_eq(hystart_css(&s), rows[i].css, "row %zu", i);
	}
}

Test(tcp_cubic, rfc9406_s4_2_jitter_above_the_smallest_sample_is_no_rise)
{
	struct sim s;

	hystart_init(&s, 50 * MS);
	for (int round = 0; round < 20; round++) {
		hystart_acks(&s, 53 * MS, 1);
		hystart_acks(&s, 95 * MS, 9);
		cr_assert(!hystart_css(&s), "round %d", round);
	}
	cr_assert_eq(s.cc.cwnd, (10 + 11 + 200) * MSS);
}

Test(tcp_cubic, rfc9406_s4_2_acks_without_a_sample_decide_nothing)
{
	struct sim s;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 90 * MS, 7);
	hystart_acks(&s, 0, 3);
	cr_assert(!hystart_css(&s));
	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 0, 10); /* a round that knows nothing */
	hystart_acks(&s, 90 * MS, 10);
	cr_assert(!hystart_css(&s), "nothing to compare with");
}

Test(tcp_cubic, rfc9406_s4_2_conservative_slow_start_grows_a_quarter)
{
	struct sim s;
	uint32_t before;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 8);
	before = s.cc.cwnd;
	hystart_acks(&s, 60 * MS, 4);
	cr_assert_eq(s.cc.cwnd, before + MSS);
	sim_ack(&s, 100 * MSS, 0);
	cr_assert_eq(s.cc.cwnd, before + 3 * MSS, "L counts before the quarter");
}

Test(tcp_cubic, rfc9406_s4_2_a_fall_below_the_baseline_resumes_slow_start)
{
	struct sim s;
	uint32_t before;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 10);
	hystart_acks(&s, 60 * MS, 10);
	cr_assert(hystart_css(&s), "not below");
	hystart_acks(&s, 59 * MS, 7);
	cr_assert(hystart_css(&s), "seven samples are too few");
	hystart_acks(&s, 59 * MS, 1);
	cr_assert(!hystart_css(&s));
	before = s.cc.cwnd;
	hystart_acks(&s, 59 * MS, 2);
	cr_assert_eq(s.cc.cwnd, before + 2 * MSS);
	hystart_acks(&s, 70 * MS, 10);
	cr_assert(hystart_css(&s), "and it is watched again");
	hystart_acks(&s, 70 * MS, 39);
	cr_assert(hystart_css(&s), "for five rounds of its own");
	hystart_acks(&s, 70 * MS, 1);
	cr_assert(!hystart_css(&s));
}

Test(tcp_cubic, rfc9406_s4_2_five_conservative_rounds_end_slow_start)
{
	struct sim s;
	uint32_t before;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 10); /* the round of the rise is the first */
	hystart_acks(&s, 60 * MS, 39);
	cr_assert(hystart_css(&s));
	cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX);
	hystart_acks(&s, 60 * MS, 1);
	cr_assert(!hystart_css(&s));
	cr_assert_eq(s.cc.ssthresh, s.cc.cwnd);
	before = s.cc.cwnd;
	hystart_acks(&s, 60 * MS, 10);
	cr_assert_lt(s.cc.cwnd, before + 2 * MSS, "RFC 9438 §4.10: avoidance, K = 0");
	cr_assert_eq(s.cc.w_max, before);
	cr_assert_eq(s.cc.k_ms, 0);
}

Test(tcp_cubic, a_further_rise_ends_conservative_slow_start_at_once)
{
	struct sim s;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 10);
	hystart_acks(&s, 67499, 10);
	cr_assert(hystart_css(&s), "less than an eighth");
	hystart_acks(&s, 67500, 7);
	cr_assert(hystart_css(&s), "seven samples are too few");
	hystart_acks(&s, 67500, 1);
	cr_assert(!hystart_css(&s));
	cr_assert_eq(s.cc.ssthresh, s.cc.cwnd);
}

/* ACKs of segments so far apart, ten of them a round. */
static void train_acks(struct sim *s, uint32_t gap_us, uint32_t rtt_us, int n)
{
	while (n-- > 0) {
		s->ack.now_us += gap_us;
		hystart_acks(s, rtt_us, 1);
	}
}

Test(tcp_cubic, a_train_of_acks_for_half_the_least_round_trip_slows_slow_start)
{
	static const struct {
		uint32_t gap_us;
		bool css;
	} rows[] = {
		{ 2000, false }, /* ten of them are half, not more */
		{ 2200, true },
		{ 5000, true },
		{ 5001, false }, /* clumps: an eighth of the round trip apart */
		{ 20000, false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		hystart_init(&s, 40 * MS);
		train_acks(&s, rows[i].gap_us, 40 * MS, 10);
		cr_assert_eq(hystart_css(&s), rows[i].css, "row %zu", i);
		cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX);
	}
}

Test(tcp_cubic, the_acks_of_a_small_window_are_no_train)
{
	struct sim s;

	sim_init(&s, MSS, 2 * MSS, 40 * MS);
	train_acks(&s, 4 * MS, 40 * MS, 13);
	cr_assert_eq(s.cc.cwnd, 15 * MSS);
	cr_assert(!hystart_css(&s));
	train_acks(&s, 4 * MS, 40 * MS, 4);
	cr_assert(hystart_css(&s), "sixteen are enough");
}

Test(tcp_cubic, after_a_train_the_first_rise_ends_slow_start_and_a_fall_does_not_resume_it)
{
	struct sim s;
	uint32_t before;

	hystart_init(&s, 40 * MS);
	train_acks(&s, 4 * MS, 40 * MS, 10);
	cr_assert(hystart_css(&s));
	before = s.cc.cwnd;
	train_acks(&s, 4 * MS, 39 * MS, 12);
	cr_assert(hystart_css(&s), "the smallest of a few samples is a matter of luck");
	cr_assert_eq(s.cc.cwnd, before + 3 * MSS);
	train_acks(&s, 4 * MS, 45 * MS, 16);
	cr_assert(!hystart_css(&s));
	cr_assert_eq(s.cc.ssthresh, s.cc.cwnd);
}

Test(tcp_cubic, rfc9406_s4_3_only_the_first_slow_start_is_watched)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 50 * MS);
	tcp_cubic_timeout(&s.cc, MSS, 100 * MSS, true, 0);
	hystart_acks(&s, 50 * MS, 11);
	hystart_acks(&s, 90 * MS, 10);
	cr_assert(!hystart_css(&s));
	cr_assert_eq(s.cc.cwnd, 22 * MSS);
}

Test(tcp_cubic, delays_of_an_unused_window_decide_nothing)
{
	struct sim s;

	hystart_init(&s, 50 * MS);
	s.ack.limited = false;
	hystart_acks(&s, 90 * MS, 20);
	cr_assert(!hystart_css(&s));
	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 9);
	cr_assert(hystart_css(&s));
	s.ack.limited = false;
	hystart_acks(&s, 60 * MS, 201);
	cr_assert(hystart_css(&s), "no round of the five");
	cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX);
}

Test(tcp_cubic, rfc9937_s6_one_step)
{
	/* 100 segments were out; ssthresh is 70 */
	static const struct {
		uint32_t before, out; /* delivered and sent so far */
		uint32_t delivered, in_flight;
		bool lost_more, una_moved;
		uint32_t expect;
	} rows[] = {
		/* proportional: rounded up to the byte, 0.7 for 1 */
		{ 0, 0, 1 * MSS, 98 * MSS, true, false, 98 * MSS + 1022 },
		{ 0, 0, 1, 98 * MSS, true, false, 98 * MSS + 1 },
		{ 9 * MSS, 7 * MSS, 1 * MSS, 90 * MSS, false, false, 90 * MSS },
		{ 9 * MSS, 6 * MSS, 1 * MSS, 90 * MSS, false, false, 91 * MSS },
		{ 49 * MSS, 25 * MSS, 1 * MSS, 80 * MSS, false, true, 90 * MSS },
		{ 10 * MSS, 20 * MSS, 1 * MSS, 90 * MSS, false, false, 90 * MSS },
		/* conservative bound: as much as arrived */
		{ 9 * MSS, 10 * MSS, 1 * MSS, 40 * MSS, true, false, 41 * MSS },
		{ 9 * MSS, 10 * MSS, 1 * MSS, 40 * MSS, true, true, 41 * MSS },
		{ 9 * MSS, 10 * MSS, 1 * MSS, 40 * MSS, false, false, 41 * MSS },
		{ 9 * MSS, 5 * MSS, 1 * MSS, 40 * MSS, true, false, 45 * MSS },
		{ 9 * MSS, 10 * MSS, 3 * MSS, 40 * MSS, true, false, 43 * MSS },
		/* slow start bound: a segment more */
		{ 9 * MSS, 10 * MSS, 1 * MSS, 40 * MSS, false, true, 42 * MSS },
		{ 9 * MSS, 5 * MSS, 1 * MSS, 40 * MSS, false, true, 46 * MSS },
		/* never past ssthresh */
		{ 60 * MSS, 5 * MSS, 1 * MSS, 60 * MSS, false, true, 70 * MSS },
		{ 60 * MSS, 5 * MSS, 1 * MSS, 70 * MSS, false, true, 70 * MSS },
		/* the fast retransmit always leaves */
		{ 0, 0, 1 * MSS, 70 * MSS, false, false, 71 * MSS },
		/* nothing delivered: nothing said */
		{ 9 * MSS, 0, 0, 10 * MSS, false, true, 100 * MSS },
		/* a window is a segment at least */
		{ 9 * MSS, 20 * MSS, 1, 0, true, false, MSS },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct tcp_cubic cc;

		tcp_cubic_init(&cc, 100 * MSS);
		tcp_cubic_reduce(&cc, MSS, 100 * MSS, 0);
		tcp_cubic_prr(&cc, MSS, 40 * MSS, 80 * MSS, true, false);
		tcp_cubic_prr_sent(&cc, 7 * MSS);
		tcp_cubic_undo(&cc); /* that was another recovery */
		tcp_cubic_reduce(&cc, MSS, 100 * MSS, 0);
		if (rows[i].before > 0)
			tcp_cubic_prr(&cc, MSS, rows[i].before, 80 * MSS, true, false);
		tcp_cubic_prr_sent(&cc, rows[i].out);
		cc.cwnd = 100 * MSS;
		tcp_cubic_prr(&cc, MSS, rows[i].delivered, rows[i].in_flight, rows[i].lost_more,
			rows[i].una_moved);
		tcp_cubic_check(&cc, MSS);
		cr_assert_eq(
			cc.cwnd, rows[i].expect, "row %zu: %u, not %u", i, cc.cwnd, rows[i].expect);
	}
}

/* `out` segments in flight, `lost` of them gone: SACKs for the rest, then those for what was sent.
 * Returns the pipe after a round trip. */
static uint32_t prr_run(struct tcp_cubic *cc, uint32_t out, uint32_t lost)
{
	uint32_t pipe = (out - lost) * MSS;
	uint32_t sent = 0;

	tcp_cubic_reduce(cc, MSS, out * MSS, 0);
	for (uint32_t n = 1; n <= out - lost; n++) {
		pipe -= MSS;
		tcp_cubic_prr(cc, MSS, MSS, pipe, false, false);
		tcp_cubic_check(cc, MSS);
		if (pipe > cc->ssthresh)
			cr_assert_leq(sent + cc->cwnd - pipe, n * MSS * 7 / 10 + 1, "proportional");
		while (pipe + MSS <= cc->cwnd) {
			pipe += MSS;
			sent += MSS;
			tcp_cubic_prr_sent(cc, MSS);
		}
		cr_assert_leq(sent, n * MSS, "packet conservation");
	}
	return pipe;
}

Test(tcp_cubic, rfc9937_s6_a_round_trip_brings_what_is_in_flight_to_ssthresh)
{
	static const uint32_t lost[] = { 0, 1, 5, 20, 29 };

	for (size_t i = 0; i < HF_ARRAY_LEN(lost); i++) {
		struct tcp_cubic cc;
		uint32_t pipe;

		tcp_cubic_init(&cc, 100 * MSS);
		pipe = prr_run(&cc, 100, lost[i]);
		cr_assert_geq(pipe, 69 * MSS, "%u lost: %u", lost[i], pipe / MSS);
		cr_assert_leq(pipe, 70 * MSS, "%u lost: %u", lost[i], pipe / MSS);
		tcp_cubic_recovered(&cc, MSS, pipe);
		tcp_cubic_check(&cc, MSS);
		cr_assert_eq(cc.cwnd, 70 * MSS);
	}
}

Test(tcp_cubic, rfc9937_s6_after_heavy_loss_only_what_arrives_is_replaced)
{
	struct tcp_cubic cc;
	uint32_t pipe;

	tcp_cubic_init(&cc, 100 * MSS);
	pipe = prr_run(&cc, 100, 60);
	cr_assert_eq(pipe, 40 * MSS);
	for (int i = 0; i < 20; i++) { /* retransmissions fill holes: one more each */
		pipe -= MSS;
		tcp_cubic_prr(&cc, MSS, MSS, pipe, false, true);
		cr_assert_eq(cc.cwnd, pipe + 2 * MSS);
		tcp_cubic_prr_sent(&cc, 2 * MSS);
		pipe += 2 * MSS;
	}
	cr_assert_eq(pipe, 60 * MSS);
}

Test(tcp_cubic, recovery_with_nothing_in_flight)
{
	struct tcp_cubic cc;

	tcp_cubic_init(&cc, 10 * MSS);
	tcp_cubic_reduce(&cc, MSS, 0, 0);
	tcp_cubic_check(&cc, MSS);
	tcp_cubic_prr(&cc, MSS, 1, 3 * MSS, false, false);
	cr_assert_eq(cc.cwnd, 3 * MSS + 2, "2 segments of 1");
}

Test(tcp_cubic, recovery_ends_at_ssthresh_but_without_a_burst)
{
	static const struct {
		uint32_t delivered, out, in_flight, expect;
	} rows[] = {
		{ 50 * MSS, 50 * MSS, 70 * MSS, 70 * MSS },
		{ 50 * MSS, 50 * MSS, 90 * MSS, 70 * MSS },
		{ 50 * MSS, 50 * MSS, 10 * MSS, 11 * MSS },
		{ 50 * MSS, 60 * MSS, 10 * MSS, 11 * MSS },
		{ 50 * MSS, 45 * MSS, 10 * MSS, 16 * MSS },
		{ 90 * MSS, 0, 10 * MSS, 70 * MSS },
		{ 50 * MSS, 50 * MSS, 0, MSS },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		sim_init(&s, MSS, 100 * MSS, 100 * MS);
		tcp_cubic_reduce(&s.cc, MSS, 100 * MSS, s.ack.now_us);
		tcp_cubic_prr(&s.cc, MSS, rows[i].delivered, rows[i].in_flight, false, true);
		tcp_cubic_prr_sent(&s.cc, rows[i].out);
		tcp_cubic_recovered(&s.cc, MSS, rows[i].in_flight);
		tcp_cubic_check(&s.cc, MSS);
		cr_assert_eq(s.cc.cwnd, rows[i].expect, "row %zu: %u", i, s.cc.cwnd);
		sim_rounds(&s, 7); /* slow start does the rest */
		cr_assert_geq(s.cc.cwnd, 70 * MSS, "row %zu", i);
	}
}

Test(tcp_cubic, rfc9438_s4_8_a_timeout_starts_over_from_one_segment)
{
	struct sim s;

	sim_init(&s, MSS, 200 * MSS, 100 * MS);
	sim_loss(&s);
	sim_rounds(&s, 3);
	cr_assert_gt(s.cc.k_ms, 0U);
	tcp_cubic_timeout(&s.cc, MSS, 100 * MSS, true, s.ack.now_us);
	cr_assert_eq(s.cc.cwnd, MSS);
	tcp_cubic_timeout(&s.cc, MSS, MSS, false, s.ack.now_us);
	cr_assert_eq(s.cc.cwnd, MSS);
	cr_assert_eq(s.cc.ssthresh, 70 * MSS, "once for the same loss");
	tcp_cubic_check(&s.cc, MSS);
	while (s.cc.cwnd < 70 * MSS)
		sim_round(&s);
	sim_round(&s);
	cr_assert_eq(s.cc.w_max, 70 * MSS, "W_max is where avoidance began");
	cr_assert_eq(s.cc.k_ms, 0);
}

Test(tcp_cubic, a_timeout_in_recovery_ends_it_and_keeps_what_it_saved)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	tcp_cubic_reduce(&s.cc, MSS, 100 * MSS, s.ack.now_us);
	tcp_cubic_prr(&s.cc, MSS, 50 * MSS, 20 * MSS, true, false);
	tcp_cubic_timeout(&s.cc, MSS, 20 * MSS, false, s.ack.now_us);
	cr_assert_eq(s.cc.ssthresh, 70 * MSS);
	sim_round(&s);
	tcp_cubic_undo(&s.cc);
	tcp_cubic_check(&s.cc, MSS);
	cr_assert_eq(s.cc.cwnd, 100 * MSS);
	cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX);
}

enum undo_when { UNDO_AT_ONCE, UNDO_IN_RECOVERY, UNDO_AFTER, UNDO_RTO, UNDO_RTO_AGAIN, UNDO_WHENS };

static void undo_spurious(struct sim *s, enum undo_when when)
{
	uint16_t mss = s->ack.mss;

	if (when >= UNDO_RTO) {
		tcp_cubic_timeout(&s->cc, mss, s->cc.cwnd, true, s->ack.now_us);
		if (when == UNDO_RTO_AGAIN)
			tcp_cubic_timeout(&s->cc, mss, mss, false, s->ack.now_us);
		sim_ack(s, 2U * mss, 0);
	} else {
		uint32_t half = s->cc.cwnd / 2;

		tcp_cubic_reduce(&s->cc, mss, s->cc.cwnd, s->ack.now_us);
		if (when >= UNDO_IN_RECOVERY)
			tcp_cubic_prr(&s->cc, mss, half, half, false, true);
		if (when == UNDO_AFTER) {
			tcp_cubic_recovered(&s->cc, mss, half);
			sim_ack(s, 2U * mss, 0);
			sim_ack(s, 2U * mss, 0);
		}
	}
	tcp_cubic_undo(&s->cc);
	tcp_cubic_check(&s->cc, mss);
}

Test(tcp_cubic, rfc9438_s4_9_undo_restores_slow_start)
{
	for (int when = 0; when < UNDO_WHENS; when++) {
		struct sim s;

		sim_init(&s, MSS, 100 * MSS, 100 * MS);
		undo_spurious(&s, (enum undo_when)when);
		cr_assert_eq(s.cc.cwnd, 100 * MSS, "%d", when);
		cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX, "%d", when);
		sim_ack(&s, 2 * MSS, 0);
		cr_assert_eq(s.cc.cwnd, 102 * MSS, "%d", when);
	}
}

static void undo_and_compare(uint32_t segs, uint32_t rtt_us, enum undo_when when)
{
	struct sim s, twin;

	sim_init(&s, MSS, segs * MSS, rtt_us);
	sim_loss(&s);
	sim_rounds(&s, 50);
	twin = s;
	undo_spurious(&s, when);
	cr_assert_eq(s.cc.cwnd, twin.cc.cwnd, "%d", (int)when);
	cr_assert_eq(s.cc.ssthresh, twin.cc.ssthresh, "%d", (int)when);
	cr_assert_eq(s.cc.w_prior, twin.cc.w_prior, "%d", (int)when);
	for (int i = 0; i < 100; i++) {
		sim_round(&s);
		sim_round(&twin);
		cr_assert_geq(s.cc.cwnd, twin.cc.cwnd - MSS, "%d", (int)when);
		cr_assert_leq(s.cc.cwnd, twin.cc.cwnd + MSS, "%d", (int)when);
	}
}

Test(tcp_cubic, rfc9438_s4_9_undo_restores_the_curve)
{
	for (int when = 0; when < UNDO_WHENS; when++) {
		undo_and_compare(1000, 100 * MS, (enum undo_when)when);
		undo_and_compare(100, 1 * MS, (enum undo_when)when); /* Reno-friendly */
	}
}

Test(tcp_cubic, rfc9438_s4_9_undo_counts_no_time_before_the_reduction)
{
	struct sim s;
	uint32_t before_us;

	sim_init(&s, MSS, 1000 * MSS, 100 * MS);
	sim_loss(&s);
	sim_rounds(&s, 50);
	before_us = s.cc.t_us;
	s.ack.now_us += 150 * MS;
	tcp_cubic_reduce(&s.cc, MSS, s.cc.cwnd, s.ack.now_us);
	tcp_cubic_undo(&s.cc);
	sim_ack(&s, MSS, 30 * MS);
	cr_assert_eq(s.cc.t_us, before_us + 30 * MS);
}

Test(tcp_cubic, rfc9438_s4_9_undo_leaves_a_window_that_grew_past_it)
{
	struct sim s;
	struct tcp_cubic before;

	sim_init(&s, MSS, 20 * MSS, 100 * MS);
	sim_loss(&s);
	sim_rounds(&s, 100);
	cr_assert_gt(s.cc.cwnd, 20 * MSS);
	before = s.cc;
	tcp_cubic_undo(&s.cc);
	cr_assert_eq(s.cc.cwnd, before.cwnd);
	cr_assert_eq(s.cc.ssthresh, before.ssthresh);
	cr_assert_eq(s.cc.w_max, before.w_max);
}

Test(tcp_cubic, undo_happens_once_and_not_after_idle)
{
	struct sim s;

	sim_init(&s, MSS, 100 * MSS, 100 * MS);
	tcp_cubic_undo(&s.cc);
	cr_assert_eq(s.cc.cwnd, 100 * MSS);
	cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX);
	sim_loss(&s);
	tcp_cubic_undo(&s.cc);
	s.cc.cwnd = 50 * MSS;
	tcp_cubic_undo(&s.cc);
	cr_assert_eq(s.cc.cwnd, 50 * MSS, "the second has nothing to restore");
	sim_loss(&s);
	tcp_cubic_idle(&s.cc, MSS);
	tcp_cubic_undo(&s.cc);
	cr_assert_eq(s.cc.cwnd, 10 * MSS);
	cr_assert_eq(s.cc.ssthresh, 35 * MSS);
}

Test(tcp_cubic, rfc5681_s4_1_idle_restarts_from_the_initial_window)
{
	static const struct {
		uint32_t cwnd, expect;
	} rows[] = { { 100 * MSS, 10 * MSS }, { 10 * MSS, 10 * MSS }, { 3 * MSS, 3 * MSS } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct sim s;

		sim_init(&s, MSS, rows[i].cwnd, 100 * MS);
		tcp_cubic_idle(&s.cc, MSS);
		tcp_cubic_check(&s.cc, MSS);
		cr_assert_eq(s.cc.cwnd, rows[i].expect, "row %zu", i);
		cr_assert_eq(s.cc.ssthresh, TCP_CWND_MAX, "row %zu", i);
	}
}

Test(tcp_cubic, rfc5681_s4_1_idle_keeps_ssthresh_and_begins_a_new_epoch)
{
	struct sim s;

	sim_init(&s, MSS, 1000 * MSS, 100 * MS);
	sim_loss(&s);
	sim_rounds(&s, 80);
	cr_assert_gt(s.cc.t_us, 7000 * MS);
	tcp_cubic_idle(&s.cc, MSS);
	tcp_cubic_check(&s.cc, MSS);
	cr_assert_eq(s.cc.ssthresh, 700 * MSS);
	while (s.cc.cwnd < 700 * MSS)
		sim_round(&s);
	sim_ack(&s, MSS, 0);
	cr_assert_lt(s.cc.t_us, 200 * MS);
	cr_assert_gt(s.cc.k_ms, 9000U, "300 segments below w_max: 9.08 s");
	cr_assert_lt(s.cc.k_ms, 9100U);
}

Test(tcp_cubic, idle_may_come_before_an_ecn_reduction_ends)
{
	struct tcp_cubic cc;

	tcp_cubic_init(&cc, 100 * MSS);
	tcp_cubic_reduce(&cc, MSS, 100 * MSS, 0);
	tcp_cubic_prr(&cc, MSS, 90 * MSS, 0, false, true);
	tcp_cubic_prr_sent(&cc, 60 * MSS);
	tcp_cubic_idle(&cc, MSS);
	tcp_cubic_check(&cc, MSS);
	cr_assert_eq(cc.cwnd, 10 * MSS);
	tcp_cubic_prr_sent(&cc, 10 * MSS);
	tcp_cubic_prr(&cc, MSS, 12 * MSS, 8 * MSS, false, true);
	tcp_cubic_recovered(&cc, MSS, 8 * MSS);
	tcp_cubic_check(&cc, MSS);
	cr_assert_eq(cc.cwnd, 11 * MSS, "only what came since counts");
}

Test(tcp_cubic, idle_forgets_the_rounds_that_were_measured)
{
	struct sim s;

	hystart_init(&s, 50 * MS);
	hystart_acks(&s, 60 * MS, 9);
	cr_assert(hystart_css(&s));
	tcp_cubic_idle(&s.cc, MSS);
	cr_assert(!hystart_css(&s));
	hystart_acks(&s, 90 * MS, 11);
	cr_assert(!hystart_css(&s), "nothing to compare with");
}

Test(tcp_cubic, extremes_of_segment_window_and_round_trip)
{
	static const uint16_t mss[] = { 48, 88, 1460, 65495, 65535 };
	static const uint32_t rtt_us[] = { 0, 1, 60000000 };

	for (size_t i = 0; i < HF_ARRAY_LEN(mss); i++) {
		for (size_t j = 0; j < HF_ARRAY_LEN(rtt_us) * 2; j++) {
			uint32_t cwnd = j % 2 ? TCP_CWND_MAX : mss[i];
			struct sim s;

			sim_init(&s, mss[i], cwnd, rtt_us[j / 2]);
			sim_ack(&s, UINT32_MAX, rtt_us[j / 2]);
			sim_loss(&s);
			for (int n = 0; n < 2000; n++)
				sim_ack(&s, s.cc.cwnd, rtt_us[j / 2]);
			cr_assert(j != 3 || s.cc.cwnd < TCP_CWND_MAX, "K is minutes");
			cr_assert(j < 4 || s.cc.cwnd == TCP_CWND_MAX, "a day later");
			tcp_cubic_timeout(&s.cc, mss[i], UINT32_MAX, true, 0);
			sim_ack(&s, 1, UINT32_MAX);
			tcp_cubic_undo(&s.cc);
			tcp_cubic_check(&s.cc, mss[i]);
			tcp_cubic_reduce(&s.cc, mss[i], UINT32_MAX, 0);
			tcp_cubic_prr_sent(&s.cc, UINT32_MAX);
			tcp_cubic_prr_sent(&s.cc, UINT32_MAX);
			tcp_cubic_prr(&s.cc, mss[i], UINT32_MAX, UINT32_MAX, false, true);
			tcp_cubic_prr(&s.cc, mss[i], UINT32_MAX, 0, false, true);
			tcp_cubic_check(&s.cc, mss[i]);
			tcp_cubic_recovered(&s.cc, mss[i], UINT32_MAX);
			tcp_cubic_check(&s.cc, mss[i]);
		}
	}
}

Test(tcp_cubic, the_farthest_window_is_reached_when_the_function_says)
{
	struct sim s;

	sim_init(&s, 88, TCP_CWND_MAX, 100 * MS);
	sim_loss(&s);
	sim_ack(&s, 0, 0);
	/* (0.3 * 2^30 / 88 / 0.4)^(1/3) s */
	cr_assert_geq(s.cc.k_ms, 209160U, "%u", s.cc.k_ms);
	cr_assert_leq(s.cc.k_ms, 209170U, "%u", s.cc.k_ms);
	s.cc.t_us = 100000000;
	sim_ack(&s, s.cc.cwnd, 0);
	/* 2^30 - 0.4 * 88 * 109.07^3 */
	cr_assert_geq(s.cc.cwnd, 1028000000U, "%u", s.cc.cwnd);
	cr_assert_leq(s.cc.cwnd, 1028150000U, "%u", s.cc.cwnd);
}

static uint32_t walk_random(uint32_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % below;
}

static void walk_ack(struct sim *s, uint32_t *seed)
{
	uint32_t before = s->cc.cwnd, delivered;

	s->ack.limited = walk_random(seed, 4) > 0;
	s->ack.srtt_us = 1U << walk_random(seed, 26);
	s->ack.rtt_us = walk_random(seed, 2) ? s->ack.srtt_us + walk_random(seed, 20000) : 0;
	delivered = walk_random(seed, 8) ? 2U * s->ack.mss : walk_random(seed, before + 1);
	sim_ack(s, delivered, walk_random(seed, 64) ? s->ack.srtt_us / 8 : *seed);
	cr_assert_geq(s->cc.cwnd, before);
	cr_assert_leq(s->cc.cwnd - before, s->ack.limited ? delivered + 1 : 0);
}

static void walk_recovery(struct sim *s, uint32_t *seed)
{
	uint32_t pipe = walk_random(seed, s->cc.cwnd + 1), delivered;

	switch (walk_random(seed, 16)) {
	case 0:
		tcp_cubic_recovered(&s->cc, s->ack.mss, pipe);
		cr_assert_leq(s->cc.cwnd, s->cc.ssthresh);
		break;
	case 1:
		tcp_cubic_undo(&s->cc);
		break;
	case 2:
		tcp_cubic_timeout(&s->cc, s->ack.mss, pipe, walk_random(seed, 2), s->ack.now_us);
		cr_assert_eq(s->cc.cwnd, s->ack.mss);
		break;
	default:
		delivered = walk_random(seed, 4U * s->ack.mss);
		tcp_cubic_prr(&s->cc, s->ack.mss, delivered, pipe, walk_random(seed, 2),
			walk_random(seed, 2));
		tcp_cubic_prr_sent(&s->cc, walk_random(seed, 4U * s->ack.mss));
		break;
	}
}

static void walk_step(struct sim *s, uint32_t *seed)
{
	if (s->cc.flags & TCP_CUBIC_PRR) {
		walk_recovery(s, seed);
		return;
	}
	switch (walk_random(seed, 400)) {
	case 0:
	case 1:
		tcp_cubic_reduce(
			&s->cc, s->ack.mss, walk_random(seed, s->cc.cwnd + 1), s->ack.now_us);
		break;
	case 2:
		tcp_cubic_timeout(&s->cc, s->ack.mss, walk_random(seed, s->cc.cwnd + 1),
			walk_random(seed, 4) > 0, s->ack.now_us);
		break;
	case 3:
		tcp_cubic_undo(&s->cc);
		break;
	case 4:
		tcp_cubic_idle(&s->cc, s->ack.mss);
		break;
	default:
		walk_ack(s, seed);
		break;
	}
}

Test(tcp_cubic, a_random_walk_keeps_the_invariants)
{
	static const uint16_t mss[] = { 88, 536, 1460, 8960, 65495 };

	for (uint32_t n = 1; n <= 100; n++) {
		uint32_t seed = n * 2654435761U;
		struct sim s;

		sim_init(&s, mss[n % HF_ARRAY_LEN(mss)], tcp_cubic_iw(mss[n % HF_ARRAY_LEN(mss)]),
			1000);
		for (int i = 0; i < 5000; i++) {
			walk_step(&s, &seed);
			tcp_cubic_check(&s.cc, s.ack.mss);
		}
	}
}

Test(tcp_cubic, check_finds_a_window_below_a_segment, .signal = SIGABRT)
{
	struct tcp_cubic cc;

	tcp_cubic_init(&cc, MSS - 1);
	tcp_cubic_check(&cc, MSS);
}

Test(tcp_cubic, recovery_is_not_entered_twice, .signal = SIGABRT)
{
	struct tcp_cubic cc;

	tcp_cubic_init(&cc, 10 * MSS);
	tcp_cubic_reduce(&cc, MSS, 10 * MSS, 0);
	tcp_cubic_reduce(&cc, MSS, 10 * MSS, 0);
}
