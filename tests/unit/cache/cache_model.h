/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Random operations against a map of what was stored last. The cache may forget (eviction) but must never
 * answer with anything else, and all its invariants hold after each step. Fills, streams, leases and walks
 * that purge many are under way while all the rest goes on.
 *
 * The dice are a seed's (test_cache_model.c) or the bytes of a fuzzer (fuzz_cache.c).
 */
#ifndef CACHE_MODEL_H
#define CACHE_MODEL_H

#include "cache_rig.h"

#define MODEL_KEYS   200
#define MODEL_LEASES 24
#define MODEL_FILLS  6

enum model_mark { NO, MAYBE, YES }; /* MAYBE: a walk under way will see to it */

struct model_entry {
	uint64_t version; /* of the body; 0: purged or never stored */
	uint64_t head;    /* number of the head: each one freshened gets a new one */
	size_t len;
	uint64_t born_us;
	uint32_t lifetime_s;
	enum model_mark doomed, stale;
};

struct model_held {
	struct hf_lease *lease;
	struct hf_obj *obj;
	struct model_entry entry;
	uint64_t key;
};

/* A body that is on its way, and somebody who reads along. */
struct model_fill {
	struct hf_obj *obj;
	struct model_entry entry;
	uint64_t key;
	struct hf_obj_cursor cursor;
};

struct model_walk {
	struct hf_purge_walk walk;
	char text[32];
	bool under_way;
};

struct model {
	struct fix fix;
	struct model_entry entries[MODEL_KEYS];
	struct model_held held[MODEL_LEASES];
	struct model_fill fills[MODEL_FILLS];
	struct model_walk walks[2]; /* hard, soft */
	uint64_t next_version, rand;
	const uint8_t *bytes; /* NULL: dice of the seed in `rand` */
	size_t bytes_left;
	uint64_t hits, misses, freshened, of_leased, walked, streamed, removed;
};

static inline uint64_t model_rand(struct model *model, uint64_t n)
{
	uint64_t value = 0;

	if (!model->bytes) {
		model->rand = model->rand * 6364136223846793005ULL + 1442695040888963407ULL;
		return (model->rand >> 33) % n;
	}
	for (uint64_t most = 1; most < n && model->bytes_left > 0; most *= 256) {
		value = value << 8 | *model->bytes++;
		model->bytes_left--;
	}
	return value % n;
}

/* A few keys are asked for most. */
static inline uint64_t model_key(struct model *model)
{
	return model_rand(model, model_rand(model, 3) ? MODEL_KEYS / 10 : MODEL_KEYS);
}

static inline struct hf_key model_key_of(const struct model *model, uint64_t k, char text[32])
{
	snprintf(text, 32, "http://host/%lu", (unsigned long)k);
	return fix_key(&model->fix, text);
}

static inline size_t model_len(struct model *model)
{
	static const uint64_t most[] = { 200, 5000, 60000, 15000 };

	return model_rand(model, most[model_rand(model, HF_ARRAY_LEN(most))]);
}

static inline size_t model_head(uint64_t k, uint64_t head, char text[64])
{
	return (size_t)snprintf(text, 64, "HTTP/1.1 200 OK\r\nCache-Tag: k, t%lu\r\nX: %lu\r\n",
		(unsigned long)(k % 3), (unsigned long)head);
}

/* The life of what is stored or freshened now. */
static inline void model_life(
	struct model *model, struct model_entry *entry, struct hf_obj_spec *spec)
{
	static const uint32_t lifetimes[] = { 3600, 60, 1, 0 };

	entry->born_us = model->fix.now_us;
	entry->lifetime_s = lifetimes[model_rand(model, HF_ARRAY_LEN(lifetimes))];
	spec->born_us = (int64_t)entry->born_us;
	spec->life.lifetime_s = entry->lifetime_s;
}

static inline void model_check(
	const struct hf_obj *obj, uint64_t k, const struct model_entry *entry)
{
	char head[64];
	size_t len = model_head(k, entry->head, head);

	HF_ASSERT(fix_body_is(obj, entry->version, entry->len));
	HF_ASSERT(obj->head_len == len);
	HF_ASSERT(memcmp(obj->head, head, len) == 0);
}

