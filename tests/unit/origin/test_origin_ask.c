/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Auth services are asked: once for all who wait, and what they may say. The rig's server is service and origin.
 */
#include "rig.h"

#define FLOW_OF(ms, more)                                                                          \
	"{\"id\":\"f\",\"cache\":\"auth_gateway\",\"credential\":{\"in\":\"header\",\"name\":\"x-" \
	"key\"},"                                                                                  \
	"\"negative_ttl\":7,\"allow\":{\"add\":[\"x-user\"]},\"service\":{\"group\":\"s\","        \
	"\"path\":"                                                                                \
	"\"/check?now\",\"timeout_ms\":" #ms more "}}"
#define FLOW(more) FLOW_OF(10000, more)
#define PROTECTED  ",\"auth\":\"f\""
#define ALLOW      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: joe\r\nX-Other: 1\r\n\r\nok"

static struct hf_auth *auth;

/* Another state is in force: the group "s" has SERVICES, and the route says MORE. */
static void set_state_of(struct rig *rig, uint32_t services, const char *flow, const char *more)
{
	char text[8192], list[4096] = "";

	for (uint32_t i = 0; i < services; i++)
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list),
			",{\"group\":\"s\",\"id\":\"s%u\",\"url\":\"http://127.0.0.1:%u\"}", i,
			rig->port);
	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"groups\":[{\"id\":\"s\"}],\"origins\":[{"
		"\"group\":"
		"\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:%u\"}%s],\"auth_flows\":[%s],"
		"\"auth_revoked\":["
		"\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"%s}]}",
		rig->port, list, flow, more);
	rig_state_text(rig, text);
	rig_settle(rig);
}

static struct rig *up_with(struct rig *rig)
{
	cr_assert_eq(hf_auth_new(8, &auth), 0);
	hf_origin_auth_set(rig->origin, auth);
	set_state_of(rig, 1, FLOW(""), PROTECTED);
	return rig;
}

static struct rig *up(void)
{
	return up_with(rig_new());
}

static void down(struct rig *rig)
{
	hf_origin_free(rig->origin);
	hf_auth_free(auth);
	rig->origin = NULL;
	rig_free(rig);
}

static struct hf_auth_id id_of(const char *credential)
{
	return hf_auth_id(auth, credential, strlen(credential));
}

/* As lib/serve does. */
static void ask_of(struct rig *rig, uint32_t worker, uint32_t flow, struct rig_client *client,
	const char *credential)
{
	struct hf_xchg *xchg = hf_xchg_get(rig->net, worker);
	int len = snprintf(
		xchg->buf, xchg->buf_len, "x-key: %s\r\nX-Forwarded-Method: GET\r\n", credential);

	memset(client, 0, sizeof(*client));
	client->xchg = xchg;
	xchg->owner = client;
	xchg->lines = (struct hf_span){ xchg->buf, (size_t)len };
	xchg->to = hf_xchg_link(rig->net, worker, 0);
	xchg->ask.state = hf_state_ref(rig->state);
	xchg->ask.flow = &rig->state->flow[flow];
	xchg->ask.id = id_of(credential);
	xchg->ask.credential = (struct hf_span){ xchg->buf + 7, strlen(credential) };
	hf_xchg_to_origin(xchg->to, HF_XCHG_ASK, xchg);
}

static void ask(struct rig *rig, struct rig_client *client, const char *credential)
{
	ask_of(rig, 0, 0, client, credential);
}

static enum hf_auth_result found(const char *credential, const struct hf_auth_decision **ret)
{
	struct hf_auth_id id = id_of(credential);

	return hf_auth_lookup(auth, HF_AUTH_AUTH_GATEWAY, &id, hf_clock_us(), ret);
}

static bool told_failed; /* who waited for the last answer */

/* One question, one answer, and what came of it. */
static enum hf_auth_result answered(
	struct rig *rig, const char *answer, bool close_after, const struct hf_auth_decision **ret)
{
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	ask(rig, &client, "k");
	conn = rig_asked(rig, &head);
	rig_say(conn, answer);
	conn->close_after = close_after;
	rig_until(rig, client.gone);
	told_failed = client.ask_failed;
	return found("k", ret);
}

