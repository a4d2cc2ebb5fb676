/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Routes with an auth flow, as a worker sees them; the test is the origin thread that asks.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hf_fallback.h"
#include "serve_rig.h"

#define S         1000000ULL
#define URL       "http://a.example/"
#define HEAD      " HTTP/1.1\r\nHost: a.example\r\n"
#define GET(more) "GET /" HEAD more "\r\n"
#define BEARER    "X-Key: Bearer t\r\n"

#define FLOW      "\"id\":\"f\",\"cache\":\"agent_api_key\",\"service\":{\"group\":\"g\"}"
#define BY_HEADER FLOW ",\"credential\":{\"in\":\"header\",\"name\":\"x-key\"},\"share\":\"any\""

static struct rig rig;
static struct hf_state *state;

static void teardown(void)
{
	rig_close(&rig);
	hf_state_unref(state);
}

static void setup(void)
{
	rig_open(&rig);
	rig.head = "HTTP/1.1 200 OK\r\nCache-Control: public\r\n";
	cr_assert(hf_stat_register("test"));
}

TestSuite(serve_auth, .init = setup, .fini = teardown);

/* Another state is in force, in which all is protected by that flow. */
static void protect(const char *flow)
{
	struct hf_state *before = state;
	char text[2048];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"origins\":[{\"group\":\"g\",\"id\":\"o\","
		"\"url\":"
		"\"http://a:1\"}],\"auth_flows\":[{%s}],\"routes\":[{\"id\":\"r\",\"host\":\"*\","
		"\"path\":\"/\",\"group\":\"g\",\"auth\":\"f\"},{\"id\":\"open\",\"host\":\"*\","
		"\"path\":\"/open\",\"group\":\"g\"}]}",
		flow);
	cr_assert_eq(hf_state_parse(text, strlen(text), stderr, &state), 0);
	hf_serve_state_set(rig.serve, state);
	hf_state_unref(before);
}

static struct rig_client *ask(uint32_t i, const char *text)
{
	struct rig_client *client = &rig.client[i];

	if (client->port && !client->rst)
		rig_reset(&rig, client);
	client = rig_connect(&rig, i);
	rig_send(&rig, client, text);
	return client;
}

/* The next message is a question. */
static struct hf_xchg *expect_ask(void)
{
	void *ptr = NULL;

	cr_assert_eq(rig_origin_next(&rig, &ptr), HF_XCHG_ASK);
	return ptr;
}

static void expect_nothing(void)
{
	void *ptr;

	cr_assert_eq(rig_origin_next(&rig, &ptr), -1);
}

static void tell(struct hf_xchg *xchg, bool failed)
{
	hf_state_unref(xchg->ask.state);
	xchg->ask.failed = failed;
	hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
	rig_settle(&rig);
}

static bool keep(const struct hf_xchg *xchg, bool allow, const char *lines, uint64_t epoch)
{
	const struct hf_state_flow *flow = xchg->ask.flow;
	struct hf_auth_decision decision = { .allow = allow,
		.status = allow ? 200 : 403,
		.decided_us = rig.now_us,
		.ttl_us = (allow ? flow->ttl_s : flow->negative_ttl_s) * S,
		.lines = { lines, strlen(lines) } };
	uint8_t who[HF_SHA256_LEN];

	if (!allow)
		decision.body = HF_SPAN("go away");
	hf_sha256(xchg->ask.credential.ptr, xchg->ask.credential.len, who);
	return hf_auth_put(rig.auth, flow->cache, &xchg->ask.id, who, epoch, &decision);
}

/* The service decides. */
static void decide(struct hf_xchg *xchg, bool allow, const char *lines)
{
	cr_assert(keep(xchg, allow, lines, hf_auth_epoch(rig.auth, xchg->ask.flow->cache)));
	tell(xchg, /* failed= */ false);
}

static bool begins(const struct rig_client *client, const char *text)
{
	return strncmp(client->out, text, strlen(text)) == 0;
}

