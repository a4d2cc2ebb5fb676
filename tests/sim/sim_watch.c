/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Eyes on one end of ours: all that arrives there and all that it sends, and a model of what that
 * must be. Every byte, ACK, window, SACK block, timestamp and ECN bit.
 *
 * Limits    Of what hf_tcp_input dropped with a reason the model does not know how much counted: what
 *           follows from it may be so or so until the next segment that tells.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp_sim.h"

#define OFFERS       8
#define IW_MAX       10
#define MSS_FLOOR    88
#define PMTU_MIN4    552
#define PMTU_MIN6    1280
#define TS_OTHERS    8
#define PMTU_KEEP_US 590000000ULL /* ten minutes, nearly */

/* What a SYN or SYN-ACK said. */
struct watch_syn {
	uint32_t seq;
	uint32_t wnd;
	struct sim_opts opts;
	uint8_t flags;
};

enum watch_ece { ECE_OFF, ECE_ON, ECE_EITHER };

struct sim_watch {
	struct sim *sim;
	struct sim_flow *flow;
	uint32_t end;
	/* handshake: a listener's cookies may have several sequence numbers */
	struct watch_syn offer[OFFERS], heard;
	uint32_t offer_count;
	bool has_heard, up;
	/* agreed */
	bool ts, sack, ecn;
	uint8_t in_shift, out_shift;
	uint32_t mss, iss, irs;
	/* sent */
	uint32_t snd_una, snd_max, snd_new; /* snd_new: without window probes */
	uint32_t ack, right;
	uint32_t ts_val;
	bool fin_sent;
	uint64_t data_sent, resent;
	/* received */
	uint8_t *got; /* a byte for each of the stream, and one for the FIN */
	uint32_t got_next, rcv_max, edge;
	uint32_t acks;      /* without data, or with SACK: they let more out */
	uint32_t ts_recent; /* or one of the others */
	uint32_t ts_other[TS_OTHERS], ts_others;
	enum watch_ece ece;
	bool block_due; /* the next ACK's first block holds block_seq */
	uint32_t block_seq;
	uint32_t pmtu;
	uint64_t pmtu_us;
};

static uint32_t watch_room(const struct sim_watch *w)
{
	return w->flow->space[1 - w->end] + 1;
}

struct sim_watch *sim_watch_new(struct sim *sim, struct sim_flow *flow, uint32_t end)
{
	struct sim_watch *w = calloc(1, sizeof(*w));

	HF_ASSERT(w);
	w->sim = sim;
	w->flow = flow;
	w->end = end;
	w->pmtu = SIM_MTU;
	w->got = calloc(1, watch_room(w));
	HF_ASSERT(w->got);
	return w;
}

void sim_watch_free(struct sim_watch *w)
{
	if (!w)
		return;
	free(w->got);
	free(w);
}

bool sim_watch_seqs(const struct sim_watch *w, uint32_t *ret_rcv_max, uint32_t *ret_snd_una,
	uint32_t *ret_snd_max)
{
	if (!w->up)
		return false;
	*ret_rcv_max = w->rcv_max;
	*ret_snd_una = w->snd_una;
	*ret_snd_max = w->snd_max;
	return true;
}

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

#define WATCH(w, c, ...)                                                                           \
	do {                                                                                       \
		if (!(c))                                                                          \
			watch_fail((w), __VA_ARGS__);                                              \
	} while (0)

HF_PRINTF(2, 3) static void watch_fail(const struct sim_watch *w, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sim_fail(w->sim, "flow %u end %u: %s", w->flow->index, w->end, text);
}

