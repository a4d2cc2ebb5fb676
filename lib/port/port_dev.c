/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A device's life: probe, configure, queues, start, stop, remove.
 */
#include "hf_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>

#include "port_priv.h"

#define DEV_RSS_KEY_MAX 128

static const char *dev_hint(const char *device)
{
	if (port_device_is_pci(device))
		return "bind the NIC first: scripts/bind-nic bind ADDRESS; see "
		       "drivers-config/README.md";
	if (strncmp(device, "net_tap", 7) == 0)
		return "it needs CAP_NET_ADMIN, /dev/net/tun, and an interface name (iface=) that "
		       "is free";
	if (strncmp(device, "net_af_", 7) == 0)
		return "it needs CAP_NET_RAW and CAP_NET_ADMIN, and an interface (iface=) that "
		       "exists and is up";
	if (strncmp(device, "net_memif", 9) == 0)
		return "start the role=server side first; the directory of socket= must exist";
	return "the driver's name must be one of DPDK's, its arguments are in "
	       "drivers-config/README.md";
}

/* rc of a DPDK call as an error of ours, with what DPDK said. Ends the catching of its log. */
static int dev_fail(struct hf_port *port, int rc, const char *what, struct hf_err *err)
{
	const char *log = port_log_release();

	HF_ASSERT(rc < 0);
	return hf_err_set(err, rc, "ports[%u] %s: %s: %s%s%s%s; %s", port->index, port->device,
		what, rte_strerror(-rc), log[0] ? " (" : "", log, log[0] ? ")" : "",
		dev_hint(port->device));
}

static int dev_find(struct hf_port *port)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_dev_iterator iterator;
	uint16_t id, found = RTE_MAX_ETHPORTS;
	size_t len = strcspn(port->device, ",");

	if (len >= sizeof(name))
		return -EINVAL;
	memcpy(name, port->device, len);
	name[len] = '\0';
	if (rte_eth_dev_get_port_by_name(name, &port->port_id) == 0)
		return 0;
	RTE_ETH_FOREACH_MATCHING_DEV(id, name, &iterator)
	{
		if (found == RTE_MAX_ETHPORTS)
			found = id;
	}
	if (found == RTE_MAX_ETHPORTS)
		return -ENODEV;
	port->port_id = found;
	return 0;
}

static void dev_mac(struct hf_port *port, const struct rte_ether_addr *addr)
{
	memcpy(port->info.mac, addr->addr_bytes, 6);
	if (port->driver->own_mac) {
		port->info.mac[0] = (uint8_t)((addr->addr_bytes[0] | 0x02) & 0xfe);
		port->info.mac[5] ^= 0x80;
	}
}

/* Every worker has a queue of its own, or there is one. */
static void dev_queues(struct hf_port *port, const struct rte_eth_dev_info *info)
{
	uint32_t most = hf_min_u32(
		hf_min_u32(info->max_rx_queues, info->max_tx_queues), port->driver->max_queues);
	uint64_t wanted = 0;

	if (port->driver->rss_fields & PORT_RSS_IP)
		wanted |= RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;
	if (port->driver->rss_fields & PORT_RSS_TCP)
		wanted |= RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
	port->rss_hf = wanted & info->flow_type_rss_offloads;
	port->queues = 1;
	if (port->workers > 1 && port->workers <= most && port->rss_hf != 0 &&
		(!port->driver->queues_pow2 || (port->workers & (port->workers - 1)) == 0))
		port->queues = (uint16_t)port->workers;
	port->info.queues = port->queues;
	port->info.rss = port->queues > 1;
	if (!port->info.rss)
		port->rss_hf = 0;
}

