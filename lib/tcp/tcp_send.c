/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The send queue: spans of other people's bytes, from snd_una to the last byte handed over.
 */
#include "hf_tcp.h"

#include <errno.h>

#include "tcp_priv.h"

uint32_t tcp_send_room(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return tcp->cfg.send_queue_max > conn->sndq_len ? tcp->cfg.send_queue_max - conn->sndq_len
							: 0;
}

uint32_t hf_tcp_queued(const struct hf_tcp_conn *conn)
{
	return conn->sndq_len;
}

/* No spans: other connections hold them, so no ACK of ours will say when they are back. */
static void send_starve(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	conn->flags |= TCP_F_WANT_SPACE;
	if (!hf_timer_armed(&conn->age))
		hf_timer_set(tcp->wheel, &conn->age, tcp->now_us + TCP_STARVED_US);
}

uint32_t hf_tcp_send_space(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t room = tcp_send_room(tcp, conn);

	if (!tcp_has(conn, TCP_F_OWNED) || conn->state == TCP_CLOSED)
		return 0;
	if (hf_pool_free_count(&tcp->spans) <= tcp->spans_low) {
		send_starve(tcp, conn);
		return 0;
	}
	if (room < tcp->cfg.send_queue_max / 2)
		conn->flags |= TCP_F_WANT_SPACE;
	return room;
}

/* The bytes lie right behind the queue's last: no span of their own. */
static bool send_extend(struct hf_tcp_conn *conn, const uint8_t *data, uint32_t len,
	const struct hf_ref *ref, bool zero_copy)
{
	struct tcp_span *tail = conn->sndq_tail;

	if (!tail || tail->data + tail->len != data || tail->ref != ref ||
		tail->zero_copy != zero_copy)
		return false;
	if (!conn->snd_cur) {
		conn->snd_cur = tail;
		conn->cur_off = tail->len;
	}
	tail->len += len;
	return true;
}

static void send_append(struct hf_tcp_conn *conn, struct tcp_span *span)
{
	if (conn->sndq_tail)
		conn->sndq_tail->next = span;
	else
		conn->sndq_head = span;
	conn->sndq_tail = span;
	if (!conn->snd_cur) {
		conn->snd_cur = span;
		conn->cur_off = 0;
	}
}

int hf_tcp_send(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const void *data, uint32_t len,
	struct hf_ref *ref, bool zero_copy)
{
	struct tcp_span *span;

	if (!tcp_has(conn, TCP_F_OWNED) || conn->state == TCP_CLOSED)
		return -EPIPE;
	if (len == 0)
		return 0;
	if (len > tcp_send_room(tcp, conn)) {
		conn->flags |= TCP_F_WANT_SPACE;
		return -EAGAIN;
	}
	if (!send_extend(conn, data, len, ref, zero_copy)) {
		span = hf_pool_get(&tcp->spans);
		if (!span) {
			send_starve(tcp, conn);
			return -EAGAIN;
		}
		*span = (struct tcp_span){ NULL, data, ref, len, zero_copy };
		if (ref)
			hf_ref_get(ref);
		send_append(conn, span);
	}
	if (conn->snd_una == conn->snd_max)
		conn->progress_us = tcp->now_us; /* from now on the peer owes us something */
	conn->sndq_len += len;
	tcp_conn_ready(tcp, conn);
	return 0;
}

static void send_pop(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_span *span = conn->sndq_head;

	if (conn->snd_cur == span) {
		conn->snd_cur = span->next;
		conn->cur_off = 0;
	}
	conn->sndq_head = span->next;
	if (!span->next)
		conn->sndq_tail = NULL;
	conn->head_off = 0;
	if (span->ref)
		hf_ref_put(span->ref);
	hf_pool_put(&tcp->spans, span);
}

void tcp_send_release(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n)
{
	HF_ASSERT(n <= conn->sndq_len);
	conn->sndq_len -= n;
	while (n > 0) {
		struct tcp_span *head = conn->sndq_head;
		uint32_t left = head->len - conn->head_off;

		if (left <= n) {
			n -= left;
			send_pop(tcp, conn);
			continue;
		}
		conn->head_off += n;
		/* acknowledged beyond where a resend had come to */
		if (conn->snd_cur == head)
			conn->cur_off = hf_max_u32(conn->cur_off, conn->head_off);
		n = 0;
	}
}

void tcp_send_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	while (conn->sndq_head)
		send_pop(tcp, conn);
	conn->sndq_len = 0;
	conn->snd_cur = NULL;
}
