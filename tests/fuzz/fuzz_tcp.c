/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The input is a list of steps: segments near the window of one of four peers, time that passes, and
 * what the application does. After each step every invariant of the stack is checked.
 */
#include <stdlib.h>
#include <string.h>

#include "hf_tcp.h"

#define PEERS     4
#define STEPS_MAX 400
#define PORT      80

struct fuzz_peer {
	struct hf_tcp_conn *conn;
	uint32_t iss, irs, max; /* the stack's first, ours, the stack's highest */
	uint32_t rcv;           /* what the stack acknowledged last */
};

struct fuzz {
	const uint8_t *at, *end;
	struct hf_tcp *tcp;
	uint64_t now_us;
	struct hf_ref ref;
	struct fuzz_peer peer[PEERS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint32_t fuzz_byte(struct fuzz *f)
{
	return f->at < f->end ? *f->at++ : 0;
}

static uint32_t fuzz_u16(struct fuzz *f)
{
	uint32_t high = fuzz_byte(f);

	return high << 8 | fuzz_byte(f);
}

/* Most often a small step from where things stand; sometimes anywhere. */
static uint32_t fuzz_near(struct fuzz *f, uint32_t base)
{
	uint32_t how = fuzz_byte(f);

	if (how < 160)
		return base;
	if (how < 200)
		return base + fuzz_byte(f);
	if (how < 230)
		return base - fuzz_byte(f);
	if (how < 250)
		return base + fuzz_u16(f);
	return fuzz_u16(f) << 16 | fuzz_u16(f);
}

static void fuzz_released(struct hf_ref *ref)
{
	HF_ASSERT(!"the owner still holds one");
}

static void fuzz_read(struct fuzz *f, struct hf_tcp_conn *conn)
{
	struct hf_span span[4];
	uint32_t n = hf_tcp_peek(f->tcp, conn, span, 4);
	uint32_t how = fuzz_byte(f);
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (size_t k = 0; k < span[i].len; k++)
			sum += (uint8_t)span[i].ptr[k]; /* readable */
	}
	HF_ASSERT(n == 4 || sum <= 255U * hf_tcp_unread(conn));
	if (how < 200)
		hf_tcp_consume(f->tcp, conn, hf_tcp_unread(conn) * how / 199);
}

static void fuzz_events(struct fuzz *f)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(f->tcp, &event)) {
		struct fuzz_peer *peer = event.user;
		struct hf_tcp_info info;

		if (event.what & HF_TCP_EV_OPEN) {
			hf_tcp_info(f->tcp, event.conn, &info);
			peer = &f->peer[info.peer_port - 1];
			HF_ASSERT(!peer->conn);
			peer->conn = event.conn;
			hf_tcp_user_set(event.conn, peer);
		}
		HF_ASSERT(peer->conn == event.conn);
		if (event.what & HF_TCP_EV_CLOSED)
			peer->conn = NULL;
		else if (event.what & HF_TCP_EV_DATA)
			fuzz_read(f, event.conn);
	}
}

/* What net would read, and what a peer would learn. */
static void fuzz_emits(struct fuzz *f)
{
	const struct hf_tcp_emit *emits;
	uint32_t n = hf_tcp_emits(f->tcp, &emits);

	for (uint32_t i = 0; i < n; i++) {
		const struct hf_tcp_emit *emit = &emits[i];
		struct fuzz_peer *peer = &f->peer[(emit->dport - 1) % PEERS];
		uint32_t len = 0;

		HF_ASSERT(emit->opt_len <= HF_TCP_OPT_MAX && emit->opt_len % 4 == 0);
		HF_ASSERT(emit->piece_count <= HF_TCP_EMIT_PIECES);
		for (uint32_t p = 0; p < emit->piece_count; p++)
			len += emit->piece[p].len;
		HF_ASSERT(len == emit->len);
		if (emit->flags & HF_TCP_RST)
			continue;
		if (emit->flags & HF_TCP_SYN)
			peer->iss = peer->max = emit->seq;
		peer->rcv = emit->ack;
		len += !!(emit->flags & HF_TCP_SYN) + !!(emit->flags & HF_TCP_FIN);
		if ((int32_t)(emit->seq + len - peer->max) > 0)
			peer->max = emit->seq + len;
	}
	hf_tcp_emits_done(f->tcp);
}

