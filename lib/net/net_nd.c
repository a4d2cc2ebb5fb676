/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Neighbour discovery (RFC 4861), the host's part: solicitations for our addresses are answered,
 * duplicate address detection of others included; the IPv6 gateway is resolved.
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

static const uint8_t nd_unspecified[16];
static const uint8_t nd_all_nodes[16] = { 0xff, 0x02, [15] = 1 };

struct nd_message {
	uint8_t type;
	uint32_t flags;
	uint8_t option; /* carries our MAC address */
	const uint8_t *mac, *src, *dst, *target;
};

static void nd_send(struct hf_net *net, struct net_port *port, const struct nd_message *message)
{
	uint32_t len = sizeof(struct hf_pkt_nd) + sizeof(struct hf_pkt_nd_opt);
	struct hf_pkt_nd_opt *opt;
	struct hf_pkt_ip6 *ip;
	struct hf_pkt_nd *nd;
	uint16_t sum;
	uint8_t *l3;
	struct rte_mbuf *mbuf = net_out_new(
		net, port, message->mac, HF_PKT_TYPE_IP6, (uint32_t)sizeof(*ip) + len, &l3);

	if (!mbuf)
		return;
	ip = (struct hf_pkt_ip6 *)l3;
	nd = (struct hf_pkt_nd *)(ip + 1);
	opt = (struct hf_pkt_nd_opt *)(nd + 1);
	ip->vtf_be = __builtin_bswap32(6u << 28);
	ip->len_be = __builtin_bswap16((uint16_t)len);
	ip->next = HF_PKT_PROTO_ICMP6;
	ip->hops = 255;
	memcpy(ip->src, message->src, 16);
	memcpy(ip->dst, message->dst, 16);
	nd->icmp = (struct hf_pkt_icmp){ .type = message->type };
	nd->flags_be = __builtin_bswap32(message->flags);
	memcpy(nd->target, message->target, 16);
	opt->type = message->option;
	opt->len = 1;
	memcpy(opt->mac, port->info.mac, 6);
	sum = hf_pkt_sum_pseudo6(ip->src, ip->dst, HF_PKT_PROTO_ICMP6, len);
	nd->icmp.csum = (uint16_t)~hf_pkt_sum(sum, nd, len);
	net_out_stage(net, port, mbuf);
}

/* RFC 2464 §7. */
static void nd_multicast_mac(const uint8_t group[16], uint8_t ret_mac[6])
{
	ret_mac[0] = ret_mac[1] = 0x33;
	memcpy(ret_mac + 2, group + 12, 4);
}

/* The link-layer address option of this type, NULL: none. False: an option is malformed. */
static bool nd_options(const uint8_t *opt, uint32_t len, uint8_t type, const uint8_t **ret_mac)
{
	const uint8_t *mac = NULL;

	while (len > 0) {
		const struct hf_pkt_nd_opt *at = (const void *)opt;
		uint32_t opt_len;

		if (len < 2)
			return false;
		opt_len = at->len * 8u;
		if (opt_len == 0 || opt_len > len)
			return false;
		if (at->type == type) {
			if (net_mac_is_multicast(at->mac) || net_mac_is_zero(at->mac))
				return false;
			mac = at->mac;
		}
		opt += opt_len;
		len -= opt_len;
	}
	*ret_mac = mac;
	return true;
}

static int nd_solicitation(struct hf_net *net, const struct net_frame *frame,
	const struct hf_pkt_ip6 *ip, const struct hf_pkt_nd *nd, const uint8_t *source_mac)
{
	struct hf_ip target = net_ip_from6(nd->target);
	bool probe = memcmp(ip->src, nd_unspecified, 16) == 0;
	struct nd_message answer = {
		.type = HF_PKT_ICMP6_NA,
		.flags = HF_PKT_NA_OVERRIDE | (probe ? 0 : HF_PKT_NA_SOLICITED),
		.option = HF_PKT_ND_OPT_TARGET,
		.mac = source_mac ? source_mac : frame->eth->src,
		.src = target.b,
		.dst = probe ? nd_all_nodes : ip->src,
		.target = target.b,
	};
	uint8_t all_nodes_mac[6];

	/* RFC 4861 §7.1.1: a probe goes to the solicited-node group and names no source. */
	if (probe && (source_mac || ip->dst[0] != 0xff || ip->dst[12] != 0xff))
		return hf_drop(HF_DROP_ICMP_BAD);
	if (!net_addr_is_ours(frame->port, &target))
		return hf_drop(HF_DROP_IP_NOT_OURS);
	if (probe) {
		nd_multicast_mac(nd_all_nodes, all_nodes_mac);
		answer.mac = all_nodes_mac;
	} else if (frame->port->gateway6.set && source_mac &&
		   memcmp(frame->port->gateway6.ip.b, ip->src, 16) == 0) {
		net_gateway_learn(&frame->port->gateway6, source_mac);
	}
	nd_send(net, frame->port, &answer);
	return HF_DROP_NONE;
}

