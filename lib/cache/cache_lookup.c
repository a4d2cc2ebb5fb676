/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include "hf_cache_rules.h"

#include "cache_priv.h"

#define LOOKUP_PREFETCH 512

/* Of a bucket's words. clang warns where it cannot, as with sanitizers. */
#ifdef __clang__
#define LOOKUP_UNROLL
#else
#define LOOKUP_UNROLL _Pragma("GCC unroll 8")
#endif
HF_STATIC_ASSERT(CACHE_BUCKET_WORDS == 8, "LOOKUP_UNROLL");

/* RFC 9111 §4: of responses that match the most recent one, by Date, answers; of those of one second the
 * one that was published last. */
static inline bool lookup_is_newer(const struct hf_obj *obj, const struct hf_obj *than)
{
	if (obj->life.date_s != than->life.date_s)
		return obj->life.date_s > than->life.date_s;
	return obj->serial > than->serial;
}

/* Nearly always it is the one: what an answer reads of it, on its way while the key is compared. A small
 * object's key, head and body follow the structure. */
static inline void lookup_prefetch(const struct hf_obj *obj)
{
	for (size_t at = HF_CACHE_LINE; at < LOOKUP_PREFETCH; at += HF_CACHE_LINE)
		__builtin_prefetch((const char *)obj + at);
}

/* What was found so far. */
struct lookup {
	struct hf_obj *best;
	enum hf_lookup verdict;
};

static inline void lookup_bucket(struct lookup *lookup, const struct cache_bucket *bucket,
	const struct hf_key *key, const struct hf_http_req *req)
{
	const uint64_t hash = key->hash;

	LOOKUP_UNROLL
	for (uint32_t i = 0; i < CACHE_BUCKET_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&bucket->word[i], memory_order_acquire);
		struct hf_obj *obj = cache_word_obj(word);

		if (hf_likely(!cache_word_has_tag(word, hash)))
			continue;
		lookup_prefetch(obj);
		if (!cache_key_is(obj, key) || !hf_obj_is_ready(obj))
			continue;
		if (!lookup->best)
			lookup->verdict = HF_LOOKUP_VARY;
		if (lookup->best && lookup_is_newer(lookup->best, obj))
			continue;
		if (obj->vary_len == 0 || hf_cache_vary_matches(obj->vary, obj->vary_len, req)) {
			lookup->best = obj;
			lookup->verdict = HF_LOOKUP_FOUND;
		}
	}
}

static inline struct hf_obj *lookup_in(const struct hf_shard *shard, const struct hf_key *key,
	const struct hf_http_req *req, enum hf_lookup *ret_verdict)
{
	const struct cache_bucket *second = &shard->buckets[cache_bucket_second(shard, key->hash)];
	struct lookup lookup = { .verdict = HF_LOOKUP_ABSENT };

	HF_ASSERT_HOT(key->len > 0 && key->hash == hf_cache_hash(shard->cache, key->ptr, key->len));
	__builtin_prefetch(second);
	lookup_bucket(&lookup, &shard->buckets[cache_bucket_first(shard, key->hash)], key, req);
	lookup_bucket(&lookup, second, key, req);
	*ret_verdict = lookup.verdict;
	return lookup.best;
}

struct hf_obj *hf_cache_lookup(struct hf_cache *cache, const struct hf_key *key,
	const struct hf_http_req *req, enum hf_lookup *ret_verdict)
{
	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	return lookup_in(
		&cache->shards[hf_cache_shard_index(cache, key->hash)], key, req, ret_verdict);
}

struct hf_obj *hf_shard_lookup(
	struct hf_shard *shard, const struct hf_key *key, const struct hf_http_req *req)
{
	enum hf_lookup verdict;
	struct hf_obj *obj;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(hf_cache_shard_index(shard->cache, key->hash) == shard->index);
	obj = lookup_in(shard, key, req, &verdict);
	return obj && cache_purge_names(shard, obj) ? NULL : obj;
}
