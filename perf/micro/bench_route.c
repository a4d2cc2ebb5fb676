/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What it costs to choose an origin: nanoseconds a choice, the median of rounds, with a table of affinity that is
 * full, paths of six segments whose first are shared, and an update after each choice (or none).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_route.h"

#define OPS        100000
#define ROUNDS_MAX 101

enum stage { LEAST_LOADED, HASH, DIGEST, CHOOSE, CHOOSE_LEARN, STAGES };

static const char *const stage_names[STAGES] = { "least_loaded", "hash (of 40 bytes)",
	"digests of a path", "... and prefix_affinity", "... and what was learnt" };

struct bench {
	uint32_t origins;
	struct hf_route_table *table;
	struct hf_route_origin *origin;
	uint64_t random, sum;
};

/* Of this thread alone: the machine may be busy. */
static uint64_t bench_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t bench_random(struct bench *bench, uint32_t below)
{
	bench->random = bench->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((bench->random >> 32) * below >> 32);
}

static struct hf_span bench_path(struct bench *bench, char *buf, size_t cap)
{
	uint32_t leaf = bench_random(bench, 100000);
	int len = snprintf(buf, cap, "/catalog/%u/%u/img/large/%05u", leaf % 16, leaf % 512, leaf);

	return (struct hf_span){ buf, (size_t)len };
}

static uint32_t bench_affinity(struct bench *bench, struct hf_span path, enum stage stage)
{
	struct hf_route_blocks blocks;
	struct hf_route_why why;
	uint32_t chosen;

	hf_route_blocks_path(bench->table, HF_SPAN("www.example.com"), path, &blocks);
	if (stage == DIGEST)
		return (uint32_t)blocks.digest[0];
	chosen = hf_route_affinity(
		bench->table, &blocks, 0, bench->origin, bench->origins, NULL, &why);
	if (stage == CHOOSE_LEARN)
		hf_route_learn(bench->table, &blocks, bench->origin[chosen].slot, 0);
	return chosen;
}

static double bench_stage(struct bench *bench, enum stage stage)
{
	static char paths[OPS][48];
	static uint8_t lens[OPS];
	uint64_t begin_ns;

	for (uint32_t i = 0; i < OPS; i++)
		lens[i] = (uint8_t)bench_path(bench, paths[i], sizeof(paths[i])).len;
	begin_ns = bench_ns();
	for (uint32_t i = 0; i < OPS; i++) {
		struct hf_span path = { paths[i], lens[i] };

		bench->origin[bench_random(bench, bench->origins)].pending = i % 8;
		if (stage == LEAST_LOADED)
			bench->sum += hf_route_least_loaded(bench->origin, bench->origins);
		else if (stage == HASH)
			bench->sum +=
				hf_route_hash(bench->origin, bench->origins, hf_route_name(path));
		else
			bench->sum += bench_affinity(bench, path, stage);
	}
	return (double)(bench_ns() - begin_ns) / OPS;
}

static void bench_fill(struct bench *bench, uint32_t cap)
{
	struct hf_route_cfg cfg = {
		.cap = cap, .slots_max = bench->origins, .ttl_us = 1, .alpha = 1, .key = { 1, 2 }
	};
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
	while (hf_route_counts(bench->table).evictions < cap)
		(void)bench_affinity(bench, bench_path(bench, path, sizeof(path)), CHOOSE_LEARN);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
		{ "origins", required_argument, NULL, 'o' },
		{ "cap", required_argument, NULL, 'c' }, { 0 } };
	struct bench bench = { .origins = 64, .random = 1 };
	uint32_t rounds = 11, cap = 65536;
	double ns[ROUNDS_MAX];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

		if (option == 'r' && number <= ROUNDS_MAX)
			rounds = number;
		else if (option == 'o')
			bench.origins = number;
		else if (option == 'c' && number <= 65536)
			cap = number;
		else
			rounds = 0;
		if (rounds == 0 || bench.origins == 0 || cap == 0) {
			fprintf(stderr,
				"usage: bench_route [--rounds 1-%d] [--origins N] [--cap "
				"1-65536]\n",
				ROUNDS_MAX);
			return 2;
		}
	}
	bench_fill(&bench, cap);
	for (int stage = 0; stage < STAGES; stage++) {
		for (uint32_t i = 0; i < rounds; i++)
			ns[i] = bench_stage(&bench, (enum stage)stage);
		qsort(ns, rounds, sizeof(ns[0]), by_value);
		printf("%-24s %7.1f ns\n", stage_names[stage], ns[rounds / 2]);
	}
	free(bench.origin);
	hf_route_table_free(bench.table);
	return bench.sum == 0;
}
