/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client against a server in the same process: two stacks of lib/tcp, a wire of memcpy, a clock that
 * the tests turn.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "load.h"

#define RIG_STEP_NS 100000
#define RIG_SENT    (64 << 20)
#define RIG_SEGS    4096

enum rig_fault { RIGHT, WRONG_BYTE, WRONG_LENGTH, WRONG_STATUS, NO_HTTP, SILENT, CUTS, REFUSES };

struct rig {
	struct load_opts opts;
	struct hf_tcp *client_tcp, *server_tcp;
	struct load_client *client;
	enum rig_fault fault;
	uint64_t now_ns, stall_from_ns,
		stall_until_ns; /* what comes then waits at the server's door */
	uint32_t asked, most_in_segment;
	char *sent; /* all that the server says; lib/tcp reads it until it is acknowledged */
	uint32_t sent_len;
	struct hf_tcp_seg seg[RIG_SEGS];
	uint32_t seg_count;
	uint8_t bytes[RIG_SEGS][1600];
};

static void rig_init(struct rig *rig)
{
	static const struct hf_ip net = { .b = { [10] = 0xff, 0xff, 192, 0, 2, 0 } };
	struct hf_conf_port *port = &rig->opts.conf.port[0];

	rig->opts = (struct load_opts){ .conf = { .workers = 1, .port_count = 1 },
		.target = net,
		.target_port = 80,
		.host = "x",
		.keys = 20,
		.zipf = 0.99,
		.sizes = { 2, { 64, 5000 }, { 1ULL << 31, 1ULL << 32 } },
		.connections = 4,
		.pipeline = 1,
		.duration_s = 1,
		.timeout_s = 0.5,
		.fill = true,
		.verify = 1,
		.seed = 1 };
	rig->opts.target.b[15] = 10;
	memcpy(port->address[0].ip, net.b, 16);
	port->address[0].ip[15] = 1;
	port->address_count = 1;
	rig->now_ns = 1000000000;
}

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->sent = malloc(RIG_SENT);
	rig_init(rig);
	return rig;
}

static void rig_answer(struct rig *rig, struct hf_tcp_conn *conn, const char *path_at)
{
	char path[sizeof(LOAD_PATH)] = "", *head = rig->sent + rig->sent_len;
	uint32_t key, size, len;

	memcpy(path, path_at, sizeof(path) - 1);
	cr_assert(load_path_read(path, &key, &size));
	cr_assert_eq(size, load_size_of(&rig->opts.sizes, key));
	rig->asked++;
	if (rig->fault == SILENT)
		return;
	if (rig->fault == WRONG_LENGTH)
		size++;
	len = (uint32_t)sprintf(head, "HTTP/%s %s\r\nContent-Length: %u\r\n\r\n",
		rig->fault == NO_HTTP ? "2" : "1.1",
		rig->fault == WRONG_STATUS ? "503 Later" : "200 OK", size);
	load_body_fill(key, 0, head + len, size);
	if (rig->fault == WRONG_BYTE)
		head[len + size / 2] ^= 1;
	len += size;
	rig->sent_len += len;
	cr_assert(rig->sent_len < RIG_SENT - 8192);
	cr_assert_eq(hf_tcp_send(rig->server_tcp, conn, head, len, NULL, false), 0);
}

/* Requests are never cut: they fit one segment. */
static bool rig_serve(struct rig *rig, struct hf_tcp_conn *conn)
{
	struct hf_span span;
	uint32_t count = 0;

	while (hf_tcp_peek(rig->server_tcp, conn, &span, 1) == 1) {
		const char *at = span.ptr, *end = span.ptr + span.len;

		if (rig->fault == CUTS) {
			hf_tcp_abort(rig->server_tcp, conn);
			return false;
		}
		for (; at < end; count++) {
			cr_assert_eq(memcmp(at, "GET ", 4), 0);
			rig_answer(rig, conn, at + 4);
			at = (const char *)memmem(at, (size_t)(end - at), "\r\n\r\n", 4) + 4;
		}
		hf_tcp_consume(rig->server_tcp, conn, (uint32_t)span.len);
	}
	rig->most_in_segment = hf_max_u32(rig->most_in_segment, count);
	return true;
}

static void rig_server_events(struct rig *rig)
{
	struct hf_tcp_event event;

	while (hf_tcp_next_event(rig->server_tcp, &event)) {
		if (event.what & HF_TCP_EV_CLOSED)
			continue;
		if ((event.what & HF_TCP_EV_DATA) && !rig_serve(rig, event.conn))
			continue;
		if (event.what & HF_TCP_EV_FIN)
			hf_tcp_close(rig->server_tcp, event.conn);
	}
}