/* RFC 9111 section 4.2: fresh while its age is below its lifetime, and no soft purge named it. */
static inline void model_check_use(
	const struct model *model, const struct hf_obj *obj, const struct model_entry *entry)
{
	uint64_t now_us = model->fix.now_us;
	bool fresh = (now_us - entry->born_us) / 1000000 < entry->lifetime_s;
	bool marked = (atomic_load(&obj->flags) & HF_OBJ_STALE) != 0;

	HF_ASSERT(entry->stale == MAYBE || marked == (entry->stale == YES));
	HF_ASSERT(hf_obj_use(obj, NULL, now_us) ==
		  (fresh && !marked ? HF_CACHE_USE_FRESH : HF_CACHE_USE_REVALIDATE));
}

static inline struct hf_obj *model_find(struct model *model, uint64_t k)
{
	const struct model_entry *entry = &model->entries[k];
	char text[32];
	struct hf_obj *obj;

	(void)model_key_of(model, k, text);
	obj = fix_get(&model->fix, text);
	if (!obj)
		return NULL;
	HF_ASSERT(entry->version != 0); /* else: purged, and found */
	model_check(obj, k, entry);
	model_check_use(model, obj, entry);
	return obj;
}

static inline void model_get(struct model *model)
{
	uint64_t k = model_key(model), i = model_rand(model, MODEL_LEASES);
	struct hf_obj *obj = model_find(model, k);
	struct model_held *held = &model->held[i];

	model->hits += obj != NULL;
	model->misses += obj == NULL;
	if (!obj)
		return;
	hf_obj_touch(obj);
	if (held->lease)
		return;
	held->lease = hf_reader_lease(hf_cache_reader(model->fix.cache, (uint32_t)(i % 4)), obj);
	held->obj = obj;
	held->entry = model->entries[k];
	held->key = k;
}

static inline void model_let_go_of(struct model_held *held)
{
	if (!held->lease)
		return;
	model_check(held->obj, held->key, &held->entry);
	hf_ref_put(&held->lease->ref);
	held->lease = NULL;
}

static inline void model_let_go(struct model *model)
{
	model_let_go_of(&model->held[model_rand(model, MODEL_LEASES)]);
}

/* ---- what comes from origins ---- */

static inline bool model_fill_is_stream(const struct model_fill *fill)
{
	return (atomic_load(&fill->obj->flags) & HF_OBJ_STREAM) != 0;
}

/* False: no memory. */
static inline bool model_fill_open(struct model *model, struct model_fill *fill, bool stream)
{
	struct hf_obj_spec spec = { .status = 200, .flags = stream ? HF_OBJ_STREAM : 0 };
	uint64_t version = ++model->next_version;
	char head[64], text[32];

	*fill = (struct model_fill){ .key = model_key(model) };
	fill->entry = (struct model_entry){ .version = version, .head = version };
	fill->entry.len = model_len(model);
	model_life(model, &fill->entry, &spec);
	spec.head = (struct hf_span){ head, model_head(fill->key, version, head) };
	spec.length = model_rand(model, 2) ? fill->entry.len : HF_OBJ_LENGTH_UNKNOWN;
	if (!stream)
		spec.key = model_key_of(model, fill->key, text);
	fill->obj = hf_shard_obj_new(model->fix.shard, &spec);
	return fill->obj != NULL;
}

static inline void model_fill_read(struct model_fill *fill, size_t max)
{
	HF_ASSERT(fix_read(fill->obj, &fill->cursor, fill->entry.version, max));
}

static inline void model_fill_add(struct model *model, struct model_fill *fill, size_t len)
{
	uint64_t more = hf_min_u64(len, fill->entry.len - fix_filled(fill->obj));

	if (more > 0)
		(void)fix_fill(&model->fix, fill->obj, fill->entry.version, more);
}

static inline void model_fill_fail(struct model *model, struct model_fill *fill)
{
	hf_shard_fill_fail(model->fix.shard, fill->obj);
	model_fill_read(fill, SIZE_MAX);
	HF_ASSERT(hf_obj_at_end(fill->obj, &fill->cursor));
	hf_shard_obj_unref(model->fix.shard, fill->obj);
	fill->obj = NULL;
}

