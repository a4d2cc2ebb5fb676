/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A worker without a NIC: real TCP, cache and exchanges under lib/serve; the test plays the clients
 * (in order, without loss) and the origin thread.
 */
#ifndef SERVE_RIG_H
#define SERVE_RIG_H

#include "hf_arena.h"
#include "hf_auth.h"
#include "hf_cache.h"
#include "hf_serve.h"
#include "hf_stat.h"
#include "hf_tcp.h"
#include "hf_xchg.h"

#define RIG_CLIENTS 8
#define RIG_OUT_MAX (8 << 20)

struct rig_client {
	uint16_t port;
	uint32_t snd, rcv; /* next sequence numbers */
	uint32_t acked;    /* rcv as the server knows it */
	bool fin, rst;
	uint32_t out_len;
	char *out; /* what the server sent, NUL-terminated */
};

struct rig {
	uint64_t now_us;
	struct hf_conf conf;
	struct hf_arena *arena;
	struct hf_cache *cache;
	struct hf_shard *shard;
	struct hf_xchg_net *xchgs;
	struct hf_link *link;
	struct hf_tcp *tcp;
	struct hf_serve *serve;
	struct hf_auth *auth;
	struct hf_reqlog *reqlog; /* nobody looks, unless the test does */
	const char *head;         /* of objects: status line and fields */
	uint16_t status;
	struct rig_client client[RIG_CLIENTS];
};

void rig_open(struct rig *rig);
void rig_open_with(struct rig *rig, uint32_t connections_per_address);
/* With so few spans for what is sent. */
void rig_open_spans(struct rig *rig, uint32_t spans_max);
void rig_close(struct rig *rig);
/* Handshake of client `i`. */
struct rig_client *rig_connect(struct rig *rig, uint32_t i);
/* One segment of text, then a turn. */
void rig_send(struct rig *rig, struct rig_client *client, const char *text);
/* The same, but nothing is acknowledged until the next settle. */
void rig_send_deaf(struct rig *rig, struct rig_client *client, const char *text);
/* A burst: for each I a segment of client[I] with text[I], in one turn. */
#define RIG_BURST_MAX 64
void rig_send_burst(struct rig *rig, struct rig_client *const *client, const struct hf_span *text,
	uint32_t count);
void rig_fin(struct rig *rig, struct rig_client *client);
/* The last segment has text. */
void rig_send_fin(struct rig *rig, struct rig_client *client, const char *text);
void rig_reset(struct rig *rig, struct rig_client *client);
/* Turns until nothing is sent any more; everything sent is acknowledged. */
void rig_settle(struct rig *rig);
/* The same, but nothing is acknowledged. */
void rig_settle_deaf(struct rig *rig);
/* Moves the clock, then settles. */
void rig_wait(struct rig *rig, uint64_t us);
/* The same, but nothing is acknowledged. */
void rig_wait_deaf(struct rig *rig, uint64_t us);
/* `len` more bytes of what was sent are acknowledged. */
void rig_ack(struct rig *rig, struct rig_client *client, uint32_t len);
/* A grace period; the worker is asked for what was unlinked, and its answers are taken. */
void rig_recall(struct rig *rig);
/* The next message to the origin thread: its kind, or -1. */
int rig_origin_next(struct rig *rig, void **ret_ptr);
/* It is START, of this exchange. */
struct hf_xchg *rig_expect_start(struct rig *rig);
/* CREDITs aside it is FINISH, of that one; it is GONE then. */
void rig_expect_finish(struct rig *rig, struct hf_xchg *xchg);
/* A stored, published object of `len` bytes of 'x' under a URL. */
struct hf_obj *rig_store(struct rig *rig, const char *url, uint64_t len, uint32_t lifetime_s);
/* The same with bytes of the caller's. */
struct hf_obj *rig_store_body(
	struct rig *rig, const char *url, const char *body, uint64_t len, uint32_t lifetime_s);
/* An object that answers an exchange: head, then the body at will. */
struct hf_obj *rig_answer(struct rig *rig, struct hf_xchg *xchg, uint64_t len, bool stream);
/* The same, and nothing is acknowledged. */
struct hf_obj *rig_answer_deaf(struct rig *rig, struct hf_xchg *xchg, uint64_t len, bool stream);
/* The same, but it failed before the worker heard of it. */
struct hf_obj *rig_answer_failed(struct rig *rig, struct hf_xchg *xchg);
void rig_more(struct rig *rig, struct hf_xchg *xchg);
void rig_more_deaf(struct rig *rig, struct hf_xchg *xchg);

#endif
