/* SPDX-License-Identifier: BSD-3-Clause
 *
 * wipe - memory that held what is one client's alone is emptied before it is given back, and left
 * out of core dumps.
 *
 * Threads   any
 * Promises  The compiler does not leave it out, as it may a memset before free. realloc leaves no
 *           copy where the block was.
 */
#ifndef HF_WIPE_H
#define HF_WIPE_H

#include <string.h>

#include "hf_base.h"

static inline void hf_wipe(void *block, size_t len)
{
	explicit_bzero(block, len);
}

/* Blocks of malloc; as free and realloc. */
void hf_wipe_free(void *block);
void *hf_wipe_realloc(void *block, size_t len);

/* What clients sent or get will be there: its whole pages are in no core dump. */
void hf_no_dump(void *base, size_t len);

#endif
