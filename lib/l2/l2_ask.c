/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands: to which node and connection they go, and who is told of the reply.
 */
#include "hf_l2_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_bytes.h"
#include "hf_hist.h"
#include "hf_log.h"
#include "hf_stat.h"

#include "l2_client.h"
#include "l2_priv.h"

#define ASK_DEEP 4 /* replies that a connection owes when another one is opened */

/* ---- one that waits ---- */

static uint64_t ask_patience_us(const struct hf_l2 *l2, enum l2_verb verb)
{
	const struct hf_l2_limits *limits = &l2->limits;

	switch (verb) {
	case L2_HELLO:
		return (limits->connect_ms + limits->read_ms) * 1000ULL;
	case L2_GET:
		return limits->read_ms * 1000ULL;
	case L2_SET:
	case L2_CLAIM:
	case L2_SCRIPT:
	case L2_OTHER:
		break;
	}
	return (limits->write_ms + limits->read_ms) * 1000ULL;
}

bool l2_ask_begin(
	struct l2_conn *conn, enum l2_verb verb, enum hf_l2_pass pass, struct hf_l2_ask *ask)
{
	struct hf_l2 *l2 = conn->l2;
	struct l2_request *request = calloc(1, sizeof(*request));

	if (!request)
		return false;
	request->conn = conn;
	request->verb = verb;
	request->pass = pass;
	request->ask = ask;
	request->begun_us = l2->now_us;
	hf_timer_init(&request->timer, L2_TIMER_REQUEST);
	hf_timer_set(l2->wheel, &request->timer, l2->now_us + ask_patience_us(l2, verb));
	hf_list_add_tail(&conn->waiting, &request->link);
	conn->waiting_count++;
	if (ask) {
		HF_ASSERT(!ask->request && ask->done);
		ask->request = request;
	}
	return true;
}

void hf_l2_cancel(struct hf_l2_ask *ask)
{
	if (ask->request)
		ask->request->ask = NULL;
	ask->request = NULL;
}

static void ask_count(const struct l2_request *request, bool good)
{
	struct l2_node *node = request->conn->node;
	uint64_t took_ns = (node->l2->now_us - request->begun_us) * 1000;

	if (request->verb == L2_HELLO)
		return;
	hf_l2_breaker_tell(&node->breaker, request->pass, good, node->l2->now_us);
	node->failures += !good;
	if (request->verb == L2_GET)
		hf_hist_add(HF_HIST_L2_GET, took_ns);
	else if (request->verb == L2_SET)
		hf_hist_add(HF_HIST_L2_SET, took_ns);
}

static void ask_not_set(void)
{
	hf_stat_inc(HF_STAT_L2_SET_FALLBACK);
	hf_stat_inc(HF_STAT_VALKEY_SET_FALLBACK);
}

/* Tells, and frees. GOOD: the node does its work. */
static void ask_end(
	struct l2_request *request, enum hf_l2_outcome outcome, struct hf_span value, bool good)
{
	struct l2_conn *conn = request->conn;
	struct hf_l2_ask *ask = request->ask;

	hf_list_del(&request->link);
	HF_ASSERT(conn->waiting_count > 0);
	conn->waiting_count--;
	hf_timer_del(conn->l2->wheel, &request->timer);
	ask_count(request, good);
	if (request->verb == L2_SET && outcome == HF_L2_FAILED)
		ask_not_set();
	free(request);
	if (!ask)
		return;
	ask->request = NULL;
	ask->done(ask, outcome, value);
}

void l2_ask_fail_all(struct l2_conn *conn)
{
	struct hf_list *it;

	while ((it = hf_list_first(&conn->waiting)) != NULL)
		ask_end(HF_CONTAINER_OF(it, struct l2_request, link), HF_L2_FAILED,
			(struct hf_span){ NULL, 0 }, /* good= */ false);
}

/* ---- replies ---- */

/* What a node refuses, without what it quotes of our command. */
static void ask_refused(const struct l2_conn *conn, const redisReply *reply)
{
	int len = (int)strcspn(reply->str, " ");

	hf_stat_inc(HF_STAT_L2_STORAGE_ERRORS);
	hf_log(HF_LOG_WARN, "l2", "internal_error: node %s at %s:%u refuses: %.*s",
		conn->node->at.id, conn->node->at.host, conn->node->at.port, len > 32 ? 32 : len,
		reply->str);
}

