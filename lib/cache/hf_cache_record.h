/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache record - what is kept of a stored response beside its body, as bytes: of a snapshot's files
 * (lib/snap) and of values in L2 (lib/l2).
 *
 * Format    Numbers are big-endian.
 *             0  8  age, us                     8  8  length of the body
 *            16  4  lifetime, s                20  4  stale-while-revalidate, s
 *            24  4  stale-if-error, s          28  4  Date, Unix
 *            32  2  status
 *            34  1  1: with Authorization  2: no body (204)  4: was asked for again
 *            35  1  1: never stale  2: always validated  4: immutable  8: has a validator
 *            36  4  k   40  4  v   44  4  h
 *            48  k  key   48+k  v  Vary values (hf_cache_vary_build)   48+k+v  h  head, as it is
 *                   stored: in it are the validators and the tags
 * Threads   any; pure.
 * Promises  Of what is good nothing is against the rules of lib/cache: it could have been stored
 *           here.
 * Tests     tests/unit/snap, tests/unit/l2, tests/fuzz/fuzz_{snapshot,l2_value}.c
 */
#ifndef HF_CACHE_RECORD_H
#define HF_CACHE_RECORD_H

#include "hf_base.h"
#include "hf_cache.h"

#define HF_CACHE_RECORD_LEN 48

#define HF_CACHE_RECORD_AUTH_OK 1
#define HF_CACHE_RECORD_NO_BODY 2
#define HF_CACHE_RECORD_TOUCHED 4

struct hf_cache_record {
	uint64_t age_us, length;
	struct hf_cache_life life;
	uint16_t status;
	uint8_t flags;
	struct hf_span key, vary, head;
};

/* Of an object at that time; its texts stay the object's. */
struct hf_cache_record hf_cache_record_of(const struct hf_obj *obj, uint64_t now_us);
/* What is to be stored of it; AT_US: when it was of its age, by this machine's monotonic clock. */
struct hf_obj_spec hf_cache_record_spec(
	const struct hf_cache *cache, const struct hf_cache_record *record, int64_t at_us);

/* All its bytes. */
size_t hf_cache_record_len(const struct hf_cache_record *record);
/* Writes them. */
void hf_cache_record_put(char *buf, const struct hf_cache_record *record);
/* The record at the beginning of BYTES, where its texts stay. Its length; 0: not what
 * hf_cache_record_put writes. */
size_t hf_cache_record_get(struct hf_span bytes, struct hf_cache_record *ret_record);
/* A response that may be stored, as lib/cache would have it. */
bool hf_cache_record_is_good(const struct hf_cache_record *record);
/* By what holds now: a route's leave to store the URL does not count, the operator's own names
 * do. */
bool hf_cache_record_has_secret(const struct hf_cache_record *record);

#endif
