/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Must crash: if this one passes, the fuzzers and sanitizers are not at work.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *room = malloc(4);
	int sum = 0;

	/* needs the coverage to be found in time, and ASan to be seen */
	if (room && size >= 4 && data[0] == 'h' && data[1] == 'o' && data[2] == 'l' &&
		data[3] == 'd')
		for (size_t i = 0; i <= 4; i++)
			sum += room[i] = data[0];
	free(room);
	return sum == 1 ? -1 : 0;
}
