/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The retransmission timer (RFC 6298) and the persist timer (RFC 9293 §3.8.6.1): one timer, as
 * never both are needed.
 */
#include "hf_tcp.h"

#include "tcp_priv.h"

/* RFC 6298 §2.3, without what timeouts made of it */
void tcp_rexmit_settle(struct hf_tcp_conn *conn)
{
	uint32_t rto = conn->srtt_us + hf_max_u32(TCP_RTT_GRAIN_US, 4 * conn->rttvar_us);

	if (conn->srtt_us > 0)
		conn->rto_us = hf_min_u32(hf_max_u32(rto, TCP_RTO_MIN_US), TCP_RTO_MAX_US);
}

/* RFC 6298 §2 */
void tcp_rexmit_rtt(struct hf_tcp_conn *conn, uint64_t rtt_us)
{
	uint32_t rtt = (uint32_t)hf_min_u64(rtt_us, TCP_RTO_MAX_US);

	if (conn->srtt_us == 0) {
		conn->srtt_us = hf_max_u32(rtt, 1);
		conn->rttvar_us = rtt / 2;
	} else {
		uint32_t off = rtt > conn->srtt_us ? rtt - conn->srtt_us : conn->srtt_us - rtt;

		conn->rttvar_us = conn->rttvar_us - conn->rttvar_us / 4 + off / 4;
		conn->srtt_us = hf_max_u32(conn->srtt_us - conn->srtt_us / 8 + rtt / 8, 1);
	}
	tcp_rexmit_settle(conn);
}

static uint64_t rexmit_user_limit(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return conn->progress_us + 1000ULL * tcp->cfg.user_timeout_ms;
}

/* When the timer shall fire next, 0 for not at all. */
static uint64_t rexmit_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	bool in_flight = conn->snd_nxt != conn->snd_una;
	bool unsent = tcp_out_unsent(conn);
	uint64_t wait = conn->rto_us;

	if (conn->state == TCP_SYN_RECEIVED)
		return tcp->now_us + wait;
	if (!in_flight && !unsent)
		return 0;
	if (!in_flight && !hf_list_empty(&conn->ready) && conn->snd_wnd > 0)
		return 0; /* a bound of ours stopped it, not the peer */
	if (!in_flight || conn->snd_wnd == 0)
		wait = hf_min_u64(wait << hf_min_u32(conn->persist_shift, 16), TCP_RTO_MAX_US);
	return hf_max_u64(hf_min_u64(tcp->now_us + wait, rexmit_user_limit(tcp, conn)), 1);
}

void tcp_rexmit_arm(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool restart)
{
	uint64_t due;

	if (hf_timer_armed(&conn->rexmit) && !restart && (conn->snd_nxt != conn->snd_una))
		return;
	due = rexmit_due(tcp, conn);
	if (due == 0)
		hf_timer_del(tcp->wheel, &conn->rexmit);
	else if (restart || !hf_timer_armed(&conn->rexmit))
		hf_timer_set(tcp->wheel, &conn->rexmit, due);
}

static void rexmit_syn(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	conn->flags |= TCP_F_SYNACK_NOW | TCP_F_SYN_AGAIN;
	conn->rto_us = hf_min_u32(2 * conn->rto_us, TCP_RTO_MAX_US);
	conn->retransmits++;
	hf_stat_inc(HF_STAT_TCP_RETRANSMITS);
}

/* RFC 6298 §5.4 to §5.6: from snd_una on again, one segment to begin with. */
static void rexmit_data(struct hf_tcp_conn *conn)
{
	hf_stat_inc(HF_STAT_TCP_RTO);
	tcp_cc_timeout(conn);
	conn->snd_nxt = conn->snd_una;
	conn->snd_cur = conn->sndq_head;
	conn->cur_off = conn->head_off;
	conn->rto_us = hf_min_u32(2 * conn->rto_us, TCP_RTO_MAX_US);
}

void tcp_rexmit_fire(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->state == TCP_SYN_RECEIVED) {
		rexmit_syn(tcp, conn);
	} else if (tcp->now_us >= rexmit_user_limit(tcp, conn)) {
		hf_stat_inc(HF_STAT_TCP_TIMEOUTS);
		tcp_conn_kill(tcp, conn, /* rst= */ true);
		return;
	} else if (conn->snd_wnd == 0 || conn->snd_nxt == conn->snd_una) {
		conn->flags |= TCP_F_PROBE_NOW;
		conn->persist_shift++;
	} else {
		rexmit_data(conn);
	}
	tcp_output(tcp, conn);
}
