/* SPDX-License-Identifier: BSD-3-Clause
 *
 * l2, the client's inside: nodes, connections, requests.
 *
 * Picture
 *      hf_l2 --ring--> node --conn[0 .. connections - 1]--> questions
 *                          \--writer----------------------> set, del
 *      A connection's requests stand in the order in which they were sent: the next reply is the first one's. Its own
 *      first request is AUTH, or PING. One that ends is freed at the end of the turn; one that is retired ends
 *      when it has all its replies.
 */
#ifndef HF_PRIV_L2
#error "l2_client.h is private to lib/l2"
#endif
#ifndef L2_CLIENT_H
#define L2_CLIENT_H

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>
#include <openssl/ssl.h>

#include "hf_list.h"
#include "hf_timer.h"

#include "hf_l2.h"
#include "hf_l2_client.h"
#include "hf_l2_spread.h"

#define L2_REQUESTS_MAX   4096
#define L2_OUT_MAX        (16 * 1024 * 1024)
#define L2_REPLY_EXTRA    (64 * 1024)
#define L2_ARRAY_MAX      16
#define L2_ADDRESSES_MAX  4
#define L2_RESOLVE_US     30000000 /* a name is asked for again */
#define L2_RESOLVE_MIN_US 1000000
#define L2_SECRET_MAX     512

struct l2_address {
	struct sockaddr_storage at;
	socklen_t len;
};

enum l2_verb { L2_HELLO, L2_GET, L2_SET, L2_CLAIM, L2_SCRIPT, L2_OTHER };

struct l2_request {
	struct hf_list link; /* in conn->waiting */
	struct l2_conn *conn;
	enum l2_verb verb;
	enum hf_l2_pass pass;
	struct hf_l2_ask *ask; /* NULL: nobody waits any more */
	uint64_t begun_us;
	struct hf_timer timer; /* L2_TIMER_REQUEST */
};

enum l2_timer { L2_TIMER_REQUEST, L2_TIMER_CONNECT, L2_TIMER_LIFETIME, L2_TIMER_SWAP };

enum l2_conn_state { L2_CONNECTING, L2_HANDSHAKE, L2_OPEN, L2_ENDED };

struct l2_conn {
	struct hf_list link;  /* in l2->leaving or l2->ended; else in neither */
	struct hf_list dirty; /* in l2->dirty: has something to send */
	struct hf_l2 *l2;
	struct l2_node *node;
	enum l2_conn_state state;
	bool ready;   /* its first request was answered */
	bool retired; /* no more requests */
	int fd;
	uint32_t watched; /* epoll events */
	SSL *ssl;
	bool ssl_wants_write; /* to go on reading */
	redisReader *reader;
	redisReplyObjectFunctions functions;
	void *(*usual_array)(const redisReadTask *, int);
	char *out; /* heap */
	size_t out_len, out_pos, out_cap;
	struct hf_list waiting;
	uint32_t waiting_count;
	struct hf_timer timer; /* CONNECT, then LIFETIME */
};

/* How a node is listened to: l2_spread.c. */
struct l2_listen {
	struct l2_conn *conn;
	bool asking;  /* how many it told: under way */
	bool counted; /* `count` is of it */
	bool on;      /* since on_us; else off since off_us */
	bool heard;   /* something on this connection */
	uint64_t count, on_us, off_us;
	uint64_t pause_us, next_us; /* when the next connection may be opened */
};

struct l2_node {
	struct hf_l2 *l2;
	uint32_t refs; /* rings, connections */
	struct hf_state_l2_node at;
	bool tried;      /* its first connection is ready, or failed */
	uint64_t serial; /* of the look-ups that are for it */
	struct l2_address address[L2_ADDRESSES_MAX];
	uint32_t address_count, address_next;
	bool resolving;
	uint64_t resolve_us; /* not before */
	struct hf_l2_breaker breaker;
	struct l2_conn *conn[HF_L2_CONNECTIONS_MAX];
	struct l2_conn *writer;
	uint64_t commands, failures;
	struct l2_listen listen;
};

