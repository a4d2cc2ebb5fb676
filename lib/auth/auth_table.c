/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The tables: readers walk a bucket's chain without a lock, writers take the table's mutex. An
 * entry is never changed: another decision is another entry, which stands in its place.
 */
#include "hf_auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_par.h"
#include "hf_wipe.h"

#include "auth_priv.h"

static void table_free_all(struct hf_list *entries)
{
	struct hf_list *it;

	while ((it = hf_list_first(entries)) != NULL) {
		struct auth_entry *entry = HF_CONTAINER_OF(it, struct auth_entry, lru);

		hf_list_del(it);
		hf_wipe(entry, sizeof(*entry) + entry->text_len);
		free(entry);
	}
}

static int table_init(struct auth_table *table, uint32_t entries_max)
{
	uint32_t buckets = (uint32_t)hf_pow2_ceil(2 * (uint64_t)entries_max);

	hf_list_init(&table->lru);
	hf_list_init(&table->retired);
	table->mask = buckets - 1;
	table->bucket = calloc(buckets, sizeof(*table->bucket));
	(void)pthread_mutex_init(&table->mutex, NULL);
	return table->bucket ? 0 : -ENOMEM;
}

int hf_auth_new(uint32_t entries_max, struct hf_auth **ret_auth)
{
	struct hf_auth *auth = calloc(1, sizeof(*auth));
	int rc = 0;

	HF_ASSERT(entries_max > 0);
	if (!auth)
		return -ENOMEM;
	auth->entries_max = entries_max;
	hf_random_fill(auth->key, sizeof(auth->key));
	for (uint32_t i = 0; i < HF_AUTH_CACHES; i++)
		rc |= table_init(&auth->table[i], entries_max);
	if (rc) {
		hf_auth_free(auth);
		return -ENOMEM;
	}
	*ret_auth = auth;
	return 0;
}

void hf_auth_free(struct hf_auth *auth)
{
	if (!auth)
		return;
	for (uint32_t i = 0; i < HF_AUTH_CACHES; i++) {
		struct auth_table *table = &auth->table[i];

		table_free_all(&table->lru);
		table_free_all(&table->retired);
		free(table->bucket);
		(void)pthread_mutex_destroy(&table->mutex);
	}
	hf_wipe(auth, sizeof(*auth));
	free(auth);
}

static _Atomic(struct auth_entry *) *table_bucket(
	const struct auth_table *table, const struct hf_auth_id *id)
{
	return &table->bucket[id->word[0] & table->mask];
}

/* ---- readers ---- */

/* What stands in a chain is whole: entries are filled before they are linked. */
static struct auth_entry *table_find(const struct auth_table *table, const struct hf_auth_id *id)
{
	struct auth_entry *entry =
		atomic_load_explicit(table_bucket(table, id), memory_order_acquire);

	while (entry && !hf_auth_id_eq(&entry->id, id))
		entry = atomic_load_explicit(&entry->next, memory_order_acquire);
	return entry;
}

enum hf_auth_result hf_auth_lookup(struct hf_auth *auth, enum hf_auth_cache cache,
	const struct hf_auth_id *id, uint64_t now_us, const struct hf_auth_decision **ret_decision)
{
	static const uint8_t results[2][2] = { /* [is expired][allows] */
		{ HF_AUTH_HIT_NEGATIVE, HF_AUTH_HIT },
		{ HF_AUTH_MISS_EXPIRED, HF_AUTH_MISS_EXPIRED }
	};
	struct auth_entry *entry;
	uint64_t age_us;

	HF_ASSERT_HOT(cache < HF_AUTH_CACHES);
	entry = table_find(&auth->table[cache], id);
	if (!entry)
		return HF_AUTH_MISS_ABSENT;
	if (!atomic_load_explicit(&entry->touched, memory_order_relaxed))
		atomic_store_explicit(&entry->touched, 1, memory_order_relaxed);
	/* a worker's turn may have read its clock before the origin thread did */
	age_us = hf_max_u64(now_us, entry->decision.decided_us) - entry->decision.decided_us;
	*ret_decision = &entry->decision;
	return (enum hf_auth_result)results[age_us > entry->decision.ttl_us][entry->decision.allow];
}

