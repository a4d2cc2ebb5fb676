/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

#include <errno.h>

#define SYN_ACK (HF_TCP_SYN | HF_TCP_ACK)

/* Our SYN is out. */
static const struct hf_tcp_emit *open_start(struct th *t)
{
	th_init(t);
	th_start(t);
	return th_open_syn(t);
}

/* ESTABLISHED, the peer without any option. */
static void open_all(struct th *t)
{
	open_start(t);
	t->now_us += 10000;
	cr_assert_eq(th_in(t, SYN_ACK, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->events, HF_TCP_EV_OPEN);
	th_expect_ack(t, 0);
}

Test(tcp_open, rfc9293_s3_10_1_open_sends_a_syn_that_asks_for_all_options)
{
	static const uint8_t layout[] = { 2, 4, 1460 >> 8, 1460 & 255, 4, 2, 8, 10 };
	const struct hf_tcp_emit *syn;
	struct th t;

	syn = open_start(&t);
	cr_assert_eq(syn->ack, 0);
	cr_assert_eq(syn->wnd, 65535);
	cr_assert_eq(syn->ecn, HF_TCP_ECN_NOT_ECT);
	cr_assert_eq(syn->sport, TH_PORT);
	cr_assert_eq(syn->dport, t.sport);
	cr_assert_eq(syn->opt_len, 20);
	cr_assert_arr_eq(syn->opt, layout, sizeof(layout));
	cr_assert_arr_eq(syn->opt + 12, ((uint8_t[]){ 0, 0, 0, 0, 1, 3, 3, 0 }), 8,
		"nothing to echo; scale");
	cr_assert_str_eq(th_state(t.tcp), "SYN-SENT");
	cr_assert_eq(t.tcp->syn_count, 0, "no stranger's");
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_syn_ack_opens_and_is_acknowledged)
{
	struct th t;

	open_all(&t);
	cr_assert_str_eq(th_state(t.tcp), "ESTABLISHED");
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.conn->srtt_us, 10000);
	cr_assert_eq(t.conn->mss, 536, "RFC 9293 §3.7.1: no option");
	th_send(&t, 100);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.out[0].opt_len, 0, "RFC 7323 §2.2, §3.2: what is not answered is not used");
	th_in(&t, HF_TCP_ACK, 0, 100, "abc");
	cr_assert_eq(t.got_len, 3);
	th_done(&t);
}

Test(tcp_open, rfc7323_s2_2_what_the_syn_ack_answers_is_used)
{
	static const uint8_t opt[] = { 2, 4, 1400 >> 8, 1400 & 255, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0,
		0, 0, 1, 3, 3, 4 };
	struct th t;

	open_start(&t);
	t.opt = opt;
	t.opt_len = sizeof(opt);
	t.wnd = 500;
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(t.conn->snd_wnd, 500, "unscaled in a SYN-ACK");
	cr_assert_eq(t.conn->snd_shift, 4);
	cr_assert_eq(t.conn->mss, 1400 - 12);
	cr_assert(tcp_has(t.conn, TCP_F_SACK));
	cr_assert_eq(t.out[0].opt_len, 12);
	cr_assert_arr_eq(t.out[0].opt + 8, ((uint8_t[]){ 0, 0, 0, 7 }), 4);
	th_done(&t);
}

Test(tcp_open, rfc3168_s6_1_1_ecn_is_not_asked_for_so_a_syn_ack_cannot_grant_it)
{
	struct th t;

	open_start(&t);
	th_in(&t, SYN_ACK | HF_TCP_ECE, UINT32_MAX, 0, NULL);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	th_done(&t);
}

Test(tcp_open, rfc6298_s5_5_the_syn_is_sent_again_with_doubled_waits)
{
	uint64_t at_ms[8] = { 0 };
	uint32_t again = 0, ms = 0;
	struct th t;

	open_start(&t);
	for (; ms < 19900; ms += 100) {
		th_tick(&t, 100000);
		if (t.out_count == 0)
			continue;
		cr_assert_eq(t.out[0].flags, HF_TCP_SYN);
		cr_assert_eq(t.out[0].seq, t.iss);
		at_ms[again++] = ms + 100;
	}
	cr_assert_eq(again, 4);
	cr_assert_eq(at_ms[0], 1000);
	cr_assert_eq(at_ms[1], 3000);
	cr_assert_eq(at_ms[2], 7000);
	cr_assert_eq(at_ms[3], 15000);
	cr_assert_eq(t.events, 0);
	th_tick(&t, 200000);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED, "syn_timeout_ms");
	cr_assert_eq(t.out_count, 0, "RFC 9293 §3.10.5: no RST in SYN-SENT");
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_TIMEOUTS), 1);
	th_done(&t);
}

