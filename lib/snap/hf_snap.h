/* SPDX-License-Identifier: BSD-3-Clause
 *
 * snap - a snapshot of the cache, written at shutdown and loaded at the next start.
 *
 * What      Stored responses, worthiest first, up to a number of bytes. A file is loaded at most
 *           once: to open it is to remove it, so that nothing comes back that was purged since.
 *           Records keep their age; the time between save and load counts. The number of shards may
 *           differ: records go by their keys.
 * Picture
 *      save (all threads have ended):  hf_cache_rank -> frames -> FILE.new -> FILE
 *      load:  reader (a thread of its own, may block)   fill (the shard's owner, in small portions)
 *             hf_snap_next: read, checksum,  --frames-->  hf_snap_fill_take: object, body, publish
 *                           validate
 * Format    Numbers are big-endian. FILE = preamble, head frame, for each response an object frame
 *           and the body frames that make up its length, end frame; nothing behind.
 *             preamble      0  8  "hfsnap\r\n"     8  4  version, HF_SNAP_VERSION
 *             frame         0  4  length n of the payload, HF_SNAP_FRAME_MAX at most
 *                           4  4  kind: "head", "objt", "body", "end."
 *                           8  n  payload
 *                           8+n 8 SipHash-1-3 of all before it, with the key (time of save of
 *                                 the head frame's payload; in the head frame 0), number of the
 *                                 frame from 0
 *             head  16      0  8  time of save, Unix, us      8  8  the same, monotonic clock
 *             objt          0  n  a record: hf_cache_record.h
 *             body          0  n  bytes of the body, HF_SNAP_BODY_MAX at most
 *             end.  8       0  8  number of objt frames
 * Threads   save: the last one. reader: one. fill: the shard's owner.
 * Promises  S1 the first frame that is not what it should be ends a load; what came before stays.
 *              S2 no
 *           credential, no URL with one is written, or loaded. S3 no response is younger than it
 *           was, nor served beyond its windows: with a clock that went back nothing is loaded. S4
 *           what was purged or invalidated since the load began is not put back, nor what the
 *           origin said may not be stored.
 *           S5 nothing leaves the cache for what is loaded, nor is replaced by it.
 * Limits    A reader needs 256 KiB, a fill 160 KiB and the texts of HF_SNAP_FORGOTTEN_MAX purges.
 * Tests     tests/unit/snap, tests/fuzz/fuzz_snapshot.c, tests/system/test_warm.py
 */
#ifndef HF_SNAP_H
#define HF_SNAP_H

#include "hf_base.h"
#include "hf_cache.h"

#define HF_SNAP_VERSION       1
#define HF_SNAP_FRAME_MAX     (256 * 1024)
#define HF_SNAP_BODY_MAX      (32 * 1024)
#define HF_SNAP_FORGOTTEN_MAX 1024 /* as many as a state document may have */

/* One moment by two clocks. */
struct hf_snap_time {
	int64_t wall_us;   /* Unix */
	uint64_t clock_us; /* hf_clock_us */
};

struct hf_snap_time hf_snap_now(void);

/* ---- save ---- */

struct hf_snap_save {
	const char *file;
	uint64_t bytes_max; /* of the file */
	uint32_t max_stale_s;
	struct hf_snap_time now;
	/* asked before each response; true: the file stays as it was, -ECANCELED */
	bool (*stop)(void *arg);
	void *arg;
	/* the answer */
	uint64_t objects, bytes;
	uint64_t left_out; /* stale beyond use, soft-purged, with a secret in the URL */
	uint64_t no_room;
};

/* After every other thread has stopped. 0 or -errno, told in `err`. */
int hf_snap_save(
	struct hf_cache *cache, struct hf_snap_save *save, struct hf_err *err) HF_MUST_CHECK;

/* ---- load: the reader ---- */

struct hf_snap_reader;

enum hf_snap_kind { HF_SNAP_HEAD, HF_SNAP_OBJECT, HF_SNAP_BODY, HF_SNAP_END };

struct hf_snap_frame {
	enum hf_snap_kind kind;
	struct hf_span raw; /* all of it, for hf_snap_fill_take; good until the next one is read */
	struct hf_span key; /* OBJECT */
};

/* Opens the file and removes it. -ENOENT: there is none. Others are told in `err`: -EBADMSG, it is
 * no snapshot of this version, or damaged, or from a time that is to come. */
int hf_snap_open(const char *file, struct hf_snap_time now, struct hf_err *err,
	struct hf_snap_reader **ret_reader) HF_MUST_CHECK;
/* OBJECT, BODY or END. -EBADMSG: damaged; or another -errno. Not to be called again after END or an
 * error. */
int hf_snap_next(struct hf_snap_reader *reader, struct hf_snap_frame *ret_frame,
	struct hf_err *err) HF_MUST_CHECK;
void hf_snap_close(struct hf_snap_reader *reader);
/* When the snapshot was made, Unix, us. */
int64_t hf_snap_saved_us(const struct hf_snap_reader *reader);
/* The same by this machine's monotonic clock, at the latest; may lie before its zero. */
int64_t hf_snap_saved_clock_us(const struct hf_snap_reader *reader);

/* ---- load: a shard ---- */

struct hf_snap_fill;

/* A run of whole frames of one shard, in the order of the file; a response's may be in several
 * runs. */
struct hf_snap_run {
	struct hf_span frames;
	int64_t saved_clock_us;
	uint64_t object_max; /* bytes of body; larger ones are left out */
	uint32_t max_stale_s;
};

/* boot; NULL without memory. From now on what is purged is to be told. */
struct hf_snap_fill *hf_snap_fill_new(struct hf_cache *cache, uint32_t shard);
/* What is whole is published. The frames come from hf_snap_next. */
void hf_snap_fill_take(struct hf_snap_fill *fill, const struct hf_snap_run *run, uint64_t now_us);
/* The end, wherever it is. */
void hf_snap_fill_free(struct hf_snap_fill *fill);
/* Nothing of the file is to be stored for this key any more; may count for a few others, too. */
void hf_snap_forget_key(struct hf_snap_fill *fill, uint64_t hash);
/* Nor what this purge names. After HF_SNAP_FORGOTTEN_MAX of them nothing at all. */
void hf_snap_forget_many(struct hf_snap_fill *fill, const struct hf_purge_walk *purge);

#endif
