/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define RIG_ISS 1000

static const char rig_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

static void rig_begin(struct rig *rig, uint32_t connections_per_address, uint32_t spans_max)
{
	struct hf_cache_cfg cache = { .shards = 1, .workers = 1, .leases_max = 16 };
	struct hf_xchg_cfg xchgs = {
		.workers = 1, .origins = 1, .exchanges_max = 4, .buf_len = 65536
	};
	struct hf_serve_cfg serve = { .worker = 0, .origins = 1 };
	struct hf_tcp_cfg tcp;
	static char node[] = "edge-1";

	memset(rig, 0, sizeof(*rig));
	rig->now_us = 1000000000;
	rig->head = rig_head;
	rig->status = 200;
	rig->conf.node = node;
	rig->conf.http.connections_max = 64;
	rig->conf.http.connections_per_address = connections_per_address;
	rig->conf.http.header_bytes = 16384;
	rig->conf.http.header_count = 100;
	rig->conf.http.uri_bytes = 8192;
	rig->conf.http.header_timeout_ms = 10000;
	rig->conf.http.idle_timeout_ms = 60000;
	rig->conf.http.body_rate = 240;
	rig->conf.origin.exchanges_max = xchgs.exchanges_max;
	cr_assert_eq(hf_arena_new(32 << 20, false, NULL, &rig->arena), 0);
	cache.arena = rig->arena;
	cr_assert_eq(hf_cache_new(&cache, NULL, &rig->cache), 0);
	rig->shard = hf_cache_shard(rig->cache, 0);
	cr_assert_eq(hf_xchg_net_new(&xchgs, NULL, &rig->xchgs), 0);
	rig->link = hf_xchg_link(rig->xchgs, 0, 0);
	hf_tcp_cfg_default(&tcp);
	tcp.conns_max = 64;
	if (spans_max)
		tcp.spans_max = spans_max;
	cr_assert_eq(hf_tcp_new(&tcp, rig->now_us, &rig->tcp), 0);
	cr_assert_eq(hf_tcp_listen(rig->tcp, 80), 0);
	serve.conf = &rig->conf;
	serve.tcp = rig->tcp;
	serve.cache = rig->cache;
	serve.xchgs = rig->xchgs;
	cr_assert_eq(hf_auth_new(8, &rig->auth), 0);
	serve.auth = rig->auth;
	cr_assert_eq(hf_reqlog_new(1, NULL, &rig->reqlog), 0);
	serve.reqlog = hf_reqlog_ring(rig->reqlog, 0);
	cr_assert_eq(hf_serve_new(&serve, rig->now_us, NULL, &rig->serve), 0);
	rig_wait(rig, 0);
}

void rig_open(struct rig *rig)
{
	rig_begin(rig, 0, 0);
}

void rig_open_with(struct rig *rig, uint32_t connections_per_address)
{
	rig_begin(rig, connections_per_address, 0);
}

void rig_open_spans(struct rig *rig, uint32_t spans_max)
{
	rig_begin(rig, 0, spans_max);
}

void rig_close(struct rig *rig)
{
	void *ptr;
	int kind;

	hf_tcp_free(rig->tcp);
	hf_serve_free(rig->serve);
	while ((kind = rig_origin_next(rig, &ptr)) >= 0) {
		struct hf_xchg *xchg = ptr;

		if (kind == HF_XCHG_ASK)
			hf_state_unref(xchg->ask.state);
		if (kind == HF_XCHG_FINISH && xchg->obj)
			hf_shard_obj_unref(rig->shard, xchg->obj);
	}
	hf_auth_free(rig->auth);
	hf_reqlog_free(rig->reqlog);
	hf_cache_free(rig->cache);
	hf_xchg_net_free(rig->xchgs);
	hf_arena_free(rig->arena);
	for (uint32_t i = 0; i < RIG_CLIENTS; i++)
		free(rig->client[i].out);
}

