/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Segments that somebody sends who does not see ours.
 */
#include "tcp_helper.h"

#define SYN_ACK (HF_TCP_SYN | HF_TCP_ACK)

/* TIME-WAIT with timestamps or without; the peer's last sequence number is 1 (its FIN was 0). */
static void challenge_time_wait(struct th *t, uint32_t want)
{
	th_sack_open(t, want);
	hf_tcp_close(t->tcp, t->conn);
	t->conn = NULL;
	th_flush(t);
	t->now_us += 1000;
	th_sack_opts(t, 0, NULL);
	th_in(t, HF_TCP_ACK | HF_TCP_FIN, 0, 1, NULL);
	cr_assert_str_eq(th_state(t->tcp), "TIME-WAIT");
	t->now_us += 1000;
}

/* A SYN with TSval of so many milliseconds from TS.Recent; returns the verdict. */
static int challenge_syn_ts(struct th *t, uint32_t seq, int32_t later_ms)
{
	uint32_t n = th_sack_put(t->sack_buf, 0x0101080a);

	n += th_sack_put(
		t->sack_buf + n, (uint32_t)((t->now_us - 1000) / 1000 + (uint64_t)later_ms));
	n += th_sack_put(t->sack_buf + n, 0);
	t->opt = t->sack_buf;
	t->opt_len = (uint8_t)n;
	return th_in(t, HF_TCP_SYN, seq, 0, NULL);
}

static int challenge_syn_bare(struct th *t, uint32_t seq)
{
	t->opt_len = 0;
	return th_in(t, HF_TCP_SYN, seq, 0, NULL);
}

static void challenge_expect_reuse(const struct th *t, uint32_t iss_old)
{
	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags, SYN_ACK);
	cr_assert(tcp_seq_gt(t->out[0].seq, iss_old + 2), "above all that was sent");
	cr_assert_str_eq(th_state(t->tcp), "SYN-RECEIVED");
	cr_assert_eq(hf_tcp_conn_count(t->tcp), 1);
}

Test(tcp_challenge, rfc5961_s3_2_rst_against_a_shut_window_counts_in_place_only)
{
	struct th t;

	th_init(&t);
	t.cfg.rcv_wnd_init = t.cfg.rcv_wnd_max = 2000;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.spare = UINT32_MAX;
	th_in_len(&t, HF_TCP_ACK, 0, 0, 2000);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 1999, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 2001, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 2000, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	th_done(&t);
}

Test(tcp_challenge, rfc9293_s3_10_7_4_rst_needs_no_right_ack_and_carries_no_text)
{
	struct th t;

	th_open(&t);
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, 0, 123456, "reason"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}

Test(tcp_challenge, rfc9293_s3_10_7_4_rst_ends_each_state_quietly)
{
	/* FIN-WAIT-1, FIN-WAIT-2, CLOSING, CLOSE-WAIT, LAST-ACK */
	for (int state = 0; state < 5; state++) {
		struct th t;
		uint32_t seq = state >= 2;

		th_open(&t);
		if (state >= 3)
			th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL);
		if (state != 3) {
			hf_tcp_close(t.tcp, t.conn);
			t.conn = NULL;
			th_flush(&t);
		}
		if (state == 1)
			th_in(&t, HF_TCP_ACK, 0, 1, NULL);
		if (state == 2)
			th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 0, NULL);
		cr_assert_eq(th_in(&t, HF_TCP_RST, seq + 1, 0, NULL), HF_DROP_TCP_BAD_RST);
		th_expect_ack(&t, seq);
		cr_assert_eq(th_in(&t, HF_TCP_RST, seq, 0, NULL), HF_DROP_NONE, "%d", state);
		cr_assert_eq(t.out_count, 0);
		cr_assert_eq(t.events, state == 3 ? HF_TCP_EV_CLOSED : 0);
		cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
		th_done(&t);
	}
}

