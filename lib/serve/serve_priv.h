/* SPDX-License-Identifier: BSD-3-Clause
 *
 * serve, inside - connections, requests, send buffers of one worker, and who calls whom:
 *
 *   serve.c        entries of the loop, boot
 *   serve_peer.c   connections of one address
 *   serve_conn.c   TCP events, timers, a connection's begin and end
 *   serve_fsm.c    walks tbl/req_steps.h
 *   serve_log.c    records for the request log
 *   serve_read.c   READ        serve_lookup.c  LOOKUP, HIT
 *   serve_ahead.c  what will be looked up next is on its way
 *   serve_plain.c  requests that need none of these steps
 *   serve_auth.c   AUTH: protected routes; serve_auth_answer.c  what who is not allowed is told;
 *   serve_auth_path.c  paths that are read in two ways
 *   serve_miss.c   MISS, WAIT  serve_reply.c   messages of origin threads
 *   serve_send.c   HEAD, BODY, ERROR, send buffers
 *   serve_part.c   PART: 304, 206, 416 of what is stored or just being fetched
 *   serve_upload.c the request's body on its way to the origin
 *   serve_tunnel.c what is different of CONNECT
 *   serve_pressure.c  who goes when cache memory or exchanges run short
 */
#ifndef HF_PRIV_SERVE
#error "serve_priv.h is private to lib/serve"
#endif
#ifndef SERVE_PRIV_H
#define SERVE_PRIV_H

#include "hf_cache.h"
#include "hf_cache_rules.h"
#include "hf_hist.h"
#include "hf_http.h"
#include "hf_http_memo.h"
#include "hf_list.h"
#include "hf_pool.h"
#include "hf_resp.h"
#include "hf_serve.h"
#include "hf_siphash.h"
#include "hf_stat.h"

#define SERVE_TXBUF_LEN      2048
#define SERVE_SPACE_MIN      (96 * 1024) /* a request begins only when its head surely can be queued */
#define SERVE_REQUESTS_TURN  32          /* pipelined requests of one connection in one turn */
#define SERVE_RATE_PERIOD_US 10000000    /* over which the least body rate is measured */
#define SERVE_RATE_SHORT     16384 /* bytes a second: the most that is asked while others wait */
#define SERVE_SHARE_MIN      8 /* send buffers of one connection, as long as they are not short */
#define SERVE_ROOM_WAIT_US   10000000 /* a request waits for send memory so long at most */
#define SERVE_REPLIES_TURN   256      /* messages of one origin thread in one turn */
#define SERVE_PART_HEAD_MAX  8192 /* bytes of the head of a 304 or 206; larger: the whole as 200 */
#define SERVE_BOUNDARY_LEN   16
#define SERVE_SAMPLE_OF      1000000 /* trace.sample: of so many requests */
#define SERVE_ASKS_MAX       3  /* of one request: what it was told may be gone before it looks */
#define SERVE_AHEAD          4  /* requests that are seen before their turn; a power of two */
#define SERVE_AHEAD_OBJECTS  2  /* of these, so many whose objects are fetched */
#define SERVE_IP_LEN         46 /* of an address as text, with its NUL */

/* Fields that may make something else than the whole of a stored 200 the answer. */
#define SERVE_PART_FIELDS                                                                          \
	(1ULL << HF_HTTP_FIELD_IF_NONE_MATCH | 1ULL << HF_HTTP_FIELD_IF_MODIFIED_SINCE |           \
		1ULL << HF_HTTP_FIELD_RANGE)

enum serve_step {
#define X(id, fn) SERVE_##id,
#include "tbl/req_steps.h"
#undef X
	SERVE_STEP_COUNT
};

enum serve_go {
	SERVE_GO,   /* on with req->step */
	SERVE_STAY, /* wait for an event */
	SERVE_GONE, /* the connection is no more: touch nothing */
};

