/* SPDX-License-Identifier: BSD-3-Clause
 *
 * serve - one worker's HTTP: bytes of connections to requests, answers from the cache or an exchange.
 *
 * What      Takes TCP events, parses requests in place, looks them up, sends hits, hands misses to the
 *           origin thread that owns the key, and streams what comes back. tbl/req_steps.h is the way of
 *           a request; serve_fsm.c walks it.
 * Picture
 *      segment -> tcp -> event -> serve_conn -> [ parse -> lookup -> hit -----------------> send ] -> next
 *                                                            \-> miss -> wait -> stream -/
 *                                  exchange  START ... HEAD, MORE  ^ (rings to and from origin threads)
 * Threads   new, free: boot. All else: the worker.
 * Promises  V1 requests of one connection are answered in order (RFC 9112 §9.3.2).  V2 bytes of a
 *           request that was answered without its body never become the next request: the body is read
 *           to its end or the connection is closed.  V3 small bodies are copied, stored large ones are sent
 *           by reference on a lease, all else is copied from the object.  V4 a client that leaves gives back
 *           everything within the turn; its exchange by FINISH.  V5 conditions and ranges are judged against
 *           what is stored or was fetched whole for them, once: what went to the origin with them is its answer.
 *           V6 in the node's fallback what expired is served, up to max_stale past its lifetime, where neither
 *           response nor request forbids it, and asked for anew in the background.
 *           V7 when cache memory, exchanges or buffers run short because clients are slow, the slowest of those who
 *           hold them go first, and as many as must; else only http.body_rate counts.
 *           V8 while traces are exported the origin is told the span of a sampled request's fetch as parent; any other
 *           traceparent goes on as it came, but with no refresh.
 *           V9 a request of a route with an auth flow is answered from cache or origin only while lib/auth holds an
 *           allow for its credential, looked up in the same turn; without one the service is asked first.
 *           V10 who asks and finds no send memory has done its part, and is not idle. Of send buffers the last eighth
 *           is for connections that hold nothing, of spans see hf_tcp.h: these come before all who hold some. A client
 *           whose earlier answers are under way must take them at http.body_rate. Who waits for what others hold is
 *           answered within ten seconds, or refused: with 503 if there is a span for it, else its connection is closed.
 * Limits    connections: the TCP table; requests at origin threads: exchanges_max; both shed with a reason.
 */
#ifndef HF_SERVE_H
#define HF_SERVE_H

#include "hf_auth.h"
#include "hf_base.h"
#include "hf_cache.h"
#include "hf_conf.h"
#include "hf_reqlog.h"
#include "hf_state.h"
#include "hf_tcp.h"
#include "hf_xchg.h"

struct hf_serve;

struct hf_serve_cfg {
	const struct hf_conf *conf;
	uint32_t worker;
	uint32_t origins;
	struct hf_tcp *tcp;
	struct hf_cache *cache;
	struct hf_xchg_net *xchgs;
	struct hf_auth *auth;
	struct hf_reqlog_ring *reqlog; /* of this worker; NULL: none */
};

/* boot */
int hf_serve_new(const struct hf_serve_cfg *cfg, uint64_t now_us, struct hf_err *err,
	struct hf_serve **ret_serve) HF_MUST_CHECK;
/* After hf_tcp_free of its stack, which puts what it holds of ours; NULL is fine. */
void hf_serve_free(struct hf_serve *serve);

/* CONF is in force from now on; what lib/conf calls BOOT is as before. */
void hf_serve_conf_set(struct hf_serve *serve, const struct hf_conf *conf);
/* enum hf_mode: how it stands from now on. */
void hf_serve_mode_set(struct hf_serve *serve, uint32_t mode);
/* STATE says which routes are protected, until this is called again or the turn ends. NULL: there is none. */
void hf_serve_state_set(struct hf_serve *serve, struct hf_state *state);
/* A burst of segments, in order. Heads are looked at before their turn, so that those that come together wait for
 * memory together: bytes of all segments are readable when it is called, each's until its own turn is over. */
void hf_serve_segments(
	struct hf_serve *serve, const struct hf_tcp_seg *segs, uint32_t count, uint64_t now_us);
/* ICMP errors about segments of this worker. */
void hf_serve_icmps(
	struct hf_serve *serve, const struct hf_tcp_icmp *icmps, uint32_t count, uint64_t now_us);
/* What origin threads sent; returns the number of messages. */
uint32_t hf_serve_replies(struct hf_serve *serve, uint64_t now_us);
/* Timers of TCP and HTTP, and connections that waited for a buffer. */
void hf_serve_tick(struct hf_serve *serve, uint64_t now_us);
/* After the emits of this turn became packets: tells origin threads what may be freed. */
void hf_serve_turn_end(struct hf_serve *serve);
/* No new connections; idle ones close, the others after their response. */
void hf_serve_drain(struct hf_serve *serve);
/* Connections still open. */
uint32_t hf_serve_conn_count(const struct hf_serve *serve);

#endif
