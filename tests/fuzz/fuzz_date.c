/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Dates: the input as a text, and its first eight bytes as a moment that the C library writes in all three
 * forms (RFC 9110 §5.6.7).
 * Needs: http.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1760000000
#define END 253402300800 /* of the year 9999 */

static void check_read(const char *text, int64_t now_s, int64_t want_s)
{
	size_t len = strlen(text);
	char *copy = malloc(len); /* just its size: a byte read past it is seen */
	int64_t s;

	memcpy(copy, text, len);
	HF_ASSERT(hf_http_date_parse((struct hf_span){ copy, len }, now_s, &s) == 0 && s == want_s);
	for (size_t i = 0; i < len; i++)
		copy[i] = (char)((want_s >> i % 8) & 1 ? toupper(copy[i]) : tolower(copy[i]));
	HF_ASSERT(hf_http_date_parse((struct hf_span){ copy, len }, now_s, &s) == 0 && s == want_s);
	HF_ASSERT(hf_http_date_parse((struct hf_span){ copy, len - 1 }, now_s, &s) != 0);
	free(copy);
}

static void moment(int64_t s)
{
	char text[64], own[HF_HTTP_DATE_LEN + 1] = "";
	time_t time = (time_t)s;
	struct tm tm;

	HF_ASSERT(gmtime_r(&time, &tm) != NULL);
	hf_http_date_format(s, own);
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	HF_ASSERT(strcmp(own, text) == 0);
	check_read(text, NOW, s);
	(void)strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	check_read(text, NOW, s);
	(void)strftime(text, sizeof(text), "%A, %d-%b-%y %H:%M:%S GMT", &tm);
	check_read(text, s, s);
}

/* What is a date has one normal form. */
static void written(struct hf_span value)
{
	char text[HF_HTTP_DATE_LEN];
	int64_t s, again;

	if (hf_http_date_parse(value, NOW, &s) != 0 || s < 0 || s >= END)
		return;
	hf_http_date_format(s, text);
	HF_ASSERT(hf_http_date_parse((struct hf_span){ text, sizeof(text) }, NOW, &again) == 0);
	HF_ASSERT(s == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size > 0 ? size : 1);
	uint64_t at;

	memcpy(buf, data, size);
	written((struct hf_span){ buf, size });
	free(buf);
	if (size >= sizeof(at)) {
		memcpy(&at, data, sizeof(at));
		moment((int64_t)(at % END));
	}
	return 0;
}
