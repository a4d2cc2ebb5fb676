/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is saved comes back as it was, older by the time between.
 */
#include "rig.h"

#include "hf_http.h"

TestSuite(snap, .init = rig_files_new, .fini = rig_files_free);

static void expect_same(const struct hf_obj *a, const struct hf_obj *b, const char *url)
{
	cr_assert_not_null(b, "%s", url);
	cr_expect_eq(a->status, b->status);
	cr_expect_eq(a->flags, b->flags);
	cr_expect_eq(atomic_load(&a->length), atomic_load(&b->length));
	cr_expect_eq(a->vary_len, b->vary_len);
	cr_expect_arr_eq(a->vary, b->vary, a->vary_len);
	cr_expect_eq(a->head_len, b->head_len);
	cr_expect_arr_eq(a->head, b->head, a->head_len);
	cr_expect_eq(a->born_us, b->born_us);
	cr_expect_eq(a->life.lifetime_s, b->life.lifetime_s);
	cr_expect_eq(a->life.swr_s, b->life.swr_s);
	cr_expect_eq(a->life.sie_s, b->life.sie_s);
	cr_expect_eq(a->life.date_s, b->life.date_s);
	cr_expect_eq(a->life.stale_forbidden, b->life.stale_forbidden);
	cr_expect_eq(a->life.must_validate, b->life.must_validate);
	cr_expect_eq(a->life.immutable, b->life.immutable);
	cr_expect_eq(a->life.has_validator, b->life.has_validator);
	cr_expect(rig_body_is(b, url), "%s", url);
}

Test(snap, what_was_stored_is_stored_again)
{
	static const struct rig_put puts[] = {
		{ "http://a/empty", NULL, .length = 0 },
		{ "http://a/one", NULL, .length = 1 },
		{ "http://a/inline", "ETag: \"x\"\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
			.length = 4096, .life = { 60, 5, 7, .date_s = 99, .has_validator = true } },
		{ "http://a/chunk", NULL, .length = 4097, .life = { 1, .stale_forbidden = true } },
		{ "http://a/frame", NULL, .length = HF_SNAP_BODY_MAX },
		{ "http://a/frames", "Surrogate-Key: t u\r\n", .length = 3 * HF_SNAP_BODY_MAX + 1 },
		{ "http://a/204", NULL, .status = 204, .flags = HF_OBJ_NO_BODY },
		{ "http://a/auth?q=1", NULL, .length = 9, .flags = HF_OBJ_AUTH_OK, .age_s = 77,
			.life = { 80, .stale_forbidden = true, .must_validate = true } },
		{ "https://a:81/vary", "Vary: Accept\r\n", HF_SPAN("accept\0+text/html\0"), 5,
			.life = { 2000000000, 3, .immutable = true } },
	};
	struct rig one, two;
	struct hf_snap_save save;

	rig_open(&one, 16 * RIG_MIB, 1);
	rig_open(&two, 16 * RIG_MIB, 1);
	for (size_t i = 0; i < HF_ARRAY_LEN(puts); i++)
		rig_put(&one, puts[i]);
	save = rig_save(&one);
	cr_expect_eq(save.objects, HF_ARRAY_LEN(puts));
	cr_expect_eq(save.left_out + save.no_room, 0);
	cr_expect_eq(rig_load(&two), 0);
	cr_expect_eq(rig_count(&two), HF_ARRAY_LEN(puts));
	for (size_t i = 0; i < HF_ARRAY_LEN(puts); i++)
		expect_same(rig_find(&one, puts[i].url), rig_find(&two, puts[i].url), puts[i].url);
	rig_close(&one);
	rig_close(&two);
}

static void fill_numbered(struct rig *rig, int count, size_t length)
{
	char url[64];

	for (int i = 0; i < count; i++) {
		(void)snprintf(url, sizeof(url), "http://h/%d", i);
		rig_put(rig, (struct rig_put){ .url = url, .length = length });
	}
}

