/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A connection's begin, events, timers and end.
 */
#include "hf_serve.h"

#include "serve_priv.h"

static struct serve_conn *conn_open(struct hf_serve *serve, struct hf_tcp_conn *tcp)
{
	struct serve_conn *conn = hf_pool_get(&serve->conn_pool);

	if (!conn) {
		hf_tcp_abort(serve->tcp, tcp);
		(void)hf_drop(HF_DROP_CONN_FULL);
		return NULL;
	}
	__builtin_memset(conn, 0, sizeof(*conn));
	conn->tcp = tcp;
	hf_list_init(&conn->again);
	hf_tcp_user_set(tcp, conn);
	if (!serve_peer_join(serve, conn)) {
		(void)serve_conn_abort(serve, conn, HF_DROP_CONN_PER_ADDRESS);
		return NULL;
	}
	serve_conn_idle(serve, conn);
	return conn;
}

void serve_conn_idle(struct hf_serve *serve, struct serve_conn *conn)
{
	hf_tcp_idle_set(serve->tcp, conn->tcp, true);
	if (!serve_send_watched(conn)) /* else it is not idle before all was taken */
		serve_timer_set(
			serve, conn, SERVE_TIMER_IDLE, serve->conf->http.idle_timeout_ms * 1000ULL);
}

void serve_conn_wait(struct hf_serve *serve, struct serve_conn *conn)
{
	hf_tcp_idle_set(serve->tcp, conn->tcp, false);
	if (hf_tcp_queued(conn->tcp) > 0)
		serve_send_watch(serve, conn);
	else if (conn->timer != SERVE_TIMER_ROOM)
		serve_timer_set(serve, conn, SERVE_TIMER_ROOM, SERVE_ROOM_WAIT_US);
}

/* Everything of the connection but TCP's part goes back. */
void serve_conn_forget(struct hf_serve *serve, struct serve_conn *conn)
{
	if (conn->req)
		serve_req_free(serve, conn->req);
	conn->req = NULL;
	serve_peer_leave(serve, conn);
	hf_http_memo_left(&serve->memo, conn);
	hf_list_del(&conn->again);
	hf_pool_put(&serve->conn_pool, conn);
}

enum serve_go serve_conn_close(struct hf_serve *serve, struct serve_conn *conn)
{
	hf_tcp_close(serve->tcp, conn->tcp);
	serve_conn_forget(serve, conn);
	return SERVE_GONE;
}

enum serve_go serve_conn_abort(struct hf_serve *serve, struct serve_conn *conn, enum hf_drop reason)
{
	(void)hf_drop(reason);
	hf_tcp_abort(serve->tcp, conn->tcp);
	serve_conn_forget(serve, conn);
	return SERVE_GONE;
}

void serve_timer_set(
	struct hf_serve *serve, struct serve_conn *conn, enum serve_timer kind, uint64_t after_us)
{
	conn->timer = (uint8_t)kind;
	hf_tcp_deadline_set(serve->tcp, conn->tcp, after_us);
}

void serve_timer_stop(struct hf_serve *serve, struct serve_conn *conn)
{
	if (conn->timer == SERVE_TIMER_NONE)
		return;
	conn->timer = SERVE_TIMER_NONE;
	hf_tcp_deadline_set(serve->tcp, conn->tcp, 0);
}

/* Of a request that is late nothing has been answered yet: that can be said. */
static void conn_upload_slow(struct hf_serve *serve, struct serve_conn *conn)
{
	struct serve_req *req = conn->req;

	if (req->step != SERVE_WAIT) {
		(void)serve_conn_abort(serve, conn, HF_DROP_CONN_BODY_SLOW);
		return;
	}
	serve_timer_stop(serve, conn);
	(void)serve_fail(req, 408, HF_DROP_CONN_BODY_SLOW);
	serve_run(serve, conn);
}

/* Has less come of what the timer watches, since it was set, than so much a second? */
static bool conn_below(const struct serve_conn *conn, uint32_t progress, uint32_t rate)
{
	return progress - conn->rate_mark < (uint64_t)rate * (SERVE_RATE_PERIOD_US / 1000000);
}

