/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "ctl_priv.h"

int ctl_client_open(struct ctl_client *client, int fd)
{
	struct ucred peer = { .pid = -1, .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	char *in = malloc(CTL_LINE_MAX + 1);

	HF_ASSERT(client->fd < 0);
	if (!in)
		return -ENOMEM;
	/* the file's mode already decided who may connect; this is for the log */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	*client = (struct ctl_client){
		.fd = fd,
		.pid = (int)peer.pid,
		.uid = (int)peer.uid,
		.in = in,
	};
	hf_log(HF_LOG_DEBUG, "ctl", "client connected: pid %d, uid %d", client->pid, client->uid);
	return 0;
}

void ctl_client_close(struct ctl_client *client)
{
	(void)close(client->fd);
	ctl_stream_end(client);
	free(client->in);
	free(client->out);
	*client = (struct ctl_client){ .fd = -1 };
}

/* Room for `len` bytes more; what was sent makes way first. */
static bool client_room(struct ctl_client *client, size_t len)
{
	size_t room;
	char *out;

	if (client->out_len + len <= client->out_room)
		return true;
	if (client->out_sent > 0) {
		client->out_len -= client->out_sent;
		memmove(client->out, client->out + client->out_sent, client->out_len);
		client->out_sent = 0;
	}
	if (client->out_len + len <= client->out_room)
		return true;
	room = (size_t)hf_pow2_ceil(client->out_len + len);
	out = realloc(client->out, room);
	if (!out)
		return false;
	client->out = out;
	client->out_room = room;
	return true;
}

static bool client_no_memory(const struct ctl_client *client)
{
	hf_stat_inc(HF_STAT_INTERNAL_ERRORS_MEMORY);
	hf_log(HF_LOG_ERROR, "ctl", "no memory for an answer to pid %d", client->pid);
	return false;
}

bool ctl_client_deaf(const struct ctl_client *client)
{
	hf_stat_inc(HF_STAT_CLIENT_ERRORS_UNREAD);
	hf_log(HF_LOG_WARN, "ctl",
		"client_error: pid %d, uid %d is cut off, it does not read its answers",
		client->pid, client->uid);
	return false;
}

bool ctl_client_queue(struct ctl_client *client, const char *bytes, size_t len)
{
	if (client->out_len - client->out_sent + len > CTL_OUT_MAX)
		return ctl_client_deaf(client);
	if (!client_room(client, len))
		return client_no_memory(client);
	memcpy(client->out + client->out_len, bytes, len);
	client->out_len += len;
	return true;
}

/* Queues the answer and frees it. False: there is none, or the client let too many pile up. */
static bool client_answer(struct ctl_client *client, char *answer)
{
	bool queued = answer ? ctl_client_queue(client, answer, strlen(answer))
			     : client_no_memory(client);

	free(answer);
	return queued;
}

/* One line, LF and CR not in it. Empty lines have no answer. */
static bool client_line(struct hf_ctl *ctl, struct ctl_client *client, const char *line, size_t len)
{
	bool queued;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return true;
	queued = client_answer(client, ctl_cmd_answer(ctl, client, line, len));
	ctl_stream_adopt(ctl, client);
	return queued;
}

/* The rest of a line of which the refusal was sent. */
static void client_skip(struct ctl_client *client)
{
	const char *end = memchr(client->in, '\n', client->in_len);
	size_t gone = end ? (size_t)(end - client->in) + 1 : client->in_len;

	memmove(client->in, client->in + gone, client->in_len - gone);
	client->in_len -= gone;
	client->skipping = !end;
}

static bool client_lines(struct hf_ctl *ctl, struct ctl_client *client)
{
	size_t at = 0;
	bool good = true;

	if (client->skipping)
		client_skip(client);
	for (uint32_t n = 0; good && n < CTL_LINES_TURN && at < client->in_len; n++) {
		const char *line = client->in + at;
		const char *end = memchr(line, '\n', client->in_len - at);

		if (!end && !client->ended)
			break;
		if (!end) /* a last line may do without its LF */
			end = client->in + client->in_len;
		good = client_line(ctl, client, line, (size_t)(end - line));
		at = hf_min_size((size_t)(end - client->in) + 1, client->in_len);
	}
	memmove(client->in, client->in + at, client->in_len - at);
	client->in_len -= at;
	if (good && client->in_len > CTL_LINE_MAX && !memchr(client->in, '\n', client->in_len)) {
		client->in_len = 0;
		client->skipping = true;
		good = client_answer(
			client, ctl_cmd_refusal(client, "line longer than 65536 bytes"));
	}
	return good;
}

static bool client_read(struct ctl_client *client)
{
	ssize_t n;

	if (client->ended || client->in_len == CTL_LINE_MAX + 1)
		return true;
	n = recv(client->fd, client->in + client->in_len, CTL_LINE_MAX + 1 - client->in_len,
		MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->ended = n == 0;
	client->in_len += (size_t)n;
	return true;
}

bool ctl_client_write(struct ctl_client *client)
{
	while (client->out_sent < client->out_len) {
		ssize_t n = send(client->fd, client->out + client->out_sent,
			client->out_len - client->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		client->out_sent += (size_t)n;
		client->taken += (size_t)n;
	}
	/* an answer of megabytes leaves no megabytes behind */
	if (client->out_room > CTL_LINE_MAX) {
		free(client->out);
		client->out = NULL;
		client->out_room = 0;
	}
	client->out_len = 0;
	client->out_sent = 0;
	return true;
}

/* Lines that a turn left over: they make no event by themselves. */
static bool client_has_lines(const struct ctl_client *client)
{
	return client->in_len > 0 &&
	       (client->ended || memchr(client->in, '\n', client->in_len) != NULL);
}

bool ctl_client_work(struct hf_ctl *ctl, struct ctl_client *client)
{
	HF_ASSERT(client->fd >= 0 && client->in_len <= CTL_LINE_MAX + 1);
	if (!client_read(client) || !client_lines(ctl, client) || !ctl_client_write(client))
		return false;
	return !client->ended || client_has_lines(client) || client->out_len > 0 ||
	       client->source.turn;
}

uint32_t ctl_client_events(const struct ctl_client *client)
{
	bool more = client->out_len > 0 || client_has_lines(client);

	/* the end of input is always readable; full of lines, there is no room to read into */
	return (client->ended || client->in_len == CTL_LINE_MAX + 1 ? 0U : (uint32_t)EPOLLIN) |
	       (more ? (uint32_t)EPOLLOUT : 0U);
}
