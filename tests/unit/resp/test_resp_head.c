/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Heads to clients: framing, Age, Connection, Cache-Status; errors; chunk headers.
 */
#include "hf_resp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char buf[1024];

static const char *text(size_t len)
{
	cr_assert_gt(len, 0);
	cr_assert_lt(len, sizeof(buf));
	buf[len] = '\0';
	return buf;
}

static struct hf_resp_head head_of(enum hf_resp_framing framing)
{
	return (struct hf_resp_head){
		.minor = 1,
		.keep_alive = true,
		.stored = HF_SPAN("HTTP/1.1 200 OK\r\nA: b\r\n"),
		.age_s = -1,
		.framing = framing,
		.content_length = 5,
	};
}

Test(resp_head, rfc9112_6_framing_fields)
{
	struct hf_resp_head h = head_of(HF_RESP_BODY_LENGTH);

	cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n");
	h.content_length = UINT64_MAX;
	cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 18446744073709551615\r\n\r\n");
	h = head_of(HF_RESP_BODY_CHUNKED);
	cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
	h = head_of(HF_RESP_BODY_NONE);
	cr_assert_str_eq(
		text(hf_resp_head_build(buf, sizeof(buf), &h)), "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
	h = head_of(HF_RESP_BODY_CLOSE);
	cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n");
}

Test(resp_head, rfc9112_9_3_connection_is_said_when_it_is_not_the_default)
{
	struct hf_resp_head h = head_of(HF_RESP_BODY_NONE);

	h.keep_alive = false;
	cr_assert(strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)), "Connection: close\r\n"));
	h.minor = 0;
	cr_assert(!strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)), "Connection"));
	h.keep_alive = true;
	cr_assert(strstr(
		text(hf_resp_head_build(buf, sizeof(buf), &h)), "Connection: keep-alive\r\n"));
	h.framing = HF_RESP_BODY_CLOSE;
	cr_assert(!strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)), "Connection"));
}

Test(resp_head, a_hit_that_asks_for_nothing_special_has_the_same_head)
{
	static const uint64_t lengths[] = { 1, 9, 10, 99, 100, 2047, 9999, 10000, UINT64_MAX };
	static const uint32_t ages[] = { 0, 9, 10, 99, 100, 86400, INT32_MAX, 1U << 31,
		UINT32_MAX };
	char hit[sizeof(buf)];

	for (size_t i = 0; i < HF_ARRAY_LEN(lengths) * HF_ARRAY_LEN(ages); i++) {
		struct hf_resp_head h = head_of(HF_RESP_BODY_LENGTH);
		size_t len;

		h.content_length = lengths[i / HF_ARRAY_LEN(ages)];
		h.age_s = ages[i % HF_ARRAY_LEN(ages)];
		h.cache_status = "hit";
		len = hf_resp_hit_build(
			hit, sizeof(hit), h.stored, (uint32_t)h.age_s, h.content_length);
		cr_assert_lt(len, h.stored.len + HF_RESP_OWN_MAX);
		hit[len] = '\0';
		cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)), hit);
	}
}

Test(resp_head, a_hit_has_no_head_where_there_is_no_room)
{
	const struct hf_span stored = HF_SPAN("HTTP/1.1 200 OK\r\nA: b\r\n");
	size_t need = stored.len + HF_RESP_OWN_MAX;

	for (size_t cap = 0; cap < need; cap++)
		cr_assert_eq(hf_resp_hit_build(buf, cap, stored, 0, 1), 0);
	cr_assert_gt(hf_resp_hit_build(buf, need, stored, 0, 1), 0);
}

Test(resp_head, rfc9111_5_1_age_date_extra_and_rfc9211_cache_status)
{
	struct hf_resp_head h = head_of(HF_RESP_BODY_LENGTH);

	h.age_s = 0;
	h.extra = HF_SPAN("Set-Cookie: x\r\n");
	h.date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT");
	h.cache_status = "hit; ttl=3";
	cr_assert_str_eq(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: x\r\nDate: Sun, 06 Nov 1994 08:49:37 "
		"GMT\r\n"
		"Age: 0\r\nContent-Length: 5\r\nCache-Status: holdfast; hit; ttl=3\r\n\r\n");
	h.age_s = INT64_MAX;
	cr_assert(strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)), "Age: 2147483648\r\n"));
}

Test(resp_head, numbers_of_every_length)
{
	struct hf_resp_head h = head_of(HF_RESP_BODY_LENGTH);
	char line[64];

	for (uint64_t n = 1; n < UINT64_MAX / 10; n *= 10) {
		for (uint64_t near = n - 1; near <= n; near++) {
			h.content_length = near;
			(void)snprintf(line, sizeof(line), "Content-Length: %llu\r\n",
				(unsigned long long)near);
			cr_assert(strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)), line),
				"%s", line);
		}
	}
	h.content_length = UINT64_MAX;
	cr_assert(strstr(text(hf_resp_head_build(buf, sizeof(buf), &h)),
		"Content-Length: 18446744073709551615\r\n"));
}

