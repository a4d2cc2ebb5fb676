/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reqlog_rig.h"

static struct hf_reqlog_record record;

static void filter_init(void)
{
	record = rig_record("Example.com:8080", "/img/a.png?w=1");
}

TestSuite(reqlog_filter, .init = filter_init);

static bool match(const char *text)
{
	struct reqlog_filter filter;
	struct hf_err err = { "" };

	cr_assert_eq(reqlog_filter_parse(text, &err, &filter), 0, "%s: %s", text, err.text);
	return reqlog_filter_match(&filter, &record);
}

Test(reqlog_filter, no_word_is_every_request)
{
	cr_expect(match(""));
	cr_expect(match("   "));
}

Test(reqlog_filter, status_is_a_number_a_class_a_range_or_some_of_them)
{
	cr_expect(match("status=200"));
	cr_expect(match("status=2xx"));
	cr_expect(match("status=199-200"));
	cr_expect(match("status=404,5xx,200"));
	cr_expect(!match("status=201"));
	cr_expect(!match("status=1xx,3xx"));
	cr_expect(!match("status=0"));
	record.status = 0;
	cr_expect(match("status=0"));
}

Test(reqlog_filter, method_is_exact)
{
	cr_expect(match("method=GET"));
	cr_expect(!match("method=get"));
	cr_expect(!match("method=GETS"));
	cr_expect(!match("method=GE"));
}

Test(reqlog_filter, host_has_no_case_and_path_has)
{
	cr_expect(match("host=example.COM:*"));
	cr_expect(!match("host=example.com"));
	cr_expect(match("path=/img/*"));
	cr_expect(match("path=/img/?.png*"));
	cr_expect(!match("path=/IMG/*"));
	cr_expect(!match("path=/img/"));
}

Test(reqlog_filter, client_is_an_address_or_a_network_of_its_family)
{
	cr_expect(match("client=192.0.2.1"));
	cr_expect(match("client=192.0.2.0/24"));
	cr_expect(match("client=192.0.2.0/31"));
	cr_expect(match("client=0.0.0.0/0"));
	cr_expect(!match("client=192.0.2.2"));
	cr_expect(!match("client=192.0.2.2/31"));
	cr_expect(!match("client=2001:db8::/32"));
	cr_assert_eq(inet_pton(AF_INET6, "2001:db8::7", record.client.b), 1);
	cr_expect(match("client=2001:db8::/32"));
	cr_expect(match("client=2001:db8::7"));
	cr_expect(!match("client=0.0.0.0/0"));
	cr_expect(!match("client=2001:db8:8000::/33"));
}

Test(reqlog_filter, miss_is_four_classes)
{
	static const bool is_miss[HF_REQLOG_CACHE_COUNT] = { [HF_REQLOG_ABSENT] = true,
		[HF_REQLOG_EXPIRED] = true,
		[HF_REQLOG_VARY] = true,
		[HF_REQLOG_UNCACHEABLE] = true };

	for (uint8_t i = 0; i < HF_REQLOG_CACHE_COUNT; i++) {
		record.cache = i;
		cr_expect_eq(match("cache=miss"), is_miss[i], "%u", i);
		cr_expect_eq(match("cache=hit,stale"), i == HF_REQLOG_HIT || i == HF_REQLOG_STALE);
	}
}

Test(reqlog_filter, slow_is_a_duration_at_least)
{
	cr_expect(match("slow=60us"));
	cr_expect(!match("slow=61us"));
	record.duration_us = 2000000;
	cr_expect(match("slow=2000ms"));
	cr_expect(match("slow=2s"));
	cr_expect(!match("slow=3s"));
}

Test(reqlog_filter, all_words_must_hold)
{
	cr_expect(match(
		" status=200  method=GET path=/img/* client=192.0.2.0/24 cache=hit slow=1us "));
	cr_expect(!match("status=200 method=POST"));
}

