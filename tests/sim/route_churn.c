/* SPDX-License-Identifier: BSD-3-Clause
 *
 * route_churn - hours of prefix affinity while origins come and go, in virtual time.
 *
 *   route_churn [--hours N] [--seed K] [--cap N] [--alpha N] [--affine SHARE]
 *
 * What      Up to 256 origins of one group: each few seconds one joins, leaves, restarts, dies (and is removed
 *           later), becomes slow or well again, or lies: it restarts and does not say so. Documents, some
 *           much asked for, are read in pieces; a quarter of all requests is for what nobody asked before.
 *           What each origin really has is known to the world alone: what it was sent since its last
 *           restart, within the TTL.
 * Promise   no request to an origin after its removal; never more prefixes than the cap; of the requests
 *           whose document was last sent to an origin that still has it, at least SHARE go to one that has it.
 * Told      times of a choice and that share, each before and after changes; the share that chance alone would give.
 * Limits    with --seed all is the same again but the times.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_route.h"

#define ORIGINS     256
#define DOCUMENTS   40000
#define RATE        100  /* requests a second */
#define CHANGE_EACH 1000 /* requests */
#define WINDOW      200  /* requests before and after a change */
#define TTL_S       300
#define TIMEOUT_MS  5000
#define REMOVED_MS  10000
#define RING        8192 /* ms; more than any request takes */
#define SAMPLES_MAX 1000000
#define UNDER_WAY   (1U << 17)

struct churn_origin {
	bool in, dead, slow;
	uint32_t life;       /* of its slot */
	uint64_t born_ms;    /* of what it holds */
	uint64_t removed_ms; /* dead: when that is noticed */
	uint32_t *served_ms; /* [DOCUMENTS] last, + 1; 0: never */
};

struct churn_request {
	uint32_t origin, life, next;
};

struct churn {
	double hours, alpha, affine_min;
	uint64_t seed, random, now_ms;
	uint32_t cap;
	struct hf_route_table *table;
	struct hf_route_origin candidate[ORIGINS];
	struct churn_origin origin[ORIGINS];
	uint32_t last[DOCUMENTS]; /* who was sent it last, + 1 */
	uint32_t ring[RING], free;
	struct churn_request request[UNDER_WAY];
	/* told at the end */
	uint64_t requests, changes, known, affine, chance, stale;
	struct churn_window {
		uint32_t *ns, count;
		uint64_t known, affine;
	} before, after; /* changes */
};

static uint32_t churn_random(struct churn *churn, uint32_t below)
{
	churn->random = churn->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((churn->random >> 32) * below >> 32);
}

static double churn_chance(struct churn *churn)
{
	return (churn_random(churn, 1 << 30) + 1.0) / (1 << 30);
}

/* ---- origins ---- */

static void churn_join(struct churn *churn, uint32_t i)
{
	struct churn_origin *origin = &churn->origin[i];

	HF_ASSERT(!origin->in);
	origin->in = true;
	origin->dead = origin->slow = false;
	origin->life++;
	origin->born_ms = churn->now_ms;
	churn->candidate[i] = (struct hf_route_origin){ .weight = 1 };
	churn->candidate[i].slot = hf_route_join(churn->table);
	HF_ASSERT(churn->candidate[i].slot.generation != 0);
}

static void churn_leave(struct churn *churn, uint32_t i)
{
	HF_ASSERT(churn->origin[i].in);
	churn->origin[i].in = false;
	hf_route_leave(churn->table, churn->candidate[i].slot);
	if (churn_random(churn, 2)) /* its registration may end twice */
		hf_route_leave(churn->table, churn->candidate[i].slot);
}

static void churn_change(struct churn *churn)
{
	uint32_t i = churn_random(churn, ORIGINS);
	struct churn_origin *origin = &churn->origin[i];

	churn->changes++;
	if (!origin->in) {
		churn_join(churn, i);
		return;
	}
	switch (churn_random(churn, 5)) {
	case 0:
		churn_leave(churn, i);
		break;
	case 1:
		churn_leave(churn, i);
		churn_join(churn, i);
		break;
	case 2:
		origin->dead = true;
		origin->removed_ms = churn->now_ms + REMOVED_MS;
		break;
	case 3:
		origin->slow = !origin->slow;
		break;
	default:
		origin->born_ms = churn->now_ms; /* and keeps its slot */
	}
}

static void churn_removals(struct churn *churn)
{
	for (uint32_t i = 0; i < ORIGINS; i++)
		if (churn->origin[i].in && churn->origin[i].dead &&
			churn->now_ms >= churn->origin[i].removed_ms)
			churn_leave(churn, i);
}

