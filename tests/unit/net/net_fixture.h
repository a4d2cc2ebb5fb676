/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker (or two) over a ring device: what is fed comes in, what is sent can be taken out.
 * Frames are fed in buffers of exactly their length, so that the address sanitizer sees every byte
 * read beyond.
 */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <rte_ring.h>

#include "net_priv.h"

#define FX_SECOND 1000000ull

struct fx {
	struct hf_conf conf;
	struct hf_port *port[1];
	struct hf_net_shared *shared;
	struct hf_net *net[2];
	struct rte_ring *ring;
	struct rte_mempool *pool;
	unsigned int pool_avail, ext_avail;
	uint64_t now_us;
};

static const uint8_t fx_peer_mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t fx_gateway_mac[6] = { 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };

static inline struct hf_ip fx_ip(const char *text)
{
	struct hf_ip ip;
	uint8_t ip4[4];

	if (inet_pton(AF_INET, text, ip4) == 1)
		return net_ip_from4(ip4);
	cr_assert_eq(inet_pton(AF_INET6, text, ip.b), 1, "%s", text);
	return ip;
}

static inline void fx_address(struct hf_conf_address *address, const char *text, uint8_t prefix)
{
	struct hf_ip ip = fx_ip(text);

	memcpy(address->ip, ip.b, 16);
	address->prefix = prefix;
}

/* 192.0.2.10/prefix and 2001:db8::10/64; gateways .1 and ::1 if asked for. */
static inline void fx_init_prefix(
	struct fx *fx, uint32_t workers, uint16_t vlan, bool gateway, uint8_t prefix)
{
	static char device[] = "net_ring0";
	struct hf_err err = { "" };

	memset(fx, 0, sizeof(*fx));
	hf_stat_register("test");
	fx->conf.workers = workers;
	fx->conf.port_count = 1;
	fx->conf.port[0].device = device;
	fx->conf.port[0].vlan = vlan;
	fx->conf.port[0].address_count = 2;
	fx_address(&fx->conf.port[0].address[0], "192.0.2.10", prefix);
	fx_address(&fx->conf.port[0].address[1], "2001:db8::10", 64);
	if (gateway) {
		fx_address(&fx->conf.port[0].gateway4, "192.0.2.1", 0);
		fx_address(&fx->conf.port[0].gateway6, "2001:db8::1", 0);
	}
	cr_assert_eq(hf_port_eal_init(&fx->conf, &err), 0, "%s", err.text);
	cr_assert_eq(hf_port_open(&fx->conf, 0, &err, &fx->port[0]), 0, "%s", err.text);
	cr_assert_eq(hf_net_shared_new(&fx->conf, fx->port, workers, &err, &fx->shared), 0);
	for (uint32_t i = 0; i < workers; i++)
		cr_assert_eq(hf_net_new(fx->shared, i, &err, &fx->net[i]), 0, "%s", err.text);
	cr_assert_eq(hf_port_start(fx->port[0], &err), 0, "%s", err.text);
	fx->ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	cr_assert_not_null(fx->ring);
	fx->pool = hf_port_mempool(fx->port[0], 0);
	fx->now_us = 100 * FX_SECOND;
	/* announcements are of no interest to most tests */
	fx->shared->port[0].announced = NET_ANNOUNCE;
	fx->shared->port[0].gateway4.next_us = fx->shared->port[0].gateway6.next_us = UINT64_MAX;
	fx->pool_avail = rte_mempool_avail_count(fx->pool);
	fx->ext_avail = rte_mempool_avail_count(fx->net[0]->ext_pool);
}

static inline void fx_init(struct fx *fx, uint32_t workers, uint16_t vlan, bool gateway)
{
	fx_init_prefix(fx, workers, vlan, gateway, 24);
}

