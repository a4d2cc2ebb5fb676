/* SPDX-License-Identifier: BSD-3-Clause
 *
 * When something runs out: who goes first, who is told, and that it goes on afterwards.
 */
#include "tcp_helper.h"

#include <errno.h>

/* Connections by the port of their peer, 1 and so on; NULL when told CLOSED. */
#define SHED_CONNS 40

struct shed {
	struct th t;
	struct hf_tcp_conn *conn[SHED_CONNS];
	uint32_t iss[SHED_CONNS];
	uint32_t closed; /* events since shed_next */
	uint16_t last;   /* to be told */
};

static void shed_events(struct shed *s)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(s->t.tcp, &event)) {
		s->t.events |= event.what;
		if (event.what & HF_TCP_EV_OPEN)
			s->t.conn = event.conn;
		if (!(event.what & HF_TCP_EV_CLOSED))
			continue;
		s->closed++;
		for (uint16_t i = 0; i < SHED_CONNS; i++) {
			if (s->conn[i] == event.conn) {
				s->conn[i] = NULL;
				s->last = i;
			}
		}
	}
}

static int shed_in(struct shed *s, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct hf_tcp_seg seg;
	int drop;

	s->t.sport = port;
	s->t.iss = s->iss[port];
	seg = th_seg(&s->t, flags, seq, ack, NULL, 0);
	hf_tcp_emits_done(s->t.tcp);
	s->t.events = 0;
	s->closed = 0;
	drop = hf_tcp_input(s->t.tcp, &seg, s->t.now_us);
	shed_events(s);
	hf_tcp_input_end(s->t.tcp);
	shed_events(s);
	th_see(&s->t);
	return drop;
}

/* A SYN that is answered, by cookie perhaps. */
static void shed_syn(struct shed *s, uint16_t port)
{
	cr_assert_eq(shed_in(s, port, HF_TCP_SYN, UINT32_MAX, 0), HF_DROP_NONE);
	cr_assert_eq(s->t.out_count, 1);
	s->iss[port] = s->t.out[0].seq;
}

static void shed_open(struct shed *s, uint16_t port)
{
	shed_syn(s, port);
	cr_assert_eq(shed_in(s, port, HF_TCP_ACK, 0, 0), HF_DROP_NONE);
	cr_assert(s->t.events & HF_TCP_EV_OPEN);
	s->conn[port] = s->t.conn;
	hf_tcp_user_set(s->t.conn, &s->conn[port]);
}

static void shed_close(struct shed *s, uint16_t port)
{
	hf_tcp_close(s->t.tcp, s->conn[port]);
	s->conn[port] = NULL;
	th_flush(&s->t);
}

static void shed_time_wait(struct shed *s, uint16_t port)
{
	shed_close(s, port);
	shed_in(s, port, HF_TCP_ACK | HF_TCP_FIN, 0, 1);
}

/* The peer shuts its window; a probe goes out. */
static void shed_stall(struct shed *s, uint16_t port)
{
	s->t.wnd = 0;
	shed_in(s, port, HF_TCP_ACK, 0, 0);
	s->t.wnd = 65535;
	cr_assert_eq(hf_tcp_send(s->t.tcp, s->conn[port], "x", 1, NULL, false), 0);
	th_flush(&s->t);
	s->t.now_us += 1500000;
	for (int i = 0; i < 4; i++)
		hf_tcp_tick(s->t.tcp, s->t.now_us);
	shed_events(s);
	cr_assert_eq(s->conn[port]->place, TCP_PLACE_STALLED);
}

static const char *shed_state(struct shed *s, uint16_t port)
{
	struct hf_tcp_info info;
	uint32_t cursor = 0;

	while (hf_tcp_conn_next(s->t.tcp, &cursor, &info)) {
		if (info.peer_port == port)
			return info.state;
	}
	return "none";
}

/* 16 connections of which `free` are not used; the reserve is one. */
static void shed_start(struct shed *s)
{
	memset(s, 0, sizeof(*s));
	th_init(&s->t);
	s->t.cfg.keepalive_ms = 0;
	th_start(&s->t);
	cr_assert_eq(s->t.tcp->conns_low, 1);
}

