/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pkt.h"

#include <string.h>
#include <x86intrin.h>

#include "hf_bytes.h"

static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	HF_ASSERT_HOT(sum <= 0xffff);
	return (uint16_t)sum;
}

static inline unsigned long long sum_load(const uint8_t *at)
{
	unsigned long long word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Words of 64 bits in a chain of adds with carry, an instruction each; the last carry goes round. */
uint16_t hf_pkt_sum(uint16_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	unsigned long long wide = sum;
	unsigned char carry;

	HF_ASSERT_HOT(len < UINT32_MAX);
	for (; len >= 32; at += 32, len -= 32) {
		carry = _addcarry_u64(0, wide, sum_load(at), &wide);
		carry = _addcarry_u64(carry, wide, sum_load(at + 8), &wide);
		carry = _addcarry_u64(carry, wide, sum_load(at + 16), &wide);
		carry = _addcarry_u64(carry, wide, sum_load(at + 24), &wide);
		wide += carry;
	}
	for (; len >= 8; at += 8, len -= 8) {
		carry = _addcarry_u64(0, wide, sum_load(at), &wide);
		wide += carry;
	}
	carry = _addcarry_u64(0, wide, hf_load_rest(at, len), &wide);
	return sum_fold(wide + carry);
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
	return sum_fold((uint64_t)from + to + __builtin_bswap16(len) + __builtin_bswap16(proto));
}

uint16_t hf_pkt_sum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len)
{
	uint32_t tail[2] = { __builtin_bswap32(len), __builtin_bswap32(proto) };
	uint16_t sum = hf_pkt_sum(0, src, 16);

	sum = hf_pkt_sum(sum, dst, 16);
	return hf_pkt_sum(sum, tail, sizeof(tail));
}
