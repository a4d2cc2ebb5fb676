/* SPDX-License-Identifier: BSD-3-Clause */
#include "state_test.h"

#define CREDENTIAL "\"credential\":{\"in\":\"header\",\"name\":\"authorization\"}"
#define SERVICE    "\"service\":{\"group\":\"g\"}"
#define CACHE      "\"cache\":\"agent_api_key\""
#define FLOW(more) "{\"id\":\"f\"," CREDENTIAL "," CACHE "," SERVICE more "}"
#define PROTECTED  "{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\",\"auth\":\"f\"}"
#define DOC_OF(flows, routes)                                                                      \
	"{\"schema\":1,\"version\":\"v\",\"origins\":[" STATE_TEST_ORIGIN                          \
	"],\"auth_flows\":[" flows "],\"routes\":[" routes "]}"
#define DOC(flow) DOC_OF(flow, PROTECTED)
#define HASH      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct hf_state *parse(const char *text)
{
	struct hf_state *state = NULL;

	cr_assert_eq(test_parse(text, &state), 0, "%s", test_reasons);
	return state;
}

Test(state_auth, a_flow_says_what_it_does_not_say_by_defaults)
{
	struct hf_state *state = parse(DOC(FLOW("")));
	const struct hf_state_flow *flow = &state->flow[0];

	cr_assert_eq(state->flow_count, 1);
	cr_expect_eq(state->route[0].flow, flow);
	cr_expect_str_eq(flow->id, "f");
	cr_expect_eq(flow->in, HF_STATE_HEADER);
	cr_expect_str_eq(flow->name, "authorization");
	cr_expect_eq(flow->cache, HF_AUTH_AGENT_API_KEY);
	cr_expect_eq(flow->group, &state->group[0]);
	cr_expect_str_eq(flow->path, "/");
	cr_expect_str_eq(flow->method, "GET");
	cr_expect_str_eq(flow->send_as, "authorization");
	cr_expect_eq(flow->tell, 0);
	cr_expect_eq(flow->timeout_ms, 1000);
	cr_expect_eq(flow->ttl_s, 300);
	cr_expect_eq(flow->negative_ttl_s, 10);
	cr_expect_eq(flow->fallback_ttl_s, 0);
	cr_expect_eq(flow->error_status, 503);
	cr_expect_eq(flow->share, HF_STATE_SHARE_EXPLICIT);
	cr_expect_str_eq(flow->challenge, "Bearer");
	hf_state_unref(state);
}

Test(state_auth, a_flow_says_all_there_is)
{
	struct hf_state *state = parse(DOC(
		"{\"id\":\"f\",\"credential\":{\"in\":\"mtls\",\"name\":"
		"\"x-client-cert\",\"from\":[\"10.0.0.0/8\",\"2001:db8::/33\",\"192.0.2.7\"]},"
		"\"cache\":\"authorization_check\",\"service\":{\"group\":\"g\",\"path\":\"/"
		"check?a\","
		"\"method\":\"POST\",\"send_as\":\"x-who\",\"timeout_ms\":50,\"tell\":[\"method\","
		"\"query\"],\"headers\":[\"user-agent\"]},\"ttl\":7,\"negative_ttl\":8,"
		"\"allow\":{\"add\":[\"x-user\"],\"remove\":[\"authorization\",\"x-a\"]},"
		"\"on_error\":{\"status\":403,\"fallback_ttl\":9},\"challenge\":\"Basic "
		"realm=\\\"a\\\"\","
		"\"share\":\"none\"}"));
	const struct hf_state_flow *flow = &state->flow[0];
	uint8_t ip[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9 };

	cr_expect_eq(flow->in, HF_STATE_MTLS);
	cr_expect_eq(flow->cache, HF_AUTH_AUTHORIZATION_CHECK);
	cr_expect_str_eq(flow->path, "/check?a");
	cr_expect_str_eq(flow->method, "POST");
	cr_expect_str_eq(flow->send_as, "x-who");
	cr_expect_eq(flow->timeout_ms, 50);
	cr_expect_eq(flow->tell, HF_STATE_TELL_METHOD | HF_STATE_TELL_QUERY);
	cr_expect_eq(flow->headers.count, 1);
	cr_expect_eq(flow->ttl_s, 7);
	cr_expect_eq(flow->negative_ttl_s, 8);
	cr_expect_str_eq(flow->add.name[0], "x-user");
	cr_expect_eq(flow->remove.count, 2);
	cr_expect_eq(flow->error_status, 403);
	cr_expect_eq(flow->fallback_ttl_s, 9);
	cr_expect_str_eq(flow->challenge, "Basic realm=\"a\"");
	cr_expect_eq(flow->share, HF_STATE_SHARE_NONE);
	cr_expect(hf_state_flow_trusts(flow, ip));
	ip[12] = 11;
	cr_expect_not(hf_state_flow_trusts(flow, ip));
	memcpy(ip + 12, (uint8_t[]){ 192, 0, 2, 7 }, 4);
	cr_expect(hf_state_flow_trusts(flow, ip));
	ip[15] = 8;
	cr_expect_not(hf_state_flow_trusts(flow, ip));
	memcpy(ip, (uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, 0x7f }, 16);
	cr_expect(hf_state_flow_trusts(flow, ip));
	ip[4] = 0x80;
	cr_expect_not(hf_state_flow_trusts(flow, ip));
	hf_state_unref(state);
}

