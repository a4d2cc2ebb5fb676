/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp - TCP as a pure library: segments and time in, emit descriptors out.
 *
 * What      One stack instance for one lcore: listeners, a flow table, connections, send queues of
 *           spans, reassembly, timers. It neither sends nor reads a clock; the same code runs on a NIC,
 *           in a seeded simulator and in a fuzzer.
 * Picture
 *      hf_tcp_seg --input--> [flow table] -> conn --event--> the application (lib/serve)
 *                                             | ^               | peek/consume, send, close
 *      hf_tcp_emit <--output-- [send queue of (bytes, owner)] <-+
 *
 *           One segment's way:  hf_tcp_input -> hf_tcp_next_event* -> hf_tcp_input_end
 *           At the bottom of a burst: hf_tcp_flush, take the emits, hf_tcp_emits_done.
 * Threads   One lcore. No heap after hf_tcp_new, no lock, no system call.
 * Lifetime  A connection is the application's from HF_TCP_EV_OPEN until it calls hf_tcp_close or
 *           hf_tcp_abort, or is told HF_TCP_EV_CLOSED. After any of these it must not be touched:
 *           the stack finishes (FIN, TIME_WAIT) by itself.
 *           Bytes handed to hf_tcp_send stay readable and unchanging until the stack puts the
 *           reference it took on their owner: when they are acknowledged, or the connection ends, and
 *           no emit descriptor names them any more. A release function may not call hf_tcp_*.
 * Promises  see the tests: tests/unit/tcp, tests/sim.
 *           Who gets spans: one connection may hold a 64th of what is free, and always 16. The last eighth
 *           is for those who hold less than two: to all others hf_tcp_send_space says 0 until their peer
 *           acknowledges. So small answers get out, and every reader that acknowledges gets on, however
 *           many do not. Whoever asks while the last eighth is begun has the longest stalled shed.
 * Limits    Everything in struct hf_tcp_cfg; fixed at boot. Out of anything: a segment is dropped with
 *           a reason, a SYN is answered by a cookie, or a connection is shed: the oldest TIME_WAIT, then
 *           the longest idle, the longest stalled, the oldest that we closed; never an assertion.
 */
#ifndef HF_TCP_H
#define HF_TCP_H

#include "hf_base.h"
#include "hf_ref.h"
#include "hf_siphash.h"

/* IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
struct hf_ip {
	uint8_t b[16];
};

static inline bool hf_ip_is4(const struct hf_ip *ip)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return __builtin_memcmp(ip->b, prefix, sizeof(prefix)) == 0;
}

/* How to answer: opaque to TCP but for mtu, cut and tso_max; taken over from each valid segment. */
struct hf_path {
	uint8_t mac[6];   /* where the frame came from */
	uint16_t port;    /* index of our port */
	uint16_t mtu;     /* IP packet bytes */
	uint8_t flags;    /* lib/net's */
	bool cut;         /* no device cuts runs: each segment of one counts as a descriptor */
	uint32_t tso_max; /* payload bytes of one emit descriptor; 0: one MSS */
};

enum hf_tcp_flags {
	HF_TCP_FIN = 0x01,
	HF_TCP_SYN = 0x02,
	HF_TCP_RST = 0x04,
	HF_TCP_PSH = 0x08,
	HF_TCP_ACK = 0x10,
	HF_TCP_URG = 0x20,
	HF_TCP_ECE = 0x40,
	HF_TCP_CWR = 0x80,
};

/* The ECN field of an IP header (RFC 3168 §5). */
enum hf_tcp_ecn {
	HF_TCP_ECN_NOT_ECT = 0,
	HF_TCP_ECN_ECT1 = 1,
	HF_TCP_ECN_ECT0 = 2,
	HF_TCP_ECN_CE = 3,
};

/* A received segment, checksums verified, lengths within the packet; host order. */
struct hf_tcp_seg {
	struct hf_ip src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	uint8_t ecn;            /* enum hf_tcp_ecn, of the IP header */
	uint8_t opt_len;        /* 0-40 */
	const uint8_t *opt;     /* options as received, unverified */
	const uint8_t *payload; /* readable until hf_tcp_input_end */
	uint32_t payload_len;
	struct hf_path path;
};

#define HF_TCP_EMIT_PIECES 6
#define HF_TCP_OPT_MAX     40

struct hf_tcp_piece {
	const uint8_t *data;
	uint32_t len;
	bool zero_copy;     /* the sender said these bytes may be attached to a packet */
	struct hf_ref *ref; /* counted for this descriptor; NULL for none */
};

