/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client, inside: client.c has connections and what is on them, phase.c the order of a run. TCP is
 * lib/tcp, or lean.c where that is enough.
 *
 *      OPENING -> FILLING -> WARMING -> MEASURING -> DRAINING -> CLOSING -> DONE
 *                 each key    |-- closed loop: a connection sends its next requests when all it
 *                 once        |   sent are answered
 *                             '-- open loop: whichever connection has room, when one is due
 *
 * What was due within MEASURING counts, also when it is sent or answered while DRAINING: nothing is
 * left out because it was slow (no coordinated omission).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "hf_list.h"
#include "lean.h"
#include "load.h"

enum client_phase { OPENING, FILLING, WARMING, MEASURING, DRAINING, CLOSING, DONE };

struct client_slot {
	uint64_t due_ns, sent_ns;
	uint32_t key, size;
	bool verify;
};

struct client_conn {
	struct hf_list link; /* in `closed`, or in `room` when it can take a request, or in none */
	struct hf_tcp_conn *tcp;
	struct lean_conn lean;
	uint64_t opened_ns;
	uint32_t head, count; /* slots in use */
	uint32_t taken;       /* requests of this connection so far */
	bool used, open;      /* used: not in `closed` */
	struct client_slot *slot;
	char *text; /* of each slot */
	struct load_resp resp;
};

struct load_client {
	const struct load_opts *opts;
	struct hf_tcp *tcp;
	struct lean *lean; /* NULL: lib/tcp it is */
	struct hf_path path;
	bool has_path, stopping;
	enum client_phase phase;
	uint64_t now_ns, phase_ns; /* when it began */
	uint64_t begin_ns, end_ns, until_ns, last_ns;
	uint64_t sweep_ns, heard_ns, random, random_ahead;
	struct load_zipf *zipf;
	struct load_pace pace;
	uint32_t fill_next, verify_in, request_len;
	uint32_t next_address, next_port;
	uint64_t on_the_way, window_requests;
	struct hf_list closed, room;
	struct client_conn *conn;
	struct client_slot *slots;
	char *texts;
	struct load_shape shape;
	struct load_result result;
};

/* The I-th slot from the oldest request on; I is at most `pipeline`. */
static inline uint32_t client_at(
	const struct load_client *client, const struct client_conn *conn, uint32_t i)
{
	uint32_t at = conn->head + i, round = client->opts->pipeline;

	return at < round ? at : at - round; /* a division would cost more than all of this */
}

/* The phase begins now. */
void client_phase_set(struct load_client *client, enum client_phase phase);

/* Hands TCP's events to their connections. */
void client_events(struct load_client *client);
/* Opens some of those that are closed. */
void client_open(struct load_client *client);
/* Connections with room send what is to be sent. */
void client_feed_waiting(struct load_client *client);
/* TCP finishes it by itself. */
void client_close(struct load_client *client, struct client_conn *conn);
/* Reset; each request on it is counted there. */
void client_fail(struct load_client *client, struct client_conn *conn, uint64_t *counter);
/* Connections that TCP has to finish. */
uint32_t client_unfinished(const struct load_client *client);

/* What TCP tells. It is established; */
void client_opened(struct load_client *client, struct client_conn *conn);
/* it is reset, or never was; */
void client_closed(struct load_client *client, struct client_conn *conn);
/* its addresses are in use at the other end: others are tried; */
void client_elsewhere(struct load_client *client, struct client_conn *conn);
/* bytes came (false: they were wrong, the connection is gone), */
bool client_bytes(struct load_client *client, struct client_conn *conn, struct hf_span span);
/* and what follows from them, or from a FIN. */
void client_heard(struct load_client *client, struct client_conn *conn, bool fin);
/* Key and size of a slot into the text of its request. */
void client_request(const struct client_slot *slot, char *text);

#endif
