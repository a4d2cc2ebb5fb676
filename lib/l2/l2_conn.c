/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A connection: opened without waiting, bytes out, replies in.
 */
#include "hf_l2_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_wipe.h"

#include "l2_client.h"

#define CONN_READ_LEN   65536
#define CONN_READS_TURN 16 /* then others have their turn */

/* ---- the end ---- */

static void conn_close(struct l2_conn *conn)
{
	struct hf_l2 *l2 = conn->l2;

	HF_ASSERT(conn->state != L2_ENDED);
	conn->state = L2_ENDED;
	hf_timer_del(l2->wheel, &conn->timer);
	hf_list_del(&conn->dirty);
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	(void)close(conn->fd); /* epoll forgets it */
	for (uint32_t i = 0; i < HF_L2_CONNECTIONS_MAX; i++)
		if (conn->node->conn[i] == conn)
			conn->node->conn[i] = NULL;
	if (conn->node->writer == conn)
		conn->node->writer = NULL;
	if (conn->node->listen.conn == conn)
		l2_spread_closed(conn->node);
	hf_list_del(&conn->link);
	hf_list_add_tail(&l2->ended, &conn->link);
	l2_node_tried(conn->node);
}

void l2_conn_fail(struct l2_conn *conn, const char *why)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct l2_node *node = conn->node;

	if (conn->state == L2_ENDED)
		return;
	if (!conn->retired)
		hf_log(HF_LOG_WARN, "l2", "internal_error: node %s at %s:%u: %s", node->at.id,
			node->at.host, node->at.port, why);
	if (!conn->ready && node->address_count > 0)
		node->address_next = (node->address_next + 1) % node->address_count;
	if (!conn->ready && node->resolve_us != UINT64_MAX) /* it may have another address by now */
		node->resolve_us =
			hf_min_u64(node->resolve_us, conn->l2->now_us + L2_RESOLVE_MIN_US);
	/* what the node has not got yet shall not reach it later: hf_l2.h, Marks */
	(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	conn_close(conn);
	l2_ask_fail_all(conn);
}

void l2_conn_retire(struct l2_conn *conn)
{
	if (conn->state == L2_ENDED || conn->retired)
		return;
	conn->retired = true;
	if (conn->waiting_count == 0) {
		conn_close(conn);
		return;
	}
	for (uint32_t i = 0; i < HF_L2_CONNECTIONS_MAX; i++)
		if (conn->node->conn[i] == conn)
			conn->node->conn[i] = NULL;
	if (conn->node->writer == conn)
		conn->node->writer = NULL;
	if (conn->node->listen.conn == conn)
		l2_spread_closed(conn->node);
	hf_list_add_tail(&conn->l2->leaving, &conn->link);
}

void l2_conn_free_ended(struct hf_l2 *l2)
{
	struct hf_list *it;

	while ((it = hf_list_first(&l2->ended)) != NULL) {
		struct l2_conn *conn = HF_CONTAINER_OF(it, struct l2_conn, link);

		hf_list_del(it);
		HF_ASSERT(conn->waiting_count == 0);
		if (conn->reader)
			redisReaderFree(conn->reader);
		if (conn->out)
			hf_wipe(conn->out, conn->out_cap);
		free(conn->out);
		l2_node_unref(conn->node);
		free(conn);
	}
}

/* ---- the beginning ---- */

/* libhiredis would take memory for as many elements as the node says. */
static void *conn_array(const redisReadTask *task, int elements)
{
	const struct l2_conn *conn = task->privdata;

	return elements > L2_ARRAY_MAX ? NULL : conn->usual_array(task, elements);
}

static int conn_reader(struct l2_conn *conn)
{
	conn->reader = redisReaderCreate();
	if (!conn->reader)
		return -ENOMEM;
	conn->functions = *conn->reader->fn;
	conn->usual_array = conn->functions.createArray;
	conn->functions.createArray = conn_array;
	conn->reader->fn = &conn->functions;
	conn->reader->privdata = conn;
	return 0;
}

static void conn_options(const struct l2_conn *conn)
{
	const struct hf_l2_limits *limits = &conn->l2->limits;
	int on = 1, tries = 3, idle_s = (int)hf_max_u32(limits->keepalive_ms / 1000, 1);

	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof(idle_s));
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

