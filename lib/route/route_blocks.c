/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_route.h"

#include <string.h>

#include "route_priv.h"

static uint64_t blocks_chain(
	const struct hf_route_table *table, uint64_t before, struct hf_span block)
{
	const struct hf_sipkey key = { table->cfg.key.k0 ^ before, table->cfg.key.k1 };

	return hf_siphash(&key, block.ptr, block.len);
}

void hf_route_blocks_path(const struct hf_route_table *table, struct hf_span host,
	struct hf_span path, struct hf_route_blocks *ret_blocks)
{
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;
	const char *at = path.ptr, *end = query ? query : path.ptr + path.len;
	uint64_t digest = blocks_chain(table, 0, host);

	ret_blocks->count = 0;
	while (at < end && ret_blocks->count < HF_ROUTE_BLOCKS_MAX) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct hf_span segment = { at, (size_t)((slash ? slash : end) - at) };

		at += segment.len + (slash != NULL);
		if (segment.len == 0)
			continue;
		digest = blocks_chain(table, digest, segment);
		ret_blocks->digest[ret_blocks->count++] = digest;
	}
}

void hf_route_blocks_body(const struct hf_route_table *table, struct hf_span host,
	struct hf_span body, struct hf_route_blocks *ret_blocks)
{
	uint32_t count = (uint32_t)hf_min_size(body.len / HF_ROUTE_BLOCK_LEN, HF_ROUTE_BLOCKS_MAX);
	uint64_t digest = blocks_chain(table, 0, host);

	ret_blocks->count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct hf_span block = { body.ptr + i * HF_ROUTE_BLOCK_LEN, HF_ROUTE_BLOCK_LEN };

		digest = blocks_chain(table, digest, block);
		ret_blocks->digest[i] = digest;
	}
}
