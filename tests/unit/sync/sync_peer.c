/* SPDX-License-Identifier: BSD-3-Clause */
#include "sync_peer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_base.h"

#define PEER_REQUEST_MAX (512 * 1024)

struct peer {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	char *says[PEER_ASKED_MAX], *asked[PEER_ASKED_MAX];
	uint32_t says_count, asked_count;
};

/* The length of a whole request, or 0. */
static size_t peer_whole(char *buf)
{
	const char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length:");
	size_t need;

	if (!end)
		return 0;
	need = (size_t)(end + 4 - buf) +
	       (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
	return strlen(buf) >= need ? need : 0;
}

/* What the next request gets; the request is kept. */
static const char *peer_next(struct peer *peer, const char *request)
{
	const char *answer = "HTTP/1.1 204 No Content\r\n\r\n";

	(void)pthread_mutex_lock(&peer->lock);
	if (peer->asked_count < PEER_ASKED_MAX) {
		if (peer->asked_count < peer->says_count)
			answer = peer->says[peer->asked_count];
		peer->asked[peer->asked_count++] = strdup(request);
	}
	(void)pthread_mutex_unlock(&peer->lock);
	return answer;
}

/* One connection, until it is to be closed. */
static void peer_serve(struct peer *peer, int fd)
{
	char buf[PEER_REQUEST_MAX];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
		const char *answer;

		len += (size_t)n;
		buf[len] = '\0';
		if (peer_whole(buf) == 0)
			continue;
		answer = peer_next(peer, buf);
		len = 0;
		if (strcmp(answer, PEER_CLOSE) == 0)
			return;
		if (strcmp(answer, PEER_HANG) == 0) {
			(void)!read(fd, buf, 1);
			return;
		}
		for (size_t left = strlen(answer); left > 0; left -= (size_t)n, answer += n) {
			n = send(fd, answer, left, MSG_NOSIGNAL);
			if (n <= 0)
				return;
		}
	}
}

static void *peer_main(void *arg)
{
	struct peer *peer = arg;
	int fd;

	while ((fd = accept(peer->fd, NULL, NULL)) >= 0) {
		peer_serve(peer, fd);
		(void)close(fd);
	}
	return NULL;
}

struct peer *peer_new(void)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	HF_ASSERT(peer);
	(void)pthread_mutex_init(&peer->lock, NULL);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	HF_ASSERT(bind(peer->fd, (struct sockaddr *)&addr, len) == 0);
	HF_ASSERT(listen(peer->fd, 8) == 0);
	HF_ASSERT(getsockname(peer->fd, (struct sockaddr *)&addr, &len) == 0);
	peer->port = ntohs(addr.sin_port);
	HF_ASSERT(pthread_create(&peer->thread, NULL, peer_main, peer) == 0);
	return peer;
}

void peer_free(struct peer *peer)
{
	(void)shutdown(peer->fd, SHUT_RDWR); /* accept returns */
	(void)pthread_join(peer->thread, NULL);
	(void)close(peer->fd);
	for (uint32_t i = 0; i < PEER_ASKED_MAX; i++) {
		free(peer->says[i]);
		free(peer->asked[i]);
	}
	free(peer);
}

uint16_t peer_port(const struct peer *peer)
{
	return peer->port;
}

void peer_says(struct peer *peer, const char *answer)
{
	(void)pthread_mutex_lock(&peer->lock);
	HF_ASSERT(peer->says_count < PEER_ASKED_MAX);
	peer->says[peer->says_count++] = strdup(answer);
	(void)pthread_mutex_unlock(&peer->lock);
}

const char *peer_asked(struct peer *peer, uint32_t i)
{
	const char *asked;

	(void)pthread_mutex_lock(&peer->lock);
	asked = i < PEER_ASKED_MAX ? peer->asked[i] : NULL;
	(void)pthread_mutex_unlock(&peer->lock);
	return asked;
}

uint32_t peer_asked_count(struct peer *peer)
{
	uint32_t count;

	(void)pthread_mutex_lock(&peer->lock);
	count = peer->asked_count;
	(void)pthread_mutex_unlock(&peer->lock);
	return count;
}
