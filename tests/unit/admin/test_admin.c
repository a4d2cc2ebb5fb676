/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin_priv.h"
#include "hf_stat.h"

static uint16_t test_port;
static char test_seen[256]; /* of the last request that /deep answered */

/* More than a socket's buffers hold. */
static void test_on_page(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	ret_answer->status = 200;
	ret_answer->len = 300000;
	ret_answer->body = calloc(1, ret_answer->len);
	memset(ret_answer->body, 'p', ret_answer->len);
}

static void test_on_deep_head(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	if (!request->authorization)
		ret_answer->status = 401;
}

static void test_on_deep(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	(void)snprintf(test_seen, sizeof(test_seen), "%s %s %s%s%.*s", request->method,
		request->path, request->has_query ? "query " : "",
		request->too_large ? "too large " : "", (int)request->body.len, request->body.ptr);
	cr_expect_str_eq(request->authorization, "Bearer x");
	cr_expect_eq(strncmp(request->peer, "127.0.0.1:", 10), 0);
	ret_answer->status = request->too_large ? 413 : 204;
	ret_answer->field = "X-Test";
	ret_answer->value = "1";
}

static void test_on_later(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	ret_answer->status = 201;
	ret_answer->body = strdup("said");
	ret_answer->len = 4;
	ret_answer->due = 7;
}

static void test_on_released(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *answer)
{
	cr_expect_str_eq(request->path, "/later");
	memcpy(answer->body, "done", 4);
}

static const struct hf_admin_resource test_resources[] = {
	{ .path = "/page", .answer = test_on_page },
	{ .path = "/deep",
		.below = true,
		.any_method = true,
		.body_max = 16,
		.head = test_on_deep_head,
		.answer = test_on_deep },
	{ .path = "/later", .answer = test_on_later, .released = test_on_released },
};

/* A port of 127.0.0.1 that nobody has. */
static uint16_t test_free_port(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&to, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	(void)close(fd);
	return ntohs(to.sin_port);
}

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

static int test_listen(const char *address, struct hf_err *err, struct hf_admin **ret_admin)
{
	struct hf_admin_cfg cfg = { .listen = address,
		.resource = test_resources,
		.resource_count = HF_ARRAY_LEN(test_resources) };

	return hf_admin_new(&cfg, err, ret_admin);
}

static const char *test_address(void)
{
	static char address[32];

	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", test_port);
	return address;
}

static struct hf_admin *test_begin(void)
{
	struct hf_admin *admin = NULL;
	struct hf_err err = { "" };

