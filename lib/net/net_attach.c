/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The packets to which bytes are attached: their pool, and the references they hold on who owns the
 * bytes, until the device is done or the pool ends.
 */
#include "hf_net.h"

#include <stdio.h>

#include <rte_lcore.h>

#include "net_priv.h"

void net_attach_release(void *addr, void *opaque)
{
	struct net_attach *attach = opaque;
	struct hf_ref *ref = attach->ref;

	(void)addr;
	attach->ref = NULL;
	if (ref)
		hf_ref_put(ref);
}

struct rte_mempool *net_attach_pool_new(uint32_t worker, uint32_t count)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	(void)snprintf(name, sizeof(name), "hf_ext_%u", worker);
	return rte_pktmbuf_pool_create(
		name, count, 128, RTE_ALIGN(sizeof(struct net_attach), 64), 0, SOCKET_ID_ANY);
}

static void attach_elem_release(struct rte_mempool *pool, void *opaque, void *elem, unsigned int i)
{
	(void)pool, (void)opaque, (void)i;
	net_attach_release(NULL, rte_mbuf_to_priv(elem));
}

void net_attach_pool_free(struct rte_mempool *pool)
{
	if (!pool)
		return;
	(void)rte_mempool_obj_iter(pool, attach_elem_release, NULL);
	/* A device that is stopped but not closed may still hold packets: their pool ends with EAL. */
	if (rte_mempool_full(pool))
		rte_mempool_free(pool);
}
