/* SPDX-License-Identifier: BSD-3-Clause
 *
 * l2 client - asks Valkey or Redis nodes for values, and gives them some; never blocks.
 *
 * What      One instance for each origin thread. A key belongs to one node of the ring; to each node there
 *           are a few connections for questions and one for what is written, with many commands under way
 *           on each. Replies are parsed by libhiredis; sockets, TLS and deadlines are ours, since its own
 *           (0.14) has neither TLS nor deadlines of commands.
 * Picture
 *      get, set, purge -> ring -> node -> breaker -> connection -> out buffer .. one write a turn
 *      epoll -> read -> reply -> done(ask)           deadline -> the connection ends, done(FAILED) for all on it
 *      nodes_set -> new nodes connect -> all are ready, or connect_ms is over -> ring swapped -> old ones end
 * Threads   origin; names are resolved in threads of their own. The secret: any.
 * Lifetime  An ask belongs to its owner, who cancels it before it goes. done is only ever called by run.
 * Promises  L1 done(FAILED) comes at most read_ms after get, whatever the node does; after the breaker
 *               has opened nothing is begun. L2 an empty list of nodes leaves the ring as it is. L3 a reply is never
 *               given to another's question: what breaks the order ends the connection. L4 the secret is in no
 *               log line, and is wiped from what was sent. L5 a node's name is asked for again when a
 *               connection is opened 30 s after that or later, or 1 s after one failed.
 * Limits    HF_L2_NODES_MAX nodes, L2_REQUESTS_MAX commands and L2_OUT_MAX unsent bytes a connection; beyond them a
 *           command is refused. A reply is at most value_max and 64 KiB long.
 * Tests     tests/unit/l2/test_l2_client.c, tests/system/test_l2.py
 */
#ifndef HF_L2_CLIENT_H
#define HF_L2_CLIENT_H

#include "hf_base.h"
#include "hf_l2.h"
#include "hf_state.h"

struct hf_l2;

struct hf_l2_limits {
	uint32_t connect_ms, read_ms, write_ms;
	uint32_t keepalive_ms; /* silence after which TCP asks whether the node is there */
	uint32_t lifetime_ms;  /* of a connection */
	uint32_t connections;  /* to a node, for questions: 1 to HF_L2_CONNECTIONS_MAX */
	const char *ca_file;   /* whose certificates count; "": the system's */
};

#define HF_L2_CONNECTIONS_MAX 8

enum hf_l2_outcome { HF_L2_DONE, HF_L2_NIL, HF_L2_FAILED };

struct l2_request;

/* Somebody who waits. Zeroed but for `done` before its first use; good for another one after done. */
struct hf_l2_ask {
	/* VALUE: of DONE, of get; good until it returns. May begin other asks, this one too. */
	void (*done)(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value);
	struct l2_request *request; /* NULL: nothing is under way */
};

/* -ENOMEM, -errno told in `err`. */
int hf_l2_new(
	const struct hf_l2_limits *limits, struct hf_err *err, struct hf_l2 **ret_l2) HF_MUST_CHECK;
/* Nobody is told any more. NULL is fine. */
void hf_l2_free(struct hf_l2 *l2);
/* Readable when run has something to do. */
int hf_l2_fd(const struct hf_l2 *l2);
/* From the next connection and command on. */
void hf_l2_limits_set(struct hf_l2 *l2, const struct hf_l2_limits *limits);
/* What the state says; off: everything ends. */
void hf_l2_nodes_set(struct hf_l2 *l2, const struct hf_state_l2 *set, uint64_t now_us);
/* There is a ring. */
bool hf_l2_is_on(const struct hf_l2 *l2);

/* False: refused, nothing is begun, and `done` is not called. */
bool hf_l2_get(struct hf_l2 *l2, const struct hf_l2_key *key, struct hf_l2_ask *ask,
	uint64_t now_us) HF_MUST_CHECK;

struct hf_l2_put {
	const struct hf_l2_key *key;
	struct hf_span value; /* copied */
	uint64_t px_ms;
	uint64_t
		mark; /* what was there when the origin was about to be asked; 0: none, or not known */
	bool if_absent; /* or that mark is there: else NIL */
};
/* NIL: there is another purge's mark. ASK: NULL, nobody waits. */
bool hf_l2_set(struct hf_l2 *l2, const struct hf_l2_put *put, struct hf_l2_ask *ask,
	uint64_t now_us) HF_MUST_CHECK;
/* DONE: it is the caller's for so long, or until it is deleted. NIL: it is another's. */
bool hf_l2_claim(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t px_ms,
	struct hf_l2_ask *ask, uint64_t now_us) HF_MUST_CHECK;
/* DONE: the mark is there instead of what was. */
bool hf_l2_purge(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t mark, int64_t unix_us,
	struct hf_l2_ask *ask, uint64_t now_us) HF_MUST_CHECK;
/* PEXPIRE GT: it stays for so long at least. */
bool hf_l2_keep(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t px_ms,
	uint64_t now_us) HF_MUST_CHECK;
/* DONE: it is not there any more. ASK: NULL, nobody waits. */
bool hf_l2_del(
	struct hf_l2 *l2, const struct hf_l2_key *key, struct hf_l2_ask *ask, uint64_t now_us);
/* Fine when nothing is under way. */
void hf_l2_cancel(struct hf_l2_ask *ask);

/* What came, what is due, what is to be sent. True: there was something. */
bool hf_l2_run(struct hf_l2 *l2, uint64_t now_us);
/* Commands wait to be sent: run before sleeping. */
bool hf_l2_has_work(const struct hf_l2 *l2);
/* When run has to be called though nothing came. */
uint64_t hf_l2_due_us(const struct hf_l2 *l2);

/* For operators. */
struct hf_l2_node_status {
	struct hf_state_l2_node at;
	uint32_t connections, in_flight;
	uint64_t commands, failures;
	enum hf_l2_breaker_state breaker;
	bool in_ring; /* keys belong to it; else it is on its way in */
};
/* How many there are; at most CAP are told. */
uint32_t hf_l2_tell(const struct hf_l2 *l2, struct hf_l2_node_status *ret_nodes, uint32_t cap);

/* Any thread: "[USER ]PASSWORD" in the first line of FILE is what every connection begins with from now on; "": no
 * AUTH. -EINVAL or -errno told in `err`, and the one before stays. */
int hf_l2_secret_set(const char *file, struct hf_err *err) HF_MUST_CHECK;

#endif
