/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "hf_fallback.h"

/* What happened, as letters: + good, - failed, r refused; 1 on, 0 off, a auto. Returns what was done: E
 * and L. */
static const char *drive(struct hf_fallback *f, const char *events)
{
	static const char letters[] = "+-r10a";
	static char done[64];
	size_t count = 0;

	for (; *events; events++) {
		enum hf_fallback_event event =
			(enum hf_fallback_event)(strchr(letters, *events) - letters);
		enum hf_fallback_action action = hf_fallback_step(f, event, 0);

		if (action != HF_FALLBACK_NONE)
			done[count++] = action == HF_FALLBACK_ENTER ? 'E' : 'L';
	}
	done[count] = '\0';
	return done;
}

#define EXPECT(events, actions, is)                                                                \
	do {                                                                                       \
		struct hf_fallback f_;                                                             \
		hf_fallback_init(&f_, 3, 2, 0);                                                    \
		cr_expect_str_eq(drive(&f_, events), actions, "%s", events);                       \
		cr_expect_eq(                                                                      \
			f_.state, HF_FALLBACK_##is, "%s: %s", events, hf_fallback_name(f_.state)); \
	} while (0)

Test(fallback, F1_as_many_failures_in_a_row_enter_as_many_successes_leave)
{
	EXPECT("--", "", FAILING);
	EXPECT("---", "E", FALLBACK);
	EXPECT("---+", "E", RECOVERING);
	EXPECT("---++", "EL", NORMAL);
	EXPECT("---++---++", "ELEL", NORMAL);
	EXPECT("------++++", "EL", NORMAL);
}

Test(fallback, F1_what_flaps_keeps_its_mode)
{
	EXPECT("--+--+--+--", "", FAILING);
	EXPECT("-+-+-+-+-+", "", NORMAL);
	EXPECT("---+-+-+--+-+", "E", RECOVERING);
}

Test(fallback, other_limits_count_from_the_next_event_on)
{
	struct hf_fallback f;

	hf_fallback_init(&f, 10, 10, 0);
	cr_expect_str_eq(drive(&f, "----"), "");
	hf_fallback_limits_set(&f, 2, 1);
	cr_expect_eq(f.state, HF_FALLBACK_FAILING);
	cr_expect_str_eq(drive(&f, "-+"), "EL");
	hf_fallback_limits_set(&f, 3, 1);
	cr_expect_str_eq(drive(&f, "--"), "");
}

Test(fallback, F2_what_is_refused_breaks_either_row)
{
	EXPECT("--r--r--", "", FAILING);
	EXPECT("---+r+r", "E", FALLBACK);
	EXPECT("rrrrrr", "", NORMAL);
	EXPECT("---rrrr", "E", FALLBACK);
}

Test(fallback, the_operator_holds_it_whatever_is_answered)
{
	EXPECT("1", "E", HELD_ON);
	EXPECT("1++++", "E", HELD_ON);
	EXPECT("0------", "", HELD_OFF);
	EXPECT("---0", "EL", HELD_OFF);
	EXPECT("---1", "E", HELD_ON);
	EXPECT("1010", "ELEL", HELD_OFF);
}

Test(fallback, auto_leaves_what_is_held_by_what_is_answered_from_now_on)
{
	EXPECT("1a", "E", FALLBACK);
	EXPECT("1++a+", "E", RECOVERING);
	EXPECT("1a++", "EL", NORMAL);
	EXPECT("0--a--", "", FAILING);
	EXPECT("0--a---", "E", FALLBACK);
	EXPECT("--a-", "E", FALLBACK);
	EXPECT("---+a+", "EL", NORMAL);
}

Test(fallback, one_may_be_enough)
{
	struct hf_fallback f;

	hf_fallback_init(&f, 1, 1, 0);
	cr_expect_str_eq(drive(&f, "-+-+r-"), "ELELE");
}

/* The model says in other words what the table says cell by cell. */
Test(fallback, F3_each_sequence_of_seven_events_does_what_a_plain_model_does)
{
	static const char letters[] = "+-r10a";

	for (uint32_t code = 0; code < 6 * 6 * 6 * 6 * 6 * 6 * 6; code++) {
		struct hf_fallback f;
		uint32_t failed = 0, good = 0, rest = code;
		char held = 0;
		bool on = false;

		hf_fallback_init(&f, 3, 2, 0);
		for (int i = 0; i < 7; i++, rest /= 6) {
			char letter = letters[rest % 6];
			bool was = on;
			enum hf_fallback_action action;

			if (letter == '1' || letter == '0')
				held = letter;
			if (letter == 'a')
				held = 0;
			if (letter != 'a') {
				failed = letter == '-' && !held ? failed + 1 : 0;
				good = letter == '+' && !held ? good + 1 : 0;
			}
			on = held ? held == '1' : on ? good < 2 : failed >= 3;
			action = hf_fallback_step(&f, (enum hf_fallback_event)(rest % 6), 0);
			cr_assert_eq(hf_fallback_is_on(&f), on, "sequence %u, step %d", code, i);
			cr_assert_eq(action,
				on == was ? HF_FALLBACK_NONE
				: on      ? HF_FALLBACK_ENTER
					  : HF_FALLBACK_LEAVE,
				"sequence %u, step %d", code, i);
		}
	}
}

Test(fallback, time_in_fallback_is_summed)
{
	struct hf_fallback f;

	hf_fallback_init(&f, 1, 1, 1000);
	cr_expect_eq(hf_fallback_spent_us(&f, 5000), 0);
	cr_expect_eq(hf_fallback_step(&f, HF_FALLBACK_FAILED, 5000), HF_FALLBACK_ENTER);
	cr_expect_eq(hf_fallback_spent_us(&f, 7000), 2000);
	cr_expect_eq(hf_fallback_step(&f, HF_FALLBACK_ON, 7000), HF_FALLBACK_NONE);
	cr_expect_eq(hf_fallback_step(&f, HF_FALLBACK_OFF, 8000), HF_FALLBACK_LEAVE);
	cr_expect_eq(hf_fallback_spent_us(&f, 9000), 3000);
	cr_expect_eq(hf_fallback_step(&f, HF_FALLBACK_ON, 10000), HF_FALLBACK_ENTER);
	cr_expect_eq(hf_fallback_spent_us(&f, 10500), 3500);
}
