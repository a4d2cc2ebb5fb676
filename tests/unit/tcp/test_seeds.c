/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What tests/sim found, each by its shortest way.
 */
#include "tcp_helper.h"

Test(tcp_seeds, rfc9293_s3_10_7_4_text_sent_again_brings_the_window_of_its_newer_ack)
{
	struct th t;

	th_open(&t);
	th_send(&t, 3000);
	th_in(&t, HF_TCP_ACK, 1, 0, "b");
	t.wnd = 2000;
	th_in(&t, HF_TCP_ACK, 0, 1460, "a");
	cr_assert_eq(t.conn->snd_una, t.iss + 1 + 1460);
	cr_assert_eq(t.conn->snd_wnd, 2000, "else its right edge moved with the ACK");
	th_done(&t);
}

Test(tcp_seeds, rfc3168_s6_1_4_a_fin_alone_is_not_ect)
{
	struct th t;

	th_sack_open(&t, TH_SACK | TH_ECN);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_FIN);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	th_done(&t);
}

Test(tcp_seeds, rfc7323_s4_3_a_syn_sent_again_is_echoed_by_its_own_timestamp)
{
	uint8_t opt[12] = { 1, 1, 8, 10, 0, 0, 0, 1 };
	struct th t;

	th_init(&t);
	th_start(&t);
	t.opt = opt;
	t.opt_len = sizeof(opt);
	th_syn(&t);
	opt[7] = 9;
	t.now_us += 500000;
	th_syn(&t);
	cr_assert_eq(t.out[0].opt[4 + 2 + 2 + 4 + 3], 9, "behind the MSS");
	th_done(&t);
}

Test(tcp_seeds, rfc3168_s6_1_1_syns_that_cross_agree_on_no_ecn)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_open_syn(&t);
	th_in(&t, HF_TCP_SYN | HF_TCP_ECE | HF_TCP_CWR, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_SYN | HF_TCP_ACK);
	th_done(&t);
}

Test(tcp_seeds, rfc4987_s3_6_text_that_overtakes_the_cookie_does_not_reset)
{
	struct th t;

	th_init(&t);
	t.cfg.syn_queue_max = 0;
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 5, 0, "second"), HF_DROP_TCP_BAD_COOKIE);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "first"), HF_DROP_NONE);
	cr_assert(t.events & HF_TCP_EV_OPEN);
	th_done(&t);
}

Test(tcp_seeds, rfc4821_s7_7_a_last_segment_may_be_too_large_though_it_is_not_full)
{
	uint32_t len = 1300;
	struct th t;

	th_open(&t);
	th_send(&t, len);
	for (int i = 0; i < 40 && len == 1300; i++) {
		th_tick(&t, 2000000);
		if (t.out_count > 0)
			len = t.out[0].len;
	}
	cr_assert_lt(len, 1300);
	th_done(&t);
}

Test(tcp_seeds, rfc8201_s4_when_segments_grow_again_the_congestion_window_takes_one)
{
	struct th t;

	th_open(&t);
	th_send(&t, 512);
	th_icmp_too_big(&t, 0, 552, 1500);
	th_tick(&t, 2000000);
	th_in(&t, HF_TCP_ACK, 0, 512, NULL);
	t.conn->cwnd = t.conn->mss; /* after a timeout */
	th_tick(&t, 1000ULL * TCP_PMTU_KEEP_MS);
	t.conn->sent_ms = tcp_now_ms(t.tcp); /* a window that was idle is another matter */
	th_send(&t, 10000);
	cr_assert_eq(t.conn->mss, TH_MSS);
	cr_assert_gt(t.out_count, 0, "else nothing is in flight that would ever open the window");
	th_done(&t);
}

Test(tcp_seeds, rfc1191_s6_5_what_must_be_cut_is_repaired_before_the_recovery_ends)
{
	struct th t;

	th_open(&t);
	th_send(&t, 10 * TH_MSS);
	for (int i = 0; i < 3; i++)
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 10 * TH_MSS);
	for (int i = 0; i < 9; i++)
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_gt(t.conn->snd_nxt, t.conn->tx->recover, "new data behind what is recovered");
	th_icmp_too_big(&t, 9 * TH_MSS, 1000, 1500);
	t.now_us += 20000;
	th_in(&t, HF_TCP_ACK, 0, 10 * TH_MSS, NULL);
	cr_assert_gt(t.conn->tx->flight.count, 0);
	cr_assert_neq(t.conn->tx->recovery, TCP_OPEN);
	cr_assert_gt(t.out_count, 0);
	cr_assert_eq(th_out_seq(&t, 0), 10 * TH_MSS);
	th_done(&t);
}

Test(tcp_seeds, rfc9293_s3_10_7_4_an_ack_stands_within_the_window_that_a_probe_left)
{
	struct th t;

	th_open(&t);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, "a");
	th_send(&t, 100);
	for (int i = 0; i < 20 && t.out_count == 0; i++)
		th_tick(&t, 1000000);
	cr_assert_eq(t.out[0].len, 1, "a probe");
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_in(&t, HF_TCP_ACK, 1, 0, "b");
	th_tick(&t, 100000);
	th_expect_ack(&t, 2);
	cr_assert_eq(th_out_seq(&t, 0), 0, "what stands at 1 is behind the peer's window");
	hf_tcp_emits_done(t.tcp);
	hf_tcp_abort(t.tcp, t.conn);
	th_see(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_done(&t);
}
