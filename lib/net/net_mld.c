/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Multicast listener reports (RFC 3810): a switch that snoops passes neighbour solicitations on
 * only to those who said that they listen to the solicited-node groups (RFC 4861 §7.2.1).
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

enum { MLD_IS_EXCLUDE = 2, MLD_TO_EXCLUDE = 4 }; /* of nothing: all sources (RFC 3810 §5.2.12) */

#define MLD1_LEN       24 /* a query's or report's of RFC 2710; a query of RFC 3810 is longer */
#define MLD2_QUERY_MIN 28
#define MLD1_REPORT    131

struct mld_report {
	struct hf_pkt_icmp icmp;
	uint16_t reserved, record_count_be;
} HF_PKT_PACKED;

struct mld_record {
	uint8_t type, aux_len;
	uint16_t source_count_be;
	uint8_t group[16];
} HF_PKT_PACKED;

struct mld1_report {
	struct hf_pkt_icmp icmp;
	uint16_t delay_be, reserved;
	uint8_t group[16];
} HF_PKT_PACKED;

HF_STATIC_ASSERT(sizeof(struct mld1_report) == MLD1_LEN, "wire");

/* RFC 4291 §2.7.1 */
static void mld_group(const struct hf_ip *ip, uint8_t ret_group[16])
{
	static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 1, 0xff };

	memcpy(ret_group, prefix, sizeof(prefix));
	memcpy(ret_group + 13, ip->b + 13, 3);
}

/* A message of len bytes at *ret_data to a group, behind a router alert (RFC 2711). NULL:
 * counted. */
static struct rte_mbuf *mld_new(struct hf_net *net, const struct net_port *port,
	const uint8_t dst[16], uint32_t len, uint8_t **ret_data)
{
	static const uint8_t alert[8] = { HF_PKT_PROTO_ICMP6, 0, 5, 2, 0, 0, 1, 0 };
	uint8_t mac[6] = { 0x33, 0x33, dst[12], dst[13], dst[14], dst[15] };
	struct hf_pkt_ip6 *ip;
	uint8_t *l3;
	struct rte_mbuf *mbuf = net_out_new(net, port, mac, HF_PKT_TYPE_IP6,
		(uint32_t)(sizeof(*ip) + sizeof(alert)) + len, &l3);

	if (!mbuf)
		return NULL;
	ip = (struct hf_pkt_ip6 *)l3;
	ip->vtf_be = __builtin_bswap32(6u << 28);
	ip->len_be = __builtin_bswap16((uint16_t)(sizeof(alert) + len));
	ip->next = HF_PKT_PROTO_HOP;
	ip->hops = 1;
	memcpy(ip->src, port->link_local.b, 16);
	memcpy(ip->dst, dst, 16);
	memcpy(ip + 1, alert, sizeof(alert));
	*ret_data = l3 + sizeof(*ip) + sizeof(alert);
	return mbuf;
}

static void mld_send(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf,
	const uint8_t dst[16], void *data, uint32_t len)
{
	uint16_t sum = hf_pkt_sum_pseudo6(port->link_local.b, dst, HF_PKT_PROTO_ICMP6, len);

	((struct hf_pkt_icmp *)data)->csum = (uint16_t)~hf_pkt_sum(sum, data, len);
	net_out_stage(net, port, mbuf);
}

static void mld_report(struct hf_net *net, const struct net_port *port, uint8_t type)
{
	static const uint8_t routers[16] = { 0xff, 0x02, [15] = 0x16 };
	uint32_t count = 0, len;
	struct mld_record *record;
	struct mld_report *report;
	struct rte_mbuf *mbuf;
	uint8_t *data;

	for (uint32_t i = 0; i < port->addr_count; i++)
		count += !port->addr[i].is4;
	HF_ASSERT(count >= 1 && count <= NET_ADDRS_MAX); /* link-local at least */
	len = (uint32_t)(sizeof(*report) + count * sizeof(*record));
	mbuf = mld_new(net, port, routers, len, &data);
	if (!mbuf)
		return;
	report = (struct mld_report *)data;
	*report = (struct mld_report){ .icmp = { .type = HF_PKT_ICMP6_MLD_REPORT } };
	report->record_count_be = __builtin_bswap16((uint16_t)count);
	record = (struct mld_record *)(report + 1);
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (port->addr[i].is4)
			continue;
		*record = (struct mld_record){ .type = type };
		mld_group(&port->addr[i].ip, record->group);
		record++;
	}
	mld_send(net, port, mbuf, routers, data, len);
}

/* RFC 3810 §8.2.1: to a querier of the first version, one to each group. */
static void mld1_reports(struct hf_net *net, const struct net_port *port)
{
	for (uint32_t i = 0; i < port->addr_count; i++) {
		struct mld1_report report = { .icmp = { .type = MLD1_REPORT } };
		struct rte_mbuf *mbuf;
		uint8_t *data;

		if (port->addr[i].is4)
			continue;
		mld_group(&port->addr[i].ip, report.group);
		mbuf = mld_new(net, port, report.group, sizeof(report), &data);
		if (!mbuf)
			return;
		memcpy(data, &report, sizeof(report));
		mld_send(net, port, mbuf, report.group, data, sizeof(report));
	}
}

void net_mld_announce(struct hf_net *net, const struct net_port *port)
{
	mld_report(net, port, MLD_TO_EXCLUDE);
}

int net_mld_query_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	uint32_t len)
{
	/* RFC 3810 §5.1.14: from a router of this link, with a router alert; §8.1: the lengths. */
	if (ip->hops != 1 || (len != MLD1_LEN && len < MLD2_QUERY_MIN) || ip->src[0] != 0xfe ||
		(ip->src[1] & 0xc0) != 0x80 || ip->next != HF_PKT_PROTO_HOP)
		return hf_drop(HF_DROP_ICMP_BAD);
	if (!net_icmp_may_answer(net))
		return hf_drop(HF_DROP_ICMP_RATE);
	/* At once: the random delay spares routers of many listeners, we are one with few
	 * groups. */
	if (len == MLD1_LEN)
		mld1_reports(net, frame->port);
	else
		mld_report(net, frame->port, MLD_IS_EXCLUDE);
	return HF_DROP_NONE;
}
