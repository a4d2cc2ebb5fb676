/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is short for the ordinary ACK, the one of all that was sent, leaves what the long way leaves. Two
 * stacks get the same segments; those of the second have a SACK block that says nothing where the first
 * may go the short way.
 */
#include "tcp_helper.h"

#define TWIN_SEEDS 40
#define TWIN_STEPS 400

struct twin_step {
	uint64_t wait_us;
	uint32_t send_len; /* of the application, before the segment comes; 0: nothing */
	bool tick;         /* no segment: only time goes by */
	bool sack;         /* the block is true */
	uint8_t flags, ecn;
	uint16_t wnd;
	uint32_t seq, ack, text_len;
	uint32_t block[2];
	uint32_t mtu;
};

/* All that one step did to one stack. */
struct twin_seen {
	int drop;
	uint32_t events;
	uint64_t stat[HF_STAT_COUNT], drops[HF_DROP_COUNT];
	struct hf_tcp_info info;
	struct hf_tcp_conn conn; /* without pointers */
	struct tcp_tx tx;        /* without pointers; its records are in order */
	uint64_t timer_us;
	uint32_t txs, spans;
};

struct twin {
	uint64_t rand;
	uint32_t all_acked; /* ACKs of all that was queued */
	struct th th[2];
	struct twin_seen seen[2];
};

static uint32_t twin_rand(struct twin *twin, uint32_t below)
{
	twin->rand = twin->rand * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(twin->rand >> 33) % below;
}

static bool twin_one_in(struct twin *twin, uint32_t n)
{
	return twin_rand(twin, n) == 0;
}

static void twin_see_tx(const struct tcp_tx *tx, struct tcp_tx *ret_tx)
{
	memcpy(ret_tx, tx, offsetof(struct tcp_tx, flight.own));
	ret_tx->head = ret_tx->tail = ret_tx->cur = NULL;
	ret_tx->flight.rec = NULL;
	ret_tx->flight.head = 0;
	for (uint32_t i = 0; i < tx->flight.count && i < TCP_FLIGHT_OWN; i++)
		ret_tx->flight.own[i] = *tcp_flight_at(&tx->flight, i);
}

static void twin_see_conn(const struct th *t, struct twin_seen *seen)
{
	seen->conn = *t->conn;
	seen->conn.hash_next = NULL;
	seen->conn.tx = NULL;
	seen->conn.rxq_head = seen->conn.rxq_tail = NULL;
	seen->conn.ooo = NULL;
	memset(&seen->conn.timer, 0, sizeof(seen->conn.timer));
	seen->timer_us = hf_timer_armed(&t->conn->timer) ? t->conn->timer.due_us : 0;
	hf_tcp_info(t->tcp, t->conn, &seen->info);
	if (t->conn->tx)
		twin_see_tx(t->conn->tx, &seen->tx);
}

/* Blocks that tell nothing, where the ACK would do without: RFC 2018 §3 lets none be empty. */
static void twin_opts(struct th *t, const struct twin_step *step, bool second)
{
	const uint32_t empty[2] = { step->ack, step->ack };
	bool moves = t->iss + 1 + step->ack != t->conn->snd_una;

	if (step->sack)
		th_sack_opts(t, 1, &step->block);
	else
		th_sack_opts(t, second && moves, &empty);
}

static int twin_segment(struct th *t, const struct twin_step *step, bool second)
{
	static const char text[4096];
	struct hf_tcp_seg seg;

	twin_opts(t, step, second);
	t->wnd = step->wnd;
	seg = th_seg(t, step->flags, step->seq, step->ack, text, step->text_len);
	seg.ecn = step->ecn;
	seg.path.mtu = (uint16_t)step->mtu;
	return th_in_seg(t, &seg);
}