static void dev_offloads(struct hf_port *port, const struct rte_eth_dev_info *info)
{
	const struct port_driver *driver = port->driver;
	uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	uint64_t tx = 0;

	if ((info->rx_offload_capa & rx) == rx)
		port->rx_offloads = rx;
	if (driver->tx_csum)
		tx |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	if (driver->multi_seg)
		tx |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	tx &= info->tx_offload_capa;
	if (driver->tso > 0 && (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO) &&
		(tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) && (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) &&
		(tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)) {
		tx |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
		port->info.tso_max = driver->tso;
	}
	port->tx_offloads = tx;
	HF_ASSERT((tx & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) == 0);
	port->tx_prepare = (tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
	port->info.rx_csum = port->rx_offloads == rx;
	port->info.csum_ip4 = (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
	port->info.csum_tcp = (tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
	port->info.multi_seg = (tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	port->info.segs_max = port->info.multi_seg ? driver->segs_max : 1;
	port->info.tso_segs_max = port->info.multi_seg ? driver->tso_segs_max : 1;
	if (info->tx_desc_lim.nb_seg_max > 0)
		port->info.tso_segs_max =
			(uint16_t)hf_min_u32(port->info.tso_segs_max, info->tx_desc_lim.nb_seg_max);
}

/* What is asked for; else the device's, as far as it fits a packet buffer. */
static int dev_mtu(struct hf_port *port, const struct rte_eth_dev_info *info, uint32_t room,
	struct hf_err *err)
{
	uint32_t fits = room - RTE_PKTMBUF_HEADROOM - 14 - 8;
	uint16_t mtu = RTE_ETHER_MTU;

	(void)rte_eth_dev_get_mtu(port->port_id, &mtu);
	mtu = (uint16_t)hf_min_u32(mtu, fits);
	if (port->conf->mtu > 0) {
		if (port->conf->mtu > info->max_mtu || port->conf->mtu < info->min_mtu) {
			(void)port_log_release();
			return hf_err_set(err, -EINVAL,
				"ports[%u] %s: mtu: found %u; the device allows %u-%u", port->index,
				port->device, port->conf->mtu, info->min_mtu, info->max_mtu);
		}
		mtu = port->conf->mtu;
	}
	port->info.mtu = mtu;
	return 0;
}

static int dev_configure(struct hf_port *port, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {
		.rxmode = { .mq_mode = port->info.rss ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE,
			.mtu = port->info.mtu,
			.offloads = port->rx_offloads },
		.txmode = { .offloads = port->tx_offloads },
		.intr_conf = { .rxq = port->driver->rx_fd },
	};
	uint8_t key[DEV_RSS_KEY_MAX];

	if (port->info.rss) {
		conf.rx_adv_conf.rss_conf.rss_hf = port->rss_hf;
		/* A key of our own: else peers can choose their queue. */
		if (info->hash_key_size >= 40 && info->hash_key_size <= sizeof(key)) {
			hf_random_fill(key, sizeof(key));
			conf.rx_adv_conf.rss_conf.rss_key = key;
			conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		}
	}
	return rte_eth_dev_configure(port->port_id, port->queues, port->queues, &conf);
}

/* The MTU where the device lets it be set; where not, it must not be above what it has. */
static int dev_mtu_set(struct hf_port *port)
{
	uint16_t now = 0;
	int rc;

	(void)rte_eth_dev_get_mtu(port->port_id, &now);
	if (now == port->info.mtu)
		return 0;
	rc = rte_eth_dev_set_mtu(port->port_id, port->info.mtu);
	return rc == -ENOTSUP && port->info.mtu < now ? 0 : rc;
}

static int dev_queues_setup(struct hf_port *port, const struct rte_eth_dev_info *info)
{
	uint16_t rx_desc = port->driver->rx_desc, tx_desc = port->driver->tx_desc;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &rx_desc, &tx_desc);

	for (uint16_t i = 0; i < port->queues && rc == 0; i++) {
		struct rte_eth_rxconf rx = info->default_rxconf;
		struct rte_eth_txconf tx = info->default_txconf;
		uint32_t worker = port->info.rss ? i : port->index % port->workers;
		int socket = rte_eth_dev_socket_id(port->port_id);

		if (socket < 0)
			socket = (int)SOCKET_ID_ANY;
		rx.offloads = port->rx_offloads;
		tx.offloads = port->tx_offloads;
		rc = rte_eth_rx_queue_setup(
			port->port_id, i, rx_desc, (unsigned int)socket, &rx, port_pool_rx(worker));
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(
				port->port_id, i, tx_desc, (unsigned int)socket, &tx);
	}
	return rc;
}

static int dev_setup(struct hf_port *port, uint32_t room, struct hf_err *err)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int rc = rte_eth_dev_info_get(port->port_id, &info);

	if (rc < 0)
		return dev_fail(port, rc, "cannot be asked", err);
	port->dev = info.device;
	(void)snprintf(port->info.driver, sizeof(port->info.driver), "%s", info.driver_name);
	port->driver = port_driver_find(info.driver_name);
	port->info.port_id = port->port_id;
	rc = rte_eth_macaddr_get(port->port_id, &mac);
	if (rc < 0)
		return dev_fail(port, rc, "has no MAC address", err);
	dev_mac(port, &mac);
	dev_queues(port, &info);
	dev_offloads(port, &info);
	rc = dev_mtu(port, &info, room, err);
	if (rc < 0)
		return rc;
	rc = dev_configure(port, &info);
	if (rc < 0)
		return dev_fail(port, rc, "refuses its configuration", err);
	rc = dev_mtu_set(port);
	if (rc < 0)
		return dev_fail(port, rc, "refuses the MTU", err);
	rc = dev_queues_setup(port, &info);
	if (rc < 0)
		return dev_fail(port, rc, "refuses its queues", err);
	rc = port_regions_map(port->dev);
	return rc < 0 ? dev_fail(port, rc, "cannot map the cache memory", err) : 0;
}

int hf_port_open(
	const struct hf_conf *conf, uint32_t index, struct hf_err *err, struct hf_port **ret_port)
{
	struct hf_port *port;
	int rc;

	HF_ASSERT(index < conf->port_count && conf->port[index].device);
	port = calloc(1, sizeof(*port));
	if (!port)
		return hf_err_set(err, -ENOMEM, "no memory for ports[%u]", index);
	port->index = index;
	port->conf = &conf->port[index];
	port->workers = hf_port_workers(conf);
	port->port_id = RTE_MAX_ETHPORTS;
	(void)snprintf(port->device, sizeof(port->device), "%s", port->conf->device);
	port->info.device = port->device;
	port_log_catch();
	rc = rte_dev_probe(port->device);
	if (rc == 0)
		rc = dev_find(port);
	if (rc < 0) {
		rc = dev_fail(port, rc, "cannot be opened", err);
		free(port);
		return rc;
	}
	rc = dev_setup(port, port_data_room(conf), err);
	if (rc == 0)
		port->txq = aligned_alloc(HF_CACHE_LINE, port->queues * sizeof(*port->txq));
	if (rc == 0 && !port->txq)
		rc = dev_fail(port, -ENOMEM, "cannot be opened", err);
	(void)port_log_release();
	if (rc < 0) {
		hf_port_close(port);
		return rc;
	}
	memset(port->txq, 0, port->queues * sizeof(*port->txq));
	port_devices_add(port);
	*ret_port = port;
	return 0;
}

int hf_port_start(struct hf_port *port, struct hf_err *err)
{
	int rc;

	HF_ASSERT(!port->started);
	port_log_catch();
	rc = rte_eth_dev_start(port->port_id);
	if (rc < 0)
		return dev_fail(port, rc, "cannot be started", err);
	/* Many virtual devices have no filter at all: -ENOTSUP is no loss. */
	(void)rte_eth_promiscuous_disable(port->port_id);
	(void)rte_eth_allmulticast_enable(port->port_id);
	(void)port_log_release();
	port->started = true;
	return 0;
}

int hf_port_rx_fd(const struct hf_port *port, uint16_t queue)
{
	HF_ASSERT(queue < port->queues && port->started);
	return port->driver->rx_fd ? rte_eth_dev_rx_intr_ctl_q_get_fd(port->port_id, queue) : -1;
}

void hf_port_stop(struct hf_port *port)
{
	if (!port->started)
		return;
	for (uint16_t i = 0; i < port->queues; i++)
		port_txq_drop(&port->txq[i]);
	port_log_catch();
	(void)rte_eth_dev_stop(port->port_id);
	(void)port_log_release();
	port->started = false;
}

void hf_port_close(struct hf_port *port)
{
	if (!port)
		return;
	hf_port_stop(port);
	port_devices_remove(port);
	port_log_catch();
	if (port->dev)
		(void)rte_dev_remove(port->dev);
	(void)port_log_release();
	free(port->txq);
	free(port);
}

void hf_port_info(const struct hf_port *port, struct hf_port_info *ret_info)
{
	struct rte_eth_link link;

	*ret_info = port->info;
	memset(&link, 0, sizeof(link));
	if (port->started && rte_eth_link_get_nowait(port->port_id, &link) == 0) {
		ret_info->link_up = link.link_status == RTE_ETH_LINK_UP;
		if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
			ret_info->link_mbps = link.link_speed;
	}
}
