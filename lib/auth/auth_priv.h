/* SPDX-License-Identifier: BSD-3-Clause
 *
 * auth, inside: entries, tables.
 */
#ifndef HF_PRIV_AUTH
#error "auth_priv.h is private to lib/auth"
#endif
#ifndef AUTH_PRIV_H
#define AUTH_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "hf_auth.h"
#include "hf_list.h"
#include "hf_siphash.h"

/* Linked once, unlinked once; nothing of it changes in between but `next`, `lru` and `touched`. */
struct auth_entry {
	_Atomic(struct auth_entry *)
		next; /* in its bucket; kept when it is unlinked: a reader goes on */
	struct hf_auth_id id;
	_Atomic uint8_t touched; /* looked up since it was last passed over */
	uint8_t who[HF_SHA256_LEN];
	struct hf_list lru;               /* writers: the oldest first; unlinked: in `retired` */
	struct hf_auth_decision decision; /* spans into text */
	size_t text_len;
	char text[];
};

struct auth_revoked {
	bool all;
	uint8_t who[HF_SHA256_LEN];
};

struct auth_table {
	_Atomic(struct auth_entry *) *bucket;
	uint32_t mask;
	_Atomic uint64_t epoch;
	pthread_mutex_t mutex; /* writers; what follows is theirs */
	struct hf_list lru, retired;
	uint32_t count;
	struct auth_revoked revoked[HF_AUTH_REVOKED_KNOWN]; /* by the epoch that each began */
};

struct hf_auth {
	struct hf_sipkey key[2];
	uint32_t entries_max;
	struct auth_table table[HF_AUTH_CACHES];
};

void auth_count_eviction(enum hf_auth_cache cache);

#endif
