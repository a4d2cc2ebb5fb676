/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the request log is told of requests, by whatever way they ended.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "serve_rig.h"

#define URL(path) "http://a.example" path
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\n\r\n"

static struct rig rig;
static struct hf_reqlog_watch *watch;

static void setup(void)
{
	rig_open(&rig);
	cr_assert(hf_stat_register("test"));
	cr_assert_eq(hf_reqlog_watch_lines(rig.reqlog, "", NULL, &watch), 0);
	/* the rig's clock is not behind the one by which the watch began */
	if (hf_clock_us() > rig.now_us)
		rig_wait(&rig, hf_clock_us() - rig.now_us);
}

static void teardown(void)
{
	if (watch)
		hf_reqlog_watch_free(watch);
	rig_close(&rig);
}

TestSuite(serve_log, .init = setup, .fini = teardown);

/* All lines so far, NUL-terminated; the log's thread is this one. */
static const char *lines(void)
{
	static char text[65536];
	const char *taken;
	uint64_t lost;
	size_t len;

	hf_reqlog_stop(rig.reqlog);
	hf_reqlog_run(rig.reqlog);
	taken = hf_reqlog_lines_take(watch, &len, &lost);
	cr_assert_lt(len, sizeof(text));
	memcpy(text, taken, len);
	text[len] = '\0';
	return text;
}

/* One line was told, and it has these parts. */
#define expect_line(...)                                                                           \
	do {                                                                                       \
		const char *parts_[] = { __VA_ARGS__ }, *line_ = lines();                          \
		cr_assert(*line_ &&strchr(line_, '\n') == line_ + strlen(line_) - 1, "%s", line_); \
		for (size_t i_ = 0; i_ < HF_ARRAY_LEN(parts_); i_++)                               \
			cr_expect(strstr(line_, parts_[i_]), "%s: %s", parts_[i_], line_);         \
	} while (0)

Test(serve_log, a_small_hit)
{
	rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, rig_connect(&rig, 0), GET("/a"));
	expect_line("\"method\":\"GET\",\"host\":\"a.example\",\"target\":\"/a\",\"status\":200,"
		    "\"bytes\":10,",
		"\"cache\":\"hit\",\"origin\":\"\",\"agent\":\"t\",\"complete\":true");
}

Test(serve_log, a_large_hit_of_many_turns_is_one_line_with_all_its_bytes)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/a"), 4 << 20, 60);
	rig_send_deaf(&rig, client, GET("/a"));
	cr_expect_str_empty(lines(), "it has not ended");
	rig_settle(&rig);
	expect_line("\"bytes\":4194304,", "\"complete\":true");
}

Test(serve_log, head_304_206_and_416)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig.head = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n";
	rig_store(&rig, URL("/a"), 10, 60);
	rig_send(&rig, client, "HEAD /a HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\n\r\n");
	expect_line("\"HEAD\"", "\"status\":200,\"bytes\":0,", "\"hit\"");
	rig_send(
		&rig, client, "GET /a HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"x\"\r\n\r\n");
	expect_line("\"status\":304,\"bytes\":0,", "\"hit\"");
	rig_send(&rig, client, "GET /a HTTP/1.1\r\nHost: a.example\r\nRange: bytes=2-4\r\n\r\n");
	expect_line("\"status\":206,\"bytes\":3,", "\"hit\"");
	rig_send(&rig, client, "GET /a HTTP/1.1\r\nHost: a.example\r\nRange: bytes=20-\r\n\r\n");
	expect_line("\"status\":416,\"bytes\":0,", "\"hit\"");
}

Test(serve_log, a_stale_hit)
{
	struct hf_obj *obj = rig_store(&rig, URL("/a"), 10, 60);

	rig.conf.origin.exchanges_max = 4;
	obj->life.swr_s = 100;
	obj->born_us -= 100000000;
	rig_send(&rig, rig_connect(&rig, 0), GET("/a"));
	expect_line("\"status\":200,", "\"cache\":\"stale\"");
}

Test(serve_log, a_miss_with_the_origin_that_was_asked)
{
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, rig_connect(&rig, 0), GET("/m"));
	xchg = rig_expect_start(&rig);
	memcpy(xchg->asked, "www/o1", 7);
	obj = rig_answer(&rig, xchg, 3, /* stream= */ false);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "abc", 3), 3);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	expect_line("\"status\":200,\"bytes\":3,", "\"cache\":\"absent\",\"origin\":\"www/o1\"",
		"\"complete\":true");
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_log, an_origin_that_failed)
{
	struct hf_xchg *xchg;

	rig_send(&rig, rig_connect(&rig, 0), GET("/m"));
	xchg = rig_expect_start(&rig);
	xchg->fail_status = 502;
	xchg->fail_reason = HF_DROP_REQ_ORIGIN_FAILED;
	memcpy(xchg->asked, "www/o2", 7);
	hf_xchg_to_worker(rig.link, HF_XCHG_FAIL, xchg);
	rig_settle(&rig);
	expect_line("\"status\":502,\"bytes\":16,", "\"cache\":\"absent\",\"origin\":\"www/o2\"");
	rig_expect_finish(&rig, xchg);
}

