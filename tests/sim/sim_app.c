/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The application at one end of ours: reads and writes at whim, closes, gives up, breaks off.
 *
 * Picture   event or wake -> app_pump: app_read, app_write, app_close
 */
#include "tcp_sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DISCARD_MAX 900000 /* what a closed end of ours swallows surely */

enum app_plan {
	APP_CLOSE_ALL,   /* when all is sent and received */
	APP_CLOSE_FIN,   /* and the peer has closed */
	APP_CLOSE_EARLY, /* when all is sent */
	APP_GIVE_UP,     /* at some time, whatever was sent by then */
	APP_ABORT,       /* after so many bytes */
	APP_PLANS
};

/* Bytes that are freed and spoilt when nobody names them any more. */
struct blob {
	struct hf_ref ref;
	uint32_t len;
	uint8_t data[];
};

struct sim_app {
	struct sim *sim;
	struct sim_flow *flow;
	uint32_t end;
	/* drawn */
	enum app_plan plan;
	uint32_t start_at; /* bytes received before it sends anything */
	uint32_t abort_at;
	uint32_t lazy, pause, statics, fickle;
	uint32_t write_most, notify_most;
	bool deaf;    /* never reads */
	bool patient; /* writes no more until it is told WRITABLE */
	uint64_t give_up_us;
	/* state */
	struct hf_tcp_conn *conn;
	bool opened, closed, lost, fin_seen, idle, gave_up, blocked;
	uint32_t sent, received;
	uint64_t open_us;
	uint64_t read_us, write_us; /* not before */
	uint64_t deadline_us;       /* asked for; 0: none */
	uint32_t notify_at;         /* asked for; UINT32_MAX: not */
};

static uint32_t blobs_live;

bool sim_app_released(void)
{
	uint32_t left = blobs_live;

	blobs_live = 0;
	return left == 0;
}

static void blob_release(struct hf_ref *ref)
{
	struct blob *blob = HF_CONTAINER_OF(ref, struct blob, ref);

	memset(blob->data, 0xdd, blob->len);
	free(blob);
	blobs_live--;
}

static struct blob *blob_new(const struct sim_app *app, uint32_t len)
{
	struct blob *blob = malloc(sizeof(*blob) + len);

	HF_ASSERT(blob);
	hf_ref_init(&blob->ref, blob_release);
	blob->len = len;
	sim_bytes_fill(app->flow, app->end, app->sent, blob->data, len);
	blobs_live++;
	return blob;
}

static enum app_plan app_plan_draw(struct sim *sim, struct sim_flow *flow, uint32_t end)
{
	uint32_t draw = sim_rand(sim, 100);

	if (draw < 40 || (draw < 75 && flow->waits[1 - end]))
		return APP_CLOSE_ALL;
	if (draw < 75) {
		flow->waits[end] = true;
		return APP_CLOSE_FIN;
	}
	if (draw < 88)
		return APP_CLOSE_EARLY;
	return draw < 94 ? APP_GIVE_UP : APP_ABORT;
}

struct sim_app *sim_app_new(struct sim *sim, struct sim_flow *flow, uint32_t end)
{
	struct sim_app *app = calloc(1, sizeof(*app));

	HF_ASSERT(app);
	app->sim = sim;
	app->flow = flow;
	app->end = end;
	app->plan = app_plan_draw(sim, flow, end);
	if (end == 1 && sim_chance(sim, 700))
		app->start_at = sim_chance(sim, 500) ? UINT32_MAX : sim_rand(sim, flow->len[0] + 1);
	app->abort_at = sim_rand(sim, flow->len[0] + flow->len[1] + 1);
	app->lazy = sim_chance(sim, 500) ? sim_rand(sim, 900) : 0;
	app->pause = sim_chance(sim, 300) ? sim_rand(sim, 500) : 0;
	app->statics = sim_chance(sim, 300) ? sim_rand(sim, 500) : 0;
	app->fickle = sim_chance(sim, 300) ? sim_rand(sim, 300) : 0;
	app->write_most = sim_chance(sim, 200) ? 200 : 1 + sim_rand(sim, 60000);
	app->notify_most = sim_chance(sim, 300) ? 1 : 1 + sim_rand(sim, 100000);
	app->open_us = flow->start_us[end];
	app->give_up_us = sim->now_us + sim_rand(sim, sim_chance(sim, 500) ? 500000 : 20000000);
	app->deaf = app->plan == APP_GIVE_UP && sim_chance(sim, 500);
	app->patient = sim_chance(sim, 500);
	app->read_us = app->write_us = SIM_NEVER;
	app->notify_at = UINT32_MAX;
	if (app->plan == APP_ABORT)
		flow->excuse = "an end aborts";
	else if (app->plan >= APP_CLOSE_EARLY && flow->len[1 - end] > DISCARD_MAX)
		flow->excuse = "more than a closed end takes";
	sim_say(sim, "flow %u end %u: plan %u, begins at %u, lazy %u, pauses %u%s", flow->index,
		end, app->plan, app->start_at, app->lazy, app->pause, app->deaf ? ", deaf" : "");
	return app;
}

