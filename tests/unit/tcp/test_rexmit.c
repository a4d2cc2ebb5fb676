/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"
#include "tcp_loss.h"

Test(tcp_rexmit, rfc6298_s2_2_the_first_sample_sets_srtt_and_rto)
{
	struct hf_tcp_conn conn = { 0 };

	tcp_rexmit_rtt(&conn, 400000);
	cr_assert_eq(conn.srtt_us, 400000);
	cr_assert_eq(conn.rttvar_us, 200000);
	cr_assert_eq(conn.rto_us, 1200000);
	tcp_rexmit_rtt(&conn, 400000); /* §2.3 */
	cr_assert_eq(conn.srtt_us, 400000);
	cr_assert_eq(conn.rttvar_us, 150000);
	cr_assert_eq(conn.rto_us, 1000000);
	tcp_rexmit_rtt(&conn, 800000);
	cr_assert_eq(conn.srtt_us, 450000);
	cr_assert_eq(conn.rttvar_us, 212500);
}

Test(tcp_rexmit, rto_has_a_floor_and_a_ceiling)
{
	struct hf_tcp_conn conn = { 0 };

	tcp_rexmit_rtt(&conn, 10);
	cr_assert_eq(conn.rto_us, TCP_RTO_MIN_US);
	conn.srtt_us = 0;
	tcp_rexmit_rtt(&conn, UINT64_MAX);
	cr_assert_eq(conn.rto_us, TCP_RTO_MAX_US);
}

Test(tcp_rexmit, rfc6298_s5_the_timer_doubles_and_sends_the_first_segment)
{
	struct th t;
	uint64_t wait = TCP_RTO_MIN_US;

	th_open(&t);
	th_send(&t, 5000);
	cr_assert_eq(t.out_count, 4);
	for (int i = 0; i < 3; i++, wait *= 2) {
		th_tick(&t, wait - 2000);
		cr_assert_eq(t.out_count, 0, "round %d: too early", i);
		th_tick(&t, 4000);
		cr_assert_eq(t.out_count, 1, "round %d", i);
		cr_assert_eq(th_out_seq(&t, 0), 0);
		cr_assert_eq(t.out[0].len, 1460);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 3);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 3);
	cr_assert_eq(t.conn->tx->cc.cwnd, 1460, "RFC 5681 §3.1: loss window");
	cr_assert_eq(t.conn->tx->cc.ssthresh, 3500, "RFC 9438 §4.6: 0.7 of what was in flight");
	th_done(&t);
}

Test(tcp_rexmit, after_a_timeout_acks_clock_the_rest_out_again)
{
	struct th t;

	th_open(&t);
	th_send(&t, 5840);
	th_tick(&t, 250000);
	cr_assert_eq(t.out_count, 1);
	t.now_us += 10000;
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	cr_assert_eq(t.out_count, 2, "slow start");
	cr_assert_eq(th_out_seq(&t, 0), 1460);
	/* the peer held the rest: an ACK beyond what was sent again */
	th_in(&t, HF_TCP_ACK, 0, 5840, NULL);
	cr_assert_eq(t.out_count, 0);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	cr_assert_null(t.conn->tx, "nothing is left");
	th_done(&t);
}

Test(tcp_rexmit, rfc6298_s3_karn_no_sample_from_what_was_sent_twice)
{
	struct th t;
	uint32_t srtt;

	th_open(&t);
	srtt = t.conn->srtt_us;
	th_send(&t, 100);
	th_tick(&t, 300000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.conn->rto_us, 2 * TCP_RTO_MIN_US);
	th_tick(&t, 50000);
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	cr_assert_eq(t.conn->srtt_us, srtt);
	cr_assert_eq(t.conn->rto_us, 2 * TCP_RTO_MIN_US, "backed off until a sample is taken");
	th_send(&t, 100);
	t.now_us += 20000;
	th_in(&t, HF_TCP_ACK, 0, 200, NULL);
	cr_assert_eq(t.conn->rto_us, TCP_RTO_MIN_US);
	th_done(&t);
}

Test(tcp_rexmit, the_second_ack_after_a_timeout_ends_the_backoff_without_a_sample)
{
	struct th t;

	th_open(&t);
	th_send(&t, 5840);
	th_tick(&t, 250000);
	th_tick(&t, 450000);
	cr_assert_eq(t.conn->rto_us, 4 * TCP_RTO_MIN_US);
	t.now_us += 10000;
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	cr_assert_eq(t.conn->rto_us, 4 * TCP_RTO_MIN_US);
	th_in(&t, HF_TCP_ACK, 0, 2920, NULL);
	cr_assert_eq(t.conn->rto_us, TCP_RTO_MIN_US);
	th_done(&t);
}

