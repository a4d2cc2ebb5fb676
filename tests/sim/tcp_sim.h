/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_sim - lib/tcp against itself or an independent client, over a bad link, under a virtual clock.
 *
 * Picture   end 0                                              end 1
 *           sim_client.c  (nothing of lib/tcp)  <-- sim_link.c --> sim_host.c: lib/tcp, sim_app.c
 *           or a second sim_host.c                                 with the eyes of sim_watch.c
 *
 *           A flow is one connection: end e sends len[e] bytes, each a function of seed, flow, end
 *           and offset, so that every packet on the link can be told right or wrong by itself.
 * Promises  One seed is one world: the same packets at the same microsecond each time.
 *           A world fails by a sentence on stderr, once; a failed assertion of lib/tcp is such a one.
 * Limits    One thread, and one world at a time.
 */
#ifndef HF_TCP_SIM_H
#define HF_TCP_SIM_H

#include "hf_base.h"
#include "hf_tcp.h"

#define SIM_FLOWS_MAX 6
#define SIM_PORT      8080
#define SIM_PORT_0    10000 /* end 0 of flow i, unless it listens: this plus i */
#define SIM_PORT_1    20000
#define SIM_NEVER     UINT64_MAX
#define SIM_MTU       1500
#define SIM_BLOCKS    4

struct sim;
struct sim_app;
struct sim_client;
struct sim_host;
struct sim_watch;

/* sim_wire.c: segments as they are on the wire */
struct sim_seg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags, ecn, opt_len, opt[HF_TCP_OPT_MAX];
	bool may_fragment;
	const uint8_t *data;
	uint32_t len;
};

enum sim_pkt_kind {
	SIM_SEGMENT,
	SIM_TOO_BIG, /* ICMP */
	SIM_FORGED,  /* made up when it arrives: sim_forge.c */
};

struct sim_pkt {
	uint64_t at_us, order;
	uint8_t flow, to; /* to: an end */
	uint8_t kind;     /* enum sim_pkt_kind */
	uint8_t ecn;
	bool may_fragment;
	uint32_t ip_len;
	uint32_t seq, mtu; /* SIM_TOO_BIG: quoted, and what it says */
	uint32_t len;
	uint8_t wire[]; /* TCP header and payload */
};

struct sim_opts {
	uint16_t mss; /* 0: none */
	int wscale;   /* -1: none */
	bool sack_ok, ts;
	uint32_t ts_val, ts_ecr;
	uint32_t block_count;
	struct {
		uint32_t start, end;
	} block[SIM_BLOCKS];
};

/* From `end` of a flow to the other: with room for seg->len bytes behind the header. */
struct sim_pkt *sim_pkt_new(
	const struct sim *sim, uint32_t flow, uint32_t end, const struct sim_seg *seg);
uint8_t *sim_pkt_data(struct sim_pkt *pkt);
/* The checksum, when all bytes are there. */
void sim_pkt_seal(struct sim_pkt *pkt);
/* Its checksum is right. */
bool sim_pkt_intact(const struct sim_pkt *pkt);
/* False: it is not. */
bool sim_pkt_open(const struct sim_pkt *pkt, struct sim_seg *ret_seg);
/* False: malformed. */
bool sim_opts_parse(const uint8_t *opt, uint32_t len, struct sim_opts *ret_opts);
uint8_t sim_opts_build(const struct sim_opts *opts, uint8_t ret_opt[HF_TCP_OPT_MAX]);
void sim_pkt_print(const struct sim *sim, const struct sim_pkt *pkt, const char *fate);

/* sim_link.c; chances in 1/1000 */
struct sim_link {
	uint32_t loss, dup, reorder, corrupt, forge;
	uint32_t burst_start, burst_us; /* of half of all */
	uint32_t delay_us, jitter_us;
	bool jitter_in_order;
	uint64_t rate_bps; /* 0: no limit */
	uint32_t queue_max;
	bool marks;      /* CE instead of a drop, from half a queue on */
	uint32_t ce;     /* CE for nothing */
	bool black_hole; /* no ICMP */
	bool old_router; /* ICMP without the MTU */
	uint32_t mtu[2]; /* by the end that sends */
	uint64_t mtu_at_us[2];
	uint32_t mtu_next[2];
	/* state */
	uint64_t burst_until_us[2];
	uint64_t free_us[2], last_us[2];
	uint64_t orders;
	struct sim_pkt **heap;
	uint32_t heap_len, heap_max;
};

void sim_link_draw(struct sim *sim);
void sim_link_fini(struct sim_link *link);
/* Puts it on the link, which owns it from now on. */
void sim_post(struct sim *sim, struct sim_pkt *pkt);
/* The next packet that has arrived by now, or NULL; the caller frees it. */
struct sim_pkt *sim_link_next(struct sim *sim);
uint64_t sim_link_next_us(const struct sim_link *link);

enum sim_opening { SIM_OPEN_0, SIM_OPEN_1, SIM_OPEN_BOTH };

struct sim_flow {
	uint32_t index;
	bool ip6;
	enum sim_opening opening;
	uint16_t port[2];
	uint64_t start_us[2]; /* when an end opens; SIM_NEVER: it listens */
	uint32_t len[2];      /* bytes that end e sends; less, once its application gave up */
	uint32_t space[2];    /* len as drawn */
	uint32_t base[2];     /* where in the pattern they begin */
	bool waits[2];        /* end e closes behind the other */
	const char *excuse;   /* why it may end early; NULL: it must be complete */
	bool lost;
	struct sim_client *client; /* end 0, or NULL */
	struct sim_app *app[2];    /* NULL where the client is */
	struct sim_watch *watch[2];
};

