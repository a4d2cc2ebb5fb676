/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Timestamps (RFC 7323). The peer's TSval is chosen by each test, and so is what it echoes.
 */
#include "tcp_helper.h"

#define SYN_ACK (HF_TCP_SYN | HF_TCP_ACK)
#define MS_DAY  (86400ULL * 1000)

/* The next segments carry these. */
static void ts_opt(struct th *t, uint32_t val, uint32_t ecr)
{
	uint32_t n = th_sack_put(t->sack_buf, 0x0101080a);

	n += th_sack_put(t->sack_buf + n, val);
	n += th_sack_put(t->sack_buf + n, ecr);
	t->opt = t->sack_buf;
	t->opt_len = (uint8_t)n;
}

/* The n-th word behind the option's head, also behind the MSS of a SYN. */
static uint32_t ts_word(const struct th *t, uint32_t i, uint32_t n)
{
	const uint8_t *opt = t->out[i].opt;

	cr_assert_lt(i, t->out_count);
	opt += t->out[i].flags & HF_TCP_SYN ? 4 : 0;
	cr_assert(t->out[i].opt_len >= 12 && opt[2] == 8 && opt[3] == 10, "no timestamps");
	opt += 4 + 4 * n;
	return (uint32_t)opt[0] << 24 | (uint32_t)opt[1] << 16 | (uint32_t)opt[2] << 8 | opt[3];
}

static uint32_t ts_val(const struct th *t, uint32_t i)
{
	return ts_word(t, i, 0);
}

static uint32_t ts_ecr(const struct th *t, uint32_t i)
{
	return ts_word(t, i, 1);
}

static int ts_in(struct th *t, uint32_t val, uint32_t seq, uint32_t len)
{
	ts_opt(t, val, t->ts_ecr);
	return th_in_len(t, HF_TCP_ACK, seq, 0, len);
}

/* ESTABLISHED; the peer's clock stands at `val`. */
static void ts_start(struct th *t, uint32_t val)
{
	ts_opt(t, val, 0);
	th_syn(t);
	t->ts_ecr = ts_val(t, 0);
	t->now_us += 10000;
	ts_opt(t, val, t->ts_ecr);
	cr_assert_eq(th_in(t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->events, HF_TCP_EV_OPEN);
}

static void ts_open(struct th *t, uint32_t val)
{
	th_init(t);
	th_start(t);
	ts_start(t, val);
}

Test(tcp_ts, rfc7323_s3_2_who_does_not_ask_gets_none)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	cr_assert_not(tcp_has(t.conn, TCP_F_TS));
	ts_opt(&t, 5, 5);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_NONE, "and if sent, is ignored");
	cr_assert_eq(t.got_len, 3);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].opt_len, 0);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s3_2_on_each_segment_once_negotiated)
{
	struct th t;

	ts_open(&t, 1000);
	th_send(&t, 5000); /* text */
	for (uint32_t i = 0; i < t.out_count; i++)
		cr_assert_eq(ts_ecr(&t, i), 1000);
	th_tick(&t, 1500000); /* sent again */
	cr_assert_gt(t.out_count, 0);
	cr_assert_eq(ts_ecr(&t, 0), 1000);
	th_in(&t, HF_TCP_ACK, 0, 5000, NULL);
	th_in(&t, HF_TCP_RST, 7, 0, NULL); /* challenge */
	cr_assert_eq(ts_ecr(&t, 0), 1000);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 5000, NULL);
	th_send(&t, 10);
	th_tick(&t, 6000000); /* window probe */
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(ts_ecr(&t, 0), 1000);
	t.wnd = 65535;
	th_in(&t, HF_TCP_ACK, 0, 5001, NULL);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert(t.out[t.out_count - 1].flags & HF_TCP_FIN);
	cr_assert_eq(ts_ecr(&t, t.out_count - 1), 1000);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s3_2_the_syn_ack_echoes_the_syn)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	ts_opt(&t, 77, 0);
	th_syn(&t);
	cr_assert_eq(ts_ecr(&t, 0), 77);
	t.now_us += 3000000;
	ts_opt(&t, 3077, 0);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(ts_ecr(&t, 0), 3077, "a SYN sent again: the later one");
	th_done(&t);
}

