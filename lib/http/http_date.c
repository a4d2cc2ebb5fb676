/* SPDX-License-Identifier: BSD-3-Clause
 *
 * HTTP dates (RFC 9110 §5.6.7): three forms in, one out.
 */
#include "hf_http.h"

#include <errno.h>
#include <string.h>

#include "http_priv.h"

#define DATE_DAY_S  86400
#define DATE_EPOCH  719162 /* days from 0001-01-01 to 1970-01-01 */
#define DATE_50Y_S  (50LL * 31556952)
#define DATE_YEAR_S 31556952LL /* mean Gregorian year */

static const char date_days[] = "SunMonTueWedThuFriSat";
static const char date_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const date_long_days[] = { "Sunday", "Monday", "Tuesday", "Wednesday",
	"Thursday", "Friday", "Saturday" };
static const uint16_t date_before_month[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304,
	334 };

struct date_parts {
	int year, month, day, hour, minute, second; /* month 0-11 */
};

static bool date_is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first of January of a year >= 1. */
static int64_t date_year_start(int64_t year)
{
	int64_t y = year - 1;

	HF_ASSERT(year >= 1);
	return y * 365 + y / 4 - y / 100 + y / 400 - DATE_EPOCH;
}

static int date_month_start(int64_t year, int month)
{
	HF_ASSERT(month >= 0 && month < 12);
	return date_before_month[month] + (month > 1 && date_is_leap(year));
}

static int date_month_len(int64_t year, int month)
{
	int next = month == 11 ? 365 + date_is_leap(year) : date_month_start(year, month + 1);

	return next - date_month_start(year, month);
}

static int date_to_unix(const struct date_parts *d, int64_t *ret_s)
{
	int64_t days;

	if (d->year < 1 || d->day < 1 || d->day > date_month_len(d->year, d->month))
		return -EINVAL;
	/* A leap second is the first of the next minute, near enough. */
	if (d->hour > 23 || d->minute > 59 || d->second > 60)
		return -EINVAL;
	days = date_year_start(d->year) + date_month_start(d->year, d->month) + d->day - 1;
	*ret_s = days * DATE_DAY_S + d->hour * 3600 + d->minute * 60 + d->second;
	return 0;
}

/* In any case: RFC 9111 §4.2 asks it of caches, who writes otherwise than RFC 9110 §5.6.7 means no
 * other date. */
static bool date_same(char a, char b)
{
	return http_lower(a) == http_lower(b);
}

/* Which of the three-letter names stands at `at`; -1: none. */
static int date_name(const char *at, const char *names)
{
	for (int i = 0; names[i * 3] != '\0'; i++)
		if (date_same(at[0], names[i * 3]) && date_same(at[1], names[i * 3 + 1]) &&
			date_same(at[2], names[i * 3 + 2]))
			return i;
	return -1;
}

static int *date_part(struct date_parts *d, char kind)
{
	switch (kind) {
	case 'Y':
		return &d->year;
	case 'D':
		return &d->day;
	case 'h':
		return &d->hour;
	case 'm':
		return &d->minute;
	case 's':
		return &d->second;
	default:
		return NULL;
	}
}

/* One pattern character, or three for a name; returns how many bytes matched, 0: none. */
static size_t date_match_one(const char *at, char kind, struct date_parts *d)
{
	int *part = date_part(d, kind);

	if (kind == 'w')
		return date_name(at, date_days) >= 0 ? 3 : 0;
	if (kind == 'b') {
		d->month = date_name(at, date_months);
		return d->month >= 0 ? 3 : 0;
	}
	if (part == NULL)
		return date_same(*at, kind);
	if (!http_is(*at, HTTP_DIGIT))
		return 0;
	*part = *part * 10 + (*at - '0');
	return 1;
}

/* Matches text against a pattern of the same length: Y D h m s stand for digits of that part, bbb
 * for a month's name, www for a day's, _ for a space or a digit of the day, all else for itself. */
static int date_match(struct hf_span text, const char *pattern, struct date_parts *ret_parts)
{
	struct date_parts d = { 0 };

	if (text.len != strlen(pattern))
		return -EINVAL;
	for (size_t i = 0; i < text.len;) {
		char kind = pattern[i] == '_' ? (text.ptr[i] == ' ' ? ' ' : 'D') : pattern[i];
		size_t n = date_match_one(text.ptr + i, kind, &d);

		if (n == 0)
			return -EINVAL;
		i += n;
	}
	*ret_parts = d;
	return 0;
}

/* The day's name in RFC 850 dates is as long as it is. */
static int date_match_850(struct hf_span text, struct date_parts *ret_parts)
{
	for (size_t i = 0; i < HF_ARRAY_LEN(date_long_days); i++) {
		size_t n = strlen(date_long_days[i]);

		if (text.len > n && hf_span_caseeq((struct hf_span){ text.ptr, n },
					    (struct hf_span){ date_long_days[i], n }))
			return date_match((struct hf_span){ text.ptr + n, text.len - n },
				", DD-bbb-YY hh:mm:ss GMT", ret_parts);
	}
	return -EINVAL;
}

/* A two-digit year is the latest that is not more than 50 years ahead. */
static int date_850_to_unix(struct date_parts *d, int64_t now_s, int64_t *ret_s)
{
	int64_t this_year = 1970 + now_s / DATE_YEAR_S;
	int64_t s;
	int yy = d->year;

	HF_ASSERT(yy >= 0 && yy <= 99);
	d->year = (int)(this_year - this_year % 100 + 100 + yy);
	for (int tries = 0; tries < 3; tries++, d->year -= 100) {
		if (date_to_unix(d, &s) == 0 && s <= now_s + DATE_50Y_S) {
			*ret_s = s;
			return 0;
		}
	}
	return -EINVAL;
}

int hf_http_date_parse(struct hf_span text, int64_t now_s, int64_t *ret_s)
{
	struct date_parts d;

	HF_ASSERT(now_s >= 0 && now_s < 253402300800);
	if (date_match(text, "www, DD bbb YYYY hh:mm:ss GMT", &d) == 0)
		return date_to_unix(&d, ret_s);
	if (date_match(text, "www bbb _D hh:mm:ss YYYY", &d) == 0)
		return date_to_unix(&d, ret_s);
	if (date_match_850(text, &d) == 0)
		return date_850_to_unix(&d, now_s, ret_s);
	return -EINVAL;
}

static void date_put(char *at, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
}

void hf_http_date_format(int64_t s, char buf[HF_HTTP_DATE_LEN])
{
	int64_t days = s / DATE_DAY_S;
	int second = (int)(s % DATE_DAY_S);
	int64_t year = 1970 + s / DATE_YEAR_S;
	int month = 11;
	int day;

	HF_ASSERT(s >= 0 && s < 253402300800); /* 10000-01-01 */
	/* The mean year is at most a few days off. */
	while (date_year_start(year) > days)
		year--;
	while (date_year_start(year + 1) <= days)
		year++;
	day = (int)(days - date_year_start(year));
	while (date_month_start(year, month) > day)
		month--;
	day -= date_month_start(year, month);
	memcpy(buf, "www, DD bbb YYYY hh:mm:ss GMT", HF_HTTP_DATE_LEN);
	memcpy(buf, date_days + (days + 4) % 7 * 3, 3);
	date_put(buf + 5, day + 1, 2);
	memcpy(buf + 8, date_months + month * 3, 3);
	date_put(buf + 12, (int)year, 4);
	date_put(buf + 17, second / 3600, 2);
	date_put(buf + 20, second / 60 % 60, 2);
	date_put(buf + 23, second % 60, 2);
}
