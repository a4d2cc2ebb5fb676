/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "tcp_flight.h"

#define TF_LEN 100U        /* of each segment */
#define TF_RTT 10000U      /* also the least */
#define TF_ISS 0xffffff00U /* the numbers wrap */

struct tf {
	struct tcp_flight flight;
	struct tcp_flight_pools pools;
	struct tcp_acked acked; /* of the last ACK */
	uint32_t una, nxt, now_us, wait_us;
	bool in_recovery;
};

static void tf_start_pools(struct tf *t, uint32_t mid, uint32_t max)
{
	*t = (struct tf){ .una = TF_ISS, .nxt = TF_ISS, .now_us = UINT32_MAX - TF_RTT };
	cr_assert_eq(tcp_flight_pools_init(&t->pools, mid, max), 0);
	tcp_flight_init(&t->flight, t->una);
}

static void tf_start(struct tf *t)
{
	tf_start_pools(t, 2, 2);
}

static void tf_check(struct tf *t)
{
	tcp_flight_check(&t->flight, t->una, t->nxt);
}

static void tf_done(struct tf *t)
{
	tf_check(t);
	tcp_flight_fini(&t->flight, &t->pools);
	cr_assert_eq(t->pools.mid.used, 0);
	cr_assert_eq(t->pools.max.used, 0);
	tcp_flight_pools_fini(&t->pools);
}

/* n segments at once */
static void tf_send(struct tf *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		cr_assert(tcp_flight_room(&t->flight, &t->pools));
		tcp_flight_push(&t->flight, t->nxt, TF_LEN, t->now_us);
		t->nxt += TF_LEN;
	}
	tf_check(t);
}

/* Records, counts and times as those of one segment after the other. */
static void tf_assert_run(uint32_t len, uint32_t mss, bool same_us)
{
	struct tf run, one;

	tf_start(&run);
	tf_start(&one);
	for (int i = 0; i < 3; i++) {
		tcp_flight_push_run(&run.flight, run.nxt, len, mss, run.now_us);
		run.nxt += len;
		for (uint32_t left = len, n; left > 0; left -= n) {
			n = left < mss ? left : mss;
			tcp_flight_push(&one.flight, one.nxt, n, one.now_us);
			one.nxt += n;
		}
		run.now_us += !same_us;
		one.now_us += !same_us;
		tf_check(&run);
	}
	run.flight.rec = one.flight.rec = NULL;
	cr_assert_eq(memcmp(&run.flight, &one.flight, sizeof(run.flight)), 0);
	run.flight.rec = run.flight.own;
	one.flight.rec = one.flight.own;
	tf_done(&run);
	tf_done(&one);
}

Test(tcp_flight, a_run_is_its_segments)
{
	tf_assert_run(1, 100, true);
	tf_assert_run(100, 100, false);
	tf_assert_run(101, 100, true);
	tf_assert_run(500, 100, false);
	tf_assert_run(499, 100, true);
}

/* n segments with 10 microseconds after each */
static void tf_send_paced(struct tf *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		tf_send(t, 1);
		t->now_us += 10;
	}
}

static void tf_acked(struct tf *t)
{
	t->acked = (struct tcp_acked){ .now_us = t->now_us, .min_rtt_us = TF_RTT };
}

/* Sequence numbers in segments since the start. */
static void tf_ack(struct tf *t, uint32_t segment)
{
	tf_acked(t);
	t->una = TF_ISS + segment * TF_LEN;
	tcp_flight_ack(&t->flight, t->una, &t->acked);
	tf_check(t);
}

static void tf_sack(struct tf *t, uint32_t from, uint32_t to)
{
	tf_acked(t);
	tcp_flight_sack(&t->flight, TF_ISS + from * TF_LEN, TF_ISS + to * TF_LEN, &t->acked);
	tf_check(t);
}