static void watch_up(struct sim_watch *w, const struct watch_syn *own)
{
	const struct sim_opts *a = &own->opts, *b = &w->heard.opts;
	bool scaled = a->wscale >= 0 && b->wscale >= 0;
	uint32_t mss_default = w->flow->ip6 ? 1220 : 536;

	w->up = true;
	w->ts = a->ts && b->ts;
	w->sack = a->sack_ok && b->sack_ok;
	w->ecn = (own->flags & HF_TCP_ECE) && (w->heard.flags & HF_TCP_ECE);
	w->out_shift = scaled ? (uint8_t)a->wscale : 0;
	w->in_shift = scaled ? (uint8_t)b->wscale : 0;
	w->mss = hf_max_u32(b->mss ? b->mss : mss_default, MSS_FLOOR);
	w->iss = own->seq;
	w->irs = w->heard.seq;
	w->snd_una = w->snd_max = w->snd_new = w->iss + 1;
	w->edge = w->iss + 1 + w->heard.wnd;
	w->ack = w->rcv_max = w->irs + 1;
	w->right = w->ack + own->wnd;
	w->ts_val = a->ts_val;
	w->ts_recent = b->ts_val;
}

static void watch_in_syn(struct sim_watch *w, const struct sim_seg *seg)
{
	bool answers =
		(seg->flags & HF_TCP_ACK) && w->offer_count > 0 && seg->ack == w->offer[0].seq + 1;
	bool twice = w->has_heard; /* of a simultaneous open, both its SYN and its SYN-ACK */
	uint32_t ts_val = w->heard.opts.ts_val;

	if (w->up || ((seg->flags & HF_TCP_ACK) && !answers))
		return;
	w->heard = (struct watch_syn){ .seq = seg->seq, .wnd = seg->wnd, .flags = seg->flags };
	if (!sim_opts_parse(seg->opt, seg->opt_len, &w->heard.opts))
		sim_fail(w->sim, "malformed options in a SYN");
	w->has_heard = true;
	if (answers)
		watch_up(w, &w->offer[0]);
	if (answers && twice)
		w->ts_other[w->ts_others++] = ts_val;
}

/* The bytes that are here, wherever they are. */
static void watch_in_text(struct sim_watch *w, const struct sim_seg *seg)
{
	uint32_t off = seg->seq - w->irs - 1;
	uint32_t len = seg->len + ((seg->flags & HF_TCP_FIN) != 0);
	uint32_t room = watch_room(w);
	const uint8_t *hole;

	if (len == 0 || off >= room)
		return;
	memset(w->got + off, 1, hf_min_u32(len, room - off));
	if (after(seg->seq + len, w->rcv_max))
		w->rcv_max = seg->seq + len;
	hole = memchr(w->got + w->got_next, 0, room - w->got_next);
	w->got_next = hole ? (uint32_t)(hole - w->got) : room;
}

void sim_watch_in(struct sim_watch *w, const struct sim_seg *seg)
{
	struct sim_opts opts;
	uint32_t edge;

	if (seg->flags & HF_TCP_RST)
		return;
	if (seg->flags & HF_TCP_SYN) {
		watch_in_syn(w, seg);
		return;
	}
	for (uint32_t i = 0; !w->up && w->has_heard && i < hf_min_u32(w->offer_count, OFFERS);
		i++) {
		if (seg->ack == w->offer[i].seq + 1)
			watch_up(w, &w->offer[i]);
	}
	if (!w->up)
		return;
	w->acks += seg->len == 0;
	if (w->sack && sim_opts_parse(seg->opt, seg->opt_len, &opts))
		w->acks += 2 * opts.block_count;
	edge = seg->ack + ((uint32_t)seg->wnd << w->in_shift);
	if (after(edge, w->edge))
		w->edge = edge;
	if (after(seg->ack, w->snd_una) && !after(seg->ack, w->snd_max))
		w->snd_una = seg->ack;
	watch_in_text(w, seg);
}

/* RFC 7323 §4.3 */
static void watch_took_ts(struct sim_watch *w, const struct sim_seg *seg, bool taken)
{
	struct sim_opts opts;

	if (!w->ts || !sim_opts_parse(seg->opt, seg->opt_len, &opts) || !opts.ts ||
		after(seg->seq, w->ack) || after(w->ts_recent, opts.ts_val))
		return;
	if (taken) {
		w->ts_recent = opts.ts_val;
		w->ts_others = 0;
	} else {
		w->ts_other[w->ts_others++ % TS_OTHERS] = opts.ts_val;
	}
}

