/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Snapshots of the cache: any bytes are a load that ends, after whole responses. Their checksums are made right
 * first, so that what these guard is reached (wrong ones: tests/unit/snap/test_snap_damage.c).
 * Needs: snap.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_bytes.h"
#include "hf_snap.h"
#include "snap_priv.h"

#define FUZZ_SHARDS 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hf_snap_time fuzz_now = { INT64_MAX / 2, 1ULL << 40 };

/* As far as there are frames. */
static void fuzz_seal(char *bytes, size_t size)
{
	struct snap_seal seal = { 0, 0 };
	size_t at = SNAP_PREAMBLE_LEN, len;
	enum hf_snap_kind kind;

	if (size >= SNAP_PREAMBLE_LEN)
		snap_put_preamble(bytes);
	while (size - at >= SNAP_FRAME_EXTRA && at <= size &&
		snap_get_frame_head(bytes + at, &len, &kind) &&
		len <= size - at - SNAP_FRAME_EXTRA) {
		(void)snap_put_frame(bytes + at, kind, len, &seal);
		if (seal.number++ == 0 && len >= 8)
			seal.saved_us = (int64_t)hf_load_be64(bytes + at + SNAP_FRAME_HEAD);
		at += len + SNAP_FRAME_EXTRA;
	}
}

static void fuzz_whole(void *arg, const struct hf_obj *obj)
{
	struct hf_obj_cursor cursor = { 0 };
	struct hf_span span;

	(void)arg;
	while ((span = hf_obj_peek(obj, &cursor, SIZE_MAX)).len > 0)
		hf_obj_advance(&cursor, span.len);
	HF_ASSERT(cursor.pos == atomic_load(&obj->length) && hf_obj_at_end(obj, &cursor));
}

static void fuzz_frames(
	struct hf_cache *cache, struct hf_snap_fill **fill, struct hf_snap_reader *reader)
{
	struct hf_snap_run run = { .saved_clock_us = hf_snap_saved_clock_us(reader),
		.object_max = 1 << 20,
		.max_stale_s = UINT32_MAX };
	struct hf_snap_frame frame;
	struct hf_err err;
	uint32_t owner = 0;

	while (hf_snap_next(reader, &frame, &err) == 0 && frame.kind != HF_SNAP_END) {
		struct hf_key key = { frame.key.ptr, (uint32_t)frame.key.len, 0 };

		if (frame.kind == HF_SNAP_OBJECT) {
			key.hash = hf_cache_hash(cache, key.ptr, key.len);
			owner = hf_cache_shard_index(cache, key.hash);
		}
		run.frames = frame.raw;
		hf_snap_fill_take(fill[owner], &run, fuzz_now.clock_us);
		if (frame.kind == HF_SNAP_OBJECT)
			hf_shard_each_variant(hf_cache_shard(cache, owner), &key, fuzz_whole, NULL);
	}
}

static void fuzz_load(char *bytes, size_t size)
{
	struct hf_cache_cfg cfg = { .shards = FUZZ_SHARDS, .workers = 1, .leases_max = 1 };
	struct hf_snap_fill *fill[FUZZ_SHARDS];
	struct hf_snap_reader *reader;
	struct hf_cache *cache;
	struct hf_err err;

	HF_ASSERT(hf_arena_new(2 << 20, false, &err, &cfg.arena) == 0);
	HF_ASSERT(hf_cache_new(&cfg, &err, &cache) == 0);
	for (uint32_t i = 0; i < FUZZ_SHARDS; i++)
		fill[i] = hf_snap_fill_new(cache, i);
	if (snap_open_stream(fmemopen(bytes, size, "r"), fuzz_now, &err, &reader) == 0) {
		fuzz_frames(cache, fill, reader);
		hf_snap_close(reader);
	}
	for (uint32_t i = 0; i < FUZZ_SHARDS; i++) {
		hf_snap_fill_free(fill[i]);
		hf_shard_check(hf_cache_shard(cache, i));
	}
	hf_cache_free(cache);
	hf_arena_free(cfg.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size + 1);

	HF_ASSERT(bytes);
	memcpy(bytes, data, size);
	fuzz_seal(bytes, size);
	if (size > 0)
		fuzz_load(bytes, size);
	free(bytes);
	return 0;
}
