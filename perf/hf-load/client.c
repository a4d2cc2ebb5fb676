/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections, the requests on them, and what comes back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define CLIENT_PORT_FIRST 1024
#define CLIENT_OPEN_TURN  64 /* new connections a turn */
#define CLIENT_PORT_TRIES 64
#define CLIENT_SPANS      8

/* All requests are of one length, so that those of one connection lie one behind the other. */
static uint32_t client_template(const struct load_opts *opts, char ret_text[LOAD_REQUEST_MAX])
{
	int len = snprintf(ret_text, LOAD_REQUEST_MAX,
		"GET " LOAD_PATH " HTTP/1.1\r\nHost: %s\r\n%s\r\n", opts->host,
		opts->requests_per_connection == 1 ? "Connection: close\r\n" : "");

	HF_ASSERT(len > 0 && len < LOAD_REQUEST_MAX);
	return (uint32_t)len;
}

static int client_tables(struct load_client *client)
{
	const struct load_opts *opts = client->opts;
	size_t slots = (size_t)opts->connections * opts->pipeline;
	char text[LOAD_REQUEST_MAX];

	client->request_len = client_template(opts, text);
	client->conn = calloc(opts->connections, sizeof(*client->conn));
	client->slots = calloc(slots, sizeof(*client->slots));
	client->texts = malloc(slots * client->request_len);
	if (!client->conn || !client->slots || !client->texts)
		return -ENOMEM;
	for (size_t i = 0; i < slots; i++)
		memcpy(client->texts + i * client->request_len, text, client->request_len);
	for (uint32_t i = 0; i < opts->connections; i++) {
		struct client_conn *conn = &client->conn[i];

		conn->resp.shape = &client->shape;
		conn->slot = client->slots + (size_t)i * opts->pipeline;
		conn->text = client->texts + (size_t)i * opts->pipeline * client->request_len;
		hf_list_add_tail(&client->closed, &conn->link);
	}
	return load_zipf_new(opts->keys, opts->zipf, &client->zipf);
}

int load_client_new(
	const struct load_opts *opts, struct hf_tcp *tcp, struct load_client **ret_client)
{
	struct load_client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->opts = opts;
	client->tcp = tcp;
	client->random = opts->seed;
	client->random_ahead = load_random(&client->random);
	/* Not where another run has left connections in TIME_WAIT at the other end. */
	hf_random_fill(&client->next_port, sizeof(client->next_port));
	client->next_port =
		CLIENT_PORT_FIRST + client->next_port % (UINT16_MAX - CLIENT_PORT_FIRST);
	client->verify_in = opts->verify;
	client->begin_ns = client->end_ns = client->pace.begin_ns = UINT64_MAX;
	hf_list_init(&client->closed);
	hf_list_init(&client->room);
	if (client_tables(client) < 0) {
		load_client_free(client);
		return -ENOMEM;
	}
	*ret_client = client;
	return 0;
}

void load_client_free(struct load_client *client)
{
	if (!client)
		return;
	load_zipf_free(client->zipf);
	free(client->conn);
	free(client->slots);
	free(client->texts);
	if (client->lean)
		free(client->lean->by_port);
	free(client->lean);
	free(client);
}

void load_client_path_set(struct load_client *client, const struct hf_path *path)
{
	client->path = *path;
	client->has_path = true;
}

const struct load_result *load_client_result(const struct load_client *client)
{
	return &client->result;
}

/* The next one's place in the table is on its way to the cache while this one's request is made. */
static uint32_t client_key(struct load_client *client)
{
	uint64_t random = client->random_ahead;

	client->random_ahead = load_random(&client->random);
	load_zipf_prefetch(client->zipf, client->random_ahead);
	return load_zipf_sample(client->zipf, random);
}

