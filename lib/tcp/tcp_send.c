/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The send queue: spans of other people's bytes, from snd_una to the last byte handed over.
 */
#include "hf_tcp.h"

#include <errno.h>

#include "tcp_conn.h"
#include "tcp_priv.h"
#include "tcp_send.h"

#define SHARE_SPANS_MIN   16
#define SHARE_SPANS_SHORT 2

static void send_tx_start(struct hf_tcp_conn *conn, struct tcp_tx *tx)
{
	tcp_flight_init(&tx->flight, conn->snd_una);
	tx->recover = conn->snd_una - 1; /* no loss at snd_una was repaired yet */
	tx->cwr_end = tx->tlp_end = conn->snd_una;
	tx->tlp = tx->tlp_resent = tcp_has(conn, TCP_F_TLP_END);
	conn->flags &= ~(uint32_t)TCP_F_TLP_END;
	tcp_cubic_init(&tx->cc, conn->cwnd);
	tx->cc.ssthresh = conn->ssthresh;
	tx->cc.w_max = conn->w_max;
	tx->flight.reordering = tcp_has(conn, TCP_F_REORDERING);
	tx->flight.reo_mult = conn->reo_mult;
	tx->flight.reo_persist = conn->reo_persist;
}

/* inline: into hf_tcp_send */
inline struct tcp_tx *tcp_send_tx(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (tx)
		return tx;
	tx = hf_pool_get(&tcp->txs);
	if (!tx)
		return NULL;
	__builtin_memset(tx, 0, offsetof(struct tcp_tx, cc)); /* the rest: send_tx_start */
	tx->notify_at = UINT32_MAX;
	tx->begun_ms = tcp_now_ms(tcp);
	send_tx_start(conn, tx);
	conn->tx = tx;
	tcp_pmtu_retry(tcp, conn);
	return tx;
}

void tcp_send_opened(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->tx)
		send_tx_start(conn, conn->tx);
	if (tcp_has(conn, TCP_F_STARVED))
		tcp_due_set(tcp, conn, TCP_DUE_STATE, TCP_STARVED_US);
}

static void send_tx_free(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	conn->cwnd = tx->cc.cwnd;
	conn->ssthresh = tx->cc.ssthresh;
	conn->w_max = tx->cc.w_max;
	if (tx->flight.reordering)
		conn->flags |= TCP_F_REORDERING;
	if (tx->tlp && tx->tlp_resent)
		conn->flags |= TCP_F_TLP_END;
	conn->reo_mult = tx->flight.reo_mult;
	conn->reo_persist = tx->flight.reo_persist;
	tcp_flight_fini(&tx->flight, &tcp->records);
	hf_pool_put(&tcp->txs, tx);
	conn->tx = NULL;
	tcp_due_clear(conn, TCP_DUE_SEND);
}

void tcp_send_rest(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (tx && tx->len == 0 && tx->flight.count == 0 &&
		(!tcp_has(conn, TCP_F_FIN_QUEUED) || tcp_has(conn, TCP_F_FIN_ACKED)))
		send_tx_free(tcp, conn);
}

uint32_t tcp_send_room(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t queued = tcp_queued(conn);

	return tcp->cfg.send_queue_max > queued ? tcp->cfg.send_queue_max - queued : 0;
}

uint32_t hf_tcp_queued(const struct hf_tcp_conn *conn)
{
	return tcp_queued(conn);
}

uint32_t hf_tcp_queued_spans(const struct hf_tcp_conn *conn)
{
	return conn->tx ? conn->tx->spans : 0;
}

uint64_t hf_tcp_queued_us(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return conn->tx ? 1000ULL * (tcp_now_ms(tcp) - conn->tx->begun_ms) : 0;
}

uint32_t hf_tcp_acked(const struct hf_tcp_conn *conn)
{
	return conn->snd_una - conn->iss;
}

/* No spans: other connections hold them, so no ACK of ours will say when they are back. */
static void send_starve(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_STARVED) && conn->state >= TCP_ESTABLISHED)
		tcp_due_set(tcp, conn, TCP_DUE_STATE, TCP_STARVED_US);
	conn->flags |= TCP_F_STARVED;
}

static bool send_may(const struct hf_tcp_conn *conn)
{
	return tcp_has(conn, TCP_F_OWNED) && conn->state != TCP_CLOSED;
}

/* One of many connections may hold no more of the spans than leaves some to the others: a 64th of what
 * is free, and always so many that a response gets on. Of the reserve, so many that a small one does. */
static bool send_has_its_share(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint32_t free_count)
{
	if (!conn->tx || conn->tx->spans < SHARE_SPANS_SHORT)
		return false;
	return free_count <= tcp->spans_reserve ||
	       conn->tx->spans >= hf_max_u32(SHARE_SPANS_MIN, free_count / 64);
}

