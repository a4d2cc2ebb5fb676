/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP received: header and checksum, the worker whose flow it is, the segment (RFC 9293 §3.1).
 */
#include "hf_net.h"

#include "net_priv.h"
#include "net_seg.h"

static bool tcp_checksum_is_right(const struct net_frame *frame, const struct hf_ip *src,
	const struct hf_ip *dst, const uint8_t *data, uint32_t len)
{
	uint64_t flags = frame->mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint64_t sum;

	if (frame->port->info.rx_csum) {
		/* NONE: a host's packet whose sum was left out because no wire was passed. */
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD || flags == RTE_MBUF_F_RX_L4_CKSUM_NONE)
			return true;
		if (flags == RTE_MBUF_F_RX_L4_CKSUM_BAD)
			return false;
	}
	if (hf_ip_is4(dst))
		sum = hf_pkt_sum_wide_pseudo4(
			src->b + 12, dst->b + 12, HF_PKT_PROTO_TCP, (uint16_t)len);
	else
		sum = hf_pkt_sum_pseudo6(src->b, dst->b, HF_PKT_PROTO_TCP, len);
	return hf_pkt_sum_fold(hf_pkt_sum_wide(sum, data, len)) == 0xffff;
}

/* RFC 3168 §5: the lowest bits of the IPv4 TOS byte, of the IPv6 traffic class. */
static uint8_t tcp_ecn(const struct net_frame *frame)
{
	return frame->l3[0] >> 4 == 4 ? frame->l3[1] & 3 : frame->l3[1] >> 4 & 3;
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
		uint32_t worker =
			net_spread_worker(net->shared, src, dst, tcp->sport_be, tcp->dport_be);

		if (worker != net->worker)
			return net_spread_pass(net, frame, worker, /* hops= */ 0);
	}
	if (!tcp_checksum_is_right(frame, src, dst, data, len))
		return hf_drop(HF_DROP_TCP_BAD_CHECKSUM);
	seg = net_seg_new(net, frame->mbuf, tcp, len);
	seg->src = *src;
	seg->dst = *dst;
	seg->ecn = tcp_ecn(frame);
	net_seg_path(frame->port, hf_ip_is4(src) ? &frame->port->gateway4 : &frame->port->gateway6,
		frame->eth, src, &seg->path);
	return NET_HELD;
}
