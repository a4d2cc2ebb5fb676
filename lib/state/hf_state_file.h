/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state file - the last state document that was good, kept over restarts and power loss.
 *
 * What      One line of JSON that describes the rest, then the document as it was received:
 *             {"holdfast_state":1,"length":N,"checksum":"16 hex digits"}
 *             {"schema":1,"version":...
 * Threads   one at a time for a file.
 * Promises  Whatever stops a save, FILE is the old one or the new one, whole (hf_file.h). A load
 *           gives a text that was saved, or none: what is damaged is set aside as FILE.corrupt, so
 *           that it can be looked at and is not read again.
 */
#ifndef HF_STATE_FILE_H
#define HF_STATE_FILE_H

#include "hf_base.h"

/* 0 or -errno, told in `err`. */
int hf_state_file_save(
	const char *file, const char *text, size_t len, struct hf_err *err) HF_MUST_CHECK;
/* 0, and *ret_text is the caller's to free; -ENOENT: there is none; -EBADMSG: damaged, and set
 * aside; other -errno. All but -ENOENT told in `err`. */
int hf_state_file_load(
	const char *file, char **ret_text, size_t *ret_len, struct hf_err *err) HF_MUST_CHECK;

#endif
