/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The path's MTU: ICMP messages, true and forged, paths that say nothing, and time.
 */
#include "tcp_helper.h"

#define BAD HF_DROP_ICMP_BAD_QUOTE

/* Three segments of 1460 bytes are in flight. */
static void pmtu_open(struct th *t)
{
	th_open(t);
	th_send(t, 3 * 1460);
	th_sack_expect(t, 3, 0, 1460);
}

static void pmtu_ip6(struct hf_ip *ip, uint8_t last)
{
	*ip = (struct hf_ip){ { 0x20, 1, 0xd, 0xb8, [15] = last } };
}

/* ESTABLISHED with an IPv6 peer, 1440 bytes a segment; `len` bytes are in flight. */
static void pmtu_open6(struct th *t, uint32_t len)
{
	static const uint8_t opt[] = { 2, 4, 1440 >> 8, 1440 & 255 };
	struct hf_tcp_seg seg;

	th_init(t);
	th_start(t);
	for (int i = 0; i < 2; i++) {
		seg = th_seg(t, i ? HF_TCP_ACK : HF_TCP_SYN, i ? 0 : UINT32_MAX, 0, NULL, 0);
		pmtu_ip6(&seg.src, 1);
		pmtu_ip6(&seg.dst, 2);
		seg.opt = opt;
		seg.opt_len = i ? 0 : 4;
		cr_assert_eq(th_in_seg(t, &seg), HF_DROP_NONE);
		if (i == 0)
			t->iss = t->out[0].seq;
	}
	cr_assert_eq(t->conn->mss, 1440);
	th_send(t, len);
}

static int pmtu_icmp6(struct th *t, uint32_t mtu)
{
	struct hf_tcp_icmp icmp = { .peer_port = t->sport,
		.local_port = TH_PORT,
		.seq = t->iss + 1,
		.mtu = mtu,
		.ip_len = 1500,
		.too_big = true };
	int drop;

	pmtu_ip6(&icmp.peer, 1);
	pmtu_ip6(&icmp.local, 2);
	hf_tcp_emits_done(t->tcp);
	drop = hf_tcp_icmp(t->tcp, &icmp, t->now_us);
	hf_tcp_flush(t->tcp, t->now_us);
	th_see(t);
	return drop;
}

Test(tcp_pmtu, rfc1191_s3_a_smaller_mtu_is_used_at_once_and_is_no_congestion)
{
	uint32_t cwnd;
	struct th t;

	pmtu_open(&t);
	cwnd = t.conn->tx->cc.cwnd;
	cr_assert_eq(th_icmp_too_big(&t, 1460, 1400, 1500), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 1360);
	cr_assert_eq(t.conn->pmtu, 1400);
	/* RFC 8201 §4: what was too large goes out again, in pieces that fit */
	cr_assert_eq(t.out_count, 6);
	for (uint32_t i = 0; i < 6; i += 2) {
		cr_assert_eq(th_out_seq(&t, i), i / 2 * 1460);
		cr_assert_eq(t.out[i].len, 1360);
		cr_assert_eq(t.out[i + 1].len, 100);
		cr_assert_not(t.out[i].may_fragment);
	}
	cr_assert_eq(t.conn->tx->cc.cwnd, cwnd);
	cr_assert_eq(t.conn->tx->backoff, 0);
	cr_assert_eq(th_stat(HF_STAT_TCP_PMTU_REDUCED), 1);
	th_in(&t, HF_TCP_ACK, 0, 3 * 1460, NULL);
	cr_assert_geq(t.conn->cwnd, cwnd);
	th_send(&t, 2720);
	th_sack_expect(&t, 2, 3 * 1460, 1360);
	th_done(&t);
}

Test(tcp_pmtu, rfc5927_s4_1_only_what_is_in_flight_can_be_quoted)
{
	static const uint32_t seqs[] = { UINT32_MAX, 3 * 1460, 100000, 0x80000000 };
	struct th t;

	pmtu_open(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(seqs); i++)
		cr_assert_eq(th_icmp_too_big(&t, seqs[i], 1400, 1500), BAD, "%zu", i);
	cr_assert_eq(t.conn->mss, 1460);
	cr_assert_eq(t.out_count, 0);
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), BAD, "acknowledged: it arrived");
	cr_assert_eq(th_icmp_too_big(&t, 1460, 1400, 1500), HF_DROP_NONE);
	th_done(&t);
}