static inline uint32_t send_space(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t free_count = hf_pool_free_count(&tcp->spans);

	if (send_has_its_share(tcp, conn, free_count)) { /* its own ACKs will say when it gets on */
		hf_tcp_writable_at(conn, conn->tx->len / 4 * 3);
		return 0;
	}
	if (free_count <= tcp->spans_low) {
		send_starve(tcp, conn);
		return 0;
	}
	return tcp_send_room(tcp, conn);
}

static HF_NOINLINE uint32_t send_space_short(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	tcp_conn_shed_stalled(tcp, conn);
	return send_space(tcp, conn);
}

uint32_t hf_tcp_send_space(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!send_may(conn))
		return 0;
	if (hf_unlikely(hf_pool_free_count(&tcp->spans) <= tcp->spans_reserve))
		return send_space_short(tcp, conn);
	return send_space(tcp, conn);
}

void hf_tcp_writable_at(struct hf_tcp_conn *conn, uint32_t queued)
{
	if (conn->tx && send_may(conn))
		conn->tx->notify_at = queued;
}

void tcp_send_tell(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (tx->len == 0)
		tcp_conn_event(tcp, conn, HF_TCP_EV_ACKED);
	if (tx->notify_at == UINT32_MAX || tx->len > tx->notify_at)
		return;
	tx->notify_at = UINT32_MAX;
	tcp_conn_event(tcp, conn, HF_TCP_EV_WRITABLE);
}

/* The bytes lie right behind the queue's last: no span of their own. */
static bool send_extend(struct tcp_tx *tx, const uint8_t *data, uint32_t len,
	const struct hf_ref *ref, bool zero_copy)
{
	struct tcp_span *tail = tx->tail;

	if (!tail || tail->data + tail->len != data || tail->ref != ref ||
		tail->zero_copy != zero_copy)
		return false;
	if (!tx->cur) {
		tx->cur = tail;
		tx->cur_off = tail->len;
	}
	tail->len += len;
	return true;
}

static void send_append(struct tcp_tx *tx, struct tcp_span *span)
{
	if (tx->tail)
		tx->tail->next = span;
	else
		tx->head = span;
	tx->tail = span;
	tx->spans++;
	if (!tx->cur) {
		tx->cur = span;
		tx->cur_off = 0;
	}
}

int hf_tcp_send(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const void *data, uint32_t len,
	struct hf_ref *ref, bool zero_copy)
{
	struct tcp_span *span;
	struct tcp_tx *tx;

	if (!send_may(conn))
		return -EPIPE;
	if (len == 0)
		return 0;
	if (len > tcp_send_room(tcp, conn)) {
		hf_tcp_writable_at(conn, tcp->cfg.send_queue_max / 2);
		return -EAGAIN;
	}
	tx = tcp_send_tx(tcp, conn);
	if (!tx) {
		send_starve(tcp, conn);
		return -EAGAIN;
	}
	if (!send_extend(tx, data, len, ref, zero_copy)) {
		span = hf_pool_get(&tcp->spans);
		if (!span) {
			send_starve(tcp, conn);
			tcp_send_rest(tcp, conn);
			return -EAGAIN;
		}
		*span = (struct tcp_span){ NULL, data, ref, len, zero_copy };
		if (ref)
			hf_ref_get(ref);
		send_append(tx, span);
	}
	if (conn->snd_una == conn->snd_nxt)
		conn->progress_ms = tcp_now_ms(tcp); /* from now on the peer owes us something */
	tx->len += len;
	tcp_conn_ready(tcp, conn);
	return 0;
}

static void send_span_free(struct hf_tcp *tcp, struct tcp_span *span)
{
	if (span->ref)
		hf_ref_put(span->ref);
	hf_pool_put(&tcp->spans, span);
}

static void send_pop(struct hf_tcp *tcp, struct tcp_tx *tx)
{
	struct tcp_span *span = tx->head;

	if (tx->cur == span) {
		tx->cur = span->next;
		tx->cur_off = 0;
	}
	tx->head = span->next;
	if (!span->next)
		tx->tail = NULL;
	tx->head_off = 0;
	tx->spans--;
	send_span_free(tcp, span);
}

void tcp_send_release(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n)
{
	struct tcp_tx *tx = conn->tx;

	HF_ASSERT(n <= tx->len);
	tx->len -= n;
	while (n > 0) {
		struct tcp_span *head = tx->head;
		uint32_t left = head->len - tx->head_off;

		if (left <= n) {
			n -= left;
			send_pop(tcp, tx);
			continue;
		}
		tx->head_off += n;
		n = 0;
	}
}

void tcp_send_release_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_span *span = tx->head;

	while (span) {
		struct tcp_span *next = span->next;

		send_span_free(tcp, span);
		span = next;
	}
	tx->head = tx->tail = tx->cur = NULL;
	tx->head_off = tx->cur_off = 0;
	tx->spans = 0;
	tx->len = 0;
}

void tcp_send_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (!tx)
		return;
	tcp_send_release_all(tcp, conn);
	send_tx_free(tcp, conn);
}
