/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The other end, as fast as it can be: no connection, no table. A segment tells by itself what it wants:
 *
 *      ARP request      its reply               SYN    SYN-ACK, its options as hf-load's own TCP has them
 *      n heads' ends    n responses: seq is     FIN    FIN and ACK
 *                       the segment's ack       else   nothing
 *
 * A request that comes again gets the same answer again; what of an answer is lost stays lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include "hf_pkt.h"
#include "load.h"

#define STUB_BURST   32
#define STUB_MSS     1448 /* with timestamps */
#define STUB_OUT_MAX 512
#define STUB_TS_OPT  12
#define STUB_TS_HEAD 0x0a080101u /* NOP, NOP, timestamps of 10 bytes; in memory order */
#define STUB_HEAD    "HTTP/1.1 200 OK\r\nContent-Length: %u\r\nCache-Status: stub; hit\r\n\r\n"

struct load_stub {
	struct hf_port *port;
	struct hf_port_info info;
	struct rte_mempool *pool;
	uint8_t ip[HF_CONF_ADDRESSES_MAX][4];
	uint32_t ip_count;
	char *responses;
	uint32_t response_len; /* of one */
	uint16_t *sum;         /* of each whole piece of STUB_MSS of all */
	uint32_t out_count;
	struct rte_mbuf *out[STUB_OUT_MAX];
};

struct stub_frame {
	struct hf_pkt_eth eth;
	struct hf_pkt_ip4 ip;
	struct hf_pkt_tcp tcp;
	uint8_t opt[40];
} HF_PKT_PACKED;

/* As many responses, one behind the other, as a segment can ask for. */
static int stub_response_new(struct load_stub *stub, uint32_t size)
{
	uint32_t head_len = (uint32_t)snprintf(NULL, 0, STUB_HEAD, size);
	uint64_t all = (uint64_t)(head_len + size) * LOAD_PIPELINE;

	stub->response_len = head_len + size;
	stub->responses = malloc(all + 1);
	stub->sum = calloc(all / STUB_MSS + 1, sizeof(*stub->sum));
	if (!stub->responses || !stub->sum)
		return -ENOMEM;
	for (uint32_t i = 0; i < LOAD_PIPELINE; i++) {
		char *at = stub->responses + (size_t)i * stub->response_len;

		(void)snprintf(at, head_len + 1, STUB_HEAD, size);
		memset(at + head_len, 'x', size);
	}
	for (uint64_t at = 0; at + STUB_MSS <= all; at += STUB_MSS)
		stub->sum[at / STUB_MSS] = hf_pkt_sum(0, stub->responses + at, STUB_MSS);
	return 0;
}

int load_stub_new(const struct load_opts *opts, struct hf_port *port, struct load_stub **ret_stub)
{
	const struct hf_conf_port *conf = &opts->conf.port[0];
	struct load_stub *stub = calloc(1, sizeof(*stub));

	if (!stub)
		return -ENOMEM;
	stub->port = port;
	hf_port_info(port, &stub->info);
	stub->pool = hf_port_mempool(port, 0);
	for (uint32_t i = 0; i < conf->address_count; i++) {
		struct hf_ip ip;

		memcpy(ip.b, conf->address[i].ip, 16);
		if (hf_ip_is4(&ip))
			memcpy(stub->ip[stub->ip_count++], ip.b + 12, 4);
	}
	if (stub_response_new(stub, opts->sizes.bytes[0]) < 0) {
		load_stub_free(stub);
		return -ENOMEM;
	}
	*ret_stub = stub;
	return 0;
}

void load_stub_free(struct load_stub *stub)
{
	if (!stub)
		return;
	free(stub->responses);
	free(stub->sum);
	free(stub);
}

static bool stub_is_ours(const struct load_stub *stub, const uint8_t ip[4])
{
	for (uint32_t i = 0; i < stub->ip_count; i++) {
		if (memcmp(stub->ip[i], ip, 4) == 0)
			return true;
	}
	return false;
}

static void stub_flush(struct load_stub *stub)
{
	if (stub->out_count > 0)
		hf_port_tx(stub->port, 0, stub->out, (uint16_t)stub->out_count);
	stub->out_count = 0;
}

static void stub_put(struct load_stub *stub, struct rte_mbuf *mbuf, uint32_t len)
{
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	stub->out[stub->out_count++] = mbuf;
	if (stub->out_count == STUB_OUT_MAX)
		stub_flush(stub);
}