static void twin_go(struct th *t, const struct twin_step *step, bool second, struct twin_seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	for (int i = 0; i < HF_STAT_COUNT; i++)
		seen->stat[i] = 0 - th_stat((enum hf_stat)i);
	for (int i = 0; i < HF_DROP_COUNT; i++)
		seen->drops[i] = 0 - th_drops((enum hf_drop)i);
	t->got_len = 0;
	if (step->send_len > 0)
		th_send(t, step->send_len);
	if (step->tick)
		th_tick(t, step->wait_us);
	t->now_us += step->tick ? 0 : step->wait_us;
	seen->drop = step->tick || !t->conn ? 0 : twin_segment(t, step, second);
	seen->events = t->events;
	for (int i = 0; i < HF_STAT_COUNT; i++)
		seen->stat[i] += th_stat((enum hf_stat)i);
	for (int i = 0; i < HF_DROP_COUNT; i++)
		seen->drops[i] += th_drops((enum hf_drop)i);
	seen->txs = t->tcp->txs.used;
	seen->spans = t->tcp->spans.used;
	if (t->conn)
		twin_see_conn(t, seen);
}

static void twin_emits_eq(const struct th *a, const struct th *b)
{
	cr_assert_eq(a->out_count, b->out_count);
	for (uint32_t i = 0; i < a->out_count; i++) {
		const struct hf_tcp_emit *x = &a->out[i], *y = &b->out[i];

		cr_assert(x->seq == y->seq && x->ack == y->ack && x->wnd == y->wnd);
		cr_assert(x->flags == y->flags && x->ecn == y->ecn && x->len == y->len);
		cr_assert(x->mss == y->mss && x->piece_count == y->piece_count);
		cr_assert_eq(x->opt_len, y->opt_len);
		cr_assert_arr_eq(x->opt, y->opt, x->opt_len);
	}
}

/* A segment of a peer that lives: most are the next one, and acknowledge what is in flight. */
static struct twin_step twin_choose(struct twin *twin)
{
	const struct th *t = &twin->th[0];
	const struct hf_tcp_conn *conn = t->conn;
	uint32_t una = conn->snd_una - t->iss - 1, flight = conn->snd_nxt - conn->snd_una;
	struct twin_step step = {
		.flags = HF_TCP_ACK, .wnd = 65535, .seq = conn->rcv_nxt - TH_IRS - 1, .mtu = 1500
	};

	step.wait_us = 100 + twin_rand(twin, 30000);
	if (hf_tcp_queued(conn) < 100000 && hf_tcp_queued_spans(conn) < 32 && !twin_one_in(twin, 3))
		step.send_len = 1 + twin_rand(twin, twin_one_in(twin, 4) ? 40000 : 400);
	step.tick = twin_one_in(twin, 8);
	if (step.tick && twin_one_in(twin, 4))
		step.wait_us = twin_rand(twin, 2000000);
	step.ack = una + flight;
	if (twin_one_in(twin, 4))
		step.ack = una + twin_rand(twin, flight + 1);
	if (!twin_one_in(twin, 4))
		step.text_len = 1 + twin_rand(twin, 1000);
	if (twin_one_in(twin, 2))
		step.flags |= HF_TCP_PSH;
	if (twin_one_in(twin, 32))
		step.flags |= twin_one_in(twin, 2) ? HF_TCP_ECE : HF_TCP_CWR;
	if (twin_one_in(twin, 32))
		step.ecn = HF_TCP_ECN_CE;
	if (twin_one_in(twin, 16))
		step.wnd = (uint16_t)twin_rand(twin, 3000) / 2 * (uint16_t)twin_rand(twin, 2);
	if (twin_one_in(twin, 16))
		step.seq += twin_rand(twin, 2000) - 1000;
	if (twin_one_in(twin, 64))
		step.mtu = 1400;
	if (flight > 2 && twin_one_in(twin, 8)) {
		step.sack = true;
		step.block[0] = una + 1 + twin_rand(twin, flight - 1);
		step.block[1] = step.block[0] + 1 + twin_rand(twin, flight);
	}
	return step;
}

