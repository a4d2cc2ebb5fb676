/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a shard is made of, and the words of its table.
 *
 * Picture   every object of a shard is on exactly one list, by place:
 *             LOOSE    loose     being filled, or streamed, or not published yet
 *             LINKED   queue     in the table; newest first
 *             RETIRED  loose     out of the table, waiting for its grace period
 *             RECALLED unposted, then posted     waiting for the leases of some workers
 *             PINNED   unposted, then pinned     as RECALLED, but for so long that eviction
 *                                                must not count on its memory
 */
#ifndef HF_CACHE_PRIV_H
#define HF_CACHE_PRIV_H

#ifndef HF_PRIV_CACHE
#error "cache_priv.h is private to lib/cache"
#endif

#include "hf_cache.h"

#include "hf_pool.h"
#include "hf_siphash.h"

#define CACHE_BUCKET_WORDS    8
#define CACHE_WORDS           (2 * CACHE_BUCKET_WORDS) /* where one key can be */
#define CACHE_WORKERS_MAX     63
#define CACHE_SHARDS_MAX      256
#define CACHE_OBJECT_MEAN     1024 /* bytes of memory per object the table is made for */
#define CACHE_INLINE_BODY_MAX 4096
#define CACHE_RESERVE_MIN     (256UL * 1024)
#define CACHE_RESERVE_MAX     (64UL * 1024 * 1024)
#define CACHE_PIN_US          20000 /* a recall that takes longer frees no memory soon */
#define CACHE_LONG_STALE_S    86400 /* useless for a day: eviction spares it no more */
#define CACHE_GRACED_MAX      128   /* objects that one turn frees, or recalls: purges free many */

enum cache_place { CACHE_LOOSE, CACHE_LINKED, CACHE_RETIRED, CACHE_RECALLED, CACHE_PINNED };

struct cache_bucket {
	_Atomic uint64_t word[CACHE_BUCKET_WORDS]; /* tag << 48 | pointer | lines; 0: free */
} HF_ALIGNED(HF_CACHE_LINE);

struct hf_shard {
	/* read by lcores; written at boot only */
	struct cache_bucket *buckets HF_ALIGNED(HF_CACHE_LINE);
	uint64_t bucket_mask;
	struct hf_cache *cache;
	struct hf_arena *arena;
	struct hf_waker *waker;
	uint32_t index;
	/* the owner's */
	uint64_t budget HF_ALIGNED(HF_CACHE_LINE); /* bytes for objects; the table is outside it */
	uint64_t reserve;                          /* kept free ahead */
	uint64_t used;                             /* bytes of all objects of this shard */
	uint64_t returning;                        /* of these RETIRED and RECALLED ones */
	uint64_t kept;    /* of `used`, what only readers keep: cache_is_kept */
	bool is_short;    /* counted in the cache's `shorts` */
	uint64_t objects; /* LINKED ones */
	uint64_t serial;
	uint64_t now_us;
	struct hf_obj *graced_rest;       /* passed their grace period, not seen to yet */
	struct hf_list walks;             /* purges of many under way */
	uint64_t freed_count, freed_seen; /* times memory came free; up to the last work */
	struct hf_list queue, loose, unposted, posted, pinned;
	struct cache_worth *worth;
	uint32_t look_slot;                    /* looked at next by eviction */
	uint32_t clear_slot, clear_window;     /* cache_clear.c: where it is */
	uint32_t under_way[CACHE_WORKERS_MAX]; /* recalls posted and not answered, per worker */
	/* between the owner and the reclaim thread */
	_Atomic(struct hf_obj *) retired HF_ALIGNED(HF_CACHE_LINE);
	_Atomic(struct hf_obj *) graced;
};

struct hf_reader {
	struct hf_pool leases HF_ALIGNED(HF_CACHE_LINE);
	struct hf_list *chains;
	struct hf_list ended;
	uint32_t chain_mask;
	uint32_t worker;
};

struct hf_cache {
	struct hf_sipkey sipkey;
	uint32_t shard_count;
	uint32_t reader_count;
	struct hf_shard *shards;
	struct hf_reader *readers;
	struct hf_waker reclaim_waker;
	_Atomic uint32_t shorts; /* shards that are short of memory */
};

static inline uint64_t cache_hash_tag(uint64_t hash)
{
	return hash >> 32 & 0xffff;
}

/* An object begins at a cache line, so the low bits of its address are free: for the lines of its block, all of which an
 * answer reads of a small one. */
#define CACHE_WORD_LINES (HF_CACHE_LINE - 1)

static inline uint64_t cache_word(const struct hf_obj *obj)
{
	uint32_t lines = (obj->alloc_len + HF_CACHE_LINE - 1) / HF_CACHE_LINE;

	HF_ASSERT_HOT((uintptr_t)obj >> 48 == 0 && ((uintptr_t)obj & CACHE_WORD_LINES) == 0);
	return cache_hash_tag(obj->hash) << 48 | (uintptr_t)obj |
	       hf_min_u32(lines, CACHE_WORD_LINES);
}

static inline struct hf_obj *cache_word_obj(uint64_t word)
{
	return (struct hf_obj *)(uintptr_t)(word & 0xffffffffffff & ~(uint64_t)CACHE_WORD_LINES);
}

static inline uint32_t cache_word_lines(uint64_t word)
{
	return (uint32_t)word & CACHE_WORD_LINES;
}

/* The shard takes the hash's high bits, the tag the middle, the first bucket the low ones; the
 * second bucket mixes them, so that two keys that share one bucket seldom share both. */