Test(serve_log, a_client_that_left_before_the_answer)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;

	rig_send(&rig, client, GET("/m"));
	xchg = rig_expect_start(&rig);
	rig_reset(&rig, client);
	expect_line("\"status\":0,\"bytes\":0,", "\"cache\":\"absent\",\"origin\":\"\"",
		"\"complete\":false");
	rig_expect_finish(&rig, xchg);
}

Test(serve_log, what_was_no_request_and_what_is_answered_here)
{
	rig_send(&rig, rig_connect(&rig, 0), "nonsense\r\n\r\n");
	expect_line("\"method\":\"\",\"host\":\"\",\"target\":\"\",\"status\":400,\"bytes\":16,",
		"\"cache\":\"none\"");
	rig_send(&rig, rig_connect(&rig, 1), "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n");
	expect_line("\"OPTIONS\"", "\"status\":204,\"bytes\":0,", "\"cache\":\"none\"");
}

Test(serve_log, each_of_pipelined_requests_is_a_line_in_order)
{
	const char *text;

	rig_store(&rig, URL("/a"), 10, 60);
	rig_store(&rig, URL("/b"), 10, 60);
	rig_send(&rig, rig_connect(&rig, 0), GET("/a") GET("/b") GET("/a?token=canary"));
	text = lines();
	cr_expect(strstr(text, "\"/a\""));
	cr_expect(strstr(strstr(text, "\"/a\""), "\"/b\""));
	cr_expect_null(strstr(text, "canary"));
}

Test(serve_log, nothing_is_kept_while_nobody_looks_and_what_began_then_has_no_line)
{
	struct rig_client *client = rig_connect(&rig, 0);

	hf_reqlog_watch_free(watch);
	rig_store(&rig, URL("/a"), 4 << 20, 60);
	rig_send_deaf(&rig, client, GET("/a"));
	cr_assert_eq(hf_reqlog_watch_lines(rig.reqlog, "", NULL, &watch), 0);
	rig_settle(&rig);
	cr_expect_str_empty(lines());
}

/* ---- traces ---- */

#define TRACE        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
#define TRACED(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\ntraceparent: " TRACE "-01\r\n\r\n"

static struct hf_reqlog_record traced[256];
static uint32_t traced_count;

static void on_traced(void *arg, const struct hf_reqlog_record *record, int64_t real_us)
{
	cr_assert_lt(traced_count, HF_ARRAY_LEN(traced));
	traced[traced_count++] = *record;
}

/* Nobody looks, but traces are exported. */
static void trace_begin(void)
{
	hf_reqlog_watch_free(watch);
	watch = NULL;
	hf_reqlog_trace_set(rig.reqlog, on_traced, NULL);
}

static void trace_take_all(void)
{
	hf_reqlog_stop(rig.reqlog);
	hf_reqlog_run(rig.reqlog);
}

static void trace_take(uint32_t count)
{
	trace_take_all();
	cr_assert_eq(traced_count, count);
}

/* The line of the origin's request that begins with NAME, its value; "": none. */
static const char *trace_sent(const struct hf_xchg *xchg, const char *name)
{
	static char text[200];
	const char *at = memmem(xchg->lines.ptr, xchg->lines.len, name, strlen(name));

	text[0] = '\0';
	if (at)
		(void)sscanf(at + strlen(name), ": %199[^\r]", text);
	return text;
}

Test(serve_log, a_sampled_hit_has_a_span_below_its_callers_and_what_is_left_of_the_lifetime)
{
	struct hf_obj *obj = rig_store(&rig, URL("/a"), 10, 60);

	trace_begin();
	obj->born_us = (int64_t)rig.now_us - 1500000;
	rig_send(&rig, rig_connect(&rig, 0), TRACED("/a") GET("/a"));
	trace_take(1);
	cr_expect_eq(traced[0].cache, HF_REQLOG_HIT);
	cr_expect_eq(traced[0].trace.parent.id[0], 0x0a);
	cr_expect_eq(traced[0].trace.parent.span[0], 0xb7);
	cr_expect(traced[0].trace.has_parent && traced[0].trace.has_ttl);
	cr_expect_not(traced[0].trace.fetched);
	cr_expect_neq(memcmp(traced[0].trace.span, traced[0].trace.fetch, 8), 0);
	cr_expect_eq(traced[0].trace.ttl_ms, 58500);
	cr_expect_neq(traced[0].trace.key_hash, 0);
}

