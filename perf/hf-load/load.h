/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hf-load - how many answers a second, and how late: an HTTP/1.1 client on an lcore of its own.
 *
 * Picture
 *      main.c: options -> EAL, one port -> lcore: turns of lib/net and lib/tcp
 *                                            |-- client.c   connections, requests; phase.c: their order
 *                                            |     lean       a TCP of IPv4 without those two
 *                                            |     load_zipf  which key     load_pace  when
 *                                            |     load_resp  what came     load_body  is it right
 *                                            '-- stub.c     (--stub) answers without looking
 *      origin.c (--origin): kernel sockets, the objects that the others ask for
 *      report.c: for people, and JSON
 * Threads   The client is the lcore's; main waits, then reports. All else is pure.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdio.h>

#include "hf_hist.h"
#include "hf_net.h"

#define LOAD_SIZES_MAX   16
#define LOAD_KEYS_MAX    (1u << 26)
#define LOAD_PIPELINE    64 /* requests on the way on a connection, at most */
#define LOAD_HOST_MAX    64
#define LOAD_REQUEST_MAX 192
#define LOAD_HEAD_MAX    1024

enum load_mode { LOAD_CLIENT, LOAD_STUB, LOAD_ORIGIN };

struct load_sizes {
	uint32_t count;
	uint32_t bytes[LOAD_SIZES_MAX];
	uint64_t below[LOAD_SIZES_MAX]; /* of 2^32, cumulated weights */
};

struct load_opts {
	enum load_mode mode;
	struct hf_conf conf; /* the port, its addresses, the gateway */
	struct hf_ip target; /* in LOAD_ORIGIN: where to listen */
	uint16_t target_port;
	int cpu; /* -1: any */
	char host[LOAD_HOST_MAX + 1];
	uint32_t keys;
	double zipf;
	struct load_sizes sizes;
	uint32_t connections, pipeline, requests_per_connection; /* 0: for ever */
	double rate;                                             /* 0: closed loop */
	double duration_s, warmup_s, timeout_s;
	uint64_t requests; /* 0: by duration */
	bool fill;
	uint32_t verify; /* one body of so many; 0: none */
	uint64_t seed;
	const char *json; /* NULL: none */
};

/* 0: run; 1: all is said (--help, --version); -EINVAL: told on ERRORS. The strings stay argv's. */
int load_args(int argc, char **argv, FILE *errors, struct load_opts *ret_opts) HF_MUST_CHECK;

/* One number after the other (splitmix64). */
static inline uint64_t load_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t load_random(uint64_t *state)
{
	return load_mix(*state += 0x9e3779b97f4a7c15);
}

/* Keys 0 to n - 1, the k-th as often as 1/(k+1)^s (s 0: all alike), by Walker's alias method: a
 * sample is one look at a table of 8 bytes a key. */
struct load_zipf;
int load_zipf_new(uint32_t n, double s, struct load_zipf **ret_zipf) HF_MUST_CHECK;
void load_zipf_free(struct load_zipf *zipf);
uint32_t load_zipf_sample(const struct load_zipf *zipf, uint64_t random);
/* That look takes longer than all else of a request, unless one says before what it will be. */
void load_zipf_prefetch(const struct load_zipf *zipf, uint64_t random);

/* The i-th request of an open loop is due at begin_ns + i / rate, whatever became of those before. */
struct load_pace {
	uint64_t begin_ns;
	double interval_ns;
	uint64_t count; /* taken so far */
};

static inline uint64_t load_pace_due_ns(const struct load_pace *pace)
{
	return pace->begin_ns + (uint64_t)((double)pace->count * pace->interval_ns);
}

/* How many more are due before end_ns. */
static inline uint64_t load_pace_left(const struct load_pace *pace, uint64_t end_ns)
{
	uint64_t due_ns = load_pace_due_ns(pace);

	return due_ns < end_ns ? 1 + (uint64_t)((double)(end_ns - 1 - due_ns) / pace->interval_ns)
			       : 0;
}

/* An object's size and bytes follow from its key. */
uint32_t load_size_of(const struct load_sizes *sizes, uint32_t key);
void load_body_fill(uint32_t key, uint64_t offset, void *ret_bytes, size_t len);
/* Are these the LEN bytes at OFFSET? */
bool load_body_is(uint32_t key, uint64_t offset, const void *bytes, size_t len);

