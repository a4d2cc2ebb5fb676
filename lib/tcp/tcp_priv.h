/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_priv - what the files of lib/tcp share: the instance, the connection, and who calls whom.
 *
 * Picture
 *      hf_tcp_input -> tcp_demux -> tcp_in (RFC 9293 §3.10.7) -> tcp_ack, tcp_rx
 *      application  -> tcp_send, tcp_rx (peek, consume)
 *      hf_tcp_input_end, hf_tcp_flush, hf_tcp_tick -> tcp_output -> emit descriptors
 * Lifetime  A connection is in the flow table from its SYN until tcp_conn_kill, or until its
 *           TIME_WAIT ends. Killed while the application owns it, the structure stays (CLOSED, in no
 *           table, no timer) until HF_TCP_EV_CLOSED was fetched.
 */
#ifndef HF_TCP_PRIV_H
#define HF_TCP_PRIV_H

#ifndef HF_PRIV_TCP
#error "tcp_priv.h is private to lib/tcp"
#endif

#include "hf_list.h"
#include "hf_pool.h"
#include "hf_stat.h"
#include "hf_tcp.h"
#include "hf_timer.h"

#define TCP_LISTENERS_MAX    64
#define TCP_MSS_FLOOR        88  /* a peer that announces less is treated as if it said this */
#define TCP_MSS_DEFAULT4     536 /* RFC 9293 §3.7.1: no option */
#define TCP_MSS_DEFAULT6     1220
#define TCP_RTO_FIRST_US     1000000    /* RFC 6298 §2.1 */
#define TCP_RTO_MIN_US       200000     /* below §2.4's 1 s, as all large stacks do */
#define TCP_RTO_MAX_US       60000000   /* RFC 6298 §2.5 */
#define TCP_RTO_SYN_LOST_US  3000000    /* RFC 6298 §5.7 */
#define TCP_RTT_GRAIN_US     1000       /* the wheel's slots */
#define TCP_DELACK_US        40000      /* RFC 9293 §3.8.6.3 allows 500 ms */
#define TCP_CWND_MAX         (1U << 30) /* RFC 7323: no window is larger */
#define TCP_DUP_ACKS         3          /* RFC 5681 §3.2 */
#define TCP_FLUSH_BYTES      65536      /* of one connection in one turn */
#define TCP_DISCARD_MAX      1048576    /* bytes taken after close */
#define TCP_TICK_TIMERS      256        /* timers worked in one hf_tcp_tick */
#define TCP_CHALLENGES_PER_S 500        /* RFC 5961 §7: at least, and less than twice as many */
#define TCP_STARVED_US       10000      /* asks again for spans */
#define TCP_RXBUF_BYTES      2032
#define TCP_PAYLOAD_MAX      65535

enum tcp_state {
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
	TCP_F_OWNED = 1 << 0,      /* the application's */
	TCP_F_WSCALE = 1 << 1,     /* both sides scale */
	TCP_F_SYN_AGAIN = 1 << 2,  /* the SYN-ACK was sent more than once */
	TCP_F_SYNACK_NOW = 1 << 3, /* to be sent at the next tcp_output: these four */
	TCP_F_ACK_NOW = 1 << 4,
	TCP_F_REXMIT_NOW = 1 << 5, /* one segment at snd_una */
	TCP_F_PROBE_NOW = 1 << 6,  /* RFC 9293 §3.8.6.1 */
	TCP_F_FIN_QUEUED = 1 << 7, /* FIN stands behind the send queue */
	TCP_F_FIN_SENT = 1 << 8,   /* snd_max covers it */
	TCP_F_FIN_ACKED = 1 << 9,
	TCP_F_RCV_FIN = 1 << 10, /* fin_seq is known */
	TCP_F_RCV_FIN_DONE = 1 << 11,
	TCP_F_RTT = 1 << 12,      /* a segment is being timed */
	TCP_F_RECOVERY = 1 << 13, /* RFC 6582 */
	TCP_F_PARTIAL = 1 << 14,  /* a partial ACK was seen in this recovery */
	TCP_F_BACKOFF = 1 << 15,  /* the timer fired since the last new ACK */
	TCP_F_WANT_SPACE = 1 << 16,
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
	uint32_t seq; /* of data[off]; only while out of order */
	uint16_t off; /* consumed or cut off */
	uint16_t end; /* filled */
	uint8_t data[TCP_RXBUF_BYTES];
};
HF_STATIC_ASSERT(sizeof(struct tcp_rxbuf) == 2048, "fits the pool");

