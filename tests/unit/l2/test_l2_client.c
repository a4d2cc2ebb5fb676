/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig_client.h"

#include <netinet/tcp.h>

#define KEY_A "http://a.test/a"

/* ---- a real server ---- */

static struct rig *real_rig(const struct rig_redis *redis)
{
	struct rig *rig = rig_new(2);

	rig->node[0].port = redis->port;
	rig_nodes(rig, 0, 1);
	rig_until(rig, hf_l2_is_on(rig->l2));
	return rig;
}

static long redis_number(const struct rig_redis *redis, const char *command)
{
	char reply[64];

	rig_redis_ask(redis, command, reply, sizeof(reply));
	return strtol(reply + 1, NULL, 10); /* ":N" */
}

Test(l2_client, redis_keeps_and_forgets_values)
{
	struct rig_redis redis;
	struct rig_ask ask;
	struct hf_l2_key key = rig_key(KEY_A);
	struct rig *rig;
	char command[256];

	rig_redis_begin(&redis, "");
	rig = real_rig(&redis);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_NIL);
	cr_assert(rig_set(rig, &ask, KEY_A, "one\r\ntwo", false));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_set(rig, &ask, KEY_A, "other", /* if_absent= */ true));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_NIL, "NX");
	cr_assert(hf_l2_keep(rig->l2, &key, 120000, rig->now_us));
	cr_assert(hf_l2_keep(rig->l2, &key, 1000, rig->now_us), "it stays for as long as before");
	(void)snprintf(command, sizeof(command), "PTTL %s\r\n", key.text);
	rig_until(rig, redis_number(&redis, command) > 60000);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert_eq(ask.len, 8);
	cr_assert(memcmp(ask.value, "one\r\ntwo", 8) == 0);
	ask = (struct rig_ask){ .ask.done = rig_done };
	cr_assert(hf_l2_del(rig->l2, &key, &ask.ask, rig->now_us));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_NIL);
	rig_free(rig);
	rig_redis_end(&redis);
}

static bool purge(struct rig *rig, struct rig_ask *ask, const char *url, uint64_t mark)
{
	struct hf_l2_key key = rig_key(url);

	*ask = (struct rig_ask){ .ask.done = rig_done };
	return hf_l2_purge(rig->l2, &key, mark, 1700000000000000, &ask->ask, rig->now_us);
}

static enum hf_l2_outcome set_with(
	struct rig *rig, const char *url, const char *value, uint64_t mark, bool if_absent)
{
	struct hf_l2_key key = rig_key(url);
	const struct hf_l2_put put = { .key = &key,
		.value = { value, strlen(value) },
		.px_ms = 60000,
		.mark = mark,
		.if_absent = if_absent };
	struct rig_ask ask = { .ask.done = rig_done };

	cr_assert(hf_l2_set(rig->l2, &put, &ask.ask, rig->now_us));
	rig_until(rig, ask.done);
	return ask.outcome;
}

Test(l2_client, where_redis_was_purged_only_he_stores_who_saw_the_mark)
{
	struct rig_redis redis;
	struct rig_ask ask;
	struct rig *rig;
	char mark[HF_L2_MARK_LEN];

	rig_redis_begin(&redis, "");
	rig = real_rig(&redis);
	cr_expect_eq(set_with(rig, KEY_A, "one", 0, false), HF_L2_DONE);
	cr_assert(purge(rig, &ask, KEY_A, 77));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	hf_l2_encode_mark(77, 1700000000000000, mark);
	cr_assert_eq(ask.len, sizeof(mark));
	cr_expect(memcmp(ask.value, mark, sizeof(mark)) == 0);
	cr_expect_eq(set_with(rig, KEY_A, "late", 0, false), HF_L2_NIL);
	cr_expect_eq(set_with(rig, KEY_A, "late", 0, true), HF_L2_NIL);
	cr_expect_eq(set_with(rig, KEY_A, "late", 76, false), HF_L2_NIL);
	cr_expect_eq(set_with(rig, KEY_A, "two", 77, true), HF_L2_DONE);
	cr_expect_eq(set_with(rig, KEY_A, "three", 77, true), HF_L2_NIL, "not absent any more");
	cr_expect_eq(set_with(rig, KEY_A, "three", 0, false), HF_L2_DONE, "no mark");
	cr_expect_eq(hf_stat_sum(HF_STAT_L2_SET_FALLBACK), 0, "nothing failed");
	rig_free(rig);
	rig_redis_end(&redis);
}