Test(tcp_open, rfc5681_s3_1_a_lost_syn_means_one_segment_and_rfc6298_3_s)
{
	struct th t;

	open_start(&t);
	th_tick(&t, 1100000);
	cr_assert_eq(t.out_count, 1);
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.conn->cwnd, t.conn->mss);
	cr_assert_eq(t.conn->rto_us, 3000000, "RFC 6298 §5.7");
	cr_assert_eq(t.conn->srtt_us, 0, "Karn: RFC 6298 §3");
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_rst_with_our_ack_refuses)
{
	struct th t;

	open_start(&t);
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_RESET_IN), 1);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_rst_without_or_with_a_wrong_ack_is_dropped)
{
	struct th t;

	open_start(&t);
	cr_assert_eq(th_in(&t, HF_TCP_RST, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, UINT32_MAX, 1, NULL), HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(t.out_count, 0, "never a RST for a RST");
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, UINT32_MAX, UINT32_MAX, NULL),
		HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(t.events, 0);
	cr_assert_str_eq(th_state(t.tcp), "SYN-SENT");
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_a_wrong_ack_gets_rst_and_nothing_else_happens)
{
	static const uint32_t acks[] = { UINT32_MAX, 1, 100000, 0x80000000 };
	struct th t;

	open_start(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(acks); i++) {
		cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, acks[i], NULL), HF_DROP_TCP_BAD_ACK);
		cr_assert_eq(t.out_count, 1);
		cr_assert_eq(t.out[0].flags, HF_TCP_RST);
		cr_assert_eq(th_out_seq(&t, 0), acks[i]);
		cr_assert_eq(t.events, 0);
		cr_assert_str_eq(th_state(t.tcp), "SYN-SENT");
	}
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_neither_syn_nor_rst_is_dropped)
{
	struct th t;

	open_start(&t);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_TCP_BAD_FLAGS);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL), HF_DROP_TCP_BAD_FLAGS);
	cr_assert_eq(t.events, 0);
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_5_figure_7_both_open_at_once_by_syn_ack)
{
	struct th t;

	open_start(&t);
	cr_assert_eq(th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_str_eq(th_state(t.tcp), "SYN-RECEIVED");
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, SYN_ACK);
	cr_assert_eq(t.out[0].seq, t.iss, "the same initial sequence number");
	cr_assert_eq(th_out_ack(&t, 0), 0);
	cr_assert_eq(t.out[0].opt_len, 4, "only what its SYN asked for");
	cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(t.tcp->syn_count, 0);
	th_send(&t, 10);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_5_figure_7_both_open_at_once_by_ack)
{
	struct th t;

	open_start(&t);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "abc"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	cr_assert_eq(t.got_len, 3);
	th_done(&t);
}

