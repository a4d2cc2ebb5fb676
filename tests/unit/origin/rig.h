/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A rig for lib/origin: worker, origin server and reclaim thread in one thread, turn by turn, so that
 * the test says what happens in which order and nothing is timed.
 *
 *      client (an exchange) -> rings -> hf_origin_step -> loopback socket -> peer (the test)
 */
#ifndef ORIGIN_RIG_H
#define ORIGIN_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_origin.h"

#include "../loopback.h"
#include "origin_priv.h"

#define RIG_CONNS_MAX 256

struct rig_buf {
	char *data;
	size_t len, cap;
};

static inline void rig_buf_add(struct rig_buf *buf, const void *data, size_t len)
{
	if (buf->len + len + 1 > buf->cap) {
		buf->cap = 2 * (buf->len + len + 1);
		buf->data = realloc(buf->data, buf->cap);
	}
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

struct rig_conn {
	int fd;
	bool eof; /* the origin thread closed */
	struct rig_buf in, out;
	size_t out_pos;
	size_t seen;      /* of in: heads that rig_asked returned */
	bool close_after; /* when out is out */
};

struct rig {
	struct hf_conf conf;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_shard *shard;
	struct hf_xchg_net *net;
	struct hf_link *link;
	struct hf_state *state;
	struct hf_origin_slots *slots;
	struct hf_origin *origin;
	uint32_t workers;         /* 0: one */
	struct hf_origin *second; /* owns the other half of the keys; NULL: one owns all */
	struct hf_reader *reader;
	int listener;
	uint16_t port;
	struct rig_conn conn[RIG_CONNS_MAX];
	uint32_t conns;
	char url[64], no_file[1];
};

struct rig_client {
	struct hf_xchg *xchg;
	bool head, fail, gone;
	bool ask_failed; /* when it is gone: of a question */
	uint32_t mores;
	struct hf_obj_cursor cursor;
	struct rig_buf body;
	bool eager; /* reads and acknowledges on its own */
	uint64_t read_len, bad_at;
	/* upload */
	uint64_t upload_len, upload_sent;
	uint32_t bodies_done;
};

/* The body byte at an offset: no power of two is its period. */
static inline uint8_t rig_byte(uint64_t at)
{
	return (uint8_t)(at * 2654435761U >> 13 ^ at % 251);
}

static inline char *rig_body(size_t len)
{
	char *body = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		body[i] = (char)rig_byte(i);
	return body;
}

static inline void rig_listen(struct rig *rig)
{
	rig->listener = rig_listener(&rig->port);
}

/* A listener of an address whose queue is full: no SYN to it is answered. *PORT 0: any. -1: no such address. */
static inline int rig_deaf(int family, uint16_t *port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in in4 = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *at = family == AF_INET ? (void *)&in4 : (void *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in4) : sizeof(in6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in4.sin_port = htons(*port);
	in6.sin6_port = htons(*port);
	if (fd < 0 || bind(fd, at, len) != 0) {
		(void)close(fd);
		return -1;
	}
	cr_assert(getsockname(fd, at, &len) == 0 && listen(fd, 0) == 0);
	*port = ntohs(family == AF_INET ? in4.sin_port : in6.sin6_port);
	for (uint32_t i = 0; i < 4; i++) /* open until the process ends */
		(void)connect(
			socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), at, len);
	return fd;
}

/* A state that sends HOST to the rig's server. */
static inline struct hf_state *rig_state_for(const struct rig *rig, const char *host)
{
	struct hf_state *state = NULL;
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"issued_at\":\"2026-01-01T00:00:00Z\","
		"\"origins\":[{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:%u\","
		"\"weight\":1}],\"routes\":[{\"id\":\"r\",\"host\":\"%s\",\"path\":\"/\","
		"\"group\":\"g\"}]}",
		rig->port, host);
	cr_assert(hf_state_parse(text, strlen(text), stderr, &state) == 0);
	return state;
}

/* The document TEXT is in force from each thread's next turn on. */
static inline void rig_state_text(struct rig *rig, const char *text)
{
	struct hf_state *before = rig->state;

	cr_assert(hf_state_parse(text, strlen(text), stderr, &rig->state) == 0);
	hf_origin_state_set(rig->origin, rig->state);
	if (rig->second)
		hf_origin_state_set(rig->second, rig->state);
	hf_state_unref(before);
}