struct hf_tcp_conn {
	/* line 0: demux, and what every segment reads */
	struct hf_tcp_conn *hash_next;
	struct hf_ip peer, local;
	uint16_t peer_port, local_port;
	uint32_t hash;
	uint32_t flags; /* enum tcp_conn_flag */
	uint8_t state;
	uint8_t snd_shift, rcv_shift; /* window scale */
	uint8_t dup_acks;
	uint32_t ev_what;
	uint16_t mss;     /* payload bytes we send at most */
	uint16_t rcv_mss; /* what we announced */

	/* line 1: receive (RFC 9293 §3.3.1 names) */
	uint32_t rcv_nxt;
	uint32_t rcv_adv; /* right edge of the window as announced; never moves back */
	uint32_t irs;
	uint32_t fin_seq;    /* of the peer's FIN */
	uint32_t unread_len; /* rxq and the rest of the segment in place */
	uint32_t rxq_len;
	uint32_t ooo_count;   /* buffers */
	uint32_t discard_len; /* thrown away after close */
	struct tcp_rxbuf *rxq_head, *rxq_tail, *ooo_head;
	uint32_t ack_segs; /* data segments since our last ACK */
	uint32_t persist_shift;

	/* line 2: send and congestion */
	uint32_t iss, snd_una, snd_nxt, snd_max;
	uint32_t snd_wnd, snd_wl1, snd_wl2, snd_wnd_max;
	uint32_t cwnd, ssthresh, cwnd_acked, recover;
	uint32_t sndq_len; /* bytes from snd_una on, without FIN */
	uint32_t rto_us, srtt_us, rttvar_us;

	/* line 3: the send queue */
	struct tcp_span *sndq_head, *sndq_tail;
	struct tcp_span *snd_cur; /* with cur_off: where snd_nxt stands; NULL at the end */
	uint32_t head_off, cur_off;
	uint32_t rtt_seq, retransmits;
	uint64_t rtt_us;      /* when the timed segment left */
	uint64_t progress_us; /* the last time that the peer got us ahead */
	void *user;

	/* line 4: rarely read or written once a segment */
	struct hf_path path;
	uint64_t bytes_in, bytes_out;
	uint64_t opened_us;
	uint64_t sent_us;
	struct hf_list ready; /* to be sent at hf_tcp_flush */

	/* lines 5 to 7 */
	struct hf_list event;
	struct hf_list place; /* TIME_WAIT, oldest first */
	struct hf_tcp *tcp;
	struct hf_timer rexmit, delack, age;
} HF_ALIGNED(HF_CACHE_LINE);
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, rcv_nxt) == 64, "line 1");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, iss) == 128, "line 2");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, sndq_head) == 192, "line 3");
HF_STATIC_ASSERT(offsetof(struct hf_tcp_conn, path) == 256, "line 4");
HF_STATIC_ASSERT(sizeof(struct hf_tcp_conn) <= 512, "an idle connection is this and nothing else");

enum tcp_timer_kind { TCP_TIMER_REXMIT, TCP_TIMER_DELACK, TCP_TIMER_AGE };

/* The segment between hf_tcp_input and hf_tcp_input_end. */
struct tcp_current {
	struct hf_tcp_conn *conn; /* NULL: none, or it ended meanwhile */
	const uint8_t *data;      /* in-order payload that was not consumed yet */
	uint32_t len;
	uint32_t end_seq;                          /* behind the payload */
	struct tcp_rxbuf *after_head, *after_tail; /* in order behind it: a filled hole */
	uint32_t after_len;
};