Test(tcp_open, both_open_at_once_and_our_syn_ack_is_lost)
{
	struct th t;

	open_start(&t);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	th_tick(&t, 1100000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, SYN_ACK);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, SYN_ACK, "its SYN again: so is our answer");
	cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, 5, NULL), HF_DROP_TCP_BAD_SYN);
	cr_assert_eq(t.events, 0);
	th_tick(&t, 1000ULL * t.cfg.syn_timeout_ms);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.tcp->syn_count, 0);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_4_rst_in_syn_received_refuses_who_opened)
{
	struct th t;

	open_start(&t);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_open, rfc3168_s6_1_1_no_ecn_after_a_syn_of_ours_that_did_not_ask)
{
	struct th t;

	open_start(&t);
	th_in(&t, HF_TCP_SYN | HF_TCP_ECE | HF_TCP_CWR, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, SYN_ACK);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_2_bytes_sent_before_the_answer_go_out_behind_it)
{
	struct hf_tcp_info info;
	struct th t;

	open_start(&t);
	th_send(&t, 100);
	cr_assert_eq(t.out_count, 0, "not in SYN-SENT");
	cr_assert_eq(hf_tcp_queued(t.conn), 100);
	hf_tcp_info(t.tcp, t.conn, &info);
	cr_assert_eq(info.unsent, 100);
	cr_assert_eq(info.unacked, 0);
	th_tick(&t, 1100000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 0);
	th_send(&t, 5000);
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_eq(t.out_count, 1, "the SYN was lost: one segment");
	cr_assert_eq(t.out[0].flags & (HF_TCP_SYN | HF_TCP_ACK), HF_TCP_ACK);
	cr_assert_eq(t.out[0].len, 536);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	for (uint32_t got = 536; got < 5100;) {
		th_in(&t, HF_TCP_ACK, 0, got, NULL);
		cr_assert_gt(t.out_count, 0);
		for (uint32_t i = 0; i < t.out_count; i++)
			got += t.out[i].len;
	}
	th_in(&t, HF_TCP_ACK, 0, 5100, NULL);
	cr_assert(t.events & HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_open, bytes_sent_before_both_opened_at_once)
{
	struct th t;

	open_start(&t);
	th_send(&t, 100);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].len, 0);
	th_send(&t, 100);
	cr_assert_eq(t.out_count, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 200);
	th_done(&t);
}

Test(tcp_open, what_was_queued_is_let_go_when_the_peer_refuses)
{
	struct th t;

	open_start(&t);
	th_send(&t, 100);
	th_in(&t, HF_TCP_RST | HF_TCP_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.tcp->spans.used, 0);
	cr_assert_eq(t.tcp->txs.used, 0);
	th_done(&t);
}

Test(tcp_open, without_spans_the_handshake_still_has_its_time)
{
	static uint8_t bytes[8];
	struct hf_tcp_conn *other;
	struct th t;

	th_init(&t);
	t.cfg.spans_max = 4;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	other = t.conn;
	for (int i = 3; i >= 0; i--) /* backwards: a span each */
		cr_assert_eq(hf_tcp_send(t.tcp, other, bytes + 2 * i, 1, NULL, false), 0);
	t.sport++;
	t.iss = 0;
	{
		struct hf_path path = { .mtu = 1500 };

		cr_assert_eq(th_open_try(&t, &path), 0);
	}
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 1, NULL, false), -EAGAIN);
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
	th_flush(&t);
	t.iss = t.out[t.out_count - 1].seq;
	cr_assert_eq(t.out[t.out_count - 1].flags, HF_TCP_SYN);
	th_tick(&t, 100000);
	cr_assert_eq(t.events, 0, "nothing is over");
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	hf_tcp_abort(t.tcp, other);
	th_tick(&t, 20000);
	cr_assert_eq(t.events, HF_TCP_EV_WRITABLE, "the spans are back");
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_4_close_in_syn_sent_forgets_without_a_word)
{
	struct th t;

	open_start(&t);
	th_send(&t, 10);
	hf_tcp_close(t.tcp, t.conn);
	hf_tcp_flush(t.tcp, t.now_us);
	th_see(&t);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(t.tcp->spans.used, 0);
	th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST, "its answer comes too late");
	cr_assert_eq(t.events, 0);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_5_abort_in_syn_sent_sends_no_rst_but_in_syn_received)
{
	struct th t;

	open_start(&t);
	hf_tcp_emits_done(t.tcp);
	hf_tcp_abort(t.tcp, t.conn);
	th_see(&t);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_open_syn(&t);
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	hf_tcp_emits_done(t.tcp);
	hf_tcp_abort(t.tcp, t.conn);
	th_see(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_eq(t.tcp->syn_count, 0);
	th_done(&t);
}

Test(tcp_open, closing_after_the_refusal_and_before_its_event_is_fine)
{
	struct hf_tcp_event event;
	struct hf_tcp_seg seg;
	struct th t;

	for (int abort = 0; abort < 2; abort++) {
		open_start(&t);
		seg = th_seg(&t, HF_TCP_RST | HF_TCP_ACK, UINT32_MAX, 0, NULL, 0);
		hf_tcp_input(t.tcp, &seg, t.now_us);
		cr_assert_eq(hf_tcp_send(t.tcp, t.conn, "x", 1, NULL, false), -EPIPE);
		cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
		hf_tcp_deadline_set(t.tcp, t.conn, 1000);
		hf_tcp_idle_set(t.tcp, t.conn, true);
		if (abort)
			hf_tcp_abort(t.tcp, t.conn);
		else
			hf_tcp_close(t.tcp, t.conn);
		cr_assert_not(hf_tcp_next_event(t.tcp, &event));
		hf_tcp_input_end(t.tcp);
		hf_tcp_check(t.tcp);
		cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
		th_done(&t);
	}
}

Test(tcp_open, rfc9293_s3_10_1_the_same_four_tuple_is_in_use_until_time_wait_ends)
{
	struct hf_path path = { .mtu = 1500 };
	struct hf_tcp_conn *conn;
	struct th t;

	open_all(&t);
	conn = t.conn;
	cr_assert_eq(th_open_try(&t, &path), -EADDRINUSE);
	cr_assert_eq(t.conn, conn, "ret_ stays untouched");
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	cr_assert_eq(th_open_try(&t, &path), -EADDRINUSE);
	th_tick(&t, 2000ULL * t.cfg.msl_ms + 2000);
	th_open_syn(&t);
	th_done(&t);
}

Test(tcp_open, a_full_table_is_enospc_and_leaves_nothing_behind)
{
	struct hf_path path = { .mtu = 1500 };
	struct th t;

	th_init(&t);
	t.cfg.conns_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.sport++;
	cr_assert_eq(th_open_try(&t, &path), -ENOSPC);
	th_flush(&t);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_done(&t);
}

Test(tcp_open, without_a_descriptor_the_syn_leaves_at_the_next_turn)
{
	struct hf_path path = { .mtu = 1500 };
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 1;
	th_start(&t);
	th_syn(&t); /* takes it */
	t.sport++;
	cr_assert_eq(th_open_try(&t, &path), 0);
	hf_tcp_flush(t.tcp, t.now_us);
	th_see(&t);
	cr_assert_eq(t.out[0].flags, SYN_ACK);
	cr_assert_eq(hf_tcp_next_timer_us(t.tcp), t.now_us, "at once");
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_SYN);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_3_text_on_a_syn_ack_comes_again)
{
	struct th t;

	open_start(&t);
	th_in(&t, SYN_ACK, UINT32_MAX, 0, "abc");
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	th_expect_ack(&t, 0);
	th_in(&t, HF_TCP_ACK, 0, 0, "abc");
	cr_assert_eq(t.got_len, 3);
	th_done(&t);
}

