/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_snap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hf_bytes.h"
#include "hf_file.h"

#include "snap_priv.h"

struct hf_snap_reader {
	FILE *in;
	struct snap_seal seal;
	int64_t saved_clock_us;
	uint64_t at;        /* where in the file */
	uint64_t body_left; /* of the response whose frames are being read */
	uint64_t objects;
	char buf[SNAP_FRAME_HEAD + HF_SNAP_FRAME_MAX + SNAP_FRAME_TAIL];
};

static int read_damaged(const struct hf_snap_reader *reader, const char *what, struct hf_err *err)
{
	return hf_err_set(err, -EBADMSG, "%s at byte %llu", what, (unsigned long long)reader->at);
}

/* So many bytes, or an error. */
static int read_bytes(struct hf_snap_reader *reader, char *to, size_t len, struct hf_err *err)
{
	size_t got = fread(to, 1, len, reader->in);

	if (got == len) {
		reader->at += len;
		return 0;
	}
	return ferror(reader->in) ? hf_err_set(err, -EIO, "cannot be read")
				  : read_damaged(reader, "cut short", err);
}

static int read_frame(struct hf_snap_reader *reader, enum hf_snap_kind *ret_kind,
	struct hf_span *ret_payload, struct hf_err *err)
{
	char *buf = reader->buf;
	size_t len = 0;
	int rc = read_bytes(reader, buf, SNAP_FRAME_HEAD, err);

	if (rc == 0 && !snap_get_frame_head(buf, &len, ret_kind))
		rc = read_damaged(reader, "no frame", err);
	if (rc == 0)
		rc = read_bytes(reader, buf + SNAP_FRAME_HEAD, len + SNAP_FRAME_TAIL, err);
	if (rc)
		return rc;
	if (!snap_check_frame(buf, len, &reader->seal))
		return read_damaged(reader, "wrong checksum", err);
	reader->seal.number++;
	*ret_payload = (struct hf_span){ buf + SNAP_FRAME_HEAD, len };
	return 0;
}

/* The monotonic clock cannot go back: it says how much time there was at least, unless the machine
 * was booted since. */
static int read_times(struct hf_snap_reader *reader, struct hf_span payload,
	struct hf_snap_time now, struct hf_err *err)
{
	int64_t saved_us = (int64_t)hf_load_be64(payload.ptr), since_us;
	uint64_t saved_clock_us = hf_load_be64(payload.ptr + 8);

	if (saved_us < 0)
		return read_damaged(reader, "no time", err);
	if (saved_us > now.wall_us)
		return hf_err_set(err, -EBADMSG, "written %lld s from now: the clock went back",
			(long long)((saved_us - now.wall_us) / 1000000));
	since_us = now.wall_us - saved_us;
	if (saved_clock_us <= now.clock_us && now.clock_us - saved_clock_us > (uint64_t)since_us)
		since_us = (int64_t)(now.clock_us - saved_clock_us);
	reader->saved_clock_us = (int64_t)now.clock_us - since_us;
	reader->seal.saved_us = saved_us;
	return 0;
}

static int read_head(struct hf_snap_reader *reader, struct hf_snap_time now, struct hf_err *err)
{
	char preamble[SNAP_PREAMBLE_LEN];
	enum hf_snap_kind kind;
	struct hf_span payload = { NULL, 0 };
	int rc = read_bytes(reader, preamble, sizeof(preamble), err);

	if (rc == 0)
		rc = snap_check_preamble(preamble, err);
	if (rc == 0)
		rc = read_frame(reader, &kind, &payload, err);
	if (rc == 0 && kind != HF_SNAP_HEAD)
		rc = read_damaged(reader, "no head", err);
	return rc ? rc : read_times(reader, payload, now, err);
}

/* A regular file: nothing else may keep us waiting. */
static int read_open(const char *file, FILE **ret_in)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = 0;
	struct stat info;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) != 0)
		rc = -errno;
	else if (!S_ISREG(info.st_mode))
		rc = -EINVAL;
	if (rc == 0)
		rc = hf_file_remove(file);
	if (rc == 0)
		*ret_in = fdopen(fd, "r");
	if (rc == 0 && *ret_in)
		return 0;
	(void)close(fd);
	return rc ? rc : -ENOMEM;
}

int snap_open_stream(
	FILE *in, struct hf_snap_time now, struct hf_err *err, struct hf_snap_reader **ret_reader)
{
	struct hf_snap_reader *reader = calloc(1, sizeof(*reader));
	int rc;

	HF_ASSERT(reader);
	reader->in = in;
	rc = read_head(reader, now, err);
	if (rc == 0)
		*ret_reader = reader;
	else
		hf_snap_close(reader);
	return rc;
}

int hf_snap_open(const char *file, struct hf_snap_time now, struct hf_err *err,
	struct hf_snap_reader **ret_reader)
{
	FILE *in = NULL;
	int rc = read_open(file, &in);

	if (rc == 0)
		return snap_open_stream(in, now, err, ret_reader);
	if (rc == -ENOENT)
		return rc;
	/* what cannot be removed would be loaded again, later */
	return hf_err_set(err, rc, "cannot be read and removed: %s", strerror(-rc));
}

void hf_snap_close(struct hf_snap_reader *reader)
{
	(void)fclose(reader->in);
	free(reader);
}

static int read_object(struct hf_snap_reader *reader, struct hf_span payload,
	struct hf_span *ret_key, struct hf_err *err)
{
	struct hf_cache_record object;

	if (reader->body_left > 0)
		return read_damaged(reader, "body cut short", err);
	if (hf_cache_record_get(payload, &object) != payload.len ||
		!hf_cache_record_is_good(&object))
		return read_damaged(reader, "no response", err);
	reader->body_left = object.length;
	reader->objects++;
	*ret_key = object.key;
	return 0;
}

static int read_end(struct hf_snap_reader *reader, struct hf_span payload, struct hf_err *err)
{
	if (reader->body_left > 0 || hf_load_be64(payload.ptr) != reader->objects)
		return read_damaged(reader, "something missing", err);
	return fgetc(reader->in) == EOF ? 0
					: read_damaged(reader, "more than there should be", err);
}

int hf_snap_next(struct hf_snap_reader *reader, struct hf_snap_frame *ret_frame, struct hf_err *err)
{
	struct hf_snap_frame frame = { .key = { NULL, 0 } };
	struct hf_span payload = { NULL, 0 };
	int rc = read_frame(reader, &frame.kind, &payload, err);

	if (rc)
		return rc;
	switch (frame.kind) {
	case HF_SNAP_HEAD:
		return read_damaged(reader, "a second head", err);
	case HF_SNAP_OBJECT:
		rc = read_object(reader, payload, &frame.key, err);
		break;
	case HF_SNAP_BODY:
		if (payload.len > reader->body_left)
			return read_damaged(reader, "more body than there should be", err);
		reader->body_left -= payload.len;
		break;
	case HF_SNAP_END:
		rc = read_end(reader, payload, err);
		break;
	}
	frame.raw = (struct hf_span){ reader->buf, payload.len + SNAP_FRAME_EXTRA };
	if (rc == 0)
		*ret_frame = frame;
	return rc;
}

int64_t hf_snap_saved_us(const struct hf_snap_reader *reader)
{
	return reader->seal.saved_us;
}

int64_t hf_snap_saved_clock_us(const struct hf_snap_reader *reader)
{
	return reader->saved_clock_us;
}
