/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What may be sent now, as emit descriptors: which segments, and when. tcp_emit makes each.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_emit.h"
#include "tcp_loss.h"
#include "tcp_open.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"
#include "tcp_trace.h"

static bool out_fin_left(const struct hf_tcp_conn *conn)
{
	return tcp_has(conn, TCP_F_FIN_QUEUED) && !tcp_has(conn, TCP_F_FIN_SENT) &&
	       conn->snd_nxt == conn->snd_una + conn->tx->len;
}

bool tcp_out_unsent(const struct hf_tcp_conn *conn)
{
	if (conn->state < TCP_ESTABLISHED || !conn->tx)
		return false;
	return conn->snd_nxt - conn->snd_una < conn->tx->len || out_fin_left(conn);
}

/* Of one descriptor. RFC 3168 §6.1.2: CWR stands on one segment only. */
static uint32_t out_chunk(const struct hf_tcp_conn *conn)
{
	uint32_t tso = conn->path.tso_max;

	if (tcp_has(conn, TCP_F_CWR_NOW))
		return conn->mss;
	return tso > conn->mss ? tso - tso % conn->mss : conn->mss;
}

/* Bytes that the windows let out in one descriptor now. RFC 9293 §3.8.6.2.1 against silly windows:
 * a full segment, or all there is, or half of the largest window seen, or the persist timer. */
static uint32_t out_len(const struct hf_tcp_conn *conn, uint32_t cwnd)
{
	const struct tcp_tx *tx = conn->tx;
	uint32_t off = conn->snd_nxt - conn->snd_una;
	uint32_t pipe = tcp_recovery_pipe(conn);
	uint32_t left, open, len;

	if (off >= tx->len || conn->snd_wnd <= off || cwnd <= pipe)
		return 0;
	left = tx->len - off;
	open = hf_min_u32(conn->snd_wnd - off, cwnd - pipe);
	if (left <= hf_min_u32(open, conn->mss))
		return left;
	len = hf_min_u32(hf_min_u32(left, open), out_chunk(conn));
	if (len == left)
		return len;
	if (len >= conn->mss)
		return len - len % conn->mss;
	if (open < conn->snd_wnd - off) /* the congestion window is the bound: ACKs will come */
		return 0;
	return len >= conn->snd_wnd_max / 2 || tcp_has(conn, TCP_F_PROBE_NOW) ? len : 0;
}

/* Behind `len` bytes from snd_nxt on; needs a place in the peer's window, as any byte. */
static bool out_fin(const struct hf_tcp_conn *conn, uint32_t len)
{
	uint32_t off = conn->snd_nxt - conn->snd_una + len;

	return tcp_has(conn, TCP_F_FIN_QUEUED) && !tcp_has(conn, TCP_F_FIN_SENT) &&
	       off == conn->tx->len && conn->snd_wnd > off;
}

/* Of the last segment that `len` bytes make. */
static uint32_t out_last_len(const struct hf_tcp_conn *conn, uint32_t len)
{
	return len > 0 ? (len - 1) % conn->mss + 1 : 0;
}

/* A record for each segment of a run; the FIN goes with the last bytes. */
static HF_NOINLINE void out_record_run(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len, bool fin)
{
	struct tcp_flight *flight = &conn->tx->flight;
	uint32_t last = fin ? out_last_len(conn, len) : 0;
	uint32_t now_us = (uint32_t)tcp->now_us;

	if (len > last)
		tcp_flight_push_run(flight, conn->snd_nxt, len - last, conn->mss, now_us);
	if (fin)
		tcp_flight_push(flight, conn->snd_nxt + len - last, last + 1, now_us);
}

/* `len` bytes and perhaps a FIN left, for the first time. */
static inline void out_sent(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len, bool fin)
{
	struct tcp_tx *tx = conn->tx;

	if (len + fin <= conn->mss)
		tcp_flight_push(&tx->flight, conn->snd_nxt, len + fin, (uint32_t)tcp->now_us);
	else
		out_record_run(tcp, conn, len, fin);
	conn->snd_nxt += len + fin;
	if (fin) {
		conn->flags |= TCP_F_FIN_SENT;
		tcp_trace(tcp, conn, HF_TCP_TRACE_FIN_OUT, 0);
	}
	conn->bytes_out += len;
	conn->sent_ms = tcp_now_ms(tcp);
	if (tx->recovery == TCP_RECOVERY || tx->recovery == TCP_CWR)
		tcp_cubic_prr_sent(&tx->cc, len);
	if (len > 0)
		tcp_trace_inline(tcp, conn, HF_TCP_TRACE_OUT, len);
}

