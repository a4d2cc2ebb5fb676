/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_base.h"
#include "hf_bytes.h"
#include "hf_ref.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Test(base, a_false_assertion_aborts, .signal = SIGABRT)
{
	HF_ASSERT(1 + 1 == 3);
}

Test(base, an_assertion_is_evaluated_once)
{
	int n = 0;

	HF_ASSERT(++n == 1);
	cr_expect_eq(n, 1);
}

static void hook_exit(const char *what, const char *file, int line, const char *func)
{
	_Exit(what && file && func && line > 0 ? 7 : 8);
}

Test(base, the_panic_hook_hears_of_a_failed_assertion, .exit_code = 7)
{
	hf_panic_hook_set(hook_exit);
	HF_ASSERT(false);
}

static void hook_asserts(const char *what, const char *file, int line, const char *func)
{
	HF_ASSERT(false);
}

Test(base, a_hook_that_asserts_is_not_called_again, .signal = SIGABRT)
{
	hf_panic_hook_set(hook_asserts);
	HF_ASSERT(false);
}

Test(base, spans_compare_by_bytes_or_without_case)
{
	cr_expect(hf_span_eq(HF_SPAN("abc"), HF_SPAN("abc")));
	cr_expect_not(hf_span_eq(HF_SPAN("abc"), HF_SPAN("abC")));
	cr_expect_not(hf_span_eq(HF_SPAN("abc"), HF_SPAN("abcd")));
	cr_expect(hf_span_eq((struct hf_span){ NULL, 0 }, HF_SPAN("")));
	cr_expect(hf_span_caseeq(HF_SPAN("Host"), HF_SPAN("hOST")));
	cr_expect_not(hf_span_caseeq(HF_SPAN("Host"), HF_SPAN("Hosts")));
	cr_expect_not(hf_span_caseeq(HF_SPAN("Host"), HF_SPAN("Most")));
}

Test(base, err_set_writes_a_bounded_sentence_and_returns_the_code)
{
	struct hf_err err;

	cr_expect_eq(hf_err_set(&err, -EINVAL, "%s %d", "port", 7), -EINVAL);
	cr_expect_str_eq(err.text, "port 7");
	cr_expect_eq(hf_err_set(&err, -1, "%01000d", 1), -1);
	cr_expect_eq(strlen(err.text), sizeof(err.text) - 1);
	cr_expect_eq(hf_err_set(NULL, -ENOENT, "x"), -ENOENT);
}

Test(base, pow2_ceil_at_the_edges)
{
	cr_expect_eq(hf_pow2_ceil(0), 1);
	cr_expect_eq(hf_pow2_ceil(1), 1);
	cr_expect_eq(hf_pow2_ceil(2), 2);
	cr_expect_eq(hf_pow2_ceil(3), 4);
	cr_expect_eq(hf_pow2_ceil(4096), 4096);
	cr_expect_eq(hf_pow2_ceil(4097), 8192);
	cr_expect_eq(hf_pow2_ceil(1ULL << 63), 1ULL << 63);
}

Test(base, min_and_max)
{
	cr_expect_eq(hf_min_size(1, 2), 1);
	cr_expect_eq(hf_min_u32(UINT32_MAX, 2), 2);
	cr_expect_eq(hf_max_u32(UINT32_MAX, 2), UINT32_MAX);
	cr_expect_eq(hf_min_u64(UINT64_MAX, 2), 2);
	cr_expect_eq(hf_max_u64(UINT64_MAX, 2), UINT64_MAX);
}

Test(base, network_order_at_any_address)
{
	uint8_t buf[9] = { 0 };

	for (int i = 0; i < 4; i++) {
		hf_store_be32(buf + i, 0x01020304);
		cr_expect_eq(buf[i], 1);
		cr_expect_eq(buf[i + 3], 4);
		cr_expect_eq(hf_load_be32(buf + i), 0x01020304);
		hf_store_be16(buf + i, 0xfffe);
		cr_expect_eq(buf[i + 1], 0xfe);
		cr_expect_eq(hf_load_be16(buf + i), 0xfffe);
	}
}

static int releases;

static void count_release(struct hf_ref *ref)
{
	releases++;
}

Test(base, the_last_put_releases_once)
{
	struct hf_ref ref;

	hf_ref_init(&ref, count_release);
	hf_ref_get(&ref);
	hf_ref_put(&ref);
	cr_expect_eq(releases, 0);
	hf_ref_put(&ref);
	cr_expect_eq(releases, 1);
}

/* At the begin of a second: a clock that is behind by a tick would tell the one before. */
Test(base, unix_time_is_not_behind)
{
	struct timespec now, began;

	(void)clock_gettime(CLOCK_REALTIME, &began);
	do {
		(void)clock_gettime(CLOCK_REALTIME, &now);
	} while (now.tv_sec == began.tv_sec);
	cr_expect_geq(hf_clock_unix_s(), now.tv_sec);
	cr_expect_geq(hf_clock_unix_us(), now.tv_sec * 1000000L + now.tv_nsec / 1000);
}

Test(base, the_clock_does_not_go_back_and_random_bytes_differ)
{
	uint64_t a = hf_clock_us(), b = hf_clock_us();
	uint8_t x[32] = { 0 }, y[32] = { 0 };

	cr_expect_leq(a, b);
	hf_random_fill(x, sizeof(x));
	hf_random_fill(y, sizeof(y));
	cr_expect_arr_neq(x, y, sizeof(x));
}