/* Is there a request to be sent now? Since when is it due. */
static bool client_next(struct load_client *client, const struct client_conn *conn,
	uint32_t *ret_key, uint64_t *ret_due)
{
	const struct load_opts *opts = client->opts;

	*ret_due = client->now_ns;
	if (client->phase == FILLING) {
		if (client->fill_next == opts->keys)
			return false;
		*ret_key = client->fill_next++;
		return true;
	}
	if (client->phase < WARMING || client->phase > DRAINING)
		return false;
	if (opts->rate > 0) {
		*ret_due = load_pace_due_ns(&client->pace);
		if (*ret_due > client->now_ns || *ret_due >= client->end_ns)
			return false;
		client->pace.count++;
	} else if (client->phase == DRAINING) {
		return false;
	} else if (opts->requests_per_connection == 1) {
		*ret_due = conn->opened_ns; /* the handshake is part of it */
	}
	*ret_key = client_key(client);
	if (*ret_due >= client->begin_ns && ++client->window_requests == opts->requests) {
		client->end_ns = *ret_due + 1;
		client_phase_set(client, DRAINING);
	}
	return true;
}

void client_request(const struct client_slot *slot, char *text)
{
	char *path = text + 4; /* behind "GET " */

	load_digits(path + LOAD_KEY_AT, LOAD_KEY_DIGITS, slot->key);
	load_digits(path + LOAD_SIZE_AT, LOAD_SIZE_DIGITS, slot->size);
}

static void client_put(
	struct load_client *client, struct client_conn *conn, uint32_t key, uint64_t due_ns)
{
	uint32_t at = client_at(client, conn, conn->count);
	struct client_slot *slot = &conn->slot[at];

	slot->due_ns = due_ns;
	slot->sent_ns = client->now_ns;
	slot->key = key;
	slot->size = load_size_of(&client->opts->sizes, key);
	slot->verify = client->opts->verify > 0 && --client->verify_in == 0;
	if (slot->verify)
		client->verify_in = client->opts->verify;
	conn->count++;
	conn->taken++;
	client->on_the_way++;
	client->result.requests++;
}

static void client_lost(struct load_client *client, struct client_conn *conn, uint64_t *counter)
{
	*counter += conn->count;
	client->on_the_way -= conn->count;
	conn->count = 0;
}

/* No longer ours to TCP. */
static void client_gone(struct load_client *client, struct client_conn *conn)
{
	conn->used = conn->open = false;
	hf_list_del(&conn->link);
	hf_list_add_tail(&client->closed, &conn->link);
}

void client_fail(struct load_client *client, struct client_conn *conn, uint64_t *counter)
{
	client_lost(client, conn, counter);
	if (client->lean)
		lean_abort(client, conn);
	else
		hf_tcp_abort(client->tcp, conn->tcp);
	client_gone(client, conn);
}

void client_close(struct load_client *client, struct client_conn *conn)
{
	if (client->lean)
		lean_close(client, conn);
	else
		hf_tcp_close(client->tcp, conn->tcp);
	client_gone(client, conn);
}

uint32_t client_unfinished(const struct load_client *client)
{
	return client->lean ? client->lean->closing : hf_tcp_conn_count(client->tcp);
}

static uint32_t client_room(const struct load_client *client, const struct client_conn *conn)
{
	const struct load_opts *opts = client->opts;
	uint32_t room = opts->pipeline - conn->count;

	if (conn->count > 0 && (opts->rate == 0 || client->phase == FILLING))
		return 0;
	if (opts->requests_per_connection > 0)
		room = hf_min_u32(room, opts->requests_per_connection - conn->taken);
	return room;
}

/* A slot's bytes change only when its answer has come, and with it the request's ACK: TCP is done with
 * them. */
static bool client_send_text(
	struct load_client *client, struct client_conn *conn, uint32_t first, uint32_t n)
{
	uint32_t len = client->request_len;
	char *text = conn->text + (size_t)first * len;

	for (uint32_t i = 0; i < n; i++)
		client_request(&conn->slot[first + i], text + (size_t)i * len);
	return hf_tcp_send(client->tcp, conn->tcp, text, n * len, NULL, /* zero_copy= */ false) ==
	       0;
}

static bool client_send(
	struct load_client *client, struct client_conn *conn, uint32_t first, uint32_t n)
{
	uint32_t run = hf_min_u32(n, client->opts->pipeline - first);

	if (client->lean) {
		lean_ask(client, conn, n);
		return true;
	}
	return client_send_text(client, conn, first, run) &&
	       (run == n || client_send_text(client, conn, 0, n - run));
}