/* Returns segments newly lost. */
static uint32_t tf_rack(struct tf *t)
{
	uint32_t lost =
		tcp_flight_rack(&t->flight, t->now_us, TF_RTT, TF_RTT, t->in_recovery, &t->wait_us);

	tf_check(t);
	return lost / TF_LEN;
}

static struct tcp_sent *tf_at(struct tf *t, uint32_t segment)
{
	struct tcp_sent *sent = tcp_flight_find(&t->flight, TF_ISS + segment * TF_LEN);

	cr_assert_not_null(sent);
	return sent;
}

static bool tf_has(struct tf *t, uint32_t segment, uint32_t flags)
{
	return (tf_at(t, segment)->flags & flags) == flags;
}

/* Sends again what is to be sent again; returns how many. */
static uint32_t tf_resend(struct tf *t)
{
	struct tcp_sent *sent;
	uint32_t n = 0;

	while ((sent = tcp_flight_next_lost(&t->flight)) != NULL) {
		tcp_flight_resent(&t->flight, sent, t->now_us);
		n++;
	}
	tf_check(t);
	return n;
}

Test(tcp_flight, an_ack_takes_records_and_counts_bytes)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 3);
	cr_assert_eq(tcp_flight_out(&t.flight), 300);
	t.now_us += TF_RTT;
	tf_ack(&t, 2);
	cr_assert_eq(t.acked.delivered, 200);
	cr_assert_eq(t.acked.sacked, 0);
	cr_assert_eq(t.acked.rtt_us, TF_RTT);
	cr_assert_eq(t.flight.count, 1);
	cr_assert_eq(tcp_flight_out(&t.flight), 100);
	tf_ack(&t, 3);
	cr_assert_eq(tcp_flight_out(&t.flight), 0);
	tf_done(&t);
}

Test(tcp_flight, an_ack_cuts_a_record)
{
	struct tf t;

	tf_start(&t);
	cr_assert(tcp_flight_room(&t.flight, &t.pools));
	tcp_flight_push(&t.flight, t.nxt, 65535, t.now_us);
	t.nxt += 65535;
	tcp_flight_lose(&t.flight, tf_at(&t, 0));
	tf_ack(&t, 1);
	cr_assert_eq(t.acked.delivered, 100);
	cr_assert_eq(tf_at(&t, 1)->seq, TF_ISS + 100);
	cr_assert_eq(tf_at(&t, 1)->len, 65435);
	cr_assert_eq(t.flight.lost, 65435);
	cr_assert_eq(tcp_flight_out(&t.flight), 0);
	tf_resend(&t);
	tf_ack(&t, 2);
	cr_assert_eq(tcp_flight_out(&t.flight), 65335);
	tf_done(&t);
}

Test(tcp_flight, an_ack_cuts_a_sacked_record)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 3);
	tf_sack(&t, 1, 2);
	tf_acked(&t);
	t.una = TF_ISS + 130;
	tcp_flight_ack(&t.flight, t.una, &t.acked);
	cr_assert_eq(t.acked.delivered, 100, "what was SACKED was counted then");
	cr_assert_eq(t.flight.sacked, 70);
	cr_assert_eq(t.flight.sacked_count, 1);
	tf_check(&t);
	tf_ack(&t, 2);
	cr_assert_eq(t.acked.delivered, 0);
	cr_assert_eq(t.flight.sacked, 0);
	tf_done(&t);
}

Test(tcp_flight, the_rtt_is_of_the_latest_segment)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 1);
	t.now_us += 3000;
	tf_send(&t, 1);
	t.now_us += TF_RTT;
	tf_ack(&t, 2);
	cr_assert_eq(t.acked.rtt_us, TF_RTT);
	tf_done(&t);
}

