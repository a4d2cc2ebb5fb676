/* SPDX-License-Identifier: BSD-3-Clause
 *
 * wire - requests and answers on their way, by curl.
 *
 * Threads   origin; curl calls back within origin_multi_run.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_wire.h is private to lib/origin"
#endif
#ifndef ORIGIN_WIRE_H
#define ORIGIN_WIRE_H

#include "origin_priv.h"

/* origin_multi.c: the handle that drives all transfers */
/* In the data of epoll's events, beside the socket. */
#define ORIGIN_WATCH_IDLE   (1ULL << 32) /* set when it came: a connection that no transfer has */
#define ORIGIN_WATCH_L2     (1ULL << 33) /* L2's own epoll: the next turn looks there */
#define ORIGIN_WATCH_TUNNEL (1ULL << 34)

int origin_multi_init(struct hf_origin *origin, struct hf_err *err) HF_MUST_CHECK;
void origin_multi_fini(struct hf_origin *origin);
bool origin_multi_run(struct hf_origin *origin, uint32_t wait_ms);
/* curl's: a connection is opened, or closed. */
curl_socket_t origin_multi_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
int origin_multi_on_close(void *arg, curl_socket_t fd);

/* origin_curl.c: one transfer */
/* -ENOMEM: nothing was started. */
int origin_curl_start(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* Cuts the transfer if it is not over. */
void origin_curl_stop(struct hf_origin *origin, struct origin_fetch *fetch);
/* Cuts the transfer; the handle may be used again, for the same fetch. */
void origin_curl_cut(struct hf_origin *origin, struct origin_fetch *fetch);
int origin_curl_again(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;
/* The transfer is the fetch's again: what comes goes to it. */
void origin_curl_adopt(struct origin_fetch *fetch);
/* Its head is whole. False: the transfer shall end. */
bool origin_curl_head(struct hf_origin *origin, struct origin_fetch *fetch);
/* Goes on in the directions that are not paused. May end the fetch. */
void origin_curl_resume(struct hf_origin *origin, struct origin_fetch *fetch);

/* origin_rules.c */
/* What holds for every request to URL, which is copied. */
CURLcode origin_rules_set(struct hf_origin *origin, CURL *easy, const char *url);

/* origin_request.c */
/* Sets method, target, fields and body of the leader's request. */
int origin_request_set(struct hf_origin *origin, struct origin_fetch *fetch) HF_MUST_CHECK;

/* Of a GET that was sent: the same, for the bytes from FROM on of what has that ETag. */
int origin_request_rest(struct hf_origin *origin, struct origin_fetch *fetch, uint64_t from,
	struct hf_span etag) HF_MUST_CHECK;
/* May it be sent again, unasked (RFC 9110 §9.2.2)? */
bool origin_request_is_repeatable(const struct hf_xchg *xchg);

/* origin_body.c: request bodies */
void origin_body_push(
	struct hf_origin *origin, struct origin_reader *reader, struct hf_xchg_body *body);
/* The first bytes that are there, before any was read; how many. */
size_t origin_body_peek(const struct origin_reader *reader, char *buf, size_t cap);
/* Are LEN bytes there, all of it, or as much as may be there at once? */
bool origin_body_is_at_hand(const struct origin_reader *reader, size_t len);
/* The next bytes, of a reader that has any; empty where only an end is to be told. They are done with. */
struct hf_span origin_body_run(const struct origin_reader *reader);
void origin_body_advance(struct hf_origin *origin, struct origin_reader *reader, size_t len);
/* For curl's read callback. */
size_t origin_body_read(
	struct hf_origin *origin, struct origin_fetch *fetch, char *buf, size_t cap);
/* Gives back what is queued and whatever comes later. */
void origin_body_discard(struct hf_origin *origin, struct origin_reader *reader);

/* origin_auth.c: auth services are asked */
/* ASK: answered by GONE. */
void origin_auth_take(struct hf_origin *origin, struct hf_xchg *xchg);
/* Is what curl keeps for a handle the mark of a question? */
static inline bool origin_auth_is_ask(const struct hf_origin *origin, const void *private)
{
	return private == origin;
}
void origin_auth_done(struct hf_origin *origin, CURL *easy, CURLcode code);
void origin_auth_fini(struct hf_origin *origin);
/* Was the request allowed by what its route asks for now? */
bool origin_auth_fits(const struct hf_origin *origin, const struct hf_xchg *xchg);
bool origin_auth_same(const struct hf_state_route *a, const struct hf_state_route *b);

#endif