Test(snap, the_number_of_shards_may_change)
{
	static const uint32_t ways[][2] = { { 1, 3 }, { 3, 1 }, { 2, 4 } };

	for (size_t i = 0; i < HF_ARRAY_LEN(ways); i++) {
		struct rig one, two;
		char url[64];

		rig_open(&one, 16 * RIG_MIB, ways[i][0]);
		rig_open(&two, 16 * RIG_MIB, ways[i][1]);
		fill_numbered(&one, 100, 100);
		cr_expect_eq(rig_save(&one).objects, 100);
		cr_expect_eq(rig_load(&two), 0);
		for (int j = 0; j < 100; j++) {
			(void)snprintf(url, sizeof(url), "http://h/%d", j);
			cr_assert_not_null(rig_find(&two, url));
			cr_expect(rig_body_is(rig_find(&two, url), url));
		}
		rig_close(&one);
		rig_close(&two);
	}
}

Test(snap, an_empty_cache_is_a_snapshot_too)
{
	struct rig rig;

	rig_open(&rig, 2 * RIG_MIB, 1);
	cr_expect_eq(rig_save(&rig).objects, 0);
	cr_expect_eq(rig_load(&rig), 0);
	cr_expect_eq(rig_load(&rig), -ENOENT, "it was loaded already");
	rig_close(&rig);
}

Test(snap, only_its_owner_may_read_it)
{
	struct rig rig;
	struct stat info;

	rig_open(&rig, 2 * RIG_MIB, 1);
	rig_save(&rig);
	cr_assert_eq(stat(rig_file, &info), 0);
	cr_expect_eq(info.st_mode & 0777, 0600);
	rig_close(&rig);
}

/* ---- time ---- */

/* Seconds that X is older by after a load at that time; -1: it was not loaded. */
static int64_t older_by(int64_t wall_s, int64_t clock_s)
{
	uint64_t clock_us = RIG_CLOCK + (uint64_t)(clock_s * RIG_S);
	const struct hf_obj *obj;
	struct rig one, two;
	int64_t age_s = -1;

	rig_open(&one, 2 * RIG_MIB, 1);
	rig_open(&two, 2 * RIG_MIB, 1);
	rig_put(&one, (struct rig_put){ .url = "http://a/x", .age_s = 100 });
	rig_save(&one);
	(void)rig_load_at(&two, RIG_WALL + wall_s * RIG_S, clock_us);
	obj = rig_find(&two, "http://a/x");
	if (obj)
		age_s = (int64_t)hf_obj_age_s(obj, clock_us) - 100;
	rig_close(&one);
	rig_close(&two);
	return age_s;
}

Test(snap, the_time_between_counts)
{
	cr_expect_eq(older_by(0, 0), 0);
	cr_expect_eq(older_by(50, 50), 50);
	cr_expect_eq(older_by(50, -49990), 50, "booted since");
	cr_expect_eq(older_by(10, 50), 50, "the clock was set back, not as far");
	cr_expect_eq(older_by(3499, 0), 3499);
	cr_expect_eq(older_by(3501, 0), -1, "its lifetime was an hour");
}

Test(snap, with_a_clock_that_went_back_nothing_is_loaded)
{
	struct hf_err err = { "" };
	struct rig rig;

	cr_expect_eq(older_by(-1, 0), -1);
	cr_expect_eq(older_by(-1, 50), -1);
	rig_open(&rig, 2 * RIG_MIB, 1);
	rig_save(&rig);
	cr_expect_eq(rig_load_err(&rig, RIG_WALL - 5 * RIG_S, RIG_CLOCK, &err), -EBADMSG);
	cr_expect_str_eq(err.text, "written 5 s from now: the clock went back");
	rig_close(&rig);
}

static bool survives(struct hf_cache_life life, uint32_t age_s, uint32_t max_stale_s, bool at_load)
{
	uint32_t later_s = at_load ? age_s : 0;
	struct rig one, two;
	bool found;

	rig_open(&one, 2 * RIG_MIB, 1);
	rig_open(&two, 2 * RIG_MIB, 1);
	one.max_stale_s = two.max_stale_s = max_stale_s;
	rig_put(&one,
		(struct rig_put){ .url = "http://a/x", .life = life, .age_s = age_s - later_s });
	(void)rig_save(&one);
	cr_expect_eq(rig_load_at(&two, RIG_WALL + later_s * RIG_S, RIG_CLOCK + later_s * RIG_S), 0);
	found = rig_find(&two, "http://a/x");
	rig_close(&one);
	rig_close(&two);
	return found;
}

