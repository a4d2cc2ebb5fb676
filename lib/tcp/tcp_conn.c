/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_priv.h"

bool tcp_conn_live(const struct hf_tcp *tcp, uint32_t index)
{
	return tcp->live[index / 64] & (1ULL << (index % 64));
}

static void conn_live_flip(struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t index = hf_pool_index(&tcp->conns, conn);

	tcp->live[index / 64] ^= 1ULL << (index % 64);
}

struct hf_tcp_conn *tcp_conn_new(struct hf_tcp *tcp, const struct hf_tcp_seg *seg)
{
	struct hf_list *oldest = hf_list_first(&tcp->time_wait);
	struct hf_tcp_conn *conn = hf_pool_get(&tcp->conns);

	if (!conn && oldest) {
		tcp_conn_abandon(tcp, HF_CONTAINER_OF(oldest, struct hf_tcp_conn, place), false);
		conn = hf_pool_get(&tcp->conns);
		HF_ASSERT(conn);
	}
	if (!conn)
		return NULL;
	memset(conn, 0, sizeof(*conn));
	conn->tcp = tcp;
	conn->peer = seg->src;
	conn->local = seg->dst;
	conn->peer_port = seg->sport;
	conn->local_port = seg->dport;
	conn->path = seg->path;
	conn->state = TCP_SYN_RECEIVED;
	conn->opened_us = tcp->now_us;
	conn->progress_us = tcp->now_us;
	hf_list_init(&conn->ready);
	hf_list_init(&conn->event);
	hf_list_init(&conn->place);
	hf_timer_init(&conn->rexmit, TCP_TIMER_REXMIT);
	hf_timer_init(&conn->delack, TCP_TIMER_DELACK);
	hf_timer_init(&conn->age, TCP_TIMER_AGE);
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
	hf_list_del(&conn->place);
	hf_timer_del(tcp->wheel, &conn->rexmit);
	hf_timer_del(tcp->wheel, &conn->delack);
	hf_timer_del(tcp->wheel, &conn->age);
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
	tcp_conn_disown(conn);
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
	if (conn->ev_what & HF_TCP_EV_OPEN) { /* it never heard of it */
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return;
	}
	conn->ev_what = 0;
	tcp_conn_event(tcp, conn, HF_TCP_EV_CLOSED);
}

void tcp_conn_disown(struct hf_tcp_conn *conn)
{
	conn->flags &= ~(uint32_t)(TCP_F_OWNED | TCP_F_WANT_SPACE);
	conn->ev_what = 0;
	hf_list_del(&conn->event);
}

void tcp_conn_fin_bound(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	bool last = conn->state == TCP_LAST_ACK || conn->state == TCP_CLOSING;

	if (last && tcp_has(conn, TCP_F_FIN_SENT) && conn->sndq_len == 0 &&
		!hf_timer_armed(&conn->age))
		hf_timer_set(
			tcp->wheel, &conn->age, tcp->now_us + 1000ULL * tcp->cfg.fin_timeout_ms);
}

void tcp_conn_time_wait(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(!tcp_has(conn, TCP_F_OWNED));
	HF_ASSERT(conn->sndq_len == 0);
	conn->state = TCP_TIME_WAIT;
	hf_timer_del(tcp->wheel, &conn->rexmit);
	hf_list_del(&conn->place);
	hf_list_add_tail(&tcp->time_wait, &conn->place);
	hf_timer_del(tcp->wheel, &conn->age);
	hf_timer_set(tcp->wheel, &conn->age, tcp->now_us + 2000ULL * tcp->cfg.msl_ms);
}

void tcp_conn_ready(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!hf_list_empty(&conn->ready))
		return;
	HF_ASSERT(conn->state != TCP_CLOSED);
	hf_list_add_tail(&tcp->ready, &conn->ready);
	tcp->ready_count++;
}

void tcp_conn_unready(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (hf_list_empty(&conn->ready))
		return;
	HF_ASSERT(tcp->ready_count > 0);
	hf_list_del(&conn->ready);
	tcp->ready_count--;
}

void tcp_conn_event(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what)
{
	if (!tcp_has(conn, TCP_F_OWNED))
		return;
	conn->ev_what |= what;
	if (hf_list_empty(&conn->event))
		hf_list_add_tail(&tcp->events, &conn->event);
}
