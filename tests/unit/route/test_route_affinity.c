/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "route_priv.h"

#define S 1000000ULL

static struct hf_route_table *table_new(uint32_t cap, uint64_t ttl_us, double alpha)
{
	struct hf_route_cfg cfg = {
		.cap = cap, .slots_max = 16, .ttl_us = ttl_us, .alpha = alpha, .key = { 1, 2 }
	};

	return hf_route_table_new(&cfg);
}

static struct hf_route_blocks path_of(const struct hf_route_table *table, const char *path)
{
	struct hf_route_blocks blocks;

	hf_route_blocks_path(
		table, HF_SPAN("a.test"), (struct hf_span){ path, strlen(path) }, &blocks);
	return blocks;
}

static void join(struct hf_route_table *table, struct hf_route_origin *origin, uint32_t count)
{
	memset(origin, 0, count * sizeof(*origin));
	for (uint32_t i = 0; i < count; i++) {
		origin[i].weight = 1;
		origin[i].slot = hf_route_join(table);
	}
}

static void learn(struct hf_route_table *table, const char *path,
	const struct hf_route_origin *origin, uint64_t now_us)
{
	struct hf_route_blocks blocks = path_of(table, path);

	hf_route_learn(table, &blocks, origin->slot, now_us);
}

struct asked {
	uint32_t chosen;
	struct hf_route_why why;
	struct hf_route_score score[16];
};

static struct asked ask(struct hf_route_table *table, const char *path,
	const struct hf_route_origin *origin, uint32_t count, uint64_t now_us)
{
	struct hf_route_blocks blocks = path_of(table, path);
	struct asked asked;

	asked.chosen =
		hf_route_affinity(table, &blocks, now_us, origin, count, asked.score, &asked.why);
	return asked;
}

/* ---- blocks ---- */

Test(route_blocks, a_path_s_segments_are_its_blocks_and_each_digest_stands_for_the_prefix)
{
	struct hf_route_table *table = table_new(8, 0, 1);
	struct hf_route_blocks abc = path_of(table, "/a/b/c"), abd = path_of(table, "/a/b/d");
	struct hf_route_blocks xbc = path_of(table, "/x/b/c");

	cr_expect_eq(abc.count, 3);
	cr_expect_eq(abc.digest[0], abd.digest[0]);
	cr_expect_eq(abc.digest[1], abd.digest[1]);
	cr_expect_neq(abc.digest[2], abd.digest[2]);
	for (int i = 0; i < 3; i++)
		cr_expect_neq(abc.digest[i], xbc.digest[i], "chained");
	cr_expect_eq(path_of(table, "/").count, 0);
	cr_expect_eq(path_of(table, "").count, 0);
	cr_expect_eq(path_of(table, "/a/b/").digest[1], abc.digest[1]);
	cr_expect_eq(path_of(table, "/a/b/").count, 2);
	cr_expect_eq(path_of(table, "/a//b?c/d").count, 2);
	cr_expect_eq(path_of(table, "/a//b?c/d").digest[1], abc.digest[1]);
	cr_expect_neq(path_of(table, "/ab").digest[0], path_of(table, "/a/b").digest[1]);
	hf_route_table_free(table);
}

Test(route_blocks, hosts_and_keys_tell_digests_apart)
{
	struct hf_route_cfg cfg = { .cap = 1, .slots_max = 1, .key = { 1, 3 } };
	struct hf_route_table *table = table_new(8, 0, 1), *other = hf_route_table_new(&cfg);
	struct hf_route_blocks blocks;

	hf_route_blocks_path(table, HF_SPAN("b.test"), HF_SPAN("/a"), &blocks);
	cr_expect_neq(blocks.digest[0], path_of(table, "/a").digest[0]);
	cr_expect_neq(path_of(other, "/a").digest[0], path_of(table, "/a").digest[0]);
	hf_route_table_free(table);
	hf_route_table_free(other);
}

Test(route_blocks, of_a_path_with_more_segments_the_first_count)
{
	struct hf_route_table *table = table_new(8, 0, 1);
	char path[2 * 100 + 1] = "";

	for (int i = 0; i < 100; i++)
		memcpy(path + 2 * i, "/x", 3);
	cr_expect_eq(path_of(table, path).count, HF_ROUTE_BLOCKS_MAX);
	hf_route_table_free(table);
}

