/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the short way of a frame (net_in.c) and the long one have in common: addresses of an IPv4
 * header, and the segment that headers become when they were checked.
 */
#ifndef NET_SEG_H
#define NET_SEG_H

#include <string.h>

#include "net_priv.h"

static inline bool net_ip4_is_ours(const struct net_port *port, const struct hf_pkt_ip4 *ip)
{
	uint32_t dst;

	memcpy(&dst, ip->dst, sizeof(dst));
	for (uint32_t i = 0; i < port->addr4_count; i++) {
		if (dst == port->addr4[i].ip)
			return true;
	}
	return false;
}

/* RFC 1122 §3.2.1.3: what no host may use as its source. */
static inline bool net_ip4_source_is_bad(const struct net_port *port, const struct hf_pkt_ip4 *ip)
{
	uint8_t net = ip->src[0];
	uint32_t src;

	if (net == 0 || net == 127 || net >= 224)
		return true;
	memcpy(&src, ip->src, sizeof(src));
	for (uint32_t i = 0; i < port->addr4_count; i++) {
		if (src == port->addr4[i].ip || src == port->addr4[i].broadcast)
			return true;
	}
	return false;
}

/* A segment of len bytes with its header, but for addresses, ECN and path. Its packet is held until
 * hf_net_rx_done. */
static inline struct hf_tcp_seg *net_seg_new(
	struct hf_net *net, struct rte_mbuf *mbuf, const struct hf_pkt_tcp *tcp, uint32_t len)
{
	uint32_t off = (tcp->off >> 4) * 4u;
	struct hf_tcp_seg *seg = &net->seg[net->seg_count];

	HF_ASSERT(net->seg_count < HF_NET_SEGS && net->held_count < NET_HELD_MAX);
	net->seg_count++;
	net->held[net->held_count++] = mbuf;
	seg->sport = __builtin_bswap16(tcp->sport_be);
	seg->dport = __builtin_bswap16(tcp->dport_be);
	seg->seq = __builtin_bswap32(tcp->seq_be);
	seg->ack = __builtin_bswap32(tcp->ack_be);
	seg->wnd = __builtin_bswap16(tcp->wnd_be);
	seg->flags = tcp->flags;
	seg->opt_len = (uint8_t)(off - sizeof(*tcp));
	seg->opt = (const uint8_t *)(tcp + 1);
	seg->payload = (const uint8_t *)tcp + off;
	seg->payload_len = len - off;
	return seg;
}

/* The way back to who sent the frame; gateway: the port's for peers like this one. */
static inline void net_seg_path(const struct net_port *port, const struct net_gateway *gateway,
	const struct hf_pkt_eth *eth, const struct hf_ip *peer, struct hf_path *ret_path)
{
	*ret_path = port->path;
	memcpy(ret_path->mac, eth->src, 6);
	if (gateway->set && !net_addr_on_link(port, peer))
		ret_path->flags = NET_PATH_GATEWAY;
}

#endif