enum serve_timer {
	SERVE_TIMER_NONE,
	SERVE_TIMER_IDLE,
	SERVE_TIMER_HEAD,
	SERVE_TIMER_UPLOAD,
	SERVE_TIMER_SEND,
	SERVE_TIMER_ROOM
};

/* Heads, small bodies, chunk framing: bytes that live until they are acknowledged. */
struct serve_txbuf {
	struct hf_ref ref;
	struct hf_serve *serve;
	uint32_t used;
	bool own; /* it may hold what is one client's alone: wiped when it goes back */
	char data[];
};

#define SERVE_TXBUF_CAP (SERVE_TXBUF_LEN - sizeof(struct serve_txbuf))

struct serve_conn {
	struct hf_tcp_conn *tcp;
	struct serve_req *req;   /* NULL between requests */
	struct serve_peer *peer; /* counted there; NULL: no limit is set */
	struct hf_list again;    /* in hf_serve.again while it waits for a buffer or its turn */
	uint32_t rate_mark;      /* progress when the rate was last looked at, modulo 2^32 */
	uint8_t timer;           /* enum serve_timer: what TCP's deadline is for */
	bool fin;                /* the peer will send no more */
};
HF_STATIC_ASSERT(sizeof(struct serve_conn) <= 48, "with TCP's 448 and a bucket: 512 when idle");

/* Which ranges of an object are sent, and where between them a response is. */
struct serve_part {
	struct hf_http_range range[HF_HTTP_RANGES_MAX];
	enum hf_resp_part kind;
	uint32_t count, at;  /* ranges; the one that is sent now */
	bool multipart;      /* each has its own head, and there is an end behind the last */
	bool begun;          /* the head of the one that is sent now is queued */
	uint64_t pushed;     /* response bytes that were queued when it began */
	uint64_t length;     /* of the whole */
	struct hf_span type; /* its Content-Type, in the object's head */
	char boundary[SERVE_BOUNDARY_LEN];
};

struct serve_req {
	struct serve_conn *conn;
	struct hf_list link; /* in hf_serve.reqs */
	enum serve_step step;
	/* what was asked */
	enum hf_http_method method;
	uint8_t minor;
	bool keep_alive;
	bool expect_continue;
	bool asks_part;    /* SERVE_PART_FIELDS were there when it became a miss */
	uint32_t read_len; /* unread bytes when the head was last found incomplete */
	uint32_t head_len; /* unread bytes that are this request's head; 0 once consumed */
	/* the answer */
	uint16_t error_status;        /* ERROR: what to say */
	uint16_t status;              /* that was sent; 0: none yet */
	bool stale;                   /* a hit past its lifetime */
	bool answered;                /* its exchange: the origin thread wrote what it had to say */
	uint64_t body_sent;           /* bytes of the body queued */
	struct hf_reqlog_record *log; /* NULL: nobody looks */
	enum hf_lookup lookup;
	enum hf_xchg_cause cause;
	struct hf_obj *obj;     /* LOOKUP to HIT: borrowed; later: of the lease or the exchange */
	struct hf_lease *lease; /* of a hit whose body is sent by reference */
	struct hf_xchg *xchg;   /* of a miss */
	struct hf_xchg *ask;    /* an auth service is asked */
	uint8_t asks;           /* how often it was */
	bool ask_failed;        /* the last time */
	bool miss_counted;
	uint32_t interim_sent; /* bytes of xchg's interim heads */
	struct hf_obj_cursor cursor;
	enum hf_resp_framing framing;
	struct serve_txbuf *txbuf;
	struct hf_list turn; /* in hf_serve.turn when its progress is to be told */
	uint64_t pushed;     /* response bytes queued */
	/* the request's body */
	enum hf_http_body upload;
	bool upload_done;
	uint64_t upload_left; /* LENGTH */
	uint64_t upload_len;  /* taken so far */
	struct hf_http_chunked chunked;
	struct serve_part part; /* in PART; not cleared before */
};

/* What should be a request of the burst. */
struct serve_guess {
	struct hf_http_repeat http;
	struct hf_cache_spot spot;
	uint64_t hash;
	char *key_buf; /* wiped when it was wrong */
	uint32_t seg;  /* that its head is in */
};

