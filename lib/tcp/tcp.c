/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcp_conn.h"
#include "tcp_open.h"
#include "tcp_priv.h"
#include "tcp_recv.h"
#include "tcp_send.h"

#define WHEEL_SLOTS 4096
#define CFG_MS_MAX  (1U << 28) /* three days; the wheel reaches that far */

void hf_tcp_cfg_default(struct hf_tcp_cfg *cfg)
{
	*cfg = (struct hf_tcp_cfg){
		.conns_max = 65536,
		.syn_queue_max = 4096,
		.spans_max = 262144,
		.rxbufs_max = 32768,
		.emits_max = 1024,
		.rcv_wnd_init = 262144,
		.rcv_wnd_max = 6291456,
		.send_queue_max = 4194304,
		.msl_ms = 30000,
		.syn_timeout_ms = 20000,
		.user_timeout_ms = 300000, /* twelve tries: one in three lost both ways may last */
		.fin_timeout_ms = 30000,
		.drain_rate = 240,
		.keepalive_ms = 7200000,
		.keepalive_interval_ms = 75000,
		.keepalive_probes = 9,
		.ecn = true,
	};
	hf_random_fill(&cfg->isn_key, sizeof(cfg->isn_key));
	hf_random_fill(&cfg->flow_key, sizeof(cfg->flow_key));
}

static void tcp_cfg_assert(const struct hf_tcp_cfg *cfg)
{
	HF_ASSERT(cfg->conns_max > 0 && cfg->conns_max <= 1U << 28);
	HF_ASSERT(cfg->spans_max > 0);
	HF_ASSERT(cfg->rxbufs_max > 0);
	HF_ASSERT(cfg->emits_max > 0);
	HF_ASSERT(cfg->rcv_wnd_init > 0 && cfg->rcv_wnd_init <= cfg->rcv_wnd_max);
	HF_ASSERT(cfg->rcv_wnd_max <= 1U << 29);
	HF_ASSERT(cfg->send_queue_max > 0 && cfg->send_queue_max <= 1U << 29);
	HF_ASSERT(cfg->msl_ms <= CFG_MS_MAX && cfg->syn_timeout_ms <= CFG_MS_MAX);
	HF_ASSERT(cfg->user_timeout_ms <= CFG_MS_MAX && cfg->fin_timeout_ms <= CFG_MS_MAX);
	HF_ASSERT(cfg->keepalive_ms <= CFG_MS_MAX && cfg->keepalive_interval_ms <= CFG_MS_MAX);
	HF_ASSERT(cfg->keepalive_probes < UINT8_MAX);
}

/* Arrays of records for connections with many segments in flight: who gets none sends less at once. */
static bool tcp_alloc_records(struct hf_tcp *tcp)
{
	uint32_t conns = tcp->cfg.conns_max;

	return tcp_flight_pools_init(
		       &tcp->records, hf_min_u32(conns, 16384), hf_min_u32(conns, 1024)) == 0;
}

static bool tcp_alloc(struct hf_tcp *tcp, uint64_t now_us)
{
	const struct hf_tcp_cfg *cfg = &tcp->cfg;
	uint32_t buckets = (uint32_t)hf_pow2_ceil(cfg->conns_max);

	tcp->bucket_mask = buckets - 1;
	tcp->bucket = calloc(buckets, sizeof(struct hf_tcp_conn *));
	tcp->live = calloc((cfg->conns_max + 63) / 64, sizeof(*tcp->live));
	tcp->emit = calloc(cfg->emits_max, sizeof(*tcp->emit));
	tcp->wheel = hf_wheel_new(WHEEL_SLOTS, now_us);
	return tcp->bucket && tcp->live && tcp->emit && tcp->wheel &&
	       hf_pool_init(&tcp->conns, sizeof(struct hf_tcp_conn), cfg->conns_max) == 0 &&
	       hf_pool_init(&tcp->txs, sizeof(struct tcp_tx), cfg->conns_max) == 0 &&
	       hf_pool_init(&tcp->spans, sizeof(struct tcp_span), cfg->spans_max) == 0 &&
	       hf_pool_init(&tcp->rxbufs, sizeof(struct tcp_rxbuf), cfg->rxbufs_max) == 0 &&
	       tcp_alloc_records(tcp);
}

static void tcp_lists_init(struct hf_tcp *tcp)
{
	tcp_list_init(&tcp->ready, &tcp->conns, offsetof(struct hf_tcp_conn, ready));
	tcp_list_init(&tcp->events, &tcp->conns, offsetof(struct hf_tcp_conn, event));
	for (int i = 0; i < TCP_PLACE_COUNT; i++)
		tcp_list_init(&tcp->place[i], &tcp->conns, offsetof(struct hf_tcp_conn, placed));
}

