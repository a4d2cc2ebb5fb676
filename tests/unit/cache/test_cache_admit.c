/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What may be stored, and for how long.
 */
#include "hf_cache_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW  784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"

static struct hf_cache_policy policy;
static struct hf_cache_times times;
static struct hf_cache_verdict v;

static void setup(void)
{
	policy = (struct hf_cache_policy){ .object_max = 1000 };
	times = (struct hf_cache_times){ .response_s = NOW };
}

TestSuite(cache_admit, .init = setup);

static void admit_req(const char *req_text, unsigned status, const char *fields)
{
	static const struct hf_http_limits limits = { 8192, 4096, 128 };
	static struct hf_http_req req;
	static struct hf_http_resp resp;
	struct hf_http_fault fault;
	struct hf_cache_req asked;
	char text[2048];
	char ask[512];
	int len = snprintf(text, sizeof(text), "HTTP/1.1 %03u X\r\n%s\r\n", status, fields);
	int ask_len = snprintf(ask, sizeof(ask), "%s\r\n", req_text);

	cr_assert_eq(hf_http_req_parse(ask, (size_t)ask_len, &limits, &req, &fault), HF_PARSE_DONE);
	cr_assert_eq(hf_http_resp_parse(text, (size_t)len, &resp), HF_PARSE_DONE);
	hf_cache_req_init(&req, &asked);
	hf_cache_admit(&asked, &resp, &policy, &times, &v);
	cr_assert_eq(v.store, v.reason == HF_CACHE_WHY_STORED);
	cr_assert(v.scrub);
	cr_assert(!v.life.stale_forbidden || (v.life.swr_s == 0 && v.life.sie_s == 0));
}

static void admit(unsigned status, const char *fields)
{
	admit_req(GET, status, fields);
}

static void assert_reason(enum hf_cache_reason reason, const char *what)
{
	cr_assert_eq(v.reason, reason, "%s for %s, not %s", hf_cache_reason_name(v.reason), what,
		hf_cache_reason_name(reason));
}

static void assert_life(uint32_t lifetime_s, unsigned status, const char *fields)
{
	admit(status, fields);
	assert_reason(HF_CACHE_WHY_STORED, fields);
	cr_assert_eq(v.life.lifetime_s, lifetime_s, "%u for %s", v.life.lifetime_s, fields);
}

static void assert_not(enum hf_cache_reason reason, unsigned status, const char *fields)
{
	admit(status, fields);
	assert_reason(reason, fields);
}

Test(cache_admit, rfc9111_4_2_1_order_of_freshness)
{
	assert_life(60, 200, "Cache-Control: max-age=60\r\n");
	assert_life(30, 200, "Cache-Control: max-age=60, s-maxage=30\r\nExpires: 0\r\n");
	assert_life(90, 200,
		"Cache-Control: s-maxage=30\r\nCDN-Cache-Control: max-age=90\r\nExpires: 0\r\n");
	assert_life(60, 200,
		DATE "Expires: Sun, 06 Nov 1994 09:00:00 GMT\r\nCache-Control: max-age=60\r\n");
	assert_life(623, 200, DATE "Expires: Sun, 06 Nov 1994 09:00:00 GMT\r\n");
	assert_life(623, 200, "Expires: Sun, 06 Nov 1994 09:00:00 GMT\r\n");
	assert_life(HF_HTTP_DELTA_MAX, 200, "Cache-Control: max-age=99999999999\r\n");
	assert_life(30, 200, "Cache-Control: max-age=60, max-age=30\r\n");
}

Test(cache_admit, rfc9111_5_3_an_expires_that_is_no_date_has_passed)
{
	assert_not(HF_CACHE_WHY_EXPIRED, 200, "Expires: 0\r\n");
	assert_not(HF_CACHE_WHY_EXPIRED, 200, DATE "Expires: Sun, 06 Nov 1994 08:00:00 GMT\r\n");
	assert_life(0, 200, "Expires: -1\r\nETag: \"x\"\r\n");
}

