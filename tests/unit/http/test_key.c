/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Keys: one for what is the same, different ones for what is not.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "guard.h"

static char key[512];

static int build(const char *scheme, const char *authority, const char *path_query)
{
	char path[256];
	int len;

	strcpy(path, path_query);
	len = hf_http_key_build(key, sizeof(key), (struct hf_span){ scheme, strlen(scheme) },
		(struct hf_span){ authority, strlen(authority) },
		(struct hf_span){ guard_at_end(path, strlen(path)), strlen(path) });
	if (len >= 0)
		key[len] = '\0';
	return len;
}

Test(http_key, rfc3986_6_2_normal_forms)
{
	static const struct {
		const char *scheme, *authority, *path_query, *key;
	} rows[] = {
		{ "http", "a", "/", "http://a/" },
		{ "HTTP", "EXAMPLE.com:80", "", "http://example.com/" },
		{ "https", "a:443", "/x", "https://a/x" },
		{ "https", "a:80", "/x", "https://a:80/x" },
		{ "http", "a:443", "/x", "http://a:443/x" },
		{ "http", "a:", "/x", "http://a/x" },
		{ "http", "a:0080", "/x", "http://a/x" },
		{ "http", "a:008080", "/x", "http://a:8080/x" },
		{ "http", "[2001:DB8::1]:8080", "/", "http://[2001:db8::1]:8080/" },
		{ "http", "%41b%2fc", "/", "http://ab%2Fc/" },
		{ "http", "a", "/%7euser/%41%2d%2E%5F", "http://a/~user/A-._" },
		{ "http", "a", "/%2f%3a%c3%a4", "http://a/%2F%3A%C3%A4" },
		{ "http", "a", "/a?q=%7e%2f", "http://a/a?q=~%2F" },
		{ "http", "a", "/A/b", "http://a/A/b" },
		{ "http", "a", "/a/./b/../c", "http://a/a/c" },
		{ "http", "a", "/../../x", "http://a/x" },
		{ "http", "a", "/a/..", "http://a/" },
		{ "http", "a", "/a/b/.", "http://a/a/b/" },
		{ "http", "a", "/a/%2e%2E/b", "http://a/b" },
		{ "http", "a", "/a//b/", "http://a/a//b/" },
		{ "http", "a", "//..//x", "http://a//x" },
		{ "http", "a", "/...", "http://a/..." },
		{ "http", "a", "/a?b=/../c", "http://a/a?b=/../c" },
		{ "http", "a", "?x", "http://a/?x" },
		{ "http", "a", "/?", "http://a/?" },
		{ "http", "a", "/%", "http://a/%" },
		{ "http", "a", "/%2", "http://a/%2" },
		{ "http", "a", "/%zz", "http://a/%zz" },
		{ "http", "a", "/%%36%36", "http://a/%%366" },
		{ "http", "a", "/%6%36", "http://a/%6%36" },
		{ "http", "a", "/100%?p=50%", "http://a/100%?p=50%" },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		cr_assert_geq(build(rows[i].scheme, rows[i].authority, rows[i].path_query), 0,
			"row %zu", i);
		cr_assert_str_eq(key, rows[i].key);
		/* A key is its own normal form. */
		cr_assert_geq(build("http", "a", strstr(key + 8, "/")), 0);
		cr_assert_str_eq(strstr(key + 8, "/"), strstr(rows[i].key + 8, "/"));
	}
}

Test(http_key, what_differs_is_not_merged)
{
	static const char *const rows[][2] = {
		{ "/a", "/a/" },
		{ "/a", "/a?" },
		{ "/a", "/A" },
		{ "/a/b", "/a%2Fb" },
		{ "/a?b", "/a%3Fb" },
		{ "/a?b=1&c=2", "/a?c=2&b=1" },
		{ "/a+b", "/a%20b" },
		{ "/a+b", "/a%2Bb" },
		{ "/a;b", "/a%3Bb" },
		{ "/%2541", "/%41" },
		{ "/a//b", "/a/b" },
		{ "/%%36%36", "/%66" },
		{ "/%6%36", "/%66" },
		{ "/%%36%36", "/f" },
	};
	char first[512];

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		cr_assert_geq(build("http", "h", rows[i][0]), 0);
		strcpy(first, key);
		cr_assert_geq(build("http", "h", rows[i][1]), 0);
		cr_assert_str_neq(first, key);
	}
}

Test(http_key, what_is_no_url_is_refused)
{
	cr_assert_eq(build("http", "", "/"), -EINVAL);
	cr_assert_eq(build("http", "u@h", "/"), -EINVAL);
	cr_assert_eq(build("http", "h:x", "/"), -EINVAL);
	cr_assert_eq(build("http", "h:1:2", "/"), -EINVAL);
	cr_assert_eq(build("http", "[12]", "/"), -EINVAL);
	cr_assert_eq(build("ftp", "h", "/"), -EINVAL);
	cr_assert_eq(build("http", "h", "*"), -EINVAL);
	cr_assert_eq(build("http", "h", "x"), -EINVAL);
}

Test(http_key, room_is_never_overrun)
{
	struct hf_span host = HF_SPAN("example.com:8080"), path = HF_SPAN("/a/../%7e?x=%2f");
	int len = hf_http_key_build(key, sizeof(key), HF_SPAN("http"), host, path);

	cr_assert_gt(len, 0);
	/* Escapes and dots shrink: the room needed is between the result and the promise. */
	for (size_t cap = 0; cap < 64; cap++) {
		char *room = guard_base() + GUARD_ROOM - cap;
		int got = hf_http_key_build(room, cap, HF_SPAN("http"), host, path);

		cr_assert(got == len || got == -ENOSPC);
		if (cap < (size_t)len)
			cr_assert_eq(got, -ENOSPC);
		if (cap >= host.len + path.len + 4 + 16)
			cr_assert_eq(got, len);
	}
}
