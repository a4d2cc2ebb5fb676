/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_auth.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "auth_priv.h"
#include "hf_par.h"
#include "hf_stat.h"

#define S       1000000ULL
#define NOW     (100000 * S)
#define TTL     (300 * S)
#define ENTRIES 8

static struct hf_auth *auth;

static void set_up(void)
{
	(void)hf_stat_register("test");
	cr_assert_eq(hf_auth_new(ENTRIES, &auth), 0);
}

static void tear_down(void)
{
	hf_auth_free(auth);
}

TestSuite(auth, .init = set_up, .fini = tear_down);

static struct hf_auth_id id_of(unsigned who)
{
	return hf_auth_id(auth, &who, sizeof(who));
}

static bool put_at(enum hf_auth_cache cache, unsigned who, bool allow, uint64_t now_us)
{
	static char lines[16], body[4];
	struct hf_auth_id id = id_of(who);
	struct hf_auth_decision decision = { .allow = allow,
		.status = allow ? 200 : 403,
		.decided_us = now_us,
		.ttl_us = TTL,
		.lines = { lines, 11 },
		.body = { body, 2 } };
	uint8_t hash[HF_SHA256_LEN];
	bool kept;

	memcpy(lines, "X-User: u\r\n", 11);
	memcpy(body, "no", 2);
	hf_sha256(&who, sizeof(who), hash);
	kept = hf_auth_put(auth, cache, &id, hash, hf_auth_epoch(auth, cache), &decision);
	memset(lines, 'x', sizeof(lines)); /* it is copied */
	memset(body, 'x', sizeof(body));
	return kept;
}

static void put(unsigned who, bool allow)
{
	cr_assert(put_at(HF_AUTH_AGENT_IDENTITY, who, allow, NOW));
}

static enum hf_auth_result look_at(enum hf_auth_cache cache, unsigned who, uint64_t now_us)
{
	const struct hf_auth_decision *decision;
	struct hf_auth_id id = id_of(who);

	return hf_auth_lookup(auth, cache, &id, now_us, &decision);
}

static enum hf_auth_result look(unsigned who)
{
	return look_at(HF_AUTH_AGENT_IDENTITY, who, NOW);
}

static uint32_t revoke_one(unsigned who)
{
	uint8_t hash[HF_SHA256_LEN];

	hf_sha256(&who, sizeof(who), hash);
	return hf_auth_revoke(auth, HF_AUTH_AGENT_IDENTITY, hash);
}

Test(auth, the_four_caches_have_their_names_and_lifetimes)
{
	static const struct {
		const char *name;
		uint32_t ttl_s;
	} caches[] = { { "agent_identity", 300 }, { "agent_api_key", 300 }, { "auth_gateway", 60 },
		{ "authorization_check", 300 } };

	cr_assert_eq(HF_AUTH_CACHES, HF_ARRAY_LEN(caches));
	for (size_t i = 0; i < HF_ARRAY_LEN(caches); i++) {
		enum hf_auth_cache cache = hf_auth_cache_of(caches[i].name);

		cr_assert_lt(cache, HF_AUTH_CACHES);
		cr_expect_str_eq(hf_auth_cache_name(cache), caches[i].name);
		cr_expect_eq(hf_auth_cache_ttl_s(cache), caches[i].ttl_s);
	}
	cr_expect_eq(hf_auth_cache_of("agent"), HF_AUTH_CACHES);
	cr_expect_eq(HF_AUTH_ENTRIES_MAX, 1000);
}

