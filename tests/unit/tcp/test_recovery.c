/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Losses with and without SACK, reductions and their undoing.
 */
#include "tcp_helper.h"
#include "tcp_loss.h"

#define S TH_MSS

/* Ten segments in flight, `more` segments behind them; a round trip passes. */
static void rec_ten(struct th *t, uint32_t want, uint32_t more)
{
	th_sack_open(t, want);
	th_send(t, (10 + more) * t->conn->mss);
	th_sack_expect(t, 10, 0, t->conn->mss);
	t->now_us += 10000;
}

/* Duplicate ACKs; returns what the last of them sent. */
static uint32_t rec_dups(struct th *t, uint32_t ack, int count)
{
	for (int i = 0; i < count; i++)
		th_sack_ack(t, ack, 0, 0);
	return t->out_count;
}

static void rec_timeout(struct th *t)
{
	uint64_t before = th_stat(HF_STAT_TCP_RTO);

	for (int i = 0; i < 2000 && th_stat(HF_STAT_TCP_RTO) == before; i++)
		th_tick(t, 10000);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), before + 1);
}

static uint32_t rec_cwnd(const struct th *t)
{
	return t->conn->tx ? t->conn->tx->cc.cwnd : t->conn->cwnd;
}

static uint32_t rec_ssthresh(const struct th *t)
{
	return t->conn->tx ? t->conn->tx->cc.ssthresh : t->conn->ssthresh;
}

/* Without SACK */

Test(tcp_recovery, rfc5681_s3_2_the_third_duplicate_ack_sends_the_first_segment)
{
	struct th t;

	rec_ten(&t, 0, 0);
	cr_assert_eq(rec_dups(&t, 0, 2), 0);
	rec_dups(&t, 0, 1);
	th_sack_expect(&t, 1, 0, S);
	cr_assert_eq(rec_ssthresh(&t), 7 * S, "RFC 9438 §4.6");
	cr_assert_eq(rec_dups(&t, 0, 6), 0, "nothing else is there to send");
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_leq(rec_cwnd(&t), 7 * S, "RFC 6582 §3.2: a full ACK ends it");
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s2_what_is_no_duplicate_ack)
{
	struct th t;

	rec_ten(&t, 0, 0);
	th_sack_ack(&t, S, 0, 0);
	for (int i = 0; i < 4; i++) {
		t.wnd--; /* another window */
		th_sack_ack(&t, S, 0, 0);
	}
	cr_assert_eq(t.conn->tx->dup_acks, 0);
	for (int i = 0; i < 4; i++) /* data */
		th_in(&t, HF_TCP_ACK, (uint32_t)i, S, "x");
	cr_assert_eq(t.conn->tx->dup_acks, 0);
	for (int i = 0; i < 4; i++) /* an older ACK */
		th_sack_ack(&t, 0, 0, 0);
	cr_assert_eq(t.conn->tx->dup_acks, 0);
	for (int i = 0; i < 4; i++)
		th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 4, S, NULL);
	cr_assert_eq(t.conn->tx->dup_acks, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s2_nothing_is_a_duplicate_while_nothing_is_in_flight)
{
	struct th t;

	th_sack_open(&t, 0);
	rec_dups(&t, 0, 5);
	th_send(&t, S);
	cr_assert_eq(t.conn->tx->dup_acks, 0);
	th_done(&t);
}

Test(tcp_recovery, rfc3042_s2_each_of_two_duplicate_acks_lets_a_new_segment_out)
{
	struct th t;

	rec_ten(&t, 0, 5);
	rec_dups(&t, 0, 1);
	th_sack_expect(&t, 1, 10 * S, S);
	rec_dups(&t, 0, 1);
	th_sack_expect(&t, 1, 11 * S, S);
	cr_assert_eq(rec_cwnd(&t), 10 * S, "cwnd is not changed");
	rec_dups(&t, 0, 1);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc3042_s2_not_into_a_window_that_is_full)
{
	struct th t;

	th_init(&t);
	t.wnd = 10 * S;
	th_start(&t);
	th_sack_connect(&t, 0);
	th_send(&t, 15 * S);
	th_sack_expect(&t, 10, 0, S);
	cr_assert_eq(rec_dups(&t, 0, 2), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc6582_s3_2_a_partial_ack_sends_the_next_hole_at_once)
{
	struct th t;

	rec_ten(&t, 0, 0);
	rec_dups(&t, 0, 7);
	t.now_us += 10000;
	th_sack_ack(&t, 3 * S, 0, 0);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 3 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 7 * S, 0, 0);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 7 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1, "one reduction for the window");
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 3);
	cr_assert_eq(rec_ssthresh(&t), 7 * S);
	th_done(&t);
}

