/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CALL_ANSWER_MAX (16U * 1024 * 1024)

static int call_connect(const char *path, struct hf_err *err, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = CLI_TIMEOUT_S };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return hf_err_set(err, -1, "%s: path too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hf_err_set(err, -1, "socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
		connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int failed = errno;

		(void)close(fd);
		return hf_err_set(err, -1, "%s: %s%s", path, strerror(failed),
			failed == ENOENT || failed == ECONNREFUSED ? "; is holdfastd running?"
			: failed == EACCES ? "; only root and the socket's group may"
					   : "");
	}
	*ret_fd = fd;
	return 0;
}

static int call_send(int fd, const json_t *request, struct hf_err *err)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;
	ssize_t n = 0;

	if (!text)
		return hf_err_set(err, -1, "no memory");
	len = strlen(text);
	text[len] = '\n'; /* in place of the NUL: sent by length */
	while (n >= 0 && done <= len) {
		n = send(fd, text + done, len + 1 - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			n = 0;
		done += n > 0 ? (size_t)n : 0;
	}
	free(text);
	return n < 0 ? hf_err_set(err, -1, "sending: %s", strerror(errno)) : 0;
}

/* Up to the LF that ends the answer. */
static int call_receive(int fd, struct hf_err *err, json_t **ret_answer)
{
	char *text = NULL;
	size_t len = 0, room = 0;
	json_t *answer = NULL;
	int failed = 0;

	while (failed == 0 && (len == 0 || text[len - 1] != '\n')) {
		ssize_t n;

		if (len == room) {
			char *more = room < CALL_ANSWER_MAX
					     ? realloc(text, room = room ? 2 * room : 65536)
					     : NULL;

			if (!more) {
				failed = hf_err_set(err, -1, "answer too large");
				break;
			}
			text = more;
		}
		n = recv(fd, text + len, room - len, 0);
		if (n > 0)
			len += (size_t)n;
		else if (n == 0)
			failed = hf_err_set(err, -1, "the server closed the connection");
		else if (errno == EAGAIN)
			failed = hf_err_set(err, -1, "no answer within %d s", CLI_TIMEOUT_S);
		else if (errno != EINTR)
			failed = hf_err_set(err, -1, "receiving: %s", strerror(errno));
	}
	if (failed == 0) {
		answer = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_boolean(json_object_get(answer, "ok"))) {
			json_decref(answer);
			failed = hf_err_set(err, -1, "what listens there is no holdfastd");
		}
	}
	free(text);
	if (failed == 0)
		*ret_answer = answer;
	return failed;
}

int cli_call(const char *path, const json_t *request, struct hf_err *err, json_t **ret_answer)
{
	int fd = -1, failed = call_connect(path, err, &fd);

	if (failed != 0)
		return failed;
	failed = call_send(fd, request, err);
	if (failed == 0)
		failed = call_receive(fd, err, ret_answer);
	(void)close(fd);
	return failed;
}
