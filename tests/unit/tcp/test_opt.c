/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include "tcp_helper.h"
#include "tcp_opt.h"

#define NOP    1
#define MSS    2, 4, 5, 180
#define TS     8, 10, 1, 2, 3, 4, 0xfa, 0xfb, 0xfc, 0xfd
#define TSV    0x01020304U
#define TSE    0xfafbfcfdU
#define LEN(a) ((uint32_t)sizeof(a))

/* The list ends where an unreadable page begins, and stands in memory of its exact size once more,
 * so that a sanitizer sees reads in front of it too. */
static bool opt_parse(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts)
{
	uint8_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *exact = malloc(len ? len : 1);
	struct tcp_opts other;
	bool ok;

	cr_assert_eq(mprotect(page + 4096, 4096, PROT_NONE), 0);
	memcpy(page + 4096 - len, opt, len);
	memcpy(exact, opt, len);
	ok = tcp_opt_parse(page + 4096 - len, len, ret_opts);
	cr_assert_eq(tcp_opt_parse(len ? exact : NULL, len, &other), ok);
	munmap(page, 8192);
	free(exact);
	return ok;
}

static bool opt_same(const struct tcp_opts *a, const struct tcp_opts *b)
{
	return a->has_mss == b->has_mss && a->mss == b->mss && a->has_wscale == b->has_wscale &&
	       a->wscale == b->wscale && a->has_ts == b->has_ts && a->ts_val == b->ts_val &&
	       a->ts_ecr == b->ts_ecr && a->sack_permitted == b->sack_permitted &&
	       a->sack_count == b->sack_count &&
	       memcmp(a->sack, b->sack, a->sack_count * sizeof(a->sack[0])) == 0;
}

/* Option `kind` of `len` bytes all told, 0xee inside. */
static uint32_t opt_make(uint8_t *buf, uint8_t kind, uint8_t len)
{
	memset(buf, 0xee, HF_TCP_OPT_MAX);
	buf[0] = kind;
	buf[1] = len;
	return len;
}

Test(tcp_opt, rfc9293_s3_1_an_empty_list_says_nothing)
{
	static const struct tcp_opts nothing;
	struct tcp_opts opts;

	memset(&opts, 0xff, sizeof(opts));
	cr_assert(opt_parse((uint8_t[]){ 99 }, 0, &opts));
	cr_assert(opt_same(&opts, &nothing));
	cr_assert(opt_parse((uint8_t[]){ 0 }, 1, &opts));
	cr_assert(opt_same(&opts, &nothing));
	cr_assert(opt_parse((uint8_t[]){ NOP, NOP, NOP, NOP }, 4, &opts));
	cr_assert(opt_same(&opts, &nothing));
}

Test(tcp_opt, rfc9293_s3_1_what_a_linux_syn_says_is_read)
{
	static const uint8_t opt[] = { MSS, 4, 2, TS, NOP, 3, 3, 7 };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, LEN(opt), &opts));
	cr_assert(opts.has_mss && opts.has_wscale && opts.has_ts && opts.sack_permitted);
	cr_assert_eq(opts.mss, 1460);
	cr_assert_eq(opts.wscale, 7);
	cr_assert_eq(opts.ts_val, TSV);
	cr_assert_eq(opts.ts_ecr, TSE);
	cr_assert_eq(opts.sack_count, 0);
}

Test(tcp_opt, rfc9293_s3_1_any_order_and_any_alignment_is_read)
{
	static const uint8_t part[4][10] = { { MSS }, { 4, 2 }, { TS }, { 3, 3, 7 } };
	static const uint8_t part_len[4] = { 4, 2, 10, 3 };
	struct tcp_opts want, got;

	cr_assert(opt_parse((uint8_t[]){ MSS, 4, 2, TS, 3, 3, 7 }, 19, &want));
	for (int order = 0; order < 256; order++) {
		uint8_t opt[HF_TCP_OPT_MAX];
		uint32_t len = 0, seen = 0;

		for (int i = 0; i < 4; i++) {
			int p = order >> (2 * i) & 3;

			seen |= 1U << p;
			opt[len++] = NOP;
			memcpy(opt + len, part[p], part_len[p]);
			len += part_len[p];
			if (len > 30)
				break;
		}
		if (seen != 15)
			continue;
		cr_assert(opt_parse(opt, len, &got));
		cr_assert(opt_same(&got, &want), "order %x", order);
	}
}