Test(tcp_recovery, rfc6582_s3_2_step_1_duplicates_that_a_timeout_caused_are_no_loss)
{
	struct th t;

	rec_ten(&t, 0, 5);
	rec_timeout(&t);
	th_sack_expect(&t, 1, 0, S);
	t.now_us += 10000;
	th_sack_ack(&t, S, 0, 0);
	rec_dups(&t, S, 5);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 0);
	/* the peer had all of it: then at the mark itself there is doubt, too */
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_gt(t.out_count, 0, "new data");
	rec_dups(&t, 10 * S, 5);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc6582_s3_2_step_1_behind_the_mark_there_is_no_doubt)
{
	struct th t;

	rec_ten(&t, 0, 10);
	rec_timeout(&t);
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_geq(t.out_count, 2);
	t.now_us += 10000;
	th_sack_ack(&t, 11 * S, 0, 0);
	rec_dups(&t, 11 * S, 3);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1);
	cr_assert_eq(th_out_seq(&t, 0), 11 * S);
	th_done(&t);
}

Test(tcp_recovery, rfc3042_s2_never_more_than_two_when_no_recovery_follows)
{
	struct th t;
	uint32_t sent = 0, left;

	rec_ten(&t, 0, 40);
	rec_timeout(&t);
	th_sack_ack(&t, 10 * S, 0, 0);
	sent = t.out_count;
	left = rec_cwnd(&t) / S;
	cr_assert_eq(sent, left);
	for (int i = 0; i < 20; i++)
		sent += rec_dups(&t, 10 * S, 1);
	cr_assert_leq(sent, left + 2, "%u segments", sent);
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_2_a_loss_while_ecn_reduces_is_repaired_without_sack_too)
{
	struct th t;

	rec_ten(&t, TH_ECN, 0);
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, S, NULL);
	cr_assert_eq(t.conn->tx->recovery, TCP_CWR);
	rec_dups(&t, S, 3);
	th_sack_expect(&t, 1, S, S);
	cr_assert_eq(rec_ssthresh(&t), 7 * S, "not reduced a second time");
	th_done(&t);
}

/* With SACK */

Test(tcp_recovery, rfc6675_s5_the_third_sacked_segment_sends_the_hole_at_once_and_whole)
{
	struct th t;

	rec_ten(&t, TH_SACK, 0);
	th_sack_ack(&t, 0, S, 2 * S);
	cr_assert_eq(t.out_count, 0);
	th_sack_ack(&t, 0, S, 3 * S);
	cr_assert_eq(t.out_count, 0);
	th_sack_ack(&t, 0, S, 4 * S);
	th_sack_expect(&t, 1, 0, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1);
	th_done(&t);
}

Test(tcp_recovery, rfc3042_s2_with_sack_too_a_new_segment_for_each_of_the_first_two)
{
	struct th t;

	rec_ten(&t, TH_SACK, 5);
	th_sack_ack(&t, 0, S, 2 * S);
	th_sack_expect(&t, 1, 10 * S, S);
	th_sack_ack(&t, 0, S, 3 * S);
	th_sack_expect(&t, 1, 11 * S, S);
	cr_assert_eq(rec_cwnd(&t), 10 * S);
	th_done(&t);
}

