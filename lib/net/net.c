/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Boot and the turn of a worker: poll, take over what other workers pass on, hand to the devices.
 */
#include "hf_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "net_priv.h"

static bool net_address_is_set(const struct hf_conf_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->ip, zero, sizeof(zero)) != 0;
}

static struct net_addr4 net_addr4(const struct hf_ip *ip, uint32_t prefix)
{
	struct net_addr4 addr4;

	HF_ASSERT(prefix <= 32);
	memcpy(&addr4.ip, ip->b + 12, sizeof(addr4.ip));
	addr4.broadcast = addr4.ip;
	if (prefix > 0 && prefix < 31)
		addr4.broadcast |= __builtin_bswap32(UINT32_MAX >> prefix);
	return addr4;
}

static void net_address_add(struct net_port *port, const struct hf_ip *ip, uint32_t prefix)
{
	struct net_addr *addr = &port->addr[port->addr_count];

	HF_ASSERT(port->addr_count < NET_ADDRS_MAX);
	addr->ip = *ip;
	addr->is4 = hf_ip_is4(ip);
	addr->prefix_bits = (uint8_t)(addr->is4 ? prefix + 96 : prefix);
	HF_ASSERT(addr->prefix_bits <= 128);
	port->addr_count++;
	if (addr->is4)
		port->addr4[port->addr4_count++] = net_addr4(ip, prefix);
}

/* fe80:: and the modified EUI-64 of the MAC address (RFC 4291 §2.5.6, appendix A). */
static struct hf_ip net_link_local(const uint8_t mac[6])
{
	return (struct hf_ip){ .b = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe,
				       mac[3], mac[4], mac[5] } };
}

static void net_port_init(struct net_port *port, const struct hf_conf_port *conf)
{
	hf_port_info(port->port, &port->info);
	port->path = (struct hf_path){ .port = (uint16_t)port->index,
		.mtu = port->info.mtu,
		.cut = port->info.tso_max == 0,
		.tso_max = net_run_max(port) };
	port->vlan = conf->vlan;
	port->l2_len = sizeof(struct hf_pkt_eth) + (conf->vlan ? sizeof(struct hf_pkt_vlan) : 0);
	HF_ASSERT(conf->address_count <= HF_CONF_ADDRESSES_MAX);
	for (uint32_t i = 0; i < conf->address_count; i++) {
		struct hf_ip ip = net_ip_from6(conf->address[i].ip);

		net_address_add(port, &ip, conf->address[i].prefix);
	}
	port->link_local = net_link_local(port->info.mac);
	net_address_add(port, &port->link_local, 64);
	port->gateway4.ip = net_ip_from6(conf->gateway4.ip);
	port->gateway4.set = net_address_is_set(&conf->gateway4);
	port->gateway6.ip = net_ip_from6(conf->gateway6.ip);
	port->gateway6.set = net_address_is_set(&conf->gateway6);
}

static bool net_ring_need(struct hf_ring **ring)
{
	if (!*ring)
		*ring = hf_ring_new(NET_RING_COUNT);
	return *ring != NULL;
}

/* Rings from and to the owner of a port that is not everybody's; round all workers for ICMP errors
 * of one that is. */
static int net_rings_new(struct hf_net_shared *shared, const struct net_port *port)
{
	uint32_t owner = port->owner, workers = shared->workers;

	for (uint32_t i = 0; i < workers; i++) {
		uint32_t next = (i + 1) % workers;

		if (port->info.rss && next != i &&
			!net_ring_need(&shared->rx_ring[i * workers + next]))
			return -ENOMEM;
		if (port->info.rss || i == owner)
			continue;
		if (!net_ring_need(&shared->rx_ring[owner * workers + i]) ||
			!net_ring_need(&shared->tx_ring[i * workers + owner]))
			return -ENOMEM;
	}
	return 0;
}

int hf_net_shared_new(const struct hf_conf *conf, struct hf_port *const *ports, uint32_t workers,
	struct hf_err *err, struct hf_net_shared **ret_shared)
{
	struct hf_net_shared *shared = calloc(1, sizeof(*shared));
	int rc = 0;

