/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv4 received (RFC 791, RFC 1122 §3.2.1).
 */
#include "hf_net.h"

#include <string.h>

#include "hf_bytes.h"

#include "net_priv.h"

/* Options are stepped over; a source route is never followed, nor answered along (RFC 7126 §4.3). */
static int ip4_options(const uint8_t *opt, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && opt[at] != HF_PKT_IP4_OPT_END) {
		if (opt[at] == HF_PKT_IP4_OPT_NOP) {
			at++;
			continue;
		}
		if (opt[at] == HF_PKT_IP4_OPT_LSRR || opt[at] == HF_PKT_IP4_OPT_SSRR)
			return hf_drop(HF_DROP_IP_OPTIONS);
		if (len - at < 2 || opt[at + 1] < 2 || opt[at + 1] > len - at)
			return hf_drop(HF_DROP_IP_BAD_HEADER);
		at += opt[at + 1];
	}
	return HF_DROP_NONE;
}

/* RFC 1122 §3.2.1.3: what no host may use as its source. */
static bool ip4_source_is_bad(const struct net_port *port, const struct hf_ip *src)
{
	const uint32_t ip = hf_load_be32(src->b + 12), net = ip >> 24;

	if (net == 0 || net == 127 || net >= 224)
		return true;
	for (uint32_t i = 0; i < port->addr_count; i++) {
		const struct net_addr *addr = &port->addr[i];
		uint32_t host_bits = 128 - addr->prefix_bits;

		if (!addr->is4)
			continue;
		if (net_ip_eq(&addr->ip, src))
			return true;
		/* The prefix's broadcast address; /31 and /32 have none (RFC 3021). */
		if (host_bits < 2 || host_bits > 31)
			continue;
		if ((ip ^ hf_load_be32(addr->ip.b + 12)) >> host_bits == 0 &&
			(ip | ~((1u << host_bits) - 1)) == UINT32_MAX)
			return true;
	}
	return false;
}

static int ip4_header(const struct net_frame *frame, uint32_t *ret_ihl, uint32_t *ret_len)
{
	const struct hf_pkt_ip4 *ip = (const void *)frame->l3;
	uint64_t flags = frame->mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint32_t ihl, len;

	if (frame->l3_len < sizeof(*ip) || ip->version_ihl >> 4 != 4)
		return hf_drop(HF_DROP_IP_BAD_HEADER);
	ihl = (ip->version_ihl & 15u) * 4;
	len = __builtin_bswap16(ip->len_be);
	if (ihl < sizeof(*ip) || len < ihl || len > frame->l3_len)
		return hf_drop(HF_DROP_IP_BAD_HEADER);
	if (!frame->port->info.rx_csum ||
		(flags != RTE_MBUF_F_RX_IP_CKSUM_GOOD && flags != RTE_MBUF_F_RX_IP_CKSUM_BAD)) {
		if ((hf_likely(ihl == sizeof(*ip)) ? hf_pkt_sum_ip4(ip) : hf_pkt_sum(0, ip, ihl)) !=
			0xffff)
			return hf_drop(HF_DROP_IP_BAD_CHECKSUM);
	} else if (flags == RTE_MBUF_F_RX_IP_CKSUM_BAD) {
		return hf_drop(HF_DROP_IP_BAD_CHECKSUM);
	}
	if (__builtin_bswap16(ip->frag_be) & (HF_PKT_IP4_MF | HF_PKT_IP4_OFFSET))
		return hf_drop(HF_DROP_IP_FRAGMENT);
	*ret_ihl = ihl;
	*ret_len = len;
	return HF_DROP_NONE;
}

int net_ip4_in(struct hf_net *net, const struct net_frame *frame)
{
	const struct hf_pkt_ip4 *ip = (const void *)frame->l3;
	uint32_t ihl = 0, len = 0;
	struct hf_ip src, dst;
	int verdict = ip4_header(frame, &ihl, &len);

	if (verdict != HF_DROP_NONE)
		return verdict;
	HF_ASSERT_HOT(ihl >= sizeof(*ip) && ihl <= len && len <= frame->l3_len);
	src = net_ip_from4(ip->src);
	dst = net_ip_from4(ip->dst);
	/* Sent to everybody on the link: RFC 1122 §3.3.6 has it dropped if the address is ours. */
	if (net_mac_is_multicast(frame->eth->dst) || !net_addr_is_ours(frame->port, &dst))
		return hf_drop(HF_DROP_IP_NOT_OURS);
	if (ip4_source_is_bad(frame->port, &src))
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	if (hf_unlikely(ihl > sizeof(*ip))) {
		verdict = ip4_options(frame->l3 + sizeof(*ip), ihl - (uint32_t)sizeof(*ip));
		if (verdict != HF_DROP_NONE)
			return verdict;
	}
	if (ip->proto == HF_PKT_PROTO_TCP)
		return net_tcp_in(net, frame, &src, &dst, frame->l3 + ihl, len - ihl);
	if (ip->proto == HF_PKT_PROTO_ICMP)
		return net_icmp4_in(net, frame, ip, frame->l3 + ihl, len - ihl);
	return hf_drop(HF_DROP_IP_PROTOCOL);
}