/* RFC 3168 §6.1.3 */
static void watch_took_ecn(struct sim_watch *w, const struct sim_seg *seg, bool taken)
{
	enum watch_ece ece = w->ece;

	if (!w->ecn)
		return;
	if (seg->flags & HF_TCP_CWR)
		ece = ECE_OFF;
	if (seg->ecn == HF_TCP_ECN_CE)
		ece = ECE_ON;
	if (ece != w->ece)
		w->ece = taken ? ece : ECE_EITHER;
}

void sim_watch_took(struct sim_watch *w, const struct sim_seg *seg, int drop)
{
	bool taken = drop == 0;

	if (!w->up || (seg->flags & (HF_TCP_SYN | HF_TCP_RST)))
		return;
	watch_took_ts(w, seg, taken);
	watch_took_ecn(w, seg, taken);
	if (seg->len == 0)
		return;
	w->block_due = w->sack && taken && after(seg->seq, w->irs + 1 + w->got_next);
	w->block_seq = seg->seq;
}

void sim_watch_too_big(struct sim_watch *w, uint32_t mtu)
{
	uint32_t least = w->flow->ip6 ? PMTU_MIN6 : PMTU_MIN4;

	if (mtu == 0)
		return;
	w->pmtu = hf_min_u32(w->pmtu, hf_max_u32(mtu, least));
	w->pmtu_us = w->sim->now_us;
}

static void watch_out_syn(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	struct watch_syn syn = { .seq = emit->seq, .wnd = emit->wnd, .flags = emit->flags };
	bool answer = emit->flags & HF_TCP_ACK;

	WATCH(w, sim_opts_parse(emit->opt, emit->opt_len, &syn.opts), "malformed options in a SYN");
	WATCH(w, emit->len == 0 && !(emit->flags & HF_TCP_FIN), "data or FIN in a SYN");
	WATCH(w, emit->ecn == HF_TCP_ECN_NOT_ECT, "ECT on a SYN (RFC 3168 §6.1.1)");
	WATCH(w, syn.opts.mss > 0, "no MSS in a SYN");
	if (w->up)
		return;
	if (answer) {
		WATCH(w, w->has_heard && emit->ack == w->heard.seq + 1, "SYN-ACK for no SYN");
		WATCH(w, syn.opts.wscale < 0 || w->heard.opts.wscale >= 0,
			"window scale unasked (RFC 7323 §2.2)");
		WATCH(w, !syn.opts.ts || w->heard.opts.ts, "timestamp unasked (RFC 7323 §3.2)");
		WATCH(w, !syn.opts.sack_ok || w->heard.opts.sack_ok, "SACK unasked");
		WATCH(w, !syn.opts.ts || syn.opts.ts_ecr == w->heard.opts.ts_val, "TSecr of a SYN");
		WATCH(w, !(emit->flags & HF_TCP_ECE) || (w->heard.flags & HF_TCP_ECE),
			"ECE unasked");
	}
	for (uint32_t i = 0; i < hf_min_u32(w->offer_count, OFFERS); i++) {
		if (w->offer[i].seq == syn.seq) {
			w->offer[i] = syn;
			return;
		}
	}
	w->offer[w->offer_count++ % OFFERS] = syn;
}

static void watch_bytes(struct sim_watch *w, const struct hf_tcp_emit *emit, uint32_t off)
{
	for (uint32_t i = 0, at = off; i < emit->piece_count; i++) {
		const struct hf_tcp_piece *piece = &emit->piece[i];

		WATCH(w, sim_bytes_same(w->flow, w->end, at, piece->data, piece->len),
			"wrong bytes sent from %u on", at);
		at += piece->len;
	}
}

