/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "route_priv.h"

#define KEYS 100000

Test(route, the_least_loaded_is_chosen_and_a_weight_of_two_carries_twice_as_much)
{
	struct hf_route_origin origin[3] = { { .pending = 4, .weight = 1 },
		{ .pending = 6, .weight = 2 }, { .pending = 5, .weight = 1 } };

	cr_expect_eq(hf_route_least_loaded(origin, 3), 1);
	origin[1].pending = 9;
	cr_expect_eq(hf_route_least_loaded(origin, 3), 0);
	origin[0].excluded = true;
	cr_expect_eq(hf_route_least_loaded(origin, 3), 1);
	origin[1].excluded = origin[2].excluded = true;
	cr_expect_eq(hf_route_least_loaded(origin, 3), HF_ROUTE_NONE);
	cr_expect_eq(hf_route_least_loaded(origin, 0), HF_ROUTE_NONE);
}

Test(route, idle_origins_take_turns_by_their_weights)
{
	struct hf_route_origin origin[3] = { { .weight = 1 }, { .weight = 5 }, { .weight = 2 } };
	uint32_t times[3] = { 0 }, in_a_row = 0, last = HF_ROUTE_NONE;

	for (int i = 0; i < 800; i++) {
		uint32_t chosen = hf_route_least_loaded(origin, 3);

		times[chosen]++;
		in_a_row = chosen == last ? in_a_row + 1 : 1;
		last = chosen;
		cr_assert(in_a_row <= 3, "turns are mixed");
	}
	cr_expect_eq(times[0], 100);
	cr_expect_eq(times[1], 500);
	cr_expect_eq(times[2], 200);
}

Test(route, the_weights_hold_under_load_too)
{
	struct hf_route_origin origin[2] = { { .weight = 3 }, { .weight = 1 } };

	for (int i = 0; i < 400; i++)
		origin[hf_route_least_loaded(origin, 2)].pending++;
	cr_expect_eq(origin[0].pending, 300);
	cr_expect_eq(origin[1].pending, 100);
}

/* ---- hash ---- */

static void named(struct hf_route_origin *origin, uint32_t count)
{
	char id[16];

	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(id, sizeof(id), "o%u", i);
		origin[i] = (struct hf_route_origin){ .weight = 1,
			.name = hf_route_name((struct hf_span){ id, strlen(id) }) };
	}
}

static uint64_t key_of(uint32_t i)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "http://a.test/%u", i);
	return hf_route_name((struct hf_span){ key, strlen(key) });
}

Test(route, U5_without_one_of_n_origins_only_its_keys_move_at_most_1_1_nth)
{
	for (uint32_t n = 2; n <= 16; n *= 2) {
		struct hf_route_origin with[16], without[16];
		uint32_t moved = 0;

		named(with, n);
		named(without, n);
		without[n / 2].excluded = true;
		for (uint32_t i = 0; i < KEYS; i++) {
			uint32_t before = hf_route_hash(with, n, key_of(i));
			uint32_t after = hf_route_hash(without, n, key_of(i));

			cr_assert(before == after || before == n / 2);
			cr_assert_neq(after, n / 2);
			moved += before != after;
		}
		cr_expect_leq(moved, KEYS * 11 / 10 / n);
		cr_expect_geq(moved, KEYS * 9 / 10 / n);
	}
}

Test(route, U5_an_origin_s_place_in_the_list_does_not_matter)
{
	struct hf_route_origin one[5], other[5];

	named(one, 5);
	for (uint32_t i = 0; i < 5; i++)
		other[i] = one[4 - i];
	for (uint32_t i = 0; i < 1000; i++)
		cr_assert_eq(
			hf_route_hash(one, 5, key_of(i)), 4 - hf_route_hash(other, 5, key_of(i)));
}

Test(route, U5_keys_are_shared_by_weight)
{
	struct hf_route_origin origin[3];
	uint32_t times[3] = { 0 };

	named(origin, 3);
	origin[1].weight = 6;
	origin[2].weight = 3;
	for (uint32_t i = 0; i < KEYS; i++)
		times[hf_route_hash(origin, 3, key_of(i))]++;
	cr_expect(times[0] > 9500 && times[0] < 10500, "%u", times[0]);
	cr_expect(times[1] > 59000 && times[1] < 61000, "%u", times[1]);
	for (uint32_t i = 0; i < 3; i++)
		origin[i].excluded = true;
	cr_expect_eq(hf_route_hash(origin, 3, 1), HF_ROUTE_NONE);
}

Test(route, U5_the_same_key_goes_to_the_same_origin_in_every_process)
{
	static const uint32_t always[] = { 3, 4, 6, 7, 1, 2 };
	struct hf_route_origin origin[8];

	named(origin, 8);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(always); i++)
		cr_expect_eq(hf_route_hash(origin, 8, key_of(i)), always[i]);
}
