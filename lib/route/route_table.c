/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_route.h"

#include <stdlib.h>
#include <string.h>

#include "route_priv.h"

struct hf_route_table *hf_route_table_new(const struct hf_route_cfg *cfg)
{
	struct hf_route_table *table = calloc(1, sizeof(*table));
	uint32_t buckets = (uint32_t)hf_pow2_ceil(cfg->cap);

	HF_ASSERT(cfg->cap >= 1 && cfg->cap <= HF_ROUTE_CAP_MAX && cfg->slots_max >= 1);
	HF_ASSERT(cfg->alpha >= 0);
	if (!table)
		return NULL;
	table->cfg = *cfg;
	table->bucket_mask = buckets - 1;
	table->bucket = malloc(buckets * sizeof(*table->bucket));
	table->free = calloc(cfg->slots_max, sizeof(*table->free));
	table->slot = calloc(cfg->slots_max, sizeof(*table->slot));
	table->node = calloc((size_t)cfg->cap + 1, sizeof(*table->node));
	if (!table->bucket || !table->free || !table->slot || !table->node) {
		hf_route_table_free(table);
		return NULL;
	}
	memset(table->bucket, 0xff, buckets * sizeof(*table->bucket));
	table->node[cfg->cap].newer = table->node[cfg->cap].older = cfg->cap;
	return table;
}

void hf_route_table_free(struct hf_route_table *table)
{
	if (!table)
		return;
	free(table->bucket);
	free(table->free);
	free(table->slot);
	free(table->node);
	free(table);
}

struct hf_route_counts hf_route_counts(const struct hf_route_table *table)
{
	return table->counts;
}

/* ---- slots ---- */

bool route_slot_is_in(const struct hf_route_table *table, struct hf_route_slot slot)
{
	return slot.generation != 0 && table->slot[slot.index].taken &&
	       table->slot[slot.index].generation == slot.generation;
}

struct hf_route_slot hf_route_join(struct hf_route_table *table)
{
	uint32_t index;

	if (table->free_count > 0)
		index = table->free[--table->free_count];
	else if (table->slots < table->cfg.slots_max)
		index = table->slots++;
	else
		return (struct hf_route_slot){ 0 };
	HF_ASSERT(!table->slot[index].taken);
	table->slot[index].taken = true;
	if (table->slot[index].generation == 0)
		table->slot[index].generation = 1;
	return (struct hf_route_slot){ index, table->slot[index].generation };
}

void hf_route_leave(struct hf_route_table *table, struct hf_route_slot slot)
{
	struct route_slot *of;

	if (!route_slot_is_in(table, slot))
		return;
	of = &table->slot[slot.index];
	of->taken = false;
	of->generation = of->generation == UINT32_MAX ? 1 : of->generation + 1;
	table->free[table->free_count++] = slot.index;
}

/* ---- nodes ---- */

static uint32_t table_find(const struct hf_route_table *table, uint64_t digest)
{
	uint32_t i = table->bucket[digest & table->bucket_mask];

	while (i != HF_ROUTE_NONE && table->node[i].digest != digest)
		i = table->node[i].chain;
	return i;
}

const struct route_node *route_node_find(const struct hf_route_table *table, uint64_t digest)
{
	uint32_t i = table_find(table, digest);

	return i == HF_ROUTE_NONE ? NULL : &table->node[i];
}

static void table_ring_del(struct hf_route_table *table, uint32_t i)
{
	const struct route_node *node = &table->node[i];

	table->node[node->newer].older = node->older;
	table->node[node->older].newer = node->newer;
}

/* As the latest. */
static void table_ring_add(struct hf_route_table *table, uint32_t i)
{
	struct route_node *node = &table->node[i], *end = &table->node[table->cfg.cap];

	node->newer = table->cfg.cap;
	node->older = end->older;
	table->node[end->older].newer = i;
	end->older = i;
}

static void table_chain_del(struct hf_route_table *table, uint32_t i)
{
	uint32_t *at = &table->bucket[table->node[i].digest & table->bucket_mask];

	while (*at != i)
		at = &table->node[*at].chain;
	*at = table->node[i].chain;
}

/* A node for the digest, which has none, at the latest's place. */
static uint32_t table_add(struct hf_route_table *table, uint64_t digest)
{
	uint32_t *bucket = &table->bucket[digest & table->bucket_mask];
	uint32_t i = table->counts.nodes;

	if (i < table->cfg.cap) {
		table->counts.nodes++;
	} else {
		i = table->node[table->cfg.cap].newer; /* the oldest */
		table_ring_del(table, i);
		table_chain_del(table, i);
		table->counts.evictions++;
	}
	memset(&table->node[i], 0, sizeof(table->node[i]));
	table->node[i].digest = digest;
	table->node[i].chain = *bucket;
	*bucket = i;
	table_ring_add(table, i);
	return i;
}

/* The origin holds it; who has left or is too long ago does not any more. */
static void table_hold(struct hf_route_table *table, struct route_node *node,
	struct hf_route_slot slot, uint64_t now_us)
{
	struct route_holder kept[HF_ROUTE_HOLDERS_MAX] = { { .slot = slot } };
	uint32_t count = 1;

	kept[0].until_us = table->cfg.ttl_us ? now_us + table->cfg.ttl_us : UINT64_MAX;
	for (uint32_t i = 0; i < HF_ROUTE_HOLDERS_MAX && count < HF_ROUTE_HOLDERS_MAX; i++) {
		const struct route_holder *holder = &node->holder[i];

		if (holder->slot.index != slot.index && holder->until_us >= now_us &&
			route_slot_is_in(table, holder->slot))
			kept[count++] = *holder;
	}
	memcpy(node->holder, kept, sizeof(kept));
}

/* First what is known is put out of the way of eviction, then the deepest is learnt first: it goes
 * first. */
void hf_route_learn(struct hf_route_table *table, const struct hf_route_blocks *blocks,
	struct hf_route_slot slot, uint64_t now_us)
{
	uint32_t count = hf_min_u32(blocks->count, table->cfg.cap);
	uint32_t at[HF_ROUTE_BLOCKS_MAX];

	HF_ASSERT(blocks->count <= HF_ROUTE_BLOCKS_MAX);
	if (!route_slot_is_in(table, slot))
		return;
	table->counts.truncations += count < blocks->count;
	for (uint32_t i = 0; i < count; i++) {
		at[i] = table_find(table, blocks->digest[i]);
		if (at[i] == HF_ROUTE_NONE)
			continue;
		table_ring_del(table, at[i]);
		table_ring_add(table, at[i]);
	}
	for (uint32_t i = count; i-- > 0;) {
		if (at[i] == HF_ROUTE_NONE) {
			at[i] = table_add(table, blocks->digest[i]);
		} else {
			table_ring_del(table, at[i]);
			table_ring_add(table, at[i]);
		}
		table_hold(table, &table->node[at[i]], slot, now_us);
	}
	HF_ASSERT(table->counts.nodes <= table->cfg.cap);
}