/* One segment to send (or, with len > mss, a run of segments, to be cut); host order. */
struct hf_tcp_emit {
	struct hf_ip src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd; /* as it goes on the wire, scaled */
	uint8_t flags;
	uint8_t ecn;       /* enum hf_tcp_ecn, for the IP header */
	bool may_fragment; /* IPv4: without DF */
	uint8_t opt_len;   /* a multiple of 4 */
	uint8_t opt[HF_TCP_OPT_MAX];
	uint16_t mss; /* payload bytes a segment when the run is cut */
	uint16_t piece_count;
	uint32_t len; /* payload bytes in all */
	struct hf_path path;
	struct hf_tcp_piece piece[HF_TCP_EMIT_PIECES];
};

struct hf_tcp_cfg {
	/* default in parentheses */
	uint32_t conns_max; /* connections, TIME_WAIT included (65536) */
	uint32_t
		syn_queue_max; /* of these, in SYN_RECEIVED; above: SYN cookies (4096; 0: always) */
	uint32_t spans_max;    /* queued spans of all connections (262144) */
	uint32_t rxbufs_max;   /* 2 KiB buffers for unread and out-of-order bytes (32768) */
	uint32_t emits_max;    /* descriptors between two hf_tcp_emits_done (hf_path.cut: segments);
				* at least as many as the pieces of 76 bytes of one segment (1024) */
	uint32_t rcv_wnd_init; /* bytes; the window offered at first (262144) */
	uint32_t rcv_wnd_max;  /* bytes; what it may grow to while the application reads (6 MiB) */
	uint32_t send_queue_max;  /* bytes queued per connection, unacknowledged too (4 MiB) */
	uint32_t msl_ms;          /* TIME_WAIT is twice this (30000) */
	uint32_t syn_timeout_ms;  /* SYN_RECEIVED, SYN_SENT at most (20000) */
	uint32_t user_timeout_ms; /* no progress at most (300000; RFC 9293 §3.8.3) */
	uint32_t fin_timeout_ms;  /* FIN_WAIT_2, and the ACK of our last FIN, at most (30000) */
	uint32_t drain_rate;      /* bytes a second that a peer must take after we closed (240) */
	uint32_t keepalive_ms;    /* silence before a probe; 0: none (7200000; RFC 9293 §3.8.4) */
	uint32_t keepalive_interval_ms; /* between probes (75000) */
	uint32_t keepalive_probes;      /* unanswered, then the connection is dead (9) */
	bool ecn;                       /* RFC 3168, if the peer asks for it (true) */
	struct hf_sipkey isn_key;       /* RFC 6528, RFC 4987, and offsets of timestamps */
	struct hf_sipkey flow_key;
};

/* Every field set to its documented default, keys random. */
void hf_tcp_cfg_default(struct hf_tcp_cfg *cfg);

enum hf_tcp_event_kind {
	HF_TCP_EV_OPEN = 1 << 0, /* established; comes first */
	HF_TCP_EV_DATA = 1 << 1, /* hf_tcp_peek has something new */
	HF_TCP_EV_FIN = 1 << 2,  /* the peer will send no more; what it sent may still be unread */
	HF_TCP_EV_WRITABLE = 1 << 3, /* what hf_tcp_writable_at asked for */
	HF_TCP_EV_ACKED = 1 << 4,    /* everything sent so far is acknowledged */
	HF_TCP_EV_CLOSED = 1 << 5,   /* reset, timed out, shed: gone; nothing may be called on it */
	HF_TCP_EV_DEADLINE = 1 << 6, /* what hf_tcp_deadline_set asked for */
};

struct hf_tcp_event {
	struct hf_tcp_conn *conn;
	void *user;    /* as set by hf_tcp_user_set */
	uint32_t what; /* enum hf_tcp_event_kind, or-ed */
};

/* An ICMP error about a segment that claims to be ours (RFC 792, RFC 4443); host order. */
struct hf_tcp_icmp {
	struct hf_ip peer, local; /* destination and source of the quoted packet */
	uint16_t peer_port, local_port;
	uint32_t seq; /* quoted */
	uint32_t mtu; /* too_big: the next hop's; 0: the router is too old to say (RFC 1191 §5) */
	uint16_t ip_len; /* of the quoted packet */
	bool too_big;    /* else unreachable: a soft error (RFC 5927 §5.2), only traced */
	bool elsewhere;  /* every worker gets it: to have no such connection is no fault */
};

struct hf_tcp;
struct hf_tcp_conn;

