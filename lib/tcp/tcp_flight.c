/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The ring of records and the SACK scoreboard. A run of SACKED records is walked in steps of up to
 * FLIGHT_SKIP_MAX + 1 (tcp_sent.skip): a peer that repeats large blocks in each ACK costs no more
 * than one that says what is new.
 */
#include "tcp_flight.h"

#include <string.h>

#define FLIGHT_SKIP_MAX UINT8_MAX

int tcp_flight_pools_init(struct tcp_flight_pools *pools, uint32_t mid, uint32_t max)
{
	int err = hf_pool_init(&pools->mid, TCP_FLIGHT_MID * sizeof(struct tcp_sent), mid);

	if (err)
		return err;
	err = hf_pool_init(&pools->max, TCP_FLIGHT_MAX * sizeof(struct tcp_sent), max);
	if (err)
		hf_pool_fini(&pools->mid);
	return err;
}

void tcp_flight_pools_fini(struct tcp_flight_pools *pools)
{
	hf_pool_fini(&pools->mid);
	hf_pool_fini(&pools->max);
}

void tcp_flight_init(struct tcp_flight *flight, uint32_t una)
{
	memset(flight, 0, offsetof(struct tcp_flight, own));
	flight->rec = flight->own;
	flight->cap = TCP_FLIGHT_OWN;
	flight->fack = flight->again_end = una;
	flight->reo_mult = 1;
}

void tcp_flight_fini(struct tcp_flight *flight, struct tcp_flight_pools *pools)
{
	if (flight->cap == TCP_FLIGHT_MID)
		hf_pool_put(&pools->mid, flight->rec);
	else if (flight->cap == TCP_FLIGHT_MAX)
		hf_pool_put(&pools->max, flight->rec);
}

bool tcp_flight_room(struct tcp_flight *flight, struct tcp_flight_pools *pools)
{
	uint16_t cap = flight->cap == TCP_FLIGHT_OWN ? TCP_FLIGHT_MID : TCP_FLIGHT_MAX;
	uint32_t upper = flight->cap - flight->head; /* records from head to the array's end */
	struct tcp_sent *rec;

	if (flight->count < flight->cap)
		return true;
	if (flight->cap == TCP_FLIGHT_MAX)
		return false;
	rec = hf_pool_get(cap == TCP_FLIGHT_MID ? &pools->mid : &pools->max);
	if (!rec)
		return false;
	memcpy(rec, flight->rec + flight->head, upper * sizeof(*rec));
	memcpy(rec + upper, flight->rec, flight->head * sizeof(*rec));
	tcp_flight_fini(flight, pools);
	flight->rec = rec;
	flight->cap = cap;
	flight->head = 0;
	return true;
}

void tcp_flight_push_run(
	struct tcp_flight *flight, uint32_t seq, uint32_t len, uint32_t mss, uint32_t now_us)
{
	uint32_t end = seq + len, n = hf_min_u32(len, mss), count = flight->count;

	tcp_flight_push(flight, seq, n, now_us);
	/* the others' time is the first one's: they were sent in order */
	while ((seq += n) != end) {
		count++;
		HF_ASSERT(count < flight->cap);
		n = hf_min_u32(end - seq, mss);
		*tcp_flight_at(flight, count) = (struct tcp_sent){
			.seq = seq, .sent_us = flight->last_us, .len = (uint16_t)n
		};
	}
	flight->bytes += len - hf_min_u32(len, mss);
	flight->count = (uint16_t)(count + 1);
	flight->last_end = end;
}

static bool flight_is_lost(const struct tcp_sent *sent)
{
	return (sent->flags & (TCP_SENT_LOST | TCP_SENT_RESENT)) == TCP_SENT_LOST;
}

