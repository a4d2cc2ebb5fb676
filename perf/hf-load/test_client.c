/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The client against a server in the same process: two stacks of lib/tcp, a wire of memcpy, a clock that
 * the tests turn. For the client's own TCP, lean.c, segments are made to frames, and frames to segments.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "client.h"
#include "hf_stat.h"

#define RIG_STEP_NS 100000
#define RIG_SENT    (64 << 20)
#define RIG_SEGS    4096
#define RIG_FRAMES  2048

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
	struct rig_lean {
		bool is, spoil, stale;       /* spoil: what is lost comes, but is wrong */
		uint32_t lose_in, frames;    /* one of so many, either way; 0: none */
		uint32_t swap_in, turns;     /* in one of so many turns pairs change places */
		uint32_t window, first_port; /* the server's; 0: the usual one, any */
		uint32_t cut;  /* bytes in a frame's first buffer, if it has payload; 0: all */
		bool no_scale; /* somebody takes window scale out of SYNs */
		uint32_t spoiled, most_at_once, came, went; /* frames */
		struct load_wire wire;
		struct rte_mbuf mbuf[LOAD_BURST];
		uint8_t bytes[LOAD_BURST][1600], in[RIG_FRAMES][1600];
		struct rte_mbuf come[LOAD_BURST],
			rest[LOAD_BURST]; /* to the client, behind the cut */
		uint8_t come_bytes[LOAD_BURST][1600];
	} lean;
};

static void lean_init(struct rig *rig);