/* From now on a.test is at URL. */
static inline void rig_origin_url(struct rig *rig, const char *url)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"2\",\"issued_at\":\"2026-01-01T00:00:00Z\","
		"\"origins\":[{\"group\":\"g\",\"id\":\"o1\",\"url\":\"%s\"}],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"a.test\",\"path\":\"/\","
		"\"group\":\"g\"}]}",
		url);
	rig_state_text(rig, text);
}

static inline void rig_state(struct rig *rig)
{
	rig->state = rig_state_for(rig, "a.test");
	hf_origin_state_set(rig->origin, rig->state);
	if (rig->second)
		hf_origin_state_set(rig->second, rig->state);
}

static inline void rig_conf(struct rig *rig)
{
	rig->conf.cache.max_object = 8 << 20;
	rig->conf.origin.threads = 1;
	rig->conf.origin.max_queue = 64;
	rig->conf.origin.exchanges_max = 256;
	rig->conf.origin.queue_timeout_ms = 600000;
	rig->conf.origin.connect_timeout_ms = 600000;
	rig->conf.origin.first_byte_timeout_ms = 600000;
	rig->conf.origin.between_bytes_timeout_ms = 600000;
	rig->conf.origin.keepalive_ms = 30000;
	rig->conf.origin.total_timeout_ms = 600000;
	rig->conf.origin.patience_ms = 600000;
	rig->conf.origin.fallback_timeout_ms = 600000;
	rig->conf.origin.resolve_interval_s = 60;
	rig->conf.tunnel.max = 64;
	rig->conf.tunnel.idle_timeout_ms = 600000;
	rig->conf.tunnel.total_timeout_ms = 600000;
	rig->conf.control_plane.failures = 1000;
	rig->conf.control_plane.successes = 1;
	rig->conf.l2.ca_file = rig->no_file;
	rig->conf.l2.connect_timeout_ms = 600000;
	rig->conf.l2.read_timeout_ms = 600000;
	rig->conf.l2.write_timeout_ms = 600000;
	rig->conf.l2.keepalive_ms = 15000;
	rig->conf.l2.lifetime_ms = 300000;
	rig->conf.l2.connections = 2;
}

/* As many origin threads as the configuration says, one or two. */
static inline void rig_up(struct rig *rig, size_t memory)
{
	struct hf_cache_cfg cache_cfg = {
		.shards = rig->conf.origin.threads, .workers = 1, .leases_max = 64
	};
	struct hf_xchg_cfg net_cfg = { .workers = hf_max_u32(rig->workers, 1),
		.origins = rig->conf.origin.threads,
		.exchanges_max = 256,
		.buf_len = 16384 };
	struct hf_err err = { "" };

	rig_stat();
	hf_rcu_register();
	cr_assert(hf_arena_new(memory, false, &err, &rig->arena) == 0, "%s", err.text);
	cache_cfg.arena = rig->arena;
	cr_assert(hf_cache_new(&cache_cfg, &err, &rig->cache) == 0, "%s", err.text);
	rig->shard = hf_cache_shard(rig->cache, 0);
	rig->reader = hf_cache_reader(rig->cache, 0);
	cr_assert(hf_xchg_net_new(&net_cfg, &err, &rig->net) == 0, "%s", err.text);
	rig->link = hf_xchg_link(rig->net, 0, 0);
	rig->slots = hf_origin_slots_new();
	cr_assert(hf_origin_new(
			  &rig->conf, 0, rig->cache, rig->net, rig->slots, &err, &rig->origin) == 0,
		"%s", err.text);
	if (rig->conf.origin.threads > 1)
		cr_assert(hf_origin_new(&rig->conf, 1, rig->cache, rig->net, rig->slots, &err,
				  &rig->second) == 0);
	rig_listen(rig);
	rig_state(rig);
}

/* A rig of the usual size. */
static inline struct rig *rig_of_workers(uint32_t workers)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->workers = workers;
	rig_conf(rig);
	rig_up(rig, 64 << 20);
	return rig;
}

static inline struct rig *rig_new(void)
{
	return rig_of_workers(1);
}

/* Two origin threads, each owns half of the keys. */
static inline struct rig *rig_two(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.threads = 2;
	rig_up(rig, 64 << 20);
	return rig;
}

/* Who owns what. */
static inline struct hf_link *rig_link(const struct rig *rig, uint32_t shard)
{
	return hf_xchg_link(rig->net, 0, shard);
}

