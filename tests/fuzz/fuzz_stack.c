/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HTTP over TCP over frames: a whole worker on a ring device, from mbuf to mbuf. The input is a list of
 * steps of four peers (two families, two of them behind the gateway), of an origin thread, of the wire
 * and of the clock: a handshake done right, a request in segments of any size, order and number, any
 * other segment, any other frame, ICMP errors, losses, a slow device, time. After each step every
 * invariant of the TCP stack is checked, and of what the peers received: checksums, lengths, and that a
 * byte of the stream is the same whenever it is sent. At the end nothing may be left anywhere.
 */
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

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static struct {
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
} fuzz;

static uint32_t fuzz_byte(void)
{
	return fuzz.at < fuzz.end ? *fuzz.at++ : 0;
}

static uint32_t fuzz_u16(void)
{
	uint32_t high = fuzz_byte();

	return high << 8 | fuzz_byte();
}

/* Most often a small step from where things stand; sometimes anywhere. */
static uint32_t fuzz_near(uint32_t base)
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

/* What the peers receive ------------------------------------------------------------------------- */

static void peer_data(struct fuzz_peer *peer, uint32_t at, const uint8_t *data, uint32_t len)
{
	static const char status[] = "HTTP/1.1 ";

	for (uint32_t i = 0; i < len && at + i < IN_MAX; i++) {
		HF_ASSERT(!peer->seen[at + i] || peer->in[at + i] == data[i]);
		HF_ASSERT(at + i >= sizeof(status) - 1 || data[i] == status[at + i]);
		peer->in[at + i] = data[i];
		peer->seen[at + i] = 1;
	}
}

/* The timestamp, if it is where every sender puts it; options must be well-formed. */
static void peer_options(struct fuzz_peer *peer, const uint8_t *opt, uint32_t len)
{
	for (uint32_t i = 0; i < len && opt[i] != 0;) {
		if (opt[i] == 1) {
			i++;
			continue;
		}
		HF_ASSERT(len - i >= 2 && opt[i + 1] >= 2 && opt[i + 1] <= len - i);
		if (opt[i] == 8) {
			HF_ASSERT(opt[i + 1] == 10);
			peer->stamp = hf_load_be32(opt + i + 2);
		}
		i += opt[i + 1];
	}
}

static void peer_segment(
	const struct hf_ip *src, const struct hf_ip *dst, const uint8_t *l4, uint32_t len)
{
	const struct hf_pkt_tcp *tcp = (const void *)l4;
	uint32_t header = (tcp->off >> 4) * 4u, at, end;
	struct fuzz_peer *peer = NULL;

	HF_ASSERT(len >= sizeof(*tcp) && header >= sizeof(*tcp) && header <= len);
	HF_ASSERT(memcmp(src, hf_ip_is4(src) ? &fuzz.own4 : &fuzz.own6, 16) == 0 ||
		  src->b[0] == 0xfe);
	for (int i = 0; i < PEERS; i++) {
		if (memcmp(dst, &fuzz.peer[i].ip, 16) == 0 &&
			fuzz.peer[i].port == __builtin_bswap16(tcp->dport_be))
			peer = &fuzz.peer[i];
	}
	if (!peer || tcp->sport_be != __builtin_bswap16(80))
		return; /* an answer to a frame without connection */
	if (tcp->flags & HF_TCP_RST) {
		peer->closed = true;
		return;
	}
	peer_options(peer, l4 + sizeof(*tcp), header - (uint32_t)sizeof(*tcp));
	if (tcp->flags & HF_TCP_SYN) {
		peer->irs = __builtin_bswap32(tcp->seq_be);
		peer->open = true;
		return;
	}
	if (!peer->open)
		return;
	at = __builtin_bswap32(tcp->seq_be) - peer->irs - 1;
	end = __builtin_bswap32(tcp->ack_be) - peer->iss - 1;
	if (at > IN_MAX) /* keepalive probes are one byte back */
		return;
	peer_data(peer, at, l4 + header, len - header);
	while (peer->rcv < IN_MAX && peer->seen[peer->rcv])
		peer->rcv++;
	peer->top = hf_max_u32(peer->top, at + len - header);
	if (end <= peer->sent)
		peer->acked = hf_max_u32(peer->acked, end);
	if ((tcp->flags & HF_TCP_FIN) && at + len - header == peer->rcv)
		peer->closed = true;
}