static void rig_init(struct rig *rig)
{
	static const struct hf_ip net = { .b = { 0x20, 0x01, 0x0d, 0xb8 } };
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

static struct rig *rig_new(bool lean)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->sent = malloc(RIG_SENT);
	rig_init(rig); /* IPv6: over lib/tcp */
	if (lean)
		lean_init(rig);
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

/* One of `lose_in` frames does not arrive. */
static bool lean_is_lost(struct rig *rig)
{
	return rig->lean.lose_in > 0 && ++rig->lean.frames % rig->lean.lose_in == 0;
}

/* NOPs instead of it. */
static void lean_scale_remove(uint8_t *opt, uint32_t len)
{
	for (uint32_t at = 0; at + 3 <= len; at += opt[at] == 1 ? 1 : opt[at + 1]) {
		if (opt[at] == 3)
			memset(opt + at, 1, 3);
	}
}

/* What the client sends, as segments. */
static void lean_wire_turn(struct load_wire *wire)
{
	struct rig *rig = HF_CONTAINER_OF(wire, struct rig, lean.wire);

	for (uint32_t i = 0; i < wire->filled; i++) {
		struct frame *frame = rte_pktmbuf_mtod(wire->frame[i], struct frame *);
		struct hf_tcp_seg *seg = &rig->seg[rig->seg_count];
		uint32_t len, off = frame_tcp_off(wire->frame[i], &len);

		cr_assert(off > 0 && rig->seg_count + 1 < RIG_SEGS);
		cr_assert_eq(hf_pkt_sum(0, &frame->ip, sizeof(frame->ip)), 0xffff);
		cr_assert_eq(hf_pkt_sum(hf_pkt_sum_pseudo4(frame->ip.src, frame->ip.dst,
						HF_PKT_PROTO_TCP, (uint16_t)len),
				     &frame->tcp, len),
			0xffff);
		rig->lean.went++;
		if (lean_is_lost(rig))
			continue;
		if (rig->lean.no_scale && frame->tcp.flags & HF_TCP_SYN)
			lean_scale_remove(frame->opt, off - (uint32_t)sizeof(frame->tcp));
		*seg = (struct hf_tcp_seg){ .src = rig->opts.target,
			.dst = rig->opts.target,
			.sport = __builtin_bswap16(frame->tcp.sport_be),
			.dport = __builtin_bswap16(frame->tcp.dport_be),
			.seq = __builtin_bswap32(frame->tcp.seq_be),
			.ack = __builtin_bswap32(frame->tcp.ack_be),
			.wnd = __builtin_bswap16(frame->tcp.wnd_be),
			.flags = frame->tcp.flags,
			.opt_len = (uint8_t)(off - sizeof(frame->tcp)),
			.opt = rig->bytes[rig->seg_count],
			.payload = rig->bytes[rig->seg_count] + off - sizeof(frame->tcp),
			.payload_len = len - off,
			.path = { .mac = { 2 }, .mtu = 1500 } };
		memcpy(seg->src.b + 12, frame->ip.src, 4);
		memcpy(rig->bytes[rig->seg_count++], frame->opt, len - sizeof(frame->tcp));
	}
	wire->filled = 0;
}

/* A segment of the server's, as the I-th frame of a burst. False: it is lost. */
static bool lean_frame(struct rig *rig, const struct hf_tcp_seg *seg, uint32_t i)
{
	struct rte_mbuf *mbuf = &rig->lean.come[i], *rest = &rig->lean.rest[i];
	struct frame *frame = (struct frame *)rig->lean.come_bytes[i];
	uint16_t sum = hf_pkt_sum(0, seg->payload, seg->payload_len);
	uint32_t len = (uint32_t)FRAME_HEAD + seg->opt_len + seg->payload_len;
	bool cut = rig->lean.cut > 0 && seg->payload_len > 0;
	uint32_t first = cut ? hf_min_u32(rig->lean.cut, len) : len;
	bool lost = lean_is_lost(rig);

	if (lost && !rig->lean.spoil)
		return false;
	*frame = (struct frame){ .eth = { .src = { 2 }, .type_be = __builtin_bswap16(0x0800) },
		.ip = { .version_ihl = 0x45, .proto = HF_PKT_PROTO_TCP },
		.tcp = { .sport_be = __builtin_bswap16(seg->sport),
			.dport_be = __builtin_bswap16(seg->dport),
			.seq_be = __builtin_bswap32(seg->seq),
			.ack_be = __builtin_bswap32(seg->ack),
			.wnd_be = __builtin_bswap16(seg->wnd),
			.flags = seg->flags } };
	memcpy(frame->ip.src, seg->src.b + 12, 4);
	memcpy(frame->ip.dst, seg->dst.b + 12, 4);
	memcpy(frame->opt, seg->opt, seg->opt_len);
	memcpy(frame->opt + seg->opt_len, seg->payload, seg->payload_len);
	frame_finish(frame, seg->opt_len, seg->payload_len, sum);
	rig->lean.spoiled += lost;
	if (lost)
		frame->tcp.csum ^= 0x400;
	*rest = (struct rte_mbuf){ .buf_addr = frame,
		.data_off = (uint16_t)first,
		.data_len = (uint16_t)(len - first),
		.nb_segs = 1 };
	*mbuf = (struct rte_mbuf){ .buf_addr = frame,
		.data_len = (uint16_t)first,
		.pkt_len = len,
		.nb_segs = first < len ? 2 : 1,
		.next = first < len ? rest : NULL };
	return true;
}

static void lean_burst(struct rig *rig, uint32_t count)
{
	struct rte_mbuf *burst[LOAD_BURST];

	for (uint32_t i = 0; i < count; i++)
		burst[i] = &rig->lean.come[i];
	rig->lean.came += count;
	load_client_frames(rig->client, burst, count, rig->now_ns);
}

static void lean_to_client(struct rig *rig)
{
	struct hf_tcp_seg segs[RIG_FRAMES];
	uint32_t count = rig->seg_count, n = 0;
	bool swap = rig->lean.swap_in > 0 && ++rig->lean.turns % rig->lean.swap_in == 0;

	/* rig->seg is for the answers to them. */
	cr_assert(count <= RIG_FRAMES);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *bytes = rig->lean.in[i];

		segs[i] = rig->seg[i];
		memcpy(bytes, rig->bytes[i], sizeof(rig->bytes[i]));
		segs[i].opt = bytes;
		segs[i].payload = bytes + segs[i].opt_len;
	}
	rig->seg_count = 0;
	rig->lean.most_at_once = hf_max_u32(rig->lean.most_at_once, count);
	for (uint32_t i = 0; i < count; i++) {
		n += lean_frame(rig, &segs[swap && (i ^ 1) < count ? i ^ 1 : i], n);
		if (n == LOAD_BURST) {
			lean_burst(rig, n);
			n = 0;
		}
	}
	lean_burst(rig, n);
}

