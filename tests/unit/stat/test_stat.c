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

Test(stat, every_statistic_has_a_name_of_its_own_and_help)
{
	for (int i = 0; i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i];
		size_t len = strlen(info->name);
		bool total = len > 6 && strcmp(info->name + len - 6, "_total") == 0;

		cr_expect(name_is_plain(info->name), "%s", info->name);
		cr_expect_eq(total, info->kind == HF_STAT_COUNTER, "%s", info->name);
		cr_expect_gt(strlen(info->help), 5, "%s", info->name);
		for (int j = 0; j < i; j++)
			cr_expect_str_neq(info->name, hf_stat_infos[j].name);
	}
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
	cr_expect_eq(hf_drop_sum(HF_DROP_ETH_VLAN), 1);
	cr_expect_not_null(hf_stat_block_at(2));
	cr_expect_null(hf_stat_block_at(3));
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
