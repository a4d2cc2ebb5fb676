/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Ethernet and 802.1Q: is the frame for us, and whose protocol is it. The short way of TCP in IPv4.
 */
#include "hf_net.h"

#include <string.h>

#include "hf_bytes.h"

#include "net_priv.h"
#include "net_seg.h"

/* Type and start of what is behind Ethernet and at most one tag, the port's. */
static int in_vlan(struct net_frame *frame, uint16_t *ret_type)
{
	uint16_t type = __builtin_bswap16(frame->eth->type_be);
	uint16_t vid = 0;

	if (type == HF_PKT_TYPE_VLAN) {
		const struct hf_pkt_vlan *tag = (const void *)frame->l3;

		if (frame->l3_len < sizeof(*tag))
			return hf_drop(HF_DROP_ETH_SHORT);
		vid = __builtin_bswap16(tag->tci_be) & HF_PKT_VLAN_VID;
		type = __builtin_bswap16(tag->type_be);
		frame->l3 += sizeof(*tag);
		frame->l3_len -= (uint32_t)sizeof(*tag);
	} else if (frame->mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		vid = frame->mbuf->vlan_tci & HF_PKT_VLAN_VID;
	}
	/* VID 0 is a priority tag: no VLAN. */
	if (vid != frame->port->vlan)
		return hf_drop(HF_DROP_ETH_VLAN);
	*ret_type = type;
	return HF_DROP_NONE;
}

/* The frame in one piece: received chains are copied. Takes over *mbuf. */
static int in_linearise(struct hf_net *net, struct rte_mbuf **mbuf)
{
	struct rte_mbuf *chain = *mbuf, *copy = rte_pktmbuf_alloc(net->pool);
	uint32_t len = chain->pkt_len;
	char *to;

	*mbuf = NULL;
	if (!copy) {
		rte_pktmbuf_free(chain);
		return hf_drop(HF_DROP_NO_MBUF);
	}
	to = len > UINT16_MAX ? NULL : rte_pktmbuf_append(copy, (uint16_t)len);
	if (!to) {
		rte_pktmbuf_free(chain);
		rte_pktmbuf_free(copy);
		return hf_drop(HF_DROP_ETH_LONG);
	}
	for (const struct rte_mbuf *seg = chain; seg; seg = seg->next) {
		memcpy(to, rte_pktmbuf_mtod(seg, const char *), seg->data_len);
		to += seg->data_len;
	}
	copy->ol_flags = chain->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	copy->vlan_tci = chain->vlan_tci;
	rte_pktmbuf_free(chain);
	*mbuf = copy;
	return HF_DROP_NONE;
}

static int in_dispatch(struct hf_net *net, struct net_frame *frame)
{
	uint16_t type = 0;
	int verdict = in_vlan(frame, &type);

	if (verdict != HF_DROP_NONE)
		return verdict;
	if (hf_likely(type == HF_PKT_TYPE_IP4))
		return net_ip4_in(net, frame);
	switch (type) {
	case HF_PKT_TYPE_IP6:
		return net_ip6_in(net, frame);
	case HF_PKT_TYPE_ARP:
		return net_arp_in(net, frame);
	default:
		return hf_drop(HF_DROP_ETH_TYPE);
	}
}

/* HF_DROP_NONE, NET_HELD, or why not. */
int net_in_long(struct hf_net *net, struct net_port *port, struct rte_mbuf *mbuf, bool spread,
	uint32_t hops)
{
	const struct hf_pkt_eth *eth;
	struct net_frame frame;
	int verdict;

	if (hf_unlikely(mbuf->nb_segs > 1)) {
		verdict = in_linearise(net, &mbuf);
		if (verdict != HF_DROP_NONE)
			return verdict;
	}
	eth = rte_pktmbuf_mtod(mbuf, const struct hf_pkt_eth *);
	if (mbuf->data_len < sizeof(*eth)) {
		verdict = hf_drop(HF_DROP_ETH_SHORT);
	} else if (net_mac_is_multicast(eth->src) || net_mac_is_zero(eth->src)) {
		verdict = hf_drop(HF_DROP_ETH_BAD_SOURCE);
	} else if (!net_mac_is_multicast(eth->dst) && !net_mac_eq(eth->dst, port->info.mac)) {
		verdict = hf_drop(HF_DROP_ETH_NOT_OURS);
	} else {
		frame = (struct net_frame){ .port = port,
			.mbuf = mbuf,
			.eth = eth,
			.l3 = (const uint8_t *)(eth + 1),
			.l3_len = mbuf->data_len - (uint32_t)sizeof(*eth),
			.spread = spread,
			.hops = hops };
		verdict = in_dispatch(net, &frame);
	}
	if (verdict != NET_HELD)
		rte_pktmbuf_free(mbuf);
	return verdict;
}