static inline void rig_reclaim(struct rig *rig)
{
	struct hf_obj *obj;

	hf_rcu_offline();
	(void)hf_cache_reclaim_step(rig->cache);
	hf_rcu_online();
	while ((obj = hf_reader_released(rig->reader)) != NULL)
		hf_xchg_to_origin(rig_link(rig, obj->shard), HF_XCHG_RECALLED, obj);
}

#ifdef HF_SANITIZED
#include <sanitizer/lsan_interface.h>
static inline int rig_leaks(void)
{
	return __lsan_do_recoverable_leak_check();
}
#else
static inline int rig_leaks(void)
{
	return 0;
}
#endif

static inline void rig_free(struct rig *rig)
{
	hf_origin_free(rig->origin);
	hf_origin_free(rig->second);
	hf_origin_slots_free(rig->slots);
	hf_shard_check(rig->shard);
	if (rig->second)
		hf_shard_check(hf_cache_shard(rig->cache, 1));
	hf_cache_free(rig->cache);
	hf_xchg_net_free(rig->net);
	hf_arena_free(rig->arena);
	hf_state_unref(rig->state);
	for (uint32_t i = 0; i < rig->conns; i++) {
		if (rig->conn[i].fd >= 0)
			(void)close(rig->conn[i].fd);
		free(rig->conn[i].in.data);
		free(rig->conn[i].out.data);
	}
	if (rig->listener >= 0)
		(void)close(rig->listener);
	hf_rcu_unregister();
	free(rig);
	cr_assert_eq(rig_leaks(), 0);
}

/* ---- the origin server ---- */

static inline void rig_conn_close(struct rig_conn *conn)
{
	if (conn->fd >= 0)
		(void)close(conn->fd);
	conn->fd = -1;
}

static inline void rig_conn_turn(struct rig_conn *conn)
{
	char buf[65536];
	ssize_t n;

	while (conn->fd >= 0 && !conn->eof && (n = read(conn->fd, buf, sizeof(buf))) != -1) {
		if (n == 0)
			conn->eof = true;
		rig_buf_add(&conn->in, buf, (size_t)n);
	}
	if (conn->fd >= 0 && errno == ECONNRESET)
		conn->eof = true;
	while (conn->fd >= 0 && conn->out_pos < conn->out.len) {
		n = send(conn->fd, conn->out.data + conn->out_pos, conn->out.len - conn->out_pos,
			MSG_NOSIGNAL);
		if (n <= 0)
			break;
		conn->out_pos += (size_t)n;
	}
	if (conn->close_after && conn->out_pos == conn->out.len)
		rig_conn_close(conn);
}

static inline void rig_peer_turn(struct rig *rig)
{
	int fd;

	while (rig->listener >= 0 &&
		(fd = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		cr_assert(rig->conns < RIG_CONNS_MAX);
		rig->conn[rig->conns++].fd = fd;
	}
	errno = 0;
	for (uint32_t i = 0; i < rig->conns; i++)
		rig_conn_turn(&rig->conn[i]);
}

static inline void rig_say(struct rig_conn *conn, const char *text)
{
	rig_buf_add(&conn->out, text, strlen(text));
}

/* Complete request heads that came, on all connections; bodies must not hold an empty line. */
static inline uint32_t rig_requests(const struct rig *rig)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < rig->conns; i++) {
		const char *at = rig->conn[i].in.data;

		while (at && (at = strstr(at, "\r\n\r\n")) != NULL) {
			at += 4;
			count++;
		}
	}
	return count;
}

/* ---- the worker ---- */

static inline void rig_client_read(struct rig_client *client, size_t max)
{
	struct hf_obj *obj = client->xchg->obj;

	while (max > 0) {
		struct hf_span run = hf_obj_peek(obj, &client->cursor, max);

		if (run.len == 0)
			break;
		if (client->body.len < 65536)
			rig_buf_add(&client->body, run.ptr, run.len);
		for (size_t i = 0; i < run.len && client->bad_at == UINT64_MAX; i++)
			if ((uint8_t)run.ptr[i] != rig_byte(client->cursor.pos + i))
				client->bad_at = client->cursor.pos + i;
		hf_obj_advance(&client->cursor, run.len);
		client->read_len += run.len;
		max -= run.len;
	}
}

/* All that was read is acknowledged. */
static inline void rig_client_ack(struct rig *rig, struct rig_client *client)
{
	atomic_store(&client->xchg->consumed, client->read_len);
	if (atomic_exchange(&client->xchg->credit_wanted, false))
		hf_xchg_to_origin(client->xchg->to, HF_XCHG_CREDIT, client->xchg);
}

