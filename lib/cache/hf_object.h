/* SPDX-License-Identifier: BSD-3-Clause
 *
 * object - one response: its head, its body as a chain of chunks, and who may touch it when.
 *
 * What      Every answer of an origin becomes an object, also one that may not be stored: that one
 *           never enters the table, has one reader and gives its memory back behind the reader.
 * Picture
 *      hf_obj [ hot lines | key | vary | head | small body ]      one block of the arena
 *         first -> hf_chunk -> hf_chunk -> ...                    HF_ARENA_CHUNK bytes each
 *
 *             new         commit        end          publish         unlink       last unref
 *      (none) ---> NEW/FILLING ---> FILLING ---> READY ---> in the table ---> RETIRED ---> freed
 *                                      |  \--publish: in the table, then READY --^
 *                                      \--fail--> FAILED
 * Threads   The owner is the origin thread of the object's shard: it alone writes, but for
 *           `touched` and `holders`, in which an lcore sets a bit when it is clear, and
 *           `refreshing`.
 * Lifetime  Numbered, so that reviews can cite them:
 *      O1  A pointer that hf_cache_lookup returned is borrowed: good until this lcore's next
 *          quiescent state. To keep it, take a lease in the same turn (hf_reader_lease).
 *      O2  A pointer that came with an exchange is good until this lcore posts FINISH for it.
 *      O3  Head, key, vary never change after the object left its builder. `filled` only grows;
 *          bytes below it never change. A READY object is immutable but for its flags.
 *      O4  The owner counts references in `owner_refs` (plain integer): table, fill, each exchange,
 *          each lcore whose lease was recalled. Freed at 0.
 *      O5  Leaving the table: unlink, then a grace period (reclaim thread), then every lcore in
 *          `holders` is asked (RECALL) and answers when its lease ended (RECALLED); then the
 *          table's reference goes. Grace ends borrowing, recall ends leases; both are needed.
 *      O6  Chunks of a streamed object (HF_OBJ_STREAM) behind every reader are freed while it
 *          fills; a reader at byte p may touch the chunk that holds byte p - 1, and no earlier one.
 *          Its bytes are sent by copy, never attached to a packet.
 *      O7  Objects that freshening made of one another share one chain of chunks, which is freed
 *          with the last of them. It counts as the newest one's (cost), and when that one is freed
 *          as the next older one's. Each is freed as soon as nobody needs it, whatever becomes of
 *          the others.
 *      O8  What is not stored may be one client's alone: every block of an object with
 *          HF_OBJ_STREAM (head, chunks) is wiped when it is freed, so that it is nowhere in the
 *          cache's memory afterwards.
 */
#ifndef HF_OBJECT_H
#define HF_OBJECT_H

#include <stdatomic.h>

#include "hf_base.h"
#include "hf_cache_rules.h"
#include "hf_list.h"

#define HF_OBJ_LENGTH_UNKNOWN UINT64_MAX
#define HF_CHUNK_SKIP         64

struct hf_chunk {
	struct hf_chunk *next; /* valid once `filled` is beyond this chunk's end */
	/* HF_CHUNK_SKIP chunks ahead, or NULL: so that a range far into a body is found fast */
	_Atomic(struct hf_chunk *) skip;
	struct hf_chunk *skip_from; /* the owner's: the last chunk that can have a skip */
	uint64_t begin;             /* offset of data[0] in the body */
	uint16_t cap;               /* bytes data can hold */
	uint16_t alloc_len;         /* bytes of the arena block; 0: inside the object's own */
	uint16_t skip_distance;     /* chunks behind skip_from */
	uint8_t data[] HF_ALIGNED(8);
};

enum hf_obj_state { HF_OBJ_FILLING, HF_OBJ_READY, HF_OBJ_FAILED };

enum hf_obj_flags {
	HF_OBJ_STREAM = 1 << 0,    /* not stored: memory goes back behind the readers */
	HF_OBJ_AUTH_OK = 1 << 1,   /* may answer requests with Authorization (RFC 9111 §3.5) */
	HF_OBJ_NO_BODY = 1 << 2,   /* answer to HEAD, 204, 304: no body */
	HF_OBJ_TAGGED = 1 << 3,    /* its head has Surrogate-Key or Cache-Tag */
	HF_OBJ_STALE = 1 << 4,     /* soft purge: as if its lifetime were over (hf_obj_use) */
	HF_OBJ_SECRET_OK = 1 << 5, /* stored by a route that lets URLs with secrets be */
	HF_OBJ_WHOLE =
		1 << 6, /* every byte of a known length is there, the last one not shown yet */
};

