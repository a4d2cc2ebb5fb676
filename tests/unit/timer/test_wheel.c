/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "hf_timer.h"

#define SLOTS 64

Test(wheel, t1_t2_each_timer_comes_due_in_its_millisecond)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 5000);
	struct hf_timer timer[200];
	uint32_t rng = 1, popped = 0;

	for (uint32_t i = 0; i < 200; i++) {
		rng = rng * 1664525 + 1013904223;
		hf_timer_init(&timer[i], i);
		hf_timer_set(wheel, &timer[i], 5000 + (rng >> 8) % 300000); /* several rounds */
	}
	for (uint64_t now = 5000; now < 310000; now += 250) {
		struct hf_timer *due;

		while ((due = hf_wheel_pop(wheel, now))) {
			cr_assert_leq(due->due_us, now);
			cr_assert_geq(due->due_us + 1000 + 250, now);
			cr_assert_not(hf_timer_armed(due));
			popped++;
		}
		for (uint32_t i = 0; i < 200; i++)
			cr_assert(!hf_timer_armed(&timer[i]) || timer[i].due_us + 1000 > now);
		hf_wheel_check(wheel);
	}
	cr_assert_eq(popped, 200);
	hf_wheel_free(wheel);
}

Test(wheel, setting_it_later_moves_no_link)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	struct hf_timer timer;
	uint32_t slot;

	hf_timer_init(&timer, 0);
	hf_timer_set(wheel, &timer, 10000);
	slot = timer.slot;
	hf_timer_set(wheel, &timer, 30000);
	cr_assert_eq(timer.slot, slot);
	cr_assert_null(hf_wheel_pop(wheel, 29999));
	hf_wheel_check(wheel);
	cr_assert_eq(hf_wheel_pop(wheel, 30000), &timer);
	cr_assert_null(hf_wheel_pop(wheel, 60000));
	hf_wheel_free(wheel);
}

Test(wheel, setting_it_earlier_moves_it)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	struct hf_timer timer;

	hf_timer_init(&timer, 0);
	hf_timer_set(wheel, &timer, 500000);
	hf_timer_set(wheel, &timer, 7000);
	hf_wheel_check(wheel);
	cr_assert_null(hf_wheel_pop(wheel, 6999));
	cr_assert_eq(hf_wheel_pop(wheel, 7000), &timer);
	cr_assert_eq(hf_wheel_next_us(wheel), UINT64_MAX);
	hf_wheel_free(wheel);
}

Test(wheel, a_time_in_the_past_comes_due_at_the_next_pop)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 100000);
	struct hf_timer timer;

	hf_timer_init(&timer, 0);
	cr_assert_null(hf_wheel_pop(wheel, 100500));
	hf_timer_set(wheel, &timer, 3);
	cr_assert_leq(hf_wheel_next_us(wheel), 100500);
	cr_assert_eq(hf_wheel_pop(wheel, 100500), &timer);
	hf_wheel_free(wheel);
}

Test(wheel, deleting_is_fine_in_any_state)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	struct hf_timer timer[3];

	for (uint32_t i = 0; i < 3; i++) {
		hf_timer_init(&timer[i], i);
		hf_timer_del(wheel, &timer[i]);
		hf_timer_set(wheel, &timer[i], 5000);
	}
	hf_timer_del(wheel, &timer[0]);
	cr_assert_eq(hf_wheel_pop(wheel, 5000), &timer[1]);
	hf_timer_del(wheel, &timer[2]); /* out of its opened slot */
	hf_wheel_check(wheel);
	cr_assert_null(hf_wheel_pop(wheel, 5000));
	hf_wheel_free(wheel);
}

Test(wheel, t3_one_pop_works_a_bounded_number_of_links)
{
	static struct hf_timer timer[2000];
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	uint32_t calls = 0;

	for (uint32_t i = 0; i < 2000; i++) {
		hf_timer_init(&timer[i], i);
		hf_timer_set(wheel, &timer[i], 64000ULL * 50 + 5000); /* all in one slot */
	}
	while (hf_wheel_next_us(wheel) <= 6000 && calls < 100) {
		cr_assert_null(hf_wheel_pop(wheel, 6000));
		calls++;
	}
	cr_assert_gt(calls, 4, "2000 links were walked in %u calls", calls);
	cr_assert_lt(calls, 20);
	hf_wheel_free(wheel);
}

Test(wheel, a_long_pause_loses_nothing)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	struct hf_timer timer[100];
	uint32_t popped = 0;

	for (uint32_t i = 0; i < 100; i++) {
		hf_timer_init(&timer[i], i);
		hf_timer_set(wheel, &timer[i], 1000 * i);
	}
	for (int i = 0; i < 10; i++) {
		while (hf_wheel_pop(wheel, 1ULL << 39))
			popped++;
	}
	cr_assert_eq(popped, 100);
	hf_wheel_check(wheel);
	hf_wheel_free(wheel);
}

Test(wheel, next_us_is_when_a_pop_finds_something)
{
	struct hf_wheel *wheel = hf_wheel_new(SLOTS, 0);
	struct hf_timer timer;

	hf_timer_init(&timer, 0);
	for (uint64_t due = 1; due < 62000; due += 517) {
		hf_timer_set(wheel, &timer, due);
		cr_assert_geq(hf_wheel_next_us(wheel), due);
		cr_assert_lt(hf_wheel_next_us(wheel), due + 1000);
		hf_timer_del(wheel, &timer);
	}
	hf_timer_set(wheel, &timer, 500000);
	cr_assert_leq(hf_wheel_next_us(wheel), 500000);
	hf_timer_del(wheel, &timer);
	hf_wheel_free(wheel);
}

Test(wheel, random_use_keeps_every_invariant)
{
	struct hf_wheel *wheel = hf_wheel_new(128, 0);
	struct hf_timer timer[50];
	uint64_t now = 0;
	uint32_t rng = 3;

	for (uint32_t i = 0; i < 50; i++)
		hf_timer_init(&timer[i], i);
	for (uint32_t step = 0; step < 20000; step++) {
		struct hf_timer *one, *due;

		rng = rng * 1664525 + 1013904223;
		one = &timer[(rng >> 20) % 50];
		if ((rng >> 8) % 4 == 0)
			hf_timer_del(wheel, one);
		else
			hf_timer_set(wheel, one, now + (rng >> 8) % 400000);
		now += (rng >> 16) % 3000;
		while ((due = hf_wheel_pop(wheel, now)))
			cr_assert_leq(due->due_us, now);
		for (uint32_t i = 0; i < 50; i++)
			cr_assert(!hf_timer_armed(&timer[i]) || timer[i].due_us + 1000 > now);
		hf_wheel_check(wheel);
	}
	hf_wheel_free(wheel);
}
