/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who is slow to take what holds up others: a walk through all connections, some at a call. Nothing is
 * measured while nobody asks.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_priv.h"

#define SWEEP_LOOKS 1024 /* at connections and spans, in one call */

/* Less was acknowledged since the round before than it had to be. Marks it for the next round. */
static bool sweep_is_slow(const struct hf_tcp_conn *conn, const struct hf_tcp_sweep *sweep)
{
	struct tcp_tx *tx = conn->tx;
	bool seen = tx->sweep_round == sweep->round - 1;
	uint32_t want = hf_min_u32(sweep->least, tx->sweep_len);
	uint32_t moved = conn->snd_una - tx->sweep_una;

	tx->sweep_round = sweep->round;
	tx->sweep_una = conn->snd_una;
	tx->sweep_len = tx->len;
	return seen && moved < want;
}

static bool sweep_holds(
	const struct hf_tcp_conn *conn, const struct hf_tcp_sweep *sweep, uint32_t *looks)
{
	if (conn->unread_len >= sweep->unread)
		return true;
	for (const struct tcp_span *span = conn->tx->head; span; span = span->next) {
		(*looks)++;
		if (span->ref && sweep->holds(sweep->arg, span->ref))
			return true;
	}
	return false;
}

bool hf_tcp_rx_is_short(const struct hf_tcp *tcp)
{
	return hf_pool_free_count(&tcp->rxbufs) < tcp->rxbufs.count / 8;
}

void *hf_tcp_sweep(struct hf_tcp *tcp, struct hf_tcp_sweep *sweep)
{
	HF_ASSERT(!tcp->in_input);
	HF_ASSERT(sweep->round > 1 && sweep->holds); /* 0: a connection that was never looked at */
	for (uint32_t looks = 0; looks < SWEEP_LOOKS; looks++) {
		struct hf_tcp_conn *conn;

		if (sweep->cursor >= tcp->conns.fresh) {
			sweep->cursor = HF_TCP_SWEEP_END;
			return NULL;
		}
		conn = hf_pool_at(&tcp->conns, sweep->cursor);
		if (!tcp_conn_live(tcp, sweep->cursor++) || !conn->tx ||
			!sweep_is_slow(conn, sweep) || !sweep_holds(conn, sweep, &looks))
			continue;
		if (tcp_has(conn, TCP_F_OWNED))
			return conn->user;
		(void)hf_drop(HF_DROP_CONN_PRESSURE);
		tcp_conn_abandon(tcp, conn, /* rst= */ true);
	}
	return NULL;
}