static void rig_take(struct rig *rig, const struct hf_tcp_emit *emit)
{
	for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
		struct rig_client *client = &rig->client[i];

		if (!client->port || client->port != emit->dport)
			continue;
		if (emit->flags & HF_TCP_RST) {
			client->rst = true;
			return;
		}
		if (emit->flags & HF_TCP_SYN)
			client->rcv = emit->seq + 1;
		if (emit->seq != client->rcv)
			return;
		for (uint32_t p = 0; p < emit->piece_count; p++) {
			cr_assert_lt(client->out_len + emit->piece[p].len, RIG_OUT_MAX);
			memcpy(client->out + client->out_len, emit->piece[p].data,
				emit->piece[p].len);
			client->out_len += emit->piece[p].len;
		}
		client->out[client->out_len] = '\0';
		client->rcv += emit->len;
		if (emit->flags & HF_TCP_FIN) {
			client->fin = true;
			client->rcv++;
		}
		return;
	}
}

/* One turn of a worker's loop; returns the number of descriptors. */
static uint32_t rig_turn(struct rig *rig, const struct hf_tcp_seg *segs, uint32_t count)
{
	const struct hf_tcp_emit *emits;

	hf_serve_segments(rig->serve, segs, count, rig->now_us);
	(void)hf_serve_replies(rig->serve, rig->now_us);
	hf_serve_tick(rig->serve, rig->now_us);
	hf_tcp_flush(rig->tcp, rig->now_us);
	count = hf_tcp_emits(rig->tcp, &emits);
	for (uint32_t i = 0; i < count; i++)
		rig_take(rig, &emits[i]);
	hf_tcp_emits_done(rig->tcp);
	hf_serve_turn_end(rig->serve);
	return count;
}

static struct hf_tcp_seg rig_seg(const struct rig_client *client, uint8_t flags)
{
	struct hf_tcp_seg seg = { .sport = client->port,
		.dport = 80,
		.seq = client->snd,
		.ack = client->rcv,
		.wnd = 65535,
		.flags = flags,
		.path = { .mtu = 1500 } };
	static const uint8_t from[4] = { 192, 0, 2, 1 }, to[4] = { 192, 0, 2, 10 };

	seg.src.b[10] = seg.src.b[11] = seg.dst.b[10] = seg.dst.b[11] = 0xff;
	memcpy(seg.src.b + 12, from, 4);
	memcpy(seg.dst.b + 12, to, 4);
	return seg;
}

void rig_settle(struct rig *rig)
{
	for (int turns = 0; turns < 10000; turns++) {
		uint32_t emitted = rig_turn(rig, NULL, 0);

		for (uint32_t i = 0; i < RIG_CLIENTS; i++) {
			struct hf_tcp_seg ack = rig_seg(&rig->client[i], HF_TCP_ACK);

			rig->client[i].acked = rig->client[i].rcv;
			if (rig->client[i].port && !rig->client[i].rst)
				emitted += rig_turn(rig, &ack, 1);
		}
		if (emitted == 0)
			return;
	}
	cr_assert_fail("the worker never falls silent");
}

void rig_settle_deaf(struct rig *rig)
{
	while (rig_turn(rig, NULL, 0) > 0)
		;
}

void rig_wait_deaf(struct rig *rig, uint64_t us)
{
	for (uint64_t end_us = rig->now_us + us; rig->now_us < end_us;) {
		rig->now_us += us / 16 + 1;
		rig_settle_deaf(rig);
	}
}

void rig_ack(struct rig *rig, struct rig_client *client, uint32_t len)
{
	struct hf_tcp_seg ack = rig_seg(client, HF_TCP_ACK);

	client->acked += hf_min_u32(len, client->rcv - client->acked);
	ack.ack = client->acked;
	(void)rig_turn(rig, &ack, 1);
	rig_settle_deaf(rig);
}

