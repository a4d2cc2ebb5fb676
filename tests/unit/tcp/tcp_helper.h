/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_helper - a peer that is moved by hand, one segment at a time, under a virtual clock.
 *
 * Sequence numbers are relative: seq 0 is the first byte after our SYN, ack 0 is the first byte after
 * the stack's. th_in and th_tick forget the emits of before, so that what is seen is the answer.
 */
#ifndef HF_TCP_HELPER_H
#define HF_TCP_HELPER_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"
#include "hf_tcp.h"
#include "tcp_priv.h"

#define TH_IRS  0xfffffff0U /* the window crosses 2^32 */
#define TH_PORT 80
#define TH_MSS  1460

struct th {
	struct hf_tcp_cfg cfg;
	struct hf_tcp *tcp;
	uint64_t now_us;
	struct hf_tcp_conn *conn;
	uint32_t iss;    /* the stack's, learned from its SYN-ACK */
	uint32_t events; /* or-ed since th_in or th_tick */
	uint32_t spare;  /* bytes the application leaves unread: UINT32_MAX for all */
	uint16_t sport, wnd;
	uint32_t tso_max;
	bool cut;
	const uint8_t *opt;
	uint8_t opt_len;
	const struct hf_tcp_emit *out;
	uint32_t out_count;
	char got[65536]; /* what the application read */
	uint32_t got_len;
	const char *reply; /* sent by the application when it sees data */
	bool close_on_data;
	uint32_t ts_ecr; /* what th_sack_ack echoes */
	uint8_t sack_on; /* enum th_sack_want */
	uint8_t sack_buf[HF_TCP_OPT_MAX];
};

static inline void th_ip(struct hf_ip *ip, uint8_t last)
{
	*ip = (struct hf_ip){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } };
}

static inline void th_init(struct th *t)
{
	memset(t, 0, sizeof(*t));
	hf_tcp_cfg_default(&t->cfg);
	t->cfg.conns_max = 16;
	t->cfg.syn_queue_max = 8;
	t->cfg.spans_max = 256;
	t->cfg.rxbufs_max = 64;
	t->cfg.emits_max = 64;
	t->cfg.rcv_wnd_init = 65535;
	t->cfg.rcv_wnd_max = 65535;
	t->cfg.send_queue_max = 262144;
	t->now_us = 1000000;
	t->sport = 4000;
	t->wnd = 65535;
}

static inline void th_start(struct th *t)
{
	cr_assert_eq(hf_tcp_new(&t->cfg, t->now_us, &t->tcp), 0);
	cr_assert_eq(hf_tcp_listen(t->tcp, TH_PORT), 0);
}

static inline struct hf_tcp_seg th_seg(const struct th *t, uint8_t flags, uint32_t seq,
	uint32_t ack, const void *data, uint32_t len)
{
	struct hf_tcp_seg seg = {
		.sport = t->sport,
		.dport = TH_PORT,
		.seq = TH_IRS + 1 + seq,
		.ack = t->iss + 1 + ack,
		.wnd = t->wnd,
		.flags = flags,
		.opt = t->opt,
		.opt_len = t->opt_len,
		.payload = data,
		.payload_len = len,
		.path = { .mtu = 1500, .cut = t->cut, .tso_max = t->tso_max },
	};

	th_ip(&seg.src, 1);
	th_ip(&seg.dst, 2);
	return seg;
}

static inline void th_read(struct th *t)
{
	struct hf_span span[64];
	uint32_t n = hf_tcp_peek(t->tcp, t->conn, span, 64);
	uint32_t unread = 0, take;

	for (uint32_t i = 0; i < n; i++)
		unread += (uint32_t)span[i].len;
	cr_assert_eq(unread, hf_tcp_unread(t->conn));
	take = unread > t->spare ? unread - t->spare : 0;
	for (uint32_t i = 0, left = take; i < n && left; i++) {
		uint32_t k = (uint32_t)hf_min_size(span[i].len, left);

		memcpy(t->got + t->got_len, span[i].ptr, k);
		t->got_len += k;
		left -= k;
	}
	hf_tcp_consume(t->tcp, t->conn, take);
}

