/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "registry_rig.h"

TestSuite(registry_secret, .init = rr_setup, .fini = rr_teardown);

static int set(const char *text, size_t len, struct hf_err *err)
{
	char file[] = "/tmp/hf_registry.XXXXXX";
	int fd = mkstemp(file), rc;

	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	(void)close(fd);
	rc = hf_registry_secret_set(rr, file, err);
	(void)unlink(file);
	return rc;
}

Test(registry_secret, R4_who_has_it_is_heard)
{
	static const char *const good[] = { "Bearer " RR_SECRET, "bearer " RR_SECRET,
		"BEARER   " RR_SECRET };
	static const char *const bad[] = { NULL, "", "Bearer", "Bearer ", RR_SECRET,
		"Basic " RR_SECRET, "Bearer 0123456789abcdeF", "Bearer 0123456789abcde",
		"Bearer " RR_SECRET "0", "Bearer " RR_SECRET " ", "Bearer\t" RR_SECRET };
	char longer[400] = "Bearer ";

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++)
		cr_expect_eq(rr_ask_as(good[i], "GET", "/v1/origins", ""), 200, "%s", good[i]);
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		cr_expect_eq(rr_ask_as(bad[i], "GET", "/v1/origins", ""), 401, "%s", bad[i]);
		cr_expect_str_eq(rr_answer.field, "WWW-Authenticate");
		cr_expect_null(strstr(rr_body, "0123456"));
		cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_REGISTRY), i + 1);
	}
	memset(longer + 7, 'a', sizeof(longer) - 8);
	cr_expect_eq(rr_ask_as(longer, "GET", "/v1/origins", ""), 401);
}

Test(registry_secret, R4_without_a_file_every_message_is_403)
{
	cr_assert_eq(hf_registry_secret_set(rr, "", NULL), 0);
	cr_expect_eq(rr_ask("GET", "/v1/origins", ""), 403);
	cr_expect(strstr(rr_body, "registry.secret_file: found none: the registry is off"), "%s",
		rr_body);
	cr_expect_eq(rr_ask_as("Bearer ", "GET", "/v1/origins", ""), 403, "nothing is no secret");
	cr_expect_eq(rr_ask_as(NULL, "PUT", "/v1/origins/g/a", "{\"url\":\"http://a\"}"), 403);
}

Test(registry_secret, it_is_the_first_line_of_16_to_256_visible_characters)
{
	char text[300];
	struct hf_err err = { "" };

	memset(text, 'x', sizeof(text));
	cr_expect_eq(set("", 0, &err), -EINVAL);
	cr_expect_eq(set("0123456789abcde\n", 16, &err), -EINVAL);
	cr_expect_eq(set("\n0123456789abcdef\n", 18, &err), -EINVAL);
	cr_expect_eq(set("0123456789 abcdef", 17, &err), -EINVAL);
	cr_expect_eq(set(text, 257, &err), -EINVAL);
	cr_expect(strstr(err.text, "its first line must be of 16 to 256") &&
		  !strstr(err.text, "xxx"));
	cr_expect_eq(hf_registry_secret_set(rr, "/nowhere/secret", &err), -ENOENT);
	cr_expect(strstr(err.text, "registry.secret_file /nowhere/secret: No such file"));
	cr_expect_eq(rr_ask("GET", "/v1/origins", ""), 200, "it is as it was");
	cr_expect_eq(set(text, 256, NULL), 0);
	cr_expect_eq(rr_ask("GET", "/v1/origins", ""), 401);
	cr_expect_eq(set("a-new-secret-of-23-chars\r\nnot this", 34, NULL), 0);
	cr_expect_eq(rr_ask_as("Bearer a-new-secret-of-23-chars", "GET", "/v1/origins", ""), 200);
}
