/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include <errno.h>
#include <stdlib.h>

#include "cache_priv.h"

static int rank_order(const void *a, const void *b)
{
	double x = ((const struct hf_cache_rank *)a)->worth;
	double y = ((const struct hf_cache_rank *)b)->worth;

	return (x < y) - (x > y);
}

int hf_cache_rank(struct hf_cache *cache, struct hf_cache_rank **ret_ranks, uint64_t *ret_count)
{
	struct hf_cache_rank *ranks;
	uint64_t count = 0, at = 0;

	HF_ASSERT_THREAD(HF_THREAD_NONE);
	for (uint32_t i = 0; i < cache->shard_count; i++)
		count += cache->shards[i].objects;
	ranks = calloc(count + 1, sizeof(*ranks));
	if (!ranks)
		return -ENOMEM;
	for (uint32_t i = 0; i < cache->shard_count; i++) {
		struct hf_shard *shard = &cache->shards[i];
		struct hf_list *link;

		hf_list_for_each (link, &shard->queue) {
			struct hf_obj *obj = HF_CONTAINER_OF(link, struct hf_obj, queue);

			ranks[at++] = (struct hf_cache_rank){ cache_worth_now(shard, obj), obj };
		}
	}
	HF_ASSERT(at == count);
	qsort(ranks, count, sizeof(*ranks), rank_order);
	*ret_ranks = ranks;
	*ret_count = count;
	return 0;
}