/* boot */
int hf_tcp_new(const struct hf_tcp_cfg *cfg, uint64_t now_us, struct hf_tcp **ret_tcp);
/* Puts every reference still held. NULL is fine. */
void hf_tcp_free(struct hf_tcp *tcp);
/* Accept connections to this port at any local address. -ENOSPC above 64 listeners. */
int hf_tcp_listen(struct hf_tcp *tcp, uint16_t port);
/* While draining: SYNs are answered by RST, what is open goes on. */
void hf_tcp_listen_stop(struct hf_tcp *tcp);
/* drain_rate from now on. */
void hf_tcp_drain_rate_set(struct hf_tcp *tcp, uint32_t drain_rate);

/* Segment arrives (RFC 9293 §3.10.7). Returns the drop reason, HF_DROP_NONE when it was taken.
 * Must be followed by hf_tcp_next_event until false, then hf_tcp_input_end, before the next input. */
int hf_tcp_input(struct hf_tcp *tcp, const struct hf_tcp_seg *seg, uint64_t now_us);
/* Copies what the application left unread, acknowledges, sends what may be sent. */
void hf_tcp_input_end(struct hf_tcp *tcp);
/* An ICMP error arrived. Taken only if it quotes a segment that is in flight and larger than the
 * next hop's MTU (RFC 5927 §4.1, §7). HF_DROP_NONE, or why not. Not between input and input_end. */
int hf_tcp_icmp(struct hf_tcp *tcp, const struct hf_tcp_icmp *icmp, uint64_t now_us);
/* Works the timers; a bounded number at a call. Events may follow. */
void hf_tcp_tick(struct hf_tcp *tcp, uint64_t now_us);
/* The next event of any connection; false when there is none. */
bool hf_tcp_next_event(struct hf_tcp *tcp, struct hf_tcp_event *ret_event);
/* Sends for the connections on which the application acted outside of an input, and for those that
 * a full emit array stopped. Call once per loop, after all else. */
void hf_tcp_flush(struct hf_tcp *tcp, uint64_t now_us);
/* The descriptors since the last hf_tcp_emits_done. */
uint32_t hf_tcp_emits(struct hf_tcp *tcp, const struct hf_tcp_emit **ret_emits);
/* They are packets now (or dropped): puts their references. */
void hf_tcp_emits_done(struct hf_tcp *tcp);
/* Before this time hf_tcp_tick and hf_tcp_flush find nothing, for an lcore that would sleep. */
uint64_t hf_tcp_next_timer_us(const struct hf_tcp *tcp);

/* Active OPEN (RFC 9293 §3.10.1). HF_TCP_EV_OPEN or HF_TCP_EV_CLOSED will come. -EADDRINUSE when the
 * four-tuple has a connection, -ENOSPC when the table is full. */
int hf_tcp_connect(struct hf_tcp *tcp, const struct hf_ip *local, uint16_t local_port,
	const struct hf_ip *peer, uint16_t peer_port, const struct hf_path *path,
	struct hf_tcp_conn **ret_conn) HF_MUST_CHECK;

/* The application's side of a connection; valid within its lifetime, see above. */
void hf_tcp_user_set(struct hf_tcp_conn *conn, void *user);
/* Unread in-order bytes, oldest first: up to `max` spans. They stay readable until the next
 * hf_tcp_input_end or consume. Returns the number of spans. */
uint32_t hf_tcp_peek(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn,
	struct hf_span *ret_spans, uint32_t max);
/* All unread in-order bytes. */
uint32_t hf_tcp_unread(const struct hf_tcp_conn *conn);
/* The first n unread bytes are done with: the window opens by as much. */
void hf_tcp_consume(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n);
/* Bytes that hf_tcp_send takes now; 0 also when spans are low or this connection holds its share of
 * them, and then HF_TCP_EV_WRITABLE comes by itself. When they are low, the longest stalled is shed. */
uint32_t hf_tcp_send_space(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* HF_TCP_EV_WRITABLE, once, when no more than `queued` bytes are left unacknowledged. What hf_tcp_send
 * refuses with -EAGAIN asks for half of send_queue_max by itself. Nothing queued: nothing to wait for,
 * and no event. */
void hf_tcp_writable_at(struct hf_tcp_conn *conn, uint32_t queued);
/* HF_TCP_EV_DEADLINE, once, at the first tick after `after_us` from now; 0 takes it back. */
void hf_tcp_deadline_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint64_t after_us);
/* The application waits for the peer's next request: such connections are shed, the longest idle
 * first, when the table is full. */
