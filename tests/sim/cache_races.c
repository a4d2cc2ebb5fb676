/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache_races - real threads at one small cache: workers that look up, lease and read; owners that
 * publish, replace, freshen, purge one and many, stream and evict; the reclaim thread between them.
 *
 *   cache_races [--seconds N] [--keys N] [--memory KIB] [--seed K]
 *
 * Half of all steps are about the first few keys, as in the world: the n-th is asked for about 1/n as
 * often as the first. Every body begins with its key, version, length and a checksum over them, and goes on with bytes
 * that follow from these. A worker that reads anything else, an older version than was published
 * before its lookup began, or than it has read to its end while it came (C1), or one that was purged
 * before (C6), ends the program with 1.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_cache.h"

#define RACE_WORKERS  2
#define RACE_OWNERS   2
#define RACE_KEYS_MAX 16384
#define RACE_KEYS_HOT 8
#define RACE_HELD     32
#define RACE_FLOWS    4
#define RACE_ASKED    16
#define RACE_TAGS     5
#define RACE_RING     4096
#define RACE_PATTERN  65536
#define RACE_BODY_MAX 48000

enum race_msg { RACE_RECALL, RACE_RECALLED, RACE_FLOW, RACE_FLOW_DONE };

struct race_head {
	uint64_t key, version, len, sum;
};

/* A body that one worker reads while its owner fills it: what an exchange is in the program. */
struct race_flow {
	struct hf_obj *obj;
	bool kept; /* stored at its end; else a stream */
	uint64_t key, version, len, done;
	uint32_t worker;
	bool posted;
	_Atomic uint64_t consumed;
	struct hf_obj_cursor cursor;
};

struct race_held {
	struct hf_lease *lease;
	uint64_t key, version, len;
	uint32_t turns;
};

struct race_worker {
	pthread_t thread;
	struct hf_reader *reader;
	struct race_held held[RACE_HELD];
	struct race_flow *flows[RACE_OWNERS * RACE_FLOWS];
	uint64_t rand, hits, misses, leases, recalls, streamed, ends;
	uint32_t index;
};

/* An object whose origin is being asked whether it is still good. */
struct race_asked {
	struct hf_obj *obj;
	uint64_t key, version;
	uint32_t turns;
	bool purged; /* meanwhile */
};

struct race_owner {
	pthread_t thread;
	struct hf_shard *shard;
	struct hf_waker waker;
	struct race_flow flows[RACE_FLOWS];
	struct race_asked asked[RACE_ASKED];
	struct hf_purge_walk walk;
	bool walking;
	char tag[8];                       /* that the walk names */
	uint64_t walk_from[RACE_KEYS_MAX]; /* versions that were there when it began */
	uint64_t rand, published, refused, purged, freshened, walked;
	uint32_t index;
};

struct race {
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_ring *to_owner[RACE_WORKERS][RACE_OWNERS];
	struct hf_ring *to_worker[RACE_WORKERS][RACE_OWNERS];
	struct race_worker workers[RACE_WORKERS];
	struct race_owner owners[RACE_OWNERS];
	char names[RACE_KEYS_MAX][24];
	char heads[RACE_KEYS_MAX][48];
	struct hf_key keys[RACE_KEYS_MAX];
	_Atomic uint64_t published[RACE_KEYS_MAX]; /* set when publish has returned */
	_Atomic uint64_t purged[RACE_KEYS_MAX];    /* the last version that a purge removed */
	uint64_t version[RACE_KEYS_MAX];           /* the owner's */
	char pattern[2 * RACE_PATTERN];
	_Atomic bool stop, reclaim_stop;
	_Atomic uint32_t owners_left;
	uint64_t seed, key_count, memory;
};

static struct race race = { .key_count = 600, .memory = 2UL << 20 };
static const struct hf_http_req race_req;

