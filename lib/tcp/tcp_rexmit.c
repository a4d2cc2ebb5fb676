/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Round trips (RFC 6298), and the one timer for all that may have to be sent again: it is for the
 * reordering window (RFC 8985 §6.2), a tail loss probe (§7), a retransmission timeout, or a window probe
 * (RFC 9293 §3.8.6.1). Never are two of them needed at once.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_priv.h"
#include "tcp_send.h"

#define PERSIST_SHIFT_MAX   16
#define BLACK_HOLE_TIMEOUTS 4 /* in a row: these two */
#define STALLED_TIMEOUTS    2

/* RFC 6298 §2.3, without what timeouts made of it */
void tcp_rexmit_settle(struct hf_tcp_conn *conn)
{
	uint32_t rto = conn->srtt_us + hf_max_u32(TCP_RTT_GRAIN_US, 4 * conn->rttvar_us);

	if (conn->srtt_us > 0)
		conn->rto_us = hf_min_u32(hf_max_u32(rto, TCP_RTO_MIN_US), TCP_RTO_MAX_US);
}

/* RFC 6298 §2 */
void tcp_rexmit_rtt(struct hf_tcp_conn *conn, uint64_t rtt_us)
{
	uint32_t rtt = (uint32_t)hf_min_u64(hf_max_u64(rtt_us, 1), TCP_RTO_MAX_US);

	conn->min_rtt_us = hf_min_u32(conn->min_rtt_us, rtt);
	if (conn->srtt_us == 0) {
		conn->srtt_us = rtt;
		conn->rttvar_us = rtt / 2;
	} else {
		uint32_t off = rtt > conn->srtt_us ? rtt - conn->srtt_us : conn->srtt_us - rtt;

		conn->rttvar_us = conn->rttvar_us - conn->rttvar_us / 4 + off / 4;
		conn->srtt_us = hf_max_u32(conn->srtt_us - conn->srtt_us / 8 + rtt / 8, 1);
	}
	tcp_rexmit_settle(conn);
}

/* RFC 9293 §3.8.3: without progress for this long the peer is gone. */
static uint32_t rexmit_user_left_ms(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t since_ms = tcp_now_ms(tcp) - conn->progress_ms;

	return since_ms < tcp->cfg.user_timeout_ms ? tcp->cfg.user_timeout_ms - since_ms : 0;
}

/* Bytes or a FIN wait for nothing but the peer's window. */
static bool rexmit_persists(const struct hf_tcp_conn *conn)
{
	const struct tcp_flight *flight = &conn->tx->flight;

	return flight->count == 0 ? tcp_out_unsent(conn) : conn->snd_wnd == 0;
}

/* RFC 8985 §7.2: nothing is amiss, and no probe is out yet. */
static bool rexmit_may_probe(const struct hf_tcp_conn *conn)
{
	const struct tcp_tx *tx = conn->tx;

	return tcp_has(conn, TCP_F_SACK) && tx->recovery == TCP_OPEN && !tx->tlp &&
	       tx->backoff == 0 && tx->flight.sacked == 0 && tx->flight.lost == 0;
}

static uint32_t rexmit_probe_after_us(const struct hf_tcp_conn *conn)
{
	uint32_t after = TCP_RTO_FIRST_US;

	if (conn->srtt_us > 0) {
		after = hf_max_u32(2 * conn->srtt_us, TCP_TLP_MIN_US);
		if (conn->tx->flight.count == 1)
			after += TCP_TLP_DELACK_US;
	}
	return hf_min_u32(after, conn->rto_us);
}

static uint64_t rexmit_due(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, enum tcp_send_timer timer)
{
	uint64_t wait = conn->rto_us;

	if (timer == TCP_SEND_TLP)
		wait = rexmit_probe_after_us(conn);
	if (timer == TCP_SEND_PERSIST)
		wait <<= hf_min_u32(conn->tx->persist, PERSIST_SHIFT_MAX);
	wait = hf_min_u64(wait, TCP_RTO_MAX_US);
	return hf_min_u64(wait, 1000ULL * rexmit_user_left_ms(tcp, conn));
}

