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
