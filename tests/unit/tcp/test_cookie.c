/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "tcp_open.h"
#include "tcp_opt.h"
#include "tcp_priv.h"

#define IRS    0xfffffff0U
#define PERIOD 64000000ULL
#define NOW    (1000 * PERIOD + 5000000)

static const struct hf_sipkey cookie_key = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL };

static struct tcp_flow cookie_flow(void)
{
	return (struct tcp_flow){ .peer = { { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 } },
		.local = { { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 } },
		.peer_port = 40000,
		.local_port = 80 };
}

static uint32_t cookie_make(uint16_t mss, uint64_t now_us)
{
	struct tcp_flow flow = cookie_flow();

	return tcp_cookie_make(&cookie_key, &flow, IRS, now_us, &mss);
}

/* The MSS that a cookie says, 0 when it is refused. */
static uint16_t cookie_check(uint32_t iss, uint64_t now_us)
{
	struct tcp_flow flow = cookie_flow();
	uint16_t mss = 0;

	return tcp_cookie_check(&cookie_key, &flow, IRS, iss, now_us, &mss) ? mss : 0;
}

Test(tcp_cookie, rfc4987_app_a_says_the_largest_mss_that_is_not_above_the_announced)
{
	struct tcp_flow flow = cookie_flow();
	uint16_t before = 0;
	uint32_t values = 0;

	for (uint32_t announced = TCP_MSS_FLOOR; announced <= UINT16_MAX; announced++) {
		uint16_t mss = (uint16_t)announced;
		uint32_t iss = tcp_cookie_make(&cookie_key, &flow, IRS, NOW, &mss);

		cr_assert_leq(mss, announced);
		cr_assert_geq(mss, before, "a larger announcement, a smaller value");
		values += mss != before;
		before = mss;
		cr_assert_eq(cookie_check(iss, NOW), mss);
	}
	cr_assert_eq(values, 8, "every index is reachable");
}

