/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Received bytes: in place while the segment lasts, else in buffers.
 *
 * Picture   unread = | rxq: buf -> buf | cur: what is left in place | after: buf -> buf |
 *                                            a hole that this segment filled ^
 * Limits    Out of buffers, bytes in order take those that lie behind holes of the same connection;
 *           without any the rest counts as never received. A FIN is taken only when no byte in
 *           front of it can get lost this way.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_priv.h"
#include "tcp_recv.h"

static uint32_t rx_buf_len(const struct tcp_rxbuf *buf)
{
	return (uint32_t)buf->end - buf->off;
}

void tcp_rx_ack_later(struct hf_tcp_conn *conn, uint32_t len)
{
	conn->ack_segs++;
	/* RFC 9293 §3.8.6.3: at least every second full segment */
	if (conn->ack_segs >= 2 || len >= 2U * conn->rcv_mss)
		conn->flags |= TCP_F_ACK_NOW;
	if (hf_unlikely(conn->ack_quick > 0)) {
		conn->ack_quick--;
		conn->flags |= TCP_F_ACK_NOW;
	}
}

void tcp_rx_duplicate(struct hf_tcp_conn *conn, uint32_t seq, uint32_t len)
{
	if (len > 0)
		conn->ack_quick = TCP_QUICK_ACKS;
	/* a block tells one contiguous duplicate: the first of a segment (RFC 2883 §4.2.2) */
	if (len == 0 || !tcp_has(conn, TCP_F_SACK) || tcp_has(conn, TCP_F_DSACK))
		return;
	conn->flags |= TCP_F_DSACK;
	conn->dsack_start = seq;
	conn->dsack_end = seq + len;
}

/* What lay behind a hole that is filled now is in order. */
static void rx_merge(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(!cur->after_head);
	cur->after_head = tcp_ooo_take(tcp, conn, conn->rcv_nxt, &cur->after_tail, &cur->after_len);
	conn->rcv_nxt += cur->after_len;
	conn->unread_len += cur->after_len;
	conn->bytes_in += cur->after_len;
}

/* And behind a hole again. */
static void rx_unmerge(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(cur->len > 0); /* so that nothing behind was consumed */
	HF_ASSERT(conn->rcv_nxt == cur->end_seq + cur->after_len);
	conn->rcv_nxt -= cur->after_len;
	conn->unread_len -= cur->after_len;
	conn->bytes_in -= cur->after_len;
	tcp_ooo_put_back(tcp, conn, cur->end_seq, cur->after_head, cur->after_tail, cur->after_len);
	cur->after_head = NULL;
	cur->after_tail = NULL;
	cur->after_len = 0;
}

/* RFC 5681 §4.2: the sender counts these. */
static void rx_ack_at_once(struct hf_tcp_conn *conn)
{
	conn->flags |= TCP_F_ACK_NOW;
	conn->ack_quick = TCP_QUICK_ACKS;
}

/* inline: into tcp_in_conn */
inline void tcp_rx_next(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const uint8_t *data, uint32_t len)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(cur->conn == conn);
	HF_ASSERT(cur->len == 0 && !cur->after_head);
	cur->data = data;
	cur->len = len;
	conn->rcv_nxt += len;
	cur->end_seq = conn->rcv_nxt;
	conn->unread_len += len;
	conn->bytes_in += len;
	if (hf_unlikely(conn->ooo != NULL)) {
		rx_ack_at_once(conn);
		rx_merge(tcp, conn);
	}
	tcp_rx_ack_later(conn, len);
	tcp_conn_event(tcp, conn, HF_TCP_EV_DATA);
}

enum hf_drop tcp_rx_payload(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len)
{
	if (seq == conn->rcv_nxt) {
		tcp_rx_next(tcp, conn, data, len);
		return HF_DROP_NONE;
	}
	HF_ASSERT(tcp->cur.conn == conn);
	HF_ASSERT(tcp->cur.len == 0);
	rx_ack_at_once(conn);
	return tcp_ooo_store(tcp, conn, seq, data, len);
}

/* A buffer for bytes in order; if need be one of those that wait behind holes of this connection:
 * what SACK told may be taken back (RFC 2018 §8), but only for this. */