Test(cache_admit, rfc9111_4_2_2_heuristic_is_a_tenth_and_at_most_a_day)
{
	assert_life(100, 200, DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n");
	cr_assert(v.heuristic);
	assert_life(86400, 200, DATE "Last-Modified: Sun, 06 Nov 1988 08:32:57 GMT\r\n");
	assert_life(100, 302,
		DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\nCache-Control: public\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 302,
		DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200,
		DATE "Last-Modified: Sun, 06 Nov 1994 08:49:57 GMT\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200, "Last-Modified: x\r\n");
	admit(200, "Cache-Control: max-age=5\r\nLast-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n");
	cr_assert(!v.heuristic && v.life.lifetime_s == 5);
}

Test(cache_admit, default_and_negative_ttl_when_the_origin_is_silent)
{
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200, "");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 404, "");
	policy.default_ttl_s = 20;
	policy.negative_ttl_s = 5;
	assert_life(20, 200, "");
	assert_life(20, 301, "");
	assert_life(5, 404, "");
	assert_life(5, 410, DATE "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n");
	assert_life(60, 404, "Cache-Control: max-age=60\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 405, "");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 302, "");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 500, "");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 503, "");
}

Test(cache_admit, rfc9111_4_2_3_age)
{
	admit(200, "Cache-Control: max-age=60\r\nAge: 10\r\n");
	cr_assert_eq(v.initial_age_s, 10);
	times.response_delay_s = 3;
	admit(200, "Cache-Control: max-age=60\r\nAge: 10\r\n");
	cr_assert_eq(v.initial_age_s, 13);
	admit(200, "Cache-Control: max-age=60\r\n");
	cr_assert_eq(v.initial_age_s, 3);
	admit(200,
		"Cache-Control: max-age=60\r\nDate: Sun, 06 Nov 1994 08:49:07 GMT\r\nAge: 10\r\n");
	cr_assert_eq(v.initial_age_s, 30, "apparent age");
	admit(200, "Cache-Control: max-age=60\r\nDate: Sun, 06 Nov 1994 09:49:07 GMT\r\n");
	cr_assert_eq(v.initial_age_s, 3, "a date to come");
	admit(200, "Cache-Control: max-age=60\r\nAge: x\r\n");
	cr_assert_eq(v.initial_age_s, 3);
	admit(200, "Cache-Control: max-age=60\r\nAge: 5, 9\r\n");
	cr_assert_eq(v.initial_age_s, 8);
	assert_not(HF_CACHE_WHY_EXPIRED, 200, "Cache-Control: max-age=60\r\nAge: 100\r\n");
	assert_not(
		HF_CACHE_WHY_EXPIRED, 200, "Cache-Control: max-age=60\r\nAge: 99999999999999\r\n");
}

Test(cache_admit, rfc9111_3_methods_and_request_no_store)
{
	admit_req("POST / HTTP/1.1\r\nHost: a\r\n", 200, "Cache-Control: max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_METHOD, "POST");
	admit_req("HEAD / HTTP/1.1\r\nHost: a\r\n", 200, "Cache-Control: max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_METHOD, "HEAD");
	admit_req(GET "Cache-Control: no-store\r\n", 200, "Cache-Control: max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_REQ_NO_STORE, "no-store");
}

Test(cache_admit, rfc9111_3_public_without_a_lifetime_is_stored_to_be_validated)
{
	assert_life(0, 200, "Cache-Control: public\r\nETag: \"x\"\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200, "Cache-Control: public\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200, "ETag: \"x\"\r\n");
}

Test(cache_admit, rfc9111_3_status_codes)
{
	assert_not(HF_CACHE_WHY_PARTIAL, 206, "Cache-Control: max-age=60\r\n");
	assert_not(HF_CACHE_WHY_STATUS, 304, "Cache-Control: max-age=60\r\n");
	assert_not(HF_CACHE_WHY_STATUS, 103, "Cache-Control: max-age=60\r\n");
	assert_life(60, 299, "Cache-Control: max-age=60\r\n");
	assert_life(60, 503, "Cache-Control: max-age=60\r\n");
	assert_not(HF_CACHE_WHY_STATUS, 299, "Cache-Control: max-age=60, must-understand\r\n");
	assert_life(60, 200, "Cache-Control: max-age=60, must-understand\r\n");
}

Test(cache_admit, rfc9111_5_2_2_no_store_and_private_are_never_stored)
{
	assert_not(HF_CACHE_WHY_NO_STORE, 200, "Cache-Control: no-store, public, max-age=60\r\n");
	assert_not(
		HF_CACHE_WHY_NO_STORE, 200, "Cache-Control: public\r\nCache-Control: No-Store\r\n");
	assert_not(HF_CACHE_WHY_PRIVATE, 200, "Cache-Control: private, s-maxage=60\r\n");
	assert_not(HF_CACHE_WHY_PRIVATE, 200,
		"Cache-Control: private=\"content-type\", max-age=60\r\n");
	assert_not(HF_CACHE_WHY_NO_STORE, 200,
		"Cache-Control: max-age=60\r\nCDN-Cache-Control: no-store\r\n");
	assert_not(HF_CACHE_WHY_PRIVATE, 200,
		"Cache-Control: max-age=60\r\nCDN-Cache-Control: private, max-age=9\r\n");
}

Test(cache_admit, rfc9111_5_2_2_7_private_fields_are_left_out_of_what_is_stored)
{
	assert_life(60, 200, "Cache-Control: private=\"x\", max-age=60\r\nX: 1\r\n");
	cr_assert(v.leaves_out);
	assert_life(60, 200, "Cache-Control: no-cache=x, max-age=60\r\nX: 1\r\n");
	cr_assert(v.leaves_out && !v.life.must_validate && !v.life.stale_forbidden);
	assert_not(HF_CACHE_WHY_SET_COOKIE, 200,
		"Cache-Control: private=set-cookie, max-age=60\r\nSet-Cookie: s=1\r\n");
	assert_life(
		60, 200, "CDN-Cache-Control: max-age=60\r\nCache-Control: private=x\r\nX: 1\r\n");
	cr_assert(!v.leaves_out, "what is not in force leaves nothing out");
}

Test(cache_admit, rfc9111_5_2_2_3_must_understand_lifts_no_store_where_the_status_is_known)
{
	assert_life(60, 200, "Cache-Control: must-understand, no-store, max-age=60\r\n");
	assert_not(HF_CACHE_WHY_STATUS, 299,
		"Cache-Control: must-understand, no-store, max-age=60\r\n");
	assert_not(HF_CACHE_WHY_PRIVATE, 200,
		"Cache-Control: must-understand, private, max-age=60\r\n");
}

Test(cache_admit, rfc9213_2_2_a_malformed_targeted_field_leaves_cache_control_in_force)
{
	assert_not(HF_CACHE_WHY_NO_STORE, 200,
		"Cache-Control: no-store\r\nCDN-Cache-Control: max-age=60,\r\n");
	assert_life(60, 200, "Cache-Control: no-store\r\nCDN-Cache-Control: max-age=60\r\n");
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200,
		"CDN-Cache-Control: public\r\nExpires: Sun, 06 Nov 1994 09:00:00 GMT\r\n");
}

Test(cache_admit, rfc9111_3_5_authorization)
{
	static const struct {
		const char *fields;
		bool store;
	} rows[] = {
		{ "Cache-Control: max-age=60\r\n", false },
		{ "Cache-Control: max-age=60, public\r\n", true },
		{ "Cache-Control: s-maxage=60\r\n", true },
		{ "Cache-Control: max-age=60, must-revalidate\r\n", true },
		{ "Cache-Control: max-age=60, proxy-revalidate\r\n", false },
		{ "Cache-Control: public, private, max-age=60\r\n", false },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		admit_req(GET "Authorization: Basic x\r\n", 200, rows[i].fields);
		cr_assert_eq(v.store, rows[i].store, "%s", rows[i].fields);
		cr_assert(!v.store || v.auth_ok);
	}
	admit_req(GET "Authorization: x\r\n", 200, "Cache-Control: max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_AUTHORIZATION, "max-age alone");
}

Test(cache_admit, product_md_4_set_cookie_needs_public_or_s_maxage)
{
	assert_not(
		HF_CACHE_WHY_SET_COOKIE, 200, "Cache-Control: max-age=60\r\nSet-Cookie: a=b\r\n");
	assert_not(
		HF_CACHE_WHY_SET_COOKIE, 200, "Cache-Control: max-age=60\r\nSet-Cookie2: a=b\r\n");
	assert_not(HF_CACHE_WHY_SET_COOKIE, 200,
		"Cache-Control: must-revalidate, max-age=60\r\nSet-Cookie: a=b\r\n");
	assert_not(HF_CACHE_WHY_SET_COOKIE, 200,
		"CDN-Cache-Control: max-age=60\r\n"
		"Cache-Control: public\r\nSet-Cookie: a=b\r\n");
	policy.default_ttl_s = 60;
	assert_not(HF_CACHE_WHY_SET_COOKIE, 200, "Set-Cookie: a=b\r\n");
	assert_life(60, 200, "Cache-Control: max-age=60, public\r\nSet-Cookie: a=b\r\n");
	assert_life(60, 200, "Cache-Control: s-maxage=60\r\nSet-Cookie: a=b\r\n");
}

Test(cache_admit, product_md_4_a_secret_in_the_url_is_not_stored_unless_the_route_says_so)
{
	const char *req = "GET /?access_token=x HTTP/1.1\r\nHost: a\r\n";

	admit_req(req, 200, "Cache-Control: public, max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_SECRET_QUERY, req);
	cr_assert(!v.secret_ok);
	policy.store_secret_query = true;
	admit_req(req, 200, "Cache-Control: public, max-age=60\r\n");
	assert_reason(HF_CACHE_WHY_STORED, req);
	cr_assert(v.secret_ok);
}

Test(cache_admit, what_varies_by_a_field_that_the_operator_calls_secret_is_one_clients)
{
	static const struct hf_names own = { 1, { "x-session-id" } }, none;

	assert_life(60, 200, "Cache-Control: max-age=60\r\nVary: X-Session-Id\r\n");
	hf_http_secrets_set(&own, &none);
	assert_not(HF_CACHE_WHY_VARY_CREDENTIAL, 200,
		"Cache-Control: public, max-age=60\r\nVary: X-Session-Id\r\n");
}

Test(cache_admit, rfc9111_4_1_vary)
{
	assert_not(HF_CACHE_WHY_VARY_ANY, 200, "Cache-Control: max-age=60\r\nVary: a, *\r\n");
	assert_not(HF_CACHE_WHY_VARY_ANY, 200, "Cache-Control: max-age=60\r\nVary: a b\r\n");
	/* the origin was told whom it answers */
	assert_not(HF_CACHE_WHY_VARY_ANY, 200,
		"Cache-Control: max-age=60\r\nVary: a, X-Forwarded-For\r\n");
	assert_not(HF_CACHE_WHY_VARY_ANY, 200, "Cache-Control: max-age=60\r\nVary: forwarded\r\n");
	assert_life(60, 200, "Cache-Control: max-age=60\r\nVary: Accept-Encoding, Cookie\r\n");
	admit_req(GET "Cookie: a=b\r\n", 200,
		"Cache-Control: public, max-age=60\r\nVary: cookie\r\n");
	assert_reason(HF_CACHE_WHY_VARY_CREDENTIAL, "Cookie");
	admit_req(GET "Authorization: x\r\n", 200,
		"Cache-Control: public, max-age=60\r\nVary: Authorization\r\n");
	assert_reason(HF_CACHE_WHY_VARY_CREDENTIAL, "Authorization");
}

Test(cache_admit, rfc9111_4_2_4_what_forbids_stale)
{
	static const struct {
		const char *fields;
		bool forbidden;
	} rows[] = {
		{ "Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=6\r\n",
			false },
		{ "Cache-Control: s-maxage=60, stale-while-revalidate=5\r\n", true },
		{ "Cache-Control: max-age=60, must-revalidate, stale-if-error=6\r\n", true },
		{ "Cache-Control: max-age=60, proxy-revalidate\r\n", true },
		{ "Cache-Control: max-age=60, no-cache\r\nETag: \"x\"\r\n", true },
	};

	policy.swr_s = 7;
	policy.sie_s = 8;
	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		admit(200, rows[i].fields);
		cr_assert_eq(v.life.stale_forbidden, rows[i].forbidden, "%s", rows[i].fields);
		cr_assert(v.store);
	}
	admit(200, rows[0].fields);
	cr_assert(v.life.swr_s == 5 && v.life.sie_s == 6);
	admit(200, "Cache-Control: max-age=60, immutable\r\n");
	cr_assert(v.life.swr_s == 7 && v.life.sie_s == 8 && v.life.immutable);
}

Test(cache_admit, rfc9111_5_2_2_4_no_cache_is_stored_only_with_a_validator)
{
	assert_not(HF_CACHE_WHY_NO_FRESHNESS, 200, "Cache-Control: no-cache\r\n");
	assert_not(HF_CACHE_WHY_EXPIRED, 200, "Cache-Control: no-cache, max-age=60\r\n");
	assert_life(0, 200, "Cache-Control: no-cache\r\nETag: \"x\"\r\n");
	cr_assert(v.life.must_validate && v.life.has_validator);
	assert_life(60, 200, "Cache-Control: no-cache=\"etag\", max-age=60\r\nETag: \"x\"\r\n");
	cr_assert(v.life.must_validate);
}

Test(cache_admit, stale_on_arrival_is_stored_when_it_is_of_use)
{
	assert_not(HF_CACHE_WHY_EXPIRED, 200, "Cache-Control: max-age=0\r\n");
	assert_life(0, 200, "Cache-Control: max-age=0\r\nETag: \"x\"\r\n");
	assert_life(0, 200, "Cache-Control: max-age=0, stale-while-revalidate=5\r\n");
}

Test(cache_admit, too_large_bodies_are_not_stored)
{
	assert_life(60, 200, "Cache-Control: max-age=60\r\nContent-Length: 1000\r\n");
	assert_not(HF_CACHE_WHY_TOO_LARGE, 200,
		"Cache-Control: max-age=60\r\nContent-Length: 1001\r\n");
	policy.object_max = 0;
	assert_life(60, 200, "Cache-Control: max-age=60\r\nContent-Length: 1001\r\n");
}

Test(cache_admit, rfc9111_4_a_response_is_as_recent_as_its_date)
{
	admit(200, "Cache-Control: max-age=60\r\n" DATE);
	cr_assert_eq(v.life.date_s, NOW);
	admit(200, "Cache-Control: max-age=60\r\nDate: Sun, 06 Nov 1994 08:49:30 GMT\r\n");
	cr_assert_eq(v.life.date_s, NOW - 7);
	admit(200, "Cache-Control: max-age=60\r\nDate: Sun, 06 Nov 2044 08:49:30 GMT\r\n");
	cr_assert_eq(v.life.date_s, NOW, "nobody comes from the future");
	admit(200, "Cache-Control: max-age=60\r\nDate: Sun, 06 Nov 1944 08:49:30 GMT\r\n");
	cr_assert_eq(v.life.date_s, 0);
}

Test(cache_admit, rfc9111_4_3_4_a_304_gives_a_new_life)
{
	static struct hf_http_resp resp;
	const char *text =
		"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=9\r\nAge: 2\r\n\r\n";

	cr_assert_eq(hf_http_resp_parse(text, strlen(text), &resp), HF_PARSE_DONE);
	hf_cache_life_of(&resp, &policy, &times, &v);
	cr_assert(v.life.lifetime_s == 9 && v.initial_age_s == 2);
}

Test(cache_admit, every_reason_has_words)
{
	for (unsigned r = 0; r < HF_CACHE_WHY_COUNT; r++) {
		cr_assert_gt(strlen(hf_cache_reason_name((enum hf_cache_reason)r)), 0);
		cr_assert_gt(strlen(hf_cache_reason_text((enum hf_cache_reason)r)), 0);
	}
}