/* Data or a FIN. */
static void watch_out_text(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	bool fin = emit->flags & HF_TCP_FIN;
	uint32_t off = emit->seq - w->iss - 1;
	uint32_t end = emit->seq + emit->len + fin;
	bool old = after(w->snd_new, emit->seq);
	bool probe = emit->len == 1 && !fin;

	WATCH(w, off + emit->len <= w->flow->len[w->end], "bytes behind the end: %u", off);
	WATCH(w, !fin || off + emit->len == w->flow->len[w->end], "FIN at %u", off + emit->len);
	WATCH(w, !w->fin_sent || !after(end, w->snd_max), "something behind a FIN");
	WATCH(w, !after(emit->seq, w->snd_max), "a hole in what is sent: %u", off);
	if (w->sim->failed)
		return;
	watch_bytes(w, emit, off);
	WATCH(w, !after(end - fin, w->edge) || probe, "window ignored: %u > %u", end - w->iss - 1,
		w->edge - w->iss - 1);
	WATCH(w, !after(end - fin, w->edge + 1), "probe far beyond the window");
	/* one more for a tail loss probe (RFC 8985 §7.3) */
	WATCH(w,
		w->snd_una != w->iss + 1 || w->acks > 1 ||
			end - w->iss - 1 <= IW_MAX * 1460 + w->mss + 1,
		"initial window of %u bytes (RFC 6928)", end - w->iss - 1);
	WATCH(w, emit->ecn == HF_TCP_ECN_NOT_ECT || (w->ecn && !after(w->snd_max, emit->seq)),
		"ECT on a retransmission or unasked (RFC 3168 §6.1.5)");
	w->fin_sent |= fin;
	w->data_sent += emit->len;
	if (old && !probe && !w->flow->excuse) {
		w->resent += emit->len;
		WATCH(w, !w->sim->clean, "sent again on a clean link: %u bytes at %u", emit->len,
			off);
	}
	if (after(end, w->snd_max))
		w->snd_max = end;
	if (after(end, w->snd_new) && !after(end - fin, w->edge))
		w->snd_new = end;
}

static void watch_out_size(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	uint32_t head = (w->flow->ip6 ? 40U : 20U) + 20U + emit->opt_len;
	uint32_t payload = hf_min_u32(emit->len, emit->mss);

	WATCH(w, payload == 0 || payload + emit->opt_len <= w->mss,
		"%u bytes and %u of options in a segment, MSS %u (RFC 6691)", payload,
		emit->opt_len, w->mss);
	WATCH(w, head + payload <= SIM_MTU, "a packet of %u bytes", head + payload);
	WATCH(w,
		emit->may_fragment || head + payload <= w->pmtu ||
			w->sim->now_us - w->pmtu_us > PMTU_KEEP_US,
		"a packet of %u bytes, path MTU %u", head + payload, w->pmtu);
}

static void watch_out_ack(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	uint32_t right = emit->ack + ((uint32_t)emit->wnd << w->out_shift);

	WATCH(w, emit->ack - w->irs - 1 <= w->got_next, "acknowledges %u, has %u",
		emit->ack - w->irs - 1, w->got_next);
	WATCH(w, !after(w->ack, emit->ack), "acknowledges less than before");
	/* but for the unit of the scale: RFC 7323 §2.4 */
	WATCH(w, !after(w->right, right + (1U << w->out_shift) - 1), "window taken back by %u",
		w->right - right);
	w->ack = emit->ack;
	if (after(right, w->right))
		w->right = right;
}

static void watch_out_ts(struct sim_watch *w, const struct sim_opts *opts)
{
	bool known;

	WATCH(w, opts->ts == w->ts, "timestamp %s (RFC 7323 §3.2)", w->ts ? "missing" : "unasked");
	if (!opts->ts || !w->ts)
		return;
	WATCH(w, !after(w->ts_val, opts->ts_val), "TSval goes back by %u",
		w->ts_val - opts->ts_val);
	known = opts->ts_ecr == w->ts_recent;
	for (uint32_t i = 0; i < hf_min_u32(w->ts_others, TS_OTHERS); i++)
		known |= opts->ts_ecr == w->ts_other[i];
	WATCH(w, known, "TSecr %u, expected %u (RFC 7323 §4.3)", opts->ts_ecr, w->ts_recent);
	w->ts_val = opts->ts_val;
	w->ts_recent = opts->ts_ecr;
	w->ts_others = 0;
}