void hf_tcp_idle_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool idle);
/* What hf_tcp_user_set gave to the longest idle connection; NULL: none is idle. */
void *hf_tcp_idle_oldest(const struct hf_tcp *tcp);
/* Bytes given to hf_tcp_send and not yet acknowledged, sent or not. */
uint32_t hf_tcp_queued(const struct hf_tcp_conn *conn);
/* Pieces that hold them. */
uint32_t hf_tcp_queued_spans(const struct hf_tcp_conn *conn);
/* For how long there have been any, without a break; 0: there are none. */
uint64_t hf_tcp_queued_us(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);
/* Bytes that the peer has acknowledged, modulo 2^32. */
uint32_t hf_tcp_acked(const struct hf_tcp_conn *conn);
/* Queues bytes whose owner is `ref` (one more reference is taken; NULL: static memory). -EAGAIN when
 * there is no space for all of it, and then nothing is queued; -EPIPE after hf_tcp_close. */
int hf_tcp_send(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const void *data, uint32_t len,
	struct hf_ref *ref, bool zero_copy) HF_MUST_CHECK;
/* No more from us: FIN behind what is queued (RFC 9293 §3.10.4). What the peer still sends is
 * acknowledged and thrown away, a bounded while, so that it can read our answer. */
void hf_tcp_close(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* RST now. */
void hf_tcp_abort(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* A walk through all connections in rounds, to find those that are slow to take what holds up others. */
struct hf_tcp_sweep {
	bool (*holds)(void *arg, const struct hf_ref *ref); /* do bytes of this owner? */
	void *arg;
	uint32_t unread; /* or so many bytes of the peer's that nobody reads; UINT32_MAX: never */
	uint32_t round;  /* 2 at least; grows by one, or by two: what was seen before is old */
	uint32_t
		least; /* bytes to be acknowledged since the round before, or all that were queued */
	uint32_t cursor; /* 0 when a round begins */
};

#define HF_TCP_SWEEP_END UINT32_MAX /* the cursor when it is over */

/* More than seven eighths of the buffers for unread and out-of-order bytes are in use. */
bool hf_tcp_rx_is_short(const struct hf_tcp *tcp);

/* A bounded part of a round. What hf_tcp_user_set gave to the next slow connection, which is to be
 * aborted; what we closed is reset here, and counted. NULL: enough for one call. */
void *hf_tcp_sweep(struct hf_tcp *tcp, struct hf_tcp_sweep *sweep);

/* What happened on a connection, always recorded: 8 bytes each, the last ones kept. */
#define HF_TCP_TRACE_MAX 10

enum hf_tcp_trace_kind {
#define X(id, name, arg) HF_TCP_TRACE_##id,
#include "tbl/tcp_trace.h"
#undef X
	HF_TCP_TRACE_COUNT
};

struct hf_tcp_trace {
	uint32_t when : 24; /* in units of 128 us, modulo 2^24: 35 minutes */
	uint32_t kind : 8;
	uint32_t arg;
};
HF_STATIC_ASSERT(sizeof(struct hf_tcp_trace) == 8, "ten of them in a connection");

/* "retransmit"; and what its argument is: "bytes", "reason", "" for none. */
const char *hf_tcp_trace_name(uint32_t kind);
const char *hf_tcp_trace_arg(uint32_t kind);
/* How long before now_us it was, as far as 24 bits tell. */
uint64_t hf_tcp_trace_ago_us(const struct hf_tcp_trace *trace, uint64_t now_us);

/* Where its peer is. */
const struct hf_ip *hf_tcp_peer(const struct hf_tcp_conn *conn);

struct hf_tcp_info {
	struct hf_ip peer, local;
	uint16_t peer_port, local_port;
	const char *state; /* RFC name: "ESTABLISHED" */
	uint32_t srtt_us, rto_us, cwnd, ssthresh, snd_wnd, rcv_wnd, mss;
	uint32_t unacked, unsent, unread;
	uint64_t bytes_in, bytes_out, retransmits;
	uint64_t age_s;
	bool sack, timestamps, ecn;
	uint32_t trace_count; /* oldest first */
	struct hf_tcp_trace trace[HF_TCP_TRACE_MAX];
};

void hf_tcp_info(
	const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, struct hf_tcp_info *ret_info);
/* The next connection after `*cursor` (start with 0) in table order, for `conns`; false at the end.
 * Safe against connections coming and going between calls. */
bool hf_tcp_conn_next(struct hf_tcp *tcp, uint32_t *cursor, struct hf_tcp_info *ret_info);
uint32_t hf_tcp_conn_count(const struct hf_tcp *tcp);
/* Connections with bytes or a FIN of ours that the peer has not acknowledged. Looks at the whole table:
 * while draining, not on each turn of a busy loop. */
uint32_t hf_tcp_undelivered_count(const struct hf_tcp *tcp);
/* Asserts every invariant of tables, queues, sequence numbers and timers. Tests. */
void hf_tcp_check(const struct hf_tcp *tcp);

#endif
