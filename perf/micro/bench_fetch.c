/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A fetch from end to end: exchanges as a worker posts them, turns of an origin thread, an origin over the kernel's
 * loopback. The origin is a process of its own; worker and origin thread are one thread here, turn by turn, so what a
 * fetch costs repeats. No key comes twice, so nothing is joined and nothing revalidated.
 *
 * Told is what this thread needs for a fetch: CPU time, the worker's little part and the kernel's both ways included.
 * For instructions and system calls, which hardly depend on what else the machine does:
 *
 *      valgrind --tool=callgrind --toggle-collect=hf_origin_step --trace-children=no bench_fetch --fetches 2000
 *      strace -c bench_fetch
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "hf_arena.h"
#include "hf_origin.h"
#include "hf_resp.h"
#include "hf_stat.h"

#define FETCH_MEMORY       (256 << 20)
#define FETCH_BODY_MAX     (64 << 10)
#define FETCH_UNDERWAY_MAX 256
#define FETCH_MESSAGES     64
#define FETCH_PATIENCE_US  20000000

struct fetch_opts {
	uint32_t fetches, underway, body;
};

struct fetch {
	const struct fetch_opts *opts;
	struct hf_conf conf;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_reader *reader;
	struct hf_xchg_net *net;
	struct hf_link *link;
	struct hf_state *state;
	struct hf_origin_slots *slots;
	struct hf_origin *origin;
	uint32_t asked, ended, failed;
	pid_t server;
	uint16_t port;
};

/* ---- the origin ---- */

static void fetch_server_take(int poll, int listener)
{
	int fd = accept(listener, NULL, NULL);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	HF_ASSERT(fd >= 0 && epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* Its client asks one thing at a time, in one segment. */
static void fetch_server_answer(int fd, const char *answer, size_t len)
{
	char asked[4096];
	ssize_t n = recv(fd, asked, sizeof(asked), 0);

	if (n <= 0) {
		(void)close(fd);
		return;
	}
	HF_ASSERT(n > 4 && memcmp(asked + n - 4, "\r\n\r\n", 4) == 0);
	while (len > 0 && (n = send(fd, answer, len, MSG_NOSIGNAL)) > 0) {
		answer += n;
		len -= (size_t)n;
	}
}

static void fetch_server(int listener, uint32_t body)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[64];
	char *answer = calloc(1, body + 256);
	int poll = epoll_create1(0), n, len;

	HF_ASSERT(answer && epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) == 0);
	len = snprintf(answer, 256,
		"HTTP/1.1 200 OK\r\nContent-Length: %u\r\nCache-Control: max-age=86400\r\n\r\n",
		body);
	for (;;) {
		n = epoll_wait(poll, events, HF_ARRAY_LEN(events), -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				fetch_server_take(poll, listener);
			else
				fetch_server_answer(events[i].data.fd, answer, (size_t)len + body);
	}
}

static void fetch_server_start(struct fetch *fetch)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);

	HF_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	HF_ASSERT(listen(fd, FETCH_UNDERWAY_MAX) == 0);
	HF_ASSERT(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	fetch->port = ntohs(at.sin_port);
	fetch->server = fork();
	HF_ASSERT(fetch->server >= 0);
	if (fetch->server == 0)
		fetch_server(fd, fetch->opts->body);
	(void)close(fd);
}

/* ---- the node ---- */

static void fetch_conf(struct hf_conf *conf)
{
	static char no_file[1];

	conf->cache.max_object = 1 << 20;
	conf->origin.threads = 1;
	conf->origin.max_queue = FETCH_UNDERWAY_MAX;
	conf->origin.exchanges_max = 2 * FETCH_UNDERWAY_MAX;
	conf->origin.queue_timeout_ms = 10000;
	conf->origin.connect_timeout_ms = 10000;
	conf->origin.first_byte_timeout_ms = 10000;
	conf->origin.between_bytes_timeout_ms = 10000;
	conf->origin.keepalive_ms = 30000;
	conf->origin.total_timeout_ms = 30000;
	conf->origin.patience_ms = 10000;
	conf->origin.fallback_timeout_ms = 10000;
	conf->origin.resolve_interval_s = 60;
	conf->control_plane.failures = 1000;
	conf->control_plane.successes = 1;
	conf->l2.ca_file = no_file;
	conf->l2.connections = 1;
}

