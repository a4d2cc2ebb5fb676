/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A segment for a connection, in the order of RFC 9293 §3.10.7.4; RST and SYN as RFC 5961 has them.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_open.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"
#include "tcp_trace.h"

#define TCP_PAWS_IDLE_MS (24U * 86400 * 1000) /* RFC 7323 §5.5 */

/* What of a segment's text lies in the window. */
struct in_cut {
	uint32_t seq;
	uint32_t len;
	const uint8_t *data;
	bool fin;
};

void tcp_in_challenge(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_rate_take(tcp, &tcp->challenges, TCP_CHALLENGES_PER_S))
		return;
	conn->flags |= TCP_F_ACK_NOW;
	hf_stat_inc(HF_STAT_TCP_CHALLENGE_ACKS);
	tcp_trace(tcp, conn, HF_TCP_TRACE_CHALLENGE, 0);
}

/* Second: RST. RFC 5961 §3.2: in place, or challenged, or nothing. */
static enum hf_drop in_rst(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	uint32_t ahead = seg->seq - conn->rcv_nxt;

	if (conn->state == TCP_TIME_WAIT) /* RFC 1337 */
		return hf_drop(HF_DROP_TCP_BAD_RST);
	if (ahead == 0) {
		hf_stat_inc(HF_STAT_TCP_RESET_IN);
		tcp_conn_kill(tcp, conn, /* rst= */ false);
		return HF_DROP_NONE;
	}
	if (ahead < conn->rcv_adv - conn->rcv_nxt)
		tcp_in_challenge(tcp, conn);
	return hf_drop(HF_DROP_TCP_BAD_RST);
}

/* RFC 6191 §2: a SYN that no old duplicate can be begins a new connection of the same addresses. */
static bool in_syn_is_newer(
	const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	int32_t later = (int32_t)(opts->ts_val - conn->ts_recent);

	if (opts->has_ts && !tcp_has(conn, TCP_F_TS))
		return true;
	if (opts->has_ts && later != 0)
		return later > 0;
	return tcp_seq_ge(seg->seq, conn->rcv_nxt);
}

/* Fourth: SYN, wherever it stands. RFC 5961 §4.2. */
static enum hf_drop in_syn(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	bool first = !(seg->flags & HF_TCP_ACK);
	bool opening = conn->state == TCP_SYN_RECEIVED && seg->seq == conn->irs;

	if (opening && first) {
		if (tcp_has(conn, TCP_F_TS) && opts->has_ts)
			conn->ts_recent = opts->ts_val; /* RFC 7323 §4.3 */
		if (!tcp_wants_ecn(seg))                /* RFC 3168 §6.1.1.1: the path minds it */
			conn->flags &= ~(uint32_t)TCP_F_ECN;
		conn->flags |= TCP_F_SYN_NOW | TCP_F_SYN_AGAIN; /* ours was lost */
		return HF_DROP_NONE;
	}
	if (opening && tcp_has(conn, TCP_F_ACTIVE) && seg->ack == conn->snd_nxt) {
		tcp_syn_established(tcp, conn, seg); /* both opened at once: RFC 9293 figure 7 */
		conn->flags |= TCP_F_ACK_NOW;
		return HF_DROP_NONE;
	}
	if (conn->state == TCP_TIME_WAIT && first && in_syn_is_newer(conn, seg, opts)) {
		uint32_t iss_above = conn->snd_nxt; /* RFC 9293 §3.6.1: reuse */

		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return tcp_demux_unknown(tcp, seg, &iss_above);
	}
	tcp_in_challenge(tcp, conn);
	return hf_drop(HF_DROP_TCP_BAD_SYN);
}

/* Outside of the window: acknowledged, so that the other end finds its place again. */
static enum hf_drop in_unacceptable(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	bool keepalive = seg->seq == conn->rcv_nxt - 1; /* RFC 9293 §3.8.4 */

	if (conn->state == TCP_TIME_WAIT && (seg->flags & HF_TCP_FIN))
		tcp_conn_time_wait(tcp, conn); /* starts again */
	if (tcp_seq_lt(seg->seq, conn->rcv_nxt) && seg->payload_len > 0)
		tcp_rx_duplicate(conn, seg->seq, seg->payload_len);
	/* What has no text may be the answer to an ACK of ours: never two ends for ever. */
	if (seg->payload_len > 0 || (seg->flags & HF_TCP_FIN) || keepalive)
		conn->flags |= TCP_F_ACK_NOW;
	else
		tcp_in_challenge(tcp, conn);
	return hf_drop(HF_DROP_TCP_OUT_OF_WINDOW);
}

