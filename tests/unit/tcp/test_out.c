/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

static uint32_t out_released;

static void out_release(struct hf_ref *ref)
{
	out_released++;
}

Test(tcp_out, spans_share_a_segment_when_they_fit)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n", body[] = "hello";
	struct th t;

	th_open(&t);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, head, 19, NULL, false), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, body, 5, NULL, true), 0);
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 24);
	cr_assert_eq(t.out[0].piece_count, 2);
	cr_assert_eq(t.out[0].piece[0].data, (const uint8_t *)head);
	cr_assert_not(t.out[0].piece[0].zero_copy);
	cr_assert_eq(t.out[0].piece[1].data, (const uint8_t *)body);
	cr_assert(t.out[0].piece[1].zero_copy);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_PSH);
	th_done(&t);
}

Test(tcp_out, more_spans_than_pieces_take_more_segments)
{
	static const uint8_t byte[40];
	struct th t;

	th_open(&t);
	for (int i = 0; i < 20; i++) /* every second byte: they cannot be joined */
		cr_assert_eq(hf_tcp_send(t.tcp, t.conn, byte + 2 * i, 1, NULL, false), 0);
	th_flush(&t);
	cr_assert_eq(t.out_count, 4);
	cr_assert_eq(t.out[0].len, HF_TCP_EMIT_PIECES);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK);
	cr_assert_eq(t.out[3].flags, HF_TCP_ACK | HF_TCP_PSH);
	th_in(&t, HF_TCP_ACK, 0, 20, NULL);
	cr_assert_eq(t.tcp->spans.used, 0);
	th_done(&t);
}

Test(tcp_out, adjacent_bytes_of_one_owner_are_one_span)
{
	static const uint8_t byte[40];
	struct th t;

	th_open(&t);
	for (int i = 0; i < 40; i++)
		cr_assert_eq(hf_tcp_send(t.tcp, t.conn, byte + i, 1, NULL, false), 0);
	cr_assert_eq(t.tcp->spans.used, 1);
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, byte, 0, NULL, false), 0, "nothing is fine");
	th_done(&t);
}

Test(tcp_out, a_run_for_tso_is_one_descriptor_of_whole_segments)
{
	struct th t;

	th_open(&t);
	t.tso_max = 10000;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_send(&t, 100000);
	cr_assert_eq(t.out_count, 2);
	cr_assert_eq(t.out[0].len, 6 * 1460);
	cr_assert_eq(t.out[0].mss, 1460);
	cr_assert_eq(t.out[1].len, 4 * 1460);
	cr_assert_eq(th_stat(HF_STAT_TCP_SEGS_OUT), 1 + 10);
	th_done(&t);
}

/* Who cuts runs makes as many packets as if each segment had a descriptor: the bound is for these. */
Test(tcp_out, of_a_run_that_is_cut_each_segment_counts_as_a_descriptor)
{
	const uint32_t segs[] = { 4, 4, 2 }; /* of the ten that the congestion window allows */
	uint32_t sent = 0;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 4;
	th_start(&t);
	t.cut = true;
	t.tso_max = 65535;
	th_open_mss(&t, TH_MSS);
	th_send(&t, 20000);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(segs); i++, th_flush(&t)) {
		cr_assert_eq(t.out_count, 1);
		cr_assert_eq(th_out_seq(&t, 0), sent);
		cr_assert_eq(t.out[0].len, segs[i] * 1460);
		sent += t.out[0].len;
	}
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_SEGS_OUT), 1 + 10);
	th_done(&t);
}

Test(tcp_out, an_answer_of_one_segment_leaves_nothing_to_ask)
{
	static const uint8_t bytes[3];
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	seg = th_seg(&t, HF_TCP_ACK | HF_TCP_PSH, 0, 0, (const uint8_t *)"x", 1);
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_NONE);
	th_events(&t);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes + i, 1, NULL, i > 0), 0);
	hf_tcp_input_end(t.tcp);
	th_see(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_PSH);
	cr_assert_eq(t.out[0].len, 3);
	cr_assert_eq(th_out_ack(&t, 0), 1);
	cr_assert_eq(t.conn->due_ms[TCP_DUE_ACK], 0);
	cr_assert_neq(t.conn->due_ms[TCP_DUE_SEND], 0);
	cr_assert_not(tcp_list_has(&t.conn->ready));
	th_done(&t);
}

