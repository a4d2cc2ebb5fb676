/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Connections, what is said on them, and what is said again.
 */
#include <errno.h>
#include <stdlib.h>

#include "client.h"
#include "hf_stat.h"

#define LEAN_RTO_NS     200000000
#define LEAN_SYN_RTO_NS 1000000000 /* RFC 6298 §2.1: nothing is known of the way yet */
#define LEAN_TRIES_MAX  6          /* doublings */
#define LEAN_ACK_NS     20000000
#define LEAN_ISN_NS     4000 /* RFC 9293 §3.4.1 */
#define LEAN_WND_MIN    (4 * FRAME_MSS)

bool load_is_lean(const struct load_opts *opts)
{
	return hf_ip_is4(&opts->target) && opts->requests_per_connection == 0;
}

/* A fair share of what may be on the way; shifted so that 16 bits hold it, RFC 7323 §2. */
static void lean_window_set(struct lean *lean, uint32_t connections)
{
	lean->window = hf_max_u32(LEAN_FLIGHT * FRAME_MSS / connections, LEAN_WND_MIN);
	while (lean->window >> lean->wnd_shift > UINT16_MAX)
		lean->wnd_shift++;
	lean->window &= ~0u << lean->wnd_shift;
}

static uint16_t lean_wnd_be(const struct lean *lean, uint8_t shift)
{
	return __builtin_bswap16((uint16_t)hf_min_u32(lean->window >> shift, UINT16_MAX));
}

int load_client_lean(struct load_client *client, struct load_wire *wire, const uint8_t mac[6])
{
	const struct load_opts *opts = client->opts;
	struct lean *lean = calloc(1, sizeof(*lean));

	HF_ASSERT(!client->lean && load_is_lean(opts));
	client->lean = lean;
	if (!lean)
		return -ENOMEM;
	lean->by_port =
		calloc((size_t)opts->conf.port[0].address_count << 16, sizeof(*lean->by_port));
	if (!lean->by_port)
		return -ENOMEM;
	lean->wire = wire;
	lean->sum_in = LEAN_SUM_EVERY;
	lean_window_set(lean, opts->connections);
	hf_list_init(&lean->owes);
	hf_list_init(&lean->owes_now);
	for (uint32_t i = 0; i < opts->connections; i++)
		hf_list_init(&client->conn[i].lean.owes);
	memcpy(lean->text, client->texts, client->request_len);
	memcpy(lean->head.eth.src, mac, 6);
	lean->head.eth.type_be = __builtin_bswap16(HF_PKT_TYPE_IP4);
	lean->head.ip = (struct hf_pkt_ip4){ .version_ihl = 0x45,
		.frag_be = __builtin_bswap16(HF_PKT_IP4_DF),
		.ttl = 64,
		.proto = HF_PKT_PROTO_TCP };
	memcpy(lean->head.ip.dst, opts->target.b + 12, 4);
	lean->head.tcp.dport_be = __builtin_bswap16(opts->target_port);
	return 0;
}

struct rte_mbuf *lean_take(struct lean *lean)
{
	struct load_wire *wire = lean->wire;

	if (wire->filled == wire->count)
		wire->turn(wire);
	if (wire->filled == wire->count) {
		(void)hf_drop(HF_DROP_NO_MBUF);
		return NULL;
	}
	return wire->frame[wire->filled];
}

void lean_give(struct lean *lean, struct rte_mbuf *mbuf, uint32_t len)
{
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	lean->wire->filled++;
}

uint32_t lean_opt_len(const struct lean_conn *conn)
{
	return conn->has_ts ? FRAME_TS_LEN : 0;
}

const uint8_t *lean_address(const struct load_client *client, uint32_t address)
{
	return client->opts->conf.port[0].address[address].ip + 12;
}

/* A segment whose payload is at its place; the options are the usual ones. */
static void lean_put(struct load_client *client, struct lean_conn *conn, struct rte_mbuf *mbuf,
	uint8_t flags, uint32_t seq, uint32_t len)
{
	struct frame *frame = rte_pktmbuf_mtod(mbuf, struct frame *);
	uint32_t opt_len = lean_opt_len(conn);

	memcpy(frame, &client->lean->head, FRAME_HEAD);
	memcpy(frame->ip.src, lean_address(client, conn->address), 4);
	frame->tcp.sport_be = __builtin_bswap16(conn->port);
	frame->tcp.seq_be = __builtin_bswap32(seq);
	frame->tcp.ack_be = __builtin_bswap32(conn->rcv_nxt);
	frame->tcp.wnd_be = conn->wnd_be;
	frame->tcp.flags = flags;
	if (conn->has_ts)
		frame_time_put(frame->opt, (uint32_t)(client->now_ns / 1000000), conn->ts_recent);
	frame_finish(frame, opt_len, len, hf_pkt_sum(0, frame->opt + opt_len, len));
	lean_give(client->lean, mbuf, (uint32_t)FRAME_HEAD + opt_len + len);
	conn->rcv_acked = conn->rcv_nxt;
	if (!hf_list_empty(&conn->owes))
		hf_list_del(&conn->owes);
}