Test(tcp_flight, rfc6298_s3_no_rtt_of_what_was_resent)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 2);
	tcp_flight_resent(&t.flight, tf_at(&t, 1), t.now_us);
	cr_assert_eq(tcp_flight_out(&t.flight), 200, "a probe of what is not lost");
	t.now_us += TF_RTT;
	tf_ack(&t, 1);
	cr_assert_eq(t.acked.rtt_us, TF_RTT);
	cr_assert_not(t.acked.resent_delivered);
	tf_ack(&t, 2);
	cr_assert_eq(t.acked.rtt_us, 0);
	cr_assert(t.acked.resent_delivered);
	tf_done(&t);
}

Test(tcp_flight, rfc2018_blocks_mark_whole_records_once)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 10);
	tf_acked(&t);
	tcp_flight_sack(&t.flight, TF_ISS + 150, TF_ISS + 450, &t.acked);
	tf_check(&t);
	cr_assert_eq(t.acked.sacked, 200, "2 and 3, of 1 and 4 only a part");
	cr_assert_eq(t.acked.delivered, 200);
	tf_sack(&t, 2, 4);
	cr_assert_eq(t.acked.delivered, 0);
	tf_sack(&t, 1, 10);
	cr_assert_eq(t.acked.delivered, 700);
	cr_assert_eq(t.flight.sacked_count, 9);
	cr_assert_eq(tcp_flight_out(&t.flight), 100);
	tf_ack(&t, 10);
	cr_assert_eq(t.acked.delivered, 100);
	tf_done(&t);
}

Test(tcp_flight, a_block_inside_one_record_marks_nothing)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 3);
	tf_acked(&t);
	tcp_flight_sack(&t.flight, TF_ISS + 110, TF_ISS + 190, &t.acked);
	tcp_flight_sack(&t.flight, TF_ISS + 210, TF_ISS + 300, &t.acked);
	cr_assert_eq(t.acked.delivered, 0);
	cr_assert_eq(t.flight.sacked, 0);
	tf_done(&t);
}

Test(tcp_flight, what_is_sacked_is_lost_no_more)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 4);
	tcp_flight_lose(&t.flight, tf_at(&t, 1));
	tcp_flight_lose(&t.flight, tf_at(&t, 2));
	tcp_flight_lose(&t.flight, tf_at(&t, 2));
	cr_assert_eq(t.flight.lost, 200);
	tcp_flight_resent(&t.flight, tf_at(&t, 2), t.now_us);
	cr_assert_eq(t.flight.lost, 100);
	tf_sack(&t, 1, 3);
	cr_assert_eq(t.flight.lost, 0);
	cr_assert_eq(tcp_flight_out(&t.flight), 200);
	cr_assert_null(tcp_flight_next_lost(&t.flight));
	tf_done(&t);
}

/* No more than one in 256 of the records of a run that is known is looked at. */
Test(tcp_flight, a_known_block_is_no_walk_over_its_records)
{
	struct tf t;
	uint32_t hops = 0;

	tf_start(&t);
	tf_send(&t, TCP_FLIGHT_MAX);
	for (uint32_t i = TCP_FLIGHT_MAX - 1; i > 0; i--)
		tf_sack(&t, i, i + 1); /* each a run of its own */
	tf_sack(&t, 1, TCP_FLIGHT_MAX);
	for (uint32_t i = 1; i < t.flight.count; hops++)
		i += 1U + tcp_flight_at(&t.flight, i)->skip;
	cr_assert_leq(hops, TCP_FLIGHT_MAX / 256);
	tf_done(&t);
}

Test(tcp_flight, rfc2018_s8_a_sacked_first_record_is_reneging)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 5);
	tf_sack(&t, 1, 3);
	tf_ack(&t, 1);
	tcp_flight_timeout(&t.flight);
	tf_check(&t);
	cr_assert_eq(t.flight.sacked, 0);
	cr_assert_eq(t.flight.sacked_count, 0);
	cr_assert_eq(t.flight.lost, 400);
	cr_assert_eq(tf_resend(&t), 4);
	tf_done(&t);
}