/* Sends the mbuf back as the reply, or frees it. */
static void stub_arp(struct load_stub *stub, struct rte_mbuf *mbuf)
{
	struct hf_pkt_eth *eth = rte_pktmbuf_mtod(mbuf, struct hf_pkt_eth *);
	struct hf_pkt_arp *arp = (struct hf_pkt_arp *)(eth + 1);
	uint8_t asked[4];

	if (mbuf->data_len < sizeof(*eth) + sizeof(*arp) ||
		arp->op_be != __builtin_bswap16(HF_PKT_ARP_REQUEST) ||
		!stub_is_ours(stub, arp->tpa) || memcmp(arp->spa, arp->tpa, 4) == 0) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	memcpy(asked, arp->tpa, 4);
	memcpy(eth->dst, eth->src, 6);
	memcpy(eth->src, stub->info.mac, 6);
	arp->op_be = __builtin_bswap16(HF_PKT_ARP_REPLY);
	memcpy(arp->tha, arp->sha, 6);
	memcpy(arp->tpa, arp->spa, 4);
	memcpy(arp->sha, stub->info.mac, 6);
	memcpy(arp->spa, asked, 4);
	stub_put(stub, mbuf, sizeof(*eth) + sizeof(*arp));
}

/* Headers of the answer to `in`, checksums last. payload: what stands behind the options, its sum. */
static void stub_headers(const struct load_stub *stub, const struct stub_frame *in,
	struct stub_frame *out, uint32_t opt_len, uint32_t payload_len, uint16_t payload_sum)
{
	uint32_t tcp_len = (uint32_t)sizeof(out->tcp) + opt_len + payload_len;
	uint16_t sum;

	memcpy(out->eth.dst, in->eth.src, 6);
	memcpy(out->eth.src, stub->info.mac, 6);
	out->eth.type_be = __builtin_bswap16(HF_PKT_TYPE_IP4);
	out->ip = (struct hf_pkt_ip4){ .version_ihl = 0x45,
		.len_be = __builtin_bswap16((uint16_t)(sizeof(out->ip) + tcp_len)),
		.frag_be = __builtin_bswap16(HF_PKT_IP4_DF),
		.ttl = 64,
		.proto = HF_PKT_PROTO_TCP };
	memcpy(out->ip.src, in->ip.dst, 4);
	memcpy(out->ip.dst, in->ip.src, 4);
	out->ip.csum = (uint16_t)~hf_pkt_sum(0, &out->ip, sizeof(out->ip));
	out->tcp.sport_be = in->tcp.dport_be;
	out->tcp.dport_be = in->tcp.sport_be;
	out->tcp.off = (uint8_t)((sizeof(out->tcp) + opt_len) / 4 << 4);
	out->tcp.wnd_be = UINT16_MAX;
	out->tcp.csum = out->tcp.urg_be = 0;
	sum = hf_pkt_sum_pseudo4(out->ip.src, out->ip.dst, HF_PKT_PROTO_TCP, (uint16_t)tcp_len);
	sum = hf_pkt_sum(sum, &out->tcp, sizeof(out->tcp) + opt_len);
	out->tcp.csum = (uint16_t)~hf_pkt_sum_add(sum, payload_sum);
}

/* Our clock stands still: the peer only sees that it never goes back. */
static void stub_timestamps(uint8_t *opt, const uint8_t *theirs)
{
	static const uint8_t head[8] = { 1, 1, 8, 10, 0, 0, 0, 1 };

	memcpy(opt, head, sizeof(head));
	memcpy(opt + 8, theirs, 4);
}

/* The value of the timestamps option; NULL: none where hf-load puts it. */
static const uint8_t *stub_their_time(const struct stub_frame *in, uint32_t opt_len, bool syn)
{
	uint32_t head;

	for (uint32_t at = 0; at + STUB_TS_OPT <= opt_len; at += 4) {
		memcpy(&head, in->opt + at, 4);
		if (head == STUB_TS_HEAD)
			return in->opt + at + 4;
		if (!syn)
			break;
	}
	return NULL;
}

static void stub_syn(struct load_stub *stub, struct rte_mbuf *mbuf, const struct stub_frame *in,
	const uint8_t *time)
{
	static const uint8_t opts[8] = { 2, 4, 1460 >> 8, 1460 & 0xff, 1, 3, 3, 7 };
	struct stub_frame *out = rte_pktmbuf_mtod(mbuf, struct stub_frame *);
	uint32_t opt_len = sizeof(opts);

	memcpy(out->opt, opts, sizeof(opts));
	if (time) {
		stub_timestamps(out->opt + opt_len, time);
		opt_len += STUB_TS_OPT;
	}
	out->tcp.ack_be = __builtin_bswap32(__builtin_bswap32(in->tcp.seq_be) + 1);
	out->tcp.seq_be = 0;
	out->tcp.flags = HF_TCP_SYN | HF_TCP_ACK;
	stub_headers(stub, in, out, opt_len, 0, 0);
	stub_put(stub, mbuf, (uint32_t)offsetof(struct stub_frame, opt) + opt_len);
}

