/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "l2_priv.h"

static const struct hf_cache_life hour = { .lifetime_s = 3600, .swr_s = 30, .sie_s = 600 };

Test(l2_life, px_is_what_is_left_of_the_lifetime_and_the_longer_window)
{
	struct hf_cache_life swr = { .lifetime_s = 10, .swr_s = 90, .sie_s = 5 };

	cr_expect_eq(hf_l2_px_ms(&hour, 0), 4200000);
	cr_expect_eq(hf_l2_px_ms(&hour, 200000000), 4000000);
	cr_expect_eq(hf_l2_px_ms(&swr, 0), 100000);
	cr_expect_eq(hf_l2_px_ms(&swr, 99999000), 1);
}

Test(l2_life, what_is_of_no_use_any_more_has_no_px)
{
	struct hf_cache_life none = { .lifetime_s = 0 };

	cr_expect_eq(hf_l2_px_ms(&none, 0), 0);
	cr_expect_eq(hf_l2_px_ms(&hour, 4200000000), 0);
	cr_expect_eq(hf_l2_px_ms(&hour, 4199999999), 0, "less than a millisecond");
	cr_expect_eq(hf_l2_px_ms(&hour, UINT64_MAX), 0);
}

Test(l2_life, px_of_the_longest_lives_does_not_wrap)
{
	struct hf_cache_life life = { .lifetime_s = HF_HTTP_DELTA_MAX, .swr_s = HF_HTTP_DELTA_MAX };

	cr_expect_eq(hf_l2_px_ms(&life, 0), (1ULL << 32) * 1000);
}

Test(l2_life, L5_a_copy_is_fresh_for_the_ttl_of_L1_at_most)
{
	struct hf_cache_life l1 = hf_l2_l1_life(&hour, 100, 60);

	cr_expect_eq(l1.lifetime_s, 160);
	cr_expect_eq(hf_cache_fresh_for(&l1, NULL, 159), HF_CACHE_USE_FRESH);
	cr_expect_eq(hf_cache_fresh_for(&l1, NULL, 160), HF_CACHE_USE_REVALIDATE,
		"no stale one behind what L2 would say");
}

Test(l2_life, L5_a_copy_is_not_fresh_for_longer_than_what_it_was_made_of)
{
	struct hf_cache_life l1 = hf_l2_l1_life(&hour, 3580, 60);

	cr_expect_eq(l1.lifetime_s, 3600);
	cr_expect_eq(l1.swr_s, 30, "nor less, its window neither");
	cr_expect_eq(l1.sie_s, 600);
}

Test(l2_life, L5_the_windows_end_where_they_ended)
{
	for (uint32_t age_s = 0; age_s < 4300; age_s++) {
		struct hf_cache_life l1 = hf_l2_l1_life(&hour, age_s, 60);

		cr_assert_leq(l1.lifetime_s, hour.lifetime_s);
		cr_assert_leq(l1.lifetime_s + l1.swr_s, hour.lifetime_s + hour.swr_s);
		cr_assert_eq(l1.lifetime_s + l1.sie_s, hour.lifetime_s + hour.sie_s);
		if (l1.swr_s > 0)
			cr_assert_leq(l1.lifetime_s + l1.swr_s, age_s + 60);
	}
}

Test(l2_life, L5_while_it_may_be_used_a_copy_stands_in_for_a_failed_origin)
{
	struct hf_cache_life plain = { .lifetime_s = 3600 }, l1;

	l1 = hf_l2_l1_life(&plain, 0, 60);
	cr_expect(hf_cache_stale_is_valid(&l1, NULL, 61, l1.sie_s));
	cr_expect(hf_cache_stale_is_valid(&l1, NULL, 3600, l1.sie_s));
	cr_expect_not(hf_cache_stale_is_valid(&l1, NULL, 3602, l1.sie_s));
}

Test(l2_life, what_must_not_be_stale_has_no_window_in_L1_either)
{
	struct hf_cache_life strict = { .lifetime_s = 3600, .stale_forbidden = true }, l1;

	l1 = hf_l2_l1_life(&strict, 0, 60);
	cr_expect_eq(l1.lifetime_s, 60);
	cr_expect(l1.swr_s == 0 && l1.sie_s == 0 && l1.stale_forbidden);
}

Test(l2_life, the_longest_lives_do_not_wrap)
{
	struct hf_cache_life life = { .lifetime_s = HF_HTTP_DELTA_MAX,
		.swr_s = HF_HTTP_DELTA_MAX,
		.sie_s = HF_HTTP_DELTA_MAX };
	struct hf_cache_life l1 = hf_l2_l1_life(&life, UINT32_MAX, UINT32_MAX);

	cr_expect_eq(l1.lifetime_s, HF_HTTP_DELTA_MAX);
	l1 = hf_l2_l1_life(&life, 0, 60);
	cr_expect_eq(l1.lifetime_s, 60);
	cr_expect_eq(l1.sie_s, HF_HTTP_DELTA_MAX);
}
