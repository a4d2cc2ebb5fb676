/* SPDX-License-Identifier: BSD-3-Clause
 *
 * par - the threads: their classes, quiescent-state RCU, message rings, waking a sleeper.
 *
 * What      Classes make "may I call this here?" an assertion. RCU is liburcu's QSBR behind four
 *           names. A ring carries small messages one way between two threads (DPDK's rte_ring,
 *           single producer, single consumer). A waker gets a thread out of epoll only when it
 *           sleeps.
 * Picture
 *      lcore  --ring-->  origin thread      online always, quiescent once per loop
 *      lcore  <--ring--  origin thread      online only while it reads RCU-protected memory
 *      control, reclaim                     offline; reclaim calls hf_rcu_synchronize
 * Threads   as said at each function.
 * Promises  P1 what was written before a post is seen by the drain that returns the message.
 *           P2 a message is delivered once, in order.  P3 a post after which hf_waker_wake was
 *           called is not slept over.
 * Limits    A ring holds the count it was made with; a full ring refuses (post returns false) and
 *           the poster keeps the message: each caller names what it does then.
 */
#ifndef HF_PAR_H
#define HF_PAR_H

#include <stdatomic.h>

#include "hf_base.h"

enum hf_thread_class {
	HF_THREAD_NONE,
	HF_THREAD_BOOT,
	HF_THREAD_CONTROL,
	HF_THREAD_LCORE,
	HF_THREAD_ORIGIN,
	HF_THREAD_RECLAIM,
	HF_THREAD_SYNC,
	HF_THREAD_REQLOG,
	HF_THREAD_METRICS,
	HF_THREAD_WARM,
	HF_THREAD_SPREAD,
};

extern _Thread_local enum hf_thread_class hf_thread_own;

/* The calling thread is of this class from now on, and counts into a statistics block called
 * NAME. */
void hf_thread_enter(enum hf_thread_class class, const char *name);

/* Every other thread has ended: the caller may do from now on what any of them might. Shutdown. */
void hf_thread_alone(void);

/* Opens each function that only one class may call. Threads without a class (tests) pass. */
#define HF_ASSERT_THREAD(class)                                                                    \
	HF_ASSERT(hf_thread_own == HF_THREAD_NONE || hf_thread_own == (class))

/* RCU (urcu-qsbr). An lcore registers, stays online and says quiescent once per loop; around a
 * sleep it goes offline. Other threads are online only around lookups, and never block while
 * online. */
void hf_rcu_register(void);
void hf_rcu_unregister(void);
void hf_rcu_quiescent(void);
void hf_rcu_online(void);
void hf_rcu_offline(void);
/* Returns when every thread that was online has been quiescent. Blocks; any but lcores and origin
 * threads. */
void hf_rcu_synchronize(void);

/* One message. `kind` is the protocol's, `arg` and `ptr` what it says they are. */
struct hf_msg {
	void *ptr;
	uint32_t kind;
	uint32_t arg;
};

struct hf_ring;

/* Holds at least COUNT messages. NULL without memory. boot. */
struct hf_ring *hf_ring_new(uint32_t count);
void hf_ring_free(struct hf_ring *ring);
/* The one producer. False: full, nothing was posted. */
bool hf_ring_post(struct hf_ring *ring, struct hf_msg msg) HF_MUST_CHECK;
/* The one consumer. Up to `max` messages, returns how many. */
uint32_t hf_ring_drain(struct hf_ring *ring, struct hf_msg *ret_msgs, uint32_t max);
bool hf_ring_empty(const struct hf_ring *ring);

struct hf_waker {
	int fd; /* an eventfd, for the sleeper's epoll */
	_Atomic bool asleep;
};

/* 0 or -errno. boot. */
int hf_waker_init(struct hf_waker *waker);
void hf_waker_fini(struct hf_waker *waker);
/* The sleeper: says so, then must look at its rings once more before it really sleeps. */
void hf_waker_sleep_begin(struct hf_waker *waker);
/* The sleeper woke, for whatever reason. */
void hf_waker_sleep_end(struct hf_waker *waker);
/* After a post, any thread: writes the eventfd only if the sleeper said that it sleeps. */
void hf_waker_wake(struct hf_waker *waker);

#endif
