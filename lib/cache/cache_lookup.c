/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache.h"

#include <smmintrin.h>

#include "hf_cache_rules.h"

#include "cache_priv.h"

/* RFC 9111 §4: of responses that match the most recent one, by Date, answers; of those of one second the
 * one that was published last. */
static inline bool lookup_is_newer(const struct hf_obj *obj, const struct hf_obj *than)
{
	if (obj->life.date_s != than->life.date_s)
		return obj->life.date_s > than->life.date_s;
	return obj->serial > than->serial;
}

/* Nearly always it is the one: what an answer reads of it, on its way while the key is compared. A small
 * object's key, head and body follow the structure. Nothing is read, so it may be gone. */
static inline void lookup_prefetch(uint64_t word)
{
	const char *obj = (const char *)cache_word_obj(word);

	__builtin_prefetch(obj);
	__builtin_prefetch(obj + HF_CACHE_LINE);
	for (uint32_t line = 3; line < cache_word_lines(word); line++) /* line 2: the owner's */
		__builtin_prefetch(obj + line * HF_CACHE_LINE);
}

/* What was found so far. */
struct lookup {
	struct hf_obj *best;
	enum hf_lookup verdict;
	struct hf_obj *varied; /* that only a request's fields could choose, and none were given */
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

/* REQ: NULL when only what every request may have is wanted. */
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
		if (req) /* else it was fetched */
			lookup_prefetch(word);
		if (!cache_key_is(obj, key) || !hf_obj_is_ready(obj))
			continue;
		if (!req && obj->vary_len > 0) {
			if (!lookup->varied || lookup_is_newer(obj, lookup->varied))
				lookup->varied = obj;
			continue;
		}
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

static inline struct hf_cache_spot lookup_spot(const struct hf_shard *shard, uint64_t hash)
{
	return (struct hf_cache_spot){
		.first = &shard->buckets[cache_bucket_first(shard, hash)],
		.second = &shard->buckets[cache_bucket_second(shard, hash)],
	};
}

static inline struct lookup lookup_in(
	const struct hf_shard *shard, const struct hf_key *key, const struct hf_http_req *req)
{
	struct hf_cache_spot spot = lookup_spot(shard, key->hash);
	struct lookup lookup = { .verdict = HF_LOOKUP_ABSENT };

	HF_ASSERT_HOT(key->len > 0 && key->hash == hf_cache_hash(shard->cache, key->ptr, key->len));
	__builtin_prefetch(spot.second);
	lookup_bucket(&lookup, spot.first, key, req);
	lookup_bucket(&lookup, spot.second, key, req);
	return lookup;
}

static inline const struct hf_shard *lookup_shard(const struct hf_cache *cache, uint64_t hash)
{
	return &cache->shards[hf_cache_shard_index(cache, hash)];
}

void hf_cache_spot_begin(
	const struct hf_cache *cache, uint64_t hash, struct hf_cache_spot *ret_spot)
{
	*ret_spot = lookup_spot(lookup_shard(cache, hash), hash);
	__builtin_prefetch(ret_spot->first);
	__builtin_prefetch(ret_spot->second);
}

/* Whoever has the tag. A free word has tag 0, and one may go meanwhile. */
static inline void lookup_prefetch_in(const struct cache_bucket *bucket, uint64_t hash)
{
	uint32_t left = lookup_tagged(bucket, hash);

	for (; left != 0; left &= left - 1) {
		uint64_t word = atomic_load_explicit(
			&bucket->word[__builtin_ctz(left) / 2], memory_order_relaxed);

		if (hf_likely(word != 0))
			lookup_prefetch(word);
	}
}

void hf_cache_spot_fetch(const struct hf_cache_spot *spot, uint64_t hash)
{
	lookup_prefetch_in(spot->first, hash);
	lookup_prefetch_in(spot->second, hash);
}

struct hf_obj *hf_cache_spot_any(const struct hf_cache_spot *spot, const struct hf_key *key)
{
	struct lookup lookup = { .verdict = HF_LOOKUP_ABSENT };

	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	lookup_bucket(&lookup, spot->first, key, NULL);
	lookup_bucket(&lookup, spot->second, key, NULL);
	if (lookup.varied && lookup.best && lookup_is_newer(lookup.best, lookup.varied))
		return lookup.best;
	return lookup.varied ? NULL : lookup.best;
}

struct hf_obj *hf_cache_lookup(struct hf_cache *cache, const struct hf_key *key,
	const struct hf_http_req *req, enum hf_lookup *ret_verdict)
{
	struct lookup lookup;

	HF_ASSERT_THREAD(HF_THREAD_LCORE);
	HF_ASSERT_HOT(req != NULL);
	lookup = lookup_in(lookup_shard(cache, key->hash), key, req);
	*ret_verdict = lookup.verdict;
	return lookup.best;
}

struct hf_obj *hf_shard_lookup(
	struct hf_shard *shard, const struct hf_key *key, const struct hf_http_req *req)
{
	struct lookup lookup;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(hf_cache_shard_index(shard->cache, key->hash) == shard->index);
	HF_ASSERT_HOT(req != NULL);
	lookup = lookup_in(shard, key, req);
	return lookup.best && cache_purge_names(shard, lookup.best) ? NULL : lookup.best;
}
