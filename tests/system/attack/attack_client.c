/* SPDX-License-Identifier: BSD-3-Clause */
#include "attack_client.h"

#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_FIRST  1024
#define AGAIN_MS    400 /* unanswered for so long, it is sent again */
#define SCAN_US     50000
#define TURN_US     1000
#define BATCHES_MAX 8 /* received in one turn */

static uint32_t now_ms(void)
{
	return (uint32_t)(now_us() / 1000);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

void client_new(struct atk_client *client, struct atk *atk, const struct atk_how *how)
{
	uint32_t each;

	*client = (struct atk_client){
		.atk = atk,
		.how = how,
		.count = atk->count ? (uint32_t)atk->count : 1,
		.smallest = UINT32_MAX,
	};
	if (client->count / atk->sources >= UINT16_MAX - PORT_FIRST)
		errx(2, "%u sources are too few for %u connections", atk->sources, client->count);
	client->conns = calloc(client->count, sizeof(*client->conns));
	if (!client->conns)
		errx(1, "no memory");
	each = (uint32_t)snprintf(client->request, sizeof(client->request),
		"GET %s HTTP/1.1\r\nHost: a\r\n\r\n", atk->path);
	if (each >= sizeof(client->request))
		errx(2, "path too long");
	client->request_len = each;
	for (uint32_t i = 1;
		i < atk->requests && client->request_len + each < sizeof(client->request); i++) {
		memcpy(client->request + client->request_len, client->request, each);
		client->request_len += each;
	}
}

void client_free(struct atk_client *client)
{
	free(client->conns);
}

struct atk_seg client_seg(const struct atk_client *client, const struct atk_conn *conn)
{
	uint32_t i = (uint32_t)(conn - client->conns);

	return (struct atk_seg){
		.src = atk_source(client->atk, i % client->atk->sources),
		.dst = client->atk->dst,
		.sport = (uint16_t)(PORT_FIRST + i / client->atk->sources),
		.dport = client->atk->port,
		.seq = conn->snd_nxt,
		.ack = conn->rcv_nxt,
		.wnd = client->how->wnd,
		.flags = ATK_ACK,
	};
}

/* Whose segment it is: the inverse of client_seg. */
static struct atk_conn *client_find(struct atk_client *client, const struct atk_seg *seg)
{
	const struct atk *atk = client->atk;
	uint32_t at = atk->src.len - 4U, n = get32(seg->dst.b + at) - get32(atk->src.b + at);
	uint64_t i = (uint64_t)(seg->dport - PORT_FIRST) * atk->sources + n;

	if (seg->dst.len != atk->src.len || seg->sport != atk->port || seg->dport < PORT_FIRST ||
		n >= atk->sources || i >= client->begun)
		return NULL;
	return &client->conns[i];
}

void client_send(struct atk_client *client, struct atk_conn *conn, struct atk_seg seg)
{
	uint8_t opt[40] = { 1, 1, ATK_OPT_TS, 10 };

	if (conn->timestamps && !(seg.flags & ATK_SYN) && seg.opt_len <= 28) {
		put32(opt + 4, now_ms());
		put32(opt + 8, conn->ts);
		if (seg.opt_len)
			memcpy(opt + 12, seg.opt, seg.opt_len);
		seg.opt = opt;
		seg.opt_len = (uint8_t)(seg.opt_len + 12);
	}
	wire_seg(&client->atk->wire, &seg);
}

void client_ack(struct atk_client *client, struct atk_conn *conn, uint32_t ack, uint16_t wnd)
{
	struct atk_seg seg = client_seg(client, conn);

	seg.ack = ack;
	seg.wnd = wnd;
	client_send(client, conn, seg);
}

void client_ask(struct atk_client *client, struct atk_conn *conn)
{
	struct atk_seg seg = client_seg(client, conn);

	if (!conn->asked)
		conn->ask_seq = conn->snd_nxt;
	conn->asked = true;
	seg.seq = conn->ask_seq;
	seg.flags = ATK_ACK | ATK_PSH;
	seg.data = (const uint8_t *)client->request;
	seg.len = client->request_len;
	conn->snd_nxt = seg.seq + seg.len;
	conn->sent_ms = now_ms();
	client_send(client, conn, seg);
}

static void client_syn(struct atk_client *client, struct atk_conn *conn)
{
	struct atk_seg seg = client_seg(client, conn);

	seg.seq = conn->snd_una;
	seg.ack = 0;
	seg.wnd = UINT16_MAX;
	seg.flags = ATK_SYN;
	seg.opt = client->how->opt;
	seg.opt_len = client->how->opt_len;
	conn->sent_ms = now_ms();
	client_send(client, conn, seg);
}

static void client_end(struct atk_client *client, struct atk_conn *conn, uint32_t *count)
{
	client->waiting -= conn->state == ATK_SYN_SENT;
	conn->state = ATK_ENDED;
	(*count)++;
}

static void client_establish(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	const uint8_t *ts = frame_opt(seg, ATK_OPT_TS), *shift = frame_opt(seg, ATK_OPT_WSCALE);

	if (seg->ack != conn->snd_una + 1)
		return;
	conn->snd_una = conn->snd_nxt = seg->ack;
	conn->rcv_nxt = conn->seen = seg->seq + 1;
	conn->timestamps = ts != NULL;
	conn->ts = ts ? get32(ts + 2) : 0;
	conn->shift = shift ? shift[2] : 0;
	client->with_timestamps += ts != NULL;
	client->with_wscale += shift != NULL;
	client->with_sack += frame_opt(seg, ATK_OPT_SACK_OK) != NULL;
	client->server_wnd = seg->wnd;
	client->waiting--;
	client->opened++;
	conn->state = ATK_OPEN;
	if (client->how->opened)
		client->how->opened(client, conn);
	else
		client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
}

bool client_take(struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	static const char ok[] = "HTTP/1.1 200 ";

	if (seg->seq != conn->rcv_nxt || !seg->len)
		return false;
	if (conn->asked && seg->len >= sizeof(ok) && memcmp(seg->data, ok, sizeof(ok) - 1) == 0) {
		conn->asked = false;
		client->answered++;
	}
	conn->got += seg->len;
	conn->rcv_nxt += seg->len;
	client->bytes += seg->len;
	return true;
}

/* As a good client does, that closes when the server does. */
static void client_accept(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	client_take(client, conn, seg);
	if (seg->flags & ATK_FIN && seg->seq + seg->len == conn->rcv_nxt) {
		struct atk_seg fin;

		conn->rcv_nxt++;
		fin = client_seg(client, conn);
		fin.flags = ATK_ACK | ATK_FIN;
		client_send(client, conn, fin);
		client_end(client, conn, &client->closed);
	} else if (seg->len || seg->flags & (ATK_SYN | ATK_FIN)) {
		client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
	}
}

static void client_open_input(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	const uint8_t *ts = frame_opt(seg, ATK_OPT_TS);

	if (ts && seg->seq == conn->rcv_nxt)
		conn->ts = get32(ts + 2);
	if ((int32_t)(seg->ack - conn->snd_una) > 0 && (int32_t)(seg->ack - conn->snd_nxt) <= 0)
		conn->snd_una = seg->ack;
	if ((int32_t)(seg->seq + seg->len - conn->seen) > 0)
		conn->seen = seg->seq + seg->len;
	if (seg->len > client->largest)
		client->largest = seg->len;
	if (seg->len && seg->len < client->smallest && !(seg->flags & ATK_PSH))
		client->smallest = seg->len;
	if (client->how->segment)
		client->how->segment(client, conn, seg);
	else
		client_accept(client, conn, seg);
}

static void client_input(struct atk_client *client, const struct atk_seg *seg)
{
	struct atk_conn *conn = client_find(client, seg);

	if (!conn || conn->state == ATK_ENDED) {
		client->strays += !conn && seg->flags & ATK_RST;
	} else if (seg->flags & ATK_RST) {
		client_end(client, conn,
			conn->state == ATK_SYN_SENT ? &client->refused : &client->reset);
	} else if (conn->state == ATK_OPEN) {
		client_open_input(client, conn, seg);
	} else if ((seg->flags & (ATK_SYN | ATK_ACK)) == (ATK_SYN | ATK_ACK)) {
		client_establish(client, conn, seg);
	}
}

/* SYNs and requests without answer, again. */
static void client_again(struct atk_client *client)
{
	uint32_t now = now_ms();

	while (client->oldest < client->begun && client->conns[client->oldest].state > ATK_SYN_SENT)
		client->oldest++;
	for (uint32_t i = client->oldest; i < client->begun; i++)
		if (client->conns[i].state == ATK_SYN_SENT &&
			now - client->conns[i].sent_ms > AGAIN_MS)
			client_syn(client, &client->conns[i]);
	for (uint32_t i = 0; i < client->begun; i++) {
		struct atk_conn *conn = &client->conns[i];

		if (conn->state == ATK_OPEN && conn->asked && conn->snd_una != conn->snd_nxt &&
			now - conn->sent_ms > AGAIN_MS)
			client_ask(client, conn);
	}
}

static void client_launch(struct atk_client *client)
{
	while (client->begun < client->count && client->waiting < client->atk->in_flight) {
		struct atk_conn *conn = &client->conns[client->begun++];

		conn->snd_una = conn->snd_nxt = (uint32_t)atk_random(client->atk);
		conn->state = ATK_SYN_SENT;
		client->waiting++;
		client_syn(client, conn);
	}
}

void client_step(struct atk_client *client)
{
	struct atk_wire *wire = &client->atk->wire;
	struct atk_seg segs[ATK_BATCH];
	uint32_t got = 0, batches = 0;

	while (batches++ < BATCHES_MAX && (got = wire_receive(wire, segs)) > 0) {
		for (uint32_t i = 0; i < got; i++)
			client_input(client, &segs[i]);
		client_launch(client);
		wire_flush(wire);
	}
	client_launch(client);
	if (now_us() - client->scan_us >= SCAN_US) {
		client_again(client);
		client->scan_us = now_us();
	}
	if (client->how->turn && now_us() - client->turn_us >= TURN_US) {
		client->how->turn(client);
		client->turn_us = now_us();
	}
	wire_flush(wire);
	if (!got)
		poll(&(struct pollfd){ .fd = wire->fd, .events = POLLIN }, 1, 1);
}

bool client_settled(const struct atk_client *client)
{
	return client->begun == client->count && client->waiting == 0;
}

void client_run(struct atk_client *client)
{
	while (!atk_done(client->atk))
		client_step(client);
}

void client_report(const struct atk_client *client, const char *format, ...)
{
	char more[512];
	va_list args;

	va_start(args, format);
	vsnprintf(more, sizeof(more), format, args);
	va_end(args);
	atk_report(client->atk,
		", \"opened\": %u, \"refused\": %u, \"reset\": %u, \"closed\": %u, \"answered\": "
		"%u, "
		"\"wscale\": %u, \"timestamps\": %u, \"sack\": %u, \"strays\": %u, \"largest\": "
		"%u, "
		"\"smallest\": %u, \"bytes\": %" PRIu64 "%s",
		client->opened, client->refused, client->reset, client->closed, client->answered,
		client->with_wscale, client->with_timestamps, client->with_sack, client->strays,
		client->largest, client->smallest == UINT32_MAX ? 0 : client->smallest,
		client->bytes, more);
}
