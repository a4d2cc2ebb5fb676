/* SPDX-License-Identifier: BSD-3-Clause */
#include "tcp_helper.h"

Test(tcp_in, rfc9293_s3_5_handshake_opens_once)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(th_out_ack(&t, 0), 0);
	cr_assert_str_eq(th_state(t.tcp), "SYN-RECEIVED");
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_OPEN);
	cr_assert_str_eq(th_state(t.tcp), "ESTABLISHED");
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.out_count, 0);
	th_done(&t);
}

Test(tcp_in, data_may_come_with_the_ack_of_the_handshake)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	th_in(&t, HF_TCP_ACK | HF_TCP_PSH, 0, 0, "GET");
	cr_assert_eq(t.events, HF_TCP_EV_OPEN | HF_TCP_EV_DATA);
	cr_assert_eq(t.got_len, 3);
	cr_assert_arr_eq(t.got, "GET", 3);
	th_done(&t);
}

Test(tcp_in, a_response_sent_at_once_carries_the_ack)
{
	struct th t;

	th_open(&t);
	t.reply = "hello";
	th_in(&t, HF_TCP_ACK | HF_TCP_PSH, 0, 0, "GET");
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_ACK | HF_TCP_PSH);
	cr_assert_eq(t.out[0].len, 5);
	cr_assert_eq(th_out_ack(&t, 0), 3);
	cr_assert_eq(th_out_seq(&t, 0), 0);
	cr_assert_arr_eq(t.out[0].piece[0].data, "hello", 5);
	th_tick(&t, 50000);
	cr_assert_eq(t.out_count, 0, "no delayed ACK is left over");
	th_done(&t);
}
