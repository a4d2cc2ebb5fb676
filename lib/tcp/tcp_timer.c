/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Five deadlines of a connection on one timer. The timer stands at the earliest or before it: a later
 * deadline is only noted, and found when the timer comes up (an ACK pushes the retransmission back by
 * one store).
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_priv.h"
#include "tcp_send.h"

#define NEVER 0

void tcp_due_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum tcp_due due, uint64_t after_us)
{
	uint64_t at_ms = (tcp->now_us + after_us + 999) / 1000;

	HF_ASSERT(conn->state != TCP_CLOSED);
	if ((uint32_t)at_ms == NEVER)
		at_ms++;
	conn->due_ms[due] = (uint32_t)at_ms;
	if (!hf_timer_armed(&conn->timer) || conn->timer.due_us > at_ms * 1000)
		hf_timer_set(tcp->wheel, &conn->timer, at_ms * 1000);
}

void tcp_due_clear(struct hf_tcp_conn *conn, enum tcp_due due)
{
	conn->due_ms[due] = NEVER;
}

/* The timer came up: it stands again at what is left. */
static void timer_stand(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t now_ms = tcp_now_ms(tcp);
	uint32_t wait_ms = UINT32_MAX;

	for (int due = 0; due < TCP_DUE_COUNT; due++) {
		uint32_t at_ms = conn->due_ms[due];

		if (at_ms == NEVER)
			continue;
		wait_ms = hf_min_u32(wait_ms, (int32_t)(at_ms - now_ms) > 0 ? at_ms - now_ms : 0);
	}
	if (wait_ms != UINT32_MAX)
		hf_timer_set(tcp->wheel, &conn->timer, (tcp->now_us / 1000 + wait_ms) * 1000);
}

/* The application waits for spans that other connections hold. */
static void timer_starved(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_STARVED))
		return;
	if (hf_pool_free_count(&tcp->spans) <= tcp->spans_low) {
		tcp_due_set(tcp, conn, TCP_DUE_STATE, TCP_STARVED_US);
		return;
	}
	conn->flags &= ~(uint32_t)TCP_F_STARVED;
	tcp_conn_event(tcp, conn, HF_TCP_EV_WRITABLE);
}

static bool timer_over(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst)
{
	hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
	tcp_conn_kill(tcp, conn, rst);
	return false;
}

/* After our close the application no longer watches: the peer must take drain_rate bytes a second, and
 * acknowledge our FIN within fin_timeout_ms. */
static bool timer_drain(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	uint64_t least = (uint64_t)tcp->cfg.drain_rate * (TCP_DRAIN_PERIOD_US / 1000000);

	HF_ASSERT(tx);
	if (tx->fin_wait || (tx->len > 0 && conn->snd_una - tx->drain_una < least))
		return timer_over(tcp, conn, /* rst= */ true);
	tx->drain_una = conn->snd_una;
	tcp_due_set(tcp, conn, TCP_DUE_STATE, TCP_DRAIN_PERIOD_US);
	return true;
}

/* A state that lasts a bounded time only is over. False when the connection is no more. */
static bool timer_state(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	switch (conn->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		timer_starved(tcp, conn);
		return true;
	case TCP_TIME_WAIT:
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return false;
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		return timer_over(tcp, conn, /* rst= */ false);
	case TCP_FIN_WAIT_2:
		return timer_over(tcp, conn, /* rst= */ true);
	default:
		return timer_drain(tcp, conn);
	}
}

/* RFC 9293 §3.8.4: after keepalive_ms of silence a probe, and again; then the peer is dead. */
static bool timer_keep(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	const struct hf_tcp_cfg *cfg = &tcp->cfg;
	uint32_t silent_ms = tcp_now_ms(tcp) - conn->in_ms;

	if (!tcp_has(conn, TCP_F_OWNED))
		return true; /* bounded otherwise */
	if (silent_ms < cfg->keepalive_ms || conn->snd_una != conn->snd_nxt) {
		uint32_t left_ms = silent_ms < cfg->keepalive_ms ? cfg->keepalive_ms - silent_ms
								 : cfg->keepalive_ms;

		tcp_due_set(tcp, conn, TCP_DUE_KEEP, 1000ULL * hf_max_u32(left_ms, 1));
		return true;
	}
	if (conn->keep_count >= cfg->keepalive_probes)
		return timer_over(tcp, conn, /* rst= */ true);
	conn->keep_count++;
	conn->flags |= TCP_F_KEEP_NOW;
	tcp_due_set(tcp, conn, TCP_DUE_KEEP, 1000ULL * hf_max_u32(cfg->keepalive_interval_ms, 1));
	tcp_output(tcp, conn);
	return true;
}

/* False when the connection is no more. */
static bool timer_fire(struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum tcp_due due)
{
	switch (due) {
	case TCP_DUE_SEND:
		return tcp_rexmit_fire(tcp, conn);
	case TCP_DUE_ACK:
		conn->flags |= TCP_F_ACK_NOW;
		tcp_output(tcp, conn);
		return true;
	case TCP_DUE_STATE:
		return timer_state(tcp, conn);
	case TCP_DUE_KEEP:
		return timer_keep(tcp, conn);
	case TCP_DUE_APP:
		tcp_conn_event(tcp, conn, HF_TCP_EV_DEADLINE);
		return true;
	case TCP_DUE_COUNT:
		break;
	}
	HF_ASSERT(!"a deadline");
	return false;
}

static void timer_conn(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t now_ms = tcp_now_ms(tcp);

	for (int due = 0; due < TCP_DUE_COUNT; due++) {
		uint32_t at_ms = conn->due_ms[due];

		if (at_ms == NEVER || (int32_t)(at_ms - now_ms) > 0)
			continue;
		conn->due_ms[due] = NEVER;
		if (!timer_fire(tcp, conn, (enum tcp_due)due))
			return;
	}
	timer_stand(tcp, conn);
}

void hf_tcp_tick(struct hf_tcp *tcp, uint64_t now_us)
{
	HF_ASSERT(!tcp->in_input);
	tcp_now_set(tcp, now_us);
	for (uint32_t i = 0; i < TCP_TICK_TIMERS; i++) {
		struct hf_timer *timer = hf_wheel_pop(tcp->wheel, tcp->now_us);

		if (!timer)
			return;
		timer_conn(tcp, HF_CONTAINER_OF(timer, struct hf_tcp_conn, timer));
	}
}
