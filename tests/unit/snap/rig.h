/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two caches, one after the other, and the file between them.
 */
#ifndef SNAP_RIG_H
#define SNAP_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "hf_snap.h"
#include "hf_stat.h"

#include "snap_priv.h"

#define RIG_MIB   (1024UL * 1024)
#define RIG_S     1000000L
#define RIG_CLOCK (50000UL * RIG_S) /* when the machine has been up for so long */
#define RIG_WALL  (1800000000L * RIG_S)

struct rig {
	struct hf_arena *arena;
	struct hf_cache *cache;
	uint32_t shards;
	struct hf_snap_fill *fill[4];
	uint64_t object_max;
	uint32_t max_stale_s;
};

static char rig_dir[64], rig_file[96];

static inline void rig_files_new(void)
{
	(void)snprintf(rig_dir, sizeof(rig_dir), "%s", "/tmp/hf_snap.XXXXXX");
	cr_assert_not_null(mkdtemp(rig_dir));
	(void)snprintf(rig_file, sizeof(rig_file), "%s/snapshot", rig_dir);
}

static inline void rig_files_free(void)
{
	(void)unlink(rig_file);
	(void)rmdir(rig_file);
	cr_expect_eq(rmdir(rig_dir), 0, "files left behind");
}

static inline void rig_open(struct rig *rig, size_t size, uint32_t shards)
{
	struct hf_cache_cfg cfg = { .shards = shards, .workers = 1, .leases_max = 16 };
	struct hf_err err = { "" };

	*rig = (struct rig){ .shards = shards, .object_max = UINT64_MAX };
	cr_assert_eq(hf_arena_new(size, false, &err, &rig->arena), 0, "%s", err.text);
	cfg.arena = rig->arena;
	cr_assert_eq(hf_cache_new(&cfg, &err, &rig->cache), 0, "%s", err.text);
	for (uint32_t i = 0; i < shards; i++)
		rig->fill[i] = hf_snap_fill_new(rig->cache, i);
}

static inline void rig_close(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->shards; i++) {
		hf_snap_fill_free(rig->fill[i]);
		hf_shard_check(hf_cache_shard(rig->cache, i));
	}
	hf_cache_free(rig->cache);
	hf_arena_free(rig->arena);
}

static inline struct hf_key rig_key(const struct rig *rig, const char *url)
{
	uint32_t len = (uint32_t)strlen(url);

	return (struct hf_key){ url, len, hf_cache_hash(rig->cache, url, len) };
}

static inline uint32_t rig_owner(const struct rig *rig, struct hf_span key)
{
	return hf_cache_shard_index(
		rig->cache, hf_cache_hash(rig->cache, key.ptr, (uint32_t)key.len));
}

/* ---- responses ---- */

struct rig_put {
	const char *url, *fields;
	struct hf_span vary;
	size_t length;
	uint32_t age_s;
	uint16_t status, flags;
	struct hf_cache_life life;
};

static inline char rig_byte(const char *url, size_t at)
{
	return (char)((at * 2654435761U >> 7) ^ at ^ (size_t)url[strlen(url) - 1]);
}

static inline struct hf_obj *rig_put(struct rig *rig, struct rig_put put)
{
	struct hf_key key = rig_key(rig, put.url);
	struct hf_shard *shard =
		hf_cache_shard(rig->cache, hf_cache_shard_index(rig->cache, key.hash));
	struct hf_obj_spec spec = { .key = key,
		.vary = put.vary,
		.length = put.length,
		.born_us = (int64_t)RIG_CLOCK - (int64_t)put.age_s * RIG_S,
		.life = put.life,
		.status = put.status ? put.status : 200,
		.flags = put.flags };
	char head[1024], *body = malloc(put.length + 1);
	struct hf_obj *obj;

	if (spec.life.lifetime_s == 0)
		spec.life.lifetime_s = 3600;
	spec.head.ptr = head;
	spec.head.len = (size_t)snprintf(head, sizeof(head), "HTTP/1.1 %u OK\r\n%s", spec.status,
		put.fields ? put.fields : "");
	obj = hf_shard_obj_new(shard, &spec);
	cr_assert_not_null(obj);
	for (size_t i = 0; i < put.length; i++)
		body[i] = rig_byte(put.url, i);
	cr_assert_eq(hf_shard_fill(shard, obj, body, put.length), put.length);
	free(body);
	hf_shard_fill_end(shard, obj);
	hf_shard_publish(shard, obj);
	hf_shard_obj_unref(shard, obj);
	return obj;
}

