/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker's leases: one entry for each object that it holds beyond a turn, found by its address.
 */
#include "hf_cache.h"

#include "cache_priv.h"

static struct hf_list *reader_chain(const struct hf_reader *reader, const struct hf_obj *obj)
{
	uint64_t mixed = ((uintptr_t)obj >> 6) * 0x9e3779b97f4a7c15;

	return &reader->chains[mixed >> 32 & reader->chain_mask];
}

static struct hf_lease *reader_find(const struct hf_reader *reader, const struct hf_obj *obj)
{
	struct hf_list *chain = reader_chain(reader, obj);
	struct hf_list *link;

	hf_list_for_each (link, chain) {
		struct hf_lease *lease = HF_CONTAINER_OF(link, struct hf_lease, link);

		if (lease->obj == obj)
			return lease;
	}
	return NULL;
}

/* The bit in `holders` stays: who clears it and when would be another race. The owner will ask. */
static void reader_release(struct hf_ref *ref)
{
	struct hf_lease *lease = HF_CONTAINER_OF(ref, struct hf_lease, ref);
	struct hf_reader *reader = lease->reader;

	hf_list_del(&lease->link);
	if (lease->recalled)
		hf_list_add_tail(&reader->ended, &lease->link);
	else
		hf_pool_put(&reader->leases, lease);
}

struct hf_lease *hf_reader_lease(struct hf_reader *reader, struct hf_obj *obj)
{
	struct hf_lease *lease = reader_find(reader, obj);
	uint64_t bit = 1ULL << reader->worker;

	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	if (lease) {
		/* A RECALL comes after the grace period: then nobody can borrow the object (O5). */
		HF_ASSERT(!lease->recalled);
		hf_ref_get(&lease->ref);
		return lease;
	}
	lease = hf_pool_get(&reader->leases);
	if (!lease)
		return NULL;
	hf_ref_init(&lease->ref, reader_release);
	lease->obj = obj;
	lease->reader = reader;
	lease->recalled = false;
	hf_list_add_head(reader_chain(reader, obj), &lease->link);
	if (!(atomic_load_explicit(&obj->holders, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(&obj->holders, bit, memory_order_relaxed);
	return lease;
}

bool hf_reader_recall(struct hf_reader *reader, struct hf_obj *obj)
{
	struct hf_lease *lease = reader_find(reader, obj);

	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	if (!lease)
		return true;
	HF_ASSERT(!lease->recalled);
	lease->recalled = true;
	return false;
}

struct hf_obj *hf_reader_released(struct hf_reader *reader)
{
	struct hf_list *link = hf_list_first(&reader->ended);
	struct hf_lease *lease;
	struct hf_obj *obj;

	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	if (!link)
		return NULL;
	lease = HF_CONTAINER_OF(link, struct hf_lease, link);
	obj = lease->obj;
	hf_list_del(link);
	hf_pool_put(&reader->leases, lease);
	return obj;
}

bool hf_lease_is_recalled(const struct hf_ref *ref)
{
	return ref->release == reader_release &&
	       HF_CONTAINER_OF(ref, const struct hf_lease, ref)->recalled;
}

bool hf_cache_is_short(const struct hf_cache *cache)
{
	return atomic_load_explicit(&cache->shorts, memory_order_relaxed) > 0;
}