struct l2_ring {
	struct hf_l2_ring *ring; /* NULL: none */
	struct l2_node **node;   /* [place in the ring] */
	uint32_t count;
};

struct l2_box;

struct hf_l2 {
	struct hf_l2_limits limits;
	char ca_file[4096];
	SSL_CTX *tls;
	int epoll_fd;
	struct hf_wheel *wheel;
	uint64_t now_us;
	size_t reply_max;
	struct l2_ring ring, next; /* next: its nodes are being connected */
	struct hf_timer swap;
	bool settled; /* to be looked at: next may be ready */
	struct hf_list dirty, leaving, ended;
	uint64_t serials;
	struct l2_box *box;
	uint32_t lookups;                  /* under way */
	const struct hf_l2_spread *spread; /* NULL: nothing is listened to */
	char channel[HF_L2_NAMESPACE_MAX + 16];
	struct hf_list spread_asks;
};

/* l2_conn.c */
/* NULL: no address, no socket, no memory. */
struct l2_conn *l2_conn_open(struct l2_node *node);
/* Takes its bytes to the node at the end of the turn. False: too many of them, or no memory. */
bool l2_conn_command(struct l2_conn *conn, const struct hf_span *arg, uint32_t count);
/* It ends now; all that wait have failed. */
void l2_conn_fail(struct l2_conn *conn, const char *why);
/* It ends when nothing is under way any more. */
void l2_conn_retire(struct l2_conn *conn);
void l2_conn_ready(struct l2_conn *conn, uint32_t events);
void l2_conn_flush(struct l2_conn *conn);
void l2_conn_free_ended(struct hf_l2 *l2);

/* l2_ask.c */
bool l2_ask_begin(
	struct l2_conn *conn, enum l2_verb verb, enum hf_l2_pass pass, struct hf_l2_ask *ask);
/* The first that waits is answered. False: the connection is of no use any more. */
bool l2_ask_answer(struct l2_conn *conn, const redisReply *reply);
void l2_ask_fail_all(struct l2_conn *conn);
/* By its writer; as hf_l2_set. */
bool l2_ask_node(struct l2_node *node, const struct hf_span *arg, uint32_t count, enum l2_verb verb,
	struct hf_l2_ask *ask);

/* l2_resolve.c */
struct l2_box *l2_box_new(void);
int l2_box_fd(const struct l2_box *box);
/* Look-ups under way end by themselves. */
void l2_box_free(struct l2_box *box);
/* Its addresses are looked up, if it is time. */
void l2_resolve(struct l2_node *node);
/* Those that are known now. */
void l2_resolve_take(struct hf_l2 *l2);

/* l2_client.c */
void l2_node_unref(struct l2_node *node);
/* Every node of both rings, once; NULL behind the last. */
struct l2_node *l2_node_each(const struct hf_l2 *l2, uint32_t *at);
/* Its first reply came, or there is none to come. */
void l2_node_tried(struct l2_node *node);

/* l2_spread.c: of a node's connection that listens */
void l2_spread_ready(struct l2_conn *conn);
/* False: the connection is of no use any more. */
bool l2_spread_reply(struct l2_conn *conn, const redisReply *reply);
void l2_spread_closed(struct l2_node *node);
void l2_spread_fini(struct hf_l2 *l2);

/* l2_secret.c */
/* Fills the arguments of AUTH, 0 without; BUF keeps them: to be wiped. */
uint32_t l2_secret_args(char buf[L2_SECRET_MAX + 1], struct hf_span arg[3]);

/* l2_tls.c */
/* NULL, and a log line: there is no such. */
SSL_CTX *l2_tls_context(const char *ca_file);
SSL *l2_tls_begin(SSL_CTX *context, const struct l2_node *node, int fd);
/* 0: nothing now; -1: over. */
ssize_t l2_tls_read(struct l2_conn *conn, void *buf, size_t cap);
ssize_t l2_tls_write(struct l2_conn *conn, const void *buf, size_t len);
/* 1: done, 0: goes on, -1: failed. */
int l2_tls_handshake(struct l2_conn *conn);

#endif
