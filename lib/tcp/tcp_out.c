/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What may be sent now, as emit descriptors.
 */
#include "hf_tcp.h"

#include "tcp_priv.h"

/* A place in the send queue. */
struct out_cursor {
	struct tcp_span *span;
	uint32_t off;
};

static struct hf_tcp_emit *out_emit(struct hf_tcp *tcp)
{
	if (tcp->emit_count == tcp->cfg.emits_max)
		return NULL;
	hf_stat_inc(HF_STAT_TCP_SEGS_OUT);
	return &tcp->emit[tcp->emit_count++];
}

static struct hf_tcp_emit *out_header(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq, uint8_t flags)
{
	struct hf_tcp_emit *emit = out_emit(tcp);

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
	emit->opt_len = 0;
	emit->mss = conn->mss;
	emit->piece_count = 0;
	emit->len = 0;
	emit->path = conn->path;
	return emit;
}

/* As out_header, and our ACK and window are told with it. */
static struct hf_tcp_emit *out_acking(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq, uint8_t flags)
{
	struct hf_tcp_emit *emit = out_header(tcp, conn, seq, flags | HF_TCP_ACK);

	if (!emit)
		return NULL;
	emit->wnd = tcp_wnd_announce(tcp, conn);
	conn->flags &= ~(uint32_t)TCP_F_ACK_NOW;
	conn->ack_segs = 0;
	hf_timer_del(tcp->wheel, &conn->delack);
	return emit;
}

/* How many of `len` bytes from here on HF_TCP_EMIT_PIECES pieces can name. */
static uint32_t out_reach(struct out_cursor at, uint32_t len)
{
	uint32_t reach = 0;

	for (uint32_t i = 0; i < HF_TCP_EMIT_PIECES && at.span && reach < len; i++) {
		reach += hf_min_u32(at.span->len - at.off, len - reach);
		at.span = at.span->next;
		at.off = 0;
	}
	return reach;
}

static void out_pieces(struct hf_tcp_emit *emit, struct out_cursor *at, uint32_t len)
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

/* One descriptor of `len` bytes at most; fewer where the pieces do not reach. Moves the cursor.
 * False when the emit array is full. */
static bool out_segment(struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct out_cursor *at,
	uint32_t seq, uint32_t len, bool fin, uint32_t *ret_len)
{
	uint32_t reach = out_reach(*at, len);
	struct hf_tcp_emit *emit = out_acking(tcp, conn, seq, 0);

	if (!emit)
		return false;
	if (reach < len) {
		fin = false;
		if (reach > conn->mss)
			reach -= reach % conn->mss; /* a run has no short segment in its midst */
	}
	out_pieces(emit, at, reach);
	if (fin)
		emit->flags |= HF_TCP_FIN;
	if (reach > 0 && seq + reach == conn->snd_una + conn->sndq_len)
		emit->flags |= HF_TCP_PSH;
	if (reach > conn->mss)
		hf_stat_add(HF_STAT_TCP_SEGS_OUT, (reach - 1) / conn->mss);
	conn->sent_us = tcp->now_us;
	*ret_len = reach;
	return true;
}

static bool out_fin_left(const struct hf_tcp_conn *conn)
{
	return tcp_has(conn, TCP_F_FIN_QUEUED) && !tcp_has(conn, TCP_F_FIN_ACKED) &&
	       conn->snd_nxt == conn->snd_una + conn->sndq_len;
}

bool tcp_out_unsent(const struct hf_tcp_conn *conn)
{
	if (conn->state == TCP_SYN_RECEIVED)
		return false;
	return conn->snd_nxt - conn->snd_una < conn->sndq_len || out_fin_left(conn);
}

static uint32_t out_chunk(const struct hf_tcp_conn *conn)
{
	uint32_t tso = conn->path.tso_max;

	return tso > conn->mss ? tso - tso % conn->mss : conn->mss;
}

/* Bytes that the windows let out in one descriptor now. RFC 9293 §3.8.6.2.1 against silly windows:
 * a full segment, or all there is, or half of the largest window seen, or the persist timer. */
