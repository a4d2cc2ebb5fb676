/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hf_file.h"

static char dir[64], name[96], name_new[112];

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "%s", "/tmp/hf_file.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(name, sizeof(name), "%s/file", dir);
	(void)snprintf(name_new, sizeof(name_new), "%s.new", name);
}

static void teardown(void)
{
	(void)unlink(name);
	(void)unlink(name_new);
	(void)rmdir(name_new);
	cr_expect_eq(rmdir(dir), 0, "files left behind");
}

TestSuite(file, .init = setup, .fini = teardown);

static const char *content(void)
{
	static char text[64];
	FILE *in = fopen(name, "re");
	size_t len = in ? fread(text, 1, sizeof(text) - 1, in) : 0;

	text[len] = '\0';
	if (in)
		(void)fclose(in);
	return in ? text : "none";
}

static int put(const char *text)
{
	struct hf_file file;

	hf_file_begin(&file, name);
	hf_file_write(&file, text, strlen(text));
	return hf_file_end(&file);
}

Test(file, is_the_old_one_until_its_end_and_then_the_new_one)
{
	struct hf_file file;

	cr_expect_eq(put("old"), 0);
	hf_file_begin(&file, name);
	hf_file_write(&file, "ne", 2);
	cr_expect_str_eq(content(), "old");
	hf_file_write(&file, "wer", 3);
	cr_expect_eq(hf_file_end(&file), 0);
	cr_expect_str_eq(content(), "newer");
	cr_expect_neq(access(name_new, F_OK), 0);
}

Test(file, a_drop_leaves_the_old_one)
{
	struct hf_file file;

	cr_expect_eq(put("old"), 0);
	hf_file_begin(&file, name);
	hf_file_write(&file, "new", 3);
	hf_file_drop(&file);
	cr_expect_str_eq(content(), "old");
	cr_expect_neq(access(name_new, F_OK), 0);
}

Test(file, nobody_else_may_read_it)
{
	struct stat info;

	cr_expect_eq(put("x"), 0);
	cr_assert_eq(stat(name, &info), 0);
	cr_expect_eq(info.st_mode & 0777, 0600);
}

Test(file, the_first_error_is_told_at_the_end)
{
	static char huge[8192];

	cr_expect_eq(put("old"), 0);
	cr_assert_eq(mkdir(name_new, 0700), 0);
	cr_expect_eq(put("new"), -EISDIR);
	cr_expect_str_eq(content(), "old");
	(void)snprintf(name, sizeof(name), "%s/none/file", dir);
	cr_expect_eq(put("new"), -ENOENT);
	(void)snprintf(name, sizeof(name), "%s/file", dir);
	memset(huge, 'x', sizeof(huge) - 1);
	cr_expect_eq(hf_file_remove(huge), -ENAMETOOLONG);
}

Test(file, removed_it_is_gone)
{
	cr_expect_eq(put("x"), 0);
	cr_expect_eq(hf_file_remove(name), 0);
	cr_expect_str_eq(content(), "none");
	cr_expect_eq(hf_file_remove(name), -ENOENT);
}

Test(file, first_line_of_a_secret)
{
	static const char *const table[][2] = { { "", "" }, { "a b", "a b" }, { "a\nb\n", "a" },
		{ "a\r\nb", "a" }, { "\na", "" }, { "0123456789", "0123456" } };
	char line[8];

	for (size_t i = 0; i < HF_ARRAY_LEN(table); i++) {
		cr_assert_eq(put(table[i][0]), 0);
		cr_assert_eq(hf_file_first_line(name, line, sizeof(line)), 0);
		cr_expect_str_eq(line, table[i][1]);
	}
	cr_expect_eq(hf_file_first_line(name_new, line, sizeof(line)), -ENOENT);
	cr_expect_eq(hf_file_first_line(dir, line, sizeof(line)), -EISDIR);
}