/* ---- writers ---- */

/* Readers that are there go on along its `next`. */
static void table_unlink(struct auth_table *table, struct auth_entry *entry)
{
	_Atomic(struct auth_entry *) *at = table_bucket(table, &entry->id);
	struct auth_entry *it;

	while ((it = atomic_load_explicit(at, memory_order_relaxed)) != entry) {
		HF_ASSERT(it);
		at = &it->next;
	}
	atomic_store_explicit(
		at, atomic_load_explicit(&entry->next, memory_order_relaxed), memory_order_release);
	hf_list_del(&entry->lru);
	hf_list_add_tail(&table->retired, &entry->lru);
	HF_ASSERT(table->count > 0);
	table->count--;
}

static void table_link(struct auth_table *table, struct auth_entry *entry)
{
	_Atomic(struct auth_entry *) *bucket = table_bucket(table, &entry->id);

	atomic_store_explicit(&entry->next, atomic_load_explicit(bucket, memory_order_relaxed),
		memory_order_relaxed);
	atomic_store_explicit(bucket, entry, memory_order_release);
	hf_list_add_tail(&table->lru, &entry->lru);
	table->count++;
}

/* The least recently used: who was looked up since he was last here stands at the end again. */
static struct auth_entry *table_oldest(struct auth_table *table)
{
	for (;;) {
		struct hf_list *first = hf_list_first(&table->lru);
		struct auth_entry *entry = HF_CONTAINER_OF(first, struct auth_entry, lru);

		HF_ASSERT(first);
		if (!atomic_exchange_explicit(&entry->touched, 0, memory_order_relaxed))
			return entry;
		hf_list_del(first);
		hf_list_add_tail(&table->lru, first);
	}
}

static struct hf_span table_copy(char **at, struct hf_span from)
{
	struct hf_span copy = { *at, from.len };

	if (from.len > 0)
		memcpy(*at, from.ptr, from.len);
	*at += from.len;
	return copy;
}

static struct auth_entry *table_entry(
	const struct hf_auth_id *id, const uint8_t *who, const struct hf_auth_decision *decision)
{
	size_t len = decision->lines.len + decision->body.len;
	struct auth_entry *entry = calloc(1, sizeof(*entry) + len);
	char *at;

	if (!entry)
		return NULL;
	at = entry->text;
	entry->id = *id;
	memcpy(entry->who, who, sizeof(entry->who));
	entry->text_len = len;
	entry->decision = *decision;
	entry->decision.lines = table_copy(&at, decision->lines);
	entry->decision.body = table_copy(&at, decision->body);
	return entry;
}

/* Was it revoked since that epoch, or may it have been? */
static bool table_is_revoked(const struct auth_table *table, const uint8_t *who, uint64_t epoch)
{
	uint64_t now = atomic_load(&table->epoch);

	if (now - epoch > HF_AUTH_REVOKED_KNOWN)
		return true;
	for (; epoch < now; epoch++) {
		const struct auth_revoked *revoked =
			&table->revoked[(epoch + 1) % HF_AUTH_REVOKED_KNOWN];

		if (revoked->all || memcmp(revoked->who, who, sizeof(revoked->who)) == 0)
			return true;
	}
	return false;
}

static void table_remember(struct auth_table *table, const uint8_t *who)
{
	uint64_t epoch = atomic_load(&table->epoch) + 1;
	struct auth_revoked *revoked = &table->revoked[epoch % HF_AUTH_REVOKED_KNOWN];

	revoked->all = !who;
	if (who)
		memcpy(revoked->who, who, sizeof(revoked->who));
	atomic_store(&table->epoch, epoch);
}

