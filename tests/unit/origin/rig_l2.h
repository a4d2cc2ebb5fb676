/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A node of L2 for the rig: a store of the test's, which can be told to fail.
 */
#ifndef ORIGIN_RIG_L2_H
#define ORIGIN_RIG_L2_H

#include "rig.h"

#define STORE_MAX  64
#define STORE_CONN 64
#define STORE_OOM  "-OOM command not allowed\r\n"

/* SILENT: loses what it is told. BUSY: does it later, if the others are done before. */
enum store_mood { STORE_GOOD, STORE_SILENT, STORE_ERROR, STORE_FULL, STORE_BUSY };

struct store {
	struct rig *rig;
	int listener;
	uint16_t port;
	enum store_mood mood;
	int fd[STORE_CONN];
	struct rig_buf in[STORE_CONN];
	uint32_t conns;
	struct {
		char key[160];
		struct rig_buf value;
	} item[STORE_MAX];
	uint32_t items;
	struct {
		const char *key;
		struct rig_buf value;
	} late; /* another edge's: stored, and its lease given back, before the next claim */
	bool backwards; /* connections are served from the last to the first */
	uint32_t gets, sets, dels, purges;
	uint64_t px_ms; /* of the last SET */
};

static inline struct rig_buf *store_find(struct store *store, const char *key)
{
	for (uint32_t i = 0; i < store->items; i++)
		if (strcmp(store->item[i].key, key) == 0)
			return &store->item[i].value;
	return NULL;
}

static inline void store_put(struct store *store, const char *key, const char *value, size_t len)
{
	struct rig_buf *at = store_find(store, key);

	if (!at) {
		uint32_t slot = store->items < STORE_MAX ? store->items++ : store->sets % STORE_MAX;

		(void)snprintf(store->item[slot].key, sizeof(store->item[0].key), "%s", key);
		at = &store->item[slot].value;
	}
	at->len = 0;
	rig_buf_add(at, value, len);
}

static inline void store_say(int fd, const char *text, size_t len)
{
	(void)send(fd, text, len, MSG_NOSIGNAL); /* it may have hung up */
}