Test(auth, what_was_never_decided_is_absent)
{
	cr_expect_eq(look(1), HF_AUTH_MISS_ABSENT);
	put(1, true);
	cr_expect_eq(look(2), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(look_at(HF_AUTH_AUTH_GATEWAY, 1, NOW), HF_AUTH_MISS_ABSENT);
}

Test(auth, both_halves_of_an_id_count)
{
	struct hf_auth_id id[2] = { id_of(1), id_of(1) };
	const struct hf_auth_decision *decision;

	put(1, true);
	id[0].word[0] ^= 1ULL << 63; /* in the same bucket */
	id[1].word[1] ^= 1;
	for (int i = 0; i < 2; i++)
		cr_expect_eq(hf_auth_lookup(auth, HF_AUTH_AGENT_IDENTITY, &id[i], NOW, &decision),
			HF_AUTH_MISS_ABSENT);
}

Test(auth, an_allow_is_a_hit_and_a_deny_a_negative_one)
{
	put(1, true);
	put(2, false);
	cr_expect_eq(look(1), HF_AUTH_HIT);
	cr_expect_eq(look(2), HF_AUTH_HIT_NEGATIVE);
}

Test(auth, a_decision_expires_when_it_is_older_than_its_ttl_and_not_before)
{
	put(1, true);
	put(2, false);
	for (unsigned who = 1; who <= 2; who++) {
		cr_expect_neq(
			look_at(HF_AUTH_AGENT_IDENTITY, who, NOW + TTL), HF_AUTH_MISS_EXPIRED);
		cr_expect_eq(
			look_at(HF_AUTH_AGENT_IDENTITY, who, NOW + TTL + 1), HF_AUTH_MISS_EXPIRED);
		cr_expect_eq(look_at(HF_AUTH_AGENT_IDENTITY, who, NOW + 100 * TTL),
			HF_AUTH_MISS_EXPIRED);
	}
}

Test(auth, a_clock_that_was_read_before_the_decision_makes_it_no_older)
{
	put(1, true);
	cr_expect_eq(look_at(HF_AUTH_AGENT_IDENTITY, 1, NOW - 10 * TTL), HF_AUTH_HIT);
}

Test(auth, what_is_kept_with_a_decision_is_found_with_it)
{
	const struct hf_auth_decision *decision = NULL;
	struct hf_auth_id id = id_of(1);

	put(1, false);
	cr_assert_eq(hf_auth_lookup(auth, HF_AUTH_AGENT_IDENTITY, &id, NOW, &decision),
		HF_AUTH_HIT_NEGATIVE);
	cr_expect_eq(decision->status, 403);
	cr_expect(hf_span_eq(decision->lines, HF_SPAN("X-User: u\r\n")));
	cr_expect(hf_span_eq(decision->body, HF_SPAN("no")));
	/* also of an expired one: fallback goes by its age */
	decision = NULL;
	cr_assert_eq(hf_auth_lookup(auth, HF_AUTH_AGENT_IDENTITY, &id, NOW + 2 * TTL, &decision),
		HF_AUTH_MISS_EXPIRED);
	cr_expect_eq(decision->decided_us, NOW);
}

Test(auth, a_later_decision_stands_in_the_place_of_the_one_before)
{
	struct hf_auth_info info;

	put(1, true);
	put(1, false);
	cr_expect_eq(look(1), HF_AUTH_HIT_NEGATIVE);
	put(1, true);
	cr_expect_eq(look(1), HF_AUTH_HIT);
	hf_auth_info(auth, HF_AUTH_AGENT_IDENTITY, NOW, &info);
	cr_expect_eq(info.entries, 1);
}

Test(auth, at_capacity_a_new_one_evicts_and_is_counted_and_an_update_is_not)
{
	struct hf_auth_info info;

	for (unsigned i = 0; i < ENTRIES; i++)
		put(i, true);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_AGENT_IDENTITY_EVICTION), 0);
	for (unsigned i = 0; i < ENTRIES; i++)
		put(i, false);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_AGENT_IDENTITY_EVICTION), 0);
	put(ENTRIES, true);
	put(ENTRIES + 1, true);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_AGENT_IDENTITY_EVICTION), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_AGENT_API_KEY_EVICTION), 0);
	hf_auth_info(auth, HF_AUTH_AGENT_IDENTITY, NOW, &info);
	cr_expect_eq(info.entries, ENTRIES);
}