Test(tcp_shed, time_wait_first_then_idle_then_stalled_then_closed_the_oldest_of_each)
{
	static const uint16_t order[] = { 7, 8, 5, 6, 3, 4, 1, 2 };
	struct shed s;
	uint16_t port;

	shed_start(&s);
	for (port = 1; port <= 15; port++)
		shed_open(&s, port);
	shed_close(&s, 1);
	shed_close(&s, 2);
	shed_stall(&s, 3);
	shed_stall(&s, 4);
	hf_tcp_idle_set(s.t.tcp, s.conn[5], true);
	hf_tcp_idle_set(s.t.tcp, s.conn[6], true);
	shed_time_wait(&s, 7);
	shed_time_wait(&s, 8);
	for (size_t i = 0; i < HF_ARRAY_LEN(order); i++) {
		bool told = order[i] >= 3 && order[i] <= 6;

		cr_assert_str_neq(shed_state(&s, order[i]), "none", "%zu", i);
		shed_open(&s, (uint16_t)(20 + i));
		cr_assert_str_eq(shed_state(&s, order[i]), "none", "%u is next", order[i]);
		cr_assert_eq(s.closed, told);
		if (told)
			cr_assert_eq(s.last, order[i]);
		cr_assert_eq(hf_tcp_conn_count(s.t.tcp), 15);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_SHED), 6, "TIME-WAIT is no loss");
	/* nobody is left who may be shed: the reserve, and then no more */
	shed_open(&s, 30);
	shed_syn(&s, 31);
	cr_assert_eq(shed_in(&s, 31, HF_TCP_ACK, 0, 0), HF_DROP_CONN_FULL);
	cr_assert_eq(s.closed, 0);
	for (port = 9; port <= 15; port++)
		cr_assert_str_eq(shed_state(&s, port), "ESTABLISHED");
	hf_tcp_abort(s.t.tcp, s.conn[9]);
	cr_assert_eq(shed_in(&s, 31, HF_TCP_ACK, 0, 0), HF_DROP_NONE, "again");
	th_done(&s.t);
}

Test(tcp_shed, who_is_shed_gets_rst_but_time_wait)
{
	struct shed s;

	shed_start(&s);
	for (uint16_t port = 1; port <= 15; port++)
		shed_open(&s, port);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], true);
	shed_syn(&s, 20);
	shed_in(&s, 20, HF_TCP_ACK, 0, 0);
	cr_assert_eq(s.t.out_count, 1);
	cr_assert_eq(s.t.out[0].flags, HF_TCP_RST | HF_TCP_ACK);
	cr_assert_eq(s.t.out[0].dport, 1);
	cr_assert_eq(s.t.out[0].seq, s.iss[1] + 1);
	shed_time_wait(&s, 2);
	shed_syn(&s, 21);
	shed_in(&s, 21, HF_TCP_ACK, 0, 0);
	cr_assert_eq(s.t.out_count, 0);
	th_done(&s.t);
}

Test(tcp_shed, the_longest_idle_goes_first_and_data_makes_busy)
{
	struct hf_tcp_seg seg;
	struct shed s;

	shed_start(&s);
	for (uint16_t port = 1; port <= 4; port++)
		shed_open(&s, port);
	cr_assert_null(hf_tcp_idle_oldest(s.t.tcp));
	for (uint16_t port = 1; port <= 3; port++)
		hf_tcp_idle_set(s.t.tcp, s.conn[port], true);
	cr_assert_eq(hf_tcp_idle_oldest(s.t.tcp), &s.conn[1]);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], false);
	cr_assert_eq(hf_tcp_idle_oldest(s.t.tcp), &s.conn[2]);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], true);
	cr_assert_eq(hf_tcp_idle_oldest(s.t.tcp), &s.conn[2]);
	s.t.sport = 2;
	s.t.iss = s.iss[2];
	seg = th_seg(&s.t, HF_TCP_ACK, 0, 0, "GET", 3);
	hf_tcp_input(s.t.tcp, &seg, s.t.now_us);
	cr_assert_eq(hf_tcp_idle_oldest(s.t.tcp), &s.conn[3], "a request begins");
	shed_events(&s);
	hf_tcp_input_end(s.t.tcp);
	hf_tcp_idle_set(s.t.tcp, s.conn[3], false);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], false);
	cr_assert_null(hf_tcp_idle_oldest(s.t.tcp));
	hf_tcp_idle_set(s.t.tcp, s.conn[1], false);
	hf_tcp_check(s.t.tcp);
	th_done(&s.t);
}