/* First: the sequence number. False when nothing of the segment is acceptable; else what is stays. */
static bool in_seq(struct hf_tcp_conn *conn, struct in_cut *seg)
{
	struct in_cut cut = *seg;
	uint32_t window = conn->rcv_adv - conn->rcv_nxt;
	uint32_t len = cut.len + cut.fin;
	uint32_t room;

	if (tcp_seq_lt(cut.seq, conn->rcv_nxt)) {
		uint32_t old = conn->rcv_nxt - cut.seq;

		if (old >= len)
			return false;
		if (cut.len > 0)
			tcp_rx_duplicate(conn, cut.seq, hf_min_u32(old, cut.len));
		cut.seq += old;
		cut.data += old;
		cut.len -= old;
	} else if (
		cut.seq - conn->rcv_nxt > window ||
		/* an ACK may stand right behind a full window; a window probe may stand in place */
		(cut.seq - conn->rcv_nxt == window && len > 0 && window > 0)) {
		return false;
	}
	room = conn->rcv_adv - cut.seq;
	if (cut.len > room) {
		cut.len = room;
		cut.fin = false;
		conn->flags |= TCP_F_ACK_NOW;
	}
	*seg = cut;
	return true;
}

/* Fifth: our FIN was acknowledged. False when the connection is no more. */
static bool in_fin_acked(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_FIN_ACKED))
		return true;
	switch (conn->state) {
	case TCP_FIN_WAIT_1:
		conn->state = TCP_FIN_WAIT_2;
		tcp_due_set(tcp, conn, TCP_DUE_STATE, 1000ULL * tcp->cfg.fin_timeout_ms);
		return true;
	case TCP_CLOSING:
		tcp_conn_time_wait(tcp, conn);
		return true;
	case TCP_LAST_ACK:
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return false;
	default:
		return true;
	}
}

/* Fifth: ACK, before anybody looks at what it acknowledges. */
static enum hf_drop in_ack(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	if (!(seg->flags & HF_TCP_ACK))
		return hf_drop(HF_DROP_TCP_BAD_FLAGS);
	if (conn->state != TCP_SYN_RECEIVED)
		return HF_DROP_NONE;
	if (seg->ack != conn->snd_nxt) {
		tcp_emit_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_TCP_BAD_ACK);
	}
	tcp_syn_established(tcp, conn, seg);
	return HF_DROP_NONE;
}

/* The application closed: its peer may finish talking, up to a bound. False when the connection is
 * no more. */
static bool in_discard(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct in_cut *cut)
{
	if (cut->seq != conn->rcv_nxt) {
		conn->flags |= TCP_F_ACK_NOW;
		return true;
	}
	conn->rcv_nxt += cut->len;
	conn->discard_len += cut->len;
	if (conn->discard_len > TCP_DISCARD_MAX) {
		hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
		tcp_conn_abandon(tcp, conn, /* rst= */ true);
		return false;
	}
	tcp_rx_ack_later(conn, cut->len);
	return true;
}

/* Seventh: the text. Returns the drop reason; *ret_alive is false when the connection is no more. */
static enum hf_drop in_text(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct in_cut *cut, bool *ret_alive)
{
	*ret_alive = true;
	if (tcp_has(conn, TCP_F_RCV_FIN) && tcp_seq_gt(cut->seq + cut->len, conn->fin_seq)) {
		/* there is nothing behind a FIN */
		cut->len = tcp_seq_lt(cut->seq, conn->fin_seq) ? conn->fin_seq - cut->seq : 0;
		cut->fin = false;
	}
	if (cut->len == 0)
		return HF_DROP_NONE;
	switch (conn->state) {
	case TCP_ESTABLISHED:
		return tcp_rx_payload(tcp, conn, cut->seq, cut->data, cut->len);
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
		*ret_alive = in_discard(tcp, conn, cut);
		return hf_drop(HF_DROP_TCP_AFTER_CLOSE);
	default:
		return HF_DROP_NONE;
	}
}

