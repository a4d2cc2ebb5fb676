/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rings of nodes, and the turn.
 */
#include "hf_l2_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "l2_client.h"

#define CLIENT_EVENTS_MAX 64

/* ---- nodes ---- */

static struct l2_node *node_new(struct hf_l2 *l2, const struct hf_state_l2_node *at)
{
	/* a dead node costs a few requests read_ms each; then one in a while */
	const struct hf_l2_breaker_cfg cfg = { .failures = 5,
		.successes = 2,
		.pause_min_us = 250000,
		.pause_max_us = 5000000,
		.probe_max_us = 1000000 };
	struct l2_node *node = calloc(1, sizeof(*node));

	HF_ASSERT(node);
	node->l2 = l2;
	node->at = *at;
	node->serial = ++l2->serials;
	hf_l2_breaker_init(&node->breaker, &cfg, l2->now_us);
	return node;
}

void l2_node_unref(struct l2_node *node)
{
	HF_ASSERT(node->refs > 0);
	node->refs--;
	if (node->refs == 0)
		free(node);
}

struct l2_node *l2_node_each(const struct hf_l2 *l2, uint32_t *at)
{
	for (; *at < l2->ring.count + l2->next.count; (*at)++) {
		bool of_next = *at >= l2->ring.count;
		struct l2_node *node =
			of_next ? l2->next.node[*at - l2->ring.count] : l2->ring.node[*at];
		bool seen = false;

		for (uint32_t i = 0; of_next && i < l2->ring.count; i++)
			seen |= l2->ring.node[i] == node;
		if (seen)
			continue;
		(*at)++;
		return node;
	}
	return NULL;
}

static struct l2_node *node_find(const struct hf_l2 *l2, const struct hf_state_l2_node *at)
{
	struct l2_node *node;
	uint32_t i = 0;

	while ((node = l2_node_each(l2, &i)) != NULL)
		if (strcmp(node->at.id, at->id) == 0 && strcmp(node->at.host, at->host) == 0 &&
			node->at.port == at->port && node->at.tls == at->tls)
			return node;
	return NULL;
}

void l2_node_tried(struct l2_node *node)
{
	node->tried = true;
	node->l2->settled = true;
}

static void node_leave(struct l2_node *node)
{
	for (uint32_t i = 0; i < HF_L2_CONNECTIONS_MAX; i++)
		if (node->conn[i])
			l2_conn_retire(node->conn[i]);
	if (node->writer)
		l2_conn_retire(node->writer);
	if (node->listen.conn)
		l2_conn_retire(node->listen.conn);
}

/* ---- rings ---- */

static void ring_drop(struct hf_l2 *l2, struct l2_ring *ring)
{
	struct l2_ring old = *ring;

	*ring = (struct l2_ring){ 0 };
	if (ring == &l2->ring && !l2->spread)
		hf_stat_sub(HF_STAT_L2_SHARDS, old.count);
	for (uint32_t i = 0; i < old.count; i++) {
		if (old.node[i]->refs > 0 && node_find(l2, &old.node[i]->at) != old.node[i])
			node_leave(old.node[i]);
		l2_node_unref(old.node[i]);
	}
	free(old.node);
	hf_l2_ring_free(old.ring);
}

static void ring_swap(struct hf_l2 *l2)
{
	struct l2_ring old = l2->ring;

	hf_timer_del(l2->wheel, &l2->swap);
	l2->ring = l2->next;
	l2->next = old;
	if (!l2->spread) {
		hf_stat_add(HF_STAT_L2_SHARDS, l2->ring.count);
		hf_stat_sub(HF_STAT_L2_SHARDS, old.count);
	}
	ring_drop(l2, &l2->next);
	hf_log(HF_LOG_INFO, "l2", "a ring of %u nodes", l2->ring.count);
}

static void ring_look(struct hf_l2 *l2)
{
	l2->settled = false;
	if (!l2->next.ring)
		return;
	for (uint32_t i = 0; i < l2->next.count; i++)
		if (!l2->next.node[i]->tried)
			return;
	ring_swap(l2);
}

/* Are these the nodes of RING, wherever they stand in it? */
static bool ring_is(const struct l2_ring *ring, const struct hf_state_l2 *set)
{
	if (!ring->ring || ring->count != set->node_count)
		return false;
	for (uint32_t i = 0; i < ring->count; i++) {
		const struct hf_state_l2_node *at = &ring->node[i]->at;
		bool same = false;

		for (uint32_t j = 0; j < set->node_count; j++)
			same |= strcmp(at->id, set->node[j].id) == 0 &&
				hf_l2_ring_at(ring->ring, i)->weight == set->node[j].weight &&
				strcmp(at->host, set->node[j].host) == 0 &&
				at->port == set->node[j].port && at->tls == set->node[j].tls;
		if (!same)
			return false;
	}
	return true;
}

