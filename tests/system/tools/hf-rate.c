/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hf-rate - a client that asks at a constant rate, whatever becomes of the answers.
 *
 *   hf-rate --to IP:PORT --rate N --seconds N [--conns N] [--keys N] [--path P] [--max-age S] [--seed N]
 *
 * Request k is due at k / rate, and its latency counts from then on, however late a connection is free for
 * it: nothing is omitted because the server, or this client, was slow (coordinated omission). Keys follow
 * Zipf's law, exponent 1. A body is a time in seconds, the birth of the response: how long it is past
 * --max-age when it arrives is its staleness.
 *
 * One line of JSON for each second, in which the requests were due:
 *   {"second", "asked", "ok", "errors", "p50_us", "p99_us", "p999_us", "max_us", "stale_ms", "late_us"}
 * late_us: by how much this client itself was late to look, at worst. Errors are other statuses than 200,
 * answers that do not come within a second, connections that break. The last line sums up, tells errors
 * apart, and has the CPU time of this process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RATE_CONNS_MAX   4096
#define RATE_BUF         4096
#define RATE_PATIENCE_US 1000000
#define RATE_STEPS       32 /* of the histogram, between two powers of two */
#define RATE_BINS        (40 * RATE_STEPS)

struct rate_conn {
	int fd;
	bool connected, busy;
	uint64_t request; /* under way */
	uint64_t sent_us;
	size_t len;
	char buf[RATE_BUF];
};

enum rate_error { RATE_OK, RATE_STATUS, RATE_LATE, RATE_BROKEN, RATE_ERRORS };

struct rate_second {
	uint64_t asked, ok, errors, max_us, late_us;
	int64_t stale_ms;
	uint32_t bins[RATE_BINS];
};

static struct {
	struct sockaddr_in to;
	const char *path;
	uint64_t rate, seconds, conns, keys, seed;
	double max_age;
	int epoll_fd;
	uint64_t begin_us, next; /* the request that is due next */
	struct rate_conn *conn;
	struct rate_second *second;
	double *zipf;
	uint64_t error[RATE_ERRORS];
} r = { .rate = 1000, .seconds = 10, .conns = 64, .keys = 100, .path = "/", .seed = 1 };