/* How it was asked for while eviction looked (cache_worth.c). */
struct hf_obj_past {
	uint8_t touches;      /* how often, as far as that counts */
	uint8_t interval_bin; /* the mean time between (cache_rates.h) */
};

struct hf_obj {
	/* line 0: what a lookup reads */
	uint64_t hash;
	const char *key;
	const char *vary; /* hf_cache_vary_build's records */
	uint32_t key_len;
	uint32_t vary_len;
	int64_t born_us;           /* monotonic; now - born is the current age (RFC 9111 §4.2.3) */
	struct hf_cache_life life; /* judged against the age: hf_cache_fresh_for */
	_Atomic uint32_t stale_age_s; /* HF_OBJ_STALE: how old it was when it became that */
	/* line 1: what sending reads */
	uint16_t status HF_ALIGNED(HF_CACHE_LINE);
	/* enum hf_obj_flags; the owner may set STREAM (to_stream) and STALE (make_stale) later */
	_Atomic uint16_t flags;
	_Atomic uint8_t
		touched; /* read since eviction last looked; set by lcores, only when clear */
	/* whether a refresh in the background is under way: hf_obj_refresh_take */
	_Atomic uint8_t refreshing;
	struct hf_obj_past past; /* the owner's */
	uint64_t serial;         /* order of publication in the shard */
	const char *head;        /* status line and fields, no final CRLF */
	uint32_t head_len;
	_Atomic uint32_t state; /* enum hf_obj_state */
	/* of the body; HF_OBJ_LENGTH_UNKNOWN until READY if the origin did not say */
	_Atomic uint64_t length;
	struct hf_chunk *first;  /* valid once filled > 0 */
	_Atomic uint64_t filled; /* body bytes that can be read */
	_Atomic uint64_t
		holders; /* bit i: worker i may hold a lease; set by worker i, only when clear */
	/* line 2: the owner's */
	struct hf_list queue HF_ALIGNED(HF_CACHE_LINE);
	union {
		struct hf_obj *next_retired; /* while RETIRED */
		struct {
			uint32_t touched_at, seen_at; /* while in the table (cache_worth.c) */
		};
		uint64_t recall_mask; /* else: workers whose RECALL is not posted yet */
	};
	union {
		struct hf_chunk *last; /* of a chain that is this object's */
		struct hf_obj *newer;  /* when `lent`: the object after it of those that share */
	};
	struct hf_obj *older; /* the object before it of those that share the chain (O7) */
	uint64_t cost;        /* bytes of the arena: this block, and the chain unless it is lent */
	uint32_t alloc_len;   /* of this block */
	uint32_t owner_refs;
	union {
		uint32_t slot;     /* where in the table, while in it */
		uint32_t recalled; /* low bits of the time (us) of its last RECALL, later */
	};
	uint8_t place; /* enum cache_place */
	uint8_t shard;
	bool lent;   /* the chain belongs to a newer object */
	bool purged; /* it, or what it was freshened from, was purged: not to be published */
};

HF_STATIC_ASSERT(sizeof(struct hf_obj) == 3 * HF_CACHE_LINE, "per-object overhead");

/* Its body is whole, and readers may see its end. Any thread. */
static inline bool hf_obj_is_ready(const struct hf_obj *obj)
{
	return atomic_load_explicit(&obj->state, memory_order_acquire) == HF_OBJ_READY;
}

/* Age in whole seconds (RFC 9111 §4.2.3), 0 at least. */
static inline uint32_t hf_obj_age_s(const struct hf_obj *obj, uint64_t now_us)
{
	int64_t age_us = (int64_t)now_us - obj->born_us;

	return age_us <= 0 ? 0 : (uint32_t)hf_min_u64((uint64_t)age_us / 1000000, UINT32_MAX);
}

/* The owner: its lifetime ends now, if it has not ended before. */
static inline void hf_obj_make_stale(struct hf_obj *obj, uint64_t now_us)
{
	if (atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_STALE)
		return;
	atomic_store_explicit(&obj->stale_age_s, hf_obj_age_s(obj, now_us), memory_order_relaxed);
	atomic_fetch_or_explicit(&obj->flags, HF_OBJ_STALE, memory_order_release);
}

/* The age by which an object's life is judged (hf_cache_fresh_for, hf_cache_stale_is_valid): that
 * of a soft-purged one was its lifetime when it was purged, or more. What a client is told is
 * hf_obj_age_s. */
