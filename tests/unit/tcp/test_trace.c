/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tcp_conn.h"
#include "tcp_priv.h"

#define UNIT_US 128ULL

static struct hf_tcp trace_tcp;
static struct hf_tcp_conn trace_conn; /* zeroed, as at birth */

static void trace_at(uint64_t now_us, enum hf_tcp_trace_kind kind, uint32_t arg)
{
	trace_tcp.now_us = now_us;
	tcp_trace(&trace_tcp, &trace_conn, kind, arg);
}

/* Into memory for exactly so many, that a sanitizer sees one more. */
static struct hf_tcp_trace *trace_got(uint32_t want)
{
	struct hf_tcp_trace *got = malloc(want ? want * sizeof(*got) : 1);

	cr_assert_eq(tcp_trace_copy(&trace_conn, got), want);
	return got;
}

static void trace_expect(uint32_t i, uint32_t kind, uint32_t arg, uint32_t count)
{
	struct hf_tcp_trace *got = trace_got(count);

	cr_assert_eq(got[i].kind, kind, "record %u is %s", i, hf_tcp_trace_name(got[i].kind));
	cr_assert_eq(got[i].arg, arg, "record %u has %u", i, got[i].arg);
	free(got);
}

Test(tcp_trace, a_connection_is_born_without_records)
{
	free(trace_got(0));
}

Test(tcp_trace, records_come_out_oldest_first)
{
	struct hf_tcp_trace *got;

	trace_at(1000, HF_TCP_TRACE_OPEN, 1460);
	trace_at(2000, HF_TCP_TRACE_IN, 80);
	trace_at(3000, HF_TCP_TRACE_CLOSE, 0);
	trace_expect(0, HF_TCP_TRACE_OPEN, 1460, 3);
	trace_expect(1, HF_TCP_TRACE_IN, 80, 3);
	trace_expect(2, HF_TCP_TRACE_CLOSE, 0, 3);
	got = trace_got(3);
	for (uint32_t i = 1; i < 3; i++)
		cr_assert_lt(
			hf_tcp_trace_ago_us(&got[i], 9000), hf_tcp_trace_ago_us(&got[i - 1], 9000));
	free(got);
}

Test(tcp_trace, the_last_ones_are_kept_however_many_there_were)
{
	for (uint32_t n = 1; n <= 10 * HF_TCP_TRACE_MAX; n++) {
		uint32_t count = hf_min_u32(n, HF_TCP_TRACE_MAX);

		trace_at(n * 1000, HF_TCP_TRACE_RESENT, n);
		for (uint32_t i = 0; i < count; i++)
			trace_expect(i, HF_TCP_TRACE_RESENT, n - count + 1 + i, count);
	}
}

Test(tcp_trace, bytes_in_out_and_acked_are_summed_while_nothing_else_happens)
{
	static const enum hf_tcp_trace_kind kinds[] = { HF_TCP_TRACE_IN, HF_TCP_TRACE_OUT,
		HF_TCP_TRACE_ACKED };

	for (uint32_t k = 0; k < HF_ARRAY_LEN(kinds); k++) {
		struct hf_tcp_trace *got;

		for (uint32_t i = 0; i < 100; i++)
			trace_at(10000000 * k + i * 1000, kinds[k], 1448);
		trace_expect(k, kinds[k], 144800, k + 1);
		got = trace_got(k + 1);
		cr_assert_lt(hf_tcp_trace_ago_us(&got[k], trace_tcp.now_us), UNIT_US,
			"it has the last one's time");
		free(got);
	}
}

Test(tcp_trace, a_long_transfer_is_two_records_and_its_past_stays)
{
	for (uint32_t before = 0; before < 2 * HF_TCP_TRACE_MAX; before++) {
		uint32_t count = hf_min_u32(before + 2, HF_TCP_TRACE_MAX);
		struct hf_tcp_trace *got;

		trace_conn = (struct hf_tcp_conn){ 0 };
		for (uint32_t i = 0; i < before; i++)
			trace_at(0, HF_TCP_TRACE_RTO, i);
		for (uint32_t i = 0; i < 1000; i++) {
			trace_at(2 * i * 1000, HF_TCP_TRACE_OUT, 10);
			trace_at(2 * i * 1000 + 1000, HF_TCP_TRACE_ACKED, 9);
		}
		trace_expect(count - 2, HF_TCP_TRACE_OUT, 10000, count);
		trace_expect(count - 1, HF_TCP_TRACE_ACKED, 9000, count);
		if (before > 0)
			trace_expect(count - 3, HF_TCP_TRACE_RTO, before - 1, count);
		trace_at(2000000, HF_TCP_TRACE_OUT, 1);
		trace_expect(count - 2, HF_TCP_TRACE_ACKED, 9000, count);
		trace_expect(count - 1, HF_TCP_TRACE_OUT, 10001, count);
		got = trace_got(count);
		cr_assert_lt(hf_tcp_trace_ago_us(&got[count - 1], 2000000),
			hf_tcp_trace_ago_us(&got[count - 2], 2000000), "the latest is last");
		free(got);
	}
}