static void race_fail(const char *what, uint64_t a, uint64_t b)
{
	fprintf(stderr, "cache_races: %s (%llu, %llu); --seed %llu\n", what, (unsigned long long)a,
		(unsigned long long)b, (unsigned long long)race.seed);
	_exit(1);
}

static uint64_t race_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t race_rand(uint64_t *state, uint64_t n)
{
	*state += 0x9e3779b97f4a7c15;
	return race_mix(*state) % n;
}

static uint64_t race_key(uint64_t *state)
{
	uint64_t among = race.key_count >> race_rand(state, 12);

	return race_rand(state, hf_max_u64(among, RACE_KEYS_HOT));
}

static const char *race_bytes(uint64_t key, uint64_t version, uint64_t at)
{
	return race.pattern + (race_mix(key * 1000003 + version) + at) % RACE_PATTERN;
}

static struct race_head race_head_of(uint64_t key, uint64_t version, uint64_t len)
{
	return (struct race_head){ key, version, len, race_mix(key ^ race_mix(version ^ len)) };
}

/* ---- worker ---- */

/* Reads what can be read of a body and compares it. Returns the version that it claims. */
static uint64_t worker_verify(const struct hf_obj *obj, struct hf_obj_cursor *cursor, uint64_t key,
	uint64_t version, uint64_t len)
{
	struct race_head head = race_head_of(key, version, len);
	struct hf_span span;

	while ((span = hf_obj_peek(obj, cursor, RACE_PATTERN)).len > 0) {
		uint64_t at = cursor->pos;

		for (; span.len > 0 && at < sizeof(head); at++, span.ptr++, span.len--) {
			if (*span.ptr != ((const char *)&head)[at])
				race_fail("a wrong byte in the head", key, at);
		}
		if (memcmp(span.ptr, race_bytes(key, version, at), span.len) != 0)
			race_fail("a wrong byte", key, at);
		cursor->pos = at + span.len;
	}
	return version;
}

static void worker_verify_all(
	const struct hf_obj *obj, uint64_t key, uint64_t version, uint64_t len)
{
	struct hf_obj_cursor cursor = { 0 };

	(void)worker_verify(obj, &cursor, key, version, len);
	if (cursor.pos != len || !hf_obj_at_end(obj, &cursor))
		race_fail("a body of another length", len, cursor.pos);
}

static void worker_let_go(struct race_worker *worker, struct race_held *held)
{
	(void)worker;
	worker_verify_all(held->lease->obj, held->key, held->version, held->len);
	hf_ref_put(&held->lease->ref);
	held->lease = NULL;
}

static void worker_hold(
	struct race_worker *worker, struct hf_obj *obj, const struct race_head *head)
{
	struct race_held *held = &worker->held[race_rand(&worker->rand, RACE_HELD)];

	if (held->lease)
		return;
	held->lease = hf_reader_lease(worker->reader, obj);
	if (!held->lease)
		return;
	worker->leases++;
	held->key = head->key;
	held->version = head->version;
	held->len = head->len;
	held->turns = (uint32_t)race_rand(&worker->rand, race_rand(&worker->rand, 8) ? 50 : 20000);
}

static void worker_get(struct race_worker *worker)
{
	uint64_t k = race_key(&worker->rand);
	uint64_t least = atomic_load_explicit(&race.published[k], memory_order_acquire);
	uint64_t purged = atomic_load_explicit(&race.purged[k], memory_order_acquire);
	enum hf_lookup verdict;
	struct hf_obj *obj = hf_cache_lookup(race.cache, &race.keys[k], &race_req, &verdict);
	struct race_head head;
	struct hf_obj_cursor cursor = { 0 };

	if (!obj) {
		worker->misses++;
		return;
	}
	worker->hits++;
	memcpy(&head, hf_obj_peek(obj, &cursor, sizeof(head)).ptr, sizeof(head));
	if (head.key != k || head.len != atomic_load(&obj->length))
		race_fail("another key's body", k, head.key);
	if (head.version < least)
		race_fail("an older version than was published", head.version, least);
	if (head.version <= purged)
		race_fail("a purged version", head.version, purged);
	worker_verify_all(obj, k, head.version, head.len);
	if (obj->head_len != strlen(race.heads[k]) ||
		memcmp(obj->head, race.heads[k], obj->head_len) != 0)
		race_fail("another key's head", k, obj->head_len);
	hf_obj_touch(obj);
	if (race_rand(&worker->rand, 3) == 0)
		worker_hold(worker, obj, &head);
}