/* As many segments as there is room for records, and for packets where a run is cut to them. */
static uint32_t out_recordable(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len)
{
	struct tcp_flight *flight = &conn->tx->flight;
	uint32_t room;

	if (!tcp_flight_room(flight, &tcp->records))
		return 0;
	room = (uint32_t)flight->cap - flight->count;
	if (conn->path.cut)
		room = hf_min_u32(room, tcp->emit_left);
	return (uint64_t)room * conn->mss < len ? room * conn->mss : len;
}

/* The descriptor of new data is made; the queue goes on at the cursor. */
static inline void out_gone(struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct hf_tcp_emit *emit,
	const struct tcp_cursor *at)
{
	conn->tx->cur = at->span;
	conn->tx->cur_off = at->off;
	if (tcp_has(conn, TCP_F_ECN) && emit->len > 0)
		emit->ecn = HF_TCP_ECN_ECT0;
	if (tcp_has(conn, TCP_F_CWR_NOW) && emit->len > 0) {
		emit->flags |= HF_TCP_CWR;
		conn->flags &= ~(uint32_t)TCP_F_CWR_NOW;
	}
	out_sent(tcp, conn, emit->len, emit->flags & HF_TCP_FIN);
	conn->flags &= ~(uint32_t)TCP_F_PROBE_NOW;
}

/* One descriptor of new data; ret_sent: bytes, FIN included. False when a bound of ours stopped it. */
static HF_NOINLINE bool out_next(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len, bool fin, uint32_t *ret_sent)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_cursor at = { tx->cur, tx->cur_off };
	uint32_t most = out_recordable(tcp, conn, hf_max_u32(len, 1));
	struct hf_tcp_emit *emit;

	if (most == 0)
		return false;
	fin = fin && len <= most;
	emit = tcp_emit_segment(tcp, conn, &at, conn->snd_nxt, hf_min_u32(len, most), fin);
	if (!emit)
		return false;
	out_gone(tcp, conn, emit, &at);
	*ret_sent = emit->len + !!(emit->flags & HF_TCP_FIN);
	return true;
}

/* RFC 5681 §4.1: after a pause the congestion window is of no use any more. */
static void out_restart(const struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (1000 * (uint64_t)(tcp_now_ms(tcp) - conn->sent_ms) > conn->rto_us)
		tcp_cubic_idle(&conn->tx->cc, conn->mss);
}

/* New data. False when a bound of ours stopped it: records, descriptors, the turn's share. */
static bool out_new(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t budget = TCP_FLUSH_BYTES;

	if (tx->flight.count == 0 && tx->len > 0)
		out_restart(tcp, conn);
	while (tcp_out_unsent(conn)) {
		uint32_t len = out_len(conn, tx->cc.cwnd);
		bool fin = out_fin(conn, len);
		uint32_t sent;

		if (len == 0 && !fin)
			return true;
		if (budget < hf_min_u32(len, conn->mss))
			return false;
		if (len > budget) {
			len = budget - budget % conn->mss;
			fin = false;
		}
		if (!out_next(tcp, conn, len, fin, &sent))
			return tx->flight.count > 0 && tx->flight.count == tx->flight.cap;
		budget -= hf_min_u32(sent, budget);
	}
	return true;
}

bool tcp_out_one(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t len = hf_min_u32(out_len(conn, TCP_CWND_MAX), conn->mss);
	bool fin = out_fin(conn, len);
	uint32_t sent;

	return (len > 0 || fin) && out_next(tcp, conn, len, fin, &sent);
}

/* The queue's bytes from seq on. */
static struct tcp_cursor out_seek(const struct hf_tcp_conn *conn, uint32_t seq)
{
	struct tcp_cursor at = { conn->tx->head, conn->tx->head_off };
	uint32_t skip = seq - conn->snd_una;

	while (at.span && skip >= at.span->len - at.off) {
		skip -= at.span->len - at.off;
		at.span = at.span->next;
		at.off = 0;
	}
	at.off += skip;
	return at;
}

