/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hf_tcp_sweep: who is slow to take what holds up others.
 */
#include "tcp_helper.h"

static void sweep_no_release(struct hf_ref *ref)
{
	(void)ref;
}

static struct hf_ref wanted, other;

static bool sweep_holds(void *arg, const struct hf_ref *ref)
{
	(void)arg;
	return ref == &wanted;
}

static struct hf_tcp_sweep sweep_begin(uint32_t least)
{
	hf_ref_init(&wanted, sweep_no_release);
	hf_ref_init(&other, sweep_no_release);
	return (struct hf_tcp_sweep){
		.holds = sweep_holds, .unread = UINT32_MAX, .round = 2, .least = least
	};
}

struct sweep_peer {
	struct hf_tcp_conn *conn;
	uint32_t iss;
	uint16_t sport;
};

/* A connection with `len` bytes of REF queued and sent. */
static struct sweep_peer sweep_open(struct th *t, const struct hf_ref *ref, uint32_t len)
{
	static const char zeros[20000];
	struct sweep_peer peer;

	t->sport++;
	th_open_mss(t, TH_MSS);
	peer = (struct sweep_peer){ t->conn, t->iss, t->sport };
	hf_tcp_user_set(peer.conn, peer.conn);
	cr_assert_eq(hf_tcp_send(t->tcp, peer.conn, zeros, len, (struct hf_ref *)ref, false), 0);
	th_flush(t);
	return peer;
}

static void sweep_ack(struct th *t, const struct sweep_peer *peer, uint32_t ack)
{
	t->sport = peer->sport;
	t->iss = peer->iss;
	cr_assert_eq(th_in(t, HF_TCP_ACK, 0, ack, NULL), 0);
}

/* The next round; `expect` is named in it, or nobody. */
static void sweep_round(struct th *t, struct hf_tcp_sweep *sweep, const struct hf_tcp_conn *expect)
{
	void *user = NULL, *named = NULL;

	sweep->round++;
	for (sweep->cursor = 0; sweep->cursor != HF_TCP_SWEEP_END;) {
		user = hf_tcp_sweep(t->tcp, sweep);
		cr_assert(!user || !named, "one at most");
		named = user ? user : named;
	}
	cr_assert_eq(named, expect);
	hf_tcp_check(t->tcp);
}

Test(tcp_sweep, who_took_less_than_the_least_since_the_round_before_is_named)
{
	struct hf_tcp_sweep sweep = sweep_begin(1000);
	struct sweep_peer stalled, slow, foreign;
	struct th t;

	th_init(&t);
	th_start(&t);
	foreign = sweep_open(&t, &other, 5000);
	slow = sweep_open(&t, &wanted, 5000);
	stalled = sweep_open(&t, &wanted, 5000);
	sweep_round(&t, &sweep, NULL);
	sweep_ack(&t, &slow, 1000);
	sweep_round(&t, &sweep, stalled.conn);
	hf_tcp_abort(t.tcp, stalled.conn);
	sweep_ack(&t, &slow, 1999);
	sweep_round(&t, &sweep, slow.conn);
	hf_tcp_abort(t.tcp, slow.conn);
	sweep_round(&t, &sweep, NULL);
	cr_assert_eq(foreign.conn->state, TCP_ESTABLISHED, "it holds nothing that is needed");
	th_done(&t);
}

Test(tcp_sweep, all_of_what_was_queued_is_enough_and_what_came_later_is_not_asked_for)
{
	struct hf_tcp_sweep sweep = sweep_begin(1000);
	struct sweep_peer peer;
	struct th t;

	th_init(&t);
	th_start(&t);
	peer = sweep_open(&t, &wanted, 10);
	sweep_round(&t, &sweep, NULL);
	cr_assert_eq(hf_tcp_send(t.tcp, peer.conn, "more", 4, &wanted, false), 0);
	sweep_ack(&t, &peer, 10);
	sweep_round(&t, &sweep, NULL);
	sweep_ack(&t, &peer, 14);
	cr_assert_eq(hf_tcp_send(t.tcp, peer.conn, "new", 3, &wanted, false), 0);
	sweep_round(&t, &sweep, NULL);
	sweep_round(&t, &sweep, peer.conn);
	th_done(&t);
}

