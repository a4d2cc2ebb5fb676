/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libcurl's multi interface over this thread's epoll; its callbacks.
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

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

#define CURL_EVENTS_MAX 64

/* In origin->watched. */
#define CURL_WATCH_IN     1
#define CURL_WATCH_OUT    2
#define CURL_WATCH_EVENTS (CURL_WATCH_IN | CURL_WATCH_OUT)
#define CURL_WATCH_IDLE   4 /* no transfer has it */
#define CURL_WATCH_OPEN   8 /* it is a connection, and open */

static uint64_t curl_between_us(const struct hf_origin *origin)
{
	return origin->conf->origin.between_bytes_timeout_ms * 1000ULL;
}

/* ---- callbacks of a transfer ---- */

static int curl_head_append(struct origin_fetch *fetch, const char *data, size_t len)
{
	if (len > ORIGIN_HEAD_MAX - fetch->head_len)
		return -EMSGSIZE;
	if (fetch->head_len + len > fetch->head_cap) {
		uint32_t cap = (uint32_t)hf_pow2_ceil(hf_max_u64(fetch->head_len + len, 1024));
		char *head = hf_wipe_realloc(fetch->head, cap);

		if (!head)
			return -ENOMEM;
		fetch->head = head;
		fetch->head_cap = cap;
	}
	memcpy(fetch->head + fetch->head_len, data, len);
	fetch->head_len += (uint32_t)len;
	return 0;
}

/* By curl's own reading: it is curl that goes on to the next head. We never ask for an upgrade. */
static bool curl_head_is_interim(const struct origin_fetch *fetch)
{
	long status = 0;

	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 100 && status < 200 && status != 101;
}

/* RFC 9110 §15.2: to be forwarded. 100 is about the body, for which we asked and were asked ourselves. */
static void curl_head_interim(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_resp resp;

	if (!fetch->leader || fetch->leader->answered || fetch->leader->xchg->background ||
		hf_http_resp_parse(fetch->head, fetch->head_len, &resp) != HF_PARSE_DONE ||
		resp.status <= 101 || resp.status >= 200)
		return;
	origin_reader_interim(origin, fetch->leader, &resp);
}

bool origin_curl_head(struct hf_origin *origin, struct origin_fetch *fetch)
{
	enum origin_store verdict;
	long status = 0;

	if (curl_head_is_interim(fetch)) {
		curl_head_interim(origin, fetch);
		fetch->head_len = fetch->head_kept;
		return true;
	}
	hf_timer_del(origin->wheel, &fetch->timer);
	hf_timer_del(origin->wheel, &fetch->patience);
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	if (fetch->state == ORIGIN_RESUME) {
		origin_health_answer(origin, fetch, (uint16_t)status);
		if (!origin_resume_head(origin, fetch))
			return false;
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	}
	fetch->status = (uint16_t)status;
	origin_slot_sample(origin, fetch, status == 429 || (status >= 502 && status <= 504));
	verdict = origin_store_head(origin, fetch);
	if (verdict != ORIGIN_STORE_RETRY)
		origin_health_answer(origin, fetch, (uint16_t)status);
	switch (verdict) {
	case ORIGIN_STORE_DONE:
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	case ORIGIN_STORE_NO_MEMORY:
		fetch->state = ORIGIN_ADMIT;
		origin_flow_memory_wait(origin, fetch);
		return true;
	case ORIGIN_STORE_WAIT:
		fetch->state = ORIGIN_ADMIT;
		return true;
	case ORIGIN_STORE_OVER:
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	case ORIGIN_STORE_UNWANTED:
		fetch->unwanted = true;
		return false;
	case ORIGIN_STORE_RETRY:
		return true;
	case ORIGIN_STORE_BAD:
		break;
	}
	if (!fetch->fail_text)
		fetch->fail_text = "malformed head";
	return false;
}

static size_t curl_on_head(char *data, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;
	size_t len = size * count;

	origin_health_heard(fetch->origin, fetch);
	if (fetch->state != ORIGIN_SENT && fetch->state != ORIGIN_RESUME)
		return len; /* trailers */
	if (curl_head_append(fetch, data, len)) {
		fetch->fail_text = "head too large";
		return 0;
	}
	if ((len == 2 && memcmp(data, "\r\n", 2) == 0) || (len == 1 && data[0] == '\n'))
		return origin_curl_head(fetch->origin, fetch) ? len : 0;
	return len;
}

/* What is not taken curl hands over again, from the start of this block: `taken` bytes of it are in
 * the object already. */
