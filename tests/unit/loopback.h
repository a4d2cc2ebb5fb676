/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What rigs share whose peers are sockets on loopback.
 */
#ifndef UNIT_LOOPBACK_H
#define UNIT_LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <criterion/criterion.h>

#include "hf_base.h"
#include "hf_stat.h"

#define RIG_PATIENCE_US 20000000

/* TURN, again and again, until it is so; a test that waits in vain fails here. */
#define rig_turn_until(turn, condition)                                                            \
	do {                                                                                       \
		uint64_t give_up_us = hf_clock_us() + RIG_PATIENCE_US;                             \
		while (!(condition)) {                                                             \
			(void)(turn);                                                              \
			cr_assert(hf_clock_us() < give_up_us, "never: %s", #condition);            \
		}                                                                                  \
	} while (0)

/* PORT 0: one that is free, which it is then. */
static inline int rig_listener(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(*port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);
	int on = 1;

	cr_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	cr_assert(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	cr_assert(listen(fd, 256) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	*port = ntohs(at.sin_port);
	return fd;
}

/* A test may have rigs one after the other. */
static inline void rig_stat(void)
{
	static bool registered;

	if (!registered)
		(void)hf_stat_register("test");
	registered = true;
}

#endif