Test(tcp_recovery, rfc9937_s6_2_the_window_goes_down_in_proportion_over_a_round_trip)
{
	uint32_t sent = 0;
	struct th t;

	rec_ten(&t, TH_SACK, 20);
	for (uint32_t i = 2; i <= 10; i++) {
		th_sack_ack(&t, 0, S, i * S);
		cr_assert_leq(t.out_count, 2, "no burst");
		sent += t.out_count;
	}
	cr_assert_leq(sent, 9);
	cr_assert_geq(sent, 6);
	cr_assert_leq(tcp_recovery_pipe(t.conn), 8 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_leq(tcp_recovery_pipe(t.conn), rec_ssthresh(&t) + S);
	cr_assert_leq(rec_cwnd(&t), rec_ssthresh(&t));
	th_done(&t);
}

Test(tcp_recovery, rfc9937_s6_2_losses_that_a_timer_finds_do_not_go_out_in_one_burst)
{
	struct th t;

	rec_ten(&t, TH_SACK, 20);
	th_sack_ack(&t, 0, 8 * S, 10 * S);
	cr_assert_eq(t.conn->tx->recovery, TCP_OPEN, "two: perhaps reordered");
	cr_assert_eq(t.conn->tx->timer, TCP_SEND_REO);
	th_tick(&t, 6000);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	th_sack_expect(&t, 1, 0, S);
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s3_1_a_timeout_in_recovery_lowers_ssthresh_a_second_one_does_not)
{
	struct th t;
	uint32_t before;

	rec_ten(&t, TH_SACK, 0);
	th_sack_ack(&t, 0, S, 4 * S);
	before = rec_ssthresh(&t);
	rec_timeout(&t);
	cr_assert_lt(rec_ssthresh(&t), before);
	cr_assert_eq(rec_cwnd(&t), S);
	before = rec_ssthresh(&t);
	rec_timeout(&t);
	cr_assert_eq(rec_ssthresh(&t), before, "the same segment again");
	cr_assert_eq(rec_cwnd(&t), S);
	th_done(&t);
}

Test(tcp_recovery, rfc6582_s3_2_step_3_after_the_last_byte_an_initial_window_is_left)
{
	struct th t;

	rec_ten(&t, TH_SACK, 0);
	th_sack_ack(&t, 0, S, 10 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_eq(rec_ssthresh(&t), 7 * S);
	th_send(&t, 20 * S);
	th_sack_expect(&t, 7, 10 * S, S);
	th_done(&t);
}

/* Undo */

/* Segments 2 to 4 overtook the first, which was sent again for nothing. */
static void rec_reordered(struct th *t, uint32_t want)
{
	rec_ten(t, want, 0);
	th_sack_ack(t, 0, t->conn->mss, 4 * t->conn->mss);
	cr_assert_eq(t->conn->tx->recovery, TCP_RECOVERY);
	th_sack_expect(t, 1, 0, t->conn->mss);
}

Test(tcp_recovery, rfc3522_s3_2_an_echo_of_the_first_copy_undoes_a_fast_recovery)
{
	struct th t;
	uint32_t first, before, mss;

	th_sack_open(&t, TH_SACK | TH_TS);
	mss = t.conn->mss;
	before = rec_cwnd(&t);
	th_send(&t, 10 * mss);
	first = th_ts_val(&t, 0);
	t.now_us += 10000;
	th_sack_ack(&t, 0, mss, 4 * mss);
	th_sack_expect(&t, 1, 0, mss);
	cr_assert_eq(th_ts_val(&t, 0), first + 10);
	t.now_us += 2000;
	t.ts_ecr = first;
	th_sack_ack(&t, 4 * mss, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 1);
	cr_assert_eq(t.conn->tx->recovery, TCP_OPEN);
	cr_assert_geq(rec_cwnd(&t), before);
	cr_assert_eq(rec_ssthresh(&t), TCP_CWND_MAX);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_recovery, rfc3522_s3_2_an_echo_of_the_second_copy_undoes_nothing)
{
	struct th t;

	rec_reordered(&t, TH_SACK | TH_TS);
	t.ts_ecr = th_ts_val(&t, 0);
	t.now_us += 10000;
	th_sack_ack(&t, 4 * t.conn->mss, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	th_done(&t);
}

Test(tcp_recovery, rfc4015_s3_2_a_timeout_that_was_too_early_is_undone_and_sends_nothing_again)
{
	struct th t;
	uint32_t before, mss;

	th_sack_open(&t, TH_TS);
	mss = t.conn->mss;
	before = rec_cwnd(&t);
	th_send(&t, 5 * mss);
	t.ts_ecr = th_ts_val(&t, 0);
	rec_timeout(&t);
	cr_assert_eq(rec_cwnd(&t), mss);
	t.now_us += 10000;
	th_sack_ack(&t, 2 * mss, 0, 0); /* the first copies come late */
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 1);
	cr_assert_geq(rec_cwnd(&t), before);
	cr_assert_eq(rec_ssthresh(&t), TCP_CWND_MAX);
	cr_assert_eq(t.out_count, 0, "three are still on their way");
	cr_assert_lt(t.conn->rto_us, 1000000, "no backoff is left");
	th_sack_ack(&t, 5 * mss, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 1);
	th_done(&t);
}

Test(tcp_recovery,
	rfc3522_s3_2_after_two_timeouts_an_echo_of_the_first_retransmission_undoes_nothing)
{
	for (uint32_t original = 0; original < 2; original++) {
		struct th t;
		uint32_t first, second;

		th_sack_open(&t, TH_TS);
		th_send(&t, t.conn->mss);
		first = th_ts_val(&t, 0);
		rec_timeout(&t);
		second = th_ts_val(&t, 0);
		rec_timeout(&t);
		cr_assert_lt(second, th_ts_val(&t, 0));
		th_send(&t, 4 * t.conn->mss);
		t.ts_ecr = original ? first : second;
		th_sack_ack(&t, t.conn->mss, 0, 0);
		cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), original);
		th_done(&t);
		hf_stat_sub(HF_STAT_TCP_SPURIOUS, original);
	}
}

