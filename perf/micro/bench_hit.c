/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A hit from end to end: bursts of frames with requests in, a worker's turn, frames with answers out. One
 * process, each worker a thread with a ring as its device; the client makes its frames outside of what is
 * measured. A body of many segments is acknowledged turn by turn, over a window of 64 KiB.
 *
 * Several workers have what they have in holdfastd: one cache, the rest each for itself; clients take ports whose
 * flows are their worker's. With --apart 1 each has a cache of its own too, so that nothing but the machine is
 * shared: what lies between the two is what sharing costs.
 *
 * Told is the median over the turns, in nanoseconds a hit. For instructions, which repeat:
 * perf/micro/hit-instructions.
 */
#include <stdatomic.h>
#include <string.h>

#include <rte_launch.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "bench.h"
#include "hf_arena.h"
#include "hf_net.h"
#include "hf_par.h"
#include "hf_pkt.h"
#include "hf_port.h"
#include "hf_serve.h"
#include "hf_stat.h"
#include "net_priv.h" /* which worker has a flow */

#define HIT_ISS       1000
#define HIT_PORT      1024 /* of clients, from here on */
#define HIT_FRAME_MAX 1514
#define HIT_HEADERS                                                                                \
	(sizeof(struct hf_pkt_eth) + sizeof(struct hf_pkt_ip4) + sizeof(struct hf_pkt_tcp))
#define HIT_OPT_LEN  12 /* NOP, NOP, timestamps */
#define HIT_CLIENTS  32768
#define HIT_WORKERS  8
#define HIT_WARM     4    /* rounds of all clients before it counts */
#define HIT_SMALL    1400 /* a body that is there in one turn */
#define HIT_BODY_MAX (16 << 20)
#define HIT_WSCALE   7

struct client {
	uint32_t snd, rcv; /* next sequence numbers */
	uint32_t ts_recent;
	uint32_t due; /* bytes of its answer that are to come; HIT_DUE_HEAD: its head first */
	uint16_t port;
};
#define HIT_DUE_HEAD UINT32_MAX

/* What workers share. */
struct hit_store {
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_xchg_net *xchgs;
	struct hf_reqlog *reqlog;
};

struct hit_opts {
	uint32_t clients, objects, pipeline, turns, burst, body, workers, apart;
};

/* A worker and its clients. */
struct hit {
	const struct hit_opts *opts;
	uint32_t worker;
	uint64_t now_us, random;
	struct hf_port *port;
	struct hf_port_info info;
	struct hf_net *net;
	struct hit_store *store;
	struct hf_tcp *tcp;
	struct hf_serve *serve;
	struct rte_ring *ring;
	struct rte_mempool *pool;
	struct client client[HIT_CLIENTS];
	uint16_t by_port[UINT16_MAX + 1];
	uint64_t answered; /* bytes, of all hits */
	uint64_t hits;
	double *ns; /* a hit, of each turn that counts */
	double misses[BENCH_MISSES];
} HF_ALIGNED(HF_CACHE_LINE);

static struct hf_conf hit_conf;
static struct hf_net_shared *hit_shared;
static _Atomic uint32_t hit_ready, hit_done; /* workers that came so far */

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
	hf_rcu_quiescent();
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

static void hit_configure(uint32_t workers)
{
	static char device[HIT_WORKERS][16], node[] = "bench";
	struct hf_conf *conf = &hit_conf;

	conf->node = node;
	conf->workers = workers;
	conf->port_count = workers;
	for (uint32_t i = 0; i < workers; i++) {
		struct hf_conf_port *port = &conf->port[i];

		(void)snprintf(device[i], sizeof(device[i]), "net_ring%u", i);
		port->device = device[i];
		port->address_count = 1;
		port->address[0].prefix = 24;
		port->address[0].ip[10] = port->address[0].ip[11] = 0xff;
		memcpy(port->address[0].ip + 12, hit_server_ip, 4);
	}
	conf->http.connections_max = 65536;
	conf->http.header_bytes = 16384;
	conf->http.header_count = 100;
	conf->http.uri_bytes = 8192;
	conf->http.header_timeout_ms = 10000;
	conf->http.idle_timeout_ms = 60000;
	conf->http.body_rate = 240;
	conf->origin.exchanges_max = 64;
}