static void fetch_state(struct fetch *fetch)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"issued_at\":\"2026-01-01T00:00:00Z\","
		"\"origins\":[{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:%u\"}],"
		"\"routes\":[{\"id\":\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}]}",
		fetch->port);
	HF_ASSERT(hf_state_parse(text, strlen(text), stderr, &fetch->state) == 0);
	hf_origin_state_set(fetch->origin, fetch->state);
}

static void fetch_init(struct fetch *fetch)
{
	struct hf_cache_cfg cache_cfg = { .shards = 1, .workers = 1, .leases_max = 64 };
	struct hf_xchg_cfg net_cfg = { .workers = 1,
		.origins = 1,
		.exchanges_max = 2 * FETCH_UNDERWAY_MAX,
		.buf_len = 16384 };
	struct hf_err err = { "" };

	fetch_server_start(fetch);
	(void)hf_stat_register("bench");
	hf_rcu_register();
	fetch_conf(&fetch->conf);
	HF_ASSERT(hf_arena_new(FETCH_MEMORY, /* hugepages= */ false, &err, &fetch->arena) == 0);
	cache_cfg.arena = fetch->arena;
	HF_ASSERT(hf_cache_new(&cache_cfg, &err, &fetch->cache) == 0);
	fetch->reader = hf_cache_reader(fetch->cache, 0);
	HF_ASSERT(hf_xchg_net_new(&net_cfg, &err, &fetch->net) == 0);
	fetch->link = hf_xchg_link(fetch->net, 0, 0);
	fetch->slots = hf_origin_slots_new();
	HF_ASSERT(fetch->slots);
	HF_ASSERT(hf_origin_new(&fetch->conf, 0, fetch->cache, fetch->net, fetch->slots, &err,
			  &fetch->origin) == 0);
	fetch_state(fetch);
}

static void fetch_fini(struct fetch *fetch)
{
	hf_origin_free(fetch->origin);
	hf_origin_slots_free(fetch->slots);
	hf_cache_free(fetch->cache);
	hf_xchg_net_free(fetch->net);
	hf_arena_free(fetch->arena);
	hf_state_unref(fetch->state);
	hf_rcu_unregister();
	(void)kill(fetch->server, SIGKILL);
	(void)waitpid(fetch->server, NULL, 0);
}

/* ---- the worker ---- */

static struct hf_span fetch_keep(struct hf_xchg *xchg, size_t *used, struct hf_span from)
{
	char *at = xchg->buf + *used;

	HF_ASSERT(from.len <= xchg->buf_len - *used);
	memcpy(at, from.ptr, from.len);
	*used += from.len;
	return (struct hf_span){ at, from.len };
}

/* As lib/serve does. */
static void fetch_ask(struct fetch *fetch, const char *head, size_t head_len)
{
	static const struct hf_http_limits limits = { 65536, 65536, HF_HTTP_LINES_MAX };
	const struct hf_resp_forward forward = { .whole = true,
		.client = HF_SPAN("192.0.2.1"),
		.proto = HF_SPAN("http"),
		.via = HF_SPAN("holdfast") };
	struct hf_xchg *xchg = hf_xchg_get(fetch->net, 0);
	struct hf_http_fault fault;
	struct hf_http_req req;
	size_t used = 0;
	char key[256];
	int key_len;

	HF_ASSERT(xchg);
	xchg->head = fetch_keep(xchg, &used, (struct hf_span){ head, head_len });
	HF_ASSERT(hf_http_req_parse(xchg->head.ptr, xchg->head.len, &limits, &req, &fault) ==
		  HF_PARSE_DONE);
	key_len = hf_http_key_build(key, sizeof(key), req.scheme, req.authority, req.path_query);
	HF_ASSERT(key_len > 0);
	xchg->key.ptr = fetch_keep(xchg, &used, (struct hf_span){ key, (size_t)key_len }).ptr;
	xchg->key.len = (uint32_t)key_len;
	xchg->key.hash = hf_cache_hash(fetch->cache, xchg->key.ptr, xchg->key.len);
	xchg->method = req.method;
	xchg->method_text = fetch_keep(xchg, &used, req.method_text);
	xchg->authority = fetch_keep(xchg, &used, req.authority);
	xchg->path_query = fetch_keep(xchg, &used, req.path_query);
	xchg->shared = true;
	xchg->cause = HF_XCHG_MISS_ABSENT;
	xchg->lines.ptr = xchg->buf + used;
	xchg->lines.len =
		hf_resp_request_head(xchg->buf + used, xchg->buf_len - used, &req, &forward);
	HF_ASSERT(xchg->lines.len > 0);
	xchg->to = fetch->link;
	hf_xchg_to_origin(xchg->to, HF_XCHG_START, xchg);
	fetch->asked++;
}

