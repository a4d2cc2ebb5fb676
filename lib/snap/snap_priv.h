/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bytes of a snapshot (hf_snap.h), written and read in one place.
 */
#ifndef HF_PRIV_SNAP
#error "snap_priv.h is private to lib/snap"
#endif
#ifndef SNAP_PRIV_H
#define SNAP_PRIV_H

#include <stdio.h>

#include "hf_cache_record.h"
#include "hf_snap.h"

#define SNAP_PREAMBLE_LEN 12
#define SNAP_FRAME_HEAD   8
#define SNAP_FRAME_TAIL   8
#define SNAP_FRAME_EXTRA  (SNAP_FRAME_HEAD + SNAP_FRAME_TAIL)
#define SNAP_HEAD_LEN     16
#define SNAP_END_LEN      8

/* What seals a frame: which it is, of which file. */
struct snap_seal {
	int64_t saved_us;
	uint64_t number;
};

/* SNAP_PREAMBLE_LEN bytes. */
void snap_put_preamble(char *buf);
/* 0; -EBADMSG told in `err`. */
int snap_check_preamble(const char *buf, struct hf_err *err) HF_MUST_CHECK;
/* Frame head and tail around LEN bytes of payload that are at buf + SNAP_FRAME_HEAD. Returns all
 * its bytes. */
size_t snap_put_frame(char *buf, enum hf_snap_kind kind, size_t len, const struct snap_seal *seal);
/* The payload's length and kind, from SNAP_FRAME_HEAD bytes. False: no such kind, or too long for
 * it. */
bool snap_get_frame_head(const char *buf, size_t *ret_len, enum hf_snap_kind *ret_kind);
bool snap_check_frame(const char *buf, size_t len, const struct snap_seal *seal);

/* hf_snap_open of what is open; closes it. */
int snap_open_stream(FILE *in, struct hf_snap_time now, struct hf_err *err,
	struct hf_snap_reader **ret_reader) HF_MUST_CHECK;

#endif
