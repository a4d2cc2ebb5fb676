/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ARP (RFC 826, RFC 5227): answers for our addresses, announcements, the IPv4 gateway.
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

static const uint8_t arp_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* tha may be NULL: unknown. */
static void arp_send(struct hf_net *net, struct net_port *port, const uint8_t *dst, uint16_t op,
	const uint8_t *spa, const uint8_t *tha, const uint8_t *tpa)
{
	uint8_t *l3;
	struct hf_pkt_arp *arp;
	struct rte_mbuf *mbuf = net_out_new(net, port, dst, HF_PKT_TYPE_ARP, sizeof(*arp), &l3);

	HF_ASSERT(spa && tpa);
	if (!mbuf)
		return;
	arp = (struct hf_pkt_arp *)l3;
	memset(arp, 0, sizeof(*arp));
	arp->htype_be = __builtin_bswap16(1);
	arp->ptype_be = __builtin_bswap16(HF_PKT_TYPE_IP4);
	arp->hlen = 6;
	arp->plen = 4;
	arp->op_be = __builtin_bswap16(op);
	memcpy(arp->sha, port->info.mac, 6);
	memcpy(arp->spa, spa, 4);
	if (tha)
		memcpy(arp->tha, tha, 6);
	memcpy(arp->tpa, tpa, 4);
	net_out_stage(net, port, mbuf);
}

int net_arp_in(struct hf_net *net, const struct net_frame *frame)
{
	const struct hf_pkt_arp *arp = (const void *)frame->l3;
	struct net_gateway *gateway = &frame->port->gateway4;
	struct hf_ip sender, target;

	if (frame->l3_len < sizeof(*arp) || arp->htype_be != __builtin_bswap16(1) ||
		arp->ptype_be != __builtin_bswap16(HF_PKT_TYPE_IP4) || arp->hlen != 6 ||
		arp->plen != 4)
		return hf_drop(HF_DROP_ARP_BAD);
	if (arp->op_be != __builtin_bswap16(HF_PKT_ARP_REQUEST) &&
		arp->op_be != __builtin_bswap16(HF_PKT_ARP_REPLY))
		return hf_drop(HF_DROP_ARP_BAD);
	/* Nobody has a group address. */
	if (net_mac_is_multicast(arp->sha) || net_mac_is_zero(arp->sha))
		return hf_drop(HF_DROP_ARP_BAD);
	sender = net_ip_from4(arp->spa);
	target = net_ip_from4(arp->tpa);
	if (net_addr_is_ours(frame->port, &sender) &&
		memcmp(arp->sha, frame->port->info.mac, 6) != 0)
		return net_addr_conflict(net, frame->port, /* is4= */ true);
	if (gateway->set && net_ip_eq(&gateway->ip, &sender))
		net_gateway_learn(gateway, arp->sha);
	if (arp->op_be == __builtin_bswap16(HF_PKT_ARP_REPLY))
		return gateway->set && net_ip_eq(&gateway->ip, &sender)
			       ? HF_DROP_NONE
			       : hf_drop(HF_DROP_ARP_NOT_OURS);
	if (!net_addr_is_ours(frame->port, &target))
		return hf_drop(HF_DROP_ARP_NOT_OURS);
	/* Also the answer to a probe from 0.0.0.0 (RFC 5227 §2.1.1). */
	arp_send(net, frame->port, arp->sha, HF_PKT_ARP_REPLY, arp->tpa, arp->sha, arp->spa);
	return HF_DROP_NONE;
}

void net_arp_announce(struct hf_net *net, struct net_port *port)
{
	for (uint32_t i = 0; i < port->addr_count; i++) {
		const uint8_t *ip = port->addr[i].ip.b + 12;

		if (port->addr[i].is4)
			arp_send(net, port, arp_broadcast, HF_PKT_ARP_REQUEST, ip, NULL, ip);
	}
}

void net_arp_request(struct hf_net *net, struct net_port *port, const struct hf_ip *ip)
{
	const struct hf_ip *own = net_addr_first(port, /* is4= */ true);

	HF_ASSERT(hf_ip_is4(ip));
	if (!own)
		return;
	arp_send(net, port, arp_broadcast, HF_PKT_ARP_REQUEST, own->b + 12, NULL, ip->b + 12);
}