static uint64_t counted(enum hf_auth_result result)
{
	return hf_stat_sum(HF_STAT_AUTH_AGENT_API_KEY_HIT + result);
}

Test(serve_auth, a_hit_waits_for_the_first_allow_and_stays_in_the_worker_then)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER));
	xchg = expect_ask();
	cr_expect_eq(client->out_len, 0, "%s", client->out);
	cr_expect(hf_span_eq(xchg->ask.credential, HF_SPAN("Bearer t")));
	cr_expect(hf_span_eq(xchg->lines, HF_SPAN("x-key: Bearer t\r\n")));
	decide(xchg, true, "");
	cr_expect(begins(client, "HTTP/1.1 200 OK\r\n") && strstr(client->out, "\r\n\r\nxxxxx"));
	for (uint32_t i = 1; i < 4; i++)
		cr_expect(begins(ask(i, GET(BEARER)), "HTTP/1.1 200 OK\r\n"));
	expect_nothing();
	cr_expect_eq(counted(HF_AUTH_MISS_ABSENT), 1);
	cr_expect_eq(counted(HF_AUTH_HIT), 3);
	cr_expect_eq(hf_stat_sum(HF_STAT_HTTP_REQUESTS), 4);
	cr_expect_eq(hf_stat_sum(HF_STAT_CACHE_HITS), 4);
}

Test(serve_auth, a_deny_is_told_as_the_service_told_it_and_kept)
{
	struct rig_client *client;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER));
	decide(expect_ask(), false, "Content-Type: text/x\r\n");
	cr_expect(begins(client, "HTTP/1.1 403 Forbidden\r\n"));
	cr_expect(strstr(client->out, "Cache-Control: no-store\r\n"));
	cr_expect(strstr(client->out, "Content-Type: text/x\r\n"));
	cr_expect(strstr(client->out, "Content-Length: 7\r\n"));
	cr_expect(strstr(client->out, "\r\n\r\ngo away"));
	cr_expect_not(client->fin);
	client->out_len = 0;
	rig_send(&rig, client, "HEAD /" HEAD BEARER "\r\n");
	cr_expect(begins(client, "HTTP/1.1 403 Forbidden\r\n"));
	cr_expect(strstr(client->out, "Content-Length: 7\r\n"));
	cr_expect_not(strstr(client->out, "go away"));
	expect_nothing();
	cr_expect_eq(counted(HF_AUTH_HIT_NEGATIVE), 1);
	rig.now_us += 10 * S + 1; /* its own, short lifetime is over */
	rig_send(&rig, client, GET(BEARER));
	decide(expect_ask(), true, "");
	cr_expect_eq(counted(HF_AUTH_MISS_EXPIRED), 1);
}

Test(serve_auth, without_a_credential_or_with_two_nobody_is_asked)
{
	struct rig_client *client;
	char text[4300];

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(""));
	cr_expect(begins(client, "HTTP/1.1 401 Unauthorized\r\n"));
	cr_expect(strstr(client->out, "WWW-Authenticate: Bearer\r\n"));
	cr_expect(begins(ask(1, GET(BEARER BEARER)), "HTTP/1.1 401 Unauthorized\r\n"));
	cr_expect(begins(ask(2, GET("X-Key:\r\n")), "HTTP/1.1 401 Unauthorized\r\n"));
	(void)snprintf(text, sizeof(text), "GET /" HEAD "X-Key: %04097d\r\n\r\n", 1);
	cr_expect(begins(ask(3, text), "HTTP/1.1 401 Unauthorized\r\n"), "too long");
	expect_nothing();
	cr_expect_eq(hf_stat_sum(HF_STAT_HTTP_4XX), 4);
	for (int i = 0; i < HF_AUTH_RESULTS; i++)
		cr_expect_eq(counted((enum hf_auth_result)i), 0);
}