Test(l2_client, a_mark_ends_by_itself)
{
	struct rig_redis redis;
	struct hf_l2_key key = rig_key(KEY_A);
	struct rig_ask ask;
	struct rig *rig;
	char command[256];
	long left_ms;

	rig_redis_begin(&redis, "");
	rig = real_rig(&redis);
	cr_assert(purge(rig, &ask, KEY_A, 77));
	rig_until(rig, ask.done);
	(void)snprintf(command, sizeof(command), "PTTL %s\r\n", key.text);
	left_ms = redis_number(&redis, command);
	cr_expect(left_ms > 0 && left_ms <= HF_L2_MARK_PX_MS, "%ld", left_ms);
	rig_free(rig);
	rig_redis_end(&redis);
}

Test(l2_client, a_redis_that_is_full_can_be_purged)
{
	struct rig_redis redis;
	struct rig_ask ask;
	struct rig *rig;
	char reply[64];

	rig_redis_begin(&redis, "");
	rig = real_rig(&redis);
	cr_assert_eq(set_with(rig, KEY_A, "one", 0, false), HF_L2_DONE);
	rig_redis_ask(&redis, "CONFIG SET maxmemory 1\r\n", reply, sizeof(reply));
	cr_assert_eq(set_with(rig, KEY_A, "two", 0, false), HF_L2_FAILED);
	cr_assert(purge(rig, &ask, KEY_A, 77));
	rig_until(rig, ask.done);
	cr_expect_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_expect_eq(ask.len, HF_L2_MARK_LEN);
	rig_free(rig);
	rig_redis_end(&redis);
}

Test(l2_client, a_large_value_comes_back_whole_beside_others)
{
	const size_t len = 900000;
	struct rig_redis redis;
	struct rig_ask ask, other[8];
	char *value = malloc(len + 1);
	struct rig *rig;

	memset(value, 'v', len);
	value[len] = '\0';
	rig_redis_begin(&redis, "");
	rig = real_rig(&redis);
	cr_assert(rig_set(rig, &ask, KEY_A, value, false));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	for (uint32_t i = 0; i < 8; i++)
		cr_assert(rig_get(rig, &other[i], "http://a.test/none"));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert_eq(ask.len, len);
	for (uint32_t i = 0; i < 8; i++) {
		rig_until(rig, other[i].done);
		cr_assert_eq(other[i].outcome, HF_L2_NIL);
	}
	free(value);
	rig_free(rig);
	rig_redis_end(&redis);
}

/* CA: a file in the server's directory, or "". */
static struct rig *tls_rig(const struct rig_redis *redis, const char *ca, const char *host)
{
	struct rig *rig = rig_new(1);
	struct hf_l2_limits limits = rig->l2->limits;
	char file[96];

	(void)snprintf(file, sizeof(file), "%s%s%s", *ca ? redis->dir : "", *ca ? "/" : "", ca);
	limits.ca_file = file;
	limits.connect_ms = 10000;
	limits.read_ms = 10000;
	hf_l2_limits_set(rig->l2, &limits);
	rig->set.node = rig->at;
	rig->set.node_count = 1;
	rig->at[0] = (struct hf_state_l2_node){
		.id = "n", .port = redis->port, .weight = 1, .tls = true
	};
	(void)snprintf(rig->at[0].host, sizeof(rig->at[0].host), "%s", host);
	hf_l2_nodes_set(rig->l2, &rig->set, rig->now_us);
	rig_until(rig, hf_l2_is_on(rig->l2));
	return rig;
}

