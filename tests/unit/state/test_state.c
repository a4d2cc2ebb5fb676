/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state.h"

#include <unistd.h>

#include "state_test.h"

#define WORD_ALLOWED    "; allowed: 1 to 1024 characters of ASCII without spaces\n"
#define VERSION_ALLOWED "; allowed: 1 to 127 characters of ASCII without spaces\n"
#define URL_ALLOWED     "; allowed: http://HOST[:PORT] or https://HOST[:PORT], without user or path\n"

Test(state, a_document_becomes_groups_of_origins_and_routes_to_them)
{
	struct hf_state *state;

	cr_assert_eq(
		test_parse(
			"{\"schema\":1, \"version\":\"v7\", \"issued_at\":\"2026-01-01T00:00:00Z\","
			"\"origins\":["
			"{\"group\":\"a\",\"id\":\"1\",\"url\":\"http://127.0.0.1:8080\"},"
			"{\"group\":\"b\",\"id\":\"1\",\"url\":\"https://[::1]:8443/"
			"\",\"weight\":100},"
			"{\"group\":\"a\",\"id\":\"2\",\"url\":\"http://h.example/"
			"\",\"weight\":5}],"
			"\"routes\":[{\"id\":\"r\",\"host\":\"WWW.Example\",\"path\":\"/"
			"x\",\"group\":\"b\"}],"
			"\"policies\":[],\"purges\":[],\"auth\":[]}",
			&state),
		0, "%s", test_reasons);
	cr_expect_str_empty(test_reasons);
	cr_expect_str_eq(state->version, "v7");
	cr_assert_eq(state->group_count, 2);
	cr_expect_str_eq(state->group[0].name, "a");
	cr_assert_eq(state->group[0].origin_count, 2);
	cr_expect_str_eq(state->group[0].origin[0].url, "http://127.0.0.1:8080");
	cr_expect_eq(state->group[0].origin[0].weight, 1);
	cr_expect_str_eq(state->group[0].origin[1].id, "2");
	cr_expect_str_eq(state->group[0].origin[1].url, "http://h.example");
	cr_expect_eq(state->group[0].origin[1].weight, 5);
	cr_expect_str_eq(state->group[1].origin[0].url, "https://[::1]:8443");
	cr_assert_eq(state->route_count, 1);
	cr_expect_str_eq(state->route[0].host, "www.example");
	cr_expect_eq(state->route[0].group, &state->group[1]);
	cr_expect_null(state->route[0].policy);
	cr_expect_eq(state->unknown_fields, 1, "auth: to come");
	hf_state_unref(state);
}

Test(state, S1_every_reason_is_told_with_its_path)
{
	test_refused(
		"{\"schema\":2,\"version\":\"\",\"issued_at\":true,\"purges\":1,"
		"\"origins\":[{\"group\":\"g\",\"id\":\"o\",\"url\":\"ftp://x\",\"weight\":0},"
		"{\"group\":\"g\",\"id\":\"o\",\"url\":\"http://x\",\"weight\":1.5},"
		"7,{\"group\":null}],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"a:80\",\"path\":\"x\",\"group\":\"nope\"},"
		"{\"id\":\"r\",\"host\":\"*\",\"path\":\"/?q\",\"group\":\"g\"}]}",
		"$.schema: found 2; allowed: 1\n"
		"$.version: found \"\"" VERSION_ALLOWED "$.issued_at: found true; allowed: a time\n"
		"$.origins[0].url: found \"ftp://x\"" URL_ALLOWED
		"$.origins[0].weight: found 0; allowed: 1 to 100\n"
		"$.origins[1].weight: found 1.5; allowed: 1 to 100\n"
		"$.origins[1].id: found \"o\"; allowed: each id once\n"
		"$.origins[2]: found 7; allowed: an object with group, id and url\n"
		"$.origins[3].group: found null" WORD_ALLOWED
		"$.origins[3].id: found nothing" WORD_ALLOWED
		"$.origins[3].url: found nothing" WORD_ALLOWED
		"$.routes[0].host: found \"a:80\"; allowed: a host without port, *.SUFFIX or *\n"
		"$.routes[0].path: found \"x\"; allowed: a path that begins with / and has no "
		"query\n"
		"$.routes[0].group: found \"nope\"; allowed: the group of an origin, or one of "
		"groups\n"
		"$.routes[1].path: found \"/?q\"; allowed: a path that begins with / and has no "
		"query\n"
		"$.routes[1].id: found \"r\"; allowed: each id once\n"
		"$.purges: found 1; allowed: an array\n");
}