static void rate_die(const char *what)
{
	fprintf(stderr, "hf-rate: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t rate_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static double rate_wall_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- what is counted ---- */

static struct rate_second *rate_second_of(uint64_t request)
{
	return &r.second[request / r.rate];
}

static uint64_t rate_due_us(uint64_t request)
{
	return r.begin_us + request * 1000000 / r.rate;
}

static uint32_t rate_bin(uint64_t us)
{
	uint32_t power = us < RATE_STEPS ? 0 : 63 - (uint32_t)__builtin_clzll(us / RATE_STEPS) + 1;
	uint32_t bin = power == 0 ? (uint32_t)us
				  : power * RATE_STEPS + (uint32_t)(us >> (power - 1)) - RATE_STEPS;

	return bin < RATE_BINS ? bin : RATE_BINS - 1;
}

/* The largest value of a bin. */
static uint64_t rate_bin_us(uint32_t bin)
{
	uint32_t power = bin / RATE_STEPS;

	if (power == 0)
		return bin;
	return ((uint64_t)(bin % RATE_STEPS + RATE_STEPS + 1) << (power - 1)) - 1;
}

static uint64_t rate_quantile_us(const uint32_t *bins, uint64_t count, double quantile)
{
	uint64_t rank = (uint64_t)((double)count * quantile), seen = 0;

	for (uint32_t i = 0; i < RATE_BINS; i++) {
		seen += bins[i];
		if (seen > rank)
			return rate_bin_us(i);
	}
	return 0;
}

static void rate_count(uint64_t request, enum rate_error error, double birth_s)
{
	struct rate_second *second = rate_second_of(request);
	uint64_t us = rate_now_us() - rate_due_us(request);
	int64_t stale_ms;

	second->asked++;
	r.error[error]++;
	if (error != RATE_OK) {
		second->errors++;
		return;
	}
	second->ok++;
	second->bins[rate_bin(us)]++;
	if (us > second->max_us)
		second->max_us = us;
	stale_ms = (int64_t)((rate_wall_s() - birth_s - r.max_age) * 1000);
	if (stale_ms > second->stale_ms)
		second->stale_ms = stale_ms;
}

/* ---- connections ---- */

static void rate_connect(struct rate_conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = conn };
	int on = 1;

	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		rate_die("socket");
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(conn->fd, (struct sockaddr *)&r.to, sizeof(r.to)) != 0 && errno != EINPROGRESS)
		rate_die("connect");
	conn->connected = conn->busy = false;
	conn->len = 0;
	if (epoll_ctl(r.epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		rate_die("epoll_ctl");
}

static void rate_broken(struct rate_conn *conn, enum rate_error error)
{
	if (conn->busy)
		rate_count(conn->request, error, 0);
	(void)close(conn->fd);
	rate_connect(conn);
}

static uint64_t rate_random(void)
{
	r.seed ^= r.seed << 13;
	r.seed ^= r.seed >> 7;
	r.seed ^= r.seed << 17;
	return r.seed;
}

static uint64_t rate_key(void)
{
	double x = (double)(rate_random() >> 11) / 9007199254740992.0;
	uint64_t low = 0, high = r.keys - 1;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (r.zipf[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void rate_ask(struct rate_conn *conn)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "GET %s%llu HTTP/1.1\r\nHost: a.test\r\n\r\n",
		r.path, (unsigned long long)rate_key());

	conn->busy = true;
	conn->request = r.next++;
	conn->sent_us = rate_now_us();
	conn->len = 0;
	if (send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		rate_broken(conn, RATE_BROKEN);
}

/* True: the answer is whole. */
static bool rate_whole(struct rate_conn *conn, bool *ret_ok, double *ret_birth_s)
{
	const char *end, *length;

	conn->buf[conn->len] = '\0';
	end = strstr(conn->buf, "\r\n\r\n");
	length = strcasestr(conn->buf, "\r\nContent-Length:");
	if (!end || !length || length > end ||
		conn->len < (size_t)(end + 4 - conn->buf) + strtoul(length + 17, NULL, 10))
		return false;
	*ret_ok = strncmp(conn->buf, "HTTP/1.1 200 ", 13) == 0;
	*ret_birth_s = strtod(end + 4, NULL);
	return true;
}

static void rate_read(struct rate_conn *conn)
{
	ssize_t n;
	bool ok;
	double birth_s;

	while ((n = recv(conn->fd, conn->buf + conn->len, RATE_BUF - 1 - conn->len, 0)) > 0) {
		conn->len += (size_t)n;
		if (!conn->busy || conn->len == RATE_BUF - 1) {
			rate_broken(conn, RATE_BROKEN);
			return;
		}
		if (!rate_whole(conn, &ok, &birth_s))
			continue;
		rate_count(conn->request, ok ? RATE_OK : RATE_STATUS, birth_s);
		conn->busy = false;
		return;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		rate_broken(conn, RATE_BROKEN);
}

/* ---- the run ---- */

static bool rate_is_due(void)
{
	return r.next < r.rate * r.seconds && rate_now_us() >= rate_due_us(r.next);
}

static bool rate_is_busy(void)
{
	for (uint64_t i = 0; i < r.conns; i++)
		if (r.conn[i].busy)
			return true;
	return false;
}

/* Connections take what is due, in turns; the oldest request first. */
static void rate_send_due(void)
{
	static uint64_t turn;

	for (uint64_t i = 0; i < r.conns && rate_is_due(); i++) {
		struct rate_conn *conn = &r.conn[turn++ % r.conns];
		uint64_t late_us;

		if (!conn->connected || conn->busy)
			continue;
		late_us = rate_now_us() - rate_due_us(r.next);
		if (late_us > rate_second_of(r.next)->late_us)
			rate_second_of(r.next)->late_us = late_us;
		rate_ask(conn);
	}
}

/* What nobody took in time, because no connection was free, is an error as well. */
static void rate_give_up(void)
{
	uint64_t now_us = rate_now_us();

	for (uint64_t i = 0; i < r.conns; i++)
		if (r.conn[i].busy && now_us - r.conn[i].sent_us > RATE_PATIENCE_US)
			rate_broken(&r.conn[i], RATE_LATE);
	while (rate_is_due() && rate_due_us(r.next) + RATE_PATIENCE_US < now_us)
		rate_count(r.next++, RATE_LATE, 0);
}

static void rate_wait(void)
{
	struct epoll_event events[256];
	uint64_t now_us = rate_now_us(), due_us = rate_due_us(r.next);
	uint64_t wait_us = due_us > now_us ? due_us - now_us : 100;
	struct timespec timeout = { .tv_nsec = (long)(wait_us < 10000 ? wait_us : 10000) * 1000 };
	int count = epoll_pwait2(r.epoll_fd, events, 256, &timeout, NULL);

	for (int i = 0; i < count; i++) {
		struct rate_conn *conn = events[i].data.ptr;

		if (!conn->connected && (events[i].events & EPOLLOUT)) {
			struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };

			conn->connected = true;
			(void)epoll_ctl(r.epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
		}
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			rate_read(conn);
	}
}

static void rate_print(const char *name, uint64_t at, const struct rate_second *s)
{
	printf("{\"%s\": %llu, \"asked\": %llu, \"ok\": %llu, \"errors\": %llu, \"p50_us\": %llu, "
	       "\"p99_us\": %llu, \"p999_us\": %llu, \"max_us\": %llu, \"stale_ms\": %lld, "
	       "\"late_us\": %llu",
		name, (unsigned long long)at, (unsigned long long)s->asked,
		(unsigned long long)s->ok, (unsigned long long)s->errors,
		(unsigned long long)rate_quantile_us(s->bins, s->ok, 0.5),
		(unsigned long long)rate_quantile_us(s->bins, s->ok, 0.99),
		(unsigned long long)rate_quantile_us(s->bins, s->ok, 0.999),
		(unsigned long long)s->max_us, (long long)s->stale_ms,
		(unsigned long long)s->late_us);
}

static void rate_report(void)
{
	static struct rate_second all;
	struct rusage usage;

	all.stale_ms = INT64_MIN;
	for (uint64_t i = 0; i < r.seconds; i++) {
		const struct rate_second *s = &r.second[i];

		rate_print("second", i, s);
		printf("}\n");
		all.asked += s->asked;
		all.ok += s->ok;
		all.errors += s->errors;
		for (uint32_t b = 0; b < RATE_BINS; b++)
			all.bins[b] += s->bins[b];
		all.max_us = s->max_us > all.max_us ? s->max_us : all.max_us;
		all.late_us = s->late_us > all.late_us ? s->late_us : all.late_us;
		all.stale_ms = s->stale_ms > all.stale_ms ? s->stale_ms : all.stale_ms;
	}
	(void)getrusage(RUSAGE_SELF, &usage);
	rate_print("seconds", r.seconds, &all);
	printf(", \"status\": %llu, \"late\": %llu, \"broken\": %llu, \"cpu_s\": %.2f}\n",
		(unsigned long long)r.error[RATE_STATUS], (unsigned long long)r.error[RATE_LATE],
		(unsigned long long)r.error[RATE_BROKEN],
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void rate_init(void)
{
	double sum = 0;

	r.conn = calloc(r.conns, sizeof(*r.conn));
	r.second = calloc(r.seconds, sizeof(*r.second));
	r.zipf = calloc(r.keys, sizeof(*r.zipf));
	r.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!r.conn || !r.second || !r.zipf || r.epoll_fd < 0)
		rate_die("start");
	for (uint64_t i = 0; i < r.keys; i++)
		r.zipf[i] = sum += 1.0 / (double)(i + 1);
	for (uint64_t i = 0; i < r.keys; i++)
		r.zipf[i] /= sum;
	for (uint64_t i = 0; i < r.seconds; i++)
		r.second[i].stale_ms = INT64_MIN;
	for (uint64_t i = 0; i < r.conns; i++)
		rate_connect(&r.conn[i]);
}

static void rate_options(int argc, char **argv)
{
	static const struct option options[] = { { "to", 1, NULL, 't' }, { "rate", 1, NULL, 'r' },
		{ "seconds", 1, NULL, 's' }, { "conns", 1, NULL, 'c' }, { "keys", 1, NULL, 'k' },
		{ "path", 1, NULL, 'p' }, { "max-age", 1, NULL, 'a' }, { "seed", 1, NULL, 'S' },
		{ 0 } };
	char *colon;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't' && (colon = strchr(optarg, ':')) != NULL) {
			*colon = '\0';
			r.to.sin_family = AF_INET;
			r.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
			(void)inet_pton(AF_INET, optarg, &r.to.sin_addr);
		} else if (option == 'p') {
			r.path = optarg;
		} else if (option == 'a') {
			r.max_age = strtod(optarg, NULL);
		} else if (option == 'r' || option == 's' || option == 'c' || option == 'k' ||
			   option == 'S') {
			*(option == 'r'         ? &r.rate
				: option == 's' ? &r.seconds
				: option == 'c' ? &r.conns
				: option == 'k' ? &r.keys
						: &r.seed) = strtoull(optarg, NULL, 10);
		}
	}
	if (!r.to.sin_family || r.rate == 0 || r.seconds == 0 || r.keys == 0 || r.seed == 0 ||
		r.conns == 0 || r.conns > RATE_CONNS_MAX) {
		fprintf(stderr,
			"usage: hf-rate --to IP:PORT --rate N --seconds N [--conns N] [--keys N]\n"
			"               [--path P] [--max-age S] [--seed N]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	rate_options(argc, argv);
	rate_init();
	r.begin_us = rate_now_us() + 100000; /* all connections are up by then */
	while (r.next < r.rate * r.seconds || rate_is_busy()) {
		rate_wait();
		rate_send_due();
		rate_give_up();
	}
	rate_report();
	return 0;
}
