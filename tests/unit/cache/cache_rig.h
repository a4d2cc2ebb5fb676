/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A cache in which the test itself is worker, origin thread and reclaim thread in turn. Its own checks are
 * assertions, so that fuzzers can use it.
 */
#ifndef CACHE_RIG_H
#define CACHE_RIG_H

#include "hf_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"

#include "cache_priv.h"

#define FIX_KIB 1024UL
#define FIX_MIB (1024 * FIX_KIB)

struct fix {
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_shard *shard;
	uint64_t now_us;
	struct hf_span head;             /* of what is put; empty: one like any other */
	uint64_t stored_base, used_base; /* the gauges at the beginning */
};

static inline void fix_open_with(struct fix *fix, size_t size, uint32_t workers, uint32_t leases)
{
	struct hf_cache_cfg cfg = { .shards = 1, .workers = workers, .leases_max = leases };
	struct hf_err err = { "" };

	memset(fix, 0, sizeof(*fix));
	HF_ASSERT(hf_arena_new(size, false, &err, &fix->arena) == 0);
	cfg.arena = fix->arena;
	HF_ASSERT(hf_cache_new(&cfg, &err, &fix->cache) == 0);
	fix->cache->sipkey = (struct hf_sipkey){ 1, 2 }; /* the same buckets in each run */
	fix->shard = hf_cache_shard(fix->cache, 0);
	fix->now_us = 1000000;
	fix->stored_base = hf_stat_own->stat[HF_STAT_CACHE_STORED_BYTES];
	fix->used_base = hf_stat_own->stat[HF_STAT_CACHE_USED_BYTES];
}

static inline void fix_open(struct fix *fix, size_t size)
{
	fix_open_with(fix, size, 4, 64);
}

/* All invariants, and the gauges of memory: they are what the objects cost. */
static inline void fix_check(struct fix *fix)
{
	uint64_t stored = 0;
	struct hf_list *link;

	hf_shard_check(fix->shard);
	hf_list_for_each (link, &fix->shard->queue)
		stored += HF_CONTAINER_OF(link, struct hf_obj, queue)->cost;
	HF_ASSERT(hf_stat_own->stat[HF_STAT_CACHE_STORED_BYTES] - fix->stored_base == stored);
	HF_ASSERT(hf_stat_own->stat[HF_STAT_CACHE_USED_BYTES] - fix->used_base == fix->shard->used);
}

static inline void fix_close(struct fix *fix)
{
	fix_check(fix);
	hf_cache_free(fix->cache);
	HF_ASSERT(hf_arena_used(fix->arena) == 0);
	hf_arena_free(fix->arena);
}

static inline struct hf_key fix_key(const struct fix *fix, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);

	return (struct hf_key){ text, len, hf_cache_hash(fix->cache, text, len) };
}

#define FIX_PATTERN 65536

/* The bytes of a seed's body from AT on, FIX_PATTERN of them. */
static inline const char *fix_bytes(uint64_t seed, uint64_t at)
{
	static char pattern[2 * FIX_PATTERN];

	if (pattern[0] == 0) {
		for (uint64_t i = 0; i < FIX_PATTERN; i++)
			pattern[i] = (char)(0x55 + i + ((i + 1) * 0xd1b54a32d192ed03 >> 40));
		pattern[0] = 1;
		memcpy(pattern + FIX_PATTERN, pattern, FIX_PATTERN);
	}
	return pattern + ((seed * 0x9e3779b97f4a7c15 >> 40) + at) % FIX_PATTERN;
}

static inline char fix_byte(uint64_t seed, uint64_t at)
{
	return *fix_bytes(seed, at);
}

static inline struct hf_obj *fix_new(
	struct fix *fix, const char *key, const char *vary, size_t vary_len, uint64_t length)
{
	struct hf_obj_spec spec = {
		.vary = { vary, vary_len },
		.head = HF_SPAN("HTTP/1.1 200 OK\r\nX: y\r\n"),
		.length = length,
		.born_us = (int64_t)fix->now_us,
		.status = 200,
		.flags = key ? 0 : HF_OBJ_STREAM,
	};

	if (fix->head.len > 0)
		spec.head = fix->head;
	spec.life.lifetime_s = 3600;
	if (key)
		spec.key = fix_key(fix, key);
	return hf_shard_obj_new(fix->shard, &spec);
}

/* How many bytes are there, shown or not. */
static inline uint64_t fix_filled(const struct hf_obj *obj)
{
	return atomic_load(&obj->flags) & HF_OBJ_WHOLE ? atomic_load(&obj->length)
						       : atomic_load(&obj->filled);
}

/* Appends `len` bytes of the seed's body; returns how many went in. */
static inline size_t fix_fill(struct fix *fix, struct hf_obj *obj, uint64_t seed, size_t len)
{
	uint64_t begin = fix_filled(obj);
	size_t done = 0, step = 0, want;

	do {
		want = hf_min_size(len - done, FIX_PATTERN);
		step = hf_shard_fill(fix->shard, obj, fix_bytes(seed, begin + done), want);
		done += step;
	} while (step == want && done < len);
	HF_ASSERT(fix_filled(obj) == begin + done);
	return done;
}

