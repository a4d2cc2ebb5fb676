/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The reference policies do on small sequences what can be followed by hand; the readers and
 * generators give the traces that they say.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
#include "trace.h"

#define OBJECTS 512

static uint64_t costs[OBJECTS];

/* A policy over objects of cost 1, unless told otherwise. */
static void *start(const struct policy *policy, uint64_t capacity)
{
	static struct policy_world world;

	for (uint32_t i = 0; i < OBJECTS; i++)
		costs[i] = costs[i] ? costs[i] : 1;
	world = (struct policy_world){
		.objects = OBJECTS, .size = costs, .cost = costs, .capacity = capacity
	};
	return policy->open(&world);
}

/* Requests one object for each letter; the answer as 'h' and '.'. */
static const char *ask(const struct policy *policy, uint64_t capacity, const char *letters)
{
	static char answer[64];
	void *state = start(policy, capacity);
	size_t len = strlen(letters);

	cr_assert_lt(len, sizeof(answer));
	for (size_t i = 0; i < len; i++)
		answer[i] = policy->request(state, (uint32_t)(letters[i] - 'a')) ? 'h' : '.';
	answer[len] = '\0';
	policy->close(state);
	return answer;
}

/* Of objects FROM to TO - 1, each once: how many were hits. */
static uint32_t run(const struct policy *policy, void *state, uint32_t from, uint32_t to)
{
	uint32_t hits = 0;

	for (; from < to; from++)
		hits += policy->request(state, from);
	return hits;
}

Test(policies, lru_keeps_the_last_ones)
{
	cr_expect_str_eq(ask(&policy_lru, 3, "abcadba"), "...h..h");
	cr_expect_str_eq(ask(&policy_lru, 3, "abcadefa"), "...h....");
}

Test(policies, sieve_spares_what_was_asked_for_once_and_keeps_its_place)
{
	cr_expect_str_eq(ask(&policy_sieve, 3, "abcadefa"), "...h...h");
	/* The hand is past `a`: nobody looks at it before it has been round. */
	cr_expect_str_eq(ask(&policy_sieve, 3, "abcadefga"), "...h....h");
}

Test(policies, s3fifo_takes_a_ghost_into_the_main_queue)
{
	void *state = start(&policy_s3fifo, 10);

	cr_expect_eq(run(&policy_s3fifo, state, 0, 11), 0, "0 becomes a ghost");
	cr_expect_eq(run(&policy_s3fifo, state, 0, 1), 0);
	cr_expect_eq(run(&policy_s3fifo, state, 20, 60), 0);
	cr_expect_eq(run(&policy_s3fifo, state, 0, 1), 1, "in the main queue a scan passes by");
	policy_s3fifo.close(state);
}

Test(policies, arc_follows_its_ghosts)
{
	cr_expect_str_eq(ask(&policy_arc, 2, "abacbab"), "..h...h");
	cr_expect_str_eq(ask(&policy_arc, 2, "abacda"), "..h..h", "seen twice: a scan passes by");
}

Test(policies, tinylfu_lets_no_scan_in)
{
	void *state = start(&policy_tinylfu, 100);

	run(&policy_tinylfu, state, 0, 99);
	cr_expect_geq(run(&policy_tinylfu, state, 0, 99), 98);
	run(&policy_tinylfu, state, 200, 400);
	cr_expect_geq(run(&policy_tinylfu, state, 0, 99), 95);
	policy_tinylfu.close(state);
}

Test(policies, gdsf_puts_the_large_one_out)
{
	costs[0] = 10;
	cr_expect_str_eq(ask(&policy_gdsf, 11, "abcb"), "...h", "a went, not b");
	cr_expect_str_eq(ask(&policy_gdsf, 11, "abcbabc"), "...h.h.", "c had fewer hits than b");
}

Test(policies, lru_and_sieve_and_all_others_hold_the_capacity_in_bytes)
{
	const struct policy *all[] = { &policy_lru, &policy_sieve, &policy_s3fifo, &policy_arc,
		&policy_tinylfu, &policy_gdsf };

	for (uint32_t i = 0; i < OBJECTS; i++)
		costs[i] = 10;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		void *state = start(all[i], 1005);

		run(all[i], state, 0, 500);
		cr_expect_leq(run(all[i], state, 0, 500), 100, "%s", all[i]->name);
		all[i]->close(state);
	}
}

static void write_file(char *path, const void *data, size_t len)
{
	int fd = mkstemps(path, 4);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

Test(trace, lines_are_ids_with_or_without_sizes)
{
	static const char text[] = "# ids\n7\n9 2000\n7,5\nword\n7\n";
	const struct trace_spec spec = { .size = 300 };
	char path[] = "/tmp/hf_trace_XXXXXX.txt";
	struct trace trace;
	int rc;

	write_file(path, text, sizeof(text) - 1);
	rc = trace_read(path, &spec, &trace);
	unlink(path);
	cr_assert_eq(rc, 0);
	cr_expect_eq(trace.count, 5);
	cr_expect_eq(trace.objects, 3);
	cr_expect_eq(trace.requests[2], 0);
	cr_expect_eq(trace.requests[3], 2);
	cr_expect_eq(trace.size[0], 300, "what was said first counts");
	cr_expect_eq(trace.size[1], 2000);
	trace_fini(&trace);
}

Test(trace, oracle_general_is_packed_and_little_endian)
{
	static const unsigned char records[] = { 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 9,
		0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 255, 255, 255,
		255, 255, 255, 255, 255 };
	const struct trace_spec spec = { .size = 300 };
	char path[] = "/tmp/hf_trace_XXXXXX.bin", cut[] = "/tmp/hf_trace_XXXXXX.bin";
	struct trace trace;
	int rc, cut_rc;

	write_file(path, records, sizeof(records));
	write_file(cut, records, sizeof(records) - 1);
	rc = trace_read(path, &spec, &trace);
	cut_rc = trace_read(cut, &spec, &(struct trace){ .count = 0 });
	unlink(path);
	unlink(cut);
	cr_assert_eq(rc, 0);
	cr_expect_neq(cut_rc, 0);
	cr_expect_eq(trace.count, 2);
	cr_expect_eq(trace.objects, 1);
	cr_expect_eq(trace.size[0], 512);
	trace_fini(&trace);
}

Test(trace, generated_ones_are_the_same_for_the_same_seed)
{
	for (const char *const *name = trace_gen_names(); *name; name += 2) {
		struct trace_spec spec = {
			.requests = 5000, .objects = 400, .seed = 3, .size = 10
		};
		struct trace a, b, c;

		cr_assert_eq(trace_gen(*name, &spec, &a), 0);
		cr_assert_eq(trace_gen(*name, &spec, &b), 0);
		spec.seed++;
		cr_assert_eq(trace_gen(*name, &spec, &c), 0);
		cr_expect_eq(a.count, 5000);
		cr_expect_eq(memcmp(a.requests, b.requests, 5000 * sizeof(*a.requests)), 0);
		cr_expect_neq(memcmp(a.requests, c.requests, 5000 * sizeof(*a.requests)), 0);
		cr_expect_gt(a.objects, 100, "%s", *name);
		trace_fini(&a);
		trace_fini(&b);
		trace_fini(&c);
	}
	cr_expect_neq(trace_gen("zipf:x", &(struct trace_spec){ .objects = 1 }, NULL), 0);
	cr_expect_neq(trace_gen("nothing", &(struct trace_spec){ .objects = 1 }, NULL), 0);
}
