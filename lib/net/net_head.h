/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The headers of a packet that an emit descriptor becomes (net_out.c): IPv4, IPv6, TCP, and their
 * checksums, as far as the device does not make them.
 */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include <string.h>

#include "net_priv.h"

/* RFC 6864 §4.3: what routers may cut has an identification that does not come again within the
 * lifetime of its parts, for its two addresses. Each worker counts in numbers of its own, from a start
 * that differs for each pair of addresses, so that one peer cannot tell how much others are sent. */
static inline uint16_t net_head_ip4_id(struct hf_net *net, const struct hf_tcp_emit *emit)
{
	uint32_t number = net->ip4_id++ * net->shared->workers + net->worker;
	uint8_t pair[8];

	memcpy(pair, emit->src.b + 12, 4);
	memcpy(pair + 4, emit->dst.b + 12, 4);
	return (uint16_t)(number + hf_siphash(&net->shared->spread_key, pair, sizeof(pair)));
}

/* RFC 6437 §2: one label for all packets of a flow, evenly spread, so that routers may balance by it;
 * keyed, so that nobody guesses it. A hash of few cycles does: nothing is stored by it. */
static inline uint32_t net_head_ip6_label(
	const struct hf_net_shared *shared, const struct hf_tcp_emit *emit)
{
	uint64_t x = (uint64_t)emit->sport << 16 | emit->dport, address;

	memcpy(&address, emit->dst.b + 8, 8);
	x = (x ^ shared->spread_key.k0) * 0x9e3779b97f4a7c15;
	x = (x ^ x >> 32 ^ address) * (shared->spread_key.k1 | 1);
	return (uint32_t)(x >> 44);
}

/* Stores a row of a header as RFC 791 §3.1 and RFC 9293 §3.1 draw it; returns it, to be summed.
 * (Not read back: what was just stored in small parts a CPU cannot load as a large one without
 * waiting.) */
static inline uint64_t net_head_row(void *header, uint32_t row, uint32_t value)
{
	uint32_t value_be = __builtin_bswap32(value);

	memcpy((uint8_t *)header + 4 * row, &value_be, sizeof(value_be));
	return value_be;
}

/* The pseudo header's addresses; the IPv4 header has the same. */
static inline uint64_t net_head_ip4_addresses(const struct hf_tcp_emit *emit)
{
	return hf_pkt_sum_wide_pseudo4(emit->src.b + 12, emit->dst.b + 12, 0, 0);
}

static inline uint32_t net_head_ip4(struct hf_net *net, uint8_t *l3, const struct hf_tcp_emit *emit,
	uint32_t tcp_len, bool offload)
{
	struct hf_pkt_ip4 *ip = (struct hf_pkt_ip4 *)l3;
	uint32_t len = (uint32_t)sizeof(*ip) + tcp_len, frag = HF_PKT_IP4_DF;
	uint64_t sum;

	HF_ASSERT_HOT(len <= UINT16_MAX && emit->ecn <= HF_TCP_ECN_CE);
	/* RFC 6864 §4.1: with DF the identification says nothing. */
	if (emit->may_fragment)
		frag = (uint32_t)net_head_ip4_id(net, emit) << 16;
	sum = net_head_row(ip, 0, 0x45u << 24 | (uint32_t)emit->ecn << 16 | len);
	sum += net_head_row(ip, 1, frag);
	sum += net_head_row(ip, 2, NET_HOPS << 24 | HF_PKT_PROTO_TCP << 16);
	memcpy(ip->src, emit->src.b + 12, 4);
	memcpy(ip->dst, emit->dst.b + 12, 4);
	if (!offload)
		ip->csum = (uint16_t)~hf_pkt_sum_fold(sum + net_head_ip4_addresses(emit));
	return sizeof(*ip);
}

