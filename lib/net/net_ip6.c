/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv6 received (RFC 8200).
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

/* Multicast, unspecified, loopback, IPv4-mapped (which would pass for an IPv4 peer), and ours. */
static bool ip6_source_is_bad(const struct net_port *port, const uint8_t src[16])
{
	static const uint8_t zero[16];
	struct hf_ip ip = net_ip_from6(src);

	if (src[0] == 0xff || hf_ip_is4(&ip))
		return true;
	if (memcmp(src, zero, 15) == 0 && src[15] <= 1)
		return true;
	return net_addr_is_ours(port, &ip);
}

/* A group of ours: all nodes, or solicited-node of one of our addresses (RFC 4291 §2.7.1). */
static bool ip6_is_group(const struct net_port *port, const uint8_t dst[16])
{
	static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 1, 0xff };
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

	if (memcmp(dst, all_nodes, sizeof(all_nodes)) == 0)
		return true;
	if (memcmp(dst, prefix, sizeof(prefix)) != 0)
		return false;
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (!port->addr[i].is4 && memcmp(port->addr[i].ip.b + 13, dst + 13, 3) == 0)
			return true;
	}
	return false;
}

/* Options of which a host must not take the packet when it does not know them: RFC 8200 §4.2. */
static bool ip6_options_are_fine(const uint8_t *opt, uint32_t len)
{
	uint32_t at = 0, count = 0;

	while (at < len) {
		if (opt[at] == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (len - at < 2 || opt[at + 1] > len - at - 2 || ++count > NET_EXT_MAX)
			return false;
		if (opt[at] & 0xc0)
			return false;
		at += 2u + opt[at + 1];
	}
	return true;
}

/* Steps over hop-by-hop and destination options; every other extension ends here. */
static int ip6_extensions(uint8_t *next, const uint8_t **data, uint32_t *len)
{
	bool first = true;

	for (uint32_t count = 0; count < NET_EXT_MAX; count++, first = false) {
		const struct hf_pkt_ip6_ext *ext = (const void *)*data;
		uint32_t ext_len;

		if (*next == HF_PKT_PROTO_FRAGMENT)
			return hf_drop(HF_DROP_IP_FRAGMENT);
		if (*next == HF_PKT_PROTO_ROUTING || (*next == HF_PKT_PROTO_HOP && !first))
			return hf_drop(HF_DROP_IP_OPTIONS);
		if (*next != HF_PKT_PROTO_HOP && *next != HF_PKT_PROTO_DSTOPTS)
			return HF_DROP_NONE;
		if (*len < 8)
			return hf_drop(HF_DROP_IP_BAD_HEADER);
		ext_len = (ext->len + 1u) * 8;
		if (ext_len > *len)
			return hf_drop(HF_DROP_IP_BAD_HEADER);
		if (!ip6_options_are_fine(*data + sizeof(*ext), ext_len - (uint32_t)sizeof(*ext)))
			return hf_drop(HF_DROP_IP_OPTIONS);
		*next = ext->next;
		*data += ext_len;
		*len -= ext_len;
	}
	return hf_drop(HF_DROP_IP_OPTIONS);
}

int net_ip6_in(struct hf_net *net, const struct net_frame *frame)
{
	static const uint8_t unspecified[16];
	const struct hf_pkt_ip6 *ip = (const void *)frame->l3;
	const uint8_t *data = frame->l3 + sizeof(*ip);
	struct hf_ip src, dst;
	bool group;
	uint32_t len;
	uint8_t next;
	int verdict;

	if (frame->l3_len < sizeof(*ip) || frame->l3[0] >> 4 != 6)
		return hf_drop(HF_DROP_IP_BAD_HEADER);
	len = __builtin_bswap16(ip->len_be);
	if (len > frame->l3_len - sizeof(*ip))
		return hf_drop(HF_DROP_IP_BAD_HEADER);
	dst = net_ip_from6(ip->dst);
	group = ip6_is_group(frame->port, ip->dst);
	if (!group && (hf_ip_is4(&dst) || !net_addr_is_ours(frame->port, &dst) ||
			      net_mac_is_multicast(frame->eth->dst)))
		return hf_drop(HF_DROP_IP_NOT_OURS);
	next = ip->next;
	verdict = ip6_extensions(&next, &data, &len);
	if (verdict != HF_DROP_NONE)
		return verdict;
	src = net_ip_from6(ip->src);
	/* A probe for duplicate addresses has no source yet (RFC 4861 §7.1.1). */
	if (ip6_source_is_bad(frame->port, ip->src) &&
		!(next == HF_PKT_PROTO_ICMP6 && memcmp(ip->src, unspecified, 16) == 0))
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	if (next == HF_PKT_PROTO_ICMP6)
		return net_icmp6_in(net, frame, ip, data, len);
	if (next != HF_PKT_PROTO_TCP)
		return hf_drop(HF_DROP_IP_PROTOCOL);
	if (group)
		return hf_drop(HF_DROP_IP_NOT_OURS);
	return net_tcp_in(net, frame, &src, &dst, data, len);
}
