/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "hf_hist.h"
#include "registry_rig.h"

TestSuite(registry_http, .init = rr_setup, .fini = rr_teardown);

#define GOOD "{\"url\":\"http://a\"}"

Test(registry_http, R3_what_is_no_message_is_refused_with_its_reason_and_counted)
{
	static const char begin[] = "{\"error\":{\"type\":\"client_error\",\"message\":\"";
	static const struct {
		const char *method, *path, *body;
		unsigned status;
		const char *reason;
	} bad[] = {
		{ "PUT", "/v1/origins/g/a", "", 400, "expected near end of file" },
		{ "PUT", "/v1/origins/g/a", "[]", 400,
			"$: found an array; allowed: an object with url, weight and ttl" },
		{ "PUT", "/v1/origins/g/a", "{\"url\":7}", 400, "$.url: found 7; allowed: " },
		{ "PUT", "/v1/origins/g/a", "{\"url\":\"http://a\",\"tll\":1}", 400,
			"$: found \\\"tll\\\"; allowed: url, weight and ttl" },
		{ "PUT", "/v1/origins/g/a%0a", GOOD, 400,
			"path: found no name; allowed: /v1/origins/GROUP/ID, each of 1 to 1024 " },
		{ "PUT", "/v1/origins/nope/a", GOOD, 404,
			"$.group: found \\\"nope\\\"; allowed: a group of the state" },
		{ "PUT", "/v1/origins", GOOD, 405,
			"method: found another one; allowed: GET, HEAD" },
		{ "PUT", "/v1/origins/", GOOD, 405, "method: " },
		{ "POST", "/v1/origins/g/a", GOOD, 405, "allowed: GET, HEAD, PUT, DELETE" },
		{ "put", "/v1/origins/g/a", GOOD, 405, "method: " },
		{ "PUT", "/v1/origins/g", GOOD, 404, "path: found another number of segments" },
		{ "PUT", "/v1/origins/g/a/b", GOOD, 404, "path: found another number" },
		{ "PUT", "/v1/origins//a", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/%", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/%4", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/%zz", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/%e9", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/\xff/a", GOOD, 400, "path: found no name" },
		{ "PUT", "/v1/origins/g/%00", GOOD, 400, "path: found no name" },
		{ "DELETE", "/v1/origins/g/a", "", 404, "$.id: found one that is not registered" },
		{ "DELETE", "/v1/origins/g/a", "x", 400, "body: found 1 bytes; allowed: none" },
		{ "GET", "/v1/origins", "{}", 400, "body: found 2 bytes; allowed: none" },
		{ "GET", "/v1/origins/g/a", "", 404, "$.id: found one that is not registered" },
	};

	struct hf_hist_view times;

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_eq(rr_ask(bad[i].method, bad[i].path, bad[i].body), bad[i].status,
			"%zu: %u", i, rr_answer.status);
		cr_expect_str_eq(rr_answer.type, "application/json");
		cr_expect_eq(strncmp(rr_body, begin, sizeof(begin) - 1), 0, "%zu: %s", i, rr_body);
		cr_expect(strstr(rr_body, bad[i].reason), "%zu: %s", i, rr_body);
		cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_REGISTRY), i + 1);
	}
	cr_expect_eq(rr->count, 0);
	cr_expect_not(hf_registry_changed(rr, rr_now_us));
	hf_hist_sum(HF_HIST_REGISTRY, &times);
	cr_expect_eq(times.count, HF_ARRAY_LEN(bad));
}

Test(registry_http, R3_every_reason_is_in_the_answer)
{
	cr_expect_eq(rr_ask("PUT", "/v1/origins/g/a", "{\"weight\":0,\"ttl\":\"\u00e9\"}"), 400);
	cr_expect(strstr(rr_body, "\"errors\":[\"$.url: found nothing; "), "%s", rr_body);
	cr_expect(strstr(rr_body, "\"$.weight: found 0; "), "%s", rr_body);
	cr_expect(strstr(rr_body, "\"$.ttl: found \\\"?"), "ASCII only: %s", rr_body);
}

Test(registry_http, R3_a_message_that_is_refused_changes_nothing)
{
	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	rr_publish();
	cr_expect_eq(rr_ask("PUT", "/v1/origins/g/a", "{\"url\":\"http://b\",\"ttl\":0}"), 400);
	rr_now_us += 10 * RR_S - 1;
	cr_expect_eq(rr_ask("GET", "/v1/origins/g/a", ""), 200);
	cr_expect(strstr(rr_body, "\"url\":\"http://a\",\"weight\":1,\"ttl\":10,\"left\":1,"), "%s",
		rr_body);
}

Test(registry_http, a_body_that_is_too_large_is_413)
{
	struct hf_admin_resource resource;
	struct hf_admin_request request = { .method = "PUT",
		.path = "/v1/origins/g/a",
		.peer = "192.0.2.1:5",
		.body = { "", 0 },
		.too_large = true };
	struct hf_admin_answer answer = { 0 };

	hf_registry_resource(rr, &resource);
	cr_expect_eq(resource.body_max, 65536);
	resource.answer(resource.arg, &request, &answer);
	cr_expect_eq(answer.status, 413);
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_REGISTRY), 1);
	free(answer.body);
	request.too_large = false;
	request.has_query = true;
	resource.answer(resource.arg, &request, &answer);
	cr_expect_eq(answer.status, 400);
	free(answer.body);
}

Test(registry_http, names_are_unescaped)
{
	cr_expect_eq(rr_ask("PUT", "/v1/origins/%67/a%2Fb%25", GOOD), 201);
	cr_expect(strstr(rr_body, "{\"group\":\"g\",\"id\":\"a/b%\","), "%s", rr_body);
	rr_publish();
	cr_expect_not_null(rr_in_force("a/b%"));
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a%2fb%25", ""), 204);
}

Test(registry_http, without_a_state_it_is_503_and_nobody_s_fault)
{
	struct hf_state *state = rr->state;

	rr->state = NULL;
	cr_expect_eq(rr_put("a", "http://a", 10), 503);
	cr_expect_str_eq(rr_answer.field, "Retry-After");
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_REGISTRY), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_INTERNAL_ERRORS_REGISTRY), 0);
	rr->state = state;
}
