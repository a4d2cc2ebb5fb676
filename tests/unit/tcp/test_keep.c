/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections on which nothing moves: closed windows, silence, peers that take their time.
 */
#include "tcp_helper.h"

#define S TH_MSS

/* Until something leaves or the connection ends; how long it took. */
static uint64_t keep_wait_ms(struct th *t, uint64_t most_ms, uint32_t step_ms)
{
	for (uint64_t ms = step_ms; ms <= most_ms; ms += step_ms) {
		th_tick(t, 1000ULL * step_ms);
		if (t->out_count > 0 || (t->events & HF_TCP_EV_CLOSED))
			return ms;
	}
	return 0;
}

static void keep_shut(struct th *t, uint32_t queued)
{
	th_open(t);
	t->wnd = 0;
	th_in(t, HF_TCP_ACK, 0, 0, NULL);
	th_send(t, queued);
	cr_assert_eq(t->out_count, 0);
}

/* The persist timer */

Test(tcp_keep, rfc9293_s3_8_6_1_probes_go_on_and_their_interval_doubles_up_to_a_minute)
{
	uint64_t expect_ms = TCP_RTO_MIN_US / 1000, ms;
	struct th t;

	keep_shut(&t, 5000);
	t.tcp->cfg.user_timeout_ms = 10000000;
	for (int i = 0; i < 14; i++) {
		ms = keep_wait_ms(&t, 70000, 10);
		cr_assert(ms >= expect_ms && ms <= expect_ms + 10, "probe %d: %lu ms, not %lu", i,
			ms, expect_ms);
		cr_assert_eq(t.out[0].len, 1);
		cr_assert_eq(th_out_seq(&t, 0), 0);
		cr_assert_eq(t.out[0].flags & HF_TCP_ACK, HF_TCP_ACK);
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
		expect_ms = hf_min_u64(2 * expect_ms, TCP_RTO_MAX_US / 1000);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0, "nor is it a loss");
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_6_1_who_answers_no_probe_is_gone_after_the_user_timeout)
{
	uint64_t start;
	struct th t;

	keep_shut(&t, 5000);
	start = t.now_us;
	for (int i = 0; i < 4000 && !(t.events & HF_TCP_EV_CLOSED); i++)
		th_tick(&t, 100000);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_geq(t.now_us - start, 1000ULL * t.cfg.user_timeout_ms);
	cr_assert_lt(t.now_us - start, 1000ULL * t.cfg.user_timeout_ms + 300000);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_6_1_a_fin_behind_a_closed_window_probes_too)
{
	struct th t;

	th_open(&t);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert_eq(t.out_count, 0);
	cr_assert_gt(keep_wait_ms(&t, 1000, 10), 0);
	cr_assert_eq(t.out[0].flags & HF_TCP_FIN, HF_TCP_FIN);
	cr_assert_eq(t.out[0].len, 0);
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_6_1_a_window_that_shuts_over_what_is_in_flight)
{
	struct th t;

	th_open(&t);
	th_send(&t, 3 * S);
	t.now_us += 10000;
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, S, NULL);
	cr_assert_gt(keep_wait_ms(&t, 1000, 10), 0);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 1);
	cr_assert_eq(th_out_seq(&t, 0), S);
	t.wnd = 65535;
	th_in(&t, HF_TCP_ACK, 0, S + 1, NULL);
	if (t.out_count == 0)
		cr_assert_gt(keep_wait_ms(&t, 1000, 10), 0);
	cr_assert_eq(th_out_seq(&t, 0), S + 1);
	th_in(&t, HF_TCP_ACK, 0, 3 * S, NULL);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_6_1_an_opened_window_ends_the_backoff)
{
	struct th t;

	keep_shut(&t, 5000);
	for (int i = 0; i < 3; i++)
		cr_assert_gt(keep_wait_ms(&t, 10000, 10), 0);
	t.wnd = 2000;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_gt(t.out_count, 0);
	t.now_us += 10000;
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	cr_assert_leq(keep_wait_ms(&t, 10000, 10), TCP_RTO_MIN_US / 1000 + 10);
	cr_assert_eq(th_out_seq(&t, 0), 1460);
	th_done(&t);
}

/* Keepalive */

