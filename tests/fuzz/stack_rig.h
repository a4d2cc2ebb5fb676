/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What fuzz_stack.c plays with: the worker, and around it the wire with four peers (stack_wire.c) and an
 * origin thread (stack_origin.c).
 */
#ifndef STACK_RIG_H
#define STACK_RIG_H

#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "hf_bytes.h"
#include "hf_net.h"
#include "hf_pkt.h"
#include "hf_port.h"
#include "hf_serve.h"

#define PEERS     4
#define STEPS_MAX 300
#define OUT_MAX   16384 /* bytes that a peer may have sent on a connection */
#define IN_MAX    131072
#define XCHGS     4
#define HELD_MAX  32
#define FEED_MAX  512
#define START_US  1000000000ull
#define CHUNK     1000 /* bytes that the origin has at a time */

struct fuzz_peer {
	uint8_t mac;
	bool is4, open, closed, stamps;
	struct hf_ip ip;
	uint16_t port;
	uint32_t iss, irs;
	uint32_t sent, acked; /* of out[] */
	uint32_t rcv, top;    /* in order, highest; relative to irs */
	uint32_t stamp;       /* the stack's last */
	uint8_t out[OUT_MAX];
	uint8_t in[IN_MAX], seen[IN_MAX];
};

/* An exchange at the origin thread that the harness plays. */
struct fuzz_fetch {
	struct hf_xchg *xchg;
	bool answered, filling;
	uint64_t left; /* of a known length */
};
struct fuzz {
	struct hf_conf conf;
	struct hf_port *port;
	struct hf_net *net;
	struct hf_port_info info;
	struct rte_ring *ring;
	struct rte_mempool *pool, *ext_pool;
	unsigned int avail, ext_avail;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_shard *shard;
	size_t arena_used;
	struct hf_obj *stored[2];
	struct hf_ip own4, own6;
	/* of one input */
	const uint8_t *at, *end;
	uint64_t now_us;
	struct hf_xchg_net *xchgs;
	struct hf_link *link;
	struct hf_tcp *tcp;
	struct hf_serve *serve;
	uint32_t lose, hold; /* frames to come */
	uint32_t held_count, body_count, feed_count;
	struct rte_mbuf *held[HELD_MAX], *feed[FEED_MAX];
	struct hf_xchg_body *body[XCHGS * HF_XCHG_BODIES_MAX];
	struct fuzz_fetch fetch[XCHGS];
	struct fuzz_peer peer[PEERS];
};

extern struct fuzz fuzz;

static inline uint32_t fuzz_byte(void)
{
	return fuzz.at < fuzz.end ? *fuzz.at++ : 0;
}

static inline uint32_t fuzz_u16(void)
{
	uint32_t high = fuzz_byte();

	return high << 8 | fuzz_byte();
}

/* Most often a small step from where things stand; sometimes anywhere. */
static inline uint32_t fuzz_near(uint32_t base)
{
	uint32_t how = fuzz_byte();

	if (how < 160)
		return base;
	if (how < 200)
		return base + fuzz_byte();
	if (how < 230)
		return base - fuzz_byte();
	if (how < 250)
		return base + fuzz_u16();
	return fuzz_u16() << 16 | fuzz_u16();
}
/* stack_wire.c: what the device was given is read, lost, or kept a while, as a busy one does. */
uint32_t wire_take(void);
void wire_release(void);
/* Frames for the next turns: the bytes as they are; a segment of a peer, with the timestamp option where
 * it was agreed upon, or without. */
void frame_feed(const uint8_t *frame, uint32_t len);
void peer_send(struct fuzz_peer *peer, const struct hf_tcp_seg *seg);
void peer_send_stamped(struct fuzz_peer *peer, struct hf_tcp_seg *seg);
/* In order, nothing in it. */
struct hf_tcp_seg peer_seg(const struct fuzz_peer *peer, uint8_t flags);
/* Ethernet and IP around `len` bytes that the caller puts at the returned place. */
uint8_t *frame_ip(uint8_t *frame, const struct fuzz_peer *peer, const uint8_t *src, uint8_t proto,
	uint32_t len, uint8_t ecn);
/* The checksum at `l4 + at` made right, by the addresses in the IP header. */
void frame_sum(const struct fuzz_peer *peer, uint8_t *l4, uint32_t len, uint8_t proto, uint32_t at);

/* stack_origin.c: takes the worker's messages; does something about one exchange. */
void origin_messages(void);
void origin_step(void);

#endif
