/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "ctl_priv.h"

static int sock_address(const char *path, struct sockaddr_un *ret_address, struct hf_err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(address.sun_path))
		return hf_err_set(err, -ENAMETOOLONG, "socket path of %zu bytes; allowed: 1 to %zu",
			len, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len + 1);
	*ret_address = address;
	return 0;
}

/* Only the last directory: /run/holdfast after a boot. */
static void sock_make_parent(const char *path)
{
	char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (slash && slash != parent) {
		*slash = '\0';
		(void)mkdir(parent, 0755); /* if this fails, bind says why */
	}
	free(parent);
}

/* Removes the socket file of a process that is gone. */
static int sock_clear_stale(const struct sockaddr_un *address, struct hf_err *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd, failed;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0
				       : hf_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return hf_err_set(err, -EEXIST, "%s is there already and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return hf_err_set(err, -errno, "socket: %s", strerror(errno));
	failed = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	(void)close(fd);
	if (failed == ENOENT)
		return 0;
	if (failed != ECONNREFUSED)
		return hf_err_set(err, -EADDRINUSE,
			"%s: already running, another process listens there", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return hf_err_set(err, -errno, "%s: cannot remove it: %s", path, strerror(errno));
	return 0;
}

static void sock_set_group(const char *path, const char *group)
{
	const struct group *entry = *group ? getgrnam(group) : NULL;

	if (*group && !entry)
		hf_log(HF_LOG_INFO, "ctl", "no group %s on this machine, %s keeps its group", group,
			path);
	else if (entry && lchown(path, (uid_t)-1, entry->gr_gid) != 0)
		hf_log(HF_LOG_WARN, "ctl", "%s: cannot give it to group %s: %s", path, group,
			strerror(errno));
}

static int sock_bind(struct hf_ctl *ctl, const struct sockaddr_un *address, uint32_t mode,
	const char *group, struct hf_err *err)
{
	const char *path = address->sun_path;
	mode_t mask = umask(0177); /* nobody else connects before mode and group are set */
	int failed = bind(ctl->listen_fd, (const struct sockaddr *)address, sizeof(*address)) == 0
			     ? 0
			     : errno;
	struct stat st;

	(void)umask(mask);
	if (failed != 0)
		return hf_err_set(err, -failed, "%s: cannot bind: %s", path, strerror(failed));
	if (lstat(path, &st) != 0)
		return hf_err_set(err, -errno, "%s: %s", path, strerror(errno));
	ctl->device = st.st_dev;
	ctl->inode = st.st_ino;
	sock_set_group(path, group);
	if (chmod(path, mode) != 0 || listen(ctl->listen_fd, CTL_CLIENTS_MAX) != 0)
		return hf_err_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int sock_watch(struct hf_ctl *ctl, int op, int fd, uint32_t events, uint64_t who)
{
	struct epoll_event event = { .events = events, .data.u64 = who };

	return epoll_ctl(ctl->epoll_fd, op, fd, &event) == 0 ? 0 : -errno;
}

static int sock_open(struct hf_ctl *ctl, const char *socket_path, uint32_t mode, const char *group,
	struct hf_err *err)
{
	struct sockaddr_un address;
	int failed = sock_address(socket_path, &address, err);

	if (failed != 0)
		return failed;
	ctl->path = strdup(socket_path);
	if (!ctl->path)
		return hf_err_set(err, -ENOMEM, "no memory");
	ctl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ctl->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ctl->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ctl->epoll_fd < 0 || ctl->listen_fd < 0 || ctl->spare_fd < 0)
		return hf_err_set(err, -errno, "socket: %s", strerror(errno));
	sock_make_parent(socket_path);
	failed = sock_clear_stale(&address, err);
	if (failed == 0)
		failed = sock_bind(ctl, &address, mode, group, err);
	if (failed != 0)
		return failed;
	failed = sock_watch(ctl, EPOLL_CTL_ADD, ctl->listen_fd, EPOLLIN, CTL_CLIENTS_MAX);
	return failed == 0 ? 0 : hf_err_set(err, failed, "epoll: %s", strerror(-failed));
}

int hf_ctl_new(const char *socket_path, uint32_t mode, const char *group, hf_ctl_fn fn, void *app,
	struct hf_err *err, struct hf_ctl **ret_ctl)
{
	struct hf_ctl *ctl = calloc(1, sizeof(*ctl));
	int failed;

	HF_ASSERT(socket_path && group && fn && ret_ctl);
	if (!ctl)
		return hf_err_set(err, -ENOMEM, "no memory");
	ctl->epoll_fd = -1;
	ctl->listen_fd = -1;
	ctl->spare_fd = -1;
	ctl->fn = fn;
	ctl->app = app;
	for (uint32_t i = 0; i < CTL_CLIENTS_MAX; i++)
		ctl->client[i].fd = -1;
	failed = sock_open(ctl, socket_path, mode, group, err);
	if (failed != 0) {
		hf_ctl_free(ctl);
		return failed;
	}
	*ret_ctl = ctl;
	return 0;
}

int hf_ctl_fd(const struct hf_ctl *ctl)
{
	return ctl->epoll_fd;
}

static void sock_refuse(int fd, const char *message)
{
	struct ctl_client nobody = { .pid = -1, .uid = -1 };
	char *answer = ctl_cmd_refusal(&nobody, message);

	if (answer)
		(void)!send(fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
	free(answer);
	(void)close(fd);
}

/* Out of descriptors: the client that waits is sent away, else epoll would report it for ever. */
static void sock_shed(struct hf_ctl *ctl)
{
	int fd;

	hf_log(HF_LOG_WARN, "ctl", "no descriptor left for another client");
	if (ctl->spare_fd >= 0)
		(void)close(ctl->spare_fd);
	fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	ctl->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void sock_accept(struct hf_ctl *ctl)
{
	int fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	uint32_t i = 0;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		sock_shed(ctl);
		return;
	}
	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			hf_log(HF_LOG_WARN, "ctl", "accept: %s", strerror(errno));
		return;
	}
	while (i < CTL_CLIENTS_MAX && ctl->client[i].fd >= 0)
		i++;
	if (i == CTL_CLIENTS_MAX) {
		sock_refuse(fd, "64 clients are connected already");
		return;
	}
	if (ctl_client_open(&ctl->client[i], fd) != 0) {
		sock_refuse(fd, "no memory for another client");
		return;
	}
	ctl->client[i].events = EPOLLIN;
	if (sock_watch(ctl, EPOLL_CTL_ADD, fd, EPOLLIN, i) != 0) {
		ctl_client_close(&ctl->client[i]);
		return;
	}
	ctl->client_count++;
}

static void sock_close(struct hf_ctl *ctl, struct ctl_client *client)
{
	ctl_client_close(client);
	ctl->client_count--;
}

static void sock_want(struct hf_ctl *ctl, uint32_t i)
{
	struct ctl_client *client = &ctl->client[i];
	uint32_t wanted = ctl_client_events(client);

	if (wanted == client->events)
		return;
	client->events = wanted;
	HF_ASSERT(sock_watch(ctl, EPOLL_CTL_MOD, client->fd, wanted, i) == 0);
}

static void sock_client(struct hf_ctl *ctl, uint32_t i, uint32_t events)
{
	struct ctl_client *client = &ctl->client[i];
	/* both directions closed: nobody reads an answer */
	bool gone = (events & EPOLLHUP) && !(events & EPOLLIN);

	if (gone || !ctl_client_work(ctl, client))
		sock_close(ctl, client);
	else
		sock_want(ctl, i);
}

void hf_ctl_tick(struct hf_ctl *ctl)
{
	for (uint32_t i = 0; i < CTL_CLIENTS_MAX; i++) {
		struct ctl_client *client = &ctl->client[i];

		if (client->fd < 0 || !client->source.turn)
			continue;
		if (ctl_stream_turn(client))
			sock_want(ctl, i);
		else
			sock_close(ctl, client);
	}
}

void hf_ctl_work(struct hf_ctl *ctl)
{
	struct epoll_event events[CTL_CLIENTS_MAX + 1];
	int n = epoll_wait(ctl->epoll_fd, events, CTL_CLIENTS_MAX + 1, 0);

	/* clients first: a place that is freed now is not yet someone else's */
	for (int i = 0; i < n; i++)
		if (events[i].data.u64 < CTL_CLIENTS_MAX)
			sock_client(ctl, (uint32_t)events[i].data.u64, events[i].events);
	for (int i = 0; i < n; i++)
		if (events[i].data.u64 == CTL_CLIENTS_MAX)
			sock_accept(ctl);
}

void hf_ctl_free(struct hf_ctl *ctl)
{
	struct stat st;

	if (!ctl)
		return;
	for (uint32_t i = 0; i < CTL_CLIENTS_MAX; i++)
		if (ctl->client[i].fd >= 0)
			ctl_client_close(&ctl->client[i]);
	if (ctl->inode != 0 && lstat(ctl->path, &st) == 0 && st.st_dev == ctl->device &&
		st.st_ino == ctl->inode)
		(void)unlink(ctl->path);
	if (ctl->listen_fd >= 0)
		(void)close(ctl->listen_fd);
	if (ctl->epoll_fd >= 0)
		(void)close(ctl->epoll_fd);
	if (ctl->spare_fd >= 0)
		(void)close(ctl->spare_fd);
	free(ctl->path);
	free(ctl);
}
