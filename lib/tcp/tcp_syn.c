/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The handshake, from both ends (RFC 9293 §3.5): a SYN queue, and above it cookies (RFC 4987 §3.6), so
 * that a flood of SYNs costs an answer each and no memory.
 */
#include "hf_tcp.h"

#include <errno.h>

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_open.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"

#define ISN_TICK_US   4          /* RFC 6528 §3 */
#define ISN_REUSE     (1U << 17) /* above what an old connection of these addresses sent */
#define COOKIE_FOR_US 128000000  /* after the last cookie: then no ACK is looked at as one */

static uint32_t syn_isn(const struct hf_tcp *tcp, const struct tcp_flow *flow)
{
	return (uint32_t)(tcp->now_us / ISN_TICK_US) +
	       (uint32_t)tcp_demux_hash(&tcp->cfg.isn_key, flow);
}

/* What the peer's SYN asked for and we know. */
static void syn_negotiate(
	const struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_opts *opts, bool ecn)
{
	uint32_t absent = hf_ip_is4(&conn->peer) ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	uint32_t peer_mss = opts->has_mss ? opts->mss : absent;

	conn->rcv_mss = tcp_pmtu_mss(&conn->peer, conn->path.mtu);
	conn->peer_mss = (uint16_t)hf_max_u32(peer_mss, TCP_MSS_FLOOR);
	if (opts->has_wscale) {
		conn->flags |= TCP_F_WSCALE;
		conn->snd_shift = opts->wscale;
		conn->rcv_shift = tcp_wnd_shift(tcp->cfg.rcv_wnd_max);
	}
	if (opts->sack_permitted)
		conn->flags |= TCP_F_SACK;
	if (opts->has_ts) {
		conn->flags |= TCP_F_TS;
		conn->ts_recent = opts->ts_val;
		conn->ts_recent_ms = tcp_now_ms(tcp);
	}
	if (ecn && tcp->cfg.ecn)
		conn->flags |= TCP_F_ECN;
	tcp_pmtu_resize(conn);
}

static void syn_send_state(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t iss)
{
	conn->iss = iss;
	conn->snd_una = iss;
	conn->snd_nxt = iss + 1;
	conn->rto_us = TCP_RTO_FIRST_US;
	conn->sent_ms = tcp_now_ms(tcp);
	conn->rcv_wnd = tcp->cfg.rcv_wnd_init;
}

static void syn_receive_state(
	const struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t irs, uint16_t wnd)
{
	conn->irs = irs;
	conn->rcv_nxt = irs + 1;
	conn->rcv_adv = conn->rcv_nxt + hf_min_u32(tcp->cfg.rcv_wnd_init, UINT16_MAX);
	conn->ack_sent = conn->rcv_nxt;
	conn->rcv_mark = conn->rcv_nxt;
	conn->rcv_mark_ms = tcp_now_ms(tcp);
	conn->snd_wnd = wnd; /* never scaled in a SYN: RFC 7323 §2.2 */
	conn->snd_wnd_max = wnd;
	conn->snd_wl1 = irs;
}

uint8_t tcp_syn_options(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint8_t *ret_opt)
{
	bool asks = conn->state == TCP_SYN_SENT;
	struct tcp_opts opts = {
		.has_mss = true,
		.mss = conn->rcv_mss,
		.has_wscale = asks || tcp_has(conn, TCP_F_WSCALE),
		.wscale = tcp_wnd_shift(tcp->cfg.rcv_wnd_max),
		.sack_permitted = asks || tcp_has(conn, TCP_F_SACK),
		.has_ts = asks || tcp_has(conn, TCP_F_TS),
		.ts_val = tcp_now_ms(tcp) + conn->ts_off,
		.ts_ecr = conn->ts_recent,
	};

	return tcp_opt_build(&opts, ret_opt);
}

/* Without memory: what matters goes into the SYN-ACK and comes back. Window scale and SACK come back in
 * the timestamp only. */
static enum hf_drop syn_cookie_send(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const struct tcp_opts *asked)
{
	struct tcp_flow flow = tcp_demux_flow(seg);
	uint32_t absent = hf_ip_is4(&seg->src) ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	uint16_t mss = asked->has_mss ? asked->mss : (uint16_t)absent;
	bool ecn = asked->has_ts && tcp_wants_ecn(seg) && tcp->cfg.ecn;
	uint32_t iss = tcp_cookie_make(&tcp->cfg.isn_key, &flow, seg->seq, tcp->now_us, &mss);
	struct tcp_opts opts = {
		.has_mss = true,
		.mss = tcp_pmtu_mss(&seg->src, seg->path.mtu),
		.has_ts = asked->has_ts,
		.ts_ecr = asked->ts_val,
	};
	enum hf_drop drop;

