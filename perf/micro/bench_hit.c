/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A hit from end to end: bursts of frames with requests in, a worker's turn, frames with answers out. One
 * process, one thread, a ring as the device; the client makes its frames outside of what is measured. A body of
 * many segments is acknowledged turn by turn, over a window of 64 KiB.
 *
 * Told is the median over the turns, in nanoseconds a hit. For instructions, which repeat:
 * perf/micro/hit-instructions.
 */
#include <string.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "bench.h"
#include "hf_arena.h"
#include "hf_net.h"
#include "hf_pkt.h"
#include "hf_port.h"
#include "hf_serve.h"
#include "hf_stat.h"

#define HIT_ISS       1000
#define HIT_PORT      1024 /* of the first client */
#define HIT_FRAME_MAX 1514
#define HIT_HEADERS                                                                                \
	(sizeof(struct hf_pkt_eth) + sizeof(struct hf_pkt_ip4) + sizeof(struct hf_pkt_tcp))
#define HIT_OPT_LEN  12 /* NOP, NOP, timestamps */
#define HIT_CLIENTS  32768
#define HIT_WARM     4    /* rounds of all clients before it counts */
#define HIT_SMALL    1400 /* a body that is there in one turn */
#define HIT_BODY_MAX (16 << 20)
#define HIT_WSCALE   7

struct client {
	uint32_t snd, rcv; /* next sequence numbers */
	uint32_t ts_recent;
	uint32_t due; /* bytes of its answer that are to come; HIT_DUE_HEAD: its head first */
};
#define HIT_DUE_HEAD UINT32_MAX

struct hit {
	uint32_t clients, objects, pipeline, turns, burst, body;
	uint64_t now_us, random;
	struct hf_conf conf;
	struct hf_port *port;
	struct hf_port_info info;
	struct hf_net_shared *shared;
	struct hf_net *net;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_xchg_net *xchgs;
	struct hf_reqlog *reqlog;
	struct hf_tcp *tcp;
	struct hf_serve *serve;
	struct rte_ring *ring;
	struct rte_mempool *pool;
	struct client client[HIT_CLIENTS];
	uint64_t answered; /* bytes */
};

static const uint8_t hit_client_ip[4] = { 192, 0, 2, 1 }, hit_server_ip[4] = { 192, 0, 2, 10 };

/* ---- what is measured: the turn of app/holdfastd/thread_lcore.c ---- */

static inline void hit_turn(struct hit *hit)
{
	const struct hf_tcp_seg *segs;
	const struct hf_tcp_emit *emits;
	uint32_t count;

	(void)hf_net_rx(hit->net, hit->now_us);
	count = hf_net_segs(hit->net, &segs);
	hf_serve_segments(hit->serve, segs, count, hit->now_us);
	hf_net_rx_done(hit->net);
	(void)hf_serve_replies(hit->serve, hit->now_us);
	hf_serve_tick(hit->serve, hit->now_us);
	hf_tcp_flush(hit->tcp, hit->now_us);
	count = hf_tcp_emits(hit->tcp, &emits);
	hf_net_tx(hit->net, emits, count);
	hf_tcp_emits_done(hit->tcp);
	hf_net_flush(hit->net, hit->now_us);
	hf_serve_turn_end(hit->serve);
}

__attribute__((noinline)) static void hit_turn_warm(struct hit *hit)
{
	hit_turn(hit);
}

/* callgrind counts this one. */
__attribute__((noinline)) static void hit_turn_measured(struct hit *hit)
{
	hit_turn(hit);
	__asm__ volatile("" ::: "memory"); /* not the same as the one above */
}

/* ---- the server ---- */

