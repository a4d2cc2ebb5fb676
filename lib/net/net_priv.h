/* SPDX-License-Identifier: BSD-3-Clause
 *
 * net, inside: what all workers share, what one worker has, and the way of a frame.
 *
 *      net.c      boot, polling, spreading      net_in.c   Ethernet, VLAN: which protocol
 *      net_ip4.c  net_ip6.c  net_tcp.c          checks, down to the segment (net_seg.h)
 *      net_spread.c                             to the worker that has the flow
 *      net_arp.c  net_nd.c  net_mld.c  net_icmp.c          answers of our own; gateways
 *      net_quote.c                              ICMP errors about our segments
 *      net_out.c                                emit descriptors to packets; headers: net_head.h
 *      net_attach.c                             the pool of packets to which bytes are attached
 */
#ifndef HF_PRIV_NET
#error "net_priv.h is private to lib/net"
#endif
#ifndef NET_PRIV_H
#define NET_PRIV_H

#include <stdatomic.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "hf_net.h"
#include "hf_par.h"
#include "hf_pkt.h"
#include "hf_stat.h"

#define NET_ADDRS_MAX  (HF_CONF_ADDRESSES_MAX + 1) /* and the link-local one */
#define NET_RING_COUNT 1024
#define NET_HELD_MAX   (HF_NET_SEGS + HF_NET_BURST)
#define NET_STAGE      64
#define NET_STOCK      32    /* packets taken from the pool together */
#define NET_COPY_BELOW 256   /* bytes: cheaper copied than attached */
#define NET_ATTACH_MAX 61440 /* an mbuf counts its bytes in 16 bits */
#define NET_FLAT_MAX   1460  /* bytes: with all headers they fit every buffer (hf_port.h) */
#define NET_RUN_MAX    65535 /* bytes of a run of segments that net_out.c cuts */
#define NET_ICMP_RATE  1000  /* echo replies a second and worker */
#define NET_EXT_MAX    10    /* IPv6 extension headers looked through, options in each */
#define NET_HOPS       64
#define NET_QUOTE_AT   8 /* bytes of an ICMP error before the packet it quotes */
#define NET_ANNOUNCE   3 /* times, a second apart (RFC 4861 §10) */
#define NET_RETRY_US   1000000
#define NET_REFRESH_US 30000000
#define NET_DEFEND_US  10000000 /* RFC 5227 §2.4 (DEFEND_INTERVAL) */

/* Wire values of one user. */
#define NET_ICMP_UNREACHABLE  3
#define NET_ICMP6_UNREACHABLE 1
#define NET_ICMP6_TOO_BIG     2
#define NET_FRAG6_OFFSET      0xfff8
#define NET_FRAG6_MORE        1

#define NET_PATH_GATEWAY 1 /* hf_path.flags: the peer is behind the port's gateway */

#define NET_TCP_HEADER_MAX (20 + HF_TCP_OPT_MAX)
#define NET_HEADER_MAX                                                                             \
	(sizeof(struct hf_pkt_eth) + sizeof(struct hf_pkt_vlan) + sizeof(struct hf_pkt_ip6) +      \
		NET_TCP_HEADER_MAX)

struct net_addr {
	struct hf_ip ip;
	uint8_t prefix_bits; /* of 128 */
	bool is4;
};

/* An IPv4 address as it lies in a header, so that each packet's are compared as one word, and the
 * broadcast address of its prefix; /31 and /32 have none (RFC 3021): the address itself. */
struct net_addr4 {
	uint32_t ip, broadcast;
};

/* The next hop: word is MAC << 16 | number of answers so far; 0: unknown. */
struct net_gateway {
	bool set;
	struct hf_ip ip;
	_Atomic uint64_t word;
	/* the resolver's: the port's owner */
	uint64_t next_us;
	uint64_t word_seen;
};

struct net_port {
	struct hf_port *port;
	struct hf_port_info info;
	uint32_t index;
	uint32_t owner; /* the worker that polls a port without RSS, and resolves its gateways */
	uint16_t vlan;
	uint16_t l2_len; /* of what we send: Ethernet, and the tag */
	uint32_t addr_count;
	struct net_addr addr[NET_ADDRS_MAX];
	struct hf_ip link_local;
	uint32_t addr4_count; /* those of IPv4 once more */
	struct net_addr4 addr4[NET_ADDRS_MAX];
	struct net_gateway gateway4, gateway6;
	struct hf_path path; /* to whom is on link, but for their MAC address */
	uint32_t announced;  /* the owner's */
	uint64_t announce_us;
};