Test(tcp_flight, rfc6675_s5_1_a_timeout_loses_all_but_the_sacked)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 5);
	tf_sack(&t, 1, 3);
	tcp_flight_lose(&t.flight, tf_at(&t, 0));
	tf_resend(&t);
	tcp_flight_timeout(&t.flight);
	tf_check(&t);
	cr_assert_eq(t.flight.sacked, 200);
	cr_assert_eq(t.flight.lost, 300);
	cr_assert_eq(tcp_flight_out(&t.flight), 0);
	cr_assert_not(tf_has(&t, 0, TCP_SENT_RESENT));
	cr_assert_eq(tf_resend(&t), 3);
	cr_assert_eq(tcp_flight_out(&t.flight), 300);
	tf_done(&t);
}

Test(tcp_flight, undo_forgets_losses)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 5);
	tf_sack(&t, 2, 3);
	tcp_flight_timeout(&t.flight);
	tcp_flight_resent(&t.flight, tcp_flight_next_lost(&t.flight), t.now_us);
	tcp_flight_undo(&t.flight);
	tf_check(&t);
	cr_assert_eq(t.flight.lost, 0);
	cr_assert_eq(tcp_flight_out(&t.flight), 400);
	cr_assert_null(tcp_flight_next_lost(&t.flight));
	cr_assert(tf_has(&t, 0, TCP_SENT_AGAIN), "Karn");
	cr_assert_not(tf_has(&t, 0, TCP_SENT_LOST));
	tcp_flight_lose(&t.flight, tf_at(&t, 1));
	cr_assert_eq(tcp_flight_next_lost(&t.flight), tf_at(&t, 1));
	tf_done(&t);
}

Test(tcp_flight, lost_ones_come_in_sequence_order)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 30);
	tcp_flight_lose(&t.flight, tf_at(&t, 20));
	tcp_flight_lose(&t.flight, tf_at(&t, 7));
	cr_assert_eq(tcp_flight_next_lost(&t.flight), tf_at(&t, 7));
	tcp_flight_resent(&t.flight, tf_at(&t, 7), t.now_us);
	cr_assert_eq(tcp_flight_next_lost(&t.flight), tf_at(&t, 20));
	tcp_flight_lose(&t.flight, tf_at(&t, 3));
	cr_assert_eq(tcp_flight_next_lost(&t.flight), tf_at(&t, 3));
	tf_ack(&t, 5);
	cr_assert_eq(tcp_flight_next_lost(&t.flight), tf_at(&t, 20));
	tf_done(&t);
}

Test(tcp_flight, find_knows_each_byte)
{
	struct tf t;

	tf_start(&t);
	cr_assert_null(tcp_flight_find(&t.flight, TF_ISS));
	tf_send(&t, 40);
	tf_ack(&t, 3);
	cr_assert_null(tcp_flight_find(&t.flight, t.una - 1));
	cr_assert_null(tcp_flight_find(&t.flight, t.nxt));
	for (uint32_t seq = t.una; seq != t.nxt; seq++)
		cr_assert_eq(tcp_flight_find(&t.flight, seq),
			tcp_flight_at(&t.flight, (seq - t.una) / TF_LEN));
	tf_done(&t);
}

Test(tcp_flight, the_ring_grows_and_keeps_its_order)
{
	static const uint32_t caps[] = { TCP_FLIGHT_OWN, TCP_FLIGHT_MID, TCP_FLIGHT_MAX };
	struct tf t;

	tf_start(&t);
	tf_send(&t, 7);
	tf_ack(&t, 7); /* not from the array's start */
	for (size_t i = 0; i < HF_ARRAY_LEN(caps); i++) {
		tf_send(&t, caps[i] - t.flight.count);
		cr_assert_eq(t.flight.cap, caps[i]);
		tf_sack(&t, t.flight.count, t.flight.count + 3);
	}
	cr_assert_not(tcp_flight_room(&t.flight, &t.pools));
	cr_assert_eq(t.pools.mid.used, 0, "was given back");
	cr_assert_eq(t.pools.max.used, 1);
	tf_ack(&t, 8);
	cr_assert(tcp_flight_room(&t.flight, &t.pools));
	tf_ack(&t, 7 + TCP_FLIGHT_MAX);
	cr_assert_eq(t.flight.count, 0);
	tf_done(&t);
}

