/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

static void wnd_fill(struct th *t)
{
	t->spare = UINT32_MAX;
	for (uint32_t at = 0; at < t->cfg.rcv_wnd_max; at += 1000) {
		th_in_len(t, HF_TCP_ACK, at, 0, hf_min_u32(1000, t->cfg.rcv_wnd_max - at));
		if (t->out_count) /* never taken back */
			cr_assert_eq(th_out_ack(t, 0) + t->out[0].wnd, t->cfg.rcv_wnd_max);
	}
}

static void wnd_open(struct th *t)
{
	th_init(t);
	t->cfg.rcv_wnd_init = 10000;
	t->cfg.rcv_wnd_max = 10000;
	th_start(t);
	th_open_mss(t, TH_MSS);
}

Test(tcp_wnd, the_window_closes_when_nothing_is_consumed)
{
	struct th t;

	wnd_open(&t);
	wnd_fill(&t);
	th_tick(&t, 50000);
	cr_assert_eq(hf_tcp_unread(t.conn), 10000);
	cr_assert_eq(t.conn->rcv_adv, t.conn->rcv_nxt);
	th_done(&t);
}

Test(tcp_wnd, rfc9293_s3_8_6_1_a_probe_of_the_closed_window_is_answered)
{
	struct th t;

	wnd_open(&t);
	wnd_fill(&t);
	th_in(&t, HF_TCP_ACK, 10000, 0, "p");
	th_expect_ack(&t, 10000);
	cr_assert_eq(t.out[0].wnd, 0);
	cr_assert_eq(hf_tcp_unread(t.conn), 10000);
	th_done(&t);
}

Test(tcp_wnd, rfc9293_s3_10_7_4_a_closed_window_still_takes_acks)
{
	struct th t;

	wnd_open(&t);
	th_send(&t, 500);
	wnd_fill(&t);
	th_in(&t, HF_TCP_ACK, 10000, 500, "p");
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_wnd, consuming_re_opens_with_an_update)
{
	struct th t;

	wnd_open(&t);
	wnd_fill(&t);
	hf_tcp_consume(t.tcp, t.conn, 10000);
	th_flush(&t);
	th_expect_ack(&t, 10000);
	cr_assert_eq(t.out[0].wnd, 10000);
	th_done(&t);
}

Test(tcp_wnd, rfc9293_s3_8_6_2_2_no_update_for_a_silly_window)
{
	struct th t;

	wnd_open(&t);
	wnd_fill(&t);
	for (int i = 0; i < 14; i++) {
		hf_tcp_consume(t.tcp, t.conn, 100);
		th_flush(&t);
		cr_assert_eq(t.out_count, 0);
		th_in(&t, HF_TCP_ACK, 10000, 0, "p");
		cr_assert_eq(t.out[0].wnd, 0, "closed until a segment fits");
	}
	hf_tcp_consume(t.tcp, t.conn, 100);
	th_in(&t, HF_TCP_ACK, 10000, 0, "p");
	cr_assert_eq(t.out[0].wnd, 1500);
	th_done(&t);
}

Test(tcp_wnd, bytes_beyond_the_window_are_cut_off)
{
	struct th t;

	wnd_open(&t);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 10500);
	cr_assert_eq(t.got_len, 10000);
	th_expect_ack(&t, 10000);
	th_in_len(&t, HF_TCP_ACK, 25000, 0, 10);
	cr_assert_eq(th_drops(HF_DROP_TCP_OUT_OF_WINDOW), 1);
	th_expect_ack(&t, 10000);
	th_done(&t);
}

