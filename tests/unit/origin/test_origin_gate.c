/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A gate by itself: a seeded simulation in virtual time, one operation a step, and real threads.
 */
#include "hf_origin.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "origin_gate.h"

static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 11) % limit;
}

Test(origin_gate, G1_takes_to_the_limit_then_whoever_comes_waits_and_is_named)
{
	struct origin_gate gate = { 0 };
	uint32_t wake;

	cr_assert(origin_gate_take(&gate, 2, 0, &wake));
	cr_expect_eq(wake, ORIGIN_GATE_NOBODY);
	cr_assert(origin_gate_take(&gate, 2, 0, &wake));
	cr_assert_not(origin_gate_take(&gate, 2, 31, &wake));
	cr_assert_not(origin_gate_is_open(&gate, 2, 31));
	cr_expect_eq(origin_gate_inside(&gate), 2);
	cr_expect_eq(origin_gate_give(&gate), 31);
	cr_expect_not(origin_gate_is_open(&gate, 2, 0), "it is 31's turn");
	cr_assert(origin_gate_take(&gate, 2, 31, &wake));
	cr_expect_eq(wake, ORIGIN_GATE_NOBODY);
	cr_expect_eq(origin_gate_give(&gate), ORIGIN_GATE_NOBODY);
	cr_expect_eq(origin_gate_give(&gate), ORIGIN_GATE_NOBODY);
	cr_expect_eq(origin_gate_inside(&gate), 0);
}

Test(origin_gate, G2_who_is_named_and_does_not_want_it_names_the_next)
{
	struct origin_gate gate = { 0 };
	uint32_t wake;

	cr_assert(origin_gate_take(&gate, 1, 0, &wake));
	cr_assert(origin_gate_wait(&gate, 1, 1));
	cr_assert(origin_gate_wait(&gate, 1, 2));
	cr_expect_eq(origin_gate_cancel(&gate, 1, 2), ORIGIN_GATE_NOBODY, "it is full");
	cr_assert(origin_gate_wait(&gate, 1, 2));
	cr_expect_eq(origin_gate_give(&gate), 1);
	cr_expect_eq(origin_gate_cancel(&gate, 1, 1), 2);
	cr_assert_not(origin_gate_wait(&gate, 1, 2), "it can take");
	cr_assert(origin_gate_take(&gate, 1, 2, &wake));
	cr_expect_eq(origin_gate_give(&gate), ORIGIN_GATE_NOBODY);
}

Test(origin_gate, G2_a_limit_that_was_raised_lets_in_all_that_it_can)
{
	struct origin_gate gate = { 0 };
	uint32_t wake;

	cr_assert(origin_gate_take(&gate, 1, 0, &wake));
	for (uint32_t i = 1; i < 4; i++)
		cr_assert(origin_gate_wait(&gate, 1, i));
	cr_assert(origin_gate_take(&gate, 3, 1, &wake));
	cr_expect_eq(wake, 2, "there is room for another");
	cr_assert(origin_gate_take(&gate, 3, 2, &wake));
	cr_expect_eq(wake, ORIGIN_GATE_NOBODY);
	cr_assert_not(origin_gate_take(&gate, 3, 3, &wake));
}

Test(origin_gate, G3_under_overload_each_thread_has_its_turn)
{
	struct origin_gate gate = { 0 };
	uint32_t had[4] = { 0 }, next = 0, wake;

	cr_assert(origin_gate_take(&gate, 1, 0, &wake));
	for (uint32_t i = 0; i < 4; i++)
		cr_assert(origin_gate_wait(&gate, 1, i));
	for (uint32_t i = 0; i < 400; i++) {
		next = origin_gate_give(&gate);
		for (uint32_t j = 0; j < 4; j++) /* all try, also who is not named */
			if (origin_gate_take(&gate, 1, j, &wake)) {
				cr_assert_eq(j, next);
				had[j]++;
			}
		cr_assert(origin_gate_wait(&gate, 1, next));
	}
	for (uint32_t j = 0; j < 4; j++)
		cr_expect_eq(had[j], 100);
}

/* ---- a simulation: threads that sleep until they are named ---- */

#define SIM_THREADS 5
#define SIM_STEPS   200000

struct sim {
	struct origin_gate gate;
	uint32_t limit;
	bool awake[SIM_THREADS];
	bool waits[SIM_THREADS];
	uint32_t wants[SIM_THREADS], inside[SIM_THREADS], passed[SIM_THREADS][SIM_THREADS];
	uint64_t admitted;
};

static void sim_wake(struct sim *sim, uint32_t thread)
{
	if (thread != ORIGIN_GATE_NOBODY)
		sim->awake[thread] = true;
}

static void sim_passed(struct sim *sim, uint32_t by)
{
	for (uint32_t i = 0; i < SIM_THREADS; i++)
		if (sim->waits[i])
			cr_assert_leq(++sim->passed[i][by], 1, "each other goes first once");
}

