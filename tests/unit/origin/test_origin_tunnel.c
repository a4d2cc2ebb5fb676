/* SPDX-License-Identifier: BSD-3-Clause
 *
 * CONNECT: bytes both ways, limits, ends.
 */
#include "origin_answer.h"
#include "rig.h"

static struct rig *tunnel_rig(uint32_t max)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.tunnel.max = max;
	rig->conf.origin.max_in_flight = 1;
	rig_up(rig, 64 << 20);
	return rig;
}

/* As lib/serve does, to the rig's server. */
static void tunnel_start(struct rig *rig, struct rig_client *client)
{
	struct hf_xchg *xchg = hf_xchg_get(rig->net, 0);
	char text[64];
	uint32_t used = 0;

	memset(client, 0, sizeof(*client));
	client->bad_at = UINT64_MAX;
	client->eager = true;
	client->xchg = xchg;
	xchg->owner = client;
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/", rig->port);
	xchg->key.ptr = rig_keep(xchg, &used, (struct hf_span){ text, strlen(text) }).ptr;
	xchg->key.len = (uint32_t)strlen(text);
	xchg->key.hash = hf_cache_hash(rig->cache, xchg->key.ptr, xchg->key.len);
	xchg->method = HF_HTTP_CONNECT;
	xchg->has_body = true;
	xchg->cause = HF_XCHG_BYPASS_METHOD;
	xchg->to = rig->link;
	hf_xchg_to_origin(xchg->to, HF_XCHG_START, xchg);
}

static void tunnel_send(struct rig *rig, struct rig_client *client, const char *text, bool last)
{
	struct hf_xchg_body *body = hf_xchg_body_get(rig->net, client->xchg);

	cr_assert(body);
	body->len = (uint32_t)strlen(text);
	memcpy(body->data, text, body->len);
	body->last = last;
	hf_xchg_to_origin(client->xchg->to, HF_XCHG_BODY, body);
}

static void expect_none(struct rig *rig)
{
	rig_until(rig, rig->origin->tunnel_count == 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNELS_OPEN), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), 0, "no tunnel is a fetch");
	rig_free(rig);
}

Test(origin_tunnel, bytes_go_both_ways_and_half_of_it_may_end)
{
	struct rig *rig = tunnel_rig(64);
	struct rig_client client;

	tunnel_start(rig, &client);
	tunnel_send(rig, &client, "early ", false);
	rig_until(rig, client.head);
	cr_expect_eq(client.xchg->obj->status, 200);
	tunnel_send(rig, &client, "hello", false);
	rig_until(rig, rig->conns == 1 && rig->conn[0].in.len == 11);
	cr_expect_str_eq(rig->conn[0].in.data, "early hello");
	rig_say(&rig->conn[0], "to you");
	rig_until(rig, client.body.len == 6);
	tunnel_send(rig, &client, "", true);
	rig_until(rig, rig->conn[0].eof);
	rig_say(&rig->conn[0], ", too");
	rig_until(rig, client.body.len == 11);
	cr_expect_str_eq(client.body.data, "to you, too");
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNELS_OPEN), 1);
	rig_conn_close(&rig->conn[0]);
	rig_until(rig, rig_client_at_end(&client));
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNELS_CLOSED), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNEL_BYTES_UP), 11);
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNEL_BYTES_DOWN), 11);
	rig_end(rig, &client);
	expect_none(rig);
}

Test(origin_tunnel, a_client_that_does_not_read_holds_up_its_target_and_no_memory)
{
	struct rig *rig = tunnel_rig(64);
	struct rig_client client;
	size_t len = 6 << 20;
	char *bytes = rig_body(len);
	uint64_t window;

	tunnel_start(rig, &client);
	client.eager = false;
	rig_until(rig, client.head);
	window = origin_flow_window(rig->origin);
	rig_buf_add(&rig->conn[0].out, bytes, len);
	free(bytes);
	rig_until(rig, atomic_load(&client.xchg->obj->filled) > window / 2);
	rig_settle(rig);
	for (size_t step = 1; client.read_len < len; step = step * 7 % 60013 + 1) {
		cr_assert_leq(atomic_load(&client.xchg->obj->filled), client.read_len + window);
		rig_client_read(&client, step);
		rig_client_ack(rig, &client);
		rig_turn(rig);
	}
	cr_expect_eq(client.bad_at, UINT64_MAX);
	rig_end(rig, &client);
	expect_none(rig);
}

