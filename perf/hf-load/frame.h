/* SPDX-License-Identifier: BSD-3-Clause
 *
 * frame - one frame of Ethernet, IPv4 and TCP as a whole, for those who make them without lib/net.
 *
 * Threads   any; pure.
 */
#ifndef FRAME_H
#define FRAME_H

#include <string.h>

#include <rte_mbuf.h>

#include "hf_pkt.h"
#include "hf_tcp.h"

#define FRAME_MSS     1448 /* with timestamps */
#define FRAME_TS_LEN  12
#define FRAME_TS_HEAD 0x0a080101u /* NOP, NOP, timestamps of 10 bytes; in memory order */

struct frame {
	struct hf_pkt_eth eth;
	struct hf_pkt_ip4 ip;
	struct hf_pkt_tcp tcp;
	uint8_t opt[40];
} HF_PKT_PACKED;

#define FRAME_HEAD offsetof(struct frame, opt)

/* Lengths and checksums, last of all; PAYLOAD_SUM is that of what stands behind the options. */
static inline void frame_finish(
	struct frame *frame, uint32_t opt_len, uint32_t payload_len, uint16_t payload_sum)
{
	uint16_t tcp_len = (uint16_t)(sizeof(frame->tcp) + opt_len + payload_len);
	uint16_t sum;

	frame->ip.len_be = __builtin_bswap16((uint16_t)(sizeof(frame->ip) + tcp_len));
	frame->ip.csum = 0;
	frame->ip.csum = (uint16_t)~hf_pkt_sum(0, &frame->ip, sizeof(frame->ip));
	frame->tcp.off = (uint8_t)((sizeof(frame->tcp) + opt_len) / 4 << 4);
	frame->tcp.csum = 0;
	sum = hf_pkt_sum_pseudo4(frame->ip.src, frame->ip.dst, HF_PKT_PROTO_TCP, tcp_len);
	sum = hf_pkt_sum(sum, &frame->tcp, sizeof(frame->tcp) + opt_len);
	frame->tcp.csum = (uint16_t)~hf_pkt_sum_add(sum, payload_sum);
}

/* IPv4 without options, not a fragment, and TCP within it, its headers in the first buffer; else 0. *ret_len: of
 * TCP's header and payload. */
static inline uint32_t frame_tcp_off(const struct rte_mbuf *mbuf, uint32_t *ret_len)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	uint32_t len, off;

	if (mbuf->data_len < FRAME_HEAD ||
		frame->eth.type_be != __builtin_bswap16(HF_PKT_TYPE_IP4) ||
		frame->ip.version_ihl != 0x45 || frame->ip.proto != HF_PKT_PROTO_TCP ||
		frame->ip.frag_be & (uint16_t)~__builtin_bswap16(HF_PKT_IP4_DF))
		return 0;
	len = __builtin_bswap16(frame->ip.len_be);
	off = (frame->tcp.off >> 4) * 4u;
	if (len > mbuf->pkt_len - sizeof(frame->eth) || off < sizeof(frame->tcp) ||
		off + sizeof(frame->ip) > len || offsetof(struct frame, tcp) + off > mbuf->data_len)
		return 0;
	*ret_len = len - (uint32_t)sizeof(frame->ip);
	return off;
}

/* The value of the timestamps option; NULL: none. At its usual place it is found at once. */
static inline const uint8_t *frame_time(const uint8_t *opt, uint32_t opt_len)
{
	for (uint32_t at = 0; at + FRAME_TS_LEN <= opt_len; at += 4) {
		uint32_t head;

		memcpy(&head, opt + at, 4);
		if (head == FRAME_TS_HEAD)
			return opt + at + 4;
	}
	return NULL;
}

static inline void frame_time_put(uint8_t *opt, uint32_t value, uint32_t echo)
{
	const uint32_t words[3] = { FRAME_TS_HEAD, __builtin_bswap32(value),
		__builtin_bswap32(echo) };

	memcpy(opt, words, sizeof(words));
}

static inline uint32_t frame_be32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

/* Whom an ARP request asks for; NULL: it is none. */
static inline const uint8_t *frame_arp_asked(const struct rte_mbuf *mbuf)
{
	const struct hf_pkt_eth *eth = rte_pktmbuf_mtod(mbuf, const struct hf_pkt_eth *);
	const struct hf_pkt_arp *arp = (const struct hf_pkt_arp *)(eth + 1);

	if (mbuf->data_len < sizeof(*eth) + sizeof(*arp) ||
		eth->type_be != __builtin_bswap16(HF_PKT_TYPE_ARP) ||
		arp->op_be != __builtin_bswap16(HF_PKT_ARP_REQUEST) ||
		memcmp(arp->spa, arp->tpa, 4) == 0)
		return NULL;
	return arp->tpa;
}

/* The reply to an ARP request, from MAC, which has what it asks for. May be made in place. */
static inline void frame_arp_reply(
	const struct rte_mbuf *request, const uint8_t mac[6], struct rte_mbuf *reply)
{
	struct hf_pkt_eth *eth = rte_pktmbuf_mtod(reply, struct hf_pkt_eth *);
	struct hf_pkt_arp *arp = (struct hf_pkt_arp *)(eth + 1);
	uint8_t asked[4];

	memmove(eth, rte_pktmbuf_mtod(request, const void *), sizeof(*eth) + sizeof(*arp));
	memcpy(asked, arp->tpa, 4);
	memcpy(eth->dst, eth->src, 6);
	memcpy(eth->src, mac, 6);
	arp->op_be = __builtin_bswap16(HF_PKT_ARP_REPLY);
	memcpy(arp->tha, arp->sha, 6);
	memcpy(arp->tpa, arp->spa, 4);
	memcpy(arp->sha, mac, 6);
	memcpy(arp->spa, asked, 4);
	reply->data_len = (uint16_t)(sizeof(*eth) + sizeof(*arp));
	reply->pkt_len = reply->data_len;
}

#endif
