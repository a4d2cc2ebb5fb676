/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP by type. Echo (RFC 792, RFC 4443 §4) is answered, at a bounded rate; errors about our
 * segments go to net_quote.c. What else there is, a server of TCP does not heed: source quench (RFC
 * 6633), redirects, router advertisements (its routes are configured), time exceeded, parameter
 * problem.
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

bool net_icmp_may_answer(struct hf_net *net)
{
	if (net->now_us - net->icmp_refill_us >= 1000000) {
		net->icmp_refill_us = net->now_us;
		net->icmp_tokens = NET_ICMP_RATE;
	}
	if (net->icmp_tokens == 0)
		return false;
	net->icmp_tokens--;
	return true;
}

/* Echoes the message with another type; the checksum is the caller's. */
static void icmp_answer(uint8_t *to, const uint8_t *from, uint32_t len, uint8_t type)
{
	struct hf_pkt_icmp *icmp = (struct hf_pkt_icmp *)to;

	HF_ASSERT_HOT(len >= sizeof(struct hf_pkt_icmp_echo));
	memcpy(to, from, len);
	icmp->type = type;
	icmp->csum = 0;
}

int net_icmp4_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip4 *ip,
	const uint8_t *data, uint32_t len)
{
	const struct hf_pkt_icmp *icmp = (const void *)data;
	struct rte_mbuf *mbuf;
	struct hf_pkt_ip4 *out;
	uint8_t *l3;

	if (len < sizeof(*icmp) || hf_pkt_sum(0, data, len) != 0xffff)
		return hf_drop(HF_DROP_ICMP_BAD);
	if (icmp->type == NET_ICMP_UNREACHABLE)
		return net_quote4_in(net, frame, ip, data, len);
	if (icmp->type != HF_PKT_ICMP_ECHO)
		return hf_drop(HF_DROP_ICMP_TYPE);
	if (len < sizeof(struct hf_pkt_icmp_echo) || icmp->code != 0)
		return hf_drop(HF_DROP_ICMP_BAD);
	if (!net_icmp_may_answer(net))
		return hf_drop(HF_DROP_ICMP_RATE);
	mbuf = net_out_new(net, frame->port, frame->eth->src, HF_PKT_TYPE_IP4,
		(uint32_t)sizeof(*out) + len, &l3);
	if (!mbuf)
		return HF_DROP_NO_MBUF;
	out = (struct hf_pkt_ip4 *)l3;
	memset(out, 0, sizeof(*out));
	out->version_ihl = 0x45;
	out->tos = ip->tos & 0xfc; /* what the path said by ECN is not ours to repeat */
	out->len_be = __builtin_bswap16((uint16_t)(sizeof(*out) + len));
	out->frag_be = __builtin_bswap16(HF_PKT_IP4_DF);
	out->ttl = NET_HOPS;
	out->proto = HF_PKT_PROTO_ICMP;
	memcpy(out->src, ip->dst, 4);
	memcpy(out->dst, ip->src, 4);
	out->csum = (uint16_t)~hf_pkt_sum(0, out, sizeof(*out));
	l3 += sizeof(*out);
	icmp_answer(l3, data, len, HF_PKT_ICMP_ECHO_REPLY);
	((struct hf_pkt_icmp *)l3)->csum = (uint16_t)~hf_pkt_sum(0, l3, len);
	net_out_stage(net, frame->port, mbuf);
	return HF_DROP_NONE;
}

static int icmp6_echo(struct hf_net *net, const struct net_frame *frame,
	const struct hf_pkt_ip6 *ip, const uint8_t *data, uint32_t len)
{
	static const uint8_t unspecified[16];
	struct rte_mbuf *mbuf;
	struct hf_pkt_ip6 *out;
	uint16_t sum;
	uint8_t *l3;

	if (len < sizeof(struct hf_pkt_icmp_echo) || ((const struct hf_pkt_icmp *)data)->code != 0)
		return hf_drop(HF_DROP_ICMP_BAD);
	if (memcmp(ip->src, unspecified, 16) == 0)
		return hf_drop(HF_DROP_IP_BAD_SOURCE);
	if (ip->dst[0] == 0xff)
		return hf_drop(HF_DROP_IP_NOT_OURS);
	if (!net_icmp_may_answer(net))
		return hf_drop(HF_DROP_ICMP_RATE);
	mbuf = net_out_new(net, frame->port, frame->eth->src, HF_PKT_TYPE_IP6,
		(uint32_t)sizeof(*out) + len, &l3);
	if (!mbuf)
		return HF_DROP_NO_MBUF;
	out = (struct hf_pkt_ip6 *)l3;
	out->vtf_be = __builtin_bswap32(6u << 28);
	out->len_be = __builtin_bswap16((uint16_t)len);
	out->next = HF_PKT_PROTO_ICMP6;
	out->hops = NET_HOPS;
	memcpy(out->src, ip->dst, 16);
	memcpy(out->dst, ip->src, 16);
	l3 += sizeof(*out);
	icmp_answer(l3, data, len, HF_PKT_ICMP6_ECHO_REPLY);
	sum = hf_pkt_sum_pseudo6(out->src, out->dst, HF_PKT_PROTO_ICMP6, len);
	((struct hf_pkt_icmp *)l3)->csum = (uint16_t)~hf_pkt_sum(sum, l3, len);
	net_out_stage(net, frame->port, mbuf);
	return HF_DROP_NONE;
}

int net_icmp6_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	const uint8_t *data, uint32_t len)
{
	const struct hf_pkt_icmp *icmp = (const void *)data;
	uint16_t sum;

	if (len < sizeof(*icmp))
		return hf_drop(HF_DROP_ICMP_BAD);
	sum = hf_pkt_sum_pseudo6(ip->src, ip->dst, HF_PKT_PROTO_ICMP6, len);
	if (hf_pkt_sum(sum, data, len) != 0xffff)
		return hf_drop(HF_DROP_ICMP_BAD);
	switch (icmp->type) {
	case HF_PKT_ICMP6_ECHO:
		return icmp6_echo(net, frame, ip, data, len);
	case NET_ICMP6_UNREACHABLE:
	case NET_ICMP6_TOO_BIG:
		return net_quote6_in(net, frame, ip, data, len);
	case HF_PKT_ICMP6_NS:
	case HF_PKT_ICMP6_NA:
		return net_nd_in(net, frame, ip, data, len);
	case HF_PKT_ICMP6_MLD_QUERY:
		return net_mld_query_in(net, frame, ip, len);
	default:
		return hf_drop(HF_DROP_ICMP_TYPE);
	}
}