static inline void store_get(struct store *store, int fd, const char *key)
{
	const struct rig_buf *at = store_find(store, key);
	char head[32];

	store->gets++;
	if (!at || at->len == 0) {
		store_say(fd, "$-1\r\n", 5);
		return;
	}
	store_say(fd, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", at->len));
	store_say(fd, at->data, at->len);
	store_say(fd, "\r\n", 2);
}

/* SET KEY 1 PX MS NX: a lease. */
static inline void store_claim(struct store *store, int fd, const struct hf_span *arg)
{
	const struct rig_buf *at = store_find(store, arg[1].ptr);

	store->sets++;
	store->px_ms = strtoull(arg[4].ptr, NULL, 10);
	if (store->mood == STORE_FULL) {
		store_say(fd, STORE_OOM, strlen(STORE_OOM));
	} else if (at && at->len > 0) {
		store_say(fd, "$-1\r\n", 5);
	} else {
		if (store->late.key)
			store_put(store, store->late.key, store->late.value.data,
				store->late.value.len);
		store_put(store, arg[1].ptr, arg[2].ptr, arg[2].len);
		store_say(fd, "+OK\r\n", 5);
	}
}

/* EVAL SCRIPT 1 KEY VALUE MS MARK ABSENT: what the script of hf_l2_set does. */
static inline void store_set(struct store *store, int fd, const struct hf_span *arg)
{
	const struct rig_buf *at = store_find(store, arg[3].ptr);
	bool there = at && at->len > 0;
	bool marked = there && at->len == HF_L2_MARK_LEN && at->data[5] == HF_L2_PURGED;
	bool seen = marked && arg[6].len == 8 && memcmp(at->data + 28, arg[6].ptr, 8) == 0;

	store->sets++;
	store->px_ms = strtoull(arg[5].ptr, NULL, 10);
	if (marked ? !seen : there && *arg[7].ptr == '1') {
		store_say(fd, "$-1\r\n", 5);
	} else if (store->mood == STORE_FULL) {
		store_say(fd, STORE_OOM, strlen(STORE_OOM));
	} else {
		store_put(store, arg[3].ptr, arg[4].ptr, arg[4].len);
		store_say(fd, "+OK\r\n", 5);
	}
}

static inline void store_command(struct store *store, int fd, struct hf_span *arg, uint32_t count)
{
	bool ping = strcmp(arg[0].ptr, "PING") == 0;

	if (store->mood == STORE_SILENT)
		return;
	if (ping) {
		store_say(fd, "+PONG\r\n", 7);
	} else if (store->mood == STORE_ERROR) {
		store_say(fd, "-ERR no\r\n", 9);
	} else if (strcmp(arg[0].ptr, "GET") == 0) {
		store_get(store, fd, arg[1].ptr);
	} else if (strcmp(arg[0].ptr, "SET") == 0) {
		store_claim(store, fd, arg);
	} else if (strcmp(arg[0].ptr, "EVAL") == 0 && count == 8) {
		store_set(store, fd, arg);
	} else if (strcmp(arg[0].ptr, "EVAL") == 0) { /* hf_l2_purge */
		store->purges++;
		store_put(store, arg[3].ptr, arg[4].ptr, arg[4].len);
		store_say(fd, ":1\r\n", 4);
	} else {
		struct rig_buf *at = store_find(store, arg[1].ptr);

		if (strcmp(arg[0].ptr, "DEL") == 0) {
			store->dels++;
			if (at)
				at->len = 0;
		}
		store_say(fd, ":1\r\n", 4);
	}
}

/* The first whole command of BUF, whose bytes are cut off; its arguments are ended by NUL. False: none. */
static inline bool store_next(struct store *store, int fd, struct rig_buf *buf)
{
	struct hf_span arg[8];
	char *at = buf->data, *end, *line;
	long count;

	if (buf->len == 0 || !memchr(at, '\n', buf->len))
		return false;
	end = at + buf->len;
	count = strtol(at + 1, &line, 10);
	at = line + 2;
	for (long i = 0; i < count; i++) {
		long len;

		if (at >= end || !memchr(at, '\n', (size_t)(end - at)))
			return false;
		len = strtol(at + 1, &line, 10);
		at = line + 2;
		if (end - at < len + 2)
			return false;
		arg[i] = (struct hf_span){ at, (size_t)len };
		at += len + 2;
	}
	for (long i = 0; i < count; i++)
		*(char *)(uintptr_t)(arg[i].ptr + arg[i].len) = '\0';
	store_command(store, fd, arg, (uint32_t)count);
	buf->len -= (size_t)(at - buf->data);
	memmove(buf->data, at, buf->len);
	return true;
}

static inline void store_hang_up(struct store *store, uint32_t conn)
{
	(void)close(store->fd[conn]);
	free(store->in[conn].data);
	store->conns--;
	for (uint32_t i = conn; i < store->conns; i++) { /* in the order in which they came */
		store->fd[i] = store->fd[i + 1];
		store->in[i] = store->in[i + 1];
	}
	store->in[store->conns] = (struct rig_buf){ 0 };
}

static inline void store_turn(struct store *store)
{
	bool gone[STORE_CONN];
	char block[65536];
	ssize_t n;
	int fd;

	if (store->mood == STORE_BUSY)
		return;
	while ((fd = accept4(store->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		cr_assert(store->conns < STORE_CONN);
		store->fd[store->conns++] = fd;
	}
	for (uint32_t turn = 0; turn < store->conns; turn++) {
		uint32_t i = store->backwards ? store->conns - 1 - turn : turn;

		while ((n = read(store->fd[i], block, sizeof(block))) > 0)
			rig_buf_add(&store->in[i], block, (size_t)n);
		gone[i] = n == 0 || errno != EAGAIN;
		while (store_next(store, store->fd[i], &store->in[i]))
			;
	}
	for (uint32_t i = store->conns; i-- > 0;)
		if (gone[i])
			store_hang_up(store, i);
}

#define store_until(store, condition)                                                              \
	do {                                                                                       \
		uint64_t give_up_us = hf_clock_us() + RIG_PATIENCE_US;                             \
		while (!(condition)) {                                                             \
			rig_turn((store)->rig);                                                    \
			store_turn(store);                                                         \
			cr_assert(hf_clock_us() < give_up_us, "never: %s", #condition);            \
		}                                                                                  \
	} while (0)

static inline void store_state(struct store *store, const char *more)
{
	struct rig *rig = store->rig;
	struct hf_state *state = NULL;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"issued_at\":\"2026-01-01T00:00:00Z\","
		"\"origins\":[{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:%u\"}],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"a.test\",\"path\":\"/\",\"group\":\"g\"}],"
		"\"l2\":{%s\"nodes\":[{\"id\":\"n\",\"url\":\"redis://127.0.0.1:%u\"}]}}",
		rig->port, more, store->port);
	cr_assert(hf_state_parse(text, strlen(text), stderr, &state) == 0);
	hf_origin_state_set(rig->origin, state);
	if (rig->second)
		hf_origin_state_set(rig->second, state);
	hf_state_unref(state);
	store_until(store, hf_l2_is_on(rig->origin->l2.client));
}

static inline struct store *store_new(const char *more)
{
	struct store *store = calloc(1, sizeof(*store));
	struct rig listener = { .port = 0 };

	store->rig = rig_new();
	rig_listen(&listener);
	store->listener = listener.listener;
	store->port = listener.port;
	store_state(store, more);
	return store;
}

static inline void store_free(struct store *store)
{
	(void)close(store->listener);
	for (uint32_t i = 0; i < store->conns; i++) {
		(void)close(store->fd[i]);
		free(store->in[i].data);
	}
	for (uint32_t i = 0; i < store->items; i++)
		free(store->item[i].value.data);
	rig_free(store->rig);
	free(store);
}

static inline uint64_t stat_of(enum hf_stat id)
{
	return hf_stat_own->stat[id];
}

#endif
