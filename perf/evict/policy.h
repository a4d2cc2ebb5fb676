/* SPDX-License-Identifier: BSD-3-Clause
 *
 * policy - who stays in a cache of so many bytes: the product's code and reference policies, all
 * asked the same way.
 *
 * What      A policy is told of each request by the object's number and says whether it was a hit;
 *           on a miss it takes the object in (or not) and puts out others. Objects cost what they
 *           cost in the product: struct, head and size classes of the arena included.
 * Threads   one.
 * Limits    who runs a policy keeps objects away that cost more than half of the capacity, as the
 *           product does.
 */
#ifndef POLICY_H
#define POLICY_H

#include "hf_base.h"

struct policy_world {
	uint32_t objects;
	const uint64_t *size; /* of the body, by object */
	const uint64_t *cost; /* in memory, by object */
	uint64_t capacity;    /* bytes */
};

struct policy {
	const char *name;
	void *(*open)(const struct policy_world *world);
	bool (*request)(void *state, uint32_t object);
	void (*close)(void *state);
};

extern const struct policy policy_lru, policy_sieve, policy_s3fifo, policy_arc, policy_tinylfu,
	policy_gdsf, policy_product;

/* What an object with a body of so many bytes costs in the product. */
uint64_t product_cost(uint64_t size);

#endif