static void worker_post(struct race_worker *worker, uint32_t owner, enum race_msg kind, void *ptr)
{
	if (!hf_ring_post(race.to_owner[worker->index][owner], (struct hf_msg){ ptr, kind, 0 }))
		race_fail("ring to owner full", owner, kind);
}

static void worker_take(struct race_worker *worker, uint32_t owner)
{
	struct hf_msg msgs[64];
	uint32_t count = hf_ring_drain(race.to_worker[worker->index][owner], msgs, 64);

	for (uint32_t i = 0; i < count; i++) {
		if (msgs[i].kind == RACE_RECALL) {
			worker->recalls++;
			if (hf_reader_recall(worker->reader, msgs[i].ptr))
				worker_post(worker, owner, RACE_RECALLED, msgs[i].ptr);
			continue;
		}
		for (uint32_t j = 0;; j++) {
			if (worker->flows[j])
				continue;
			worker->flows[j] = msgs[i].ptr;
			break;
		}
	}
}

/* C1: who has seen the end of what is stored finds it, or a newer one. */
static void worker_flow_end(struct race_worker *worker, const struct race_flow *flow)
{
	enum hf_lookup verdict;
	struct hf_obj *obj =
		hf_cache_lookup(race.cache, &race.keys[flow->key], &race_req, &verdict);
	struct hf_obj_cursor cursor = { 0 };
	struct race_head head;

	if (!obj)
		return;
	memcpy(&head, hf_obj_peek(obj, &cursor, sizeof(head)).ptr, sizeof(head));
	if (head.version < flow->version)
		race_fail("an older version than was read", head.version, flow->version);
	worker->ends++;
}

static void worker_flow(struct race_worker *worker, struct race_flow **slot)
{
	struct race_flow *flow = *slot;
	uint64_t from = flow->cursor.pos;
	bool at_end;

	(void)worker_verify(flow->obj, &flow->cursor, flow->key, flow->version, flow->len);
	worker->streamed += flow->cursor.pos - from;
	atomic_store_explicit(&flow->consumed, flow->cursor.pos, memory_order_release);
	at_end = flow->cursor.pos == atomic_load_explicit(&flow->obj->length, memory_order_acquire);
	if (!at_end && race_rand(&worker->rand, 4000) != 0)
		return;
	if (flow->kept && at_end)
		worker_flow_end(worker, flow);
	*slot = NULL; /* at its end, or the client has left */
	worker_post(worker, flow->obj->shard, RACE_FLOW_DONE, flow);
}

static void worker_turn(struct race_worker *worker, bool stopping)
{
	struct hf_obj *obj;

	for (uint32_t i = 0; i < RACE_OWNERS; i++)
		worker_take(worker, i);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(worker->flows); i++) {
		if (worker->flows[i])
			worker_flow(worker, &worker->flows[i]);
	}
	for (int i = 0; i < 8 && !stopping; i++)
		worker_get(worker);
	for (uint32_t i = 0; i < RACE_HELD; i++) {
		struct race_held *held = &worker->held[i];

		if (held->lease && (stopping || held->turns-- == 0))
			worker_let_go(worker, held);
	}
	while ((obj = hf_reader_released(worker->reader)) != NULL)
		worker_post(worker, obj->shard, RACE_RECALLED, obj);
}