static void keep_open(struct th *t)
{
	th_init(t);
	t->cfg.keepalive_ms = 60000;
	t->cfg.keepalive_interval_ms = 5000;
	t->cfg.keepalive_probes = 3;
	th_start(t);
	th_open_mss(t, TH_MSS);
}

Test(tcp_keep, rfc9293_s3_8_4_silence_is_probed_without_a_byte_in_front_of_what_is_expected)
{
	uint64_t ms;
	struct th t;

	keep_open(&t);
	th_send(&t, 100);
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	ms = keep_wait_ms(&t, 100000, 100);
	cr_assert(ms >= 60000 && ms <= 60100, "%lu ms", ms);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK);
	cr_assert_eq(t.out[0].len, 0);
	cr_assert_eq(th_out_seq(&t, 0), 99);
	cr_assert_eq(th_out_ack(&t, 0), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 1);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_who_does_not_answer_several_in_a_row_is_gone)
{
	uint64_t ms;
	struct th t;

	keep_open(&t);
	cr_assert_geq(keep_wait_ms(&t, 100000, 100), 60000);
	for (int i = 0; i < 2; i++) {
		ms = keep_wait_ms(&t, 10000, 100);
		cr_assert(ms >= 5000 && ms <= 5100, "%lu ms", ms);
		cr_assert_eq(t.events, 0);
	}
	ms = keep_wait_ms(&t, 10000, 100);
	cr_assert(ms >= 5000 && ms <= 5100, "%lu ms", ms);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.out[0].flags & HF_TCP_RST, HF_TCP_RST);
	cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 3);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_an_answer_begins_it_anew)
{
	struct th t;

	keep_open(&t);
	for (int i = 0; i < 5; i++) {
		uint64_t ms = keep_wait_ms(&t, 100000, 100);

		cr_assert(ms >= 60000 - 5000 && ms <= 60100, "%d: %lu ms", i, ms);
		cr_assert_eq(keep_wait_ms(&t, 4000, 100), 0);
		th_in(&t, HF_TCP_ACK, 0, 0, NULL);
		cr_assert_eq(t.out_count, 0, "no answer to the answer");
		cr_assert_eq(t.conn->keep_count, 0);
	}
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_data_puts_it_off)
{
	struct th t;

	keep_open(&t);
	for (uint32_t i = 0; i < 4; i++) {
		th_tick(&t, 50000000);
		cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 0);
		th_in(&t, HF_TCP_ACK, i, 0, "x");
		th_tick(&t, 50000);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 0);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_not_while_data_is_in_flight_whose_timeouts_tell_more)
{
	struct th t;

	th_init(&t);
	t.cfg.keepalive_ms = 1000;
	t.cfg.keepalive_interval_ms = 1000;
	t.cfg.keepalive_probes = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_send(&t, 100);
	for (int i = 0; i < 500; i++)
		th_tick(&t, 100000);
	cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 0);
	cr_assert_eq(t.events, 0);
	cr_assert_not_null(t.conn);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_none_if_it_is_switched_off)
{
	struct th t;

	th_init(&t);
	t.cfg.keepalive_ms = 0;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(keep_wait_ms(&t, 100000000, 100000), 0);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_4_the_peers_probe_is_answered)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, UINT32_MAX, 0, NULL);
	th_expect_ack(&t, 0);
	th_in(&t, HF_TCP_ACK, UINT32_MAX, 0, "x"); /* with a byte of garbage */
	th_expect_ack(&t, 0);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}

/* The user timeout */

Test(tcp_keep, rfc9293_s3_8_3_any_progress_puts_the_user_timeout_off)
{
	struct th t;
	uint32_t acked = 0;

	th_open(&t);
	th_send(&t, 10 * S);
	for (int i = 0; i < 4; i++) {
		th_tick(&t, 250000000);
		cr_assert_eq(t.events, 0, "round %d", i);
		acked += S;
		th_in(&t, HF_TCP_ACK, 0, acked, NULL);
	}
	for (int i = 0; i < 4000 && !(t.events & HF_TCP_EV_CLOSED); i++)
		th_tick(&t, 100000);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_3_duplicate_acks_are_no_progress)
{
	uint64_t start;
	struct th t;

	th_open(&t);
	start = t.now_us;
	th_send(&t, 10 * S);
	for (int i = 0; i < 4000 && t.conn; i++) {
		th_tick(&t, 100000);
		if (t.conn && t.out_count)
			th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	}
	cr_assert_null(t.conn);
	cr_assert_lt(t.now_us - start, 1000ULL * t.cfg.user_timeout_ms + 300000);
	th_done(&t);
}