/* Heads of the burst in the order of their turns, as far as they are like the one before. */
struct serve_ahead {
	const struct hf_tcp_seg *segs;
	uint32_t count;
	uint32_t seg, offset; /* looked at next */
	uint32_t first, used; /* of guess, a ring */
	uint32_t asked;       /* of these, so many whose objects are on their way */
	struct serve_guess guess[SERVE_AHEAD];
};

struct hf_serve {
	const struct hf_conf *conf;
	uint32_t worker, origins;
	uint64_t now_us;
	struct hf_tcp *tcp;
	struct hf_state *state; /* NULL: none */
	struct hf_auth *auth;
	struct hf_cache *cache;
	struct hf_reader *reader;
	struct hf_xchg_net *xchgs;
	struct hf_http_limits limits;
	bool draining;
	uint32_t mode; /* enum hf_mode */
	struct hf_reqlog_ring *reqlog;
	struct hf_pool conn_pool, req_pool, txbuf_pool, log_pool;
	struct hf_list reqs, again, turn;
	struct serve_txbuf
		*txbuf_left;   /* in serve_run: with room behind the last answer, for the next */
	struct hf_list *peers; /* chains of serve_peer */
	struct hf_pool peer_pool;
	struct hf_sipkey peer_key;
	uint32_t peer_mask;
	int64_t date_s;
	char date[HF_HTTP_DATE_LEN];
	/* of the request that is being looked at; valid from READ to HIT or MISS, in one turn */
	struct hf_http_req http;
	struct hf_http_memo memo; /* what READ parsed before */
	struct hf_span head;      /* its bytes */
	struct hf_key key;
	char local[SERVE_IP_LEN + 8];           /* LOOKUP: an authority that it did not name */
	const struct hf_state_flow *flow;       /* that allowed it; NULL: its route has none */
	const struct hf_auth_decision *allowed; /* by this */
	struct serve_ahead ahead;
	char *key_buf;
	char *ask_buf; /* what an auth service is told of it, and its decision is kept under; wiped */
	char *head_buf; /* a head that came in pieces, made contiguous; wiped when it was read */
	size_t head_buf_used;
	uint32_t key_cap, ask_cap;
	uint32_t asks_out;         /* exchanges that auth services are asked with */
	struct hf_tcp_sweep sweep; /* serve_pressure.c */
	uint64_t sweep_step_us, sweep_round_us;
	bool sweep_on;
	/* of the response that serve_part_begin made */
	struct hf_http_fields stored;
	char part_head[SERVE_PART_HEAD_MAX];
	uint32_t part_head_len;
	struct hf_sipkey random_key; /* serve_random */
	uint64_t random_count;
	uint32_t gap_sample; /* trace.sample that gap was drawn for */
	uint64_t gap;        /* serve_log_gap */
};

/* The send buffers that are left are for those who hold none. */
static inline bool serve_txbufs_short(const struct hf_serve *serve)
{
	return hf_pool_free_count(&serve->txbuf_pool) <= serve->txbuf_pool.count / 8;
}

/* serve.c */
/* What nobody can tell in advance: boundaries that no body holds by design, ids of spans. */
uint64_t serve_random(struct hf_serve *serve);

/* serve_fsm.c */
void serve_run(struct hf_serve *serve, struct serve_conn *conn);
enum serve_go serve_fail(struct serve_req *req, uint16_t status, enum hf_drop reason);
void serve_again(struct hf_serve *serve, struct serve_conn *conn);
/* May the connection begin another answer? Else it has as much queued as it may, or as is good for the others. */
bool serve_has_room(struct hf_serve *serve, const struct serve_conn *conn);
/* WRITABLE will come when a quarter of what is queued was acknowledged. */
void serve_want_space(struct serve_conn *conn);