Test(origin_ask, who_asks_the_same_waits_for_one_question)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	struct rig_client client[3], other;
	struct rig_conn *conn;
	const char *head;

	for (int i = 0; i < 3; i++)
		ask(rig, &client[i], "k");
	ask(rig, &other, "l");
	conn = rig_asked(rig, &head);
	cr_expect(strstr(head, "GET /check?now HTTP/1.1\r\n") == head);
	(void)rig_asked(rig, &head);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 2);
	rig_say(conn, ALLOW);
	rig_until(rig, client[0].gone || other.gone);
	rig_until(rig, (client[0].gone && client[1].gone && client[2].gone) || other.gone);
	cr_expect_neq(client[0].gone, other.gone);
	cr_expect_eq(found(client[0].gone ? "k" : "l", &decision), HF_AUTH_HIT);
	cr_expect_eq(found(client[0].gone ? "l" : "k", &decision), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ALLOW), 1);
	down(rig); /* with the other under way */
}

Test(origin_ask, workers_that_ask_the_same_wait_for_one_question)
{
	struct rig *rig = up_with(rig_of_workers(3));
	const struct hf_auth_decision *decision;
	struct rig_client client[9];
	struct rig_conn *conn;
	const char *head;

	for (uint32_t i = 0; i < 9; i++)
		ask_of(rig, i % 3, 0, &client[i], "k");
	conn = rig_asked(rig, &head);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 1);
	for (uint32_t i = 0; i < 9; i++)
		cr_expect_not(client[i].gone);
	rig_say(conn, ALLOW);
	for (uint32_t i = 0; i < 9; i++)
		rig_until(rig, client[i].gone);
	cr_expect_eq(found("k", &decision), HF_AUTH_HIT);
	cr_expect_eq(rig_requests(rig), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ALLOW), 1);
	down(rig);
}

Test(origin_ask, who_asks_for_another_cache_asks_for_himself)
{
	struct rig *rig = up();
	struct rig_client client[2];

	set_state_of(rig, 1,
		FLOW("") ",{\"id\":\"i\",\"cache\":\"agent_identity\",\"credential\":{\"in\":"
			 "\"header\","
			 "\"name\":\"x-key\"},\"service\":{\"group\":\"s\"}}",
		PROTECTED);
	for (uint32_t i = 0; i < 2; i++)
		ask_of(rig, 0, i, &client[i], "k");
	rig_until(rig, rig_requests(rig) == 2);
	down(rig);
}

Test(origin_ask, a_decision_is_as_old_as_its_question)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision = NULL;
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;
	uint64_t asked_us;

	ask(rig, &client, "k");
	conn = rig_asked(rig, &head);
	asked_us = hf_clock_us();
	rig_say(conn, ALLOW);
	rig_until(rig, client.gone);
	cr_assert_eq(found("k", &decision), HF_AUTH_HIT);
	cr_expect_leq(decision->decided_us, asked_us);
	down(rig);
}

Test(origin_ask, the_service_is_told_what_the_worker_wrote_and_no_more)
{
	struct rig *rig = up();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;
	char expected[256];

	ask(rig, &client, "k");
	conn = rig_asked(rig, &head);
	(void)snprintf(expected, sizeof(expected),
		"GET /check?now HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: holdfast\r\nx-key: "
		"k\r\n"
		"X-Forwarded-Method: GET\r\n\r\n",
		rig->port);
	cr_expect_str_eq(head, expected);
	rig_say(conn, ALLOW);
	rig_until(rig, client.gone);
	down(rig);
}

Test(origin_ask, an_allow_is_kept_with_the_fields_that_the_flow_takes)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision = NULL;

	cr_assert_eq(answered(rig, ALLOW, false, &decision), HF_AUTH_HIT);
	cr_expect(!told_failed);
	cr_expect(hf_span_eq(decision->lines, HF_SPAN("x-user: joe\r\n")));
	cr_expect_eq(decision->body.len, 0);
	cr_expect_eq(decision->ttl_us, 60000000);
	cr_expect(decision->decided_us <= hf_clock_us());
	down(rig);
}

Test(origin_ask, a_field_for_the_connection_alone_is_not_taken)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision = NULL;

	cr_assert_eq(answered(rig,
			     "HTTP/1.1 200 OK\r\nConnection: x-user\r\nX-User: joe\r\n"
			     "Content-Length: 0\r\n\r\n",
			     false, &decision),
		HF_AUTH_HIT);
	cr_expect_eq(decision->lines.len, 0);
	down(rig);
}