Test(tcp_recovery, rfc4015_s3_2_after_an_undo_no_more_than_an_initial_window_goes_out_at_once)
{
	struct th t;
	uint32_t mss, first, before, at = 0;

	th_sack_open(&t, TH_TS | TH_WS);
	mss = t.conn->mss;
	for (int i = 0; i < 3; i++) { /* a large window */
		th_send(&t, rec_cwnd(&t));
		t.ts_ecr = th_ts_val(&t, 0);
		at = t.conn->snd_nxt - t.iss - 1;
		t.now_us += 10000;
		th_sack_ack(&t, at, 0, 0);
	}
	before = rec_cwnd(&t);
	cr_assert_geq(before, 30 * mss);
	th_send(&t, 30 * mss);
	first = th_ts_val(&t, 0);
	rec_timeout(&t);
	th_send(&t, 120000);
	t.ts_ecr = first;
	th_sack_ack(&t, at + 30 * mss, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 1);
	cr_assert_gt(t.out_count, 0);
	cr_assert_leq(rec_cwnd(&t), 10 * mss + 8 * mss);
	cr_assert_geq(rec_ssthresh(&t), before, "slow start goes on to where it was");
	th_done(&t);
}

Test(tcp_recovery, rfc8985_s6_2_what_came_sooner_than_a_round_trip_was_late_and_not_lost)
{
	struct th t;

	rec_reordered(&t, TH_SACK);
	t.now_us += 2000;
	th_sack_ack(&t, 4 * S, 0, 0); /* late, not lost */
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 1, "sooner than a round trip: RFC 8985 §6.2");
	th_done(&t);
	hf_stat_sub(HF_STAT_TCP_SPURIOUS, 1);

	rec_reordered(&t, TH_SACK);
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0);
	th_send(&t, S);
	th_sack_ack(&t, 10 * S, 0, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0, "it is about an earlier flight");
	th_done(&t);
}

