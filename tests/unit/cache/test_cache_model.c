/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Random operations against a map of what was stored last. The cache may forget (eviction) but must
 * never answer with anything else, and all its invariants hold after each step. A walk that purges many
 * is under way while all the rest goes on.
 */
#include "cache_fixture.h"

#define KEYS   200
#define LEASES 24

enum model_mark { NO, MAYBE, YES }; /* MAYBE: a walk under way will see to it */

struct model_entry {
	uint64_t version; /* of the body; 0: purged or never stored */
	uint64_t head;    /* number of the head: each one freshened gets a new one */
	size_t len;
	enum model_mark doomed, stale;
};

struct model_walk {
	struct hf_purge_walk walk;
	char text[32];
	bool under_way;
};

struct model {
	struct fix fix;
	struct model_entry entries[KEYS];
	struct {
		struct hf_lease *lease;
		struct hf_obj *obj;
		struct model_entry entry;
		uint64_t key;
	} held[LEASES];
	struct model_walk walks[2]; /* hard, soft */
	uint64_t next_version, rand;
	uint64_t hits, misses, freshened, of_leased, walked;
};

static uint64_t model_rand(struct model *model, uint64_t n)
{
	model->rand = model->rand * 6364136223846793005ULL + 1442695040888963407ULL;
	return (model->rand >> 33) % n;
}

static size_t model_len(struct model *model)
{
	switch (model_rand(model, 4)) {
	case 0:
		return model_rand(model, 200);
	case 1:
		return model_rand(model, 5000);
	case 2:
		return model_rand(model, 60000);
	default:
		return model_rand(model, 15000);
	}
}

static size_t model_head(uint64_t k, uint64_t head, char text[64])
{
	return (size_t)snprintf(text, 64, "HTTP/1.1 200 OK\r\nCache-Tag: k, t%lu\r\nX: %lu\r\n",
		(unsigned long)(k % 3), (unsigned long)head);
}

static void model_put(struct model *model, uint64_t k, const char *key)
{
	uint64_t version = ++model->next_version;
	size_t len = model_len(model);
	char head[64];

	model->fix.head = (struct hf_span){ head, model_head(k, version, head) };
	if (fix_put(&model->fix, key, version, len))
		model->entries[k] = (struct model_entry){ version, version, len, NO, NO };
	model->fix.head.len = 0;
}

static void model_check(const struct hf_obj *obj, uint64_t k, const struct model_entry *entry)
{
	char head[64];
	size_t len = model_head(k, entry->head, head);

	cr_assert(fix_body_is(obj, entry->version, entry->len));
	cr_assert_eq(obj->head_len, len);
	cr_assert_arr_eq(obj->head, head, len);
}

static struct hf_obj *model_find(struct model *model, uint64_t k, const char *key)
{
	struct hf_obj *obj = fix_get(&model->fix, key);
	const struct model_entry *entry = &model->entries[k];
	bool stale;

	if (!obj)
		return NULL;
	cr_assert_neq(entry->version, 0, "purged, and found");
	model_check(obj, k, entry);
	stale = (atomic_load(&obj->flags) & HF_OBJ_STALE) != 0;
	cr_assert(entry->stale == MAYBE || stale == (entry->stale == YES));
	return obj;
}

static void model_get(struct model *model, uint64_t k, const char *key)
{
	struct hf_obj *obj = model_find(model, k, key);
	uint64_t i = model_rand(model, LEASES);

	model->hits += obj != NULL;
	model->misses += obj == NULL;
	if (!obj)
		return;
	hf_obj_touch(obj);
	if (model->held[i].lease)
		return;
	model->held[i].lease =
		hf_reader_lease(hf_cache_reader(model->fix.cache, (uint32_t)(i % 4)), obj);
	model->held[i].obj = obj;
	model->held[i].entry = model->entries[k];
	model->held[i].key = k;
}

static void model_let_go(struct model *model, uint64_t i)
{
	if (!model->held[i].lease)
		return;
	model_check(model->held[i].obj, model->held[i].key, &model->held[i].entry);
	hf_ref_put(&model->held[i].lease->ref);
	model->held[i].lease = NULL;
}

