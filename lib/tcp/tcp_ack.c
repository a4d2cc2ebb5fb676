/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_priv.h"

/* RFC 5681 §2: an ACK that says nothing but "something behind this arrived". */
static bool ack_is_duplicate(const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	uint32_t window = (uint32_t)seg->wnd << conn->snd_shift;

	return seg->ack == conn->snd_una && conn->snd_max != conn->snd_una &&
	       seg->payload_len == 0 && !(seg->flags & HF_TCP_FIN) && window == conn->snd_wnd &&
	       window != 0; /* with a closed window it answers a probe */
}

static void ack_tell(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->sndq_len == 0)
		tcp_conn_event(tcp, conn, HF_TCP_EV_ACKED);
	if (tcp_has(conn, TCP_F_WANT_SPACE) &&
		tcp_send_room(tcp, conn) >= tcp->cfg.send_queue_max / 2) {
		conn->flags &= ~(uint32_t)TCP_F_WANT_SPACE;
		tcp_conn_event(tcp, conn, HF_TCP_EV_WRITABLE);
	}
}

static void ack_advance(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t ack)
{
	uint32_t acked = ack - conn->snd_una;
	uint32_t flight = conn->snd_nxt - conn->snd_una;
	uint32_t data = hf_min_u32(acked, conn->sndq_len);
	bool restart;

	HF_ASSERT(acked > 0);
	if (tcp_has(conn, TCP_F_RTT) && tcp_seq_ge(ack, conn->rtt_seq)) {
		conn->flags &= ~(uint32_t)TCP_F_RTT;
		tcp_rexmit_rtt(conn, tcp->now_us - conn->rtt_us);
	}
	if (tcp_has(conn, TCP_F_FIN_SENT) && ack == conn->snd_max)
		conn->flags |= TCP_F_FIN_ACKED;
	HF_ASSERT(data == acked || (data + 1 == acked && tcp_has(conn, TCP_F_FIN_ACKED)));
	tcp_send_release(tcp, conn, data);
	conn->snd_una = ack;
	if (tcp_seq_lt(conn->snd_nxt, ack))
		conn->snd_nxt = ack;
	conn->progress_us = tcp->now_us;
	conn->persist_shift = 0;
	/* Karn: the ACK of what a timeout sent again keeps the long timeout. The next one ends it, sample
	 * or not: under steady loss there may never be one, and the timeout would only ever grow. */
	if (!tcp_has(conn, TCP_F_BACKOFF))
		tcp_rexmit_settle(conn);
	conn->flags &= ~(uint32_t)TCP_F_BACKOFF;
	/* RFC 6582 §4, impatient: only the first partial ACK restarts the timer */
	restart = !tcp_has(conn, TCP_F_PARTIAL);
	tcp_cc_acked(conn, acked, flight);
	tcp_rexmit_arm(tcp, conn, restart || !tcp_has(conn, TCP_F_PARTIAL));
	if (data > 0)
		ack_tell(tcp, conn);
}

/* RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2 keep an old segment from setting the window. */
static void ack_window(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	uint32_t before = conn->snd_wnd;

	if (tcp_seq_gt(conn->snd_wl1, seg->seq) ||
		(conn->snd_wl1 == seg->seq && tcp_seq_gt(conn->snd_wl2, seg->ack)))
		return;
	conn->snd_wnd = (uint32_t)seg->wnd << conn->snd_shift;
	conn->snd_wnd_max = hf_max_u32(conn->snd_wnd_max, conn->snd_wnd);
	conn->snd_wl1 = seg->seq;
	conn->snd_wl2 = seg->ack;
	if ((before == 0) != (conn->snd_wnd == 0)) {
		conn->persist_shift = 0;
		tcp_rexmit_arm(tcp, conn, /* restart= */ true);
	}
}

enum hf_drop tcp_ack_input(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	/* RFC 5961 §5.2 */
	if (tcp_seq_gt(seg->ack, conn->snd_max) ||
		tcp_seq_lt(seg->ack, conn->snd_una - conn->snd_wnd_max)) {
		tcp_in_challenge(tcp, conn);
		return hf_drop(HF_DROP_TCP_BAD_ACK);
	}
	if (tcp_seq_lt(seg->ack, conn->snd_una))
		return HF_DROP_NONE; /* overtaken; its text may be new all the same */
	if (ack_is_duplicate(conn, seg))
		tcp_cc_dup_ack(conn);
	else if (seg->ack != conn->snd_una)
		ack_advance(tcp, conn, seg->ack);
	ack_window(tcp, conn, seg);
	/* RFC 9293 §3.8.6.1: a peer that answers probes may keep its window closed, as long as the
	 * application cares */
	if (conn->snd_wnd == 0 && tcp_has(conn, TCP_F_OWNED))
		conn->progress_us = tcp->now_us;
	return HF_DROP_NONE;
}