void rig_recall(struct rig *rig)
{
	uint32_t worker;
	struct hf_obj *obj;
	void *ptr;
	int kind;

	(void)hf_cache_reclaim_step(rig->cache);
	(void)hf_shard_work(rig->shard, rig->now_us);
	while (hf_shard_recall_next(rig->shard, &obj, &worker))
		hf_xchg_to_worker(rig->link, HF_XCHG_RECALL, obj);
	rig_settle_deaf(rig);
	while ((kind = rig_origin_next(rig, &ptr)) >= 0) {
		cr_assert_eq(kind, HF_XCHG_RECALLED);
		hf_shard_recalled(rig->shard, ptr, 0);
	}
	(void)hf_shard_work(rig->shard, rig->now_us);
}

void rig_wait(struct rig *rig, uint64_t us)
{
	/* in steps: timers set from within a timer come due on their way */
	for (uint64_t end_us = rig->now_us + us; rig->now_us < end_us;) {
		rig->now_us += us / 16 + 1;
		rig_settle(rig);
	}
	rig_settle(rig);
}

struct rig_client *rig_connect(struct rig *rig, uint32_t i)
{
	struct rig_client *client = &rig->client[i];
	struct hf_tcp_seg seg;

	free(client->out);
	memset(client, 0, sizeof(*client));
	client->out = calloc(1, RIG_OUT_MAX);
	client->port = (uint16_t)(40000 + i);
	client->snd = RIG_ISS;
	seg = rig_seg(client, HF_TCP_SYN);
	(void)rig_turn(rig, &seg, 1);
	cr_assert_neq(client->rcv, 0, "no SYN-ACK");
	client->snd++;
	rig_settle(rig);
	return client;
}

void rig_send_deaf(struct rig *rig, struct rig_client *client, const char *text)
{
	struct hf_tcp_seg seg = rig_seg(client, HF_TCP_ACK | HF_TCP_PSH);

	seg.ack = client->acked;
	seg.payload = (const uint8_t *)text;
	seg.payload_len = (uint32_t)strlen(text);
	client->snd += seg.payload_len;
	(void)rig_turn(rig, &seg, 1);
}

void rig_send(struct rig *rig, struct rig_client *client, const char *text)
{
	rig_send_deaf(rig, client, text);
	rig_settle(rig);
}

void rig_send_burst(struct rig *rig, struct rig_client *const *client, const struct hf_span *text,
	uint32_t count)
{
	struct hf_tcp_seg segs[RIG_BURST_MAX];

	cr_assert_leq(count, RIG_BURST_MAX);
	for (uint32_t i = 0; i < count; i++) {
		segs[i] = rig_seg(client[i], HF_TCP_ACK | HF_TCP_PSH);
		segs[i].ack = client[i]->acked;
		segs[i].payload = (const uint8_t *)text[i].ptr;
		segs[i].payload_len = (uint32_t)text[i].len;
		client[i]->snd += segs[i].payload_len;
	}
	(void)rig_turn(rig, segs, count);
	rig_settle(rig);
}

void rig_send_fin(struct rig *rig, struct rig_client *client, const char *text)
{
	struct hf_tcp_seg seg = rig_seg(client, HF_TCP_ACK | HF_TCP_FIN);

	seg.payload = (const uint8_t *)text;
	seg.payload_len = (uint32_t)strlen(text);
	client->snd += seg.payload_len + 1;
	(void)rig_turn(rig, &seg, 1);
	rig_settle(rig);
}

void rig_fin(struct rig *rig, struct rig_client *client)
{
	rig_send_fin(rig, client, "");
}

void rig_reset(struct rig *rig, struct rig_client *client)
{
	struct hf_tcp_seg seg = rig_seg(client, HF_TCP_RST);

	client->rst = true;
	(void)rig_turn(rig, &seg, 1);
	rig_settle(rig);
}

int rig_origin_next(struct rig *rig, void **ret_ptr)
{
	struct hf_msg msg;

	if (hf_ring_drain(rig->link->to_origin, &msg, 1) == 0)
		return -1;
	*ret_ptr = msg.ptr;
	return (int)msg.kind;
}

