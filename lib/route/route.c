/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_route.h"

#include <math.h>

#include "route_priv.h"

bool route_is_less_loaded(const struct hf_route_origin *a, const struct hf_route_origin *b)
{
	return (uint64_t)a->pending * b->weight < (uint64_t)b->pending * a->weight;
}

static const struct hf_route_origin *route_least(
	const struct hf_route_origin *origins, uint32_t count)
{
	const struct hf_route_origin *least = NULL;

	for (uint32_t i = 0; i < count; i++) {
		HF_ASSERT(origins[i].weight > 0);
		if (!origins[i].excluded && (!least || route_is_less_loaded(&origins[i], least)))
			least = &origins[i];
	}
	return least;
}

/* Among equals each earns its weight at every choice, and who has most pays for all: turns in
 * proportion to the weights, and mixed. */
uint32_t hf_route_least_loaded(struct hf_route_origin *origins, uint32_t count)
{
	const struct hf_route_origin *least = route_least(origins, count);
	uint32_t best = HF_ROUTE_NONE;
	int64_t paid = 0;

	for (uint32_t i = 0; least && i < count; i++) {
		struct hf_route_origin *origin = &origins[i];

		if (origin->excluded || route_is_less_loaded(least, origin))
			continue;
		origin->credit += origin->weight;
		paid += origin->weight;
		if (best == HF_ROUTE_NONE || origin->credit > origins[best].credit)
			best = i;
	}
	if (best != HF_ROUTE_NONE)
		origins[best].credit -= paid;
	return best;
}

/* A random number in (0, 1) of key and origin (the finalizer of splitmix64). */
static double route_chance(uint64_t key, uint64_t name)
{
	uint64_t x = key ^ name;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return ((double)(x >> 12) + 0.5) * 0x1p-52;
}

/* The logarithm of a number in (0, 1), by IEEE 754's basic operations alone: libm's last bit
 * depends on the processor, and where a key goes shall not. ln m = 2 artanh((m - 1) / (m + 1)), to
 * ten digits. */
static double route_log(double x)
{
	static const double terms[] = { 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7,
		1.0 / 5, 1.0 / 3, 1.0 };
	int exponent;
	double m = frexp(x, &exponent), s, s2, sum = 0;

	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (size_t i = 0; i < HF_ARRAY_LEN(terms); i++)
		sum = sum * s2 + terms[i];
	return exponent * M_LN2 + 2 * s * sum;
}

/* Weighted rendezvous: the logarithm makes the chance of being first proportional to the weight.
 * Whatever the order of the origins, the same one is first. */
uint32_t hf_route_hash(const struct hf_route_origin *origins, uint32_t count, uint64_t key)
{
	uint32_t best = HF_ROUTE_NONE;
	double most = 0;

	for (uint32_t i = 0; i < count; i++) {
		double chance, rank;

		if (origins[i].excluded)
			continue;
		HF_ASSERT(origins[i].weight > 0);
		chance = route_chance(key, origins[i].name);
		/* most have lost already, for -ln x > 1 - x */
		if (origins[i].weight * 1.000001 < most * (1 - chance))
			continue;
		rank = -(double)origins[i].weight / route_log(chance);
		if (best == HF_ROUTE_NONE || rank > most ||
			(rank == most && origins[i].name > origins[best].name)) {
			best = i;
			most = rank;
		}
	}
	return best;
}

uint64_t hf_route_name(struct hf_span text)
{
	static const struct hf_sipkey same_everywhere = { 0x686f6c6466617374ULL,
		0x726f757465206b65ULL };

	return hf_siphash(&same_everywhere, text.ptr, text.len);
}
