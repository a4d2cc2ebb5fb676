/* SPDX-License-Identifier: BSD-3-Clause
 *
 * G2, G5: origins that break, lie or sleep; limits.
 */
#include "rig.h"

static void expect_fail(struct rig *rig, const char *answer, uint16_t status, enum hf_drop reason)
{
	struct rig_client client[2];

	rig_get(rig, &client[0], "/a", "");
	rig_get(rig, &client[1], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	if (answer) {
		rig_say(&rig->conn[0], answer);
		rig->conn[0].close_after = true;
	}
	for (uint32_t i = 0; i < 2; i++) {
		rig_until(rig, client[i].fail);
		cr_assert_eq(client[i].xchg->fail_status, status);
		cr_assert_eq(client[i].xchg->fail_reason, reason);
		rig_end(rig, &client[i]);
	}
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_ERRORS), 1);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

Test(origin_fail, a_garbage_head_is_502)
{
	expect_fail(rig_new(), "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\nbody", 502,
		HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, http_0_9_is_502)
{
	expect_fail(rig_new(), "hello\n", 502, HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, a_folded_field_is_502)
{
	expect_fail(
		rig_new(), "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 502, HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, an_upgrade_that_nobody_asked_for_is_502)
{
	expect_fail(rig_new(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502,
		HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, two_lengths_that_disagree_are_502)
{
	expect_fail(rig_new(),
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502,
		HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, a_head_that_is_cut_is_502)
{
	expect_fail(rig_new(), "HTTP/1.1 200 OK\r\nContent-Le", 502, HF_DROP_REQ_ORIGIN_FAILED);
}

Test(origin_fail, a_head_over_64_kib_is_502)
{
	struct rig_buf head = { 0 };

	rig_buf_add(&head, "HTTP/1.1 200 OK\r\n", 17);
	for (uint32_t i = 0; i < 70; i++) {
		char line[1024];

		memset(line, 'x', sizeof(line));
		memcpy(line, "X-A: ", 5);
		memcpy(line + sizeof(line) - 2, "\r\n", 2);
		rig_buf_add(&head, line, sizeof(line));
	}
	rig_buf_add(&head, "\r\n", 2);
	expect_fail(rig_new(), head.data, 502, HF_DROP_REQ_ORIGIN_FAILED);
	free(head.data);
}

Test(origin_fail, a_late_head_is_504)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.first_byte_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	expect_fail(rig, NULL, 504, HF_DROP_REQ_ORIGIN_TIMEOUT);
}

Test(origin_fail, refused_is_502)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	(void)close(rig->listener);
	rig->listener = -1;
	rig_get(rig, &client, "/a", "");
	rig_until(rig, client.fail);
	cr_assert_eq(client.xchg->fail_status, 502);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_fail, a_body_that_is_cut_is_never_published)
{
	static const char *const head[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n" RIG_FRESH "\r\n0123456789",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" RIG_FRESH
		"\r\na\r\n0123456789\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" RIG_FRESH
		"\r\na\r\n0123456789\r\nzz\r\n",
	};

	for (uint32_t i = 0; i < 3; i++) {
		struct rig *rig = rig_new();
		struct rig_client client;

		rig_get(rig, &client, "/a", "");
		rig_until(rig, rig_requests(rig) == 1);
		rig_say(&rig->conn[0], head[i]);
		rig_until(rig, client.read_len == 10);
		rig->conn[0].close_after = true;
		rig_until(rig, rig_client_cut(&client));
		rig_end(rig, &client);
		cr_assert(!rig_lookup(rig, "/a", ""));
		cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
		rig_free(rig);
	}
}

Test(origin_fail, a_body_that_stands_still_is_cut)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;

	rig_conf(rig);
	rig->conf.origin.between_bytes_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" RIG_FRESH "\r\nabc");
	rig_until(rig, rig_client_cut(&client));
	rig_end(rig, &client);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_free(rig);
}

static struct hf_span interim_of(const struct rig_client *client)
{
	return (struct hf_span){ hf_xchg_interim(client->xchg), client->xchg->interim_len };
}

Test(origin_fail, rfc9110_15_2_interim_answers_are_for_whom_they_answer_and_not_stored)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];

	rig_get(rig, &client[0], "/a", "");
	rig_get(rig, &client[1], "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 100 Continue\r\nX-No: 1\r\n\r\n"
			       "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: a\r\nA: b\r\n"
			       "Content-Length: 3\r\n\r\n");
	rig_until(rig, client[0].mores == 1);
	cr_assert(!client[0].head);
	rig_say(&rig->conn[0], "HTTP/1.1 199 \r\nCache-Control: no-store\r\n\r\n");
	rig_until(rig, client[0].mores == 2);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	for (uint32_t i = 0; i < 2; i++) {
		rig_expect_body(rig, &client[i], 10);
		cr_assert_eq(client[i].xchg->obj->status, 200);
		cr_assert(client[i].xchg->stored);
		cr_assert(!rig_has(rig_head_of(&client[i]), "Link"));
	}
	cr_assert_eq(client[1].xchg->interim_len, 0);
	cr_assert(hf_span_eq(interim_of(&client[0]),
		HF_SPAN("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nVia: 1.1 holdfast\r\n\r\n"
			"HTTP/1.1 199 Unknown\r\nCache-Control: no-store\r\n"
			"Via: 1.1 holdfast\r\n\r\n")));
	rig_end_all(rig, client, 2);
}

Test(origin_fail, of_many_interim_answers_some_are_left_out)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	char hint[4096];

	(void)snprintf(hint, sizeof(hint), "HTTP/1.1 103 Early Hints\r\nLink: %03000d\r\n\r\n", 0);
	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	for (uint32_t i = 0; i < 20; i++)
		rig_say(&rig->conn[0], hint);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	rig_expect_body(rig, &client, 10);
	cr_assert_gt(client.xchg->interim_len, 9000);
	cr_assert_leq(hf_xchg_interim(client.xchg) + client.xchg->interim_len,
		client.xchg->buf + client.xchg->buf_len);
	rig_end_all(rig, &client, 1);
}

Test(origin_fail, trailers_are_ignored)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" RIG_FRESH
			       "\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n");
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 3);
	cr_assert_eq(client.xchg->obj->length, 3);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_fail, a_reused_connection_that_was_closed_is_tried_again)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_get(rig, &client, "/b", "");
	rig_until(rig, rig_requests(rig) == 2);
	cr_assert_eq(rig->conns, 1, "kept alive");
	rig_conn_close(&rig->conn[0]); /* it crossed the request */
	rig_until(rig, rig_requests(rig) == 3);
	rig_answer(&rig->conn[1], RIG_FRESH, 20);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 20);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_fail, an_unsafe_request_is_never_sent_twice_rfc9110_9_2_2)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], RIG_FRESH, 10);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_start_text(rig, &client, "POST /b HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_until(rig, rig_requests(rig) == 2);
	cr_assert_eq(rig->conns, 1, "kept alive");
	rig_conn_close(&rig->conn[0]); /* it crossed the request */
	rig_until(rig, client.fail);
	cr_assert_eq(client.xchg->fail_status, 502);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_fail, unsafe_requests_leave_no_more_connections_than_they_take)
{
	struct rig *rig = rig_new();

	for (uint32_t i = 0; i < 5; i++) {
		struct rig_client client;
		const char *head;

		rig_start_text(rig, &client, "POST /b HTTP/1.1\r\nHost: a.test\r\n\r\n");
		client.eager = true;
		rig_answer(rig_asked(rig, &head), "", 10);
		rig_expect_body(rig, &client, 10);
		rig_end(rig, &client);
	}
	cr_assert_eq(rig->conns, 1);
	rig_free(rig);
}

