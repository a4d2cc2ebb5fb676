/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_stat.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <pthread.h>
#include <string.h>

static bool name_is_plain(const char *name)
{
	for (const char *at = name; *at; at++) {
		if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '_')
			return false;
	}
	return islower((unsigned char)name[0]);
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(text + len - n, end, n) == 0;
}

/* Prometheus' conventions: "_total" says counter, the unit stands in the name and is a base unit. */
static void expect_conventions(const struct hf_stat_info *info)
{
	size_t len = strlen(info->name);
	bool total = ends_with(info->name, len, "_total");

	cr_expect(name_is_plain(info->name), "%s", info->name);
	cr_expect_eq(total, info->kind == HF_STAT_COUNTER, "%s", info->name);
	cr_expect_gt(strlen(info->help), 5, "%s", info->name);
	len -= total ? strlen("_total") : 0;
	cr_expect_eq(ends_with(info->name, len, "_bytes"), strcmp(info->unit, "bytes") == 0, "%s",
		info->name);
	cr_expect(strcmp(info->unit, "") == 0 || strcmp(info->unit, "bytes") == 0 ||
			  strcmp(info->unit, "ratio") == 0,
		"%s", info->name);
}

/* Of `cache="a",result="b"` the names, each with a "="; "": it is not of this form. */
static const char *label_names(const char *labels)
{
	static char names[2][64];
	static unsigned turn;
	char *out = names[turn++ % 2];
	size_t len = 0;

	for (const char *at = labels; *at; at += *at == ',') {
		size_t name = strcspn(at, "=") + 1, value = strcspn(at + name + 1, "\"");

		if (at[name - 1] != '=' || at[name] != '"' || at[name + value + 1] != '"')
			return "";
		memcpy(out + len, at, name);
		len += name;
		at += name + value + 2;
		if (*at && (*at != ',' || !at[1]))
			return "";
	}
	out[len] = '\0';
	return out;
}

Test(stat, every_statistic_has_a_title_of_its_own_and_follows_the_conventions)
{
	for (int i = 0; i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i];
		const char *help = hf_stat_family_help(info->name, NULL);

		expect_conventions(info);
		cr_expect_eq(help != NULL, info->labels[0] != '\0', "%s", info->name);
		cr_expect(!info->labels[0] || *label_names(info->labels), "%s", info->labels);
		for (int j = 0; j < i; j++)
			cr_expect(strcmp(info->name, hf_stat_infos[j].name) != 0 ||
					  strcmp(info->labels, hf_stat_infos[j].labels) != 0,
				"%s{%s}", info->name, info->labels);
	}
}

Test(stat, a_family_stands_together_and_differs_in_the_values_of_its_labels)
{
	for (int i = 0; i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i], *before = info - 1;

		for (int j = 0; j < i; j++) {
			if (strcmp(info->name, hf_stat_infos[j].name) != 0)
				continue;
			cr_expect_str_eq(before->name, info->name, "%s is in pieces", info->name);
			cr_expect_eq(before->kind, info->kind);
			cr_expect_str_eq(before->unit, info->unit);
			cr_expect_str_eq(label_names(before->labels), label_names(info->labels),
				"%s", info->name);
		}
	}
}

Test(stat, two_names_stand_alone)
{
	int bare = 0;

	for (int i = 0; i < HF_STAT_COUNT; i++)
		bare += hf_stat_infos[i].bare;
	cr_expect_eq(bare, 2);
	cr_expect(hf_stat_infos[HF_STAT_FALLBACK_TRIGGERED].bare);
	cr_expect_str_eq(hf_stat_infos[HF_STAT_FALLBACK_TRIGGERED].name, "edge_fallback_triggered");
	cr_expect(hf_stat_infos[HF_STAT_CACHE_MISS_RATE].bare);
	cr_expect_str_eq(hf_stat_infos[HF_STAT_CACHE_MISS_RATE].name, "cache_miss_rate");
}

Test(stat, titles_units_and_layers)
{
	char text[16];

	hf_stat_title("a_total", "", text, sizeof(text));
	cr_expect_str_eq(text, "a_total");
	hf_stat_title("a_total", "b=\"c\"", text, sizeof(text));
	cr_expect_str_eq(text, "a_total{b=\"c\"}");
	hf_stat_title("a_total", "b=\"cccccccc\"", text, sizeof(text));
	cr_expect_eq(strlen(text), sizeof(text) - 1);
	cr_expect_eq(hf_stat_divisor("seconds"), 1000000000);
	cr_expect_eq(hf_stat_divisor("ratio"), 1000000);
	cr_expect_eq(hf_stat_divisor("bytes"), 1);
	cr_expect_eq(hf_stat_divisor(""), 1);
	cr_expect_str_eq(hf_drop_layer_name(HF_DROP_LAYER_FRAME), "frame");
	cr_expect_str_eq(hf_drop_layer_name(HF_DROP_LAYER_REQUEST), "request");
	cr_expect_str_eq(hf_stat_family_help("rx_bytes_total", "own"), "own");
}

