/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multicast listener reports (RFC 3810): a switch that snoops passes neighbour solicitations on only
 * to those who said that they listen to the solicited-node groups (RFC 4861 §7.2.1).
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

enum { MLD_IS_EXCLUDE = 2, MLD_TO_EXCLUDE = 4 }; /* of nothing: all sources (RFC 3810 §5.2.12) */

#define MLD_QUERY_MIN 24

struct mld_report {
	struct hf_pkt_icmp icmp;
	uint16_t reserved, record_count_be;
} HF_PKT_PACKED;

struct mld_record {
	uint8_t type, aux_len;
	uint16_t source_count_be;
	uint8_t group[16];
} HF_PKT_PACKED;

static void mld_report(struct hf_net *net, const struct net_port *port, uint8_t type)
{
	static const uint8_t group[16] = { 0xff, 0x02, [15] = 0x16 };
	static const uint8_t group_mac[6] = { 0x33, 0x33, 0, 0, 0, 0x16 };
	/* Hop-by-hop: router alert (RFC 2711), padding. */
	static const uint8_t alert[8] = { HF_PKT_PROTO_ICMP6, 0, 5, 2, 0, 0, 1, 0 };
	uint32_t count = 0, len;
	struct mld_record *record;
	struct mld_report *report;
	struct hf_pkt_ip6 *ip;
	struct rte_mbuf *mbuf;
	uint16_t sum;
	uint8_t *l3;

	for (uint32_t i = 0; i < port->addr_count; i++)
		count += !port->addr[i].is4;
	HF_ASSERT(count >= 1 && count <= NET_ADDRS_MAX); /* link-local at least */
	len = (uint32_t)(sizeof(*report) + count * sizeof(*record));
	mbuf = net_out_new(net, port, group_mac, HF_PKT_TYPE_IP6,
		(uint32_t)(sizeof(*ip) + sizeof(alert)) + len, &l3);
	if (!mbuf)
		return;
	ip = (struct hf_pkt_ip6 *)l3;
	ip->vtf_be = __builtin_bswap32(6u << 28);
	ip->len_be = __builtin_bswap16((uint16_t)(sizeof(alert) + len));
	ip->next = HF_PKT_PROTO_HOP;
	ip->hops = 1;
	memcpy(ip->src, port->link_local.b, 16);
	memcpy(ip->dst, group, 16);
	memcpy(ip + 1, alert, sizeof(alert));
	report = (struct mld_report *)(l3 + sizeof(*ip) + sizeof(alert));
	*report = (struct mld_report){ .icmp = { .type = HF_PKT_ICMP6_MLD_REPORT } };
	report->record_count_be = __builtin_bswap16((uint16_t)count);
	record = (struct mld_record *)(report + 1);
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (port->addr[i].is4)
			continue;
		*record = (struct mld_record){ .type = type,
			.group = { 0xff, 0x02, [11] = 1, 0xff } };
		memcpy(record->group + 13, port->addr[i].ip.b + 13, 3);
		record++;
	}
	sum = hf_pkt_sum_pseudo6(ip->src, ip->dst, HF_PKT_PROTO_ICMP6, len);
	report->icmp.csum = (uint16_t)~hf_pkt_sum(sum, report, len);
	net_out_stage(net, port, mbuf);
}

void net_mld_announce(struct hf_net *net, const struct net_port *port)
{
	mld_report(net, port, MLD_TO_EXCLUDE);
}

int net_mld_query_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	uint32_t len)
{
	/* RFC 3810 §5.1.14: from a router of this link, with a router alert. */
	if (ip->hops != 1 || len < MLD_QUERY_MIN || ip->src[0] != 0xfe ||
		(ip->src[1] & 0xc0) != 0x80 || ip->next != HF_PKT_PROTO_HOP)
		return hf_drop(HF_DROP_ICMP_BAD);
	if (!net_icmp_may_answer(net))
		return hf_drop(HF_DROP_ICMP_RATE);
	/* At once: the random delay spares routers of many listeners, we are one with few groups. */
	mld_report(net, frame->port, MLD_IS_EXCLUDE);
	return HF_DROP_NONE;
}
