/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attacks of a client that opens connections, and what it sends on them.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack_client.h"

#define SYN_QUEUE    8192  /* more than a default one holds */
#define SURE_RATE    20000 /* frames a second, of which none gets lost on the way */
#define HOLES_A_TURN 16
#define HOLES_WINDOW 60000
#define SAMPLE_US    10000000

static const struct atk_how good = { .wnd = UINT16_MAX, ATK_OPTIONS(ATK_LINUX_OPTIONS) };

static void open_sample(struct atk_client *client, uint32_t samples)
{
	uint32_t before = client->answered, asked = 0;
	uint64_t end_us = now_us() + SAMPLE_US;

	for (uint32_t tries = 0; asked < samples && tries < 100 * samples; tries++) {
		struct atk_conn *conn = &client->conns[atk_random(client->atk) % client->count];

		if (conn->state == ATK_OPEN && !conn->asked) {
			client_ask(client, conn);
			asked++;
		}
		if (asked % ATK_BATCH == 0)
			client_step(client);
	}
	while (client->answered - before < asked && now_us() < end_us)
		client_step(client);
	client_report(client, ", \"asked\": %u, \"served\": %u", asked, client->answered - before);
}

static void open_reset(struct atk_client *client)
{
	uint64_t rate = client->atk->wire.rate;

	wire_rate(&client->atk->wire, SURE_RATE);
	for (uint32_t i = 0; i < client->begun; i++) {
		struct atk_seg seg = client_seg(client, &client->conns[i]);

		if (client->conns[i].state != ATK_OPEN)
			continue;
		seg.flags = ATK_RST;
		client_send(client, &client->conns[i], seg);
		client->conns[i].state = ATK_ENDED;
	}
	wire_flush(&client->atk->wire);
	wire_rate(&client->atk->wire, rate);
	client_report(client, "%s", "");
}

/* "ask N": N held connections get a request; "reset": RST to all; "report". */
static bool open_command(struct atk_client *client)
{
	char line[64];
	ssize_t len = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (len <= 0)
		return false;
	line[len] = '\0';
	if (strncmp(line, "ask ", 4) == 0)
		open_sample(client, (uint32_t)strtoul(line + 4, NULL, 10));
	else if (strncmp(line, "reset", 5) == 0)
		open_reset(client);
	else
		client_report(client, "%s", "");
	return true;
}

void sender_open(struct atk *atk)
{
	struct pollfd commands = { .fd = STDIN_FILENO, .events = POLLIN };
	struct atk_client client;

	client_new(&client, atk, &good);
	while (!client_settled(&client) && !atk_done(atk))
		client_step(&client);
	client_report(&client, "%s", "");
	for (;;) {
		client_step(&client);
		if (poll(&commands, 1, 0) > 0 && !open_command(&client))
			break;
	}
	client_free(&client);
}

/* ACKs that a handshake might end with, if anybody had begun one. */
static void cookies_forge(struct atk_client *client)
{
	for (uint32_t i = 0; i < client->count; i++) {
		struct atk_seg seg = client_seg(client, &client->conns[0]);

		seg.src = atk_source(client->atk, client->atk->sources + i);
		seg.seq = (uint32_t)atk_random(client->atk);
		seg.ack = (uint32_t)atk_random(client->atk);
		wire_seg(&client->atk->wire, &seg);
	}
	wire_flush(&client->atk->wire);
}

void sender_cookies(struct atk *atk)
{
	static struct atk_how how;
	struct atk_client client;
	uint64_t rate = atk->wire.rate, end_us = atk->end_us;

	wire_rate(&atk->wire, SURE_RATE);
	flood_syns(atk, SYN_QUEUE);
	wire_rate(&atk->wire, rate);
	how = good;
	how.opened = client_ask; /* the ACK that ends the handshake may have a request with it */
	client_new(&client, atk, &how);
	while (client.answered < client.count && !atk_done(atk))
		client_step(&client);
	cookies_forge(&client);
	atk->end_us = now_us() + 1000000;
	while (client.strays < client.count && !atk_done(atk))
		client_step(&client);
	atk->end_us = end_us;
	client_report(&client, "%s", "");
	client_free(&client);
}

static void tiny_send(struct atk_client *client, struct atk_conn *conn, uint32_t from)
{
	for (uint32_t at = from; at < client->request_len; at += 2) {
		struct atk_seg seg = client_seg(client, conn);

		seg.seq = conn->ask_seq + at;
		seg.data = (const uint8_t *)client->request + at;
		seg.len = 1;
		client_send(client, conn, seg);
	}
}

/* Every other byte first. */
static void tiny_opened(struct atk_client *client, struct atk_conn *conn)
{
	conn->ask_seq = conn->snd_nxt;
	conn->asked = true;
	conn->sent_ms = (uint32_t)(now_us() / 1000);
	tiny_send(client, conn, 1);
	tiny_send(client, conn, 0);
	conn->snd_nxt = conn->ask_seq + client->request_len;
}

static void sender_until_answered(struct atk *atk, const struct atk_how *how)
{
	struct atk_client client;

	client_new(&client, atk, how);
	while (client.answered + client.refused < client.count && !atk_done(atk))
		client_step(&client);
	client_report(&client, "%s", "");
	client_free(&client);
}

void sender_tiny(struct atk *atk)
{
	static struct atk_how how;

	how = good;
	how.opened = tiny_opened;
	sender_until_answered(atk, &how);
}

/* Never the first byte, so that none of these can ever be used. */
static void holes_turn(struct atk_client *client)
{
	struct atk_conn *conn = &client->conns[atk_random(client->atk) % client->count];

	for (uint32_t i = 0; i < HOLES_A_TURN && conn->state == ATK_OPEN; i++) {
		struct atk_seg seg = client_seg(client, conn);

		seg.seq += 1 + (uint32_t)(atk_random(client->atk) % (HOLES_WINDOW / 2)) * 2;
		seg.data = (const uint8_t *)"x";
		seg.len = 1;
		client_send(client, conn, seg);
	}
}

void sender_holes(struct atk *atk)
{
	static struct atk_how how;
	struct atk_client client;

	how = good;
	how.turn = holes_turn;
	client_new(&client, atk, &how);
	client_run(&client);
	client_report(&client, "%s", "");
	client_free(&client);
}

/* The first byte of a request with each of the lies, then all of it in honesty. */
static void lies_opened(struct atk_client *client, struct atk_conn *conn)
{
	for (uint32_t i = 0; i < atk_lies_count; i++) {
		struct atk_seg seg = client_seg(client, conn);

		seg.opt = atk_lies[i].b;
		seg.opt_len = atk_lies[i].len;
		seg.data = (const uint8_t *)client->request;
		seg.len = 1;
		client_send(client, conn, seg);
	}
	client_ask(client, conn);
}

void sender_lies(struct atk *atk)
{
	static struct atk_how how;

	how = good;
	how.opened = lies_opened;
	sender_until_answered(atk, &how);
}

void sender_mss0(struct atk *atk)
{
	static const struct atk_how how = {
		.wnd = UINT16_MAX, ATK_OPTIONS(2, 4, 0, 0), .opened = client_ask
	};

	sender_until_answered(atk, &how);
}

void sender_mss1(struct atk *atk)
{
	static const struct atk_how how = {
		.wnd = UINT16_MAX, ATK_OPTIONS(2, 4, 0, 1), .opened = client_ask
	};

	sender_until_answered(atk, &how);
}
