/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_stat.h"

#include "log_priv.h"

static char log_said[1 << 20];
static int log_file = -1, log_stderr = -1;

static void log_capture_begin(void)
{
	char path[] = "/tmp/hf_log_test_XXXXXX";

	log_file = mkstemp(path);
	cr_assert(log_file >= 0);
	(void)unlink(path);
	log_stderr = dup(STDERR_FILENO);
	cr_assert(dup2(log_file, STDERR_FILENO) >= 0);
}

/* What stderr got since; stderr is as before. */
static const char *log_capture_end(void)
{
	ssize_t n = pread(log_file, log_said, sizeof(log_said) - 1, 0);

	cr_assert(n >= 0);
	log_said[n] = '\0';
	(void)dup2(log_stderr, STDERR_FILENO);
	(void)close(log_stderr);
	(void)close(log_file);
	return log_said;
}

static uint32_t log_count_lines(const char *text)
{
	uint32_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

Test(log, a_line_has_time_level_area_and_text)
{
	regex_t re;

	cr_assert_eq(regcomp(&re,
			     "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
			     "WARN origin: 3 of 4 failed\n$",
			     REG_EXTENDED | REG_NOSUB),
		0);
	log_capture_begin();
	hf_log(HF_LOG_WARN, "origin", "%d of %s failed", 3, "4");
	cr_expect_eq(regexec(&re, log_capture_end(), 0, NULL, 0), 0, "%s", log_said);
	regfree(&re);
}

Test(log, what_is_below_the_level_is_not_said)
{
	log_capture_begin();
	hf_log(HF_LOG_DEBUG, "a", "not this");
	hf_log_level_set(HF_LOG_DEBUG);
	hf_log(HF_LOG_DEBUG, "a", "this");
	hf_log_level_set(HF_LOG_ERROR);
	hf_log(HF_LOG_WARN, "a", "not this");
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), 1);
	cr_expect(strstr(log_said, "DEBUG a: this\n"));
}

Test(log, a_site_says_ten_lines_a_second_and_then_how_many_it_left_out)
{
	struct hf_log_site site = { 0 };
	uint32_t suppressed = 99;

	for (int i = 0; i < 10; i++) {
		cr_expect(log_site_admit(&site, 1000, &suppressed));
		cr_expect_eq(suppressed, 0);
	}
	for (int i = 0; i < 25; i++)
		cr_expect_not(log_site_admit(&site, 1000, &suppressed));
	cr_expect(log_site_admit(&site, 1001, &suppressed));
	cr_expect_eq(suppressed, 25);
	cr_expect(log_site_admit(&site, 1001, &suppressed));
	cr_expect_eq(suppressed, 0);
	/* the clock was set back: a new second all the same */
	cr_expect(log_site_admit(&site, 5, &suppressed));
}

Test(log, the_left_out_lines_are_said_with_the_next)
{
	struct hf_log_site site = { .suppressed = 7 };

	log_capture_begin();
	hf_log_write(&site, HF_LOG_INFO, "a", "%s", "text");
	(void)log_capture_end();
	cr_expect(strstr(log_said, "INFO a: text (7 like it not shown)\n"), "%s", log_said);
}

Test(log, every_line_is_said_or_counted_as_lost)
{
	cr_assert(hf_stat_register("test"));
	log_capture_begin();
	for (int i = 0; i < 1000; i++)
		hf_log(HF_LOG_INFO, "a", "again");
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said) + hf_stat_sum(HF_STAT_LOG_LINES_LOST), 1000);
	cr_expect_gt(hf_stat_sum(HF_STAT_LOG_LINES_LOST), 0);
}

Test(log, text_of_strangers_cannot_begin_a_line_or_drive_a_terminal)
{
	log_capture_begin();
	hf_log(HF_LOG_INFO, "a", "x\n2026 ERROR b: \x1b[31m \xc2\x9b \xc3\xa4 \x7f");
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), 1);
	cr_expect(strstr(log_said, "x?2026 ERROR b: ?[31m ?? \xc3\xa4 ?\n"), "%s", log_said);
}

