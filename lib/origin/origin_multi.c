/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libcurl's multi handle over this thread's epoll: all transfers' sockets, its time, and which transfers ended.
 *
 *      curl --callbacks: sockets, a time--> watched, curl_due_us --epoll--> run: curl acts --ended--> whose it is
 */
#include "hf_origin.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_wipe.h"

#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

#define MULTI_EVENTS_MAX 64

/* In origin->watched. */
#define MULTI_WATCH_IN     1
#define MULTI_WATCH_OUT    2
#define MULTI_WATCH_EVENTS (MULTI_WATCH_IN | MULTI_WATCH_OUT)
#define MULTI_WATCH_IDLE   4 /* no transfer has it */
#define MULTI_WATCH_OPEN   8 /* it is a connection, and open */

/* ---- callbacks ---- */

/* Who waits for nothing on this socket? A transfer that pauses, or one that leaves no connection behind. */
static bool multi_is_paused(const struct hf_origin *origin, CURL *easy)
{
	struct origin_fetch *fetch = NULL;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
	if (origin_auth_is_ask(origin, fetch))
		return false;
	if (fetch && origin_hedge_is_first(fetch, easy))
		return origin_hedge_is_paused(fetch);
	return !fetch || fetch->recv_paused || fetch->send_paused;
}

/* Room for a descriptor in `watched`. */
static bool multi_watch_room(struct hf_origin *origin, int fd)
{
	uint32_t len = (uint32_t)hf_pow2_ceil(hf_max_u64((uint64_t)fd + 1, 1024));
	uint8_t *watched;

	if ((uint32_t)fd < origin->watched_len)
		return true;
	watched = realloc(origin->watched, len);
	if (!watched)
		return false;
	memset(watched + origin->watched_len, 0, len - origin->watched_len);
	origin->watched = watched;
	origin->watched_len = len;
	return true;
}

/* Epoll is told only what changes: a connection that waits for an answer and an idle one are watched alike. */
static int multi_watch(struct hf_origin *origin, int fd, uint8_t what)
{
	uint8_t *watched = &origin->watched[fd];
	uint8_t before = *watched & MULTI_WATCH_EVENTS, after = what & MULTI_WATCH_EVENTS;
	int op = !after ? EPOLL_CTL_DEL : before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event event = { .data.u64 = (uint32_t)fd };

	*watched = (*watched & MULTI_WATCH_OPEN) | what;
	if (before == after)
		return 0;
	if (after & MULTI_WATCH_IN)
		event.events |= EPOLLIN;
	if (after & MULTI_WATCH_OUT)
		event.events |= EPOLLOUT;
	return epoll_ctl(origin->epoll_fd, op, fd, &event);
}

/* No transfer has it. What is not a connection curl closes unseen. */
static void multi_watch_idle(struct hf_origin *origin, int fd, bool paused)
{
	bool watch = !paused && (origin->watched[fd] & MULTI_WATCH_OPEN);

	(void)multi_watch(origin, fd, watch ? MULTI_WATCH_IN | MULTI_WATCH_IDLE : 0);
}

static int multi_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct hf_origin *origin = arg;
	uint8_t watch = 0;

	if (!multi_watch_room(origin, fd)) {
		hf_log(HF_LOG_ERROR, "origin", "no memory to watch a socket");
		return 0;
	}
	if (what == CURL_POLL_REMOVE) {
		multi_watch_idle(origin, fd, multi_is_paused(origin, easy));
		return 0;
	}
	if (what & CURL_POLL_IN)
		watch |= MULTI_WATCH_IN;
	if (what & CURL_POLL_OUT)
		watch |= MULTI_WATCH_OUT;
	/* unwatched its fetch times out; to refuse would end every other fetch too */
	if (multi_watch(origin, fd, watch))
		hf_log(HF_LOG_ERROR, "origin", "no epoll watch for a socket: %s", strerror(errno));
	return 0;
}

