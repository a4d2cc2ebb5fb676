/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Heads that repeat: what the memo tells is what parsing gives, and what it may not keep it does not.
 */
#include "req_rig.h"

#include "hf_http_memo.h"

#define FIELDS "Host: a\r\nAccept: */*\r\nX-Y:  z \r\nConnection: x-y\r\n"

static struct hf_http_memo memo;
static struct hf_http_req told;

static void keep(const char *text)
{
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(hf_http_memo_parse(&memo, text, strlen(text), &limits, &told, &fault),
			HF_PARSE_DONE);
}

static void assert_same_line(const struct hf_http_line *a, const struct hf_http_line *b)
{
	cr_assert(a->name.ptr == b->name.ptr && a->name.len == b->name.len);
	cr_assert(a->value.ptr == b->value.ptr && a->value.len == b->value.len);
	cr_assert(a->id == b->id && a->hop == b->hop);
}

/* As without a memo; and from the memo, or not. */
static void assert_same(const char *text, bool from_memo)
{
	/* what no head here says: it shows whether the memo spoke */
	const uint64_t mark = 1ULL << HF_HTTP_FIELD_WARNING;
	size_t len = strlen(text);
	const char *at = guard_at_end(text, len);

	cr_assert_eq(hf_http_req_parse(at, len, &limits, &req, &fault), HF_PARSE_DONE);
	memo.have |= mark;
	cr_assert_eq(hf_http_memo_parse(&memo, at, len, &limits, &told, &fault), HF_PARSE_DONE);
	memo.have &= ~mark;
	cr_assert_eq(told.fields.have, req.fields.have | (from_memo ? mark : 0), "%s", text);
	cr_assert_eq(told.head_len, req.head_len);
	cr_assert(told.body == req.body && told.form == req.form);
	cr_assert_eq(told.keep_alive, req.keep_alive);
	cr_assert_eq(told.te_trailers, req.te_trailers);
	cr_assert_eq(told.has_range, req.has_range);
	cr_assert_eq(told.has_conditional, req.has_conditional);
	cr_assert_eq(told.has_authorization, req.has_authorization);
	cr_assert_eq(told.max_forwards, req.max_forwards);
	cr_assert(told.target.ptr == req.target.ptr && told.target.len == req.target.len);
	cr_assert(hf_span_eq(told.path_query, req.path_query));
	cr_assert(told.authority.ptr == req.authority.ptr);
	cr_assert_eq(told.authority.len, req.authority.len);
	cr_assert_eq(told.fields.count, req.fields.count);
	for (uint32_t i = 0; i < req.fields.count; i++)
		assert_same_line(&told.fields.lines[i], &req.fields.lines[i]);
}

Test(http_memo, a_head_that_repeats_is_told_as_it_would_be_parsed)
{
	keep("GET /a HTTP/1.1\r\n" FIELDS "\r\n");
	assert_same("GET /other?x HTTP/1.1\r\n" FIELDS "\r\n", true);
	cr_assert(told.fields.lines[2].hop, "x-y is named by Connection");
	assert_same("GET /a HTTP/1.1\r\n" FIELDS "\r\nGET /behind", true);
	assert_same("HEAD /a HTTP/1.1\r\n" FIELDS "\r\n", true);
}

Test(http_memo, what_fields_mean_is_told_with_them)
{
	static const char *const lines[] = { "TE: trailers", "Range: bytes=0-1", "If-Match: *",
		"If-None-Match: *", "Accept: a" };
	char text[200];

	for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++) {
		snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", lines[i]);
		keep(text);
		memset(&told, i % 2 ? 0xff : 0, sizeof(told));
		assert_same(text, true);
	}
}

