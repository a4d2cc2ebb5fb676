/* SPDX-License-Identifier: BSD-3-Clause
 *
 * An origin in virtual time: so many servers, a queue before them; always as much is asked as the limit allows.
 */
#include "hf_origin.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "origin_adapt.h"

#define SIM_MAX 4096

struct sim {
	struct origin_adapt adapt;
	uint32_t servers, service_us, limit, count, wants;
	uint64_t now_us, seed;
	uint64_t free_us[SIM_MAX]; /* of each server */
	struct {
		uint64_t sent_us, due_us;
	} flight[SIM_MAX];
	double limit_sum; /* over samples since it was set to 0 */
	uint64_t samples;
};

static uint32_t sim_random(struct sim *sim, uint32_t below)
{
	sim->seed ^= sim->seed << 13;
	sim->seed ^= sim->seed >> 7;
	sim->seed ^= sim->seed << 17;
	return (uint32_t)(sim->seed >> 11) % below;
}

/* The server that is free first takes it; a fifth more or less than usual. */
static void sim_send(struct sim *sim)
{
	uint32_t first = 0,
		 took = sim->service_us * 4 / 5 + sim_random(sim, sim->service_us * 2 / 5);

	for (uint32_t i = 1; i < sim->servers; i++)
		if (sim->free_us[i] < sim->free_us[first])
			first = i;
	if (sim->free_us[first] < sim->now_us)
		sim->free_us[first] = sim->now_us;
	sim->free_us[first] += took;
	sim->flight[sim->count].sent_us = sim->now_us;
	sim->flight[sim->count++].due_us = sim->free_us[first];
}

static void sim_answer(struct sim *sim, bool failed)
{
	uint32_t first = 0, under_way = sim->count;
	uint64_t sent_us;

	for (uint32_t i = 1; i < sim->count; i++)
		if (sim->flight[i].due_us < sim->flight[first].due_us)
			first = i;
	sent_us = sim->flight[first].sent_us;
	sim->now_us = sim->flight[first].due_us;
	sim->flight[first] = sim->flight[--sim->count];
	sim->limit = origin_adapt_sample(&sim->adapt, sim->now_us, sent_us, under_way, failed);
	cr_assert(sim->limit >= sim->adapt.min && sim->limit <= sim->adapt.max);
	sim->limit_sum += sim->limit;
	sim->samples++;
}

/* Returns the mean limit of the second half. */
static double sim_run(struct sim *sim, uint32_t answers, uint32_t failed_percent)
{
	for (uint32_t i = 0; i < answers; i++) {
		if (i == answers / 2)
			sim->limit_sum = (double)(sim->samples = 0);
		while (sim->count < sim->limit && sim->count < sim->wants)
			sim_send(sim);
		sim_answer(sim, sim_random(sim, 100) < failed_percent);
	}
	return sim->limit_sum / (double)sim->samples;
}

/* What an origin can do now. */
static void sim_set(struct sim *sim, uint32_t servers, uint32_t service_us)
{
	for (uint32_t i = 0; i < SIM_MAX; i++)
		sim->free_us[i] = sim->now_us;
	sim->servers = servers;
	sim->service_us = service_us;
}

static struct sim *sim_new(uint32_t servers, uint32_t service_us)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	sim->seed = 88172645463325252ULL;
	sim->now_us = 1000000;
	sim->wants = SIM_MAX;
	origin_adapt_bounds(&sim->adapt, 4, 1000);
	sim->limit = origin_adapt_limit(&sim->adapt);
	sim_set(sim, servers, service_us);
	return sim;
}

/* Near the knee: all servers are busy, and what waits for them is a part of what they do. */
#define expect_knee(limit, servers)                                                                \
	do {                                                                                       \
		double limit_ = (limit);                                                           \
		cr_expect_gt(limit_, 0.9 * (servers), "%f of %u", limit_, (servers));              \
		cr_expect_lt(limit_, 1.4 * (servers) + 6, "%f of %u", limit_, (servers));          \
	} while (0)

Test(origin_adapt, A2_it_settles_near_the_knee_of_small_and_large_origins)
{
	static const uint32_t sizes[] = { 4, 16, 64, 256 };

	for (uint32_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
		struct sim *sim = sim_new(sizes[i], 20000);

		expect_knee(sim_run(sim, 400 * sizes[i], 0), sizes[i]);
		free(sim);
	}
}

Test(origin_adapt, A2_it_follows_an_origin_that_can_do_less_and_more_again)
{
	struct sim *sim = sim_new(64, 20000);

	expect_knee(sim_run(sim, 20000, 0), 64U);
	sim_set(sim, 16, 20000);
	expect_knee(sim_run(sim, 20000, 0), 16U);
	sim_set(sim, 64, 20000);
	expect_knee(sim_run(sim, 40000, 0), 64U);
	free(sim);
}

Test(origin_adapt, A2_an_origin_that_is_slower_for_each_is_not_asked_less_for_ever)
{
	struct sim *sim = sim_new(32, 10000);

	expect_knee(sim_run(sim, 20000, 0), 32U);
	sim_set(sim, 32, 50000);
	expect_knee(sim_run(sim, 40000, 0), 32U);
	free(sim);
}

Test(origin_adapt, A1_failures_bring_it_down_to_its_least_and_it_comes_back)
{
	struct sim *sim = sim_new(64, 20000);

	(void)sim_run(sim, 20000, 0);
	cr_expect_lt(sim_run(sim, 4000, 50), 8.0);
	expect_knee(sim_run(sim, 40000, 0), 64U);
	free(sim);
}

Test(origin_adapt, A3_what_is_not_used_does_not_grow)
{
	struct sim *sim = sim_new(64, 20000);

	sim->wants = 10;
	cr_expect_leq(sim_run(sim, 20000, 0), 30.0);
	free(sim);
}

Test(origin_adapt, A1_other_bounds_hold_at_once)
{
	struct sim *sim = sim_new(64, 20000);

	(void)sim_run(sim, 20000, 0);
	origin_adapt_bounds(&sim->adapt, 2, 8);
	cr_expect_eq(origin_adapt_limit(&sim->adapt), 8);
	origin_adapt_bounds(&sim->adapt, 100, 200);
	cr_expect_eq(origin_adapt_limit(&sim->adapt), 100);
	free(sim);
}