Test(tcp_shed, who_opens_actively_makes_room_too)
{
	struct hf_path path = { .mtu = 1500 };
	struct shed s;

	shed_start(&s);
	for (uint16_t port = 1; port <= 15; port++)
		shed_open(&s, port);
	hf_tcp_idle_set(s.t.tcp, s.conn[3], true);
	s.t.sport = 20;
	cr_assert_eq(th_open_try(&s.t, &path), 0);
	s.closed = 0;
	shed_events(&s);
	cr_assert_eq(s.closed, 1);
	cr_assert_eq(s.last, 3);
	s.t.sport = 21;
	cr_assert_eq(th_open_try(&s.t, &path), 0, "the reserve");
	s.t.sport = 22;
	cr_assert_eq(th_open_try(&s.t, &path), -ENOSPC);
	hf_tcp_check(s.t.tcp);
	th_done(&s.t);
}

Test(tcp_shed, a_syn_flood_sheds_nobody)
{
	struct shed s;

	shed_start(&s);
	for (uint16_t port = 1; port <= 3; port++)
		shed_open(&s, port);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], true);
	shed_time_wait(&s, 2);
	for (uint16_t port = 1000; port < 3000; port++) {
		s.t.sport = port;
		th_syn(&s.t);
	}
	cr_assert_eq(s.t.tcp->syn_count, s.t.cfg.syn_queue_max);
	cr_assert_eq(hf_tcp_conn_count(s.t.tcp), 3 + s.t.cfg.syn_queue_max);
	cr_assert_str_eq(shed_state(&s, 1), "ESTABLISHED");
	cr_assert_str_eq(shed_state(&s, 2), "TIME-WAIT");
	th_tick(&s.t, 21000000);
	cr_assert_eq(s.t.tcp->syn_count, 0);
	th_done(&s.t);
}

Test(tcp_shed, data_of_who_is_shed_is_let_go)
{
	struct shed s;

	shed_start(&s);
	for (uint16_t port = 1; port <= 15; port++)
		shed_open(&s, port);
	cr_assert_eq(hf_tcp_send(s.t.tcp, s.conn[1], "abc", 3, NULL, false), 0);
	hf_tcp_idle_set(s.t.tcp, s.conn[1], true);
	cr_assert_eq(s.t.tcp->spans.used, 1);
	shed_open(&s, 20);
	cr_assert_eq(s.last, 1);
	cr_assert_eq(s.t.tcp->spans.used, 0);
	cr_assert_eq(s.t.tcp->txs.used, 0);
	th_done(&s.t);
}

Test(tcp_shed, an_open_that_was_never_fetched_is_never_told)
{
	struct hf_tcp_event event;
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	hf_tcp_input_end(t.tcp);
	seg = th_seg(&t, HF_TCP_RST, 0, 0, NULL, 0);
	hf_tcp_input(t.tcp, &seg, t.now_us);
	cr_assert_not(hf_tcp_next_event(t.tcp, &event));
	hf_tcp_input_end(t.tcp);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	th_done(&t);
}

Test(tcp_shed, a_deadline_comes_once_and_can_be_taken_back)
{
	struct th t;

	th_open(&t);
	hf_tcp_deadline_set(t.tcp, t.conn, 1000000);
	th_tick(&t, 998000);
	cr_assert_eq(t.events, 0);
	th_tick(&t, 3000);
	cr_assert_eq(t.events, HF_TCP_EV_DEADLINE);
	th_tick(&t, 5000000);
	cr_assert_eq(t.events, 0);
	hf_tcp_deadline_set(t.tcp, t.conn, 1000);
	hf_tcp_deadline_set(t.tcp, t.conn, 0);
	th_tick(&t, 1000000);
	cr_assert_eq(t.events, 0);
	hf_tcp_deadline_set(t.tcp, t.conn, 1000);
	hf_tcp_deadline_set(t.tcp, t.conn, 2000000);
	th_tick(&t, 1000000);
	cr_assert_eq(t.events, 0, "the later one holds");
	th_tick(&t, 1100000);
	cr_assert_eq(t.events, HF_TCP_EV_DEADLINE);
	th_done(&t);
}

Test(tcp_shed, a_deadline_that_came_up_and_was_not_fetched_can_be_taken_back)
{
	struct hf_tcp_event event;
	struct th t;

	th_open(&t);
	hf_tcp_deadline_set(t.tcp, t.conn, 1000);
	t.now_us += 5000;
	hf_tcp_tick(t.tcp, t.now_us);
	hf_tcp_deadline_set(t.tcp, t.conn, 0);
	cr_assert_not(hf_tcp_next_event(t.tcp, &event));
	hf_tcp_check(t.tcp);
	th_done(&t);
}

