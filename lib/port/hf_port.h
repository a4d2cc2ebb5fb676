/* SPDX-License-Identifier: BSD-3-Clause
 *
 * port - NICs and virtual devices: EAL start, queues, offloads, bursts.
 *
 * What      Opens each `ports:` entry of the configuration (PCI address or vdev string) with as
 *           many queues as it and its driver allow, RSS where offered, checksum and segmentation
 *           offload where offered. drivers-config/<driver>.conf says what a driver needs; the
 *           quirks are data.
 * Picture
 *           port with RSS and >= workers queues:  worker i polls rx queue i, sends on tx queue i
 *           any other:                            one worker (its owner) polls queue 0 and sends;
 *                                                 lib/net spreads flows to the others by ring
 * Threads   open, start, stop, close: boot and control. rx, tx: the lcore that owns the queue.
 * Lifetime  eal_init -> open* -> memory_register -> start* -> ... -> stop* -> close* -> eal_fini.
 * Promises  R1 FAST_FREE is never on (packets carry external buffers).  R2 what tx_burst refused
 *           stays queued, up to a bound; above it frames are dropped and counted (HF_DROP_TX_FULL).
 *           R3 after fini no TAP interface, hugepage file or socket of ours is left.
 */
#ifndef HF_PORT_H
#define HF_PORT_H

#include "hf_base.h"
#include "hf_conf.h"

struct rte_mbuf;
struct rte_mempool;
struct hf_port;

struct hf_port_info {
	const char *device;
	char driver[32];
	uint8_t mac[6];
	uint16_t port_id; /* DPDK's */
	uint16_t mtu;
	uint16_t queues;         /* rx = tx */
	bool rss;                /* the NIC spreads flows over the queues */
	bool csum_ip4, csum_tcp; /* transmit checksum offload */
	bool rx_csum;            /* receive checksums verified by the NIC */
	bool multi_seg;
	uint16_t segs_max;     /* buffers of one packet */
	uint16_t tso_segs_max; /* of one TSO packet */
	uint32_t tso_max;      /* payload bytes of one TSO packet, 0: none */
	bool link_up;
	uint32_t link_mbps;
};

/* Starts EAL with arguments derived from the configuration: lcore 0 is the main thread, worker i is
 * lcore i + 1, pinned to a CPU of its own where there are enough. Hugepages if there are any and
 * conf->runtime.hugepages, else without. */
int hf_port_eal_init(const struct hf_conf *conf, struct hf_err *err) HF_MUST_CHECK;
void hf_port_eal_fini(void);
bool hf_port_has_hugepages(void);
uint32_t hf_port_lcore_id(uint32_t worker);
/* Number of workers after "auto" was resolved: valid before eal_init too. */
uint32_t hf_port_workers(const struct hf_conf *conf);

int hf_port_open(const struct hf_conf *conf, uint32_t index, struct hf_err *err,
	struct hf_port **ret_port) HF_MUST_CHECK;
/* Makes memory of ours readable by every open device; page is its page size. */
int hf_port_memory_register(void *base, size_t len, size_t page, struct hf_err *err) HF_MUST_CHECK;
void hf_port_memory_unregister(void *base, size_t len);
/* The bus address of registered memory, or HF_PORT_IOVA_NONE. Any thread. */
#define HF_PORT_IOVA_NONE UINT64_MAX
uint64_t hf_port_iova(const void *addr);
/* How many of the len bytes follow each other on the bus too; 0: not registered. Any thread. */
size_t hf_port_iova_run(const void *addr, size_t len, uint64_t *ret_iova);
int hf_port_start(struct hf_port *port, struct hf_err *err) HF_MUST_CHECK;
void hf_port_stop(struct hf_port *port);
/* NULL is fine. */
void hf_port_close(struct hf_port *port);

void hf_port_info(const struct hf_port *port, struct hf_port_info *ret_info);
/* A worker's pool of packets to send; receiving has its own, so that neither starves the other. */
struct rte_mempool *hf_port_mempool(const struct hf_port *port, uint32_t worker);
uint16_t hf_port_rx(
	struct hf_port *port, uint16_t queue, struct rte_mbuf **ret_mbufs, uint16_t max);
/* Queues and owns all n; sends what the device takes. */
void hf_port_tx(struct hf_port *port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n);
/* Offers again what the device refused before. Once per loop. */
void hf_port_tx_flush(struct hf_port *port, uint16_t queue);
/* A descriptor that is readable while the queue has frames; -1: the device has none, it must be
 * polled. */
int hf_port_rx_fd(const struct hf_port *port, uint16_t queue);
/* Frames that wait for the device. */
uint32_t hf_port_tx_pending(const struct hf_port *port, uint16_t queue);

#endif
