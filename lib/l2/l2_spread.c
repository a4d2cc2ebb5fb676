/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_l2_spread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_log.h"

#include "l2_client.h"

#define SPREAD_PAUSE_MIN_US 500000
#define SPREAD_PAUSE_MAX_US 8000000

/* KEYS: the hash, and channel; ARGV: 1 to tell, 0 to ask; WALK_US; the text. Returns "n walked". */
static const char spread_script[] =
	"local k=KEYS[1] local w=redis.call('HGET',k,'walked') or '0' "
	"if ARGV[1]=='0' then return (redis.call('HGET',k,'n') or '0')..' '..w end "
	"if tonumber(ARGV[2])>tonumber(w) then redis.call('HSET',k,'walked',ARGV[2]) end "
	"local n=redis.call('HINCRBY',k,'n',1) "
	"redis.call('PUBLISH',k,n..' '..ARGV[3]) "
	"return n..' '..w";

/* A question to one node. */
struct spread_ask {
	struct hf_list link; /* in l2->spread_asks */
	struct hf_l2_ask ask;
	struct l2_node *node;
	struct spread_tell *tell; /* NULL: only how many there were */
};

struct spread_tell {
	uint32_t open; /* nodes that have not answered */
	bool told;
	void (*done)(void *arg, bool told);
	void *arg;
};

static struct hf_span spread_channel(const struct hf_l2 *l2)
{
	return (struct hf_span){ l2->channel, strlen(l2->channel) };
}

static void spread_ask_free(struct spread_ask *one)
{
	hf_list_del(&one->link);
	free(one);
}

/* TELL NULL: to ask how many there were. */
static bool spread_send(struct l2_node *node, struct spread_tell *tell, struct hf_span text,
	int64_t walk_us,
	void (*done)(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value))
{
	struct spread_ask *one = calloc(1, sizeof(*one));
	char walked[24];
	const struct hf_span arg[] = { HF_SPAN("EVAL"), HF_SPAN(spread_script), HF_SPAN("1"),
		spread_channel(node->l2), tell ? HF_SPAN("1") : HF_SPAN("0"),
		{ walked, (size_t)snprintf(walked, sizeof(walked), "%" PRId64, walk_us) }, text };

	HF_ASSERT(one);
	one->ask.done = done;
	one->node = node;
	one->tell = tell;
	hf_list_add_tail(&node->l2->spread_asks, &one->link);
	if (l2_ask_node(node, arg, HF_ARRAY_LEN(arg), L2_SCRIPT, &one->ask))
		return true;
	spread_ask_free(one);
	return false;
}

void l2_spread_fini(struct hf_l2 *l2)
{
	struct hf_list *it;

	while ((it = hf_list_first(&l2->spread_asks)) != NULL) {
		struct spread_ask *one = HF_CONTAINER_OF(it, struct spread_ask, link);

		if (one->tell && --one->tell->open == 0)
			free(one->tell);
		spread_ask_free(one);
	}
}

/* ---- to tell ---- */

static void tell_done(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct spread_ask *one = HF_CONTAINER_OF(ask, struct spread_ask, ask);
	struct spread_tell *tell = one->tell;

	tell->told |= outcome == HF_L2_DONE;
	spread_ask_free(one);
	if (--tell->open > 0)
		return;
	tell->done(tell->arg, tell->told);
	free(tell);
}

bool hf_l2_spread_tell(struct hf_l2 *l2, struct hf_span text, int64_t walk_us, uint64_t now_us,
	void (*done)(void *arg, bool told), void *arg)
{
	struct spread_tell *tell = calloc(1, sizeof(*tell));
	struct l2_node *node;
	uint32_t at = 0;

	HF_ASSERT(tell && l2->spread && text.len <= HF_L2_SPREAD_TEXT_MAX);
	l2->now_us = now_us;
	tell->done = done;
	tell->arg = arg;
	while ((node = l2_node_each(l2, &at)) != NULL)
		tell->open += spread_send(node, tell, text, walk_us, tell_done);
	if (tell->open > 0)
		return true;
	free(tell);
	return false;
}

/* ---- to listen ---- */

void hf_l2_spread_begin(struct hf_l2 *l2, const struct hf_l2_spread *spread, const char *name)
{
	char channel[sizeof(l2->channel)];
	struct l2_node *node;
	uint32_t at = 0;

	HF_ASSERT(hf_l2_namespace_is_valid(name));
	(void)snprintf(channel, sizeof(channel), "%s:1:purges", name);
	l2->spread = spread;
	if (strcmp(channel, l2->channel) == 0)
		return;
	memcpy(l2->channel, channel, sizeof(channel));
	while ((node = l2_node_each(l2, &at)) != NULL) {
		node->listen.counted = false;
		if (node->listen.conn)
			l2_conn_retire(node->listen.conn);
	}
}

/* Was another node listened to since before this one was not? */
static bool spread_is_covered(const struct l2_node *of)
{
	const struct l2_node *node;
	uint32_t at = 0;

	while ((node = l2_node_each(of->l2, &at)) != NULL)
		if (node != of && node->listen.on && node->listen.on_us <= of->listen.off_us)
			return true;
	return false;
}