static void lean_init(struct rig *rig)
{
	static const uint8_t target[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	uint8_t *own = rig->opts.conf.port[0].address[0].ip;
	struct load_wire *wire = &rig->lean.wire;

	rig->lean.is = true;
	memcpy(rig->opts.target.b, target, 16);
	memcpy(own, target, 16);
	own[15] = 1;
	for (uint32_t i = 0; i < LOAD_BURST; i++)
		rig->lean.mbuf[i] =
			(struct rte_mbuf){ .buf_addr = rig->lean.bytes[i], .nb_segs = 1 };
	for (uint32_t i = 0; i < LOAD_BURST; i++)
		wire->frame[i] = &rig->lean.mbuf[i];
	wire->count = LOAD_BURST;
	wire->turn = lean_wire_turn;
}

static void lean_stale_segment(struct rig *rig, struct hf_tcp_seg *seg, uint8_t flags)
{
	seg->flags = flags;
	cr_assert_eq(hf_tcp_input(rig->server_tcp, seg, rig->now_ns / 1000), HF_DROP_NONE);
	rig_server_events(rig);
	hf_tcp_input_end(rig->server_tcp);
	rig_carry(rig, rig->server_tcp);
	seg->seq++;
	seg->ack = rig->seg[0].seq + 1;
	rig->seg_count = 0;
}

/* To the server there is a connection from the first port: its client has vanished. */
static void lean_leave_stale(struct rig *rig)
{
	struct hf_tcp_seg seg = { .dst = rig->opts.target,
		.sport = (uint16_t)rig->lean.first_port,
		.dport = 80,
		.seq = 5,
		.wnd = 1000,
		.path = { .mac = { 2 }, .mtu = 1500 } };

	memcpy(seg.src.b, rig->opts.conf.port[0].address[0].ip, 16);
	lean_stale_segment(rig, &seg, HF_TCP_SYN);
	lean_stale_segment(rig, &seg, HF_TCP_ACK);
	cr_assert_eq(hf_tcp_conn_count(rig->server_tcp), 1);
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
	cfg.emits_max = RIG_FRAMES;
	cr_assert_eq(hf_tcp_new(&cfg, rig->now_ns / 1000, &rig->client_tcp), 0);
	if (rig->lean.window > 0)
		cfg.rcv_wnd_init = cfg.rcv_wnd_max = rig->lean.window;
	cr_assert_eq(hf_tcp_new(&cfg, rig->now_ns / 1000, &rig->server_tcp), 0);
	if (rig->fault != REFUSES)
		cr_assert_eq(hf_tcp_listen(rig->server_tcp, 80), 0);
	if (rig->lean.stale)
		lean_leave_stale(rig);
	cr_assert_eq(load_client_new(&rig->opts, rig->client_tcp, &rig->client), 0);
	cr_assert_eq(load_is_lean(&rig->opts), rig->lean.is);
	if (rig->lean.is)
		cr_assert_eq(load_client_lean(rig->client, &rig->lean.wire, path.mac), 0);
	if (rig->lean.first_port > 0)
		rig->client->next_port = rig->lean.first_port;
	load_client_path_set(rig->client, &path);
	for (uint32_t turns = 0; on; turns++) {
		bool stalled =
			rig->now_ns >= rig->stall_from_ns && rig->now_ns < rig->stall_until_ns;

		cr_assert(turns < 200000, "it never ends");
		rig->now_ns += RIG_STEP_NS;
		if (!stalled && rig->lean.is) {
			lean_to_client(rig);
		} else if (!stalled) {
			load_client_segments(rig->client, rig->seg, rig->seg_count, rig->now_ns);
			rig->seg_count = 0;
		}
		on = load_client_turn(rig->client, rig->now_ns);
		if (rig->lean.is)
			lean_wire_turn(&rig->lean.wire);
		else
			rig_carry(rig, rig->client_tcp);
		rig_to_server(rig);
	}
	hf_tcp_check(rig->client_tcp);
	return load_client_result(rig->client);
}

static void rig_free(struct rig *rig)
{
	cr_assert_eq(client_unfinished(rig->client), 0, "connections left");
	if (rig->lean.is)
		cr_assert_eq(hf_tcp_conn_count(rig->server_tcp), 0, "connections left there");
	load_client_free(rig->client);
	hf_tcp_free(rig->client_tcp);
	hf_tcp_free(rig->server_tcp);
	free(rig->sent);
	free(rig);
}

/* A test of the client over lib/tcp, and over its own TCP. */
#define BOTH(name)                                                                                 \
	static void name(struct rig *rig);                                                         \
	Test(load_client, name)                                                                    \
	{                                                                                          \
		name(rig_new(/* lean= */ false));                                                  \
	}                                                                                          \
	Test(load_lean, name)                                                                      \
	{                                                                                          \
		name(rig_new(/* lean= */ true));                                                   \
	}                                                                                          \
	static void name(struct rig *rig)

/* The median answer. */
static bool took_turns(const struct load_result *result, uint32_t turns)
{
	uint64_t ns = hf_hist_quantile(&result->latency, 0.5), exactly = turns * RIG_STEP_NS;

	return ns > exactly - exactly / 50 && ns < exactly + exactly / 50;
}

BOTH(closed_loop_counts_and_verifies_every_answer)
{
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

BOTH(time_ends_the_window_and_what_is_on_its_way_is_waited_for)
{
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

BOTH(a_pipeline_goes_out_as_one)
{
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
	struct rig *rig = rig_new(/* lean= */ false);
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
	struct rig *rig = rig_new(/* lean= */ false);
	const struct load_result *result;

	rig->opts.requests = 100;
	rig->opts.requests_per_connection = 5;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(
		result->connections >= 24 && result->connections <= 28, "%lu", result->connections);
	rig_free(rig);
}

BOTH(open_loop_leaves_nothing_out_while_the_server_stands_still)
{
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

BOTH(what_could_not_be_sent_in_time_is_told)
{
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
static void fails(struct rig *rig, enum rig_fault fault, size_t offset, const char *name)
{
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
	BOTH(name)                                                                                 \
	{                                                                                          \
		fails(rig, fault, offsetof(struct load_result, field), #field);                    \
	}

FAILS(a_wrong_byte_is_found, WRONG_BYTE, bad_body)
FAILS(a_wrong_length_is_found, WRONG_LENGTH, bad_body)
FAILS(a_status_other_than_200_is_an_error, WRONG_STATUS, bad_status)
FAILS(what_is_no_http_is_an_error, NO_HTTP, bad_head)
FAILS(silence_is_an_error, SILENT, timeout)
FAILS(a_reset_is_an_error, CUTS, cut)
FAILS(a_closed_port_is_an_error, REFUSES, connect_failed)

/* ---- the client's own TCP ---- */

static uint64_t retransmits(void)
{
	return hf_stat_sum(HF_STAT_TCP_RETRANSMITS);
}

static void all_is_answered(struct rig *rig, uint32_t pipeline, bool again)
{
	const struct load_result *result;

	rig->opts.requests = 2000;
	rig->opts.pipeline = pipeline;
	rig->opts.timeout_s = 10;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert(result->responses == 2020 && result->verified == 2020);
	cr_assert_eq(retransmits() > 0, again, "%lu", retransmits());
	rig_free(rig);
}

Test(load_lean, what_is_lost_either_way_is_sent_again)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.lose_in = 101;
	all_is_answered(rig, 1, /* again= */ true);
}

Test(load_lean, what_is_lost_of_a_pipeline_is_sent_again)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.lose_in = 53;
	all_is_answered(rig, 40, /* again= */ true);
}

Test(load_lean, a_wrong_checksum_is_as_good_as_a_loss)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.lose_in = 97;
	rig->lean.spoil = true;
	all_is_answered(rig, 1, /* again= */ true);
	cr_assert_gt(hf_drop_sum(HF_DROP_TCP_BAD_CHECKSUM), 0);
}

Test(load_lean, segments_out_of_order_are_dropped_and_come_again)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->opts.connections = 1;
	rig->lean.swap_in = 10;
	all_is_answered(rig, 16, /* again= */ true);
	cr_assert_gt(hf_drop_sum(HF_DROP_TCP_OUT_OF_WINDOW), 0);
}

Test(load_lean, nothing_is_sent_again_without_need_and_acks_are_in_time)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->opts.rate = 50;
	rig->opts.duration_s = 2;
	cr_assert_eq(load_result_errors(rig_run(rig)), 0);
	cr_assert_eq(retransmits(), 0);
	rig_free(rig);
}

Test(load_lean, sequence_numbers_wrap)
{
	struct rig *rig = rig_new(/* lean= */ true);
	const uint32_t port = 2000, first = 0u - 3000;

	rig->opts.connections = 1;
	rig->lean.first_port = port;
	/* As lean_connect has it: 4 us a number, and a hash of the port. */
	rig->now_ns = ((1ULL << 40) + (first - (uint32_t)load_mix(port))) * 4000;
	all_is_answered(rig, 1, /* again= */ false);
}

Test(load_lean, a_port_in_use_at_the_other_end_is_freed_there_and_passed_over)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->opts.connections = 1;
	rig->lean.first_port = 2000;
	rig->lean.stale = true;
	all_is_answered(rig, 1, /* again= */ false);
}

Test(load_lean, the_peers_window_is_respected)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.window = 600; /* of a request's 57 bytes: ten */
	rig->opts.connections = 1;
	all_is_answered(rig, 64, /* again= */ false);
}

