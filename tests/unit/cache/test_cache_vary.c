/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Vary: blocks of selecting fields.
 */
#include "hf_cache_rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hf_http_req req;
static struct hf_http_resp resp;
static char block[1024];

static void ask(const char *fields)
{
	static const struct hf_http_limits limits = { 8192, 4096, 128 };
	static char text[2048];
	struct hf_http_fault fault;
	int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);

	cr_assert_eq(hf_http_req_parse(text, (size_t)len, &limits, &req, &fault), HF_PARSE_DONE);
}

static int build(const char *vary, const char *fields)
{
	static char text[2048];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n", vary);

	ask(fields);
	cr_assert_eq(hf_http_resp_parse(text, (size_t)len, &resp), HF_PARSE_DONE);
	return hf_cache_vary_build(block, sizeof(block), &resp, &req);
}

Test(cache_vary, no_vary_is_an_empty_block_that_matches_all)
{
	cr_assert_eq(build("", "Accept: x\r\n"), 0);
	cr_assert(hf_cache_vary_matches(block, 0, &req));
	cr_assert_eq(build("Vary:\r\n", "Accept: x\r\n"), 0);
}

Test(cache_vary, rfc9111_4_1_records_are_sorted_lower_case_and_once_each)
{
	static const char want[] = "accept-encoding\0+gzip,br\0x-a\0-\0x-b\0+V w";
	int len = build("Vary: X-B, accept-Encoding\r\nvary: x-a, X-b\r\n",
		"Accept-Encoding: GZIP ,\tbr\r\nx-b:  V w \r\n");

	cr_assert_eq(len, (int)sizeof(want));
	cr_assert_eq(memcmp(block, want, sizeof(want)), 0);
}

Test(cache_vary, rfc9111_4_1_star_never_matches)
{
	cr_assert_eq(build("Vary: *\r\n", ""), -EINVAL);
	cr_assert_eq(build("Vary: a, *\r\n", ""), -EINVAL);
	cr_assert_eq(build("Vary: a b\r\n", ""), -EINVAL);
}

Test(cache_vary, rfc9111_4_1_which_requests_match)
{
	static const struct {
		const char *vary, *stored, *asked;
		bool matches;
	} rows[] = {
		{ "Vary: Accept-Encoding\r\n", "Accept-Encoding: gzip, br\r\n",
			"accept-encoding: gzip,br\r\n", true },
		{ "Vary: Accept-Encoding\r\n", "Accept-Encoding: gzip, br\r\n",
			"Accept-Encoding: gzip\r\n", false },
		{ "Vary: Accept-Encoding\r\n", "Accept-Encoding: gzip\r\n", "", false },
		{ "Vary: Accept-Encoding\r\n", "", "Accept-Encoding: gzip\r\n", false },
		{ "Vary: X\r\n", "", "X:\r\n", false },
		{ "Vary: X\r\n", "", "", true },
		{ "Vary: X\r\n", "X: a\r\n", "X: a\r\nY: b\r\n", true },
		{ "Vary: X\r\n", "X: a\r\n", "X: A\r\n", false },
		{ "Vary: X\r\n", "X: a\r\nX: b\r\n", "X: a, b\r\n", true },
		{ "Vary: X\r\n", "X: a\r\nX: b\r\n", "X: a,b\r\n", false },
		{ "Vary: X\r\n", "X: a\r\nX: b\r\n", "X: b\r\nX: a\r\n", false },
		{ "Vary: Accept\r\n", "Accept: a\r\nAccept: b\r\n", "Accept: a ,b\r\n", true },
		{ "Vary: X\r\n", "X: a,b\r\n", "X: a, b\r\n", false },
		{ "Vary: Accept\r\n", "Accept: a;b=\"C, D\"\r\n", "Accept: a;b=\"C, D\"\r\n",
			true },
		{ "Vary: Accept\r\n", "Accept: a;b=\"C, D\"\r\n", "Accept: a;b=\"C,D\"\r\n",
			false },
		{ "Vary: X, Y\r\n", "X: a\r\nY: b\r\n", "X: a\r\nY: c\r\n", false },
		{ "Vary: X, Y\r\n", "X: a\r\n", "Y: a\r\n", false },
		{ "Vary: X\r\n", "X: a\r\nConnection: x\r\n", "", true },
		{ "Vary: X\r\n", "X: a\r\nConnection: x\r\n", "X: a\r\n", false },
		{ "Vary: Xy\r\n", "Xy: a\r\n", "X: a\r\n", false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		int len = build(rows[i].vary, rows[i].stored);
		char again[1024];
		int other;

		cr_assert_gt(len, 0, "row %zu", i);
		cr_assert(hf_cache_vary_matches(block, (size_t)len, &req), "row %zu, itself", i);
		ask(rows[i].asked);
		cr_assert_eq(hf_cache_vary_matches(block, (size_t)len, &req), rows[i].matches,
			"row %zu", i);
		other = hf_cache_vary_rebuild(again, sizeof(again), block, (size_t)len, &req);
		cr_assert_eq(other == len && memcmp(again, block, (size_t)len) == 0,
			rows[i].matches, "row %zu", i);
	}
}

Test(cache_vary, a_block_that_does_not_fit_is_refused)
{
	int len = build("Vary: X, Y\r\n", "X: abc\r\n");

	for (int cap = 0; cap <= len; cap++) {
		char *room = malloc((size_t)cap + 1);
		int got = hf_cache_vary_build(room, (size_t)cap, &resp, &req);

		cr_assert_eq(got, cap == len ? len : -ENOSPC);
		free(room);
	}
}

Test(cache_vary, what_is_no_block_matches_nothing)
{
	static const char *const rows[] = { "x", "x\0+a", "\0+a\0", "x\0+a\0y" };
	static const size_t lens[] = { 1, 4, 4, 6 };
	char out[64];

	ask("X: a\r\n");
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		cr_assert(!hf_cache_vary_matches(rows[i], lens[i], &req), "row %zu", i);
		cr_assert_eq(hf_cache_vary_rebuild(out, sizeof(out), rows[i], lens[i], &req),
			-EINVAL, "row %zu", i);
	}
}

Test(cache_vary, too_many_names_are_refused)
{
	char vary[512] = "Vary: ";

	for (int i = 0; i < 33; i++)
		sprintf(vary + strlen(vary), "a%d,", i);
	strcat(vary, "\r\n");
	cr_assert_eq(build(vary, ""), -ENOSPC);
}