static inline void model_fill_end(struct model *model, struct model_fill *fill)
{
	bool stream = model_fill_is_stream(fill);

	if (stream || model_rand(model, 2))
		hf_shard_fill_end(model->fix.shard, fill->obj);
	if (!stream) {
		hf_shard_publish(model->fix.shard, fill->obj);
		model->entries[fill->key] = fill->entry;
	}
	model->streamed += stream;
	model_fill_read(fill, SIZE_MAX);
	HF_ASSERT(hf_obj_at_end(fill->obj, &fill->cursor) && fill->cursor.pos == fill->entry.len);
	HF_ASSERT(atomic_load(&fill->obj->length) == fill->entry.len);
	hf_shard_obj_unref(model->fix.shard, fill->obj);
	fill->obj = NULL;
}

static inline void model_fill_settle(struct model *model, struct model_fill *fill)
{
	if (fix_filled(fill->obj) == fill->entry.len)
		model_fill_end(model, fill);
	else
		model_fill_fail(model, fill);
}

static inline void model_put(struct model *model)
{
	struct model_fill fill;

	if (!model_fill_open(model, &fill, /* stream= */ false))
		return;
	model_fill_add(model, &fill, SIZE_MAX);
	model_fill_settle(model, &fill);
}

static inline void model_fill(struct model *model)
{
	struct model_fill *fill = &model->fills[model_rand(model, MODEL_FILLS)];

	if (!fill->obj) {
		(void)model_fill_open(model, fill, model_rand(model, 3) == 0);
		return;
	}
	switch (model_rand(model, 16)) {
	case 0:
		model_fill_fail(model, fill);
		return;
	case 1:
		hf_shard_to_stream(model->fix.shard, fill->obj);
		break;
	default:
		model_fill_add(model, fill, model_rand(model, 20000));
	}
	model_fill_read(fill, model_rand(model, 30000));
	if (model_fill_is_stream(fill))
		hf_shard_trim(model->fix.shard, fill->obj, fill->cursor.pos);
	if (fix_filled(fill->obj) == fill->entry.len)
		model_fill_end(model, fill);
}

/* What is stored, or what somebody reads that may have left the table, under a new head. */
static inline void model_freshen(struct model *model)
{
	struct model_held *held = &model->held[model_rand(model, MODEL_LEASES)];
	bool leased = held->lease && model_rand(model, 2);
	uint64_t k = leased ? held->key : model_key(model), version = ++model->next_version;
	struct hf_obj *old = leased ? held->obj : model_find(model, k), *obj;
	struct model_entry entry;
	struct hf_obj_spec spec = { 0 };
	char head[64];

	if (!old)
		return;
	entry = leased ? held->entry : model->entries[k];
	model_life(model, &entry, &spec);
	spec.head = (struct hf_span){ head, model_head(k, version, head) };
	obj = hf_shard_obj_freshen(model->fix.shard, old, &spec);
	if (!obj)
		return;
	entry.head = version;
	entry.doomed = entry.stale = NO;
	model_check(obj, k, &entry);
	if (model_rand(model, 4) == 0)
		hf_shard_check(model->fix.shard);
	if (model_rand(model, 8) != 0) {
		HF_ASSERT(leased || model->entries[k].doomed != MAYBE || obj->purged);
		hf_shard_publish(model->fix.shard, obj);
		if (!obj->purged)
			model->entries[k] = entry;
		model->freshened++;
		model->of_leased += leased;
	}
	hf_shard_obj_unref(model->fix.shard, obj);
}

/* ---- what leaves ---- */

static inline bool model_named(const struct model_walk *walk, uint64_t k)
{
	char text[32];

	if (walk->walk.kind == HF_PURGE_TAG)
		return walk->text[0] == 'k' || k % 3 == (uint64_t)(walk->text[1] - '0');
	snprintf(text, sizeof(text), "http://host/%lu", (unsigned long)k);
	return walk->walk.kind == HF_PURGE_ALL ||
	       strncmp(text, walk->text, strlen(walk->text)) == 0;
}

static inline void model_walk_begin(struct model *model, struct model_walk *walk, bool soft)
{
	static const enum hf_purge kinds[] = { HF_PURGE_ALL, HF_PURGE_PREFIX, HF_PURGE_TAG };
	uint64_t n = model_rand(model, 3);

	walk->walk = (struct hf_purge_walk){ .kind = kinds[model_rand(model, 3)], .soft = soft };
	if (walk->walk.kind == HF_PURGE_TAG)
		snprintf(walk->text, sizeof(walk->text), n ? "t%lu" : "k", (unsigned long)n);
	else
		snprintf(walk->text, sizeof(walk->text), "http://host/%lu", (unsigned long)n);
	walk->walk.text = (struct hf_span){ walk->text, strlen(walk->text) };
	hf_shard_purge_begin(model->fix.shard, &walk->walk);
	walk->under_way = true;
	for (uint64_t k = 0; k < MODEL_KEYS; k++) {
		struct model_entry *entry = &model->entries[k];
		enum model_mark *mark = soft ? &entry->stale : &entry->doomed;

		if (model_named(walk, k) && *mark == NO)
			*mark = MAYBE;
	}
}

