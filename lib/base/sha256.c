/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sha256.h"

#include <string.h>

#define SHA256_BLOCK 64

static const uint32_t sha256_k[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

static inline uint32_t sha256_rotr(uint32_t x, int b)
{
	return x >> b | x << (32 - b);
}

static void sha256_schedule(const uint8_t *block, uint32_t w[64])
{
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (sha256_rotr(a, 7) ^ sha256_rotr(a, 18) ^ a >> 3) + w[i - 7] +
		       (sha256_rotr(b, 17) ^ sha256_rotr(b, 19) ^ b >> 10);
	}
}

/* h[0..7] are the a to h of the standard. */
static void sha256_block(uint32_t hash[8], const uint8_t *block)
{
	uint32_t w[64], h[8];

	sha256_schedule(block, w);
	memcpy(h, hash, sizeof(h));
	for (int i = 0; i < 64; i++) {
		uint32_t t1 =
			h[7] + sha256_k[i] + w[i] + ((h[4] & h[5]) ^ (~h[4] & h[6])) +
			(sha256_rotr(h[4], 6) ^ sha256_rotr(h[4], 11) ^ sha256_rotr(h[4], 25));
		uint32_t t2 =
			((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2])) +
			(sha256_rotr(h[0], 2) ^ sha256_rotr(h[0], 13) ^ sha256_rotr(h[0], 22));

		memmove(h + 1, h, 7 * sizeof(*h));
		h[4] += t1;
		h[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		hash[i] += h[i];
	explicit_bzero(w, sizeof(w));
}

void hf_sha256(const void *data, size_t len, uint8_t ret_hash[HF_SHA256_LEN])
{
	uint32_t hash[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
		0x1f83d9ab, 0x5be0cd19 };
	uint8_t end[2 * SHA256_BLOCK] = { 0 };
	const uint8_t *at = data;
	size_t left = len, end_len;

	for (; left >= SHA256_BLOCK; left -= SHA256_BLOCK, at += SHA256_BLOCK)
		sha256_block(hash, at);
	if (left > 0)
		memcpy(end, at, left);
	end[left] = 0x80;
	end_len = left < SHA256_BLOCK - 8 ? SHA256_BLOCK : 2 * SHA256_BLOCK;
	for (int i = 0; i < 8; i++)
		end[end_len - 1 - (size_t)i] = (uint8_t)((uint64_t)len << 3 >> 8 * i);
	for (size_t i = 0; i < end_len; i += SHA256_BLOCK)
		sha256_block(hash, end + i);
	for (int i = 0; i < HF_SHA256_LEN; i++)
		ret_hash[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
	explicit_bzero(end, sizeof(end));
}

static int sha256_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hf_sha256_parse(const char *text, uint8_t ret_hash[HF_SHA256_LEN])
{
	uint8_t hash[HF_SHA256_LEN];

	if (strlen(text) != 2 * HF_SHA256_LEN)
		return false;
	for (int i = 0; i < HF_SHA256_LEN; i++) {
		int high = sha256_digit(text[2 * i]), low = sha256_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret_hash, hash, sizeof(hash));
	return true;
}

void hf_sha256_format(const uint8_t hash[HF_SHA256_LEN], char ret_text[2 * HF_SHA256_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < HF_SHA256_LEN; i++) {
		ret_text[2 * i] = digits[hash[i] >> 4];
		ret_text[2 * i + 1] = digits[hash[i] & 15];
	}
	ret_text[2 * HF_SHA256_LEN] = '\0';
}