static inline void rig_take(void *arg, const struct hf_obj *obj)
{
	*(const struct hf_obj **)arg = obj;
}

/* The last variant, or NULL. */
static inline const struct hf_obj *rig_find(const struct rig *rig, const char *url)
{
	struct hf_key key = rig_key(rig, url);
	const struct hf_obj *obj = NULL;

	hf_shard_each_variant(
		hf_cache_shard(rig->cache, hf_cache_shard_index(rig->cache, key.hash)), &key,
		rig_take, &obj);
	return obj;
}

static inline bool rig_body_is(const struct hf_obj *obj, const char *url)
{
	struct hf_obj_cursor cursor = { 0 };
	struct hf_span span;

	while ((span = hf_obj_peek(obj, &cursor, SIZE_MAX)).len > 0) {
		for (size_t i = 0; i < span.len; i++)
			if (span.ptr[i] != rig_byte(url, cursor.pos + i))
				return false;
		hf_obj_advance(&cursor, span.len);
	}
	return hf_obj_at_end(obj, &cursor);
}

static inline uint64_t rig_count(const struct rig *rig)
{
	struct hf_cache_rank *ranks = NULL;
	uint64_t count = 0;

	cr_assert_eq(hf_cache_rank(rig->cache, &ranks, &count), 0);
	free(ranks);
	return count;
}

/* ---- save, load ---- */

static inline struct hf_snap_save rig_save_max(struct rig *rig, uint64_t bytes_max)
{
	struct hf_snap_save save = { .file = rig_file,
		.bytes_max = bytes_max,
		.max_stale_s = rig->max_stale_s,
		.now = { RIG_WALL, RIG_CLOCK } };
	struct hf_err err = { "" };

	cr_assert_eq(hf_snap_save(rig->cache, &save, &err), 0, "%s", err.text);
	return save;
}

static inline struct hf_snap_save rig_save(struct rig *rig)
{
	return rig_save_max(rig, UINT64_MAX / 2);
}

static inline int rig_load_frames(
	struct rig *rig, struct hf_snap_reader *reader, uint64_t now_us, struct hf_err *err)
{
	struct hf_snap_run run = { .saved_clock_us = hf_snap_saved_clock_us(reader),
		.object_max = rig->object_max,
		.max_stale_s = rig->max_stale_s };
	struct hf_snap_frame frame;
	uint32_t owner = 0;
	int rc;

	while ((rc = hf_snap_next(reader, &frame, err)) == 0 && frame.kind != HF_SNAP_END) {
		if (frame.kind == HF_SNAP_OBJECT)
			owner = rig_owner(rig, frame.key);
		run.frames = frame.raw;
		hf_snap_fill_take(rig->fill[owner], &run, now_us);
	}
	return rc;
}

/* What hf_snap_open or hf_snap_next says; told in `err`. */
static inline int rig_load_err(
	struct rig *rig, int64_t wall_us, uint64_t clock_us, struct hf_err *err)
{
	struct hf_snap_time now = { wall_us, clock_us };
	struct hf_snap_reader *reader = NULL;
	int rc = hf_snap_open(rig_file, now, err, &reader);

	if (rc == 0)
		rc = rig_load_frames(rig, reader, clock_us, err);
	if (reader)
		hf_snap_close(reader);
	cr_expect_neq(access(rig_file, F_OK), 0, "a file is loaded once");
	return rc;
}

static inline int rig_load_at(struct rig *rig, int64_t wall_us, uint64_t clock_us)
{
	struct hf_err err = { "" };

	return rig_load_err(rig, wall_us, clock_us, &err);
}

static inline int rig_load(struct rig *rig)
{
	return rig_load_at(rig, RIG_WALL, RIG_CLOCK);
}

static inline size_t rig_slurp(char *buf, size_t cap)
{
	FILE *in = fopen(rig_file, "re");
	size_t len;

	cr_assert_not_null(in);
	len = fread(buf, 1, cap, in);
	cr_assert_lt(len, cap);
	(void)fclose(in);
	return len;
}

static inline void rig_spill(const char *bytes, size_t len)
{
	FILE *out = fopen(rig_file, "we");

	cr_assert_not_null(out);
	cr_assert_eq(fwrite(bytes, 1, len, out), len);
	(void)fclose(out);
}

#endif
