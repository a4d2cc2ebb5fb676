/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "load.h"

struct zipf_cell {
	uint32_t cut;   /* of 2^32: below it is the cell's own key, */
	uint32_t alias; /* else this one */
};

struct load_zipf {
	uint32_t n;
	struct zipf_cell cell[];
};

/* Vose's way: each cell that has too little is filled up by one that has too much. */
static void zipf_fill(struct load_zipf *zipf, double *weight, uint32_t *work)
{
	uint32_t n = zipf->n, small = 0,
		 large = n; /* work: small ones from below, large from above */

	for (uint32_t i = 0; i < n; i++) {
		if (weight[i] < 1)
			work[small++] = i;
		else
			work[--large] = i;
	}
	while (small > 0 && large < n) {
		uint32_t poor = work[--small], rich = work[large];

		zipf->cell[poor].cut = (uint32_t)(weight[poor] * 4294967295.0);
		zipf->cell[poor].alias = rich;
		weight[rich] -= 1 - weight[poor];
		if (weight[rich] < 1) {
			large++;
			work[small++] = rich;
		}
	}
	/* What is left is 1 but for rounding. */
	for (; small > 0; small--)
		zipf->cell[work[small - 1]] = (struct zipf_cell){ UINT32_MAX, work[small - 1] };
	for (; large < n; large++)
		zipf->cell[work[large]] = (struct zipf_cell){ UINT32_MAX, work[large] };
}

int load_zipf_new(uint32_t n, double s, struct load_zipf **ret_zipf)
{
	struct load_zipf *zipf = malloc(sizeof(*zipf) + n * sizeof(zipf->cell[0]));
	double *weight = malloc(n * sizeof(*weight)), sum = 0;
	uint32_t *work = malloc(n * sizeof(*work));
	int rc = zipf && weight && work ? 0 : -ENOMEM;

	HF_ASSERT(n > 0 && s >= 0);
	if (rc == 0) {
		zipf->n = n;
		for (uint32_t i = 0; i < n; i++)
			sum += weight[i] = pow(i + 1.0, -s);
		for (uint32_t i = 0; i < n; i++)
			weight[i] *= n / sum;
		zipf_fill(zipf, weight, work);
		*ret_zipf = zipf;
	} else {
		free(zipf);
	}
	free(weight);
	free(work);
	return rc;
}

void load_zipf_free(struct load_zipf *zipf)
{
	free(zipf);
}

static uint32_t zipf_index(const struct load_zipf *zipf, uint64_t random)
{
	return (uint32_t)((random >> 32) * zipf->n >> 32);
}

void load_zipf_prefetch(const struct load_zipf *zipf, uint64_t random)
{
	__builtin_prefetch(&zipf->cell[zipf_index(zipf, random)]);
}

uint32_t load_zipf_sample(const struct load_zipf *zipf, uint64_t random)
{
	uint32_t i = zipf_index(zipf, random);

	return (uint32_t)random <= zipf->cell[i].cut ? i : zipf->cell[i].alias;
}