static void each_is_answered(struct rig *rig, uint32_t requests, bool again)
{
	const struct load_result *result;
	uint64_t all = requests + rig->opts.keys;

	rig->opts.requests = requests;
	rig->opts.timeout_s = 10;
	result = rig_run(rig);
	cr_assert_eq(load_result_errors(result), 0);
	cr_assert_eq(result->responses, all);
	cr_assert_eq(result->verified, rig->opts.verify > 0 ? all : 0);
	cr_assert_eq(retransmits() > 0, again, "%lu", retransmits());
}

/* Of 3 to 1 000 000 bytes. */
static void large_is_answered(struct rig *rig, bool again)
{
	rig->opts.sizes = (struct load_sizes){ 4, { 3, 16384, 131072, 1000000 },
		{ 1ULL << 29, 2ULL << 30, 7ULL << 29, 1ULL << 32 } };
	each_is_answered(rig, 200, again);
}

Test(load_lean, large_objects_come_whole_and_a_burst_is_acknowledged_once)
{
	struct rig *rig = rig_new(/* lean= */ true);

	large_is_answered(rig, /* again= */ false);
	cr_assert_eq(hf_drop_sum(HF_DROP_TCP_OUT_OF_WINDOW), 0);
	/* requests and handshakes too */
	cr_assert_lt(rig->lean.went, rig->lean.came / LOAD_BURST * 3 / 2 + 230, "%u of %u",
		rig->lean.went, rig->lean.came);
	rig_free(rig);
}