static void peer_packet(const uint8_t *frame, uint32_t len)
{
	const struct hf_pkt_ip4 *ip4 = (const void *)(frame + 14);
	const struct hf_pkt_ip6 *ip6 = (const void *)(frame + 14);
	struct hf_ip src = { .b = { [10] = 0xff, 0xff } }, dst = src;

	HF_ASSERT(len >= 14 + 28 && len <= 14u + fuzz.info.mtu);
	if (frame[12] == 0x08 && frame[13] == 0x00) {
		HF_ASSERT(ip4->version_ihl == 0x45 && __builtin_bswap16(ip4->len_be) == len - 14);
		HF_ASSERT(hf_pkt_sum(0, ip4, sizeof(*ip4)) == 0xffff);
		memcpy(src.b + 12, ip4->src, 4);
		memcpy(dst.b + 12, ip4->dst, 4);
		if (ip4->proto == HF_PKT_PROTO_TCP) {
			HF_ASSERT(hf_pkt_sum(hf_pkt_sum_pseudo4(
						     ip4->src, ip4->dst, 6, (uint16_t)(len - 34)),
					  frame + 34, len - 34) == 0xffff);
			peer_segment(&src, &dst, frame + 34, len - 34);
		}
	} else if (frame[12] == 0x86) {
		HF_ASSERT(len >= 54 && frame[14] >> 4 == 6);
		HF_ASSERT(__builtin_bswap16(ip6->len_be) == len - 54);
		memcpy(src.b, ip6->src, 16);
		memcpy(dst.b, ip6->dst, 16);
		if (ip6->next == HF_PKT_PROTO_TCP) {
			HF_ASSERT(hf_pkt_sum(hf_pkt_sum_pseudo6(ip6->src, ip6->dst, 6, len - 54),
					  frame + 54, len - 54) == 0xffff);
			peer_segment(&src, &dst, frame + 54, len - 54);
		}
	}
}

static void wire_release(void)
{
	rte_pktmbuf_free_bulk(fuzz.held, fuzz.held_count);
	fuzz.held_count = 0;
}

/* What the device was given: read, lost, or kept a while, as a busy one does. */
static uint32_t wire_take(void)
{
	static uint8_t frame[65536];
	struct rte_mbuf *mbuf;
	uint32_t count = 0;

	for (; rte_ring_dequeue(fuzz.ring, (void **)&mbuf) == 0; count++) {
		uint32_t len = 0;

		for (const struct rte_mbuf *seg = mbuf; seg; seg = seg->next) {
			memcpy(frame + len, rte_pktmbuf_mtod(seg, void *), seg->data_len);
			len += seg->data_len;
		}
		HF_ASSERT(len == mbuf->pkt_len);
		if (fuzz.lose > 0)
			fuzz.lose--;
		else
			peer_packet(frame, len);
		if (fuzz.hold > 0 && fuzz.held_count < HELD_MAX) {
			fuzz.hold--;
			fuzz.held[fuzz.held_count++] = mbuf;
		} else {
			rte_pktmbuf_free(mbuf);
		}
	}
	return count;
}

/* The origin thread ------------------------------------------------------------------------------ */

static void origin_more(struct fuzz_fetch *fetch)
{
	if (!atomic_exchange(&fetch->xchg->more_posted, true))
		hf_xchg_to_worker(fuzz.link, HF_XCHG_MORE, fetch->xchg);
}

static void origin_bodies(const struct hf_xchg *xchg)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fuzz.body_count; i++) {
		if (!xchg || fuzz.body[i]->xchg == xchg)
			hf_xchg_to_worker(fuzz.link, HF_XCHG_BODY_DONE, fuzz.body[i]);
		else
			fuzz.body[kept++] = fuzz.body[i];
	}
	fuzz.body_count = kept;
}

static struct fuzz_fetch *origin_fetch(const struct hf_xchg *xchg)
{
	for (int i = 0; i < XCHGS; i++) {
		if (fuzz.fetch[i].xchg == xchg)
			return &fuzz.fetch[i];
	}
	HF_ASSERT(!"an exchange is known, or there is room");
	return NULL;
}

static void origin_finish(struct hf_xchg *xchg)
{
	struct fuzz_fetch *fetch = origin_fetch(xchg);

	if (fetch->filling) {
		hf_shard_fill_fail(fuzz.shard, xchg->obj);
		hf_shard_obj_unref(fuzz.shard, xchg->obj);
	}
	if (xchg->obj)
		hf_shard_obj_unref(fuzz.shard, xchg->obj);
	origin_bodies(xchg);
	hf_xchg_to_worker(fuzz.link, HF_XCHG_GONE, xchg);
	memset(fetch, 0, sizeof(*fetch));
}

static void origin_messages(void)
{
	struct hf_xchg *xchg;
	struct hf_msg msg;

	while (hf_ring_drain(fuzz.link->to_origin, &msg, 1) == 1) {
		xchg = msg.ptr;
		switch (msg.kind) {
		case HF_XCHG_START:
			*origin_fetch(NULL) = (struct fuzz_fetch){ .xchg = xchg };
			break;
		case HF_XCHG_BODY:
			fuzz.body[fuzz.body_count++] = msg.ptr;
			break;
		case HF_XCHG_CREDIT:
			if (xchg->obj)
				hf_shard_trim(fuzz.shard, xchg->obj, atomic_load(&xchg->consumed));
			break;
		case HF_XCHG_FINISH:
			origin_finish(xchg);
			break;
		default:
			HF_ASSERT(!"a message to an origin thread");
		}
	}
}