int hf_tcp_new(const struct hf_tcp_cfg *cfg, uint64_t now_us, struct hf_tcp **ret_tcp)
{
	struct hf_tcp *tcp = calloc(1, sizeof(*tcp));

	tcp_cfg_assert(cfg);
	if (!tcp)
		return -ENOMEM;
	tcp->cfg = *cfg;
	tcp->emit_left = cfg->emits_max;
	tcp_now_set(tcp, now_us);
	/* what is shed is free only when the application has heard of it */
	tcp->conns_low = hf_min_u32(64, cfg->conns_max / 16);
	/* a window's worth of full buffers, twice */
	tcp->ooo_max = 2 * (cfg->rcv_wnd_max / TCP_RXBUF_BYTES) + 8;
	tcp->spans_low = hf_min_u32(64, cfg->spans_max / 4);
	tcp->spans_reserve = tcp->spans_low + cfg->spans_max / 8;
	if (!tcp_alloc(tcp, now_us)) {
		hf_tcp_free(tcp);
		return -ENOMEM;
	}
	tcp_lists_init(tcp);
	hf_pool_no_dump(&tcp->rxbufs);
	*ret_tcp = tcp;
	return 0;
}

void hf_tcp_free(struct hf_tcp *tcp)
{
	if (!tcp)
		return;
	for (uint32_t i = 0; tcp->live && i < tcp->conns.fresh; i++) {
		if (tcp_conn_live(tcp, i))
			tcp_conn_abandon(tcp, hf_pool_at(&tcp->conns, i), /* rst= */ false);
	}
	hf_tcp_emits_done(tcp);
	hf_pool_fini(&tcp->conns);
	hf_pool_fini(&tcp->txs);
	hf_pool_fini(&tcp->spans);
	hf_pool_fini(&tcp->rxbufs);
	tcp_flight_pools_fini(&tcp->records);
	hf_wheel_free(tcp->wheel);
	free(tcp->bucket);
	free(tcp->live);
	free(tcp->emit);
	free(tcp);
}

bool tcp_rate_take(struct hf_tcp *tcp, struct tcp_rate *rate, uint32_t per_s)
{
	uint64_t second = tcp->now_us / 1000000;

	if (second != rate->second) {
		uint64_t seen[2] = { second, (uint64_t)(uintptr_t)rate };

		rate->second = second;
		rate->left = per_s +
			     (uint32_t)(hf_siphash(&tcp->cfg.isn_key, seen, sizeof(seen)) % per_s);
	}
	if (rate->left == 0)
		return false;
	rate->left--;
	return true;
}

int hf_tcp_listen(struct hf_tcp *tcp, uint16_t port)
{
	HF_ASSERT(port != 0);
	if (tcp->listener_count == TCP_LISTENERS_MAX)
		return -ENOSPC;
	tcp->listener[tcp->listener_count++] = port;
	return 0;
}

void hf_tcp_listen_stop(struct hf_tcp *tcp)
{
	tcp->draining = true;
}

void hf_tcp_drain_rate_set(struct hf_tcp *tcp, uint32_t drain_rate)
{
	tcp->cfg.drain_rate = drain_rate;
}

/* What no connection and no listener need look at. */
static enum hf_drop tcp_input_refuse(const struct hf_tcp_seg *seg)
{
	const uint8_t flags = seg->flags;

	if (seg->sport == 0 || seg->dport == 0)
		return HF_DROP_TCP_BAD_PORT;
	if (seg->opt_len > HF_TCP_OPT_MAX || seg->payload_len > TCP_PAYLOAD_MAX)
		return HF_DROP_TCP_BAD_HEADER;
	if (!(flags & (HF_TCP_SYN | HF_TCP_RST | HF_TCP_ACK)) ||
		((flags & HF_TCP_SYN) && (flags & (HF_TCP_FIN | HF_TCP_RST))))
		return HF_DROP_TCP_BAD_FLAGS;
	/* LAND: nobody speaks to itself through us */
	if (seg->sport == seg->dport && memcmp(&seg->src, &seg->dst, sizeof(seg->src)) == 0)
		return HF_DROP_TCP_BAD_PORT;
	return HF_DROP_NONE;
}

int hf_tcp_input(struct hf_tcp *tcp, const struct hf_tcp_seg *seg, uint64_t now_us)
{
	enum hf_drop drop = tcp_input_refuse(seg);
	struct hf_tcp_conn *conn;

	HF_ASSERT(!tcp->in_input);
	HF_ASSERT(!tcp->cur.conn);
	tcp->in_input = true;
	tcp_now_set(tcp, now_us);
	if (drop != HF_DROP_NONE)
		return hf_drop(drop);
	conn = tcp_demux_find(tcp, &seg->src, &seg->dst, seg->sport, seg->dport);
	drop = conn ? tcp_in_conn(tcp, conn, seg) : tcp_demux_unknown(tcp, seg, NULL);
	if (drop == HF_DROP_NONE)
		hf_stat_inc(HF_STAT_TCP_SEGS_IN);
	return drop;
}

void hf_tcp_input_end(struct hf_tcp *tcp)
{
	struct hf_tcp_conn *conn = tcp->cur.conn;

	HF_ASSERT(tcp->in_input);
	tcp->in_input = false;
	if (!conn)
		return;
	/* else there is nothing left of it: nothing to keep, nothing that waits for it */
	if (tcp->cur.len > 0 || tcp->cur.after_head || conn->ooo || tcp_has(conn, TCP_F_RCV_FIN))
		tcp_rx_keep(tcp, conn);
	tcp->cur.conn = NULL;
	tcp_output(tcp, conn);
}