/* The first `len` bytes in flight are acknowledged: all of the first record or its front. */
static void flight_take(struct tcp_flight *flight, uint32_t len, struct tcp_acked *acked)
{
	struct tcp_sent *sent = tcp_flight_at(flight, 0);

	if (sent->flags & TCP_SENT_SACKED) {
		flight->sacked -= len;
	} else {
		tcp_flight_delivered(flight, sent, sent->seq + len, /* by_sack= */ false, acked);
		acked->delivered += len;
		if (flight_is_lost(sent))
			flight->lost -= len;
	}
	flight->bytes -= len;
	if (len < sent->len) {
		sent->seq += len;
		sent->len = (uint16_t)(sent->len - len);
		return;
	}
	flight->sacked_count -= !!(sent->flags & TCP_SENT_SACKED);
	flight->head = (uint16_t)((flight->head + 1U) & (flight->cap - 1U));
	flight->count--;
	flight->lost_from -= flight->lost_from > 0;
}

/* A timestamp that comes back with an ACK that moved snd_una is of the segment that was missing
 * there (RFC 7323 §4.3): it tells about the first record and no other. */
static bool flight_first_copy_came(const struct tcp_sent *sent, const struct tcp_acked *acked)
{
	if (acked->again_known && (int32_t)(acked->again_us - acked->ecr_us) < 1000)
		return false; /* a retransmission did: RFC 3522 §3.2 */
	return sent->flags & TCP_SENT_AGAIN && !(sent->flags & TCP_SENT_SACKED) &&
	       tcp_flight_ecr_older(sent, acked);
}

void tcp_flight_ack(struct tcp_flight *flight, uint32_t una, struct tcp_acked *acked)
{
	uint32_t left = flight->count > 0 ? una - tcp_flight_at(flight, 0)->seq : 0;

	HF_ASSERT(left <= flight->bytes);
	if (left > 0 && flight_first_copy_came(tcp_flight_at(flight, 0), acked))
		acked->spurious = true;
	while (left > 0) {
		uint32_t len = hf_min_u32(left, tcp_flight_at(flight, 0)->len);

		flight_take(flight, len, acked);
		left -= len;
	}
	if (tcp_flight_before(flight->fack, una))
		flight->fack = una;
	if (tcp_flight_before(flight->again_end, una))
		flight->again_end = una;
	if (!tcp_flight_before(una, flight->dsack_round))
		flight->dsack_round_valid = false;
	if (flight->count == 0) /* what is sent from now on is younger, whatever the clock says */
		flight->rack_valid = false;
}

