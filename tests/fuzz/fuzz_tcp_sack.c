/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The input is a list of what may happen to the segments in flight: sent, acknowledged, SACKed,
 * lost, sent again. After each step the scoreboard's own check, and what is delivered is no more
 * than was sent.
 */
#include "tcp_flight.h"

#define STEPS_MAX 600

struct fuzz {
	const uint8_t *at, *end;
	struct tcp_flight flight;
	uint32_t una, nxt, now_us;
	uint64_t sent, delivered; /* in all; what the peer reneged on may be delivered twice */
	bool reneged;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct tcp_flight_pools fuzz_pools;

static uint32_t fuzz_byte(struct fuzz *f)
{
	return f->at < f->end ? *f->at++ : 0;
}

static uint32_t fuzz_u16(struct fuzz *f)
{
	uint32_t high = fuzz_byte(f);

	return high << 8 | fuzz_byte(f);
}

static void fuzz_send(struct fuzz *f)
{
	uint32_t n = fuzz_byte(f);
	uint32_t len = 1 + (n & 0x80 ? fuzz_u16(f) % 65535 : fuzz_byte(f));

	for (n &= 0x7f; n > 0; n--) {
		if (!tcp_flight_room(&f->flight, &fuzz_pools))
			return;
		tcp_flight_push(&f->flight, f->nxt, len, f->now_us);
		f->nxt += len;
		f->sent += len;
	}
}

/* A place in (from, nxt]: a segment's end, or some bytes before it. */
static uint32_t fuzz_place(struct fuzz *f, uint32_t from)
{
	uint32_t first = tcp_flight_at(&f->flight, 0)->seq;
	struct tcp_sent *sent;
	uint32_t i = fuzz_u16(f);
	uint32_t place;

	sent = tcp_flight_at(&f->flight, (i & 0xfff) % f->flight.count);
	place = sent->seq + sent->len - (i & 0x8000 ? fuzz_byte(f) % sent->len : 0);
	return place - first > from - first ? place : f->nxt;
}

static void fuzz_ack(struct fuzz *f)
{
	uint32_t how = fuzz_byte(f);
	struct tcp_acked acked = { .now_us = f->now_us,
		.min_rtt_us = how & 0x40 ? 500 : UINT32_MAX,
		.has_ecr = how & 0x20,
		.ecr_us = f->now_us - (how & 0x1f) * 500 };

	if (f->flight.count == 0)
		return;
	if (how & 0x80) {
		f->una = fuzz_place(f, f->una);
		tcp_flight_ack(&f->flight, f->una, &acked);
	}
	for (uint32_t n = fuzz_byte(f) % 5; n > 0 && f->una != f->nxt; n--) {
		uint32_t start = fuzz_place(f, f->una);

		if (start != f->nxt)
			tcp_flight_sack(&f->flight, start, fuzz_place(f, start), &acked);
	}
	HF_ASSERT(acked.sacked <= acked.delivered);
	f->delivered += acked.delivered;
	HF_ASSERT(f->reneged || f->delivered <= f->sent);
}

static void fuzz_rack(struct fuzz *f)
{
	uint32_t how = fuzz_byte(f);
	uint32_t lost = f->flight.lost;
	uint32_t newly, wait_us;

	newly = tcp_flight_rack(&f->flight, f->now_us, 10U * (how & 0x3f),
		how & 0x40 ? UINT32_MAX : 500, how & 0x80, &wait_us);
	HF_ASSERT(f->flight.lost == lost + newly);
}

static void fuzz_resend(struct fuzz *f)
{
	for (uint32_t n = fuzz_byte(f); n > 0; n--) {
		struct tcp_sent *sent = tcp_flight_next_lost(&f->flight);

		HF_ASSERT(!sent == (f->flight.lost == 0));
		if (!sent)
			return;
		tcp_flight_resent(&f->flight, sent, f->now_us);
	}
}

static void fuzz_one(struct fuzz *f, bool lose)
{
	uint32_t seq = f->una + (f->nxt != f->una ? fuzz_u16(f) * 7 % (f->nxt - f->una) : 0);
	struct tcp_sent *sent = tcp_flight_find(&f->flight, seq);

	HF_ASSERT(!sent == (f->una == f->nxt));
	if (!sent)
		return;
	HF_ASSERT(seq - sent->seq < sent->len);
	if (sent->flags & TCP_SENT_SACKED)
		return;
	if (lose)
		tcp_flight_lose(&f->flight, sent);
	else
		tcp_flight_resent(&f->flight, sent, f->now_us);
}

static void fuzz_timeout(struct fuzz *f)
{
	uint32_t sacked = f->flight.sacked;

	tcp_flight_timeout(&f->flight);
	f->reneged |= f->flight.sacked != sacked;
	HF_ASSERT(tcp_flight_out(&f->flight) == 0);
}

static void fuzz_step(struct fuzz *f)
{
	switch (fuzz_byte(f) % 12) {
	case 0:
	case 1:
		fuzz_send(f);
		break;
	case 2:
	case 3:
	case 4:
		fuzz_ack(f);
		break;
	case 5:
		fuzz_rack(f);
		break;
	case 6:
		fuzz_resend(f);
		break;
	case 7:
		f->now_us += fuzz_u16(f);
		break;
	case 8:
		fuzz_one(f, /* lose= */ true);
		break;
	case 9:
		fuzz_one(f, /* lose= */ false);
		break;
	case 10:
		if (fuzz_byte(f) & 1)
			fuzz_timeout(f);
		else
			tcp_flight_undo(&f->flight);
		break;
	default:
		if (fuzz_byte(f) & 1)
			tcp_flight_dsack(&f->flight, f->una, f->nxt);
		else
			tcp_flight_recovered(&f->flight);
	}
	tcp_flight_check(&f->flight, f->una, f->nxt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { .at = data, .end = data + len, .una = 0xffffff00, .now_us = 0xfffff000 };

	if (!fuzz_pools.mid.memory)
		HF_ASSERT(tcp_flight_pools_init(&fuzz_pools, 1, 1) == 0);
	f.nxt = f.una;
	tcp_flight_init(&f.flight, f.una);
	for (int i = 0; i < STEPS_MAX && f.at < f.end; i++)
		fuzz_step(&f);
	tcp_flight_fini(&f.flight, &fuzz_pools);
	HF_ASSERT(fuzz_pools.mid.used == 0 && fuzz_pools.max.used == 0);
	return 0;
}
