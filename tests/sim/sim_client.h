/* SPDX-License-Identifier: BSD-3-Clause
 *
 * sim_client - the reference client, as its two halves share it: sim_client.c opens, sends and closes,
 * sim_client_rx.c receives.
 */
#ifndef HF_SIM_CLIENT_H
#define HF_SIM_CLIENT_H

#include "tcp_sim.h"

#define CLIENT_NO_FIN     UINT32_MAX
#define CLIENT_RANGES_MAX 32
#define CLIENT_READ_US    5000
#define CLIENT_BUF_UNITS  4U /* of the window's scale, at least */

enum client_plan {
	PLAN_WAITS,      /* closes when it has seen the other's FIN */
	PLAN_HALF_CLOSE, /* FIN right behind the request */
	PLAN_BOTH,       /* FIN in the midst of the response: FINs may cross */
	PLAN_RESET,      /* RST in the midst of the response */
	PLAN_VANISH,     /* no more packets from some time on */
	PLAN_DEAF,       /* never reads, then RST */
};

enum client_state { CLIENT_IDLE, CLIENT_SYN_SENT, CLIENT_SYN_RECEIVED, CLIENT_UP, CLIENT_DEAD };

/* Bytes behind a hole. */
struct client_range {
	uint32_t start, end, stamp;
};

struct sim_client {
	struct sim *sim;
	struct sim_flow *flow;
	/* drawn */
	enum client_plan plan;
	uint32_t stop_at, buf_max, read_per_ms, cwnd, shrink;
	uint16_t mss;
	int wscale;
	uint32_t ack_every, delack_us, divide, renege;
	uint32_t iss, ts_off;
	bool ts, sack, dsack, ecn; /* offered, then: agreed */
	uint8_t ect;
	/* sends */
	enum client_state state;
	bool fin_acked, done, cwr_due;
	uint32_t una, nxt, max;
	uint32_t peer_edge, seg_max, rtos;
	uint8_t peer_shift, own_shift;
	uint64_t start_us, rto_at_us, rto_us, deaf_until_us;
	/* receives */
	uint32_t irs, rcv, fin_at, read, edge, right;
	struct client_range range[CLIENT_RANGES_MAX];
	uint32_t range_count, stamp;
	uint32_t dup_start, dup_end;
	uint32_t ts_recent, ts_first, ack_sent;
	bool ece;
	uint32_t ece_segments;
	uint32_t ack_owed;
	uint64_t delack_at_us, read_at_us, silent_at_us;
};

/* sim_client.c */
/* An ACK now, of all up to rcv. */
void sim_client_ack(struct sim_client *c, uint32_t rcv);

/* sim_client_rx.c */
/* The window behind `rcv`; moves its edges. */
uint16_t sim_client_window(struct sim_client *c, uint32_t rcv);
/* SACK blocks of an ACK sent now. */
void sim_client_blocks(struct sim_client *c, struct sim_opts *opts);
/* Checks each byte against the stream and takes what the window allows. */
void sim_client_data(struct sim_client *c, const struct sim_seg *seg);
/* Its application reads. */
void sim_client_read(struct sim_client *c);

#endif
