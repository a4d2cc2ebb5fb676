/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a world draws, and the bytes that its ends send: pieces of one fixed pattern, so that making
 * and checking them is memcpy and memcmp.
 */
#include "tcp_sim.h"

#include <string.h>

#define PATTERN_LEN 65536U
#define STRIDE      7919U /* how far one 64 KiB of a stream is from the next */

/* splitmix64 */
static uint64_t rand_mix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t sim_next(struct sim *sim)
{
	return rand_mix(&sim->rng);
}

uint32_t sim_rand(struct sim *sim, uint32_t below)
{
	return below ? (uint32_t)(sim_next(sim) % below) : 0;
}

bool sim_chance(struct sim *sim, uint32_t per_mille)
{
	return per_mille > 0 && sim_rand(sim, 1000) < per_mille;
}

uint32_t sim_size(struct sim *sim, uint32_t most)
{
	uint32_t draw = sim_rand(sim, 1000);

	if (draw < 350)
		return sim_rand(sim, hf_min_u32(most, 2000) + 1);
	if (draw < 750)
		return sim_rand(sim, hf_min_u32(most, 20000) + 1);
	if (draw < 980)
		return sim_rand(sim, hf_min_u32(most, 100000) + 1);
	if (draw < 998)
		return sim_rand(sim, hf_min_u32(most, 400000) + 1);
	return sim_rand(sim, most + 1);
}

/* Twice the pattern, so that any 64 KiB of it lie in one piece. */
static const uint8_t *rand_pattern(void)
{
	static uint8_t pattern[2 * PATTERN_LEN];
	static bool made;
	uint64_t state = 1;

	if (!made) {
		for (uint32_t i = 0; i < PATTERN_LEN; i++)
			pattern[i] = pattern[i + PATTERN_LEN] = (uint8_t)rand_mix(&state);
		made = true;
	}
	return pattern;
}

const uint8_t *sim_bytes_at(const struct sim_flow *flow, uint32_t end, uint32_t off, uint32_t *len)
{
	uint32_t at = flow->base[end] + off / PATTERN_LEN * STRIDE + off % PATTERN_LEN;

	*len = hf_min_u32(*len, PATTERN_LEN - off % PATTERN_LEN);
	return rand_pattern() + at % PATTERN_LEN;
}

void sim_bytes_fill(
	const struct sim_flow *flow, uint32_t end, uint32_t off, uint8_t *ret_bytes, uint32_t len)
{
	uint32_t n;

	for (; len > 0; off += n, ret_bytes += n, len -= n) {
		n = len;
		memcpy(ret_bytes, sim_bytes_at(flow, end, off, &n), n);
	}
}

bool sim_bytes_same(
	const struct sim_flow *flow, uint32_t end, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	uint32_t n;

	for (; len > 0; off += n, bytes += n, len -= n) {
		const uint8_t *piece;

		n = len;
		piece = sim_bytes_at(flow, end, off, &n);
		if (memcmp(piece, bytes, n) != 0)
			return false;
	}
	return true;
}

void sim_ip(const struct sim_flow *flow, uint32_t end, struct hf_ip *ret_ip)
{
	uint8_t last = (uint8_t)(end + 1);

	if (flow->ip6)
		*ret_ip = (struct hf_ip){ { 0x20, 1, 0x0d, 0xb8, [15] = last } };
	else
		*ret_ip = (struct hf_ip){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } };
}