struct sim {
	uint64_t seed, rng, now_us;
	bool verbose, failed;
	bool clean; /* nothing impairs the link, nothing is scarce: nothing may be sent twice */
	uint64_t segments, bytes, calls; /* calls: of applications, for the bound on segments */
	uint32_t lost;
	uint64_t shed_before, cookies_before; /* counts of all worlds */
	uint64_t cut_us;                      /* the world ends in the midst of things */
	uint64_t drain_us;                    /* the listener at end 1 stops */
	struct sim_link link;
	struct sim_host *host[2]; /* [0] NULL: clients */
	uint32_t flow_count;
	struct sim_flow flow[SIM_FLOWS_MAX];
};

/* sim_rand.c: what is drawn and what is sent */
uint64_t sim_next(struct sim *sim);
uint32_t sim_rand(struct sim *sim, uint32_t below);
bool sim_chance(struct sim *sim, uint32_t per_mille);
/* Mostly small, seldom up to `most`. */
uint32_t sim_size(struct sim *sim, uint32_t most);
/* What an end sends from `off` on, in memory that stays: at most *len bytes, which becomes how many. */
const uint8_t *sim_bytes_at(const struct sim_flow *flow, uint32_t end, uint32_t off, uint32_t *len);
void sim_bytes_fill(
	const struct sim_flow *flow, uint32_t end, uint32_t off, uint8_t *ret_bytes, uint32_t len);
bool sim_bytes_same(const struct sim_flow *flow, uint32_t end, uint32_t off, const uint8_t *bytes,
	uint32_t len);
void sim_ip(const struct sim_flow *flow, uint32_t end, struct hf_ip *ret_ip);

/* sim_world.c */
/* One world from its beginning to its end; adds to the sums. False: it failed. */
bool sim_world_run(uint64_t seed, bool verbose, uint64_t *segments, uint64_t *bytes);
/* A failed assertion: says so and ends the world. */
void sim_world_panic(const char *what, const char *file, int line, const char *func);
uint64_t sim_world_seed(void);
/* A listener of this world answered by a SYN cookie. */
bool sim_cookies_sent(const struct sim *sim);
void sim_fail(struct sim *sim, const char *format, ...) HF_PRINTF(2, 3);
void sim_say(const struct sim *sim, const char *format, ...) HF_PRINTF(2, 3);
/* A connection ended early. A failure, unless it may have been shed or has an excuse. */
void sim_lost(struct sim *sim, struct sim_flow *flow, const char *how);

/* sim_host.c: one stack, and what lib/net does for it */
struct sim_host *sim_host_new(struct sim *sim, uint32_t end);
void sim_host_free(struct sim_host *host);
/* For applications. */
struct hf_tcp *sim_host_tcp(struct sim_host *host);
void sim_host_path(const struct sim_host *host, struct hf_path *ret_path);
void sim_host_input(struct sim_host *host, struct sim_flow *flow, const struct sim_seg *seg);
/* Fills in the addresses. A too-big message that must not be taken is a failure if it is. */
void sim_host_icmp(
	struct sim_host *host, struct sim_flow *flow, const struct hf_tcp_icmp *icmp, bool may);
/* Unknown to the watch: must be dropped. */
void sim_host_forged(struct sim_host *host, const struct hf_tcp_seg *seg);
/* Time goes on: before anything else is called at that time. */
void sim_host_tick(struct sim_host *host);
void sim_host_flush(struct sim_host *host);
void sim_host_drain(struct sim_host *host);
bool sim_host_drained(const struct sim_host *host);

/* sim_forge.c: what an attacker off the path sends to our stack */
void sim_forge(struct sim *sim, struct sim_flow *flow, uint32_t end);

/* sim_watch.c: looks at all that one end of ours sends and receives */
struct sim_watch *sim_watch_new(struct sim *sim, struct sim_flow *flow, uint32_t end);
void sim_watch_free(struct sim_watch *watch);
/* Before hf_tcp_input, and what it said. */
void sim_watch_in(struct sim_watch *watch, const struct sim_seg *seg);
void sim_watch_took(struct sim_watch *watch, const struct sim_seg *seg, int drop);
void sim_watch_too_big(struct sim_watch *watch, uint32_t mtu);
void sim_watch_out(struct sim_watch *watch, const struct hf_tcp_emit *emit);
/* What an attacker would like to know; false: there is no connection. */
bool sim_watch_seqs(const struct sim_watch *watch, uint32_t *ret_rcv_max, uint32_t *ret_snd_una,
	uint32_t *ret_snd_max);

/* sim_app.c: the application at one end of ours */
struct sim_app *sim_app_new(struct sim *sim, struct sim_flow *flow, uint32_t end);
void sim_app_free(struct sim_app *app);
void sim_app_event(struct sim_app *app, const struct hf_tcp_event *event);
void sim_app_tick(struct sim_app *app);
uint64_t sim_app_next_us(const struct sim_app *app);
/* It has no connection to wait for. */
bool sim_app_over(const struct sim_app *app);
bool sim_app_opened(const struct sim_app *app);
bool sim_app_idle(const struct sim_app *app);
/* All was sent and received as planned. */
bool sim_app_complete(const struct sim_app *app);
/* Checks that nobody holds bytes any more, and forgets. */
bool sim_app_released(void);

/* sim_client.c: the reference */
struct sim_client *sim_client_new(struct sim *sim, struct sim_flow *flow);
void sim_client_free(struct sim_client *client);
void sim_client_input(struct sim_client *client, const struct sim_seg *seg);
void sim_client_too_big(struct sim_client *client, uint32_t mtu);
void sim_client_tick(struct sim_client *client);
uint64_t sim_client_next_us(const struct sim_client *client);
bool sim_client_over(const struct sim_client *client);
bool sim_client_complete(const struct sim_client *client);

#endif
