/* SPDX-License-Identifier: BSD-3-Clause
 *
 * RACK-TLP (RFC 8985) on the wire: losses found by time, and probes of the tail.
 */
#include "tcp_helper.h"

#define S TH_MSS

/* The round trip is 10 ms: the reordering window is 2.5 ms. */
static void rack_sent(struct th *t, uint32_t want, uint32_t segs)
{
	th_sack_open(t, want);
	th_send(t, segs * t->conn->mss);
	th_sack_expect(t, segs, 0, t->conn->mss);
}

static uint32_t rack_cwnd(const struct th *t)
{
	return t->conn->tx ? t->conn->tx->cc.cwnd : t->conn->cwnd;
}

static uint32_t rack_ssthresh(const struct th *t)
{
	return t->conn->tx ? t->conn->tx->cc.ssthresh : t->conn->ssthresh;
}

/* Until something leaves; how long it took. */
static uint32_t rack_wait_ms(struct th *t, uint32_t most_ms)
{
	for (uint32_t ms = 1; ms <= most_ms; ms++) {
		th_tick(t, 1000);
		if (t->out_count > 0)
			return ms;
	}
	return 0;
}

Test(tcp_rack, rfc8985_s6_2_step_5_the_reordering_timer_finds_a_loss_without_three_sacked)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 3);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 2 * S);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(t.conn->tx->timer, TCP_SEND_REO);
	ms = rack_wait_ms(&t, 20);
	cr_assert(ms == 3 || ms == 4, "%u ms instead of 2.5", ms);
	th_sack_expect(&t, 1, 0, S);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s6_2_what_arrives_within_the_window_was_only_reordered)
{
	struct th t;
	uint32_t cwnd;

	rack_sent(&t, TH_SACK, 3);
	cwnd = rack_cwnd(&t);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 2 * S);
	t.now_us += 2000;
	th_sack_ack(&t, 2 * S, 0, 0);
	cr_assert_eq(rack_wait_ms(&t, 15), 0, "the timer is off");
	cr_assert_geq(rack_cwnd(&t), cwnd);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 0);
	cr_assert(t.conn->tx->flight.reordering);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s6_2_step_4_once_reordering_was_seen_three_sacked_are_no_loss_yet)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 10);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 2 * S);
	t.now_us += 1000;
	th_sack_ack(&t, 2 * S, 0, 0);
	cr_assert(t.conn->tx->flight.reordering);
	th_sack_ack(&t, 2 * S, 3 * S, 8 * S);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(t.conn->tx->recovery, TCP_OPEN);
	ms = rack_wait_ms(&t, 20);
	cr_assert_gt(ms, 0);
	cr_assert_leq(ms, 4);
	cr_assert_eq(th_out_seq(&t, 0), 2 * S);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s6_2_step_4_reordering_is_remembered_while_nothing_is_in_flight)
{
	struct th t;

	rack_sent(&t, TH_SACK, 2);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 2 * S);
	th_sack_ack(&t, 2 * S, 0, 0);
	cr_assert_null(t.conn->tx);
	th_send(&t, 5 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 2 * S, 3 * S, 7 * S);
	cr_assert_eq(t.out_count, 0);
	cr_assert_gt(rack_wait_ms(&t, 10), 0);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s6_2_step_4_each_round_trip_with_a_dsack_widens_the_window)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 10);
	t.now_us += 10000;
	th_sack_ack(&t, S, 0, 0);
	th_sack_ack(&t, S, 0, S);
	th_sack_ack(&t, S, 0, S);
	cr_assert_eq(t.conn->tx->flight.reo_mult, 2, "once a round trip");
	th_sack_ack(&t, S, 2 * S, 3 * S);
	ms = rack_wait_ms(&t, 20);
	cr_assert(ms == 5 || ms == 6, "%u ms instead of 5", ms);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_the_probe_of_several_segments_waits_two_round_trips)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 3);
	ms = rack_wait_ms(&t, 500);
	cr_assert(ms == 20 || ms == 21, "%u ms", ms);
	th_sack_expect(&t, 1, 2 * S, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	cr_assert_eq(rack_cwnd(&t), 10 * S, "no congestion yet");
	cr_assert_eq(t.conn->tx->recovery, TCP_OPEN);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_for_one_segment_the_peers_delayed_ack_is_waited_for)
{
	struct th t;
	uint32_t ms;

	th_sack_open(&t, TH_SACK);
	t.conn->rto_us = 1000000;
	th_send(&t, 100);
	ms = rack_wait_ms(&t, 900);
	cr_assert(ms == 220 || ms == 221, "%u ms", ms);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_never_later_than_the_retransmission_timeout)
{
	struct th t;
	uint32_t ms;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 100);
	cr_assert_eq(t.conn->rto_us, TCP_RTO_MIN_US);
	ms = rack_wait_ms(&t, 900);
	cr_assert(ms == 200 || ms == 201, "%u ms", ms);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_3_the_probe_is_new_data_if_there_is_some)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 15 * S);
	th_sack_expect(&t, 10, 0, S);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_expect(&t, 1, 10 * S, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 0);
	th_sack_ack(&t, 11 * S, 0, 0);
	cr_assert_eq(rack_ssthresh(&t), TCP_CWND_MAX, "§7.4: nothing was lost");
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_3_no_new_data_beyond_the_peers_window)
{
	struct th t;

	th_init(&t);
	t.wnd = 5 * S;
	th_start(&t);
	th_sack_connect(&t, TH_SACK);
	th_send(&t, 9 * S);
	th_sack_expect(&t, 5, 0, S);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_expect(&t, 1, 4 * S, S);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_3_one_probe_for_a_tail_then_the_timeout)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 3);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	ms = rack_wait_ms(&t, 1000);
	cr_assert(ms >= 200 && ms <= 201, "%u ms after the probe", ms);
	th_sack_expect(&t, 1, 0, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	cr_assert_eq(rack_cwnd(&t), S);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_3_a_probe_carries_the_fin_of_the_last_segment)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	t.reply = "bye";
	t.close_on_data = true;
	th_sack_opts(&t, 0, NULL);
	th_in(&t, HF_TCP_ACK, 0, 0, "GET");
	cr_assert_eq(t.out[0].flags & HF_TCP_FIN, HF_TCP_FIN);
	cr_assert_gt(rack_wait_ms(&t, 300), 0);
	cr_assert_eq(t.out[0].len, 3);
	cr_assert_eq(t.out[0].flags & HF_TCP_FIN, HF_TCP_FIN);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_the_probes_sack_repairs_a_lost_tail_without_a_timeout)
{
	struct th t;

	rack_sent(&t, TH_SACK, 4);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_expect(&t, 1, 3 * S, S);
	t.now_us += 10000;
	th_sack_ack(&t, S, 3 * S, 4 * S);
	if (t.out_count == 0)
		cr_assert_gt(rack_wait_ms(&t, 5), 0);
	cr_assert_eq(th_out_seq(&t, 0), S);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	cr_assert_lt(rack_ssthresh(&t), TCP_CWND_MAX);
	t.now_us += 10000;
	th_sack_ack(&t, 2 * S, 3 * S, 4 * S);
	th_sack_ack(&t, 4 * S, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_4_2_a_probe_that_a_dsack_calls_needless_reduces_nothing)
{
	struct th t;

	rack_sent(&t, TH_SACK, 3);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_ack(&t, 3 * S, 0, 0);
	th_sack_ack(&t, 3 * S, 2 * S, 3 * S);
	th_send(&t, 2 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 5 * S, 0, 0);
	cr_assert_eq(rack_ssthresh(&t), TCP_CWND_MAX);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_4_2_the_dsack_may_come_while_new_data_is_in_flight)
{
	struct th t;

	rack_sent(&t, TH_SACK, 3);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_ack(&t, 3 * S, 0, 0);
	th_send(&t, 2 * S);
	th_sack_ack(&t, 3 * S, 2 * S, 3 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 5 * S, 0, 0);
	cr_assert_eq(rack_ssthresh(&t), TCP_CWND_MAX);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_4_2_a_bare_duplicate_ack_says_the_same)
{
	for (int flying = 0; flying < 2; flying++) {
		struct th t;

		rack_sent(&t, TH_SACK, 3);
		cr_assert_gt(rack_wait_ms(&t, 50), 0);
		th_sack_ack(&t, 3 * S, 0, 0);
		if (flying)
			th_send(&t, 2 * S);
		th_sack_ack(&t, 3 * S, 0, 0);
		if (!flying)
			th_send(&t, 2 * S);
		t.now_us += 10000;
		th_sack_ack(&t, 5 * S, 0, 0);
		cr_assert_eq(rack_ssthresh(&t), TCP_CWND_MAX);
		th_done(&t);
	}
}

Test(tcp_rack, rfc8985_s7_4_2_a_loss_that_the_probe_repaired_reduces_once)
{
	struct th t;
	uint32_t ssthresh;

	rack_sent(&t, TH_SACK, 3);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	t.now_us += 10000;
	th_sack_ack(&t, 3 * S, 0, 0); /* whose copy it was nobody knows yet */
	cr_assert_eq(rack_ssthresh(&t), TCP_CWND_MAX);
	th_send(&t, 5 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 4 * S, 0, 0);
	ssthresh = rack_ssthresh(&t);
	cr_assert_lt(ssthresh, TCP_CWND_MAX);
	cr_assert_leq(rack_cwnd(&t), ssthresh);
	th_sack_ack(&t, 8 * S, 0, 0);
	cr_assert_eq(rack_ssthresh(&t), ssthresh);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_3_no_further_probe_until_it_is_known_how_the_last_one_ended)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 3);
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	th_sack_ack(&t, 3 * S, 0, 0);
	th_send(&t, 3 * S);
	ms = rack_wait_ms(&t, 1000);
	cr_assert_geq(ms, 200);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_no_probe_without_sack)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, 0, 3);
	ms = rack_wait_ms(&t, 500);
	cr_assert_geq(ms, 200);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_no_probe_in_recovery)
{
	struct th t;

	rack_sent(&t, TH_SACK, 10);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 5 * S);
	th_sack_expect(&t, 1, 0, S);
	for (int i = 0; i < 40 && th_stat(HF_STAT_TCP_RTO) == 0; i++)
		th_tick(&t, 10000);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_new_data_puts_the_probe_off)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 2);
	th_tick(&t, 15000);
	th_send(&t, 2 * S);
	ms = rack_wait_ms(&t, 100);
	cr_assert(ms == 20 || ms == 21, "%u ms", ms);
	th_sack_expect(&t, 1, 3 * S, S);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_2_an_ack_puts_the_probe_off)
{
	struct th t;
	uint32_t ms;

	rack_sent(&t, TH_SACK, 5);
	th_tick(&t, 15000);
	th_sack_ack(&t, S, 0, 0);
	ms = rack_wait_ms(&t, 100);
	cr_assert(ms >= 20 && ms <= 23, "%u ms", ms);
	th_sack_expect(&t, 1, 4 * S, S);
	th_done(&t);
}

Test(tcp_rack, rfc8985_s7_a_probe_for_which_there_is_no_descriptor_comes_later)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 3;
	th_start(&t);
	th_sack_connect(&t, TH_SACK);
	th_send(&t, 3 * S);
	cr_assert_eq(t.out_count, 3);
	t.now_us += 25000;
	for (int i = 0; i < 4; i++)
		hf_tcp_tick(t.tcp, t.now_us);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 0, "the array is full");
	cr_assert_gt(rack_wait_ms(&t, 50), 0);
	cr_assert_eq(th_out_seq(&t, 0), 2 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	seg = th_seg(&t, HF_TCP_ACK, 0, 3 * S, NULL, 0);
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_NONE);
	th_done(&t);
}