Test(tcp_flight, an_empty_pool_is_no_room)
{
	struct tf t;
	struct tcp_flight other;

	tf_start_pools(&t, 1, 1);
	tcp_flight_init(&other, 0);
	tf_send(&t, TCP_FLIGHT_OWN + 1);
	for (uint32_t i = 0; i < TCP_FLIGHT_OWN; i++)
		tcp_flight_push(&other, i, 1, 0);
	cr_assert_not(tcp_flight_room(&other, &t.pools));
	tf_send(&t, TCP_FLIGHT_MID); /* gives the array of mid back */
	for (uint32_t i = TCP_FLIGHT_OWN; i < TCP_FLIGHT_MID; i++) {
		cr_assert(tcp_flight_room(&other, &t.pools));
		tcp_flight_push(&other, i, 1, 0);
	}
	cr_assert_not(tcp_flight_room(&other, &t.pools));
	tcp_flight_check(&other, 0, TCP_FLIGHT_MID);
	tf_ack(&t, 5);
	cr_assert(tcp_flight_room(&t.flight, &t.pools));
	tcp_flight_fini(&other, &t.pools);
	tf_done(&t);
}

/* RFC 8985 §3.3.2's example: the tail is lost, and the probe's SACK finds it. */
Test(tcp_flight, rfc8985_s6_2_the_tail_is_lost_when_a_later_resend_arrived)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 3);
	t.now_us += 2 * TF_RTT;
	tcp_flight_resent(&t.flight, tf_at(&t, 2), t.now_us); /* TLP */
	t.now_us += TF_RTT;
	tf_sack(&t, 2, 3);
	t.in_recovery = false;
	cr_assert_eq(tf_rack(&t), 2, "sent more than a round trip and a window before the probe");
	cr_assert_eq(t.wait_us, 0);
	cr_assert(tf_has(&t, 0, TCP_SENT_LOST));
	cr_assert(tf_has(&t, 1, TCP_SENT_LOST));
	cr_assert_eq(tcp_flight_out(&t.flight), 0);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_no_loss_within_the_reordering_window)
{
	struct tf t;

	tf_start(&t);
	tf_send_paced(&t, 3);
	t.now_us += TF_RTT - 10; /* a round trip since the last */
	tf_sack(&t, 2, 3);
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_eq(t.wait_us, TF_RTT / 4 - 10, "until the later of the two would be lost");
	t.now_us += t.wait_us - 10;
	cr_assert_eq(tf_rack(&t), 1, "the earlier");
	cr_assert_eq(t.wait_us, 10);
	t.now_us += t.wait_us;
	cr_assert_eq(tf_rack(&t), 1);
	cr_assert_eq(t.wait_us, 0);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_reordered_segments_are_not_lost)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 3);
	t.now_us += TF_RTT;
	tf_sack(&t, 1, 3);
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_not(t.flight.reordering);
	t.now_us += TF_RTT / 8;
	tf_ack(&t, 3);
	cr_assert_eq(t.acked.delivered, 100);
	cr_assert(t.flight.reordering);
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_eq(t.wait_us, 0);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_three_sacked_are_lost_at_once_without_reordering)
{
	struct tf t;

	tf_start(&t);
	tf_send_paced(&t, 5);
	t.now_us += TF_RTT - 10;
	tf_sack(&t, 2, 4);
	cr_assert_eq(tf_rack(&t), 0);
	tf_sack(&t, 2, 5);
	cr_assert_eq(tf_rack(&t), 2);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_no_window_in_recovery_before_reordering_was_seen)
{
	struct tf t;

	tf_start(&t);
	tf_send_paced(&t, 3);
	t.now_us += TF_RTT - 10;
	tf_sack(&t, 2, 3);
	cr_assert_eq(tf_rack(&t), 0);
	t.in_recovery = true;
	cr_assert_eq(tf_rack(&t), 2);
	tcp_flight_undo(&t.flight);
	t.flight.reordering = true;
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_gt(t.wait_us, 0);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_a_resent_one_is_no_sign_of_reordering)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 5);
	t.now_us += TF_RTT;
	tf_sack(&t, 1, 5);
	cr_assert_eq(tf_rack(&t), 1);
	tf_resend(&t);
	t.now_us += TF_RTT;
	tf_ack(&t, 5);
	cr_assert_not(t.flight.reordering);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_blocks_of_one_ack_are_no_reordering)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 9);
	tf_ack(&t, 1);
	tcp_flight_sack(&t.flight, TF_ISS + 500, TF_ISS + 800, &t.acked); /* RFC 2018 §4's order */
	tcp_flight_sack(&t.flight, TF_ISS + 200, TF_ISS + 300, &t.acked);
	cr_assert_not(t.flight.reordering);
	tf_sack(&t, 3, 4);
	cr_assert(t.flight.reordering);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_a_lost_retransmission_is_found)
{
	struct tf t;

	tf_start(&t);
	t.in_recovery = true;
	tf_send(&t, 6);
	t.now_us += TF_RTT;
	tf_sack(&t, 2, 6);
	cr_assert_eq(tf_rack(&t), 2);
	tf_resend(&t);
	t.now_us += 10;
	tf_send(&t, 1);
	t.now_us += TF_RTT;
	tf_sack(&t, 1, 2); /* the second's copy arrived, the first's did not */
	cr_assert_eq(tf_rack(&t), 1);
	cr_assert(tf_has(&t, 0, TCP_SENT_LOST));
	cr_assert_not(tf_has(&t, 0, TCP_SENT_RESENT));
	cr_assert_eq(t.flight.lost, 100);
	cr_assert_eq(tf_at(&t, 6)->flags, 0, "is younger");
	cr_assert_eq(tf_resend(&t), 1);
	t.now_us += TF_RTT;
	tf_sack(&t, 6, 7);
	cr_assert_eq(tf_rack(&t), 0, "was sent before the third copy");
	tf_done(&t);
}