/* What a stack sends, as segments. */
static void rig_carry(struct rig *rig, struct hf_tcp *tcp)
{
	const struct hf_tcp_emit *emits;
	uint32_t count;

	hf_tcp_flush(tcp, rig->now_ns / 1000);
	count = hf_tcp_emits(tcp, &emits);
	for (uint32_t i = 0; i < count; i++) {
		const struct hf_tcp_emit *emit = &emits[i];
		struct hf_tcp_seg *seg = &rig->seg[rig->seg_count];
		uint8_t *to = rig->bytes[rig->seg_count++];

		cr_assert(rig->seg_count < RIG_SEGS);
		*seg = (struct hf_tcp_seg){ .src = emit->src,
			.dst = emit->dst,
			.sport = emit->sport,
			.dport = emit->dport,
			.seq = emit->seq,
			.ack = emit->ack,
			.wnd = emit->wnd,
			.flags = emit->flags,
			.ecn = emit->ecn,
			.opt_len = emit->opt_len,
			.opt = to,
			.payload = to + emit->opt_len,
			.payload_len = emit->len,
			.path = { .mac = { 2 }, .mtu = 1500 } };
		memcpy(to, emit->opt, emit->opt_len);
		to += emit->opt_len;
		for (uint32_t k = 0; k < emit->piece_count; k++) {
			memcpy(to, emit->piece[k].data, emit->piece[k].len);
			to += emit->piece[k].len;
		}
	}
	hf_tcp_emits_done(tcp);
}

static void rig_to_server(struct rig *rig)
{
	if (rig->now_ns >= rig->stall_from_ns && rig->now_ns < rig->stall_until_ns)
		return;
	for (uint32_t i = 0; i < rig->seg_count; i++) {
		(void)hf_tcp_input(rig->server_tcp, &rig->seg[i], rig->now_ns / 1000);
		rig_server_events(rig);
		hf_tcp_input_end(rig->server_tcp);
	}
	rig->seg_count = 0;
	hf_tcp_tick(rig->server_tcp, rig->now_ns / 1000);
	rig_server_events(rig);
	rig_carry(rig, rig->server_tcp);
}

/* Until the client is done. */
static const struct load_result *rig_run(struct rig *rig)
{
	static const struct hf_path path = { .mac = { 2 }, .mtu = 1500 };
	struct hf_tcp_cfg cfg;
	bool on = true;

	hf_stat_register("test");
	hf_tcp_cfg_default(&cfg);
	cfg.msl_ms = 1;
	cr_assert_eq(hf_tcp_new(&cfg, rig->now_ns / 1000, &rig->client_tcp), 0);
	cr_assert_eq(hf_tcp_new(&cfg, rig->now_ns / 1000, &rig->server_tcp), 0);
	if (rig->fault != REFUSES)
		cr_assert_eq(hf_tcp_listen(rig->server_tcp, 80), 0);
	cr_assert_eq(load_client_new(&rig->opts, rig->client_tcp, &rig->client), 0);
	load_client_path_set(rig->client, &path);
	for (uint32_t turns = 0; on; turns++) {
		bool stalled =
			rig->now_ns >= rig->stall_from_ns && rig->now_ns < rig->stall_until_ns;

		cr_assert(turns < 200000, "it never ends");
		rig->now_ns += RIG_STEP_NS;
		if (!stalled) {
			load_client_segments(rig->client, rig->seg, rig->seg_count, rig->now_ns);
			rig->seg_count = 0;
		}
		on = load_client_turn(rig->client, rig->now_ns);
		rig_carry(rig, rig->client_tcp);
		rig_to_server(rig);
	}
	hf_tcp_check(rig->client_tcp);
	return load_client_result(rig->client);
}

static void rig_free(struct rig *rig)
{
	cr_assert_eq(hf_tcp_conn_count(rig->client_tcp), 0, "connections left");
	load_client_free(rig->client);
	hf_tcp_free(rig->client_tcp);
	hf_tcp_free(rig->server_tcp);
	free(rig->sent);
	free(rig);
}

/* The median answer. */
static bool took_turns(const struct load_result *result, uint32_t turns)
{
	uint64_t ns = hf_hist_quantile(&result->latency, 0.5), exactly = turns * RIG_STEP_NS;

	return ns > exactly - exactly / 50 && ns < exactly + exactly / 50;
}

