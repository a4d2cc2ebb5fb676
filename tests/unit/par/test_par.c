/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_par.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

static bool is_readable(const struct hf_waker *waker)
{
	struct pollfd fd = { .fd = waker->fd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* ---- rings ---- */

Test(ring, holds_the_count_it_was_made_with_and_refuses_beyond)
{
	static const uint32_t counts[] = { 1, 2, 3, 7, 8, 1000, 1024 };

	for (size_t i = 0; i < HF_ARRAY_LEN(counts); i++) {
		struct hf_ring *ring = hf_ring_new(counts[i]);
		struct hf_msg msg;
		uint32_t posted = 0;

		cr_assert_not_null(ring);
		cr_expect(hf_ring_empty(ring));
		while (hf_ring_post(ring, (struct hf_msg){ ring, 1, posted }))
			cr_assert_leq(++posted, 4096);
		cr_expect_geq(posted, counts[i]);
		for (uint32_t n = 0; n < posted; n++) {
			cr_assert_eq(hf_ring_drain(ring, &msg, 1), 1);
			cr_expect(msg.arg == n && msg.kind == 1 && msg.ptr == ring);
		}
		cr_expect(hf_ring_empty(ring));
		cr_expect_eq(hf_ring_drain(ring, &msg, 1), 0);
		hf_ring_free(ring);
	}
	hf_ring_free(NULL);
}

Test(ring, drains_as_many_as_there_are_and_no_more_than_asked)
{
	struct hf_ring *ring = hf_ring_new(100);
	struct hf_msg msgs[64];

	for (uint32_t i = 0; i < 10; i++)
		cr_assert(hf_ring_post(ring, (struct hf_msg){ NULL, 0, i }));
	cr_expect_eq(hf_ring_drain(ring, msgs, 4), 4);
	cr_expect_eq(hf_ring_drain(ring, msgs, 64), 6);
	cr_expect_eq(msgs[5].arg, 9);
	hf_ring_free(ring);
}

#define PASSED 200000

struct passing {
	struct hf_ring *ring;
	struct hf_waker waker;
	uint64_t cells[PASSED];
};

static void *produce(void *arg)
{
	struct passing *passing = arg;

	for (uint32_t i = 0; i < PASSED; i++) {
		passing->cells[i] = i * 3 + 1; /* P1: must be seen by who drains the message */
		while (!hf_ring_post(passing->ring, (struct hf_msg){ &passing->cells[i], 0, i }))
			sched_yield();
		hf_waker_wake(&passing->waker);
	}
	return NULL;
}

Test(ring, p1_p2_messages_arrive_once_in_order_with_what_was_written_before)
{
	static struct passing passing;
	struct hf_msg msgs[32];
	uint32_t next = 0;
	pthread_t thread;

	passing.ring = hf_ring_new(64);
	cr_assert_eq(hf_waker_init(&passing.waker), 0);
	cr_assert_eq(pthread_create(&thread, NULL, produce, &passing), 0);
	while (next < PASSED) {
		uint32_t count = hf_ring_drain(passing.ring, msgs, 32);

		for (uint32_t i = 0; i < count; i++, next++) {
			cr_assert_eq(msgs[i].arg, next);
			cr_assert_eq(*(uint64_t *)msgs[i].ptr, next * 3UL + 1);
		}
		if (count == 0)
			sched_yield();
	}
	pthread_join(thread, NULL);
	cr_expect(hf_ring_empty(passing.ring));
	hf_waker_fini(&passing.waker);
	hf_ring_free(passing.ring);
}

/* ---- wakers ---- */

Test(waker, writes_only_when_the_sleeper_said_that_it_sleeps)
{
	struct hf_waker waker;

	cr_assert_eq(hf_waker_init(&waker), 0);
	hf_waker_wake(&waker);
	cr_expect_not(is_readable(&waker));
	hf_waker_sleep_begin(&waker);
	cr_expect_not(is_readable(&waker));
	hf_waker_wake(&waker);
	hf_waker_wake(&waker);
	cr_expect(is_readable(&waker));
	hf_waker_sleep_end(&waker);
	cr_expect_not(is_readable(&waker));
	hf_waker_wake(&waker);
	cr_expect_not(is_readable(&waker));
	hf_waker_fini(&waker);
	cr_expect_eq(waker.fd, -1);
}

Test(waker, p3_a_post_is_never_slept_over)
{
	static struct passing passing;
	struct hf_msg msgs[32];
	uint32_t next = 0;
	pthread_t thread;

	passing.ring = hf_ring_new(4);
	cr_assert_eq(hf_waker_init(&passing.waker), 0);
	cr_assert_eq(pthread_create(&thread, NULL, produce, &passing), 0);
	while (next < PASSED) {
		struct pollfd fd = { .fd = passing.waker.fd, .events = POLLIN };

		hf_waker_sleep_begin(&passing.waker);
		if (hf_ring_empty(passing.ring))
			cr_assert_eq(poll(&fd, 1, 20000), 1, "slept over message %u", next);
		hf_waker_sleep_end(&passing.waker);
		next += hf_ring_drain(passing.ring, msgs, 32);
	}
	pthread_join(thread, NULL);
	hf_waker_fini(&passing.waker);
	hf_ring_free(passing.ring);
}

/* ---- classes ---- */

static void only_lcore(void)
{
	HF_ASSERT_THREAD(HF_THREAD_LCORE);
}

Test(thread, a_thread_without_class_may_call_everything)
{
	only_lcore();
}

Test(thread, one_of_the_right_class_may)
{
	hf_thread_enter(HF_THREAD_LCORE, "lcore0");
	only_lcore();
}

Test(thread, one_of_another_class_aborts, .signal = SIGABRT)
{
	hf_thread_enter(HF_THREAD_ORIGIN, "origin0");
	only_lcore();
}

Test(thread, an_lcore_that_would_wait_for_a_grace_period_aborts, .signal = SIGABRT)
{
	hf_thread_enter(HF_THREAD_LCORE, "lcore0");
	hf_rcu_synchronize();
}

/* ---- RCU ---- */

struct reading {
	_Atomic int turns_wanted; /* the reader is quiescent that often */
	_Atomic bool registered, synchronized, go_offline, done;
};

static void *read_rcu(void *arg)
{
	struct reading *reading = arg;

	hf_rcu_register();
	atomic_store(&reading->registered, true);
	while (!atomic_load(&reading->done)) {
		if (atomic_load(&reading->turns_wanted) > 0) {
			hf_rcu_quiescent();
			atomic_fetch_sub(&reading->turns_wanted, 1);
		}
		if (atomic_load(&reading->go_offline)) {
			hf_rcu_offline();
			while (!atomic_load(&reading->done))
				sched_yield();
			hf_rcu_online();
		}
		sched_yield();
	}
	hf_rcu_unregister();
	return NULL;
}

static void *synchronize(void *arg)
{
	struct reading *reading = arg;

	hf_rcu_synchronize();
	atomic_store(&reading->synchronized, true);
	return NULL;
}

Test(rcu, a_grace_period_waits_for_a_reader_s_quiescent_state)
{
	static struct reading reading;
	pthread_t reader, writer;

	cr_assert_eq(pthread_create(&reader, NULL, read_rcu, &reading), 0);
	while (!atomic_load(&reading.registered))
		sched_yield();
	cr_assert_eq(pthread_create(&writer, NULL, synchronize, &reading), 0);
	for (int i = 0; i < 2000; i++) {
		cr_assert_not(atomic_load(&reading.synchronized));
		sched_yield();
	}
	while (!atomic_load(&reading.synchronized)) {
		atomic_store(&reading.turns_wanted, 1);
		sched_yield();
	}
	atomic_store(&reading.done, true);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
}

Test(rcu, a_grace_period_does_not_wait_for_who_is_offline)
{
	static struct reading reading;
	pthread_t reader, writer;

	atomic_store(&reading.go_offline, true);
	cr_assert_eq(pthread_create(&reader, NULL, read_rcu, &reading), 0);
	while (!atomic_load(&reading.registered))
		sched_yield();
	cr_assert_eq(pthread_create(&writer, NULL, synchronize, &reading), 0);
	pthread_join(writer, NULL);
	cr_expect(atomic_load(&reading.synchronized));
	atomic_store(&reading.done, true);
	pthread_join(reader, NULL);
}
