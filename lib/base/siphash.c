/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_siphash.h"

#include <string.h>

#include "hf_bytes.h"

struct siphash_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void siphash_round(struct siphash_state *s)
{
	s->v0 += s->v1;
	s->v1 = siphash_rotl(s->v1, 13) ^ s->v0;
	s->v0 = siphash_rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = siphash_rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = siphash_rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = siphash_rotl(s->v1, 17) ^ s->v2;
	s->v2 = siphash_rotl(s->v2, 32);
}

uint64_t hf_siphash(const struct hf_sipkey *key, const void *data, size_t len)
{
	const uint8_t *at = data;
	const uint8_t *end = at + (len & ~(size_t)7);
	uint64_t last = (uint64_t)len << 56;
	uint64_t word = 0;
	struct siphash_state s = {
		.v0 = key->k0 ^ 0x736f6d6570736575ULL,
		.v1 = key->k1 ^ 0x646f72616e646f6dULL,
		.v2 = key->k0 ^ 0x6c7967656e657261ULL,
		.v3 = key->k1 ^ 0x7465646279746573ULL,
	};

	for (; at < end; at += 8) {
		memcpy(&word, at, 8);
		s.v3 ^= word;
		siphash_round(&s);
		s.v0 ^= word;
	}
	last |= hf_load_rest(end, len & 7);
	s.v3 ^= last;
	siphash_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		siphash_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
