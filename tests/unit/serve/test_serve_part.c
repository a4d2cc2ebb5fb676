/* SPDX-License-Identifier: BSD-3-Clause
 *
 * 304, 206 and 416 to a client: from what is stored, what is being filled, what only streams.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve_rig.h"

#define URL(path)         "http://a.example" path
#define ASK(path, fields) "GET " path " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"
#define GET(path)         ASK(path, "")
#define BODY_MAX          (6 << 20)

static const char head_text[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"v1\"\r\n"
	"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Sun, 06 Nov 1994 09:00:00 GMT\r\n";

static struct rig rig;
static char body[BODY_MAX];

static void setup(void)
{
	uint32_t x = 1;

	rig_open(&rig);
	rig.head = head_text;
	for (size_t i = 0; i < sizeof(body); i++) {
		x = x * 1664525 + 1013904223;
		body[i] = (char)('a' + (x >> 24) % 26);
	}
}

static void teardown(void)
{
	rig_close(&rig);
}

TestSuite(serve_part, .init = setup, .fini = teardown);

static uint64_t stat_of(enum hf_stat stat)
{
	return atomic_load(&hf_stat_own->stat[stat]);
}

static void fill(struct hf_obj *obj, uint64_t to)
{
	uint64_t from = atomic_load(&obj->filled);

	cr_assert_eq(hf_shard_fill(rig.shard, obj, body + from, to - from), to - from);
}

/* One response at the front of what the client got: its status, head and content. */
struct reply {
	int status;
	const char *head, *content;
	uint64_t length;
	uint32_t head_len, len;
};

static uint64_t field_u64(const struct reply *reply, const char *name)
{
	const char *at = strstr(reply->head, name);

	cr_assert(at && at < reply->content, "no %s", name);
	return strtoull(at + strlen(name), NULL, 10);
}

static bool has(const struct reply *reply, const char *text)
{
	const char *at = strstr(reply->head, text);

	return at && at < reply->content;
}

/* Takes it off. bodiless: 304, or to HEAD. */
static struct reply take(struct rig_client *client, bool bodiless)
{
	static char copy[RIG_OUT_MAX];
	struct reply reply = { .head = copy };
	const char *end;

	memcpy(copy, client->out, client->out_len + 1);
	end = strstr(copy, "\r\n\r\n");
	cr_assert(end, "no whole head");
	cr_assert_eq(sscanf(copy, "HTTP/1.1 %d ", &reply.status), 1);
	reply.content = end + 4;
	reply.head_len = (uint32_t)(reply.content - copy);
	if (!bodiless)
		reply.length = field_u64(&reply, "Content-Length: ");
	reply.len = reply.head_len + (uint32_t)reply.length;
	cr_assert_leq(reply.len, client->out_len, "not all is there");
	client->out_len -= reply.len;
	memmove(client->out, client->out + reply.len, client->out_len + 1);
	return reply;
}

/* Nothing more came, and the connection is good for another request. */
static void expect_usable(struct rig_client *client)
{
	cr_assert_eq(client->out_len, 0, "%s", client->out);
	cr_assert(!client->fin && !client->rst);
	rig_store_body(&rig, URL("/usable"), "usable", 6, 60);
	rig_send(&rig, client, GET("/usable"));
	cr_assert_eq(take(client, false).status, 200);
	cr_assert_eq(client->out_len, 0);
}

/* A 206 with one range. */
static void expect_range(const struct reply *reply, uint64_t begin, uint64_t end, uint64_t length)
{
	char range[128];

	(void)snprintf(range, sizeof(range), "Content-Range: bytes %lu-%lu/%lu\r\n",
		(unsigned long)begin, (unsigned long)end - 1, (unsigned long)length);
	cr_assert_eq(reply->status, 206);
	cr_assert(has(reply, range), "%.*s is not %s", (int)reply->head_len, reply->head, range);
	cr_assert_eq(reply->length, end - begin);
	cr_assert_eq(memcmp(reply->content, body + begin, end - begin), 0);
}

