/* SPDX-License-Identifier: BSD-3-Clause
 *
 * log_priv - the parts of a line's way that tests look at alone.
 */
#ifndef HF_PRIV_LOG
#error "log_priv.h is private to lib/log"
#endif
#ifndef LOG_PRIV_H
#define LOG_PRIV_H

#include "hf_log.h"

#define LOG_SITE_LINES_MAX 10  /* a second and call site */
#define LOG_TEXT_MAX       960 /* of a line written at once */
#define LOG_RING_LINES     512 /* of 256 bytes, for each lcore; a power of two */
#define LOG_RING_TEXT_MAX  232
#define LOG_RINGS_MAX      64

struct log_line {
	uint64_t time_us; /* CLOCK_REALTIME */
	const char *area;
	enum hf_log_level level;
	char text[LOG_RING_TEXT_MAX];
};

/* Whether the site may say another line in this second; if so, how many it could not say before. */
bool log_site_admit(struct hf_log_site *site, uint64_t second, uint32_t *ret_suppressed);
/* Writes TEXT without what a terminal or a log reader would take for more than text. */
void log_text_clean(char *text);

#endif
