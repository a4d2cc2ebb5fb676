/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A real redis-server on loopback.
 */
#ifndef L2_RIG_REDIS_H
#define L2_RIG_REDIS_H

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../loopback.h"

struct rig_redis {
	pid_t pid;
	uint16_t port;
	char dir[64];
};

/* -1: nobody listens. */
static inline int rig_redis_connect(const struct rig_redis *redis)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(redis->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static inline void rig_redis_prepare(struct rig_redis *redis)
{
	redis->port = 0;
	(void)close(rig_listener(&redis->port)); /* one that is free */
	(void)snprintf(redis->dir, sizeof(redis->dir), "/tmp/hf_l2_XXXXXX");
	cr_assert(mkdtemp(redis->dir) != NULL);
}

static inline void rig_redis_wait(const struct rig_redis *redis)
{
	int fd;

	for (uint32_t i = 0; (fd = rig_redis_connect(redis)) < 0; i++) {
		cr_assert_lt(i, RIG_PATIENCE_US / 1000);
		(void)poll(NULL, 0, 1);
	}
	(void)close(fd);
}

/* With TLS alone, and a certificate for 127.0.0.1 that is its own authority: DIR/cert. */
static inline void rig_redis_begin_tls(struct rig_redis *redis)
{
	char command[1024];

	rig_redis_prepare(redis);
	(void)snprintf(command, sizeof(command),
		"cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
		"-nodes "
		"-keyout key -out cert -days 2 -subj /CN=t -addext subjectAltName=IP:127.0.0.1 "
		"2>/dev/null",
		redis->dir);
	cr_assert_eq(system(command), 0);
	(void)snprintf(command, sizeof(command), "%u", redis->port);
	redis->pid = fork();
	if (redis->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!chdir(redis->dir);
		(void)execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", "0",
			"--tls-port", command, "--tls-cert-file", "cert", "--tls-key-file", "key",
			"--tls-ca-cert-file", "cert", "--tls-auth-clients", "no", "--save", "",
			"--logfile", "/dev/null", (char *)NULL);
		_exit(127);
	}
	rig_redis_wait(redis);
}

static inline void rig_redis_begin(struct rig_redis *redis, const char *password)
{
	char port[8];

	rig_redis_prepare(redis);
	(void)snprintf(port, sizeof(port), "%u", redis->port);
	redis->pid = fork();
	if (redis->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", port,
			"--save", "", "--dir", redis->dir, "--loglevel", "warning", "--logfile",
			"/dev/null", "--requirepass", password, (char *)NULL);
		_exit(127);
	}
	rig_redis_wait(redis);
}

static inline void rig_redis_end(struct rig_redis *redis)
{
	char path[80];

	(void)kill(redis->pid, SIGKILL);
	(void)waitpid(redis->pid, NULL, 0);
	(void)snprintf(path, sizeof(path), "%s/cert", redis->dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/key", redis->dir);
	(void)unlink(path);
	(void)rmdir(redis->dir);
}

/* A command from elsewhere: the beginning of the reply, as a string. */
static inline void rig_redis_ask(
	const struct rig_redis *of, const char *command, char *reply, size_t cap)
{
	int fd = rig_redis_connect(of);
	ssize_t n;

	cr_assert_eq(write(fd, command, strlen(command)), (ssize_t)strlen(command));
	n = read(fd, reply, cap - 1);
	cr_assert_gt(n, 0);
	reply[n] = '\0';
	cr_assert_neq(reply[0], '-', "%s", command);
	(void)close(fd);
}

static inline void rig_redis_do(const struct rig_redis *of, const char *command)
{
	char reply[64];

	rig_redis_ask(of, command, reply, sizeof(reply));
}

#endif
