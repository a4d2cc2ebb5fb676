/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache_churn - a day of the cache, compressed in time: does its memory fall to pieces?
 *
 *   cache_churn [--mib N] [--shards N] [--turnover N] [--days N] [--long] [--seed K]
 *
 * What      Popularity drifts, and the size of what is fetched swings from pages at nine in the morning
 *           (median 2 KiB) to videos at nine in the evening (512 KiB), under another load of memory
 *           each hour: answers that expire and are replaced or freshened, fills that grow side by
 *           side, streams, slow readers who keep what was evicted long ago, purges of one, of a tag,
 *           of a half of all.
 * Promise   at the end of each hour at most CHURN_LOST_MAX of the arena is neither in use nor to be had
 *           for chunks of bodies, which are the largest blocks that objects are made of; and a shard
 *           uses what it may: at least CHURN_USED_MIN of its budget.
 * Limits    with --seed all is the same again, but where jemalloc has blocks in a sanitizer build.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_cache.h"

#include "cache_priv.h"

#define CHURN_MIB      (1024UL * 1024)
#define CHURN_HOUR_US  3600000000ULL
#define CHURN_LOST_MAX (1.0 / 5 + 1.0 / 16) /* EVICT_IDLE_PART, and what is kept back for slabs */
#define CHURN_USED_MIN 0.70
#define CHURN_FILLS    16
#define CHURN_HELD     32
#define CHURN_PIECE    16384
#define CHURN_PATIENCE 1000 /* turns that a fill waits for memory */
#define CHURN_TAGS     7
#define CHURN_BODY_MIN 100
#define CHURN_HEAD_LEN 600

struct churn_fill {
	struct hf_shard *shard;
	struct hf_obj *obj; /* NULL: none */
	uint64_t left;
	uint32_t waited;
	bool stream;
};

struct churn_held {
	struct hf_lease *lease; /* NULL: none */
	uint64_t until_us;
};

struct churn_sums {
	uint64_t hits, stored, freshened, streamed, purged, refused, failed, bytes;
};

struct churn {
	struct hf_arena *arena;
	struct hf_cache *cache;
	uint64_t mib, shards, turnover, days, seed;
	uint64_t random, now_us, hour;
	uint32_t keys;
	struct churn_fill fills[CHURN_FILLS];
	struct churn_held held[CHURN_HELD];
	struct churn_sums sums;
	double lost_max, used_min;
};

/* ---- what is drawn ---- */