static inline uint64_t cache_bucket_first(const struct hf_shard *shard, uint64_t hash)
{
	return hash & shard->bucket_mask;
}

static inline uint64_t cache_bucket_second(const struct hf_shard *shard, uint64_t hash)
{
	uint64_t other = (hash * 0x9e3779b97f4a7c15) >> 32 & shard->bucket_mask;

	return other != (hash & shard->bucket_mask) ? other : other ^ 1;
}

/* Word 0-15 of a key's two buckets, as a position in the table. */
static inline uint32_t cache_slot(const struct hf_shard *shard, uint64_t hash, uint32_t i)
{
	uint64_t bucket = i < CACHE_BUCKET_WORDS ? cache_bucket_first(shard, hash)
						 : cache_bucket_second(shard, hash);

	return (uint32_t)(bucket * CACHE_BUCKET_WORDS + i % CACHE_BUCKET_WORDS);
}

static inline _Atomic uint64_t *cache_slot_word(const struct hf_shard *shard, uint32_t slot)
{
	return &shard->buckets[slot / CACHE_BUCKET_WORDS].word[slot % CACHE_BUCKET_WORDS];
}

static inline struct hf_obj *cache_at(const struct hf_shard *shard, uint32_t slot)
{
	return cache_word_obj(
		atomic_load_explicit(cache_slot_word(shard, slot), memory_order_relaxed));
}

static inline bool cache_key_is(const struct hf_obj *obj, const struct hf_key *key)
{
	return obj->hash == key->hash && obj->key_len == key->len &&
	       __builtin_memcmp(obj->key, key->ptr, key->len) == 0;
}

/* Of the bytes that an object counts. */
static inline bool cache_is_returning(const struct hf_obj *obj)
{
	return obj->place == CACHE_RETIRED || obj->place == CACHE_RECALLED;
}

/* It has left the table, or never gets there, and readers alone keep its bytes: eviction has no say. */
static inline bool cache_is_kept(const struct hf_obj *obj)
{
	unsigned flags = atomic_load_explicit(&obj->flags, memory_order_relaxed);

	return obj->place == CACHE_PINNED ||
	       (obj->place == CACHE_LOOSE && (obj->serial > 0 || (flags & HF_OBJ_STREAM)));
}

static inline void cache_cost_add(struct hf_shard *shard, struct hf_obj *obj, uint64_t cost)
{
	obj->cost += cost;
	if (cache_is_kept(obj))
		shard->kept += cost;
}

static inline void cache_cost_sub(struct hf_shard *shard, struct hf_obj *obj, uint64_t cost)
{
	HF_ASSERT(obj->cost >= cost);
	obj->cost -= cost;
	if (cache_is_kept(obj))
		shard->kept -= cost;
}

/* cache_object.c */
void cache_object_free(struct hf_shard *shard, struct hf_obj *obj);

/* cache_freshen.c */

/* An object that shares its chain leaves the others; the chain is somebody else's then. False: it is
 * this object's alone. */
bool cache_body_leave(struct hf_shard *shard, struct hf_obj *obj);

/* cache_purge.c */

/* Does a hard purge of many under way want this object, of the table, gone? */
bool cache_purge_names(const struct hf_shard *shard, const struct hf_obj *obj);
/* Has the head a field of tags? */
bool cache_head_is_tagged(struct hf_span head);

/* cache_worth.c */

/* boot. 0 or -ENOMEM; *ret_len bytes of the arena. */
int cache_worth_init(struct hf_shard *shard, uint64_t objects_max, uint64_t *ret_len);
void cache_worth_fini(struct hf_shard *shard);
/* The next so many LINKED objects, or all, from *slot on, which moves on; returns how many. */
uint32_t cache_worth_next(
	struct hf_shard *shard, uint32_t *slot, struct hf_obj **ret_objs, uint32_t max);
/* Of LINKED objects the one that is worth least, of equals the one that is idle for longest. Takes all
 * their marks away. */
struct hf_obj *cache_worth_least(struct hf_shard *shard, struct hf_obj **objs, uint32_t count);
/* What a LINKED object is worth now. Takes its mark away. */
double cache_worth_now(struct hf_shard *shard, struct hf_obj *obj);
/* An object is LINKED; instead of OLD, of the same key and Vary values, or NULL. */
void cache_worth_enter(struct hf_shard *shard, struct hf_obj *obj, struct hf_obj *old);
/* A LINKED object will be evicted: remembers it. */
void cache_worth_leave(struct hf_shard *shard, const struct hf_obj *obj);
/* The slot is free. */
void cache_worth_unlink(struct hf_shard *shard, uint32_t slot);
/* Once after each object stored: looks at some and learns. */
void cache_worth_turn(struct hf_shard *shard);
void cache_worth_check(const struct hf_shard *shard);

/* cache_clear.c */

/* Evicts neighbours until `goal` bytes are returning, or some; false: found none. */
bool cache_clear(struct hf_shard *shard, uint64_t goal);

/* cache_evict.c */

/* A LINKED object leaves for room. */
void cache_evict(struct hf_shard *shard, struct hf_obj *obj);
/* `cost` bytes were refused. Starts the eviction that brings them, less what is returning. */
void cache_evict_for(struct hf_shard *shard, uint64_t cost);
/* A LINKED object that another word replaces or that leaves: all but its word in the table. */
void cache_retire(struct hf_shard *shard, struct hf_obj *obj);
/* The same with its word. */
void cache_unlink(struct hf_shard *shard, struct hf_obj *obj);
/* RETIRED objects that passed their grace period, and recalls that take too long. */
void cache_take_graced(struct hf_shard *shard);

#endif
