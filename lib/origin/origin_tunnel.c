/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Tunnels: what CONNECT asks for (RFC 9110 §9.3.6), to a target that lib/serve has found allowed.
 *
 *      CONNECT -> libcurl: name, addresses, connection -> its socket is ours -> HEAD
 *      client --BODY--> socket          the end of what a client sends is told on: the other way stays open
 *      client <--stream-- socket        its end is the tunnel's
 *
 * The stream is at most a window ahead of its client, as any (G4); of what comes from the client HF_XCHG_BODIES_MAX
 * buffers wait. A tunnel takes no slot and is no fetch. tunnel.max bounds them; silence both ways for
 * tunnel.idle_timeout, or tunnel.total_timeout, ends one: then the client's connection is reset.
 */
#include "hf_origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_priv.h"
#include "origin_wire.h"

struct origin_tunnel {
	struct hf_list link; /* in origin->tunnels */
	struct hf_origin *origin;
	struct origin_reader *reader;
	CURL *easy; /* while it connects */
	int fd;     /* -1: not yet */
	struct hf_obj *obj;
	struct hf_timer timer;
	uint64_t moved_us, until_us;
	bool told;    /* the socket knows that no more comes from the client */
	bool starved; /* for lack of memory */
};

static struct origin_tunnel *tunnel_of(struct hf_list *link)
{
	return HF_CONTAINER_OF(link, struct origin_tunnel, link);
}

/* ---- its end ---- */

static void tunnel_stop_curl(struct origin_tunnel *tunnel)
{
	if (!tunnel->easy)
		return;
	HF_ASSERT(curl_multi_remove_handle(tunnel->origin->multi, tunnel->easy) == CURLM_OK);
	curl_easy_cleanup(tunnel->easy);
	tunnel->easy = NULL;
}

static void tunnel_free(struct origin_tunnel *tunnel, enum hf_stat outcome)
{
	struct hf_origin *origin = tunnel->origin;

	tunnel_stop_curl(tunnel);
	hf_timer_del(origin->wheel, &tunnel->timer);
	if (tunnel->fd >= 0)
		(void)close(tunnel->fd);
	if (tunnel->obj)
		hf_shard_obj_unref(origin->shard, tunnel->obj);
	if (tunnel->reader)
		tunnel->reader->tunnel = NULL;
	hf_list_del(&tunnel->link);
	origin->tunnel_count--;
	hf_stat_sub(HF_STAT_TUNNELS_OPEN, 1);
	hf_stat_inc(outcome);
	free(tunnel);
}

/* What is on its way to the client is sent, what came from it is not. */
static void tunnel_close(struct origin_tunnel *tunnel)
{
	hf_shard_fill_end(tunnel->origin->shard, tunnel->obj);
	origin_reader_more(tunnel->origin, tunnel->reader);
	origin_body_discard(tunnel->origin, tunnel->reader);
	tunnel_free(tunnel, HF_STAT_TUNNELS_CLOSED);
}

static void tunnel_fail(struct origin_tunnel *tunnel, bool late)
{
	struct hf_origin *origin = tunnel->origin;

	if (tunnel->obj) {
		hf_shard_fill_fail(origin->shard, tunnel->obj);
		origin_reader_more(origin, tunnel->reader);
		origin_body_discard(origin, tunnel->reader);
	} else {
		origin_reader_fail(origin, tunnel->reader, late ? 504 : 502,
			late ? HF_DROP_REQ_ORIGIN_TIMEOUT : HF_DROP_REQ_ORIGIN_FAILED);
	}
	tunnel_free(tunnel, late ? HF_STAT_TUNNELS_TIMEOUT : HF_STAT_TUNNELS_FAILED);
}

void origin_tunnel_leave(struct origin_tunnel *tunnel)
{
	tunnel_free(tunnel, HF_STAT_TUNNELS_CLOSED);
}

void origin_tunnel_fini_all(struct hf_origin *origin)
{
	struct hf_list *it;

	while (origin->tunnels.next && (it = hf_list_first(&origin->tunnels)) != NULL) {
		struct origin_tunnel *tunnel = tunnel_of(it);

		if (tunnel->obj)
			hf_shard_fill_fail(origin->shard, tunnel->obj);
		tunnel->reader = NULL; /* nobody listens any more */
		tunnel_free(tunnel, HF_STAT_TUNNELS_CLOSED);
	}
}

/* ---- both ways ---- */

static void tunnel_moved(struct origin_tunnel *tunnel, enum hf_stat bytes, size_t len)
{
	tunnel->moved_us = tunnel->origin->now_us;
	hf_stat_add(bytes, len);
}

