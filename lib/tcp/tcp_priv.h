/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_priv - what the files of lib/tcp share: the instance and the connection. What they call of
 * each other: tcp_conn.h, tcp_open.h, tcp_opt.h, tcp_recv.h, tcp_send.h, tcp_emit.h, tcp_loss.h.
 *
 * Picture
 *      hf_tcp_input -> tcp_demux -> tcp_in (RFC 9293 §3.10.7) -> tcp_ack, tcp_rx
 *      application  -> tcp_send, tcp_rx (peek, consume)
 *      hf_tcp_input_end, hf_tcp_flush, hf_tcp_tick -> tcp_output -> tcp_emit -> emit descriptors
 * Lifetime  A connection is in the flow table from its SYN until tcp_conn_kill, or until its
 *           TIME_WAIT ends. Killed while the application owns it, the structure stays (CLOSED, in
 *           no table, no timer) until HF_TCP_EV_CLOSED was fetched.
 */
#ifndef HF_TCP_PRIV_H
#define HF_TCP_PRIV_H

#ifndef HF_PRIV_TCP
#error "tcp_priv.h is private to lib/tcp"
#endif

#include "hf_pool.h"
#include "hf_stat.h"
#include "hf_tcp.h"
#include "hf_timer.h"

#include "tcp_cubic.h"
#include "tcp_flight.h"
#include "tcp_list.h"

#define TCP_LISTENERS_MAX    64
#define TCP_MSS_FLOOR        88  /* a peer that announces less is treated as if it said this */
#define TCP_MSS_DEFAULT4     536 /* RFC 9293 §3.7.1: no option */
#define TCP_MSS_DEFAULT6     1220
#define TCP_PMTU_MIN4        552 /* no ICMP message makes it smaller; below, IPv4 may fragment */
#define TCP_PMTU_MIN6        1280
#define TCP_PMTU_KEEP_MS     600000   /* RFC 8201 §4: then the port's MTU is tried again */
#define TCP_RTO_FIRST_US     1000000  /* RFC 6298 §2.1 */
#define TCP_RTO_MIN_US       200000   /* below §2.4's 1 s, as all large stacks do */
#define TCP_RTO_MAX_US       60000000 /* RFC 6298 §2.5 */
#define TCP_RTO_SYN_LOST_US  3000000  /* RFC 6298 §5.7 */
#define TCP_RTT_GRAIN_US     1000     /* the wheel's slots */
#define TCP_DELACK_US        40000    /* RFC 9293 §3.8.6.3 allows 500 ms */
#define TCP_QUICK_ACKS       16 /* behind a hole or a duplicate: who lost something has few to wait for */
#define TCP_TLP_DELACK_US    200000 /* RFC 8985 §7.2: the peer's, for a single segment */
#define TCP_TLP_MIN_US       2000
#define TCP_DUP_ACKS         3        /* RFC 5681 §3.2 */
#define TCP_FLUSH_BYTES      65536    /* of one connection in one turn */
#define TCP_DISCARD_MAX      1048576  /* bytes taken after close */
#define TCP_TICK_TIMERS      256      /* timers worked in one hf_tcp_tick */
#define TCP_CHALLENGES_PER_S 500      /* RFC 5961 §7: at least, and less than twice as many */
#define TCP_RESETS_PER_S     1000     /* answers to segments of no connection */
#define TCP_STARVED_US       10000    /* asks again for spans */
#define TCP_DRAIN_PERIOD_US  10000000 /* over which drain_rate is measured */
#define TCP_RXBUF_BYTES      2032
#define TCP_PAYLOAD_MAX      65535
#define TCP_RANGES_MAX       63 /* holes in what was received */

enum tcp_state {
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	TCP_CLOSED, /* killed; waits for the application to fetch its event */
};

