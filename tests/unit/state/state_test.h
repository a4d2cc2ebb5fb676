/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state_test - parses a document and keeps what was complained of.
 */
#ifndef STATE_TEST_H
#define STATE_TEST_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_priv.h"

#define STATE_TEST_ORIGIN "{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://a:1\"}"
#define STATE_TEST_ROUTE  "{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}"
#define STATE_TEST_DOC(origins, routes)                                                            \
	"{\"schema\":1,\"version\":\"v\",\"origins\":[" origins "],\"routes\":[" routes "]}"

static char *test_reasons;

static inline int test_parse_bytes(const char *text, size_t len, struct hf_state **ret_state)
{
	size_t reasons_len;
	FILE *errors;
	int err;

	free(test_reasons);
	errors = open_memstream(&test_reasons, &reasons_len);
	cr_assert(errors);
	err = hf_state_parse(text, len, errors, ret_state);
	(void)fclose(errors);
	return err;
}

static inline int test_parse(const char *text, struct hf_state **ret_state)
{
	return test_parse_bytes(text, strlen(text), ret_state);
}

#define test_refused(text, reasons)                                                                \
	do {                                                                                       \
		struct hf_state *refused_ = NULL;                                                  \
		cr_expect_eq(test_parse((text), &refused_), -EINVAL, "taken: %s", (text));         \
		cr_expect_null(refused_);                                                          \
		cr_expect_str_eq(test_reasons, reasons);                                           \
	} while (0)

#endif