Test(tcp_pmtu, nothing_in_flight_or_no_connection_is_a_bad_quote)
{
	struct hf_tcp_icmp icmp = { .too_big = true, .mtu = 1400, .ip_len = 1500 };
	struct th t;

	th_open(&t);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), BAD);
	cr_assert_eq(th_icmp_too_big(&t, UINT32_MAX, 1400, 1500), BAD);
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), BAD);
	cr_assert_eq(th_drops(BAD), 3);
	th_done(&t);
}

Test(tcp_pmtu, a_syn_is_never_too_big)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_syn(&t);
	cr_assert_eq(th_icmp_too_big(&t, UINT32_MAX, 500, 1500), BAD);
	th_done(&t);
	th_start(&t);
	th_open_syn(&t);
	cr_assert_eq(th_icmp_too_big(&t, UINT32_MAX, 500, 1500), BAD);
	th_done(&t);
}

Test(tcp_pmtu, rfc5927_s7_what_fits_was_not_too_big)
{
	struct th t;

	th_open(&t);
	th_send(&t, 500);
	cr_assert_eq(th_icmp_too_big(&t, 0, 540, 540), BAD, "it had 540 bytes");
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), BAD);
	cr_assert_eq(t.conn->mss, 1460);
	th_in(&t, HF_TCP_ACK, 0, 500, NULL);
	th_send(&t, 1460);
	cr_assert_eq(th_icmp_too_big(&t, 500, 1500, 1500), BAD, "nor 1500 for 1500");
	cr_assert_eq(th_icmp_too_big(&t, 500, 9000, 1500), BAD);
	cr_assert_eq(th_icmp_too_big(&t, 500, 1499, 1500), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 1459);
	th_done(&t);
}

Test(tcp_pmtu, rfc1191_s3_an_mtu_below_68_is_a_lie)
{
	struct th t;

	pmtu_open(&t);
	cr_assert_eq(th_icmp_too_big(&t, 0, 67, 1500), BAD);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1, 1500), BAD);
	cr_assert_eq(t.conn->mss, 1460);
	th_done(&t);
}

Test(tcp_pmtu, the_same_message_again_changes_nothing)
{
	uint32_t lost;
	struct th t;

	pmtu_open(&t);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), HF_DROP_NONE);
	lost = t.conn->retransmits;
	cr_assert_eq(th_icmp_too_big(&t, 1460, 1400, 1500), BAD, "a router says it of each");
	cr_assert_eq(th_icmp_too_big(&t, 2920, 1450, 1500), BAD, "never larger again");
	cr_assert_eq(t.out_count, 0);
	cr_assert_eq(t.conn->retransmits, lost);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1300, 1400), HF_DROP_NONE, "a second narrow place");
	cr_assert_eq(t.conn->mss, 1260);
	th_done(&t);
}

Test(tcp_pmtu, below_552_ipv4_may_fragment_and_segments_stay_that_large)
{
	struct th t;

	pmtu_open(&t);
	cr_assert_eq(th_icmp_too_big(&t, 0, 300, 1500), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 512);
	cr_assert_gt(t.out_count, 0);
	for (uint32_t i = 0; i < t.out_count; i++) {
		cr_assert_leq(t.out[i].len, 512);
		cr_assert(t.out[i].may_fragment);
	}
	cr_assert_eq(th_icmp_too_big(&t, 0, 296, 552), BAD, "nothing more can be done");
	th_done(&t);
}

Test(tcp_pmtu, segments_of_552_that_are_too_large_may_be_cut_too)
{
	struct th t;

	pmtu_open(&t);
	cr_assert_eq(th_icmp_too_big(&t, 0, 552, 1500), HF_DROP_NONE);
	cr_assert_not(t.out[0].may_fragment);
	cr_assert_eq(th_icmp_too_big(&t, 0, 300, 552), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 512);
	th_tick(&t, 2000000);
	cr_assert_gt(t.out_count, 0);
	cr_assert(t.out[0].may_fragment);
	th_done(&t);
}