Test(load_lean, windows_are_what_fits_in_the_ring_together)
{
	struct rig *rig = rig_new(/* lean= */ true);

	/* So many and so long that the windows are full at the same time. */
	rig->opts.sizes = (struct load_sizes){ 1, { 1000000 }, { 1ULL << 32 } };
	rig->opts.connections = rig->opts.keys = 16;
	each_is_answered(rig, 32, /* again= */ false);
	/* An answer's last segment need not be a whole one. */
	cr_assert_leq(rig->lean.most_at_once, LEAN_FLIGHT + rig->opts.connections);
	cr_assert_gt(rig->lean.most_at_once, LEAN_FLIGHT * 3 / 4, "%u", rig->lean.most_at_once);
	cr_assert_gt(rig->client->conn[0].lean.wnd, UINT16_MAX);
	rig_free(rig);
	for (uint32_t connections = 1; connections <= 100000; connections *= 10) {
		struct load_client *client;

		rig = rig_new(/* lean= */ true);
		rig->opts.connections = connections;
		cr_assert_eq(load_client_new(&rig->opts, NULL, &client), 0);
		cr_assert_eq(load_client_lean(client, &rig->lean.wire, (uint8_t[6]){ 2 }), 0);
		cr_assert_geq(client->lean->window, 4 * FRAME_MSS);
		cr_assert(connections > 256 ||
			  client->lean->window * connections <= LEAN_FLIGHT * FRAME_MSS);
		cr_assert_leq(client->lean->window >> client->lean->wnd_shift, UINT16_MAX);
		load_client_free(client);
		free(rig->sent);
		free(rig);
	}
}

Test(load_lean, without_window_scale_windows_are_of_16_bits)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.no_scale = true;
	large_is_answered(rig, /* again= */ false);
	cr_assert_leq(rig->lean.most_at_once, 4 * (UINT16_MAX / FRAME_MSS + 1));
	cr_assert_gt(rig->lean.most_at_once, 3 * (UINT16_MAX / FRAME_MSS));
	cr_assert_leq(rig->client->conn[0].lean.wnd, UINT16_MAX);
	rig_free(rig);
}

Test(load_lean, what_is_lost_of_large_objects_is_sent_again)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.lose_in = 499;
	large_is_answered(rig, /* again= */ true);
	rig_free(rig);
}

