/* SPDX-License-Identifier: BSD-3-Clause
 *
 * stat_priv - what a thread's registration does for its histograms.
 */
#ifndef STAT_PRIV_H
#define STAT_PRIV_H

#include <stdint.h>

/* The calling thread adds to block I from now on. */
void hist_own_set(uint32_t i);

#endif
