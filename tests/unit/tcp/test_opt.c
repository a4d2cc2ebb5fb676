/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include "tcp_helper.h"

/* The list ends where an unreadable page begins. */
static bool opt_parse(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts)
{
	uint8_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ok;

	cr_assert_eq(mprotect(page + 4096, 4096, PROT_NONE), 0);
	memcpy(page + 4096 - len, opt, len);
	ok = tcp_opt_parse(page + 4096 - len, len, ret_opts);
	munmap(page, 8192);
	return ok;
}

Test(tcp_opt, rfc9293_s3_1_mss_and_window_scale_are_read)
{
	const uint8_t opt[] = { 2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 0, 99 };
	struct tcp_opts opts;

	cr_assert(opt_parse(opt, sizeof(opt), &opts));
	cr_assert(opts.has_mss && opts.has_wscale);
	cr_assert_eq(opts.mss, 1460);
	cr_assert_eq(opts.wscale, 7);
}

Test(tcp_opt, rfc7323_s2_3_scale_above_14_is_14)
{
	struct tcp_opts opts;

	cr_assert(opt_parse((uint8_t[]){ 3, 3, 255 }, 3, &opts));
	cr_assert_eq(opts.wscale, 14);
}

Test(tcp_opt, length_0_and_1_are_malformed_for_known_and_unknown_kinds)
{
	struct tcp_opts opts;

	for (int kind = 2; kind < 256; kind++) {
		for (uint8_t len = 0; len < 2; len++) {
			uint8_t opt[4] = { (uint8_t)kind, len, 0, 0 };

			cr_assert_not(opt_parse(opt, 4, &opts), "kind %d length %d", kind, len);
		}
	}
}

Test(tcp_opt, an_option_over_the_end_is_malformed)
{
	struct tcp_opts opts;

	cr_assert_not(opt_parse((uint8_t[]){ 2 }, 1, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 2, 4, 5 }, 3, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 1, 1, 1, 99, 10, 0, 0, 0 }, 8, &opts));
	cr_assert_not(opt_parse((uint8_t[]){ 2, 3, 5 }, 3, &opts), "a wrong length for its kind");
	cr_assert_not(opt_parse((uint8_t[]){ 3, 4, 5, 0 }, 4, &opts));
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