static void ring_fill(struct hf_l2 *l2, const struct hf_state_l2 *set)
{
	struct hf_l2_node list[HF_L2_NODES_MAX];
	struct hf_err err = { "" };
	struct l2_ring next = { .count = set->node_count };
	int rc;

	HF_ASSERT(set->node_count <= HF_L2_NODES_MAX);
	for (uint32_t i = 0; i < set->node_count; i++) {
		memcpy(list[i].id, set->node[i].id, sizeof(list[i].id));
		list[i].weight = set->node[i].weight;
	}
	rc = hf_l2_ring_update(NULL, list, set->node_count, &err, &next.ring);
	next.node = calloc(set->node_count, sizeof(struct l2_node *));
	if (rc != 0 || !next.node) {
		hf_log(HF_LOG_ERROR, "l2", "internal_error: %s", rc ? err.text : "no memory");
		hf_l2_ring_free(next.ring);
		free(next.node);
		return;
	}
	for (uint32_t i = 0; i < set->node_count; i++) {
		struct l2_node *node = node_find(l2, &set->node[i]);

		next.node[i] = node ? node : node_new(l2, &set->node[i]);
		next.node[i]->refs++;
	}
	ring_drop(l2, &l2->next);
	l2->next = next;
	for (uint32_t i = 0; i < next.count; i++) {
		struct l2_node *node = next.node[i];

		if (node->tried || node->conn[0])
			continue;
		node->conn[0] = l2_conn_open(node);
		if (!node->conn[0] && !node->resolving)
			l2_node_tried(node);
	}
	hf_timer_set(l2->wheel, &l2->swap, l2->now_us + l2->limits.connect_ms * 1000ULL);
	ring_look(l2);
}

static void client_tls(struct hf_l2 *l2, const struct hf_state_l2 *set)
{
	bool wanted = false;

	for (uint32_t i = 0; i < set->node_count; i++)
		wanted |= set->node[i].tls;
	if (wanted && !l2->tls)
		l2->tls = l2_tls_context(l2->ca_file);
}

void hf_l2_nodes_set(struct hf_l2 *l2, const struct hf_state_l2 *set, uint64_t now_us)
{
	l2->now_us = now_us;
	if (!set->on) {
		hf_timer_del(l2->wheel, &l2->swap);
		ring_drop(l2, &l2->next);
		ring_drop(l2, &l2->ring);
		return;
	}
	l2->reply_max = set->value_max + L2_REPLY_EXTRA;
	if (set->node_count == 0 || ring_is(&l2->ring, set)) {
		hf_timer_del(l2->wheel, &l2->swap);
		ring_drop(l2, &l2->next);
		return;
	}
	if (ring_is(&l2->next, set))
		return;
	client_tls(l2, set);
	ring_fill(l2, set);
}

bool hf_l2_is_on(const struct hf_l2 *l2)
{
	return l2->ring.ring != NULL;
}

/* ---- life ---- */

void hf_l2_limits_set(struct hf_l2 *l2, const struct hf_l2_limits *limits)
{
	HF_ASSERT(limits->connections >= 1 && limits->connections <= HF_L2_CONNECTIONS_MAX);
	HF_ASSERT(strlen(limits->ca_file) < sizeof(l2->ca_file));
	l2->limits = *limits;
	(void)snprintf(l2->ca_file, sizeof(l2->ca_file), "%s", limits->ca_file);
	l2->limits.ca_file = l2->ca_file;
}

int hf_l2_new(const struct hf_l2_limits *limits, struct hf_err *err, struct hf_l2 **ret_l2)
{
	struct hf_l2 *l2 = calloc(1, sizeof(*l2));
	struct epoll_event event = { .events = EPOLLIN };

	if (!l2)
		return hf_err_set(err, -ENOMEM, "no memory for L2");
	hf_list_init(&l2->dirty);
	hf_list_init(&l2->leaving);
	hf_list_init(&l2->ended);
	hf_list_init(&l2->spread_asks);
	hf_timer_init(&l2->swap, L2_TIMER_SWAP);
	hf_l2_limits_set(l2, limits);
	l2->now_us = hf_clock_us();
	l2->wheel = hf_wheel_new(256, l2->now_us);
	l2->box = l2_box_new();
	l2->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!l2->wheel || !l2->box || l2->epoll_fd < 0 ||
		epoll_ctl(l2->epoll_fd, EPOLL_CTL_ADD, l2_box_fd(l2->box), &event) != 0) {
		hf_l2_free(l2);
		return hf_err_set(err, -ENOMEM, "L2: no memory, or no descriptors");
	}
	*ret_l2 = l2;
	return 0;
}

static void client_forget(struct l2_conn *conn)
{
	struct hf_list *it;

	hf_list_for_each (it, &conn->waiting)
		HF_CONTAINER_OF(it, struct l2_request, link)->ask = NULL;
	conn->retired = true; /* nothing to be said about it */
	l2_conn_fail(conn, "");
}

