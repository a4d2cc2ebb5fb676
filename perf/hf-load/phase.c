/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The order of a run: what ends a phase, and what then begins.
 */
#include "client.h"

#define PHASE_SWEEP_NS 50000000
#define PHASE_CLOSE_NS 500000000
#define PHASE_QUIET_NS 100000000 /* the other end reads our last ACKs, or repeats its FIN */

static uint64_t phase_ns(double seconds)
{
	return (uint64_t)(seconds * 1e9);
}

void client_phase_set(struct load_client *client, enum client_phase phase)
{
	client->phase = phase;
	client->phase_ns = client->now_ns;
}

/* Now and then: whose answer is overdue. */
static void phase_sweep(struct load_client *client)
{
	uint64_t timeout_ns = phase_ns(client->opts->timeout_s);

	if (client->now_ns < client->sweep_ns)
		return;
	client->sweep_ns = client->now_ns + PHASE_SWEEP_NS;
	for (uint32_t i = 0; i < client->opts->connections; i++) {
		struct client_conn *conn = &client->conn[i];

		if (conn->count > 0 && client->now_ns - conn->slot[conn->head].sent_ns > timeout_ns)
			client_fail(client, conn, &client->result.timeout);
		if (client->lean)
			lean_overdue(client, conn);
	}
}

static void phase_begin_window(struct load_client *client)
{
	client->begin_ns = client->now_ns;
	client->until_ns = UINT64_MAX;
	if (client->opts->requests == 0)
		client->end_ns = client->until_ns =
			client->begin_ns + phase_ns(client->opts->duration_s);
}

static void phase_end_window(struct load_client *client)
{
	uint64_t until_ns = hf_min_u64(client->until_ns, client->now_ns);

	if (client->opts->requests > 0)
		until_ns = client->last_ns;
	client->result.window_ns = until_ns > client->begin_ns ? until_ns - client->begin_ns : 0;
}

static void phase_begin_closing(struct load_client *client)
{
	for (uint32_t i = 0; i < client->opts->connections; i++) {
		struct client_conn *conn = &client->conn[i];

		if (!conn->used)
			continue;
		if (conn->count > 0)
			client_fail(client, conn, &client->result.timeout);
		else
			client_close(client, conn);
	}
}

/* How many were due and not sent. */
static uint64_t phase_backlog(const struct load_client *client)
{
	if (client->opts->rate == 0 || client->begin_ns == UINT64_MAX)
		return 0;
	return load_pace_left(&client->pace, client->end_ns);
}

static void phase_drain(struct load_client *client, bool late)
{
	uint64_t backlog = phase_backlog(client);

	if (!late && (client->on_the_way > 0 || (backlog > 0 && !client->stopping)))
		return;
	client->result.unsent = client->stopping ? 0 : backlog;
	phase_end_window(client);
	phase_begin_closing(client);
	client_phase_set(client, CLOSING);
}

static void phase_opened(struct load_client *client, bool late)
{
	const struct load_opts *opts = client->opts;

	if (client->result.connections < opts->connections && !late)
		return;
	if (client->result.connections < opts->connections) {
		client->result.connect_failed = opts->connections - client->result.connections;
		client_phase_set(client, DRAINING);
		return;
	}
	client_phase_set(client, opts->fill ? FILLING : WARMING);
}

/* What ends the phase, and what then begins. */
static void phase_walk(struct load_client *client)
{
	const struct load_opts *opts = client->opts;
	uint64_t since_ns = client->now_ns - client->phase_ns;
	bool late = since_ns > phase_ns(opts->timeout_s);

	switch (client->phase) {
	case OPENING:
		phase_opened(client, late);
		break;
	case FILLING:
		if (client->fill_next < opts->keys || client->on_the_way > 0)
			return;
		client->result.fill_ns = since_ns;
		client_phase_set(client, WARMING);
		break;
	case WARMING:
		if (since_ns < phase_ns(opts->warmup_s))
			return;
		phase_begin_window(client);
		client_phase_set(client, MEASURING);
		break;
	case MEASURING:
		if (client->now_ns >= client->end_ns)
			client_phase_set(client, DRAINING);
		break;
	case DRAINING:
		phase_drain(client, late);
		break;
	case CLOSING:
		if (client_unfinished(client) > 0 && since_ns < PHASE_CLOSE_NS)
			return;
		if (client->now_ns - client->heard_ns > PHASE_QUIET_NS)
			client_phase_set(client, DONE);
		break;
	case DONE:
		break;
	}
	if (client->phase == WARMING && client->pace.begin_ns == UINT64_MAX) {
		client->pace.begin_ns = client->now_ns;
		client->pace.interval_ns = opts->rate > 0 ? 1e9 / opts->rate : 0;
	}
}

bool load_client_turn(struct load_client *client, uint64_t now_ns)
{
	enum client_phase before;

	client->now_ns = now_ns;
	if (client->phase_ns == 0)
		client->phase_ns = now_ns;
	if (client->lean) {
		lean_tick(client);
	} else {
		hf_tcp_tick(client->tcp, now_ns / 1000);
		client_events(client);
	}
	do {
		before = client->phase;
		phase_walk(client);
	} while (client->phase != before); /* a phase may be over as it begins */
	client_open(client);
	client_feed_waiting(client);
	phase_sweep(client);
	return client->phase != DONE;
}

void load_client_stop(struct load_client *client, uint64_t now_ns)
{
	client->now_ns = now_ns;
	client->stopping = true;
	client->end_ns = client->until_ns = hf_min_u64(client->end_ns, now_ns);
	if (client->phase < DRAINING)
		client_phase_set(client, DRAINING);
}