Test(tcp_pmtu, rfc1191_s5_without_an_mtu_the_next_plateau)
{
	static const uint16_t plateau[] = { 1492, 1006, 552 };
	uint16_t ip_len = 1500;
	struct th t;

	pmtu_open(&t);
	for (size_t i = 0; i < HF_ARRAY_LEN(plateau); i++) {
		cr_assert_eq(th_icmp_too_big(&t, 0, 0, ip_len), HF_DROP_NONE, "%zu", i);
		cr_assert_eq(t.conn->mss + 40, plateau[i]);
		cr_assert_eq(th_icmp_too_big(&t, 1460, 0, ip_len), BAD,
			"about what was sent before the reduction");
		ip_len = plateau[i];
	}
	cr_assert(tcp_has(t.conn, TCP_F_MAY_FRAGMENT), "508 was the plateau");
	th_done(&t);
}

Test(tcp_pmtu, rfc1191_s5_a_quoted_length_beyond_what_was_sent_counts_as_what_was)
{
	struct th t;

	th_init(&t);
	th_start(&t);
	th_open_mss(&t, 1006 - 40);
	th_send(&t, 1006 - 40);
	/* 4.2BSD adds the header's length to it: not the plateau of 1006 again */
	cr_assert_eq(th_icmp_too_big(&t, 0, 0, 1026), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss + 40, 552);
	th_done(&t);
}

Test(tcp_pmtu, rfc8201_s4_below_1280_is_no_mtu_for_ipv6)
{
	struct th t;

	pmtu_open6(&t, 2880);
	cr_assert_eq(pmtu_icmp6(&t, 1279), BAD);
	cr_assert_eq(pmtu_icmp6(&t, 68), BAD);
	cr_assert_eq(t.conn->mss, 1440);
	cr_assert_eq(pmtu_icmp6(&t, 1280), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 1220);
	cr_assert_eq(t.out_count, 4);
	cr_assert_not(t.out[0].may_fragment);
	cr_assert_eq(pmtu_icmp6(&t, 1280), BAD);
	th_done(&t);
}

Test(tcp_pmtu, rfc8201_s4_what_was_small_enough_is_not_sent_again)
{
	struct th t;

	th_open(&t);
	th_send(&t, 1460);
	th_send(&t, 100);
	th_send(&t, 1460);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), HF_DROP_NONE);
	cr_assert_eq(t.out_count, 4);
	cr_assert_eq(th_out_seq(&t, 1), 1360);
	cr_assert_eq(th_out_seq(&t, 2), 1560);
	th_in(&t, HF_TCP_ACK, 0, 1560, NULL);
	cr_assert_eq(t.conn->tx->recovery, TCP_LOSS, "until all of it arrived");
	th_in(&t, HF_TCP_ACK, 0, 3020, NULL);
	cr_assert_null(t.conn->tx);
	cr_assert_eq(th_stat(HF_STAT_TCP_RTO), 0);
	th_done(&t);
}

Test(tcp_pmtu, options_count)
{
	struct th t;

	th_sack_open(&t, TH_TS);
	th_send(&t, 1448);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 1400 - 40 - 12);
	th_done(&t);
}

Test(tcp_pmtu, a_fin_in_a_segment_is_sent_again_with_its_last_piece)
{
	struct th t;

	th_open(&t);
	th_send(&t, 1460);
	hf_tcp_close(t.tcp, t.conn);
	th_flush(&t);
	cr_assert(t.out[0].flags & HF_TCP_FIN);
	cr_assert_eq(th_icmp_too_big(&t, 0, 1400, 1500), HF_DROP_NONE);
	cr_assert_geq(t.out_count, 2);
	cr_assert_eq(t.out[0].len, 1360);
	cr_assert_eq(t.out[0].flags & HF_TCP_FIN, 0);
	cr_assert_eq(t.out[1].len, 100);
	th_in(&t, HF_TCP_ACK, 0, 1461, NULL);
	cr_assert_str_eq(th_state(t.tcp), "FIN-WAIT-2");
	th_done(&t);
}

