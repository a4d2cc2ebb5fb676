/* SPDX-License-Identifier: BSD-3-Clause
 *
 * log - one line an event on stderr, rate-limited per call site; lcores go through a ring.
 *
 * What      `2026-11-21T07:00:00.123Z WARN origin: text` . Control, origin and boot threads write
 *           at once; an lcore's lines go into its bounded ring, which the control thread drains.
 * Threads   any. On an lcore no system call: a full ring loses the line and counts it.
 * Promises  At most 10 lines a second from one call site; what was suppressed is said with the
 *           next. Nothing that looks like a credential is passed in: callers redact
 *           (hf_http_redact).
 */
#ifndef HF_LOG_H
#define HF_LOG_H

#include "hf_base.h"

enum hf_log_level { HF_LOG_DEBUG, HF_LOG_INFO, HF_LOG_WARN, HF_LOG_ERROR };

struct hf_log_site {
	_Atomic uint64_t second;
	_Atomic uint32_t count;
	_Atomic uint32_t suppressed;
};

#define hf_log(level, area, ...)                                                                   \
	do {                                                                                       \
		static struct hf_log_site log_site_;                                               \
		if ((level) >= hf_log_threshold())                                                 \
			hf_log_write(&log_site_, (level), (area), __VA_ARGS__);                    \
	} while (0)

void hf_log_level_set(enum hf_log_level level);
enum hf_log_level hf_log_threshold(void);
void hf_log_write(struct hf_log_site *site, enum hf_log_level level, const char *area,
	const char *format, ...) HF_PRINTF(4, 5);

/* From here on the calling thread logs into a ring of its own; boot of an lcore. -ENOMEM,
 * -ENOSPC. */
int hf_log_ring_enter(void);
/* Writes what the rings hold; control thread, some times a second and at the end. */
void hf_log_drain(void);

#endif