Test(tcp_sweep, what_was_seen_long_ago_is_not_the_round_before)
{
	struct hf_tcp_sweep sweep = sweep_begin(1000);
	struct sweep_peer peer;
	struct th t;

	th_init(&t);
	th_start(&t);
	peer = sweep_open(&t, &wanted, 5000);
	sweep_round(&t, &sweep, NULL);
	sweep.round++;
	sweep_round(&t, &sweep, NULL);
	sweep_round(&t, &sweep, peer.conn);
	th_done(&t);
}

Test(tcp_sweep, what_we_closed_and_its_peer_does_not_take_is_reset_and_counted)
{
	struct hf_tcp_sweep sweep = sweep_begin(1000);
	struct sweep_peer peer;
	struct th t;

	th_init(&t);
	th_start(&t);
	peer = sweep_open(&t, &wanted, 5000);
	hf_tcp_close(t.tcp, peer.conn);
	th_flush(&t);
	sweep_round(&t, &sweep, NULL);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	hf_tcp_emits_done(t.tcp);
	sweep_round(&t, &sweep, NULL);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 0);
	cr_assert_eq(hf_stat_own->drop[HF_DROP_CONN_PRESSURE], 1);
	th_see(&t);
	cr_assert_eq(t.out_count, 1);
	cr_assert(t.out[0].flags & HF_TCP_RST);
	hf_tcp_emits_done(t.tcp);
	cr_assert_eq(wanted.count, 1, "nothing is held any more");
	th_done(&t);
}

Test(tcp_sweep, who_neither_takes_nor_is_read_is_named_when_that_is_asked_for)
{
	struct hf_tcp_sweep sweep = sweep_begin(1000);
	struct sweep_peer peer;
	struct th t;

	th_init(&t);
	th_start(&t);
	t.spare = UINT32_MAX; /* the application reads nothing */
	peer = sweep_open(&t, &other, 5000);
	th_in_len(&t, HF_TCP_ACK, 0, 0, 1400);
	sweep_round(&t, &sweep, NULL);
	sweep_round(&t, &sweep, NULL);
	sweep.unread = 1401;
	sweep_round(&t, &sweep, NULL);
	sweep.unread = 1400;
	sweep_round(&t, &sweep, peer.conn);
	th_done(&t);
}

Test(tcp_sweep, buffers_are_short_when_an_eighth_is_left)
{
	struct th t;

	th_init(&t);
	t.cfg.rxbufs_max = 16;
	th_start(&t);
	t.spare = UINT32_MAX;
	th_open_mss(&t, TH_MSS);
	for (uint32_t i = 0; i < 14; i++) {
		cr_assert_not(hf_tcp_rx_is_short(t.tcp));
		th_in_len(&t, HF_TCP_ACK, i * 2000, 0, 2000);
	}
	th_in_len(&t, HF_TCP_ACK, 14 * 2000, 0, 2000);
	cr_assert(hf_tcp_rx_is_short(t.tcp));
	th_done(&t);
}

Test(tcp_sweep, one_call_looks_at_a_bounded_number)
{
	struct hf_tcp_sweep sweep = sweep_begin(1);
	uint32_t calls = 1;
	struct th t;

	th_init(&t);
	t.cfg.conns_max = 4096;
	t.cfg.syn_queue_max = 4096;
	th_start(&t);
	for (uint32_t i = 0; i < 3000; i++) {
		t.sport++;
		th_syn(&t);
	}
	for (; hf_tcp_sweep(t.tcp, &sweep) == NULL && sweep.cursor != HF_TCP_SWEEP_END; calls++)
		;
	cr_assert_eq(calls, 3);
	th_done(&t);
}

Test(tcp_sweep, how_long_something_is_queued_and_how_much_was_taken)
{
	struct sweep_peer peer;
	struct th t;

	th_init(&t);
	th_start(&t);
	(void)sweep_begin(1);
	peer = sweep_open(&t, &wanted, 5000);
	cr_assert_eq(hf_tcp_queued_us(t.tcp, peer.conn), 0);
	cr_assert_eq(hf_tcp_queued_spans(peer.conn), 1);
	th_tick(&t, 700000);
	sweep_ack(&t, &peer, 3000);
	cr_assert_eq(hf_tcp_queued_us(t.tcp, peer.conn), 700000, "without a break");
	cr_assert_eq(hf_tcp_acked(peer.conn), 3001, "with our SYN");
	sweep_ack(&t, &peer, 5000);
	cr_assert_eq(hf_tcp_queued_us(t.tcp, peer.conn), 0);
	cr_assert_eq(hf_tcp_queued_spans(peer.conn), 0);
	th_done(&t);
}
