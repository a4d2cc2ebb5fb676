/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origins are asked whether they are well. When it is time is the test's to say.
 */
#include "origin_choice.h"
#include "rig.h"

#define OK   "HTTP/1.1 204 Well\r\n\r\n"
#define BAD  "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
#define GOOD "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\n\r\nnew"
#define UP   "\"health\":{\"path\":\"/up?now\",\"interval\":3600,\"timeout\":3600}"

static void let_it_be_due(struct rig *rig, uint32_t at)
{
	hf_timer_set(rig->origin->wheel, &rig_peer(rig, at)->check.timer, 0);
}

static void check_is(struct rig *rig, uint32_t at, const char *answer)
{
	const char *head;

	let_it_be_due(rig, at);
	rig_say(rig_asked(rig, &head), answer);
	cr_expect(strncmp(head, "GET /up?now HTTP/1.1\r\n", 22) == 0);
	rig_until(rig, rig->origin->checks == 0);
}

/* How many of COUNT fetches the origin gets. */
static uint64_t share_of(struct rig *rig, uint32_t at, uint32_t count)
{
	uint64_t before = rig_peer(rig, at)->fetches;
	struct rig_client client;

	for (; count > 0; count--) {
		rig_get(rig, &client, "/a", "");
		rig_reply(rig, GOOD);
		rig_until(rig, rig_client_at_end(&client));
		rig_end(rig, &client);
	}
	return rig_peer(rig, at)->fetches - before;
}

Test(origin_check, three_failures_among_the_last_eight_are_too_many)
{
	struct origin_check check = { 0 };

	for (uint32_t i = 0; i < 2; i++)
		cr_expect_not(origin_check_note(&check, true));
	for (uint32_t i = 0; i < 5; i++)
		cr_expect_not(origin_check_note(&check, false));
	cr_expect(origin_check_note(&check, true) && origin_check_is_bad(&check));
	cr_expect(origin_check_note(&check, false) && !origin_check_is_bad(&check));
	for (uint32_t i = 0; i < 8; i++)
		(void)origin_check_note(&check, true);
	for (uint32_t i = 0; i < 5; i++)
		cr_expect_not(origin_check_note(&check, false));
	cr_expect(origin_check_note(&check, false) && !origin_check_is_bad(&check));
}

Test(origin_check, an_unhealthy_origin_gets_nothing_while_another_is_well)
{
	struct rig *rig = rig_new();
	uint64_t requests;

	rig_group(rig, UP, "ab");
	requests = hf_stat_sum(HF_STAT_ORIGIN_REQUESTS);
	check_is(rig, 0, OK);
	check_is(rig, 0, BAD);
	check_is(rig, 0, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
	check_is(rig, 0, "HTTP/1.1 302 Well\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
	cr_expect_eq(share_of(rig, 0, 4), 2);
	check_is(rig, 0, "no HTTP\r\n\r\n");
	cr_expect_eq(share_of(rig, 0, 4), 0);
	for (uint32_t i = 0; i < 3; i++)
		check_is(rig, 1, BAD);
	cr_expect_eq(share_of(rig, 0, 4), 2, "where none is well");
	for (uint32_t i = 0; i < 6; i++)
		check_is(rig, 0, OK);
	cr_expect_eq(share_of(rig, 0, 4), 4);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_REQUESTS), requests + 16, "they are no fetches");
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_CHECK_GOOD), 8);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_CHECK_FAILED), 6);
	cr_expect_eq(rig_peer(rig, 0)->failures, 0);
	rig_free(rig);
}

Test(origin_check, one_that_does_not_answer_in_time_failed)
{
	struct rig *rig = rig_new();
	const char *head;

	rig_group(rig, UP, "a");
	rig_peer(rig, 0)->check.timeout_ms = 20;
	let_it_be_due(rig, 0);
	(void)rig_asked(rig, &head);
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_CHECK_FAILED) == 1);
	rig_free(rig);
}

Test(origin_check, each_interval_once_across_states_until_they_say_otherwise)
{
	struct rig *rig = rig_new();
	struct origin_peer *peer;

	rig_group(rig, UP, "ab");
	peer = rig_peer(rig, 0);
	for (uint32_t i = 0; i < 3; i++)
		check_is(rig, 0, BAD);
	cr_expect_geq(peer->check.due_us, rig->origin->now_us + 3500000000);
	rig_group(rig, UP, "ab");
	cr_expect_eq(rig_peer(rig, 0), peer);
	cr_expect_geq(peer->check.timer.due_us, rig->origin->now_us + 3500000000);
	cr_expect(origin_check_is_bad(&peer->check), "what was found holds");
	rig_group(rig, "", "ab");
	cr_expect_not(hf_timer_armed(&peer->check.timer));
	cr_expect_not(origin_check_is_bad(&peer->check));
	rig_free(rig);
}

Test(origin_check, who_left_is_not_asked_even_while_a_fetch_of_it_goes_on)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct origin_peer *peer;
	const char *head;

	rig_group(rig, UP, "ab");
	rig_get(rig, &client, "/a", "");
	(void)rig_asked(rig, &head);
	peer = rig_peer(rig, rig_peer(rig, 0)->in_flight ? 0 : 1);
	let_it_be_due(rig, rig_peer(rig, 0) == peer ? 0 : 1);
	(void)rig_asked(rig, &head);
	rig_group(rig, UP, "");
	cr_expect_not(hf_timer_armed(&peer->check.timer));
	cr_expect(peer->check.easy, "what was asked is answered, or late");
	rig_end(rig, &client);
	rig_until(rig, rig->origin->checks == 0);
	rig_free(rig);
}

Test(origin_check, sixteen_at_a_time)
{
	static const char forty[] = "abcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct rig *rig = rig_new();

	rig_group(rig, UP, forty);
	for (uint32_t i = 0; i < 40; i++)
		let_it_be_due(rig, i);
	rig_until(rig, rig_requests(rig) == 16);
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), 16);
	for (uint32_t i = 0; i < 16; i++)
		rig_say(&rig->conn[i], OK);
	rig_until(rig, rig_requests(rig) == 32);
	rig_free(rig);
}
