/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scoreboard against a second, naive one: a row for each byte, 64 bits of time and sequence, a
 * walk over all bytes for everything.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tcp_flight.h"

#define WALK_ISS   0xfffffd00U             /* both wrap */
#define WALK_EPOCH (UINT32_MAX - 100000LL) /* divisible by nothing in particular */
#define WALK_BYTES 16384

struct naive_byte {
	bool sacked, lost, resent, again, often;
	int64_t sent_us;
	uint32_t start, end; /* of its segment */
};

struct naive {
	struct naive_byte byte[WALK_BYTES];
	uint32_t una, nxt; /* indexes into byte */
	uint32_t fack;
	bool rack_valid, reordering;
	int64_t rack_us, rack_rtt_us;
	uint32_t rack_end;
	int mult, persist;
	int64_t round; /* -1: none */
	int64_t last_us;
	uint32_t last_end; /* of the last transmission: two of one microsecond keep their order */
};

struct naive_acked {
	uint32_t delivered, sacked;
	int64_t rtt_us; /* -1: none */
	bool resent, spurious;
};

struct walk {
	struct tcp_flight flight;
	struct tcp_flight_pools pools;
	struct naive ref;
	int64_t now_us;
	uint32_t min_rtt_us, srtt_us, len_max, bytes_max;
	uint64_t random;
	/* one ACK */
	struct tcp_acked acked;
	struct naive_acked expect;
	bool has_ecr;
	int64_t ecr_us;
	uint32_t fack_before;
};

static uint32_t walk_random(struct walk *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 20) % below;
}

static int64_t naive_stamp(struct naive *ref, uint32_t end, int64_t now_us)
{
	if (ref->una == ref->nxt || ref->last_us < now_us)
		ref->last_us = now_us;
	else if (ref->last_end >= end)
		ref->last_us++;
	ref->last_end = end;
	return ref->last_us;
}

static int64_t naive_since(const struct walk *w, int64_t sent_us)
{
	return sent_us > w->now_us ? 0 : w->now_us - sent_us;
}

static void naive_arrived(
	struct walk *w, const struct naive_byte *seg, uint32_t end, bool by_sack, bool first)
{
	struct naive *ref = &w->ref;
	int64_t rtt_us = naive_since(w, seg->sent_us);
	bool old = w->has_ecr && w->ecr_us + 1000 <= seg->sent_us;
	bool early = rtt_us < w->min_rtt_us && w->min_rtt_us != UINT32_MAX;

	if (end < w->fack_before && !seg->again)
		ref->reordering = true;
	if (ref->fack < end)
		ref->fack = end;
	if (!seg->again && (w->expect.rtt_us < 0 || rtt_us < w->expect.rtt_us))
		w->expect.rtt_us = rtt_us;
	w->expect.resent |= seg->again;
	if (seg->again && !by_sack && first && old)
		w->expect.spurious = true;
	if (seg->again && !seg->often && early && (by_sack || !w->has_ecr))
		w->expect.spurious = true;
	if (seg->again && (early || (!by_sack && old)))
		return;
	ref->rack_rtt_us = rtt_us;
	if (!ref->rack_valid || seg->sent_us > ref->rack_us ||
		(seg->sent_us == ref->rack_us && end > ref->rack_end)) {
		ref->rack_valid = true;
		ref->rack_us = seg->sent_us;
		ref->rack_end = end;
	}
}

static void naive_ack(struct walk *w, uint32_t una)
{
	struct naive *ref = &w->ref;
	uint32_t before = ref->una;

	for (uint32_t i = before; i < una; i++) {
		struct naive_byte *byte = &ref->byte[i];

		if (!byte->sacked)
			w->expect.delivered++;
		if (!byte->sacked && (i + 1 == una || i + 1 == byte->end))
			naive_arrived(w, byte, i + 1, false, byte->start == before);
	}
	for (uint32_t i = una; i < ref->nxt && ref->byte[i].start < una; i++)
		ref->byte[i].start = una;
	ref->una = una;
	if (ref->fack < una)
		ref->fack = una;
	if (ref->round <= una)
		ref->round = -1;
	if (una == ref->nxt)
		ref->rack_valid = false;
}

static void naive_sack(struct walk *w, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i++) {
		struct naive_byte *byte = &w->ref.byte[i];

		if (byte->sacked || byte->start < start || byte->end > end)
			continue;
		if (i + 1 == byte->end)
			naive_arrived(w, byte, byte->end, true, false);
		byte->sacked = true;
		byte->lost = byte->resent = false;
		w->expect.delivered++;
		w->expect.sacked++;
	}
}

