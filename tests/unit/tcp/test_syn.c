/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_syn, rfc9293_s3_7_1_mss_is_the_smaller_of_path_and_peer)
{
	static const struct {
		uint16_t option, expect;
	} rows[] = { { 1460, 1460 }, { 9000, 1460 }, { 536, 536 }, { 88, 88 }, { 40, 88 },
		{ 0, 88 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct th t;

		th_init(&t);
		th_start(&t);
		th_open_mss(&t, rows[i].option);
		cr_assert_eq(t.conn->mss, rows[i].expect, "row %zu: %u", i, t.conn->mss);
		th_done(&t);
	}
}

Test(tcp_syn, rfc9293_s3_7_1_no_option_means_536)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(t.out[0].opt_len, 4, "scale is not offered to who does not offer it");
	cr_assert_arr_eq(t.out[0].opt, ((uint8_t[]){ 2, 4, 1460 >> 8, 1460 & 255 }), 4);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.conn->mss, 536);
	th_done(&t);
}

Test(tcp_syn, rfc9293_s3_7_1_no_option_of_an_ipv6_peer_means_1220)
{
	for (int cookie = 0; cookie < 2; cookie++) {
		struct hf_tcp_seg seg;
		struct th t;

		th_init(&t);
		t.cfg.syn_queue_max = cookie ? 0 : 8;
		th_start(&t);
		for (int ack = 0; ack < 2; ack++) {
			seg = th_seg(&t, ack ? HF_TCP_ACK : HF_TCP_SYN, ack ? 0 : UINT32_MAX, 0,
				NULL, 0);
			seg.src.b[0] = seg.dst.b[0] = 0x20;
			cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_NONE);
			if (ack)
				break;
			t.iss = t.out[0].seq;
			cr_assert_arr_eq(
				t.out[0].opt, ((uint8_t[]){ 2, 4, 1440 >> 8, 1440 & 255 }), 4);
		}
		cr_assert_eq(t.events, HF_TCP_EV_OPEN);
		cr_assert_eq(t.conn->mss, 1220);
		th_done(&t);
	}
}

Test(tcp_syn, rfc7323_s2_2_window_scale_is_answered_and_used)
{
	static const uint8_t opt[] = { 1, 3, 3, 4 };
	struct th t;

	th_init(&t);
	t.cfg.rcv_wnd_init = t.cfg.rcv_wnd_max = 1 << 20;
	th_start(&t);
	t.opt = opt;
	t.opt_len = 4;
	t.wnd = 1000;
	th_syn(&t);
	cr_assert_eq(t.out[0].opt_len, 8);
	cr_assert_arr_eq(t.out[0].opt + 4, ((uint8_t[]){ 1, 3, 3, 5 }), 4);
	cr_assert_eq(t.out[0].wnd, 65535, "unscaled in a SYN");
	t.opt_len = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.conn->snd_wnd, 16000);
	cr_assert_eq(t.out_count, 0, "no update before the peer has said anything");
	th_in(&t, HF_TCP_ACK, 0, 0, "x");
	cr_assert_eq(t.out_count, 1, "the rest of the window is told");
	cr_assert_eq((uint32_t)t.out[0].wnd << 5, 1 << 20);
	th_done(&t);
}

Test(tcp_syn, rfc6528_isn_differs_by_address_and_moves_by_the_clock)
{
	struct th t;
	uint32_t first;

	th_init(&t);
	th_start(&t);
	first = th_syn(&t)->seq;
	t.sport++;
	cr_assert_neq(th_syn(&t)->seq, first);
	th_done(&t);
	t.sport--;
	t.now_us += 4000;
	th_start(&t);
	cr_assert_eq(th_syn(&t)->seq, first + 1000, "one each 4 us");
	th_done(&t);
	t.cfg.isn_key.k0++;
	th_start(&t);
	cr_assert_neq(th_syn(&t)->seq, first + 1000, "keyed");
	th_done(&t);
}

Test(tcp_syn, a_syn_sent_again_gets_the_same_syn_ack)
{
	struct th t;
	uint32_t iss;

	th_init(&t);
	th_start(&t);
	iss = th_syn(&t)->seq;
	t.now_us += 1000;
	cr_assert_eq(th_syn(&t)->seq, iss);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_done(&t);
}

