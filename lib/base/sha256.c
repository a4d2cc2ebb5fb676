/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sha256.h"

#include <string.h>

#include <openssl/sha.h>

void hf_sha256(const void *data, size_t len, uint8_t ret_hash[HF_SHA256_LEN])
{
	(void)SHA256(data, len, ret_hash);
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