static struct tcp_rxbuf *rx_keep_buf(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	for (;;) {
		struct tcp_rxbuf *buf = tcp_rxbuf_new(tcp);

		if (buf)
			return buf;
		HF_ASSERT(!tcp_has(conn, TCP_F_RCV_FIN_DONE));
		if (tcp->cur.after_head)
			rx_unmerge(tcp, conn);
		else if (!tcp_ooo_evict(tcp, conn))
			return NULL;
	}
}

static void rx_queue(struct hf_tcp_conn *conn, struct tcp_rxbuf *head, struct tcp_rxbuf *tail)
{
	if (conn->rxq_tail)
		conn->rxq_tail->next = head;
	else
		conn->rxq_head = head;
	conn->rxq_tail = tail;
}

/* No buffer: as if the rest had been lost on the way. */
static void rx_unreceive(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(!cur->after_head && conn->rcv_nxt == cur->end_seq);
	(void)hf_drop(HF_DROP_TCP_NO_RXBUF);
	conn->rcv_nxt -= cur->len;
	conn->unread_len -= cur->len;
	conn->bytes_in -= cur->len;
	conn->flags |= TCP_F_ACK_NOW;
	conn->flags &= ~(uint32_t)TCP_F_DSACK; /* it may name what is no more */
}

HF_NOINLINE void tcp_rx_keep(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(cur->conn == conn);
	while (cur->len > 0) {
		uint32_t n;

		if (!conn->rxq_tail || conn->rxq_tail->end == TCP_RXBUF_BYTES) {
			struct tcp_rxbuf *buf = rx_keep_buf(tcp, conn);

			if (!buf)
				break;
			rx_queue(conn, buf, buf);
		}
		n = tcp_rxbuf_fill(conn->rxq_tail, cur->data, cur->len);
		cur->data += n;
		cur->len -= n;
		conn->rxq_len += n;
	}
	if (cur->len > 0)
		rx_unreceive(tcp, conn);
	else if (!cur->after_head && conn->ooo)
		rx_merge(tcp, conn); /* what rx_keep_buf put back and left */
	conn->rxq_len += cur->after_len;
	if (cur->after_head && conn->rxq_tail)
		(void)tcp_rxbuf_pack(tcp, conn->rxq_tail, &cur->after_head);
	if (cur->after_head)
		rx_queue(conn, cur->after_head, cur->after_tail);
	*cur = (struct tcp_current){ .conn = conn };
	tcp_rx_fin(tcp, conn);
}

/* Whether what is in place can be kept for sure. */
static bool rx_keepable(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint64_t room = (uint64_t)hf_pool_free_count(&tcp->rxbufs) * TCP_RXBUF_BYTES;

	if (tcp->cur.conn != conn)
		return true;
	if (conn->rxq_tail)
		room += TCP_RXBUF_BYTES - conn->rxq_tail->end;
	return tcp->cur.len <= room;
}

void tcp_rx_fin(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_RCV_FIN) || tcp_has(conn, TCP_F_RCV_FIN_DONE) ||
		tcp_seq_lt(conn->rcv_nxt, conn->fin_seq) || !rx_keepable(tcp, conn))
		return;
	conn->flags |= TCP_F_RCV_FIN_DONE | TCP_F_ACK_NOW;
	conn->rcv_nxt++;
	if (tcp_seq_lt(conn->rcv_adv, conn->rcv_nxt))
		conn->rcv_adv = conn->rcv_nxt;
	tcp_ooo_drop_all(tcp, conn); /* nothing may lie behind it */
	tcp_conn_event(tcp, conn, HF_TCP_EV_FIN);
	switch (conn->state) {
	case TCP_ESTABLISHED:
		conn->state = TCP_CLOSE_WAIT;
		return;
	case TCP_FIN_WAIT_1:
		conn->state = TCP_CLOSING; /* RFC 9293 §3.6: both at once */
		return;
	case TCP_FIN_WAIT_2:
		tcp_conn_time_wait(tcp, conn);
		return;
	default:
		HF_ASSERT(!"a FIN in this state is never the first");
	}
}

