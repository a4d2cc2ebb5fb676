/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics_rig.h"

static uint16_t test_port;

/* An address of 127/8, so that clients may differ. */
static int test_connect(uint8_t from)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(test_port) }, own = to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from);
	own.sin_port = 0;
	cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static struct hf_metrics *test_begin(void)
{
	struct hf_metrics *metrics = NULL;
	struct hf_err err = { "" };

	test_port = mr_free_port();
	MR_SET(mr_listen, "127.0.0.1:%u", test_port);
	cr_assert_eq(hf_metrics_new(&mr_cfg, &err, &metrics), 0, "%s", err.text);
	return metrics;
}

/* All that comes until the end. */
static const char *test_read(int fd)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	(void)close(fd);
	return text;
}

static const char *test_raw(const char *request)
{
	int fd = test_connect(0);

	cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	return test_read(fd);
}

/* The answer to METHOD PATH, head and all. */
static const char *test_ask(const char *method, const char *path)
{
	char request[256];

	(void)snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
	return test_raw(request);
}

static bool test_status(const char *answer, const char *status)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 && strncmp(answer + 9, status, 3) == 0;
}

static uint32_t test_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	uint32_t count = 0;

	cr_assert(dir);
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count;
}

Test(metrics_admin, M1_without_an_address_there_is_no_thread)
{
	struct hf_metrics *metrics = NULL;
	uint32_t before = test_threads();

	cr_assert_eq(hf_metrics_new(&mr_cfg, NULL, &metrics), 0);
	cr_expect_eq(test_threads(), before);
	hf_metrics_free(metrics);
	metrics = test_begin();
	cr_expect_eq(test_threads(), before + 1);
	hf_metrics_free(metrics);
}

Test(metrics_admin, metrics_are_there_for_get_and_head)
{
	struct hf_metrics *metrics = test_begin();
	const char *answer = test_ask("GET", "/metrics?x=y");

	cr_expect(test_status(answer, "200"), "%.80s", answer);
	cr_expect(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	cr_expect(strstr(answer, "\nholdfast_http_requests_total 0\n"));
	answer = test_ask("HEAD", "/metrics");
	cr_expect(test_status(answer, "200"), "%.80s", answer);
	cr_expect_null(strstr(answer, "holdfast_http_requests_total"));
	/* its own thread counts, too */
	cr_expect(strstr(test_ask("GET", "/metrics"), "\nholdfast_admin_requests_total 3\n"));
	hf_metrics_free(metrics);
}

Test(metrics_admin, health_and_readiness_are_200_or_503_with_the_reason)
{
	struct hf_metrics *metrics = test_begin();
	const char *answer;

	cr_expect(test_status(test_ask("GET", "/healthz"), "200"));
	cr_expect(test_status(test_ask("GET", "/readyz"), "200"));
	mr_ready = false;
	answer = test_ask("GET", "/readyz");
	cr_expect(test_status(answer, "503"));
	cr_expect(strstr(answer, "\r\n\r\nnot ready: the test says so\n"), "%s", answer);
	cr_expect(test_status(test_ask("GET", "/healthz"), "200"));
	mr_healthy = false;
	answer = test_ask("GET", "/healthz");
	cr_expect(test_status(answer, "503"));
	cr_expect(strstr(answer, "\r\n\r\nnot healthy: the test says so\n"), "%s", answer);
	hf_metrics_free(metrics);
}

Test(metrics_admin, other_paths_are_404_other_methods_405)
{
	struct hf_metrics *metrics = test_begin();
	static const char *const paths[] = { "/", "/metrics/", "/Metrics", "/metrics%00",
		"/../metrics", "//metrics" };
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH",
		"GETX" };

	for (size_t i = 0; i < HF_ARRAY_LEN(paths); i++)
		cr_expect(test_status(test_ask("GET", paths[i]), "404"), "%s", paths[i]);
	for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
		const char *answer = test_ask(methods[i], "/metrics");

		cr_expect(test_status(answer, "405"), "%s: %.80s", methods[i], answer);
		cr_expect(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	}
	hf_metrics_free(metrics);
}

Test(metrics_admin, a_body_is_refused_before_it_comes)
{
	struct hf_metrics *metrics = test_begin();

	cr_expect(test_status(test_raw("GET /metrics HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 100000000000\r\n\r\n"),
		"413"));
	cr_expect(test_status(test_raw("HEAD /readyz HTTP/1.1\r\nHost: x\r\n"
				       "Transfer-Encoding: chunked\r\n\r\n"),
		"413"));
	cr_expect(test_status(test_raw("POST /metrics HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 7\r\n\r\nGET / H"),
		"405"));
	cr_expect(test_status(test_raw("PUT /v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				       "Content-Length: 100000000000\r\n\r\n"),
		"404"));
	hf_metrics_free(metrics);
}

Test(metrics_admin, M2_a_head_that_is_too_long_is_refused)
{
	struct hf_metrics *metrics = test_begin();
	char request[40000];
	int len = snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\nHost: ");
	const char *answer;

	memset(request + len, 'x', 30000);
	(void)snprintf(request + len + 30000, 100, "\r\n\r\n");
	answer = test_raw(request);
	cr_expect(*answer == '\0' || test_status(answer, "431") || test_status(answer, "414") ||
			  test_status(answer, "413"),
		"%.80s", answer);
	cr_expect(test_status(test_ask("GET", "/healthz"), "200"));
	hf_metrics_free(metrics);
}

/* COUNT connections that ask for metrics and never read; the first CUT of them are cut in the end. */
static void test_stall(uint32_t count, uint32_t cut, bool many_addresses)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[100], little = 2048;

	for (uint32_t i = 0; i < count; i++) {
		fds[i] = test_connect(many_addresses ? (uint8_t)(1 + i % 20) : 1);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
		(void)send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL);
		cr_expect(test_status(test_ask("GET", "/healthz"), "200"), "after %u", i);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct pollfd wait = { .fd = fds[i], .events = POLLRDHUP };

		if (i < cut)
			cr_expect_gt(poll(&wait, 1, 10000), 0, "%u is not cut", i);
		(void)close(fds[i]);
	}
}

Test(metrics_admin, M2_who_never_reads_keeps_nobody_out)
{
	struct hf_metrics *metrics = test_begin();

	test_stall(50, 50 - 32, /* many_addresses= */ false);
	test_stall(100, 100 - 64, /* many_addresses= */ true);
	cr_expect_geq(hf_stat_sum(HF_STAT_ADMIN_SHED), 18 + 36);
	hf_metrics_free(metrics);
}

Test(metrics_admin, who_comes_back_with_requests_is_not_the_one_that_is_cut)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	struct hf_metrics *metrics = test_begin();
	int regular = test_connect(1), fds[80];
	char answer[1000];

	for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++) {
		fds[i] = test_connect(1);
		(void)send(regular, request, sizeof(request) - 1, MSG_NOSIGNAL);
		cr_assert_gt(read(regular, answer, sizeof(answer)), 0, "%zu", i);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	(void)close(regular);
	hf_metrics_free(metrics);
}

Test(metrics_admin, an_address_that_somebody_has_is_an_error_that_names_it)
{
	struct hf_metrics *metrics = test_begin(), *second = NULL;
	struct hf_err err = { "" };

	cr_expect_eq(hf_metrics_new(&mr_cfg, &err, &second), -EADDRINUSE);
	cr_expect(strstr(err.text, "metrics.listen 127.0.0.1:"), "%s", err.text);
	hf_metrics_free(metrics);
}