Test(l2_client, over_tls_with_a_certificate_of_the_nodes_name)
{
	static const size_t len = 300000;
	char *value = malloc(len + 1);
	struct rig_redis redis;
	struct rig_ask ask;
	struct rig *rig;

	memset(value, 'v', len);
	value[len] = '\0';
	rig_redis_begin_tls(&redis);
	rig = tls_rig(&redis, "cert", "127.0.0.1");
	cr_assert(rig_set(rig, &ask, KEY_A, value, false));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert_eq(ask.len, len);
	rig_free(rig);

	rig = tls_rig(&redis, "", "127.0.0.1"); /* an authority that nobody knows */
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_FAILED);
	rig_free(rig);

	rig = tls_rig(&redis, "cert", "localhost"); /* another name */
	if (rig_get(rig, &ask, KEY_A)) {
		rig_until(rig, ask.done);
		cr_assert_eq(ask.outcome, HF_L2_FAILED);
	}
	rig_free(rig);
	rig_redis_end(&redis);
	free(value);
}

static void secret_set(const char *text)
{
	char file[] = "/tmp/hf_l2_secret_XXXXXX";
	struct hf_err err = { "" };
	int fd = mkstemp(file);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	cr_assert(hf_l2_secret_set(file, &err) == 0, "%s", err.text);
	(void)unlink(file);
}

Test(l2_client, redis_that_wants_a_secret_is_told_it)
{
	struct rig_redis redis;
	struct rig_ask ask;
	struct rig *rig;

	secret_set("default open-sesame\nmore\n");
	rig_redis_begin(&redis, "open-sesame");
	rig = real_rig(&redis);
	cr_assert(rig_set(rig, &ask, KEY_A, "v", false));
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	rig_free(rig);
	rig_redis_end(&redis);
}

Test(l2_client, with_another_secret_nothing_is_answered_and_the_breaker_opens)
{
	struct rig_redis redis;
	struct rig_ask ask;
	struct rig *rig;
	uint32_t asked = 0;

	secret_set("wrong\n");
	rig_redis_begin(&redis, "open-sesame");
	rig = real_rig(&redis);
	while (asked < 10 && rig_get(rig, &ask, KEY_A)) {
		asked++;
		rig_until(rig, ask.done);
		cr_assert_eq(ask.outcome, HF_L2_FAILED);
	}
	cr_assert_eq(asked, 5);
	rig_free(rig);
	rig_redis_end(&redis);
}

Test(l2_client, a_secret_is_one_or_two_words)
{
	static const char *const bad[] = { "", "\n", "a b c\n", " a\n", "a \n", "a\tb\n" };
	struct hf_err err;

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		char file[] = "/tmp/hf_l2_secret_XXXXXX";
		int fd = mkstemp(file);

		cr_assert_eq(write(fd, bad[i], strlen(bad[i])), (ssize_t)strlen(bad[i]));
		(void)close(fd);
		cr_assert_eq(hf_l2_secret_set(file, &err), -EINVAL, "%zu", i);
		(void)unlink(file);
	}
	cr_assert_eq(hf_l2_secret_set("/nowhere/at/all", &err), -ENOENT);
	cr_assert_eq(hf_l2_secret_set("", &err), 0);
}

/* ---- what a node may do ---- */

Test(l2_client, replies_go_to_the_questions_in_their_order)
{
	struct rig *rig = rig_one();
	struct rig_peer *peer = &rig->node[0].peer[0];
	struct rig_ask ask[3];

	for (uint32_t i = 0; i < 3; i++)
		cr_assert(rig_get(rig, &ask[i], KEY_A));
	rig_until(rig, rig_heard(peer, "GET"));
	rig_say(peer, "$1\r\na\r\n$-1");
	rig_until(rig, ask[0].done);
	cr_assert(!ask[1].done);
	rig_say(peer, "\r\n$1\r\nc\r\n");
	rig_until(rig, ask[2].done);
	cr_assert_eq(ask[0].value[0], 'a');
	cr_assert_eq(ask[1].outcome, HF_L2_NIL);
	cr_assert_eq(ask[2].value[0], 'c');
	rig_free(rig);
}