Test(log, a_text_that_is_too_long_is_cut_and_says_so)
{
	char *text = malloc(5000);
	struct hf_log_site site = { .suppressed = 3 };

	memset(text, 'x', 4999);
	text[4999] = '\0';
	log_capture_begin();
	hf_log(HF_LOG_INFO, "a", "%s", text);
	hf_log_write(&site, HF_LOG_INFO, "a", "%s", text);
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), 2);
	cr_expect(strstr(log_said, "xxx...\n"));
	cr_expect(strstr(log_said, "xxx... (3 like it not shown)\n"));
	cr_expect_lt(strlen(log_said), 2 * (LOG_TEXT_MAX + 64));
	free(text);
}

static void *log_lcore(void *arg)
{
	uint32_t lines = *(uint32_t *)arg;

	cr_assert_eq(hf_log_ring_enter(), 0);
	for (uint32_t i = 0; i < lines; i++) {
		struct hf_log_site site = { 0 };

		hf_log_write(&site, HF_LOG_INFO, "lcore", "line %u", i);
	}
	return NULL;
}

static void log_run_lcore(uint32_t lines)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, log_lcore, &lines), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(log, an_lcore_writes_nothing_until_the_control_thread_drains)
{
	log_capture_begin();
	log_run_lcore(3);
	cr_expect_eq(lseek(log_file, 0, SEEK_END), 0);
	hf_log_drain();
	hf_log_drain();
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), 3);
	cr_expect(strstr(log_said, "INFO lcore: line 0\n") <
		  strstr(log_said, "INFO lcore: line 2\n"));
}

static void *log_lcore_counted(void *arg)
{
	cr_assert(hf_stat_register("lcore"));
	return log_lcore(arg);
}

Test(log, a_full_ring_loses_lines_and_counts_them)
{
	uint32_t lines = LOG_RING_LINES + 10;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, log_lcore_counted, &lines), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_LOG_LINES_LOST), 10);
	log_capture_begin();
	hf_log_drain();
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), LOG_RING_LINES);
	cr_expect(strstr(log_said, "line 0\n"));
}

Test(log, there_are_rings_for_64_lcores)
{
	for (int i = 0; i < LOG_RINGS_MAX; i++)
		log_run_lcore(1);
	cr_expect_eq(hf_log_ring_enter(), -ENOSPC);
	log_capture_begin();
	hf_log_drain();
	(void)log_capture_end();
	cr_expect_eq(log_count_lines(log_said), LOG_RINGS_MAX);
}

struct log_race {
	_Atomic bool done;
	uint32_t lines;
};

static void *log_lcore_racing(void *arg)
{
	struct log_race *race = arg;

	cr_assert(hf_stat_register("lcore"));
	(void)log_lcore(&race->lines);
	atomic_store(&race->done, true);
	return NULL;
}

Test(log, lines_drained_while_they_are_written_arrive_whole_and_in_order)
{
	struct log_race race = { .lines = 5000 };
	uint32_t next = 0, seen = 0;
	pthread_t thread;

	log_capture_begin();
	cr_assert_eq(pthread_create(&thread, NULL, log_lcore_racing, &race), 0);
	while (!atomic_load(&race.done))
		hf_log_drain();
	cr_assert_eq(pthread_join(thread, NULL), 0);
	hf_log_drain();
	(void)log_capture_end();
	for (char *line = strtok(log_said, "\n"); line; line = strtok(NULL, "\n"), seen++) {
		const char *text = strstr(line, "INFO lcore: line ");
		uint32_t n;

		cr_assert(text, "%s", line);
		n = (uint32_t)strtoul(text + 17, NULL, 10);
		cr_assert(n >= next, "%u after %u", n, next);
		next = n + 1;
	}
	cr_expect_eq(seen + hf_stat_sum(HF_STAT_LOG_LINES_LOST), race.lines);
}
