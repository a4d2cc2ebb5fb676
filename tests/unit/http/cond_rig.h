/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A request and a stored head from a few field lines.
 */
#ifndef HF_TEST_COND_RIG_H
#define HF_TEST_COND_RIG_H

#include "hf_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "guard.h"

#define NOW      1760000000 /* October 2025 */
#define DATE     "Sun, 06 Nov 1994 08:49:37 GMT"
#define DATE_850 "Sunday, 06-Nov-94 08:49:37 GMT"
#define DATE_ASC "Sun Nov  6 08:49:37 1994"
#define EARLIER  "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER    "Sun, 06 Nov 1994 08:49:38 GMT"

static struct hf_http_req rig_req;
static struct hf_http_fields rig_stored;

/* lines: each with its CRLF */
static inline void rig_ask(const char *method, const char *lines)
{
	static const struct hf_http_limits limits = { 60000, 4096, HF_HTTP_LINES_MAX };
	static char text[65536];
	struct hf_http_fault fault;
	int len = snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, lines);

	cr_assert_eq(hf_http_req_parse(guard_at_end(text, (size_t)len), (size_t)len, &limits,
			     &rig_req, &fault),
		HF_PARSE_DONE, "%s", lines);
}

static inline void rig_have(const char *lines)
{
	static char text[65536];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s", lines);

	cr_assert(hf_http_stored_parse((struct hf_span){ text, (size_t)len }, &rig_stored));
}

#endif