static size_t curl_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;
	struct hf_origin *origin = fetch->origin;
	size_t len = size * count;
	size_t got = hf_min_size(fetch->taken, len);

	origin_health_heard(origin, fetch);
	if (fetch->state == ORIGIN_OVER || fetch->state == ORIGIN_RETRY) {
		/* a short rest is read for the sake of the connection */
		fetch->taken += len;
		return fetch->taken > ORIGIN_OVER_MAX ? 0 : len;
	}
	if (fetch->state < ORIGIN_ADMIT) {
		fetch->fail_text = "a body without a head";
		return 0;
	}
	if (fetch->state == ORIGIN_ADMIT) {
		fetch->recv_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	fetch->taken -= got;
	if (got < len)
		got += origin_flow_fill(origin, fetch, data + got, len - got);
	if (fetch->unwanted)
		return 0;
	if (got < len) {
		fetch->taken += got;
		fetch->recv_paused = true;
		if (hf_list_empty(&fetch->memory_link))
			origin_flow_stand(origin, fetch);
		return CURL_WRITEFUNC_PAUSE;
	}
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	return len;
}

static size_t curl_on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;

	if (!fetch->leader || !fetch->leader->xchg->has_body)
		return 0;
	return origin_body_read(fetch->origin, fetch, buf, size * count);
}

/* curl would send the body again: what was given back to the worker is gone. */
static int curl_on_seek(void *arg, curl_off_t offset, int whence)
{
	const struct origin_fetch *fetch = arg;

	if (fetch->leader && !fetch->leader->xchg->has_body && offset == 0 && whence == SEEK_SET)
		return CURL_SEEKFUNC_OK;
	return CURL_SEEKFUNC_FAIL;
}

/* Connected; the request goes out now. */
static int curl_on_connected(
	void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct origin_fetch *fetch = arg;
	struct hf_origin *origin = fetch->origin;

	/* curl sends once more what a reused connection lost */
	if (fetch->local_port != 0 && fetch->leader &&
		!origin_request_is_repeatable(fetch->leader->xchg)) {
		fetch->fail_text = "connection lost";
		return CURL_PREREQFUNC_ABORT;
	}
	fetch->local_port = local_port;
	fetch->remote_port = remote_port;
	if (fetch->leader && fetch->leader->xchg->has_body)
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	else
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_FIRST_BYTE,
			origin_retry_left_us(origin, fetch,
				origin_health_timeout_ms(origin, fetch->health,
					origin->conf->origin.first_byte_timeout_ms)));
	return CURL_PREREQFUNC_OK;
}

/* ---- callbacks of the multi handle ---- */

/* Who waits for nothing on this socket? A transfer that pauses, or one that leaves no connection behind. */
static bool curl_is_paused(const struct hf_origin *origin, CURL *easy)
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
static bool curl_watch_room(struct hf_origin *origin, int fd)
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
static int curl_watch(struct hf_origin *origin, int fd, uint8_t what)
{
	uint8_t *watched = &origin->watched[fd];
	uint8_t before = *watched & CURL_WATCH_EVENTS, after = what & CURL_WATCH_EVENTS;
	int op = !after ? EPOLL_CTL_DEL : before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event event = { .data.u64 = (uint32_t)fd };

	*watched = (*watched & CURL_WATCH_OPEN) | what;
	if (before == after)
		return 0;
	if (after & CURL_WATCH_IN)
		event.events |= EPOLLIN;
	if (after & CURL_WATCH_OUT)
		event.events |= EPOLLOUT;
	return epoll_ctl(origin->epoll_fd, op, fd, &event);
}

/* No transfer has it. What is not a connection curl closes unseen. */
static void curl_watch_idle(struct hf_origin *origin, int fd, bool paused)
{
	bool watch = !paused && (origin->watched[fd] & CURL_WATCH_OPEN);

	(void)curl_watch(origin, fd, watch ? CURL_WATCH_IN | CURL_WATCH_IDLE : 0);
}

static int curl_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct hf_origin *origin = arg;
	uint8_t watch = 0;

	if (!curl_watch_room(origin, fd)) {
		hf_log(HF_LOG_ERROR, "origin", "no memory to watch a socket");
		return 0;
	}
	if (what == CURL_POLL_REMOVE) {
		curl_watch_idle(origin, fd, curl_is_paused(origin, easy));
		return 0;
	}
	if (what & CURL_POLL_IN)
		watch |= CURL_WATCH_IN;
	if (what & CURL_POLL_OUT)
		watch |= CURL_WATCH_OUT;
	/* unwatched its fetch times out; to refuse would end every other fetch too */
	if (curl_watch(origin, fd, watch))
		hf_log(HF_LOG_ERROR, "origin", "no epoll watch for a socket: %s", strerror(errno));
	return 0;
}