static inline bool rig_client_at_end(const struct rig_client *client)
{
	return client->head && atomic_load(&client->xchg->obj->state) == HF_OBJ_READY &&
	       hf_obj_at_end(client->xchg->obj, &client->cursor);
}

static inline bool rig_client_cut(const struct rig_client *client)
{
	return client->head && atomic_load(&client->xchg->obj->state) == HF_OBJ_FAILED;
}

static inline void rig_worker_message(struct rig *rig, const struct hf_msg *msg)
{
	struct hf_xchg *xchg = msg->ptr;
	struct hf_xchg_body *body = msg->ptr;
	struct rig_client *client;

	if (msg->kind == HF_XCHG_RECALL) {
		struct hf_obj *obj = msg->ptr;

		if (hf_reader_recall(rig->reader, obj))
			hf_xchg_to_origin(rig_link(rig, obj->shard), HF_XCHG_RECALLED, obj);
		return;
	}
	if (msg->kind == HF_XCHG_BODY_DONE) {
		client = body->xchg->owner;
		client->bodies_done++;
		hf_xchg_body_put(rig->net, body);
		return;
	}
	client = xchg->owner;
	cr_assert(!client->gone, "a message behind GONE");
	if (xchg->finished && msg->kind != HF_XCHG_GONE)
		return; /* nobody listens any more */
	switch ((enum hf_xchg_msg)msg->kind) {
	case HF_XCHG_HEAD:
		cr_assert(!client->head && !client->fail && xchg->obj);
		client->head = true;
		break;
	case HF_XCHG_FAIL:
		cr_assert(!client->head && !client->fail && !xchg->obj);
		client->fail = true;
		break;
	case HF_XCHG_MORE:
		cr_assert(client->head || xchg->interim_len > 0);
		atomic_store(&xchg->more_posted, false);
		client->mores++;
		break;
	case HF_XCHG_GONE:
		client->gone = true;
		client->ask_failed = xchg->ask.failed;
		client->xchg = NULL;
		hf_xchg_put(rig->net, xchg);
		return;
	default:
		cr_assert_fail("message %u", msg->kind);
	}
	if (client->eager && client->head && !xchg->finished) {
		rig_client_read(client, SIZE_MAX);
		rig_client_ack(rig, client);
	}
}

static inline void rig_worker_turn(struct rig *rig)
{
	struct hf_msg msgs[64];
	uint32_t n;

	for (uint32_t worker = 0; worker < hf_xchg_workers(rig->net); worker++)
		for (uint32_t shard = 0; shard < rig->conf.origin.threads; shard++)
			while ((n = hf_ring_drain(hf_xchg_link(rig->net, worker, shard)->to_worker,
					msgs, 64)) > 0)
				for (uint32_t i = 0; i < n; i++)
					rig_worker_message(rig, &msgs[i]);
}

static inline void rig_turn(struct rig *rig)
{
	hf_origin_step(rig->origin, 1);
	if (rig->second)
		hf_origin_step(rig->second, 1);
	rig_peer_turn(rig);
	rig_worker_turn(rig);
	rig_reclaim(rig);
}

#define rig_until(rig, condition) rig_turn_until(rig_turn(rig), condition)

/* The state has one group, with FIELDS, and in it an origin for each letter of IDS, all the rig's server. */
static inline void rig_group(struct rig *rig, const char *fields, const char *ids)
{
	char text[8192];
	int len = snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"groups\":[{\"id\":\"g\"%s%s}],\"routes\":["
		"{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}],\"origins\":[",
		*fields ? "," : "", fields);

	for (const char *id = ids; *id; id++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
			"%s{\"group\":\"g\",\"id\":\"%c\",\"url\":\"http://127.0.0.1:%u\"}",
			id == ids ? "" : ",", *id, rig->port);
	(void)snprintf(text + len, sizeof(text) - (size_t)len, "]}");
	rig_state_text(rig, text);
	rig_turn(rig);
}

static inline struct origin_peer *rig_peer(const struct rig *rig, uint32_t at)
{
	return rig->origin->view->group[0].peer[at];
}

/* As many turns as anything that is under way on loopback takes; for what must not happen. */
static inline void rig_settle(struct rig *rig)
{
	for (uint32_t i = 0; i < 50; i++)
		rig_turn(rig);
}

