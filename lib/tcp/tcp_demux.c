/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_open.h"
#include "tcp_priv.h"
#include "tcp_send.h"

static inline uint64_t demux_hash(const struct hf_sipkey *key, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port, uint16_t local_port)
{
	struct {
		uint8_t peer[4], local[4];
		uint16_t peer_port, local_port;
	} four;

	if (!hf_ip_is4(peer) || !hf_ip_is4(local)) {
		struct tcp_flow flow = { *peer, *local, peer_port, local_port };

		return hf_siphash(key, &flow, sizeof(flow));
	}
	memcpy(four.peer, peer->b + 12, sizeof(four.peer)); /* the rest says only that */
	memcpy(four.local, local->b + 12, sizeof(four.local));
	four.peer_port = peer_port;
	four.local_port = local_port;
	return hf_siphash(key, &four, sizeof(four));
}

uint64_t tcp_demux_hash(const struct hf_sipkey *key, const struct tcp_flow *flow)
{
	return demux_hash(key, &flow->peer, &flow->local, flow->peer_port, flow->local_port);
}

struct tcp_flow tcp_demux_flow(const struct hf_tcp_seg *seg)
{
	return (struct tcp_flow){ seg->src, seg->dst, seg->sport, seg->dport };
}

struct hf_tcp_conn *tcp_demux_find(const struct hf_tcp *tcp, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port, uint16_t local_port)
{
	uint32_t hash =
		(uint32_t)demux_hash(&tcp->cfg.flow_key, peer, local, peer_port, local_port);
	struct hf_tcp_conn *conn = tcp->bucket[hash & tcp->bucket_mask];

	for (; conn; conn = conn->hash_next) {
		if (conn->hash == hash && conn->peer_port == peer_port &&
			conn->local_port == local_port &&
			memcmp(&conn->peer, peer, sizeof(conn->peer)) == 0 &&
			memcmp(&conn->local, local, sizeof(conn->local)) == 0)
			return conn;
	}
	return NULL;
}

void tcp_demux_add(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct hf_tcp_conn **head;

	conn->hash = (uint32_t)demux_hash(
		&tcp->cfg.flow_key, &conn->peer, &conn->local, conn->peer_port, conn->local_port);
	head = &tcp->bucket[conn->hash & tcp->bucket_mask];
	conn->hash_next = *head;
	*head = conn;
}

void tcp_demux_del(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct hf_tcp_conn **at = &tcp->bucket[conn->hash & tcp->bucket_mask];

	while (*at && *at != conn)
		at = &(*at)->hash_next;
	HF_ASSERT(*at == conn);
	*at = conn->hash_next;
	conn->hash_next = NULL;
}

static bool demux_listens(const struct hf_tcp *tcp, uint16_t port)
{
	for (uint32_t i = 0; i < tcp->listener_count; i++) {
		if (tcp->listener[i] == port)
			return true;
	}
	return false;
}

static enum hf_drop demux_refuse(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, enum hf_drop reason)
{
	tcp_emit_rst_unknown(tcp, seg);
	return hf_drop(reason);
}

/* RFC 9293 §3.10.7.1 (CLOSED) and §3.10.7.2 (LISTEN) */
enum hf_drop tcp_demux_unknown(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above)
{
	if (seg->flags & HF_TCP_RST)
		return hf_drop(HF_DROP_TCP_NO_LISTENER);
	if (!demux_listens(tcp, seg->dport))
		return demux_refuse(tcp, seg, HF_DROP_TCP_NO_LISTENER);
	if (seg->flags & HF_TCP_ACK) {
		if (seg->flags & HF_TCP_SYN || tcp->now_us >= tcp->cookies_until_us)
			return demux_refuse(tcp, seg, HF_DROP_TCP_NO_LISTENER);
		return tcp_syn_cookie(tcp, seg);
	}
	if (tcp->draining)
		return demux_refuse(tcp, seg, HF_DROP_CONN_DRAINING);
	return tcp_syn_open(tcp, seg, iss_above);
}