/* A window of `init` bytes that may grow to `max`, with a scale; many buffers. */
static void wnd_open_scaled(struct th *t, uint32_t init, uint32_t max)
{
	static const uint8_t opt[] = { 2, 4, TH_MSS >> 8, TH_MSS & 0xff, 1, 3, 3, 0 };

	th_init(t);
	t->cfg.rxbufs_max = 80;
	t->cfg.rcv_wnd_init = init;
	t->cfg.rcv_wnd_max = max;
	th_start(t);
	t->opt = opt;
	t->opt_len = sizeof(opt);
	th_syn(t);
	t->opt = NULL;
	t->opt_len = 0;
	th_in(t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_not_null(t->conn);
}

static uint32_t wnd_next(const struct th *t)
{
	return t->conn->rcv_nxt - TH_IRS - 1;
}

/* Sends `len` bytes, which must be within the window; what the application reads is forgotten. */
static void wnd_in(struct th *t, uint32_t len)
{
	while (len > 0) {
		uint32_t n = hf_min_u32(len, TH_MSS);
		uint32_t next = wnd_next(t);

		t->got_len = 0;
		cr_assert_eq(th_in_len(t, HF_TCP_ACK, next, 0, n), HF_DROP_NONE);
		cr_assert_eq(wnd_next(t), next + n);
		len -= n;
	}
}

static uint32_t wnd_offered(const struct th *t)
{
	return t->conn->rcv_adv - t->conn->rcv_nxt;
}

/* A round trip in which the sender uses `percent` of what it is offered, and all is read. */
static void wnd_round(struct th *t, uint64_t rtt_us, uint32_t percent)
{
	uint32_t len = wnd_offered(t) / 100 * percent;

	th_tick(t, rtt_us);
	wnd_in(t, len);
}

Test(tcp_wnd, a_sender_that_uses_the_window_makes_it_grow_up_to_the_limit)
{
	struct th t;
	uint32_t last;

	wnd_open_scaled(&t, 20000, 200000);
	for (int i = 0; i < 3; i++)
		wnd_round(&t, 10000, 99);
	cr_assert_gt(t.conn->rcv_wnd, 20000, "two whole windows say what a round trip is");
	last = t.conn->rcv_wnd;
	for (int i = 0; i < 6; i++) {
		wnd_round(&t, 10000, 99);
		cr_assert_geq(t.conn->rcv_wnd, last);
		last = t.conn->rcv_wnd;
	}
	cr_assert_eq(last, 200000);
	cr_assert_gt(wnd_offered(&t), 170000, "and it was told");
	th_done(&t);
}

Test(tcp_wnd, with_a_known_round_trip_the_first_one_counts)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	t.conn->rcv_rtt_us = 10000; /* as timestamps told */
	wnd_in(&t, 12000);
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	t.now_us += 10000;
	wnd_in(&t, 1);
	cr_assert_eq(t.conn->rcv_wnd, 24002, "twice of what was read in that time");
	th_done(&t);
}

Test(tcp_wnd, a_sender_that_uses_less_than_half_gets_no_more)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	t.conn->rcv_rtt_us = 10000;
	for (int i = 0; i < 50; i++)
		wnd_round(&t, 10000, 45);
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, an_application_that_reads_much_but_seldom_gets_no_more)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	t.conn->rcv_rtt_us = 10000;
	for (int i = 0; i < 20; i++) {
		t.spare = UINT32_MAX;
		wnd_in(&t, 18000);
		th_tick(&t, 500000);
		hf_tcp_consume(t.tcp, t.conn, 18000);
		th_flush(&t);
	}
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, a_window_that_took_seconds_is_no_round_trip)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	for (int i = 0; i < 100; i++)
		wnd_round(&t, 200000, 7);
	cr_assert_eq(t.conn->rcv_rtt_us, 0);
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, a_sender_that_paused_tells_no_round_trip)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	wnd_in(&t, 19000);
	th_tick(&t, 2500000);
	wnd_in(&t, TH_MSS);
	cr_assert_eq(t.conn->rcv_rtt_us, 0);
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, a_window_that_waited_for_the_application_tells_no_round_trip)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 200000);
	t.spare = UINT32_MAX;
	wnd_in(&t, 20000);
	th_tick(&t, 2500000);
	hf_tcp_consume(t.tcp, t.conn, 1);
	hf_tcp_consume(t.tcp, t.conn, 19999);
	cr_assert_eq(t.conn->rcv_rtt_us, 0, "all of it was offered long ago");
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, the_shortest_time_of_a_window_is_the_round_trip)
{
	struct th t;

	wnd_open_scaled(&t, 20000, 20000);
	for (int i = 0; i < 2; i++)
		wnd_round(&t, 50000, 99);
	cr_assert_eq(t.conn->rcv_rtt_us, 100000, "the second one completed it");
	wnd_round(&t, 50000, 99);
	cr_assert_eq(t.conn->rcv_rtt_us, 50000);
	for (int i = 0; i < 20; i++)
		wnd_round(&t, 7000, 99);
	cr_assert_leq(t.conn->rcv_rtt_us, 14000);
	cr_assert_geq(t.conn->rcv_rtt_us, 7000);
	th_done(&t);
}