static inline struct hf_span rig_keep(struct hf_xchg *xchg, uint32_t *used, struct hf_span from)
{
	char *at = xchg->buf + *used;

	cr_assert(from.len <= xchg->buf_len - *used);
	memcpy(at, from.ptr, from.len);
	*used += (uint32_t)from.len;
	return (struct hf_span){ at, from.len };
}

static inline void rig_parse(struct hf_span head, struct hf_http_req *ret_req)
{
	const struct hf_http_limits limits = { 65536, 65536, HF_HTTP_LINES_MAX };
	struct hf_http_fault fault;

	cr_assert(hf_http_req_parse(head.ptr, head.len, &limits, ret_req, &fault) == HF_PARSE_DONE);
}

/* The next request of a connection: its head, or NULL. */
static inline const char *rig_conn_asked(struct rig_conn *conn)
{
	char *head = conn->in.data ? conn->in.data + conn->seen : NULL;
	char *end = head ? strstr(head, "\r\n\r\n") : NULL;

	if (!end || conn->fd < 0)
		return NULL;
	conn->seen += (size_t)(end + 4 - head);
	return head;
}

/* The next request that came, in the order of connections: its head and where to answer. */
static inline struct rig_conn *rig_asked(struct rig *rig, const char **ret_head)
{
	uint64_t give_up_us = hf_clock_us() + RIG_PATIENCE_US;

	for (;;) {
		for (uint32_t i = 0; i < rig->conns; i++) {
			const char *head = rig_conn_asked(&rig->conn[i]);

			if (!head)
				continue;
			*ret_head = head;
			return &rig->conn[i];
		}
		rig_turn(rig);
		cr_assert(hf_clock_us() < give_up_us, "never: a request");
	}
}

/* The next request that comes is answered. */
static inline void rig_reply(struct rig *rig, const char *answer)
{
	const char *head;

	rig_say(rig_asked(rig, &head), answer);
}

/* Fills in a request as lib/serve does, and posts START. */
static inline void rig_start_with(
	struct rig *rig, struct rig_client *client, const char *text, bool background)
{
	struct hf_xchg *xchg = hf_xchg_get(rig->net, 0);
	struct hf_http_req req;
	struct hf_resp_forward forward = {
		.client = HF_SPAN("192.0.2.1"), .proto = HF_SPAN("http"), .via = HF_SPAN("holdfast")
	};
	uint32_t used = 0;
	char key[4096];
	int key_len;

	memset(client, 0, sizeof(*client));
	client->bad_at = UINT64_MAX;
	client->xchg = xchg;
	xchg->owner = client;
	xchg->head = rig_keep(xchg, &used, (struct hf_span){ text, strlen(text) });
	rig_parse(xchg->head, &req);
	key_len = hf_http_key_build(key, sizeof(key), req.scheme, req.authority, req.path_query);
	cr_assert(key_len > 0);
	xchg->key.ptr = rig_keep(xchg, &used, (struct hf_span){ key, (size_t)key_len }).ptr;
	xchg->key.len = (uint32_t)key_len;
	xchg->key.hash = hf_cache_hash(rig->cache, xchg->key.ptr, xchg->key.len);
	xchg->method = req.method;
	xchg->method_text = rig_keep(xchg, &used, req.method_text);
	xchg->authority = rig_keep(xchg, &used, req.authority);
	xchg->path_query = rig_keep(xchg, &used, req.path_query);
	xchg->has_authorization = req.has_authorization;
	xchg->shared = req.method == HF_HTTP_GET &&
		       (!req.has_authorization || !(req.has_range || req.has_conditional));
	forward.whole = xchg->shared;
	xchg->has_body = req.body != HF_HTTP_BODY_NONE;
	xchg->body_length_known = req.body == HF_HTTP_BODY_LENGTH;
	xchg->body_length = req.content_length;
	xchg->cause = xchg->shared ? HF_XCHG_MISS_ABSENT : HF_XCHG_BYPASS_METHOD;
	xchg->lines.ptr = xchg->buf + used;
	xchg->lines.len =
		hf_resp_request_head(xchg->buf + used, xchg->buf_len - used, &req, &forward);
	cr_assert(xchg->lines.len > 0);
	xchg->background = background;
	xchg->shard = (uint16_t)hf_cache_shard_index(rig->cache, xchg->key.hash);
	xchg->to = rig_link(rig, xchg->shard);
	hf_xchg_to_origin(xchg->to, HF_XCHG_START, xchg);
}

