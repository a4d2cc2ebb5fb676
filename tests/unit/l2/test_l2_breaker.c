/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "l2_priv.h"

#define MS 1000UL

static const struct hf_l2_breaker_cfg cfg = { .failures = 5,
	.successes = 2,
	.pause_min_us = 200 * MS,
	.pause_max_us = 1000 * MS,
	.probe_max_us = 50 * MS };
static struct hf_l2_breaker breaker;
static uint64_t now = 1000 * MS;

static void told(enum hf_l2_pass pass, bool good)
{
	hf_l2_breaker_tell(&breaker, pass, good, now);
}

static enum hf_l2_pass asked(void)
{
	return hf_l2_breaker_ask(&breaker, now);
}

static void opened(void)
{
	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t i = 0; i < cfg.failures; i++) {
		cr_assert_eq(asked(), HF_L2_PASS_GO);
		told(HF_L2_PASS_GO, false);
	}
	cr_assert_eq(breaker.state, HF_L2_OPEN);
}

Test(l2_breaker, opens_after_so_many_failures_in_a_row_and_not_one_sooner)
{
	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t row = 0; row < 2; row++) {
		for (uint32_t i = 0; i < cfg.failures - 1; i++)
			told(HF_L2_PASS_GO, false);
		cr_expect_eq(asked(), HF_L2_PASS_GO);
		if (row == 0)
			told(HF_L2_PASS_GO, true);
	}
	told(HF_L2_PASS_GO, false);
	cr_expect_eq(breaker.state, HF_L2_OPEN);
	cr_expect_eq(asked(), HF_L2_PASS_NO);
	cr_expect_eq(breaker.opened, 1);
}

Test(l2_breaker, opens_when_half_of_many_fail_though_not_in_a_row)
{
	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t i = 0; i < HF_L2_BREAKER_SAMPLE - 1; i++)
		told(HF_L2_PASS_GO, i % 2);
	cr_expect_eq(breaker.state, HF_L2_CLOSED);
	told(HF_L2_PASS_GO, true);
	cr_expect_eq(breaker.state, HF_L2_OPEN);
}

Test(l2_breaker, what_failed_long_ago_does_not_count)
{
	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t i = 0; i < 100; i++) {
		told(HF_L2_PASS_GO, i % 2);
		now += HF_L2_BREAKER_WINDOW_US / (HF_L2_BREAKER_SAMPLE - 2);
	}
	cr_expect_eq(breaker.state, HF_L2_CLOSED);
}

Test(l2_breaker, stays_closed_while_few_of_many_fail)
{
	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t i = 0; i < 10000; i++)
		told(HF_L2_PASS_GO, i % 3 != 0);
	cr_expect_eq(breaker.state, HF_L2_CLOSED);
}

Test(l2_breaker, L6_an_open_one_lets_a_single_probe_pass_after_the_pause)
{
	opened();
	now += cfg.pause_min_us - 1;
	cr_expect_eq(asked(), HF_L2_PASS_NO);
	now++;
	cr_expect_eq(asked(), HF_L2_PASS_PROBE);
	cr_expect_eq(breaker.state, HF_L2_HALF_OPEN);
	for (uint32_t i = 0; i < 100; i++)
		cr_expect_eq(asked(), HF_L2_PASS_NO);
}

Test(l2_breaker, closes_after_so_many_good_probes_in_a_row)
{
	opened();
	now += cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	told(HF_L2_PASS_PROBE, true);
	cr_expect_eq(breaker.state, HF_L2_HALF_OPEN);
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	cr_expect_eq(asked(), HF_L2_PASS_NO);
	told(HF_L2_PASS_PROBE, true);
	cr_expect_eq(breaker.state, HF_L2_CLOSED);
	cr_expect_eq(asked(), HF_L2_PASS_GO);
	for (uint32_t i = 0; i < cfg.failures - 1; i++)
		told(HF_L2_PASS_GO, false);
	cr_expect_eq(breaker.state, HF_L2_CLOSED, "what was before is forgotten");
}

