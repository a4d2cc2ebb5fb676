/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A receiver of which only the part behind holes is real. Sequence numbers are relative to TO_SEQ;
 * the byte at x is to_byte(x).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"
#include "hf_tcp.h"
#include "tcp_conn.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"

#define TO_SEQ   0xffffc000U /* all of it crosses 2^32 */
#define TO_SPAN  60000
#define TO_AHEAD 9000 /* no random segment begins farther */

struct to {
	struct hf_tcp tcp;
	struct hf_tcp_conn conn;
};

static uint8_t to_byte(uint32_t x)
{
	return (uint8_t)(x * 31 + (x >> 8));
}

static struct to *to_new(uint32_t bufs)
{
	struct to *t = NULL;

	cr_assert_eq(posix_memalign((void **)&t, HF_CACHE_LINE, sizeof(*t)), 0);
	memset(t, 0, sizeof(*t));
	cr_assert_eq(hf_pool_init(&t->tcp.rxbufs, sizeof(struct tcp_rxbuf), bufs), 0);
	t->tcp.ooo_max = 1000;
	t->conn.flags = TCP_F_SACK;
	t->conn.rcv_nxt = TO_SEQ;
	t->conn.rcv_adv = TO_SEQ + TO_SPAN;
	return t;
}

static void to_free(struct to *t)
{
	tcp_ooo_check(&t->tcp, &t->conn);
	tcp_ooo_drop_all(&t->tcp, &t->conn);
	cr_assert_null(t->conn.ooo);
	cr_assert_eq(t->tcp.rxbufs.used, 0, "%u buffers lost", t->tcp.rxbufs.used);
	hf_pool_fini(&t->tcp.rxbufs);
	free(t);
}

static const uint8_t *to_bytes(uint32_t from, uint32_t len)
{
	static uint8_t bytes[TO_SPAN];

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = to_byte(from + i);
	return bytes;
}

static enum hf_drop to_store(struct to *t, uint32_t from, uint32_t end)
{
	enum hf_drop drop = tcp_ooo_store(
		&t->tcp, &t->conn, TO_SEQ + from, to_bytes(from, end - from), end - from);

	tcp_ooo_check(&t->tcp, &t->conn);
	return drop;
}

/* Takes what begins at or before `at`, looks at each byte, gives it back to the pool. */
static uint32_t to_take(struct to *t, uint32_t at)
{
	struct tcp_rxbuf *tail = NULL;
	uint32_t len = 0, x = at;
	struct tcp_rxbuf *head = tcp_ooo_take(&t->tcp, &t->conn, TO_SEQ + at, &tail, &len);

	cr_assert_eq(head == NULL, len == 0);
	for (struct tcp_rxbuf *buf = head; buf; buf = buf->next) {
		cr_assert_lt(buf->off, buf->end);
		for (uint32_t i = buf->off; i < buf->end; i++, x++)
			cr_assert_eq(buf->data[i], to_byte(x), "byte %u", x);
		cr_assert_eq(buf->next == NULL, buf == tail);
	}
	cr_assert_eq(x - at, len);
	tcp_rxbuf_free_list(&t->tcp, head);
	t->conn.rcv_nxt = TO_SEQ + at + len;
	tcp_ooo_check(&t->tcp, &t->conn);
	return len;
}

/* A segment as tcp_in.c and tcp_rx.c handle it. */
static void to_in(struct to *t, uint32_t from, uint32_t end)
{
	uint32_t next = t->conn.rcv_nxt - TO_SEQ;

	if (from < next) {
		tcp_rx_duplicate(&t->conn, TO_SEQ + from, hf_min_u32(end, next) - from);
		from = next;
	}
	if (from >= end)
		return;
	if (from > next)
		(void)to_store(t, from, end);
	else
		(void)to_take(t, end);
}

/* "ACK, start-end, start-end": what an ACK would say now. */
static const char *to_ack(struct to *t, uint32_t max)
{
	static char text[200];
	struct tcp_sack_block block[TCP_SACKS_MAX];
	uint32_t n = tcp_ooo_sacks(&t->conn, block, max);
	int at = sprintf(text, "%u", t->conn.rcv_nxt - TO_SEQ);

	cr_assert_leq(n, max);
	for (uint32_t i = 0; i < n; i++)
		at += sprintf(text + at, ", %u-%u", block[i].start - TO_SEQ, block[i].end - TO_SEQ);
	return text;
}

static uint64_t to_drops(void)
{
	return atomic_load(&hf_stat_own->drop[HF_DROP_TCP_OOO_FULL]);
}