static void *worker_main(void *arg)
{
	struct race_worker *worker = arg;

	hf_thread_enter(HF_THREAD_LCORE, "worker");
	hf_rcu_register();
	while (atomic_load(&race.owners_left) > 0) {
		worker_turn(worker, atomic_load(&race.stop));
		hf_rcu_quiescent();
		if (race_rand(&worker->rand, 64) == 0) {
			hf_rcu_offline(); /* as around a sleep */
			sched_yield();
			hf_rcu_online();
		}
	}
	hf_rcu_unregister();
	return NULL;
}

/* ---- owner ---- */

static struct hf_span owner_head(const struct hf_key *key)
{
	const char *head = race.heads[key ? key - race.keys : 0];

	return (struct hf_span){ head, strlen(head) };
}

static struct hf_obj *owner_new(
	struct race_owner *owner, const struct hf_key *key, uint64_t len, bool known)
{
	struct hf_obj_spec spec = {
		.head = owner_head(key),
		.length = known ? len : HF_OBJ_LENGTH_UNKNOWN,
		.status = 200,
		.flags = key ? 0 : HF_OBJ_STREAM,
	};

	spec.life.lifetime_s = 60;
	if (key)
		spec.key = *key;
	return hf_shard_obj_new(owner->shard, &spec);
}

/* Appends up to `max` bytes of the body of that key and version; returns how far it came. */
static uint64_t owner_fill(struct race_owner *owner, struct hf_obj *obj,
	const struct race_head *head, uint64_t done, size_t max)
{
	size_t len = (size_t)hf_min_u64(max, head->len - done);
	size_t begin = 0;

	if (done < sizeof(*head)) {
		begin = hf_min_size(len, (size_t)(sizeof(*head) - done));
		begin = hf_shard_fill(owner->shard, obj, (const char *)head + done, begin);
		done += begin;
		if (done < sizeof(*head))
			return done;
	}
	return done + hf_shard_fill(owner->shard, obj, race_bytes(head->key, head->version, done),
			      len - begin);
}

static uint64_t owner_len(struct race_owner *owner)
{
	static const uint64_t most[] = { 100, 4000, 16000, RACE_BODY_MAX };

	return sizeof(struct race_head) +
	       race_rand(&owner->rand, most[race_rand(&owner->rand, HF_ARRAY_LEN(most))]);
}

/* The next version of the key. */
static void owner_publish(struct race_owner *owner, struct hf_obj *obj, uint64_t k)
{
	hf_shard_publish(owner->shard, obj);
	race.version[k]++;
	owner->published++;
	atomic_store_explicit(&race.published[k], race.version[k], memory_order_release);
}

static void owner_put(struct race_owner *owner, uint64_t k)
{
	uint64_t len = owner_len(owner), done = 0, step;
	struct hf_obj *obj = owner_new(owner, &race.keys[k], len, race_rand(&owner->rand, 2));
	struct race_head head = race_head_of(k, race.version[k] + 1, len);

	if (!obj) {
		owner->refused++;
		return;
	}
	do {
		step = done;
		done = owner_fill(owner, obj, &head, done, 16384);
	} while (done > step && done < len);
	if (done < len) {
		hf_shard_fill_fail(owner->shard, obj);
		owner->refused++;
	} else {
		owner_publish(owner, obj, k);
	}
	hf_shard_obj_unref(owner->shard, obj);
}

static void owner_purge(struct race_owner *owner, uint64_t k)
{
	if (race_rand(&owner->rand, 4) == 0) {
		owner->purged += hf_shard_purge(owner->shard, &race.keys[k], true);
		return;
	}
	owner->purged += hf_shard_purge(owner->shard, &race.keys[k], false);
	for (uint32_t i = 0; i < RACE_ASKED; i++)
		owner->asked[i].purged |= owner->asked[i].key == k;
	atomic_store_explicit(&race.purged[k], race.version[k], memory_order_release);
}