Test(tcp_challenge, rfc5961_s4_2_the_peer_that_forgot_resets_by_our_challenge)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	cr_assert_eq(th_in(&t, HF_TCP_SYN, 99999, 0, NULL), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 0);
	seg = th_seg(&t, HF_TCP_RST, th_out_ack(&t, 0), 0, NULL, 0);
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	t.now_us += 1000000;
	th_syn(&t);
	cr_assert_str_eq(th_state(t.tcp), "SYN-RECEIVED");
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s4_2_a_syn_with_text_or_ack_gives_neither)
{
	struct th t;

	th_open(&t);
	th_send(&t, 100);
	cr_assert_eq(th_in(&t, SYN_ACK, 0, 100, "abc"), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 0);
	cr_assert_eq(hf_tcp_queued(t.conn), 100);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s4_2_in_syn_received_another_syn_is_challenged)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(th_in(&t, HF_TCP_SYN, 777, 0, NULL), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 0);
	cr_assert_eq(th_in(&t, SYN_ACK, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_SYN);
	cr_assert_eq(t.events, 0, "nobody may open our passive end by a SYN-ACK");
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s4_2_with_timestamps_a_syn_without_them_is_challenged_too)
{
	struct th t;

	th_sack_open(&t, TH_TS);
	cr_assert_eq(challenge_syn_bare(&t, 99999), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 0, 0, NULL), HF_DROP_NONE, "a RST needs none");
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s5_2_ack_limits_move_with_the_largest_window_seen)
{
	struct th t;

	th_open(&t);
	t.wnd = 1000;
	th_send(&t, 1000);
	th_in(&t, HF_TCP_ACK, 0, 1000, NULL);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 1000U - 65535, "x"), HF_DROP_NONE,
		"the first window was larger");
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 1, 1000U - 65536, "x"), HF_DROP_TCP_BAD_ACK);
	th_expect_ack(&t, 1);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 1, 1001, NULL), HF_DROP_TCP_BAD_ACK);
	th_expect_ack(&t, 1);
	cr_assert_eq(th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 1, 0x80000000, NULL), HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.got_len, 1);
	th_done(&t);
}

Test(tcp_challenge, a_wrong_ack_moves_neither_path_nor_window_nor_keepalive)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	t.now_us += 5000000;
	seg = th_seg(&t, HF_TCP_ACK, 0, 5, NULL, 0);
	seg.path.port = 9;
	seg.wnd = 1;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_BAD_ACK);
	cr_assert_eq(t.out[0].path.port, 0);
	cr_assert_eq(t.conn->snd_wnd, 65535);
	cr_assert_neq(t.conn->in_ms, tcp_now_ms(t.tcp));
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s7_all_kinds_share_one_limit)
{
	uint32_t acks = 0;
	struct th t;

	th_open(&t);
	for (int i = 0; i < 1000; i++) {
		th_in(&t, HF_TCP_RST, 1, 0, NULL);
		acks += t.out_count;
		th_in(&t, HF_TCP_SYN, 1, 0, NULL);
		acks += t.out_count;
		th_in(&t, HF_TCP_ACK, 0, 77, NULL);
		acks += t.out_count;
		th_in(&t, HF_TCP_ACK, 0x40000000, 0, NULL);
		acks += t.out_count;
	}
	cr_assert_geq(acks, TCP_CHALLENGES_PER_S);
	cr_assert_lt(acks, 2 * TCP_CHALLENGES_PER_S);
	cr_assert_eq(th_stat(HF_STAT_TCP_CHALLENGE_ACKS), acks);
	th_done(&t);
}

Test(tcp_challenge, rfc5961_s7_the_limit_cannot_be_counted_from_outside)
{
	uint32_t seen[8], differ = 0;
	struct th t;

	th_open(&t);
	for (int s = 0; s < 8; s++) {
		seen[s] = 0;
		t.now_us += 1000000;
		for (int i = 0; i < 1000; i++) {
			th_in(&t, HF_TCP_RST, 1, 0, NULL);
			seen[s] += t.out_count;
		}
		differ += seen[s] != seen[0];
	}
	cr_assert_gt(differ, 0, "another number in each second");
	th_done(&t);
}

Test(tcp_challenge, a_limit_that_is_used_up_does_not_hinder_the_connection)
{
	struct th t;

	th_open(&t);
	for (int i = 0; i < 1100; i++)
		th_in(&t, HF_TCP_RST, 1, 0, NULL);
	cr_assert_eq(t.out_count, 0);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1460);
	th_in_len(&t, HF_TCP_ACK, 1460, 0, 1460);
	th_expect_ack(&t, 2920);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1460);
	th_expect_ack(&t, 2920); /* text is answered whatever the limit */
	th_done(&t);
}

