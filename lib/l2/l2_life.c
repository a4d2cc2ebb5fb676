/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_l2.h"

uint64_t hf_l2_px_ms(const struct hf_cache_life *life, uint64_t age_us)
{
	uint64_t all_us =
		((uint64_t)life->lifetime_s + hf_max_u32(life->swr_s, life->sie_s)) * 1000000;

	return age_us < all_us ? (all_us - age_us) / 1000 : 0;
}

struct hf_cache_life hf_l2_l1_life(
	const struct hf_cache_life *life, uint32_t age_s, uint32_t l1_ttl_s)
{
	uint64_t until_s = (uint64_t)age_s + l1_ttl_s;
	struct hf_cache_life l1 = *life;

	l1.lifetime_s = (uint32_t)hf_min_u64(life->lifetime_s, until_s);
	if (life->stale_forbidden)
		return l1;
	l1.swr_s = (uint32_t)hf_min_u64(life->swr_s, until_s - l1.lifetime_s);
	l1.sie_s = (uint32_t)hf_min_u64(
		(uint64_t)life->sie_s + (life->lifetime_s - l1.lifetime_s), HF_HTTP_DELTA_MAX);
	return l1;
}
