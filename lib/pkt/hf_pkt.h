/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pkt - wire formats below TCP's payload, and the Internet checksum.
 *
 * What      Structs laid over a packet's bytes: packed, alignment 1, fields in network order (`_be`).
 *           Whoever lays one over bytes has checked first that there are enough of them.
 *           Checksums (RFC 1071) as sums that are carried on from piece to piece.
 * Picture
 *      hf_pkt_eth [hf_pkt_vlan] -+- hf_pkt_arp
 *                                +- hf_pkt_ip4 [options] -+- hf_pkt_icmp, hf_pkt_icmp_echo
 *                                +- hf_pkt_ip6 [hf_pkt_ip6_ext] +- hf_pkt_nd + hf_pkt_nd_opt
 *                                                         +- hf_pkt_tcp [options] payload
 * Threads   any; pure.
 * Promises  A folded sum is 16 bits in memory order: stored as it is, it is right on any machine
 *           (RFC 1071 §2 B).
 */
#ifndef HF_PKT_H
#define HF_PKT_H

#include "hf_base.h"

#define HF_PKT_PACKED __attribute__((packed))

enum {
	HF_PKT_TYPE_IP4 = 0x0800,
	HF_PKT_TYPE_ARP = 0x0806,
	HF_PKT_TYPE_VLAN = 0x8100,
	HF_PKT_TYPE_IP6 = 0x86dd,
};

enum {
	HF_PKT_PROTO_HOP = 0, /* IPv6 hop-by-hop options */
	HF_PKT_PROTO_ICMP = 1,
	HF_PKT_PROTO_TCP = 6,
	HF_PKT_PROTO_ROUTING = 43,
	HF_PKT_PROTO_FRAGMENT = 44,
	HF_PKT_PROTO_ICMP6 = 58,
	HF_PKT_PROTO_NONE = 59,
	HF_PKT_PROTO_DSTOPTS = 60,
};

struct hf_pkt_eth {
	uint8_t dst[6], src[6];
	uint16_t type_be;
} HF_PKT_PACKED;

/* What follows the Ethernet header when its type is HF_PKT_TYPE_VLAN (IEEE 802.1Q). */
struct hf_pkt_vlan {
	uint16_t tci_be;
	uint16_t type_be;
} HF_PKT_PACKED;

#define HF_PKT_VLAN_VID 0x0fff

/* RFC 826, for Ethernet and IPv4. */
struct hf_pkt_arp {
	uint16_t htype_be, ptype_be;
	uint8_t hlen, plen;
	uint16_t op_be;
	uint8_t sha[6], spa[4];
	uint8_t tha[6], tpa[4];
} HF_PKT_PACKED;

enum { HF_PKT_ARP_REQUEST = 1, HF_PKT_ARP_REPLY = 2 };

struct hf_pkt_ip4 {
	uint8_t version_ihl, tos;
	uint16_t len_be, id_be, frag_be;
	uint8_t ttl, proto;
	uint16_t csum;
	uint8_t src[4], dst[4];
} HF_PKT_PACKED;

enum { HF_PKT_IP4_DF = 0x4000, HF_PKT_IP4_MF = 0x2000, HF_PKT_IP4_OFFSET = 0x1fff };
enum {
	HF_PKT_IP4_OPT_END = 0,
	HF_PKT_IP4_OPT_NOP = 1,
	HF_PKT_IP4_OPT_LSRR = 131,
	HF_PKT_IP4_OPT_SSRR = 137
};

struct hf_pkt_ip6 {
	uint32_t vtf_be; /* version, traffic class, flow label */
	uint16_t len_be;
	uint8_t next, hops;
	uint8_t src[16], dst[16];
} HF_PKT_PACKED;

/* Hop-by-hop and destination options (RFC 8200 §4.3, §4.6): len in units of 8 after the first 8. */
struct hf_pkt_ip6_ext {
	uint8_t next, len;
} HF_PKT_PACKED;

struct hf_pkt_icmp {
	uint8_t type, code;
	uint16_t csum;
} HF_PKT_PACKED;

struct hf_pkt_icmp_echo {
	struct hf_pkt_icmp icmp;
	uint16_t id_be, seq_be;
} HF_PKT_PACKED;

enum { HF_PKT_ICMP_ECHO_REPLY = 0, HF_PKT_ICMP_ECHO = 8 };
enum {
	HF_PKT_ICMP6_ECHO = 128,
	HF_PKT_ICMP6_ECHO_REPLY = 129,
	HF_PKT_ICMP6_MLD_QUERY = 130,
	HF_PKT_ICMP6_MLD_REPORT = 143,
	HF_PKT_ICMP6_NS = 135,
	HF_PKT_ICMP6_NA = 136
};

/* Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4). */
struct hf_pkt_nd {
	struct hf_pkt_icmp icmp;
	uint32_t flags_be;
	uint8_t target[16];
} HF_PKT_PACKED;

#define HF_PKT_NA_ROUTER    0x80000000u
#define HF_PKT_NA_SOLICITED 0x40000000u
#define HF_PKT_NA_OVERRIDE  0x20000000u

/* An option with a link-layer address (RFC 4861 §4.6.1); len in units of 8. */
struct hf_pkt_nd_opt {
	uint8_t type, len;
	uint8_t mac[6];
} HF_PKT_PACKED;

enum { HF_PKT_ND_OPT_SOURCE = 1, HF_PKT_ND_OPT_TARGET = 2 };

struct hf_pkt_tcp {
	uint16_t sport_be, dport_be;
	uint32_t seq_be, ack_be;
	uint8_t off, flags; /* off: header length in words, upper 4 bits */
	uint16_t wnd_be, csum, urg_be;
} HF_PKT_PACKED;

HF_STATIC_ASSERT(sizeof(struct hf_pkt_eth) == 14, "wire");
HF_STATIC_ASSERT(sizeof(struct hf_pkt_arp) == 28, "wire");
HF_STATIC_ASSERT(sizeof(struct hf_pkt_ip4) == 20, "wire");
HF_STATIC_ASSERT(sizeof(struct hf_pkt_ip6) == 40, "wire");
HF_STATIC_ASSERT(sizeof(struct hf_pkt_nd) == 24, "wire");
HF_STATIC_ASSERT(sizeof(struct hf_pkt_tcp) == 20, "wire");

/* One's complement sums. A wide one is 64 bits, of words of any size, and is carried on until it is
 * folded to the 16 that go on the wire; it is 0 only if all of it is. */
static inline uint64_t hf_pkt_sum_word(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint16_t hf_pkt_sum_fold(uint64_t sum)
{
	uint32_t half;

	/* Halves added to each other: the lower one's carry goes into the upper, the result. */
	sum += sum >> 32 | sum << 32;
	half = (uint32_t)(sum >> 32);
	half += half >> 16 | half << 16;
	return (uint16_t)(half >> 16);
}

/* The sum of the bytes, added to `sum`. An odd last byte is padded with zero, so only the last
 * piece of a sum may be odd; hf_pkt_sum_wide_at lifts that. */
uint64_t hf_pkt_sum_wide(uint64_t sum, const void *data, size_t len);

static inline uint16_t hf_pkt_sum(uint16_t sum, const void *data, size_t len)
{
	return hf_pkt_sum_fold(hf_pkt_sum_wide(sum, data, len));
}

/* A piece that begins `offset` bytes behind the start of what is summed. RFC 1071 §2 B: bytes at odd
 * places count into the other half. */
static inline uint64_t hf_pkt_sum_wide_at(uint64_t sum, size_t offset, const void *data, size_t len)
{
	if (offset & 1)
		return hf_pkt_sum_word(sum, __builtin_bswap16(hf_pkt_sum(0, data, len)));
	return hf_pkt_sum_wide(sum, data, len);
}

/* hf_pkt_sum of a header without options. */
static inline uint16_t hf_pkt_sum_ip4(const struct hf_pkt_ip4 *ip)
{
	uint64_t word[2];
	uint32_t last;

	__builtin_memcpy(word, ip, sizeof(word));
	__builtin_memcpy(&last, ip->dst, sizeof(last));
	return hf_pkt_sum_fold(hf_pkt_sum_word(hf_pkt_sum_word(word[0], word[1]), last));
}

/* Pseudo headers: RFC 9293 §3.1, RFC 8200 §8.1. */
static inline uint64_t hf_pkt_sum_wide_pseudo4(
	const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint16_t len)
{
	uint32_t from, to;

	__builtin_memcpy(&from, src, sizeof(from));
	__builtin_memcpy(&to, dst, sizeof(to));
	return (uint64_t)from + to + __builtin_bswap16(len) + __builtin_bswap16(proto);
}

static inline uint16_t hf_pkt_sum_pseudo4(
	const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint16_t len)
{
	return hf_pkt_sum_fold(hf_pkt_sum_wide_pseudo4(src, dst, proto, len));
}

uint16_t hf_pkt_sum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len);

static inline uint16_t hf_pkt_sum_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}

#endif
