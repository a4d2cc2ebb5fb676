/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Edges that purge, over real servers.
 */
#include "rig_client.h"

struct edge {
	struct rig *rig;
	struct hf_l2_spread spread;
	char heard[16][64];
	uint32_t heard_count, missed, walks, told, untold;
	int64_t walked_us;
};

static void edge_heard(void *arg, struct hf_span text)
{
	struct edge *edge = arg;

	cr_assert(edge->heard_count < 16 && text.len < 64);
	memcpy(edge->heard[edge->heard_count], text.ptr, text.len);
	edge->heard[edge->heard_count++][text.len] = '\0';
}

static void edge_missed(void *arg)
{
	((struct edge *)arg)->missed++;
}

static void edge_walked(void *arg, int64_t at_us)
{
	struct edge *edge = arg;

	edge->walks++;
	edge->walked_us = at_us;
}

static void edge_told(void *arg, bool told)
{
	struct edge *edge = arg;

	edge->told += told;
	edge->untold += !told;
}

static struct rig_redis redis[2];

static void edge_begin(struct edge *edge, uint32_t nodes)
{
	*edge = (struct edge){ .rig = rig_new(1),
		.spread = { edge_heard, edge_missed, edge_walked, edge } };
	for (uint32_t i = 0; i < nodes; i++)
		edge->rig->node[i].port = redis[i].port;
	hf_l2_spread_begin(edge->rig->l2, &edge->spread, "t");
	rig_nodes(edge->rig, 0, nodes);
	rig_until(edge->rig, hf_l2_is_on(edge->rig->l2));
	hf_l2_spread_run(edge->rig->l2, edge->rig->now_us);
	rig_until(edge->rig, hf_l2_spread_count(edge->rig->l2) == nodes);
}

static void edge_tell(struct edge *edge, const char *text, int64_t walk_us)
{
	cr_assert(hf_l2_spread_tell(edge->rig->l2, (struct hf_span){ text, strlen(text) }, walk_us,
		edge->rig->now_us, edge_told, edge));
	rig_until(edge->rig, edge->told + edge->untold > 0);
	cr_assert(edge->told == 1 && edge->untold == 0);
	edge->told = 0;
}

/* Not listened to any more, until run is called. */
static void edge_cut(struct edge *edge, uint32_t node)
{
	uint32_t count = hf_l2_spread_count(edge->rig->l2);

	rig_redis_do(&redis[node], "CLIENT KILL TYPE pubsub\r\n");
	rig_until(edge->rig, hf_l2_spread_count(edge->rig->l2) == count - 1);
}

static void edge_back(struct edge *edge, uint32_t nodes)
{
	hf_l2_spread_run(edge->rig->l2, edge->rig->now_us);
	rig_until(edge->rig, hf_l2_spread_count(edge->rig->l2) == nodes);
	rig_settle(edge->rig);
}

static void begin(void)
{
	rig_redis_begin(&redis[0], "");
}

static void end(void)
{
	rig_redis_end(&redis[0]);
}

TestSuite(l2_spread, .init = begin, .fini = end);

Test(l2_spread, P1_what_one_edge_tells_all_hear)
{
	struct edge one, other;

	edge_begin(&one, 1);
	edge_begin(&other, 1);
	edge_tell(&one, "first", 0);
	edge_tell(&other, "second \"2\"", 0);
	rig_until(other.rig, other.heard_count == 2);
	rig_until(one.rig, one.heard_count == 2);
	cr_expect_str_eq(other.heard[0], "first");
	cr_expect_str_eq(other.heard[1], "second \"2\"");
	cr_expect_str_eq(one.heard[1], "second \"2\"");
	cr_expect(one.missed == 0 && other.missed == 0);
	rig_free(one.rig);
	rig_free(other.rig);
}

Test(l2_spread, P3_a_new_edge_is_told_when_the_last_purge_of_many_was)
{
	struct edge one, other;

	edge_begin(&one, 1);
	cr_expect_eq(one.walked_us, 0);
	edge_tell(&one, "tag", 1800000000000000);
	edge_tell(&one, "earlier", 1700000000000000);
	edge_tell(&one, "key", 0);
	edge_begin(&other, 1);
	cr_expect_eq(other.walks, 1);
	cr_expect_eq(other.walked_us, 1800000000000000);
	cr_expect_eq(other.missed, 0, "it had nothing then");
	rig_free(one.rig);
	rig_free(other.rig);
}

Test(l2_spread, P2_what_was_told_while_it_was_away_is_missed)
{
	struct edge one, other;

	edge_begin(&one, 1);
	edge_begin(&other, 1);
	edge_tell(&one, "heard", 0);
	rig_until(other.rig, other.heard_count == 1);
	edge_cut(&other, 0);
	edge_back(&other, 1);
	cr_expect_eq(other.missed, 0, "nothing was told");
	edge_cut(&other, 0);
	edge_tell(&one, "not heard", 5);
	edge_back(&other, 1);
	cr_expect_eq(other.missed, 1);
	cr_expect_eq(other.walked_us, 5);
	edge_back(&one, 1);
	edge_tell(&one, "again", 0);
	rig_until(other.rig, other.heard_count == 2);
	cr_expect_eq(other.missed, 1);
	rig_free(one.rig);
	rig_free(other.rig);
}

