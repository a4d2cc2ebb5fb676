/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is lost, and what that means for the congestion window.
 *
 * Picture            3 SACKed, or RACK's time is over                    una >= recover
 *            OPEN ------------------------------------> RECOVERY ------------------------> OPEN
 *              | ECE (RFC 3168)          PRR: RFC 6937      | timeout
 *              v                                            v         una >= recover
 *             CWR -----------------------------> timeout: LOSS --------------------------> OPEN
 *
 * What      With SACK losses are found by RACK (RFC 8985), at the tail by a probe; without by duplicate
 *           ACKs (RFC 5681, RFC 6582). A reduction that was for nothing, as timestamps (RFC 3522) or
 *           DSACK (RFC 3708) show, is undone (RFC 4015). The window itself is tcp_cubic.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_send.h"

/* Bytes in the network (RFC 6675 §4's pipe). Without SACK each duplicate ACK says that one segment left. */
uint32_t tcp_recovery_pipe(const struct hf_tcp_conn *conn)
{
	const struct tcp_tx *tx = conn->tx;
	uint32_t out = tcp_flight_out(&tx->flight);
	uint32_t left = (uint32_t)tx->dup_acks * conn->mss;

	return out > left ? out - left : 0;
}

/* RFC 3168 §6.1.2: whatever the reason, the peer is told; its echoes until then mean this one. */
static void recovery_tell(struct hf_tcp_conn *conn)
{
	conn->tx->cwr_end = conn->snd_nxt;
	if (tcp_has(conn, TCP_F_ECN))
		conn->flags |= TCP_F_CWR_NOW;
}

/* A new reduction: it can be undone, until the next. A probe that is out is the first retransmission. */
static void recovery_reduced(struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	tx->undo = true;
	tx->undo_una = conn->snd_una;
	tx->resent = tx->tlp && tx->tlp_resent;
	tx->undo_left = tx->resent;
	recovery_tell(conn);
}

void tcp_recovery_resent(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len)
{
	struct tcp_tx *tx = conn->tx;

	if (tx->undo) {
		tx->undo_left++;
		tx->resent_us = tx->resent ? tx->resent_us : (uint32_t)tcp->now_us;
		tx->resent = true;
	}
	if (tx->recovery == TCP_RECOVERY || tx->recovery == TCP_CWR)
		tcp_cubic_prr_sent(&tx->cc, len);
}

/* delivered: by the ACK that told; it was in flight before. */
static void recovery_enter(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t pipe = tcp_recovery_pipe(conn);

	if (tx->recovery == TCP_OPEN) {
		tcp_cubic_reduce(&tx->cc, conn->mss, pipe + tx->flight.lost + delivered,
			(uint32_t)tcp->now_us);
		recovery_reduced(conn);
	}
	tx->recover = conn->snd_nxt;
	tx->recovery = TCP_RECOVERY;
	tx->cc.cwnd =
		hf_min_u32(pipe + conn->mss, TCP_CWND_MAX); /* the ACKs tell how many follow */
	hf_stat_inc(HF_STAT_TCP_FAST_RETRANSMITS);
	tcp_trace(tcp, conn, HF_TCP_TRACE_RECOVERY, tx->cc.cwnd);
}

/* The end of a reduction. What an initial window may do at once, so may this: RFC 6582 §3.2 asks for no
 * larger burst, and after the last byte of a response nothing is in flight. */
static void recovery_window(struct hf_tcp_conn *conn)
{
	struct tcp_cubic *cc = &conn->tx->cc;
	uint32_t pipe = tcp_recovery_pipe(conn);
	uint32_t least = hf_min_u32(cc->ssthresh, pipe + tcp_cubic_iw(conn->mss));

	tcp_cubic_recovered(cc, conn->mss, pipe);
	cc->cwnd = hf_max_u32(cc->cwnd, least);
}