Test(serve_auth, other_routes_are_open)
{
	protect(BY_HEADER);
	rig_store(&rig, URL "open", 5, 60);
	cr_expect(begins(ask(0, "GET /open" HEAD "\r\n"), "HTTP/1.1 200 OK\r\n"));
	cr_expect(begins(ask(1, "GET /open/%2e%2e/" HEAD "\r\n"), "HTTP/1.1 401 "));
	cr_expect(begins(ask(2, "GET /open/.././" HEAD "\r\n"), "HTTP/1.1 401 "));
	expect_nothing();
}

/* nginx merges slashes, others decode them, or cut parameters off before they look at dots. */
Test(serve_auth, a_path_that_some_origins_read_as_a_protected_one_is_refused)
{
	static const char *const bad[] = { "/open/..;/x", "/open/..%2fx", "/open/..%5cx",
		"/open/%2e%2e;a=b/", "/open;v=1" };
	static const char *const good[] = { "/open//a", "/open/a;b", "/open/a%2Fb", "/open/./a//..",
		"/open/" };
	struct hf_xchg *xchg;

	protect(BY_HEADER);
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "GET %s" HEAD BEARER "\r\n", bad[i]);
		cr_expect(begins(ask(0, text), "HTTP/1.1 400 "), "%s", bad[i]);
	}
	expect_nothing();
	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "GET %s" HEAD "\r\n", good[i]);
		(void)ask(0, text);
		xchg = rig_expect_start(&rig);
		xchg->fail_status = 502;
		xchg->fail_reason = HF_DROP_REQ_ORIGIN_FAILED;
		hf_xchg_to_worker(rig.link, HF_XCHG_FAIL, xchg);
		rig_settle(&rig);
		rig_expect_finish(&rig, xchg);
	}
}

/* A miss goes on with what the service says of the user, and without what the client says of it. */
Test(serve_auth, a_miss_takes_the_decisions_fields_along_and_no_claims_of_the_client)
{
	struct hf_xchg *xchg;

	protect(FLOW ",\"credential\":{\"in\":\"header\",\"name\":\"x-key\"},"
		     "\"allow\":{\"add\":[\"x-user\"],\"remove\":[\"x-key\"]}");
	(void)ask(
		0, "GET /a/../b" HEAD BEARER "X-User: root\r\nx_USER: root\r\nX-Other: o\r\n\r\n");
	decide(expect_ask(), true, "x-user: joe\r\n");
	xchg = rig_expect_start(&rig);
	cr_expect(memmem(xchg->lines.ptr, xchg->lines.len, "x-user: joe\r\n", 13));
	cr_expect(memmem(xchg->lines.ptr, xchg->lines.len, "X-Other: o\r\n", 12));
	cr_expect_not(memmem(xchg->lines.ptr, xchg->lines.len, "root", 4));
	cr_expect_not(memmem(xchg->lines.ptr, xchg->lines.len, "Bearer", 6));
	cr_expect_eq(xchg->auth, state->flow[0].digest);
	/* what was allowed is asked for, however it was spelled */
	cr_expect(hf_span_eq(xchg->path_query, HF_SPAN("/b")));
	cr_expect(xchg->has_authorization);
	(void)rig_answer(&rig, xchg, 5, /* stream= */ true);
}

Test(serve_auth, what_is_revoked_is_asked_about_again_at_once)
{
	uint8_t who[HF_SHA256_LEN];
	struct rig_client *client;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	(void)ask(0, GET(BEARER));
	decide(expect_ask(), true, "");
	hf_sha256("Bearer t", 8, who);
	cr_assert_eq(hf_auth_revoke(rig.auth, HF_AUTH_AGENT_API_KEY, who), 1);
	client = ask(1, GET(BEARER));
	cr_expect_eq(client->out_len, 0);
	decide(expect_ask(), false, "");
	cr_expect(begins(client, "HTTP/1.1 403 "));
}

