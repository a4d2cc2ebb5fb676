/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state_overlay.h"

#include "state_test.h"

#define TWO                                                                                        \
	STATE_TEST_ORIGIN ",{\"group\":\"g\",\"id\":\"o2\",\"url\":\"http://b/\"},"                \
			  "{\"group\":\"h\",\"id\":\"o1\",\"url\":\"http://c\"}"

static struct hf_state_overlay *overlay;
static struct hf_state *state; /* in force */
static char *reasons;

static void setup(void)
{
	overlay = hf_state_overlay_new();
	cr_assert(overlay && hf_state_overlay_is_empty(overlay));
}

static void teardown(void)
{
	hf_state_unref(state);
	hf_state_overlay_free(overlay);
	free(reasons);
}

TestSuite(state_overlay, .init = setup, .fini = teardown);

static void apply(const char *text)
{
	struct hf_state *next = NULL;

	cr_assert_eq(hf_state_parse_with(text, strlen(text), overlay, stderr, &next), 0);
	hf_state_overlay_settle(overlay, next);
	hf_state_unref(state);
	state = next;
}

static int change(enum hf_state_change what, const char *group, const char *origin)
{
	size_t len;
	FILE *errors;
	int rc;

	free(reasons);
	errors = open_memstream(&reasons, &len);
	rc = hf_state_overlay_change(overlay, what, state, group, origin, errors);
	(void)fclose(errors);
	return rc;
}

static const struct hf_state_origin *find(uint32_t group, const char *id)
{
	for (uint32_t i = 0; group < state->group_count && i < state->group[group].origin_count;
		i++)
		if (strcmp(state->group[group].origin[i].id, id) == 0)
			return &state->group[group].origin[i];
	return NULL;
}

Test(state_overlay, L1_an_added_origin_is_in_every_document_that_has_its_group)
{
	apply(STATE_TEST_DOC(TWO, STATE_TEST_ROUTE));
	cr_assert_eq(change(HF_STATE_ADD, "g", "http://new:1/"), 0, "%s", reasons);
	apply(STATE_TEST_DOC(TWO, STATE_TEST_ROUTE));
	cr_assert_eq(state->group_count, 2);
	cr_assert_eq(state->group[0].origin_count, 3);
	cr_assert_not_null(find(0, "http://new:1"));
	cr_expect(find(0, "http://new:1")->from == HF_STATE_OPERATOR);
	cr_expect_str_eq(find(0, "http://new:1")->url, "http://new:1");
	cr_expect_eq(find(0, "http://new:1")->weight, 1);
	apply(STATE_TEST_DOC("{\"group\":\"h\",\"id\":\"o1\",\"url\":\"http://c\"}", ""));
	cr_expect_eq(state->group_count, 1, "without the group it is left out");
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect_not_null(find(0, "http://new:1"));
}

Test(state_overlay, L1_the_document_wins)
{
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_assert_eq(change(HF_STATE_ADD, "g", "http://b"), 0, "%s", reasons);
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect_eq(state->group[0].origin_count, 2, "it has that URL itself");
	cr_expect(find(0, "o2")->from == HF_STATE_DOCUMENT);
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN
		",{\"group\":\"g\",\"id\":\"http://b\",\"url\":\"http://z\"}",
		""));
	cr_expect_eq(state->group[0].origin_count, 2, "it has that id itself");
	cr_expect_str_eq(find(0, "http://b")->url, "http://z");
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect(find(0, "http://b")->from == HF_STATE_OPERATOR);
	cr_assert_eq(change(HF_STATE_REMOVE, "g", "http://b/"), 0, "%s", reasons);
	cr_expect(hf_state_overlay_is_empty(overlay));
}