/* Another connection of the same stack, whose application reads nothing: it holds `bufs`. */
static void wnd_hold(struct th *t, struct th *ret_other, uint32_t bufs)
{
	*ret_other = *t;
	ret_other->sport = 4001;
	th_open_mss(ret_other, TH_MSS);
	ret_other->conn->rcv_wnd = t->cfg.rcv_wnd_max;
	ret_other->conn->rcv_adv = ret_other->conn->rcv_nxt + bufs * TCP_RXBUF_BYTES;
	ret_other->spare = UINT32_MAX;
	wnd_in(ret_other, bufs * TCP_RXBUF_BYTES);
	cr_assert_eq(t->tcp->rxbufs.used, bufs);
	t->now_us = ret_other->now_us;
}

static void wnd_release(struct th *other)
{
	hf_tcp_consume(other->tcp, other->conn, hf_tcp_unread(other->conn));
	th_flush(other);
}

Test(tcp_wnd, no_growth_while_half_of_the_buffers_are_in_use)
{
	static struct th t, other;

	wnd_open_scaled(&t, 20000, 600000);
	wnd_hold(&t, &other, 41);
	for (int i = 0; i < 10; i++)
		wnd_round(&t, 10000, 99);
	cr_assert_eq(t.conn->rcv_wnd, 20000);
	cr_assert_gt(wnd_offered(&t), 17000, "but no less either");
	wnd_release(&other);
	for (int i = 0; i < 3; i++)
		wnd_round(&t, 10000, 99);
	cr_assert_gt(t.conn->rcv_wnd, 20000);
	th_done(&t);
}

Test(tcp_wnd, with_less_than_a_quarter_of_the_buffers_left_two_segments_are_offered)
{
	static struct th t, other;
	uint32_t adv;

	wnd_open_scaled(&t, 20000, 800000);
	wnd_in(&t, 2 * TH_MSS);
	wnd_hold(&t, &other, 61);
	adv = t.conn->rcv_adv;
	while (wnd_offered(&t) >= 2 * TH_MSS) {
		wnd_in(&t, TH_MSS);
		if (wnd_offered(&t) >= 2 * TH_MSS)
			cr_assert_lt(t.conn->rcv_adv - adv, 100, "no more but for rounding");
	}
	for (int i = 0; i < 20; i++) {
		wnd_in(&t, TH_MSS);
		cr_assert_leq(wnd_offered(&t), 2 * TH_MSS);
		cr_assert_gt(wnd_offered(&t), 0, "who reads goes on");
	}
	t.spare = UINT32_MAX;
	wnd_in(&t, wnd_offered(&t));
	th_tick(&t, 50000);
	cr_assert_eq(wnd_offered(&t), 0, "who does not, does not");
	t.spare = 0;
	th_read(&t);
	th_flush(&t);
	th_expect_ack(&t, wnd_next(&t));
	cr_assert_eq(wnd_offered(&t), 2 * TH_MSS / 16 * 16, "in units of the scale");
	wnd_release(&other);
	wnd_in(&t, 2 * TH_MSS - 16);
	cr_assert_gt(wnd_offered(&t), 16000, "all is well again");
	th_done(&t);
}

Test(tcp_wnd, an_update_of_its_own_is_worth_an_eighth_of_a_large_window)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.spare = UINT32_MAX;
	wnd_in(&t, 40000);
	th_tick(&t, 50000);
	hf_tcp_consume(t.tcp, t.conn, 8000);
	th_flush(&t);
	cr_assert_eq(t.out_count, 0);
	hf_tcp_consume(t.tcp, t.conn, 200);
	th_flush(&t);
	th_expect_ack(&t, 40000);
	cr_assert_eq(t.out[0].wnd, 65535 - 40000 + 8200);
	th_done(&t);
}