static uint32_t out_len(const struct hf_tcp_conn *conn)
{
	uint32_t off = conn->snd_nxt - conn->snd_una;
	uint32_t window = hf_min_u32(conn->snd_wnd, tcp_cc_window(conn));
	uint32_t left, len;

	if (off >= conn->sndq_len || window <= off)
		return 0;
	left = conn->sndq_len - off;
	len = hf_min_u32(hf_min_u32(left, window - off), out_chunk(conn));
	if (len == left)
		return len;
	if (len >= conn->mss)
		return len - len % conn->mss;
	if (off + len < conn->snd_wnd) /* the congestion window is the bound: ACKs will come */
		return 0;
	return len >= conn->snd_wnd_max / 2 || tcp_has(conn, TCP_F_PROBE_NOW) ? len : 0;
}

/* Behind `len` bytes from snd_nxt on; needs a place in the peer's window, as any byte. */
static bool out_fin(const struct hf_tcp_conn *conn, uint32_t len)
{
	uint32_t off = conn->snd_nxt - conn->snd_una + len;

	return tcp_has(conn, TCP_F_FIN_QUEUED) && !tcp_has(conn, TCP_F_FIN_ACKED) &&
	       off == conn->sndq_len && conn->snd_wnd > off;
}

static void out_sent_again(struct hf_tcp_conn *conn, uint32_t len)
{
	uint32_t segs = len > conn->mss ? (len + conn->mss - 1) / conn->mss : 1;

	hf_stat_add(HF_STAT_TCP_RETRANSMITS, segs);
	conn->retransmits += segs;
	conn->flags &= ~(uint32_t)TCP_F_RTT; /* Karn: RFC 6298 §3 */
}

static void out_advance(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len, bool fin)
{
	bool again = tcp_seq_lt(conn->snd_nxt, conn->snd_max);

	conn->snd_nxt += len + fin;
	if (fin)
		conn->flags |= TCP_F_FIN_SENT;
	if (again)
		out_sent_again(conn, len);
	if (tcp_seq_gt(conn->snd_nxt, conn->snd_max)) {
		conn->bytes_out += conn->snd_nxt - conn->snd_max - (fin ? 1 : 0);
		conn->snd_max = conn->snd_nxt;
	}
	if (!again && !tcp_has(conn, TCP_F_RTT)) {
		conn->flags |= TCP_F_RTT;
		conn->rtt_seq = conn->snd_nxt;
		conn->rtt_us = tcp->now_us;
	}
}

/* New data, and after a timeout old data from snd_una on. False when a bound stopped it. */
static bool out_new(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t budget = TCP_FLUSH_BYTES;

	if (conn->snd_una == conn->snd_max && tcp->now_us - conn->sent_us > conn->rto_us)
		tcp_cc_idle(conn);
	for (;;) {
		struct out_cursor at = { conn->snd_cur, conn->cur_off };
		uint32_t len = out_len(conn);
		bool fin = out_fin(conn, len);
		uint32_t sent;

		if (len == 0 && !fin)
			return true;
		if (budget < hf_min_u32(len, conn->mss))
			return false;
		len = len > budget ? budget - budget % conn->mss : len;
		fin = fin && out_fin(conn, len);
		if (!out_segment(tcp, conn, &at, conn->snd_nxt, len, fin, &sent))
			return false;
		conn->snd_cur = at.span;
		conn->cur_off = at.off;
		out_advance(tcp, conn, sent, fin && sent == len);
		conn->flags &= ~(uint32_t)TCP_F_PROBE_NOW;
		budget -= sent;
	}
}

/* The segment at snd_una once more, RFC 5681 §3.2. */
static bool out_rexmit(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct out_cursor at = { conn->sndq_head, conn->head_off };
	uint32_t out = conn->snd_max - conn->snd_una;
	uint32_t len =
		hf_min_u32(hf_min_u32(conn->mss, conn->sndq_len), hf_min_u32(out, conn->snd_wnd));
	bool fin = tcp_has(conn, TCP_F_FIN_SENT) && len == conn->sndq_len && len < out;
	uint32_t sent;

	conn->flags &= ~(uint32_t)TCP_F_REXMIT_NOW;
	if (conn->snd_wnd == 0 || out == 0)
		return true;
	if (!out_segment(tcp, conn, &at, conn->snd_una, len, fin, &sent)) {
		conn->flags |= TCP_F_REXMIT_NOW;
		return false;
	}
	out_sent_again(conn, sent);
	return true;
}