static void fuzz_segment(struct fuzz *f)
{
	uint32_t i = fuzz_byte(f) % PEERS;
	struct fuzz_peer *peer = &f->peer[i];
	uint32_t flags = fuzz_byte(f);
	uint32_t shape = fuzz_byte(f);
	uint32_t opt_len = shape & 0x40 ? fuzz_byte(f) % 41 : 0;
	uint32_t len = shape & 0x80 ? fuzz_u16(f) % 3000 : 0;
	/* exact allocations: a byte read too far is seen */
	uint8_t *opt = malloc(opt_len + !opt_len);
	uint8_t *payload = malloc(len + !len);
	struct hf_tcp_seg seg = {
		.src = { { [15] = 1 } },
		.dst = { { [15] = 2 } },
		.sport = (uint16_t)(i + 1),
		.dport = PORT,
		.flags = (uint8_t)(shape & 0x20 ? flags : HF_TCP_ACK | (flags & HF_TCP_FIN)),
		.opt = opt,
		.opt_len = (uint8_t)opt_len,
		.payload = payload,
		.payload_len = len,
		.path = { .mtu = 1500, .cut = shape & 0x04, .tso_max = shape & 0x10 ? 20000 : 0 },
	};

	for (uint32_t k = 0; k < opt_len; k++)
		opt[k] = (uint8_t)fuzz_byte(f);
	memset(payload, (int)i, len);
	seg.seq = fuzz_near(f, peer->rcv);
	seg.ack = fuzz_near(f, peer->max);
	seg.wnd = (uint16_t)(shape & 0x08 ? fuzz_u16(f) : 30000);
	(void)hf_tcp_input(f->tcp, &seg, f->now_us);
	fuzz_events(f);
	hf_tcp_input_end(f->tcp);
	free(payload);
	free(opt);
}

static void fuzz_application(struct fuzz *f)
{
	static const uint8_t bytes[70000];
	struct fuzz_peer *peer = &f->peer[fuzz_byte(f) % PEERS];
	uint32_t what = fuzz_byte(f);
	uint32_t len;

	if (!peer->conn)
		return;
	if (what < 140) {
		len = fuzz_u16(f);
		if (len <= hf_tcp_send_space(f->tcp, peer->conn))
			(void)!hf_tcp_send(f->tcp, peer->conn, bytes + what, len,
				what & 1 ? &f->ref : NULL, what & 2);
	} else if (what < 200) {
		fuzz_read(f, peer->conn);
	} else {
		if (what < 240)
			hf_tcp_close(f->tcp, peer->conn);
		else
			hf_tcp_abort(f->tcp, peer->conn);
		peer->conn = NULL;
	}
}

static void fuzz_step(struct fuzz *f)
{
	uint32_t what = fuzz_byte(f);

	if (what < 150) {
		fuzz_segment(f);
	} else if (what < 200) {
		fuzz_application(f);
	} else if (what < 230) {
		f->now_us += (uint64_t)fuzz_u16(f) << (fuzz_byte(f) % 14);
		hf_tcp_tick(f->tcp, f->now_us);
	} else {
		hf_tcp_flush(f->tcp, f->now_us);
		fuzz_emits(f);
	}
	fuzz_events(f);
	hf_tcp_check(f->tcp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { .at = data, .end = data + len, .now_us = 1000000 };
	struct hf_tcp_cfg cfg;

	hf_tcp_cfg_default(&cfg);
	cfg.conns_max = 3;
	cfg.syn_queue_max = 2;
	cfg.spans_max = 20;
	cfg.rxbufs_max = 8;
	cfg.emits_max = 12;
	cfg.rcv_wnd_init = 4000;
	cfg.rcv_wnd_max = 8000;
	cfg.send_queue_max = 60000;
	cfg.isn_key = (struct hf_sipkey){ 1, 2 };
	cfg.flow_key = (struct hf_sipkey){ 3, 4 };
	hf_ref_init(&f.ref, fuzz_released);
	HF_ASSERT(hf_tcp_new(&cfg, f.now_us, &f.tcp) == 0);
	HF_ASSERT(hf_tcp_listen(f.tcp, PORT) == 0);
	for (int i = 0; i < STEPS_MAX && f.at < f.end; i++)
		fuzz_step(&f);
	hf_tcp_free(f.tcp);
	HF_ASSERT(f.ref.count == 1);
	return 0;
}