static struct hf_obj *rig_object(
	struct rig *rig, struct hf_key key, uint64_t len, uint32_t lifetime_s, uint16_t flags)
{
	struct hf_obj_spec spec = { .key = key,
		.head = { rig->head, strlen(rig->head) },
		.length = len,
		.born_us = (int64_t)rig->now_us,
		.status = rig->status,
		.flags = flags };
	struct hf_obj *obj;

	spec.life.lifetime_s = lifetime_s;
	obj = hf_shard_obj_new(rig->shard, &spec);
	cr_assert_not_null(obj);
	return obj;
}

struct hf_obj *rig_store_body(
	struct rig *rig, const char *url, const char *body, uint64_t len, uint32_t lifetime_s)
{
	struct hf_key key = { url, (uint32_t)strlen(url),
		hf_cache_hash(rig->cache, url, (uint32_t)strlen(url)) };
	struct hf_obj *obj = rig_object(rig, key, len, lifetime_s, 0);

	cr_assert_eq(hf_shard_fill(rig->shard, obj, body, len), len);
	hf_shard_fill_end(rig->shard, obj);
	hf_shard_publish(rig->shard, obj);
	hf_shard_obj_unref(rig->shard, obj);
	return obj;
}

struct hf_obj *rig_store(struct rig *rig, const char *url, uint64_t len, uint32_t lifetime_s)
{
	char *body = malloc(len + 1);
	struct hf_obj *obj;

	memset(body, 'x', len);
	obj = rig_store_body(rig, url, body, len, lifetime_s);
	free(body);
	return obj;
}

static struct hf_obj *rig_attach(struct rig *rig, struct hf_xchg *xchg, uint64_t len, bool stream)
{
	xchg->obj = rig_object(rig, stream ? (struct hf_key){ 0 } : xchg->key, len, 60,
		stream ? HF_OBJ_STREAM : 0);
	hf_shard_obj_ref(rig->shard, xchg->obj); /* the exchange's, beside the fill's */
	xchg->stored = !stream;
	hf_xchg_to_worker(rig->link, HF_XCHG_HEAD, xchg);
	return xchg->obj;
}

struct hf_obj *rig_answer(struct rig *rig, struct hf_xchg *xchg, uint64_t len, bool stream)
{
	struct hf_obj *obj = rig_attach(rig, xchg, len, stream);

	rig_settle(rig);
	return obj;
}

struct hf_obj *rig_answer_deaf(struct rig *rig, struct hf_xchg *xchg, uint64_t len, bool stream)
{
	struct hf_obj *obj = rig_attach(rig, xchg, len, stream);

	rig_settle_deaf(rig);
	return obj;
}

struct hf_obj *rig_answer_failed(struct rig *rig, struct hf_xchg *xchg)
{
	struct hf_obj *obj = rig_attach(rig, xchg, 10, /* stream= */ true);

	hf_shard_fill_fail(rig->shard, obj);
	rig_settle(rig);
	return obj;
}

void rig_more_deaf(struct rig *rig, struct hf_xchg *xchg)
{
	if (!atomic_exchange(&xchg->more_posted, true))
		hf_xchg_to_worker(rig->link, HF_XCHG_MORE, xchg);
	rig_settle_deaf(rig);
}

void rig_more(struct rig *rig, struct hf_xchg *xchg)
{
	rig_more_deaf(rig, xchg);
	rig_settle(rig);
}

struct hf_xchg *rig_expect_start(struct rig *rig)
{
	void *ptr = NULL;

	cr_assert_eq(rig_origin_next(rig, &ptr), HF_XCHG_START);
	return ptr;
}

void rig_expect_finish(struct rig *rig, struct hf_xchg *xchg)
{
	void *ptr = NULL;
	int kind;

	while ((kind = rig_origin_next(rig, &ptr)) == HF_XCHG_CREDIT)
		;
	cr_assert_eq(kind, HF_XCHG_FINISH);
	cr_assert_eq(ptr, xchg);
	if (xchg->obj)
		hf_shard_obj_unref(rig->shard, xchg->obj);
	hf_xchg_to_worker(rig->link, HF_XCHG_GONE, xchg);
	rig_settle(rig);
}