/* An allow that was on its way when it was revoked lets nobody in. */
Test(serve_auth, an_answer_to_a_question_from_before_a_revocation_does_not_count)
{
	struct rig_client *client;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER));
	for (int i = 0; i < 3; i++) {
		struct hf_xchg *xchg = expect_ask();
		uint64_t epoch = hf_auth_epoch(rig.auth, HF_AUTH_AGENT_API_KEY);

		if (i == 1) { /* kept, then gone before the worker looks */
			cr_assert(keep(xchg, true, "", epoch));
			(void)hf_auth_revoke(rig.auth, HF_AUTH_AGENT_API_KEY, NULL);
		} else {
			(void)hf_auth_revoke(rig.auth, HF_AUTH_AGENT_API_KEY, NULL);
			cr_assert_not(keep(xchg, true, "", epoch));
		}
		cr_expect_eq(client->out_len, 0);
		tell(xchg, /* failed= */ false);
	}
	expect_nothing(); /* there is an end to it */
	cr_expect(begins(client, "HTTP/1.1 503 "));
	cr_expect_eq(counted(HF_AUTH_MISS_ABSENT), 1);
}

Test(serve_auth, an_error_is_503_or_403_as_the_flow_says_and_not_kept)
{
	struct rig_client *client;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER));
	tell(expect_ask(), /* failed= */ true);
	cr_expect(begins(client, "HTTP/1.1 503 "));
	protect(BY_HEADER ",\"on_error\":{\"status\":403}");
	client = ask(1, GET(BEARER));
	tell(expect_ask(), /* failed= */ true);
	cr_expect(begins(client, "HTTP/1.1 403 "));
	cr_expect_eq(counted(HF_AUTH_MISS_ABSENT), 2);
}

Test(serve_auth, in_fallback_an_allow_that_is_not_too_old_stands_in_for_an_error)
{
	static const struct {
		uint32_t mode, age_s;
		bool allow;
		const char *status;
	} cases[] = { { 0, 301, true, "HTTP/1.1 503 " },
		{ HF_MODE_FALLBACK, 301, true, "HTTP/1.1 200 " },
		{ HF_MODE_FALLBACK, 600, true, "HTTP/1.1 200 " },
		{ HF_MODE_FALLBACK, 601, true, "HTTP/1.1 503 " },
		{ HF_MODE_FALLBACK, 301, false, "HTTP/1.1 503 " } };

	rig_store(&rig, URL, 5, 100000);
	for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
		struct rig_client *client;
		struct hf_xchg *xchg;

		protect(BY_HEADER ",\"on_error\":{\"fallback_ttl\":600}");
		hf_serve_mode_set(rig.serve, 0);
		(void)hf_auth_revoke(rig.auth, HF_AUTH_AGENT_API_KEY, NULL);
		(void)ask(0, GET(BEARER));
		xchg = expect_ask();
		decide(xchg, cases[i].allow, "");
		rig.now_us += cases[i].age_s * S;
		hf_serve_mode_set(rig.serve, cases[i].mode);
		client = ask(1, GET(BEARER));
		xchg = expect_ask(); /* the service is asked first */
		cr_expect_eq(client->out_len, 0);
		tell(xchg, /* failed= */ true);
		cr_expect(begins(client, cases[i].status), "case %zu: %s", i, client->out);
	}
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_FALLBACK_ALLOWED), 2);
}

