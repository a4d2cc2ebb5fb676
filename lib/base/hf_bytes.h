/* SPDX-License-Identifier: BSD-3-Clause
 *
 * bytes - unaligned loads and stores in network order, and what is left behind the last whole word.
 * Any thread; pure.
 */
#ifndef HF_BYTES_H
#define HF_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t hf_load_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t hf_load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t hf_load_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

/* The LEN < 8 last bytes and zeroes behind them, as they would lie in a word of memory (x86: little
 * endian). */
static inline uint64_t hf_load_rest(const void *p, size_t len)
{
	const uint8_t *at = (const uint8_t *)p;
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

static inline void hf_store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void hf_store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void hf_store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