static void owner_ask(struct race_owner *owner, uint64_t k)
{
	struct race_asked *asked = &owner->asked[race_rand(&owner->rand, RACE_ASKED)];
	struct hf_obj *obj = hf_shard_lookup(owner->shard, &race.keys[k], &race_req);
	struct hf_obj_cursor cursor = { 0 };
	struct race_head head;

	if (!obj || asked->obj)
		return;
	memcpy(&head, hf_obj_peek(obj, &cursor, sizeof(head)).ptr, sizeof(head));
	hf_shard_obj_ref(owner->shard, obj);
	*asked = (struct race_asked){ .obj = obj, .key = k, .version = head.version };
	asked->turns = (uint32_t)race_rand(&owner->rand, 20);
}

/* The origin said 304. What a newer version replaced meanwhile must not come back. */
static void owner_freshen(struct race_owner *owner, struct race_asked *asked)
{
	struct hf_obj_spec spec = { .head = owner_head(&race.keys[asked->key]) };
	struct hf_obj *obj;

	spec.life.lifetime_s = 60;
	obj = hf_shard_obj_freshen(owner->shard, asked->obj, &spec);
	if (obj && !asked->purged && asked->version == race.version[asked->key]) {
		hf_shard_publish(owner->shard, obj);
		owner->freshened++;
	}
	if (obj)
		hf_shard_obj_unref(owner->shard, obj);
	hf_shard_obj_unref(owner->shard, asked->obj);
	asked->obj = NULL;
}

static void owner_answers(struct race_owner *owner, bool stopping)
{
	for (uint32_t i = 0; i < RACE_ASKED; i++) {
		struct race_asked *asked = &owner->asked[i];

		if (asked->obj && (stopping || asked->turns-- == 0))
			owner_freshen(owner, asked);
	}
}

static bool owner_has(const struct race_owner *owner, uint64_t k)
{
	return hf_cache_shard_index(race.cache, race.keys[k].hash) == owner->index;
}

static void owner_walk_begin(struct race_owner *owner)
{
	int len = snprintf(owner->tag, sizeof(owner->tag), "t%llu",
		(unsigned long long)race_rand(&owner->rand, RACE_TAGS));

	owner->walk = (struct hf_purge_walk){ .kind = HF_PURGE_TAG,
		.text = { owner->tag, (size_t)len },
		.soft = race_rand(&owner->rand, 4) == 0 };
	hf_shard_purge_begin(owner->shard, &owner->walk);
	owner->walking = true;
	for (uint64_t k = 0; k < race.key_count; k++)
		owner->walk_from[k] = owner_has(owner, k) ? race.version[k] : 0;
	for (uint32_t i = 0; i < RACE_ASKED; i++)
		owner->asked[i].purged |= owner->asked[i].obj && !owner->walk.soft &&
					  hf_purge_matches(&owner->walk, owner->asked[i].obj);
}

/* C6 for every key with the tag, from the end of the walk on. */
static void owner_walk(struct race_owner *owner)
{
	if (!hf_shard_purge_step(owner->shard, &owner->walk))
		return;
	owner->walking = false;
	owner->walked++;
	for (uint64_t k = 0; k < race.key_count; k++) {
		if (owner->walk.soft || k % RACE_TAGS != (uint64_t)(owner->tag[1] - '0') ||
			owner->walk_from[k] <= atomic_load(&race.purged[k]))
			continue;
		atomic_store_explicit(&race.purged[k], owner->walk_from[k], memory_order_release);
	}
}

static void owner_post(struct race_owner *owner, uint32_t worker, enum race_msg kind, void *ptr)
{
	if (!hf_ring_post(race.to_worker[worker][owner->index], (struct hf_msg){ ptr, kind, 0 }))
		race_fail("ring to worker full", worker, kind);
}

