/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "tcp_helper.h"

static uint32_t send_released;

static void send_release(struct hf_ref *ref)
{
	send_released++;
}

Test(tcp_send, a_full_queue_takes_all_or_nothing)
{
	static const uint8_t bytes[300000];
	struct th t;

	th_open(&t);
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 262144);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 262145, NULL, false), -EAGAIN);
	cr_assert_eq(tcp_queued(t.conn), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 262144, NULL, false), 0);
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 1, NULL, false), -EAGAIN);
	th_done(&t);
}

Test(tcp_send, writable_comes_once_at_the_level_asked_for)
{
	struct th t;
	uint32_t acked = 0;

	th_init(&t);
	t.cfg.send_queue_max = 10000;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_send(&t, 10000);
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
	hf_tcp_writable_at(t.conn, 5000);
	for (acked = 1460; acked < 5000; acked += 1460) {
		th_in(&t, HF_TCP_ACK, 0, acked, NULL);
		cr_assert_eq(t.events, 0);
	}
	th_in(&t, HF_TCP_ACK, 0, acked, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_WRITABLE);
	th_in(&t, HF_TCP_ACK, 0, acked + 1460, NULL);
	cr_assert_eq(t.events, 0, "told once");
	th_in(&t, HF_TCP_ACK, 0, 10000, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_ACKED);
	th_done(&t);
}

Test(tcp_send, references_go_when_bytes_are_acknowledged)
{
	static const uint8_t bytes[5000];
	struct hf_ref ref;
	struct th t;

	th_open(&t);
	hf_ref_init(&ref, send_release);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 2000, &ref, true), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes + 2500, 2000, &ref, true), 0);
	hf_ref_put(&ref);
	cr_assert_eq(ref.count, 2);
	th_flush(&t);
	th_in(&t, HF_TCP_ACK, 0, 1999, NULL);
	cr_assert_eq(ref.count, 2);
	th_in(&t, HF_TCP_ACK, 0, 2000, NULL);
	cr_assert_eq(ref.count, 1);
	th_in(&t, HF_TCP_ACK, 0, 4000, NULL);
	cr_assert_eq(send_released, 1);
	th_done(&t);
}

Test(tcp_send, references_go_when_the_connection_or_the_stack_ends)
{
	static const uint8_t bytes[5000];
	struct hf_ref ref;
	struct th t;

	th_open(&t);
	hf_ref_init(&ref, send_release);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 2000, &ref, true), 0);
	th_flush(&t);
	cr_assert_eq(ref.count, 4);
	th_in(&t, HF_TCP_RST, 0, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_CLOSED);
	cr_assert_eq(ref.count, 1);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 2000, &ref, true), 0);
	th_flush(&t);
	th_done(&t);
	cr_assert_eq(ref.count, 1);
}

Test(tcp_send, nothing_is_taken_after_close_or_reset)
{
	struct hf_tcp_conn *conn;
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	conn = t.conn;
	seg = th_seg(&t, HF_TCP_RST, 0, 0, NULL, 0);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	/* before the application fetched CLOSED, it may still act */
	cr_assert_eq(hf_tcp_send(t.tcp, conn, "x", 1, NULL, false), -EPIPE);
	cr_assert_eq(hf_tcp_send_space(t.tcp, conn), 0);
	cr_assert_eq(hf_tcp_unread(conn), 0);
	hf_tcp_check(t.tcp);
	hf_tcp_close(t.tcp, conn);
	hf_tcp_input_end(t.tcp);
	th_events(&t);
	cr_assert_eq(t.events & HF_TCP_EV_CLOSED, 0, "it has let go of it");
	hf_tcp_check(t.tcp);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	conn = t.conn;
	hf_tcp_close(t.tcp, conn);
	cr_assert_eq(hf_tcp_send(t.tcp, conn, "x", 1, NULL, false), -EPIPE);
	th_done(&t);
}

Test(tcp_send, spans_that_others_hold_are_announced_when_they_are_back)
{
	static const uint8_t bytes[1000];
	struct hf_tcp_conn *first, *second;
	struct th t;

	th_init(&t);
	t.cfg.spans_max = 40;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	first = t.conn;
	for (int i = 0; i < 40; i++)
		cr_assert_eq(hf_tcp_send(t.tcp, first, bytes + 2 * i, 1, NULL, false), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, first, bytes + 99, 1, NULL, false), -EAGAIN);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	second = t.conn;
	cr_assert_eq(hf_tcp_send_space(t.tcp, second), 0);
	th_tick(&t, 50000);
	cr_assert_eq(t.events & HF_TCP_EV_WRITABLE, 0);
	hf_tcp_abort(t.tcp, first);
	th_tick(&t, 50000);
	cr_assert_eq(t.events, HF_TCP_EV_WRITABLE);
	cr_assert_gt(hf_tcp_send_space(t.tcp, second), 0);
	th_done(&t);
}