/* A 206 with several; returns how many. Every part is what it says, and nothing else is there. */
static unsigned expect_parts(
	const struct reply *reply, uint64_t length, uint64_t begins[8], uint64_t ends[8])
{
	static const char type[] = "Content-Type: multipart/byteranges; boundary=";
	const char *at = strstr(reply->head, type);
	char mark[64], expect[256];
	unsigned count = 0;

	cr_assert_eq(reply->status, 206);
	cr_assert(at && at < reply->content);
	cr_assert(!has(reply, "Content-Range"), "RFC 9110 §15.3.7.2");
	cr_assert_eq(sscanf(at + strlen(type), "%60[0-9a-f]\r\n", mark), 1);
	at = reply->content;
	for (;; count++) {
		unsigned long begin, last, all;
		int n;

		n = snprintf(expect, sizeof(expect), "\r\n--%s--\r\n", mark);
		if (strncmp(at, expect, (size_t)n) == 0) {
			cr_assert_eq(at + n, reply->content + reply->length);
			return count;
		}
		cr_assert_lt(count, 8);
		n = snprintf(expect, sizeof(expect), "%s--%s\r\nContent-Type: text/plain\r\n",
			count > 0 ? "\r\n" : "", mark);
		cr_assert_eq(strncmp(at, expect, (size_t)n), 0, "%.100s", at);
		at += n;
		cr_assert_eq(
			sscanf(at, "Content-Range: bytes %lu-%lu/%lu\r\n", &begin, &last, &all), 3,
			"%.100s", at);
		cr_assert_eq(all, length);
		at = strstr(at, "\r\n\r\n") + 4;
		cr_assert_eq(memcmp(at, body + begin, last + 1 - begin), 0);
		at += last + 1 - begin;
		begins[count] = begin;
		ends[count] = last + 1;
	}
}

/* ---- conditions, of what is stored ---- */

Test(serve_part, rfc9111_s4_3_2_a_tag_that_matches_is_answered_by_304_of_the_stored)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig.now_us += 5000000;
	rig_send(&rig, client, ASK("/a", "If-None-Match: \"v0\", W/\"v1\"\r\n"));
	reply = take(client, true);
	cr_assert_eq(reply.status, 304);
	cr_assert(has(&reply, "ETag: \"v1\"\r\n"));
	cr_assert(has(&reply, "Date: Sun, 06 Nov 1994 09:00:00 GMT\r\n"));
	cr_assert(has(&reply, "Age: 5\r\n"));
	cr_assert(has(&reply, "Cache-Status: holdfast; hit"));
	cr_assert(!has(&reply, "Content-"));
	expect_usable(client);
	cr_assert_eq(stat_of(HF_STAT_CACHE_NOT_MODIFIED), 1);
	cr_assert_eq(stat_of(HF_STAT_HTTP_3XX), 1);
	cr_assert_eq(stat_of(HF_STAT_CACHE_HITS), 2);
}

Test(serve_part, rfc9110_s13_1_2_a_tag_that_does_not_match_gets_the_whole)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "If-None-Match: \"v0\"\r\n"));
	reply = take(client, false);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(reply.length, 100);
	expect_usable(client);
}

Test(serve_part, rfc9110_s13_1_3_if_modified_since_of_what_is_stored)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	cr_assert_eq(take(client, true).status, 304);
	rig_send(&rig, client, ASK("/a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"));
	cr_assert_eq(take(client, false).status, 200);
	expect_usable(client);
}

Test(serve_part, rfc9110_s15_4_5_head_is_answered_by_304_too_and_pipelines_stay_in_step)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store_body(&rig, URL("/a"), body, 300000, 60);
	rig_send(&rig, client,
		"HEAD /a HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"v1\"\r\n\r\n" ASK(
			"/a", "If-None-Match: *\r\n") ASK("/a", "Range: bytes=1-2\r\n")
			ASK("/a", "Range: bytes=300000-\r\n") GET("/a"));
	cr_assert_eq(take(client, true).status, 304);
	cr_assert_eq(take(client, true).status, 304);
	cr_assert_eq(take(client, false).status, 206);
	cr_assert_eq(take(client, false).status, 416);
	cr_assert_eq(take(client, false).length, 300000);
	expect_usable(client);
}