Test(tcp_ts, rfc7323_s3_2_without_its_timestamp_a_segment_is_dropped_but_rst)
{
	struct th t;

	ts_open(&t, 1000);
	t.opt_len = 0;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_TCP_BAD_OPTION);
	cr_assert_eq(t.out_count, 0, "silently");
	cr_assert_eq(t.got_len, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s3_2_a_connection_of_ours_uses_them_if_answered)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	t.ts_ecr = 0;
	th_open_syn(&t);
	ts_opt(&t, 500, ts_val(&t, 0));
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(ts_ecr(&t, 0), 500);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_4_tsval_is_a_clock_of_milliseconds_that_never_goes_back)
{
	uint32_t first, last;
	struct th t;

	ts_open(&t, 1000);
	th_send(&t, 1);
	first = last = ts_val(&t, 0);
	for (int i = 0; i < 10; i++) {
		t.now_us += 777;
		ts_in(&t, 1000, 0, 0);
		th_send(&t, 1);
		cr_assert_geq((int32_t)(ts_val(&t, 0) - last), 0);
		last = ts_val(&t, 0);
	}
	cr_assert_eq(last - first, 7, "7.77 ms");
	th_done(&t);
}

Test(tcp_ts, rfc7323_s7_1_each_flow_has_an_offset_of_its_own_which_lasts)
{
	uint32_t val[2];
	struct th t;

	th_init(&t);
	th_start(&t);
	for (int i = 0; i < 2; i++) {
		t.sport++;
		ts_start(&t, 5);
		th_send(&t, 1);
		val[i] = ts_val(&t, 0);
	}
	cr_assert_gt((uint32_t)abs((int32_t)(val[1] - val[0])), 1000U);
	hf_tcp_abort(t.tcp, t.conn);
	t.iss = 0;
	ts_start(&t, 5);
	th_send(&t, 1);
	cr_assert_eq(ts_val(&t, 0) - val[1], 10, "the next of these addresses goes on");
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_3_delayed_ack_echoes_the_earlier_of_two)
{
	struct th t;

	ts_open(&t, 1000);
	ts_in(&t, 1010, 0, 1000);
	cr_assert_eq(t.out_count, 0);
	ts_in(&t, 1020, 1000, 1000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(ts_ecr(&t, 0), 1010, "so that the delay counts");
	ts_in(&t, 1030, 2000, 1000);
	th_tick(&t, TCP_DELACK_US + 1000);
	cr_assert_eq(ts_ecr(&t, 0), 1030);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_3_behind_a_hole_the_last_in_order_is_echoed)
{
	struct th t;

	ts_open(&t, 1000);
	ts_in(&t, 1010, 0, 500);
	ts_in(&t, 1020, 500, 500);
	cr_assert_eq(ts_ecr(&t, 0), 1010);
	ts_in(&t, 1030, 2000, 500); /* 1000 is lost */
	cr_assert_eq(th_out_ack(&t, 0), 1000);
	cr_assert_eq(ts_ecr(&t, 0), 1010);
	ts_in(&t, 1040, 2500, 500);
	cr_assert_eq(ts_ecr(&t, 0), 1010);
	ts_in(&t, 1050, 1000, 1000); /* fills it */
	cr_assert_eq(th_out_ack(&t, 0), 3000);
	cr_assert_eq(ts_ecr(&t, 0), 1050);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_3_what_lies_beyond_the_last_ack_is_not_recorded)
{
	struct th t;

	ts_open(&t, 1000);
	ts_in(&t, 1010, 0, 100); /* ACK is delayed: Last.ACK.sent stays 0 */
	ts_in(&t, 1011, 100, 0);
	th_tick(&t, TCP_DELACK_US + 1000);
	cr_assert_eq(ts_ecr(&t, 0), 1010);
	ts_in(&t, 1012, 100, 0);
	th_send(&t, 1);
	cr_assert_eq(ts_ecr(&t, 0), 1012);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_3_a_segment_with_a_wrong_ack_does_not_move_ts_recent)
{
	struct th t;

	ts_open(&t, 1000);
	/* somebody guessed a sequence number in the window, and would shut the peer out by PAWS */
	ts_opt(&t, 1000U + 0x7fffffff, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0x40000000, "evil"), HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(ts_ecr(&t, 0), 1000, "the challenge");
	cr_assert_eq(ts_in(&t, 1001, 0, 10), HF_DROP_NONE);
	cr_assert_eq(t.got_len, 10);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_3_nor_does_one_outside_of_the_window)
{
	struct th t;

	ts_open(&t, 1000);
	cr_assert_eq(ts_in(&t, 5000, 200000, 10), HF_DROP_TCP_OUT_OF_WINDOW);
	cr_assert_eq(ts_ecr(&t, 0), 1000);
	ts_in(&t, 1001, 0, 10);
	cr_assert_eq(ts_in(&t, 6000, 0U - 100, 50), HF_DROP_TCP_OUT_OF_WINDOW, "all old");
	cr_assert_eq(ts_ecr(&t, 0), 1001);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_3_r1_an_older_timestamp_is_answered_and_dropped)
{
	struct th t;

	ts_open(&t, 1000);
	cr_assert_eq(ts_in(&t, 999, 0, 10), HF_DROP_TCP_PAWS);
	cr_assert_eq(t.got_len, 0);
	th_expect_ack(&t, 0);
	cr_assert_eq(ts_ecr(&t, 0), 1000);
	ts_opt(&t, 0U - 1, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL), HF_DROP_TCP_PAWS);
	th_expect_ack(&t, 0);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(ts_in(&t, 1000, 0, 10), HF_DROP_NONE, "equal is not older");
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_2_timestamps_compare_modulo_2_32)
{
	struct th t;

	ts_open(&t, 0U - 5);
	cr_assert_eq(ts_in(&t, 3, 0, 10), HF_DROP_NONE, "the clock wrapped");
	cr_assert_eq(ts_in(&t, 0U - 2, 10, 10), HF_DROP_TCP_PAWS);
	cr_assert_eq(ts_in(&t, 3U + 0x7fffffff, 10, 10), HF_DROP_NONE);
	cr_assert_eq(t.got_len, 20);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_2_rst_is_not_protected)
{
	struct th t;

	ts_open(&t, 1000);
	ts_opt(&t, 5, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_5_after_24_idle_days_ts_recent_is_void)
{
	struct th t;

	th_init(&t);
	t.cfg.keepalive_ms = 0;
	th_start(&t);
	ts_start(&t, 1000);
	for (int day = 0; day < 23; day++)
		th_tick(&t, MS_DAY * 1000);
	cr_assert_eq(ts_in(&t, 999, 0, 10), HF_DROP_TCP_PAWS, "after 23");
	for (int day = 23; day < 25; day++)
		th_tick(&t, MS_DAY * 1000);
	cr_assert_eq(ts_in(&t, 999, 0, 10), HF_DROP_NONE, "after 25");
	cr_assert_eq(ts_in(&t, 998, 10, 10), HF_DROP_TCP_PAWS, "and good again");
	th_done(&t);
}

Test(tcp_ts, rfc7323_s5_3_late_segments_without_text_are_challenged_within_the_limit)
{
	uint32_t acks = 0;
	struct th t;

	ts_open(&t, 1000);
	cr_assert_eq(ts_in(&t, 999, 0, 0), HF_DROP_TCP_PAWS);
	cr_assert_eq(t.out_count, 0, "an ACK that was overtaken");
	for (int i = 0; i < 2000; i++) {
		cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 1, NULL), HF_DROP_TCP_PAWS);
		acks += t.out_count;
	}
	cr_assert_geq(acks, TCP_CHALLENGES_PER_S);
	cr_assert_lt(acks, 2 * TCP_CHALLENGES_PER_S);
	th_done(&t);
}