#define LOAD_PATH        "/hf/0000000000/00000000" /* key, size */
#define LOAD_KEY_AT      4
#define LOAD_KEY_DIGITS  10
#define LOAD_SIZE_AT     15
#define LOAD_SIZE_DIGITS 8
void load_digits(char *ret_text, uint32_t digits, uint32_t value);
/* False: not a path of ours. */
bool load_path_read(const char *path, uint32_t *ret_key, uint32_t *ret_size);

/* The head of a response that was read: the next one's may be alike but for its fields' values. */
struct load_shape {
	uint32_t head_len, at, len; /* line of Content-Length, with the ends of lines around it */
	uint64_t length;
	char line[48];
};

/* Responses, one after the other, in pieces. Content-Length is required: what is measured stores it. */
struct load_resp {
	bool in_body, whole; /* whole: the piece ended the response; the next begins another */
	uint16_t status;
	uint32_t head_len; /* bytes of an incomplete head */
	uint64_t length, left;
	const uint8_t *body; /* in the piece that was fed last */
	uint32_t body_len;
	struct load_shape *shape; /* of the last head; NULL: none is kept */
	char head[LOAD_HEAD_MAX];
};

/* Takes bytes of one response; returns how many, or -EPROTO. */
int load_resp_feed(struct load_resp *resp, const uint8_t *data, uint32_t len) HF_MUST_CHECK;

struct load_result {
	uint64_t fill_ns, window_ns;                  /* how long they took */
	uint64_t requests, responses, response_bytes; /* in all, with filling and warm-up */
	uint64_t window_responses, window_bytes;      /* that came within the window */
	uint64_t verified, connections;
	uint64_t connect_failed, cut, timeout, bad_head, bad_status, bad_body, unsent;
	uint64_t retransmits, drops;
	uint64_t cpu_ns;             /* of the lcore, from its first turn to its last */
	struct hf_hist_view latency; /* ns, of what was due within the window */
};

uint64_t load_result_errors(const struct load_result *result);
void load_report(const struct load_opts *opts, const struct load_result *result, FILE *out);
int load_report_json(const struct load_opts *opts, const struct load_result *result);

/* Frames at a time. Few, for with all that is on the way in one burst each end would wait for the other. */
#define LOAD_BURST 16

struct rte_mbuf;

/* Frames on their way out: what is filled, and behind it what is still empty. */
struct load_wire {
	struct rte_mbuf *frame[LOAD_BURST];
	uint32_t filled, count;
	/* Sends what is filled, and puts empty ones there, as many as there are. */
	void (*turn)(struct load_wire *wire);
};

/* The client, over a TCP that is the caller's. */
struct load_client;
int load_client_new(const struct load_opts *opts, struct hf_tcp *tcp,
	struct load_client **ret_client) HF_MUST_CHECK;
void load_client_free(struct load_client *client);
/* The way to the target is known: it may connect. */
void load_client_path_set(struct load_client *client, const struct hf_path *path);
void load_client_segments(
	struct load_client *client, const struct hf_tcp_seg *segs, uint32_t count, uint64_t now_ns);
/* IPv4, connections that stay. */
bool load_is_lean(const struct load_opts *opts);
/* Without that TCP, where load_is_lean: frames to the wire, from MAC; received ones stay the
 * caller's. Before anything else; -ENOMEM: nothing but load_client_free may follow. */
int load_client_lean(
	struct load_client *client, struct load_wire *wire, const uint8_t mac[6]) HF_MUST_CHECK;
void load_client_frames(struct load_client *client, struct rte_mbuf *const *frames, uint32_t count,
	uint64_t now_ns);
/* Timers, new connections, what is due. False: all is done. */
bool load_client_turn(struct load_client *client, uint64_t now_ns);
/* Ends the measurement as soon as what is on the way has come. */
void load_client_stop(struct load_client *client, uint64_t now_ns);
const struct load_result *load_client_result(const struct load_client *client);

/* Answers every request that comes to the port with one response of the first size, until *stop.
 * IPv4, a table of nothing: what a segment asks for is said by itself. */
struct load_stub;
int load_stub_new(const struct load_opts *opts, struct hf_port *port,
	struct load_stub **ret_stub) HF_MUST_CHECK;
void load_stub_free(struct load_stub *stub);
/* True: there was something to do. */
bool load_stub_turn(struct load_stub *stub);

/* Serves every object over kernel sockets until *stop. */
int load_origin_run(const struct load_opts *opts, const volatile bool *stop);

#endif