static void spread_missed(const struct l2_node *node)
{
	const struct hf_l2_spread *spread = node->l2->spread;

	hf_log(HF_LOG_WARN, "l2", "internal_error: node %s told purges that did not come",
		node->at.id);
	spread->missed(spread->arg);
}

static bool spread_numbers(struct hf_span value, uint64_t *ret_count, int64_t *ret_walked_us)
{
	char text[48];

	if (value.len == 0 || value.len >= sizeof(text))
		return false;
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNd64, ret_count, ret_walked_us) == 2;
}

/* How many there were, now that it is listened to; what has come since is further. */
static void spread_counted(struct hf_l2_ask *ask, enum hf_l2_outcome outcome, struct hf_span value)
{
	struct spread_ask *one = HF_CONTAINER_OF(ask, struct spread_ask, ask);
	struct l2_node *node = one->node;
	struct l2_listen *listen = &node->listen;
	uint64_t count;
	int64_t walked_us;

	spread_ask_free(one);
	listen->asking = false;
	if (!listen->conn)
		return;
	if (outcome != HF_L2_DONE || !spread_numbers(value, &count, &walked_us)) {
		l2_conn_fail(listen->conn, "it does not say how many purges it told");
		return;
	}
	node->l2->spread->walked(node->l2->spread->arg, walked_us);
	if (!listen->heard) {
		if (listen->counted && count != listen->count && !spread_is_covered(node))
			spread_missed(node);
		listen->count = count;
	}
	listen->counted = true;
	listen->on = true;
	listen->on_us = node->l2->now_us;
	listen->pause_us = listen->next_us = 0;
}

/* "n TEXT". The first one after a pause has to be the next one; later ones may begin again at 1: its memory was
 * cleared while it was listened to. */
static bool spread_heard(struct l2_node *node, const redisReply *reply)
{
	const struct hf_l2_spread *spread = node->l2->spread;
	struct l2_listen *listen = &node->listen;
	bool goes_on = listen->on || listen->heard, was = listen->counted;
	uint64_t before = listen->count;
	char *text;
	uint64_t count = strtoull(reply->str, &text, 10);

	if (count == 0 || *text != ' ')
		return false;
	text++;
	listen->count = count;
	listen->heard = true;
	spread->heard(
		spread->arg, (struct hf_span){ text, reply->len - (size_t)(text - reply->str) });
	if (was && (goes_on ? count > before + 1 : count != before + 1) &&
		(goes_on || !spread_is_covered(node)))
		spread_missed(node);
	return true;
}

static bool spread_is(const redisReply *reply, const char *word)
{
	return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

bool l2_spread_reply(struct l2_conn *conn, const redisReply *reply)
{
	const struct hf_span none = { "", 0 };
	struct l2_node *node = conn->node;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return false;
	if (spread_is(reply->element[0], "message"))
		return reply->element[2]->type == REDIS_REPLY_STRING &&
		       spread_heard(node, reply->element[2]);
	if (!spread_is(reply->element[0], "subscribe") || node->listen.asking)
		return false;
	node->listen.asking = spread_send(node, NULL, none, 0, spread_counted);
	return node->listen.asking;
}

void l2_spread_ready(struct l2_conn *conn)
{
	const struct hf_span arg[] = { HF_SPAN("SUBSCRIBE"), spread_channel(conn->l2) };

	if (!l2_conn_command(conn, arg, HF_ARRAY_LEN(arg)))
		l2_conn_fail(conn, "no memory");
}

void l2_spread_closed(struct l2_node *node)
{
	struct l2_listen *listen = &node->listen;

	listen->conn = NULL;
	listen->heard = false;
	if (listen->on)
		listen->off_us = node->l2->now_us;
	listen->on = false;
}

/* One that is dead is tried after ever longer pauses. */
static void spread_listen(struct l2_node *node)
{
	struct l2_listen *listen = &node->listen;
	uint64_t now_us = node->l2->now_us;

	if (listen->conn || listen->asking || now_us < listen->next_us)
		return;
	listen->pause_us = hf_max_u64(
		SPREAD_PAUSE_MIN_US, hf_min_u64(2 * listen->pause_us, SPREAD_PAUSE_MAX_US));
	listen->next_us = now_us + listen->pause_us;
	listen->conn = l2_conn_open(node);
}

void hf_l2_spread_run(struct hf_l2 *l2, uint64_t now_us)
{
	struct l2_node *node;
	uint32_t at = 0;

	l2->now_us = now_us;
	while (l2->spread && (node = l2_node_each(l2, &at)) != NULL)
		spread_listen(node);
}

uint32_t hf_l2_spread_count(const struct hf_l2 *l2)
{
	const struct l2_node *node;
	uint32_t at = 0, count = 0;

	while ((node = l2_node_each(l2, &at)) != NULL)
		count += node->listen.on;
	return count;
}