Test(load_lean, large_objects_out_of_order_come_again)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.swap_in = 100;
	large_is_answered(rig, /* again= */ true);
	cr_assert_gt(hf_drop_sum(HF_DROP_TCP_OUT_OF_WINDOW), 0);
	rig_free(rig);
}

Test(load_lean, of_a_body_that_is_verified_each_checksum_is_looked_at)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.lose_in = 499;
	rig->lean.spoil = true;
	large_is_answered(rig, /* again= */ true);
	cr_assert_gt(rig->lean.spoiled, 20, "%u", rig->lean.spoiled);
	/* What goes the other way may be lost, but not be spoiled. */
	cr_assert_eq(hf_drop_sum(HF_DROP_TCP_BAD_CHECKSUM), rig->lean.spoiled);
	rig_free(rig);
}

Test(load_lean, wrong_checksums_are_noticed_in_bodies_that_nobody_verifies)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->opts.verify = 0;
	rig->lean.lose_in = 101;
	rig->lean.spoil = true;
	large_is_answered(rig, /* again= */ true);
	cr_assert_geq(hf_drop_sum(HF_DROP_TCP_BAD_CHECKSUM), rig->lean.spoiled / 40);
	rig_free(rig);
}

static void frames_in_two_buffers(uint32_t cut)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.cut = cut;
	large_is_answered(rig, /* again= */ false);
	cr_assert_eq(hf_drop_sum(HF_DROP_TCP_BAD_CHECKSUM), 0);
	rig_free(rig);
}

Test(load_lean, a_frame_in_two_buffers_is_one_segment)
{
	frames_in_two_buffers(FRAME_HEAD + FRAME_TS_LEN);
}

Test(load_lean, a_frame_in_two_buffers_may_be_cut_at_an_odd_byte)
{
	frames_in_two_buffers(201);
}

Test(load_lean, headers_in_two_buffers_are_refused)
{
	struct rig *rig = rig_new(/* lean= */ true);

	rig->lean.cut = FRAME_HEAD + FRAME_TS_LEN - 1;
	fails(rig, RIGHT, offsetof(struct load_result, timeout), "timeout");
	cr_assert_gt(hf_drop_sum(HF_DROP_ETH_TYPE), 0);
}

Test(load_lean, an_arp_request_for_us_is_answered_and_no_other)
{
	static const struct hf_path path = { .mac = { 2 }, .mtu = 1500 };
	struct rig *rig = rig_new(/* lean= */ true);
	struct rte_mbuf *mbuf = &rig->lean.come[0];
	struct hf_pkt_eth *eth = (struct hf_pkt_eth *)rig->lean.come_bytes[0];
	struct hf_pkt_arp *arp = (struct hf_pkt_arp *)(eth + 1), *reply;

	hf_stat_register("test");
	cr_assert_eq(load_client_new(&rig->opts, NULL, &rig->client), 0);
	cr_assert_eq(load_client_lean(rig->client, &rig->lean.wire, path.mac), 0);
	*mbuf = (struct rte_mbuf){ .buf_addr = eth, .nb_segs = 1 };
	eth->type_be = __builtin_bswap16(HF_PKT_TYPE_ARP);
	arp->op_be = __builtin_bswap16(HF_PKT_ARP_REQUEST);
	memcpy(arp->spa, rig->opts.target.b + 12, 4);
	memcpy(arp->tpa, rig->opts.target.b + 12, 3);
	mbuf->data_len = sizeof(*eth) + sizeof(*arp);
	for (uint8_t last = 1; last <= 2; last++) {
		arp->tpa[3] = last;
		load_client_frames(rig->client, &mbuf, 1, rig->now_ns);
		cr_assert_eq(rig->lean.wire.filled, 1);
	}
	reply = rte_pktmbuf_mtod_offset(rig->lean.wire.frame[0], struct hf_pkt_arp *, 14);
	cr_assert(reply->op_be == __builtin_bswap16(HF_PKT_ARP_REPLY) && reply->spa[3] == 1);
	cr_assert_arr_eq(reply->sha, path.mac, 6);
	mbuf->data_len--;
	load_client_frames(rig->client, &mbuf, 1, rig->now_ns);
	cr_assert_eq(rig->lean.wire.filled, 1);
	load_client_free(rig->client);
	free(rig->sent);
	free(rig);
}