Test(http_memo, what_the_request_line_says_is_its_own)
{
	keep("GET /a HTTP/1.1\r\n" FIELDS "Max-Forwards: 3\r\n\r\n");
	assert_same("GET http://b.example/a HTTP/1.1\r\n" FIELDS "Max-Forwards: 3\r\n\r\n", true);
	assert_span(told.authority, "b.example");
	assert_same("OPTIONS /a HTTP/1.1\r\n" FIELDS "Max-Forwards: 3\r\n\r\n", true);
	cr_assert_eq(told.max_forwards, 3);
	assert_same("GET /a HTTP/1.0\r\n" FIELDS "Max-Forwards: 3\r\n\r\n", false);
	cr_assert(!told.keep_alive);
}

Test(http_memo, the_authority_of_one_target_is_not_kept)
{
	keep("GET http://b.example/a HTTP/1.1\r\n" FIELDS "\r\n");
	assert_same("GET /a HTTP/1.1\r\n" FIELDS "\r\n", true);
	assert_span(told.authority, "a");
}

Test(http_memo, a_byte_more_or_other_is_another_head)
{
	keep("GET /a HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n");
	assert_same("GET /a HTTP/1.1\r\nHost: a\r\nAccept: c\r\n\r\n", false);
	keep("GET /a HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n");
	assert_same("GET /a HTTP/1.1\r\nHost: a\r\nAccept: b\r\nTE: trailers\r\n\r\n", false);
	cr_assert(told.te_trailers);
}

Test(http_memo, a_head_that_is_not_whole_waits)
{
	const char *text = "GET /a HTTP/1.1\r\n" FIELDS "\r\n";

	keep(text);
	for (size_t len = 0; len < strlen(text); len++)
		cr_assert_eq(hf_http_memo_parse(
				     &memo, guard_at_end(text, len), len, &limits, &told, &fault),
			HF_PARSE_MORE);
}

Test(http_memo, limits_that_became_less_hold)
{
	const struct hf_http_limits lines = { .head_max = 1000, .uri_max = 100, .lines_max = 3 };
	const struct hf_http_limits head = { .head_max = 40, .uri_max = 40, .lines_max = 10 };
	const char *text = "GET /a HTTP/1.1\r\n" FIELDS "\r\n";

	keep(text);
	cr_assert_eq(
		hf_http_memo_parse(&memo, text, strlen(text), &lines, &told, &fault), HF_PARSE_BAD);
	cr_assert_eq(fault.status, 431);
	cr_assert_eq(
		hf_http_memo_parse(&memo, text, strlen(text), &head, &told, &fault), HF_PARSE_BAD);
	cr_assert_eq(fault.status, 431);
}

Test(http_memo, credentials_bodies_expectations_and_last_heads_are_not_kept)
{
	static const char *const lines[] = { "Cookie: a=b", "Authorization: Basic eDp5",
		"Proxy-Authorization: Basic eDp5", "X-Api-Key: s", "Traceparent: s",
		"Content-Length: 0", "Content-Length: 3", "Transfer-Encoding: chunked",
		"Expect: 100-continue", "Connection: close" };
	char text[200];

	for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++) {
		hf_http_memo_forget(&memo);
		snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", lines[i]);
		keep(text);
		keep(text);
		cr_assert_eq(memo.len, 0, "%s", lines[i]);
		cr_assert(memmem(memo.text, sizeof(memo.text), lines[i], 8) == NULL);
	}
}

static void keep_of(const char *sender, const char *text)
{
	memo.sender = sender;
	keep(text);
}

Test(http_memo, N3_what_one_sender_said_is_gone_with_it)
{
	const char *text = "GET /a HTTP/1.1\r\nHost: a\r\nX-Client: me\r\n\r\n";
	const char first[] = "1", second[] = "2";

	keep_of(first, text);
	hf_http_memo_left(&memo, second);
	assert_same(text, true);
	keep_of(second, text); /* told, so it is the second one's too */
	hf_http_memo_left(&memo, first);
	assert_same(text, true);
	hf_http_memo_left(&memo, second);
	cr_assert(memmem(memo.text, sizeof(memo.text), "X-Client", 8) == NULL);
	assert_same(text, false);
	keep_of(second, text);
	assert_same(text, true);
}