bool hf_auth_put(struct hf_auth *auth, enum hf_auth_cache cache, const struct hf_auth_id *id,
	const uint8_t who[HF_SHA256_LEN], uint64_t epoch, const struct hf_auth_decision *decision)
{
	struct auth_table *table = &auth->table[cache];
	struct auth_entry *entry, *before;
	bool fits;

	HF_ASSERT(cache < HF_AUTH_CACHES && decision->ttl_us > 0);
	HF_ASSERT(decision->lines.len <= HF_AUTH_LINES_MAX);
	HF_ASSERT(decision->body.len <= HF_AUTH_BODY_MAX);
	entry = table_entry(id, who, decision);
	if (!entry)
		return false;
	(void)pthread_mutex_lock(&table->mutex);
	fits = !table_is_revoked(table, who, epoch);
	if (fits) {
		before = table_find(table, id);
		if (!before && table->count == auth->entries_max) {
			before = table_oldest(table);
			auth_count_eviction(cache);
		}
		if (before)
			table_unlink(table, before);
		table_link(table, entry);
	}
	(void)pthread_mutex_unlock(&table->mutex);
	if (!fits)
		free(entry);
	return fits;
}

uint64_t hf_auth_epoch(const struct hf_auth *auth, enum hf_auth_cache cache)
{
	return atomic_load(&auth->table[cache].epoch);
}

uint32_t hf_auth_revoke(struct hf_auth *auth, enum hf_auth_cache cache, const uint8_t *who)
{
	struct auth_table *table = &auth->table[cache];
	struct hf_list *it, *after;
	uint32_t count = 0;

	HF_ASSERT(cache < HF_AUTH_CACHES);
	(void)pthread_mutex_lock(&table->mutex);
	table_remember(table, who);
	hf_list_for_each_safe (it, after, &table->lru) {
		struct auth_entry *entry = HF_CONTAINER_OF(it, struct auth_entry, lru);

		if (who && memcmp(entry->who, who, sizeof(entry->who)) != 0)
			continue;
		table_unlink(table, entry);
		count++;
	}
	(void)pthread_mutex_unlock(&table->mutex);
	return count;
}

bool hf_auth_reclaim_step(struct hf_auth *auth)
{
	struct hf_list over;

	HF_ASSERT_THREAD(HF_THREAD_RECLAIM);
	hf_list_init(&over);
	for (uint32_t i = 0; i < HF_AUTH_CACHES; i++) {
		struct auth_table *table = &auth->table[i];
		struct hf_list *it;

		(void)pthread_mutex_lock(&table->mutex);
		while ((it = hf_list_first(&table->retired)) != NULL) {
			hf_list_del(it);
			hf_list_add_tail(&over, it);
		}
		(void)pthread_mutex_unlock(&table->mutex);
	}
	if (hf_list_empty(&over))
		return false;
	hf_rcu_synchronize();
	table_free_all(&over);
	return true;
}

void hf_auth_info(struct hf_auth *auth, enum hf_auth_cache cache, uint64_t now_us,
	struct hf_auth_info *ret_info)
{
	struct auth_table *table = &auth->table[cache];
	struct hf_list *it;

	HF_ASSERT(cache < HF_AUTH_CACHES);
	(void)pthread_mutex_lock(&table->mutex);
	*ret_info = (struct hf_auth_info){ .entries = table->count };
	hf_list_for_each (it, &table->lru) {
		const struct hf_auth_decision *decision =
			&HF_CONTAINER_OF(it, struct auth_entry, lru)->decision;
		uint64_t age_us = hf_max_u64(now_us, decision->decided_us) - decision->decided_us;

		ret_info->expired += age_us > decision->ttl_us;
		ret_info->allowed += decision->allow;
		ret_info->denied += !decision->allow;
		ret_info->oldest_us = hf_max_u64(ret_info->oldest_us, age_us);
	}
	(void)pthread_mutex_unlock(&table->mutex);
}