static void origin_answer(struct fuzz_fetch *fetch, uint32_t how)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
	struct hf_obj_spec spec = { .head = { head, sizeof(head) - 1 },
		.length = how & 2 ? HF_OBJ_LENGTH_UNKNOWN : how * 16,
		.born_us = (int64_t)fuzz.now_us,
		.status = 200,
		.flags = HF_OBJ_STREAM };
	struct hf_xchg *xchg = fetch->xchg;

	fetch->answered = true;
	if (how & 1) {
		xchg->fail_status = how & 4 ? 504 : 502;
		xchg->fail_reason =
			how & 4 ? HF_DROP_REQ_ORIGIN_TIMEOUT : HF_DROP_REQ_ORIGIN_FAILED;
		hf_xchg_to_worker(fuzz.link, HF_XCHG_FAIL, xchg);
		return;
	}
	fetch->left = spec.length;
	xchg->obj = hf_shard_obj_new(fuzz.shard, &spec);
	HF_ASSERT(xchg->obj); /* the arena holds all there can be at once */
	hf_shard_obj_ref(fuzz.shard, xchg->obj);
	fetch->filling = true;
	hf_xchg_to_worker(fuzz.link, HF_XCHG_HEAD, xchg);
}

static void origin_fill(struct fuzz_fetch *fetch, uint64_t len)
{
	static const char body[CHUNK] = "body";

	for (len = hf_min_u64(len, fetch->left); len > 0;) {
		size_t n = hf_shard_fill(
			fuzz.shard, fetch->xchg->obj, body, (size_t)hf_min_u64(len, CHUNK));

		HF_ASSERT(n > 0);
		len -= n;
		if (fetch->left != HF_OBJ_LENGTH_UNKNOWN)
			fetch->left -= n;
	}
}

static void origin_step(void)
{
	struct fuzz_fetch *fetch = &fuzz.fetch[fuzz_byte() % XCHGS];
	uint32_t what = fuzz_byte();

	if (what & 128)
		origin_bodies(NULL);
	if (!fetch->xchg)
		return;
	if (!fetch->answered) {
		origin_answer(fetch, fuzz_byte());
	} else if (fetch->filling) {
		if (what & 64)
			atomic_store(&fetch->xchg->credit_wanted, true);
		if (what % 8 < 6) {
			origin_fill(fetch, fuzz_u16() % 5000);
		} else {
			if (what % 8 == 6) {
				if (fetch->left != HF_OBJ_LENGTH_UNKNOWN)
					origin_fill(fetch, fetch->left);
				hf_shard_fill_end(fuzz.shard, fetch->xchg->obj);
			} else {
				hf_shard_fill_fail(fuzz.shard, fetch->xchg->obj);
			}
			hf_shard_obj_unref(fuzz.shard, fetch->xchg->obj);
			fetch->filling = false;
		}
		origin_more(fetch);
	}
}

/* The worker ------------------------------------------------------------------------------------- */

/* As in app/holdfastd/thread_lcore.c. */
static void worker_turn(void)
{
	const struct hf_tcp_icmp *icmps;
	const struct hf_tcp_emit *emits;
	const struct hf_tcp_seg *segs;
	uint32_t count;

	(void)hf_net_rx(fuzz.net, fuzz.now_us);
	count = hf_net_segs(fuzz.net, &segs);
	hf_serve_segments(fuzz.serve, segs, count, fuzz.now_us);
	count = hf_net_icmps(fuzz.net, &icmps);
	hf_serve_icmps(fuzz.serve, icmps, count, fuzz.now_us);
	hf_net_rx_done(fuzz.net);
	(void)hf_serve_replies(fuzz.serve, fuzz.now_us);
	hf_serve_tick(fuzz.serve, fuzz.now_us);
	hf_tcp_flush(fuzz.tcp, fuzz.now_us);
	count = hf_tcp_emits(fuzz.tcp, &emits);
	hf_net_tx(fuzz.net, emits, count);
	hf_tcp_emits_done(fuzz.tcp);
	hf_net_flush(fuzz.net, fuzz.now_us);
	hf_serve_turn_end(fuzz.serve);
	hf_tcp_check(fuzz.tcp);
}

/* All that came in, then until nothing goes out any more. */
static void worker_turns(void)
{
	uint32_t fed = 0, idle = 0, n;

	while (idle < 4) {
		n = hf_min_u32(fuzz.feed_count - fed, HF_NET_BURST);
		HF_ASSERT(
			rte_ring_enqueue_bulk(fuzz.ring, (void **)(fuzz.feed + fed), n, NULL) == n);
		fed += n;
		worker_turn();
		origin_messages();
		n += wire_take();
		idle += fed == fuzz.feed_count;
		if (n == 0)
			break;
	}
	fuzz.feed_count = 0;
}

