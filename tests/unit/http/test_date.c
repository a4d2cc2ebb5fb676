/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HTTP dates. The reference is the C library's calendar.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <time.h>

#include "guard.h"

#define NOW 1760000000 /* October 2025 */

static int parse(const char *text, int64_t *ret_s)
{
	return hf_http_date_parse(
		(struct hf_span){ guard_at_end(text, strlen(text)), strlen(text) }, NOW, ret_s);
}

Test(http_date, rfc9110_5_6_7_three_forms_of_one_moment)
{
	static const char *const rows[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Sun Nov 06 08:49:37 1994" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		int64_t s = 0;

		cr_assert_eq(parse(rows[i], &s), 0, "%s", rows[i]);
		cr_assert_eq(s, 784111777, "%s", rows[i]);
	}
}

Test(http_date, rfc9111_4_2_a_cache_reads_dates_in_any_case)
{
	static const char *const rows[] = { "sun, 06 nov 1994 08:49:37 gmt",
		"SUN, 06 NOV 1994 08:49:37 GMT", "sunday, 06-NOV-94 08:49:37 Gmt",
		"SUN NOV  6 08:49:37 1994" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		int64_t s = 0;

		cr_assert_eq(parse(rows[i], &s), 0, "%s", rows[i]);
		cr_assert_eq(s, 784111777, "%s", rows[i]);
	}
}

Test(http_date, rfc9110_5_6_7_two_digit_years_are_at_most_50_years_ahead)
{
	int64_t s;

	cr_assert_eq(parse("Friday, 01-Jan-70 00:00:00 GMT", &s), 0);
	cr_assert_eq(s, 3155760000, "2070");
	cr_assert_eq(parse("Friday, 01-Jan-99 00:00:00 GMT", &s), 0);
	cr_assert_eq(s, 915148800, "1999");
}

Test(http_date, what_is_no_date_is_refused)
{
	static const char *const rows[] = { "", "0", "-1", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 1995 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ", "Sunday, 06-Nov-1994 08:49:37 GMT",
		"Noday, 06-Nov-94 08:49:37 GMT", "Sunday", "Sun Nov x6 08:49:37 1994",
		"Sun Nov -6 08:49:37 1994" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		int64_t s = 42;

		cr_assert_eq(parse(rows[i], &s), -EINVAL, "%s", rows[i]);
		cr_assert_eq(s, 42);
	}
}

Test(http_date, rfc9110_5_6_7_dates_written_are_the_calendars_and_read_back)
{
	char buf[HF_HTTP_DATE_LEN], want[64];

	/* Every day around leap years and centuries, with the seconds moving. */
	for (int64_t s = 0; s < 253402300800; s += 86399 * 17) {
		time_t t = (time_t)s;
		struct tm tm;
		int64_t back;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		hf_http_date_format(s, buf);
		cr_assert_eq(memcmp(buf, want, sizeof(buf)), 0, "%.29s, not %s", buf, want);
		cr_assert_eq(
			hf_http_date_parse((struct hf_span){ buf, sizeof(buf) }, NOW, &back), 0);
		cr_assert_eq(back, s);
	}
}

Test(http_date, leap_days_and_year_ends)
{
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
		{ 951868799, "Tue, 29 Feb 2000 23:59:59 GMT" },
		{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
		{ 978307199, "Sun, 31 Dec 2000 23:59:59 GMT" },
		{ 978307200, "Mon, 01 Jan 2001 00:00:00 GMT" },
		{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
		{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
	};
	char buf[HF_HTTP_DATE_LEN];

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		int64_t s;

		hf_http_date_format(rows[i].s, buf);
		cr_assert_eq(memcmp(buf, rows[i].text, sizeof(buf)), 0, "%.29s", buf);
		cr_assert_eq(parse(rows[i].text, &s), 0);
		cr_assert_eq(s, rows[i].s);
	}
}