Test(l2_spread, P2_a_number_that_is_left_out_while_it_listens_is_missed)
{
	struct edge one;

	edge_begin(&one, 1);
	edge_tell(&one, "1", 0);
	rig_redis_do(&redis[0], "HINCRBY t:1:purges n 1\r\n");
	edge_tell(&one, "3", 0);
	rig_until(one.rig, one.heard_count == 2);
	cr_expect_eq(one.missed, 1);
	rig_free(one.rig);
}

Test(l2_spread, P2_a_node_that_lost_its_memory_while_it_was_away_has_told_nobody_knows_what)
{
	struct edge one, other;

	edge_begin(&one, 1);
	edge_begin(&other, 1);
	edge_tell(&one, "1", 0);
	edge_tell(&one, "2", 0);
	rig_until(other.rig, other.heard_count == 2);
	rig_redis_do(&redis[0], "FLUSHALL\r\n");
	edge_tell(&one, "3", 0);
	rig_until(other.rig, other.heard_count == 3);
	cr_expect_eq(other.missed, 0, "while it was listened to nothing was missed");
	edge_cut(&other, 0);
	rig_redis_do(&redis[0], "FLUSHALL\r\n");
	edge_back(&other, 1);
	cr_expect_eq(other.missed, 1);
	rig_free(one.rig);
	rig_free(other.rig);
}

Test(l2_spread, P2_what_one_node_could_not_tell_another_has)
{
	struct edge one, other;

	rig_redis_begin(&redis[1], "");
	edge_begin(&one, 2);
	edge_begin(&other, 2);
	edge_cut(&other, 0);
	edge_tell(&one, "by one", 0);
	rig_until(other.rig, other.heard_count == 1);
	edge_back(&other, 2);
	cr_expect_eq(other.missed, 0);
	rig_free(one.rig);
	rig_free(other.rig);
	rig_redis_end(&redis[1]);
}

Test(l2_spread, P2_a_node_that_was_listened_to_only_later_does_not_have_it)
{
	struct edge one;

	rig_redis_begin(&redis[1], "");
	edge_begin(&one, 2);
	edge_tell(&one, "by both", 0);
	rig_until(one.rig, one.heard_count == 2);
	edge_cut(&one, 0);
	one.rig->now_us += 1000;
	edge_cut(&one, 1);
	rig_redis_do(&redis[0], "HINCRBY t:1:purges n 1\r\n"); /* that node alone told it */
	one.rig->now_us += 1000;
	(void)kill(redis[0].pid, SIGSTOP);
	edge_back(&one, 1);
	(void)kill(redis[0].pid, SIGCONT);
	rig_until(one.rig, hf_l2_spread_count(one.rig->l2) == 2);
	cr_expect_eq(one.missed, 1);
	rig_free(one.rig);
	rig_redis_end(&redis[1]);
}

Test(l2_spread, P2_what_was_told_before_the_first_that_it_hears_again_is_missed)
{
	struct edge one, other;
	char reply[64] = "";

	edge_begin(&one, 1);
	edge_begin(&other, 1);
	edge_tell(&one, "1", 0);
	rig_until(other.rig, other.heard_count == 1);
	edge_cut(&other, 0);
	edge_tell(&one, "2", 0); /* it does not listen any more, either */
	hf_l2_spread_run(other.rig->l2, other.rig->now_us);
	while (!strstr(reply, ":1\r\n")) { /* it is subscribed, and does not know that yet */
		rig_turn(other.rig);
		rig_redis_ask(&redis[0], "PUBSUB NUMSUB t:1:purges\r\n", reply, sizeof(reply));
	}
	edge_tell(&one, "3", 0);
	rig_until(other.rig, hf_l2_spread_count(other.rig->l2) == 1);
	cr_expect_eq(other.heard_count, 2);
	cr_expect_eq(other.missed, 1);
	rig_free(one.rig);
	rig_free(other.rig);
}

Test(l2_spread, a_dead_node_is_told_nothing_and_a_living_one_is)
{
	struct edge one;

	rig_redis_begin(&redis[1], "");
	edge_begin(&one, 2);
	rig_redis_end(&redis[1]);
	rig_settle(one.rig);
	edge_tell(&one, "to the other", 0);
	rig_until(one.rig, one.heard_count == 1);
	rig_free(one.rig);
}

Test(l2_spread, nobody_has_what_no_node_took)
{
	struct edge one;

	edge_begin(&one, 1);
	rig_redis_end(&redis[0]);
	if (hf_l2_spread_tell(one.rig->l2, HF_SPAN("x"), 0, one.rig->now_us, edge_told, &one))
		rig_until(one.rig, one.untold == 1);
	cr_expect_eq(one.told, 0);
	rig_free(one.rig);
	rig_redis_begin(&redis[0], "");
}

Test(l2_spread, what_is_under_way_at_the_end_leaves_nothing_behind)
{
	struct edge one;

	edge_begin(&one, 1);
	cr_assert(
		hf_l2_spread_tell(one.rig->l2, HF_SPAN("x"), 0, one.rig->now_us, edge_told, &one));
	rig_free(one.rig);
	cr_expect_eq(one.told + one.untold, 0);
}