/* What comes in ---------------------------------------------------------------------------------- */

static void frame_free(void *addr, void *opaque)
{
	(void)addr;
	free(opaque);
}

/* In a buffer of exactly its length, so that the address sanitizer sees every byte read beyond. */
static void frame_feed(const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf_ext_shared_info *shinfo = malloc(sizeof(*shinfo) + len);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(fuzz.pool);

	HF_ASSERT(shinfo && mbuf);
	memcpy(shinfo + 1, frame, len);
	shinfo->free_cb = frame_free;
	shinfo->fcb_opaque = shinfo;
	rte_mbuf_ext_refcnt_set(shinfo, 1);
	rte_pktmbuf_attach_extbuf(mbuf, shinfo + 1, 0, (uint16_t)len, shinfo);
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	HF_ASSERT(fuzz.feed_count < FEED_MAX);
	fuzz.feed[fuzz.feed_count++] = mbuf;
}

/* Ethernet and IP around `len` bytes that the caller puts at the returned place. */
static uint8_t *frame_ip(uint8_t *frame, const struct fuzz_peer *peer, const uint8_t *src,
	uint8_t proto, uint32_t len, uint8_t ecn)
{
	struct hf_pkt_ip4 *ip4 = (struct hf_pkt_ip4 *)(frame + 14);
	struct hf_pkt_ip6 *ip6 = (struct hf_pkt_ip6 *)(frame + 14);

	memset(frame, 0, 54);
	memcpy(frame, fuzz.info.mac, 6);
	frame[6] = 2;
	frame[11] = peer->mac;
	if (peer->is4) {
		frame[12] = 0x08;
		*ip4 = (struct hf_pkt_ip4){
			.version_ihl = 0x45, .tos = ecn, .ttl = 64, .proto = proto
		};
		ip4->len_be = __builtin_bswap16((uint16_t)(20 + len));
		memcpy(ip4->src, src + 12, 4);
		memcpy(ip4->dst, fuzz.own4.b + 12, 4);
		ip4->csum = (uint16_t)~hf_pkt_sum(0, ip4, 20);
		return frame + 34;
	}
	frame[12] = 0x86;
	frame[13] = 0xdd;
	ip6->vtf_be = __builtin_bswap32(6u << 28 | (uint32_t)ecn << 20);
	ip6->len_be = __builtin_bswap16((uint16_t)len);
	ip6->next = proto;
	ip6->hops = 255;
	memcpy(ip6->src, src, 16);
	memcpy(ip6->dst, fuzz.own6.b, 16);
	return frame + 54;
}

/* The checksum at `l4 + at` made right, by the addresses in the IP header. */
static void frame_sum(
	const struct fuzz_peer *peer, uint8_t *l4, uint32_t len, uint8_t proto, uint32_t at)
{
	const uint8_t *src = peer->is4 ? l4 - 8 : l4 - 32, *dst = peer->is4 ? l4 - 4 : l4 - 16;
	uint16_t sum = 0;

	memset(l4 + at, 0, 2);
	if (!peer->is4)
		sum = hf_pkt_sum_pseudo6(src, dst, proto, len);
	else if (proto == HF_PKT_PROTO_TCP)
		sum = hf_pkt_sum_pseudo4(src, dst, proto, (uint16_t)len);
	sum = (uint16_t)~hf_pkt_sum(sum, l4, len);
	memcpy(l4 + at, &sum, 2);
}

static void peer_send(struct fuzz_peer *peer, const struct hf_tcp_seg *seg)
{
	uint8_t frame[54 + 20 + 40 + 2048];
	uint32_t header = 20u + ((seg->opt_len + 3u) & ~3u), len = header + seg->payload_len;
	uint8_t *l4 = frame_ip(frame, peer, peer->ip.b, HF_PKT_PROTO_TCP, len, seg->ecn);
	struct hf_pkt_tcp *tcp = (struct hf_pkt_tcp *)l4;

	HF_ASSERT(seg->payload_len <= 2048 && seg->opt_len <= 40);
	memset(l4, 0, header);
	tcp->sport_be = __builtin_bswap16(peer->port);
	tcp->dport_be = __builtin_bswap16(80);
	tcp->seq_be = __builtin_bswap32(seg->seq);
	tcp->ack_be = __builtin_bswap32(seg->ack);
	tcp->off = (uint8_t)(header / 4 << 4);
	tcp->flags = seg->flags;
	tcp->wnd_be = __builtin_bswap16(seg->wnd);
	if (seg->opt_len > 0)
		memcpy(l4 + 20, seg->opt, seg->opt_len);
	if (seg->payload_len > 0)
		memcpy(l4 + header, seg->payload, seg->payload_len);
	frame_sum(peer, l4, len, HF_PKT_PROTO_TCP, 16);
	frame_feed(frame, (uint32_t)(l4 - frame) + len);
}

