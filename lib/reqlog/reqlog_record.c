/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A record on the worker's side, and its ring.
 */
#include "hf_reqlog.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hf_stat.h"
#include "hf_wipe.h"

#include "reqlog_priv.h"

HF_STATIC_ASSERT((HF_REQLOG_RING & (HF_REQLOG_RING - 1)) == 0, "indices wrap by masking");

static size_t record_len(const struct hf_reqlog_record *record)
{
	return offsetof(struct hf_reqlog_record, text) + record->host_len + record->target_len +
	       record->agent_len;
}

void hf_reqlog_record_init(
	struct hf_reqlog_record *record, const struct hf_ip *client, uint16_t port, uint64_t now_us)
{
	memset(record, 0, offsetof(struct hf_reqlog_record, text));
	record->begun_us = now_us;
	record->client = *client;
	record->port = port;
}

static size_t record_copy(char *to, struct hf_span from, size_t max)
{
	size_t n = hf_min_size(from.len, max);

	if (n > 0)
		memcpy(to, from.ptr, n);
	return n;
}

void hf_reqlog_record_request(struct hf_reqlog_record *record, const struct hf_http_req *http)
{
	const struct hf_http_line *agent =
		hf_http_fields_find(&http->fields, HF_HTTP_FIELD_USER_AGENT);
	struct hf_span agent_text = agent ? agent->value : (struct hf_span){ NULL, 0 };
	size_t room = HF_REQLOG_TEXT_MAX - hf_min_size(agent_text.len, HF_REQLOG_AGENT_MAX);
	char *at = record->text;

	record->minor = (uint8_t)http->minor;
	record->method_len =
		(uint8_t)record_copy(record->method, http->method_text, HF_REQLOG_METHOD_MAX);
	record->host_len = (uint16_t)record_copy(at, http->authority, HF_REQLOG_HOST_MAX);
	at += record->host_len;
	room -= record->host_len;
	record->target_len = (uint16_t)hf_http_redact(http->path_query, at, room);
	at += record->target_len;
	record->cut = http->authority.len > HF_REQLOG_HOST_MAX || record->target_len == room;
	record->agent_len = (uint8_t)record_copy(at, agent_text, HF_REQLOG_AGENT_MAX);
	HF_ASSERT_HOT(record_len(record) <= sizeof(*record));
}

void hf_reqlog_record_wipe(struct hf_reqlog_record *record)
{
	hf_wipe(record, record_len(record));
}

/* ---- the ring ---- */

struct hf_reqlog_ring *reqlog_ring_new(const _Atomic uint32_t *wanted)
{
	struct hf_reqlog_ring *ring = aligned_alloc(HF_CACHE_LINE, sizeof(*ring));

	if (!ring)
		return NULL;
	memset(ring, 0, sizeof(*ring)); /* and touched: no page fault when a worker logs */
	ring->wanted = wanted;
	return ring;
}

unsigned hf_reqlog_wanted(const struct hf_reqlog_ring *ring)
{
	return atomic_load_explicit(ring->wanted, memory_order_relaxed);
}

void hf_reqlog_put(struct hf_reqlog_ring *ring, const struct hf_reqlog_record *record)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == HF_REQLOG_RING) {
		hf_stat_inc(HF_STAT_REQLOG_LOST);
		atomic_store_explicit(&ring->lost,
			atomic_load_explicit(&ring->lost, memory_order_relaxed) + 1,
			memory_order_relaxed);
		return;
	}
	memcpy(&ring->record[head & (HF_REQLOG_RING - 1)], record, record_len(record));
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

struct hf_reqlog_record *reqlog_ring_peek(
	struct hf_reqlog_ring *ring, uint32_t max, uint32_t *ret_count)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&ring->head, memory_order_acquire) - tail;
	uint32_t at = tail & (HF_REQLOG_RING - 1);

	HF_ASSERT(count <= HF_REQLOG_RING);
	*ret_count = hf_min_u32(hf_min_u32(count, max), HF_REQLOG_RING - at);
	return &ring->record[at];
}

void reqlog_ring_done(struct hf_reqlog_ring *ring, uint32_t count)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	for (uint32_t i = 0; i < count; i++)
		hf_reqlog_record_wipe(&ring->record[(tail + i) & (HF_REQLOG_RING - 1)]);
	atomic_store_explicit(&ring->tail, tail + count, memory_order_release);
}

uint64_t reqlog_ring_lost(struct hf_reqlog_ring *ring)
{
	uint64_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
	uint64_t more = lost - ring->lost_seen;

	ring->lost_seen = lost;
	return more;
}