static void hit_conf(struct hit *hit)
{
	static char device[] = "net_ring0", node[] = "bench";
	struct hf_conf *conf = &hit->conf;

	conf->node = node;
	conf->workers = 1;
	conf->port_count = 1;
	conf->port[0].device = device;
	conf->port[0].address_count = 1;
	conf->port[0].address[0].prefix = 24;
	conf->port[0].address[0].ip[10] = conf->port[0].address[0].ip[11] = 0xff;
	memcpy(conf->port[0].address[0].ip + 12, hit_server_ip, 4);
	conf->http.connections_max = 65536;
	conf->http.header_bytes = 16384;
	conf->http.header_count = 100;
	conf->http.uri_bytes = 8192;
	conf->http.header_timeout_ms = 10000;
	conf->http.idle_timeout_ms = 60000;
	conf->http.body_rate = 240;
	conf->origin.exchanges_max = 64;
}

static void hit_devices(struct hit *hit)
{
	struct hf_err err = { "" };
	int rc = hf_port_eal_init(&hit->conf, &err);

	if (rc == 0)
		rc = hf_port_open(&hit->conf, 0, &err, &hit->port);
	if (rc == 0)
		rc = hf_net_shared_new(&hit->conf, &hit->port, 1, &err, &hit->shared);
	if (rc == 0)
		rc = hf_net_new(hit->shared, 0, &err, &hit->net);
	if (rc == 0)
		rc = hf_port_start(hit->port, &err);
	if (rc != 0) {
		fprintf(stderr, "bench_hit: %s\n", err.text);
		exit(1);
	}
	hf_port_info(hit->port, &hit->info);
	hit->ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	hit->pool = hf_port_mempool(hit->port, 0);
	HF_ASSERT(hit->ring && hit->pool);
}

static void hit_store(struct hit *hit, uint32_t i)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
				   "Cache-Control: max-age=86400\r\n"
				   "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				   "Via: 1.1 holdfast\r\n";
	static char body[HIT_BODY_MAX];
	struct hf_shard *shard = hf_cache_shard(hit->cache, 0);
	char key[64];
	uint32_t len = (uint32_t)snprintf(key, sizeof(key), "http://x/hf/%010u", i);
	struct hf_obj_spec spec = { .key = { key, len, hf_cache_hash(hit->cache, key, len) },
		.head = { head, sizeof(head) - 1 },
		.length = hit->body,
		.born_us = (int64_t)hit->now_us,
		.life = { .lifetime_s = 86400 },
		.status = 200 };
	struct hf_obj *obj = hf_shard_obj_new(shard, &spec);

	HF_ASSERT(obj != NULL);
	HF_ASSERT(hf_shard_fill(shard, obj, body, hit->body) == hit->body);
	hf_shard_fill_end(shard, obj);
	hf_shard_publish(shard, obj);
	hf_shard_obj_unref(shard, obj);
}

static void hit_server(struct hit *hit)
{
	struct hf_cache_cfg cache = { .shards = 1, .workers = 1, .leases_max = 4096 };
	struct hf_xchg_cfg xchgs = {
		.workers = 1, .origins = 1, .exchanges_max = 64, .buf_len = 65536
	};
	struct hf_serve_cfg serve = { .conf = &hit->conf, .origins = 1 };
	struct hf_tcp_cfg tcp;
	uint64_t memory = hit->objects * (1024ULL + hit->body) + (64 << 20);

	HF_ASSERT(hf_arena_new(memory, true, NULL, &hit->arena) == 0);
	cache.arena = hit->arena;
	HF_ASSERT(hf_cache_new(&cache, NULL, &hit->cache) == 0);
	for (uint32_t i = 0; i < hit->objects; i++)
		hit_store(hit, i);
	HF_ASSERT(hf_xchg_net_new(&xchgs, NULL, &hit->xchgs) == 0);
	HF_ASSERT(hf_reqlog_new(1, NULL, &hit->reqlog) == 0);
	hf_tcp_cfg_default(&tcp);
	HF_ASSERT(hf_tcp_new(&tcp, hit->now_us, &hit->tcp) == 0);
	HF_ASSERT(hf_tcp_listen(hit->tcp, 80) == 0);
	serve.tcp = hit->tcp;
	serve.cache = hit->cache;
	serve.xchgs = hit->xchgs;
	serve.reqlog = hf_reqlog_ring(hit->reqlog, 0);
	HF_ASSERT(hf_serve_new(&serve, hit->now_us, NULL, &hit->serve) == 0);
}