/* Sends what is to be sent and this connection can take; if it could take more it waits in `room`. */
static void client_feed(struct load_client *client, struct client_conn *conn)
{
	uint32_t first, room = client_room(client, conn), n = 0, key;
	uint64_t due_ns;

	if (conn->count == 0)
		conn->head = 0;
	first = client_at(client, conn, conn->count);
	while (n < room && client_next(client, conn, &key, &due_ns)) {
		client_put(client, conn, key, due_ns);
		n++;
	}
	hf_list_del(&conn->link);
	if (n > 0 && !client_send(client, conn, first, n)) {
		client_fail(client, conn, &client->result.cut);
		return;
	}
	if (client_room(client, conn) > 0)
		hf_list_add_tail(&client->room, &conn->link);
}

static void client_answered(struct load_client *client, struct client_conn *conn)
{
	const struct client_slot *slot = &conn->slot[conn->head];
	struct load_result *result = &client->result;
	struct hf_hist_view *latency = &result->latency;
	uint64_t took_ns = client->now_ns - slot->due_ns;

	result->responses++;
	result->verified += slot->verify;
	client->last_ns = client->now_ns;
	if (slot->due_ns >= client->begin_ns) {
		latency->bucket[hf_hist_bucket(took_ns)]++;
		latency->count++;
		latency->sum += took_ns;
		latency->max = hf_max_u64(latency->max, took_ns);
		if (client->now_ns < client->until_ns) {
			result->window_responses++;
			result->window_bytes += slot->size;
		}
	}
	conn->head = client_at(client, conn, 1);
	conn->count--;
	client->on_the_way--;
}

/* What came of the response whose turn it is; NULL: right so far. */
static uint64_t *client_judge(struct load_client *client, const struct client_conn *conn, int used)
{
	const struct load_resp *resp = &conn->resp;
	const struct client_slot *slot = &conn->slot[conn->head];
	uint64_t offset;

	if (used < 0 || conn->count == 0)
		return &client->result.bad_head;
	if (!resp->in_body && !resp->whole)
		return NULL; /* part of a head */
	if (resp->status != 200)
		return &client->result.bad_status;
	if (client->opts->verify > 0 && resp->length != slot->size)
		return &client->result.bad_body;
	offset = resp->length - resp->left - resp->body_len;
	if (slot->verify && !load_body_is(slot->key, offset, resp->body, resp->body_len))
		return &client->result.bad_body;
	return NULL;
}

bool client_bytes(struct load_client *client, struct client_conn *conn, struct hf_span span)
{
	const uint8_t *at = (const uint8_t *)span.ptr;

	while (span.len > 0) {
		int used = load_resp_feed(&conn->resp, at, (uint32_t)span.len);
		uint64_t *wrong = client_judge(client, conn, used);

		if (wrong) {
			(*wrong)++;
			if (conn->count > 0) { /* it is told as what it is, the others as cut */
				conn->count--;
				client->on_the_way--;
			}
			client_fail(client, conn, &client->result.cut);
			return false;
		}
		client->result.response_bytes += (uint64_t)used;
		if (conn->resp.whole)
			client_answered(client, conn);
		at += used;
		span.len -= (size_t)used;
	}
	return true;
}

static bool client_read(struct load_client *client, struct client_conn *conn)
{
	struct hf_span spans[CLIENT_SPANS];
	uint32_t n;

	while ((n = hf_tcp_peek(client->tcp, conn->tcp, spans, CLIENT_SPANS)) > 0) {
		uint32_t total = 0;

		for (uint32_t i = 0; i < n; i++) {
			total += (uint32_t)spans[i].len;
			if (!client_bytes(client, conn, spans[i]))
				return false;
		}
		hf_tcp_consume(client->tcp, conn->tcp, total);
	}
	return true;
}

static bool client_is_spent(const struct load_client *client, const struct client_conn *conn)
{
	uint32_t most = client->opts->requests_per_connection;

	return most > 0 && conn->taken == most && conn->count == 0;
}

void client_opened(struct load_client *client, struct client_conn *conn)
{
	conn->open = true;
	client->result.connections++;
}