Test(state_overlay, L1_it_is_checked_as_one_of_the_document_s)
{
	static const struct {
		const char *group, *url, *reason;
	} bad[] = {
		{ "g", "ftp://x",
			"origin.url: found \"ftp://x\"; allowed: http://HOST[:PORT] or "
			"https://HOST[:PORT], without user or path\n" },
		{ "no", "http://x", "origin.group: found \"no\"; allowed: a group of the state\n" },
		{ "g", "http://a:1/",
			"origin.url: found \"http://a:1\"; allowed: one that the group does not "
			"have\n" },
	};

	apply(STATE_TEST_DOC(TWO, ""));
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_eq(change(HF_STATE_ADD, bad[i].group, bad[i].url), -EINVAL);
		cr_expect_str_eq(reasons, bad[i].reason);
	}
	cr_expect_eq(change(HF_STATE_ADD, "a b", "x"), -EINVAL);
	cr_expect(strstr(reasons, "origin.group: found \"a b\"") &&
			  strstr(reasons, "origin.url: found \"x\""),
		"every reason: %s", reasons);
	cr_expect_eq(change(HF_STATE_REMOVE, "g", "http://a:1"), -EINVAL);
	cr_expect_str_eq(reasons,
		"origin.url: found \"http://a:1\"; allowed: one that was added to the group\n");
	cr_expect(hf_state_overlay_is_empty(overlay));
}

Test(state_overlay, their_number_is_limited)
{
	char url[32];

	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	for (int i = 0; i < HF_STATE_ADDED_MAX; i++) {
		(void)snprintf(url, sizeof(url), "http://h%d", i);
		cr_assert_eq(change(HF_STATE_ADD, "g", url), 0);
	}
	cr_expect_eq(change(HF_STATE_ADD, "g", "http://more"), -EINVAL);
	cr_expect_str_eq(
		reasons, "origin: found 64 that were added already; allowed: at most 64\n");
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect_eq(state->group[0].origin_count, 1 + HF_STATE_ADDED_MAX);
}

Test(state_overlay, L2_what_is_drained_stays_so_while_group_and_id_are_the_same)
{
	apply(STATE_TEST_DOC(TWO, ""));
	cr_assert_eq(change(HF_STATE_DRAIN, "g", "o2"), 0, "%s", reasons);
	apply(STATE_TEST_DOC(TWO, STATE_TEST_ROUTE));
	cr_expect(find(0, "o2")->drained);
	cr_expect(!find(0, "o1")->drained && !find(1, "o1")->drained);
	apply(STATE_TEST_DOC("{\"group\":\"g\",\"id\":\"o2\",\"url\":\"http://elsewhere\"}", ""));
	cr_expect(find(0, "o2")->drained, "another URL, the same origin");
	cr_assert_eq(change(HF_STATE_RESUME, "g", "http://elsewhere"), 0, "%s", reasons);
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect(!find(0, "o2")->drained);
}

Test(state_overlay, L2_a_document_without_it_ends_that)
{
	apply(STATE_TEST_DOC(TWO, ""));
	cr_assert_eq(change(HF_STATE_DRAIN, "g", "http://b"), 0, "%s", reasons);
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect(find(0, "o2")->drained);
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect(hf_state_overlay_is_empty(overlay));
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect(!find(0, "o2")->drained, "it is another one");
}

Test(state_overlay, what_is_not_there_cannot_be_drained)
{
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect_eq(change(HF_STATE_DRAIN, "g", "o9"), -EINVAL);
	cr_expect_str_eq(reasons,
		"origin.id: found \"o9\"; allowed: the id or URL of an origin of the group\n");
	cr_expect_eq(change(HF_STATE_RESUME, "x", "o1"), -EINVAL);
	cr_expect_str_eq(reasons, "origin.group: found \"x\"; allowed: a group of the state\n");
}

/* As the registry has them; the generation of each is its place, from 1. */
static void registered(size_t count, ...)
{
	struct hf_state_registered list[8];
	va_list args;

	cr_assert_leq(count, HF_ARRAY_LEN(list));
	va_start(args, count);
	for (size_t i = 0; i < count; i++) {
		list[i] = (struct hf_state_registered){ .group = "g", .weight = 7 };
		list[i].id = va_arg(args, const char *);
		list[i].url = va_arg(args, const char *);
		list[i].generation = i + 1;
	}
	va_end(args);
	cr_assert_eq(hf_state_overlay_register(overlay, list, count), 0);
}

