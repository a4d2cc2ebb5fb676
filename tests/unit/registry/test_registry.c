/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "registry_rig.h"

TestSuite(registry, .init = rr_setup, .fini = rr_teardown);

static bool changed(void)
{
	return hf_registry_changed(rr, rr_now_us);
}

static uint32_t left_s(const char *id)
{
	const struct hf_state_origin *origin = rr_in_force(id);

	return origin ? hf_registry_left_s(rr, "g", id, origin->generation, rr_now_us) : 0;
}

Test(registry, R1_an_origin_is_there_for_its_ttl)
{
	cr_expect_not(changed());
	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	cr_expect(changed());
	rr_publish();
	cr_expect_not(changed());
	cr_expect_str_eq(rr_in_force("a")->url, "http://a");
	cr_expect_eq(rr_in_force("a")->from, HF_STATE_REGISTRY);
	cr_expect_eq(left_s("a"), 10);
	rr_now_us += 10 * RR_S - 1;
	cr_expect_eq(left_s("a"), 1);
	cr_expect_not(changed());
	rr_now_us++;
	cr_expect_eq(left_s("a"), 0);
	cr_expect(changed());
	rr_publish();
	cr_expect_null(rr_in_force("a"));
	cr_expect_eq(hf_stat_sum(HF_STAT_REGISTRY_EXPIRED), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_REGISTRY_ORIGINS), 0);
}

Test(registry, R5_the_answer_to_a_change_is_due_when_it_is_in_force)
{
	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	cr_expect_not(rr_is_due());
	cr_expect(strstr(rr_body, "\"in_force\":false"), "%s", rr_body);
	rr_publish();
	cr_expect(rr_is_due());
	cr_expect(strstr(rr_released("/v1/origins/g/a"), "\"in_force\":true"), "%s", rr_body);
	cr_expect_eq(rr_put("a", "http://a", 10), 200);
	cr_expect_eq(rr_answer.due, 0, "a renewal waits for nothing");
	cr_expect_eq(rr_put("d", "http://dd", 10), 201);
	rr_publish();
	cr_expect(strstr(rr_released("/v1/origins/g/d"), "\"in_force\":false"),
		"the document has it: %s", rr_body);
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a", ""), 204);
	cr_expect_not(rr_is_due());
	rr_publish();
	cr_expect(rr_is_due());
	cr_expect_eq(rr_put("b", "ftp://b", 10), 400);
	cr_expect_eq(rr_answer.due, 0);
	cr_expect_eq(rr_put("b", "http://b", 10), 201);
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/b", ""), 204);
	cr_expect_not(rr_is_due(), "it may be in force meanwhile");
}

static void count(void *arg)
{
	++*(uint32_t *)arg;
}

Test(registry, who_watches_is_told_of_changes_and_not_of_renewals)
{
	uint32_t told = 0;

	hf_registry_watch(rr, count, &told);
	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	cr_expect_eq(told, 1);
	rr_publish();
	cr_expect_eq(rr_put("a", "http://a", 10), 200);
	cr_expect_eq(rr_put("a", "ftp://a", 10), 400);
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/b", ""), 404);
	cr_expect_eq(told, 1);
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a", ""), 204);
	cr_expect_eq(told, 2);
}

Test(registry, R1_renewing_changes_nothing_but_the_time)
{
	uint64_t generation;

	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	rr_publish();
	generation = rr_in_force("a")->generation;
	for (int i = 0; i < 100; i++) {
		rr_now_us += 9 * RR_S;
		cr_expect_eq(rr_put("a", i % 2 ? "http://a" : "http://a/", 10), 200);
		cr_expect_not(changed());
	}
	rr_publish();
	cr_expect_eq(rr_in_force("a")->generation, generation);
	cr_expect_eq(rr_put("a", "http://a", 3), 200, "another ttl");
	cr_expect_not(changed());
	cr_expect_eq(left_s("a"), 3);
	cr_expect_eq(hf_stat_sum(HF_STAT_REGISTRY_RENEWED), 101);
}

Test(registry, R1_another_weight_is_a_change_of_the_same_origin)
{
	uint64_t generation;

	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	rr_publish();
	generation = rr_in_force("a")->generation;
	cr_expect_eq(rr_ask("PUT", "/v1/origins/g/a", "{\"url\":\"http://a\",\"weight\":9}"), 200);
	cr_expect(changed());
	rr_publish();
	cr_expect_eq(rr_in_force("a")->weight, 9);
	cr_expect_eq(rr_in_force("a")->generation, generation);
}

Test(registry, R2_who_comes_back_or_moves_is_of_another_generation)
{
	uint64_t generation[4];

	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	rr_publish();
	generation[0] = rr_in_force("a")->generation;
	cr_expect_eq(rr_put("a", "http://b", 10), 201, "another URL");
	rr_publish();
	generation[1] = rr_in_force("a")->generation;
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a", ""), 204);
	cr_expect_eq(rr_put("a", "http://b", 10), 201, "between two publications");
	rr_publish();
	generation[2] = rr_in_force("a")->generation;
	rr_now_us += 10 * RR_S;
	cr_expect_eq(rr_put("a", "http://b", 10), 201, "expired, though nobody looked");
	rr_publish();
	generation[3] = rr_in_force("a")->generation;
	cr_expect_gt(generation[0], 0);
	for (int i = 1; i < 4; i++)
		cr_expect_gt(generation[i], generation[i - 1]);
	cr_expect_eq(hf_stat_sum(HF_STAT_REGISTRY_ORIGINS), 1);
}

