/* SPDX-License-Identifier: BSD-3-Clause
 *
 * sha256 - SHA-256 (FIPS 180-4, by libcrypto), for names of secrets that somebody else can make
 * too.
 *
 * Threads   any; pure.
 */
#ifndef HF_SHA256_H
#define HF_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_SHA256_LEN 32

void hf_sha256(const void *data, size_t len, uint8_t ret_hash[HF_SHA256_LEN]);
/* 64 hexadecimal digits. False: TEXT is something else. */
bool hf_sha256_parse(const char *text, uint8_t ret_hash[HF_SHA256_LEN]);
/* The same in lower case, with a NUL. */
void hf_sha256_format(const uint8_t hash[HF_SHA256_LEN], char ret_text[2 * HF_SHA256_LEN + 1]);

#endif
