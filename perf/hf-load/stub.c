/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The other end, as fast as it can be: no connection, no table. A segment tells by itself what it wants:
 *
 *      ARP request      its reply               SYN    SYN-ACK, its options as hf-load's own TCP has them
 *      n heads' ends    n responses: seq is     FIN    FIN and ACK
 *                       the segment's ack       else   nothing
 *
 * A request that comes again gets the same answer again; what of an answer is lost stays lost. Whole segments
 * of the first STUB_MADE_MAX are frames that lie ready: only their headers are written anew. One that the
 * device still has (it is referred to twice) is made once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "load.h"

#define STUB_OUT_MAX  64   /* of these the other end has the first while the next are made */
#define STUB_MADE_MAX 1024 /* what a memif's ring holds */
#define STUB_ROOM     (RTE_PKTMBUF_HEADROOM + 2048)
#define STUB_HEAD     "HTTP/1.1 200 OK\r\nContent-Length: %u\r\nCache-Status: stub; hit\r\n\r\n"

struct load_stub {
	struct hf_port *port;
	struct hf_port_info info;
	struct rte_mempool *pool;
	uint8_t ip[HF_CONF_ADDRESSES_MAX][4];
	uint32_t ip_count;
	char *responses;
	uint32_t response_len;            /* of one */
	uint16_t *sum;                    /* of each whole piece of FRAME_MSS of all */
	uint16_t rest[LOAD_PIPELINE + 1]; /* of the last piece of so many responses */
	struct rte_mempool *made_pool;
	struct rte_mbuf **made; /* whole segments with timestamps, from the first on */
	uint32_t request_len;   /* of the requests that came last */
	uint32_t made_count;
	uint32_t out_count;
	struct rte_mbuf *out[STUB_OUT_MAX];
};

/* As many responses, one behind the other, as a segment can ask for. */
static int stub_response_new(struct load_stub *stub, uint32_t size)
{
	uint32_t head_len = (uint32_t)snprintf(NULL, 0, STUB_HEAD, size);
	uint64_t all = (uint64_t)(head_len + size) * LOAD_PIPELINE;

	stub->response_len = head_len + size;
	stub->responses = malloc(all + 1);
	stub->sum = calloc(all / FRAME_MSS + 1, sizeof(*stub->sum));
	if (!stub->responses || !stub->sum)
		return -ENOMEM;
	for (uint32_t i = 0; i < LOAD_PIPELINE; i++) {
		char *at = stub->responses + (size_t)i * stub->response_len;

		(void)snprintf(at, head_len + 1, STUB_HEAD, size);
		memset(at + head_len, 'x', size);
	}
	for (uint64_t at = 0; at + FRAME_MSS <= all; at += FRAME_MSS)
		stub->sum[at / FRAME_MSS] = hf_pkt_sum(0, stub->responses + at, FRAME_MSS);
	for (uint32_t n = 1; n <= LOAD_PIPELINE; n++) {
		uint64_t len = (uint64_t)n * stub->response_len, rest = len % FRAME_MSS;

		stub->rest[n] = hf_pkt_sum(0, stub->responses + len - rest, rest);
	}
	return 0;
}