static inline uint32_t net_head_ip6(const struct hf_net_shared *shared, uint8_t *l3,
	const struct hf_tcp_emit *emit, uint32_t tcp_len)
{
	struct hf_pkt_ip6 *ip = (struct hf_pkt_ip6 *)l3;

	HF_ASSERT_HOT(tcp_len <= UINT16_MAX && emit->ecn <= HF_TCP_ECN_CE);
	ip->vtf_be = __builtin_bswap32(
		6u << 28 | (uint32_t)emit->ecn << 20 | net_head_ip6_label(shared, emit));
	ip->len_be = __builtin_bswap16((uint16_t)tcp_len);
	ip->next = HF_PKT_PROTO_TCP;
	ip->hops = NET_HOPS;
	memcpy(ip->src, emit->src.b, 16);
	memcpy(ip->dst, emit->dst.b, 16);
	return sizeof(*ip);
}

/* Without the checksum; returns the sum of what it wrote. */
static inline uint64_t net_head_tcp(struct hf_pkt_tcp *tcp, const struct hf_tcp_emit *emit)
{
	uint32_t off = (uint32_t)(sizeof(*tcp) + emit->opt_len) / 4;
	uint64_t sum, first;
	uint32_t last;

	sum = net_head_row(tcp, 0, (uint32_t)emit->sport << 16 | emit->dport);
	sum += net_head_row(tcp, 1, emit->seq);
	sum += net_head_row(tcp, 2, emit->ack);
	sum += net_head_row(tcp, 3, off << 28 | (uint32_t)emit->flags << 16 | emit->wnd);
	(void)net_head_row(tcp, 4, 0); /* checksum, urgent pointer */
	if (hf_unlikely(emit->opt_len != 12)) {
		memcpy(tcp + 1, emit->opt, emit->opt_len);
		return hf_pkt_sum_wide(sum, emit->opt, emit->opt_len);
	}
	/* Timestamps: two words. */
	memcpy(&first, emit->opt, sizeof(first));
	memcpy(&last, emit->opt + sizeof(first), sizeof(last));
	memcpy(tcp + 1, &first, sizeof(first));
	memcpy((uint8_t *)(tcp + 1) + sizeof(first), &last, sizeof(last));
	return hf_pkt_sum_word(sum + last, first);
}

/* Headers and checksums of one packet (or one run, for TSO). Both who call it have a copy: in that of
 * out_flat much is constant. */
static inline __attribute__((always_inline)) void net_head_all(struct hf_net *net,
	const struct net_port *port, struct rte_mbuf *head, const struct hf_tcp_emit *emit,
	bool is4, bool tso, uint64_t payload_sum, uint8_t *l3)
{
	uint32_t header_len = (uint32_t)sizeof(struct hf_pkt_tcp) + emit->opt_len;
	uint32_t tcp_len = header_len + emit->len;
	uint32_t l3_len = is4 ? net_head_ip4(net, l3, emit, tcp_len, port->info.csum_ip4)
			      : net_head_ip6(net->shared, l3, emit, tcp_len);
	uint32_t pseudo_len = tso ? 0 : tcp_len; /* the device adds each segment's */
	struct hf_pkt_tcp *tcp = (struct hf_pkt_tcp *)(l3 + l3_len);
	uint64_t pseudo =
		is4 ? hf_pkt_sum_wide_pseudo4(emit->src.b + 12, emit->dst.b + 12, HF_PKT_PROTO_TCP,
			      (uint16_t)pseudo_len)
		    : hf_pkt_sum_pseudo6(emit->src.b, emit->dst.b, HF_PKT_PROTO_TCP, pseudo_len);
	uint64_t sum = net_head_tcp(tcp, emit),
		 family = is4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;

	head->tx_offload =
		rte_mbuf_tx_offload(port->l2_len, l3_len, header_len, tso ? emit->mss : 0, 0, 0, 0);
	if (is4 && port->info.csum_ip4)
		head->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM | family;
	if (!port->info.csum_tcp) {
		HF_ASSERT_HOT(!tso);
		sum = hf_pkt_sum_word(hf_pkt_sum_word(sum, pseudo), payload_sum);
		tcp->csum = (uint16_t)~hf_pkt_sum_fold(sum);
	} else {
		tcp->csum = hf_pkt_sum_fold(pseudo);
		head->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | family;
		if (tso)
			head->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	}
}

#endif