Test(auth, the_least_recently_used_goes)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		put(i, true);
	for (unsigned i = 0; i < ENTRIES; i++)
		if (i != 3 && i != 5)
			cr_expect_eq(look(i), HF_AUTH_HIT);
	put(100, true);
	put(101, true);
	for (unsigned i = 0; i < ENTRIES; i++)
		cr_expect_eq(
			look(i), i == 3 || i == 5 ? HF_AUTH_MISS_ABSENT : HF_AUTH_HIT, "%u", i);
}

Test(auth, an_update_makes_an_entry_young)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		put(i, true);
	put(0, true);
	put(100, true);
	cr_expect_eq(look(0), HF_AUTH_HIT);
	cr_expect_eq(look(1), HF_AUTH_MISS_ABSENT);
}

Test(auth, what_is_revoked_is_absent_and_the_others_stay)
{
	put(1, true);
	put(2, true);
	cr_expect_eq(revoke_one(1), 1);
	cr_expect_eq(look(1), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(look(2), HF_AUTH_HIT);
	cr_expect_eq(revoke_one(1), 0);
	cr_expect_eq(hf_auth_revoke(auth, HF_AUTH_AGENT_IDENTITY, NULL), 1);
	cr_expect_eq(look(2), HF_AUTH_MISS_ABSENT);
}

Test(auth, what_was_asked_for_before_a_revocation_is_not_kept)
{
	struct hf_auth_id id = id_of(1);
	struct hf_auth_decision decision = { .allow = true, .decided_us = NOW, .ttl_us = TTL };
	uint64_t epoch = hf_auth_epoch(auth, HF_AUTH_AGENT_IDENTITY);
	uint8_t hash[HF_SHA256_LEN];
	unsigned who = 1;

	hf_sha256(&who, sizeof(who), hash);
	cr_expect_eq(revoke_one(1), 0); /* while the service is asked */
	cr_expect_not(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
	cr_expect_eq(look(1), HF_AUTH_MISS_ABSENT);
	epoch = hf_auth_epoch(auth, HF_AUTH_AGENT_IDENTITY);
	cr_expect(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
	cr_expect_eq(look(1), HF_AUTH_HIT);
	/* of another cache it says nothing */
	epoch = hf_auth_epoch(auth, HF_AUTH_AUTH_GATEWAY);
	(void)revoke_one(1);
	cr_expect(hf_auth_put(auth, HF_AUTH_AUTH_GATEWAY, &id, hash, epoch, &decision));
}

Test(auth, revocations_of_others_are_no_reason_to_ask_again_unless_they_were_too_many)
{
	struct hf_auth_id id = id_of(1);
	struct hf_auth_decision decision = { .allow = true, .decided_us = NOW, .ttl_us = TTL };
	uint64_t epoch = hf_auth_epoch(auth, HF_AUTH_AGENT_IDENTITY);
	uint8_t hash[HF_SHA256_LEN];
	unsigned who = 1;

	hf_sha256(&who, sizeof(who), hash);
	for (unsigned i = 0; i < HF_AUTH_REVOKED_KNOWN; i++)
		(void)revoke_one(2);
	cr_expect(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
	(void)revoke_one(2);
	cr_expect_not(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
	epoch = hf_auth_epoch(auth, HF_AUTH_AGENT_IDENTITY);
	(void)hf_auth_revoke(auth, HF_AUTH_AGENT_IDENTITY, NULL);
	cr_expect_not(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
	epoch = hf_auth_epoch(auth, HF_AUTH_AGENT_IDENTITY);
	for (unsigned i = 0; i < HF_AUTH_REVOKED_KNOWN; i++)
		(void)revoke_one(2); /* one in the place where all of them were */
	cr_expect(hf_auth_put(auth, HF_AUTH_AGENT_IDENTITY, &id, hash, epoch, &decision));
}

Test(auth, each_result_is_counted_for_its_cache)
{
	for (unsigned cache = 0; cache < HF_AUTH_CACHES; cache++)
		for (unsigned result = 0; result < HF_AUTH_RESULTS; result++)
			for (unsigned i = 0; i <= cache * HF_AUTH_RESULTS + result; i++)
				hf_auth_count(
					(enum hf_auth_cache)cache, (enum hf_auth_result)result);
	for (unsigned at = 0; at < HF_AUTH_CACHES * HF_AUTH_RESULTS; at++) {
		static const char *const results[] = { "hit", "hit_negative", "miss_expired",
			"miss_absent" };
		const struct hf_stat_info *info =
			&hf_stat_infos[HF_STAT_AUTH_AGENT_IDENTITY_HIT + at];
		char labels[128];

		(void)snprintf(labels, sizeof(labels), "cache=\"%s\",result=\"%s\"",
			hf_auth_cache_name((enum hf_auth_cache)(at / HF_AUTH_RESULTS)),
			results[at % HF_AUTH_RESULTS]);
		cr_expect_str_eq(info->name, "auth_cache_access_total");
		cr_expect_str_eq(info->labels, labels);
		cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_AGENT_IDENTITY_HIT + at), at + 1);
	}
}

Test(auth, ids_are_of_this_boot)
{
	struct hf_auth *other;
	struct hf_auth_id here = id_of(1), there;
	unsigned who = 1;

	cr_assert_eq(hf_auth_new(ENTRIES, &other), 0);
	there = hf_auth_id(other, &who, sizeof(who));
	cr_expect_not(hf_auth_id_eq(&here, &there));
	cr_expect_neq(here.word[0], here.word[1]);
	hf_auth_free(other);
}

Test(auth, status_tells_how_many_there_are_and_how_old)
{
	struct hf_auth_info info;

	put(1, true);
	cr_assert(put_at(HF_AUTH_AGENT_IDENTITY, 2, false, NOW + TTL));
	hf_auth_info(auth, HF_AUTH_AGENT_IDENTITY, NOW + TTL, &info);
	cr_expect_eq(info.expired, 0);
	hf_auth_info(auth, HF_AUTH_AGENT_IDENTITY, NOW + TTL + S, &info);
	cr_expect_eq(info.entries, 2);
	cr_expect_eq(info.allowed, 1);
	cr_expect_eq(info.denied, 1);
	cr_expect_eq(info.expired, 1);
	cr_expect_eq(info.oldest_us, TTL + S);
	hf_auth_info(auth, HF_AUTH_AUTH_GATEWAY, NOW, &info);
	cr_expect_eq(info.entries, 0);
}

Test(auth, retired_entries_are_freed_after_a_grace_period)
{
	put(1, true);
	put(1, true);
	(void)revoke_one(1);
	cr_expect(hf_auth_reclaim_step(auth));
	cr_expect_not(hf_auth_reclaim_step(auth));
	cr_expect_eq(look(1), HF_AUTH_MISS_ABSENT);
}

/* Against a model: any row of puts, lookups, revocations, at any time. */
Test(auth, behaves_as_a_map_of_the_last_decisions)
{
	struct {
		bool known, allow;
		uint64_t at_us;
	} model[ENTRIES] = { 0 }; /* as many as there is room for: nothing is evicted */
	uint64_t now_us = NOW;

	srand(7);
	for (int i = 0; i < 100000; i++) {
		unsigned who = (unsigned)rand() % ENTRIES;
		enum hf_auth_result expected = HF_AUTH_MISS_ABSENT;

		now_us += (uint64_t)rand() % (TTL / 8);
		switch (rand() % 8) {
		case 0:
		case 1:
			model[who].known = true;
			model[who].allow = rand() % 2;
			model[who].at_us = now_us;
			cr_assert(put_at(HF_AUTH_AGENT_IDENTITY, who, model[who].allow, now_us));
			break;
		case 2:
			cr_assert_eq(revoke_one(who), model[who].known);
			model[who].known = false;
			break;
		case 3:
			(void)hf_auth_reclaim_step(auth);
			break;
		}
		if (model[who].known)
			expected = now_us - model[who].at_us > TTL ? HF_AUTH_MISS_EXPIRED
				   : model[who].allow              ? HF_AUTH_HIT
								   : HF_AUTH_HIT_NEGATIVE;
		cr_assert_eq(look_at(HF_AUTH_AGENT_IDENTITY, who, now_us), expected, "step %d", i);
	}
}

/* ---- A4: an allow and a deny cost the same ---- */

/* The same key in two caches: allowed in one, denied in the other. */
static const enum hf_auth_cache twins[2] = { HF_AUTH_AGENT_IDENTITY, HF_AUTH_AGENT_API_KEY };

static void put_twins(void)
{
	cr_assert(put_at(twins[0], 1, true, NOW));
	cr_assert(put_at(twins[1], 1, false, NOW));
}

static enum hf_auth_result look_twin(const struct hf_auth_id *id, enum hf_auth_cache cache)
{
	const struct hf_auth_decision *decision;

	return hf_auth_lookup(auth, cache, id, NOW, &decision);
}

/* How many instructions a child takes that looks it up, between two signals. */
static uint64_t steps_of(enum hf_auth_cache cache)
{
	struct hf_auth_id id = id_of(1);
	uint64_t count = 0;
	int status;
	pid_t child = fork();

	if (child == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)look_twin(&id, cache); /* is it touched? */
		(void)raise(SIGSTOP);
		(void)look_twin(&id, cache);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	do {
		cr_assert_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSTOPPED(status));
		count++;
	} while (WSTOPSIG(status) == SIGTRAP);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, &status, 0);
	return count;
}

Test(auth, A4_allow_and_deny_take_the_same_instructions)
{
	uint64_t allow, deny;

	put_twins();
	allow = steps_of(twins[0]);
	deny = steps_of(twins[1]);
	printf("allow %lu, deny %lu instructions\n", (unsigned long)allow, (unsigned long)deny);
	cr_assert_gt(allow, 10);
	cr_expect_eq(allow, deny);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* This thread's own time for so many lookups. */
static uint64_t time_ns(const struct hf_auth_id *id, enum hf_auth_cache cache, uint32_t count)
{
	struct timespec from, to;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (uint32_t n = 0; n < count; n++)
		(void)look_twin(id, cache);
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000 + (uint64_t)to.tv_nsec -
	       (uint64_t)from.tv_nsec;
}

#define ROUNDS  2001
#define LOOKUPS 2000

/* In turns, so that what else the machine does is the same for both; medians. */
Test(auth, A4_allow_and_deny_take_the_same_time)
{
	static uint64_t took[2][ROUNDS];
	struct hf_auth_id id = id_of(1);
	double allow_ns, deny_ns;

	if (!getenv("HF_LONG"))
		cr_skip("set HF_LONG=1");
	put_twins();
	for (size_t i = 0; i < ROUNDS; i++)
		for (size_t j = 0; j < 2; j++)
			took[i % 2 ^ j][i] = time_ns(&id, twins[i % 2 ^ j], LOOKUPS);
	for (size_t j = 0; j < 2; j++)
		qsort(took[j], ROUNDS, sizeof(took[j][0]), compare);
	allow_ns = (double)took[0][ROUNDS / 2] / LOOKUPS;
	deny_ns = (double)took[1][ROUNDS / 2] / LOOKUPS;
	printf("allow %.2f ns, deny %.2f ns\n", allow_ns, deny_ns);
	cr_expect_lt(allow_ns, deny_ns * 1.03 + 0.2);
	cr_expect_lt(deny_ns, allow_ns * 1.03 + 0.2);
}
