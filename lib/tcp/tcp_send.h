/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_send - the send side: the queue of spans, the segments made of it, how large they may be.
 */
#ifndef TCP_SEND_H
#define TCP_SEND_H

#ifndef HF_PRIV_TCP
#error "tcp_send.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

struct tcp_opts;

/* tcp_send.c */
/* conn->tx, made if there is none; NULL: no memory for it. */
struct tcp_tx *tcp_send_tx(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* What was queued before the handshake ended counts from here on (RFC 9293 §3.10.2). */
void tcp_send_opened(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* Gives tx back when nothing is queued and nothing in flight. */
void tcp_send_rest(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* The first n bytes of the queue are acknowledged. */
void tcp_send_release(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t n);
/* The whole queue is. */
void tcp_send_release_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_send_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
uint32_t tcp_send_room(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);
/* Tells the application about room, if it asked. */
void tcp_send_tell(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_out.c */
/* Sends what may be sent now; what a bound stops stays on the ready list. */
void tcp_output(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_out_rst(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* Sends the record's bytes once more. False: no emit descriptor. */
bool tcp_out_again(struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct tcp_sent *sent);
/* There is something that was never sent. */
bool tcp_out_unsent(const struct hf_tcp_conn *conn);
/* Sends one segment of new data, whatever the congestion window says; false when there is none. */
bool tcp_out_one(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_emit.c: where there is no connection */
/* At a bounded rate. */
void tcp_emit_rst_unknown(struct hf_tcp *tcp, const struct hf_tcp_seg *seg);
/* A SYN-ACK. */
enum hf_drop tcp_emit_cookie(struct hf_tcp *tcp, const struct hf_tcp_seg *seg, uint32_t iss,
	const struct tcp_opts *opts, bool ecn);

/* tcp_pmtu.c */
/* Payload that fits an IP packet of `mtu` bytes behind headers without options. */
uint16_t tcp_pmtu_mss(const struct hf_ip *peer, uint32_t mtu);
/* conn->mss from the peer's word, the port's MTU and what was learned of the path. */
void tcp_pmtu_resize(struct hf_tcp_conn *conn);
/* What was learned is forgotten when it is old. */
void tcp_pmtu_retry(const struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* The segment's way back is the connection's from now on; its MTU may have changed. */
void tcp_pmtu_path(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_path *path);
/* Timeouts of a segment of `len` bytes in a row: perhaps it is too large for a path that says
 * nothing (RFC 4821 §7.7, RFC 2923). */
void tcp_pmtu_black_hole(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len);

#endif
