/* SPDX-License-Identifier: BSD-3-Clause
 *
 * IPv4 received (RFC 791, RFC 1122 §3.2.1).
 */
#include "hf_net.h"

#include "hf_bytes.h"

#include "net_priv.h"
#include "net_seg.h"

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
	/* Sent to everybody on the link: RFC 1122 §3.3.6 has it dropped if the address is ours. */
	if (net_mac_is_multicast(frame->eth->dst) || !net_ip4_is_ours(frame->port, ip))
		return hf_drop(HF_DROP_IP_NOT_OURS);
	if (net_ip4_source_is_bad(frame->port, ip))
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	if (hf_unlikely(ihl > sizeof(*ip))) {
		verdict = ip4_options(frame->l3 + sizeof(*ip), ihl - (uint32_t)sizeof(*ip));
		if (verdict != HF_DROP_NONE)
			return verdict;
	}
	if (hf_likely(ip->proto == HF_PKT_PROTO_TCP)) {
		src = net_ip_from4(ip->src);
		dst = net_ip_from4(ip->dst);
		return net_tcp_in(net, frame, &src, &dst, frame->l3 + ihl, len - ihl);
	}
	if (ip->proto == HF_PKT_PROTO_ICMP)
		return net_icmp4_in(net, frame, ip, frame->l3 + ihl, len - ihl);
	return hf_drop(HF_DROP_IP_PROTOCOL);
}
