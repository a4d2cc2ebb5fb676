/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_open - which connection a segment belongs to, and how one begins.
 *
 * Picture
 *      segment -> demux --found--> tcp_in (tcp_recv.h)
 *                   |-- a SYN: syn makes a connection, or answers by a cookie
 *                   \-- an ACK: is it a cookie's?
 */
#ifndef TCP_OPEN_H
#define TCP_OPEN_H

#ifndef HF_PRIV_TCP
#error "tcp_open.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

struct tcp_opts;

/* tcp_demux.c */
struct tcp_flow {
	struct hf_ip peer, local;
	uint16_t peer_port, local_port;
};
HF_STATIC_ASSERT(sizeof(struct tcp_flow) == 36, "no padding is hashed");

uint64_t tcp_demux_hash(const struct hf_sipkey *key, const struct tcp_flow *flow);
struct tcp_flow tcp_demux_flow(const struct hf_tcp_seg *seg);
/* A flow's four parts, where they lie: each segment is looked up, and few are copied. */
struct hf_tcp_conn *tcp_demux_find(const struct hf_tcp *tcp, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port, uint16_t local_port);
void tcp_demux_add(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_demux_del(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* A segment that belongs to no connection: a SYN or a cookie for a listener, or answered by RST.
 * iss_above: what the last connection of these addresses sent, or NULL. */
enum hf_drop tcp_demux_unknown(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above);

/* tcp_syn.c */
enum hf_drop tcp_syn_open(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above);
/* An ACK for a listener: HF_DROP_NONE when it completed a handshake by cookie. */
enum hf_drop tcp_syn_cookie(struct hf_tcp *tcp, const struct hf_tcp_seg *seg);
/* SYN_SENT, RFC 9293 §3.10.7.3. */
enum hf_drop tcp_syn_answer(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts);
void tcp_syn_established(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg);
/* The options of our SYN or SYN-ACK. */
uint8_t tcp_syn_options(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint8_t *ret_opt);

/* tcp_cookie.c: RFC 4987 §3.6; what a SYN said, in our initial sequence number and our timestamp */
uint32_t tcp_cookie_ts_off(const struct hf_sipkey *key, const struct tcp_flow *flow);
/* The ISS. opts->mss becomes the largest that the cookie can say and is not above. */
uint32_t tcp_cookie_make(const struct hf_sipkey *key, const struct tcp_flow *flow, uint32_t irs,
	uint64_t now_us, uint16_t *mss);
/* The TSval of a cookie's SYN-ACK: not above `ts_val`, less than 64 ms below it. */
uint32_t tcp_cookie_ts_make(uint32_t ts_val, const struct tcp_opts *opts, bool ecn);
/* What the ACK of a cookie's SYN-ACK says. False: it is none of ours, or too old. */
bool tcp_cookie_check(const struct hf_sipkey *key, const struct tcp_flow *flow, uint32_t irs,
	uint32_t iss, uint64_t now_us, uint16_t *ret_mss);
/* Completes opts (window scale, SACK) from the timestamp that came back; ecn too. */
void tcp_cookie_ts_read(uint32_t ts_ecr, struct tcp_opts *ret_opts, bool *ret_ecn);

#endif