Test(tcp_keep, rfc9293_s3_8_3_time_without_anything_to_send_does_not_count)
{
	struct th t;

	th_open(&t);
	th_tick(&t, 3000000000);
	th_send(&t, 100);
	th_tick(&t, 50000000);
	cr_assert_eq(t.events, 0);
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_ACKED);
	th_done(&t);
}

/* After our close */

static void keep_draining(struct th *t, uint32_t bytes)
{
	th_open(t);
	th_send(t, bytes);
	hf_tcp_close(t->tcp, t->conn);
	th_flush(t);
	t->conn = NULL;
}

Test(tcp_keep, a_peer_that_takes_less_than_the_drain_rate_after_close_is_reset)
{
	uint32_t taken = 0;
	struct th t;

	keep_draining(&t, 14600);
	for (int s = 1; s <= 60 && hf_tcp_conn_count(t.tcp); s++) {
		taken += 200; /* of 240 */
		th_in(&t, HF_TCP_ACK, 0, taken, NULL);
		th_tick(&t, 1000000);
	}
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(taken, 2000, "%u: after the first ten seconds", taken);
	cr_assert_eq(t.out[t.out_count - 1].flags & HF_TCP_RST, HF_TCP_RST);
	cr_assert_eq(th_stat(HF_STAT_TCP_TIMEOUTS), 1);
	th_done(&t);
}

Test(tcp_keep, a_peer_that_takes_the_drain_rate_after_close_gets_all_of_it)
{
	uint32_t taken = 0;
	struct th t;

	keep_draining(&t, 14600);
	while (taken + 300 < 14600) {
		taken += 300;
		th_in(&t, HF_TCP_ACK, 0, taken, NULL);
		th_tick(&t, 1000000);
		cr_assert_eq(hf_tcp_conn_count(t.tcp), 1, "at %u", taken);
	}
	th_in(&t, HF_TCP_ACK, 0, 14601, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_done(&t);
}

Test(tcp_keep, what_a_peer_took_at_first_does_not_count_later)
{
	uint64_t start;
	struct th t;

	keep_draining(&t, 14600);
	start = t.now_us;
	th_in(&t, HF_TCP_ACK, 0, 10000, NULL);
	for (int s = 1; s <= 60 && hf_tcp_conn_count(t.tcp); s++)
		th_tick(&t, 1000000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_geq(t.now_us - start, 20000000);
	cr_assert_lt(t.now_us - start, 22000000);
	th_done(&t);
}

Test(tcp_keep, our_fin_must_be_acknowledged_within_its_time)
{
	uint64_t start;
	struct th t;

	keep_draining(&t, 100);
	th_in(&t, HF_TCP_ACK, 0, 100, NULL); /* but not the FIN */
	start = t.now_us;
	for (int i = 0; i < 1000 && hf_tcp_conn_count(t.tcp); i++)
		th_tick(&t, 100000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_geq(t.now_us - start, 1000ULL * t.cfg.fin_timeout_ms);
	cr_assert_lt(t.now_us - start, 1000ULL * t.cfg.fin_timeout_ms + 200000);
	th_done(&t);
}

Test(tcp_keep, fin_wait_2_lasts_a_bounded_time)
{
	struct th t;

	keep_draining(&t, 100);
	th_in(&t, HF_TCP_ACK, 0, 101, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_tick(&t, 1000ULL * t.cfg.fin_timeout_ms - 1000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_tick(&t, 2000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(t.out[t.out_count - 1].flags & HF_TCP_RST, HF_TCP_RST);
	th_done(&t);
}

Test(tcp_keep, no_keepalive_after_close)
{
	struct th t;

	keep_open(&t);
	th_tick(&t, 59000000);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	t.conn = NULL;
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	th_tick(&t, 2000000);
	cr_assert_eq(th_stat(HF_STAT_TCP_KEEPALIVES), 0);
	th_done(&t);
}
