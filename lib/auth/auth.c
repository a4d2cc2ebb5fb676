/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Names, ids, and what is counted.
 */
#include "hf_auth.h"

#include <string.h>

#include "hf_siphash.h"
#include "hf_stat.h"

#include "auth_priv.h"

static const struct {
	const char *name;
	uint32_t ttl_s;
} auth_caches[HF_AUTH_CACHES] = {
#define X(id, name_, ttl_s_) [HF_AUTH_##id] = { name_, ttl_s_ },
#include "tbl/caches.h"
#undef X
};

const char *hf_auth_cache_name(enum hf_auth_cache cache)
{
	HF_ASSERT(cache < HF_AUTH_CACHES);
	return auth_caches[cache].name;
}

uint32_t hf_auth_cache_ttl_s(enum hf_auth_cache cache)
{
	HF_ASSERT(cache < HF_AUTH_CACHES);
	return auth_caches[cache].ttl_s;
}

enum hf_auth_cache hf_auth_cache_of(const char *name)
{
	uint32_t cache = 0;

	while (cache < HF_AUTH_CACHES && strcmp(auth_caches[cache].name, name) != 0)
		cache++;
	return (enum hf_auth_cache)cache;
}

struct hf_auth_id hf_auth_id(const struct hf_auth *auth, const void *facts, size_t len)
{
	return (struct hf_auth_id){ { hf_siphash(&auth->key[0], facts, len),
		hf_siphash(&auth->key[1], facts, len) } };
}

void hf_auth_count(enum hf_auth_cache cache, enum hf_auth_result result)
{
	static const enum hf_stat by_result[HF_AUTH_CACHES][HF_AUTH_RESULTS] = {
#define X(id, name, ttl_s)                                                                         \
	[HF_AUTH_##id] = { HF_STAT_AUTH_##id##_HIT, HF_STAT_AUTH_##id##_HIT_NEGATIVE,              \
		HF_STAT_AUTH_##id##_MISS_EXPIRED, HF_STAT_AUTH_##id##_MISS_ABSENT },
#include "tbl/caches.h"
#undef X
	};

	HF_ASSERT_HOT(cache < HF_AUTH_CACHES && result < HF_AUTH_RESULTS);
	hf_stat_inc(by_result[cache][result]);
}

void auth_count_eviction(enum hf_auth_cache cache)
{
	static const enum hf_stat by_cache[HF_AUTH_CACHES] = {
#define X(id, name, ttl_s) [HF_AUTH_##id] = HF_STAT_AUTH_##id##_EVICTION,
#include "tbl/caches.h"
#undef X
	};

	hf_stat_inc(by_cache[cache]);
}