Test(serve_part, rfc9110_s13_2_2_the_condition_comes_before_the_range)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "Range: bytes=0-9\r\nIf-None-Match: \"v1\"\r\n"));
	cr_assert_eq(take(client, true).status, 304);
	rig_send(&rig, client, ASK("/a", "Range: bytes=0-9\r\nIf-None-Match: \"v0\"\r\n"));
	reply = take(client, false);
	expect_range(&reply, 0, 10, 100);
	expect_usable(client);
}

Test(serve_part, rfc9111_s4_3_2_only_a_200_is_cut)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig.head = "HTTP/1.1 404 Not Found\r\nETag: \"v1\"\r\n";
	rig.status = 404;
	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "If-None-Match: \"v1\"\r\nRange: bytes=0-9\r\n"));
	cr_assert_eq(take(client, false).status, 404);
}

/* ---- ranges, of what is stored ---- */

Test(serve_part, rfc9110_s14_2_a_range_of_a_hit_is_206)
{
	static const uint64_t lengths[] = { 100, 300000 };
	struct rig_client *client = rig_connect(&rig, 0);

	for (size_t i = 0; i < 2; i++) {
		const char *url = i == 0 ? URL("/0") : URL("/1");
		struct reply reply;

		rig_store_body(&rig, url, body, lengths[i], 60);
		rig_send(&rig, client,
			i == 0 ? ASK("/0", "Range: bytes=10-19\r\n")
			       : ASK("/1", "Range: bytes=10-19\r\n"));
		reply = take(client, false);
		expect_range(&reply, 10, 20, lengths[i]);
		cr_assert(has(&reply, "ETag: \"v1\"\r\n") && has(&reply, "Last-Modified: "));
		cr_assert(has(&reply, "Content-Type: text/plain\r\n"));
		cr_assert(has(&reply, "Cache-Status: holdfast; hit"));
		rig_send(&rig, client,
			i == 0 ? ASK("/0", "Range: bytes=-7\r\n")
			       : ASK("/1", "Range: bytes=-70000\r\n"));
		reply = take(client, false);
		expect_range(&reply, lengths[i] - (i == 0 ? 7 : 70000), lengths[i], lengths[i]);
	}
	cr_assert_eq(stat_of(HF_STAT_CACHE_PARTIAL), 4);
	cr_assert_eq(stat_of(HF_STAT_HTTP_BODY_BYTES), 10 + 7 + 10 + 70000);
	expect_usable(client);
}

Test(serve_part, rfc9110_s14_2_every_byte_can_be_asked_for_alone)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store_body(&rig, URL("/a"), body, 70000, 600);
	for (unsigned at = 0; at < 70000; at += 499) {
		char ask[256];
		struct reply reply;

		(void)snprintf(ask, sizeof(ask), ASK("/a", "Range: bytes=%u-%u\r\n"), at, at);
		rig_send(&rig, client, ask);
		reply = take(client, false);
		expect_range(&reply, at, at + 1, 70000);
	}
}

Test(serve_part, rfc9110_s15_5_17_nothing_satisfiable_is_416_with_the_length)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "Range: bytes=100-\r\n"));
	reply = take(client, false);
	cr_assert_eq(reply.status, 416);
	cr_assert_eq(reply.length, 0);
	cr_assert(has(&reply, "Content-Range: bytes */100\r\n"));
	cr_assert(!has(&reply, "ETag"));
	cr_assert_eq(stat_of(HF_STAT_CACHE_RANGE_REFUSED), 1);
	expect_usable(client);
}

