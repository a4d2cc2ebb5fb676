/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "reqlog_rig.h"

static struct hf_reqlog *reqlog;
static struct hf_reqlog_ring *ring;
static pthread_t thread;
static char dir[] = "/tmp/hf_reqlog_test_XXXXXX", path[64], aside[64];

static void *log_main(void *arg)
{
	cr_assert(hf_stat_register("log"));
	hf_reqlog_run(arg);
	return NULL;
}

static void log_start(void)
{
	cr_assert_eq(pthread_create(&thread, NULL, log_main, reqlog), 0);
}

/* What was put is in watches and files afterwards. */
static void log_end(void)
{
	hf_reqlog_stop(reqlog);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

static void log_init(void)
{
	hf_log_level_set(HF_LOG_ERROR);
	cr_assert(hf_stat_register("test"));
	cr_assert(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/requests", dir);
	(void)snprintf(aside, sizeof(aside), "%s/requests.1", dir);
	cr_assert_eq(hf_reqlog_new(2, NULL, &reqlog), 0);
	ring = hf_reqlog_ring(reqlog, 0);
}

static void log_fini(void)
{
	hf_reqlog_free(reqlog);
	(void)unlink(path);
	(void)unlink(aside);
	(void)rmdir(dir);
}

TestSuite(reqlog, .init = log_init, .fini = log_fini);

static void put(const char *target)
{
	struct hf_reqlog_record record = rig_record("h", target);

	record.begun_us = hf_clock_us();
	hf_reqlog_put(ring, &record);
}

static uint32_t count(const char *text, const char *part)
{
	uint32_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

static const char *file_text(const char *name)
{
	static char text[1 << 20];
	FILE *file = fopen(name, "r");

	cr_assert(file, "%s", name);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	(void)fclose(file);
	return text;
}

static struct hf_reqlog_watch *watch_lines(const char *filter)
{
	struct hf_reqlog_watch *watch = NULL;
	struct hf_err err = { "" };

	cr_assert_eq(hf_reqlog_watch_lines(reqlog, filter, &err, &watch), 0, "%s", err.text);
	return watch;
}

/* ---- ring ---- */

Test(reqlog, L2_a_full_ring_loses_and_counts)
{
	uint32_t n;
	const struct hf_reqlog_record *record;

	for (uint32_t i = 0; i < HF_REQLOG_RING + 3; i++)
		put("/a");
	cr_expect_eq(reqlog_ring_lost(ring), 3);
	cr_expect_eq(reqlog_ring_lost(ring), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 3);
	record = reqlog_ring_peek(ring, UINT32_MAX, &n);
	cr_assert_eq(n, HF_REQLOG_RING);
	cr_expect_eq(memcmp(record[n - 1].text, "h/a", 3), 0);
}

Test(reqlog, records_come_in_order_around_the_end_of_the_ring)
{
	char target[32];
	uint32_t n, got = 0;

	for (uint32_t i = 0; i < 3 * HF_REQLOG_RING; i++) {
		const struct hf_reqlog_record *record;

		(void)snprintf(target, sizeof(target), "/%08u", i);
		put(target);
		if (i % 5 != 4)
			continue;
		for (;;) {
			record = reqlog_ring_peek(ring, 3, &n);
			if (n == 0)
				break;
			for (uint32_t j = 0; j < n; j++, got++) {
				(void)snprintf(target, sizeof(target), "h/%08u", got);
				cr_assert_eq(memcmp(record[j].text, target, 10), 0);
			}
			reqlog_ring_done(ring, n);
		}
	}
	cr_expect_gt(got, 2 * HF_REQLOG_RING);
}

Test(reqlog, L6_a_record_is_wiped_when_it_is_taken)
{
	uint32_t n;
	const char *bytes;

	put("/a");
	bytes = (const char *)reqlog_ring_peek(ring, 1, &n);
	reqlog_ring_done(ring, n);
	for (size_t i = 0; i < sizeof(struct hf_reqlog_record); i++)
		cr_assert_eq(bytes[i], 0, "%zu", i);
}

/* ---- watches ---- */

Test(reqlog, L1_it_is_wanted_while_there_is_a_watch_or_a_file)
{
	struct hf_reqlog_watch *one, *two;

	cr_expect(!hf_reqlog_wanted(ring));
	one = watch_lines("");
	two = watch_lines("");
	cr_expect(hf_reqlog_wanted(ring));
	hf_reqlog_watch_free(one);
	cr_expect(hf_reqlog_wanted(ring));
	hf_reqlog_watch_free(two);
	cr_expect(!hf_reqlog_wanted(ring));
	hf_reqlog_file_set(reqlog, path, HF_REQLOG_JSON);
	cr_expect(hf_reqlog_wanted(ring));
	hf_reqlog_file_set(reqlog, "", HF_REQLOG_JSON);
	cr_expect(!hf_reqlog_wanted(ring));
}

static uint32_t traced_count;

static void on_traced(void *arg, const struct hf_reqlog_record *record, int64_t real_us)
{
	cr_expect_eq(arg, &traced_count);
	cr_expect_eq(record->trace.key_hash, 7);
	traced_count++;
}

Test(reqlog, who_exports_traces_gets_what_is_traced_and_a_watch_gets_all)
{
	struct hf_reqlog_record record = rig_record("h", "/");
	struct hf_reqlog_watch *watch;
	const char *lines;
	uint64_t lost;
	size_t len;

	hf_reqlog_trace_set(reqlog, on_traced, &traced_count);
	cr_expect_eq(hf_reqlog_wanted(ring), HF_REQLOG_WANT_TRACED);
	watch = watch_lines("");
	cr_expect_eq(hf_reqlog_wanted(ring), HF_REQLOG_WANT_TRACED | HF_REQLOG_WANT_ALL);
	record.begun_us = hf_clock_us();
	hf_reqlog_put(ring, &record);
	record.traced = true;
	record.trace.key_hash = 7;
	hf_reqlog_put(ring, &record);
	log_start();
	log_end();
	cr_expect_eq(traced_count, 1);
	lines = hf_reqlog_lines_take(watch, &len, &lost);
	cr_expect(len > 0 && memchr(lines, '\n', len) < (const void *)(lines + len - 1));
	hf_reqlog_watch_free(watch);
	hf_reqlog_trace_set(reqlog, NULL, NULL);
	cr_expect_eq(hf_reqlog_wanted(ring), 0);
}

Test(reqlog, each_watch_gets_what_its_filter_names)
{
	struct hf_reqlog_watch *all = watch_lines(""), *some = watch_lines("path=/a*");
	const char *lines;
	uint64_t lost;
	size_t len;

	put("/a");
	put("/b");
	log_start();
	log_end();
	lines = hf_reqlog_lines_take(all, &len, &lost);
	cr_expect_eq(count(lines, "\"target\":"), 2);
	cr_expect_eq(lines[len - 1], '\n');
	cr_expect_eq(lost, 0);
	lines = hf_reqlog_lines_take(some, &len, &lost);
	cr_expect(memmem(lines, len, "\"/a\"", 4) && !memmem(lines, len, "\"/b\"", 4));
	(void)hf_reqlog_lines_take(some, &len, &lost);
	cr_expect_eq(len, 0);
	hf_reqlog_watch_free(all);
	hf_reqlog_watch_free(some);
}

Test(reqlog, earlier_requests_are_not_shown)
{
	struct hf_reqlog_watch *first = watch_lines(""), *second;
	uint64_t lost;
	size_t len;

	put("/a");
	while (hf_clock_us() == hf_clock_us())
		;
	second = watch_lines("");
	log_start();
	log_end();
	(void)hf_reqlog_lines_take(first, &len, &lost);
	cr_expect_gt(len, 0);
	(void)hf_reqlog_lines_take(second, &len, &lost);
	cr_expect_eq(len, 0);
	hf_reqlog_watch_free(first);
	hf_reqlog_watch_free(second);
}

Test(reqlog, L3_a_watch_that_nobody_reads_loses_and_counts)
{
	struct hf_reqlog_watch *watch = watch_lines("");
	uint64_t lost;
	size_t len;

	log_start();
	for (uint32_t i = 0; i < 8000; i++) { /* more than a MiB of lines */
		put("/a");
		if (i % 1000 == 999) /* or the ring would lose some */
			while (hf_stat_sum(HF_STAT_REQLOG_RECORDS) <= i)
				(void)usleep(1000);
	}
	log_end();
	(void)hf_reqlog_lines_take(watch, &len, &lost);
	cr_expect_leq(len, REQLOG_LINES_MAX);
	cr_expect_gt(len, REQLOG_LINES_MAX - 2 * REQLOG_LINE_MAX);
	cr_expect_gt(lost, 0);
	cr_expect_eq(lost, hf_stat_sum(HF_STAT_REQLOG_LOST));
	hf_reqlog_watch_free(watch);
}

Test(reqlog, what_the_ring_lost_is_told_to_each_watch)
{
	struct hf_reqlog_watch *watch = watch_lines("path=/none");
	uint64_t lost;
	size_t len;

	for (uint32_t i = 0; i < HF_REQLOG_RING + 7; i++)
		put("/a");
	log_start();
	log_end();
	(void)hf_reqlog_lines_take(watch, &len, &lost);
	cr_expect_eq(lost, 7);
	hf_reqlog_watch_free(watch);
}

Test(reqlog, there_are_at_most_16_watches)
{
	struct hf_reqlog_watch *watch[REQLOG_WATCHES_MAX], *one_more = NULL;
	struct hf_err err = { "" };

	for (uint32_t i = 0; i < REQLOG_WATCHES_MAX; i++)
		watch[i] = watch_lines("");
	cr_expect_eq(hf_reqlog_watch_top(reqlog, "keys", &err, &one_more), -ENOSPC);
	cr_expect(strstr(err.text, "16"));
	for (uint32_t i = 0; i < REQLOG_WATCHES_MAX; i++)
		hf_reqlog_watch_free(watch[i]);
}

Test(reqlog, a_bad_filter_or_kind_is_refused)
{
	struct hf_reqlog_watch *watch = NULL;
	struct hf_err err = { "" };

	cr_expect_eq(hf_reqlog_watch_lines(reqlog, "a=b", &err, &watch), -EINVAL);
	cr_expect_eq(hf_reqlog_watch_top(reqlog, "hosts", &err, &watch), -EINVAL);
	cr_expect(strstr(err.text, "keys, clients, origins"));
	cr_expect(!hf_reqlog_wanted(ring));
}

Test(reqlog, top_takes_from_all_workers)
{
	struct hf_reqlog_top rows[HF_REQLOG_TOP_ROWS];
	struct hf_reqlog_watch *watch = NULL;

	cr_assert_eq(hf_reqlog_watch_top(reqlog, NULL, NULL, &watch), 0);
	put("/a");
	ring = hf_reqlog_ring(reqlog, 1);
	put("/a");
	put("/b");
	log_start();
	log_end();
	cr_assert_eq(hf_reqlog_top_take(watch, rows), 2);
	cr_expect_str_eq(rows[0].key, "h/a");
	cr_expect_str_eq(rows[1].key, "h/b");
	hf_reqlog_watch_free(watch);
}

/* ---- file ---- */

Test(reqlog, the_file_is_appended_to_and_has_mode_640)
{
	struct stat st;

	for (int i = 0; i < 2; i++) {
		hf_reqlog_file_set(reqlog, path, i ? HF_REQLOG_COMBINED : HF_REQLOG_JSON);
		put("/a");
		log_start();
		log_end();
		hf_reqlog_free(reqlog);
		cr_assert_eq(hf_reqlog_new(2, NULL, &reqlog), 0);
		ring = hf_reqlog_ring(reqlog, 0);
	}
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0640);
	cr_expect_eq(count(file_text(path), "\n"), 2);
	cr_expect(strstr(file_text(path), "\"target\":\"/a\""));
	cr_expect(strstr(file_text(path), "\"GET /a HTTP/1.1\""));
}

Test(reqlog, logrotate_moves_the_file_and_no_line_is_lost)
{
	uint64_t taken;

	hf_reqlog_file_set(reqlog, path, HF_REQLOG_JSON);
	log_start();
	put("/a");
	while (access(path, F_OK) != 0)
		(void)usleep(1000);
	cr_assert_eq(rename(path, aside), 0);
	put("/b");
	hf_reqlog_file_set(reqlog, path, HF_REQLOG_JSON); /* as at SIGHUP */
	while (access(path, F_OK) != 0)
		(void)usleep(1000);
	put("/c");
	log_end();
	taken = hf_stat_sum(HF_STAT_REQLOG_RECORDS);
	cr_expect_eq(taken, 3);
	cr_expect(strstr(file_text(aside), "\"/a\"") && strstr(file_text(aside), "\"/b\""));
	cr_expect(strstr(file_text(path), "\"/c\"") && !strstr(file_text(path), "\"/b\""));
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 0);
}

Test(reqlog, L3_a_full_disk_costs_lines_and_the_next_line_is_whole)
{
	struct reqlog_file file = { .fd = -1 };
	struct hf_reqlog_record record = rig_record("h", "/a");
	struct rlimit limit;
	char line[REQLOG_LINE_MAX];
	size_t len = reqlog_text(HF_REQLOG_JSON, &record, 0, line);

	cr_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = len + len / 2;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	reqlog_file_set(&file, strdup(path), HF_REQLOG_JSON);
	for (int i = 0; i < 3; i++)
		reqlog_file_add(&file, &record, 0);
	reqlog_file_flush(&file, 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_FILE_ERRORS), 1);
	reqlog_file_add(&file, &record, 0);
	reqlog_file_flush(&file, 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 3);
	limit.rlim_cur = limit.rlim_max; /* there is room again */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	reqlog_file_add(&file, &record, 0);
	reqlog_file_close(&file);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 3);
	cr_expect_eq(count(file_text(path), "\n"), 3);
	cr_expect_eq(count(file_text(path), "\"cut\":false}\n"), 2);
}

