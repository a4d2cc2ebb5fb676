/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_rig.h"

static struct hf_metrics *test_metrics;
static struct hf_admin_resource test_pages[HF_METRICS_RESOURCES];

static void setup(void)
{
	cr_assert_eq(hf_metrics_new(&mr_cfg, NULL, &test_metrics), 0);
	hf_metrics_resources(test_metrics, test_pages);
}

static void teardown(void)
{
	hf_metrics_free(test_metrics);
}

TestSuite(metrics_pages, .init = setup, .fini = teardown);

/* "STATUS TYPE", a blank line and the body. */
static const char *ask(const char *path)
{
	static char text[1 << 20];
	struct hf_admin_request request = { .method = "GET", .path = path };
	struct hf_admin_answer answer = { .type = "text" };

	for (size_t i = 0; i < HF_ARRAY_LEN(test_pages); i++)
		if (strcmp(test_pages[i].path, path) == 0)
			test_pages[i].answer(test_pages[i].arg, &request, &answer);
	(void)snprintf(text, sizeof(text), "%u %s\n\n%.*s", answer.status, answer.type,
		(int)answer.len, answer.body);
	free(answer.body);
	return text;
}

static uint32_t threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	uint32_t count = 0;

	cr_assert(dir);
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count;
}

Test(metrics_pages, M1_without_a_receiver_there_is_no_thread)
{
	struct hf_metrics *second = NULL;
	uint32_t before = threads();

	cr_assert_eq(hf_metrics_new(&mr_cfg, NULL, &second), 0);
	cr_expect_eq(threads(), before);
	hf_metrics_free(second);
}

Test(metrics_pages, metrics_are_prometheus_text)
{
	const char *answer = ask("/metrics");

	cr_expect_eq(strncmp(answer, "200 text/plain; version=0.0.4; charset=utf-8\n", 45), 0,
		"%.80s", answer);
	cr_expect(strstr(answer, "\nholdfast_http_requests_total 0\n"));
}

Test(metrics_pages, health_and_readiness_are_200_or_503_with_the_reason)
{
	cr_expect_str_eq(ask("/healthz"), "200 text\n\nok\n");
	cr_expect_str_eq(ask("/readyz"), "200 text\n\nok\n");
	mr_ready = false;
	cr_expect_str_eq(ask("/readyz"), "503 text\n\nnot ready: the test says so\n");
	cr_expect_str_eq(ask("/healthz"), "200 text\n\nok\n");
	mr_healthy = false;
	cr_expect_str_eq(ask("/healthz"), "503 text\n\nnot healthy: the test says so\n");
}

Test(metrics_pages, the_dashboard_is_a_page)
{
	cr_expect_eq(strncmp(ask("/dashboard"), "200 text/html; charset=utf-8\n\n<!", 32), 0);
}
