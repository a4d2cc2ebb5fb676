/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Pressure: readers keep nearly all of the cache's memory, or nearly all of this worker's exchanges or
 * buffers are out. Then those who read slowly what is short are reset, the slowest first: what must be taken
 * in a round, of a second, doubles from round to round until the pressure is gone. It ends at SERVE_RATE_SHORT
 * but for memory: that readers alone keep, while exchanges and buffers may be with those who wait for
 * origins, and to reset who reads would not help. Without pressure only http.body_rate counts.
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
	return hf_cache_is_short(serve->cache) || serve_exchanges_short(serve) ||
	       hf_tcp_rx_is_short(serve->tcp) || serve_txbufs_short(serve);
}

static bool pressure_holds(void *arg, const struct hf_ref *ref)
{
	const struct hf_serve *serve = arg;

	if (serve_ref_is_txbuf(ref))
		return serve_txbufs_short(serve);
	if (serve_ref_is_xchg(ref) && serve_exchanges_short(serve))
		return true;
	return hf_cache_is_short(serve->cache) &&
	       (serve_ref_is_xchg(ref) || hf_lease_is_recalled(ref));
}

static uint32_t pressure_least(const struct hf_serve *serve, uint32_t least)
{
	uint32_t most = hf_cache_is_short(serve->cache) ? PRESSURE_LEAST_MAX : SERVE_RATE_SHORT;

	return hf_min_u32(least, hf_max_u32(most, serve->conf->http.body_rate));
}

/* The first round finds out how far everybody is. */
static void pressure_begin(struct hf_serve *serve)
{
	serve->sweep = (struct hf_tcp_sweep){ .holds = pressure_holds,
		.arg = serve,
		.round = serve->sweep.round + 2,
		.least = hf_max_u32(PRESSURE_LEAST, serve->conf->http.body_rate) / 2 };
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
	sweep->least = pressure_least(serve, 2 * sweep->least);
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