static void owner_flow_begin(struct race_owner *owner, struct race_flow *flow)
{
	uint64_t k = race_key(&owner->rand);

	flow->kept = owner_has(owner, k);
	if (flow->kept) {
		flow->len = owner_len(owner);
		flow->key = k;
		flow->version = race.version[k] + 1;
	} else {
		flow->len = sizeof(struct race_head) + race_rand(&owner->rand, 4UL << 20);
		flow->key = RACE_KEYS_MAX + owner->index;
		flow->version = race_rand(&owner->rand, 1000000);
	}
	flow->obj = owner_new(owner, flow->kept ? &race.keys[k] : NULL, flow->len,
		flow->kept && race_rand(&owner->rand, 2));
	if (!flow->obj)
		return;
	flow->done = 0;
	flow->worker = (uint32_t)race_rand(&owner->rand, RACE_WORKERS);
	atomic_store(&flow->consumed, 0);
	flow->cursor = (struct hf_obj_cursor){ 0 };
	flow->posted = true;
	owner_post(owner, flow->worker, RACE_FLOW, flow);
}

static void owner_flow(struct race_owner *owner, struct race_flow *flow, bool stopping)
{
	uint64_t consumed = atomic_load_explicit(&flow->consumed, memory_order_acquire);
	struct race_head head = race_head_of(flow->key, flow->version, flow->len);

	if (atomic_load(&flow->obj->state) != HF_OBJ_FILLING)
		return;
	if (!flow->kept)
		hf_shard_trim(owner->shard, flow->obj, consumed);
	if (flow->done - consumed < race.memory / 16)
		flow->done = owner_fill(
			owner, flow->obj, &head, flow->done, 1 + race_rand(&owner->rand, 20000));
	if (flow->done == flow->len && flow->kept && race.version[flow->key] + 1 == flow->version)
		owner_publish(owner, flow->obj, flow->key);
	else if (flow->done == flow->len)
		hf_shard_fill_end(owner->shard, flow->obj); /* one that is newer was faster */
	else if (stopping)
		hf_shard_fill_fail(owner->shard, flow->obj);
}

static void owner_flows(struct race_owner *owner, bool stopping)
{
	for (uint32_t i = 0; i < RACE_FLOWS; i++) {
		struct race_flow *flow = &owner->flows[i];

		if (flow->posted)
			owner_flow(owner, flow, stopping);
		else if (!stopping && race_rand(&owner->rand, 64) == 0)
			owner_flow_begin(owner, flow);
	}
}

static void owner_take(struct race_owner *owner, uint32_t worker)
{
	struct hf_msg msgs[64];
	uint32_t count = hf_ring_drain(race.to_owner[worker][owner->index], msgs, 64);

	for (uint32_t i = 0; i < count; i++) {
		struct race_flow *flow = msgs[i].ptr;

		if (msgs[i].kind == RACE_RECALLED) {
			hf_shard_recalled(owner->shard, msgs[i].ptr, worker);
			continue;
		}
		flow->posted = false;
		hf_shard_obj_unref(owner->shard, flow->obj);
	}
}

static void owner_turn(struct race_owner *owner, bool stopping)
{
	struct hf_obj *obj;
	uint32_t worker;

	for (uint32_t i = 0; i < RACE_WORKERS; i++)
		owner_take(owner, i);
	(void)hf_shard_work(owner->shard, hf_clock_us());
	while (hf_shard_recall_next(owner->shard, &obj, &worker))
		owner_post(owner, worker, RACE_RECALL, obj);
	owner_flows(owner, stopping);
	for (int i = 0; i < 4 && !stopping; i++) {
		uint64_t k = race_key(&owner->rand);

		if (!owner_has(owner, k))
			continue;
		switch (race_rand(&owner->rand, 12)) {
		case 0:
			owner_purge(owner, k);
			break;
		case 1:
		case 2:
		case 3:
		case 4:
			owner_ask(owner, k);
			break;
		default:
			owner_put(owner, k);
		}
	}
	owner_answers(owner, stopping);
	if (owner->walking)
		owner_walk(owner);
	else if (!stopping && race_rand(&owner->rand, 100) == 0)
		owner_walk_begin(owner);
	if (race_rand(&owner->rand, 32) == 0)
		hf_shard_check(owner->shard);
}

