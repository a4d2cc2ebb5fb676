/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pkt.h"

#include <string.h>
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
	unsigned char carry = 0;

	for (int i = 0; i < count; i++)
		carry = _addcarry_u64(carry, sum, sum_load(at + 8 * i), &sum);
	return sum + carry;
}

uint16_t hf_pkt_sum(uint16_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	unsigned long long wide = sum;
	unsigned char carry;

	HF_ASSERT_HOT(len < UINT32_MAX);
	for (; len >= 64; at += 64, len -= 64)
		wide = sum_words(wide, at, 8);
	if (len & 32) {
		wide = sum_words(wide, at, 4);
		at += 32;
	}
	if (len & 16) {
		wide = sum_words(wide, at, 2);
		at += 16;
	}
	if (len & 8) {
		wide = sum_words(wide, at, 1);
		at += 8;
	}
	carry = _addcarry_u64(0, wide, hf_load_rest(at, len & 7), &wide);
	return hf_pkt_sum_fold(wide + carry);
}

uint16_t hf_pkt_sum_at(uint16_t sum, size_t offset, const void *data, size_t len)
{
	uint16_t piece = hf_pkt_sum(0, data, len);

	/* RFC 1071 §2 B: bytes at odd places count into the other half. */
	if (offset & 1)
		piece = __builtin_bswap16(piece);
	return hf_pkt_sum_add(sum, piece);
}

uint16_t hf_pkt_sum_pseudo4(const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint16_t len)
{
	uint32_t from, to;

	memcpy(&from, src, sizeof(from));
	memcpy(&to, dst, sizeof(to));
	return hf_pkt_sum_fold(
		(uint64_t)from + to + __builtin_bswap16(len) + __builtin_bswap16(proto));
}

uint16_t hf_pkt_sum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len)
{
	uint32_t tail[2] = { __builtin_bswap32(len), __builtin_bswap32(proto) };
	uint16_t sum = hf_pkt_sum(0, src, 16);

	sum = hf_pkt_sum(sum, dst, 16);
	return hf_pkt_sum(sum, tail, sizeof(tail));
}
