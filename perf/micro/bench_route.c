/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What it costs to choose an origin: nanoseconds a choice, the median of rounds, with a table of affinity that is
 * full, paths of six segments whose first are shared, and an update after each choice (or none).
 */
#include <string.h>

#include "bench.h"
#include "hf_route.h"

#define OPS 100000

enum what { LEAST_LOADED, HASH, DIGEST, CHOOSE, CHOOSE_LEARN };

struct bench {
	uint32_t origins, cap;
	struct hf_route_table *table;
	struct hf_route_origin *origin;
	uint64_t random, sum;
	char path[OPS][48];
	uint8_t path_len[OPS];
};

static struct hf_span bench_path(struct bench *bench, char *buf, size_t cap)
{
	uint32_t leaf = bench_random(&bench->random, 100000);
	int len = snprintf(buf, cap, "/catalog/%u/%u/img/large/%05u", leaf % 16, leaf % 512, leaf);

	return (struct hf_span){ buf, (size_t)len };
}

static uint32_t bench_affinity(struct bench *bench, struct hf_span path, enum what what)
{
	struct hf_route_blocks blocks;
	struct hf_route_why why;
	uint32_t chosen;

	hf_route_blocks_path(bench->table, HF_SPAN("www.example.com"), path, &blocks);
	if (what == DIGEST)
		return (uint32_t)blocks.digest[0];
	chosen = hf_route_affinity(
		bench->table, &blocks, 0, bench->origin, bench->origins, NULL, &why);
	if (what == CHOOSE_LEARN)
		hf_route_learn(bench->table, &blocks, bench->origin[chosen].slot, 0);
	return chosen;
}

static void bench_paths(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < ops; i++)
		bench->path_len[i] =
			(uint8_t)bench_path(bench, bench->path[i], sizeof(bench->path[i])).len;
}

static inline void bench_choose(struct bench *bench, uint32_t ops, enum what what)
{
	for (uint32_t i = 0; i < ops; i++) {
		struct hf_span path = { bench->path[i], bench->path_len[i] };

		bench->origin[bench_random(&bench->random, bench->origins)].pending = i % 8;
		if (what == LEAST_LOADED)
			bench->sum += hf_route_least_loaded(bench->origin, bench->origins);
		else if (what == HASH)
			bench->sum +=
				hf_route_hash(bench->origin, bench->origins, hf_route_name(path));
		else
			bench->sum += bench_affinity(bench, path, what);
	}
}

static void bench_least_loaded(void *ctx, uint32_t ops)
{
	bench_choose(ctx, ops, LEAST_LOADED);
}

static void bench_hash(void *ctx, uint32_t ops)
{
	bench_choose(ctx, ops, HASH);
}

static void bench_digest(void *ctx, uint32_t ops)
{
	bench_choose(ctx, ops, DIGEST);
}

static void bench_prefix(void *ctx, uint32_t ops)
{
	bench_choose(ctx, ops, CHOOSE);
}

static void bench_learn(void *ctx, uint32_t ops)
{
	bench_choose(ctx, ops, CHOOSE_LEARN);
}

static void bench_fill(struct bench *bench)
{
	struct hf_route_cfg cfg = { .cap = bench->cap,
		.slots_max = bench->origins,
		.ttl_us = 1,
		.alpha = 1,
		.key = { 1, 2 } };
	char path[48];

	bench->table = hf_route_table_new(&cfg);
	bench->origin = calloc(bench->origins, sizeof(*bench->origin));
	HF_ASSERT(bench->table && bench->origin);
	for (uint32_t i = 0; i < bench->origins; i++) {
		int len = snprintf(path, sizeof(path), "origin-%u", i);

		bench->origin[i].weight = 1;
		bench->origin[i].slot = hf_route_join(bench->table);
		bench->origin[i].name = hf_route_name((struct hf_span){ path, (size_t)len });
	}
	while (hf_route_counts(bench->table).evictions < bench->cap)
		(void)bench_affinity(bench, bench_path(bench, path, sizeof(path)), CHOOSE_LEARN);
}

int main(int argc, char **argv)
{
	static const struct bench_stage stages[] = { { "least_loaded", OPS, bench_least_loaded,
							     bench_paths },
		{ "hash (of 40 bytes)", OPS, bench_hash, bench_paths },
		{ "digests of a path", OPS, bench_digest, bench_paths },
		{ "... and prefix_affinity", OPS, bench_prefix, bench_paths },
		{ "... and what was learnt", OPS, bench_learn, bench_paths } };
	static struct bench bench = { .origins = 64, .cap = 65536, .random = 1 };
	uint32_t rounds = 11;
	const struct bench_option options[] = { { "rounds", &rounds, 1, BENCH_ROUNDS_MAX },
		{ "origins", &bench.origins, 1, 100000 }, { "cap", &bench.cap, 1, 65536 } };

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	bench_fill(&bench);
	bench_run(stages, HF_ARRAY_LEN(stages), &bench, rounds);
	free(bench.origin);
	hf_route_table_free(bench.table);
	return bench.sum == 0;
}