static uint64_t churn_random(struct churn *churn)
{
	uint64_t x = churn->random += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t churn_below(struct churn *churn, uint64_t limit)
{
	return churn_random(churn) % limit;
}

static double churn_unit(struct churn *churn)
{
	return ((double)(churn_random(churn) >> 11) + 0.5) / (double)(1ULL << 53);
}

/* Log-normal, a deviation of two octaves about the hour's median. */
static uint64_t churn_body_len(struct churn *churn)
{
	double hour = (double)churn->now_us / (double)CHURN_HOUR_US;
	double median = exp2(15 - 4 * cos((hour - 9) * M_PI / 12));
	double normal = sqrt(-2 * log(churn_unit(churn))) * cos(2 * M_PI * churn_unit(churn));
	uint64_t max = hf_shard_object_max(hf_cache_shard(churn->cache, 0)) / 4;

	return hf_min_u64(max, CHURN_BODY_MIN + (uint64_t)(median * exp2(2 * normal)));
}

/* Few are popular, and each hour others. */
static uint64_t churn_key(struct churn *churn)
{
	return (uint64_t)(churn->keys * pow(churn_unit(churn), 4)) + churn->hour * churn->keys / 50;
}

static struct hf_key churn_key_text(const struct churn *churn, uint64_t id, char *text, size_t size)
{
	int len = snprintf(text, size, "http://churn.example/%c/%llu", id % 2 ? 'a' : 'b',
		(unsigned long long)id);

	return (struct hf_key){ text, (uint32_t)len,
		hf_cache_hash(churn->cache, text, (uint32_t)len) };
}

static struct hf_shard *churn_shard(const struct churn *churn, uint64_t hash)
{
	return hf_cache_shard(churn->cache, hf_cache_shard_index(churn->cache, hash));
}

static struct hf_obj_spec churn_spec(struct churn *churn, char *head, size_t size)
{
	int len = snprintf(head, size, "HTTP/1.1 200 OK\r\nCache-Tag: t%llu\r\nX: ",
		(unsigned long long)churn_below(churn, CHURN_TAGS));
	struct hf_obj_spec spec = { .born_us = (int64_t)churn->now_us, .status = 200 };

	spec.head = (struct hf_span){ head, (size_t)len + churn_below(churn, size - (size_t)len) };
	spec.life.lifetime_s = (uint32_t)exp2(6 + 10 * churn_unit(churn)); /* 1 min - 18 h */
	return spec;
}

/* ---- fetches ---- */

static void churn_fetch(struct churn *churn, const struct hf_key *key)
{
	static char head[CHURN_HEAD_LEN];
	struct hf_obj_spec spec = churn_spec(churn, head, sizeof(head));
	struct churn_fill *fill = churn->fills;
	bool stream = churn_below(churn, 50) == 0;

	while (fill < churn->fills + CHURN_FILLS && fill->obj)
		fill++;
	if (fill == churn->fills + CHURN_FILLS)
		return;
	if (stream)
		spec.flags = HF_OBJ_STREAM;
	else
		spec.key = *key;
	*fill = (struct churn_fill){ .shard = churn_shard(churn, key->hash),
		.left = churn_body_len(churn),
		.stream = stream };
	spec.length = churn_below(churn, 4) == 0 ? HF_OBJ_LENGTH_UNKNOWN : fill->left;
	fill->obj = hf_shard_obj_new(fill->shard, &spec);
	churn->sums.refused += fill->obj == NULL;
}

static void churn_fill_end(struct churn *churn, struct churn_fill *fill)
{
	hf_shard_fill_end(fill->shard, fill->obj);
	if (!fill->stream)
		hf_shard_publish(fill->shard, fill->obj);
	churn->sums.stored += !fill->stream;
	churn->sums.streamed += fill->stream;
	hf_shard_obj_unref(fill->shard, fill->obj);
	fill->obj = NULL;
}

static void churn_fill(struct churn *churn, struct churn_fill *fill)
{
	static const char piece[CHURN_PIECE];
	size_t len = (size_t)hf_min_u64(fill->left, 1 + churn_below(churn, sizeof(piece)));
	size_t done = hf_shard_fill(fill->shard, fill->obj, piece, len);

	fill->left -= done;
	fill->waited = done > 0 ? 0 : fill->waited + 1;
	churn->sums.bytes += done;
	if (fill->stream)
		hf_shard_trim(fill->shard, fill->obj, atomic_load(&fill->obj->filled));
	if (fill->left == 0) {
		churn_fill_end(churn, fill);
	} else if (fill->waited == CHURN_PATIENCE) {
		churn->sums.failed++;
		hf_shard_fill_fail(fill->shard, fill->obj);
		hf_shard_obj_unref(fill->shard, fill->obj);
		fill->obj = NULL;
	}
}

static void churn_freshen(struct churn *churn, struct hf_obj *old)
{
	struct hf_shard *shard = churn_shard(churn, old->hash);
	static char head[CHURN_HEAD_LEN];
	struct hf_obj_spec spec = churn_spec(churn, head, sizeof(head));
	struct hf_obj *obj = hf_shard_obj_freshen(shard, old, &spec);

	if (!obj)
		return;
	hf_shard_publish(shard, obj);
	hf_shard_obj_unref(shard, obj);
	churn->sums.freshened++;
}

/* ---- readers ---- */

/* One in a while reads slowly, for up to half an hour. */
static void churn_hit(struct churn *churn, struct hf_obj *obj)
{
	struct churn_held *held = &churn->held[churn_below(churn, CHURN_HELD)];

	churn->sums.hits++;
	hf_obj_touch(obj);
	if (held->lease || churn_below(churn, 20) > 0)
		return;
	held->lease = hf_reader_lease(hf_cache_reader(churn->cache, 0), obj);
	held->until_us = churn->now_us + churn_below(churn, CHURN_HOUR_US / 2);
}

static void churn_request(struct churn *churn)
{
	static const struct hf_http_req req;
	char text[64];
	struct hf_key key = churn_key_text(churn, churn_key(churn), text, sizeof(text));
	enum hf_lookup verdict;
	struct hf_obj *obj = hf_cache_lookup(churn->cache, &key, &req, &verdict);

	if (obj && hf_obj_age_s(obj, churn->now_us) <= obj->life.lifetime_s)
		churn_hit(churn, obj);
	else if (obj && churn_below(churn, 2) == 0)
		churn_freshen(churn, obj);
	else
		churn_fetch(churn, &key);
	if (churn_below(churn, 200) == 0)
		churn->sums.purged += hf_shard_purge(churn_shard(churn, key.hash), &key, false);
}

static void churn_release(struct churn *churn, uint64_t now_us)
{
	for (int i = 0; i < CHURN_HELD; i++) {
		struct churn_held *held = &churn->held[i];

		if (!held->lease || held->until_us > now_us)
			continue;
		hf_ref_put(&held->lease->ref);
		held->lease = NULL;
	}
}

/* ---- turns ---- */

static void churn_recalls(struct churn *churn)
{
	struct hf_reader *reader = hf_cache_reader(churn->cache, 0);
	struct hf_obj *obj;
	uint32_t worker;

	for (uint32_t i = 0; i < churn->shards; i++) {
		struct hf_shard *shard = hf_cache_shard(churn->cache, i);

		while (hf_shard_recall_next(shard, &obj, &worker)) {
			if (hf_reader_recall(reader, obj))
				hf_shard_recalled(shard, obj, worker);
		}
	}
	while ((obj = hf_reader_released(reader)) != NULL)
		hf_shard_recalled(churn_shard(churn, obj->hash), obj, 0);
}

static void churn_turn(struct churn *churn)
{
	for (int i = 0; i < CHURN_FILLS; i++) {
		if (churn->fills[i].obj)
			churn_fill(churn, &churn->fills[i]);
	}
	for (uint32_t i = 0; i < churn->shards; i++)
		(void)hf_shard_work(hf_cache_shard(churn->cache, i), churn->now_us);
	if (churn_below(churn, 4) > 0)
		return;
	churn_release(churn, churn->now_us);
	(void)hf_cache_reclaim_step(churn->cache);
	churn_recalls(churn);
}

static void churn_purge(struct churn *churn, enum hf_purge kind, const char *text)
{
	for (uint32_t i = 0; i < churn->shards; i++) {
		struct hf_shard *shard = hf_cache_shard(churn->cache, i);
		struct hf_purge_walk walk = { .kind = kind, .text = { text, strlen(text) } };

		hf_shard_purge_begin(shard, &walk);
		while (!hf_shard_purge_step(shard, &walk))
			churn_turn(churn);
		churn->sums.purged += walk.count;
	}
}

/* Time passes with the bytes that are stored. */
static void churn_hour(struct churn *churn)
{
	uint64_t begin_us = churn->hour * CHURN_HOUR_US, bytes = churn->sums.bytes;
	uint64_t all = churn->turnover * hf_arena_size(churn->arena);

	if (churn->hour % 6 == 5)
		churn_purge(churn, HF_PURGE_TAG, "t1");
	if (churn->hour % 24 == 13)
		churn_purge(churn, HF_PURGE_PREFIX, "http://churn.example/b/");
	while (churn->sums.bytes - bytes < all) {
		churn->now_us = hf_max_u64(
			churn->now_us, begin_us + (uint64_t)((double)(churn->sums.bytes - bytes) /
							     (double)all * (double)CHURN_HOUR_US));
		churn_request(churn);
		churn_turn(churn);
	}
	churn->hour++;
}

/* ---- what is asserted ---- */

/* Bytes that bodies could still have. */
static uint64_t churn_probe(struct churn *churn)
{
	uint64_t bytes = 0;
	void *first = NULL, *block;

	while ((block = hf_arena_alloc(churn->arena, HF_ARENA_CHUNK)) != NULL) {
		memcpy(block, &first, sizeof(first));
		first = block;
		bytes += hf_arena_cost(HF_ARENA_CHUNK);
	}
	while ((block = first) != NULL) {
		memcpy(&first, block, sizeof(first));
		hf_arena_release(churn->arena, block, HF_ARENA_CHUNK);
	}
	return bytes;
}

static void churn_print(const struct churn *churn, uint64_t objects, double used, double lost)
{
	const struct churn_sums *sums = &churn->sums;

	printf("hour %2llu: %6llu objects, %.3f of the budget used, %.3f of the arena lost; so far "
	       "%llu hits, %llu stored, %llu freshened, %llu streamed, %llu purged, %llu refused, "
	       "%llu failed\n",
		(unsigned long long)churn->hour, (unsigned long long)objects, used, lost,
		(unsigned long long)sums->hits, (unsigned long long)sums->stored,
		(unsigned long long)sums->freshened, (unsigned long long)sums->streamed,
		(unsigned long long)sums->purged, (unsigned long long)sums->refused,
		(unsigned long long)sums->failed);
}

/* Returns whether the promise is held. */
static bool churn_check(struct churn *churn)
{
	double size = (double)hf_arena_size(churn->arena);
	double in_use = (double)hf_arena_used(churn->arena);
	double lost = (size - in_use - (double)churn_probe(churn)) / size;
	uint64_t used = 0, budget = 0, objects = 0;

	for (uint32_t i = 0; i < churn->shards; i++) {
		struct hf_shard *shard = hf_cache_shard(churn->cache, i);

		hf_shard_check(shard);
		used += shard->used;
		budget += shard->budget;
		objects += shard->objects;
	}
	churn->lost_max = fmax(churn->lost_max, lost);
	churn->used_min = fmin(churn->used_min, (double)used / (double)budget);
	churn_print(churn, objects, (double)used / (double)budget, lost);
	return churn->lost_max <= CHURN_LOST_MAX && churn->used_min >= CHURN_USED_MIN;
}

/* ---- main ---- */

static void churn_open(struct churn *churn)
{
	struct hf_cache_cfg cfg = {
		.shards = (uint32_t)churn->shards, .workers = 1, .leases_max = CHURN_HELD
	};
	struct hf_err err = { "" };

	HF_ASSERT(hf_arena_new(churn->mib * CHURN_MIB, false, &err, &churn->arena) == 0);
	cfg.arena = churn->arena;
	HF_ASSERT(hf_cache_new(&cfg, &err, &churn->cache) == 0);
	memset(&churn->cache->sipkey, (int)churn->seed, sizeof(churn->cache->sipkey));
	churn->random = churn->seed;
	churn->keys = (uint32_t)(churn->mib * 400);
}

static void churn_close(struct churn *churn)
{
	for (int i = 0; i < CHURN_FILLS; i++) {
		if (!churn->fills[i].obj)
			continue;
		hf_shard_fill_fail(churn->fills[i].shard, churn->fills[i].obj);
		hf_shard_obj_unref(churn->fills[i].shard, churn->fills[i].obj);
	}
	churn_release(churn, UINT64_MAX);
	churn_recalls(churn);
	hf_cache_free(churn->cache);
	HF_ASSERT(hf_arena_used(churn->arena) == 0);
	hf_arena_free(churn->arena);
}

static bool churn_option(struct churn *churn, const char *name, const char *value)
{
	uint64_t number = strtoull(value, NULL, 10);

	if (strcmp(name, "--mib") == 0)
		churn->mib = number;
	else if (strcmp(name, "--shards") == 0)
		churn->shards = number;
	else if (strcmp(name, "--turnover") == 0)
		churn->turnover = number;
	else if (strcmp(name, "--days") == 0)
		churn->days = number;
	else if (strcmp(name, "--seed") == 0)
		churn->seed = number;
	else
		return false;
	return number > 0;
}

int main(int argc, char **argv)
{
	static struct churn churn = {
		.mib = 32, .shards = 2, .turnover = 2, .days = 1, .seed = 1, .used_min = 1
	};
	bool held = true;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--long") == 0) {
			churn.mib = 256;
			churn.turnover = 8;
			churn.days = 2;
		} else if (i + 1 == argc || !churn_option(&churn, argv[i], argv[i + 1])) {
			return 2;
		} else {
			i++;
		}
	}
	churn_open(&churn);
	while (held && churn.hour < churn.days * 24) {
		churn_hour(&churn);
		held = churn_check(&churn);
	}
	printf("at most %.3f lost, at least %.3f used\n", churn.lost_max, churn.used_min);
	if (!held)
		fprintf(stderr,
			"cache_churn: too much is lost; --mib %llu --shards %llu --turnover %llu "
			"--seed %llu\n",
			(unsigned long long)churn.mib, (unsigned long long)churn.shards,
			(unsigned long long)churn.turnover, (unsigned long long)churn.seed);
	churn_close(&churn);
	return held ? 0 : 1;
}