Test(tcp_ooo, bytes_behind_a_hole_are_taken_when_it_is_filled)
{
	struct to *t = to_new(16);

	cr_assert_eq(to_store(t, 100, 5000), HF_DROP_NONE);
	cr_assert_eq(t->conn.ooo->count, 1);
	cr_assert_eq(t->conn.ooo->bufs, 3);
	cr_assert_eq(t->tcp.rxbufs.used, 4, "the ranges take an element of the same pool");
	cr_assert_eq(to_take(t, 99), 0);
	cr_assert_eq(to_take(t, 100), 4900);
	cr_assert_null(t->conn.ooo);
	cr_assert_eq(t->tcp.rxbufs.used, 0);
	to_free(t);
}

Test(tcp_ooo, only_the_part_behind_what_is_acknowledged_is_taken)
{
	struct to *t = to_new(16);

	to_store(t, 100, 200);
	to_store(t, 300, 400);
	to_store(t, 1000, 6000);
	to_store(t, 7000, 7100);
	cr_assert_eq(to_take(t, 3500), 2500, "two ranges and a buffer were overtaken");
	cr_assert_eq(t->conn.ooo->count, 1);
	cr_assert_eq(t->conn.ooo->bufs, 1);
	cr_assert_eq(to_take(t, 7100), 0, "a range that ends there has nothing left");
	cr_assert_null(t->conn.ooo);
	to_free(t);
}

Test(tcp_ooo, segments_in_sequence_share_buffers)
{
	struct to *t = to_new(16);

	for (uint32_t x = 10; x < 2042; x += 8)
		to_store(t, x, x + 8);
	cr_assert_eq(t->conn.ooo->count, 1);
	cr_assert_eq(t->conn.ooo->bufs, 1);
	to_store(t, 2042, 2043);
	cr_assert_eq(t->conn.ooo->bufs, 2);
	to_free(t);
}

Test(tcp_ooo, ranges_that_touch_become_one_and_small_buffers_too)
{
	struct to *t = to_new(16);

	to_store(t, 100, 200);
	to_store(t, 300, 400);
	to_store(t, 500, 600);
	cr_assert_eq(t->conn.ooo->bufs, 3);
	to_store(t, 200, 300);
	cr_assert_eq(t->conn.ooo->count, 2);
	cr_assert_eq(t->conn.ooo->bufs, 2);
	to_store(t, 50, 100);
	cr_assert_eq(t->conn.ooo->count, 2);
	to_store(t, 10, 700); /* all of it, and both ends */
	cr_assert_eq(t->conn.ooo->count, 1);
	cr_assert_eq(t->conn.ooo->bufs, 1);
	cr_assert_eq(to_take(t, 10), 690);
	to_free(t);
}

Test(tcp_ooo, two_neighbours_hold_more_than_a_buffer)
{
	struct to *t = to_new(128);

	/* one byte at a time, first every second one */
	for (uint32_t from = 1; from < 6000; from += 120) {
		for (uint32_t x = from; x < from + 120; x += 2)
			to_store(t, x, x + 1);
		for (uint32_t x = from + 1; x < from + 120; x += 2)
			to_store(t, x, x + 1);
		cr_assert_eq(t->conn.ooo->count, 1);
		cr_assert_leq(t->conn.ooo->bufs, 2 * (from + 120) / TCP_RXBUF_BYTES + 1);
	}
	cr_assert_eq(to_take(t, 1), 6000);
	to_free(t);
}

struct to_map {
	bool has[TO_SPAN];
	uint32_t next; /* acknowledged */
};

/* The ranges say of each byte what the map says. */
static void to_compare(const struct to *t, const struct to_map *map)
{
	uint32_t x = map->next, ranges = t->conn.ooo ? t->conn.ooo->count : 0;
	uint32_t end = hf_min_u32(x + 2 * TO_AHEAD, TO_SPAN);

	for (uint32_t i = 0; i < ranges; i++) {
		const struct tcp_range *range = &t->conn.ooo->range[i];

		for (; TO_SEQ + x != range->start; x++)
			cr_assert(!map->has[x], "byte %u is missing", x);
		for (const struct tcp_rxbuf *buf = range->head; buf; buf = buf->next) {
			for (uint32_t b = buf->off; b < buf->end; b++, x++) {
				cr_assert(map->has[x], "byte %u was never stored", x);
				cr_assert_eq(buf->data[b], to_byte(x), "byte %u", x);
			}
		}
	}
	for (; x < end; x++)
		cr_assert(!map->has[x], "byte %u is missing", x);
}

