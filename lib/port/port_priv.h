/* SPDX-License-Identifier: BSD-3-Clause
 *
 * port, inside: what a driver needs, pools, transmit queues.
 */
#ifndef HF_PRIV_PORT
#error "port_priv.h is private to lib/port"
#endif
#ifndef PORT_PRIV_H
#define PORT_PRIV_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "hf_port.h"

#define PORT_DESC_MAX     2048
#define PORT_DESC_DEFAULT 512
/* Payload; with the largest headers an IP packet stays under 64 KiB. */
#define PORT_TSO_MAX      64512
#define PORT_TX_PENDING   1024 /* frames kept for a queue that takes none; a power of two */
#define PORT_TX_BURST     64
#define PORT_TX_STUCK_US  100000 /* after so long without progress they are dropped */
#define PORT_POOL_CACHE   256
#define PORT_DATA_ROOM    2048 /* least, without headroom */
#define PORT_REGIONS_MAX  64

#define PORT_RSS_IP  1
#define PORT_RSS_TCP 2

/* One file of drivers-config/. */
struct port_driver {
	const char *name;
	const char *driver[4]; /* DPDK's names */
	uint16_t rx_desc, tx_desc, max_queues;
	bool queues_pow2;
	uint32_t tso; /* payload bytes; 0: none */
	bool multi_seg, tx_csum;
	uint32_t rss_fields;
	uint16_t segs_max, tso_segs_max;
	bool own_mac; /* the kernel's end has the device's address: take another */
	bool rx_fd;   /* its interrupts are descriptors that stay readable while there are frames */
	const char *note;
};

struct port_txq {
	uint32_t head, count;
	uint64_t stuck_since; /* TSC; 0: not stuck */
	struct rte_mbuf *pending[PORT_TX_PENDING];
} HF_ALIGNED(HF_CACHE_LINE);

struct hf_port {
	uint16_t port_id;
	bool started, tx_prepare;
	uint16_t queues;
	uint32_t index; /* in conf->port */
	struct port_txq *txq;
	struct hf_port_info info;
	struct rte_device *dev;
	const struct port_driver *driver;
	const struct hf_conf_port *conf;
	uint32_t workers;
	uint64_t rss_hf, rx_offloads, tx_offloads;
	char device[256];
};

/* By DPDK's driver name; the defaults if it is unknown. Never NULL. */
const struct port_driver *port_driver_find(const char *dpdk_name);
/* By what a configuration says: the vdev's name up to its number. */
const struct port_driver *port_driver_guess(const char *device);
bool port_device_is_pci(const char *device);

/* Messages of EAL and drivers are caught between the two, else errors go to stderr. */
void port_log_catch(void);
/* What was caught, "" for nothing; valid until the next catch. */
const char *port_log_text(void);
const char *port_log_release(void);

/* Megabytes that the pools of this configuration need. */
uint32_t port_pools_mb(const struct hf_conf *conf);
int port_pools_new(const struct hf_conf *conf, struct hf_err *err);
void port_pools_free(void);
struct rte_mempool *port_pool_rx(uint32_t worker);
uint32_t port_data_room(const struct hf_conf *conf);

/* Registered memory mapped for a device that was opened later, and open devices for the reverse. */
int port_regions_map(struct rte_device *dev);
void port_devices_add(struct hf_port *port);
void port_devices_remove(struct hf_port *port);

/* Frees what the queue still holds. Its worker is parked. */
void port_txq_drop(struct port_txq *txq);

#endif
