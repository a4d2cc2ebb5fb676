/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Requests that are here already wait for memory together: while one is answered, the objects of the next ones are on
 * their way, and the table's lines for those behind them.
 *
 *      burst    GET /a..  GET /b..  GET /c..  GET /d..  GET /e..  GET /f..      pipelined in a segment, or of other
 *               in hand   object    object    table     table     not looked at     connections
 *
 * Only heads that repeat are seen (hf_http_memo_repeats). A guess is which bytes are the head of a request; it is right
 * when the connection's request begins there. A wrong one costs time and nothing else.
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
	ahead->asked -= ahead->asked > 0;
}

/* It was of no use: a key that nobody looked up may be a secret. */
static void ahead_drop_wrong(struct serve_ahead *ahead)
{
	struct serve_guess *guess = ahead_nth(ahead, 0);

	hf_wipe(guess->key_buf, guess->http.key_len);
	ahead_drop(ahead);
}

/* The next head that repeats. */
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
		if (hf_http_memo_repeats(&serve->memo, &serve->limits, guess->key_buf,
			    serve->key_cap, rest, &guess->http)) {
			guess->seg = ahead->seg;
			ahead->offset += (uint32_t)guess->http.head.len;
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
		hf_cache_spot_begin(serve->cache, guess->hash, &guess->spot);
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

/* The objects of the next COUNT are on their way. */
static void ahead_fetch(struct serve_ahead *ahead, uint32_t count)
{
	for (; ahead->asked < hf_min_u32(ahead->used, count); ahead->asked++) {
		const struct serve_guess *guess = ahead_nth(ahead, ahead->asked);

		hf_cache_spot_fetch(&guess->spot, guess->hash);
	}
}

struct hf_obj *serve_ahead_obj(struct hf_serve *serve, const struct serve_guess *guess)
{
	struct hf_key key = {
		.ptr = guess->key_buf, .len = guess->http.key_len, .hash = guess->hash
	};

	HF_ASSERT_HOT(guess == ahead_nth(&serve->ahead, 0));
	ahead_fetch(&serve->ahead, 1); /* the first one of a burst */
	return hf_cache_spot_any(&guess->spot, &key);
}

void serve_ahead_next(struct hf_serve *serve)
{
	struct serve_ahead *ahead = &serve->ahead;

	ahead_drop(ahead);
	ahead_fetch(ahead, SERVE_AHEAD_OBJECTS);
	ahead_fill(serve);
}

/* What was guessed before it can be no more: requests come in the order of their bytes. */
static struct serve_guess *ahead_find(struct hf_serve *serve)
{
	struct serve_ahead *ahead = &serve->ahead;

	for (uint32_t n = 0; n < ahead->used; n++) {
		struct serve_guess *guess = ahead_nth(ahead, n);

		if (!hf_http_repeat_is(&serve->memo, &guess->http, &serve->http))
			continue;
		for (; n > 0; n--)
			ahead_drop_wrong(ahead);
		return guess;
	}
	return NULL;
}

bool serve_ahead_take(struct hf_serve *serve)
{
	struct serve_guess *guess = ahead_find(serve);
	char *key_buf = serve->key_buf;

	if (!guess)
		return false;
	serve->key_buf = guess->key_buf;
	guess->key_buf = key_buf;
	serve->key = (struct hf_key){
		.ptr = serve->key_buf, .len = guess->http.key_len, .hash = guess->hash
	};
	serve_ahead_next(serve);
	return true;
}
