/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SACK on the wire: what a peer's blocks make the stack send, and what ours say.
 */
#include "hf_bytes.h"

#include "tcp_helper.h"

#define S TH_MSS

/* Ten segments in flight; a round trip passes. */
static void sack_ten(struct th *t, uint32_t want)
{
	th_sack_open(t, want);
	th_send(t, 10 * S);
	th_sack_expect(t, 10, 0, S);
	t->now_us += 10000;
}

Test(tcp_sack, rfc2018_s2_it_is_used_only_if_both_permit_it)
{
	struct th t;

	sack_ten(&t, 0);
	th_sack_ack(&t, 0, S, 10 * S);
	cr_assert_eq(t.conn->tx->flight.sacked, 0);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_sack, rfc6675_s5_exactly_the_hole_is_sent_again)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack(&t, 2 * S, 3 * S, 6 * S);
	cr_assert_eq(t.conn->tx->recovery, TCP_RECOVERY);
	th_sack_expect(&t, 1, 2 * S, S);
	th_sack_ack(&t, 2 * S, 3 * S, 10 * S);
	cr_assert_eq(t.out_count, 0, "once");
	t.now_us += 10000;
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_eq(t.out_count, 0);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 1);
	th_done(&t);
}

Test(tcp_sack, rfc6675_s5_several_holes_in_one_round_trip_and_nothing_between_them)
{
	struct th t;
	uint32_t seen = 0;

	sack_ten(&t, TH_SACK);
	th_sack_ack2(&t, 0, 3 * S, 6 * S, S, 2 * S);
	for (uint32_t end = 7; seen < 2 && end < 10; end++) {
		for (uint32_t i = 0; i < t.out_count; i++, seen++) {
			cr_assert_eq(th_out_seq(&t, i), seen == 0 ? 0 : 2 * S);
			cr_assert_eq(t.out[i].len, S);
		}
		th_sack_ack2(&t, 0, 3 * S, end * S, S, 2 * S);
	}
	cr_assert_eq(seen, 2, "both holes, before anything was acknowledged");
	th_sack_ack2(&t, 0, 3 * S, 10 * S, S, 2 * S);
	cr_assert_eq(t.out_count, 0);
	t.now_us += 10000;
	th_sack_ack(&t, 2 * S, 3 * S, 10 * S);
	cr_assert_eq(t.out_count, 0);
	th_sack_ack(&t, 10 * S, 0, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RETRANSMITS), 2);
	cr_assert_eq(th_stat(HF_STAT_TCP_FAST_RETRANSMITS), 1, "one recovery");
	th_done(&t);
}

Test(tcp_sack, rfc6675_s4_what_was_lost_goes_before_what_is_new)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_send(&t, 5 * S);
	cr_assert_eq(t.out_count, 0, "the window is full");
	th_sack_ack(&t, 0, S, 4 * S);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_sack_ack(&t, 0, S, 10 * S);
	cr_assert_gt(t.out_count, 0);
	cr_assert_eq(th_out_seq(&t, 0), 10 * S);
	th_done(&t);
}

Test(tcp_sack, rfc8985_s6_2_a_lost_retransmission_is_sent_again_without_a_timeout)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_send(&t, 10 * S);
	th_sack_ack(&t, 0, S, 4 * S);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	t.now_us += 5000;
	th_sack_ack(&t, 0, S, 10 * S);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 10 * S, "new data behind the retransmission");
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 11 * S);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 0, "the new data arrived, it did not");
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	th_done(&t);
}

Test(tcp_sack, rfc2018_s8_after_a_timeout_what_is_sacked_is_not_sent_again)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 4 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 0, 2 * S, 3 * S);
	for (int i = 0; i < 8 && th_stat(HF_STAT_TCP_RTO) == 0; i++)
		th_tick(&t, 100000);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 1);
	th_sack_expect(&t, 1, 0, S);
	t.now_us += 10000;
	th_sack_ack(&t, S, 2 * S, 3 * S);
	cr_assert_eq(t.out_count, 2);
	cr_assert_eq(th_out_seq(&t, 0), S);
	cr_assert_eq(th_out_seq(&t, 1), 3 * S);
	th_done(&t);
}