static bool ask_hello(struct l2_conn *conn, struct l2_request *request, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STATUS) {
		l2_conn_fail(conn, "it does not let us in");
		return true;
	}
	conn->ready = true;
	l2_node_tried(conn->node);
	if (conn->node->listen.conn == conn)
		l2_spread_ready(conn);
	ask_end(request, HF_L2_DONE, (struct hf_span){ NULL, 0 }, /* good= */ true);
	return true;
}

bool l2_ask_answer(struct l2_conn *conn, const redisReply *reply)
{
	struct hf_list *it = hf_list_first(&conn->waiting);
	struct l2_request *request = it ? HF_CONTAINER_OF(it, struct l2_request, link) : NULL;
	struct hf_span value = { reply->str, reply->len };

	if (!request)
		return false;
	if (reply->type == REDIS_REPLY_ERROR)
		ask_refused(conn, reply);
	if (request->verb == L2_HELLO)
		return ask_hello(conn, request, reply);
	switch (reply->type) {
	case REDIS_REPLY_ERROR: /* a full node can be read still */
		ask_end(request, HF_L2_FAILED, (struct hf_span){ NULL, 0 },
			request->verb != L2_GET);
		return true;
	case REDIS_REPLY_NIL:
		ask_end(request, HF_L2_NIL, (struct hf_span){ NULL, 0 }, /* good= */ true);
		return true;
	case REDIS_REPLY_STRING:
		if (request->verb != L2_GET && request->verb != L2_SCRIPT)
			return false;
		break;
	case REDIS_REPLY_STATUS:
		if (request->verb != L2_SET && request->verb != L2_CLAIM)
			return false;
		break;
	case REDIS_REPLY_INTEGER:
		if (request->verb != L2_OTHER)
			return false;
		break;
	default:
		return false;
	}
	ask_end(request, HF_L2_DONE, value, /* good= */ true);
	return true;
}

/* ---- commands ---- */

static struct l2_conn *ask_reader(struct l2_node *node)
{
	struct l2_conn *best = NULL, **room = NULL;

	for (uint32_t i = 0; i < node->l2->limits.connections; i++) {
		struct l2_conn *conn = node->conn[i];

		if (!conn && !room)
			room = &node->conn[i];
		if (conn && (!best || conn->waiting_count < best->waiting_count))
			best = conn;
	}
	if (room && (!best || best->waiting_count >= ASK_DEEP)) {
		struct l2_conn *conn = l2_conn_open(node);

		/* one that has still to be opened is later than one that owes little */
		*room = conn;
		if (!best)
			best = conn;
	}
	return best;
}

static struct l2_conn *ask_writer(struct l2_node *node)
{
	if (!node->writer)
		node->writer = l2_conn_open(node);
	return node->writer;
}

/* The last one was not sent. */
static void ask_undo(struct l2_conn *conn)
{
	struct l2_request *request = HF_CONTAINER_OF(conn->waiting.prev, struct l2_request, link);

	hf_list_del(&request->link);
	conn->waiting_count--;
	hf_timer_del(conn->l2->wheel, &request->timer);
	if (request->ask)
		request->ask->request = NULL;
	free(request);
}

static bool ask_send(struct l2_conn *conn, const struct hf_span *arg, uint32_t count,
	enum l2_verb verb, enum hf_l2_pass pass, struct hf_l2_ask *ask)
{
	if (!conn || conn->waiting_count >= L2_REQUESTS_MAX)
		return false;
	if (!l2_ask_begin(conn, verb, pass, ask))
		return false;
	if (l2_conn_command(conn, arg, count))
		return true;
	ask_undo(conn);
	return false;
}

bool l2_ask_node(struct l2_node *node, const struct hf_span *arg, uint32_t count, enum l2_verb verb,
	struct hf_l2_ask *ask)
{
	const uint64_t now_us = node->l2->now_us;
	enum hf_l2_pass pass = hf_l2_breaker_ask(&node->breaker, now_us);
	struct l2_conn *conn;

	HF_ASSERT(!ask || !ask->request);
	if (pass == HF_L2_PASS_NO)
		return false;
	conn = verb == L2_GET ? ask_reader(node) : ask_writer(node);
	node->commands++;
	if (ask_send(conn, arg, count, verb, pass, ask))
		return true;
	node->failures++;
	hf_l2_breaker_tell(&node->breaker, pass, /* good= */ false, now_us);
	return false;
}

static bool ask_command(struct hf_l2 *l2, const struct hf_l2_key *key, const struct hf_span *arg,
	uint32_t count, enum l2_verb verb, struct hf_l2_ask *ask, uint64_t now_us)
{
	const struct l2_ring *ring = &l2->ring;

	l2->now_us = now_us;
	return ring->ring &&
	       l2_ask_node(ring->node[hf_l2_ring_node(ring->ring, key)], arg, count, verb, ask);
}