Test(serve_log, of_a_sampled_miss_the_origin_gets_the_span_of_the_fetch_as_parent)
{
	char want[HF_HTTP_TRACE_LEN + 1] = "";
	struct hf_http_trace trace;
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	trace_begin();
	rig_send(&rig, rig_connect(&rig, 0), TRACED("/m"));
	xchg = rig_expect_start(&rig);
	xchg->led = true;
	rig_wait(&rig, 2000);
	obj = rig_answer(&rig, xchg, 0, /* stream= */ true);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	trace_take(1);
	trace = traced[0].trace.parent;
	memcpy(trace.span, traced[0].trace.fetch, sizeof(trace.span));
	hf_http_trace_format(&trace, want);
	cr_expect_str_eq(trace_sent(xchg, "traceparent"), want);
	cr_expect(traced[0].trace.fetched);
	cr_expect_geq(traced[0].trace.fetch_us, 2000);
	cr_expect_eq(traced[0].cache, HF_REQLOG_UNCACHEABLE);
	cr_expect_not(traced[0].trace.has_ttl, "it is not stored");
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_log, what_is_not_sampled_goes_on_as_it_came_and_has_no_record)
{
	static const char *const values[] = { TRACE "-00", "00-x", TRACE "-01-" };
	struct hf_xchg *xchg;
	char text[300];

	trace_begin();
	for (uint32_t i = 0; i < HF_ARRAY_LEN(values); i++) {
		(void)snprintf(text, sizeof(text),
			"GET /m HTTP/1.1\r\nHost: a.example\r\ntraceparent: %s\r\n\r\n", values[i]);
		rig_send(&rig, rig_connect(&rig, i), text);
		xchg = rig_expect_start(&rig);
		cr_expect_str_eq(trace_sent(xchg, "traceparent"), values[i]);
		rig_reset(&rig, &rig.client[i]);
		rig_expect_finish(&rig, xchg);
	}
	trace_take(0);
}

Test(serve_log, without_export_a_sampled_trace_goes_on_as_it_came)
{
	struct hf_xchg *xchg;

	rig_send(&rig, rig_connect(&rig, 0), TRACED("/m"));
	xchg = rig_expect_start(&rig);
	cr_expect_str_eq(trace_sent(xchg, "traceparent"), TRACE "-01");
	rig_reset(&rig, &rig.client[0]);
	rig_expect_finish(&rig, xchg);
}

Test(serve_log, as_many_as_are_asked_for_begin_a_trace_of_their_own)
{
	struct rig_client *client = rig_connect(&rig, 0);

	trace_begin();
	rig_store(&rig, URL("/a"), 10, 60);
	rig.conf.trace.sample = 1000000;
	rig_send(&rig, client, GET("/a") GET("/a"));
	rig.conf.trace.sample = 0;
	rig_send(&rig, client, GET("/a"));
	trace_take(2);
	cr_expect_not(traced[0].trace.has_parent);
	cr_expect_eq(traced[0].trace.parent.flags, HF_HTTP_TRACE_SAMPLED);
	cr_expect_neq(memcmp(traced[0].trace.parent.id, traced[1].trace.parent.id, 16), 0);
	cr_expect_neq(memcmp(traced[0].trace.span, traced[1].trace.span, 8), 0);
}

/* Of 2048 requests: heads that repeat, which are answered in runs, and others. By chance six standard deviations away once
 * in a billion. */
static void assert_sampled(const char *eight)
{
	struct rig_client *client = rig_connect(&rig, 0);

	rig_store(&rig, URL("/a"), 10, 60);
	trace_begin();
	rig.conf.trace.sample = 62500;
	for (uint32_t i = 0; i < 256; i++)
		rig_send(&rig, client, eight);
	trace_take_all();
	cr_assert_gt(traced_count, 128 - 66);
	cr_assert_lt(traced_count, 128 + 66);
}

#define GET_4  GET("/a") GET("/a") GET("/a") GET("/a")
#define HEAD   "HEAD /a HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\n\r\n"
#define HEAD_4 HEAD HEAD HEAD HEAD

Test(serve_log, of_requests_in_runs_as_many_are_sampled_as_are_asked_for)
{
	assert_sampled(GET_4 GET_4);
}

Test(serve_log, of_requests_one_by_one_as_many_are_sampled_as_are_asked_for)
{
	assert_sampled(HEAD_4 HEAD_4);
}

Test(serve_log, a_refresh_is_no_part_of_the_trace_of_the_hit_that_caused_it)
{
	struct hf_obj *obj = rig_store(&rig, URL("/a"), 10, 60);
	struct hf_xchg *xchg;

	trace_begin();
	rig.conf.origin.exchanges_max = 4;
	obj->life.swr_s = 100;
	obj->born_us = (int64_t)rig.now_us - 100000000;
	rig_send(&rig, rig_connect(&rig, 0), TRACED("/a"));
	xchg = rig_expect_start(&rig);
	cr_expect_str_empty(trace_sent(xchg, "traceparent"));
	trace_take(1);
	cr_expect_eq(traced[0].cache, HF_REQLOG_STALE);
	cr_expect_eq(traced[0].trace.ttl_ms, -40000);
	hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
	rig_settle(&rig);
}
