/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a client of the Unix socket sends, in two pieces: each answer is one line of JSON that says
 * whether it went well. Needs: ctl.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_log.h"

#include "ctl_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *command(
	void *app, enum hf_ctl_cmd cmd, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	HF_ASSERT(cmd < HF_CTL_COUNT && json_is_object(args));
	if (cmd == HF_CTL_PURGE)
		return json_pack("{s:O}", "url", json_object_get(args, "url"));
	*ret_internal = cmd == HF_CTL_LCORES;
	(void)hf_err_set(err, -1, "refused");
	return NULL;
}

static void check_line(const char *line, size_t len)
{
	json_t *answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *ok = json_object_get(answer, "ok");

	HF_ASSERT(json_is_boolean(ok) && json_object_size(answer) == 3);
	HF_ASSERT(json_is_object(json_object_get(answer, json_is_true(ok) ? "result" : "error")));
	json_decref(answer);
}

/* Whole lines, all of them. */
static void check_answers(int fd)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, text + len, sizeof(text) - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	HF_ASSERT(len < sizeof(text) && (len == 0 || text[len - 1] == '\n'));
	for (const char *at = text; at < text + len;) {
		const char *end = memchr(at, '\n', (size_t)(text + len - at));

		check_line(at, (size_t)(end - at));
		at = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hf_ctl ctl = { .fn = command };
	struct ctl_client client = { .fd = -1 };
	size_t cut = size > 0 ? data[0] % size : 0;
	int fd[2];
	bool open = true;

	if (size >
		8192) /* answers must fit the socket's buffer, the size of lines is a unit test's */
		return 0;
	hf_log_level_set(HF_LOG_ERROR);
	HF_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	HF_ASSERT(ctl_client_open(&client, fd[0]) == 0);
	HF_ASSERT(cut == 0 || send(fd[1], data, cut, 0) == (ssize_t)cut);
	for (int i = 0; i < 2 && open; i++)
		open = ctl_client_work(&ctl, &client);
	HF_ASSERT(cut == size || send(fd[1], data + cut, size - cut, 0) == (ssize_t)(size - cut));
	HF_ASSERT(shutdown(fd[1], SHUT_WR) == 0);
	for (int i = 0; i < 10000 && open; i++) {
		open = ctl_client_work(&ctl, &client);
		check_answers(fd[1]);
	}
	HF_ASSERT(!open);
	ctl_client_close(&client);
	(void)close(fd[1]);
	return 0;
}
