/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origins that fail again and again are left alone for a while. Time is the test's.
 */
#include "origin_choice.h"
#include "rig.h"

#define ORIGINS 4
#define S       1000000ULL

struct bench {
	struct hf_origin origin;
	struct hf_state_origin target[ORIGINS];
	struct hf_state_group state_group;
	struct hf_state state;
	struct origin_peer peer[ORIGINS], *peers[ORIGINS];
	struct origin_group group;
	struct origin_view view;
	struct origin_fetch fetch;
};

static void bench_init(struct bench *bench, uint32_t origins)
{
	static char name[] = "g";

	memset(bench, 0, sizeof(*bench));
	bench->state_group = (struct hf_state_group){
		.name = name, .origin = bench->target, .origin_count = origins
	};
	bench->state.group = &bench->state_group;
	bench->group.peer = bench->peers;
	bench->view = (struct origin_view){ .state = &bench->state, .group = &bench->group };
	bench->fetch.view = &bench->view;
	bench->fetch.group = &bench->state_group;
	bench->origin.now_us = 1000 * S;
	for (uint32_t i = 0; i < ORIGINS; i++) {
		bench->target[i].id = name;
		bench->peers[i] = &bench->peer[i];
	}
}

static void fail(struct bench *bench, uint32_t at, uint32_t times)
{
	bench->fetch.peer = &bench->peer[at];
	bench->fetch.target = &bench->target[at];
	for (uint32_t i = 0; i < times; i++)
		origin_peer_failed(&bench->origin, &bench->fetch);
}

static bool usable(const struct bench *bench, uint32_t at, enum origin_choice choice)
{
	return origin_target_usable(&bench->origin, &bench->fetch, at, choice);
}

/* Seconds from now on that it is ejected for. */
static uint64_t ejected_s(const struct bench *bench, uint32_t at)
{
	return origin_peer_is_ejected(&bench->origin, &bench->peer[at])
		       ? (bench->peer[at].ejected_until_us - bench->origin.now_us) / S
		       : 0;
}

Test(origin_eject, five_failures_in_a_row_eject_for_half_a_minute)
{
	struct bench bench;

	(void)hf_stat_register("test");
	bench_init(&bench, 4);
	fail(&bench, 0, 4);
	origin_peer_good(&bench.origin, &bench.peer[0]);
	fail(&bench, 0, 4);
	cr_expect(usable(&bench, 0, ORIGIN_CHOICE_UNTRIED));
	fail(&bench, 0, 1);
	cr_expect_eq(ejected_s(&bench, 0), 30);
	cr_expect_not(usable(&bench, 0, ORIGIN_CHOICE_UNTRIED));
	cr_expect_not(usable(&bench, 0, ORIGIN_CHOICE_WELL));
	cr_expect(usable(&bench, 0, ORIGIN_CHOICE_ANY), "if there is nothing better");
	cr_expect(usable(&bench, 1, ORIGIN_CHOICE_UNTRIED));
	fail(&bench, 0, 9);
	cr_expect_eq(ejected_s(&bench, 0), 30, "what was asked before says nothing new");
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_EJECTIONS), 1);
	bench.origin.now_us += 30 * S;
	cr_expect(usable(&bench, 0, ORIGIN_CHOICE_UNTRIED));
}

Test(origin_eject, each_time_is_longer_up_to_five_minutes_and_good_answers_take_it_back)
{
	struct bench bench;

	bench_init(&bench, 2);
	for (uint64_t i = 1; i <= 12; i++) {
		fail(&bench, 0, 5);
		cr_expect_eq(ejected_s(&bench, 0), hf_min_u64(30 * i, 300));
		origin_peer_good(&bench.origin, &bench.peer[0]);
		cr_expect_eq(bench.peer[0].ejections, hf_min_u64(i, 10), "not before its time");
		bench.origin.now_us = bench.peer[0].ejected_until_us;
	}
	for (uint32_t i = 0; i < 3; i++)
		origin_peer_good(&bench.origin, &bench.peer[0]);
	cr_expect_eq(bench.peer[0].ejections, 9, "one in each half minute");
	bench.origin.now_us += 30 * S;
	origin_peer_good(&bench.origin, &bench.peer[0]);
	cr_expect_eq(bench.peer[0].ejections, 8);
	fail(&bench, 0, 5);
	cr_expect_eq(ejected_s(&bench, 0), 270);
}

Test(origin_eject, at_most_half_of_a_group)
{
	static const struct {
		uint32_t origins, ejected;
	} each[] = { { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 } };
	struct bench bench;

	for (size_t i = 0; i < HF_ARRAY_LEN(each); i++) {
		uint32_t ejected = 0;

		bench_init(&bench, each[i].origins);
		for (uint32_t at = 0; at < each[i].origins; at++)
			fail(&bench, at, 20);
		for (uint32_t at = 0; at < each[i].origins; at++)
			ejected += ejected_s(&bench, at) > 0;
		cr_expect_eq(ejected, each[i].ejected, "%u of %u", ejected, each[i].origins);
	}
}

Test(origin_eject, a_retry_goes_where_the_fetch_has_not_failed_yet)
{
	struct bench bench;

	bench_init(&bench, 3);
	bench.fetch.tried[bench.fetch.retries++] = &bench.peer[1];
	cr_expect(usable(&bench, 0, ORIGIN_CHOICE_UNTRIED));
	cr_expect_not(usable(&bench, 1, ORIGIN_CHOICE_UNTRIED));
	cr_expect(usable(&bench, 1, ORIGIN_CHOICE_WELL));
	bench.peer[1].drained = true;
	cr_expect_not(usable(&bench, 1, ORIGIN_CHOICE_ANY));
}

Test(origin_eject, the_operator_is_told_for_how_long)
{
	struct hf_origin_load load = { .ejected_us = 7 };
	struct bench bench;

	bench_init(&bench, 2);
	origin_peer_tell(&bench.origin, &bench.peer[0], &load);
	cr_expect(load.ejected_us == 7 && !load.unhealthy, "another thread's word stands");
	fail(&bench, 0, 5);
	bench.peer[0].check.failed = 7;
	bench.origin.now_us += 10 * S;
	origin_peer_tell(&bench.origin, &bench.peer[0], &load);
	cr_expect(load.ejected_us == 20 * S && load.unhealthy);
}