/* Waiting for the origin to take what came is not the client's fault. */
static void conn_upload_rate(struct hf_serve *serve, struct serve_conn *conn)
{
	const struct serve_req *req = conn->req;
	uint32_t progress = (uint32_t)req->upload_len;
	uint32_t rate = serve->conf->http.body_rate;

	if (serve_exchanges_short(serve)) /* others wait for the one that it has */
		rate = hf_max_u32(rate, SERVE_RATE_SHORT);
	/* what is unread waits for a buffer, or for the origin */
	if (req->xchg && hf_tcp_unread(conn->tcp) == 0 &&
		req->xchg->bodies_out < HF_XCHG_BODIES_MAX && conn_below(conn, progress, rate)) {
		conn_upload_slow(serve, conn);
		return;
	}
	conn->rate_mark = progress;
	serve_timer_set(serve, conn, SERVE_TIMER_UPLOAD, SERVE_RATE_PERIOD_US);
}

static void conn_send_mark(struct hf_serve *serve, struct serve_conn *conn)
{
	conn->rate_mark = hf_tcp_acked(conn->tcp);
	serve_timer_set(serve, conn, SERVE_TIMER_SEND, SERVE_RATE_PERIOD_US);
}

void serve_send_watch(struct hf_serve *serve, struct serve_conn *conn)
{
	if (conn->timer != SERVE_TIMER_SEND)
		conn_send_mark(serve, conn);
}

bool serve_send_watched(const struct serve_conn *conn)
{
	return conn->timer == SERVE_TIMER_SEND && hf_tcp_queued(conn->tcp) > 0;
}

/* Waiting for the origin to go on is not the client's fault. */
static void conn_send_rate(struct hf_serve *serve, struct serve_conn *conn)
{
	if (hf_tcp_queued_us(serve->tcp, conn->tcp) >= SERVE_RATE_PERIOD_US &&
		conn_below(conn, hf_tcp_acked(conn->tcp), serve->conf->http.body_rate))
		(void)serve_conn_abort(serve, conn, HF_DROP_CONN_SEND_SLOW);
	else
		conn_send_mark(serve, conn);
}

/* It waited for memory as long as it may: nothing of the request was looked at. */
static void conn_room_over(struct hf_serve *serve, struct serve_conn *conn)
{
	static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
				      "Cache-Control: no-store\r\nRetry-After: 1\r\n"
				      "Connection: close\r\n\r\n";

	HF_ASSERT(!conn->req);
	(void)hf_drop(HF_DROP_REQ_NO_ROOM);
	if (hf_tcp_send_space(serve->tcp, conn->tcp) >= sizeof(refusal) &&
		hf_tcp_send(serve->tcp, conn->tcp, refusal, sizeof(refusal) - 1, NULL,
			/* zero_copy= */ false) == 0)
		hf_stat_inc(HF_STAT_HTTP_5XX);
	(void)serve_conn_close(serve, conn);
}

static void conn_timer(struct hf_serve *serve, struct serve_conn *conn)
{
	switch ((enum serve_timer)conn->timer) {
	case SERVE_TIMER_IDLE:
		(void)hf_drop(HF_DROP_CONN_IDLE);
		(void)serve_conn_close(serve, conn);
		return;
	case SERVE_TIMER_HEAD:
		HF_ASSERT(conn->req && conn->req->step == SERVE_READ);
		conn->req->keep_alive = false;
		(void)serve_fail(conn->req, 408, HF_DROP_CONN_HEAD_TIMEOUT);
		serve_run(serve, conn);
		return;
	case SERVE_TIMER_UPLOAD:
		HF_ASSERT(conn->req);
		conn_upload_rate(serve, conn);
		return;
	case SERVE_TIMER_SEND:
		conn_send_rate(serve, conn);
		return;
	case SERVE_TIMER_ROOM:
		conn_room_over(serve, conn);
		return;
	case SERVE_TIMER_NONE:
		break;
	}
	HF_ASSERT(!"a deadline that was taken back");
}

static void conn_event(struct hf_serve *serve, const struct hf_tcp_event *event)
{
	struct serve_conn *conn = event->user;

	if (event->what & HF_TCP_EV_OPEN) {
		HF_ASSERT(conn == NULL);
		conn = conn_open(serve, event->conn);
	}
	if (!conn)
		return;
	if (event->what & HF_TCP_EV_CLOSED) {
		if (conn->req)
			(void)hf_drop(HF_DROP_CONN_RESET);
		serve_conn_forget(serve, conn);
		return;
	}
	if (event->what & HF_TCP_EV_FIN)
		conn->fin = true;
	if (event->what == HF_TCP_EV_DEADLINE) {
		conn_timer(serve, conn);
		return;
	}
	if (event->what & HF_TCP_EV_DEADLINE) /* and more: that first */
		hf_tcp_deadline_set(serve->tcp, conn->tcp, 1);
	serve_run(serve, conn);
}

void serve_events(struct hf_serve *serve)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(serve->tcp, &event))
		conn_event(serve, &event);
}
