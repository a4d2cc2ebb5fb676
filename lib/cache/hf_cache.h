/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache - find a stored response for a request; store, replace, evict, purge.
 *
 * What      The table is cut into shards by key; each shard belongs to one origin thread, which
 *           alone writes its table and its objects. Lcores only read.
 * Picture
 *      key hash --high bits--> shard --> 2 candidate buckets of 8 words, one cache line each
 *                                        word = tag (16 bits) | pointer (48 bits, of which the low 6
 *                                        are how many lines to fetch) -> hf_obj
 *           The variants of one key are several words with one tag.
 *           No free word in both buckets: of their objects the one that is worth least gives way.
 *           Eviction: of 32 objects the one that is worth least, by its size and by what the shard
 *           learnt of how objects are asked for (cache_worth.c); one byte is set on a hit. When the
 *           arena is in fragments: neighbours (cache_clear.c).
 * Threads   hf_cache_lookup, hf_reader_*: the lcore that owns the reader. hf_shard_*: the origin
 *           thread that owns the shard. hf_cache_reclaim_step: the reclaim thread.
 * Lifetime  of objects: hf_object.h. Of tables: boot to exit, fixed size.
 * Promises  C1 a lookup after publish returned, ordered by a ring message, sees that object or a
 *           newer one; so does one by who has seen the end of its body, if publish showed it.  C2 a
 *           borrowed object is readable until this lcore's quiescent state, a leased one until the
 *           lease's reference is put.  C3 keys are compared whole, never only hashes.  C4 a lookup
 *           writes nothing but `touched` and `holders`, each only when clear.  C5 memory in use
 *           never exceeds the arena; a table, its objects, fills and streams all count.  C6 after
 *           hf_shard_purge returned, or a walk ended, and a grace period, no lcore finds what was
 *           purged, nor what was freshened from it.
 * Limits    objects_max = memory / 1 KiB; HF_CACHE_VARIANTS_MAX variants a key, the oldest gives
 *           way. An object takes at most 256 bytes beyond key, Vary values, head and body (struct
 *           192, its first chunk's header 40, alignment 7, table 8, 8 when it has left), and 40 for
 *           each further chunk of 14 KiB. Rounding to the arena's size classes: a fifth of it at
 *           most, less than a tenth in the mean. Table and eviction: at most a thirtieth of the
 *           memory, from the beginning. Idle between objects, whatever sizes come after one
 *           another: at most about a quarter of the memory.
 * Tests     tests/unit/cache, tests/sim/cache_races.c, tests/sim/cache_churn.c, perf/evict_sim
 */
#ifndef HF_CACHE_H
#define HF_CACHE_H

#include "hf_arena.h"
#include "hf_base.h"
#include "hf_http.h"
#include "hf_object.h"
#include "hf_par.h"
#include "hf_ref.h"

#define HF_CACHE_VARIANTS_MAX 8
#define HF_CACHE_RECALLS_MAX  1024 /* RECALLs of a shard under way to one worker */
#define HF_PURGE_STEP         256  /* slots of the table that a purge looks at in one turn */

struct hf_cache;
struct hf_shard;
struct hf_reader;

struct hf_cache_cfg {
	struct hf_arena *arena;
	uint32_t shards;     /* origin threads */
	uint32_t workers;    /* lcores: 1-63 */
	uint32_t leases_max; /* per worker */
};

/* boot */
int hf_cache_new(const struct hf_cache_cfg *cfg, struct hf_err *err,
	struct hf_cache **ret_cache) HF_MUST_CHECK;
/* After every other thread has stopped. */
void hf_cache_free(struct hf_cache *cache);

struct hf_key {
	const char *ptr; /* normalised URL, hf_http_key_build */
	uint32_t len;
	uint64_t hash;
};

/* Any thread. */
uint64_t hf_cache_hash(const struct hf_cache *cache, const char *key, uint32_t len);
uint32_t hf_cache_shard_index(const struct hf_cache *cache, uint64_t hash);
struct hf_shard *hf_cache_shard(struct hf_cache *cache, uint32_t index);

/* lcore ---------------------------------------------------------------------------------------- */

enum hf_lookup { HF_LOOKUP_FOUND, HF_LOOKUP_ABSENT, HF_LOOKUP_VARY };

/* The stored response whose key and Vary fields match REQ; borrowed (O1), fresh or not: the caller
 * judges. NULL with the reason why. */
struct hf_obj *hf_cache_lookup(struct hf_cache *cache, const struct hf_key *key,
	const struct hf_http_req *req, enum hf_lookup *ret_verdict);
/* A lookup in three steps, so that several wait for memory together, all in one turn. Begin: where the key would be, and
 * those lines are on their way; fetch: the object is; any: the stored response of that key whatever fields a request
 * has, NULL also when it depends on them. */
struct hf_cache_spot {
	const struct cache_bucket *first, *second;
};
void hf_cache_spot_begin(
	const struct hf_cache *cache, uint64_t hash, struct hf_cache_spot *ret_spot);
void hf_cache_spot_fetch(const struct hf_cache_spot *spot, uint64_t hash);
struct hf_obj *hf_cache_spot_any(const struct hf_cache_spot *spot, const struct hf_key *key);
/* The object answered a request. */
static inline void hf_obj_touch(struct hf_obj *obj)
{
	if (!atomic_load_explicit(&obj->touched, memory_order_relaxed))
		atomic_store_explicit(&obj->touched, 1, memory_order_relaxed);
}

/* What a worker holds on an object beyond its turn. One a worker and object, however often
 * taken. */
struct hf_lease {
	struct hf_ref ref;
	struct hf_obj *obj;
	struct hf_reader *reader;
	struct hf_list link; /* in the reader's hash chain, or its list of ended recalls */
	bool recalled;
};

struct hf_reader *hf_cache_reader(struct hf_cache *cache, uint32_t worker);
/* One more reference on this worker's lease of a borrowed object: hf_ref_put(&lease->ref) ends it.
 * NULL when no lease is free. */
struct hf_lease *hf_reader_lease(struct hf_reader *reader, struct hf_obj *obj);
/* RECALL arrived. True: no lease, answer RECALLED at once. False: hf_reader_released will tell. */
bool hf_reader_recall(struct hf_reader *reader, struct hf_obj *obj);
/* The next object whose recalled lease has ended, to be answered with RECALLED; NULL: none. */
struct hf_obj *hf_reader_released(struct hf_reader *reader);
/* Of any reference: is it on a lease that was asked back? */
bool hf_lease_is_recalled(const struct hf_ref *ref);
/* Readers keep so much of a shard's memory out of eviction's reach that little is left: from seven
 * eighths on, until it is three quarters again. */
bool hf_cache_is_short(const struct hf_cache *cache);

/* origin thread -------------------------------------------------------------------------------- */

struct hf_obj_spec {
	struct hf_key key; /* len 0 for a stream */
	struct hf_span vary;
	struct hf_span head;
	uint64_t length; /* or HF_OBJ_LENGTH_UNKNOWN */
	int64_t born_us; /* when the head arrived, less the initial age */
	struct hf_cache_life life;
	uint16_t status, flags;
};

/* A FILLING object with one owner reference, for the fill; everything in spec is copied. A short
 * body of known length gets its room in the same block. NULL: no memory now; eviction has been
 * started, try again after hf_shard_work reported progress. */
struct hf_obj *hf_shard_obj_new(struct hf_shard *shard, const struct hf_obj_spec *spec);
void hf_shard_obj_ref(struct hf_shard *shard, struct hf_obj *obj);
void hf_shard_obj_unref(struct hf_shard *shard, struct hf_obj *obj);
/* Copies as much of data as memory allows; returns how much. Less than len: as for obj_new. Readers
 * see the bytes when it returns, but the last one of what has a known length and is no stream: that
 * one they see when it is published, or ended. */
size_t hf_shard_fill(struct hf_shard *shard, struct hf_obj *obj, const void *data, size_t len);
/* The body is whole, and not to be found because of this: READY, length known. */
void hf_shard_fill_end(struct hf_shard *shard, struct hf_obj *obj);
void hf_shard_fill_fail(struct hf_shard *shard, struct hf_obj *obj);
/* An object being filled will not be stored after all (too large, no memory): becomes a stream. */
void hf_shard_to_stream(struct hf_shard *shard, struct hf_obj *obj);
/* Stream: every reader is done with the bytes before `consumed`; frees chunks (O6). */
void hf_shard_trim(struct hf_shard *shard, struct hf_obj *obj, uint64_t consumed);
/* A whole object goes into the table (which takes a reference); what was stored for the same key
 * and Vary values is unlinked. Then one that was FILLING is READY, so that who sees its end finds
 * it; in between lookups find neither. Nothing happens when it was freshened from what a hard purge
 * took, or a purge of many under way is to take. */
void hf_shard_publish(struct hf_shard *shard, struct hf_obj *obj);
/* The stored response that a lookup of REQ would find, borrowed until the end of this turn;
 * hf_shard_obj_ref keeps it longer. NULL: none, or one that a hard purge of many under way is to
 * take. */
struct hf_obj *hf_shard_lookup(
	struct hf_shard *shard, const struct hf_key *key, const struct hf_http_req *req);
/* RFC 9111 §4.3.4: OLD's status and body under the head, life and birth of SPEC; of SPEC's flags
 * HF_OBJ_AUTH_OK and HF_OBJ_SECRET_OK count, its key, Vary values, status and length do not. OLD is
 * READY, or its last byte is not shown yet, whether or not it is in the table still, and stays as
 * it is for its readers. The new object is READY, with one owner reference, and to be published;
 * unless the body is short enough for a copy the two share it (O7). NULL: no memory, as for
 * obj_new. */
struct hf_obj *hf_shard_obj_freshen(
	struct hf_shard *shard, struct hf_obj *old, const struct hf_obj_spec *spec);
/* Unlinks every variant of the key, or with `soft` marks them stale (HF_OBJ_STALE); returns how
 * many, those that were stale already too. */
uint32_t hf_shard_purge(struct hf_shard *shard, const struct hf_key *key, bool soft);
/* Unlinks one variant: what the origin says now may not stand for it any more. False: it was not in
 * the table. */
bool hf_shard_remove(struct hf_shard *shard, struct hf_obj *obj);

enum hf_purge {
	HF_PURGE_ALL,
	HF_PURGE_PREFIX, /* of the key */
	HF_PURGE_PATH,   /* of the key's path, whatever its host */
	HF_PURGE_TAG,    /* one of Surrogate-Key or Cache-Tag */
};

#define HF_PURGE_TAG_MAX  1024
#define HF_PURGE_TEXT_MAX 16384

/* A purge of many: a walk through the table, some slots at a call, so that nobody waits for it.
 * What is published after it began stays; what is freshened from an object that is to go is not
 * published, unless `soft` (it was validated). Who had begun to fetch or to validate before the
 * walk did is for the caller to find: hf_purge_matches. When it is at its end no lcore finds what
 * it named (C6). */
struct hf_purge_walk {
	/* the caller's */
	enum hf_purge kind;
	bool soft;           /* mark stale instead of unlinking */
	struct hf_span text; /* prefix or tag */
	/* the shard's, from begin on */
	struct hf_list link; /* in its list of walks under way */
	uint64_t serial;     /* up to which objects were there when it began */
	uint64_t slot;       /* where it is */
	uint64_t count;      /* objects purged so far */
};

/* What is to be purged, as keys and fields spell it, in BUF (HF_PURGE_TEXT_MAX bytes are enough for
 * 8 KiB); TAG stands for itself. "http://host[:port][/path]": the length of the key. A prefix is
 * the beginning of one, where the host is whole, or a path of any host: kind and text. Else
 * -EINVAL. */
int hf_purge_url(const char *url, char *buf, size_t cap, struct hf_err *err) HF_MUST_CHECK;
int hf_purge_prefix(const char *prefix, char *buf, size_t cap, struct hf_purge_walk *ret_walk,
	struct hf_err *err) HF_MUST_CHECK;
int hf_purge_tag(const char *tag, struct hf_purge_walk *ret_walk, struct hf_err *err) HF_MUST_CHECK;

/* WALK and its text must stay until a step has returned true, or the shard is not used any more. */
void hf_shard_purge_begin(struct hf_shard *shard, struct hf_purge_walk *walk);
/* At most HF_PURGE_STEP slots, in one turn. True: the walk is at its end. */
bool hf_shard_purge_step(struct hf_shard *shard, struct hf_purge_walk *walk);
/* Does it name this object? For what is not in the table yet. Tags count whole, case and all; an
 * empty one names nothing. */
bool hf_purge_matches(const struct hf_purge_walk *walk, const struct hf_obj *obj);
/* The same for whatever is stored under a key; never by tag. */
bool hf_purge_names_key(const struct hf_purge_walk *walk, struct hf_span key);
/* The same for an answer that is no object yet, by tag. */
bool hf_purge_fields_have(const struct hf_http_fields *fields, struct hf_span tag);
/* Calls fn for each tag, as often as it stands there. */
void hf_obj_each_tag(
	const struct hf_obj *obj, void (*fn)(void *arg, struct hf_span tag), void *arg);
/* Calls fn for each object that FILTER names (kind and text), from slot *SLOT on, until fn returns
 * false or HF_PURGE_STEP slots were looked at. *SLOT: where to go on. True: the table is at its
 * end. */
bool hf_shard_list_step(struct hf_shard *shard, const struct hf_purge_walk *filter, uint64_t *slot,
	bool (*fn)(void *arg, const struct hf_obj *obj), void *arg);
/* Calls fn for each variant of the key, in table order. The object must not be kept. */
void hf_shard_each_variant(struct hf_shard *shard, const struct hf_key *key,
	void (*fn)(void *arg, const struct hf_obj *obj), void *arg);
/* Takes back what passed its grace period, and evicts ahead so that a reserve stays free. Once per
 * turn of the origin thread. True: memory came free since the last call. */
bool hf_shard_work(struct hf_shard *shard, uint64_t now_us);
/* Objects have passed their grace period and wait for the next turn's work (a turn takes a bounded
 * number): the owner must not sleep. To be asked after hf_waker_sleep_begin. */
bool hf_shard_has_work(const struct hf_shard *shard);
/* The next RECALL to post: object and worker; false: none. Posting is the caller's. */
bool hf_shard_recall_next(struct hf_shard *shard, struct hf_obj **ret_obj, uint32_t *ret_worker);
/* A worker answered RECALLED. */
void hf_shard_recalled(struct hf_shard *shard, struct hf_obj *obj, uint32_t worker);
/* The largest body this shard stores, whatever the configuration says: half of its memory. */
uint64_t hf_shard_object_max(const struct hf_shard *shard);
/* Is there room for so much more before anything would have to leave? */
bool hf_shard_has_room(const struct hf_shard *shard, uint64_t cost);
/* The waker to use when a grace period ended. boot. */
void hf_shard_waker_set(struct hf_shard *shard, struct hf_waker *waker);
/* Asserts table, queue, references and sums; the owner, or tests. */
void hf_shard_check(struct hf_shard *shard);

/* after every other thread has stopped --------------------------------------------------------- */

struct hf_cache_rank {
	double worth;
	const struct hf_obj *obj;
};

/* All that is stored, worthiest first; *ret_ranks is the caller's to free. -ENOMEM. */
int hf_cache_rank(struct hf_cache *cache, struct hf_cache_rank **ret_ranks,
	uint64_t *ret_count) HF_MUST_CHECK;

/* reclaim thread ------------------------------------------------------------------------------- */

/* One grace period for what is retired, of the shards whose owners have taken what had one before.
 * False: nothing is retired. True: it may be that nothing could be done yet, so a pause is due
 * before the next step. Blocks. */
bool hf_cache_reclaim_step(struct hf_cache *cache);
/* Readable when something was retired. */
struct hf_waker *hf_cache_reclaim_waker(struct hf_cache *cache);

#endif
