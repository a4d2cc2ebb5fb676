/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A snapshot comes back beside the service: purges and answers of the origin have the last word.
 */
#include "rig.h"

#include "hf_snap.h"

static char dir[64], file[96];

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "%s", "/tmp/hf_warm.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/snapshot", dir);
}

static void teardown(void)
{
	(void)unlink(file);
	(void)rmdir(dir);
}

TestSuite(origin_warm, .init = setup, .fini = teardown);

static void purge(struct rig *rig, enum hf_purge kind, const char *text)
{
	const struct hf_purge_walk walk = { .kind = kind, .text = { text, strlen(text) } };
	uint64_t count;

	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), 0);
	cr_assert_eq(hf_origin_purge_begin(rig->second, &walk), 0);
	rig_until(rig, hf_origin_purge_done(rig->origin, &count) &&
			       hf_origin_purge_done(rig->second, &count));
}

/* What was stored is in the file and no longer in the cache, as after a restart. */
static struct rig *rig_restarted(void)
{
	static const char *const paths[] = { "/keep", "/fetched", "/purged", "/posted",
		"/refused" };
	struct hf_snap_save save = { .file = file, .bytes_max = 1 << 20, .now = hf_snap_now() };
	struct rig *rig = rig_two();

	for (size_t i = 0; i < HF_ARRAY_LEN(paths); i++)
		rig_store(rig, paths[i], RIG_FRESH, 10, 5);
	rig_store(rig, "/tagged", RIG_FRESH "Cache-Tag: t\r\n", 10, 5);
	cr_assert_eq(hf_snap_save(rig->cache, &save, NULL), 0);
	cr_assert_eq(save.objects, 6);
	purge(rig, HF_PURGE_ALL, "");
	cr_assert_eq(hf_origin_warm_begin(rig->origin), 0);
	cr_assert_eq(hf_origin_warm_begin(rig->second), 0);
	return rig;
}

/* A call, as the control thread makes it, to the owner of the key; or the last one, to both. */
static void call(struct rig *rig, struct hf_origin_call *call, uint32_t owner)
{
	struct hf_origin *origin = owner == 0 ? rig->origin : rig->second;

	origin->call = call;
	atomic_store(&origin->call_waiting, true);
	rig_until(rig, !atomic_load(&origin->call_waiting));
}

static uint32_t owner_of(const struct rig *rig, struct hf_span key)
{
	return hf_cache_shard_index(
		rig->cache, hf_cache_hash(rig->cache, key.ptr, (uint32_t)key.len));
}

static void load(struct rig *rig)
{
	struct hf_origin_call warm = { .what = HF_ORIGIN_WARM };
	struct hf_snap_reader *reader = NULL;
	struct hf_snap_frame frame;
	uint32_t owner = 0;

	cr_assert_eq(hf_snap_open(file, hf_snap_now(), NULL, &reader), 0);
	warm.saved_clock_us = hf_snap_saved_clock_us(reader);
	while (hf_snap_next(reader, &frame, NULL) == 0 && frame.kind != HF_SNAP_END) {
		if (frame.kind == HF_SNAP_OBJECT)
			owner = owner_of(rig, frame.key);
		warm.frames = frame.raw;
		call(rig, &warm, owner);
	}
	cr_expect_eq(frame.kind, HF_SNAP_END);
	hf_snap_close(reader);
	warm.frames.len = 0;
	call(rig, &warm, 0);
	call(rig, &warm, 1);
	cr_expect_null(rig->origin->warm);
	cr_expect_null(rig->second->warm);
}

static void purge_one(struct rig *rig, const char *url)
{
	struct hf_key key = { url, (uint32_t)strlen(url), 0 };
	struct hf_origin_call question = { .what = HF_ORIGIN_PURGE };

	key.hash = hf_cache_hash(rig->cache, key.ptr, key.len);
	question.key = key;
	call(rig, &question, hf_cache_shard_index(rig->cache, key.hash));
}

/* An exchange with the origin, from beginning to end. */
static void ask(struct rig *rig, const char *request, const char *fields)
{
	struct rig_client client;
	const char *head;

	rig_start_text(rig, &client, request);
	client.eager = true;
	rig_answer(rig_asked(rig, &head), fields, 20);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
}

Test(origin_warm, what_was_stored_is_stored_again_and_as_old)
{
	struct rig *rig = rig_restarted();

	cr_expect_null(rig_lookup(rig, "/keep", ""));
	load(rig);
	cr_assert_not_null(rig_lookup(rig, "/keep", ""));
	cr_expect_geq(hf_obj_age_s(rig_lookup(rig, "/keep", ""), hf_clock_us()), 5);
	cr_expect_not_null(rig_lookup(rig, "/tagged", ""));
	rig_free(rig);
}

Test(origin_warm, purges_and_answers_since_the_start_have_the_last_word)
{
	struct rig *rig = rig_restarted();

	purge_one(rig, "http://a.test/purged");
	purge(rig, HF_PURGE_TAG, "t");
	ask(rig, "POST /posted HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n", "");
	ask(rig, "GET /refused HTTP/1.1\r\nHost: a.test\r\n\r\n", "Cache-Control: no-store\r\n");
	ask(rig, "GET /fetched HTTP/1.1\r\nHost: a.test\r\n\r\n", RIG_FRESH);
	load(rig);
	cr_expect_not_null(rig_lookup(rig, "/keep", ""));
	cr_expect_null(rig_lookup(rig, "/purged", ""));
	cr_expect_null(rig_lookup(rig, "/tagged", ""));
	cr_expect_null(rig_lookup(rig, "/posted", ""), "RFC 9111 section 4.4");
	cr_expect_null(rig_lookup(rig, "/refused", ""));
	cr_assert_not_null(rig_lookup(rig, "/fetched", ""));
	cr_expect_eq(atomic_load(&rig_lookup(rig, "/fetched", "")->length), 20, "the new one");
	rig_free(rig);
}

Test(origin_warm, ended_in_the_middle_of_a_load_nothing_is_left_behind)
{
	struct rig *rig = rig_restarted();

	rig_free(rig);
}