/* So many descriptors are not left, but will be when these are gone. */
static bool out_crowded(const struct hf_tcp *tcp, uint32_t count)
{
	return tcp->emit_count > 0 && count > tcp->emit_left;
}

/* The connection may take smaller segments than when this one was sent. */
bool tcp_out_again(struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct tcp_sent *sent)
{
	struct tcp_cursor at = out_seek(conn, sent->seq);
	uint32_t end = sent->seq + sent->len;
	bool with_fin = tcp_has(conn, TCP_F_FIN_SENT) && end == conn->snd_nxt;
	uint32_t left = sent->len - with_fin;
	uint32_t seq = sent->seq;

	if (out_crowded(tcp, left / conn->mss + 1))
		return false;
	do {
		uint32_t len = hf_min_u32(left, conn->mss);
		struct hf_tcp_emit *emit =
			tcp_emit_segment(tcp, conn, &at, seq, len, with_fin && len == left);

		if (!emit)
			return false;
		seq += emit->len;
		left -= emit->len;
		conn->retransmits++;
		hf_stat_inc(HF_STAT_TCP_RETRANSMITS);
	} while (left > 0);
	conn->sent_ms = tcp_now_ms(tcp);
	tcp_trace(tcp, conn, HF_TCP_TRACE_RESENT, sent->len);
	return true;
}

/* What is lost goes out before what is new (RFC 6675 §4 NextSeg). */
static bool out_lost(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_sent *sent;
	uint32_t budget = TCP_FLUSH_BYTES;

	while (conn->snd_wnd > 0 && (sent = tcp_flight_next_lost(&tx->flight))) {
		uint32_t pipe = tcp_recovery_pipe(conn);

		if (pipe > 0 && pipe + hf_min_u32(sent->len, conn->mss) > tx->cc.cwnd)
			return true;
		if (budget < sent->len || !tcp_out_again(tcp, conn, sent))
			return false;
		budget -= sent->len;
		tcp_flight_resent(&tx->flight, sent, (uint32_t)tcp->now_us);
		tcp_recovery_resent(tcp, conn, sent->len);
	}
	return true;
}

/* RFC 9293 §3.8.6.1: one byte, or our FIN, into a closed window. */
static HF_NOINLINE bool out_probe(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_cursor at = { tx->head, tx->head_off };
	bool fin = tx->len == 0;
	bool first = tx->flight.count == 0;

	if (conn->snd_wnd > 0)
		return true; /* out_len lets a small segment out */
	if (first && out_recordable(tcp, conn, 1) == 0)
		return false;
	if (!tcp_emit_segment(tcp, conn, &at, conn->snd_una, fin ? 0 : 1, fin))
		return false;
	conn->flags &= ~(uint32_t)TCP_F_PROBE_NOW;
	tcp_trace(tcp, conn, HF_TCP_TRACE_PROBE, 0);
	if (!first) {
		struct tcp_sent *sent = tcp_flight_at(&tx->flight, 0);

		if (!(sent->flags & TCP_SENT_SACKED)) /* else the peer reneged: RFC 2018 §8 */
			tcp_flight_resent(&tx->flight, sent, (uint32_t)tcp->now_us);
		return true;
	}
	tx->cur = at.span;
	tx->cur_off = at.off;
	out_sent(tcp, conn, fin ? 0 : 1, fin);
	return true;
}

static bool out_syn(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	bool asks = conn->state == TCP_SYN_SENT;
	uint8_t flags = asks ? HF_TCP_SYN : HF_TCP_SYN | HF_TCP_ACK;
	struct hf_tcp_emit *emit = tcp_emit_header(tcp, conn, conn->iss, flags);

	if (!emit)
		return false;
	if (asks)
		emit->ack = 0;
	else if (tcp_has(conn, TCP_F_ECN))
		emit->flags |= HF_TCP_ECE; /* RFC 3168 §6.1.1 */
	emit->wnd = (uint16_t)hf_min_u32(tcp->cfg.rcv_wnd_init, UINT16_MAX);
	emit->opt_len = tcp_syn_options(tcp, conn, emit->opt);
	conn->flags &= ~(uint32_t)(TCP_F_SYN_NOW | TCP_F_ACK_NOW);
	return true;
}

