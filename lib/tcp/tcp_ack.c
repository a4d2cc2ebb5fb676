/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"
#include "tcp_trace.h"

/* RFC 5681 §2: an ACK that says nothing but "something behind this arrived". */
static bool ack_is_duplicate(const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	uint32_t window = (uint32_t)seg->wnd << conn->snd_shift;

	return seg->ack == conn->snd_una && conn->snd_nxt != conn->snd_una &&
	       seg->payload_len == 0 && !(seg->flags & HF_TCP_FIN) && window == conn->snd_wnd &&
	       window != 0; /* with a closed window it answers a probe */
}

/* A duplicate, were something in flight, of a peer that has no block to tell. */
static bool ack_is_bare(
	const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	return seg->payload_len == 0 && !(seg->flags & HF_TCP_FIN) && opts->sack_count == 0 &&
	       (uint32_t)seg->wnd << conn->snd_shift == conn->snd_wnd;
}

/* TSecr as a time of our clock: whole milliseconds, in microseconds modulo 2^32. */
static uint32_t ack_echo_us(const struct hf_tcp_conn *conn, const struct tcp_opts *opts)
{
	return (opts->ts_ecr - conn->ts_off) * 1000;
}

/* RFC 6298 with RFC 7323 §4.3: where only segments were acknowledged that were sent more than once, the
 * timestamp still tells. */
static void ack_rtt(
	const struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_acked *acked)
{
	uint32_t echo_rtt_us = (uint32_t)tcp->now_us - acked->ecr_us;

	if (acked->rtt_us > 0)
		tcp_rexmit_rtt(conn, acked->rtt_us);
	else if (acked->has_ecr && acked->delivered > acked->sacked && echo_rtt_us < TCP_RTO_MAX_US)
		tcp_rexmit_rtt(conn, echo_rtt_us);
	else if (conn->tx->backoff == 0)
		tcp_rexmit_settle(conn);
}

/* The peer gets us ahead. */
static void ack_move(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t ack)
{
	uint32_t moved = ack - conn->snd_una;

	conn->snd_una = ack;
	conn->progress_ms = tcp_now_ms(tcp);
	conn->tx->persist = 0;
	if (conn->place == TCP_PLACE_STALLED && conn->snd_wnd > 0)
		tcp_conn_place(tcp, conn, TCP_PLACE_NONE);
	tcp_trace_inline(tcp, conn, HF_TCP_TRACE_ACKED, moved);
}

static void ack_advance(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t ack, struct tcp_acked *acked)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t moved = ack - conn->snd_una;
	uint32_t data = hf_min_u32(moved, tx->len);

	if (tcp_has(conn, TCP_F_FIN_SENT) && ack == conn->snd_nxt)
		conn->flags |= TCP_F_FIN_ACKED;
	HF_ASSERT(data == moved || (data + 1 == moved && tcp_has(conn, TCP_F_FIN_ACKED)));
	tcp_flight_ack(&tx->flight, ack, acked);
	tcp_send_release(tcp, conn, data);
	ack_move(tcp, conn, ack);
}

/* RFC 2883 §4: the first block lies below the cumulative ACK, or within the second. */
static bool ack_is_dsack(const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	const struct tcp_sack_block *first = &opts->sack[0], *second = &opts->sack[1];

	if (opts->sack_count == 0 || tcp_seq_ge(first->start, first->end))
		return false;
	if (tcp_seq_le(first->end, seg->ack))
		return tcp_seq_lt(first->start, seg->ack);
	return opts->sack_count > 1 && tcp_seq_ge(first->start, second->start) &&
	       tcp_seq_le(first->end, second->end);
}

static void ack_sacks(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg,
	const struct tcp_opts *opts, struct tcp_acked *acked)
{
	uint32_t i = 0;

	if (ack_is_dsack(seg, opts)) {
		tcp_recovery_dsack(tcp, conn, &opts->sack[0]);
		i = 1;
	}
	for (; conn->tx && i < opts->sack_count; i++) {
		const struct tcp_sack_block *block = &opts->sack[i];

		/* what cannot be true is not looked at: RFC 5927's spirit, RFC 2018 §5 */
		if (tcp_seq_lt(block->start, block->end) &&
			tcp_seq_gt(block->start, conn->snd_una) &&
			tcp_seq_le(block->end, conn->snd_nxt))
			tcp_flight_sack(&conn->tx->flight, block->start, block->end, acked);
	}
}

/* The window opened or shut. */
static HF_NOINLINE void ack_window_turned(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	bool open = conn->snd_wnd > 0;
	struct tcp_tx *tx = conn->tx;

	tcp_trace(tcp, conn, open ? HF_TCP_TRACE_WINDOW_OPEN : HF_TCP_TRACE_WINDOW_SHUT,
		open ? conn->snd_wnd : 0);
	if (open && conn->place == TCP_PLACE_STALLED)
		tcp_conn_place(tcp, conn, TCP_PLACE_NONE);
	if (!tx)
		return;
	if (open && tx->persist > 0) {
		tcp_flight_timeout(&tx->flight); /* what probed the shut window was not taken */
		tcp_recovery_again(tcp, conn);
		tx->persist = 0;
	}
	tcp_rexmit_arm(tcp, conn, /* restart= */ true);
}

/* RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2 keep an old segment from setting the window. One that
 * acknowledges more is none, even if its text was sent before: the window counts from that ACK on. */