Test(http_memo, what_the_operator_calls_a_credential_is_none_to_keep)
{
	static const struct hf_names fields = { .count = 1, .name = { "x-y" } }, none;

	hf_http_secrets_set(&fields, &none);
	keep("GET /a HTTP/1.1\r\n" FIELDS "\r\n");
	cr_assert_eq(memo.len, 0);
	hf_http_secrets_set(&none, &none);
	keep("GET /a HTTP/1.1\r\n" FIELDS "\r\n");
	cr_assert_gt(memo.len, 0);
	hf_http_memo_forget(&memo);
	cr_assert(memmem(memo.text, sizeof(memo.text), "X-Y", 3) == NULL);
}

Test(http_memo, what_is_too_long_or_has_too_many_lines_is_not_kept)
{
	char text[2000] = "GET /a HTTP/1.1\r\nHost: a\r\nX: ";
	size_t len = strlen(text);

	memset(text + len, 'x', HF_HTTP_MEMO_MAX);
	strcpy(text + len + HF_HTTP_MEMO_MAX, "\r\n\r\n");
	keep(text);
	keep(text);
	cr_assert_eq(memo.len, 0);
	strcpy(text, "GET /a HTTP/1.1\r\nHost: a\r\n");
	for (unsigned i = 0; i < HF_HTTP_MEMO_LINES; i++)
		strcat(text, "X: x\r\n");
	strcat(text, "\r\n");
	keep(text);
	keep(text);
	cr_assert_eq(memo.len, 0);
}

Test(http_memo, heads_that_differ_in_length_are_not_copied)
{
	const char *other = "GET /a HTTP/1.1\r\nHost: bb\r\n\r\n";

	keep("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_eq(hf_http_memo_parse(&memo, other, strlen(other), &limits, &told, &fault),
		HF_PARSE_DONE);
	assert_same("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", true);
}

static int key_of(struct hf_http_memo *with, char *buf, size_t cap, const char *const row[3])
{
	struct hf_http_req asked = { .scheme = { row[0], strlen(row[0]) },
		.path_query = { row[2], strlen(row[2]) },
		.no_escape = !strpbrk(row[2], "%") && !strstr(row[2], "/.") };
	struct hf_span authority = { row[1], strlen(row[1]) };

	memset(buf, 'Z', 200);
	return with ? hf_http_memo_key(with, buf, cap, &asked, authority)
		    : hf_http_key_build(buf, cap, asked.scheme, authority, asked.path_query);
}

Test(http_memo, keys_are_what_they_would_be_built_as)
{
	static const char *const rows[][3] = { { "http", "a", "/x" }, { "http", "A:80", "/x" },
		{ "http", "a:8080", "/%41" }, { "http", "", "/x" }, { "https", "a:8080", "/x" },
		{ "HTTP", "a:8080", "/x" }, { "ftps", "a:8080", "/x" }, { "http", "a:8080", "x" },
		{ "http", "a:8080", "/a.b/c..d?/e" }, { "http", "b b", "/x" },
		{ "http", "b%2d", "/./x" }, { "http", "c", "?q" },
		{ "http", "0123456789012345678901234567890123456789012345678901234567890123", "/" },
		{ "http", "0123456789012345678901234567890123456789012345678901234567890123x",
			"/" } };
	char plain[200], kept[200];

	for (size_t i = 0; i < HF_ARRAY_LEN(rows) * HF_ARRAY_LEN(rows); i++) {
		const char *const *first = rows[i / HF_ARRAY_LEN(rows)];
		const char *const *row = rows[i % HF_ARRAY_LEN(rows)];
		size_t cap = i % 3 == 0 ? 12 : i % 3 == 1 ? 85 : sizeof(kept);
		int len = key_of(NULL, plain, cap, row);

		(void)key_of(&memo, kept, sizeof(kept), first);
		cr_assert_eq(key_of(&memo, kept, cap, row), len, "%s %s", row[0], row[1]);
		if (len > 0)
			cr_assert_eq(memcmp(plain, kept, (size_t)len), 0, "%s %s", row[0], row[1]);
	}
	(void)key_of(&memo, kept, sizeof(kept), rows[HF_ARRAY_LEN(rows) - 2]);
	(void)key_of(&memo, kept, sizeof(kept), rows[0]);
	(void)key_of(&memo, kept, sizeof(kept), rows[0]);
	cr_assert(!memmem(kept, sizeof(kept), "0123", 4), "of another key");
	(void)key_of(&memo, kept, sizeof(kept), rows[2]);
	cr_assert_eq(memo.site_len, strlen("a:8080"));
}

