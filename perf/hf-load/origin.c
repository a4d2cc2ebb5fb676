/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The origin of all objects: one thread, kernel sockets, one request at a time on a connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_list.h"
#include "load.h"

#define ORIGIN_EVENTS  64
#define ORIGIN_WAIT_MS 200
#define ORIGIN_PIECE   16384

struct origin {
	int listener, poll;
	struct hf_list conns;
};

struct origin_conn {
	struct hf_list link;
	int fd;
	uint32_t in_len, out_len, out_at;
	bool writing; /* epoll waits for room */
	uint32_t key, size, body_at;
	char in[4096], out[ORIGIN_PIECE + 256];
};

static int origin_listen(const struct load_opts *opts)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons(opts->target_port) }; /* IPv4 as ::ffff:a.b.c.d */
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -errno;
	memcpy(&address.sin6_addr, opts->target.b, 16);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1024) == 0)
		return fd;
	on = -errno;
	(void)close(fd);
	return on;
}

static void origin_close(struct origin_conn *conn)
{
	(void)close(conn->fd); /* which ends its epoll entry too */
	hf_list_del(&conn->link);
	free(conn);
}

static void origin_accept(struct origin *origin)
{
	int fd, on = 1;

	while ((fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct origin_conn *conn = calloc(1, sizeof(*conn));
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };

		if (!conn || epoll_ctl(origin->poll, EPOLL_CTL_ADD, fd, &event) < 0) {
			(void)close(fd);
			free(conn);
			continue;
		}
		conn->fd = fd;
		hf_list_add_tail(&origin->conns, &conn->link);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
}

/* The next piece to send: head, body. */
static void origin_fill(struct origin_conn *conn)
{
	uint32_t n = hf_min_u32(conn->size - conn->body_at, ORIGIN_PIECE);

	load_body_fill(conn->key, conn->body_at, conn->out + conn->out_len, n);
	conn->out_len += n;
	conn->body_at += n;
}

/* False: the connection is to be closed. */
static bool origin_write(struct origin_conn *conn)
{
	while (conn->out_at < conn->out_len) {
		ssize_t n = send(conn->fd, conn->out + conn->out_at, conn->out_len - conn->out_at,
			MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		conn->out_at += (uint32_t)n;
		if (conn->out_at < conn->out_len)
			continue;
		conn->out_at = conn->out_len = 0;
		origin_fill(conn);
	}
	return true;
}

/* The first line's path is all that counts. */
static bool origin_request(struct origin_conn *conn)
{
	char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4), path[sizeof(LOAD_PATH) + 1];
	uint32_t len;
	bool found;

	if (!end)
		return conn->in_len < sizeof(conn->in);
	len = (uint32_t)(end + 4 - conn->in);
	found = sscanf(conn->in, "GET %24s HTTP/1.1\r\n", path) == 1 &&
		load_path_read(path, &conn->key, &conn->size);
	conn->in_len -= len;
	memmove(conn->in, conn->in + len, conn->in_len);
	conn->body_at = 0;
	if (!found)
		conn->size = 0;
	conn->out_len = (uint32_t)snprintf(conn->out, sizeof(conn->out),
		"HTTP/1.1 %s\r\nContent-Length: %u\r\nCache-Control: max-age=86400\r\n\r\n",
		found ? "200 OK" : "404 Not Found", conn->size);
	origin_fill(conn);
	return true;
}

static bool origin_read(struct origin_conn *conn)
{
	ssize_t n = recv(conn->fd, conn->in + conn->in_len, sizeof(conn->in) - conn->in_len - 1, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	conn->in_len += (uint32_t)n;
	conn->in[conn->in_len] = '\0';
	return n > 0;
}

static void origin_turn(struct origin *origin, struct origin_conn *conn)
{
	bool on = conn->writing || origin_read(conn), writing;

	if (on && conn->out_len == 0)
		on = origin_request(conn);
	while (on && conn->out_len > 0) {
		on = origin_write(conn);
		if (conn->out_len > 0)
			break;
		if (on)
			on = origin_request(conn);
	}
	if (!on) {
		origin_close(conn);
		return;
	}
	writing = conn->out_len > 0;
	if (writing != conn->writing) {
		struct epoll_event event = { .events = writing ? EPOLLOUT : EPOLLIN,
			.data.ptr = conn };

		(void)epoll_ctl(origin->poll, EPOLL_CTL_MOD, conn->fd, &event);
		conn->writing = writing;
	}
}

static void origin_free(struct origin *origin)
{
	while (!hf_list_empty(&origin->conns))
		origin_close(
			HF_CONTAINER_OF(hf_list_first(&origin->conns), struct origin_conn, link));
	if (origin->listener >= 0)
		(void)close(origin->listener);
	if (origin->poll >= 0)
		(void)close(origin->poll);
}

static int origin_new(const struct load_opts *opts, struct origin *origin)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	hf_list_init(&origin->conns);
	origin->poll = epoll_create1(EPOLL_CLOEXEC);
	origin->listener = origin_listen(opts);
	if (origin->listener < 0)
		return origin->listener;
	if (origin->poll < 0 ||
		epoll_ctl(origin->poll, EPOLL_CTL_ADD, origin->listener, &event) < 0)
		return -errno;
	return 0;
}

int load_origin_run(const struct load_opts *opts, const volatile bool *stop)
{
	struct epoll_event events[ORIGIN_EVENTS];
	struct origin origin;
	int rc = origin_new(opts, &origin);

	if (rc < 0)
		(void)fprintf(
			stderr, "hf-load: --origin: cannot listen there: %s\n", strerror(-rc));
	else
		(void)fputs("hf-load: ready\n", stderr);
	while (rc == 0 && !*stop) {
		int n = epoll_wait(origin.poll, events, ORIGIN_EVENTS, ORIGIN_WAIT_MS);

		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				origin_accept(&origin);
			else
				origin_turn(&origin, events[i].data.ptr);
		}
	}
	origin_free(&origin);
	return rc;
}