void sim_app_free(struct sim_app *app)
{
	free(app);
}

bool sim_app_opened(const struct sim_app *app)
{
	return app->opened;
}

bool sim_app_over(const struct sim_app *app)
{
	return !app->conn && app->open_us == SIM_NEVER;
}

bool sim_app_idle(const struct sim_app *app)
{
	return app && app->conn && app->idle;
}

bool sim_app_complete(const struct sim_app *app)
{
	bool received = app->received == app->flow->len[1 - app->end];

	return app->opened && app->closed && app->sent == app->flow->len[app->end] &&
	       (received || app->plan >= APP_CLOSE_EARLY);
}

uint64_t sim_app_next_us(const struct sim_app *app)
{
	uint64_t next = app->open_us;

	if (!app->conn)
		return next;
	next = hf_min_u64(next, hf_min_u64(app->read_us, app->write_us));
	if (app->plan == APP_GIVE_UP && app->opened && !app->gave_up)
		next = hf_min_u64(next, app->give_up_us);
	return next;
}

static void app_gone(struct sim_app *app)
{
	app->conn = NULL;
	app->read_us = app->write_us = SIM_NEVER;
}

/* As many spans as one blob gives, so that references outlive each other in every order. */
static int app_queue_blob(struct sim_app *app, struct hf_tcp *tcp, uint32_t len)
{
	struct blob *blob = blob_new(app, len);
	uint32_t off = 0;
	int err = 0;

	while (off < len && err == 0) {
		uint32_t n = hf_min_u32(len - off, 1 + sim_rand(app->sim, len));

		err = hf_tcp_send(tcp, app->conn, blob->data + off, n, &blob->ref, true);
		app->sim->calls++;
		if (err == 0)
			off += n;
	}
	app->sent += off;
	hf_ref_put(&blob->ref);
	return err;
}

static int app_queue_static(struct sim_app *app, struct hf_tcp *tcp, uint32_t len)
{
	const uint8_t *bytes = sim_bytes_at(app->flow, app->end, app->sent, &len);
	int err = hf_tcp_send(tcp, app->conn, bytes, len, NULL, false);

	app->sim->calls++;
	if (err == 0)
		app->sent += len;
	return err;
}

/* No room now: the stack says when there is. */
static void app_wait(struct sim_app *app)
{
	uint32_t queued = hf_tcp_queued(app->conn);

	app->blocked = app->patient;
	if (app->notify_at != UINT32_MAX)
		return;
	app->notify_at = sim_rand(app->sim, hf_min_u32(queued, app->notify_most));
	hf_tcp_writable_at(app->conn, app->notify_at);
}

static void app_write(struct sim_app *app, struct hf_tcp *tcp)
{
	struct sim *sim = app->sim;
	uint32_t peer_len = app->flow->len[1 - app->end];

	if (app->received < hf_min_u32(app->start_at, peer_len) || app->write_us != SIM_NEVER ||
		app->blocked)
		return;
	while (app->sent < app->flow->len[app->end]) {
		uint32_t space = hf_tcp_send_space(tcp, app->conn);
		uint32_t len = hf_min_u32(app->flow->len[app->end] - app->sent,
			1 + sim_rand(sim, sim_chance(sim, 100) ? 40 : app->write_most));
		int err;

		/* else: more than there is room for; not if it never fits */
		if (hf_tcp_queued(app->conn) == 0 || sim_chance(sim, 950))
			len = hf_min_u32(len, space);
		if (len == 0)
			return app_wait(app);
		err = sim_chance(sim, app->statics) ? app_queue_static(app, tcp, len)
						    : app_queue_blob(app, tcp, len);
		if (err == -EAGAIN) {
			app->blocked = app->patient; /* that asked, too */
			return sim_chance(sim, 500) ? (void)0 : app_wait(app);
		}
		if (err)
			return sim_fail(sim, "send: %d", err);
		if (sim_chance(sim, app->pause)) {
			app->write_us = sim->now_us + sim_rand(sim, 100000);
			return;
		}
	}
}