/* Behind the first never resent segment that is too young there may be an old retransmission. */
Test(tcp_flight, rfc8985_s6_2_an_old_resend_behind_young_segments_is_found)
{
	struct tf t;

	tf_start(&t);
	t.in_recovery = true;
	tf_send(&t, 2);
	tcp_flight_resent(&t.flight, tf_at(&t, 0), t.now_us + 30);
	t.now_us += 10;
	tf_send(&t, 1);
	tcp_flight_resent(&t.flight, tf_at(&t, 2), t.now_us + 10);
	t.now_us += 40;
	tf_send(&t, 1);
	t.now_us += TF_RTT;
	tf_sack(&t, 3, 4);
	cr_assert_eq(tf_rack(&t), 3);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_a_resend_that_arrives_too_soon_says_nothing)
{
	struct tf t;

	tf_start(&t);
	t.in_recovery = true;
	tf_send(&t, 2);
	t.now_us += 3 * TF_RTT;
	tcp_flight_timeout(&t.flight);
	tcp_flight_resent(&t.flight, tf_at(&t, 1), t.now_us);
	tcp_flight_resent(&t.flight, tf_at(&t, 0), t.now_us - 100);
	t.now_us += TF_RTT - 1;
	tf_sack(&t, 1, 2);
	cr_assert(t.acked.spurious);
	cr_assert_not(t.flight.rack_valid);
	cr_assert_eq(tf_rack(&t), 0);
	tf_done(&t);
}