Test(state_auth, each_cache_has_its_own_lifetime_and_what_is_checked_is_told)
{
	struct hf_state *state = parse(
		DOC("{\"id\":\"f\",\"credential\":{\"in\":\"cookie\",\"name\":\"sid\"},"
		    "\"cache\":\"auth_gateway\"," SERVICE "},{\"id\":\"g\",\"credential\":{\"in\":"
		    "\"query\",\"name\":\"api_key\"},\"cache\":\"authorization_check\"," SERVICE
		    ",\"share\":\"any\"}"));

	cr_expect_eq(state->flow[0].ttl_s, 60);
	cr_expect_str_eq(state->flow[0].send_as, "X-Credential");
	cr_expect_eq(state->flow[1].tell,
		HF_STATE_TELL_METHOD | HF_STATE_TELL_HOST | HF_STATE_TELL_PATH);
	cr_expect_neq(state->flow[0].digest, state->flow[1].digest);
	hf_state_unref(state);
}

Test(state_auth, a_flow_that_says_something_else_is_another_one)
{
	struct hf_state *a = parse(DOC(FLOW(""))), *b = parse(DOC(FLOW(",\"ttl\":5")));
	struct hf_state *c = parse(DOC("{" SERVICE "," CACHE "," CREDENTIAL ",\"id\":\"f\"}"));

	cr_expect_neq(a->flow[0].digest, b->flow[0].digest);
	cr_expect_eq(a->flow[0].digest, c->flow[0].digest);
	hf_state_unref(a);
	hf_state_unref(b);
	hf_state_unref(c);
}

Test(state_auth, every_reason_is_told)
{
	test_refused(DOC_OF("", PROTECTED),
		"$.routes[0].auth: found \"f\"; allowed: the id of an auth flow\n");
	test_refused(DOC("1"),
		"$.auth_flows[0]: found 1; allowed: an object with id, credential, "
		"cache and service\n$.routes[0].auth: found \"f\"; allowed: the id of an "
		"auth flow\n");
	test_refused(DOC(FLOW("") "," FLOW("")),
		"$.auth_flows[1].id: found \"f\"; allowed: each id once\n");
	test_refused(DOC("{\"id\":\"f\"}"),
		"$.auth_flows[0].cache: found nothing; allowed: agent_identity, agent_api_key, "
		"auth_gateway or authorization_check\n"
		"$.auth_flows[0].credential: found nothing; allowed: an object with in and name\n"
		"$.auth_flows[0].service: found nothing; allowed: an object with a group\n");
	test_refused(DOC("{\"id\":\"f\"," CACHE ",\"credential\":{\"in\":\"body\"},\"service\":{"
			 "\"group\":\"h\",\"path\":\"x\",\"method\":\"PUT\",\"send_as\":\"host\","
			 "\"timeout_ms\":1,\"tell\":[\"all\"],\"headers\":[\"range\"]}}"),
		"$.auth_flows[0].credential.in: found \"body\"; allowed: header, cookie, query or "
		"mtls\n"
		"$.auth_flows[0].credential.name: found nothing; allowed: the name of a cookie: 1 "
		"to 64 characters of a token\n"
		"$.auth_flows[0].service.group: found \"h\"; allowed: the group of an origin, or "
		"one of "
		"groups\n"
		"$.auth_flows[0].service.path: found \"x\"; allowed: a path that begins with /\n"
		"$.auth_flows[0].service.method: found \"PUT\"; allowed: GET, HEAD or POST\n"
		"$.auth_flows[0].service.send_as: found \"host\"; allowed: the name of a field "
		"that a "
		"flow may have\n"
		"$.auth_flows[0].service.timeout_ms: found 1; allowed: 10 to 60000 milliseconds\n"
		"$.auth_flows[0].service.tell: found an array; allowed: a list of method, host, "
		"path and "
		"query\n"
		"$.auth_flows[0].service.headers: found an array; allowed: at most 8 names of "
		"fields "
		"that a flow may have\n");
	test_refused(DOC(FLOW(",\"ttl\":0,\"negative_ttl\":86401,\"allow\":{\"add\":[\"x-u\"],"
			      "\"remove\":[\"x-forwarded-host\"]},\"on_error\":{\"status\":200,"
			      "\"fallback_ttl\":-1},\"challenge\":\"a\\n\",\"share\":\"any\"")),
		"$.auth_flows[0].ttl: found 0; allowed: 1 to 86400 seconds\n"
		"$.auth_flows[0].negative_ttl: found 86401; allowed: 1 to 86400 seconds\n"
		"$.auth_flows[0].allow.remove: found an array; allowed: at most 8 names of fields "
		"that a "
		"flow may have\n"
		"$.auth_flows[0].on_error.status: found 200; allowed: 503 or 403\n"
		"$.auth_flows[0].on_error.fallback_ttl: found -1; allowed: 0 to 86400 seconds\n"
		"$.auth_flows[0].challenge: found \"a?\"; allowed: 1 to 255 printable characters "
		"of "
		"ASCII\n"
		"$.auth_flows[0].share: found \"any\"; allowed: none or explicit, where allow.add "
		"makes "
		"each user's request its own\n");
}

