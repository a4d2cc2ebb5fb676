/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_priv.h"

/* The application waits for spans that other connections hold. */
static void timer_starved(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_WANT_SPACE))
		return;
	if (hf_pool_free_count(&tcp->spans) <= tcp->spans_low) {
		hf_timer_set(tcp->wheel, &conn->age, tcp->now_us + TCP_STARVED_US);
		return;
	}
	if (tcp_send_room(tcp, conn) < tcp->cfg.send_queue_max / 2)
		return; /* an ACK will tell */
	conn->flags &= ~(uint32_t)TCP_F_WANT_SPACE;
	tcp_conn_event(tcp, conn, HF_TCP_EV_WRITABLE);
}

/* A state that lasts a bounded time only is over. */
static void timer_age(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	switch (conn->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		timer_starved(tcp, conn);
		return;
	case TCP_TIME_WAIT:
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return;
	case TCP_SYN_RECEIVED:
		hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return;
	default:
		hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
		tcp_conn_abandon(tcp, conn, /* rst= */ true);
	}
}

void hf_tcp_tick(struct hf_tcp *tcp, uint64_t now_us)
{
	HF_ASSERT(!tcp->in_input);
	tcp_now_set(tcp, now_us);
	for (uint32_t i = 0; i < TCP_TICK_TIMERS; i++) {
		struct hf_timer *timer = hf_wheel_pop(tcp->wheel, tcp->now_us);
		struct hf_tcp_conn *conn;

		if (!timer)
			return;
		switch (timer->kind) {
		case TCP_TIMER_REXMIT:
			tcp_rexmit_fire(tcp, HF_CONTAINER_OF(timer, struct hf_tcp_conn, rexmit));
			break;
		case TCP_TIMER_DELACK:
			conn = HF_CONTAINER_OF(timer, struct hf_tcp_conn, delack);
			conn->flags |= TCP_F_ACK_NOW;
			tcp_output(tcp, conn);
			break;
		default:
			HF_ASSERT(timer->kind == TCP_TIMER_AGE);
			timer_age(tcp, HF_CONTAINER_OF(timer, struct hf_tcp_conn, age));
		}
	}
}