Test(tcp_recovery, rfc3708_s2_dsacks_for_all_retransmissions_undo_it_after_its_end)
{
	struct th t;

	rec_ten(&t, TH_SACK, 5);
	th_sack_ack2(&t, 0, 3 * S, 6 * S, S, 2 * S);
	th_sack_ack2(&t, 0, 3 * S, 10 * S, S, 2 * S);
	cr_assert_eq(t.conn->tx->undo_left, 2);
	t.now_us += 12000;
	th_sack_ack2(&t, 10 * S, 0, S, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0, "one of two");
	th_sack_ack(&t, 10 * S, 2 * S, 3 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 1);
	cr_assert_eq(rec_ssthresh(&t), TCP_CWND_MAX);
	th_done(&t);
}

Test(tcp_recovery, rfc3708_s2_a_dsack_of_what_was_sent_later_undoes_no_earlier_reduction)
{
	struct th t;
	uint32_t all;

	rec_ten(&t, TH_SACK, 5);
	th_sack_ack(&t, 0, S, 4 * S);
	cr_assert_eq(t.conn->tx->undo_left, 1);
	t.now_us += 12000;
	all = t.conn->snd_nxt - t.iss - 1;
	th_send(&t, 5 * S);
	th_sack_ack(&t, all, 0, 0); /* a real loss, repaired */
	cr_assert_eq(t.conn->tx->recovery, TCP_OPEN);
	cr_assert(t.conn->tx->undo);
	t.now_us += 10000;
	th_sack_ack(&t, all + 2 * S, all + S, all + 2 * S); /* the network doubled it */
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0);
	th_done(&t);
}

Test(tcp_recovery, rfc3708_s2_a_dsack_undoes_a_timeout)
{
	struct th t;

	rec_ten(&t, TH_SACK, 0);
	th_tick(&t, 30000);
	cr_assert_eq(th_stat(HF_STAT_TCP_TLP), 1);
	rec_timeout(&t);
	cr_assert_eq(rec_cwnd(&t), S);
	t.now_us += 20000;
	th_sack_ack(&t, 9 * S, 0, 0);
	th_sack_ack(&t, 9 * S, 0, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0, "the probe's copy is another one");
	th_sack_ack(&t, 10 * S - 1, 9 * S, 10 * S - 1);
	cr_assert_eq(th_stat(HF_STAT_TCP_SPURIOUS), 0, "no retransmission had that end");
	th_done(&t);
}

/* The window */

Test(tcp_recovery, rfc6928_s2_the_initial_window_is_ten_segments)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_open_mss(&t, 1460);
	th_send(&t, 40000);
	cr_assert_eq(t.out_count, 10);
	t.sport++;
	th_open_mss(&t, 536);
	th_send(&t, 40000);
	cr_assert_eq(t.out_count, 10);
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s3_1_after_a_lost_syn_ack_it_is_one_segment)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_tick(&t, 1100000);
	cr_assert_eq(t.out_count, 1);
	t.now_us += 10000;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 40000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.conn->rto_us, TCP_RTO_SYN_LOST_US, "RFC 6298 §5.7");
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s4_1_after_an_idle_time_it_begins_with_the_restart_window)
{
	struct th t;
	uint32_t at = 0;

	for (uint32_t idle = 0; idle < 2; idle++) {
		th_sack_open(&t, 0);
		th_send(&t, 10 * S);
		t.now_us += 10000;
		th_sack_ack(&t, 10 * S, 0, 0);
		cr_assert_geq(rec_cwnd(&t), 18 * S);
		at = 10 * S;
		t.now_us += idle ? 250000 : 100000;
		th_send(&t, 30 * S);
		cr_assert_eq(t.out_count, idle ? 10 : rec_cwnd(&t) / S);
		cr_assert_eq(th_out_seq(&t, 0), at);
		th_done(&t);
	}
}

Test(tcp_recovery, rfc7661_s4_a_window_that_is_not_used_does_not_grow)
{
	struct th t;

	th_sack_open(&t, 0);
	for (uint32_t i = 1; i <= 20; i++) {
		th_send(&t, 2 * S);
		t.now_us += 10000;
		th_sack_ack(&t, 2 * i * S, 0, 0);
	}
	cr_assert_eq(rec_cwnd(&t), 10 * S);
	th_done(&t);
}