	if (asked->has_ts) {
		uint32_t now = tcp_now_ms(tcp) + tcp_cookie_ts_off(&tcp->cfg.isn_key, &flow);

		opts.has_wscale = asked->has_wscale;
		opts.wscale = tcp_wnd_shift(tcp->cfg.rcv_wnd_max);
		opts.sack_permitted = asked->sack_permitted;
		opts.ts_val = tcp_cookie_ts_make(now, asked, ecn);
	}
	drop = tcp_emit_cookie(tcp, seg, iss, &opts, ecn);
	if (drop == HF_DROP_NONE) {
		tcp->cookies_until_us = tcp->now_us + COOKIE_FOR_US;
		hf_stat_inc(HF_STAT_TCP_COOKIES_SENT);
	}
	return drop;
}

/* RFC 9293 §3.10.7.2, third: a SYN for a listener. Its data and FIN come again later. */
enum hf_drop tcp_syn_open(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above)
{
	struct tcp_flow flow = tcp_demux_flow(seg);
	struct hf_tcp_conn *conn;
	struct tcp_opts opts;
	bool full = hf_pool_free_count(&tcp->conns) <= tcp->conns_low;
	uint32_t iss;

	if (!tcp_opt_parse(seg->opt, seg->opt_len, &opts))
		return hf_drop(HF_DROP_TCP_BAD_OPTION);
	/* nothing is shed for what may be forged */
	if (!iss_above && (tcp->syn_count >= tcp->cfg.syn_queue_max || full))
		return syn_cookie_send(tcp, seg, &opts);
	conn = tcp_conn_new(tcp, &flow, &seg->path);
	if (!conn)
		return syn_cookie_send(tcp, seg, &opts);
	iss = syn_isn(tcp, &flow);
	if (iss_above && tcp_seq_le(iss, *iss_above))
		iss = *iss_above + ISN_REUSE;
	conn->ts_off = tcp_cookie_ts_off(&tcp->cfg.isn_key, &flow);
	syn_send_state(tcp, conn, iss);
	syn_receive_state(tcp, conn, seg->seq, seg->wnd);
	syn_negotiate(tcp, conn, &opts, tcp_wants_ecn(seg));
	conn->flags |= TCP_F_SYN_NOW;
	tcp_due_set(tcp, conn, TCP_DUE_STATE, 1000ULL * tcp->cfg.syn_timeout_ms);
	tcp->cur = (struct tcp_current){ .conn = conn };
	return HF_DROP_NONE;
}

enum hf_drop tcp_syn_cookie(struct hf_tcp *tcp, const struct hf_tcp_seg *seg)
{
	struct tcp_flow flow = tcp_demux_flow(seg);
	uint32_t irs = seg->seq - 1, iss = seg->ack - 1;
	struct hf_tcp_conn *conn;
	struct tcp_opts opts, asked = { .has_mss = true };
	bool ecn = false;

	if (!tcp_opt_parse(seg->opt, seg->opt_len, &opts))
		return hf_drop(HF_DROP_TCP_BAD_OPTION);
	if (!tcp_cookie_check(&tcp->cfg.isn_key, &flow, irs, iss, tcp->now_us, &asked.mss)) {
		/* text may have overtaken the ACK that has the cookie: it will come again */
		if (seg->payload_len == 0 && !(seg->flags & HF_TCP_FIN))
			tcp_emit_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_TCP_BAD_COOKIE);
	}
	if (tcp->draining) {
		tcp_emit_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_CONN_DRAINING);
	}
	if (opts.has_ts) {
		tcp_cookie_ts_read(opts.ts_ecr, &asked, &ecn);
		asked.has_ts = true;
		asked.ts_val = opts.ts_val;
	}
	conn = tcp_conn_new(tcp, &flow, &seg->path);
	if (!conn)
		return hf_drop(HF_DROP_CONN_FULL); /* the cookie is good for some time yet */
	conn->ts_off = tcp_cookie_ts_off(&tcp->cfg.isn_key, &flow);
	syn_send_state(tcp, conn, iss);
	syn_receive_state(tcp, conn, irs, seg->wnd);
	syn_negotiate(tcp, conn, &asked, ecn);
	conn->flags |= TCP_F_COOKIE;
	hf_stat_inc(HF_STAT_TCP_COOKIES_ACCEPTED);
	tcp_trace(tcp, conn, HF_TCP_TRACE_COOKIE, conn->mss);
	return tcp_in_conn(tcp, conn, seg);
}

int hf_tcp_connect(struct hf_tcp *tcp, const struct hf_ip *local, uint16_t local_port,
	const struct hf_ip *peer, uint16_t peer_port, const struct hf_path *path,
	struct hf_tcp_conn **ret_conn)
{
	struct tcp_flow flow = { *peer, *local, peer_port, local_port };
	struct hf_tcp_conn *conn;

