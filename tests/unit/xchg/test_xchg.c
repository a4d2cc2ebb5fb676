/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Exchanges, their buffers and rings. One test a promise of hf_xchg.h.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "hf_xchg.h"

#define EXCHANGES 64

static struct hf_xchg_net *net;

static void setup(void)
{
	struct hf_xchg_cfg cfg = {
		.workers = 2, .origins = 3, .exchanges_max = EXCHANGES, .buf_len = 4096
	};

	cr_assert_eq(hf_xchg_net_new(&cfg, NULL, &net), 0);
}

static void teardown(void)
{
	hf_xchg_net_free(net);
}

TestSuite(xchg, .init = setup, .fini = teardown);

Test(xchg, a_worker_gets_exchanges_max_and_no_more)
{
	struct hf_xchg *all[EXCHANGES];

	for (uint32_t i = 0; i < EXCHANGES; i++) {
		all[i] = hf_xchg_get(net, 1);
		cr_assert_not_null(all[i]);
		cr_assert_eq(all[i]->worker, 1);
		cr_assert_geq(all[i]->buf_len, 4096);
	}
	cr_assert_null(hf_xchg_get(net, 1));
	cr_assert_not_null(hf_xchg_get(net, 0), "another worker has its own");
	hf_xchg_put(net, all[7]);
	cr_assert_eq(hf_xchg_get(net, 1), all[7]);
	cr_assert_eq(hf_xchg_out_count(net, 1), EXCHANGES);
}

Test(xchg, an_exchange_comes_back_clean)
{
	struct hf_xchg *xchg = hf_xchg_get(net, 0);

	xchg->shared = true;
	xchg->stored = true;
	xchg->fail_status = 502;
	atomic_store(&xchg->consumed, 99);
	hf_xchg_put(net, xchg);
	xchg = hf_xchg_get(net, 0);
	cr_assert(!xchg->shared && !xchg->stored && xchg->fail_status == 0);
	cr_assert_eq(atomic_load(&xchg->consumed), 0);
}

Test(xchg, X3_a_request_body_has_few_buffers_out)
{
	struct hf_xchg *xchg = hf_xchg_get(net, 0);
	struct hf_xchg_body *bodies[HF_XCHG_BODIES_MAX];

	for (uint32_t i = 0; i < HF_XCHG_BODIES_MAX; i++) {
		bodies[i] = hf_xchg_body_get(net, xchg);
		cr_assert_not_null(bodies[i]);
		cr_assert_eq(bodies[i]->xchg, xchg);
	}
	cr_assert_null(hf_xchg_body_get(net, xchg));
	hf_xchg_body_put(net, bodies[0]);
	cr_assert_not_null(hf_xchg_body_get(net, xchg));
}

/* Elements of a pool come back as they were put. */
Test(xchg, X4_nothing_of_a_request_is_left_in_a_buffer_that_was_put)
{
	static const char secret[] = "Authorization: Bearer SECRET\r\n";
	struct hf_xchg *xchg = hf_xchg_get(net, 0);
	struct hf_xchg_body *body = hf_xchg_body_get(net, xchg);

	memcpy(body->data + 100, secret, sizeof(secret));
	body->len = 100 + sizeof(secret);
	hf_xchg_body_put(net, body);
	cr_assert_eq(hf_xchg_body_get(net, xchg), body);
	cr_assert_null(memmem(body->data, sizeof(body->data), "SECRET", 6));
	hf_xchg_body_put(net, body);
	for (int whole = 0; whole < 2; whole++) {
		memcpy(xchg->buf + 1000, secret, sizeof(secret));
		if (whole)
			xchg->lines = (struct hf_span){ xchg->buf + 1000, sizeof(secret) };
		hf_xchg_put(net, xchg);
		cr_assert_eq(hf_xchg_get(net, 0), xchg);
		cr_assert_null(memmem(xchg->buf, xchg->buf_len, "SECRET", 6));
	}
}

Test(xchg, X2_rings_hold_every_message_that_can_be_under_way)
{
	struct hf_link *link = hf_xchg_link(net, 0, 2);
	uint32_t most = EXCHANGES * (3 + HF_XCHG_BODIES_MAX) + HF_CACHE_RECALLS_MAX;
	struct hf_msg msg;

	for (uint32_t i = 0; i < most; i++) {
		hf_xchg_to_origin(link, HF_XCHG_START, net); /* asserts when full */
		hf_xchg_to_worker(link, HF_XCHG_MORE, net);
	}
	for (uint32_t i = 0; i < most; i++) {
		cr_assert_eq(hf_ring_drain(link->to_origin, &msg, 1), 1);
		cr_assert_eq(msg.kind, HF_XCHG_START);
		cr_assert_eq(hf_ring_drain(link->to_worker, &msg, 1), 1);
		cr_assert_eq(msg.kind, HF_XCHG_MORE);
	}
	cr_assert(hf_ring_empty(link->to_origin) && hf_ring_empty(link->to_worker));
}

Test(xchg, links_of_different_pairs_are_apart)
{
	struct hf_msg msg;

	for (uint32_t worker = 0; worker < 2; worker++)
		for (uint32_t origin = 0; origin < 3; origin++)
			hf_xchg_to_origin(hf_xchg_link(net, worker, origin), HF_XCHG_START,
				(void *)(uintptr_t)(worker * 3 + origin + 1));
	for (uint32_t worker = 0; worker < 2; worker++) {
		for (uint32_t origin = 0; origin < 3; origin++) {
			struct hf_link *link = hf_xchg_link(net, worker, origin);

			cr_assert_eq(hf_ring_drain(link->to_origin, &msg, 1), 1);
			cr_assert_eq((uintptr_t)msg.ptr, worker * 3 + origin + 1);
			cr_assert(hf_ring_empty(link->to_origin));
		}
	}
}

Test(xchg, a_post_wakes_an_origin_thread_only_when_it_sleeps)
{
	struct hf_link *link = hf_xchg_link(net, 0, 0);
	struct hf_waker waker;
	uint64_t count;

	cr_assert_eq(hf_waker_init(&waker), 0);
	link->origin_waker = &waker;
	hf_xchg_to_origin(link, HF_XCHG_START, net);
	cr_assert_lt(read(waker.fd, &count, sizeof(count)), 0);
	hf_waker_sleep_begin(&waker);
	hf_xchg_to_origin(link, HF_XCHG_START, net);
	cr_assert_eq(read(waker.fd, &count, sizeof(count)), sizeof(count));
	hf_waker_fini(&waker);
}
