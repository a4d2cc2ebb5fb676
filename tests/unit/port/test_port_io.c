/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Promise R2, on a ring device whose ring is made full.
 */
#include <string.h>

#include <criterion/criterion.h>
#include <rte_cycles.h>
#include <rte_ring.h>

#include "hf_stat.h"

#include "port_priv.h"

static struct hf_conf conf;
static struct hf_port *port;
static struct rte_ring *ring;
static struct rte_mempool *pool;
static unsigned int avail;

static void io_init(void)
{
	static char device[] = "net_ring0";
	struct hf_err err;

	hf_stat_register("test");
	conf.workers = 1;
	conf.port_count = 1;
	conf.port[0].device = device;
	cr_assert_eq(hf_port_eal_init(&conf, &err), 0, "%s", err.text);
	cr_assert_eq(hf_port_open(&conf, 0, &err, &port), 0, "%s", err.text);
	cr_assert_eq(hf_port_start(port, &err), 0, "%s", err.text);
	ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	pool = hf_port_mempool(port, 0);
	avail = rte_mempool_avail_count(pool);
}

static void io_fini(void)
{
	struct rte_mbuf *mbuf;

	hf_port_stop(port);
	while (rte_ring_dequeue(ring, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	cr_assert_eq(rte_mempool_avail_count(pool), avail, "packets leaked");
	hf_port_close(port);
	hf_port_eal_fini();
}

/* A packet of 60 bytes that can be told by its number. */
static struct rte_mbuf *packet(uint32_t number)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	char *bytes;

	cr_assert_not_null(mbuf);
	bytes = rte_pktmbuf_append(mbuf, 60);
	memcpy(bytes, &number, sizeof(number));
	return mbuf;
}

static uint32_t number_of(struct rte_mbuf *mbuf)
{
	uint32_t number;

	memcpy(&number, rte_pktmbuf_mtod(mbuf, char *), sizeof(number));
	return number;
}

/* Fills the device's ring by `n` less than it holds; these packets are numbered from 0. */
static uint32_t fill(uint32_t n)
{
	uint32_t count = rte_ring_free_count(ring) - n;

	for (uint32_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = packet(i);

		hf_port_tx(port, 0, &mbuf, 1);
	}
	cr_assert_eq(hf_port_tx_pending(port, 0), 0);
	return count;
}

Test(port_io, received_frames_are_counted, .init = io_init, .fini = io_fini)
{
	struct rte_mbuf *mbuf = packet(7), *got[4];

	cr_assert_eq(rte_ring_enqueue(ring, mbuf), 0);
	cr_assert_eq(hf_port_rx(port, 0, got, 4), 1);
	cr_assert_eq(got[0], mbuf);
	cr_assert_eq(hf_stat_sum(HF_STAT_RX_PACKETS), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_RX_BYTES), 60);
	rte_pktmbuf_free(mbuf);
}

Test(port_io, refused_frames_wait_and_leave_in_order, .init = io_init, .fini = io_fini)
{
	struct rte_mbuf *burst[100], *mbuf;
	uint32_t number = fill(10), want = 0;

	for (uint32_t i = 0; i < 100; i++)
		burst[i] = packet(number++);
	hf_port_tx(port, 0, burst, 100);
	cr_assert_gt(hf_port_tx_pending(port, 0), 0);
	/* Room again, but those that wait go first. */
	for (; want < 50; want++) {
		cr_assert_eq(rte_ring_dequeue(ring, (void **)&mbuf), 0);
		cr_assert_eq(number_of(mbuf), want);
		rte_pktmbuf_free(mbuf);
	}
	burst[0] = packet(number++);
	hf_port_tx(port, 0, burst, 1);
	while (want < number) {
		while (rte_ring_dequeue(ring, (void **)&mbuf) == 0) {
			cr_assert_eq(number_of(mbuf), want);
			want++;
			rte_pktmbuf_free(mbuf);
		}
		hf_port_tx_flush(port, 0);
	}
	cr_assert_eq(hf_port_tx_pending(port, 0), 0);
	cr_assert_eq(hf_stat_sum(HF_STAT_TX_PACKETS), number);
	cr_assert_eq(hf_stat_sum(HF_STAT_TX_BYTES), 60ull * number);
	cr_assert_eq(hf_drop_sum(HF_DROP_TX_FULL), 0);
}

Test(port_io, above_the_bound_frames_are_dropped_and_counted, .init = io_init, .fini = io_fini)
{
	(void)fill(0);
	for (uint32_t i = 0; i < PORT_TX_PENDING + 3; i++) {
		struct rte_mbuf *mbuf = packet(i);

		hf_port_tx(port, 0, &mbuf, 1);
	}
	cr_assert_eq(hf_port_tx_pending(port, 0), PORT_TX_PENDING);
	cr_assert_eq(hf_drop_sum(HF_DROP_TX_FULL), 3);
}

Test(port_io, what_no_device_takes_for_long_is_shed, .init = io_init, .fini = io_fini)
{
	struct rte_mbuf *mbuf = packet(1);

	(void)fill(0);
	hf_port_tx(port, 0, &mbuf, 1);
	hf_port_tx_flush(port, 0);
	cr_assert_eq(hf_port_tx_pending(port, 0), 1);
	/* As if it had been refused first long ago. */
	cr_assert_neq(port->txq[0].stuck_since, 0);
	port->txq[0].stuck_since = 1;
	hf_port_tx_flush(port, 0);
	cr_assert_eq(hf_port_tx_pending(port, 0), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_TX_FULL), 1);
}