struct hf_net_shared {
	uint32_t workers, port_count;
	struct net_port port[HF_CONF_PORTS_MAX];
	struct hf_sipkey spread_key;
	/* [from * workers + to], NULL where nothing can pass: received frames, packets to send. */
	struct hf_ring **rx_ring, **tx_ring;
	struct hf_waker *waker[HF_CONF_WORKERS_MAX];
};

struct net_stage {
	uint16_t count;
	struct rte_mbuf *mbuf[NET_STAGE];
};

struct hf_net {
	struct hf_net_shared *shared;
	uint32_t worker;
	uint64_t now_us;
	struct rte_mempool *pool;     /* packets with a buffer */
	struct rte_mempool *ext_pool; /* packets to which bytes are attached */
	uint32_t turn;                /* the port polled first rotates */
	uint32_t icmp_tokens;
	uint64_t icmp_refill_us;
	uint64_t defend_us; /* when an address of ours was last defended */
	uint32_t seg_count, held_count, icmp_count;
	uint32_t ip4_id; /* see net_head_ip4_id */
	uint32_t stock_count;
	struct rte_mbuf *stock[NET_STOCK]; /* empty ones, within hf_net_tx */
	struct net_stage stage[HF_CONF_PORTS_MAX];
	struct rte_mbuf *held[NET_HELD_MAX];
	struct hf_tcp_icmp icmp[HF_NET_ICMPS];
	struct hf_tcp_seg seg[HF_NET_SEGS];
};

/* A frame under examination. Every length was checked when it got its pointer. */
struct net_frame {
	struct net_port *port;
	struct rte_mbuf *mbuf;
	const struct hf_pkt_eth *eth;
	const uint8_t *l3; /* behind Ethernet and VLAN */
	uint32_t l3_len;
	bool spread;   /* came here from another worker */
	uint32_t hops; /* spread: further workers that must see it */
};

/* What attaches a piece to a packet, in the mbuf's private area: never shared, so that the
 * reference count in shinfo stays 1. */
struct net_attach {
	struct rte_mbuf_ext_shared_info shinfo;
	struct hf_ref *ref;
};

/* Verdicts: HF_DROP_NONE when the frame was served; else counted already. NET_HELD: the mbuf is no
 * longer the caller's to free (it lives in `held` or in another worker's ring). */
#define NET_HELD (-1)

int net_in_frame(struct hf_net *net, struct net_port *port, struct rte_mbuf *mbuf, bool spread,
	uint32_t hops);
/* As net_in_frame, of each frame that a queue had. */
void net_in_burst(struct hf_net *net, struct net_port *port, struct rte_mbuf **mbufs, uint32_t n);
/* As net_in_frame, without the short way that nearly every frame takes there. */
int net_in_long(struct hf_net *net, struct net_port *port, struct rte_mbuf *mbuf, bool spread,
	uint32_t hops);
int net_arp_in(struct hf_net *net, const struct net_frame *frame);
int net_ip4_in(struct hf_net *net, const struct net_frame *frame);
int net_ip6_in(struct hf_net *net, const struct net_frame *frame);
int net_icmp4_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip4 *ip,
	const uint8_t *data, uint32_t len);
int net_icmp6_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	const uint8_t *data, uint32_t len);
int net_nd_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	const uint8_t *data, uint32_t len);
int net_mld_query_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *ip,
	uint32_t len);
/* Echo and reports together have one rate. */
bool net_icmp_may_answer(struct hf_net *net);
/* src and dst are set; data is the TCP header and all behind it within the IP packet. */
int net_tcp_in(struct hf_net *net, const struct net_frame *frame, const struct hf_ip *src,
	const struct hf_ip *dst, const uint8_t *data, uint32_t len);

int net_quote4_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip4 *outer,
	const uint8_t *data, uint32_t len);
int net_quote6_in(struct hf_net *net, const struct net_frame *frame, const struct hf_pkt_ip6 *outer,
	const uint8_t *data, uint32_t len);

/* The worker that has a flow of a port without RSS. */
uint32_t net_spread_worker(const struct hf_net_shared *shared, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port_be, uint16_t local_port_be);
/* The frame to another worker, and from there to `hops` more. NET_HELD or why not. */
int net_spread_pass(
	struct hf_net *net, const struct net_frame *frame, uint32_t worker, uint32_t hops);