Test(l2_client, who_waited_for_too_long_is_told_so_and_the_late_reply_is_nobodys)
{
	struct rig *rig = rig_one();
	struct rig_ask ask, next;

	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, rig_heard(&rig->node[0].peer[0], "GET"));
	rig_pass(rig, 24);
	cr_assert(!ask.done);
	rig_pass(rig, 3);
	cr_assert(ask.done);
	cr_assert_eq(ask.outcome, HF_L2_FAILED);
	(void)send(rig->node[0].peer[0].fd, "$4\r\nlate\r\n", 10, MSG_NOSIGNAL);
	cr_assert(rig_get(rig, &next, "http://a.test/b"));
	rig_until(rig, rig->node[0].peers == 2 && rig_heard(&rig->node[0].peer[1], "GET"));
	rig_say(&rig->node[0].peer[1], "+PONG\r\n$5\r\nright\r\n");
	rig_until(rig, next.done);
	cr_assert(memcmp(next.value, "right", 5) == 0);
	rig_free(rig);
}

Test(l2_client, what_is_no_reply_to_the_question_ends_the_connection)
{
	static const char *const bad[] = { "+OK\r\n", ":1\r\n", "*1\r\n$1\r\na\r\n", "*-1\r\n",
		"*1000000000\r\n", "$-2\r\n", "hello\r\n",
		"*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n" };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		struct rig *rig = rig_one();
		struct rig_ask ask;

		cr_assert(rig_get(rig, &ask, KEY_A));
		rig_until(rig, rig_heard(&rig->node[0].peer[0], "GET"));
		rig_say(&rig->node[0].peer[0], bad[i]);
		rig_settle(rig);
		if (!ask.done) /* it may go on */
			rig_pass(rig, 30);
		cr_assert(ask.done, "%zu", i);
		cr_assert_neq(ask.outcome, HF_L2_DONE, "%zu", i);
		rig_free(rig);
	}
}

Test(l2_client, a_reply_that_nobody_asked_for_ends_the_connection)
{
	struct rig *rig = rig_one();
	char byte;

	rig_say(&rig->node[0].peer[0], "$1\r\na\r\n");
	rig_settle(rig);
	cr_assert_eq(recv(rig->node[0].peer[0].fd, &byte, 1, 0), 0);
	rig_free(rig);
}

Test(l2_client, a_reply_longer_than_a_value_may_be_ends_the_connection)
{
	struct rig *rig = rig_one();
	struct rig_ask ask;
	char block[4096];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, rig_heard(&rig->node[0].peer[0], "GET"));
	rig_say(&rig->node[0].peer[0], "$99999999\r\n");
	while (!ask.done && sent < 4 << 20) {
		ssize_t n = send(rig->node[0].peer[0].fd, block, sizeof(block), MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		rig_turn(rig);
	}
	cr_assert(ask.done && ask.outcome == HF_L2_FAILED);
	rig_free(rig);
}

Test(l2_client, an_error_is_a_failure_and_the_connection_goes_on)
{
	struct rig *rig = rig_one();
	struct rig_peer *peer = &rig->node[0].peer[0];
	struct rig_ask ask, next;

	cr_assert(rig_get(rig, &ask, KEY_A));
	cr_assert(rig_get(rig, &next, KEY_A));
	rig_until(rig, rig_heard(peer, "GET"));
	rig_say(peer, "-LOADING Redis is loading the dataset in memory\r\n$1\r\nb\r\n");
	rig_until(rig, next.done);
	cr_assert_eq(ask.outcome, HF_L2_FAILED);
	cr_assert_eq(next.outcome, HF_L2_DONE);
	rig_free(rig);
}