void tcp_rx_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	tcp_rxbuf_free_list(tcp, conn->rxq_head);
	tcp_ooo_drop_all(tcp, conn);
	if (tcp->cur.conn == conn) {
		tcp_rxbuf_free_list(tcp, tcp->cur.after_head);
		tcp->cur = (struct tcp_current){ .conn = conn };
	}
	conn->rxq_head = NULL;
	conn->rxq_tail = NULL;
	conn->rxq_len = 0;
	conn->unread_len = 0;
}

/* All that is unread is what is left of the segment in hand. */
static bool rx_is_in_place(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return tcp->cur.conn == conn && tcp->cur.len == conn->unread_len;
}

static uint32_t rx_peek_list(
	const struct tcp_rxbuf *buf, struct hf_span *ret_spans, uint32_t n, uint32_t max)
{
	for (; buf && n < max; buf = buf->next) {
		ret_spans[n].ptr = (const char *)buf->data + buf->off;
		ret_spans[n].len = rx_buf_len(buf);
		n++;
	}
	return n;
}

/* Oldest first. */
static HF_NOINLINE uint32_t rx_peek(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn,
	struct hf_span *ret_spans, uint32_t max)
{
	const struct tcp_current *cur = &tcp->cur;
	uint32_t n = rx_peek_list(conn->rxq_head, ret_spans, 0, max);

	if (cur->conn != conn)
		return n;
	if (cur->len > 0 && n < max)
		ret_spans[n++] = (struct hf_span){ (const char *)cur->data, cur->len };
	return rx_peek_list(cur->after_head, ret_spans, n, max);
}

uint32_t hf_tcp_peek(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn,
	struct hf_span *ret_spans, uint32_t max)
{
	const struct tcp_current *cur = &tcp->cur;

	if (conn->unread_len == 0 || max == 0)
		return 0;
	if (hf_unlikely(!rx_is_in_place(tcp, conn)))
		return rx_peek(tcp, conn, ret_spans, max);
	ret_spans[0] = (struct hf_span){ (const char *)cur->data, cur->len };
	return 1;
}

uint32_t hf_tcp_unread(const struct hf_tcp_conn *conn)
{
	return conn->unread_len;
}

/* Takes up to n bytes off the front of a list; returns how many. */
static uint32_t rx_consume_list(
	struct hf_tcp *tcp, struct tcp_rxbuf **head, struct tcp_rxbuf **tail, uint32_t n)
{
	uint32_t left = n;

	while (left > 0 && *head) {
		struct tcp_rxbuf *buf = *head;
		uint32_t take = hf_min_u32(left, rx_buf_len(buf));

		buf->off = (uint16_t)(buf->off + take);
		left -= take;
		if (buf->off < buf->end)
			break;
		*head = buf->next;
		if (!buf->next)
			*tail = NULL;
		tcp_rxbuf_free(tcp, buf);
	}
	return n - left;
}

/* Oldest first: buffers, the segment in hand, buffers behind it. */
static HF_NOINLINE void rx_consume(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n)
{
	struct tcp_current *cur = &tcp->cur;
	uint32_t took;

	if (conn->rxq_head) {
		took = rx_consume_list(tcp, &conn->rxq_head, &conn->rxq_tail, n);
		conn->rxq_len -= took;
		n -= took;
	}
	if (n > 0) {
		HF_ASSERT(cur->conn == conn);
		took = hf_min_u32(n, cur->len);
		cur->data += took;
		cur->len -= took;
		n -= took;
	}
	if (n > 0) {
		took = rx_consume_list(tcp, &cur->after_head, &cur->after_tail, n);
		cur->after_len -= took;
		HF_ASSERT(took == n);
	}
}

void hf_tcp_consume(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(n <= conn->unread_len);
	if (hf_likely(rx_is_in_place(tcp, conn))) {
		cur->data += n;
		cur->len -= n;
	} else {
		rx_consume(tcp, conn, n);
	}
	conn->unread_len -= n;
	if (conn->state == TCP_CLOSED)
		return;
	tcp_wnd_grow(tcp, conn);
	/* else hf_tcp_input_end looks */
	if (cur->conn != conn && tcp_wnd_update_due(tcp, conn))
		tcp_conn_ready(tcp, conn);
}