Test(route_blocks, a_body_s_complete_256_bytes_are_its_blocks)
{
	struct hf_route_table *table = table_new(8, 0, 1);
	static char body[70 * 256];
	struct hf_route_blocks one, other;

	for (uint32_t len = 0; len < 3 * 256; len++) {
		hf_route_blocks_body(table, HF_SPAN("h"), (struct hf_span){ body, len }, &one);
		cr_assert_eq(one.count, len / 256);
	}
	hf_route_blocks_body(table, HF_SPAN("h"), (struct hf_span){ body, sizeof(body) }, &one);
	cr_expect_eq(one.count, HF_ROUTE_BLOCKS_MAX);
	cr_expect_neq(one.digest[0], one.digest[1], "the same bytes, another prefix");
	body[256 + 255] = 1;
	hf_route_blocks_body(table, HF_SPAN("h"), (struct hf_span){ body, 4 * 256 }, &other);
	cr_expect_eq(one.digest[0], other.digest[0]);
	cr_expect_neq(one.digest[1], other.digest[1]);
	cr_expect_neq(one.digest[2], other.digest[2]);
	hf_route_table_free(table);
}

/* ---- the formula ---- */

Test(route_affinity, the_score_is_depth_by_blocks_less_what_is_pending_beyond_the_mean)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[4];
	struct asked asked;

	join(table, origin, 4);
	learn(table, "/a/b/x", &origin[0], 0);
	learn(table, "/a/b/c/y", &origin[1], 0);
	for (uint32_t i = 0; i < 4; i++)
		origin[i].pending = i; /* mean 1.5 */
	asked = ask(table, "/a/b/c/d", origin, 4, 0);
	cr_expect_eq(asked.why.mean, 1.5);
	cr_expect_float_eq(asked.score[0].score, 2 / 4.0 + 1.0, 1e-12);
	cr_expect_float_eq(asked.score[1].score, 3 / 4.0 + 1 / 3.0, 1e-12);
	cr_expect_float_eq(asked.score[2].score, 0 - 1 / 3.0, 1e-12);
	cr_expect_float_eq(asked.score[3].score, 0 - 1.0, 1e-12);
	cr_expect_eq(asked.score[0].depth, 2);
	cr_expect_eq(asked.score[1].depth, 3);
	cr_expect_eq(asked.chosen, 0);
	cr_expect_eq(asked.why.depth, 2);
	hf_route_table_free(table);
}

Test(route_affinity, a_mean_below_one_counts_as_one)
{
	struct hf_route_table *table = table_new(64, 0, 2.0);
	struct hf_route_origin origin[4];
	struct asked asked;

	join(table, origin, 4);
	learn(table, "/a", &origin[3], 0);
	origin[3].pending = 1; /* mean 0.25 */
	asked = ask(table, "/a", origin, 4, 0);
	cr_expect_float_eq(asked.score[3].score, 1 - 2 * 0.75, 1e-12);
	cr_expect_float_eq(asked.score[0].score, 2 * 0.25, 1e-12);
	cr_expect_eq(asked.chosen, 0, "busy: the first idle one");
	cr_expect_eq(asked.why.depth, 0);
	hf_route_table_free(table);
}

Test(route_affinity, the_longer_contiguous_prefix_wins)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[3];

	join(table, origin, 3);
	learn(table, "/a/b", &origin[1], 0);
	learn(table, "/a/b/c", &origin[2], 0);
	cr_expect_eq(ask(table, "/a/b/c/d", origin, 3, 0).chosen, 2);
	cr_expect_eq(ask(table, "/a/b/c/d", origin, 3, 0).score[1].depth, 2);
	cr_expect_eq(ask(table, "/a/x", origin, 3, 0).chosen, 1, "equal: the first");
	hf_route_table_free(table);
}

Test(route_affinity, equal_scores_go_to_the_least_loaded_then_to_the_first)
{
	struct hf_route_table *table = table_new(64, 0, /* alpha= */ 0);
	struct hf_route_origin origin[4];

	join(table, origin, 4);
	for (uint32_t i = 1; i < 4; i++)
		learn(table, "/a", &origin[i], 0);
	cr_expect_eq(ask(table, "/a", origin, 4, 0).chosen, 1);
	origin[1].pending = origin[2].pending = 3;
	origin[3].pending = 2;
	cr_expect_eq(ask(table, "/a", origin, 4, 0).chosen, 3);
	hf_route_table_free(table);
}

Test(route_affinity, where_nobody_holds_anything_it_is_the_least_loaded)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[3];

	join(table, origin, 3);
	learn(table, "/a", &origin[2], 0);
	origin[0].pending = 2;
	origin[1].pending = 1;
	origin[2].pending = 1;
	cr_expect_eq(ask(table, "/b", origin, 3, 0).chosen, 1);
	cr_expect_eq(ask(table, "/", origin, 3, 0).chosen, 1, "no blocks");
	origin[0].weight = 3;
	cr_expect_eq(ask(table, "/b", origin, 3, 0).chosen, 0, "for its weight");
	for (uint32_t i = 0; i < 3; i++)
		origin[i].excluded = true;
	cr_expect_eq(ask(table, "/a", origin, 3, 0).chosen, HF_ROUTE_NONE);
	hf_route_table_free(table);
}