Test(l2_client, who_left_is_not_told)
{
	struct rig *rig = rig_one();
	struct rig_ask ask, next;

	cr_assert(rig_get(rig, &ask, KEY_A));
	cr_assert(rig_get(rig, &next, KEY_A));
	rig_until(rig, rig_heard(&rig->node[0].peer[0], "GET"));
	hf_l2_cancel(&ask.ask);
	rig_say(&rig->node[0].peer[0], "$1\r\na\r\n$1\r\nb\r\n");
	rig_until(rig, next.done);
	cr_assert(!ask.done);
	cr_assert_eq(next.value[0], 'b');
	rig_free(rig);
}

Test(l2_client, an_idle_connection_that_the_node_closed_is_replaced)
{
	struct rig *rig = rig_one();
	struct rig_node *node = &rig->node[0];
	struct rig_ask ask;

	(void)close(node->peer[0].fd);
	node->peer[0].fd = -1;
	rig_settle(rig);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, node->peers == 2 && rig_heard(&node->peer[1], "GET"));
	rig_say(&node->peer[1], "+PONG\r\n$1\r\na\r\n");
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	rig_free(rig);
}

Test(l2_client, a_connection_past_its_lifetime_ends_when_it_owes_nothing)
{
	struct rig *rig = rig_one();
	struct rig_node *node = &rig->node[0];
	struct rig_ask ask;
	char byte;

	rig->now_us += 299990000;
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, rig_heard(&node->peer[0], "GET"));
	rig_pass(rig, 12);
	cr_assert_eq(recv(node->peer[0].fd, &byte, 1, 0), -1);
	rig_say(&node->peer[0], "$1\r\na\r\n");
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	rig_settle(rig);
	cr_assert_eq(recv(node->peer[0].fd, &byte, 1, 0), 0);
	rig_free(rig);
}

/* ---- the breaker ---- */

Test(l2_client, a_dead_node_costs_five_questions_and_comes_back_by_a_probe)
{
	struct rig *rig = rig_one();
	struct rig_node *node = &rig->node[0];
	struct rig_ask ask;
	uint32_t asked = 0;

	rig_deaf(node);
	rig_settle(rig);
	while (asked < 10 && rig_get(rig, &ask, KEY_A)) {
		asked++;
		rig_until(rig, ask.done);
		cr_assert_eq(ask.outcome, HF_L2_FAILED);
	}
	cr_assert_eq(asked, 5);
	rig_listen(node);
	rig_pass(rig, 100);
	cr_assert(!rig_get(rig, &ask, KEY_A), "not before the pause is over");
	rig_pass(rig, 200);
	for (uint32_t i = 0; i < 2; i++) {
		struct rig_ask second;

		cr_assert(rig_get(rig, &ask, KEY_A), "a probe");
		cr_assert(!rig_get(rig, &second, KEY_A), "one at a time");
		rig_until(rig, node->peers == 1 && rig_heard(&node->peer[0], "GET"));
		rig_say(&node->peer[0], i == 0 ? "+PONG\r\n$-1\r\n" : "$-1\r\n");
		node->peer[0].len = 0;
		node->peer[0].in[0] = '\0';
		rig_until(rig, ask.done);
	}
	cr_assert(rig_get(rig, &ask, KEY_A), "closed again");
	hf_l2_cancel(&ask.ask);
	rig_free(rig);
}

/* ---- the ring ---- */

Test(l2_client, the_ring_is_swapped_when_the_new_nodes_are_ready)
{
	struct rig *rig = rig_one();
	struct rig_ask ask;

	rig_listen(&rig->node[1]);
	rig_nodes(rig, 1, 1);
	rig_until(rig, rig->node[1].peers == 1);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, rig_heard(&rig->node[0].peer[0], "GET"));
	rig_pong(&rig->node[1]);
	rig_settle(rig);
	rig_say(&rig->node[0].peer[0], "$1\r\na\r\n"); /* what it owes, it may still say */
	rig_until(rig, ask.done);
	cr_assert_eq(ask.outcome, HF_L2_DONE);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, rig_heard(&rig->node[1].peer[0], "GET"));
	hf_l2_cancel(&ask.ask);
	rig_free(rig);
}

