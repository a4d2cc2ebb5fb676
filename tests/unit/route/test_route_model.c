/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Random operations on the table, and on a model of the same rules that is a list of strings.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "route_priv.h"

#define ORIGINS 12
#define CAP_MAX 40

struct model_entry {
	char path[64];
	struct {
		uint32_t life; /* of the origin: its number of that time */
		uint64_t until_us;
	} holder[HF_ROUTE_HOLDERS_MAX]; /* the latest first; life 0: none */
};

struct model {
	uint32_t cap, count;
	uint64_t ttl_us, evictions, truncations;
	double alpha;
	struct model_entry entry[CAP_MAX]; /* the oldest first */
	uint32_t life[ORIGINS];            /* 0: it has left */
	uint32_t lives;
	struct hf_route_table *table;
	struct hf_route_origin origin[ORIGINS];
	uint64_t random;
};

static uint32_t model_random(struct model *model, uint32_t below)
{
	model->random = model->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(model->random >> 33) % below;
}

static struct model_entry *model_find(struct model *model, const char *path)
{
	for (uint32_t i = 0; i < model->count; i++)
		if (strcmp(model->entry[i].path, path) == 0)
			return &model->entry[i];
	return NULL;
}

/* The first N segments; every one is two bytes. */
static void model_prefix(const char *path, uint32_t n, char *ret_prefix)
{
	memcpy(ret_prefix, path, (size_t)n * 2);
	ret_prefix[n * 2] = '\0';
}

static bool model_lives(const struct model *model, uint32_t life)
{
	for (uint32_t i = 0; life && i < ORIGINS; i++)
		if (model->life[i] == life)
			return true;
	return false;
}

static void model_remove(struct model *model, struct model_entry *entry)
{
	memmove(entry, entry + 1,
		(size_t)(&model->entry[model->count] - (entry + 1)) * sizeof(*entry));
	model->count--;
}

/* To the end, with the origin in front. */
static void model_learn_one(struct model *model, const char *path, uint32_t life, uint64_t now_us)
{
	struct model_entry *known = model_find(model, path), entry = { .holder = { { life, 0 } } };
	uint32_t n = 1;

	memcpy(entry.path, path, strlen(path) + 1);
	entry.holder[0].until_us = model->ttl_us ? now_us + model->ttl_us : UINT64_MAX;
	for (uint32_t i = 0; known && i < HF_ROUTE_HOLDERS_MAX; i++)
		if (n < HF_ROUTE_HOLDERS_MAX && known->holder[i].life != life &&
			model_lives(model, known->holder[i].life) &&
			known->holder[i].until_us >= now_us)
			entry.holder[n++] = known->holder[i];
	if (known)
		model_remove(model, known);
	cr_assert(model->count < model->cap);
	model->entry[model->count++] = entry;
}

static bool model_starts(const char *path, const char *prefix)
{
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

static void model_learn(struct model *model, const char *path, uint32_t life, uint64_t now_us)
{
	uint32_t n = (uint32_t)strlen(path) / 2, learnt = hf_min_u32(n, model->cap), known = 0;
	char prefix[64], longest[64];

	model->truncations += learnt < n;
	model_prefix(path, learnt, longest);
	for (uint32_t i = 1; i <= learnt; i++) {
		model_prefix(path, i, prefix);
		known += model_find(model, prefix) != NULL;
	}
	/* room for what is new: the oldest that is not of the batch */
	for (uint32_t i = 0; model->count + (learnt - known) > model->cap;) {
		if (model_starts(longest, model->entry[i].path)) {
			i++;
			continue;
		}
		model_remove(model, &model->entry[i]);
		model->evictions++;
	}
	for (uint32_t i = learnt; i > 0; i--) {
		model_prefix(path, i, prefix);
		model_learn_one(model, prefix, life, now_us);
	}
}

static uint32_t model_depth(struct model *model, const char *path, uint32_t life, uint64_t now_us)
{
	uint32_t depth = 0;
	char prefix[64];

	for (uint32_t i = 1; i <= strlen(path) / 2; i++) {
		const struct model_entry *entry;

		model_prefix(path, i, prefix);
		entry = model_find(model, prefix);
		if (!entry)
			break;
		for (uint32_t j = 0; j < HF_ROUTE_HOLDERS_MAX; j++)
			if (entry->holder[j].life == life && entry->holder[j].until_us >= now_us)
				depth = i;
	}
	return depth;
}

static double model_mean(const struct model *model)
{
	double pending = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < ORIGINS; i++) {
		if (!model->life[i] || model->origin[i].excluded)
			continue;
		pending += model->origin[i].pending;
		n++;
	}
	return n ? pending / n : 0;
}

