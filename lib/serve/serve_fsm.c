/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The spine: walks a request along tbl/req_steps.h until it must wait or the connection is gone.
 */
#include "hf_serve.h"

#include "serve_priv.h"

typedef enum serve_go (*serve_step_fn)(struct hf_serve *serve, struct serve_req *req);

static const serve_step_fn serve_steps[SERVE_STEP_COUNT] = {
#define X(id, fn) [SERVE_##id] = fn,
#include "tbl/req_steps.h"
#undef X
};

/* Run this connection again at the next tick: it waits for a buffer, or had its share. */
void serve_again(struct hf_serve *serve, struct serve_conn *conn)
{
	if (hf_list_empty(&conn->again))
		hf_list_add_tail(&serve->again, &conn->again);
}

void serve_want_space(struct serve_conn *conn)
{
	hf_tcp_writable_at(conn->tcp, hf_tcp_queued(conn->tcp) / 4 * 3);
}

/* Of send buffers one of many connections may hold no more than leaves some to the others: a 64th of what is
 * free, and one when they are short. Each is in a span of its own. */
static bool fsm_has_its_share(const struct hf_serve *serve, const struct serve_conn *conn)
{
	uint32_t free_count = hf_pool_free_count(&serve->txbuf_pool);
	uint32_t share =
		serve_txbufs_short(serve) ? 1 : hf_max_u32(SERVE_SHARE_MIN, free_count / 64);

	return hf_tcp_queued_spans(conn->tcp) >= share;
}

bool serve_has_room(struct hf_serve *serve, const struct serve_conn *conn)
{
	return hf_tcp_send_space(serve->tcp, conn->tcp) >= SERVE_SPACE_MIN &&
	       !fsm_has_its_share(serve, conn);
}

/* Between requests: begin the next one if there is anything to read, and it can be answered. FIRST: none was answered
 * in this walk. */
static struct serve_req *fsm_begin(struct hf_serve *serve, struct serve_conn *conn, bool first)
{
	if (hf_tcp_unread(conn->tcp) == 0) {
		if (conn->fin || serve->draining) {
			(void)serve_conn_close(serve, conn);
			return NULL;
		}
		/* only now: not between requests that came together */
		if (!first || conn->timer != SERVE_TIMER_IDLE)
			serve_conn_idle(serve, conn);
		return NULL;
	}
	if (!serve_has_room(serve, conn)) {
		serve_want_space(conn);
	} else {
		conn->req = serve_req_new(serve, conn);
		if (conn->req) {
			if (first) /* behind it the connection is idle no more */
				hf_tcp_idle_set(serve->tcp, conn->tcp, false);
			return conn->req;
		}
		serve_again(serve, conn);
	}
	serve_conn_wait(serve, conn);
	return NULL;
}

static void fsm_walk(struct hf_serve *serve, struct serve_conn *conn)
{
	uint32_t requests = 0;

	for (;;) {
		struct serve_req *req = conn->req;
		enum serve_go go;

		if (!req) {
			if (!serve_plain(serve, conn, &requests))
				return;
			if (requests == SERVE_REQUESTS_TURN) {
				serve_again(serve, conn);
				return;
			}
			req = fsm_begin(serve, conn, /* first= */ requests++ == 0);
			if (!req)
				return;
		}
		HF_ASSERT_HOT(req->step < SERVE_STEP_COUNT);
		go = serve_steps[req->step](serve, req);
		if (go != SERVE_GO)
			return;
	}
}

void serve_run(struct hf_serve *serve, struct serve_conn *conn)
{
	HF_ASSERT_HOT(!serve->txbuf_left);
	fsm_walk(serve, conn);
	if (serve->txbuf_left)
		hf_ref_put(&serve->txbuf_left->ref);
	serve->txbuf_left = NULL;
}

/* The request ends with an answer of our own. */
enum serve_go serve_fail(struct serve_req *req, uint16_t status, enum hf_drop reason)
{
	HF_ASSERT(status >= 200 && status < 600);
	if (reason != HF_DROP_NONE)
		(void)hf_drop(reason);
	req->error_status = status;
	req->step = SERVE_ERROR;
	return SERVE_GO;
}
