/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_loss - what was lost, and when it is sent again: round trips, the send timer, recovery. What
 * is in flight, and which of it is lost: tcp_flight.h; how much may be in flight: tcp_cubic.h.
 */
#ifndef TCP_LOSS_H
#define TCP_LOSS_H

#ifndef HF_PRIV_TCP
#error "tcp_loss.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

struct tcp_sack_block;

/* tcp_rexmit.c: round trips and the send timer */
void tcp_rexmit_rtt(struct hf_tcp_conn *conn, uint64_t rtt_us);
/* The retransmission timeout is what the samples say again. */
void tcp_rexmit_settle(struct hf_tcp_conn *conn);
/* Sets or clears the send timer by what is queued and in flight; restart: from now on. */
void tcp_rexmit_arm(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool restart);
/* The send timer came up. False when the connection is no more. */
bool tcp_rexmit_fire(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_recovery.c: what an ACK or a timeout means for losses and the congestion window */
uint32_t tcp_recovery_pipe(const struct hf_tcp_conn *conn);
void tcp_recovery_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_acked *acked,
	uint32_t una_before, bool ece);
/* The same, when all that was queued is acknowledged, with nothing amiss, and tx is given back: what
 * stays of it is the congestion window, and that one grows only where it was what held us back. */
void tcp_recovery_ack_all(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered, uint32_t rtt_us);
/* RACK looks again, after an ACK that delivered so many bytes or when its timer fired; enters
 * recovery for what it finds. */
void tcp_recovery_detect(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t delivered);
void tcp_recovery_dup_ack(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* twice: what the peer received once more. */
void tcp_recovery_dsack(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_sack_block *twice);
/* A duplicate ACK without any block. */
void tcp_recovery_bare_ack(struct hf_tcp_conn *conn);
void tcp_recovery_timeout(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* One that was lost goes out again. */
void tcp_recovery_resent(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len);
/* RFC 8985 §7.3: the probe timeout. */
void tcp_recovery_probe(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* What was marked LOST goes out again, and was no congestion: without a reduction. */
void tcp_recovery_again(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* The path takes smaller segments only (RFC 8201 §4): what is in flight is lost, without a
 * reduction. */
void tcp_recovery_resegment(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

#endif