Test(tcp_pmtu, rfc5927_s5_2_unreachable_is_a_soft_error)
{
	struct hf_tcp_icmp icmp = { .peer_port = 4000, .local_port = TH_PORT, .ip_len = 1500 };
	struct hf_tcp_info info;
	struct th t;

	pmtu_open(&t);
	th_ip(&icmp.peer, 1);
	th_ip(&icmp.local, 2);
	icmp.seq = t.iss + 1;
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), HF_DROP_NONE);
	t.events = 0;
	th_events(&t);
	th_flush(&t);
	cr_assert_eq(t.events, 0);
	cr_assert_eq(t.out_count, 0);
	cr_assert_str_eq(th_state(t.tcp), "ESTABLISHED");
	hf_tcp_info(t.tcp, t.conn, &info);
	cr_assert_eq(info.trace[info.trace_count - 1].kind, HF_TCP_TRACE_SOFT_ERROR);
	icmp.seq = t.iss + 100000;
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), BAD);
	icmp.seq = t.iss; /* arrived long ago */
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), BAD);
	th_done(&t);
}

/* Asked of every worker, the error is nobody's fault but that of the one with the connection. */
Test(tcp_pmtu, an_error_about_another_workers_connection_is_not_counted)
{
	struct hf_tcp_icmp icmp = { .peer_port = 4001, .local_port = TH_PORT, .elsewhere = true };
	struct th t;

	pmtu_open(&t);
	th_ip(&icmp.peer, 1);
	th_ip(&icmp.local, 2);
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), HF_DROP_NONE);
	cr_assert_eq(hf_drop_sum(BAD), 0);
	icmp.peer_port = 4000;
	icmp.seq = t.iss + 100000;
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), BAD);
	icmp.elsewhere = false;
	icmp.peer_port = 4001;
	cr_assert_eq(hf_tcp_icmp(t.tcp, &icmp, t.now_us), BAD);
	th_done(&t);
}

Test(tcp_pmtu, rfc8201_s4_after_ten_minutes_the_ports_mtu_is_tried_again)
{
	struct th t;

	pmtu_open(&t);
	th_icmp_too_big(&t, 0, 300, 1500);
	th_in(&t, HF_TCP_ACK, 0, 3 * 1460, NULL);
	th_tick(&t, 599ULL * 1000000);
	th_send(&t, 1000);
	cr_assert_eq(t.out[0].len, 512);
	th_in(&t, HF_TCP_ACK, 0, 3 * 1460 + 1000, NULL);
	th_tick(&t, 2000000);
	th_send(&t, 2920);
	th_sack_expect(&t, 2, 3 * 1460 + 1000, 1460);
	cr_assert_not(t.out[0].may_fragment);
	th_done(&t);
}

/* Nobody says anything: four timeouts in a row, then smaller, and so on. */
Test(tcp_pmtu, rfc4821_s7_7_a_black_hole_is_left_by_smaller_segments)
{
	uint32_t timeouts = 0, last = 1460;
	struct th t;

	th_init(&t);
	t.cfg.user_timeout_ms = 1000000;
	th_start(&t);
	th_open_mss(&t, TH_MSS);
	th_send(&t, 1460);
	for (int i = 0; i < 3000 && last > 512; i++) {
		th_tick(&t, 100000);
		if (t.out_count == 0)
			continue;
		timeouts++;
		cr_assert_leq(t.out[0].len, last);
		if (t.out[0].len < last && last == 1460) {
			cr_assert_eq(timeouts, 4);
			cr_assert_eq(t.out[0].len, 1360);
		}
		last = t.out[0].len;
	}
	cr_assert_eq(last, 512);
	cr_assert_eq(timeouts, 6);
	cr_assert_eq(th_stat(HF_STAT_TCP_BLACK_HOLES), 3);
	th_in(&t, HF_TCP_ACK, 0, 1460, NULL);
	th_send(&t, 512);
	cr_assert_eq(t.out[0].len, 512, "and it stays that small");
	th_done(&t);
}

