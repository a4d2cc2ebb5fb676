/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A rig for the client: nodes are sockets of the test, which says what they answer, or a real redis-server. Time is
 * the test's.
 */
#ifndef L2_RIG_CLIENT_H
#define L2_RIG_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "l2_client.h"
#include "rig_redis.h"

#define RIG_NODES 4
#define RIG_CONNS 16

struct rig_peer {
	int fd;
	char in[65536];
	size_t len;
};

struct rig_node {
	int listener;
	uint16_t port;
	struct rig_peer peer[RIG_CONNS];
	uint32_t peers;
};

struct rig {
	struct hf_l2 *l2;
	uint64_t now_us;
	struct rig_node node[RIG_NODES];
	struct hf_state_l2 set;
	struct hf_state_l2_node at[RIG_NODES];
};

/* Somebody who waits, and what came. */
struct rig_ask {
	struct hf_l2_ask ask;
	bool done;
	enum hf_l2_outcome outcome;
	char value[256];
	size_t len;
};

static inline void rig_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct rig_ask *own = HF_CONTAINER_OF(ask, struct rig_ask, ask);

	cr_assert(!own->done, "told twice");
	own->done = true;
	own->outcome = outcome;
	own->len = value.len;
	if (value.len > 0)
		memcpy(own->value, value.ptr, hf_min_size(value.len, sizeof(own->value)));
}

static inline struct hf_l2_key rig_key(const char *url)
{
	struct hf_l2_key key;

	hf_l2_key_of("t", (struct hf_span){ url, strlen(url) }, &key);
	return key;
}

static inline void rig_listen(struct rig_node *node)
{
	node->listener = rig_listener(&node->port);
}

static inline void rig_deaf(struct rig_node *node)
{
	for (uint32_t i = 0; i < node->peers; i++)
		if (node->peer[i].fd >= 0)
			(void)close(node->peer[i].fd);
	node->peers = 0;
	if (node->listener >= 0)
		(void)close(node->listener);
	node->listener = -1;
}

static inline void rig_node_turn(struct rig_node *node)
{
	int fd;

	while (node->listener >= 0 &&
		(fd = accept4(node->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		cr_assert(node->peers < RIG_CONNS);
		node->peer[node->peers++] = (struct rig_peer){ .fd = fd };
	}
	for (uint32_t i = 0; i < node->peers; i++) {
		struct rig_peer *peer = &node->peer[i];
		ssize_t n;

		while (peer->fd >= 0 && (n = read(peer->fd, peer->in + peer->len,
						 sizeof(peer->in) - 1 - peer->len)) > 0) {
			peer->len += (size_t)n;
			peer->in[peer->len] = '\0';
		}
	}
}

static inline void rig_turn(struct rig *rig)
{
	struct pollfd poll_fd = { .fd = hf_l2_fd(rig->l2), .events = POLLIN };

	(void)poll(&poll_fd, 1, 1);
	(void)hf_l2_run(rig->l2, rig->now_us);
	for (uint32_t i = 0; i < RIG_NODES; i++)
		rig_node_turn(&rig->node[i]);
}

#define rig_until(rig, condition) rig_turn_until(rig_turn(rig), condition)

static inline void rig_settle(struct rig *rig)
{
	for (uint32_t i = 0; i < 20; i++)
		rig_turn(rig);
}

/* Time goes on. */
static inline void rig_pass(struct rig *rig, uint64_t ms)
{
	rig->now_us += ms * 1000;
	rig_settle(rig);
}

static inline void rig_say(struct rig_peer *peer, const char *text)
{
	size_t len = strlen(text);

	cr_assert_eq(send(peer->fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline bool rig_heard(const struct rig_peer *peer, const char *text)
{
	return peer->len > 0 && strstr(peer->in, text) != NULL;
}

/* Every PING that came and was not answered is. */
static inline void rig_pong(struct rig_node *node)
{
	for (uint32_t i = 0; i < node->peers; i++) {
		struct rig_peer *peer = &node->peer[i];

		if (peer->fd >= 0 && rig_heard(peer, "PING\r\n")) {
			peer->len = 0;
			peer->in[0] = '\0';
			rig_say(peer, "+PONG\r\n");
		}
	}
}

static inline void rig_nodes(struct rig *rig, uint32_t from, uint32_t count)
{
	rig->set.node = rig->at;
	rig->set.node_count = count;
	for (uint32_t i = 0; i < count; i++) {
		rig->at[i] =
			(struct hf_state_l2_node){ .weight = 1, .port = rig->node[from + i].port };
		(void)snprintf(rig->at[i].id, sizeof(rig->at[i].id), "n%u", from + i);
		(void)snprintf(rig->at[i].host, sizeof(rig->at[i].host), "127.0.0.1");
	}
	hf_l2_nodes_set(rig->l2, &rig->set, rig->now_us);
}

static inline struct rig *rig_new(uint32_t connections)
{
	const struct hf_l2_limits limits = { .connect_ms = 25,
		.read_ms = 25,
		.write_ms = 25,
		.keepalive_ms = 15000,
		.lifetime_ms = 300000,
		.connections = connections,
		.ca_file = "" };
	struct rig *rig = calloc(1, sizeof(*rig));
	struct hf_err err = { "" };

	rig_stat();
	rig->now_us = hf_clock_us();
	for (uint32_t i = 0; i < RIG_NODES; i++)
		rig->node[i].listener = -1;
	rig->set.on = true;
	rig->set.value_max = 1 << 20;
	cr_assert(hf_l2_new(&limits, &err, &rig->l2) == 0, "%s", err.text);
	return rig;
}

/* One node, connected. */
static inline struct rig *rig_one(void)
{
	struct rig *rig = rig_new(1);

	rig_listen(&rig->node[0]);
	rig_nodes(rig, 0, 1);
	rig_until(rig, rig->node[0].peers == 1 && rig_heard(&rig->node[0].peer[0], "PING"));
	rig_pong(&rig->node[0]);
	rig_until(rig, hf_l2_is_on(rig->l2));
	return rig;
}

static inline void rig_free(struct rig *rig)
{
	hf_l2_free(rig->l2);
	for (uint32_t i = 0; i < RIG_NODES; i++)
		rig_deaf(&rig->node[i]);
	free(rig);
}

static inline bool rig_get(struct rig *rig, struct rig_ask *ask, const char *url)
{
	struct hf_l2_key key = rig_key(url);

	*ask = (struct rig_ask){ .ask.done = rig_done };
	return hf_l2_get(rig->l2, &key, &ask->ask, rig->now_us);
}

static inline bool rig_set(
	struct rig *rig, struct rig_ask *ask, const char *url, const char *value, bool if_absent)
{
	struct hf_l2_key key = rig_key(url);
	const struct hf_l2_put put = { .key = &key,
		.value = { value, strlen(value) },
		.px_ms = 60000,
		.if_absent = if_absent };

	*ask = (struct rig_ask){ .ask.done = rig_done };
	return hf_l2_set(rig->l2, &put, &ask->ask, rig->now_us);
}

#endif