bool hf_tcp_next_event(struct hf_tcp *tcp, struct hf_tcp_event *ret_event)
{
	struct hf_tcp_conn *conn = tcp->event ? tcp->event : tcp_list_first(&tcp->events);

	if (!conn)
		return false;
	HF_ASSERT(conn->ev_what != 0);
	*ret_event = (struct hf_tcp_event){ conn, conn->user, conn->ev_what };
	tcp_conn_untell(tcp, conn, UINT32_MAX);
	if (conn->state == TCP_CLOSED)
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
	return true;
}

void hf_tcp_flush(struct hf_tcp *tcp, uint64_t now_us)
{
	tcp_now_set(tcp, now_us);
	/* each once: what a connection has left over goes behind the others */
	for (uint32_t n = tcp->ready.count; n > 0; n--) {
		struct hf_tcp_conn *conn = tcp_list_first(&tcp->ready);

		if (!conn || tcp->emit_left == 0)
			return;
		tcp_output(tcp, conn);
	}
}

uint32_t hf_tcp_emits(struct hf_tcp *tcp, const struct hf_tcp_emit **ret_emits)
{
	*ret_emits = tcp->emit;
	return tcp->emit_count;
}

void hf_tcp_emits_done(struct hf_tcp *tcp)
{
	const struct hf_tcp_emit *emits_end = tcp->emit + tcp->emit_count;

	for (const struct hf_tcp_emit *emit = tcp->emit; emit < emits_end; emit++) {
		const struct hf_tcp_piece *end = emit->piece + emit->piece_count;

		for (const struct hf_tcp_piece *piece = emit->piece; piece < end; piece++) {
			if (piece->ref)
				hf_ref_put(piece->ref);
		}
	}
	tcp->emit_count = 0;
	tcp->emit_left = tcp->cfg.emits_max;
}

uint64_t hf_tcp_next_timer_us(const struct hf_tcp *tcp)
{
	return tcp->ready.count == 0 ? hf_wheel_next_us(tcp->wheel) : tcp->now_us;
}

void hf_tcp_user_set(struct hf_tcp_conn *conn, void *user)
{
	conn->user = user;
}

void hf_tcp_deadline_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint64_t after_us)
{
	if (conn->state == TCP_CLOSED)
		return;
	HF_ASSERT(tcp_has(conn, TCP_F_OWNED));
	tcp_conn_untell(tcp, conn, HF_TCP_EV_DEADLINE);
	if (after_us == 0)
		tcp_due_clear(conn, TCP_DUE_APP);
	else
		tcp_due_set(tcp, conn, TCP_DUE_APP, after_us);
}

void hf_tcp_idle_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, bool idle)
{
	if (conn->state == TCP_CLOSED)
		return;
	HF_ASSERT(tcp_has(conn, TCP_F_OWNED));
	if (idle)
		tcp_conn_place(tcp, conn, TCP_PLACE_IDLE);
	else if (conn->place == TCP_PLACE_IDLE)
		tcp_conn_place(tcp, conn, TCP_PLACE_NONE);
}

void *hf_tcp_idle_oldest(const struct hf_tcp *tcp)
{
	const struct hf_tcp_conn *conn = tcp_list_first(&tcp->place[TCP_PLACE_IDLE]);

	return conn ? conn->user : NULL;
}

void hf_tcp_close(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->state == TCP_CLOSED) { /* its event was not fetched yet */
		tcp_conn_abandon(tcp, conn, /* rst= */ false);
		return;
	}
	HF_ASSERT(tcp_has(conn, TCP_F_OWNED));
	tcp_trace(tcp, conn, HF_TCP_TRACE_CLOSE, 0);
	if (conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED ||
		!tcp_send_tx(tcp, conn)) {
		tcp_conn_abandon(tcp, conn, /* rst= */ conn->state != TCP_SYN_SENT);
		return;
	}
	tcp_conn_disown(tcp, conn);
	tcp_rx_drop_all(tcp, conn);
	conn->flags |= TCP_F_FIN_QUEUED;
	conn->state = conn->state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : TCP_LAST_ACK;
	conn->progress_ms = tcp_now_ms(tcp);
	conn->tx->drain_una = conn->snd_una;
	tcp_conn_place(tcp, conn, TCP_PLACE_CLOSED);
	tcp_due_set(tcp, conn, TCP_DUE_STATE, TCP_DRAIN_PERIOD_US);
	tcp_conn_ready(tcp, conn);
}

void hf_tcp_abort(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	HF_ASSERT(conn->state == TCP_CLOSED || tcp_has(conn, TCP_F_OWNED));
	tcp_conn_abandon(tcp, conn,
		/* rst= */ conn->state != TCP_CLOSED && conn->state != TCP_SYN_SENT);
}