/* The number of records that end at or before `offset` bytes behind the first one's start. */
static uint32_t flight_ended(const struct tcp_flight *flight, uint32_t offset)
{
	uint32_t base = tcp_flight_at(flight, 0)->seq;
	uint32_t low = 0, high = flight->count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct tcp_sent *sent = tcp_flight_at(flight, mid);

		if (sent->seq + sent->len - base <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void flight_sack_one(
	struct tcp_flight *flight, struct tcp_sent *sent, struct tcp_acked *acked)
{
	tcp_flight_delivered(flight, sent, sent->seq + sent->len, /* by_sack= */ true, acked);
	if (flight_is_lost(sent))
		flight->lost -= sent->len;
	sent->flags &= (uint8_t) ~(TCP_SENT_LOST | TCP_SENT_RESENT);
	sent->flags |= TCP_SENT_SACKED;
	flight->sacked += sent->len;
	flight->sacked_count++;
	acked->sacked += sent->len;
	acked->delivered += sent->len;
}

void tcp_flight_sack(
	struct tcp_flight *flight, uint32_t start, uint32_t end, struct tcp_acked *acked)
{
	uint32_t base = flight->count > 0 ? tcp_flight_at(flight, 0)->seq : 0;
	uint32_t i, stop;

	if (hf_never(
		    flight->count == 0 || end - base > flight->bytes || start - base >= end - base))
		return;
	i = flight_ended(flight, start - base);
	if (tcp_flight_before(tcp_flight_at(flight, i)->seq, start))
		i++;
	stop = flight_ended(flight, end - base);
	while (i < stop) {
		struct tcp_sent *sent = tcp_flight_at(flight, i);
		uint32_t skip = sent->skip;

		if (!(sent->flags & TCP_SENT_SACKED))
			flight_sack_one(flight, sent, acked);
		/* whatever the walk comes by learns where it ends */
		sent->skip = (uint8_t)hf_max_u32(skip, hf_min_u32(stop - i - 1, FLIGHT_SKIP_MAX));
		i += 1 + skip;
	}
}

static uint32_t flight_index(const struct tcp_flight *flight, const struct tcp_sent *sent)
{
	uint32_t i = (uint32_t)(sent - flight->rec - flight->head) & (flight->cap - 1U);

	HF_ASSERT(i < flight->count);
	return i;
}

void tcp_flight_lose(struct tcp_flight *flight, struct tcp_sent *sent)
{
	HF_ASSERT(!(sent->flags & TCP_SENT_SACKED));
	if (flight_is_lost(sent))
		return;
	sent->flags |= TCP_SENT_LOST;
	sent->flags &= (uint8_t)~TCP_SENT_RESENT;
	flight->lost += sent->len;
	flight->lost_from = (uint16_t)hf_min_u32(flight->lost_from, flight_index(flight, sent));
	flight->rack_looked = false;
}

/* RFC 2018 §8: what was SACKED may have been thrown away. */
static void flight_renege(struct tcp_flight *flight)
{
	for (uint32_t i = 0; i < flight->count; i++) {
		struct tcp_sent *sent = tcp_flight_at(flight, i);

		sent->flags &= (uint8_t)~TCP_SENT_SACKED;
		sent->skip = 0;
	}
	flight->sacked = flight->sacked_count = 0;
	flight->fack = tcp_flight_at(flight, 0)->seq;
}

void tcp_flight_timeout(struct tcp_flight *flight)
{
	if (flight->count > 0 && tcp_flight_at(flight, 0)->flags & TCP_SENT_SACKED)
		flight_renege(flight);
	for (uint32_t i = 0; i < flight->count; i++) {
		struct tcp_sent *sent = tcp_flight_at(flight, i);

		if (!(sent->flags & TCP_SENT_SACKED))
			tcp_flight_lose(flight, sent);
	}
	HF_ASSERT(tcp_flight_out(flight) == 0);
}

void tcp_flight_undo(struct tcp_flight *flight)
{
	for (uint32_t i = 0; i < flight->count; i++)
		tcp_flight_at(flight, i)->flags &= (uint8_t) ~(TCP_SENT_LOST | TCP_SENT_RESENT);
	flight->lost = 0;
	flight->lost_from = flight->count;
	flight->rack_looked = false;
}

struct tcp_sent *tcp_flight_next_lost(struct tcp_flight *flight)
{
	if (flight->lost == 0)
		return NULL;
	for (;;) {
		struct tcp_sent *sent = tcp_flight_at(flight, flight->lost_from);

		HF_ASSERT(flight->lost_from < flight->count);
		if (flight_is_lost(sent))
			return sent;
		flight->lost_from = (uint16_t)(flight->lost_from + 1U + sent->skip);
	}
}

void tcp_flight_resent(struct tcp_flight *flight, struct tcp_sent *sent, uint32_t now_us)
{
	uint32_t end = sent->seq + sent->len;

	HF_ASSERT(!(sent->flags & TCP_SENT_SACKED));
	HF_ASSERT(flight_index(flight, sent) < flight->count);
	if (flight_is_lost(sent)) {
		sent->flags |= TCP_SENT_RESENT;
		flight->lost -= sent->len;
	}
	if (sent->flags & TCP_SENT_AGAIN)
		sent->flags |= TCP_SENT_OFTEN;
	sent->flags |= TCP_SENT_AGAIN;
	sent->sent_us = tcp_flight_stamp(flight, end, now_us);
	if (tcp_flight_before(flight->again_end, end))
		flight->again_end = end;
	flight->rack_looked = false;
}

struct tcp_sent *tcp_flight_find(const struct tcp_flight *flight, uint32_t seq)
{
	uint32_t offset;

	if (flight->count == 0)
		return NULL;
	offset = seq - tcp_flight_at(flight, 0)->seq;
	if (offset >= flight->bytes)
		return NULL;
	return tcp_flight_at(flight, flight_ended(flight, offset));
}

/* From the last record to the first: what a record says about those behind it. */
static void flight_check_runs(const struct tcp_flight *flight)
{
	uint32_t run = 0; /* SACKED records from here on without a gap */

	for (uint32_t i = flight->count; i-- > 0;) {
		const struct tcp_sent *sent = tcp_flight_at(flight, i);

		run = sent->flags & TCP_SENT_SACKED ? run + 1 : 0;
		HF_ASSERT(run > 0 ? sent->skip < run : sent->skip == 0);
		HF_ASSERT(!flight_is_lost(sent) || i >= flight->lost_from);
	}
}

static void flight_check_one(const struct tcp_flight *flight, const struct tcp_sent *sent)
{
	uint32_t end = sent->seq + sent->len;

	HF_ASSERT(sent->len > 0);
	if (sent->flags & TCP_SENT_SACKED) {
		HF_ASSERT(!(sent->flags & (TCP_SENT_LOST | TCP_SENT_RESENT)));
		HF_ASSERT(!tcp_flight_before(flight->fack, end));
	}
	if (sent->flags & TCP_SENT_RESENT)
		HF_ASSERT(sent->flags & TCP_SENT_LOST && sent->flags & TCP_SENT_AGAIN);
	if (sent->flags & TCP_SENT_AGAIN)
		HF_ASSERT(!tcp_flight_before(flight->again_end, end));
}

void tcp_flight_check(const struct tcp_flight *flight, uint32_t una, uint32_t nxt)
{
	uint32_t seq = una, sacked = 0, sacked_count = 0, lost = 0;
	const struct tcp_sent *before = NULL; /* the last never sent again */

	HF_ASSERT((flight->cap == TCP_FLIGHT_OWN) == (flight->rec == flight->own));
	HF_ASSERT(flight->cap == TCP_FLIGHT_OWN || flight->cap == TCP_FLIGHT_MID ||
		  flight->cap == TCP_FLIGHT_MAX);
	HF_ASSERT(flight->head < flight->cap && flight->count <= flight->cap);
	HF_ASSERT(flight->lost_from <= flight->count);
	HF_ASSERT(flight->count > 0 || !flight->rack_valid);
	HF_ASSERT(flight->reo_mult > 0);
	for (uint32_t i = 0; i < flight->count; i++) {
		const struct tcp_sent *sent = tcp_flight_at(flight, i);

		HF_ASSERT(sent->seq == seq);
		flight_check_one(flight, sent);
		seq += sent->len;
		sacked += sent->flags & TCP_SENT_SACKED ? sent->len : 0;
		sacked_count += !!(sent->flags & TCP_SENT_SACKED);
		lost += flight_is_lost(sent) ? sent->len : 0;
		if (sent->flags & TCP_SENT_AGAIN)
			continue;
		HF_ASSERT(!before || !tcp_flight_before(sent->sent_us, before->sent_us));
		before = sent;
	}
	HF_ASSERT(seq == nxt && flight->bytes == nxt - una);
	HF_ASSERT(flight->sacked == sacked && flight->sacked_count == sacked_count);
	HF_ASSERT(flight->lost == lost && sacked + lost <= flight->bytes);
	if (flight->count > 0)
		HF_ASSERT(flight->fack - una <= nxt - una && flight->again_end - una <= nxt - una);
	flight_check_runs(flight);
}
