/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_in, rfc9293_s3_5_handshake_opens_once)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(th_out_ack(&t, 0), 0);
	cr_assert_str_eq(th_state(t.tcp), "SYN-RECEIVED");
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_str_eq(th_state(t.tcp), "ESTABLISHED");
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_in, data_may_come_with_the_ack_of_the_handshake)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_PSH, 0, 0, "GET");
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	cr_assert_eq(t.got_len, 3);
	cr_assert_arr_eq(t.got, "GET", 3);
	th_done(&t);
}

Test(tcp_in, a_fin_may_come_with_the_ack_of_the_handshake)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, "GET");
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	cr_assert_str_eq(th_state(t.tcp), "CLOSE-WAIT");
	th_done(&t);
}

Test(tcp_in, a_response_sent_at_once_carries_the_ack)
{
	struct th t;

	th_open(&t);
	t.reply = "hello";
	th_in(&t, HF_TCP_ACK | HF_TCP_PSH, 0, 0, "GET");
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_PSH);
	cr_assert_eq(t.out[0].len, 5);
	cr_assert_eq(th_out_ack(&t, 0), 3);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_arr_eq(t.out[0].piece[0].data, "hello", 5);
	th_tick(&t, 50000);
	cr_assert_eq(t.out_count, 0, "no delayed ACK is left over");
	th_done(&t);
}

Test(tcp_in, impossible_segments_are_dropped_with_a_reason)
{
	static const uint8_t bad[] = { 0, HF_TCP_FIN, HF_TCP_PSH, HF_TCP_SYN | HF_TCP_FIN,
		HF_TCP_SYN | HF_TCP_RST, HF_TCP_SYN | HF_TCP_FIN | HF_TCP_ACK };
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_assert_eq(th_in(&t, bad[i], 0, 0, "x"), HF_DROP_TCP_BAD_FLAGS, "%zu", i);
		cr_assert_eq(t.out_count, 0);
	}
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
	seg.sport = 0;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_BAD_PORT);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
	seg.opt_len = 44;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_BAD_HEADER);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}

Test(tcp_in, rfc5961_s3_2_only_a_rst_in_place_resets)
{
	struct th t;

	th_open(&t);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 1, 0, NULL), HF_DROP_TCP_BAD_RST);
	th_expect_ack(&t, 0); /* the challenge */
	cr_assert_eq(th_in(&t, HF_TCP_RST, 65534, 0, NULL), HF_DROP_TCP_BAD_RST);
	th_expect_ack(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 70000, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(t.out_count, 0, "out of the window: nothing");
	cr_assert_eq(th_in(&t, HF_TCP_RST, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RESET_IN), 1);
	th_done(&t);
}

Test(tcp_in, rfc5961_s4_2_a_syn_is_challenged_wherever_it_stands)
{
	static const uint32_t seqs[] = { UINT32_MAX, 0, 100, 1000000 };
	struct th t;

	th_open(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(seqs); i++) {
		cr_assert_eq(th_in(&t, HF_TCP_SYN, seqs[i], 0, NULL), HF_DROP_TCP_BAD_SYN);
		th_expect_ack(&t, 0);
		cr_assert_eq(t.events, 0);
	}
	th_done(&t);
}

Test(tcp_in, rfc5961_s7_challenges_are_limited_each_second)
{
	struct th t;
	uint32_t acks = 0;

	th_open(&t);
	for (int i = 0; i < 3000; i++) {
		th_in(&t, HF_TCP_RST, 1, 0, NULL);
		acks += t.out_count;
	}
	cr_assert_geq(acks, TCP_CHALLENGES_PER_S);
	cr_assert_lt(acks, 2 * TCP_CHALLENGES_PER_S);
	t.now_us += 1000000;
	th_in(&t, HF_TCP_RST, 1, 0, NULL);
	th_expect_ack(&t, 0);
	th_done(&t);
}

Test(tcp_in, rfc5961_s5_2_acks_out_of_range_are_challenged)
{
	struct th t;

	th_open(&t);
	th_send(&t, 1000);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 1001, "x"), HF_DROP_TCP_BAD_ACK);
	th_expect_ack(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0U - 65536, "x"), HF_DROP_TCP_BAD_ACK);
	th_expect_ack(&t, 0);
	cr_assert_eq(t.got_len, 0, "blind data is not taken");
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0U - 65535, "x"), HF_DROP_NONE);
	cr_assert_eq(t.got_len, 1, "within the largest window it is merely old");
	th_done(&t);
}

Test(tcp_in, rfc9293_s3_10_7_4_old_data_is_acknowledged_again)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_TCP_OUT_OF_WINDOW);
	th_expect_ack(&t, 3);
	cr_assert_eq(t.got_len, 3);
	th_in(&t, HF_TCP_ACK, 1, 0, "bcdef");
	cr_assert_eq(t.got_len, 6, "the new part of it is taken");
	cr_assert_arr_eq(t.got, "abcdef", 6);
	th_done(&t);
}

Test(tcp_in, rfc9293_s3_8_4_a_keep_alive_is_answered)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, UINT32_MAX, 0, NULL);
	th_expect_ack(&t, 0);
	th_in_len(&t, HF_TCP_ACK, UINT32_MAX, 0, 1);
	th_expect_ack(&t, 0);
	th_done(&t);
}

Test(tcp_in, a_segment_without_ack_is_dropped)
{
	struct th t;

	th_open(&t);
	cr_assert_eq(th_in(&t, HF_TCP_PSH | HF_TCP_URG, 0, 0, "x"), HF_DROP_TCP_BAD_FLAGS);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}

Test(tcp_in, the_path_follows_valid_segments_only)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	seg = th_seg(&t, HF_TCP_ACK, 500000, 0, NULL, 0);
	seg.path.port = 7;
	th_in_seg(&t, &seg);
	cr_assert_eq(t.out[0].path.port, 0);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
	seg.path.port = 3;
	seg.path.mtu = 1300;
	th_in_seg(&t, &seg);
	th_send(&t, 5000);
	cr_assert_eq(t.out[0].path.port, 3);
	cr_assert_eq(t.out[0].len, 1260);
	th_done(&t);
}

Test(tcp_in, rfc9293_s3_10_7_4_nothing_of_what_comes_next_lies_behind_a_fin)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 10, 0, NULL); /* overtook its text */
	cr_assert_eq(t.events, 0);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 20);
	cr_assert_eq(t.got_len, 10);
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	th_expect_ack(&t, 11);
	th_done(&t);
}
