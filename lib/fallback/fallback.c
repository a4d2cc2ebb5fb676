/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_fallback.h"

/* The events of the table: the first two become ENOUGH_ when they complete a row. */
enum fallback_input {
	FALLBACK_GOOD,
	FALLBACK_FAILED,
	FALLBACK_REFUSED,
	FALLBACK_ON,
	FALLBACK_OFF,
	FALLBACK_AUTO,
	FALLBACK_ENOUGH_GOOD,
	FALLBACK_ENOUGH_FAILED,
	FALLBACK_INPUTS
};

static const struct {
	uint8_t next, action;
} fallback_table[HF_FALLBACK_STATES][FALLBACK_INPUTS] = {
#define X(state, event, next, action)                                                              \
	[HF_FALLBACK_##state][FALLBACK_##event] = { HF_FALLBACK_##next, HF_FALLBACK_##action },
#include "tbl/fallback_fsm.h"
#undef X
};

/* Nothing is left out, nothing is there twice (that the compiler tells). */
enum {
#define X(state, event, next, action) FALLBACK_CELL_##state##_##event,
#include "tbl/fallback_fsm.h"
#undef X
	FALLBACK_CELLS
};
HF_STATIC_ASSERT(FALLBACK_CELLS == HF_FALLBACK_STATES * FALLBACK_INPUTS, "a cell is missing");

void hf_fallback_init(
	struct hf_fallback *fallback, uint32_t failures, uint32_t successes, uint64_t now_us)
{
	HF_ASSERT(failures > 0 && successes > 0);
	*fallback = (struct hf_fallback){
		.failures = failures, .successes = successes, .changed_us = now_us
	};
}

void hf_fallback_limits_set(struct hf_fallback *fallback, uint32_t failures, uint32_t successes)
{
	HF_ASSERT(failures > 0 && successes > 0);
	fallback->failures = failures;
	fallback->successes = successes;
}

static bool fallback_is_on(enum hf_fallback_state state)
{
	return state == HF_FALLBACK_FALLBACK || state == HF_FALLBACK_RECOVERING ||
	       state == HF_FALLBACK_HELD_ON;
}

bool hf_fallback_is_on(const struct hf_fallback *fallback)
{
	return fallback_is_on(fallback->state);
}

/* How long the row is with this event. */
static uint32_t fallback_row(const struct hf_fallback *fallback, enum hf_fallback_event event)
{
	enum hf_fallback_state counts;

	if (event != HF_FALLBACK_GOOD && event != HF_FALLBACK_FAILED)
		return fallback->row;
	counts = event == HF_FALLBACK_GOOD ? HF_FALLBACK_RECOVERING : HF_FALLBACK_FAILING;
	return fallback->state == counts ? fallback->row + 1 : 1;
}

static enum fallback_input fallback_input(
	const struct hf_fallback *fallback, enum hf_fallback_event event, uint32_t row)
{
	if (event == HF_FALLBACK_GOOD && row >= fallback->successes)
		return FALLBACK_ENOUGH_GOOD;
	if (event == HF_FALLBACK_FAILED && row >= fallback->failures)
		return FALLBACK_ENOUGH_FAILED;
	return (enum fallback_input)event;
}

enum hf_fallback_action hf_fallback_step(
	struct hf_fallback *fallback, enum hf_fallback_event event, uint64_t now_us)
{
	uint32_t row = fallback_row(fallback, event);
	enum fallback_input input = fallback_input(fallback, event, row);
	enum hf_fallback_state state = fallback->state;
	enum hf_fallback_action action = fallback_table[state][input].action;

	fallback->state = fallback_table[state][input].next;
	fallback->row = row;
	HF_ASSERT((action == HF_FALLBACK_NONE) ==
		  (fallback_is_on(state) == hf_fallback_is_on(fallback)));
	if (action == HF_FALLBACK_LEAVE)
		fallback->spent_us += now_us - fallback->changed_us;
	if (action != HF_FALLBACK_NONE)
		fallback->changed_us = now_us;
	return action;
}

uint64_t hf_fallback_spent_us(const struct hf_fallback *fallback, uint64_t now_us)
{
	if (!hf_fallback_is_on(fallback))
		return fallback->spent_us;
	return fallback->spent_us + (now_us - fallback->changed_us);
}

const char *hf_fallback_name(enum hf_fallback_state state)
{
	static const char *const names[HF_FALLBACK_STATES] = { "normal", "failing", "fallback",
		"recovering", "held on", "held off" };

	HF_ASSERT(state < HF_FALLBACK_STATES);
	return names[state];
}

const char *hf_fallback_trigger_name(enum hf_fallback_trigger trigger)
{
	static const char *const names[] = {
#define X(id, name) name,
#include "tbl/fallback_triggers.h"
#undef X
	};

	HF_ASSERT(trigger < HF_ARRAY_LEN(names));
	return names[trigger];
}