/* Announcements, and requests for gateways of the ports this worker owns. */
void net_resolve(struct hf_net *net);
void net_arp_announce(struct hf_net *net, struct net_port *port);
void net_arp_request(struct hf_net *net, struct net_port *port, const struct hf_ip *ip);
void net_nd_announce(struct hf_net *net, struct net_port *port);
void net_nd_solicit(struct hf_net *net, struct net_port *port, const struct hf_ip *ip);
void net_mld_announce(struct hf_net *net, const struct net_port *port);
/* Another host claims an address of ours: counted, and ours is announced anew, seldom. */
int net_addr_conflict(struct hf_net *net, struct net_port *port, bool is4);
void net_gateway_learn(struct net_gateway *gateway, const uint8_t mac[6]);

/* A packet with Ethernet header (and tag), len bytes behind it at *ret_l3; NULL: counted. */
struct rte_mbuf *net_out_new(struct hf_net *net, const struct net_port *port, const uint8_t dst[6],
	uint16_t type, uint32_t len, uint8_t **ret_l3);
/* Towards the device, directly or by its owner. */
void net_out_stage(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf);
void net_out_stage_flush(struct hf_net *net, const struct net_port *port);

/* DPDK calls it when the device is done: on the worker of the queue, or at stop when it is parked. */
void net_attach_release(void *addr, void *opaque);
struct rte_mempool *net_attach_pool_new(uint32_t worker, uint32_t count);
/* Puts the references of packets that no device gave back; their mbufs may follow later. */
void net_attach_pool_free(struct rte_mempool *pool);

static inline bool net_is_mine(const struct hf_net *net, const struct net_port *port)
{
	return port->info.rss || port->owner == net->worker;
}

/* For hf_path: payload bytes of one descriptor. A device without TSO has runs cut for it: that is less
 * than a descriptor for each segment. */
static inline uint32_t net_run_max(const struct net_port *port)
{
	return port->info.tso_max > 0 ? port->info.tso_max : NET_RUN_MAX;
}

static inline uint16_t net_queue(const struct hf_net *net, const struct net_port *port)
{
	return port->info.rss ? (uint16_t)net->worker : 0;
}

static inline struct hf_ip net_ip_from4(const uint8_t ip4[4])
{
	struct hf_ip ip = { .b = { [10] = 0xff, [11] = 0xff } };

	__builtin_memcpy(ip.b + 12, ip4, 4);
	return ip;
}

static inline struct hf_ip net_ip_from6(const uint8_t ip6[16])
{
	struct hf_ip ip;

	__builtin_memcpy(ip.b, ip6, 16);
	return ip;
}

static inline bool net_ip_eq(const struct hf_ip *a, const struct hf_ip *b)
{
	return __builtin_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* One of our addresses on this port. */
bool net_addr_is_ours(const struct net_port *port, const struct hf_ip *ip);
/* Within a prefix of this port, or link-local. */
bool net_addr_on_link(const struct net_port *port, const struct hf_ip *ip);
/* The first address of the family, for requests of our own; NULL: none. */
const struct hf_ip *net_addr_first(const struct net_port *port, bool is4);

static inline bool net_mac_is_multicast(const uint8_t mac[6])
{
	return mac[0] & 1;
}

/* As a number that a register holds: its bytes as they lie in memory. */
static inline uint64_t net_mac_load(const uint8_t mac[6])
{
	uint32_t first;
	uint16_t last;

	__builtin_memcpy(&first, mac, sizeof(first));
	__builtin_memcpy(&last, mac + sizeof(first), sizeof(last));
	return first | (uint64_t)last << 32;
}

static inline void net_mac_store(uint8_t ret_mac[6], uint64_t mac)
{
	uint32_t first = (uint32_t)mac;
	uint16_t last = (uint16_t)(mac >> 32);

	__builtin_memcpy(ret_mac, &first, sizeof(first));
	__builtin_memcpy(ret_mac + sizeof(first), &last, sizeof(last));
}

static inline bool net_mac_eq(const uint8_t a[6], const uint8_t b[6])
{
	return net_mac_load(a) == net_mac_load(b);
}

static inline bool net_mac_is_zero(const uint8_t mac[6])
{
	return net_mac_load(mac) == 0;
}

/* The gateway's MAC address as net_mac_load has it; 0: unknown. */
static inline uint64_t net_gateway_load(const struct net_gateway *gateway)
{
	uint64_t word = atomic_load_explicit(&gateway->word, memory_order_relaxed);

	return __builtin_bswap64(word) & 0xffffffffffff;
}

#endif
