/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pkt.h"

#include <string.h>

static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	HF_ASSERT_HOT(sum <= 0xffff);
	return (uint16_t)sum;
}

static inline uint64_t sum_load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* The last bytes, fewer than eight, as the word that they and zeroes behind them are. */
static inline uint64_t sum_load_rest(const uint8_t *at, size_t len)
{
	uint64_t word = 0;
	uint32_t half;
	uint16_t pair;

	if (len & 1)
		word = at[len - 1];
	if (len & 2) {
		memcpy(&pair, at + (len & 4), sizeof(pair));
		word = word << 16 | pair;
	}
	if (len & 4) {
		memcpy(&half, at, sizeof(half));
		word = word << 32 | half;
	}
	return word;
}

/* Sums of 64-bit words and their carries: the compiler makes add with carry of them, an instruction a word. */
uint16_t hf_pkt_sum(uint16_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;
	unsigned __int128 wide = sum;
	uint64_t low;

	HF_ASSERT_HOT(len < UINT32_MAX);
	for (; len >= 32; at += 32, len -= 32) {
		wide += sum_load64(at);
		wide += sum_load64(at + 8);
		wide += sum_load64(at + 16);
		wide += sum_load64(at + 24);
	}
	for (; len >= 8; at += 8, len -= 8)
		wide += sum_load64(at);
	wide += sum_load_rest(at, len);
	low = (uint64_t)wide;
	return sum_fold((low >> 32) + (uint32_t)low + (uint64_t)(wide >> 64));
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
	uint8_t pseudo[12];

	memcpy(pseudo, src, 4);
	memcpy(pseudo + 4, dst, 4);
	pseudo[8] = 0;
	pseudo[9] = proto;
	pseudo[10] = (uint8_t)(len >> 8);
	pseudo[11] = (uint8_t)len;
	return hf_pkt_sum(0, pseudo, sizeof(pseudo));
}

uint16_t hf_pkt_sum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t len)
{
	uint32_t tail[2] = { __builtin_bswap32(len), __builtin_bswap32(proto) };
	uint16_t sum = hf_pkt_sum(0, src, 16);

	sum = hf_pkt_sum(sum, dst, 16);
	return hf_pkt_sum(sum, tail, sizeof(tail));
}
