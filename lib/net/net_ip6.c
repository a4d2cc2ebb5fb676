/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv6 received (RFC 8200).
 */
#include "hf_net.h"

#include <string.h>

#include "hf_bytes.h"

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

/* A probe for duplicate addresses has no source yet (RFC 4861 §7.1.1); who has an address of ours,
 * too, advertises it from there. */
static bool ip6_source_may_be_odd(
	const struct net_frame *frame, const struct hf_pkt_ip6 *ip, uint8_t type)
{
	static const uint8_t unspecified[16];
	struct hf_ip src = net_ip_from6(ip->src);

	if (memcmp(ip->src, unspecified, 16) == 0)
		return true;
	return type == HF_PKT_ICMP6_NA && net_addr_is_ours(frame->port, &src);
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

static bool ip6_is_extension(uint8_t next)
{
	return next == HF_PKT_PROTO_HOP || next == HF_PKT_PROTO_DSTOPTS ||
	       next == HF_PKT_PROTO_ROUTING || next == HF_PKT_PROTO_FRAGMENT;
}

/* May an extension header of this kind be stepped over, by its first 8 bytes: RFC 8200 §4. */
static int ip6_extension(uint8_t kind, const uint8_t *ext, bool first)
{
	switch (kind) {
	case HF_PKT_PROTO_FRAGMENT: /* only of a packet that is whole (RFC 6946) */
		return hf_load_be16(ext + 2) & (NET_FRAG6_OFFSET | NET_FRAG6_MORE)
			       ? hf_drop(HF_DROP_IP_FRAGMENT)
			       : HF_DROP_NONE;
	case HF_PKT_PROTO_ROUTING: /* only where we are the end, type 0 too (RFC 5095 §3) */
		return ext[3] != 0 ? hf_drop(HF_DROP_IP_OPTIONS) : HF_DROP_NONE;
	case HF_PKT_PROTO_HOP:
		return first ? HF_DROP_NONE : hf_drop(HF_DROP_IP_OPTIONS);
	default:
		return HF_DROP_NONE;
	}
}

static int ip6_extensions(uint8_t *next, const uint8_t **data, uint32_t *len, bool *ret_fragment)
{
	for (uint32_t count = 0; count < NET_EXT_MAX; count++) {
		const struct hf_pkt_ip6_ext *ext = (const void *)*data;
		uint32_t ext_len;
		int verdict;

		if (!ip6_is_extension(*next))
			return HF_DROP_NONE;
		if (*len < 8)
			return hf_drop(HF_DROP_IP_BAD_HEADER);
		verdict = ip6_extension(*next, *data, /* first= */ count == 0);
		if (verdict != HF_DROP_NONE)
			return verdict;
		ext_len = *next == HF_PKT_PROTO_FRAGMENT ? 8 : (ext->len + 1u) * 8;
		if (ext_len > *len)
			return hf_drop(HF_DROP_IP_BAD_HEADER);
		if ((*next == HF_PKT_PROTO_HOP || *next == HF_PKT_PROTO_DSTOPTS) &&
			!ip6_options_are_fine(*data + 2, ext_len - 2))
			return hf_drop(HF_DROP_IP_OPTIONS);
		*ret_fragment = *ret_fragment || *next == HF_PKT_PROTO_FRAGMENT;
		*next = ext->next;
		*data += ext_len;
		*len -= ext_len;
	}
	return hf_drop(HF_DROP_IP_OPTIONS);
}

int net_ip6_in(struct hf_net *net, const struct net_frame *frame)
{
	const struct hf_pkt_ip6 *ip = (const void *)frame->l3;
	const uint8_t *data = frame->l3 + sizeof(*ip);
	struct hf_ip src, dst;
	bool group, fragment = false;
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
	verdict = ip6_extensions(&next, &data, &len, &fragment);
	if (verdict != HF_DROP_NONE)
		return verdict;
	src = net_ip_from6(ip->src);
	if (ip6_source_is_bad(frame->port, ip->src) &&
		!(next == HF_PKT_PROTO_ICMP6 && len > 0 &&
			ip6_source_may_be_odd(frame, ip, data[0])))
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	/* RFC 6980 §5: an atomic fragment hides neighbour discovery from switches that guard it. */
	if (fragment && next == HF_PKT_PROTO_ICMP6)
		return hf_drop(HF_DROP_IP_FRAGMENT);
	if (next == HF_PKT_PROTO_ICMP6)
		return net_icmp6_in(net, frame, ip, data, len);
	if (next != HF_PKT_PROTO_TCP)
		return hf_drop(HF_DROP_IP_PROTOCOL);
	if (group)
		return hf_drop(HF_DROP_IP_NOT_OURS);
	return net_tcp_in(net, frame, &src, &dst, data, len);
}
