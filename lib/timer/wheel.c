/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_timer.h"

#include <stdlib.h>

#define TICK_US   1000
#define STEPS_MAX 256 /* links one pop touches */
#define FAR_US    (1ULL << 40)

struct hf_wheel {
	uint64_t tick;          /* the next slot to open, in ms since 0 */
	uint64_t mask;          /* slots - 1 */
	uint64_t count;         /* armed timers */
	struct hf_list pending; /* out of opened slots, and what was set to a time that is past */
	uint64_t *busy;         /* one bit a slot: its list is not empty */
	struct hf_list *slot;
};

static uint64_t wheel_tick_of(uint64_t due_us)
{
	return (due_us + TICK_US - 1) / TICK_US;
}

static void wheel_busy_set(struct hf_wheel *wheel, uint64_t index)
{
	wheel->busy[index / 64] |= 1ULL << (index % 64);
}

static void wheel_busy_clear(struct hf_wheel *wheel, uint64_t index)
{
	wheel->busy[index / 64] &= ~(1ULL << (index % 64));
}

struct hf_wheel *hf_wheel_new(uint32_t slots, uint64_t now_us)
{
	struct hf_wheel *wheel = calloc(1, sizeof(*wheel));

	HF_ASSERT(slots >= 64);
	HF_ASSERT((slots & (slots - 1)) == 0);
	if (!wheel)
		return NULL;
	wheel->tick = now_us / TICK_US + 1;
	wheel->mask = slots - 1;
	hf_list_init(&wheel->pending);
	wheel->busy = calloc(slots / 64, sizeof(*wheel->busy));
	wheel->slot = calloc(slots, sizeof(*wheel->slot));
	if (!wheel->busy || !wheel->slot) {
		hf_wheel_free(wheel);
		return NULL;
	}
	for (uint32_t i = 0; i < slots; i++)
		hf_list_init(&wheel->slot[i]);
	return wheel;
}

void hf_wheel_free(struct hf_wheel *wheel)
{
	if (!wheel)
		return;
	free(wheel->busy);
	free(wheel->slot);
	free(wheel);
}

void hf_timer_init(struct hf_timer *timer, uint32_t kind)
{
	hf_list_init(&timer->link);
	timer->due_us = 0;
	timer->slot = 0;
	timer->kind = kind;
}

bool hf_timer_armed(const struct hf_timer *timer)
{
	return !hf_list_empty(&timer->link);
}

/* Into the slot of its time, or among the pending when that slot is open already. */
static void wheel_link(struct hf_wheel *wheel, struct hf_timer *timer)
{
	uint64_t tick = wheel_tick_of(timer->due_us);

	timer->slot = (uint32_t)tick;
	if (tick < wheel->tick) {
		hf_list_add_tail(&wheel->pending, &timer->link);
		return;
	}
	hf_list_add_tail(&wheel->slot[tick & wheel->mask], &timer->link);
	wheel_busy_set(wheel, tick & wheel->mask);
}

static void wheel_unlink(struct hf_wheel *wheel, struct hf_timer *timer)
{
	uint64_t index = timer->slot & wheel->mask;

	hf_list_del(&timer->link);
	if (hf_list_empty(&wheel->slot[index]))
		wheel_busy_clear(wheel, index);
}

void hf_timer_set(struct hf_wheel *wheel, struct hf_timer *timer, uint64_t due_us)
{
	HF_ASSERT(due_us < wheel->tick * TICK_US + FAR_US);
	timer->due_us = due_us;
	if (hf_timer_armed(timer)) {
		if ((int32_t)((uint32_t)wheel_tick_of(due_us) - timer->slot) >= 0)
			return; /* lazily: moved when its slot comes up */
		wheel_unlink(wheel, timer);
	} else {
		wheel->count++;
	}
	wheel_link(wheel, timer);
}

void hf_timer_del(struct hf_wheel *wheel, struct hf_timer *timer)
{
	if (!hf_timer_armed(timer))
		return;
	HF_ASSERT(wheel->count > 0);
	wheel_unlink(wheel, timer);
	wheel->count--;
}

