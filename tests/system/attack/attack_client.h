/* SPDX-License-Identifier: BSD-3-Clause
 *
 * attack_client - a TCP client without kernel: handshakes in batches, and a mode's functions for
 * all that comes after.
 *
 * Picture
 *      client_step: receive -> how->segment (or take and acknowledge) -> how->turn -> handshakes
 * Lifetime  Connection i has its address and port by arithmetic; none is used twice.
 */
#ifndef ATTACK_CLIENT_H
#define ATTACK_CLIENT_H

#include "attack.h"

enum atk_state { ATK_NEW, ATK_SYN_SENT, ATK_OPEN, ATK_ENDED };

struct atk_conn {
	uint32_t snd_una, snd_nxt;
	uint32_t rcv_nxt; /* acknowledged by us, truly or not */
	uint32_t seen;    /* the highest sequence number that was received, and one */
	uint32_t ts;      /* the peer's, to be echoed */
	uint32_t sent_ms; /* the SYN or the request */
	uint32_t got;     /* payload bytes taken in order */
	uint32_t note;    /* the mode's */
	uint32_t ask_seq; /* where the request begins */
	uint8_t state;
	uint8_t shift; /* of the server's windows */
	bool timestamps, asked;
};

struct atk_client;

#define ATK_OPTIONS(...) .opt = { __VA_ARGS__ }, .opt_len = sizeof((const uint8_t[]){ __VA_ARGS__ })

/* What a mode does otherwise than a good client. NULL: as a good client. */
struct atk_how {
	uint16_t wnd;
	uint8_t opt_len; /* the SYN's */
	uint8_t opt[40];
	void (*opened)(struct atk_client *client, struct atk_conn *conn);
	void (*segment)(
		struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg);
	void (*turn)(struct atk_client *client); /* a thousand times a second at most */
};

struct atk_client {
	struct atk *atk;
	const struct atk_how *how;
	struct atk_conn *conns;
	uint32_t count, begun, oldest, waiting; /* oldest: the first that may be unanswered */
	uint32_t opened, refused, reset, closed, answered;
	uint32_t with_wscale, with_timestamps, with_sack, strays; /* strays: RSTs for nobody */
	uint32_t largest, smallest;                               /* payloads of full segments */
	uint32_t server_wnd;
	uint64_t turn_us, scan_us, bytes;
	char request[512];
	uint32_t request_len;
};

void client_new(struct atk_client *client, struct atk *atk, const struct atk_how *how);
/* One turn; waits a millisecond when there was nothing to do. */
void client_step(struct atk_client *client);
/* Steps until the time is over. */
void client_run(struct atk_client *client);
void client_free(struct atk_client *client);
/* The counts, and what the format says. */
void client_report(const struct atk_client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool client_settled(const struct atk_client *client); /* every handshake is over */

/* With timestamps before its options, if they were agreed on and have room. */
void client_send(struct atk_client *client, struct atk_conn *conn, struct atk_seg seg);
void client_ack(struct atk_client *client, struct atk_conn *conn, uint32_t ack, uint16_t wnd);
/* Takes what is in order; true when something was. */
bool client_take(struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg);
/* Sends the request, again and again until there is an answer. */
void client_ask(struct atk_client *client, struct atk_conn *conn);
/* An ACK as its kernel would fill it in. */
struct atk_seg client_seg(const struct atk_client *client, const struct atk_conn *conn);

#endif
