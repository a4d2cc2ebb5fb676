/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Workers look up while decisions come, go and are revoked.
 */
#include "hf_auth.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <criterion/criterion.h>

#include "auth_priv.h"
#include "hf_par.h"
#include "hf_stat.h"

#define READERS 3
#define KEYS    64
#define ENTRIES 32
#define TURNS   5000

static struct hf_auth *auth;
static _Atomic bool stop;
static _Atomic uint64_t revoked; /* serial number of the last decision that was revoked, of key 0 */
static _Atomic uint64_t bad;

static struct hf_auth_id id_of(unsigned who)
{
	return hf_auth_id(auth, &who, sizeof(who));
}

/* The text of a decision says whose it is and which: a reader sees that it is whole. */
static bool put(unsigned who, uint64_t serial)
{
	struct hf_auth_id id = id_of(who);
	struct {
		unsigned who;
		uint64_t serial, check;
	} text = { who, serial, ~serial };
	struct hf_auth_decision decision = { .allow = true,
		.decided_us = serial,
		.ttl_us = 1000000000,
		.lines = { (const char *)&text, sizeof(text) } };
	uint8_t hash[HF_SHA256_LEN];

	hf_sha256(&who, sizeof(who), hash);
	return hf_auth_put(auth, HF_AUTH_AGENT_API_KEY, &id, hash,
		hf_auth_epoch(auth, HF_AUTH_AGENT_API_KEY), &decision);
}

static void read_one(unsigned who)
{
	uint64_t before = atomic_load(&revoked);
	const struct hf_auth_decision *decision;
	struct hf_auth_id id = id_of(who);
	struct {
		unsigned who;
		uint64_t serial, check;
	} text;

	if (hf_auth_lookup(auth, HF_AUTH_AGENT_API_KEY, &id, 0, &decision) != HF_AUTH_HIT)
		return;
	memcpy(&text, decision->lines.ptr, sizeof(text));
	if (text.who != who || text.check != ~text.serial)
		atomic_fetch_add(&bad, 1);
	if (who == 0 && text.serial <= before) /* A2 */
		atomic_fetch_add(&bad, 1);
}

static void *reader(void *arg)
{
	unsigned who = (unsigned)(uintptr_t)arg;

	hf_rcu_register();
	while (!atomic_load(&stop)) {
		read_one(who++ % KEYS);
		read_one(0);
		hf_rcu_quiescent();
	}
	hf_rcu_unregister();
	return NULL;
}

static void *reclaimer(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		(void)hf_auth_reclaim_step(auth);
	return NULL;
}

Test(auth_threads, a_revoked_decision_is_found_by_no_lookup_that_begins_later)
{
	pthread_t thread[READERS + 1];
	uint8_t hash[HF_SHA256_LEN];
	unsigned zero = 0;

	(void)hf_stat_register("test");
	cr_assert_eq(hf_auth_new(ENTRIES, &auth), 0);
	hf_sha256(&zero, sizeof(zero), hash);
	for (uintptr_t i = 0; i < READERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, reader, (void *)i), 0);
	cr_assert_eq(pthread_create(&thread[READERS], NULL, reclaimer, NULL), 0);
	for (uint64_t serial = 1; serial <= TURNS; serial++) {
		cr_assert(put((unsigned)(serial % KEYS), serial));
		cr_assert(put(0, serial));
		if (serial % 4 == 0) {
			(void)hf_auth_revoke(auth, HF_AUTH_AGENT_API_KEY, hash);
			atomic_store(&revoked, serial);
		}
	}
	atomic_store(&stop, true);
	for (int i = 0; i <= READERS; i++)
		cr_assert_eq(pthread_join(thread[i], NULL), 0);
	cr_expect_eq(atomic_load(&bad), 0);
	hf_auth_free(auth);
}

static void *reclaim_once(void *arg)
{
	(void)arg;
	(void)hf_auth_reclaim_step(auth);
	return NULL;
}

static bool is_taken(void)
{
	struct auth_table *table = &auth->table[HF_AUTH_AGENT_API_KEY];
	bool taken;

	cr_assert_eq(pthread_mutex_lock(&table->mutex), 0);
	taken = hf_list_empty(&table->retired);
	cr_assert_eq(pthread_mutex_unlock(&table->mutex), 0);
	return taken;
}

Test(auth_threads, what_was_looked_up_stays_until_the_next_quiescent_state)
{
	const struct hf_auth_decision *decision;
	struct hf_auth_id id;
	pthread_t thread;
	unsigned who;

	(void)hf_stat_register("test");
	cr_assert_eq(hf_auth_new(ENTRIES, &auth), 0);
	hf_rcu_register();
	id = id_of(5);
	cr_assert(put(5, 1));
	cr_assert_eq(hf_auth_lookup(auth, HF_AUTH_AGENT_API_KEY, &id, 0, &decision), HF_AUTH_HIT);
	(void)hf_auth_revoke(auth, HF_AUTH_AGENT_API_KEY, NULL);
	cr_assert_eq(pthread_create(&thread, NULL, reclaim_once, NULL), 0);
	while (!is_taken())
		(void)sched_yield();
	for (int i = 0; i < 1000; i++)
		(void)sched_yield(); /* it would be wiped by now */
	memcpy(&who, decision->lines.ptr, sizeof(who));
	cr_expect_eq(who, 5);
	hf_rcu_unregister();
	cr_assert_eq(pthread_join(thread, NULL), 0);
	hf_auth_free(auth);
}