Test(tcp_trace, sums_do_not_reach_over_another_record)
{
	static const enum hf_tcp_trace_kind kinds[] = { HF_TCP_TRACE_OUT, HF_TCP_TRACE_ACKED,
		HF_TCP_TRACE_IN, HF_TCP_TRACE_OUT, HF_TCP_TRACE_IN, HF_TCP_TRACE_ACKED,
		HF_TCP_TRACE_RTO, HF_TCP_TRACE_ACKED, HF_TCP_TRACE_RTO, HF_TCP_TRACE_OUT };

	HF_STATIC_ASSERT(HF_ARRAY_LEN(kinds) == HF_TCP_TRACE_MAX, "the ring is not full before");
	for (uint32_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
		trace_at(0, kinds[i], i + 1);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
		trace_expect(i, kinds[i], i + 1, HF_ARRAY_LEN(kinds));
}

Test(tcp_trace, sums_go_on_across_the_end_of_the_ring)
{
	for (uint32_t n = 1; n <= 3 * HF_TCP_TRACE_MAX; n++) {
		uint32_t count = hf_min_u32(2 * n, HF_TCP_TRACE_MAX);

		trace_at(0, HF_TCP_TRACE_RTO, n);
		trace_at(0, HF_TCP_TRACE_IN, 5);
		trace_at(0, HF_TCP_TRACE_IN, n);
		trace_expect(count - 1, HF_TCP_TRACE_IN, 5 + n, count);
		trace_expect(count - 2, HF_TCP_TRACE_RTO, n, count);
	}
	trace_at(0, HF_TCP_TRACE_OUT, 1); /* and from an odd place */
	trace_at(0, HF_TCP_TRACE_OUT, 2);
	trace_expect(HF_TCP_TRACE_MAX - 1, HF_TCP_TRACE_OUT, 3, HF_TCP_TRACE_MAX);
}

Test(tcp_trace, a_sum_stops_at_its_largest_value)
{
	trace_at(0, HF_TCP_TRACE_IN, UINT32_MAX - 1);
	trace_at(0, HF_TCP_TRACE_IN, 1);
	trace_expect(0, HF_TCP_TRACE_IN, UINT32_MAX, 1);
	trace_at(0, HF_TCP_TRACE_IN, 1);
	trace_expect(0, HF_TCP_TRACE_IN, UINT32_MAX, 1);
	trace_at(0, HF_TCP_TRACE_IN, UINT32_MAX);
	trace_expect(0, HF_TCP_TRACE_IN, UINT32_MAX, 1);
}

Test(tcp_trace, everything_else_is_a_record_each_time)
{
	for (uint32_t kind = 0; kind < HF_TCP_TRACE_COUNT; kind++) {
		if (kind == HF_TCP_TRACE_IN || kind == HF_TCP_TRACE_OUT ||
			kind == HF_TCP_TRACE_ACKED)
			continue;
		trace_conn = (struct hf_tcp_conn){ 0 };
		trace_at(0, kind, 7);
		trace_at(0, kind, 7);
		trace_expect(0, kind, 7, 2);
		trace_expect(1, kind, 7, 2);
	}
}

Test(tcp_trace, neighbours_of_the_ring_are_left_alone)
{
	struct hf_tcp_conn *conn = aligned_alloc(HF_CACHE_LINE, sizeof(*conn));
	const uint8_t *bytes = (const uint8_t *)conn;

	memset(conn, 0xa5, sizeof(*conn));
	memset(conn->trace, 0, sizeof(conn->trace));
	conn->trace_at = 0;
	conn->trace_full = false;
	for (uint32_t i = 0; i < 1000; i++)
		tcp_trace(&trace_tcp, conn, i % HF_TCP_TRACE_COUNT, UINT32_MAX);
	for (size_t i = 0; i < sizeof(*conn); i++) {
		bool ours = i == offsetof(struct hf_tcp_conn, trace_at) ||
			    i == offsetof(struct hf_tcp_conn, trace_full) ||
			    (i >= offsetof(struct hf_tcp_conn, trace) &&
				    i < offsetof(struct hf_tcp_conn, trace) + sizeof(conn->trace));

		cr_assert(ours || bytes[i] == 0xa5, "byte %zu", i);
	}
	free(conn);
}

Test(tcp_trace, its_age_is_right_to_the_unit_for_half_an_hour)
{
	static const uint64_t ages[] = { 0, 127, 128, 1000, 999999, 60000000, 2100000000,
		(UNIT_US << 24) - UNIT_US };
	static const uint64_t starts[] = { 0, 1, 127, 128, (UNIT_US << 24) - 1, UNIT_US << 24,
		(UNIT_US << 30) + 77, UINT64_MAX / 2 };

	for (size_t s = 0; s < HF_ARRAY_LEN(starts); s++) {
		struct hf_tcp_trace *got;

		trace_conn = (struct hf_tcp_conn){ 0 };
		trace_at(starts[s], HF_TCP_TRACE_OPEN, 0);
		got = trace_got(1);
		for (size_t a = 0; a < HF_ARRAY_LEN(ages); a++) {
			uint64_t ago = hf_tcp_trace_ago_us(got, starts[s] + ages[a]);

			cr_assert_lt(ago, ages[a] + UNIT_US);
			cr_assert_gt(ago + UNIT_US, ages[a]);
		}
		free(got);
	}
}

Test(tcp_trace, every_kind_has_a_name_of_its_own)
{
	for (uint32_t i = 0; i < HF_TCP_TRACE_COUNT; i++) {
		cr_assert_gt(strlen(hf_tcp_trace_name(i)), 0);
		cr_assert_not_null(hf_tcp_trace_arg(i));
		for (uint32_t k = 0; k < i; k++)
			cr_assert_str_neq(hf_tcp_trace_name(i), hf_tcp_trace_name(k));
	}
	cr_assert_str_eq(hf_tcp_trace_name(HF_TCP_TRACE_DROP), "drop");
	cr_assert_str_eq(hf_tcp_trace_arg(HF_TCP_TRACE_DROP), "reason");
	cr_assert_str_eq(hf_tcp_trace_arg(HF_TCP_TRACE_CLOSE), "");
}