/* serve_conn.c */
void serve_events(struct hf_serve *serve);
/* Waits for the next request. */
void serve_conn_idle(struct hf_serve *serve, struct serve_conn *conn);
/* It asked, and there is no room for an answer: it waits, for its own ACKs or for what others hold. */
void serve_conn_wait(struct hf_serve *serve, struct serve_conn *conn);
void serve_timer_set(
	struct hf_serve *serve, struct serve_conn *conn, enum serve_timer kind, uint64_t after_us);
void serve_timer_stop(struct hf_serve *serve, struct serve_conn *conn);
/* From now on until all is taken the client must take what is queued at http.body_rate, whatever it asks
 * for meanwhile. */
void serve_send_watch(struct hf_serve *serve, struct serve_conn *conn);
bool serve_send_watched(const struct serve_conn *conn);
/* FIN behind what is queued; the connection is gone for us. */
enum serve_go serve_conn_close(struct hf_serve *serve, struct serve_conn *conn);
/* RST. */
enum serve_go serve_conn_abort(
	struct hf_serve *serve, struct serve_conn *conn, enum hf_drop reason);
void serve_conn_forget(struct hf_serve *serve, struct serve_conn *conn);

/* serve_peer.c */
void serve_ip_text(const struct hf_ip *ip, char buf[SERVE_IP_LEN]);
int serve_peers_init(struct hf_serve *serve);
void serve_peers_fini(struct hf_serve *serve);
/* False: this address has as many connections as it may. */
bool serve_peer_join(struct hf_serve *serve, struct serve_conn *conn);
void serve_peer_leave(struct hf_serve *serve, struct serve_conn *conn);

/* serve_log.c; the record is req->log */
static inline unsigned serve_log_wanted(const struct hf_serve *serve)
{
	return serve->reqlog ? hf_reqlog_wanted(serve->reqlog) : 0;
}
/* So many requests without a trace of their own are not sampled before the next one that is. */
uint64_t serve_log_gap(struct hf_serve *serve);
/* What was asked is in serve->http. WANTED: not 0. */
void serve_log_begin(struct hf_serve *serve, struct serve_req *req, unsigned wanted);
/* req->obj is about to answer. */
void serve_log_obj(const struct hf_serve *serve, struct serve_req *req);
/* The origin thread has answered. */
void serve_log_answer(const struct hf_serve *serve, struct serve_req *req);
/* What the origin is sent as traceparent. False: what came. */
bool serve_log_trace(const struct serve_req *req, struct hf_http_trace *ret_trace);
/* An answer of our own was queued; of what was no request it is all there is. */
void serve_log_error(struct hf_serve *serve, struct serve_req *req, struct hf_span answer);
/* Its exchange is about to go. */
void serve_log_miss(struct serve_req *req);
/* The request ends: the record is the log's. */
void serve_log_end(struct hf_serve *serve, struct serve_req *req);

/* serve_read.c */
struct serve_req *serve_req_new(struct hf_serve *serve, struct serve_conn *conn);
void serve_req_free(struct hf_serve *serve, struct serve_req *req);
/* Nobody needs the bytes of the head any more: serve->http, serve->head and serve->key end here. */
void serve_head_done(struct hf_serve *serve, struct serve_req *req);
/* The same, but its bytes stay where they are; serve_read_again has it all back. False: it is no request. */
void serve_head_leave(struct hf_serve *serve);
bool serve_read_again(struct hf_serve *serve, struct serve_req *req) HF_MUST_CHECK;

