/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The heaviest of many, in little memory: Space-Saving (Metwally, Agrawal, El Abbadi, 2005). Who is
 * not among the entries takes the place of the least, and its count, which may be too much for it:
 * `over` remembers. After each period all counts shrink alike, which changes no order.
 */
#include "hf_reqlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reqlog_priv.h"

struct reqlog_top *reqlog_top_new(enum reqlog_top_by by, uint64_t now_us)
{
	struct reqlog_top *top = calloc(1, sizeof(*top));

	if (!top)
		return NULL;
	top->by = by;
	top->since_us = now_us;
	hf_random_fill(&top->hash, sizeof(top->hash)); /* clients choose keys */
	return top;
}

/* ---- the heap: the entry with the least count on top ---- */

static double heap_count(const struct reqlog_top *top, uint32_t at)
{
	return top->entry[top->heap[at]].count;
}

static void heap_swap(struct reqlog_top *top, uint32_t a, uint32_t b)
{
	uint32_t entry = top->heap[a];

	top->heap[a] = top->heap[b];
	top->heap[b] = entry;
	top->entry[top->heap[a]].at = a;
	top->entry[top->heap[b]].at = b;
}

static void heap_up(struct reqlog_top *top, uint32_t at)
{
	for (; at > 0 && heap_count(top, at) < heap_count(top, (at - 1) / 2); at = (at - 1) / 2)
		heap_swap(top, at, (at - 1) / 2);
}

static void heap_down(struct reqlog_top *top, uint32_t at)
{
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < top->used; child++)
			if (heap_count(top, child) < heap_count(top, least))
				least = child;
		if (least == at)
			return;
		heap_swap(top, at, least);
		at = least;
	}
}

/* ---- keys ---- */

static uint32_t top_chain(const struct reqlog_top *top, struct hf_span key)
{
	return (uint32_t)(hf_siphash(&top->hash, key.ptr, key.len) % HF_ARRAY_LEN(top->chain));
}

static struct reqlog_top_entry *top_find(struct reqlog_top *top, struct hf_span key, uint32_t chain)
{
	for (uint32_t i = top->chain[chain]; i > 0; i = top->entry[i - 1].next) {
		struct reqlog_top_entry *entry = &top->entry[i - 1];

		if (hf_span_eq((struct hf_span){ entry->key, entry->key_len }, key))
			return entry;
	}
	return NULL;
}

static void top_unchain(struct reqlog_top *top, const struct reqlog_top_entry *entry)
{
	uint32_t *at = &top->chain[entry->chain], own = (uint32_t)(entry - top->entry) + 1;

	while (*at != own)
		at = &top->entry[*at - 1].next;
	*at = entry->next;
}

/* A new one's place, at the end of the heap; or the least one's. */
static struct reqlog_top_entry *top_place(struct reqlog_top *top, double *ret_count)
{
	struct reqlog_top_entry *entry;

	if (top->used < REQLOG_TOP_ENTRIES) {
		top->heap[top->used] = top->used;
		entry = &top->entry[top->used];
		entry->at = top->used++;
		*ret_count = 0;
		return entry;
	}
	entry = &top->entry[top->heap[0]];
	top_unchain(top, entry);
	*ret_count = entry->count;
	return entry;
}

static struct reqlog_top_entry *top_take(struct reqlog_top *top, struct hf_span key)
{
	uint32_t chain = top_chain(top, key), at;
	struct reqlog_top_entry *entry = top_find(top, key, chain);
	double count;

	if (entry)
		return entry;
	entry = top_place(top, &count);
	at = entry->at;
	*entry = (struct reqlog_top_entry){ .count = count,
		.over = count,
		.next = top->chain[chain],
		.at = at,
		.chain = chain,
		.key_len = (uint16_t)key.len };
	memcpy(entry->key, key.ptr, key.len);
	top->chain[chain] = (uint32_t)(entry - top->entry) + 1;
	heap_up(top, at);
	return entry;
}

void reqlog_top_add(struct reqlog_top *top, const struct hf_reqlog_record *record)
{
	struct reqlog_top_entry *entry;
	char ip[REQLOG_IP_LEN];
	struct hf_span key;

	switch (top->by) {
	case REQLOG_TOP_KEYS:
		key = (struct hf_span){ record->text,
			(size_t)record->host_len + record->target_len };
		break;
	case REQLOG_TOP_CLIENTS:
		key.ptr = reqlog_ip_text(&record->client, ip);
		key.len = strlen(ip);
		break;
	default:
		key = (struct hf_span){ record->origin, strlen(record->origin) };
	}
	if (key.len == 0)
		return;
	HF_ASSERT(key.len < HF_REQLOG_TOP_KEY);
	entry = top_take(top, key);
	entry->count += 1;
	entry->bytes += (double)record->bytes;
	entry->failed += record->status >= 500;
	entry->duration_us += (double)record->duration_us;
	heap_down(top, entry->at);
}

/* ---- rows ---- */

static void top_row(
	const struct reqlog_top_entry *entry, double seconds, struct hf_reqlog_top *ret_row)
{
	double own = entry->count - entry->over; /* those that were seen by name */

	*ret_row = (struct hf_reqlog_top){ .requests_s = entry->count / seconds,
		.bytes_s = entry->bytes / seconds,
		.at_most_over = entry->over / seconds,
		.failed_s = entry->failed / seconds,
		.mean_us = own > 0 ? entry->duration_us / own : 0 };
	memcpy(ret_row->key, entry->key, entry->key_len);
}

static void top_shrink(struct reqlog_top *top)
{
	top->seconds *= REQLOG_TOP_DECAY;
	for (uint32_t i = 0; i < top->used; i++) {
		struct reqlog_top_entry *entry = &top->entry[i];

		entry->count *= REQLOG_TOP_DECAY;
		entry->over *= REQLOG_TOP_DECAY;
		entry->bytes *= REQLOG_TOP_DECAY;
		entry->failed *= REQLOG_TOP_DECAY;
		entry->duration_us *= REQLOG_TOP_DECAY;
	}
}

uint32_t reqlog_top_rows(
	struct reqlog_top *top, uint64_t now_us, struct hf_reqlog_top ret_rows[HF_REQLOG_TOP_ROWS])
{
	const struct reqlog_top_entry *best[HF_REQLOG_TOP_ROWS];
	uint32_t count = 0;

	top->seconds += (double)(now_us - top->since_us) / 1e6;
	top->since_us = now_us;
	for (uint32_t i = 0; i < top->used; i++) {
		const struct reqlog_top_entry *entry = &top->entry[i];
		uint32_t at = count;

		if (count < HF_REQLOG_TOP_ROWS)
			count++;
		else if (entry->count <= best[--at]->count)
			continue;
		for (; at > 0 && best[at - 1]->count < entry->count; at--)
			best[at] = best[at - 1];
		best[at] = entry;
	}
	for (uint32_t i = 0; i < count; i++)
		top_row(best[i], top->seconds > 0 ? top->seconds : 1, &ret_rows[i]);
	top_shrink(top);
	return count;
}
