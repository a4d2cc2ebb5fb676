/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pkt.h"

#include <x86intrin.h>

#include "hf_bytes.h"

static inline unsigned long long sum_load(const uint8_t *at)
{
	unsigned long long word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* COUNT words of 64 bits in a chain of adds with carry, an instruction each; the last carry goes round. */
static inline unsigned long long sum_words(unsigned long long sum, const uint8_t *at, int count)
{
	unsigned long long next;
	unsigned char carry = 0;

	for (int i = 0; i < count; i++) {
		carry = _addcarry_u64(carry, sum, sum_load(at + 8 * i), &next);
		sum = next;
	}
	return sum + carry;
}

/* Two sums, of every other 64 bytes: an add waits for the one before it, those of the other sum do
 * not. */
uint64_t hf_pkt_sum_wide(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	unsigned long long even = sum, odd = 0;

	HF_ASSERT_HOT(len < UINT32_MAX);
	for (; len >= 128; at += 128, len -= 128) {
		even = sum_words(even, at, 8);
		odd = sum_words(odd, at + 64, 8);
	}
	if (len & 64) {
		even = sum_words(even, at, 8);
		at += 64;
	}
	if (len & 32) {
		odd = sum_words(odd, at, 4);
		at += 32;
	}
	if (len & 16) {
		even = sum_words(even, at, 2);
		at += 16;
	}
	if (len & 8) {
		odd = sum_words(odd, at, 1);
		at += 8;
	}
	odd = hf_pkt_sum_word(odd, hf_load_rest(at, len & 7));
	return hf_pkt_sum_word(even, odd);
}

uint16_t hf_pkt_sum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len)
{
	uint64_t sum = (uint64_t)__builtin_bswap32(len) + __builtin_bswap32(proto);

	sum = hf_pkt_sum_wide(sum, src, 16);
	return hf_pkt_sum_fold(hf_pkt_sum_wide(sum, dst, 16));
}