Test(tcp_opt, rfc9293_s3_1_what_stands_behind_the_end_is_not_looked_at)
{
	static const uint8_t opt[] = { 4, 2, 0, 99, 0, MSS, 2 };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, LEN(opt), &opts));
	cr_assert(opts.sack_permitted && !opts.has_mss);
}

Test(tcp_opt, rfc9293_s3_1_unknown_kinds_of_any_length_are_passed_over)
{
	struct tcp_opts opts;

	for (int kind = 6; kind < 256; kind++) {
		if (kind == 8)
			continue;
		for (uint8_t len = 2; len <= 36; len++) {
			uint8_t opt[HF_TCP_OPT_MAX];
			uint32_t n = opt_make(opt, (uint8_t)kind, len);

			memcpy(opt + n, (uint8_t[]){ MSS }, 4);
			cr_assert(opt_parse(opt, n + 4, &opts), "kind %d length %u", kind, len);
			cr_assert(opts.has_mss && opts.mss == 1460);
		}
	}
}

Test(tcp_opt, rfc7323_app_a_the_usual_layout_of_timestamps_is_read)
{
	static const uint8_t opt[] = { NOP, NOP, TS };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, LEN(opt), &opts));
	cr_assert(opts.has_ts && !opts.has_mss && !opts.has_wscale && !opts.sack_permitted);
	cr_assert_eq(opts.ts_val, TSV);
	cr_assert_eq(opts.ts_ecr, TSE);
	cr_assert_eq(opts.sack_count, 0);
}

Test(tcp_opt, what_only_begins_like_the_usual_layout_is_read_as_any_other)
{
	uint8_t opt[HF_TCP_OPT_MAX] = { NOP, NOP, TS, NOP, NOP, 5, 10, 0, 0, 0, 9, 0, 0, 0, 12 };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, 24, &opts));
	cr_assert(opts.has_ts && opts.ts_val == TSV && opts.sack_count == 1);
	for (uint32_t len = 4; len < 12; len++)
		cr_assert_not(opt_parse(opt, len, &opts), "cut at %u", len);
	opt[3] = 9;
	cr_assert_not(opt_parse(opt, 12, &opts), "a length that is not the timestamps'");
	opt[3] = 11;
	cr_assert_not(opt_parse(opt, 12, &opts), "a length over the end");
}

Test(tcp_opt, rfc7323_s2_3_scale_above_14_is_14)
{
	struct tcp_opts opts;

	for (int shift = 0; shift < 256; shift++) {
		cr_assert(opt_parse((uint8_t[]){ 3, 3, (uint8_t)shift }, 3, &opts));
		cr_assert(opts.has_wscale);
		cr_assert_eq(opts.wscale, shift > 14 ? 14 : shift);
	}
}

Test(tcp_opt, rfc9293_s3_7_1_any_mss_is_told_as_it_is)
{
	struct tcp_opts opts;

	cr_assert(opt_parse((uint8_t[]){ 2, 4, 0, 0 }, 4, &opts));
	cr_assert(opts.has_mss && opts.mss == 0);
	cr_assert(opt_parse((uint8_t[]){ 2, 4, 255, 255 }, 4, &opts));
	cr_assert(opts.has_mss && opts.mss == 65535);
}

Test(tcp_opt, rfc2018_s3_one_to_four_sack_blocks_are_read_in_order)
{
	for (uint32_t count = 1; count <= 4; count++) {
		uint8_t opt[HF_TCP_OPT_MAX] = { 5, (uint8_t)(2 + 8 * count) };
		struct tcp_opts opts;

		for (uint8_t i = 0; i < 8 * count; i++)
			opt[2 + i] = i;
		cr_assert(opt_parse(opt, 2 + 8 * count, &opts));
		cr_assert_eq(opts.sack_count, count);
		for (uint32_t i = 0; i < count; i++) {
			cr_assert_eq(opts.sack[i].start, 0x00010203U + 0x08080808U * i);
			cr_assert_eq(opts.sack[i].end, 0x04050607U + 0x08080808U * i);
		}
	}
}