enum tcp_conn_flag {
	TCP_F_OWNED = 1 << 0,     /* the application's */
	TCP_F_WSCALE = 1 << 1,    /* both sides scale */
	TCP_F_SACK = 1 << 2,      /* both sides may send SACK */
	TCP_F_TS = 1 << 3,        /* both sides send timestamps */
	TCP_F_ECN = 1 << 4,       /* both sides know ECN */
	TCP_F_SYN_AGAIN = 1 << 5, /* our SYN or SYN-ACK was sent more than once */
	TCP_F_SYN_NOW = 1 << 6,   /* to be sent at the next tcp_output: these four */
	TCP_F_ACK_NOW = 1 << 7,
	TCP_F_PROBE_NOW = 1 << 8,   /* RFC 9293 §3.8.6.1 */
	TCP_F_KEEP_NOW = 1 << 9,    /* RFC 9293 §3.8.4 */
	TCP_F_FIN_QUEUED = 1 << 10, /* FIN stands behind the send queue */
	TCP_F_FIN_SENT = 1 << 11,   /* snd_nxt covers it */
	TCP_F_FIN_ACKED = 1 << 12,
	TCP_F_RCV_FIN = 1 << 13, /* fin_seq is known */
	TCP_F_RCV_FIN_DONE = 1 << 14,
	TCP_F_STARVED = 1 << 15,      /* wants spans that other connections hold */
	TCP_F_ECE = 1 << 16,          /* RFC 3168 §6.1.3: until the peer's CWR */
	TCP_F_CWR_NOW = 1 << 17,      /* on the next new data */
	TCP_F_DSACK = 1 << 18,        /* dsack_* is to be told */
	TCP_F_REORDERING = 1 << 19,   /* RFC 8985 §6.2 step 2, kept while nothing is in flight */
	TCP_F_MAY_FRAGMENT = 1 << 20, /* the path takes less than TCP_PMTU_MIN4 */
	TCP_F_PMTU = 1 << 21,         /* pmtu is less than the port's */
	TCP_F_ACTIVE = 1 << 22,       /* we opened */
	TCP_F_COOKIE = 1 << 23,       /* opened by a cookie: nobody knows when the SYN-ACK left */
	TCP_F_TLP_END = 1 << 24,      /* tlp, kept while nothing is in flight: its end is snd_una */
};

/* The one hf_timer stands at the earliest of these. */
enum tcp_due {
	TCP_DUE_SEND,  /* enum tcp_send_timer says what for */
	TCP_DUE_ACK,   /* delayed ACK */
	TCP_DUE_STATE, /* states that last a bounded time; spans asked for again */
	TCP_DUE_KEEP,  /* keepalive */
	TCP_DUE_APP,   /* hf_tcp_deadline_set */
	TCP_DUE_COUNT
};

enum tcp_send_timer {
	TCP_SEND_RTO,     /* RFC 6298; the SYN's too */
	TCP_SEND_TLP,     /* RFC 8985 §7 */
	TCP_SEND_REO,     /* RFC 8985 §6.2: the reordering window ends */
	TCP_SEND_PERSIST, /* RFC 9293 §3.8.6.1 */
};

/* Which list of hf_tcp.place a connection is on: also the order in which they are shed. */
enum tcp_place {
	TCP_PLACE_TIME_WAIT, /* oldest first, as all of them */
	TCP_PLACE_IDLE,      /* hf_tcp_idle_set */
	TCP_PLACE_STALLED,   /* the peer's window is shut, or it acknowledges nothing */
	TCP_PLACE_CLOSED,    /* we closed; the peer takes its time */
	TCP_PLACE_COUNT,
	TCP_PLACE_NONE = TCP_PLACE_COUNT
};

/* Bytes to send; each holds a reference on the owner of its bytes. */
struct tcp_span {
	struct tcp_span *next;
	const uint8_t *data;
	struct hf_ref *ref;
	uint32_t len;
	bool zero_copy;
};
HF_STATIC_ASSERT(sizeof(struct tcp_span) == 32, "two spans a cache line");

/* Received bytes that were not consumed in place. */
struct tcp_rxbuf {
	struct tcp_rxbuf *next;
	uint16_t off; /* consumed or cut off */
	uint16_t end; /* filled */
	uint8_t data[TCP_RXBUF_BYTES];
};
HF_STATIC_ASSERT(sizeof(struct tcp_rxbuf) == 2048, "fits the pool");

/* Bytes behind a hole. Ranges neither overlap nor touch. */
struct tcp_range {
	uint32_t start, end;
	uint32_t stamp; /* grows: RFC 2018 §4 tells the latest first */
	uint32_t bufs;  /* in its list */
	struct tcp_rxbuf *head, *tail;
};

/* All that is out of order on one connection; takes an element of the buffers' pool. */
struct tcp_ooo {
	uint32_t count; /* ranges, in sequence order */
	uint32_t bufs;  /* of all ranges */
	uint32_t stamp;
	struct tcp_range range[TCP_RANGES_MAX];
};
HF_STATIC_ASSERT(sizeof(struct tcp_ooo) <= sizeof(struct tcp_rxbuf), "fits the same pool");

