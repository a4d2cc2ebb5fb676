/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Congestion control: RFC 5681 with NewReno's recovery (RFC 6582), limited transmit (RFC 3042) and
 * an initial window of ten segments (RFC 6928).
 */
#include "hf_tcp.h"

#include "tcp_priv.h"

uint32_t tcp_cc_initial(const struct hf_tcp_conn *conn)
{
	uint32_t mss = conn->mss;

	if (tcp_has(conn, TCP_F_SYN_AGAIN))
		return mss; /* RFC 5681 §3.1: the SYN-ACK was lost */
	return hf_min_u32(10 * mss, hf_max_u32(2 * mss, 14600));
}

uint32_t tcp_cc_window(const struct hf_tcp_conn *conn)
{
	if (tcp_has(conn, TCP_F_RECOVERY))
		return conn->cwnd;
	/* RFC 3042: the first duplicates each let one new segment out */
	return conn->cwnd + hf_min_u32(conn->dup_acks, TCP_DUP_ACKS - 1) * conn->mss;
}

static void cc_grow(struct hf_tcp_conn *conn, uint32_t acked, uint32_t flight)
{
	uint32_t mss = conn->mss;

	if (flight + mss < conn->cwnd && (conn->cwnd >= conn->ssthresh || flight < conn->cwnd / 2))
		return; /* the window was not what held us back */
	if (conn->cwnd < conn->ssthresh) {
		conn->cwnd += hf_min_u32(acked, mss);
	} else {
		conn->cwnd_acked += acked;
		if (conn->cwnd_acked >= conn->cwnd) {
			conn->cwnd_acked -= conn->cwnd;
			conn->cwnd += mss;
		}
	}
	conn->cwnd = hf_min_u32(conn->cwnd, TCP_CWND_MAX);
}

/* snd_una moved up by `acked`; `flight` is what was out before. */
void tcp_cc_acked(struct hf_tcp_conn *conn, uint32_t acked, uint32_t flight)
{
	uint32_t mss = conn->mss;
	uint32_t out = conn->snd_max - conn->snd_una;

	conn->dup_acks = 0;
	if (!tcp_has(conn, TCP_F_RECOVERY)) {
		cc_grow(conn, acked, flight);
		return;
	}
	if (tcp_seq_ge(conn->snd_una, conn->recover)) { /* RFC 6582 §3.2 step 3, full */
		conn->flags &= ~(uint32_t)(TCP_F_RECOVERY | TCP_F_PARTIAL | TCP_F_REXMIT_NOW);
		conn->cwnd = hf_min_u32(conn->ssthresh, hf_max_u32(out, mss) + mss);
		conn->cwnd_acked = 0;
		return;
	}
	conn->flags |= TCP_F_PARTIAL | TCP_F_REXMIT_NOW;
	conn->cwnd -= hf_min_u32(acked, conn->cwnd);
	if (acked >= mss)
		conn->cwnd += mss;
	conn->cwnd = hf_max_u32(conn->cwnd, mss);
}

static uint32_t cc_half(const struct hf_tcp_conn *conn)
{
	return hf_max_u32((conn->snd_max - conn->snd_una) / 2, 2U * conn->mss);
}

void tcp_cc_dup_ack(struct hf_tcp_conn *conn)
{
	if (tcp_has(conn, TCP_F_RECOVERY)) {
		conn->cwnd = hf_min_u32(conn->cwnd + conn->mss, TCP_CWND_MAX);
		return;
	}
	if (conn->dup_acks < UINT8_MAX)
		conn->dup_acks++;
	/* RFC 6582 §3.2 step 2: not for what a recovery or timeout sent again already */
	if (conn->dup_acks != TCP_DUP_ACKS || tcp_seq_le(conn->snd_una, conn->recover))
		return;
	conn->ssthresh = cc_half(conn);
	conn->cwnd = conn->ssthresh + TCP_DUP_ACKS * conn->mss;
	conn->recover = conn->snd_max;
	conn->flags |= TCP_F_RECOVERY | TCP_F_REXMIT_NOW;
	hf_stat_inc(HF_STAT_TCP_FAST_RETRANSMITS);
}

void tcp_cc_timeout(struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_BACKOFF)) /* RFC 5681 §3.1: once for the same loss */
		conn->ssthresh = cc_half(conn);
	conn->flags &= ~(uint32_t)(TCP_F_RECOVERY | TCP_F_PARTIAL | TCP_F_REXMIT_NOW);
	conn->flags |= TCP_F_BACKOFF;
	conn->cwnd = conn->mss;
	conn->cwnd_acked = 0;
	conn->dup_acks = 0;
	conn->recover = conn->snd_max;
}

/* RFC 5681 §4.1: after an idle RTO the window says nothing any more. */
void tcp_cc_idle(struct hf_tcp_conn *conn)
{
	conn->cwnd = hf_min_u32(conn->cwnd, tcp_cc_initial(conn));
}