Test(origin_ask, a_deny_is_kept_with_what_the_client_is_told)
{
	static const struct {
		const char *answer, *lines, *body;
		uint16_t status;
	} cases[] = {
		{ "HTTP/1.1 403 No\r\nContent-Length: 2\r\nContent-Type: a/b\r\nX-User: "
		  "x\r\n\r\nno",
			"Content-Type: a/b\r\n", "no", 403 },
		{ "HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"a\"\r\n"
		  "www-authenticate: Bearer\r\n\r\n",
			"WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: Bearer\r\n", "",
			401 },
		{ "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "WWW-Authenticate: Bearer\r\n",
			"", 401 },
		/* it breaks off, or is too long to be kept: it is a no all the same */
		{ "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno", "", "", 403 },
		{ "HTTP/1.1 403 No\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nno", "", "no",
			403 },
	};
	struct rig *rig = up();

	for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
		const struct hf_auth_decision *decision = NULL;

		cr_assert_eq(answered(rig, cases[i].answer, true, &decision), HF_AUTH_HIT_NEGATIVE);
		cr_expect_eq(decision->status, cases[i].status);
		cr_expect_eq(decision->ttl_us, 7000000);
		cr_expect(hf_span_eq(decision->lines,
				  (struct hf_span){ cases[i].lines, strlen(cases[i].lines) }),
			"%zu: %.*s", i, (int)decision->lines.len, decision->lines.ptr);
		cr_expect(hf_span_eq(
			decision->body, (struct hf_span){ cases[i].body, strlen(cases[i].body) }));
		(void)hf_auth_revoke(auth, HF_AUTH_AUTH_GATEWAY, NULL);
	}
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_DENY), HF_ARRAY_LEN(cases));
	down(rig);
}

Test(origin_ask, what_is_neither_yes_nor_no_is_an_error_and_not_kept)
{
	static const char *const bad[] = {
		"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304 No\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 403 No\r\nContent-Le",
		"HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"200 OK\r\n\r\n",
		"SSH-2.0-x\r\n",
		"",
	};
	struct rig *rig = up();

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		const struct hf_auth_decision *decision;

		cr_expect_eq(
			answered(rig, bad[i], true, &decision), HF_AUTH_MISS_ABSENT, "%s", bad[i]);
		cr_expect(told_failed, "%s", bad[i]);
		cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), i + 1);
	}
	down(rig);
}

Test(origin_ask, more_fields_than_are_kept_are_an_error)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	char answer[2048];

	(void)snprintf(answer, sizeof(answer),
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-User: %0*d\r\n\r\n", HF_AUTH_LINES_MAX,
		7);
	cr_expect_eq(answered(rig, answer, false, &decision), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), 1);
	down(rig);
}

Test(origin_ask, a_body_without_end_is_an_error)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	char *answer = malloc(80000);

	memset(answer, 'x', 80000);
	memcpy(answer, "HTTP/1.1 200 OK\r\nContent-Length: 79957\r\n\r\n", 42);
	answer[79999] = '\0';
	cr_expect_eq(answered(rig, answer, true, &decision), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), 1);
	free(answer);
	down(rig);
}

/* What a service says unasked is nobody's answer (RFC 9112 §9.2), as with origins. */
Test(origin_ask, what_is_left_on_a_connection_is_not_the_answer_to_the_next_question)
{
	static const char deny[] = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	for (int later = 0; later < 2; later++) {
		(void)hf_auth_revoke(auth, HF_AUTH_AUTH_GATEWAY, NULL);
		ask(rig, &client, "k");
		conn = rig_asked(rig, &head);
		rig_say(conn, deny);
		if (!later)
			rig_say(conn, ALLOW);
		rig_until(rig, client.gone);
		if (later)
			rig_say(conn, ALLOW);
		rig_settle(rig);
		ask(rig, &client, "l");
		rig_reply(rig, deny);
		rig_until(rig, client.gone);
		cr_expect_eq(found("l", &decision), HF_AUTH_HIT_NEGATIVE);
	}
	down(rig);
}

Test(origin_ask, one_connection_serves_many_questions)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;

	for (int i = 0; i < 5; i++) {
		cr_expect_eq(answered(rig, ALLOW, false, &decision), HF_AUTH_HIT);
		(void)hf_auth_revoke(auth, HF_AUTH_AUTH_GATEWAY, NULL);
		rig_settle(rig);
	}
	cr_expect_eq(rig->conns, 1);
	down(rig);
}

Test(origin_ask, an_interim_answer_is_not_the_answer)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;

	cr_expect_eq(answered(rig,
			     "HTTP/1.1 103 Early\r\nX-User: root\r\n\r\n"
			     "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
			     false, &decision),
		HF_AUTH_HIT_NEGATIVE);
	down(rig);
}

Test(origin_ask, a_service_that_fails_is_followed_by_the_next)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	struct rig_client client;
	const char *head;

	set_state_of(rig, 3, FLOW(""), PROTECTED);
	ask(rig, &client, "k");
	rig_reply(rig, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	rig_asked(rig, &head)->close_after = true;
	rig_reply(rig, ALLOW);
	rig_until(rig, client.gone);
	cr_expect_eq(found("k", &decision), HF_AUTH_HIT);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), 0);
	down(rig);
}

