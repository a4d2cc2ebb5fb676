/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attacks of a client that asks, and how it takes the answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attack_client.h"

#define MSS           1460
#define DIVISION_MAX  256    /* ACKs of a byte, of one segment */
#define HONEST_BYTES  262144 /* so that there is a large window to lie about */
#define SACK_A_TURN   16
#define TOO_BIG_AFTER 32768
#define HOLD_MS       50
#define TOO_BIG_TAIL  262144 /* what may still be on its way in segments of the old size */

static void reader_run(struct atk *atk, const struct atk_how *how)
{
	struct atk_client client;

	client_new(&client, atk, how);
	client_run(&client);
	client_report(&client, "%s", "");
	client_free(&client);
}

/* Something came that wants an answer, even from somebody who takes nothing. */
static bool reader_asked(const struct atk_conn *conn, const struct atk_seg *seg)
{
	return seg->len || seg->seq != conn->rcv_nxt || seg->flags & (ATK_SYN | ATK_FIN);
}

static void zero_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	if (reader_asked(conn, seg))
		client_ack(client, conn, conn->rcv_nxt, 0);
}

void reader_zero(struct atk *atk)
{
	static const struct atk_how how = { .wnd = 0,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = zero_segment };

	reader_run(atk, &how);
}

static void one_segment(struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	if (seg->len && conn->rcv_nxt - seg->seq < seg->len) {
		conn->rcv_nxt++;
		client->bytes++;
	}
	if (reader_asked(conn, seg))
		client_ack(client, conn, conn->rcv_nxt, 1);
}

void reader_one(struct atk *atk)
{
	static const struct atk_how how = {
		.wnd = 1, ATK_OPTIONS(2, 4, 5, 180), .opened = client_ask, .segment = one_segment
	};

	reader_run(atk, &how);
}

static void silent_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	client->bytes += seg->len;
}

void reader_silent(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(2, 4, 5, 180, 1, 3, 3, 14),
		.opened = client_ask,
		.segment = silent_segment };

	reader_run(atk, &how);
}

/* note: how far the server went beyond twice what was acknowledged, the most of RFC 3465. */
static void division_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	uint32_t from = conn->rcv_nxt, flight = conn->seen - conn->rcv_nxt;

	if (flight > 2 * conn->got && flight - 2 * conn->got > conn->note)
		conn->note = flight - 2 * conn->got;
	if (!client_take(client, conn, seg)) {
		if (seg->len)
			client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
		return;
	}
	for (uint32_t i = 1; i < seg->len && i <= DIVISION_MAX; i++)
		client_ack(client, conn, from + i, client->how->wnd);
	client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
}

void reader_division(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = division_segment };
	struct atk_client client;
	uint32_t excess = 0;

	client_new(&client, atk, &how);
	client_run(&client);
	for (uint32_t i = 0; i < client.count; i++)
		if (client.conns[i].note > excess)
			excess = client.conns[i].note;
	client_report(&client, ", \"excess\": %u", excess);
	client_free(&client);
}

static void optimistic_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	uint64_t dice = atk_random(client->atk);
	uint32_t ahead = (uint32_t)(dice % 16) * MSS;

	if (!seg->len)
		return;
	client->bytes += seg->len;
	conn->asked = false;
	conn->rcv_nxt = conn->seen;
	if (dice >> 61 == 0)
		ahead = (uint32_t)(dice >> 32) & 0x3fffffff;
	client_ack(client, conn, conn->seen + ahead, client->how->wnd);
}

void reader_optimistic(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = optimistic_segment };

	reader_run(atk, &how);
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

/* Four blocks: mostly bytes in flight; some reversed, never sent, or long acknowledged. */
static void sack_lie(struct atk_client *client, struct atk_conn *conn)
{
	uint8_t opt[36] = { 1, 1, ATK_OPT_SACK, 34 };
	struct atk_seg seg = client_seg(client, conn);
	uint32_t flight = conn->seen - conn->rcv_nxt;

	for (uint32_t i = 0; i < 4; i++) {
		uint64_t dice = atk_random(client->atk);
		uint32_t from = conn->rcv_nxt + 1 + (uint32_t)(dice % (flight + 1) & ~1U);
		uint32_t to = from + 1;

		switch (dice >> 60) {
		case 0:
			to = from - 1;
			break;
		case 1:
			to = from + (1U << 20);
			break;
		case 2:
			from -= 1U << 20;
			break;
		}
		put32(opt + 4 + 8 * i, from);
		put32(opt + 8 + 8 * i, to);
	}
	seg.opt = opt;
	seg.opt_len = sizeof(opt);
	client_send(client, conn, seg);
}