Test(tcp_flight, rfc3522_an_old_timestamp_is_the_first_copys)
{
	static const struct {
		uint32_t older_us;
		bool spurious;
	} rows[] = { { 0, false }, { 999, false }, { 1000, true }, { 20000, true } };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct tf t;

		tf_start(&t);
		tf_send(&t, 2);
		t.now_us += 3 * TF_RTT;
		tcp_flight_timeout(&t.flight);
		tf_resend(&t);
		tf_acked(&t);
		t.acked.has_ecr = true;
		t.acked.ecr_us = t.now_us - rows[i].older_us;
		t.acked.now_us += TF_RTT;
		t.una += TF_LEN;
		tcp_flight_ack(&t.flight, t.una, &t.acked);
		cr_assert_eq(t.acked.spurious, rows[i].spurious, "%zu", i);
		cr_assert_eq(t.flight.rack_valid, !rows[i].spurious, "%zu", i);
		cr_assert_eq(t.acked.delivered, 100);
		cr_assert(t.acked.resent_delivered);
		tf_done(&t);
	}
}

/* RFC 7323 §4.3: out of order data does not move the timestamp that is echoed. */
Test(tcp_flight, rfc7323_s4_3_the_timestamp_beside_a_sack_is_old)
{
	struct tf t;

	tf_start(&t);
	tf_send(&t, 2);
	t.now_us += 3 * TF_RTT;
	tcp_flight_timeout(&t.flight);
	tf_resend(&t);
	tf_acked(&t);
	t.acked.has_ecr = true;
	t.acked.ecr_us = t.now_us - 3 * TF_RTT;
	t.acked.now_us += TF_RTT;
	tcp_flight_sack(&t.flight, TF_ISS + 100, TF_ISS + 200, &t.acked);
	cr_assert_not(t.acked.spurious);
	cr_assert(t.flight.rack_valid);
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_a_dsack_widens_the_window_once_a_round_trip)
{
	struct tf t;

	tf_start(&t);
	t.flight.reordering = true;
	tf_send(&t, 4);
	tcp_flight_dsack(&t.flight, t.una, t.nxt);
	tcp_flight_dsack(&t.flight, t.una, t.nxt);
	cr_assert_eq(t.flight.reo_mult, 2);
	t.now_us += TF_RTT;
	tf_sack(&t, 3, 4);
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_eq(t.wait_us, TF_RTT / 2);
	tf_ack(&t, 4);
	tcp_flight_dsack(&t.flight, t.una, t.nxt);
	cr_assert_eq(t.flight.reo_mult, 3);
	for (uint32_t i = 0; i < 300; i++) {
		tf_send(&t, 1);
		tf_ack(&t, 5 + i);
		tcp_flight_dsack(&t.flight, t.una, t.nxt);
	}
	cr_assert_eq(t.flight.reo_mult, 255);
	tf_send(&t, 2);
	t.now_us += TF_RTT;
	tf_sack(&t, 305, 306);
	cr_assert_eq(tf_rack(&t), 0);
	cr_assert_eq(t.wait_us, TF_RTT, "no more than the smoothed round trip");
	tf_done(&t);
}

Test(tcp_flight, rfc8985_s6_2_the_window_is_small_again_after_16_recoveries)
{
	struct tf t;

	tf_start(&t);
	for (uint32_t i = 0; i < 3; i++)
		tcp_flight_dsack(&t.flight, i, i);
	cr_assert_eq(t.flight.reo_mult, 4);
	for (int i = 0; i < 15; i++)
		tcp_flight_recovered(&t.flight);
	cr_assert_eq(t.flight.reo_mult, 4);
	tcp_flight_dsack(&t.flight, 9, 9); /* sixteen from here */
	for (int i = 0; i < 15; i++)
		tcp_flight_recovered(&t.flight);
	cr_assert_eq(t.flight.reo_mult, 5);
	tcp_flight_recovered(&t.flight);
	cr_assert_eq(t.flight.reo_mult, 1);
	tcp_flight_recovered(&t.flight);
	cr_assert_eq(t.flight.reo_mult, 1);
	tf_done(&t);
}

