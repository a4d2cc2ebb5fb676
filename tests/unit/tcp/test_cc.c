/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_cc, rfc6928_s2_ten_segments_at_first)
{
	static const struct {
		uint16_t mss;
		uint32_t expect;
	} rows[] = { { 1460, 14600 }, { 536, 5360 }, { 88, 880 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct th t;

		th_init(&t);
		th_start(&t);
		th_open_mss(&t, rows[i].mss);
		th_send(&t, 100000);
		cr_assert_eq(t.out_count, 10);
		cr_assert_eq(t.conn->snd_nxt - t.conn->snd_una, rows[i].expect);
		th_flush(&t);
		cr_assert_eq(t.out_count, 0, "bytes in flight count, not one send");
		th_done(&t);
	}
}

Test(tcp_cc, bytes_in_flight_are_bounded_over_many_sends)
{
	struct th t;

	th_open(&t);
	for (int i = 0; i < 50; i++)
		th_send(&t, 1000);
	cr_assert_leq(t.conn->snd_nxt - t.conn->snd_una, 14600);
	cr_assert_gt(t.conn->snd_nxt - t.conn->snd_una, 14600 - 1460);
	th_done(&t);
}

Test(tcp_cc, rfc5681_s3_1_slow_start_grows_by_a_segment_an_ack)
{
	struct th t;

	th_open(&t);
	th_send(&t, 200000);
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	cr_assert_eq(t.conn->cwnd, 14600 + 1460);
	cr_assert_eq(t.out_count, 2);
	th_in(&t, HF_TCP_ACK, 0, 4380, NULL);
	cr_assert_eq(t.conn->cwnd, 14600 + 2 * 1460);
	th_done(&t);
}

Test(tcp_cc, rfc5681_s3_1_avoidance_grows_by_a_segment_a_round_trip)
{
	struct th t;

	th_open(&t);
	t.conn->ssthresh = 14600;
	th_send(&t, 200000);
	for (uint32_t i = 1; i <= 9; i++) {
		th_in(&t, HF_TCP_ACK, 0, i * 1460, NULL);
		cr_assert_eq(t.conn->cwnd, 14600);
	}
	th_in(&t, HF_TCP_ACK, 0, 14600, NULL);
	cr_assert_eq(t.conn->cwnd, 14600 + 1460);
	th_done(&t);
}

Test(tcp_cc, a_window_that_is_not_used_does_not_grow)
{
	struct th t;

	th_open(&t);
	for (uint32_t i = 0; i < 20; i++) {
		th_send(&t, 500);
		th_in(&t, HF_TCP_ACK, 0, 500 * (i + 1), NULL);
	}
	cr_assert_eq(t.conn->cwnd, 14600);
	th_done(&t);
}

Test(tcp_cc, rfc3042_the_first_two_duplicates_let_new_segments_out)
{
	struct th t;

	th_open(&t);
	th_send(&t, 200000);
	for (int i = 0; i < 2; i++) {
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
		cr_assert_eq(t.out_count, 1);
		cr_assert_eq(th_out_seq(&t, 0), 14600 + (uint32_t)i * 1460);
		cr_assert_eq(t.conn->cwnd, 14600);
	}
	th_done(&t);
}

static void cc_lose_first(struct th *t)
{
	th_open(t);
	th_send(t, 200000);
	for (int i = 0; i < 3; i++)
		th_in(t, HF_TCP_ACK, 0, 0, NULL);
}

Test(tcp_cc, rfc5681_s3_2_three_duplicates_are_a_fast_retransmit)
{
	struct th t;
	uint32_t flight = 14600 + 2 * 1460;

	cc_lose_first(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.out[0].len, 1460);
	cr_assert_eq(t.conn->ssthresh, flight / 2);
	cr_assert_eq(t.conn->cwnd, flight / 2 + 3 * 1460);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.conn->cwnd, flight / 2 + 4 * 1460);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1);
	th_done(&t);
}

Test(tcp_cc, rfc6582_s3_2_a_partial_ack_sends_the_next_hole)
{
	struct th t;

	cc_lose_first(&t);
	th_in(&t, HF_TCP_ACK, 0, 4380, NULL);
	cr_assert_eq(th_out_seq(&t, 0), 4380);
	cr_assert(tcp_has(t.conn, TCP_F_RECOVERY));
	cr_assert_eq(t.conn->cwnd, 8760 + 3 * 1460 - 4380 + 1460);
	th_in(&t, HF_TCP_ACK, 0, 14600 + 2 * 1460, NULL);
	cr_assert_not(tcp_has(t.conn, TCP_F_RECOVERY));
	cr_assert_leq(t.conn->cwnd, t.conn->ssthresh);
	th_done(&t);
}

Test(tcp_cc, rfc5681_s2_what_is_no_duplicate_ack_does_not_count)
{
	struct th t;

	th_open(&t);
	th_send(&t, 14600);
	th_in(&t, HF_TCP_ACK, 0, 0, "data");
	t.wnd--;
	th_in(&t, HF_TCP_ACK, 4, 0, NULL);
	t.wnd--;
	th_in(&t, HF_TCP_ACK, 4, 0, NULL);
	cr_assert_eq(t.conn->dup_acks, 0);
	th_in(&t, HF_TCP_ACK, 4, 14600, NULL);
	for (int i = 0; i < 5; i++)
		th_in(&t, HF_TCP_ACK, 4, 14600, NULL);
	cr_assert_eq(t.conn->dup_acks, 0, "nothing is outstanding");
	th_done(&t);
}

Test(tcp_cc, rfc6582_s3_2_no_second_recovery_for_the_same_window)
{
	struct th t;

	th_open(&t);
	th_send(&t, 14600);
	th_tick(&t, 250000);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	for (int i = 0; i < 5; i++)
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 0);
	th_done(&t);
}

Test(tcp_cc, rfc5681_s4_1_after_an_idle_time_the_initial_window_holds)
{
	struct th t;

	th_open(&t);
	t.conn->cwnd = 100000;
	t.now_us += 5000000;
	th_send(&t, 100000);
	cr_assert_eq(t.conn->snd_nxt - t.conn->snd_una, 14600);
	th_done(&t);
}