static void ack_window(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, bool advanced)
{
	uint32_t before = conn->snd_wnd;

	if (!advanced &&
		(tcp_seq_gt(conn->snd_wl1, seg->seq) ||
			(conn->snd_wl1 == seg->seq && tcp_seq_gt(conn->snd_wl2, seg->ack))))
		return;
	conn->snd_wnd = (uint32_t)seg->wnd << conn->snd_shift;
	conn->snd_wnd_max = hf_max_u32(conn->snd_wnd_max, conn->snd_wnd);
	conn->snd_wl1 = seg->seq;
	conn->snd_wl2 = seg->ack;
	if ((before == 0) != (conn->snd_wnd == 0))
		ack_window_turned(tcp, conn);
}

/* All that was queued is acknowledged, as at the end of nearly every answer, and nothing was lost,
 * SACKed, sent again or probed for. So tx is about to be given back. */
static bool ack_is_all(
	const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	const struct tcp_tx *tx = conn->tx;

	return seg->ack - conn->snd_una == tx->len && !tcp_has(conn, TCP_F_FIN_QUEUED) &&
	       tx->recovery == TCP_OPEN && !tx->tlp &&
	       tcp_flight_is_plain(&tx->flight, conn->snd_una) && opts->sack_count == 0 &&
	       !(seg->flags & HF_TCP_ECE);
}

/* What ack_flight does, but for what it would leave in a tx that nobody looks at again. */
static void ack_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t ack)
{
	struct tcp_tx *tx = conn->tx;
	uint32_t delivered = tx->len;
	uint32_t rtt_us = tcp_flight_ack_all(&tx->flight, (uint32_t)tcp->now_us);

	HF_ASSERT_HOT(ack == conn->snd_nxt);
	tcp_send_release_all(tcp, conn);
	ack_move(tcp, conn, ack);
	tcp_rexmit_rtt(conn, rtt_us);
	tcp_recovery_ack_all(tcp, conn, delivered, rtt_us);
	tcp_send_tell(tcp, conn);
}

/* What an ACK, or a duplicate, means for what is queued and in flight. */
static HF_NOINLINE void ack_flight(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	struct tcp_acked acked = {
		.now_us = (uint32_t)tcp->now_us,
		.min_rtt_us = conn->min_rtt_us,
		.has_ecr = tcp_has(conn, TCP_F_TS) && opts->has_ts && opts->ts_ecr != 0,
		.ecr_us = ack_echo_us(conn, opts),
		.again_known = conn->tx->undo && conn->tx->resent,
		.again_us = conn->tx->resent_us,
	};
	uint32_t una = conn->snd_una, queued = tcp_queued(conn);
	bool duplicate = ack_is_duplicate(conn, seg);

	if (seg->ack != una)
		ack_advance(tcp, conn, seg->ack, &acked);
	if (tcp_has(conn, TCP_F_SACK))
		ack_sacks(tcp, conn, seg, opts, &acked);
	if (acked.delivered > 0)
		ack_rtt(tcp, conn, &acked);
	if (duplicate)
		tcp_recovery_dup_ack(tcp, conn);
	tcp_recovery_ack(tcp, conn, &acked, una, seg->flags & HF_TCP_ECE);
	if (seg->ack != una) {
		conn->tx->backoff = 0;
		tcp_rexmit_arm(tcp, conn,
			conn->tx->timer != TCP_SEND_REO || conn->due_ms[TCP_DUE_SEND] == 0);
	}
	if (queued != conn->tx->len)
		tcp_send_tell(tcp, conn);
}

/* Of nothing that is in flight, nor of what was last acknowledged: RFC 5961 §5.2. */
static HF_NOINLINE enum hf_drop ack_outside(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	if (tcp_seq_gt(seg->ack, conn->snd_nxt) ||
		tcp_seq_lt(seg->ack, conn->snd_una - conn->snd_wnd_max)) {
		tcp_in_challenge(tcp, conn);
		return hf_drop(HF_DROP_TCP_BAD_ACK);
	}
	return HF_DROP_NONE; /* overtaken; its text may be new all the same */
}

enum hf_drop tcp_ack_input(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	uint32_t moves = seg->ack - conn->snd_una;
	bool advanced = moves > 0;

	if (hf_unlikely(moves > conn->snd_nxt - conn->snd_una))
		return ack_outside(tcp, conn, seg);
	if (!advanced && ack_is_bare(conn, seg, opts))
		tcp_recovery_bare_ack(conn);
	if (conn->tx && conn->tx->flight.count > 0) {
		if (hf_likely(ack_is_all(conn, seg, opts)))
			ack_all(tcp, conn, seg->ack);
		else
			ack_flight(tcp, conn, seg, opts);
	} else if (opts->sack_count > 0 && ack_is_dsack(seg, opts)) {
		tcp_recovery_dsack(tcp, conn, &opts->sack[0]);
	}
	ack_window(tcp, conn, seg, advanced);
	tcp_send_rest(tcp, conn);
	/* RFC 9293 §3.8.6.1: a peer that answers probes may keep its window closed, as long as the
	 * application cares */
	if (conn->snd_wnd == 0 && tcp_has(conn, TCP_F_OWNED))
		conn->progress_ms = tcp_now_ms(tcp);
	return HF_DROP_NONE;
}