static inline void rig_start_text(struct rig *rig, struct rig_client *client, const char *text)
{
	rig_start_with(rig, client, text, /* background= */ false);
}

static inline void rig_get(
	struct rig *rig, struct rig_client *client, const char *path, const char *fields)
{
	char text[4096];

	(void)snprintf(
		text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", path, fields);
	rig_start_text(rig, client, text);
	client->eager = true;
}

/* What a worker asks for when it served a stale one; it had set `refreshing`. */
static inline void rig_refresh(
	struct rig *rig, struct rig_client *client, const char *path, const char *fields)
{
	char text[4096];

	(void)snprintf(
		text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", path, fields);
	rig_start_with(rig, client, text, /* background= */ true);
}

static inline void rig_finish(struct rig *rig, struct rig_client *client)
{
	cr_assert(!client->xchg->finished);
	client->xchg->finished = true;
	hf_xchg_to_origin(client->xchg->to, HF_XCHG_FINISH, client->xchg);
}

/* FINISH and GONE. */
static inline void rig_end(struct rig *rig, struct rig_client *client)
{
	rig_finish(rig, client);
	rig_until(rig, client->gone);
	free(client->body.data);
	client->body.data = NULL;
}

/* What a worker would find now; borrowed. */
static inline struct hf_obj *rig_lookup(struct rig *rig, const char *path, const char *fields)
{
	char text[4096], key[4096];
	struct hf_http_req req;
	struct hf_key hf_key;
	enum hf_lookup verdict;
	int key_len;

	(void)snprintf(
		text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", path, fields);
	rig_parse((struct hf_span){ text, strlen(text) }, &req);
	key_len = hf_http_key_build(key, sizeof(key), req.scheme, req.authority, req.path_query);
	hf_key = (struct hf_key){ key, (uint32_t)key_len,
		hf_cache_hash(rig->cache, key, (uint32_t)key_len) };
	return hf_cache_lookup(rig->cache, &hf_key, &req, &verdict);
}

/* The n-th connection's peer says an answer with a body of the pattern. */
static inline void rig_answer(struct rig_conn *conn, const char *fields, size_t len)
{
	char head[1024];
	char *body = rig_body(len);

	(void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", len,
		fields);
	rig_say(conn, head);
	rig_buf_add(&conn->out, body, len);
	free(body);
}

/* Stores an answer under the path, and makes it so much older. */
static inline void rig_store(
	struct rig *rig, const char *path, const char *fields, size_t len, uint32_t older_s)
{
	struct rig_client client;
	const char *head;

	rig_get(rig, &client, path, "");
	rig_answer(rig_asked(rig, &head), fields, len);
	rig_until(rig, rig_client_at_end(&client));
	origin_memo_clear(rig->origin, client.xchg->key.hash);
	rig_end(rig, &client);
	cr_assert(rig_lookup(rig, path, ""));
	rig_lookup(rig, path, "")->born_us -= (int64_t)older_s * 1000000;
}

static inline bool rig_has(struct hf_span text, const char *what)
{
	return text.len > 0 && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

static inline struct hf_span rig_head_of(const struct rig_client *client)
{
	return (struct hf_span){ client->xchg->obj->head, client->xchg->obj->head_len };
}

/* The field line is in that request's head, which ends with its empty line. */
static inline bool rig_head_has(const char *head, const char *line)
{
	return rig_has(
		(struct hf_span){ head, (size_t)(strstr(head, "\r\n\r\n") + 2 - head) }, line);
}

/* How many values a histogram has. */
static inline uint64_t rig_hist(enum hf_hist id)
{
	struct hf_hist_view view;

	hf_hist_sum(id, &view);
	return view.count;
}

/* Its body is whole, and is the one that was meant. */
static inline void rig_expect_body(struct rig *rig, struct rig_client *client, size_t len)
{
	rig_until(rig, rig_client_at_end(client));
	cr_assert_eq(client->read_len, len);
	cr_assert_eq(client->bad_at, UINT64_MAX);
}

static inline void rig_end_all(struct rig *rig, struct rig_client *client, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rig_end(rig, &client[i]);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0 &&
			       (!rig->second || hf_origin_in_flight(rig->second) == 0));
	rig_free(rig);
}

#define RIG_FRESH "Cache-Control: max-age=60\r\n"

#endif