void client_closed(struct load_client *client, struct client_conn *conn)
{
	if (!conn->open)
		client->result.connect_failed++;
	client_lost(client, conn, &client->result.cut);
	client_gone(client, conn);
}

void client_heard(struct load_client *client, struct client_conn *conn, bool fin)
{
	if (fin && conn->count > 0)
		client_fail(client, conn, &client->result.cut);
	else if (fin || client_is_spent(client, conn))
		client_close(client, conn);
	else
		client_feed(client, conn);
}

static void client_event(struct load_client *client, const struct hf_tcp_event *event)
{
	struct client_conn *conn = event->user;

	if (event->what & HF_TCP_EV_CLOSED) {
		client_closed(client, conn);
		return;
	}
	if (event->what & HF_TCP_EV_OPEN)
		client_opened(client, conn);
	if ((event->what & HF_TCP_EV_DATA) && !client_read(client, conn))
		return;
	if (conn->open)
		client_heard(client, conn, event->what & HF_TCP_EV_FIN);
}

void client_events(struct load_client *client)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(client->tcp, &event))
		client_event(client, &event);
}

void load_client_segments(
	struct load_client *client, const struct hf_tcp_seg *segs, uint32_t count, uint64_t now_ns)
{
	client->now_ns = now_ns;
	if (count > 0)
		client->heard_ns = now_ns;
	for (uint32_t i = 0; i < count; i++) {
		(void)hf_tcp_input(
			client->tcp, &segs[i], now_ns / 1000); /* it counts what it drops */
		client_events(client);
		hf_tcp_input_end(client->tcp);
	}
}

/* The next port of the next address; those in use are passed over. */
static bool client_connect(struct load_client *client, struct client_conn *conn)
{
	const struct hf_conf_port *port = &client->opts->conf.port[0];
	bool is4 = hf_ip_is4(&client->opts->target);

	for (uint32_t i = 0; i < CLIENT_PORT_TRIES; i++) {
		uint32_t address = client->next_address;
		uint16_t local_port = (uint16_t)client->next_port;
		struct hf_ip local;
		int rc;

		memcpy(local.b, port->address[address].ip, 16);
		if (++client->next_address == port->address_count) {
			client->next_address = 0;
			client->next_port = client->next_port == UINT16_MAX ? CLIENT_PORT_FIRST
									    : client->next_port + 1;
		}
		if (hf_ip_is4(&local) != is4)
			continue;
		if (client->lean)
			rc = lean_connect(client, conn, address, local_port);
		else
			rc = hf_tcp_connect(client->tcp, &local, local_port, &client->opts->target,
				client->opts->target_port, &client->path, &conn->tcp);
		if (rc == 0)
			return true;
		if (rc == -ENOSPC)
			return false;
	}
	return false;
}

void client_elsewhere(struct load_client *client, struct client_conn *conn)
{
	if (!client_connect(client, conn))
		client_closed(client, conn);
}

void client_open(struct load_client *client)
{
	bool wanted =
		client->phase < DRAINING || (client->phase == DRAINING && client->opts->rate > 0);

	for (uint32_t i = 0; client->has_path && wanted && i < CLIENT_OPEN_TURN; i++) {
		struct hf_list *first = hf_list_first(&client->closed);
		struct client_conn *conn;

		if (!first)
			return;
		conn = HF_CONTAINER_OF(first, struct client_conn, link);
		if (!client_connect(client, conn))
			return;
		hf_list_del(first);
		if (!client->lean)
			hf_tcp_user_set(conn->tcp, conn);
		conn->used = true;
		conn->opened_ns = client->now_ns;
		conn->taken = 0;
		conn->resp.in_body = false;
		conn->resp.head_len = 0;
	}
}

void client_feed_waiting(struct load_client *client)
{
	struct hf_list *link = hf_list_first(&client->room);

	while (link) {
		struct client_conn *conn = HF_CONTAINER_OF(link, struct client_conn, link);
		uint64_t before = client->result.requests;

		client_feed(client, conn);
		if (client->result.requests == before)
			return; /* nothing is to be sent */
		link = hf_list_first(&client->room);
	}
}
