/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Plain hits: a GET whose head repeats the one before but for the path, of an object that is stored, fresh, small and the
 * same for all. Most requests are such, and none of them needs a request's state: they are answered in a run, which is
 * consumed, queued and counted as one.
 *
 *      unread    GET /a..  GET /b..  GET /c..       /c is not stored: from here on the steps of serve_fsm.c
 *      queued    answer a  answer b                 one span
 *
 * What is answered here is answered as READ, LOOKUP and HIT would (tests/unit/serve/test_serve_plain.c); whatever has to
 * be looked at twice is left to them.
 */
#include "hf_serve.h"

#include "serve_priv.h"

struct plain_run {
	struct serve_conn *conn;
	struct hf_span unread;     /* what is left of it */
	struct serve_txbuf *txbuf; /* for answers; NULL: not yet */
	uint32_t queued;           /* bytes of txbuf that TCP has already */
	uint32_t count;            /* requests */
	uint32_t consumed;         /* bytes that they were */
	uint64_t body_len;         /* bytes of bodies of their answers */
	bool failed;               /* what was answered could not be queued */
};

/* Heads that repeat are here, and there is nothing that wants to see each request. */
static bool plain_may(const struct hf_serve *serve, const struct serve_conn *conn, unsigned wanted)
{
	bool flows = serve->state && serve->state->flow_count > 0;

	return serve->ahead.used > 0 && hf_tcp_unread(conn->tcp) > 0 && !serve->draining &&
	       !flows && !(wanted & HF_REQLOG_WANT_ALL);
}

/* What is stored for it, when that may be the answer as it is. */
static struct hf_obj *plain_obj(struct hf_serve *serve, const struct serve_guess *guess)
{
	struct hf_obj *obj = serve_ahead_obj(serve, guess);

	if (!obj || obj->status != 200 ||
		hf_obj_use(obj, NULL, serve->now_us) != HF_CACHE_USE_FRESH)
		return NULL;
	return obj;
}

static bool plain_queue(struct hf_serve *serve, struct plain_run *run)
{
	struct serve_txbuf *txbuf = run->txbuf;
	uint32_t len = txbuf->used - run->queued;

	if (len > 0 && hf_tcp_send(serve->tcp, run->conn->tcp, txbuf->data + run->queued, len,
			       &txbuf->ref, /* zero_copy= */ false) != 0)
		return false;
	run->queued = txbuf->used;
	return true;
}

/* The first buffer has room behind the answers of the requests before. */
static bool plain_first(struct hf_serve *serve, struct plain_run *run)
{
	if (!serve_has_room(serve, run->conn))
		return false;
	run->txbuf = serve_txbuf_take(serve);
	if (run->txbuf)
		run->queued = run->txbuf->used;
	return run->txbuf != NULL;
}

/* The buffer is full: what it has goes, and another takes its place. False: there is none. */
HF_NOINLINE static bool plain_another(struct hf_serve *serve, struct plain_run *run)
{
	struct serve_txbuf *fresh;

	if (!plain_queue(serve, run)) {
		run->failed = true;
		return false;
	}
	fresh = serve_has_room(serve, run->conn) ? serve_txbuf_new(serve) : NULL;
	if (!fresh)
		return false;
	hf_ref_put(&run->txbuf->ref);
	run->txbuf = fresh;
	run->queued = 0;
	return true;
}

static bool plain_room(struct hf_serve *serve, struct plain_run *run, uint64_t len)
{
	if (len > SERVE_TXBUF_CAP)
		return false;
	if (hf_unlikely(!run->txbuf) && !plain_first(serve, run))
		return false;
	return run->txbuf->used + len <= SERVE_TXBUF_CAP || plain_another(serve, run);
}

/* The next one. False: it is none. */
static bool plain_answer(struct hf_serve *serve, struct plain_run *run)
{
	struct serve_guess *guess = serve_ahead_front(serve, run->unread.ptr);
	struct hf_span head, body;
	struct hf_obj *obj;

	if (!guess || !guess->http.plain || guess->http.head.len > run->unread.len)
		return false;
	obj = plain_obj(serve, guess);
	if (!obj)
		return false;
	body = hf_obj_body(obj);
	if (body.len == 0 || !plain_room(serve, run, obj->head_len + HF_RESP_OWN_MAX + body.len))
		return false;
	head = guess->http.head;
	serve_ahead_next(serve);
	run->txbuf->used += serve_txbuf_hit(serve, run->txbuf, obj, body);
	hf_obj_touch(obj);
	run->body_len += body.len;
	run->unread.ptr += head.len;
	run->unread.len -= head.len;
	run->consumed += (uint32_t)head.len;
	run->count++;
	return true;
}

static void plain_count(const struct plain_run *run)
{
	hf_stat_add(HF_STAT_HTTP_REQUESTS, run->count);
	hf_stat_add(HF_STAT_CACHE_HITS, run->count);
	hf_stat_add(HF_STAT_L1_HIT, run->count);
	hf_stat_add(HF_STAT_HTTP_2XX, run->count);
	hf_stat_add(HF_STAT_HTTP_BODY_BYTES, run->body_len);
}

bool serve_plain(struct hf_serve *serve, struct serve_conn *conn, uint32_t *requests)
{
	struct plain_run run = { .conn = conn };
	uint64_t most = SERVE_REQUESTS_TURN - *requests;
	unsigned wanted = serve_log_wanted(serve);

	if (!plain_may(serve, conn, wanted) ||
		hf_tcp_peek(serve->tcp, conn->tcp, &run.unread, 1) == 0)
		return true;
	if (wanted & HF_REQLOG_WANT_TRACED) /* one that is sampled is told of */
		most = hf_min_u64(most, serve_log_gap(serve));
	while (run.count < most && plain_answer(serve, &run))
		;
	if (run.count > 0) {
		serve->gap -= wanted & HF_REQLOG_WANT_TRACED ? run.count : 0;
		plain_count(&run);
		hf_http_memo_said(&serve->memo, conn);
		hf_tcp_consume(serve->tcp, conn->tcp, run.consumed);
		run.failed |= !plain_queue(serve, &run);
	}
	if (run.txbuf)
		serve_txbuf_leave(serve, run.txbuf);
	*requests += run.count;
	if (run.failed)
		(void)serve_conn_abort(serve, conn, HF_DROP_REQ_CUT);
	return !run.failed;
}