static void recovery_undo(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t most = tx->cc.cwnd;

	tcp_flight_undo(&tx->flight);
	tcp_cubic_undo(&tx->cc);
	tx->undo = false;
	tx->recovery = TCP_OPEN;
	tx->dup_acks = 0;
	/* RFC 4015 §3.2: no burst, slow start does the rest */
	most = hf_max_u32(most, tcp_recovery_pipe(conn) + tcp_cubic_iw(conn->mss));
	if (tx->cc.cwnd > most) {
		tx->cc.ssthresh = hf_max_u32(tx->cc.ssthresh, tx->cc.cwnd);
		tx->cc.cwnd = most;
	}
	tx->backoff = 0;
	tcp_rexmit_settle(conn);
	hf_stat_inc(HF_STAT_TCP_SPURIOUS);
	tcp_trace(tcp, conn, HF_TCP_TRACE_UNDO, tx->cc.cwnd);
}

static void recovery_leave(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	tcp_flight_recovered(&tx->flight);
	if (tx->undo && tx->undo_left == 0) { /* what was missing came without our help */
		recovery_undo(tcp, conn);
		return;
	}
	if (tx->recovery == TCP_RECOVERY || tx->recovery == TCP_CWR)
		recovery_window(conn);
	tx->recovery = TCP_OPEN;
	tx->dup_acks = 0;
	tcp_trace(tcp, conn, HF_TCP_TRACE_RECOVERED, tx->cc.cwnd);
}

void tcp_recovery_detect(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered)
{
	struct tcp_tx *tx = conn->tx;
	bool in_recovery = tx->recovery == TCP_RECOVERY || tx->recovery == TCP_LOSS;
	uint32_t wait_us = 0;

	if (!tcp_has(conn, TCP_F_SACK))
		return;
	(void)tcp_flight_rack(&tx->flight, (uint32_t)tcp->now_us, conn->srtt_us, conn->min_rtt_us,
		in_recovery, &wait_us);
	if (tx->flight.lost > 0 && !in_recovery)
		recovery_enter(tcp, conn, delivered);
	if (wait_us > 0 && conn->snd_wnd > 0) {
		tx->timer = TCP_SEND_REO;
		tcp_due_set(tcp, conn, TCP_DUE_SEND, wait_us);
	} else if (tx->timer == TCP_SEND_REO) {
		tcp_due_clear(conn, TCP_DUE_SEND);
	}
}

/* RFC 8985 §7.4: was the probe's segment lost, and repaired by it? Then it was a loss as any other: true. */
static bool recovery_probe_ends(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered)
{
	struct tcp_tx *tx = conn->tx;

	if (!tx->tlp || tcp_seq_lt(conn->snd_una, tx->tlp_end))
		return false;
	if (tx->tlp_resent && conn->snd_una == tx->tlp_end)
		return false; /* a DSACK may follow */
	tx->tlp = false;
	if (!tx->tlp_resent || tx->recovery != TCP_OPEN)
		return false;
	tcp_cubic_reduce(
		&tx->cc, conn->mss, tcp_recovery_pipe(conn) + delivered, (uint32_t)tcp->now_us);
	tx->undo = false;
	recovery_tell(conn);
	recovery_window(conn);
	return true;
}

static void recovery_ecn(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered)
{
	struct tcp_tx *tx = conn->tx;

	if (tx->recovery != TCP_OPEN || tcp_seq_le(conn->snd_una, tx->cwr_end))
		return;
	tcp_cubic_reduce(
		&tx->cc, conn->mss, tcp_recovery_pipe(conn) + delivered, (uint32_t)tcp->now_us);
	tx->undo = false;
	recovery_tell(conn);
	if (tx->flight.count > 0)
		tx->recovery = TCP_CWR;
	else
		recovery_window(conn);
	hf_stat_inc(HF_STAT_TCP_ECN_REDUCED);
	tcp_trace(tcp, conn, HF_TCP_TRACE_ECN, tx->cc.ssthresh);
}

/* before: bytes that were in flight until the ACK came. Was the window what held us back? */
static bool recovery_limited(const struct hf_tcp_conn *conn, uint32_t before)
{
	const struct tcp_cubic *cc = &conn->tx->cc;

	return before + conn->mss > cc->cwnd || (cc->cwnd < cc->ssthresh && before >= cc->cwnd / 2);
}

static void recovery_grow(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered, uint32_t rtt_us)
{
	struct tcp_cubic_ack ack = {
		.delivered = delivered,
		.now_us = (uint32_t)tcp->now_us,
		.rtt_us = rtt_us,
		.srtt_us = conn->srtt_us,
		.una = conn->snd_una,
		.nxt = conn->snd_nxt,
		.mss = conn->mss,
		.limited = recovery_limited(conn, tcp_recovery_pipe(conn) + delivered),
	};

	tcp_cubic_acked(&conn->tx->cc, &ack);
}

