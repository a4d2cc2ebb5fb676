/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include "state_test.h"

#define R(id, host, path)                                                                          \
	"{\"id\":\"" id "\",\"host\":\"" host "\",\"path\":\"" path "\",\"group\":\"g\"}"

static struct hf_state *route_state;

static const char *route_id(const char *host, const char *path)
{
	const struct hf_state_route *route = hf_state_route_lookup(route_state,
		(struct hf_span){ host, strlen(host) }, (struct hf_span){ path, strlen(path) });

	return route ? route->id : "none";
}

static void route_setup(void)
{
	cr_assert_eq(test_parse(STATE_TEST_DOC(STATE_TEST_ORIGIN,
					R("any", "*", "/") "," R("any_img", "*", "/img") "," R(
						"suffix", "*.example.com", "/") "," R("suffix_deep",
						"*.cdn.example.com", "/") "," R("exact",
						"www.example.com", "/") "," R("exact_img",
						"www.example.com", "/img") "," R("exact_img_a",
						"www.example.com", "/img/a") "," R("exact_dir",
						"www.example.com", "/dir/") "," R("second",
						"www.example.com", "/img") "," R("only_x", "x.org",
						"/x") "," R("six", "[2001:db8::1]", "/")),
			     &route_state),
		0, "%s", test_reasons);
}

static void route_teardown(void)
{
	hf_state_unref(route_state);
}

TestSuite(state_route, .init = route_setup, .fini = route_teardown);

Test(state_route, the_most_specific_host_wins)
{
	cr_expect_str_eq(route_id("www.example.com", "/"), "exact");
	cr_expect_str_eq(route_id("a.example.com", "/"), "suffix");
	cr_expect_str_eq(route_id("a.b.example.com", "/"), "suffix");
	cr_expect_str_eq(route_id("a.cdn.example.com", "/"), "suffix_deep");
	cr_expect_str_eq(route_id("example.org", "/"), "any");
}

Test(state_route, a_suffix_does_not_match_the_bare_domain_nor_half_a_label)
{
	cr_expect_str_eq(route_id("example.com", "/"), "any");
	cr_expect_str_eq(route_id("badexample.com", "/"), "any");
	cr_expect_str_eq(route_id("cdn.example.com", "/"), "suffix");
}

Test(state_route, the_longest_path_wins_by_whole_segments)
{
	cr_expect_str_eq(route_id("www.example.com", "/img"), "exact_img");
	cr_expect_str_eq(route_id("www.example.com", "/img/b"), "exact_img");
	cr_expect_str_eq(route_id("www.example.com", "/img/a/c"), "exact_img_a");
	cr_expect_str_eq(route_id("www.example.com", "/img/ab"), "exact_img");
	cr_expect_str_eq(route_id("www.example.com", "/imgs"), "exact");
	cr_expect_str_eq(route_id("www.example.com", "/img?q=1"), "exact_img");
	cr_expect_str_eq(route_id("www.example.com", "/dir/x"), "exact_dir");
	cr_expect_str_eq(route_id("www.example.com", "/dir"), "exact");
	cr_expect_str_eq(route_id("other", "/img/x"), "any_img");
}

Test(state_route, of_equal_routes_the_first_of_the_document_wins)
{
	cr_expect_str_neq(route_id("www.example.com", "/img"), "second");
}

Test(state_route, a_host_whose_paths_do_not_fit_leaves_the_request_to_a_wider_one)
{
	cr_expect_str_eq(route_id("x.org", "/x/1"), "only_x");
	cr_expect_str_eq(route_id("x.org", "/y"), "any");
}

Test(state_route, case_port_and_final_dot_of_the_host_do_not_matter)
{
	cr_expect_str_eq(route_id("WWW.Example.COM:8080", "/"), "exact");
	cr_expect_str_eq(route_id("www.example.com.", "/"), "exact");
	cr_expect_str_eq(route_id("www.example.com.:80", "/"), "exact");
	cr_expect_str_eq(route_id("www.example.com:", "/"), "exact");
	cr_expect_str_eq(route_id("[2001:DB8::1]", "/"), "six");
	cr_expect_str_eq(route_id("[2001:db8::1]:80", "/"), "six");
}

