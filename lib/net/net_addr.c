/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Our addresses, and the gateways that several workers read in one word.
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

bool net_addr_is_ours(const struct net_port *port, const struct hf_ip *ip)
{
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (net_ip_eq(&port->addr[i].ip, ip))
			return true;
	}
	return false;
}

static bool addr_match(const struct hf_ip *a, const struct hf_ip *b, uint32_t bits)
{
	uint32_t bytes = bits / 8;

	HF_ASSERT_HOT(bits <= 128);
	if (memcmp(a->b, b->b, bytes) != 0)
		return false;
	return bits % 8 == 0 || ((a->b[bytes] ^ b->b[bytes]) >> (8 - bits % 8)) == 0;
}

bool net_addr_on_link(const struct net_port *port, const struct hf_ip *ip)
{
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (port->addr[i].is4 == hf_ip_is4(ip) &&
			addr_match(&port->addr[i].ip, ip, port->addr[i].prefix_bits))
			return true;
	}
	return false;
}

const struct hf_ip *net_addr_first(const struct net_port *port, bool is4)
{
	for (uint32_t i = 0; i < port->addr_count; i++) {
		if (port->addr[i].is4 == is4)
			return &port->addr[i].ip;
	}
	return NULL;
}

/* RFC 5227 §2.4 (c): we are a server whose address others know, so it is kept. */
int net_addr_conflict(struct hf_net *net, struct net_port *port, bool is4)
{
	if (net->now_us - net->defend_us >= NET_DEFEND_US) {
		net->defend_us = net->now_us;
		if (is4)
			net_arp_announce(net, port);
		else
			net_nd_announce(net, port);
	}
	return hf_drop(HF_DROP_ADDR_CONFLICT);
}

void net_gateway_learn(struct net_gateway *gateway, const uint8_t mac[6])
{
	uint64_t old = atomic_load_explicit(&gateway->word, memory_order_relaxed);
	uint64_t word = 0;

	HF_ASSERT_HOT(!net_mac_is_multicast(mac) && !net_mac_is_zero(mac));
	for (int i = 0; i < 6; i++)
		word = word << 8 | mac[i];
	/* The count tells the resolver that an answer came, also when it is the same. Two workers
	 * that learn at once may lose a count, not an address. */
	word = word << 16 | ((old + 1) & 0xffff);
	atomic_store_explicit(&gateway->word, word, memory_order_relaxed);
}

bool hf_net_path(const struct hf_net *net, const struct hf_ip *peer, struct hf_path *ret_path)
{
	const struct net_port *port = &net->shared->port[0];
	uint64_t mac = net_gateway_load(hf_ip_is4(peer) ? &port->gateway4 : &port->gateway6);

	if (mac == 0)
		return false;
	*ret_path = port->path;
	ret_path->flags = NET_PATH_GATEWAY;
	net_mac_store(ret_path->mac, mac);
	return true;
}

/* Asks until the first answer every second, then again every half minute; what was known stays. */
static bool addr_gateway_due(struct net_gateway *gateway, uint64_t now_us)
{
	uint64_t word = atomic_load_explicit(&gateway->word, memory_order_relaxed);

	if (!gateway->set)
		return false;
	if (word != gateway->word_seen) {
		gateway->word_seen = word;
		gateway->next_us = now_us + NET_REFRESH_US;
		return false;
	}
	if (now_us < gateway->next_us)
		return false;
	gateway->next_us = now_us + NET_RETRY_US;
	return true;
}

void net_resolve(struct hf_net *net)
{
	for (uint32_t i = 0; i < net->shared->port_count; i++) {
		struct net_port *port = &net->shared->port[i];

		if (port->owner != net->worker)
			continue;
		if (port->announced < NET_ANNOUNCE && net->now_us >= port->announce_us) {
			port->announced++;
			port->announce_us = net->now_us + NET_RETRY_US;
			net_arp_announce(net, port);
			net_mld_announce(net, port);
			net_nd_announce(net, port);
		}
		if (addr_gateway_due(&port->gateway4, net->now_us))
			net_arp_request(net, port, &port->gateway4.ip);
		if (addr_gateway_due(&port->gateway6, net->now_us))
			net_nd_solicit(net, port, &port->gateway6.ip);
	}
}