/* A DSACK's round must not seem to lie ahead again once the numbers wrapped. */
Test(tcp_flight, a_round_of_a_dsack_ends_for_good)
{
	struct tf t;
	uint32_t una;

	tf_start(&t);
	tcp_flight_dsack(&t.flight, t.una, t.una + 10);
	for (uint32_t i = 1; i <= 5; i++)
		tcp_flight_ack(&t.flight, t.una + i * 0x1fffffff, &t.acked);
	una = t.una + 5 * 0x1fffffffU;
	cr_assert(tcp_flight_before(una, t.una + 10));
	tcp_flight_dsack(&t.flight, una, una);
	cr_assert_eq(t.flight.reo_mult, 3);
	t.una = t.nxt = una;
	tf_done(&t);
}

/* 40 minutes later all earlier times look later, were they still looked at. */
Test(tcp_flight, a_pause_longer_than_half_the_clock_is_no_loss)
{
	struct tf t;

	tf_start(&t);
	t.in_recovery = true;
	tf_send(&t, 1);
	t.now_us += TF_RTT;
	tf_ack(&t, 1);
	t.now_us += 0x90000000U;
	tf_send(&t, 1);
	t.now_us += 4 * TF_RTT;
	cr_assert_eq(tf_rack(&t), 0);
	tf_done(&t);
}

Test(tcp_flight, equal_times_are_told_apart_by_sequence)
{
	struct tf t;

	tf_start(&t);
	t.in_recovery = true;
	tf_send(&t, 3); /* one time for all */
	t.now_us += TF_RTT;
	tf_sack(&t, 1, 2);
	cr_assert_eq(tf_rack(&t), 1);
	cr_assert(tf_has(&t, 0, TCP_SENT_LOST));
	cr_assert_not(tf_has(&t, 2, TCP_SENT_LOST));
	tf_done(&t);
}

/* A SYN takes a sequence number and has no record. */
Test(tcp_flight, the_first_record_may_begin_above_the_start)
{
	struct tf t;

	tf_start(&t);
	t.una++;
	t.nxt++;
	tf_send(&t, 2);
	tf_done(&t);
}

Test(tcp_flight, boot_without_memory_is_told)
{
	struct tcp_flight_pools pools;

	cr_assert_lt(tcp_flight_pools_init(&pools, 1, UINT32_MAX), 0);
}

/* New data, then the lost segment once more, in one microsecond: the new data was sent first, and its
 * arrival says nothing about the copy behind it. */
Test(tcp_flight, rfc8985_s6_2_what_is_sent_in_one_microsecond_keeps_its_order)
{
	struct tcp_flight_pools pools;
	struct tcp_flight flight;
	struct tcp_acked acked = { .now_us = 21000, .min_rtt_us = 10000 };
	uint32_t wait_us;

	cr_assert_eq(tcp_flight_pools_init(&pools, 1, 1), 0);
	tcp_flight_init(&flight, 1000);
	tcp_flight_push(&flight, 1000, 100, 10000);
	tcp_flight_lose(&flight, tcp_flight_at(&flight, 0));
	tcp_flight_push(&flight, 1100, 100, 11000);
	tcp_flight_resent(&flight, tcp_flight_next_lost(&flight), 11000);
	tcp_flight_sack(&flight, 1100, 1200, &acked);
	cr_assert_eq(
		tcp_flight_rack(&flight, 21000, 10000, 10000, /* in_recovery= */ true, &wait_us),
		0);
	cr_assert_null(tcp_flight_next_lost(&flight), "the copy is still on its way");
	tcp_flight_fini(&flight, &pools);
	tcp_flight_pools_fini(&pools);
}
