/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_PRIV_L2
#error "l2_priv.h is private to lib/l2"
#endif
#ifndef L2_PRIV_H
#define L2_PRIV_H

#include "hf_l2.h"

#define L2_VALUE_HEAD 28 /* and of a mark: where it begins, HF_L2_MARK_LEN - L2_VALUE_HEAD long */

/* Makes the checksum right, of L2_VALUE_HEAD bytes at least. */
void l2_value_seal(char *bytes, size_t len);

#endif