/* ---- the short way ---- */

/* In front of what nearly every frame carries. */
struct in_headers {
	struct hf_pkt_eth eth;
	struct hf_pkt_ip4 ip;
	struct hf_pkt_tcp tcp;
} HF_PKT_PACKED;

static inline bool in_eth_is_plain(
	const struct net_port *port, const struct rte_mbuf *mbuf, const struct hf_pkt_eth *eth)
{
	return net_mac_eq(eth->dst, port->info.mac) && !net_mac_is_multicast(eth->src) &&
	       !net_mac_is_zero(eth->src) && eth->type_be == __builtin_bswap16(HF_PKT_TYPE_IP4) &&
	       port->vlan == 0 && !(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
}

/* Without options, whole, for us; room bytes are there. */
static inline bool in_ip4_is_plain(
	const struct net_port *port, const struct hf_pkt_ip4 *ip, uint32_t room)
{
	uint32_t len = __builtin_bswap16(ip->len_be);

	return ip->version_ihl == 0x45 && ip->proto == HF_PKT_PROTO_TCP && len <= room &&
	       len >= sizeof(*ip) + sizeof(struct hf_pkt_tcp) &&
	       !(ip->frag_be & __builtin_bswap16(HF_PKT_IP4_MF | HF_PKT_IP4_OFFSET)) &&
	       net_ip4_is_ours(port, ip) && !net_ip4_source_is_bad(port, ip);
}

static inline bool in_tcp_is_plain(const struct hf_pkt_tcp *tcp, uint32_t len)
{
	uint32_t off = (tcp->off >> 4) * 4u;

	return off >= sizeof(*tcp) && off <= len && tcp->sport_be != 0 && tcp->dport_be != 0;
}

static inline bool in_sums_are_right(const struct net_port *port, const struct rte_mbuf *mbuf,
	const struct hf_pkt_ip4 *ip, const struct hf_pkt_tcp *tcp, uint32_t len)
{
	const uint64_t mask = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;
	const uint64_t good = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	uint64_t sum;

	if (port->info.rx_csum)
		return (mbuf->ol_flags & mask) == good;
	if (hf_pkt_sum_ip4(ip) != 0xffff)
		return false;
	sum = hf_pkt_sum_wide_pseudo4(ip->src, ip->dst, HF_PKT_PROTO_TCP, (uint16_t)len);
	return hf_pkt_sum_fold(hf_pkt_sum_wide(sum, tcp, len)) == 0xffff;
}

/* A segment for this worker in an untagged frame and an IPv4 packet without options, and nothing
 * amiss: true, it is among the segments. Else nothing was done: the long way finds out what it is,
 * and counts it. */
static inline bool in_short(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf)
{
	const struct in_headers *at = rte_pktmbuf_mtod(mbuf, const struct in_headers *);
	struct hf_tcp_seg *seg;
	uint32_t len;

	if (mbuf->nb_segs > 1 || mbuf->data_len < sizeof(*at) ||
		!in_eth_is_plain(port, mbuf, &at->eth) ||
		!in_ip4_is_plain(port, &at->ip, mbuf->data_len - (uint32_t)sizeof(at->eth)))
		return false;
	len = __builtin_bswap16(at->ip.len_be) - (uint32_t)sizeof(at->ip);
	if (!in_tcp_is_plain(&at->tcp, len) ||
		!in_sums_are_right(port, mbuf, &at->ip, &at->tcp, len))
		return false;
	seg = net_seg_new(net, mbuf, &at->tcp, len);
	seg->src = net_ip_from4(at->ip.src);
	seg->dst = net_ip_from4(at->ip.dst);
	seg->ecn = at->ip.tos & 3;
	net_seg_path(port, &port->gateway4, &at->eth, &seg->src, &seg->path);
	return true;
}

/* Every flow of the port is this worker's. */
static inline bool in_flows_are_mine(const struct hf_net *net, const struct net_port *port)
{
	return port->info.rss || net->shared->workers == 1;
}

int net_in_frame(struct hf_net *net, struct net_port *port, struct rte_mbuf *mbuf, bool spread,
	uint32_t hops)
{
	if ((spread || in_flows_are_mine(net, port)) && in_short(net, port, mbuf))
		return NET_HELD;
	return net_in_long(net, port, mbuf, spread, hops);
}

void net_in_burst(struct hf_net *net, struct net_port *port, struct rte_mbuf **mbufs, uint32_t n)
{
	bool mine = in_flows_are_mine(net, port);

	for (uint32_t i = 0; i < n; i++) {
		if (!mine || !in_short(net, port, mbufs[i]))
			(void)net_in_long(net, port, mbufs[i], /* spread= */ false, /* hops= */ 0);
	}
}