static void owner_purge_all(struct race_owner *owner)
{
	for (uint64_t k = 0; k < race.key_count; k++) {
		while (owner_has(owner, k) && race.purged[k] < race.version[k])
			owner_purge(owner, k);
	}
}

/* After everything was purged and let go, nothing may be left. */
static void owner_drain(struct race_owner *owner, size_t table)
{
	uint64_t deadline_us = hf_clock_us() + 20000000;

	while (hf_arena_used(race.arena) > table) {
		owner_turn(owner, true);
		owner_purge_all(owner); /* each time: a turn still publishes what was under way */
		sched_yield();
		if (hf_clock_us() > deadline_us)
			race_fail("memory was not given back", hf_arena_used(race.arena), table);
	}
	hf_shard_check(owner->shard);
}

static size_t owner_table_bytes;

static void *owner_main(void *arg)
{
	struct race_owner *owner = arg;

	hf_thread_enter(HF_THREAD_ORIGIN, "owner");
	while (!atomic_load(&race.stop)) {
		owner_turn(owner, false);
		sched_yield();
	}
	owner_drain(owner, owner_table_bytes);
	atomic_fetch_sub(&race.owners_left, 1);
	return NULL;
}

static void *reclaim_main(void *arg)
{
	(void)arg;
	hf_thread_enter(HF_THREAD_RECLAIM, "reclaim");
	while (!atomic_load(&race.reclaim_stop)) {
		if (!hf_cache_reclaim_step(race.cache))
			usleep(200);
	}
	return NULL;
}

/* ---- main ---- */

static void race_setup(void)
{
	struct hf_cache_cfg cfg = {
		.shards = RACE_OWNERS, .workers = RACE_WORKERS, .leases_max = 24
	};
	struct hf_err err = { "" };
	uint64_t rand = race.seed;

	if (hf_arena_new(race.memory, false, &err, &race.arena) != 0)
		race_fail(err.text, 0, 0);
	cfg.arena = race.arena;
	if (hf_cache_new(&cfg, &err, &race.cache) != 0)
		race_fail(err.text, 0, 0);
	owner_table_bytes = hf_arena_used(race.arena);
	for (size_t i = 0; i < RACE_PATTERN; i++)
		race.pattern[i] = race.pattern[i + RACE_PATTERN] = (char)race_rand(&rand, 256);
	for (uint64_t k = 0; k < race.key_count; k++) {
		int len = snprintf(race.names[k], sizeof(race.names[k]), "http://race/%llu",
			(unsigned long long)k);

		snprintf(race.heads[k], sizeof(race.heads[k]),
			"HTTP/1.1 200 OK\r\nCache-Tag: t%llu\r\n",
			(unsigned long long)k % RACE_TAGS);
		race.keys[k] = (struct hf_key){ race.names[k], (uint32_t)len,
			hf_cache_hash(race.cache, race.names[k], (uint32_t)len) };
	}
	for (uint32_t w = 0; w < RACE_WORKERS; w++) {
		race.workers[w].index = w;
		race.workers[w].rand = rand + w * 77777;
		race.workers[w].reader = hf_cache_reader(race.cache, w);
		for (uint32_t o = 0; o < RACE_OWNERS; o++) {
			race.to_owner[w][o] = hf_ring_new(RACE_RING);
			race.to_worker[w][o] = hf_ring_new(RACE_RING);
			HF_ASSERT(race.to_owner[w][o] && race.to_worker[w][o]);
		}
	}
	for (uint32_t o = 0; o < RACE_OWNERS; o++) {
		race.owners[o].index = o;
		race.owners[o].rand = rand + o * 99999 + 1;
		race.owners[o].shard = hf_cache_shard(race.cache, o);
		HF_ASSERT(hf_waker_init(&race.owners[o].waker) == 0);
		hf_shard_waker_set(race.owners[o].shard, &race.owners[o].waker);
	}
	atomic_store(&race.owners_left, RACE_OWNERS);
}