Test(http_memo, a_key_from_the_memo_stays_in_its_room)
{
	char path[100] = "/", plain[200], kept[200];
	const char *row[] = { "http", "a.example", path };

	(void)key_of(&memo, kept, sizeof(kept), row);
	for (size_t len = 1; len < sizeof(path); len++) {
		for (size_t cap = 0; cap < sizeof(kept); cap++) {
			int want = key_of(NULL, plain, cap, row);

			cr_assert_eq(key_of(&memo, kept, cap, row), want, "%zu %zu", len, cap);
			for (size_t at = cap; at < sizeof(kept); at++)
				cr_assert_eq(kept[at], 'Z', "%zu %zu", len, cap);
		}
		path[len] = 'x';
	}
}

/* ---- heads that are known before they are parsed ---- */

static struct hf_http_repeat repeat;

static void keep_sited(const char *text)
{
	char key[128];

	keep(text);
	cr_assert_gt(hf_http_memo_key(&memo, key, sizeof(key), &told, told.authority), 0);
}

static bool repeats_within(const struct hf_http_limits *with, const char *text)
{
	char key[128], known[128];
	size_t len = strlen(text);
	struct hf_span in = { guard_at_end(text, len), len };
	int key_len;

	if (!hf_http_memo_repeats(&memo, with, known, sizeof(known), in, &repeat))
		return false;
	cr_assert_eq(hf_http_req_parse(in.ptr, len, with, &req, &fault), HF_PARSE_DONE);
	cr_assert(req.method == HF_HTTP_GET && req.form == HF_HTTP_FORM_ORIGIN);
	cr_assert(req.minor == 1 && req.keep_alive && req.body == HF_HTTP_BODY_NONE);
	cr_assert(repeat.head.ptr == in.ptr && repeat.head.len == req.head_len);
	cr_assert(hf_http_repeat_is(&memo, &repeat, &req));
	key_len = hf_http_key_build(key, sizeof(key), req.scheme, req.authority, req.path_query);
	cr_assert_eq(key_len, (int)repeat.key_len);
	cr_assert_arr_eq(key, known, repeat.key_len);
	return true;
}

static bool repeats(const char *text)
{
	return repeats_within(&limits, text);
}