Test(tcp_challenge, rfc1337_neither_rst_nor_old_segments_end_time_wait)
{
	struct th t;

	challenge_time_wait(&t, 0);
	cr_assert_eq(th_in(&t, HF_TCP_RST, 1, 0, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(th_in(&t, HF_TCP_RST | HF_TCP_ACK, 1, 1, NULL), HF_DROP_TCP_BAD_RST);
	cr_assert_eq(t.out_count, 0);
	th_in(&t, HF_TCP_ACK, 0U - 5, 1, "old");
	th_expect_ack(&t, 1);
	th_in(&t, HF_TCP_ACK, 50, 1, "new?");
	th_in(&t, SYN_ACK, 5000, 1, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	cr_assert_eq(t.events, 0);
	th_done(&t);
}

Test(tcp_challenge, rfc6191_s2_a_later_timestamp_reuses_time_wait_wherever_the_syn_stands)
{
	static const uint32_t seqs[] = { 5000, 1, 0U - 5000 };

	for (size_t i = 0; i < HF_ARRAY_LEN(seqs); i++) {
		struct th t;

		challenge_time_wait(&t, TH_TS);
		cr_assert_eq(challenge_syn_ts(&t, seqs[i], 1), HF_DROP_NONE);
		challenge_expect_reuse(&t, t.iss);
		th_done(&t);
	}
}

Test(tcp_challenge, rfc6191_s2_with_the_same_timestamp_the_sequence_number_decides)
{
	struct th t;

	challenge_time_wait(&t, TH_TS);
	cr_assert_eq(challenge_syn_ts(&t, 0, 0), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 1);
	cr_assert_eq(challenge_syn_ts(&t, 5000, 0), HF_DROP_NONE);
	challenge_expect_reuse(&t, t.iss);
	th_done(&t);
}

Test(tcp_challenge, rfc6191_s2_an_older_timestamp_is_an_old_duplicate)
{
	struct th t;

	challenge_time_wait(&t, TH_TS);
	cr_assert_eq(challenge_syn_ts(&t, 5000, -1), HF_DROP_TCP_PAWS);
	th_expect_ack(&t, 1);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	th_done(&t);
}

Test(tcp_challenge, rfc6191_s2_after_timestamps_a_syn_without_them_counts_by_its_number)
{
	struct th t;

	challenge_time_wait(&t, TH_TS);
	cr_assert_eq(challenge_syn_bare(&t, 0), HF_DROP_TCP_BAD_SYN);
	th_expect_ack(&t, 1);
	cr_assert_eq(challenge_syn_bare(&t, 1), HF_DROP_NONE, "right behind the last one");
	challenge_expect_reuse(&t, t.iss);
	cr_assert_eq(t.out[0].opt_len, 4);
	th_done(&t);
}

Test(tcp_challenge, rfc6191_s2_without_timestamps_before_a_syn_with_them_is_new)
{
	struct th t;

	challenge_time_wait(&t, 0);
	/* whatever its value: there is nothing to compare it with */
	cr_assert_eq(challenge_syn_ts(&t, 0U - 5000, INT32_MIN), HF_DROP_NONE);
	challenge_expect_reuse(&t, t.iss);
	th_done(&t);
}

Test(tcp_challenge, rfc9293_s3_6_1_reuse_of_time_wait_lives_on_as_any_connection)
{
	struct th t;

	challenge_time_wait(&t, TH_TS);
	challenge_syn_ts(&t, 5000, 1);
	t.iss = t.out[0].seq;
	th_sack_opts(&t, 0, NULL);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 5001, 0, "GET"), HF_DROP_NONE);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	cr_assert_eq(t.tcp->place[TCP_PLACE_TIME_WAIT].count, 0);
	th_done(&t);
}

Test(tcp_challenge, rfc9293_s3_6_1_reuse_begins_above_all_that_was_sent_not_where_the_clock_stands)
{
	uint32_t got = 0, last;
	struct th t;

	th_open(&t);
	th_send(&t, 200000); /* in no time: the clock of sequence numbers is far behind */
	while (got < 200000) {
		for (uint32_t i = 0; i < t.out_count; i++)
			got += t.out[i].len;
		th_in(&t, HF_TCP_ACK, 0, got, NULL);
	}
	hf_tcp_close(t.tcp, t.conn);
	t.conn = NULL;
	th_flush(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_FIN, 0, 200001, NULL);
	cr_assert_str_eq(th_state(t.tcp), "TIME-WAIT");
	last = t.iss + 1 + 200001;
	cr_assert_eq(challenge_syn_bare(&t, 5000), HF_DROP_NONE);
	cr_assert(tcp_seq_gt(t.out[0].seq, last));
	th_done(&t);
}

Test(tcp_challenge, reuse_of_time_wait_while_draining_is_refused)
{
	struct th t;

	challenge_time_wait(&t, 0);
	hf_tcp_listen_stop(t.tcp);
	cr_assert_eq(challenge_syn_bare(&t, 5000), HF_DROP_CONN_DRAINING);
	cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	th_done(&t);
}

Test(tcp_challenge, land_a_segment_from_ourselves_is_dropped)
{
	static const uint8_t flags[] = { HF_TCP_SYN, HF_TCP_ACK, HF_TCP_RST, SYN_ACK };
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++) {
		seg = th_seg(&t, flags[i], 0, 0, NULL, 0);
		seg.src = seg.dst;
		seg.sport = seg.dport;
		cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_BAD_PORT);
		cr_assert_eq(t.out_count, 0);
	}
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	th_done(&t);
}

