/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What hf_hist_add costs beside a counter: nanoseconds an operation, the median of rounds, over values that
 * differ as turns do (of one octave) and over values of every size.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hf_hist.h"

#define OPS        2000000
#define ROUNDS_MAX 101

enum stage { NOTHING, COUNTER, ALIKE, ANY, STAGES };

static const char *const stage_names[STAGES] = { "loop alone", "hf_stat_inc",
	"hf_hist_add, one octave", "hf_hist_add, any value" };

static uint64_t bench_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double bench_stage(enum stage stage)
{
	uint64_t random = 1, begin_ns = bench_ns();

	for (uint32_t i = 0; i < OPS; i++) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		if (stage == COUNTER)
			hf_stat_inc(HF_STAT_LOOPS);
		else if (stage == ALIKE)
			hf_hist_add(HF_HIST_LOOP_BUSY, 1024 + (random >> 54));
		else if (stage == ANY)
			hf_hist_add(HF_HIST_LOOP_IDLE, random >> 26 >> (random >> 59));
		__asm__ volatile("" ::"r"(random) : "memory");
	}
	return (double)(bench_ns() - begin_ns) / OPS;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
		{ 0 } };
	uint32_t rounds = 11;
	double ns[ROUNDS_MAX];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		rounds = option == 'r' ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
		if (rounds == 0 || rounds > ROUNDS_MAX) {
			fprintf(stderr, "usage: bench_hist [--rounds 1-%d]\n", ROUNDS_MAX);
			return 2;
		}
	}
	HF_ASSERT(hf_stat_register("bench") != NULL);
	for (int stage = 0; stage < STAGES; stage++) {
		for (uint32_t i = 0; i < rounds; i++)
			ns[i] = bench_stage((enum stage)stage);
		qsort(ns, rounds, sizeof(ns[0]), by_value);
		printf("%-24s %6.2f ns\n", stage_names[stage], ns[rounds / 2]);
	}
	return 0;
}