Test(tcp_sack, rfc2018_s8_who_reneges_gets_it_again_after_a_timeout)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 4 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 4 * S);
	th_sack_expect(&t, 1, 0, S);
	t.now_us += 10000;
	th_sack_ack(&t, S, 0, 0); /* the rest was thrown away */
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(t.conn->tx->flight.sacked, 3 * S);
	th_tick(&t, 500000);
	th_sack_expect(&t, 1, S, S);
	cr_assert_eq(t.conn->tx->flight.sacked, 0);
	t.now_us += 10000;
	th_sack_ack(&t, 2 * S, 0, 0);
	th_sack_expect(&t, 2, 2 * S, S);
	th_sack_ack(&t, 4 * S, 0, 0);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_sack, who_reneges_and_shuts_its_window_is_probed)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 4 * S);
	t.now_us += 10000;
	th_sack_ack(&t, 0, S, 4 * S);
	t.wnd = 0;
	th_sack_ack(&t, S, 0, 0);
	cr_assert_eq(t.out_count, 0);
	th_tick(&t, 500000);
	th_sack_expect(&t, 1, S, 1);
	t.wnd = 65535;
	th_sack_ack(&t, S, 0, 0);
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), S);
	th_sack_ack(&t, 4 * S, 0, 0);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

/* Nothing is marked, nothing sent, no DSACK believed. */
static void sack_lie(struct th *t, uint32_t start, uint32_t end)
{
	th_sack_ack(t, 2 * S, start, end);
	cr_assert_eq(t->conn->tx->flight.sacked, 0, "%d to %d", (int)start, (int)end);
	cr_assert_eq(t->conn->tx->flight.lost, 0);
	cr_assert_eq(t->conn->tx->recovery, TCP_OPEN);
	cr_assert_eq(t->out_count, 0);
}

Test(tcp_sack, rfc2018_s5_blocks_that_cannot_be_true_are_ignored)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack(&t, 2 * S, 0, 0);
	sack_lie(&t, 9 * S, 10 * S + 1);         /* never sent */
	sack_lie(&t, 20 * S, 30 * S);            /* nor this */
	sack_lie(&t, 6 * S, 4 * S);              /* inverted */
	sack_lie(&t, 5 * S, 5 * S);              /* empty */
	sack_lie(&t, S, 8 * S);                  /* from below the ACK */
	sack_lie(&t, 2 * S, 8 * S);              /* at the ACK: that would have moved it */
	sack_lie(&t, 4 * S, 4 * S + (1U << 31)); /* half of the sequence space */
	sack_lie(&t, 3 * S, UINT32_MAX);
	sack_lie(&t, 3 * S + 1, 4 * S - 1); /* true perhaps, but no whole segment */
	sack_lie(&t, 5 * S, 1);             /* inverted and below: no DSACK either */
	sack_lie(&t, 2 * S - 10, S);        /* below, inverted */
	sack_lie(&t, S, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 0);
	th_done(&t);
}

Test(tcp_sack, rfc2018_s4_blocks_that_overlap_or_come_again_count_once)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack2(&t, S, 5 * S, 7 * S, 4 * S, 6 * S);
	cr_assert_eq(t.conn->tx->flight.sacked, 3 * S);
	th_sack_ack2(&t, S, 4 * S + 10, 7 * S, 5 * S, 7 * S - 5);
	cr_assert_eq(t.conn->tx->flight.sacked, 3 * S);
	th_done(&t);
}

Test(tcp_sack, rfc2018_s4_a_segment_counts_when_a_block_holds_all_of_it)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack(&t, 0, 2 * S + 1, 5 * S - 1);
	cr_assert_eq(t.conn->tx->flight.sacked, S);
	cr_assert(tcp_flight_at(&t.conn->tx->flight, 3)->flags & TCP_SENT_SACKED);
	th_done(&t);
}

Test(tcp_sack, rfc2018_s3_blocks_on_a_segment_with_data_count_too)
{
	const uint32_t block[1][2] = { { S, 6 * S } };
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_opts(&t, 1, block);
	th_in(&t, HF_TCP_ACK, 0, 0, "text");
	cr_assert_geq(t.out_count, 1);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.out[0].len, S);
	th_done(&t);
}

Test(tcp_sack, rfc2883_s4_1_a_dsack_below_the_ack_marks_nothing)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack(&t, 4 * S, 0, 0);
	th_sack_ack(&t, 4 * S, 2 * S, 3 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1);
	cr_assert_eq(t.conn->tx->flight.sacked, 0);
	/* §4.1.2: with a block behind it that means what it says */
	th_sack_ack2(&t, 4 * S, 3 * S, 4 * S, 6 * S, 7 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 2);
	cr_assert_eq(t.conn->tx->flight.sacked, S);
	th_done(&t);
}

Test(tcp_sack, rfc2883_s4_2_a_dsack_within_the_second_block_is_one)
{
	struct th t;

	sack_ten(&t, TH_SACK);
	th_sack_ack2(&t, S, 6 * S, 7 * S, 5 * S, 8 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1);
	cr_assert_eq(t.conn->tx->flight.sacked, 3 * S);
	th_sack_ack2(&t, S, 3 * S, 4 * S, 5 * S, 8 * S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1, "two blocks of their own");
	cr_assert_eq(t.conn->tx->flight.sacked, 4 * S);
	th_done(&t);
}