Test(tcp_syn, rfc6298_s5_7_syn_ack_is_sent_again_and_then_reaped)
{
	struct th t;
	uint32_t again = 0;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	for (int i = 0; i < 250; i++) {
		th_tick(&t, 100000);
		again += t.out_count;
		if (t.out_count) {
			cr_assert_eq(t.out[0].flags, HF_TCP_SYN | HF_TCP_ACK);
			cr_assert_eq(t.out[0].seq, t.iss);
			cr_assert_eq(t.out[0].len, 0);
		}
	}
	cr_assert_eq(again, 4, "at 1, 3, 7 and 15 s, not %u times", again);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0, "the reaper came");
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.tcp->syn_count, 0);
	th_done(&t);
}

Test(tcp_syn, rfc5681_s3_1_a_lost_syn_ack_means_one_segment_and_rfc6298_3_s)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_tick(&t, 1100000);
	cr_assert_eq(t.out_count, 1);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.conn->cwnd, t.conn->mss);
	cr_assert_eq(t.conn->rto_us, 3000000);
	th_done(&t);
}

Test(tcp_syn, rfc4987_a_full_syn_queue_answers_by_cookie)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	for (uint32_t i = 0; i < t.cfg.syn_queue_max; i++) {
		t.sport++;
		th_syn(&t);
	}
	t.sport++;
	th_syn(&t);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), t.cfg.syn_queue_max, "and keeps nothing");
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_SENT), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_ACCEPTED), 1);
	th_done(&t);
}

Test(tcp_syn, a_full_table_recycles_the_oldest_time_wait_else_drops)
{
	struct th t;

	th_init(&t);
	t.cfg.conns_max = 2;
	th_start(&t);
	for (int i = 0; i < 2; i++) {
		t.sport++;
		th_open_mss(&t, TH_MSS);
		if (i == 0) {
			hf_tcp_close(t.tcp, t.conn);
			th_flush(&t);
			th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
			cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
		}
	}
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 2);
	t.sport++;
	th_syn(&t); /* a cookie */
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_CONN_FULL);
	th_done(&t);
}

Test(tcp_syn, draining_answers_syn_by_rst_and_goes_on_with_the_rest)
{
	struct th t;

	th_open(&t);
	hf_tcp_listen_stop(t.tcp);
	t.reply = "hi";
	th_in(&t, HF_TCP_ACK, 0, 0, "x");
	cr_assert_eq(t.out[0].len, 2);
	t.sport++;
	cr_assert_eq(th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL), HF_DROP_CONN_DRAINING);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	th_done(&t);
}

Test(tcp_syn, rfc9293_s3_10_7_1_rst_answers_what_has_no_connection)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	th_start(&t);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 5, 7, "abc"), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	cr_assert_eq(t.out[0].seq, t.iss + 1 + 7, "the sequence number that it acknowledged");
	seg = th_seg(&t, HF_TCP_SYN, 5, 0, NULL, 0);
	seg.dport = 81;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(t.out[0].seq, 0);
	cr_assert_eq(t.out[0].ack, seg.seq + 1);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 5, 0, NULL), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.out_count, 0, "never a RST for a RST");
	th_done(&t);
}

Test(tcp_syn, rfc9293_s3_10_7_4_a_wrong_ack_of_the_handshake_gets_rst)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 5, NULL), HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST);
	cr_assert_eq(t.events, 0);
	cr_assert_str_eq(th_state(t.tcp), "SYN-RECEIVED");
	th_done(&t);
}

Test(tcp_syn, data_never_rides_on_a_syn_ack)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].flags & HF_TCP_SYN, 0);
	/* its SYN comes once more: it is not answered with what is queued */
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	th_expect_ack(&t, 0);
	th_done(&t);
}

Test(tcp_syn, rst_in_syn_received_removes_the_connection_quietly)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_RST, 0, 0, NULL);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_syn, more_than_64_listeners_are_refused)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	for (uint16_t port = 1; port < 64; port++)
		cr_assert_eq(hf_tcp_listen(t.tcp, (uint16_t)(1000 + port)), 0);
	cr_assert_eq(hf_tcp_listen(t.tcp, 3000), -28);
	th_done(&t);
}