/* Eighth: FIN. */
static void in_fin(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct in_cut *cut)
{
	bool may_wait = conn->state == TCP_ESTABLISHED || cut->seq + cut->len == conn->rcv_nxt;

	if (cut->fin && !tcp_has(conn, TCP_F_RCV_FIN) && may_wait) {
		conn->flags |= TCP_F_RCV_FIN;
		conn->fin_seq = cut->seq + cut->len;
		tcp_trace(tcp, conn, HF_TCP_TRACE_FIN_IN, 0);
	}
	if (cut->fin)
		conn->flags |= TCP_F_ACK_NOW;
	tcp_rx_fin(tcp, conn);
}

/* RFC 7323 §5.3 R1, §5.5, and §3.2: a segment without its timestamp is none of this connection. */
static enum hf_drop in_paws(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	bool recent = tcp_now_ms(tcp) - conn->ts_recent_ms < TCP_PAWS_IDLE_MS;

	if (!tcp_has(conn, TCP_F_TS) || (seg->flags & HF_TCP_RST))
		return HF_DROP_NONE;
	if (!opts->has_ts) /* but of a SYN RFC 5961 §4.2 and RFC 6191 decide */
		return seg->flags & HF_TCP_SYN ? HF_DROP_NONE : HF_DROP_TCP_BAD_OPTION;
	if (!recent || (int32_t)(opts->ts_val - conn->ts_recent) >= 0)
		return HF_DROP_NONE;
	if (seg->payload_len > 0 && tcp_seq_le(seg->seq + seg->payload_len, conn->rcv_nxt))
		tcp_rx_duplicate(conn, seg->seq, seg->payload_len);
	if (seg->payload_len > 0 || (seg->flags & HF_TCP_FIN))
		conn->flags |= TCP_F_ACK_NOW;
	else if (!(seg->flags & HF_TCP_ACK) || tcp_seq_gt(seg->ack, conn->snd_una))
		tcp_in_challenge(tcp, conn); /* else an ACK that was overtaken on its way */
	return HF_DROP_TCP_PAWS;
}

/* RFC 7323 §4.3: TS.Recent is what the ACK that we send next must echo. Not of a segment whose ACK is
 * wrong: who guesses a sequence number could set it so that PAWS throws away what follows. */
static void in_timestamp(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg,
	const struct tcp_opts *opts)
{
	uint32_t rtt_us;

	if (!tcp_has(conn, TCP_F_TS))
		return;
	if (tcp_seq_le(seg->seq, conn->ack_sent)) {
		conn->ts_recent = opts->ts_val;
		conn->ts_recent_ms = tcp_now_ms(tcp);
	}
	if (seg->payload_len < TCP_MSS_DEFAULT4 || opts->ts_ecr == 0)
		return;
	rtt_us = 1000 * hf_max_u32(tcp_now_ms(tcp) - (opts->ts_ecr - conn->ts_off), 1);
	if (rtt_us < TCP_RTO_MAX_US && (conn->rcv_rtt_us == 0 || rtt_us < conn->rcv_rtt_us))
		conn->rcv_rtt_us = rtt_us;
	else if (rtt_us < TCP_RTO_MAX_US)
		conn->rcv_rtt_us += (rtt_us - conn->rcv_rtt_us) / 8;
}

/* RFC 3168 §6.1.3: each ACK says ECE until CWR comes. */
static void in_ecn(struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	if (!tcp_has(conn, TCP_F_ECN))
		return;
	if (seg->flags & HF_TCP_CWR)
		conn->flags &= ~(uint32_t)TCP_F_ECE;
	if (seg->ecn == HF_TCP_ECN_CE && seg->payload_len > 0)
		conn->flags |= TCP_F_ECE | TCP_F_ACK_NOW;
}

