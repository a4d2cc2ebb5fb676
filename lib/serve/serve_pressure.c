/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Pressure: readers keep nearly all of the cache's memory, or of this worker's exchanges or buffers.
 * Then those who read slowly what others wait for are reset, the slowest first: what must be taken in a round,
 * of a second, doubles from round to round until the pressure is gone. Without it only http.body_rate counts.
 */
#include "hf_serve.h"

#include "serve_priv.h"

#define PRESSURE_ROUND_US  1000000
#define PRESSURE_STEP_US   1000 /* between two looks: what was reset has its effect first */
#define PRESSURE_RESETS    8    /* in one look */
#define PRESSURE_LEAST     256
#define PRESSURE_LEAST_MAX (1U << 30)

bool serve_exchanges_short(const struct hf_serve *serve)
{
	uint32_t max = serve->conf->origin.exchanges_max;

	return hf_xchg_out_count(serve->xchgs, serve->worker) >= max - max / 8;
}

static bool pressure_is_on(const struct hf_serve *serve)
{
	const struct hf_pool *txbufs = &serve->txbuf_pool;

	return hf_cache_is_short(serve->cache) || serve_exchanges_short(serve) ||
	       hf_tcp_rx_is_short(serve->tcp) || txbufs->used >= txbufs->count - txbufs->count / 8;
}

static bool pressure_holds(void *arg, const struct hf_ref *ref)
{
	const struct hf_pool *txbufs = &((const struct hf_serve *)arg)->txbuf_pool;

	return hf_lease_is_recalled(ref) || serve_ref_is_xchg(ref) ||
	       (txbufs->used > txbufs->count / 2 && serve_ref_is_txbuf(ref));
}

/* The first round finds out how far everybody is. */
static void pressure_begin(struct hf_serve *serve)
{
	uint64_t least = hf_max_u64(PRESSURE_LEAST, serve->conf->http.body_rate);

	serve->sweep = (struct hf_tcp_sweep){ .holds = pressure_holds,
		.arg = serve,
		.round = serve->sweep.round + 2,
		.least = (uint32_t)hf_min_u64(least, PRESSURE_LEAST_MAX) / 2 };
	serve->sweep_round_us = serve->now_us + PRESSURE_ROUND_US;
	serve->sweep_step_us = serve->now_us;
	serve->sweep_on = true;
}

static void pressure_round(struct hf_serve *serve)
{
	struct hf_tcp_sweep *sweep = &serve->sweep;

	if (sweep->cursor != HF_TCP_SWEEP_END || serve->now_us < serve->sweep_round_us)
		return;
	sweep->cursor = 0;
	sweep->round++;
	sweep->least = hf_min_u32(2 * sweep->least, PRESSURE_LEAST_MAX);
	serve->sweep_round_us = serve->now_us + PRESSURE_ROUND_US;
}

void serve_pressure(struct hf_serve *serve)
{
	struct serve_conn *conn;

	if (hf_likely(!pressure_is_on(serve))) {
		serve->sweep_on = false;
		return;
	}
	if (!serve->sweep_on)
		pressure_begin(serve);
	if (serve->now_us < serve->sweep_step_us)
		return;
	serve->sweep_step_us = serve->now_us + PRESSURE_STEP_US;
	pressure_round(serve);
	serve->sweep.unread = hf_tcp_rx_is_short(serve->tcp) ? 1 : UINT32_MAX;
	for (uint32_t i = 0; i < PRESSURE_RESETS && pressure_is_on(serve); i++) {
		conn = hf_tcp_sweep(serve->tcp, &serve->sweep);
		if (!conn)
			return;
		(void)serve_conn_abort(serve, conn, HF_DROP_CONN_PRESSURE);
	}
}
