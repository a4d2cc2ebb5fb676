/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_rx, a_hole_is_acknowledged_at_once_and_filled_in_order)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 3, 0, "def");
	th_expect_ack(&t, 0);
	cr_assert_eq(t.events, 0);
	th_in(&t, HF_TCP_ACK, 9, 0, "jkl");
	th_expect_ack(&t, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(t.events, HF_TCP_EV_DATA);
	cr_assert_eq(t.got_len, 6);
	th_expect_ack(&t, 6);
	th_in(&t, HF_TCP_ACK, 6, 0, "ghi");
	th_expect_ack(&t, 12);
	cr_assert_arr_eq(t.got, "abcdefghijkl", 12);
	th_done(&t);
}

Test(tcp_rx, overlapping_segments_in_any_order_give_each_byte_once)
{
	uint32_t rng = 7;

	for (int run = 0; run < 60; run++) {
		char text[200];
		struct th t;

		for (uint32_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('A' + (i * 7 + (uint32_t)run) % 26);
		th_open(&t);
		for (int i = 0; i < 400 && t.got_len < sizeof(text); i++) {
			struct hf_tcp_seg seg;
			uint32_t off, len;

			rng = rng * 1664525 + 1013904223;
			off = (rng >> 8) % sizeof(text);
			rng = rng * 1664525 + 1013904223;
			len = 1 + (rng >> 8) % 30;
			len = hf_min_u32(len, (uint32_t)sizeof(text) - off);
			seg = th_seg(&t, HF_TCP_ACK, off, 0, text + off, len);
			th_in_seg(&t, &seg);
		}
		for (uint32_t off = 0; t.got_len < sizeof(text); off++) {
			struct hf_tcp_seg seg = th_seg(&t, HF_TCP_ACK, off, 0, text + off, 1);

			th_in_seg(&t, &seg);
		}
		cr_assert_arr_eq(t.got, text, sizeof(text));
		cr_assert_eq(t.got_len, sizeof(text));
		th_done(&t);
	}
}

Test(tcp_rx, what_is_left_unread_is_kept_in_order)
{
	struct th t;

	th_open(&t);
	t.spare = UINT32_MAX;
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	th_in(&t, HF_TCP_ACK, 3, 0, "def");
	cr_assert_eq(hf_tcp_unread(t.conn), 6);
	cr_assert_eq(t.tcp->rxbufs.used, 1, "small segments share a buffer");
	t.spare = 2;
	th_in(&t, HF_TCP_ACK, 6, 0, "ghi");
	cr_assert_arr_eq(t.got, "abcdefg", 7);
	t.spare = 0;
	th_in(&t, HF_TCP_ACK, 9, 0, "j");
	cr_assert_arr_eq(t.got, "abcdefghij", 10);
	cr_assert_eq(t.tcp->rxbufs.used, 0);
	th_done(&t);
}

Test(tcp_rx, a_consumed_segment_needs_no_buffer)
{
	struct th t;

	th_open(&t);
	t.tcp->rxbufs.count = 0;
	t.tcp->rxbufs.fresh = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(t.got_len, 3);
	cr_assert_eq(th_drops(HF_DROP_TCP_NO_RXBUF), 0);
	t.tcp->rxbufs.count = t.cfg.rxbufs_max;
	th_done(&t);
}

Test(tcp_rx, without_a_buffer_the_rest_was_never_received)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1460);
	cr_assert_eq(hf_tcp_unread(t.conn), 1460);
	th_in_len(&t, HF_TCP_ACK, 1460, 0, 1460);
	cr_assert_eq(hf_tcp_unread(t.conn), TCP_RXBUF_BYTES);
	th_expect_ack(&t, TCP_RXBUF_BYTES);
	cr_assert_eq(th_drops(HF_DROP_TCP_NO_RXBUF), 1);
	t.spare = 0;
	th_in_len(&t, HF_TCP_ACK, TCP_RXBUF_BYTES, 0, 100);
	cr_assert_eq(t.got_len, TCP_RXBUF_BYTES + 100, "nothing was lost for good");
	th_done(&t);
}

