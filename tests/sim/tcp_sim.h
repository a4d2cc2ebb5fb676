/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_sim - lib/tcp against an independent client over a bad link, under a virtual clock.
 *
 * Picture   client (tcp_sim_client.c) <-- link: loss, delay, reorder, duplicates --> lib/tcp + server
 * Promises  One seed is one world: the same packets at the same microsecond each time.
 */
#ifndef HF_TCP_SIM_H
#define HF_TCP_SIM_H

#include "hf_base.h"
#include "hf_tcp.h"

#define SIM_CLIENTS_MAX 4
#define SIM_PORT        8080

struct sim_pkt {
	uint64_t at_us;
	uint64_t order;
	uint32_t client;
	bool to_client;
	uint32_t seq, ack, len;
	uint16_t wnd;
	uint8_t flags, opt_len, opt[HF_TCP_OPT_MAX];
	uint8_t data[];
};

enum client_plan {
	PLAN_SERVER_CLOSES, /* the client closes when it has seen the server's FIN */
	PLAN_HALF_CLOSE,    /* FIN right behind the request */
	PLAN_BOTH,          /* FIN in the midst of the response: FINs may cross */
	PLAN_RESET,         /* RST in the midst of the response */
	PLAN_VANISH,        /* no more packets from some time on */
	PLAN_COUNT
};

struct client {
	/* drawn */
	enum client_plan plan;
	uint32_t index, req_len, resp_len, stop_at;
	uint32_t buf_max, read_per_ms, cwnd;
	uint16_t mss, port;
	int wscale;
	uint32_t ack_every, delack_us, iss;
	/* sends */
	bool syn_acked, fin_acked, done, dead;
	uint32_t una, nxt, max; /* stream offsets; the FIN stands at req_len */
	uint32_t peer_edge, peer_mss;
	uint8_t peer_shift;
	uint64_t rto_at_us, rto_us;
	/* receives */
	uint32_t irs, rcv, fin_at, read, edge;
	uint8_t *have;
	uint32_t ack_owed;
	uint64_t delack_at_us, read_at_us;
};

struct sim {
	uint64_t seed, rng, now_us;
	bool failed;
	uint64_t segments, bytes;
	/* the link, in 1/1000 */
	uint32_t loss, dup, reorder, corrupt, delay_us, jitter_us;
	uint64_t orders;
	struct sim_pkt **heap;
	uint32_t heap_len, heap_max;
	uint32_t client_count;
	struct client client[SIM_CLIENTS_MAX];
};

uint32_t sim_rand(struct sim *sim, uint32_t below);
bool sim_chance(struct sim *sim, uint32_t per_mille);
void sim_fail(struct sim *sim, const char *format, ...) HF_PRINTF(2, 3);
/* Byte `off` of what a side of a connection sends. */
uint8_t sim_byte(const struct sim *sim, uint32_t client, bool response, uint32_t off);
/* A packet with room for data, to be filled and handed to sim_post. */
struct sim_pkt *sim_pkt_new(uint32_t client, bool to_client, uint32_t len);
/* Puts it on the link, which may lose, delay or double it. */
void sim_post(struct sim *sim, struct sim_pkt *pkt);

void client_init(struct sim *sim, struct client *client, uint32_t index);
void client_fini(struct client *client);
void client_input(struct sim *sim, struct client *client, const struct sim_pkt *pkt);
void client_tick(struct sim *sim, struct client *client);
uint64_t client_next_us(const struct client *client);

#endif