Test(snap, what_is_stale_beyond_its_windows_is_left_out_rfc5861)
{
	static const struct hf_cache_life plain = { 10 }, swr = { 10, 20 }, sie = { 10, 0, 30 };
	static const struct hf_cache_life strict = { 10, .stale_forbidden = true };

	for (int at_load = 0; at_load < 2; at_load++) {
		cr_expect(survives(plain, 9, 0, at_load));
		cr_expect_not(survives(plain, 12, 0, at_load));
		cr_expect(survives(plain, 12, 30, at_load), "in fallback");
		cr_expect_not(survives(plain, 42, 30, at_load));
		cr_expect(survives(swr, 29, 0, at_load));
		cr_expect_not(survives(swr, 32, 0, at_load));
		cr_expect(survives(sie, 39, 0, at_load));
		cr_expect_not(survives(sie, 42, 0, at_load));
		cr_expect(survives(strict, 9, 30, at_load));
		cr_expect_not(survives(strict, 10, 30, at_load));
	}
}

/* ---- what is kept ---- */

Test(snap, within_its_bound_what_is_worth_most)
{
	struct hf_cache_rank *ranks = NULL;
	struct hf_snap_save save;
	struct rig one, two;
	struct stat info;
	uint64_t count;

	rig_open(&one, 16 * RIG_MIB, 2);
	rig_open(&two, 16 * RIG_MIB, 1);
	fill_numbered(&one, 200, 1000);
	cr_assert_eq(hf_cache_rank(one.cache, &ranks, &count), 0);
	cr_expect_eq(count, 200);
	for (uint64_t i = 1; i < count; i++)
		cr_expect_geq(ranks[i - 1].worth, ranks[i].worth);
	save = rig_save_max(&one, 20000);
	cr_assert_eq(stat(rig_file, &info), 0);
	cr_expect_eq((uint64_t)info.st_size, save.bytes);
	cr_expect_leq(save.bytes, 20000);
	cr_expect_gt(save.bytes, 18000);
	cr_expect_eq(save.no_room, 200 - save.objects);
	cr_expect_eq(rig_load(&two), 0);
	cr_expect_eq(rig_count(&two), save.objects);
	for (uint64_t i = 0; i < save.objects; i++) {
		char url[64] = "";

		memcpy(url, ranks[i].obj->key, ranks[i].obj->key_len);
		cr_expect_not_null(rig_find(&two, url), "%s", url);
	}
	free(ranks);
	rig_close(&one);
	rig_close(&two);
}

Test(snap, what_was_asked_for_again_is_no_newcomer)
{
	const struct hf_obj *obj;
	struct rig one, two;

	rig_open(&one, 2 * RIG_MIB, 1);
	rig_open(&two, 2 * RIG_MIB, 1);
	hf_obj_touch(rig_put(&one, (struct rig_put){ .url = "http://a/touched" }));
	rig_put(&one, (struct rig_put){ .url = "http://a/x" });
	rig_save(&one);
	cr_expect_eq(rig_load(&two), 0);
	obj = rig_find(&two, "http://a/touched");
	cr_expect(obj->touched || obj->past.touches > 0);
	obj = rig_find(&two, "http://a/x");
	cr_expect_not(obj->touched || obj->past.touches > 0);
	rig_close(&one);
	rig_close(&two);
}

static void expect_left_out(struct rig_put put, bool soft)
{
	struct rig rig;
	struct hf_key key;

	rig_open(&rig, 2 * RIG_MIB, 1);
	rig_put(&rig, put);
	key = rig_key(&rig, put.url);
	if (soft)
		hf_shard_purge(hf_cache_shard(rig.cache, 0), &key, true);
	cr_expect_eq(rig_save(&rig).left_out, 1);
	rig_close(&rig);
}

