/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include <smmintrin.h>

#include "hf_cache_rules.h"

#include "cache_priv.h"

#define LOOKUP_PREFETCH 512

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

#ifdef HF_TSAN /* it takes them for sixteen bytes that somebody writes meanwhile */
#define LOOKUP_UNCHECKED __attribute__((no_sanitize("thread")))
#else
#define LOOKUP_UNCHECKED
#endif

/* The upper halves of four words; a tag is the upper half of each. Sixteen bytes are no atomic load, but of aligned
 * words this processor reads each whole. */
LOOKUP_UNCHECKED
static inline __m128i lookup_upper(const _Atomic uint64_t *words)
{
	const volatile __m128i *pair = (const volatile __m128i *)(const volatile void *)words;
	__m128 low = _mm_castsi128_ps(pair[0]), high = _mm_castsi128_ps(pair[1]);

	return _mm_castps_si128(_mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* Bit 2 * i: word i has the tag of HASH; whoever uses it loads it again, for what stands behind it. */
static inline uint32_t lookup_tagged(const struct cache_bucket *bucket, uint64_t hash)
{
	__m128i low = _mm_srli_epi32(lookup_upper(&bucket->word[0]), 16);
	__m128i high = _mm_srli_epi32(lookup_upper(&bucket->word[4]), 16);
	__m128i tag = _mm_set1_epi16((short)cache_hash_tag(hash));
	__m128i same = _mm_cmpeq_epi16(_mm_packus_epi32(low, high), tag);

	return (uint32_t)_mm_movemask_epi8(same) & 0x5555;
}
HF_STATIC_ASSERT(CACHE_BUCKET_WORDS == 8, "two registers of four halves");

static inline void lookup_bucket(struct lookup *lookup, const struct cache_bucket *bucket,
	const struct hf_key *key, const struct hf_http_req *req)
{
	uint32_t left = lookup_tagged(bucket, key->hash);

	for (; left != 0; left &= left - 1) {
		const _Atomic uint64_t *slot = &bucket->word[__builtin_ctz(left) / 2];
		uint64_t word = atomic_load_explicit(slot, memory_order_acquire);
		struct hf_obj *obj = cache_word_obj(word);

		if (hf_unlikely(word == 0)) /* nothing there, or not any more; else the key tells */
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

static inline const struct hf_shard *lookup_shard(const struct hf_cache *cache, uint64_t hash)
{
	return &cache->shards[hf_cache_shard_index(cache, hash)];
}

void hf_cache_prefetch_table(const struct hf_cache *cache, uint64_t hash)
{
	const struct hf_shard *shard = lookup_shard(cache, hash);

	__builtin_prefetch(&shard->buckets[cache_bucket_first(shard, hash)]);
	__builtin_prefetch(&shard->buckets[cache_bucket_second(shard, hash)]);
}

/* Whoever has the tag; nothing is read of it, so that it may be gone. */
static inline void lookup_prefetch_in(const struct cache_bucket *bucket, uint64_t hash)
{
	uint32_t left = lookup_tagged(bucket, hash);

	for (; left != 0; left &= left - 1) {
		const struct hf_obj *obj = cache_word_obj(atomic_load_explicit(
			&bucket->word[__builtin_ctz(left) / 2], memory_order_relaxed));

		__builtin_prefetch(obj);
		lookup_prefetch(obj);
	}
}

void hf_cache_prefetch_object(const struct hf_cache *cache, uint64_t hash)
{
	const struct hf_shard *shard = lookup_shard(cache, hash);

	lookup_prefetch_in(&shard->buckets[cache_bucket_first(shard, hash)], hash);
	lookup_prefetch_in(&shard->buckets[cache_bucket_second(shard, hash)], hash);
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