Test(tcp_opt, rfc2018_s3_empty_and_inverted_blocks_are_left_to_the_caller)
{
	static const uint8_t opt[] = { 5, 18, 0, 0, 0, 9, 0, 0, 0, 9, 255, 255, 255, 255, 0, 0, 0,
		1 };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, LEN(opt), &opts));
	cr_assert_eq(opts.sack_count, 2);
	cr_assert(opts.sack[0].start == 9 && opts.sack[0].end == 9);
	cr_assert(opts.sack[1].start == UINT32_MAX && opts.sack[1].end == 1);
}

Test(tcp_opt, of_a_repeated_option_the_first_counts)
{
	static const uint8_t twice[] = { MSS, 2, 4, 0, 1, 3, 3, 7, 3, 3, 9, TS, 8, 10, 9, 9, 9, 9,
		9, 9, 9, 9 };
	static const uint8_t sacks[] = { 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 18, 0, 0, 0, 3, 0, 0, 0,
		4, 0, 0, 0, 5, 0, 0, 0, 6 };
	struct tcp_opts opts;

	cr_assert(opt_parse(twice, LEN(twice), &opts));
	cr_assert_eq(opts.mss, 1460);
	cr_assert_eq(opts.wscale, 7);
	cr_assert(opts.ts_val == TSV && opts.ts_ecr == TSE);
	cr_assert(opt_parse(sacks, LEN(sacks), &opts));
	cr_assert_eq(opts.sack_count, 1);
	cr_assert(opts.sack[0].start == 1 && opts.sack[0].end == 2);
}

Test(tcp_opt, a_repeated_option_of_a_wrong_length_is_malformed_all_the_same)
{
	static const uint8_t again[][4] = { { 2, 3, 0, 0 }, { 3, 2, 1, 1 }, { 4, 3, 0, 1 },
		{ 5, 4, 0, 0 }, { 8, 4, 0, 0 } };
	static const uint8_t first[] = { MSS, 3, 3, 7, 4, 2, TS, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct tcp_opts opts;

	cr_assert(opt_parse(first, LEN(first), &opts));
	for (size_t i = 0; i < HF_ARRAY_LEN(again); i++) {
		uint8_t opt[LEN(first) + 4];

		memcpy(opt, first, LEN(first));
		memcpy(opt + LEN(first), again[i], 4);
		cr_assert_not(opt_parse(opt, LEN(opt), &opts), "kind %u", again[i][0]);
	}
}

Test(tcp_opt, length_0_and_1_are_malformed_for_known_and_unknown_kinds_at_any_place)
{
	struct tcp_opts opts;

	for (int kind = 2; kind < 256; kind++) {
		for (uint8_t len = 0; len < 2; len++) {
			for (uint32_t at = 0; at <= 38; at++) {
				uint8_t opt[HF_TCP_OPT_MAX];

				memset(opt, NOP, sizeof(opt));
				opt[at] = (uint8_t)kind;
				opt[at + 1] = len;
				cr_assert_not(tcp_opt_parse(opt, sizeof(opt), &opts),
					"kind %d length %d at %u", kind, len, at);
			}
		}
	}
}

Test(tcp_opt, every_length_but_its_own_is_malformed_for_a_known_kind)
{
	static const uint8_t kinds[] = { 2, 3, 4, 5, 8 };
	struct tcp_opts opts;

	for (size_t k = 0; k < sizeof(kinds); k++) {
		for (uint8_t len = 2; len <= HF_TCP_OPT_MAX; len++) {
			uint8_t opt[HF_TCP_OPT_MAX];
			uint32_t n = opt_make(opt, kinds[k], len);
			bool right = kinds[k] == 5
					     ? len == 10 || len == 18 || len == 26 || len == 34
					     : len == (uint8_t[]){ 0, 0, 4, 3, 2, 0, 0, 0,
						       10 }[kinds[k]];

			cr_assert_eq(opt_parse(opt, n, &opts), right, "kind %u length %u", kinds[k],
				len);
		}
	}
}

Test(tcp_opt, an_option_over_the_end_is_malformed_wherever_the_list_is_cut)
{
	struct tcp_opts opts;

	for (int kind = 2; kind < 256; kind++) {
		for (uint32_t at = 0; at < HF_TCP_OPT_MAX; at++) {
			uint8_t opt[HF_TCP_OPT_MAX];
			uint8_t len = kind == 2 ? 4 : kind == 3 ? 3 : kind == 4 ? 2 : 10;

			memset(opt, NOP, sizeof(opt));
			opt[at] = (uint8_t)kind;
			if (at + 1 < sizeof(opt))
				opt[at + 1] = len;
			for (uint32_t end = at + 1; end < at + len && end <= sizeof(opt); end++)
				cr_assert_not(tcp_opt_parse(opt, end, &opts),
					"kind %d at %u cut at %u", kind, at, end);
		}
	}
	cr_assert_not(opt_parse((uint8_t[]){ 2 }, 1, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 2, 4, 5 }, 3, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 1, 1, 1, 99, 10, 0, 0, 0 }, 8, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 99, 255, 0, 0 }, 4, &opts));
}