static void hit_end(struct hit *hit)
{
	hf_tcp_free(hit->tcp);
	hf_serve_free(hit->serve);
	hf_reqlog_free(hit->reqlog);
	hf_xchg_net_free(hit->xchgs);
	hf_cache_free(hit->cache);
	hf_arena_free(hit->arena);
	hf_port_stop(hit->port);
	hf_net_free(hit->net);
	hf_net_shared_free(hit->shared);
	hf_port_close(hit->port);
	hf_port_eal_fini();
}

/* ---- the clients ---- */

/* Options as Linux has them; returns their length. */
static uint32_t client_options(
	const struct hit *hit, const struct client *client, uint8_t flags, uint8_t *ret_opt)
{
	uint32_t now_ms = (uint32_t)(hit->now_us / 1000);
	const uint32_t syn[5] = { __builtin_bswap32(0x020405b4), __builtin_bswap32(0x0402080a),
		__builtin_bswap32(now_ms), 0, __builtin_bswap32(0x01030300 + HIT_WSCALE) };
	const uint32_t alone[3] = { __builtin_bswap32(0x0101080a), __builtin_bswap32(now_ms),
		__builtin_bswap32(client->ts_recent) };

	if (flags & HF_TCP_SYN) {
		memcpy(ret_opt, syn, sizeof(syn));
		return sizeof(syn);
	}
	memcpy(ret_opt, alone, sizeof(alone));
	return sizeof(alone);
}

/* In front of the payload, which is there already. */
static void client_headers(struct hit *hit, const struct client *client, uint8_t flags,
	uint8_t *frame, uint32_t tcp_len, uint32_t opt_len)
{
	struct hf_pkt_eth *eth = (void *)frame;
	struct hf_pkt_ip4 *ip = (void *)(eth + 1);
	struct hf_pkt_tcp *tcp = (void *)(ip + 1);

	memcpy(eth->dst, hit->info.mac, 6);
	memcpy(eth->src, "\x02\x00\x00\x00\x00\x01", 6);
	eth->type_be = __builtin_bswap16(HF_PKT_TYPE_IP4);
	*ip = (struct hf_pkt_ip4){ .version_ihl = 0x45, .ttl = 64, .proto = HF_PKT_PROTO_TCP };
	ip->len_be = __builtin_bswap16((uint16_t)(sizeof(*ip) + tcp_len));
	memcpy(ip->src, hit_client_ip, 4);
	memcpy(ip->dst, hit_server_ip, 4);
	ip->csum = (uint16_t)~hf_pkt_sum(0, ip, sizeof(*ip));
	*tcp = (struct hf_pkt_tcp){ .flags = flags,
		.wnd_be = hit->body > HIT_SMALL ? __builtin_bswap16(65536 >> HIT_WSCALE) : 0xffff };
	tcp->off = (uint8_t)((sizeof(*tcp) + opt_len) / 4 << 4);
	tcp->sport_be = __builtin_bswap16((uint16_t)(HIT_PORT + (client - hit->client)));
	tcp->dport_be = __builtin_bswap16(80);
	tcp->seq_be = __builtin_bswap32(client->snd);
	tcp->ack_be = flags & HF_TCP_ACK ? __builtin_bswap32(client->rcv) : 0;
	tcp->csum = (uint16_t)~hf_pkt_sum(
		hf_pkt_sum_pseudo4(ip->src, ip->dst, ip->proto, (uint16_t)tcp_len), tcp, tcp_len);
}

