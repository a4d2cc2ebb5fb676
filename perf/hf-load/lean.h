/* SPDX-License-Identifier: BSD-3-Clause
 *
 * lean - the client's own TCP, from frame to frame: IPv4, connections that stay.
 *
 * What      Requests are made in the frame that carries them, answers are read in the frame that brought
 *           them. A segment that is the next one is taken; any other is dropped and answered by an ACK,
 *           and whoever sent it sends again (go-back-N). No SACK (RFC 9293 does not ask for it); window
 *           scale and timestamps (RFC 7323) as everybody's.
 * Picture   frames -> lean_in.c: connection by address and port -> client_bytes, client_heard
 *           client_send -> lean_ask -> frames, as far as the peer's window goes
 * Promises  Requests that nobody acknowledged within LEAN_RTO_NS are sent again, each time later.
 *           An ACK goes with the next request, or after LEAN_ACK_NS, or at the end of a burst of frames
 *           that brought two segments or more: one for all of them, as of a host that merges what
 *           comes together (Linux's GRO).
 *           All connections' windows together are what a memif's ring holds, LEAN_FLIGHT frames: with
 *           256 connections or fewer nobody has to send more than fits there, and nothing is lost.
 *           Checksums: of each segment with bytes of a head, or of a body that is verified, and of one
 *           in LEAN_SUM_EVERY others; a memif's frames cannot be damaged on their way, but a server that
 *           writes wrong ones is told among `drops`.
 * Limits    What load_is_lean says; else lib/tcp is asked.
 */
#ifndef LEAN_H
#define LEAN_H

#include "frame.h"
#include "hf_list.h"
#include "load.h"

#define LEAN_FLIGHT    1024 /* frames: a memif's ring, by its default */
#define LEAN_SUM_EVERY 17   /* a prime: each segment of an answer has its turn */

enum lean_state { LEAN_CLOSED, LEAN_SYN_SENT, LEAN_OPEN, LEAN_FIN_SENT };

/* Sequence numbers, modulo 2^32. */
struct lean_conn {
	uint32_t una, nxt, end;      /* ours: acknowledged, sent, asked for */
	uint32_t unsent;             /* requests from nxt to end */
	uint32_t rcv_nxt, rcv_acked; /* theirs: came, and we said so */
	uint32_t ts_recent;
	uint32_t address; /* index in the configuration */
	uint32_t wnd;     /* theirs, in bytes */
	uint16_t port;
	uint16_t wnd_be; /* ours, as the next segment says it */
	uint16_t most;   /* requests in a segment */
	uint8_t state, tries, wnd_shift;
	bool has_ts, heard_fin;
	uint64_t resend_ns, owes_ns;
	struct hf_list owes; /* in one of lean's, while it owes an ACK */
};

struct lean {
	struct load_wire *wire;
	struct frame head; /* of all that is sent */
	uint32_t *by_port; /* of each address 65536: 1 + index of the connection that had it last */
	uint32_t closing;  /* connections with a FIN that is not acknowledged, or without theirs */
	uint32_t window;   /* of each connection */
	uint8_t wnd_shift; /* as far as that needs it */
	uint32_t sum_in;   /* segments until one is summed that would not have to be */
	char text[LOAD_REQUEST_MAX];
	struct hf_list owes, owes_now; /* later, or at the end of the burst */
};

struct load_client;
struct client_conn;

/* -EADDRINUSE: the port is taken. */
int lean_connect(
	struct load_client *client, struct client_conn *conn, uint32_t address, uint16_t port);
/* The last N of its slots are to be sent: as much as the peer's window takes now, the others later. */
void lean_ask(struct load_client *client, struct client_conn *conn, uint32_t n);
void lean_close(struct load_client *client, struct client_conn *conn);
void lean_abort(struct load_client *client, struct client_conn *conn);
/* Now and then: what was not acknowledged. */
void lean_overdue(struct load_client *client, struct client_conn *conn);
/* Each turn: the ACKs that are owed. */
void lean_tick(struct load_client *client);

/* Between lean.c and lean_in.c. A frame to be filled; NULL: there is none, and what it was for is as if it
 * had been lost. */
struct rte_mbuf *lean_take(struct lean *lean);
void lean_give(struct lean *lean, struct rte_mbuf *mbuf, uint32_t len);
uint32_t lean_opt_len(const struct lean_conn *conn);
/* The address of that index. */
const uint8_t *lean_address(const struct load_client *client, uint32_t address);
uint32_t *lean_by_port(const struct load_client *client, uint32_t address, uint16_t port);
void lean_ack(struct load_client *client, struct lean_conn *conn);
/* Of all in owes_now. */
void lean_ack_now(struct load_client *client);
void lean_push(struct load_client *client, struct client_conn *conn);
/* What the other end said of window scale. */
void lean_scale(const struct lean *lean, struct lean_conn *conn, bool scales, uint8_t theirs);
/* The timer begins anew. */
void lean_resend_later(const struct load_client *client, struct lean_conn *conn);
void lean_gone(struct lean_conn *conn);

#endif