/* RFC 9293 §3.8.6.1: one byte into a closed window. It counts as sent, snd_nxt stays. */
static bool out_probe(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct out_cursor at = { conn->sndq_head, conn->head_off };
	bool fin = conn->sndq_len == 0;
	uint32_t sent;

	if (conn->snd_wnd > 0)
		return true; /* out_len lets a small segment out */
	if (!out_segment(tcp, conn, &at, conn->snd_una, fin ? 0 : 1, fin, &sent))
		return false;
	conn->flags &= ~(uint32_t)(TCP_F_PROBE_NOW | TCP_F_RTT);
	if (conn->snd_max == conn->snd_una) {
		conn->snd_max++;
		conn->bytes_out += sent;
	}
	if (fin)
		conn->flags |= TCP_F_FIN_SENT;
	return true;
}

static bool out_syn(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct hf_tcp_emit *emit = out_header(tcp, conn, conn->iss, HF_TCP_SYN | HF_TCP_ACK);

	if (!emit)
		return false;
	emit->wnd = (uint16_t)hf_min_u32(conn->rcv_adv - conn->rcv_nxt, UINT16_MAX);
	emit->opt_len = tcp_opt_synack(conn, emit->opt);
	conn->flags &= ~(uint32_t)TCP_F_SYNACK_NOW;
	return true;
}

static bool out_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	/* A peer with a closed window takes nothing but what is exactly in place. */
	uint32_t seq = conn->snd_wnd == 0 ? conn->snd_nxt : conn->snd_max;

	if (!tcp_has(conn, TCP_F_ACK_NOW) && !tcp_wnd_update_due(tcp, conn))
		return true;
	return out_acking(tcp, conn, seq, 0) != NULL;
}

static bool out_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (tcp_has(conn, TCP_F_SYNACK_NOW))
		return out_syn(tcp, conn);
	if (conn->state != TCP_SYN_RECEIVED) {
		if (tcp_has(conn, TCP_F_REXMIT_NOW) && !out_rexmit(tcp, conn))
			return false;
		if (tcp_has(conn, TCP_F_PROBE_NOW) && !out_probe(tcp, conn))
			return false;
		if (!out_new(tcp, conn))
			return false;
	}
	return out_ack(tcp, conn);
}

void tcp_output(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(conn->state != TCP_CLOSED);
	tcp_conn_unready(tcp, conn);
	if (!out_all(tcp, conn))
		tcp_conn_ready(tcp, conn);
	/* only now, so that a response sent at once never touches the timer */
	if (conn->ack_segs > 0 && !hf_timer_armed(&conn->delack))
		hf_timer_set(tcp->wheel, &conn->delack, tcp->now_us + TCP_DELACK_US);
	tcp_conn_fin_bound(tcp, conn);
	tcp_rexmit_arm(tcp, conn, /* restart= */ false);
}

void tcp_out_rst(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!out_header(tcp, conn, conn->snd_max, HF_TCP_RST | HF_TCP_ACK))
		(void)hf_drop(HF_DROP_TCP_EMITS_FULL);
	else
		hf_stat_inc(HF_STAT_TCP_RESET_OUT);
}

/* RFC 9293 §3.10.7.1 */
enum hf_drop tcp_out_rst_unknown(struct hf_tcp *tcp, const struct hf_tcp_seg *seg)
{
	uint32_t seg_len =
		seg->payload_len + !!(seg->flags & HF_TCP_SYN) + !!(seg->flags & HF_TCP_FIN);
	bool has_ack = seg->flags & HF_TCP_ACK;
	struct hf_tcp_emit *emit = out_emit(tcp);

	HF_ASSERT(!(seg->flags & HF_TCP_RST));
	if (!emit)
		return hf_drop(HF_DROP_TCP_EMITS_FULL);
	*emit = (struct hf_tcp_emit){
		.src = seg->dst,
		.dst = seg->src,
		.sport = seg->dport,
		.dport = seg->sport,
		.seq = has_ack ? seg->ack : 0,
		.ack = has_ack ? 0 : seg->seq + seg_len,
		.flags = has_ack ? HF_TCP_RST : HF_TCP_RST | HF_TCP_ACK,
		.mss = tcp_syn_path_mss(&seg->src, &seg->path),
		.path = seg->path,
	};
	hf_stat_inc(HF_STAT_TCP_RESET_OUT);
	return HF_DROP_NONE;
}