static void client_send(
	struct hit *hit, struct client *client, uint8_t flags, const char *payload, uint32_t len)
{
	uint8_t opt[HF_TCP_OPT_MAX];
	uint32_t opt_len = client_options(hit, client, flags, opt);
	uint32_t frame_len = (uint32_t)HIT_HEADERS + opt_len + len;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(hit->pool);
	uint8_t *frame;

	HF_ASSERT(mbuf && frame_len <= HIT_FRAME_MAX);
	frame = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)frame_len);
	HF_ASSERT(frame != NULL);
	memcpy(frame + HIT_HEADERS, opt, opt_len);
	memcpy(frame + HIT_HEADERS + opt_len, payload, len);
	client_headers(hit, client, flags, frame,
		(uint32_t)sizeof(struct hf_pkt_tcp) + opt_len + len, opt_len);
	client->snd += len + !!(flags & HF_TCP_SYN);
	HF_ASSERT(rte_ring_enqueue(hit->ring, mbuf) == 0);
}

static void client_ask(struct hit *hit, struct client *client)
{
	char text[HIT_FRAME_MAX];
	uint32_t len = 0;

	for (uint32_t i = 0; i < hit->pipeline; i++)
		len += (uint32_t)snprintf(text + len, sizeof(text) - len,
			"GET /hf/%010u HTTP/1.1\r\nHost: x\r\nUser-Agent: bench\r\n\r\n",
			bench_random(&hit->random, hit->objects));
	client_send(hit, client, HF_TCP_ACK | HF_TCP_PSH, text, len);
	client->due = hit->body > HIT_SMALL ? HIT_DUE_HEAD : 0;
}

/* Of a body that takes turns. */
static void client_count(struct hit *hit, struct client *client, const char *data, uint32_t len)
{
	const char *body;

	if (client->due == HIT_DUE_HEAD) {
		body = memmem(data, len, "\r\n\r\n", 4);
		HF_ASSERT(body != NULL);
		client->due = (uint32_t)(body + 4 - data) + hit->body;
	}
	HF_ASSERT(len <= client->due);
	client->due -= len;
}

/* What the server sent, in order: the client's place moves on. */
static void client_take(struct hit *hit, struct rte_mbuf *mbuf)
{
	const struct hf_pkt_ip4 *ip =
		rte_pktmbuf_mtod_offset(mbuf, void *, sizeof(struct hf_pkt_eth));
	const struct hf_pkt_tcp *tcp = (const void *)(ip + 1);
	uint32_t port = __builtin_bswap16(tcp->dport_be), ts;
	struct client *client = &hit->client[port - HIT_PORT];
	uint32_t header_len = (uint32_t)sizeof(*ip) + (tcp->off >> 4) * 4u;
	uint32_t len = __builtin_bswap16(ip->len_be) - header_len;

	if (ip->proto != HF_PKT_PROTO_TCP) /* it announces itself */
		return;
	HF_ASSERT(port >= HIT_PORT && port - HIT_PORT < hit->clients);
	HF_ASSERT(!(tcp->flags & (HF_TCP_RST | HF_TCP_FIN)));
	if (tcp->flags & HF_TCP_SYN) {
		client->rcv = __builtin_bswap32(tcp->seq_be) + 1;
		memcpy(&ts, (const uint8_t *)(tcp + 1) + 8, 4); /* MSS, SACK, TS */
	} else {
		HF_ASSERT(client->rcv == __builtin_bswap32(tcp->seq_be));
		client->rcv += len;
		hit->answered += len;
		if (hit->body > HIT_SMALL && len > 0)
			client_count(hit, client, (const char *)ip + header_len, len);
		memcpy(&ts, (const uint8_t *)(tcp + 1) + 4, 4);
	}
	client->ts_recent = __builtin_bswap32(ts);
}

