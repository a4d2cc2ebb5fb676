/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

static void close_now(struct th *t)
{
	hf_tcp_close(t->tcp, t->conn);
	t->conn = NULL;
	th_flush(t);
}

/* ESTABLISHED, then closed by the application: FIN is out. */
static void close_open(struct th *t)
{
	th_open(t);
	close_now(t);
	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags, HF_TCP_FIN | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(t, 0), 0);
	cr_assert_str_eq(th_state(t->tcp), "FIN-WAIT-1");
}

Test(tcp_close, rfc9293_s3_6_we_close_first)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_expect_ack(&t, 1);
	cr_assert_eq(t.events, 0, "it is not the application's any more");
	th_tick(&t, 2000ULL * t.cfg.msl_ms - 2000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_tick(&t, 4000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_6_fin_and_ack_of_ours_in_one_segment)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_6_both_close_at_once)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL);
	cr_assert_str_eq(th_state(t.tcp), "CLOSING");
	th_expect_ack(&t, 1);
	th_in(&t, HF_TCP_ACK, 1, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_6_the_peer_closes_first)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL);
	cr_assert_str_eq(th_state(t.tcp), "CLOSE-WAIT");
	th_send(&t, 100);
	cr_assert_eq(t.out[0].len, 100, "we may still talk");
	close_now(&t);
	cr_assert_str_eq(th_state(t.tcp), "LAST-ACK");
	cr_assert_eq(t.out[0].flags, HF_TCP_FIN | HF_TCP_ACK);
	th_in(&t, HF_TCP_ACK, 1, 100, NULL);
	cr_assert_str_eq(th_state(t.tcp), "LAST-ACK");
	th_in(&t, HF_TCP_ACK, 1, 101, NULL);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_close, nothing_queued_is_lost_by_close)
{
	struct th t;
	uint32_t got = 0, rounds = 0;
	bool fin = false;

	th_open(&t);
	th_send(&t, 100000);
	hf_tcp_close(t.tcp, t.conn);
	for (uint32_t i = 0; i < t.out_count; i++)
		got += t.out[i].len;
	while (!fin && rounds++ < 100) {
		th_in(&t, HF_TCP_ACK, 0, got, NULL);
		for (uint32_t i = 0; i < t.out_count; i++) {
			got += t.out[i].len;
			fin = t.out[i].flags & HF_TCP_FIN;
		}
	}
	cr_assert_eq(got, 100000);
	th_in(&t, HF_TCP_ACK, 0, 100001, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_done(&t);
}

Test(tcp_close, a_lost_fin_is_sent_again)
{
	struct th t;

	close_open(&t);
	th_tick(&t, 250000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_FIN | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_done(&t);
}

Test(tcp_close, a_fin_does_not_go_into_a_closed_window_but_as_probe)
{
	struct th t;

	th_open(&t);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	close_now(&t);
	cr_assert_eq(t.out_count, 0);
	th_tick(&t, 250000);
	cr_assert_eq(t.out[0].flags, HF_TCP_FIN | HF_TCP_ACK);
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_done(&t);
}

Test(tcp_close, what_the_peer_still_sends_is_thrown_away_and_acknowledged)
{
	struct th t;

	close_open(&t);
	cr_assert_eq(th_in_len(&t, HF_TCP_ACK, 0, 1, 1460), HF_DROP_TCP_AFTER_CLOSE);
	th_in_len(&t, HF_TCP_ACK, 1460, 1, 1460);
	th_expect_ack(&t, 2920);
	cr_assert_eq(t.out[0].wnd, 65535);
	cr_assert_eq(t.tcp->rxbufs.used, 0);
	cr_assert_eq(t.events, 0);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 2920, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_done(&t);
}

Test(tcp_close, after_a_mebibyte_the_peer_is_reset)
{
	struct th t;
	uint32_t at = 0;

	close_open(&t);
	while (hf_tcp_conn_count(t.tcp) && at < 2 * TCP_DISCARD_MAX) {
		th_in_len(&t, HF_TCP_ACK, at, 1, 50000);
		at += 50000;
	}
	cr_assert_gt(at, TCP_DISCARD_MAX);
	cr_assert_leq(at, TCP_DISCARD_MAX + 50000);
	cr_assert(t.out[t.out_count - 1].flags & HF_TCP_RST);
	th_done(&t);
}

Test(tcp_close, fin_wait_2_ends_by_rst)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 1, NULL);
	th_tick(&t, 1000ULL * t.cfg.fin_timeout_ms + 2000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(&t, 0), 1);
	th_done(&t);
}

Test(tcp_close, last_ack_ends_too)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL);
	close_now(&t);
	for (int i = 0; i < 400 && hf_tcp_conn_count(t.tcp); i++)
		th_tick(&t, 100000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_close, closing_with_unread_bytes_is_no_reset)
{
	struct th t;

	th_open(&t);
	t.spare = UINT32_MAX;
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	th_in(&t, HF_TCP_ACK, 5, 0, "gap");
	close_now(&t);
	cr_assert_eq(t.out[0].flags, HF_TCP_FIN | HF_TCP_ACK);
	cr_assert_eq(t.tcp->rxbufs.used, 0);
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_10_7_4_time_wait_answers_fin_and_starts_again)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	th_tick(&t, 2000ULL * t.cfg.msl_ms - 5000);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	th_expect_ack(&t, 1);
	th_tick(&t, 2000ULL * t.cfg.msl_ms - 5000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_tick(&t, 10000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_close, rfc1337_a_rst_does_not_end_time_wait)
{
	struct th t;

	close_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 1, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_6_1_a_later_syn_reuses_time_wait)
{
	struct th t;
	uint32_t old_max;

	close_open(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	old_max = t.iss + 2;
	cr_assert_eq(th_in(&t, HF_TCP_SYN, 0, 0, NULL), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 1);
	cr_assert_eq(th_in(&t, HF_TCP_SYN, 5000, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.out[0].flags, HF_TCP_SYN | HF_TCP_ACK);
	cr_assert(tcp_seq_gt(t.out[0].seq, old_max));
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_done(&t);
}

Test(tcp_close, rfc9293_s3_10_5_abort_sends_rst_and_forgets)
{
	struct th t;

	th_open(&t);
	th_send(&t, 1000);
	hf_tcp_abort(t.tcp, t.conn);
	th_see(&t);
	cr_assert_eq(t.out_count, 2);
	cr_assert_eq(t.out[1].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(&t, 1), 1000);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	t.events = 0;
	th_events(&t);
	cr_assert_eq(t.events, 0);
	th_done(&t);
}

Test(tcp_close, the_application_may_abort_between_input_and_its_end)
{
	struct hf_tcp_event event;
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, (const uint8_t *)"abc", 3);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	cr_assert(hf_tcp_next_event(t.tcp, &event));
	hf_tcp_abort(t.tcp, t.conn);
	hf_tcp_check(t.tcp);
	hf_tcp_input_end(t.tcp);
	th_see(&t);
	cr_assert_eq(t.out_count, 1);
	th_done(&t);
}