/* As curl itself opens a connection. */
curl_socket_t origin_curl_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype, address->protocol);
	struct hf_origin *origin = arg;

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!curl_watch_room(origin, fd)) {
		(void)close(fd);
		return CURL_SOCKET_BAD;
	}
	origin->watched[fd] = CURL_WATCH_OPEN;
	return fd;
}

/* Epoll forgets a descriptor when it is closed. */
int origin_curl_on_close(void *arg, curl_socket_t fd)
{
	struct hf_origin *origin = arg;

	origin->watched[fd] = 0;
	return close(fd);
}

static int curl_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct hf_origin *origin = arg;

	origin->curl_due_us =
		timeout_ms < 0 ? UINT64_MAX : hf_clock_us() + (uint64_t)timeout_ms * 1000;
	return 0;
}

/* ---- handles ---- */

static CURLcode curl_set_callbacks(CURL *easy, struct origin_fetch *fetch)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, curl_on_head);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, curl_on_read);
	code |= curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, curl_on_seek);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, curl_on_connected);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
	return code;
}

void origin_curl_adopt(struct origin_fetch *fetch)
{
	HF_ASSERT(curl_set_callbacks(fetch->easy, fetch) == CURLE_OK); /* pointers only */
}

static CURLcode curl_set_rules(struct hf_origin *origin, const struct origin_fetch *fetch)
{
	CURL *easy = fetch->easy;
	uint64_t connect_ms = origin_retry_left_us(origin, fetch,
				      origin_health_timeout_ms(origin, fetch->health,
					      origin->conf->origin.connect_timeout_ms)) /
			      1000;
	long keep_s = (long)(origin->conf->origin.keepalive_ms / 1000);
	CURLcode code = origin_rules_set(origin, easy, fetch->target->url);

	/* without it curl parses CURLOPT_URL, and writes it anew */
	code |= curl_easy_setopt(easy, CURLOPT_CURLU, origin_view_url(fetch));
	code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)ORIGIN_READ_LEN);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)hf_max_u64(connect_ms, 1));
	code |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, keep_s > 0 ? keep_s : 1L);
	return code;
}

/* No handle is used for two fetches: one keeps the fields of its last answer until its next. */
int origin_curl_start(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(!fetch->easy && !fetch->lines);
	fetch->easy = curl_easy_init();
	if (!fetch->easy)
		return -ENOMEM;
	if (curl_set_rules(origin, fetch) == CURLE_OK &&
		curl_set_callbacks(fetch->easy, fetch) == CURLE_OK &&
		origin_request_set(origin, fetch) == 0 &&
		curl_multi_add_handle(origin->multi, fetch->easy) == CURLM_OK)
		return 0;
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
	curl_slist_free_all(fetch->lines);
	fetch->lines = NULL;
	return -ENOMEM;
}

void origin_curl_stop(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!fetch->easy)
		return;
	if (!fetch->cut)
		HF_ASSERT(curl_multi_remove_handle(origin->multi, fetch->easy) == CURLM_OK);
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
	curl_slist_free_all(fetch->lines);
	fetch->lines = NULL;
}

void origin_curl_cut(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->easy && !fetch->cut);
	HF_ASSERT(curl_multi_remove_handle(origin->multi, fetch->easy) == CURLM_OK);
	fetch->recv_paused = false;
	fetch->cut = true;
}

int origin_curl_again(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->easy && fetch->cut);
	if (curl_multi_add_handle(origin->multi, fetch->easy) != CURLM_OK)
		return -ENOMEM;
	fetch->cut = false;
	return 0;
}

void origin_curl_resume(struct hf_origin *origin, struct origin_fetch *fetch)
{
	int mask = (fetch->recv_paused ? CURLPAUSE_RECV : 0) |
		   (fetch->send_paused ? CURLPAUSE_SEND : 0);
	CURLcode code;

	if (!fetch->easy)
		return;
	if (fetch->state == ORIGIN_BODY && !fetch->recv_paused &&
		hf_list_empty(&fetch->memory_link))
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	code = curl_easy_pause(fetch->easy, mask);
	/* curl calls the write function from within; an answer that is over already needs nothing */
	if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT)
		origin_fetch_done(origin, fetch, code);
}

/* ---- the loop's part ---- */

static void curl_measure_one(CURL *easy, enum hf_hist id, CURLINFO info)
{
	curl_off_t took_us = 0;

	(void)curl_easy_getinfo(easy, info, &took_us);
	if (took_us > 0)
		hf_hist_add(id, (uint64_t)took_us * 1000);
}