void tcp_rexmit_arm(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool restart)
{
	bool set = conn->due_ms[TCP_DUE_SEND] != 0;
	struct tcp_tx *tx = conn->tx;
	enum tcp_send_timer timer = TCP_SEND_RTO;

	if (conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED) {
		if (!set || restart)
			tcp_due_set(tcp, conn, TCP_DUE_SEND, conn->rto_us);
		return;
	}
	if (!tx || (tx->flight.count == 0 && !tcp_out_unsent(conn))) {
		tcp_due_clear(conn, TCP_DUE_SEND);
		return;
	}
	if (tx->flight.count == 0 && tcp_list_has(&conn->ready) && conn->snd_wnd > 0) {
		tcp_due_clear(conn, TCP_DUE_SEND); /* a bound of ours stopped it, not the peer */
		return;
	}
	if (rexmit_persists(conn))
		timer = TCP_SEND_PERSIST;
	else if (rexmit_may_probe(conn))
		timer = TCP_SEND_TLP;
	if (set && !restart && (tx->timer == timer || tx->timer == TCP_SEND_REO))
		return;
	tx->timer = (uint8_t)timer;
	tcp_due_set(tcp, conn, TCP_DUE_SEND, rexmit_due(tcp, conn, timer));
}

static void rexmit_syn(struct hf_tcp_conn *conn)
{
	conn->flags |= TCP_F_SYN_NOW | TCP_F_SYN_AGAIN;
	conn->rto_us = hf_min_u32(2 * conn->rto_us, TCP_RTO_MAX_US);
	conn->retransmits++;
	hf_stat_inc(HF_STAT_TCP_RETRANSMITS);
}

/* New data left after the probe's time was set: it counts from there (RFC 8985 §7.2). */
static bool rexmit_probe_early(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	const struct tcp_flight *flight = &conn->tx->flight;
	uint32_t since_us =
		tcp_flight_since((uint32_t)tcp->now_us, tcp_flight_at(flight, flight->count - 1U));
	uint32_t after_us = rexmit_probe_after_us(conn);

	if (since_us >= after_us)
		return false;
	tcp_due_set(tcp, conn, TCP_DUE_SEND, after_us - since_us);
	return true;
}

/* Slow readers are on a list of their own until they get us ahead. */
static void rexmit_stalls(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->place == TCP_PLACE_NONE)
		tcp_conn_place(tcp, conn, TCP_PLACE_STALLED);
}

/* RFC 6298 §5.4 to §5.6 */
static void rexmit_timeout(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	hf_stat_inc(HF_STAT_TCP_RTO);
	tcp_trace(tcp, conn, HF_TCP_TRACE_RTO, conn->rto_us / 1000);
	tcp_recovery_timeout(tcp, conn);
	if (tx->backoff < UINT8_MAX)
		tx->backoff++;
	if (tx->backoff >= STALLED_TIMEOUTS)
		rexmit_stalls(tcp, conn);
	conn->rto_us = hf_min_u32(2 * conn->rto_us, TCP_RTO_MAX_US);
	if (tx->backoff >= BLACK_HOLE_TIMEOUTS)
		tcp_pmtu_black_hole(tcp, conn, tcp_flight_at(&tx->flight, 0)->len);
}

bool tcp_rexmit_fire(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_tx *tx = conn->tx;

	if (conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED) {
		rexmit_syn(conn);
		tcp_output(tcp, conn);
		return true;
	}
	HF_ASSERT(tx);
	if (rexmit_user_left_ms(tcp, conn) == 0) {
		hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
		tcp_conn_kill(tcp, conn, /* rst= */ true);
		return false;
	}
	switch ((enum tcp_send_timer)tx->timer) {
	case TCP_SEND_REO:
		tcp_recovery_detect(tcp, conn, 0);
		break;
	case TCP_SEND_TLP:
		if (rexmit_probe_early(tcp, conn))
			return true;
		tcp_recovery_probe(tcp, conn);
		break;
	case TCP_SEND_PERSIST:
		conn->flags |= TCP_F_PROBE_NOW;
		if (tx->persist < UINT8_MAX)
			tx->persist++;
		rexmit_stalls(tcp, conn);
		break;
	case TCP_SEND_RTO:
		rexmit_timeout(tcp, conn);
		break;
	}
	tcp_output(tcp, conn);
	return true;
}
