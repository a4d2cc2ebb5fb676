/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "tcp_priv.h"

#define ISN_TICK_US 4          /* RFC 6528 §3 */
#define ISN_REUSE   (1U << 17) /* above what an old connection of these addresses sent */
#define HEADERS4    40         /* IP and TCP without options */
#define HEADERS6    60

/* RFC 9293 §3.7.1: what fits the path with the smallest headers. */
uint16_t tcp_syn_path_mss(const struct hf_ip *peer, const struct hf_path *path)
{
	uint32_t headers = hf_ip_is4(peer) ? HEADERS4 : HEADERS6;
	uint32_t room = path->mtu > headers ? path->mtu - headers : 0;

	return (uint16_t)hf_max_u32(room, TCP_MSS_FLOOR);
}

static uint32_t syn_isn(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return (uint32_t)(tcp->now_us / ISN_TICK_US) +
	       (uint32_t)tcp_demux_hash(&tcp->cfg.isn_key, conn);
}

static void syn_negotiate(
	const struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct tcp_opts *opts)
{
	uint32_t absent = hf_ip_is4(&conn->peer) ? TCP_MSS_DEFAULT4 : TCP_MSS_DEFAULT6;
	uint32_t peer_mss = opts->has_mss ? opts->mss : absent;

	conn->rcv_mss = tcp_syn_path_mss(&conn->peer, &conn->path);
	conn->mss = (uint16_t)hf_min_u32(hf_max_u32(peer_mss, TCP_MSS_FLOOR), conn->rcv_mss);
	if (opts->has_wscale) {
		conn->flags |= TCP_F_WSCALE;
		conn->snd_shift = opts->wscale;
		conn->rcv_shift = tcp_wnd_shift(tcp->cfg.rcv_wnd_max);
	}
}

/* RFC 9293 §3.10.7.2, third: a SYN for a listener. Its data and FIN come again later. */
enum hf_drop tcp_syn_open(
	struct hf_tcp *tcp, const struct hf_tcp_seg *seg, const uint32_t *iss_above)
{
	struct hf_tcp_conn *conn;
	struct tcp_opts opts;

	if (!tcp_opt_parse(seg->opt, seg->opt_len, &opts))
		return hf_drop(HF_DROP_TCP_BAD_OPTION);
	if (tcp->syn_count >= tcp->cfg.syn_queue_max)
		return hf_drop(HF_DROP_CONN_SYN_QUEUE);
	conn = tcp_conn_new(tcp, seg);
	if (!conn)
		return hf_drop(HF_DROP_CONN_FULL);
	syn_negotiate(tcp, conn, &opts);
	conn->irs = seg->seq;
	conn->rcv_nxt = seg->seq + 1;
	conn->rcv_adv = conn->rcv_nxt + hf_min_u32(tcp->cfg.rcv_wnd_max, UINT16_MAX);
	conn->iss = syn_isn(tcp, conn);
	if (iss_above && tcp_seq_le(conn->iss, *iss_above))
		conn->iss = *iss_above + ISN_REUSE;
	conn->snd_una = conn->iss;
	conn->snd_nxt = conn->iss + 1;
	conn->snd_max = conn->snd_nxt;
	conn->recover = conn->iss;
	conn->snd_wnd = seg->wnd; /* never scaled in a SYN: RFC 7323 §2.2 */
	conn->snd_wnd_max = conn->snd_wnd;
	conn->snd_wl1 = seg->seq;
	conn->rto_us = TCP_RTO_FIRST_US;
	conn->sent_us = tcp->now_us;
	conn->flags |= TCP_F_SYNACK_NOW;
	hf_timer_set(tcp->wheel, &conn->age, tcp->now_us + 1000ULL * tcp->cfg.syn_timeout_ms);
	tcp->cur = (struct tcp_current){ .conn = conn };
	return HF_DROP_NONE;
}

void tcp_syn_established(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg)
{
	HF_ASSERT(conn->state == TCP_SYN_RECEIVED);
	HF_ASSERT(tcp->syn_count > 0);
	tcp->syn_count--;
	conn->state = TCP_ESTABLISHED;
	conn->flags &= ~(uint32_t)TCP_F_SYNACK_NOW;
	conn->flags |= TCP_F_OWNED;
	conn->snd_una = conn->iss + 1;
	conn->snd_wnd = (uint32_t)seg->wnd << conn->snd_shift;
	conn->snd_wnd_max = hf_max_u32(conn->snd_wnd_max, conn->snd_wnd);
	conn->snd_wl1 = seg->seq;
	conn->snd_wl2 = seg->ack;
	if (tcp_has(conn, TCP_F_SYN_AGAIN))
		conn->rto_us = TCP_RTO_SYN_LOST_US; /* RFC 6298 §5.7; no sample: §3 */
	else
		tcp_rexmit_rtt(conn, tcp->now_us - conn->sent_us);
	conn->cwnd = tcp_cc_initial(conn);
	conn->ssthresh = TCP_CWND_MAX;
	conn->progress_us = tcp->now_us;
	hf_timer_del(tcp->wheel, &conn->age);
	hf_timer_del(tcp->wheel, &conn->rexmit);
	hf_stat_inc(HF_STAT_TCP_OPENED);
	tcp_conn_event(tcp, conn, HF_TCP_EV_OPEN);
}