Test(tcp_shed, after_close_no_deadline_comes)
{
	struct th t;

	th_open(&t);
	hf_tcp_deadline_set(t.tcp, t.conn, 1000);
	hf_tcp_close(t.tcp, t.conn);
	t.conn = NULL;
	th_tick(&t, 1000000);
	cr_assert_eq(t.events, 0);
	th_done(&t);
}

Test(tcp_shed, out_of_spans_the_application_waits_and_is_told)
{
	static uint8_t bytes[64];
	struct hf_tcp_conn *first;
	struct th t;

	th_init(&t);
	t.cfg.spans_max = 8;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	first = t.conn;
	for (int i = 7; i >= 0; i--)
		cr_assert_eq(hf_tcp_send(t.tcp, first, bytes + 4 * i, 1, NULL, false), 0);
	th_flush(&t);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, bytes, 1, NULL, false), -EAGAIN);
	cr_assert_null(t.conn->tx, "nothing is kept for it");
	th_tick(&t, 100000);
	cr_assert_eq(t.events, 0);
	hf_tcp_abort(t.tcp, first);
	th_tick(&t, TCP_STARVED_US + 1000);
	cr_assert_eq(t.events, HF_TCP_EV_WRITABLE);
	cr_assert_gt(hf_tcp_send_space(t.tcp, t.conn), 0);
	th_send(&t, 10);
	cr_assert_eq(t.out[0].len, 10);
	th_done(&t);
}

Test(tcp_shed, out_of_buffers_bytes_come_again_later)
{
	uint32_t at = 0;
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 4;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	t.spare = UINT32_MAX;
	while (th_drops(HF_DROP_TCP_NO_RXBUF) == 0 && at < 100000) {
		th_in_len(&t, HF_TCP_ACK, at, 0, 1000);
		if (th_drops(HF_DROP_TCP_NO_RXBUF) == 0)
			at += 1000;
	}
	cr_assert_lt(at, 9000);
	cr_assert_leq(th_out_ack(&t, 0), at + 1000, "told at once how far it came");
	at = th_out_ack(&t, 0);
	cr_assert_eq(hf_tcp_unread(t.conn), at);
	t.spare = 0;
	th_read(&t);
	th_in_len(&t, HF_TCP_ACK, at, 0, 1000);
	cr_assert_eq(t.got_len, at + 1000);
	th_done(&t);
}

Test(tcp_shed, out_of_descriptors_all_goes_out_at_the_next_turns)
{
	uint32_t got = 0;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 1;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(hf_tcp_send(t.tcp, t.conn, t.got, 10000, NULL, false), 0);
	hf_tcp_close(t.tcp, t.conn);
	for (int i = 0; i < 20 && strcmp(th_state(t.tcp), "FIN-WAIT-2") != 0; i++) {
		th_flush(&t);
		cr_assert_eq(t.out_count, 1);
		cr_assert_eq(th_out_seq(&t, 0), got);
		got += t.out[0].len + !!(t.out[0].flags & HF_TCP_FIN);
		th_in(&t, HF_TCP_ACK, 0, got, NULL);
		got += t.out_count ? t.out[0].len + !!(t.out[0].flags & HF_TCP_FIN) : 0;
	}
	cr_assert_eq(got, 10001);
	th_done(&t);
}

Test(tcp_shed, out_of_descriptors_a_syn_ack_goes_out_later)
{
	struct hf_tcp_seg seg;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 1;
	th_start(&t);
	th_syn(&t);
	t.sport++;
	seg = th_seg(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL, 0);
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_NONE);
	hf_tcp_input_end(t.tcp);
	th_flush(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].flags, HF_TCP_SYN | HF_TCP_ACK);
	cr_assert_eq(t.out[0].dport, t.sport);
	seg = th_seg(&t, HF_TCP_ACK, 0, 99, NULL, 0);
	seg.dport = 81;
	cr_assert_eq(hf_tcp_input(t.tcp, &seg, t.now_us), HF_DROP_TCP_NO_LISTENER);
	hf_tcp_input_end(t.tcp);
	cr_assert_eq(th_stat(HF_STAT_TCP_RESETS_UNSENT), 1, "a RST is not kept");
	th_done(&t);
}