Test(tcp_opt, a_malformed_list_leaves_the_result_alone)
{
	struct tcp_opts opts, before;

	memset(&opts, 0x5a, sizeof(opts));
	before = opts;
	cr_assert_not(opt_parse((uint8_t[]){ MSS, TS, 99, 0 }, 16, &opts));
	cr_assert_eq(memcmp(&opts, &before, sizeof(opts)), 0);
}

Test(tcp_opt, any_bytes_end_the_loop)
{
	uint8_t opt[40];
	struct tcp_opts opts;
	uint32_t rng = 1;

	for (int run = 0; run < 20000; run++) {
		for (size_t i = 0; i < sizeof(opt); i++) {
			rng = rng * 1664525 + 1013904223;
			opt[i] = (uint8_t)((rng >> 24) % (run % 2 ? 256 : 6));
		}
		(void)tcp_opt_parse(opt, (uint32_t)run % 41, &opts);
	}
}

/* Builds into memory of the size that is promised, so that a sanitizer sees one byte more. */
static void opt_expect(const struct tcp_opts *opts, const uint8_t *want, uint32_t want_len)
{
	uint8_t *buf = malloc(HF_TCP_OPT_MAX);
	uint8_t len;

	memset(buf, 0xa5, HF_TCP_OPT_MAX);
	len = tcp_opt_build(opts, buf);
	cr_assert_eq(len, want_len, "%u bytes, not %u", len, want_len);
	for (uint32_t i = 0; i < len; i++)
		cr_assert_eq(buf[i], want[i], "byte %u is %u, not %u", i, buf[i], want[i]);
	for (uint32_t i = len; i < HF_TCP_OPT_MAX; i++)
		cr_assert_eq(buf[i], 0xa5, "byte %u behind the options was written", i);
	free(buf);
}

#define EXPECT(opts, ...)                                                                          \
	opt_expect(&(opts), (const uint8_t[]){ __VA_ARGS__ }, LEN(((uint8_t[]){ __VA_ARGS__ })))

Test(tcp_opt, a_syn_is_laid_out_as_linux_does_it)
{
	struct tcp_opts opts = { .has_mss = true, .mss = 1460 };

	EXPECT(opts, MSS);
	opts.has_wscale = true;
	opts.wscale = 7;
	EXPECT(opts, MSS, NOP, 3, 3, 7);
	opts.sack_permitted = true;
	EXPECT(opts, MSS, NOP, NOP, 4, 2, NOP, 3, 3, 7);
	opts.has_ts = true;
	opts.ts_val = TSV;
	opts.ts_ecr = TSE;
	EXPECT(opts, MSS, 4, 2, TS, NOP, 3, 3, 7);
	opts.sack_permitted = false;
	EXPECT(opts, MSS, NOP, NOP, TS, NOP, 3, 3, 7);
	opts.has_wscale = false;
	EXPECT(opts, MSS, NOP, NOP, TS);
}