/* What both application and peer have sent since is the same, so what the step needs is, too. */
static void twin_step(struct twin *twin)
{
	struct twin_step step = twin_choose(twin);
	struct twin_seen *seen = twin->seen;
	struct th *a = &twin->th[0], *b = &twin->th[1];

	a->reply = b->reply = twin_one_in(twin, 2) ? "HTTP/1.1 200 OK\r\n\r\n" : NULL;
	twin_go(a, &step, false, &seen[0]);
	twin_go(b, &step, true, &seen[1]);
	twin_emits_eq(a, b);
	cr_assert_eq(seen[0].drop, seen[1].drop);
	cr_assert_eq(seen[0].events, seen[1].events);
	cr_assert_eq(!a->conn, !b->conn);
	cr_assert_arr_eq(&seen[0].info, &seen[1].info, sizeof(seen[0].info));
	cr_assert_arr_eq(&seen[0].conn, &seen[1].conn, sizeof(seen[0].conn));
	cr_assert_arr_eq(&seen[0].tx, &seen[1].tx, sizeof(seen[0].tx));
	cr_assert_arr_eq(&seen[0], &seen[1], sizeof(seen[0]));
	twin->all_acked += (seen[0].events & HF_TCP_EV_ACKED) != 0;
	if ((a->sack_on & TH_TS) && a->out_count > 0)
		a->ts_ecr = b->ts_ecr = th_ts_val(a, 0);
}

static void twin_run(struct twin *twin, uint64_t seed, uint32_t want)
{
	twin->rand = seed;
	for (int i = 0; i < 2; i++) {
		th_init(&twin->th[i]);
		if (i > 0)
			twin->th[i].cfg = twin->th[0].cfg; /* its keys are chosen at random */
		th_start(&twin->th[i]);
		th_sack_connect(&twin->th[i], want);
	}
	for (int i = 0; i < TWIN_STEPS && twin->th[0].conn; i++)
		twin_step(twin);
	th_done(&twin->th[0]);
	th_done(&twin->th[1]);
}

static void twin_runs(uint32_t want)
{
	static struct twin twin;

	for (uint64_t seed = 0; seed < TWIN_SEEDS; seed++)
		twin_run(&twin, seed, want);
	cr_assert_gt(twin.all_acked, TWIN_SEEDS * TWIN_STEPS / 8, "%u", twin.all_acked);
}

Test(tcp_twin, an_ack_of_all_leaves_what_the_long_way_leaves)
{
	twin_runs(TH_SACK | TH_TS | TH_WS | TH_ECN);
}

Test(tcp_twin, so_it_does_without_timestamps)
{
	twin_runs(TH_SACK);
}

Test(tcp_twin, so_it_does_without_sack)
{
	twin_runs(TH_TS);
}

Test(tcp_twin, so_it_does_without_any_option)
{
	twin_runs(0);
}

/* What goes the long way, though it acknowledges all. */

Test(tcp_twin, rfc2883_s4_an_ack_of_all_may_tell_of_a_duplicate)
{
	struct th t;

	th_sack_open(&t, TH_SACK);
	th_send(&t, 1000);
	cr_assert_eq(th_sack_ack(&t, 1000, 0, 500), HF_DROP_NONE);
	cr_assert_eq(th_stat(HF_STAT_TCP_DSACK_IN), 1);
	cr_assert_eq(t.conn->reo_mult, 2, "RFC 8985 §6.2 step 4");
	th_done(&t);
}

Test(tcp_twin, rfc6298_s3_an_ack_of_a_window_probe_is_no_sample)
{
	uint32_t srtt_us;
	struct th t;

	th_open(&t);
	th_send(&t, 100);
	t.wnd = 0;
	th_in(&t, HF_TCP_ACK, 0, 0, NULL);
	th_tick(&t, 2000000);
	cr_assert_eq(t.out_count, 1);
	cr_assert_eq(t.out[0].len, 1, "it was sent before");
	srtt_us = t.conn->srtt_us;
	t.now_us += 1000;
	t.wnd = 65535;
	th_in(&t, HF_TCP_ACK, 0, 100, NULL);
	cr_assert_eq(t.events, HF_TCP_EV_ACKED);
	cr_assert_eq(t.conn->srtt_us, srtt_us);
	th_done(&t);
}