static inline void th_events(struct th *t)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(t->tcp, &event)) {
		t->events |= event.what;
		if (event.what & HF_TCP_EV_OPEN)
			t->conn = event.conn;
		if (event.what & HF_TCP_EV_CLOSED)
			t->conn = NULL;
		if (!(event.what & HF_TCP_EV_DATA))
			continue;
		if (t->reply)
			cr_assert_eq(hf_tcp_send(t->tcp, t->conn, t->reply,
					     (uint32_t)strlen(t->reply), NULL, false),
				0);
		th_read(t);
		if (t->close_on_data) {
			hf_tcp_close(t->tcp, t->conn);
			t->conn = NULL;
		}
	}
}

static inline void th_see(struct th *t)
{
	t->out_count = hf_tcp_emits(t->tcp, &t->out);
	hf_tcp_check(t->tcp);
}

static inline int th_in_seg(struct th *t, const struct hf_tcp_seg *seg)
{
	uint8_t *copy = malloc(seg->payload_len + 1); /* sanitizers see who reads it too late */
	struct hf_tcp_seg mine = *seg;
	int drop;

	if (seg->payload_len)
		memcpy(copy, seg->payload, seg->payload_len);
	mine.payload = copy;
	hf_tcp_emits_done(t->tcp);
	t->events = 0;
	drop = hf_tcp_input(t->tcp, &mine, t->now_us);
	th_events(t);
	hf_tcp_check(t->tcp);
	hf_tcp_input_end(t->tcp);
	free(copy);
	th_events(t);
	th_see(t);
	return drop;
}

static inline int th_in(struct th *t, uint8_t flags, uint32_t seq, uint32_t ack, const char *text)
{
	struct hf_tcp_seg seg = th_seg(t, flags, seq, ack, text, text ? (uint32_t)strlen(text) : 0);

	return th_in_seg(t, &seg);
}

static inline int th_in_len(struct th *t, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	static char zeros[65536];
	struct hf_tcp_seg seg = th_seg(t, flags, seq, ack, zeros, len);

	return th_in_seg(t, &seg);
}

/* dt later, in steps that let the wheel keep up. */
static inline void th_tick(struct th *t, uint64_t dt_us)
{
	hf_tcp_emits_done(t->tcp);
	t->events = 0;
	t->now_us += dt_us;
	for (int i = 0; i < 4; i++)
		hf_tcp_tick(t->tcp, t->now_us);
	th_events(t);
	hf_tcp_flush(t->tcp, t->now_us);
	th_see(t);
}

/* What the application did gets out. */
static inline void th_flush(struct th *t)
{
	hf_tcp_emits_done(t->tcp);
	hf_tcp_flush(t->tcp, t->now_us);
	th_see(t);
}

static inline void th_send(struct th *t, uint32_t len)
{
	static const uint8_t bytes[1 << 20];

	cr_assert_eq(hf_tcp_send(t->tcp, t->conn, bytes, len, NULL, false), 0);
	th_flush(t);
}

