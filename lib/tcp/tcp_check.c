/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_conn.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"

#define TCP_MSS_CHECKED (TCP_MSS_FLOOR - 12) /* with timestamps */

/* What all connections together hold. */
struct check_sum {
	uint32_t txs, spans, rxbufs, syns, ready, events, first, conns;
	uint32_t place[TCP_PLACE_COUNT + 1];
};

static void check_queue(const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	const struct tcp_tx *tx = conn->tx;
	uint32_t at = 0, cur_at = UINT32_MAX;
	const struct tcp_span *last = NULL;
	uint32_t sent = hf_min_u32(conn->snd_nxt - conn->snd_una, tx->len);

	for (const struct tcp_span *span = tx->head; span; span = span->next) {
		HF_ASSERT(span->len > 0);
		HF_ASSERT(!span->ref || span->ref->count > 0);
		if (span == tx->cur) {
			HF_ASSERT(tx->cur_off < span->len);
			cur_at = at + tx->cur_off - tx->head_off;
		}
		at += span->len;
		last = span;
		sum->spans++;
	}
	HF_ASSERT(last == tx->tail);
	HF_ASSERT(at - tx->head_off == tx->len);
	HF_ASSERT(!tx->head || tx->head_off < tx->head->len);
	if (conn->state >= TCP_ESTABLISHED)
		HF_ASSERT(tx->cur ? cur_at == sent : sent == tx->len);
}

static void check_send(const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	const struct tcp_tx *tx = conn->tx;
	bool open = conn->state < TCP_ESTABLISHED;

	if (!tx) {
		HF_ASSERT(open || conn->snd_una == conn->snd_nxt);
		HF_ASSERT(!tcp_has(conn, TCP_F_FIN_QUEUED) || tcp_has(conn, TCP_F_FIN_ACKED));
		return;
	}
	sum->txs++;
	check_queue(conn, sum);
	if (open)
		return;
	tcp_flight_check(&tx->flight, conn->snd_una, conn->snd_nxt);
	tcp_cubic_check(&tx->cc, TCP_MSS_CHECKED);
	HF_ASSERT(tx->len > 0 || tx->flight.count > 0 || tcp_has(conn, TCP_F_FIN_QUEUED));
	HF_ASSERT(tx->recovery <= TCP_LOSS);
	HF_ASSERT(tx->recovery != TCP_OPEN || tx->flight.lost == 0);
	HF_ASSERT(tx->dup_acks == 0 || !tcp_has(conn, TCP_F_SACK));
}

static void check_seq(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t end = conn->snd_una + tcp_queued(conn) +
		       (tcp_has(conn, TCP_F_FIN_SENT) && !tcp_has(conn, TCP_F_FIN_ACKED));
	bool owned = conn->state == TCP_ESTABLISHED || conn->state == TCP_CLOSE_WAIT ||
		     (conn->state < TCP_ESTABLISHED && tcp_has(conn, TCP_F_ACTIVE));

	HF_ASSERT(tcp_has(conn, TCP_F_OWNED) == owned);
	HF_ASSERT(tcp_seq_le(conn->snd_una, conn->snd_nxt));
	HF_ASSERT(tcp_seq_ge(conn->rcv_adv, conn->rcv_nxt));
	HF_ASSERT(conn->rcv_wnd <= tcp->cfg.rcv_wnd_max);
	HF_ASSERT(conn->rcv_adv - conn->rcv_nxt <= conn->rcv_wnd + (1U << conn->rcv_shift) + 1);
	HF_ASSERT(conn->mss >= TCP_MSS_CHECKED);
	if (conn->state < TCP_ESTABLISHED)
		return;
	HF_ASSERT(tcp_seq_le(conn->snd_nxt, end));
	HF_ASSERT(!tcp_has(conn, TCP_F_FIN_SENT) || tcp_has(conn, TCP_F_FIN_QUEUED));
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
	tcp_ooo_check(tcp, conn);
	if (conn->ooo)
		sum->rxbufs += conn->ooo->bufs + 1;
}