/* As curl itself opens a connection. */
curl_socket_t origin_multi_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype, address->protocol);
	struct hf_origin *origin = arg;

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!multi_watch_room(origin, fd)) {
		(void)close(fd);
		return CURL_SOCKET_BAD;
	}
	origin->watched[fd] = MULTI_WATCH_OPEN;
	return fd;
}

/* Epoll forgets a descriptor when it is closed. */
int origin_multi_on_close(void *arg, curl_socket_t fd)
{
	struct hf_origin *origin = arg;

	origin->watched[fd] = 0;
	return close(fd);
}

static int multi_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct hf_origin *origin = arg;

	origin->curl_due_us =
		timeout_ms < 0 ? UINT64_MAX : hf_clock_us() + (uint64_t)timeout_ms * 1000;
	return 0;
}

/* ---- the loop's part ---- */

static void multi_measure_one(CURL *easy, enum hf_hist id, CURLINFO info)
{
	curl_off_t took_us = 0;

	(void)curl_easy_getinfo(easy, info, &took_us);
	if (took_us > 0)
		hf_hist_add(id, (uint64_t)took_us * 1000);
}

/* By curl's own clocks. Those of what did not happen are 0. */
static void multi_measure(CURL *easy, CURLcode code)
{
	curl_off_t tls_us = 0;
	long connects = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	(void)curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
	if (connects > 0)
		multi_measure_one(easy, HF_HIST_ORIGIN_CONNECT,
			tls_us > 0 ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T);
	multi_measure_one(easy, HF_HIST_ORIGIN_FIRST_BYTE, CURLINFO_STARTTRANSFER_TIME_T);
	if (code == CURLE_OK)
		multi_measure_one(easy, HF_HIST_ORIGIN_FETCH, CURLINFO_TOTAL_TIME_T);
}

static void multi_collect(struct hf_origin *origin)
{
	struct CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(origin->multi, &left)) != NULL) {
		CURLcode code = msg->data.result;
		void *fetch = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &fetch);
		if (!fetch) {
			if (!origin_tunnel_connected(origin, msg->easy_handle, code))
				origin_check_done(origin, msg->easy_handle, code);
			continue;
		}
		if (origin_auth_is_ask(origin, fetch)) {
			origin_auth_done(origin, msg->easy_handle, code);
			continue;
		}
		if (origin_hedge_ended(fetch, msg->easy_handle, code))
			continue;
		multi_measure(msg->easy_handle, code);
		origin_fetch_done(origin, fetch, code);
	}
}

static void multi_act(struct hf_origin *origin, curl_socket_t fd, int what)
{
	int running;
	CURLMcode code = curl_multi_socket_action(origin->multi, fd, what, &running);

	HF_ASSERT(code != CURLM_BAD_HANDLE && code != CURLM_RECURSIVE_API_CALL);
}

/* Has a transfer taken that connection? One whose answer comes so fast that it pauses before curl has told
 * us to watch its socket is still marked as idle there. */
static bool multi_is_taken(const struct hf_origin *origin, int fd)
{
	struct sockaddr_in6 local = { 0 }, remote = { 0 }; /* IPv4 has its port at the same place */
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
	struct hf_list *it;

	if (getsockname(fd, (struct sockaddr *)&local, &local_len) ||
		getpeername(fd, (struct sockaddr *)&remote, &remote_len))
		return false;
	hf_list_for_each (it, &origin->all) {
		const struct origin_fetch *fetch =
			HF_CONTAINER_OF(it, struct origin_fetch, all_link);

		if (fetch->easy && fetch->recv_paused &&
			fetch->local_port == ntohs(local.sin6_port) &&
			fetch->remote_port == ntohs(remote.sin6_port))
			return true;
	}
	return false;
}

/* An origin that speaks unasked, or has closed. What it says is nobody's answer (RFC 9112 §9.2, §11.1): the
 * next request must not find it, so curl finds a dead connection. */
static void multi_idle_ended(struct hf_origin *origin, int fd)
{
	(void)multi_watch(origin, fd, 0);
	if (!multi_is_taken(origin, fd))
		(void)shutdown(fd, SHUT_RDWR);
}