Test(origin_ask, one_that_hangs_leaves_time_for_the_next_and_all_end_in_time)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	struct rig_client client;
	const char *head;

	set_state_of(rig, 2, FLOW_OF(600, ",\"method\":\"POST\""), PROTECTED);
	ask(rig, &client, "k");
	(void)rig_asked(rig, &head);
	cr_expect(strstr(head, "POST /check?now HTTP/1.1\r\n") == head);
	cr_expect(strstr(head, "Content-Length: 0\r\n"));
	rig_say(rig_asked(rig, &head), ALLOW);
	rig_until(rig, client.gone);
	cr_expect_eq(found("k", &decision), HF_AUTH_HIT);
	ask(rig, &client, "l");
	rig_until(rig, client.gone); /* nobody answers */
	cr_expect_eq(found("l", &decision), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), 1);
	down(rig);
}

Test(origin_ask, without_a_service_it_is_an_error_at_once)
{
	struct rig *rig = up();
	struct rig_client client;

	set_state_of(rig, 0, FLOW(""), PROTECTED);
	ask(rig, &client, "k");
	rig_until(rig, client.gone);
	cr_expect_eq(rig_requests(rig), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_AUTH_ASKED_ERROR), 1);
	down(rig);
}

Test(origin_ask, what_is_revoked_while_it_is_asked_about_is_not_kept)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision;
	struct rig_client client;
	struct rig_conn *conn;
	uint8_t who[HF_SHA256_LEN];
	const char *head;

	ask(rig, &client, "k");
	conn = rig_asked(rig, &head);
	hf_sha256("k", 1, who);
	(void)hf_auth_revoke(auth, HF_AUTH_AUTH_GATEWAY, who);
	rig_say(conn, ALLOW);
	rig_until(rig, client.gone);
	cr_expect_eq(found("k", &decision), HF_AUTH_MISS_ABSENT);
	cr_expect_eq(answered(rig, ALLOW, false, &decision), HF_AUTH_HIT);
	down(rig);
}

Test(origin_ask, whom_the_state_revokes_is_denied_and_nobody_asked)
{
	struct rig *rig = up();
	const struct hf_auth_decision *decision = NULL;
	struct rig_client client;

	ask(rig, &client, "abc");
	rig_until(rig, client.gone);
	cr_expect_eq(rig_requests(rig), 0);
	cr_assert_eq(found("abc", &decision), HF_AUTH_HIT_NEGATIVE);
	cr_expect_eq(decision->status, 401);
	cr_expect(hf_span_eq(decision->lines, HF_SPAN("WWW-Authenticate: Bearer\r\n")));
	down(rig);
}

/* A worker sent it when its route was another one. */
Test(origin_ask, what_was_not_allowed_by_the_route_in_force_is_neither_fetched_nor_joined)
{
	struct rig *rig = up();
	struct rig_client client, joins;
	uint64_t digest = rig->state->flow[0].digest;

	rig_get(rig, &client, "/a", "");
	rig_until(rig, client.fail);
	cr_expect_eq(client.xchg->fail_status, 503);
	cr_expect_eq(client.xchg->fail_reason, HF_DROP_REQ_AUTH_STATE);
	rig_end(rig, &client);
	rig_get(rig, &client, "/a", "");
	client.xchg->auth = digest;
	rig_reply(rig, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
		       "Content-Length: 99\r\n\r\n");
	rig_get(rig, &joins, "/a", "");
	rig_until(rig, joins.fail && client.head);
	rig_end(rig, &joins);
	rig_end(rig, &client);
	/* less is asked for than was asked: it may pass */
	set_state_of(rig, 1, FLOW(""), "");
	rig_get(rig, &client, "/b", "");
	client.xchg->auth = digest;
	rig_reply(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	down(rig);
}

/* It waits for a slot, and is routed anew when it has one. */
Test(origin_ask, what_waits_when_its_route_becomes_protected_is_not_fetched)
{
	struct rig *rig = up();
	struct rig_client first, waits;
	struct rig_conn *conn;
	const char *head;

	set_state_of(rig, 1, FLOW(""), "");
	rig->conf.origin.max_in_flight = 1;
	hf_origin_conf_set(rig->origin, &rig->conf);
	rig_get(rig, &first, "/a", "");
	conn = rig_asked(rig, &head);
	rig_get(rig, &waits, "/b", "");
	rig_settle(rig);
	set_state_of(rig, 1, FLOW(""), PROTECTED);
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, waits.fail);
	cr_expect_eq(rig_requests(rig), 1);
	rig_until(rig, rig_client_at_end(&first));
	rig_end(rig, &first);
	rig_end(rig, &waits);
	down(rig);
}
