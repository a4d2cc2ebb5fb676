/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP received: header and checksum, the worker whose flow it is, the segment (RFC 9293 §3.1).
 */
#include "hf_net.h"

#include <string.h>

#include "hf_bytes.h"

#include "net_priv.h"

static bool tcp_checksum_is_right(const struct net_frame *frame, const struct hf_ip *src,
	const struct hf_ip *dst, const uint8_t *data, uint32_t len)
{
	uint64_t flags = frame->mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint16_t sum;

	if (frame->port->info.rx_csum) {
		/* NONE: a host's packet whose sum was left out because no wire was passed. */
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD || flags == RTE_MBUF_F_RX_L4_CKSUM_NONE)
			return true;
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_BAD)
			return false;
	}
	if (hf_ip_is4(dst))
		sum = hf_pkt_sum_pseudo4(src->b + 12, dst->b + 12, HF_PKT_PROTO_TCP, (uint16_t)len);
	else
		sum = hf_pkt_sum_pseudo6(src->b, dst->b, HF_PKT_PROTO_TCP, len);
	return hf_pkt_sum(sum, data, len) == 0xffff;
}

/* Keyed: peers cannot pick their worker. The same both ways is not needed: we only receive. */
static uint32_t tcp_worker(const struct hf_net_shared *shared, const struct hf_ip *src,
	const struct hf_ip *dst, const uint8_t *ports)
{
	uint8_t flow[36];
	uint64_t hash;

	memcpy(flow, src->b, 16);
	memcpy(flow + 16, dst->b, 16);
	memcpy(flow + 32, ports, 4);
	hash = hf_siphash(&shared->spread_key, flow, sizeof(flow));
	return (uint32_t)(((hash >> 32) * shared->workers) >> 32);
}

static int tcp_spread(struct hf_net *net, const struct net_frame *frame, uint32_t worker)
{
	struct hf_net_shared *shared = net->shared;
	struct hf_ring *ring = shared->rx_ring[net->worker * shared->workers + worker];
	struct hf_msg msg = { .ptr = frame->mbuf, .arg = frame->port->index };

	HF_ASSERT_HOT(ring && worker != net->worker && !frame->spread);
	if (!hf_ring_post(ring, msg))
		return hf_drop(HF_DROP_SPREAD_FULL);
	if (shared->waker[worker])
		hf_waker_wake(shared->waker[worker]);
	hf_stat_inc(HF_STAT_SPREAD_PACKETS);
	return NET_HELD;
}

static void tcp_path(const struct hf_net *net, const struct net_frame *frame,
	const struct hf_ip *src, struct hf_path *ret_path)
{
	const struct net_port *port = frame->port;
	const struct net_gateway *gateway = hf_ip_is4(src) ? &port->gateway4 : &port->gateway6;

	(void)net;
	memcpy(ret_path->mac, frame->eth->src, 6);
	ret_path->port = (uint16_t)port->index;
	ret_path->mtu = port->info.mtu;
	ret_path->flags = gateway->set && !net_addr_on_link(port, src) ? NET_PATH_GATEWAY : 0;
	ret_path->tso_max = port->info.tso_max;
}

int net_tcp_in(struct hf_net *net, const struct net_frame *frame, const struct hf_ip *src,
	const struct hf_ip *dst, const uint8_t *data, uint32_t len)
{
	const struct hf_pkt_tcp *tcp = (const void *)data;
	struct hf_tcp_seg *seg;
	uint32_t off;

	if (len < sizeof(*tcp))
		return hf_drop(HF_DROP_TCP_BAD_HEADER);
	off = (tcp->off >> 4) * 4u;
	if (off < sizeof(*tcp) || off > len)
		return hf_drop(HF_DROP_TCP_BAD_HEADER);
	if (tcp->sport_be == 0 || tcp->dport_be == 0)
		return hf_drop(HF_DROP_TCP_BAD_PORT);
	if (!frame->port->info.rss && net->shared->workers > 1 && !frame->spread) {
		uint32_t worker = tcp_worker(net->shared, src, dst, data);

		if (worker != net->worker)
			return tcp_spread(net, frame, worker);
	}
	if (!tcp_checksum_is_right(frame, src, dst, data, len))
		return hf_drop(HF_DROP_TCP_BAD_CHECKSUM);
	HF_ASSERT(net->seg_count < HF_NET_SEGS && net->held_count < NET_HELD_MAX);
	seg = &net->seg[net->seg_count++];
	seg->src = *src;
	seg->dst = *dst;
	seg->sport = __builtin_bswap16(tcp->sport_be);
	seg->dport = __builtin_bswap16(tcp->dport_be);
	seg->seq = __builtin_bswap32(tcp->seq_be);
	seg->ack = __builtin_bswap32(tcp->ack_be);
	seg->wnd = __builtin_bswap16(tcp->wnd_be);
	seg->flags = tcp->flags;
	seg->opt_len = (uint8_t)(off - sizeof(*tcp));
	seg->opt = data + sizeof(*tcp);
	seg->payload = data + off;
	seg->payload_len = len - off;
	tcp_path(net, frame, src, &seg->path);
	net->held[net->held_count++] = frame->mbuf;
	return NET_HELD;
}