/* A segment of the answer, in `mbuf`: `len` bytes from `at` of what is always said. */
static void stub_segment(struct load_stub *stub, struct rte_mbuf *mbuf, const struct stub_frame *in,
	const uint8_t *time, uint64_t at, uint32_t len, uint8_t flags)
{
	struct stub_frame *out = rte_pktmbuf_mtod(mbuf, struct stub_frame *);
	uint32_t opt_len = time ? STUB_TS_OPT : 0;
	uint16_t sum;

	if (time)
		stub_timestamps(out->opt, time);
	out->tcp.seq_be = __builtin_bswap32(__builtin_bswap32(in->tcp.ack_be) + (uint32_t)at);
	out->tcp.ack_be = in->tcp.seq_be; /* as stub_answer has put it */
	out->tcp.flags = flags;
	memcpy(out->opt + opt_len, stub->responses + at, len);
	sum = len == STUB_MSS ? stub->sum[at / STUB_MSS] : hf_pkt_sum(0, stub->responses + at, len);
	stub_headers(stub, in, out, opt_len, len, sum);
	stub_put(stub, mbuf, (uint32_t)offsetof(struct stub_frame, opt) + opt_len + len);
}

static uint32_t stub_count_ends(const char *at, uint32_t len)
{
	const char *found;
	uint32_t count = 0;

	while ((found = memmem(at, len, "\r\n\r\n", 4)) != NULL) {
		len -= (uint32_t)(found + 4 - at);
		at = found + 4;
		count++;
	}
	return count;
}

/* `requests` responses, then FIN if there is one. `in` is a copy of what asked, for its mbuf is the first
 * segment of the answer; its sequence number becomes what is acknowledged. */
static void stub_answer(struct load_stub *stub, struct rte_mbuf *mbuf, struct stub_frame *in,
	const uint8_t *time, uint32_t payload_len, uint32_t requests)
{
	uint64_t all = (uint64_t)requests * stub->response_len, at = 0;
	bool fin = in->tcp.flags & HF_TCP_FIN;

	in->tcp.seq_be = __builtin_bswap32(__builtin_bswap32(in->tcp.seq_be) + payload_len + fin);
	do {
		uint32_t len = (uint32_t)hf_min_u64(STUB_MSS, all - at);
		bool last = at + len == all;

		if (!mbuf)
			mbuf = rte_pktmbuf_alloc(stub->pool);
		if (!mbuf)
			return;
		stub_segment(stub, mbuf, in, time, at, len,
			HF_TCP_ACK | HF_TCP_PSH | (last && fin ? HF_TCP_FIN : 0));
		at += len;
		mbuf = NULL;
	} while (at < all);
}

/* Takes over mbuf. */
static void stub_tcp(struct load_stub *stub, struct rte_mbuf *mbuf)
{
	const struct stub_frame *frame = rte_pktmbuf_mtod(mbuf, const struct stub_frame *);
	uint32_t tcp_len = 0, off = 0, requests = 0;
	const uint8_t *time;
	struct stub_frame in;

	if (mbuf->data_len >= offsetof(struct stub_frame, opt)) {
		tcp_len = __builtin_bswap16(frame->ip.len_be) - (uint32_t)sizeof(frame->ip);
		off = (frame->tcp.off >> 4) * 4u;
	}
	if (mbuf->nb_segs > 1 || frame->ip.version_ihl != 0x45 ||
		frame->ip.proto != HF_PKT_PROTO_TCP || off < sizeof(frame->tcp) || off > tcp_len ||
		tcp_len > mbuf->data_len - offsetof(struct stub_frame, tcp) ||
		!stub_is_ours(stub, frame->ip.dst)) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	memcpy(&in, frame, offsetof(struct stub_frame, tcp) + off);
	time = stub_their_time(
		&in, off - (uint32_t)sizeof(in.tcp), (in.tcp.flags & HF_TCP_SYN) != 0);
	if (in.tcp.flags & HF_TCP_SYN) {
		stub_syn(stub, mbuf, &in, time);
		return;
	}
	if (tcp_len > off)
		requests = hf_min_u32(LOAD_PIPELINE,
			stub_count_ends((const char *)&frame->tcp + off, tcp_len - off));
	if (requests == 0 && !(in.tcp.flags & HF_TCP_FIN)) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	stub_answer(stub, mbuf, &in, time, tcp_len - off, requests);
}

bool load_stub_turn(struct load_stub *stub)
{
	struct rte_mbuf *burst[STUB_BURST];
	uint16_t n;

	hf_port_tx_flush(stub->port, 0);
	n = hf_port_rx(stub->port, 0, burst, STUB_BURST);
	for (uint16_t i = 0; i < n; i++) {
		const struct hf_pkt_eth *eth =
			rte_pktmbuf_mtod(burst[i], const struct hf_pkt_eth *);

		if (burst[i]->data_len < sizeof(*eth))
			rte_pktmbuf_free(burst[i]);
		else if (eth->type_be == __builtin_bswap16(HF_PKT_TYPE_ARP))
			stub_arp(stub, burst[i]);
		else
			stub_tcp(stub, burst[i]);
	}
	stub_flush(stub);
	return n > 0;
}