static void sim_waits(struct sim *sim, uint32_t i, bool waits)
{
	sim->waits[i] = waits;
	if (!waits)
		memset(sim->passed[i], 0, sizeof(sim->passed[i]));
}

/* An origin thread's turn, one operation of it. */
static void sim_turn(struct sim *sim, uint32_t i)
{
	uint32_t wake;

	if (!sim->awake[i])
		return;
	if (sim->wants[i] == 0) {
		sim_wake(sim, origin_gate_cancel(&sim->gate, sim->limit, i));
		sim_waits(sim, i, false);
		sim->awake[i] = false;
	} else if (origin_gate_take(&sim->gate, sim->limit, i, &wake)) {
		sim_wake(sim, wake);
		sim->wants[i]--;
		sim->inside[i]++;
		sim->admitted++;
		sim_waits(sim, i, false);
		sim_passed(sim, i);
	} else {
		sim_waits(sim, i, true);
		sim->awake[i] = false; /* sleeps: who gives has to name it */
	}
}

static uint32_t sim_sum(const uint32_t *of)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < SIM_THREADS; i++)
		sum += of[i];
	return sum;
}

/* No turn is due: then what could go in is in. */
static void sim_expect_no_loss(const struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_THREADS; i++)
		if (sim->awake[i])
			return;
	cr_assert(sim_sum(sim->inside) >= sim->limit || sim_sum(sim->wants) == 0,
		"somebody sleeps before an open gate");
}

static void sim_step(struct sim *sim, bool storm)
{
	uint32_t i = random_below(SIM_THREADS), what = random_below(8);

	if (what == 0 && sim->wants[i] < 20) {
		sim->wants[i]++;
		sim->awake[i] = true;
	} else if (what == 1 && sim->inside[i] > 0) {
		sim->inside[i]--;
		sim_wake(sim, origin_gate_give(&sim->gate));
	} else if (what == 2 && storm && sim->wants[i] > 0) {
		sim->wants[i] = random_below(sim->wants[i]); /* clients leave */
		if (sim->wants[i] == 0) {
			sim_wake(sim, origin_gate_cancel(&sim->gate, sim->limit, i));
			sim_waits(sim, i, false);
		}
	} else {
		sim_turn(sim, i);
	}
	cr_assert_eq(origin_gate_inside(&sim->gate), sim_sum(sim->inside));
	cr_assert_leq(sim_sum(sim->inside), sim->limit);
	sim_expect_no_loss(sim);
}

static void sim_run(uint32_t limit, bool storm)
{
	struct sim sim = { .limit = limit };

	seed = 88172645463325252ULL + limit;
	for (uint32_t i = 0; i < SIM_STEPS; i++)
		sim_step(&sim, storm);
	cr_expect_gt(sim.admitted, SIM_STEPS / 100);
}

Test(origin_gate, G2_G3_in_any_order_none_sleeps_before_an_open_gate)
{
	sim_run(1, false);
	sim_run(3, false);
}

Test(origin_gate, G2_G3_neither_in_storms_of_clients_that_leave)
{
	sim_run(1, true);
	sim_run(4, true);
}

/* ---- real threads ---- */

#define REAL_THREADS 4
#define REAL_LIMIT   2
#define REAL_TAKES   5000

struct real {
	struct origin_gate gate;
	_Atomic int32_t inside;
	_Atomic bool named[REAL_THREADS];
};

struct real_thread {
	struct real *real;
	uint32_t index;
	bool over;
};

static void real_wake(struct real *real, uint32_t thread)
{
	if (thread != ORIGIN_GATE_NOBODY)
		atomic_store(&real->named[thread], true);
}

static void *real_run(void *arg)
{
	struct real_thread *self = arg;
	struct real *real = self->real;
	uint32_t wake;

	for (uint32_t i = 0; i < REAL_TAKES; i++) {
		while (!origin_gate_take(&real->gate, REAL_LIMIT, self->index, &wake))
			while (!atomic_exchange(&real->named[self->index], false))
				(void)sched_yield();
		real_wake(real, wake);
		self->over |= atomic_fetch_add(&real->inside, 1) >= REAL_LIMIT;
		atomic_fetch_sub(&real->inside, 1);
		real_wake(real, origin_gate_give(&real->gate));
	}
	return NULL;
}

Test(origin_gate, G1_G2_real_threads_never_exceed_the_limit_and_all_end)
{
	struct real real = { 0 };
	struct real_thread thread[REAL_THREADS];
	pthread_t id[REAL_THREADS];

	for (uint32_t i = 0; i < REAL_THREADS; i++) {
		thread[i] = (struct real_thread){ &real, i, false };
		cr_assert(pthread_create(&id[i], NULL, real_run, &thread[i]) == 0);
	}
	for (uint32_t i = 0; i < REAL_THREADS; i++) {
		(void)pthread_join(id[i], NULL);
		cr_expect_not(thread[i].over);
	}
	cr_expect_eq(origin_gate_inside(&real.gate), 0);
}