struct hf_tcp {
	struct hf_tcp_cfg cfg;
	uint64_t now_us;
	struct hf_wheel *wheel;
	struct hf_tcp_conn **bucket;
	uint32_t bucket_mask;
	uint32_t syn_count; /* connections in SYN_RECEIVED */
	struct hf_pool conns, spans, rxbufs;
	uint64_t *live; /* a bit for each element of conns */
	uint32_t ooo_max, spans_low;
	struct hf_list ready, events, time_wait;
	uint32_t ready_count;
	uint32_t emit_count;
	struct hf_tcp_emit *emit;
	struct tcp_current cur;
	bool in_input;
	bool draining;
	uint32_t listener_count;
	uint16_t listener[TCP_LISTENERS_MAX];
	uint64_t challenge_second;
	uint32_t challenge_left;
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

static inline void tcp_now_set(struct hf_tcp *tcp, uint64_t now_us)
{
	if (now_us > tcp->now_us)
		tcp->now_us = now_us;
}

/* tcp_conn.c: birth, death, lists, events */
struct hf_tcp_conn *tcp_conn_new(struct hf_tcp *tcp, const struct hf_tcp_seg *seg);
/* Out of the table and everything else; a RST goes out first if asked for. The application, if it
 * owns the connection, is told CLOSED; else the memory is free at once. */
void tcp_conn_kill(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst);
/* As tcp_conn_kill, and the application is not told: it asked for it. */
void tcp_conn_abandon(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst);
/* Once nothing but our FIN is outstanding, the wait for its ACK is bounded. */
void tcp_conn_fin_bound(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_time_wait(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_disown(struct hf_tcp_conn *conn);
void tcp_conn_ready(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_unready(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_event(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what);
bool tcp_conn_live(const struct hf_tcp *tcp, uint32_t index);

/* tcp_demux.c */
uint64_t tcp_demux_hash(const struct hf_sipkey *key, const struct hf_tcp_conn *conn);
struct hf_tcp_conn *tcp_demux_find(const struct hf_tcp *tcp, const struct hf_tcp_seg *seg);
void tcp_demux_add(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_demux_del(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* A segment that belongs to no connection: a SYN for a listener, or answered by RST. iss_above: what
 * the last connection of these addresses sent, or NULL. */
enum hf_drop tcp_demux_unknown(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above);

/* tcp_opt.c */
struct tcp_opts {
	bool has_mss, has_wscale;
	uint16_t mss;
	uint8_t wscale;
};
/* False for a malformed list. */
bool tcp_opt_parse(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts);
/* The SYN-ACK's options; returns their length. */
uint8_t tcp_opt_synack(const struct hf_tcp_conn *conn, uint8_t *ret_opt);

/* tcp_syn.c */
enum hf_drop tcp_syn_open(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above);
void tcp_syn_established(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg);
uint16_t tcp_syn_path_mss(const struct hf_ip *peer, const struct hf_path *path);

/* tcp_in.c */
enum hf_drop tcp_in_conn(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg);
/* Asks for an ACK, if the second's limit of RFC 5961 §7 permits. */
void tcp_in_challenge(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_ack.c: HF_DROP_NONE, or why the segment must be dropped */
enum hf_drop tcp_ack_input(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg);

/* tcp_wnd.c */
uint8_t tcp_wnd_shift(uint32_t wnd_max);
/* The window field of a segment sent now; moves rcv_adv. */
uint16_t tcp_wnd_announce(const struct hf_tcp *tcp, struct hf_tcp_conn *conn);
bool tcp_wnd_update_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);

/* tcp_rx.c */
/* In window, front cut at rcv_nxt. Returns why not all of it was taken. */
enum hf_drop tcp_rx_payload(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len);
/* What is left in place goes into buffers, or counts as never received. */
void tcp_rx_keep(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* Takes the peer's FIN if it is next and nothing before it can get lost any more. */
void tcp_rx_fin(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_rx_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* `len` bytes are to be acknowledged: at the latest when tcp_output's timer says so. */
void tcp_rx_ack_later(struct hf_tcp_conn *conn, uint32_t len);

/* tcp_send.c */
/* The first n bytes of the queue are acknowledged. */
void tcp_send_release(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n);
void tcp_send_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
uint32_t tcp_send_room(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);

/* tcp_out.c */
/* Sends what may be sent now; what a bound stops stays on the ready list. */
void tcp_output(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_out_rst(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
enum hf_drop tcp_out_rst_unknown(struct hf_tcp *tcp, const struct hf_tcp_seg *seg);
/* There is something that was never sent, or is to be sent again. */
bool tcp_out_unsent(const struct hf_tcp_conn *conn);

/* tcp_rexmit.c */
void tcp_rexmit_rtt(struct hf_tcp_conn *conn, uint64_t rtt_us);
/* The retransmission timeout is what the samples say again. */
void tcp_rexmit_settle(struct hf_tcp_conn *conn);
/* Sets or clears the one timer for retransmission and window probes; restart: from now on. */
void tcp_rexmit_arm(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool restart);
void tcp_rexmit_fire(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_cc.c */
uint32_t tcp_cc_initial(const struct hf_tcp_conn *conn);
/* Bytes that may be in flight now. */
uint32_t tcp_cc_window(const struct hf_tcp_conn *conn);
void tcp_cc_acked(struct hf_tcp_conn *conn, uint32_t acked, uint32_t flight);
void tcp_cc_dup_ack(struct hf_tcp_conn *conn);
void tcp_cc_timeout(struct hf_tcp_conn *conn);
void tcp_cc_idle(struct hf_tcp_conn *conn);

#endif