/* The formula, candidate by candidate, then the rules for equals by looking at all again. */
static uint32_t model_choose(struct model *model, const char *path, uint64_t now_us)
{
	uint32_t best = HF_ROUTE_NONE, deepest = 0;
	double mean = model_mean(model), score[ORIGINS] = { 0 },
	       blocks = (double)(strlen(path) / 2);

	for (uint32_t i = 0; i < ORIGINS; i++) {
		uint32_t depth;

		if (!model->life[i] || model->origin[i].excluded)
			continue;
		depth = model_depth(model, path, model->life[i], now_us);
		deepest = hf_max_u32(deepest, depth);
		score[i] = depth / blocks;
		score[i] -=
			model->alpha * (model->origin[i].pending - mean) / (mean > 1 ? mean : 1);
	}
	for (uint32_t i = 0; i < ORIGINS; i++) {
		const struct hf_route_origin *one = &model->origin[i], *other;
		bool less;

		if (!model->life[i] || one->excluded)
			continue;
		if (best == HF_ROUTE_NONE) {
			best = i;
			continue;
		}
		other = &model->origin[best];
		less = one->pending * other->weight < other->pending * one->weight;
		if (deepest == 0 ? less
				 : score[i] > score[best] || (score[i] == score[best] && less))
			best = i;
	}
	return best;
}

static void model_path(struct model *model, char *ret_path)
{
	uint32_t n = 1 + model_random(model, 6);

	for (uint32_t i = 0; i < n; i++) {
		ret_path[2 * i] = '/';
		ret_path[2 * i + 1] = (char)('a' + model_random(model, i < 2 ? 2 : 4));
	}
	ret_path[2 * n] = '\0';
}

static struct hf_route_blocks model_blocks(const struct model *model, const char *path)
{
	struct hf_route_blocks blocks;

	hf_route_blocks_path(
		model->table, HF_SPAN("h"), (struct hf_span){ path, strlen(path) }, &blocks);
	return blocks;
}

static void model_join(struct model *model, uint32_t i)
{
	model->origin[i] = (struct hf_route_origin){ .weight = 1 + model_random(model, 3) };
	model->origin[i].slot = hf_route_join(model->table);
	cr_assert_neq(model->origin[i].slot.generation, 0);
	model->life[i] = ++model->lives;
}

/* Everything that can be seen of the table is what the model says. */
static void model_compare(struct model *model, uint64_t now_us)
{
	struct hf_route_counts counts = hf_route_counts(model->table);
	struct hf_route_blocks blocks;
	struct hf_route_why why;
	char path[64];
	uint32_t chosen;

	cr_assert_eq(counts.nodes, model->count);
	cr_assert_leq(counts.nodes, model->cap);
	cr_assert_eq(counts.evictions, model->evictions);
	cr_assert_eq(counts.truncations, model->truncations);
	for (uint32_t i = 0, at = model->table->node[model->cap].newer; i < model->count; i++) {
		blocks = model_blocks(model, model->entry[i].path);
		cr_assert_eq(model->table->node[at].digest, blocks.digest[blocks.count - 1]);
		at = model->table->node[at].newer;
	}
	model_path(model, path);
	blocks = model_blocks(model, path);
	chosen = hf_route_affinity(
		model->table, &blocks, now_us, model->origin, ORIGINS, NULL, &why);
	cr_assert_eq(chosen, model_choose(model, path, now_us));
	if (chosen != HF_ROUTE_NONE)
		cr_assert_eq(why.depth, model_depth(model, path, model->life[chosen], now_us));
}

static void model_step(struct model *model, uint64_t now_us)
{
	uint32_t i = model_random(model, ORIGINS), what = model_random(model, 20);
	struct hf_route_blocks blocks;
	char path[64];

	if (what == 0 && model->life[i]) {
		hf_route_leave(model->table, model->origin[i].slot);
		model->life[i] = 0;
	} else if (what <= 1 && !model->life[i]) {
		model_join(model, i);
	} else if (what == 2) {
		model->origin[i].excluded = !model->origin[i].excluded;
	} else if (what < 8) {
		model->origin[i].pending = model_random(model, 6);
	} else {
		model_path(model, path);
		blocks = model_blocks(model, path);
		hf_route_learn(model->table, &blocks, model->origin[i].slot, now_us);
		if (model->life[i])
			model_learn(model, path, model->life[i], now_us);
	}
}

static void model_run(uint64_t seed, uint32_t cap, uint64_t ttl_us, double alpha)
{
	struct hf_route_cfg cfg = { .cap = cap,
		.slots_max = ORIGINS,
		.ttl_us = ttl_us,
		.alpha = alpha,
		.key = { seed, ~seed } };
	struct model model = { .cap = cap, .ttl_us = ttl_us, .alpha = alpha, .random = seed };
	uint64_t now_us = 1;

	model.table = hf_route_table_new(&cfg);
	cr_assert(model.table);
	for (uint32_t i = 0; i < ORIGINS; i++)
		model_join(&model, i);
	for (uint32_t i = 0; i < 10000; i++) {
		model_step(&model, now_us);
		model_compare(&model, now_us);
		now_us += model_random(&model, 3);
	}
	hf_route_table_free(model.table);
}

Test(route_model, random_operations_with_a_ttl)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		model_run(seed, CAP_MAX, 50, 1.0);
}

Test(route_model, random_operations_without_a_ttl)
{
	for (uint64_t seed = 5; seed <= 8; seed++)
		model_run(seed, 17, 0, 0.25 * (double)(seed - 5));
}

Test(route_model, a_cap_that_is_smaller_than_a_batch)
{
	for (uint32_t cap = 1; cap <= 5; cap++)
		model_run(cap, cap, 20, 1.0);
}