static struct hf_tcp_seg peer_seg(const struct fuzz_peer *peer, uint8_t flags)
{
	return (struct hf_tcp_seg){ .seq = peer->iss + 1 + peer->sent,
		.ack = flags & HF_TCP_ACK ? peer->irs + 1 + peer->rcv : 0,
		.wnd = 60000,
		.flags = flags };
}

/* With the timestamp option, where it was agreed upon. */
static void peer_send_stamped(struct fuzz_peer *peer, struct hf_tcp_seg *seg)
{
	uint8_t opt[12] = { 1, 1, 8, 10 };

	if (peer->stamps) {
		hf_store_be32(opt + 4, (uint32_t)(fuzz.now_us / 1000));
		hf_store_be32(opt + 8, peer->stamp);
		seg->opt = opt;
		seg->opt_len = sizeof(opt);
	}
	peer_send(peer, seg);
	seg->opt_len = 0;
}

static void step_open(struct fuzz_peer *peer)
{
	static const uint8_t options[] = { 2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0,
		0, 0 };
	uint32_t how = fuzz_byte();
	struct hf_tcp_seg seg;

	peer->port++;
	peer->iss = fuzz_near(0x12345678);
	peer->open = peer->closed = false;
	peer->sent = peer->acked = peer->rcv = peer->top = peer->stamp = 0;
	peer->stamps = (how & 3) == 3;
	memset(peer->seen, 0, sizeof(peer->seen));
	seg = peer_seg(peer, HF_TCP_SYN | (how & 4 ? HF_TCP_ECE | HF_TCP_CWR : 0));
	seg.seq = peer->iss;
	seg.opt = options;
	seg.opt_len = (uint8_t[]){ 0, 4, 10, 20 }[how & 3];
	peer_send(peer, &seg);
	worker_turns();
	if (!peer->open)
		return;
	seg = peer_seg(peer, HF_TCP_ACK);
	peer_send_stamped(peer, &seg);
}

static void step_ack(struct fuzz_peer *peer, uint8_t flags)
{
	struct hf_tcp_seg seg = peer_seg(peer, HF_TCP_ACK | flags);
	uint32_t how = fuzz_byte();

	if (how & 1)
		seg.wnd = (uint16_t)fuzz_u16();
	if (how & 2)
		seg.flags |= HF_TCP_ECE;
	if (how & 4)
		seg.flags |= HF_TCP_CWR;
	peer_send_stamped(peer, &seg);
}

static uint32_t request_text(uint8_t *out, uint32_t room)
{
	static const char *const texts[] = {
		"GET /small HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /miss HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"HEAD /large HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /large HTTP/1.1\r\nHost: a.example\r\nRange: bytes=100-20000\r\n\r\n",
		"GET /small HTTP/1.0\r\n\r\n",
		"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3000\r\n\r\n",
		"POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
		"5\r\nhello\r\n",
		"0\r\n\r\n",
		"GET /small HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: "
		"5\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /small HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"GET /small HTTP/1.1\r\nHost: a.example\r\nX: ",
		"\r\n\r\n",
	};
	uint32_t which = fuzz_byte(), len;

	if (which < 200) {
		len = (uint32_t)hf_min_size(strlen(texts[which % 16]), room);
		memcpy(out, texts[which % 16], len);
	} else if (which < 230) {
		len = hf_min_u32(fuzz_u16() % 3001, room);
		memset(out, 'b', len);
	} else {
		len = hf_min_u32(hf_min_u32(fuzz_byte(), room), (uint32_t)(fuzz.end - fuzz.at));
		memcpy(out, fuzz.at, len);
		fuzz.at += len;
	}
	return len;
}

/* Segments of out[from, sent): size, order, doubles and one left out as the input says. */
static void step_segments(struct fuzz_peer *peer, uint32_t from)
{
	uint32_t size = 1 + fuzz_byte() * 8, how = fuzz_byte();
	uint32_t count, out = how & 8 ? fuzz_byte() % 16 : UINT32_MAX;
	struct hf_tcp_seg seg = peer_seg(peer, HF_TCP_ACK | HF_TCP_PSH);

	seg.ecn = how >> 6;
	size = hf_min_u32(size, 1460);
	count = hf_min_u32((peer->sent - from + size - 1) / size, 200);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t nth = how & 1 ? count - 1 - i : i, at = from + nth * size;

		if (nth == out)
			continue;
		seg.seq = peer->iss + 1 + at;
		seg.payload = peer->out + at;
		seg.payload_len = hf_min_u32(how & 4 ? 1460 : size, peer->sent - at);
		peer_send_stamped(peer, &seg);
		if (how & 2)
			peer_send_stamped(peer, &seg);
		if (how & 16)
			worker_turns();
	}
}

