/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Packet pools, and memory of ours that devices read.
 */
/* rte_dev_dma_map, in DPDK since 17.11 (as vfio_dma_map) and still called experimental */
#define ALLOW_EXPERIMENTAL_API
#include "hf_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_memory.h>

#include "hf_wipe.h"

#include "port_priv.h"

#define MEM_ELEM_OVERHEAD (sizeof(struct rte_mbuf) + 2 * RTE_CACHE_LINE_SIZE)

struct mem_region {
	uint8_t *base;
	size_t len, page;
	uint32_t page_shift;
	rte_iova_t *iova; /* of each page */
};

/* Receiving and sending have pools of their own: a device that does not take our packets cannot
 * stop us from receiving. */
static struct {
	uint32_t workers;
	struct rte_mempool *rx[HF_CONF_WORKERS_MAX], *tx[HF_CONF_WORKERS_MAX];
	struct mem_region region[PORT_REGIONS_MAX];
	uint32_t region_count;
	struct hf_port *device[HF_CONF_PORTS_MAX];
	uint32_t device_count;
} mem;

uint32_t port_data_room(const struct hf_conf *conf)
{
	uint32_t room = PORT_DATA_ROOM;

	/* Frame and two VLAN tags; rounded so that buffers stay cache line aligned. */
	for (uint32_t i = 0; i < conf->port_count; i++)
		room = hf_max_u32(room, ((uint32_t)conf->port[i].mtu + 14 + 8 + 63) & ~63u);
	return room + RTE_PKTMBUF_HEADROOM;
}

/* One line for each holder of a packet. */
static uint32_t mem_rx_count(const struct hf_conf *conf, uint32_t workers)
{
	uint32_t count = 1024 + PORT_POOL_CACHE * 2; /* a turn's packets */

	for (uint32_t i = 0; i < conf->port_count; i++)
		count += port_driver_guess(conf->port[i].device)->rx_desc;
	if (workers > 1)
		count += 2048; /* on their way to other workers */
	return count;
}

static uint32_t mem_tx_count(const struct hf_conf *conf, uint32_t workers)
{
	uint32_t count = 512 + PORT_POOL_CACHE * 2;

	for (uint32_t i = 0; i < conf->port_count; i++)
		count += port_driver_guess(conf->port[i].device)->tx_desc + PORT_TX_PENDING;
	if (workers > 1)
		count += 1024; /* on their way to a queue's owner */
	return count;
}

uint32_t port_pools_mb(const struct hf_conf *conf)
{
	uint32_t workers = hf_port_workers(conf);
	uint64_t rx = mem_rx_count(conf, workers), tx = mem_tx_count(conf, workers);
	uint64_t elem = port_data_room(conf) + MEM_ELEM_OVERHEAD;
	/* lib/net has as many packets without a buffer as we have to send */
	uint64_t bytes = workers * (rx * elem + tx * (elem + MEM_ELEM_OVERHEAD * 2));

	/* Drivers' rings, DPDK's own tables, and the loss by not filling pages. */
	return (uint32_t)(bytes * 5 / 4 / (1024 * 1024)) + 48 + 4 * conf->port_count * workers;
}

static void mem_no_dump(
	struct rte_mempool *pool, void *arg, struct rte_mempool_memhdr *chunk, unsigned int index)
{
	(void)pool;
	(void)arg;
	(void)index;
	hf_no_dump(chunk->addr, chunk->len);
}

/* rte_pktmbuf_pool_create, but for a flag: an mbuf may cross a page where addresses are virtual.
 * Without hugepages each would have a 4 KiB page of its own, and AF_XDP, which registers the pool
 * as if it were dense, would refuse those at the end. */
static struct rte_mempool *mem_pool_on(const char *name, uint32_t count, uint32_t room, int socket)
{
	struct rte_pktmbuf_pool_private priv = { .mbuf_data_room_size = (uint16_t)room };
	unsigned int flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
	struct rte_mempool *pool = rte_mempool_create_empty(name, count,
		sizeof(struct rte_mbuf) + room, PORT_POOL_CACHE, sizeof(priv), socket, flags);