/* Worker i polls port i alone. */
static void hit_devices(struct hit *hits, uint32_t workers)
{
	struct hf_port *ports[HIT_WORKERS];
	struct hf_err err = { "" };
	int rc = hf_port_eal_init(&hit_conf, &err);

	for (uint32_t i = 0; i < workers && rc == 0; i++) {
		rc = hf_port_open(&hit_conf, i, &err, &hits[i].port);
		ports[i] = hits[i].port;
	}
	if (rc == 0)
		rc = hf_net_shared_new(&hit_conf, ports, workers, &err, &hit_shared);
	for (uint32_t i = 0; i < workers && rc == 0; i++) {
		rc = hf_net_new(hit_shared, i, &err, &hits[i].net);
		if (rc == 0)
			rc = hf_port_start(ports[i], &err);
	}
	if (rc != 0) {
		fprintf(stderr, "bench_hit: %s\n", err.text);
		exit(1);
	}
	for (uint32_t i = 0; i < workers; i++) {
		char ring[RTE_RING_NAMESIZE];

		(void)snprintf(ring, sizeof(ring), "ETH_RXTX0_net_ring%u", i);
		hits[i].ring = rte_ring_lookup(ring);
		hf_port_info(ports[i], &hits[i].info);
		hits[i].pool = hf_port_mempool(ports[i], i);
		HF_ASSERT(hits[i].ring && hits[i].pool);
	}
}

static void store_fill(
	const struct hit_store *store, uint32_t i, uint32_t body_len, uint64_t now_us)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
				   "Cache-Control: max-age=86400\r\n"
				   "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				   "Via: 1.1 holdfast\r\n";
	static char body[HIT_BODY_MAX];
	struct hf_shard *shard = hf_cache_shard(store->cache, 0);
	char key[64];
	uint32_t len = (uint32_t)snprintf(key, sizeof(key), "http://x/hf/%010u", i);
	struct hf_obj_spec spec = { .key = { key, len, hf_cache_hash(store->cache, key, len) },
		.head = { head, sizeof(head) - 1 },
		.length = body_len,
		.born_us = (int64_t)now_us,
		.life = { .lifetime_s = 86400 },
		.status = 200 };
	struct hf_obj *obj = hf_shard_obj_new(shard, &spec);

	HF_ASSERT(obj != NULL);
	HF_ASSERT(hf_shard_fill(shard, obj, body, body_len) == body_len);
	hf_shard_fill_end(shard, obj);
	hf_shard_publish(shard, obj);
	hf_shard_obj_unref(shard, obj);
}

static void store_new(struct hit_store *store, const struct hit_opts *opts, uint64_t now_us)
{
	struct hf_cache_cfg cache = { .shards = 1, .workers = opts->workers, .leases_max = 4096 };
	struct hf_xchg_cfg xchgs = {
		.workers = opts->workers, .origins = 1, .exchanges_max = 64, .buf_len = 65536
	};
	uint64_t memory = opts->objects * (1024ULL + opts->body) + (64 << 20);

	HF_ASSERT(hf_arena_new(memory, true, NULL, &store->arena) == 0);
	cache.arena = store->arena;
	HF_ASSERT(hf_cache_new(&cache, NULL, &store->cache) == 0);
	for (uint32_t i = 0; i < opts->objects; i++)
		store_fill(store, i, opts->body, now_us);
	HF_ASSERT(hf_xchg_net_new(&xchgs, NULL, &store->xchgs) == 0);
	HF_ASSERT(hf_reqlog_new(opts->workers, NULL, &store->reqlog) == 0);
}

static void store_free(struct hit_store *store)
{
	hf_reqlog_free(store->reqlog);
	hf_xchg_net_free(store->xchgs);
	hf_cache_free(store->cache);
	hf_arena_free(store->arena);
}

static void hit_server(struct hit *hit)
{
	struct hf_serve_cfg serve = { .conf = &hit_conf,
		.worker = hit->worker,
		.origins = 1,
		.cache = hit->store->cache,
		.xchgs = hit->store->xchgs,
		.reqlog = hf_reqlog_ring(hit->store->reqlog, hit->worker) };
	struct hf_tcp_cfg tcp;

	hf_tcp_cfg_default(&tcp);
	HF_ASSERT(hf_tcp_new(&tcp, hit->now_us, &hit->tcp) == 0);
	HF_ASSERT(hf_tcp_listen(hit->tcp, 80) == 0);
	serve.tcp = hit->tcp;
	HF_ASSERT(hf_serve_new(&serve, hit->now_us, NULL, &hit->serve) == 0);
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
		.wnd_be = hit->opts->body > HIT_SMALL ? __builtin_bswap16(65536 >> HIT_WSCALE)
						      : 0xffff };
	tcp->off = (uint8_t)((sizeof(*tcp) + opt_len) / 4 << 4);
	tcp->sport_be = __builtin_bswap16(client->port);
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

	for (uint32_t i = 0; i < hit->opts->pipeline; i++)
		len += (uint32_t)snprintf(text + len, sizeof(text) - len,
			"GET /hf/%010u HTTP/1.1\r\nHost: x\r\nUser-Agent: bench\r\n\r\n",
			bench_random(&hit->random, hit->opts->objects));
	client_send(hit, client, HF_TCP_ACK | HF_TCP_PSH, text, len);
	client->due = hit->opts->body > HIT_SMALL ? HIT_DUE_HEAD : 0;
}

