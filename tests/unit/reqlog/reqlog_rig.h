/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Records for the tests, made as a worker makes them.
 */
#ifndef REQLOG_RIG_H
#define REQLOG_RIG_H

#include "hf_reqlog.h"

#include "reqlog_priv.h"

#define RIG_REAL_US 1795200000000000LL /* 2026-11-20T18:40:00Z */

/* A GET by 192.0.2.1:4711, answered by 200 from the cache. */
struct hf_reqlog_record rig_record(const char *host, const char *target);
/* The same of a whole head. */
struct hf_reqlog_record rig_record_of(const char *head, size_t len);

#endif
