/* SPDX-License-Identifier: BSD-3-Clause
 *
 * attack - what the files of hf-attack share: options, frames, the wire, and the client.
 *
 * What      A sender of hostile frames, and a TCP client that needs no kernel: it crafts each frame
 *           itself and may lie in any of them.
 * Picture
 *      main -> mode -> flood_*:                      frame_* -> wire (AF_PACKET) -> victim
 *                   -> reader_*, sender_*: client -> frame_* -> wire <-> victim
 * Threads   One.
 * Promises  Its MAC address is nobody's, so the kernel on this end neither answers nor resets.
 * Limits    One interface, one victim, one process; a million connections of 48 bytes.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ATK_FRAME_MAX 1536
#define ATK_BATCH     64
#define ATK_MTU       1500

enum { ATK_FIN = 1, ATK_SYN = 2, ATK_RST = 4, ATK_PSH = 8, ATK_ACK = 16, ATK_URG = 32 };
enum { ATK_OPT_MSS = 2, ATK_OPT_WSCALE = 3, ATK_OPT_SACK_OK = 4, ATK_OPT_SACK = 5, ATK_OPT_TS = 8 };

struct atk_ip {
	uint8_t b[16];
	uint8_t len; /* 4 or 16 */
};

/* A segment to send or as received; host order. */
struct atk_seg {
	struct atk_ip src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	uint8_t opt_len;
	const uint8_t *opt;
	const uint8_t *data;
	uint32_t len;
};

/* Both ways in batches; a frame to send is built in place. */
struct atk_wire {
	int fd;
	uint8_t mac_me[6], mac_it[6];
	uint64_t sent, refused, received; /* refused: by the kernel, whose queue is full */
	uint64_t start_us;
	uint64_t rate, paced, paced_us; /* frames a second, 0: what goes; sent since then */
	uint32_t count;
	uint8_t frame[ATK_BATCH][ATK_FRAME_MAX], in[ATK_BATCH][ATK_FRAME_MAX];
	struct iovec iov[ATK_BATCH], in_iov[ATK_BATCH];
	struct mmsghdr msg[ATK_BATCH], in_msg[ATK_BATCH];
};

struct atk {
	const char *mode, *iface, *path, *pcap;
	struct atk_ip dst,
		src; /* src: the first of ours, or the victim's of a spoofed connection */
	uint16_t port, sport;
	uint32_t seq, ack; /* of the spoofed connection: what its client would send next */
	uint64_t count, seed;
	uint32_t sources, in_flight, requests;
	double seconds;
	uint64_t end_us;
	struct atk_wire wire;
};

/* attack_frame.c: into `to`; they return its length */
uint32_t frame_tcp(const struct atk_wire *wire, const struct atk_seg *seg, uint8_t *to);
uint32_t frame_ip(const struct atk_wire *wire, const struct atk_ip *src, const struct atk_ip *dst,
	uint8_t protocol, uint16_t fragment, const void *payload, uint32_t len, uint8_t *to);
/* RFC 792 and RFC 4443: "too big", from anybody, about a segment that `quoted` names. */
uint32_t frame_too_big(const struct atk_wire *wire, const struct atk_ip *from,
	const struct atk_seg *quoted, uint32_t mtu, uint8_t *to);
/* False when it is no TCP segment. */
bool frame_parse(const uint8_t *frame, uint32_t len, struct atk_seg *ret_seg);
/* The option's bytes, its kind first; NULL when there is none. */
const uint8_t *frame_opt(const struct atk_seg *seg, uint8_t kind);

/* attack_wire.c */
void wire_open(struct atk_wire *wire, const char *iface, bool v6, bool hears);
/* From now on. */
void wire_rate(struct atk_wire *wire, uint64_t rate);
uint8_t *wire_next(struct atk_wire *wire); /* room for a frame, then wire_add */
void wire_add(struct atk_wire *wire, uint32_t len);
void wire_flush(struct atk_wire *wire);
void wire_seg(struct atk_wire *wire, const struct atk_seg *seg);
/* The segments that came; 0 when there are none now. */
uint32_t wire_receive(struct atk_wire *wire, struct atk_seg ret_segs[ATK_BATCH]);
uint64_t now_us(void);

/* attack_main.c */
bool atk_done(const struct atk *atk);
uint64_t atk_random(struct atk *atk);
struct atk_ip atk_source(const struct atk *atk, uint64_t n);
/* One line of JSON: the wire's counts and what the format says. */
void atk_report(const struct atk *atk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* MSS, SACK permitted, timestamps before any clock of ours, window scale 7: as Linux does. */
#define ATK_LINUX_OPTIONS 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7

/* attack_flood.c: --count frames, or until the time is over */
void flood_run(struct atk *atk, void (*make)(struct atk *atk, uint64_t n));
void flood_syns(struct atk *atk, uint64_t count);

struct atk_lie {
	uint8_t len, b[40];
};

extern const struct atk_lie atk_lies[];
extern const uint32_t atk_lies_count;

#define X(name, run, hears, help) void run(struct atk *atk);
#include "tbl/modes.h"
#undef X

#endif