Test(state_auth, an_address_counts_only_where_it_is_asked_for_and_well_formed)
{
#define FROM(in, from)                                                                             \
	DOC("{\"id\":\"f\"," CACHE "," SERVICE ",\"credential\":{\"in\":\"" in                     \
	    "\",\"name\":\"x-cert\"" from "}}")
	static const char *const bad[] = { FROM("mtls", ",\"from\":[\"10.0.0.0/33\"]"),
		FROM("mtls", ",\"from\":[\"10.0.0\"]"), FROM("mtls", ",\"from\":[\"10.0.0.1/\"]"),
		FROM("mtls", ",\"from\":[\"::/-1\"]"), FROM("mtls", ",\"from\":[\"::/129\"]"),
		FROM("mtls", ",\"from\":[1]") };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
		test_refused(bad[i], "$.auth_flows[0].credential.from: found an array; allowed: at "
				     "most 8 of ADDRESS[/BITS]\n");
	test_refused(FROM("mtls", ""),
		"$.auth_flows[0].credential.from: found nothing; allowed: the "
		"addresses of those who may say so\n");
	test_refused(FROM("header", ",\"from\":[\"::1\"]"),
		"$.auth_flows[0].credential.from: found an "
		"array; allowed: nothing, but for mtls\n");
}

Test(state_auth, a_parameter_is_one_that_is_never_shown)
{
	test_refused(DOC("{\"id\":\"f\"," CACHE "," SERVICE ",\"credential\":{\"in\":\"query\","
			 "\"name\":\"page\"}}"),
		"$.auth_flows[0].credential.name: found \"page\"; allowed: a parameter that is "
		"known to "
		"be secret (cache.secret_parameters)\n");
}

Test(state_auth, credentials_are_revoked_by_their_hash)
{
	struct hf_state *state = parse(
		"{\"schema\":1,\"version\":\"v\",\"origins\":[" STATE_TEST_ORIGIN "],\"routes\":[],"
		"\"auth_revoked\":[\"" HASH "\"]}");
	uint8_t hash[HF_SHA256_LEN];

	hf_sha256("abc", 3, hash);
	cr_expect(hf_state_is_revoked(state, hash));
	hash[0] ^= 1;
	cr_expect_not(hf_state_is_revoked(state, hash));
	hf_state_unref(state);
	test_refused("{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],"
		     "\"auth_revoked\":[\"abc\",1]}",
		"$.auth_revoked[0]: found \"abc\"; allowed: the SHA-256 of a credential: 64 "
		"digits\n"
		"$.auth_revoked[1]: found 1; allowed: the SHA-256 of a credential: 64 digits\n");
}

Test(state_auth, a_key_is_routed_without_its_query)
{
	struct hf_state *state =
		parse(DOC_OF(FLOW(""), "{\"id\":\"r\",\"host\":\"*\",\"path\":\"/a\","
				       "\"group\":\"g\",\"auth\":\"f\"}"));

	cr_expect_eq(
		hf_state_route_of_key(state, HF_SPAN("h:80"), HF_SPAN("/a?b/c")), &state->route[0]);
	cr_expect_null(hf_state_route_of_key(state, HF_SPAN("h:80"), HF_SPAN("/?/a")));
	hf_state_unref(state);
}