Test(snap, no_secret_and_nothing_soft_purged_is_written)
{
	static const struct hf_names fields = { .count = 1, .name = { "x-mine" } }, none;
	static char bytes[4096];

	expect_left_out((struct rig_put){ .url = "http://a/?token=canary" }, false);
	expect_left_out((struct rig_put){ .url = "http://a/soft" }, true);
	hf_http_secrets_set(&fields, &none);
	expect_left_out(
		(struct rig_put){ .url = "http://a/own", .fields = "X-Mine: canary\r\n" }, false);
	hf_http_secrets_set(&none, &none);
	cr_expect_null(memmem(bytes, rig_slurp(bytes, sizeof(bytes)), "canary", 6));
}

Test(snap, more_fields_than_can_be_read_again_are_left_out)
{
	char fields[HF_HTTP_LINES_MAX * 6 + 8] = "";

	for (int i = 0; i < HF_HTTP_LINES_MAX + 1; i++)
		(void)strcat(fields, "A: b\r\n");
	expect_left_out((struct rig_put){ .url = "http://a/many", .fields = fields }, false);
}

Test(snap, what_the_operator_calls_a_secret_since_is_not_loaded)
{
	static const struct hf_names names = { .count = 1, .name = { "mine" } }, none;
	struct rig rig, two;

	rig_open(&rig, 2 * RIG_MIB, 1);
	rig_open(&two, 2 * RIG_MIB, 1);
	rig_put(&rig, (struct rig_put){ .url = "http://a/?mine=1" });
	rig_put(&rig, (struct rig_put){ .url = "http://a/" });
	cr_expect_eq(rig_save(&rig).objects, 2);
	hf_http_secrets_set(&none, &names);
	cr_expect_eq(rig_load(&two), 0);
	cr_expect_null(rig_find(&two, "http://a/?mine=1"));
	cr_expect_not_null(rig_find(&two, "http://a/"));
	rig_close(&rig);
	rig_close(&two);
}

/* ---- the file ---- */

static bool stop_at_third(void *arg)
{
	return ++*(int *)arg == 3;
}

Test(snap, stopped_it_leaves_what_was_there)
{
	struct hf_err err = { "" };
	struct rig rig;
	int asked = 0;
	struct hf_snap_save save = {
		.file = rig_file, .bytes_max = RIG_MIB, .stop = stop_at_third, .arg = &asked
	};

	rig_open(&rig, 2 * RIG_MIB, 1);
	fill_numbered(&rig, 10, 10);
	cr_expect_eq(hf_snap_save(rig.cache, &save, &err), -ECANCELED);
	cr_expect_eq(asked, 3);
	cr_expect_neq(access(rig_file, F_OK), 0);
	rig_close(&rig);
}

Test(snap, what_cannot_be_written_is_told)
{
	struct hf_err err = { "" };
	struct rig rig;
	struct hf_snap_save save = { .file = "/nonexistent/x", .bytes_max = RIG_MIB };

	rig_open(&rig, 2 * RIG_MIB, 1);
	cr_expect_eq(hf_snap_save(rig.cache, &save, &err), -ENOENT);
	cr_expect_str_eq(err.text, "/nonexistent/x: cannot be written: No such file or directory");
	rig_close(&rig);
}

Test(snap, what_is_no_file_keeps_nobody_waiting)
{
	struct hf_snap_time now = { RIG_WALL, RIG_CLOCK };
	struct hf_snap_reader *reader = NULL;
	struct hf_err err = { "" };

	cr_assert_eq(mkfifo(rig_file, 0600), 0);
	cr_expect_eq(hf_snap_open(rig_file, now, &err, &reader), -EINVAL);
	cr_assert_eq(unlink(rig_file), 0);
	cr_assert_eq(mkdir(rig_file, 0700), 0);
	cr_expect_eq(hf_snap_open(rig_file, now, &err, &reader), -EINVAL);
	cr_expect_str_eq(err.text, "cannot be read and removed: Invalid argument");
}
