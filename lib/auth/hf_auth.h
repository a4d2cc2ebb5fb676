/* SPDX-License-Identifier: BSD-3-Clause
 *
 * auth - what an auth service has decided: four caches that workers read and origin threads fill.
 *
 * What      A decision says of a credential, and of what else the service was told, that it is
 *           allowed or denied. It is kept under a keyed hash of that, never the credential, for its
 *           own time. Who asks the service is lib/origin (origin_auth.c); who answers clients by
 *           what is here, lib/serve (serve_auth.c).
 * Picture
 *      worker --lookup--> bucket -> entry -> entry      no lock; of an entry it writes one byte,
 *                                     ^  |              when that is 0
 *                                     |  \-> decision (never changed)
 *      origin thread ------put--------+--- mutex --- LRU list, capacity
 *      control, sync ----revoke-------/       \----> retired -> reclaim: a grace period, wiped,
 *                                                                freed
 * Threads   lookup: any that is online (RCU), workers above all; what it returns is borrowed until
 *           the caller's next quiescent state. put, revoke, info: origin threads, control, sync.
 *           reclaim_step: reclaim. new, free: boot.
 * Promises  A1 a decision counts while its age is at most its ttl, by the monotonic clock.  A2 what
 *           revoke named is found by no lookup that begins after it returned, unless it was asked
 *           for after that (the epoch).  A3 no cache has more entries than entries_max; for a new
 *           one too many the least recently used goes, and is counted; an update evicts nothing.
 *           A4 allow and deny are found and judged by the same instructions.  A5 lookup takes no
 *           lock and writes nothing that another worker reads, but a "touched" byte when it is
 *           clear.  A6 neither a credential nor its plain hash is in an address that can be
 *           guessed: ids are two SipHashes under keys of this boot. The SHA-256 of the credential
 *           alone is kept beside the entry, for revoke.
 * Limits    HF_AUTH_ENTRIES_MAX a cache, HF_AUTH_LINES_MAX and HF_AUTH_BODY_MAX bytes of text a
 *           decision. Who was asked about before the last HF_AUTH_REVOKED_KNOWN revocations is
 *           asked about again.
 * Tests     tests/unit/auth, tests/unit/serve/test_serve_auth*.c
 */
#ifndef HF_AUTH_H
#define HF_AUTH_H

#include "hf_base.h"
#include "hf_sha256.h"

#define HF_AUTH_ENTRIES_MAX 1000
/* Field lines that an allow adds for the origin, or a deny for the client. */
#define HF_AUTH_LINES_MAX   640
#define HF_AUTH_BODY_MAX    1024 /* of a deny */

#define HF_AUTH_REVOKED_KNOWN 64 /* revocations that are remembered for who is being asked about */

enum hf_auth_cache {
#define X(id, name, ttl_s) HF_AUTH_##id,
#include "tbl/caches.h"
#undef X
	HF_AUTH_CACHES
};

enum hf_auth_result {
	HF_AUTH_HIT,
	HF_AUTH_HIT_NEGATIVE,
	HF_AUTH_MISS_EXPIRED,
	HF_AUTH_MISS_ABSENT,
	HF_AUTH_RESULTS
};

/* What a decision is kept under. */
struct hf_auth_id {
	uint64_t word[2];
};

struct hf_auth_decision {
	bool allow;
	uint16_t status;     /* of a deny: 401 or 403 */
	uint64_t decided_us; /* when the service was asked */
	uint64_t ttl_us;
	/* "Name: value\r\n" each; of an allow for the origin, of a deny for the client */
	struct hf_span lines;
	struct hf_span body; /* of a deny */
};

struct hf_auth;

/* boot. -ENOMEM. */
int hf_auth_new(uint32_t entries_max, struct hf_auth **ret_auth) HF_MUST_CHECK;
/* Nobody looks anything up any more. NULL is fine. */
void hf_auth_free(struct hf_auth *auth);

const char *hf_auth_cache_name(enum hf_auth_cache cache);
uint32_t hf_auth_cache_ttl_s(enum hf_auth_cache cache);
/* HF_AUTH_CACHES: there is none of that name. */
enum hf_auth_cache hf_auth_cache_of(const char *name);

struct hf_auth_id hf_auth_id(const struct hf_auth *auth, const void *facts, size_t len);
static inline bool hf_auth_id_eq(const struct hf_auth_id *a, const struct hf_auth_id *b)
{
	return ((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1])) == 0;
}

/* *ret_decision is set but when it is absent. Counts nothing. */
enum hf_auth_result hf_auth_lookup(struct hf_auth *auth, enum hf_auth_cache cache,
	const struct hf_auth_id *id, uint64_t now_us,
	const struct hf_auth_decision **ret_decision) HF_MUST_CHECK;
/* Counts a request's lookup. Worker. */
void hf_auth_count(enum hf_auth_cache cache, enum hf_auth_result result);

/* Changes with every revocation there: to be read before the service is asked. */
uint64_t hf_auth_epoch(const struct hf_auth *auth, enum hf_auth_cache cache);
/* Copies the decision, and replaces an earlier one. False: it was revoked since EPOCH, so it may
 * not count; or there is no memory. WHO: of the credential. */
bool hf_auth_put(struct hf_auth *auth, enum hf_auth_cache cache, const struct hf_auth_id *id,
	const uint8_t who[HF_SHA256_LEN], uint64_t epoch, const struct hf_auth_decision *decision);
/* All decisions about that credential, NULL: about any. How many there were. */
uint32_t hf_auth_revoke(struct hf_auth *auth, enum hf_auth_cache cache, const uint8_t *who);
/* A grace period for what was retired; false when nothing was. Blocks. */
bool hf_auth_reclaim_step(struct hf_auth *auth);

struct hf_auth_info {
	uint32_t entries, allowed, denied, expired; /* expired: of both */
	uint64_t oldest_us;                         /* its age; 0: there is none */
};

void hf_auth_info(struct hf_auth *auth, enum hf_auth_cache cache, uint64_t now_us,
	struct hf_auth_info *ret_info);

#endif