static void sack_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	if (!seg->len)
		return;
	if (conn->got >= HONEST_BYTES) {
		sack_lie(client, conn);
		return;
	}
	client_take(client, conn, seg);
	client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
}

static void sack_turn(struct atk_client *client)
{
	struct atk_conn *conn = &client->conns[atk_random(client->atk) % client->count];

	for (uint32_t i = 0; i < SACK_A_TURN; i++)
		if (conn->state == ATK_OPEN && conn->got >= HONEST_BYTES)
			sack_lie(client, conn);
}

void reader_sack(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(2, 4, 5, 180, 4, 2, 1, 1, 1, 3, 3, 7),
		.opened = client_ask,
		.segment = sack_segment,
		.turn = sack_turn };

	reader_run(atk, &how);
}

static const uint32_t too_big_mtus[] = { 68, 0, 552, 1400 };
static struct {
	uint32_t lies, largest; /* of the segments long after the lie */
} too_big[2][4];                /* wrong and right sequence numbers */

static void too_big_lie(
	struct atk_client *client, const struct atk_seg *seg, bool right, uint32_t mtu)
{
	struct atk *atk = client->atk;
	struct atk_seg quoted = *seg;
	struct atk_ip from = atk_source(atk, 70000);
	uint8_t *to = wire_next(&atk->wire);

	if (!right)
		quoted.seq += 1U << 28;
	wire_add(&atk->wire, frame_too_big(&atk->wire, &from, &quoted, mtu, to));
}

static void too_big_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	uint32_t i = (uint32_t)(conn - client->conns), mtu = i % 4;
	bool right = i / 4 % 2;

	if (!seg->len)
		return;
	if (!conn->note && conn->got >= TOO_BIG_AFTER) {
		too_big_lie(client, seg, right, too_big_mtus[mtu]);
		too_big[right][mtu].lies++;
		conn->note = conn->got;
		conn->sent_ms = (uint32_t)(now_us() / 1000);
	}
	if (conn->note && conn->got - conn->note > TOO_BIG_TAIL &&
		seg->len > too_big[right][mtu].largest) {
		too_big[right][mtu].largest = seg->len;
	}
	client_take(client, conn, seg);
	/* what the router dropped nobody acknowledges before that is known */
	if (!conn->note || now_us() / 1000 - conn->sent_ms > HOLD_MS)
		client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
}

static void too_big_turn(struct atk_client *client)
{
	for (uint32_t i = 0; i < client->begun; i++) {
		struct atk_conn *conn = &client->conns[i];

		if (!conn->note || conn->sent_ms == 0 || now_us() / 1000 - conn->sent_ms <= HOLD_MS)
			continue;
		conn->sent_ms = 0;
		client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
	}
}

void reader_too_big(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = too_big_segment,
		.turn = too_big_turn };
	struct atk_client client;
	char text[2][128];

	client_new(&client, atk, &how);
	client_run(&client);
	for (uint32_t right = 0; right < 2; right++) {
		size_t len = 0;

		for (uint32_t i = 0; i < 4; i++)
			len += (size_t)snprintf(text[right] + len, sizeof(text[right]) - len,
				"%s\"%u\": [%u, %u]", i ? ", " : "", too_big_mtus[i],
				too_big[right][i].lies, too_big[right][i].largest);
	}
	client_report(&client, ", \"wrong\": {%s}, \"right\": {%s}", text[0], text[1]);
	client_free(&client);
}

/* Once, all of a flight is lost; and it keeps nothing that is out of order. */
static void deaf_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	if (!seg->len)
		return;
	if (!conn->note && conn->got >= TOO_BIG_AFTER) {
		conn->note = 1;
		conn->sent_ms = (uint32_t)(now_us() / 1000);
	}
	if (conn->note && now_us() / 1000 - conn->sent_ms <= HOLD_MS)
		return;
	client_take(client, conn, seg);
	client_ack(client, conn, conn->rcv_nxt, client->how->wnd);
}

void reader_deaf(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = deaf_segment };

	reader_run(atk, &how);
}

static void narrow_segment(
	struct atk_client *client, struct atk_conn *conn, const struct atk_seg *seg)
{
	if (!conn->note && conn->got >= TOO_BIG_AFTER && seg->len)
		too_big_lie(client, seg, true, 552);
	deaf_segment(client, conn, seg);
}

void reader_narrow(struct atk *atk)
{
	static const struct atk_how how = { .wnd = UINT16_MAX,
		ATK_OPTIONS(ATK_LINUX_OPTIONS),
		.opened = client_ask,
		.segment = narrow_segment };

	reader_run(atk, &how);
}
