/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HTTP over TCP over frames: a whole worker on a ring device, from mbuf to mbuf. The input is a list of
 * steps of four peers (two families, two of them behind the gateway), of an origin thread, of the wire
 * and of the clock: a handshake done right, a request in segments of any size, order and number, any
 * other segment, any other frame, ICMP errors, losses, a slow device, time. After each step every
 * invariant of the TCP stack is checked, and of what the peers received: checksums, lengths, and that a
 * byte of the stream is the same whenever it is sent. At the end nothing may be left anywhere.
 */
#include "stack_rig.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz fuzz;

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
	count = hf_min_u32((peer->sent - from + size - 1) / size, how & 16 ? 32 : 200);
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
	hf_tcp_check(fuzz.tcp);
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
	static char node[] = "edge-1";
	struct hf_conf *conf = &fuzz.conf;

	conf->node = node;
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

static struct hf_obj *fuzz_store(const char *url, size_t len)
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
	hf_shard_obj_unref(fuzz.shard, obj); /* the table keeps it */
	return obj;
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
	fuzz.stored[0] = fuzz_store("http://a.example/small", 100);
	fuzz.stored[1] = fuzz_store("http://a.example/large", 100000);
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
	for (size_t i = 0; i < HF_ARRAY_LEN(fuzz.stored); i++) /* no lease is left */
		HF_ASSERT(hf_reader_recall(hf_cache_reader(fuzz.cache, 0), fuzz.stored[i]));
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
