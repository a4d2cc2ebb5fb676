/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The world of one seed: link, clock, and a server application on lib/tcp.
 */
#include "tcp_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 3000000
#define TIME_MAX   (3600ULL * 1000000)
#define NEVER      UINT64_MAX

/* Bytes of a response that are freed and spoilt when nobody names them any more. */
struct blob {
	struct hf_ref ref;
	uint32_t len;
	uint8_t data[];
};

/* The application's end of one connection. */
struct server {
	struct hf_tcp_conn *conn;
	uint32_t client, req_off, resp_off;
	uint64_t read_at_us; /* a lazy reader */
	bool fin_seen, opened;
};

struct world {
	struct sim sim;
	struct hf_tcp *tcp;
	struct server server[SIM_CLIENTS_MAX];
	uint32_t tso_max, lazy, flush_chance;
};

static uint32_t blobs_live;
static uint64_t seed_now;

static void sim_panic(const char *what, const char *file, int line, const char *func)
{
	fprintf(stderr, "seed %lu: %s:%d %s: %s\n", (unsigned long)seed_now, file, line, func,
		what);
}

static uint64_t sim_next(struct sim *sim)
{
	uint64_t z = (sim->rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t sim_rand(struct sim *sim, uint32_t below)
{
	return below ? (uint32_t)(sim_next(sim) % below) : 0;
}

bool sim_chance(struct sim *sim, uint32_t per_mille)
{
	return sim_rand(sim, 1000) < per_mille;
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (sim->failed)
		return;
	sim->failed = true;
	va_start(args, format);
	fprintf(stderr, "seed %lu at %lu us: ", (unsigned long)sim->seed,
		(unsigned long)sim->now_us);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}

uint8_t sim_byte(const struct sim *sim, uint32_t client, bool response, uint32_t off)
{
	uint64_t z = sim->seed * 31 + client * 7 + response + (uint64_t)off * 0x9e3779b97f4a7c15ULL;

	return (uint8_t)((z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ULL >> 56);
}

struct sim_pkt *sim_pkt_new(uint32_t client, bool to_client, uint32_t len)
{
	struct sim_pkt *pkt = calloc(1, sizeof(*pkt) + len);

	HF_ASSERT(pkt);
	pkt->client = client;
	pkt->to_client = to_client;
	pkt->len = len;
	return pkt;
}

static bool heap_before(const struct sim_pkt *a, const struct sim_pkt *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_swap(struct sim *sim, uint32_t a, uint32_t b)
{
	struct sim_pkt *pkt = sim->heap[a];

	sim->heap[a] = sim->heap[b];
	sim->heap[b] = pkt;
}

static void heap_push(struct sim *sim, struct sim_pkt *pkt)
{
	uint32_t i = sim->heap_len++;

	if (sim->heap_len > sim->heap_max) {
		sim->heap_max = sim->heap_len * 2;
		sim->heap = realloc(sim->heap, sim->heap_max * sizeof(struct sim_pkt *));
		HF_ASSERT(sim->heap);
	}
	sim->heap[i] = pkt;
	for (; i > 0 && heap_before(sim->heap[i], sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(sim, i, (i - 1) / 2);
}

static struct sim_pkt *heap_pop(struct sim *sim)
{
	struct sim_pkt *first = sim->heap[0];
	uint32_t i = 0;

	sim->heap[0] = sim->heap[--sim->heap_len];
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= sim->heap_len)
			return first;
		if (child + 1 < sim->heap_len &&
			heap_before(sim->heap[child + 1], sim->heap[child]))
			child++;
		if (!heap_before(sim->heap[child], sim->heap[i]))
			return first;
		heap_swap(sim, i, child);
		i = child;
	}
}

static void link_carry(struct sim *sim, struct sim_pkt *pkt)
{
	pkt->at_us = sim->now_us + sim->delay_us + sim_rand(sim, sim->jitter_us + 1);
	if (sim_chance(sim, sim->reorder))
		pkt->at_us += sim_rand(sim, 3 * sim->delay_us + 1);
	pkt->order = sim->orders++;
	heap_push(sim, pkt);
}

void sim_post(struct sim *sim, struct sim_pkt *pkt)
{
	sim->segments++;
	if (sim_chance(sim, sim->dup)) {
		struct sim_pkt *twin = sim_pkt_new(pkt->client, pkt->to_client, pkt->len);

		memcpy(twin, pkt, sizeof(*pkt) + pkt->len);
		link_carry(sim, twin);
	}
	/* what is corrupted fails its checksum: lost as well */
	if (sim_chance(sim, sim->loss) || sim_chance(sim, sim->corrupt))
		free(pkt);
	else
		link_carry(sim, pkt);
}

static void blob_release(struct hf_ref *ref)
{
	struct blob *blob = HF_CONTAINER_OF(ref, struct blob, ref);

	memset(blob->data, 0xdd, blob->len);
	free(blob);
	blobs_live--;
}

static struct blob *blob_new(const struct world *w, const struct server *s, uint32_t len)
{
	struct blob *blob = malloc(sizeof(*blob) + len);

	HF_ASSERT(blob);
	hf_ref_init(&blob->ref, blob_release);
	blob->len = len;
	for (uint32_t i = 0; i < len; i++)
		blob->data[i] = sim_byte(&w->sim, s->client, /* response= */ true, s->resp_off + i);
	blobs_live++;
	return blob;
}

/* As many spans as one blob gives, so that references outlive each other in every order. */
static bool server_queue_blob(struct world *w, struct server *s, uint32_t len)
{
	struct blob *blob = blob_new(w, s, len);
	uint32_t off = 0;
	int err = 0;

	while (off < len && err == 0) {
		uint32_t n = hf_min_u32(len - off, 1 + sim_rand(&w->sim, len));

		err = hf_tcp_send(w->tcp, s->conn, blob->data + off, n, &blob->ref, true);
		if (err == 0)
			off += n;
	}
	s->resp_off += off;
	hf_ref_put(&blob->ref);
	if (err && err != -EAGAIN)
		sim_fail(&w->sim, "send: %d", err);
	return err == 0;
}

static void server_respond(struct world *w, struct server *s)
{
	const struct client *c = &w->sim.client[s->client];

	if (!s->conn || s->req_off < c->req_len)
		return;
	while (s->resp_off < c->resp_len) {
		uint32_t space = hf_tcp_send_space(w->tcp, s->conn);
		uint32_t len = hf_min_u32(space, c->resp_len - s->resp_off);
		uint32_t most = sim_chance(&w->sim, 200) ? 40 : 30000;

		len = hf_min_u32(len, 1 + sim_rand(&w->sim, most));
		if (len == 0 || !server_queue_blob(w, s, len))
			return;
	}
	hf_tcp_close(w->tcp, s->conn);
	s->conn = NULL;
	s->read_at_us = NEVER;
}

static void server_read(struct world *w, struct server *s)
{
	const struct client *c = &w->sim.client[s->client];
	uint32_t unread = hf_tcp_unread(s->conn);
	bool lazy = sim_chance(&w->sim, w->lazy);
	uint32_t take = lazy ? sim_rand(&w->sim, unread + 1) : unread;
	struct hf_span span[8];
	uint32_t left = take;

	s->read_at_us = lazy ? w->sim.now_us + sim_rand(&w->sim, 300000) : NEVER;
	while (left > 0) {
		uint32_t n = hf_tcp_peek(s->conn, span, 1 + sim_rand(&w->sim, 8));
		uint32_t k = (uint32_t)hf_min_size(span[0].len, left);

		if (n == 0)
			return sim_fail(&w->sim, "nothing to peek at of %u unread", unread);
		for (uint32_t i = 0; i < k; i++) {
			if ((uint8_t)span[0].ptr[i] !=
				sim_byte(&w->sim, s->client, /* response= */ false, s->req_off + i))
				return sim_fail(
					&w->sim, "wrong byte at %u of the request", s->req_off + i);
		}
		hf_tcp_consume(w->tcp, s->conn, k);
		s->req_off += k;
		left -= k;
		w->sim.bytes += k;
	}
	if (s->req_off > c->req_len)
		return sim_fail(&w->sim, "more request than was sent");
	if (s->fin_seen && hf_tcp_unread(s->conn) == 0 && s->req_off < c->req_len)
		return sim_fail(&w->sim, "FIN before the end of the request");
	if (s->req_off == c->req_len)
		server_respond(w, s);
}

static void server_open(struct world *w, struct hf_tcp_event *ev)
{
	struct hf_tcp_info info;
	struct server *s;

	hf_tcp_info(ev->conn, &info);
	HF_ASSERT(info.peer_port >= 10000 && info.peer_port < 10000 + SIM_CLIENTS_MAX);
	s = &w->server[info.peer_port - 10000];
	if (s->opened)
		sim_fail(&w->sim, "opened twice");
	s->opened = true;
	s->conn = ev->conn;
	hf_tcp_user_set(ev->conn, s);
	ev->user = s;
}

static void server_event(struct world *w, struct hf_tcp_event *ev)
{
	struct server *s;

	if (ev->what & HF_TCP_EV_OPEN)
		server_open(w, ev);
	s = ev->user;
	if (ev->what & HF_TCP_EV_CLOSED) {
		enum client_plan plan = w->sim.client[s->client].plan;

		if (plan != PLAN_RESET && plan != PLAN_VANISH)
			sim_fail(&w->sim, "client %u: connection lost", s->client);
		s->conn = NULL;
		s->read_at_us = NEVER;
		return;
	}
	if (ev->what & HF_TCP_EV_FIN) {
		if (s->fin_seen)
			sim_fail(&w->sim, "FIN told twice");
		s->fin_seen = true;
	}
	if (ev->what & (HF_TCP_EV_DATA | HF_TCP_EV_FIN))
		server_read(w, s);
	if (ev->what & (HF_TCP_EV_WRITABLE | HF_TCP_EV_ACKED))
		server_respond(w, s);
}

static void world_events(struct world *w)
{
	struct hf_tcp_event ev;

	while (!w->sim.failed && hf_tcp_next_event(w->tcp, &ev)) {
		server_event(w, &ev);
		hf_tcp_check(w->tcp);
	}
}

static void world_ip(struct hf_ip *ip, uint32_t client, uint8_t last)
{
	if (client % 2)
		*ip = (struct hf_ip){ { 0x20, 1, 0x0d, 0xb8, [15] = last } };
	else
		*ip = (struct hf_ip){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } };
}

/* What lib/net does: packets of a descriptor, a run cut into segments. */
static void world_pack(struct world *w, const struct hf_tcp_emit *emit)
{
	uint32_t off = 0, piece = 0, piece_off = 0;

	if (emit->len > hf_max_u32(emit->mss, w->tso_max) || emit->dport < 10000)
		return sim_fail(&w->sim, "emit of %u bytes to port %u", emit->len, emit->dport);
	do {
		uint32_t len = hf_min_u32(emit->mss, emit->len - off);
		struct sim_pkt *pkt = sim_pkt_new(emit->dport - 10000U, true, len);

		pkt->seq = emit->seq + off;
		pkt->ack = emit->ack;
		pkt->wnd = emit->wnd;
		pkt->flags = emit->flags;
		pkt->opt_len = emit->opt_len;
		memcpy(pkt->opt, emit->opt, emit->opt_len);
		for (uint32_t i = 0; i < len; i++) {
			pkt->data[i] = emit->piece[piece].data[piece_off++];
			if (piece_off == emit->piece[piece].len) {
				piece++;
				piece_off = 0;
			}
		}
		off += len;
		if (off < emit->len)
			pkt->flags &= (uint8_t) ~(HF_TCP_FIN | HF_TCP_PSH);
		sim_post(&w->sim, pkt);
	} while (off < emit->len);
}

static void world_flush(struct world *w)
{
	const struct hf_tcp_emit *emits;
	uint32_t n;

	hf_tcp_flush(w->tcp, w->sim.now_us);
	hf_tcp_check(w->tcp);
	n = hf_tcp_emits(w->tcp, &emits);
	for (uint32_t i = 0; i < n; i++)
		world_pack(w, &emits[i]);
	hf_tcp_emits_done(w->tcp);
}

static void world_input(struct world *w, const struct sim_pkt *pkt)
{
	uint8_t *copy =
		malloc(pkt->len + 1); /* gone after input_end, so that a late reader is seen */
	struct hf_tcp_seg seg = {
		.sport = w->sim.client[pkt->client].port,
		.dport = SIM_PORT,
		.seq = pkt->seq,
		.ack = pkt->ack,
		.wnd = pkt->wnd,
		.flags = pkt->flags,
		.opt_len = pkt->opt_len,
		.opt = pkt->opt,
		.payload = copy,
		.payload_len = pkt->len,
		.path = { .mtu = 1500, .tso_max = w->tso_max },
	};

	HF_ASSERT(copy);
	memcpy(copy, pkt->data, pkt->len);
	world_ip(&seg.src, pkt->client, 1);
	world_ip(&seg.dst, pkt->client, 2);
	(void)hf_tcp_input(w->tcp, &seg, w->sim.now_us);
	world_events(w);
	hf_tcp_check(w->tcp);
	hf_tcp_input_end(w->tcp);
	hf_tcp_check(w->tcp);
	free(copy);
	world_events(w);
	if (sim_chance(&w->sim, w->flush_chance))
		world_flush(w);
}

static uint64_t world_next_us(const struct world *w)
{
	uint64_t next = hf_tcp_next_timer_us(w->tcp);

	if (w->sim.heap_len)
		next = hf_min_u64(next, w->sim.heap[0]->at_us);
	for (uint32_t i = 0; i < w->sim.client_count; i++) {
		next = hf_min_u64(next, client_next_us(&w->sim.client[i]));
		next = hf_min_u64(next, w->server[i].read_at_us);
	}
	return next;
}

static void world_step(struct world *w)
{
	struct sim *sim = &w->sim;

	while (sim->heap_len && sim->heap[0]->at_us <= sim->now_us && !sim->failed) {
		struct sim_pkt *pkt = heap_pop(sim);

		if (pkt->to_client)
			client_input(sim, &sim->client[pkt->client], pkt);
		else
			world_input(w, pkt);
		free(pkt);
	}
	for (uint32_t i = 0; i < sim->client_count; i++) {
		if (client_next_us(&sim->client[i]) <= sim->now_us)
			client_tick(sim, &sim->client[i]);
		if (w->server[i].read_at_us <= sim->now_us && !sim->failed)
			server_read(w, &w->server[i]);
	}
	hf_tcp_tick(w->tcp, sim->now_us);
	hf_tcp_check(w->tcp);
	world_events(w);
	world_flush(w);
}

static bool world_done(const struct world *w)
{
	for (uint32_t i = 0; i < w->sim.client_count; i++) {
		if (!w->sim.client[i].done)
			return false;
	}
	return w->sim.heap_len == 0 && hf_tcp_conn_count(w->tcp) == 0;
}

static void world_init(struct world *w, uint64_t seed)
{
	struct sim *sim = &w->sim;
	struct hf_tcp_cfg cfg;

	memset(w, 0, sizeof(*w));
	sim->seed = sim->rng = seed;
	sim->now_us = 1000000 + sim_rand(sim, 1000000);
	sim->loss = sim_chance(sim, 700) ? sim_rand(sim, 150) : 0;
	sim->dup = sim_chance(sim, 500) ? sim_rand(sim, 60) : 0;
	sim->reorder = sim_chance(sim, 500) ? sim_rand(sim, 200) : 0;
	sim->corrupt = sim_chance(sim, 300) ? sim_rand(sim, 40) : 0;
	sim->delay_us = 50 + sim_rand(sim, 40000);
	sim->jitter_us = sim_chance(sim, 500) ? sim_rand(sim, 20000) : 0;
	w->tso_max = sim_chance(sim, 500) ? 0 : 1000 + sim_rand(sim, 64000);
	w->lazy = sim_chance(sim, 500) ? sim_rand(sim, 900) : 0;
	w->flush_chance = sim_rand(sim, 1001);
	hf_tcp_cfg_default(&cfg);
	cfg.conns_max = 3 + sim_rand(sim, 6);
	cfg.syn_queue_max = 1 + sim_rand(sim, 4);
	cfg.spans_max = 10 + sim_rand(sim, sim_chance(sim, 300) ? 40 : 2000);
	cfg.rxbufs_max = 1 + sim_rand(sim, sim_chance(sim, 500) ? 8 : 100);
	cfg.emits_max = 2 + sim_rand(sim, 200);
	cfg.rcv_wnd_max = 2000 + sim_rand(sim, sim_chance(sim, 500) ? 200000 : 10000);
	cfg.send_queue_max = 3000 + sim_rand(sim, sim_chance(sim, 500) ? 10000 : 500000);
	cfg.msl_ms = 2000;
	cfg.user_timeout_ms = 300000;
	cfg.fin_timeout_ms = 200000;
	cfg.isn_key = (struct hf_sipkey){ sim_next(sim), sim_next(sim) };
	cfg.flow_key = (struct hf_sipkey){ sim_next(sim), sim_next(sim) };
	HF_ASSERT(hf_tcp_new(&cfg, sim->now_us, &w->tcp) == 0);
	HF_ASSERT(hf_tcp_listen(w->tcp, SIM_PORT) == 0);
	sim->client_count = 1 + sim_rand(sim, SIM_CLIENTS_MAX);
	for (uint32_t i = 0; i < sim->client_count; i++) {
		client_init(sim, &sim->client[i], i);
		w->server[i] = (struct server){ .client = i, .read_at_us = NEVER };
	}
}

static bool world_run(uint64_t seed, uint64_t *segments, uint64_t *bytes)
{
	static struct world w;
	uint32_t events = 0;
	uint64_t end_us;
	bool failed;

	world_init(&w, seed);
	end_us = w.sim.now_us + TIME_MAX;
	while (!w.sim.failed && !world_done(&w)) {
		uint64_t next = world_next_us(&w);

		if (next > w.sim.now_us)
			w.sim.now_us = next;
		if (next == NEVER || next > end_us || ++events > EVENTS_MAX)
			sim_fail(&w.sim, "stuck: %u connections left", hf_tcp_conn_count(w.tcp));
		else
			world_step(&w);
	}
	hf_tcp_free(w.tcp);
	if (blobs_live)
		sim_fail(&w.sim, "%u blobs were never released", blobs_live);
	blobs_live = 0;
	while (w.sim.heap_len)
		free(heap_pop(&w.sim));
	free(w.sim.heap);
	for (uint32_t i = 0; i < w.sim.client_count; i++)
		client_fini(&w.sim.client[i]);
	*segments += w.sim.segments;
	*bytes += w.sim.bytes;
	failed = w.sim.failed;
	return !failed;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = 0, failures = 0, segments = 0, bytes = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			count = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			first = strtoull(argv[i + 1], NULL, 10);
	}
	if (count == 0)
		count = argc > 1 ? 1 : 200;
	hf_panic_hook_set(sim_panic);
	for (uint64_t seed = first; seed < first + count; seed++) {
		seed_now = seed;
		failures += !world_run(seed, &segments, &bytes);
	}
	printf("%lu seeds, %lu segments, %lu bytes, %lu failures\n", (unsigned long)count,
		(unsigned long)segments, (unsigned long)bytes, (unsigned long)failures);
	return failures ? 1 : 0;
}
