/* SPDX-License-Identifier: BSD-3-Clause
 *
 * conf_test - loads a configuration from a text and keeps what was complained of.
 */
#ifndef CONF_TEST_H
#define CONF_TEST_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_priv.h"

#define CONF_TEST_PORTS "ports: [{device: \"net_tap0\", addresses: [10.0.0.2/24]}]\n"

static char test_errors[65536];

/* The file's name is cut from the errors: they begin with its line. */
static inline int test_load_bytes(const char *text, size_t len, struct hf_conf **ret_conf)
{
	char path[] = "/tmp/hf_conf_test_XXXXXX", *all = NULL, *to = test_errors;
	size_t all_len = 0;
	int fd = mkstemp(path), err;
	FILE *errors = open_memstream(&all, &all_len);

	cr_assert(fd >= 0 && errors);
	cr_assert(write(fd, text, len) == (ssize_t)len);
	(void)close(fd);
	err = hf_conf_load(path, errors, ret_conf);
	(void)fclose(errors);
	(void)unlink(path);
	cr_assert(all_len < sizeof(test_errors));
	for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
		cr_assert(strncmp(line, path, strlen(path)) == 0 && line[strlen(path)] == ':',
			"no file name: %s", line);
		to += sprintf(to, "%s\n", line + strlen(path) + 1);
	}
	*to = '\0';
	free(all);
	return err;
}

static inline int test_load(const char *text, struct hf_conf **ret_conf)
{
	return test_load_bytes(text, strlen(text), ret_conf);
}

/* The text is refused for exactly one reason. */
#define test_refused(text, reason)                                                                 \
	do {                                                                                       \
		struct hf_conf *refused_ = NULL;                                                   \
		cr_expect_eq(test_load((text), &refused_), -EINVAL, "taken: %s", (text));          \
		cr_expect_null(refused_);                                                          \
		cr_expect_str_eq(test_errors, reason);                                             \
	} while (0)

#endif