static bool churn_has(const struct churn *churn, uint32_t i, uint32_t document)
{
	const struct churn_origin *origin = &churn->origin[i];
	uint64_t served_ms = origin->served_ms[document];

	return origin->in && !origin->dead && served_ms > origin->born_ms &&
	       churn->now_ms + 1 - served_ms <= TTL_S * 1000;
}

/* ---- requests ---- */

static void churn_send(struct churn *churn, uint32_t i)
{
	struct churn_origin *origin = &churn->origin[i];
	double ms = -log(churn_chance(churn)) * (origin->slow ? 2000 : 200);
	uint32_t at = churn->free, *slot;

	HF_ASSERT(at != 0);
	churn->free = churn->request[at].next;
	if (origin->dead || ms > TIMEOUT_MS)
		ms = TIMEOUT_MS;
	slot = &churn->ring[(churn->now_ms + 1 + (uint64_t)ms) % RING];
	churn->request[at] = (struct churn_request){ i, origin->life, *slot };
	*slot = at;
	churn->candidate[i].pending++;
}

static void churn_tick(struct churn *churn)
{
	uint32_t *slot = &churn->ring[++churn->now_ms % RING];

	while (*slot) {
		struct churn_request *request = &churn->request[*slot];
		uint32_t at = *slot;

		if (churn->origin[request->origin].life == request->life)
			churn->candidate[request->origin].pending--;
		*slot = request->next;
		request->next = churn->free;
		churn->free = at;
	}
	if (churn->now_ms % 100 == 0)
		churn_removals(churn);
}

static uint64_t churn_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* NULL: in between. */
static struct churn_window *churn_window(struct churn *churn)
{
	uint64_t since = churn->requests % CHANGE_EACH;

	if (since < WINDOW)
		return &churn->after;
	return since >= CHANGE_EACH - WINDOW ? &churn->before : NULL;
}

static void churn_sample(struct churn *churn, uint64_t ns)
{
	struct churn_window *window = churn_window(churn);

	if (window && window->count < SAMPLES_MAX)
		window->ns[window->count++] = (uint32_t)ns;
}

/* The document is at an origin that has it still; was it asked there? */
static void churn_count(struct churn *churn, bool affine)
{
	struct churn_window *window = churn_window(churn);

	churn->known++;
	churn->affine += affine;
	if (window) {
		window->known++;
		window->affine += affine;
	}
}

static uint32_t churn_choose(struct churn *churn, const char *path)
{
	uint64_t begin_ns = churn_ns();
	struct hf_route_blocks blocks;
	struct hf_route_why why;
	uint32_t chosen;

	hf_route_blocks_path(
		churn->table, HF_SPAN("h"), (struct hf_span){ path, strlen(path) }, &blocks);
	chosen = hf_route_affinity(
		churn->table, &blocks, churn->now_ms * 1000, churn->candidate, ORIGINS, NULL, &why);
	HF_ASSERT(chosen != HF_ROUTE_NONE);
	HF_ASSERT(churn->origin[chosen].in);
	hf_route_learn(churn->table, &blocks, churn->candidate[chosen].slot, churn->now_ms * 1000);
	churn_sample(churn, churn_ns() - begin_ns);
	HF_ASSERT(hf_route_counts(churn->table).nodes <= churn->cap);
	churn->stale += why.stale;
	return chosen;
}

static void churn_read(struct churn *churn)
{
	double popular = churn_chance(churn);
	uint32_t document = (uint32_t)(popular * popular * popular * (DOCUMENTS - 1)), chosen;
	uint32_t last = churn->last[document];
	char path[64];

	(void)snprintf(path, sizeof(path), "/tenant%u/%u/%u", document % 100, document,
		churn_random(churn, 1000));
	chosen = churn_choose(churn, path);
	if (last && churn_has(churn, last - 1, document)) {
		churn_count(churn, churn_has(churn, chosen, document));
		churn->chance += churn_has(churn, churn_random(churn, ORIGINS), document);
	}
	churn->last[document] = chosen + 1;
	churn->origin[chosen].served_ms[document] = (uint32_t)churn->now_ms + 1;
	churn_send(churn, chosen);
}

static void churn_read_new(struct churn *churn)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/%u/%u/%u", churn_random(churn, UINT32_MAX),
		churn_random(churn, UINT32_MAX), churn_random(churn, UINT32_MAX));
	churn_send(churn, churn_choose(churn, path));
}

