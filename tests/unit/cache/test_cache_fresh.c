/* SPDX-License-Identifier: BSD-3-Clause
 *
 * May a stored response be used: freshness, staleness, request directives.
 */
#include "hf_cache_rules.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct hf_cache_life plain = { .lifetime_s = 100 };

static struct hf_http_cc directives(const char *text)
{
	struct hf_http_cc cc;

	hf_http_cc_init(&cc);
	hf_http_cc_parse(&cc, (struct hf_span){ text, strlen(text) });
	return cc;
}

static void assert_use(
	const struct hf_cache_life *life, const char *req, uint32_t age_s, enum hf_cache_use use)
{
	struct hf_http_cc cc = directives(req);

	cr_assert_eq(hf_cache_fresh_for(life, &cc, age_s), use, "%s at %u: %u", req, age_s,
		hf_cache_fresh_for(life, &cc, age_s));
}

Test(cache_fresh, rfc9111_4_2_fresh_while_the_lifetime_exceeds_the_age)
{
	cr_assert_eq(hf_cache_fresh_for(&plain, NULL, 0), HF_CACHE_USE_FRESH);
	cr_assert_eq(hf_cache_fresh_for(&plain, NULL, 99), HF_CACHE_USE_FRESH);
	cr_assert_eq(hf_cache_fresh_for(&plain, NULL, 100), HF_CACHE_USE_REVALIDATE);
	cr_assert_eq(hf_cache_fresh_for(&plain, NULL, UINT32_MAX), HF_CACHE_USE_REVALIDATE);
}

Test(cache_fresh, rfc9111_5_2_1_request_directives)
{
	assert_use(&plain, "", 50, HF_CACHE_USE_FRESH);
	assert_use(&plain, "no-cache", 50, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-age=50", 50, HF_CACHE_USE_FRESH);
	assert_use(&plain, "max-age=49", 50, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-age=0", 0, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-age=1", 0, HF_CACHE_USE_FRESH);
	assert_use(&plain, "max-age=49, max-stale", 50, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "min-fresh=50", 50, HF_CACHE_USE_FRESH);
	assert_use(&plain, "min-fresh=51", 50, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-stale", 5000, HF_CACHE_USE_STALE);
	assert_use(&plain, "max-stale=10", 110, HF_CACHE_USE_STALE);
	assert_use(&plain, "max-stale=10", 111, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-stale=10", 50, HF_CACHE_USE_FRESH);
	assert_use(&plain, "max-stale, min-fresh=1", 110, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "max-stale, no-cache", 110, HF_CACHE_USE_REVALIDATE);
	assert_use(&plain, "only-if-cached", 50, HF_CACHE_USE_FRESH);
}

Test(cache_fresh, rfc9111_4_2_4_stale_is_forbidden)
{
	const struct hf_cache_life life = { .lifetime_s = 100, .stale_forbidden = true };

	assert_use(&life, "", 50, HF_CACHE_USE_FRESH);
	assert_use(&life, "max-stale", 101, HF_CACHE_USE_REVALIDATE);
	cr_assert(!hf_cache_stale_is_valid(&life, NULL, 101, 30));
}

Test(cache_fresh, rfc9111_5_2_2_4_no_cache_is_always_validated)
{
	const struct hf_cache_life life = {
		.lifetime_s = 100, .stale_forbidden = true, .must_validate = true
	};

	assert_use(&life, "", 0, HF_CACHE_USE_REVALIDATE);
	assert_use(&life, "max-stale", 0, HF_CACHE_USE_REVALIDATE);
	cr_assert(!hf_cache_stale_is_valid(&life, NULL, 0, 30));
}

Test(cache_fresh, rfc5861_3_stale_while_revalidate)
{
	const struct hf_cache_life life = { .lifetime_s = 100, .swr_s = 10 };

	assert_use(&life, "", 99, HF_CACHE_USE_FRESH);
	assert_use(&life, "", 100, HF_CACHE_USE_STALE_SWR);
	assert_use(&life, "", 109, HF_CACHE_USE_STALE_SWR);
	assert_use(&life, "", 110, HF_CACHE_USE_REVALIDATE);
	assert_use(&life, "max-age=1000", 105, HF_CACHE_USE_REVALIDATE);
	assert_use(&life, "min-fresh=1", 105, HF_CACHE_USE_REVALIDATE);
	assert_use(&life, "no-cache", 105, HF_CACHE_USE_REVALIDATE);
	assert_use(&life, "max-stale=60", 105, HF_CACHE_USE_STALE);
}

Test(cache_fresh, rfc5861_4_stale_but_valid_within_the_window)
{
	struct hf_http_cc no_cache = directives("no-cache"), young = directives("max-age=5");

	cr_assert(hf_cache_stale_is_valid(&plain, NULL, 130, 30));
	cr_assert(!hf_cache_stale_is_valid(&plain, NULL, 131, 30));
	cr_assert(hf_cache_stale_is_valid(&plain, NULL, 50, 0));
	cr_assert(hf_cache_stale_is_valid(&plain, &young, 110, 30));
	cr_assert(!hf_cache_stale_is_valid(&plain, &no_cache, 110, 30));
}

static struct hf_cache_req req_of(const char *text)
{
	static const struct hf_http_limits limits = { 8192, 4096, 128 };
	static struct hf_http_req req;
	struct hf_http_fault fault;
	struct hf_cache_req ret;

	cr_assert_eq(hf_http_req_parse(text, strlen(text), &limits, &req, &fault), HF_PARSE_DONE);
	hf_cache_req_init(&req, &ret);
	return ret;
}

Test(cache_fresh, which_requests_may_look_at_the_cache)
{
	static const struct {
		const char *text;
		bool allows;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true },
		{ "POST / HTTP/1.1\r\nHost: a\r\n\r\n", false },
		{ "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nCache-Control: max-age=0\r\n"
		  "Cache-Control: no-store\r\n\r\n",
			false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\n\r\n", true },
	};
	struct hf_cache_req req;

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		req = req_of(rows[i].text);
		cr_assert_eq(hf_cache_req_allows(&req), rows[i].allows, "%s", rows[i].text);
	}
}

Test(cache_fresh, rfc9111_5_4_pragma_counts_only_without_cache_control)
{
	struct hf_cache_req req =
		req_of("GET / HTTP/1.1\r\nHost: a\r\nPragma: x, No-Cache\r\n\r\n");

	cr_assert(req.cc.no_cache);
	req = req_of("GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\nCache-Control: "
		     "max-age=5\r\n\r\n");
	cr_assert(!req.cc.no_cache);
}

Test(cache_fresh, what_the_rules_see_of_a_request)
{
	struct hf_cache_req req = req_of(
		"GET /?sig=1 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nCookie: a=b\r\n\r\n");

	cr_assert(req.has_authorization && req.has_cookie && req.has_secret_query && req.cacheable);
	req = req_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert(!req.has_authorization && !req.has_cookie && !req.has_secret_query);
}