/* serve_ahead.c */
int serve_ahead_init(struct hf_serve *serve);
void serve_ahead_fini(struct hf_serve *serve);
void serve_ahead_begin(struct hf_serve *serve, const struct hf_tcp_seg *segs, uint32_t count);
/* Segment I is next; COUNT: it was the last. None before it is readable any more. */
void serve_ahead_at(struct hf_serve *serve, uint32_t i);
/* The next guess, if it is right: a head at AT, where the connection's next request begins. NULL: none. */
static inline struct serve_guess *serve_ahead_front(struct hf_serve *serve, const char *at)
{
	struct serve_ahead *ahead = &serve->ahead;
	struct serve_guess *guess = &ahead->guess[ahead->first];

	return ahead->used > 0 && guess->http.head.ptr == at &&
			       hf_http_repeat_holds(&serve->memo, &guess->http)
		       ? guess
		       : NULL;
}
/* What is stored for it, whatever else it says (hf_cache_spot_any). */
struct hf_obj *serve_ahead_obj(struct hf_serve *serve, const struct serve_guess *guess);
/* It was right and is done with. */
void serve_ahead_next(struct hf_serve *serve);
/* Is the key of serve->http known? Then it is in serve->key. */
bool serve_ahead_take(struct hf_serve *serve);

/* serve_plain.c: answers what it can of what is unread; adds to *REQUESTS, which is SERVE_REQUESTS_TURN at most. False:
 * the connection is no more. */
bool serve_plain(struct hf_serve *serve, struct serve_conn *conn, uint32_t *requests) HF_MUST_CHECK;

/* serve_send.c */
struct serve_txbuf *serve_txbuf_new(struct hf_serve *serve);
/* Answers to requests that came together lie in one buffer as far as it goes, and so are one span. Leave: for the next
 * request when an answer of our own fits in it, else it goes back. Take: what was left, or a new one; NULL: there is none. */
struct serve_txbuf *serve_txbuf_take(struct hf_serve *serve);
void serve_txbuf_leave(struct hf_serve *serve, struct serve_txbuf *txbuf);
/* Writes a hit, whole, to a client of 1.1 that stays, behind what the buffer has; there is room. Its length. */
static inline uint32_t serve_txbuf_hit(const struct hf_serve *serve, struct serve_txbuf *txbuf,
	const struct hf_obj *obj, struct hf_span body)
{
	char *at = txbuf->data + txbuf->used;
	size_t room = SERVE_TXBUF_CAP - txbuf->used;
	size_t len = hf_resp_hit_build(at, room, (struct hf_span){ obj->head, obj->head_len },
		hf_obj_age_s(obj, serve->now_us), body.len);

	HF_ASSERT_HOT(len > 0 && len + body.len <= room);
	__builtin_memcpy(at + len, body.ptr, body.len);
	return (uint32_t)(len + body.len);
}
/* Is it the reference of a send buffer? */
bool serve_ref_is_txbuf(const struct hf_ref *ref);
bool serve_send(struct hf_serve *serve, struct serve_req *req, const void *data, uint32_t len,
	struct hf_ref *ref, bool zero_copy) HF_MUST_CHECK;
/* Takes another send buffer in the place of the request's; NULL: there is none. */
char *serve_txbuf_next(struct hf_serve *serve, struct serve_req *req);
/* Room for `len` bytes that live until acknowledged; NULL: none. Queue with serve_txbuf_send. */
static inline char *serve_txbuf_room(struct hf_serve *serve, struct serve_req *req, uint32_t len)
{
	HF_ASSERT(len <= SERVE_TXBUF_CAP);
	if (req->txbuf->used + len <= SERVE_TXBUF_CAP)
		return req->txbuf->data + req->txbuf->used;
	return serve_txbuf_next(serve, req);
}
bool serve_txbuf_send(struct hf_serve *serve, struct serve_req *req, uint32_t len) HF_MUST_CHECK;
bool serve_send_head(struct hf_serve *serve, struct serve_req *req, const char *cache_status);
/* The same of a hit that is stored, or leased. */
bool serve_send_hit(struct hf_serve *serve, struct serve_req *req);
int64_t serve_age_s(const struct hf_serve *serve, const struct serve_req *req);
/* An answer of our own, LEN bytes at AT in the send buffer: the request is done. */
enum serve_go serve_own_send(
	struct hf_serve *serve, struct serve_req *req, char *at, size_t len, uint16_t status);
/* The answer begins. */
void serve_count_status(struct serve_req *req, uint16_t status);
void serve_count_body(struct serve_req *req, size_t len);
struct hf_span serve_date(const struct hf_serve *serve);