#define CHECKED(health)                                                                            \
	"{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],"                            \
	"\"groups\":[{\"id\":\"x\"},{\"id\":\"g\",\"health\":" health "}]}"

Test(state, a_group_says_how_its_origins_are_checked)
{
	struct hf_state *state;

	cr_assert_eq(
		test_parse(CHECKED("{\"path\":\"/up?a\",\"interval\":5,\"timeout\":3}"), &state),
		0);
	cr_expect_null(state->group[0].health.path);
	cr_expect_str_eq(state->group[1].health.path, "/up?a");
	cr_expect_eq(state->group[1].health.interval_s, 5);
	cr_expect_eq(state->group[1].health.timeout_s, 3);
	hf_state_unref(state);
	cr_assert_eq(test_parse(CHECKED("{\"path\":\"/\"}"), &state), 0);
	cr_expect_eq(state->group[1].health.interval_s, 10);
	cr_expect_eq(state->group[1].health.timeout_s, 2);
	hf_state_unref(state);
	cr_assert_eq(test_parse(CHECKED("{\"path\":\"/\",\"interval\":1}"), &state), 0);
	cr_expect_eq(state->group[1].health.timeout_s, 1);
	hf_state_unref(state);
	test_refused(CHECKED("7"), "$.groups[1].health: found 7; allowed: an object with a path\n");
	test_refused(CHECKED("{\"interval\":0,\"timeout\":\"1s\"}"),
		"$.groups[1].health.path: found nothing; allowed: a path that begins with /, at "
		"most "
		"1024 visible characters without #\n"
		"$.groups[1].health.interval: found 0; allowed: 1 to 3600 seconds\n"
		"$.groups[1].health.timeout: found \"1s\"; allowed: 1 to 3600 seconds\n");
	test_refused(CHECKED("{\"path\":\"/a b\"}"), "$.groups[1].health.path: found \"/a b\"; "
						     "allowed: a path that begins with /, at most "
						     "1024 visible characters without #\n");
	test_refused(CHECKED("{\"path\":\"/\",\"interval\":2,\"timeout\":3}"),
		"$.groups[1].health.timeout: found 3; allowed: at most the interval\n");
}

Test(state, groups_may_be_named_before_they_have_origins)
{
	struct hf_state *state;

	cr_assert_eq(test_parse("{\"schema\":1,\"version\":\"v\",\"routes\":[" STATE_TEST_ROUTE "],"
				"\"groups\":[{\"id\":\"x\"},{\"id\":\"g\",\"max_in_flight\":8}],"
				"\"origins\":[" STATE_TEST_ORIGIN "]}",
			     &state),
		0, "%s", test_reasons);
	cr_assert_eq(state->group_count, 2);
	cr_expect_str_eq(state->group[0].name, "x");
	cr_expect_eq(state->group[0].origin_count, 0);
	cr_expect_eq(state->group[0].max_in_flight, 0);
	cr_expect_eq(state->group[1].origin_count, 1);
	cr_expect_eq(state->group[1].max_in_flight, 8);
	cr_expect_eq(state->route[0].group, &state->group[1]);
	cr_expect_eq(state->unknown_fields, 0);
	hf_state_unref(state);
	test_refused("{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],"
		     "\"groups\":[7,{\"id\":\"a b\"},{\"id\":\"x\"},{\"id\":\"x\"},"
		     "{\"id\":\"y\",\"max_in_flight\":-1},{\"id\":\"z\",\"max_in_flight\":\"8\"},"
		     "{\"id\":\"w\",\"max_in_flight\":1000001}]}",
		"$.groups[0]: found 7; allowed: an object with an id\n"
		"$.groups[1].id: found \"a b\"" WORD_ALLOWED
		"$.groups[3].id: found \"x\"; allowed: each id once\n"
		"$.groups[4].max_in_flight: found -1; allowed: 0 to 1000000 fetches\n"
		"$.groups[5].max_in_flight: found \"8\"; allowed: 0 to 1000000 fetches\n"
		"$.groups[6].max_in_flight: found 1000001; allowed: 0 to 1000000 fetches\n");
	test_refused("{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],\"groups\":{}}",
		"$.groups: found an object; allowed: an array\n");
}