/* False: the connection is broken. */
static bool tunnel_send(struct origin_tunnel *tunnel)
{
	struct origin_reader *reader = tunnel->reader;

	while (reader->body_count > 0) {
		struct hf_span run = origin_body_run(reader);
		ssize_t n = 0;

		if (run.len > 0)
			n = send(tunnel->fd, run.ptr, run.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		tunnel_moved(tunnel, HF_STAT_TUNNEL_BYTES_UP, (size_t)n);
		origin_body_advance(tunnel->origin, reader, (size_t)n);
	}
	if (reader->body_last && !tunnel->told) {
		tunnel->told = true;
		(void)shutdown(tunnel->fd, SHUT_WR);
	}
	return true;
}

/* Bytes that the stream may be ahead of what it is; 0: the client will say when it took some. */
static size_t tunnel_room(struct origin_tunnel *tunnel)
{
	struct hf_xchg *xchg = tunnel->reader->xchg;
	uint64_t window = origin_flow_window(tunnel->origin);
	uint64_t filled = atomic_load_explicit(&tunnel->obj->filled, memory_order_relaxed);

	for (uint32_t look = 0; look < 2; look++) {
		uint64_t limit = atomic_load(&xchg->consumed) + window;

		if (limit >= filled + window / 4)
			return (size_t)(limit - filled);
		/* before the second look: the worker moves `consumed`, then looks for this */
		atomic_store(&xchg->credit_wanted, true);
	}
	return 0;
}

enum tunnel_got { TUNNEL_GOT, TUNNEL_LATER, TUNNEL_END, TUNNEL_BROKEN };

/* What finds no memory stays in the socket. */
static enum tunnel_got tunnel_get(struct origin_tunnel *tunnel)
{
	struct hf_origin *origin = tunnel->origin;
	size_t room = tunnel_room(tunnel), got;
	ssize_t n;

	if (room == 0)
		return TUNNEL_LATER;
	n = recv(tunnel->fd, origin->scratch, hf_min_size(room, ORIGIN_SCRATCH_LEN),
		MSG_PEEK | MSG_DONTWAIT);
	if (n == 0)
		return TUNNEL_END;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? TUNNEL_LATER : TUNNEL_BROKEN;
	hf_shard_trim(origin->shard, tunnel->obj, atomic_load(&tunnel->reader->xchg->consumed));
	got = hf_shard_fill(origin->shard, tunnel->obj, origin->scratch, (size_t)n);
	hf_wipe(origin->scratch, (size_t)n);
	tunnel->starved = got < (size_t)n;
	if (got > 0) {
		HF_ASSERT(recv(tunnel->fd, NULL, got, MSG_TRUNC | MSG_DONTWAIT) == (ssize_t)got);
		tunnel_moved(tunnel, HF_STAT_TUNNEL_BYTES_DOWN, got);
		origin_reader_more(origin, tunnel->reader);
	}
	return tunnel->starved ? TUNNEL_LATER : TUNNEL_GOT;
}

/* The client hears of it. False: there is no memory yet. */
static bool tunnel_open(struct origin_tunnel *tunnel)
{
	const struct hf_obj_spec spec = { .head = HF_SPAN("HTTP/1.1 200 OK\r\n"),
		.length = HF_OBJ_LENGTH_UNKNOWN,
		.born_us = (int64_t)tunnel->origin->now_us,
		.status = 200,
		.flags = HF_OBJ_STREAM };

	tunnel->obj = hf_shard_obj_new(tunnel->origin->shard, &spec);
	tunnel->starved = !tunnel->obj;
	if (tunnel->starved)
		return false;
	origin_reader_attach(tunnel->origin, tunnel->reader, tunnel->obj, /* stored= */ false,
		/* collapsed= */ false);
	return true;
}

void origin_tunnel_go_on(struct origin_tunnel *tunnel)
{
	enum tunnel_got got;

	if (tunnel->fd < 0 || (!tunnel->obj && !tunnel_open(tunnel)))
		return;
	if (!tunnel_send(tunnel)) {
		tunnel_fail(tunnel, /* late= */ false);
		return;
	}
	do
		got = tunnel_get(tunnel);
	while (got == TUNNEL_GOT);
	if (got == TUNNEL_END)
		tunnel_close(tunnel);
	else if (got == TUNNEL_BROKEN)
		tunnel_fail(tunnel, /* late= */ false);
}

void origin_tunnel_ready(struct hf_origin *origin, int fd)
{
	struct hf_list *it;

	hf_list_for_each (it, &origin->tunnels)
		if (tunnel_of(it)->fd == fd) {
			origin_tunnel_go_on(tunnel_of(it));
			return;
		}
}

void origin_tunnel_memory(struct hf_origin *origin)
{
	struct hf_list *it, *after;

	hf_list_for_each_safe (it, after, &origin->tunnels)
		if (tunnel_of(it)->starved)
			origin_tunnel_go_on(tunnel_of(it));
}

void origin_tunnel_due(struct hf_timer *timer)
{
	struct origin_tunnel *tunnel = HF_CONTAINER_OF(timer, struct origin_tunnel, timer);
	struct hf_origin *origin = tunnel->origin;
	uint64_t due_us = tunnel->moved_us + origin->conf->tunnel.idle_timeout_ms * 1000ULL;

	due_us = hf_min_u64(due_us, tunnel->until_us);
	if (due_us <= origin->now_us)
		tunnel_fail(tunnel, /* late= */ true);
	else
		hf_timer_set(origin->wheel, timer, due_us);
}

/* ---- its begin ---- */

static int tunnel_watch(struct origin_tunnel *tunnel)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

	event.data.u64 = ORIGIN_WATCH_TUNNEL | (uint32_t)tunnel->fd;
	return epoll_ctl(tunnel->origin->epoll_fd, EPOLL_CTL_ADD, tunnel->fd, &event);
}