/* Whoever waits for something has a deadline that ends the wait, and the timer stands at none too late. */
static void check_timers(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	bool ready = tcp_list_has(&conn->ready) || tcp->cur.conn == conn;

	for (int due = 0; due < TCP_DUE_COUNT; due++) {
		if (conn->due_ms[due] == 0)
			continue;
		HF_ASSERT(hf_timer_armed(&conn->timer));
		HF_ASSERT(
			(int32_t)(conn->due_ms[due] - (uint32_t)(conn->timer.due_us / 1000)) >= 0);
	}
	if (conn->state < TCP_ESTABLISHED || conn->state == TCP_FIN_WAIT_1 ||
		conn->state == TCP_FIN_WAIT_2 || conn->state == TCP_CLOSING ||
		conn->state == TCP_LAST_ACK || conn->state == TCP_TIME_WAIT)
		HF_ASSERT(conn->due_ms[TCP_DUE_STATE] != 0);
	if (conn->state < TCP_ESTABLISHED || (conn->tx && conn->tx->flight.count > 0) ||
		tcp_out_unsent(conn))
		HF_ASSERT(ready || conn->due_ms[TCP_DUE_SEND] != 0);
	if (conn->ack_segs > 0)
		HF_ASSERT(ready || conn->due_ms[TCP_DUE_ACK] != 0);
}

static void check_place(const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	HF_ASSERT(conn->place <= TCP_PLACE_NONE);
	sum->place[conn->place]++;
	HF_ASSERT((conn->place != TCP_PLACE_NONE) == tcp_list_has(&conn->placed));
	HF_ASSERT((conn->state == TCP_TIME_WAIT) == (conn->place == TCP_PLACE_TIME_WAIT));
	if (conn->place == TCP_PLACE_IDLE || conn->place == TCP_PLACE_STALLED)
		HF_ASSERT(tcp_has(conn, TCP_F_OWNED));
}

static void check_conn(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, struct check_sum *sum)
{
	const struct hf_tcp_conn *at;

	sum->conns++;
	sum->ready += tcp_list_has(&conn->ready);
	sum->events += tcp_list_has(&conn->event);
	sum->first += tcp->event == conn;
	HF_ASSERT((conn->ev_what != 0) == (tcp_list_has(&conn->event) + (tcp->event == conn)));
	if (conn->state == TCP_CLOSED) {
		HF_ASSERT(conn->ev_what == HF_TCP_EV_CLOSED);
		HF_ASSERT(!conn->tx && !conn->rxq_head && !conn->ooo);
		HF_ASSERT(!hf_timer_armed(&conn->timer));
		return;
	}
	at = tcp->bucket[conn->hash & tcp->bucket_mask];
	while (at && at != conn)
		at = at->hash_next;
	HF_ASSERT(at == conn);
	sum->syns += conn->state == TCP_SYN_RECEIVED;
	check_place(conn, sum);
	check_seq(tcp, conn);
	check_send(conn, sum);
	check_receive(tcp, conn, sum);
	check_timers(tcp, conn);
}

static void check_list(const struct tcp_list *list, uint32_t count)
{
	uint32_t at = list->first, prev = TCP_LIST_END;

	HF_ASSERT(list->count == count);
	for (; at != TCP_LIST_END; at = tcp_list_link(list, at)->next) {
		HF_ASSERT(tcp_list_link(list, at)->prev == prev);
		HF_ASSERT(count > 0);
		prev = at;
		count--;
	}
	HF_ASSERT(count == 0 && list->last == prev);
}

void hf_tcp_check(const struct hf_tcp *tcp)
{
	struct check_sum sum = { 0 };

	for (uint32_t i = 0; i < tcp->conns.fresh; i++) {
		if (tcp_conn_live(tcp, i))
			check_conn(tcp, hf_pool_at(&tcp->conns, i), &sum);
	}
	HF_ASSERT(sum.conns == tcp->conns.used);
	HF_ASSERT(sum.txs == tcp->txs.used);
	HF_ASSERT(sum.spans == tcp->spans.used);
	HF_ASSERT(sum.rxbufs == tcp->rxbufs.used);
	HF_ASSERT(sum.syns == tcp->syn_count);
	check_list(&tcp->ready, sum.ready);
	check_list(&tcp->events, sum.events);
	HF_ASSERT(sum.first == !!tcp->event);
	for (int i = 0; i < TCP_PLACE_COUNT; i++)
		check_list(&tcp->place[i], sum.place[i]);
	HF_ASSERT(tcp->emit_count + tcp->emit_left <= tcp->cfg.emits_max);
	for (uint32_t i = 0; i < tcp->emit_count; i++) {
		uint32_t len = 0;

		for (uint32_t p = 0; p < tcp->emit[i].piece_count; p++)
			len += tcp->emit[i].piece[p].len;
		HF_ASSERT(len == tcp->emit[i].len);
	}
	hf_wheel_check(tcp->wheel);
}
