/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Random operations against a map of what was stored last. The cache may forget (eviction) but must
 * never answer with anything else, and all its invariants hold after each step.
 */
#include "cache_fixture.h"

#define KEYS   200
#define LEASES 24

struct model {
	struct fix fix;
	uint64_t version[KEYS]; /* 0: purged or never stored */
	size_t len[KEYS];
	struct {
		struct hf_lease *lease;
		struct hf_obj *obj;
		uint64_t version;
		size_t len;
	} held[LEASES];
	uint64_t next_version, rand;
	uint64_t hits, misses;
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

static void model_put(struct model *model, uint64_t k, const char *key)
{
	uint64_t version = ++model->next_version;
	size_t len = model_len(model);

	if (fix_put(&model->fix, key, version, len)) {
		model->version[k] = version;
		model->len[k] = len;
	}
}

static void model_get(struct model *model, uint64_t k, const char *key)
{
	struct hf_obj *obj = fix_get(&model->fix, key);
	uint64_t i = model_rand(model, LEASES);

	model->hits += obj != NULL;
	model->misses += obj == NULL;
	if (!obj)
		return;
	cr_assert_neq(model->version[k], 0, "purged, and found");
	cr_assert(fix_body_is(obj, model->version[k], model->len[k]));
	hf_obj_touch(obj);
	if (model->held[i].lease)
		return;
	model->held[i].lease =
		hf_reader_lease(hf_cache_reader(model->fix.cache, (uint32_t)(i % 4)), obj);
	model->held[i].obj = obj;
	model->held[i].version = model->version[k];
	model->held[i].len = model->len[k];
}

static void model_let_go(struct model *model, uint64_t i)
{
	if (!model->held[i].lease)
		return;
	cr_assert(fix_body_is(model->held[i].obj, model->held[i].version, model->held[i].len));
	hf_ref_put(&model->held[i].lease->ref);
	model->held[i].lease = NULL;
}

static void model_step(struct model *model)
{
	uint64_t k = model_rand(model, 3) ? model_rand(model, KEYS / 10) : model_rand(model, KEYS);
	struct hf_key key;
	char text[32];

	snprintf(text, sizeof(text), "http://host/%lu", (unsigned long)k);
	key = fix_key(&model->fix, text);
	switch (model_rand(model, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		model_put(model, k, text);
		break;
	case 4:
		hf_shard_purge(model->fix.shard, &key, false);
		model->version[k] = 0;
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
			hf_shard_check(model->fix.shard);
	}
	cr_expect_gt(model->hits, model->misses / 8, "seed %lu: %lu hits %lu misses",
		(unsigned long)seed, (unsigned long)model->hits, (unsigned long)model->misses);
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