static uint32_t to_rand(uint32_t *rng, uint32_t below)
{
	*rng = *rng * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*rng * below) >> 32);
}

static void to_random_step(struct to *t, struct to_map *map, uint32_t *rng, uint32_t seg_max)
{
	uint32_t from = map->next + to_rand(rng, hf_min_u32(TO_AHEAD, TO_SPAN - map->next));
	uint32_t end = hf_min_u32(from + 1 + to_rand(rng, seg_max), TO_SPAN);

	if (from > map->next) {
		uint32_t done = 0;
		enum hf_drop drop = to_store(t, from, end);

		for (uint32_t x = from; x < end && drop == HF_DROP_NONE; x++)
			map->has[x] = true;
		if (drop == HF_DROP_NONE)
			return;
		/* what was kept of it is its first part */
		cr_assert_eq(
			t->conn.ooo->count, TCP_RANGES_MAX, "pool and ooo_max are not reached");
		for (uint32_t i = 0; i < t->conn.ooo->count; i++) {
			const struct tcp_range *range = &t->conn.ooo->range[i];

			if (tcp_seq_le(range->start, TO_SEQ + from) &&
				tcp_seq_gt(range->end, TO_SEQ + from))
				done = range->end - (TO_SEQ + from);
		}
		cr_assert_eq(done, 0, "without a place for a range none of it is");
	} else if (to_rand(rng, 3) == 0) {
		end += to_take(t, end);
		memset(map->has, 0, end);
		map->next = end;
	}
}

Test(tcp_ooo, random_segments_against_a_map_of_bytes)
{
	static struct to_map map;

	for (uint32_t seed = 1; seed <= 60; seed++) {
		struct to *t = to_new(512);
		uint32_t rng = seed, seg_max = seed % 2 ? 60 : 3000;

		memset(&map, 0, sizeof(map));
		for (int i = 0; i < 1500 && map.next + TO_AHEAD < TO_SPAN; i++) {
			to_random_step(t, &map, &rng, seg_max);
			if (i % 16 == 0)
				to_compare(t, &map);
		}
		to_free(t);
	}
}

static void to_fill_ranges(struct to *t)
{
	for (uint32_t i = 0; i < TCP_RANGES_MAX; i++)
		cr_assert_eq(to_store(t, 10 + 20 * i, 20 + 20 * i), HF_DROP_NONE);
	cr_assert_eq(t->conn.ooo->count, TCP_RANGES_MAX);
}

