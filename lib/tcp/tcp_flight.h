/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_flight - what was sent and is not yet acknowledged: a record a segment, the SACK scoreboard
 * (RFC 2018, RFC 6675) and what RACK (RFC 8985) remembers. Pure: it neither sends nor knows timers.
 *
 * Picture   snd_una                                              snd_nxt
 *              | rec | SACKED | LOST | LOST RESENT | SACKED | rec |      a ring, in sequence order
 *           RESENT: sent once more after it was LOST, and that copy is in flight.
 *           in flight = bytes - sacked - lost      (RFC 6675's pipe; lost: LOST and not RESENT)
 * Time      32 bits of microseconds, differences modulo 2^32. (sent_us, end of the record) is the order
 *           of sending, also within a microsecond: what is sent again behind something of higher
 *           sequence number has a later time, if need be one that is still to come.
 * Limits    TCP_FLIGHT_OWN records in place; more from two pools, TCP_FLIGHT_MAX at most: whoever
 *           has no room for a record does not send.
 */
#ifndef TCP_FLIGHT_H
#define TCP_FLIGHT_H

#ifndef HF_PRIV_TCP
#error "tcp_flight.h is private to lib/tcp"
#endif

#include "hf_base.h"
#include "hf_pool.h"

#define TCP_FLIGHT_OWN 16
#define TCP_FLIGHT_MID 256
#define TCP_FLIGHT_MAX 4096

enum tcp_sent_flag {
	TCP_SENT_SACKED = 1 << 0,
	TCP_SENT_LOST = 1 << 1,
	TCP_SENT_RESENT = 1 << 2, /* only with LOST */
	TCP_SENT_AGAIN = 1 << 3,  /* was sent more than once, ever: Karn (RFC 6298 §3) */
	TCP_SENT_OFTEN = 1 << 4,  /* more than twice: which copy arrived early nobody knows */
};

/* One segment; len counts its FIN. */
struct tcp_sent {
	uint32_t seq;
	uint32_t sent_us; /* the last time */
	uint16_t len;
	uint8_t flags; /* enum tcp_sent_flag */
	uint8_t skip;  /* SACKED: so many behind it are SACKED too, at least; else 0 */
};
HF_STATIC_ASSERT(sizeof(struct tcp_sent) == 12, "sixteen of them in three cache lines");

struct tcp_flight_pools {
	struct hf_pool mid, max; /* arrays of TCP_FLIGHT_MID and TCP_FLIGHT_MAX records */
};

struct tcp_flight {
	struct tcp_sent *rec;
	uint16_t cap, head, count; /* cap is a power of two */
	uint16_t sacked_count;
	uint16_t lost_from; /* no record before this one is LOST and not RESENT */
	uint32_t bytes, sacked, lost;
	uint32_t last_us, last_end; /* of the last transmission */
	/* RFC 8985 §5.3 */
	uint32_t fack; /* highest sequence number (s)acked, exclusive */
	uint32_t rack_sent_us, rack_end, rack_rtt_us;
	bool rack_valid;  /* the three above say something */
	bool rack_looked; /* nothing changed since tcp_flight_rack looked: then, with ... */
	uint32_t look_us, look_wait_us; /* ... what it told; */
	uint32_t look_first_us;         /* before this nothing more is lost, 0: at no time */
	uint64_t look_limit_us;
	uint32_t again_end;   /* no record at or behind this was ever sent again */
	bool reordering;      /* seen on this connection; the caller keeps it beyond our life */
	uint8_t reo_mult;     /* RFC 8985 §6.2 step 4: 1 at first */
	uint8_t reo_persist;  /* recoveries until reo_mult is 1 again */
	uint32_t dsack_round; /* snd_nxt at the last DSACK, for once a round trip */
	bool dsack_round_valid;
	struct tcp_sent own[TCP_FLIGHT_OWN];
};

/* What one ACK did; zeroed by the caller, filled by tcp_flight_ack and tcp_flight_sack. */
struct tcp_acked {
	/* in */
	uint32_t now_us;
	uint32_t min_rtt_us; /* UINT32_MAX: unknown */
	bool has_ecr;
	uint32_t ecr_us; /* TSecr as a time of our clock, whole milliseconds */
	bool again_known;
	uint32_t again_us; /* known: the first retransmission of this recovery */
	/* kept by tcp_rack.c: fack before this ACK */
	bool fack_known;
	uint32_t fack_before;
	/* out */
	uint32_t delivered;    /* bytes that left the network: newly acknowledged or SACKed */
	uint32_t sacked;       /* of these, by SACK */
	uint32_t rtt_us;       /* sample of the latest never resent segment, 0: none */
	bool resent_delivered; /* among them one that was sent more than once */
	bool spurious;         /* one that was resent, and TSecr or a time below min_rtt says its
				  first copy arrived: the retransmission was for nothing (RFC 3522) */
};

/* boot: `mid`, `max` arrays. 0 or -ENOMEM. */
int tcp_flight_pools_init(struct tcp_flight_pools *pools, uint32_t mid, uint32_t max);
void tcp_flight_pools_fini(struct tcp_flight_pools *pools);

void tcp_flight_init(struct tcp_flight *flight, uint32_t una);
/* Gives its arrays back. */
void tcp_flight_fini(struct tcp_flight *flight, struct tcp_flight_pools *pools);

/* Modulo 2^32; sequence numbers or times. */
static inline bool tcp_flight_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline uint32_t tcp_flight_out(const struct tcp_flight *flight)
{
	return flight->bytes - flight->sacked - flight->lost;
}

/* How long ago it was sent the last time; below 0 when its time is still to come. */
static inline int64_t tcp_flight_age(uint32_t now_us, const struct tcp_sent *sent)
{
	uint32_t age_us = now_us - sent->sent_us;

	return age_us > UINT32_MAX - 1000000 ? (int32_t)age_us : (int64_t)age_us;
}

/* The same, 0 at least. */
static inline uint32_t tcp_flight_since(uint32_t now_us, const struct tcp_sent *sent)
{
	int64_t age_us = tcp_flight_age(now_us, sent);

	return age_us < 0 ? 0 : (uint32_t)age_us;
}

/* The i-th record from snd_una on. */
static inline struct tcp_sent *tcp_flight_at(const struct tcp_flight *flight, uint32_t i)
{
	return &flight->rec[(flight->head + i) & (flight->cap - 1U)];
}

/* Since snd_una came to una, where it is, nothing was SACKED and nothing sent again. */
static inline bool tcp_flight_is_plain(const struct tcp_flight *flight, uint32_t una)
{
	return flight->fack == una && flight->again_end == una;
}

/* tcp_flight_ack of all that is in flight, which is plain. Returns tcp_acked.rtt_us: no record was
 * sent later than the last. */
static inline uint32_t tcp_flight_ack_all(struct tcp_flight *flight, uint32_t now_us)
{
	uint32_t rtt_us = tcp_flight_since(now_us, tcp_flight_at(flight, flight->count - 1U));

	HF_ASSERT_HOT(flight->count > 0 && flight->sacked == 0 && flight->lost == 0);
	flight->count = 0;
	flight->lost_from = 0;
	flight->bytes = 0;
	flight->rack_valid = false;
	return hf_max_u32(rtt_us, 1);
}

/* True when tcp_flight_push will work; makes room. */
bool tcp_flight_room(struct tcp_flight *flight, struct tcp_flight_pools *pools);

/* The time of a transmission: it keeps the order of sending. */
static inline uint32_t tcp_flight_stamp(struct tcp_flight *flight, uint32_t end, uint32_t now_us)
{
	if (flight->count == 0 || tcp_flight_before(flight->last_us, now_us))
		flight->last_us = now_us;
	else if (!tcp_flight_before(flight->last_end, end))
		flight->last_us++;
	flight->last_end = end;
	return flight->last_us;
}

/* A segment of new data was sent. */
static inline void tcp_flight_push(
	struct tcp_flight *flight, uint32_t seq, uint32_t len, uint32_t now_us)
{
	struct tcp_sent *sent = tcp_flight_at(flight, flight->count);

	HF_ASSERT(flight->count < flight->cap);
	HF_ASSERT(len > 0 && len <= UINT16_MAX);
	HF_ASSERT(flight->count == 0 || seq == tcp_flight_at(flight, 0)->seq + flight->bytes);
	if (flight->count == 0) /* there may have been what has no record, as a SYN */
		flight->fack = flight->again_end = seq;
	*sent = (struct tcp_sent){ .seq = seq,
		.sent_us = tcp_flight_stamp(flight, seq + len, now_us),
		.len = (uint16_t)len };
	flight->count++;
	flight->bytes += len;
}

/* `len` bytes of new data were sent at once, in segments of `mss`, the last of what is left. */
void tcp_flight_push_run(
	struct tcp_flight *flight, uint32_t seq, uint32_t len, uint32_t mss, uint32_t now_us);
/* The cumulative ACK moved to una: records below it go, one that it cuts loses its front. */
void tcp_flight_ack(struct tcp_flight *flight, uint32_t una, struct tcp_acked *acked);
/* A SACK block, start < end, inside (snd_una, snd_nxt]: records wholly inside become SACKED. After
 * tcp_flight_ack; the blocks of one ACK in any order, with the same `acked`. */
void tcp_flight_sack(
	struct tcp_flight *flight, uint32_t start, uint32_t end, struct tcp_acked *acked);
/* A DSACK came (RFC 2883): the reordering window grows, once a round trip (RFC 8985 §6.2 step 4). */
void tcp_flight_dsack(struct tcp_flight *flight, uint32_t una, uint32_t nxt);
/* A recovery ended: reo_persist counts down. */
void tcp_flight_recovered(struct tcp_flight *flight);
/* RFC 8985 §6.2 step 5: marks LOST what was sent a reordering window before the latest delivered one.
 * Returns the bytes newly marked; *ret_wait_us: when to look again, 0 for never. in_recovery: or three
 * segments SACKED: no reordering window as long as none was seen. */
uint32_t tcp_flight_rack(struct tcp_flight *flight, uint32_t now_us, uint32_t srtt_us,
	uint32_t min_rtt_us, bool in_recovery, uint32_t *ret_wait_us);
/* Marks one record LOST: it is to be sent again. */
void tcp_flight_lose(struct tcp_flight *flight, struct tcp_sent *sent);
/* Retransmission timeout: all that is not SACKED is LOST and not RESENT. A SACKED first record shows
 * that the peer reneged (RFC 2018 §8): all SACKED marks go first. */
void tcp_flight_timeout(struct tcp_flight *flight);
/* The loss was none: nothing is LOST any more. */
void tcp_flight_undo(struct tcp_flight *flight);
/* The first record LOST and not RESENT, or NULL. */
struct tcp_sent *tcp_flight_next_lost(struct tcp_flight *flight);
/* It was sent again now. Also for a probe of what is not LOST (RFC 8985 §7.3). */
void tcp_flight_resent(struct tcp_flight *flight, struct tcp_sent *sent, uint32_t now_us);
/* The record that holds seq, or NULL. */
struct tcp_sent *tcp_flight_find(const struct tcp_flight *flight, uint32_t seq);
/* tcp_rack.c, for tcp_flight.c: the bytes up to `end` of a record arrived, RFC 8985 §6.2 steps 2
 * and 3. */
void tcp_flight_delivered(struct tcp_flight *flight, const struct tcp_sent *sent, uint32_t end,
	bool by_sack, struct tcp_acked *acked);
/* The timestamp that came back is older than the record's last copy. Whole milliseconds: a time
 * within one decides nothing. */
bool tcp_flight_ecr_older(const struct tcp_sent *sent, const struct tcp_acked *acked);
/* Asserts order, counts and flags; una and nxt as the connection has them. */
void tcp_flight_check(const struct tcp_flight *flight, uint32_t una, uint32_t nxt);

#endif