Test(tcp_recovery, rfc5681_s3_1_slow_start_adds_what_was_acknowledged)
{
	struct th t;

	rec_ten(&t, 0, 20);
	for (uint32_t i = 1; i <= 10; i++) {
		th_sack_ack(&t, i * S, 0, 0);
		cr_assert_eq(t.out_count, 2);
		cr_assert_eq(rec_cwnd(&t), (10 + i) * S);
	}
	th_done(&t);
}

/* ECN */

static void rec_data(struct th *t, uint32_t seq, uint8_t flags, uint8_t ecn)
{
	struct hf_tcp_seg seg = th_seg(t, HF_TCP_ACK | flags, seq, 0, "x", 1);

	seg.ecn = ecn;
	cr_assert_eq(th_in_seg(t, &seg), HF_DROP_NONE);
	if (t->out_count == 0)
		th_tick(t, 50000);
	cr_assert_eq(t->out_count, 1);
}

Test(tcp_recovery, rfc3168_s6_1_1_ecn_needs_both_flags_in_the_syn_and_our_consent)
{
	static const uint8_t ask[] = { HF_TCP_ECE, HF_TCP_CWR, HF_TCP_ECE | HF_TCP_CWR };
	struct th t;

	for (int consent = 0; consent < 2; consent++) {
		for (size_t i = 0; i < HF_ARRAY_LEN(ask); i++) {
			bool on = consent && ask[i] == (HF_TCP_ECE | HF_TCP_CWR);

			th_init(&t);
			t.cfg.ecn = consent;
			th_start(&t);
			th_in(&t, HF_TCP_SYN | ask[i], UINT32_MAX, 0, NULL);
			cr_assert_eq(
				t.out[0].flags, HF_TCP_SYN | HF_TCP_ACK | (on ? HF_TCP_ECE : 0));
			cr_assert_eq(
				t.out[0].ecn, HF_TCP_ECN_NOT_ECT, "§6.1.1: no ECT on a SYN-ACK");
			t.iss = t.out[0].seq;
			th_in(&t, HF_TCP_ACK, 0, 0, NULL);
			th_send(&t, 100);
			cr_assert_eq(t.out[0].ecn, on ? HF_TCP_ECN_ECT0 : HF_TCP_ECN_NOT_ECT);
			th_done(&t);
		}
	}
}