Test(origin_fail, no_route_is_421)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_start_text(rig, &client, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
	rig_until(rig, client.fail);
	cr_assert_eq(client.xchg->fail_status, 421);
	cr_assert_eq(client.xchg->fail_reason, HF_DROP_REQ_NO_ROUTE);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_fail, no_state_is_503)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	hf_state_unref(atomic_exchange(&rig->origin->state_next, NULL)); /* set, not adopted yet */
	rig_get(rig, &client, "/a", "");
	rig_until(rig, client.fail);
	cr_assert_eq(client.xchg->fail_status, 503);
	rig_end(rig, &client);
	rig_free(rig);
}

static struct rig *slots_rig(uint32_t queue_timeout_ms)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig->conf.origin.max_in_flight = 1;
	rig->conf.origin.max_queue = 1;
	rig->conf.origin.queue_timeout_ms = queue_timeout_ms;
	rig_up(rig, 64 << 20);
	return rig;
}

Test(origin_fail, a_fetch_waits_for_its_slot_and_too_many_are_503)
{
	struct rig *rig = slots_rig(10000);
	struct rig_client a, b, c, post;
	struct hf_hist_view waits;

	rig_get(rig, &a, "/a", "");
	rig_get(rig, &b, "/b", "");
	rig_get(rig, &c, "/c", "");
	rig_until(rig, c.fail);
	cr_assert_eq(c.xchg->fail_status, 503);
	cr_assert_eq(c.xchg->fail_reason, HF_DROP_REQ_OVERLOAD);
	rig_start_text(rig, &post, "POST /d HTTP/1.1\r\nHost: a.test\r\n\r\n");
	rig_until(rig, rig_requests(rig) == 2); /* takes no slot */
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	rig_say(&rig->conn[1], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_requests(rig) == 3);
	hf_hist_sum(HF_HIST_ORIGIN_QUEUE_ADMITTED, &waits);
	cr_expect_eq(waits.count, 1, "of what had to wait");
	cr_expect_gt(waits.max, 0);
	rig_end(rig, &a);
	rig_end(rig, &b);
	rig_end(rig, &c);
	rig_end(rig, &post);
	cr_assert_eq(rig->origin->slots_used, 0);
	cr_assert_eq(rig->origin->queued, 0);
	rig_free(rig);
}