static inline struct hf_obj *fix_put_variant(struct fix *fix, const char *key, uint64_t seed,
	size_t len, const char *vary, size_t vary_len)
{
	struct hf_obj *obj = fix_new(fix, key, vary, vary_len, len);

	if (!obj)
		return NULL;
	if (fix_fill(fix, obj, seed, len) < len) {
		hf_shard_fill_fail(fix->shard, obj);
		hf_shard_obj_unref(fix->shard, obj);
		return NULL;
	}
	hf_shard_fill_end(fix->shard, obj);
	hf_shard_publish(fix->shard, obj);
	hf_shard_obj_unref(fix->shard, obj);
	return obj;
}

/* OLD under another head (RFC 9111 §4.3.4), not published yet. NULL: no memory. */
static inline struct hf_obj *fix_freshen(struct fix *fix, struct hf_obj *old, const char *fields)
{
	char head[256];
	int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s", fields);
	struct hf_obj_spec spec = {
		.head = { head, (size_t)len },
		.born_us = (int64_t)fix->now_us,
	};

	spec.life.lifetime_s = 7200;
	return hf_shard_obj_freshen(fix->shard, old, &spec);
}

static inline struct hf_obj *fix_renew(struct fix *fix, struct hf_obj *old)
{
	struct hf_obj *obj = fix_freshen(fix, old, "X: z\r\n");

	if (obj) {
		hf_shard_publish(fix->shard, obj);
		hf_shard_obj_unref(fix->shard, obj);
	}
	return obj;
}

static inline struct hf_obj *fix_put(struct fix *fix, const char *key, uint64_t seed, size_t len)
{
	return fix_put_variant(fix, key, seed, len, NULL, 0);
}

/* In three steps. */
static inline struct hf_obj *fix_get_any(struct fix *fix, const char *text)
{
	struct hf_key key = fix_key(fix, text);
	struct hf_cache_spot spot;

	hf_cache_spot_begin(fix->cache, key.hash, &spot);
	hf_cache_spot_fetch(&spot, key.hash);
	return hf_cache_spot_any(&spot, &key);
}

static inline struct hf_obj *fix_get(struct fix *fix, const char *text)
{
	static const struct hf_http_req req;
	struct hf_key key = fix_key(fix, text);
	enum hf_lookup verdict;
	struct hf_obj *obj = hf_cache_lookup(fix->cache, &key, &req, &verdict);
	struct hf_obj *any = fix_get_any(fix, text);

	HF_ASSERT((verdict == HF_LOOKUP_FOUND) == (obj != NULL));
	HF_ASSERT(!any || any == obj);
	return obj;
}

/* Reads up to `max` bytes of what is there. False: they are not the seed's. */
static inline bool fix_read(
	const struct hf_obj *obj, struct hf_obj_cursor *cursor, uint64_t seed, size_t max)
{
	struct hf_span span;

	for (; max > 0; max -= span.len) {
		span = hf_obj_peek(obj, cursor, hf_min_size(max, 5000));
		if (span.len == 0)
			break;
		if (memcmp(span.ptr, fix_bytes(seed, cursor->pos), span.len) != 0)
			return false;
		hf_obj_advance(cursor, span.len);
	}
	return true;
}

/* Is the whole body of the object the seed's? */
static inline bool fix_body_is(const struct hf_obj *obj, uint64_t seed, uint64_t len)
{
	struct hf_obj_cursor cursor = { 0 };

	return fix_read(obj, &cursor, seed, SIZE_MAX) && cursor.pos == len &&
	       hf_obj_at_end(obj, &cursor);
}

/* A grace period, and what the shard does with it. Recalls are not pumped. */
static inline bool fix_grace(struct fix *fix)
{
	bool freed;

	(void)hf_cache_reclaim_step(fix->cache);
	fix->now_us += 1000;
	freed = hf_shard_work(fix->shard, fix->now_us);
	while (fix->shard->graced_rest)
		freed |= hf_shard_work(fix->shard, fix->now_us);
	return freed;
}

/* RECALLs out and RECALLEDs back, without delay; returns how many RECALLs. */
static inline uint32_t fix_recalls(struct fix *fix)
{
	struct hf_obj *obj;
	uint32_t worker, count = 0;

	for (; hf_shard_recall_next(fix->shard, &obj, &worker); count++) {
		if (hf_reader_recall(hf_cache_reader(fix->cache, worker), obj))
			hf_shard_recalled(fix->shard, obj, worker);
	}
	for (worker = 0; worker < fix->cache->reader_count; worker++) {
		while ((obj = hf_reader_released(hf_cache_reader(fix->cache, worker))) != NULL)
			hf_shard_recalled(fix->shard, obj, worker);
	}
	return count;
}

#endif
