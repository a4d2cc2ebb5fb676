/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The four peers' end of the wire: frames to the worker, and what is asserted of those that come back.
 */
#include "stack_rig.h"

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

void wire_release(void)
{
	rte_pktmbuf_free_bulk(fuzz.held, fuzz.held_count);
	fuzz.held_count = 0;
}

uint32_t wire_take(void)
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

static void frame_free(void *addr, void *opaque)
{
	(void)addr;
	free(opaque);
}

/* In a buffer of exactly its length, so that the address sanitizer sees every byte read beyond. */
void frame_feed(const uint8_t *frame, uint32_t len)
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

uint8_t *frame_ip(uint8_t *frame, const struct fuzz_peer *peer, const uint8_t *src, uint8_t proto,
	uint32_t len, uint8_t ecn)
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

void frame_sum(const struct fuzz_peer *peer, uint8_t *l4, uint32_t len, uint8_t proto, uint32_t at)
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

void peer_send(struct fuzz_peer *peer, const struct hf_tcp_seg *seg)
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

struct hf_tcp_seg peer_seg(const struct fuzz_peer *peer, uint8_t flags)
{
	return (struct hf_tcp_seg){ .seq = peer->iss + 1 + peer->sent,
		.ack = flags & HF_TCP_ACK ? peer->irs + 1 + peer->rcv : 0,
		.wnd = 60000,
		.flags = flags };
}

void peer_send_stamped(struct fuzz_peer *peer, struct hf_tcp_seg *seg)
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