Test(tcp_ts, rfc7323_s4_1_a_round_trip_is_measured_through_a_retransmission)
{
	struct th t;

	ts_open(&t, 1000);
	th_send(&t, 100);
	th_tick(&t, 1500000);
	cr_assert_eq(t.out_count, 1);
	t.ts_ecr = ts_val(&t, 0);
	t.now_us += 30000;
	ts_opt(&t, 1001, t.ts_ecr);
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	/* Karn's rule alone would leave 10 ms */
	cr_assert_gt(t.conn->srtt_us, 11000);
	cr_assert_lt(t.conn->srtt_us, 14000);
	th_done(&t);
}

Test(tcp_ts, rfc6691_s2_segments_make_room_for_them_the_mss_option_does_not)
{
	struct th t;

	ts_open(&t, 1000);
	cr_assert_eq(t.conn->mss, 536 - 12);
	th_done(&t);
	th_sack_open(&t, TH_TS);
	cr_assert_eq(t.conn->mss, 1448);
	cr_assert_eq(t.conn->rcv_mss, 1460, "as announced");
	th_send(&t, 5000);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(t.out[i].len, 1448);
		cr_assert_leq(t.out[i].len + t.out[i].opt_len + 40U, 1500U);
	}
	th_done(&t);
}

Test(tcp_ts, rfc7323_s3_2_a_rst_of_ours_may_go_without)
{
	struct th t;

	ts_open(&t, 1000);
	hf_tcp_abort(t.tcp, t.conn);
	th_see(&t);
	cr_assert_eq(t.out[t.out_count - 1].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(t.out[t.out_count - 1].opt_len, 0);
	th_done(&t);
}