Test(state, S2_unknown_fields_are_counted_and_otherwise_ignored)
{
	struct hf_state *state;

	cr_assert_eq(
		test_parse(
			"{\"schema\":1,\"version\":\"v\",\"x\":{\"y\":1},"
			"\"origins\":[{\"group\":\"g\",\"id\":\"o\",\"url\":\"http://x\",\"z\":0}],"
			"\"routes\":[{\"id\":\"r\",\"host\":\"*\",\"path\":\"/"
			"\",\"group\":\"g\",\"w\":[]}]}",
			&state),
		0);
	cr_expect_eq(state->unknown_fields, 3);
	hf_state_unref(state);
}

Test(state, required_sections_are_required)
{
	test_refused("{}", "$.schema: found nothing; allowed: 1\n"
			   "$.version: found nothing" VERSION_ALLOWED
			   "$.origins: found nothing; allowed: an array\n"
			   "$.routes: found nothing; allowed: an array\n");
	test_refused("[]", "$: found an array; allowed: an object\n");
}

Test(state, a_document_without_origins_and_routes_routes_nothing)
{
	struct hf_state *state;

	cr_assert_eq(test_parse(STATE_TEST_DOC("", ""), &state), 0, "%s", test_reasons);
	cr_expect_eq(state->group_count, 0);
	cr_expect_null(hf_state_route_lookup(state, HF_SPAN("a"), HF_SPAN("/")));
	hf_state_unref(state);
}

Test(state, what_is_no_JSON_or_has_a_key_twice_is_refused)
{
	struct hf_state *state = NULL;
	static const char *const bad[] = { "", "{", "{}x", "nul", "{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{\"a\":01}", "{'a':1}", "{\"a\":1,}",
		"\xef\xbb\xbf{}" };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_eq(test_parse(bad[i], &state), -EINVAL, "taken: %s", bad[i]);
		cr_expect(strncmp(test_reasons, "$: found ", 9) == 0, "%s", test_reasons);
		cr_expect_null(state);
	}
	cr_expect_eq(test_parse_bytes("{}\0", 3, &state), -EINVAL);
}

Test(state, deep_nesting_is_refused_before_it_is_parsed)
{
	size_t len = 1000000;
	char *text = malloc(len);
	struct hf_state *state = NULL;
	static const char at_limit[] =
		"{\"schema\":1,\"version\":\"v\",\"origins\":[],\"routes\":[],"
		"\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]],\"y\":\"[[[[\\\"[[[[[[[[[\"}";

	memset(text, '[', len);
	cr_expect_eq(test_parse_bytes(text, len, &state), -EINVAL);
	cr_expect_str_eq(test_reasons, "$: found deeper nesting; allowed: a depth of at most 16\n");
	free(text);
	cr_expect_eq(test_parse(at_limit, &state), 0, "%s", test_reasons);
	hf_state_unref(state);
	test_refused("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
		"$: found deeper nesting; allowed: a depth of at most 16\n");
}

Test(state, limits_on_size_and_counts)
{
	char *text = calloc(1, STATE_TEXT_MAX + 2), *at = text;
	struct hf_state *state = NULL;

	memset(text, ' ', STATE_TEXT_MAX + 1);
	cr_expect_eq(test_parse_bytes(text, STATE_TEXT_MAX + 1, &state), -EINVAL);
	cr_expect_str_eq(test_reasons, "$: found 8388609 bytes; allowed: at most 8388608\n");
	at += sprintf(at, "{\"schema\":1,\"version\":\"v\",\"routes\":[],\"origins\":[");
	for (int i = 0; i < 4097; i++)
		at += sprintf(at, "%s{\"group\":\"g%d\",\"id\":\"o\",\"url\":\"http://x\"}",
			i ? "," : "", i);
	(void)sprintf(at, "]}");
	cr_expect_eq(test_parse(text, &state), -EINVAL);
	cr_expect_str_eq(test_reasons, "$.origins: found 4097 entries; allowed: at most 4096\n");
	free(text);
}