void hf_l2_free(struct hf_l2 *l2)
{
	struct hf_list *it;
	struct l2_node *node;
	uint32_t at = 0;

	if (!l2)
		return;
	while ((node = l2_node_each(l2, &at)) != NULL) {
		for (uint32_t i = 0; i < HF_L2_CONNECTIONS_MAX; i++)
			if (node->conn[i])
				client_forget(node->conn[i]);
		if (node->writer)
			client_forget(node->writer);
		if (node->listen.conn)
			client_forget(node->listen.conn);
	}
	while ((it = hf_list_first(&l2->leaving)) != NULL)
		client_forget(HF_CONTAINER_OF(it, struct l2_conn, link));
	ring_drop(l2, &l2->next);
	ring_drop(l2, &l2->ring);
	l2_conn_free_ended(l2);
	l2_spread_fini(l2);
	l2_box_free(l2->box);
	SSL_CTX_free(l2->tls);
	hf_wheel_free(l2->wheel);
	if (l2->epoll_fd >= 0)
		(void)close(l2->epoll_fd);
	free(l2);
}

int hf_l2_fd(const struct hf_l2 *l2)
{
	return l2->epoll_fd;
}

/* ---- the turn ---- */

static bool client_events(struct hf_l2 *l2)
{
	struct epoll_event event[CLIENT_EVENTS_MAX];
	int n = epoll_wait(l2->epoll_fd, event, CLIENT_EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		if (event[i].data.ptr)
			l2_conn_ready(event[i].data.ptr, event[i].events);
		else
			l2_resolve_take(l2);
	}
	return n > 0;
}

static bool client_timers(struct hf_l2 *l2)
{
	struct hf_timer *timer;
	bool busy = false;

	while ((timer = hf_wheel_pop(l2->wheel, l2->now_us)) != NULL) {
		busy = true;
		switch ((enum l2_timer)timer->kind) {
		case L2_TIMER_REQUEST:
			l2_conn_fail(HF_CONTAINER_OF(timer, struct l2_request, timer)->conn,
				"no reply in time");
			break;
		case L2_TIMER_CONNECT:
			l2_conn_fail(HF_CONTAINER_OF(timer, struct l2_conn, timer),
				"no connection in time");
			break;
		case L2_TIMER_LIFETIME:
			l2_conn_retire(HF_CONTAINER_OF(timer, struct l2_conn, timer));
			break;
		case L2_TIMER_SWAP:
			if (l2->next.ring)
				ring_swap(l2);
			break;
		}
	}
	return busy;
}

bool hf_l2_run(struct hf_l2 *l2, uint64_t now_us)
{
	struct hf_list *it;
	bool busy;

	l2->now_us = now_us;
	if (l2->ring.count + l2->next.count + l2->lookups == 0 && hf_list_empty(&l2->leaving) &&
		hf_list_empty(&l2->ended))
		return false; /* off */
	busy = client_events(l2);
	busy |= client_timers(l2);
	if (l2->settled)
		ring_look(l2);
	while ((it = hf_list_first(&l2->dirty)) != NULL) {
		struct l2_conn *conn = HF_CONTAINER_OF(it, struct l2_conn, dirty);

		hf_list_del(it);
		l2_conn_flush(conn);
		busy = true;
	}
	l2_conn_free_ended(l2);
	return busy;
}

bool hf_l2_has_work(const struct hf_l2 *l2)
{
	return !hf_list_empty(&l2->dirty) || l2->settled;
}

uint64_t hf_l2_due_us(const struct hf_l2 *l2)
{
	return hf_wheel_next_us(l2->wheel);
}

/* ---- for operators ---- */

static void client_tell_conn(struct hf_l2_node_status *status, const struct l2_conn *conn)
{
	if (!conn)
		return;
	status->connections += conn->ready;
	status->in_flight += conn->waiting_count;
}

uint32_t hf_l2_tell(const struct hf_l2 *l2, struct hf_l2_node_status *ret_nodes, uint32_t cap)
{
	const struct l2_node *node;
	uint32_t at = 0, count = 0;

	for (; (node = l2_node_each(l2, &at)) != NULL; count++) {
		struct hf_l2_node_status *status = &ret_nodes[count];

		if (count >= cap)
			continue;
		*status = (struct hf_l2_node_status){ .at = node->at,
			.commands = node->commands,
			.failures = node->failures,
			.breaker = node->breaker.state };
		for (uint32_t i = 0; i < l2->ring.count; i++)
			status->in_ring |= l2->ring.node[i] == node;
		for (uint32_t i = 0; i < HF_L2_CONNECTIONS_MAX; i++)
			client_tell_conn(status, node->conn[i]);
		client_tell_conn(status, node->writer);
	}
	return count;
}
