/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Chunked bodies: whole, cut in two at every byte, and byte by byte.
 */
#include "hf_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "guard.h"

static char body[65536];
static size_t body_len, taken;

static enum hf_http_chunk feed(struct hf_http_chunked *ch, const char *in, size_t len)
{
	enum hf_http_chunk verdict;
	size_t at = 0, n;
	struct hf_span data;

	in = guard_at_end(in, len);
	do {
		verdict = hf_http_chunked_next(ch, in + at, len - at, &n, &data);
		cr_assert_leq(at + n, len);
		at += n;
		if (verdict == HF_HTTP_CHUNK_DATA) {
			cr_assert_gt(data.len, 0);
			cr_assert(data.ptr >= in && data.ptr + data.len <= in + at);
			memcpy(body + body_len, data.ptr, data.len);
			body_len += data.len;
		}
	} while (verdict == HF_HTTP_CHUNK_DATA);
	if (verdict == HF_HTTP_CHUNK_MORE)
		cr_assert_eq(at, len);
	taken += at;
	return verdict;
}

/* step: bytes handed over at a time; first: of the first piece. */
static enum hf_http_chunk decode(const char *text, size_t len, size_t first, size_t step)
{
	struct hf_http_chunked ch;
	enum hf_http_chunk verdict = HF_HTTP_CHUNK_MORE;
	size_t n = first;

	hf_http_chunked_init(&ch);
	body_len = taken = 0;
	for (size_t at = 0; at < len && verdict == HF_HTTP_CHUNK_MORE; at += n, n = step)
		verdict = feed(&ch, text + at, n = hf_min_size(n, len - at));
	cr_assert_eq(ch.body_len, body_len);
	return verdict;
}

static void assert_chunked(const char *text, enum hf_http_chunk want, const char *want_body)
{
	size_t len = strlen(text);

	for (size_t first = 0; first <= len; first++) {
		cr_assert_eq(decode(text, len, first, len), want, "cut %zu: %s", first, text);
		if (want == HF_HTTP_CHUNK_END)
			cr_assert(body_len == strlen(want_body) &&
					  memcmp(body, want_body, body_len) == 0,
				"cut %zu: %s", first, text);
	}
	cr_assert_eq(decode(text, len, 1, 1), want, "bytes: %s", text);
}

Test(http_chunk, rfc9112_7_1_chunks_become_data)
{
	assert_chunked("5\r\nhello\r\n0\r\n\r\n", HF_HTTP_CHUNK_END, "hello");
	assert_chunked("5\r\nhello\r\n01\r\n!\r\n000\r\n\r\n", HF_HTTP_CHUNK_END, "hello!");
	assert_chunked("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", HF_HTTP_CHUNK_END,
		"01234567890123456789");
	assert_chunked("0\r\n\r\n", HF_HTTP_CHUNK_END, "");
	assert_chunked("5\r\nhel", HF_HTTP_CHUNK_MORE, NULL);
}

Test(http_chunk, what_follows_the_body_is_left)
{
	const char *text = "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n";

	cr_assert_eq(decode(text, strlen(text), strlen(text), 1), HF_HTTP_CHUNK_END);
	cr_assert_eq(taken, strlen("1\r\na\r\n0\r\n\r\n"));
}

Test(http_chunk, rfc9112_7_1_1_extensions_are_skipped)
{
	static const char *const good[] = { ";a=b;c=\"d e\"", " \t;a", ";a", ";a;b;c",
		" ; a = b ; c", ";a=\"\"", ";a=\"\\\"\\\\;\"", ";a=\"\t\xc3\xa4;\" ;b", ";5=5",
		";a =\tb" };
	char text[64];

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		(void)snprintf(text, sizeof(text), "1%s\r\nx\r\n0%s\r\n\r\n", good[i], good[i]);
		assert_chunked(text, HF_HTTP_CHUNK_END, "x");
	}
}

Test(http_chunk, rfc9112_7_1_1_malformed_extensions_are_refused)
{
	/* whoever reads "5;" as a line's end and who does not disagree about the body */
	static const char *const bad[] = { " ", "\t", ";", ";;", ";a;", "; ", ";a ", ";a=", ";a=;b",
		";=b", ";a=b=c", ";a=b ", ";a=\"b", ";a=\"b\\", ";a=\"b\"c", ";a=b\"c\"", ";a\x01",
		";a=\x01", ";a=\"\x01\"", ";a=\"\\\x01\"", ";a\n", ";a\rb", ";a=\"\r\n\"",
		";a=\"\n\"", ";a b", ";(a)", ";a=b,c", " a", ",a", "\x0b;a", ";\014a", ";\xc3\xa4",
		" ;", ";a=b;" };
	char text[64];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), "1%s\r\nx\r\n0\r\n\r\n", bad[i]);
		assert_chunked(text, HF_HTTP_CHUNK_BAD, NULL);
		(void)snprintf(text, sizeof(text), "1\r\nx\r\n0%s\r\n\r\n", bad[i]);
		assert_chunked(text, HF_HTTP_CHUNK_BAD, NULL);
	}
}