static inline const struct hf_tcp_emit *th_syn(struct th *t)
{
	cr_assert_eq(th_in(t, HF_TCP_SYN, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags, HF_TCP_SYN | HF_TCP_ACK);
	t->iss = t->out[0].seq;
	return &t->out[0];
}

static inline void th_open_mss(struct th *t, uint16_t mss)
{
	uint8_t opt[4] = { 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss };

	t->opt = opt;
	t->opt_len = 4;
	th_syn(t);
	t->opt_len = 0;
	t->opt = NULL;
	t->now_us += 10000;
	cr_assert_eq(th_in(t, HF_TCP_ACK, 0, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->events, HF_TCP_EV_OPEN);
	cr_assert_not_null(t->conn);
	cr_assert_eq(t->out_count, 0);
}

/* A stack with one established connection. */
static inline void th_open(struct th *t)
{
	th_init(t);
	th_start(t);
	th_open_mss(t, TH_MSS);
}

static inline void th_done(struct th *t)
{
	hf_tcp_free(t->tcp);
}

static inline uint32_t th_out_seq(const struct th *t, uint32_t i)
{
	cr_assert_lt(i, t->out_count);
	return t->out[i].seq - t->iss - 1;
}

static inline uint32_t th_out_ack(const struct th *t, uint32_t i)
{
	cr_assert_lt(i, t->out_count);
	return t->out[i].ack - TH_IRS - 1;
}

static inline void th_expect_ack(const struct th *t, uint32_t ack)
{
	cr_assert_eq(t->out_count, 1, "%u segments instead of one ACK", t->out_count);
	cr_assert_eq(t->out[0].flags, HF_TCP_ACK);
	cr_assert_eq(t->out[0].len, 0);
	cr_assert_eq(th_out_ack(t, 0), ack);
}

static inline uint64_t th_drops(enum hf_drop reason)
{
	return atomic_load(&hf_stat_own->drop[reason]);
}

static inline uint64_t th_stat(enum hf_stat id)
{
	return atomic_load(&hf_stat_own->stat[id]);
}

static inline const char *th_state(const struct hf_tcp *tcp)
{
	struct hf_tcp_info info;
	uint32_t cursor = 0;

	return hf_tcp_conn_next((struct hf_tcp *)tcp, &cursor, &info) ? info.state : "none";
}

/* We open: to the peer that th_seg speaks for. */
static inline int th_open_try(struct th *t, const struct hf_path *path)
{
	struct hf_ip local, peer;

	th_ip(&local, 2);
	th_ip(&peer, 1);
	return hf_tcp_connect(t->tcp, &local, TH_PORT, &peer, t->sport, path, &t->conn);
}

static inline const struct hf_tcp_emit *th_open_syn(struct th *t)
{
	struct hf_path path = { .mtu = 1500, .cut = t->cut, .tso_max = t->tso_max };

	cr_assert_eq(th_open_try(t, &path), 0);
	th_flush(t);
	cr_assert_eq(t->out_count, 1);
	cr_assert_eq(t->out[0].flags, HF_TCP_SYN);
	t->iss = t->out[0].seq;
	return &t->out[0];
}

/* What a SYN asks for beside its MSS. */
enum th_sack_want { TH_SACK = 1, TH_TS = 2, TH_WS = 4, TH_ECN = 8 };

#define TH_SACK_MAX 4

static inline uint32_t th_sack_put(uint8_t *at, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(word >> (24 - 8 * i));
	return 4;
}

/* The options of the next segments: timestamps, if negotiated, and blocks of the stack's bytes. */
static inline void th_sack_opts(struct th *t, uint32_t count, const uint32_t (*block)[2])
{
	uint32_t n = 0;

	cr_assert_leq(count, TH_SACK_MAX);
	if (t->sack_on & TH_TS) {
		n += th_sack_put(t->sack_buf + n, 0x0101080a);
		n += th_sack_put(t->sack_buf + n, (uint32_t)(t->now_us / 1000));
		n += th_sack_put(t->sack_buf + n, t->ts_ecr);
	}
	if (count > 0)
		n += th_sack_put(t->sack_buf + n, 0x01010500 + 2 + 8 * count);
	for (uint32_t i = 0; i < count; i++) {
		n += th_sack_put(t->sack_buf + n, t->iss + 1 + block[i][0]);
		n += th_sack_put(t->sack_buf + n, t->iss + 1 + block[i][1]);
	}
	t->opt = t->sack_buf;
	t->opt_len = (uint8_t)n;
}

/* ACK with up to two blocks; an end of 0: none. */
static inline int th_sack_ack2(
	struct th *t, uint32_t ack, uint32_t start, uint32_t end, uint32_t start2, uint32_t end2)
{
	const uint32_t block[2][2] = { { start, end }, { start2, end2 } };

	th_sack_opts(t, (end != 0) + (end2 != 0), block);
	return th_in(t, HF_TCP_ACK, 0, ack, NULL);
}

static inline int th_sack_ack(struct th *t, uint32_t ack, uint32_t start, uint32_t end)
{
	return th_sack_ack2(t, ack, start, end, 0, 0);
}

/* TSval of an emit. */
static inline uint32_t th_ts_val(const struct th *t, uint32_t i)
{
	const uint8_t *opt = t->out[i].opt;

	cr_assert_lt(i, t->out_count);
	cr_assert(t->out[i].opt_len >= 12 && opt[2] == 8 && opt[3] == 10);
	return (uint32_t)opt[4] << 24 | (uint32_t)opt[5] << 16 | (uint32_t)opt[6] << 8 | opt[7];
}

/* An established connection that negotiated `want`; the round trip took 10 ms. */
static inline void th_sack_connect(struct th *t, uint32_t want)
{
	uint8_t ecn = want & TH_ECN ? HF_TCP_ECE | HF_TCP_CWR : 0;
	uint8_t *opt = t->sack_buf;
	uint32_t n = th_sack_put(opt, 0x02040000 + TH_MSS);

	if (want & TH_SACK)
		n += th_sack_put(opt + n, 0x01010402);
	if (want & TH_WS)
		n += th_sack_put(opt + n, 0x01030307);
	if (want & TH_TS) {
		n += th_sack_put(opt + n, 0x0101080a);
		n += th_sack_put(opt + n, (uint32_t)(t->now_us / 1000));
		n += th_sack_put(opt + n, 0);
	}
	t->sack_on = (uint8_t)want;
	t->opt = opt;
	t->opt_len = (uint8_t)n;
	cr_assert_eq(th_in(t, HF_TCP_SYN | ecn, UINT32_MAX, 0, NULL), HF_DROP_NONE);
	cr_assert_eq(t->out_count, 1);
	t->iss = t->out[0].seq;
	cr_assert_eq(t->out[0].flags, HF_TCP_SYN | HF_TCP_ACK | (ecn ? HF_TCP_ECE : 0));
	if (want & TH_TS)
		t->ts_ecr = (uint32_t)t->out[0].opt[8] << 24 | (uint32_t)t->out[0].opt[9] << 16 |
			    (uint32_t)t->out[0].opt[10] << 8 | t->out[0].opt[11];
	t->now_us += 10000;
	cr_assert_eq(th_sack_ack(t, 0, 0, 0), HF_DROP_NONE);
	cr_assert_eq(t->events, HF_TCP_EV_OPEN);
}

static inline void th_sack_open(struct th *t, uint32_t want)
{
	th_init(t);
	th_start(t);
	th_sack_connect(t, want);
}

/* All that left are `count` segments of `len` bytes from seq on. */
static inline void th_sack_expect(const struct th *t, uint32_t count, uint32_t seq, uint32_t len)
{
	cr_assert_eq(t->out_count, count, "%u segments instead of %u", t->out_count, count);
	for (uint32_t i = 0; i < count; i++) {
		cr_assert_eq(
			th_out_seq(t, i), seq + i * len, "segment %u: %u", i, th_out_seq(t, i));
		cr_assert_eq(t->out[i].len, len, "segment %u: %u bytes", i, t->out[i].len);
	}
}

/* A router says that the segment which began at `seq` in a packet of ip_len bytes was too large. */
static inline int th_icmp_too_big(struct th *t, uint32_t seq, uint32_t mtu, uint16_t ip_len)
{
	struct hf_tcp_icmp icmp = { .peer_port = t->sport,
		.local_port = TH_PORT,
		.seq = t->iss + 1 + seq,
		.mtu = mtu,
		.ip_len = ip_len,
		.too_big = true };
	int drop;

	th_ip(&icmp.peer, 1);
	th_ip(&icmp.local, 2);
	hf_tcp_emits_done(t->tcp);
	t->events = 0;
	drop = hf_tcp_icmp(t->tcp, &icmp, t->now_us);
	th_events(t);
	hf_tcp_flush(t->tcp, t->now_us);
	th_see(t);
	return drop;
}

#endif