Test(origin_tunnel, a_target_that_does_not_read_leaves_bodies_with_the_worker)
{
	struct rig *rig = tunnel_rig(64);
	struct rig_client client;
	char text[HF_XCHG_BODY_LEN];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	tunnel_start(rig, &client);
	rig_until(rig, client.head);
	for (uint32_t idle = 0; idle < 50;) { /* the rig's peer is not asked to read */
		if (client.xchg->bodies_out < HF_XCHG_BODIES_MAX) {
			tunnel_send(rig, &client, text, false);
			idle = 0;
		}
		hf_origin_step(rig->origin, 1);
		rig_worker_turn(rig);
		idle++;
	}
	cr_expect_eq(client.xchg->bodies_out, HF_XCHG_BODIES_MAX);
	rig_until(rig, client.xchg->bodies_out == 0);
	rig_end(rig, &client);
	expect_none(rig);
}

Test(origin_tunnel, a_target_that_resets_cuts_its_client)
{
	const struct linger at_once = { 1, 0 };
	struct rig *rig = tunnel_rig(64);
	struct rig_client client;

	tunnel_start(rig, &client);
	rig_until(rig, client.head && rig->conns == 1);
	cr_assert(
		setsockopt(rig->conn[0].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	rig_conn_close(&rig->conn[0]);
	rig_until(rig, rig_client_cut(&client));
	cr_expect_eq(hf_stat_sum(HF_STAT_TUNNELS_FAILED), 1);
	rig_end(rig, &client);
	expect_none(rig);
}

Test(origin_tunnel, silence_cuts_it_and_so_does_its_age)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct rig *rig = tunnel_rig(64);
		struct rig_client client;

		rig->conf.tunnel.idle_timeout_ms = i ? 10000 : 30;
		rig->conf.tunnel.total_timeout_ms = i ? 60 : 10000;
		tunnel_start(rig, &client);
		rig_until(rig, client.head && rig->conns == 1);
		while (!rig_client_cut(&client)) {
			if (i) /* it is not silent */
				rig_say(&rig->conn[0], "x");
			rig_turn(rig);
		}
		cr_expect_eq(hf_stat_sum(HF_STAT_TUNNELS_TIMEOUT), i + 1);
		rig_end(rig, &client);
		expect_none(rig);
	}
}

Test(origin_tunnel, a_target_that_is_not_there_is_502_or_504)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct rig *rig = tunnel_rig(64);
		struct rig_client client;
		uint16_t port = 0;
		int deaf = rig_deaf(AF_INET, &port);

		rig->conf.origin.connect_timeout_ms = 30;
		rig->port = port;
		if (i)
			(void)close(deaf);
		tunnel_start(rig, &client);
		rig_until(rig, client.fail);
		cr_expect_eq(client.xchg->fail_status, i ? 502 : 504);
		rig_end(rig, &client);
		if (!i)
			(void)close(deaf);
		expect_none(rig);
	}
}

Test(origin_tunnel, it_takes_no_slot_but_there_is_a_limit)
{
	struct rig *rig = tunnel_rig(2);
	struct rig_client client[3], get;
	const char *head;

	for (uint32_t i = 0; i < 3; i++)
		tunnel_start(rig, &client[i]);
	rig_until(rig, client[0].head && client[1].head && client[2].fail);
	cr_expect_eq(client[2].xchg->fail_status, 503);
	rig_get(rig, &get, "/a", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &get, 10);
	rig_end(rig, &get);
	rig_end(rig, &client[0]);
	rig_end(rig, &client[2]);
	tunnel_start(rig, &client[2]);
	rig_until(rig, client[2].head);
	rig_finish(rig, &client[1]); /* the others are freed with the origin thread */
	rig_until(rig, client[1].gone);
	free(client[1].body.data);
	rig_free(rig);
}