/* Of a body that takes turns. */
static void client_count(struct hit *hit, struct client *client, const char *data, uint32_t len)
{
	const char *body;

	if (client->due == HIT_DUE_HEAD) {
		body = memmem(data, len, "\r\n\r\n", 4);
		HF_ASSERT(body != NULL);
		client->due = (uint32_t)(body + 4 - data) + hit->opts->body;
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
	struct client *client = &hit->client[hit->by_port[port]];
	uint32_t header_len = (uint32_t)sizeof(*ip) + (tcp->off >> 4) * 4u;
	uint32_t len = __builtin_bswap16(ip->len_be) - header_len;

	if (ip->proto != HF_PKT_PROTO_TCP) /* it announces itself */
		return;
	HF_ASSERT(client->port == port);
	HF_ASSERT(!(tcp->flags & (HF_TCP_RST | HF_TCP_FIN)));
	if (tcp->flags & HF_TCP_SYN) {
		client->rcv = __builtin_bswap32(tcp->seq_be) + 1;
		memcpy(&ts, (const uint8_t *)(tcp + 1) + 8, 4); /* MSS, SACK, TS */
	} else {
		HF_ASSERT(client->rcv == __builtin_bswap32(tcp->seq_be));
		client->rcv += len;
		hit->answered += len;
		if (hit->opts->body > HIT_SMALL && len > 0)
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

/* The next port whose flow is this worker's. */
static uint16_t client_port(const struct hit *hit, uint32_t from)
{
	const struct hf_ip peer = net_ip_from4(hit_client_ip), local = net_ip_from4(hit_server_ip);

	for (uint32_t port = from; port <= UINT16_MAX; port++) {
		if (net_spread_worker(hit_shared, &peer, &local, __builtin_bswap16((uint16_t)port),
			    __builtin_bswap16(80)) == hit->worker)
			return (uint16_t)port;
	}
	fprintf(stderr, "bench_hit: no ports for so many clients of %u workers\n",
		hit->opts->workers);
	exit(2);
}

static void clients_open(struct hit *hit)
{
	uint16_t port = HIT_PORT - 1;

	for (uint32_t i = 0; i < hit->opts->clients; i++) {
		struct client *client = &hit->client[i];

		client->snd = HIT_ISS;
		client->port = port = client_port(hit, port + 1u);
		hit->by_port[port] = (uint16_t)i;
		client_send(hit, client, HF_TCP_SYN, "", 0);
		hit_turn_warm(hit);
		clients_take(hit);
		HF_ASSERT(client->rcv != 0); /* a SYN-ACK came */
		client_send(hit, client, HF_TCP_ACK, "", 0);
		hit_turn_warm(hit);
		clients_take(hit);
	}
}

/* ---- a run ---- */

/* Frames in, frames out; ns. */
static double hit_timed(struct hit *hit, void (*run)(struct hit *hit))
{
	struct timespec begin, end;

	bench_misses_begin();
	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &begin) == 0);
	run(hit);
	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
	bench_misses_end();
	clients_take(hit);
	hit->now_us += 20;
	return (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
}

/* A burst of requests of the clients whose turn it is, and the answers. */
static double hit_burst(struct hit *hit, uint32_t turn, void (*run)(struct hit *hit))
{
	uint32_t burst = hit->opts->burst;
	struct client *first = &hit->client[turn * burst % hit->opts->clients];
	double ns = 0;
	bool due;

	for (uint32_t i = 0; i < burst; i++)
		client_ask(hit, &first[i]);
	do {
		ns += hit_timed(hit, run);
		due = false;
		for (uint32_t i = 0; i < burst; i++) {
			if (first[i].due == 0)
				continue;
			due = true;
			client_send(hit, &first[i], HF_TCP_ACK, "", 0);
		}
	} while (due);
	hit->hits += (uint64_t)burst * hit->opts->pipeline;
	return ns;
}

/* The body of a worker's thread. It goes on until all others have measured, too. */
static int hit_main(void *arg)
{
	struct hit *hit = arg;
	const struct hit_opts *opts = hit->opts;
	uint32_t warm = HIT_WARM * (opts->clients / opts->burst + 1), turn = 0;
	double hits = opts->burst * opts->pipeline;

	HF_ASSERT(hf_stat_register("worker") != NULL);
	hf_rcu_register();
	bench_misses_open();
	while (turn < warm)
		(void)hit_burst(hit, turn++, hit_turn_warm);
	hit_ready++;
	while (hit_ready < opts->workers)
		(void)hit_burst(hit, turn++, hit_turn_warm);
	bench_misses_reset();
	for (uint32_t i = 0; i < opts->turns; i++)
		hit->ns[i] = hit_burst(hit, turn++, hit_turn_measured) / hits;
	bench_misses_read(hit->misses);
	hit_done++;
	while (hit_done < opts->workers)
		(void)hit_burst(hit, turn++, hit_turn_warm);
	hf_rcu_unregister();
	return 0;
}

/* The main thread sleeps meanwhile: rte_eal_wait_lcore would take a CPU. */
static void hit_run(struct hit *hits, uint32_t workers)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (uint32_t i = 0; i < workers; i++)
		HF_ASSERT(rte_eal_remote_launch(hit_main, &hits[i], hf_port_lcore_id(i)) == 0);
	while (hit_done < workers)
		(void)nanosleep(&pause, NULL);
	for (uint32_t i = 0; i < workers; i++)
		HF_ASSERT(rte_eal_wait_lcore(hf_port_lcore_id(i)) == 0);
}

static void hit_tell(struct hit *hit)
{
	const struct hit_opts *opts = hit->opts;
	uint64_t measured = (uint64_t)opts->turns * opts->burst * opts->pipeline;

	qsort(hit->ns, opts->turns, sizeof(*hit->ns), bench_by_value);
	printf("hits %llu, bytes of an answer %llu, ns a hit: median %.0f, lowest tenth %.0f",
		(unsigned long long)measured, (unsigned long long)(hit->answered / hit->hits),
		hit->ns[opts->turns / 2], hit->ns[opts->turns / 10]);
	bench_misses_tell(hit->misses, (double)measured);
	printf("\n");
}

static void hit_end(struct hit *hits, uint32_t workers)
{
	for (uint32_t i = 0; i < workers; i++) {
		hf_tcp_free(hits[i].tcp);
		hf_serve_free(hits[i].serve);
		free(hits[i].ns);
	}
	for (uint32_t i = 0; i < workers; i++) {
		if (i == 0 || hits[i].store != hits[0].store)
			store_free(hits[i].store);
		hf_port_stop(hits[i].port);
	}
	for (uint32_t i = 0; i < workers; i++)
		hf_net_free(hits[i].net);
	hf_net_shared_free(hit_shared);
	for (uint32_t i = 0; i < workers; i++)
		hf_port_close(hits[i].port);
	hf_port_eal_fini();
}

static void hit_begin(struct hit *hits, const struct hit_opts *opts)
{
	static struct hit_store store[HIT_WORKERS];

	for (uint32_t i = 0; i < opts->workers; i++) {
		struct hit *hit = &hits[i];

		hit->opts = opts;
		hit->worker = i;
		hit->now_us = 1000000000;
		hit->random = i + 1;
		hit->ns = calloc(opts->turns, sizeof(*hit->ns));
		hit->store = &store[opts->apart ? i : 0];
		HF_ASSERT(hit->ns != NULL);
		if (!hit->store->cache)
			store_new(hit->store, opts, hit->now_us);
		hit_server(hit);
		clients_open(hit);
	}
}

int main(int argc, char **argv)
{
	static struct hit_opts opts = { .clients = 256,
		.objects = 100000,
		.pipeline = 1,
		.turns = 10000,
		.burst = 32,
		.body = 64,
		.workers = 1 };
	static struct hit hits[HIT_WORKERS];
	const struct bench_option options[] = { { "clients", &opts.clients, 1, HIT_CLIENTS },
		{ "objects", &opts.objects, 1, 16000000 }, { "pipeline", &opts.pipeline, 1, 20 },
		{ "turns", &opts.turns, 1, 10000000 }, { "burst", &opts.burst, 1, HF_NET_BURST },
		{ "body", &opts.body, 1, HIT_BODY_MAX },
		{ "workers", &opts.workers, 1, HIT_WORKERS }, { "apart", &opts.apart, 0, 1 } };
	uint64_t all = 0;

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	opts.burst = hf_min_u32(opts.burst, opts.clients);
	opts.clients -= opts.clients % opts.burst;
	HF_ASSERT(hf_stat_register("bench") != NULL);
	hf_rcu_register();
	hit_configure(opts.workers);
	hit_devices(hits, opts.workers);
	hit_begin(hits, &opts);
	hit_run(hits, opts.workers);
	for (uint32_t i = 0; i < opts.workers; i++) {
		hit_tell(&hits[i]);
		all += hits[i].hits;
	}
	HF_ASSERT(hf_stat_sum(HF_STAT_CACHE_HITS) == all);
	hit_end(hits, opts.workers);
	hf_rcu_unregister();
	return 0;
}