/* Of our own pool: no other frame waits for one of those. */
static int stub_made_new(struct load_stub *stub)
{
	uint64_t whole = (uint64_t)stub->response_len * LOAD_PIPELINE / FRAME_MSS;
	uint32_t count = (uint32_t)hf_min_u64(whole, STUB_MADE_MAX);

	if (count == 0)
		return 0;
	stub->made_pool =
		rte_pktmbuf_pool_create("stub_made", count, 0, 0, STUB_ROOM, SOCKET_ID_ANY);
	stub->made = calloc(count, sizeof(struct rte_mbuf *));
	if (!stub->made_pool || !stub->made ||
		rte_pktmbuf_alloc_bulk(stub->made_pool, stub->made, count) < 0)
		return -ENOMEM;
	stub->made_count = count;
	for (uint32_t i = 0; i < count; i++)
		memcpy(rte_pktmbuf_mtod_offset(stub->made[i], char *, FRAME_HEAD + FRAME_TS_LEN),
			stub->responses + (size_t)i * FRAME_MSS, FRAME_MSS);
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
	if (stub_response_new(stub, opts->sizes.bytes[0]) < 0 || stub_made_new(stub) < 0) {
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
	rte_pktmbuf_free_bulk(stub->made, stub->made_count);
	/* Else the device has one yet: the pool ends with EAL. */
	if (stub->made_pool && rte_mempool_full(stub->made_pool))
		rte_mempool_free(stub->made_pool);
	free(stub->made);
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
	const uint8_t *asked = frame_arp_asked(mbuf);

	if (!asked || !stub_is_ours(stub, asked)) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	frame_arp_reply(mbuf, stub->info.mac, mbuf);
	stub_put(stub, mbuf, mbuf->data_len);
}

/* Headers of the answer to `in`, but for lengths and checksums. */
static void stub_headers(const struct load_stub *stub, const struct frame *in, struct frame *out)
{
	memcpy(out->eth.dst, in->eth.src, 6);
	memcpy(out->eth.src, stub->info.mac, 6);
	out->eth.type_be = __builtin_bswap16(HF_PKT_TYPE_IP4);
	out->ip = (struct hf_pkt_ip4){ .version_ihl = 0x45,
		.frag_be = __builtin_bswap16(HF_PKT_IP4_DF),
		.ttl = 64,
		.proto = HF_PKT_PROTO_TCP };
	memcpy(out->ip.src, in->ip.dst, 4);
	memcpy(out->ip.dst, in->ip.src, 4);
	out->tcp.sport_be = in->tcp.dport_be;
	out->tcp.dport_be = in->tcp.sport_be;
	out->tcp.wnd_be = UINT16_MAX;
	out->tcp.urg_be = 0;
}

/* Our clock stands still: the peer only sees that it never goes back. */
static void stub_timestamps(uint8_t *opt, const uint8_t *theirs)
{
	frame_time_put(opt, 1, frame_be32(theirs));
}

static void stub_syn(
	struct load_stub *stub, struct rte_mbuf *mbuf, const struct frame *in, const uint8_t *time)
{
	static const uint8_t opts[8] = { 2, 4, 1460 >> 8, 1460 & 0xff, 1, 3, 3, 7 };
	struct frame *out = rte_pktmbuf_mtod(mbuf, struct frame *);
	uint32_t opt_len = sizeof(opts);

	memcpy(out->opt, opts, sizeof(opts));
	if (time) {
		stub_timestamps(out->opt + opt_len, time);
		opt_len += FRAME_TS_LEN;
	}
	out->tcp.ack_be = __builtin_bswap32(__builtin_bswap32(in->tcp.seq_be) + 1);
	out->tcp.seq_be = 0;
	out->tcp.flags = HF_TCP_SYN | HF_TCP_ACK;
	stub_headers(stub, in, out);
	frame_finish(out, opt_len, 0, 0);
	stub_put(stub, mbuf, (uint32_t)offsetof(struct frame, opt) + opt_len);
}

/* The headers of an answer's segments: whole ones differ by sequence number and checksum. */
static void stub_head(const struct load_stub *stub, const struct frame *in, const uint8_t *time,
	struct frame *ret_head)
{
	if (time)
		stub_timestamps(ret_head->opt, time);
	ret_head->tcp.seq_be = 0;
	ret_head->tcp.ack_be = in->tcp.seq_be; /* as stub_answer has put it */
	ret_head->tcp.flags = HF_TCP_ACK | HF_TCP_PSH;
	stub_headers(stub, in, ret_head);
}

/* The frame of the whole segment that begins AT, if it lies ready. */
static struct rte_mbuf *stub_made(const struct load_stub *stub, const uint8_t *time, uint64_t at)
{
	uint64_t i = at / FRAME_MSS;

	if (!time || i >= stub->made_count || rte_mbuf_refcnt_read(stub->made[i]) > 1)
		return NULL;
	rte_mbuf_refcnt_set(stub->made[i], 2);
	return stub->made[i];
}

/* A segment, into `mbuf` whose payload is there. */
static void stub_segment(struct load_stub *stub, struct rte_mbuf *mbuf, const struct frame *head,
	uint32_t opt_len, uint32_t seq, uint32_t len, uint16_t sum, uint8_t flags)
{
	struct frame *out = rte_pktmbuf_mtod(mbuf, struct frame *);

	memcpy(out, head, FRAME_HEAD + opt_len);
	out->tcp.seq_be = __builtin_bswap32(seq);
	if (len == FRAME_MSS && flags == head->tcp.flags) {
		sum = hf_pkt_sum_add(sum, hf_pkt_sum_fold(out->tcp.seq_be));
		out->tcp.csum = (uint16_t)~hf_pkt_sum_add((uint16_t)~head->tcp.csum, sum);
	} else {
		out->tcp.flags = flags;
		frame_finish(out, opt_len, len, sum);
	}
	stub_put(stub, mbuf, (uint32_t)FRAME_HEAD + opt_len + len);
}

/* Requests of one length, as hf-load's are. */
static bool stub_are_alike(const char *at, uint32_t len, uint32_t request_len)
{
	uint32_t end = request_len;

	if (request_len == 0)
		return false;
	for (; end <= len; end += request_len) {
		if (memcmp(at + end - 4, "\r\n\r\n", 4) != 0)
			return false;
	}
	return end - request_len == len;
}

static uint32_t stub_count_ends(struct load_stub *stub, const char *at, uint32_t len)
{
	const char *found, *first = at;
	uint32_t count = 0;

	if (stub_are_alike(at, len, stub->request_len))
		return len / stub->request_len;
	while ((found = memmem(at, len, "\r\n\r\n", 4)) != NULL) {
		len -= (uint32_t)(found + 4 - at);
		at = found + 4;
		count++;
		stub->request_len = count == 1 ? (uint32_t)(at - first) : stub->request_len;
	}
	return count;
}

/* A frame with LEN bytes from AT of what is always said, its headers to come; `mbuf` if there is one. */
static struct rte_mbuf *stub_fill(struct load_stub *stub, struct rte_mbuf *mbuf,
	const uint8_t *time, uint64_t at, uint32_t len)
{
	uint32_t opt_len = time ? FRAME_TS_LEN : 0;

	if (!mbuf)
		mbuf = rte_pktmbuf_alloc(stub->pool);
	if (mbuf)
		memcpy(rte_pktmbuf_mtod_offset(mbuf, char *, FRAME_HEAD + opt_len),
			stub->responses + at, len);
	return mbuf;
}

/* An answer in one segment, or a FIN alone. */
static void stub_short(struct load_stub *stub, struct rte_mbuf *mbuf, const struct frame *in,
	const uint8_t *time, uint32_t len, uint16_t sum)
{
	struct frame *out = rte_pktmbuf_mtod(mbuf, struct frame *);
	uint32_t opt_len = time ? FRAME_TS_LEN : 0;

	(void)stub_fill(stub, mbuf, time, /* at= */ 0, len);
	stub_head(stub, in, time, out);
	out->tcp.seq_be = in->tcp.ack_be;
	out->tcp.flags |= in->tcp.flags & HF_TCP_FIN;
	frame_finish(out, opt_len, len, sum);
	stub_put(stub, mbuf, (uint32_t)FRAME_HEAD + opt_len + len);
}

/* `requests` responses, then FIN if there is one. `in` is a copy of what asked, for its mbuf is a segment of
 * the answer; its sequence number becomes what is acknowledged. */
static void stub_answer(struct load_stub *stub, struct rte_mbuf *mbuf, struct frame *in,
	const uint8_t *time, uint32_t payload_len, uint32_t requests)
{
	uint64_t all = (uint64_t)requests * stub->response_len, at = 0;
	uint32_t seq = __builtin_bswap32(in->tcp.ack_be);
	bool fin = in->tcp.flags & HF_TCP_FIN;
	struct frame head;

	in->tcp.seq_be = __builtin_bswap32(__builtin_bswap32(in->tcp.seq_be) + payload_len + fin);
	if (all < FRAME_MSS) {
		stub_short(stub, mbuf, in, time, (uint32_t)all, stub->rest[requests]);
		return;
	}
	stub_head(stub, in, time, &head);
	frame_finish(&head, time ? FRAME_TS_LEN : 0, FRAME_MSS, 0);
	do {
		uint32_t len = (uint32_t)hf_min_u64(FRAME_MSS, all - at);
		bool last = at + len == all;
		struct rte_mbuf *out = len == FRAME_MSS ? stub_made(stub, time, at) : NULL;

		if (!out) {
			out = stub_fill(stub, mbuf, time, at, len);
			mbuf = NULL;
		}
		if (!out)
			break;
		stub_segment(stub, out, &head, time ? FRAME_TS_LEN : 0, seq + (uint32_t)at, len,
			len == FRAME_MSS ? stub->sum[at / FRAME_MSS] : stub->rest[requests],
			head.tcp.flags | (last && fin ? HF_TCP_FIN : 0));
		at += len;
	} while (at < all);
	rte_pktmbuf_free(mbuf);
}

/* Takes over mbuf. */
static void stub_tcp(struct load_stub *stub, struct rte_mbuf *mbuf)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	uint32_t tcp_len, off = frame_tcp_off(mbuf, &tcp_len), requests = 0;
	const uint8_t *time;
	struct frame in;

	if (off == 0 || mbuf->nb_segs > 1 || !stub_is_ours(stub, frame->ip.dst)) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	memcpy(&in, frame, offsetof(struct frame, tcp) + off);
	time = frame_time(in.opt, off - (uint32_t)sizeof(in.tcp));
	if (in.tcp.flags & HF_TCP_SYN) {
		stub_syn(stub, mbuf, &in, time);
		return;
	}
	if (tcp_len > off)
		requests = hf_min_u32(LOAD_PIPELINE,
			stub_count_ends(stub, (const char *)&frame->tcp + off, tcp_len - off));
	if (requests == 0 && !(in.tcp.flags & HF_TCP_FIN)) {
		rte_pktmbuf_free(mbuf);
		return;
	}
	stub_answer(stub, mbuf, &in, time, tcp_len - off, requests);
}

bool load_stub_turn(struct load_stub *stub)
{
	struct rte_mbuf *burst[LOAD_BURST];
	uint16_t n;

	hf_port_tx_flush(stub->port, 0);
	n = hf_port_rx(stub->port, 0, burst, LOAD_BURST);
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