/* All 64 combinations of the six classic flags, to a connection and to a listener: what no TCP sends is
 * dropped, a RST is never answered, and nobody is opened or closed by something that is both. */
Test(tcp_challenge, all_combinations_of_flags_have_an_answer)
{
	for (uint32_t flags = 0; flags < 64; flags++) {
		bool syn = flags & HF_TCP_SYN, rst = flags & HF_TCP_RST, fin = flags & HF_TCP_FIN;
		bool bad =
			!(flags & (HF_TCP_SYN | HF_TCP_RST | HF_TCP_ACK)) || (syn && (rst || fin));
		struct th t;
		int drop;

		th_open(&t);
		drop = th_in(&t, (uint8_t)flags, 0, 0, NULL);
		cr_assert_eq(drop == HF_DROP_TCP_BAD_FLAGS, bad, "%02x", flags);
		if (bad || rst)
			cr_assert_eq(t.out_count, 0);
		cr_assert_eq(t.events == HF_TCP_EV_CLOSED, rst && !bad, "%02x", flags);
		if (!bad && !rst)
			cr_assert_eq(t.events == HF_TCP_EV_FIN, fin && (flags & HF_TCP_ACK));
		t.sport++;
		drop = th_in(&t, (uint8_t)flags, 0, 0, NULL);
		if (bad || rst)
			cr_assert_eq(t.out_count, 0, "%02x", flags);
		else
			cr_assert_eq(t.out[0].flags & HF_TCP_RST,
				syn && !(flags & HF_TCP_ACK) ? 0 : HF_TCP_RST, "%02x", flags);
		th_done(&t);
	}
}

Test(tcp_challenge, resets_for_the_unknown_are_limited_each_second)
{
	uint32_t resets = 0;
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	for (int i = 0; i < 5000; i++) {
		seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
		seg.dport = 81;
		cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
		resets += t.out_count;
	}
	cr_assert_geq(resets, TCP_RESETS_PER_S);
	cr_assert_lt(resets, 2 * TCP_RESETS_PER_S);
	cr_assert_eq(th_stat(HF_STAT_TCP_RESETS_UNSENT), 5000 - resets);
	t.now_us += 1000000;
	th_in_seg(&t, &seg);
	cr_assert_eq(t.out_count, 1);
	th_done(&t);
}

Test(tcp_challenge, rfc9293_s3_10_7_1_a_rst_counts_syn_fin_and_text)
{
	static const struct {
		uint8_t flags;
		uint32_t len, expect;
	} rows[] = { { HF_TCP_SYN, 0, 1 }, { HF_TCP_SYN, 10, 11 },
		{ HF_TCP_SYN | HF_TCP_PSH, 3, 4 } };
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	th_start(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		seg = th_seg(&t, rows[i].flags, 0, 0, "0123456789", rows[i].len);
		seg.dport = 81;
		cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
		cr_assert_eq(t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
		cr_assert_eq(t.out[0].seq, 0);
		cr_assert_eq(t.out[0].ack - seg.seq, rows[i].expect);
	}
	th_done(&t);
}

Test(tcp_challenge, rfc3168_s6_1_1_1_a_syn_sent_again_without_ecn_takes_it_back)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_in(&t, HF_TCP_SYN | HF_TCP_ECE | HF_TCP_CWR, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, SYN_ACK | HF_TCP_ECE);
	t.iss = t.out[0].seq;
	th_in(&t, HF_TCP_SYN | HF_TCP_ECE | HF_TCP_CWR, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, SYN_ACK | HF_TCP_ECE, "only lost");
	th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL);
	cr_assert_eq(t.out[0].flags, SYN_ACK);
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 100);
	cr_assert_eq(t.out[0].ecn, HF_TCP_ECN_NOT_ECT);
	th_done(&t);
}