Test(load_client, closed_loop_counts_and_verifies_every_answer)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.requests = 500;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(result->requests == 520 && result->responses == 520 && result->verified == 520);
	cr_assert(result->connections == 4 && rig->asked == 520 && rig->most_in_segment == 1);
	cr_assert(result->latency.count == 500 && result->window_responses == 500);
	cr_assert(took_turns(result, 1));
	rig_free(rig);
}

Test(load_client, time_ends_the_window_and_what_is_on_its_way_is_waited_for)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.duration_s = 0.1;
	rig->opts.warmup_s = 0.05;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(result->requests == result->responses && result->requests == rig->asked);
	cr_assert_eq(result->window_ns, 100000000);
	cr_assert(result->window_responses < result->responses - 20); /* filling, warm-up */
	cr_assert(result->latency.count > 3000 && result->latency.count <= 4010);
	rig_free(rig);
}

Test(load_client, a_pipeline_goes_out_as_one)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.requests = 640;
	rig->opts.pipeline = 16;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(result->responses == 660 && rig->most_in_segment == 16);
	rig_free(rig);
}

Test(load_client, a_connection_a_request_and_its_handshake_counts)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.requests = 100;
	rig->opts.requests_per_connection = 1;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert_eq(result->responses, 120);
	cr_assert(result->connections >= 120 && result->connections <= 124, "%lu",
		result->connections);
	cr_assert(took_turns(result, 2));
	rig_free(rig);
}

Test(load_client, a_connection_is_used_as_often_as_it_may)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.requests = 100;
	rig->opts.requests_per_connection = 5;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(
		result->connections >= 24 && result->connections <= 28, "%lu", result->connections);
	rig_free(rig);
}

Test(load_client, open_loop_leaves_nothing_out_while_the_server_stands_still)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.rate = 1000;
	rig->opts.duration_s = 1;
	rig->stall_from_ns = rig->now_ns + 300000000;
	rig->stall_until_ns = rig->stall_from_ns + 200000000;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert_eq(result->latency.count, 1000);
	/* Of 1000, the 200 that were due in those 200 ms waited 100 in the mean, though only four
	 * connections could wait: evenly up to 200 ms. */
	cr_assert_leq(hf_hist_quantile(&result->latency, 0.78), 5000000);
	cr_assert_geq(hf_hist_quantile(&result->latency, 0.85), 40000000);
	cr_assert_geq(hf_hist_quantile(&result->latency, 0.95), 140000000);
	cr_assert_geq(result->latency.max, 199000000);
	rig_free(rig);
}

Test(load_client, what_could_not_be_sent_in_time_is_told)
{
	struct rig *rig = rig_new();
	const struct load_result *result;

	rig->opts.rate = 200000; /* four connections do 20000 */
	rig->opts.duration_s = 0.1;
	rig->opts.timeout_s = 0.2;
	result = rig_run(rig);
	/* Those on their way when patience ended have timed out. */
	cr_assert_eq(result->latency.count + result->unsent + result->timeout, 20000);
	cr_assert_eq(load_result_errors(result), result->unsent + result->timeout);
	cr_assert(result->unsent > 1000 && result->timeout <= 4);
	rig_free(rig);
}

/* Every request fails, each is counted once, and under its name. */
static void fails(enum rig_fault fault, size_t offset, const char *name)
{
	struct rig *rig = rig_new();
	const struct load_result *result;
	uint64_t count;

	rig->fault = fault;
	rig->opts.timeout_s = 0.1;
	rig->opts.warmup_s = 0;
	rig->opts.duration_s = 0.05;
	result = rig_run(rig);
	memcpy(&count, (const char *)result + offset, sizeof(count));
	cr_assert(count > 0 && count == load_result_errors(result), "%s", name);
	cr_assert(result->responses == 0 && result->latency.count == 0, "%s", name);
	cr_assert(fault == REFUSES || count == result->requests, "%s: %lu of %lu", name, count,
		result->requests);
	rig_free(rig);
}

#define FAILS(name, fault, field)                                                                  \
	Test(load_client, name)                                                                    \
	{                                                                                          \
		fails(fault, offsetof(struct load_result, field), #field);                         \
	}

FAILS(a_wrong_byte_is_found, WRONG_BYTE, bad_body)
FAILS(a_wrong_length_is_found, WRONG_LENGTH, bad_body)
FAILS(a_status_other_than_200_is_an_error, WRONG_STATUS, bad_status)
FAILS(what_is_no_http_is_an_error, NO_HTTP, bad_head)
FAILS(silence_is_an_error, SILENT, timeout)
FAILS(a_reset_is_an_error, CUTS, cut)
FAILS(a_closed_port_is_an_error, REFUSES, connect_failed)
