/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What happened since the load began stands (S4), and nothing leaves for what is loaded (S5).
 */
#include "rig.h"

static struct rig one, two;

static void setup(void)
{
	rig_files_new();
	rig_open(&one, 8 * RIG_MIB, 1);
	rig_open(&two, 8 * RIG_MIB, 1);
}

static void teardown(void)
{
	rig_close(&one);
	rig_close(&two);
	rig_files_free();
}

TestSuite(snap_fill, .init = setup, .fini = teardown);

static void put_some(void)
{
	rig_put(&one, (struct rig_put){ .url = "http://a/img/1", .length = 9 });
	rig_put(&one, (struct rig_put){ .url = "http://a/img/2", .length = 9 });
	rig_put(&one, (struct rig_put){ .url = "http://b/img/3", .length = 9 });
	rig_put(&one,
		(struct rig_put){ .url = "http://b/4", .length = 9, .fields = "Cache-Tag: t\r\n" });
	rig_save(&one);
}

/* Which of the four came. */
static unsigned came(void)
{
	static const char *const urls[] = { "http://a/img/1", "http://a/img/2", "http://b/img/3",
		"http://b/4" };
	unsigned digits = 0;

	cr_expect_eq(rig_load(&two), 0);
	for (size_t i = 0; i < HF_ARRAY_LEN(urls); i++)
		digits = 10 * digits + (rig_find(&two, urls[i]) != NULL);
	return digits;
}

static void forget(enum hf_purge kind, const char *text)
{
	const struct hf_purge_walk walk = { .kind = kind, .text = { text, strlen(text) } };

	hf_snap_forget_many(two.fill[0], &walk);
}

Test(snap_fill, all_come)
{
	put_some();
	cr_expect_eq(came(), 1111);
}

Test(snap_fill, a_purged_key_does_not)
{
	put_some();
	hf_snap_forget_key(two.fill[0], rig_key(&two, "http://a/img/2").hash);
	cr_expect_eq(came(), 1011);
}

Test(snap_fill, nor_do_those_of_a_purged_prefix)
{
	put_some();
	forget(HF_PURGE_PREFIX, "http://a/");
	cr_expect_eq(came(), 11);
}

Test(snap_fill, nor_of_a_path_and_a_tag)
{
	put_some();
	forget(HF_PURGE_PATH, "/img/");
	forget(HF_PURGE_TAG, "t");
	cr_expect_eq(came(), 0);
}

Test(snap_fill, nor_does_any_after_a_purge_of_all)
{
	put_some();
	forget(HF_PURGE_ALL, "");
	cr_expect_eq(came(), 0);
}

Test(snap_fill, nor_when_there_were_more_purges_than_can_be_remembered)
{
	put_some();
	for (int i = 0; i < HF_SNAP_FORGOTTEN_MAX; i++)
		forget(HF_PURGE_TAG, "other");
	rig_save(&one);
	cr_expect_eq(came(), 1111);
	rig_save(&one);
	rig_close(&two);
	rig_open(&two, 8 * RIG_MIB, 1);
	for (int i = 0; i <= HF_SNAP_FORGOTTEN_MAX; i++)
		forget(HF_PURGE_TAG, "other");
	cr_expect_eq(came(), 0);
}

/* The frames one by one, with a purge before the last one. */
Test(snap_fill, a_purge_between_two_portions_of_a_body_counts)
{
	struct hf_snap_time now = { RIG_WALL, RIG_CLOCK };
	struct hf_snap_reader *reader = NULL;
	struct hf_snap_run run = { .object_max = UINT64_MAX };
	struct hf_snap_frame frame;

	rig_put(&one, (struct rig_put){ .url = "http://a/x", .length = HF_SNAP_BODY_MAX + 1 });
	rig_save(&one);
	cr_assert_eq(hf_snap_open(rig_file, now, NULL, &reader), 0);
	run.saved_clock_us = hf_snap_saved_clock_us(reader);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			hf_snap_forget_key(two.fill[0], rig_key(&two, "http://a/x").hash);
		cr_assert_eq(hf_snap_next(reader, &frame, NULL), 0);
		cr_assert_eq(frame.kind, i == 0 ? HF_SNAP_OBJECT : HF_SNAP_BODY);
		run.frames = frame.raw;
		hf_snap_fill_take(two.fill[0], &run, RIG_CLOCK);
	}
	cr_expect_null(rig_find(&two, "http://a/x"));
	hf_snap_close(reader);
}

Test(snap_fill, what_was_fetched_meanwhile_stays)
{
	const struct hf_obj *obj;

	put_some();
	obj = rig_put(&two, (struct rig_put){ .url = "http://a/img/1", .length = 1 });
	rig_put(&two,
		(struct rig_put){
			.url = "http://a/img/2", .vary = HF_SPAN("accept\0-\0"), .length = 1 });
	cr_expect_eq(came(), 1111);
	cr_expect_eq(rig_find(&two, "http://a/img/1"), obj);
	cr_expect_eq(rig_count(&two), 5, "another variant is another response");
}

Test(snap_fill, a_larger_one_than_is_stored_here_is_left_out)
{
	put_some();
	two.object_max = 8;
	cr_expect_eq(came(), 0);
}

Test(snap_fill, without_room_nothing_leaves)
{
	uint64_t evictions = hf_stat_own->stat[HF_STAT_CACHE_EVICTIONS], loaded;
	char url[64];

	for (int i = 0; i < 200; i++) {
		(void)snprintf(url, sizeof(url), "http://h/%d", i);
		rig_put(&one, (struct rig_put){ .url = url, .length = 20000 });
	}
	rig_put(&one, (struct rig_put){ .url = "http://h/big", .length = 2 * RIG_MIB });
	rig_save(&one);
	rig_close(&two);
	rig_open(&two, 2 * RIG_MIB, 1);
	cr_expect_eq(rig_load(&two), 0);
	loaded = rig_count(&two);
	cr_expect_gt(loaded, 30);
	cr_expect_lt(loaded, 100);
	cr_expect_not_null(rig_find(&two, "http://h/199"), "the best comes first");
	cr_expect_null(rig_find(&two, "http://h/big"));
	hf_shard_work(hf_cache_shard(two.cache, 0), RIG_CLOCK);
	cr_expect_eq(rig_count(&two), loaded);
	cr_expect_eq(hf_stat_own->stat[HF_STAT_CACHE_EVICTIONS], evictions);
}

Test(snap_fill, ended_within_a_body_it_leaves_nothing)
{
	struct hf_snap_time now = { RIG_WALL, RIG_CLOCK };
	struct hf_snap_reader *reader = NULL;
	struct hf_snap_run run = { .object_max = UINT64_MAX };
	struct hf_snap_frame frame;

	rig_put(&one, (struct rig_put){ .url = "http://a/x", .length = HF_SNAP_BODY_MAX + 1 });
	rig_save(&one);
	cr_assert_eq(hf_snap_open(rig_file, now, NULL, &reader), 0);
	run.saved_clock_us = hf_snap_saved_clock_us(reader);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(hf_snap_next(reader, &frame, NULL), 0);
		run.frames = frame.raw;
		hf_snap_fill_take(two.fill[0], &run, RIG_CLOCK);
	}
	hf_snap_close(reader);
	cr_expect_eq(rig_count(&two), 0);
}
