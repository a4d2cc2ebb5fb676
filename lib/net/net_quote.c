/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP errors: what the router quotes of the packet it could not forward is taken apart here,
 * lib/tcp decides whether such a segment is in flight. Nothing is sent in answer (RFC 1122 §3.2.2).
 */
#include "hf_net.h"

#include "hf_bytes.h"

#include "net_priv.h"

#define QUOTE_TCP_MIN      8 /* ports and sequence number: all that RFC 792 promises */
#define QUOTE_TCP_HEADER   20
#define QUOTE_CODE_MAX     15 /* of ICMPv4 unreachable (RFC 1812 §5.2.7.1) */
#define QUOTE_CODE_TOO_BIG 4
#define QUOTE_MTU4_MIN     68   /* RFC 791 §3.2; RFC 1191 §3 */
#define QUOTE_MTU6_MIN     1280 /* RFC 8200 §5; RFC 8201 §4 */

/* The ports and the sequence number; then the worker that has the connection gets to know. */
static int quote_tcp(struct hf_net *net, const struct net_frame *frame, struct hf_tcp_icmp *icmp,
	const uint8_t *tcp)
{
	const struct hf_net_shared *shared = net->shared;
	uint32_t hops = frame->hops;

	icmp->local_port = hf_load_be16(tcp);
	icmp->peer_port = hf_load_be16(tcp + 2);
	icmp->seq = hf_load_be32(tcp + 4);
	if (icmp->local_port == 0 || icmp->peer_port == 0)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	if (!frame->port->info.rss && shared->workers > 1 && !frame->spread) {
		uint32_t worker = net_spread_worker(shared, &icmp->peer, &icmp->local,
			__builtin_bswap16(icmp->peer_port), __builtin_bswap16(icmp->local_port));

		if (worker != net->worker)
			return net_spread_pass(net, frame, worker, /* hops= */ 0);
	}
	if (net->icmp_count == HF_NET_ICMPS)
		return hf_drop(HF_DROP_ICMP_RATE);
	icmp->elsewhere = frame->port->info.rss && shared->workers > 1;
	net->icmp[net->icmp_count++] = *icmp;
	if (frame->port->info.rss && !frame->spread)
		hops = shared->workers - 1;
	if (hops > 0)
		return net_spread_pass(
			net, frame, (net->worker + 1) % shared->workers, /* hops= */ hops - 1);
	return HF_DROP_NONE;
}

/* ICMPv4 destination unreachable; data is the message, its checksum verified. */
int net_quote4_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip4 *outer,
	const uint8_t *data, uint32_t len)
{
	const uint8_t *quote = data + NET_QUOTE_AT;
	const struct hf_pkt_ip4 *ip = (const void *)quote;
	uint8_t code = data[1];
	struct hf_tcp_icmp icmp;
	uint32_t ihl;

	HF_ASSERT_HOT(len >= sizeof(struct hf_pkt_icmp) && data[0] == NET_ICMP_UNREACHABLE);
	if (code > QUOTE_CODE_MAX)
		return hf_drop(HF_DROP_ICMP_TYPE);
	if (len < NET_QUOTE_AT + sizeof(*ip) || ip->version_ihl >> 4 != 4)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	ihl = (ip->version_ihl & 15u) * 4;
	if (ihl < sizeof(*ip) || len < NET_QUOTE_AT + ihl + QUOTE_TCP_MIN)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	icmp = (struct hf_tcp_icmp){ .peer = net_ip_from4(ip->dst),
		.local = net_ip_from4(ip->src),
		.ip_len = __builtin_bswap16(ip->len_be),
		.too_big = code == QUOTE_CODE_TOO_BIG };
	/* Later fragments have no TCP header. An error is sent to whom it quotes. */
	if (ip->proto != HF_PKT_PROTO_TCP || icmp.ip_len < ihl + QUOTE_TCP_HEADER ||
		(__builtin_bswap16(ip->frag_be) & HF_PKT_IP4_OFFSET) ||
		!net_addr_is_ours(frame->port, &icmp.local) ||
		__builtin_memcmp(ip->src, outer->dst, 4) != 0)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	icmp.mtu = icmp.too_big ? hf_load_be16(data + 6) : 0;
	if (icmp.mtu > 0 && icmp.mtu < QUOTE_MTU4_MIN)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	return quote_tcp(net, frame, &icmp, quote + ihl);
}

/* Where TCP begins behind a quoted IPv6 header, 0: nowhere within len. */
static uint32_t quote_skip6(const uint8_t *quote, uint32_t len)
{
	uint32_t at = sizeof(struct hf_pkt_ip6);
	uint8_t next = ((const struct hf_pkt_ip6 *)quote)->next;

	for (uint32_t count = 0; count < NET_EXT_MAX && at + QUOTE_TCP_MIN <= len; count++) {
		const struct hf_pkt_ip6_ext *ext = (const void *)(quote + at);

		switch (next) {
		case HF_PKT_PROTO_TCP:
			return at;
		case HF_PKT_PROTO_HOP:
		case HF_PKT_PROTO_DSTOPTS:
		case HF_PKT_PROTO_ROUTING:
			at += (ext->len + 1u) * 8;
			break;
		case HF_PKT_PROTO_FRAGMENT:
			if (hf_load_be16(quote + at + 2) & NET_FRAG6_OFFSET)
				return 0;
			at += 8;
			break;
		default:
			return 0;
		}
		next = ext->next;
	}
	return 0;
}

/* ICMPv6 destination unreachable, packet too big. */
int net_quote6_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *outer,
	const uint8_t *data, uint32_t len)
{
	const uint8_t *quote = data + NET_QUOTE_AT;
	const struct hf_pkt_ip6 *ip = (const void *)quote;
	struct hf_tcp_icmp icmp;
	uint32_t at, ip_len;

	HF_ASSERT_HOT(len >= sizeof(struct hf_pkt_icmp));
	if (len < NET_QUOTE_AT + sizeof(*ip) || quote[0] >> 4 != 6)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	icmp = (struct hf_tcp_icmp){ .peer = net_ip_from6(ip->dst),
		.local = net_ip_from6(ip->src),
		.too_big = data[0] == NET_ICMP6_TOO_BIG };
	at = quote_skip6(quote, len - NET_QUOTE_AT);
	ip_len = (uint32_t)sizeof(*ip) + __builtin_bswap16(ip->len_be);
	if (at == 0 || ip_len < at + QUOTE_TCP_HEADER || ip_len > UINT16_MAX ||
		hf_ip_is4(&icmp.local) || hf_ip_is4(&icmp.peer) ||
		!net_addr_is_ours(frame->port, &icmp.local) ||
		__builtin_memcmp(ip->src, outer->dst, 16) != 0)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	icmp.ip_len = (uint16_t)ip_len;
	icmp.mtu = icmp.too_big ? hf_load_be32(data + 4) : 0;
	if (icmp.too_big && icmp.mtu < QUOTE_MTU6_MIN)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	return quote_tcp(net, frame, &icmp, quote + at);
}
