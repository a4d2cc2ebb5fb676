/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Ethernet and 802.1Q: is the frame for us, and whose protocol is it.
 */
#include "hf_net.h"

#include <string.h>

#include "hf_bytes.h"

#include "net_priv.h"

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

int net_in_frame(struct hf_net *net, struct net_port *port, struct rte_mbuf *mbuf, bool spread,
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
	} else if (!net_mac_is_multicast(eth->dst) && memcmp(eth->dst, port->info.mac, 6) != 0) {
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