Test(l2_breaker, L6_the_pause_doubles_with_every_probe_that_fails_up_to_the_most)
{
	static const uint64_t pauses[] = { 200, 400, 800, 1000, 1000 };

	opened();
	for (uint32_t i = 0; i < HF_ARRAY_LEN(pauses); i++) {
		now += pauses[i] * MS - 1;
		cr_expect_eq(asked(), HF_L2_PASS_NO);
		now++;
		cr_assert_eq(asked(), HF_L2_PASS_PROBE);
		told(HF_L2_PASS_PROBE, false);
		cr_expect_eq(breaker.state, HF_L2_OPEN);
	}
	cr_expect_eq(breaker.opened, 1, "it was open all the time");
}

Test(l2_breaker, the_pause_begins_anew_after_it_was_closed)
{
	opened();
	now += cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	told(HF_L2_PASS_PROBE, false);
	now += 2 * cfg.pause_min_us;
	for (uint32_t i = 0; i < cfg.successes; i++) {
		cr_assert_eq(asked(), HF_L2_PASS_PROBE);
		told(HF_L2_PASS_PROBE, true);
	}
	for (uint32_t i = 0; i < cfg.failures; i++)
		told(HF_L2_PASS_GO, false);
	cr_expect_eq(breaker.opened, 2);
	now += cfg.pause_min_us;
	cr_expect_eq(asked(), HF_L2_PASS_PROBE);
}

Test(l2_breaker, a_good_probe_and_a_bad_one_are_no_row)
{
	opened();
	now += cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	told(HF_L2_PASS_PROBE, true);
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	told(HF_L2_PASS_PROBE, false);
	now += 2 * cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	told(HF_L2_PASS_PROBE, true);
	cr_expect_eq(breaker.state, HF_L2_HALF_OPEN);
}

Test(l2_breaker, requests_from_before_it_opened_tell_nothing)
{
	opened();
	for (uint32_t i = 0; i < 2 * cfg.failures; i++)
		told(HF_L2_PASS_GO, i < cfg.failures);
	cr_expect_eq(breaker.state, HF_L2_OPEN);
	now += cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE, "the pause is what it was");
	for (uint32_t i = 0; i < 2 * cfg.failures; i++)
		told(HF_L2_PASS_GO, i < cfg.failures);
	cr_expect_eq(breaker.state, HF_L2_HALF_OPEN);
	cr_expect_eq(asked(), HF_L2_PASS_NO, "the probe is under way still");
}

Test(l2_breaker, a_probe_of_which_nobody_tells_has_failed)
{
	opened();
	now += cfg.pause_min_us;
	cr_assert_eq(asked(), HF_L2_PASS_PROBE);
	now += cfg.probe_max_us;
	cr_expect_eq(asked(), HF_L2_PASS_NO);
	cr_expect_eq(breaker.state, HF_L2_OPEN);
	for (uint32_t i = 0; i < cfg.successes; i++)
		told(HF_L2_PASS_PROBE, true);
	cr_expect_eq(breaker.state, HF_L2_OPEN, "too late");
	now += 2 * cfg.pause_min_us;
	cr_expect_eq(asked(), HF_L2_PASS_PROBE);
}

/* Requests each 0.1 ms for a minute, at a node that answers none of them. */
Test(l2_breaker, L6_a_dead_node_is_asked_few_times)
{
	uint64_t asks = 0;

	hf_l2_breaker_init(&breaker, &cfg, now);
	for (uint32_t i = 0; i < 600000; i++, now += 100) {
		enum hf_l2_pass pass = asked();

		if (pass == HF_L2_PASS_NO)
			continue;
		asks++;
		told(pass, false);
	}
	cr_expect_leq(asks, cfg.failures + 4 + 60);
}

Test(l2_breaker, states_have_names)
{
	cr_expect_str_eq(hf_l2_breaker_name(HF_L2_CLOSED), "closed");
	cr_expect_str_eq(hf_l2_breaker_name(HF_L2_OPEN), "open");
	cr_expect_str_eq(hf_l2_breaker_name(HF_L2_HALF_OPEN), "half-open");
}