Test(tcp_wnd, who_reads_at_once_answers_every_second_segment_and_no_more)
{
	struct th t;
	uint32_t acks = 0;

	wnd_open_scaled(&t, 65535, 65535);
	for (int i = 0; i < 100; i++) {
		wnd_in(&t, TH_MSS);
		acks += t.out_count;
	}
	cr_assert_eq(acks, 50);
	th_done(&t);
}

/* Segments and reads of any size. Unit is the scale's. */
static void wnd_random_run(uint32_t seed, uint32_t max, bool reads_all)
{
	uint32_t rng = seed, edge, adv, unit;
	static struct th t;

	wnd_open_scaled(&t, max / 4, max);
	t.conn->rcv_rtt_us = 3000;
	unit = 1U << t.conn->rcv_shift;
	edge = adv = t.conn->rcv_adv;
	for (int i = 0; i < 800; i++) {
		uint32_t len;

		rng = rng * 1664525 + 1013904223;
		len = hf_min_u32(1 + (rng >> 8) % 2000, wnd_offered(&t));
		t.spare = reads_all ? 0 : (rng >> 20) % 60000;
		t.got_len = 0;
		if (len > 0)
			th_in_len(&t, HF_TCP_ACK, wnd_next(&t), 0, len);
		th_tick(&t, (rng >> 24) * 100);
		cr_assert(tcp_seq_ge(t.conn->rcv_adv, adv));
		cr_assert_leq(wnd_offered(&t) + hf_tcp_unread(t.conn), t.conn->rcv_wnd + unit - 1);
		adv = t.conn->rcv_adv;
		if (t.out_count > 0) {
			uint32_t told =
				t.out[0].ack + ((uint32_t)t.out[0].wnd << t.conn->rcv_shift);

			/* RFC 7323 §2.4: a field of units cannot say all */
			cr_assert(tcp_seq_gt(told + (reads_all ? 1 : unit), edge), "seed %u", seed);
			cr_assert(tcp_seq_le(told, adv), "what is told is accepted");
			edge = tcp_seq_gt(told, edge) ? told : edge;
		}
		if (len == 0) {
			th_read(&t);
			th_flush(&t);
		}
	}
	th_done(&t);
}

Test(tcp_wnd, the_right_edge_never_moves_back)
{
	for (uint32_t seed = 1; seed <= 12; seed++) {
		wnd_random_run(seed, 60000, seed % 2);
		wnd_random_run(seed, 700000, seed % 2);
	}
}

Test(tcp_wnd, the_peers_window_bounds_what_is_sent)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	t.wnd = 4000;
	th_open_mss(&t, TH_MSS);
	th_send(&t, 20000);
	cr_assert_eq(t.out_count, 2, "two full segments; 1080 bytes would be silly");
	cr_assert_eq(t.conn->snd_nxt - t.conn->snd_una, 2920);
	th_in(&t, HF_TCP_ACK, 0, 2920, NULL);
	cr_assert_eq(t.out_count, 2);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 5840, NULL);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_wnd, rfc9293_s3_8_6_2_1_half_of_the_largest_window_is_not_silly)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	t.wnd = 1000;
	th_open_mss(&t, TH_MSS);
	th_send(&t, 20000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 1000);
	t.wnd = 400;
	th_in(&t, HF_TCP_ACK, 0, 1000, NULL);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_wnd, an_old_segment_does_not_set_the_window)
{
	struct th t;

	th_open(&t);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 100);
	th_in_len(&t, HF_TCP_ACK, 100, 0, 100);
	t.wnd = 5;
	th_in_len(&t, HF_TCP_ACK, 50, 0, 160); /* overtaken by the second */
	cr_assert_eq(t.got_len, 210);
	cr_assert_eq(t.conn->snd_wnd, 65535);
	th_done(&t);
}