Test(tcp_pmtu, timeouts_of_small_segments_say_nothing_about_the_path)
{
	struct th t;

	th_open(&t);
	th_send(&t, 100);
	for (int i = 0; i < 300; i++)
		th_tick(&t, 100000);
	cr_assert_gt(th_stat(HF_STAT_TCP_RTO), 5);
	cr_assert_eq(th_stat(HF_STAT_TCP_BLACK_HOLES), 0);
	cr_assert_eq(t.conn->mss, 1460);
	th_done(&t);
}

Test(tcp_pmtu, a_smaller_port_sends_again_what_no_longer_fits)
{
	struct hf_tcp_seg seg;
	struct th t;

	pmtu_open(&t);
	seg = th_seg(&t, HF_TCP_ACK, 0, 0, NULL, 0);
	seg.path.mtu = 1000;
	cr_assert_eq(th_in_seg(&t, &seg), HF_DROP_NONE);
	cr_assert_eq(t.conn->mss, 960);
	cr_assert_eq(t.out_count, 6);
	cr_assert_eq(t.out[0].len, 960);
	cr_assert_eq(t.out[1].len, 500);
	cr_assert_eq(t.out[0].path.mtu, 1000);
	seg = th_seg(&t, HF_TCP_ACK, 0, 3 * 1460, NULL, 0);
	seg.path.mtu = 9000;
	th_in_seg(&t, &seg);
	cr_assert_eq(t.conn->mss, 1460, "the peer takes no more");
	th_done(&t);
}

Test(tcp_pmtu, what_was_learned_is_kept_when_the_port_changes)
{
	struct hf_tcp_seg seg;
	struct th t;

	pmtu_open(&t);
	th_icmp_too_big(&t, 0, 1300, 1500);
	seg = th_seg(&t, HF_TCP_ACK, 0, 3 * 1460, NULL, 0);
	seg.path.mtu = 1400;
	th_in_seg(&t, &seg);
	cr_assert_eq(t.conn->mss, 1260);
	seg = th_seg(&t, HF_TCP_ACK, 0, 3 * 1460, NULL, 0);
	seg.path.mtu = 1200;
	th_in_seg(&t, &seg);
	cr_assert_eq(t.conn->mss, 1160);
	th_done(&t);
}

/* A receiver that keeps nothing out of order, and a wire of 20 ms. */
struct narrow {
	struct {
		uint32_t seq, len, ts_val;
	} wire[4096];
	uint32_t head, tail, rcv;
};

static void narrow_send(struct narrow *narrow, const struct th *t)
{
	for (uint32_t i = 0; i < t->out_count; i++) {
		uint32_t at = narrow->tail++ % 4096;

		narrow->wire[at].seq = th_out_seq(t, i);
		narrow->wire[at].len = t->out[i].len;
		narrow->wire[at].ts_val = th_ts_val(t, i);
	}
}

/* All that is on the wire now arrives, and each segment is answered. */
static void narrow_turn(struct narrow *narrow, struct th *t)
{
	uint32_t tail = narrow->tail;

	t->now_us += 20000;
	for (; narrow->head != tail; narrow->head++) {
		uint32_t at = narrow->head % 4096;

		if (narrow->wire[at].seq == narrow->rcv) {
			narrow->rcv += narrow->wire[at].len;
			t->ts_ecr = narrow->wire[at].ts_val;
		}
		th_sack_ack(t, narrow->rcv, 0, 0);
		narrow_send(narrow, t);
	}
}

Test(tcp_pmtu, rfc8201_s4_a_flight_lost_on_a_path_become_narrow_is_sent_again_in_order)
{
	static struct narrow narrow;
	struct th t;

	th_init(&t);
	t.cfg.emits_max = 512;
	th_start(&t);
	th_sack_connect(&t, TH_SACK | TH_TS | TH_WS);
	th_send(&t, 200000);               /* lost */
	th_icmp_too_big(&t, 0, 552, 1500); /* and once more */
	for (int i = 0; i < 1000 && narrow.rcv < 200000; i++) {
		narrow_turn(&narrow, &t);
		if (narrow.head != narrow.tail)
			continue;
		th_tick(&t, 10000);
		narrow_send(&narrow, &t);
	}
	cr_assert_eq(narrow.rcv, 200000);
	cr_assert_leq(th_stat(HF_STAT_TCP_RTO), 2);
	th_done(&t);
}
