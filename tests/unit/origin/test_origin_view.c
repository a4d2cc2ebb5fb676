/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state_overlay.h"
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
	cr_expect_not(hf_origin_state_is_taken(rig->origin));
	get_of(rig, &gone, "a.test");
	rig_until(rig, gone.fail);
	cr_expect(hf_origin_state_is_taken(rig->origin));
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

/* ---- what the operator says, and policies ---- */

#define TWO_ORIGINS                                                                                \
	"\"origins\":[{\"group\":\"g\",\"id\":\"o1\",\"url\":\"http://127.0.0.1:%u\"},"            \
	"{\"group\":\"g\",\"id\":\"o2\",\"url\":\"http://127.0.0.1:%u\"}],\"routes\":[{\"id\":"    \
	"\"r\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}]}"

/* Both are the rig's server; those named are drained. */
static void set_drained(struct rig *rig, bool first, bool second)
{
	char text[512];
	struct hf_state *state = NULL;

	(void)snprintf(text, sizeof(text), "{\"schema\":1,\"version\":\"1\"," TWO_ORIGINS,
		rig->port, rig->port);
	cr_assert_eq(hf_state_parse(text, strlen(text), stderr, &state), 0);
	state->group[0].origin[0].drained = first;
	state->group[0].origin[1].drained = second;
	hf_origin_state_set(rig->origin, state);
	hf_state_unref(state);
	rig_turn(rig);
}

static struct hf_origin_load load_of(struct rig *rig, uint32_t origin)
{
	struct hf_origin_load loads[2] = { { 0 } };
	struct hf_origin_call call = {
		.what = HF_ORIGIN_LOADS, .state = rig->origin->view->state, .load = loads
	};

	origin_view_loads(rig->origin, &call);
	return loads[origin];
}

Test(origin_view, G14_no_fetch_begins_to_a_drained_origin_and_those_under_way_finish)
{
	struct rig *rig = rig_new();
	struct rig_client client[6];
	struct rig_conn *conn;
	const char *head;

	set_drained(rig, false, false);
	rig_get(rig, &client[0], "/0", "");
	rig_get(rig, &client[1], "/1", "");
	rig_until(rig, rig_requests(rig) == 2);
	cr_expect_eq(load_of(rig, 0).in_flight, 1);
	cr_expect_eq(load_of(rig, 1).in_flight, 1);
	set_drained(rig, true, false);
	for (int i = 2; i < 5; i++)
		rig_get(rig, &client[i], i == 2 ? "/2" : i == 3 ? "/3" : "/4", "");
	rig_until(rig, rig_requests(rig) == 5);
	cr_expect_eq(load_of(rig, 0).fetches, 1, "known across states");
	cr_expect_eq(load_of(rig, 1).fetches, 4);
	for (int i = 0; i < 5; i++) {
		conn = rig_asked(rig, &head);
		rig_answer(conn, RIG_FRESH, 10);
	}
	for (int i = 0; i < 5; i++)
		rig_expect_body(rig, &client[i], 10);
	set_drained(rig, false, true);
	rig_get(rig, &client[5], "/5", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &client[5], 10);
	cr_expect_eq(load_of(rig, 0).fetches, 2);
	rig_end_all(rig, client, 6);
}

Test(origin_view, G14_what_waits_for_a_slot_does_not_go_to_a_drained_origin_either)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;

	set_drained(rig, false, true);
	rig->origin->slots_max = 1;
	rig_get(rig, &client[0], "/0", "");
	rig_get(rig, &client[1], "/1", "");
	rig_until(rig, rig_requests(rig) == 1);
	set_drained(rig, true, false);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &client[1], 10);
	cr_expect_eq(load_of(rig, 0).fetches, 1);
	cr_expect_eq(load_of(rig, 1).fetches, 1);
	rig_end_all(rig, client, 2);
}

Test(origin_view, G14_where_all_are_drained_it_is_503_or_a_stale_one)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];

	rig_store(rig, "/a", "Cache-Control: max-age=10, stale-if-error=100\r\n", 10, 20);
	set_drained(rig, true, true);
	rig_get(rig, &client[0], "/a", "");
	rig_expect_body(rig, &client[0], 10);
	rig_get(rig, &client[1], "/b", "");
	rig_until(rig, client[1].fail);
	cr_expect_eq(client[1].xchg->fail_status, 503);
	cr_expect_eq(hf_drop_sum(HF_DROP_REQ_DRAINED), 0, "counted by the worker");
	cr_expect_eq(rig_requests(rig), 1);
	rig_end_all(rig, client, 2);
}

