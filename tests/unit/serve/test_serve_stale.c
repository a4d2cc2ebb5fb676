/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Stale hits and the refreshes that they ask for (RFC 5861 §3); what Cache-Status says of answers that
 * came by validation or instead of an error (RFC 9211).
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hf_fallback.h"
#include "serve_rig.h"

#define URL(path) "http://a.example" path
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"

static struct rig rig;

static void setup(void)
{
	rig_open(&rig);
	rig.conf.origin.exchanges_max = 4; /* as the rig has */
	cr_assert(hf_stat_register("test"));
}

static void teardown(void)
{
	rig_close(&rig);
}

TestSuite(serve_stale, .init = setup, .fini = teardown);

/* Stored, 40 seconds past its lifetime and within its window. */
static struct hf_obj *store_stale(const char *url)
{
	struct hf_obj *obj = rig_store(&rig, url, 10, 60);

	obj->life.swr_s = 100;
	obj->born_us -= 100000000;
	return obj;
}

static bool has(struct hf_span text, const char *part)
{
	return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void expect_nothing(void)
{
	void *ptr;

	cr_assert_eq(rig_origin_next(&rig, &ptr), -1);
}

static void gone(struct hf_xchg *xchg)
{
	hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
	rig_settle(&rig);
}

Test(serve_stale, rfc5861_3_the_stale_one_at_once_and_one_refresh)
{
	struct hf_obj *obj = store_stale(URL("/a"));
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, GET("/a"));
	cr_assert(strstr(client->out, "HTTP/1.1 200 OK\r\n") == client->out);
	cr_assert(strstr(client->out, "Age: 100\r\n"));
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit\r\n"));
	cr_assert(strstr(client->out, "\r\n\r\nxxxxxxxxxx"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->background && xchg->shared && !xchg->owner && !xchg->has_body);
	for (uint32_t i = 0; i < 5; i++) /* the same, another second, another connection */
		rig_send(&rig, rig_connect(&rig, 1 + i), GET("/a"));
	expect_nothing();
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_STALE_SWR), 6);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_HITS), 6);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_REFRESHES), 1);
	/* it came to nothing: another one, but not at once */
	hf_obj_refresh_put(obj, rig.now_us);
	gone(xchg);
	cr_assert_eq(hf_xchg_out_count(rig.xchgs, 0), 0);
	rig_send(&rig, client, GET("/a"));
	expect_nothing();
	rig_wait(&rig, 1000000);
	rig_send(&rig, client, GET("/a"));
	gone(rig_expect_start(&rig));
}

Test(serve_stale, rfc5861_3_a_refresh_has_nothing_of_its_client_s_own)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_http_req req;
	struct hf_http_fault fault;
	const struct hf_http_limits limits = { 65536, 65536, HF_HTTP_LINES_MAX };
	static const char *const own[] = { "ookie", "Range", "If-", "Cache-Control", "Pragma",
		"X-Auth-Token", "secret", "Connection", "X-Hop" };

	(void)store_stale(URL("/a?q=1"));
	rig_send(&rig, client,
		"GET /%61?q=1 HTTP/1.1\r\nHost: A.example:80\r\nCookie: secret=1\r\n"
		"Range: bytes=0-1\r\nIf-None-Match: \"x\"\r\nIf-Range: \"x\"\r\n"
		"Cache-Control: no-transform\r\nPragma: x\r\nX-Auth-Token: secret\r\n"
		"Connection: X-Hop\r\nX-Hop: secret\r\nAccept-Language: de\r\n\r\n");
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	xchg = rig_expect_start(&rig);
	for (size_t i = 0; i < HF_ARRAY_LEN(own); i++) {
		cr_assert(!has(xchg->head, own[i]), "%s", own[i]);
		cr_assert(!has(xchg->lines, own[i]), "%s", own[i]);
	}
	cr_assert(has(xchg->lines, "Accept-Language: de\r\n"));
	cr_assert(has(xchg->path_query, "/a?q=1"));
	cr_assert(has((struct hf_span){ xchg->key.ptr, xchg->key.len }, URL("/a?q=1")));
	cr_assert_eq(hf_http_req_parse(xchg->head.ptr, xchg->head.len, &limits, &req, &fault),
		HF_PARSE_DONE);
	cr_assert(hf_http_fields_have(&req.fields, HF_HTTP_FIELD_ACCEPT_LANGUAGE));
	gone(xchg);
}