	test_port = test_free_port();
	cr_assert_eq(test_listen(test_address(), &err, &admin), 0, "%s", err.text);
	return admin;
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

Test(admin, A1_without_an_address_there_is_no_thread)
{
	struct hf_admin *admin = NULL;
	uint32_t before = test_threads();

	cr_assert_eq(test_listen("", NULL, &admin), 0);
	cr_expect_eq(test_threads(), before);
	hf_admin_free(admin);
	admin = test_begin();
	cr_expect_eq(test_threads(), before + 1);
	hf_admin_free(admin);
}

Test(admin, a_page_is_there_for_get_and_head)
{
	struct hf_admin *admin = test_begin();
	const char *answer = test_ask("GET", "/page?x=y");

	cr_expect(test_status(answer, "200"), "%.80s", answer);
	cr_expect(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
	cr_expect(strstr(answer, "\r\n\r\npppp"));
	answer = test_ask("HEAD", "/page");
	cr_expect(test_status(answer, "200"), "%.80s", answer);
	cr_expect_null(strstr(answer, "pppp"));
	cr_expect_eq(hf_stat_sum(HF_STAT_ADMIN_REQUESTS), 2);
	hf_admin_free(admin);
}

Test(admin, what_is_below_a_path_and_any_method_if_the_resource_says_so)
{
	struct hf_admin *admin = test_begin();
#define DEEP(head, rest)                                                                           \
	head " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nConnection: close\r\n" rest
	const char *answer = test_raw(DEEP("PATCH /deep/a%2F/b?q", "\r\n"));

	cr_expect(test_status(answer, "204"), "%.80s", answer);
	cr_expect(strstr(answer, "\r\nX-Test: 1\r\n"));
	cr_expect_str_eq(test_seen, "PATCH /deep/a%2F/b query ");
	cr_expect(test_status(test_raw(DEEP("GET /deep", "\r\n")), "204"));
	cr_expect_str_eq(test_seen, "GET /deep ");
	cr_expect(test_status(test_raw(DEEP("GET /deeper", "\r\n")), "404"));
	hf_admin_free(admin);
}

Test(admin, A2_a_body_is_whole_or_too_large)
{
	static const struct {
		const char *request, *seen;
	} tries[] = {
		{ DEEP("PUT /deep", "Content-Length: 16\r\n\r\n0123456789abcdef"),
			"PUT /deep 0123456789abcdef" },
		{ DEEP("PUT /deep", "Transfer-Encoding: chunked\r\n\r\n"
				    "8\r\n01234567\r\n8\r\n89abcdef\r\n0\r\n\r\n"),
			"PUT /deep 0123456789abcdef" },
		{ DEEP("PUT /deep", "Content-Length: 17\r\n\r\n"), "PUT /deep too large " },
		{ DEEP("PUT /deep", "Transfer-Encoding: chunked\r\n\r\n"
				    "10\r\n0123456789abcdef\r\n1\r\ng\r\n0\r\n\r\n"),
			"PUT /deep too large " },
	};
	struct hf_admin *admin = test_begin();

	for (size_t i = 0; i < HF_ARRAY_LEN(tries); i++) {
		const char *answer = test_raw(tries[i].request);

		cr_expect(test_status(answer, i < 2 ? "204" : "413"), "%zu: %.80s", i, answer);
		cr_expect_str_eq(test_seen, tries[i].seen, "%zu: %s", i, test_seen);
	}
	hf_admin_free(admin);
}

Test(admin, A2_an_endless_body_is_cut)
{
	static const char head[] = DEEP("PUT /deep", "Transfer-Encoding: chunked\r\n\r\n");
	static char chunk[8 + 65536 + 2] = "010000\r\n";
	struct hf_admin *admin = test_begin();
	int fd = test_connect(0), sent = 0;

	memset(chunk + 8, 'x', 65536);
	memcpy(chunk + 8 + 65536, "\r\n", 2);
	(void)send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL);
	while (sent < 1000 && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
		sent++;
	cr_expect_lt(sent, 1000);
	(void)close(fd);
	hf_admin_free(admin);
}

Test(admin, A3_what_the_head_refuses_has_no_body_to_wait_for)
{
	struct hf_admin *admin = test_begin();

	test_seen[0] = '\0';
	cr_expect(test_status(test_raw("PUT /deep/a HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 10\r\n\r\n"),
		"401"));
	cr_expect(test_status(test_raw("PUT /deep/a HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\n"
				       "Authorization: b\r\nContent-Length: 10\r\n\r\n"),
			  "401"),
		"two are none");
	cr_expect_str_empty(test_seen);
	hf_admin_free(admin);
}

Test(admin, A4_other_paths_are_404_other_methods_405)
{
	struct hf_admin *admin = test_begin();
	static const char *const paths[] = { "/", "/page/", "/Page", "/page%00", "/../page",
		"//page" };
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH",
		"GETX" };

	for (size_t i = 0; i < HF_ARRAY_LEN(paths); i++)
		cr_expect(test_status(test_ask("GET", paths[i]), "404"), "%s", paths[i]);
	cr_expect(strstr(test_ask("GET", "/"), "\r\n\r\npath: found another one; allowed: "));
	for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
		const char *answer = test_ask(methods[i], "/page");

		cr_expect(test_status(answer, "405"), "%s: %.80s", methods[i], answer);
		cr_expect(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
		cr_expect(strstr(answer, "\r\n\r\nmethod: found another one; allowed: GET, HEAD"));
	}
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_ADMIN),
		HF_ARRAY_LEN(paths) + HF_ARRAY_LEN(methods) + 1);
	hf_admin_free(admin);
}

