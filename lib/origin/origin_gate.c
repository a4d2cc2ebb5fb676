/* SPDX-License-Identifier: BSD-3-Clause */
#include "origin_gate.h"

#define GATE_INSIDE_MAX ((1ULL << 27) - 1)
#define GATE_TURN_SHIFT 27
#define GATE_WAIT_SHIFT 32

static uint32_t gate_inside(uint64_t word)
{
	return (uint32_t)(word & GATE_INSIDE_MAX);
}

static uint32_t gate_waiting(uint64_t word)
{
	return (uint32_t)(word >> GATE_WAIT_SHIFT);
}

static uint64_t gate_bit(uint32_t thread)
{
	HF_ASSERT(thread < ORIGIN_GATE_THREADS_MAX);
	return 1ULL << (GATE_WAIT_SHIFT + thread);
}

/* The first that waits, from the turn on. */
static uint32_t gate_next(uint64_t word)
{
	uint32_t turn = (uint32_t)(word >> GATE_TURN_SHIFT) % ORIGIN_GATE_THREADS_MAX;
	uint32_t waiting = gate_waiting(word);
	uint32_t from_turn = waiting >> turn << turn;

	if (waiting == 0)
		return ORIGIN_GATE_NOBODY;
	return (uint32_t)__builtin_ctz(from_turn ? from_turn : waiting);
}

static uint32_t gate_named(uint64_t word, uint32_t limit)
{
	return gate_inside(word) < limit ? gate_next(word) : ORIGIN_GATE_NOBODY;
}

/* SELF may go in: there is room, and of those who wait none is before it. */
static bool gate_admits(uint64_t word, uint32_t limit, uint32_t self)
{
	return gate_named(word | gate_bit(self), limit) == self;
}

static uint64_t gate_entered(uint64_t word, uint32_t self)
{
	uint64_t turn = (self + 1) % ORIGIN_GATE_THREADS_MAX;

	HF_ASSERT(gate_inside(word) < GATE_INSIDE_MAX);
	word &= ~(gate_bit(self) | (uint64_t)(ORIGIN_GATE_THREADS_MAX - 1) << GATE_TURN_SHIFT);
	return (word | turn << GATE_TURN_SHIFT) + 1;
}

bool origin_gate_take(struct origin_gate *gate, uint32_t limit, uint32_t self, uint32_t *ret_wake)
{
	uint64_t word = atomic_load(&gate->word), next;
	bool enters;

	do {
		enters = gate_admits(word, limit, self);
		next = enters ? gate_entered(word, self) : word | gate_bit(self);
		if (next == word) /* it waited already */
			break;
	} while (!atomic_compare_exchange_weak(&gate->word, &word, next));
	*ret_wake = enters ? gate_named(next, limit) : ORIGIN_GATE_NOBODY;
	return enters;
}

uint32_t origin_gate_give(struct origin_gate *gate)
{
	uint64_t word = atomic_fetch_sub(&gate->word, 1);

	HF_ASSERT(gate_inside(word) > 0);
	return gate_next(word); /* whether that is below the limit it finds out itself */
}

uint32_t origin_gate_cancel(struct origin_gate *gate, uint32_t limit, uint32_t self)
{
	uint64_t word = atomic_fetch_and(&gate->word, ~gate_bit(self));

	return gate_named(word & ~gate_bit(self), limit);
}

bool origin_gate_wait(struct origin_gate *gate, uint32_t limit, uint32_t self)
{
	uint64_t word = atomic_load(&gate->word);

	do {
		if (gate_admits(word, limit, self))
			return false;
		if (word & gate_bit(self))
			return true;
	} while (!atomic_compare_exchange_weak(&gate->word, &word, word | gate_bit(self)));
	return true;
}

uint32_t origin_gate_raised(const struct origin_gate *gate, uint32_t limit)
{
	return gate_named(atomic_load(&gate->word), limit);
}

bool origin_gate_is_open(const struct origin_gate *gate, uint32_t limit, uint32_t self)
{
	return gate_admits(atomic_load(&gate->word), limit, self);
}

uint32_t origin_gate_inside(const struct origin_gate *gate)
{
	return gate_inside(atomic_load(&gate->word));
}