Test(serve_part, rfc9110_s14_2_what_does_not_count_gets_the_whole)
{
	static const char *const asks[] = { ASK("/a", "Range: bytes=5-2\r\n"),
		ASK("/a", "Range: lines=0-1\r\n"),
		ASK("/a", "Range: bytes=0-9\r\nIf-Range: \"v0\"\r\n"),
		ASK("/a", "Range: bytes=0-9\r\nIf-Range: W/\"v1\"\r\n"),
		ASK("/a", "If-Range: \"v1\"\r\n") };
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	for (size_t i = 0; i < HF_ARRAY_LEN(asks); i++) {
		rig_send(&rig, client, asks[i]);
		reply = take(client, false);
		cr_assert_eq(reply.status, 200, "%s", asks[i]);
		cr_assert_eq(reply.length, 100);
	}
	rig_send(&rig, client, "HEAD /a HTTP/1.1\r\nHost: a.example\r\nRange: bytes=0-9\r\n\r\n");
	reply = take(client, true);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(field_u64(&reply, "Content-Length: "), 100);
	expect_usable(client);
}

Test(serve_part, rfc9110_s13_1_5_if_range_that_matches_gets_the_range)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 100, 60);
	rig_send(&rig, client, ASK("/a", "Range: bytes=50-\r\nIf-Range: \"v1\"\r\n"));
	reply = take(client, false);
	expect_range(&reply, 50, 100, 100);
	rig_send(&rig, client,
		ASK("/a", "Range: bytes=50-\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	reply = take(client, false);
	expect_range(&reply, 50, 100, 100);
}

Test(serve_part, rfc9110_s15_3_7_2_several_ranges_are_parts_in_the_order_asked_for)
{
	static const uint64_t lengths[] = { 1200, 200000 };
	struct rig_client *client = rig_connect(&rig, 0);
	uint64_t begins[8], ends[8];

	for (size_t i = 0; i < 2; i++) {
		struct reply reply;

		rig_store_body(&rig, i == 0 ? URL("/0") : URL("/1"), body, lengths[i], 60);
		rig_send(&rig, client,
			i == 0 ? ASK("/0", "Range: bytes=1000-1009, 0-9, -3\r\n")
			       : ASK("/1", "Range: bytes=1000-60000, 0-9, -3\r\n"));
		reply = take(client, false);
		cr_assert_eq(expect_parts(&reply, lengths[i], begins, ends), 3);
		cr_assert_eq(begins[0], 1000);
		cr_assert_eq(ends[0], i == 0 ? 1010 : 60001);
		cr_assert(begins[1] == 0 && ends[1] == 10);
		cr_assert(begins[2] == lengths[i] - 3 && ends[2] == lengths[i]);
	}
	expect_usable(client);
}

Test(serve_part, rfc9110_s15_3_7_2_one_satisfiable_of_several_is_no_multipart)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 1000, 60);
	rig_send(&rig, client, ASK("/a", "Range: bytes=2000-, 0-9, 5-20\r\n"));
	reply = take(client, false);
	expect_range(&reply, 0, 21, 1000);
}

Test(serve_part, rfc2046_s5_1_1_boundaries_differ)
{
	struct rig_client *client = rig_connect(&rig, 0);
	char first[64], second[64];
	struct reply reply;

	rig_store_body(&rig, URL("/a"), body, 1000, 60);
	rig_send(&rig, client, ASK("/a", "Range: bytes=0-0,500-500\r\n"));
	reply = take(client, false);
	(void)snprintf(first, sizeof(first), "%.40s", reply.content);
	rig_send(&rig, client, ASK("/a", "Range: bytes=0-0,500-500\r\n"));
	reply = take(client, false);
	(void)snprintf(second, sizeof(second), "%.40s", reply.content);
	cr_assert_str_neq(first, second);
}

Test(serve_part, a_large_range_holds_a_lease_and_a_small_one_none)
{
	struct hf_obj *obj = rig_store_body(&rig, URL("/big"), body, 300000, 60);
	struct hf_reader *reader = hf_cache_reader(rig.cache, 0);
	struct rig_client *client = rig_connect(&rig, 0);
	void *ptr = NULL;

	rig_send_deaf(&rig, client, ASK("/big", "Range: bytes=100000-100999\r\n"));
	rig_send_deaf(&rig, client, ASK("/big", "If-None-Match: \"v1\"\r\n"));
	cr_assert_eq(atomic_load(&obj->holders), 0);
	rig_send_deaf(&rig, client, ASK("/big", "Range: bytes=100000-199999\r\n"));
	cr_assert_eq(atomic_load(&obj->holders), 1);
	cr_assert(!hf_reader_recall(reader, obj), "its bytes are still under way");
	rig_settle(&rig);
	cr_assert_eq(rig_origin_next(&rig, &ptr), HF_XCHG_RECALLED);
	cr_assert_eq(ptr, obj);
	take(client, false);
	take(client, true);
	cr_assert_eq(take(client, false).length, 100000);
}