Test(serve_auth, credentials_are_found_where_the_flow_says)
{
	struct hf_xchg *xchg;

	protect(FLOW ",\"credential\":{\"in\":\"cookie\",\"name\":\"sid\"}");
	(void)ask(0, GET("Cookie: a=1; sid=c1; xsid=2\r\nCookie: b=sid=3\r\n"));
	xchg = expect_ask();
	cr_expect(hf_span_eq(xchg->lines, HF_SPAN("X-Credential: c1\r\n")));
	cr_expect(hf_span_eq(xchg->ask.credential, HF_SPAN("c1")));
	tell(xchg, true);
	cr_expect(begins(ask(1, GET("Cookie: sid=1\r\nCookie: sid=2\r\n")), "HTTP/1.1 401 "));
	cr_expect(begins(ask(1, GET("Cookie: SID=1\r\n")), "HTTP/1.1 401 "));
	protect(FLOW ",\"credential\":{\"in\":\"query\",\"name\":\"api_key\"}");
	(void)ask(2, "GET /?a=1&api%5Fkey=q1" HEAD "\r\n");
	xchg = expect_ask();
	cr_expect(hf_span_eq(xchg->ask.credential, HF_SPAN("q1")));
	tell(xchg, true);
	cr_expect(begins(ask(3, "GET /?api_key=1&api_key=1" HEAD "\r\n"), "HTTP/1.1 401 "));
	cr_expect(begins(ask(3, "GET /?api_key=" HEAD "\r\n"), "HTTP/1.1 401 "));
	protect(FLOW
		",\"credential\":{\"in\":\"mtls\",\"name\":\"x-cert\",\"from\":[\"192.0.2.1\"]}");
	(void)ask(4, GET("X-Cert: CN=a\r\n"));
	xchg = expect_ask();
	cr_expect(hf_span_eq(xchg->lines, HF_SPAN("x-cert: CN=a\r\n")));
	tell(xchg, true);
	protect(FLOW
		",\"credential\":{\"in\":\"mtls\",\"name\":\"x-cert\",\"from\":[\"192.0.2.2\"]}");
	cr_expect(begins(ask(5, GET("X-Cert: CN=a\r\n")), "HTTP/1.1 401 "));
	expect_nothing();
}

/* What the service is told is what the decision is kept under. */
Test(serve_auth, what_is_told_makes_decisions_different_and_nothing_else_does)
{
	struct hf_xchg *xchg;
	struct hf_auth_id id;

	protect("\"id\":\"f\",\"cache\":\"agent_api_key\",\"credential\":{\"in\":\"header\","
		"\"name\":"
		"\"x-key\"},\"service\":{\"group\":\"g\",\"tell\":[\"method\",\"host\","
		"\"path\","
		"\"query\"],\"headers\":[\"user-agent\"]}");
	(void)ask(0, "GET /a?b" HEAD BEARER "User-Agent: u\r\nX: 1\r\n\r\n");
	xchg = expect_ask();
	id = xchg->ask.id;
	cr_expect(hf_span_eq(xchg->lines, HF_SPAN("x-key: Bearer t\r\nX-Forwarded-Method: GET\r\n"
						  "X-Forwarded-Host: a.example\r\nX-Forwarded-Uri: "
						  "/a?b\r\nuser-agent: u\r\n")));
	tell(xchg, true);
	(void)ask(1, "GET /./a?b" HEAD BEARER "User-Agent: u\r\nX: 2\r\n\r\n");
	xchg = expect_ask();
	cr_expect(hf_auth_id_eq(&id, &xchg->ask.id));
	tell(xchg, true);
	static const char *const others[] = { "PUT /a?b" HEAD BEARER "User-Agent: u\r\n\r\n",
		"GET /a?c" HEAD BEARER "User-Agent: u\r\n\r\n",
		"GET /b?b" HEAD BEARER "User-Agent: u\r\n\r\n",
		"GET /a?b" HEAD BEARER "User-Agent: v\r\n\r\n",
		"GET /a?b" HEAD "X-Key: Bearer u\r\nUser-Agent: u\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: b.example\r\n" BEARER "User-Agent: u\r\n\r\n" };
	for (uint32_t i = 0; i < HF_ARRAY_LEN(others); i++) {
		(void)ask(2, others[i]);
		xchg = expect_ask();
		cr_expect_not(hf_auth_id_eq(&id, &xchg->ask.id), "%s", others[i]);
		tell(xchg, true);
	}
}

