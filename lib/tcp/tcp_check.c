/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_priv.h"

/* What all connections together hold. */
struct check_sum {
	uint32_t spans, rxbufs, syns, time_waits, ready, events, conns;
};

static void check_send(const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	uint32_t at = 0, cur_at = UINT32_MAX;
	const struct tcp_span *last = NULL;
	uint32_t sent = hf_min_u32(conn->snd_nxt - conn->snd_una, conn->sndq_len);

	for (const struct tcp_span *span = conn->sndq_head; span; span = span->next) {
		HF_ASSERT(span->len > 0);
		HF_ASSERT(!span->ref || span->ref->count > 0);
		if (span == conn->snd_cur) {
			HF_ASSERT(conn->cur_off < span->len);
			cur_at = at + conn->cur_off - conn->head_off;
		}
		at += span->len;
		last = span;
		sum->spans++;
	}
	HF_ASSERT(last == conn->sndq_tail);
	HF_ASSERT(at - conn->head_off == conn->sndq_len);
	HF_ASSERT(!conn->sndq_head || conn->head_off < conn->sndq_head->len);
	if (conn->state == TCP_SYN_RECEIVED)
		return;
	HF_ASSERT(conn->snd_cur ? cur_at == sent : sent == conn->sndq_len);
}

static void check_seq(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t end = conn->snd_una + conn->sndq_len +
		       (tcp_has(conn, TCP_F_FIN_SENT) && !tcp_has(conn, TCP_F_FIN_ACKED));

	HF_ASSERT(tcp_seq_le(conn->snd_una, conn->snd_nxt));
	HF_ASSERT(tcp_seq_le(conn->snd_nxt, conn->snd_max));
	HF_ASSERT(tcp_seq_ge(conn->rcv_adv, conn->rcv_nxt));
	HF_ASSERT(conn->rcv_adv - conn->rcv_nxt <=
		  tcp->cfg.rcv_wnd_max + (1U << conn->rcv_shift) + 1);
	HF_ASSERT(conn->mss >= TCP_MSS_FLOOR);
	if (conn->state == TCP_SYN_RECEIVED)
		return;
	HF_ASSERT(tcp_seq_le(conn->snd_max, end));
	HF_ASSERT(conn->cwnd >= conn->mss);
	HF_ASSERT(!tcp_has(conn, TCP_F_FIN_SENT) || tcp_has(conn, TCP_F_FIN_QUEUED));
	HF_ASSERT(tcp_has(conn, TCP_F_OWNED) ==
		  (conn->state == TCP_ESTABLISHED || conn->state == TCP_CLOSE_WAIT));
}

static uint32_t check_rx_list(const struct tcp_rxbuf *buf, uint32_t *ret_bufs)
{
	uint32_t len = 0;

	for (; buf; buf = buf->next) {
		HF_ASSERT(buf->off < buf->end && buf->end <= TCP_RXBUF_BYTES);
		len += (uint32_t)buf->end - buf->off;
		(*ret_bufs)++;
	}
	return len;
}

static void check_receive(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	uint32_t unread = check_rx_list(conn->rxq_head, &sum->rxbufs);
	uint32_t end = conn->rcv_nxt;
	uint32_t count = 0;

	HF_ASSERT(unread == conn->rxq_len);
	HF_ASSERT(!conn->rxq_head == !conn->rxq_tail);
	HF_ASSERT(!conn->rxq_tail || !conn->rxq_tail->next);
	if (tcp->cur.conn == conn) {
		uint32_t after = check_rx_list(tcp->cur.after_head, &sum->rxbufs);

		HF_ASSERT(after == tcp->cur.after_len);
		unread += tcp->cur.len + after;
	}
	HF_ASSERT(unread == conn->unread_len);
	HF_ASSERT(unread + (conn->rcv_adv - conn->rcv_nxt) <=
		  tcp->cfg.rcv_wnd_max + (1U << conn->rcv_shift) + 1);
	for (const struct tcp_rxbuf *buf = conn->ooo_head; buf; buf = buf->next) {
		/* the first lies behind a hole, the others may touch */
		HF_ASSERT(buf == conn->ooo_head ? tcp_seq_gt(buf->seq, end)
						: tcp_seq_ge(buf->seq, end));
		HF_ASSERT(buf->off < buf->end);
		end = buf->seq + buf->end - buf->off;
		count++;
	}
	HF_ASSERT(tcp_seq_le(end, conn->rcv_adv));
	HF_ASSERT(count == conn->ooo_count && count <= tcp->ooo_max + 1);
	sum->rxbufs += count;
}

