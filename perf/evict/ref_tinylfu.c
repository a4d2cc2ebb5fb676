/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reference policy W-TinyLFU (Einziger, Friedman, Manes, ACM TOS 2017): a window of 1 %, then a
 * segmented LRU that a count-min sketch guards. With sizes: who leaves the window must be asked for
 * more often than those together that would have to go for it.
 */
#include "lists.h"

#define TINYLFU_ROWS     4
#define TINYLFU_FREQ_MAX 15

enum { TINYLFU_WINDOW, TINYLFU_PROBATION, TINYLFU_PROTECTED };

struct tinylfu {
	struct lists lists;
	const uint64_t *cost;
	uint64_t capacity, window_max, protected_max;
	uint8_t *sketch;
	uint64_t sketch_mask;
	uint64_t seen, sample; /* requests; so many, then all counts are halved */
};

static void *tinylfu_open(const struct policy_world *world)
{
	struct tinylfu *lfu = lists_calloc(1, sizeof(*lfu));
	uint64_t sum = 0, fit;

	for (uint32_t i = 0; i < world->objects; i++)
		sum += world->cost[i];
	fit = (uint64_t)((double)world->capacity / (double)sum * world->objects) + 1;
	lists_init(&lfu->lists, world);
	lfu->cost = world->cost;
	lfu->capacity = world->capacity;
	lfu->window_max = world->capacity / 100;
	lfu->protected_max = (world->capacity - lfu->window_max) / 5 * 4;
	lfu->sketch_mask = hf_pow2_ceil(hf_max_u64(fit * 4, 64)) - 1;
	lfu->sketch = lists_calloc(lfu->sketch_mask + 1, TINYLFU_ROWS);
	lfu->sample = hf_max_u64(fit * 10, 64);
	return lfu;
}

static void tinylfu_close(void *state)
{
	struct tinylfu *lfu = state;

	lists_fini(&lfu->lists);
	free(lfu->sketch);
	free(lfu);
}

static uint8_t *tinylfu_cell(const struct tinylfu *lfu, uint32_t object, uint64_t row)
{
	uint64_t hash = (object + 1) * 0x9e3779b97f4a7c15 ^ (row + 1) * 0xd1b54a32d192ed03;

	hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9;
	return &lfu->sketch[row * (lfu->sketch_mask + 1) + (hash >> 24 & lfu->sketch_mask)];
}

static uint32_t tinylfu_freq(const struct tinylfu *lfu, uint32_t object)
{
	uint32_t freq = TINYLFU_FREQ_MAX;

	for (uint64_t row = 0; row < TINYLFU_ROWS; row++)
		freq = hf_min_u32(freq, *tinylfu_cell(lfu, object, row));
	return freq;
}

static void tinylfu_count(struct tinylfu *lfu, uint32_t object)
{
	uint32_t freq = tinylfu_freq(lfu, object);

	for (uint64_t row = 0; row < TINYLFU_ROWS && freq < TINYLFU_FREQ_MAX; row++) {
		uint8_t *cell = tinylfu_cell(lfu, object, row);

		*cell += *cell == freq;
	}
	if (++lfu->seen < lfu->sample)
		return;
	lfu->seen /= 2;
	for (uint64_t i = 0; i < (lfu->sketch_mask + 1) * TINYLFU_ROWS; i++)
		lfu->sketch[i] /= 2;
}

static uint64_t tinylfu_free(const struct tinylfu *lfu)
{
	const uint64_t *bytes = lfu->lists.bytes;

	return lfu->capacity - lfu->window_max - bytes[TINYLFU_PROBATION] -
	       bytes[TINYLFU_PROTECTED];
}

static uint32_t tinylfu_victim(const struct tinylfu *lfu)
{
	const struct lists *lists = &lfu->lists;

	return lists_oldest(lists,
		lists_empty(lists, TINYLFU_PROBATION) ? TINYLFU_PROTECTED : TINYLFU_PROBATION);
}

/* The oldest of the window against the oldest of the main part; as many of these as it takes. */
static bool tinylfu_wins(const struct tinylfu *lfu, uint32_t candidate)
{
	const struct lists *lists = &lfu->lists;
	uint64_t room = tinylfu_free(lfu);
	uint32_t freq = tinylfu_freq(lfu, candidate), sum = 0;

	for (int list = TINYLFU_PROBATION; list <= TINYLFU_PROTECTED; list++) {
		uint32_t node = lists->objects + (uint32_t)list;

		for (uint32_t at = lists->newer[node]; at != node; at = lists->newer[at]) {
			if (room >= lfu->cost[candidate])
				return true;
			sum += tinylfu_freq(lfu, at);
			if (sum >= freq)
				return false;
			room += lfu->cost[at];
		}
	}
	return room >= lfu->cost[candidate];
}

static void tinylfu_settle(struct tinylfu *lfu)
{
	struct lists *lists = &lfu->lists;

	while (lists->bytes[TINYLFU_WINDOW] > lfu->window_max) {
		uint32_t candidate = lists_oldest(lists, TINYLFU_WINDOW);

		if (!tinylfu_wins(lfu, candidate)) {
			lists_del(lists, candidate);
			continue;
		}
		while (tinylfu_free(lfu) < lfu->cost[candidate])
			lists_del(lists, tinylfu_victim(lfu));
		lists_move(lists, TINYLFU_PROBATION, candidate);
	}
}

static bool tinylfu_request(void *state, uint32_t object)
{
	struct tinylfu *lfu = state;
	struct lists *lists = &lfu->lists;
	uint8_t on = lists->on[object];

	tinylfu_count(lfu, object);
	if (on == LISTS_NONE) {
		lists_add(lists, TINYLFU_WINDOW, object);
		tinylfu_settle(lfu);
		return false;
	}
	lists_move(lists, on == TINYLFU_WINDOW ? TINYLFU_WINDOW : TINYLFU_PROTECTED, object);
	while (lists->bytes[TINYLFU_PROTECTED] > lfu->protected_max)
		lists_move(lists, TINYLFU_PROBATION, lists_oldest(lists, TINYLFU_PROTECTED));
	return true;
}

const struct policy policy_tinylfu = { "w-tinylfu", tinylfu_open, tinylfu_request, tinylfu_close };
