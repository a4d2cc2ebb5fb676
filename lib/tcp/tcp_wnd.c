/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The window that we offer: its right edge, its growth, and when it is worth telling.
 *
 * Edge      Behind what the application has taken, conn->rcv_wnd bytes farther. What was announced
 *           (rcv_adv) is never taken back, and is accepted for as long as it takes. The field on
 *           the wire is rounded up to the scale's unit rather than down, while that adds up to
 *           less than one unit beyond rcv_wnd; else down (RFC 7323 §2.4 has senders expect it).
 * Growth    Dynamic right-sizing (Fisk and Feng, 2001). rcv_wnd starts at cfg.rcv_wnd_init. Once
 *           per round trip: if the application took more than half of rcv_wnd in a round trip's
 *           time, rcv_wnd becomes twice of what it took, cfg.rcv_wnd_max at most: a sender that
 *           doubles its window each round trip never meets ours. It never shrinks.
 * RTT       conn->rcv_rtt_us, from timestamps. Without: from any moment until a byte arrives that
 *           was not offered yet at that moment; a round trip at least, so the shortest counts.
 * Pressure  Half of the pool of buffers in use: no growth. Three quarters in use: nothing new is
 *           offered beyond two segments behind what the application took; what was promised stays.
 * Silly     RFC 9293 §3.8.6.2.2: the edge moves by a segment, or half of the window, or not at
 *           all. ACKs carry it, every second segment: a segment of its own only for an eighth of
 *           the window, two segments at least (or half of the window, if it is that small).
 */
#include "hf_tcp.h"

#include "tcp_priv.h"
#include "tcp_recv.h"

/* A window that takes longer to arrive than this says nothing of the round trip. */
#define WND_RTT_MAX_US 2000000
/* What is left to those who would get no new window */
#define WND_TIGHT_SEGS 2

uint8_t tcp_wnd_shift(uint32_t wnd_max)
{
	uint8_t shift = 0;

	while (shift < 14 && wnd_max >> shift > UINT16_MAX)
		shift++;
	return shift;
}

/* The largest window that may be offered now. */
static uint32_t wnd_limit(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t limit = hf_min_u32(conn->rcv_wnd, (uint32_t)UINT16_MAX << conn->rcv_shift);

	if (hf_pool_free_count(&tcp->rxbufs) < tcp->rxbufs.count / 4)
		limit = hf_min_u32(limit, (uint32_t)WND_TIGHT_SEGS * conn->rcv_mss);
	return limit;
}

/* How far the edge moves if announced now: nothing, or `enough`; half a window always is. */
static uint32_t wnd_gain(const struct hf_tcp_conn *conn, uint32_t limit, uint32_t enough)
{
	uint32_t room = limit > conn->unread_len ? limit - conn->unread_len : 0;
	uint32_t edge = conn->rcv_nxt + room;
	uint32_t gain = tcp_seq_gt(edge, conn->rcv_adv) ? edge - conn->rcv_adv : 0;

	return gain >= hf_min_u32(enough, limit / 2) ? gain : 0;
}

uint32_t tcp_wnd_gain(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return wnd_gain(conn, wnd_limit(tcp, conn), conn->rcv_mss);
}

bool tcp_wnd_gain_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t limit;

	/* before its first byte no peer waits for more than the handshake told it */
	if (tcp_has(conn, TCP_F_RCV_FIN_DONE) || conn->rcv_nxt == conn->irs + 1)
		return false;
	limit = wnd_limit(tcp, conn);
	return wnd_gain(conn, limit, hf_max_u32(2U * conn->rcv_mss, limit / 8)) > 0;
}

/* Without timestamps: a byte came that no edge announced before the mark allowed. */
static void wnd_measure(struct hf_tcp_conn *conn, uint64_t elapsed_us)
{
	uint32_t rtt_us = (uint32_t)hf_max_u64(elapsed_us, TCP_RTT_GRAIN_US);

	if (tcp_has(conn, TCP_F_TS) || elapsed_us > WND_RTT_MAX_US ||
		conn->rcv_nxt - conn->rcv_mark < conn->rcv_wnd + (1U << conn->rcv_shift))
		return;
	if (conn->rcv_rtt_us == 0 || rtt_us < conn->rcv_rtt_us)
		conn->rcv_rtt_us = rtt_us;
}

void tcp_wnd_grow(const struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint64_t elapsed_us = 1000ULL * (tcp_now_ms(tcp) - conn->rcv_mark_ms);
	uint32_t read = conn->rcv_nxt - conn->unread_len;
	uint32_t rtt_us;
	uint64_t took;

	if (tcp_has(conn, TCP_F_RCV_FIN_DONE))
		return;
	wnd_measure(conn, elapsed_us);
	/* the clock's grain: no shorter time is told apart */
	rtt_us = conn->rcv_rtt_us ? hf_max_u32(conn->rcv_rtt_us, TCP_RTT_GRAIN_US) : WND_RTT_MAX_US;
	if (elapsed_us < rtt_us)
		return;
	took = (uint64_t)(read - conn->rcv_mark) * rtt_us / elapsed_us;
	if (conn->rcv_rtt_us != 0 && took > conn->rcv_wnd / 2 &&
		tcp->rxbufs.used <= tcp->rxbufs.count / 2)
		conn->rcv_wnd = (uint32_t)hf_min_u64(2 * took, tcp->cfg.rcv_wnd_max);
	conn->rcv_mark = read;
	conn->rcv_mark_ms = tcp_now_ms(tcp);
}