Test(origin_fail, more_slots_by_a_new_configuration_are_taken_at_once)
{
	struct rig *rig = slots_rig(10000);
	struct hf_conf conf = rig->conf;
	struct rig_client client[4];
	static const char *const paths[] = { "/a", "/b", "/c", "/d" };

	for (uint32_t i = 0; i < 2; i++)
		rig_get(rig, &client[i], paths[i], "");
	rig_until(rig, rig_requests(rig) == 1 && rig->origin->queued == 1);
	conf.origin.max_in_flight = 2;
	conf.origin.max_queue = 2;
	hf_origin_conf_set(rig->origin, &conf);
	for (uint32_t i = 2; i < 4; i++)
		rig_get(rig, &client[i], paths[i], "");
	rig_until(rig, rig_requests(rig) == 2 && rig->origin->queued == 2);
	/* fewer: who has a slot keeps it */
	hf_origin_conf_set(rig->origin, &rig->conf);
	rig_settle(rig);
	cr_assert_eq(rig->origin->slots_used, 2);
	for (uint32_t i = 0; i < 4; i++)
		rig_end(rig, &client[i]);
	cr_assert_eq(rig->origin->slots_used, 0);
	rig_free(rig);
}

Test(origin_fail, a_wait_for_a_slot_ends_with_503)
{
	struct rig *rig = slots_rig(30);
	struct rig_client a, b;

	rig_get(rig, &a, "/a", "");
	rig_get(rig, &b, "/b", "");
	rig_until(rig, b.fail);
	cr_assert_eq(b.xchg->fail_status, 503);
	cr_assert_eq(b.xchg->fail_reason, HF_DROP_REQ_OVERLOAD);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 1);
	rig_end(rig, &a);
	rig_end(rig, &b);
	rig_free(rig);
}

Test(origin_fail, who_leaves_the_queue_is_no_fetch)
{
	struct rig *rig = slots_rig(10000);
	struct rig_client a, b;

	rig_get(rig, &a, "/a", "");
	rig_get(rig, &b, "/b", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_end(rig, &b);
	rig_end(rig, &a);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 1);
	cr_assert_eq(rig->origin->queued, 0);
	rig_free(rig);
}

Test(origin_fail, what_is_under_way_is_freed_with_the_origin)
{
	struct rig *rig = slots_rig(10000);
	struct rig_client a, b, c;

	rig_get(rig, &a, "/a", "");
	rig_get(rig, &b, "/b", "");
	rig_get(rig, &c, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" RIG_FRESH "\r\nabc");
	rig_until(rig, a.read_len == 3);
	rig_finish(rig, &a);
	rig_until(rig, a.gone);
	rig_finish(rig, &c);
	rig_until(rig, c.gone);
	free(a.body.data);
	free(c.body.data);
	rig_free(rig);
}