/* What a peer can make us keep. */
Test(tcp_shed, an_idle_connection_is_its_structure_and_nothing_else)
{
	struct th t;

	th_open(&t);
	th_in(&t, HF_TCP_ACK, 0, 0, "GET");
	th_send(&t, 5000);
	th_in(&t, HF_TCP_ACK, 3, 5000, NULL);
	cr_assert_eq(t.tcp->txs.used + t.tcp->spans.used + t.tcp->rxbufs.used, 0);
	th_done(&t);
}

Test(tcp_shed, bytes_behind_holes_take_a_bounded_part_of_the_buffers)
{
	struct th t;

	th_open(&t);
	for (uint32_t i = 0; i < 60000; i += 2)
		th_in_len(&t, HF_TCP_ACK, 1 + i, 0, 1);
	cr_assert_leq(t.tcp->rxbufs.used, t.tcp->ooo_max + 1);
	cr_assert_leq(t.tcp->rxbufs.used, t.tcp->rxbufs.count * 3 / 4 + 1);
	cr_assert_leq(t.conn->ooo->count, TCP_RANGES_MAX);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1);
	cr_assert_geq(t.got_len, 2);
	th_in(&t, HF_TCP_RST, t.conn->rcv_nxt - t.conn->irs - 1, 0, NULL);
	cr_assert_eq(t.tcp->rxbufs.used, 0);
	th_done(&t);
}

Test(tcp_shed, after_close_a_peer_that_reads_nothing_has_a_bounded_time)
{
	struct th t;
	int s = 0;

	th_open(&t);
	th_send(&t, 100000);
	hf_tcp_close(t.tcp, t.conn);
	t.conn = NULL;
	t.wnd = 0;
	for (; s < 60 && hf_tcp_conn_count(t.tcp); s++) {
		th_in(&t, HF_TCP_ACK, 0, 0, NULL); /* alive, and shut */
		th_tick(&t, 1000000);
	}
	cr_assert_leq(s, 21, "drain_rate: %d s", s);
	cr_assert_eq(t.tcp->spans.used, 0);
	th_done(&t);
}

/* Queues bytes that lie apart, a span each, while there is space. Returns how many. */
static uint32_t shed_spans(struct th *t)
{
	static const uint8_t bytes[2 * 1024];
	uint32_t count = 0;

	while (count < 1000 && hf_tcp_send_space(t->tcp, t->conn) > 0) {
		cr_assert_eq(
			hf_tcp_send(t->tcp, t->conn, bytes + count % 1000 * 2, 1, NULL, false), 0);
		count++;
	}
	return count;
}

Test(tcp_shed, one_reader_holds_no_more_than_its_share_of_the_spans)
{
	struct th t;

	th_init(&t);
	t.cfg.spans_max = 4096;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(shed_spans(&t), 63, "a 64th of what is left");
	cr_assert_eq(hf_tcp_send_space(t.tcp, t.conn), 0);
	th_flush(&t);
	th_in(&t, HF_TCP_ACK, 0, 63, NULL);
	cr_assert(t.events & HF_TCP_EV_WRITABLE);
	cr_assert_gt(hf_tcp_send_space(t.tcp, t.conn), 0);
	th_done(&t);
}

Test(tcp_shed, the_longest_stalled_goes_when_spans_are_low)
{
	struct hf_tcp_event event;
	struct hf_tcp_conn *slow;
	struct th t;

	th_init(&t);
	t.cfg.spans_max = 32; /* low at 12 */
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	slow = t.conn;
	cr_assert_eq(shed_spans(&t), 16);
	th_flush(&t);
	for (int i = 0; i < 10; i++) /* it never answers */
		th_tick(&t, 100000);
	cr_assert_geq(slow->tx->backoff, 2);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_neq(t.conn, slow);
	cr_assert_eq(shed_spans(&t), 16, "4, then they are low, and what it held is free at once");
	cr_assert(hf_tcp_next_event(t.tcp, &event));
	cr_assert_eq(event.conn, slow);
	cr_assert_eq(event.what, HF_TCP_EV_CLOSED);
	cr_assert_eq(th_stat(HF_STAT_TCP_SHED), 1);
	th_done(&t);
}

/* ---- the last eighth of the spans ---- */

#define CROWD 24

