/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The admin listener: libmicrohttpd with one thread of its own, in which everything here runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin_priv.h"
#include "hf_conf.h"
#include "hf_par.h"
#include "hf_stat.h"

/* ---- connections: who wants one more gets it, and the most useless one goes ---- */

static void admin_address(const struct sockaddr *from, uint8_t ret_address[16])
{
	memset(ret_address, 0, 16);
	if (from->sa_family == AF_INET)
		memcpy(ret_address + 12,
			&((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	else
		memcpy(ret_address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr,
			16);
}

/* The one that has been without a request longest, of ADDRESS or (NULL) of all. Returns how many
 * there are. */
static uint32_t admin_oldest(
	struct hf_admin *admin, const uint8_t *address, struct admin_conn **ret_oldest)
{
	uint32_t count = 0;

	*ret_oldest = NULL;
	for (size_t i = 0; i < HF_ARRAY_LEN(admin->conn); i++) {
		struct admin_conn *conn = &admin->conn[i];

		if (!conn->used || conn->cut || (address && memcmp(conn->address, address, 16)))
			continue;
		count++;
		if (!*ret_oldest || conn->active_us < (*ret_oldest)->active_us)
			*ret_oldest = conn;
	}
	return count;
}

static void admin_make_room(struct hf_admin *admin, const uint8_t *address)
{
	static const struct linger at_once = { .l_onoff =
						       1 }; /* what it did not read is forgotten */
	struct admin_conn *oldest;

	if (admin_oldest(admin, address, &oldest) < ADMIN_ADDRESS_MAX &&
		admin_oldest(admin, NULL, &oldest) < ADMIN_CONNS_MAX)
		return;
	hf_stat_inc(HF_STAT_ADMIN_SHED);
	oldest->cut = true;
	(void)setsockopt(oldest->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)shutdown(oldest->fd, SHUT_RDWR); /* the library finds it closed */
}

static void admin_opened(
	struct hf_admin *admin, struct MHD_Connection *connection, void **socket_context)
{
	const union MHD_ConnectionInfo *info;
	struct admin_conn *conn = NULL;
	uint8_t address[16];

	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	admin_address(info->client_addr, address);
	admin_make_room(admin, address);
	for (size_t i = 0; i < HF_ARRAY_LEN(admin->conn) && !conn; i++)
		conn = admin->conn[i].used ? NULL : &admin->conn[i];
	*socket_context = conn;
	if (hf_never(!conn)) /* the library takes no more than that */
		return;
	*conn = (struct admin_conn){ .used = true, .active_us = hf_clock_us() };
	memcpy(conn->address, address, sizeof(address));
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	conn->fd = info->connect_fd;
}

static void admin_on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode what)
{
	struct admin_conn *conn = *socket_context;

	if (hf_thread_own == HF_THREAD_NONE)
		hf_thread_enter(HF_THREAD_METRICS, "admin");
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		admin_opened(arg, connection, socket_context);
	else if (conn)
		conn->used = false;
}

static void admin_on_completed(void *arg, struct MHD_Connection *connection, void **request_context,
	enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct admin_conn *conn = info->socket_context;

	if (conn)
		conn->active_us = hf_clock_us();
	admin_request_free(*request_context);
}

/* ---- its life ---- */

/* Paths are taken as they come. */
static size_t admin_no_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

/* The listening socket, or -errno. */
static int admin_listen(const char *host, uint16_t port)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool is6 = inet_pton(AF_INET6, host, &to6.sin6_addr) == 1;
	const struct sockaddr *to =
		is6 ? (const struct sockaddr *)&to6 : (const struct sockaddr *)&to4;
	int fd, on = 1, rc = 0;

	if (!is6)
		HF_ASSERT(inet_pton(AF_INET, host, &to4.sin_addr) == 1); /* lib/conf looked */
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, to, is6 ? sizeof(to6) : sizeof(to4)) != 0 || listen(fd, ADMIN_BACKLOG) != 0)
		rc = -errno;
	if (rc != 0)
		(void)close(fd);
	return rc ? rc : fd;
}

int hf_admin_new(const struct hf_admin_cfg *cfg, struct hf_err *err, struct hf_admin **ret_admin)
{
	struct hf_admin *admin;
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
	int fd;

	if (!*cfg->listen)
		return 0;
	HF_ASSERT(hf_conf_hostport(cfg->listen, host, sizeof(host), &port));
	fd = admin_listen(host, port);
	if (fd < 0)
		return hf_err_set(err, fd, "metrics.listen %s: %s", cfg->listen, strerror(-fd));
	admin = calloc(1, sizeof(*admin));
	if (admin) {
		admin->cfg = *cfg;
		(void)pthread_mutex_init(&admin->held_lock, NULL); /* never fails with defaults */
		hf_list_init(&admin->held);
		admin->daemon = MHD_start_daemon(
			MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
			admin_on_request, admin, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_LIMIT, (unsigned)HF_ARRAY_LEN(admin->conn),
			MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_REQUEST_MAX,
			MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
			admin_no_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION, admin_on_connection,
			admin, MHD_OPTION_NOTIFY_COMPLETED, admin_on_completed, admin,
			MHD_OPTION_END);
	}
	if (!admin || !admin->daemon) {
		(void)close(fd);
		free(admin);
		return hf_err_set(err, -ENOMEM, "admin: libmicrohttpd does not start");
	}
	*ret_admin = admin;
	return 0;
}

void hf_admin_free(struct hf_admin *admin)
{
	if (!admin)
		return;
	(void)pthread_mutex_lock(&admin->held_lock);
	admin->ending = true;
	(void)pthread_mutex_unlock(&admin->held_lock);
	hf_admin_release(admin, UINT64_MAX, 0);
	MHD_stop_daemon(admin->daemon);
	(void)pthread_mutex_destroy(&admin->held_lock);
	free(admin);
}