Test(tcp_recovery, rfc3168_s6_1_1_a_cookie_remembers_ecn)
{
	struct th t;

	th_init(&t);
	t.cfg.syn_queue_max = 0;
	th_start(&t);
	th_sack_connect(&t, TH_SACK | TH_TS | TH_WS | TH_ECN);
	cr_assert_eq(th_stat(HF_STAT_TCP_COOKIES_ACCEPTED), 1);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_ECT0);
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_5_no_ect_on_retransmissions_and_acks)
{
	struct th t;

	rec_ten(&t, TH_SACK | TH_ECN, 0);
	for (int i = 0; i < 2; i++) {
		th_sack_ack(&t, 0, S, 4 * S);
		if (i == 0) {
			th_sack_expect(&t, 1, 0, S);
			cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
		}
	}
	rec_timeout(&t);
	cr_assert_eq(t.out[0].len, S);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	t.opt_len = 0;
	rec_data(&t, 0, 0, HF_TCP_ECN_ECT0);
	cr_assert_eq(t.out[0].len, 0);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT, "§6.1.4");
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_6_no_ect_on_window_probes_nor_on_a_bare_fin)
{
	struct th t;

	th_sack_open(&t, TH_ECN);
	t.wnd = 0;
	th_sack_ack(&t, 0, 0, 0);
	th_send(&t, 10);
	th_tick(&t, 210000);
	th_sack_expect(&t, 1, 0, 1);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	t.wnd = 65535;
	th_sack_ack(&t, 1, 0, 0);
	th_sack_expect(&t, 1, 1, 9);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_ECT0);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_FIN);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_3_ce_is_echoed_until_cwr_comes)
{
	struct th t;

	th_sack_open(&t, TH_ECN);
	rec_data(&t, 0, 0, HF_TCP_ECN_ECT0);
	cr_assert_eq(t.out[0].flags & HF_TCP_ECE, 0);
	rec_data(&t, 1, 0, HF_TCP_ECN_CE);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_ECE);
	rec_data(&t, 2, 0, HF_TCP_ECN_ECT0);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_ECE);
	th_send(&t, 10);
	cr_assert(t.out[0].flags & HF_TCP_ECE, "on data, too");
	rec_data(&t, 3, HF_TCP_CWR, HF_TCP_ECN_ECT0);
	cr_assert_eq(t.out[0].flags & HF_TCP_ECE, 0);
	rec_data(&t, 4, HF_TCP_CWR, HF_TCP_ECN_CE);
	cr_assert(t.out[0].flags & HF_TCP_ECE, "the CWR is about what was before");
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_2_an_echo_reduces_once_a_window_and_is_answered_by_cwr_once)
{
	struct th t;

	rec_ten(&t, TH_ECN, 30);
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, S, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 1);
	cr_assert_eq(rec_ssthresh(&t), 7 * S);
	for (uint32_t i = 2, cwr = 0; i <= 10; i++) {
		th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, i * S, NULL);
		cr_assert_eq(t.conn->tx->recovery, i < 10 ? TCP_CWR : TCP_OPEN);
		for (uint32_t k = 0; k < t.out_count; k++) {
			bool first = cwr == 0;

			cwr += !!(t.out[k].flags & HF_TCP_CWR);
			cr_assert_eq(cwr, 1);
			cr_assert_eq(!!(t.out[k].flags & HF_TCP_CWR), first, "the first of them");
			cr_assert_eq(t.out[k].len, S);
		}
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 1);
	cr_assert_leq(rec_cwnd(&t), 8 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 0);
	t.now_us += 10000;
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, 12 * S, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 2, "the next window");
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_2_an_echo_with_the_last_ack_leaves_an_initial_window)
{
	struct th t;

	rec_ten(&t, TH_ECN, 0);
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, 10 * S, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 1);
	cr_assert_eq(rec_ssthresh(&t), 7 * S);
	cr_assert_eq(rec_cwnd(&t), 7 * S);
	th_send(&t, 20 * S);
	th_sack_expect(&t, 7, 10 * S, S);
	cr_assert(t.out[0].flags & HF_TCP_CWR);
	cr_assert_eq(t.out[1].flags & HF_TCP_CWR, 0);
	th_in(&t, HF_TCP_ACK, 0, 11 * S, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 1);
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_2_an_echo_means_nothing_where_ecn_was_not_negotiated)
{
	struct th t;

	rec_ten(&t, 0, 0);
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, S, NULL);
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 0);
	cr_assert_eq(rec_ssthresh(&t), TCP_CWND_MAX);
	rec_data(&t, 0, 0, HF_TCP_ECN_CE);
	cr_assert_eq(t.out[0].flags & HF_TCP_ECE, 0);
	th_done(&t);
}

Test(tcp_recovery, rfc3168_s6_1_2_a_loss_is_told_by_cwr_and_an_echo_then_reduces_no_further)
{
	uint32_t cwr = 0;
	struct th t;

	rec_ten(&t, TH_SACK | TH_ECN, 20);
	th_sack_ack(&t, 0, S, 4 * S);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.out[0].flags & HF_TCP_CWR, 0, "new data only");
	for (uint32_t i = 5; i <= 10; i++) {
		th_sack_ack(&t, 0, S, i * S);
		for (uint32_t k = 0; k < t.out_count; k++)
			cwr += !!(t.out[k].flags & HF_TCP_CWR);
	}
	cr_assert_eq(cwr, 1);
	t.now_us += 10000;
	th_sack_opts(&t, 0, NULL);
	th_in(&t, HF_TCP_ACK | HF_TCP_ECE, 0, 10 * S, NULL); /* marked in the same window */
	cr_assert_eq(th_stat(HF_STAT_TCP_ECN_REDUCED), 0);
	th_done(&t);
}
