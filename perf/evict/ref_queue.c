/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Reference policies of one or two queues, with sizes as bytes of the queues: LRU; SIEVE (Zhang et
 * al., NSDI 2024); S3-FIFO (Yang et al., SOSP 2023).
 */
#include "lists.h"

#define QUEUE_FREQ_MAX 3

enum { QUEUE_SMALL, QUEUE_MAIN, QUEUE_GHOST };

struct queue {
	struct lists lists;
	const uint64_t *cost;
	uint64_t capacity;
	uint8_t *freq; /* SIEVE: visited */
	uint32_t hand;
};

static void *queue_open(const struct policy_world *world)
{
	struct queue *queue = lists_calloc(1, sizeof(*queue));

	lists_init(&queue->lists, world);
	queue->cost = world->cost;
	queue->capacity = world->capacity;
	queue->freq = lists_calloc(world->objects, 1);
	queue->hand = world->objects + QUEUE_MAIN;
	return queue;
}

static void queue_close(void *state)
{
	struct queue *queue = state;

	lists_fini(&queue->lists);
	free(queue->freq);
	free(queue);
}

/* ---- LRU ---- */

static bool lru_request(void *state, uint32_t object)
{
	struct queue *queue = state;
	struct lists *lists = &queue->lists;

	if (lists->on[object] == QUEUE_MAIN) {
		lists_move(lists, QUEUE_MAIN, object);
		return true;
	}
	while (lists->bytes[QUEUE_MAIN] + queue->cost[object] > queue->capacity)
		lists_del(lists, lists_oldest(lists, QUEUE_MAIN));
	lists_add(lists, QUEUE_MAIN, object);
	return false;
}

const struct policy policy_lru = { "lru", queue_open, lru_request, queue_close };

/* ---- SIEVE: the hand goes from old to new and starts again ---- */

static void sieve_evict(struct queue *queue)
{
	struct lists *lists = &queue->lists;
	uint32_t node = lists->objects + QUEUE_MAIN, victim = queue->hand;

	for (;; victim = lists->newer[victim]) {
		if (victim == node)
			victim = lists_oldest(lists, QUEUE_MAIN);
		if (!queue->freq[victim])
			break;
		queue->freq[victim] = 0;
	}
	queue->hand = lists->newer[victim];
	lists_del(lists, victim);
}

static bool sieve_request(void *state, uint32_t object)
{
	struct queue *queue = state;
	struct lists *lists = &queue->lists;

	if (lists->on[object] == QUEUE_MAIN) {
		queue->freq[object] = 1;
		return true;
	}
	while (lists->bytes[QUEUE_MAIN] + queue->cost[object] > queue->capacity)
		sieve_evict(queue);
	lists_add(lists, QUEUE_MAIN, object);
	queue->freq[object] = 0;
	return false;
}

const struct policy policy_sieve = { "sieve", queue_open, sieve_request, queue_close };

/* ---- S3-FIFO: a tenth for the small queue, ghosts for as many bytes as the main queue has ---- */

static void s3fifo_ghost(struct queue *queue, uint32_t object)
{
	struct lists *lists = &queue->lists;

	lists_move(lists, QUEUE_GHOST, object);
	while (lists->bytes[QUEUE_GHOST] > queue->capacity / 10 * 9)
		lists_del(lists, lists_oldest(lists, QUEUE_GHOST));
}

/* True: something left the cache. */
static bool s3fifo_evict_small(struct queue *queue)
{
	struct lists *lists = &queue->lists;
	uint32_t object = lists_oldest(lists, QUEUE_SMALL);

	if (queue->freq[object] > 1) {
		queue->freq[object] = 0;
		lists_move(lists, QUEUE_MAIN, object);
		return false;
	}
	s3fifo_ghost(queue, object);
	return true;
}

static bool s3fifo_evict_main(struct queue *queue)
{
	struct lists *lists = &queue->lists;
	uint32_t object = lists_oldest(lists, QUEUE_MAIN);

	if (queue->freq[object] > 0) {
		queue->freq[object]--;
		lists_move(lists, QUEUE_MAIN, object);
		return false;
	}
	lists_del(lists, object);
	return true;
}

static void s3fifo_evict(struct queue *queue)
{
	struct lists *lists = &queue->lists;
	bool gone = false;

	while (!gone) {
		if (!lists_empty(lists, QUEUE_SMALL) &&
			(lists->bytes[QUEUE_SMALL] > queue->capacity / 10 ||
				lists_empty(lists, QUEUE_MAIN)))
			gone = s3fifo_evict_small(queue);
		else
			gone = s3fifo_evict_main(queue);
	}
}

static bool s3fifo_request(void *state, uint32_t object)
{
	struct queue *queue = state;
	struct lists *lists = &queue->lists;
	uint8_t on = lists->on[object];

	if (on == QUEUE_SMALL || on == QUEUE_MAIN) {
		queue->freq[object] += queue->freq[object] < QUEUE_FREQ_MAX;
		return true;
	}
	if (on == QUEUE_GHOST)
		lists_del(lists, object);
	while (lists->bytes[QUEUE_SMALL] + lists->bytes[QUEUE_MAIN] + queue->cost[object] >
		queue->capacity)
		s3fifo_evict(queue);
	queue->freq[object] = 0;
	lists_add(lists, on == QUEUE_GHOST ? QUEUE_MAIN : QUEUE_SMALL, object);
	return false;
}

const struct policy policy_s3fifo = { "s3fifo", queue_open, s3fifo_request, queue_close };