Test(serve_part, what_does_not_fit_into_the_send_queue_follows_as_the_client_reads)
{
	struct rig_client *client = rig_connect(&rig, 0);
	uint64_t begins[8], ends[8];
	struct reply reply;

	rig_store_body(&rig, URL("/huge"), body, BODY_MAX, 60);
	rig_send(&rig, client, ASK("/huge", "Range: bytes=1000-\r\n"));
	reply = take(client, false);
	expect_range(&reply, 1000, BODY_MAX, BODY_MAX);
	rig_send(&rig, client, ASK("/huge", "Range: bytes=5000000-,0-4500000\r\n"));
	reply = take(client, false);
	cr_assert_eq(expect_parts(&reply, BODY_MAX, begins, ends), 2);
	cr_assert(begins[0] == 5000000 && ends[1] == 4500001);
	expect_usable(client);
}

/* A head of about `len` bytes. */
static char *large_head(size_t len)
{
	char *head = malloc(len + 512);
	size_t used = (size_t)sprintf(head, "%s", head_text);

	while (used < len)
		used += (size_t)sprintf(head + used, "X-Fill: %0200d\r\n", 7);
	return head;
}

Test(serve_part, heads_larger_than_a_send_buffer)
{
	static const size_t lens[] = { 1500, 2500, 5000, 30000 };

	for (uint32_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		char *head = large_head(lens[i]), url[32];
		struct reply reply;

		rig.head = head;
		(void)snprintf(url, sizeof(url), URL("/%u"), i);
		rig_store_body(&rig, url, body, 3000, 60);
		rig.head = head_text;
		(void)snprintf(url, sizeof(url), "/%u", i);
		for (int part = 0; part < 2; part++) {
			char ask[256];

			(void)snprintf(ask, sizeof(ask), ASK("%s", "%s"), url,
				part ? "Range: bytes=1000-1009\r\n" : "");
			rig_send(&rig, client, ask);
			reply = take(client, false);
			if (part && lens[i] < 8000)
				expect_range(&reply, 1000, 1010, 3000);
			else
				cr_assert(reply.status == 200 && reply.length == 3000);
		}
		(void)snprintf(url, sizeof(url), "/%u", i);
		free(head);
	}
}

/* ---- what is just being fetched ---- */

Test(serve_part, rfc9111_s4_3_2_a_shared_miss_is_304_when_the_client_has_what_came)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct reply reply;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "If-None-Match: \"v1\"\r\n"));
	xchg = rig_expect_start(&rig);
	cr_assert(xchg->shared);
	cr_assert_null(memmem(xchg->lines.ptr, xchg->lines.len, "If-None-Match", 13));
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	reply = take(client, true);
	cr_assert_eq(reply.status, 304);
	cr_assert(has(&reply, "Cache-Status: holdfast; fwd=miss; stored"));
	rig_expect_finish(&rig, xchg); /* the fetch goes on without it */
	fill(obj, 1000);
	hf_shard_fill_end(rig.shard, obj);
	hf_shard_publish(rig.shard, obj);
	hf_shard_obj_unref(rig.shard, obj);
	expect_usable(client);
	rig_send(&rig, client, GET("/m"));
	cr_assert_eq(take(client, false).length, 1000);
}

Test(serve_part, what_was_asked_before_the_limits_changed_is_answered)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_conf conf = rig.conf;
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "If-None-Match: \"v1\"\r\n"));
	xchg = rig_expect_start(&rig);
	conf.http.header_count = 1;
	conf.http.uri_bytes = 1;
	hf_serve_conf_set(rig.serve, &conf);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	cr_assert_eq(take(client, true).status, 304);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_part, rfc9111_s4_3_2_a_304_of_what_has_no_known_length)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client,
		"GET /m HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n"
		"If-None-Match: \"v1\"\r\n\r\n");
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
	cr_assert_eq(take(client, true).status, 304);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
	expect_usable(client);
}

