/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include <string.h>

#include "origin_priv.h"
#include "origin_wire.h"

static void origin_body_give_back(
	struct hf_origin *origin, struct origin_reader *reader, struct hf_xchg_body *body)
{
	hf_xchg_to_worker(origin->link[reader->xchg->worker], HF_XCHG_BODY_DONE, body);
}

static void origin_body_pop(struct hf_origin *origin, struct origin_reader *reader)
{
	struct hf_xchg_body *body = reader->body[reader->body_first];

	HF_ASSERT(reader->body_count > 0);
	if (body->last)
		reader->body_last = true;
	reader->body_first = (reader->body_first + 1) % HF_XCHG_BODIES_MAX;
	reader->body_count--;
	reader->body_pos = 0;
	origin_body_give_back(origin, reader, body);
}

void origin_body_push(
	struct hf_origin *origin, struct origin_reader *reader, struct hf_xchg_body *body)
{
	struct origin_fetch *fetch = reader->fetch;

	HF_ASSERT(body->xchg == reader->xchg);
	HF_ASSERT(body->len <= HF_XCHG_BODY_LEN);
	if (reader->body_unwanted) {
		origin_body_give_back(origin, reader, body);
		return;
	}
	HF_ASSERT(reader->body_count < HF_XCHG_BODIES_MAX);
	reader->body[(reader->body_first + reader->body_count) % HF_XCHG_BODIES_MAX] = body;
	reader->body_count++;
	if (reader->tunnel)
		origin_tunnel_go_on(reader->tunnel);
	if (fetch)
		origin_fetch_body_came(origin, fetch);
	if (fetch && fetch->send_paused) {
		fetch->send_paused = false;
		origin_curl_resume(origin, fetch);
	}
}

struct hf_span origin_body_run(const struct origin_reader *reader)
{
	const struct hf_xchg_body *body = reader->body[reader->body_first];

	HF_ASSERT(reader->body_count > 0);
	return (struct hf_span){ (const char *)body->data + reader->body_pos,
		body->len - reader->body_pos };
}

void origin_body_advance(struct hf_origin *origin, struct origin_reader *reader, size_t len)
{
	HF_ASSERT(len <= origin_body_run(reader).len);
	reader->body_pos += (uint32_t)len;
	if (reader->body_pos == reader->body[reader->body_first]->len)
		origin_body_pop(origin, reader);
}

size_t origin_body_peek(const struct origin_reader *reader, char *buf, size_t cap)
{
	size_t len = 0;

	HF_ASSERT(reader->body_pos == 0);
	for (uint32_t i = 0; i < reader->body_count && len < cap; i++) {
		const struct hf_xchg_body *body =
			reader->body[(reader->body_first + i) % HF_XCHG_BODIES_MAX];
		size_t n = hf_min_size(cap - len, body->len);

		memcpy(buf + len, body->data, n);
		len += n;
	}
	return len;
}

bool origin_body_is_at_hand(const struct origin_reader *reader, size_t len)
{
	size_t got = 0;
	bool last = reader->body_unwanted;

	for (uint32_t i = 0; i < reader->body_count; i++) {
		const struct hf_xchg_body *body =
			reader->body[(reader->body_first + i) % HF_XCHG_BODIES_MAX];

		got += body->len;
		last |= body->last;
	}
	return last || got >= len || reader->body_count == HF_XCHG_BODIES_MAX;
}

void origin_body_discard(struct hf_origin *origin, struct origin_reader *reader)
{
	while (reader->body_count > 0)
		origin_body_pop(origin, reader);
	reader->body_unwanted = true;
}

/* The origin must take what it was given in time; what the client has not sent yet is the worker's
 * to time. */
static void origin_body_timer(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_reader *reader)
{
	if (fetch->state != ORIGIN_SENT)
		return; /* it answers already */
	if (reader->body_last)
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_FIRST_BYTE,
			origin->conf->origin.first_byte_timeout_ms * 1000ULL);
	else
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN,
			origin->conf->origin.between_bytes_timeout_ms * 1000ULL);
}

size_t origin_body_read(struct hf_origin *origin, struct origin_fetch *fetch, char *buf, size_t cap)
{
	struct origin_reader *reader = fetch->leader;
	size_t len = 0;

	HF_ASSERT(reader); /* a fetch with a body has one reader, and ends with it */
	while (len < cap && reader->body_count > 0) {
		struct hf_span run = origin_body_run(reader);
		size_t n = hf_min_size(cap - len, run.len);

		memcpy(buf + len, run.ptr, n);
		len += n;
		origin_body_advance(origin, reader, n);
	}
	if (len == 0 && !reader->body_last && !reader->body_unwanted) {
		fetch->send_paused = true;
		if (fetch->state == ORIGIN_SENT)
			hf_timer_del(origin->wheel, &fetch->timer);
		return CURL_READFUNC_PAUSE;
	}
	origin_body_timer(origin, fetch, reader);
	return len;
}