Test(http_memo, a_head_that_repeats_is_known_with_its_key)
{
	keep("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_not(repeats("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"), "no key was built");
	keep_sited("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert(repeats("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
	cr_assert(repeats("GET /c?d HTTP/1.1\r\nHost: a\r\n\r\nGET /behind"));
	cr_assert(repeats("GET /a/b.c/d-0123456789-0123456789 HTTP/1.1\r\nHost: a\r\n\r\n"));
}

Test(http_memo, what_is_no_such_head_is_not_known)
{
	static const char *const texts[] = { "HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.0\r\nHost: a\r\n\r\n",
		"GET /b HTTP/1.1\r\nHost: b\r\n\r\n", "GET /%62 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /../b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b#c HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /b\tc HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b\xc3 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /b  HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\nHost: a\r\n\r\n",
		"\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\r\nHost: a\r\n\r",
		"GET /b HTTP/1.1\r\n", "GET /b", "GET /", "GET ", "", "G",
		"GET /bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" };

	keep_sited("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
		cr_assert_not(repeats(texts[i]), "%s", texts[i]);
	cr_assert(repeats("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
}

Test(http_memo, what_is_known_keeps_to_limits)
{
	static const struct hf_http_limits lines = {
		.head_max = 1000, .uri_max = 100, .lines_max = 3
	};
	static const struct hf_http_limits uri = {
		.head_max = 1000, .uri_max = 1, .lines_max = 10
	};
	static const struct hf_http_limits head = {
		.head_max = 40, .uri_max = 40, .lines_max = 10
	};
	const char *text = "GET /b HTTP/1.1\r\n" FIELDS "\r\n";
	char key[128];
	struct hf_span in = { text, strlen(text) };

	keep_sited("GET /a HTTP/1.1\r\n" FIELDS "\r\n");
	cr_assert(repeats(text));
	cr_assert_not(repeats_within(&lines, text));
	cr_assert_not(repeats_within(&uri, text));
	cr_assert_not(repeats_within(&head, text));
	for (size_t cap = 0; cap < strlen("http://a/b"); cap++)
		cr_assert_not(hf_http_memo_repeats(&memo, &limits, key, cap, in, &repeat));
}

Test(http_memo, what_is_known_holds_until_the_memo_is_another)
{
	const char first[] = "1";
	const char *text = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
	char key[128];

	memo.sender = first;
	keep_sited(text);
	cr_assert(repeats(text));
	keep(text); /* the same once more */
	cr_assert(hf_http_repeat_holds(&memo, &repeat));
	keep("GET /b HTTP/1.1\r\nHost: b\r\n\r\n");
	cr_assert_not(hf_http_repeat_holds(&memo, &repeat), "another text");
	keep_sited(text);
	cr_assert(repeats(text));
	told.authority = HF_SPAN("c");
	cr_assert_gt(hf_http_memo_key(&memo, key, sizeof(key), &told, told.authority), 0);
	cr_assert_not(hf_http_repeat_holds(&memo, &repeat), "another site");
	cr_assert_not(repeats(text));
	keep_sited(text);
	cr_assert(repeats(text));
	hf_http_memo_left(&memo, first);
	cr_assert_not(hf_http_repeat_holds(&memo, &repeat), "its sender left");
	cr_assert_not(repeats(text));
	keep_sited(text);
	cr_assert(repeats(text));
	hf_http_memo_forget(&memo);
	cr_assert_not(hf_http_repeat_holds(&memo, &repeat), "forgotten");
	cr_assert_not(repeats(text));
}

Test(http_memo, N3_what_was_said_again_by_another_stays_until_that_one_leaves)
{
	const char *text = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
	const char first[] = "1", second[] = "2";

	memo.sender = first;
	keep_sited(text);
	hf_http_memo_said(&memo, second);
	hf_http_memo_left(&memo, first);
	cr_assert(repeats(text));
	hf_http_memo_left(&memo, second);
	cr_assert_not(repeats(text));
}

Test(http_memo, only_what_asks_for_nothing_special_is_plain)
{
	static const char *const special[] = { "Cache-Control: max-age=3", "Pragma: no-cache",
		"Range: bytes=0-1", "If-None-Match: *", "If-Range: \"a\"",
		"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" };
	static const char *const usual[] = { "Accept: */*", "TE: trailers", "Max-Forwards: 3" };
	static const struct hf_names none;
	char text[200];

	for (size_t i = 0; i < HF_ARRAY_LEN(special) + HF_ARRAY_LEN(usual); i++) {
		bool plain = i >= HF_ARRAY_LEN(special);

		snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
			plain ? usual[i - HF_ARRAY_LEN(special)] : special[i]);
		keep_sited(text);
		cr_assert(repeats(text));
		cr_assert_eq(repeat.plain, plain, "%s", text);
	}
	hf_http_secrets_set(&none, &none);
	keep_sited("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert(repeats("GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n"));
	cr_assert(repeat.plain);
	cr_assert(repeats("GET /a?token=c HTTP/1.1\r\nHost: a\r\n\r\n"));
	cr_assert_not(repeat.plain);
}