Test(registry, who_deregisters_is_gone_and_unknown_then)
{
	cr_expect_eq(rr_put("a", "http://a", 10), 201);
	rr_publish();
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a", ""), 204);
	cr_expect_str_empty(rr_body);
	cr_expect(changed());
	rr_publish();
	cr_expect_null(rr_in_force("a"));
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/a", ""), 404);
	cr_expect_not(changed());
}

Test(registry, what_the_document_has_itself_is_not_in_force_but_registered)
{
	cr_expect_eq(rr_put("d", "http://x", 10), 201);
	cr_expect_eq(rr_put("e", "http://d", 10), 201);
	cr_expect_eq(rr_put("f", "http://f", 10), 201);
	rr_publish();
	cr_expect_str_eq(rr_in_force("d")->url, "http://d");
	cr_expect_null(rr_in_force("e"));
	cr_expect_eq(rr_ask("GET", "/v1/origins", ""), 200);
	cr_expect_str_eq(rr_body, "{\"origins\":["
				  "{\"group\":\"g\",\"id\":\"d\",\"url\":\"http://"
				  "x\",\"weight\":1,\"ttl\":10,\"left\":10,"
				  "\"generation\":1,\"in_force\":false,\"drained\":false},"
				  "{\"group\":\"g\",\"id\":\"e\",\"url\":\"http://"
				  "d\",\"weight\":1,\"ttl\":10,\"left\":10,"
				  "\"generation\":2,\"in_force\":false,\"drained\":false},"
				  "{\"group\":\"g\",\"id\":\"f\",\"url\":\"http://"
				  "f\",\"weight\":1,\"ttl\":10,\"left\":10,"
				  "\"generation\":3,\"in_force\":true,\"drained\":false}]}");
}

Test(registry, of_two_with_one_url_the_first_is_in_force)
{
	cr_expect_eq(rr_put("z", "http://same", 10), 201);
	cr_expect_eq(rr_put("a", "http://same", 10), 201);
	rr_publish();
	cr_expect_not_null(rr_in_force("z"));
	cr_expect_null(rr_in_force("a"));
	cr_expect_eq(rr_ask("DELETE", "/v1/origins/g/z", ""), 204);
	rr_publish();
	cr_expect_not_null(rr_in_force("a"));
}

Test(registry, their_number_is_limited)
{
	char id[16], url[32];

	for (int i = 0; i < HF_REGISTRY_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		(void)snprintf(url, sizeof(url), "http://h%d", i);
		cr_assert_eq(rr_put(id, url, 10), 201);
	}
	cr_expect_eq(rr_put("more", "http://more", 10), 409);
	cr_expect_eq(rr_put("7", "http://h7", 10), 200);
	rr_publish();
	cr_expect_eq(rr_state->group[1].origin_count, HF_REGISTRY_MAX, "with the document's");
	rr_now_us += 10 * RR_S;
	cr_expect_eq(rr_put("more", "http://more", 10), 201);
	cr_expect_eq(rr->count, 1);
}

/* Against a table that is as simple as can be. */
Test(registry, many_random_messages_leave_what_they_say)
{
	struct {
		uint64_t expires_us;
		uint32_t url;
	} model[50] = { 0 };
	uint64_t rand = 7;

	for (int step = 0; step < 20000; step++) {
		uint32_t i, url, ttl_s;
		char path[64], body[64];
		bool is_there;

		rand = rand * 6364136223846793005ULL + 1442695040888963407ULL;
		i = (uint32_t)(rand >> 33) % 50;
		url = (uint32_t)(rand >> 40) % 2;
		ttl_s = 1 + (uint32_t)(rand >> 45) % 20;
		is_there = model[i].expires_us > rr_now_us;
		(void)snprintf(path, sizeof(path), "/v1/origins/g/%u", i);
		(void)snprintf(body, sizeof(body), "{\"url\":\"http://h%u-%u\",\"ttl\":%u}", i, url,
			ttl_s);
		if ((rand >> 60) < 10) {
			cr_assert_eq(rr_ask("PUT", path, body),
				is_there && model[i].url == url ? 200 : 201);
			model[i].url = url;
			model[i].expires_us = rr_now_us + ttl_s * RR_S;
		} else {
			cr_assert_eq(rr_ask("DELETE", path, ""), is_there ? 204 : 404);
			model[i].expires_us = 0;
		}
		rr_now_us += (rand >> 50) % 1000000;
	}
	(void)changed();
	for (uint32_t i = 0; i < 50; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/v1/origins/g/%u", i);
		cr_expect_eq(rr_ask("GET", path, ""), model[i].expires_us > rr_now_us ? 200 : 404);
	}
}
