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

int cli_connect(const char *path, struct hf_err *err, struct cli_call *ret_call)
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
	*ret_call = (struct cli_call){ .fd = fd };
	return 0;
}

void cli_close(struct cli_call *call)
{
	(void)close(call->fd);
	free(call->text);
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

/* Some bytes more of the answer. */
static int call_more(struct cli_call *call, struct hf_err *err)
{
	ssize_t n;

	if (call->len == call->room) {
		size_t room = call->room ? 2 * call->room : 65536;
		char *text = room <= CALL_ANSWER_MAX ? realloc(call->text, room) : NULL;

		if (!text)
			return hf_err_set(err, -1, "answer too large");
		call->text = text;
		call->room = room;
	}
	do {
		n = recv(call->fd, call->text + call->len, call->room - call->len, 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return hf_err_set(err, -1, "the server closed the connection");
	if (n < 0 && errno == EAGAIN)
		return hf_err_set(err, -1, "no answer within %d s", CLI_TIMEOUT_S);
	if (n < 0)
		return hf_err_set(err, -1, "receiving: %s", strerror(errno));
	call->len += (size_t)n;
	return 0;
}

int cli_next(struct cli_call *call, struct hf_err *err, json_t **ret_line)
{
	size_t looked = 0;
	json_t *line;
	char *end;

	while (call->len == 0 || !(end = memchr(call->text + looked, '\n', call->len - looked))) {
		looked = call->len;
		if (call_more(call, err) != 0)
			return -1;
	}
	line = json_loadb(call->text, (size_t)(end - call->text), JSON_REJECT_DUPLICATES, NULL);
	call->len -= (size_t)(end + 1 - call->text);
	memmove(call->text, end + 1, call->len);
	if (!json_is_object(line)) {
		json_decref(line);
		return hf_err_set(err, -1, "what listens there is no holdfastd");
	}
	*ret_line = line;
	return 0;
}

bool cli_waits(const struct cli_call *call)
{
	char byte;

	return call->len == 0 && recv(call->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

int cli_ask(struct cli_call *call, const json_t *request, struct hf_err *err, json_t **ret_answer)
{
	if (call_send(call->fd, request, err) != 0 || cli_next(call, err, ret_answer) != 0)
		return -1;
	if (json_is_boolean(json_object_get(*ret_answer, "ok")))
		return 0;
	json_decref(*ret_answer);
	return hf_err_set(err, -1, "what listens there is no holdfastd");
}

void cli_patient(const struct cli_call *call)
{
	struct timeval none = { .tv_sec = 0 };

	(void)setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
}