static void fetch_ask_all(struct fetch *fetch, uint32_t count)
{
	while (fetch->asked < count && fetch->asked - fetch->ended < fetch->opts->underway) {
		char head[256];
		int len = snprintf(head, sizeof(head),
			"GET /hf/%010u/%08u HTTP/1.1\r\nHost: a.test\r\n\r\n", fetch->asked,
			fetch->opts->body);

		fetch_ask(fetch, head, (size_t)len);
	}
}

static void fetch_finish(struct hf_xchg *xchg)
{
	xchg->finished = true;
	hf_xchg_to_origin(xchg->to, HF_XCHG_FINISH, xchg);
}

static void fetch_hear(struct fetch *fetch, const struct hf_msg *msg)
{
	struct hf_xchg *xchg = msg->ptr;

	switch ((enum hf_xchg_msg)msg->kind) {
	case HF_XCHG_RECALL:
		if (hf_reader_recall(fetch->reader, msg->ptr))
			hf_xchg_to_origin(fetch->link, HF_XCHG_RECALLED, msg->ptr);
		return;
	case HF_XCHG_FAIL:
		fetch->failed++;
		fetch_finish(xchg);
		return;
	case HF_XCHG_HEAD:
	case HF_XCHG_MORE:
		if (xchg->finished)
			return;
		atomic_store(&xchg->more_posted, false);
		if (atomic_load(&xchg->obj->state) != HF_OBJ_FILLING)
			fetch_finish(xchg);
		return;
	case HF_XCHG_GONE:
		hf_xchg_put(fetch->net, xchg);
		fetch->ended++;
		return;
	default:
		HF_ASSERT(!"no message for this worker");
	}
}

static void fetch_reclaim(struct fetch *fetch)
{
	struct hf_obj *obj;

	hf_rcu_offline();
	(void)hf_cache_reclaim_step(fetch->cache);
	hf_rcu_online();
	while ((obj = hf_reader_released(fetch->reader)) != NULL)
		hf_xchg_to_origin(fetch->link, HF_XCHG_RECALLED, obj);
}

/* Until so many have ended, of all. */
static void fetch_run(struct fetch *fetch, uint32_t count)
{
	uint64_t give_up_us = hf_clock_us() + FETCH_PATIENCE_US;
	struct hf_msg msgs[FETCH_MESSAGES];
	uint32_t ended = fetch->ended;

	while (fetch->ended < count) {
		uint32_t n;

		fetch_ask_all(fetch, count);
		hf_origin_step(fetch->origin, 1);
		while ((n = hf_ring_drain(fetch->link->to_worker, msgs, FETCH_MESSAGES)) > 0)
			for (uint32_t i = 0; i < n; i++)
				fetch_hear(fetch, &msgs[i]);
		fetch_reclaim(fetch);
		if (fetch->ended != ended)
			give_up_us = hf_clock_us() + FETCH_PATIENCE_US;
		ended = fetch->ended;
		HF_ASSERT(hf_clock_us() < give_up_us);
	}
}

int main(int argc, char **argv)
{
	struct fetch_opts opts = { .fetches = 20000, .underway = 64, .body = 64 };
	const struct bench_option options[] = {
		{ "fetches", &opts.fetches, 1, 10000000 },
		{ "underway", &opts.underway, 1, FETCH_UNDERWAY_MAX },
		{ "body", &opts.body, 1, FETCH_BODY_MAX },
	};
	static struct fetch fetch;
	uint64_t begin_ns;

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	fetch.opts = &opts;
	fetch_init(&fetch);
	fetch_run(&fetch, 2 * opts.underway); /* connections are open, pools have memory */
	begin_ns = bench_ns();
	fetch_run(&fetch, 2 * opts.underway + opts.fetches);
	printf("%u bytes, %u under way: %.2f us a fetch\n", opts.body, opts.underway,
		(double)(bench_ns() - begin_ns) / 1000 / opts.fetches);
	HF_ASSERT(fetch.failed == 0);
	fetch_fini(&fetch);
	return 0;
}
