/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_conn - a connection as such: its birth and death, the lists it is on, what the application is
 * told, its deadlines, and the record of what happened to it.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#ifndef HF_PRIV_TCP
#error "tcp_conn.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

struct tcp_flow;

/* tcp_conn.c */
/* Sheds if it must; NULL when there is nothing to shed. */
struct hf_tcp_conn *tcp_conn_new(
	struct hf_tcp *tcp, const struct tcp_flow *flow, const struct hf_path *path);
/* Out of the table and everything else; a RST goes out first if asked for. The application, if it
 * owns the connection, is told CLOSED; else the memory is free at once. */
void tcp_conn_kill(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst);
/* As tcp_conn_kill, and the application is not told: it asked for it. */
void tcp_conn_abandon(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool rst);
/* The states after ours or the peer's FIN: each lasts a bounded time. */
void tcp_conn_bound(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_time_wait(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_disown(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_ready(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_conn_unready(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* The application, if it owns the connection, is to be told. */
void tcp_conn_event(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what);
/* It need not be told any more. */
void tcp_conn_untell(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t what);
/* Moves to the tail of a place, or off all of them. */
void tcp_conn_place(struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum tcp_place place);
bool tcp_conn_live(const struct hf_tcp *tcp, uint32_t index);
/* Something is needed of which there is a fixed number: ends the connection that is missed least,
 * by the order of enum tcp_place. False: none may be ended. */
bool tcp_conn_shed(struct hf_tcp *tcp);
/* Spans are needed: ends the connection that waits longest for its peer, but not this one. */
void tcp_conn_shed_stalled(struct hf_tcp *tcp, const struct hf_tcp_conn *but);

/* tcp_timer.c */
/* Sets one deadline, after_us from now. */
void tcp_due_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum tcp_due due, uint64_t after_us);
void tcp_due_clear(struct hf_tcp_conn *conn, enum tcp_due due);

/* tcp_trace.c */
void tcp_trace(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum hf_tcp_trace_kind kind,
	uint32_t arg);
/* Oldest first, HF_TCP_TRACE_MAX at most; returns how many. */
uint32_t tcp_trace_copy(const struct hf_tcp_conn *conn, struct hf_tcp_trace *ret_trace);

#endif