static void step_request(struct fuzz_peer *peer)
{
	uint32_t from = peer->sent;

	for (uint32_t n = 1 + fuzz_byte() % 3; n > 0; n--)
		peer->sent += request_text(peer->out + peer->sent, OUT_MAX - peer->sent);
	step_segments(peer, from);
}

/* Any segment near the window of a connection. */
static void step_segment(struct fuzz_peer *peer)
{
	uint8_t opt[40], payload[1500];
	uint32_t shape = fuzz_byte();
	struct hf_tcp_seg seg = { .flags = (uint8_t)fuzz_byte(), .ecn = shape & 3 };

	seg.seq = fuzz_near(peer->iss + 1 + peer->sent);
	seg.ack = fuzz_near(peer->irs + 1 + peer->rcv);
	seg.wnd = (uint16_t)fuzz_u16();
	seg.opt_len = shape & 4 ? (uint8_t)(fuzz_byte() % 41) : 0;
	for (uint32_t i = 0; i < seg.opt_len; i++)
		opt[i] = (uint8_t)fuzz_byte();
	seg.opt = opt;
	seg.payload_len = shape & 8 ? fuzz_u16() % sizeof(payload) : 0;
	memset(payload, 'p', sizeof(payload));
	seg.payload = payload;
	if (shape & 16)
		peer_send_stamped(peer, &seg);
	else
		peer_send(peer, &seg);
}

/* An ICMP error about a segment that the peer was, or was not, sent. */
static void step_icmp(struct fuzz_peer *peer)
{
	uint8_t frame[54 + 8 + 48], quoted[54 + 8], *icmp, *tcp;
	uint32_t how = fuzz_byte(), ip_len = peer->is4 ? 20 : 40;
	uint8_t proto = peer->is4 ? HF_PKT_PROTO_ICMP : HF_PKT_PROTO_ICMP6;
	struct hf_ip router = peer->ip;

	router.b[15] ^= 0x80;
	icmp = frame_ip(frame, peer, router.b, proto, 8 + ip_len + 8, 0);
	memset(icmp, 0, 8);
	icmp[0] = peer->is4 ? 3 : (uint8_t)(1 + (how & 1));
	icmp[1] = (uint8_t)(how & 1 ? 4 : how >> 4);
	hf_store_be16(icmp + 6, (uint16_t)fuzz_u16());
	tcp = frame_ip(quoted, peer, peer->ip.b, HF_PKT_PROTO_TCP, fuzz_u16() % 1480, 0);
	/* what frame_ip made came from the peer: the other way round */
	memcpy(tcp - (peer->is4 ? 8 : 32), peer->is4 ? fuzz.own4.b + 12 : fuzz.own6.b,
		peer->is4 ? 4 : 16);
	memcpy(tcp - (peer->is4 ? 4 : 16), peer->is4 ? peer->ip.b + 12 : peer->ip.b,
		peer->is4 ? 4 : 16);
	hf_store_be16(tcp, 80);
	hf_store_be16(tcp + 2, peer->port);
	hf_store_be32(tcp + 4, fuzz_near(peer->irs + 1 + peer->rcv));
	memcpy(icmp + 8, tcp - ip_len, ip_len + 8);
	frame_sum(peer, icmp, 8 + ip_len + 8, proto, 2);
	frame_feed(frame, (uint32_t)(icmp - frame) + 8 + ip_len + 8);
}

/* Any packet around bytes of the input, or any frame. */
static void step_frame(struct fuzz_peer *peer)
{
	uint8_t frame[54 + 256] = { 0 }, *l4;
	uint32_t how = fuzz_byte(), len = fuzz_byte();
	uint8_t proto = (uint8_t)(how & 2 ? HF_PKT_PROTO_TCP : fuzz_byte());

	len = hf_min_u32(len, (uint32_t)(fuzz.end - fuzz.at));
	l4 = frame_ip(frame, peer, peer->ip.b, proto, len, 0);
	if (how & 1)
		l4 = frame + 12;
	memcpy(l4, fuzz.at, len);
	fuzz.at += len;
	if (!(how & 1) && len >= 20 && proto == HF_PKT_PROTO_TCP)
		frame_sum(peer, l4, len, proto, 16);
	else if (!(how & 1) && len >= 4)
		frame_sum(peer, l4, len, proto, 2);
	frame_feed(frame, (uint32_t)(l4 - frame) + len);
}

static void step_time(void)
{
	uint64_t us = (uint64_t)fuzz_u16() << (fuzz_byte() % 14);

	for (uint64_t end_us = fuzz.now_us + us; fuzz.now_us < end_us;) {
		fuzz.now_us += us / 8 + 1;
		worker_turns();
	}
}

