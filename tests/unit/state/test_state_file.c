/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hf_state_file.h"

static char dir[64], file[96];

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "%s", "/tmp/hf_state_file.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/state.json", dir);
}

static bool is_there(const char *suffix)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s%s", file, suffix);
	return access(path, F_OK) == 0;
}

static void teardown(void)
{
	static const char *const suffixes[] = { "", ".new", ".corrupt" };

	for (size_t i = 0; i < HF_ARRAY_LEN(suffixes); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s%s", file, suffixes[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

TestSuite(state_file, .init = setup, .fini = teardown);

static void save(const char *text)
{
	struct hf_err err = { "" };

	cr_assert_eq(hf_state_file_save(file, text, strlen(text), &err), 0, "%s", err.text);
}

/* What a load gives: its text, or the name of what went wrong. */
static const char *load(void)
{
	static char text[256];
	struct hf_err err = { "" };
	char *got = NULL;
	size_t len = 0;
	int rc = hf_state_file_load(file, &got, &len, &err);

	if (rc)
		return rc == -ENOENT ? "none" : rc == -EBADMSG ? "damaged" : "unreadable";
	cr_assert_lt(len, sizeof(text));
	cr_expect_eq(strlen(got), len);
	(void)snprintf(text, sizeof(text), "%s", got);
	free(got);
	return text;
}

/* The bytes of the file; its length is returned. */
static size_t slurp(char *buf, size_t cap)
{
	FILE *in = fopen(file, "re");
	size_t len;

	cr_assert_not_null(in);
	len = fread(buf, 1, cap, in);
	(void)fclose(in);
	return len;
}

static void spill(const char *bytes, size_t len)
{
	FILE *out = fopen(file, "we");

	cr_assert_not_null(out);
	cr_assert_eq(fwrite(bytes, 1, len, out), len);
	(void)fclose(out);
}

Test(state_file, what_was_saved_is_loaded)
{
	cr_expect_str_eq(load(), "none");
	save("{\"schema\":1}");
	cr_expect_str_eq(load(), "{\"schema\":1}");
	save("");
	cr_expect_str_eq(load(), "");
	save("line\nanother\n");
	cr_expect_str_eq(load(), "line\nanother\n");
	cr_expect_not(is_there(".new"));
	cr_expect_not(is_there(".corrupt"));
}

Test(state_file, nobody_else_may_read_it)
{
	struct stat info;

	save("x");
	cr_assert_eq(stat(file, &info), 0);
	cr_expect_eq(info.st_mode & 0777, 0600);
}

Test(state_file, cut_at_any_byte_it_is_damaged_and_set_aside)
{
	char whole[256];
	size_t len;

	save("{\"schema\":1,\"version\":\"v1\"}");
	len = slurp(whole, sizeof(whole));
	for (size_t cut = 0; cut < len; cut++) {
		spill(whole, cut);
		cr_expect_str_eq(load(), "damaged", "cut to %zu bytes", cut);
		cr_expect(is_there(".corrupt"));
		cr_expect_str_eq(load(), "none");
	}
	spill(whole, len);
	cr_expect_str_eq(load(), "{\"schema\":1,\"version\":\"v1\"}");
}

Test(state_file, any_changed_or_added_byte_is_seen)
{
	char whole[256];
	size_t len;

	save("{\"schema\":1,\"version\":\"v1\"}");
	len = slurp(whole, sizeof(whole) - 1);
	for (size_t at = 0; at < len; at++) {
		whole[at] ^= 0x04;
		spill(whole, len);
		cr_expect_str_eq(load(), "damaged", "byte %zu", at);
		whole[at] ^= 0x04;
	}
	whole[len] = '\n';
	spill(whole, len + 1);
	cr_expect_str_eq(load(), "damaged");
}

Test(state_file, killed_at_any_moment_of_a_save_it_is_the_old_or_the_new_one)
{
	enum { LEN = 200000, ROUNDS = 100 };
	static char text[LEN + 1];

	memset(text, 'a', LEN);
	save("old");
	for (int round = 0; round < ROUNDS; round++) {
		char *got = NULL;
		size_t len = 0;
		pid_t pid = fork();

		cr_assert_geq(pid, 0);
		if (pid == 0) {
			for (char c = 'a';; c = c == 'z' ? 'a' : (char)(c + 1)) {
				memset(text, c, LEN);
				if (hf_state_file_save(file, text, LEN, NULL) != 0)
					_exit(1);
			}
		}
		(void)usleep((useconds_t)(round * 97 % 5000));
		(void)kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert_eq(hf_state_file_load(file, &got, &len, NULL), 0, "round %d", round);
		if (len == 3)
			cr_expect_str_eq(got, "old");
		else
			cr_expect(len == LEN && got[0] == got[LEN - 1]);
		free(got);
	}
}

Test(state_file, a_directory_that_is_not_there_is_told)
{
	struct hf_err err = { "" };

	cr_expect_eq(hf_state_file_save("/nonexistent/state.json", "x", 1, &err), -ENOENT);
	cr_expect_str_eq(
		err.text, "/nonexistent/state.json: cannot be written: No such file or directory");
}