static void lean_say(
	struct load_client *client, struct lean_conn *conn, uint8_t flags, uint32_t seq)
{
	struct rte_mbuf *mbuf = lean_take(client->lean);

	if (mbuf)
		lean_put(client, conn, mbuf, flags, seq, 0);
}

void lean_ack(struct load_client *client, struct lean_conn *conn)
{
	lean_say(client, conn, HF_TCP_ACK, conn->nxt);
}

void lean_gone(struct lean_conn *conn)
{
	conn->state = LEAN_CLOSED;
	hf_list_del(&conn->owes);
}

void lean_scale(const struct lean *lean, struct lean_conn *conn, bool scales, uint8_t theirs)
{
	conn->wnd_shift = scales ? theirs : 0;
	conn->wnd_be = lean_wnd_be(lean, scales ? lean->wnd_shift : 0);
}

void lean_resend_later(const struct load_client *client, struct lean_conn *conn)
{
	uint64_t rto_ns = conn->state == LEAN_SYN_SENT ? LEAN_SYN_RTO_NS : LEAN_RTO_NS;

	conn->resend_ns = client->now_ns + (rto_ns << conn->tries);
}

static void lean_syn(struct load_client *client, struct lean_conn *conn)
{
	const uint32_t mss = client->path.mtu - 40u;
	const uint8_t shift = client->lean->wnd_shift;
	const uint8_t opt[8] = { 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 1, 3, 3, shift };
	struct rte_mbuf *mbuf = lean_take(client->lean);
	struct frame *frame;

	lean_resend_later(client, conn);
	if (!mbuf)
		return;
	frame = rte_pktmbuf_mtod(mbuf, struct frame *);
	memcpy(frame->opt + FRAME_TS_LEN, opt, sizeof(opt));
	lean_put(client, conn, mbuf, HF_TCP_SYN, conn->una, sizeof(opt));
	/* What was put as payload are options. */
	frame->tcp.ack_be = 0;
	frame_finish(frame, FRAME_TS_LEN + sizeof(opt), 0, 0);
}

uint32_t *lean_by_port(const struct load_client *client, uint32_t address, uint16_t port)
{
	return &client->lean->by_port[address << 16 | port];
}

int lean_connect(
	struct load_client *client, struct client_conn *conn, uint32_t address, uint16_t port)
{
	const uint32_t index = (uint32_t)(conn - client->conn);
	uint32_t *by = lean_by_port(client, address, port);
	struct lean_conn *lean = &conn->lean;

	HF_ASSERT(lean->state != LEAN_SYN_SENT && lean->state != LEAN_OPEN);
	if (*by > 0 && client->conn[*by - 1].lean.state != LEAN_CLOSED)
		return -EADDRINUSE;
	client->lean->closing -= lean->state == LEAN_FIN_SENT;
	if (*lean_by_port(client, lean->address, lean->port) == index + 1)
		*lean_by_port(client, lean->address, lean->port) = 0;
	*by = index + 1;
	hf_list_del(&lean->owes);
	*lean = (struct lean_conn){ .state = LEAN_SYN_SENT,
		.address = address,
		.port = port,
		.una = (uint32_t)(client->now_ns / LEAN_ISN_NS) +
		       (uint32_t)load_mix((uint64_t)address << 16 | port),
		.wnd_be = lean_wnd_be(client->lean, 0), /* RFC 7323 §2.2: a SYN's is not scaled */
		.has_ts = true };
	hf_list_init(&lean->owes);
	lean->nxt = lean->end = lean->una + 1;
	memcpy(client->lean->head.eth.dst, client->path.mac, 6);
	lean_syn(client, lean);
	return 0;
}

/* COUNT requests, from the AT-th unanswered one on, in one segment. */
static bool lean_request(
	struct load_client *client, struct client_conn *conn, uint32_t at, uint32_t count)
{
	struct lean *lean = client->lean;
	struct rte_mbuf *mbuf = lean_take(lean);
	uint32_t len = client->request_len;
	char *text;