	if (!pool)
		return NULL;
	rte_pktmbuf_pool_init(pool, &priv);
	if (rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	(void)rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	(void)rte_mempool_mem_iter(pool, mem_no_dump, NULL);
	return pool;
}

static struct rte_mempool *mem_pool_new(
	const char *kind, uint32_t worker, uint32_t count, uint32_t room)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	int socket = (int)rte_lcore_to_socket_id(hf_port_lcore_id(worker));
	struct rte_mempool *pool;

	(void)snprintf(name, sizeof(name), "hf_%s_%u", kind, worker);
	HF_ASSERT(room <= UINT16_MAX);
	pool = mem_pool_on(name, count, room, socket);
	if (!pool && socket != SOCKET_ID_ANY)
		pool = mem_pool_on(name, count, room, SOCKET_ID_ANY);
	return pool;
}

int port_pools_new(const struct hf_conf *conf, struct hf_err *err)
{
	uint32_t workers = hf_port_workers(conf), room = port_data_room(conf);

	HF_ASSERT(mem.workers == 0);
	mem.workers = workers;
	for (uint32_t i = 0; i < workers; i++) {
		mem.rx[i] = mem_pool_new("rx", i, mem_rx_count(conf, workers), room);
		mem.tx[i] = mem_pool_new("tx", i, mem_tx_count(conf, workers), room);
		if (!mem.rx[i] || !mem.tx[i]) {
			return hf_err_set(err, -ENOMEM,
				"no memory for the packets of worker %u: %s; %u MiB are needed, "
				"fewer "
				"workers need less",
				i, rte_strerror(rte_errno), port_pools_mb(conf));
		}
	}
	return 0;
}

void port_pools_free(void)
{
	for (uint32_t i = 0; i < mem.workers; i++) {
		rte_mempool_free(mem.rx[i]);
		rte_mempool_free(mem.tx[i]);
		mem.rx[i] = mem.tx[i] = NULL;
	}
	mem.workers = 0;
}

struct rte_mempool *port_pool_rx(uint32_t worker)
{
	HF_ASSERT(worker < mem.workers);
	return mem.rx[worker];
}

struct rte_mempool *hf_port_mempool(const struct hf_port *port, uint32_t worker)
{
	(void)port;
	HF_ASSERT(worker < mem.workers);
	return mem.tx[worker];
}

void port_devices_add(struct hf_port *port)
{
	HF_ASSERT(mem.device_count < HF_CONF_PORTS_MAX);
	mem.device[mem.device_count++] = port;
}

void port_devices_remove(struct hf_port *port)
{
	for (uint32_t i = 0; i < mem.device_count; i++) {
		if (mem.device[i] == port) {
			mem.device[i] = mem.device[--mem.device_count];
			return;
		}
	}
}

static int mem_map_region(struct rte_device *dev, const struct mem_region *region)
{
	for (size_t at = 0; at < region->len; at += region->page) {
		size_t i = at >> region->page_shift;
		int rc;

		if (rte_eal_iova_mode() != RTE_IOVA_PA) {
			rc = rte_dev_dma_map(dev, region->base, region->iova[0], region->len);
			at = region->len;
		} else {
			rc = rte_dev_dma_map(dev, region->base + at, region->iova[i], region->page);
		}
		/* Virtual devices have no bus to map for: they read our memory as it is. */
		if (rc < 0 && rte_errno != ENOTSUP && rte_errno != EEXIST)
			return rte_errno ? -rte_errno : -EIO;
	}
	return 0;
}