Test(origin_view, failures_are_known_by_origin)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	set_drained(rig, true, false);
	rig_get(rig, &client, "/a", "");
	rig_reply(rig, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	rig_until(rig, rig_client_at_end(&client));
	cr_expect_eq(load_of(rig, 0).failures, 0);
	cr_expect_eq(load_of(rig, 1).failures, 1);
	rig_end_all(rig, &client, 1);
}

/* One origin that has registered, or none (0), in a group that the document only names. */
static void set_registered(struct rig *rig, uint64_t generation)
{
	static const char text[] =
		"{\"schema\":1,\"version\":\"1\",\"groups\":[{\"id\":\"g\"}],\"origins\":[],"
		"\"routes\":[{\"id\":\"1\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}]}";
	struct hf_state_overlay *overlay = hf_state_overlay_new();
	struct hf_state *state = NULL;
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", rig->port);
	cr_assert_eq(hf_state_overlay_register(overlay,
			     &(struct hf_state_registered){ "g", "r", url, 1, generation },
			     generation > 0),
		0);
	cr_assert_eq(hf_state_parse_with(text, strlen(text), overlay, stderr, &state), 0);
	hf_state_overlay_free(overlay);
	hf_origin_state_set(rig->origin, state);
	hf_state_unref(state);
	rig_turn(rig);
}

Test(origin_view, a_group_without_origins_is_503_until_one_registers)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;

	set_registered(rig, 0);
	rig_get(rig, &client[0], "/a", "");
	rig_until(rig, client[0].fail);
	cr_expect_eq(client[0].xchg->fail_status, 503);
	set_registered(rig, 1);
	rig_get(rig, &client[1], "/a", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &client[1], 10);
	rig_end_all(rig, client, 2);
}

Test(origin_view, another_generation_is_another_origin)
{
	struct rig *rig = rig_new();
	struct rig_client client[2];
	const char *head;

	set_registered(rig, 1);
	rig_get(rig, &client[0], "/0", "");
	rig_until(rig, rig_requests(rig) == 1);
	set_registered(rig, 1);
	cr_expect_eq(load_of(rig, 0).in_flight, 1, "renewed");
	set_registered(rig, 2);
	cr_expect_eq(load_of(rig, 0).in_flight, 0);
	cr_expect_eq(load_of(rig, 0).fetches, 0);
	rig_get(rig, &client[1], "/1", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &client[0], 10);
	rig_expect_body(rig, &client[1], 10);
	cr_expect_eq(load_of(rig, 0).fetches, 1);
	rig_end_all(rig, client, 2);
}

static void set_policy(struct rig *rig, const char *policy)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"policies\":[{\"id\":\"p\",%s}],"
		"\"origins\":[{\"group\":\"g\",\"id\":\"o\",\"url\":\"http://127.0.0.1:%u\"}],"
		"\"routes\":[{\"id\":\"1\",\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"},"
		"{\"id\":\"2\",\"host\":\"*\",\"path\":\"/p\",\"group\":\"g\",\"policy\":\"p\"}]}",
		policy, rig->port);
	rig_state_text(rig, text);
	rig_turn(rig);
}

static bool is_stored(struct rig *rig, const char *path, const char *answer)
{
	struct rig_client client;

	rig_get(rig, &client, path, "");
	rig_reply(rig, answer);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	return rig_lookup(rig, path, "") != NULL;
}

Test(origin_view, a_policy_overrules_the_node_s_configuration_on_its_routes)
{
	static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345";
	static const char gone[] = "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx";
	static const char long_one[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n%01025d\r\n0\r\n\r\n";
	struct rig *rig = rig_new();
	const struct hf_obj *obj;
	char text[2048];

	set_policy(rig, "\"default_ttl\":60,\"stale_while_revalidate\":7,\"stale_if_error\":8,"
			"\"negative_ttl\":9,\"max_object\":1024");
	cr_expect(!is_stored(rig, "/1", plain), "the node's default_ttl is 0");
	cr_assert(is_stored(rig, "/p/1", plain));
	obj = rig_lookup(rig, "/p/1", "");
	cr_expect_eq(obj->life.lifetime_s, 60);
	cr_expect_eq(obj->life.swr_s, 7);
	cr_expect_eq(obj->life.sie_s, 8);
	cr_assert(is_stored(rig, "/p/2", gone));
	cr_expect_eq(rig_lookup(rig, "/p/2", "")->life.lifetime_s, 9);
	(void)snprintf(text, sizeof(text), long_one, 0);
	cr_expect(!is_stored(rig, "/p/3", text), "longer than max_object");
	set_policy(rig, "\"default_ttl\":60");
	cr_assert(is_stored(rig, "/p/4", text), "the node's max_object is larger");
	cr_expect_eq(rig_lookup(rig, "/p/4", "")->life.swr_s, 0);
	rig_free(rig);
}