/* What is stored, or what somebody reads that may have left the table, under a new head. */
static void model_freshen(struct model *model, uint64_t k, const char *key)
{
	uint64_t i = model_rand(model, LEASES), version = ++model->next_version;
	bool leased = model->held[i].lease && model_rand(model, 2);
	struct hf_obj *old = leased ? model->held[i].obj : model_find(model, k, key), *obj;
	struct model_entry entry;
	struct hf_obj_spec spec = { .born_us = (int64_t)model->fix.now_us };
	char head[64];

	if (leased)
		k = model->held[i].key;
	if (!old)
		return;
	entry = leased ? model->held[i].entry : model->entries[k];
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
		if (!leased && model->entries[k].doomed == MAYBE)
			cr_assert(obj->purged);
		hf_shard_publish(model->fix.shard, obj);
		if (!obj->purged)
			model->entries[k] = entry;
		model->freshened++;
		model->of_leased += leased;
	}
	hf_shard_obj_unref(model->fix.shard, obj);
}

static bool model_named(const struct model_walk *walk, uint64_t k)
{
	char text[32];

	if (walk->walk.kind == HF_PURGE_TAG)
		return walk->text[0] == 'k' || k % 3 == (uint64_t)(walk->text[1] - '0');
	snprintf(text, sizeof(text), "http://host/%lu", (unsigned long)k);
	return walk->walk.kind == HF_PURGE_ALL ||
	       strncmp(text, walk->text, strlen(walk->text)) == 0;
}

static void model_walk_begin(struct model *model, struct model_walk *walk, bool soft)
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
	for (uint64_t k = 0; k < KEYS; k++) {
		struct model_entry *entry = &model->entries[k];
		enum model_mark *mark = soft ? &entry->stale : &entry->doomed;

		if (model_named(walk, k) && *mark == NO)
			*mark = MAYBE;
	}
}

static void model_walk(struct model *model)
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
	for (uint64_t k = 0; k < KEYS; k++) {
		struct model_entry *entry = &model->entries[k];

		if (soft && entry->stale == MAYBE)
			entry->stale = YES;
		if (!soft && entry->doomed == MAYBE)
			*entry = (struct model_entry){ 0 };
	}
}

static void model_purge(struct model *model, uint64_t k, const struct hf_key *key)
{
	bool soft = model_rand(model, 3) == 0;

	hf_shard_purge(model->fix.shard, key, soft);
	if (!soft)
		model->entries[k] = (struct model_entry){ 0 };
	else
		model->entries[k].stale = YES;
}

static void model_step(struct model *model)
{
	uint64_t k = model_rand(model, 3) ? model_rand(model, KEYS / 10) : model_rand(model, KEYS);
	struct hf_key key;
	char text[32];

	snprintf(text, sizeof(text), "http://host/%lu", (unsigned long)k);
	key = fix_key(&model->fix, text);
	switch (model_rand(model, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		model_put(model, k, text);
		break;
	case 4:
		model_purge(model, k, &key);
		break;
	case 10:
	case 11:
		model_freshen(model, k, text);
		break;
	case 12:
		if (model_rand(model, 4) == 0)
			model_walk(model);
		break;
	case 5:
	case 6:
		model_let_go(model, model_rand(model, LEASES));
		break;
	case 7:
		fix_grace(&model->fix);
		break;
	case 8:
		fix_recalls(&model->fix);
		break;
	case 9:
		model->fix.now_us += model_rand(model, 2 * CACHE_PIN_US);
		hf_shard_work(model->fix.shard, model->fix.now_us);
		break;
	default:
		model_get(model, k, text);
	}
}

static void model_run(uint64_t seed, size_t size, int steps)
{
	struct model *model = calloc(1, sizeof(*model));

	model->rand = seed;
	fix_open(&model->fix, size);
	for (int i = 0; i < steps; i++) {
		model_step(model);
		if (i % 8 == 0)
			fix_check(&model->fix);
	}
	cr_expect_gt(model->hits, model->misses / 8, "seed %lu: %lu hits %lu misses",
		(unsigned long)seed, (unsigned long)model->hits, (unsigned long)model->misses);
	cr_expect_gt(model->freshened, 100);
	cr_expect_gt(model->of_leased, 20);
	cr_expect_gt(model->walked, 2);
	for (uint64_t i = 0; i < LEASES; i++)
		model_let_go(model, i);
	for (uint64_t k = 0; k < KEYS; k++) {
		char text[32];
		struct hf_key key;

		snprintf(text, sizeof(text), "http://host/%lu", (unsigned long)k);
		key = fix_key(&model->fix, text);
		hf_shard_purge(model->fix.shard, &key, false);
	}
	fix_grace(&model->fix);
	fix_recalls(&model->fix);
	cr_expect_eq(model->fix.shard->used, 0, "seed %lu", (unsigned long)seed);
	fix_close(&model->fix);
	free(model);
}

Test(model, answers_with_what_was_stored_last_or_not_at_all)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		model_run(seed, (seed % 3 + 1) * FIX_MIB, 6000);
}