Test(tcp_open, rfc9293_s3_10_7_4_a_syn_ack_sent_again_is_acknowledged_again)
{
	struct th t;

	open_all(&t);
	cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 0);
	cr_assert_eq(t.events, 0);
	th_done(&t);
}

Test(tcp_open, a_malformed_option_list_answers_nothing)
{
	static const uint8_t opt[] = { 2, 4, 5, 180, 3, 0, 0, 0 };
	struct th t;

	open_start(&t);
	t.opt = opt;
	t.opt_len = sizeof(opt);
	cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_OPTION);
	cr_assert_eq(t.events, 0);
	cr_assert_str_eq(th_state(t.tcp), "SYN-SENT");
	th_done(&t);
}

Test(tcp_open, the_deadline_of_the_application_may_come_before_the_answer)
{
	struct th t;

	open_start(&t);
	hf_tcp_deadline_set(t.tcp, t.conn, 500000);
	th_tick(&t, 600000);
	cr_assert_eq(t.events, HF_TCP_EV_DEADLINE);
	hf_tcp_abort(t.tcp, t.conn);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_open, a_refusal_before_the_open_was_fetched_is_told_all_the_same)
{
	struct hf_tcp_event event;
	struct hf_tcp_seg seg;
	struct th t;

	open_start(&t);
	seg = th_seg(&t, SYN_ACK, UINT32_MAX, 0, NULL, 0);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	hf_tcp_input_end(t.tcp); /* the application sleeps */
	seg = th_seg(&t, HF_TCP_RST, 0, 0, NULL, 0);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	cr_assert(hf_tcp_next_event(t.tcp, &event));
	cr_assert_eq(event.what, HF_TCP_EV_CLOSED);
	cr_assert_not(hf_tcp_next_event(t.tcp, &event));
	hf_tcp_input_end(t.tcp);
	th_done(&t);
}