Test(serve_stale, rfc5861_3_who_gets_nothing_that_may_be_stored_refreshes_nothing)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_obj *obj = store_stale(URL("/a"));

	obj->flags |= HF_OBJ_AUTH_OK;
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic eA==\r\n"
		"Range: bytes=0-1\r\n\r\n");
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	rig_send(&rig, client, "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
	expect_nothing();
	cr_assert_eq(obj->refreshing, HF_OBJ_REFRESH_IDLE);
}

Test(serve_stale, rfc9111_3_5_a_refresh_has_the_credentials_by_which_its_answer_is_judged)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_obj *obj = store_stale(URL("/a"));
	struct hf_xchg *xchg;

	obj->flags |= HF_OBJ_AUTH_OK;
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic eA==\r\n"
		"Cookie: b=1\r\n\r\n");
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->background && xchg->shared && xchg->has_authorization);
	cr_assert(has(xchg->lines, "Authorization: Basic eA==\r\n"));
	cr_assert(has(xchg->head, "Authorization: Basic eA==\r\n"));
	cr_assert(!has(xchg->lines, "Cookie"));
	gone(xchg);
}

Test(serve_stale, refreshes_leave_half_of_the_exchanges_to_clients)
{
	static const char *const url[] = { URL("/a"), URL("/b"), URL("/c") };
	static const char *const get[] = { GET("/a"), GET("/b"), GET("/c") };
	struct hf_xchg *xchg[2];

	for (uint32_t i = 0; i < 3; i++)
		(void)store_stale(url[i]);
	for (uint32_t i = 0; i < 3; i++) {
		struct rig_client *client = rig_connect(&rig, i);

		rig_send(&rig, client, get[i]);
		cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	}
	xchg[0] = rig_expect_start(&rig);
	xchg[1] = rig_expect_start(&rig);
	expect_nothing();
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_REFRESHES_SHED), 1);
	gone(xchg[0]);
	gone(xchg[1]);
	rig_wait(&rig, 1000000);
	rig_send(&rig, rig_connect(&rig, 3), get[2]);
	gone(rig_expect_start(&rig));
}

Test(serve_stale, rfc9111_5_2_1_2_max_stale_is_counted_and_refreshes_nothing)
{
	struct rig_client *client = rig_connect(&rig, 0);

	store_stale(URL("/a"))->life.swr_s = 0;
	rig_send(&rig, client,
		"GET /a HTTP/1.1\r\nHost: a.example\r\nCache-Control: max-stale\r\n\r\n");
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit"));
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_STALE_CLIENT), 1);
	expect_nothing();
}

static void expect_status(
	bool stored, bool collapsed, bool local, bool stale, uint16_t fwd_status, const char *said)
{
	static uint32_t number;
	struct rig_client *client = rig_connect(&rig, number++);
	struct hf_xchg *xchg;
	void *ptr = NULL;
	char line[128];

	rig_send(&rig, client, GET("/a"));
	xchg = rig_expect_start(&rig);
	xchg->collapsed = collapsed;
	xchg->local = local;
	xchg->stale = stale;
	xchg->fwd_status = fwd_status;
	(void)rig_answer(&rig, xchg, 5, !stored);
	(void)snprintf(line, sizeof(line), "Cache-Status: holdfast; %s\r\n", said);
	cr_assert(strstr(client->out, line), "%s: %s", said, client->out);
	/* RFC 9111 §4: what is stored and was not validated has an Age, though it be 0 */
	cr_assert_eq(strstr(client->out, "\r\nAge: 0\r\n") != NULL, local || stale, "%s", said);
	hf_shard_fill_fail(rig.shard, xchg->obj);
	hf_shard_obj_unref(rig.shard, xchg->obj); /* the fill's */
	rig_more(&rig, xchg);
	while (rig_origin_next(&rig, &ptr) != HF_XCHG_FINISH)
		rig_settle(&rig);
	hf_shard_obj_unref(rig.shard, xchg->obj);
	gone(xchg);
}