static bool watch_has(const struct sim_watch *w, uint32_t start, uint32_t end)
{
	uint32_t off = start - w->irs - 1, len = end - start;

	return off < watch_room(w) && len <= watch_room(w) - off && !memchr(w->got + off, 0, len);
}

static bool watch_block_in(const struct sim_opts *opts, uint32_t i, uint32_t start, uint32_t end)
{
	return !after(opts->block[i].start, start) && !after(end, opts->block[i].end);
}

/* RFC 2018 §4, RFC 2883 §4 */
static void watch_out_sacks(
	struct sim_watch *w, const struct hf_tcp_emit *emit, const struct sim_opts *opts)
{
	uint32_t first = 0; /* that is no DSACK */

	WATCH(w, w->sack || opts->block_count == 0, "SACK unasked");
	for (uint32_t i = 0; i < opts->block_count && !w->sim->failed; i++) {
		uint32_t start = opts->block[i].start, end = opts->block[i].end;
		bool dup = !after(end, emit->ack) ||
			   (i == 0 && opts->block_count > 1 && watch_block_in(opts, 1, start, end));

		WATCH(w, after(end, start), "empty SACK block");
		/* an attacker's old bytes are duplicates, too */
		WATCH(w, watch_has(w, start, end) || (dup && w->sim->link.forge > 0),
			"SACK block of what never came: %u to %u", start - w->irs - 1,
			end - w->irs - 1);
		WATCH(w, !dup || i == 0, "DSACK in block %u", i);
		WATCH(w, dup || after(start, emit->ack), "SACK block touches the ACK");
		for (uint32_t k = first; k < i; k++)
			WATCH(w,
				after(start, opts->block[k].end) ||
					after(opts->block[k].start, end),
				"SACK blocks %u and %u touch", k, i);
		first += dup;
	}
	/* a DSACK may be of an earlier segment, and its block goes first */
	if (w->block_due && opts->block_count > first)
		WATCH(w,
			watch_block_in(opts, first, w->block_seq, w->block_seq + 1) ||
				(first > 0 && opts->block_count > 2 &&
					watch_block_in(opts, 2, w->block_seq, w->block_seq + 1)),
			"the first SACK block does not hold the latest segment");
	w->block_due = false;
}

static void watch_out_ecn(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	bool ece = emit->flags & HF_TCP_ECE;

	WATCH(w, w->ecn || !(emit->flags & (HF_TCP_ECE | HF_TCP_CWR)), "ECE or CWR unasked");
	WATCH(w, emit->len > 0 || emit->ecn == HF_TCP_ECN_NOT_ECT, "ECT on a pure ACK");
	WATCH(w, emit->len > 0 || !(emit->flags & HF_TCP_CWR), "CWR on a pure ACK");
	if (w->ecn && w->ece != ECE_EITHER)
		WATCH(w, ece == (w->ece == ECE_ON), "ECE is %d (RFC 3168 §6.1.3)", ece);
	if (w->ecn)
		w->ece = ece ? ECE_ON : ECE_OFF;
}

void sim_watch_out(struct sim_watch *w, const struct hf_tcp_emit *emit)
{
	struct sim_opts opts;

	if (emit->flags & HF_TCP_RST)
		return;
	if (emit->flags & HF_TCP_SYN) {
		watch_out_syn(w, emit);
		return;
	}
	WATCH(w, emit->flags & HF_TCP_ACK, "no ACK");
	WATCH(w, sim_opts_parse(emit->opt, emit->opt_len, &opts), "malformed options");
	WATCH(w, w->up || emit->len == 0, "data before the handshake");
	if (!w->up || w->sim->failed)
		return;
	watch_out_ack(w, emit);
	watch_out_size(w, emit);
	watch_out_ts(w, &opts);
	watch_out_sacks(w, emit, &opts);
	watch_out_ecn(w, emit);
	if (emit->len > 0 || (emit->flags & HF_TCP_FIN))
		watch_out_text(w, emit);
	else
		WATCH(w, !after(emit->seq, w->snd_max) && !after(w->iss, emit->seq), "an ACK at %u",
			emit->seq - w->iss - 1);
}