static inline uint32_t hf_obj_life_age_s(const struct hf_obj *obj, uint64_t now_us)
{
	uint32_t age_s = hf_obj_age_s(obj, now_us);
	uint64_t judged_s = obj->life.lifetime_s;

	if (!(atomic_load_explicit(&obj->flags, memory_order_acquire) & HF_OBJ_STALE))
		return age_s;
	judged_s += age_s;
	judged_s -=
		hf_min_u32(age_s, atomic_load_explicit(&obj->stale_age_s, memory_order_relaxed));
	return (uint32_t)hf_min_u64(hf_max_u64(age_s, judged_s), UINT32_MAX);
}

/* May the object be used now for this request? REQ may be NULL: no directives. */
static inline enum hf_cache_use hf_obj_use(
	const struct hf_obj *obj, const struct hf_http_cc *req, uint64_t now_us)
{
	uint32_t age_s = hf_obj_life_age_s(obj, now_us);

	/* nearly always, and what hf_cache_fresh_for says then */
	if (age_s < obj->life.lifetime_s && !obj->life.must_validate &&
		(!req || !(req->no_cache || req->has_max_age || req->has_min_fresh)))
		return HF_CACHE_USE_FRESH;
	return hf_cache_fresh_for(&obj->life, req, age_s);
}

/* May it answer a request with credentials (RFC 9111 §3.5), or with a secret in its URL? */
static inline bool hf_obj_is_open_to(const struct hf_obj *obj, const struct hf_cache_req *req)
{
	unsigned flags = atomic_load_explicit(&obj->flags, memory_order_relaxed);

	return (!req->has_authorization || (flags & HF_OBJ_AUTH_OK)) &&
	       (!req->has_secret_query || (flags & HF_OBJ_SECRET_OK));
}

/* ---- stale-while-revalidate: one refresh an object, and after one that brought nothing none
 * within the same second ---- */

#define HF_OBJ_REFRESH_IDLE 0
#define HF_OBJ_REFRESH_ON   1

static inline uint8_t hf_obj_refresh_pause(uint64_t now_us)
{
	return (uint8_t)(2 + now_us / 1000000 % (UINT8_MAX - 1));
}

/* Any lcore: true for the one that has to ask for it. */
static inline bool hf_obj_refresh_take(struct hf_obj *obj, uint64_t now_us)
{
	uint8_t seen = atomic_load_explicit(&obj->refreshing, memory_order_relaxed);

	if (seen == HF_OBJ_REFRESH_ON || seen == hf_obj_refresh_pause(now_us))
		return false;
	return atomic_compare_exchange_strong_explicit(&obj->refreshing, &seen, HF_OBJ_REFRESH_ON,
		memory_order_relaxed, memory_order_relaxed);
}

/* It came to nothing: whoever has it to do. */
static inline void hf_obj_refresh_put(struct hf_obj *obj, uint64_t now_us)
{
	atomic_store_explicit(&obj->refreshing, hf_obj_refresh_pause(now_us), memory_order_relaxed);
}

/* The body of a READY object when all of it is one run; else, and when there is none, len 0. */
static inline struct hf_span hf_obj_body(const struct hf_obj *obj)
{
	uint64_t len = atomic_load_explicit(&obj->length, memory_order_relaxed);

	HF_ASSERT_HOT(hf_obj_is_ready(obj));
	if (!obj->first || len > obj->first->cap)
		return (struct hf_span){ NULL, 0 };
	return (struct hf_span){ (const char *)obj->first->data, (size_t)len };
}

/* Where a reader is in a body. Zeroed: at the start. lcore. */
struct hf_obj_cursor {
	const struct hf_chunk *chunk;
	uint64_t pos;
};

/* The next readable run of bytes, at most `max`, without moving; len 0: nothing more now. */
struct hf_span hf_obj_peek(const struct hf_obj *obj, struct hf_obj_cursor *cursor, size_t max);

static inline void hf_obj_advance(struct hf_obj_cursor *cursor, size_t len)
{
	cursor->pos += len;
}

/* Copies the next bytes, at most `max`, and moves behind them; how many. */
size_t hf_obj_read(
	const struct hf_obj *obj, struct hf_obj_cursor *cursor, char *to, size_t max) HF_MUST_CHECK;

/* Every byte that will ever come is behind the cursor (acquires `state` before `filled`). */
bool hf_obj_at_end(const struct hf_obj *obj, const struct hf_obj_cursor *cursor);

#endif