/* Of 256 spans 96 are left, low at 64: a crowd of connections that acknowledge nothing has taken the rest.
 * Returns how many. */
static uint32_t shed_crowd(struct th *t)
{
	uint32_t count = 0;

	th_init(t);
	t->cfg.conns_max = 64;
	t->cfg.emits_max = 1024;
	th_start(t);
	for (; t->tcp->spans.used < 160; count++) {
		t->sport++;
		th_open_mss(t, TH_MSS);
		cr_assert_gt(shed_spans(t), 2);
		th_flush(t);
	}
	cr_assert_eq(hf_pool_free_count(&t->tcp->spans), t->tcp->spans_reserve);
	return count;
}

/* All that this peer was sent is acknowledged. */
static void shed_ack(struct th *t)
{
	th_flush(t);
	th_in(t, HF_TCP_ACK, 0, t->conn->snd_nxt - t->iss - 1, NULL);
}

Test(tcp_shed, of_the_reserve_a_newcomer_gets_two_spans_and_gets_on_as_it_acknowledges)
{
	struct th t;

	shed_crowd(&t);
	for (int i = 0; i < 16; i++) {
		t.sport++;
		th_open_mss(&t, TH_MSS);
		cr_assert_eq(shed_spans(&t), 2, "newcomer %d", i);
		if (i % 2)
			continue; /* half of them are of the crowd */
		for (int k = 0; k < 20; k++) {
			shed_ack(&t);
			cr_assert(t.events & HF_TCP_EV_WRITABLE);
			cr_assert_eq(shed_spans(&t), 2);
		}
		shed_ack(&t);
	}
	cr_assert_eq(th_stat(HF_STAT_TCP_SHED), 0);
	th_done(&t);
}

Test(tcp_shed, who_holds_something_leaves_the_reserve_to_newcomers)
{
	struct hf_tcp_conn *holder;
	struct th t, after;

	shed_crowd(&t);
	holder = t.conn;
	after = t;
	after.sport++;
	th_open_mss(&after, TH_MSS);
	cr_assert_eq(shed_spans(&after), 2);
	th_in(&t, HF_TCP_ACK, 0, 1, NULL); /* of the 16 */
	cr_assert_eq(hf_tcp_send_space(t.tcp, holder), 0);
	th_tick(&t, 100000);
	cr_assert_eq(t.events & HF_TCP_EV_WRITABLE, 0, "and does not ask again");
	th_done(&t);
}

Test(tcp_shed, without_a_reserve_too_a_newcomer_takes_the_place_of_the_longest_stalled)
{
	uint32_t crowd;
	struct th t;

	crowd = shed_crowd(&t);
	while (hf_pool_free_count(&t.tcp->spans) > t.tcp->spans_low) {
		t.sport++;
		th_open_mss(&t, TH_MSS);
		cr_assert_eq(shed_spans(&t), 2);
		th_flush(&t);
		crowd++;
	}
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(shed_spans(&t), 0, "nobody has stalled yet");
	for (int i = 0; i < 20; i++) {
		struct hf_tcp_conn *conn = t.conn;

		th_tick(&t, 100000);
		t.conn = conn;
	}
	cr_assert_eq(hf_tcp_conn_count(t.tcp), crowd + 1);
	cr_assert_gt(shed_spans(&t), 0);
	cr_assert_geq(th_stat(HF_STAT_TCP_SHED), 1);
	th_done(&t);
}

Test(tcp_shed, spans_are_back_when_those_who_held_them_are_gone)
{
	struct hf_tcp_conn *crowd[CROWD];
	uint32_t count;
	struct th t;

	th_init(&t);
	t.cfg.conns_max = 64;
	t.cfg.emits_max = 1024;
	th_start(&t);
	for (count = 0; count < CROWD; count++) {
		t.sport++;
		th_open_mss(&t, TH_MSS);
		crowd[count] = t.conn;
		(void)shed_spans(&t);
		th_flush(&t);
	}
	cr_assert_leq(hf_pool_free_count(&t.tcp->spans), t.tcp->spans_reserve);
	while (count > 0)
		hf_tcp_abort(t.tcp, crowd[--count]);
	hf_tcp_check(t.tcp);
	cr_assert_eq(t.tcp->spans.used, 0);
	t.sport++;
	th_open_mss(&t, TH_MSS);
	cr_assert_eq(shed_spans(&t), 16, "the usual share");
	th_done(&t);
}