/* In the window, and what it acknowledges was sent: it is the peer's. `len` bytes of it are new. */
static inline void in_taken(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, uint32_t len)
{
	conn->in_ms = tcp_now_ms(tcp);
	conn->keep_count = 0;
	tcp_pmtu_path(tcp, conn, &seg->path);
	in_ecn(conn, seg);
	if (len == 0)
		return;
	tcp_trace_inline(tcp, conn, HF_TCP_TRACE_IN, len);
	if (conn->place == TCP_PLACE_IDLE)
		tcp_conn_place(tcp, conn, TCP_PLACE_NONE);
}

static HF_NOINLINE enum hf_drop in_valid(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, struct in_cut *cut)
{
	enum hf_drop drop;
	bool alive;

	in_taken(tcp, conn, seg, cut->len);
	drop = in_text(tcp, conn, cut, &alive);
	if (alive)
		in_fin(tcp, conn, cut);
	return drop;
}

/* First to fourth, and what makes an ACK one to look at. False: there is nothing more to do with it. */
static HF_NOINLINE bool in_checks(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts, struct in_cut *ret_cut,
	enum hf_drop *ret_drop)
{
	enum hf_drop drop = in_paws(tcp, conn, seg, opts);

	*ret_cut = (struct in_cut){ seg->seq, seg->payload_len, seg->payload,
		seg->flags & HF_TCP_FIN };
	if (drop != HF_DROP_NONE)
		*ret_drop = hf_drop(drop);
	else if (seg->flags & HF_TCP_RST)
		*ret_drop = in_rst(tcp, conn, seg);
	else if (seg->flags & HF_TCP_SYN)
		*ret_drop = in_syn(tcp, conn, seg, opts);
	else if (!in_seq(conn, ret_cut))
		*ret_drop = in_unacceptable(tcp, conn, seg);
	else
		return (*ret_drop = in_ack(tcp, conn, seg)) == HF_DROP_NONE;
	return false;
}

/* Header prediction (V. Jacobson, "4BSD TCP header prediction", 1990): both ends talk, and this is what
 * is next, all of it in the window. Whoever looked would find nothing of what else a segment may be. */
static bool in_is_next(
	const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	const uint8_t flags = HF_TCP_SYN | HF_TCP_RST | HF_TCP_FIN | HF_TCP_ACK;

	return seg->seq == conn->rcv_nxt && (seg->flags & flags) == HF_TCP_ACK &&
	       conn->state == TCP_ESTABLISHED && !tcp_has(conn, TCP_F_RCV_FIN) &&
	       seg->payload_len <= conn->rcv_adv - conn->rcv_nxt &&
	       (!tcp_has(conn, TCP_F_TS) ||
		       (opts->has_ts && (int32_t)(opts->ts_val - conn->ts_recent) >= 0));
}

static enum hf_drop in_segment(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	bool next = in_is_next(conn, seg, opts);
	enum hf_drop drop;
	struct in_cut cut;

	HF_ASSERT_HOT(!next || (in_checks(tcp, conn, seg, opts, &cut, &drop) &&
				       cut.len == seg->payload_len));
	if (hf_unlikely(!next) && !in_checks(tcp, conn, seg, opts, &cut, &drop))
		return drop;
	drop = tcp_ack_input(tcp, conn, seg, opts);
	if (drop != HF_DROP_NONE)
		return drop;
	in_timestamp(tcp, conn, seg, opts);
	if (hf_unlikely(!next))
		return in_fin_acked(tcp, conn) ? in_valid(tcp, conn, seg, &cut) : HF_DROP_NONE;
	in_taken(tcp, conn, seg, seg->payload_len);
	if (seg->payload_len > 0)
		tcp_rx_next(tcp, conn, seg->payload, seg->payload_len);
	return HF_DROP_NONE;
}

enum hf_drop tcp_in_conn(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	struct tcp_opts opts;
	enum hf_drop drop;

	tcp->cur = (struct tcp_current){ .conn = conn };
	if (!tcp_opt_parse(seg->opt, seg->opt_len, &opts))
		return hf_drop(HF_DROP_TCP_BAD_OPTION);
	if (conn->state == TCP_SYN_SENT)
		return tcp_syn_answer(tcp, conn, seg, &opts);
	drop = in_segment(tcp, conn, seg, &opts);
	if (drop != HF_DROP_NONE && tcp->cur.conn == conn)
		tcp_trace(tcp, conn, HF_TCP_TRACE_DROP, drop);
	return drop;
}
