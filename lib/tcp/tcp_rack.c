/* SPDX-License-Identifier: BSD-3-Clause
 *
 * RACK (RFC 8985 §6.2): a segment is lost when one that was sent a reordering window after it
 * arrived. The records lie in sequence order, not in the order of their times: the walk ends at the
 * first that is too young, unless records behind it were sent again.
 */
#include "tcp_flight.h"

#define RACK_PERSIST  16 /* RFC 8985 §6.2 step 4 */
#define RACK_DUP_ACKS 3  /* its DupThresh */

bool tcp_flight_ecr_older(const struct tcp_sent *sent, const struct tcp_acked *acked)
{
	return acked->has_ecr && (int32_t)(sent->sent_us - acked->ecr_us) >= 1000;
}

/* Sent after the latest of which we know that it arrived: that one says nothing about its loss. */
static bool rack_younger(const struct tcp_flight *flight, const struct tcp_sent *sent)
{
	if (sent->sent_us != flight->rack_sent_us)
		return tcp_flight_before(flight->rack_sent_us, sent->sent_us);
	return !tcp_flight_before(sent->seq + sent->len, flight->rack_end);
}

/* False when it may be the first copy that arrived. The timestamp of an ACK with a SACK block may
 * be older than what the block tells (RFC 7323 §4.3): only the time decides then. */
static bool rack_sample_good(
	const struct tcp_sent *sent, bool by_sack, uint32_t rtt_us, struct tcp_acked *acked)
{
	bool ecr_old = !by_sack && tcp_flight_ecr_older(sent, acked);
	bool early = acked->min_rtt_us != UINT32_MAX && rtt_us < acked->min_rtt_us;

	if (early && (by_sack || !acked->has_ecr) && !(sent->flags & TCP_SENT_OFTEN))
		acked->spurious = true;
	return !ecr_old && !early;
}

void tcp_flight_delivered(struct tcp_flight *flight, const struct tcp_sent *sent, uint32_t end,
	bool by_sack, struct tcp_acked *acked)
{
	bool again = sent->flags & TCP_SENT_AGAIN;
	uint32_t rtt_us = tcp_flight_since(acked->now_us, sent);
	struct tcp_sent arrived = { .seq = end, .sent_us = sent->sent_us };

	flight->rack_looked = false;
	if (!acked->fack_known) {
		acked->fack_known = true;
		acked->fack_before = flight->fack;
	}
	/* one ACK does not tell in which order things arrived since the one before it */
	if (!again && tcp_flight_before(end, acked->fack_before))
		flight->reordering = true;
	if (tcp_flight_before(flight->fack, end))
		flight->fack = end;
	if (again) {
		acked->resent_delivered = true;
		if (!rack_sample_good(sent, by_sack, rtt_us, acked))
			return;
	} else if (acked->rtt_us == 0 || rtt_us < acked->rtt_us) {
		acked->rtt_us = hf_max_u32(rtt_us, 1);
	}
	flight->rack_rtt_us = rtt_us;
	if (flight->rack_valid && !rack_younger(flight, &arrived))
		return;
	flight->rack_valid = true;
	flight->rack_sent_us = sent->sent_us;
	flight->rack_end = end;
}

void tcp_flight_dsack(struct tcp_flight *flight, uint32_t una, uint32_t nxt)
{
	if (flight->dsack_round_valid && tcp_flight_before(una, flight->dsack_round))
		return;
	flight->reordering = true; /* it was not lost: late */
	flight->dsack_round_valid = true;
	flight->dsack_round = nxt;
	if (flight->reo_mult < UINT8_MAX)
		flight->reo_mult++;
	flight->reo_persist = RACK_PERSIST;
}

void tcp_flight_recovered(struct tcp_flight *flight)
{
	if (flight->reo_persist > 0)
		flight->reo_persist--;
	if (flight->reo_persist == 0)
		flight->reo_mult = 1;
}

/* RFC 8985 §6.2 step 4 */
static uint32_t rack_window(
	const struct tcp_flight *flight, uint32_t srtt_us, uint32_t min_rtt_us, bool in_recovery)
{
	uint64_t window_us = (uint64_t)flight->reo_mult * min_rtt_us / 4;

	if (!flight->reordering && (in_recovery || flight->sacked_count >= RACK_DUP_ACKS))
		return 0;
	return (uint32_t)hf_min_u64(window_us, srtt_us);
}

/* Marks what is older than limit_us. look_*: when the first and the last of the others will be. */
static void rack_walk(struct tcp_flight *flight, uint32_t now_us, uint64_t limit_us)
{
	uint64_t first_us = UINT64_MAX, last_us = 0;

	for (uint32_t i = 0; i < flight->count; i++) {
		struct tcp_sent *sent = tcp_flight_at(flight, i);
		uint32_t how = sent->flags & (TCP_SENT_SACKED | TCP_SENT_LOST | TCP_SENT_RESENT);
		int64_t left_us = (int64_t)limit_us - tcp_flight_age(now_us, sent);

		if (how & TCP_SENT_SACKED)
			i += sent->skip;
		if (how & TCP_SENT_SACKED || how == TCP_SENT_LOST)
			continue;
		if (!rack_younger(flight, sent)) {
			if (left_us <= 0) {
				tcp_flight_lose(flight, sent);
				continue;
			}
			first_us = hf_min_u64(first_us, (uint64_t)left_us);
			last_us = hf_max_u64(last_us, (uint64_t)left_us);
		} else if (!tcp_flight_before(sent->seq, flight->again_end)) {
			break;
		}
	}
	flight->look_first_us = last_us == 0 ? 0 : (uint32_t)hf_min_u64(first_us, UINT32_MAX);
	flight->look_wait_us = (uint32_t)hf_min_u64(last_us, UINT32_MAX);
}

uint32_t tcp_flight_rack(struct tcp_flight *flight, uint32_t now_us, uint32_t srtt_us,
	uint32_t min_rtt_us, bool in_recovery, uint32_t *ret_wait_us)
{
	uint64_t limit_us = (uint64_t)flight->rack_rtt_us +
			    rack_window(flight, srtt_us, min_rtt_us, in_recovery);
	uint32_t since_us = now_us - flight->look_us;
	uint32_t lost_before = flight->lost;

	/* An ACK that tells nothing new costs nothing: a peer may send any number of them. */
	if (flight->rack_looked && limit_us == flight->look_limit_us &&
		(flight->look_first_us == 0 || since_us < flight->look_first_us)) {
		*ret_wait_us = flight->look_wait_us == 0 ? 0 : flight->look_wait_us - since_us;
		return 0;
	}
	flight->look_first_us = flight->look_wait_us = 0;
	if (flight->rack_valid)
		rack_walk(flight, now_us, limit_us);
	flight->rack_looked = true;
	flight->look_us = now_us;
	flight->look_limit_us = limit_us;
	*ret_wait_us = flight->look_wait_us;
	return flight->lost - lost_before;
}