static void step(void)
{
	uint32_t what = fuzz_byte();
	struct fuzz_peer *peer = &fuzz.peer[what / 16 % PEERS];

	switch (what % 16) {
	case 0:
	case 1:
		step_open(peer);
		break;
	case 2:
	case 3:
	case 4:
		step_request(peer);
		break;
	case 5:
		step_segments(peer, peer->acked);
		break;
	case 6:
	case 7:
		step_ack(peer, 0);
		break;
	case 8:
		step_ack(peer, fuzz_byte() & 1 ? HF_TCP_RST : HF_TCP_FIN);
		break;
	case 9:
		step_segment(peer);
		break;
	case 10:
		step_icmp(peer);
		break;
	case 11:
		step_frame(peer);
		break;
	case 12:
		step_time();
		break;
	case 13:
	case 14:
		origin_step();
		break;
	default:
		what = fuzz_byte();
		fuzz.lose = what & 1 ? what / 16 : 0;
		fuzz.hold = what & 2 ? what / 8 : 0;
		if (what & 4)
			wire_release();
		if (what == 0xff)
			hf_serve_drain(fuzz.serve);
	}
	worker_turns();
}

/* Once a process, and once an input -------------------------------------------------------------- */

static void fuzz_address(struct hf_conf_address *address, const uint8_t ip[16], uint8_t prefix)
{
	memcpy(address->ip, ip, 16);
	address->prefix = prefix;
}

static void fuzz_conf(void)
{
	static const uint8_t ip4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t gateway4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x10 };
	static const uint8_t gateway6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	static const uint8_t peers[PEERS][16] = {
		{ [10] = 0xff, 0xff, 192, 0, 2, 99 },
		{ 0x20, 0x01, 0x0d, 0xb8, [15] = 0x63 },
		{ [10] = 0xff, 0xff, 203, 0, 113, 5 },
		{ 0x20, 0x01, 0x0d, 0xb8, [5] = 7, [15] = 5 },
	};
	static char device[] = "net_ring0";
	struct hf_conf *conf = &fuzz.conf;

	conf->workers = 1;
	conf->port_count = 1;
	conf->port[0].device = device;
	conf->port[0].address_count = 2;
	fuzz_address(&conf->port[0].address[0], ip4, 24);
	fuzz_address(&conf->port[0].address[1], ip6, 64);
	fuzz_address(&conf->port[0].gateway4, gateway4, 0);
	fuzz_address(&conf->port[0].gateway6, gateway6, 0);
	conf->http.connections_max = 8;
	conf->http.header_bytes = 4096;
	conf->http.header_count = 20;
	conf->http.uri_bytes = 1024;
	conf->http.header_timeout_ms = 10000;
	conf->http.idle_timeout_ms = 60000;
	conf->http.body_rate = 240;
	memcpy(fuzz.own4.b, ip4, 16);
	memcpy(fuzz.own6.b, ip6, 16);
	for (uint8_t i = 0; i < PEERS; i++) {
		memcpy(fuzz.peer[i].ip.b, peers[i], 16);
		fuzz.peer[i].is4 = i % 2 == 0;
		fuzz.peer[i].mac = 1 + i;
	}
}

static void fuzz_store(const char *url, size_t len)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"e\"\r\n";
	uint32_t url_len = (uint32_t)strlen(url);
	struct hf_obj_spec spec = {
		.key = { url, url_len, hf_cache_hash(fuzz.cache, url, url_len) },
		.head = { head, sizeof(head) - 1 },
		.length = len,
		.born_us = (int64_t)START_US,
		.life.lifetime_s = 3600,
		.status = 200,
	};
	struct hf_obj *obj = hf_shard_obj_new(fuzz.shard, &spec);
	uint8_t *body = malloc(len);

	HF_ASSERT(obj && body);
	for (size_t i = 0; i < len; i++)
		body[i] = (uint8_t)(i * 31 + (i >> 8));
	HF_ASSERT(hf_shard_fill(fuzz.shard, obj, body, len) == len);
	free(body);
	hf_shard_fill_end(fuzz.shard, obj);
	hf_shard_publish(fuzz.shard, obj);
	hf_shard_obj_unref(fuzz.shard, obj);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct hf_cache_cfg cache = { .shards = 1, .workers = 1, .leases_max = 4 };
	struct hf_net_shared *shared;
	struct rte_mbuf *mbuf;
	struct hf_err err;

	(void)argc, (void)argv;
	fuzz_conf();
	HF_ASSERT(hf_port_eal_init(&fuzz.conf, &err) == 0);
	HF_ASSERT(hf_port_open(&fuzz.conf, 0, &err, &fuzz.port) == 0);
	HF_ASSERT(hf_net_shared_new(&fuzz.conf, &fuzz.port, 1, &err, &shared) == 0);
	HF_ASSERT(hf_net_new(shared, 0, &err, &fuzz.net) == 0);
	HF_ASSERT(hf_port_start(fuzz.port, &err) == 0);
	hf_port_info(fuzz.port, &fuzz.info);
	fuzz.ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	fuzz.pool = hf_port_mempool(fuzz.port, 0);
	fuzz.ext_pool = rte_mempool_lookup("hf_ext_0");
	HF_ASSERT(fuzz.ring && fuzz.pool && fuzz.ext_pool);
	HF_ASSERT(hf_arena_new(16 << 20, /* hugepages= */ false, &err, &fuzz.arena) == 0);
	cache.arena = fuzz.arena;
	HF_ASSERT(hf_cache_new(&cache, &err, &fuzz.cache) == 0);
	fuzz.shard = hf_cache_shard(fuzz.cache, 0);
	fuzz_store("http://a.example/small", 100);
	fuzz_store("http://a.example/large", 100000);
	fuzz.arena_used = hf_arena_used(fuzz.arena);
	for (uint64_t us = 0; us < START_US; us += START_US / 10) { /* announcements */
		(void)hf_net_rx(fuzz.net, us);
		hf_net_rx_done(fuzz.net);
		hf_net_flush(fuzz.net, us);
		while (rte_ring_dequeue(fuzz.ring, (void **)&mbuf) == 0)
			rte_pktmbuf_free(mbuf);
	}
	fuzz.avail = rte_mempool_avail_count(fuzz.pool);
	fuzz.ext_avail = rte_mempool_avail_count(fuzz.ext_pool);
	return 0;
}

