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

#include <microhttpd.h>

#include "hf_par.h"
#include "metrics_priv.h"

#define ADMIN_CONNS_MAX    64
#define ADMIN_ADDRESS_MAX  32 /* connections from one address */
#define ADMIN_CONNS_ENDING 16 /* cut, but not gone yet */
#define ADMIN_TIMEOUT_S    10
#define ADMIN_REQUEST_MAX  16384
#define ADMIN_BACKLOG      128

struct admin_conn {
	bool used, cut;
	int fd;
	uint8_t address[16];
	uint64_t active_us; /* accepted, or the end of its last request */
};

struct metrics_admin {
	const struct hf_metrics_cfg *cfg;
	struct MHD_Daemon *daemon;
	struct admin_conn conn[ADMIN_CONNS_MAX + ADMIN_CONNS_ENDING];
};

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

/* The one that has been without a request longest, of ADDRESS or (NULL) of all. Returns how many there are. */
static uint32_t admin_oldest(
	struct metrics_admin *admin, const uint8_t *address, struct admin_conn **ret_oldest)
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

static void admin_make_room(struct metrics_admin *admin, const uint8_t *address)
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
	struct metrics_admin *admin, struct MHD_Connection *connection, void **socket_context)
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
}

/* ---- resources ---- */

struct admin_answer {
	unsigned status;
	const char *type;
	char *body; /* goes over to who sends it */
	size_t len;
};

typedef void (*admin_answer_fn)(struct metrics_admin *admin, struct admin_answer *ret_answer);

static const char admin_text[] = "text/plain; charset=utf-8";
/* The dashboard is one page and asks nobody but this listener. */
static const char admin_policy[] =
	"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static void admin_metrics(struct metrics_admin *admin, struct admin_answer *ret_answer)
{
	struct hf_metrics_snap *snap = metrics_snap_take(admin->cfg);
	FILE *out = snap ? open_memstream(&ret_answer->body, &ret_answer->len) : NULL;

	ret_answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	if (out) {
		metrics_prom_write(snap, out);
		if (fclose(out) == 0)
			ret_answer->status = MHD_HTTP_OK;
	}
	ret_answer->type = "text/plain; version=0.0.4; charset=utf-8";
	free(snap);
}

static void admin_verdict(
	bool good, const char *bad, const struct hf_err *why, struct admin_answer *ret_answer)
{
	int len = good ? asprintf(&ret_answer->body, "ok\n")
		       : asprintf(&ret_answer->body, "%s: %s\n", bad, why->text);

	ret_answer->status = good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	ret_answer->len = len < 0 ? 0 : (size_t)len;
	if (len < 0)
		ret_answer->body = NULL;
}

static void admin_healthz(struct metrics_admin *admin, struct admin_answer *ret_answer)
{
	struct hf_err why = { "" };

	admin_verdict(admin->cfg->healthy(admin->cfg->arg, &why), "not healthy", &why, ret_answer);
}

static void admin_readyz(struct metrics_admin *admin, struct admin_answer *ret_answer)
{
	struct hf_err why = { "" };

	admin_verdict(admin->cfg->ready(admin->cfg->arg, &why), "not ready", &why, ret_answer);
}

static void admin_dashboard(struct metrics_admin *admin, struct admin_answer *ret_answer)
{
	ret_answer->body = malloc(metrics_dashboard_len);
	ret_answer->type = "text/html; charset=utf-8";
	ret_answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	if (!ret_answer->body)
		return;
	memcpy(ret_answer->body, metrics_dashboard, metrics_dashboard_len);
	ret_answer->len = metrics_dashboard_len;
	ret_answer->status = MHD_HTTP_OK;
}

/* GET stands for HEAD, too. */
static const struct {
	const char *method, *path;
	admin_answer_fn answer;
} admin_resources[] = {
	{ "GET", "/metrics", admin_metrics },
	{ "GET", "/healthz", admin_healthz },
	{ "GET", "/readyz", admin_readyz },
	{ "GET", "/dashboard", admin_dashboard },
};

static bool admin_method_is(const char *method, const char *allowed)
{
	return strcmp(method, allowed) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(allowed, "GET") == 0);
}

/* 200 with what answers, 404 or 405. */
static unsigned admin_find(const char *method, const char *path, admin_answer_fn *ret_answer)
{
	unsigned status = MHD_HTTP_NOT_FOUND;

	for (size_t i = 0; i < HF_ARRAY_LEN(admin_resources); i++) {
		if (strcmp(path, admin_resources[i].path) != 0)
			continue;
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
		if (!admin_method_is(method, admin_resources[i].method))
			continue;
		*ret_answer = admin_resources[i].answer;
		return MHD_HTTP_OK;
	}
	return status;
}

static enum MHD_Result admin_send(
	struct MHD_Connection *connection, const struct admin_answer *answer, bool close)
{
	enum MHD_Result sent;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(response, "Content-Security-Policy", admin_policy);
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (close)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	sent = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return sent;
}

/* Nothing here takes a body. */
static bool admin_has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length && strcmp(length, "0") != 0) ||
	       MHD_lookup_connection_value(
		       connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* Paths are taken as they come: none here needs an escape. */
static size_t admin_no_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

/* Called when the head is there, and again when all is. */
static enum MHD_Result admin_on_request(void *arg, struct MHD_Connection *connection,
	const char *path, const char *method, const char *version, const char *upload,
	size_t *upload_len, void **request_context)
{
	struct admin_answer answer = { .type = admin_text };
	admin_answer_fn fn = NULL;
	bool has_body = admin_has_body(connection);

	if (!*request_context && !has_body) {
		*request_context = arg;
		return MHD_YES;
	}
	hf_stat_inc(HF_STAT_ADMIN_REQUESTS);
	answer.status = admin_find(method, path, &fn);
	if (fn && has_body)
		answer.status = MHD_HTTP_CONTENT_TOO_LARGE;
	else if (fn)
		fn(arg, &answer);
	return admin_send(connection, &answer, /* close= */ has_body);
}

/* ---- its life ---- */

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

int metrics_admin_new(
	const struct hf_metrics_cfg *cfg, struct hf_err *err, struct metrics_admin **ret_admin)
{
	const char *listen = cfg->conf->metrics.listen;
	struct metrics_admin *admin;
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
	int fd;

	if (!*listen)
		return 0;
	HF_ASSERT(hf_conf_hostport(listen, host, sizeof(host), &port));
	fd = admin_listen(host, port);
	if (fd < 0)
		return hf_err_set(err, fd, "metrics.listen %s: %s", listen, strerror(-fd));
	admin = calloc(1, sizeof(*admin));
	if (admin) {
		admin->cfg = cfg;
		admin->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
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
		return hf_err_set(err, -ENOMEM, "metrics: libmicrohttpd does not start");
	}
	*ret_admin = admin;
	return 0;
}

void metrics_admin_free(struct metrics_admin *admin)
{
	if (!admin)
		return;
	MHD_stop_daemon(admin->daemon);
	free(admin);
}
