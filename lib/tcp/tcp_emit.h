/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_emit - an emit descriptor is made: a segment of a connection, or a run of them. tcp_out.c says
 * which, and when. What nearly every segment takes is inlined.
 *
 * Picture   tcp_emit_new -> _header -> _acking -> _pieces: an answer that is one segment
 *                                           |---> tcp_emit_segment: text, of any length
 *                                           '---> tcp_emit_bare: none
 */
#ifndef TCP_EMIT_H
#define TCP_EMIT_H

#ifndef HF_PRIV_TCP
#error "tcp_emit.h is private to lib/tcp"
#endif

#include "tcp_conn.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"

/* A place in the send queue. */
struct tcp_cursor {
	struct tcp_span *span;
	uint32_t off;
};

static inline struct hf_tcp_emit *tcp_emit_new(struct hf_tcp *tcp)
{
	if (tcp->emit_left == 0)
		return NULL;
	tcp->emit_left--;
	hf_stat_inc(HF_STAT_TCP_SEGS_OUT);
	return &tcp->emit[tcp->emit_count++];
}

static inline struct hf_tcp_emit *tcp_emit_header(
	struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint32_t seq, uint8_t flags)
{
	struct hf_tcp_emit *emit = tcp_emit_new(tcp);

	if (!emit)
		return NULL;
	emit->src = conn->local;
	emit->dst = conn->peer;
	emit->sport = conn->local_port;
	emit->dport = conn->peer_port;
	emit->seq = seq;
	emit->ack = conn->rcv_nxt;
	emit->wnd = 0;
	emit->flags = flags;
	emit->ecn = HF_TCP_ECN_NOT_ECT;
	emit->may_fragment = tcp_has(conn, TCP_F_MAY_FRAGMENT);
	emit->opt_len = 0;
	emit->mss = conn->mss;
	emit->piece_count = 0;
	emit->len = 0;
	emit->path = conn->path;
	return emit;
}

/* The peer has sent what lies behind a hole, or something twice: pure ACKs tell it. */
static inline bool tcp_emit_has_sacks(const struct hf_tcp_conn *conn)
{
	return conn->ooo || tcp_has(conn, TCP_F_DSACK);
}

/* As tcp_emit_header, and our ACK, window and time (RFC 7323 §3.2) are told with it. */
static inline struct hf_tcp_emit *tcp_emit_acking(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq)
{
	struct hf_tcp_emit *emit = tcp_emit_header(tcp, conn, seq, HF_TCP_ACK);

	if (!emit)
		return NULL;
	if (tcp_has(conn, TCP_F_ECE))
		emit->flags |= HF_TCP_ECE;
	emit->wnd = tcp_wnd_announce(tcp, conn);
	if (tcp_has(conn, TCP_F_TS))
		emit->opt_len = tcp_opt_build_ts(
			tcp_now_ms(tcp) + conn->ts_off, conn->ts_recent, emit->opt);
	conn->ack_sent = conn->rcv_nxt;
	conn->ack_segs = 0;
	tcp_due_clear(conn, TCP_DUE_ACK);
	if (!tcp_emit_has_sacks(conn))
		conn->flags &= ~(uint32_t)TCP_F_ACK_NOW;
	return emit;
}

static inline void tcp_emit_pieces(struct hf_tcp_emit *emit, struct tcp_cursor *at, uint32_t len)
{
	emit->len = len;
	while (len > 0) {
		struct tcp_span *span = at->span;
		uint32_t n = hf_min_u32(span->len - at->off, len);

		HF_ASSERT_HOT(emit->piece_count < HF_TCP_EMIT_PIECES);
		emit->piece[emit->piece_count++] = (struct hf_tcp_piece){ span->data + at->off, n,
			span->zero_copy, span->ref };
		if (span->ref)
			hf_ref_get(span->ref);
		len -= n;
		at->off += n;
		if (at->off == span->len) {
			at->span = span->next;
			at->off = 0;
		}
	}
}

/* tcp_emit.c */
/* A segment without text. */
bool tcp_emit_bare(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq);
/* One descriptor of `len` bytes at most; fewer where the pieces do not reach. Moves the cursor.
 * NULL when the emit array is full. */
struct hf_tcp_emit *tcp_emit_segment(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	struct tcp_cursor *at, uint32_t seq, uint32_t len, bool fin);

#endif
