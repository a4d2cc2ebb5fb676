/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From the worker that received a frame to the one that has its flow. Ports without RSS: by a keyed
 * hash, in one step. Errors about flows of a port with RSS: the device's hash is not ours to know,
 * so they go round, once past every worker.
 */
#include "hf_net.h"

#include <string.h>

#include "net_priv.h"

/* Keyed: peers cannot pick their worker. The same both ways is not needed: we only receive. */
uint32_t net_spread_worker(const struct hf_net_shared *shared, const struct hf_ip *peer,
	const struct hf_ip *local, uint16_t peer_port_be, uint16_t local_port_be)
{
	uint8_t flow[36];
	uint64_t hash;

	memcpy(flow, peer->b, 16);
	memcpy(flow + 16, local->b, 16);
	memcpy(flow + 32, &peer_port_be, 2);
	memcpy(flow + 34, &local_port_be, 2);
	hash = hf_siphash(&shared->spread_key, flow, sizeof(flow));
	return (uint32_t)(((hash >> 32) * shared->workers) >> 32);
}

int net_spread_pass(
	struct hf_net *net, const struct net_frame *frame, uint32_t worker, uint32_t hops)
{
	struct hf_net_shared *shared = net->shared;
	struct hf_ring *ring = shared->rx_ring[net->worker * shared->workers + worker];
	struct hf_msg msg = { .ptr = frame->mbuf, .kind = hops, .arg = frame->port->index };

	HF_ASSERT_HOT(ring && worker != net->worker && hops < shared->workers);
	if (!hf_ring_post(ring, msg))
		return hf_drop(HF_DROP_SPREAD_FULL);
	if (shared->waker[worker])
		hf_waker_wake(shared->waker[worker]);
	hf_stat_inc(HF_STAT_SPREAD_PACKETS);
	return NET_HELD;
}
