/* SPDX-License-Identifier: BSD-3-Clause
 *
 * timer - a hashed timing wheel with a lazy re-arm (Varghese and Lauck, 1987).
 *
 * What      Slots of 1 ms; a timer farther away than the wheel turns waits in its slot for its
 * round. Setting a timer later than it stands only notes the new time: the link moves when the old
 *           slot comes up, so that pushing a timeout back on each packet costs a store.
 * Picture   now -> [slot][slot][slot]...[slot]   each slot a list of hf_timer
 * Threads   The owner of the wheel, one thread. Pure: time comes in as an argument.
 * Lifetime  A timer is embedded in its owner's structure; hf_timer_del before that memory goes.
 * Promises  T1 a timer never comes due before its time.  T2 it comes due at the first pop whose now
 *           is >= due + 1 ms, as long as pops keep up.  T3 pop works a bounded number of steps.
 * Limits    Any number of timers; due at most 2^40 us (12 days) away.
 */
#ifndef HF_TIMER_H
#define HF_TIMER_H

#include "hf_base.h"
#include "hf_list.h"

struct hf_timer {
	struct hf_list link; /* in a slot while armed */
	uint64_t due_us;     /* when it shall come due */
	uint32_t slot; /* where its link stands: milliseconds modulo 2^32, <= due_us rounded up */
	uint32_t kind; /* the owner's: which of its timers this is */
};
HF_STATIC_ASSERT(sizeof(struct hf_timer) == 32, "connections hold one");

struct hf_wheel;

/* A wheel of `slots` (a power of two, at least 64) milliseconds. Returns NULL without memory. boot.
 */
struct hf_wheel *hf_wheel_new(uint32_t slots, uint64_t now_us);
/* Armed timers are forgotten, not called. NULL is fine. */
void hf_wheel_free(struct hf_wheel *wheel);

/* Before first use, and for memory that was reused. */
void hf_timer_init(struct hf_timer *timer, uint32_t kind);
/* Arms or moves. A time in the past comes due at the next pop. */
void hf_timer_set(struct hf_wheel *wheel, struct hf_timer *timer, uint64_t due_us);
/* Fine when not armed. */
void hf_timer_del(struct hf_wheel *wheel, struct hf_timer *timer);
bool hf_timer_armed(const struct hf_timer *timer);

/* The next timer that is due, disarmed, or NULL. Call until NULL, or until enough was done: what is
 * left comes at the next call. */
struct hf_timer *hf_wheel_pop(struct hf_wheel *wheel, uint64_t now_us);
/* Before this time no pop finds anything, for a thread that would sleep; UINT64_MAX when empty. */
uint64_t hf_wheel_next_us(const struct hf_wheel *wheel);
/* Asserts that links, slots and counts agree. */
void hf_wheel_check(const struct hf_wheel *wheel);

#endif
