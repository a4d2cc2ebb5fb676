/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Received bytes: in place while the segment lasts, else in buffers; out of order ones in a sorted
 * list of buffers that do not overlap.
 */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_priv.h"

static uint32_t rx_buf_len(const struct tcp_rxbuf *buf)
{
	return (uint32_t)buf->end - buf->off;
}

static void rx_list_free(struct hf_tcp *tcp, struct tcp_rxbuf *buf)
{
	while (buf) {
		struct tcp_rxbuf *next = buf->next;

		hf_pool_put(&tcp->rxbufs, buf);
		buf = next;
	}
}

static struct tcp_rxbuf *rx_buf_new(struct hf_tcp *tcp, uint32_t seq)
{
	struct tcp_rxbuf *buf = hf_pool_get(&tcp->rxbufs);

	if (!buf)
		return NULL;
	buf->next = NULL;
	buf->seq = seq;
	buf->off = 0;
	buf->end = 0;
	return buf;
}

/* Appends what fits; returns how much. */
static uint32_t rx_buf_fill(struct tcp_rxbuf *buf, const uint8_t *data, uint32_t len)
{
	uint32_t n = hf_min_u32(len, TCP_RXBUF_BYTES - buf->end);

	memcpy(buf->data + buf->end, data, n);
	buf->end = (uint16_t)(buf->end + n);
	return n;
}

void tcp_rx_ack_later(struct hf_tcp_conn *conn, uint32_t len)
{
	conn->ack_segs++;
	/* RFC 9293 §3.8.6.3: at least every second full segment */
	if (conn->ack_segs >= 2 || len >= 2U * conn->rcv_mss)
		conn->flags |= TCP_F_ACK_NOW;
}

/* One new buffer for out-of-order bytes, or NULL: these must not starve what is in order. */
static struct tcp_rxbuf *rx_ooo_buf(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq)
{
	struct tcp_rxbuf *buf;

	if (conn->ooo_count >= tcp->ooo_max ||
		hf_pool_free_count(&tcp->rxbufs) <= tcp->rxbufs.count / 4)
		return NULL;
	buf = rx_buf_new(tcp, seq);
	if (buf)
		conn->ooo_count++;
	return buf;
}

/* `len` bytes that overlap nothing, behind `prev` (NULL: at the head). Returns the last buffer
 * written, NULL when there was none free. */
static struct tcp_rxbuf *rx_ooo_insert(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	struct tcp_rxbuf *prev, uint32_t seq, const uint8_t *data, uint32_t len)
{
	if (prev && prev->seq + rx_buf_len(prev) == seq) {
		uint32_t n = rx_buf_fill(prev, data, len);

		seq += n;
		data += n;
		len -= n;
	}
	while (len > 0) {
		struct tcp_rxbuf *buf = rx_ooo_buf(tcp, conn, seq);
		struct tcp_rxbuf **link = prev ? &prev->next : &conn->ooo_head;
		uint32_t n;

		if (!buf)
			return NULL;
		buf->next = *link;
		*link = buf;
		n = rx_buf_fill(buf, data, len);
		seq += n;
		data += n;
		len -= n;
		prev = buf;
	}
	return prev;
}

/* RFC 9293 §3.10.7.4: segments may be held for later. The gaps that this one fills. */
static enum hf_drop rx_ooo_store(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len)
{
	struct tcp_rxbuf *prev = NULL;
	struct tcp_rxbuf *next = conn->ooo_head;
	uint32_t end = seq + len;

	while (tcp_seq_lt(seq, end)) {
		uint32_t skip, n;

		while (next && tcp_seq_le(next->seq, seq)) {
			prev = next;
			next = next->next;
		}
		if (prev && tcp_seq_lt(seq, prev->seq + rx_buf_len(prev))) {
			skip = prev->seq + rx_buf_len(prev) - seq;
			if (skip >= end - seq)
				break;
			seq += skip;
			data += skip;
			continue;
		}
		n = next && tcp_seq_lt(next->seq, end) ? next->seq - seq : end - seq;
		prev = rx_ooo_insert(tcp, conn, prev, seq, data, n);
		if (!prev)
			return hf_drop(HF_DROP_TCP_NO_RXBUF);
		seq += n;
		data += n;
	}
	return HF_DROP_NONE;
}

/* A hole was filled: what lies behind it is in order now. */
static void rx_merge(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_current *cur = &tcp->cur;
	struct tcp_rxbuf *buf;

	while ((buf = conn->ooo_head) && tcp_seq_le(buf->seq, conn->rcv_nxt)) {
		uint32_t old = conn->rcv_nxt - buf->seq;
		uint32_t len = rx_buf_len(buf);

		HF_ASSERT(conn->ooo_count > 0);
		conn->ooo_head = buf->next;
		conn->ooo_count--;
		buf->next = NULL;
		if (old >= len) {
			hf_pool_put(&tcp->rxbufs, buf);
			continue;
		}
		buf->off = (uint16_t)(buf->off + old);
		buf->seq += old;
		len -= old;
		if (cur->after_tail)
			cur->after_tail->next = buf;
		else
			cur->after_head = buf;
		cur->after_tail = buf;
		cur->after_len += len;
		conn->rcv_nxt += len;
		conn->unread_len += len;
		conn->bytes_in += len;
	}
}