Test(serve_auth, what_is_stored_is_for_others_only_as_the_flow_says)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	rig_store(&rig, URL, 5, 60); /* nothing says that who has credentials may have it */
	/* any: the cookie is the gate's alone */
	protect(FLOW ",\"credential\":{\"in\":\"cookie\",\"name\":\"s\"},\"share\":\"any\"");
	client = ask(0, GET("Cookie: s=1\r\n"));
	decide(expect_ask(), true, "");
	cr_expect(begins(client, "HTTP/1.1 200 OK\r\n"));
	/* explicit, which is what is meant without a word: as with Authorization (RFC 9111 §3.5) */
	protect(FLOW ",\"credential\":{\"in\":\"cookie\",\"name\":\"s\"}");
	(void)ask(1, GET("Cookie: s=1\r\n"));
	decide(expect_ask(), true, "");
	xchg = rig_expect_start(&rig);
	cr_expect_eq(xchg->cause, HF_XCHG_BYPASS_REQUEST);
	(void)rig_answer(&rig, xchg, 5, /* stream= */ true);
	(void)ask(3, "GET /new" HEAD "Cookie: s=1\r\n\r\n");
	xchg = rig_expect_start(&rig);
	cr_expect(xchg->has_authorization && xchg->shared);
	cr_expect(memmem(xchg->head.ptr, xchg->head.len, "\r\nAuthorization: *\r\n\r\n", 22));
	cr_expect_not(memmem(xchg->lines.ptr, xchg->lines.len, "Authorization", 13));
	(void)rig_answer(&rig, xchg, 5, /* stream= */ true);
	/* none */
	protect(FLOW ",\"credential\":{\"in\":\"cookie\",\"name\":\"s\"},\"share\":\"none\"");
	(void)ask(2, GET("Cookie: s=1\r\n"));
	decide(expect_ask(), true, "");
	xchg = rig_expect_start(&rig);
	cr_expect_not(xchg->shared);
	cr_expect_eq(xchg->cause, HF_XCHG_BYPASS_REQUEST);
	(void)rig_answer(&rig, xchg, 5, /* stream= */ true);
}

/* RFC 5861 §3: as the hit's request would be, with what allowed it. */
Test(serve_auth, a_refresh_in_the_background_has_the_credential_and_the_decisions_fields)
{
	struct hf_obj *obj = rig_store(&rig, URL, 5, 60);
	struct hf_xchg *xchg;

	obj->life.swr_s = 100;
	obj->born_us -= 100 * S;
	protect(FLOW ",\"credential\":{\"in\":\"header\",\"name\":\"x-key\"},\"allow\":{\"add\":"
		     "[\"x-user\"]},\"share\":\"explicit\"");
	obj->flags |= HF_OBJ_AUTH_OK;
	(void)ask(0, GET(BEARER "Cookie: c\r\nX-User: root\r\n"));
	decide(expect_ask(), true, "x-user: joe\r\n");
	cr_expect(begins(&rig.client[0], "HTTP/1.1 200 OK\r\n"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->background && xchg->has_authorization);
	cr_expect_eq(xchg->auth, state->flow[0].digest);
	cr_expect(memmem(xchg->lines.ptr, xchg->lines.len, "X-Key: Bearer t\r\n", 17));
	cr_expect(memmem(xchg->lines.ptr, xchg->lines.len, "x-user: joe\r\n", 13));
	cr_expect_not(memmem(xchg->lines.ptr, xchg->lines.len, "root", 4));
	cr_expect_not(memmem(xchg->lines.ptr, xchg->lines.len, "Cookie", 6));
	cr_expect(memmem(xchg->head.ptr, xchg->head.len, "\r\nAuthorization: *\r\n\r\n", 22));
	hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
	rig_settle(&rig);
}

Test(serve_auth, what_is_pipelined_behind_a_question_waits_for_it)
{
	struct rig_client *client;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER) "GET /open" HEAD "\r\n");
	rig_send(&rig, client, GET(""));
	cr_expect_eq(client->out_len, 0);
	rig_store(&rig, URL "open", 3, 60);
	decide(expect_ask(), true, "");
	cr_expect(begins(client, "HTTP/1.1 200 OK\r\n"));
	cr_expect(strstr(client->out, "\r\n\r\nxxxxxHTTP/1.1 200 OK\r\n"));
	cr_expect(strstr(client->out, "\r\n\r\nxxxHTTP/1.1 401 "));
	expect_nothing();
}