Test(tcp_opt, rfc7323_app_a_a_segment_has_twelve_bytes_or_none)
{
	struct tcp_opts opts = { .has_ts = true, .ts_val = TSV, .ts_ecr = TSE };

	EXPECT(opts, NOP, NOP, TS);
	opts.has_ts = false;
	opt_expect(&opts, NULL, 0);
}

Test(tcp_opt, rfc2018_s3_four_sack_blocks_fit_and_three_beside_timestamps)
{
	struct tcp_opts opts = { .sack_count = 4,
		.sack = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 0xfffffffe, 0xffffffff } } };

	EXPECT(opts, NOP, NOP, 5, 34, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0,
		0, 0, 6, 255, 255, 255, 254, 255, 255, 255, 255);
	opts.has_ts = true;
	opts.ts_val = TSV;
	opts.ts_ecr = TSE;
	EXPECT(opts, NOP, NOP, TS, NOP, NOP, 5, 26, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4,
		0, 0, 0, 5, 0, 0, 0, 6);
	opts.sack_count = 1;
	EXPECT(opts, NOP, NOP, TS, NOP, NOP, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2);
}

Test(tcp_opt, rfc2018_s3_a_syn_has_no_sack_blocks)
{
	struct tcp_opts opts = { .has_mss = true, .mss = 1460, .sack_count = 1 };

	EXPECT(opts, MSS);
}

Test(tcp_opt, what_is_built_is_read_back_whatever_the_combination)
{
	for (uint32_t bits = 0; bits < 16 * 5; bits++) {
		struct tcp_opts opts = { .has_mss = bits & 1,
			.has_wscale = bits >> 1 & 1,
			.has_ts = bits >> 2 & 1,
			.sack_permitted = bits >> 3 & 1,
			.sack_count = (uint8_t)(bits >> 4) };
		uint8_t buf[HF_TCP_OPT_MAX], len;
		struct tcp_opts got;

		opts.mss = opts.has_mss ? 1220 : 0;
		opts.wscale = opts.has_wscale ? 14 : 0;
		opts.ts_val = opts.has_ts ? UINT32_MAX : 0;
		opts.ts_ecr = opts.has_ts ? 1 : 0;
		for (uint32_t i = 0; i < opts.sack_count; i++)
			opts.sack[i] = (struct tcp_sack_block){ i, UINT32_MAX - i };
		len = tcp_opt_build(&opts, buf);
		cr_assert_eq(len % 4, 0);
		cr_assert(opt_parse(buf, len, &got));
		cr_assert_eq(got.sack_count,
			opts.has_mss || opts.has_wscale ? 0
			: opts.has_ts                   ? hf_min_u32(opts.sack_count, 3)
							: opts.sack_count,
			"combination %u", bits);
		opts.sack_count = got.sack_count;
		cr_assert(opt_same(&opts, &got), "combination %u", bits);
	}
}

Test(tcp_opt, malformed_options_drop_the_segment_with_a_reason)
{
	static const uint8_t bad[] = { 99, 0, 1, 1 };
	struct th t;

	th_open(&t);
	t.opt = bad;
	t.opt_len = 4;
	cr_assert_eq(th_in(&t, HF_TCP_ACK, 0, 0, "x"), HF_DROP_TCP_BAD_OPTION);
	cr_assert_eq(t.events, 0);
	t.sport++;
	cr_assert_eq(th_in(&t, HF_TCP_SYN, UINT32_MAX, 0, NULL), HF_DROP_TCP_BAD_OPTION);
	cr_assert_eq(hf_tcp_conn_count(t.tcp), 1);
	cr_assert_eq(th_drops(HF_DROP_TCP_BAD_OPTION), 2);
	th_done(&t);
}
