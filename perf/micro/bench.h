/* SPDX-License-Identifier: BSD-3-Clause
 *
 * bench - what the benchmarks here share: stages that run in rounds, medians, options that are numbers.
 *
 * What      Each stage does its operations in a row, so that the clock is read seldom; a round is all stages
 *           once, so that a stage meets the caches as the one before it left them. Told is the median of the
 *           rounds, in nanoseconds an operation of this thread alone: the machine may be busy.
 */
#ifndef BENCH_H
#define BENCH_H

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench_misses.h"
#include "hf_base.h"

#define BENCH_ROUNDS_MAX 101
#define BENCH_STAGES_MAX 16

struct bench_stage {
	const char *name;
	uint32_t ops;
	void (*run)(void *ctx, uint32_t ops);
	void (*before)(void *ctx, uint32_t ops); /* not measured; NULL: nothing */
};

struct bench_option {
	const char *name;
	uint32_t *value, min, max;
};

static inline uint64_t bench_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* 0 to below - 1. */
static inline uint32_t bench_random(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((*state >> 32) * below >> 32);
}

static inline int bench_by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static inline void bench_run(
	const struct bench_stage *stages, uint32_t count, void *ctx, uint32_t rounds)
{
	static double ns[BENCH_STAGES_MAX][BENCH_ROUNDS_MAX];
	double misses[BENCH_STAGES_MAX][BENCH_MISSES]; /* of the last round */

	HF_ASSERT(count <= BENCH_STAGES_MAX && rounds > 0 && rounds <= BENCH_ROUNDS_MAX);
	bench_misses_open();
	for (uint32_t r = 0; r < rounds; r++) {
		for (uint32_t s = 0; s < count; s++) {
			uint64_t begin_ns;

			if (stages[s].before)
				stages[s].before(ctx, stages[s].ops);
			bench_misses_reset();
			bench_misses_begin();
			begin_ns = bench_ns();
			stages[s].run(ctx, stages[s].ops);
			ns[s][r] = (double)(bench_ns() - begin_ns) / stages[s].ops;
			bench_misses_end();
			bench_misses_read(misses[s]);
		}
	}
	for (uint32_t s = 0; s < count; s++) {
		qsort(ns[s], rounds, sizeof(ns[s][0]), bench_by_value);
		printf("%-28s %8.2f ns", stages[s].name, ns[s][rounds / 2]);
		bench_misses_tell(misses[s], stages[s].ops);
		printf("\n");
	}
}

/* --NAME N for each; ends the program with a usage line when that is not what the arguments are. */
static inline void bench_options(
	int argc, char **argv, const struct bench_option *options, uint32_t count)
{
	struct option longs[BENCH_STAGES_MAX + 1] = { { 0 } };
	int which = 0, got;
	bool right = true;

	HF_ASSERT(count <= BENCH_STAGES_MAX);
	for (uint32_t i = 0; i < count; i++)
		longs[i] = (struct option){ options[i].name, required_argument, &which, (int)i };
	while ((got = getopt_long(argc, argv, "", longs, NULL)) == 0) {
		const struct bench_option *option = &options[which];
		unsigned long value = strtoul(optarg, NULL, 10);

		right &= value >= option->min && value <= option->max;
		*option->value = (uint32_t)value;
	}
	if (right && got == -1 && optind == argc)
		return;
	fprintf(stderr, "usage: %s", argv[0]);
	for (uint32_t i = 0; i < count; i++)
		fprintf(stderr, " [--%s %u-%u]", options[i].name, options[i].min, options[i].max);
	fprintf(stderr, "\n");
	exit(2);
}

#endif
