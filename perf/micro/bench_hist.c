/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What hf_hist_add costs beside a counter: nanoseconds an operation, the median of rounds, over values that
 * differ as turns do (of one octave) and over values of every size.
 */
#include "bench.h"
#include "hf_hist.h"

#define OPS 2000000

enum what { NOTHING, COUNTER, ALIKE, ANY };

/* Of constant WHAT: four loops. */
static inline void hist_run(uint32_t ops, enum what what)
{
	uint64_t random = 1;

	for (uint32_t i = 0; i < ops; i++) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		if (what == COUNTER)
			hf_stat_inc(HF_STAT_LOOPS);
		else if (what == ALIKE)
			hf_hist_add(HF_HIST_LOOP_BUSY, 1024 + (random >> 54));
		else if (what == ANY)
			hf_hist_add(HF_HIST_LOOP_IDLE, random >> 26 >> (random >> 59));
		__asm__ volatile("" ::"r"(random) : "memory");
	}
}

static void hist_nothing(void *ctx, uint32_t ops)
{
	hist_run(ops, NOTHING);
}

static void hist_counter(void *ctx, uint32_t ops)
{
	hist_run(ops, COUNTER);
}

static void hist_alike(void *ctx, uint32_t ops)
{
	hist_run(ops, ALIKE);
}

static void hist_any(void *ctx, uint32_t ops)
{
	hist_run(ops, ANY);
}

int main(int argc, char **argv)
{
	static const struct bench_stage stages[] = { { "loop alone", OPS, hist_nothing, NULL },
		{ "hf_stat_inc", OPS, hist_counter, NULL },
		{ "hf_hist_add, one octave", OPS, hist_alike, NULL },
		{ "hf_hist_add, any value", OPS, hist_any, NULL } };
	uint32_t rounds = 11;
	const struct bench_option options[] = { { "rounds", &rounds, 1, BENCH_ROUNDS_MAX } };

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	HF_ASSERT(hf_stat_register("bench") != NULL);
	bench_run(stages, HF_ARRAY_LEN(stages), NULL, rounds);
	return 0;
}
