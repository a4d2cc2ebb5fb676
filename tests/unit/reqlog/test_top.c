/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reqlog_rig.h"

static struct reqlog_top *top;
static struct hf_reqlog_top rows[HF_REQLOG_TOP_ROWS];

static void top_fini(void)
{
	free(top);
}

TestSuite(reqlog_top, .fini = top_fini);

static void top_of(enum reqlog_top_by by)
{
	top = reqlog_top_new(by, 0);
	cr_assert(top);
}

static void add(const char *host, const char *target, uint32_t times)
{
	struct hf_reqlog_record record = rig_record(host, target);

	while (times-- > 0)
		reqlog_top_add(top, &record);
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

Test(reqlog_top, counts_of_few_keys_are_exact_and_in_order)
{
	top_of(REQLOG_TOP_KEYS);
	add("a", "/x", 10);
	add("a", "/y", 30);
	add("b", "/x", 20);
	cr_assert_eq(reqlog_top_rows(top, 2000000, rows), 3);
	cr_expect_str_eq(rows[0].key, "a/y");
	cr_expect_str_eq(rows[1].key, "b/x");
	cr_expect_str_eq(rows[2].key, "a/x");
	cr_expect(near(rows[0].requests_s, 15));
	cr_expect(near(rows[0].bytes_s, 75));
	cr_expect(near(rows[0].mean_us, 60));
	cr_expect(near(rows[0].at_most_over, 0));
	cr_expect(near(rows[0].failed_s, 0));
}

Test(reqlog_top, by_client_and_by_origin)
{
	struct hf_reqlog_record record = rig_record("h", "/");

	top_of(REQLOG_TOP_CLIENTS);
	reqlog_top_add(top, &record);
	cr_assert_eq(reqlog_top_rows(top, 1000000, rows), 1);
	cr_expect_str_eq(rows[0].key, "192.0.2.1");
	free(top);
	top_of(REQLOG_TOP_ORIGINS);
	reqlog_top_add(top, &record); /* a hit: no origin was asked */
	memcpy(record.origin, "www/o1", 7);
	record.status = 502;
	reqlog_top_add(top, &record);
	cr_assert_eq(reqlog_top_rows(top, 1000000, rows), 1);
	cr_expect_str_eq(rows[0].key, "www/o1");
	cr_expect(near(rows[0].failed_s, 1));
}

Test(reqlog_top, what_was_weighs_less_than_what_is)
{
	top_of(REQLOG_TOP_KEYS);
	add("h", "/old", 100);
	(void)reqlog_top_rows(top, 1000000, rows);
	cr_expect(near(rows[0].requests_s, 100));
	for (uint64_t s = 2; s < 12; s++) {
		add("h", "/new", 50);
		(void)reqlog_top_rows(top, s * 1000000, rows);
	}
	cr_expect_str_eq(rows[0].key, "h/new");
	cr_expect_str_eq(rows[1].key, "h/old");
	cr_expect_lt(rows[1].requests_s, 3);
	cr_expect(rows[0].requests_s > 40 && rows[0].requests_s <= 50);
}

/* Metwally et al.: who has more than 1/m of all is there, counted by no more than 1/m too much. */
Test(reqlog_top, the_heaviest_are_found_among_many)
{
	uint32_t all = 0;
	char target[32];

	top_of(REQLOG_TOP_KEYS);
	for (uint32_t i = 0; i < 4000; i++) {
		(void)snprintf(target, sizeof(target), "/one/%u", i);
		add("h", target, 1);
		all++;
		if (i % 20 == 0) {
			(void)snprintf(target, sizeof(target), "/heavy/%u", i / 20 % 4);
			add("h", target, 4);
			all += 4;
		}
	}
	cr_assert_eq(top->used, REQLOG_TOP_ENTRIES);
	cr_assert_eq(reqlog_top_rows(top, 1000000, rows), HF_REQLOG_TOP_ROWS);
	for (uint32_t i = 0; i < 4; i++) {
		cr_expect(strstr(rows[i].key, "/heavy/"), "%s", rows[i].key);
		cr_expect(rows[i].requests_s >= 200 - 1e-6);
		cr_expect(rows[i].requests_s - rows[i].at_most_over <= 200 + 1e-6);
		cr_expect_leq(rows[i].at_most_over, (double)all / REQLOG_TOP_ENTRIES);
	}
	for (uint32_t i = 1; i < HF_REQLOG_TOP_ROWS; i++)
		cr_expect_leq(rows[i].requests_s, rows[i - 1].requests_s);
}

Test(reqlog_top, the_heap_and_the_chains_hold)
{
	char target[32];

	top_of(REQLOG_TOP_KEYS);
	for (uint32_t i = 0; i < 20000; i++) {
		(void)snprintf(target, sizeof(target), "/%u", (i * 7919U) % 1500);
		add("h", target, 1 + i % 3);
		if (i % 1000 == 999)
			(void)reqlog_top_rows(top, (i + 1) * 1000ULL, rows);
	}
	for (uint32_t i = 1; i < top->used; i++)
		cr_assert_leq(
			top->entry[top->heap[(i - 1) / 2]].count, top->entry[top->heap[i]].count);
	for (uint32_t i = 0; i < top->used; i++) {
		uint32_t at = top->chain[top->entry[i].chain];

		cr_assert_eq(top->heap[top->entry[i].at], i);
		while (at != 0 && at != i + 1)
			at = top->entry[at - 1].next;
		cr_assert_eq(at, i + 1, "entry %u is in its chain", i);
	}
}