/* Later: woken by the world's clock, or by the stack's. */
static void app_read_later(struct sim_app *app, struct hf_tcp *tcp)
{
	uint64_t wait = 1 + sim_rand(app->sim, 300000);

	if (app->deadline_us == 0 && sim_chance(app->sim, 500)) {
		hf_tcp_deadline_set(tcp, app->conn, wait);
		app->deadline_us = app->sim->now_us + wait;
		return;
	}
	app->read_us = app->sim->now_us + wait;
}

static void app_read(struct sim_app *app, struct hf_tcp *tcp)
{
	struct sim *sim = app->sim;
	uint32_t unread = hf_tcp_unread(app->conn);
	bool lazy = unread > 0 && sim_chance(sim, app->lazy);
	uint32_t left = lazy ? sim_rand(sim, unread + 1) : unread;
	struct hf_span span[8];

	if (app->deaf)
		return;
	while (left > 0) {
		uint32_t n = hf_tcp_peek(tcp, app->conn, span, 1 + sim_rand(sim, 8));
		uint32_t k = n ? (uint32_t)hf_min_size(span[0].len, left) : 0;

		if (k == 0)
			return sim_fail(sim, "nothing to peek at of %u unread", left);
		if (!sim_bytes_same(app->flow, 1 - app->end, app->received,
			    (const uint8_t *)span[0].ptr, k))
			return sim_fail(sim, "flow %u end %u: wrong byte read behind %u",
				app->flow->index, app->end, app->received);
		hf_tcp_consume(tcp, app->conn, k);
		app->received += k;
		left -= k;
		sim->bytes += k;
		sim->calls++;
	}
	if (app->received > app->flow->len[1 - app->end])
		return sim_fail(sim, "read more than was sent");
	if (app->fin_seen && hf_tcp_unread(app->conn) == 0 &&
		app->received < app->flow->len[1 - app->end])
		return sim_fail(sim, "FIN before the end");
	app->read_us = SIM_NEVER;
	if (hf_tcp_unread(app->conn) > 0)
		app_read_later(app, tcp);
}

static bool app_may_close(const struct sim_app *app)
{
	bool sent = app->sent == app->flow->len[app->end];
	bool received = app->received == app->flow->len[1 - app->end];

	switch (app->plan) {
	case APP_CLOSE_ALL:
	case APP_ABORT:
		return sent && received;
	case APP_CLOSE_FIN:
		return sent && received && app->fin_seen;
	case APP_CLOSE_EARLY:
		return sent;
	default:
		return app->gave_up;
	}
}

static void app_close(struct sim_app *app, struct hf_tcp *tcp)
{
	if (app->plan == APP_ABORT && app->sent + app->received >= app->abort_at) {
		sim_say(app->sim, "flow %u end %u aborts", app->flow->index, app->end);
		hf_tcp_abort(tcp, app->conn);
		app->closed = true;
		return app_gone(app);
	}
	if (!app_may_close(app))
		return;
	sim_say(app->sim, "flow %u end %u closes", app->flow->index, app->end);
	hf_tcp_close(tcp, app->conn);
	app->closed = true;
	app_gone(app);
}

/* While there is nothing to do: first in line to be shed. */
static void app_idle(struct sim_app *app, struct hf_tcp *tcp)
{
	bool waits = app->received == 0 && app->sent == 0 && app->start_at > 0;
	bool done = app->received == app->flow->len[1 - app->end] &&
		    app->sent == app->flow->len[app->end] && app->plan == APP_CLOSE_FIN;
	bool idle = waits || done;

	if (idle == app->idle)
		return;
	hf_tcp_idle_set(tcp, app->conn, idle);
	app->idle = idle;
}

/* Asks for a deadline, or takes it back; nothing depends on it. */
static void app_dither(struct sim_app *app, struct hf_tcp *tcp)
{
	uint64_t wait = sim_rand(app->sim, 2) * (1 + sim_rand(app->sim, 200000));

	if (!sim_chance(app->sim, app->fickle) || app->read_us == SIM_NEVER)
		return;
	hf_tcp_deadline_set(tcp, app->conn, wait);
	app->deadline_us = wait ? app->sim->now_us + wait : 0;
}

