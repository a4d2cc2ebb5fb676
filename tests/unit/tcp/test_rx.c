/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "tcp_helper.h"
#include "tcp_opt.h"

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

Test(tcp_rx, what_filled_a_hole_and_what_was_behind_it_share_a_buffer)
{
	struct th t;

	th_open(&t);
	t.spare = UINT32_MAX;
	th_in(&t, HF_TCP_ACK, 2, 0, "c");
	th_in(&t, HF_TCP_ACK, 0, 0, "ab");
	cr_assert_eq(t.tcp->rxbufs.used, 1);
	t.spare = 0;
	th_in(&t, HF_TCP_ACK, 3, 0, "d");
	cr_assert_arr_eq(t.got, "abcd", 4);
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

Test(tcp_rx, without_a_buffer_bytes_in_order_take_those_behind_a_filled_hole)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 2;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_in_len(&t, HF_TCP_ACK, 3000, 0, 1000);
	cr_assert_eq(t.conn->ooo->bufs, 1);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 3000);
	cr_assert_null(t.conn->ooo);
	cr_assert_eq(hf_tcp_unread(t.conn), 3000);
	th_expect_ack(&t, 3000);
	th_done(&t);
}

Test(tcp_rx, without_any_buffer_a_filled_hole_is_a_hole_again)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 2;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_in_len(&t, HF_TCP_ACK, 6000, 0, 1000);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 6000);
	cr_assert_eq(hf_tcp_unread(t.conn), 2 * TCP_RXBUF_BYTES);
	th_expect_ack(&t, 2 * TCP_RXBUF_BYTES);
	cr_assert_eq(th_drops(HF_DROP_TCP_NO_RXBUF), 1);
	t.spare = 0;
	th_in_len(&t, HF_TCP_ACK, 2 * TCP_RXBUF_BYTES, 0, 3000);
	cr_assert_eq(t.got_len, 2 * TCP_RXBUF_BYTES + 3000);
	th_done(&t);
}

Test(tcp_rx, out_of_order_bytes_are_bounded_and_leave_room_for_others)
{
	struct th t;

	th_open(&t);
	for (uint32_t i = 0; i < 1000; i++)
		th_in(&t, HF_TCP_ACK, 1 + 2 * i, 0, "x");
	cr_assert_eq(t.tcp->rxbufs.used, t.cfg.rxbufs_max - t.cfg.rxbufs_max / 4);
	cr_assert_gt(th_drops(HF_DROP_TCP_OOO_FULL), 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "y");
	cr_assert_eq(t.got_len, 2);
	th_done(&t);
}

/* A connection with SACK. */
static void rx_open_sack(struct th *t, uint32_t rxbufs)
{
	static const uint8_t opt[] = { 2, 4, TH_MSS >> 8, TH_MSS & 0xff, 1, 1, 4, 2 };

	th_init(t);
	t->cfg.rxbufs_max = rxbufs;
	th_start(t);
	t->opt = opt;
	t->opt_len = sizeof(opt);
	th_syn(t);
	t->opt = NULL;
	t->opt_len = 0;
	th_in(t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_not_null(t->conn);
}

/* Bytes from..end in, and what the one ACK says: "ACK, start-end, start-end". */
static const char *rx_answer(struct th *t, uint32_t from, uint32_t end)
{
	static char text[200];
	struct tcp_opts opts;
	int at;

	th_in_len(t, HF_TCP_ACK, from, 0, end - from);
	cr_assert_eq(t->out_count, 1, "%u ACKs for %u-%u", t->out_count, from, end);
	cr_assert(tcp_opt_parse(t->out[0].opt, t->out[0].opt_len, &opts));
	at = sprintf(text, "%u", th_out_ack(t, 0));
	for (uint32_t i = 0; i < opts.sack_count; i++)
		at += sprintf(text + at, ", %u-%u", opts.sack[i].start - TH_IRS - 1,
			opts.sack[i].end - TH_IRS - 1);
	return text;
}

Test(tcp_rx, rfc2018_s4_an_ack_tells_what_lies_behind_holes_the_latest_first)
{
	struct th t;

	rx_open_sack(&t, 64);
	cr_assert_str_eq(rx_answer(&t, 1000, 1500), "0, 1000-1500");
	cr_assert_str_eq(rx_answer(&t, 3000, 3500), "0, 3000-3500, 1000-1500");
	cr_assert_str_eq(rx_answer(&t, 1500, 2000), "0, 1000-2000, 3000-3500");
	cr_assert_str_eq(rx_answer(&t, 0, 1000), "2000, 3000-3500");
	cr_assert_str_eq(rx_answer(&t, 2000, 3000), "3500");
	cr_assert_eq(t.got_len, 3500);
	th_done(&t);
}

Test(tcp_rx, without_sack_an_ack_tells_none)
{
	struct th t;

	th_open(&t);
	cr_assert_str_eq(rx_answer(&t, 1000, 1500), "0");
	cr_assert_str_eq(rx_answer(&t, 1000, 1500), "0");
	th_done(&t);
}

Test(tcp_rx, rfc2883_s4_1_duplicates_are_told_once)
{
	struct th t;

	rx_open_sack(&t, 64);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 2000);
	th_in_len(&t, HF_TCP_ACK, 2000, 0, 2000);
	cr_assert_str_eq(rx_answer(&t, 3000, 3500), "4000, 3000-3500");
	cr_assert_str_eq(rx_answer(&t, 4500, 5000), "4000, 4500-5000");
	cr_assert_str_eq(rx_answer(&t, 3000, 3500), "4000, 3000-3500, 4500-5000");
	cr_assert_str_eq(rx_answer(&t, 5000, 5500), "4000, 4500-5500");
	cr_assert_str_eq(rx_answer(&t, 5000, 5500), "4000, 5000-5500, 4500-5500");
	cr_assert_str_eq(rx_answer(&t, 4000, 4500), "5500");
	th_done(&t);
}