/* With less room than it needs, just enough, and plenty: the same bytes or none. */
static void assert_bounded(const struct hf_resp_head *h)
{
	size_t len = hf_resp_head_build(buf, sizeof(buf), h);

	cr_assert_gt(len, 0);
	for (size_t cap = 0; cap <= len + 300; cap++) {
		char *room = malloc(cap + 1); /* the sanitizer watches its end */
		size_t got;

		room[cap] = 'Z';
		got = hf_resp_head_build(room, cap, h);
		cr_assert_eq(got, cap >= len ? len : 0);
		cr_assert_eq(memcmp(room, buf, got), 0);
		cr_assert_eq(room[cap], 'Z');
		free(room);
	}
}

Test(resp_head, what_does_not_fit_is_0_and_never_written_past_the_end)
{
	struct hf_resp_head h = head_of(HF_RESP_BODY_LENGTH);
	char status[97];

	h.cache_status = "hit";
	assert_bounded(&h);
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	h = (struct hf_resp_head){ .keep_alive = true,
		.age_s = INT64_MAX,
		.date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT"),
		.framing = HF_RESP_BODY_LENGTH,
		.content_length = UINT64_MAX,
		.cache_status = status };
	assert_bounded(&h); /* all that there is, at its longest */
}

Test(resp_error, a_404_is_complete)
{
	struct hf_resp_error e = { .status = 404, .minor = 1, .keep_alive = true };

	cr_assert_str_eq(text(hf_resp_error_build(buf, sizeof(buf), &e)),
		"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Cache-Control: no-store\r\nContent-Length: 14\r\n\r\n404 Not Found\n");
	e.head_request = true;
	cr_assert(strstr(
		text(hf_resp_error_build(buf, sizeof(buf), &e)), "Content-Length: 14\r\n\r\n"));
	cr_assert(!strstr(buf, "Found\n"));
}

Test(resp_error, rfc9110_15_5_6_allow_and_10_2_3_retry_after)
{
	struct hf_resp_error e = { .status = 405, .minor = 1 };

	cr_assert(strstr(
		text(hf_resp_error_build(buf, sizeof(buf), &e)), "Allow: GET, HEAD, OPTIONS\r\n"));
	cr_assert(strstr(buf, "Connection: close\r\n"));
	e.allow = HF_SPAN("GET");
	cr_assert(strstr(text(hf_resp_error_build(buf, sizeof(buf), &e)), "Allow: GET\r\n"));
	e = (struct hf_resp_error){ .status = 503, .minor = 1, .cache_status = "fwd=miss" };
	cr_assert(strstr(text(hf_resp_error_build(buf, sizeof(buf), &e)), "Retry-After: 1\r\n"));
	cr_assert(strstr(buf, "Cache-Status: holdfast; fwd=miss\r\n"));
	e.retry_after_s = 7;
	cr_assert(strstr(text(hf_resp_error_build(buf, sizeof(buf), &e)), "Retry-After: 7\r\n"));
	e.status = 400;
	e.retry_after_s = 0;
	cr_assert(!strstr(text(hf_resp_error_build(buf, sizeof(buf), &e)), "Retry-After"));
}

Test(resp_error, rfc9110_15_3_5_a_204_has_neither_body_nor_length)
{
	struct hf_resp_error e = { .status = 204, .minor = 1, .keep_alive = true };

	cr_assert_str_eq(text(hf_resp_error_build(buf, sizeof(buf), &e)),
		"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n");
}

Test(resp_error, every_status_fits_the_promised_room)
{
	char max[64];
	struct hf_resp_error e = { .minor = 0, .keep_alive = true };

	memset(max, 'x', 63);
	max[63] = '\0';
	e.allow = (struct hf_span){ max, 63 };
	e.cache_status = max;
	e.retry_after_s = UINT32_MAX;
	e.date = HF_SPAN("Sun, 06 Nov 1994 08:49:37 GMT");
	for (e.status = 200; e.status <= 599; e.status++) {
		size_t len = hf_resp_error_build(buf, HF_RESP_ERROR_MAX, &e);

		cr_assert_gt(len, 0, "%u", e.status);
		cr_assert_eq(hf_resp_error_build(buf, len - 1, &e), 0);
	}
	cr_assert_str_eq(hf_resp_status_text(299), "Unknown");
	cr_assert_str_eq(hf_resp_status_text(431), "Request Header Fields Too Large");
}

Test(resp_chunk, rfc9112_7_1_sizes_read_back)
{
	static const uint64_t sizes[] = { 1, 9, 10, 15, 16, 17, 255, 256, 4096, 65535, 65536,
		1ULL << 32, (1ULL << 32) - 1, 1ULL << 60, UINT64_MAX };

	for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
		char *room = malloc(HF_RESP_CHUNK_MAX);
		size_t len = hf_resp_chunk_begin(room, sizes[i]);
		char want[32];

		cr_assert_eq(len, (size_t)snprintf(want, sizeof(want), "%lx\r\n", sizes[i]));
		cr_assert_eq(memcmp(room, want, len), 0, "%s", want);
		free(room);
	}
}