Test(serve_part, rfc9110_s13_1_2_a_shared_miss_whose_answer_does_not_match_is_whole)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "If-None-Match: \"v0\"\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	fill(obj, 1000);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert_eq(take(client, false).length, 1000);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_part, rfc9110_s13_2_1_what_the_origin_was_asked_conditionally_is_not_judged_again)
{
	static const char *const asks[] = {
		ASK("/m", "Authorization: Basic Zm9v\r\nIf-None-Match: \"v1\"\r\nRange: "
			  "bytes=0-9\r\n"),
		"HEAD /m HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"v1\"\r\n\r\n",
		ASK("/m", "Cache-Control: no-store\r\nRange: bytes=0-9\r\n"),
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		bool head = i == 1;
		struct hf_xchg *xchg;
		struct hf_obj *obj;

		rig_send(&rig, client, asks[i]);
		xchg = rig_expect_start(&rig);
		cr_assert(!xchg->shared);
		cr_assert(memmem(xchg->lines.ptr, xchg->lines.len, head ? "If-None" : "Range", 5));
		obj = rig_answer(&rig, xchg, 100, /* stream= */ true);
		fill(obj, 100);
		hf_shard_fill_end(rig.shard, obj);
		rig_more(&rig, xchg);
		cr_assert_eq(take(client, head).status, 200);
		cr_assert_eq(client->out_len, 0);
		rig_expect_finish(&rig, xchg);
		hf_shard_obj_unref(rig.shard, obj);
	}
}

Test(serve_part, rfc9111_s4_3_2_what_stands_for_a_failed_origin_answers_conditions_too)
{
	static const char *const asks[] = {
		"HEAD /m HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"v1\"\r\n\r\n",
		ASK("/m", "Authorization: Basic Zm9v\r\nIf-None-Match: \"v1\"\r\n"),
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(asks); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		struct hf_xchg *xchg;
		struct hf_obj *obj;

		rig_send(&rig, client, asks[i]);
		xchg = rig_expect_start(&rig);
		cr_assert(!xchg->shared);
		xchg->stale = true;
		xchg->fwd_status = 503;
		obj = rig_answer(&rig, xchg, 100, /* stream= */ true);
		cr_assert_eq(take(client, true).status, 304);
		rig_expect_finish(&rig, xchg);
		hf_shard_obj_unref(rig.shard, obj);
		expect_usable(client);
	}
}

Test(serve_part, rfc9110_s14_2_a_range_of_what_is_being_filled_waits_for_its_bytes_only)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct reply reply;
	struct hf_obj *obj;
	uint32_t head_len;

	rig_send(&rig, client, ASK("/m", "Range: bytes=500-509\r\n"));
	xchg = rig_expect_start(&rig);
	cr_assert_null(memmem(xchg->lines.ptr, xchg->lines.len, "Range", 5));
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	cr_assert(strstr(client->out, "HTTP/1.1 206 ") == client->out);
	head_len = client->out_len;
	fill(obj, 500);
	rig_more(&rig, xchg);
	cr_assert_eq(client->out_len, head_len);
	fill(obj, 505);
	rig_more(&rig, xchg);
	cr_assert_eq(client->out_len, head_len + 5);
	fill(obj, 900);
	rig_more(&rig, xchg);
	reply = take(client, false);
	expect_range(&reply, 500, 510, 1000);
	rig_expect_finish(&rig, xchg); /* what else there is it need not wait for */
	hf_shard_fill_fail(rig.shard, obj);
	hf_shard_obj_unref(rig.shard, obj);
	expect_usable(client);
}

Test(serve_part, rfc9110_s14_2_of_unknown_length_the_whole_is_sent)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=1-2\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ false);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert(strstr(client->out, "HTTP/1.1 200 OK\r\n") == client->out);
	cr_assert_str_eq(strstr(client->out, "\r\n\r\n"), "\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_part, rfc9110_s15_5_17_a_miss_learns_its_length_and_is_416)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=5000-\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	cr_assert_eq(take(client, false).status, 416);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
	expect_usable(client);
}