Test(tcp_rx, rfc2883_s4_2_a_duplicate_part_is_told)
{
	struct th t;

	rx_open_sack(&t, 64);
	cr_assert_str_eq(rx_answer(&t, 1000, 1500), "0, 1000-1500");
	cr_assert_str_eq(rx_answer(&t, 0, 500), "500, 1000-1500");
	cr_assert_str_eq(rx_answer(&t, 0, 1000), "1500, 0-500");
	cr_assert_str_eq(rx_answer(&t, 2000, 2500), "1500, 2000-2500");
	cr_assert_str_eq(rx_answer(&t, 1500, 3000), "3000, 2000-2500");
	cr_assert_eq(t.got_len, 3000);
	th_done(&t);
}

Test(tcp_rx, rfc5681_s4_2_bytes_in_order_are_acknowledged_at_once_while_there_is_a_hole)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 5, 0, "f");
	th_in(&t, HF_TCP_ACK, 0, 0, "a");
	th_expect_ack(&t, 1);
	th_in(&t, HF_TCP_ACK, 1, 0, "bcde");
	th_expect_ack(&t, 6);
	th_done(&t);
}

/* SEQ: the next byte. Each of COUNT segments of one byte is acknowledged at once, one more is not. */
static void rx_expect_quick(struct th *t, uint32_t seq, uint32_t count)
{
	for (uint32_t end = seq + count; seq < end; seq++) {
		th_in(t, HF_TCP_ACK, seq, 0, "g");
		th_expect_ack(t, seq + 1);
	}
	th_in(t, HF_TCP_ACK, seq, 0, "h");
	cr_assert_eq(t->out_count, 0);
}

Test(tcp_rx, rfc5681_s4_2_sixteen_segments_behind_a_hole_are_acknowledged_one_by_one)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 1, 0, "b");
	th_expect_ack(&t, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "a"); /* fills it: the first of them */
	th_expect_ack(&t, 2);
	rx_expect_quick(&t, 2, TCP_QUICK_ACKS - 1);
	th_done(&t);
}

Test(tcp_rx, rfc5681_s4_2_sixteen_segments_behind_a_duplicate_are_acknowledged_one_by_one)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, "ab");
	th_in(&t, HF_TCP_ACK, 0, 0, "ab");
	th_expect_ack(&t, 2);
	rx_expect_quick(&t, 2, TCP_QUICK_ACKS);
	th_done(&t);
}

Test(tcp_rx, rfc2018_s8_without_a_buffer_what_was_told_is_taken_back)
{
	struct th t;

	rx_open_sack(&t, 4);
	cr_assert_str_eq(rx_answer(&t, 5000, 5100), "0, 5000-5100");
	cr_assert_str_eq(rx_answer(&t, 7000, 7100), "0, 7000-7100, 5000-5100");
	t.spare = UINT32_MAX;
	/* one buffer is free, the other was the last range */
	cr_assert_str_eq(rx_answer(&t, 0, 4000), "4000, 5000-5100");
	/* both that are left are for what is in order, too */
	cr_assert_str_eq(rx_answer(&t, 4000, 4900), "4900");
	cr_assert_eq(hf_tcp_unread(t.conn), 4900);
	t.spare = 0;
	th_in_len(&t, HF_TCP_ACK, 4900, 0, 2300);
	cr_assert_eq(t.got_len, 7200);
	th_done(&t);
}

Test(tcp_rx, a_duplicate_of_what_found_no_buffer_is_not_told)
{
	struct th t;

	rx_open_sack(&t, 2);
	cr_assert_str_eq(rx_answer(&t, 5000, 5100), "0, 5000-5100");
	t.spare = UINT32_MAX;
	cr_assert_str_eq(rx_answer(&t, 0, 6000), "4064");
	th_done(&t);
}

static uint32_t rx_rand(uint32_t *rng, uint32_t below)
{
	*rng = *rng * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*rng * below) >> 32);
}

/* A peer that sends anything from what is acknowledged on, an application that reads at random. */
static void rx_random_run(uint32_t seed, uint32_t rxbufs)
{
	static char text[40000];
	uint32_t rng = seed, acked = 0;
	struct th t;

	for (uint32_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 31 + (i >> 8) + seed);
	rx_open_sack(&t, rxbufs);
	for (int i = 0; i < 20000 && acked < sizeof(text); i++) {
		uint32_t from = rx_rand(&rng, 3) ? acked + rx_rand(&rng, 8000) : acked;
		uint32_t len = 1 + rx_rand(&rng, 1 + rx_rand(&rng, 4000));
		struct hf_tcp_seg seg;

		from = hf_min_u32(from, sizeof(text) - 1);
		len = hf_min_u32(len, (uint32_t)sizeof(text) - from);
		seg = th_seg(&t, HF_TCP_ACK, from, 0, text + from, len);
		t.spare = rx_rand(&rng, 3) ? rx_rand(&rng, 9000) : 0;
		th_in_seg(&t, &seg);
		acked = t.conn->rcv_nxt - TH_IRS - 1;
		cr_assert_geq(acked, t.got_len);
	}
	t.spare = 0;
	th_read(&t);
	cr_assert_eq(t.got_len, sizeof(text), "seed %u", seed);
	cr_assert_arr_eq(t.got, text, sizeof(text), "seed %u", seed);
	th_done(&t);
}

Test(tcp_rx, random_segments_and_reads_with_few_buffers_lose_nothing)
{
	for (uint32_t seed = 1; seed <= 120; seed++)
		rx_random_run(seed, 1 + seed % 12);
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