Test(serve_auth, a_client_may_leave_while_the_service_is_asked)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	protect(BY_HEADER);
	client = ask(0, GET(BEARER));
	xchg = expect_ask();
	rig_reset(&rig, client);
	cr_expect_null(xchg->owner);
	decide(xchg, true, "");
	expect_nothing();
	cr_expect_eq(hf_xchg_out_count(rig.xchgs, 0), 0);
	/* and what was decided is there */
	(void)ask(1, GET(BEARER));
	(void)rig_answer(&rig, rig_expect_start(&rig), 5, /* stream= */ true);
}

Test(serve_auth, a_request_in_pieces_with_a_body_is_asked_about_once_and_goes_on_whole)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	protect(BY_HEADER);
	client = ask(0, "POST /" HEAD);
	rig_send(&rig, client, BEARER "Content-Length: 4\r\n\r\nbo");
	xchg = expect_ask();
	rig_send(&rig, client, "dy");
	decide(xchg, true, "");
	xchg = rig_expect_start(&rig);
	cr_expect(xchg->has_body && xchg->body_length == 4);
	cr_expect_eq(xchg->method, HF_HTTP_POST);
	(void)rig_answer(&rig, xchg, 5, /* stream= */ true);
	cr_expect(begins(client, "HTTP/1.1 200 OK\r\n"));
}

Test(serve_auth, a_state_that_protects_counts_from_the_next_request_on)
{
	rig_store(&rig, URL, 5, 60);
	cr_expect(begins(ask(0, GET("")), "HTTP/1.1 200 OK\r\n"));
	protect(BY_HEADER);
	cr_expect(begins(ask(1, GET("")), "HTTP/1.1 401 "));
	hf_serve_state_set(rig.serve, NULL);
	cr_expect(begins(ask(2, GET("")), "HTTP/1.1 200 OK\r\n"));
}

/* The flow was another one when the service was asked: its word does not count for this one. */
Test(serve_auth, a_decision_of_another_flow_lets_nobody_in)
{
	struct rig_client *client;
	struct hf_xchg *xchg;

	protect(BY_HEADER);
	rig_store(&rig, URL, 5, 60);
	client = ask(0, GET(BEARER));
	xchg = expect_ask();
	protect(BY_HEADER ",\"ttl\":7");
	decide(xchg, true, "");
	cr_expect_eq(client->out_len, 0);
	decide(expect_ask(), false, "");
	cr_expect(begins(client, "HTTP/1.1 403 "));
}

Test(serve_auth, a_service_that_hangs_leaves_half_of_the_exchanges_to_others)
{
	struct hf_xchg *asked[2];

	protect(BY_HEADER);
	for (uint32_t i = 0; i < 2; i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "GET /" HEAD "X-Key: k%u\r\n\r\n", i);
		(void)ask(i, text);
		asked[i] = expect_ask();
	}
	cr_expect(begins(ask(2, GET(BEARER)), "HTTP/1.1 503 "));
	(void)ask(3, "GET /open" HEAD "\r\n");
	(void)rig_answer(&rig, rig_expect_start(&rig), 5, /* stream= */ true);
	for (uint32_t i = 0; i < 2; i++)
		tell(asked[i], /* failed= */ true);
	cr_expect(begins(&rig.client[0], "HTTP/1.1 503 "));
	(void)ask(4, GET(BEARER));
	tell(expect_ask(), /* failed= */ true);
}

Test(serve_auth, without_exchanges_a_question_is_shed)
{
	struct hf_xchg *held[8];
	uint32_t count = 0;
	struct rig_client *client;

	protect(BY_HEADER);
	while ((held[count] = hf_xchg_get(rig.xchgs, 0)) != NULL)
		count++;
	client = ask(0, GET(BEARER));
	cr_expect(begins(client, "HTTP/1.1 503 "));
	expect_nothing();
	while (count > 0)
		hf_xchg_put(rig.xchgs, held[--count]);
}
