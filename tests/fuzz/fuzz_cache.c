/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The operations of a shard, its readers and the reclaim thread in an order that the bytes choose, against
 * a plain model (tests/unit/cache/cache_model.h). The first byte chooses the size of the cache.
 */
#include "cache_model.h"

#define STEPS_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model model;

	if (size == 0)
		return 0;
	memset(&model, 0, sizeof(model));
	model.bytes = data + 1;
	model.bytes_left = size - 1;
	fix_open(&model.fix, (1 + data[0] % 4) * FIX_MIB / 2);
	for (int i = 0; i < STEPS_MAX && model.bytes_left > 0; i++) {
		model_step(&model);
		if (i % 16 == 0)
			fix_check(&model.fix);
	}
	model_close(&model);
	return 0;
}
