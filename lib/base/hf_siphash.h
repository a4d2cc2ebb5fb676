/* SPDX-License-Identifier: BSD-3-Clause
 *
 * siphash - SipHash-1-3, a keyed hash that strangers cannot collide (Aumasson and Bernstein, 2012).
 *
 * What      For everything whose input a peer chooses: flow tables, cache keys, initial sequence
 *           numbers (RFC 6528 asks for a keyed hash).
 * Threads   any; pure.
 */
#ifndef HF_SIPHASH_H
#define HF_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct hf_sipkey {
	uint64_t k0, k1;
};

uint64_t hf_siphash(const struct hf_sipkey *key, const void *data, size_t len);

#endif
