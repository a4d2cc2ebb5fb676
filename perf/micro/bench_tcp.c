/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a segment costs lib/tcp: in (a request that acknowledges the answer before it, read in place) and out (an
 * answer of 300 bytes, to the emit descriptor), over so many connections in turn; and timers beside.
 */
#include <string.h>

#include "bench.h"
#include "hf_tcp.h"
#include "hf_timer.h"

#define CONNS_MAX 1000000
#define REQUEST   64
#define ANSWER    300
#define FLUSH     256 /* answers */
#define TIMERS    100000

struct peer {
	struct hf_tcp_conn *conn;
	uint32_t snd, rcv;
};

struct bench {
	uint32_t conns;
	uint64_t now_us, random;
	struct hf_tcp *tcp;
	struct hf_wheel *wheel;
	struct peer *peer;
	struct hf_timer *timer;
};

static struct hf_tcp_seg bench_seg(uint32_t i, const struct peer *peer, uint8_t flags)
{
	static const uint8_t data[REQUEST];
	struct hf_tcp_seg seg = { .src = { .b = { [10] = 0xff,
						   0xff,
						   10,
						   (uint8_t)(i >> 16),
						   (uint8_t)(i >> 8),
						   (uint8_t)i } },
		.dst = { .b = { [10] = 0xff, 0xff, 192, 0, 2, 10 } },
		.sport = 1024,
		.dport = 80,
		.seq = peer->snd,
		.ack = peer->rcv,
		.wnd = UINT16_MAX,
		.flags = flags,
		.payload = data,
		.path = { .mtu = 1500 } };

	return seg;
}

static void bench_open(struct bench *bench, uint32_t i)
{
	static const uint8_t opt[4] = { 2, 4, 1460 >> 8, 1460 & 255 };
	struct peer *peer = &bench->peer[i];
	struct hf_tcp_seg seg = bench_seg(i, peer, HF_TCP_SYN);
	const struct hf_tcp_emit *emits;
	struct hf_tcp_event event;

	seg.opt = opt;
	seg.opt_len = sizeof(opt);
	HF_ASSERT(hf_tcp_input(bench->tcp, &seg, bench->now_us) == 0);
	hf_tcp_input_end(bench->tcp);
	HF_ASSERT(hf_tcp_emits(bench->tcp, &emits) == 1);
	peer->snd++;
	peer->rcv = emits[0].seq + 1;
	hf_tcp_emits_done(bench->tcp);
	seg = bench_seg(i, peer, HF_TCP_ACK);
	HF_ASSERT(hf_tcp_input(bench->tcp, &seg, bench->now_us) == 0);
	HF_ASSERT(hf_tcp_next_event(bench->tcp, &event) && (event.what & HF_TCP_EV_OPEN));
	peer->conn = event.conn;
	hf_tcp_input_end(bench->tcp);
}

static void bench_in(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;
	struct hf_tcp_event event;
	struct hf_span span;

	bench->now_us += 1000;
	for (uint32_t op = 0; op < ops; op++) {
		struct peer *peer = &bench->peer[op];
		struct hf_tcp_seg seg = bench_seg(op, peer, HF_TCP_ACK | HF_TCP_PSH);

		seg.payload_len = REQUEST;
		peer->snd += REQUEST;
		HF_ASSERT(hf_tcp_input(bench->tcp, &seg, bench->now_us) == 0);
		while (hf_tcp_next_event(bench->tcp, &event))
			;
		HF_ASSERT(hf_tcp_peek(bench->tcp, peer->conn, &span, 1) == 1);
		hf_tcp_consume(bench->tcp, peer->conn, REQUEST);
		hf_tcp_input_end(bench->tcp);
	}
}

static void bench_out(void *ctx, uint32_t ops)
{
	static const uint8_t answer[ANSWER];
	struct bench *bench = ctx;
	const struct hf_tcp_emit *emits;

	for (uint32_t op = 0; op < ops; op++) {
		struct peer *peer = &bench->peer[op];

		HF_ASSERT(hf_tcp_send(bench->tcp, peer->conn, answer, ANSWER, NULL, false) == 0);
		peer->rcv += ANSWER;
		if (op % FLUSH != FLUSH - 1 && op != ops - 1)
			continue;
		hf_tcp_flush(bench->tcp, bench->now_us);
		HF_ASSERT(hf_tcp_emits(bench->tcp, &emits) == op % FLUSH + 1);
		hf_tcp_emits_done(bench->tcp);
	}
}

/* Within a minute, as deadlines of connections are. */
static void bench_timer_set(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t op = 0; op < ops; op++)
		hf_timer_set(bench->wheel, &bench->timer[op],
			bench->now_us + bench_random(&bench->random, 60000000));
}

static void bench_timer_later(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t op = 0; op < ops; op++)
		hf_timer_set(bench->wheel, &bench->timer[op], bench->timer[op].due_us + 1000000);
}

static void bench_timer_due(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	/* some calls end before the wheel does: what one call does is bounded */
	for (uint32_t due = 0; due < ops; bench->now_us += 1000)
		while (hf_wheel_pop(bench->wheel, bench->now_us))
			due++;
}

int main(int argc, char **argv)
{
	static struct bench bench = { .conns = 1000, .now_us = 1000000000, .random = 1 };
	uint32_t rounds = 21;
	const struct bench_option options[] = { { "conns", &bench.conns, 1, CONNS_MAX },
		{ "rounds", &rounds, 1, BENCH_ROUNDS_MAX } };
	struct hf_tcp_cfg cfg;

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	hf_tcp_cfg_default(&cfg);
	cfg.conns_max = 2 * bench.conns + 64;
	bench.peer = calloc(bench.conns, sizeof(*bench.peer));
	bench.timer = calloc(TIMERS, sizeof(*bench.timer));
	bench.wheel = hf_wheel_new(4096, bench.now_us);
	HF_ASSERT(bench.peer && bench.timer && bench.wheel);
	HF_ASSERT(hf_tcp_new(&cfg, bench.now_us, &bench.tcp) == 0);
	HF_ASSERT(hf_tcp_listen(bench.tcp, 80) == 0);
	for (uint32_t i = 0; i < bench.conns; i++)
		bench_open(&bench, i);
	for (uint32_t i = 0; i < TIMERS; i++)
		hf_timer_init(&bench.timer[i], 0);
	const struct bench_stage stages[] = { { "segment in", bench.conns, bench_in, NULL },
		{ "segment out", bench.conns, bench_out, NULL },
		{ "timer set", TIMERS, bench_timer_set, NULL },
		{ "timer pushed back", TIMERS, bench_timer_later, NULL },
		{ "timer due", TIMERS, bench_timer_due, NULL } };
	bench_run(stages, HF_ARRAY_LEN(stages), &bench, rounds);
	hf_tcp_free(bench.tcp);
	hf_wheel_free(bench.wheel);
	free(bench.peer);
	free(bench.timer);
	return 0;
}
