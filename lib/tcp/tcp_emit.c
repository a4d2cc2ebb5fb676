/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One emit descriptor: segments with text and without, and what is sent where there is no connection.
 */
#include "hf_tcp.h"

#include "tcp_emit.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"

/* RFC 2018 §4: blocks beside the timestamps. */
static void emit_sacks(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, struct hf_tcp_emit *emit)
{
	struct tcp_opts opts = { .has_ts = tcp_has(conn, TCP_F_TS),
		.ts_val = tcp_now_ms(tcp) + conn->ts_off,
		.ts_ecr = conn->ts_recent };

	opts.sack_count = (uint8_t)tcp_ooo_sacks(
		conn, opts.sack, opts.has_ts ? TCP_SACKS_MAX - 1 : TCP_SACKS_MAX);
	emit->opt_len = tcp_opt_build(&opts, emit->opt);
}

HF_NOINLINE bool tcp_emit_bare(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq)
{
	struct hf_tcp_emit *emit = tcp_emit_acking(tcp, conn, seq);

	if (!emit)
		return false;
	if (tcp_has(conn, TCP_F_SACK) && tcp_emit_has_sacks(conn))
		emit_sacks(tcp, conn, emit);
	conn->flags &= ~(uint32_t)TCP_F_ACK_NOW;
	return true;
}

/* How many of `len` bytes from here on HF_TCP_EMIT_PIECES pieces can name. */
static uint32_t emit_reach(struct tcp_cursor at, uint32_t len)
{
	uint32_t reach = 0;

	for (uint32_t i = 0; i < HF_TCP_EMIT_PIECES && at.span && reach < len; i++) {
		reach += hf_min_u32(at.span->len - at.off, len - reach);
		at.span = at.span->next;
		at.off = 0;
	}
	return reach;
}

/* Of a run, the segments behind the first. */
static void emit_count_run(struct hf_tcp *tcp, const struct hf_tcp_conn *conn, uint32_t len)
{
	uint32_t more = (len - 1) / conn->mss;

	hf_stat_add(HF_STAT_TCP_SEGS_OUT, more);
	if (!conn->path.cut)
		return;
	HF_ASSERT(more <= tcp->emit_left);
	tcp->emit_left -= more;
}

HF_NOINLINE struct hf_tcp_emit *tcp_emit_segment(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	struct tcp_cursor *at, uint32_t seq, uint32_t len, bool fin)
{
	uint32_t reach = emit_reach(*at, len);
	struct hf_tcp_emit *emit = tcp_emit_acking(tcp, conn, seq);

	if (!emit)
		return NULL;
	if (reach < len) {
		fin = false;
		if (reach > conn->mss)
			reach -= reach % conn->mss; /* a run has no short segment in its midst */
	}
	tcp_emit_pieces(emit, at, reach);
	if (fin)
		emit->flags |= HF_TCP_FIN;
	if (reach > 0 && seq + reach == conn->snd_una + conn->tx->len)
		emit->flags |= HF_TCP_PSH;
	if (reach > conn->mss)
		emit_count_run(tcp, conn, reach);
	return emit;
}

enum hf_drop tcp_emit_cookie(struct hf_tcp *tcp, const struct hf_tcp_seg *seg, uint32_t iss,
	const struct tcp_opts *opts, bool ecn)
{
	struct hf_tcp_emit *emit = tcp_emit_new(tcp);

	if (!emit)
		return hf_drop(HF_DROP_CONN_SYN_QUEUE);
	*emit = (struct hf_tcp_emit){
		.src = seg->dst,
		.dst = seg->src,
		.sport = seg->dport,
		.dport = seg->sport,
		.seq = iss,
		.ack = seg->seq + 1,
		.wnd = (uint16_t)hf_min_u32(tcp->cfg.rcv_wnd_init, UINT16_MAX),
		.flags = HF_TCP_SYN | HF_TCP_ACK | (ecn ? HF_TCP_ECE : 0),
		.mss = opts->mss,
		.path = seg->path,
	};
	emit->opt_len = tcp_opt_build(opts, emit->opt);
	return HF_DROP_NONE;
}

/* RFC 9293 §3.10.7.1 */
void tcp_emit_rst_unknown(struct hf_tcp *tcp, const struct hf_tcp_seg *seg)
{
	uint32_t seg_len =
		seg->payload_len + !!(seg->flags & HF_TCP_SYN) + !!(seg->flags & HF_TCP_FIN);
	bool has_ack = seg->flags & HF_TCP_ACK;
	struct hf_tcp_emit *emit;

	HF_ASSERT(!(seg->flags & HF_TCP_RST));
	emit = tcp_rate_take(tcp, &tcp->resets, TCP_RESETS_PER_S) ? tcp_emit_new(tcp) : NULL;
	if (!emit) {
		hf_stat_inc(HF_STAT_TCP_RESETS_UNSENT);
		return;
	}
	*emit = (struct hf_tcp_emit){
		.src = seg->dst,
		.dst = seg->src,
		.sport = seg->dport,
		.dport = seg->sport,
		.seq = has_ack ? seg->ack : 0,
		.ack = has_ack ? 0 : seg->seq + seg_len,
		.flags = has_ack ? HF_TCP_RST : HF_TCP_RST | HF_TCP_ACK,
		.mss = tcp_pmtu_mss(&seg->src, seg->path.mtu),
		.path = seg->path,
	};
	hf_stat_inc(HF_STAT_TCP_RESET_OUT);
}