Test(route_affinity, who_is_excluded_counts_neither_in_the_mean_nor_as_a_match)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[3];
	struct asked asked;

	join(table, origin, 3);
	learn(table, "/a", &origin[0], 0);
	origin[0].excluded = true;
	origin[0].pending = 100;
	origin[1].pending = 4;
	origin[2].pending = 2;
	asked = ask(table, "/a", origin, 3, 0);
	cr_expect_eq(asked.why.mean, 3);
	cr_expect_eq(asked.chosen, 2);
	cr_expect(!asked.score[0].candidate);
	cr_expect_eq(asked.why.stale, 0);
	hf_route_table_free(table);
}

/* ---- who leaves ---- */

Test(route_affinity, U3_who_has_left_is_not_chosen_and_its_entries_are_stale)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[2];
	struct asked asked;

	join(table, origin, 2);
	learn(table, "/a/b", &origin[1], 0);
	hf_route_leave(table, origin[1].slot);
	hf_route_leave(table, origin[1].slot); /* nothing */
	origin[0].pending = 9;
	asked = ask(table, "/a/b", origin, 2, 0);
	cr_expect_eq(asked.chosen, 0);
	cr_expect_eq(asked.why.stale, 2);
	learn(table, "/a/c", &origin[1], 0); /* what it still answers */
	cr_expect_eq(hf_route_counts(table).nodes, 2);
	learn(table, "/a/b", &origin[0], 0);
	cr_expect_eq(ask(table, "/a/b", origin, 2, 0).why.stale, 0, "learning swept them out");
	hf_route_table_free(table);
}

Test(route_affinity, U3_who_gets_its_slot_holds_nothing_of_it)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[2];
	struct hf_route_slot before;

	join(table, origin, 2);
	learn(table, "/a", &origin[1], 0);
	for (int i = 0; i < 100; i++) {
		before = origin[1].slot;
		hf_route_leave(table, before);
		origin[1].slot = hf_route_join(table);
		cr_assert_eq(origin[1].slot.index, before.index);
		cr_assert_neq(origin[1].slot.generation, before.generation);
		hf_route_leave(table, before); /* not the newcomer */
		cr_assert_eq(ask(table, "/a", origin, 2, 0).chosen, 0);
		cr_assert_eq(ask(table, "/a", origin, 2, 0).score[1].depth, 0);
	}
	learn(table, "/a", &origin[1], 0);
	cr_expect_eq(ask(table, "/a", origin, 2, 0).chosen, 1);
	hf_route_table_free(table);
}

Test(route_affinity, U3_slots_are_bounded_and_come_back)
{
	struct hf_route_table *table = table_new(4, 0, 1.0);
	struct hf_route_origin origin[16];

	join(table, origin, 16);
	cr_expect_eq(hf_route_join(table).generation, 0);
	hf_route_leave(table, origin[7].slot);
	cr_expect_eq(hf_route_join(table).index, origin[7].slot.index);
	hf_route_leave(table, (struct hf_route_slot){ 0 });
	hf_route_table_free(table);
}

/* ---- time ---- */

Test(route_affinity, an_entry_is_good_for_its_ttl_and_a_longer_one_only_without)
{
	struct hf_route_table *table = table_new(64, 300 * S, 1.0), *ever = table_new(64, 0, 1.0);
	struct hf_route_origin origin[2], same[2];

	join(table, origin, 2);
	join(ever, same, 2);
	learn(table, "/a/b", &origin[1], 1000 * S);
	learn(ever, "/a/b", &same[1], 1000 * S);
	cr_expect_eq(ask(table, "/a/b", origin, 2, 1300 * S).chosen, 1);
	cr_expect_eq(ask(table, "/a/b", origin, 2, 1300 * S + 1).chosen, 0);
	cr_expect_eq(ask(table, "/a/b", origin, 2, 1300 * S + 1).why.stale, 0, "it is there");
	cr_expect_eq(ask(ever, "/a/b", same, 2, 1ULL << 60).chosen, 1);
	hf_route_table_free(table);
	hf_route_table_free(ever);
}

Test(route_affinity, what_others_take_does_not_renew_an_origin_s_entry)
{
	struct hf_route_table *table = table_new(64, 300 * S, 1.0);
	struct hf_route_origin origin[2];

	join(table, origin, 2);
	learn(table, "/a", &origin[0], 0);
	learn(table, "/a", &origin[1], 200 * S);
	cr_expect_eq(ask(table, "/a", origin, 2, 250 * S).chosen, 0);
	cr_expect_eq(ask(table, "/a", origin, 2, 400 * S).chosen, 1);
	learn(table, "/a", &origin[0], 450 * S);
	cr_expect_eq(ask(table, "/a", origin, 2, 500 * S).chosen, 0);
	cr_expect_eq(ask(table, "/a", origin, 2, 501 * S).chosen, 0);
	hf_route_table_free(table);
}