/* Nothing may be left anywhere. */
static inline void fx_fini(struct fx *fx)
{
	struct rte_mbuf *mbuf;

	while (rte_ring_dequeue(fx->ring, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	cr_assert_eq(rte_mempool_avail_count(fx->pool), fx->pool_avail, "packets leaked");
	cr_assert_eq(
		rte_mempool_avail_count(fx->net[0]->ext_pool), fx->ext_avail, "attachments leaked");
	hf_port_stop(fx->port[0]);
	for (uint32_t i = 0; i < fx->shared->workers; i++)
		hf_net_free(fx->net[i]);
	hf_net_shared_free(fx->shared);
	hf_port_close(fx->port[0]);
	hf_port_eal_fini();
}

static inline void fx_free(void *addr, void *opaque)
{
	(void)addr;
	free(opaque);
}

/* An mbuf whose bytes end where the frame does. */
static inline struct rte_mbuf *fx_mbuf(struct fx *fx, const void *frame, size_t len)
{
	struct rte_mbuf_ext_shared_info *shinfo = malloc(sizeof(*shinfo) + len);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(fx->pool);
	char *bytes = (char *)(shinfo + 1);

	cr_assert(shinfo && mbuf);
	if (len > 0)
		memcpy(bytes, frame, len);
	shinfo->free_cb = fx_free;
	shinfo->fcb_opaque = shinfo;
	rte_mbuf_ext_refcnt_set(shinfo, 1);
	rte_pktmbuf_attach_extbuf(mbuf, bytes, (rte_iova_t)(uintptr_t)bytes, (uint16_t)len, shinfo);
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = (uint32_t)len;
	return mbuf;
}

static inline void fx_feed(struct fx *fx, const void *frame, size_t len)
{
	cr_assert_eq(rte_ring_enqueue(fx->ring, fx_mbuf(fx, frame, len)), 0);
}

/* One turn up to the segments. */
static inline uint32_t fx_rx(struct fx *fx, uint32_t worker, const struct hf_tcp_seg **ret_segs)
{
	(void)hf_net_rx(fx->net[worker], fx->now_us);
	return hf_net_segs(fx->net[worker], ret_segs);
}

/* Feeds one frame, runs a turn of worker 0; the answers are then in the ring. Segments seen. */
static inline uint32_t fx_turn(struct fx *fx, const void *frame, size_t len)
{
	const struct hf_tcp_seg *segs;
	uint32_t n;

	fx_feed(fx, frame, len);
	n = fx_rx(fx, 0, &segs);
	hf_net_rx_done(fx->net[0]);
	hf_net_flush(fx->net[0], fx->now_us);
	return n;
}

/* The next frame sent, in one piece; its length, 0: none. */
static inline size_t fx_take(struct fx *fx, uint8_t *ret_frame, size_t size)
{
	struct rte_mbuf *mbuf;
	size_t len = 0;

	if (rte_ring_dequeue(fx->ring, (void **)&mbuf) != 0)
		return 0;
	for (const struct rte_mbuf *seg = mbuf; seg; seg = seg->next) {
		cr_assert_leq(len + seg->data_len, size);
		memcpy(ret_frame + len, rte_pktmbuf_mtod(seg, void *), seg->data_len);
		len += seg->data_len;
	}
	cr_assert_eq(len, mbuf->pkt_len);
	rte_pktmbuf_free(mbuf);
	return len;
}

/* Frames by hand. */
struct fx_frame {
	uint8_t b[2048];
	size_t len;
};

static inline void fx_eth(struct fx_frame *f, const struct fx *fx, uint16_t type)
{
	struct hf_pkt_eth *eth = (void *)f->b;

	memset(f, 0, sizeof(*f));
	memcpy(eth->dst, fx->shared->port[0].info.mac, 6);
	memcpy(eth->src, fx_peer_mac, 6);
	eth->type_be = htons(type);
	f->len = sizeof(*eth);
}

/* Behind the Ethernet header; payload follows by the caller. */
static inline uint8_t *fx_ip4(
	struct fx_frame *f, const char *src, const char *dst, uint8_t proto, size_t len)
{
	struct hf_pkt_ip4 *ip = (void *)(f->b + f->len);

	ip->version_ihl = 0x45;
	ip->len_be = htons((uint16_t)(sizeof(*ip) + len));
	ip->ttl = 64;
	ip->proto = proto;
	memcpy(ip->src, fx_ip(src).b + 12, 4);
	memcpy(ip->dst, fx_ip(dst).b + 12, 4);
	ip->csum = (uint16_t)~hf_pkt_sum(0, ip, sizeof(*ip));
	f->len += sizeof(*ip) + len;
	return (uint8_t *)(ip + 1);
}

static inline uint8_t *fx_ip6(
	struct fx_frame *f, const char *src, const char *dst, uint8_t next, size_t len)
{
	struct hf_pkt_ip6 *ip = (void *)(f->b + f->len);

	ip->vtf_be = htonl(6u << 28);
	ip->len_be = htons((uint16_t)len);
	ip->next = next;
	ip->hops = 255;
	memcpy(ip->src, fx_ip(src).b, 16);
	memcpy(ip->dst, fx_ip(dst).b, 16);
	f->len += sizeof(*ip) + len;
	return (uint8_t *)(ip + 1);
}

/* The sum over pseudo header and bytes; 0xffff when the checksum in them is right. */
static inline uint16_t fx_l4_sum(const struct hf_ip *src, const struct hf_ip *dst, uint8_t proto,
	const uint8_t *data, size_t len)
{
	uint16_t sum = hf_ip_is4(src)
			       ? hf_pkt_sum_pseudo4(src->b + 12, dst->b + 12, proto, (uint16_t)len)
			       : hf_pkt_sum_pseudo6(src->b, dst->b, proto, (uint32_t)len);

	return hf_pkt_sum(sum, data, len);
}

static inline void fx_tcp(struct fx_frame *f, const char *src, const char *dst, uint16_t sport,
	uint8_t flags, const char *payload)
{
	size_t len = sizeof(struct hf_pkt_tcp) + strlen(payload);
	struct hf_ip src_ip = fx_ip(src), dst_ip = fx_ip(dst);
	struct hf_pkt_tcp *tcp = (void *)(hf_ip_is4(&src_ip) ? fx_ip4(f, src, dst, 6, len)
							     : fx_ip6(f, src, dst, 6, len));

	tcp->sport_be = htons(sport);
	tcp->dport_be = htons(80);
	tcp->seq_be = htonl(0x01020304);
	tcp->ack_be = htonl(0x05060708);
	tcp->off = 0x50;
	tcp->flags = flags;
	tcp->wnd_be = htons(1234);
	memcpy(tcp + 1, payload, strlen(payload));
	tcp->csum = (uint16_t)~fx_l4_sum(&src_ip, &dst_ip, 6, (uint8_t *)tcp, len);
}

static inline void fx_frame_tcp4(struct fx_frame *f, const struct fx *fx)
{
	fx_eth(f, fx, HF_PKT_TYPE_IP4);
	fx_tcp(f, "192.0.2.99", "192.0.2.10", 4000, HF_TCP_ACK | HF_TCP_PSH, "hello");
}

static inline void fx_frame_tcp6(struct fx_frame *f, const struct fx *fx)
{
	fx_eth(f, fx, HF_PKT_TYPE_IP6);
	fx_tcp(f, "2001:db8::99", "2001:db8::10", 4000, HF_TCP_ACK | HF_TCP_PSH, "hello");
}

static inline void fx_frame_arp(
	struct fx_frame *f, const struct fx *fx, uint16_t op, const char *spa, const char *tpa)
{
	struct hf_pkt_arp *arp;

	fx_eth(f, fx, HF_PKT_TYPE_ARP);
	arp = (void *)(f->b + f->len);
	arp->htype_be = htons(1);
	arp->ptype_be = htons(0x0800);
	arp->hlen = 6;
	arp->plen = 4;
	arp->op_be = htons(op);
	memcpy(arp->sha, fx_peer_mac, 6);
	memcpy(arp->spa, fx_ip(spa).b + 12, 4);
	memcpy(arp->tpa, fx_ip(tpa).b + 12, 4);
	f->len += sizeof(*arp);
}

static inline void fx_frame_echo4(struct fx_frame *f, const struct fx *fx)
{
	struct hf_pkt_icmp_echo *echo;

	fx_eth(f, fx, HF_PKT_TYPE_IP4);
	echo = (void *)fx_ip4(f, "192.0.2.99", "192.0.2.10", 1, sizeof(*echo) + 5);
	echo->icmp.type = 8;
	echo->id_be = htons(77);
	memcpy(echo + 1, "abcde", 5);
	echo->icmp.csum = (uint16_t)~hf_pkt_sum(0, echo, sizeof(*echo) + 5);
}

/* Checksums of an IPv4 packet without options and of the ICMP message in it. */
static inline void fx_sums4(struct fx_frame *f)
{
	struct hf_pkt_ip4 *ip = (void *)(f->b + 14);
	struct hf_pkt_icmp *icmp = (void *)(ip + 1);
	size_t len = ntohs(ip->len_be) - sizeof(*ip);

	ip->csum = 0;
	ip->csum = (uint16_t)~hf_pkt_sum(0, ip, sizeof(*ip));
	if (ip->proto == HF_PKT_PROTO_ICMP && len >= sizeof(*icmp)) {
		icmp->csum = 0;
		icmp->csum = (uint16_t)~hf_pkt_sum(0, icmp, len);
	}
}

static inline void fx_csum6(struct fx_frame *f, size_t l4_at)
{
	struct hf_pkt_ip6 *ip = (void *)(f->b + 14);
	struct hf_ip src = net_ip_from6(ip->src), dst = net_ip_from6(ip->dst);
	struct hf_pkt_icmp *icmp = (void *)(f->b + l4_at);

	icmp->csum = 0;
	icmp->csum = (uint16_t)~fx_l4_sum(&src, &dst, 58, (uint8_t *)icmp, f->len - l4_at);
}

static inline void fx_frame_echo6(struct fx_frame *f, const struct fx *fx)
{
	struct hf_pkt_icmp_echo *echo;

	fx_eth(f, fx, HF_PKT_TYPE_IP6);
	echo = (void *)fx_ip6(f, "2001:db8::99", "2001:db8::10", 58, sizeof(*echo) + 5);
	echo->icmp.type = 128;
	memcpy(echo + 1, "abcde", 5);
	fx_csum6(f, 54);
}

/* A neighbour message with one link-layer address option; mac NULL: no option. */
static inline void fx_frame_nd(struct fx_frame *f, const struct fx *fx, uint8_t type,
	const char *src, const char *dst, const char *target, uint32_t flags, const uint8_t *mac)
{
	struct hf_pkt_nd *nd;
	struct hf_pkt_nd_opt *opt;

	fx_eth(f, fx, HF_PKT_TYPE_IP6);
	nd = (void *)fx_ip6(f, src, dst, 58, sizeof(*nd) + (mac ? sizeof(*opt) : 0));
	nd->icmp.type = type;
	nd->flags_be = htonl(flags);
	memcpy(nd->target, fx_ip(target).b, 16);
	if (mac) {
		opt = (void *)(nd + 1);
		opt->type = type == HF_PKT_ICMP6_NS ? HF_PKT_ND_OPT_SOURCE : HF_PKT_ND_OPT_TARGET;
		opt->len = 1;
		memcpy(opt->mac, mac, 6);
	}
	fx_csum6(f, 54);
}

#endif
