/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_snap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_bytes.h"
#include "hf_file.h"

#include "snap_priv.h"

#define SAVE_FRAME_MAX (HF_SNAP_FRAME_MAX + SNAP_FRAME_EXTRA)
#define SAVE_BUF_LEN   (2 * SAVE_FRAME_MAX)

struct save_out {
	struct hf_snap_save *save;
	struct hf_file file;
	struct snap_seal seal;
	char *buf; /* SAVE_BUF_LEN */
	size_t len;
};

struct hf_snap_time hf_snap_now(void)
{
	return (struct hf_snap_time){ hf_clock_unix_us(), hf_clock_us() };
}

static void save_flush(struct save_out *out)
{
	hf_file_write(&out->file, out->buf, out->len);
	out->len = 0;
}

/* Where the next frame's payload goes. */
static char *save_payload(struct save_out *out)
{
	if (SAVE_BUF_LEN - out->len < SAVE_FRAME_MAX)
		save_flush(out);
	return out->buf + out->len + SNAP_FRAME_HEAD;
}

static void save_frame(struct save_out *out, enum hf_snap_kind kind, size_t len)
{
	size_t all = snap_put_frame(out->buf + out->len, kind, len, &out->seal);

	out->seal.number++;
	out->len += all;
	out->save->bytes += all;
}

static void save_begin(struct save_out *out)
{
	const struct hf_snap_time *now = &out->save->now;
	char *payload;

	snap_put_preamble(out->buf);
	out->len = SNAP_PREAMBLE_LEN;
	out->save->bytes = SNAP_PREAMBLE_LEN;
	payload = save_payload(out);
	hf_store_be64(payload, (uint64_t)now->wall_us);
	hf_store_be64(payload + 8, now->clock_us);
	save_frame(out, HF_SNAP_HEAD, SNAP_HEAD_LEN);
	out->seal.saved_us = now->wall_us;
}

static uint64_t save_frames_len(uint64_t length)
{
	return length + (length + HF_SNAP_BODY_MAX - 1) / HF_SNAP_BODY_MAX * SNAP_FRAME_EXTRA;
}

static bool save_is_wanted(
	const struct save_out *out, const struct hf_obj *obj, const struct hf_cache_record *object)
{
	uint32_t age_s = hf_obj_age_s(obj, out->save->now.clock_us);

	/* Scrubbed when it was stored; but what would be a credential to the one who loads stays
	 * here. Nor can all that is served be read again: there may be more fields than a parser
	 * takes. */
	if (!hf_cache_record_is_good(object) || hf_cache_record_has_secret(object))
		return false;
	return !(atomic_load(&obj->flags) & HF_OBJ_STALE) &&
	       hf_cache_life_is_useful(&obj->life, age_s, out->save->max_stale_s);
}

static void save_body(struct save_out *out, const struct hf_obj *obj, uint64_t length)
{
	struct hf_obj_cursor cursor = { 0 };

	while (cursor.pos < length) {
		size_t len = hf_obj_read(obj, &cursor, save_payload(out), HF_SNAP_BODY_MAX);

		HF_ASSERT(len > 0 && cursor.pos <= length);
		save_frame(out, HF_SNAP_BODY, len);
	}
}

static void save_object(struct save_out *out, const struct hf_obj *obj)
{
	struct hf_snap_save *save = out->save;
	struct hf_cache_record object = hf_cache_record_of(obj, save->now.clock_us);
	size_t len = hf_cache_record_len(&object);

	HF_ASSERT(atomic_load(&obj->state) == HF_OBJ_READY);
	if (!save_is_wanted(out, obj, &object) || len > HF_SNAP_FRAME_MAX) {
		save->left_out++;
		return;
	}
	if (save->bytes + len + SNAP_FRAME_EXTRA + save_frames_len(object.length) + SNAP_END_LEN +
			SNAP_FRAME_EXTRA >
		save->bytes_max) {
		save->no_room++;
		return;
	}
	hf_cache_record_put(save_payload(out), &object);
	save_frame(out, HF_SNAP_OBJECT, len);
	save_body(out, obj, object.length);
	save->objects++;
}

/* 0 or -ECANCELED. */
static int save_all(struct save_out *out, const struct hf_cache_rank *ranks, uint64_t count)
{
	struct hf_snap_save *save = out->save;

	save_begin(out);
	for (uint64_t i = 0; i < count && out->file.rc == 0; i++) {
		if (save->stop && save->stop(save->arg))
			return -ECANCELED;
		save_object(out, ranks[i].obj);
	}
	hf_store_be64(save_payload(out), save->objects);
	save_frame(out, HF_SNAP_END, SNAP_END_LEN);
	save_flush(out);
	return 0;
}

static int save_file(struct save_out *out, const struct hf_cache_rank *ranks, uint64_t count)
{
	int rc;

	hf_file_begin(&out->file, out->save->file);
	rc = save_all(out, ranks, count);
	if (rc == 0)
		return hf_file_end(&out->file);
	hf_file_drop(&out->file);
	return rc;
}

int hf_snap_save(struct hf_cache *cache, struct hf_snap_save *save, struct hf_err *err)
{
	struct save_out out = { .save = save, .buf = malloc(SAVE_BUF_LEN) };
	struct hf_cache_rank *ranks = NULL;
	uint64_t count;
	int rc = out.buf ? hf_cache_rank(cache, &ranks, &count) : -ENOMEM;

	save->objects = save->left_out = save->no_room = 0;
	if (rc == 0)
		rc = save_file(&out, ranks, count);
	free(ranks);
	free(out.buf);
	return rc ? hf_err_set(err, rc, "%s: cannot be written: %s", save->file, strerror(-rc)) : 0;
}