Test(tcp_sack, a_dsack_while_nothing_is_in_flight_is_harmless)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, S);
	th_sack_ack(&t, S, 0, 0);
	th_sack_ack(&t, S, 0, S);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

/* The blocks of our ACK, relative to the peer's first byte; returns how many. */
static uint32_t sack_told(const struct th *t, uint32_t (*block)[2])
{
	const uint8_t *opt = t->out[0].opt;
	uint32_t at = opt[2] == 8 ? 12 : 0, count;

	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags, HF_TCP_ACK);
	cr_assert_eq(t->out[0].len, 0);
	if (t->out[0].opt_len == at)
		return 0;
	cr_assert_eq(hf_load_be32(opt + at) >> 8, 0x010105);
	count = (opt[at + 3] - 2) / 8;
	cr_assert_eq(t->out[0].opt_len, at + 4 + 8 * count);
	for (uint32_t i = 0; i < count; i++) {
		block[i][0] = hf_load_be32(opt + at + 4 + 8 * i) - TH_IRS - 1;
		block[i][1] = hf_load_be32(opt + at + 8 + 8 * i) - TH_IRS - 1;
	}
	return count;
}

static void sack_in(struct th *t, uint32_t seq, uint32_t len)
{
	th_sack_opts(t, 0, NULL);
	th_in_len(t, HF_TCP_ACK, seq, 0, len);
}

Test(tcp_sack, rfc2018_s4_what_is_behind_a_hole_is_told_at_once_the_latest_first)
{
	uint32_t block[4][2];
	struct th t;

	th_sack_open(&t, TH_SACK);
	sack_in(&t, 1000, 100);
	cr_assert_eq(sack_told(&t, block), 1);
	cr_assert(block[0][0] == 1000 && block[0][1] == 1100);
	sack_in(&t, 3000, 100);
	cr_assert_eq(sack_told(&t, block), 2);
	cr_assert(block[0][0] == 3000 && block[0][1] == 3100);
	cr_assert(block[1][0] == 1000 && block[1][1] == 1100);
	sack_in(&t, 1100, 50);
	cr_assert_eq(sack_told(&t, block), 2);
	cr_assert(block[0][0] == 1000 && block[0][1] == 1150, "it grew, so it is the latest");
	cr_assert_eq(th_out_ack(&t, 0), 0);
	sack_in(&t, 0, 1000);
	cr_assert_eq(sack_told(&t, block), 1);
	cr_assert_eq(th_out_ack(&t, 0), 1150, "RFC 5681 §4.2: at once");
	th_done(&t);
}

Test(tcp_sack, rfc2018_s3_four_blocks_fit_and_three_beside_timestamps)
{
	uint32_t block[4][2];

	for (uint32_t want = TH_SACK; want <= (TH_SACK | TH_TS); want += TH_TS) {
		struct th t;

		th_sack_open(&t, want);
		for (uint32_t i = 1; i <= 6; i++)
			sack_in(&t, 1000 * i, 100);
		cr_assert_eq(sack_told(&t, block), want & TH_TS ? 3 : 4);
		cr_assert_eq(block[0][0], 6000);
		cr_assert_eq(block[2][0], 4000);
		th_done(&t);
	}
}

Test(tcp_sack, rfc2018_s2_nothing_is_told_to_who_did_not_permit_it)
{
	uint32_t block[4][2];
	struct th t;

	th_sack_open(&t, TH_TS);
	sack_in(&t, 1000, 100);
	cr_assert_eq(sack_told(&t, block), 0);
	th_done(&t);
}

Test(tcp_sack, rfc2883_s4_what_came_twice_is_told_first_and_once)
{
	uint32_t block[4][2];
	struct th t;

	th_sack_open(&t, TH_SACK);
	sack_in(&t, 0, 1000);
	sack_in(&t, 0, 1000);
	cr_assert_eq(sack_told(&t, block), 1);
	cr_assert(block[0][0] == 0 && block[0][1] == 1000);
	cr_assert_eq(th_out_ack(&t, 0), 1000);
	sack_in(&t, 2000, 100);
	cr_assert_eq(sack_told(&t, block), 1, "the duplicate was told already");
	cr_assert_eq(block[0][0], 2000);
	sack_in(&t, 500, 500); /* §4.1.1 with a block behind */
	cr_assert_eq(sack_told(&t, block), 2);
	cr_assert(block[0][0] == 500 && block[0][1] == 1000);
	cr_assert(block[1][0] == 2000 && block[1][1] == 2100);
	sack_in(&t, 2000, 100); /* §4.2: behind the hole */
	cr_assert_eq(sack_told(&t, block), 2);
	cr_assert(block[0][0] == 2000 && block[0][1] == 2100);
	cr_assert(block[1][0] == 2000 && block[1][1] == 2100);
	th_done(&t);
}