Test(serve_part, rfc9112_s8_a_fill_that_fails_within_the_range_cuts_the_connection)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=500-599\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	fill(obj, 550);
	hf_shard_fill_fail(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_assert(client->fin);
	cr_assert(strstr(client->out, "Content-Length: 100\r\n"));
	cr_assert_eq(client->out_len, strstr(client->out, "\r\n\r\n") + 4 - client->out + 50);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_part, V4_a_client_that_leaves_within_a_range_finishes_its_exchange)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=0-9,500-599\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ false);
	fill(obj, 550);
	rig_more(&rig, xchg);
	rig_reset(&rig, client);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
	cr_assert_eq(hf_serve_conn_count(rig.serve), 0);
}

Test(serve_part, rfc9110_s14_2_of_what_goes_away_behind_us_ranges_come_in_rising_order)
{
	struct rig_client *client = rig_connect(&rig, 0);
	uint64_t begins[8], ends[8];
	struct hf_xchg *xchg;
	struct reply reply;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=-10,500-509,100-109\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, 1000, /* stream= */ true);
	fill(obj, 1000);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	reply = take(client, false);
	cr_assert_eq(expect_parts(&reply, 1000, begins, ends), 3);
	cr_assert(begins[0] == 100 && begins[1] == 500 && begins[2] == 990);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

/* ---- the window of a stream ---- */

Test(serve_part, what_is_skipped_counts_as_consumed)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct reply reply;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=5000000-5000999\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, BODY_MAX, /* stream= */ true);
	for (uint64_t to = 500000; to < 5000000; to += 500000) {
		fill(obj, to);
		rig_more(&rig, xchg);
		cr_assert_eq(atomic_load(&xchg->consumed), to);
		hf_shard_trim(rig.shard, obj, to);
	}
	fill(obj, 5000500);
	rig_more(&rig, xchg);
	fill(obj, 5100000);
	rig_more(&rig, xchg);
	reply = take(client, false);
	expect_range(&reply, 5000000, 5001000, BODY_MAX);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_part, bytes_under_way_are_not_consumed_however_far_the_next_range_is)
{
	struct rig_client *client = rig_connect(&rig, 0);
	uint64_t begins[8], ends[8];
	struct hf_xchg *xchg;
	struct reply reply;
	struct hf_obj *obj;

	rig_send(&rig, client, ASK("/m", "Range: bytes=1000-1999,900000-900999\r\n"));
	xchg = rig_expect_start(&rig);
	obj = rig_answer_deaf(&rig, xchg, 1000000, /* stream= */ true);
	for (uint64_t to = 2000; to < 700000; to += 100000) {
		fill(obj, to);
		rig_more_deaf(&rig, xchg);
		cr_assert_leq(atomic_load(&xchg->consumed), 1000);
	}
	rig_settle(&rig);
	cr_assert_eq(atomic_load(&xchg->consumed), 602000);
	hf_shard_trim(rig.shard, obj, 602000);
	fill(obj, 900500);
	rig_more_deaf(&rig, xchg);
	/* the head before it is queued as well: it may count for body bytes, but no more than that */
	cr_assert_leq(atomic_load(&xchg->consumed), 900000);
	cr_assert_geq(atomic_load(&xchg->consumed), 602000);
	fill(obj, 1000000);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	reply = take(client, false);
	cr_assert_eq(expect_parts(&reply, 1000000, begins, ends), 2);
	cr_assert(begins[0] == 1000 && ends[1] == 901000);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

/* ---- all of it, from a seed ---- */

static uint32_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

/* An origin thread that keeps to the window and frees what was consumed; no more than `step` at once. */
static void origin_run(
	struct hf_xchg *xchg, struct hf_obj *obj, uint64_t length, uint32_t step, uint64_t first)
{
	bool deaf = any(2) == 0;

	for (int turn = 0; turn < 5000; turn++) {
		uint64_t filled = atomic_load(&obj->filled);
		uint64_t consumed = atomic_load(&xchg->consumed);
		uint64_t to = filled + 1 + any(step);

		if (xchg->finished || atomic_load(&obj->state) != HF_OBJ_FILLING)
			break;
		if (deaf)
			cr_assert_leq(consumed, first, "nothing was acknowledged");
		if (obj->flags & HF_OBJ_STREAM) {
			hf_shard_trim(rig.shard, obj, consumed);
			to = to > consumed + 100000 ? consumed + 100000 : to;
		}
		to = to > length ? length : to;
		deaf = deaf && to > filled;
		if (to > filled)
			fill(obj, to);
		if (!(obj->flags & HF_OBJ_STREAM) && any(20) == 0)
			hf_shard_to_stream(rig.shard, obj);
		if (to == length)
			hf_shard_fill_end(rig.shard, obj);
		if (deaf)
			rig_more_deaf(&rig, xchg);
		else
			rig_more(&rig, xchg);
	}
	rig_settle(&rig);
}

/* Returns where the first of them in the body begins. */
static uint64_t any_ranges(char *ask, size_t cap, const char *url, uint64_t length)
{
	uint64_t first = length;

	size_t used = (size_t)snprintf(ask, cap, "GET %s HTTP/1.1\r\nHost: a.example\r\n", url);
	uint32_t count = 1 + any(any(2) ? 1 : 6);

	used += (size_t)snprintf(ask + used, cap - used, "Range: bytes=");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t begin = any((uint32_t)length + 10);

		first = begin < first ? begin : first;
		used += (size_t)snprintf(ask + used, cap - used, "%s%u-%u", i > 0 ? "," : "", begin,
			begin + any(any(2) ? 50 : (uint32_t)length));
	}
	(void)snprintf(ask + used, cap - used, "\r\n\r\n");
	return first;
}