/* Returns bytes newly lost. */
static uint32_t naive_rack(struct walk *w, bool in_recovery, int64_t *ret_wait_us)
{
	struct naive *ref = &w->ref;
	double window = (double)ref->mult * w->min_rtt_us / 4;
	uint32_t newly = 0, sacked = 0;

	*ret_wait_us = 0;
	for (uint32_t i = ref->una; i < ref->nxt; i++)
		sacked += ref->byte[i].sacked && ref->byte[i].start == i;
	if (window > w->srtt_us)
		window = w->srtt_us;
	if (!ref->reordering && (in_recovery || sacked >= 3))
		window = 0;
	for (uint32_t i = ref->una; ref->rack_valid && i < ref->nxt; i++) {
		struct naive_byte *byte = &ref->byte[i];
		int64_t left = ref->rack_rtt_us + (int64_t)window - (w->now_us - byte->sent_us);

		if (byte->sacked || (byte->lost && !byte->resent) || byte->sent_us > ref->rack_us ||
			(byte->sent_us == ref->rack_us && byte->end >= ref->rack_end))
			continue;
		if (left <= 0) {
			byte->lost = true;
			byte->resent = false;
			newly++;
		} else if (left > *ret_wait_us) {
			*ret_wait_us = left;
		}
	}
	return newly;
}

static void naive_lose(struct naive *ref, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i++) {
		if (!ref->byte[i].sacked) {
			ref->byte[i].lost = true;
			ref->byte[i].resent = false;
		}
	}
}

static void naive_timeout(struct naive *ref)
{
	if (ref->una < ref->nxt && ref->byte[ref->una].sacked) {
		for (uint32_t i = ref->una; i < ref->nxt; i++)
			ref->byte[i].sacked = false;
		ref->fack = ref->una;
	}
	naive_lose(ref, ref->una, ref->nxt);
}

static void naive_resent(struct walk *w, uint32_t at)
{
	uint32_t end = w->ref.byte[at].end;
	int64_t sent_us = naive_stamp(&w->ref, end, w->now_us);

	for (uint32_t i = w->ref.byte[at].start; i < end; i++) {
		struct naive_byte *byte = &w->ref.byte[i];

		byte->resent = byte->lost;
		byte->often = byte->again;
		byte->again = true;
		byte->sent_us = sent_us;
	}
}

static void walk_compare_byte(struct walk *w, uint32_t i)
{
	const struct naive_byte *byte = &w->ref.byte[i];
	const struct tcp_sent *sent = tcp_flight_find(&w->flight, WALK_ISS + i);

	cr_assert_not_null(sent);
	cr_assert_eq(sent->seq, WALK_ISS + byte->start);
	cr_assert_eq(sent->len, byte->end - byte->start);
	cr_assert_eq(sent->sent_us, (uint32_t)byte->sent_us);
	cr_assert_eq(!!(sent->flags & TCP_SENT_SACKED), byte->sacked);
	cr_assert_eq(!!(sent->flags & TCP_SENT_LOST), byte->lost);
	cr_assert_eq(!!(sent->flags & TCP_SENT_RESENT), byte->resent);
	cr_assert_eq(!!(sent->flags & TCP_SENT_AGAIN), byte->again);
}

static void walk_compare(struct walk *w)
{
	struct naive *ref = &w->ref;
	struct tcp_sent *lost = tcp_flight_next_lost(&w->flight);
	uint32_t out = 0, first_lost = UINT32_MAX;

	tcp_flight_check(&w->flight, WALK_ISS + ref->una, WALK_ISS + ref->nxt);
	for (uint32_t i = ref->una; i < ref->nxt; i++) {
		const struct naive_byte *byte = &ref->byte[i];

		if (i == byte->start)
			walk_compare_byte(w, i);
		out += !byte->sacked && (!byte->lost || byte->resent);
		if (first_lost == UINT32_MAX && byte->lost && !byte->resent)
			first_lost = i;
	}
	cr_assert_eq(tcp_flight_out(&w->flight), out);
	cr_assert_eq(lost == NULL, first_lost == UINT32_MAX);
	if (lost)
		cr_assert_eq(lost->seq, WALK_ISS + first_lost);
	cr_assert_eq(w->flight.reordering, ref->reordering);
	cr_assert_eq(w->flight.reo_mult, ref->mult);
	cr_assert_eq(w->flight.rack_valid, ref->rack_valid);
	if (ref->una < ref->nxt)
		cr_assert_eq(w->flight.fack, WALK_ISS + ref->fack);
	if (!ref->rack_valid)
		return;
	cr_assert_eq(w->flight.rack_sent_us, (uint32_t)ref->rack_us);
	cr_assert_eq(w->flight.rack_end, WALK_ISS + ref->rack_end);
	cr_assert_eq(w->flight.rack_rtt_us, ref->rack_rtt_us);
}