/* ---- the cap ---- */

static void learn_number(
	struct hf_route_table *table, uint32_t number, const struct hf_route_origin *origin)
{
	char path[16];

	(void)snprintf(path, sizeof(path), "/%u", number);
	learn(table, path, origin, 0);
}

Test(route_affinity, U1_fifty_inserts_at_a_cap_of_ten_make_forty_evictions)
{
	struct hf_route_table *table = table_new(10, 0, 1.0);
	struct hf_route_origin origin[2];

	join(table, origin, 2);
	for (uint32_t i = 0; i < 50; i++) {
		learn_number(table, i, &origin[1]);
		cr_assert_eq(hf_route_counts(table).nodes, i < 10 ? i + 1 : 10);
	}
	cr_expect_eq(hf_route_counts(table).evictions, 40);
	cr_expect_eq(hf_route_counts(table).truncations, 0);
	cr_expect_eq(ask(table, "/39", origin, 2, 0).chosen, 0, "gone");
	cr_expect_eq(ask(table, "/40", origin, 2, 0).chosen, 1);
	hf_route_table_free(table);
}

Test(route_affinity, U1_the_least_recently_learnt_goes_first_and_of_one_path_the_deepest)
{
	struct hf_route_table *table = table_new(4, 0, 1.0);
	struct hf_route_origin origin[2];

	join(table, origin, 2);
	learn(table, "/a/b/c", &origin[1], 0);
	learn(table, "/x", &origin[1], 0);
	learn(table, "/y", &origin[1], 0); /* takes /a/b/c */
	cr_expect_eq(ask(table, "/a/b/c", origin, 2, 0).why.depth, 2);
	(void)ask(table, "/a", origin, 2, 0); /* U4: no use */
	learn(table, "/z", &origin[1], 0);    /* takes /a/b */
	cr_expect_eq(ask(table, "/a/b/c", origin, 2, 0).why.depth, 1);
	learn(table, "/x", &origin[1], 0);
	learn(table, "/w", &origin[1], 0); /* takes /a */
	learn(table, "/v", &origin[1], 0); /* takes /y */
	cr_expect_eq(ask(table, "/a", origin, 2, 0).why.depth, 0);
	cr_expect_eq(ask(table, "/y", origin, 2, 0).why.depth, 0);
	cr_expect_eq(ask(table, "/x", origin, 2, 0).why.depth, 1);
	cr_expect_eq(hf_route_counts(table).evictions, 4);
	hf_route_table_free(table);
}

Test(route_affinity, U2_an_update_evicts_nothing_of_its_own)
{
	struct hf_route_table *table = table_new(5, 0, 1.0);
	struct hf_route_origin origin[2];

	join(table, origin, 2);
	learn(table, "/a/b", &origin[1], 0);
	learn(table, "/p/q/r", &origin[1], 0);
	learn(table, "/a/b/c/d/e", &origin[1], 0); /* what it begins with is the oldest */
	cr_expect_eq(hf_route_counts(table).evictions, 3);
	cr_expect_eq(ask(table, "/a/b/c/d/e", origin, 2, 0).why.depth, 5);
	hf_route_table_free(table);
}

Test(route_affinity, U2_of_a_batch_over_the_cap_the_first_blocks_are_learnt_and_it_is_counted)
{
	struct hf_route_table *table = table_new(3, 0, 1.0);
	struct hf_route_origin origin[2];

	join(table, origin, 2);
	learn(table, "/x", &origin[1], 0);
	learn(table, "/a/b/c/d/e", &origin[1], 0);
	cr_expect_eq(hf_route_counts(table).nodes, 3);
	cr_expect_eq(hf_route_counts(table).evictions, 1);
	cr_expect_eq(hf_route_counts(table).truncations, 1);
	cr_expect_eq(ask(table, "/a/b/c/d/e", origin, 2, 0).why.depth, 3);
	hf_route_table_free(table);
}

Test(route_affinity, U6_many_origins_below_one_segment_each_keep_their_own)
{
	struct hf_route_table *table = table_new(64, 0, 1.0);
	struct hf_route_origin origin[16];
	char path[16];

	join(table, origin, 16);
	for (uint32_t i = 0; i < 16; i++) {
		(void)snprintf(path, sizeof(path), "/img/%u/x", i);
		learn(table, path, &origin[i], 0);
	}
	for (uint32_t i = 0; i < 16; i++) {
		struct asked asked;

		(void)snprintf(path, sizeof(path), "/img/%u/y", i);
		asked = ask(table, path, origin, 16, 0);
		cr_expect_eq(asked.chosen, i);
		cr_expect_eq(asked.why.depth, 2);
	}
	cr_expect_eq(ask(table, "/img/z", origin, 16, 0).chosen, 10, "the latest six hold /img");
	hf_route_table_free(table);
}