static int nd_advertisement(struct hf_net *net, const struct net_frame *frame,
	const struct hf_pkt_ip6 *ip, const struct hf_pkt_nd *nd, const uint8_t *target_mac)
{
	struct net_gateway *gateway = &frame->port->gateway6;
	const uint8_t *mac = target_mac ? target_mac : frame->eth->src;
	struct hf_ip target = net_ip_from6(nd->target), src = net_ip_from6(ip->src);

	/* RFC 4861 §7.1.2 */
	if (ip->dst[0] == 0xff && (__builtin_bswap32(nd->flags_be) & HF_PKT_NA_SOLICITED))
		return hf_drop(HF_DROP_ICMP_BAD);
	if (net_addr_is_ours(frame->port, &target) && memcmp(mac, frame->port->info.mac, 6) != 0)
		return net_addr_conflict(net, frame->port, /* is4= */ false);
	if (net_addr_is_ours(frame->port, &src))
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	if (!gateway->set || memcmp(gateway->ip.b, nd->target, 16) != 0)
		return hf_drop(HF_DROP_ICMP_TYPE);
	net_gateway_learn(gateway, mac);
	return HF_DROP_NONE;
}

int net_nd_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	const uint8_t *data, uint32_t len)
{
	const struct hf_pkt_nd *nd = (const void *)data;
	bool solicitation;
	const uint8_t *mac = NULL;

	/* RFC 4861 §7.1: a router would have lowered the hop limit, so 255 was sent on this
	 * link. */
	if (ip->hops != 255 || len < sizeof(*nd) || nd->icmp.code != 0 || nd->target[0] == 0xff)
		return hf_drop(HF_DROP_ICMP_BAD);
	solicitation = nd->icmp.type == HF_PKT_ICMP6_NS;
	if (!nd_options(data + sizeof(*nd), len - (uint32_t)sizeof(*nd),
		    solicitation ? HF_PKT_ND_OPT_SOURCE : HF_PKT_ND_OPT_TARGET, &mac))
		return hf_drop(HF_DROP_ICMP_BAD);
	if (solicitation)
		return nd_solicitation(net, frame, ip, nd, mac);
	if (memcmp(ip->src, nd_unspecified, 16) == 0)
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	return nd_advertisement(net, frame, ip, nd, mac);
}

void net_nd_announce(struct hf_net *net, struct net_port *port)
{
	uint8_t mac[6];

	nd_multicast_mac(nd_all_nodes, mac);
	for (uint32_t i = 0; i < port->addr_count; i++) {
		const uint8_t *ip = port->addr[i].ip.b;
		struct nd_message message = {
			.type = HF_PKT_ICMP6_NA,
			.flags = HF_PKT_NA_OVERRIDE,
			.option = HF_PKT_ND_OPT_TARGET,
			.mac = mac,
			.src = ip,
			.dst = nd_all_nodes,
			.target = ip,
		};

		if (!port->addr[i].is4)
			nd_send(net, port, &message);
	}
}

void net_nd_solicit(struct hf_net *net, struct net_port *port, const struct hf_ip *ip)
{
	uint8_t group[16] = { 0xff, 0x02, [11] = 1, 0xff };
	uint8_t mac[6];
	struct nd_message message = {
		.type = HF_PKT_ICMP6_NS,
		.option = HF_PKT_ND_OPT_SOURCE,
		.mac = mac,
		/* A gateway known by its link-local address is asked from ours. */
		.src = ip->b[0] == 0xfe ? port->link_local.b
					: net_addr_first(port, /* is4= */ false)->b,
		.dst = group,
		.target = ip->b,
	};

	HF_ASSERT(!hf_ip_is4(ip));
	memcpy(group + 13, ip->b + 13, 3);
	nd_multicast_mac(group, mac);
	nd_send(net, port, &message);
}
