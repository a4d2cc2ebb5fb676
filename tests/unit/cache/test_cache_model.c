/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The model of cache_model.h with dice from seeds.
 */
#include "cache_fixture.h"

#include "cache_model.h"

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
	cr_expect_gt(model->streamed, 10);
	cr_expect_gt(model->removed, 10);
	model_close(model);
	free(model);
}

Test(model, answers_with_what_was_stored_last_or_not_at_all)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		model_run(seed, (seed % 3 + 1) * FIX_MIB, 6000);
}
