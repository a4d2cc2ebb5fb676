/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Names of nodes: looked up in threads, which leave what they found in a box. An address needs none.
 */
#include "hf_l2_client.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hf_log.h"

#include "l2_client.h"

/* As long as somebody has it. */
struct l2_box {
	pthread_mutex_t lock;
	uint32_t refs;
	int fd;
	struct hf_list found;
};

struct l2_lookup {
	struct hf_list link;
	struct l2_box *box;
	uint64_t serial;
	char host[256], port[8];
	struct l2_address address[L2_ADDRESSES_MAX];
	uint32_t count;
};

struct l2_box *l2_box_new(void)
{
	struct l2_box *box = calloc(1, sizeof(*box));

	if (!box)
		return NULL;
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	box->refs = 1;
	hf_list_init(&box->found);
	if (box->fd >= 0 && pthread_mutex_init(&box->lock, NULL) == 0)
		return box;
	if (box->fd >= 0)
		(void)close(box->fd);
	free(box);
	return NULL;
}

int l2_box_fd(const struct l2_box *box)
{
	return box->fd;
}

static void box_unref(struct l2_box *box)
{
	struct hf_list *it;
	bool last;

	(void)pthread_mutex_lock(&box->lock);
	last = --box->refs == 0;
	(void)pthread_mutex_unlock(&box->lock);
	if (!last)
		return;
	while ((it = hf_list_first(&box->found)) != NULL) {
		hf_list_del(it);
		free(HF_CONTAINER_OF(it, struct l2_lookup, link));
	}
	(void)close(box->fd);
	(void)pthread_mutex_destroy(&box->lock);
	free(box);
}

void l2_box_free(struct l2_box *box)
{
	if (box)
		box_unref(box);
}

/* FLAGS: AI_NUMERICHOST never waits. */
static uint32_t resolve(const char *host, const char *port, int flags, struct l2_address *ret)
{
	const struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	uint32_t count = 0;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return 0;
	for (struct addrinfo *at = list; at && count < L2_ADDRESSES_MAX; at = at->ai_next) {
		if (at->ai_addrlen > sizeof(ret[count].at))
			continue;
		memcpy(&ret[count].at, at->ai_addr, at->ai_addrlen);
		ret[count++].len = at->ai_addrlen;
	}
	freeaddrinfo(list);
	return count;
}

static void *resolve_main(void *arg)
{
	struct l2_lookup *lookup = arg;
	struct l2_box *box = lookup->box;
	const uint64_t one = 1;

	lookup->count = resolve(lookup->host, lookup->port, 0, lookup->address);
	(void)pthread_mutex_lock(&box->lock);
	hf_list_add_tail(&box->found, &lookup->link);
	(void)pthread_mutex_unlock(&box->lock);
	(void)!write(box->fd, &one, sizeof(one));
	box_unref(box);
	return NULL;
}

static bool resolve_begin(struct l2_lookup *lookup)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool begun;

	if (pthread_attr_init(&attr) != 0)
		return false;
	begun = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
		pthread_create(&thread, &attr, resolve_main, lookup) == 0;
	(void)pthread_attr_destroy(&attr);
	return begun;
}

void l2_resolve(struct l2_node *node)
{
	struct hf_l2 *l2 = node->l2;
	struct l2_lookup *lookup;
	uint32_t count;

	if (node->resolving || l2->now_us < node->resolve_us)
		return;
	node->resolve_us = l2->now_us + L2_RESOLVE_US;
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return;
	(void)snprintf(lookup->host, sizeof(lookup->host), "%s", node->at.host);
	(void)snprintf(lookup->port, sizeof(lookup->port), "%u", node->at.port);
	count = resolve(lookup->host, lookup->port, AI_NUMERICHOST, node->address);
	if (count > 0) {
		node->address_count = count;
		node->resolve_us = UINT64_MAX; /* it is what it is */
		free(lookup);
		return;
	}
	lookup->box = l2->box;
	lookup->serial = node->serial;
	(void)pthread_mutex_lock(&l2->box->lock);
	l2->box->refs++;
	(void)pthread_mutex_unlock(&l2->box->lock);
	node->resolving = resolve_begin(lookup);
	if (node->resolving) {
		l2->lookups++;
		return;
	}
	box_unref(l2->box);
	free(lookup);
}

static void resolve_found(struct hf_l2 *l2, const struct l2_lookup *lookup)
{
	struct l2_node *node;
	uint32_t at = 0;

	while ((node = l2_node_each(l2, &at)) != NULL && node->serial != lookup->serial)
		;
	if (!node)
		return;
	node->resolving = false;
	if (lookup->count == 0) { /* the addresses before are better than none */
		node->resolve_us = l2->now_us + L2_RESOLVE_MIN_US;
		hf_log(HF_LOG_WARN, "l2", "internal_error: node %s: no address of %s", node->at.id,
			node->at.host);
		l2_node_tried(node);
		return;
	}
	memcpy(node->address, lookup->address, sizeof(node->address));
	node->address_count = lookup->count;
	node->address_next = 0;
	if (!node->tried && !node->conn[0]) {
		node->conn[0] = l2_conn_open(node);
		if (!node->conn[0])
			l2_node_tried(node);
	}
}

void l2_resolve_take(struct hf_l2 *l2)
{
	struct hf_list *it;
	uint64_t count;

	(void)!read(l2->box->fd, &count, sizeof(count));
	for (;;) {
		(void)pthread_mutex_lock(&l2->box->lock);
		it = hf_list_first(&l2->box->found);
		if (it)
			hf_list_del(it);
		(void)pthread_mutex_unlock(&l2->box->lock);
		if (!it)
			return;
		l2->lookups--;
		resolve_found(l2, HF_CONTAINER_OF(it, struct l2_lookup, link));
		free(HF_CONTAINER_OF(it, struct l2_lookup, link));
	}
}
