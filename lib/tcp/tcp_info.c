/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_priv.h"

static const char *const info_states[] = {
	[TCP_SYN_SENT] = "SYN-SENT",
	[TCP_SYN_RECEIVED] = "SYN-RECEIVED",
	[TCP_ESTABLISHED] = "ESTABLISHED",
	[TCP_FIN_WAIT_1] = "FIN-WAIT-1",
	[TCP_FIN_WAIT_2] = "FIN-WAIT-2",
	[TCP_CLOSE_WAIT] = "CLOSE-WAIT",
	[TCP_CLOSING] = "CLOSING",
	[TCP_LAST_ACK] = "LAST-ACK",
	[TCP_TIME_WAIT] = "TIME-WAIT",
	[TCP_CLOSED] = "CLOSED",
};

const struct hf_ip *hf_tcp_peer(const struct hf_tcp_conn *conn)
{
	return &conn->peer;
}

static void info_sending(const struct hf_tcp_conn *conn, struct hf_tcp_info *info)
{
	const struct tcp_tx *tx = conn->tx;
	/* a SYN is no byte of what is queued */
	uint32_t sent = conn->state < TCP_ESTABLISHED ? 0 : conn->snd_nxt - conn->snd_una;

	info->cwnd = tx ? tx->cc.cwnd : conn->cwnd;
	info->ssthresh = tx ? tx->cc.ssthresh : conn->ssthresh;
	info->unacked = sent;
	info->unsent = tx ? tx->len - hf_min_u32(sent, tx->len) : 0;
}

void hf_tcp_info(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, struct hf_tcp_info *ret_info)
{
	HF_ASSERT(conn->state < HF_ARRAY_LEN(info_states));
	*ret_info = (struct hf_tcp_info){
		.peer = conn->peer,
		.local = conn->local,
		.peer_port = conn->peer_port,
		.local_port = conn->local_port,
		.state = info_states[conn->state],
		.srtt_us = conn->srtt_us,
		.rto_us = conn->rto_us,
		.snd_wnd = conn->snd_wnd,
		.rcv_wnd = conn->rcv_adv - conn->rcv_nxt,
		.mss = conn->mss,
		.unread = conn->unread_len,
		.bytes_in = conn->bytes_in,
		.bytes_out = conn->bytes_out,
		.retransmits = conn->retransmits,
		.age_s = (uint32_t)(tcp->now_us / 1000000) - conn->opened_s,
		.sack = tcp_has(conn, TCP_F_SACK),
		.timestamps = tcp_has(conn, TCP_F_TS),
		.ecn = tcp_has(conn, TCP_F_ECN),
	};
	info_sending(conn, ret_info);
	ret_info->trace_count = tcp_trace_copy(conn, ret_info->trace);
}

bool hf_tcp_conn_next(struct hf_tcp *tcp, uint32_t *cursor, struct hf_tcp_info *ret_info)
{
	for (uint32_t i = *cursor; i < tcp->conns.fresh; i++) {
		if (!tcp_conn_live(tcp, i))
			continue;
		hf_tcp_info(tcp, hf_pool_at(&tcp->conns, i), ret_info);
		*cursor = i + 1;
		return true;
	}
	return false;
}

uint32_t hf_tcp_conn_count(const struct hf_tcp *tcp)
{
	return tcp->conns.used;
}

static bool info_undelivered(const struct hf_tcp_conn *conn)
{
	return tcp_queued(conn) > 0 ||
	       (tcp_has(conn, TCP_F_FIN_QUEUED) && !tcp_has(conn, TCP_F_FIN_ACKED));
}

uint32_t hf_tcp_undelivered_count(const struct hf_tcp *tcp)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < tcp->conns.fresh; i++)
		count += tcp_conn_live(tcp, i) && info_undelivered(hf_pool_at(&tcp->conns, i));
	return count;
}