/* What a connection has while bytes or a FIN are queued or in flight; idle ones have none. */
struct tcp_tx {
	struct tcp_span *head, *tail;
	struct tcp_span *cur; /* with cur_off: where snd_nxt stands; NULL at the end */
	uint32_t head_off, cur_off;
	uint32_t len;         /* queued bytes from snd_una on, without FIN */
	uint32_t spans;       /* that hold them */
	uint32_t notify_at;   /* hf_tcp_writable_at; UINT32_MAX: nobody asked */
	uint32_t recover;     /* snd_nxt when the recovery began */
	uint32_t undo_una;    /* snd_una then */
	uint32_t undo_left;   /* retransmissions that no DSACK has called spurious yet */
	uint32_t cwr_end;     /* ECE up to here is about the last reduction (RFC 3168 §6.1.2) */
	uint32_t resent_us;   /* the first retransmission since it: RFC 3522's RetransmitTS */
	uint32_t tlp_end;     /* snd_nxt at the probe */
	uint32_t begun_ms;    /* when something was queued that was not */
	uint32_t drain_una;   /* snd_una when drain_rate was last looked at */
	uint32_t sweep_round; /* when hf_tcp_sweep last looked */
	uint32_t sweep_una;   /* snd_una then */
	uint32_t sweep_len;   /* what was queued then */
	uint8_t timer;        /* enum tcp_send_timer */
	uint8_t recovery;     /* enum tcp_recovery */
	uint8_t dup_acks;     /* without SACK */
	uint8_t backoff;      /* timeouts since the last new ACK */
	uint8_t persist;      /* window probes since the window was open */
	bool undo;            /* undo_* and the saved window are good */
	bool resent;          /* resent_us is set */
	bool tlp;             /* a probe is out: RFC 8985 §7.3 TLP.end_seq is set */
	bool tlp_resent;      /* it was a retransmission */
	bool fin_wait;        /* TCP_DUE_STATE is for the ACK of our FIN alone */
	struct tcp_cubic cc;
	struct tcp_flight flight;
};

enum tcp_recovery {
	TCP_OPEN,
	TCP_CWR,      /* ECN: reduced, nothing was lost */
	TCP_RECOVERY, /* fast recovery */
	TCP_LOSS,     /* after a timeout */
};

/* struct hf_tcp_trace without bit-fields: written by two stores. */
struct tcp_record {
	uint32_t what; /* kind, and 24 bits of when: tcp_trace.h */
	uint32_t arg;
};

/* What a request that comes alone and its answer read and write stands in lines 0 to 4, and in 5 their
 * records of the trace: of many connections nothing is in a cache, and each line is waited for. */
struct hf_tcp_conn {
	/* line 0: demux, and what every segment reads */
	struct hf_tcp_conn *hash_next;
	struct hf_ip peer, local;
	uint16_t peer_port, local_port;
	uint32_t hash;
	uint32_t flags; /* enum tcp_conn_flag */
	uint8_t state;
	uint8_t place;                /* enum tcp_place */
	uint8_t snd_shift, rcv_shift; /* window scale */
	uint16_t mss;                 /* payload bytes we send at most: options are subtracted */
	uint16_t rcv_mss;             /* what we announced */
	uint8_t ack_quick;            /* data segments that are still acknowledged one by one */
	uint8_t ack_segs;             /* data segments since our last ACK */
	uint8_t keep_count;           /* unanswered keepalives */
	uint8_t ev_what;

	/* line 1: receive (RFC 9293 §3.3.1 names) */
	uint32_t rcv_nxt;
	uint32_t rcv_adv; /* right edge of the window as announced; never moves back */
	uint32_t rcv_wnd; /* what may be offered now; tcp_wnd.c lets it grow */
	uint32_t rcv_mark, rcv_mark_ms; /* where the reader was, and when: tcp_wnd_grow */
	uint32_t rcv_rtt_us;            /* as the receiver sees it */
	uint32_t unread_len;            /* rxq and the rest of the segment in place */
	uint32_t ts_recent;             /* RFC 7323 §4.3 */
	uint32_t ts_recent_ms;          /* when it was taken: §5.5 */
	uint32_t ts_off;                /* our TSval is milliseconds and this (§5.4) */
	uint32_t ack_sent;              /* Last.ACK.sent of §4.3 */
	uint32_t in_ms;                 /* the last segment that came */
	struct tcp_rxbuf *rxq_head;
	struct tcp_ooo *ooo; /* NULL: nothing is out of order */

	/* line 2: send */
	uint32_t snd_una, snd_nxt;
	uint32_t snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
	uint32_t cwnd, ssthresh, w_max; /* kept from one tcp_tx to the next */
	uint32_t rto_us, srtt_us, rttvar_us, min_rtt_us;
	uint32_t progress_ms; /* the last time that the peer got us ahead */
	uint32_t sent_ms;     /* data or SYN */
	uint8_t reo_mult;     /* RFC 8985, kept while nothing is in flight */
	uint8_t reo_persist;
	uint8_t trace_at; /* of the latest record; the first one is 1: 0 until then */
	bool trace_full;  /* 0 is a record, too */