static struct hf_span ask_key(const struct hf_l2_key *key)
{
	return (struct hf_span){ key->text, key->len };
}

bool hf_l2_get(
	struct hf_l2 *l2, const struct hf_l2_key *key, struct hf_l2_ask *ask, uint64_t now_us)
{
	const struct hf_span arg[] = { HF_SPAN("GET"), ask_key(key) };

	return ask_command(l2, key, arg, HF_ARRAY_LEN(arg), L2_GET, ask, now_us);
}

static struct hf_span ask_number(char buf[24], uint64_t number)
{
	return (struct hf_span){ buf, (size_t)snprintf(buf, 24, "%" PRIu64, number) };
}

/* KEYS: the key. ARGV: the value, ms, the mark that was seen or "", 1 for no other value. A mark: hf_l2.h, Format. */
static const char ask_set_script[] =
	"local v=redis.call('GETRANGE',KEYS[1],0,35) "
	"local marked=string.sub(v,1,6)=='hfL2\\1\\3' "
	"if marked and string.sub(v,29,36)~=ARGV[3] then return false end "
	"if ARGV[4]=='1' and v~='' and not marked then return false end "
	"return redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2])";

HF_STATIC_ASSERT(L2_VALUE_HEAD == 28 && HF_L2_MARK_LEN == 36, "the script");

bool hf_l2_set(
	struct hf_l2 *l2, const struct hf_l2_put *put, struct hf_l2_ask *ask, uint64_t now_us)
{
	char px[24], mark[8];
	const struct hf_span arg[] = { HF_SPAN("EVAL"), HF_SPAN(ask_set_script), HF_SPAN("1"),
		ask_key(put->key), put->value, ask_number(px, put->px_ms),
		{ mark, put->mark != 0 ? sizeof(mark) : 0 },
		put->if_absent ? HF_SPAN("1") : HF_SPAN("0") };

	HF_ASSERT(put->px_ms > 0);
	hf_store_be64(mark, put->mark);
	if (ask_command(l2, put->key, arg, HF_ARRAY_LEN(arg), L2_SET, ask, now_us))
		return true;
	ask_not_set();
	return false;
}

bool hf_l2_claim(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t px_ms,
	struct hf_l2_ask *ask, uint64_t now_us)
{
	char px[24];
	const struct hf_span arg[] = { HF_SPAN("SET"), ask_key(key), HF_SPAN("1"), HF_SPAN("PX"),
		ask_number(px, px_ms), HF_SPAN("NX") };

	HF_ASSERT(px_ms > 0);
	return ask_command(l2, key, arg, HF_ARRAY_LEN(arg), L2_CLAIM, ask, now_us);
}

/* A node that is full takes the mark too: what was deleted made room, and a script that has begun to write may go on. */
static const char ask_purge_script[] =
	"redis.call('DEL',KEYS[1]) redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1";

bool hf_l2_purge(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t mark, int64_t unix_us,
	struct hf_l2_ask *ask, uint64_t now_us)
{
	char px[24], value[HF_L2_MARK_LEN];
	const struct hf_span arg[] = { HF_SPAN("EVAL"), HF_SPAN(ask_purge_script), HF_SPAN("1"),
		ask_key(key), { value, sizeof(value) }, ask_number(px, HF_L2_MARK_PX_MS) };

	hf_l2_encode_mark(mark, unix_us, value);
	return ask_command(l2, key, arg, HF_ARRAY_LEN(arg), L2_OTHER, ask, now_us);
}

bool hf_l2_keep(struct hf_l2 *l2, const struct hf_l2_key *key, uint64_t px_ms, uint64_t now_us)
{
	char px[24];
	const struct hf_span arg[] = { HF_SPAN("PEXPIRE"), ask_key(key), ask_number(px, px_ms),
		HF_SPAN("GT") };

	return ask_command(l2, key, arg, HF_ARRAY_LEN(arg), L2_OTHER, NULL, now_us);
}

bool hf_l2_del(
	struct hf_l2 *l2, const struct hf_l2_key *key, struct hf_l2_ask *ask, uint64_t now_us)
{
	const struct hf_span arg[] = { HF_SPAN("DEL"), ask_key(key) };

	return ask_command(l2, key, arg, HF_ARRAY_LEN(arg), L2_OTHER, ask, now_us);
}
