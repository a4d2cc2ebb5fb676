/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bursts. What a device refuses waits in a ring of its queue, first in, first out.
 */
#include "hf_port.h"

#include <rte_cycles.h>

#include "hf_stat.h"

#include "port_priv.h"

uint16_t hf_port_rx(struct hf_port *port, uint16_t queue, struct rte_mbuf **ret_mbufs, uint16_t max)
{
	uint64_t bytes = 0;
	uint16_t n;

	HF_ASSERT_HOT(queue < port->queues && port->started);
	n = rte_eth_rx_burst(port->port_id, queue, ret_mbufs, max);
	if (n == 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(ret_mbufs[i], void *));
		bytes += ret_mbufs[i]->pkt_len;
	}
	hf_stat_add(HF_STAT_RX_PACKETS, n);
	hf_stat_add(HF_STAT_RX_BYTES, bytes);
	return n;
}

/* One burst: how many of the mbufs are gone, sent or found unsendable. */
static uint16_t io_burst(struct hf_port *port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
	uint32_t len[PORT_TX_BURST];
	uint64_t bytes = 0;
	uint16_t ready = n, sent;

	HF_ASSERT_HOT(n > 0 && n <= PORT_TX_BURST);
	if (port->tx_prepare)
		ready = rte_eth_tx_prepare(port->port_id, queue, mbufs, n);
	if (ready == 0) { /* no driver will ever take the first one */
		rte_pktmbuf_free(mbufs[0]);
		(void)hf_drop(HF_DROP_TX_FULL);
		return 1;
	}
	for (uint16_t i = 0; i < ready; i++)
		len[i] = mbufs[i]->pkt_len;
	sent = rte_eth_tx_burst(port->port_id, queue, mbufs, ready);
	HF_ASSERT_HOT(sent <= ready);
	for (uint16_t i = 0; i < sent; i++)
		bytes += len[i];
	if (sent > 0) {
		hf_stat_add(HF_STAT_TX_PACKETS, sent);
		hf_stat_add(HF_STAT_TX_BYTES, bytes);
	}
	return sent;
}

static void io_keep(struct port_txq *txq, struct rte_mbuf *mbuf)
{
	if (txq->count == PORT_TX_PENDING) {
		rte_pktmbuf_free(mbuf);
		(void)hf_drop(HF_DROP_TX_FULL);
		return;
	}
	txq->pending[(txq->head + txq->count++) & (PORT_TX_PENDING - 1)] = mbuf;
}

void hf_port_tx(struct hf_port *port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
	struct port_txq *txq = &port->txq[queue];
	uint16_t at = 0;

	HF_ASSERT_HOT(queue < port->queues);
	while (at < n && txq->count == 0 && port->started) {
		uint16_t want = (uint16_t)hf_min_u32(n - at, PORT_TX_BURST);
		uint16_t gone = io_burst(port, queue, mbufs + at, want);

		if (gone == 0)
			break;
		at += gone;
	}
	while (at < n)
		io_keep(txq, mbufs[at++]);
}

void port_txq_drop(struct port_txq *txq)
{
	for (; txq->count > 0; txq->count--) {
		rte_pktmbuf_free(txq->pending[txq->head]);
		txq->head = (txq->head + 1) & (PORT_TX_PENDING - 1);
		(void)hf_drop(HF_DROP_TX_FULL);
	}
	txq->stuck_since = 0;
}

void hf_port_tx_flush(struct hf_port *port, uint16_t queue)
{
	struct port_txq *txq = &port->txq[queue];
	uint64_t now;

	HF_ASSERT_HOT(queue < port->queues && port->started);
	if (hf_likely(txq->count == 0))
		return;
	while (txq->count > 0) {
		uint32_t run = hf_min_u32(txq->count, PORT_TX_PENDING - txq->head);
		uint16_t gone = io_burst(port, queue, &txq->pending[txq->head],
			(uint16_t)hf_min_u32(run, PORT_TX_BURST));

		if (gone == 0)
			break;
		txq->head = (txq->head + gone) & (PORT_TX_PENDING - 1);
		txq->count -= gone;
		txq->stuck_since = 0;
	}
	if (txq->count == 0)
		return;
	now = rte_get_tsc_cycles();
	if (txq->stuck_since == 0)
		txq->stuck_since = now;
	/* Link down, or a frame the driver can neither send nor refuse: shed, never hang. */
	else if (now - txq->stuck_since > rte_get_tsc_hz() / 1000000 * PORT_TX_STUCK_US)
		port_txq_drop(txq);
}

uint32_t hf_port_tx_pending(const struct hf_port *port, uint16_t queue)
{
	HF_ASSERT_HOT(queue < port->queues);
	return port->txq[queue].count;
}
