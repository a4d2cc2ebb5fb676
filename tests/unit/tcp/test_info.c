/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_info, shows_what_a_connection_does)
{
	struct hf_tcp_info info;
	struct th t;

	th_open(&t);
	t.spare = 2;
	th_in(&t, HF_TCP_ACK, 0, 0, "abcde");
	th_send(&t, 20000);
	hf_tcp_info(t.tcp, t.conn, &info);
	cr_assert_str_eq(info.state, "ESTABLISHED");
	cr_assert_eq(info.peer_port, 4000);
	cr_assert_eq(info.local_port, TH_PORT);
	cr_assert_eq(info.peer.b[15], 1);
	cr_assert_eq(info.bytes_in, 5);
	cr_assert_eq(info.bytes_out, 14600);
	cr_assert_eq(info.unacked, 14600);
	cr_assert_eq(info.unsent, 5400);
	cr_assert_eq(info.unread, 2);
	cr_assert_eq(info.mss, 1460);
	cr_assert_eq(info.srtt_us, 10000);
	th_done(&t);
}

Test(tcp_info, what_is_sent_and_closed_is_undelivered_until_acknowledged)
{
	struct th t;

	th_open(&t);
	cr_assert_eq(hf_tcp_undelivered_count(t.tcp), 0);
	th_send(&t, 1000);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert_eq(hf_tcp_undelivered_count(t.tcp), 1);
	th_in(&t, HF_TCP_ACK, 0, 1000, "");
	cr_assert_eq(hf_tcp_undelivered_count(t.tcp), 1, "the FIN is not acknowledged");
	th_in(&t, HF_TCP_ACK, 0, 1001, "");
	cr_assert_eq(hf_tcp_undelivered_count(t.tcp), 0);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1, "FIN_WAIT_2 does not hold up a drain");
	th_done(&t);
}

Test(tcp_info, the_cursor_survives_comings_and_goings)
{
	struct hf_tcp_conn *conn[5];
	struct hf_tcp_info info;
	uint32_t cursor = 0, seen = 0;
	struct th t;

	th_init(&t);
	th_start(&t);
	for (int i = 0; i < 5; i++) {
		t.sport = (uint16_t)(100 + i);
		th_open_mss(&t, TH_MSS);
		conn[i] = t.conn;
	}
	cr_assert(hf_tcp_conn_next(t.tcp, &cursor, &info));
	cr_assert_eq(info.peer_port, 100);
	hf_tcp_abort(t.tcp, conn[1]);
	hf_tcp_abort(t.tcp, conn[0]);
	while (hf_tcp_conn_next(t.tcp, &cursor, &info))
		seen |= 1U << (info.peer_port - 100);
	cr_assert_eq(seen, 0x1c);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 3);
	th_done(&t);
}

Test(tcp_info, flows_are_told_apart_by_each_part_of_the_address)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_open(&t);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, (const uint8_t *)"x", 1);
	seg.src.b[15] = 77;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, (const uint8_t *)"x", 1);
	seg.dst.b[15] = 77;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, (const uint8_t *)"x", 1);
	seg.sport++;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_TCP_NO_LISTENER);
	cr_assert_eq(t.got_len, 0);
	th_done(&t);
}