	HF_ASSERT(workers > 0 && workers <= HF_CONF_WORKERS_MAX);
	HF_ASSERT(conf->port_count <= HF_CONF_PORTS_MAX);
	if (!shared)
		return hf_err_set(err, -ENOMEM, "no memory for the network layer");
	shared->workers = workers;
	shared->rx_ring = calloc((size_t)workers * workers, sizeof(*shared->rx_ring));
	shared->tx_ring = calloc((size_t)workers * workers, sizeof(*shared->tx_ring));
	if (!shared->rx_ring || !shared->tx_ring)
		rc = -ENOMEM;
	hf_random_fill(&shared->spread_key, sizeof(shared->spread_key));
	for (uint32_t i = 0; i < conf->port_count && rc == 0; i++) {
		struct net_port *port = &shared->port[i];

		port->port = ports[i];
		port->index = i;
		port->owner = i % workers;
		net_port_init(port, &conf->port[i]);
		shared->port_count++;
		rc = net_rings_new(shared, port);
	}
	if (rc < 0) {
		hf_net_shared_free(shared);
		return hf_err_set(err, rc, "no memory for the rings between workers");
	}
	*ret_shared = shared;
	return 0;
}

static void net_ring_drop(struct hf_ring *ring)
{
	struct hf_msg msg;

	while (ring && hf_ring_drain(ring, &msg, 1) == 1)
		rte_pktmbuf_free(msg.ptr);
	hf_ring_free(ring);
}

void hf_net_shared_free(struct hf_net_shared *shared)
{
	uint32_t rings;

	if (!shared)
		return;
	rings = shared->workers * shared->workers;
	for (uint32_t i = 0; i < rings && shared->rx_ring && shared->tx_ring; i++) {
		net_ring_drop(shared->rx_ring[i]);
		net_ring_drop(shared->tx_ring[i]);
	}
	free(shared->rx_ring);
	free(shared->tx_ring);
	free(shared);
}

void hf_net_shared_waker_set(struct hf_net_shared *shared, uint32_t worker, struct hf_waker *waker)
{
	HF_ASSERT(worker < shared->workers);
	shared->waker[worker] = waker;
}

int hf_net_new(
	struct hf_net_shared *shared, uint32_t worker, struct hf_err *err, struct hf_net **ret_net)
{
	struct hf_net *net = calloc(1, sizeof(*net));

	HF_ASSERT(worker < shared->workers && shared->port_count > 0);
	if (!net)
		return hf_err_set(
			err, -ENOMEM, "no memory for the network layer of worker %u", worker);
	net->shared = shared;
	net->worker = worker;
	net->pool = hf_port_mempool(shared->port[0].port, worker);
	net->ext_pool = net_attach_pool_new(worker, net->pool->size);
	if (!net->ext_pool) {
		free(net);
		return hf_err_set(err, -ENOMEM, "no memory for the packets of worker %u: %s",
			worker, rte_strerror(rte_errno));
	}
	*ret_net = net;
	return 0;
}

void hf_net_free(struct hf_net *net)
{
	if (!net)
		return;
	hf_net_rx_done(net);
	for (uint32_t i = 0; i < net->shared->port_count; i++) {
		if (net->stage[i].count > 0)
			rte_pktmbuf_free_bulk(net->stage[i].mbuf, net->stage[i].count);
	}
	net_attach_pool_free(net->ext_pool);
	free(net);
}

static uint32_t net_poll_port(struct hf_net *net, struct net_port *port)
{
	struct rte_mbuf *burst[HF_NET_BURST];
	uint16_t n = hf_port_rx(port->port, net_queue(net, port), burst, HF_NET_BURST);

	net_in_burst(net, port, burst, n);
	return n;
}

static uint32_t net_poll_ring(struct hf_net *net, struct hf_ring *ring)
{
	struct hf_msg msgs[HF_NET_BURST];
	uint32_t n = hf_ring_drain(ring, msgs, HF_NET_BURST);

	for (uint32_t i = 0; i < n; i++) {
		HF_ASSERT_HOT(msgs[i].arg < net->shared->port_count);
		(void)net_in_frame(net, &net->shared->port[msgs[i].arg], msgs[i].ptr,
			/* spread= */ true, /* hops= */ msgs[i].kind);
	}
	return n;
}

static bool net_has_room(const struct hf_net *net)
{
	return net->seg_count + HF_NET_BURST <= HF_NET_SEGS;
}

uint32_t hf_net_rx(struct hf_net *net, uint64_t now_us)
{
	struct hf_net_shared *shared = net->shared;
	uint32_t frames = 0, turn = net->turn++;

	HF_ASSERT(net->held_count == 0); /* hf_net_rx_done was called */
	net->now_us = now_us;
	net_resolve(net);
	for (uint32_t i = 0; i < shared->port_count && net_has_room(net); i++) {
		struct net_port *port = &shared->port[(turn + i) % shared->port_count];

		if (net_is_mine(net, port))
			frames += net_poll_port(net, port);
	}
	for (uint32_t i = 0; i < shared->workers && net_has_room(net); i++) {
		uint32_t from = (turn + i) % shared->workers;
		struct hf_ring *ring = shared->rx_ring[from * shared->workers + net->worker];

		if (ring)
			frames += net_poll_ring(net, ring);
	}
	return frames;
}