/* Of a segment without text: where a window probe, or a window that was taken back, left snd_nxt behind
 * the peer's window, it would not look at what stands there (RFC 9293 §3.10.7.4). */
static uint32_t out_bare_seq(const struct hf_tcp_conn *conn)
{
	uint32_t edge = conn->snd_una + conn->snd_wnd;

	if (conn->state < TCP_ESTABLISHED || !tcp_seq_gt(conn->snd_nxt, edge))
		return conn->snd_nxt;
	return edge;
}

static bool out_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_ACK_NOW) && !tcp_wnd_update_due(tcp, conn))
		return true;
	return tcp_emit_bare(tcp, conn, out_bare_seq(conn));
}

/* RFC 9293 §3.8.4: no bytes, in front of what the peer expects, so that it must answer. */
static bool out_keepalive(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_emit_bare(tcp, conn, conn->snd_una - 1))
		return false;
	conn->flags &= ~(uint32_t)TCP_F_KEEP_NOW;
	hf_stat_inc(HF_STAT_TCP_KEEPALIVES);
	tcp_trace(tcp, conn, HF_TCP_TRACE_KEEPALIVE, conn->keep_count);
	return true;
}

/* As between two requests: nothing is in flight, and what is queued goes as one segment. */
static bool out_is_short(const struct hf_tcp_conn *conn)
{
	const uint32_t more =
		TCP_F_SYN_NOW | TCP_F_PROBE_NOW | TCP_F_KEEP_NOW | TCP_F_FIN_QUEUED | TCP_F_CWR_NOW;
	const struct tcp_tx *tx = conn->tx;

	return conn->state >= TCP_ESTABLISHED && tx && !tcp_has(conn, more) &&
	       tx->flight.count == 0 && tx->len > 0 && tx->len <= conn->mss &&
	       tx->len <= hf_min_u32(conn->snd_wnd, tx->cc.cwnd) && tx->spans <= HF_TCP_EMIT_PIECES;
}

/* What out_all does then, without its questions. */
static bool out_short(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_cursor at = { tx->cur, tx->cur_off };
	struct hf_tcp_emit *emit;

	out_restart(tcp, conn);
	emit = tcp_emit_acking(tcp, conn, conn->snd_nxt);
	if (!emit)
		return false;
	tcp_emit_pieces(emit, &at, tx->len);
	emit->flags |= HF_TCP_PSH;
	out_gone(tcp, conn, emit, &at);
	return out_ack(tcp, conn);
}

static HF_NOINLINE bool out_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (tcp_has(conn, TCP_F_SYN_NOW))
		return out_syn(tcp, conn);
	if (conn->state < TCP_ESTABLISHED)
		return conn->state == TCP_SYN_SENT || out_ack(tcp, conn);
	if (conn->tx) {
		if (!out_lost(tcp, conn))
			return false;
		if (tcp_has(conn, TCP_F_PROBE_NOW) && !out_probe(tcp, conn))
			return false;
		/* what is small enough for the rest of the window must not take the place of what is lost */
		if (conn->tx->flight.lost == 0 && !out_new(tcp, conn))
			return false;
	}
	if (tcp_has(conn, TCP_F_KEEP_NOW) && !out_keepalive(tcp, conn))
		return false;
	return out_ack(tcp, conn);
}

void tcp_output(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(conn->state != TCP_CLOSED);
	tcp_conn_unready(tcp, conn);
	if (!(out_is_short(conn) ? out_short(tcp, conn) : out_all(tcp, conn)))
		tcp_conn_ready(tcp, conn);
	/* only now, so that a response sent at once never touches the deadline */
	if (conn->ack_segs > 0 && conn->due_ms[TCP_DUE_ACK] == 0)
		tcp_due_set(tcp, conn, TCP_DUE_ACK, TCP_DELACK_US);
	tcp_conn_bound(tcp, conn);
	tcp_rexmit_arm(tcp, conn, /* restart= */ false);
}

void tcp_out_rst(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_emit_header(tcp, conn, out_bare_seq(conn), HF_TCP_RST | HF_TCP_ACK))
		hf_stat_inc(HF_STAT_TCP_RESETS_UNSENT);
	else
		hf_stat_inc(HF_STAT_TCP_RESET_OUT);
}
