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
	rig_send(&rig, client, "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
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
