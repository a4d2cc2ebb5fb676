/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A segment for a connection, in the order of RFC 9293 §3.10.7.4; RST and SYN as RFC 5961 has them.
 */
#include "hf_tcp.h"

#include "tcp_priv.h"

/* What of a segment's text lies in the window. */
struct in_cut {
	uint32_t seq;
	uint32_t len;
	const uint8_t *data;
	bool fin;
};

void tcp_in_challenge(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint64_t second = tcp->now_us / 1000000;

	if (second != tcp->challenge_second) {
		/* a limit that nobody can count from outside: RFC 5961 §7 was a side channel */
		uint64_t extra = hf_siphash(&tcp->cfg.isn_key, &second, sizeof(second));

		tcp->challenge_second = second;
		tcp->challenge_left =
			TCP_CHALLENGES_PER_S + (uint32_t)(extra % TCP_CHALLENGES_PER_S);
	}
	if (tcp->challenge_left == 0)
		return;
	tcp->challenge_left--;
	conn->flags |= TCP_F_ACK_NOW;
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

/* Fourth: SYN, wherever it stands. RFC 5961 §4.2. */
static enum hf_drop in_syn(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	bool first = !(seg->flags & HF_TCP_ACK);

	if (conn->state == TCP_SYN_RECEIVED && first && seg->seq == conn->irs) {
		conn->flags |= TCP_F_SYNACK_NOW | TCP_F_SYN_AGAIN; /* ours was lost */
		return HF_DROP_NONE;
	}
	if (conn->state == TCP_TIME_WAIT && first && tcp_seq_gt(seg->seq, conn->rcv_nxt)) {
		uint32_t iss_above = conn->snd_max; /* RFC 9293 §3.6.1: reuse */

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
	/* What has no text may be the answer to an ACK of ours: never two ends for ever. */
	if (seg->payload_len > 0 || (seg->flags & HF_TCP_FIN) || keepalive)
		conn->flags |= TCP_F_ACK_NOW;
	else
		tcp_in_challenge(tcp, conn);
	return hf_drop(HF_DROP_TCP_OUT_OF_WINDOW);
}

/* First: the sequence number. False when nothing of the segment is acceptable; else ret_cut. */
static bool in_seq(struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, struct in_cut *ret_cut)
{
	struct in_cut cut = { seg->seq, seg->payload_len, seg->payload, seg->flags & HF_TCP_FIN };
	uint32_t window = conn->rcv_adv - conn->rcv_nxt;
	uint32_t len = cut.len + cut.fin;
	uint32_t room;

	if (tcp_seq_lt(cut.seq, conn->rcv_nxt)) {
		uint32_t old = conn->rcv_nxt - cut.seq;

		if (old >= len)
			return false;
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
	*ret_cut = cut;
	return true;
}

/* Fifth: our FIN was acknowledged. False when the connection is no more. */
static bool in_fin_acked(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_FIN_ACKED)) {
		tcp_conn_fin_bound(tcp, conn);
		return true;
	}
	switch (conn->state) {
	case TCP_FIN_WAIT_1:
		conn->state = TCP_FIN_WAIT_2;
		hf_timer_set(
			tcp->wheel, &conn->age, tcp->now_us + 1000ULL * tcp->cfg.fin_timeout_ms);
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

/* Fifth: ACK. */
static enum hf_drop in_ack(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	if (!(seg->flags & HF_TCP_ACK))
		return hf_drop(HF_DROP_TCP_BAD_FLAGS);
	if (conn->state == TCP_SYN_RECEIVED) {
		if (seg->ack != conn->snd_max) {
			(void)tcp_out_rst_unknown(tcp, seg);
			return hf_drop(HF_DROP_TCP_BAD_ACK);
		}
		tcp_syn_established(tcp, conn, seg);
	}
	return tcp_ack_input(tcp, conn, seg);
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
	}
	if (cut->fin)
		conn->flags |= TCP_F_ACK_NOW;
	tcp_rx_fin(tcp, conn);
}

enum hf_drop tcp_in_conn(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	struct tcp_opts opts;
	struct in_cut cut;
	enum hf_drop drop;
	bool alive;

	tcp->cur = (struct tcp_current){ .conn = conn };
	if (!tcp_opt_parse(seg->opt, seg->opt_len, &opts))
		return hf_drop(HF_DROP_TCP_BAD_OPTION);
	if (seg->flags & HF_TCP_RST)
		return in_rst(tcp, conn, seg);
	if (seg->flags & HF_TCP_SYN)
		return in_syn(tcp, conn, seg);
	if (!in_seq(conn, seg, &cut))
		return in_unacceptable(tcp, conn, seg);
	drop = in_ack(tcp, conn, seg);
	if (drop != HF_DROP_NONE || !in_fin_acked(tcp, conn))
		return drop;
	conn->path = seg->path;
	conn->mss = (uint16_t)hf_min_u32(conn->mss, tcp_syn_path_mss(&conn->peer, &conn->path));
	drop = in_text(tcp, conn, &cut, &alive);
	if (alive)
		in_fin(tcp, conn, &cut);
	return drop;
}