Test(reqlog, L3_a_file_that_cannot_be_opened_is_tried_again)
{
	struct reqlog_file file = { .fd = -1 };
	struct hf_reqlog_record record = rig_record("h", "/a");

	cr_assert_eq(mkdir(path, 0700), 0);
	reqlog_file_set(&file, strdup(path), HF_REQLOG_JSON);
	reqlog_file_add(&file, &record, 0);
	reqlog_file_flush(&file, 1);
	cr_assert_eq(rmdir(path), 0);
	reqlog_file_flush(&file, 2);
	cr_expect_eq(access(path, F_OK), -1, "not at once");
	reqlog_file_flush(&file, 1 + REQLOG_RETRY_US);
	reqlog_file_close(&file);
	cr_expect_eq(count(file_text(path), "\n"), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_FILE_ERRORS), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 0);
}

Test(reqlog, L3_lines_for_a_file_that_is_not_there_are_bounded)
{
	struct reqlog_file file = { .fd = -1 };
	struct hf_reqlog_record record = rig_record("h", "/a");

	cr_assert_eq(mkdir(path, 0700), 0);
	reqlog_file_set(&file, strdup(path), HF_REQLOG_JSON);
	for (int i = 0; i < 8000; i++) {
		reqlog_file_add(&file, &record, 0);
		reqlog_file_flush(&file, 1);
	}
	cr_expect_leq(file.len, REQLOG_LINES_MAX);
	reqlog_file_close(&file);
	cr_expect_eq(hf_stat_sum(HF_STAT_REQLOG_LOST), 8000);
	cr_assert_eq(rmdir(path), 0);
}