static int conn_connect(struct l2_conn *conn)
{
	const struct l2_address *address = &conn->node->address[conn->node->address_next];
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = conn };

	conn->fd = socket(
		address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (conn->fd < 0)
		return -errno;
	conn_options(conn);
	conn->watched = event.events;
	if ((connect(conn->fd, (const struct sockaddr *)&address->at, address->len) != 0 &&
		    errno != EINPROGRESS) ||
		epoll_ctl(conn->l2->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
		int err = errno;

		(void)close(conn->fd);
		return -err;
	}
	return 0;
}

/* Its first request: the secret, or whether anybody is there. */
static bool conn_hello(struct l2_conn *conn)
{
	char secret[L2_SECRET_MAX + 1];
	struct hf_span arg[3] = { HF_SPAN("PING") };
	uint32_t count = l2_secret_args(secret, arg);
	bool sent = l2_conn_command(conn, arg, hf_max_u32(count, 1)) &&
		    l2_ask_begin(conn, L2_HELLO, HF_L2_PASS_NO, NULL);

	hf_wipe(secret, sizeof(secret));
	return sent;
}

struct l2_conn *l2_conn_open(struct l2_node *node)
{
	struct hf_l2 *l2 = node->l2;
	struct l2_conn *conn;
	int rc;

	l2_resolve(node);
	if (node->address_count == 0 || (node->at.tls && !l2->tls))
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->l2 = l2;
	conn->node = node;
	node->refs++;
	hf_list_init(&conn->link);
	hf_list_init(&conn->dirty);
	hf_list_init(&conn->waiting);
	hf_timer_init(&conn->timer, L2_TIMER_CONNECT);
	rc = conn_reader(conn);
	if (rc == 0)
		rc = conn_connect(conn);
	if (rc != 0) {
		hf_log(HF_LOG_WARN, "l2", "internal_error: node %s at %s:%u: %s", node->at.id,
			node->at.host, node->at.port, strerror(-rc));
		node->address_next = (node->address_next + 1) % node->address_count;
		if (conn->reader)
			redisReaderFree(conn->reader);
		node->refs--;
		free(conn);
		return NULL;
	}
	hf_timer_set(l2->wheel, &conn->timer, l2->now_us + l2->limits.connect_ms * 1000ULL);
	if (!conn_hello(conn)) {
		l2_conn_fail(conn, "no memory");
		return NULL;
	}
	return conn;
}

/* ---- out ---- */

static size_t conn_number(char *buf, size_t cap, char kind, size_t number)
{
	return (size_t)snprintf(buf, cap, "%c%zu\r\n", kind, number);
}

static bool conn_out_room(struct l2_conn *conn, size_t len)
{
	size_t cap;
	char *out;

	if (conn->out_pos > 0) {
		memmove(conn->out, conn->out + conn->out_pos, conn->out_len - conn->out_pos);
		conn->out_len -= conn->out_pos;
		conn->out_pos = 0;
	}
	if (len > L2_OUT_MAX - conn->out_len)
		return false;
	if (conn->out_len + len <= conn->out_cap)
		return true;
	cap = (size_t)hf_pow2_ceil(hf_max_u64(conn->out_len + len, 4096));
	out = hf_wipe_realloc(conn->out, cap);
	if (!out)
		return false;
	conn->out = out;
	conn->out_cap = cap;
	return true;
}

static void conn_out_add(struct l2_conn *conn, const char *data, size_t len)
{
	if (len > 0)
		memcpy(conn->out + conn->out_len, data, len);
	conn->out_len += len;
}

/* RESP2: an array of bulk strings. */
bool l2_conn_command(struct l2_conn *conn, const struct hf_span *arg, uint32_t count)
{
	char text[32];
	size_t len = sizeof(text);

	for (uint32_t i = 0; i < count; i++)
		len += sizeof(text) + arg[i].len;
	if (!conn_out_room(conn, len))
		return false;
	conn_out_add(conn, text, conn_number(text, sizeof(text), '*', count));
	for (uint32_t i = 0; i < count; i++) {
		conn_out_add(conn, text, conn_number(text, sizeof(text), '$', arg[i].len));
		conn_out_add(conn, arg[i].ptr, arg[i].len);
		conn_out_add(conn, "\r\n", 2);
	}
	if (hf_list_empty(&conn->dirty))
		hf_list_add_tail(&conn->l2->dirty, &conn->dirty);
	return true;
}

static void conn_watch(struct l2_conn *conn, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (events == conn->watched)
		return;
	if (epoll_ctl(conn->l2->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0)
		l2_conn_fail(conn, "no epoll watch");
	else
		conn->watched = events;
}

static ssize_t conn_write(struct l2_conn *conn)
{
	const char *data = conn->out + conn->out_pos;
	size_t len = conn->out_len - conn->out_pos;
	ssize_t n;

	if (conn->ssl)
		return l2_tls_write(conn, data, len);
	n = send(conn->fd, data, len, MSG_NOSIGNAL);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

void l2_conn_flush(struct l2_conn *conn)
{
	if (conn->state != L2_OPEN)
		return;
	while (conn->out_pos < conn->out_len) {
		ssize_t n = conn_write(conn);

		if (n < 0) {
			l2_conn_fail(conn, "it does not take what is sent");
			return;
		}
		if (n == 0)
			break;
		conn->out_pos += (size_t)n;
	}
	if (conn->out_pos == conn->out_len && conn->out) {
		hf_wipe(conn->out, conn->out_len); /* secrets, and what clients get */
		conn->out_pos = 0;
		conn->out_len = 0;
	}
	conn_watch(conn,
		EPOLLIN | EPOLLRDHUP | (conn->out_len > 0 || conn->ssl_wants_write ? EPOLLOUT : 0));
}

/* ---- in ---- */

/* Every whole reply; false: the connection has ended. */
static bool conn_replies(struct l2_conn *conn)
{
	void *reply = NULL;

	for (;;) {
		bool good;

		if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
			l2_conn_fail(conn, "client_error: no RESP reply");
			return false;
		}
		if (!reply)
			break;
		good = conn->ready && conn->node->listen.conn == conn ? l2_spread_reply(conn, reply)
								      : l2_ask_answer(conn, reply);
		freeReplyObject(reply);
		if (conn->state == L2_ENDED)
			return false;
		if (!good) {
			l2_conn_fail(conn, "client_error: not the reply to what was asked");
			return false;
		}
	}
	if (conn->reader->len - conn->reader->pos <= conn->l2->reply_max)
		return true;
	l2_conn_fail(conn, "client_error: a reply that is too long");
	return false;
}

static ssize_t conn_read_some(struct l2_conn *conn, void *buf, size_t cap)
{
	ssize_t n;

	if (conn->ssl)
		return l2_tls_read(conn, buf, cap);
	n = recv(conn->fd, buf, cap, 0);
	if (n == 0)
		return -1;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void conn_read(struct l2_conn *conn)
{
	static _Thread_local char buf[CONN_READ_LEN];

	for (uint32_t i = 0; conn->ssl || i < CONN_READS_TURN; i++) {
		ssize_t n = conn_read_some(conn, buf, sizeof(buf));

		if (n < 0) {
			if (conn->waiting_count == 0)
				l2_conn_retire(conn); /* idle for too long, or a restart */
			else
				l2_conn_fail(conn, "it closed the connection");
			return;
		}
		if (n == 0)
			break;
		if (redisReaderFeed(conn->reader, buf, (size_t)n) != REDIS_OK) {
			l2_conn_fail(conn, "no memory for its reply");
			return;
		}
		if (!conn_replies(conn))
			return;
	}
	if (conn->retired && conn->waiting_count == 0)
		conn_close(conn);
}

/* ---- events ---- */

static void conn_open(struct l2_conn *conn)
{
	const uint64_t lifetime_us = conn->l2->limits.lifetime_ms * 1000ULL;

	conn->state = L2_OPEN;
	conn->timer.kind = L2_TIMER_LIFETIME;
	if (conn->node->listen.conn == conn) /* for ever: what is told meanwhile would be missed */
		hf_timer_del(conn->l2->wheel, &conn->timer);
	else
		hf_timer_set(conn->l2->wheel, &conn->timer, conn->l2->now_us + lifetime_us);
	l2_conn_flush(conn);
}

static void conn_handshake(struct l2_conn *conn)
{
	int done = l2_tls_handshake(conn);

	if (done < 0)
		l2_conn_fail(conn, "TLS failed");
	else if (done > 0)
		conn_open(conn);
	else
		conn_watch(conn, conn->ssl_wants_write ? EPOLLOUT : EPOLLIN);
}

static void conn_connected(struct l2_conn *conn)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
		l2_conn_fail(conn, err ? strerror(err) : "no connection");
		return;
	}
	if (!conn->node->at.tls) {
		conn_open(conn);
		return;
	}
	conn->ssl = l2_tls_begin(conn->l2->tls, conn->node, conn->fd);
	conn->state = L2_HANDSHAKE;
	if (conn->ssl)
		conn_handshake(conn);
	else
		l2_conn_fail(conn, "no memory for TLS");
}

void l2_conn_ready(struct l2_conn *conn, uint32_t events)
{
	switch (conn->state) {
	case L2_CONNECTING:
		conn_connected(conn);
		break;
	case L2_HANDSHAKE:
		conn_handshake(conn);
		break;
	case L2_OPEN:
		if (events & EPOLLOUT)
			l2_conn_flush(conn);
		if (conn->state == L2_OPEN)
			conn_read(conn);
		break;
	case L2_ENDED:
		break;
	}
}