Test(serve_stale, rfc9211_2_how_the_answer_came)
{
	store_stale(URL("/a"))->life.swr_s = 0; /* cause: stale */
	expect_status(true, false, false, false, 0, "fwd=stale; stored");
	expect_status(true, true, false, false, 0, "fwd=stale; collapsed");
	expect_status(true, false, false, false, 304, "fwd=stale; fwd-status=304; stored");
	expect_status(true, true, false, false, 304, "fwd=stale; fwd-status=304; collapsed");
	expect_status(false, false, false, false, 304, "fwd=stale; fwd-status=304");
	expect_status(true, false, true, false, 0, "hit");
	expect_status(true, false, true, true, 0, "hit; detail=stale-if-error");
	expect_status(
		true, false, false, true, 503, "fwd=stale; fwd-status=503; detail=stale-if-error");
}

/* Stored, 100 s old, and past its lifetime of 80 s without any window of its own. */
static struct hf_obj *store_expired(const char *url)
{
	struct hf_obj *obj = store_stale(url);

	obj->life.lifetime_s = 80;
	obj->life.swr_s = 0;
	rig.conf.control_plane.max_stale_s = 30;
	return obj;
}

Test(serve_stale, in_fallback_what_expired_is_served_at_once_and_refreshed)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	(void)store_expired(URL("/a"));
	hf_serve_mode_set(rig.serve, HF_MODE_FALLBACK);
	rig_send(&rig, client, GET("/a"));
	cr_assert(strstr(client->out, "Age: 100\r\n"));
	cr_assert(strstr(client->out, "Cache-Status: holdfast; hit\r\n"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->background);
	cr_assert_eq(hf_stat_sum(HF_STAT_CACHE_STALE_FALLBACK), 1);
	gone(xchg);
	hf_serve_mode_set(rig.serve, HF_MODE_EXPIRED);
	rig_send(&rig, rig_connect(&rig, 1), GET("/a"));
	xchg = rig_expect_start(&rig);
	cr_assert(!xchg->background, "out of fallback it is asked about first");
}

Test(serve_stale, in_fallback_nothing_is_served_past_max_stale_or_against_its_will)
{
	struct hf_obj *obj = store_expired(URL("/a"));
	struct {
		const char *what, *fields;
		uint32_t lifetime_s;
		bool forbidden, hit;
	} cases[] = {
		{ "30 s past its lifetime", "", 70, false, true },
		{ "31 s past its lifetime", "", 69, false, false },
		{ "must-revalidate", "", 80, true, false },
		{ "the request says no-cache", "Cache-Control: no-cache\r\n", 80, false, false },
	};

	hf_serve_mode_set(rig.serve, HF_MODE_FALLBACK);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		char text[256];

		obj->life.lifetime_s = cases[i].lifetime_s;
		obj->life.stale_forbidden = cases[i].forbidden;
		(void)snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a.example\r\n%s\r\n",
			cases[i].fields);
		rig_send(&rig, client, text);
		cr_expect_eq(strstr(client->out, "Cache-Status: holdfast; hit") != NULL,
			cases[i].hit, "%s", cases[i].what);
		xchg = rig_expect_start(&rig);
		rig_reset(&rig, client);
		if (cases[i].hit)
			gone(xchg); /* its refresh */
		else
			rig_expect_finish(&rig, xchg);
		rig_wait(&rig, 1000000);
		hf_obj_refresh_put(obj, 0);
	}
}
