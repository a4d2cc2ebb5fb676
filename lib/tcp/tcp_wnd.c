/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_priv.h"

uint8_t tcp_wnd_shift(uint32_t wnd_max)
{
	uint8_t shift = 0;

	while (shift < 14 && wnd_max >> shift > UINT16_MAX)
		shift++;
	return shift;
}

/* Where the right edge may stand, were there no rule against silly windows. */
static uint32_t wnd_edge(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	uint32_t max = hf_min_u32(tcp->cfg.rcv_wnd_max, (uint32_t)UINT16_MAX << conn->rcv_shift);
	uint32_t room = max > conn->unread_len ? max - conn->unread_len : 0;

	return conn->rcv_nxt + room;
}

/* How far the edge moves if announced now. RFC 9293 §3.8.6.2.2: nothing, or enough. */
static uint32_t wnd_gain(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint32_t enough)
{
	uint32_t edge = wnd_edge(tcp, conn);
	uint32_t gain = tcp_seq_gt(edge, conn->rcv_adv) ? edge - conn->rcv_adv : 0;

	return gain >= hf_min_u32(enough, tcp->cfg.rcv_wnd_max / 2) ? gain : 0;
}

uint16_t tcp_wnd_announce(const struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t scale = (1U << conn->rcv_shift) - 1;
	uint32_t gain = wnd_gain(tcp, conn, conn->rcv_mss);
	uint32_t window;

	HF_ASSERT(tcp_seq_ge(conn->rcv_adv, conn->rcv_nxt));
	window = conn->rcv_adv + gain - conn->rcv_nxt;
	/* Rounding down would take back what was announced; rounding up for ever would not close. */
	if (gain == 0 && conn->unread_len <= tcp->cfg.rcv_wnd_max)
		window += scale;
	window = hf_min_u32(window >> conn->rcv_shift, UINT16_MAX);
	if (tcp_seq_gt(conn->rcv_nxt + (window << conn->rcv_shift), conn->rcv_adv))
		conn->rcv_adv = conn->rcv_nxt + (window << conn->rcv_shift);
	return (uint16_t)window;
}

/* An update of its own is worth two segments, or half of all there is. */
bool tcp_wnd_update_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	/* before its first byte no peer waits for more than the handshake told it */
	if (tcp_has(conn, TCP_F_RCV_FIN_DONE) || conn->rcv_nxt == conn->irs + 1)
		return false;
	return wnd_gain(tcp, conn, 2U * conn->rcv_mss) > 0;
}