Test(tcp_rx, without_a_buffer_a_filled_hole_is_a_hole_again)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 2;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_in_len(&t, HF_TCP_ACK, 3000, 0, 1000);
	cr_assert_eq(t.conn->ooo_count, 1);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 3000);
	/* the one behind the hole gave way to what is in order */
	cr_assert_eq(hf_tcp_unread(t.conn), TCP_RXBUF_BYTES);
	th_expect_ack(&t, TCP_RXBUF_BYTES);
	th_done(&t);
}

Test(tcp_rx, out_of_order_bytes_are_bounded_and_leave_room_for_others)
{
	struct th t;

	th_open(&t);
	for (uint32_t i = 0; i < 1000; i++)
		th_in(&t, HF_TCP_ACK, 1 + 2 * i, 0, "x");
	cr_assert_leq(t.conn->ooo_count, t.tcp->ooo_max);
	cr_assert_leq(t.tcp->rxbufs.used, t.cfg.rxbufs_max - t.cfg.rxbufs_max / 4);
	cr_assert_gt(th_drops(HF_DROP_TCP_NO_RXBUF), 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "y");
	cr_assert_geq(t.got_len, 2);
	th_done(&t);
}

Test(tcp_rx, fin_is_told_once_and_with_its_data)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, "bye");
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	th_expect_ack(&t, 4);
	cr_assert_eq(t.got_len, 3);
	cr_assert_str_eq(th_state(t.tcp), "CLOSE-WAIT");
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, "bye");
	cr_assert_eq(t.events, 0);
	th_expect_ack(&t, 4);
	th_done(&t);
}

Test(tcp_rx, a_fin_behind_a_hole_waits_for_the_hole)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 3, 0, "def");
	cr_assert_eq(t.events, 0);
	th_expect_ack(&t, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	cr_assert_eq(t.got_len, 6);
	th_expect_ack(&t, 7);
	th_done(&t);
}

Test(tcp_rx, a_bare_fin_out_of_order_is_remembered)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 3, 0, NULL);
	cr_assert_eq(t.events, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	th_expect_ack(&t, 4);
	th_done(&t);
}

Test(tcp_rx, a_fin_whose_data_finds_no_buffer_is_not_acknowledged)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 2000);
	th_in_len(&t, HF_TCP_ACK | HF_TCP_FIN, 2000, 0, 100);
	cr_assert_eq(t.events & HF_TCP_EV_FIN, 0);
	th_expect_ack(&t, TCP_RXBUF_BYTES);
	t.spare = 0;
	th_in_len(&t, HF_TCP_ACK | HF_TCP_FIN, 2000, 0, 100);
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	cr_assert_eq(t.got_len, 2100);
	th_done(&t);
}

Test(tcp_rx, bytes_behind_the_fin_are_not_delivered)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 3, 0, NULL);
	th_in(&t, HF_TCP_ACK, 0, 0, "abcdef");
	cr_assert_eq(t.got_len, 3);
	cr_assert_eq(t.events, HF_TCP_EV_DATA | HF_TCP_EV_FIN);
	th_done(&t);
}

Test(tcp_rx, rfc9293_s3_8_6_3_every_second_segment_is_acknowledged_at_once)
{
	struct th t;

	th_open(&t);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1460);
	cr_assert_eq(t.out_count, 0);
	th_in_len(&t, HF_TCP_ACK, 1460, 0, 1460);
	th_expect_ack(&t, 2920);
	th_done(&t);
}

Test(tcp_rx, rfc9293_s3_8_6_3_a_single_segment_is_acknowledged_within_40_ms)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, "x");
	cr_assert_eq(t.out_count, 0);
	th_tick(&t, 38000);
	cr_assert_eq(t.out_count, 0);
	th_tick(&t, 3000);
	th_expect_ack(&t, 1);
	th_tick(&t, 100000);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}