/* Without SACK: a partial ACK shows the next hole (RFC 6582 §3.2 step 3). */
static void recovery_partial(struct hf_tcp_conn *conn, const struct tcp_acked *acked)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t segs = (acked->delivered + conn->mss - 1U) / conn->mss;

	tx->dup_acks = (uint8_t)(tx->dup_acks > segs ? tx->dup_acks - segs : 0);
	if (tx->recovery == TCP_RECOVERY && tx->flight.count > 0)
		tcp_flight_lose(&tx->flight, tcp_flight_at(&tx->flight, 0));
}

/* RFC 5681 §3.2 step 3: the first one goes out, and whole, whatever the window says. */
static void recovery_prr(
	struct hf_tcp_conn *conn, uint32_t delivered, bool lost_more, bool una_moved)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t pipe = tcp_recovery_pipe(conn);

	tcp_cubic_prr(&tx->cc, conn->mss, delivered, pipe, lost_more, una_moved);
	if (tx->recovery == TCP_RECOVERY && tx->cc.prr_out == 0)
		tx->cc.cwnd = hf_max_u32(tx->cc.cwnd, pipe + conn->mss);
}

void tcp_recovery_dup_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (tcp_has(conn, TCP_F_SACK) || tx->flight.count == 0)
		return;
	if (tx->dup_acks < UINT8_MAX)
		tx->dup_acks++;
	if (tx->recovery == TCP_RECOVERY) {
		recovery_prr(conn, conn->mss, /* lost_more= */ false, /* una_moved= */ false);
		return;
	}
	if (tx->dup_acks < TCP_DUP_ACKS)
		return;
	/* RFC 6582 §3.2 step 1: not for what a recovery or timeout sent again already; RFC 3042 §2: two new
	 * segments at most */
	if (tx->recovery == TCP_LOSS || tcp_seq_le(conn->snd_una, tx->recover)) {
		tx->dup_acks = TCP_DUP_ACKS - 1;
		return;
	}
	tcp_flight_lose(&tx->flight, tcp_flight_at(&tx->flight, 0));
	recovery_enter(tcp, conn, TCP_DUP_ACKS * (uint32_t)conn->mss);
	recovery_prr(conn, TCP_DUP_ACKS * (uint32_t)conn->mss, /* lost_more= */ true,
		/* una_moved= */ false);
}

/* RFC 8985 §7.4.2: from a peer without DSACK, the probe and what it repeated both arrived. */
void tcp_recovery_bare_ack(struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	conn->flags &= ~(uint32_t)TCP_F_TLP_END;
	if (tx && tx->tlp && tx->tlp_resent && conn->snd_una == tx->tlp_end)
		tx->tlp = false;
}

void tcp_recovery_dsack(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_sack_block *twice)
{
	struct tcp_tx *tx = conn->tx;

	hf_stat_inc(HF_STAT_TCP_DSACK_IN);
	if (!tx) {
		if (tcp_seq_ge(twice->end + 1 /* FIN */, conn->snd_una))
			conn->flags &= ~(uint32_t)TCP_F_TLP_END;
		return;
	}
	tcp_flight_dsack(&tx->flight, conn->snd_una, conn->snd_nxt);
	if (tx->tlp && tx->tlp_resent && tcp_seq_ge(conn->snd_una, tx->tlp_end) &&
		tcp_seq_ge(twice->end + 1 /* FIN */, tx->tlp_end))
		tx->tlp = false; /* the probe was not needed */
	if (!tx->undo || tx->undo_left == 0 || tcp_seq_le(twice->end, tx->undo_una) ||
		tcp_seq_gt(twice->end, tx->recover))
		return; /* nothing to undo, or told of another retransmission */
	tx->undo_left--;
	if (tx->undo_left == 0 && tcp_seq_gt(conn->snd_una, tx->undo_una))
		recovery_undo(tcp, conn);
}

