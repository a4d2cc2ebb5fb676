/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_cubic - how much may be in flight: CUBIC (RFC 9438), HyStart++ (RFC 9406), PRR (RFC 9937).
 *
 * What      Arithmetic on one small structure. It knows no connection, no clock and no segment: the
 *           caller says what an ACK delivered, whether the window was what held it back, and when a
 *           congestion event or its end is there. An ECN echo (RFC 3168) is reduce, prr, recovered,
 *           as a loss is.
 * Picture   init -> acked*                              slow start, then congestion avoidance
 *             -> reduce -> (prr, prr_sent*)* -> recovered -> acked*
 *             -> timeout(first) -> acked*                   a further one: timeout(!first)
 *             -> undo at any time after reduce or timeout, in recovery or later
 *             -> idle whenever nothing was in flight for longer than the retransmission timeout
 * Rule      The first slow start is also slowed when the ACKs of one round come in a train that lasts half
 *           the least round trip (HyStart's other sign: Ha and Rhee, "Taming the elephants", 2011): a
 *           window that takes so long to pass the bottleneck fills the path when it has grown by
 *           that. Delays rise (RFC 9406) only when the queue is filling, which in a queue of one
 *           round trip is a round too late. It ends when a queue has begun and grows, or after
 *           CSS_ROUNDS. ACKs that come in clumps make no train, and change nothing.
 * Threads   the connection's. Pure.
 * Lifetime  Embedded in its owner; init is all it needs.
 * Promises  C1 mss <= cwnd <= TCP_CWND_MAX.  C2 an ACK adds at most what it delivered and a byte.
 *           C3 nothing grows unless `limited`.  C4 time in which the window was not used does not
 *           count: no jump after any silence.
 * Limits    mss 48..65535; times in microseconds that may wrap; round trips up to 60 s.
 */
#ifndef HF_TCP_CUBIC_H
#define HF_TCP_CUBIC_H

#ifndef HF_PRIV_TCP
#error "tcp_cubic.h is private to lib/tcp"
#endif

#include "hf_base.h"

#define TCP_CWND_MAX (1U << 30) /* RFC 7323: no window is larger */

enum tcp_cubic_flag {
	TCP_CUBIC_EPOCH = 1 << 0,       /* in avoidance: k, t and w_est are valid */
	TCP_CUBIC_PRR = 1 << 1,         /* between reduce and recovered */
	TCP_CUBIC_UNDO = 1 << 2,        /* prior_* are valid */
	TCP_CUBIC_PRIOR_EPOCH = 1 << 3, /* TCP_CUBIC_EPOCH as it was */
	TCP_CUBIC_ROUND = 1 << 4,       /* a HyStart++ round is being measured */
	TCP_CUBIC_CSS = 1 << 5,         /* RFC 9406 §4.2: conservative slow start */
	TCP_CUBIC_TRAIN = 1 << 6,       /* in it because of a train */
};

struct tcp_cubic {
	uint32_t cwnd;
	uint32_t ssthresh; /* TCP_CWND_MAX: as good as infinite, and HyStart++ is at work */

	/* RFC 9438 §4.1.2 */
	uint32_t w_max;
	uint32_t w_prior; /* cwnd before the last reduction */
	uint32_t w_est;
	uint32_t k_ms;
	union {
		uint32_t t_us;     /* since the epoch began, without what C4 leaves out */
		uint32_t train_us; /* in a round: since when ACKs follow one another closely */
	};
	uint32_t last_us;   /* the clock when either was last looked at */
	uint32_t cwnd_rest; /* of divisions, for the next ACK: these two */
	uint32_t est_rest;

	/* RFC 9406 §4.2; UINT32_MAX: none */
	uint32_t round_end;
	uint32_t round_rtt_us; /* smallest of this round */
	uint32_t last_rtt_us;  /* smallest of the round before */
	uint32_t css_rtt_us;   /* the baseline */

	/* RFC 9937 §6.1 */
	uint32_t prr_delivered;
	uint32_t prr_out;
	uint32_t recover_fs;

	/* before the last reduction, for undo */
	uint32_t prior_ssthresh;
	uint32_t prior_w_max;
	uint32_t prior_w_prior;
	uint32_t prior_w_est;
	uint32_t prior_k_ms;
	uint32_t prior_t_us;

	uint8_t rtt_count; /* samples of this round, up to the number needed */
	uint8_t css_rounds;
	uint16_t flags; /* enum tcp_cubic_flag */
};
HF_STATIC_ASSERT(sizeof(struct tcp_cubic) == 96, "a line and a half of each connection");

struct tcp_cubic_ack {
	uint32_t delivered; /* bytes newly acknowledged, cumulatively or selectively */
	uint32_t now_us;
	uint32_t rtt_us; /* this ACK's sample, or 0 */
	uint32_t srtt_us;
	uint32_t una, nxt; /* SND.UNA after the ACK, SND.NXT before anything is sent on it */
	uint16_t mss;
	bool limited; /* cwnd was what held the sender back */
};

void tcp_cubic_init(struct tcp_cubic *cc, uint32_t cwnd);
/* RFC 6928 §2. */
uint32_t tcp_cubic_iw(uint32_t mss);
/* An ACK that delivered something, outside of recovery. */
void tcp_cubic_acked(struct tcp_cubic *cc, const struct tcp_cubic_ack *ack);
/* A congestion event: a loss was found, or ECN was echoed. At most one a round trip: the caller's.
 * in_flight: before the ACK that told, so with what is now known to be lost, without what had been
 * SACKed (RFC 9937's RecoverFS). That ACK's tcp_cubic_prr follows. */
void tcp_cubic_reduce(struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight, uint32_t now_us);
/* Each ACK in recovery, the first and the last too. in_flight: RFC 6675's pipe after it.
 * delivered: without SACK a segment for each duplicate. */
void tcp_cubic_prr(struct tcp_cubic *cc, uint16_t mss, uint32_t delivered, uint32_t in_flight,
	bool lost_more, bool una_moved);
/* Sent in recovery, new or again. */
void tcp_cubic_prr_sent(struct tcp_cubic *cc, uint32_t bytes);
/* The end of recovery: ssthresh, or less if getting there would be a burst; slow start then does
 * the rest. */
void tcp_cubic_recovered(struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight);
/* first: this loss reduced nothing yet; only then undo's state is saved and ssthresh set.
 * in_flight: as for reduce, before all of it counts as lost. */
void tcp_cubic_timeout(
	struct tcp_cubic *cc, uint16_t mss, uint32_t in_flight, bool first, uint32_t now_us);
/* RFC 9438 §4.9: what reduce or timeout last saved. Not in recovery afterwards. Nothing to do if
 * nothing is saved, or if the window has grown past it since. */
void tcp_cubic_undo(struct tcp_cubic *cc);
/* In recovery too: an ECN echo may have come with the ACK for the last byte. PRR then goes on. */
void tcp_cubic_idle(struct tcp_cubic *cc, uint16_t mss);
/* Asserts what must be true between calls. */
void tcp_cubic_check(const struct tcp_cubic *cc, uint16_t mss);

#endif