enum hf_drop tcp_rx_payload(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len)
{
	struct tcp_current *cur = &tcp->cur;

	HF_ASSERT(cur->conn == conn);
	HF_ASSERT(cur->len == 0);
	if (seq != conn->rcv_nxt) {
		conn->flags |= TCP_F_ACK_NOW; /* RFC 5681 §4.2: the sender counts these */
		return rx_ooo_store(tcp, conn, seq, data, len);
	}
	if (conn->ooo_head)
		conn->flags |= TCP_F_ACK_NOW;
	cur->data = data;
	cur->len = len;
	cur->end_seq = seq + len;
	conn->rcv_nxt += len;
	conn->unread_len += len;
	conn->bytes_in += len;
	rx_merge(tcp, conn);
	tcp_rx_ack_later(conn, len);
	tcp_conn_event(tcp, conn, HF_TCP_EV_DATA);
	return HF_DROP_NONE;
}

/* A buffer for bytes in order; if need be one that waits behind a hole of the same connection. */
static struct tcp_rxbuf *rx_keep_buf(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_rxbuf *buf = rx_buf_new(tcp, 0);
	struct tcp_rxbuf **link = &conn->ooo_head;

	if (buf || !conn->ooo_head)
		return buf;
	while ((*link)->next)
		link = &(*link)->next;
	hf_pool_put(&tcp->rxbufs, *link);
	*link = NULL;
	conn->ooo_count--;
	return rx_buf_new(tcp, 0);
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

	HF_ASSERT(!tcp_has(conn, TCP_F_RCV_FIN_DONE));
	(void)hf_drop(HF_DROP_TCP_NO_RXBUF);
	conn->rcv_nxt = cur->end_seq - cur->len;
	conn->unread_len -= cur->len + cur->after_len;
	conn->bytes_in -= cur->len + cur->after_len;
	for (struct tcp_rxbuf *buf = cur->after_head; buf; buf = buf->next)
		conn->ooo_count++;
	if (cur->after_tail) {
		cur->after_tail->next = conn->ooo_head;
		conn->ooo_head = cur->after_head;
	}
	conn->flags |= TCP_F_ACK_NOW;
}

void tcp_rx_keep(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
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
		n = rx_buf_fill(conn->rxq_tail, cur->data, cur->len);
		cur->data += n;
		cur->len -= n;
		conn->rxq_len += n;
	}
	if (cur->len > 0) {
		rx_unreceive(tcp, conn);
	} else if (cur->after_head) {
		rx_queue(conn, cur->after_head, cur->after_tail);
		conn->rxq_len += cur->after_len;
	}
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
	rx_list_free(tcp, conn->ooo_head); /* nothing may lie behind it */
	conn->ooo_head = NULL;
	conn->ooo_count = 0;
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
	rx_list_free(tcp, conn->rxq_head);
	rx_list_free(tcp, conn->ooo_head);
	if (tcp->cur.conn == conn) {
		rx_list_free(tcp, tcp->cur.after_head);
		tcp->cur = (struct tcp_current){ .conn = conn };
	}
	conn->rxq_head = NULL;
	conn->rxq_tail = NULL;
	conn->ooo_head = NULL;
	conn->rxq_len = 0;
	conn->ooo_count = 0;
	conn->unread_len = 0;
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

uint32_t hf_tcp_peek(struct hf_tcp_conn *conn, struct hf_span *ret_spans, uint32_t max)
{
	const struct tcp_current *cur = &conn->tcp->cur;
	uint32_t n = rx_peek_list(conn->rxq_head, ret_spans, 0, max);

	if (cur->conn != conn)
		return n;
	if (cur->len > 0 && n < max) {
		ret_spans[n].ptr = (const char *)cur->data;
		ret_spans[n].len = cur->len;
		n++;
	}
	return rx_peek_list(cur->after_head, ret_spans, n, max);
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
		buf->seq += take;
		left -= take;
		if (buf->off < buf->end)
			break;
		*head = buf->next;
		if (!buf->next)
			*tail = NULL;
		hf_pool_put(&tcp->rxbufs, buf);
	}
	return n - left;
}

void hf_tcp_consume(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n)
{
	struct tcp_current *cur = &tcp->cur;
	uint32_t took;

	HF_ASSERT(n <= conn->unread_len);
	conn->unread_len -= n;
	took = rx_consume_list(tcp, &conn->rxq_head, &conn->rxq_tail, n);
	conn->rxq_len -= took;
	n -= took;
	if (n > 0) {
		HF_ASSERT(cur->conn == conn);
		took = hf_min_u32(n, cur->len);
		cur->data += took;
		cur->len -= took;
		n -= took;
		took = rx_consume_list(tcp, &cur->after_head, &cur->after_tail, n);
		cur->after_len -= took;
		HF_ASSERT(took == n);
	}
	if (conn->state != TCP_CLOSED && tcp_wnd_update_due(tcp, conn))
		tcp_conn_ready(tcp, conn);
}