uint32_t hf_net_segs(const struct hf_net *net, const struct hf_tcp_seg **ret_segs)
{
	*ret_segs = net->seg;
	return net->seg_count;
}

uint32_t hf_net_icmps(const struct hf_net *net, const struct hf_tcp_icmp **ret_icmps)
{
	*ret_icmps = net->icmp;
	return net->icmp_count;
}

/* As rte_pktmbuf_free_bulk, of packets in one piece: those of a pool that follow each other go back
 * to it together. */
static void net_held_free(struct hf_net *net)
{
	struct rte_mempool *pool = NULL;
	uint32_t count = 0; /* at the front of `held`: what is to go back to `pool` */

	for (uint32_t i = 0; i < net->held_count; i++) {
		struct rte_mbuf *mbuf;

		HF_ASSERT_HOT(net->held[i]->nb_segs == 1);
		mbuf = rte_pktmbuf_prefree_seg(net->held[i]);
		if (hf_unlikely(!mbuf))
			continue;
		if (hf_unlikely(mbuf->pool != pool)) {
			if (count > 0)
				rte_mempool_put_bulk(pool, (void **)net->held, count);
			pool = mbuf->pool;
			count = 0;
		}
		net->held[count++] = mbuf;
	}
	if (count > 0)
		rte_mempool_put_bulk(pool, (void **)net->held, count);
}

void hf_net_rx_done(struct hf_net *net)
{
	net_held_free(net);
	net->held_count = 0;
	net->seg_count = 0;
	net->icmp_count = 0;
}

/* What other workers packed for ports of ours. */
static void net_drain_passed(struct hf_net *net)
{
	struct hf_net_shared *shared = net->shared;
	struct hf_msg msgs[HF_NET_BURST];

	for (uint32_t from = 0; from < shared->workers; from++) {
		struct hf_ring *ring = shared->tx_ring[from * shared->workers + net->worker];
		uint32_t n, total = 0;

		while (ring && total < NET_RING_COUNT &&
			(n = hf_ring_drain(ring, msgs, HF_NET_BURST)) > 0) {
			total += n;
			for (uint32_t i = 0; i < n; i++)
				net_out_stage(net, &shared->port[msgs[i].arg], msgs[i].ptr);
		}
	}
}

void hf_net_flush(struct hf_net *net, uint64_t now_us)
{
	net->now_us = now_us;
	net_drain_passed(net);
	for (uint32_t i = 0; i < net->shared->port_count; i++) {
		const struct net_port *port = &net->shared->port[i];

		if (!net_is_mine(net, port))
			continue;
		hf_port_tx_flush(port->port, net_queue(net, port));
		net_out_stage_flush(net, port);
	}
}

bool hf_net_idle(const struct hf_net *net)
{
	const struct hf_net_shared *shared = net->shared;

	for (uint32_t i = 0; i < shared->port_count; i++) {
		const struct net_port *port = &shared->port[i];

		if (net->stage[i].count > 0)
			return false;
		if (net_is_mine(net, port) &&
			hf_port_tx_pending(port->port, net_queue(net, port)) > 0)
			return false;
	}
	for (uint32_t i = 0; i < shared->workers; i++) {
		const struct hf_ring *rx = shared->rx_ring[i * shared->workers + net->worker];
		const struct hf_ring *tx = shared->tx_ring[i * shared->workers + net->worker];

		if ((rx && !hf_ring_empty(rx)) || (tx && !hf_ring_empty(tx)))
			return false;
	}
	return true;
}

uint32_t hf_net_rx_fds(const struct hf_net *net, int ret_fds[HF_CONF_PORTS_MAX])
{
	const struct hf_net_shared *shared = net->shared;
	uint32_t count = 0;

	for (uint32_t i = 0; i < shared->workers; i++) {
		if (shared->rx_ring[i * shared->workers + net->worker] ||
			shared->tx_ring[i * shared->workers + net->worker])
			return 0;
	}
	for (uint32_t i = 0; i < shared->port_count; i++) {
		const struct net_port *port = &shared->port[i];
		int fd = hf_port_rx_fd(port->port, net_queue(net, port));

		if (fd < 0)
			return 0;
		ret_fds[count++] = fd;
	}
	return count;
}