static void app_pump(struct sim_app *app)
{
	struct hf_tcp *tcp = sim_host_tcp(app->sim->host[app->end]);

	if (app->conn && app->opened)
		app_read(app, tcp);
	if (app->sim->failed || !app->conn || !app->opened)
		return;
	app_idle(app, tcp);
	app_write(app, tcp);
	if (app->sim->failed)
		return;
	app_dither(app, tcp);
	app_close(app, tcp);
}

/* False: it is an old one once more. A cookie is good for a while, so that its first segment, sent again
 * or doubled on the way, opens what was closed (RFC 4987 §3.6). */
static bool app_open(struct sim_app *app, struct hf_tcp_conn *conn)
{
	if ((app->opened || app->closed) && sim_cookies_sent(app->sim)) {
		app->flow->excuse = "opened twice by a cookie";
		hf_tcp_abort(sim_host_tcp(app->sim->host[app->end]), conn);
		return false;
	}
	if (app->opened || app->closed) {
		sim_fail(app->sim, "flow %u end %u: opened twice", app->flow->index, app->end);
		return false;
	}
	sim_say(app->sim, "flow %u end %u open", app->flow->index, app->end);
	app->opened = true;
	app->conn = conn;
	hf_tcp_user_set(conn, app);
	return true;
}

static void app_told(struct sim_app *app, uint32_t what)
{
	struct sim *sim = app->sim;

	if (what & HF_TCP_EV_DEADLINE) {
		if (app->deadline_us == 0 || sim->now_us < app->deadline_us)
			sim_fail(sim, "a deadline too early: %lu", (unsigned long)app->deadline_us);
		app->deadline_us = 0;
	}
	if (what & HF_TCP_EV_ACKED && hf_tcp_queued(app->conn) > 0)
		sim_fail(sim, "all acknowledged, but %u bytes", hf_tcp_queued(app->conn));
	if (what & HF_TCP_EV_WRITABLE) {
		app->notify_at = UINT32_MAX;
		app->blocked = false;
	}
	if (what & HF_TCP_EV_FIN) {
		if (app->fin_seen)
			sim_fail(sim, "FIN told twice");
		app->fin_seen = true;
	}
}

void sim_app_event(struct sim_app *app, const struct hf_tcp_event *event)
{
	if (event->what & HF_TCP_EV_CLOSED) {
		if (event->what != HF_TCP_EV_CLOSED || event->conn != app->conn)
			return sim_fail(app->sim, "CLOSED with %x", event->what);
		app_gone(app);
		app->lost = true;
		sim_lost(app->sim, app->flow, "connection lost");
		return;
	}
	if ((event->what & HF_TCP_EV_OPEN) && !app_open(app, event->conn))
		return;
	if (app->sim->failed || event->conn != app->conn || !app->opened)
		return sim_fail(app->sim, "an event of a connection that is not ours");
	app_told(app, event->what);
	if (!app->sim->failed)
		app_pump(app);
}

static void app_connect(struct sim_app *app)
{
	struct sim_host *host = app->sim->host[app->end];
	struct hf_ip local, peer;
	struct hf_path path;
	int err;

	app->open_us = SIM_NEVER;
	sim_ip(app->flow, app->end, &local);
	sim_ip(app->flow, 1 - app->end, &peer);
	sim_host_path(host, &path);
	err = hf_tcp_connect(sim_host_tcp(host), &local, app->flow->port[app->end], &peer,
		app->flow->port[1 - app->end], &path, &app->conn);
	if (err == -ENOSPC) {
		app->lost = true;
		app->conn = NULL;
		app->flow->excuse = "no room to connect";
	} else if (err) {
		sim_fail(app->sim, "connect: %d", err);
	} else {
		hf_tcp_user_set(app->conn, app);
	}
}

void sim_app_tick(struct sim_app *app)
{
	uint64_t now = app->sim->now_us;

	if (app->open_us <= now)
		return app_connect(app);
	if (!app->conn)
		return;
	if (app->write_us <= now)
		app->write_us = SIM_NEVER;
	if (app->read_us <= now)
		app->read_us = SIM_NEVER;
	if (app->plan == APP_GIVE_UP && app->opened && !app->gave_up && app->give_up_us <= now) {
		app->gave_up = true;
		app->flow->len[app->end] = app->sent;
	}
	app_pump(app);
}
