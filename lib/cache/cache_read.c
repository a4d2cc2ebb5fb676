/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_object.h"

#include <string.h>

/* The acquire of `filled` makes everything below it readable: bytes, links, and `first`. */
struct hf_span hf_obj_peek(const struct hf_obj *obj, struct hf_obj_cursor *cursor, size_t max)
{
	uint64_t filled = atomic_load_explicit(&obj->filled, memory_order_acquire);
	const struct hf_chunk *chunk = cursor->chunk;
	size_t at, len;

	if (cursor->pos >= filled)
		return (struct hf_span){ NULL, 0 };
	if (!chunk)
		chunk = obj->first;
	HF_ASSERT_HOT(chunk && chunk->begin <= cursor->pos);
	while (cursor->pos - chunk->begin >= chunk->cap) {
		const struct hf_chunk *skip =
			atomic_load_explicit(&chunk->skip, memory_order_acquire);

		chunk = skip && skip->begin <= cursor->pos ? skip : chunk->next;
	}
	cursor->chunk = chunk;
	at = (size_t)(cursor->pos - chunk->begin);
	len = hf_min_size(chunk->cap - at, (size_t)hf_min_u64(filled - cursor->pos, max));
	return (struct hf_span){ (const char *)chunk->data + at, len };
}

size_t hf_obj_read(const struct hf_obj *obj, struct hf_obj_cursor *cursor, char *to, size_t max)
{
	size_t len = 0;

	while (len < max) {
		struct hf_span span = hf_obj_peek(obj, cursor, max - len);

		if (span.len == 0)
			break;
		memcpy(to + len, span.ptr, span.len);
		len += span.len;
		hf_obj_advance(cursor, span.len);
	}
	return len;
}

bool hf_obj_at_end(const struct hf_obj *obj, const struct hf_obj_cursor *cursor)
{
	uint32_t state = atomic_load_explicit(&obj->state, memory_order_acquire);

	return state != HF_OBJ_FILLING &&
	       cursor->pos >= atomic_load_explicit(&obj->filled, memory_order_acquire);
}