/* By curl's own clocks. Those of what did not happen are 0. */
static void curl_measure(CURL *easy, CURLcode code)
{
	curl_off_t tls_us = 0;
	long connects = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	(void)curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
	if (connects > 0)
		curl_measure_one(easy, HF_HIST_ORIGIN_CONNECT,
			tls_us > 0 ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T);
	curl_measure_one(easy, HF_HIST_ORIGIN_FIRST_BYTE, CURLINFO_STARTTRANSFER_TIME_T);
	if (code == CURLE_OK)
		curl_measure_one(easy, HF_HIST_ORIGIN_FETCH, CURLINFO_TOTAL_TIME_T);
}

static void curl_collect(struct hf_origin *origin)
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
		curl_measure(msg->easy_handle, code);
		origin_fetch_done(origin, fetch, code);
	}
}

static void curl_act(struct hf_origin *origin, curl_socket_t fd, int what)
{
	int running;
	CURLMcode code = curl_multi_socket_action(origin->multi, fd, what, &running);

	HF_ASSERT(code != CURLM_BAD_HANDLE && code != CURLM_RECURSIVE_API_CALL);
}

/* Has a transfer taken that connection? One whose answer comes so fast that it pauses before curl has told
 * us to watch its socket is still marked as idle there. */
static bool curl_is_taken(const struct hf_origin *origin, int fd)
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
static void curl_idle_ended(struct hf_origin *origin, int fd)
{
	(void)curl_watch(origin, fd, 0);
	if (!curl_is_taken(origin, fd))
		(void)shutdown(fd, SHUT_RDWR);
}

/* A connection that no transfer has. */
static bool curl_is_idle(const struct hf_origin *origin, const struct epoll_event *event)
{
	uint64_t fd = event->data.u64; /* where it is one of curl's */

	return fd < origin->watched_len && (origin->watched[fd] & CURL_WATCH_IDLE);
}

static void curl_socket_ready(struct hf_origin *origin, const struct epoll_event *event)
{
	int what = 0;

	if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		what |= CURL_CSELECT_IN;
	if (event->events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (event->events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	curl_act(origin, event->data.fd, what);
}

bool origin_curl_run(struct hf_origin *origin, uint32_t wait_ms)
{
	struct epoll_event event[CURL_EVENTS_MAX];
	int n = epoll_wait(origin->epoll_fd, event, CURL_EVENTS_MAX, (int)wait_ms);
	bool busy = false;

	origin->now_us = hf_clock_us();
	for (int i = 0; i < n; i++)
		if (curl_is_idle(origin, &event[i])) {
			curl_idle_ended(origin, event[i].data.fd);
			event[i].data.u64 |= ORIGIN_WATCH_IDLE;
		}
	/* New transfers take their connections here, between the look at those that wait and the end of
	 * others: none of them has unread bytes. */
	if (origin->curl_due_us <= origin->now_us) {
		origin->curl_due_us = UINT64_MAX;
		curl_act(origin, CURL_SOCKET_TIMEOUT, 0);
		busy = true;
	}
	for (int i = 0; i < n; i++) {
		if (event[i].data.u64 & (ORIGIN_WATCH_IDLE | ORIGIN_WATCH_L2) ||
			event[i].data.fd == origin->waker.fd)
			continue;
		if (event[i].data.u64 & ORIGIN_WATCH_TUNNEL)
			origin_tunnel_ready(origin, event[i].data.fd);
		else
			curl_socket_ready(origin, &event[i]);
		busy = true;
	}
	curl_collect(origin);
	return busy;
}

static CURLMcode curl_multi_set(struct hf_origin *origin)
{
	CURLMcode code = CURLM_OK;

	code |= curl_multi_setopt(origin->multi, CURLMOPT_SOCKETFUNCTION, curl_on_socket);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_SOCKETDATA, origin);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_TIMERFUNCTION, curl_on_timer);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_TIMERDATA, origin);
	code |= curl_multi_setopt(origin->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	code |= curl_multi_setopt(
		origin->multi, CURLMOPT_MAXCONNECTS, (long)ORIGIN_CONNECTIONS_MAX);
	return code;
}

int origin_curl_init(struct hf_origin *origin, struct hf_err *err)
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
	if (curl_multi_set(origin) != CURLM_OK)
		return hf_err_set(err, -EINVAL, "libcurl is too old");
	return 0;
}

void origin_curl_fini(struct hf_origin *origin)
{
	if (origin->multi) {
		(void)curl_multi_cleanup(origin->multi);
		curl_global_cleanup();
	}
	if (origin->epoll_fd >= 0)
		(void)close(origin->epoll_fd);
	free(origin->watched);
}
