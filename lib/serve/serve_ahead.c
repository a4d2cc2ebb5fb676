/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Requests that are here already wait for memory together: while one is answered, the object of the next is on its
 * way, and the table's lines for the one behind that.
 *
 *      burst    GET /a..  GET /b..  GET /c..  GET /d..      pipelined in a segment, or of other connections
 *               LOOKUP    object    table     not looked at
 *
 * A guess says which bytes it was made from; LOOKUP takes its key and hash when they are the request's, else it makes
 * them anew. So a wrong guess costs time and nothing else.
 */
#include "hf_serve.h"

#include <errno.h>
#include <stdlib.h>

#include "hf_wipe.h"

#include "serve_priv.h"

int serve_ahead_init(struct hf_serve *serve)
{
	for (uint32_t i = 0; i < SERVE_AHEAD; i++) {
		serve->ahead.guess[i].key_buf = malloc(serve->key_cap);
		if (!serve->ahead.guess[i].key_buf)
			return -ENOMEM;
	}
	return 0;
}

void serve_ahead_fini(struct hf_serve *serve)
{
	for (uint32_t i = 0; i < SERVE_AHEAD; i++)
		free(serve->ahead.guess[i].key_buf);
}

static struct serve_guess *ahead_nth(struct serve_ahead *ahead, uint32_t n)
{
	return &ahead->guess[(ahead->first + n) % SERVE_AHEAD];
}

static void ahead_drop(struct serve_ahead *ahead)
{
	HF_ASSERT_HOT(ahead->used > 0);
	ahead->first = (ahead->first + 1) % SERVE_AHEAD;
	ahead->used--;
}

/* It was of no use: a key that nobody looked up may be a secret. */
static void ahead_drop_wrong(struct serve_ahead *ahead)
{
	struct serve_guess *guess = ahead_nth(ahead, 0);

	hf_wipe(guess->key_buf, guess->http.key_len);
	ahead_drop(ahead);
}

/* The next head that looks like one. */
static bool ahead_guess(struct hf_serve *serve, struct serve_guess *guess)
{
	struct serve_ahead *ahead = &serve->ahead;

	for (; ahead->seg < ahead->count; ahead->seg++, ahead->offset = 0) {
		const struct hf_tcp_seg *seg = &ahead->segs[ahead->seg];
		struct hf_span rest;

		if (ahead->offset >= seg->payload_len)
			continue;
		rest = (struct hf_span){ (const char *)seg->payload + ahead->offset,
			seg->payload_len - ahead->offset };
		if (hf_http_memo_guess(
			    &serve->memo, guess->key_buf, serve->key_cap, rest, &guess->http)) {
			guess->seg = ahead->seg;
			ahead->offset += guess->http.head_len;
			return true;
		}
	}
	return false;
}

static void ahead_fill(struct hf_serve *serve)
{
	struct serve_ahead *ahead = &serve->ahead;

	while (ahead->used < SERVE_AHEAD) {
		struct serve_guess *guess = ahead_nth(ahead, ahead->used);

		if (!ahead_guess(serve, guess))
			return;
		guess->hash = hf_cache_hash(serve->cache, guess->key_buf, guess->http.key_len);
		hf_cache_prefetch_table(serve->cache, guess->hash);
		ahead->used++;
	}
}

void serve_ahead_begin(struct hf_serve *serve, const struct hf_tcp_seg *segs, uint32_t count)
{
	struct serve_ahead *ahead = &serve->ahead;

	HF_ASSERT_HOT(ahead->used == 0);
	ahead->segs = segs;
	ahead->count = count;
	ahead->seg = ahead->offset = 0;
}

void serve_ahead_at(struct hf_serve *serve, uint32_t i)
{
	struct serve_ahead *ahead = &serve->ahead;

	while (ahead->used > 0 && ahead_nth(ahead, 0)->seg < i)
		ahead_drop_wrong(ahead);
	if (ahead->seg < i) {
		ahead->seg = i;
		ahead->offset = 0;
	}
	ahead_fill(serve);
}

/* What was guessed before it can be no more: requests come in the order of their bytes. */
static struct serve_guess *ahead_find(struct hf_serve *serve, struct hf_span authority)
{
	struct serve_ahead *ahead = &serve->ahead;

	for (uint32_t n = 0; n < ahead->used; n++) {
		struct serve_guess *guess = ahead_nth(ahead, n);

		if (!hf_http_memo_guessed(&serve->memo, &guess->http, &serve->http, authority))
			continue;
		for (; n > 0; n--)
			ahead_drop_wrong(ahead);
		return guess;
	}
	return NULL;
}

bool serve_ahead_take(struct hf_serve *serve, struct hf_span authority)
{
	struct serve_ahead *ahead = &serve->ahead;
	struct serve_guess *guess = ahead_find(serve, authority);
	char *key_buf = serve->key_buf;

	if (!guess)
		return false;
	serve->key_buf = guess->key_buf;
	guess->key_buf = key_buf;
	serve->key = (struct hf_key){
		.ptr = serve->key_buf, .len = guess->http.key_len, .hash = guess->hash
	};
	ahead_drop(ahead);
	if (ahead->used > 0)
		hf_cache_prefetch_object(serve->cache, ahead_nth(ahead, 0)->hash);
	ahead_fill(serve);
	return true;
}