	if (!mbuf)
		return false;
	text = rte_pktmbuf_mtod_offset(mbuf, char *, FRAME_HEAD + lean_opt_len(&conn->lean));
	for (uint32_t i = 0; i < count; i++, text += len) {
		memcpy(text, lean->text, len);
		client_request(&conn->slot[client_at(client, conn, at + i)], text);
	}
	lean_put(client, &conn->lean, mbuf, HF_TCP_ACK | HF_TCP_PSH, conn->lean.nxt, count * len);
	conn->lean.nxt += count * len;
	conn->lean.unsent -= count;
	return true;
}

/* One segment; what the window forbids only if nothing else is on the way, now and then. */
static bool lean_push_one(struct load_client *client, struct client_conn *conn, bool probe)
{
	const struct lean_conn *lean = &conn->lean;
	uint32_t len = client->request_len, flight = lean->nxt - lean->una;
	uint32_t room = lean->wnd > flight ? lean->wnd - flight : 0;
	uint32_t n = hf_min_u32(lean->unsent, lean->most);

	if (hf_unlikely(n * len > room))
		n = hf_max_u32(room / len, probe);
	/* Who answers what it does not acknowledge gets nothing more, until the answer is overdue. */
	return n > 0 && lean->unsent <= conn->count &&
	       lean_request(client, conn, conn->count - lean->unsent, n);
}

void lean_push(struct load_client *client, struct client_conn *conn)
{
	if (conn->lean.una == conn->lean.nxt)
		lean_resend_later(client, &conn->lean);
	while (conn->lean.unsent > 0 && lean_push_one(client, conn, /* probe= */ false))
		;
}

void lean_ask(struct load_client *client, struct client_conn *conn, uint32_t n)
{
	conn->lean.unsent += n;
	conn->lean.end += n * client->request_len;
	lean_push(client, conn);
}

void lean_close(struct load_client *client, struct client_conn *conn)
{
	struct lean_conn *lean = &conn->lean;

	if (lean->state != LEAN_OPEN) {
		lean_gone(lean);
		return;
	}
	lean->state = LEAN_FIN_SENT;
	client->lean->closing++;
	lean_say(client, lean, HF_TCP_FIN | HF_TCP_ACK, lean->end);
	lean->nxt = ++lean->end;
	lean_resend_later(client, lean);
}

void lean_abort(struct load_client *client, struct client_conn *conn)
{
	struct lean_conn *lean = &conn->lean;

	if (lean->state == LEAN_OPEN)
		lean_say(client, lean, HF_TCP_RST | HF_TCP_ACK, lean->nxt);
	lean_gone(lean);
}

static void lean_say_again(struct load_client *client, struct client_conn *conn)
{
	struct lean_conn *lean = &conn->lean;
	uint32_t len = client->request_len;

	hf_stat_inc(HF_STAT_TCP_RETRANSMITS);
	lean->tries = (uint8_t)hf_min_u32(lean->tries + 1u, LEAN_TRIES_MAX);
	lean_resend_later(client, lean);
	if (lean->state == LEAN_SYN_SENT) {
		lean_syn(client, lean);
	} else if (lean->state == LEAN_FIN_SENT) {
		lean_say(client, lean, HF_TCP_FIN | HF_TCP_ACK, lean->end - 1);
	} else { /* from the request on in which the unacknowledged byte is */
		uint32_t again = (lean->end - lean->una + len - 1) / len;

		lean->unsent = hf_min_u32(again, conn->count);
		lean->nxt = lean->end - lean->unsent * len;
		(void)lean_push_one(client, conn, /* probe= */ true);
	}
}

void lean_overdue(struct load_client *client, struct client_conn *conn)
{
	struct lean_conn *lean = &conn->lean;
	double waited_ns = (double)(client->now_ns - conn->opened_ns);

	if (lean->state == LEAN_CLOSED || lean->una == lean->end ||
		client->now_ns < lean->resend_ns)
		return;
	if (lean->state == LEAN_SYN_SENT && waited_ns > client->opts->timeout_s * 1e9) {
		lean_gone(lean);
		client_closed(client, conn);
		return;
	}
	lean_say_again(client, conn);
}

void lean_ack_now(struct load_client *client)
{
	struct hf_list *link;

	while ((link = hf_list_first(&client->lean->owes_now)) != NULL) {
		hf_list_del(link); /* also if there is no frame for it */
		lean_ack(client, HF_CONTAINER_OF(link, struct lean_conn, owes));
	}
}

void lean_tick(struct load_client *client)
{
	struct hf_list *link;

	while ((link = hf_list_first(&client->lean->owes)) != NULL) {
		struct lean_conn *conn = HF_CONTAINER_OF(link, struct lean_conn, owes);

		if (client->now_ns - conn->owes_ns < LEAN_ACK_NS)
			return;
		hf_list_del(link); /* also if there is no frame for it */
		lean_ack(client, conn);
	}
}