Test(state, names_are_visible_ASCII_of_at_most_1024)
{
	char long_id[1200], text[2048];
	struct hf_state *state = NULL;

	memset(long_id, 'a', sizeof(long_id));
	long_id[1024] = '\0';
	(void)snprintf(text, sizeof(text),
		STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"%s\",\"url\":\"http://a\"}", ""),
		long_id);
	cr_assert_eq(test_parse(text, &state), 0);
	hf_state_unref(state);
	long_id[1024] = 'a';
	long_id[1025] = '\0';
	(void)snprintf(text, sizeof(text),
		STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"%s\",\"url\":\"http://a\"}", ""),
		long_id);
	cr_expect_eq(test_parse(text, &state), -EINVAL);
	test_refused(STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"a\\nb\",\"url\":\"http://a\"}", ""),
		"$.origins[0].id: found \"a?b\"" WORD_ALLOWED);
}

Test(state, a_version_is_shown_whole_so_it_has_at_most_127)
{
	char version[129], text[512];
	struct hf_state *state = NULL;

	memset(version, 'v', sizeof(version));
	version[127] = '\0';
	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"%s\",\"origins\":[],\"routes\":[]}", version);
	cr_assert_eq(test_parse(text, &state), 0, "%s", test_reasons);
	cr_expect_str_eq(state->version, version);
	hf_state_unref(state);
	version[127] = 'v';
	version[128] = '\0';
	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"%s\",\"origins\":[],\"routes\":[]}", version);
	cr_expect_eq(test_parse(text, &state), -EINVAL);
	cr_expect(strstr(test_reasons, "...\"" VERSION_ALLOWED), "%s", test_reasons);
}

Test(state, an_origin_URL_is_scheme_host_and_port)
{
	static const char *const good[] = { "http://a", "https://a.b-c_d:65535",
		"http://10.0.0.1:1/", "http://[2001:db8::1]", "http://[::ffff:1.2.3.4]:80/" };
	static const char *const bad[] = { "http://", "http:///", "a:80", "http://u@h",
		"http://u:p@h", "http://a:0", "http://a:65536", "http://a:", "http://a:8x",
		"http://a/x", "http://a/?q", "http://a?q", "http://a#f", "http://[::1", "http://[]",
		"http://[::1]x", "http://a..b", "http://.a", "http://a.", "HTTP://a", "http://a b",
		"http://a:1:2", "http://[::1%eth0]" };
	char text[512];

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		struct hf_state *state;

		(void)snprintf(text, sizeof(text),
			STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"o\",\"url\":\"%s\"}", ""),
			good[i]);
		cr_assert_eq(test_parse(text, &state), 0, "%s: %s", good[i], test_reasons);
		hf_state_unref(state);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"o\",\"url\":\"%s\"}", ""),
			bad[i]);
		cr_expect_eq(test_parse(text, &(struct hf_state *){ NULL }), -EINVAL, "taken: %s",
			bad[i]);
	}
}

Test(state, a_file_stands_before_each_reason)
{
	char path[] = "/tmp/hf_state_test_XXXXXX", buf[512] = "", expected[512];
	int fd = mkstemp(path);
	FILE *errors = fmemopen(buf, sizeof(buf), "w");
	struct hf_state *state = NULL;

	cr_assert(write(fd, "{\"schema\":1,\"version\":\"v\"}", 26) == 26);
	(void)close(fd);
	cr_expect_eq(hf_state_load(path, errors, &state), -EINVAL);
	(void)unlink(path);
	cr_expect_eq(hf_state_load(path, errors, &state), -ENOENT);
	(void)fclose(errors);
	(void)snprintf(expected, sizeof(expected),
		"%s: $.origins: found nothing; allowed: an array\n"
		"%s: $.routes: found nothing; allowed: an array\n"
		"%s: found No such file or directory; allowed: a readable file\n",
		path, path, path);
	cr_expect_str_eq(buf, expected);
	cr_expect_null(state);
}