	HF_ASSERT(local_port != 0 && peer_port != 0);
	if (tcp_demux_find(tcp, peer, local, peer_port, local_port))
		return -EADDRINUSE;
	conn = tcp_conn_new(tcp, &flow, path);
	if (!conn)
		return -ENOSPC;
	HF_ASSERT(tcp->syn_count > 0);
	tcp->syn_count--; /* it does not count as a stranger's */
	conn->state = TCP_SYN_SENT;
	conn->flags |= TCP_F_OWNED | TCP_F_ACTIVE | TCP_F_SYN_NOW;
	conn->ts_off = tcp_cookie_ts_off(&tcp->cfg.isn_key, &flow);
	conn->rcv_mss = tcp_pmtu_mss(peer, path->mtu);
	conn->peer_mss = conn->rcv_mss;
	tcp_pmtu_resize(conn);
	conn->cwnd = conn->mss; /* bytes may be queued already, none is sent */
	syn_send_state(tcp, conn, syn_isn(tcp, &flow));
	tcp_due_set(tcp, conn, TCP_DUE_STATE, 1000ULL * tcp->cfg.syn_timeout_ms);
	tcp_conn_ready(tcp, conn);
	*ret_conn = conn;
	return 0;
}

enum hf_drop tcp_syn_answer(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts)
{
	bool acks = seg->flags & HF_TCP_ACK;

	if (acks && seg->ack != conn->snd_nxt) {
		if (!(seg->flags & HF_TCP_RST))
			tcp_emit_rst_unknown(tcp, seg);
		return hf_drop(HF_DROP_TCP_BAD_ACK);
	}
	if (seg->flags & HF_TCP_RST) {
		if (!acks)
			return hf_drop(HF_DROP_TCP_BAD_RST);
		hf_stat_inc(HF_STAT_TCP_RESET_IN);
		tcp_conn_kill(tcp, conn, /* rst= */ false);
		return HF_DROP_NONE;
	}
	if (!(seg->flags & HF_TCP_SYN))
		return hf_drop(HF_DROP_TCP_BAD_FLAGS);
	syn_receive_state(tcp, conn, seg->seq, seg->wnd);
	syn_negotiate(tcp, conn, opts, /* ecn= */ false); /* our SYN asked for none */
	if (acks) {
		conn->state = TCP_SYN_RECEIVED; /* for no longer than this line */
		tcp->syn_count++;
		tcp_syn_established(tcp, conn, seg);
		conn->flags |= TCP_F_ACK_NOW;
	} else { /* both at once */
		conn->state = TCP_SYN_RECEIVED;
		tcp->syn_count++;
		conn->flags |= TCP_F_SYN_NOW;
	}
	return HF_DROP_NONE;
}

void tcp_syn_established(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	uint8_t shift = seg->flags & HF_TCP_SYN ? 0 : conn->snd_shift;

	HF_ASSERT(conn->state == TCP_SYN_RECEIVED);
	HF_ASSERT(tcp->syn_count > 0);
	tcp->syn_count--;
	conn->state = TCP_ESTABLISHED;
	conn->flags &= ~(uint32_t)TCP_F_SYN_NOW;
	conn->flags |= TCP_F_OWNED;
	conn->snd_una = conn->iss + 1;
	conn->snd_wnd = (uint32_t)seg->wnd << shift;
	conn->snd_wnd_max = hf_max_u32(conn->snd_wnd_max, conn->snd_wnd);
	conn->snd_wl1 = seg->seq;
	conn->snd_wl2 = seg->ack;
	conn->cwnd = tcp_cubic_iw(conn->mss);
	conn->ssthresh = TCP_CWND_MAX;
	if (tcp_has(conn, TCP_F_SYN_AGAIN)) {
		conn->rto_us = TCP_RTO_SYN_LOST_US; /* RFC 6298 §5.7; no sample: §3 */
		conn->cwnd = conn->mss;             /* RFC 5681 §3.1 */
	} else if (!tcp_has(conn, TCP_F_COOKIE)) {
		conn->rcv_rtt_us = 1000 * (tcp_now_ms(tcp) - conn->sent_ms);
		tcp_rexmit_rtt(conn, conn->rcv_rtt_us);
	}
	conn->progress_ms = tcp_now_ms(tcp);
	tcp_due_clear(conn, TCP_DUE_STATE);
	tcp_due_clear(conn, TCP_DUE_SEND);
	tcp_send_opened(tcp, conn);
	if (tcp->cfg.keepalive_ms > 0)
		tcp_due_set(tcp, conn, TCP_DUE_KEEP, 1000ULL * tcp->cfg.keepalive_ms);
	hf_stat_inc(HF_STAT_TCP_OPENED);
	tcp_trace(tcp, conn, HF_TCP_TRACE_OPEN, conn->mss);
	tcp_conn_event(tcp, conn, HF_TCP_EV_OPEN);
}