Test(tcp_cookie, rfc4987_app_a_what_ethernet_and_tunnels_announce_loses_little)
{
	static const struct {
		uint16_t announced, said;
	} usual[] = { { 88, 88 }, { 512, 88 }, { 536, 536 }, { 1220, 1220 }, { 1280, 1220 },
		{ 1360, 1360 }, { 1380, 1360 }, { 1400, 1400 }, { 1412, 1400 }, { 1440, 1440 },
		{ 1452, 1440 }, { 1460, 1460 }, { 8940, 8940 }, { 8960, 8940 }, { 65495, 8940 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(usual); i++)
		cr_expect_eq(cookie_check(cookie_make(usual[i].announced, NOW), NOW), usual[i].said,
			"%u", usual[i].announced);
}

Test(tcp_cookie, an_mss_below_the_floor_says_the_floor)
{
	cr_assert_eq(cookie_check(cookie_make(0, NOW), NOW), TCP_MSS_FLOOR);
	cr_assert_eq(cookie_check(cookie_make(TCP_MSS_FLOOR - 1, NOW), NOW), TCP_MSS_FLOOR);
}

Test(tcp_cookie, rfc4987_s3_6_is_good_for_at_least_64_s_and_less_than_128_s)
{
	for (uint64_t made = NOW; made < NOW + 3 * PERIOD; made += PERIOD / 7 + 1) {
		uint32_t iss = cookie_make(1460, made);
		uint64_t end = (made / PERIOD + 2) * PERIOD;

		for (uint64_t later = 0; later <= PERIOD; later += PERIOD / 16)
			cr_assert_eq(cookie_check(iss, made + later), 1460);
		cr_assert_eq(cookie_check(iss, end - 1), 1460);
		for (uint32_t i = 0; i < 64; i++)
			cr_assert_eq(cookie_check(iss, end + i * PERIOD), 0, "%u periods after", i);
	}
}

Test(tcp_cookie, a_cookie_of_the_future_is_refused)
{
	uint32_t iss = cookie_make(1460, NOW);

	for (uint32_t i = 1; i < 64; i++)
		cr_assert_eq(cookie_check(iss, NOW - i * PERIOD), 0, "%u periods before", i);
}

Test(tcp_cookie, the_clock_may_start_at_zero)
{
	uint32_t iss = cookie_make(536, 0);

	cr_assert_eq(cookie_check(iss, 0), 536);
	cr_assert_eq(cookie_check(iss ^ 1, 0), 0);
	cr_assert_eq(cookie_check(iss, 2 * PERIOD), 0);
	iss = cookie_make(536, UINT64_MAX);
	cr_assert_eq(cookie_check(iss, UINT64_MAX), 536);
}

Test(tcp_cookie, rfc4987_s3_6_any_changed_bit_of_it_is_refused)
{
	uint32_t iss = cookie_make(1460, NOW);

	for (uint32_t bit = 0; bit < 32; bit++)
		cr_assert_eq(cookie_check(iss ^ 1U << bit, NOW), 0, "bit %u", bit);
	for (uint32_t off = 1; off < 70000; off++) {
		cr_assert_eq(cookie_check(iss + off, NOW), 0, "+%u", off);
		cr_assert_eq(cookie_check(iss - off, NOW), 0, "-%u", off);
	}
}

Test(tcp_cookie, rfc4987_s3_6_is_bound_to_key_addresses_ports_and_irs)
{
	struct hf_sipkey other_key = cookie_key;
	uint32_t iss = cookie_make(1460, NOW);
	struct tcp_flow flow = cookie_flow();
	uint16_t mss = 1;

	for (size_t bit = 0; bit < 8 * sizeof(flow); bit++) {
		((uint8_t *)&flow)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_assert_not(tcp_cookie_check(&cookie_key, &flow, IRS, iss, NOW, &mss),
			"bit %zu of the flow", bit);
		((uint8_t *)&flow)[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (uint32_t bit = 0; bit < 32; bit++)
		cr_assert_not(
			tcp_cookie_check(&cookie_key, &flow, IRS ^ 1U << bit, iss, NOW, &mss));
	other_key.k1 ^= 1;
	cr_assert_not(tcp_cookie_check(&other_key, &flow, IRS, iss, NOW, &mss));
	cr_assert_eq(mss, 1, "a refused cookie says nothing");
	cr_assert(tcp_cookie_check(&cookie_key, &flow, IRS, iss, NOW, &mss));
}

/* 2^32 guesses hit 16 times. Of 2^22 here, each flow's share is 1/64: more than one is a flaw. */
Test(tcp_cookie, rfc4987_s3_6_blind_guesses_do_not_hit)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < 1U << 22; i++)
		hits += cookie_check(i * 2654435761U, NOW) != 0;
	cr_assert_leq(hits, 1);
}

Test(tcp_cookie, rfc6528_s3_neither_isn_nor_timestamps_share_its_hash)
{
	struct tcp_flow flow = cookie_flow();
	uint32_t isn = (uint32_t)hf_siphash(&cookie_key, &flow, sizeof(flow));
	uint32_t off = tcp_cookie_ts_off(&cookie_key, &flow), iss = cookie_make(1460, NOW);

	cr_assert(isn != off && isn != iss && off != iss);
	cr_assert_neq(isn >> 4, iss >> 4);
	cr_assert_neq(isn << 4 >> 4, iss >> 4);
	cr_assert_neq(off << 4 >> 4, iss >> 4);
}

Test(tcp_cookie, rfc7323_s5_4_a_flow_keeps_its_offset_and_others_have_others)
{
	struct tcp_flow flow = cookie_flow();
	struct hf_sipkey other_key = { 1, 2 };
	uint32_t off = tcp_cookie_ts_off(&cookie_key, &flow);

	cr_assert_eq(tcp_cookie_ts_off(&cookie_key, &flow), off);
	cr_assert_neq(tcp_cookie_ts_off(&other_key, &flow), off);
	for (size_t bit = 0; bit < 8 * sizeof(flow); bit++) {
		((uint8_t *)&flow)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		cr_assert_neq(tcp_cookie_ts_off(&cookie_key, &flow), off);
		((uint8_t *)&flow)[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

Test(tcp_cookie, the_timestamp_brings_scale_sack_and_ecn_back)
{
	for (uint32_t bits = 0; bits < 64; bits++) {
		struct tcp_opts opts = { .has_wscale = (bits & 15) < 15,
			.wscale = bits & 15,
			.sack_permitted = bits >> 4 & 1,
			.has_ts = true,
			.ts_val = 77,
			.has_mss = true,
			.mss = 1460 };
		struct tcp_opts got = {
			.has_ts = true, .ts_val = 77, .has_mss = true, .mss = 1460
		};
		bool ecn = bits >> 5 & 1, got_ecn = !ecn;

		tcp_cookie_ts_read(tcp_cookie_ts_make(0x12345678, &opts, ecn), &got, &got_ecn);
		cr_assert_eq(got.has_wscale, opts.has_wscale);
		cr_assert_eq(got.wscale, opts.has_wscale ? opts.wscale : 0);
		cr_assert_eq(got.sack_permitted, opts.sack_permitted);
		cr_assert_eq(got_ecn, ecn);
		cr_assert(got.has_ts && got.ts_val == 77 && got.has_mss && got.mss == 1460,
			"the rest is the segment's");
	}
}

Test(tcp_cookie, rfc7323_s5_4_its_timestamp_is_the_latest_that_is_not_ahead_of_the_clock)
{
	static const uint32_t clocks[] = { 0, 1, 62, 63, 64, 1000000, 0x7fffffff, 0x80000000,
		UINT32_MAX - 63, UINT32_MAX };

	for (uint32_t bits = 0; bits < 64; bits++) {
		struct tcp_opts opts = { .has_wscale = (bits & 15) < 15,
			.wscale = bits & 15,
			.sack_permitted = bits >> 4 & 1 };

		for (size_t c = 0; c < HF_ARRAY_LEN(clocks); c++) {
			uint32_t val = tcp_cookie_ts_make(clocks[c], &opts, bits >> 5 & 1);

			cr_assert(tcp_seq_le(val, clocks[c]));
			cr_assert_lt(clocks[c] - val, 64, "%u of %u", val, clocks[c]);
		}
	}
}

Test(tcp_cookie, rfc7323_s5_4_timestamps_of_one_flow_do_not_go_back)
{
	struct tcp_opts opts = { .has_wscale = true, .wscale = 7, .sack_permitted = true };
	uint32_t before = tcp_cookie_ts_make(UINT32_MAX - 1000, &opts, true);

	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t val = tcp_cookie_ts_make(UINT32_MAX - 1000 + i, &opts, true);

		cr_assert(tcp_seq_le(before, val));
		before = val;
	}
}
