/* SPDX-License-Identifier: BSD-3-Clause
 *
 * file - a file that is replaced as a whole, or removed for good, whatever happens meanwhile.
 *
 * Picture   begin: NAME.new is made -> write ... -> end: fsync -> rename to NAME -> fsync of the
 *           directory
 * Threads   one at a time for a name.
 * Promises  Whatever stops it, at whatever byte, NAME is the old one or the new one, whole, after
 *           power loss too. Nobody but its owner may read it. The first error sticks, and `end`
 *           tells it. After an end with an error, or a drop, NAME.new is gone.
 * Tests     tests/unit/base/test_file.c, tests/unit/state/test_state_file.c
 */
#ifndef HF_FILE_H
#define HF_FILE_H

#include "hf_base.h"

struct hf_file {
	const char *name; /* the caller's */
	int fd;           /* -1: not open */
	int rc;
};

void hf_file_begin(struct hf_file *file, const char *name);
void hf_file_write(struct hf_file *file, const void *data, size_t len);
/* 0 or -errno. */
int hf_file_end(struct hf_file *file) HF_MUST_CHECK;
/* Instead of end: NAME stays as it was. */
void hf_file_drop(struct hf_file *file);
/* 0 or -errno; 0: gone, also after power loss. */
int hf_file_remove(const char *name) HF_MUST_CHECK;

/* Of a secret: the first line without its end, as far as CAP goes; "": there is none. No copy of it
 * stays behind. 0 or -errno. */
int hf_file_first_line(const char *name, char *ret_line, size_t cap) HF_MUST_CHECK;

#endif