Test(admin, a_body_is_refused_before_it_comes)
{
	struct hf_admin *admin = test_begin();

	cr_expect(test_status(test_raw("GET /page HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 100000000000\r\n\r\n"),
		"413"));
	cr_expect(test_status(test_raw("HEAD /page HTTP/1.1\r\nHost: x\r\n"
				       "Transfer-Encoding: chunked\r\n\r\n"),
		"413"));
	cr_expect(test_status(test_raw("POST /page HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 7\r\n\r\nGET / H"),
		"405"));
	cr_expect(test_status(test_raw("PUT /v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				       "Content-Length: 100000000000\r\n\r\n"),
		"404"));
	hf_admin_free(admin);
}

Test(admin, A2_a_head_that_is_too_long_is_refused)
{
	struct hf_admin *admin = test_begin();
	char request[40000];
	int len = snprintf(request, sizeof(request), "GET /page HTTP/1.1\r\nHost: ");
	const char *answer;

	memset(request + len, 'x', 30000);
	(void)snprintf(request + len + 30000, 100, "\r\n\r\n");
	answer = test_raw(request);
	cr_expect(*answer == '\0' || test_status(answer, "431") || test_status(answer, "414") ||
			  test_status(answer, "413"),
		"%.80s", answer);
	cr_expect(test_status(test_ask("GET", "/page"), "200"));
	hf_admin_free(admin);
}

/* COUNT connections that ask for metrics and never read; the first CUT of them are cut in the end. */
static void test_stall(uint32_t count, uint32_t cut, bool many_addresses)
{
	static const char request[] = "GET /page HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[100], little = 2048;

	for (uint32_t i = 0; i < count; i++) {
		fds[i] = test_connect(many_addresses ? (uint8_t)(1 + i % 20) : 1);
		(void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
		(void)send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL);
		cr_expect(test_status(test_ask("GET", "/page"), "200"), "after %u", i);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct pollfd wait = { .fd = fds[i], .events = POLLRDHUP };

		if (i < cut)
			cr_expect_gt(poll(&wait, 1, 10000), 0, "%u is not cut", i);
		(void)close(fds[i]);
	}
}

Test(admin, A2_who_never_reads_keeps_nobody_out)
{
	struct hf_admin *admin = test_begin();

	test_stall(50, 50 - 32, /* many_addresses= */ false);
	test_stall(100, 100 - 64, /* many_addresses= */ true);
	cr_expect_geq(hf_stat_sum(HF_STAT_ADMIN_SHED), 18 + 36);
	hf_admin_free(admin);
}

Test(admin, who_comes_back_with_requests_is_not_the_one_that_is_cut)
{
	static const char request[] = "GET /page HTTP/1.1\r\nHost: x\r\n\r\n";
	struct hf_admin *admin = test_begin();
	int regular = test_connect(1), fds[80];
	char answer[400000];

	for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++) {
		fds[i] = test_connect(1);
		(void)send(regular, request, sizeof(request) - 1, MSG_NOSIGNAL);
		cr_assert_gt(read(regular, answer, sizeof(answer)), 0, "%zu", i);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	(void)close(regular);
	hf_admin_free(admin);
}

/* A request whose answer is held. */
static int test_held(struct hf_admin *admin)
{
	static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int fd = test_connect(0);
	bool held = false;

	cr_assert_eq(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	while (!held) {
		(void)usleep(1000);
		(void)pthread_mutex_lock(&admin->held_lock);
		held = !hf_list_empty(&admin->held);
		(void)pthread_mutex_unlock(&admin->held_lock);
	}
	return fd;
}

static bool test_is_silent(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) == 0;
}

Test(admin, A5_an_answer_that_is_held_goes_when_it_is_due_and_others_do_not_wait)
{
	struct hf_admin *admin = test_begin();
	int fd = test_held(admin);
	const char *answer;

	cr_expect(test_status(test_ask("GET", "/page"), "200"));
	hf_admin_release(admin, 6, hf_clock_us());
	cr_expect(test_status(test_ask("GET", "/page"), "200"));
	cr_expect(test_is_silent(fd));
	hf_admin_release(admin, 7, hf_clock_us());
	answer = test_read(fd);
	cr_expect(test_status(answer, "201"), "%.80s", answer);
	cr_expect(strstr(answer, "\r\n\r\ndone"), "%s", answer);
	cr_expect(hf_list_empty(&admin->held));
	hf_admin_free(admin);
}

Test(admin, A5_it_goes_after_a_second_whatever_is_due)
{
	struct hf_admin *admin = test_begin();
	int fd = test_held(admin);

	hf_admin_release(admin, 0, hf_clock_us() + HF_ADMIN_HOLD_US);
	cr_expect(test_status(test_read(fd), "201"));
	hf_admin_free(admin);
}

Test(admin, A5_who_leaves_while_it_is_held_and_the_listener_s_end_leave_nothing)
{
	struct hf_admin *admin = test_begin();
	int fd = test_held(admin);

	(void)close(fd);
	hf_admin_release(admin, 7, hf_clock_us());
	fd = test_held(admin);
	hf_admin_free(admin);
	(void)close(fd);
}

Test(admin, an_address_that_somebody_has_is_an_error_that_names_it)
{
	struct hf_admin *admin = test_begin(), *second = NULL;
	struct hf_err err = { "" };

	cr_expect_eq(test_listen(test_address(), &err, &second), -EADDRINUSE);
	cr_expect(strstr(err.text, "metrics.listen 127.0.0.1:"), "%s", err.text);
	hf_admin_free(admin);
}