/* Who keeps the bytes of req->obj readable; NULL: nobody, beyond this turn. */
struct hf_ref *serve_owner(struct serve_req *req);
bool serve_obj_failed(const struct hf_obj *obj);
/* The rest of the body will never come. */
enum serve_go serve_cut(struct hf_serve *serve, struct serve_req *req);

/* serve_part.c */
/* Is something else than the whole of req->obj the answer to serve->http? Then its head is in
 * serve->part_head and req->part says what follows. */
bool serve_part_begin(struct hf_serve *serve, struct serve_req *req, const char *cache_status);
/* Are there so few bytes that they need no lease? */
bool serve_part_small(const struct serve_req *req);
/* Queues the head; PART is the next step. */
enum serve_go serve_part_head(struct hf_serve *serve, struct serve_req *req);
/* PART: body bytes before this offset are acknowledged; `known`: what was said before. */
uint64_t serve_part_consumed(const struct serve_req *req, uint64_t queued, uint64_t known);

/* serve_tunnel.c */
/* True: *ret_go is the answer to CONNECT. Else it goes to an origin thread, and all that follows is its body. */
bool serve_tunnel_refuses(struct hf_serve *serve, struct serve_req *req, enum serve_go *ret_go);
enum serve_go serve_tunnel_head(struct hf_serve *serve, struct serve_req *req);

/* serve_auth.c */
/* May who asks have what the route has? True: go on. Else *ret_go says how. */
bool serve_auth_allows(struct hf_serve *serve, struct serve_req *req, enum serve_go *ret_go);
/* FIELDS without what the client may not say, or the origin shall not see. */
void serve_auth_fields(const struct hf_serve *serve, struct hf_http_fields *fields);
/* The exchange is GONE. */
void serve_auth_told(struct hf_serve *serve, struct hf_xchg *xchg);
/* The request ends. */
void serve_auth_forget(struct serve_req *req);

/* serve_auth_answer.c */
/* No credential, or none that counts. */
enum serve_go serve_auth_missing(struct hf_serve *serve, struct serve_req *req);
/* The service said no. */
enum serve_go serve_auth_denied(
	struct hf_serve *serve, struct serve_req *req, const struct hf_auth_decision *decision);

/* serve_auth_path.c */
/* The path of a key, without query, as the most lenient origin reads it; in BUF, of a byte more. */
struct hf_span serve_auth_path(struct hf_span path, char *buf);

/* serve_miss.c */
/* Host and target as the key spells them. */
void serve_key_parts(
	const struct hf_key *key, struct hf_span *ret_authority, struct hf_span *ret_target);
/* The request is done with its exchange, if it has one; spans in TCP may still hold it. */
void serve_xchg_drop(struct hf_serve *serve, struct serve_req *req);
void serve_miss_count(struct serve_req *req);
/* req->obj answers though it is stale: has it refreshed in the background, once (RFC 5861 §3). */
void serve_refresh(struct hf_serve *serve, const struct serve_req *req);

/* Is it the reference of an exchange? */
bool serve_ref_is_xchg(const struct hf_ref *ref);

/* serve_reply.c */
void serve_progress(struct hf_serve *serve);

/* serve_pressure.c: once a turn */
void serve_pressure(struct hf_serve *serve);
/* Few exchanges are left. */
bool serve_exchanges_short(const struct hf_serve *serve);

/* serve_upload.c: takes unread bytes as far as they go. */
enum serve_upload { SERVE_UPLOAD_MORE, SERVE_UPLOAD_DONE, SERVE_UPLOAD_BAD };
enum serve_upload serve_upload(struct hf_serve *serve, struct serve_req *req);
/* The client stopped before the end of the body: no answer can be for this request. */
bool serve_upload_cut(const struct serve_req *req);

#define X(id, fn) enum serve_go fn(struct hf_serve *serve, struct serve_req *req);
#include "tbl/req_steps.h"
#undef X

#endif