Test(stat, every_drop_reason_has_a_name_of_its_own_and_help)
{
	for (int i = 0; i < HF_DROP_COUNT; i++) {
		cr_expect(name_is_plain(hf_drop_infos[i].name), "%s", hf_drop_infos[i].name);
		cr_expect_gt(strlen(hf_drop_infos[i].help), 5);
		for (int j = 0; j < i; j++)
			cr_expect_str_neq(hf_drop_infos[i].name, hf_drop_infos[j].name);
	}
}

Test(stat, an_unregistered_thread_counts_where_nobody_reads)
{
	hf_stat_add(HF_STAT_RX_PACKETS, 5);
	(void)hf_drop(HF_DROP_ETH_SHORT);
	cr_expect_eq(hf_stat_sum(HF_STAT_RX_PACKETS), 0);
	cr_expect_eq(hf_drop_sum(HF_DROP_ETH_SHORT), 0);
	cr_expect_null(hf_stat_block_at(0));
}

static void *count_up(void *arg)
{
	cr_assert_not_null(hf_stat_register(arg));
	for (int i = 0; i < 1000; i++)
		hf_stat_inc(HF_STAT_RX_PACKETS);
	hf_stat_add(HF_STAT_TCP_CONNS, 10);
	return NULL;
}

static void *count_down(void *arg)
{
	cr_assert_not_null(hf_stat_register(arg));
	hf_stat_sub(HF_STAT_TCP_CONNS, 4);
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, 9);
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, 7);
	cr_assert_eq(hf_drop(HF_DROP_ETH_VLAN), HF_DROP_ETH_VLAN);
	return NULL;
}

Test(stat, the_sum_is_over_all_threads_and_outlives_them)
{
	static char short_name[] = "a", long_name[] = "a name that is too long";
	pthread_t threads[3];

	cr_assert_eq(pthread_create(&threads[0], NULL, count_up, short_name), 0);
	cr_assert_eq(pthread_create(&threads[1], NULL, count_up, long_name), 0);
	cr_assert_eq(pthread_create(&threads[2], NULL, count_down, short_name), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(hf_stat_sum(HF_STAT_RX_PACKETS), 2000);
	cr_expect_eq(hf_stat_sum(HF_STAT_TCP_CONNS), 16, "one thread's share wrapped below 0");
	cr_expect_eq(hf_stat_sum(HF_STAT_CACHE_MISS_RATE), 7);
	cr_expect_eq(hf_drop_sum(HF_DROP_ETH_VLAN), 1);
	cr_expect_not_null(hf_stat_block_at(2));
	cr_expect_null(hf_stat_block_at(3));
}

static uint64_t miss_rate_at(uint64_t s)
{
	hf_stat_miss_rate_tick(s * 1000000 + 1);
	return hf_stat_sum(HF_STAT_CACHE_MISS_RATE);
}

Test(stat, the_miss_rate_is_that_of_the_last_60_seconds)
{
	cr_assert_not_null(hf_stat_register("control"));
	cr_expect_eq(miss_rate_at(1000), 0, "without requests");
	hf_stat_add(HF_STAT_CACHE_HITS, 1);
	hf_stat_add(HF_STAT_CACHE_MISS_ABSENT, 1);
	hf_stat_add(HF_STAT_CACHE_MISS_BYPASS, 1);
	hf_stat_add(HF_STAT_CACHE_MISS_VARY, 1);
	cr_expect_eq(miss_rate_at(1000), 750000, "the running second counts");
	cr_expect_eq(miss_rate_at(1001), 750000);
	hf_stat_add(HF_STAT_CACHE_HITS, 4);
	cr_expect_eq(miss_rate_at(1030), 375000);
	cr_expect_eq(miss_rate_at(1060), 375000);
	cr_expect_eq(miss_rate_at(1061), 0, "the misses are older, the hits are not");
	hf_stat_add(HF_STAT_CACHE_MISS_EXPIRED, 4);
	cr_expect_eq(miss_rate_at(1061), 500000);
	cr_expect_eq(miss_rate_at(1500), 0, "all are older");
	hf_stat_add(HF_STAT_CACHE_MISS_UNCACHEABLE, 1);
	cr_expect_eq(miss_rate_at(1500), 1000000);
}

static void *register_only(void *arg)
{
	*(bool *)arg = hf_stat_register("x") != NULL;
	hf_stat_inc(HF_STAT_LOOPS);
	return NULL;
}

Test(stat, too_many_threads_share_the_unread_block)
{
	for (int i = 0; i < HF_STAT_BLOCKS_MAX + 2; i++) {
		pthread_t thread;
		bool got = false;

		cr_assert_eq(pthread_create(&thread, NULL, register_only, &got), 0);
		pthread_join(thread, NULL);
		cr_expect_eq(got, i < HF_STAT_BLOCKS_MAX, "%d", i);
	}
	cr_expect_eq(hf_stat_sum(HF_STAT_LOOPS), HF_STAT_BLOCKS_MAX);
}
