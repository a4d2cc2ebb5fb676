/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static uint32_t refs(const struct hf_state *state)
{
	return atomic_load(&state->refs);
}

static void get_of(struct rig *rig, struct rig_client *client, const char *host)
{
	char head[128];

	(void)snprintf(head, sizeof(head), "GET /x HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	rig_start_text(rig, client, head);
}

Test(origin_view, what_is_under_way_keeps_to_the_state_that_routed_it)
{
	struct rig *rig = rig_new();
	struct hf_state *next = rig_state_for(rig, "b.test");
	struct rig_client old, gone, fresh;
	const char *head;
	struct rig_conn *conn;

	rig_get(rig, &old, "/a", "");
	rig_until(rig, rig_requests(rig) == 1);
	conn = rig_asked(rig, &head);
	cr_expect_eq(refs(rig->state), 2);
	hf_origin_state_set(rig->origin, next);
	get_of(rig, &gone, "a.test");
	rig_until(rig, gone.fail);
	cr_expect_eq(gone.xchg->fail_status, 421);
	cr_expect_eq(refs(rig->state), 2, "the fetch under way has it");
	get_of(rig, &fresh, "b.test");
	rig_until(rig, rig_requests(rig) == 2);
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	rig_until(rig, rig_client_at_end(&old));
	cr_expect_eq(refs(rig->state), 1, "the last fetch of it has ended");
	rig_end(rig, &old);
	rig_end(rig, &gone);
	rig_end(rig, &fresh);
	cr_expect_eq(refs(next), 2);
	hf_state_unref(next);
	rig_free(rig);
}

Test(origin_view, of_many_states_set_between_two_turns_the_last_is_in_force)
{
	struct rig *rig = rig_new();
	struct hf_state *last = rig_state_for(rig, "b.test");
	struct rig_client client;

	for (int i = 0; i < 1000; i++) {
		struct hf_state *state = rig_state_for(rig, "c.test");

		hf_origin_state_set(rig->origin, state);
		hf_state_unref(state);
	}
	hf_origin_state_set(rig->origin, last);
	get_of(rig, &client, "b.test");
	rig_until(rig, rig_requests(rig) == 1);
	cr_expect_eq(refs(rig->state), 1, "it was never in force");
	rig_end(rig, &client);
	hf_state_unref(last);
	rig_free(rig);
}