static void fuzz_begin(void)
{
	struct hf_xchg_cfg xchgs = {
		.workers = 1, .origins = 1, .exchanges_max = XCHGS, .buf_len = 16384
	};
	struct hf_serve_cfg serve = { .conf = &fuzz.conf, .origins = 1, .cache = fuzz.cache };
	struct hf_tcp_cfg tcp;

	fuzz.now_us = START_US;
	HF_ASSERT(hf_xchg_net_new(&xchgs, NULL, &fuzz.xchgs) == 0);
	fuzz.link = hf_xchg_link(fuzz.xchgs, 0, 0);
	hf_tcp_cfg_default(&tcp);
	tcp.conns_max = 8;
	tcp.syn_queue_max = 2;
	tcp.spans_max = 64;
	tcp.rxbufs_max = 32;
	tcp.emits_max = 64;
	tcp.isn_key = (struct hf_sipkey){ 1, 2 };
	tcp.flow_key = (struct hf_sipkey){ 3, 4 };
	HF_ASSERT(hf_tcp_new(&tcp, fuzz.now_us, &fuzz.tcp) == 0);
	HF_ASSERT(hf_tcp_listen(fuzz.tcp, 80) == 0);
	serve.tcp = fuzz.tcp;
	serve.xchgs = fuzz.xchgs;
	HF_ASSERT(hf_serve_new(&serve, fuzz.now_us, NULL, &fuzz.serve) == 0);
	fuzz.lose = fuzz.hold = 0;
	for (uint16_t i = 0; i < PEERS; i++) {
		struct fuzz_peer *peer = &fuzz.peer[i];

		peer->port = (uint16_t)(1000 * (i + 1));
		peer->open = peer->closed = peer->stamps = false;
		peer->iss = peer->irs = peer->stamp = 0;
		peer->sent = peer->acked = peer->rcv = peer->top = 0;
	}
	worker_turns();
}

/* Everything that anybody held is back where it came from. */
static void fuzz_end(void)
{
	struct hf_xchg_body *body;
	struct hf_msg msg;

	wire_release();
	hf_tcp_free(fuzz.tcp);
	hf_serve_free(fuzz.serve);
	origin_messages();
	while (hf_ring_drain(fuzz.link->to_worker, &msg, 1) == 1) {
		body = msg.ptr;
		if (msg.kind == HF_XCHG_BODY_DONE)
			hf_xchg_body_put(fuzz.xchgs, body);
		else if (msg.kind == HF_XCHG_GONE)
			hf_xchg_put(fuzz.xchgs, msg.ptr);
	}
	HF_ASSERT(hf_xchg_out_count(fuzz.xchgs, 0) == 0 && fuzz.body_count == 0);
	hf_xchg_net_free(fuzz.xchgs);
	hf_shard_check(fuzz.shard);
	HF_ASSERT(hf_arena_used(fuzz.arena) == fuzz.arena_used);
	HF_ASSERT(rte_mempool_avail_count(fuzz.pool) == fuzz.avail);
	HF_ASSERT(rte_mempool_avail_count(fuzz.ext_pool) == fuzz.ext_avail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz.at = data;
	fuzz.end = data + size;
	fuzz_begin();
	for (int i = 0; i < STEPS_MAX && fuzz.at < fuzz.end; i++)
		step();
	fuzz_end();
	return 0;
}