Test(reqlog_filter, what_is_wrong_is_told_with_what_is_allowed)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "color=red",
			"allowed: KEY=VALUE with the keys status, method, host, path, client" },
		{ "status", "KEY=VALUE" },
		{ "=5", "KEY=VALUE" },
		{ "Status=200", "KEY=VALUE" },
		{ "status=", "404, 5xx" },
		{ "status=1000", "404, 5xx" },
		{ "status=0xx", "404, 5xx" },
		{ "status=5x", "404, 5xx" },
		{ "status=503-500", "404, 5xx" },
		{ "status=200,", "404, 5xx" },
		{ "status=200;", "404, 5xx" },
		{ "status=1,2,3,4,5,6,7,8,9", "up to 8" },
		{ "method=", "a method" },
		{ "method=ABCDEFGHIJKLMNOPQ", "a method" },
		{ "host=", "a host" },
		{ "path=", "path and query" },
		{ "client=", "an address" },
		{ "client=192.0.2", "an address" },
		{ "client=192.0.2.1/33", "an address" },
		{ "client=192.0.2.1/", "an address" },
		{ "client=192.0.2.1/8x", "an address" },
		{ "client=2001:db8::/129", "an address" },
		{ "client=1234567890123456789012345678901234567890123456789", "an address" },
		{ "cache=", "hit, stale, miss" },
		{ "cache=HIT", "hit, stale, miss" },
		{ "cache=hit,", "hit, stale, miss" },
		{ "slow=5", "50ms" },
		{ "slow=0ms", "50ms" },
		{ "slow=ms", "50ms" },
		{ "slow=5m", "50ms" },
		{ "slow=86401s", "50ms" },
		{ "slow=99999999999999999999s", "50ms" },
		{ "status=200 status=404", "twice" },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
		struct reqlog_filter filter;
		struct hf_err err = { "" };

		cr_expect_eq(reqlog_filter_parse(cases[i].text, &err, &filter), -EINVAL, "%s",
			cases[i].text);
		cr_expect(strstr(err.text, cases[i].part), "%s: %s", cases[i].text, err.text);
	}
}

Test(reqlog_filter, patterns_are_bounded)
{
	char text[600];
	struct reqlog_filter filter;
	struct hf_err err = { "" };

	(void)snprintf(text, sizeof(text), "path=%0255d", 0);
	cr_expect_eq(reqlog_filter_parse(text, &err, &filter), 0);
	(void)snprintf(text, sizeof(text), "path=%0256d", 0);
	cr_expect_eq(reqlog_filter_parse(text, &err, &filter), -EINVAL);
	(void)snprintf(text, sizeof(text), "path=%0500d", 0);
	cr_expect_eq(reqlog_filter_parse(text, &err, &filter), -EINVAL);
}

Test(reqlog_filter, globs)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "abc", true },
		{ "a*", "abc", true },
		{ "*c", "abc", true },
		{ "a*c", "abc", true },
		{ "a*b", "abc", false },
		{ "?", "", false },
		{ "?", "a", true },
		{ "a**c", "ac", true },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*ab", "aab", true },
		{ "*aab*", "aaaab", true },
		{ "abc", "ab", false },
		{ "ab", "abc", false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
		cr_expect_eq(
			reqlog_glob(cases[i].pattern,
				(struct hf_span){ cases[i].text, strlen(cases[i].text) }, false),
			cases[i].fits, "%s %s", cases[i].pattern, cases[i].text);
}

/* A matcher that tries each star again with each other would not come back. */
Test(reqlog_filter, a_glob_of_many_stars_ends, .timeout = 20)
{
	char pattern[256], text[392];

	for (size_t i = 0; i < sizeof(pattern) - 2; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + sizeof(pattern) - 2, "b", 2);
	memset(text, 'a', sizeof(text));
	cr_expect(!reqlog_glob(pattern, (struct hf_span){ text, sizeof(text) }, false));
}