/* A connection that no transfer has. */
static bool multi_is_idle(const struct hf_origin *origin, const struct epoll_event *event)
{
	uint64_t fd = event->data.u64; /* where it is one of curl's */

	return fd < origin->watched_len && (origin->watched[fd] & MULTI_WATCH_IDLE);
}

static void multi_socket_ready(struct hf_origin *origin, const struct epoll_event *event)
{
	int what = 0;

	if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		what |= CURL_CSELECT_IN;
	if (event->events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (event->events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	multi_act(origin, event->data.fd, what);
}

bool origin_multi_run(struct hf_origin *origin, uint32_t wait_ms)
{
	struct epoll_event event[MULTI_EVENTS_MAX];
	int n = epoll_wait(origin->epoll_fd, event, MULTI_EVENTS_MAX, (int)wait_ms);
	bool busy = false;

	origin->now_us = hf_clock_us();
	for (int i = 0; i < n; i++)
		if (multi_is_idle(origin, &event[i])) {
			multi_idle_ended(origin, event[i].data.fd);
			event[i].data.u64 |= ORIGIN_WATCH_IDLE;
		}
	/* New transfers take their connections here, between the look at those that wait and the end of
	 * others: none of them has unread bytes. */
	if (origin->curl_due_us <= origin->now_us) {
		origin->curl_due_us = UINT64_MAX;
		multi_act(origin, CURL_SOCKET_TIMEOUT, 0);
		busy = true;
	}
	for (int i = 0; i < n; i++) {
		if (event[i].data.u64 & (ORIGIN_WATCH_IDLE | ORIGIN_WATCH_L2) ||
			event[i].data.fd == origin->waker.fd)
			continue;
		if (event[i].data.u64 & ORIGIN_WATCH_TUNNEL)
			origin_tunnel_ready(origin, event[i].data.fd);
		else
			multi_socket_ready(origin, &event[i]);
		busy = true;
	}
	multi_collect(origin);
	return busy;
}

/* ---- life ---- */

static CURLMcode multi_set(struct hf_origin *origin)
{
	CURLMcode code = CURLM_OK;

	code |= curl_multi_setopt(origin->multi, CURLMOPT_SOCKETFUNCTION, multi_on_socket);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_SOCKETDATA, origin);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_TIMERFUNCTION, multi_on_timer);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_TIMERDATA, origin);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	code |= curl_multi_setopt(
		origin->multi, CURLMOPT_MAXCONNECTS, (long)ORIGIN_CONNECTIONS_MAX);
	return code;
}

int origin_multi_init(struct hf_origin *origin, struct hf_err *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint32_t)origin->waker.fd };
	struct epoll_event l2 = { .events = EPOLLIN, .data.u64 = ORIGIN_WATCH_L2 };

	origin->curl_due_us = UINT64_MAX;
	origin->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (origin->epoll_fd < 0 ||
		epoll_ctl(origin->epoll_fd, EPOLL_CTL_ADD, origin->waker.fd, &event) ||
		epoll_ctl(origin->epoll_fd, EPOLL_CTL_ADD, hf_l2_fd(origin->l2.client), &l2))
		return hf_err_set(err, -errno, "origin thread %u: no epoll", origin->index);
	/* requests and answers pass through memory of curl's: it is wiped when curl frees it */
	if (curl_global_init_mem(
		    CURL_GLOBAL_DEFAULT, malloc, hf_wipe_free, hf_wipe_realloc, strdup, calloc))
		return hf_err_set(err, -ENOMEM, "libcurl does not initialise");
	origin->multi = curl_multi_init();
	if (!origin->multi) {
		curl_global_cleanup();
		return hf_err_set(err, -ENOMEM, "libcurl has no memory");
	}
	if (multi_set(origin) != CURLM_OK)
		return hf_err_set(err, -EINVAL, "libcurl is too old");
	return 0;
}

void origin_multi_fini(struct hf_origin *origin)
{
	if (origin->multi) {
		(void)curl_multi_cleanup(origin->multi);
		curl_global_cleanup();
	}
	if (origin->epoll_fd >= 0)
		(void)close(origin->epoll_fd);
	free(origin->watched);
}
