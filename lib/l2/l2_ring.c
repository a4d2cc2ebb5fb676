/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_l2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_route.h"

struct hf_l2_ring {
	uint32_t count;
	struct hf_l2_node node[HF_L2_NODES_MAX];
	struct hf_route_origin place[HF_L2_NODES_MAX];
};

static uint64_t ring_name(const struct hf_l2_node *node)
{
	return hf_route_name((struct hf_span){ node->id, strlen(node->id) });
}

static int ring_check(const struct hf_l2_node *nodes, uint32_t count, struct hf_err *err)
{
	if (count > HF_L2_NODES_MAX)
		return hf_err_set(
			err, -EINVAL, "%u nodes of L2; allowed: %d", count, HF_L2_NODES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		if (strnlen(nodes[i].id, sizeof(nodes[i].id)) - 1 >= HF_NAME_MAX)
			return hf_err_set(
				err, -EINVAL, "node %u of L2: id of 1 to %d bytes", i, HF_NAME_MAX);
		if (nodes[i].weight == 0 || nodes[i].weight > HF_L2_WEIGHT_MAX)
			return hf_err_set(err, -EINVAL,
				"node %s of L2: weight %u; allowed: 1 to %d", nodes[i].id,
				nodes[i].weight, HF_L2_WEIGHT_MAX);
		/* two that are the same by their names would never share */
		for (uint32_t j = 0; j < i; j++)
			if (ring_name(&nodes[j]) == ring_name(&nodes[i]))
				return hf_err_set(
					err, -EINVAL, "node %s of L2 is there twice", nodes[i].id);
	}
	return 0;
}

static bool ring_has(const struct hf_l2_ring *ring, const struct hf_l2_node *node)
{
	for (uint32_t i = 0; i < ring->count; i++)
		if (strcmp(ring->node[i].id, node->id) == 0)
			return ring->node[i].weight == node->weight;
	return false;
}

static bool ring_is(const struct hf_l2_ring *ring, const struct hf_l2_node *nodes, uint32_t count)
{
	if (!ring || ring->count != count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!ring_has(ring, &nodes[i]))
			return false;
	return true;
}

int hf_l2_ring_update(struct hf_l2_ring *ring, const struct hf_l2_node *nodes, uint32_t count,
	struct hf_err *err, struct hf_l2_ring **ret_ring)
{
	struct hf_l2_ring *next;
	int rc = ring_check(nodes, count, err);

	if (rc)
		return rc;
	if (count == 0 || ring_is(ring, nodes, count)) {
		*ret_ring = ring;
		return 0;
	}
	next = calloc(1, sizeof(*next));
	if (!next)
		return hf_err_set(err, -ENOMEM, "no memory for the ring of L2");
	next->count = count;
	memcpy(next->node, nodes, count * sizeof(*nodes));
	for (uint32_t i = 0; i < count; i++)
		next->place[i] = (struct hf_route_origin){ .weight = nodes[i].weight,
			.name = ring_name(&nodes[i]) };
	*ret_ring = next;
	return 0;
}

void hf_l2_ring_free(struct hf_l2_ring *ring)
{
	free(ring);
}

uint32_t hf_l2_ring_count(const struct hf_l2_ring *ring)
{
	return ring->count;
}

const struct hf_l2_node *hf_l2_ring_at(const struct hf_l2_ring *ring, uint32_t index)
{
	HF_ASSERT(index < ring->count);
	return &ring->node[index];
}

uint32_t hf_l2_ring_node(const struct hf_l2_ring *ring, const struct hf_l2_key *key)
{
	uint32_t index = hf_route_hash(ring->place, ring->count, key->place);

	HF_ASSERT(index < ring->count);
	return index;
}