Test(l2_client, a_node_that_is_not_there_does_not_hold_up_the_ring)
{
	struct rig *rig = rig_one();
	struct hf_l2_node_status status[2];

	rig_listen(&rig->node[1]); /* takes connections, and says nothing */
	rig_nodes(rig, 0, 2);
	rig_until(rig, rig->node[1].peers == 1);
	cr_assert_eq(hf_l2_tell(rig->l2, status, 2), 2);
	cr_assert(!status[1].in_ring);
	rig_pass(rig, 27);
	cr_assert_eq(hf_l2_tell(rig->l2, status, 2), 2);
	cr_assert(status[0].in_ring && status[1].in_ring);
	rig_free(rig);
}

Test(l2_client, an_empty_list_keeps_the_ring_and_none_at_all_ends_it)
{
	struct rig *rig = rig_one();
	char byte;

	rig->set.node_count = 0;
	hf_l2_nodes_set(rig->l2, &rig->set, rig->now_us);
	rig_settle(rig);
	cr_assert(hf_l2_is_on(rig->l2));
	rig->set.on = false;
	hf_l2_nodes_set(rig->l2, &rig->set, rig->now_us);
	rig_settle(rig);
	cr_assert(!hf_l2_is_on(rig->l2));
	cr_assert_eq(recv(rig->node[0].peer[0].fd, &byte, 1, 0), 0);
	rig_free(rig);
}

Test(l2_client, the_same_list_again_changes_nothing)
{
	struct rig *rig = rig_one();

	rig_nodes(rig, 0, 1);
	rig_settle(rig);
	cr_assert_eq(rig->node[0].peers, 1);
	rig_free(rig);
}

/* ---- names ---- */

/* The only node, of a name that is looked up. */
static struct rig *named_rig(void)
{
	struct rig *rig = rig_new(1);
	struct rig_node *node = &rig->node[0];

	rig_listen(node);
	rig->set.node = rig->at;
	rig->set.node_count = 1;
	rig->at[0] = (struct hf_state_l2_node){
		.id = "n", .host = "localhost", .port = node->port, .weight = 1
	};
	hf_l2_nodes_set(rig->l2, &rig->set, rig->now_us);
	rig_until(rig, node->peers == 1 && rig_heard(&node->peer[0], "PING"));
	rig_pong(node);
	rig_until(rig, hf_l2_is_on(rig->l2));
	return rig;
}

/* The connection ends, and another one is opened by a question. */
static void named_again(struct rig *rig)
{
	struct rig_node *node = &rig->node[0];
	struct rig_ask ask;

	(void)close(node->peer[node->peers - 1].fd);
	node->peer[node->peers - 1].fd = -1;
	rig_settle(rig);
	cr_assert(rig_get(rig, &ask, KEY_A));
	hf_l2_cancel(&ask.ask);
}

Test(l2_client, L5_a_name_is_looked_up_again_for_a_connection_after_30_s)
{
	struct rig *rig = named_rig();

	rig_pass(rig, 10000);
	named_again(rig);
	cr_assert_eq(rig->l2->lookups, 0);
	rig_until(rig, rig->node[0].peers == 2);
	rig_pong(&rig->node[0]);
	rig_settle(rig);
	rig_pass(rig, 21000);
	named_again(rig);
	cr_assert_eq(rig->l2->lookups, 1);
	rig_until(rig, rig->l2->lookups == 0);
	rig_free(rig);
}

Test(l2_client, L5_a_name_is_looked_up_again_soon_after_a_connection_failed)
{
	struct rig *rig = named_rig();
	struct rig_ask ask;

	rig_deaf(&rig->node[0]);
	rig_settle(rig);
	cr_assert(rig_get(rig, &ask, KEY_A));
	rig_until(rig, ask.done);
	cr_assert_eq(rig->l2->lookups, 0);
	rig_pass(rig, 1100);
	cr_assert(rig_get(rig, &ask, KEY_A));
	cr_assert_eq(rig->l2->lookups, 1);
	rig_until(rig, ask.done && rig->l2->lookups == 0);
	rig_free(rig);
}

