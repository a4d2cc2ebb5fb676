/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Each timeout ends a fetch, and is counted as outcome="timeout".
 */
#include "rig.h"

static struct rig *late_rig(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	return rig;
}

static void expect_counted(struct rig *rig, struct rig_client *client)
{
	rig_end(rig, client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_TIMEOUT), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_CANCELED), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_ERROR), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_TIMEOUT), 1);
	cr_expect_eq(hf_origin_in_flight(rig->origin), 0);
	rig_free(rig);
}

static void expect_504(struct rig *rig, struct rig_client *client)
{
	rig_until(rig, client->fail);
	cr_expect_eq(client->xchg->fail_status, 504);
	expect_counted(rig, client);
}

Test(origin_late, who_does_not_take_the_connection)
{
	struct rig *rig = late_rig();
	struct rig_client client;
	uint16_t port = 0;
	char url[64];
	int deaf;

	rig->conf.origin.connect_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	deaf = rig_deaf(AF_INET, &port);
	cr_assert(deaf >= 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	rig_origin_url(rig, url);
	rig_get(rig, &client, "/a", "");
	expect_504(rig, &client);
	(void)close(deaf);
}

Test(origin_late, who_takes_it_and_says_nothing_of_tls)
{
	struct rig *rig = late_rig();
	struct rig_client client;
	char url[64];

	rig->conf.origin.connect_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", rig->port);
	rig_origin_url(rig, url);
	rig_get(rig, &client, "/a", "");
	expect_504(rig, &client);
}

/* Neither a part of a head nor an interim answer is one. */
Test(origin_late, who_keeps_a_fetch_waiting_for_its_head)
{
	struct rig *rig = late_rig();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig->conf.origin.first_byte_timeout_ms = 200;
	rig_up(rig, 64 << 20);
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	while (!client.fail) {
		rig_say(conn, "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n");
		rig_settle(rig);
	}
	expect_504(rig, &client);
}

Test(origin_late, who_says_the_beginning_of_a_body)
{
	struct rig *rig = late_rig();
	struct rig_client client;

	rig->conf.origin.between_bytes_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	rig_until(rig, rig_client_cut(&client));
	expect_counted(rig, &client);
}

Test(origin_late, who_takes_longer_than_all_tries_may)
{
	struct rig *rig = late_rig();
	struct rig_client client;
	const char *head;

	rig->conf.origin.retries = 3;
	rig->conf.origin.retry_budget = 100;
	rig->conf.origin.first_byte_timeout_ms = 200;
	rig->conf.origin.total_timeout_ms = 500;
	rig_up(rig, 64 << 20);
	rig->origin->retry_pause_us = 2;
	rig_get(rig, &client, "/a", "");
	(void)rig_asked(rig, &head);
	rig_until(rig, client.fail);
	cr_expect_eq(client.xchg->fail_status, 504);
	cr_expect(hf_stat_sum(HF_STAT_ORIGIN_RETRY_TIMEOUT) >= 1);
	cr_expect_lt(hf_stat_sum(HF_STAT_ORIGIN_RETRY_TIMEOUT), 3);
	rig_end(rig, &client);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_TIMEOUT), 1, "all tries are one fetch");
	rig_free(rig);
}