Test(state_overlay, L3_registered_origins_are_put_into_a_group_that_may_be_empty)
{
	static const char doc[] = "{\"schema\":1,\"version\":\"v\",\"groups\":[{\"id\":\"g\"}],"
				  "\"origins\":[],\"routes\":[" STATE_TEST_ROUTE "]}";

	apply(doc);
	cr_assert_eq(state->group_count, 1);
	cr_expect_eq(state->group[0].origin_count, 0);
	cr_expect_eq(state->route[0].group, &state->group[0]);
	registered(2, "r1", "http://r:1", "r2", "http://r:2");
	cr_expect_not(hf_state_overlay_is_empty(overlay));
	apply(doc);
	cr_assert_eq(state->group[0].origin_count, 2);
	cr_expect_str_eq(find(0, "r2")->url, "http://r:2");
	cr_expect_eq(find(0, "r2")->weight, 7);
	cr_expect_eq(find(0, "r2")->generation, 2);
	cr_expect_eq(find(0, "r2")->from, HF_STATE_REGISTRY);
	registered(0);
	apply(doc);
	cr_expect_eq(state->group[0].origin_count, 0);
	cr_expect(hf_state_overlay_is_empty(overlay));
}

Test(state_overlay, L3_the_document_wins_then_the_operator_then_who_came_first)
{
	apply(STATE_TEST_DOC(TWO, ""));
	cr_assert_eq(change(HF_STATE_ADD, "g", "http://op"), 0);
	registered(6, "o1", "http://r:1", "r2", "http://b", "r3", "http://op", "r4", "http://r:4",
		"r5", "http://r:4", "r6", "http://r:6");
	apply(STATE_TEST_DOC(TWO, ""));
	cr_expect_str_eq(find(0, "o1")->url, "http://a:1", "an id of the document");
	cr_expect_null(find(0, "r2"), "a URL of the document");
	cr_expect_null(find(0, "r3"), "a URL of the operator");
	cr_expect_eq(find(0, "http://op")->from, HF_STATE_OPERATOR);
	cr_expect_not_null(find(0, "r4"));
	cr_expect_null(find(0, "r5"), "the URL of one before it");
	cr_expect_eq(find(0, "r6")->generation, 6);
	cr_expect_eq(find(0, "o1")->generation, 0);
	apply(STATE_TEST_DOC("{\"group\":\"h\",\"id\":\"o1\",\"url\":\"http://c\"}", ""));
	cr_expect_eq(state->group_count, 1, "without the group they are left out");
}

Test(state_overlay, L3_no_more_than_a_document_may_have)
{
	static char text[STATE_ORIGINS_MAX * 64];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s",
		"{\"schema\":1,\"version\":\"v\",\"routes\":[],\"origins\":[");

	for (int i = 0; i < STATE_ORIGINS_MAX - 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s{\"group\":\"g\",\"id\":\"%d\",\"url\":\"http://h%d\"}", i ? "," : "", i,
			i);
	(void)snprintf(text + len, sizeof(text) - len, "]}");
	registered(2, "r1", "http://r:1", "r2", "http://r:2");
	apply(text);
	cr_expect_eq(state->group[0].origin_count, STATE_ORIGINS_MAX);
	cr_expect_not_null(find(0, "r1"));
}

Test(state_overlay, L4_a_drain_holds_while_a_registered_origin_comes_and_goes)
{
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	registered(1, "r1", "http://r:1");
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_assert_eq(change(HF_STATE_DRAIN, "g", "http://r:1"), 0, "%s", reasons);
	registered(0);
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect_null(find(0, "r1"));
	registered(1, "r1", "http://r:9");
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect(find(0, "r1")->drained);
	registered(0);
	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	cr_expect_eq(change(HF_STATE_RESUME, "g", "r1"), 0, "%s", reasons);
	cr_expect_eq(change(HF_STATE_RESUME, "g", "r1"), -EINVAL, "it is not drained");
	cr_expect(hf_state_overlay_is_empty(overlay));
}

Test(state_overlay, L4_the_number_of_the_drained_is_limited)
{
	char id[16];
	struct hf_state_registered one = { .group = "g", .id = id, .url = "http://r", .weight = 1 };

	apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
	for (int i = 0; i <= HF_STATE_DRAINED_MAX; i++) {
		(void)snprintf(id, sizeof(id), "r%d", i);
		cr_assert_eq(hf_state_overlay_register(overlay, &one, 1), 0);
		apply(STATE_TEST_DOC(STATE_TEST_ORIGIN, ""));
		cr_assert_eq(change(HF_STATE_DRAIN, "g", id),
			i < HF_STATE_DRAINED_MAX ? 0 : -EINVAL, "%d: %s", i, reasons);
	}
	cr_expect_str_eq(
		reasons, "origin: found 1024 that are drained already; allowed: at most 1024\n");
}