/* curl closes its own descriptor of the socket. */
static bool tunnel_take_socket(struct origin_tunnel *tunnel)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	(void)curl_easy_getinfo(tunnel->easy, CURLINFO_ACTIVESOCKET, &fd);
	tunnel->fd = fd == CURL_SOCKET_BAD ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	tunnel_stop_curl(tunnel);
	return tunnel->fd >= 0 && tunnel_watch(tunnel) == 0;
}

bool origin_tunnel_connected(struct hf_origin *origin, CURL *easy, CURLcode code)
{
	struct origin_tunnel *tunnel = NULL;
	struct hf_list *it;

	hf_list_for_each (it, &origin->tunnels)
		if (tunnel_of(it)->easy == easy)
			tunnel = tunnel_of(it);
	if (!tunnel)
		return false;
	if (code != CURLE_OK || !tunnel_take_socket(tunnel))
		tunnel_fail(tunnel, code == CURLE_OPERATION_TIMEDOUT);
	else
		origin_tunnel_go_on(tunnel);
	return true;
}

/* The key is http://HOST:PORT/, which is all that curl needs to know. */
static int tunnel_connect(struct origin_tunnel *tunnel)
{
	struct hf_origin *origin = tunnel->origin;
	const struct hf_key *key = &tunnel->reader->xchg->key;
	CURL *easy = curl_easy_init();
	CURLcode code;

	if (!easy)
		return -ENOMEM;
	HF_ASSERT(key->len < ORIGIN_SCRATCH_LEN);
	memcpy(origin->scratch, key->ptr, key->len);
	origin->scratch[key->len] = '\0';
	code = origin_rules_set(origin, easy, origin->scratch);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	code |= curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long)origin->conf->origin.connect_timeout_ms);
	if (code != CURLE_OK || curl_multi_add_handle(origin->multi, easy) != CURLM_OK) {
		curl_easy_cleanup(easy);
		return -ENOMEM;
	}
	tunnel->easy = easy;
	return 0;
}

static struct origin_tunnel *tunnel_new(struct hf_origin *origin, struct origin_reader *reader)
{
	struct origin_tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (!tunnel)
		return NULL;
	tunnel->origin = origin;
	tunnel->reader = reader;
	tunnel->fd = -1;
	hf_timer_init(&tunnel->timer, ORIGIN_TIMER_TUNNEL);
	tunnel->moved_us = origin->now_us;
	tunnel->until_us = origin->now_us + origin->conf->tunnel.total_timeout_ms * 1000ULL;
	if (tunnel_connect(tunnel)) {
		free(tunnel);
		return NULL;
	}
	return tunnel;
}

void origin_tunnel_start(struct hf_origin *origin, struct origin_reader *reader)
{
	struct origin_tunnel *tunnel = NULL;

	HF_ASSERT(reader->xchg->method == HF_HTTP_CONNECT && reader->xchg->has_body);
	if (origin->tunnel_count < origin->conf->tunnel.max)
		tunnel = tunnel_new(origin, reader);
	if (!tunnel) {
		origin_reader_fail(origin, reader, 503, HF_DROP_REQ_OVERLOAD);
		return;
	}
	reader->tunnel = tunnel;
	hf_list_add_tail(&origin->tunnels, &tunnel->link);
	origin->tunnel_count++;
	hf_stat_add(HF_STAT_TUNNELS_OPEN, 1);
	origin_tunnel_due(&tunnel->timer);
}
