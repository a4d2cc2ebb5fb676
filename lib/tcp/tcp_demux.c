/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <string.h>

#include "tcp_priv.h"

static uint64_t demux_hash(const struct hf_sipkey *sipkey, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port, uint16_t local_port)
{
	struct {
		struct hf_ip peer, local;
		uint16_t peer_port, local_port;
	} key = { *peer, *local, peer_port, local_port };

	HF_STATIC_ASSERT(sizeof(key) == 36, "no padding is hashed");
	return hf_siphash(sipkey, &key, sizeof(key));
}

uint64_t tcp_demux_hash(const struct hf_sipkey *key, const struct hf_tcp_conn *conn)
{
	return demux_hash(key, &conn->peer, &conn->local, conn->peer_port, conn->local_port);
}

static bool demux_match(const struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	return conn->peer_port == seg->sport && conn->local_port == seg->dport &&
	       memcmp(&conn->peer, &seg->src, sizeof(conn->peer)) == 0 &&
	       memcmp(&conn->local, &seg->dst, sizeof(conn->local)) == 0;
}

struct hf_tcp_conn *tcp_demux_find(const struct hf_tcp *tcp, const struct hf_tcp_seg *seg)
{
	uint32_t hash = (uint32_t)demux_hash(
		&tcp->cfg.flow_key, &seg->src, &seg->dst, seg->sport, seg->dport);
	struct hf_tcp_conn *conn = tcp->bucket[hash & tcp->bucket_mask];

	while (conn && !(conn->hash == hash && demux_match(conn, seg)))
		conn = conn->hash_next;
	return conn;
}

void tcp_demux_add(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct hf_tcp_conn **head;

	conn->hash = (uint32_t)tcp_demux_hash(&tcp->cfg.flow_key, conn);
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

/* RFC 9293 §3.10.7.1 (CLOSED) and §3.10.7.2 (LISTEN) */
enum hf_drop tcp_demux_unknown(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above)
{
	if (seg->flags & HF_TCP_RST)
		return hf_drop(HF_DROP_TCP_NO_LISTENER);
	if ((seg->flags & (HF_TCP_SYN | HF_TCP_ACK)) != HF_TCP_SYN ||
		!demux_listens(tcp, seg->dport)) {
		(void)tcp_out_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_TCP_NO_LISTENER);
	}
	if (tcp->draining) {
		(void)tcp_out_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_CONN_DRAINING);
	}
	return tcp_syn_open(tcp, seg, iss_above);
}