static void churn_run(struct churn *churn)
{
	uint64_t end_ms = (uint64_t)(churn->hours * 3600000);

	while (churn->now_ms < end_ms) {
		churn_tick(churn);
		while (churn->requests * 1000 < churn->now_ms * RATE) {
			if (churn->requests % CHANGE_EACH == 0)
				churn_change(churn);
			if (churn_random(churn, 4))
				churn_read(churn);
			else
				churn_read_new(churn);
			churn->requests++;
		}
	}
}

/* ---- begin and end ---- */

static void churn_new(struct churn *churn)
{
	struct hf_route_cfg cfg = { .cap = churn->cap,
		.slots_max = ORIGINS,
		.ttl_us = TTL_S * 1000000ULL,
		.alpha = churn->alpha,
		.key = { churn->seed, 1 } };

	churn->random = churn->seed;
	churn->table = hf_route_table_new(&cfg);
	churn->before.ns = calloc(SAMPLES_MAX, sizeof(*churn->before.ns));
	churn->after.ns = calloc(SAMPLES_MAX, sizeof(*churn->after.ns));
	HF_ASSERT(churn->table && churn->before.ns && churn->after.ns);
	for (uint32_t i = 1; i < UNDER_WAY - 1; i++)
		churn->request[i].next = i + 1;
	churn->free = 1;
	for (uint32_t i = 0; i < ORIGINS; i++) {
		churn->origin[i].served_ms = calloc(DOCUMENTS, sizeof(*churn->origin[i].served_ms));
		HF_ASSERT(churn->origin[i].served_ms);
		if (i % 4 != 0)
			churn_join(churn, i);
	}
}

static void churn_free(struct churn *churn)
{
	for (uint32_t i = 0; i < ORIGINS; i++)
		free(churn->origin[i].served_ms);
	free(churn->before.ns);
	free(churn->after.ns);
	hf_route_table_free(churn->table);
}

static int by_value(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static double churn_share(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 1;
}

static void churn_tell_window(const char *when, struct churn_window *window)
{
	const uint32_t *ns = window->ns;

	qsort(window->ns, window->count, sizeof(*ns), by_value);
	if (window->count > 0)
		printf("%s a change: %.3f, p50 %u ns, p95 %u ns, p99 %u ns\n", when,
			churn_share(window->affine, window->known), ns[window->count / 2],
			ns[(uint64_t)window->count * 95 / 100],
			ns[(uint64_t)window->count * 99 / 100]);
}

static bool churn_tell(struct churn *churn)
{
	double share = churn_share(churn->affine, churn->known);
	struct hf_route_counts counts = hf_route_counts(churn->table);

	printf("seed %llu: %llu requests, %llu changes, %u prefixes of %u, %llu evicted, %llu "
	       "stale "
	       "entries met\n",
		(unsigned long long)churn->seed, (unsigned long long)churn->requests,
		(unsigned long long)churn->changes, counts.nodes, churn->cap,
		(unsigned long long)counts.evictions, (unsigned long long)churn->stale);
	printf("to one that has it: %.3f of %llu; by chance %.3f\n", share,
		(unsigned long long)churn->known, churn_share(churn->chance, churn->known));
	churn_tell_window("before", &churn->before);
	churn_tell_window("after", &churn->after);
	return share >= churn->affine_min;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "hours", required_argument, NULL, 'h' },
		{ "seed", required_argument, NULL, 's' }, { "cap", required_argument, NULL, 'c' },
		{ "alpha", required_argument, NULL, 'l' },
		{ "affine", required_argument, NULL, 'a' }, { 0 } };
	static struct churn churn = { .hours = 0.1, .seed = 1, .cap = 65536, .alpha = 1 };
	int option;
	bool good;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			churn.hours = strtod(optarg, NULL);
		else if (option == 's')
			churn.seed = strtoull(optarg, NULL, 10);
		else if (option == 'c')
			churn.cap = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 'l')
			churn.alpha = strtod(optarg, NULL);
		else if (option == 'a')
			churn.affine_min = strtod(optarg, NULL);
		else
			return 2;
	}
	if (!(churn.alpha >= 0) || churn.hours <= 0 || churn.hours > 1000 || churn.cap == 0 ||
		churn.cap > HF_ROUTE_CAP_MAX) {
		fprintf(stderr, "usage: route_churn [--hours N] [--seed K] [--cap N] [--alpha N] "
				"[--affine SHARE]\n");
		return 2;
	}
	churn_new(&churn);
	churn_run(&churn);
	good = churn_tell(&churn);
	churn_free(&churn);
	return good ? 0 : 1;
}