/* What lies behind the hole only a pure ACK tells. */
Test(tcp_out, an_answer_of_one_segment_does_not_take_the_place_of_a_block)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 100, 0, "behind"), HF_DROP_NONE);
	cr_assert_eq(t.out_count, 1);
	t.reply = "answer";
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_NONE);
	cr_assert_eq(t.out_count, 2);
	cr_assert_eq(t.out[0].len, 6);
	cr_assert_eq(t.out[1].len, 0);
	cr_assert_gt(t.out[1].opt_len, t.out[0].opt_len);
	th_done(&t);
}

Test(tcp_out, a_run_cut_by_its_pieces_has_no_short_segment_inside)
{
	static const uint8_t bytes[4000];
	struct th t;

	th_open(&t);
	t.tso_max = 60000;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	for (int i = 0; i < 12; i++)
		cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes + 300 * i, 299, NULL, true), 0);
	th_flush(&t);
	cr_assert_eq(t.out[0].len % 1460, 0);
	cr_assert_eq(t.out[0].len, 1460);
	th_done(&t);
}

Test(tcp_out, a_descriptor_keeps_the_bytes_that_an_ack_released)
{
	static const uint8_t bytes[100];
	struct hf_ref ref;
	struct hf_tcp_seg seg;
	struct hf_tcp_event event;
	struct th t;

	th_open(&t);
	hf_ref_init(&ref, out_release);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 100, &ref, true), 0);
	cr_assert_eq(ref.count, 2);
	hf_ref_put(&ref);
	th_flush(&t);
	cr_assert_eq(ref.count, 2);
	/* in the same burst, before net packed it */
	seg = th_seg(&t, HF_TCP_ACK, 0, 100, NULL, 0);
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_NONE);
	while (hf_tcp_next_event(t.tcp, &event))
		;
	hf_tcp_input_end(t.tcp);
	cr_assert_eq(ref.count, 1);
	cr_assert_eq(out_released, 0);
	hf_tcp_emits_done(t.tcp);
	cr_assert_eq(out_released, 1);
	th_done(&t);
}

Test(tcp_out, a_full_emit_array_goes_on_at_the_next_flush)
{
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 3;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_send(&t, 14600);
	for (uint32_t sent = 0; sent < 10; sent += t.out_count, th_flush(&t)) {
		cr_assert_leq(t.out_count, 3);
		cr_assert_gt(t.out_count, 0);
		cr_assert_eq(th_out_seq(&t, 0), sent * 1460);
	}
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_out, an_ack_for_which_there_is_no_descriptor_is_not_forgotten)
{
	struct hf_tcp_event event;
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_send(&t, 100);
	cr_assert_eq(t.out_count, 1);
	seg = th_seg(&t, HF_TCP_ACK, 5, 0, (const uint8_t *)"x", 1);
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_NONE);
	while (hf_tcp_next_event(t.tcp, &event))
		;
	hf_tcp_input_end(t.tcp);
	seg.sport++;
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_TCP_NO_LISTENER);
	hf_tcp_input_end(t.tcp);
	cr_assert_eq(th_stat(HF_STAT_TCP_RESETS_UNSENT), 1);
	th_flush(&t);
	th_expect_ack(&t, 0);
	th_done(&t);
}

Test(tcp_out, one_connection_does_not_take_a_whole_flush)
{
	struct th t;
	uint32_t bytes = 0;

	th_open(&t);
	t.conn->cwnd = 1 << 20;
	t.conn->snd_wnd = 1 << 20;
	th_send(&t, 200000);
	for (uint32_t i = 0; i < t.out_count; i++)
		bytes += t.out[i].len;
	cr_assert_leq(bytes, TCP_FLUSH_BYTES);
	cr_assert_gt(bytes, TCP_FLUSH_BYTES - 1460);
	th_flush(&t);
	cr_assert_gt(t.out_count, 0, "the rest comes at the next");
	th_done(&t);
}

Test(tcp_out, a_fin_rides_on_the_last_data)
{
	struct th t;

	th_open(&t);
	t.reply = "bye";
	t.close_on_data = true;
	th_in(&t, HF_TCP_ACK, 0, 0, "GET");
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_PSH | HF_TCP_FIN);
	cr_assert_eq(t.out[0].len, 3);
	cr_assert_eq(th_out_ack(&t, 0), 3);
	th_done(&t);
}