static inline void model_walk(struct model *model)
{
	bool soft = model_rand(model, 2);
	struct model_walk *walk = &model->walks[soft];

	if (!walk->under_way) {
		model_walk_begin(model, walk, soft);
		return;
	}
	if (!hf_shard_purge_step(model->fix.shard, &walk->walk))
		return;
	walk->under_way = false;
	model->walked++;
	for (uint64_t k = 0; k < MODEL_KEYS; k++) {
		struct model_entry *entry = &model->entries[k];

		if (soft && entry->stale == MAYBE)
			entry->stale = YES;
		if (!soft && entry->doomed == MAYBE)
			*entry = (struct model_entry){ 0 };
	}
}

static inline void model_purge(struct model *model)
{
	uint64_t k = model_key(model);
	bool soft = model_rand(model, 3) == 0;
	char text[32];
	struct hf_key key = model_key_of(model, k, text);

	(void)hf_shard_purge(model->fix.shard, &key, soft);
	if (!soft)
		model->entries[k] = (struct model_entry){ 0 };
	else
		model->entries[k].stale = YES;
}

/* One that is stored, or one that may have been replaced since. */
static inline void model_remove(struct model *model)
{
	struct model_held *held = &model->held[model_rand(model, MODEL_LEASES)];
	uint64_t k = held->lease ? held->key : model_key(model);
	struct hf_obj *obj = held->lease ? held->obj : model_find(model, k);

	if (!obj || !hf_shard_remove(model->fix.shard, obj))
		return;
	HF_ASSERT(!held->lease || held->entry.head == model->entries[k].head);
	model->entries[k] = (struct model_entry){ 0 };
	model->removed++;
}

static inline void model_grace(struct model *model)
{
	(void)fix_grace(&model->fix);
}

static inline void model_recalls(struct model *model)
{
	(void)fix_recalls(&model->fix);
}

/* Mostly a little: what is long stale is evicted first. */
static inline void model_clock(struct model *model)
{
	static const uint64_t most_us[] = { 2 * CACHE_PIN_US, 2 * CACHE_PIN_US, 2000000, 120000000,
		2ULL * CACHE_LONG_STALE_S * 1000000 };

	model->fix.now_us += model_rand(model, most_us[model_rand(model, HF_ARRAY_LEN(most_us))]);
	(void)hf_shard_work(model->fix.shard, model->fix.now_us);
}

/* ---- a run ---- */

static inline void model_step(struct model *model)
{
	static void (*const ops[])(struct model *) = {
		model_get,
		model_get,
		model_get,
		model_get,
		model_get,
		model_get,
		model_get,
		model_put,
		model_put,
		model_put,
		model_fill,
		model_fill,
		model_fill,
		model_fill,
		model_freshen,
		model_freshen,
		model_let_go,
		model_let_go,
		model_purge,
		model_remove,
		model_walk,
		model_grace,
		model_recalls,
		model_clock,
	};

	ops[model_rand(model, HF_ARRAY_LEN(ops))](model);
}

/* Everything is let go of and purged: nothing may be left. */
static inline void model_close(struct model *model)
{
	char text[32];

	for (uint64_t i = 0; i < MODEL_LEASES; i++)
		model_let_go_of(&model->held[i]);
	for (uint64_t i = 0; i < MODEL_FILLS; i++)
		if (model->fills[i].obj)
			model_fill_settle(model, &model->fills[i]);
	for (uint64_t k = 0; k < MODEL_KEYS; k++) {
		struct hf_key key = model_key_of(model, k, text);

		(void)hf_shard_purge(model->fix.shard, &key, false);
	}
	(void)fix_grace(&model->fix);
	(void)fix_recalls(&model->fix);
	HF_ASSERT(model->fix.shard->used == 0);
	fix_close(&model->fix);
}

#endif