static void clients_take(struct hit *hit)
{
	struct rte_mbuf *mbuf;

	while (rte_ring_dequeue(hit->ring, (void **)&mbuf) == 0) {
		client_take(hit, mbuf);
		rte_pktmbuf_free(mbuf);
	}
}

static void clients_open(struct hit *hit)
{
	for (uint32_t i = 0; i < hit->clients; i++) {
		struct client *client = &hit->client[i];

		client->snd = HIT_ISS;
		client_send(hit, client, HF_TCP_SYN, "", 0);
		hit_turn_warm(hit);
		clients_take(hit);
		HF_ASSERT(client->rcv != 0); /* a SYN-ACK came */
		client_send(hit, client, HF_TCP_ACK, "", 0);
		hit_turn_warm(hit);
		clients_take(hit);
	}
}

/* Frames in, frames out; ns. */
static double hit_timed(struct hit *hit, void (*run)(struct hit *hit))
{
	struct timespec begin, end;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &begin) == 0);
	run(hit);
	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
	clients_take(hit);
	hit->now_us += 20;
	return (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
}

/* A burst of requests of the clients whose turn it is, and the answers. */
static double hit_burst(struct hit *hit, uint32_t turn, void (*run)(struct hit *hit))
{
	struct client *first = &hit->client[turn * hit->burst % hit->clients];
	double ns = 0;
	bool due;

	for (uint32_t i = 0; i < hit->burst; i++)
		client_ask(hit, &first[i]);
	do {
		ns += hit_timed(hit, run);
		due = false;
		for (uint32_t i = 0; i < hit->burst; i++) {
			if (first[i].due == 0)
				continue;
			due = true;
			client_send(hit, &first[i], HF_TCP_ACK, "", 0);
		}
	} while (due);
	return ns;
}

static void hit_measure(struct hit *hit)
{
	uint32_t warm = HIT_WARM * (hit->clients / hit->burst + 1),
		 hits = hit->burst * hit->pipeline;
	double *ns = calloc(hit->turns, sizeof(*ns));

	HF_ASSERT(ns != NULL);
	for (uint32_t i = 0; i < warm; i++)
		(void)hit_burst(hit, i, hit_turn_warm);
	for (uint32_t i = 0; i < hit->turns; i++)
		ns[i] = hit_burst(hit, warm + i, hit_turn_measured) / hits;
	HF_ASSERT(hf_stat_sum(HF_STAT_CACHE_HITS) == (uint64_t)(warm + hit->turns) * hits);
	qsort(ns, hit->turns, sizeof(*ns), bench_by_value);
	printf("hits %llu, bytes of an answer %llu, ns a hit: median %.0f, lowest tenth %.0f\n",
		(unsigned long long)hit->turns * hits,
		(unsigned long long)hit->answered / ((warm + hit->turns) * hits),
		ns[hit->turns / 2], ns[hit->turns / 10]);
	free(ns);
}

int main(int argc, char **argv)
{
	static struct hit hit = { .clients = 256,
		.objects = 100000,
		.pipeline = 1,
		.turns = 10000,
		.burst = 32,
		.body = 64,
		.now_us = 1000000000,
		.random = 1 };
	const struct bench_option options[] = { { "clients", &hit.clients, 1, HIT_CLIENTS },
		{ "objects", &hit.objects, 1, 16000000 }, { "pipeline", &hit.pipeline, 1, 20 },
		{ "turns", &hit.turns, 1, 10000000 }, { "burst", &hit.burst, 1, HF_NET_BURST },
		{ "body", &hit.body, 1, HIT_BODY_MAX } };

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	hit.burst = hf_min_u32(hit.burst, hit.clients);
	hit.clients -= hit.clients % hit.burst;
	HF_ASSERT(hf_stat_register("bench") != NULL);
	hit_conf(&hit);
	hit_devices(&hit);
	hit_server(&hit);
	clients_open(&hit);
	hit_measure(&hit);
	hit_end(&hit);
	return 0;
}