Test(http_chunk, rfc9112_7_1_2_trailers_are_checked_and_skipped)
{
	assert_chunked("0\r\nA: b\r\nC:\r\n\r\n", HF_HTTP_CHUNK_END, "");
	assert_chunked("0\r\nA : b\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\n A: b\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nA: b\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nA\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nA: b\rc\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nA: b\r\n c\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\n: b\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nA: \x01\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("0\r\nGET / HTTP/1.1\r\n\r\n", HF_HTTP_CHUNK_BAD, NULL);
	/* RFC 9110 §6.5.1: what frames or routes means nothing here */
	assert_chunked("0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n",
		HF_HTTP_CHUNK_END, "");
}

Test(http_chunk, rfc9112_11_2_malformed_chunks_are_refused)
{
	static const char *const rows[] = { "\r\n", "x\r\n", "-1\r\nx", "+1\r\nx", "0x1\r\nx",
		" 1\r\nx", "1\nx", "1\rx", "1\r\nxy", "1\r\nx\n", "1\r\nx\rx", "1\r\nx\r\n\r\n",
		"0\n\n", "0\r\n\n", "0\r\n\rx", ";a\r\n", "1g\r\n", "1_0\r\n", "\t1\r\n", "0X1\r\n",
		"1.0\r\n", "1,1\r\n", "\"1\"\r\n", "1\x0b\r\n", "1h\r\n", "1\x80\r\n", "\n1\r\n",
		"1\r\r\n", "1\r\nx1\r\nx", "1\r\nx\r\n;a\r\n", "0\r\n0\r\n\r\n", "00x0\r\n",
		"1 1\r\nx" };

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
		assert_chunked(rows[i], HF_HTTP_CHUNK_BAD, NULL);
}

Test(http_chunk, sizes_do_not_overflow)
{
	assert_chunked("7fffffffffffffff\r\nx", HF_HTTP_CHUNK_MORE, NULL);
	assert_chunked("8000000000000000\r\nx", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("ffffffffffffffff\r\nx", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("10000000000000001\r\nx", HF_HTTP_CHUNK_BAD, NULL);
	assert_chunked("00000000000000001\r\nx", HF_HTTP_CHUNK_BAD, NULL);
}

Test(http_chunk, extensions_and_trailers_are_bounded)
{
	static char text[70000];
	size_t len = 0;

	memset(text, 'a', sizeof(text));
	memcpy(text, "1;", 2);
	cr_assert_eq(decode(text, 300, 300, 1), HF_HTTP_CHUNK_BAD);
	memcpy(text, "0\r\n", 3);
	cr_assert_eq(decode(text, 9000, 9000, 1), HF_HTTP_CHUNK_BAD);
	/* A byte of data for each fat size line. */
	for (int i = 0; i < 100; i++) {
		memcpy(text + len, "1;", 2);
		memset(text + len + 2, 'e', 100);
		memcpy(text + len + 102, "\r\nx\r\n", 5);
		len += 107;
	}
	cr_assert_eq(decode(text, len, len, 1), HF_HTTP_CHUNK_BAD);
	/* A signature on each chunk is none of that. */
	len = 0;
	for (int i = 0; i < 200; i++)
		len += (size_t)sprintf(text + len, "80;sig=%064d\r\n%0128d\r\n", i, i);
	len += (size_t)sprintf(text + len, "0\r\n\r\n");
	cr_assert_eq(decode(text, len, len, 1), HF_HTTP_CHUNK_END);
}

Test(http_chunk, bad_sticks)
{
	struct hf_http_chunked ch;
	struct hf_span data;
	size_t n;

	hf_http_chunked_init(&ch);
	cr_assert_eq(hf_http_chunked_next(&ch, "x", 1, &n, &data), HF_HTTP_CHUNK_BAD);
	cr_assert_eq(hf_http_chunked_next(&ch, "1\r\n", 3, &n, &data), HF_HTTP_CHUNK_BAD);
}