	/* line 3 */
	struct tcp_tx *tx; /* NULL: nothing queued, nothing in flight */
	void *user;
	struct hf_path path;
	uint32_t due_ms[TCP_DUE_COUNT]; /* 0: not set */
	struct tcp_link ready;
	uint32_t pmtu_ms; /* when pmtu was set */

	/* line 4 */
	struct hf_timer timer; /* at the earliest of due_ms, or before it */
	uint64_t bytes_in, bytes_out;
	struct tcp_link placed, event;

	/* lines 5 and 6 */
	struct tcp_record trace[HF_TCP_TRACE_MAX];
	struct tcp_rxbuf *rxq_tail;
	uint32_t rxq_len;
	uint32_t irs;
	uint32_t fin_seq;     /* of the peer's FIN */
	uint32_t discard_len; /* thrown away after close */
	uint32_t iss;
	uint32_t retransmits;
	uint32_t opened_s;
	uint32_t dsack_start, dsack_end; /* RFC 2883 */
	uint16_t peer_mss;               /* what the peer announced */
	uint16_t pmtu;                   /* IP bytes; only with TCP_F_PMTU */
} HF_ALIGNED(HF_CACHE_LINE);
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, rcv_nxt) == 64, "line 1");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, snd_una) == 128, "line 2");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, tx) == 192, "line 3");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, timer) == 256, "line 4");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, trace) == 320, "line 5");
HF_STATIC_ASSERT(sizeof(struct hf_tcp_conn) == 448, "an idle connection is this and nothing else");

/* The segment between hf_tcp_input and hf_tcp_input_end. */
struct tcp_current {
	struct hf_tcp_conn *conn; /* NULL: none, or it ended meanwhile */
	const uint8_t *data;      /* in-order payload that was not consumed yet */
	uint32_t len;
	uint32_t end_seq;                          /* behind the payload */
	struct tcp_rxbuf *after_head, *after_tail; /* in order behind it: a filled hole */
	uint32_t after_len;
};

/* So many of something in each second. */
struct tcp_rate {
	uint64_t second;
	uint32_t left;
};

struct hf_tcp {
	struct hf_tcp_cfg cfg;
	uint64_t now_us;
	uint32_t now_ms; /* of now_us, modulo 2^32 */
	struct hf_wheel *wheel;
	struct hf_tcp_conn **bucket;
	uint32_t bucket_mask;
	uint32_t syn_count; /* connections in SYN_RECEIVED */
	struct hf_pool conns, txs, spans, rxbufs;
	struct tcp_flight_pools records;
	uint64_t *live; /* a bit for each element of conns */
	uint32_t conns_low, ooo_max, spans_low;
	uint32_t spans_reserve; /* with so many left it is for those who hold next to none */
	struct tcp_list ready, place[TCP_PLACE_COUNT];
	struct hf_tcp_conn *event; /* who has one, the first; nearly always the only one */
	struct tcp_list events;    /* the others, in order */
	uint32_t emit_count;
	uint32_t emit_left; /* segments that may still be given out: cfg.emits_max at first */
	struct hf_tcp_emit *emit;
	struct tcp_current cur;
	bool in_input;
	bool draining;
	uint32_t listener_count;
	uint16_t listener[TCP_LISTENERS_MAX];
	uint64_t cookies_until_us; /* ACKs without connection may carry a cookie until then */
	struct tcp_rate challenges, resets;
};

/* RFC 9293 §3.4: comparisons modulo 2^32. */
static inline bool tcp_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool tcp_seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool tcp_seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool tcp_seq_ge(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline bool tcp_has(const struct hf_tcp_conn *conn, uint32_t flags)
{
	return (conn->flags & flags) != 0;
}

/* A SYN that asks for ECN: RFC 3168 §6.1.1. */
static inline bool tcp_wants_ecn(const struct hf_tcp_seg *seg)
{
	const uint8_t both = HF_TCP_ECE | HF_TCP_CWR;

	return (seg->flags & both) == both;
}

static inline void tcp_now_set(struct hf_tcp *tcp, uint64_t now_us)
{
	if (now_us <= tcp->now_us)
		return;
	tcp->now_us = now_us;
	tcp->now_ms = (uint32_t)(now_us / 1000);
}

static inline uint32_t tcp_now_ms(const struct hf_tcp *tcp)
{
	return tcp->now_ms;
}

/* Bytes handed over and not acknowledged. */
static inline uint32_t tcp_queued(const struct hf_tcp_conn *conn)
{
	return conn->tx ? conn->tx->len : 0;
}

/* tcp.c */
/* One of per_s in this second; a limit that nobody can count from outside: RFC 5961 §7's was a side
 * channel. */
bool tcp_rate_take(struct hf_tcp *tcp, struct tcp_rate *rate, uint32_t per_s);

#endif
