/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_conn.h"
#include "tcp_open.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"

bool tcp_conn_live(const struct hf_tcp *tcp, uint32_t index)
{
	return tcp->live[index / 64] & (1ULL << (index % 64));
}

static void conn_live_flip(struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t index = hf_pool_index(&tcp->conns, conn);

	tcp->live[index / 64] ^= 1ULL << (index % 64);
}

bool tcp_conn_shed(struct hf_tcp *tcp)
{
	for (int place = 0; place < TCP_PLACE_COUNT; place++) {
		struct hf_tcp_conn *conn = tcp_list_first(&tcp->place[place]);

		if (!conn)
			continue;
		if (place != TCP_PLACE_TIME_WAIT)
			hf_stat_inc(HF_STAT_TCP_SHED);
		tcp_conn_kill(tcp, conn, /* rst= */ place != TCP_PLACE_TIME_WAIT);
		return true;
	}
	return false;
}

void tcp_conn_shed_stalled(struct hf_tcp *tcp, const struct hf_tcp_conn *but)
{
	struct hf_tcp_conn *conn = tcp_list_first(&tcp->place[TCP_PLACE_STALLED]);

	if (!conn || conn == but)
		return;
	hf_stat_inc(HF_STAT_TCP_SHED);
	tcp_conn_kill(tcp, conn, /* rst= */ true);
}

struct hf_tcp_conn *tcp_conn_new(
	struct hf_tcp *tcp, const struct tcp_flow *flow, const struct hf_path *path)
{
	struct hf_tcp_conn *conn;

	if (hf_pool_free_count(&tcp->conns) <= tcp->conns_low)
		(void)tcp_conn_shed(tcp);
	conn = hf_pool_get(&tcp->conns);
	if (!conn)
		return NULL;
	memset(conn, 0, sizeof(*conn));
	conn->peer = flow->peer;
	conn->local = flow->local;
	conn->peer_port = flow->peer_port;
	conn->local_port = flow->local_port;
	conn->path = *path;
	conn->state = TCP_SYN_RECEIVED;
	conn->place = TCP_PLACE_NONE;
	conn->min_rtt_us = UINT32_MAX;
	conn->reo_mult = 1;
	conn->opened_s = (uint32_t)(tcp->now_us / 1000000);
	conn->progress_ms = conn->in_ms = conn->sent_ms = tcp_now_ms(tcp);
	hf_timer_init(&conn->timer, 0);
	conn_live_flip(tcp, conn);
	tcp->syn_count++;
	tcp_demux_add(tcp, conn);
	hf_stat_inc(HF_STAT_TCP_CONNS);
	return conn;
}

/* Everything but the structure itself. */
static void conn_strip(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst)
{
	HF_ASSERT(conn->state != TCP_CLOSED);
	if (rst)
		tcp_out_rst(tcp, conn);
	if (conn->state == TCP_SYN_RECEIVED) {
		HF_ASSERT(tcp->syn_count > 0);
		tcp->syn_count--;
	}
	tcp_rx_drop_all(tcp, conn);
	tcp_send_drop_all(tcp, conn);
	tcp_demux_del(tcp, conn);
	tcp_conn_unready(tcp, conn);
	tcp_conn_place(tcp, conn, TCP_PLACE_NONE);
	hf_timer_del(tcp->wheel, &conn->timer);
	if (tcp->cur.conn == conn)
		tcp->cur.conn = NULL;
	conn->state = TCP_CLOSED;
	hf_stat_inc(HF_STAT_TCP_CLOSED);
	hf_stat_sub(HF_STAT_TCP_CONNS, 1);
}

void tcp_conn_abandon(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst)
{
	if (conn->state != TCP_CLOSED)
		conn_strip(tcp, conn, rst);
	tcp_conn_disown(tcp, conn);
	conn_live_flip(tcp, conn);
	hf_pool_put(&tcp->conns, conn);
}

void tcp_conn_kill(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst)
{
	if (!tcp_has(conn, TCP_F_OWNED)) {
		tcp_conn_abandon(tcp, conn, rst);
		return;
	}
	conn_strip(tcp, conn, rst);
	if ((conn->ev_what & HF_TCP_EV_OPEN) && !tcp_has(conn, TCP_F_ACTIVE)) {
		tcp_conn_abandon(tcp, conn, /* rst= */ false); /* it never heard of it */
		return;
	}
	tcp_conn_untell(tcp, conn, UINT32_MAX);
	tcp_conn_event(tcp, conn, HF_TCP_EV_CLOSED);
}

void tcp_conn_disown(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	conn->flags &= ~(uint32_t)(TCP_F_OWNED | TCP_F_STARVED);
	tcp_conn_untell(tcp, conn, UINT32_MAX);
	tcp_due_clear(conn, TCP_DUE_APP);
	tcp_due_clear(conn, TCP_DUE_KEEP);
	if (conn->tx)
		conn->tx->notify_at = UINT32_MAX;
}

void tcp_conn_bound(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (!tx || tx->len > 0 || tx->fin_wait || !tcp_has(conn, TCP_F_FIN_SENT))
		return;
	tx->fin_wait = true;
	tcp_due_set(tcp, conn, TCP_DUE_STATE, 1000ULL * tcp->cfg.fin_timeout_ms);
}

void tcp_conn_time_wait(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(!tcp_has(conn, TCP_F_OWNED));
	HF_ASSERT(tcp_queued(conn) == 0);
	conn->state = TCP_TIME_WAIT;
	tcp_due_clear(conn, TCP_DUE_SEND);
	tcp_conn_place(tcp, conn, TCP_PLACE_TIME_WAIT);
	tcp_due_set(tcp, conn, TCP_DUE_STATE, 2000ULL * tcp->cfg.msl_ms);
}

void tcp_conn_ready(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(conn->state != TCP_CLOSED);
	/* hf_tcp_input_end sends for the one whose segment is in hand */
	if (tcp->cur.conn != conn && !tcp_list_has(&conn->ready))
		tcp_list_add_tail(&tcp->ready, &conn->ready);
}

void tcp_conn_unready(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (tcp_list_has(&conn->ready))
		tcp_list_del(&tcp->ready, &conn->ready);
}

void tcp_conn_event(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what)
{
	if (!tcp_has(conn, TCP_F_OWNED))
		return;
	if (conn->ev_what == 0) {
		if (!tcp->event && tcp->events.count == 0)
			tcp->event = conn;
		else
			tcp_list_add_tail(&tcp->events, &conn->event);
	}
	conn->ev_what |= (uint8_t)what;
}

void tcp_conn_untell(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what)
{
	if (conn->ev_what == 0)
		return;
	conn->ev_what &= (uint8_t)~what;
	if (conn->ev_what != 0)
		return;
	if (tcp->event == conn)
		tcp->event = NULL;
	else
		tcp_list_del(&tcp->events, &conn->event);
}

void tcp_conn_place(struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum tcp_place place)
{
	if (conn->place != TCP_PLACE_NONE)
		tcp_list_del(&tcp->place[conn->place], &conn->placed);
	conn->place = (uint8_t)place;
	if (place != TCP_PLACE_NONE)
		tcp_list_add_tail(&tcp->place[place], &conn->placed);
}