static void walk_send(struct walk *w)
{
	struct naive *ref = &w->ref;

	for (uint32_t n = walk_random(w, w->bytes_max / 40); n > 0; n--) {
		uint32_t len = 1 + walk_random(w, w->len_max);
		int64_t sent_us;

		if (ref->nxt + len > WALK_BYTES || ref->nxt + len - ref->una > w->bytes_max)
			return;
		cr_assert(tcp_flight_room(&w->flight, &w->pools));
		tcp_flight_push(&w->flight, WALK_ISS + ref->nxt, len, (uint32_t)w->now_us);
		sent_us = naive_stamp(ref, ref->nxt + len, w->now_us);
		for (uint32_t i = 0; i < len; i++)
			ref->byte[ref->nxt + i] = (struct naive_byte){
				.sent_us = sent_us, .start = ref->nxt, .end = ref->nxt + len
			};
		ref->nxt += len;
		if (walk_random(w, 3) == 0)
			w->now_us += walk_random(w, 200);
	}
}

/* A place in flight, above `from`; most often a segment's end. */
static uint32_t walk_place(struct walk *w, uint32_t from)
{
	uint32_t at = from + walk_random(w, w->ref.nxt - from);

	return walk_random(w, 6) == 0 ? at + 1 : w->ref.byte[at].end;
}

static void walk_blocks(struct walk *w)
{
	uint32_t from = w->ref.una;

	for (uint32_t n = walk_random(w, 4); n > 0; n--) {
		uint32_t start, end;

		if (w->ref.nxt - from < 3)
			return;
		start = walk_place(w, from);
		if (start >= w->ref.nxt)
			return;
		end = walk_place(w, start);
		naive_sack(w, start, end);
		tcp_flight_sack(&w->flight, WALK_ISS + start, WALK_ISS + end, &w->acked);
		from = walk_random(w, 3) == 0 ? w->ref.una : end;
	}
}

static void walk_ack(struct walk *w)
{
	struct naive *ref = &w->ref;
	uint32_t una = ref->una;

	if (ref->una == ref->nxt)
		return;
	w->has_ecr = walk_random(w, 2);
	w->ecr_us = (w->now_us - walk_random(w, 5000)) / 1000 * 1000;
	w->acked = (struct tcp_acked){ .now_us = (uint32_t)w->now_us,
		.min_rtt_us = w->min_rtt_us,
		.has_ecr = w->has_ecr,
		.ecr_us = (uint32_t)w->ecr_us };
	w->expect = (struct naive_acked){ .rtt_us = -1 };
	w->fack_before = ref->fack;
	if (walk_random(w, 3) == 0) {
		una = walk_random(w, 20) == 0 ? ref->nxt : walk_place(w, una);
		if (una - ref->una > w->bytes_max / 4 && walk_random(w, 8))
			una = ref->byte[ref->una].end;
		tcp_flight_ack(&w->flight, WALK_ISS + una, &w->acked);
		naive_ack(w, una);
	}
	walk_blocks(w);
	cr_assert_eq(w->acked.delivered, w->expect.delivered);
	cr_assert_eq(w->acked.sacked, w->expect.sacked);
	cr_assert_eq(w->acked.resent_delivered, w->expect.resent);
	cr_assert_eq(w->acked.spurious, w->expect.spurious);
	if (w->expect.rtt_us < 0)
		cr_assert_eq(w->acked.rtt_us, 0);
	else
		cr_assert_eq(w->acked.rtt_us, w->expect.rtt_us > 0 ? w->expect.rtt_us : 1);
}

static void walk_rack(struct walk *w)
{
	bool in_recovery = walk_random(w, 2);
	uint32_t wait_us = 77;
	int64_t expect_us;
	uint32_t newly = tcp_flight_rack(
		&w->flight, (uint32_t)w->now_us, w->srtt_us, w->min_rtt_us, in_recovery, &wait_us);

	cr_assert_eq(newly, naive_rack(w, in_recovery, &expect_us));
	cr_assert_eq(wait_us, expect_us);
}