int port_regions_map(struct rte_device *dev)
{
	for (uint32_t i = 0; i < mem.region_count; i++) {
		int rc = mem_map_region(dev, &mem.region[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int mem_region_new(void *base, size_t len, size_t page, struct mem_region *ret_region)
{
	bool physical = rte_eal_iova_mode() == RTE_IOVA_PA && rte_eal_has_hugepages();
	struct mem_region region = { .base = base, .len = len, .page = page };

	region.page_shift = (uint32_t)__builtin_ctzll(page);
	region.iova = calloc(len / page, sizeof(*region.iova));
	if (!region.iova)
		return -ENOMEM;
	for (size_t i = 0; i < len / page; i++) {
		uint8_t *at = region.base + i * page;

		region.iova[i] = physical ? rte_mem_virt2iova(at) : (rte_iova_t)(uintptr_t)at;
		if (region.iova[i] == RTE_BAD_IOVA) {
			free(region.iova);
			return -EFAULT;
		}
	}
	*ret_region = region;
	return 0;
}

int hf_port_memory_register(void *base, size_t len, size_t page, struct hf_err *err)
{
	struct mem_region region;
	int rc;

	HF_ASSERT(page > 0 && (page & (page - 1)) == 0 && len > 0 && len % page == 0);
	HF_ASSERT((uintptr_t)base % page == 0);
	if (mem.region_count == PORT_REGIONS_MAX)
		return hf_err_set(err, -ENOSPC, "more than %u memory regions", PORT_REGIONS_MAX);
	rc = mem_region_new(base, len, page, &region);
	if (rc < 0)
		return hf_err_set(err, rc,
			"%zu MiB of cache memory have no bus addresses: %s; "
			"give it hugepages (vm.nr_hugepages) and run as root",
			len >> 20, strerror(-rc));
	port_log_catch();
	if (rte_extmem_register(base, len, region.iova, (unsigned int)(len / page), page) < 0) {
		free(region.iova);
		return hf_err_set(err, -rte_errno, "DPDK refused %zu MiB of cache memory: %s (%s)",
			len >> 20, rte_strerror(rte_errno), port_log_release());
	}
	mem.region[mem.region_count++] = region;
	for (uint32_t i = 0; i < mem.device_count && rc == 0; i++) {
		rc = mem_map_region(mem.device[i]->dev, &region);
		if (rc < 0)
			(void)hf_err_set(err, rc, "%s cannot map %zu MiB of cache memory: %s (%s)",
				mem.device[i]->device, len >> 20, strerror(-rc), port_log_text());
	}
	(void)port_log_release();
	if (rc < 0)
		hf_port_memory_unregister(base, len);
	return rc;
}

static void mem_unmap_region(struct rte_device *dev, const struct mem_region *region)
{
	bool physical = rte_eal_iova_mode() == RTE_IOVA_PA;

	for (size_t at = 0; at < region->len; at += physical ? region->page : region->len) {
		/* A failure leaves a mapping that ends with the device. */
		(void)rte_dev_dma_unmap(dev, region->base + at,
			region->iova[at >> region->page_shift],
			physical ? region->page : region->len);
	}
}

void hf_port_memory_unregister(void *base, size_t len)
{
	for (uint32_t i = 0; i < mem.region_count; i++) {
		struct mem_region *region = &mem.region[i];

		if (region->base != base || region->len != len)
			continue;
		port_log_catch();
		for (uint32_t k = 0; k < mem.device_count; k++)
			mem_unmap_region(mem.device[k]->dev, region);
		(void)rte_extmem_unregister(base, len);
		(void)port_log_release();
		free(region->iova);
		*region = mem.region[--mem.region_count];
		return;
	}
}

size_t hf_port_iova_run(const void *addr, size_t len, uint64_t *ret_iova)
{
	const uint8_t *at = addr;

	if (rte_eal_iova_mode() != RTE_IOVA_PA) {
		*ret_iova = (uint64_t)(uintptr_t)addr;
		return len;
	}
	for (uint32_t i = 0; i < mem.region_count; i++) {
		const struct mem_region *region = &mem.region[i];
		size_t offset, in_page;

		if (at < region->base || at >= region->base + region->len)
			continue;
		offset = (size_t)(at - region->base);
		in_page = offset & (region->page - 1);
		*ret_iova = region->iova[offset >> region->page_shift] + in_page;
		return hf_min_size(len, region->page - in_page);
	}
	return 0;
}

uint64_t hf_port_iova(const void *addr)
{
	uint64_t iova;

	return hf_port_iova_run(addr, 1, &iova) == 1 ? iova : HF_PORT_IOVA_NONE;
}
