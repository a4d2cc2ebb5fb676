/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_siphash.h"

#include <criterion/criterion.h>
#include <string.h>

/* The algorithm written out a second time, byte by byte, with the paper's key 00 01 .. 0f and message
 * 00 01 .. (n - 1). */
static uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static uint64_t reference(uint64_t k0, uint64_t k1, const uint8_t *data, size_t len)
{
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573 };

	for (size_t block = 0; block <= len / 8 + 1; block++) {
		bool final = block == len / 8 + 1;
		uint64_t m = 0;

		for (size_t i = 0; i < 8 && !final; i++) {
			size_t at = block * 8 + i;
			uint64_t byte = at < len ? data[at] : 0;

			if (block == len / 8 && i == 7)
				byte = len & 0xff;
			m |= byte << (8 * i);
		}
		if (final)
			v[2] ^= 0xff;
		v[3] ^= m;
		for (int round = 0; round < (final ? 3 : 1); round++) {
			v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
			v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
			v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
			v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
		}
		v[0] ^= m;
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

Test(siphash, agrees_with_a_second_implementation_at_every_length)
{
	static const struct hf_sipkey key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint8_t data[300];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t len = 0; len <= sizeof(data); len++)
		cr_expect_eq(hf_siphash(&key, data, len), reference(key.k0, key.k1, data, len),
			"length %zu", len);
}

/* The first of the vectors that other libraries' SipHash-1-3 are tested with. */
Test(siphash, known_vector)
{
	static const struct hf_sipkey key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	static const uint8_t expected[] = { 0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab };
	uint64_t hash = hf_siphash(&key, "", 0);

	cr_expect_arr_eq((uint8_t *)&hash, expected, 8);
}

Test(siphash, depends_on_the_whole_key_and_on_the_length)
{
	static const struct hf_sipkey a = { 1, 2 }, b = { 1, 3 }, c = { 0, 2 };
	static const char zeros[16];

	cr_expect_neq(hf_siphash(&a, "x", 1), hf_siphash(&b, "x", 1));
	cr_expect_neq(hf_siphash(&a, "x", 1), hf_siphash(&c, "x", 1));
	cr_expect_neq(hf_siphash(&a, zeros, 7), hf_siphash(&a, zeros, 8));
	cr_expect_neq(hf_siphash(&a, zeros, 8), hf_siphash(&a, zeros, 16));
}

Test(siphash, does_not_care_about_alignment)
{
	static const struct hf_sipkey key = { 11, 12 };
	char buf[64] = { 0 };
	static const char text[] = "http://example.net/a/longer/path";
	uint64_t hash = hf_siphash(&key, text, sizeof(text));

	for (size_t i = 0; i < 9; i++) {
		memcpy(buf + i, text, sizeof(text));
		cr_expect_eq(hf_siphash(&key, buf + i, sizeof(text)), hash);
	}
}