void tcp_recovery_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_acked *acked,
	uint32_t una_before, bool ece)
{
	struct tcp_tx *tx = conn->tx;
	bool moved = conn->snd_una != una_before;
	bool reducing = tx->recovery == TCP_RECOVERY || tx->recovery == TCP_CWR;
	uint32_t lost = tx->flight.lost;
	uint32_t end = tx->recovery == TCP_CWR ? tx->cwr_end : tx->recover;

	if (acked->spurious && tx->undo && moved &&
		(tx->recovery == TCP_RECOVERY || tx->recovery == TCP_LOSS))
		recovery_undo(tcp, conn);
	reducing |= recovery_probe_ends(tcp, conn, acked->delivered);
	if (moved && tx->recovery != TCP_OPEN && tcp_seq_ge(conn->snd_una, end))
		recovery_leave(tcp, conn);
	if (moved && !tcp_has(conn, TCP_F_SACK))
		recovery_partial(conn, acked);
	tcp_recovery_detect(tcp, conn, acked->delivered);
	if (ece && tcp_has(conn, TCP_F_ECN)) {
		recovery_ecn(tcp, conn, acked->delivered);
		reducing = true; /* RFC 3168 §6.1.2: no such ACK adds to the window */
	}
	if (acked->delivered == 0 || (reducing && tx->recovery == TCP_OPEN))
		return; /* RFC 6582 §3.2: the end sets the window, and no growth */
	if (tx->recovery == TCP_RECOVERY || tx->recovery == TCP_CWR)
		recovery_prr(conn, acked->delivered, tx->flight.lost > lost, moved);
	else if (moved ||
		 tx->flight.reordering) /* RFC 3042 §2: what lies behind a hole adds nothing */
		recovery_grow(tcp, conn, acked->delivered, acked->rtt_us);
}

void tcp_recovery_ack_all(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered, uint32_t rtt_us)
{
	HF_ASSERT_HOT(conn->tx->recovery == TCP_OPEN && tcp_recovery_pipe(conn) == 0);
	if (recovery_limited(conn, delivered)) /* else no window changes: tcp_cubic.h's C3 */
		recovery_grow(tcp, conn, delivered, rtt_us);
}

void tcp_recovery_timeout(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	bool first = tx->backoff == 0; /* RFC 5681 §3.1: not yet resent by the timer */

	tcp_cubic_timeout(&tx->cc, conn->mss, tcp_recovery_pipe(conn) + tx->flight.lost, first,
		(uint32_t)tcp->now_us);
	tcp_flight_timeout(&tx->flight);
	if (first)
		recovery_reduced(conn);
	tx->recover = conn->snd_nxt;
	tx->recovery = TCP_LOSS;
	tx->dup_acks = 0;
	tx->tlp = false;
}

void tcp_recovery_probe(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;
	struct tcp_sent *last = tcp_flight_at(&tx->flight, tx->flight.count - 1U);

	tx->tlp = true;
	tx->tlp_resent = !tcp_out_one(tcp, conn);
	if (tx->tlp_resent) {
		if (!tcp_out_again(tcp, conn, last)) {
			tx->tlp = false; /* no descriptor: at the next timeout */
			return;
		}
		tcp_flight_resent(&tx->flight, last, (uint32_t)tcp->now_us);
		tx->resent_us = (uint32_t)tcp->now_us;
	}
	tx->tlp_end = conn->snd_nxt;
	hf_stat_inc(HF_STAT_TCP_TLP);
	tcp_trace(tcp, conn, HF_TCP_TRACE_TLP, tx->tlp_resent ? last->len : 0);
}

void tcp_recovery_again(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (tx->flight.lost == 0)
		return;
	if (tx->recovery == TCP_OPEN) {
		tx->recovery = TCP_LOSS;
		tx->undo = false;
	} else if (tx->recovery == TCP_CWR) {
		tx->recovery = TCP_RECOVERY; /* reduced it is */
	}
	tx->recover = conn->snd_nxt; /* one that goes on does so until these are repaired, too */
	tcp_conn_ready(tcp, conn);
}

void tcp_recovery_resegment(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (!tx)
		return;
	for (uint32_t i = 0; i < tx->flight.count; i++) {
		struct tcp_sent *sent = tcp_flight_at(&tx->flight, i);

		if (sent->len > conn->mss + 1U /* FIN */ && !(sent->flags & TCP_SENT_SACKED))
			tcp_flight_lose(&tx->flight, sent);
	}
	tcp_recovery_again(tcp, conn);
}