/* ---- connections ---- */

Test(l2_client, L1_a_connection_that_does_not_come_about_is_given_up_after_connect_ms)
{
	struct rig *rig = rig_one();
	struct hf_l2_limits limits = rig->l2->limits;
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(rig->node[0].port) };
	int fill[4];
	struct rig_ask ask;

	limits.read_ms = 1000;
	limits.ca_file = "";
	hf_l2_limits_set(rig->l2, &limits);
	(void)close(rig->node[0].peer[0].fd);
	rig->node[0].peer[0].fd = -1;
	rig_settle(rig);
	/* a listener that accepts nothing more: SYNs are left */
	cr_assert_eq(listen(rig->node[0].listener, 0), 0);
	for (size_t i = 0; i < HF_ARRAY_LEN(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&at, sizeof(at));
	}
	cr_assert(rig_get(rig, &ask, KEY_A));
	(void)hf_l2_run(rig->l2, rig->now_us += 20000);
	cr_assert(!ask.done);
	(void)hf_l2_run(rig->l2, rig->now_us += 10000);
	cr_assert(ask.done);
	cr_assert_eq(ask.outcome, HF_L2_FAILED);
	for (size_t i = 0; i < HF_ARRAY_LEN(fill); i++)
		(void)close(fill[i]);
	rig_free(rig);
}

Test(l2_client, L1_what_is_written_is_waited_for_no_longer_than_write_and_read_ms)
{
	struct rig *rig = rig_one();
	struct rig_ask ask;

	cr_assert(rig_set(rig, &ask, KEY_A, "v", false));
	rig_until(rig, rig->node[0].peers == 2);
	rig_pong(&rig->node[0]);
	rig_settle(rig);
	rig_pass(rig, 49);
	cr_assert(!ask.done);
	rig_pass(rig, 3);
	cr_assert(ask.done);
	cr_assert_eq(ask.outcome, HF_L2_FAILED);
	cr_assert_eq(hf_stat_sum(HF_STAT_L2_SET_FALLBACK), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_VALKEY_SET_FALLBACK), 1);
	rig_free(rig);
}

Test(l2_client, a_silent_connection_is_asked_by_tcp_whether_anybody_is_there)
{
	struct rig *rig = rig_one();
	int fd = rig->l2->ring.node[0]->conn[0]->fd, on = 0, idle_s = 0;
	socklen_t len = sizeof(on);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, &len), 0);
	cr_assert_eq(on, 1);
	cr_assert_eq(idle_s, 15);
	rig_free(rig);
}

Test(l2_client, a_node_that_is_full_is_asked_still)
{
	struct rig *rig = rig_one();
	struct rig_peer *writer = &rig->node[0].peer[1];
	struct hf_l2_node_status status;
	struct rig_ask ask;

	for (uint32_t i = 0; i < 20; i++) {
		cr_assert(rig_set(rig, &ask, KEY_A, "v", false));
		rig_until(rig, rig->node[0].peers == 2 && rig_heard(writer, "SET"));
		rig_say(writer, i == 0 ? "+PONG\r\n-OOM no\r\n" : "-OOM no\r\n");
		writer->len = 0;
		writer->in[0] = '\0';
		rig_until(rig, ask.done);
		cr_assert_eq(ask.outcome, HF_L2_FAILED);
	}
	cr_assert_eq(hf_l2_tell(rig->l2, &status, 1), 1);
	cr_assert_eq(status.breaker, HF_L2_CLOSED);
	cr_assert_eq(hf_stat_sum(HF_STAT_L2_SET_FALLBACK), 20);
	cr_assert(rig_get(rig, &ask, KEY_A));
	hf_l2_cancel(&ask.ask);
	rig_free(rig);
}