Test(state_route, odd_hosts_find_only_the_route_for_any)
{
	char *host = malloc(70000);

	memset(host, 'a', 70000);
	cr_expect_str_eq(
		hf_state_route_lookup(route_state, (struct hf_span){ host, 70000 }, HF_SPAN("/"))
			->id,
		"any");
	free(host);
	cr_expect_str_eq(route_id("", "/"), "any");
	cr_expect_str_eq(route_id(":80", "/"), "any");
	cr_expect_str_eq(route_id("*.example.com", "/"), "suffix");
	cr_expect_str_eq(route_id("*", "/img"), "any_img");
	cr_expect_str_eq(route_id(".", "/"), "any");
	cr_expect_str_eq(route_id(".example.com", "/"), "any");
	cr_expect_str_eq(route_id("x", ""), "none");
	cr_expect_str_eq(route_id("x", "*"), "none");
}

/* The rule read off the header, against every pair of a few hosts and paths. */
Test(state_route, lookup_agrees_with_a_plain_search)
{
	static const char *const hosts[] = { "www.example.com", "a.cdn.example.com", "x.org", "z",
		"q.example.com" };
	static const char *const paths[] = { "/", "/img", "/img/a", "/x", "/dir/", "/dir/e" };

	for (size_t h = 0; h < HF_ARRAY_LEN(hosts); h++) {
		for (size_t p = 0; p < HF_ARRAY_LEN(paths); p++) {
			const char *best = "none";
			size_t best_score = 0;

			for (uint32_t i = 0; i < route_state->route_count; i++) {
				const struct hf_state_route *r = &route_state->route[i];
				size_t len = strlen(r->path), host_score;

				if (strcmp(r->host, hosts[h]) == 0)
					host_score = 1000;
				else if (strcmp(r->host, "*") == 0)
					host_score = 1;
				else if (r->host[0] == '*' && strlen(hosts[h]) >= strlen(r->host) &&
					 strcmp(hosts[h] + strlen(hosts[h]) - strlen(r->host) + 1,
						 r->host + 1) == 0)
					host_score = strlen(r->host);
				else
					continue;
				if (strncmp(paths[p], r->path, len) != 0 ||
					(r->path[len - 1] != '/' && paths[p][len] != '\0' &&
						paths[p][len] != '/'))
					continue;
				if (strcmp(r->id, "second") != 0 &&
					host_score * 1000 + len > best_score) {
					best_score = host_score * 1000 + len;
					best = r->id;
				}
			}
			cr_expect_str_eq(
				route_id(hosts[h], paths[p]), best, "%s%s", hosts[h], paths[p]);
		}
	}
}

#define LEAVE(value)                                                                               \
	STATE_TEST_DOC(STATE_TEST_ORIGIN, "{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\","           \
					  "\"group\":\"g\",\"store_secret_query\":" value "}")

Test(state_secret, a_route_says_whether_URLs_with_secrets_are_stored)
{
	static const char *const texts[] = { LEAVE("true"), LEAVE("false"),
		STATE_TEST_DOC(STATE_TEST_ORIGIN, STATE_TEST_ROUTE) };
	struct hf_state *state;

	for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
		cr_assert_eq(test_parse(texts[i], &state), 0, "%s", test_reasons);
		cr_expect_eq(state->route[0].store_secret_query, i == 0);
		cr_expect_eq(state->unknown_fields, 0);
		hf_state_unref(state);
	}
	test_refused(LEAVE("1"), "$.routes[0].store_secret_query: found 1; allowed: true or "
				 "false\n");
	test_refused(LEAVE("\"yes\""),
		"$.routes[0].store_secret_query: found \"yes\"; allowed: true or false\n");
}