Test(tcp_ooo, the_64th_range_is_dropped_and_counted)
{
	struct to *t = to_new(256);
	uint32_t used;

	to_fill_ranges(t);
	used = t->tcp.rxbufs.used;
	cr_assert_eq(to_store(t, 5, 8), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(to_store(t, 10000, 10100), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(to_drops(), 2);
	cr_assert_eq(t->tcp.rxbufs.used, used);
	to_free(t);
}

Test(tcp_ooo, with_all_ranges_in_use_they_still_grow_and_merge)
{
	struct to *t = to_new(256);

	to_fill_ranges(t);
	cr_assert_eq(to_store(t, 5, 10), HF_DROP_NONE, "in front of the first");
	cr_assert_eq(to_store(t, 48, 55), HF_DROP_NONE, "in front of one, and into it");
	cr_assert_eq(to_store(t, 1260, 1300), HF_DROP_NONE, "behind the last");
	cr_assert_eq(t->conn.ooo->count, TCP_RANGES_MAX);
	cr_assert_eq(to_store(t, 100, 110), HF_DROP_NONE, "between two");
	cr_assert_eq(t->conn.ooo->count, TCP_RANGES_MAX - 1);
	cr_assert_eq(to_store(t, 5000, 5001), HF_DROP_NONE, "so there is one more");
	to_free(t);
}

Test(tcp_ooo, a_segment_over_all_ranges_makes_them_one)
{
	struct to *t = to_new(256);

	to_fill_ranges(t);
	cr_assert_eq(to_store(t, 1, 3000), HF_DROP_NONE);
	cr_assert_eq(t->conn.ooo->count, 1);
	cr_assert_eq(to_take(t, 1), 2999);
	to_free(t);
}

Test(tcp_ooo, the_last_quarter_of_the_pool_is_for_bytes_in_order)
{
	struct to *t = to_new(16);

	/* one element for the ranges, eleven buffers */
	cr_assert_eq(to_store(t, 100, 30000), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(to_drops(), 1);
	cr_assert_eq(t->tcp.rxbufs.used, 12);
	cr_assert_eq(to_store(t, 40000, 40001), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(to_take(t, 100), 11 * TCP_RXBUF_BYTES, "what found room was kept");
	to_free(t);
}

Test(tcp_ooo, without_a_buffer_no_empty_range_stays)
{
	struct to *t = to_new(16);
	void *held[12];

	for (int i = 0; i < 12; i++)
		held[i] = hf_pool_get(&t->tcp.rxbufs);
	cr_assert_eq(to_store(t, 100, 200), HF_DROP_TCP_OOO_FULL);
	cr_assert_null(t->conn.ooo);
	hf_pool_put(&t->tcp.rxbufs, held[11]);
	cr_assert_eq(to_store(t, 100, 200), HF_DROP_TCP_OOO_FULL, "room for the ranges only");
	cr_assert_null(t->conn.ooo);
	cr_assert_eq(t->tcp.rxbufs.used, 11);
	for (int i = 0; i < 11; i++)
		hf_pool_put(&t->tcp.rxbufs, held[i]);
	to_free(t);
}

Test(tcp_ooo, a_gap_of_which_only_a_part_found_room_stays_a_gap)
{
	struct to *t = to_new(16);

	to_store(t, 20000, 20010);
	t->tcp.ooo_max = 3;
	cr_assert_eq(to_store(t, 100, 21000), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(t->conn.ooo->count, 2);
	cr_assert_eq(to_take(t, 100), 2 * TCP_RXBUF_BYTES);
	t->tcp.ooo_max = 1;
	cr_assert_eq(to_store(t, 19000, 20000), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(to_store(t, 20010, 20100), HF_DROP_NONE, "the buffer has room");
	to_free(t);
}

Test(tcp_ooo, at_the_limits_of_ranges_and_buffers_at_once_nothing_is_lost)
{
	struct to *t = to_new(256);
	uint32_t used;

	for (uint32_t i = 0; i < TCP_RANGES_MAX; i++)
		to_store(t, 6000 + 20 * i, 6010 + 20 * i);
	t->tcp.ooo_max = TCP_RANGES_MAX + 1;
	used = t->tcp.rxbufs.used;
	/* it would touch the first, had it a second buffer; on its own it has no range */
	cr_assert_eq(to_store(t, 3000, 6000), HF_DROP_TCP_OOO_FULL);
	cr_assert_eq(t->tcp.rxbufs.used, used);
	cr_assert_eq(t->conn.ooo->bufs, TCP_RANGES_MAX);
	to_free(t);
}

Test(tcp_ooo, rfc2018_s8_what_is_evicted_is_of_the_last_range)
{
	struct to *t = to_new(16);

	to_store(t, 100, 200);
	to_store(t, 1000, 1000 + TCP_RXBUF_BYTES + 10);
	cr_assert(tcp_ooo_evict(&t->tcp, &t->conn));
	cr_assert_str_eq(to_ack(t, 4), "0, 3032-3042, 100-200");
	tcp_ooo_check(&t->tcp, &t->conn);
	cr_assert(tcp_ooo_evict(&t->tcp, &t->conn));
	cr_assert_str_eq(to_ack(t, 4), "0, 100-200");
	tcp_ooo_check(&t->tcp, &t->conn);
	cr_assert(tcp_ooo_evict(&t->tcp, &t->conn));
	cr_assert_null(t->conn.ooo);
	cr_assert_not(tcp_ooo_evict(&t->tcp, &t->conn));
	cr_assert_eq(t->tcp.rxbufs.used, 0);
	to_free(t);
}

Test(tcp_ooo, eviction_forgets_a_duplicate_that_may_be_gone)
{
	struct to *t = to_new(16);

	to_store(t, 100, 200);
	to_store(t, 120, 130);
	cr_assert(t->conn.flags & TCP_F_DSACK);
	tcp_ooo_evict(&t->tcp, &t->conn);
	cr_assert_str_eq(to_ack(t, 4), "0");
	to_free(t);
}

/* Takes the first range and puts it back. */
static void to_put_back(struct to *t, uint32_t at)
{
	struct tcp_rxbuf *head, *tail;
	uint32_t len;

	head = tcp_ooo_take(&t->tcp, &t->conn, TO_SEQ + at, &tail, &len);
	cr_assert_not_null(head);
	tcp_ooo_put_back(&t->tcp, &t->conn, TO_SEQ + at, head, tail, len);
	tcp_ooo_check(&t->tcp, &t->conn);
}

Test(tcp_ooo, what_was_taken_can_be_put_back)
{
	struct to *t = to_new(256);

	to_fill_ranges(t);
	to_put_back(t, 15);
	cr_assert_eq(t->conn.ooo->count, TCP_RANGES_MAX);
	cr_assert_eq(to_take(t, 15), 5);
	to_store(t, 1300, 9000);
	cr_assert_eq(to_take(t, 1260), 0);
	to_put_back(t, 5500); /* without what lay before it */
	cr_assert_eq(to_take(t, 5500), 3500);
	to_free(t);
}

Test(tcp_ooo, what_is_put_back_lends_a_buffer_for_its_own_range)
{
	struct to *t = to_new(4);
	struct tcp_rxbuf *head, *tail;
	void *held[3];
	uint32_t len;

	cr_assert_eq(to_store(t, 10, 20 + TCP_RXBUF_BYTES), HF_DROP_NONE);
	head = tcp_ooo_take(&t->tcp, &t->conn, TO_SEQ + 10, &tail, &len);
	for (int i = 0; i < 2; i++)
		held[i] = hf_pool_get(&t->tcp.rxbufs);
	tcp_ooo_put_back(&t->tcp, &t->conn, TO_SEQ + 10, head, tail, len);
	cr_assert_str_eq(to_ack(t, 4), "0, 2042-2052");
	/* and nothing is left of a list of one */
	head = tcp_ooo_take(&t->tcp, &t->conn, TO_SEQ + 2042, &tail, &len);
	held[2] = hf_pool_get(&t->tcp.rxbufs);
	tcp_ooo_put_back(&t->tcp, &t->conn, TO_SEQ + 2042, head, tail, len);
	cr_assert_null(t->conn.ooo);
	for (int i = 0; i < 3; i++)
		hf_pool_put(&t->tcp.rxbufs, held[i]);
	to_free(t);
}

Test(tcp_ooo, rfc2018_s4_the_latest_range_is_told_first_then_those_before_it)
{
	struct to *t = to_new(64);

	to_store(t, 100, 200);
	to_store(t, 300, 400);
	to_store(t, 500, 600);
	to_store(t, 700, 800);
	to_store(t, 900, 1000);
	cr_assert_str_eq(to_ack(t, 4), "0, 900-1000, 700-800, 500-600, 300-400");
	cr_assert_str_eq(to_ack(t, 3), "0, 900-1000, 700-800, 500-600");
	to_store(t, 200, 250);
	cr_assert_str_eq(to_ack(t, 3), "0, 100-250, 900-1000, 700-800");
	to_store(t, 400, 500); /* two become one */
	cr_assert_str_eq(to_ack(t, 4), "0, 300-600, 100-250, 900-1000, 700-800");
	cr_assert_str_eq(to_ack(t, 1), "0, 300-600");
	cr_assert_str_eq(to_ack(t, 0), "0");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_1_1_a_duplicate_segment)
{
	struct to *t = to_new(64);

	to_in(t, 0, 3500);
	to_in(t, 3500, 4000);
	to_in(t, 3000, 3500);
	cr_assert_str_eq(to_ack(t, 3), "4000, 3000-3500");
	cr_assert_str_eq(to_ack(t, 3), "4000", "told once: RFC 2883 §4 (2)");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_1_2_a_duplicate_and_an_out_of_order_segment)
{
	struct to *t = to_new(64);

	to_in(t, 0, 4000);
	to_in(t, 4500, 5000);
	cr_assert_str_eq(to_ack(t, 3), "4000, 4500-5000");
	to_in(t, 3000, 3500);
	cr_assert_str_eq(to_ack(t, 3), "4000, 3000-3500, 4500-5000");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_1_3_a_duplicate_of_an_out_of_order_segment)
{
	struct to *t = to_new(64);

	to_in(t, 0, 4000);
	to_in(t, 4500, 5000);
	to_in(t, 5000, 5500);
	cr_assert_str_eq(to_ack(t, 3), "4000, 4500-5500");
	to_in(t, 5000, 5500);
	cr_assert_str_eq(to_ack(t, 3), "4000, 5000-5500, 4500-5500");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_the_enclosing_range_comes_second_even_if_others_are_later)
{
	struct to *t = to_new(64);

	to_in(t, 1000, 2000);
	to_in(t, 3000, 3100);
	to_in(t, 4000, 4100);
	t->conn.ooo->range[0].stamp = 0; /* as if the duplicate came long ago */
	tcp_rx_duplicate(&t->conn, TO_SEQ + 1200, 300);
	cr_assert_str_eq(to_ack(t, 3), "0, 1200-1500, 1000-2000, 4000-4100");
	tcp_rx_duplicate(&t->conn, TO_SEQ + 1200, 300);
	cr_assert_str_eq(to_ack(t, 1), "0, 1200-1500");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_2_1_a_duplicate_part)
{
	struct to *t = to_new(64);

	to_in(t, 0, 1000);
	to_in(t, 2000, 2500);
	cr_assert_str_eq(to_ack(t, 3), "1000, 2000-2500");
	to_in(t, 1000, 1500);
	cr_assert_str_eq(to_ack(t, 3), "1500, 2000-2500");
	to_in(t, 1000, 2000);
	cr_assert_str_eq(to_ack(t, 3), "2500, 1000-1500");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_2_2_of_two_duplicate_parts_that_are_acknowledged_the_first)
{
	struct to *t = to_new(64);

	to_in(t, 0, 1000);
	to_in(t, 3000, 3500);
	to_in(t, 1000, 1500);
	to_in(t, 2000, 2500);
	cr_assert_str_eq(to_ack(t, 3), "1500, 2000-2500, 3000-3500");
	to_in(t, 1000, 2500);
	cr_assert_str_eq(to_ack(t, 3), "2500, 1000-1500, 3000-3500");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_2_3_of_two_duplicate_parts_behind_a_hole_the_first)
{
	struct to *t = to_new(64);

	to_in(t, 0, 1000);
	to_in(t, 3500, 4000);
	to_in(t, 2500, 3000);
	to_in(t, 1500, 2000);
	cr_assert_str_eq(to_ack(t, 3), "1000, 1500-2000, 2500-3000, 3500-4000");
	to_in(t, 1500, 3000);
	cr_assert_str_eq(to_ack(t, 3), "1000, 1500-2000, 1500-3000, 3500-4000");
	to_free(t);
}

Test(tcp_ooo, rfc2883_s4_a_segment_that_fills_a_hole_and_repeats_what_is_behind_it)
{
	struct to *t = to_new(64);

	to_in(t, 1000, 3000);
	to_in(t, 7000, 8000);
	to_in(t, 0, 6000);
	cr_assert_str_eq(to_ack(t, 3), "6000, 1000-3000, 7000-8000");
	to_in(t, 6000, 8000);
	cr_assert_str_eq(to_ack(t, 3), "8000, 7000-8000");
	to_free(t);
}

Test(tcp_ooo, without_sack_no_duplicate_is_noted)
{
	struct to *t = to_new(64);

	t->conn.flags = 0;
	to_in(t, 0, 1000);
	to_in(t, 0, 1000);
	to_in(t, 2000, 3000);
	to_in(t, 2000, 3000);
	cr_assert_eq(t->conn.flags & TCP_F_DSACK, 0);
	to_free(t);
}

Test(tcp_ooo, the_trace_says_when_a_hole_opens_and_how_large_it_is)
{
	struct hf_tcp_trace trace[HF_TCP_TRACE_MAX];
	struct to *t = to_new(64);

	to_in(t, 1000, 1500);
	to_in(t, 2000, 2500);
	cr_assert_eq(tcp_trace_copy(&t->conn, trace), 1);
	cr_assert_eq(trace[0].kind, HF_TCP_TRACE_HOLE);
	cr_assert_eq(trace[0].arg, 1000);
	to_in(t, 0, 2500);
	to_in(t, 2600, 2700);
	cr_assert_eq(tcp_trace_copy(&t->conn, trace), 2);
	cr_assert_eq(trace[1].arg, 100);
	to_free(t);
}

/* The next one got from the pool is the last one put. */
Test(ooo, nothing_is_left_of_the_bytes_in_a_buffer_that_was_freed)
{
	struct to *t = to_new(2);
	struct tcp_rxbuf *buf = tcp_rxbuf_new(&t->tcp);

	cr_assert_eq(tcp_rxbuf_fill(buf, (const uint8_t *)"Cookie: SECRET", 14), 14);
	tcp_rxbuf_free_list(&t->tcp, buf);
	cr_assert_eq(tcp_rxbuf_new(&t->tcp), buf);
	for (uint32_t i = 0; i < 14; i++)
		cr_expect_eq(buf->data[i], 0);
	tcp_rxbuf_free(&t->tcp, buf);
	to_free(t);
}