/* Whoever waits for something has a timer that ends the wait. */
static void check_timers(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	bool ready = !hf_list_empty(&conn->ready) || tcp->cur.conn == conn;

	if (conn->state == TCP_SYN_RECEIVED || conn->state == TCP_FIN_WAIT_2 ||
		conn->state == TCP_TIME_WAIT)
		HF_ASSERT(hf_timer_armed(&conn->age));
	if (conn->snd_nxt != conn->snd_una || tcp_out_unsent(conn))
		HF_ASSERT(ready || hf_timer_armed(&conn->rexmit));
	if (conn->ack_segs > 0)
		HF_ASSERT(ready || hf_timer_armed(&conn->delack));
}

static void check_conn(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	const struct hf_tcp_conn *at;

	sum->conns++;
	sum->ready += !hf_list_empty(&conn->ready);
	sum->events += !hf_list_empty(&conn->event);
	HF_ASSERT((conn->ev_what != 0) == !hf_list_empty(&conn->event));
	if (conn->state == TCP_CLOSED) {
		HF_ASSERT(conn->ev_what == HF_TCP_EV_CLOSED);
		HF_ASSERT(!conn->sndq_head && !conn->rxq_head && !conn->ooo_head);
		HF_ASSERT(!hf_timer_armed(&conn->rexmit) && !hf_timer_armed(&conn->age));
		return;
	}
	at = tcp->bucket[conn->hash & tcp->bucket_mask];
	while (at && at != conn)
		at = at->hash_next;
	HF_ASSERT(at == conn);
	sum->syns += conn->state == TCP_SYN_RECEIVED;
	sum->time_waits += conn->state == TCP_TIME_WAIT;
	HF_ASSERT((conn->state == TCP_TIME_WAIT) == !hf_list_empty(&conn->place));
	check_seq(tcp, conn);
	check_send(conn, sum);
	check_receive(tcp, conn, sum);
	check_timers(tcp, conn);
}

static uint32_t check_list(const struct hf_list *list)
{
	const struct hf_list *link;
	uint32_t count = 0;

	hf_list_for_each (link, list) {
		HF_ASSERT(link->next->prev == link);
		count++;
	}
	return count;
}

void hf_tcp_check(const struct hf_tcp *tcp)
{
	struct check_sum sum = { 0 };

	for (uint32_t i = 0; i < tcp->conns.fresh; i++) {
		if (tcp_conn_live(tcp, i))
			check_conn(tcp, hf_pool_at(&tcp->conns, i), &sum);
	}
	HF_ASSERT(sum.conns == tcp->conns.used);
	HF_ASSERT(sum.spans == tcp->spans.used);
	HF_ASSERT(sum.rxbufs == tcp->rxbufs.used);
	HF_ASSERT(sum.syns == tcp->syn_count && sum.syns <= tcp->cfg.syn_queue_max);
	HF_ASSERT(sum.time_waits == check_list(&tcp->time_wait));
	HF_ASSERT(sum.ready == check_list(&tcp->ready) && sum.ready == tcp->ready_count);
	HF_ASSERT(sum.events == check_list(&tcp->events));
	HF_ASSERT(tcp->emit_count <= tcp->cfg.emits_max);
	for (uint32_t i = 0; i < tcp->emit_count; i++) {
		uint32_t len = 0;

		for (uint32_t p = 0; p < tcp->emit[i].piece_count; p++)
			len += tcp->emit[i].piece[p].len;
		HF_ASSERT(len == tcp->emit[i].len);
	}
	hf_wheel_check(tcp->wheel);
}
