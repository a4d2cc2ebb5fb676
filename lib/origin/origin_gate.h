/* SPDX-License-Identifier: BSD-3-Clause
 *
 * gate - how many may be inside, over all origin threads, and whose turn it is when it is full.
 *
 * What      One word: how many are inside, which threads wait, and which of them is next. A thread that finds
 *           the gate full, or another's turn, waits as one; what of its own goes first is its own affair.
 * Picture   | waiting: a bit for each thread (32) | turn (5) | inside (27) |
 * Threads   Any, each under its own number; no locks. The caller wakes whom a function names.
 * Promises  G1 no more than LIMIT are inside by a take, whatever the interleaving.
 *           G2 while somebody waits and there is room, the one whose turn it is was named after the last
 *               change: nobody sleeps before an open gate, if who is named takes or cancels.
 *           G3 the turn goes round: one that waits is passed by each other at most once.
 * Limits    32 threads, 134 million inside.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_gate.h is private to lib/origin"
#endif
#ifndef ORIGIN_GATE_H
#define ORIGIN_GATE_H

#include <stdatomic.h>

#include "hf_base.h"

#define ORIGIN_GATE_THREADS_MAX 32
#define ORIGIN_GATE_NOBODY      UINT32_MAX

struct origin_gate {
	_Atomic uint64_t word;
};

/* Each returns, or leaves in ret_wake, who is to be woken, or NOBODY. */
/* False: SELF waits from now on, until it takes or cancels. */
bool origin_gate_take(
	struct origin_gate *gate, uint32_t limit, uint32_t self, uint32_t *ret_wake) HF_MUST_CHECK;
uint32_t origin_gate_give(struct origin_gate *gate) HF_MUST_CHECK;
/* SELF does not wait any more. */
uint32_t origin_gate_cancel(struct origin_gate *gate, uint32_t limit, uint32_t self) HF_MUST_CHECK;
/* SELF waits from now on. False: it could take now, and does not wait. */
bool origin_gate_wait(struct origin_gate *gate, uint32_t limit, uint32_t self) HF_MUST_CHECK;
/* The limit was raised: who goes in next. */
uint32_t origin_gate_raised(const struct origin_gate *gate, uint32_t limit) HF_MUST_CHECK;
/* Would a take by SELF succeed? */
bool origin_gate_is_open(const struct origin_gate *gate, uint32_t limit, uint32_t self);
uint32_t origin_gate_inside(const struct origin_gate *gate);

#endif