Test(tcp_rexmit, rfc6298_s5_3_a_new_ack_restarts_the_timer_and_the_last_stops_it)
{
	struct th t;

	th_open(&t);
	th_send(&t, 2920);
	th_tick(&t, 150000);
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	th_tick(&t, 150000);
	cr_assert_eq(t.out_count, 0);
	th_in(&t, HF_TCP_ACK, 0, 2920, NULL);
	th_tick(&t, 10000000);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_rexmit, rfc9293_s3_8_3_the_user_timeout_ends_the_connection)
{
	struct th t;
	uint64_t start;

	th_open(&t);
	th_send(&t, 100);
	start = t.now_us;
	for (int i = 0; i < 4000 && !(t.events & HF_TCP_EV_CLOSED); i++)
		th_tick(&t, 100000);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_geq(t.now_us - start, 1000ULL * t.cfg.user_timeout_ms);
	cr_assert_lt(t.now_us - start, 1000ULL * t.cfg.user_timeout_ms + 200000);
	cr_assert_eq(t.out[t.out_count - 1].flags & HF_TCP_RST, HF_TCP_RST);
	cr_assert_eq(th_stat(HF_STAT_TCP_TIMEOUTS), 1);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

static void rexmit_closed_window(struct th *t)
{
	th_open(t);
	t->wnd = 0;
	th_in(t, HF_TCP_ACK, 0, 0, NULL);
	th_send(t, 5000);
	cr_assert_eq(t->out_count, 0);
}

Test(tcp_rexmit, rfc9293_s3_8_6_1_a_closed_window_is_probed_by_one_byte_with_backoff)
{
	struct th t;
	uint64_t wait = TCP_RTO_MIN_US;

	rexmit_closed_window(&t);
	for (int i = 0; i < 5; i++, wait *= 2) {
		th_tick(&t, wait / 2);
		cr_assert_eq(t.out_count, 0, "round %d", i);
		th_tick(&t, wait / 2 + 2000);
		cr_assert_eq(t.out_count, 1, "round %d", i);
		cr_assert_eq(t.out[0].len, 1);
		cr_assert_eq(th_out_seq(&t, 0), 0);
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
		cr_assert_eq(t.out_count, 0);
	}
	cr_assert_eq(t.conn->tx->dup_acks, 0, "answers to probes are not duplicate ACKs");
	cr_assert_eq(t.conn->tx->cc.cwnd, 14600, "nor is it congestion");
	th_done(&t);
}

Test(tcp_rexmit, an_opened_window_is_used_at_once_from_where_it_stood)
{
	struct th t;

	rexmit_closed_window(&t);
	th_tick(&t, 210000);
	cr_assert_eq(t.out_count, 1);
	t.wnd = 65535;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL); /* the probe's byte was not taken */
	cr_assert_eq(t.out_count, 5, "the byte, and what follows it");
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.conn->tx->cc.cwnd, 14600, "no congestion");
	th_in(&t, HF_TCP_ACK, 0, 5000, NULL);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_rexmit, a_probe_that_was_taken_counts)
{
	struct th t;

	rexmit_closed_window(&t);
	th_tick(&t, 210000);
	t.wnd = 65535;
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	cr_assert_eq(th_out_seq(&t, 0), 1);
	th_in(&t, HF_TCP_ACK, 0, 5000, NULL);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_rexmit, a_silly_window_is_used_when_the_persist_timer_says_so)
{
	struct th t;

	rexmit_closed_window(&t);
	t.wnd = 300;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.out_count, 0);
	th_tick(&t, 210000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 300);
	th_done(&t);
}

Test(tcp_rexmit, who_answers_probes_may_keep_an_open_connection_but_not_a_closed_one)
{
	struct th t;

	rexmit_closed_window(&t);
	for (int i = 0; i < 3000; i++) {
		th_tick(&t, 100000);
		cr_assert_eq(t.events, 0);
		if (t.out_count)
			th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	}
	hf_tcp_close(t.tcp, t.conn);
	for (int i = 0; i < 1200 && hf_tcp_conn_count(t.tcp); i++) {
		th_tick(&t, 100000);
		if (t.out_count && !(t.out[0].flags & HF_TCP_RST))
			th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	}
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}
