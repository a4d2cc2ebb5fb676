/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_par.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <urcu-qsbr.h>

#include "hf_stat.h"

/* liburcu is not compiled with ThreadSanitizer, which must be told what a grace period orders: what
 * readers did before they were quiescent comes before what synchronize's caller does after it. */
#ifdef HF_TSAN
#include <sanitizer/tsan_interface.h>

static char par_grace;
#define PAR_READER_DONE() __tsan_release(&par_grace)
#define PAR_GRACE_OVER()  __tsan_acquire(&par_grace)
#else
#define PAR_READER_DONE() ((void)0)
#define PAR_GRACE_OVER()  ((void)0)
#endif

_Thread_local enum hf_thread_class hf_thread_own;

void hf_thread_enter(enum hf_thread_class class, const char *name)
{
	HF_ASSERT(hf_thread_own == HF_THREAD_NONE);
	HF_ASSERT(class != HF_THREAD_NONE);
	hf_thread_own = class;
	HF_ASSERT(hf_stat_register(name) != NULL);
}

void hf_thread_alone(void)
{
	hf_thread_own = HF_THREAD_NONE;
}

void hf_rcu_register(void)
{
	urcu_qsbr_register_thread();
}

void hf_rcu_unregister(void)
{
	PAR_READER_DONE();
	urcu_qsbr_unregister_thread();
}

void hf_rcu_quiescent(void)
{
	PAR_READER_DONE();
	urcu_qsbr_quiescent_state();
}

void hf_rcu_online(void)
{
	urcu_qsbr_thread_online();
}

void hf_rcu_offline(void)
{
	PAR_READER_DONE();
	urcu_qsbr_thread_offline();
}

void hf_rcu_synchronize(void)
{
	HF_ASSERT(hf_thread_own != HF_THREAD_LCORE);
	urcu_qsbr_synchronize_rcu();
	PAR_GRACE_OVER();
}

/* An rte_ring in memory of our own: works without EAL, so unit tests need none. */
struct hf_ring {
	struct rte_ring rte;
};

struct hf_ring *hf_ring_new(uint32_t count)
{
	uint32_t slots = (uint32_t)hf_pow2_ceil((uint64_t)count + 1);
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct hf_msg), slots);
	struct hf_ring *ring;

	HF_ASSERT(count > 0 && size > 0);
	ring = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)RTE_ALIGN(size, RTE_CACHE_LINE_SIZE));
	if (!ring)
		return NULL;
	HF_ASSERT(rte_ring_init(&ring->rte, "hf", slots, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0);
	return ring;
}

void hf_ring_free(struct hf_ring *ring)
{
	free(ring);
}

bool hf_ring_post(struct hf_ring *ring, struct hf_msg msg)
{
	return rte_ring_sp_enqueue_elem(&ring->rte, &msg, sizeof(msg)) == 0;
}

uint32_t hf_ring_drain(struct hf_ring *ring, struct hf_msg *ret_msgs, uint32_t max)
{
	return rte_ring_sc_dequeue_burst_elem(&ring->rte, ret_msgs, sizeof(*ret_msgs), max, NULL);
}

bool hf_ring_empty(const struct hf_ring *ring)
{
	return rte_ring_empty(&ring->rte);
}

int hf_waker_init(struct hf_waker *waker)
{
	atomic_init(&waker->asleep, false);
	waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return waker->fd < 0 ? -errno : 0;
}

void hf_waker_fini(struct hf_waker *waker)
{
	if (waker->fd >= 0)
		(void)close(waker->fd);
	waker->fd = -1;
}

void hf_waker_sleep_begin(struct hf_waker *waker)
{
	/* Sequentially consistent against the fence in wake: either the waker sees `asleep`, or
	 * this thread's next look at its rings sees the message. */
	atomic_store(&waker->asleep, true);
	atomic_thread_fence(memory_order_seq_cst);
}

void hf_waker_sleep_end(struct hf_waker *waker)
{
	uint64_t count;

	atomic_store(&waker->asleep, false);
	(void)!read(waker->fd, &count, sizeof(count)); /* EAGAIN: woke for another reason */
}

void hf_waker_wake(struct hf_waker *waker)
{
	static const uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&waker->asleep, memory_order_relaxed))
		(void)!write(
			waker->fd, &one, sizeof(one)); /* EAGAIN: counter full, already awake */
}