/* Slots until the next busy one, counted from the wheel's tick; UINT64_MAX when all are empty. */
static uint64_t wheel_busy_after(const struct hf_wheel *wheel)
{
	uint64_t words = (wheel->mask + 1) / 64;
	uint64_t start = wheel->tick & wheel->mask;
	uint64_t below = (1ULL << (start % 64)) - 1; /* of the first word, seen last */

	for (uint64_t i = 0; i <= words; i++) {
		uint64_t word = (start / 64 + i) % words;
		uint64_t bits = wheel->busy[word];

		if (i == 0)
			bits &= ~below;
		if (i == words)
			bits &= below;
		if (bits)
			return (word * 64 + (uint64_t)__builtin_ctzll(bits) - start) & wheel->mask;
	}
	return UINT64_MAX;
}

/* Empties the next busy slot that is due into pending; false when none is. */
static bool wheel_open(struct hf_wheel *wheel, uint64_t now_us)
{
	uint64_t now_tick = now_us / TICK_US;
	uint64_t after = wheel_busy_after(wheel);
	struct hf_list *slot;

	if (wheel->tick > now_tick)
		return false;
	if (after == UINT64_MAX || wheel->tick + after > now_tick) {
		wheel->tick = now_tick + 1;
		return false;
	}
	wheel->tick += after;
	slot = &wheel->slot[wheel->tick & wheel->mask];
	HF_ASSERT(!hf_list_empty(slot));
	HF_ASSERT(hf_list_empty(&wheel->pending));
	wheel->pending = *slot;
	wheel->pending.next->prev = &wheel->pending;
	wheel->pending.prev->next = &wheel->pending;
	hf_list_init(slot);
	wheel_busy_clear(wheel, wheel->tick & wheel->mask);
	wheel->tick++;
	return true;
}

struct hf_timer *hf_wheel_pop(struct hf_wheel *wheel, uint64_t now_us)
{
	for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
		struct hf_list *link = hf_list_first(&wheel->pending);
		struct hf_timer *timer;

		if (!link) {
			if (!wheel_open(wheel, now_us))
				return NULL;
			continue;
		}
		timer = HF_CONTAINER_OF(link, struct hf_timer, link);
		hf_list_del(link);
		if (timer->due_us <= now_us) {
			wheel->count--;
			return timer;
		}
		/* pushed back since, or of a later round */
		wheel_link(wheel, timer);
	}
	return NULL;
}

uint64_t hf_wheel_next_us(const struct hf_wheel *wheel)
{
	uint64_t after;

	if (!hf_list_empty(&wheel->pending))
		return (wheel->tick - 1) * TICK_US;
	after = wheel_busy_after(wheel);
	return after == UINT64_MAX ? UINT64_MAX : (wheel->tick + after) * TICK_US;
}

static uint64_t wheel_check_list(
	const struct hf_wheel *wheel, const struct hf_list *list, bool slot, uint64_t index)
{
	const struct hf_list *link;
	uint64_t count = 0;

	hf_list_for_each (link, list) {
		const struct hf_timer *timer =
			HF_CONTAINER_OF((struct hf_list *)link, struct hf_timer, link);

		HF_ASSERT(link->next->prev == link && link->prev->next == link);
		HF_ASSERT((int32_t)((uint32_t)wheel_tick_of(timer->due_us) - timer->slot) >= 0);
		if (slot) {
			HF_ASSERT((timer->slot & wheel->mask) == index);
			HF_ASSERT((int32_t)(timer->slot - (uint32_t)wheel->tick) >= 0);
		}
		count++;
	}
	return count;
}

void hf_wheel_check(const struct hf_wheel *wheel)
{
	uint64_t count = wheel_check_list(wheel, &wheel->pending, /* slot= */ false, 0);

	/* a timer in a slot that is not marked busy is missing in the count */
	for (uint64_t i = 0; i <= wheel->mask / 64; i++) {
		for (uint64_t busy = wheel->busy[i]; busy; busy &= busy - 1) {
			uint64_t at = i * 64 + (uint64_t)__builtin_ctzll(busy);

			HF_ASSERT(!hf_list_empty(&wheel->slot[at]));
			count += wheel_check_list(wheel, &wheel->slot[at], /* slot= */ true, at);
		}
	}
	HF_ASSERT(count == wheel->count);
}
