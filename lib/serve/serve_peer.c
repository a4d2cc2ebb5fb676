/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections of one client address (http.connections_per_address): an entry for each address that
 * has any, found by a keyed hash. Without a limit, too: a reload may set one.
 */
#include "hf_serve.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "hf_siphash.h"

#include "serve_priv.h"

struct serve_peer {
	struct hf_list link; /* in a chain */
	struct hf_ip ip;
	uint32_t conns;
};

void serve_ip_text(const struct hf_ip *ip, char buf[SERVE_IP_LEN])
{
	if (hf_ip_is4(ip))
		(void)inet_ntop(AF_INET, ip->b + 12, buf, SERVE_IP_LEN);
	else
		(void)inet_ntop(AF_INET6, ip->b, buf, SERVE_IP_LEN);
}

int serve_peers_init(struct hf_serve *serve)
{
	uint32_t chains = (uint32_t)hf_pow2_ceil(serve->conf->http.connections_max);

	/* calloc: pages that nobody needs stay away */
	serve->peers = calloc(chains, sizeof(*serve->peers));
	if (!serve->peers)
		return -1;
	serve->peer_mask = chains - 1;
	hf_random_fill(&serve->peer_key, sizeof(serve->peer_key));
	return hf_pool_init(
		&serve->peer_pool, sizeof(struct serve_peer), serve->conf->http.connections_max);
}

void serve_peers_fini(struct hf_serve *serve)
{
	hf_pool_fini(&serve->peer_pool);
	free(serve->peers);
}

static struct serve_peer *peer_find(struct hf_list *chain, const struct hf_ip *ip)
{
	struct hf_list *link;

	hf_list_for_each (link, chain) {
		struct serve_peer *peer = HF_CONTAINER_OF(link, struct serve_peer, link);

		if (memcmp(&peer->ip, ip, sizeof(*ip)) == 0)
			return peer;
	}
	return NULL;
}

bool serve_peer_join(struct hf_serve *serve, struct serve_conn *conn)
{
	uint32_t limit = serve->conf->http.connections_per_address;
	const struct hf_ip *ip = hf_tcp_peer(conn->tcp);
	struct hf_list *chain;
	struct serve_peer *peer;

	chain = &serve->peers[hf_siphash(&serve->peer_key, ip, sizeof(*ip)) & serve->peer_mask];
	if (!chain->next)
		hf_list_init(chain);
	peer = peer_find(chain, ip);
	if (!peer) {
		peer = hf_pool_get(&serve->peer_pool);
		HF_ASSERT(peer); /* never more addresses than connections */
		peer->ip = *ip;
		peer->conns = 0;
		hf_list_add_head(chain, &peer->link);
	}
	if (limit > 0 && peer->conns >= limit)
		return false;
	peer->conns++;
	conn->peer = peer;
	return true;
}

void serve_peer_leave(struct hf_serve *serve, struct serve_conn *conn)
{
	struct serve_peer *peer = conn->peer;

	if (!peer)
		return;
	HF_ASSERT(peer->conns > 0);
	conn->peer = NULL;
	if (--peer->conns > 0)
		return;
	hf_list_del(&peer->link);
	hf_pool_put(&serve->peer_pool, peer);
}