/* The response is whole and true, whatever it is. Which it should be is tests/unit/http's matter. */
static void expect_true(struct rig_client *client, uint64_t length)
{
	struct reply reply = take(client, false);
	uint64_t begins[8], ends[8];
	unsigned long begin, last;
	const char *range = strstr(reply.head, "Content-Range: bytes ");

	if (reply.status == 416) {
		cr_assert_eq(reply.length, 0);
	} else if (strstr(reply.head, "multipart/byteranges")) {
		cr_assert_gt(expect_parts(&reply, length, begins, ends), 1);
	} else {
		cr_assert_eq(sscanf(range, "Content-Range: bytes %lu-%lu/", &begin, &last), 2);
		expect_range(&reply, begin, last + 1, length);
	}
	cr_assert_eq(client->out_len, 0);
}

Test(serve_part, ranges_are_true_however_the_bytes_come)
{
	struct rig_client *client = rig_connect(&rig, 0);
	unsigned hits = 0, misses = 0;

	for (seed = 1; hits + misses < 400;) {
		uint64_t length = 1 + any(any(2) ? 1500 : 400000);
		char url[64], ask[1024];
		bool hit = any(3) == 0;
		uint64_t first;

		(void)snprintf(url, sizeof(url), "http://a.example/%u", hits + misses);
		first = any_ranges(ask, sizeof(ask), url, length);
		if (hit) {
			rig_store_body(&rig, url, body, length, 60);
			rig_send(&rig, client, ask);
			hits++;
		} else {
			struct hf_xchg *xchg;
			struct hf_obj *obj;
			uint32_t step = any(2) ? 3000 : 90000;
			void *ptr;

			rig_send(&rig, client, ask);
			while (rig_origin_next(&rig, &ptr) != HF_XCHG_START)
				;
			xchg = ptr;
			obj = rig_answer_deaf(&rig, xchg, length, any(2) == 0);
			origin_run(xchg, obj, length, step, first);
			cr_assert(xchg->finished);
			rig_expect_finish(&rig, xchg);
			hf_shard_obj_unref(rig.shard, obj);
			misses++;
		}
		expect_true(client, length);
	}
	cr_assert(hits > 50 && misses > 50);
}