static void race_report(void)
{
	for (uint32_t i = 0; i < RACE_WORKERS; i++) {
		const struct race_worker *w = &race.workers[i];

		printf("worker %u: %llu hits, %llu misses, %llu leases, %llu recalls, %llu bytes "
		       "streamed, %llu ends found\n",
			i, (unsigned long long)w->hits, (unsigned long long)w->misses,
			(unsigned long long)w->leases, (unsigned long long)w->recalls,
			(unsigned long long)w->streamed, (unsigned long long)w->ends);
		if (w->hits == 0 || w->leases == 0 || w->recalls == 0 || w->streamed == 0 ||
			w->ends == 0)
			race_fail("a worker tested nothing", i, w->hits);
	}
	for (uint32_t i = 0; i < RACE_OWNERS; i++) {
		const struct race_owner *o = &race.owners[i];

		printf("owner %u: %llu published, %llu refused, %llu purged, %llu freshened, %llu "
		       "walks\n",
			i, (unsigned long long)o->published, (unsigned long long)o->refused,
			(unsigned long long)o->purged, (unsigned long long)o->freshened,
			(unsigned long long)o->walked);
		if (o->published == 0 || o->purged == 0 || o->freshened == 0 || o->walked == 0)
			race_fail("an owner tested nothing", i, o->published);
	}
}

static void race_teardown(void)
{
	hf_cache_free(race.cache);
	HF_ASSERT(hf_arena_used(race.arena) == 0);
	hf_arena_free(race.arena);
	for (uint32_t o = 0; o < RACE_OWNERS; o++) {
		hf_waker_fini(&race.owners[o].waker);
		for (uint32_t w = 0; w < RACE_WORKERS; w++) {
			hf_ring_free(race.to_owner[w][o]);
			hf_ring_free(race.to_worker[w][o]);
		}
	}
}

static bool race_options(int argc, char **argv, unsigned *ret_seconds)
{
	for (int i = 1; i < argc; i += 2) {
		uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;

		if (strcmp(argv[i], "--seconds") == 0)
			*ret_seconds = (unsigned)value;
		else if (strcmp(argv[i], "--keys") == 0)
			race.key_count = value;
		else if (strcmp(argv[i], "--memory") == 0)
			race.memory = value * 1024;
		else if (strcmp(argv[i], "--seed") == 0)
			race.seed = value;
		else
			return false;
	}
	return *ret_seconds > 0 && race.memory > 0 && race.key_count >= RACE_KEYS_HOT &&
	       race.key_count <= RACE_KEYS_MAX;
}

int main(int argc, char **argv)
{
	unsigned seconds = 5;
	pthread_t reclaim;

	race.seed = hf_clock_us();
	if (!race_options(argc, argv, &seconds))
		return 2;
	race_setup();
	HF_ASSERT(pthread_create(&reclaim, NULL, reclaim_main, NULL) == 0);
	for (uint32_t i = 0; i < RACE_OWNERS; i++)
		HF_ASSERT(pthread_create(
				  &race.owners[i].thread, NULL, owner_main, &race.owners[i]) == 0);
	for (uint32_t i = 0; i < RACE_WORKERS; i++)
		HF_ASSERT(pthread_create(&race.workers[i].thread, NULL, worker_main,
				  &race.workers[i]) == 0);
	sleep(seconds);
	atomic_store(&race.stop, true);
	for (uint32_t i = 0; i < RACE_OWNERS; i++)
		pthread_join(race.owners[i].thread, NULL);
	for (uint32_t i = 0; i < RACE_WORKERS; i++)
		pthread_join(race.workers[i].thread, NULL);
	atomic_store(&race.reclaim_stop, true);
	pthread_join(reclaim, NULL);
	race_report();
	race_teardown();
	return 0;
}