static void walk_resend(struct walk *w)
{
	for (uint32_t n = walk_random(w, 6); n > 0; n--) {
		struct tcp_sent *sent = tcp_flight_next_lost(&w->flight);

		if (!sent)
			return;
		naive_resent(w, sent->seq - WALK_ISS);
		tcp_flight_resent(&w->flight, sent, (uint32_t)w->now_us);
	}
}

/* One segment anywhere: a probe, or a loss that something else than RACK found. */
static void walk_one(struct walk *w)
{
	struct naive *ref = &w->ref;
	const struct naive_byte *byte;
	struct tcp_sent *sent;
	uint32_t at;

	if (ref->una == ref->nxt)
		return;
	at = ref->una + walk_random(w, ref->nxt - ref->una);
	byte = &ref->byte[at];
	sent = tcp_flight_find(&w->flight, WALK_ISS + at);
	if (byte->sacked)
		return;
	if (walk_random(w, 2)) {
		tcp_flight_resent(&w->flight, sent, (uint32_t)w->now_us);
		naive_resent(w, at);
	} else {
		tcp_flight_lose(&w->flight, sent);
		naive_lose(ref, byte->start, byte->end);
	}
}

static void walk_dsack(struct walk *w)
{
	struct naive *ref = &w->ref;

	tcp_flight_dsack(&w->flight, WALK_ISS + ref->una, WALK_ISS + ref->nxt);
	if (ref->round < 0) {
		ref->round = ref->nxt;
		ref->reordering = true;
		ref->mult++;
		ref->persist = 16;
	}
	if (ref->round <= ref->una)
		ref->round = -1;
}

static void walk_rare(struct walk *w)
{
	switch (walk_random(w, 8)) {
	case 0:
		tcp_flight_timeout(&w->flight);
		naive_timeout(&w->ref);
		break;
	case 1:
		tcp_flight_undo(&w->flight);
		for (uint32_t i = w->ref.una; i < w->ref.nxt; i++)
			w->ref.byte[i].lost = w->ref.byte[i].resent = false;
		break;
	case 2:
		walk_dsack(w);
		break;
	case 3:
		tcp_flight_recovered(&w->flight);
		if (--w->ref.persist <= 0)
			w->ref.mult = 1;
		break;
	default:
		walk_one(w);
	}
}

static void walk_step(struct walk *w)
{
	uint32_t what = walk_random(w, 20);

	if (what < 5)
		walk_send(w);
	else if (what < 10)
		walk_ack(w);
	else if (what < 14)
		walk_rack(w);
	else if (what < 16)
		walk_resend(w);
	else if (what < 18)
		walk_rare(w);
	else
		w->now_us += walk_random(w, 3000);
	walk_compare(w);
}

static struct walk walk_state;

static void walk_run(uint32_t seed, uint32_t len_max, uint32_t bytes_max, uint32_t steps)
{
	struct walk *w = &walk_state;

	*w = (struct walk){ .now_us = WALK_EPOCH,
		.len_max = len_max,
		.bytes_max = bytes_max,
		.random = 0x9e3779b97f4a7c15ULL * (seed + 1) };
	w->ref.mult = 1;
	w->ref.round = -1;
	w->min_rtt_us = walk_random(w, 5) == 0 ? UINT32_MAX : 1 + walk_random(w, 2000);
	w->srtt_us = walk_random(w, 3000);
	cr_assert_eq(tcp_flight_pools_init(&w->pools, 1, 1), 0);
	tcp_flight_init(&w->flight, WALK_ISS);
	for (uint32_t i = 0; i < steps; i++)
		walk_step(w);
	tcp_flight_fini(&w->flight, &w->pools);
	cr_assert_eq(w->pools.mid.used + w->pools.max.used, 0);
	tcp_flight_pools_fini(&w->pools);
}

Test(tcp_flight_walk, sack_scoreboard_checked_against_a_second_implementation_at_random)
{
	for (uint32_t seed = 0; seed < 2000; seed++)
		walk_run(seed, 12, 300, 150);
}

/* Runs longer than a skip tells of. */
Test(tcp_flight_walk, long_runs_checked_against_a_second_implementation_at_random)
{
	for (uint32_t seed = 0; seed < 40; seed++)
		walk_run(1000000 + seed, 2, 3000, 1000);
}
